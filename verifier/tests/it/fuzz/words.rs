//! Times, numbers, ids and names: one spelling each.

use verifier::book::scope::Scope;
use verifier::book::state::fact::Subject;
use verifier::id::{
    ActorId, DocumentDigest, FundId, OrderId, PartyId, ProgrammeId, Sha256Hash, VoucherId,
};
use verifier::ledger::Account;
use verifier::region::Region;
use verifier::settlement::counter::CounterKey;
use verifier::signature::{Kid, PublicKey, Signer};
use verifier::time::{ClockHour, LocalDay, NamedPeriod, Timestamp};

use super::noise::drive;
use crate::golden;

/// A kind of word: its name, good ones, and how a text prints that was taken for one.
type Word = (&'static str, Vec<String>, fn(&str) -> Option<String>);

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// Every account and counter of the golden trail.
fn ledger() -> (Vec<String>, Vec<String>) {
    let (mut accounts, mut counters) = (Vec::new(), Vec::new());
    for entry in golden::entries() {
        let legs = entry.postings.legs().iter();
        accounts.extend(legs.map(|(account, _)| account.to_string()));
        counters.extend(entry.counters.iter().map(|(key, _)| key.to_string()));
    }
    for list in [&mut accounts, &mut counters] {
        list.sort_unstable();
        list.dedup();
    }
    (accounts, counters)
}

#[expect(clippy::too_many_lines, reason = "a list, a row a word")]
fn words() -> Vec<Word> {
    let (accounts, counters) = ledger();
    let key = Signer::from_seed(&[3; 32]).public();
    let drawn = |prefix: &str| vec![format!("{prefix}-ixiczfaj4fg22amw")];
    vec![
        (
            "time",
            texts(&["2026-11-23T08:00:00Z", "2024-02-29T23:59:59Z"]),
            |text| Timestamp::parse(text).ok().map(|time| time.to_string()),
        ),
        ("day", texts(&["2026-11-23", "2024-02-29"]), |text| {
            LocalDay::parse(text).ok().map(|day| day.to_string())
        }),
        ("period", texts(&["2026-09", "2026-Q3", "2026"]), |text| {
            NamedPeriod::parse(text)
                .ok()
                .map(|period| period.to_string())
        }),
        ("hour", texts(&["2026-11-23T08Z"]), |text| {
            ClockHour::parse(text).ok().map(|hour| hour.to_string())
        }),
        ("hash", vec![Sha256Hash::of(b"x").to_string()], |text| {
            Sha256Hash::parse(text).ok().map(|hash| hash.to_string())
        }),
        (
            "digest",
            vec![DocumentDigest::of(b"x").to_string()],
            |text| {
                DocumentDigest::parse(text)
                    .ok()
                    .map(|digest| digest.to_string())
            },
        ),
        ("party", drawn("pty"), |text| {
            PartyId::parse(text).ok().map(|id| id.to_string())
        }),
        ("actor", drawn("act"), |text| {
            ActorId::parse(text).ok().map(|id| id.to_string())
        }),
        ("order", drawn("ord"), |text| {
            OrderId::parse(text).ok().map(|id| id.to_string())
        }),
        ("voucher", drawn("vch"), |text| {
            VoucherId::parse(text).ok().map(|id| id.to_string())
        }),
        ("fund", texts(&["sh-compute-2025", "a-0"]), |text| {
            FundId::parse(text).ok().map(|id| id.to_string())
        }),
        (
            "programme id",
            texts(&["shanghai-compute-2025-press"]),
            |text| ProgrammeId::parse(text).ok().map(|id| id.to_string()),
        ),
        ("region", texts(&["310000", "310115"]), |text| {
            Region::parse(text).ok().map(|region| region.to_string())
        }),
        (
            "scope",
            texts(&["common", "fund/sh-2026", "region/310000"]),
            |text| Scope::parse(text).ok().map(|scope| scope.to_string()),
        ),
        ("subject", texts(&["party/pty-ixiczfaj4fg22amw"]), |text| {
            Subject::parse(text).ok().map(|subject| subject.to_string())
        }),
        ("account", accounts, |text| {
            Account::parse(text).ok().map(|account| account.to_string())
        }),
        ("counter", counters, |text| {
            CounterKey::parse(text).ok().map(|key| key.to_string())
        }),
        ("thumbprint", vec![key.kid().to_string()], |text| {
            Kid::parse(text).ok().map(|kid| kid.to_string())
        }),
        ("key", vec![key.x()], |text| {
            PublicKey::parse(text).ok().map(|key| key.x())
        }),
    ]
}

#[test]
fn a_word_prints_as_it_was_read() {
    for (name, seeds, print) in words() {
        let seeds: Vec<Vec<u8>> = seeds.into_iter().map(String::into_bytes).collect();
        drive(name, 1, &seeds, |bytes| {
            let text = std::str::from_utf8(bytes).ok();
            let printed = text.and_then(print);
            printed.is_some_and(|printed| {
                assert_eq!(printed.as_bytes(), bytes, "{name}");
                true
            })
        });
    }
}
