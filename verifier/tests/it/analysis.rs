//! What trails say taken together: sums that must agree with the book, and the commands that print them.

use std::path::Path;
use std::process::{Command, Output};

use verifier::analysis::Study;
use verifier::analysis::cross::cross;
use verifier::analysis::signals::signals;
use verifier::analysis::stats::{Part, stats};
use verifier::book::Book;
use verifier::book::command::{self, Command::AcceptReceipt, Command::OpenExchange};
use verifier::book::decide::{Env, Request, decide};
use verifier::book::entry::RULES;
use verifier::book::found::Found;
use verifier::id::{ActorId, PartyId, Salt};
use verifier::signature::Signer;
use verifier::time::{Timestamp, UtcOffset};

#[path = "../../benches/support/market.rs"]
mod market;

use crate::{golden, story};
use market::{Exchange, Market, Who};

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

/// Every cut of the subsidy sums to what the book has granted and clawed back; returns these.
#[track_caller]
pub(crate) fn cuts_agree(study: &Study) -> (i64, i64) {
    let (mut granted, mut clawed) = (0, 0);
    for id in study.book().orders.keys() {
        for claim in &study.book().money.order(*id).unwrap().claims {
            granted += claim.sums.sum(|fund| fund.granted).unwrap().get();
            clawed += claim.sums.sum(|fund| fund.clawed).unwrap().get();
        }
    }
    let subsidy = stats(study).subsidy;
    for cut in [
        &subsidy.schemes,
        &subsidy.programmes,
        &subsidy.size_classes,
        &subsidy.levels,
        &subsidy.words,
    ] {
        assert_eq!(sum(cut), (granted, clawed), "{cut:?}");
    }
    (granted, clawed)
}

#[test]
fn every_cut_of_the_subsidy_sums_to_what_the_book_has_granted() {
    let (granted, clawed) = cuts_agree(&study());
    assert!(granted > 0);
    assert!(clawed > 0);
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

/// A market of the benches on a book in memory: one provider, one buyer, its own seeds for every exchange's salts.
struct Hall {
    origin: &'static str,
    salt: u8,
    book: Book,
    entries: Vec<Vec<u8>>,
    who: Vec<(Who, PartyId, ActorId)>,
    now: Timestamp,
}

impl Hall {
    /// An exchange with two orders, each with receipts over the 30 hours before `end`.
    fn metered(origin: &'static str, salt: u8, end: &str) -> Self {
        Self::of(origin, salt, (2, 30), end)
    }

    /// An exchange with so many orders and receipts each, one an hour, the last before `end`.
    fn of(origin: &'static str, salt: u8, (orders, receipts): (usize, usize), end: &str) -> Self {
        let now = Timestamp::parse("2026-11-23T08:00:00Z").unwrap();
        let mut hall = Self {
            origin,
            salt,
            book: Book::new(),
            entries: Vec::new(),
            who: Vec::new(),
            now,
        };
        let drawn = Salt::new([salt; 16]);
        let exchange = (PartyId::draw(&drawn, 0, 0), ActorId::draw(&drawn, 0, 0));
        hall.hire(Who::Exchange, exchange.0, exchange.1);
        let x = Signer::from_seed(&[2; 32]).public().x();
        let open = command::OpenExchange {
            origin: origin.into(),
            log_vkey: story::log_key().to_string(),
            delivery_key: x.clone(),
            reply_key: x,
            utc_offset_min: UtcOffset::CHINA,
        };
        hall.ask(Who::Exchange, OpenExchange(open));
        let mut market = Market::open(&mut hall, orders, receipts, Timestamp::parse(end).unwrap());
        for jws in market.receipts(orders * receipts) {
            let jws = jws.parse().unwrap();
            hall.ask(Who::Provider, AcceptReceipt(command::AcceptReceipt { jws }));
        }
        hall
    }

    fn study(&self) -> Study {
        let mut study = Study::new();
        self.entries.iter().for_each(|entry| study.take(entry));
        assert_eq!(study.stopped(), None);
        study
    }
}

impl Exchange for Hall {
    fn origin(&self) -> &str {
        self.origin
    }

    fn hire(&mut self, who: Who, party: PartyId, actor: ActorId) {
        self.who.push((who, party, actor));
    }

    fn ask(&mut self, who: Who, command: command::Command) -> Found {
        let (_, by, actor) = *self.who.iter().find(|(of, ..)| *of == who).unwrap();
        let mut salt = [self.salt; 16];
        salt[..8].copy_from_slice(&self.book.size.to_be_bytes());
        let salt = if self.book.size == 0 {
            [self.salt; 16]
        } else {
            salt
        };
        let env = Env {
            at: self.now,
            salt: Salt::new(salt),
            rules: RULES,
        };
        let request = Request {
            by,
            actor,
            cmd: None,
            req: None,
            command,
        };
        let entry = decide(&self.book, &request, &env).unwrap();
        self.book.apply(&entry).unwrap();
        self.entries.push(entry.to_bytes().unwrap());
        entry.found
    }
}

const NOW: &str = "2026-11-23T08:00:00Z";

#[test]
fn one_site_given_and_billed_in_two_cities_is_found_by_every_rule() {
    let (one, other) = (
        Hall::metered("city-a.example/quan", 1, NOW).study(),
        Hall::metered("city-b.example/quan", 9, NOW).study(),
    );
    let crossing = cross(&[&one, &other]);
    assert_eq!(crossing.common_sites, 1);
    let codes: Vec<_> = crossing.findings.iter().map(|all| all.code).collect();
    assert_eq!(codes[..3], ["cross.share", "cross.billed", "cross.overlap"]);
    // Each of the 60 receipts names its own run, and each run stands in both trails.
    let runs = crossing
        .findings
        .iter()
        .filter(|all| all.code == "cross.run");
    let runs: Vec<_> = runs.collect();
    assert_eq!(runs.len(), 60);
    assert_eq!(codes.len(), 63);
    assert!(runs.iter().all(|run| run.places.len() == 2));
    let billed = &crossing.findings[1];
    assert_eq!(billed.count, 30);
    assert_eq!(
        (billed.spans[0].sum, billed.spans[0].limit),
        (4 * 3600, 2 * 3600)
    );
    let share = &crossing.findings[0];
    assert_eq!((share.spans[0].sum, share.spans[0].limit), (4, 2));
}

#[test]
fn honest_exchanges_have_nothing_to_explain() {
    let hall = Hall::metered("city-a.example/quan", 1, NOW).study();
    let crossing = cross(&[&study(), &hall]);
    assert_eq!(crossing.findings, []);
    assert_eq!(crossing.common_sites, 0);
}

#[test]
fn the_same_contract_in_two_trails_is_found() {
    let mut other = Study::new();
    for mut entry in golden::entries() {
        if let command::Command::OpenExchange(open) = &mut entry.asked {
            open.origin = "city-b.example/quan".into();
        }
        other.take(&entry.to_bytes().unwrap());
    }
    let crossing = cross(&[&study(), &other]);
    let documents = crossing
        .findings
        .iter()
        .filter(|all| all.code == "cross.document");
    let about: Vec<_> = documents
        .map(|all| all.about.split(' ').next().unwrap())
        .collect();
    assert!(about.contains(&"contract"), "{about:?}");
    assert!(about.contains(&"invoice"), "{about:?}");
}

#[test]
fn work_that_keeps_to_the_clock_shows_and_an_honest_story_is_not_full_of_signals() {
    let hall = Hall::metered("city-a.example/quan", 1, NOW).study();
    let found = signals(&hall);
    assert_eq!(found.kinds.len(), 9);
    // Thirty hours in a row are one spell, not thirty; and one buyer with one seller is a pair only from some money on.
    let names: Vec<_> = found.seen.iter().map(|one| one.signal).collect();
    assert!(!names.contains(&"hour-wall"), "{names:?}");
    let golden = signals(&study());
    assert!(golden.seen.len() < 20, "{:?}", golden.seen);
}

#[test]
fn signals_and_cross_are_printed_and_a_finding_exits_1() {
    let page = exits(&run(&["signals", GOLDEN, "--policy", POLICY]), 0);
    for kind in [
        "pair-share",
        "cycles",
        "cap-hugging",
        "splitting",
        "hour-wall",
    ] {
        assert!(page.contains(kind), "{kind}\n{page}");
    }
    let page = exits(&run(&["signals", GOLDEN, "--policy", POLICY, "--json"]), 0);
    let json: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!(json["signals"]["kinds"].as_array().unwrap().len(), 9);
    // One log twice is a mistake of whoever asks.
    exits(&run(&["cross", GOLDEN, GOLDEN, "--policy", POLICY]), 2);
    exits(&run(&["cross", GOLDEN, "--policy", POLICY]), 2);
}

#[test]
fn one_purchase_cut_in_three_and_a_load_without_nights_show() {
    let hall = Hall::of("city-a.example/quan", 1, (3, 380), NOW).study();
    let seen = signals(&hall).seen;
    let names: Vec<_> = seen.iter().map(|one| one.signal).collect();
    assert_eq!(names, ["splitting", "flat-load", "flat-load", "flat-load"]);
    assert_eq!(seen[0].numbers["orders"], 3);
    assert_eq!((seen[0].parties.len(), seen[0].entries.len()), (2, 3));
    assert!(seen[1].numbers["days"] >= 14, "{:?}", seen[1]);
}
