//! Which objects an entry names: the look-up by receipt, order, voucher, party, document (TRAIL, rekor's lesson).

use serde_json::Value;
use std::collections::BTreeSet;
use verifier::book::command::Command;
use verifier::book::entry::Entry;
use verifier::id::{
    BatchId, CaseId, DatasetId, DocumentDigest, OfferId, OrderId, PartyId, SiteId, VoucherId,
};
use verifier::receipt::Receipt;

/// Longer texts name nothing: signed statements, programme files, manifests.
const NAME_BYTES_MAX: usize = 200;

/// Every id of the exchange and every document's digest that stands in an entry as a text or as a part of an account's name,
/// and what its receipt is called.
///
/// The bytes are those of the entry.
pub(super) fn objects(entry: &Entry, bytes: &[u8]) -> serde_json::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    collect(&serde_json::from_slice(bytes)?, &mut found);
    if let Some(receipt) = receipt(entry) {
        found.insert(receipt.hash().to_string());
        if let Some(link) = receipt.claims().link() {
            found.insert(link.jti.to_string());
            found.insert(link.sub.to_string());
            found.insert(link.iss.to_string());
        }
    }
    Ok(found)
}

/// The receipt that an entry embeds.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other command embeds no receipt"
)]
pub(super) fn receipt(entry: &Entry) -> Option<&Receipt> {
    match &entry.asked {
        Command::AcceptReceipt(asked) => Some(asked.jws.receipt()),
        Command::GiveAcceptance(asked) => Some(asked.jws.receipt()),
        _ => None,
    }
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() <= NAME_BYTES_MAX => {
            let named = text.split('/').filter(|part| is_object(part));
            found.extend(named.map(str::to_owned));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => members.values().for_each(|item| collect(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a text is an object's name. Actors are none: who asked is the party.
fn is_object(text: &str) -> bool {
    let kind = text.split(['-', ':']).next().unwrap_or_default();
    match kind {
        PartyId::PREFIX => PartyId::parse(text).is_ok(),
        OrderId::PREFIX => OrderId::parse(text).is_ok(),
        VoucherId::PREFIX => VoucherId::parse(text).is_ok(),
        CaseId::PREFIX => CaseId::parse(text).is_ok(),
        BatchId::PREFIX => BatchId::parse(text).is_ok(),
        OfferId::PREFIX => OfferId::parse(text).is_ok(),
        SiteId::PREFIX => SiteId::parse(text).is_ok(),
        DatasetId::PREFIX => DatasetId::parse(text).is_ok(),
        "sha" => DocumentDigest::parse(text).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_is_found_alone_in_an_account_and_in_a_list_and_nothing_else_is() {
        let order = "ord-abcdefghijklmnop";
        let digest = DocumentDigest::of(b"contract").to_string();
        let value = json!({
            "asked": { "order": order, "digest": digest, "purpose": "see ord-ponmlkjihgfedcba" },
            "postings": [["hold/ord-aaaaaaaaaaaaaaaa/0/sh-2026", -5]],
            "actor": "act-abcdefghijklmnop", "note": "ord-short",
        });
        let mut found = BTreeSet::new();
        collect(&value, &mut found);
        let expected = ["ord-aaaaaaaaaaaaaaaa", order, &digest];
        assert!(found.iter().map(String::as_str).eq(expected));
    }
}
