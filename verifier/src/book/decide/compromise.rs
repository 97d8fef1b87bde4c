//! A compromised key: what it has earned is frozen with its revocation, and each office decides its programmes' part (DESIGN §5).

use crate::book::command::{ClaimOf, DecideCase, LIST_MAX};
use crate::book::compromise::Suspect;
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::scope::Scope;
use crate::book::state::compromise::Compromise;
use crate::id::{CaseId, OrderId, ProgrammeId};
use crate::ledger::ClaimIndex;
use crate::refusal::{Code, Refusal};
use crate::settlement::freeze::Ruled;
use crate::signature::Kid;
use crate::time::Timestamp;

/// Goes on where the last entry about the key stopped.
pub(super) fn check_goes_on(
    case: &Case<'_>,
    (kid, since): (Kid, Option<Timestamp>),
    after: OrderId,
) -> Result<(), Refusal> {
    let known = case.book.compromise_of(kid);
    let goes_on = known.is_some_and(|(_, compromise)| {
        compromise.next == Some(after) && Some(compromise.since) == since
    });
    if goes_on {
        return Ok(());
    }
    let sentence =
        "no freezing of this key stopped at this order; leave `after` to the exchange's timers";
    Err(Refusal::new(Code::KeyFreezing, sentence).with("kid", kid))
}

/// Freezes what was accepted with the key since then and is unpaid: as much of it as an entry takes.
pub(super) fn freeze(
    case: &Case<'_>,
    (kid, since): (Kid, Timestamp),
    after: Option<OrderId>,
) -> Result<Decision, Refusal> {
    let suspect = Suspect { kid, since };
    let (orders, next) = case.book.suspected(suspect, after);
    let doubtful = orders
        .iter()
        .map(|order| case.book.doubtful(*order, suspect));
    let doubtful: Vec<_> = doubtful.collect();
    let mut outcome = case.book.money.freeze(case.env.at, &doubtful)?;
    outcome.found.next = outcome.found.next.or(next);
    let mut scopes = vec![Scope::Common];
    for frozen in &outcome.found.claims {
        scopes.extend(case.book.order_scopes(frozen.order)?);
    }
    let known = case.book.compromise_of(kid).map(|(id, _)| id);
    let waits = !outcome.found.claims.is_empty() || outcome.found.next.is_some();
    let id = match known {
        None if waits => Some(new_case(case)?),
        known => known,
    };
    let key = case.book.keys.get(&kid).filter(|_| id.is_some());
    let found = Found {
        party: key.map(|key| key.party),
        case: id,
        frozen: waits.then_some(outcome.found),
        ..Found::default()
    };
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

fn new_case(case: &Case<'_>) -> Result<CaseId, Refusal> {
    let id = CaseId::draw(&case.env.salt, case.book.size, 0);
    case.fresh(!case.book.cases.contains_key(&id))?;
    Ok(id)
}

/// Restores (`approved`) or denies claims of the office's own programmes; the case is decided with the last one.
pub(super) fn decide(case: &Case<'_>, asked: &DecideCase) -> Result<Decision, Refusal> {
    let compromise = case.book.compromises.get(&asked.case);
    let compromise = compromise.ok_or_else(|| wrong("nothing of the key waits"))?;
    if compromise.next.is_some() {
        return Err(freezing(compromise.kid));
    }
    if asked.approved_fen.is_some() {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "what was frozen is restored or denied; there is no amount to approve",
        ));
    }
    let claims = match &asked.claims {
        Some(claims) => named(case, compromise, claims)?,
        None => own(case, compromise)?,
    };
    let rulings = case.book.rulings(asked.case, &claims, asked.approved)?;
    let mut outcome = case.book.money.rule(case.env.at, &rulings)?;
    let waiting = compromise.claims.len();
    outcome.found.left = left(waiting, &outcome.found);
    let mut scopes = Vec::new();
    for ruled in &outcome.found.claims {
        scopes.extend(case.book.order_scopes(ruled.order)?);
    }
    let found = Found {
        ruled: Some(outcome.found),
        ..Found::default()
    };
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

fn left(waiting: usize, ruled: &Ruled) -> u32 {
    let left = waiting.saturating_sub(ruled.claims.len());
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// The claims that a decision names: each of them waits, and is of a programme of the office.
fn named(
    case: &Case<'_>,
    compromise: &Compromise,
    asked: &[ClaimOf],
) -> Result<Vec<(OrderId, ClaimIndex)>, Refusal> {
    if asked.is_empty() || asked.len() > LIST_MAX {
        return Err(Refusal::new(
            Code::RequestMalformed,
            format!("a decision names 1 to {LIST_MAX} claims; leave them out to decide all"),
        ));
    }
    let mut claims = Vec::with_capacity(asked.len());
    for ClaimOf { order, claim } in asked {
        let place = (*order, *claim);
        if !compromise.claims.contains_key(&place) || claims.contains(&place) {
            return Err(
                wrong("a claim that does not wait in this case, or is named twice")
                    .with("order", order)
                    .with("claim", claim),
            );
        }
        case.own_programme(&programme_of(case, place)?)?;
        claims.push(place);
    }
    Ok(claims)
}

/// All claims that wait for this office.
fn own(case: &Case<'_>, compromise: &Compromise) -> Result<Vec<(OrderId, ClaimIndex)>, Refusal> {
    let mut claims = Vec::new();
    for place in compromise.claims.keys() {
        if case.own_programme(&programme_of(case, *place)?).is_ok() {
            claims.push(*place);
        }
    }
    if claims.is_empty() {
        return Err(Refusal::new(
            Code::AccessParty,
            "no claim that waits is of a programme of this office",
        ));
    }
    Ok(claims)
}

fn programme_of(
    case: &Case<'_>,
    (order, claim): (OrderId, ClaimIndex),
) -> Result<ProgrammeId, Refusal> {
    let order = case.book.money.order(order)?;
    Ok(order.claim(claim)?.programme.clone())
}

fn wrong(sentence: &str) -> Refusal {
    Refusal::new(Code::CaseState, sentence)
}

/// No bank is told anything, and nothing is decided, while a key's earnings are being frozen entry by entry.
pub(super) fn freezing(kid: Kid) -> Refusal {
    let sentence = "what a compromised key has earned is being frozen; ask again when the exchange's timers are through";
    Refusal::new(Code::KeyFreezing, sentence).with("kid", kid)
}
