//! Entry bundles: 256 entries under one path, each with its length before it (C2SP tlog-tiles v0.1.0).

use super::tile::{self, Place};
use super::{Flaw, FlawKind, TreeSize};
use std::fmt;

/// No entry is longer: its length is written in two bytes.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// Which bundle: `tile/entries/<number>[.p/<width>]`. The path is its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundlePath(Place);

impl BundlePath {
    /// Names a bundle; `None` if the width is not 1 … 256 or the number is above 2⁶³ − 1.
    #[must_use]
    pub const fn new(number: u64, width: u16) -> Option<Self> {
        match Place::new(number, width) {
            Some(place) => Some(Self(place)),
            None => None,
        }
    }

    /// Reads a path in its one spelling, without a leading slash.
    /// # Errors
    /// `trail.tile-path`
    pub fn parse(path: &str) -> Result<Self, Flaw> {
        tile::parse_path(path, |kind, place| {
            (kind == "entries").then_some(Self(place))
        })
    }

    /// Counts the bundles from the left.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.0.number
    }

    /// How many entries: 1 … 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.0.width
    }

    /// The index of the first entry.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.0.first()
    }
}

impl fmt::Display for BundlePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/entries/{}", self.0)
    }
}

/// The bundles to write when the log grows from `old` to `new`: full ones, then the partial one of `new`.
pub fn bundles_between(old: TreeSize, new: TreeSize) -> impl Iterator<Item = BundlePath> {
    tile::places_between(old.get(), new.get()).map(BundlePath)
}

/// Every bundle of the log of `size`.
pub fn bundles_of(size: TreeSize) -> impl Iterator<Item = BundlePath> {
    bundles_between(TreeSize::ZERO, size)
}

/// Writes entries one after the other, each after its length in two bytes, big-endian.
/// # Errors
/// `trail.bundle` for an entry above [`ENTRY_BYTES_MAX`].
pub fn encode<'e>(entries: impl IntoIterator<Item = &'e [u8]>) -> Result<Vec<u8>, Flaw> {
    let mut bytes = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| {
            let sentence = format!(
                "an entry of {} bytes exceeds {ENTRY_BYTES_MAX}",
                entry.len()
            );
            Flaw::new(FlawKind::Bundle, sentence)
        })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Reads exactly `width` entries and nothing after them. Length 0 is legal here.
/// # Errors
/// `trail.bundle`
pub fn decode(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, Flaw> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    for at in 0..width {
        let split = rest.split_first_chunk().and_then(|(length, after)| {
            after.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        });
        let (entry, after) = split.ok_or_else(|| {
            Flaw::new(
                FlawKind::Bundle,
                format!("the bundle ends inside entry {at} of {width}"),
            )
        })?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() {
        return Ok(entries);
    }
    let sentence = format!("{} bytes follow the last of {width} entries", rest.len());
    Err(Flaw::new(FlawKind::Bundle, sentence))
}
