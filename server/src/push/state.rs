//! What a push has done, kept line by line, so that a run after a kill sums no file again and goes on with each upload.
//!
//! A line that a kill cut short ends the file; what it said is done again. A file is as it was summed while its length and its time of
//! change are: the exchange sums what it gets, so a wrong guess costs an upload and nothing else.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::UNIX_EPOCH;
use verifier::id::{Sha256Hash, hex};

use super::fault::Fault;
use super::locked;

/// What is kept, and where.
pub(super) struct State {
    path: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    file: File,
    sums: BTreeMap<String, (Stamp, Sha256Hash)>,
    uploads: BTreeMap<String, String>,
}

/// What says that a file is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    /// Since 1970, in nanoseconds.
    changed: u128,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// Which exchange and listing the uploads are for.
    For(String),
    Sum(String, Stamp, Sha256Hash),
    /// Where a content is uploaded to; nowhere after it failed.
    Upload(String, Option<String>),
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Result<Self, Fault> {
        let fault = |error| Fault::File(path.to_owned(), error);
        let found = fs::metadata(path).map_err(fault)?;
        let changed = found.modified().map_err(fault)?;
        let changed = changed.duration_since(UNIX_EPOCH);
        Ok(Self {
            bytes: found.len(),
            changed: changed.map_or(0, |since| since.as_nanos()),
        })
    }
}

impl State {
    /// Reads what an earlier run kept. Uploads to somewhere else than `whither` do not count, sums do.
    pub(super) fn open(path: PathBuf, whither: &str) -> Result<Self, Fault> {
        let fault = |error| Fault::File(path.clone(), error);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read.map_err(fault)?,
        };
        let (mut sums, mut uploads) = (BTreeMap::new(), BTreeMap::new());
        let mut is_ours = false;
        for line in text.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Line::For(other)) => is_ours = other == whither,
                Ok(Line::Sum(name, stamp, sum)) => {
                    sums.insert(name, (stamp, sum));
                }
                Ok(Line::Upload(sum, Some(at))) if is_ours => {
                    uploads.insert(sum, at);
                }
                Ok(Line::Upload(sum, None)) if is_ours => {
                    uploads.remove(&sum);
                }
                Ok(Line::Upload(..)) | Err(_) => {}
            }
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(fault)?;
        // Whatever a kill left of a line ends here.
        let begins = written(&Line::For(whither.to_owned()));
        file.write_all(format!("\n{begins}").as_bytes())
            .map_err(fault)?;
        let known = Known {
            file,
            sums,
            uploads,
        };
        Ok(Self {
            path,
            known: Mutex::new(known),
        })
    }

    /// What a file was summed to, if it is as it was.
    pub(super) fn sum(&self, name: &str, stamp: Stamp) -> Option<[u8; 32]> {
        let known = locked(&self.known);
        let (then, sum) = known.sums.get(name)?;
        (*then == stamp).then(|| *sum.bytes())
    }

    pub(super) fn keep_sum(&self, name: &str, stamp: Stamp, sum: [u8; 32]) -> Result<(), Fault> {
        let sum = Sha256Hash::new(sum);
        let mut known = locked(&self.known);
        known.sums.insert(name.to_owned(), (stamp, sum));
        self.write(&mut known, &Line::Sum(name.to_owned(), stamp, sum))
    }

    /// Where a content is being uploaded to, or was.
    pub(super) fn upload(&self, sha256: &[u8; 32]) -> Option<String> {
        locked(&self.known).uploads.get(&hex(sha256)).cloned()
    }

    pub(super) fn keep_upload(&self, sha256: &[u8; 32], at: Option<&str>) -> Result<(), Fault> {
        let (sum, at) = (hex(sha256), at.map(str::to_owned));
        let mut known = locked(&self.known);
        match &at {
            Some(at) => known.uploads.insert(sum.clone(), at.clone()),
            None => known.uploads.remove(&sum),
        };
        self.write(&mut known, &Line::Upload(sum, at))
    }

    fn write(&self, known: &mut Known, line: &Line) -> Result<(), Fault> {
        let kept = known.file.write_all(written(line).as_bytes());
        kept.map_err(|error| Fault::File(self.path.clone(), error))
    }
}

fn written(line: &Line) -> String {
    // Texts and numbers always have a JSON form.
    serde_json::to_string(line).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_with_what_a_killed_one_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let stamp = Stamp {
            bytes: 7,
            changed: 1 << 80,
        };
        let open = |whither| State::open(path.clone(), whither).unwrap();
        let first = open("a");
        first.keep_sum("x.csv", stamp, [1; 32]).unwrap();
        first.keep_upload(&[1; 32], Some("/v1/uploads/1")).unwrap();
        first.keep_upload(&[2; 32], Some("/v1/uploads/2")).unwrap();
        first.keep_upload(&[2; 32], None).unwrap();
        drop(first);
        let cut = fs::read(&path).unwrap();
        fs::write(&path, [&cut[..], b"{\"upload\":[\"01"].concat()).unwrap();
        let second = open("a");
        assert_eq!(second.upload(&[1; 32]).as_deref(), Some("/v1/uploads/1"));
        assert_eq!(second.upload(&[2; 32]), None);
        second.keep_upload(&[3; 32], Some("/v1/uploads/3")).unwrap();
        let third = open("b");
        assert_eq!(third.upload(&[3; 32]), None);
        assert_eq!(third.sum("x.csv", stamp), Some([1; 32]));
        assert_eq!(third.sum("x.csv", Stamp { bytes: 8, ..stamp }), None);
        third.keep_upload(&[4; 32], Some("/v1/uploads/4")).unwrap();
        assert_eq!(open("b").upload(&[4; 32]).as_deref(), Some("/v1/uploads/4"));
    }
}
