//! The drawn rows read from where they lie, and masked: never more of them at once than memory should hold, nor shown than a page.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use tokio::sync::Semaphore;
use verifier::dataset::{FileLine, Manifest};
use verifier::id::DocumentDigest;
use verifier::refusal::{Code, Refusal};

use crate::cause::Whole;
use crate::dataset::check::{self, Report, Row};
use crate::dataset::{Fault, Parts};
use crate::store::dataset::blob::{self, BlobRow};
use crate::store::dataset::check::{self as checks, CheckRow};
use crate::store::dataset::file;
use crate::store::{Db, StoreFault};

/// Bytes of names and cells in one sample.
const SHOWN_BYTES_MAX: usize = 1 << 20;
/// The longest name of a column shown, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// Bytes of rows read at once, by what the report says of their length.
const READ_BYTES: u64 = 64 << 20;
/// Rows read at once where they are short.
const READ_ROWS: u64 = 200;
/// Samples read at the same time: each may be a pass over a packed file.
static READING: Semaphore = Semaphore::const_new(2);

/// A row as a buyer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownRow {
    /// Its number over all files of the version.
    pub row: u64,
    /// Of which file.
    pub file: String,
    /// Names of columns and masked cells, in their order.
    pub cells: Vec<(String, String)>,
    /// Cells that are not shown: the row is too long for a sample.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A file that has rows, and where they begin among all of the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) file: FileLine,
    pub(super) first: u64,
    pub(super) rows: u64,
}

/// The files of a version that have rows, in the manifest's order. Archives and bytes of unknown kind have none.
pub(super) fn files(db: &mut Db, manifest: DocumentDigest) -> Result<Vec<Table>, Fault> {
    let lines = file::all(db, &manifest.to_string())?;
    if lines.is_empty() {
        let sentence =
            "the bytes of this version were not uploaded here: its vendor alone can show rows";
        return Err(Refusal::new(Code::DatasetUnavailable, sentence).into());
    }
    let (mut first, mut tables) = (0_u64, Vec::new());
    for line in Manifest::new(lines)?.files() {
        let (report, _) = checked(db, line)?;
        let Some(rows) = report.rows.filter(|rows| *rows > 0) else {
            continue;
        };
        tables.push(Table {
            file: line.clone(),
            first,
            rows,
        });
        first = first.saturating_add(rows);
    }
    Ok(tables)
}

/// How many rows a version has.
pub(super) fn count(tables: &[Table]) -> Result<u64, Refusal> {
    let last = tables.last();
    let rows = last.map_or(0, |last| last.first.saturating_add(last.rows));
    if rows > 0 {
        return Ok(rows);
    }
    let sentence = "no file of this version has rows to draw: none is a table, JSON or text";
    Err(Refusal::new(Code::DatasetFile, sentence))
}

fn checked(db: &mut Db, line: &FileLine) -> Result<(Report, CheckRow), Fault> {
    let row = checks::find(db, &line.sha256)?;
    let Some(row) = row.filter(|row| row.form == i64::from(check::FORM)) else {
        let sentence = format!("{} is being checked; ask again in a while", line.path);
        let refusal = Refusal::new(Code::DatasetUnavailable, sentence);
        return Err(refusal.with("file", &line.path).into());
    };
    let report = Report::parse(row.report.as_bytes());
    let report =
        report.map_err(|fault| StoreFault::Inconsistent(format!("own_checks.report: {fault}")))?;
    Ok((report, row))
}

/// Reads the drawn rows and shows them in the order of the draw.
pub(super) async fn shown(
    parts: &Parts,
    tables: Vec<Table>,
    drawn: &[u64],
) -> Result<Vec<ShownRow>, Fault> {
    let _turn = READING.acquire().await;
    let (parts, wanted) = (parts.clone(), drawn.to_vec());
    let read = tokio::task::spawn_blocking(move || {
        let mut by_row = BTreeMap::new();
        let mut room = Room {
            bytes: SHOWN_BYTES_MAX,
            rows: wanted.len(),
        };
        for (table, rows) in by_file(&tables, &wanted) {
            read_table(&parts, table, &rows, |row| {
                let shown = room.show(&row.1, table, row.0);
                by_row.insert(shown.row, shown);
            })?;
        }
        let shown = wanted.iter().filter_map(|row| by_row.remove(row));
        Ok(shown.collect())
    });
    let gone = |fault| Fault::File(PathBuf::from("a stored content"), io::Error::other(fault));
    read.await.map_err(gone)?
}

/// The drawn rows of each file, by their number in it, ascending.
fn by_file<'a>(tables: &'a [Table], drawn: &[u64]) -> Vec<(&'a Table, Vec<u64>)> {
    let mut sorted = drawn.to_vec();
    sorted.sort_unstable();
    let within = |table: &Table| {
        let rows = sorted.iter().filter_map(|row| row.checked_sub(table.first));
        rows.filter(|row| *row < table.rows).collect::<Vec<u64>>()
    };
    let files = tables.iter().map(|table| (table, within(table)));
    files.filter(|(_, rows)| !rows.is_empty()).collect()
}

/// Reads rows of one file, a few at once where they are long.
fn read_table(
    parts: &Parts,
    table: &Table,
    wanted: &[u64],
    mut take: impl FnMut((u64, Row)),
) -> Result<(), Fault> {
    let mut db = parts.store.connection()?;
    let (report, row) = checked(&mut db, &table.file)?;
    let blob = blob::get(&mut db, &table.file.sha256)?;
    // Given back while the bytes are read: that may be long.
    drop(db);
    let blob = blob.ok_or_else(|| damaged(&table.file))?;
    for some in wanted.chunks(at_once(&report)) {
        let read = read_rows(parts, &blob, (&report, &row.rows), some);
        let read = read.map_err(|fault| {
            tracing::error!(fault = %Whole(&fault), file = %table.file.path, "rows of a sample cannot be read");
            damaged(&table.file)
        })?;
        some.iter().copied().zip(read).for_each(&mut take);
    }
    Ok(())
}

fn read_rows(
    parts: &Parts,
    blob: &BlobRow,
    (report, index): (&Report, &[u8]),
    wanted: &[u64],
) -> Result<Vec<Row>, Fault> {
    let mut from = parts.blobs.reader(blob)?;
    check::rows(report, index, &mut *from, wanted)
}

fn damaged(file: &FileLine) -> Refusal {
    let sentence = format!(
        "rows of {} cannot be read where they lie; nothing is sold of it until that is mended",
        file.path
    );
    Refusal::new(Code::DatasetUnavailable, sentence).with("file", &file.path)
}

/// How many rows are read at once: by the longest texts of the columns, and by the mean of all rows.
fn at_once(report: &Report) -> usize {
    let longest = report.columns.iter().filter_map(|column| column.lengths);
    let longest = longest.fold(0_u64, |sum, lengths| sum.saturating_add(lengths.max));
    let mean = report.inflated.checked_div(report.rows.unwrap_or(0));
    let bytes = longest.max(mean.unwrap_or(0)).max(1);
    let rows = READ_BYTES.checked_div(bytes).unwrap_or(0);
    usize::try_from(rows.clamp(1, READ_ROWS)).unwrap_or(1)
}

/// What is left to show: a row has its share of it, and what a short one leaves is the next one's.
struct Room {
    bytes: usize,
    rows: usize,
}

impl Room {
    fn show(&mut self, row: &Row, table: &Table, number: u64) -> ShownRow {
        let mut left = self.bytes.checked_div(self.rows).unwrap_or(0);
        let share = left;
        let mut cells = Vec::new();
        for (name, cell) in row {
            let (name, cell) = (named(name), check::mask(cell));
            let Some(rest) = left.checked_sub(name.len().saturating_add(cell.len())) else {
                break;
            };
            left = rest;
            cells.push((name, cell));
        }
        self.bytes = self.bytes.saturating_sub(share.saturating_sub(left));
        self.rows = self.rows.saturating_sub(1);
        ShownRow {
            row: table.first.saturating_add(number),
            file: table.file.path.clone(),
            more: row.len().saturating_sub(cells.len()) as u64,
            cells,
        }
    }
}

/// The name of a column as it is shown: in JSON it is the data's own.
fn named(name: &str) -> String {
    let end = name.floor_char_boundary(NAME_BYTES_MAX);
    check::mask_found(name.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(first: u64, rows: u64) -> Table {
        let file = FileLine {
            sha256: [0; 32],
            bytes: 1,
            path: format!("{first}.csv"),
        };
        Table { file, first, rows }
    }

    #[test]
    fn a_drawn_row_is_found_in_its_file() {
        let tables = [table(0, 3), table(3, 1), table(4, 10)];
        assert_eq!(count(&tables).unwrap(), 14);
        let found = by_file(&tables, &[13, 2, 4, 0]);
        let found: Vec<_> = found
            .iter()
            .map(|(table, rows)| (table.first, rows.clone()))
            .collect();
        assert_eq!(found, [(0, vec![0, 2]), (4, vec![0, 9])]);
        assert_eq!(count(&[]).unwrap_err().code, Code::DatasetFile);
    }

    #[test]
    fn what_is_shown_has_an_end_and_is_masked() {
        let mut room = Room {
            bytes: 100,
            rows: 2,
        };
        let row = |cell: &str| vec![("name".to_owned(), cell.to_owned())];
        let short = room.show(&row("call 13912345678"), &table(5, 9), 2);
        assert_eq!((short.row, short.more), (7, 0));
        assert_eq!(short.cells[0].1, "call 139******78");
        // The first left most of its half.
        let long = [row(&"x".repeat(70)), row("y")].concat();
        let long = room.show(&long, &table(5, 9), 3);
        assert_eq!((long.cells.len(), long.more), (2, 0));
        let longer = room.show(&row("z"), &table(5, 9), 4);
        assert_eq!((longer.cells.len(), longer.more), (0, 1));
    }

    #[test]
    fn long_rows_are_read_a_few_at_once() {
        let mut report = Report::parse(
            br#"{"bytes":1,"columns":[],"flaws":[],"flaws_more":0,"form":1,"format":"csv","inflated":1000,"personal":[],"rows":10,"tokens":0}"#,
        )
        .unwrap();
        assert_eq!(at_once(&report), 200);
        report.inflated = 10 * (32 << 20);
        assert_eq!(at_once(&report), 2);
        report.inflated = u64::MAX;
        assert_eq!(at_once(&report), 1);
    }
}
