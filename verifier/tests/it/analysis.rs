//! What trails say taken together: sums that must agree with the book, and the commands that print them.

use std::path::Path;
use std::process::{Command, Output};

use verifier::analysis::Study;
use verifier::analysis::stats::{Part, stats};

use crate::golden;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/trail/v1/trail");
const POLICY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/trail/v1/policy.txt"
);

fn study() -> Study {
    let mut study = Study::new();
    for entry in golden::entries() {
        study.take(&entry.to_bytes().unwrap());
    }
    assert_eq!(study.stopped(), None);
    study
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quan-verify"))
        .args(arguments)
        .output()
        .unwrap()
}

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{page}{said}");
    page
}

fn sum(parts: &[Part]) -> (i64, i64) {
    let fen = |of: fn(&Part) -> i64| parts.iter().map(of).sum();
    (
        fen(|part| part.granted_fen),
        fen(|part| part.taken_back_fen),
    )
}

#[test]
fn every_cut_of_the_subsidy_sums_to_what_the_book_has_granted() {
    let study = study();
    let (mut granted, mut clawed) = (0, 0);
    for id in study.book().orders.keys() {
        for claim in &study.book().money.order(*id).unwrap().claims {
            granted += claim.sums.sum(|fund| fund.granted).unwrap().get();
            clawed += claim.sums.sum(|fund| fund.clawed).unwrap().get();
        }
    }
    assert!(granted > 0);
    assert!(clawed > 0);
    let subsidy = stats(&study).subsidy;
    for cut in [
        &subsidy.schemes,
        &subsidy.programmes,
        &subsidy.size_classes,
        &subsidy.levels,
        &subsidy.words,
    ] {
        assert_eq!(sum(cut), (granted, clawed), "{cut:?}");
    }
}

#[test]
fn the_weeks_of_a_site_sum_to_the_hours_that_it_was_occupied() {
    let study = study();
    let stats = stats(&study);
    let occupied: i64 = study
        .book()
        .sites
        .values()
        .flat_map(|site| site.capacity.values())
        .flat_map(|capacity| capacity.hours())
        .map(|(_, seconds)| seconds)
        .sum();
    let billed = |rows: &mut dyn Iterator<Item = i64>| rows.sum::<i64>();
    let sites = billed(&mut stats.sites.iter().map(|row| row.used.billed_gpu_seconds));
    let regions = billed(&mut stats.regions.iter().map(|row| row.used.billed_gpu_seconds));
    assert!(occupied > 0);
    assert_eq!(sites, regions);
    // What ran in NODE_FAIL occupied the cards and is not billed.
    assert!(sites > 0 && sites <= occupied, "{sites} {occupied}");
    let within = |row: &verifier::analysis::stats::SiteWeek| {
        row.used.billed_gpu_seconds <= row.used.shared_gpu_seconds
    };
    assert!(stats.sites.iter().all(within));
}

#[test]
fn the_command_prints_statistics_of_the_golden_trail() {
    let page = exits(&run(&["stats", GOLDEN, "--policy", POLICY]), 0);
    for part in [
        "localhost/quan: 368 entries",
        "subsidy in CNY, by programme",
        "subsidy in CNY, by evidence level",
        "L2",
        "2026-W4",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let page = exits(&run(&["stats", GOLDEN, "--policy", POLICY, "--json"]), 0);
    let json: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!(json["trail"]["verdict"], "agree");
    assert!(json["stats"]["subsidy"]["levels"][0]["granted_fen"].is_i64());
    assert!(json["stats"]["sites"][0]["utilisation_bp"].is_i64());
    let nowhere = Path::new(GOLDEN).join("nowhere");
    let nowhere = nowhere.to_string_lossy();
    exits(&run(&["stats", &nowhere, "--policy", POLICY]), 2);
}
