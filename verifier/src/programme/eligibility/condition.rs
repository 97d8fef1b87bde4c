//! One condition on a fact, in three values.

use std::collections::BTreeMap;

use super::{Facts, UNKNOWN};
use crate::fact::{FactValue, ValueKind};
use crate::programme::Plain;
use crate::programme::schema::{Condition, Of, Region, Test};
use crate::time::LocalDay;

/// Yes, no, or nobody has recorded that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// It cannot be said.
    Unknown,
}

impl Truth {
    /// Whether both hold: a no outranks an unknown.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// Whether one of both holds: a yes outranks an unknown.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::No, Self::No) => Self::No,
        }
    }

    /// From a definite answer.
    pub(super) const fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// Whether a condition holds: for a site's fact, at each of the sites.
pub(super) fn holds(condition: &Condition, facts: &Facts, today: LocalDay) -> Truth {
    let values = facts.values(condition.of, condition.fact);
    values.into_iter().fold(Truth::Yes, |truth, value| {
        truth.and(match (value, &condition.test) {
            (None, _) => Truth::Unknown,
            (Some(value), Test::DifferentFrom(other)) => different(value, *other, condition, facts),
            (Some(value), test) => one(value, condition.fact.kind(), test, today),
        })
    })
}

/// Writes the values that a condition reads into a trace line, by `of.fact`.
pub(super) fn note(condition: &Condition, facts: &Facts, input: &mut BTreeMap<String, Plain>) {
    note_fact(condition.of, condition.fact, facts, input);
    if let Test::DifferentFrom(other) = &condition.test {
        note_fact(*other, condition.fact, facts, input);
    }
}

/// Writes one fact into a trace line; of several sites the first unknown one, or a list.
pub(super) fn note_fact(
    of: Of,
    fact: crate::fact::FactName,
    facts: &Facts,
    input: &mut BTreeMap<String, Plain>,
) {
    let values = facts.values(of, fact);
    let plain = match values.as_slice() {
        values if values.contains(&None) => Plain::from(UNKNOWN),
        [Some(value)] => plain(value),
        values => Plain::List(values.iter().flatten().map(|value| plain(value)).collect()),
    };
    input.insert(format!("{of}.{fact}"), plain);
}

fn plain(value: &FactValue) -> Plain {
    match value {
        FactValue::Absent => Plain::from("absent"),
        FactValue::Bool(value) => Plain::Bool(*value),
        FactValue::Int(value) => Plain::Int(*value),
        FactValue::Str(value) => Plain::from(value.as_str()),
        FactValue::List(items) => Plain::List(
            items
                .iter()
                .map(|item| Plain::from(item.as_str()))
                .collect(),
        ),
    }
}

fn different(value: &FactValue, other: Of, condition: &Condition, facts: &Facts) -> Truth {
    facts
        .values(other, condition.fact)
        .into_iter()
        .fold(Truth::Yes, |truth, theirs| {
            truth.and(theirs.map_or(Truth::Unknown, |theirs| Truth::of(theirs != value)))
        })
}

fn one(value: &FactValue, kind: ValueKind, test: &Test, today: LocalDay) -> Truth {
    match test {
        Test::Eq(wanted) => Truth::of(equals(value, wanted, kind)),
        Test::Ne(wanted) => Truth::of(!equals(value, wanted, kind)),
        Test::In(list) => Truth::of(is_in(value, list, kind)),
        Test::NotIn(list) => Truth::of(!is_in(value, list, kind)),
        Test::Gte(limit) => Truth::of(number(value).is_some_and(|n| n >= *limit)),
        Test::Lte(limit) => Truth::of(number(value).is_some_and(|n| n <= *limit)),
        Test::Gt(limit) => Truth::of(number(value).is_some_and(|n| n > *limit)),
        Test::Lt(limit) => Truth::of(number(value).is_some_and(|n| n < *limit)),
        Test::Exists => Truth::of(!value.is_absent()),
        Test::Absent { within_days } => absent(value, *within_days, today),
        Test::WithinDays(days) => match age(value, today) {
            Some(age) => Truth::of((0..=*days).contains(&age)),
            // A record is there, but its day is not.
            None if !value.is_absent() => Truth::Unknown,
            None => Truth::No,
        },
        Test::Includes(list) => Truth::of(list.iter().all(|word| words(value).contains(word))),
        Test::ExcludesAll(list) => Truth::of(!list.iter().any(|word| words(value).contains(word))),
        // Two subjects: answered by `different`.
        Test::DifferentFrom(_) => Truth::Unknown,
    }
}

fn equals(value: &FactValue, wanted: &FactValue, kind: ValueKind) -> bool {
    match (kind, wanted, value) {
        (ValueKind::Region, FactValue::Str(wanted), FactValue::Str(code)) => lies_in(code, wanted),
        _ => value == wanted,
    }
}

fn is_in(value: &FactValue, list: &[String], kind: ValueKind) -> bool {
    let FactValue::Str(word) = value else {
        return false;
    };
    list.iter().any(|wanted| match kind {
        ValueKind::Region => lies_in(word, wanted),
        ValueKind::Bool
        | ValueKind::Int
        | ValueKind::Word
        | ValueKind::Record
        | ValueKind::Words => wanted == word,
    })
}

fn lies_in(code: &str, region: &str) -> bool {
    let place = |text| Region::parse(text).ok();
    place(code)
        .zip(place(region))
        .is_some_and(|(code, region)| code.lies_in(region))
}

/// Absent, or longer ago than the look-back. A record without a day cannot be placed in a look-back.
fn absent(value: &FactValue, within_days: Option<i64>, today: LocalDay) -> Truth {
    match (value.is_absent(), within_days, age(value, today)) {
        (true, ..) => Truth::Yes,
        (false, None, _) => Truth::No,
        (false, Some(within), Some(age)) => Truth::of(age > within),
        (false, Some(_), None) => Truth::Unknown,
    }
}

/// How many days ago the day of a record was.
fn age(value: &FactValue, today: LocalDay) -> Option<i64> {
    let FactValue::Str(day) = value else {
        return None;
    };
    let day = LocalDay::parse(day).ok()?;
    Some(today.number().saturating_sub(day.number()))
}

const fn number(value: &FactValue) -> Option<i64> {
    match value {
        FactValue::Int(n) => Some(*n),
        FactValue::Absent | FactValue::Bool(_) | FactValue::Str(_) | FactValue::List(_) => None,
    }
}

fn words(value: &FactValue) -> &[String] {
    match value {
        FactValue::List(items) => items,
        FactValue::Absent | FactValue::Bool(_) | FactValue::Int(_) | FactValue::Str(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::FactName;

    fn text(text: &str) -> FactValue {
        FactValue::Str(text.into())
    }

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table, one row a case")]
    fn each_operator_says_yes_at_its_limit_and_no_one_past_it() {
        use Truth::{No, Unknown, Yes};
        let today = LocalDay::new(2026, 1, 10).unwrap();
        let rows = [
            (ValueKind::Word, text("micro"), Test::Eq(text("micro")), Yes),
            (ValueKind::Word, text("small"), Test::Eq(text("micro")), No),
            (
                ValueKind::Word,
                FactValue::Absent,
                Test::Eq(text("micro")),
                No,
            ),
            (
                ValueKind::Word,
                FactValue::Absent,
                Test::Ne(text("micro")),
                Yes,
            ),
            (
                ValueKind::Bool,
                FactValue::Bool(false),
                Test::Eq(FactValue::Bool(false)),
                Yes,
            ),
            (
                ValueKind::Region,
                text("440305"),
                Test::Eq(text("440300")),
                Yes,
            ),
            (
                ValueKind::Region,
                text("440305"),
                Test::In(list(&["410000", "440000"])),
                Yes,
            ),
            (
                ValueKind::Region,
                text("440405"),
                Test::In(list(&["440300"])),
                No,
            ),
            (
                ValueKind::Region,
                text("440405"),
                Test::NotIn(list(&["440300"])),
                Yes,
            ),
            (ValueKind::Word, text("a"), Test::In(list(&["b", "a"])), Yes),
            (ValueKind::Int, FactValue::Int(100), Test::Gte(100), Yes),
            (ValueKind::Int, FactValue::Int(99), Test::Gte(100), No),
            (ValueKind::Int, FactValue::Int(100), Test::Lte(100), Yes),
            (ValueKind::Int, FactValue::Int(101), Test::Lte(100), No),
            (ValueKind::Int, FactValue::Int(100), Test::Gt(100), No),
            (ValueKind::Int, FactValue::Int(99), Test::Lt(100), Yes),
            (ValueKind::Word, text("x"), Test::Exists, Yes),
            (ValueKind::Word, FactValue::Absent, Test::Exists, No),
            (ValueKind::Words, FactValue::List(vec![]), Test::Exists, No),
            (
                ValueKind::Record,
                FactValue::Bool(false),
                Test::Absent {
                    within_days: Some(9),
                },
                Yes,
            ),
            (
                ValueKind::Record,
                text("2026-01-01"),
                Test::Absent {
                    within_days: Some(9),
                },
                No,
            ),
            (
                ValueKind::Record,
                text("2025-12-31"),
                Test::Absent {
                    within_days: Some(9),
                },
                Yes,
            ),
            (
                ValueKind::Record,
                text("2025-12-31"),
                Test::Absent { within_days: None },
                No,
            ),
            (
                ValueKind::Record,
                FactValue::Bool(true),
                Test::Absent {
                    within_days: Some(9),
                },
                Unknown,
            ),
            (
                ValueKind::Record,
                FactValue::Bool(true),
                Test::Absent { within_days: None },
                No,
            ),
            (
                ValueKind::Record,
                text("2026-01-01"),
                Test::WithinDays(9),
                Yes,
            ),
            (
                ValueKind::Record,
                text("2026-01-01"),
                Test::WithinDays(8),
                No,
            ),
            (
                ValueKind::Record,
                text("2026-01-11"),
                Test::WithinDays(8),
                No,
            ),
            (
                ValueKind::Record,
                FactValue::Bool(true),
                Test::WithinDays(8),
                Unknown,
            ),
            (
                ValueKind::Record,
                FactValue::Bool(false),
                Test::WithinDays(8),
                No,
            ),
            (
                ValueKind::Words,
                FactValue::List(list(&["a", "b"])),
                Test::Includes(list(&["b", "a"])),
                Yes,
            ),
            (
                ValueKind::Words,
                FactValue::List(list(&["a"])),
                Test::Includes(list(&["b", "a"])),
                No,
            ),
            (
                ValueKind::Words,
                FactValue::List(list(&["a"])),
                Test::ExcludesAll(list(&["b"])),
                Yes,
            ),
            (
                ValueKind::Words,
                FactValue::List(list(&["a", "b"])),
                Test::ExcludesAll(list(&["b"])),
                No,
            ),
            (
                ValueKind::Words,
                FactValue::Absent,
                Test::ExcludesAll(list(&["b"])),
                Yes,
            ),
        ];
        for (kind, value, test, truth) in rows {
            assert_eq!(one(&value, kind, &test, today), truth, "{value} {test:?}");
        }
    }

    #[test]
    fn what_is_not_recorded_is_unknown_even_to_exists_and_absent() {
        let today = LocalDay::new(2026, 1, 10).unwrap();
        for test in [
            Test::Exists,
            Test::Absent { within_days: None },
            Test::Ne(text("x")),
        ] {
            let condition = Condition {
                of: Of::Holder,
                fact: FactName::SmeClass,
                test,
            };
            assert_eq!(holds(&condition, &Facts::default(), today), Truth::Unknown);
        }
    }

    #[test]
    fn a_rule_about_sites_must_hold_at_each_and_a_no_outranks_an_unknown() {
        let today = LocalDay::new(2026, 1, 10).unwrap();
        let condition = Condition {
            of: Of::Site,
            fact: FactName::Racks,
            test: Test::Gte(10),
        };
        let site = |racks: i64| BTreeMap::from([(FactName::Racks, FactValue::Int(racks))]);
        let mut facts = Facts::default();
        assert_eq!(holds(&condition, &facts, today), Truth::Unknown);
        facts.add_site(site(10));
        assert_eq!(holds(&condition, &facts, today), Truth::Yes);
        facts.add_site(BTreeMap::new());
        assert_eq!(holds(&condition, &facts, today), Truth::Unknown);
        facts.add_site(site(9));
        assert_eq!(holds(&condition, &facts, today), Truth::No);
        assert_eq!(holds(&condition, &facts.only_site(0), today), Truth::Yes);
    }

    #[test]
    fn different_from_compares_the_same_fact_of_two_subjects() {
        let today = LocalDay::new(2026, 1, 10).unwrap();
        let test = Test::DifferentFrom(Of::Seller);
        let condition = Condition {
            of: Of::Holder,
            fact: FactName::Zone,
            test,
        };
        let mut facts = Facts::default();
        facts.set(Of::Holder, FactName::Zone, text("etown"));
        assert_eq!(holds(&condition, &facts, today), Truth::Unknown);
        facts.set(Of::Seller, FactName::Zone, text("etown"));
        assert_eq!(holds(&condition, &facts, today), Truth::No);
        facts.set(Of::Seller, FactName::Zone, text("zhangjiang"));
        assert_eq!(holds(&condition, &facts, today), Truth::Yes);
    }
}
