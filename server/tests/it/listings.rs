//! Drafts of listings, on both databases.

use serde_json::{Value, json};

use crate::support::{Database, Exchange, Vendor, card};
use crate::witness::wait_until;

on_both!(
    a_draft_says_what_is_missing_and_is_its_vendors_alone,
    a_listing_goes_from_draft_to_listed_and_says_what_is_missing,
    what_another_has_published_or_what_is_broken_is_not_published,
    what_a_server_died_over_is_settled_by_the_next,
);

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

const ROWS: &[u8] = b"{\"text\":\"one\"}\n{\"text\":\"two\"}\n";

/// From a draft to what is found and sold; a second version goes on from the first, and a repeated submission is the same entry.
fn a_listing_goes_from_draft_to_listed_and_says_what_is_missing(database: &Database) {
    let exchange = Exchange::start(database);
    let office = exchange.member(&["office"]).client;
    let vendor = Vendor::open(&exchange, "city-data");
    vendor.client.done(
        "/v1/listings",
        &json!({ "name": "dialogues", "card": { "summary": "x" } }),
    );
    let said = vendor.submit("dialogues", "1.0.0", 100);
    assert_eq!(said.code(), "listing.incomplete", "{}", said.text);
    assert!(said.text.contains("licence.text"), "{}", said.text);
    let answer = vendor.submit("none", "1.0.0", 100);
    assert_eq!(answer.code(), "listing.unknown");
    vendor.draft("dialogues", card(), &[]);
    let said = vendor.submit("dialogues", "1.0.0", 100);
    assert_eq!(said.code(), "listing.incomplete", "{}", said.text);
    vendor.draft("dialogues", card(), &[("train.jsonl", ROWS)]);
    let said = vendor.submit("dialogues", "1", 100);
    assert_eq!(said.code(), "listing.incomplete", "{}", said.text);

    let listed = vendor.publish("dialogues", &[("train.jsonl", ROWS)], 100);
    let nobody = exchange.nobody();
    let found = |words: &str| nobody.get(&format!("/v1/search?q={words}")).body["total"].clone();
    assert_eq!(found("dialogues"), 0);
    assert_eq!(nobody.get("/api/datasets/city-data/dialogues").status, 404);
    listed.pass(&office);
    assert_eq!(found("dialogues"), 1);
    assert_eq!(found("%E5%AF%B9%E8%AF%9D"), 1);
    assert_eq!(nobody.get("/api/datasets/city-data/dialogues").status, 200);

    let more: &[u8] = b"{\"text\":\"three\"}\n";
    vendor.draft("dialogues", card(), &[("test.jsonl", more)]);
    let said = vendor.submit("dialogues", "1.0.1", 100);
    assert_eq!((said.status, said.code()), (422, "listing.incomplete"));
    assert!(said.text.contains("1.1.0"), "{}", said.text);
    let path = "/v1/listings/city-data/dialogues/submit";
    let body = json!({ "version": "1.1.0", "price_fen": 200 }).to_string();
    let again = || {
        vendor
            .client
            .send(path, &body, &[("idempotency-key", "second")])
    };
    let first = again();
    assert_eq!(first.status, 201, "{}", first.text);
    assert!(!first.reply.is_empty());
    assert_eq!(first.body["found"]["dataset"], listed.dataset.as_str());
    let second = again();
    assert_eq!(
        (second.status, &second.body["seq"]),
        (201, &first.body["seq"])
    );
}

fn what_another_has_published_or_what_is_broken_is_not_published(database: &Database) {
    let exchange = Exchange::start(database);
    let first = Vendor::open(&exchange, "first");
    let second = Vendor::open(&exchange, "second");
    first.publish("rows", &[("a.jsonl", ROWS)], 100);
    let same = first.submit("rows", "1.0.1", 100);
    assert_eq!((same.status, same.code()), (409, "dataset.duplicate"));
    second.draft("copy", card(), &[("other-name.jsonl", ROWS)]);
    let copied = second.submit("copy", "1.0.0", 100);
    assert_eq!((copied.status, copied.code()), (409, "dataset.duplicate"));

    let ragged: &[u8] = b"a,b\n1,2\n3\n";
    second.draft("ragged", card(), &[("table.csv", ragged)]);
    let refused = second.submit("ragged", "1.0.0", 100);
    assert_eq!((refused.status, refused.code()), (422, "dataset.file"));
    assert_eq!(
        refused.body["values"]["file"], "table.csv",
        "{}",
        refused.text
    );
    assert_eq!(refused.body["values"]["row"], "2", "{}", refused.text);

    // A file whose checks are not there yet.
    second.draft(
        "unchecked",
        card(),
        &[("rows.jsonl", b"{\"text\":\"new\"}\n")],
    );
    database.execute("DELETE FROM own_checks");
    let refused = second.submit("unchecked", "1.0.0", 100);
    assert_eq!((refused.status, refused.code()), (409, "dataset.pending"));

    let mut bought = card();
    bought["sources"][0]["licence"] = json!("CC-BY-NC-4.0");
    second.draft(
        "bought",
        bought,
        &[("rows.jsonl", b"{\"text\":\"mine\"}\n")],
    );
    let refused = second.submit("bought", "1.0.0", 100);
    assert_eq!((refused.status, refused.code()), (422, "dataset.licence"));
    assert_eq!(
        first.client.get("/v1/datasets").body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// A version is in the trail, and of the rows about it only what was kept before is there.
fn what_a_server_died_over_is_settled_by_the_next(database: &Database) {
    let mut exchange = Exchange::start(database);
    let office = exchange.member(&["office"]).client;
    let vendor = Vendor::open(&exchange, "city-data");
    let listed = vendor.list(&office, "dialogues", &[("train.jsonl", ROWS)]);
    for lost in [
        "UPDATE own_versions SET state = 'pending', seq = 0",
        "UPDATE own_listings SET dataset = NULL",
        "DELETE FROM own_search",
        "DELETE FROM own_terms",
    ] {
        database.execute(lost);
    }
    database.execute(&format!(
        "DELETE FROM own_files WHERE parent = '{}'",
        listed.manifest
    ));
    let found = |exchange: &Exchange| {
        let found = exchange.nobody().get("/v1/search?q=dialogues");
        found.body["total"] == 1
    };
    assert!(!found(&exchange));
    exchange.restart();
    wait_until("settled", || found(&exchange));
    let tree = exchange
        .nobody()
        .get("/api/datasets/city-data/dialogues/tree/main");
    assert!(tree.text.contains("train.jsonl"), "{}", tree.text);
}
