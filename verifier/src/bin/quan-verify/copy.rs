//! The folder that a fetch fills: whole files only, each put in its place at once.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::NotChecked;
use crate::folder::{self, Folder};
use verifier::audit::Files as _;

/// How a file is called until it is whole. What a stopped fetch leaves of these, the next one removes.
const UNFINISHED: &str = ".unfinished";

/// A folder as it was when the fetch began; what is fetched is added.
pub(crate) struct Copy {
    root: PathBuf,
    names: BTreeSet<String>,
}

impl Copy {
    /// Opens a folder, making it where it is missing.
    pub(crate) fn open(root: &Path) -> Result<Self, NotChecked> {
        fs::create_dir_all(root).map_err(|fault| unwritable(root, &fault))?;
        let names = Folder::open(root)?.names()?;
        let (unfinished, names): (Vec<String>, Vec<String>) = names
            .into_iter()
            .partition(|name| name.ends_with(UNFINISHED));
        let copy = Self {
            root: root.to_owned(),
            names: names.into_iter().collect(),
        };
        unfinished.iter().try_for_each(|name| copy.remove(name))?;
        Ok(copy)
    }

    /// The files that were there at first.
    pub(crate) const fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// The bytes of a file that was there at first.
    pub(crate) fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, NotChecked> {
        if !self.names.contains(name) {
            return Ok(None);
        }
        Ok(Some(folder::read(&self.root.join(name), limit)?))
    }

    /// Puts a file in its place.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), NotChecked> {
        put(&self.root.join(name), bytes)
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) -> Result<(), NotChecked> {
        let path = self.root.join(name);
        fs::remove_file(&path).map_err(|fault| unwritable(&path, &fault))?;
        // The folder of a tile's partial widths goes with the last of them; while others are in it, it stays.
        if let Some(parent) = path.parent().filter(|parent| parent.extension().is_some()) {
            let _others = fs::remove_dir(parent);
        }
        Ok(())
    }
}

/// Replaces a file: another name, synced, renamed. Whoever reads meanwhile reads the old one whole.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), NotChecked> {
    let written = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = path.with_file_name(format!("{name}{UNFINISHED}"));
        if !folder.as_os_str().is_empty() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        // DURABLE: the bytes are on the disk before the name is theirs.
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    written().map_err(|fault| unwritable(path, &fault))
}

fn unwritable(path: &Path, fault: &io::Error) -> NotChecked {
    NotChecked(format!("cannot write {}: {fault}", path.display()))
}
