//! A trail on disk: which plain files lie in a folder, and their bytes. No database, no socket, nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use verifier::audit::Files;
use verifier::book::redacted::RedactedPath;
use verifier::trail::bundle::{self, BundlePath};

/// Something that could not be read: the answer is then "could not check", never "agree".
#[derive(Debug)]
pub(crate) struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A folder with the names of all its files, relative to it and with `/`, as they were when it was opened.
pub(crate) struct Folder {
    root: PathBuf,
    files: BTreeSet<String>,
    progress: ProgressBar,
}

impl Folder {
    /// Lists a folder and everything below it. Links, devices and names that are not UTF-8 are listed too: no trail has
    /// such, so an audit calls them stray.
    pub(crate) fn open(root: &Path) -> Result<Self, Unreadable> {
        let style =
            ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} entries {eta}");
        let mut folder = Self {
            root: root.to_owned(),
            files: BTreeSet::new(),
            // Hidden where the error output is no terminal.
            progress: ProgressBar::new(0)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
        };
        let mut waiting = vec![(root.to_owned(), String::new())];
        while let Some((path, prefix)) = waiting.pop() {
            let fault = |source| Unreadable {
                path: path.clone(),
                source,
            };
            let items: io::Result<Vec<_>> = fs::read_dir(&path).map_err(fault)?.collect();
            for item in items.map_err(fault)? {
                let name = format!("{prefix}{}", item.file_name().to_string_lossy());
                match item.file_type().map_err(fault)? {
                    kind if kind.is_dir() => waiting.push((item.path(), format!("{name}/"))),
                    _ => drop(folder.files.insert(name)),
                }
            }
        }
        Ok(folder)
    }

    /// Hands over every entry that lies in the folder, in order, unchecked: of each place the widest bundles. What those of a
    /// scope withhold is passed over.
    pub(crate) fn entries(&mut self, mut take: impl FnMut(u64, &[u8])) -> Result<(), Unreadable> {
        let mut widest: BTreeMap<u64, (BundlePath, Vec<String>)> = BTreeMap::new();
        for name in &self.files {
            let whole = BundlePath::parse(name).ok();
            let redacted = || RedactedPath::parse(name).ok().map(|path| path.bundle);
            let Some(path) = whole.or_else(redacted) else {
                continue;
            };
            let kept = widest.entry(path.number()).or_insert((path, Vec::new()));
            if path > kept.0 {
                *kept = (path, Vec::new());
            }
            if path == kept.0 {
                kept.1.push(name.clone());
            }
        }
        for (path, names) in widest.into_values() {
            let mut entries: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
            for name in names {
                let bytes = self.read(&name, usize::MAX)?.unwrap_or_default();
                let decoded = bundle::decode(&bytes, path.width()).unwrap_or_default();
                let numbered = (path.first()..).zip(decoded);
                let here = numbered.filter(|(_, entry)| !entry.is_empty());
                entries.extend(here.map(|(seq, entry)| (seq, entry.to_vec())));
            }
            entries.iter().for_each(|(seq, entry)| take(*seq, entry));
        }
        Ok(())
    }
}

impl Files for Folder {
    type Fault = Unreadable;

    fn names(&mut self) -> Result<Vec<String>, Unreadable> {
        Ok(self.files.iter().cloned().collect())
    }

    fn read(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, Unreadable> {
        if !self.files.contains(name) {
            return Ok(None);
        }
        read(&self.root.join(name), limit).map(Some)
    }

    fn progress(&mut self, checked: u64, total: u64) {
        self.progress.set_length(total);
        self.progress.set_position(checked);
        if checked >= total {
            self.progress.finish_and_clear();
        }
    }
}

/// Reads a file, of a longer one `limit` + 1 bytes.
#[expect(
    clippy::disallowed_methods,
    reason = "the command reads files so that the library need not"
)]
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Unreadable> {
    let fault = |source| Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(fault)?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(fault)?;
    Ok(bytes)
}
