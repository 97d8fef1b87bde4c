//! The trail from outside: checkpoint, tiles, bundles, proofs, as a reader with or without a key gets them.

use serde_json::json;
use server::objects::Objects;
use verifier::audit::{Depth, audit};
use verifier::trail::policy::Policy;
use verifier::trail::proof::Proof;
use verifier::trail::{bundle, tile};

use crate::support::{Client, Database, Exchange, Market, Member};

on_both!(
    the_checkpoint_and_the_hash_tiles_are_public,
    only_the_one_spelling_of_a_path_is_answered,
    bundles_need_a_regulators_key,
    an_entry_is_proven_to_whom_it_concerns,
    a_receipt_is_proven_to_both_sides_of_its_order_and_to_its_funder,
    what_is_not_published_yet_is_asked_for_again,
    what_is_served_is_what_an_auditor_checks,
);

/// An exchange with a funder, whose last entry opens a fund, and with everything published.
fn opened(database: &Database) -> (Exchange, Member, u64) {
    let mut exchange = Exchange::start(database);
    let mut funder = exchange.member(&["funder"]);
    let body = json!({ "fund": "sh-2026", "funder": "shanghai" });
    let seq = funder.client.done("/v1/funds", &body)["seq"]
        .as_u64()
        .unwrap();
    // A stop publishes what was committed.
    exchange.restart();
    funder.client = exchange.keyed(&funder.actor, "funder");
    (exchange, funder, seq)
}

fn policy(exchange: &Exchange) -> Policy {
    let file = std::fs::read(exchange.data().join("policy.txt")).unwrap();
    Policy::parse(&file).unwrap()
}

/// The published size, as anybody reads it.
fn size(client: &Client) -> u64 {
    let note = client.get("/checkpoint").text;
    note.lines().nth(1).unwrap().parse().unwrap()
}

fn the_checkpoint_and_the_hash_tiles_are_public(database: &Database) {
    let (exchange, _, seq) = opened(database);
    let nobody = exchange.nobody();
    let checkpoint = nobody.fetch("/checkpoint", &[]);
    assert_eq!(checkpoint.status, 200);
    assert_eq!(
        checkpoint.header("content-type"),
        "text/plain; charset=utf-8"
    );
    assert_eq!(checkpoint.header("cache-control"), "no-store");
    assert!(checkpoint.bytes.starts_with(b"exchange.test/quan\n"));
    assert!(size(&nobody) > seq);
    let tile = nobody.fetch(&format!("/tile/0/000.p/{}", seq + 1), &[]);
    assert_eq!(tile.status, 200);
    assert_eq!(tile.header("content-type"), "application/octet-stream");
    assert_eq!(
        tile.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    let hashes = tile::tile_hashes(&tile.bytes).unwrap();
    assert_eq!(hashes.len() as u64, seq + 1);
}

fn only_the_one_spelling_of_a_path_is_answered(database: &Database) {
    let (exchange, _, seq) = opened(database);
    let width = seq + 1;
    for path in [
        "/tile/".to_owned(),
        "/tile/0/000".to_owned(),
        format!("/tile/00/000.p/{width}"),
        format!("/tile/0/0.p/{width}"),
        format!("/tile/0/000.p/0{width}"),
        format!("/tile/%30/000.p/{width}"),
        format!("/tile/0/000%2Ep/{width}"),
        format!("/tile/0/x000/000.p/{width}"),
        format!("/tile//0/000.p/{width}"),
        "/tile/0/000.p/0".to_owned(),
        "/tile/0/000.p/255".to_owned(),
        "/tile/64/000".to_owned(),
        "/tile/0/..%2F..%2F..%2Flog.key".to_owned(),
        "/tile/checkpoint".to_owned(),
    ] {
        let answer = exchange.nobody().get(&path);
        assert_eq!(
            (answer.status, answer.code()),
            (404, "request.path"),
            "{path}"
        );
    }
    for path in [
        "/checkpoint".to_owned(),
        format!("/tile/0/000.p/{width}"),
        format!("/tile/entries/000.p/{width}"),
    ] {
        let posted = exchange.nobody().post(&path, &json!({}));
        let found = (posted.status, posted.code());
        assert_eq!(found, (405, "request.method"), "{path}");
    }
}

fn bundles_need_a_regulators_key(database: &Database) {
    let (exchange, funder, seq) = opened(database);
    let regulator = exchange.member(&["regulator"]).client;
    let path = format!("/tile/entries/000.p/{}", seq + 1);
    let refused = exchange.nobody().fetch(&path, &[]);
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(refused.header("cache-control"), "no-store");
    let refused = funder.client.get(&path);
    assert_eq!((refused.status, refused.code()), (403, "access.role"));
    let plain = regulator.fetch(&path, &[("accept-encoding", "identity")]);
    assert_eq!(plain.status, 200);
    assert!(plain.header("cache-control").starts_with("private"));
    let width = u16::try_from(seq + 1).unwrap();
    let entries = bundle::decode(&plain.bytes, width).unwrap();
    assert!(entries[0].starts_with(b"{\"v\":1,\"seq\":0,"));
    let packed = regulator.fetch(&path, &[("accept-encoding", "gzip")]);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(
        packed
            .header("vary")
            .eq_ignore_ascii_case("accept-encoding")
    );
    let absent = regulator.get("/tile/entries/007");
    assert_eq!((absent.status, absent.code()), (404, "request.path"));
}

fn an_entry_is_proven_to_whom_it_concerns(database: &Database) {
    let (exchange, funder, seq) = opened(database);
    let path = format!("/v1/entries/{seq}/proof");
    let answer = funder.client.get(&path);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let proof = Proof::parse(answer.text.as_bytes()).unwrap();
    let (entry, head) = proof.verify_extra(&policy(&exchange)).unwrap();
    let entry: serde_json::Value = serde_json::from_slice(entry).unwrap();
    assert_eq!(
        (&entry["type"], &entry["seq"]),
        (&json!("fund.opened"), &json!(seq))
    );
    assert!(head.checkpoint().size().get() > seq);
    let other = exchange.member(&["buyer"]).client;
    assert_eq!(other.get(&path).code(), "access.party");
    assert_eq!(exchange.nobody().get(&path).status, 401);
    let regulator = exchange.member(&["regulator"]).client;
    assert_eq!(regulator.get(&path).status, 200);
    let absent = regulator.fetch("/v1/entries/9999/proof", &[]);
    assert_eq!((absent.status, absent.header("retry-after")), (404, ""));
    for bad in ["-1", "+1", "01", "x", "18446744073709551616"] {
        let answer = regulator.get(&format!("/v1/entries/{bad}/proof"));
        assert_eq!(answer.code(), "request.malformed", "{bad}");
    }
}

/// A buyer's own receipts name it nowhere: they name the order, which is the buyer's.
fn a_receipt_is_proven_to_both_sides_of_its_order_and_to_its_funder(database: &Database) {
    let mut market = Market::open(Exchange::start(database));
    let receipt = market.receipt(0, 8);
    let sent = market.send(&receipt);
    let seq = sent.body["seq"].as_u64().unwrap();
    let roles = [
        (market.buyer.actor.clone(), "buyer"),
        (market.provider.actor.clone(), "provider"),
        (market.funder.actor.clone(), "funder"),
    ];
    // A stop publishes what was committed.
    market.exchange.restart();
    let (path, read) = (
        format!("/v1/entries/{seq}/proof"),
        format!("/v1/entries/{seq}"),
    );
    for (actor, role) in roles {
        let client = market.exchange.keyed(&actor, role);
        let answer = client.get(&path);
        assert_eq!(answer.status, 200, "{role} {}", answer.text);
        let proof = Proof::parse(answer.text.as_bytes()).unwrap();
        let (entry, _) = proof.verify_extra(&policy(&market.exchange)).unwrap();
        let entry: serde_json::Value = serde_json::from_slice(entry).unwrap();
        assert_eq!(entry["type"], "receipt.accepted");
        assert_eq!(client.get(&read).body["entry"], entry);
    }
    for role in ["buyer", "provider", "vendor", "funder"] {
        let stranger = market.exchange.member(&[role]).client;
        for path in [&path, &read] {
            let answer = stranger.get(path);
            let found = (answer.status, answer.code());
            assert_eq!(found, (403, "access.party"), "{role} {path}");
        }
    }
}

fn what_is_not_published_yet_is_asked_for_again(database: &Database) {
    let (exchange, _, _) = opened(database);
    let regulator = exchange.member(&["regulator"]).client;
    let later = |path: &str| {
        let answer = regulator.fetch(path, &[]);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        answer.header("retry-after") == "1"
    };
    // The tree will have these one day, and never the others.
    for path in [
        "/tile/0/x001/000",
        "/tile/1/000",
        "/tile/entries/000",
        "/tile/entries/x001/000.p/7",
    ] {
        assert!(later(path), "{path}");
    }
    for path in ["/tile/0/000.p/0", "/tile/entries/00"] {
        assert!(!later(path), "{path}");
    }
}

fn what_is_served_is_what_an_auditor_checks(database: &Database) {
    let (mut exchange, _, seq) = opened(database);
    exchange.stop();
    let trail = exchange.data().join("trail");
    let mut files = Objects::folder(&trail).unwrap();
    let report = audit(&mut files, &policy(&exchange), Depth::Decisions).unwrap();
    assert_eq!(report.differences, []);
    assert_eq!(report.decided, seq + 1);
}
