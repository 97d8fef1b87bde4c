//! Funds.

use crate::book::apply::outcome;
use crate::book::command::OpenFund;
use crate::book::entry::Entry;
use crate::book::state::fund::Fund;
use crate::book::{Book, Inconsistency};

pub(super) fn open(book: &mut Book, entry: &Entry, asked: &OpenFund) {
    let funder = asked.funder.clone();
    let fund = Fund {
        funder,
        owner: entry.by,
        year: asked.year,
        region: asked.region,
    };
    book.money
        .open_fund(asked.fund.clone(), fund.funder.clone());
    book.funds.insert(asked.fund.clone(), fund);
}

pub(super) fn moved(book: &mut Book, entry: &Entry) -> Result<(), Inconsistency> {
    let outcome = outcome(entry, entry.found.fund_moved.as_ref(), "fund_moved")?;
    book.money
        .apply_fund_move(&outcome)
        .map_err(|fault| entry.contradicts(&fault))
}
