//! The offer as an ODRL 2.2 policy: use for the stated purpose, paid for; no passing on.

use serde_json::{Value, json};

use super::Listed;

/// The offer under which a version is sold, in JSON-LD with the prefix `odrl`.
#[must_use]
pub fn offer(listed: &Listed) -> Value {
    let mut permission = json!({
        "odrl:action": { "@id": "odrl:use" },
        "odrl:duty": [{ "odrl:action": { "@id": "odrl:compensate" }, "odrl:constraint": [{
            "odrl:leftOperand": { "@id": "odrl:payAmount" }, "odrl:operator": { "@id": "odrl:eq" },
            "odrl:rightOperand": yuan(listed.price_fen.get()), "odrl:unit": { "@id": "urn:iso:4217:CNY" },
        }] }],
    });
    let purpose = &listed.card.provenance.intended_use;
    if !purpose.is_empty()
        && let Some(members) = permission.as_object_mut()
    {
        let constraint = json!([{
            "odrl:leftOperand": { "@id": "odrl:purpose" }, "odrl:operator": { "@id": "odrl:eq" },
            "odrl:rightOperand": purpose,
        }]);
        members.insert("odrl:constraint".to_owned(), constraint);
    }
    json!({
        "@id": format!("urn:quan:offer:{}", listed.manifest),
        "@type": "odrl:Offer",
        "odrl:assigner": { "@id": format!("urn:quan:{}", listed.vendor) },
        "odrl:target": { "@id": format!("urn:quan:{}", listed.manifest) },
        "odrl:permission": [permission],
        "odrl:prohibition": [{ "odrl:action": { "@id": "odrl:distribute" } }],
    })
}

/// The offer as a document of its own.
#[must_use]
pub fn offer_document(listed: &Listed) -> Value {
    let mut offer = offer(listed);
    if let Some(members) = offer.as_object_mut() {
        let context = json!({ "odrl": "http://www.w3.org/ns/odrl/2/" });
        members.insert("@context".to_owned(), context);
        let profile = json!({ "@id": "http://www.w3.org/ns/odrl/2/core" });
        members.insert("odrl:profile".to_owned(), profile);
    }
    offer
}

/// An amount in yuan with its two decimals.
fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}
