//! The append-only log: lock the head, append entries, read those from a number on (DESIGN §7).
//!
//! This is the only file that writes `entries` and `head`. A writer locks the head first, by writing it, so that writers
//! wait in line on both databases; readers never wait. Entries are opaque bytes here.

use bytes::Bytes;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary};
use std::ops::Range;
use verifier::time::Timestamp;

use super::schema::{entries, head, unixepoch};
use super::{Db, StoreFault, hash, moment, signed, unsigned};

/// Entries that one read returns at most: 1 000 of the longest are 65 MB.
pub const READ_MAX: u64 = 1_000;

/// Rows of one SQLite `INSERT`: far below its 32 766 binds, and longer ones are not faster.
const INSERT_ROWS: usize = 64;

/// The newest committed state of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many entries there are.
    pub size: u64,
    /// The root of the tree over them (RFC 6962 §2.1).
    pub root: [u8; 32],
    /// The right edge of that tree, as `verifier::trail` writes it: opaque here.
    pub edge: Vec<u8>,
    /// The last entry's `at`; 1970 while there is none.
    pub at: Timestamp,
}

/// The head, which nobody else moves until the transaction ends.
#[derive(Debug)]
pub struct Locked {
    /// The head.
    pub head: Head,
    /// The database's clock, read after the lock was got.
    pub now: Timestamp,
}

/// One entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number, from 0.
    pub seq: u64,
    /// Its bytes: the leaf.
    pub bytes: Bytes,
}

type HeadRow = (i64, Vec<u8>, Vec<u8>, i64);

fn parse_head((size, root, edge, at): HeadRow) -> Result<Head, StoreFault> {
    Ok(Head {
        size: unsigned(size, "head.size")?,
        root: hash(root, "head.root")?,
        edge,
        at: moment(at, "head.at")?,
    })
}

/// Locks the head until the transaction ends: the first statement of a writing transaction.
///
/// It writes first: PostgreSQL takes the row lock, SQLite the write lock, and both wait in line.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn lock_head(tx: &mut Db) -> Result<Locked, StoreFault> {
    let (row, now): (HeadRow, i64) = diesel::update(head::table.find(1))
        .set(head::fence.eq(head::fence + 1))
        .returning(((head::size, head::root, head::edge, head::at), unixepoch()))
        .get_result(tx)?;
    Ok(Locked {
        head: parse_head(row)?,
        now: moment(now, "the database's clock")?,
    })
}

/// Appends `new` behind the locked head `from` and moves it to `to`.
/// # Errors
/// [`StoreFault::Query`]; [`StoreFault::Inconsistent`] if the numbers do not add up or the head was not `from`.
pub fn append(tx: &mut Db, from: &Head, new: &[Vec<u8>], to: &Head) -> Result<(), StoreFault> {
    let grown = u64::try_from(new.len())
        .ok()
        .and_then(|n| from.size.checked_add(n));
    if grown != Some(to.size) || to.at < from.at {
        let sentence = format!("{} entries do not lead from {from:?} to {to:?}", new.len());
        return Err(StoreFault::Inconsistent(sentence));
    }
    let first = signed(from.size, "the first new number")?;
    let size = signed(to.size, "the new size")?;
    match tx {
        Db::Sqlite(conn) => insert_rows(conn, first, new)?,
        Db::Postgres(conn) => insert_arrays(conn, first, new)?,
    }
    let moved = diesel::update(head::table.find(1).filter(head::size.eq(first)))
        .set((
            head::size.eq(size),
            head::root.eq(&to.root[..]),
            head::edge.eq(&to.edge),
            head::at.eq(to.at.unix()),
        ))
        .execute(tx)?;
    if moved == 1 {
        Ok(())
    } else {
        let sentence = format!("the head was not at {first} under its lock");
        Err(StoreFault::Inconsistent(sentence))
    }
}

/// SQLite: a few multi-row inserts.
fn insert_rows(conn: &mut SqliteConnection, first: i64, new: &[Vec<u8>]) -> QueryResult<()> {
    let rows: Vec<_> = (first..)
        .zip(new)
        .map(|(seq, bytes)| (entries::seq.eq(seq), entries::bytes.eq(bytes)))
        .collect();
    for chunk in rows.chunks(INSERT_ROWS) {
        diesel::insert_into(entries::table)
            .values(chunk)
            .execute(conn)?;
    }
    Ok(())
}

/// PostgreSQL: one statement with one array a column, so its text is always the same, and it is prepared once.
fn insert_arrays(conn: &mut PgConnection, first: i64, new: &[Vec<u8>]) -> QueryResult<()> {
    let seqs = (first..).zip(new).map(|(seq, _)| seq).collect();
    InsertArrays { seqs, bytes: new }.execute(conn).map(drop)
}

struct InsertArrays<'a> {
    seqs: Vec<i64>,
    bytes: &'a [Vec<u8>],
}

/// The text does not depend on the values: the prepared statement is kept.
impl QueryId for InsertArrays<'_> {
    type QueryId = InsertArrays<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for InsertArrays<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO entries (seq, bytes) SELECT * FROM unnest(");
        out.push_bind_param::<Array<BigInt>, _>(&self.seqs)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(self.bytes)?;
        out.push_sql(")");
        Ok(())
    }
}

impl RunQueryDsl<PgConnection> for InsertArrays<'_> {}

/// The newest committed head.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn head(db: &mut Db) -> Result<Head, StoreFault> {
    let row = head::table
        .find(1)
        .select((head::size, head::root, head::edge, head::at))
        .first(db)?;
    parse_head(row)
}

/// The entries with numbers in `range`, at most [`READ_MAX`] of them, in order and without a gap, from the database: whoever follows
/// the log asks [`Store::entries`](super::Store::entries).
/// # Errors
/// [`StoreFault::Query`]; [`StoreFault::Inconsistent`] if one before the last is missing.
pub fn entries(db: &mut Db, range: Range<u64>) -> Result<Vec<Stored>, StoreFault> {
    let last = range.end.min(range.start.saturating_add(READ_MAX));
    let rows: Vec<(i64, Vec<u8>)> = entries::table
        .filter(entries::seq.ge(signed(range.start, "the first number")?))
        .filter(entries::seq.lt(signed(last, "the last number")?))
        .order(entries::seq)
        .load(db)?;
    let mut found = Vec::with_capacity(rows.len());
    for (expected, (seq, bytes)) in (range.start..).zip(rows) {
        let seq = unsigned(seq, "entries.seq")?;
        if seq != expected {
            return Err(StoreFault::Inconsistent(format!(
                "entry {expected} is missing"
            )));
        }
        found.push(Stored {
            seq,
            bytes: bytes.into(),
        });
    }
    Ok(found)
}

/// One entry's bytes, if it exists.
/// # Errors
/// [`StoreFault::Query`].
pub fn entry(db: &mut Db, seq: u64) -> Result<Option<Vec<u8>>, StoreFault> {
    let Ok(seq) = i64::try_from(seq) else {
        return Ok(None);
    };
    let bytes = entries::table.find(seq).select(entries::bytes).first(db);
    Ok(bytes.optional()?)
}

/// Each of these entries' bytes with its number, those that exist.
/// # Errors
/// [`StoreFault::Query`].
pub fn of(db: &mut Db, seqs: &[i64]) -> Result<Vec<(i64, Vec<u8>)>, StoreFault> {
    let rows = entries::table.filter(entries::seq.eq_any(seqs));
    Ok(rows.load(db)?)
}

/// The database's clock: the one that all servers share.
/// # Errors
/// [`StoreFault::Query`].
pub fn now(db: &mut Db) -> Result<Timestamp, StoreFault> {
    let now = diesel::select(unixepoch()).first(db)?;
    moment(now, "the database's clock")
}
