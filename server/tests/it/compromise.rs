//! A receipt key in the wrong hands, over HTTP: what it has earned is frozen, an office decides, a recovery key names the next one.
#![expect(clippy::too_many_lines, reason = "a story is told in one go")]

use serde_json::{Value, json};
use verifier::id::PartyId;
use verifier::receipt::{self, KeyRegistration, KeySuccession, KeyUse};
use verifier::signature::Signer;

use crate::support::{Client, Database, Exchange, Market, quan_verify, register_key, text};
use crate::timers::until;

on_both!(
    what_a_compromised_key_has_earned_is_frozen_until_an_office_decides,
    the_next_key_needs_the_word_of_the_recovery_key_or_a_case,
    a_long_list_is_frozen_by_the_timers,
    a_provider_makes_its_keys_by_the_meter,
);

/// The market's own receipt key.
fn provider_key() -> Signer {
    Signer::from_seed(&[3; 32])
}

/// A regulator's credential that sees everything.
fn regulator(exchange: &Exchange) -> Client {
    exchange.member(&["regulator"]).client
}

fn revoke(market: &Market, since: verifier::time::Timestamp) -> Value {
    let asked = json!({
        "kid": provider_key().public().kid(), "reason": "compromised", "compromised_since": since,
    });
    market.exchange.operator().done("/v1/keys/revoke", &asked)
}

fn decision(case: &str, approved: bool) -> Value {
    json!({
        "case": case, "approved": approved,
        "basis": verifier::id::DocumentDigest::of(b"an expert's report"),
    })
}

/// A list as it stands after all that was entered.
fn listed(client: &Client, path: &str) -> Vec<Value> {
    let as_of = client.get("/v1/exchange").body["as_of"].as_u64().unwrap();
    let answer = client.get_with(path, &[("quan-min-seq", &as_of.to_string())]);
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["items"].as_array().unwrap().clone()
}

fn what_a_compromised_key_has_earned_is_frozen_until_an_office_decides(database: &Database) {
    let mut market = Market::open(Exchange::start(database));
    let first = market.receipt(0, 8);
    assert_eq!(market.send(&first).status, 201);
    market.exchange.clock.advance(60);
    let since = market.exchange.clock.now().unwrap();
    let second = market.receipt(1, 8);
    assert_eq!(market.send(&second).status, 201);
    let revoked = revoke(&market, since);
    let case = text(&revoked["found"]["case"]);
    let frozen = json!([{ "order": market.order, "claim": 0, "fen": [800] }]);
    assert_eq!(revoked["found"]["frozen"]["claims"], frozen);
    let third = market.receipt(2, 8);
    assert_eq!(market.send(&third).code(), "receipt.key-not-valid-then");

    // The provider sees what is frozen of its own, and the case that decides it.
    let provider = &market.provider.client;
    let order = format!("/v1/orders/{}", market.order);
    let claim = provider.get(&order).body["claims"][0].clone();
    assert_eq!(
        (&claim["granted_fen"], &claim["frozen_fen"]),
        (&json!(1_600), &json!(800))
    );
    let owed = provider.get("/v1/me/owed").body["coming"].clone();
    let state = |state: &str| {
        let all = owed.as_array().unwrap().iter();
        all.filter(|row| row["state"] == state)
            .map(|row| row["fen"].as_i64().unwrap())
            .sum::<i64>()
    };
    assert_eq!((state("earned"), state("frozen")), (800, 800));
    let shown = provider.get(&format!("/v1/cases/{case}"));
    assert_eq!(shown.body["progress"]["state"], "open", "{}", shown.text);
    assert_eq!(shown.body["waiting"][0]["frozen_fen"], json!([800]));
    assert_eq!(
        market.buyer.client.get(&format!("/v1/cases/{case}")).code(),
        "access.party"
    );
    assert_eq!(listed(provider, "/v1/cases")[0]["standing"], "open");
    let key = provider
        .get(&format!("/v1/parties/{}", market.provider.party))
        .body["keys"]
        .clone();
    let key = key
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["reason"] == "compromised")
        .unwrap()
        .clone();
    assert_eq!(key["kid"], json!(provider_key().public().kid()));

    // Only an office decides, and once.
    let funder = &market.funder.client;
    funder.refused("/v1/cases/decide", &decision(&case, true), "access.role");
    provider.refused(
        "/v1/cases/withdraw",
        &json!({ "case": case }),
        "access.role",
    );
    let office = &market.office.client;
    let mut named = decision(&case, false);
    named["claims"] = json!([{ "order": market.order, "claim": 1 }]);
    office.refused("/v1/cases/decide", &named, "case.state");
    named["claims"] = json!([{ "order": market.order, "claim": 0 }]);
    let decided = office.done("/v1/cases/decide", &named);
    assert_eq!(
        decided["found"]["ruled"]["stated"][0]["claims"][0]["grant"],
        800
    );
    office.refused("/v1/cases/decide", &decision(&case, true), "case.state");
    assert_eq!(listed(provider, "/v1/cases")[0]["standing"], "denied");
    let claim = provider.get(&order).body["claims"][0].clone();
    assert_eq!(
        (&claim["granted_fen"], &claim["frozen_fen"]),
        (&json!(800), &json!(0))
    );

    // A start from a snapshot knows all of it, and whoever has the files decides it again.
    let token = regulator(&market.exchange).token();
    market.exchange.restart();
    let again = market.exchange.client(Some(&token));
    let shown = again.get(&format!("/v1/cases/{case}")).body;
    assert_eq!(shown["progress"]["approved"], false);
    let data = market.exchange.data();
    market.exchange.stop();
    let audited = quan_verify(&data.join("trail"), &data.join("policy.txt"));
    let page = String::from_utf8_lossy(&audited.stdout).into_owned();
    assert_eq!(audited.status.code(), Some(0), "{page}");
}

fn registration(market: &Market, key_use: KeyUse, signer: &Signer) -> Value {
    let now = market.exchange.clock.now().unwrap();
    let proof = KeyRegistration {
        iss: PartyId::parse(&market.provider.party).unwrap(),
        aud: crate::support::ORIGIN.to_owned(),
        key_use,
        iat: now,
    };
    let public = signer.public();
    json!({
        "party": market.provider.party, "use": key_use, "kid": public.kid(),
        "jwk": { "crv": "Ed25519", "kty": "OKP", "x": public.x() },
        "valid_from": now, "valid_to": now.after(86_400), "proof": receipt::sign(&proof, signer),
    })
}

fn the_next_key_needs_the_word_of_the_recovery_key_or_a_case(database: &Database) {
    let market = Market::open(Exchange::start(database));
    let (recovery, next) = (Signer::from_seed(&[8; 32]), Signer::from_seed(&[9; 32]));
    register_key(
        &market.exchange,
        &market.provider,
        KeyUse::Recovery,
        &recovery,
    );
    let now = market.exchange.clock.now().unwrap();
    let revoked = revoke(&market, now);
    assert_eq!(revoked["found"], json!({}));
    let operator = market.exchange.operator();
    let mut asked = registration(&market, KeyUse::Receipt, &next);
    operator.refused("/v1/keys", &asked, "key.succession");
    let succession = KeySuccession {
        iss: PartyId::parse(&market.provider.party).unwrap(),
        aud: crate::support::ORIGIN.to_owned(),
        key_use: KeyUse::Receipt,
        kid: next.public().kid(),
        replaces: Some(provider_key().public().kid()),
        iat: now,
    };
    asked["succession"] = json!(receipt::sign(&succession, &next));
    operator.refused("/v1/keys", &asked, "key.succession");
    asked["succession"] = json!(receipt::sign(&succession, &recovery));
    operator.done("/v1/keys", &asked);

    // A party that has lost its recovery key: the exchange opens a case, an office approves, one key is registered by it.
    let subject = json!({ "subject": { "recovery": { "party": market.provider.party } } });
    market
        .buyer
        .client
        .refused("/v1/cases", &subject, "access.role");
    let case = text(&operator.done("/v1/cases", &subject)["found"]["case"]);
    let third = Signer::from_seed(&[10; 32]);
    let mut asked = registration(&market, KeyUse::Recovery, &third);
    asked["case"] = json!(case);
    operator.refused("/v1/keys", &asked, "key.succession");
    market
        .office
        .client
        .done("/v1/cases/decide", &decision(&case, true));
    operator.done("/v1/keys", &asked);
    let mine = listed(&market.provider.client, "/v1/cases");
    assert_eq!(
        (&mine[0]["case"], &mine[0]["standing"]),
        (&json!(case), &json!("approved"))
    );
}

/// Orders of a receipt each, all by one key.
const ORDERS: u32 = 121;

fn a_long_list_is_frozen_by_the_timers(database: &Database) {
    let market = Market::open(Exchange::with_timers(database, 10));
    let mut receipts = Vec::new();
    for n in 0..ORDERS {
        let placed = market.buyer.client.done("/v1/orders", &market.terms(1_000));
        let order = text(&placed["found"]["order"]).parse().unwrap();
        let mut usage = market.usage(i64::from(n % 20), 1);
        (usage.sub, usage.jti.order) = (order, order);
        usage.jobs[0].run = format!("slurm:test/{}@1", n + 1_000);
        receipts.push(market.sign(&usage));
    }
    let sent = market.send_bulk(&receipts);
    assert!(
        sent.iter().all(|line| line["outcome"] == "accepted"),
        "{sent:?}"
    );
    let revoked = revoke(&market, market.exchange.clock.now().unwrap());
    let frozen = &revoked["found"]["frozen"];
    assert_eq!(frozen["claims"].as_array().unwrap().len(), 120);
    assert!(frozen["next"].is_string());
    let case = format!("/v1/cases/{}", text(&revoked["found"]["case"]));
    let waiting = || {
        let shown = market.office.client.get(&case).body;
        shown["waiting"].as_array().unwrap().len()
    };
    until(|| waiting() == ORDERS as usize);
    let mut left = 1;
    while left > 0 {
        let decide = decision(&text(&revoked["found"]["case"]), true);
        let decided = market.office.client.done("/v1/cases/decide", &decide);
        left = decided["found"]["ruled"]["left"].as_u64().unwrap_or(0);
    }
    assert_eq!(waiting(), 0);
    let owed = market.provider.client.get("/v1/me/owed").body["coming"].clone();
    let states = owed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| text(&row["state"]));
    assert_eq!(
        states.collect::<std::collections::BTreeSet<_>>(),
        ["earned".to_owned()].into()
    );
}

fn keygen(market: &Market, folder: &std::path::Path, more: &[&str]) -> Value {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_quan"))
        .current_dir(folder)
        .args(["meter", "keygen", "--issuer", &market.provider.party])
        .args(["--audience", crate::support::ORIGIN])
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let mut printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let now = market.exchange.clock.now().unwrap();
    printed["party"] = json!(market.provider.party);
    printed["valid_from"] = json!(now.after(-86_400));
    printed["valid_to"] = json!(now.after(86_400 * 365 * 50));
    printed
}

fn a_provider_makes_its_keys_by_the_meter(database: &Database) {
    // The program signs at the machine's own time.
    let now = server::clock::Clock::real().now().unwrap();
    let begin = now.hour().start().after(-2 * 86_400);
    let market = Market::open(Exchange::at(database, begin));
    let clock = &market.exchange.clock;
    clock.advance(now.unix() - clock.now().unwrap().unix());
    let folder = tempfile::tempdir().unwrap();
    let operator = market.exchange.operator();
    let recovery = keygen(
        &market,
        folder.path(),
        &["--key-file", "recovery.key", "--use", "recovery"],
    );
    operator.done("/v1/keys", &recovery);
    revoke(&market, market.exchange.clock.now().unwrap());
    let old = provider_key().public().kid().to_string();
    let plain = keygen(&market, folder.path(), &["--key-file", "plain.key"]);
    operator.refused("/v1/keys", &plain, "key.succession");
    market.exchange.clock.advance(60);
    let by = [
        "--key-file",
        "next.key",
        "--recovery-key",
        "recovery.key",
        "--replaces",
        &old,
    ];
    operator.done("/v1/keys", &keygen(&market, folder.path(), &by));
}
