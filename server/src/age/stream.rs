//! The payload: chunks of 64 KiB, each sealed under its number, the last one marked as such (C2SP age.md, "Payload").

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{Fault, FileKey, Identity, Recipient, derived, header, random};

/// Bytes of a chunk as they are read.
pub const CHUNK_BYTES: usize = 64 << 10;
/// Bytes by which a sealed chunk is longer.
pub(super) const TAG_BYTES: usize = 16;
/// Bytes of the nonce before the first chunk.
pub(super) const NONCE_BYTES: usize = 16;
const SEALED_BYTES: u64 = (CHUNK_BYTES + TAG_BYTES) as u64;
const PAYLOAD_INFO: &str = "payload";

struct Payload(LessSafeKey);

impl Payload {
    fn new(key: &FileKey, nonce: &[u8; NONCE_BYTES]) -> Result<Self, Fault> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &derived(&key.0, nonce, PAYLOAD_INFO));
        let key = key.map_err(|_| Fault::Payload("a key that is none"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Eleven bytes of the number, one that says whether it is the last.
    fn nonce(number: u64, is_last: bool) -> Nonce {
        let mut bytes = [0; NONCE_LEN];
        let (counter, last) = bytes.split_at_mut(NONCE_LEN - 1);
        let digits = number.to_be_bytes();
        for (byte, digit) in counter.iter_mut().rev().zip(digits.iter().rev()) {
            *byte = *digit;
        }
        last.fill(u8::from(is_last));
        Nonce::assume_unique_for_key(bytes)
    }

    fn seal(&self, number: u64, is_last: bool, chunk: &mut Vec<u8>) -> Result<(), Fault> {
        let nonce = Self::nonce(number, is_last);
        let sealed = self.0.seal_in_place_append_tag(nonce, Aad::empty(), chunk);
        sealed.map_err(|_| Fault::Payload("a chunk does not seal"))
    }

    fn open(&self, number: u64, is_last: bool, chunk: &mut Vec<u8>) -> Result<(), Fault> {
        let nonce = Self::nonce(number, is_last);
        let opened = self.0.open_in_place(nonce, Aad::empty(), chunk);
        let plain = opened
            .map_err(|_| Fault::Payload("a chunk does not open"))?
            .len();
        chunk.truncate(plain);
        Ok(())
    }
}

/// Seals what is written to it. It is whole only after [`Writer::finish`].
pub struct Writer<W> {
    into: W,
    payload: Payload,
    number: u64,
    chunk: Vec<u8>,
}

impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "age::Writer(chunk {})", self.number)
    }
}

impl<W: Write> Writer<W> {
    /// Writes the header for one recipient.
    /// # Errors
    /// [`Fault::File`], [`Fault::NoRandom`], [`Fault::Header`] for a recipient of small order.
    pub fn new(mut into: W, recipient: &Recipient) -> Result<Self, Fault> {
        let (key, nonce) = (FileKey(random()?), random()?);
        into.write_all(&header::write(&key, recipient)?)?;
        into.write_all(&nonce)?;
        Ok(Self {
            into,
            payload: Payload::new(&key, &nonce)?,
            number: 0,
            chunk: Vec::with_capacity(CHUNK_BYTES + TAG_BYTES),
        })
    }

    /// What it writes into: a stream takes the sealed bytes out of a buffer between two writes.
    pub const fn get_mut(&mut self) -> &mut W {
        &mut self.into
    }

    /// Seals the last chunk.
    /// # Errors
    /// [`Fault::File`]
    pub fn finish(mut self) -> Result<W, Fault> {
        self.seal(true)?;
        self.into.flush()?;
        Ok(self.into)
    }

    fn seal(&mut self, is_last: bool) -> Result<(), Fault> {
        self.payload.seal(self.number, is_last, &mut self.chunk)?;
        self.into.write_all(&self.chunk)?;
        self.chunk.clear();
        self.number = self.number.saturating_add(1);
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits for the next byte: only then is it known not to be the last.
        if self.chunk.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.seal(false)?;
        }
        let room = CHUNK_BYTES - self.chunk.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.chunk.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// Nothing: a chunk is sealed whole.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a sealed file from any place of it. Its length is proven when it is opened.
pub struct Reader<R> {
    from: R,
    payload: Payload,
    /// Where the first chunk begins.
    begins: u64,
    /// How many chunks there are, at least one.
    chunks: u64,
    /// Bytes as they are read.
    bytes: u64,
    /// Where the next read begins.
    at: u64,
    /// The chunk in memory.
    held: Option<u64>,
    chunk: Vec<u8>,
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "age::Reader({} of {} bytes)", self.at, self.bytes)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the header and the last chunk, which proves the length.
    /// # Errors
    /// [`Fault`], all but `NoRandom`.
    pub fn open(mut from: R, identity: &Identity) -> Result<Self, Fault> {
        let (key, header) = header::read(&mut from, identity)?;
        let mut nonce = [0; NONCE_BYTES];
        let read = from.read_exact(&mut nonce);
        read.map_err(|fault| cut(fault, "it has no nonce"))?;
        let begins = header + NONCE_BYTES as u64;
        let sealed = from.seek(SeekFrom::End(0))?.saturating_sub(begins);
        let chunks = sealed.div_ceil(SEALED_BYTES);
        let bytes = sealed.checked_sub(chunks.saturating_mul(TAG_BYTES as u64));
        let (Some(last), Some(bytes)) = (chunks.checked_sub(1), bytes) else {
            return Err(Fault::Payload("it has no chunk"));
        };
        let mut reader = Self {
            from,
            payload: Payload::new(&key, &nonce)?,
            begins,
            chunks,
            bytes,
            at: 0,
            held: None,
            chunk: Vec::with_capacity(CHUNK_BYTES + TAG_BYTES),
        };
        reader.hold(last)?;
        if reader.chunk.is_empty() && last > 0 {
            return Err(Fault::Payload("its last chunk is empty"));
        }
        Ok(reader)
    }

    /// Bytes as they are read.
    #[must_use]
    pub const fn plain_bytes(&self) -> u64 {
        self.bytes
    }

    fn hold(&mut self, number: u64) -> Result<(), Fault> {
        if self.held == Some(number) {
            return Ok(());
        }
        self.held = None;
        let begins = self.begins + number.saturating_mul(SEALED_BYTES);
        self.from.seek(SeekFrom::Start(begins))?;
        self.chunk.clear();
        (&mut self.from)
            .take(SEALED_BYTES)
            .read_to_end(&mut self.chunk)?;
        let is_last = number + 1 == self.chunks;
        if self.chunk.len() < TAG_BYTES || !is_last && (self.chunk.len() as u64) < SEALED_BYTES {
            return Err(Fault::Payload("it was cut"));
        }
        self.payload.open(number, is_last, &mut self.chunk)?;
        self.held = Some(number);
        Ok(())
    }
}

fn cut(fault: io::Error, why: &'static str) -> Fault {
    if fault.kind() == io::ErrorKind::UnexpectedEof {
        return Fault::Payload(why);
    }
    Fault::from(fault)
}

impl<R: Read + Seek> Read for Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.bytes || into.is_empty() {
            return Ok(0);
        }
        self.hold(self.at / CHUNK_BYTES as u64)?;
        let begins = usize::try_from(self.at % CHUNK_BYTES as u64).unwrap_or_default();
        let there = self.chunk.get(begins..).unwrap_or_default();
        let read = there.len().min(into.len());
        if let (Some(from), Some(into)) = (there.get(..read), into.get_mut(..read)) {
            into.copy_from_slice(from);
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for Reader<R> {
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
