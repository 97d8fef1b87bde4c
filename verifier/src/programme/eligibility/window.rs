//! When things may happen, in the programme's local time (PROGRAMMES §1 `[window]`).

use std::collections::BTreeMap;

use super::condition::Truth;
use super::{Answer, Finding, Matter, UNKNOWN};
use crate::programme::schema::{Days, Moments, OnUnknown, Recurring, Window};
use crate::programme::{Plain, Programme};
use crate::refusal::{Code, Refusal};
use crate::time::{DAY_SECONDS, LocalDay, Timestamp, UtcOffset};

/// The window for applying, and the contract's days.
pub(super) fn check(programme: &Programme, matter: &Matter, answer: &mut Answer) {
    let window = &programme.window;
    let offset = programme.header.utc_offset;
    if !window.apply.is_empty() {
        let input = BTreeMap::from([("at".into(), Plain::from(matter.at.to_string()))]);
        let open = applies_at(window, matter.at, offset);
        answer.add(finding(programme, "window.apply", input, Truth::of(open)));
    }
    if let Some(span) = window.contract_signed {
        let input = BTreeMap::from([("contract.signed".into(), day(matter.contract.signed))]);
        let truth = matter
            .contract
            .signed
            .map_or(Truth::Unknown, |signed| Truth::of(contains(span, signed)));
        answer.add(finding(programme, "window.contract_signed", input, truth));
    }
    if let Some(longest) = window.contract_max_days {
        let (from, to) = (matter.contract.from, matter.contract.to);
        let mut input = BTreeMap::from([
            ("contract.from".into(), day(from)),
            ("contract.to".into(), day(to)),
        ]);
        input.insert("limit".into(), Plain::Int(longest));
        // Counted without one end: a year from the 1st to the 31st, or to the 1st again, is at most 365.
        let truth = match (from, to) {
            (Some(from), Some(to)) => {
                Truth::of(to.number().saturating_sub(from.number()) <= longest)
            }
            (None, _) | (_, None) => Truth::Unknown,
        };
        answer.add(finding(programme, "window.contract_max_days", input, truth));
    }
}

fn finding(
    programme: &Programme,
    rule: &str,
    input: BTreeMap<String, Plain>,
    truth: Truth,
) -> Finding {
    Finding::new(rule, input, truth, OnUnknown::Manual, |how| {
        Refusal::new(
            Code::ProgrammeWindow,
            format!("{rule} of {} {how}", programme.header.id),
        )
        .with("programme", &programme.header.id)
    })
}

fn day(day: Option<LocalDay>) -> Plain {
    day.map_or_else(|| Plain::from(UNKNOWN), |day| Plain::from(day.to_string()))
}

/// Half open.
fn contains(span: Days, day: LocalDay) -> bool {
    span.from.is_none_or(|from| from <= day) && span.to.is_none_or(|to| day < to)
}

/// Whether one may apply at `at`.
fn applies_at(window: &Window, at: Timestamp, offset: UtcOffset) -> bool {
    let months = match window.recurring {
        None | Some(Recurring::None) => None,
        Some(Recurring::Month) => Some(1),
        Some(Recurring::Quarter) => Some(3),
        Some(Recurring::Year) => Some(12),
    };
    window.apply.iter().any(|span| match months {
        None => span.from <= at && at < span.to,
        Some(months) => recurs_at(*span, months, at, offset),
    })
}

/// Whether `at` lies in the span, or in the span moved on by a whole number of periods of `months`.
fn recurs_at(span: Moments, months: i64, at: Timestamp, offset: UtcOffset) -> bool {
    let month = |moment: Timestamp| {
        let (year, month, _) = moment.local_day(offset).civil();
        year * 12 + month - 1
    };
    let times = (month(at) - month(span.from)).div_euclid(months);
    // The span that began a period earlier may reach into this one.
    [times, times - 1]
        .into_iter()
        .filter(|times| *times >= 0)
        .any(|times| {
            let moved = |moment| move_on(moment, times * months, offset);
            moved(span.from) <= at && at < moved(span.to)
        })
}

/// The same local day of the month and time of day, `months` later.
fn move_on(moment: Timestamp, months: i64, offset: UtcOffset) -> Timestamp {
    let day = moment.local_day(offset);
    let second = moment
        .unix()
        .saturating_sub(day.start(offset).unix())
        .clamp(0, DAY_SECONDS - 1);
    day.plus_months(months).start(offset).after(second)
}

/// Whether a claim may still be made at `at` for service that ended at `service_end`.
#[must_use]
pub fn claim_in_time(programme: &Programme, service_end: Timestamp, at: Timestamp) -> bool {
    let offset = programme.header.utc_offset;
    programme.window.claim_within_days.is_none_or(|days| {
        let last = service_end.local_day(offset).plus_days(days);
        at.local_day(offset) <= last
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn window(from: &str, to: &str, recurring: Option<Recurring>) -> Window {
        Window {
            apply: vec![Moments {
                from: time(from),
                to: time(to),
            }],
            recurring,
            ..Window::default()
        }
    }

    #[test]
    fn a_window_is_half_open_in_local_time() {
        // 2025-09-01T00:00 to 2025-09-30T17:00 at +08:00.
        let window = window("2025-08-31T16:00:00Z", "2025-09-30T09:00:00Z", None);
        for (at, open) in [
            ("2025-08-31T15:59:59Z", false),
            ("2025-08-31T16:00:00Z", true),
            ("2025-09-30T08:59:59Z", true),
            ("2025-09-30T09:00:00Z", false),
            ("2026-09-10T09:00:00Z", false),
        ] {
            assert_eq!(
                applies_at(&window, time(at), UtcOffset::CHINA),
                open,
                "{at}"
            );
        }
    }

    #[test]
    fn a_quarterly_window_comes_back_on_the_same_days() {
        // 2026-07-20 to 2026-10-12T17:00, local: longer than its quarter.
        let window = window(
            "2026-07-19T16:00:00Z",
            "2026-10-12T09:00:00Z",
            Some(Recurring::Quarter),
        );
        for (at, open) in [
            ("2026-04-25T00:00:00Z", false),
            ("2026-07-19T15:59:59Z", false),
            ("2026-07-19T16:00:00Z", true),
            ("2026-10-12T08:59:59Z", true),
            ("2026-10-15T00:00:00Z", false),
            ("2026-10-19T16:00:00Z", true),
            ("2027-01-12T08:59:59Z", true),
            ("2027-01-12T09:00:00Z", false),
        ] {
            assert_eq!(
                applies_at(&window, time(at), UtcOffset::CHINA),
                open,
                "{at}"
            );
        }
    }

    #[test]
    fn a_claim_is_in_time_up_to_the_last_local_day() {
        let text = r#"
            id = "test-programme"
            scheme = "compute"
            fund = [{ id = "pot", funder = "city-finance" }]
            instrument = { mode = "deduct" }
            base = { of = ["metered"] }
            rate = { tier = [{ id = "all", bp = 3000 }] }
            window = { claim_within_days = 90 }
        "#;
        let file = crate::programme::ProgrammeFile::parse(text).unwrap();
        let programme = file.enact(&[]).unwrap();
        // 2025-12-31 local; 90 days later is 2026-03-31, over at 16:00 UTC.
        let end = time("2025-12-31T15:00:00Z");
        assert!(claim_in_time(&programme, end, time("2026-03-31T15:59:59Z")));
        assert!(!claim_in_time(
            &programme,
            end,
            time("2026-03-31T16:00:00Z")
        ));
    }
}
