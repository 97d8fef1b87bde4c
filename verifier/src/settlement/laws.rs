//! Laws of the settlement: the same use earns the same fen however it is cut, and nothing is lost on the way.

use super::Money;
use super::cap::Holder;
use super::evidence::{Correction, Use};
use super::freeze::{Doubt, Doubtful, RuledShare, Ruling};
use super::fund::FundMove;
use super::order::{Segment, Terms};
use super::place::{Place, PlaceClaim, Right};
use crate::id::{FundId, FunderId, OrderId, PartyId, ProgrammeId, Salt};
use crate::money::Fen;
use crate::programme::scenario;
use crate::programme::schema::Scheme;
use crate::programme::subsidy::TierChoice;
use crate::time::Timestamp;
use proptest::prelude::*;

const AT: &str = "2026-01-05T00:00:00Z";

/// A city that commits at the order and a district that commits at settlement, both up to the whole price.
const PROGRAMMES: [&str; 2] = [
    r#"id = "city"
scheme = "compute"
fund = [{ id = "fund-one", funder = "city-finance", weight = 5 }, { id = "fund-two", funder = "city-finance", weight = 2 }]
instrument = { commit_at = "order", payee = "seller" }
rate = { select = "first", banding = "marginal", tier = [{ id = "all", bands = [{ upto_fen = 9999, bp = 3333 }, { bp = 1777 }] }] }
stack = { group = "both", mode = "add_to_ceiling", ceiling_bp = 10000, order = 10 }
"#,
    r#"id = "district"
scheme = "compute"
fund = [{ id = "fund-two", funder = "city-finance", weight = 3 }, { id = "fund-six", funder = "city-finance", weight = 4 }, { id = "fund-one", funder = "city-finance", weight = 1 }]
instrument = { commit_at = "settlement", payee = "buyer" }
rate = { select = "first", tier = [{ id = "all", bp = 8500 }] }
cap = [{ id = "year", key = "holder", per = "calendar_year", limit_fen = 90000000 }]
stack = { group = "both", mode = "add_to_ceiling", ceiling_bp = 10000, order = 20 }
"#,
];

fn fen(n: i64) -> Fen {
    Fen::new(n).unwrap()
}

fn order() -> OrderId {
    OrderId::draw(&Salt::new([1; 16]), 0, 0)
}

fn exchange(hold: i64) -> Money {
    let mut money = Money::new();
    for name in ["fund-one", "fund-two", "fund-six"] {
        let fund = FundId::parse(name).unwrap();
        money.open_fund(fund.clone(), FunderId::parse("city-finance").unwrap());
        let outcome = money
            .appropriate(&FundMove {
                fund,
                fen: fen(1_000_000_000),
            })
            .unwrap();
        money.apply_fund_move(&outcome).unwrap();
    }
    for text in PROGRAMMES {
        money.enact(scenario::programme(text));
    }
    let segment = |price| Segment {
        price: fen(price),
        per: 3600,
        limit: None,
    };
    let claim = |id: &str, hold: Option<i64>| PlaceClaim {
        right: Right::Programme(ProgrammeId::parse(&scenario::id(id)).unwrap()),
        hold: Some(hold.map_or(Fen::ZERO, fen)),
        tiers: vec![TierChoice::Applicable(vec![0]); 2],
    };
    let ask = Place {
        order: order(),
        buyer: Holder::new(PartyId::draw(&Salt::new([2; 16]), 0, 0)),
        seller: PartyId::draw(&Salt::new([3; 16]), 0, 0),
        terms: Terms {
            scheme: Scheme::Compute,
            segments: vec![segment(1337), segment(1199)],
            contract: None,
            approved: None,
            contract_days: None,
            service_days: None,
        },
        claims: vec![claim("city", Some(hold)), claim("district", None)],
    };
    let at = Timestamp::parse(AT).unwrap();
    let outcome = money.place(at, &ask).unwrap();
    money.apply_place(at, &ask, &outcome).unwrap();
    money
}

fn receipt(money: &mut Money, segment: u16, units: i64) {
    let at = Timestamp::parse(AT).unwrap();
    let ask = Use {
        order: order(),
        segment,
        units,
        end: at,
    };
    let outcome = money.receipt(at, &ask).unwrap();
    let again = money.clone();
    money.apply_receipt(at, &ask, &outcome).unwrap();
    money.check_invariants().unwrap();
    assert_eq!(
        again.receipt(at, &ask).unwrap(),
        outcome,
        "deciding changes nothing"
    );
}

fn correct(money: &mut Money, corrects: u32, segment: u16, units: i64) {
    let at = Timestamp::parse(AT).unwrap();
    let ask = Correction {
        order: order(),
        corrects,
        segment,
        units,
    };
    let outcome = money.correct(at, &ask).unwrap();
    money.apply_correct(at, &ask, &outcome).unwrap();
    money.check_invariants().unwrap();
}

/// Freezes what receipts have earned; returns what was frozen by claim.
fn freeze(money: &mut Money, doubt: &Doubt) -> Vec<RuledShare> {
    let at = Timestamp::parse(AT).unwrap();
    let doubtful = Doubtful {
        order: order(),
        doubt: doubt.clone(),
    };
    let outcome = money.freeze(at, &[doubtful]).unwrap();
    money.apply_freeze(&outcome).unwrap();
    money.check_invariants().unwrap();
    let all = outcome.found.claims.iter().map(|frozen| {
        let funds = money
            .order(order())
            .unwrap()
            .claim(frozen.claim)
            .unwrap()
            .sums
            .funds
            .len();
        let mut fen = frozen.fen.clone();
        fen.resize(funds, Fen::ZERO);
        RuledShare {
            claim: frozen.claim,
            fen,
            others: vec![Fen::ZERO; funds],
        }
    });
    all.collect()
}

/// Restores claims, or denies evidence for them; what others gain by it is frozen with them, and nothing of it stays so here.
fn rule(money: &mut Money, mut claims: Vec<RuledShare>, denied: &Doubt) {
    let at = Timestamp::parse(AT).unwrap();
    for share in &mut claims {
        // All that is frozen of the claim is frozen for the one matter, also what it has gained since.
        share.fen.fill(Fen::MAX);
    }
    let all = money.order(order()).unwrap().claims.len();
    let decided: Vec<u8> = claims.iter().map(|share| share.claim).collect();
    let waiting =
        (0..u8::try_from(all).unwrap()).filter(|claim| decided.iter().all(|of| of < claim));
    let rulings = [Ruling {
        order: order(),
        claims,
        waiting: waiting.collect(),
        denied: denied.clone(),
    }];
    let outcome = money.rule(at, &rulings).unwrap();
    money.apply_rule(at, &rulings, &outcome).unwrap();
    money.check_invariants().unwrap();
}

/// Where all money stands: the same for the same use.
fn standing(money: &Money) -> Vec<(String, i64)> {
    money
        .balances()
        .map(|(account, fen)| (account.to_string(), fen.get()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_of_the_same_use_earns_the_same_fen(
        cuts in prop::collection::vec((0_u16..2, 0_i64..200_000), 1..8), hold in 0_i64..40_000
    ) {
        let mut whole = exchange(hold);
        let mut split = exchange(hold);
        for (segment, units) in &cuts {
            receipt(&mut split, *segment, *units);
        }
        for segment in 0..2 {
            let units = cuts.iter().filter(|(of, _)| *of == segment).map(|(_, units)| units).sum();
            receipt(&mut whole, segment, units);
        }
        prop_assert_eq!(standing(&whole), standing(&split));
        prop_assert_eq!(
            whole.counters().iter().collect::<Vec<_>>(),
            split.counters().iter().collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_is_denied_is_corrected_to_nothing_and_what_is_restored_was_never_frozen(
        cuts in prop::collection::vec((0_u16..2, 1_i64..200_000, any::<bool>()), 1..8),
        hold in 0_i64..40_000, apart in any::<bool>()
    ) {
        let mut money = exchange(hold);
        for (segment, units, _) in &cuts {
            receipt(&mut money, *segment, *units);
        }
        let bad = (0_u32..).zip(&cuts).filter(|(_, (_, _, is_bad))| *is_bad);
        let bad: Vec<(u32, u16)> = bad.map(|(line, (segment, ..))| (line, *segment)).collect();
        let mut corrected = money.clone();
        for (line, segment) in &bad {
            correct(&mut corrected, *line, *segment, 0);
        }
        let doubt = Doubt { lines: bad.iter().map(|(line, _)| *line).collect(), ..Doubt::default() };
        let mut frozen = money.clone();
        let shares = freeze(&mut frozen, &doubt);
        let mut restored = frozen.clone();
        rule(&mut restored, shares.clone(), &Doubt::default());
        prop_assert_eq!(standing(&restored), standing(&money));
        // All claims at once, or one office after the other.
        let groups = if apart { shares.into_iter().map(|share| vec![share]).collect() } else { vec![shares] };
        for group in groups {
            rule(&mut frozen, group, &doubt);
        }
        prop_assert_eq!(standing(&frozen), standing(&corrected));
    }

    #[test]
    fn a_corrected_receipt_leaves_no_trace_in_the_money(
        right in prop::collection::vec((0_u16..2, 0_i64..200_000), 1..6),
        wrong in prop::collection::vec((0_u16..2, 0_i64..200_000), 6),
        hold in 0_i64..40_000
    ) {
        let mut direct = exchange(hold);
        let mut corrected = exchange(hold);
        for ((segment, units), (of, other)) in right.iter().zip(&wrong) {
            receipt(&mut direct, *segment, *units);
            receipt(&mut corrected, *of, *other);
        }
        for (index, (segment, units)) in (0_u32..).zip(&right) {
            correct(&mut corrected, index, *segment, *units);
        }
        prop_assert_eq!(standing(&direct), standing(&corrected));
    }
}
