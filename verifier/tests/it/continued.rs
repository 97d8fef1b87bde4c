//! A log that goes on under a new origin: what it must say, and every way in which it can hide what the old one has shown.

use verifier::audit::continued::hold_to;
use verifier::audit::promise::{Evidence, Finding, check as check_reply};
use verifier::audit::{Depth, Options, Report, Verdict, audit, audit_with};
use verifier::book::command::{Command, ContinuationReason, ContinueTrail};
use verifier::book::entry::Entry;
use verifier::book::log_key::continuation_text;
use verifier::book::scope::Scope;
use verifier::refusal::{Code, Refusal};
use verifier::signature::Signer;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::key::KeyName;
use verifier::trail::note::NoteSigner;
use verifier::trail::policy::Policy;
use verifier::trail::tree::{leaf_hash, prove_consistency, root_of};
use verifier::trail::{Flaw, Hash, TreeSize};

use crate::promise;
use crate::report::differs;
use crate::scoped::cut;
use crate::story::{self, Story, Trail};

const NEW: &str = "localhost/quan/2";
/// How many entries the old log has.
const OLD_SIZE: u64 = 30;
use ContinuationReason::{BehindWorld, LostKey};

fn signer(name: &str, seed: u8) -> NoteSigner {
    NoteSigner::new(
        KeyName::parse(name).unwrap(),
        Signer::from_seed(&[seed; 32]),
    )
}

fn old_key() -> NoteSigner {
    signer(story::ORIGIN, 1)
}

fn new_key() -> NoteSigner {
    signer(NEW, 31)
}

fn leaves(story: &Story, size: u64) -> Vec<Hash> {
    let leaves = story.entries.iter().map(|entry| leaf_hash(entry));
    leaves.take(usize::try_from(size).unwrap()).collect()
}

fn size(size: u64) -> TreeSize {
    TreeSize::new(size).unwrap()
}

/// A checkpoint over the first entries of a story, by a key and under its name.
fn head(story: &Story, entries: u64, by: &NoteSigner) -> String {
    let root = root_of(&leaves(story, entries));
    let checkpoint = Checkpoint::new(by.key().name().clone(), size(entries), root);
    checkpoint.sign(by).unwrap().to_string()
}

/// A proof from the tiles of the old log that its first entries are these.
fn proof(story: &Story, from: u64, to: u64) -> Vec<String> {
    let all = leaves(story, to);
    let read = |subtree: verifier::trail::tree::Subtree| {
        let width = 1_usize << subtree.height;
        let first = usize::try_from(subtree.index).unwrap() * width;
        Ok::<_, Flaw>(root_of(&all[first..first + width]))
    };
    let proof = prove_consistency(size(from), size(to), read).unwrap();
    proof.iter().map(ToString::to_string).collect()
}

fn command(reason: ContinuationReason, checkpoint: String) -> ContinueTrail {
    let new = new_key();
    let vkey = new.key().to_string();
    let text = continuation_text(&old_key().key().to_string(), &vkey);
    ContinueTrail {
        origin: NEW.to_owned(),
        log_vkey: vkey,
        reason,
        checkpoint,
        consistency: None,
        signature: new.sign(&text).unwrap().to_string(),
    }
}

fn ask(story: &Story, asked: ContinueTrail) -> Result<Entry, Refusal> {
    story.next(story.exchange, Command::ContinueTrail(asked))
}

/// A story that goes on under the new origin behind `kept` entries of the old one, for five entries.
fn gone_on(kept: u64, asked: ContinueTrail) -> Story {
    let mut story = Story::of(kept);
    let entry = ask(&story, asked).unwrap();
    story.append(&entry);
    for _ in 0..5 {
        let entry = story.next(story.funder, story::appropriate(7)).unwrap();
        story.append(&entry);
    }
    story
}

fn published(story: &Story, by: &NoteSigner) -> Trail {
    let mut trail = story.trail();
    let head = head(story, story.book.size, by);
    trail.0.insert("checkpoint".into(), head.into_bytes());
    trail
}

fn policy() -> Policy {
    let (old, new) = (old_key(), new_key());
    let text = format!("log {}\nlog {}\nquorum none\n", old.key(), new.key());
    Policy::parse(text.as_bytes()).unwrap()
}

fn check(trail: &Trail) -> Report {
    let Ok(report) = audit(&mut trail.clone(), &policy(), Depth::Decisions);
    report
}

/// The new trail's report once it is held to the old one.
fn held(new: &Trail, old: &Trail) -> Report {
    let (mut report, audited) = (check(new), check(old));
    let Ok(()) = hold_to(
        (&mut new.clone(), &mut report),
        (&mut old.clone(), &audited),
        false,
    );
    report
}

#[test]
fn with_a_lost_key_every_entry_is_there_and_the_tree_itself_shows_it() {
    let old = Story::of(OLD_SIZE);
    // What was committed and never published goes on too.
    for size in [0, 1, 25, OLD_SIZE] {
        let asked = command(LostKey, head(&old, size, &old_key()));
        let story = gone_on(OLD_SIZE, asked);
        let exchange = story.book.exchange.as_ref().unwrap();
        assert_eq!(exchange.origin, NEW);
        let trail = published(&story, &new_key());
        let report = check(&trail);
        differs(&report, &[]);
        let [continued] = &report.continued[..] else {
            panic!("{:?}", report.continued);
        };
        assert_eq!((continued.at, continued.size), (OLD_SIZE, size));
        assert_eq!((continued.lost, continued.is_proven), (0, true));
        // A story is not shorter than its opening.
        if size > 1 {
            let old = Story::of(size);
            differs(&held(&trail, &published(&old, &old_key())), &[]);
        }
    }
}

#[test]
fn whoever_knows_the_new_key_alone_audits_all_of_it() {
    let old = Story::of(OLD_SIZE);
    let story = gone_on(OLD_SIZE, command(LostKey, head(&old, 30, &old_key())));
    let policy = format!("log {}\nquorum none\n", new_key().key());
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    let trail = published(&story, &new_key());
    let Ok(report) = audit(&mut trail.clone(), &policy, Depth::Decisions);
    differs(&report, &[]);
    let scopes = vec![Scope::parse("region/310000").unwrap()];
    let options = Options {
        scopes: scopes.clone(),
        ..Options::new(Depth::Decisions)
    };
    let Ok(report) = audit_with(&mut cut(&trail, &scopes), &policy, &options);
    differs(&report, &[]);
    assert_eq!(report.continued.len(), 1);
}

#[test]
fn behind_the_world_the_proof_or_the_old_trail_shows_what_was_kept() {
    let old = Story::of(OLD_SIZE);
    let last = head(&old, OLD_SIZE, &old_key());
    let without = command(BehindWorld, last.clone());
    let with = ContinueTrail {
        consistency: Some(proof(&old, 20, OLD_SIZE)),
        ..without.clone()
    };
    let trail = published(&gone_on(20, with), &new_key());
    let report = check(&trail);
    differs(&report, &[]);
    assert_eq!(report.continued[0].lost, 10);
    assert!(report.notes.iter().any(|note| note.contains("10 are lost")));
    let old_trail = published(&old, &old_key());
    differs(&held(&trail, &old_trail), &[]);

    let trail = published(&gone_on(20, without), &new_key());
    let report = check(&trail);
    differs(&report, &[("entry 20", "trail.past")]);
    assert!(report.differences[0].found.contains("--continues"));
    let report = held(&trail, &old_trail);
    differs(&report, &[]);
    assert!(report.continued[0].is_proven);
}

#[test]
fn an_end_of_the_old_log_that_is_kept_silent_is_a_rollback() {
    let old = Story::of(OLD_SIZE);
    let old_trail = published(&old, &old_key());
    // It names an older checkpoint than it has shown.
    let asked = ContinueTrail {
        consistency: Some(proof(&old, 20, 25)),
        ..command(BehindWorld, head(&old, 25, &old_key()))
    };
    let trail = published(&gone_on(20, asked), &new_key());
    differs(&check(&trail), &[]);
    let report = held(&trail, &old_trail);
    differs(&report, &[("entry 20", "trail.rollback")]);
    // A copy of the old trail that ends before the checkpoint that is named shows nothing of its end.
    let asked = command(BehindWorld, head(&old, OLD_SIZE, &old_key()));
    let trail = published(&gone_on(20, asked), &new_key());
    let report = held(&trail, &published(&Story::of(25), &old_key()));
    differs(&report, &[("entry 20", "trail.past")]);
}

/// The old log, as it would be with another entry at `place`.
fn other(place: u64) -> Story {
    let mut story = Story::of(place);
    let entry = story.next(story.funder, story::appropriate(8)).unwrap();
    story.append(&entry);
    while story.book.size < OLD_SIZE {
        let entry = story.next(story.funder, story::appropriate(7)).unwrap();
        story.append(&entry);
    }
    story
}

#[test]
fn entries_that_are_not_the_old_logs_are_a_fork() {
    let forked = other(10);
    let asked = command(LostKey, head(&forked, 25, &old_key()));
    let trail = published(&gone_on(OLD_SIZE, asked), &new_key());
    differs(&check(&trail), &[("entry 30", "trail.fork")]);

    let asked = ContinueTrail {
        consistency: Some(proof(&forked, 20, OLD_SIZE)),
        ..command(BehindWorld, head(&forked, OLD_SIZE, &old_key()))
    };
    let trail = published(&gone_on(20, asked), &new_key());
    differs(&check(&trail), &[("entry 20", "trail.fork")]);
    let report = held(&trail, &published(&forked, &old_key()));
    // Told twice: by the proof in the entry, and by the trail itself.
    let twice = [("entry 20", "trail.fork"), ("entry 20", "trail.fork")];
    differs(&report, &twice);

    let old = Story::of(OLD_SIZE);
    let asked = command(BehindWorld, head(&old, OLD_SIZE, &old_key()));
    let trail = published(&gone_on(20, asked), &new_key());
    let report = held(&trail, &published(&forked, &old_key()));
    differs(&report, &[("entry 20", "trail.fork")]);
    // An old trail that does not hold together shows nothing.
    let mut broken = published(&old, &old_key());
    broken.0.remove("tile/entries/000.p/30");
    let report = held(&trail, &broken);
    differs(&report, &[("entry 20", "trail.past")]);
    // Nor does one of another log.
    let report = held(&trail, &trail);
    assert_eq!(report.verdict, Verdict::Differ);
    let last = report.differences.last().unwrap();
    assert_eq!(last.code, "trail.origin");
}

#[test]
fn a_reply_under_the_old_name_is_held_against_the_new_trail() {
    let old = promise::asked(26);
    let reply = promise::reply_to(old.entries.last().unwrap());
    let is_kept = |trail: &Trail| {
        let evidence = Evidence::default();
        let Ok(finding) = check_reply(&mut trail.clone(), &policy(), &reply, evidence);
        matches!(finding, Finding::Kept(_))
    };
    let mut story = promise::asked(26);
    let entry = ask(&story, command(LostKey, head(&old, 26, &old_key()))).unwrap();
    story.append(&entry);
    assert!(is_kept(&published(&story, &new_key())));
    // What was lost with the database is a promise that was not kept.
    let lost = gone_on(20, command(BehindWorld, head(&old, 26, &old_key())));
    assert_eq!(lost.book.size, 26);
    assert!(!is_kept(&published(&lost, &new_key())));
}

#[test]
fn a_checkpoint_under_another_name_than_the_last_entry_says_differs() {
    let old = Story::of(OLD_SIZE);
    let story = gone_on(OLD_SIZE, command(LostKey, head(&old, 30, &old_key())));
    // The old key signs on, as if nothing had been said.
    let report = check(&published(&story, &old_key()));
    let expected = [("entry 30", "entry.origin"), ("entry 30", "entry.log-key")];
    differs(&report, &expected);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list, a row a refusal")]
fn a_continuation_that_does_not_fit_is_refused() {
    let old = Story::of(OLD_SIZE);
    let story = Story::of(20);
    let good = || command(BehindWorld, head(&old, OLD_SIZE, &old_key()));
    assert!(ask(&story, good()).is_ok());
    let with = |change: fn(&mut ContinueTrail)| {
        let mut asked = good();
        change(&mut asked);
        asked
    };
    let lost = |size| command(LostKey, head(&old, size, &old_key()));
    let stranger = signer(story::ORIGIN, 9);
    let elsewhere = signer("localhost/other", 1);
    for (asked, code) in [
        (
            with(|asked| asked.origin = "a b".into()),
            Code::TrailContinuation,
        ),
        (
            with(|asked| asked.origin = story::ORIGIN.into()),
            Code::TrailContinuation,
        ),
        (
            with(|asked| asked.origin = "localhost/quan/3".into()),
            Code::LogKeyInvalid,
        ),
        (with(|asked| asked.log_vkey.clear()), Code::LogKeyInvalid),
        (with(|asked| asked.signature.clear()), Code::KeyProof),
        (
            with(|asked| asked.reason = LostKey),
            Code::TrailContinuation,
        ),
        (lost(21), Code::TrailContinuation),
        (
            command(BehindWorld, head(&old, 20, &old_key())),
            Code::TrailContinuation,
        ),
        (
            with(|asked| asked.checkpoint.clear()),
            Code::TrailContinuation,
        ),
        (
            command(BehindWorld, head(&old, 30, &stranger)),
            Code::TrailContinuation,
        ),
        (
            command(BehindWorld, head(&old, 30, &elsewhere)),
            Code::TrailContinuation,
        ),
        (
            with(|asked| asked.consistency = Some(vec!["x".into()])),
            Code::TrailContinuation,
        ),
        (
            with(|asked| asked.consistency = Some(vec![Hash::EMPTY.to_string(); 64])),
            Code::TrailContinuation,
        ),
        (
            ContinueTrail {
                consistency: Some(Vec::new()),
                ..lost(20)
            },
            Code::TrailContinuation,
        ),
    ] {
        let refused = ask(&story, asked.clone()).unwrap_err();
        assert_eq!(refused.code, code, "{asked:?}: {refused}");
    }
    let funder = story.next(story.funder, Command::ContinueTrail(good()));
    assert_eq!(funder.unwrap_err().code, Code::AccessRole);
    // Under the new name it has ended under the old one.
    let gone = gone_on(20, good());
    let back = command(LostKey, head(&old, 10, &old_key()));
    assert_eq!(ask(&gone, back).unwrap_err().code, Code::TrailContinuation);
}
