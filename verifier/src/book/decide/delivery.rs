//! Data orders: `receipt.accepted` of a delivery, `acceptance.given`, `acceptance.deemed` (DESIGN §5, §9).

use crate::book::Book;
use crate::book::command::{DeemAcceptance, GiveAcceptance};
use crate::book::decide::receipt::{chain, is_new, key, open_order};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::state::chain::Delivered;
use crate::book::state::order::{Goods, Order, Standing};
use crate::id::{DatasetId, DocumentDigest, OrderId};
use crate::programme::schema::{AcceptanceRule, Scheme};
use crate::receipt::{Claims, DataAcceptance, DataDelivery, KeyUse, Signed, Verdict};
use crate::refusal::{Code, Refusal};
use crate::settlement::evidence::{Evidence, Says};
use crate::time::{DAY_SECONDS, Timestamp};

/// Enters a delivery: signed by the vendor or the exchange, of what was ordered, not accepted yet.
pub(super) fn deliver(
    case: &Case<'_>,
    jws: &Signed,
    claims: &DataDelivery,
) -> Result<Decision, Refusal> {
    let link = claims.link();
    key(case, jws, KeyUse::Receipt, &link)?;
    let exchange = case.book.exchange()?.party;
    let may_issue = |order: &Order| order.seller == link.iss || exchange == link.iss;
    let order = open_order(case, &link, Scheme::Data, may_issue)?;
    chain(case.book, &link)?;
    link.check_issued_by(case.env.at)?;
    check_delivery(case.book, claims)?;
    check_digest(case.book, order, claims)?;
    said(case, link.sub)
}

/// Enters the buyer's word on a delivery, with its proof that it holds the bytes.
pub(super) fn accept(case: &Case<'_>, asked: &GiveAcceptance) -> Result<Decision, Refusal> {
    let Claims::Acceptance(claims) = asked.jws.receipt().claims() else {
        let sentence = format!("a {} accepts no delivery", asked.jws.receipt().typ());
        return Err(Refusal::new(Code::ReceiptMalformed, sentence));
    };
    is_new(case, &asked.jws)?;
    let link = claims.link();
    key(case, &asked.jws, KeyUse::Acceptance, &link)?;
    let order = open_order(case, &link, Scheme::Data, |order| order.buyer == link.iss)?;
    chain(case.book, &link)?;
    link.check_issued_by(case.env.at)?;
    check_acceptance(case.book, order, claims)?;
    match claims.verdict {
        Verdict::Accepted => accepted(case, link.sub),
        // A defect moves nothing: the vendor delivers again, or a case decides.
        Verdict::Defect => said(case, link.sub),
    }
}

/// Accepts by silence: the days of every programme of the order have passed since the last delivery.
pub(super) fn deem(case: &Case<'_>, asked: &DeemAcceptance) -> Result<Decision, Refusal> {
    let due = case.book.deemed_at(asked.order)?;
    if case.env.at < due {
        let sentence = format!("the buyer may still speak until {due}");
        return Err(Refusal::new(Code::ReceiptDelivery, sentence).with("due", due));
    }
    accepted(case, asked.order)
}

/// The price is earned; an order buys one dataset.
fn accepted(case: &Case<'_>, order: OrderId) -> Result<Decision, Refusal> {
    let outcome = case.book.money.evidence(case.env.at, &acceptance(order))?;
    let decision = said(case, order)?;
    Ok(Decision {
        found: Found {
            stated: Some(outcome.found),
            ..decision.found
        },
        postings: outcome.postings,
        counters: outcome.counters,
        scopes: decision.scopes,
    })
}

/// What the money machine is told of an accepted order.
pub(in crate::book) const fn acceptance(order: OrderId) -> Evidence {
    Evidence {
        order,
        says: Says::Accepted,
    }
}

impl Book {
    /// When silence becomes acceptance of an open data order whose versions are all delivered (for timers).
    /// # Errors
    /// `order.unknown` `receipt.order` `receipt.order-closed` `receipt.delivery`
    pub fn deemed_at(&self, id: OrderId) -> Result<Timestamp, Refusal> {
        let order = self
            .orders
            .get(&id)
            .ok_or_else(|| Refusal::new(Code::OrderUnknown, "no such order").with("order", id))?;
        if order.scheme != Scheme::Data {
            let sentence = "only a data order is accepted";
            return Err(Refusal::new(Code::ReceiptOrder, sentence));
        }
        if let Standing::Closed(at) = order.standing {
            let sentence = format!("the order is closed since {at}");
            return Err(Refusal::new(Code::ReceiptOrderClosed, sentence));
        }
        let days = self.silence_days(id)?;
        let mut last = None;
        for (_, manifest) in licences(order) {
            let delivered = self.delivered(id, manifest)?;
            if delivered.verdict.is_some() {
                return Err(no_delivery(
                    "the buyer has spoken; silence accepts nothing more",
                ));
            }
            last = last.max(Some(delivered.at));
        }
        let last = last.ok_or_else(|| no_delivery("the order has no dataset"))?;
        Ok(last.after(days.saturating_mul(DAY_SECONDS)))
    }

    /// The longest time that a programme of the order gives the buyer; refused where one wants the buyer's signature.
    fn silence_days(&self, order: OrderId) -> Result<i64, Refusal> {
        let mut days = 0;
        for programme in self.programmes_of(order)? {
            let rule = Some(&programme.data);
            let rule = rule.filter(|data| data.acceptance == AcceptanceRule::SignedOrDeemed);
            let Some(given) = rule.and_then(|data| data.acceptance_days) else {
                return Err(no_delivery(
                    "a programme of the order wants the buyer's signature",
                ));
            };
            days = days.max(given);
        }
        Ok(days)
    }

    /// The last delivery of a version that was ordered.
    fn delivered(&self, order: OrderId, manifest: DocumentDigest) -> Result<&Delivered, Refusal> {
        let dealings = self.dealings.get(&order);
        let delivered = dealings.and_then(|dealings| dealings.deliveries.get(&manifest));
        delivered.ok_or_else(|| no_delivery("it has not been delivered yet"))
    }
}

/// The datasets of an order.
pub(in crate::book) fn licences(
    order: &Order,
) -> impl Iterator<Item = (DatasetId, DocumentDigest)> {
    order
        .segments
        .iter()
        .filter_map(|segment| match segment.goods {
            Goods::Dataset { dataset, manifest } => Some((dataset, manifest)),
            Goods::Gpu { .. } => None,
        })
}

/// `receipt.delivery`: nothing that is accepted, recalled or later than its signature.
fn check_delivery(book: &Book, claims: &DataDelivery) -> Result<(), Refusal> {
    if claims.delivered_at > claims.iat {
        return Err(no_delivery(
            "delivered_at lies after iat; sign when all is served",
        ));
    }
    let before = book.delivered(claims.sub, claims.digest).ok();
    let accepted = before.and_then(|delivered| delivered.verdict);
    if accepted.is_some_and(|verdict| verdict.is_accepted()) {
        return Err(no_delivery(
            "the delivery is accepted; it is not delivered again",
        ));
    }
    let version = book.versions.get(&claims.digest);
    if let Some(at) = version.and_then(|version| version.recalled) {
        return Err(no_delivery(&format!("the version was recalled at {at}")));
    }
    Ok(())
}

/// `receipt.digest`: dataset, version, manifest and size are those of the order.
fn check_digest(book: &Book, order: &Order, claims: &DataDelivery) -> Result<(), Refusal> {
    let refused = |sentence: String| Err(Refusal::new(Code::ReceiptDigest, sentence));
    if !licences(order).any(|licence| licence == (claims.dataset, claims.digest)) {
        return refused("dataset and digest are not what was ordered".into());
    }
    let version = book.version(claims.digest)?;
    if version.name != claims.version {
        return refused(format!("that digest is version {}", version.name));
    }
    if version.bytes != claims.bytes {
        return refused(format!(
            "{} bytes were served, the version has {}",
            claims.bytes, version.bytes
        ));
    }
    Ok(())
}

/// `receipt.delivery`, `receipt.digest`: a delivery waits for this word, and the buyer holds what was delivered.
fn check_acceptance(book: &Book, order: &Order, claims: &DataAcceptance) -> Result<(), Refusal> {
    if !licences(order).any(|(_, manifest)| manifest == claims.digest) {
        let sentence = "digest is not what was ordered";
        return Err(Refusal::new(Code::ReceiptDigest, sentence));
    }
    let delivered = book.delivered(claims.sub, claims.digest)?;
    if delivered.verdict.is_some() {
        return Err(no_delivery("the buyer has spoken on this delivery already"));
    }
    if !claims.possesses(&delivered.possession_hash) {
        let sentence = "possession does not hash to the delivery's possession_hash; compute it over the delivered bytes";
        return Err(Refusal::new(Code::ReceiptDigest, sentence)
            .with("possession_hash", delivered.possession_hash));
    }
    Ok(())
}

fn no_delivery(sentence: &str) -> Refusal {
    Refusal::new(Code::ReceiptDelivery, sentence)
}

/// A statement that moves no money.
fn said(case: &Case<'_>, order: OrderId) -> Result<Decision, Refusal> {
    Ok(Decision {
        found: Found {
            order: Some(order),
            ..Found::default()
        },
        scopes: case.book.order_scopes(order)?,
        ..Decision::default()
    })
}
