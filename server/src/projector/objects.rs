//! Which objects an entry names: the look-up by receipt, order, voucher, party, document (TRAIL, rekor's lesson).

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
pub(crate) fn objects(entry: &Entry, bytes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(bytes, &mut found);
    if let Some(receipt) = receipt(entry) {
        found.insert(receipt.hash().to_string());
        if let Some(link) = receipt.claims().link() {
            found.insert(link.jti.to_string());
            found.insert(link.sub.to_string());
            found.insert(link.iss.to_string());
        }
    }
    found
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

/// Looks at the texts of an entry's JSON one by one, as a parser that builds nothing. A member's name is no object's name, and
/// a text with an escape holds none.
fn collect(json: &[u8], found: &mut BTreeSet<String>) {
    let mut rest = json;
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        rest = rest.split_at(start + 1).1;
        let Some(end) = end_of_text(rest) else { return };
        let (text, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if text.len() > NAME_BYTES_MAX || text.contains(&b'\\') {
            continue;
        }
        let parts = std::str::from_utf8(text).unwrap_or_default().split('/');
        for part in parts.filter(|part| is_object(part)) {
            if !found.contains(part) {
                found.insert(part.to_owned());
            }
        }
    }
}

/// Where a text ends whose opening quote was passed: at the next quote without a backslash of its own before it.
fn end_of_text(json: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let step = json
            .get(at..)?
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\'))?;
        at += step;
        match json.get(at)? {
            b'"' => return Some(at),
            _ => at += 2,
        }
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
            "escaped": "\"ord-bbbbbbbbbbbbbbbb\"", "backslash": "\\",
        });
        let mut found = BTreeSet::new();
        collect(value.to_string().as_bytes(), &mut found);
        let expected = ["ord-aaaaaaaaaaaaaaaa", order, &digest];
        assert!(found.iter().map(String::as_str).eq(expected));
    }

    /// However an entry comes to name a party: who may read it is decided by these names.
    #[test]
    fn every_party_in_the_bytes_of_an_entry_is_an_object_of_it() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../fixtures/trail/v1/trail/tile/entries"
        );
        let bundle = std::fs::read(format!("{folder}/000")).unwrap();
        let mut named = 0;
        for bytes in verifier::trail::bundle::decode(&bundle, 256).unwrap() {
            let objects = objects(&Entry::parse(bytes).unwrap(), bytes);
            let text = std::str::from_utf8(bytes).unwrap();
            for (at, _) in text.match_indices("pty-") {
                let id = text.get(at..at + "pty-".len() + 16).unwrap();
                assert!(objects.contains(id), "{id} in {text}");
                named += 1;
            }
        }
        assert!(named > 256);
    }
}
