//! The golden trails: one whole trail of every past form and number of rules (DESIGN §4). The program of today must read
//! them, decide every entry again to the same bytes, and agree.

#![expect(clippy::disallowed_methods, reason = "a golden trail lies on disk")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use verifier::audit::{Depth, Files, Verdict, audit};
use verifier::book::entry::Entry;
use verifier::trail::bundle;
use verifier::trail::policy::Policy;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/trail/v1");

/// A trail on disk, read whole: it is small.
struct Folder(PathBuf);

impl Files for Folder {
    type Fault = Infallible;

    fn names(&mut self) -> Result<Vec<String>, Infallible> {
        let mut names = Vec::new();
        collect(&self.0, "", &mut names);
        Ok(names)
    }

    fn read(&mut self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(fs::read(self.0.join(name)).ok())
    }
}

fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for item in fs::read_dir(folder).unwrap() {
        let item = item.unwrap();
        let name = format!("{prefix}{}", item.file_name().to_string_lossy());
        if item.path().is_dir() {
            collect(&item.path(), &format!("{name}/"), names);
        } else {
            names.push(name);
        }
    }
}

/// The entries of the golden trail, in order.
pub(crate) fn entries() -> Vec<Entry> {
    let mut folder = Folder(Path::new(ROOT).join("trail/tile/entries"));
    let mut names = folder.names().unwrap();
    names.sort_by_key(|name| (name.get(..3).map(str::to_owned), width(name)));
    let mut entries: Vec<Entry> = Vec::new();
    for name in names {
        let bytes = folder.read(&name, 0).unwrap().unwrap();
        let (number, width) = (
            name.get(..3).unwrap().parse::<usize>().unwrap(),
            width(&name),
        );
        // A wider bundle holds what a narrower one of its number holds.
        entries.truncate(number * 256);
        for leaf in bundle::decode(&bytes, width).unwrap() {
            entries.push(Entry::parse(leaf).unwrap());
        }
    }
    entries
}

/// Whom to trust, and every file of the golden trail.
pub(crate) fn files() -> (String, BTreeMap<String, Vec<u8>>) {
    let policy = fs::read_to_string(Path::new(ROOT).join("policy.txt")).unwrap();
    let mut folder = Folder(Path::new(ROOT).join("trail"));
    let Ok(names) = folder.names();
    let files = names.into_iter().map(|name| {
        let Ok(bytes) = folder.read(&name, 0);
        (name, bytes.unwrap())
    });
    (policy, files.collect())
}

fn width(name: &str) -> u16 {
    name.split_once(".p/")
        .map_or(256, |(_, width)| width.parse().unwrap())
}

#[test]
fn the_golden_trail_agrees_to_the_byte() {
    let policy = fs::read(Path::new(ROOT).join("policy.txt")).unwrap();
    let policy = Policy::parse(&policy).unwrap();
    let Ok(report) = audit(
        &mut Folder(Path::new(ROOT).join("trail")),
        &policy,
        Depth::Decisions,
    );
    assert_eq!(report.differences, []);
    assert_eq!(report.verdict, Verdict::Agree);
    assert!(report.decided > 300, "only {} entries", report.decided);
}
