//! A training dataset: found, bought with a data voucher, downloaded by the Hugging Face hub's protocol, delivered by the exchange's own
//! receipt, accepted with proof of possession; its holdback waits for use.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use verifier::dataset::{FileLine, Manifest, Possession};
use verifier::id::{CaseId, DocumentDigest, OrderId, Sha256Hash};
use verifier::receipt::{self, DataAcceptance, Jti, KeyUse, Nonce, Verdict};

use super::cast::Cast;
use super::client::{Client, Refusal};
use super::compute::{self, Placed};
use super::listing::{self, NAME, VENDOR};
use super::supply::{Dataset, Supply};
use super::{Fault, PUBLICATION_MAX, Stage, document};

const BUYER: &str = "shanghai-models";

/// What was bought, and how it came.
pub(super) struct Bought {
    /// Its manifest.
    pub(super) manifest: DocumentDigest,
    /// What search showed of it.
    pub(super) hit: Value,
    /// How many files came, and how many bytes.
    pub(super) files: usize,
    pub(super) bytes: usize,
    /// The entry with the exchange's receipt of the delivery.
    pub(super) delivery: u64,
}

/// Buys the corpus: the bureau has passed it and approves the contract's amount, the buyer downloads and accepts.
pub(super) fn buy(
    stage: &Stage,
    cast: &Cast,
    supply: &Supply,
) -> Result<(Placed, Bought, Refusal), Fault> {
    let (dataset, buyer) = (supply.dataset(VENDOR)?, cast.client(BUYER)?);
    listing::assess(cast, dataset)?;
    let gated = buyer.fetch_in_vain(
        &format!("/datasets/{VENDOR}/{NAME}/resolve/main/dialogue.jsonl"),
        "load a dataset before it is bought",
        "delivery.entitlement",
    )?;
    let contract = contract(dataset);
    let application = json!({
        "programme": "shanghai-corpus-2025", "contract": contract, "purpose": "llm",
    });
    let approved = Some(dataset.price_fen);
    let granted = compute::apply(cast, BUYER, "shanghai", (application, approved))?;
    let hit = listing::find(buyer, dataset)?;
    let now = stage.clock.now()?;
    let asked = json!({
        "seller": cast.id(VENDOR)?, "contract": contract, "purpose": "llm",
        "segments": [{ "dataset": dataset.manifest, "from": now, "to": now.after(30 * 86_400) }],
        "claims": [{ "voucher": granted.voucher, "hold_fen": granted.face_fen }],
    });
    let order: OrderId = buyer.ask("/v1/orders", &asked)?.found("order")?;
    let folder = stage.folder_of(BUYER).join(NAME);
    let (content, files) = download(buyer, dataset, &folder)?;
    let (nonce, delivery) = delivered(buyer, order)?;
    let possession = possession(nonce, &content)?;
    accept(stage, cast, (dataset, possession), order)?;
    redeem(cast, order, dataset.price_fen)?;
    let bought = Bought {
        manifest: dataset.manifest,
        hit,
        files,
        bytes: content.len(),
        delivery,
    };
    let placed = Placed {
        what: "corpus",
        buyer: BUYER,
        seller: VENDOR,
        order,
        quote: None,
    };
    Ok((placed, bought, gated))
}

fn contract(dataset: &Dataset) -> Value {
    json!({
        "digest": document("contract: shanghai-models licenses of corpus-house"), "fen": dataset.price_fen,
        "signed_on": "2026-09-25", "from": "2026-09-25", "to": "2027-09-24",
    })
}

/// Downloads every file of the newest version as the hub's clients do, but for the card that the exchange writes beside them, and
/// compares all of them with the manifest that was bought. Returns the contents end to end in its order, and how many files came.
fn download(buyer: &Client, dataset: &Dataset, folder: &Path) -> Result<(Vec<u8>, usize), Fault> {
    fs::create_dir_all(folder).map_err(|why| Fault::File(folder.to_owned(), why))?;
    let tree = format!("/api/datasets/{VENDOR}/{NAME}/tree/main?recursive=true");
    let tree = buyer.read(&tree)?;
    let paths = tree.as_array().into_iter().flatten();
    let paths = paths.filter_map(|item| item["path"].as_str());
    let (mut lines, mut contents) = (Vec::new(), BTreeMap::new());
    for path in paths.filter(|path| *path != "README.md") {
        let bytes = buyer.fetch(&format!("/datasets/{VENDOR}/{NAME}/resolve/main/{path}"))?;
        let file = folder.join(path);
        fs::write(&file, &bytes).map_err(|why| Fault::File(file, why))?;
        lines.push(FileLine {
            sha256: *Sha256Hash::of(&bytes).bytes(),
            bytes: bytes.len() as u64,
            path: path.to_owned(),
        });
        contents.insert(path, bytes);
    }
    let manifest = Manifest::new(lines);
    let manifest = manifest.map_err(|refusal| Fault::Story(refusal.to_string()))?;
    if manifest.digest() != dataset.manifest {
        return Err(Fault::Story("other files came than were bought".into()));
    }
    let files = manifest.files();
    let content = files.iter().filter_map(|file| contents.get(&*file.path));
    Ok((content.flatten().copied().collect(), files.len()))
}

/// Waits for the exchange's receipt: it signs once the last byte has gone out. Returns its nonce and its entry.
fn delivered(buyer: &Client, order: OrderId) -> Result<(Nonce, u64), Fault> {
    let path = format!("/v1/orders/{order}/deliveries");
    let deadline = Instant::now() + PUBLICATION_MAX;
    loop {
        let item = buyer.read(&path)?["items"][0].clone();
        let entry = item["entry"].as_u64();
        if let (Some(entry), Ok(nonce)) = (entry, serde_json::from_value(item["nonce"].clone())) {
            return Ok((nonce, entry));
        }
        if Instant::now() > deadline {
            return Err(Fault::Story(format!("no receipt of the delivery: {item}")));
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The buyer accepts what it holds.
fn accept(
    stage: &Stage,
    cast: &Cast,
    (dataset, possession): (&Dataset, Sha256Hash),
    order: OrderId,
) -> Result<(), Fault> {
    let claims = DataAcceptance {
        iss: cast.id(BUYER)?,
        aud: stage.origin.clone(),
        sub: order,
        seq: 0,
        prev: None,
        jti: Jti { order, seq: 0 },
        iat: stage.clock.now()?,
        digest: dataset.manifest,
        verdict: Verdict::Accepted,
        possession,
    };
    let signer = cast.signer(BUYER, KeyUse::Acceptance)?;
    cast.client(BUYER)?
        .sign_in("/v1/acceptances", &receipt::sign(&claims, signer))?;
    Ok(())
}

/// The bureau approves what the order may earn (核定): the text leaves the base to it. A fifth of it waits for use.
fn redeem(cast: &Cast, order: OrderId, fen: i64) -> Result<(), Fault> {
    let asked = json!({ "subject": { "redemption": { "order": order, "claim": 0 } } });
    let case: CaseId = cast
        .client(BUYER)?
        .ask("/v1/cases", &asked)?
        .found("case")?;
    let decision = json!({
        "case": case, "approved": true, "approved_fen": fen, "basis": document("approved contract amount"),
    });
    cast.client("shanghai")?
        .ask("/v1/cases/decide", &decision)?;
    Ok(())
}

/// What only a holder of the bytes can say: the hash of the chunks that a nonce picks (FORMATS.md, Datasets).
fn possession(nonce: Nonce, content: &[u8]) -> Result<Sha256Hash, Fault> {
    let mut possession = Possession::new(nonce, content.len() as u64);
    for range in possession.wants().to_vec() {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let chunk = content.get(place(range.start)..place(range.end));
        possession.feed(chunk.ok_or_else(|| Fault::Story("the corpus is too short".to_owned()))?);
    }
    Ok(possession.end())
}
