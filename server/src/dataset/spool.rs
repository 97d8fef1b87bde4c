//! Uploads under way: a plain file each, and whose turn it is to write it.
//!
//! How far an upload is, is the length of its file: nothing else says it, so a server that was killed goes on at the byte on disk.
//! The SHA-256 runs along and lives in memory only; after a restart the next writer reads the file again first. So do the checks
//! of a file that comes in order from its first byte; where anything was cut back they end, and the whole file is checked later.
//! One request at a time has the turn; whoever asks how far it is makes the writer let go at its next piece.

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use verifier::id::Salt;
use verifier::refusal::{Code, Refusal};

use super::Fault;
use super::check::{self, Checker, Limits};
use super::tus::{Sum, Summing};

/// Pieces between network and disk: some 2 MiB of what actix reads at once.
const PIECES_MAX: usize = 64;
/// The disk is told to keep what it has once in so many bytes, so that the last wait is short.
const SYNC_EVERY: u64 = 256 << 20;
const BLOCK: usize = 1 << 20;
/// Files checked as they come: each has a thread, which an idle sender keeps. The others are checked once they are complete.
const STREAMS_MAX: usize = 16;
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// `upl-` and 26 letters of base32: 128 bits that nobody guesses, and a name that is only ever a file's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(String);

impl UploadId {
    /// Writes 16 random bytes.
    #[must_use]
    pub fn new(salt: Salt) -> Self {
        let number = u128::from_be_bytes(*salt.bytes());
        let mut text = "upl-".to_owned();
        // The last letter has three bits: 128 = 25 × 5 + 3.
        for shift in (0..26).map(|i| 123 - 5 * i) {
            let five = if shift < 0 {
                number << -shift
            } else {
                number >> shift
            };
            let letter = LETTERS.get(usize::try_from(five & 31).unwrap_or_default());
            text.extend(letter.map(|letter| char::from(*letter)));
        }
        Self(text)
    }

    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters = text.strip_prefix("upl-")?;
        let good = letters.len() == 26 && letters.bytes().all(|c| LETTERS.contains(&c));
        good.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How far the whole file is summed.
#[derive(Debug, Clone, Default)]
struct Hashed {
    at: u64,
    sum: Sha256,
}

/// What is known of a file beyond its length, by whoever has the turn.
#[derive(Debug, Default)]
struct Known {
    hashed: Hashed,
    checks: Option<Checks>,
}

/// Checks of what has come so far.
#[derive(Debug)]
pub struct Checks {
    /// Up to the bytes it was fed.
    pub stream: check::Stream,
    _room: OwnedSemaphorePermit,
}

#[derive(Debug, Default)]
struct Slot {
    turn: Arc<tokio::sync::Mutex<Known>>,
    let_go: watch::Sender<u64>,
}

/// All uploads of one server. A copy leads to the same.
#[derive(Clone)]
pub struct Spools(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    slots: Mutex<HashMap<UploadId, Arc<Slot>>>,
    streams: Arc<Semaphore>,
}

impl fmt::Debug for Spools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spools({})", self.0.folder.display())
    }
}

impl Spools {
    /// Opens the folder, making it where it is missing. Nobody else has to look.
    /// # Errors
    /// [`Fault::File`]
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.map_err(at(folder))?;
        Ok(Self(Arc::new(Inner {
            folder: folder.to_owned(),
            slots: Mutex::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        })))
    }

    /// Where an upload's bytes are.
    #[must_use]
    pub fn path(&self, id: &UploadId) -> PathBuf {
        self.0.folder.join(id.as_str())
    }

    /// Makes the empty file of a new upload; durable when this returns.
    /// # Errors
    /// [`Fault::File`]
    pub fn create(&self, id: &UploadId) -> Result<(), Fault> {
        let path = self.path(id);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        file.and_then(|file| file.sync_all()).map_err(at(&path))?;
        let folder = File::open(&self.0.folder).and_then(|folder| folder.sync_all());
        folder.map_err(at(&self.0.folder))
    }

    /// Removes an upload's file; one that is not there is no fault.
    /// # Errors
    /// [`Fault::File`]
    pub fn remove(&self, id: &UploadId) -> Result<(), Fault> {
        self.slots().remove(id);
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(fault) if fault.kind() != ErrorKind::NotFound => Err(Fault::File(path, fault)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Forgets what is kept in memory of an upload that nobody writes now; its file stays.
    pub fn forget(&self, id: &UploadId) {
        self.slots().remove(id);
    }

    /// The uploads that have a file.
    /// # Errors
    /// [`Fault::File`]
    pub fn list(&self) -> Result<Vec<UploadId>, Fault> {
        let folder = &self.0.folder;
        let mut found = Vec::new();
        for item in fs::read_dir(folder).map_err(at(folder))? {
            let name = item.map_err(at(folder))?.file_name();
            found.extend(UploadId::parse(&name.to_string_lossy()));
        }
        Ok(found)
    }

    /// How far an upload is; none where its file is not here. Whoever writes it lets go first, and what came is on disk.
    /// # Errors
    /// [`Fault::File`]
    pub async fn offset(&self, id: &UploadId) -> Result<Option<u64>, Fault> {
        let slot = self.slot(id);
        if slot.turn.try_lock().is_err() {
            slot.let_go
                .send_modify(|count| *count = count.wrapping_add(1));
        }
        let _turn = slot.turn.lock().await;
        let path = self.path(id);
        match fs::metadata(&path) {
            Ok(file) => Ok(Some(file.len())),
            Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(Fault::File(path, fault)),
        }
    }

    /// Takes the turn to write.
    /// # Errors
    /// `upload.locked` while somebody else has it.
    pub fn turn(&self, id: &UploadId) -> Result<Turn, Fault> {
        let slot = self.slot(id);
        let held = Arc::clone(&slot.turn).try_lock_owned();
        let held = held.map_err(|_| {
            let why = "another request is writing this upload; ask HEAD how far it is, and go on from there";
            Fault::Refused(Refusal::new(Code::UploadLocked, why))
        })?;
        Ok(Turn {
            path: self.path(id),
            held,
            let_go: slot.let_go.subscribe(),
            streams: Arc::clone(&self.0.streams),
        })
    }

    /// The checks of a file that came in order, for whoever ends them; nothing while somebody has the turn.
    #[must_use]
    pub fn take_checks(&self, id: &UploadId) -> Option<Checks> {
        let slot = self.slots().get(id).map(Arc::clone)?;
        let mut held = slot.turn.try_lock().ok()?;
        held.checks.take()
    }

    fn slot(&self, id: &UploadId) -> Arc<Slot> {
        Arc::clone(self.slots().entry(id.clone()).or_default())
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<UploadId, Arc<Slot>>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> Fault + '_ {
    |fault| Fault::File(path.to_owned(), fault)
}

/// The turn to write one upload.
#[derive(Debug)]
pub struct Turn {
    path: PathBuf,
    held: OwnedMutexGuard<Known>,
    let_go: watch::Receiver<u64>,
    streams: Arc<Semaphore>,
}

/// What goes from the network's side to the disk's.
enum Piece {
    Bytes(Bytes),
    /// All came; without this the request was cut.
    Whole,
    /// More came than there is room for.
    TooLong,
}

impl Turn {
    /// How far the upload is.
    /// # Errors
    /// [`Fault::File`]
    pub fn offset(&self) -> Result<u64, Fault> {
        let file = fs::metadata(&self.path).map_err(at(&self.path))?;
        Ok(file.len())
    }

    /// Checks a file of this name from now on as it comes, if its first byte is still to come and not many others are checked so.
    /// # Errors
    /// [`Fault::File`]
    pub fn check(&mut self, name: &str) -> Result<(), Fault> {
        if self.held.checks.is_none()
            && self.offset()? == 0
            && let Ok(room) = Arc::clone(&self.streams).try_acquire_owned()
        {
            self.held.checks = Some(Checks {
                stream: Checker::stream(name, Limits::STANDARD),
                _room: room,
            });
        }
        Ok(())
    }

    /// Appends what comes, at most `room` bytes of it, and returns the new offset: durable then, and the sum is up to date.
    /// A request that is cut keeps what came, but not where a sum was promised. Nothing of this depends on the caller's waiting.
    /// # Errors
    /// `upload.length` beyond the room, `upload.checksum`: nothing of this request is kept; [`Fault::File`].
    pub async fn append(
        self,
        payload: impl Stream<Item = Result<Bytes, PayloadError>>,
        room: u64,
        check: Option<Sum>,
    ) -> Result<(Self, u64), Fault> {
        let (send, pieces) = mpsc::channel(PIECES_MAX);
        let mut let_go = self.let_go.clone();
        // Another HEAD than those before.
        let_go.mark_unchanged();
        let path = self.path.clone();
        let writer = actix_web::rt::task::spawn_blocking(move || self.write(pieces, check));
        let mut payload = pin!(payload);
        let mut left = room;
        loop {
            let next = tokio::select! {
                biased;
                _ = let_go.changed() => break,
                next = payload.next() => next,
            };
            let piece = match next {
                None => Piece::Whole,
                Some(Err(_)) => break,
                Some(Ok(bytes)) => match left.checked_sub(bytes.len() as u64) {
                    Some(rest) => {
                        left = rest;
                        Piece::Bytes(bytes)
                    }
                    None => Piece::TooLong,
                },
            };
            let ends = !matches!(piece, Piece::Bytes(_));
            // The disk's side has ended where nobody takes it: it says why.
            if send.send(piece).await.is_err() || ends {
                break;
            }
        }
        drop(send);
        writer
            .await
            .map_err(|fault| Fault::File(path, io::Error::other(fault)))?
    }

    fn write(
        mut self,
        mut pieces: mpsc::Receiver<Piece>,
        check: Option<Sum>,
    ) -> Result<(Self, u64), Fault> {
        let path = self.path.clone();
        let fault = at(&path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(&fault)?;
        let begun = file.seek(SeekFrom::End(0)).map_err(&fault)?;
        self.sum_up_to(begun, &mut file).map_err(&fault)?;
        self.held
            .checks
            .take_if(|checks| checks.stream.fed() != begun);
        let before = self.held.hashed.clone();
        let written = self.take(&mut pieces, &mut file, check);
        let kept = match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(Fault::Refused(refusal)),
            // What a full disk took is no whole piece: only what was summed stays.
            Err(error) => Err(fault(error)),
        };
        match &kept {
            Ok(()) => {}
            Err(Fault::Refused(_)) => {
                file.set_len(begun).map_err(&fault)?;
                *self.held = Known {
                    hashed: before,
                    checks: None,
                };
            }
            Err(_) => file.set_len(self.held.hashed.at).map_err(&fault)?,
        }
        // DURABLE: the offset that is answered is on disk, and so is a cut.
        file.sync_data().map_err(&fault)?;
        kept.map(|()| {
            let offset = self.held.hashed.at;
            (self, offset)
        })
    }

    fn take(
        &mut self,
        pieces: &mut mpsc::Receiver<Piece>,
        file: &mut File,
        check: Option<Sum>,
    ) -> io::Result<Result<(), Refusal>> {
        let Known { hashed, checks } = &mut *self.held;
        let mut summing = check.map(Sum::begin);
        let mut unsynced = 0;
        let ended = loop {
            let bytes = match pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => bytes,
                Some(end) => break Some(end),
                None => break None,
            };
            file.write_all(&bytes)?;
            hashed.sum.update(&bytes);
            hashed.at = hashed.at.saturating_add(bytes.len() as u64);
            if let Some(summing) = &mut summing {
                summing.update(&bytes);
            }
            unsynced += bytes.len() as u64;
            if unsynced >= SYNC_EVERY {
                file.sync_data()?;
                unsynced = 0;
            }
            if let Some(checks) = checks {
                checks.stream.feed(bytes);
            }
        };
        let holds = match ended {
            Some(Piece::TooLong) => return Ok(Err(too_long())),
            // A part of what was summed has another sum.
            None => summing.is_none(),
            Some(Piece::Whole | Piece::Bytes(_)) => summing.is_none_or(Summing::holds),
        };
        Ok(if holds { Ok(()) } else { Err(other_sum()) })
    }

    /// Sums the file's beginning again where this process has not written it.
    fn sum_up_to(&mut self, offset: u64, file: &mut File) -> io::Result<()> {
        if self.held.hashed.at == offset {
            return Ok(());
        }
        *self.held = Known::default();
        let hashed = &mut self.held.hashed;
        file.seek(SeekFrom::Start(0))?;
        let mut block = vec![0; BLOCK];
        while hashed.at < offset {
            let read = file.read(&mut block)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            hashed.sum.update(block.get(..read).unwrap_or_default());
            hashed.at += read as u64;
        }
        Ok(())
    }

    /// What the whole file is summed to.
    /// # Errors
    /// [`Fault::File`]
    pub async fn finish(mut self) -> Result<[u8; 32], Fault> {
        let path = self.path.clone();
        let summed = move || {
            let mut file = File::open(&self.path)?;
            let offset = file.metadata()?.len();
            self.sum_up_to(offset, &mut file)?;
            Ok(self.held.hashed.sum.clone().finalize().into())
        };
        let summed: io::Result<[u8; 32]> = actix_web::rt::task::spawn_blocking(summed)
            .await
            .unwrap_or_else(|fault| Err(io::Error::other(fault)));
        summed.map_err(at(&path))
    }
}

fn too_long() -> Refusal {
    let why = "more bytes than Upload-Length leaves room for; nothing of this request was kept";
    Refusal::new(Code::UploadLength, why)
}

fn other_sum() -> Refusal {
    let why = "the bytes are not those of Upload-Checksum; nothing of this request was kept: send it again";
    Refusal::new(Code::UploadChecksum, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use verifier::refusal::Code;

    fn pieces(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, PayloadError>> + use<> {
        let pieces: Vec<_> = bytes
            .chunks(1_000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        stream::iter(pieces)
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        actix_web::rt::System::new().block_on(work)
    }

    #[test]
    fn a_file_that_comes_in_order_is_checked_as_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let spools = Spools::open(folder.path()).unwrap();
        let id = UploadId::new(Salt::new([7; 16]));
        let bytes = b"{\"a\":1}\n".repeat(1_125);
        spools.create(&id).unwrap();
        run(async {
            for (at, end) in [(0, 4_321), (4_321, 9_000)] {
                let mut turn = spools.turn(&id).unwrap();
                assert!(spools.take_checks(&id).is_none());
                turn.check("a.jsonl").unwrap();
                let (_, offset) = turn
                    .append(pieces(&bytes[at..end]), 9_000, None)
                    .await
                    .unwrap();
                assert_eq!(offset, end as u64);
            }
        });
        let checks = spools.take_checks(&id).unwrap();
        let checked = checks.stream.end().unwrap();
        assert!(checked.is_of(9_000));
        assert_eq!(
            checked,
            Checker::file("a.jsonl", &mut io::Cursor::new(bytes))
        );
        assert!(spools.take_checks(&id).is_none());
    }

    #[test]
    fn what_was_cut_back_is_not_checked_as_it_came() {
        let folder = tempfile::tempdir().unwrap();
        let spools = Spools::open(folder.path()).unwrap();
        let id = UploadId::new(Salt::new([7; 16]));
        spools.create(&id).unwrap();
        run(async {
            let mut turn = spools.turn(&id).unwrap();
            turn.check("a.jsonl").unwrap();
            let refused = turn.append(pieces(&[b' '; 9_000]), 8_000, None).await;
            assert!(
                matches!(refused, Err(Fault::Refused(refused)) if refused.code == Code::UploadLength)
            );
        });
        assert!(spools.take_checks(&id).is_none());
        assert_eq!(fs::metadata(spools.path(&id)).unwrap().len(), 0);
    }
}
