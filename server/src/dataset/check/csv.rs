//! Tables of text (RFC 4180): a header, then as many cells a row as it has names.

use csv::{ByteRecord, ReaderBuilder};
use std::cell::Cell as Place;
use std::io::{self, Read};
use std::rc::Rc;

use super::column::Cell;
use super::inflate::Stopped;
use super::report::Flaw;
use super::rows::{Row, Rows};
use super::tally::Tally;

/// Cells that a row may have before it is refused unread; the memory for their bounds is 8 MiB.
const CELLS_MAX: u64 = 1 << 20;
/// Between the cells of a row where it is compared: in no text.
const UNIT: u8 = 0x1f;

/// Lets a row through that is not too long: an open quotation mark would else collect the rest of the file in memory.
struct Guarded<R> {
    from: R,
    delimiter: u8,
    bytes: Rc<Place<u64>>,
    cells: Rc<Place<u64>>,
    bytes_max: u64,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.bytes.get() > self.bytes_max || self.cells.get() > CELLS_MAX {
            return Err(Stopped::Long.into());
        }
        let read = self.from.read(into)?;
        let new = into.get(..read).unwrap_or_default();
        let cells = new.iter().filter(|b| **b == self.delimiter).count() as u64;
        self.bytes.set(self.bytes.get() + read as u64);
        self.cells.set(self.cells.get() + cells);
        Ok(read)
    }
}

fn byte(delimiter: char) -> u8 {
    u8::try_from(delimiter).unwrap_or(b',')
}

fn reader<R: Read>(from: R, delimiter: char) -> csv::Reader<R> {
    let mut builder = ReaderBuilder::new();
    builder
        .has_headers(false)
        .flexible(true)
        .delimiter(byte(delimiter));
    // Quotation marks mean nothing between tabs (IANA text/tab-separated-values).
    builder.quoting(delimiter != '\t').buffer_capacity(1 << 16);
    builder.from_reader(from)
}

/// Reads a table whose first byte is at `offset` of the unpacked content.
pub(super) fn read(
    tally: &mut Tally,
    from: impl Read,
    delimiter: char,
    offset: u64,
) -> io::Result<()> {
    let (bytes, cells) = (Rc::default(), Rc::default());
    let guarded = Guarded {
        from,
        delimiter: byte(delimiter),
        bytes: Rc::clone(&bytes),
        cells: Rc::clone(&cells),
        bytes_max: tally.limits.line_max,
    };
    tally.report.delimiter = Some(delimiter);
    let mut reader = reader(guarded, delimiter);
    let mut record = ByteRecord::new();
    if !next(&mut reader, &mut record)? {
        return Ok(());
    }
    header(tally, &record);
    let mut identity = Vec::new();
    loop {
        bytes.set(0);
        cells.set(0);
        if !next(&mut reader, &mut record)? {
            return Ok(());
        }
        let began_at = record.position().map_or(0, csv::Position::byte);
        row(tally, &record, &mut identity);
        tally.row(&identity, offset + began_at);
    }
}

fn next<R: Read>(reader: &mut csv::Reader<R>, record: &mut ByteRecord) -> io::Result<bool> {
    reader.read_byte_record(record).map_err(fault)
}

/// The reader's own fault, not one around it: what stopped it is looked for there.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library may add kinds")]
fn fault(fault: csv::Error) -> io::Error {
    match fault.into_kind() {
        csv::ErrorKind::Io(fault) => fault,
        _ => io::Error::other("the reader of tables stopped"),
    }
}

fn header(tally: &mut Tally, record: &ByteRecord) {
    for (at, field) in record.iter().enumerate() {
        let name = String::from_utf8_lossy(field);
        if std::str::from_utf8(field).is_err() {
            let flaw = Flaw::broken(
                "encoding.utf-8",
                "the name is not UTF-8; save the file as UTF-8",
            );
            tally.report.flaw(flaw.at(0, Some((at + 1).to_string())));
        }
        if name.trim().is_empty() {
            let flaw = Flaw::note("header", "the column has no name");
            tally.report.flaw(flaw.at(0, Some((at + 1).to_string())));
        }
        if tally.column(name.trim()).is_none() {
            return;
        }
    }
}

fn row(tally: &mut Tally, record: &ByteRecord, identity: &mut Vec<u8>) {
    identity.clear();
    let width = tally.width();
    for (at, field) in record.iter().enumerate().take(width) {
        if at > 0 {
            identity.push(UNIT);
        }
        identity.extend(field.trim_ascii());
        match std::str::from_utf8(field) {
            Ok(text) => tally.cell(at, Cell::of_text(text)),
            Err(fault) => {
                let sentence = format!("not UTF-8 at byte {} of the cell", fault.valid_up_to() + 1);
                tally.flaw_here(Flaw::broken("encoding.utf-8", sentence), Some(at));
            }
        }
    }
    if record.len() != width {
        let sentence = format!("{} cells where the header has {width}", record.len());
        let mut flaw = Flaw::broken("row.ragged", sentence).at(tally.rows() + 1, None);
        flaw.column = Some((record.len().min(width) + 1).to_string());
        tally.report.flaw(flaw);
    }
}

/// The rows from a place where one begins.
pub(super) fn rows<'a>(from: impl Read + 'a, delimiter: char, names: Vec<String>) -> Rows<'a> {
    let records = reader(from, delimiter).into_byte_records();
    Box::new(records.map(move |record| {
        let record = record.map_err(fault)?;
        let cell = |(name, field): (&String, &[u8])| {
            (name.clone(), String::from_utf8_lossy(field).into_owned())
        };
        Ok(names.iter().zip(record.iter()).map(cell).collect::<Row>())
    }))
}
