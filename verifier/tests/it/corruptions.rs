//! Every way in which a trail can be wrong that TRAIL.md knows, one row each: what is done to an honest folder, and what
//! `quan-verify` then says: the code, its place, and the exit status of the real program.
//!
//! Where a cheating exchange would sign what it changed, the row signs it too: there, only what the entries say can tell.

mod decisions;
mod files;
mod heads;
mod past;
mod promises;
mod scopes;
mod spelling;
mod world;

use std::sync::LazyLock;

use verifier::trail::FlawKind;

use world::{Answer, Case, World};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// What has to be said of a corruption.
enum Expected {
    /// An audit lists these differences, in this order, and no other.
    Exactly(&'static [(&'static str, &'static str)]),
    /// An audit lists these among others that follow from them.
    Among(&'static [(&'static str, &'static str)]),
    /// The command ends so, and its page or its complaint holds this text.
    Says(i32, &'static str),
}

/// One corruption.
struct Row {
    name: &'static str,
    make: fn(&World) -> Case,
    expected: Expected,
}

const fn exactly(
    name: &'static str,
    make: fn(&World) -> Case,
    differences: &'static [(&'static str, &'static str)],
) -> Row {
    let expected = Expected::Exactly(differences);
    Row {
        name,
        make,
        expected,
    }
}

const fn among(
    name: &'static str,
    make: fn(&World) -> Case,
    differences: &'static [(&'static str, &'static str)],
) -> Row {
    let expected = Expected::Among(differences);
    Row {
        name,
        make,
        expected,
    }
}

const fn says(name: &'static str, make: fn(&World) -> Case, exit: i32, text: &'static str) -> Row {
    let expected = Expected::Says(exit, text);
    Row {
        name,
        make,
        expected,
    }
}

impl Row {
    /// What is asked: where no entry is accused, and none has to say which key signs, files and signatures alone show it.
    fn case(&self) -> Case {
        let case = (self.make)(&WORLD);
        let of_files = |(at, code): &(&str, &str)| {
            !at.starts_with("entry ") && *code != FlawKind::KeyRotated.as_str()
        };
        match &self.expected {
            Expected::Exactly(places) if places.iter().all(of_files) => case.shallow(),
            Expected::Exactly(_) | Expected::Among(_) | Expected::Says(..) => case,
        }
    }

    /// What is not as expected.
    fn fault(&self, answer: &Answer) -> Option<String> {
        let listed = |(at, code): &(&str, &str)| {
            let same = |(place, found): &(String, String)| place == at && found == code;
            answer.differences.iter().any(same)
        };
        let holds = match &self.expected {
            Expected::Exactly(expected) => {
                let count = expected.len() == answer.differences.len();
                let pairs = expected.iter().zip(&answer.differences);
                let same = pairs
                    .into_iter()
                    .all(|(ours, (at, code))| *ours == (at, code));
                count && same && answer.exit == Some(1)
            }
            Expected::Among(expected) => {
                !expected.is_empty() && expected.iter().all(listed) && answer.exit == Some(1)
            }
            Expected::Says(exit, text) => answer.page.contains(text) && answer.exit == Some(*exit),
        };
        let few: Vec<_> = answer.differences.iter().take(8).collect();
        let page: String = answer.page.chars().take(300).collect();
        let shown = if few.is_empty() { page } else { String::new() };
        let said = format!(
            "{}: exit {:?}, {} differences {few:?} {shown}",
            self.name,
            answer.exit,
            answer.differences.len()
        );
        (!holds).then_some(said)
    }
}

/// Runs all rows, then says which of them were answered otherwise.
#[track_caller]
fn check(groups: &[&[Row]]) {
    let rows = groups.iter().copied().flatten();
    let faults: Vec<String> = rows
        .filter_map(|row| row.fault(&row.case().run()))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

const ALL: [&[&[Row]]; 10] = [
    decisions::ROWS,
    &[decisions::STATEMENTS],
    &[spelling::ROWS],
    files::ROWS,
    heads::ROWS,
    &[heads::POLICIES],
    past::ROWS,
    &[scopes::ROWS],
    promises::ROWS,
    &[promises::PROOFS],
];

#[test]
fn what_nobody_has_touched_agrees() {
    for case in [
        WORLD.honest(),
        WORLD.honest().cut(&["fund/sh-2026"]),
        WORLD
            .honest()
            .cut(&["region/310000", "fund/bj-compute-2025"]),
        promises::kept(&WORLD),
        promises::sealed(&WORLD, |_| {}),
        promises::proven(&WORLD, |proof| proof),
    ] {
        assert!(case.has_policy());
        let answer = case.run();
        assert_eq!(answer.exit, Some(0), "{}", answer.page);
    }
}

#[test]
fn there_are_many_rows_and_each_has_its_own_name() {
    let rows = ALL.into_iter().flatten().copied().flatten();
    let mut names: Vec<_> = rows.map(|row| row.name).collect();
    let count = names.len();
    assert!(count >= 200, "{count}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Every way in which a folder of files can be wrong, by its code. The others are those of keys and paths by themselves, of a right
/// edge that a server stores, of a witness's answers, and of a second folder that a continued trail goes on from.
#[test]
fn each_code_of_a_trail_has_a_row() {
    use FlawKind as F;
    let elsewhere = [
        F::Key,
        F::TilePath,
        F::Frontier,
        F::WitnessRequest,
        F::WitnessAnswer,
        F::WitnessRefused,
        F::WitnessSize,
        F::WitnessAhead,
        F::WitnessRoot,
        F::Past,
    ];
    let of_audit = [
        "trail.missing",
        "trail.stray",
        "trail.unreadable",
        "trail.scope-gap",
        "trail.unsealed",
        "trail.promise-broken",
        "entry.spelling",
        "entry.seq",
        "entry.at",
        "entry.at-bounds",
        "entry.origin",
        "entry.log-key",
        "entry.scopes",
        "entry.found",
        "entry.postings",
        "entry.counters",
    ];
    let kinds = F::ALL.iter().filter(|kind| !elsewhere.contains(kind));
    let rows = || ALL.into_iter().flatten().copied().flatten();
    for code in kinds.map(|kind| kind.as_str()).chain(of_audit) {
        let has = |row: &Row| match &row.expected {
            Expected::Exactly(places) | Expected::Among(places) => {
                places.iter().any(|(_, found)| *found == code)
            }
            Expected::Says(_, text) => *text == code,
        };
        assert!(rows().any(has), "no corruption shows {code}");
    }
}

#[test]
fn a_decision_that_is_not_the_rules_is_found() {
    check(decisions::ROWS);
}

#[test]
fn a_statement_that_its_signer_has_not_made_is_found() {
    check(&[decisions::STATEMENTS]);
}

#[test]
fn an_entry_in_another_spelling_is_found() {
    check(&[spelling::ROWS]);
}

#[test]
fn a_file_behind_the_signature_that_is_not_the_signed_one_is_found() {
    check(files::ROWS);
}

#[test]
fn a_head_that_is_not_signed_as_the_policy_demands_is_found() {
    check(heads::ROWS);
}

#[test]
fn a_policy_that_cannot_be_read_is_no_policy() {
    check(&[heads::POLICIES]);
}

#[test]
fn a_past_that_was_another_is_found() {
    check(past::ROWS);
}

#[test]
fn what_is_kept_from_a_regulator_is_found() {
    check(&[scopes::ROWS]);
}

#[test]
fn a_promise_that_was_not_kept_is_found() {
    check(promises::ROWS);
}

#[test]
fn a_proof_that_does_not_prove_is_refused() {
    check(&[promises::PROOFS]);
}
