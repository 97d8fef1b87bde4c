//! A page of a list: what is left out of it, and how far is looked for what fills it.
//!
//! A caller that sees few of the rows gets full pages all the same: slice after slice is read, each twice as long as the one before,
//! until the page is full, the list ends, or [`LOOKED_AT_MAX`] rows were looked at. Then the page is short, and the next one goes on.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use verifier::book::Book;
use verifier::book::access::Sight;
use verifier::book::scope::Scope;
use verifier::id::{CaseId, OrderId, VoucherId};

use super::LIMIT_MAX;
use crate::store::read::Slice;
use crate::store::{Db, StoreFault, log};

/// Rows that one request looks at for who sees few of them: some tenths of a second.
const LOOKED_AT_MAX: usize = 20_000;

/// What a row is about: the book says what that reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    Order(String),
    Voucher(String),
    Case(String),
    Entry(i64),
    /// An entry whose scopes are read.
    Scopes(Vec<Scope>),
}

impl About {
    /// What it reaches; nothing where the book does not know it, which rows behind it may not show.
    fn scopes(&self, book: &Book) -> Vec<Scope> {
        let scopes = match self {
            Self::Order(id) => OrderId::parse(id)
                .ok()
                .and_then(|id| book.order_scopes(id).ok()),
            Self::Voucher(id) => {
                let id = VoucherId::parse(id).ok();
                id.and_then(|id| book.voucher_scopes(id).ok())
            }
            Self::Case(id) => {
                let case = CaseId::parse(id).ok().and_then(|id| book.cases.get(&id));
                case.and_then(|case| book.case_scopes(case).ok())
            }
            Self::Entry(_) => None,
            Self::Scopes(scopes) => Some(scopes.clone()),
        };
        scopes.unwrap_or_default()
    }
}

/// One row of a list.
#[derive(Debug)]
pub(super) struct Item {
    /// Its entry: the cursor of what comes after it.
    pub(super) seq: i64,
    /// What it is about.
    pub(super) about: About,
    /// What is shown of it.
    pub(super) shown: Value,
}

/// Rows of a list, in order.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) items: Vec<Item>,
    /// Behind which entry the next page begins, if there is one.
    pub(super) next: Option<i64>,
    /// How many entries the rows hold.
    pub(super) size: Option<u64>,
}

impl Listed {
    /// Reads who sees the entries of the page.
    pub(super) fn read_scopes(&mut self, db: &mut Db) -> Result<(), StoreFault> {
        let seqs = self.items.iter().filter_map(|item| match item.about {
            About::Entry(seq) => Some(seq),
            About::Order(_) | About::Voucher(_) | About::Case(_) | About::Scopes(_) => None,
        });
        let stored: BTreeMap<i64, Vec<u8>> = log::of(db, &seqs.collect::<Vec<_>>())?
            .into_iter()
            .collect();
        for Item { about, .. } in &mut self.items {
            if let About::Entry(seq) = about {
                let bytes = stored.get(seq).map(Vec::as_slice).unwrap_or_default();
                let scopes = Scope::of_entry(bytes).unwrap_or_default();
                *about = About::Scopes(scopes.into_iter().map(|(scope, _)| scope).collect());
            }
        }
        Ok(())
    }

    /// Keeps what a caller sees.
    pub(super) fn limit_to(&mut self, book: &Book, sight: Sight<'_>) {
        self.items
            .retain(|item| sight.sees(&item.about.scopes(book)));
    }

    /// Adds the rows behind. All of them are at least as new as the first ones.
    fn take(&mut self, rows: Self) {
        self.items.extend(rows.items);
        self.size = self.size.or(rows.size);
    }

    /// Cuts to a page: one row more than it has room for says that there is a next one.
    pub(super) fn cut(mut self, limit: usize) -> Self {
        if self.items.len() > limit {
            self.items.truncate(limit);
            self.next = self.items.last().map(|item| item.seq);
        }
        self
    }

    pub(super) fn written(self) -> Value {
        let items: Vec<Value> = self.items.into_iter().map(|item| item.shown).collect();
        let next = self.next.map(|seq| seq.to_string());
        let as_of = self.size.unwrap_or(0).saturating_sub(1);
        json!({ "items": items, "next": next, "as_of": as_of })
    }
}

/// Where rows end: how many there are, and the entry of the last one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    count: usize,
    last: Option<i64>,
}

impl Listed {
    /// Where these rows end, before any is left out.
    pub(super) fn place(&self) -> Place {
        Place {
            count: self.items.len(),
            last: self.items.last().map(|item| item.seq),
        }
    }
}

/// Goes along a list until there is as much as a slice has room for.
#[derive(Debug)]
pub(super) struct Walk {
    wanted: usize,
    /// What to read next, if anything.
    piece: Option<Slice>,
    looked_at: usize,
    found: Listed,
}

impl Walk {
    pub(super) fn new(slice: Slice) -> Self {
        Self {
            wanted: slice.limit,
            piece: Some(slice),
            looked_at: 0,
            found: Listed::default(),
        }
    }

    /// What to read next.
    pub(super) const fn next(&self) -> Option<Slice> {
        self.piece
    }

    /// Takes what is visible of the rows that were read, which ended at a place.
    pub(super) fn take(&mut self, Place { count, last }: Place, visible: Listed) {
        let Some(piece) = self.piece.take() else {
            return;
        };
        self.found.take(visible);
        self.looked_at = self.looked_at.saturating_add(count);
        if count < piece.limit || self.found.items.len() >= self.wanted {
            return;
        }
        if self.looked_at >= LOOKED_AT_MAX {
            self.found.next = last;
            return;
        }
        self.piece = Some(Slice {
            after: last.and_then(|seq| u64::try_from(seq).ok()),
            limit: piece.limit.saturating_mul(2).min(LIMIT_MAX),
        });
    }

    /// All that was found.
    pub(super) fn found(self) -> Listed {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(seq: i64) -> Item {
        let (about, shown) = (About::Entry(seq), json!(seq));
        Item { seq, about, shown }
    }

    /// A page behind an entry of a list of so many rows, of which every n-th is visible; and how many were looked at.
    fn page(
        rows: i64,
        every: i64,
        (after, limit): (Option<u64>, usize),
    ) -> (Vec<i64>, Option<i64>, usize) {
        let limit_and_one = limit + 1;
        let mut walk = Walk::new(Slice {
            after,
            limit: limit_and_one,
        });
        while let Some(piece) = walk.next() {
            let from = piece
                .after
                .map_or(0, |after| i64::try_from(after).unwrap() + 1);
            let to = rows.min(from + i64::try_from(piece.limit).unwrap());
            let mut read = Listed {
                items: (from..to).map(item).collect(),
                next: None,
                size: Some(u64::try_from(rows).unwrap()),
            };
            let place = read.place();
            read.items.retain(|item| item.seq % every == every - 1);
            walk.take(place, read);
        }
        let looked_at = walk.looked_at;
        let page = walk.found().cut(limit);
        let seqs = page.items.iter().map(|item| item.seq).collect();
        (seqs, page.next, looked_at)
    }

    /// All pages of a list one after the other.
    fn pages(rows: i64, every: i64, limit: usize) -> Vec<(Vec<i64>, usize)> {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let (seqs, next, looked_at) = page(rows, every, (after, limit));
            pages.push((seqs, looked_at));
            let Some(next) = next else { return pages };
            after = u64::try_from(next).ok();
        }
    }

    fn visible(rows: i64, every: i64) -> Vec<i64> {
        (0..rows).filter(|seq| seq % every == every - 1).collect()
    }

    #[test]
    fn pages_are_full_but_the_last_and_leave_nothing_out() {
        for (every, limit) in [
            (1, 1),
            (1, 100),
            (2, 1),
            (2, LIMIT_MAX),
            (7, 3),
            (90, 3),
            (90, 100),
        ] {
            let pages = pages(1_000, every, limit);
            let (_, full) = pages.split_last().unwrap();
            assert!(
                full.iter().all(|(seqs, _)| seqs.len() == limit),
                "{every} {limit}"
            );
            let all: Vec<i64> = pages.into_iter().flat_map(|(seqs, _)| seqs).collect();
            assert_eq!(all, visible(1_000, every), "{every} {limit}");
        }
    }

    #[test]
    fn what_one_request_looks_at_is_bounded_and_the_next_goes_on_from_there() {
        let pages = pages(100_000, 40_000, 10);
        let within = |looked_at: usize| looked_at < LOOKED_AT_MAX + LIMIT_MAX;
        assert!(pages.iter().all(|(_, looked_at)| within(*looked_at)));
        assert_eq!(pages.len(), 5);
        let all: Vec<i64> = pages.into_iter().flat_map(|(seqs, _)| seqs).collect();
        assert_eq!(all, visible(100_000, 40_000));
    }
}
