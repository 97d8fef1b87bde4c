//! Funds.

use crate::book::Book;
use crate::book::command::OpenFund;
use crate::book::entry::Entry;
use crate::book::state::fund::Fund;

pub(super) fn open(book: &mut Book, entry: &Entry, asked: &OpenFund) {
    let funder = asked.funder.clone();
    let fund = Fund {
        funder,
        owner: entry.by,
        year: asked.year,
        region: asked.region,
    };
    book.funds.insert(asked.fund.clone(), fund);
}
