//! Documents about listings: the catalogue, the documents of a version, previews, documents by digest, the list of who assesses.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use server::clock::Clock;
use server::dataset::{Blobs, Parts, Spools, catalogue};
use server::faults::Faults;
use server::keys::Keys;
use server::objects::Place;
use server::sequencer::{BEHIND_MAX, Outcome, Pace, Sequencer};
use server::store::Store;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::watch;
use verifier::book::command::{
    AdmitParty, AssessDataset, Command, PublishDataset, RegisterActor, Role,
};
use verifier::id::{ActorId, DocumentDigest, PartyId, Sha256Hash};
use verifier::money::Fen;

use crate::support::{Client, Database, Exchange, Listed, Vendor, card, story, text};

on_both!(
    a_catalogue_of_ten_thousand_is_streamed,
    a_version_s_documents_are_everybody_s_once_it_is_listed,
    the_preview_shows_none_of_the_planted_identifiers,
    a_document_is_for_whom_it_concerns,
    an_assessor_sees_what_waits_and_what_was_found_in_it,
);

const LISTINGS: usize = 10_000;
/// Rows put or commands decided at once.
const BATCH: usize = 1_000;

/// The manifest of a listing's only version.
fn manifest(n: usize) -> DocumentDigest {
    DocumentDigest::of(format!("manifest {n}").as_bytes())
}

fn committed(outcome: &Outcome) -> &verifier::book::entry::Entry {
    match outcome {
        Outcome::Accepted(committed) | Outcome::Known(committed) => &committed.entry,
        Outcome::Refused(_) | Outcome::Failed(_) => panic!("{outcome:?}"),
    }
}

/// A party with an actor of one role.
fn member(sequencer: &mut Sequencer, database: &Database, role: Role) -> (PartyId, ActorId) {
    let opened = story::opened(database).entry;
    let mut ask = |command: Command, key: &'static str| {
        let (_, request) = story::request(key, opened.by, opened.actor, command);
        let outcomes = sequencer.step(&[request]).unwrap();
        committed(&outcomes[0]).found.clone()
    };
    let admit = Command::AdmitParty(AdmitParty {
        roles: vec![role],
        name: Sha256Hash::of(role.as_str().as_bytes()),
        uscc: None,
    });
    let party = ask(admit, role.as_str()).party.unwrap();
    let register = Command::RegisterActor(RegisterActor {
        party,
        roles: vec![role],
        scopes: None,
    });
    let key: &'static str = if role == Role::Vendor {
        "a vendor's actor"
    } else {
        "an office's actor"
    };
    (party, ask(register, key).actor.unwrap())
}

/// Publishes and passes one version each of ten thousand datasets.
fn publish(sequencer: &mut Sequencer, database: &Database) {
    let vendor = member(sequencer, database, Role::Vendor);
    let office = member(sequencer, database, Role::Office);
    let request = |(by, actor): (PartyId, ActorId), key: String, command: Command| {
        let hash = Some(Sha256Hash::of(key.as_bytes()));
        verifier::book::decide::Request {
            by,
            actor,
            cmd: hash,
            req: hash,
            command,
        }
    };
    for first in (0..LISTINGS).step_by(BATCH) {
        let batch = (first..first + BATCH).flat_map(|n| {
            let published = Command::PublishDataset(PublishDataset {
                dataset: None,
                version: "1.0.0".to_owned(),
                manifest: manifest(n),
                files: None,
                bytes: 10,
                price_fen: Fen::new(100).unwrap(),
                licence: DocumentDigest::of(b"licence"),
                card: None,
            });
            // The last one is not passed, so it is not listed.
            let assessed = Command::AssessDataset(AssessDataset {
                manifest: manifest(n),
                passed: n != LISTINGS - 1,
                report: DocumentDigest::of(b"report"),
            });
            [
                request(vendor, format!("publish {n}"), published),
                request(office, format!("assess {n}"), assessed),
            ]
        });
        let outcomes = sequencer.step(&batch.collect::<Vec<_>>()).unwrap();
        assert!(outcomes.iter().all(|outcome| committed(outcome).seq > 0));
    }
}

/// Puts the rows of the listings.
fn list(database: &Database) {
    let card = json!({
        "title": { "zh": "对话", "en": "Dialogues" }, "summary": "Turns of two.",
        "licence": { "expression": "CC-BY-4.0" }, "languages": ["zh"],
    });
    database.execute("INSERT INTO own_handles VALUES ('city', 'pty')");
    let blob = |n: usize| {
        let hex = format!("{n:064x}");
        if database.url().starts_with("sqlite:") {
            format!("X'{hex}'")
        } else {
            format!("'\\x{hex}'")
        }
    };
    for first in (0..LISTINGS).step_by(BATCH) {
        let (mut listings, mut versions, mut files) = (String::new(), String::new(), String::new());
        for n in first..first + BATCH {
            let comma = if n == first { "" } else { "," };
            let manifest = manifest(n);
            write!(
                listings,
                "{comma}('lst-{n:05}', 'city', 'd{n:05}', NULL, '{{}}', 0)"
            )
            .unwrap();
            write!(
                versions,
                "{comma}('{manifest}', 'lst-{n:05}', '1.0.0', '{card}', 'submitted', {n}, '{manifest}')"
            )
            .unwrap();
            write!(files, "{comma}('{manifest}', 'a.jsonl', {}, 10)", blob(n)).unwrap();
        }
        database.execute(&format!(
            "INSERT INTO own_listings (id, handle, name, dataset, card, changed) VALUES {listings}"
        ));
        database.execute(&format!(
            "INSERT INTO own_versions (manifest, listing, version, card, state, seq, report) VALUES {versions}"
        ));
        database.execute(&format!("INSERT INTO own_files VALUES {files}"));
    }
}

fn a_catalogue_of_ten_thousand_is_streamed(database: &Database) {
    let clock = story::clock();
    let store = Arc::new(database.store());
    let mut sequencer =
        Sequencer::start(Arc::clone(&store), clock.clone(), Faults::none()).unwrap();
    sequencer.open(story::exchange()).unwrap();
    publish(&mut sequencer, database);
    list(database);
    let (_projected, pace) = watch::channel(u64::MAX);
    let (desk, thread) = sequencer.spawn(16, Pace::new(pace, BEHIND_MAX)).unwrap();
    let folder = crate::support::folder();
    let parts = parts(store, &clock, desk.clone(), folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let text = runtime.block_on(async {
        let base = "https://exchange.test".to_owned();
        let mut pieces = pin!(catalogue::written(parts, "exchange.test", base));
        let (mut text, mut longest) = (String::new(), 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece.unwrap();
            longest = longest.max(piece.len());
            text.push_str(std::str::from_utf8(&piece).unwrap());
            if text.contains("/d00000/") && !text.contains("/d00200/") {
                // The first datasets are out: what is changed now, thousands of rows further, is read later.
                database.execute(
                    "UPDATE own_versions SET version = '1.0.1' WHERE listing = 'lst-09000'",
                );
            }
        }
        assert!(longest < 128 << 10, "a piece of {longest} bytes");
        text
    });
    desk.close();
    thread.join().unwrap().unwrap();
    assert!(
        text.contains("/city/d09000/1.0.1\""),
        "it was all read before the first byte"
    );
    let catalogue: Value = serde_json::from_str(&text).unwrap();
    let datasets = catalogue["dcat:dataset"].as_array().unwrap();
    assert_eq!(datasets.len(), LISTINGS - 1);
    has_all_of_dcat_ap(&catalogue);
}

/// Every mandatory property of DCAT-AP 3.0.1, and what this exchange adds to a distribution.
fn has_all_of_dcat_ap(catalogue: &Value) {
    let is_there = |value: &Value| !value.is_null() && value != "" && *value != json!([]);
    for name in ["@context", "dct:title", "dct:description", "dct:publisher"] {
        assert!(is_there(&catalogue[name]), "catalogue: {name}");
    }
    assert!(is_there(&catalogue["dct:publisher"]["foaf:name"]));
    for dataset in catalogue["dcat:dataset"].as_array().unwrap() {
        for name in [
            "@id",
            "dct:title",
            "dct:description",
            "odrl:hasPolicy",
            "dcat:distribution",
        ] {
            assert!(is_there(&dataset[name]), "dataset: {name}");
        }
        for distribution in dataset["dcat:distribution"].as_array().unwrap() {
            for name in [
                "dcat:accessURL",
                "dcat:byteSize",
                "dcat:mediaType",
                "dct:license",
                "spdx:checksum",
            ] {
                assert!(is_there(&distribution[name]), "distribution: {name}");
            }
        }
    }
}

/// What the work on datasets needs, without a server around it.
fn parts(
    store: Arc<Store>,
    clock: &Clock,
    desk: server::sequencer::Desk,
    folder: &std::path::Path,
) -> Parts {
    let keys = Arc::new(Keys::open(folder).unwrap());
    let place = Place::Folder(folder.join("blobs"));
    Parts {
        spools: Spools::open(&folder.join("uploads")).unwrap(),
        blobs: Blobs::open(&place, &keys, false, clock.clone()).unwrap(),
        completed: watch::Sender::default(),
        store,
        desk,
        keys,
        clock: clock.clone(),
    }
}

const ROWS: &[u8] = "{\"text\":\"你好\",\"turn\":1}\n{\"text\":\"hello\",\"turn\":2}\n".as_bytes();
/// One identifier of every kind that the checks know, with good check digits.
const PLANTED: [(&str, &str); 12] = [
    ("resident-id", "11010519491231002X"),
    ("uscc", "91350100M000100Y43"),
    ("mobile", "13800138000"),
    ("bank-card", "4111111111111111"),
    ("iban", "DE89370400440532013000"),
    ("codice-fiscale", "RSSMRA85T10A562S"),
    ("partita-iva", "IT00743110157"),
    ("passport", "E12345678"),
    ("email", "zhang.san@mail.example.com"),
    ("ip", "2001:db8::7:1"),
    ("access-key", "AKIAIOSFODNN7EXAMPLE"),
    ("private-key", "-----BEGIN RSA PRIVATE KEY-----"),
];

/// A vendor's listing that an office has passed.
fn shop(exchange: &Exchange, card: Value, files: &[(&str, &[u8])]) -> Listed {
    let vendor = Vendor::open(exchange, "city-data");
    let listed = vendor.publish_as("dialogues", card, files, 12_345);
    listed.pass(&exchange.member(&["office"]).client);
    listed
}

const PATH: &str = "/v1/listings/city-data/dialogues";

/// Every document of the version, with its media type, its tag and how long it may be kept.
fn documents(nobody: &Client) {
    for (name, media, cache) in [
        (
            "croissant.json",
            "application/ld+json; profile=\"http://mlcommons.org/croissant/1.1\"",
            "public, no-cache",
        ),
        ("dcat.jsonld", "application/ld+json", "public, no-cache"),
        ("offer.jsonld", "application/ld+json", "public, no-cache"),
        ("preview.json", "application/json", "public, no-cache"),
        (
            "README.md",
            "text/markdown; charset=utf-8",
            "public, max-age=3600",
        ),
        ("label.json", "application/json", "public, max-age=3600"),
        ("report.json", "application/json", "public, max-age=3600"),
    ] {
        let path = format!("{PATH}/1.0.0/{name}");
        let first = nobody.fetch(&path, &[]);
        assert_eq!(
            (first.status, first.header("content-type")),
            (200, media),
            "{name}"
        );
        assert_eq!(first.header("cache-control"), cache, "{name}");
        let again = nobody.fetch(&path, &[("if-none-match", first.header("etag"))]);
        assert_eq!((again.status, again.bytes.len()), (304, 0), "{name}");
        let newest = nobody.fetch(&format!("{PATH}/main/{name}"), &[]);
        assert_eq!(newest.bytes, first.bytes, "{name}");
        assert_eq!(
            nobody.get(&format!("{PATH}/1.0.1/{name}")).code(),
            "listing.unknown"
        );
    }
}

fn a_version_s_documents_are_everybody_s_once_it_is_listed(database: &Database) {
    let exchange = Exchange::start(database);
    let office = exchange.member(&["office"]).client;
    let vendor = Vendor::open(&exchange, "city-data");
    let listed = vendor.publish("dialogues", &[("train.jsonl", ROWS)], 12_345);
    let nobody = exchange.nobody();
    let croissant = format!("{PATH}/1.0.0/croissant.json");
    assert_eq!(nobody.get(&croissant).code(), "listing.unknown");
    assert_eq!(nobody.get(PATH).code(), "listing.unknown");
    let stranger = exchange.member(&["buyer"]).client;
    assert_eq!(stranger.get(&croissant).code(), "listing.unknown");
    for early in [&office, &vendor.client] {
        let seen = early.fetch(&croissant, &[]);
        assert_eq!(
            (seen.status, seen.header("cache-control")),
            (200, "private, no-cache")
        );
    }
    listed.pass(&office);
    documents(&nobody);
    let report = nobody.get(&format!("{PATH}/1.0.0/report.json")).body;
    assert_eq!(report["files"][0]["report"]["rows"], 2);
    // Another price is another document, and it stands in the history.
    let before = nobody.fetch(&croissant, &[]);
    let price = json!({ "manifest": listed.manifest, "price_fen": 500 });
    vendor.client.done("/v1/datasets/price", &price);
    let after = nobody.fetch(&croissant, &[("if-none-match", before.header("etag"))]);
    assert_eq!(after.status, 200);
    assert!(String::from_utf8_lossy(&after.bytes).contains("\"5.00\""));
    let page = nobody.get(PATH).body;
    assert_eq!(
        (&page["price_fen"], &page["state"]),
        (&json!(500), &json!("listed"))
    );
    let prices = page["versions"][0]["prices"].as_array().unwrap();
    let prices: Vec<_> = prices.iter().map(|of| of["price_fen"].clone()).collect();
    assert_eq!(prices, [12_345, 500]);
    assert_eq!(page["files"][0]["path"], "train.jsonl");
    assert_eq!(page["versions"][0]["changelog"], "First version.");
    assert_eq!(vendor.client.get(PATH).body["state"], "draft");
    catalogue_has_it(&nobody);
}

fn catalogue_has_it(nobody: &Client) {
    let catalogue = nobody.get("/v1/catalogue.jsonld");
    assert_eq!(
        (catalogue.status, catalogue.media.as_str()),
        (200, "application/ld+json")
    );
    has_all_of_dcat_ap(&catalogue.body);
    let datasets = catalogue.body["dcat:dataset"].as_array().unwrap();
    assert_eq!(datasets.len(), 1);
    let own = nobody.get(&format!("{PATH}/main/dcat.jsonld")).body;
    assert_eq!(datasets[0]["@id"], own["@id"]);
}

fn the_preview_shows_none_of_the_planted_identifiers(database: &Database) {
    let exchange = Exchange::start(database);
    let mut csv = String::from("kind,value\n");
    let mut jsonl = String::new();
    for (kind, value) in PLANTED {
        writeln!(csv, "{kind},联系{value}。").unwrap();
        writeln!(
            jsonl,
            "{}",
            json!({ "kind": kind, "text": format!("id: {value}, and"), value: 1 })
        )
        .unwrap();
    }
    let mut card = card();
    let shown = |path: &'static str| (0..10).map(move |row| json!({ "path": path, "row": row }));
    card["preview"] = json!(
        shown("people.csv")
            .chain(shown("people.jsonl"))
            .collect::<Vec<_>>()
    );
    let files: [(&str, &[u8]); 2] = [
        ("people.csv", csv.as_bytes()),
        ("people.jsonl", jsonl.as_bytes()),
    ];
    let listed = shop(&exchange, card, &files);
    let nobody = exchange.nobody();
    let preview = nobody.get(&format!("{PATH}/1.0.0/preview.json"));
    assert_eq!(preview.status, 200, "{}", preview.text);
    for file in preview.body["files"].as_array().unwrap() {
        assert_eq!(file["rows"].as_array().unwrap().len(), 10, "{file}");
        assert_eq!(file["rows"][9]["row"], 9);
    }
    assert_eq!(
        preview.body["files"][0]["rows"][0]["cells"][0],
        json!(["kind", "resident-id"])
    );
    let report = nobody.get(&format!("{PATH}/1.0.0/report.json"));
    let page = nobody.get(PATH);
    for (kind, value) in PLANTED {
        for said in [&preview, &report, &page] {
            assert!(!said.text.contains(value), "{kind} is shown: {}", said.text);
        }
        let column = &page.body["checks"]["personal"][kind];
        assert!(column.as_u64() >= Some(2), "{kind}: {}", page.text);
    }
    let recalled = json!({ "manifest": listed.manifest, "notice": listed.manifest });
    exchange.operator().done("/v1/datasets/recall", &recalled);
    let gone = nobody.get(&format!("{PATH}/1.0.0/preview.json"));
    assert_eq!((gone.status, gone.code()), (409, "dataset.unavailable"));
    assert_eq!(nobody.get(PATH).body["state"], "recalled");
    assert_eq!(
        nobody.get("/v1/catalogue.jsonld").body["dcat:dataset"],
        json!([])
    );
}

fn a_document_is_for_whom_it_concerns(database: &Database) {
    let exchange = Exchange::start(database);
    let office = exchange.member(&["office"]).client;
    let vendor = Vendor::open(&exchange, "city-data");
    let terms = json!({ "text": "Whoever was recorded has agreed." });
    let source = text(&vendor.client.done("/v1/documents", &terms)["digest"]);
    let mut card = card();
    card["sources"][0]["text"] = json!(source);
    let listed = vendor.publish_as("dialogues", card, &[("train.jsonl", ROWS)], 12_345);
    listed.pass(&office);
    let page = exchange.nobody().get(PATH).body;
    let licence = format!("/v1/documents/{}", text(&page["licence"]["text"]));
    let kept = exchange.nobody().fetch(&licence, &[]);
    assert_eq!(
        (kept.status, kept.header("content-type")),
        (200, "text/plain; charset=utf-8")
    );
    assert_eq!(kept.bytes, b"Creative Commons Attribution 4.0");
    let manifest = format!("/v1/documents/{}", listed.manifest);
    let unseen = exchange.nobody().get(&manifest);
    assert_eq!((unseen.status, unseen.code()), (401, "access.unknown"));
    let stranger = exchange.member(&["buyer"]).client;
    assert_eq!(stranger.get(&manifest).code(), "access.party");
    // The text of a source's licence is no offer of ours.
    let source = format!("/v1/documents/{source}");
    assert_eq!(stranger.get(&source).code(), "access.party");
    assert_eq!(exchange.nobody().get(&source).status, 401);
    assert_eq!(vendor.client.get(&source).status, 200);
    for reader in [&vendor.client, &office, &exchange.operator()] {
        let read = reader.fetch(&manifest, &[]);
        assert_eq!(read.status, 200);
        assert!(String::from_utf8_lossy(&read.bytes).ends_with("  train.jsonl\n"));
        assert!(read.header("cache-control").contains("immutable"));
    }
    let none = format!("/v1/documents/{}", DocumentDigest::of(b"none"));
    assert_eq!(office.get(&none).code(), "listing.unknown");
    assert_eq!(office.get("/v1/documents/x").code(), "request.malformed");
}

fn an_assessor_sees_what_waits_and_what_was_found_in_it(database: &Database) {
    let exchange = Exchange::start(database);
    let office = exchange.member(&["office"]).client;
    let first = Vendor::open(&exchange, "first-data");
    let second = Vendor::open(&exchange, "second-data");
    let rows = |from: u32| -> String {
        let rows = (from..from + 1_000).map(|n| format!("{n},question {n},answer to {}\n", n * 7));
        format!("id,question,answer\n{}", rows.collect::<String>())
    };
    let (own, taken) = (rows(0), rows(200) + "x,mail zhang.san@mail.example.com,y\n");
    first.publish("rows", &[("rows.csv", own.as_bytes())], 100);
    second.draft("rows", card(), &[("rows.csv", taken.as_bytes())]);
    assert_eq!(second.submit("rows", "1.0.0", 100).status, 201);
    assert_eq!(
        first.client.get("/v1/datasets/review").code(),
        "access.role"
    );
    let waiting = office.get("/v1/datasets/review").body;
    let items = waiting["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["near"], json!([]));
    let item = &items[1];
    assert_eq!(item["listing"], "second-data/rows");
    assert_eq!(item["near"][0]["handle"], "first-data");
    let share = item["near"][0]["in_other_bp"].as_u64().unwrap();
    assert!((7_500..=8_500).contains(&share), "{share}");
    assert_eq!(item["files"][0]["personal"][0]["kind"], "email");
    assert_eq!(item["files"][0]["rows"], 1_001);
    // The digest that the assessment is to name leads to all that was found.
    let report = office
        .get(&format!("/v1/documents/{}", text(&item["report"])))
        .body;
    assert_eq!(report["manifest"], item["manifest"]);
    let page = office.get("/v1/datasets/review?limit=1").body;
    let next = format!("/v1/datasets/review?limit=1&after={}", text(&page["next"]));
    assert_eq!(
        office.get(&next).body["items"][0]["manifest"],
        item["manifest"]
    );
    let passed = json!({ "manifest": item["manifest"], "passed": true, "report": item["report"] });
    office.done("/v1/datasets/assess", &passed);
    let left = exchange.operator().get("/v1/datasets/review").body;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}
