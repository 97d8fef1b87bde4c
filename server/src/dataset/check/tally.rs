//! What all formats feed: rows of cells go in, a report comes out. The room it takes does not grow with the rows.

use std::collections::BTreeMap;
use verifier::dataset::{Bands, MinHash, Sketch, row_hash};

use super::column::{Cell, Counted};
use super::language::Language;
use super::mask::masked;
use super::personal::{Kind, scan};
use super::report::{Flaw, Format, Found, Report};
use super::rows::Marks;
use super::{Checked, Limits};

/// Rows whose text is compared by shingles: enough to know a content by, and a small part of the time of a large one.
const SHINGLED_MAX: u64 = 100_000;
/// And bytes of them.
const SHINGLED_BYTES_MAX: u64 = 16 << 20;

/// Rows while they go by.
pub(super) struct Tally {
    pub(super) limits: Limits,
    pub(super) report: Report,
    pub(super) marks: Marks,
    columns: Vec<Counted>,
    personal: BTreeMap<(usize, Kind), (u64, String)>,
    language: Language,
    sketch: Sketch,
    bands: MinHash,
    shingled: u64,
    rows: u64,
}

impl Tally {
    pub(super) fn new(format: Format, limits: Limits) -> Self {
        Self {
            limits,
            report: Report::new(format),
            marks: Marks::new(),
            columns: Vec::new(),
            personal: BTreeMap::new(),
            language: Language::default(),
            sketch: Sketch::default(),
            bands: MinHash::default(),
            shingled: 0,
            rows: 0,
        }
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Columns so far.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The next column; `None` where there are too many, and that is noted.
    pub(super) fn column(&mut self, name: &str) -> Option<usize> {
        if self.columns.len() >= self.limits.columns_max {
            if !self
                .report
                .flaws
                .iter()
                .any(|flaw| flaw.code == "columns.many")
            {
                let most = self.limits.columns_max;
                let sentence = format!("there are more than {most} columns; make them rows");
                self.report.flaw(Flaw::broken("columns.many", sentence));
            }
            return None;
        }
        self.columns.push(Counted::new(name));
        Some(self.columns.len() - 1)
    }

    /// A cell of the row under way.
    pub(super) fn cell(&mut self, column: usize, cell: Cell<'_>) {
        if let Some(counted) = self.columns.get_mut(column) {
            counted.add(cell);
        }
        match cell {
            Cell::Number(text) => self.look(column, text),
            Cell::Text(text) => self.text(column, text),
            // The texts within are handed over one by one.
            Cell::Null | Cell::Boolean(_) | Cell::Nested(_) => {}
        }
    }

    /// A text, of a cell or within one: for language and detectors.
    pub(super) fn text(&mut self, column: usize, text: &str) {
        self.language.add(text);
        self.look(column, text);
    }

    /// For the detectors only.
    pub(super) fn look(&mut self, column: usize, text: &str) {
        let personal = &mut self.personal;
        scan(text.as_bytes(), |kind, span| {
            let value = text.as_bytes().get(span).unwrap_or_default();
            let found = personal
                .entry((column, kind))
                .or_insert_with(|| (0, masked(kind, value)));
            found.0 += 1;
        });
    }

    /// The row is complete: these bytes stand for it where contents are compared; it began at this byte.
    pub(super) fn row(&mut self, identity: &[u8], began_at: u64) {
        self.sketch.insert(row_hash(identity));
        if self.rows < SHINGLED_MAX && self.shingled < SHINGLED_BYTES_MAX {
            self.shingled += identity.len() as u64;
            self.bands.feed(&String::from_utf8_lossy(identity));
        }
        self.marks.row(self.rows, began_at);
        self.rows += 1;
    }

    /// A flaw of the row under way.
    pub(super) fn flaw_here(&mut self, flaw: Flaw, column: Option<usize>) {
        let name = column
            .and_then(|at| self.columns.get(at))
            .map(|column| column.name().to_owned());
        self.report.flaw(flaw.at(self.rows + 1, name));
    }

    /// What it comes to.
    pub(super) fn end(mut self) -> Checked {
        let rows = self.rows;
        let names: Vec<_> = self
            .columns
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        self.report.rows = Some(rows);
        self.report.columns = self
            .columns
            .into_iter()
            .map(|column| column.end(rows))
            .collect();
        self.report.language = self.language.language();
        self.report.tokens = self.language.tokens();
        let found = |((column, kind), (count, example)): ((usize, Kind), (u64, String))| Found {
            column: names.get(column).cloned().unwrap_or_default(),
            kind,
            count,
            example,
        };
        self.report.personal = self.personal.into_iter().map(found).collect();
        Checked {
            report: self.report,
            sketch: self.sketch,
            bands: self.bands.bands(),
            rows: self.marks.to_bytes(),
        }
    }
}

/// What is compared of a content without rows: nothing.
pub(super) fn no_rows() -> (Sketch, Bands) {
    (Sketch::default(), MinHash::default().bands())
}
