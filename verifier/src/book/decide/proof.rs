//! Proof of use: a usage receipt that names a dataset releases what its data order holds back (DESIGN §9).
//!
//! The data order's statement is part of the receipt's own entry. Both statements are made on the book before the entry;
//! where they would together pass a limit that each alone keeps, the proof waits for a later receipt.

use crate::book::Book;
use crate::book::decide::{Case, Decision};
use crate::book::found::Proven;
use crate::book::state::order::Standing;
use crate::id::{OrderId, PartyId};
use crate::ledger::Postings;
use crate::receipt::{ComputeUsage, Kind};
use crate::refusal::{Code, Refusal};
use crate::settlement::Outcome;
use crate::settlement::evidence::{Evidence, Says};
use crate::settlement::fund::merge_counters;
use crate::settlement::statement::Stated;
use std::collections::BTreeSet;

/// The most data orders that one receipt proves: an entry has a size; the next receipt proves more.
const PROVEN_MAX: usize = 8;

/// Adds to the decision on a receipt what it proves of its buyer's data orders.
pub(super) fn prove(
    case: &Case<'_>,
    (claims, buyer): (&ComputeUsage, PartyId),
    decision: &mut Decision,
) -> Result<(), Refusal> {
    // A correction proves nothing new, and idle cards prove no use.
    if claims.kind == Kind::Correction || claims.gpu_seconds.get() == 0 {
        return Ok(());
    }
    let mut proven = Vec::new();
    for order in unproven(case.book, claims, buyer)
        .into_iter()
        .take(PROVEN_MAX)
    {
        let outcome = case.book.money.evidence(case.env.at, &evidence(order))?;
        if clashes(case.book, decision, &outcome)? {
            continue;
        }
        let legs = [&decision.postings, &outcome.postings];
        let legs = legs
            .iter()
            .flat_map(|postings| postings.legs().iter().cloned());
        decision.postings = Postings::sum(legs)
            .map_err(|fault| Refusal::new(Code::AmountOverflow, fault.to_string()))?;
        merge_counters(&mut decision.counters, outcome.counters);
        decision.scopes.extend(case.book.order_scopes(order)?);
        proven.push(Proven {
            order,
            stated: outcome.found,
        });
    }
    decision.found.proven = (!proven.is_empty()).then_some(proven);
    Ok(())
}

/// What the money machine is told of a data order.
pub(in crate::book) const fn evidence(order: OrderId) -> Evidence {
    Evidence {
        order,
        says: Says::UseProven,
    }
}

/// The buyer's open, accepted data orders that the receipt names and nothing has proven yet, each once.
fn unproven(book: &Book, claims: &ComputeUsage, buyer: PartyId) -> BTreeSet<OrderId> {
    let inputs = claims.inputs.iter().flatten();
    let orders = inputs.filter_map(|digest| book.licences.get(&(buyer, *digest)));
    let is_open = |order: &&OrderId| {
        let order = book.orders.get(*order);
        order.is_some_and(|order| order.standing == Standing::Open)
    };
    orders.flatten().filter(is_open).copied().collect()
}

/// Whether two outcomes draw on an account that cannot pay both, or move one counter: each alone passed its limit.
fn clashes(book: &Book, decision: &Decision, outcome: &Outcome<Stated>) -> Result<bool, Refusal> {
    for (account, fen) in outcome.postings.legs() {
        let mut others = decision.postings.legs().iter();
        let Some((_, more)) = others.find(|(other, _)| other == account) else {
            continue;
        };
        let after = book.money.balance(account).plus(*fen)?.plus(*more)?;
        if after.is_negative() && !account.may_be_negative() {
            return Ok(true);
        }
    }
    let mut moved = outcome.counters.iter();
    let is_moved = |key| decision.counters.iter().any(|(other, _)| other == key);
    Ok(moved.any(|(key, _)| is_moved(key)))
}
