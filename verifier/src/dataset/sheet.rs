//! A sampling sheet: which rows were drawn, how each was judged, and all that is needed to compute both again (DESIGN §9).
//!
//! The server draws and keeps sheets, a buyer and an auditor compute them again. Whether its note is signed by the log, and
//! which was the first such note, only a trail shows: `quan-verify sample`.

use serde::{Deserialize, Serialize};

use super::seed::{SAMPLE_ROWS_MAX, draw, seed};
use super::wilson::{Interval, wilson};
use crate::id::{DocumentDigest, Salt, Sha256Hash};
use crate::json::{self, NotStrict};
use crate::money::INTEGER_MAX;
use crate::refusal::{Code, Refusal};
use crate::trail::Flaw;
use crate::trail::checkpoint::Checkpoint;
use crate::trail::note::Note;

/// No sheet is longer: a note of the history has at most 65,535 bytes, and a row of the draw and of the verdicts 50.
pub const SHEET_BYTES_MAX: usize = 200_000;

/// What a draw is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampling {
    /// Which version.
    pub manifest: DocumentDigest,
    /// The number of the entry that published it.
    pub seq: u64,
    /// A checkpoint's signed note, of more than `seq` entries.
    pub note: String,
    /// Whether the history of cosigned checkpoints shows that no earlier note covers the entry.
    pub first: First,
    /// The buyer's own.
    pub nonce: Salt,
    /// How many rows the version has, over its files in the manifest's order.
    pub rows: u64,
    /// How many rows to draw, 1 to [`SAMPLE_ROWS_MAX`].
    pub wanted: u32,
}

/// A sheet, as it is written: canonical JSON, members in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    /// Which version.
    pub manifest: DocumentDigest,
    /// The number of the entry that published it.
    pub seq: u64,
    /// The signed note whose root is in the seed.
    pub note: String,
    /// The buyer's own.
    pub nonce: Salt,
    /// SHA-256 of the manifest's digest, the note's root and the nonce.
    pub seed: Sha256Hash,
    /// How many rows the version has.
    pub rows: u64,
    /// The rows drawn, in that order.
    pub drawn: Vec<u64>,
    /// Whether the note is shown to be the first that covers the entry.
    pub first: First,
    /// How each row drawn was judged, in the order of the draw; empty until all are.
    pub verdicts: Vec<(u64, Mark)>,
    /// How many of them are good.
    pub passed: u64,
    /// Between which shares of good rows the whole lies; all is possible until the rows are judged.
    pub interval: Interval,
}

/// Whether a note is shown to be the first that covers an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum First {
    /// It is the first of its size in the history of cosigned checkpoints: nobody could choose among roots.
    #[serde(rename = "shown")]
    Shown,
    /// Nothing shows it: a log without witnesses keeps no history.
    #[serde(rename = "not shown")]
    NotShown,
}

/// How a row was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Good.
    Pass,
    /// Not good.
    Fail,
}

impl Sheet {
    /// Draws the rows of a sheet that nobody has judged.
    /// # Errors
    /// `request.malformed` no such number of rows, no note of a checkpoint · `sample.too-early` the note does not cover the
    /// publication
    pub fn draw(asked: Sampling) -> Result<Self, Refusal> {
        if !(1..=SAMPLE_ROWS_MAX).contains(&asked.wanted) {
            let sentence = format!("a sheet has 1 to {SAMPLE_ROWS_MAX} rows");
            return Err(Refusal::new(Code::RequestMalformed, sentence));
        }
        if !(1..=INTEGER_MAX.unsigned_abs()).contains(&asked.rows) {
            let sentence = "there are no rows to draw of: a version has 1 to 2^53 - 1";
            return Err(Refusal::new(Code::RequestMalformed, sentence));
        }
        let root = root(&asked.note, asked.seq)?;
        let seed = seed(asked.manifest, &root, asked.nonce);
        Ok(Self {
            manifest: asked.manifest,
            seq: asked.seq,
            note: asked.note,
            nonce: asked.nonce,
            seed: Sha256Hash::new(seed),
            rows: asked.rows,
            drawn: draw(&seed, asked.rows, asked.wanted),
            first: asked.first,
            verdicts: Vec::new(),
            passed: 0,
            interval: wilson(0, 0),
        })
    }

    /// Judges every row drawn, each once, in any order: a part of them would be a choice. Of two judgements the later speaks.
    /// # Errors
    /// `request.malformed`, with the row.
    pub fn judge(&mut self, verdicts: &[(u64, Mark)]) -> Result<(), Refusal> {
        let refused = |sentence: String| Err(Refusal::new(Code::RequestMalformed, sentence));
        if let Some((row, _)) = verdicts.iter().find(|(row, _)| !self.drawn.contains(row)) {
            return refused(format!("row {row} was not drawn; judge the rows drawn"));
        }
        let mut judged = Vec::with_capacity(self.drawn.len());
        for row in &self.drawn {
            let mut of = verdicts.iter().filter(|(of, _)| of == row);
            match (of.next(), of.next()) {
                (Some(verdict), None) => judged.push(*verdict),
                (None, _) => {
                    return refused(format!("row {row} is not judged; judge every row drawn"));
                }
                (Some(_), Some(_)) => return refused(format!("row {row} is judged twice")),
            }
        }
        self.passed = passed(&judged);
        self.interval = wilson(self.passed, judged.len() as u64);
        self.verdicts = judged;
        Ok(())
    }

    /// Whether its rows are judged.
    #[must_use]
    pub const fn is_judged(&self) -> bool {
        !self.verdicts.is_empty()
    }

    /// Computes seed, draw, count and interval again, and refuses a sheet that says another one.
    /// # Errors
    /// `request.malformed`, with the member; `sample.too-early`
    pub fn recompute(&self) -> Result<(), Refusal> {
        let wanted = u32::try_from(self.drawn.len()).unwrap_or(u32::MAX);
        let mut again = Self::draw(Sampling {
            manifest: self.manifest,
            seq: self.seq,
            note: self.note.clone(),
            first: self.first,
            nonce: self.nonce,
            rows: self.rows,
            wanted,
        })?;
        check(self.seed == again.seed, "seed")?;
        check(self.drawn == again.drawn, "drawn")?;
        if self.is_judged() {
            again.judge(&self.verdicts)?;
        }
        check(self.verdicts == again.verdicts, "verdicts")?;
        check(self.passed == again.passed, "passed")?;
        check(self.interval == again.interval, "interval")
    }

    /// Reads a sheet in its one spelling and computes it again.
    /// # Errors
    /// `request.malformed`, `sample.too-early`
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > SHEET_BYTES_MAX {
            let sentence = format!("a sheet has at most {SHEET_BYTES_MAX} bytes");
            return Err(Refusal::new(Code::RequestMalformed, sentence));
        }
        let sheet: Self = json::read_canonical(bytes)?;
        sheet.recompute()?;
        Ok(sheet)
    }

    /// The canonical JSON.
    /// # Errors
    /// [`NotStrict`]: a number beyond 2⁵³ − 1, which no sheet drawn here has.
    pub fn to_json(&self) -> Result<Vec<u8>, NotStrict> {
        json::write(self)
    }
}

fn passed(judged: &[(u64, Mark)]) -> u64 {
    let good = judged.iter().filter(|(_, mark)| *mark == Mark::Pass);
    good.count() as u64
}

fn check(holds: bool, member: &str) -> Result<(), Refusal> {
    if holds {
        return Ok(());
    }
    let sentence = format!("the sheet's {member} is not what its other members come to");
    Err(Refusal::new(Code::RequestMalformed, sentence).with("member", member))
}

/// The root of a note that covers entry `seq`.
fn root(note: &str, seq: u64) -> Result<[u8; 32], Refusal> {
    let malformed = |flaw: Flaw| {
        let sentence = format!("the note is none of a checkpoint: {flaw}");
        Refusal::new(Code::RequestMalformed, sentence)
    };
    let note = Note::parse(note.as_bytes()).map_err(malformed)?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(malformed)?;
    let size = checkpoint.size().get();
    if size <= seq {
        let sentence = format!(
            "the checkpoint has {size} entries and does not cover entry {seq}, which published the version; ask again after the next checkpoint"
        );
        let refusal = Refusal::new(Code::SampleTooEarly, sentence);
        return Err(refusal.with("size", size).with("seq", seq));
    }
    Ok(*checkpoint.root().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTE: &str = "quan.example/log\n8\nVB4fvqpk2mHPYfWcJlMzWv6NPrN4/HiHIbAh5g5YuYM=\n\n— quan.example/log zMnNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5ufo6err7O3u7/Dx8vP09fb3+Pn6+/z9/v8AAQID\n";

    fn sampling() -> Sampling {
        Sampling {
            manifest: DocumentDigest::of(b"manifest"),
            seq: 7,
            note: NOTE.to_owned(),
            first: First::NotShown,
            nonce: Salt::new([5; 16]),
            rows: 1_000,
            wanted: 30,
        }
    }

    fn sheet() -> Sheet {
        Sheet::draw(sampling()).unwrap()
    }

    fn marks(sheet: &Sheet, fails: usize) -> Vec<(u64, Mark)> {
        let mark = |place| [Mark::Pass, Mark::Fail][usize::from(place < fails)];
        let rows = sheet.drawn.iter().enumerate();
        rows.map(|(place, row)| (*row, mark(place))).collect()
    }

    #[test]
    fn a_sheet_read_is_the_sheet_written() {
        let mut sheet = sheet();
        assert_eq!(sheet.interval, wilson(0, 0));
        for _ in 0..2 {
            let written = sheet.to_json().unwrap();
            assert!(written.len() <= SHEET_BYTES_MAX);
            assert_eq!(Sheet::parse(&written).unwrap(), sheet);
            sheet.judge(&marks(&sheet, 2)).unwrap();
        }
        assert_eq!((sheet.passed, sheet.interval), (28, wilson(28, 30)));
    }

    #[test]
    fn a_checkpoint_before_the_publication_is_too_early() {
        for seq in [8, 9, u64::MAX] {
            let refused = Sheet::draw(Sampling { seq, ..sampling() }).unwrap_err();
            assert_eq!(refused.code, Code::SampleTooEarly);
        }
    }

    #[test]
    fn what_is_no_draw_is_refused() {
        let bad = [
            Sampling {
                wanted: 0,
                ..sampling()
            },
            Sampling {
                wanted: SAMPLE_ROWS_MAX + 1,
                ..sampling()
            },
            Sampling {
                rows: 0,
                ..sampling()
            },
            Sampling {
                rows: 1 << 53,
                ..sampling()
            },
            Sampling {
                note: "no note".to_owned(),
                ..sampling()
            },
        ];
        for asked in bad {
            let refused = Sheet::draw(asked).unwrap_err();
            assert_eq!(refused.code, Code::RequestMalformed);
        }
        // Fewer rows than wanted: all of them.
        let all = Sheet::draw(Sampling {
            rows: 3,
            ..sampling()
        })
        .unwrap();
        assert_eq!(all.drawn.len(), 3);
    }

    #[test]
    fn every_row_drawn_is_judged_once_and_no_other() {
        let mut sheet = sheet();
        let all = marks(&sheet, 0);
        let other = (0..).find(|row| !sheet.drawn.contains(row)).unwrap();
        let bad = [
            all[1..].to_vec(),
            Vec::new(),
            [&all[..], &all[..1]].concat(),
            [&all[1..], &[(other, Mark::Pass)]].concat(),
        ];
        let before = sheet.clone();
        for verdicts in bad {
            let refused = sheet.judge(&verdicts).unwrap_err();
            assert_eq!(refused.code, Code::RequestMalformed);
            assert_eq!(sheet, before);
        }
        let backwards: Vec<_> = all.iter().rev().copied().collect();
        sheet.judge(&backwards).unwrap();
        assert_eq!(sheet.verdicts, all);
    }

    #[test]
    fn a_sheet_that_says_something_else_is_refused() {
        type Spoil = fn(&mut Sheet);
        let mut judged = sheet();
        judged.judge(&marks(&judged, 3)).unwrap();
        judged.recompute().unwrap();
        let spoilt: [(&str, Spoil); 9] = [
            ("seed", |sheet| {
                sheet.manifest = DocumentDigest::of(b"other")
            }),
            ("seed", |sheet| sheet.nonce = Salt::new([6; 16])),
            ("seed", |sheet| sheet.seed = Sha256Hash::of(b"")),
            ("seed", |sheet| {
                sheet.note = sheet.note.replace("\nVB", "\nVA")
            }),
            ("drawn", |sheet| sheet.drawn.swap(0, 1)),
            ("drawn", |sheet| sheet.rows += 1),
            ("verdicts", |sheet| sheet.verdicts.swap(0, 1)),
            ("passed", |sheet| sheet.passed += 1),
            ("interval", |sheet| sheet.interval.low_ppm += 1),
        ];
        for (member, spoil) in spoilt {
            let mut sheet = judged.clone();
            spoil(&mut sheet);
            let refused = sheet.recompute().unwrap_err();
            assert_eq!(refused.values, [("member", member.to_owned())]);
            let written = sheet.to_json().unwrap();
            assert_eq!(Sheet::parse(&written).unwrap_err(), refused);
        }
    }

    proptest! {
        #[test]
        fn junk_never_panics(place in 0_usize..4_000, byte: u8) {
            let mut written = sheet().to_json().unwrap();
            let place = place % written.len();
            written[place] = byte;
            if let Ok(read) = Sheet::parse(&written) {
                prop_assert_eq!(read.to_json().unwrap(), written);
            }
        }
    }
}
