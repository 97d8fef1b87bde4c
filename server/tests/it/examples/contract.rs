//! Amounts of contracts, invoices and payments: tiers, years, the higher of, days, bands (W1, W2, W5, W6, W10).

use serde_json::json;
use std::collections::BTreeMap;
use verifier::id::DocumentDigest;

use super::stage::{Deal, Stage, contract, example};
use super::usage::Receipted;
use crate::support::{Database, Member};

on_both!(
    w1_a_tier_needs_its_fact_and_an_order_has_a_cap,
    w2_a_year_is_local_and_counts_issue_and_redemption_apart,
    w5_the_higher_amount_is_given_once_and_under_the_years_cap,
    w6_days_are_prorated_and_truncated_as_published,
    w6_another_reading_of_the_text_gives_another_amount,
    w10_bands_apply_to_their_part_or_to_the_whole,
);

fn w1_a_tier_needs_its_fact_and_an_order_has_a_cap(database: &Database) {
    let stage = Stage::open(database, "2026-01-05T00:00:00Z");
    stage.fund("w1-sz", "sz-finance");
    stage.enact("w1-training");
    let [startup, other, unknown] = [(); 3].map(|()| stage.exchange.member(&["buyer"]));
    stage.fact(&startup, "startup", &json!(true));
    stage.fact(&other, "startup", &json!(false));
    let face = |buyer: &Member, name| {
        let contract = contract(name, 1_800_000_000);
        stage.voucher(buyer, "w1-training", &contract).face
    };
    // 60 % would be 1,080,000,000.
    assert_eq!(face(&startup, "w1-startup"), 1_000_000_000);
    assert_eq!(face(&other, "w1-other"), 900_000_000);
    // Not 50 % by default: the case stays open until somebody knows.
    let contract = contract("w1-unknown", 1_800_000_000);
    let case = stage.apply(&unknown, "w1-training", &contract);
    let undecided = stage.approve(&case);
    assert_eq!(undecided.code(), "programme.unknown", "{}", undecided.text);
    let standing = stage.office.client.get(&format!("/v1/cases/{case}"));
    assert_eq!(
        standing.body["progress"]["state"], "open",
        "{}",
        standing.text
    );
    stage.fact(&unknown, "startup", &json!(false));
    let decided = stage.approve(&case);
    assert_eq!(
        decided.body["found"]["issued"]["face"], 900_000_000,
        "{}",
        decided.text
    );
    stage.audit();
}

/// The buyer hands in a document about money.
fn state(stage: &Stage, order: Deal, kind: &str, amount: i64) -> Receipted {
    let document = DocumentDigest::of(format!("{kind} of {}", order.id).as_bytes());
    let asked = json!({
        "order": order.id, "kind": kind, "digest": document, "lines": [["gpu_rent", amount]],
    });
    Receipted(stage.buyer.client.done("/v1/evidence", &asked))
}

fn w2_a_year_is_local_and_counts_issue_and_redemption_apart(database: &Database) {
    let stage = Stage::open(database, "2025-12-20T02:00:00Z");
    stage.fund("w2-bj", "bj-finance");
    stage.enact("w2-calendar-year");
    let buyer = &stage.buyer.party;
    let count = |year: i64, what: &str| format!("cap/w2-calendar-year/{buyer}/{year}/{what}");
    let (large, small) = (
        contract("w2-a", 1_200_000_000),
        contract("w2-b", 300_000_000),
    );
    let a = stage.voucher(&stage.buyer, "w2-calendar-year", &large);
    assert_eq!(a.face, 200_000_000);
    assert_eq!(stage.counters(a.entry)[&count(2025, "issued")], 200_000_000);
    // Half past midnight in Beijing: another year, in which nothing was issued yet.
    stage.on("2025-12-31T16:30:00Z");
    let b = stage.voucher(&stage.buyer, "w2-calendar-year", &small);
    assert_eq!(b.face, 60_000_000);
    assert_eq!(stage.counters(b.entry)[&count(2026, "issued")], 60_000_000);
    stage.on("2026-01-02T00:00:00Z");
    let place = |voucher: &str, contract| {
        stage.order(&json!([]), &json!([{ "voucher": voucher }]), Some(contract))
    };
    let (order_a, order_b) = (place(&a.id, &large), place(&b.id, &small));
    stage.on("2026-02-10T00:00:00Z");
    let invoiced = |order, amount| state(&stage, order, "invoice", amount).deltas();
    assert_eq!(invoiced(order_a, 900_000_000), [180_000_000]);
    assert_eq!(invoiced(order_b, 300_000_000), [60_000_000]);
    let close = json!({ "order": order_a.id });
    stage.buyer.client.done("/v1/orders/close", &close);
    stage.stands(&[
        (format!("voucher/{}/w2-bj", a.id), 20_000_000),
        (format!("hold/{}/0/w2-bj", order_a.id), 0),
    ]);
    // What the yearly limit leaves of 240,000,000 is paid; the rest waits for the next local year.
    stage.on("2026-03-20T00:00:00Z");
    let period = |amount: i64, kept: i64| {
        let closed = stage.close_period(&stage.buyer, "2026-02");
        assert_eq!((closed.amount, closed.kept), (amount, kept));
        stage.counters(closed.entry)
    };
    let first = period(200_000_000, 40_000_000);
    assert_eq!(first[&count(2026, "redeemed")], 200_000_000);
    let earned = format!("earned/w2-calendar-year/{buyer}/w2-bj/2026-02");
    stage.stands(&[
        (earned.clone(), 40_000_000),
        (format!("payable/{buyer}/w2-bj"), 200_000_000),
    ]);
    assert_eq!(stage.pay("w2-bj", &stage.buyer), 200_000_000);
    stage.on("2026-12-31T15:59:59Z");
    assert_eq!(period(0, 40_000_000), BTreeMap::new());
    stage.on("2026-12-31T16:00:00Z");
    let rest = period(40_000_000, 0);
    assert_eq!(rest[&count(2027, "redeemed")], 40_000_000);
    assert_eq!(stage.pay("w2-bj", &stage.buyer), 40_000_000);
    stage.stands(&[(earned, 0), (format!("paid/{buyer}/w2-bj"), 240_000_000)]);
    stage.audit();
}

fn w5_the_higher_amount_is_given_once_and_under_the_years_cap(database: &Database) {
    let stage = Stage::open(database, "2026-01-05T00:00:00Z");
    stage.fund("w5-lf", "lf-finance");
    stage.enact("w5-best-of");
    let count = format!("cap/w5-best-of/{}/2026", stage.buyer.party);
    let voucher = |name, fen| stage.voucher(&stage.buyer, "w5-best-of", &contract(name, fen));
    stage.fact(&stage.buyer, "project_lead", &json!("national"));
    stage.fact(&stage.buyer, "newly_settled", &json!(false));
    // What the year has used before the example begins: 60 % of a small contract.
    let before = voucher("w5-before", 50_000_000);
    assert_eq!(before.face, 30_000_000);
    assert_eq!(stage.counters(before.entry)[&count], 30_000_000);
    stage.on("2026-02-05T00:00:00Z");
    stage.fact(&stage.buyer, "newly_settled", &json!(true));
    // 75,000,000, 90,000,000 and 50,000,000: the best is cut to what the year leaves.
    let best = voucher("w5", 150_000_000);
    assert_eq!(best.face, 70_000_000);
    assert_eq!(stage.counters(best.entry)[&count], 70_000_000);
    stage.audit();
}

fn w6_days_are_prorated_and_truncated_as_published(database: &Database) {
    // 305 of 729 days are 8,367,600; 30 % of them, in whole yuan.
    w6(database, &[(example("w6-proration"), 2_510_200)]);
}

fn w6_another_reading_of_the_text_gives_another_amount(database: &Database) {
    let text = example("w6-proration");
    let (unrounded, _) = text.split_once("rounding").unwrap();
    let readings = [
        (unrounded.to_owned(), 2_510_287),
        (text.replace("exclusive_end", "inclusive"), 2_515_000),
        (text.replace("\"floor\"", "\"half_up\""), 2_510_300),
    ];
    w6(database, &readings);
}

/// 200,000 yuan are paid under a contract of two years, of which ten months count; each reading is a programme.
fn w6(database: &Database, readings: &[(String, i64)]) {
    let stage = Stage::open(database, "2026-01-05T00:00:00Z");
    stage.fund("w6-nn", "nn-finance");
    let mut two_years = contract("w6", 20_000_000);
    two_years["signed_on"] = json!("2024-12-20");
    two_years["from"] = json!("2025-01-01");
    for (number, (text, expected)) in readings.iter().enumerate() {
        let programme = format!("w6-proration-{number}");
        stage.enact_text(&text.replace("w6-proration", &programme));
        let claims = json!([{ "programme": programme }]);
        let order = stage.order(&json!([]), &claims, Some(&two_years));
        let paid = state(&stage, order, "payment", 20_000_000);
        assert_eq!(paid.deltas(), [*expected]);
        let party = &stage.buyer.party;
        let earned = format!("earned/{programme}/{party}/w6-nn/2026-01");
        stage.stands(&[(earned, *expected)]);
    }
    stage.audit();
}

fn w10_bands_apply_to_their_part_or_to_the_whole(database: &Database) {
    let stage = Stage::open(database, "2026-01-05T00:00:00Z");
    for (programme, fund, face) in [
        ("w10-marginal", "w10-city", 120_000_000),
        ("w10-whole", "w10-whole-city", 100_000_000),
    ] {
        stage.fund(fund, "f-finance");
        stage.enact(programme);
        let contract = contract(programme, 250_000_001);
        let voucher = stage.voucher(&stage.buyer, programme, &contract);
        assert_eq!(voucher.face, face);
        stage.stands(&[(format!("voucher/{}/{fund}", voucher.id), face)]);
    }
    stage.audit();
}
