//! Unpacks gzip and zstd, counts what goes in and comes out, and stops a bomb at its limit.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use super::Limits;
use super::report::{Flaw, Packing};

/// The largest window of zstd that is given memory: 64 MiB, that of its level 22 is 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 26;

/// Why a reader stopped that was not at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It unpacks to more than any honest content.
    Bomb,
    /// A row is longer than a row may be.
    Long,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bomb => {
                "it unpacks to a hundred times its size and more; pack it less or not at all"
            }
            Self::Long => "it is longer than 16 MiB; make it several rows",
        })
    }
}

impl std::error::Error for Stopped {}

impl From<Stopped> for io::Error {
    fn from(stopped: Stopped) -> Self {
        Self::other(stopped)
    }
}

/// What a fault of a reader says of the content.
pub(super) fn flaw_of(fault: &io::Error, packing: Option<Packing>) -> Flaw {
    let stopped = fault
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Stopped>());
    match (stopped, packing) {
        (Some(Stopped::Bomb), _) => Flaw::broken("packing.bomb", Stopped::Bomb.to_string()),
        (Some(Stopped::Long), _) => Flaw::broken("row.long", Stopped::Long.to_string()),
        (None, Some(_)) => Flaw::broken(
            "packing.broken",
            "it cannot be unpacked to its end; pack it again",
        ),
        (None, None) => Flaw::broken("file.read", "it cannot be read to its end; upload it again"),
    }
}

/// A count that a reader shares with who asks.
pub(super) type Count = Rc<Cell<u64>>;

/// Counts what is read.
pub(super) struct Counted<R> {
    pub(super) from: R,
    pub(super) count: Count,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// Counts what comes out, and stops where that is too much for what went in.
pub(super) struct Bounded<R> {
    pub(super) from: R,
    pub(super) packed: Count,
    pub(super) inflated: Count,
    pub(super) limits: Limits,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        let inflated = self.inflated.get() + read as u64;
        self.inflated.set(inflated);
        if inflated > self.limits.inflated(self.packed.get()) {
            return Err(Stopped::Bomb.into());
        }
        Ok(read)
    }
}

/// Reads what is packed in another reader.
pub(super) fn decoder<'a>(
    packing: Packing,
    from: impl Read + 'a,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match packing {
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(from)),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::new(from))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    })
}
