//! Orders.

use crate::book::apply::{outcome, written};
use crate::book::command::{AmendOrder, PlaceOrder};
use crate::book::decide::delivery::licences;
use crate::book::decide::order::claims;
use crate::book::entry::Entry;
use crate::book::ordering;
use crate::book::state::order::{Order, Standing};
use crate::book::{Book, Inconsistency};
use crate::id::OrderId;
use crate::refusal::Refusal;
use crate::settlement::place::{Amend, Place};

pub(super) fn place(
    book: &mut Book,
    entry: &Entry,
    asked: &PlaceOrder,
) -> Result<(), Inconsistency> {
    let id = written(entry, entry.found.order, "order")?;
    let (ask, order) =
        rebuilt(book, entry, asked, id).map_err(|refusal| entry.contradicts(&refusal))?;
    let outcome = outcome(entry, entry.found.placed.as_ref(), "placed")?;
    book.money
        .apply_place(entry.at, &ask, &outcome)
        .map_err(|fault| entry.contradicts(&fault))?;
    book.orders.insert(id, order);
    book.index_bought(id);
    Ok(())
}

impl Book {
    /// Finds an order by its buyer and version from now on, if it buys one.
    pub(in crate::book) fn index_bought(&mut self, id: OrderId) {
        if let Some(order) = self.orders.get(&id) {
            for (_, manifest) in licences(order) {
                let orders = self.bought.entry((order.buyer, manifest)).or_default();
                orders.insert(id);
            }
        }
    }
}

fn rebuilt(
    book: &Book,
    entry: &Entry,
    asked: &PlaceOrder,
    id: OrderId,
) -> Result<(Place, Order), Refusal> {
    let list = ordering::goods(book, asked.seller, &asked.segments, entry.at)?;
    let backings = ordering::backings(book, &asked.claims)?;
    let grace_days = backings
        .iter()
        .map(|backing| backing.programme.instrument.grace_days)
        .min();
    let order = Order {
        buyer: entry.by,
        seller: asked.seller,
        scheme: list.scheme,
        segments: list.segments.clone(),
        contract: asked.contract.clone(),
        purpose: asked.purpose.clone(),
        nonce: asked.nonce,
        grace_days: grace_days.unwrap_or(0),
        standing: Standing::Open,
    };
    let holder = entry.found.holder.clone();
    let ask = Place {
        order: id,
        buyer: holder.unwrap_or_else(|| crate::settlement::cap::Holder::new(entry.by)),
        seller: asked.seller,
        terms: ordering::priced(&list, asked.contract.as_ref())?,
        claims: claims(
            asked,
            &backings,
            entry.found.tiers.as_deref().unwrap_or_default(),
        ),
    };
    Ok((ask, order))
}

pub(super) fn amend(
    book: &mut Book,
    entry: &Entry,
    asked: &AmendOrder,
) -> Result<(), Inconsistency> {
    let seller = book
        .order(asked.order)
        .map_err(|refusal| entry.contradicts(&refusal))?
        .seller;
    let list = ordering::goods(book, seller, &asked.segments, entry.at)
        .map_err(|refusal| entry.contradicts(&refusal))?;
    let claims = book
        .money
        .order(asked.order)
        .map_or(0, |order| order.claims.len());
    let segments = list
        .segments
        .iter()
        .map(ordering::price)
        .collect::<Result<_, _>>();
    let ask = Amend {
        order: asked.order,
        segments: segments.map_err(|refusal: Refusal| entry.contradicts(&refusal))?,
        tiers: entry
            .found
            .tiers
            .clone()
            .unwrap_or_else(|| vec![Vec::new(); claims]),
        top_ups: asked.top_ups.clone(),
    };
    let outcome = outcome(entry, entry.found.stated.as_ref(), "stated")?;
    book.money
        .apply_amend(entry.at, &ask, &outcome)
        .map_err(|fault| entry.contradicts(&fault))?;
    if let Some(order) = book.orders.get_mut(&asked.order) {
        order.segments.extend(list.segments);
    }
    book.index_bought(asked.order);
    Ok(())
}

pub(super) fn end(book: &mut Book, entry: &Entry, id: OrderId) -> Result<(), Inconsistency> {
    let outcome = outcome(entry, entry.found.closed.as_ref(), "closed")?;
    book.money
        .apply_close(entry.at, id, &outcome)
        .map_err(|fault| entry.contradicts(&fault))?;
    if let Some(order) = book.orders.get_mut(&id) {
        order.standing = Standing::Closed(entry.at);
    }
    Ok(())
}
