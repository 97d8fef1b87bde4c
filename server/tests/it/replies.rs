//! Every answer to a command is signed: a promise that is kept, or a refusal that is sealed and can be shown.

use serde_json::json;
use std::time::{Duration, Instant};

use verifier::audit::promise::{self, Evidence, Finding};
use verifier::id::Sha256Hash;
use verifier::receipt::{Answered, Claims, Reply, UnverifiedReceipt, req};
use verifier::signature::PublicKey;
use verifier::trail::policy::Policy;

use crate::support::{Answer, Client, Database, Exchange, Market, Trail, checkpoint};

on_both!(
    a_reply_binds_request_answer_and_entry,
    a_refusal_is_for_whom_it_was_given_and_not_shown_before_its_seal,
    a_refusal_is_kept_sealed_and_proven,
    a_bulk_has_one_reply_over_all_its_lines,
    a_refusal_survives_a_stop_before_its_seal,
    a_party_that_is_refused_too_often_is_told_to_come_back_later,
);

/// What a reply says, its signature checked with the key that entry 0 names.
fn reply(exchange: &Exchange, answer: &Answer) -> Reply {
    let opened = exchange.operator().get("/v1/entries/0").body;
    let key = opened["entry"]["asked"]["reply_key"].as_str().unwrap();
    let jws = UnverifiedReceipt::parse(&answer.reply).unwrap();
    let jws = jws.verify(&PublicKey::parse(key).unwrap()).unwrap();
    let Claims::Reply(reply) = jws.claims() else {
        panic!("{} is no reply", answer.reply);
    };
    assert_eq!(reply.iss, "exchange.test/quan");
    assert_eq!(reply.answer, Sha256Hash::of(answer.text.as_bytes()));
    assert_eq!(reply.iat, exchange.clock.now().unwrap());
    reply.clone()
}

/// What the published trail says of a reply.
fn check(exchange: &Exchange, answer: &Answer, evidence: Evidence<'_>) -> Finding {
    let policy = std::fs::read(exchange.data().join("policy.txt")).unwrap();
    let policy = Policy::parse(&policy).unwrap();
    let mut trail = Trail::read(&exchange.data().join("trail"));
    let Ok(finding) = promise::check(&mut trail, &policy, &answer.reply, evidence);
    finding
}

/// Waits until so many entries are published.
fn published(exchange: &Exchange, size: u64) {
    let file = exchange.data().join("trail/checkpoint");
    until(|| file.exists() && checkpoint(&exchange.data()).1 >= size);
}

fn until(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed().as_secs() < 60, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn a_reply_binds_request_answer_and_entry(database: &Database) {
    let exchange = Exchange::start(database);
    let operator = exchange.operator();
    let body = json!({ "roles": ["buyer"], "name": "A".repeat(43) }).to_string();
    let key = [("idempotency-key", "once")];
    let first = operator.send("/v1/parties", &body, &key);
    let said = reply(&exchange, &first);
    assert_eq!(said.outcome, Answered::Accepted);
    assert_eq!(said.req, Some(req("POST", "/v1/parties", body.as_bytes())));
    let seq = said.seq.unwrap();
    assert_eq!(first.body["seq"], seq);
    assert_eq!(
        first.body["trail"]["leaf_hash"],
        said.leaf_hash.unwrap().to_string()
    );
    published(&exchange, seq + 1);
    let evidence = Evidence {
        answer: Some(first.text.as_bytes()),
        ..Evidence::default()
    };
    assert!(matches!(
        check(&exchange, &first, evidence),
        Finding::Kept(_)
    ));
    let again = operator.send("/v1/parties", &body, &key);
    let known = reply(&exchange, &again);
    assert_eq!((known.outcome, known.seq), (Answered::Known, Some(seq)));
    assert_eq!(known.leaf_hash, said.leaf_hash);
    // Nobody known: answered and signed, but to nobody.
    let nobody = exchange.nobody().send("/v1/parties", &body, &key);
    let said = reply(&exchange, &nobody);
    assert_eq!((said.outcome, said.sub), (Answered::Refused, None));
    assert_eq!(said.code.as_deref(), Some("access.unknown"));
    // A read is no command.
    assert_eq!(exchange.nobody().get("/v1/exchange").reply, "");
}

fn a_party_that_is_refused_too_often_is_told_to_come_back_later(database: &Database) {
    let exchange = Exchange::with_refusals_per_hour(database, 3);
    let (funder, other) = (exchange.member(&["funder"]), exchange.member(&["funder"]));
    // Another key of the same party shares its hour.
    let second = exchange.keyed(&funder.actor, "funder");
    let lapse = |client: &Client| {
        let body = json!({ "fund": "nowhere", "fen": 5 });
        client.post("/v1/funds/lapse", &body)
    };
    let kept = |answer: &Answer| {
        let proof = ask_for(&other.client, answer);
        proof.code() != "refusal.unknown"
    };
    for client in [&funder.client, &second, &funder.client] {
        let refused = lapse(client);
        assert_eq!((refused.status, refused.code()), (404, "fund.unknown"));
        assert!(kept(&refused));
    }
    for client in [&funder.client, &second] {
        let often = lapse(client);
        assert_eq!((often.status, often.code()), (429, "access.too-often"));
        assert_eq!(often.retry_after, "1200");
        let said = reply(&exchange, &often);
        assert_eq!(said.outcome, Answered::Failed);
        assert_eq!(said.code.as_deref(), Some("access.too-often"));
        assert!(!kept(&often));
    }
    // What is good is accepted all the while, and others are told why they are refused.
    let fund = json!({ "fund": "sh-2026", "funder": "shanghai" });
    funder.client.done("/v1/funds", &fund);
    assert_eq!(lapse(&other.client).status, 404);
    exchange.clock.advance(1_199);
    assert_eq!(lapse(&second).retry_after, "1");
    exchange.clock.advance(1);
    assert_eq!(lapse(&second).status, 404);
    assert_eq!(lapse(&second).status, 429);
}

fn ask_for(client: &Client, answer: &Answer) -> Answer {
    let hash = Sha256Hash::of(answer.reply.as_bytes());
    client.get(&format!("/v1/refusals/{hash}/proof"))
}

fn sealed(exchange: &Exchange, client: &Client, answer: &Answer) -> Answer {
    until(|| ask_for(client, answer).status == 200);
    let proof = ask_for(client, answer);
    published(exchange, proof.body["seal"].as_u64().unwrap() + 1);
    proof
}

/// Asks for what is refused.
fn lapse(client: &Client, fund: &str) -> Answer {
    let answer = client.post("/v1/funds/lapse", &json!({ "fund": fund, "fen": 5 }));
    assert_eq!(answer.code(), "fund.unknown");
    answer
}

fn a_refusal_is_for_whom_it_was_given_and_not_shown_before_its_seal(database: &Database) {
    let exchange = Exchange::with_timers(database, 20);
    let (funder, other) = (exchange.member(&["funder"]), exchange.member(&["funder"]));
    let refused = lapse(&funder.client, "nowhere");
    let said = reply(&exchange, &refused);
    assert_eq!(said.outcome, Answered::Refused);
    assert_eq!(said.code.as_deref(), Some("fund.unknown"));
    assert_eq!(said.sub.unwrap().to_string(), funder.party);
    let early = ask_for(&funder.client, &refused);
    assert_eq!((early.status, early.code()), (404, "refusal.unsealed"));
    assert_eq!(ask_for(&other.client, &refused).code(), "access.party");
    let nobody = ask_for(&exchange.nobody(), &refused);
    assert_eq!(nobody.code(), "access.unknown");
    let none = format!("/v1/refusals/{}/proof", Sha256Hash::of(b""));
    assert_eq!(funder.client.get(&none).code(), "refusal.unknown");
    let junk = funder.client.get("/v1/refusals/x/proof");
    assert_eq!(junk.code(), "request.malformed");
    let size = exchange.nobody().get("/v1/exchange").body["entries"].as_u64();
    published(&exchange, size.unwrap());
    let open = check(&exchange, &refused, Evidence::default());
    assert!(matches!(open, Finding::Open(_)), "{open:?}");
}

fn a_refusal_is_kept_sealed_and_proven(database: &Database) {
    let exchange = Exchange::with_timers(database, 20);
    let (funder, other) = (exchange.member(&["funder"]), exchange.member(&["funder"]));
    let mut refused: Vec<Answer> = ["sh-1", "sh-2", "sh-3"]
        .map(|fund| lapse(&funder.client, fund))
        .into();
    refused.push(funder.client.send("/v1/funds/lapse", "{", &[]));
    exchange.clock.advance(3_600);
    for answer in &refused {
        let proof = sealed(&exchange, &funder.client, answer);
        assert_eq!(proof.body["size"], 4);
        let evidence = Evidence {
            proof: Some(proof.text.as_bytes()),
            ..Evidence::default()
        };
        let finding = check(&exchange, answer, evidence);
        assert!(matches!(finding, Finding::Kept(_)), "{finding:?}");
        let another = check(&exchange, &refused[0], evidence);
        let own = answer.reply == refused[0].reply;
        assert_eq!(matches!(another, Finding::Kept(_)), own, "{another:?}");
        assert_eq!(ask_for(&other.client, answer).code(), "access.party");
    }
    let regulator = exchange.member(&["regulator"]);
    let proof = ask_for(&regulator.client, &refused[0]);
    let seal = format!("/v1/entries/{}", proof.body["seal"]);
    let entry = &regulator.client.get(&seal).body["entry"];
    assert_eq!(entry["type"], "refusals.sealed");
    let counts = json!([["fund.unknown", 3], ["request.idempotency-key", 1]]);
    assert_eq!(entry["asked"]["counts"], counts);
    assert_eq!(entry["asked"]["number"], 0);
    // An hour without a refusal has no seal, and nobody else's hour is sealed twice.
    exchange.clock.advance(7_200);
    let late = lapse(&funder.client, "late");
    exchange.clock.advance(3_600);
    let proof = sealed(&exchange, &funder.client, &late);
    let alone = (&proof.body["size"], &proof.body["index"]);
    assert_eq!(alone, (&json!(1), &json!(0)));
    assert_eq!(proof.body["hashes"], json!([]));
}

fn a_bulk_has_one_reply_over_all_its_lines(database: &Database) {
    let mut market = Market::open(Exchange::with_timers(database, 20));
    let mut lines: Vec<String> = (0..4).map(|hour| market.receipt(hour, 8)).collect();
    lines.insert(1, "garbage".to_owned());
    let body = lines.join("\n");
    let media = [("content-type", "application/x-ndjson")];
    let answer = market.provider.client.send("/v1/receipts", &body, &media);
    let said = reply(&market.exchange, &answer);
    assert_eq!((said.outcome, said.seq), (Answered::Lines, None));
    assert_eq!(said.req, Some(req("POST", "/v1/receipts", body.as_bytes())));
    let size = market.exchange.nobody().get("/v1/exchange").body["entries"].as_u64();
    published(&market.exchange, size.unwrap());
    let both = Evidence {
        request: Some(body.as_bytes()),
        answer: Some(answer.text.as_bytes()),
        proof: None,
    };
    let kept = check(&market.exchange, &answer, both);
    assert_eq!(
        kept,
        Finding::Kept("4 entries are the ones promised".to_owned())
    );
    let open = check(&market.exchange, &answer, Evidence::default());
    assert!(matches!(open, Finding::Open(_)));
    // The refused line is counted, and the one reply is under the seal.
    market.exchange.clock.advance(3_600);
    let proof = sealed(&market.exchange, &market.provider.client, &answer);
    let seal = format!("/v1/entries/{}", proof.body["seal"]);
    let entry = &market.exchange.operator().get(&seal).body["entry"];
    assert_eq!(entry["asked"]["counts"], json!([["receipt.malformed", 1]]));
    // Singly, sent again: the entry that it became in bulk, from the same request.
    let known = market.send(&lines[0]);
    let finding = check(&market.exchange, &known, Evidence::default());
    assert_eq!(reply(&market.exchange, &known).outcome, Answered::Known);
    assert!(matches!(finding, Finding::Kept(_)), "{finding:?}");
}

fn a_refusal_survives_a_stop_before_its_seal(database: &Database) {
    let mut exchange = Exchange::with_timers(database, 20);
    let funder = exchange.member(&["funder"]);
    let answer = lapse(&funder.client, "nowhere");
    exchange.stop();
    exchange.clock.advance(7_200);
    exchange.restart();
    // The port is another one.
    let client = exchange.keyed(&funder.actor, "funder");
    sealed(&exchange, &client, &answer);
}
