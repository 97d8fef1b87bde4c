//! Periods of one site in two trails that cannot both be: more cards busy in one second than stand there, one set of
//! devices in two places, one use told twice.

use std::collections::{BTreeMap, BTreeSet};

use super::{At, Finding, Metered, SHOWN_MAX, SiteModel, Span, Trail, cards, metered};
use crate::id::DocumentDigest;
use crate::time::{HOUR_SECONDS, Timestamp};

/// A receipt and the trail that it is in.
type Told<'a> = (&'a Trail<'a>, Metered<'a>);

pub(super) fn overlaps(site: SiteModel<'_>) -> Vec<Finding> {
    let told = told(site);
    let found = [over(site, &told), devices(site, &told), twins(site, &told)];
    found.into_iter().flatten().collect()
}

fn told<'a>((_, registered, gpu_model): SiteModel<'a>) -> Vec<Told<'a>> {
    let all = registered.iter().flat_map(|one| {
        let receipts = metered(one.trail.book);
        let here = receipts.filter(|of| of.site == one.id && of.gpu_model == gpu_model);
        here.map(|of| (one.trail, of))
    });
    all.collect()
}

fn at((trail, one): &Told<'_>) -> At {
    trail.at(Some(one.entry), one.order)
}

/// Whether its cards were busy in every second of its period: only then one second can be counted.
fn is_full(one: &Metered<'_>) -> bool {
    let usage = one.usage;
    let span = usage.end.unix() - usage.start.unix();
    usage.gpu_seconds == i64::from(usage.gpu_count).saturating_mul(span)
}

/// Seconds in which fully used receipts of all trails together need more cards than stand there.
fn over(site: SiteModel<'_>, told: &[Told<'_>]) -> Option<Finding> {
    let (about, registered, gpu_model) = site;
    let limit = cards(registered, gpu_model);
    let mut moves: BTreeMap<Timestamp, i64> = BTreeMap::new();
    for (_, one) in told.iter().filter(|(_, one)| is_full(one)) {
        let busy = i64::from(one.usage.gpu_count);
        *moves.entry(one.usage.start).or_default() += busy;
        *moves.entry(one.usage.end).or_default() -= busy;
    }
    let (mut sum, mut spans) = (0_i64, Vec::new());
    let ends = moves.keys().skip(1).copied().collect::<Vec<_>>();
    for ((from, by), to) in moves.into_iter().zip(ends) {
        sum = sum.saturating_add(by);
        if sum > limit {
            spans.push(Span {
                from,
                to,
                sum,
                limit,
            });
        }
    }
    let first = spans.first()?.from;
    let busy = told.iter().filter(|(_, one)| is_full(one));
    let then = busy.filter(|(_, one)| one.usage.start <= first && first < one.usage.end);
    let places = then.map(at).take(SHOWN_MAX).collect();
    let count = spans.len() as u64;
    spans.truncate(SHOWN_MAX);
    let about = about.to_owned();
    Some(Finding {
        code: "cross.overlap",
        about,
        count,
        spans,
        places,
    })
}

/// The same devices in two trails at one time.
fn devices((about, ..): SiteModel<'_>, told: &[Told<'_>]) -> Option<Finding> {
    let mut by_devices: BTreeMap<DocumentDigest, Vec<Told<'_>>> = BTreeMap::new();
    for (trail, one) in told {
        if let Some(devices) = trail.study.seen().devices.get(&one.entry) {
            by_devices.entry(*devices).or_default().push((*trail, *one));
        }
    }
    let mut places = BTreeSet::new();
    for mut told in by_devices.into_values() {
        told.sort_by_key(|(_, one)| one.usage.start);
        // Of each trail what ended last so far.
        let mut last: BTreeMap<&str, Told<'_>> = BTreeMap::new();
        for now in told {
            let own = now.0.origin.as_str();
            let others = last.iter().filter(|(origin, _)| **origin != own);
            let then = others.filter(|(_, before)| before.1.usage.end > now.1.usage.start);
            let then: Vec<_> = then.map(|(_, before)| at(before)).collect();
            if !then.is_empty() {
                places.insert(at(&now));
            }
            places.extend(then);
            let longest = last.entry(own).or_insert(now);
            if longest.1.usage.end < now.1.usage.end {
                *longest = now;
            }
        }
    }
    found(format!("{about}: the same devices at one time"), places)
}

/// Receipts that say exactly the same use, in periods that no clock gives by itself.
fn twins((about, ..): SiteModel<'_>, told: &[Told<'_>]) -> Option<Finding> {
    type Said = (Timestamp, Timestamp, u32, i64);
    let mut same: BTreeMap<Said, Vec<&Told<'_>>> = BTreeMap::new();
    for one in told {
        let usage = one.1.usage;
        let by_the_clock = [usage.start, usage.end]
            .iter()
            .all(|at| at.unix() % HOUR_SECONDS == 0);
        if !by_the_clock {
            let said = (usage.start, usage.end, usage.gpu_count, usage.gpu_seconds);
            same.entry(said).or_default().push(one);
        }
    }
    let several = same.into_values().filter(|told| {
        let trails: BTreeSet<_> = told.iter().map(|(trail, _)| &trail.origin).collect();
        trails.len() > 1
    });
    let places = several.flatten().map(at).collect();
    found(format!("{about}: the same period, cards and use"), places)
}

fn found(about: String, places: BTreeSet<At>) -> Option<Finding> {
    let has_any = !places.is_empty();
    has_any.then(|| super::places_of("cross.overlap", about, places))
}
