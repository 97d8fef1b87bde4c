//! Entry bundles: 256 entries under one path, each with its length before it (C2SP tlog-tiles v0.1.0).

use super::tile::{self, Place, WIDTH_FULL};
use super::{Flaw, FlawKind, TreeSize};
use std::fmt;

/// No entry is longer: its length is written in two bytes.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;
/// No bundle is longer: 256 of the longest entries, each behind its length. Nor is a part of a history.
pub const BUNDLE_BYTES_MAX: usize = WIDTH_FULL as usize * (ENTRY_BYTES_MAX + 2);

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
pub fn encode<'e>(
    entries: impl IntoIterator<Item = &'e [u8], IntoIter: Clone>,
) -> Result<Vec<u8>, Flaw> {
    let entries = entries.into_iter();
    let length = entries.clone().map(|entry| entry.len() + 2).sum();
    let mut bytes = Vec::with_capacity(length);
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

#[cfg(test)]
mod tests {
    use super::super::vectors::{bytes, section, text};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_framing_is_that_of_the_vectors() {
        let case = section("entry_bundle");
        let entries = case["entries"].as_array().unwrap();
        let entries: Vec<_> = entries.iter().map(|entry| text(entry).as_bytes()).collect();
        let bytes = bytes(&case["hex"]);
        assert_eq!(encode(entries.iter().copied()), Ok(bytes.clone()));
        assert_eq!(decode(&bytes, 3), Ok(entries));
        assert!(decode(&bytes, 2).is_err());
        assert!(decode(&bytes, 4).is_err());
    }

    #[test]
    fn an_entry_one_byte_too_long_is_refused() {
        let entry = vec![0; ENTRY_BYTES_MAX + 1];
        assert!(encode([&entry[1..]]).is_ok());
        assert_eq!(
            encode([entry.as_slice()]).unwrap_err().kind(),
            FlawKind::Bundle
        );
    }

    #[test]
    fn the_bundles_of_a_size_end_with_it() {
        let paths: Vec<_> = bundles_of(TreeSize::new(600).unwrap())
            .map(|b| b.to_string())
            .collect();
        assert_eq!(
            paths,
            [
                "tile/entries/000",
                "tile/entries/001",
                "tile/entries/002.p/88"
            ]
        );
    }

    proptest! {
        #[test]
        fn a_bundle_read_is_the_bundle_written(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..=256),
        ) {
            let bytes = encode(entries.iter().map(Vec::as_slice)).unwrap();
            let width = u16::try_from(entries.len()).unwrap();
            let read: Vec<_> = decode(&bytes, width).unwrap().into_iter().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(read, entries);
            prop_assert!(decode(&bytes[..bytes.len() - 1], width).is_err());
            prop_assert!(decode(&[bytes.as_slice(), &[0]].concat(), width).is_err());
        }

        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), width in 0_u16..=256) {
            if let Ok(entries) = decode(&bytes, width) {
                prop_assert_eq!(encode(entries), Ok(bytes.clone()));
            }
        }
    }
}
