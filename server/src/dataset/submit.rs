//! A draft becomes a version of the trail: what is checked first, what is kept, and what is known of it afterwards.
//!
//! Everything that the entry names by digest is kept before it is asked for, and the rows are settled after it is committed. A
//! crash between the two is made good by [`settle_pending`] in the next round of upkeep, or by whoever sends the submission again.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use verifier::book::command::PublishDataset;
use verifier::dataset::{Finding, Manifest, SemVer, Source, check_findings, check_step, lint};
use verifier::id::{DatasetId, DocumentDigest, PartyId, hex};
use verifier::json;
use verifier::money::Fen;
use verifier::refusal::{Code, Refusal};

use super::card::{Card, Listed};
use super::check::{Report, report_of};
use super::near;
use super::version::{InTrail, assembled};
use super::{Fault, Parts, find};
use crate::store::dataset::blob::{self, State as Blob};
use crate::store::dataset::file;
use crate::store::dataset::listing::{self, Document, Listing};
use crate::store::dataset::version::{self as rows, State, Version};
use crate::store::{Db, StoreFault};

/// A manifest up to this length stands in the trail itself; of a longer one its digest does.
const FILES_BYTES_MAX: usize = 8_192;

/// What a vendor hands in.
#[derive(Debug, Clone)]
pub struct HandedIn {
    /// The draft.
    pub listing: Listing,
    /// The version's name.
    pub version: String,
    /// What a licence costs.
    pub price_fen: Fen,
}

/// What the assessor reads of a version: its digest is what an assessment names.
#[derive(Debug, Serialize)]
struct Assessment<'a> {
    manifest: DocumentDigest,
    card: DocumentDigest,
    files: Vec<FileReport<'a>>,
    near: &'a [NearReport],
    licence: &'a [Finding],
}

#[derive(Debug, Serialize)]
struct FileReport<'a> {
    path: &'a str,
    sha256: String,
    bytes: u64,
    report: &'a Report,
}

/// How much of a file is in a version of somebody else, in hundredths of a per cent.
#[derive(Debug, Serialize)]
struct NearReport {
    path: String,
    version: String,
    handle: String,
    in_other_bp: u32,
    of_other_bp: u32,
}

/// A draft as the rows have it.
struct Draft {
    card: Card,
    card_text: Vec<u8>,
    /// The digest of the licence's text.
    licence: DocumentDigest,
    manifest: Manifest,
    reports: Vec<Report>,
    before: Option<(String, Manifest)>,
    sources: Vec<String>,
    near: Vec<NearReport>,
}

/// Checks a draft and keeps what its entry will name; returns what to ask of the desk, and the version to settle then.
/// # Errors
/// `listing.incomplete`, `dataset.pending`, `dataset.file`, `dataset.duplicate`, `dataset.licence`: nothing is kept then.
pub async fn prepare(
    parts: &Parts,
    handed_in: &HandedIn,
) -> Result<(PublishDataset, Version), Fault> {
    if SemVer::parse(&handed_in.version).is_none() {
        let sentence = "the version is major.minor.patch (SemVer 2.0.0), e.g. 1.0.0";
        return Err(Refusal::new(Code::ListingIncomplete, sentence).into());
    }
    let listing = handed_in.listing.clone();
    let draft = parts.query(move |db| Ok(draft(db, &listing))).await??;
    let manifest = draft.manifest.digest();
    let taken = parts
        .desk
        .read(|book| InTrail::of(book, manifest).is_some())
        .await?;
    if taken {
        let sentence = "just these files are published already; a version is published once";
        let refusal = Refusal::new(Code::DatasetDuplicate, sentence);
        return Err(refusal.with("manifest", manifest).into());
    }
    let findings = licence(&draft)?;
    if let Some((name, before)) = &draft.before {
        check_step((name, before), (&handed_in.version, &draft.manifest))?;
    }
    let assessment = assessment(&draft, &findings)?;
    let command = command(handed_in, &draft)?;
    let version = Version {
        manifest,
        listing: handed_in.listing.id.clone(),
        version: handed_in.version.clone(),
        card: String::from_utf8_lossy(&draft.card_text).into_owned(),
        state: State::Pending,
        seq: 0,
        report: DocumentDigest::of(&assessment),
    };
    let documents = [
        ("card", draft.card_text),
        ("manifest", draft.manifest.text().into_bytes()),
        ("report", assessment),
    ];
    let pending = version.clone();
    let kept = parts.query(move |db| {
        db.transaction(|db| {
            for (kind, body) in documents {
                listing::keep_document(db, &document(kind, body))?;
            }
            // Somebody was faster since: the desk will say so.
            let settled = rows::get(db, manifest)?.is_some_and(|of| of.state == State::Submitted);
            if settled {
                return Ok(());
            }
            rows::keep(db, &pending)
        })
    });
    kept.await?;
    Ok((command, version))
}

fn document(kind: &str, body: Vec<u8>) -> Document {
    Document {
        digest: DocumentDigest::of(&body).to_string(),
        kind: kind.to_owned(),
        party: None,
        body,
    }
}

fn command(handed_in: &HandedIn, draft: &Draft) -> Result<PublishDataset, Fault> {
    let dataset = handed_in.listing.dataset.as_deref();
    let dataset = dataset.map(DatasetId::parse).transpose();
    let dataset = dataset.map_err(|_| {
        StoreFault::Inconsistent("own_listings.dataset is no dataset's id".to_owned())
    })?;
    let files = draft.manifest.text();
    Ok(PublishDataset {
        dataset,
        version: handed_in.version.clone(),
        manifest: draft.manifest.digest(),
        bytes: draft.manifest.bytes(),
        files: (files.len() <= FILES_BYTES_MAX).then_some(files),
        price_fen: handed_in.price_fen,
        licence: draft.licence,
        card: Some(DocumentDigest::of(&draft.card_text)),
    })
}

fn incomplete(what: &str) -> Refusal {
    let sentence = format!("the listing lacks {what}; add it and hand in again");
    Refusal::new(Code::ListingIncomplete, sentence).with("missing", what)
}

/// Reads a draft with all that is known of its files; refuses what is not ready, in the order in which a vendor mends it.
fn draft(db: &mut Db, listing: &Listing) -> Result<Draft, Fault> {
    let card = Card::parse(listing.card.as_bytes())?;
    let missing = card.missing();
    if !missing.is_empty() {
        return Err(incomplete(&missing.join(", ")).into());
    }
    let lines = file::all(db, &listing.id)?;
    if lines.is_empty() {
        return Err(incomplete("files").into());
    }
    let manifest = Manifest::new(lines)?;
    let mut reports = Vec::new();
    for line in manifest.files() {
        reports.push(ready(db, &line.path, &line.sha256)?);
    }
    not_anothers(db, listing, &manifest)?;
    let before = match rows::of(db, &listing.id)?.into_iter().next() {
        None => None,
        Some(version) => Some((version.version, kept_manifest(db, version.manifest)?)),
    };
    let mut sources = Vec::new();
    for source in &card.sources {
        sources.push(licence_text(db, source.text)?);
    }
    let licence = card
        .licence
        .text
        .ok_or_else(|| incomplete("licence.text"))?;
    if listing::document(db, licence)?.is_none() {
        let sentence = "keep the licence's text first: POST /v1/documents";
        return Err(Refusal::new(Code::ListingIncomplete, sentence)
            .with("missing", licence)
            .into());
    }
    let near = near_others(db, listing, &manifest)?;
    let card_text = card.text()?;
    Ok(Draft {
        card,
        card_text,
        licence,
        manifest,
        reports,
        before,
        sources,
        near,
    })
}

/// The report on a file that lies here whole.
fn ready(db: &mut Db, path: &str, sha256: &[u8; 32]) -> Result<Report, Fault> {
    let stored = blob::get(db, sha256)?.map(|blob| blob.state);
    let report = match (stored, report_of(db, sha256)?) {
        (Some(Blob::Stored), Some(report)) => report,
        (Some(Blob::Damaged), _) => {
            let sentence = format!("{path} is damaged where it lies; upload it again");
            return Err(Refusal::new(Code::DatasetFile, sentence)
                .with("file", path)
                .into());
        }
        (Some(Blob::Stored) | None, _) => {
            let sentence =
                format!("{path} is still being checked and stored; hand in again in a moment");
            return Err(Refusal::new(Code::DatasetPending, sentence)
                .with("file", path)
                .into());
        }
    };
    let Some(flaw) = report.broken() else {
        return Ok(report);
    };
    let mut refusal = Refusal::new(Code::DatasetFile, format!("{path}: {}", flaw.sentence))
        .with("file", path)
        .with("flaw", &flaw.code);
    if let Some(row) = flaw.row {
        refusal = refusal.with("row", row);
    }
    if let Some(column) = &flaw.column {
        refusal = refusal.with("column", column);
    }
    Err(refusal.into())
}

/// Refuses what another vendor has published, whatever its paths.
fn not_anothers(db: &mut Db, listing: &Listing, manifest: &Manifest) -> Result<(), Fault> {
    let contents: BTreeSet<[u8; 32]> = manifest.files().iter().map(|file| file.sha256).collect();
    let mut others: Option<BTreeSet<String>> = None;
    for content in &contents {
        let with = rows::with(db, content)?.into_iter();
        let with = with.filter(|(_, handle)| *handle != listing.handle);
        let with: BTreeSet<String> = with.map(|(manifest, _)| manifest).collect();
        others = Some(match others {
            None => with,
            Some(before) => before.intersection(&with).cloned().collect(),
        });
    }
    let Some(other) = others.into_iter().flatten().next() else {
        return Ok(());
    };
    let sentence = "every file of it is in a version that another vendor has published";
    Err(Refusal::new(Code::DatasetDuplicate, sentence)
        .with("manifest", other)
        .into())
}

fn kept_manifest(db: &mut Db, manifest: DocumentDigest) -> Result<Manifest, StoreFault> {
    let kept = listing::document(db, manifest)?.and_then(|kept| String::from_utf8(kept.body).ok());
    let kept = kept.and_then(|kept| Manifest::parse(&kept).ok());
    kept.ok_or_else(|| {
        StoreFault::Inconsistent(format!("own_documents has no manifest {manifest}"))
    })
}

fn licence_text(db: &mut Db, digest: Option<DocumentDigest>) -> Result<String, Fault> {
    let Some(digest) = digest else {
        return Ok(String::new());
    };
    let Some(text) = listing::document(db, digest)? else {
        let sentence = "keep the text of a source's licence first: POST /v1/documents";
        return Err(Refusal::new(Code::ListingIncomplete, sentence)
            .with("missing", digest)
            .into());
    };
    Ok(String::from_utf8_lossy(&text.body).into_owned())
}

/// Which versions of others hold rows of these files.
fn near_others(
    db: &mut Db,
    listing: &Listing,
    manifest: &Manifest,
) -> Result<Vec<NearReport>, Fault> {
    let mut found = Vec::new();
    for line in manifest.files() {
        for near in near::of(db, &line.sha256)? {
            let with = rows::with(db, &near.sha256)?.into_iter();
            let others = with.filter(|(_, handle)| *handle != listing.handle);
            found.extend(others.map(|(version, handle)| NearReport {
                path: line.path.clone(),
                version,
                handle,
                in_other_bp: near.in_other_bp,
                of_other_bp: near.of_other_bp,
            }));
        }
    }
    Ok(found)
}

fn licence(draft: &Draft) -> Result<Vec<Finding>, Refusal> {
    let sources = draft.card.sources.iter().zip(&draft.sources);
    let sources: Vec<Source<'_>> = sources
        .map(|(source, text)| Source {
            expression: source.licence.as_deref(),
            text,
        })
        .collect();
    let findings = lint(&draft.card.licence.expression, &sources)?;
    check_findings(&findings)?;
    Ok(findings)
}

fn assessment(draft: &Draft, licence: &[Finding]) -> Result<Vec<u8>, Fault> {
    let files = draft.manifest.files().iter().zip(&draft.reports);
    let document = Assessment {
        manifest: draft.manifest.digest(),
        card: DocumentDigest::of(&draft.card_text),
        files: files
            .map(|(line, report)| FileReport {
                path: &line.path,
                sha256: hex(&line.sha256),
                bytes: line.bytes,
                report,
            })
            .collect(),
        near: &draft.near,
        licence,
    };
    Ok(json::write(&document).map_err(Refusal::from)?)
}

/// What a listing handed in under a manifest, as the rows have it.
/// # Errors
/// [`Fault::Store`]
pub async fn kept(
    parts: &Parts,
    manifest: DocumentDigest,
    listing: &str,
) -> Result<Option<Version>, Fault> {
    let version = parts.query(move |db| rows::get(db, manifest)).await?;
    Ok(version.filter(|of| of.listing == listing))
}

/// Says in the rows that the trail has a version of this listing, whatever another has handed in under the same manifest meanwhile, and
/// makes it findable; again it changes nothing.
/// # Errors
/// [`Fault`]
pub async fn settle(parts: &Parts, version: Version) -> Result<(), Fault> {
    let manifest = version.manifest;
    let in_trail = parts
        .desk
        .read(move |book| InTrail::of(book, manifest))
        .await?;
    let Some(in_trail) = in_trail else {
        return Ok(());
    };
    let settled = parts.query(move |db| {
        let files = kept_manifest(db, manifest)?;
        // Written first: SQLite refuses whoever has read before another one wrote.
        db.transaction(|db| settle_rows(db, version, &files, in_trail))
    });
    settled.await
}

fn settle_rows(
    db: &mut Db,
    version: Version,
    files: &Manifest,
    in_trail: InTrail,
) -> Result<(), StoreFault> {
    for line in files.files() {
        file::put(db, &version.manifest.to_string(), line)?;
    }
    let version = Version {
        state: State::Submitted,
        seq: in_trail.seq,
        ..version
    };
    rows::keep(db, &version)?;
    let listed = assembled(db, &version, in_trail)?;
    listing::is_dataset(db, &version.listing, listed.dataset)?;
    find::index(db, &findable(&listed, version.seq))
}

/// Forgets what was handed in and refused.
/// # Errors
/// [`Fault::Store`]
pub async fn forget(parts: &Parts, manifest: DocumentDigest, listing: &str) -> Result<(), Fault> {
    let listing = listing.to_owned();
    parts
        .query(move |db| rows::forget(db, manifest, &listing))
        .await
}

/// Settles what the trail has and the rows do not say yet: a server died between the two.
/// # Errors
/// [`Fault`]: the rest waits for the next round.
pub async fn settle_pending(parts: &Parts) -> Result<(), Fault> {
    for version in parts.query(rows::pending).await? {
        let manifest = version.manifest;
        let vendor = parts
            .desk
            .read(move |book| InTrail::of(book, manifest).map(|of| of.vendor))
            .await?;
        let of = version.listing.clone();
        let party = parts.query(move |db| party_of(db, &of)).await?;
        if vendor.is_some() && vendor == party {
            settle(parts, version).await?;
        }
    }
    Ok(())
}

fn party_of(db: &mut Db, listing: &str) -> Result<Option<PartyId>, StoreFault> {
    let Some(listing) = listing::by_id(db, listing)? else {
        return Ok(None);
    };
    let party = listing::party_of(db, &listing.handle)?;
    Ok(party.and_then(|party| PartyId::parse(&party).ok()))
}

/// A version as it is to be found.
fn findable(listed: &Listed, n: u64) -> find::Entry {
    let card = &listed.card;
    let titles: Vec<&str> = card.title.each().map(|(_, text)| text).collect();
    let columns = listed.files.iter().filter_map(|file| file.table.as_ref());
    let columns = columns.flat_map(|table| table.columns.iter().map(|column| &*column.name));
    let rest: Vec<&str> = [&*listed.handle, &*listed.name, &*card.description]
        .into_iter()
        .chain(columns)
        .collect();
    find::Entry {
        n,
        listing: listed.listing.clone(),
        manifest: listed.manifest.to_string(),
        texts: [
            titles.join("\n"),
            card.keywords.join("\n"),
            card.summary.clone(),
            rest.join("\n"),
        ],
        languages: card.languages.clone(),
        licence: card.licence.expression.clone(),
        formats: listed.formats().into_iter().map(str::to_owned).collect(),
        bytes: listed.bytes(),
        price_fen: listed.price_fen.get(),
        shown: json!({
            "handle": listed.handle, "name": listed.name, "version": listed.version,
            "title": card.title.first(), "titles": card.title, "keywords": card.keywords, "summary": card.summary,
            "languages": card.languages, "licence": card.licence.expression,
            "formats": listed.formats(), "rows": listed.rows(),
        }),
    }
}
