//! Orders: terms, claims, what has been earned so far.

use serde_json::{Map, Value, json};
use verifier::book::state::order::{Goods, Order, Segment, Standing};
use verifier::id::OrderId;
use verifier::money::Fen;
use verifier::refusal::Refusal;
use verifier::settlement::claim::FundSums;
use verifier::settlement::order::{Claim, Source};

use super::problem::Problem;
use super::read::{Asking, object};

/// `GET /v1/orders/{id}`: for its buyer, its seller, and whoever sees all.
pub(super) fn show(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let id = OrderId::parse(asking.id).map_err(Refusal::from)?;
    let order = asking.book.order(id)?;
    asking.concerns(&[order.buyer, order.seller], &asking.book.order_scopes(id)?)?;
    Ok(object(of(asking, id, order)?))
}

/// `GET /v1/me/orders`: those that one buys or sells.
pub(super) fn mine(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let party = asking.party()?;
    let mine = asking.book.money.orders_of(party).map(|id| (id, id));
    Ok(asking.list_written(mine, |id| of(asking, id, asking.book.order(id)?))?)
}

/// An order with what it has earned.
pub(super) fn of(asking: &Asking<'_>, id: OrderId, order: &Order) -> Result<Value, Refusal> {
    let money = asking.book.money.order(id)?;
    let claims: Result<Vec<Value>, Refusal> = (0_u8..)
        .zip(&money.claims)
        .map(|(index, of)| claim((index, of), asking.book.frozen(id, index)))
        .collect();
    let closed_at = match order.standing {
        Standing::Open => None,
        Standing::Closed(at) => Some(at),
    };
    let units = money.sums.units(0).map_err(Refusal::from)?;
    let priced = money.segments.iter().zip(&units);
    let used: Result<Vec<(i64, Fen)>, Refusal> = priced
        .map(|(segment, units)| Ok((*units, segment.charge(*units)?)))
        .collect();
    let used = used?.into_iter().map(Some).chain(std::iter::repeat(None));
    let segments: Vec<Value> = order.segments.iter().zip(used).map(segment).collect();
    Ok(json!({
        "order": id, "buyer": order.buyer, "seller": order.seller, "scheme": order.scheme,
        "placed_at": money.placed_at, "closed_at": closed_at, "segments": segments,
        "contract": order.contract, "purpose": order.purpose, "grace_days": order.grace_days,
        "receipts": money.receipts.len(), "accepted": money.sums.accepted,
        "use_proven": money.sums.use_proven, "claims": claims?,
    }))
}

/// A segment of the terms; of GPU time also what was used and what that costs.
fn segment((segment, used): (&Segment, Option<(i64, Fen)>)) -> Value {
    let goods = match &segment.goods {
        Goods::Gpu {
            offer,
            site,
            gpu_model,
            billing,
        } => json!({
            "offer": offer, "site": site, "gpu_model": gpu_model, "billing": billing,
        }),
        Goods::Dataset { dataset, manifest } => json!({ "dataset": dataset, "manifest": manifest }),
    };
    json!({
        "goods": goods, "from": segment.from, "to": segment.to, "price_fen": segment.price_fen,
        "limit": segment.limit, "units": used.map(|(units, _)| units), "charged_fen": used.map(|(_, fen)| fen),
    })
}

fn claim((index, claim): (u8, &Claim), frozen: Fen) -> Result<Value, Refusal> {
    let sum = |of: fn(&FundSums) -> Fen| claim.sums.sum(of).map_err(Refusal::from);
    let voucher = match claim.source {
        Source::Voucher(voucher) => Some(voucher),
        Source::Order | Source::Settlement => None,
    };
    Ok(json!({
        "claim": index, "programme": claim.programme, "version": claim.version + 1,
        "voucher": voucher, "payee": claim.payee,
        "held_fen": sum(|fund| fund.held)?, "released_fen": sum(|fund| fund.released)?,
        "granted_fen": sum(|fund| fund.granted)?, "clawed_fen": sum(|fund| fund.clawed)?,
        "recalled_fen": sum(|fund| fund.recalled)?, "denied_fen": claim.sums.denied,
        "frozen_fen": frozen,
    }))
}
