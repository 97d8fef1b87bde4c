//! Which contents of the store are nearly this one: first those that share a mark with it, then their sketches are compared.
//!
//! It says how many rows are in the other and refuses nothing: that is for who assesses. Comparing is by rows as they are spelled,
//! so the same table in another format is another content (FORMATS.md, "Datasets").

use std::collections::BTreeMap;
use verifier::dataset::{Bands, Sketch, containment_bp};

use super::check::{Checked, FORM};
use crate::store::dataset::check::{self, CheckRow};
use crate::store::{Db, StoreFault};

/// The band of the lowest row hashes; those before are of the text.
const ROW_BAND: i64 = 16;
/// Bands of a text, and what they take in a row.
const BANDS: usize = 16;
const BANDS_BYTES: usize = 8 * BANDS;
/// Row hashes kept as marks: of a content eight times as large, some sixty are still among its sketch.
const ROW_MARKS: usize = 512;
/// Rows of marks read a question, and contents compared in full.
const MARKED_MAX: i64 = 20_000;
const COMPARED_MAX: usize = 200;
/// Shares below, in hundredths of a per cent, are not told.
pub const TOLD_BP: u32 = 3_000;

/// Another content and how much the two share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Near {
    /// The other content.
    pub sha256: [u8; 32],
    /// How much of this one is in the other, of ten thousand.
    pub in_other_bp: u32,
    /// How much of the other is in this one.
    pub of_other_bp: u32,
}

/// Keeps what the checks found and the marks of it, in the open transaction.
/// # Errors
/// [`StoreFault`]
pub fn keep(tx: &mut Db, sha256: &[u8; 32], checked: &Checked) -> Result<(), StoreFault> {
    let unwritten =
        |fault| StoreFault::Inconsistent(format!("a report of the checks is no JSON: {fault}"));
    let report = checked.report.text().map_err(unwritten)?;
    let mut sketch = checked.sketch.to_bytes();
    sketch.extend(bands_to_bytes(&checked.bands));
    let row = CheckRow {
        sha256: *sha256,
        form: i64::from(FORM),
        report: String::from_utf8_lossy(&report).into_owned(),
        sketch,
        rows: checked.rows.clone(),
    };
    check::keep(tx, &row)?;
    let rows = checked.sketch.lowest().iter().take(ROW_MARKS);
    let rows = rows.map(|hash| (ROW_BAND, hash.cast_signed()));
    let marks: Vec<_> = text_marks(checked.bands.hashes()).chain(rows).collect();
    check::mark(tx, sha256, &marks)
}

/// `own_checks.sketch` is the sketch of the rows and the bands of the text.
fn bands_to_bytes(bands: &Bands) -> impl Iterator<Item = u8> {
    bands.hashes().iter().flat_map(|hash| hash.to_be_bytes())
}

fn sketched(row: &CheckRow) -> Result<(Sketch, [u64; BANDS]), StoreFault> {
    let unreadable = || StoreFault::Inconsistent("own_checks.sketch cannot be read".to_owned());
    let read = |bytes: &[u8]| {
        let (sketch, bands) = bytes.split_last_chunk::<BANDS_BYTES>()?;
        let mut hashes = [0; BANDS];
        for (hash, bytes) in hashes.iter_mut().zip(bands.as_chunks().0) {
            *hash = u64::from_be_bytes(*bytes);
        }
        Some((Sketch::from_bytes(sketch)?, hashes))
    };
    read(&row.sketch).ok_or_else(unreadable)
}

/// The bands of a text as marks; none where there was no text.
fn text_marks(bands: &[u64; BANDS]) -> impl Iterator<Item = (i64, i64)> {
    let hashes = if bands == &[0; BANDS] { &[][..] } else { bands };
    (0..).zip(hashes.iter().map(|hash| hash.cast_signed()))
}

/// Contents that share [`TOLD_BP`] with a checked one in either direction, the largest share first; it is not among them.
/// # Errors
/// [`StoreFault`]
pub fn of(db: &mut Db, sha256: &[u8; 32]) -> Result<Vec<Near>, StoreFault> {
    let Some(row) = check::find(db, sha256)? else {
        return Ok(Vec::new());
    };
    let (sketch, bands) = sketched(&row)?;
    let mut met = BTreeMap::<[u8; 32], u32>::new();
    let rows: Vec<i64> = sketch
        .lowest()
        .iter()
        .map(|hash| hash.cast_signed())
        .collect();
    let mut marks: Vec<_> = text_marks(&bands)
        .map(|(band, hash)| (band, vec![hash]))
        .collect();
    marks.push((ROW_BAND, rows));
    for (band, hashes) in marks {
        for other in check::marked(db, band, &hashes, MARKED_MAX)? {
            *met.entry(other).or_default() += 1;
        }
    }
    met.remove(sha256);
    // Those with the most marks in common are compared, the rest share less.
    let mut met: Vec<_> = met.into_iter().collect();
    met.sort_by_key(|(other, marks)| (u32::MAX - marks, *other));
    let mut found = Vec::new();
    for (other, _) in met.into_iter().take(COMPARED_MAX) {
        found.extend(compared(db, &sketch, other)?);
    }
    found.sort_by_key(|near| {
        (
            10_000 - near.in_other_bp.max(near.of_other_bp).min(10_000),
            near.sha256,
        )
    });
    Ok(found)
}

fn compared(db: &mut Db, sketch: &Sketch, sha256: [u8; 32]) -> Result<Option<Near>, StoreFault> {
    let Some(row) = check::find(db, &sha256)? else {
        return Ok(None);
    };
    let (other, _) = sketched(&row)?;
    let near = Near {
        sha256,
        in_other_bp: containment_bp(sketch, &other).unwrap_or(0),
        of_other_bp: containment_bp(&other, sketch).unwrap_or(0),
    };
    let is_told = near.in_other_bp.max(near.of_other_bp) >= TOLD_BP;
    Ok(is_told.then_some(near))
}
