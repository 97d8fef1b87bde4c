//! What a buyer's search says of vouchers is what a quote says, and what a buyer reads of what it has ordered.

use serde_json::json;

use super::stage::{Stage, contract};
use crate::support::{Database, Vendor, card, text};

on_both!(
    eligible_for_me_is_what_a_quote_says,
    a_buyer_reads_what_the_ordered_version_names,
);

fn eligible_for_me_is_what_a_quote_says(database: &Database) {
    let stage = Stage::open(database, "2026-01-05T00:00:00Z");
    stage.fund("w12-city", "f-finance");
    stage.enact("w12-data");
    let vendor = Vendor::open(&stage.exchange, "city-data");
    let rows: &[u8] = b"{\"a\":1}\n";
    let listed = vendor.list(&stage.office.client, "dialogues", &[("a.jsonl", rows)]);
    let path = "/v1/search?q=dialogues&eligible=true";
    assert_eq!(stage.exchange.nobody().get(path).code(), "access.role");
    let found = |path: &str| {
        let found = stage.buyer.client.get(path);
        assert_eq!(found.status, 200, "{}", found.text);
        found.body
    };
    let now = stage.exchange.clock.now().unwrap();
    let quoted = || {
        let segment = json!({ "dataset": listed.manifest, "from": now, "to": now.after(86_400) });
        let asked = json!({ "seller": vendor.party, "segments": [segment] });
        let quote = stage.buyer.client.post("/v1/quotes", &asked);
        assert!(quote.status < 300, "{}", quote.text);
        quote.body["quote"].clone()
    };
    let agrees = || {
        let quote = quoted();
        let helped = quote["net_fen"].as_i64() < quote["gross_fen"].as_i64();
        assert_eq!(found(path)["total"], usize::from(helped), "{quote}");
        let all = found("/v1/search?q=dialogues");
        assert_eq!(all["total"], 1);
        for sum in ["gross_fen", "net_fen", "pays_fen", "repaid_fen"] {
            assert_eq!(all["items"][0]["quote"][sum], quote[sum], "{sum}");
        }
        helped
    };
    assert!(!agrees());
    stage.voucher(&stage.buyer, "w12-data", &contract("w12", 50_000_000));
    assert!(agrees());
}

/// The text of a source's licence is named by the card alone, the report by the exchange's rows: both are read with an order.
fn a_buyer_reads_what_the_ordered_version_names(database: &Database) {
    let stage = Stage::open(database, "2026-01-05T00:00:00Z");
    stage.fund("w12-city", "f-finance");
    stage.enact("w12-data");
    let vendor = Vendor::open(&stage.exchange, "city-data");
    let terms = json!({ "text": "Whoever was recorded has agreed." });
    let source = text(&vendor.client.done("/v1/documents", &terms)["digest"]);
    let mut card = card();
    card["sources"][0]["text"] = json!(source);
    let rows: &[u8] = b"{\"a\":1}\n";
    let listed = vendor.publish_as("dialogues", card, &[("a.jsonl", rows)], 50_000_000);
    let waiting = stage.office.client.get("/v1/datasets/review").body;
    let report = text(&waiting["items"][0]["report"]);
    listed.pass(&stage.office.client);
    let buyer = &stage.buyer;
    let named = [&listed.manifest, &source, &report];
    let read = || named.map(|of| buyer.client.get(&format!("/v1/documents/{of}")).status);
    assert_eq!(read(), [403; 3]);
    let contract = contract("w12", 50_000_000);
    let voucher = stage.voucher(buyer, "w12-data", &contract);
    let now = stage.exchange.clock.now().unwrap();
    let asked = json!({
        "seller": vendor.party, "contract": contract,
        "segments": [{ "dataset": listed.manifest, "from": now, "to": now.after(30 * 86_400) }],
        "claims": [{ "voucher": voucher.id, "hold_fen": voucher.face }],
    });
    buyer.client.done("/v1/orders", &asked);
    assert_eq!(read(), [200; 3]);
}
