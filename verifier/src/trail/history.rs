//! The history of cosigned checkpoints: 256 notes under one path, each with its length before it (TRAIL E3).
//!
//! C2SP tlog-tiles keeps the newest checkpoint only. What witnesses said about earlier ones is what bounds the entries' times
//! from both sides, and what lets a newcomer see that the log has always grown. The i-th cosigned checkpoint is note i.
//!
//! How many there are says [`COUNT`]. The publisher puts the parts after the checkpoint that is their last note, and the count
//! after the parts: whoever reads count, then parts, finds all of them; who read the checkpoint before may find newer notes.

use super::bundle;
use super::checkpoint::Checkpoint;
use super::note::Note;
use super::tile::{self, Place};
use super::{Flaw, FlawKind, NUMBER_MAX, parse_decimal};
use std::fmt;

/// The name of the file that says how many notes the history has: a decimal and a line end. Not cached.
pub const COUNT: &str = "history/count";
/// No count is longer: 19 digits and a line end.
pub const COUNT_BYTES_MAX: usize = 20;

/// No note of a history is longer: its length is written in two bytes. That is room for some 500 cosignatures.
pub const HISTORY_NOTE_BYTES_MAX: usize = bundle::ENTRY_BYTES_MAX;

/// Which part of the history: `history/<number>[.p/<width>]`. The path is its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPath(Place);

impl HistoryPath {
    /// Names a part; `None` if the width is not 1 … 256 or the number is above 2⁶³ − 1.
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
        tile::parse_spelling(path, |text| {
            Place::parse(text.strip_prefix("history/")?).map(Self)
        })
    }

    /// Counts the parts from the left.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.0.number
    }

    /// How many notes: 1 … 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.0.width
    }

    /// The index of the first note.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.0.first()
    }
}

impl fmt::Display for HistoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "history/{}", self.0)
    }
}

/// The parts to write when a history of `old` notes gets `new`: full ones, then the partial one of `new`.
pub fn parts_between(old: u64, new: u64) -> impl Iterator<Item = HistoryPath> {
    tile::places_between(old, new).map(HistoryPath)
}

/// Writes the file [`COUNT`].
#[must_use]
pub fn encode_count(count: u64) -> String {
    format!("{count}\n")
}

/// Reads the file [`COUNT`].
/// # Errors
/// `trail.history`
pub fn decode_count(bytes: &[u8]) -> Result<u64, Flaw> {
    let line = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.strip_suffix('\n'));
    line.and_then(|line| parse_decimal(line, NUMBER_MAX))
        .ok_or_else(|| Flaw::new(FlawKind::History, "the count is no decimal on one line"))
}

/// Writes notes one after the other, each after its length in two bytes, big-endian.
/// # Errors
/// `trail.history` for a note above [`HISTORY_NOTE_BYTES_MAX`].
pub fn encode<'n>(
    notes: impl IntoIterator<Item = &'n str, IntoIter: Clone>,
) -> Result<Vec<u8>, Flaw> {
    bundle::encode(notes.into_iter().map(str::as_bytes)).map_err(of_history)
}

/// Reads exactly `width` notes of checkpoints and nothing after them; no signature is checked, none has to be known.
/// # Errors
/// `trail.history`, with the place of the note that cannot be read.
pub fn decode(bytes: &[u8], width: u16) -> Result<Vec<(Note, Checkpoint)>, Flaw> {
    let notes = bundle::decode(bytes, width).map_err(of_history)?;
    let read = |bytes| {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok((note, checkpoint))
    };
    let numbered = notes.into_iter().enumerate();
    numbered
        .map(|(at, bytes)| {
            read(bytes).map_err(|flaw: Flaw| {
                Flaw::new(FlawKind::History, format!("note {at} of {width}: {flaw}"))
            })
        })
        .collect()
}

fn of_history(flaw: Flaw) -> Flaw {
    Flaw::new(FlawKind::History, flaw.sentence())
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{section, text};
    use super::*;
    use proptest::prelude::*;

    fn notes() -> [String; 2] {
        ["checkpoint_empty", "checkpoint"].map(|name| text(&section(name)["note"]).to_owned())
    }

    #[test]
    fn a_part_read_is_the_part_written() {
        let notes = notes();
        let bytes = encode(notes.iter().map(String::as_str)).unwrap();
        let framed: Vec<u8> = notes
            .iter()
            .flat_map(|note| {
                let length = u16::try_from(note.len()).unwrap().to_be_bytes();
                [&length, note.as_bytes()].concat()
            })
            .collect();
        assert_eq!(bytes, framed);
        let read = decode(&bytes, 2).unwrap();
        let sizes: Vec<_> = read.iter().map(|(_, head)| head.size().get()).collect();
        assert_eq!(sizes, [0, 600]);
        let again: Vec<_> = read.iter().map(|(note, _)| note.to_string()).collect();
        assert_eq!(again, notes);
    }

    #[test]
    fn what_is_no_part_is_refused() {
        let notes = notes();
        let good = encode(notes.iter().map(String::as_str)).unwrap();
        let long = "x".repeat(HISTORY_NOTE_BYTES_MAX + 1);
        assert_eq!(
            encode([long.as_str()]).unwrap_err().kind(),
            FlawKind::History
        );
        let bad = [
            (good.clone(), 1),
            (good.clone(), 3),
            (good[..good.len() - 1].to_vec(), 2),
            ([good.as_slice(), &[0]].concat(), 2),
            (vec![0, 0], 1),
            (vec![0, 1, b'x'], 1),
        ];
        for (bytes, width) in bad {
            let flaw = decode(&bytes, width).unwrap_err();
            assert_eq!(flaw.kind(), FlawKind::History, "{width}");
        }
    }

    #[test]
    fn a_count_has_one_spelling() {
        assert_eq!(encode_count(600), "600\n");
        assert_eq!(decode_count(b"600\n"), Ok(600));
        for bad in [
            "",
            "\n",
            "600",
            "0600\n",
            "+6\n",
            "6\n\n",
            "9223372036854775808\n",
        ] {
            let flaw = decode_count(bad.as_bytes()).unwrap_err();
            assert_eq!(flaw.kind(), FlawKind::History, "{bad:?}");
        }
    }

    #[test]
    fn the_parts_of_a_history_end_with_it() {
        let paths = |old, new| -> Vec<String> {
            parts_between(old, new)
                .map(|path| path.to_string())
                .collect()
        };
        assert_eq!(paths(0, 257), ["history/000", "history/001.p/1"]);
        assert_eq!(paths(257, 258), ["history/001.p/2"]);
        assert_eq!(paths(258, 258), Vec::<String>::new());
    }

    #[test]
    fn a_path_has_one_spelling() {
        for path in [
            "history/",
            "history/0",
            "history/000.p/0",
            "history/000.p/256",
            "history/x000/000",
            "/history/000",
            "tile/history/000",
            "history/000/",
        ] {
            assert!(HistoryPath::parse(path).is_err(), "{path}");
        }
        let path = HistoryPath::parse("history/x001/234.p/5").unwrap();
        assert_eq!(
            (path.number(), path.width(), path.first()),
            (1234, 5, 1234 * 256)
        );
    }

    proptest! {
        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), width in 0_u16..=4, path in "(history/)?[0-9x/.p]{0,20}") {
            if let Ok(notes) = decode(&bytes, width) {
                prop_assert_eq!(notes.len(), usize::from(width));
            }
            if let Ok(read) = HistoryPath::parse(&path) {
                prop_assert_eq!(read.to_string(), path);
            }
        }
    }
}
