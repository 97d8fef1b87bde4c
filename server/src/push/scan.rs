//! The files below a folder as a manifest names them, and their sums.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use unicode_normalization::UnicodeNormalization as _;
use verifier::dataset::check_path;

use super::bars::Bars;
use super::fault::Fault;
use super::state::{Stamp, State};
use super::{STATE_FILE, in_parallel, list, locked};

/// Bytes that are read at once.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// Folders within folders: a path has 1 024 bytes at most.
const DEPTH_MAX: usize = 512;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Where a file is, by the path that it has in the dataset (NFC, `/`).
    pub(super) files: BTreeMap<String, PathBuf>,
    /// What stays where it is, and why.
    left_out: Vec<String>,
    bad: Vec<String>,
}

/// A file with its sum.
#[derive(Debug, Clone)]
pub(super) struct Summed {
    pub(super) path: String,
    pub(super) from: PathBuf,
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
}

/// Finds the files below a folder.
/// # Errors
/// [`Fault::File`]; [`Fault::Names`] names each that cannot stand in a dataset.
pub(super) fn walk(root: &Path) -> Result<Found, Fault> {
    let mut found = Found::default();
    let whole = fs::canonicalize(root).map_err(|error| Fault::File(root.to_owned(), error))?;
    found.folder(&whole, (root, ""), 0)?;
    if found.bad.is_empty() && found.files.is_empty() {
        found.bad.push(format!("{} has no file", root.display()));
    }
    if found.bad.is_empty() {
        found.left_out.sort();
        return Ok(found);
    }
    found.bad.sort();
    Err(Fault::Names(found.bad))
}

impl Found {
    pub(super) fn say_left_out(&self) {
        list("left out", self.left_out.iter().cloned());
    }

    fn folder(&mut self, root: &Path, at: (&Path, &str), depth: usize) -> Result<(), Fault> {
        let (folder, prefix) = at;
        let fault = |error| Fault::File(folder.to_owned(), error);
        for item in fs::read_dir(folder).map_err(fault)? {
            self.item(root, &item.map_err(fault)?, (prefix, depth))?;
        }
        Ok(())
    }

    fn item(&mut self, root: &Path, item: &DirEntry, at: (&str, usize)) -> Result<(), Fault> {
        let (prefix, depth) = at;
        let (from, name) = (item.path(), item.file_name());
        let Some(name) = name.to_str() else {
            self.bad.push(format!("{} is not UTF-8", from.display()));
            return Ok(());
        };
        let path = format!("{prefix}{}", name.nfc().collect::<String>());
        let kind = item.file_type().map_err(in_file(&from))?;
        if path == STATE_FILE {
            // Ours.
        } else if name.starts_with('.') {
            self.left_out.push(format!("{path} (hidden)"));
        } else if kind.is_dir() && depth < DEPTH_MAX {
            self.folder(root, (&from, &format!("{path}/")), depth + 1)?;
        } else if kind.is_symlink() {
            self.link(root, path, from);
        } else if kind.is_file() {
            self.file(path, from);
        } else {
            self.left_out.push(format!("{path} (no file)"));
        }
        Ok(())
    }

    /// A link to a file below the folder is that file.
    fn link(&mut self, root: &Path, path: String, from: PathBuf) {
        let to = fs::canonicalize(&from).ok();
        match to.filter(|to| to.starts_with(root)) {
            Some(to) if to.is_file() => self.file(path, from),
            Some(_) => self.left_out.push(format!("{path} (a link to a folder)")),
            None => self
                .left_out
                .push(format!("{path} (a link that leads out of the folder)")),
        }
    }

    fn file(&mut self, path: String, from: PathBuf) {
        if let Err(why) = check_path(&path) {
            self.bad.push(format!("{path:?} {why}"));
        } else if let Some(other) = self.files.insert(path, from) {
            let other = other.display();
            self.bad.push(format!(
                "{other} and another file have one name in Unicode's NFC form"
            ));
        }
    }
}

/// Sums the files that are not as an earlier run summed them; in the order of their paths.
pub(super) fn sum(
    files: &BTreeMap<String, PathBuf>,
    state: &State,
    jobs: usize,
) -> Result<Vec<Summed>, Fault> {
    let (mut known, mut new) = (Vec::new(), Vec::new());
    for (path, from) in files {
        let stamp = Stamp::of(from)?;
        let summed = |sha256| Summed {
            path: path.clone(),
            from: from.clone(),
            bytes: stamp.bytes,
            sha256,
        };
        match state.sum(path, stamp) {
            Some(sha256) => known.push(summed(sha256)),
            None => new.push((stamp, summed([0; 32]))),
        }
    }
    let bars = Bars::new(new.iter().map(|(stamp, _)| stamp.bytes).sum());
    let done = Mutex::new(known);
    in_parallel(jobs, &new, |(stamp, file)| {
        let mut bar = bars.one(&format!("summing {}", file.path), file.bytes);
        let mut from = open(&file.from)?;
        let (sha256, bytes) =
            digest(&mut from, &mut |count| bar.add(count)).map_err(in_file(&file.from))?;
        if bytes != file.bytes || Stamp::of(&file.from)? != *stamp {
            return Err(Fault::Upload(format!(
                "{} changes while it is read",
                file.path
            )));
        }
        state.keep_sum(&file.path, *stamp, sha256)?;
        locked(&done).push(Summed {
            sha256,
            ..file.clone()
        });
        Ok(())
    })?;
    bars.end();
    let mut done = std::mem::take(&mut *locked(&done));
    done.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(done)
}

pub(super) fn open(path: &Path) -> Result<File, Fault> {
    File::open(path).map_err(in_file(path))
}

pub(super) fn in_file(path: &Path) -> impl Fn(io::Error) -> Fault {
    move |error| Fault::File(path.to_owned(), error)
}

/// Sums what is left of a reader, and counts it.
pub(super) fn digest(
    from: &mut dyn io::Read,
    seen: &mut dyn FnMut(usize),
) -> io::Result<([u8; 32], u64)> {
    let (mut hash, mut block, mut bytes) = (Sha256::new(), vec![0; BLOCK_BYTES], 0_u64);
    loop {
        let count = match from.read(&mut block) {
            Ok(0) => return Ok((hash.finalize().into(), bytes)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hash.update(block.get(..count).unwrap_or_default());
        bytes = bytes.saturating_add(count as u64);
        seen(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn put(root: &Path, path: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    #[test]
    fn a_folder_is_walked_without_what_is_hidden_or_elsewhere() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = folder.path();
        put(other.path(), "secret");
        for path in [
            "b.csv",
            "a/训练.jsonl",
            ".git/config",
            "a/.DS_Store",
            "cafe\u{301}.txt",
        ] {
            put(root, path);
        }
        symlink("b.csv", root.join("same.csv")).unwrap();
        symlink(other.path().join("secret"), root.join("out")).unwrap();
        symlink("a", root.join("loop")).unwrap();
        symlink("nowhere", root.join("dead")).unwrap();
        let found = walk(root).unwrap();
        let files: Vec<&str> = found.files.keys().map(String::as_str).collect();
        assert_eq!(files, ["a/训练.jsonl", "b.csv", "café.txt", "same.csv"]);
        assert_eq!(
            found.left_out,
            [
                ".git (hidden)",
                "a/.DS_Store (hidden)",
                "dead (a link that leads out of the folder)",
                "loop (a link to a folder)",
                "out (a link that leads out of the folder)",
            ]
        );
    }

    #[test]
    fn names_that_cannot_stand_in_a_dataset_are_all_named_before_anything_goes_out() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a\\b", "new\nline", "e\u{301}", "\u{e9}"] {
            put(folder.path(), path);
        }
        let Err(Fault::Names(bad)) = walk(folder.path()) else {
            unreachable!("they cannot stand there")
        };
        assert_eq!(bad.len(), 3, "{bad:?}");
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(walk(empty.path()), Err(Fault::Names(_))));
    }
}
