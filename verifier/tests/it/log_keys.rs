//! The log's key over time: what a rotation must say, and every way in which a head can lack the key that it should have.

use verifier::audit::{Depth, Known, Options, Report, audit_with};
use verifier::book::command::{Command, RotateLogKey};
use verifier::book::entry::Entry;
use verifier::book::log_key::rotation_text;
use verifier::book::scope::Scope;
use verifier::refusal::{Code, Refusal};
use verifier::signature::Signer;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::cosignature::Cosigner;
use verifier::trail::key::KeyName;
use verifier::trail::note::{Note, NoteSigner};
use verifier::trail::policy::Policy;
use verifier::trail::tree::{leaf_hash, root_of};
use verifier::trail::{Hash, TreeSize};

use crate::past::put_history;
use crate::report::differs;
use crate::scoped::cut;
use crate::story::{self, Story, Trail};

/// Seeds of the log's keys: the story's own, and those that take over from it.
pub(crate) const OLD: u8 = 1;
pub(crate) const NEW: u8 = 21;
const NEXT: u8 = 22;
/// The first entry is written at this second, each a second after the one before it.
pub(crate) const OVERLAP: u32 = 5;

fn signer(seed: u8) -> NoteSigner {
    let name = KeyName::parse(story::ORIGIN).unwrap();
    NoteSigner::new(name, Signer::from_seed(&[seed; 32]))
}

fn vkey(seed: u8) -> String {
    signer(seed).key().to_string()
}

fn rotation((old, new): (u8, u8), overlap_seconds: u32) -> RotateLogKey {
    let (old, new) = (signer(old), signer(new));
    let keys = [old.key().to_string(), new.key().to_string()];
    let text = rotation_text(&keys[0], &keys[1], overlap_seconds);
    let lines = [&old, &new].map(|signer| signer.sign(&text).unwrap().to_string());
    let [old, new] = keys;
    RotateLogKey {
        old,
        new,
        overlap_seconds,
        signatures: lines.concat(),
    }
}

fn ask(story: &Story, asked: RotateLogKey) -> Result<Entry, Refusal> {
    story.next(story.exchange, Command::RotateLogKey(asked))
}

/// Entries up to 10, a rotation as entry 10, and entries up to 30: heads of 11 to 15 entries are signed by both keys.
pub(crate) fn rotated(overlap: u32) -> Story {
    grown(overlap, 30)
}

fn grown(overlap: u32, size: u64) -> Story {
    let mut story = Story::of(10);
    let entry = ask(&story, rotation((OLD, NEW), overlap)).unwrap();
    story.append(&entry);
    fill(&mut story, size);
    story
}

/// The policy of whoever knows both keys, and what is published in the overlap and after it.
pub(crate) fn told() -> (String, [Trail; 2]) {
    let policy = format!("log {}\nlog {}\nquorum none\n", vkey(OLD), vkey(NEW));
    let overlap = published(&grown(OVERLAP, 15), &RIGHT[..4]);
    (policy, [overlap, published(&rotated(OVERLAP), &RIGHT)])
}

fn fill(story: &mut Story, size: u64) {
    while story.book.size < size {
        let entry = story.next(story.funder, story::appropriate(7)).unwrap();
        story.append(&entry);
    }
}

/// The checkpoint over the first entries by these keys.
pub(crate) fn head(story: &Story, size: u64, seeds: &[u8]) -> String {
    let leaves = story.entries.iter().map(|entry| leaf_hash(entry));
    let leaves: Vec<Hash> = leaves.take(usize::try_from(size).unwrap()).collect();
    let name = KeyName::parse(story::ORIGIN).unwrap();
    let text = Checkpoint::new(name, TreeSize::new(size).unwrap(), root_of(&leaves)).to_string();
    let lines = seeds.iter().map(|seed| signer(*seed).sign(&text).unwrap());
    Note::new(text.clone(), lines.collect())
        .unwrap()
        .to_string()
}

/// The trail with these heads as its history and the last of them as its checkpoint.
pub(crate) fn published(story: &Story, heads: &[(u64, &[u8])]) -> Trail {
    let mut trail = story.trail();
    let notes: Vec<_> = heads
        .iter()
        .map(|(size, seeds)| head(story, *size, seeds))
        .collect();
    put_history(&mut trail, &notes);
    let newest = notes.last().unwrap().clone();
    trail.0.insert("checkpoint".into(), newest.into_bytes());
    trail
}

fn policy(seeds: &[u8]) -> Policy {
    Policy::parse(policy_text(seeds).as_bytes()).unwrap()
}

pub(crate) fn policy_text(seeds: &[u8]) -> String {
    let logs: String = seeds
        .iter()
        .map(|seed| format!("log {}\n", vkey(*seed)))
        .collect();
    format!("{logs}quorum none\n")
}

fn check(trail: &Trail, seeds: &[u8], known: Vec<Known>) -> Report {
    let options = Options {
        known,
        ..Options::new(Depth::Decisions)
    };
    let Ok(report) = audit_with(&mut trail.clone(), &policy(seeds), &options);
    report
}

fn kept(note: String) -> Vec<Known> {
    let name = "kept".to_owned();
    let note = note.into_bytes();
    vec![Known { name, note }]
}

/// The old key, then both, then the new one.
pub(crate) const RIGHT: [(u64, &[u8]); 6] = [
    (1, &[OLD]),
    (10, &[OLD]),
    (11, &[OLD, NEW]),
    (15, &[OLD, NEW]),
    (16, &[NEW]),
    (30, &[NEW]),
];

#[test]
fn a_rotation_states_from_which_head_and_until_when_both_sign() {
    let story = Story::of(10);
    let entry = ask(&story, rotation((OLD, NEW), OVERLAP)).unwrap();
    let succession = entry.found.succession.clone().unwrap();
    assert_eq!(succession.from, 11);
    assert_eq!(succession.until, entry.at.after(i64::from(OVERLAP)));
    let bytes = entry.to_bytes().unwrap();
    assert_eq!(Entry::parse(&bytes).unwrap(), entry);
    assert_eq!(entry.scopes, [(Scope::Common, 3)]);
}

#[test]
fn the_old_key_signs_before_it_both_in_the_overlap_and_the_new_one_after_it() {
    let trail = published(&rotated(OVERLAP), &RIGHT);
    let report = check(&trail, &[OLD, NEW], Vec::new());
    differs(&report, &[]);
    assert!(report.head.is_some());
    assert_eq!(report.history, 6);
}

#[test]
fn a_head_without_a_key_that_it_should_have_is_named() {
    let story = rotated(OVERLAP);
    for (at, seeds) in [
        (0, &[NEW][..]),
        (1, &[NEW]),
        (2, &[OLD]),
        (2, &[NEW]),
        (3, &[OLD]),
        (3, &[NEW]),
        (4, &[OLD]),
    ] {
        let mut heads = RIGHT;
        heads[at].1 = seeds;
        let report = check(&published(&story, &heads), &[OLD, NEW], Vec::new());
        differs(&report, &[("history/000.p/6", "trail.key-rotated")]);
        let said = &report.differences[0];
        assert!(said.expected.contains("a signature by"), "{said:?}");
    }
    // The newest head by the old key alone: what whoever stole it would show.
    let mut heads = RIGHT;
    heads[5].1 = &[OLD];
    let report = check(&published(&story, &heads), &[OLD, NEW], Vec::new());
    let expected = [
        ("checkpoint", "trail.key-rotated"),
        ("history/000.p/6", "trail.key-rotated"),
    ];
    differs(&report, &expected);
    assert_eq!(report.head, None);
    let said = &report.differences[0];
    assert!(said.expected.contains(&vkey(NEW)), "{said:?}");
    assert_eq!(said.found, format!("one by {}", vkey(OLD)));
    // What the old key signs beside the new one harms nobody.
    heads[5].1 = &[OLD, NEW];
    differs(
        &check(&published(&story, &heads), &[OLD, NEW], Vec::new()),
        &[],
    );
}

#[test]
fn what_others_have_kept_may_lack_a_line_that_they_did_not_know() {
    let story = rotated(OVERLAP);
    let trail = published(&story, &RIGHT);
    for (size, seed) in [(10, OLD), (12, OLD), (12, NEW), (16, NEW), (30, NEW)] {
        let known = kept(head(&story, size, &[seed]));
        differs(&check(&trail, &[OLD, NEW], known), &[]);
    }
    for (size, seed) in [(10, NEW), (16, OLD), (30, OLD)] {
        let known = kept(head(&story, size, &[seed]));
        let report = check(&trail, &[OLD, NEW], known);
        differs(&report, &[("kept", "trail.key-rotated")]);
    }
}

#[test]
fn whoever_trusts_the_old_key_alone_reads_on_to_the_end_of_the_overlap() {
    let mut story = Story::of(10);
    let entry = ask(&story, rotation((OLD, NEW), OVERLAP)).unwrap();
    story.append(&entry);
    fill(&mut story, 15);
    let trail = published(&story, &RIGHT[..4]);
    differs(&check(&trail, &[OLD], Vec::new()), &[]);
    // The new key's line is checked though the policy does not name it.
    let mut forged = trail.clone();
    let note = head(&story, 15, &[OLD]);
    let other = head(&story, 14, &[NEW]);
    let line = other.lines().last().unwrap();
    let note = format!("{note}{line}\n");
    forged.0.insert("checkpoint".into(), note.into_bytes());
    let report = check(&forged, &[OLD], Vec::new());
    differs(&report, &[("checkpoint", "trail.key-rotated")]);
    fill(&mut story, 30);
    let trail = published(&story, &RIGHT);
    let report = check(&trail, &[OLD], Vec::new());
    let expected = [
        ("checkpoint", "trail.signature"),
        ("history/000.p/6", "trail.signature"),
        ("history/000.p/6", "trail.signature"),
    ];
    differs(&report, &expected);
}

#[test]
fn a_rotation_without_an_overlap_ends_the_old_key_at_once() {
    let story = rotated(0);
    let right: [(u64, &[u8]); 3] = [(10, &[OLD]), (11, &[NEW]), (30, &[NEW])];
    differs(
        &check(&published(&story, &right), &[OLD, NEW], Vec::new()),
        &[],
    );
    let stolen: [(u64, &[u8]); 3] = [(10, &[OLD]), (11, &[OLD]), (30, &[NEW])];
    let report = check(&published(&story, &stolen), &[OLD, NEW], Vec::new());
    differs(&report, &[("history/000.p/3", "trail.key-rotated")]);
}

#[test]
fn a_second_rotation_follows_the_first() {
    let mut story = rotated(OVERLAP);
    let other = ask(&story, rotation((OLD, NEXT), OVERLAP)).unwrap_err();
    assert_eq!(other.code, Code::LogKeyOther);
    assert!(other.sentence.contains(&vkey(NEW)), "{other}");
    let entry = ask(&story, rotation((NEW, NEXT), OVERLAP)).unwrap();
    story.append(&entry);
    fill(&mut story, 40);
    let heads: [(u64, &[u8]); 3] = [(30, &[NEW]), (31, &[NEW, NEXT]), (40, &[NEXT])];
    let trail = published(&story, &heads);
    differs(&check(&trail, &[OLD, NEW, NEXT], Vec::new()), &[]);
}

#[test]
fn a_regulator_of_one_scope_sees_every_rotation_and_no_false_alarm() {
    let story = rotated(OVERLAP);
    let scopes = [Scope::parse("region/310000").unwrap()];
    let check = |trail: &Trail| {
        let options = Options {
            scopes: scopes.to_vec(),
            ..Options::new(Depth::Decisions)
        };
        let cut = cut(trail, &scopes);
        let Ok(report) = audit_with(&mut cut.clone(), &policy(&[OLD, NEW]), &options);
        report
    };
    differs(&check(&published(&story, &RIGHT)), &[]);
    let mut heads = RIGHT;
    heads[4].1 = &[OLD];
    let report = check(&published(&story, &heads));
    differs(&report, &[("history/000.p/6", "trail.key-rotated")]);
}

#[test]
fn a_rotation_that_does_not_fit_is_refused() {
    let story = Story::of(10);
    let good = || rotation((OLD, NEW), OVERLAP);
    let with = |change: fn(&mut RotateLogKey)| {
        let mut asked = good();
        change(&mut asked);
        asked
    };
    let renamed = |vkey: String| RotateLogKey {
        new: vkey,
        ..good()
    };
    let secret = || Signer::from_seed(&[NEW; 32]);
    let name = KeyName::parse;
    let witness = Cosigner::new(name(story::ORIGIN).unwrap(), secret());
    let elsewhere = NoteSigner::new(name("localhost/other").unwrap(), secret());
    let swapped = with(|asked| {
        let lines: Vec<_> = asked.signatures.lines().rev().collect();
        asked.signatures = format!("{}\n", lines.join("\n"));
    });
    for (asked, code) in [
        (rotation((NEW, NEXT), OVERLAP), Code::LogKeyOther),
        (with(|asked| asked.old.clear()), Code::LogKeyOther),
        (with(|asked| asked.new.push('A')), Code::LogKeyInvalid),
        (renamed(witness.key().to_string()), Code::LogKeyInvalid),
        (renamed(elsewhere.key().to_string()), Code::LogKeyInvalid),
        (rotation((OLD, OLD), OVERLAP), Code::KeyTaken),
        // The exchange's delivery key.
        (rotation((OLD, 2), OVERLAP), Code::KeyTaken),
        (swapped, Code::KeyProof),
        (with(|asked| asked.signatures.clear()), Code::KeyProof),
        (
            with(|asked| {
                let first = asked.signatures.lines().next().unwrap().to_owned();
                asked.signatures = format!("{first}\n");
            }),
            Code::KeyProof,
        ),
        (
            with(|asked| asked.signatures = asked.signatures.repeat(2)),
            Code::KeyProof,
        ),
        // Signed over another overlap.
        (with(|asked| asked.overlap_seconds += 1), Code::KeyProof),
        (
            rotation((OLD, NEW), 366 * 86_400 + 1),
            Code::RequestMalformed,
        ),
    ] {
        let refused = ask(&story, asked.clone()).unwrap_err();
        assert_eq!(refused.code, code, "{asked:?}: {refused}");
    }
    assert!(ask(&story, rotation((OLD, NEW), 366 * 86_400)).is_ok());
    let funder = story.next(story.funder, Command::RotateLogKey(good()));
    assert_eq!(funder.unwrap_err().code, Code::AccessRole);
}
