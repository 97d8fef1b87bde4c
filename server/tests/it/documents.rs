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

use crate::support::Database;
use crate::support::story;

on_both!(a_catalogue_of_ten_thousand_is_streamed);

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
