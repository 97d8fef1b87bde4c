//! The scenarios of `fixtures/vectors/scenarios` as commands: every step is asked of `decide`, with facts, applications,
//! offers and signed receipts around it, and comes to the amounts, postings, counters and balances of an independent
//! program. `settlement/scenarios.rs` runs the same files on the money machine alone.
//!
//! What a file leaves out is made up so that its numbers are the same:
//! * a voucher is applied for and granted: two commands; its holder, the seller and their keys, sites, shares and offers
//!   are registered where a step first needs them;
//! * a receipt's GPU-seconds are used in one second on as many cards, at the end that the file states, or a few seconds
//!   before where an earlier receipt has that second; a correction repeats the period;
//! * a payout batch is one for each fund, as a finance office pays from its own funds; a step that has nothing to move
//!   (a batch of nothing, a debt that is not there) is no command;
//! * the days of service are in a file's programme, not in an order: see [`programme`];
//! * W5's counter is raised by an earlier voucher, W9's awards are earned under a programme that pays all use, W13's
//!   overlapping receipts are on orders of the same terms.
//!
//! One step of one file cannot be said: a correction that moves use to another segment is a new receipt and a void one,
//! and an order that has ended takes no new receipt. The step moves no money in its file; that is checked, and of the
//! claims of that order only the amounts are compared from there on.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "it reads the files, stops at a step that it does not know, and says which ran"
)]

mod compare;
mod compromise;
mod data;
pub(crate) mod exchange;
mod money;
mod orders;
mod programme;
mod receipts;
mod run;
mod supply;

use std::path::PathBuf;

use serde_json::Value;
use verifier::analysis::Study;
use verifier::audit::{Depth, audit};
use verifier::trail::policy::Policy;

use crate::{analysis, story};
use run::Run;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/vectors/scenarios");

/// Steps for which the exchange has no command: their files wait. A dispute that its file refuses needs none; others freeze an
/// amount of one claim, where the exchange freezes what a key has earned.
const LATER: [&str; 4] = ["dispute", "resolve", "advance", "allocate"];

fn files() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for folder in [FOLDER.to_owned(), format!("{FOLDER}/random")] {
        let inside = std::fs::read_dir(folder).unwrap();
        paths.extend(inside.map(|item| item.unwrap().path()));
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    paths
}

fn waits_for(file: &Value) -> Option<&str> {
    let steps = file["steps"].as_array().unwrap().iter();
    let said = steps.filter(|step| step["do"] != "dispute" || step["expect"]["outcome"] == "ok");
    let mut acts = said.map(|step| step["do"].as_str().unwrap());
    acts.find(|act| LATER.contains(act))
}

/// What the run has written is a trail that agrees.
fn check_trail(entries: &[Vec<u8>]) {
    let policy = Policy::parse(story::policy().as_bytes()).unwrap();
    let Ok(report) = audit(&mut story::Trail::of(entries), &policy, Depth::Decisions);
    assert_eq!(report.differences, []);
    assert_eq!(report.decided, entries.len() as u64);
    let mut study = Study::new();
    entries.iter().for_each(|entry| study.take(entry));
    analysis::cuts_agree(&study);
}

#[test]
fn every_scenario_that_needs_nothing_postponed_runs_through_decide() {
    let (mut ran, mut entries) = (0, 0);
    let (mut waiting, mut unsaid, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    let paths = files();
    for path in &paths {
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        if let Some(act) = waits_for(&file) {
            waiting.push(format!("{} for {act}", file["name"].as_str().unwrap()));
            continue;
        }
        let mut run = Run::open(file);
        wrong.extend(run.run());
        check_trail(&run.exchange.entries);
        ran += 1;
        entries += run.exchange.entries.len();
        let name = run.file["name"].as_str().unwrap();
        unsaid.extend(
            run.unsaid
                .iter()
                .map(|order| format!("{name} order {order}")),
        );
    }
    println!(
        "{ran} of {} ran through decide, in {entries} entries; waiting: {}; a step was not said: {}",
        paths.len(),
        waiting.join(", "),
        unsaid.join(", ")
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((ran, unsaid.len(), paths.len()), (55, 1, 60));
}
