//! Single rows read again: where they begin is kept while a content is checked, so that a preview of five rows reads five rows.

use std::io::{BufReader, Read, SeekFrom};
use std::path::PathBuf;
use verifier::refusal::{Code, Refusal};

use super::report::{Format, Report};
use super::{Limits, Seekable, csv, inflate, json, jsonl, parquet, text};
use crate::dataset::Fault;

/// A row: names of columns and cells, as they are. They pass the mask before anybody sees them.
pub type Row = Vec<(String, String)>;

/// Places kept a content: 256 KiB of them.
const MARKS_MAX: usize = 1 << 15;

/// Where every so many rows begin; the distance doubles when there are too many.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    stride: u64,
    starts: Vec<u64>,
}

impl Marks {
    pub(super) fn new() -> Self {
        Self {
            stride: 1,
            starts: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, row: u64, began_at: u64) {
        if !row.is_multiple_of(self.stride) {
            return;
        }
        self.starts.push(began_at);
        if self.starts.len() >= MARKS_MAX {
            let mut keep = false;
            self.starts.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let numbers = std::iter::once(&self.stride).chain(&self.starts);
        numbers.flat_map(|number| number.to_be_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let (numbers, _) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_be_bytes(*bytes));
        let stride = numbers.next().unwrap_or(1).max(1);
        Self {
            stride,
            starts: numbers.collect(),
        }
    }

    /// The last kept row that is not behind this one, and where it begins.
    fn before(&self, row: u64) -> Option<(u64, u64)> {
        let place = usize::try_from(row / self.stride).ok()?;
        let place = place.min(self.starts.len().checked_sub(1)?);
        Some((place as u64 * self.stride, *self.starts.get(place)?))
    }
}

/// Rows one after the other.
pub(super) type Rows<'a> = Box<dyn Iterator<Item = std::io::Result<Row>> + 'a>;

/// Reads the wanted rows, counted from 0, in the order of `wanted`.
/// # Errors
/// `dataset.file` where there is no such row or the content has none; [`Fault::File`].
pub fn rows(
    report: &Report,
    index: &[u8],
    from: &mut dyn Seekable,
    wanted: &[u64],
) -> Result<Vec<Row>, Fault> {
    let mut sorted = wanted.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if let Some(last) = sorted
        .last()
        .filter(|last| **last >= report.rows.unwrap_or(0))
    {
        return Err(missing(*last));
    }
    let read = if report.format == Format::Parquet {
        parquet::rows(from, sorted.clone())
    } else {
        let marks = Marks::from_bytes(index);
        text_rows(report, &marks, from, &sorted)
    };
    let read = read.map_err(|fault| Fault::File(PathBuf::from("a stored content"), fault))?;
    wanted
        .iter()
        .map(|row| {
            let place = sorted.binary_search(row).ok();
            let found = place.and_then(|place| read.get(place)).cloned();
            found.ok_or_else(|| missing(*row))
        })
        .collect()
}

fn missing(row: u64) -> Fault {
    let sentence = format!("there is no row {row}; ask for one that the report counts");
    Fault::Refused(Refusal::new(Code::DatasetFile, sentence).with("row", row))
}

/// Rows of a format that is read from front to back, ascending.
fn text_rows(
    report: &Report,
    marks: &Marks,
    from: &mut dyn Seekable,
    sorted: &[u64],
) -> std::io::Result<Vec<Row>> {
    let mut read = Vec::with_capacity(sorted.len());
    let mut rest = sorted;
    while let Some(first) = rest.first() {
        let (start, at) = marks.before(*first).unwrap_or((0, 0));
        // Packed bytes have no places to start from: all that is wanted is read in one pass.
        let run = match report.packing {
            Some(_) => rest.len(),
            None => rest
                .iter()
                .take_while(|row| marks.before(**row) == Some((start, at)))
                .count()
                .max(1),
        };
        let (these, others) = rest.split_at(run);
        rest = others;
        from.seek(SeekFrom::Start(if report.packing.is_some() {
            0
        } else {
            at
        }))?;
        let mut number = start;
        let mut opened: Box<dyn Read + '_> = match report.packing {
            Some(packing) => inflate::decoder(packing, &mut *from)?,
            None => Box::new(&mut *from),
        };
        if report.packing.is_some() {
            std::io::copy(&mut opened.by_ref().take(at), &mut std::io::sink())?;
        }
        let opened = BufReader::with_capacity(1 << 16, opened);
        let names: Vec<String> = report
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
        let limits = Limits::STANDARD;
        let mut rows: Rows<'_> = match report.format {
            Format::Csv | Format::Tsv => csv::rows(opened, report.delimiter.unwrap_or(','), names),
            Format::Jsonl => jsonl::rows(opened, limits),
            Format::Json => json::rows(opened, limits),
            Format::Text => text::rows(opened, limits),
            Format::Parquet | Format::Zip | Format::Tar | Format::Other => return Ok(read),
        };
        for wanted in these {
            let skipped = usize::try_from(wanted - number).unwrap_or(usize::MAX);
            let Some(row) = rows.nth(skipped) else {
                return Ok(read);
            };
            read.push(row?);
            number = wanted + 1;
        }
    }
    Ok(read)
}
