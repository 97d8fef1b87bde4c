//! `cross` of two cities: honest ones agree; each way to bill one thing in both is found, by its own code, and exits 1.
#![expect(
    clippy::disallowed_methods,
    reason = "the command is tested on real files"
)]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use serde_json::Value;
use verifier::id::OrderId;
use verifier::time::Timestamp;

use crate::scenarios::exchange::{document, time};
use crate::town::{Disk, HOUR, START, Town, Use, quan_verify};

const CITIES: [&str; 2] = ["city-a.example/quan", "city-b.example/quan"];

/// A city that shares so many cards of the one site that both cities know, of which it says so many stand there.
fn city(number: usize, (stand, shared): (u32, u32)) -> (Town, OrderId) {
    let mut town = Town::named(CITIES[number], 1 + number as u64);
    town.stall("a provider of both", ("310000", stand, shared), time(START));
    let order = town.order("a buyer", "a provider of both");
    (town, order)
}

/// Two cities with half of the site each.
fn cities() -> [(Town, OrderId); 2] {
    [city(0, (8, 4)), city(1, (8, 4))]
}

fn start() -> Timestamp {
    time(START)
}

/// Crosses the two: the exit status, and the codes that were found with what each is about and where.
fn crossed(cities: &[(Town, OrderId); 2]) -> (i32, Vec<(String, Value)>) {
    let disks = cities.each_ref().map(|(town, _)| Disk::of(town));
    let (exit, page) = cross(&disks, &["--json"]);
    let printed: Value = serde_json::from_str(&page)
        .map_err(|_| page.clone())
        .unwrap();
    for verdict in printed["trails"].as_array().unwrap() {
        assert_eq!(verdict["verdict"], "agree", "{page}");
    }
    assert_eq!(printed["cross"]["common_sites"], 1);
    let found = printed["cross"]["findings"].as_array().unwrap().iter();
    let found = found.map(|one| (one["code"].as_str().unwrap().to_owned(), one.clone()));
    let (exit, found) = (exit, found.collect());
    // For people it says the same.
    let (again, page) = cross(&disks, &[]);
    let first = if exit == 0 {
        "agree: 2 trails, 1 sites in common, 0 findings"
    } else {
        "differ: 2 trails"
    };
    assert!(page.starts_with(first), "{page}");
    assert_eq!(again, exit, "{page}");
    (exit, found)
}

fn cross(disks: &[Disk; 2], more: &[&str]) -> (i32, String) {
    let paths = disks.each_ref().map(|disk| (disk.trail(), disk.policy()));
    let mut words: Vec<&OsStr> = vec!["cross".as_ref()];
    for (trail, policy) in &paths {
        words.extend([trail.as_os_str(), "--policy".as_ref(), policy.as_os_str()]);
    }
    words.extend(more.iter().map(OsStr::new));
    quan_verify(&words)
}

fn codes(found: &[(String, Value)]) -> Vec<&str> {
    found.iter().map(|(code, _)| code.as_str()).collect()
}

/// Something happens in both cities.
fn both(
    cities: &mut [(Town, OrderId); 2],
    mut what: impl FnMut(&mut Town, OrderId) -> u64,
) -> [u64; 2] {
    cities.each_mut().map(|(town, order)| what(town, *order))
}

/// Where a finding stands: entry by city.
fn places(found: &Value) -> Vec<(String, u64)> {
    let places = found["places"].as_array().unwrap().iter();
    let place = |at: &Value| {
        (
            at["trail"].as_str().unwrap().to_owned(),
            at["entry"].as_u64().unwrap(),
        )
    };
    let mut places: Vec<_> = places.map(place).collect();
    places.sort();
    places
}

fn in_both(entries: [u64; 2]) -> Vec<(String, u64)> {
    CITIES.into_iter().map(str::to_owned).zip(entries).collect()
}

#[test]
fn two_cities_that_share_a_site_honestly_agree() {
    let mut cities = cities();
    // All cards of both, hour by hour by the clock, each with runs of its own.
    both(&mut cities, |town, order| {
        for hour in 0..5 {
            town.meter(order, Use::of(start().after(hour * HOUR), HOUR, 4));
        }
        town.document(order, "invoice", &format!("the invoice of {order}"))
    });
    assert_eq!(crossed(&cities), (0, Vec::new()));
}

#[test]
fn one_site_with_another_number_of_cards_in_each_city_is_found() {
    let cities = [city(0, (8, 4)), city(1, (9, 4))];
    let (exit, found) = crossed(&cities);
    assert_eq!((exit, codes(&found)), (1, vec!["cross.hardware"]));
    let places = found[0].1["places"].as_array().unwrap().iter();
    let said: Vec<_> = places
        .map(|at| at["subject"].as_str().unwrap().split_once(' ').unwrap().1)
        .collect();
    assert_eq!(said, ["states 8 cards", "states 9 cards"]);
}

#[test]
fn one_card_shared_twice_is_found_and_none_is_not() {
    let (exit, found) = crossed(&[city(0, (8, 4)), city(1, (8, 5))]);
    assert_eq!((exit, codes(&found)), (1, vec!["cross.share"]));
    let span = &found[0].1["spans"][0];
    assert_eq!(
        (span["sum"].as_i64(), span["limit"].as_i64()),
        (Some(9), Some(8))
    );
    assert_eq!(crossed(&[city(0, (9, 4)), city(1, (9, 5))]).0, 0);
}

#[test]
fn an_hour_billed_beyond_the_hardware_is_found_in_the_hour() {
    let mut cities = [city(0, (8, 8)), city(1, (8, 8))];
    let mut cards = [8, 1].into_iter();
    both(&mut cities, |town, order| {
        let used = Use::of(start().after(2 * HOUR), HOUR, cards.next().unwrap());
        town.meter(order, used).seq
    });
    let (exit, found) = crossed(&cities);
    assert_eq!(
        (exit, codes(&found)),
        (1, vec!["cross.share", "cross.billed", "cross.overlap"])
    );
    let billed = &found[1].1;
    assert_eq!(billed["count"], 1);
    assert_eq!(
        billed["spans"][0]["from"],
        start().after(2 * HOUR).to_string()
    );
    assert_eq!(billed["spans"][0]["sum"], 9 * HOUR);
    assert_eq!(billed["spans"][0]["limit"], 8 * HOUR);
}

#[test]
fn one_run_in_two_cities_is_found_whatever_else_differs() {
    let mut cities = cities();
    let mut hours = [1, 20].into_iter();
    let entries = both(&mut cities, |town, order| {
        let mut used = Use::of(start().after(hours.next().unwrap() * HOUR), HOUR, 2);
        used.run = Some("slurm:east1/4711@1767574800".to_owned());
        town.meter(order, used).seq
    });
    let (exit, found) = crossed(&cities);
    assert_eq!((exit, codes(&found)), (1, vec!["cross.run"]));
    assert_eq!(places(&found[0].1), in_both(entries));
}

#[test]
fn a_period_that_no_clock_gives_told_in_both_is_found() {
    for (shift, finds) in [(0, true), (1, false)] {
        let mut cities = cities();
        let mut from = [61, 61 + shift].into_iter();
        let entries = both(&mut cities, |town, order| {
            let used = Use::of(start().after(from.next().unwrap()), 1_234, 2);
            town.meter(order, used).seq
        });
        let (exit, found) = crossed(&cities);
        if finds {
            assert_eq!((exit, codes(&found)), (1, vec!["cross.overlap"]));
            assert_eq!(places(&found[0].1), in_both(entries));
        } else {
            assert_eq!((exit, codes(&found)), (0, vec![]));
        }
    }
}

#[test]
fn the_same_devices_at_one_time_are_found_and_one_after_the_other_not() {
    // The second use begins in the last second of the first, or when it is over.
    for (begins, finds) in [(HOUR - 1, true), (HOUR, false)] {
        let mut cities = cities();
        let mut from = [0, begins].into_iter();
        let entries = both(&mut cities, |town, order| {
            let mut used = Use::of(start().after(from.next().unwrap()), HOUR, 2);
            used.devices = Some(document("two devices by their numbers"));
            town.meter(order, used).seq
        });
        let (exit, found) = crossed(&cities);
        if finds {
            assert_eq!((exit, codes(&found)), (1, vec!["cross.overlap"]));
            assert_eq!(places(&found[0].1), in_both(entries));
        } else {
            assert_eq!((exit, codes(&found)), (0, vec![]));
        }
    }
}

#[test]
fn one_contract_or_invoice_in_two_cities_is_found() {
    for (kind, finds) in [
        ("contract", true),
        ("invoice", true),
        ("payment", true),
        ("other", false),
    ] {
        let mut cities = cities();
        let entries = both(&mut cities, |town, order| {
            town.document(order, kind, "one paper")
        });
        let (exit, found) = crossed(&cities);
        if finds {
            assert_eq!((exit, codes(&found)), (1, vec!["cross.document"]), "{kind}");
            assert_eq!(places(&found[0].1), in_both(entries));
        } else {
            assert_eq!((exit, codes(&found)), (0, vec![]), "{kind}");
        }
    }
}

#[test]
fn what_cannot_be_read_exits_2_and_a_trail_that_differs_exits_1_and_is_named_first() {
    let cities = cities();
    let disks = cities.each_ref().map(|(town, _)| Disk::of(town));
    assert_eq!(cross(&disks, &[]).0, 0);
    fs::write(disks[1].file("stray"), "x").unwrap();
    let (exit, page) = cross(&disks, &[]);
    assert_eq!(exit, 1, "{page}");
    assert!(page.starts_with("differ: city-b.example/quan"), "{page}");
    fs::remove_file(disks[1].file("stray")).unwrap();
    fs::remove_file(disks[0].policy()).unwrap();
    assert_eq!(cross(&disks, &[]).0, 2);
    let nowhere = Path::new("no such folder").as_os_str();
    let (trail, policy) = (disks[1].trail(), disks[1].policy());
    let words = [
        "cross".as_ref(),
        nowhere,
        trail.as_os_str(),
        "--policy".as_ref(),
        policy.as_os_str(),
    ];
    let (exit, page) = quan_verify(&words);
    assert_eq!(exit, 2, "{page}");
    // One log twice is a mistake of whoever asks.
    let words = [
        "cross".as_ref(),
        trail.as_os_str(),
        trail.as_os_str(),
        "--policy".as_ref(),
        policy.as_os_str(),
    ];
    assert_eq!(quan_verify(&words).0, 2);
}
