//! Which version a name in an address means, and all that is known of one.

use std::collections::BTreeSet;
use verifier::book::Book;
use verifier::dataset::{State, state};
use verifier::id::{DatasetId, DocumentDigest, PartyId, hex};
use verifier::money::Fen;
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

use super::card::{Card, Column, ColumnKind, FileRow, Listed, Table};
use super::check::{Column as Read, Format, Report, Type, report_of};
use super::{Fault, Parts};
use crate::store::dataset::file;
use crate::store::dataset::listing::{self, Listing};
use crate::store::dataset::version::{self as rows, Version};
use crate::store::{Db, StoreFault};

/// A commit's name has 40 digits on the hub: the first of the manifest's digest.
const COMMIT_DIGITS: usize = 40;

/// What the trail says of a version.
#[derive(Debug, Clone, Copy)]
pub(super) struct InTrail {
    pub(super) dataset: DatasetId,
    pub(super) vendor: PartyId,
    pub(super) seq: u64,
    pub(super) published: Timestamp,
    pub(super) price_fen: Fen,
    pub(super) licence: DocumentDigest,
    pub(super) state: State,
}

impl InTrail {
    pub(super) fn of(book: &Book, manifest: DocumentDigest) -> Option<Self> {
        let version = book.versions.get(&manifest)?;
        let (published, _) = version.prices.first()?;
        Some(Self {
            dataset: version.dataset,
            vendor: book.dataset(version.dataset).ok()?.vendor,
            seq: version.seq,
            published: *published,
            price_fen: version.price_fen,
            licence: version.licence,
            state: state(book, manifest).ok()?,
        })
    }
}

/// The versions that passed an assessment: those on sale first, newest first within.
pub fn shown(book: &Book, versions: &[Version]) -> Vec<Version> {
    let passed = |of: &&Version| {
        let version = book.versions.get(&of.manifest);
        version.is_some_and(|version| version.assessed == Some(true))
    };
    let weight = |of: &Version| match state(book, of.manifest) {
        Ok(State::Listed) => 0,
        Ok(State::Withdrawn(_)) => 1,
        Ok(State::Submitted | State::Assessed(_) | State::Recalled(_)) | Err(_) => 2,
    };
    let mut shown: Vec<Version> = versions.iter().filter(passed).cloned().collect();
    shown.sort_by_key(weight);
    shown
}

/// `main`, a `SemVer`, or the digits of the manifest's digest, 40 or all.
#[must_use]
pub fn chosen<'a>(shown: &'a [Version], revision: &str) -> Option<&'a Version> {
    if revision == "main" {
        return shown.first();
    }
    let is_it = |of: &&Version| {
        of.version == revision || commit(of.manifest) == revision || digits(of.manifest) == revision
    };
    shown.iter().find(is_it)
}

/// The 64 digits of a manifest's digest.
#[must_use]
pub fn digits(manifest: DocumentDigest) -> String {
    hex(manifest.hash().bytes())
}

/// The name of a version as a commit of the hub.
#[must_use]
pub fn commit(manifest: DocumentDigest) -> String {
    digits(manifest).chars().take(COMMIT_DIGITS).collect()
}

/// The version of a listing that a revision means, among those that passed an assessment.
/// # Errors
/// `listing.unknown`, or that somebody could not be asked.
pub async fn listed(
    parts: &Parts,
    handle: &str,
    name: &str,
    revision: &str,
) -> Result<Listed, Fault> {
    let unknown = |sentence: &str| Fault::Refused(Refusal::new(Code::ListingUnknown, sentence));
    let (of_handle, of_name) = (handle.to_owned(), name.to_owned());
    let found = parts.query(move |db| versions(db, &of_handle, &of_name));
    let (_, versions) = found
        .await?
        .ok_or_else(|| unknown("there is no such listing; GET /v1/search finds what is sold"))?;
    let shown = parts.desk.read(|book| shown(book, &versions)).await?;
    let chosen = chosen(&shown, revision);
    let manifest = chosen.map(|version| version.manifest).ok_or_else(|| {
        unknown("the listing has no such version that was assessed; main is its newest")
    })?;
    listed_of(parts, manifest).await
}

/// A listing by its names, with its versions in the trail, newest first.
/// # Errors
/// [`StoreFault`]
pub fn versions(
    db: &mut Db,
    handle: &str,
    name: &str,
) -> Result<Option<(Listing, Vec<Version>)>, StoreFault> {
    let Some(listing) = listing::listing(db, handle, name)? else {
        return Ok(None);
    };
    let versions = rows::of(db, &listing.id)?;
    Ok(Some((listing, versions)))
}

/// A version that was uploaded here, whatever its state.
/// # Errors
/// `dataset.unknown`, or that somebody could not be asked.
pub async fn listed_of(parts: &Parts, manifest: DocumentDigest) -> Result<Listed, Fault> {
    let in_trail = parts
        .desk
        .read(move |book| InTrail::of(book, manifest))
        .await?;
    let found = parts.query(move |db| {
        let (Some(in_trail), Some(version)) = (in_trail, rows::get(db, manifest)?) else {
            return Ok(None);
        };
        assembled(db, &version, in_trail).map(Some)
    });
    let unknown = "no version with that manifest was uploaded here";
    Ok(found
        .await?
        .ok_or_else(|| Refusal::new(Code::DatasetUnknown, unknown).with("manifest", manifest))?)
}

/// Puts together what rows and trail say of a version.
pub(super) fn assembled(
    db: &mut Db,
    version: &Version,
    in_trail: InTrail,
) -> Result<Listed, StoreFault> {
    let inconsistent = |what: &str| StoreFault::Inconsistent(format!("own_versions: {what}"));
    let listing = listing::by_id(db, &version.listing)?
        .ok_or_else(|| inconsistent("a version of no listing"))?;
    let card = Card::parse(version.card.as_bytes())
        .map_err(|fault| inconsistent(&format!("a card that is none: {fault}")))?;
    let mut files = Vec::new();
    for line in file::all(db, &version.manifest.to_string())? {
        files.push(FileRow {
            table: report_of(db, &line.sha256)?.map(|report| table(&report)),
            path: line.path,
            sha256: line.sha256,
            bytes: line.bytes,
        });
    }
    Ok(Listed {
        listing: listing.id,
        handle: listing.handle,
        name: listing.name,
        vendor: in_trail.vendor,
        manifest: version.manifest,
        dataset: in_trail.dataset,
        version: version.version.clone(),
        published: in_trail.published,
        price_fen: in_trail.price_fen,
        licence: in_trail.licence,
        state: in_trail.state,
        card,
        files,
    })
}

fn table(report: &Report) -> Table {
    let column = |of: &Read| Column {
        name: of.name.clone(),
        kind: match of.kind {
            Type::Integer => ColumnKind::Integer,
            Type::Number => ColumnKind::Float,
            Type::Boolean => ColumnKind::Boolean,
            Type::Date => ColumnKind::Date,
            Type::Text | Type::Nested | Type::Mixed | Type::Empty => ColumnKind::Text,
        },
    };
    Table {
        rows: report.rows,
        columns: report.columns.iter().map(column).collect(),
        is_plain: is_plain(report),
    }
}

fn is_plain(report: &Report) -> bool {
    let names: BTreeSet<&str> = report.columns.iter().map(|of| of.name.as_str()).collect();
    // A name under the mask is not the name in the file.
    let are_names = names.len() == report.columns.len()
        && names
            .iter()
            .all(|name| !name.is_empty() && !name.contains('*'));
    let is_usual = match report.format {
        Format::Csv => report.delimiter == Some(','),
        Format::Tsv => report.delimiter == Some('\t'),
        Format::Json => {
            let mut columns = report.columns.iter();
            columns.all(|of| of.nulls == 0 && !of.name.contains(['\'', '\\']))
        }
        Format::Jsonl | Format::Parquet => true,
        Format::Text | Format::Zip | Format::Tar | Format::Other => false,
    };
    are_names && is_usual && report.packing.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dataset::version::State as Row;

    fn version(name: &str) -> Version {
        Version {
            manifest: DocumentDigest::of(name.as_bytes()),
            listing: "lst-1".to_owned(),
            version: name.to_owned(),
            card: "{}".to_owned(),
            state: Row::Submitted,
            seq: 1,
            report: DocumentDigest::of(b"report"),
        }
    }

    #[test]
    fn a_revision_is_main_a_version_or_a_commit() {
        let shown = [version("2.0.0"), version("1.0.0")];
        let name = |revision: &str| chosen(&shown, revision).map(|of| of.version.as_str());
        assert_eq!(name("main"), Some("2.0.0"));
        assert_eq!(name("1.0.0"), Some("1.0.0"));
        assert_eq!(name(&commit(shown[1].manifest)), Some("1.0.0"));
        assert_eq!(name(&digits(shown[1].manifest)), Some("1.0.0"));
        for none in ["", "1.0", "Main", &digits(shown[0].manifest)[..39]] {
            assert_eq!(name(none), None, "{none}");
        }
    }
}
