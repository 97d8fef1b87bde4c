//! What the server and the meter read from outside, on bytes that are nearly right: exports of a scheduler, tokens and addresses,
//! the answers of a bucket, requests. The verifier's parsers have their own (`verifier/tests/it/fuzz.rs`), and the same noise.

#[path = "../../../verifier/tests/it/fuzz/noise.rs"]
mod noise;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use server::keys::Token;
use server::meter::config::Config;
use server::meter::sacct::{self, Declared};
use server::meter::state::State;
use server::meter::{gres, json as dump, run};
use server::objects::{Access, Objects, Place, wait};
use server::store::Address;
use verifier::time::{Timestamp, UtcOffset};

use crate::support::{Client, Database, Exchange, Member};
use noise::{Noise, count, drive, mutated};

on_both!(no_request_is_answered_with_a_fault);

/// How many inputs are asked for.
fn asked_for() -> Option<String> {
    std::env::var("QUAN_FUZZED").ok()
}

const USAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/usage");

/// The exports of a kind.
fn exports(kind: &str) -> Vec<Vec<u8>> {
    let folders = [USAGE.to_owned(), format!("{USAGE}/cases")];
    let files = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == kind))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn config() -> Config {
    let text = std::fs::read_to_string(format!("{USAGE}/meter.example.toml")).unwrap();
    Config::parse(&text, Path::new("/")).unwrap()
}

#[test]
fn no_export_makes_the_meter_panic_or_lose_a_row() {
    let (config, now) = (config(), Timestamp::new(1_793_500_000).unwrap());
    let declared = Declared {
        zone: UtcOffset::CHINA,
        cluster: Some("east1".into()),
        account: None,
    };
    drive("sacct", 4, &exports("psv"), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let listing = sacct::read(&text, &declared);
        let rows = listing.allocations.len() + listing.refused.len();
        let steps = usize::try_from(listing.steps).unwrap();
        assert!(rows + steps <= text.lines().count());
        let judged = run::judge(listing, &config, now);
        let told = judged.runs.len() + judged.refused.len();
        assert!(told + usize::try_from(judged.repeated).unwrap() == rows);
        true
    });
    drive("sacct json", 4, &exports("json"), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        dump::read(&text).is_ok_and(|listing| {
            let _any = run::judge(listing, &config, now);
            true
        })
    });
}

#[test]
fn no_word_of_an_export_or_a_setting_makes_its_reader_panic() {
    let tres = "billing=64,cpu=64,gres/gpu:h200=4,gres/gpu=4,mem=512G,node=1";
    drive("tres", 1, &[tres.as_bytes().to_vec()], |bytes| {
        std::str::from_utf8(bytes).is_ok_and(|text| gres::gpus(text).is_ok())
    });
    drive(
        "state",
        1,
        &[b"COMPLETED".to_vec(), b"CANCELLED by 1000".to_vec()],
        |bytes| std::str::from_utf8(bytes).is_ok_and(|text| State::parse(text).is_some()),
    );
    let settings = std::fs::read(format!("{USAGE}/meter.example.toml")).unwrap();
    drive("meter.toml", 1, &[settings], |bytes| {
        std::str::from_utf8(bytes).is_ok_and(|text| Config::parse(text, Path::new("/")).is_ok())
    });
    let places = ["s3://trails/a/b", "s3://trails", "data/trail"];
    let places = places.map(|place| place.as_bytes().to_vec());
    drive("place", 1, &places, |bytes| {
        let place = std::str::from_utf8(bytes).ok().map(Place::parse);
        place.is_some_and(|place| {
            place.is_ok_and(|place| {
                // What is shown is read as the same place again.
                assert_eq!(Place::parse(&place.to_string()).ok(), Some(place));
                true
            })
        })
    });
    let addresses = [
        "sqlite:data/quan.db",
        "postgres://quan:pw@db/quan?sslmode=require",
    ];
    let addresses = addresses.map(|address| address.as_bytes().to_vec());
    drive("address", 1, &addresses, |bytes| {
        let address = std::str::from_utf8(bytes).ok().map(Address::parse);
        address.is_some_and(|address| {
            address.is_ok_and(|address| {
                let _any = address.to_string();
                true
            })
        })
    });
}

#[test]
fn a_token_is_read_as_it_was_drawn_or_not_at_all() {
    let drawn: Vec<Token> = (0..4).map(|_| Token::draw("funder").unwrap()).collect();
    let seeds: Vec<_> = drawn
        .iter()
        .map(|token| token.expose().as_bytes().to_vec())
        .collect();
    drive("token", 1, &seeds, |bytes| {
        let token = std::str::from_utf8(bytes).ok().and_then(Token::parse);
        token.is_some_and(|token| {
            assert_eq!(token.expose().as_bytes(), bytes);
            true
        })
    });
}

/// A bucket's port that answers the first request after each change with these bytes, and then lists nothing.
struct Port {
    address: String,
    next: Arc<Mutex<Option<Vec<u8>>>>,
}

const EMPTY: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\nconnection: close\r\netag: \"1\"\r\nlast-modified: Tue, 24 Nov 2026 08:00:00 GMT\r\n\r\n{body}").into_bytes()
}

impl Port {
    fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let next = Arc::new(Mutex::new(None::<Vec<u8>>));
        let theirs = Arc::clone(&next);
        // Ends with the process: it waits for connections.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut asked = [0; 4_096];
                let _any = stream.read(&mut asked);
                let bytes = theirs.lock().unwrap().take();
                let _gone = stream.write_all(&bytes.unwrap_or_else(|| answer(EMPTY)));
            }
        });
        Self { address, next }
    }

    fn objects(&self) -> Objects {
        let access = Access {
            endpoint: Some(format!("http://{}", self.address)),
            region: "us-east-1".to_owned(),
            key_id: "id".to_owned(),
            secret: "a secret that no log shows".to_owned(),
            token: None,
        };
        Objects::bucket("trails", "a", access).unwrap()
    }
}

#[test]
fn no_answer_of_a_bucket_makes_its_client_panic() {
    let port = Port::open();
    let objects = port.objects();
    let page = |name: &str, more: bool| {
        let after = if more {
            "<NextContinuationToken>t</NextContinuationToken>"
        } else {
            ""
        };
        let xml = format!(
            "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>{more}</IsTruncated>{after}<Contents><Key>a/{name}</Key><Size>32</Size>\
             <ETag>\"1\"</ETag><LastModified>2026-11-24T08:00:00.000Z</LastModified></Contents></ListBucketResult>"
        );
        answer(&xml)
    };
    let seeds = [
        page("tile/0/000.p/1", false),
        page("checkpoint", true),
        answer(EMPTY),
    ];
    drive("bucket", 4, &seeds, |bytes| {
        *port.next.lock().unwrap() = Some(bytes.to_vec());
        wait(objects.list()).is_ok()
    });
    let seeds = [answer("the bytes of an object")];
    drive("object", 4, &seeds, |bytes| {
        *port.next.lock().unwrap() = Some(bytes.to_vec());
        wait(objects.get("tile/0/000")).is_ok()
    });
}

/// Bodies that one or the other route takes.
fn bodies(party: &str) -> Vec<Vec<u8>> {
    let name = "A".repeat(43);
    let digest = format!("sha-256:{name}");
    let order = "ord-aaaaaaaaaaaaaaaa";
    let span = json!({"from": "2026-12-01T00:00:00Z", "to": "2027-01-01T00:00:00Z", "limit": 3600});
    let bodies = [
        json!({"roles": ["buyer"], "name": name}),
        json!({"party": party, "roles": ["buyer"]}),
        json!({"fund": "sh-2026", "funder": "sh-finance", "year": 2026, "region": "310000"}),
        json!({"fund": "sh-2026", "fen": 700}),
        json!({"subject": format!("party/{party}"), "name": "registered_in", "value": "310000",
               "valid_from": "2026-11-18", "evidence": digest}),
        json!({"order": order, "kind": "invoice", "digest": digest, "lines": [["gpu_rent", 1]]}),
        json!({"seller": party, "segments": [span], "claims": [{"voucher": "vch-aaaaaaaaaaaaaaaa"}]}),
        json!({"party": party, "period": "2026-10"}),
        json!({"order": order, "claim": 0, "cause": "relocation", "basis": digest}),
        json!({"jws": "eyJhbGciOiJFZERTQSJ9.e30.AAAA"}),
        json!("eyJhbGciOiJFZERTQSJ9.e30.AAAA\neyJhbGciOiJFZERTQSJ9.e30.AAAB"),
        json!({"after": null}),
        json!([]),
    ];
    bodies
        .iter()
        .map(|body| body.to_string().into_bytes())
        .collect()
}

/// Every path of the API's own description, and whether commands are sent there.
fn routes(client: &Client) -> (Vec<String>, Vec<String>) {
    let document = client.get("/openapi.json").body;
    let paths = document["paths"].as_object().unwrap();
    let with = |method: &str| {
        let has =
            |(path, item): (&String, &Value)| item.get(method).is_some().then(|| path.clone());
        paths.iter().filter_map(has).collect::<Vec<_>>()
    };
    (with("get"), with("post"))
}

fn no_request_is_answered_with_a_fault(database: &Database) {
    let exchange = Exchange::start(database);
    let roles = [
        "buyer",
        "provider",
        "funder",
        "office",
        "finance",
        "regulator",
    ];
    let members: Vec<Member> = roles.iter().map(|role| exchange.member(&[role])).collect();
    let mut clients: Vec<&Client> = members.iter().map(|member| &member.client).collect();
    let (operator, nobody) = (exchange.operator(), exchange.nobody());
    clients.extend([&operator, &operator, &nobody]);
    let (reads, commands) = routes(&operator);
    assert!(
        reads.len() > 20 && commands.len() > 30,
        "{reads:?} {commands:?}"
    );
    let seeds = bodies(&members[0].party);
    let paths: Vec<Vec<u8>> = reads.iter().map(|path| path.clone().into_bytes()).collect();
    for round in 0..count().div_ceil(2) {
        let mut noise = Noise::new("request", round);
        let client = noise.pick(&clients);
        let answer = if noise.below(4) == 0 {
            let path = mutated(&paths, &mut noise);
            // What an address may hold; the client itself sends nothing else.
            let sent =
                |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte);
            let path: String = path.into_iter().filter(sent).map(char::from).collect();
            client.get(&format!("/{}", path.trim_start_matches('/')))
        } else {
            let path = noise.pick(&commands).clone();
            let body = mutated(&seeds, &mut noise);
            let kinds = [
                "application/json",
                "application/json",
                "application/jose",
                "application/x-ndjson",
                "text/plain",
            ];
            let (kind, key) = (*noise.pick(&kinds), format!("fuzz-{round}"));
            client.send_bytes(
                &path,
                &body,
                &[("content-type", kind), ("idempotency-key", &key)],
            )
        };
        assert!(
            (200..500).contains(&answer.status),
            "round {round}: {}",
            answer.text
        );
        if answer.status >= 400 && answer.media.starts_with("application/problem+json") {
            assert!(!answer.code().is_empty(), "round {round}: {}", answer.text);
        }
    }
    assert_eq!(exchange.nobody().get("/health").body["status"], "serving");
}
