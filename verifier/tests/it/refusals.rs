//! Every stable code has a test that provokes it. What the random commands of `laws` do not meet is provoked here, one row a
//! code; a code that no test names is a failure.

#![expect(
    clippy::disallowed_methods,
    reason = "one test reads the sources of the others"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use verifier::book::Book;
use verifier::book::command::{Command, Kind};
use verifier::book::decide::{Env, Request, decide};
use verifier::book::entry::{Entry, RULES};
use verifier::id::{DocumentDigest, Salt};
use verifier::refusal::{Code, Refusal};
use verifier::signature::Signer;

use crate::golden;

/// Asks on a book, as whoever asked the newest entry of the kind `like`.
fn ask(book: &Book, (kind, like): (Kind, Kind), payload: &Value) -> Result<Entry, Refusal> {
    let entries = golden::entries();
    let like = entries
        .iter()
        .rev()
        .find(|entry| entry.asked.kind() == like)
        .unwrap();
    let command = Command::parse(kind, &serde_json::to_vec(payload).unwrap()).unwrap();
    let request = Request {
        by: like.by,
        actor: like.actor,
        cmd: None,
        req: None,
        command,
    };
    let at = book.last_at.unwrap_or(like.at);
    decide(
        book,
        &request,
        &Env {
            at,
            salt: Salt::new([7; 16]),
            rules: RULES,
        },
    )
}

fn asked(kind: Kind) -> Value {
    let entries = golden::entries();
    let entry = entries
        .iter()
        .rev()
        .find(|entry| entry.asked.kind() == kind)
        .unwrap();
    serde_json::to_value(&entry.asked).unwrap()
}

fn told() -> Book {
    let mut book = Book::new();
    for entry in golden::entries() {
        book.apply(&entry).unwrap();
    }
    book
}

#[test]
fn nothing_is_decided_before_the_exchange_is_open() {
    let refused = ask(
        &Book::new(),
        (Kind::AdmitParty, Kind::AdmitParty),
        &asked(Kind::AdmitParty),
    );
    assert_eq!(refused.unwrap_err().code, Code::ExchangeUnopened);
}

#[test]
fn a_key_is_registered_only_with_its_own_proof() {
    let mut payload = asked(Kind::RegisterKey);
    let other = Signer::from_seed(&[9; 32]).public();
    payload["jwk"]["x"] = json!(other.x());
    payload["kid"] = json!(other.kid());
    let refused = ask(&told(), (Kind::RegisterKey, Kind::RegisterKey), &payload);
    assert_eq!(refused.unwrap_err().code, Code::KeyProof);
}

#[test]
fn an_entry_that_no_bundle_can_frame_is_refused() {
    let mut payload = asked(Kind::EnactProgramme);
    let toml = payload["toml"]
        .as_str()
        .unwrap()
        .replace("\nid ", "\n# \nid ");
    // Each quote of this comment takes two bytes in JSON.
    let toml = format!("{toml}\n# {}\n", "\"".repeat(40_000));
    let id = told().programmes.keys().next().unwrap().to_string();
    payload["toml"] = json!(toml);
    payload["digest"] = json!(DocumentDigest::of(toml.as_bytes()));
    let mut amend = json!({ "programme": id });
    amend
        .as_object_mut()
        .unwrap()
        .append(payload.as_object_mut().unwrap());
    let entries = golden::entries();
    let of = entries
        .iter()
        .rev()
        .find(|entry| entry.asked.kind() == Kind::EnactProgramme)
        .unwrap();
    let mut entry = of.clone();
    entry.asked =
        Command::parse(Kind::AmendProgramme, &serde_json::to_vec(&amend).unwrap()).unwrap();
    assert_eq!(entry.to_bytes().unwrap_err().code, Code::EntryTooLarge);
}

#[test]
fn whoever_decides_cases_of_a_programme_does_not_pay_there() {
    let mut book = told();
    let entries = golden::entries();
    let paid = entries
        .iter()
        .rev()
        .find(|entry| entry.asked.kind() == Kind::InstructPayout)
        .unwrap();
    let payload = serde_json::to_value(&paid.asked).unwrap();
    let fund = payload["fund"].as_str().unwrap();
    let pays = |id: &&verifier::id::ProgrammeId| {
        let (_, version) = book.programmes.get(*id).unwrap().current().unwrap();
        version
            .programme
            .funds
            .iter()
            .any(|pot| pot.id.as_str() == fund)
    };
    let programme = book.programmes.keys().find(pays).unwrap().clone();
    book.deciders.insert((programme, paid.actor));
    let refused = ask(
        &book,
        (Kind::InstructPayout, Kind::InstructPayout),
        &payload,
    );
    assert_eq!(refused.unwrap_err().code, Code::CaseFourEyes);
}

#[test]
fn every_code_is_named_by_a_test() {
    let mut tests = String::new();
    for folder in ["src", "tests", "../server/src", "../server/tests"] {
        gather(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut tests,
        );
    }
    let named: BTreeSet<&str> = Code::ALL
        .iter()
        .filter(|code| {
            let variant = format!("Code::{code:?}");
            let text = format!("\"{}\"", code.as_str());
            let whole = |place: usize| {
                let after = tests.as_bytes().get(place + variant.len());
                after.is_none_or(|byte| !byte.is_ascii_alphanumeric())
            };
            tests.contains(&text) || tests.match_indices(&variant).any(|(place, _)| whole(place))
        })
        .map(|code| code.as_str())
        .collect();
    let unnamed: Vec<_> = Code::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| !named.contains(code))
        .collect();
    assert_eq!(unnamed, Vec::<&str>::new());
}

/// Takes in every test of a folder: whole files of tests, and what follows `#[cfg(test)]` elsewhere.
fn gather(folder: &Path, tests: &mut String) {
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            gather(&path, tests);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let all = path.components().any(|part| part.as_os_str() == "tests")
                || ["tests.rs", "scenarios.rs", "laws.rs", "stories.rs"].contains(&name.as_str());
            let from = if all {
                Some(0)
            } else {
                text.find("#[cfg(test)]\nmod tests {")
            };
            tests.push_str(from.and_then(|from| text.get(from..)).unwrap_or_default());
        }
    }
}
