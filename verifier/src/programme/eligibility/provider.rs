//! Who may supply (PROGRAMMES §1 `[providers]`). Rules about sites concern compute alone.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::{self, Truth};
use super::{Answer, Finding, Matter, UNKNOWN};
use crate::fact::{FactName, FactValue};
use crate::programme::schema::{
    ChipRule, Condition, Of, OnUnknown, Providers, Scheme, Test, Venue,
};
use crate::programme::{Plain, Programme};
use crate::refusal::{Code, Refusal};

/// List, thresholds, place, chips, venue.
pub(super) fn check(programme: &Programme, matter: &Matter, answer: &mut Answer) {
    let rules = &programme.providers;
    if let Some(list) = &rules.list {
        let listed = matter.seller_listed;
        let shown = listed.map_or_else(|| Plain::from(UNKNOWN), Plain::Bool);
        let input = BTreeMap::from([(format!("list.{list}"), shown)]);
        answer.add(finding(
            programme,
            "providers.list",
            input,
            listed.map_or(Truth::Unknown, Truth::of),
        ));
    }
    if matter.scheme == Scheme::Compute {
        for (place, threshold) in rules.require.iter().enumerate() {
            answer.add(any(
                programme,
                &format!("providers.require.{place}"),
                &threshold.any,
                matter,
            ));
        }
        for (rule, condition) in site_conditions(rules) {
            answer.add(any(programme, rule, &[condition], matter));
        }
    }
    if let Some(condition) = venue_condition(rules) {
        answer.add(any(programme, "providers.venue", &[condition], matter));
    }
}

fn site_conditions(rules: &Providers) -> Vec<(&'static str, Condition)> {
    let mut conditions = Vec::new();
    if !rules.site_in.is_empty() {
        let regions = rules.site_in.iter().map(ToString::to_string).collect();
        conditions.push((
            "providers.site_in",
            on_site(FactName::LocatedIn, Test::In(regions)),
        ));
    }
    match rules.chip {
        // `tier`: the rate's tiers ask for the chip themselves.
        ChipRule::Any | ChipRule::Tier => {}
        ChipRule::Required => {
            let domestic = Test::Eq(FactValue::Str("domestic".into()));
            conditions.push(("providers.chip", on_site(FactName::ChipOrigin, domestic)));
        }
        ChipRule::DeniedList => {
            let allowed = Test::Eq(FactValue::Bool(false));
            conditions.push(("providers.chip", on_site(FactName::ChipDenied, allowed)));
        }
    }
    conditions
}

fn venue_condition(rules: &Providers) -> Option<Condition> {
    let venue = match rules.venue {
        Venue::Any => return None,
        Venue::Platform | Venue::DataExchange => rules.venue,
    };
    Some(Condition {
        of: Of::Order,
        fact: FactName::TradeVenue,
        test: Test::Eq(FactValue::Str(venue.as_str().into())),
    })
}

const fn on_site(fact: FactName, test: Test) -> Condition {
    Condition {
        of: Of::Site,
        fact,
        test,
    }
}

fn any(programme: &Programme, rule: &str, conditions: &[Condition], matter: &Matter) -> Finding {
    let today = matter.at.local_day(programme.header.utc_offset);
    let mut input = BTreeMap::new();
    let mut truth = Truth::No;
    for condition in conditions {
        condition::note(condition, &matter.facts, &mut input);
        truth = truth.or(condition::holds(condition, &matter.facts, today));
    }
    finding(programme, rule, input, truth)
}

fn finding(
    programme: &Programme,
    rule: &str,
    input: BTreeMap<String, Plain>,
    truth: Truth,
) -> Finding {
    Finding::new(rule, input, truth, OnUnknown::Manual, |how| {
        Refusal::new(
            Code::ProgrammeProvider,
            format!(
                "{rule} of {} {how}; choose another supplier",
                programme.header.id
            ),
        )
        .with("programme", &programme.header.id)
    })
}

/// The facts that these rules read.
pub(super) fn facts_read(rules: &Providers) -> BTreeSet<(Of, FactName)> {
    let conditions = site_conditions(rules)
        .into_iter()
        .map(|(_, condition)| condition);
    conditions
        .chain(venue_condition(rules))
        .map(|condition| (condition.of, condition.fact))
        .collect()
}
