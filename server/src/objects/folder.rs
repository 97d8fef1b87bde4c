//! New files of a local folder, many at a time: their bytes are durable first, then each has its name, then the folders that name
//! them are synced, each folder once (DESIGN §7 Objects).
//!
//! So whatever lies under a name is whole, also after the power was lost, and a batch costs the disk one sync for each file and
//! not two or three. Nobody's names are `name#1`, as `object_store` has them: a start removes what a killed process left there.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A file whose bytes are durable and whose name is nobody's; it goes with this, unless it was named.
#[derive(Debug)]
pub(super) struct Staged {
    handle: File,
    staged: PathBuf,
    file: PathBuf,
}

impl Staged {
    /// Writes a file beside the one that it will be, making the folders that it needs.
    pub(super) fn write(file: PathBuf, bytes: &[u8]) -> io::Result<Self> {
        let created = match create_beside(&file) {
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                make_folder(&file)?;
                create_beside(&file)
            }
            created => created,
        };
        let (handle, staged) = created?;
        let mut written = Self {
            handle,
            staged,
            file,
        };
        written.handle.write_all(bytes)?;
        Ok(written)
    }

    /// Makes its bytes durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.handle.sync_data()
    }

    /// Gives it its name, unless that is taken; whether it has it now.
    pub(super) fn name(self) -> io::Result<bool> {
        // A link and no renaming: that would put it in the place of what has the name.
        match fs::hard_link(&self.staged, &self.file) {
            Ok(()) => Ok(true),
            Err(fault) if fault.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// The folder that must be synced before its name is durable.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.file.parent().map(Path::to_owned)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What stays behind is removed by the next start.
        let _removed = fs::remove_file(&self.staged);
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A new file beside one, under a name that nobody has.
fn create_beside(file: &Path) -> io::Result<(File, PathBuf)> {
    let mut number = 1_u64;
    loop {
        let mut staged = OsString::from(file);
        staged.push(format!("#{number}"));
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&staged)
        {
            Ok(handle) => return Ok((handle, staged.into())),
            // Another server is at the same file, or a killed one was.
            Err(fault) if fault.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(fault) => return Err(fault),
        }
    }
}

/// Makes a file's folder, durably: who finds it there later does not ask who made it.
fn make_folder(file: &Path) -> io::Result<()> {
    let above = file.ancestors().skip(1);
    let missing: Vec<&Path> = above.take_while(|folder| !folder.exists()).collect();
    if let Some(folder) = missing.first() {
        fs::create_dir_all(folder)?;
    }
    let mut grown = missing.iter().filter_map(|folder| folder.parent());
    grown.try_for_each(sync)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let items = fs::read_dir(folder).unwrap();
        let name = |item: io::Result<fs::DirEntry>| item.unwrap().file_name();
        let mut names: Vec<_> = items
            .map(|item| name(item).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_once_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tile/0/000");
        let inner = folder.path().join("tile/0");
        let one = Staged::write(file.clone(), b"one").unwrap();
        let two = Staged::write(file.clone(), b"two").unwrap();
        assert_eq!(names(&inner), ["000#1", "000#2"]);
        one.sync().unwrap();
        assert!(one.name().unwrap());
        assert!(!two.name().unwrap());
        assert_eq!(names(&inner), ["000"]);
        assert_eq!(fs::read(&file).unwrap(), b"one");
        drop(Staged::write(file, b"three").unwrap());
        assert_eq!(names(&inner), ["000"]);
    }
}
