//! Regulators that are limited to a fund or a region: what each reads over every route, and what an audit of that can tell.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use verifier::audit::{Depth, Files, Report, Verdict, audit_scopes};
use verifier::book::scope::Scope;
use verifier::trail::bundle;
use verifier::trail::policy::Policy;

use crate::support::{Client, Database, Exchange, Market, quan_verify_as, text};

on_both!(
    a_limited_regulator_reads_its_own_scopes_over_every_route,
    lists_keep_to_the_scopes_and_their_pages_are_full,
    each_key_gets_the_bundles_of_its_scopes_and_no_others,
    what_a_limited_regulator_fetches_agrees_and_nothing_was_kept_from_it,
    the_counts_of_scopes_are_stated_by_time_and_at_a_stop,
    the_command_fetches_and_audits_what_a_limited_key_sees,
);

/// A market of the fund `w13-city`, another fund in Pudong, and a receipt.
fn open(database: &Database) -> Market {
    let mut market = Market::open(Exchange::with_seals(database));
    let fund = json!({ "fund": "pd-2026", "funder": "f-finance", "region": "310115" });
    market.funder.client.done("/v1/funds", &fund);
    let fill = json!({ "fund": "pd-2026", "fen": 500 });
    market.funder.client.done("/v1/funds/appropriate", &fill);
    let receipt = market.receipt(0, 8);
    assert_eq!(market.send(&receipt).status, 201);
    market
}

/// A regulator's credential, limited to scopes; to none if there are none.
fn regulator(exchange: &Exchange, scopes: &[&str]) -> Client {
    let operator = exchange.operator();
    let name = "A".repeat(43);
    let admitted = operator.done(
        "/v1/parties",
        &json!({ "roles": ["regulator"], "name": name }),
    );
    let mut register = json!({ "party": admitted["found"]["party"], "roles": ["regulator"] });
    if !scopes.is_empty() {
        register["scopes"] = json!(scopes);
    }
    let registered = operator.done("/v1/actors", &register);
    exchange.keyed(&text(&registered["found"]["actor"]), "regulator")
}

fn code(client: &Client, path: &str) -> (u16, String) {
    let answer = client.get(path);
    (answer.status, answer.code().to_owned())
}

/// The number of the newest entry of a kind, as whoever sees all finds it.
fn newest(all: &Client, kind: &str) -> u64 {
    let as_of = all.get("/v1/exchange").body["as_of"].as_u64().unwrap();
    let path = format!("/v1/entries?kind={kind}&limit=1000");
    let found = all.get_with(&path, &[("quan-min-seq", &as_of.to_string())]);
    let items = found.body["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|item| item["seq"].as_u64().unwrap())
        .max()
        .unwrap()
}

fn a_limited_regulator_reads_its_own_scopes_over_every_route(database: &Database) {
    let market = open(database);
    let exchange = &market.exchange;
    let all = regulator(exchange, &[]);
    let city = regulator(exchange, &["fund/w13-city"]);
    let pudong = regulator(exchange, &["region/310000"]);
    let (order, buyer) = (market.order, &market.buyer.party);
    let receipt = newest(&all, "receipt.accepted");
    let party = newest(&all, "party.admitted");
    let fund = newest(&all, "fund.opened");
    let entry = |seq: u64| format!("/v1/entries/{seq}");
    // Path, whether the city's regulator reads it, whether Pudong's does.
    let cells = [
        (format!("/v1/orders/{order}"), true, false),
        ("/v1/funds/w13-city/trial-balance".to_owned(), true, false),
        ("/v1/funds/pd-2026/trial-balance".to_owned(), false, true),
        (format!("/v1/parties/{buyer}"), true, true),
        (entry(receipt), true, false),
        (entry(fund), false, true),
        (entry(party), true, true),
        ("/v1/funds".to_owned(), true, true),
        ("/v1/programmes/w13-capacity".to_owned(), true, true),
    ];
    for (path, of_city, of_pudong) in cells {
        assert_eq!(all.get(&path).status, 200, "{path}");
        for (client, reads) in [(&city, of_city), (&pudong, of_pudong)] {
            let expected = if reads {
                (200, String::new())
            } else {
                (403, "access.scope".to_owned())
            };
            assert_eq!(code(client, &path), expected, "{path}");
        }
    }
    // The proof of an entry is its entry too.
    let proof = format!("/v1/entries/{receipt}/proof");
    assert_eq!(code(&pudong, &proof), (403, "access.scope".to_owned()));
    assert_ne!(code(&city, &proof).0, 403);
    // No one but a regulator alone is limited.
    let operator = exchange.operator();
    let limited = json!({ "party": buyer, "roles": ["buyer"], "scopes": ["fund/w13-city"] });
    operator.refused("/v1/actors", &limited, "access.scope");
}

fn lists_keep_to_the_scopes_and_their_pages_are_full(database: &Database) {
    let market = open(database);
    let exchange = &market.exchange;
    let (city, pudong) = (
        regulator(exchange, &["fund/w13-city"]),
        regulator(exchange, &["region/310115"]),
    );
    let as_of = city.get("/v1/exchange").body["as_of"].to_string();
    let listed = |client: &Client, path: &str| -> Vec<Value> {
        let (mut items, mut next) = (Vec::new(), None);
        loop {
            let after = next.map_or(String::new(), |next: String| format!("&after={next}"));
            let page = client.get_with(&format!("{path}{after}"), &[("quan-min-seq", &as_of)]);
            assert_eq!(page.status, 200, "{}", page.text);
            let own = page.body["items"].as_array().unwrap();
            items.extend(own.iter().cloned());
            let limit = path.split_once("limit=").map(|(_, limit)| limit);
            match page.body["next"].as_str() {
                // A page is as full as everybody's, and a next one has something in it.
                Some(cursor) => {
                    assert_eq!(Some(own.len()), limit.map(|limit| limit.parse().unwrap()));
                    next = Some(cursor.to_owned());
                }
                None => {
                    let is_first = after.is_empty();
                    assert!(is_first || !own.is_empty(), "an empty page of {path}");
                    return items;
                }
            }
        }
    };
    for (client, orders, opened) in [(&city, 1, "w13-city"), (&pudong, 0, "pd-2026")] {
        assert_eq!(listed(client, "/v1/orders?limit=2").len(), orders);
        assert_eq!(
            listed(client, &format!("/v1/orders?party={}", market.buyer.party)).len(),
            orders
        );
        assert_eq!(listed(client, "/v1/vouchers?limit=2").len(), 0);
        assert_eq!(listed(client, "/v1/cases?limit=2").len(), 0);
        let entries = listed(client, "/v1/entries?limit=3");
        // Each is one that may be read.
        for entry in &entries {
            assert_eq!(
                client.get(&format!("/v1/entries/{}", entry["seq"])).status,
                200
            );
        }
        let funds = listed(client, "/v1/entries?kind=fund.opened&limit=1");
        assert_eq!(funds.len(), 1);
        let seq = &funds[0]["seq"];
        let read = client.get(&format!("/v1/entries/{seq}")).body;
        assert_eq!(read["entry"]["asked"]["fund"], opened);
    }
}

fn each_key_gets_the_bundles_of_its_scopes_and_no_others(database: &Database) {
    let mut market = open(database);
    let limits: [&[&str]; 4] = [
        &[],
        &["fund/w13-city"],
        &["fund/pd-2026", "fund/w13-city"],
        &["region/310000"],
    ];
    let token = |scopes: &&[&str]| regulator(&market.exchange, scopes).token();
    let tokens: Vec<String> = limits.iter().map(token).collect();
    market.exchange.restart();
    let exchange = &market.exchange;
    let client = |token: &String| exchange.client(Some(token));
    let keys: Vec<Client> = tokens.iter().map(client).collect();
    let size = size(exchange);
    // Path, and which of the keys read it.
    let cells = [
        ("tile/entries", [true, false, false, false]),
        ("redacted/common", [true, true, true, true]),
        ("redacted/fund/w13-city", [true, true, true, false]),
        ("redacted/fund/pd-2026", [true, false, true, false]),
        ("redacted/region/310000", [true, false, false, true]),
        ("redacted/region/310115", [true, false, false, true]),
        ("redacted/region/110000", [true, false, false, false]),
    ];
    for (folder, read_by) in cells {
        let path = &format!("/{folder}/000.p/{size}");
        for ((key, reads), limit) in keys.iter().zip(read_by).zip(limits) {
            let expected = if reads {
                (200, String::new())
            } else {
                (403, "access.scope".to_owned())
            };
            assert_eq!(code(key, path), expected, "{path} by {limit:?}");
        }
        for role in ["office", "finance", "funder", "buyer", "provider", "vendor"] {
            let other = exchange.member(&[role]).client;
            assert_eq!(
                code(&other, path),
                (403, "access.role".to_owned()),
                "{path} by {role}"
            );
        }
        assert_eq!(exchange.nobody().get(path).status, 401);
    }
    withholds_exactly_what_is_of_other_scopes((&keys[0], &keys[1]), size);
}

/// The whole bundle for whoever sees all, beside that of the city's fund.
fn withholds_exactly_what_is_of_other_scopes((all, city): (&Client, &Client), size: u64) {
    let fetch = |client: &Client, path: &str| client.fetch(&format!("{path}/000.p/{size}"), &[]);
    let whole = fetch(all, "/tile/entries").bytes;
    let cut = fetch(city, "/redacted/fund/w13-city");
    assert_eq!(cut.header("cache-control"), "private, no-store");
    assert_eq!(cut.header("content-type"), "application/octet-stream");
    let width = u16::try_from(size).unwrap();
    let (whole, cut) = (
        bundle::decode(&whole, width).unwrap(),
        bundle::decode(&cut.bytes, width).unwrap(),
    );
    let own = Scope::parse("fund/w13-city").unwrap();
    let mut withheld = 0;
    for (entry, seen) in whole.iter().zip(&cut) {
        let scopes = Scope::of_entry(entry).unwrap();
        let is_own = scopes.iter().any(|(scope, _)| own.covers(scope));
        assert_eq!(*seen, if is_own { *entry } else { b"" });
        withheld += u64::from(!is_own);
    }
    assert_eq!(withheld, 2);
    for path in [
        "/redacted/fund/w13-city/0",
        "/redacted/fund/w13-city/000.p/0",
        "/redacted/city/000",
    ] {
        let expected = (404, "request.path".to_owned());
        assert_eq!(code(city, path), expected, "{path}");
    }
    let later = city.fetch("/redacted/fund/w13-city/007", &[]);
    assert_eq!((later.status, later.header("retry-after")), (404, "1"));
}

fn size(exchange: &Exchange) -> u64 {
    let note = exchange.nobody().get("/checkpoint").text;
    note.lines().nth(1).unwrap().parse().unwrap()
}

/// What a key fetches of one scope, as a folder.
#[derive(Clone)]
struct Fetched(BTreeMap<String, Vec<u8>>);

impl Fetched {
    fn of(client: &Client, size: u64, scope: &str) -> Self {
        let names = [
            "checkpoint".to_owned(),
            format!("tile/0/000.p/{size}"),
            format!("redacted/{scope}/000.p/{size}"),
        ];
        let fetched = names.map(|name| {
            let got = client.fetch(&format!("/{name}"), &[("accept-encoding", "identity")]);
            assert_eq!(got.status, 200, "{name}");
            (name, got.bytes)
        });
        Self(fetched.into())
    }

    fn audit(&self, exchange: &Exchange, declared: &[Scope]) -> Report {
        let policy = std::fs::read(exchange.data().join("policy.txt")).unwrap();
        let policy = Policy::parse(&policy).unwrap();
        let Ok(report) = audit_scopes(&mut self.clone(), &policy, Depth::Decisions, declared);
        report
    }
}

impl Files for Fetched {
    type Fault = Infallible;

    fn names(&mut self) -> Result<Vec<String>, Infallible> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&mut self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(name).cloned())
    }
}

fn what_a_limited_regulator_fetches_agrees_and_nothing_was_kept_from_it(database: &Database) {
    let mut market = open(database);
    let token = regulator(&market.exchange, &["fund/w13-city"]).token();
    // A stop states the counts and publishes.
    market.exchange.restart();
    let exchange = &market.exchange;
    let city = exchange.client(Some(&token));
    let size = size(exchange);
    let fetched = Fetched::of(&city, size, "fund/w13-city");
    let own = [Scope::parse("fund/w13-city").unwrap()];
    let report = fetched.audit(exchange, &own);
    assert_eq!(report.differences, []);
    assert_eq!(
        (report.verdict, report.withheld, report.undecided),
        (Verdict::Agree, 2, 0)
    );
    let scope = report
        .scopes
        .iter()
        .find(|seen| seen.scope == own[0])
        .unwrap();
    assert_eq!(
        (Some(scope.seen), Some(size - 1)),
        (scope.sealed, scope.sealed_at)
    );
    let fund = &report.funds[0];
    assert_eq!(
        (fund.fund.to_string().as_str(), fund.whole),
        ("w13-city", true)
    );
    assert_eq!(fund.fen.get("earned"), Some(&800));
    assert_eq!(fetched.audit(exchange, &[]).verdict, Verdict::Withheld);
    // The office takes the receipt out of its regulator's bundle: the seal's count tells.
    let name = format!("redacted/fund/w13-city/000.p/{size}");
    let width = u16::try_from(size).unwrap();
    let mut dropped = fetched.clone();
    let bytes = dropped.0.get_mut(&name).unwrap();
    let mut entries: Vec<Vec<u8>> = bundle::decode(bytes, width)
        .unwrap()
        .iter()
        .map(|entry| entry.to_vec())
        .collect();
    let is_receipt =
        |entry: &Vec<u8>| String::from_utf8_lossy(entry).contains(r#""type":"receipt.accepted""#);
    let at = entries.iter().position(is_receipt).unwrap();
    entries[at] = Vec::new();
    *bytes = bundle::encode(entries.iter().map(Vec::as_slice)).unwrap();
    let report = dropped.audit(exchange, &own);
    let codes: Vec<_> = report
        .differences
        .iter()
        .map(|difference| difference.code)
        .collect();
    assert_eq!(codes, ["trail.scope-gap"]);
}

fn the_counts_of_scopes_are_stated_by_time_and_at_a_stop(database: &Database) {
    let mut exchange = Exchange::with_seals(database);
    let entries = |exchange: &Exchange| {
        exchange.nobody().get("/health").body["entries"]
            .as_u64()
            .unwrap()
    };
    // Entry 0 alone needs no statement.
    exchange.restart();
    assert_eq!(entries(&exchange), 1);
    exchange.member(&["funder"]);
    exchange.restart();
    assert_eq!(entries(&exchange), 4);
    // Nothing was written since.
    exchange.restart();
    assert_eq!(entries(&exchange), 4);
    let last = exchange.operator().get("/v1/entries/3").body;
    assert_eq!(last["entry"]["type"], "book.sealed");
    assert_eq!(
        last["entry"]["found"]["sealed"]["counts"],
        json!([["common", 3]])
    );
    // Asked for by hand it is written whenever; nobody else may.
    exchange.operator().done("/v1/seals", &json!({}));
    let office = exchange.member(&["office"]).client;
    office.refused("/v1/seals", &json!({}), "access.role");
}

fn the_command_fetches_and_audits_what_a_limited_key_sees(database: &Database) {
    let mut market = open(database);
    let token = regulator(&market.exchange, &["fund/w13-city"]).token();
    market.exchange.restart();
    let exchange = &market.exchange;
    let url = format!("http://{}", exchange.address());
    let folder = tempfile::tempdir().unwrap();
    let policy = exchange.data().join("policy.txt");
    let (policy, into) = (policy.to_str().unwrap(), folder.path().join("copy"));
    let into = into.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let output = quan_verify_as(&token, arguments);
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        (output.status.code(), format!("{page}{said}"))
    };
    let own = "fund/w13-city";
    let (exit, page) = run(&[
        "audit", &url, "--into", into, "--policy", policy, "--scope", own,
    ]);
    assert_eq!(exit, Some(0), "{page}");
    assert!(
        page.contains("(recomputed from the entries of this scope)"),
        "{page}"
    );
    let (exit, page) = run(&["audit", into, "--policy", policy]);
    assert_eq!(exit, Some(1), "{page}");
    assert!(page.starts_with("withheld: "), "{page}");
    // Fetched again, nothing is new; another scope is not this key's.
    let (exit, page) = run(&["fetch", &url, into, "--policy", policy, "--scope", own]);
    assert_eq!(exit, Some(0), "{page}");
    let other = folder.path().join("other");
    let other = other.to_str().unwrap();
    let (exit, page) = run(&[
        "fetch",
        &url,
        other,
        "--policy",
        policy,
        "--scope",
        "fund/pd-2026",
    ]);
    assert_eq!(exit, Some(2), "{page}");
    assert!(page.contains("this one may not read it"), "{page}");
}
