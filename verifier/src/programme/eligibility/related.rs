//! Buyer and seller must not be too close (PROGRAMMES §1 `[related]`), from recorded facts alone.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::{Truth, note_fact};
use super::{Answer, Facts, Finding, Matter, UNKNOWN};
use crate::fact::{FactName, FactValue};
use crate::id::PartyId;
use crate::programme::Plain;
use crate::programme::schema::{Of, Related, Relation};
use crate::refusal::{Code, Refusal};

/// One line a denied relation.
pub(super) fn check(rule: &Related, matter: &Matter, answer: &mut Answer) {
    for relation in &rule.deny {
        let mut input = BTreeMap::new();
        for (of, fact) in facts_of(*relation) {
            note_fact(*of, *fact, &matter.facts, &mut input);
        }
        if matter.seller.is_none() {
            input.insert("seller".into(), Plain::from(UNKNOWN));
        }
        let truth = matter.seller.map_or(Truth::Unknown, |seller| {
            apart(*relation, matter.holder, seller, &matter.facts)
        });
        let name = format!("related.{relation}");
        answer.add(Finding::new(name, input, truth, rule.unknown, |how| {
            Refusal::new(
                Code::ProgrammeRelated,
                format!("that buyer and seller are not related ({relation}) {how}"),
            )
            .with("relation", relation)
        }));
    }
}

const fn facts_of(relation: Relation) -> &'static [(Of, FactName)] {
    match relation {
        Relation::SameParty => &[],
        Relation::SameGroup => &[(Of::Holder, FactName::Group), (Of::Seller, FactName::Group)],
        Relation::Controller => &[
            (Of::Holder, FactName::Controller),
            (Of::Seller, FactName::Controller),
        ],
        Relation::LegalRepresentative => &[
            (Of::Holder, FactName::LegalRepresentative),
            (Of::Seller, FactName::LegalRepresentative),
        ],
        Relation::SelfUse => &[(Of::Site, FactName::SiteOwner)],
        Relation::Mutual24m => &[
            (Of::Holder, FactName::MutualTrade24m),
            (Of::Seller, FactName::MutualTrade24m),
        ],
    }
}

/// The facts that the rule reads.
pub(super) fn facts_read(rule: &Related) -> BTreeSet<(Of, FactName)> {
    rule.deny
        .iter()
        .flat_map(|relation| facts_of(*relation))
        .copied()
        .collect()
}

/// Whether the two are *not* related in this way.
fn apart(relation: Relation, holder: PartyId, seller: PartyId, facts: &Facts) -> Truth {
    let both = |fact| (facts.get(Of::Holder, fact), facts.get(Of::Seller, fact));
    match relation {
        Relation::SameParty => Truth::of(holder != seller),
        Relation::SameGroup => different_words(both(FactName::Group)),
        Relation::LegalRepresentative => different_words(both(FactName::LegalRepresentative)),
        Relation::Controller => controlled_apart(both(FactName::Controller), holder, seller),
        Relation::SelfUse => foreign_site(holder, facts),
        Relation::Mutual24m => never_mutual(both(FactName::MutualTrade24m), holder, seller),
    }
}

/// Two words that differ, or one side that is recorded as having none.
fn different_words(both: (Option<&FactValue>, Option<&FactValue>)) -> Truth {
    match both {
        (Some(FactValue::Absent), _) | (_, Some(FactValue::Absent)) => Truth::Yes,
        (Some(one), Some(other)) => Truth::of(one != other),
        (None, _) | (_, None) => Truth::Unknown,
    }
}

/// No common controller, and neither controls the other. A hit needs one side only, an all-clear needs both.
fn controlled_apart(
    both: (Option<&FactValue>, Option<&FactValue>),
    holder: PartyId,
    seller: PartyId,
) -> Truth {
    let (holders, sellers) = (names(both.0), names(both.1));
    let common = holders.iter().any(|name| sellers.contains(name));
    if common || holds(holders, seller) || holds(sellers, holder) {
        return Truth::No;
    }
    match both {
        (Some(_), Some(_)) => Truth::Yes,
        (None, _) | (_, None) => Truth::Unknown,
    }
}

/// Neither lists the other; one complete list is enough, for trade is mutual.
fn never_mutual(
    both: (Option<&FactValue>, Option<&FactValue>),
    holder: PartyId,
    seller: PartyId,
) -> Truth {
    if holds(names(both.0), seller) || holds(names(both.1), holder) {
        return Truth::No;
    }
    match both {
        (None, None) => Truth::Unknown,
        (Some(_), _) | (_, Some(_)) => Truth::Yes,
    }
}

/// No site of the order belongs to the holder (自建自用).
fn foreign_site(holder: PartyId, facts: &Facts) -> Truth {
    let own = holder.to_string();
    facts
        .values(Of::Site, FactName::SiteOwner)
        .into_iter()
        .fold(Truth::Yes, |truth, owner| {
            truth.and(match owner {
                None => Truth::Unknown,
                Some(FactValue::Str(owner)) => Truth::of(*owner != own),
                Some(
                    FactValue::Absent | FactValue::Bool(_) | FactValue::Int(_) | FactValue::List(_),
                ) => Truth::Yes,
            })
        })
}

fn names(value: Option<&FactValue>) -> &[String] {
    match value {
        Some(FactValue::List(names)) => names,
        Some(FactValue::Absent | FactValue::Bool(_) | FactValue::Int(_) | FactValue::Str(_))
        | None => &[],
    }
}

fn holds(names: &[String], party: PartyId) -> bool {
    let party = party.to_string();
    names.contains(&party)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Salt;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table, one row a case")]
    fn each_relation_is_found_cleared_or_left_open() {
        use Truth::{No, Unknown, Yes};
        let holder = PartyId::draw(&Salt::new([1; 16]), 1, 0);
        let seller = PartyId::draw(&Salt::new([2; 16]), 1, 0);
        let word = |text: &str| Some(FactValue::Str(text.into()));
        let list = |names: &[&str]| {
            Some(FactValue::List(
                names.iter().map(|n| (*n).to_owned()).collect(),
            ))
        };
        let absent = Some(FactValue::Absent);
        let (h, s) = (holder.to_string(), seller.to_string());
        let rows = [
            (
                Relation::SameGroup,
                FactName::Group,
                word("grp-1"),
                word("grp-1"),
                No,
            ),
            (
                Relation::SameGroup,
                FactName::Group,
                word("grp-1"),
                word("grp-2"),
                Yes,
            ),
            (
                Relation::SameGroup,
                FactName::Group,
                absent.clone(),
                None,
                Yes,
            ),
            (
                Relation::SameGroup,
                FactName::Group,
                word("grp-1"),
                None,
                Unknown,
            ),
            (
                Relation::LegalRepresentative,
                FactName::LegalRepresentative,
                word("psn-1"),
                word("psn-1"),
                No,
            ),
            (
                Relation::LegalRepresentative,
                FactName::LegalRepresentative,
                None,
                word("psn-1"),
                Unknown,
            ),
            (
                Relation::Controller,
                FactName::Controller,
                list(&["psn-1"]),
                list(&["psn-2", "psn-1"]),
                No,
            ),
            (
                Relation::Controller,
                FactName::Controller,
                list(&["psn-1"]),
                list(&["psn-2"]),
                Yes,
            ),
            (
                Relation::Controller,
                FactName::Controller,
                list(&[&s]),
                None,
                No,
            ),
            (
                Relation::Controller,
                FactName::Controller,
                None,
                list(&[&h]),
                No,
            ),
            (
                Relation::Controller,
                FactName::Controller,
                list(&[]),
                None,
                Unknown,
            ),
            (
                Relation::Controller,
                FactName::Controller,
                list(&[]),
                absent.clone(),
                Yes,
            ),
            (
                Relation::Mutual24m,
                FactName::MutualTrade24m,
                list(&[&s]),
                None,
                No,
            ),
            (
                Relation::Mutual24m,
                FactName::MutualTrade24m,
                list(&[]),
                None,
                Yes,
            ),
            (
                Relation::Mutual24m,
                FactName::MutualTrade24m,
                None,
                None,
                Unknown,
            ),
        ];
        for (relation, fact, holders, sellers, truth) in rows {
            let mut facts = Facts::default();
            for (of, value) in [(Of::Holder, holders), (Of::Seller, sellers)] {
                facts.of.extend(value.map(|value| ((of, fact), value)));
            }
            assert_eq!(
                apart(relation, holder, seller, &facts),
                truth,
                "{relation} {facts:?}"
            );
        }
        assert_eq!(
            apart(Relation::SameParty, holder, holder, &Facts::default()),
            No
        );
        assert_eq!(
            apart(Relation::SameParty, holder, seller, &Facts::default()),
            Yes
        );
    }

    #[test]
    fn a_site_that_the_buyer_owns_is_self_use() {
        let holder = PartyId::draw(&Salt::new([1; 16]), 1, 0);
        let site =
            |owner: &str| BTreeMap::from([(FactName::SiteOwner, FactValue::Str(owner.into()))]);
        let mut facts = Facts::default();
        assert_eq!(
            apart(Relation::SelfUse, holder, holder, &facts),
            Truth::Unknown
        );
        facts.add_site(site("pty-aaaaaaaaaaaaaaaa"));
        assert_eq!(apart(Relation::SelfUse, holder, holder, &facts), Truth::Yes);
        facts.add_site(site(&holder.to_string()));
        assert_eq!(apart(Relation::SelfUse, holder, holder, &facts), Truth::No);
    }
}
