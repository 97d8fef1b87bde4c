//! Uploads under way: a plain file each, and whose turn it is to write it.
//!
//! How far an upload is, is the length of its file: nothing else says it, so a server that was killed goes on at the byte on disk.
//! The SHA-256 runs along and lives in memory only; after a restart the next writer reads the file again first. One request at a
//! time has the turn; whoever asks how far it is makes the writer let go at its next piece.

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
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedMutexGuard, mpsc, watch};
use verifier::id::Salt;
use verifier::refusal::{Code, Refusal};

use super::Fault;
use super::tus::{Sum, Summing};

/// Who else reads the bytes as they land. A full channel waits; a dead one is forgotten.
pub type Tee = Option<SyncSender<Bytes>>;

/// Pieces between network and disk: some 2 MiB of what actix reads at once.
const PIECES_MAX: usize = 64;
/// The disk is told to keep what it has once in so many bytes, so that the last wait is short.
const SYNC_EVERY: u64 = 256 << 20;
const BLOCK: usize = 1 << 20;
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

#[derive(Debug, Default)]
struct Slot {
    turn: Arc<tokio::sync::Mutex<Hashed>>,
    let_go: watch::Sender<u64>,
}

/// All uploads of one server. A copy leads to the same.
#[derive(Clone)]
pub struct Spools(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    slots: Mutex<HashMap<UploadId, Arc<Slot>>>,
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
        })
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
    held: OwnedMutexGuard<Hashed>,
    let_go: watch::Receiver<u64>,
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

    /// Appends what comes, at most `room` bytes of it, and returns the new offset: durable then, and the sum is up to date.
    /// A request that is cut keeps what came, but not where a sum was promised. Nothing of this depends on the caller's waiting.
    /// # Errors
    /// `upload.length` beyond the room, `upload.checksum`: nothing of this request is kept; [`Fault::File`].
    pub async fn append(
        self,
        payload: impl Stream<Item = Result<Bytes, PayloadError>>,
        room: u64,
        check: Option<Sum>,
        tee: Tee,
    ) -> Result<(Self, u64), Fault> {
        let (send, pieces) = mpsc::channel(PIECES_MAX);
        let mut let_go = self.let_go.clone();
        // Another HEAD than those before.
        let_go.mark_unchanged();
        let path = self.path.clone();
        let writer = actix_web::rt::task::spawn_blocking(move || self.write(pieces, check, tee));
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
        tee: Tee,
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
        let before = self.held.clone();
        let written = self.take(&mut pieces, &mut file, check, tee);
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
                *self.held = before;
            }
            Err(_) => file.set_len(self.held.at).map_err(&fault)?,
        }
        // DURABLE: the offset that is answered is on disk, and so is a cut.
        file.sync_data().map_err(&fault)?;
        kept.map(|()| {
            let offset = self.held.at;
            (self, offset)
        })
    }

    fn take(
        &mut self,
        pieces: &mut mpsc::Receiver<Piece>,
        file: &mut File,
        check: Option<Sum>,
        mut tee: Tee,
    ) -> io::Result<Result<(), Refusal>> {
        let mut summing = check.map(Sum::begin);
        let mut unsynced = 0;
        let ended = loop {
            let bytes = match pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => bytes,
                Some(end) => break Some(end),
                None => break None,
            };
            file.write_all(&bytes)?;
            self.held.sum.update(&bytes);
            self.held.at = self.held.at.saturating_add(bytes.len() as u64);
            if let Some(summing) = &mut summing {
                summing.update(&bytes);
            }
            unsynced += bytes.len() as u64;
            if unsynced >= SYNC_EVERY {
                file.sync_data()?;
                unsynced = 0;
            }
            tee = tee.filter(|tee| tee.send(bytes).is_ok());
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
        if self.held.at == offset {
            return Ok(());
        }
        *self.held = Hashed::default();
        file.seek(SeekFrom::Start(0))?;
        let mut block = vec![0; BLOCK];
        while self.held.at < offset {
            let read = file.read(&mut block)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.held.sum.update(block.get(..read).unwrap_or_default());
            self.held.at += read as u64;
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
            Ok(self.held.sum.clone().finalize().into())
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
