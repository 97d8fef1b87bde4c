//! What is told of listings and versions beside the card's documents: the page of a listing, the checks' reports, who may read which
//! document behind a digest.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use verifier::book::Book;
use verifier::book::state::order::Goods;
use verifier::dataset::{State, state};
use verifier::id::{DocumentDigest, OrderId, PartyId, hex};
use verifier::money::Fen;
use verifier::time::Timestamp;

use super::card::{Card, FileRow, Listed};
use super::check::{Report, report_of};

use super::{Fault, Parts};
use crate::store::dataset::delivery;
use crate::store::dataset::listing::Document;
use crate::store::dataset::version::{self as rows, Version};
use crate::store::{Db, StoreFault};

/// What the trail says of a version on the page of its listing.
struct Standing {
    state: State,
    published: Timestamp,
    prices: Vec<(Timestamp, Fen)>,
    bytes: u64,
    seq: u64,
}

impl Standing {
    fn of(book: &Book, manifest: DocumentDigest) -> Option<Self> {
        let version = book.versions.get(&manifest)?;
        let (published, _) = version.prices.first()?;
        Some(Self {
            state: state(book, manifest).ok()?,
            published: *published,
            prices: version.prices.clone(),
            bytes: version.bytes,
            seq: version.seq,
        })
    }
}

/// The page of a listing: its newest version in full, the others in a line each. `shown` are those that passed an assessment, the
/// one that counts first.
/// # Errors
/// [`Fault`]
pub async fn page(
    parts: &Parts,
    listed: &Listed,
    shown: Vec<Version>,
    base: &str,
) -> Result<Value, Fault> {
    let (standings, as_of) = parts
        .desk
        .read(|book| {
            let standing = |of: &Version| Standing::of(book, of.manifest);
            let all: Vec<Option<Standing>> = shown.iter().map(standing).collect();
            (all, book.size.saturating_sub(1))
        })
        .await?;
    let mut versions: Vec<(u64, Value)> = shown
        .iter()
        .zip(standings)
        .filter_map(|(of, standing)| Some(line(of, &standing?)))
        .collect();
    versions.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
    let versions: Vec<Value> = versions.into_iter().map(|(_, line)| line).collect();
    let card = &listed.card;
    Ok(json!({
        "listing": listed.listing, "handle": listed.handle, "name": listed.name, "vendor": listed.vendor,
        "dataset": listed.dataset, "state": listed.state.as_str(), "title": card.title, "summary": card.summary,
        "description": card.description, "languages": card.languages, "keywords": card.keywords,
        "licence": { "expression": card.licence.expression, "text": listed.licence }, "contact": card.contact,
        "version": listed.version, "manifest": listed.manifest, "price_fen": listed.price_fen,
        "bytes": listed.bytes(), "rows": listed.rows(), "formats": listed.formats(),
        "files": listed.files.iter().map(file).collect::<Vec<_>>(),
        "checks": checks(parts, listed).await?, "versions": versions,
        "documents": listed.documents(base), "as_of": as_of,
    }))
}

fn line(of: &Version, standing: &Standing) -> (u64, Value) {
    let card = Card::parse(of.card.as_bytes()).unwrap_or_default();
    let price = standing.prices.last().map(|(_, price)| price);
    let prices = standing.prices.iter();
    let prices: Vec<Value> = prices
        .map(|(at, price)| json!({ "at": at, "price_fen": price }))
        .collect();
    let line = json!({
        "version": of.version, "manifest": of.manifest, "state": standing.state.as_str(),
        "published_at": standing.published, "seq": standing.seq, "bytes": standing.bytes,
        "price_fen": price, "prices": prices, "changelog": card.changelog,
    });
    (standing.seq, line)
}

fn file(of: &FileRow) -> Value {
    json!({
        "path": of.path, "bytes": of.bytes, "sha256": hex(&of.sha256),
        "rows": of.table.as_ref().and_then(|table| table.rows),
    })
}

/// What the checks found in all files together.
async fn checks(parts: &Parts, listed: &Listed) -> Result<Value, Fault> {
    let reports = reports(parts, listed).await?;
    let mut personal: BTreeMap<String, u64> = BTreeMap::new();
    let (mut tokens, mut flaws, mut languages) = (0_u64, 0_u64, Vec::new());
    for report in reports.values() {
        for found in &report.personal {
            let kind = json!(found.kind).as_str().unwrap_or_default().to_owned();
            let count = personal.entry(kind).or_default();
            *count = count.saturating_add(found.count);
        }
        tokens = tokens.saturating_add(report.tokens);
        let shown = u64::try_from(report.flaws.len()).unwrap_or(u64::MAX);
        flaws = flaws
            .saturating_add(shown)
            .saturating_add(report.flaws_more);
        languages.extend(report.language.clone());
    }
    languages.sort_unstable();
    languages.dedup();
    Ok(json!({ "tokens": tokens, "languages": languages, "personal": personal, "flaws": flaws }))
}

/// What the checks found, file by file: never a value that a detector found.
/// # Errors
/// [`Fault`]
pub async fn report_document(parts: &Parts, listed: &Listed) -> Result<Value, Fault> {
    let reports = reports(parts, listed).await?;
    let of_file = |file: &FileRow| {
        json!({
            "path": file.path, "sha256": hex(&file.sha256), "bytes": file.bytes,
            "report": reports.get(&file.sha256),
        })
    };
    let files: Vec<Value> = listed.files.iter().map(of_file).collect();
    Ok(json!({ "manifest": listed.manifest, "version": listed.version, "files": files }))
}

/// The reports of a version's contents.
async fn reports(parts: &Parts, listed: &Listed) -> Result<BTreeMap<[u8; 32], Report>, Fault> {
    let contents: Vec<[u8; 32]> = listed.files.iter().map(|file| file.sha256).collect();
    let read = move |db: &mut Db| {
        let mut reports = BTreeMap::new();
        for content in contents {
            if let Some(report) = report_of(db, &content)? {
                reports.insert(content, report);
            }
        }
        Ok(reports)
    };
    parts.query(read).await
}

/// The day on which the version before was published; none of a first one.
/// # Errors
/// [`Fault`]
pub async fn day_before(parts: &Parts, listed: &Listed) -> Result<Option<String>, Fault> {
    let (dataset, manifest) = (listed.dataset, listed.manifest);
    let published = parts.desk.read(|book| {
        let versions = &book.datasets.get(&dataset)?.versions;
        let place = versions.iter().position(|of| *of == manifest)?;
        let before = versions.get(place.checked_sub(1)?)?;
        let (published, _) = *book.versions.get(before)?.prices.first()?;
        Some(published)
    });
    let day = |at: Timestamp| at.to_string().chars().take(10).collect();
    Ok(published.await?.map(day))
}

/// Whether a text is the licence of a version that passed an assessment: that is read before one buys.
#[must_use]
pub fn is_offered(book: &Book, digest: DocumentDigest) -> bool {
    let mut versions = book.versions.values();
    versions.any(|version| version.licence == digest && version.assessed == Some(true))
}

/// What a party sells and buys, as far as documents about it go.
struct Dealt {
    manifests: Vec<DocumentDigest>,
    orders: Vec<(OrderId, DocumentDigest)>,
    is_named: bool,
}

/// Whether a document is about a version that the party sells or has ordered, or its own.
/// # Errors
/// [`Fault`]
pub async fn concerns(parts: &Parts, party: PartyId, document: &Document) -> Result<bool, Fault> {
    if document.party.as_deref() == Some(&party.to_string()) {
        return Ok(true);
    }
    let Ok(digest) = DocumentDigest::parse(&document.digest) else {
        return Ok(false);
    };
    let dealt = parts.desk.read(|book| dealt(book, party, digest)).await?;
    if dealt.is_named {
        return Ok(true);
    }
    parts.query(move |db| refers(db, &dealt, digest)).await
}

fn dealt(book: &Book, party: PartyId, digest: DocumentDigest) -> Dealt {
    let sold = book.datasets.values().filter(|of| of.vendor == party);
    let mut manifests: Vec<DocumentDigest> = sold.flat_map(|of| of.versions.clone()).collect();
    let mut orders = Vec::new();
    for id in book.money.orders_of(party) {
        let segments = book.orders.get(&id).map(|order| &order.segments);
        let ordered = segments.into_iter().flatten().filter_map(|segment| {
            if let Goods::Dataset { manifest, .. } = segment.goods {
                return Some((id, manifest));
            }
            None
        });
        orders.extend(ordered);
    }
    manifests.extend(orders.iter().map(|(_, manifest)| *manifest));
    manifests.sort_unstable();
    manifests.dedup();
    let is_named = manifests.iter().any(|manifest| {
        let version = book.versions.get(manifest);
        let named = version.is_some_and(|of| of.licence == digest || of.card == Some(digest));
        named || *manifest == digest
    });
    Dealt {
        manifests,
        orders,
        is_named,
    }
}

/// Whether a card, an assessment or a delivery of these versions names the document.
fn refers(db: &mut Db, dealt: &Dealt, digest: DocumentDigest) -> Result<bool, StoreFault> {
    for manifest in &dealt.manifests {
        let Some(version) = rows::get(db, *manifest)? else {
            continue;
        };
        let card = Card::parse(version.card.as_bytes()).unwrap_or_default();
        if version.report == digest || names(&card, digest) {
            return Ok(true);
        }
    }
    for (order, manifest) in &dealt.orders {
        let delivery = delivery::delivery(db, *order, *manifest)?;
        let is_it = |ranges: &str| DocumentDigest::of(ranges.as_bytes()) == digest;
        if delivery.is_some_and(|delivery| is_it(&delivery.ranges)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn names(card: &Card, digest: DocumentDigest) -> bool {
    let texts = card.sources.iter().filter_map(|source| source.text);
    let consent = card.personal.as_ref().and_then(|personal| personal.consent);
    let mut named = texts.chain(consent).chain(card.licence.text);
    named.any(|named| named == digest)
}
