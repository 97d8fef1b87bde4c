//! Whole trails of which one file, one name, or one signed entry is nearly right.

use verifier::audit::promise::{Evidence, Finding, RefusalProof, check, refusal_leaf};
use verifier::audit::{Depth, Options, Report, Verdict, audit_with};
use verifier::book::entry::Entry;
use verifier::trail::Hash;
use verifier::trail::policy::Policy;

use super::noise::{Noise, count, drive, mutated};
use crate::past::{START, cosigned, policy_text, seen_at};
use crate::promise;
use crate::story::{self, Story, Trail};

fn audit(trail: &Trail) -> Report {
    let policy = Policy::parse(policy_text().as_bytes()).unwrap();
    let options = Options {
        now: Some(START + 30),
        ..Options::new(Depth::Decisions)
    };
    let Ok(report) = audit_with(&mut trail.clone(), &policy, &options);
    report
}

#[test]
fn no_file_makes_an_audit_panic_and_none_of_the_tree_may_be_another() {
    let story = Story::of(20);
    let mut trail = seen_at(&story, &[1, 12]);
    let seen = cosigned(&story.entries[..12], START + 12);
    trail.0.insert("known/12".into(), seen.into_bytes());
    assert_eq!(audit(&trail).differences, []);
    let names: Vec<String> = trail.0.keys().cloned().collect();
    let seeds: Vec<Vec<u8>> = names.iter().map(|name| name.clone().into_bytes()).collect();
    for round in 0..count().div_ceil(4) {
        let mut noise = Noise::new("folder", round);
        let mut other = trail.clone();
        let name = noise.pick(&names).clone();
        let bytes = other.0.remove(&name).unwrap();
        if noise.below(4) == 0 {
            let name = String::from_utf8_lossy(&mutated(&seeds, &mut noise)).into_owned();
            other.0.insert(name, bytes.clone());
        } else {
            let bytes = mutated(&[bytes], &mut noise);
            other.0.insert(name.clone(), bytes);
        }
        let report = audit(&other);
        let same = other.0 == trail.0;
        let differs = report.verdict == Verdict::Differ;
        assert!(
            differs || same || !name.starts_with("tile/"),
            "round {round}: {name}"
        );
    }
}

#[test]
fn no_signed_entry_makes_an_audit_panic_or_agrees_unread() {
    let story = Story::of(12);
    for round in 0..count().div_ceil(4) {
        let mut noise = Noise::new("cheat", round);
        let mut entries = story.entries.clone();
        let at = noise.below(entries.len());
        entries[at] = mutated(&[entries[at].clone()], &mut noise);
        entries[at].truncate(65_535);
        let trail = Trail::of(&entries);
        let policy = Policy::parse(story::policy().as_bytes()).unwrap();
        let Ok(report) = audit_with(&mut trail.clone(), &policy, &Options::new(Depth::Decisions));
        let is_read = Entry::parse(&entries[at]).is_ok();
        assert!(
            is_read || report.verdict == Verdict::Differ,
            "round {round}"
        );
    }
}

#[test]
fn no_proof_of_a_refusal_makes_its_check_panic_or_proves_another_place() {
    let mut story = Story::of(10);
    let replies = promise::refusals(&story);
    let seal = promise::seal(&mut story, &replies);
    let leaves: Vec<Hash> = replies.iter().map(|jws| refusal_leaf(jws)).collect();
    let proof = RefusalProof::make(seal, 3, &leaves).unwrap();
    let policy = Policy::parse(story::policy().as_bytes()).unwrap();
    let trail = story.trail();
    let seeds = [serde_json::to_vec(&proof).unwrap()];
    drive("refusal proof", 2, &seeds, |bytes| {
        let evidence = Evidence {
            proof: Some(bytes),
            ..Evidence::default()
        };
        let Ok(finding) = check(&mut trail.clone(), &policy, &replies[3], evidence);
        let kept = matches!(finding, Finding::Kept(_));
        let read = serde_json::from_slice::<RefusalProof>(bytes).ok();
        assert!(!kept || read.as_ref() == Some(&proof));
        kept
    });
}
