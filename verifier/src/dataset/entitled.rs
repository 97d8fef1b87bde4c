//! Who may download a version until when.

use crate::book::Book;
use crate::book::command::Role;
use crate::book::state::order::{Goods, Order, Segment, Standing};
use crate::id::{DocumentDigest, OrderId, PartyId};
use crate::refusal::{Code, Refusal};
use crate::time::{DAY_SECONDS, Timestamp};

/// Why a party may have a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entitlement {
    /// By which order; none for its vendor, an office and the exchange, whose downloads deliver nothing.
    pub order: Option<OrderId>,
    /// Until before when, where that is known: a withdrawn version has an end.
    pub until: Option<Timestamp>,
}

/// Finds why a party may download a version at a moment: its vendor, offices and the exchange always, a buyer by an order of
/// it that is open or was accepted, while the version is not recalled, and after a withdrawal as long as a programme of the
/// order keeps it (`retention_days`; where none says so, until the segment's `to`). Of several orders the one that still
/// waits for its acceptance comes first, then the one that lasts longest.
/// # Errors
/// `dataset.unknown` `delivery.entitlement`
pub fn entitled(
    book: &Book,
    party: PartyId,
    manifest: DocumentDigest,
    at: Timestamp,
) -> Result<Entitlement, Refusal> {
    let version = book.version(manifest)?;
    let listing = book.dataset(version.dataset)?;
    if listing.vendor == party || oversees(book, party)? {
        return Ok(Entitlement {
            order: None,
            until: None,
        });
    }
    if let Some(since) = version.recalled {
        let sentence = format!(
            "the version was recalled at {since}: nobody may use it; read its notice and delete what you have"
        );
        return Err(refused(&sentence, manifest));
    }
    let bought = book.bought.get(&(party, manifest)).into_iter().flatten();
    let mut found: Option<(bool, Entitlement)> = None;
    let mut over = None;
    for id in bought {
        let order = book.order(*id)?;
        let Some(segment) = licence(order, manifest) else {
            continue;
        };
        let accepted = is_accepted(book, *id, manifest);
        if order.standing != Standing::Open && !accepted {
            continue;
        }
        let until = match listing.withdrawn {
            None => None,
            Some(since) => Some(kept_until(book, *id, segment, since)?),
        };
        if until.is_some_and(|until| at >= until) {
            over = over.max(until);
            continue;
        }
        let waits = !accepted;
        let is_better = found.is_none_or(|(before, known)| {
            (waits, until.is_none(), until) > (before, known.until.is_none(), known.until)
        });
        if is_better {
            let order = Some(*id);
            found = Some((waits, Entitlement { order, until }));
        }
    }
    found.map(|(_, entitlement)| entitlement).ok_or_else(|| {
        let sentence = over.map_or_else(
            || "you have no open or accepted order of this version; order it first: ask POST /v1/quotes, then POST /v1/orders".to_owned(),
            |until| format!("the vendor withdrew it from sale, and the time in which buyers may still download it ended at {until}"),
        );
        refused(&sentence, manifest)
    })
}

fn refused(sentence: &str, manifest: DocumentDigest) -> Refusal {
    Refusal::new(Code::DeliveryEntitlement, sentence).with("manifest", manifest)
}

/// Whether a party assesses datasets.
fn oversees(book: &Book, party: PartyId) -> Result<bool, Refusal> {
    let roles = &book.party(party)?.roles;
    Ok(roles
        .iter()
        .any(|role| matches!(role, Role::Office | Role::Exchange)))
}

fn licence(order: &Order, manifest: DocumentDigest) -> Option<&Segment> {
    let is_it = |segment: &&Segment| matches!(&segment.goods, Goods::Dataset { manifest: of, .. } if *of == manifest);
    let licences = order.segments.iter().filter(is_it);
    licences.max_by_key(|segment| segment.to)
}

fn is_accepted(book: &Book, order: OrderId, manifest: DocumentDigest) -> bool {
    let dealings = book.dealings.get(&order);
    let delivered = dealings.and_then(|dealings| dealings.deliveries.get(&manifest));
    let verdict = delivered.and_then(|delivered| delivered.verdict);
    verdict.is_some_and(|spoken| spoken.is_accepted())
}

/// How long a buyer keeps access to what was withdrawn at `since`.
fn kept_until(
    book: &Book,
    order: OrderId,
    segment: &Segment,
    since: Timestamp,
) -> Result<Timestamp, Refusal> {
    let programmes = book.programmes_of(order)?;
    let days = programmes
        .iter()
        .filter_map(|programme| programme.data.retention_days)
        .max();
    Ok(days.map_or(segment.to, |days| {
        since.after(days.saturating_mul(DAY_SECONDS))
    }))
}
