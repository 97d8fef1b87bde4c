//! What falls due by time alone, as ordinary commands of the exchange's own actor (DESIGN §4).
//!
//! Deadlines bind by `at` whether or not their entry is written; the entry only moves the money. So a late round, a missed one
//! or two servers asking for the same harm nothing: what is done already is refused. Nothing is remembered here.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use verifier::book::Book;
use verifier::book::command::{
    CloseStatement, Command, DeemAcceptance, ExpireOrder, ExpireVoucher, RevocationReason,
    RevokeKey, SealBook,
};
use verifier::book::decide::Request;
use verifier::book::state::order::Standing;
use verifier::id::PartyId;
use verifier::ledger::Account;
use verifier::programme::schema::Scheme;
use verifier::time::{DAY_SECONDS, NamedPeriod, Timestamp};

use crate::cause::Whole;
use crate::clock::Clock;
use crate::refusals::Refusals;
use crate::sequencer::{BATCH_MAX, Desk, Outcome};

/// Asks once in `every` for what is due, once in `seal_every` for a seal of the book, until `stop` says so.
pub async fn run(
    desk: Desk,
    refusals: Refusals,
    clock: Clock,
    (every, seal_every): (Duration, Option<Duration>),
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        // A full batch may not have been all; one that nobody took is tried in the next round.
        while round(&desk, &clock, seal_every).await == BATCH_MAX {}
        while seal_refusals(&desk, &refusals, &clock).await {}
    }
}

/// Puts the refusals of the hours that have ended under a seal; says whether it did. Another server may be faster.
async fn seal_refusals(desk: &Desk, refusals: &Refusals, clock: &Clock) -> bool {
    let (Ok(now), Ok((exchange, seals))) = (
        clock.now(),
        desk.read(|book| (book.exchange.clone(), book.seals.clone()))
            .await,
    ) else {
        return false;
    };
    let Some(exchange) = exchange else {
        return false;
    };
    let (own, hour) = (refusals.clone(), now.hour().start());
    let settled = actix_web::web::block(move || own.next_seal(&seals, hour)).await;
    let asked = match settled {
        Ok(Ok(Some(asked))) => asked,
        Ok(Ok(None)) | Err(_) => return false,
        Ok(Err(fault)) => {
            tracing::warn!(fault = %Whole(&fault), "refusals are not sealed in this round");
            return false;
        }
    };
    let request = Request {
        by: exchange.party,
        actor: exchange.actor,
        cmd: None,
        req: None,
        command: Command::SealRefusals(asked),
    };
    match desk.submit_one(request).await {
        Outcome::Accepted(_) => true,
        Outcome::Refused(refusal) => {
            tracing::debug!(%refusal, "a seal was refused");
            false
        }
        Outcome::Failed(_) | Outcome::Known(_) => false,
    }
}

/// Asks for what is due now, at most a batch of it; says how much was entered.
async fn round(desk: &Desk, clock: &Clock, seal_every: Option<Duration>) -> usize {
    let Ok(now) = clock.now() else {
        tracing::error!("the clock cannot be read; what is due waits");
        return 0;
    };
    let Ok(asked) = desk.read(|book| requests(book, now, seal_every)).await else {
        return 0;
    };
    let mut entered = 0;
    for outcome in desk.submit(asked).await {
        match outcome {
            Outcome::Accepted(_) => entered += 1,
            // Another server was faster, or people must decide first.
            Outcome::Refused(refusal) => tracing::debug!(%refusal, "a timed command was refused"),
            Outcome::Failed(why) => tracing::warn!(%why, "a timed command was not decided"),
            Outcome::Known(_) => {}
        }
    }
    entered
}

fn requests(book: &Book, now: Timestamp, seal_every: Option<Duration>) -> Vec<Request> {
    let at = book.last_at.map_or(now, |last| last.max(now));
    let seal = seal_every.and_then(|every| sealing(book, at, every));
    let due = due(book, at).into_iter();
    due.chain(seal.map(Command::SealBook))
        .take(BATCH_MAX)
        .filter_map(|command| request(book, command))
        .collect()
}

fn request(book: &Book, command: Command) -> Option<Request> {
    let exchange = book.exchange.as_ref()?;
    Some(Request {
        by: exchange.party,
        actor: exchange.actor,
        cmd: None,
        req: None,
        command,
    })
}

/// At a stop, where seals are made at all: states the scopes' counts, if anything was written since they were stated.
pub async fn seal_at_stop(desk: &Desk, (every, grace): (Option<Duration>, Duration)) {
    if every.is_some() {
        let _late = tokio::time::timeout(grace, seal_all(desk)).await;
    }
}

async fn seal_all(desk: &Desk) {
    let next = |book: &Book| {
        let asked = is_unsealed(book).then(|| seal(book))?;
        request(book, Command::SealBook(asked))
    };
    while let Ok(Some(request)) = desk.read(next).await {
        match desk.submit_one(request).await {
            Outcome::Accepted(_) => {}
            Outcome::Known(_) | Outcome::Refused(_) | Outcome::Failed(_) => {
                // A stop does not wait for it: the next start's timers try again.
                tracing::warn!("the scopes' counts were not stated at this stop");
                return;
            }
        }
    }
}

/// What is due at a moment, at most a batch of it: what a compromised key has earned is frozen before all else; silence accepts before an order ends, an order ends before its voucher.
#[must_use]
pub fn due(book: &Book, at: Timestamp) -> Vec<Command> {
    let deemed = deemed(book, at).map(Command::DeemAcceptance);
    let orders = orders(book, at).map(Command::ExpireOrder);
    let vouchers = vouchers(book, at).map(Command::ExpireVoucher);
    let statements = statements(book, at).map(Command::CloseStatement);
    freezing(book)
        .map(Command::RevokeKey)
        .chain(deemed)
        .chain(orders)
        .chain(vouchers)
        .chain(statements)
        .take(BATCH_MAX)
        .collect()
}

/// Once in `every`, if anything was written since; a statement that an entry did not take whole goes on at once.
fn sealing(book: &Book, at: Timestamp, every: Duration) -> Option<SealBook> {
    let exchange = book.exchange.as_ref()?;
    // Its delivery key is as old as the exchange.
    let opened = || {
        book.keys
            .get(&exchange.delivery_kid)
            .map(|key| key.valid_from)
    };
    let last = book.sealed.map(|(_, at)| at).or_else(opened)?;
    let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX);
    let is_due = book.sealing.is_some() || last.after(every) <= at;
    (is_due && is_unsealed(book)).then(|| seal(book))
}

/// Whether an entry was written since the scopes' counts were stated; entry 0 alone needs no statement.
fn is_unsealed(book: &Book) -> bool {
    let sealed = book.sealed.map_or(1, |(seq, _)| seq.saturating_add(1));
    book.size > sealed
}

fn seal(book: &Book) -> SealBook {
    SealBook {
        after: book.sealing.clone(),
    }
}

/// Keys whose earnings one entry could not freeze whole; until that is done no bank is told anything.
fn freezing(book: &Book) -> impl Iterator<Item = RevokeKey> {
    let unfinished = book.compromises.values();
    unfinished.filter_map(|compromise| {
        Some(RevokeKey {
            kid: compromise.kid,
            reason: RevocationReason::Compromised,
            compromised_since: Some(compromise.since),
            after: Some(compromise.next?),
        })
    })
}

fn deemed(book: &Book, at: Timestamp) -> impl Iterator<Item = DeemAcceptance> {
    let open = book
        .orders
        .iter()
        .filter(|(_, order)| order.scheme == Scheme::Data && order.standing == Standing::Open);
    open.filter(move |(id, _)| book.deemed_at(**id).is_ok_and(|due| due <= at))
        .map(|(id, _)| DeemAcceptance { order: *id })
}

fn orders(book: &Book, at: Timestamp) -> impl Iterator<Item = ExpireOrder> {
    let over = book.orders.iter().filter(move |(_, order)| {
        let grace = order.grace_days.saturating_mul(DAY_SECONDS);
        let due = order.end().map(|end| end.after(grace));
        order.standing == Standing::Open && due.is_some_and(|due| due <= at)
    });
    over.map(|(id, _)| ExpireOrder { order: *id })
}

fn vouchers(book: &Book, at: Timestamp) -> impl Iterator<Item = ExpireVoucher> {
    let dead = book
        .money
        .vouchers()
        .filter(move |(_, voucher)| !voucher.ended && voucher.is_dead_at(at));
    dead.map(|(voucher, _)| ExpireVoucher { voucher })
}

/// Periods of a party whose end and longest dispute days are over. One that was closed already is left to people: what is
/// still earned in it waits for a cap.
fn statements(book: &Book, at: Timestamp) -> impl Iterator<Item = CloseStatement> {
    let mut waiting: BTreeMap<(PartyId, NamedPeriod), Timestamp> = BTreeMap::new();
    for (account, _) in book.money.balances() {
        let Account::Earned(programme, party, _, period) = account else {
            continue;
        };
        let Ok(rules) = book.money.programme(programme) else {
            continue;
        };
        let days = rules.instrument.dispute_days.saturating_mul(DAY_SECONDS);
        let due = period.end(rules.header.utc_offset).after(days);
        waiting
            .entry((*party, *period))
            .and_modify(|latest| *latest = due.max(*latest))
            .or_insert(due);
    }
    let over = waiting
        .into_iter()
        .filter(move |((party, period), due)| *due <= at && !book.money.is_closed(*party, *period));
    over.map(|((party, period), _)| CloseStatement { party, period })
}
