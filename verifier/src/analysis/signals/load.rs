//! The shape of metered use: real work is uneven, and does not start and end with the clock.

use std::collections::BTreeMap;

use super::{Kind, Signal};
use crate::analysis::{Study, share_bp};
use crate::book::state::chain::{Accepted, Usage};
use crate::id::{OrderId, PartyId};
use crate::time::{HOUR_SECONDS, LocalDay, Timestamp, UtcOffset};

/// So many days one after the other with the same use …
const FLAT_DAYS_MIN: i64 = 14;
/// … or so many receipts …
const FLAT_RECEIPTS_MIN: u16 = 24;
/// … that state the same utilisation within so much.
const FLAT_SPREAD_BP: u16 = 50;
/// Load without a day or a night.
pub(super) const FLAT_LOAD: Kind = Kind {
    name: "flat-load",
    looks_for: "an order with the same GPU-seconds day after day, or the same stated utilisation in every receipt",
    thresholds: &[
        ("days", FLAT_DAYS_MIN),
        ("receipts", FLAT_RECEIPTS_MIN as i64),
        ("spread_bp", FLAT_SPREAD_BP as i64),
    ],
};

pub(super) fn flat_load(study: &Study) -> Vec<Signal> {
    let offset = offset(study);
    let mut seen = Vec::new();
    for (order, parties, receipts) in chains(study) {
        let days = flat_days(&receipts, offset);
        let utilisation = flat_utilisation(study, &receipts);
        if days >= FLAT_DAYS_MIN || utilisation.is_some() {
            let numbers = [("days", days)].into_iter();
            let stated = utilisation.map(|bp| ("utilisation_bp", i64::from(bp)));
            let signal = Signal::new(&FLAT_LOAD, parties, numbers.chain(stated));
            seen.push(shown(signal, study, order, &receipts));
        }
    }
    seen
}

/// The most days in a row with the same GPU-seconds.
fn flat_days(receipts: &[Standing<'_>], offset: UtcOffset) -> i64 {
    let mut days: BTreeMap<LocalDay, i64> = BTreeMap::new();
    for (_, usage) in receipts {
        let day = days.entry(usage.start.local_day(offset)).or_default();
        *day = day.saturating_add(usage.gpu_seconds);
    }
    let (mut longest, mut run, mut before) = (0, 0, None);
    for (day, seconds) in days {
        let goes_on = before == Some((day.number() - 1, seconds));
        run = if goes_on { run + 1 } else { 1 };
        longest = run.max(longest);
        before = Some((day.number(), seconds));
    }
    longest
}

/// The utilisation that all receipts state, if they state one.
fn flat_utilisation(study: &Study, receipts: &[Standing<'_>]) -> Option<u16> {
    let stated = receipts.iter();
    let stated = stated.filter_map(|(one, _)| study.seen().utilisation.get(&one.entry).copied());
    let stated: Vec<u16> = stated.collect();
    let (least, most) = (stated.iter().min()?, stated.iter().max()?);
    let is_flat = stated.len() >= usize::from(FLAT_RECEIPTS_MIN) && most - least <= FLAT_SPREAD_BP;
    is_flat.then_some(*least)
}

/// So many spells of use …
const WALL_SPELLS_MIN: i64 = 10;
/// … of which so many begin and end on the hour.
const WALL_SHARE_BP_MIN: i64 = 9_000;
/// Use that keeps to the clock.
pub(super) const HOUR_WALL: Kind = Kind {
    name: "hour-wall",
    looks_for: "an order whose unbroken spells of use begin and end on the full hour",
    thresholds: &[("spells", WALL_SPELLS_MIN), ("share_bp", WALL_SHARE_BP_MIN)],
};

pub(super) fn hour_wall(study: &Study) -> Vec<Signal> {
    let mut seen = Vec::new();
    for (order, parties, receipts) in chains(study) {
        let spells = spells(&receipts);
        let on_the_hour = |at: &Timestamp| at.unix() % HOUR_SECONDS == 0;
        let walled = spells.iter();
        let walled = walled.filter(|(from, to)| on_the_hour(from) && on_the_hour(to));
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let (walled, all) = (count(walled.count()), count(spells.len()));
        let share = share_bp(walled, all);
        if all >= WALL_SPELLS_MIN && share >= WALL_SHARE_BP_MIN {
            let numbers = [("spells", all), ("share_bp", share)];
            let signal = Signal::new(&HOUR_WALL, parties, numbers);
            seen.push(shown(signal, study, order, &receipts));
        }
    }
    seen
}

/// Periods joined where one follows the other: receipts of long jobs are cut at the hour by rule.
fn spells(receipts: &[Standing<'_>]) -> Vec<(Timestamp, Timestamp)> {
    let mut periods: Vec<_> = receipts.iter().map(|(_, of)| (of.start, of.end)).collect();
    periods.sort_unstable();
    let mut spells: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (start, end) in periods {
        match spells.last_mut() {
            Some((_, until)) if *until >= start => *until = end.max(*until),
            Some(_) | None => spells.push((start, end)),
        }
    }
    spells
}

/// A receipt that nothing has corrected or voided.
type Standing<'a> = (&'a Accepted, &'a Usage);

fn chains(study: &Study) -> impl Iterator<Item = (OrderId, [PartyId; 2], Vec<Standing<'_>>)> {
    let chains = study.book().chains.iter();
    chains.filter_map(|((id, _), chain)| {
        let order = study.book().orders.get(id)?;
        let all = chain.accepted().iter();
        let all = all.filter_map(|one| Some((one, one.usage.as_ref()?)));
        let standing = all.filter(|(_, usage)| !usage.replaced && !usage.is_void());
        let standing: Vec<_> = standing.collect();
        let has_any = !standing.is_empty();
        has_any.then_some((*id, [order.buyer, order.seller], standing))
    })
}

fn offset(study: &Study) -> UtcOffset {
    let exchange = study.book().exchange.as_ref();
    exchange.map_or(UtcOffset::CHINA, |exchange| exchange.offset)
}

fn shown(signal: Signal, study: &Study, order: OrderId, receipts: &[Standing<'_>]) -> Signal {
    let mut signal = signal.orders(study, [order]);
    let count = i64::try_from(receipts.len()).unwrap_or(i64::MAX);
    signal.numbers.insert("receipts", count);
    let entries = receipts.iter().map(|(one, _)| one.entry);
    signal
        .entries
        .extend(entries.take(super::ENTRIES_SHOWN_MAX));
    signal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Sha256Hash;

    fn used(from: i64, to: i64, gpu_seconds: i64) -> (Accepted, Usage) {
        let usage = Usage {
            segment: 0,
            line: 0,
            gpu_count: 1,
            start: Timestamp::new(from).unwrap(),
            end: Timestamp::new(to).unwrap(),
            gpu_seconds,
            unbilled: 0,
            runs: Box::default(),
            replaced: false,
        };
        let accepted = Accepted {
            hash: Sha256Hash::of(b"receipt"),
            entry: 0,
            at: Timestamp::new(from).unwrap(),
            usage: None,
        };
        (accepted, usage)
    }

    #[test]
    fn receipts_that_follow_each_other_are_one_spell() {
        let all = [
            used(0, 3_600, 1),
            used(7_200, 9_000, 1),
            used(3_600, 7_200, 1),
            used(20_000, 20_060, 1),
        ];
        let all: Vec<_> = all.iter().map(|(one, usage)| (one, usage)).collect();
        let spells = spells(&all);
        let unix: Vec<_> = spells
            .iter()
            .map(|(from, to)| (from.unix(), to.unix()))
            .collect();
        assert_eq!(unix, [(0, 9_000), (20_000, 20_060)]);
    }

    #[test]
    fn only_equal_days_in_a_row_are_flat() {
        let day = |n: i64, seconds| used(n * 86_400, n * 86_400 + 60, seconds);
        let all = [
            day(1, 5),
            day(2, 5),
            day(3, 5),
            day(4, 6),
            day(5, 5),
            day(7, 5),
        ];
        let all: Vec<_> = all.iter().map(|(one, usage)| (one, usage)).collect();
        assert_eq!(flat_days(&all, UtcOffset::CHINA), 3);
        assert_eq!(flat_days(&[], UtcOffset::CHINA), 0);
    }
}
