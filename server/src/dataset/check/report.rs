//! What the checks say of a content: one JSON of integers and texts, the same whoever reads it again. It never holds a value that
//! a detector found; numbers and column names pass the mask first.

use serde::{Deserialize, Serialize};
use verifier::json::{self, NotStrict};

use super::personal::Kind;

/// The form of the report: a number higher than that in `own_checks` says that the checks are to be run again.
pub const FORM: u32 = 1;
/// Flaws shown; those beyond are only counted, or a broken file would make a report of its size.
const FLAWS_MAX: usize = 100;

/// What was found in one content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`FORM`].
    pub form: u32,
    /// What the content is.
    pub format: Format,
    /// What it is packed by, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packing: Option<Packing>,
    /// Between the cells of a table of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Bytes read, as they are stored.
    pub bytes: u64,
    /// Bytes after unpacking; the same as `bytes` where nothing is packed.
    pub inflated: u64,
    /// Rows, where the format has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The columns in the order of the file; of JSON in the order of appearance.
    pub columns: Vec<Column>,
    /// ISO 639-1 of most of the text, where it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// An estimate: seven tenths of the CJK characters and a quarter of the other bytes.
    pub tokens: u64,
    /// Identifiers and keys, by column and kind.
    pub personal: Vec<Found>,
    /// What is wrong or odd, in the order of the file; at most a hundred.
    pub flaws: Vec<Flaw>,
    /// Flaws beyond those shown.
    pub flaws_more: u64,
    /// The files in an archive, by name only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
}

/// What a content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RFC 4180, with whatever delimiter.
    Csv,
    /// Cells between tabs.
    Tsv,
    /// A JSON value a line.
    Jsonl,
    /// One JSON array, or one value.
    Json,
    /// Apache Parquet.
    Parquet,
    /// Lines of text.
    Text,
    /// A zip archive: its names.
    Zip,
    /// A tar archive: its names.
    Tar,
    /// Anything else: bytes.
    Other,
}

/// What a content is packed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// A column and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name, identifiers in it masked.
    pub name: String,
    /// What its cells are.
    pub kind: Type,
    /// Rows without a value.
    pub nulls: u64,
    /// Different values, give or take 7 %.
    pub distinct: u64,
    /// The least number or date, digits masked as in previews.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// The mean of the numbers, four decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<String>,
    /// Bytes of the texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// No cell has a value.
    Empty,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// True or false.
    Boolean,
    /// Dates, `YYYY-MM-DD…`.
    Date,
    /// Texts.
    Text,
    /// Objects and lists.
    Nested,
    /// More than one of these.
    Mixed,
}

/// Bytes of texts: so many per cent are not longer, rounded up to a quarter of a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lengths {
    /// Half of them.
    pub p50: u64,
    /// Nine of ten.
    pub p90: u64,
    /// All but one in a hundred.
    pub p99: u64,
    /// The longest, exactly.
    pub max: u64,
}

/// Identifiers of one kind in one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Where: the name of the column.
    pub column: String,
    /// What.
    pub kind: Kind,
    /// How many.
    pub count: u64,
    /// The first one, masked.
    pub example: String,
}

/// How bad a flaw is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Programs that read this format will fail: it is not published.
    Broken,
    /// For who assesses it.
    Note,
}

/// Something wrong or odd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flaw {
    /// How bad.
    pub level: Level,
    /// What kind, for programs: `row.ragged`.
    pub code: String,
    /// The row, counted from 1 after the header; the header is row 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The name or, of a cell too many, the number of the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What is wrong and what to do.
    pub sentence: String,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// Its bytes when unpacked, as the archive says.
    pub bytes: u64,
}

impl Report {
    /// A report of nothing yet.
    pub(super) fn new(format: Format) -> Self {
        Self {
            form: FORM,
            format,
            packing: None,
            delimiter: None,
            bytes: 0,
            inflated: 0,
            rows: None,
            columns: Vec::new(),
            language: None,
            tokens: 0,
            personal: Vec::new(),
            flaws: Vec::new(),
            flaws_more: 0,
            entries: Vec::new(),
        }
    }

    /// Whether programs that read this format will fail.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken().is_some()
    }

    /// The first flaw that makes it unreadable. One is always among those shown.
    #[must_use]
    pub fn broken(&self) -> Option<&Flaw> {
        self.flaws.iter().find(|flaw| flaw.level == Level::Broken)
    }

    /// The canonical text (`verifier::json`).
    /// # Errors
    /// [`NotStrict`]: nothing that a check writes.
    pub fn text(&self) -> Result<Vec<u8>, NotStrict> {
        json::write(self)
    }

    /// Reads a text that [`Self::text`] wrote.
    /// # Errors
    /// [`NotStrict`], also where it is of another form.
    pub fn parse(text: &[u8]) -> Result<Self, NotStrict> {
        json::read(text)
    }

    pub(super) fn flaw(&mut self, flaw: Flaw) {
        if self.flaws.len() < FLAWS_MAX {
            self.flaws.push(flaw);
            return;
        }
        self.flaws_more += 1;
        // INVARIANT: a broken file says so, however many notes came first.
        if flaw.level == Level::Broken && !self.is_broken() {
            self.flaws.pop();
            self.flaws.push(flaw);
        }
    }
}

impl Flaw {
    /// A flaw of the whole file that makes it unreadable.
    pub(super) fn broken(code: &str, sentence: impl Into<String>) -> Self {
        Self {
            level: Level::Broken,
            code: code.to_owned(),
            row: None,
            column: None,
            sentence: sentence.into(),
        }
    }

    /// Something odd about the whole file.
    pub(super) fn note(code: &str, sentence: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            ..Self::broken(code, sentence)
        }
    }

    /// The same in a row.
    pub(super) fn at(mut self, row: u64, column: Option<String>) -> Self {
        self.row = Some(row);
        self.column = column;
        self
    }
}
