//! Where refusals are kept: durable before they go out, each under one seal, forgotten when nobody may object any more.

use serde_json::json;
use std::sync::Arc;

use server::refusals::{Counts, Refusals, counts_text};
use server::store::refusals::{self, Refused};
use verifier::audit::promise::refusal_leaf;
use verifier::book::state::seal::Seal;
use verifier::id::Sha256Hash;
use verifier::refusal::Code;
use verifier::time::Timestamp;
use verifier::trail::{Hash, tree};

use crate::support::{Database, Exchange, Server, folder};

on_both!(
    a_seal_says_the_same_however_often_it_is_asked,
    two_servers_settle_one_seal,
    what_was_sealed_long_ago_is_forgotten,
    a_refusal_that_cannot_be_kept_is_no_refusal,
    a_refusal_that_was_answered_survives_a_kill,
);

const HOUR: i64 = 3_600;

fn at(hour: i64, seconds: i64) -> Timestamp {
    Timestamp::new(1_795_392_000 + hour * HOUR + seconds).unwrap()
}

fn refused(name: &str, at: Timestamp) -> Refused {
    let counts = Counts::from([(Code::ReceiptRate, 2), (Code::FundUnknown, 1)]);
    Refused {
        hash: *Sha256Hash::of(name.as_bytes()).bytes(),
        leaf: *refusal_leaf(name).as_bytes(),
        party: "pty-aaaaaaaaaaaaaaaa".to_owned(),
        at,
        counts: counts_text(&counts),
        reply: name.to_owned(),
    }
}

fn keep(refusals: &Refusals, rows: impl IntoIterator<Item = Refused>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for row in rows {
        assert!(runtime.block_on(refusals.keep(row)));
    }
}

fn root(names: &[&str]) -> Sha256Hash {
    let leaves: Vec<Hash> = names.iter().map(|name| refusal_leaf(name)).collect();
    Sha256Hash::new(*tree::root_of(&leaves).as_bytes())
}

fn a_seal_says_the_same_however_often_it_is_asked(database: &Database) {
    let refusals = Refusals::start(Arc::new(database.store())).unwrap();
    assert_eq!(refusals.next_seal(&[], at(1, 0)).unwrap(), None);
    let rows = ["b", "a", "c"].map(|name| refused(name, at(0, 5)));
    // The same reply twice is one refusal.
    keep(&refusals, rows.into_iter().chain([refused("a", at(0, 5))]));
    keep(&refusals, [refused("d", at(1, 0))]);
    assert_eq!(refusals.next_seal(&[], at(0, 0)).unwrap(), None);
    let first = refusals.next_seal(&[], at(1, 0)).unwrap().unwrap();
    assert_eq!((first.number, first.size), (0, 3));
    assert_eq!((first.from, first.to), (at(0, 0), at(1, 0)));
    // By code, in the order of their texts; the root in the order of issue.
    let counts = [(Code::FundUnknown, 3), (Code::ReceiptRate, 6)];
    assert_eq!(first.counts, counts);
    assert_eq!(first.root, root(&["b", "a", "c"]));
    // Kept late, after its hour was settled: the seal stays as it is, and the next one is over it.
    keep(&refusals, [refused("e", at(0, 9))]);
    assert_eq!(refusals.next_seal(&[], at(3, 0)).unwrap().unwrap(), first);
    let sealed = [Seal {
        seq: 7,
        to: first.to,
    }];
    let second = refusals.next_seal(&sealed, at(3, 0)).unwrap().unwrap();
    assert_eq!(
        (second.number, second.from, second.to),
        (1, at(1, 0), at(3, 0))
    );
    assert_eq!(second.root, root(&["d", "e"]));
}

fn two_servers_settle_one_seal(database: &Database) {
    let store = Arc::new(database.store());
    let refusals = Refusals::start(store).unwrap();
    keep(
        &refusals,
        (0..300).map(|n| refused(&n.to_string(), at(0, n))),
    );
    let asked = || refusals.next_seal(&[], at(1, 0));
    let seals: Vec<_> = std::thread::scope(|scope| {
        let both: Vec<_> = (0..4).map(|_| scope.spawn(asked)).collect();
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    // One settles it. Another that came at the same time may fail, and asks again.
    let first = asked().unwrap().unwrap();
    assert_eq!(first.size, 300);
    let settled: Vec<_> = seals.into_iter().flatten().collect();
    assert!(!settled.is_empty());
    assert!(
        settled
            .into_iter()
            .all(|seal| seal.as_ref() == Some(&first))
    );
}

fn what_was_sealed_long_ago_is_forgotten(database: &Database) {
    let refusals = Refusals::start(Arc::new(database.store())).unwrap();
    keep(&refusals, [refused("old", at(0, 0))]);
    let first = refusals.next_seal(&[], at(1, 0)).unwrap().unwrap();
    let seals = [Seal {
        seq: 7,
        to: first.to,
    }];
    let kept = |name: &str| {
        let hash = Sha256Hash::of(name.as_bytes());
        refusals::find(&mut database.connect(), hash.bytes()).unwrap()
    };
    for (name, hour, is_kept) in [("new", 184 * 24, true), ("newest", 184 * 24 + 2, false)] {
        keep(&refusals, [refused(name, at(hour, 0))]);
        let number = if is_kept { 1 } else { 2 };
        let mut seals = seals.to_vec();
        seals.extend((1..number).map(|_| Seal {
            seq: 9,
            to: at(184 * 24 + 1, 0),
        }));
        let next = refusals
            .next_seal(&seals, at(hour + 1, 0))
            .unwrap()
            .unwrap();
        assert_eq!(next.number, number);
        assert_eq!(kept("old").is_some(), is_kept, "{name}");
    }
    assert!(kept("new").is_some());
}

fn a_refusal_that_cannot_be_kept_is_no_refusal(database: &Database) {
    let exchange = Exchange::start(database);
    let funder = exchange.member(&["funder"]);
    let body = json!({ "fund": "nowhere", "fen": 5 });
    database.execute("ALTER TABLE own_refusals RENAME TO lost");
    let answer = funder.client.post("/v1/funds/lapse", &body);
    assert_eq!((answer.status, answer.code()), (503, "exchange.busy"));
    assert_ne!(answer.reply, "");
    // Whatever is accepted does not depend on it.
    let fund = json!({ "fund": "sh-2026", "funder": "shanghai" });
    funder.client.done("/v1/funds", &fund);
    database.execute("ALTER TABLE lost RENAME TO own_refusals");
    funder
        .client
        .refused("/v1/funds/lapse", &body, "fund.unknown");
}

fn a_refusal_that_was_answered_survives_a_kill(database: &Database) {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, database);
    let token = std::fs::read_to_string(data.join("operator.key")).unwrap();
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = config.build().new_agent();
    let replies: Vec<String> = (0..20)
        .map(|number| {
            let answer = agent
                .post(format!("http://{}/v1/parties", server.address))
                .header("authorization", format!("Bearer {}", token.trim()))
                .header("content-type", "application/json")
                .header("idempotency-key", number.to_string())
                .send("{}")
                .unwrap();
            assert_eq!(answer.status().as_u16(), 400);
            answer.headers()["quan-reply"].to_str().unwrap().to_owned()
        })
        .collect();
    server.kill();
    let mut db = database.connect();
    for reply in replies {
        let hash = Sha256Hash::of(reply.as_bytes());
        assert!(refusals::find(&mut db, hash.bytes()).unwrap().is_some());
    }
}
