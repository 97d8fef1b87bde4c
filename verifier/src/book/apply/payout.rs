//! Statements, payouts, clawback, recovery.

use crate::book::apply::{outcome, written};
use crate::book::command::{
    CloseStatement, InstructPayout, MakeClawback, ReceiveRecovery, WriteOff,
};
use crate::book::entry::Entry;
use crate::book::state::batch::Batch;
use crate::book::{Book, Inconsistency};
use crate::id::BatchId;
use crate::settlement::clawback::ClawBack;
use crate::settlement::payout::Instruct;
use crate::settlement::period::ClosePeriod;

pub(super) fn close_statement(
    book: &mut Book,
    entry: &Entry,
    asked: &CloseStatement,
) -> Result<(), Inconsistency> {
    let ask = ClosePeriod {
        party: asked.party,
        period: asked.period,
    };
    let outcome = outcome(entry, entry.found.period_closed.as_ref(), "period_closed")?;
    book.money
        .apply_close_period(&ask, &outcome)
        .map_err(|fault| entry.contradicts(&fault))
}

pub(super) fn instruct(
    book: &mut Book,
    entry: &Entry,
    asked: &InstructPayout,
) -> Result<(), Inconsistency> {
    let batch = written(entry, entry.found.batch, "batch")?;
    let ask = Instruct {
        batch,
        parties: asked.parties.clone(),
        fund: Some(asked.fund.clone()),
    };
    let outcome = outcome(entry, entry.found.instructed.as_ref(), "instructed")?;
    book.money
        .apply_instruct(&ask, &outcome)
        .map_err(|fault| entry.contradicts(&fault))?;
    let state = Batch {
        fund: asked.fund.clone(),
        by: entry.by,
        file: asked.file,
    };
    book.batches.insert(batch, state);
    Ok(())
}

pub(super) fn execute(book: &mut Book, entry: &Entry, batch: BatchId) -> Result<(), Inconsistency> {
    let outcome = outcome(entry, entry.found.executed.as_ref(), "executed")?;
    book.money
        .apply_execute(batch, &outcome)
        .map_err(|fault| entry.contradicts(&fault))
}

pub(super) fn give_back(
    book: &mut Book,
    entry: &Entry,
    batch: BatchId,
) -> Result<(), Inconsistency> {
    let outcome = outcome(entry, entry.found.returned.as_ref(), "returned")?;
    book.money
        .apply_give_back(batch, &outcome)
        .map_err(|fault| entry.contradicts(&fault))
}

pub(super) fn claw_back(
    book: &mut Book,
    entry: &Entry,
    asked: &MakeClawback,
) -> Result<(), Inconsistency> {
    let share = written(entry, entry.found.share, "share")?;
    let ask = ClawBack {
        order: asked.order,
        claim: asked.claim,
        share,
    };
    let outcome = outcome(entry, entry.found.clawed_back.as_ref(), "clawed_back")?;
    book.money
        .apply_claw_back(entry.at, &ask, &outcome)
        .map_err(|fault| entry.contradicts(&fault))
}

pub(super) fn recover(
    book: &mut Book,
    entry: &Entry,
    asked: &ReceiveRecovery,
) -> Result<(), Inconsistency> {
    let outcome = outcome(entry, entry.found.repaid.as_ref(), "repaid")?;
    book.money
        .apply_recover(&asked.into(), &outcome)
        .map_err(|fault| entry.contradicts(&fault))
}

pub(super) fn write_off(
    book: &mut Book,
    entry: &Entry,
    asked: &WriteOff,
) -> Result<(), Inconsistency> {
    let outcome = outcome(entry, entry.found.repaid.as_ref(), "repaid")?;
    book.money
        .apply_write_off(&asked.into(), &outcome)
        .map_err(|fault| entry.contradicts(&fault))
}
