//! Snapshots of the book on disk: a start takes the newest good one and replays the rest (DESIGN §7).
//!
//! They lie in a folder of this server, one file a snapshot, named by the number of entries. None is ever needed: one that is
//! cut, of another version or of another log is passed over with a line in the log, and the log of entries is replayed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use verifier::book::snapshot;

use super::Fault;
use super::loaded::{Loaded, Shelf};
use crate::cause::Whole;
use crate::store::{Db, log};

/// How many entries make a snapshot worth its seconds while the server runs, unless a setting says otherwise.
pub const IDLE_FROM: u64 = 50_000;
/// For how long nothing must have come in.
const IDLE_FOR: Duration = Duration::from_secs(10);
/// How many entries make one worth it at a stop: replaying fewer takes no time.
const STOP_FROM: u64 = 1_000;
/// Files that are kept: the newest, and the one before it should that be damaged.
const KEPT: usize = 2;
const ENDING: &str = ".book";
/// Digits of a file's name: names sort as numbers.
const DIGITS: usize = 20;

/// Where a server keeps its snapshots, if it keeps any.
#[derive(Debug, Clone, Default)]
pub struct Snapshots(Option<Arc<Kept>>);

#[derive(Debug)]
struct Kept {
    folder: PathBuf,
    /// From how many new entries on an idle moment writes one.
    idle_from: u64,
    /// The size of the newest that was read or written.
    newest: AtomicU64,
    writing: AtomicBool,
}

impl Snapshots {
    /// Keeps none: every start replays the whole log.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Keeps them in a folder, making it where it is missing. `idle_from` new entries make one worth it in an idle moment, and at
    /// most as many at a stop.
    /// # Errors
    /// The folder cannot be made.
    pub fn folder(folder: &Path, idle_from: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self(Some(Arc::new(Kept {
            folder: folder.to_owned(),
            idle_from,
            newest: AtomicU64::new(0),
            writing: AtomicBool::new(false),
        }))))
    }

    /// The newest good snapshot of at most `size` entries.
    pub(super) fn newest(&self, db: &mut Db, size: u64) -> Option<Loaded> {
        let kept = self.0.as_ref()?;
        let mut files = kept.list().unwrap_or_default();
        files.retain(|(of, _)| *of <= size);
        files.iter().rev().find_map(|(of, path)| {
            let begun = Instant::now();
            match read(path, *of, db) {
                Ok(loaded) => {
                    let ms = begun.elapsed().as_millis();
                    tracing::info!(entries = of, ms, "took a snapshot of the book");
                    kept.newest.fetch_max(*of, Ordering::Relaxed);
                    Some(loaded)
                }
                Err(why) => {
                    tracing::warn!(file = %path.display(), %why, "a snapshot is of no use");
                    None
                }
            }
        })
    }

    /// In an idle moment, writes one where enough is new, on a thread of its own: whoever comes waits for the packing only.
    pub(super) fn when_idle(&self, shelf: &Arc<Shelf>, idle_since: Instant, size: u64) {
        let Some(kept) = &self.0 else { return };
        let new = size.saturating_sub(kept.newest.load(Ordering::Relaxed));
        if new < kept.idle_from || idle_since.elapsed() < IDLE_FOR {
            return;
        }
        if kept.writing.swap(true, Ordering::Relaxed) {
            return;
        }
        let (theirs, shelf) = (Arc::clone(kept), Arc::clone(shelf));
        let spawned = thread::Builder::new()
            .name("snapshot".to_owned())
            .spawn(move || {
                theirs.write(&shelf);
                theirs.writing.store(false, Ordering::Relaxed);
            });
        if spawned.is_err() {
            kept.writing.store(false, Ordering::Relaxed);
        }
    }

    /// At a stop, writes one where something is new.
    pub(super) fn at_stop(&self, shelf: &Shelf, size: u64) {
        let Some(kept) = &self.0 else { return };
        let new = size.saturating_sub(kept.newest.load(Ordering::Relaxed));
        if new > 0 && new >= kept.idle_from.min(STOP_FROM) {
            kept.write(shelf);
        }
    }
}

impl Kept {
    /// Writes what the shelf holds. A fault is logged: the log of entries has everything.
    fn write(&self, shelf: &Shelf) {
        let begun = Instant::now();
        let packed = {
            let shelf = shelf.blocking_read();
            shelf
                .as_ref()
                .map(|loaded| (loaded.book.size, loaded.pack()))
        };
        let Some((size, bytes)) = packed else { return };
        match self.put(size, &bytes) {
            Ok(()) => {
                self.newest.fetch_max(size, Ordering::Relaxed);
                let ms = begun.elapsed().as_millis();
                let bytes = bytes.len();
                tracing::info!(entries = size, bytes, ms, "wrote a snapshot of the book");
            }
            Err(fault) => {
                tracing::warn!(fault = %Whole(&fault), "a snapshot of the book was not written");
            }
        }
    }

    fn put(&self, size: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.folder.join(format!("{size:0DIGITS$}{ENDING}"));
        let staged = path.with_extension("new");
        // DURABLE: whole under its name, or not there. A crash leaves a `.new`, which the next write removes.
        let mut file = File::create(&staged)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&staged, &path)?;
        File::open(&self.folder)?.sync_all()?;
        self.remove_older()
    }

    fn remove_older(&self) -> io::Result<()> {
        let files = self.list()?;
        let older = files.len().saturating_sub(KEPT);
        for (_, path) in files.iter().take(older) {
            fs::remove_file(path)?;
        }
        for item in fs::read_dir(&self.folder)? {
            let path = item?.path();
            if path.extension().is_some_and(|ending| ending == "new") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The snapshots there are, the shortest log first.
    fn list(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut files = Vec::new();
        for item in fs::read_dir(&self.folder)? {
            let path = item?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let number = name.and_then(|name| name.strip_suffix(ENDING));
            let number = number.filter(|digits| digits.len() == DIGITS);
            if let Some(size) = number.and_then(|digits| digits.parse().ok()) {
                files.push((size, path));
            }
        }
        files.sort_unstable();
        Ok(files)
    }
}

fn read(path: &Path, size: u64, db: &mut Db) -> Result<Loaded, String> {
    let bytes = fs::read(path).map_err(|fault| fault.to_string())?;
    let entry = |seq| log::entry(db, seq).ok().flatten();
    let (book, edge) = snapshot::read(&bytes, entry).map_err(|why| why.to_string())?;
    if book.size != size {
        return Err(format!("it is of {} entries", book.size));
    }
    Ok(Loaded::from(book, edge))
}

/// Says why a snapshot that was read did not lead to the head; the log is replayed from the first entry.
pub(super) fn misled(fault: &Fault) {
    tracing::warn!(fault = %Whole(fault), "the snapshot does not lead to the head of the log; replaying all of it");
}
