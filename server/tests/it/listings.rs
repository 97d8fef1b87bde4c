//! Drafts of listings, on both databases.

use serde_json::{Value, json};

use crate::support::{Database, Exchange};

on_both!(a_draft_says_what_is_missing_and_is_its_vendors_alone);

const CARD: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/datasets/cards/dialogues.json"
));

fn a_draft_says_what_is_missing_and_is_its_vendors_alone(database: &Database) {
    let exchange = Exchange::start(database);
    let (vendor, other, buyer) = (
        exchange.member(&["vendor"]).client,
        exchange.member(&["vendor"]).client,
        exchange.member(&["buyer"]).client,
    );
    let handle = json!({ "handle": "city-data" });
    buyer.refused("/v1/handles", &handle, "access.role");
    vendor.refused(
        "/v1/handles",
        &json!({ "handle": "../x" }),
        "request.malformed",
    );
    let empty = json!({ "name": "dialogues", "card": {} });
    vendor.refused("/v1/listings", &empty, "listing.unknown");
    vendor.done("/v1/handles", &handle);
    vendor.done("/v1/handles", &handle);
    other.refused("/v1/handles", &handle, "listing.taken");
    vendor.refused(
        "/v1/handles",
        &json!({ "handle": "second" }),
        "listing.taken",
    );
    let drafted = vendor.done("/v1/listings", &empty);
    assert_eq!(drafted["missing"][0], "title");
    let card: Value = serde_json::from_str(CARD).unwrap();
    let again = vendor.done(
        "/v1/listings",
        &json!({ "name": "dialogues", "card": card }),
    );
    assert_eq!(again["missing"], json!([]));
    assert_eq!(again["listing"], drafted["listing"]);
    let path = "/v1/listings/city-data/dialogues";
    let shown = vendor.get(path);
    assert_eq!(
        (shown.status, &shown.body["card"]["languages"]),
        (200, &json!(["zh", "en"]))
    );
    assert_eq!(other.get(path).code(), "listing.unknown");
    let files = format!("{path}/files");
    vendor.refused(
        &files,
        &json!({ "upload": "upl-x", "path": "../a" }),
        "request.malformed",
    );
    vendor.refused(
        &files,
        &json!({ "upload": "upl-x", "path": "a.csv" }),
        "dataset.file",
    );
    let kept = vendor.done("/v1/documents", &json!({ "text": "CC BY 4.0" }));
    assert!(kept["digest"].as_str().unwrap().starts_with("sha-256:"));
}
