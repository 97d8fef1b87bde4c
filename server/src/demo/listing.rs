//! The corpus as its vendor lists it: a handle, a card, files uploaded by tus, a version handed in.

use std::time::Instant;

use serde_json::{Value, json};
use verifier::id::DocumentDigest;

use super::cast::Cast;
use super::client::Client;
use super::supply::Dataset;
use super::{Fault, PUBLICATION_MAX};

/// Who sells it, also its handle.
pub(super) const VENDOR: &str = "corpus-house";
/// Its listing's name.
pub(super) const NAME: &str = "dialogues";
const VERSION: &str = "1.0.0";
const PRICE_FEN: i64 = 8_000_000;
const LICENCE: &str = "Training and evaluation of models; no resale of the data itself.";

/// What the vendor types of it.
const CARD: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/datasets/cards/corpus.json"
));

/// Its files, made by `fixtures/datasets/make.py`.
const FILES: [(&str, &[u8]); 2] = [
    (
        "dialogue.jsonl",
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../fixtures/datasets/corpus/dialogue.jsonl"
        )),
    ),
    (
        "turns.parquet",
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../fixtures/datasets/corpus/turns.parquet"
        )),
    ),
];

/// Uploads the corpus, drafts its listing and hands it in; it waits for an assessor then.
pub(super) fn publish(cast: &Cast) -> Result<Dataset, Fault> {
    let vendor = cast.client(VENDOR)?;
    let uploads: Vec<String> = FILES
        .iter()
        .map(|(path, bytes)| vendor.upload(path, bytes))
        .collect::<Result<_, _>>()?;
    vendor.make("/v1/handles", &json!({ "handle": VENDOR }))?;
    let licence = vendor.make("/v1/documents", &json!({ "text": LICENCE }))?;
    let mut card: Value = serde_json::from_str(CARD)
        .map_err(|why| Fault::Story(format!("the corpus's card: {why}")))?;
    card["licence"]["text"] = licence["digest"].clone();
    vendor.make("/v1/listings", &json!({ "name": NAME, "card": card }))?;
    let listing = format!("/v1/listings/{VENDOR}/{NAME}");
    for (upload, (path, _)) in uploads.iter().zip(FILES) {
        wait_until_stored(vendor, upload)?;
        let id = upload.rsplit('/').next();
        let put = json!({ "upload": id, "path": path });
        vendor.make(&format!("{listing}/files"), &put)?;
    }
    let handed_in = json!({ "version": VERSION, "price_fen": PRICE_FEN });
    let reply = vendor.ask(&format!("{listing}/submit"), &handed_in)?;
    let entry = vendor.read(&format!("/v1/entries/{}", reply.seq))?;
    let manifest = entry["entry"]["asked"]["manifest"].clone();
    let manifest = serde_json::from_value(manifest);
    Ok(Dataset {
        manifest: manifest.map_err(|why| Fault::Story(format!("a manifest: {why}")))?,
        price_fen: PRICE_FEN,
    })
}

/// A complete upload is checked and stored in the background.
fn wait_until_stored(vendor: &Client, upload: &str) -> Result<(), Fault> {
    let deadline = Instant::now() + PUBLICATION_MAX;
    while vendor.read(upload)?["stored"] != true {
        if Instant::now() > deadline {
            return Err(Fault::Story(format!("{upload} was not stored in time")));
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(())
}

/// A bureau's assessor reads what the checks found and passes it.
pub(super) fn assess(cast: &Cast, dataset: &Dataset) -> Result<(), Fault> {
    let office = cast.client("shanghai")?;
    let waiting = office.read("/v1/datasets/review")?;
    let manifest = dataset.manifest.to_string();
    let items = waiting["items"].as_array();
    let mut items = items.into_iter().flatten();
    let found = items.find(|item| item["manifest"] == manifest.as_str());
    let report = found.map(|item| item["report"].clone());
    let report = report.ok_or_else(|| Fault::Story("nobody asks to assess the corpus".into()))?;
    let report: DocumentDigest = serde_json::from_value(report)
        .map_err(|why| Fault::Story(format!("the digest of a report: {why}")))?;
    let asked = json!({ "manifest": dataset.manifest, "passed": true, "report": report });
    office.ask("/v1/datasets/assess", &asked).map(drop)
}

/// What a buyer does before anything is paid: finds it by Chinese words, with its price after the subsidy.
pub(super) fn find(buyer: &Client, dataset: &Dataset) -> Result<Value, Fault> {
    // 对话语料
    let found = buyer.read("/v1/search?q=%E5%AF%B9%E8%AF%9D%E8%AF%AD%E6%96%99")?;
    let hit = found["items"][0].clone();
    if hit["manifest"] != dataset.manifest.to_string().as_str() {
        return Err(Fault::Story("the corpus is not found by its title".into()));
    }
    Ok(hit)
}
