//! The API from outside: commands, repetition, problems, reads, stop and start.

use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Database, Exchange, checkpoint, text};

on_both!(
    the_first_start_opens_the_exchange_and_the_second_finds_it,
    a_command_becomes_an_entry_that_its_party_can_read,
    a_repeated_command_is_answered_with_its_entry_also_after_a_restart,
    each_malformed_request_is_a_problem_with_its_code,
    money_moves_between_the_accounts_of_a_fund,
    a_list_goes_on_behind_its_cursor,
    a_read_waits_for_the_entry_that_it_names,
    a_stop_publishes_what_was_acknowledged,
);

fn the_first_start_opens_the_exchange_and_the_second_finds_it(database: &Database) {
    let mut exchange = Exchange::start(database);
    let key = exchange.data().join("operator.key");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = std::fs::read(&key).unwrap();
    let first = exchange.nobody().get("/v1/exchange").body;
    assert_eq!(first["origin"], "exchange.test/quan");
    assert_eq!((&first["entries"], &first["as_of"]), (&json!(1), &json!(0)));
    exchange.restart();
    assert_eq!(exchange.nobody().get("/v1/exchange").body, first);
    assert_eq!(std::fs::read(&key).unwrap(), token);
    let health = exchange.nobody().get("/health").body;
    assert_eq!(
        (&health["status"], &health["entries"], &health["slowed"]),
        (&json!("serving"), &json!(1), &json!(false))
    );
}

fn a_command_becomes_an_entry_that_its_party_can_read(database: &Database) {
    let exchange = Exchange::start(database);
    let funder = exchange.member(&["funder"]);
    let opened = funder.client.done(
        "/v1/funds",
        &json!({ "fund": "sh-2026", "funder": "shanghai" }),
    );
    assert_eq!(opened["type"], "fund.opened");
    assert_eq!(opened["at"], "2026-11-23T00:00:00Z");
    assert_eq!(opened["trail"]["index"], opened["seq"]);
    assert_eq!(opened["as_of"], opened["seq"]);
    let path = format!("/v1/entries/{}", opened["seq"]);
    let entry = funder.client.get(&path).body;
    assert_eq!(
        entry["entry"]["asked"],
        json!({ "fund": "sh-2026", "funder": "shanghai" })
    );
    assert_eq!(entry["entry"]["by"], funder.party.as_str());
    let other = exchange.member(&["buyer"]);
    assert_eq!(other.client.get(&path).code(), "access.party");
    let regulator = exchange.member(&["regulator"]);
    assert_eq!(regulator.client.get(&path).status, 200);
    assert_eq!(
        regulator.client.get("/v1/entries/999").code(),
        "entry.unknown"
    );
    let party = other
        .client
        .get(&format!("/v1/parties/{}", other.party))
        .body;
    assert_eq!(party["actors"][0]["actor"], other.actor.as_str());
}

fn a_repeated_command_is_answered_with_its_entry_also_after_a_restart(database: &Database) {
    let mut exchange = Exchange::start(database);
    let body = json!({ "roles": ["buyer"], "name": "A".repeat(43) }).to_string();
    let key = [("idempotency-key", "\"once\"")];
    let first = exchange.operator().send("/v1/parties", &body, &key);
    assert_eq!(first.status, 201);
    let again = exchange
        .operator()
        .send("/v1/parties", &body, &[("idempotency-key", "once")]);
    assert_eq!((again.status, &again.text), (201, &first.text));
    exchange.restart();
    let again = exchange.operator().send("/v1/parties", &body, &key);
    assert_eq!((again.status, &again.text), (201, &first.text));
    let other = json!({ "roles": ["vendor"], "name": "A".repeat(43) }).to_string();
    let conflict = exchange.operator().send("/v1/parties", &other, &key);
    assert_eq!(
        (conflict.status, conflict.code()),
        (422, "command.conflict")
    );
    // Another party's key of the same name is another command.
    let funder = exchange.member(&["funder"]);
    let open = json!({ "fund": "sh-2026", "funder": "shanghai" }).to_string();
    assert_eq!(funder.client.send("/v1/funds", &open, &key).status, 201);
}

/// Path, body, headers; status, code.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a str);

fn each_malformed_request_is_a_problem_with_its_code(database: &Database) {
    let exchange = Exchange::start(database);
    let good = json!({ "roles": ["buyer"], "name": "A".repeat(43) }).to_string();
    let (unknown, twice) = (
        good.replace('}', ",\"x\":1}"),
        good.replace('}', ",\"roles\":[]}"),
    );
    let (king, deep) = (good.replace("buyer", "king"), "[".repeat(10_000));
    let array = json!([["buyer"], "A".repeat(43), null]).to_string();
    let inside = json!({ "site": "sit-aaaaaaaaaaaaaaaa", "hardware": [["nvidia-h100-sxm", 8]] });
    let inside = inside.to_string();
    let long = format!("{good}{}", " ".repeat(200_000));
    let longest = "k".repeat(256);
    let key = ("idempotency-key", "k");
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("/v1/parties", &good, &[], 400, "request.idempotency-key"),
        ("/v1/parties", &good, &[("idempotency-key", "a b")], 400, "request.idempotency-key"),
        ("/v1/parties", &good, &[("idempotency-key", &longest)], 400, "request.idempotency-key"),
        ("/v1/parties", &good, &[key, ("content-type", "text/plain")], 415, "request.media-type"),
        ("/v1/parties", "", &[key], 400, "request.malformed"),
        ("/v1/parties", "{}", &[key], 400, "request.malformed"),
        ("/v1/parties", "[1]", &[key], 400, "request.malformed"),
        ("/v1/parties", &array, &[key], 400, "request.malformed"),
        ("/v1/api-keys", r#"["act-aaaaaaaaaaaaaaaa","buyer",""]"#, &[key], 400, "request.malformed"),
        ("/v1/parties", &unknown, &[key], 400, "request.malformed"),
        ("/v1/parties", &twice, &[key], 400, "request.malformed"),
        ("/v1/parties", &king, &[key], 400, "request.malformed"),
        ("/v1/parties", &deep, &[key], 400, "request.malformed"),
        ("/v1/parties", &long, &[key], 413, "request.too-large"),
        ("/v1/nothing", &good, &[key], 404, "request.path"),
        ("/v1/exchange", &good, &[key], 405, "request.method"),
        ("/v1/funds", "{}", &[key], 403, "access.role"),
    ];
    rows.iter().for_each(|row| is_refused(&exchange, row));
    // An object's members stand under their names, also inside.
    let provider = exchange.member(&["provider"]).client;
    let answer = provider.send("/v1/sites/update", &inside, &[key]);
    assert_eq!((answer.status, answer.code()), (400, "request.malformed"));
    assert!(answer.text.contains("/hardware/0/"), "{}", answer.text);
    for query in ["?limit=0", "?limit=x", "?offset=1"] {
        let answer = exchange.nobody().get(&format!("/v1/funds{query}"));
        assert_eq!(
            (answer.status, answer.code()),
            (400, "request.malformed"),
            "{query}"
        );
    }
    // Entry 0, and the two of the provider.
    assert_eq!(exchange.nobody().get("/v1/exchange").body["entries"], 3);
}

fn is_refused(exchange: &Exchange, (path, body, headers, status, code): &Row<'_>) {
    let answer = exchange.operator().send(path, body, headers);
    let found = (answer.status, answer.code());
    assert_eq!(
        found,
        (*status, *code),
        "{path} {headers:?} {}",
        answer.text
    );
    assert_eq!(answer.media, "application/problem+json");
    assert_eq!(answer.body["type"], format!("urn:quan:problem:{code}"));
}

fn money_moves_between_the_accounts_of_a_fund(database: &Database) {
    let exchange = Exchange::start(database);
    let funder = exchange.member(&["funder"]);
    funder.client.done(
        "/v1/funds",
        &json!({ "fund": "sh-2026", "funder": "shanghai" }),
    );
    funder.client.done(
        "/v1/funds/appropriate",
        &json!({ "fund": "sh-2026", "fen": 1_000 }),
    );
    funder
        .client
        .done("/v1/funds/lapse", &json!({ "fund": "sh-2026", "fen": 400 }));
    funder.client.refused(
        "/v1/funds/lapse",
        &json!({ "fund": "sh-2026", "fen": 601 }),
        "fund.exhausted",
    );
    let funds = exchange.nobody().get("/v1/funds").body;
    assert_eq!(
        funds["items"][0]["balances"],
        json!({ "fund": 600, "treasury": -600 })
    );
    let balance = funder.client.get("/v1/funds/sh-2026/trial-balance").body;
    assert_eq!(balance["sum"], 0);
    assert_eq!(
        balance["items"][0],
        json!({ "account": "fund/sh-2026", "fen": 600 })
    );
    let other = exchange.member(&["funder"]);
    assert_eq!(
        other.client.get("/v1/funds/sh-2026/trial-balance").code(),
        "access.party"
    );
}

fn a_list_goes_on_behind_its_cursor(database: &Database) {
    let exchange = Exchange::start(database);
    let funder = exchange.member(&["funder"]);
    for number in 0..5 {
        let fund = format!("fund-{number}");
        funder
            .client
            .done("/v1/funds", &json!({ "fund": fund, "funder": "shanghai" }));
    }
    let (mut found, mut path) = (Vec::new(), "/v1/funds?limit=2".to_owned());
    loop {
        let page = exchange.nobody().get(&path).body;
        found.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| text(&item["fund"])),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/v1/funds?limit=2&after={next}");
    }
    assert_eq!(found, ["fund-0", "fund-1", "fund-2", "fund-3", "fund-4"]);
}

fn a_read_waits_for_the_entry_that_it_names(database: &Database) {
    let exchange = Exchange::start(database);
    let ask = |seq: &str| {
        exchange
            .operator()
            .get_with("/v1/exchange", &[("quan-min-seq", seq)])
    };
    assert_eq!(ask("0").status, 200);
    assert_eq!(ask("x").code(), "request.malformed");
    // Nobody writes entry 1 yet: the read waits for it and is answered when it is there.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask("1"));
        exchange.operator().done(
            "/v1/parties",
            &json!({ "roles": ["buyer"], "name": "A".repeat(43) }),
        );
        assert_eq!(waiting.join().unwrap().body["entries"], 2);
    });
}

fn a_stop_publishes_what_was_acknowledged(database: &Database) {
    let mut exchange = Exchange::start(database);
    exchange.member(&["buyer"]);
    let entries = exchange.nobody().get("/v1/exchange").body["entries"]
        .as_u64()
        .unwrap();
    exchange.stop();
    assert_eq!(
        checkpoint(&exchange.data()),
        ("exchange.test/quan".to_owned(), entries)
    );
    assert!(exchange.data().join("policy.txt").is_file());
}
