//! Audits with a memory: rollbacks, forks, the history of cosigned checkpoints and the times that it bounds.

use verifier::audit::{Depth, Known, Options, Report, Verdict, audit_with};
use verifier::book::entry::Entry;
use verifier::signature::Signer;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::cosignature::Cosigner;
use verifier::trail::history::{self, HistoryPath, parts_between};
use verifier::trail::key::KeyName;
use verifier::trail::note::{Note, NoteSigner};
use verifier::trail::policy::Policy;
use verifier::trail::tree::{leaf_hash, root_of};
use verifier::trail::{Hash, TreeSize};

use crate::report::differs;
use crate::story::{self, Story, Trail};

/// One second an entry from here on: when entry 0 was written.
pub(crate) const START: u64 = 1_795_420_800;

pub(crate) fn log() -> NoteSigner {
    let name = KeyName::parse(story::ORIGIN).unwrap();
    NoteSigner::new(name, Signer::from_seed(&[1; 32]))
}

pub(crate) fn witness() -> Cosigner {
    let name = KeyName::parse("witness.example/w").unwrap();
    Cosigner::new(name, Signer::from_seed(&[5; 32]))
}

pub(crate) fn policy_text() -> String {
    let (log, witness) = (story::log_key(), witness());
    format!("log {log}\nwitness w {}\nquorum w\n", witness.key())
}

fn policy() -> Policy {
    Policy::parse(policy_text().as_bytes()).unwrap()
}

/// The checkpoint over these entries, signed and at `time` cosigned.
pub(crate) fn cosigned(entries: &[Vec<u8>], time: u64) -> String {
    let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let name = KeyName::parse(story::ORIGIN).unwrap();
    let size = TreeSize::new(leaves.len() as u64).unwrap();
    let checkpoint = Checkpoint::new(name, size, root_of(&leaves));
    let line = witness().cosign(&checkpoint, time).unwrap();
    let note = checkpoint.sign(&log()).unwrap();
    let lines = [note.signatures(), &[line]].concat();
    Note::new(note.text().to_owned(), lines)
        .unwrap()
        .to_string()
}

fn up_to(entries: &[Vec<u8>], size: u64) -> &[Vec<u8>] {
    &entries[..usize::try_from(size).unwrap()]
}

/// A trail whose witness has seen it at these sizes, each a second after the last entry of it, and at its end.
pub(crate) fn seen_at(story: &Story, sizes: &[u64]) -> Trail {
    let entries = &story.entries;
    let notes: Vec<String> = sizes
        .iter()
        .map(|size| cosigned(up_to(entries, *size), START + size))
        .collect();
    let mut trail = Trail::of(entries);
    put_history(&mut trail, &notes);
    let head = cosigned(entries, START + entries.len() as u64);
    trail.0.insert("checkpoint".into(), head.into_bytes());
    trail
}

pub(crate) fn put_history(trail: &mut Trail, notes: &[String]) {
    for path in parts_between(0, notes.len() as u64) {
        let first = usize::try_from(path.first()).unwrap();
        let part = &notes[first..first + usize::from(path.width())];
        let bytes = history::encode(part.iter().map(String::as_str)).unwrap();
        trail.0.insert(path.to_string(), bytes);
    }
    let count = history::encode_count(notes.len() as u64);
    trail.0.insert(history::COUNT.into(), count.into_bytes());
}

fn check(trail: &Trail, options: &Options) -> Report {
    let Ok(report) = audit_with(&mut trail.clone(), &policy(), options);
    report
}

fn deep() -> Options {
    Options::new(Depth::Decisions)
}

fn with(note: String) -> Options {
    let name = "kept.txt".to_owned();
    let note = note.into_bytes();
    Options {
        known: vec![Known { name, note }],
        ..deep()
    }
}

#[test]
fn a_history_bounds_every_time_and_a_memory_holds_the_log_to_what_it_said() {
    let story = Story::of(600);
    let trail = seen_at(&story, &[0, 1, 100, 256, 257, 512, 600]);
    let report = check(&trail, &with(cosigned(up_to(&story.entries, 300), START)));
    differs(&report, &[]);
    assert_eq!(report.verdict, Verdict::Agree);
    assert_eq!((report.history, report.known, report.bounded), (7, 1, 600));
    assert!(report.head.is_some());
    let note = "held to 1 checkpoints seen before";
    assert!(report.notes.iter().any(|said| said == note));
}

#[test]
fn without_history_and_memory_the_report_says_so() {
    let story = Story::of(20);
    let report = check(&story.trail(), &deep());
    differs(&report, &[("checkpoint", "trail.quorum")]);
    assert_eq!(report.head, None);
    for said in ["times not bounded", "no earlier checkpoint is known"] {
        let notes = &report.notes;
        assert!(notes.iter().any(|note| note.starts_with(said)), "{notes:?}");
    }
}

#[test]
fn a_shorter_log_than_somebody_saw_is_a_rollback() {
    let story = Story::of(60);
    let seen = cosigned(&story.entries, START + 60);
    let shorter = Story::of(40);
    let trail = seen_at(&shorter, &[20]);
    let report = check(&trail, &with(seen.clone()));
    differs(&report, &[("kept.txt", "trail.rollback")]);
    assert_eq!(report.head, None);
    let mut trail = trail;
    trail.0.insert("known/60".into(), seen.into_bytes());
    let report = check(&trail, &deep());
    differs(&report, &[("known/60", "trail.rollback")]);
}

#[test]
fn another_history_than_somebody_saw_is_a_fork() {
    let story = Story::of(60);
    let trail = seen_at(&story, &[30]);
    let mut other = story.entries.clone();
    other[10] = other[11].clone();
    for size in [11, 30, 59, 60] {
        let seen = cosigned(up_to(&other, size), START + size);
        let report = check(&trail, &with(seen));
        differs(&report, &[("kept.txt", "trail.fork")]);
        assert_eq!(report.head, None);
    }
    // Up to there both are the same.
    let seen = cosigned(up_to(&other, 10), START + 10);
    differs(&check(&trail, &with(seen)), &[]);
}

#[test]
fn a_damaged_trail_is_not_called_a_fork() {
    let story = Story::of(300);
    let mut trail = seen_at(&story, &[30, 290]);
    trail.0.remove("tile/0/000");
    let bundle = trail.0.get_mut("tile/entries/000").unwrap();
    let last = bundle.len() - 2;
    bundle[last] ^= 1;
    let report = check(&trail, &with(cosigned(&story.entries[..260], START)));
    assert!(
        report
            .differences
            .iter()
            .all(|difference| difference.code != "trail.fork"),
        "{:#?}",
        report.differences
    );
    assert_eq!((report.verdict, report.head), (Verdict::Differ, None));
}

#[test]
fn each_fault_of_a_history_is_named() {
    let story = Story::of(60);
    let entries = &story.entries;
    let note = |size: u64| cosigned(up_to(entries, size), START + size);
    let faulty = |notes: &[String]| {
        let mut trail = seen_at(&story, &[]);
        put_history(&mut trail, notes);
        check(&trail, &deep())
    };
    let part = "history/000.p/2";
    differs(&faulty(&[note(30), note(60)]), &[]);
    let shrunk = faulty(&[note(30), note(20)]);
    differs(&shrunk, &[(part, "trail.history")]);
    let mut other = entries.clone();
    other[3] = other[4].clone();
    let forked = faulty(&[note(30), cosigned(up_to(&other, 40), START + 40)]);
    differs(&forked, &[(part, "trail.fork")]);
    let longer = Story::of(70);
    let ahead = faulty(&[note(30), cosigned(&longer.entries, START + 70)]);
    differs(&ahead, &[(part, "trail.rollback")]);
    let bad = note(40).replacen("\n40\n", "\n41\n", 1);
    differs(&faulty(&[note(30), bad]), &[(part, "trail.signature")]);
    let no_note = faulty(&[note(30), "x".into()]);
    differs(&no_note, &[(part, "trail.history")]);
}

#[test]
fn the_parts_of_a_history_hang_together() {
    let story = Story::of(600);
    let sizes: Vec<u64> = (300..600).collect();
    let trail = seen_at(&story, &sizes);
    differs(&check(&trail, &deep()), &[]);
    let mut missing = trail.clone();
    missing.0.remove("history/000");
    differs(
        &check(&missing, &deep()),
        &[("history/000", "trail.missing")],
    );
    let mut short = trail.clone();
    short.0.remove("history/001.p/44");
    let report = check(&short, &deep());
    differs(&report, &[("history/001.p/44", "trail.missing")]);
    let first = trail.0["history/000"].clone();
    let mut narrower = trail.clone();
    let length = usize::from(u16::from_be_bytes([first[0], first[1]])) + 2;
    narrower
        .0
        .insert("history/000.p/1".into(), first[..length].to_vec());
    differs(&check(&narrower, &deep()), &[]);
    narrower
        .0
        .insert("history/000.p/2".into(), first[..length].to_vec());
    let report = check(&narrower, &deep());
    differs(&report, &[("history/000.p/2", "trail.history")]);
    let mut count = trail;
    count.0.insert("history/count".into(), b"0300\n".to_vec());
    let report = check(&count, &deep());
    differs(&report, &[("history/count", "trail.history")]);
    assert!(HistoryPath::new(1, 44).is_some());
}

/// Signs a trail in which one entry claims another time.
fn moved(by: i64) -> Report {
    let mut story = Story::of(60);
    let at = story.entries.len() - 30;
    for bytes in &mut story.entries[at..] {
        let mut entry = Entry::parse(bytes).unwrap();
        entry.at = entry.at.after(by);
        *bytes = entry.to_bytes().unwrap();
    }
    check(&seen_at(&story, &[0, 30, 60]), &deep())
}

#[test]
fn a_time_outside_what_witnesses_saw_is_named() {
    differs(&moved(200), &[]);
    let report = moved(400);
    assert_eq!(report.differences.len(), 30);
    let codes = report.differences.iter().map(|difference| difference.code);
    assert!(codes.into_iter().all(|code| code == "entry.at-bounds"));
}

#[test]
fn an_entry_that_is_dated_back_is_named() {
    // The witness saw size 30 a day later than the entries behind it say.
    let story = Story::of(60);
    let mut trail = seen_at(&story, &[]);
    let late = cosigned(up_to(&story.entries, 30), START + 86_400);
    let last = cosigned(&story.entries, START + 86_500);
    put_history(&mut trail, &[late, last.clone()]);
    trail.0.insert("checkpoint".into(), last.into_bytes());
    let report = check(&trail, &deep());
    assert_eq!(report.differences.len(), 30);
    assert_eq!(report.differences[0].code, "entry.at-bounds");
    assert_eq!(report.differences[0].at.to_string(), "entry 30");
}

#[test]
fn a_clock_finds_a_stale_head_and_one_from_the_future() {
    let story = Story::of(60);
    let trail = seen_at(&story, &[60]);
    let at = |now: u64| {
        let now = Some(START + now);
        check(&trail, &Options { now, ..deep() })
    };
    differs(&at(60), &[]);
    differs(&at(60 + 3600), &[]);
    differs(&at(60 + 3601), &[("checkpoint", "trail.stale")]);
    let early = Options {
        now: Some(START - 241),
        ..deep()
    };
    let future = [
        ("checkpoint", "trail.cosignature-future"),
        ("history/000.p/1", "trail.cosignature-future"),
    ];
    differs(&check(&trail, &early), &future);
}

#[test]
fn a_memory_of_another_log_or_by_another_key_is_named() {
    let story = Story::of(20);
    let trail = seen_at(&story, &[]);
    let note = cosigned(&story.entries, START);
    let other = note.replace(story::ORIGIN, "localhost/other");
    differs(
        &check(&trail, &with(other)),
        &[("kept.txt", "trail.origin")],
    );
    let unsigned = note.replacen("\n20\n", "\n19\n", 1);
    let report = check(&trail, &with(unsigned));
    differs(&report, &[("kept.txt", "trail.signature")]);
    let report = check(&trail, &with("x".into()));
    differs(&report, &[("kept.txt", "trail.note")]);
}
