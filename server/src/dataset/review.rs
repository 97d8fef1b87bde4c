//! What waits for an assessment, and what whoever assesses needs to know of it.
//!
//! The book says what waits; what was found in it was put together when it was handed in, in the document whose digest the
//! assessment names. Of that document the list shows what speaks against a version; all of it is at `/v1/documents/{digest}`.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use verifier::book::Book;
use verifier::dataset::{State, state};
use verifier::id::{DatasetId, DocumentDigest, PartyId};
use verifier::money::Fen;
use verifier::time::Timestamp;

use crate::store::dataset::{catalogue, listing, version};
use crate::store::{Db, StoreFault};

/// A version that nobody has assessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    seq: u64,
    manifest: DocumentDigest,
    dataset: DatasetId,
    vendor: PartyId,
    version: String,
    bytes: u64,
    price_fen: Fen,
    published: Timestamp,
}

/// The versions that wait, the longest waiting first, after an entry; and after which entry the next page begins.
#[must_use]
pub fn waiting(book: &Book, after: Option<&str>, limit: usize) -> (Vec<Waiting>, Option<String>) {
    let after = after.and_then(|after| after.parse::<u64>().ok());
    let submitted = book.versions.iter().filter(|(manifest, version)| {
        after.is_none_or(|after| version.seq > after)
            && matches!(state(book, **manifest), Ok(State::Submitted))
    });
    let waiting = submitted.filter_map(|(manifest, version)| {
        let (published, _) = version.prices.first()?;
        Some(Waiting {
            seq: version.seq,
            manifest: *manifest,
            dataset: version.dataset,
            vendor: book.datasets.get(&version.dataset)?.vendor,
            version: version.name.clone(),
            bytes: version.bytes,
            price_fen: version.price_fen,
            published: *published,
        })
    });
    let mut waiting: Vec<Waiting> = waiting.collect();
    waiting.sort_by_key(|of| of.seq);
    let more = waiting.len() > limit;
    waiting.truncate(limit);
    let next = waiting.last().filter(|_| more).map(|of| of.seq.to_string());
    (waiting, next)
}

/// A line of the list. Of a version of digests alone there is no more than the trail has.
/// # Errors
/// [`StoreFault`]
pub fn item(db: &mut Db, of: &Waiting, base: &str) -> Result<Value, StoreFault> {
    let mut item = json!({
        "seq": of.seq, "manifest": of.manifest, "dataset": of.dataset, "vendor": of.vendor,
        "version": of.version, "bytes": of.bytes, "price_fen": of.price_fen, "published_at": of.published,
        "listing": null, "report": null,
    });
    let (Some(row), Some((handle, name, version))) = (
        version::get(db, of.manifest)?,
        catalogue::names(db, of.manifest)?,
    ) else {
        return Ok(item);
    };
    item["listing"] = json!(format!("{handle}/{name}"));
    item["report"] = json!(row.report);
    item["documents"] = json!(format!("{base}/v1/listings/{handle}/{name}/{version}"));
    let Some(kept) = listing::document(db, row.report)? else {
        return Ok(item);
    };
    let assessment: Value = serde_json::from_slice(&kept.body).map_err(|fault| {
        StoreFault::Inconsistent(format!("own_documents has {}: {fault}", row.report))
    })?;
    item["near"] = assessment["near"].clone();
    item["licence"] = assessment["licence"].clone();
    let files = assessment["files"].as_array().into_iter().flatten();
    item["files"] = files.map(file).collect();
    Ok(item)
}

/// A file: how large, and what was found in it, the personal data by column and the flaws by their codes.
fn file(of: &Value) -> Value {
    let report = &of["report"];
    let mut flaws: BTreeMap<String, u64> = BTreeMap::new();
    for flaw in report["flaws"].as_array().into_iter().flatten() {
        let code = flaw["code"].as_str().unwrap_or_default().to_owned();
        let count = flaws.entry(code).or_default();
        *count = count.saturating_add(1);
    }
    json!({
        "path": of["path"], "bytes": of["bytes"], "format": report["format"], "rows": report["rows"],
        "language": report["language"], "personal": report["personal"], "flaws": flaws,
        "flaws_more": report["flaws_more"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_shown_with_what_was_found_in_it() {
        let shown = file(
            &json!({ "path": "a.csv", "bytes": 9, "sha256": "00", "report": {
            "format": "csv", "rows": 2, "personal": [{ "kind": "mobile", "count": 1 }], "flaws_more": 0,
            "flaws": [{ "code": "row.ragged", "row": 1 }, { "code": "row.ragged", "row": 2 }],
        } }),
        );
        assert_eq!(shown["flaws"], json!({ "row.ragged": 2 }));
        assert_eq!(shown["personal"][0]["kind"], "mobile");
        assert!(shown["sha256"].is_null());
    }
}
