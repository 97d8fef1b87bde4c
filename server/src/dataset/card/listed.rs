//! A published version with all that its documents say: the card, the trail's numbers, the files and what the checks read of them.

use verifier::dataset::State;
use verifier::id::{DatasetId, DocumentDigest, PartyId};
use verifier::money::Fen;
use verifier::time::Timestamp;

use super::Card;
use crate::address;

/// A published version.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The listing's id, `lst-…`.
    pub listing: String,
    /// The vendor's name in addresses.
    pub handle: String,
    /// The listing's name in addresses.
    pub name: String,
    /// Who sells it.
    pub vendor: PartyId,
    /// Which version: the digest of its manifest.
    pub manifest: DocumentDigest,
    /// The dataset in the trail.
    pub dataset: DatasetId,
    /// Its semantic version.
    pub version: String,
    /// When it was published.
    pub published: Timestamp,
    /// Its price now.
    pub price_fen: Fen,
    /// The digest of the licence's text.
    pub licence: DocumentDigest,
    /// Where it stands.
    pub state: State,
    /// The card as it was published.
    pub card: Card,
    /// Its files in the order of their paths.
    pub files: Vec<FileRow>,
}

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its path.
    pub path: String,
    /// Its content.
    pub sha256: [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// Its rows and columns, where it is a table that was read.
    pub table: Option<Table>,
}

/// What the checks read of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// How many rows it has.
    pub rows: Option<u64>,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// Whether who goes by the file's name reads just these columns: nothing packed, the usual delimiter, each name once, and in
    /// JSON every member in every row.
    pub is_plain: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub kind: ColumnKind,
}

/// What is in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text, and all that is none of the others.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Yes or no.
    Boolean,
    /// A day.
    Date,
}

/// What a file is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Parquet,
    Jsonl,
    Json,
    Csv,
    Tsv,
    Text,
    Zip,
    Tar,
    Other,
}

impl Form {
    pub(super) fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        let end = name.rsplit_once('.').map_or("", |(_, end)| end);
        match &*end.to_ascii_lowercase() {
            "parquet" => Self::Parquet,
            "jsonl" | "ndjson" => Self::Jsonl,
            "json" => Self::Json,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "txt" | "md" => Self::Text,
            "zip" => Self::Zip,
            "tar" => Self::Tar,
            _ => Self::Other,
        }
    }

    /// The media type that readers of Croissant know: they refuse Parquet's registered one.
    pub(super) const fn croissant(self) -> &'static str {
        match self {
            Self::Parquet => "application/x-parquet",
            Self::Jsonl => "application/jsonlines",
            Self::Json
            | Self::Csv
            | Self::Tsv
            | Self::Text
            | Self::Zip
            | Self::Tar
            | Self::Other => self.iana(),
        }
    }

    /// The registered media type, or the nearest.
    pub(super) const fn iana(self) -> &'static str {
        match self {
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Jsonl => "application/jsonl",
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::Text => "text/plain",
            Self::Zip => "application/zip",
            Self::Tar => "application/x-tar",
            Self::Other => "application/octet-stream",
        }
    }

    /// The word in configurations and lists.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Jsonl => "jsonl",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Text => "text",
            Self::Zip => "zip",
            Self::Tar => "tar",
            Self::Other => "other",
        }
    }

    /// Whether a reader makes rows of it.
    pub(super) const fn is_table(self) -> bool {
        match self {
            Self::Parquet | Self::Jsonl | Self::Json | Self::Csv | Self::Tsv => true,
            Self::Text | Self::Zip | Self::Tar | Self::Other => false,
        }
    }
}

impl Listed {
    /// `handle/name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.handle, self.name)
    }

    /// The address of its page.
    #[must_use]
    pub fn url(&self, base: &str) -> String {
        format!("{base}/datasets/{}/{}", self.handle, self.name)
    }

    /// The address of its documents, without their names.
    #[must_use]
    pub fn documents(&self, base: &str) -> String {
        let version = address::path(&self.version);
        format!("{base}/v1/listings/{}/{}/{version}", self.handle, self.name)
    }

    /// The address of a file.
    #[must_use]
    pub fn file_url(&self, base: &str, path: &str) -> String {
        format!(
            "{}/resolve/{}/{}",
            self.url(base),
            address::path(&self.version),
            address::path(path)
        )
    }

    /// The bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// The rows of all tables whose rows were counted; none where none were.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        let counted = self
            .files
            .iter()
            .filter_map(|file| file.table.as_ref()?.rows);
        counted.reduce(u64::saturating_add)
    }

    /// The formats of its files.
    #[must_use]
    pub fn formats(&self) -> Vec<&'static str> {
        let mut forms: Vec<Form> = self.files.iter().map(|file| Form::of(&file.path)).collect();
        forms.sort_unstable();
        forms.dedup();
        forms.into_iter().map(Form::word).collect()
    }

    /// The day of its publication in UTC, `YYYY-MM-DD`.
    pub(super) fn day(&self) -> String {
        self.published.to_string().chars().take(10).collect()
    }

    /// The longest text about it that is there.
    pub(super) fn description(&self) -> &str {
        let card = &self.card;
        if card.description.is_empty() {
            &card.summary
        } else {
            &card.description
        }
    }
}
