//! What stands in the log and what is asked of the exchange: entries, commands, signed statements, programmes, snapshots.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

use verifier::book::command::{Command, Kind};
use verifier::book::entry::Entry;
use verifier::book::snapshot;
use verifier::id::DocumentDigest;
use verifier::json;
use verifier::programme::ProgrammeFile;
use verifier::receipt::{Claims, KeySuccession, KeyUse, OrderSignature, UnverifiedReceipt, sign};
use verifier::signature::Signer;
use verifier::trail::tree::{Frontier, leaf_hash};

use super::noise::drive;
use crate::story::{self, Story};
use crate::{golden, laws, promise};

/// One entry of each kind of the golden trail.
fn entries() -> Vec<Vec<u8>> {
    let mut kinds = BTreeMap::new();
    for entry in golden::entries() {
        let bytes = entry.to_bytes().unwrap();
        kinds.insert(entry.asked.kind().as_str(), bytes);
    }
    kinds.into_values().collect()
}

#[test]
fn an_entry_prints_as_it_was_read() {
    drive("entry", 1, &entries(), |bytes| {
        let read = Entry::parse(bytes);
        read.is_ok_and(|entry| {
            assert_eq!(entry.to_bytes().unwrap(), bytes);
            true
        })
    });
}

#[test]
fn strict_json_is_no_stricter_than_json() {
    drive("json", 1, &entries(), |bytes| {
        let is_strict = json::check(bytes).is_ok();
        assert!(!is_strict || serde_json::from_slice::<serde_json::Value>(bytes).is_ok());
        is_strict
    });
}

#[test]
fn a_command_of_any_kind_says_the_same_when_it_is_written_again() {
    let mut payloads: BTreeMap<Kind, Vec<Vec<u8>>> = BTreeMap::new();
    for (kind, payload) in laws::payloads() {
        payloads.entry(kind).or_default().push(payload);
    }
    assert_eq!(payloads.len(), Kind::ALL.len());
    for (kind, mut seeds) in payloads {
        seeds.dedup();
        seeds.truncate(20);
        drive(kind.as_str(), 10, &seeds, |bytes| {
            let read = Command::parse(kind, bytes);
            read.is_ok_and(|command| {
                let written = json::write(&command).unwrap();
                assert_eq!(Command::parse(kind, &written), Ok(command));
                true
            })
        });
    }
}

/// A recovery key names the one that takes a lost one's place.
fn succession(signer: &Signer) -> KeySuccession {
    KeySuccession {
        iss: golden::entries()[0].by,
        aud: story::ORIGIN.into(),
        key_use: KeyUse::Receipt,
        kid: Signer::from_seed(&[32; 32]).public().kid(),
        replaces: Some(signer.public().kid()),
        iat: golden::entries()[0].at,
    }
}

fn order() -> OrderSignature {
    OrderSignature {
        iss: golden::entries()[0].by,
        aud: story::ORIGIN.into(),
        iat: golden::entries()[0].at,
        order: DocumentDigest::of(b"an order"),
    }
}

/// One signed statement of each type, by one key.
fn statements(signer: &Signer) -> Vec<String> {
    let mut statements = BTreeMap::new();
    let jws = |entry: &[u8]| {
        let entry: serde_json::Value = serde_json::from_slice(entry).unwrap();
        let text = |name: &str| entry["asked"][name].as_str().map(str::to_owned);
        text("jws").or_else(|| text("proof"))
    };
    let told = golden::entries();
    let told = told
        .iter()
        .filter_map(|entry| jws(&entry.to_bytes().unwrap()));
    let reply = promise::reply_to(promise::asked(10).entries.last().unwrap());
    let succession = sign(&succession(signer), signer);
    let order = sign(&order(), signer);
    for compact in told.chain([reply, succession, order]) {
        let read = UnverifiedReceipt::parse(&compact).unwrap();
        let (typ, signed) = match read.claims() {
            Claims::Usage(claims) => (0, sign(claims, signer)),
            Claims::Delivery(claims) => (1, sign(claims, signer)),
            Claims::Acceptance(claims) => (2, sign(claims, signer)),
            Claims::Capacity(claims) => (3, sign(claims, signer)),
            Claims::Registration(claims) => (4, sign(claims, signer)),
            Claims::Reply(claims) => (5, sign(claims, signer)),
            Claims::Succession(claims) => (6, sign(claims, signer)),
            Claims::Order(claims) => (7, sign(claims, signer)),
        };
        statements.insert(typ, signed);
    }
    assert_eq!(statements.len(), 8);
    statements.into_values().collect()
}

#[test]
fn a_statement_is_taken_as_its_signer_wrote_it_or_not_at_all() {
    let signer = Signer::from_seed(&[31; 32]);
    let statements = statements(&signer);
    let key = signer.public();
    let take = |compact: &str| {
        let Ok(read) = UnverifiedReceipt::parse(compact) else {
            return false;
        };
        let is_ours = statements.iter().any(|ours| ours == compact);
        assert_eq!(read.verify(&key).is_ok(), is_ours, "{compact}");
        true
    };
    let seeds: Vec<Vec<u8>> = statements
        .iter()
        .map(|jws| jws.clone().into_bytes())
        .collect();
    drive("jws", 1, &seeds, |bytes| {
        std::str::from_utf8(bytes).is_ok_and(take)
    });
    // The same inside: other claims, or another header, well encoded under the old signature.
    for (at, compact) in statements.iter().enumerate() {
        let parts: Vec<&str> = compact.split('.').collect();
        for (name, inside) in [("header", 0), ("claims", 1)] {
            let seed = URL_SAFE_NO_PAD.decode(parts[inside]).unwrap();
            drive(&format!("{name} of jws {at}"), 4, &[seed], |bytes| {
                let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
                parts[inside] = URL_SAFE_NO_PAD.encode(bytes);
                take(&parts.join("."))
            });
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "programmes lie on disk")]
fn no_programme_file_makes_its_reader_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/programmes");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .collect();
    files.sort();
    let seeds: Vec<_> = files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    drive("programme", 2, &seeds, |bytes| {
        let file = std::str::from_utf8(bytes).ok().map(ProgrammeFile::parse);
        file.is_some_and(|file| {
            file.is_ok_and(|file| {
                let _any = (
                    file.unsettled(),
                    file.manual_amounts(),
                    file.late(),
                    file.gaps(),
                );
                true
            })
        })
    });
}

#[test]
fn a_snapshot_prints_as_it_was_read() {
    let story = Story::of(12);
    let mut edge = Frontier::empty();
    let leaves = story.entries.iter().map(|entry| leaf_hash(entry));
    leaves.for_each(|leaf| edge.append(leaf));
    let log = golden::entries();
    let mut book = verifier::book::Book::new();
    let mut long = Frontier::empty();
    let mut stored = Vec::new();
    for entry in &log {
        book.apply(entry).unwrap();
        stored.push(entry.to_bytes().unwrap());
        long.append(leaf_hash(stored.last().unwrap()));
    }
    let in_log = |seq: u64| stored.get(usize::try_from(seq).ok()?).cloned();
    for (name, cost, bytes) in [
        ("small snapshot", 1, snapshot::write(&story.book, &edge)),
        ("snapshot", 20, snapshot::write(&book, &long)),
    ] {
        // Without the digest behind it, which would refuse every change unread.
        let body = bytes[..bytes.len() - 32].to_vec();
        drive(name, cost, &[body], |body| {
            let digest = Sha256::digest(body);
            let bytes = [body, digest.as_slice()].concat();
            let read = snapshot::read(&bytes, in_log);
            read.is_ok_and(|(book, edge)| {
                assert!(snapshot::write(&book, &edge) == bytes, "another spelling");
                true
            })
        });
    }
}
