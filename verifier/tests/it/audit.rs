//! Whole trails in memory: honest ones, damaged ones, and those of an exchange that lies.

use std::sync::LazyLock;

use verifier::audit::{Depth, Difference, Place, Report, Verdict, audit};
use verifier::book::command::{AdmitParty, Command, Role};
use verifier::book::entry::Entry;
use verifier::id::Sha256Hash;
use verifier::ledger::{Account, Postings};
use verifier::money::Fen;
use verifier::trail::policy::Policy;

use crate::story::{self, SIZE, Story, Trail, appropriate, fund};

static STORY: LazyLock<Story> = LazyLock::new(|| Story::of(SIZE));

fn check(trail: &Trail, depth: Depth) -> Report {
    let policy = Policy::parse(story::policy().as_bytes()).unwrap();
    let Ok(report) = audit(&mut trail.clone(), &policy, depth);
    let differs = report.verdict == Verdict::Differ;
    assert_eq!(differs, !report.differences.is_empty());
    report
}

fn differences(trail: &Trail) -> Vec<Difference> {
    check(trail, Depth::Decisions).differences
}

fn codes(differences: &[Difference]) -> Vec<(String, &'static str)> {
    let code = |difference: &Difference| (difference.at.to_string(), difference.code);
    differences.iter().map(code).collect()
}

#[test]
fn an_honest_trail_agrees_and_its_funds_are_summed() {
    let report = check(&STORY.trail(), Depth::Decisions);
    assert_eq!(report.differences, []);
    assert_eq!((report.entries, report.decided), (SIZE, SIZE));
    assert_eq!(report.origin.as_deref(), Some(story::ORIGIN));
    let sum = (i64::try_from(SIZE).unwrap() - 4) * 7;
    let funds = &report.funds;
    assert_eq!(funds.len(), 1);
    assert_eq!(funds[0].fen.get("fund"), Some(&sum));
    assert_eq!(funds[0].fen.get("treasury"), Some(&-sum));
    assert_eq!(check(&STORY.trail(), Depth::Trail).decided, 0);
}

#[test]
fn the_empty_trail_agrees() {
    let report = check(&Trail::of(&[]), Depth::Decisions);
    assert_eq!((report.differences, report.size), (Vec::new(), Some(0)));
}

#[test]
fn a_flipped_bit_in_any_file_is_found_and_its_file_named() {
    let trail = STORY.trail();
    for (name, bytes) in &trail.0 {
        let middle = (0..bytes.len()).step_by(bytes.len() / 7 + 1);
        for at in middle.chain([1, 2, bytes.len() - 1]) {
            let mut damaged = trail.clone();
            damaged.0.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            let found = check(&damaged, Depth::Trail).differences;
            let named = found
                .iter()
                .any(|difference| difference.at == Place::File(name.clone()));
            assert!(named, "{name} byte {at}: {:?}", codes(&found));
            // Only the damaged file is accused, unless it is the one that says what the others have to be.
            let alone = found
                .iter()
                .all(|difference| difference.at == Place::File(name.clone()));
            assert!(
                alone || name == "checkpoint",
                "{name} byte {at}: {:?}",
                codes(&found)
            );
        }
    }
}

#[test]
fn each_missing_file_is_named_and_those_of_earlier_sizes_may_go() {
    let trail = STORY.trail();
    let earlier = ["tile/0/000.p/100", "tile/entries/000.p/100"];
    for name in trail.0.keys() {
        let mut without = trail.clone();
        without.0.remove(name);
        let found = check(&without, Depth::Decisions).differences;
        if earlier.contains(&name.as_str()) {
            assert_eq!(found, []);
        } else {
            assert_eq!(codes(&found), [(name.clone(), "trail.missing")]);
        }
    }
}

#[test]
fn without_a_bundle_and_its_tile_the_audit_says_where_it_had_to_stop() {
    let mut trail = STORY.trail();
    trail.0.remove("tile/0/000");
    trail.0.remove("tile/entries/000");
    let found = codes(&differences(&trail));
    let expected = [
        ("tile/entries/000", "trail.missing"),
        ("tile/0/000", "trail.missing"),
        ("entry 0", "trail.unreadable"),
    ];
    assert_eq!(found, expected.map(|(at, code)| (at.to_owned(), code)));
}

#[test]
fn each_stray_file_is_named() {
    for name in [
        "README",
        "tile/0/000.p/0",
        "tile/0/002",
        "tile/0/001.p/45",
        "tile/2/000.p/1",
        "tile/entries/001",
        "tile/entries/001.p/45",
        "tile/0/000#1",
        "checkpoint.bak",
    ] {
        let mut trail = STORY.trail();
        trail.0.insert(name.into(), vec![0; 32]);
        let found = codes(&differences(&trail));
        assert_eq!(found, [(name.to_owned(), "trail.stray")]);
    }
}

#[test]
fn a_partial_file_with_another_content_is_a_difference() {
    let mut trail = STORY.trail();
    trail.0.insert("tile/0/000.p/3".into(), vec![0; 96]);
    let found = codes(&differences(&trail));
    assert_eq!(found, [("tile/0/000.p/3".to_owned(), "trail.tile")]);
}

#[test]
fn a_checkpoint_by_another_key_or_of_another_log_differs() {
    let other = Policy::parse(
        b"log example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\nquorum none\n",
    );
    let Ok(report) = audit(&mut STORY.trail(), &other.unwrap(), Depth::Trail);
    assert_eq!(
        codes(&report.differences),
        [("checkpoint".to_owned(), "trail.origin")]
    );
}

/// Changes one entry and signs the tree over what comes out, as a dishonest exchange can.
fn lie(at: usize, change: impl FnOnce(&mut Entry)) -> Vec<Difference> {
    let mut entries = STORY.entries.clone();
    let mut entry = Entry::parse(&entries[at]).unwrap();
    change(&mut entry);
    entries[at] = entry.to_bytes().unwrap();
    differences(&Trail::of(&entries))
}

#[test]
fn a_lie_about_money_is_found_where_it_is_and_nowhere_else() {
    let more = |entry: &mut Entry| {
        let legs = entry.postings.legs().iter();
        let doubled = legs.map(|(account, fen)| (account.clone(), fen.plus(*fen).unwrap()));
        entry.postings = Postings::new(doubled.collect()).unwrap();
    };
    let found = lie(100, more);
    assert_eq!(codes(&found), [("entry 100".to_owned(), "entry.postings")]);
    assert!(found[0].expected.contains(",7]"), "{}", found[0].expected);
    assert!(found[0].found.contains(",14]"), "{}", found[0].found);
}

#[test]
fn a_lie_about_number_time_scope_or_finding_is_found() {
    let found = lie(200, |entry| entry.seq = 201);
    assert_eq!(codes(&found), [("entry 200".to_owned(), "entry.seq")]);
    let found = lie(200, |entry| entry.at = entry.at.after(-60));
    assert_eq!(codes(&found), [("entry 200".to_owned(), "entry.at")]);
    let found = lie(200, |entry| entry.scopes[0].1 += 1);
    assert_eq!(codes(&found), [("entry 200".to_owned(), "entry.scopes")]);
    let found = lie(200, |entry| entry.found.version = Some(3));
    assert_eq!(codes(&found), [("entry 200".to_owned(), "entry.found")]);
}

#[test]
fn an_entry_that_the_rules_refuse_is_named_with_their_code() {
    let mut story = Story::of(10);
    let mut entry = story.next(story.funder, appropriate(5)).unwrap();
    story.append(&entry.clone());
    // The exchange itself may not appropriate; here it writes as if it did.
    (entry.by, entry.actor, entry.seq) = (story.exchange.0, story.exchange.1, 11);
    story.entries.push(entry.to_bytes().unwrap());
    let found = differences(&Trail::of(&story.entries));
    assert_eq!(codes(&found), [("entry 11".to_owned(), "access.role")]);
}

#[test]
fn money_that_nobody_appropriated_is_found() {
    let mut story = Story::of(10);
    let admit = Command::AdmitParty(AdmitParty {
        roles: vec![Role::Buyer],
        name: Sha256Hash::of(b"b"),
        uscc: None,
    });
    let mut entry = story.next(story.exchange, admit).unwrap();
    let treasury = entry_of(&story.entries[9]).postings.legs()[1].0.clone();
    let legs = [
        (treasury, Fen::new(-9).unwrap()),
        (Account::Fund(fund()), Fen::new(9).unwrap()),
    ];
    entry.postings = Postings::sum(legs).unwrap();
    story.entries.push(entry.to_bytes().unwrap());
    let found = differences(&Trail::of(&story.entries));
    assert_eq!(codes(&found), [("entry 10".to_owned(), "entry.postings")]);
}

fn entry_of(bytes: &[u8]) -> Entry {
    Entry::parse(bytes).unwrap()
}

#[test]
fn an_entry_in_another_spelling_is_named_and_what_follows_is_not_called_decided() {
    let mut entries = STORY.entries.clone();
    entries[50].push(b' ');
    let report = check(&Trail::of(&entries), Depth::Decisions);
    let expected = [("entry 50".to_owned(), "entry.spelling")];
    assert_eq!(codes(&report.differences), expected);
    assert_eq!(report.decided, 50);
    assert!(report.notes.iter().any(|note| note.contains("from 50 on")));
}

#[test]
fn entry_0_must_name_this_log_and_its_key() {
    let found = lie(0, |entry| {
        let Command::OpenExchange(asked) = &mut entry.asked else {
            unreachable!("entry 0 opens the exchange")
        };
        asked.origin = "localhost/other".into();
    });
    let codes = codes(&found);
    let expected = ("entry 0".to_owned(), "entry.origin");
    assert!(codes.contains(&expected), "{codes:?}");
}
