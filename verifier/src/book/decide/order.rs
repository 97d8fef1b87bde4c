//! Orders: placed under published terms, amended, and ended (DESIGN §4.4).

use crate::book::command::{AmendOrder, CancelOrder, CloseOrder, ExpireOrder, PlaceOrder};
use crate::book::decide::receipt::key_of;
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::issuing;
use crate::book::matter::About;
use crate::book::ordering::{self, Backing, Goodslist};
use crate::book::reach;
use crate::book::scope::Scope;
use crate::book::state::order::{Order, Standing};
use crate::id::OrderId;
use crate::receipt::{Claims, KeyUse};
use crate::refusal::{Code, Refusal};
use crate::settlement::cap::Holder;
use crate::settlement::place::{Amend, Place, PlaceClaim};
use crate::time::DAY_SECONDS;

/// Places an order: every claim is judged by its programme, then the money is reserved.
pub(super) fn place(case: &Case<'_>, asked: &PlaceOrder) -> Result<Decision, Refusal> {
    let (book, at) = (case.book, case.env.at);
    book.party(asked.seller)?;
    check_signature(case, asked)?;
    let list = ordering::goods(book, asked.seller, &asked.segments, at)?;
    ordering::check_apart(&list.segments.iter().collect::<Vec<_>>())?;
    let backings = ordering::backings(book, &asked.claims)?;
    ordering::check_stacking(&backings)?;
    ordering::check_signed(&backings, asked)?;
    let order = OrderId::draw(&case.env.salt, book.size, 0);
    case.fresh(!book.orders.contains_key(&order))?;
    let mut judged = Judged::default();
    for (backing, claim) in backings.iter().zip(&asked.claims) {
        if let Some(voucher) = claim.voucher {
            case.check_contract(voucher, asked.contract.as_ref())?;
        }
        judged.add(case, backing, (asked, &list))?;
    }
    let holder = buyer_of(case, &backings, asked);
    let ask = Place {
        order,
        buyer: holder.clone(),
        seller: asked.seller,
        terms: ordering::priced(&list, asked.contract.as_ref())?,
        claims: claims(asked, &backings, &judged.tiers),
    };
    let outcome = book.money.place(at, &ask)?;
    let mut counters = outcome.counters;
    counters.extend(judged.counters);
    let found = Found {
        order: Some(order),
        holder: Some(holder),
        tiers: Some(judged.tiers),
        trace: Some(judged.trace),
        placed: Some(outcome.found),
        ..Found::default()
    };
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters,
        scopes: judged.scopes,
    })
}

/// Checks the buyer's signature of an order that carries one; [`ordering::check_signed`] asks for it where it must be there.
fn check_signature(case: &Case<'_>, asked: &PlaceOrder) -> Result<(), Refusal> {
    let Some(jws) = &asked.jws else {
        return Ok(());
    };
    let receipt = jws.receipt();
    let Claims::Order(claims) = receipt.claims() else {
        let sentence = format!("a {} signs no order", receipt.typ());
        return Err(Refusal::new(Code::ReceiptMalformed, sentence));
    };
    let said = (claims.iss, claims.aud.as_str(), claims.iat);
    // Also that the buyer asks: whoever runs the exchange never buys.
    key_of(case, (jws, KeyUse::Acceptance), said)?;
    claims.check_issued_by(case.env.at)?;
    let digest = asked.digest()?;
    if claims.order != digest {
        let sentence = format!(
            "the signature is of the order {}; sign {digest}",
            claims.order
        );
        return Err(Refusal::new(Code::ReceiptDigest, sentence).with("expected", digest));
    }
    Ok(())
}

/// What the programmes of an order say together.
#[derive(Default)]
struct Judged {
    tiers: Vec<Vec<crate::programme::subsidy::TierChoice>>,
    trace: Vec<crate::programme::TraceLine>,
    counters: Vec<(crate::settlement::counter::CounterKey, i64)>,
    scopes: Vec<Scope>,
}

impl Judged {
    fn add(
        &mut self,
        case: &Case<'_>,
        backing: &Backing,
        (asked, list): (&PlaceOrder, &Goodslist),
    ) -> Result<(), Refusal> {
        let about = About {
            seller: Some(asked.seller),
            sites: list.sites.clone(),
            dataset: list.dataset,
            contract: asked.contract.as_ref(),
            purpose: asked.purpose.as_deref(),
        };
        let buyer = case.request.by;
        let (tiers, trace) =
            ordering::judge(case.book, backing, (buyer, list), case.env.at, &about)?;
        self.tiers.push(tiers);
        self.trace.extend(trace);
        let unique = ordering::unique(case.book, backing, buyer, asked.contract.as_ref())?;
        self.counters.extend(unique);
        self.scopes.extend(reach::programme(&backing.programme));
        Ok(())
    }
}

/// What caps and funds must know of the buyer; facts that only one programme's offset dates are the first one's.
fn buyer_of(case: &Case<'_>, backings: &[Backing], asked: &PlaceOrder) -> Holder {
    let contract = asked.contract.as_ref();
    backings.first().map_or_else(
        || Holder::new(case.request.by),
        |first| {
            issuing::holder(
                case.book,
                case.request.by,
                case.env.at,
                &first.programme,
                contract,
            )
        },
    )
}

/// The claims as the money machine takes them.
pub(in crate::book) fn claims(
    asked: &PlaceOrder,
    backings: &[Backing],
    tiers: &[Vec<crate::programme::subsidy::TierChoice>],
) -> Vec<PlaceClaim> {
    let parts = asked.claims.iter().zip(backings).zip(tiers);
    parts
        .map(|((claim, backing), tiers)| PlaceClaim {
            right: backing.right.clone(),
            hold: claim.hold_fen,
            tiers: tiers.clone(),
        })
        .collect()
}

/// Adds segments of the seller's offers, or money of the buyer's vouchers.
pub(super) fn amend(case: &Case<'_>, asked: &AmendOrder) -> Result<Decision, Refusal> {
    let order = own_open(case, asked.order)?;
    if order.buyer != case.request.by {
        return Err(Refusal::new(Code::AccessParty, "its buyer amends an order"));
    }
    if asked.segments.is_empty() && asked.top_ups.is_empty() {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "nothing to amend; add a segment or a top-up",
        ));
    }
    let list = ordering::goods(case.book, order.seller, &asked.segments, case.env.at)?;
    if list.dataset.is_some() || order.scheme != list.scheme && !asked.segments.is_empty() {
        return Err(Refusal::new(
            Code::OrderTerms,
            "an amendment adds GPU time to a compute order",
        ));
    }
    ordering::check_apart(
        &order
            .segments
            .iter()
            .chain(&list.segments)
            .collect::<Vec<_>>(),
    )?;
    let tiers = amended_tiers(case, asked.order, order, &list)?;
    let ask = Amend {
        order: asked.order,
        segments: list
            .segments
            .iter()
            .map(ordering::price)
            .collect::<Result<_, _>>()?,
        tiers: tiers.clone(),
        top_ups: asked.top_ups.clone(),
    };
    let outcome = case.book.money.amend(case.env.at, &ask)?;
    let found = Found {
        tiers: (!asked.segments.is_empty()).then_some(tiers),
        stated: Some(outcome.found),
        ..Found::default()
    };
    let scopes = case.book.order_scopes(asked.order)?;
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

/// The tiers of new segments, by claim in stacking order; requirements are not run again.
fn amended_tiers(
    case: &Case<'_>,
    id: OrderId,
    order: &Order,
    list: &Goodslist,
) -> Result<Vec<Vec<crate::programme::subsidy::TierChoice>>, Refusal> {
    let claims = &case.book.money.order(id)?.claims;
    let mut all = Vec::with_capacity(claims.len());
    for claim in claims {
        let programme = case.book.pinned(&claim.programme, claim.version)?;
        let about = About {
            seller: Some(order.seller),
            sites: list.sites.clone(),
            dataset: None,
            contract: order.contract.as_ref(),
            purpose: order.purpose.as_deref(),
        };
        let buyer = (order.buyer, order.scheme);
        let matter = crate::book::matter::gather(case.book, &programme, buyer, case.env.at, &about);
        let choices = if list.segments.is_empty() {
            Vec::new()
        } else {
            issuing::choose_tiers(&programme, &matter, list.segments.len())?.0
        };
        all.push(choices);
    }
    Ok(all)
}

/// Cancels: buyer or seller; what is not earned goes back.
pub(super) fn cancel(case: &Case<'_>, asked: &CancelOrder) -> Result<Decision, Refusal> {
    own_open(case, asked.order)?;
    end(case, asked.order)
}

/// Closes what is done: buyer or seller.
pub(super) fn close(case: &Case<'_>, asked: &CloseOrder) -> Result<Decision, Refusal> {
    own_open(case, asked.order)?;
    end(case, asked.order)
}

/// Closes an order whose last segment and grace are over.
pub(super) fn expire(case: &Case<'_>, asked: &ExpireOrder) -> Result<Decision, Refusal> {
    let order = case.book.order(asked.order)?;
    check_open(asked.order, order)?;
    let due = order
        .end()
        .map(|end| end.after(order.grace_days.saturating_mul(DAY_SECONDS)));
    if due.is_none_or(|due| case.env.at < due) {
        return Err(
            Refusal::new(Code::OrderOpen, "receipts of this order are still taken")
                .with("order", asked.order),
        );
    }
    end(case, asked.order)
}

fn end(case: &Case<'_>, id: OrderId) -> Result<Decision, Refusal> {
    let outcome = case.book.money.close(case.env.at, id)?;
    let found = Found {
        closed: Some(outcome.found),
        ..Found::default()
    };
    let scopes = case.book.order_scopes(id)?;
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

fn own_open<'a>(case: &Case<'a>, id: OrderId) -> Result<&'a Order, Refusal> {
    let order = case.book.order(id)?;
    if order.buyer != case.request.by && order.seller != case.request.by {
        return Err(Refusal::new(
            Code::AccessParty,
            "the order is between other parties",
        ));
    }
    check_open(id, order)?;
    Ok(order)
}

fn check_open(id: OrderId, order: &Order) -> Result<(), Refusal> {
    match order.standing {
        Standing::Open => Ok(()),
        Standing::Closed(at) => Err(Refusal::new(
            Code::OrderClosed,
            format!("the order ended at {at}"),
        )
        .with("order", id)),
    }
}
