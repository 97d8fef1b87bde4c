//! What an entry about a compromised key says of the orders that are seen: it freezes and decides claims of every fund at once.
//!
//! Such an entry is common, and names more claims than whoever sees some funds knows orders of. Its part on orders of funds that are
//! seen whole is applied and decided again; an order that also draws on other funds cannot be told from a part.

use std::collections::{BTreeMap, BTreeSet};

use crate::book::Book;
use crate::book::command::Command;
use crate::book::entry::Entry;
use crate::id::{FundId, OrderId};
use crate::ledger::Postings;

/// What of an entry is about orders that are seen whole.
pub(super) struct Part {
    /// The entry, without all else.
    pub(super) entry: Entry,
    /// Funds that are seen whole, and are moved by what was left out: their state is unknown from here on.
    pub(super) lost: BTreeSet<FundId>,
}

/// Whether an entry freezes or decides what compromised keys have earned, be it nothing.
pub(super) const fn is_of_many(entry: &Entry) -> bool {
    let revoked =
        matches!(&entry.asked, Command::RevokeKey(asked) if asked.compromised_since.is_some());
    revoked || entry.found.ruled.is_some()
}

/// Whether an entry says all that there is to say of the orders that it is about: it is not one of several, and nobody chose.
#[expect(clippy::wildcard_enum_match_arm, reason = "all others are of no key")]
pub(super) fn is_all(entry: &Entry) -> bool {
    let is_one = match &entry.asked {
        Command::RevokeKey(asked) => asked.after.is_none(),
        Command::DecideCase(asked) => asked.claims.is_none(),
        _ => false,
    };
    let frozen = entry.found.frozen.as_ref();
    let ruled = entry.found.ruled.as_ref();
    is_one
        && frozen.is_none_or(|frozen| frozen.next.is_none())
        && ruled.is_none_or(|ruled| ruled.left == 0)
}

/// Cuts an entry to the orders whose every fund is seen whole.
pub(super) fn of(book: &Book, entry: &Entry, is_whole: impl Fn(&FundId) -> bool) -> Part {
    let frozen = entry.found.frozen.iter().flat_map(|of| &of.claims);
    let mut named: BTreeSet<OrderId> = frozen.map(|of| of.order).collect();
    let ruled = entry.found.ruled.iter().flat_map(|of| &of.claims);
    named.extend(ruled.map(|of| of.order));
    let known = named.iter();
    let known = known.filter_map(|order| Some((*order, funds(book, *order)?)));
    let mut kept: BTreeMap<OrderId, BTreeSet<FundId>> = known.collect();
    let mut lost: BTreeSet<FundId> = BTreeSet::new();
    // What one order moves in a fund cannot be told from what another does: with one all of the fund are left out.
    loop {
        let is_out = |fund: &FundId| lost.contains(fund) || !is_whole(fund);
        let (out, rest) = kept
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, funds)| funds.iter().any(is_out));
        kept = rest;
        if out.is_empty() {
            break;
        }
        lost.extend(out.into_values().flatten());
    }
    lost.retain(|fund| is_whole(fund));
    let mut part = entry.clone();
    if let Some(frozen) = &mut part.found.frozen {
        frozen.claims.retain(|of| kept.contains_key(&of.order));
    }
    if let Some(ruled) = &mut part.found.ruled {
        ruled.claims.retain(|of| kept.contains_key(&of.order));
        ruled.stated.retain(|of| kept.contains_key(&of.order));
        ruled.frozen.retain(|of| kept.contains_key(&of.order));
    }
    let own: BTreeSet<&FundId> = kept.values().flatten().collect();
    let legs = entry.postings.legs().iter().cloned();
    let legs = legs.filter(|(account, _)| own.contains(account.fund()));
    part.postings = Postings::sum(legs).unwrap_or_default();
    Part { entry: part, lost }
}

fn funds(book: &Book, order: OrderId) -> Option<BTreeSet<FundId>> {
    let order = book.money.order(order).ok()?;
    let sums = order.claims.iter().flat_map(|claim| &claim.sums.funds);
    Some(sums.map(|sums| sums.fund.clone()).collect())
}

/// Whether two parts freeze, decide and move the same.
pub(super) fn agree(ours: &Entry, part: &Entry) -> bool {
    let frozen = |entry: &Entry| entry.found.frozen.clone().unwrap_or_default().claims;
    let ruled = |entry: &Entry| {
        let ruled = entry.found.ruled.clone().unwrap_or_default();
        (ruled.claims, ruled.stated, ruled.frozen)
    };
    frozen(ours) == frozen(part) && ruled(ours) == ruled(part) && ours.postings == part.postings
}
