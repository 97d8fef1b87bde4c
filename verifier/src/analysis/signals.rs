//! Patterns that are worth a look (DESIGN §9): each a pure function with its threshold, showing entries, parties and numbers.
//!
//! A signal is never a verdict and refuses nothing: honest trade shows each of them now and then. It says where a person
//! should read on, and may open a case.

mod load;
mod trade;
mod voucher;

use serde::Serialize;
use std::collections::BTreeMap;

use super::Study;
use crate::book::state::fact::Subject;
use crate::fact::{FactName, FactValue};
use crate::id::{OrderId, PartyId};

/// A signal names at most so many entries; `entries` among its numbers says how many there are.
const ENTRIES_SHOWN_MAX: usize = 20;

/// One kind of signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it looks for.
    pub looks_for: &'static str,
    /// From where on it shows, by name.
    pub thresholds: &'static [(&'static str, i64)],
}

/// Something that one kind of signal saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signal {
    /// Which kind.
    pub signal: &'static str,
    /// Whom it is about.
    pub parties: Vec<PartyId>,
    /// What it is about: orders, vouchers, counters.
    pub subjects: Vec<String>,
    /// Where to read on.
    pub entries: Vec<u64>,
    /// What was measured, by name; money in fen.
    pub numbers: BTreeMap<&'static str, i64>,
}

/// What was looked for, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signals {
    /// Every kind, in the order of DESIGN §9.
    pub kinds: Vec<Kind>,
    /// What was seen, kind by kind.
    pub seen: Vec<Signal>,
}

/// A kind and its function.
type Looked = (Kind, fn(&Study) -> Vec<Signal>);

const ALL: [Looked; 9] = [
    (trade::PAIR_SHARE, trade::pair_share),
    (trade::CYCLES, trade::cycles),
    (voucher::CAP_HUGGING, voucher::cap_hugging),
    (trade::SPLITTING, trade::splitting),
    (trade::PRICE_OUTLIERS, trade::price_outliers),
    (voucher::NEVER_USED, voucher::never_used),
    (trade::FRESH_PARTIES, trade::fresh_parties),
    (load::FLAT_LOAD, load::flat_load),
    (load::HOUR_WALL, load::hour_wall),
];

/// Looks for every kind.
#[must_use]
pub fn signals(study: &Study) -> Signals {
    Signals {
        kinds: ALL.iter().map(|(kind, _)| *kind).collect(),
        seen: ALL.iter().flat_map(|(_, look)| look(study)).collect(),
    }
}

impl Signal {
    fn new(
        kind: &Kind,
        parties: impl IntoIterator<Item = PartyId>,
        numbers: impl IntoIterator<Item = (&'static str, i64)>,
    ) -> Self {
        Self {
            signal: kind.name,
            parties: parties.into_iter().collect(),
            subjects: Vec::new(),
            entries: Vec::new(),
            numbers: numbers.into_iter().collect(),
        }
    }

    /// Names orders, and the entries that placed them.
    fn orders(mut self, study: &Study, orders: impl IntoIterator<Item = OrderId>) -> Self {
        let mut count = 0;
        for order in orders {
            count += 1;
            if self.entries.len() < ENTRIES_SHOWN_MAX {
                self.subjects.push(order.to_string());
                self.entries.extend(study.seen().placed.get(&order));
            }
        }
        self.numbers.insert("orders", count);
        self
    }
}

/// What an order's claims are granted now, in fen.
fn granted(study: &Study, order: OrderId) -> i64 {
    let Ok(order) = study.book().money.order(order) else {
        return 0;
    };
    let funds = order.claims.iter().flat_map(|claim| &claim.sums.funds);
    funds
        .map(|fund| fund.granted.get())
        .fold(0, i64::saturating_add)
}

/// Whoever belongs together by the facts `group`, `controller` and `legal_representative`, named by its smallest party.
struct Households(BTreeMap<PartyId, PartyId>);

impl Households {
    fn of(study: &Study) -> Self {
        let mut all = Self(BTreeMap::new());
        let mut first: BTreeMap<(FactName, String), PartyId> = BTreeMap::new();
        for ((subject, name), recorded) in study.book().facts.iter() {
            let Subject::Party(party) = *subject else {
                continue;
            };
            let ties = matches!(
                name,
                FactName::Group | FactName::Controller | FactName::LegalRepresentative
            );
            for tie in recorded
                .iter()
                .filter(|_| ties)
                .flat_map(|one| words(&one.value))
            {
                let other = *first.entry((*name, tie.clone())).or_insert(party);
                all.join(party, other);
            }
        }
        all
    }

    fn find(&self, party: PartyId) -> PartyId {
        let mut now = party;
        // A parent is always smaller, so this ends.
        while let Some(parent) = self.0.get(&now).filter(|parent| **parent < now) {
            now = *parent;
        }
        now
    }

    fn join(&mut self, one: PartyId, other: PartyId) {
        let (one, other) = (self.find(one), self.find(other));
        let (small, large) = (one.min(other), one.max(other));
        if small < large {
            self.0.insert(large, small);
        }
    }
}

fn words(value: &FactValue) -> &[String] {
    match value {
        FactValue::Str(word) => std::slice::from_ref(word),
        FactValue::List(words) => words,
        FactValue::Absent | FactValue::Bool(_) | FactValue::Int(_) => &[],
    }
}
