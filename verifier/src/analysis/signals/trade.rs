//! Who deals with whom, how often, at what price.

use std::collections::{BTreeMap, BTreeSet};

use super::{Households, Kind, Signal, granted};
use crate::analysis::{Study, share_bp};
use crate::book::state::order::{Goods, Order};
use crate::id::{GpuModel, OrderId, PartyId};
use crate::time::{DAY_SECONDS, Timestamp};

/// A seller's granted money from which its customers are compared: 10,000 CNY.
const PAIR_FEN_MIN: i64 = 1_000_000;
/// One buyer's part of it.
const PAIR_SHARE_BP_MIN: i64 = 8_000;
/// From so many orders on it is a habit.
const PAIR_ORDERS_MIN: u16 = 3;
/// One buyer's part of a seller's subsidised trade.
pub(super) const PAIR_SHARE: Kind = Kind {
    name: "pair-share",
    looks_for: "a seller whose subsidised trade is almost all with one buyer",
    thresholds: &[
        ("seller_granted_fen", PAIR_FEN_MIN),
        ("share_bp", PAIR_SHARE_BP_MIN),
        ("orders", PAIR_ORDERS_MIN as i64),
    ],
};

pub(super) fn pair_share(study: &Study) -> Vec<Signal> {
    let mut sellers: BTreeMap<PartyId, BTreeMap<PartyId, Vec<OrderId>>> = BTreeMap::new();
    for (id, order) in &study.book().orders {
        let buyers = sellers.entry(order.seller).or_default();
        buyers.entry(order.buyer).or_default().push(*id);
    }
    let mut seen = Vec::new();
    let sum = |orders: &[OrderId]| {
        let all = orders.iter().map(|order| granted(study, *order));
        all.fold(0, i64::saturating_add)
    };
    for (seller, buyers) in sellers {
        let all = buyers.values().map(|orders| sum(orders));
        let all = all.fold(0, i64::saturating_add);
        for (buyer, orders) in &buyers {
            let share = share_bp(sum(orders), all);
            let shows = all >= PAIR_FEN_MIN && share >= PAIR_SHARE_BP_MIN;
            if shows && orders.len() >= usize::from(PAIR_ORDERS_MIN) {
                let numbers = [("share_bp", share), ("seller_granted_fen", all)];
                let signal = Signal::new(&PAIR_SHARE, [*buyer, seller], numbers);
                seen.push(signal.orders(study, orders.iter().copied()));
            }
        }
    }
    seen
}

/// Parties that buy from each other in a circle; those of one group or controller count as one.
pub(super) const CYCLES: Kind = Kind {
    name: "cycles",
    looks_for: "orders that lead in a circle, or between parties of one group, controller or legal representative",
    thresholds: &[("orders", 1)],
};

pub(super) fn cycles(study: &Study) -> Vec<Signal> {
    let households = Households::of(study);
    let mut edges: BTreeMap<PartyId, BTreeSet<PartyId>> = BTreeMap::new();
    for order in study.book().orders.values() {
        let (from, to) = (households.find(order.buyer), households.find(order.seller));
        edges.entry(from).or_default().insert(to);
    }
    let circle = circles(&edges);
    let mut orders: BTreeMap<PartyId, Vec<(OrderId, &Order)>> = BTreeMap::new();
    for (id, order) in &study.book().orders {
        let (from, to) = (households.find(order.buyer), households.find(order.seller));
        let in_circle = circle.get(&from).filter(|of| circle.get(&to) == Some(of));
        if let Some(of) = in_circle {
            orders.entry(*of).or_default().push((*id, order));
        }
    }
    let signal = |(_, orders): (PartyId, Vec<(OrderId, &Order)>)| {
        let parties = orders
            .iter()
            .flat_map(|(_, order)| [order.buyer, order.seller]);
        let parties: BTreeSet<_> = parties.collect();
        let fen = orders.iter().map(|(id, _)| granted(study, *id));
        let numbers = [("granted_fen", fen.fold(0, i64::saturating_add))];
        let signal = Signal::new(&CYCLES, parties, numbers);
        signal.orders(study, orders.into_iter().map(|(id, _)| id))
    };
    orders.into_iter().map(signal).collect()
}

type Edges = BTreeMap<PartyId, BTreeSet<PartyId>>;

/// Gives each party that lies on a circle the circle's name: the strongly connected components that have an edge inside.
fn circles(edges: &Edges) -> BTreeMap<PartyId, PartyId> {
    let mut back: Edges = BTreeMap::new();
    for (from, tos) in edges {
        for to in tos {
            back.entry(*to).or_default().insert(*from);
        }
    }
    // Kosaraju: last left first, then whatever leads there.
    let mut left = Vec::new();
    let mut visited = BTreeSet::new();
    for from in edges.keys() {
        walk(*from, edges, &mut visited, |party| left.push(party));
    }
    let (mut circle, mut visited) = (BTreeMap::new(), BTreeSet::new());
    for root in left.into_iter().rev() {
        let mut members = Vec::new();
        walk(root, &back, &mut visited, |party| members.push(party));
        let own = edges.get(&root).is_some_and(|tos| tos.contains(&root));
        if members.len() > 1 || own {
            circle.extend(members.into_iter().map(|party| (party, root)));
        }
    }
    circle
}

/// Visits what can be reached and was not visited; tells each party when everything behind it is done.
fn walk(
    from: PartyId,
    edges: &Edges,
    visited: &mut BTreeSet<PartyId>,
    mut tell: impl FnMut(PartyId),
) {
    let mut path = vec![(from, false)];
    while let Some((party, is_done)) = path.pop() {
        if is_done {
            tell(party);
        } else if visited.insert(party) {
            path.push((party, true));
            let next = edges.get(&party).into_iter().flatten();
            path.extend(next.map(|to| (*to, false)));
        }
    }
}

/// So many orders of one household with one seller …
const SPLIT_ORDERS_MIN: u16 = 3;
/// … within so many seconds look like one that was cut.
const SPLIT_SECONDS: i64 = 7 * DAY_SECONDS;
/// One purchase cut into several.
pub(super) const SPLITTING: Kind = Kind {
    name: "splitting",
    looks_for: "several orders of one buyer, or of one group, with one seller within days",
    thresholds: &[
        ("orders", SPLIT_ORDERS_MIN as i64),
        ("within_seconds", SPLIT_SECONDS),
    ],
};

pub(super) fn splitting(study: &Study) -> Vec<Signal> {
    let households = Households::of(study);
    let mut pairs: BTreeMap<(PartyId, PartyId), Vec<(Timestamp, OrderId)>> = BTreeMap::new();
    for (id, order) in &study.book().orders {
        let Ok(money) = study.book().money.order(*id) else {
            continue;
        };
        let pair = (households.find(order.buyer), order.seller);
        pairs.entry(pair).or_default().push((money.placed_at, *id));
    }
    let mut seen = Vec::new();
    for ((_, seller), mut placed) in pairs {
        placed.sort_unstable();
        let near = |all: &[(Timestamp, OrderId)]| {
            let first = all.first().map_or(0, |(at, _)| at.unix());
            let last = all.last().map_or(0, |(at, _)| at.unix());
            last - first <= SPLIT_SECONDS
        };
        let dense = placed
            .windows(usize::from(SPLIT_ORDERS_MIN))
            .filter(|all| near(all));
        let orders: BTreeSet<_> = dense.flatten().map(|(_, id)| *id).collect();
        if orders.is_empty() {
            continue;
        }
        let buyers = orders.iter().filter_map(|id| study.book().orders.get(id));
        let buyers: BTreeSet<_> = buyers.map(|order| order.buyer).collect();
        let fen = orders.iter().map(|id| granted(study, *id));
        let numbers = [
            ("buyers", i64::try_from(buyers.len()).unwrap_or(i64::MAX)),
            ("granted_fen", fen.fold(0, i64::saturating_add)),
        ];
        let parties = buyers.into_iter().chain([seller]);
        seen.push(Signal::new(&SPLITTING, parties, numbers).orders(study, orders));
    }
    seen
}

/// So many priced segments of a card, by at least two sellers, make a market.
const PRICE_SAMPLES_MIN: u16 = 5;
/// A price at so much of the median or more is high …
const PRICE_HIGH_BP: i64 = 20_000;
/// … and at so much or less low.
const PRICE_LOW_BP: i64 = 2_500;
/// Prices far from the others' for the same card.
pub(super) const PRICE_OUTLIERS: Kind = Kind {
    name: "price-outliers",
    looks_for: "a card-hour priced far from the median of all orders for the same card",
    thresholds: &[
        ("samples", PRICE_SAMPLES_MIN as i64),
        ("high_bp", PRICE_HIGH_BP),
        ("low_bp", PRICE_LOW_BP),
    ],
};

pub(super) fn price_outliers(study: &Study) -> Vec<Signal> {
    let mut cards: BTreeMap<&GpuModel, Vec<(i64, OrderId, &Order)>> = BTreeMap::new();
    for (id, order) in &study.book().orders {
        for segment in &order.segments {
            if let Goods::Gpu { gpu_model, .. } = &segment.goods {
                let prices = cards.entry(gpu_model).or_default();
                prices.push((segment.price_fen.get(), *id, order));
            }
        }
    }
    let mut seen = Vec::new();
    for (gpu_model, mut prices) in cards {
        prices.sort_unstable_by_key(|(price, id, _)| (*price, *id));
        let sellers: BTreeSet<_> = prices.iter().map(|(_, _, order)| order.seller).collect();
        let median = prices.get(prices.len() / 2).map_or(0, |(price, ..)| *price);
        if prices.len() < usize::from(PRICE_SAMPLES_MIN) || sellers.len() < 2 {
            continue;
        }
        for (price, id, order) in prices {
            let of_median = share_bp(price, median);
            if of_median >= PRICE_HIGH_BP || of_median <= PRICE_LOW_BP {
                let numbers = [
                    ("price_fen", price),
                    ("median_fen", median),
                    ("of_median_bp", of_median),
                ];
                let signal = Signal::new(&PRICE_OUTLIERS, [order.buyer, order.seller], numbers);
                let mut signal = signal.orders(study, [id]);
                signal.subjects.push(gpu_model.to_string());
                seen.push(signal);
            }
        }
    }
    seen
}

/// A party is fresh for so long after its admission; the first days of an exchange do not count: there everybody is.
const FRESH_SECONDS: i64 = 30 * DAY_SECONDS;
/// Granted on orders of its fresh days: 10,000 CNY.
const FRESH_FEN_MIN: i64 = 1_000_000;
/// Parties that come for the money.
pub(super) const FRESH_PARTIES: Kind = Kind {
    name: "fresh-parties",
    looks_for: "much subsidy on orders that a party placed or took within days of its admission",
    thresholds: &[
        ("within_seconds", FRESH_SECONDS),
        ("granted_fen", FRESH_FEN_MIN),
    ],
};

pub(super) fn fresh_parties(study: &Study) -> Vec<Signal> {
    let mut fresh: BTreeMap<PartyId, (i64, Vec<OrderId>)> = BTreeMap::new();
    let old = study.seen().opened.map(|at| at.after(FRESH_SECONDS));
    for (id, order) in &study.book().orders {
        let Ok(money) = study.book().money.order(*id) else {
            continue;
        };
        for party in [order.buyer, order.seller] {
            let admitted = study.seen().admitted.get(&party);
            let late = admitted.filter(|(_, at)| old.is_some_and(|old| *at >= old));
            let is_fresh = late.is_some_and(|(_, at)| money.placed_at < at.after(FRESH_SECONDS));
            if is_fresh {
                let (fen, orders) = fresh.entry(party).or_default();
                *fen = fen.saturating_add(granted(study, *id));
                orders.push(*id);
            }
        }
    }
    let much = fresh
        .into_iter()
        .filter(|(_, (fen, _))| *fen >= FRESH_FEN_MIN);
    let signal = |(party, (fen, orders)): (PartyId, (i64, Vec<OrderId>))| {
        let signal = Signal::new(&FRESH_PARTIES, [party], [("granted_fen", fen)]);
        let mut signal = signal.orders(study, orders);
        let admitted = study.seen().admitted.get(&party);
        signal.entries.extend(admitted.map(|(entry, _)| *entry));
        signal
    };
    much.map(signal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Salt;

    #[test]
    fn a_circle_is_found_whoever_hangs_on_it() {
        let party: Vec<_> = (0..6_u8)
            .map(|n| PartyId::draw(&Salt::new([n; 16]), 0, n))
            .collect();
        let mut edges = Edges::new();
        // 0 → 1 → 2 → 0, 2 → 3 → 4, 5 → 5.
        for (from, to) in [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (5, 5)] {
            edges.entry(party[from]).or_default().insert(party[to]);
        }
        let circle = circles(&edges);
        let found: BTreeSet<_> = circle.keys().copied().collect();
        let expected = [party[0], party[1], party[2], party[5]];
        assert_eq!(found, expected.into_iter().collect());
        assert_eq!(circle[&party[0]], circle[&party[2]]);
        assert_ne!(circle[&party[0]], circle[&party[5]]);
    }
}
