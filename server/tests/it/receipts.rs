//! Receipts over HTTP, singly and in bulk, and what people read of an order afterwards.

use serde_json::{Value, json};

use crate::support::{Database, Exchange, Market};

on_both!(
    a_receipt_sent_again_is_answered_with_its_entry,
    a_refused_receipt_shows_its_checks_and_changes_nothing,
    a_bulk_is_answered_line_by_line_and_a_repetition_is_known,
    a_bulk_may_not_be_longer_than_its_limit,
    people_read_what_concerns_them,
    a_quote_says_the_net_price_and_writes_nothing,
);

fn a_receipt_sent_again_is_answered_with_its_entry(database: &Database) {
    let mut market = Market::open(Exchange::start(database));
    let jws = market.receipt(0, 8);
    let first = market.send(&jws);
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(first.body["type"], "receipt.accepted");
    let again = market.send(&jws);
    assert_eq!((again.status, again.text), (200, first.text));
    let stranger = market.exchange.member(&["provider"]);
    let media = [("content-type", "application/jose")];
    assert_eq!(
        stranger.client.send("/v1/receipts", &jws, &media).code(),
        "access.party"
    );
}

fn a_refused_receipt_shows_its_checks_and_changes_nothing(database: &Database) {
    let market = Market::open(Exchange::start(database));
    let entries = || market.exchange.nobody().get("/v1/exchange").body["entries"].clone();
    let before = entries();
    let mut usage = market.usage(0, 8);
    usage.gpu_count = 7;
    let refused = market.send(&market.sign(&usage));
    assert_eq!(
        (refused.status, refused.code()),
        (422, "receipt.rate"),
        "{}",
        refused.text
    );
    let checks = refused.body["checks"].as_array().unwrap();
    let status =
        |code| checks.iter().find(|check| check["code"] == code).unwrap()["status"].clone();
    assert_eq!(status("receipt.signature"), "passed");
    assert_eq!(status("receipt.rate"), "failed");
    assert_eq!(status("receipt.capacity"), "not-reached");
    let mut forged = market.sign(&market.usage(0, 8));
    forged.truncate(forged.len() - 4);
    forged.push_str("AAAA");
    assert_eq!(market.send(&forged).code(), "receipt.signature");
    assert_eq!(market.send("not a JWS").code(), "receipt.malformed");
    assert_eq!(market.send(&"x".repeat(60_000)).code(), "request.too-large");
    let acceptance = market.sign(&market.usage(0, 8));
    let media = [("content-type", "application/jose")];
    let wrong = market
        .buyer
        .client
        .send("/v1/acceptances", &acceptance, &media);
    assert_eq!(wrong.code(), "receipt.malformed", "{}", wrong.text);
    assert_eq!(entries(), before);
}

fn a_bulk_is_answered_line_by_line_and_a_repetition_is_known(database: &Database) {
    let mut market = Market::open(Exchange::start(database));
    let mut lines: Vec<String> = (0..4).map(|hour| market.receipt(hour, 8)).collect();
    // A line that is no receipt, and one out of its chain: the others do not care.
    lines.insert(1, "garbage".to_owned());
    lines.remove(3);
    let outcomes = market.send_bulk(&lines);
    let words: Vec<_> = outcomes
        .iter()
        .map(|line| line["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["accepted", "refused", "accepted", "refused"]);
    assert_eq!(outcomes[1]["code"], "receipt.malformed");
    assert_eq!(outcomes[3]["code"], "receipt.chain");
    assert_eq!(outcomes[3]["expected"]["seq"], 2);
    assert!(outcomes[3]["expected"]["prev"].is_string());
    let numbers: Vec<_> = outcomes
        .iter()
        .map(|line| line["line"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
    let again = market.send_bulk(&lines);
    assert_eq!(again[0]["outcome"], "known");
    assert_eq!(again[0]["seq"], outcomes[0]["seq"]);
    let metrics = market.exchange.nobody().get("/metrics").text;
    assert!(
        metrics.contains("quan_receipts_total{outcome=\"accepted\",code=\"\"} 2\n"),
        "{metrics}"
    );
}

fn a_bulk_may_not_be_longer_than_its_limit(database: &Database) {
    let market = Market::open(Exchange::start(database));
    let media = [("content-type", "application/x-ndjson")];
    let send = |lines: usize| {
        market
            .provider
            .client
            .send("/v1/receipts", &"x\n".repeat(lines), &media)
    };
    let most = send(10_000);
    assert_eq!((most.status, most.text.lines().count()), (200, 10_000));
    let over = send(10_001);
    assert_eq!((over.status, over.code()), (413, "request.too-large"));
}

fn people_read_what_concerns_them(database: &Database) {
    let mut market = Market::open(Exchange::start(database));
    let lines: Vec<String> = (0..3).map(|hour| market.receipt(hour, 8)).collect();
    market.send_bulk(&lines);
    // 3 h × 8 cards × 1 000 fen × 10 %.
    let order = market
        .buyer
        .client
        .get(&format!("/v1/orders/{}", market.order))
        .body;
    assert_eq!(order["claims"][0]["granted_fen"], 2_400);
    assert_eq!(order["receipts"], 3);
    let mine = |member: &crate::support::Member, what: &str| {
        member.client.get(&format!("/v1/me/{what}")).body
    };
    assert_eq!(
        mine(&market.provider, "orders")["items"][0]["order"],
        order["order"]
    );
    let owed = mine(&market.provider, "owed");
    assert_eq!(owed["coming"][0]["fen"], 2_400);
    assert_eq!(owed["coming"][0]["payable_from"], "2026-12-15T16:00:00Z");
    assert_eq!(mine(&market.buyer, "owed")["coming"], json!([]));
    let holds = mine(&market.buyer, "balances");
    assert_eq!(holds["items"][0]["fen"], 1_000_000 - 2_400);
    let stranger = market.exchange.member(&["buyer"]);
    let path = format!("/v1/orders/{}", market.order);
    assert_eq!(stranger.client.get(&path).code(), "access.party");
    assert_eq!(
        market
            .exchange
            .member(&["regulator"])
            .client
            .get(&path)
            .status,
        200
    );
    let programme = market
        .exchange
        .nobody()
        .get("/v1/programmes/w13-capacity")
        .body;
    assert!(
        programme["toml"]
            .as_str()
            .unwrap()
            .starts_with("schema = 1")
    );
    assert_eq!(programme["despite_status"], true);
    let funds = market.exchange.nobody().get("/v1/funds").body;
    let sum: i64 = values(&funds["items"][0]["balances"]).iter().sum();
    assert_eq!(sum, 0);
    for path in ["/v1/offers", "/v1/datasets", "/v1/programmes"] {
        assert_eq!(market.exchange.nobody().get(path).status, 200, "{path}");
    }
}

fn values(balances: &Value) -> Vec<i64> {
    balances
        .as_object()
        .unwrap()
        .values()
        .map(|fen| fen.as_i64().unwrap())
        .collect()
}

fn a_quote_says_the_net_price_and_writes_nothing(database: &Database) {
    let market = Market::open(Exchange::start(database));
    let before = market.exchange.nobody().get("/v1/exchange").body;
    let mut asked = market.terms(0);
    asked.as_object_mut().unwrap().remove("claims");
    let from = market.exchange.clock.now().unwrap().after(3_600);
    asked["segments"][0]["from"] = json!(from);
    asked["segments"][0]["to"] = json!(from.after(10 * 3_600));
    asked["segments"][0]["limit"] = json!(36_000);
    let quoted = market.buyer.client.post("/v1/quotes", &asked);
    assert_eq!(quoted.status, 200, "{}", quoted.text);
    assert_eq!(quoted.body["quote"]["gross_fen"], 10_000);
    assert_eq!(quoted.body["quote"]["net_fen"], 9_000);
    assert_eq!(
        quoted.body["order_claims"],
        json!([{ "programme": "w13-capacity" }])
    );
    assert_eq!(
        market.provider.client.post("/v1/quotes", &asked).code(),
        "access.role"
    );
    assert_eq!(market.exchange.nobody().get("/v1/exchange").body, before);
}
