//! `stats` of a story whose every number was worked out by hand, and what is said first of a trail that differs.
#![expect(
    clippy::disallowed_methods,
    reason = "the command is tested on real files"
)]

use std::ffi::OsStr;
use std::fs;

use serde_json::{Value, json};
use verifier::analysis::stats::{Part, stats};

use crate::scenarios::exchange::{document, time};
use crate::town::{DAY, Disk, HOUR, START, Town, Use, quan_verify};

/// Two sites, three buyers of GPU time and two of data, from Monday 5 to Thursday 22 January 2026.
fn story() -> Town {
    let mut town = Town::open();
    for (name, class) in [
        ("a", json!("micro")),
        ("b", json!("small")),
        ("d", Value::Null),
        ("e", json!("medium")),
    ] {
        town.fact(name, "sme_class", &class);
    }
    // Monday, 09:00 in China.
    let monday = time(START);
    town.stall("north", ("110000", 10, 4), monday);
    let of_a = town.order("a", "north");
    town.meter(of_a, Use::of(monday.after(HOUR), 2 * HOUR, 2));
    // The next Monday, 00:00.
    let next = monday.after(7 * DAY - 9 * HOUR);
    town.exchange.until(next);
    town.stall("south", ("310115", 10, 2), next);
    let (of_b, of_c) = (town.order("b", "north"), town.order("c", "south"));
    // An hour in each week.
    town.meter(of_a, Use::of(next.after(-HOUR), 2 * HOUR, 1));
    let mut exported = Use::of(next, HOUR, 2);
    exported.export = Some(document("an export of the scheduler"));
    town.meter(of_b, exported);
    // 700 W and a tenth for 1,000 s are 213.9 Wh: one within, one a little above.
    for (hour, energy_wh) in [(2, 213), (3, 214)] {
        let mut measured = Use::of(next.after(hour * HOUR), 1_000, 1);
        measured.energy_wh = Some(energy_wh);
        town.meter(of_c, measured);
        // What comes later rests on the office's word too.
        town.document(of_c, "other", "a note of the office");
    }
    town.accepted("d", "vendor", 50_000);
    let of_e = town.data_order("e", "vendor", 30_000);
    town.deliver(of_e);
    town.pass(10 * DAY);
    town.deem(of_e.0);
    town
}

fn rows(parts: &[Part]) -> Vec<(&str, u64, i64)> {
    let row = |part: &'_ Part| {
        assert_eq!(
            (part.taken_back_fen, part.granted_fen),
            (0, part.earned_fen)
        );
        part.earned_fen
    };
    parts
        .iter()
        .map(|part| (part.name.as_str(), part.orders, row(part)))
        .collect()
}

#[test]
fn use_by_site_region_and_week_is_what_it_is_by_hand() {
    let stats = stats(&story().study());
    let weeks = |region: &str| -> Vec<(String, i64, i64, i64)> {
        let of = stats
            .sites
            .iter()
            .filter(|row| row.region.to_string() == region);
        of.map(|row| {
            let used = &row.used;
            (
                row.week.to_string(),
                used.billed_gpu_seconds,
                used.shared_gpu_seconds,
                used.utilisation_bp,
            )
        })
        .collect()
    };
    // 4 cards from Monday 09:00: 159 hours, 168 hours, and 76 to the end of the last entry's hour.
    let north = [
        ("2026-W02".to_owned(), 4 * HOUR + HOUR, 159 * 4 * HOUR, 78),
        ("2026-W03".to_owned(), HOUR + 2 * HOUR, 168 * 4 * HOUR, 44),
        ("2026-W04".to_owned(), 0, 76 * 4 * HOUR, 0),
    ];
    assert_eq!(weeks("110000"), north);
    let south = [
        ("2026-W03".to_owned(), 2_000, 168 * 2 * HOUR, 16),
        ("2026-W04".to_owned(), 0, 76 * 2 * HOUR, 0),
    ];
    assert_eq!(weeks("310115"), south);
    let regions = stats.regions.iter().map(|row| {
        (
            row.region.to_string(),
            row.week.to_string(),
            row.used.billed_gpu_seconds,
            row.used.shared_gpu_seconds,
        )
    });
    let sites = [("110000", &north[..]), ("310115", &south[..])];
    let expected = sites.iter().flat_map(|(region, weeks)| {
        let row = |(week, billed, shared, _): &(String, i64, i64, i64)| {
            ((*region).to_owned(), week.clone(), *billed, *shared)
        };
        weeks.iter().map(row).collect::<Vec<_>>()
    });
    assert_eq!(regions.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn the_subsidy_by_scheme_programme_class_level_and_word_is_what_it_is_by_hand() {
    let subsidy = stats(&story().study()).subsidy;
    // A card-second is 100 fen. Of a dataset's price a fifth is held back until its use is proven.
    let of_a = (4 * HOUR + 2 * HOUR) * 100;
    let of_b = 2 * HOUR * 100;
    let (bounded, unbounded) = (100_000, 100_000);
    let (signed, silent) = (40_000, 24_000);
    let compute = of_a + of_b + bounded + unbounded;
    assert_eq!(compute, 3_080_000);
    assert_eq!(
        rows(&subsidy.schemes),
        [("compute", 3, compute), ("data", 2, signed + silent)]
    );
    assert_eq!(
        rows(&subsidy.programmes),
        [
            ("town-compute", 3, compute),
            ("town-data", 2, signed + silent)
        ]
    );
    let classes = [
        ("medium", 1, silent),
        ("micro", 1, of_a),
        ("none", 1, signed),
        ("small", 1, of_b),
        ("unknown", 1, bounded + unbounded),
    ];
    assert_eq!(rows(&subsidy.size_classes), classes);
    let levels = [
        ("L0", 3, of_a + unbounded + silent),
        ("L1", 1, signed),
        ("L2", 1, of_b),
        ("L3", 1, bounded),
    ];
    assert_eq!(rows(&subsidy.levels), levels);
    let words = [
        ("both sides", 1, signed),
        ("seller and office", 1, unbounded),
        ("seller only", 4, of_a + of_b + bounded + silent),
    ];
    assert_eq!(rows(&subsidy.words), words);
}

#[test]
fn what_is_taken_back_is_shown_beside_what_was_earned_for_the_orders_own_class_and_level() {
    let mut town = Town::open();
    town.fact("a", "sme_class", &json!("micro"));
    let (of_a, _) = (
        town.trade("a", "seller", 100_000),
        town.trade("b", "seller", 7_000),
    );
    town.pass(50 * DAY);
    town.pay("seller", "2026-01");
    town.claw_back(of_a, 3_000);
    let subsidy = stats(&town.study()).subsidy;
    for (cut, name) in [
        (&subsidy.schemes, "compute"),
        (&subsidy.programmes, "town-compute"),
        (&subsidy.levels, "L0"),
        (&subsidy.words, "seller only"),
    ] {
        let [part] = cut.as_slice() else {
            panic!("{cut:?}");
        };
        let row = (
            part.name.as_str(),
            part.orders,
            part.earned_fen,
            part.taken_back_fen,
            part.granted_fen,
        );
        assert_eq!(row, (name, 2, 107_000, 30_000, 77_000));
    }
    let classes: Vec<_> = subsidy
        .size_classes
        .iter()
        .map(|part| (part.name.as_str(), part.taken_back_fen, part.granted_fen))
        .collect();
    assert_eq!(classes, [("micro", 30_000, 70_000), ("unknown", 0, 7_000)]);
}

#[test]
fn what_a_case_denies_is_gone_from_what_it_rested_on() {
    for restored in [true, false] {
        let mut town = Town::open();
        let (of_a, of_b) = (town.order("a", "seller"), town.order("b", "seller"));
        let mut exported = Use::of(town.now(), 1_000, 1);
        exported.export = Some(document("an export of the scheduler"));
        town.meter(of_a, exported);
        town.document(of_a, "other", "a note of the office");
        town.pass(DAY);
        let since = town.now();
        // Without an export, and after the office has spoken; b's order has nothing else.
        town.meter(of_a, Use::of(since, 500, 1));
        town.meter(of_b, Use::of(since.after(1_000), 30, 1));
        town.compromise("seller", since, restored);
        let subsidy = stats(&town.study()).subsidy;
        let levels = [("L0", 2, 53_000), ("L2", 1, 100_000)];
        let words = [
            ("seller and office", 1, 50_000),
            ("seller only", 2, 103_000),
        ];
        if restored {
            assert_eq!(rows(&subsidy.levels), levels);
            assert_eq!(rows(&subsidy.words), words);
        } else {
            assert_eq!(rows(&subsidy.levels), levels[1..]);
            assert_eq!(rows(&subsidy.words), [("seller only", 1, 100_000)]);
        }
    }
}

fn show(disk: &Disk, words: &[&str]) -> (i32, String) {
    let (trail, policy) = (disk.trail(), disk.policy());
    let mut all: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    all.extend([trail.as_os_str(), "--policy".as_ref(), policy.as_os_str()]);
    quan_verify(&all)
}

#[test]
fn the_command_prints_the_same_numbers() {
    let town = story();
    let disk = Disk::of(&town);
    let (exit, page) = show(&disk, &["stats", "--json"]);
    assert_eq!(exit, 0, "{page}");
    let printed: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(
        printed["stats"],
        serde_json::to_value(stats(&town.study())).unwrap()
    );
    assert_eq!(printed["trail"]["verdict"], "agree");
    let (exit, page) = show(&disk, &["stats"]);
    assert_eq!(exit, 0, "{page}");
    for shown in [
        "2026-W02",
        "5.0 GPU-h",
        "636.0 GPU-h",
        "0.78 %",
        "30800.00",
        "seller and office",
    ] {
        assert!(page.contains(shown), "{shown}\n{page}");
    }
}

#[test]
fn of_a_trail_that_differs_it_is_said_first_and_exits_1() {
    let mut town = story();
    for (study, kind) in [
        ("stats", "use of shared hardware"),
        ("signals", "pair-share"),
    ] {
        let disk = Disk::of(&town);
        fs::write(disk.file("tile/0/stray"), "x").unwrap();
        let (exit, page) = show(&disk, &[study]);
        assert_eq!(exit, 1, "{page}");
        assert!(page.starts_with("differ: localhost/quan"), "{page}");
        assert!(page.contains(kind), "{page}");
        let (exit, page) = show(&disk, &[study, "--json"]);
        assert_eq!(exit, 1, "{page}");
        let printed: Value = serde_json::from_str(&page).unwrap();
        assert_eq!(printed["trail"]["verdict"], "differ");
        assert!(
            !printed["trail"]["differences"]
                .as_array()
                .unwrap()
                .is_empty()
        );
        assert_eq!(printed["trail"]["stopped_at"], Value::Null);
    }
    // An entry that cannot be read ends the numbers, and where is said.
    let last = town.exchange.entries.len() - 3;
    town.exchange.entries[last] = b"{}".to_vec();
    let disk = Disk::of(&town);
    let (exit, page) = show(&disk, &["stats"]);
    assert_eq!(exit, 1, "{page}");
    let said = format!("the numbers below are over the entries before {last}");
    assert!(page.contains(&said), "{page}");
    // What cannot be read at all is not called checked.
    fs::remove_file(disk.policy()).unwrap();
    for study in ["stats", "signals"] {
        assert_eq!(show(&disk, &[study]).0, 2);
    }
}
