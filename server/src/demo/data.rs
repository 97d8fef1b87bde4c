//! A training dataset: bought with a data voucher, delivered, accepted with proof of possession; its holdback waits for use.

use serde_json::json;
use verifier::dataset::{Possession, Served};
use verifier::id::{CaseId, DocumentDigest, OrderId, Sha256Hash};
use verifier::receipt::{self, DataAcceptance, DataDelivery, Jti, KeyUse, Nonce, Verdict};

use super::cast::Cast;
use super::compute::{self, Placed};
use super::supply::{Dataset, Supply};
use super::{Fault, Stage, document};

const BUYER: &str = "shanghai-models";
const VENDOR: &str = "corpus-house";

/// Buys the corpus: the bureau approves the contract's amount, the vendor delivers, the buyer accepts. Returns the
/// order and what was bought.
pub(super) fn buy(
    stage: &Stage,
    cast: &Cast,
    supply: &Supply,
) -> Result<(Placed, DocumentDigest), Fault> {
    let dataset = supply.dataset(VENDOR)?;
    assess(cast, dataset)?;
    let contract = json!({
        "digest": document("contract: shanghai-models licenses of corpus-house"), "fen": dataset.price_fen,
        "signed_on": "2026-09-25", "from": "2026-09-25", "to": "2027-09-24",
    });
    let application = json!({
        "programme": "shanghai-corpus-2025", "contract": contract, "purpose": "llm",
    });
    let approved = Some(dataset.price_fen);
    let granted = compute::apply(cast, BUYER, "shanghai", (application, approved))?;
    let now = stage.clock.now()?;
    let asked = json!({
        "seller": cast.id(VENDOR)?, "contract": contract, "purpose": "llm",
        "segments": [{ "dataset": dataset.manifest, "from": now, "to": now.after(30 * 86_400) }],
        "claims": [{ "voucher": granted.voucher, "hold_fen": granted.face_fen }],
    });
    let placed = cast.client(BUYER)?.ask("/v1/orders", &asked)?;
    let order: OrderId = placed.found("order")?;
    let possession = deliver(stage, cast, dataset, order)?;
    accept(stage, cast, (dataset, possession), order)?;
    redeem(cast, order, dataset.price_fen)?;
    let placed = Placed {
        what: "corpus",
        buyer: BUYER,
        seller: VENDOR,
        order,
        quote: None,
    };
    Ok((placed, dataset.manifest))
}

fn assess(cast: &Cast, dataset: &Dataset) -> Result<(), Fault> {
    let asked = json!({
        "manifest": dataset.manifest, "passed": true, "report": document("assessment of a corpus"),
    });
    cast.client("shanghai")?
        .ask("/v1/datasets/assess", &asked)?;
    Ok(())
}

/// The vendor says what it served, and commits to what only a holder of the bytes can say.
fn deliver(
    stage: &Stage,
    cast: &Cast,
    dataset: &Dataset,
    order: OrderId,
) -> Result<Sha256Hash, Fault> {
    let (now, nonce) = (stage.clock.now()?, Nonce::new(*stage.clock.salt()?.bytes()));
    let bytes = dataset.files.bytes();
    let possession = possession(nonce, &dataset.content)?;
    let mut served = Served::new(&dataset.files);
    for file in dataset.files.files() {
        served.add(&file.path, 0, file.bytes.saturating_sub(1));
    }
    let claims = DataDelivery {
        iss: cast.id(VENDOR)?,
        aud: stage.origin.clone(),
        sub: order,
        seq: 0,
        prev: None,
        jti: Jti { order, seq: 0 },
        iat: now,
        dataset: dataset.id,
        version: dataset.version.to_owned(),
        digest: dataset.manifest,
        bytes,
        delivered_at: now,
        ranges: served.digest(),
        nonce,
        possession_hash: Sha256Hash::of(possession.bytes()),
    };
    let signer = cast.signer(VENDOR, KeyUse::Receipt)?;
    cast.client(VENDOR)?
        .sign_in("/v1/receipts", &receipt::sign(&claims, signer))?;
    Ok(possession)
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
