//! A compromised key: revoked, its earnings frozen and decided.

use crate::book::apply::receipt::{not_to_prove, unproven};
use crate::book::apply::{outcome, written};
use crate::book::command::{CaseSubject, DecideCase, RevokeKey};
use crate::book::entry::Entry;
use crate::book::state::case::{Case, Progress};
use crate::book::state::chain::Spoken;
use crate::book::state::compromise::Compromise;
use crate::book::{Book, Inconsistency};
use crate::id::{CaseId, OrderId};
use crate::ledger::ClaimIndex;
use crate::money::{Fen, Overflow};
use crate::settlement::freeze::{Frozen, FrozenClaim, Ruling};

pub(super) fn revoke(
    book: &mut Book,
    entry: &Entry,
    asked: &RevokeKey,
) -> Result<(), Inconsistency> {
    let key = book.keys.get_mut(&asked.kid);
    let key = key.ok_or_else(|| entry.contradicts(&"no such key"))?;
    let party = key.party;
    if asked.after.is_none() {
        key.revoked = Some((entry.at, asked.reason));
    }
    let (Some(id), Some(since)) = (entry.found.case, asked.compromised_since) else {
        return Ok(());
    };
    if let Some(frozen) = &entry.found.frozen {
        let outcome = outcome(entry, Some(frozen), "frozen")?;
        let applied = book.money.apply_freeze(&outcome);
        applied.map_err(|fault| entry.contradicts(&fault))?;
    }
    book.cases.entry(id).or_insert(Case {
        party,
        opened_by: entry.actor,
        opened_at: entry.at,
        subject: CaseSubject::Compromise { kid: asked.kid },
        progress: Progress::Open,
    });
    let compromise = book.compromises.entry(id).or_insert(Compromise {
        kid: asked.kid,
        since,
        claims: std::collections::BTreeMap::new(),
        next: None,
    });
    let Frozen { claims, next } = entry.found.frozen.clone().unwrap_or_default();
    compromise.next = next;
    let claims = claims.into_iter();
    let claims = claims.map(|frozen| ((frozen.order, frozen.claim), frozen.fen));
    compromise.claims.extend(claims);
    end(book, entry, (id, true));
    Ok(())
}

/// Takes over what an office decided.
pub(super) fn decide(
    book: &mut Book,
    entry: &Entry,
    asked: &DecideCase,
) -> Result<(), Inconsistency> {
    let outcome = outcome(entry, entry.found.ruled.as_ref(), "ruled")?;
    let ruled = outcome.found.claims.iter();
    let claims: Vec<(OrderId, ClaimIndex)> = ruled.map(|of| (of.order, of.claim)).collect();
    let rulings = book.rulings(asked.case, &claims, asked.approved);
    let rulings = rulings.map_err(|refusal| entry.contradicts(&refusal))?;
    let applied = book.money.apply_rule(entry.at, &rulings, &outcome);
    applied.map_err(|fault| entry.contradicts(&fault))?;
    for ruling in &rulings {
        speak_again(book, entry, ruling);
    }
    for (order, claim) in &claims {
        let order = book.money.order(*order).ok();
        let of = order.and_then(|order| order.claim(*claim).ok());
        let programme = written(entry, of, "claim")?.programme.clone();
        book.deciders.insert((programme, entry.actor));
    }
    let compromise = book.compromises.get_mut(&asked.case);
    let compromise = compromise.ok_or_else(|| entry.contradicts(&"nothing waits"))?;
    for place in &claims {
        compromise.claims.remove(place);
    }
    for frozen in &outcome.found.frozen {
        freeze_more(book, asked.case, frozen).map_err(|fault| entry.contradicts(&fault))?;
    }
    end(book, entry, (asked.case, asked.approved));
    Ok(())
}

/// What a claim that waits has gained waits with it: in the case that is decided, or in the other one that it waits in.
fn freeze_more(book: &mut Book, id: CaseId, frozen: &FrozenClaim) -> Result<(), Overflow> {
    let place = (frozen.order, frozen.claim);
    let is_own = |of: &Compromise| of.claims.contains_key(&place);
    let own = book.compromises.get(&id).is_some_and(is_own);
    let mut all = book.compromises.iter_mut();
    let waiting = all.find(|(case, of)| if own { **case == id } else { is_own(of) });
    let row = waiting.and_then(|(_, of)| of.claims.get_mut(&place));
    let Some(row) = row else { return Ok(()) };
    row.resize(frozen.fen.len().max(row.len()), Fen::ZERO);
    for (sum, fen) in row.iter_mut().zip(&frozen.fen) {
        *sum = sum.plus(*fen)?;
    }
    Ok(())
}

/// Where nothing waits any more, the case is decided.
fn end(book: &mut Book, entry: &Entry, (id, approved): (CaseId, bool)) {
    let waits = book
        .compromises
        .get(&id)
        .is_none_or(|compromise| !compromise.claims.is_empty() || compromise.next.is_some());
    if waits {
        return;
    }
    book.compromises.remove(&id);
    if let Some(case) = book.cases.get_mut(&id) {
        case.progress = Progress::Decided {
            approved,
            by: entry.actor,
            at: entry.at,
        };
    }
}

/// What no claim believes any more can be said again: a buyer accepts anew, a vendor delivers anew, use is proven anew.
fn speak_again(book: &mut Book, entry: &Entry, ruling: &Ruling) {
    let Ok(order) = book.money.order(ruling.order) else {
        return;
    };
    let accepts_again = ruling.denied.accepted && order.is_unaccepted();
    let proves_again = ruling.denied.proven && order.is_unproven();
    let Some(dealings) = book.dealings.get_mut(&ruling.order) else {
        return;
    };
    if proves_again {
        (dealings.use_proven, dealings.proven_by) = (false, None);
    }
    let is_proven = dealings.use_proven;
    if accepts_again {
        // Silence would accept what it rests on once more: that is delivered anew. A buyer has all its days again.
        dealings
            .deliveries
            .retain(|_, delivered| delivered.verdict != Some(Spoken::Deemed));
        for delivered in dealings.deliveries.values_mut() {
            (delivered.verdict, delivered.at) = (None, entry.at);
        }
        not_to_prove(book, ruling.order);
    } else if proves_again && !is_proven {
        unproven(book, ruling.order);
    }
}
