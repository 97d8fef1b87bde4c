//! The audit as one HTML file: opens from disk, asks the network for nothing, and checks a receipt or a proof in the browser
//! by WebCrypto with the keys of the trail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::study::Studied;
use verifier::analysis::Study;
use verifier::analysis::stats::stats;
use verifier::book::command::RevocationReason;
use verifier::id::Sha256Hash;
use verifier::receipt::KeyUse;
use verifier::trail::policy::Policy;

const PAGE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");
/// A page names the entries of at most so many receipts: about a megabyte.
const RECEIPTS_MAX: usize = 20_000;

/// The page over an audited trail.
pub(crate) fn page(studied: &Studied, policy: &Policy) -> String {
    let Studied { report, study } = studied;
    let logs: Vec<_> = policy
        .logs()
        .iter()
        .map(|log| log.key.to_string())
        .collect();
    let witnesses = policy.witnesses().iter();
    let witnesses: Vec<_> = witnesses.map(|one| one.key.to_string()).collect();
    let data = json!({
        "report": report, "stats": stats(study), "keys": keys(study), "receipts": receipts(study),
        "logs": logs, "witnesses": witnesses,
    });
    // No `<` of the data can end its element; in JSON it only stands in texts.
    let data = data.to_string().replace('<', "\\u003c");
    let hash = |text: &str| STANDARD.encode(Sha256Hash::of(text.as_bytes()).bytes());
    // The data goes in last: what it holds is never taken for a place to fill.
    PAGE.replace("@SCRIPT_HASH@", &hash(SCRIPT))
        .replace("@STYLE_HASH@", &hash(STYLE))
        .replace("@STYLE@", STYLE)
        .replace("@SCRIPT@", SCRIPT)
        .replacen("@DATA@", &data, 1)
}

/// The registered keys, each with its owner and when it is good.
fn keys(study: &Study) -> Vec<Value> {
    let book = study.book();
    let exchange = book.exchange.as_ref().map(|exchange| exchange.delivery_kid);
    let keys = book.keys.iter().map(|(kid, key)| {
        let key_use = match key.key_use {
            KeyUse::Receipt => "receipt",
            KeyUse::Acceptance => "acceptance",
            KeyUse::Capacity => "capacity",
            KeyUse::Recovery => "recovery",
        };
        let owner = if exchange == Some(*kid) { "exchange" } else { "party" };
        let compromised = matches!(key.revoked, Some((_, RevocationReason::Compromised)));
        json!({
            "kid": kid, "x": key.public.x(), "party": key.party, "use": key_use, "owner": owner,
            "valid_from": key.valid_from.unix(), "valid_to": key.valid_to.unix(), "compromised": compromised,
        })
    });
    keys.collect()
}

/// Accepted receipts by their hash, each with its entry.
fn receipts(study: &Study) -> Map<String, Value> {
    let chains = study.book().chains.values();
    let accepted = chains.flat_map(|chain| chain.accepted());
    let named = accepted.map(|one| (one.hash.to_string(), Value::from(one.entry)));
    named.take(RECEIPTS_MAX).collect()
}
