//! The queries behind lists and search, on the projections (DESIGN §7, reads).
//!
//! Every list is in the order of the trail and goes on behind an entry's number. Each answer comes with the cursor of the
//! rows: on SQLite exactly theirs, on PostgreSQL at least that far.

use diesel::prelude::*;

use super::project::{self, CaseRow, EntryRow, OrderRow, VoucherRow};
use super::schema::{book_cases, book_entries, book_links, book_orders, book_vouchers};
use super::{Db, StoreFault, signed};

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Behind this entry; from the first one on if absent.
    pub after: Option<u64>,
    /// How many rows at most.
    pub limit: usize,
}

impl Slice {
    fn bounds(self) -> Result<(i64, i64), StoreFault> {
        let after = match self.after {
            Some(seq) => signed(seq, "the cursor")?,
            None => -1,
        };
        Ok((after, i64::try_from(self.limit).unwrap_or(i64::MAX)))
    }
}

/// Rows, and how far the projection was when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// How many entries are in the rows.
    pub size: u64,
}

/// Which orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// Bought or sold by this party.
    pub party: Option<String>,
    /// `compute` or `data`.
    pub scheme: Option<String>,
    /// `open`, `closed`, `cancelled` or `expired`.
    pub standing: Option<String>,
}

/// Which vouchers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vouchers {
    /// Held by this party.
    pub party: Option<String>,
    /// Of this programme.
    pub programme: Option<String>,
    /// In this state at a moment, in UTC seconds.
    pub state: Option<(VoucherState, i64)>,
}

/// What can be spent of a voucher. Deadlines bind by time alone (DESIGN §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoucherState {
    /// It can be spent.
    Live,
    /// Its time is over, and no entry says so yet.
    Expired,
    /// An entry ended it.
    Ended,
}

/// Which cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cases {
    /// Of this party.
    pub party: Option<String>,
    /// Applications under this programme.
    pub programme: Option<String>,
    /// `open`, `approved`, `denied` or `withdrawn`.
    pub standing: Option<String>,
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Of this type.
    pub kind: Option<String>,
    /// Which name all of these objects.
    pub objects: Vec<String>,
}

/// The orders, oldest first.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn orders(db: &mut Db, which: &Orders, slice: Slice) -> Result<Found<OrderRow>, StoreFault> {
    let (after, limit) = slice.bounds()?;
    let mut query = book_orders::table
        .filter(book_orders::placed_seq.gt(after))
        .order(book_orders::placed_seq)
        .limit(limit)
        .into_boxed();
    if let Some(party) = &which.party {
        let theirs = book_orders::buyer
            .eq(party)
            .or(book_orders::seller.eq(party));
        query = query.filter(theirs);
    }
    if let Some(scheme) = &which.scheme {
        query = query.filter(book_orders::scheme.eq(scheme));
    }
    if let Some(standing) = &which.standing {
        query = query.filter(book_orders::standing.eq(standing));
    }
    found(db, |tx| query.load(tx))
}

/// The vouchers, oldest first.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn vouchers(
    db: &mut Db,
    which: &Vouchers,
    slice: Slice,
) -> Result<Found<VoucherRow>, StoreFault> {
    let (after, limit) = slice.bounds()?;
    let mut query = book_vouchers::table
        .filter(book_vouchers::issued_seq.gt(after))
        .order(book_vouchers::issued_seq)
        .limit(limit)
        .into_boxed();
    if let Some(party) = &which.party {
        query = query.filter(book_vouchers::holder.eq(party));
    }
    if let Some(programme) = &which.programme {
        query = query.filter(book_vouchers::programme.eq(programme));
    }
    let (ended, end) = (book_vouchers::ended_at, book_vouchers::expires_at);
    match which.state {
        None => {}
        Some((VoucherState::Ended, _)) => query = query.filter(ended.is_not_null()),
        Some((VoucherState::Expired, at)) => {
            query = query.filter(ended.is_null()).filter(end.le(at));
        }
        Some((VoucherState::Live, at)) => {
            query = query
                .filter(ended.is_null())
                .filter(end.is_null().or(end.gt(at)));
        }
    }
    found(db, |tx| query.load(tx))
}

/// The cases, oldest first.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn cases(db: &mut Db, which: &Cases, slice: Slice) -> Result<Found<CaseRow>, StoreFault> {
    let (after, limit) = slice.bounds()?;
    let mut query = book_cases::table
        .filter(book_cases::opened_seq.gt(after))
        .order(book_cases::opened_seq)
        .limit(limit)
        .into_boxed();
    if let Some(party) = &which.party {
        query = query.filter(book_cases::party.eq(party));
    }
    if let Some(programme) = &which.programme {
        query = query.filter(book_cases::programme.eq(programme));
    }
    if let Some(standing) = &which.standing {
        query = query.filter(book_cases::standing.eq(standing));
    }
    found(db, |tx| query.load(tx))
}

/// The entries, oldest first.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn entries(db: &mut Db, which: &Entries, slice: Slice) -> Result<Found<EntryRow>, StoreFault> {
    let (after, limit) = slice.bounds()?;
    let mut query = book_entries::table
        .filter(book_entries::seq.gt(after))
        .order(book_entries::seq)
        .limit(limit)
        .into_boxed();
    if let Some(kind) = &which.kind {
        query = query.filter(book_entries::kind.eq(kind));
    }
    // Where nothing else narrows the list, the look-up itself stops at the page's end.
    let alone = which.kind.is_none() && which.objects.len() == 1;
    let naming_max = if alone { limit } else { i64::MAX };
    for object in &which.objects {
        let naming = book_links::table
            .filter(book_links::object.eq(object))
            .filter(book_links::seq.gt(after))
            .select(book_links::seq)
            .order(book_links::seq)
            .limit(naming_max);
        query = query.filter(book_entries::seq.eq_any(naming));
    }
    found(db, |tx| query.load(tx))
}

/// The cursor first, then rows that are at least as new.
fn found<R>(
    db: &mut Db,
    load: impl FnOnce(&mut Db) -> QueryResult<Vec<R>>,
) -> Result<Found<R>, StoreFault> {
    db.transaction(|tx| {
        let size = project::cursor(tx)?.size;
        Ok::<_, StoreFault>(Found {
            rows: load(tx)?,
            size,
        })
    })
}
