//! Stored contents: each once, under its SHA-256, sealed as an age file where the setting says so.
//!
//! An object's name has a random end: two servers that store one content never write over each other's file, and whoever loses
//! removes its own. Nothing is ever in memory whole. Reads go on in another thread, two blocks ahead at most.

use bytes::Bytes;
use futures_util::Stream;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;
use verifier::id::hex;

use super::{Fault, Seekable};
use crate::age;
use crate::clock::Clock;
use crate::keys::Keys;
use crate::objects::{self, Objects, Place};
use crate::store::Store;
use crate::store::dataset::blob::{self, BlobRow, State};

/// What a reader is given at once.
const BLOCK_BYTES: usize = 256 << 10;
/// Blocks read ahead of whoever takes them.
const AHEAD: usize = 2;
/// What is read of a bucket in one request.
const RANGE_BYTES: u64 = 8 << 20;
/// The use of the sealing key (HKDF info) that opens age files.
const IDENTITY: &str = "quan/age";

/// The store of contents. A copy leads to the same.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    objects: Objects,
    /// Where the objects are files, they are read as such.
    folder: Option<PathBuf>,
    identity: age::Identity,
    sealed: bool,
    clock: Clock,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blobs({:?})", self.0.folder)
    }
}

impl Blobs {
    /// Opens the place. `sealed` is for what comes from now on: what lies there stays as it is.
    /// # Errors
    /// [`objects::Fault`]
    pub fn open(
        place: &Place,
        keys: &Keys,
        sealed: bool,
        clock: Clock,
    ) -> Result<Self, objects::Fault> {
        let folder = match place {
            Place::Folder(folder) => Some(folder.clone()),
            Place::Bucket { .. } => None,
        };
        Ok(Self::over(
            (Objects::open(place)?, folder),
            keys,
            sealed,
            clock,
        ))
    }

    /// The same over a place that is open, and is no folder.
    #[must_use]
    pub fn within(objects: Objects, keys: &Keys, sealed: bool, clock: Clock) -> Self {
        Self::over((objects, None), keys, sealed, clock)
    }

    fn over(
        (objects, folder): (Objects, Option<PathBuf>),
        keys: &Keys,
        sealed: bool,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Inner {
            objects,
            folder,
            identity: age::Identity::new(keys.derived(IDENTITY)),
            sealed,
            clock,
        }))
    }

    /// Stores a spooled file under its hash, or finds that content stored already; the spooled file stays. What is stored was read
    /// again and had this hash.
    /// # Errors
    /// [`Fault`]
    pub async fn publish(
        &self,
        db: Arc<Store>,
        spool: &Path,
        sha256: [u8; 32],
        bytes: u64,
    ) -> Result<BlobRow, Fault> {
        let (blobs, spool) = (self.clone(), spool.to_owned());
        let publish = move || blobs.publish_now(&db, &spool, sha256, bytes);
        let done = actix_web::rt::task::spawn_blocking(publish).await;
        done.unwrap_or_else(|fault| Err(Fault::File(PathBuf::new(), io::Error::other(fault))))
    }

    fn publish_now(
        &self,
        db: &Store,
        spool: &Path,
        sha256: [u8; 32],
        bytes: u64,
    ) -> Result<BlobRow, Fault> {
        let at = |error| Fault::File(spool.to_owned(), error);
        if let Some(stored) = blob::get(&mut *db.connection()?, &sha256)?
            && stored.state == State::Stored
        {
            return Ok(stored);
        }
        let row = BlobRow {
            sha256,
            bytes,
            object: self.name(&sha256)?,
            sealed: self.0.sealed,
            state: State::Stored,
            checked: self.0.clock.now()?,
        };
        let mut source = Summed {
            from: File::open(spool).map_err(at)?,
            sum: Sha256::new(),
        };
        if row.sealed {
            let writer = age::Writer::new(Vec::new(), &self.0.identity.recipient());
            let writer = writer.map_err(|fault| at(fault.into()))?;
            let mut sealed = Sealing::new(&mut source, writer);
            self.0.objects.publish(&row.object, &mut sealed)?;
        } else {
            self.0.objects.publish(&row.object, &mut source)?;
        }
        let stored = if source.sum.finalize()[..] == sha256 {
            blob::add(&mut *db.connection()?, &row)?
        } else {
            objects::wait(self.0.objects.remove(&row.object))?;
            return Err(at(io::Error::other("the spooled bytes changed on disk")));
        };
        if stored.object != row.object {
            // Somebody was faster: nobody was promised this one.
            objects::wait(self.0.objects.remove(&row.object))?;
        }
        Ok(stored)
    }

    fn name(&self, sha256: &[u8; 32]) -> Result<String, Fault> {
        let (content, salt) = (hex(sha256), hex(self.0.clock.salt()?.bytes()));
        let part = |of: Range<usize>| content.get(of).unwrap_or_default();
        let end = salt.get(..8).unwrap_or(&salt);
        Ok(format!("{}/{}/{content}.{end}", part(0..2), part(2..4)))
    }

    /// Opens a content for reading on a thread that may wait.
    /// # Errors
    /// [`Fault`]: it is not there, or does not open.
    pub fn reader(&self, blob: &BlobRow) -> Result<Box<dyn Seekable>, Fault> {
        let path = self.path(blob);
        let at = |error| Fault::File(path.clone(), error);
        match &self.0.folder {
            Some(_) => self.opened(blob, File::open(&path).map_err(at)?),
            None => {
                let bytes = objects::wait(self.0.objects.bytes(&blob.object))?;
                let part = Part {
                    objects: self.0.objects.clone(),
                    name: blob.object.clone(),
                    bytes,
                    at: 0,
                    held: Bytes::new(),
                    held_at: 0,
                };
                self.opened(blob, part)
            }
        }
    }

    fn opened(
        &self,
        blob: &BlobRow,
        from: impl Seekable + 'static,
    ) -> Result<Box<dyn Seekable>, Fault> {
        if !blob.sealed {
            return Ok(Box::new(from));
        }
        let opened = age::Reader::open(from, &self.0.identity);
        opened
            .map(|reader| Box::new(reader) as Box<dyn Seekable>)
            .map_err(|fault| Fault::File(self.path(blob), fault.into()))
    }

    /// Where a content lies, for messages.
    fn path(&self, blob: &BlobRow) -> PathBuf {
        let folder = self.0.folder.as_deref().unwrap_or(Path::new("blobs:"));
        folder.join(&blob.object)
    }

    /// Reads a range of a content's bytes. It fails where the bytes end too early or do not open; it never pads.
    pub fn read(
        &self,
        blob: &BlobRow,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, Fault>> + 'static {
        let (blobs, blob) = (self.clone(), blob.clone());
        streamed(move |blocks| {
            let mut reader = blobs.reader(&blob)?;
            let wanted = range.end.saturating_sub(range.start);
            let sought = reader.seek(SeekFrom::Start(range.start));
            let poured = sought.and_then(|_| pour(&mut *reader, wanted, blocks));
            poured.map_err(|fault| Fault::File(blobs.path(&blob), fault))
        })
    }

    /// Reads a whole content as the age file that a writer has begun: for somebody else's key. It fails as [`Blobs::read`] does.
    pub fn read_sealed(
        &self,
        blob: &BlobRow,
        writer: age::Writer<Vec<u8>>,
    ) -> impl Stream<Item = Result<Bytes, Fault>> + 'static {
        let (blobs, blob) = (self.clone(), blob.clone());
        streamed(move |blocks| {
            let reader = blobs.reader(&blob)?.take(blob.bytes);
            let poured = pour(
                &mut Sealing::new(reader, writer),
                age::sealed_bytes(blob.bytes),
                blocks,
            );
            poured.map_err(|fault| Fault::File(blobs.path(&blob), fault))
        })
    }

    /// Reads a whole content again: whether it is what its name says, and there at all. A store that cannot be reached is no answer.
    /// # Errors
    /// [`Fault::Objects`]
    pub fn is_whole(&self, blob: &BlobRow) -> Result<bool, Fault> {
        let mut reader = match self.reader(blob) {
            Ok(reader) => reader,
            Err(Fault::Objects(fault)) if !fault.is_absence() => return Err(fault.into()),
            Err(_) => return Ok(false),
        };
        let mut sum = Sha256::new();
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            match reader.read(&mut block) {
                Ok(0) => return Ok(sum.finalize()[..] == blob.sha256),
                Ok(read) => sum.update(block.get(..read).unwrap_or_default()),
                Err(fault) => match fault.downcast::<objects::Fault>() {
                    Ok(fault) => return Err(fault.into()),
                    Err(_) => return Ok(false),
                },
            }
        }
    }
}

/// Reads on a thread that may wait; two blocks at most wait for whoever takes them.
fn streamed(
    read: impl FnOnce(&mpsc::Sender<Result<Bytes, Fault>>) -> Result<(), Fault> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, Fault>> + 'static {
    let (send, mut blocks) = mpsc::channel(AHEAD);
    actix_web::rt::task::spawn_blocking(move || {
        if let Err(fault) = read(&send) {
            let _unheard = send.blocking_send(Err(fault));
        }
    });
    futures_util::stream::poll_fn(move |context| blocks.poll_recv(context))
}

/// Gives out so many bytes, block by block, until nobody takes them any more; what has fewer fails.
fn pour(
    from: &mut dyn Read,
    mut left: u64,
    into: &mpsc::Sender<Result<Bytes, Fault>>,
) -> io::Result<()> {
    while left > 0 {
        let wanted = usize::try_from(left)
            .unwrap_or(BLOCK_BYTES)
            .min(BLOCK_BYTES);
        let mut block = vec![0; wanted];
        from.read_exact(&mut block)?;
        left = left.saturating_sub(wanted as u64);
        if into.blocking_send(Ok(block.into())).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Sums what is read through it.
struct Summed {
    from: File,
    sum: Sha256,
}

impl Read for Summed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.sum.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Seals what is read through it, block by block.
struct Sealing<R> {
    from: R,
    writer: Option<age::Writer<Vec<u8>>>,
    /// Sealed bytes that were not taken yet, and how many of them were.
    sealed: Vec<u8>,
    taken: usize,
    block: Vec<u8>,
}

impl<R: Read> Sealing<R> {
    /// The writer has begun already, and holds its header.
    fn new(from: R, mut writer: age::Writer<Vec<u8>>) -> Self {
        Self {
            from,
            sealed: std::mem::take(writer.get_mut()),
            writer: Some(writer),
            taken: 0,
            block: vec![0; BLOCK_BYTES],
        }
    }

    /// Seals the next block; says whether there is more to take.
    fn next(&mut self) -> io::Result<bool> {
        self.taken = 0;
        self.sealed.clear();
        while self.sealed.is_empty() {
            let Some(writer) = &mut self.writer else {
                return Ok(false);
            };
            let read = self.from.read(&mut self.block)?;
            if read > 0 {
                writer.write_all(self.block.get(..read).unwrap_or_default())?;
                std::mem::swap(writer.get_mut(), &mut self.sealed);
            } else if let Some(writer) = self.writer.take() {
                self.sealed = writer.finish()?;
            }
        }
        Ok(true)
    }
}

impl<R: Read> Read for Sealing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.sealed.len() && !self.next()? {
            return Ok(0);
        }
        let mut there = self.sealed.get(self.taken..).unwrap_or_default();
        let read = there.read(into)?;
        self.taken += read;
        Ok(read)
    }
}

/// An object of a bucket, read range by range.
struct Part {
    objects: Objects,
    name: String,
    bytes: u64,
    at: u64,
    held: Bytes,
    held_at: u64,
}

impl Read for Part {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.bytes || into.is_empty() {
            return Ok(0);
        }
        let within = self.held_at..self.held_at + self.held.len() as u64;
        if !within.contains(&self.at) {
            let range = self.at..self.bytes.min(self.at.saturating_add(RANGE_BYTES));
            self.held = objects::wait(self.objects.read_range(&self.name, range))
                .map_err(io::Error::other)?;
            self.held_at = self.at;
        }
        let begins = usize::try_from(self.at - self.held_at).unwrap_or_default();
        let mut there = self.held.get(begins..).unwrap_or_default();
        let read = there.read(into)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
