//! Every kind of signal: a story that shows it at its threshold, and the same story one step short of it, which does not.

use serde_json::json;
use verifier::analysis::signals::{Signal, signals};
use verifier::id::OrderId;
use verifier::time::Timestamp;

use crate::scenarios::exchange::time;
use crate::town::{DAY, HOUR, PRICE, START, Town, Use};

/// 10,000 CNY.
const MUCH: i64 = 1_000_000;
/// Longer than a split purchase takes.
const MONTH: i64 = 30 * DAY;

/// What one kind saw.
fn seen(town: &Town, kind: &str) -> Vec<Signal> {
    let mut seen = signals(&town.study()).seen;
    seen.retain(|one| one.signal == kind);
    seen
}

fn placed(town: &Town, orders: &[OrderId]) -> Vec<u64> {
    let study = town.study();
    let mut entries: Vec<u64> = orders.iter().map(|id| study.seen().placed[id]).collect();
    entries.sort_unstable();
    entries
}

/// A seller's trade with one buyer and with another, order by order.
fn pair(one: &[i64], other: i64) -> (Town, Vec<OrderId>) {
    let mut town = Town::open();
    let trade = |fen: &i64| town.trade("one", "seller", *fen);
    let orders = one.iter().map(trade).collect();
    if other > 0 {
        town.trade("other", "seller", other);
    }
    (town, orders)
}

#[test]
fn a_seller_with_one_buyer_shows_from_three_orders_ten_thousand_cny_and_four_fifths_on() {
    for (one, other, share) in [
        (&[400_000, 300_000, 300_000][..], 0, 10_000),
        (&[300_000, 300_000, 200_000], 200_000, 8_000),
    ] {
        let (mut town, orders) = pair(one, other);
        let found = seen(&town, "pair-share");
        let [signal] = found.as_slice() else {
            panic!("{one:?} {other}: {found:?}");
        };
        let (buyer, seller) = (town.id("one"), town.id("seller"));
        assert_eq!(signal.parties, [buyer, seller]);
        assert_eq!(signal.numbers["share_bp"], share);
        assert_eq!(signal.numbers["seller_granted_fen"], MUCH);
        assert_eq!(signal.numbers["orders"], 3);
        let mut entries = signal.entries.clone();
        entries.sort_unstable();
        assert_eq!(entries, placed(&town, &orders));
    }
    for (one, other) in [
        // Too little, too few orders, too small a part.
        (&[400_000, 300_000, 299_900][..], 0),
        (&[500_000, 500_000], 0),
        (&[300_000, 300_000, 199_900], 200_100),
    ] {
        let (town, _) = pair(one, other);
        assert_eq!(seen(&town, "pair-share"), [], "{one:?} {other}");
    }
}

/// Orders by the names of buyer and seller.
fn orders(pairs: &[(&str, &str)]) -> (Town, Vec<OrderId>) {
    let mut town = Town::open();
    let orders = pairs
        .iter()
        .map(|(buyer, seller)| town.trade(buyer, seller, 100));
    let orders = orders.collect();
    (town, orders)
}

#[test]
fn orders_in_a_circle_show_and_those_that_lead_away_do_not() {
    let (town, all) = orders(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")]);
    let found = seen(&town, "cycles");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].numbers["orders"], found[0].numbers["granted_fen"]),
        (3, 300)
    );
    assert_eq!(found[0].parties.len(), 3);
    let mut entries = found[0].entries.clone();
    entries.sort_unstable();
    assert_eq!(entries, placed(&town, &all[..3]));
    let (town, _) = orders(&[("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")]);
    assert_eq!(seen(&town, "cycles"), []);
}

#[test]
fn an_order_within_one_group_is_a_circle_of_its_own() {
    for (of_a, of_b, count) in [("g-1", "g-1", 1), ("g-1", "g-2", 0)] {
        let mut town = Town::open();
        town.fact("a", "group", &json!(of_a));
        town.fact("b", "group", &json!(of_b));
        town.trade("a", "b", 100);
        assert_eq!(seen(&town, "cycles").len(), count, "{of_a} {of_b}");
    }
    // By a common controller through a third party: a's is b's, b's representative is c's.
    let mut town = Town::open();
    town.fact("a", "controller", &json!(["x"]));
    town.fact("b", "controller", &json!(["x", "y"]));
    town.fact("b", "legal_representative", &json!("z"));
    town.fact("c", "legal_representative", &json!("z"));
    town.trade("a", "c", 100);
    assert_eq!(seen(&town, "cycles").len(), 1);
}

/// A programme whose holders draw at most so much.
fn capped(cap: &str, face: i64) -> Town {
    let mut town = Town::open();
    let rest = format!(
        "scheme = \"compute\"\nbase = {{ of = [\"metered\"] }}\ncap = [{{ id = \"year\", {cap} }}]"
    );
    town.enact("town-capped", &rest);
    town.voucher("a", "town-capped", face);
    town.voucher("b", "town-capped", 100);
    town
}

#[test]
fn a_holder_at_the_brim_of_a_cap_shows_and_one_a_little_below_does_not() {
    let year =
        "key = \"holder\", per = \"calendar_year\", year_of = \"issue\", limit_fen = 1000000";
    for (face, share) in [(980_000, 9_800), (1_000_000, 10_000)] {
        let mut town = capped(year, face);
        let found = seen(&town, "cap-hugging");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].parties, [town.id("a")]);
        assert_eq!(found[0].numbers["cap_fen"], MUCH);
        assert_eq!(found[0].numbers["used_fen"], face);
        assert_eq!(found[0].numbers["share_bp"], share);
        let issued = town
            .study()
            .seen()
            .issued
            .values()
            .map(|(entry, _)| *entry)
            .min();
        assert_eq!(found[0].entries, [issued.unwrap()]);
    }
    assert_eq!(seen(&capped(year, 979_999), "cap-hugging"), []);
}

#[test]
fn a_cap_that_counts_in_two_ways_shows_once_and_the_programmes_own_is_nobodys() {
    let twice = "key = \"holder\", per = \"calendar_year\", year_of = \"issue\", count = [\"issued\", \"redeemed\"], over = \"defer\", limit_fen = 1000000";
    assert_eq!(seen(&capped(twice, 990_000), "cap-hugging").len(), 1);
    let life = "key = \"holder\", per = \"life\", limit_fen = 1000000";
    assert_eq!(seen(&capped(life, 990_000), "cap-hugging").len(), 1);
    let whole =
        "key = \"programme\", per = \"calendar_year\", year_of = \"issue\", limit_fen = 1000000";
    assert_eq!(seen(&capped(whole, 990_000), "cap-hugging"), []);
}

/// Orders of one buyer with one seller, so many seconds after the first.
fn purchases(after: &[i64]) -> Town {
    let mut town = Town::open();
    let mut now = 0;
    for at in after {
        town.pass(at - now);
        now = *at;
        town.order("a", "seller");
    }
    town
}

#[test]
fn three_orders_within_a_week_show_and_a_second_later_they_do_not() {
    let week = 7 * DAY;
    let found = seen(&purchases(&[0, DAY, week]), "splitting");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].numbers["orders"], found[0].numbers["buyers"]),
        (3, 1)
    );
    assert_eq!(seen(&purchases(&[0, DAY, week + 1]), "splitting"), []);
    assert_eq!(seen(&purchases(&[0, DAY]), "splitting"), []);
    // A fourth that is near the last three, not the first.
    let found = seen(&purchases(&[0, DAY, week, week + DAY]), "splitting");
    assert_eq!(found[0].numbers["orders"], 4);
}

#[test]
fn a_purchase_cut_among_the_members_of_a_group_shows() {
    for (group, count) in [("g-1", 1), ("g-2", 0)] {
        let mut town = Town::open();
        town.fact("a", "group", &json!("g-1"));
        town.fact("b", "group", &json!(group));
        for buyer in ["a", "b", "a"] {
            town.order(buyer, "seller");
        }
        let found = seen(&town, "splitting");
        assert_eq!(found.len(), count, "{found:?}");
        assert!(
            found
                .iter()
                .all(|one| one.numbers["buyers"] == 2 && one.parties.len() == 3)
        );
    }
}

/// Orders for the same card at these prices, by two sellers in turn.
fn prices(prices: &[i64], sellers: [&str; 2]) -> Town {
    let mut town = Town::open();
    for (price, seller) in prices.iter().zip(sellers.into_iter().cycle()) {
        town.order_at(*price, "a", seller);
    }
    town
}

#[test]
fn a_price_at_twice_or_a_quarter_of_the_median_shows() {
    let two = ["one", "other"];
    let usual = [1_000; 4];
    for (price, share) in [
        (2_000, Some(20_000)),
        (1_999, None),
        (250, Some(2_500)),
        (251, None),
    ] {
        let town = prices(&[&usual[..], &[price]].concat(), two);
        let found = seen(&town, "price-outliers");
        let shares: Vec<i64> = found
            .iter()
            .map(|one| one.numbers["of_median_bp"])
            .collect();
        assert_eq!(shares, share.into_iter().collect::<Vec<_>>(), "{price}");
        for one in found {
            assert_eq!(
                (one.numbers["price_fen"], one.numbers["median_fen"]),
                (price, 1_000)
            );
            assert_eq!((one.subjects.len(), one.entries.len()), (2, 1));
        }
    }
    // Four prices are no market, nor is one seller.
    assert_eq!(
        seen(
            &prices(&[1_000, 1_000, 1_000, 9_000], two),
            "price-outliers"
        ),
        []
    );
    let alone = prices(&[1_000, 1_000, 1_000, 1_000, 9_000], ["one"; 2]);
    assert_eq!(seen(&alone, "price-outliers"), []);
}

#[test]
fn a_voucher_shows_when_it_lies_unspent_for_ninety_days() {
    for (seconds, count) in [(90 * DAY, 1), (90 * DAY - 1, 0)] {
        let mut town = Town::open();
        let voucher = town.voucher("a", "town-compute", 5_000);
        town.trade("b", "seller", 100);
        town.pass(seconds);
        town.tick();
        let found = seen(&town, "never-used");
        // The voucher of b's order is spent.
        assert_eq!(found.len(), count, "{found:?}");
        for one in found {
            assert_eq!(one.parties, [town.id("a")]);
            assert_eq!(one.subjects, [voucher.as_str().unwrap()]);
            assert_eq!(
                (one.numbers["face_fen"], one.numbers["unused_seconds"]),
                (5_000, seconds)
            );
        }
    }
}

#[test]
fn a_dataset_shows_when_no_receipt_names_it_for_half_a_year() {
    for (seconds, proven, count) in [
        (180 * DAY, false, 1),
        (180 * DAY - 1, false, 0),
        (180 * DAY, true, 0),
    ] {
        let mut town = Town::open();
        let (order, manifest) = town.accepted("a", "vendor", 1_000);
        if proven {
            let work = town.order("a", "seller");
            let mut used = Use::of(town.now().after(-1), 1, 1);
            used.inputs = Some(vec![manifest]);
            town.meter(work, used);
        }
        town.pass(seconds);
        town.tick();
        let found = seen(&town, "never-used");
        assert_eq!(found.len(), count, "{seconds} {proven}: {found:?}");
        for one in found {
            assert_eq!(one.subjects, [order.to_string()]);
            // A fifth is held back until a receipt names it.
            assert_eq!(one.numbers["granted_fen"], 800);
            assert_eq!(one.parties, [town.id("a"), town.id("vendor")]);
        }
    }
}

/// A buyer that comes so many seconds after the exchange was opened, and buys so many seconds after that.
fn newcomer(comes: i64, buys: i64, fen: i64) -> Town {
    let mut town = Town::open();
    town.offer_of("seller");
    town.pass(comes);
    town.party("new");
    town.pass(buys);
    town.trade("new", "seller", fen);
    town
}

#[test]
fn much_subsidy_in_a_partys_first_month_shows() {
    for (comes, buys, fen) in [
        (MONTH, 0, MUCH),
        (MONTH, MONTH - 1, MUCH),
        (5 * MONTH, 0, 3 * MUCH),
    ] {
        let mut town = newcomer(comes, buys, fen);
        let found = seen(&town, "fresh-parties");
        assert_eq!(found.len(), 1, "{found:?}");
        let new = town.id("new");
        assert_eq!(found[0].parties, [new]);
        assert_eq!(found[0].numbers["granted_fen"], fen);
        let study = town.study();
        let order = *study.book().orders.keys().next().unwrap();
        let entries = [study.seen().placed[&order], study.seen().admitted[&new].0];
        assert_eq!(found[0].entries, entries);
    }
    for (comes, buys, fen) in [
        // It came when everybody did, it is not new any more, it is not much.
        (MONTH - 1, 0, MUCH),
        (MONTH, MONTH, MUCH),
        (MONTH, 0, MUCH - 100),
    ] {
        let town = newcomer(comes, buys, fen);
        assert_eq!(seen(&town, "fresh-parties"), [], "{comes} {buys} {fen}");
    }
}

/// Midnight in China, some days after the start.
fn midnight(day: i64) -> Timestamp {
    time(START).after(15 * HOUR + day * DAY)
}

/// An order with a receipt of these seconds on each day.
fn daily(seconds: impl IntoIterator<Item = i64>) -> Town {
    let mut town = Town::open();
    let order = town.order("a", "seller");
    for (day, seconds) in (0..).zip(seconds) {
        // Not at the same hour each day: the sum is what counts.
        let from = midnight(day).after(day * 1_000);
        town.meter(order, Use::of(from, seconds, 2));
    }
    town
}

#[test]
fn the_same_use_day_after_day_shows_from_a_fortnight_on() {
    let found = seen(&daily([HOUR; 14]), "flat-load");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].numbers["days"], found[0].numbers["receipts"]),
        (14, 14)
    );
    assert!(!found[0].numbers.contains_key("utilisation_bp"));
    assert_eq!(seen(&daily([HOUR; 13]), "flat-load"), []);
    let uneven = (0..20).map(|day| if day == 10 { HOUR - 1 } else { HOUR });
    assert_eq!(seen(&daily(uneven), "flat-load"), []);
}

/// Receipts that state these utilisations, of uneven use.
fn stated(utilisation: impl IntoIterator<Item = u16>) -> Town {
    let mut town = Town::open();
    let order = town.order("a", "seller");
    for (day, bp) in (0..).zip(utilisation) {
        let mut used = Use::of(midnight(day), 100 + day, 1);
        used.util_bp = Some(bp);
        town.meter(order, used);
    }
    town
}

#[test]
fn the_same_stated_utilisation_shows_from_two_dozen_receipts_on() {
    let within = |spread: u16| (0..24).map(move |n| if n == 7 { 9_000 + spread } else { 9_000 });
    let found = seen(&stated(within(50)), "flat-load");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (
            found[0].numbers["utilisation_bp"],
            found[0].numbers["receipts"]
        ),
        (9_000, 24)
    );
    assert_eq!(seen(&stated(within(51)), "flat-load"), []);
    assert_eq!(seen(&stated([9_000; 23]), "flat-load"), []);
}

/// Spells of use, of which so many begin and end on the hour.
fn spells(walled: i64, others: i64) -> Town {
    let mut town = Town::open();
    let order = town.order("a", "seller");
    for spell in 0..walled + others {
        let from = midnight(spell).after(if spell < walled { 0 } else { 61 });
        // In two receipts, cut within the spell: it is one all the same.
        town.meter(order, Use::of(from, 1_000 + spell, 1));
        town.meter(
            order,
            Use::of(from.after(1_000 + spell), HOUR - 1_000 - spell, 1),
        );
    }
    town
}

#[test]
fn use_that_keeps_to_the_full_hour_shows_from_ten_spells_and_nine_tenths_on() {
    for (walled, others, share) in [(10, 0, 10_000), (9, 1, 9_000), (19, 2, 9_047)] {
        let found = seen(&spells(walled, others), "hour-wall");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].numbers["spells"], walled + others);
        assert_eq!(found[0].numbers["share_bp"], share);
        assert_eq!(found[0].numbers["receipts"], 2 * (walled + others));
    }
    for (walled, others) in [(9, 0), (8, 2), (17, 2)] {
        assert_eq!(
            seen(&spells(walled, others), "hour-wall"),
            [],
            "{walled} {others}"
        );
    }
}

#[test]
fn an_honest_month_shows_nothing_of_any_kind() {
    let mut town = Town::open();
    for (week, buyer) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let week = i64::try_from(week).unwrap();
        let seller = if week % 2 == 0 { "one" } else { "other" };
        let order = town.order_at(PRICE + week * 1_000, buyer, seller);
        for day in 0..5 {
            let from = town.now().after(60 * day + 77 * week);
            town.meter(order, Use::of(from, 5_000 + 333 * day * week, 2));
            town.pass(DAY);
        }
    }
    assert_eq!(signals(&town.study()).seen, []);
}
