//! Heads that were signed, and the checkpoint that is published (TRAIL D1, D3). The publisher calls this.

use diesel::prelude::*;
use std::ops::Range;
use verifier::time::Timestamp;

use super::log::Head;
use super::schema::{head, published, trail_history, trail_signed};
use super::{Db, StoreFault, hash, moment, on_backend, signed, unsigned};

/// A tree head that the log key may be used on: its row is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The tree's size.
    pub size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// When the row was made.
    pub signed_at: Timestamp,
}

/// The newest published checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its size.
    pub size: u64,
    /// The whole signed note.
    pub note: String,
}

/// Records that this head is about to be signed; use the key only on what this returns.
///
/// The row is committed when this returns, so "never two roots of one size" is a constraint of the table. A second server
/// that signs the same head gets the first one's row.
/// # Errors
/// [`StoreFault::Query`]; [`StoreFault::Inconsistent`] where that size was signed with another root, or is not committed.
pub fn sign_head(db: &mut Db, committed: &Head, now: Timestamp) -> Result<SignedHead, StoreFault> {
    let size = signed(committed.size, "the size to sign")?;
    let row = (
        trail_signed::size.eq(size),
        trail_signed::root.eq(&committed.root[..]),
        trail_signed::signed_at.eq(now.unix()),
    );
    db.transaction(|tx| {
        on_backend!(tx, conn => diesel::insert_into(trail_signed::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        let newest: i64 = head::table.find(1).select(head::size).first(tx)?;
        let found = parse(trail_signed::table.find(size).first(tx)?)?;
        if found.root == committed.root && size <= newest {
            Ok(found)
        } else {
            let sentence = format!("size {size} was signed with another root, or is not committed");
            Err(StoreFault::Inconsistent(sentence))
        }
    })
}

/// The largest head that was ever signed.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn signed_head(db: &mut Db) -> Result<Option<SignedHead>, StoreFault> {
    let row = trail_signed::table
        .order(trail_signed::size.desc())
        .first(db);
    row.optional()?.map(parse).transpose()
}

/// The head of this size that was signed, if one was.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn signed_at(db: &mut Db, size: u64) -> Result<Option<SignedHead>, StoreFault> {
    let size = signed(size, "a signed size")?;
    let row = trail_signed::table.find(size).first(db);
    row.optional()?.map(parse).transpose()
}

/// The largest head of at most `size` entries that was signed at `before` or earlier.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn signed_before(
    db: &mut Db,
    before: Timestamp,
    size: u64,
) -> Result<Option<SignedHead>, StoreFault> {
    let row = trail_signed::table
        .filter(trail_signed::size.le(signed(size, "a signed size")?))
        .filter(trail_signed::signed_at.le(before.unix()))
        .order(trail_signed::size.desc())
        .first(db);
    row.optional()?.map(parse).transpose()
}

/// The heads that were signed of the sizes in a range, in order.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn signed_in(db: &mut Db, sizes: Range<u64>) -> Result<Vec<SignedHead>, StoreFault> {
    let rows: Vec<(i64, Vec<u8>, i64)> = trail_signed::table
        .filter(trail_signed::size.ge(signed(sizes.start, "a signed size")?))
        .filter(trail_signed::size.lt(signed(sizes.end, "a signed size")?))
        .order(trail_signed::size)
        .load(db)?;
    rows.into_iter().map(parse).collect()
}

fn parse((size, root, at): (i64, Vec<u8>, i64)) -> Result<SignedHead, StoreFault> {
    Ok(SignedHead {
        size: unsigned(size, "trail_signed.size")?,
        root: hash(root, "trail_signed.root")?,
        signed_at: moment(at, "trail_signed.signed_at")?,
    })
}

/// The newest published checkpoint, if there is one.
/// # Errors
/// [`StoreFault::Query`].
pub fn published(db: &mut Db) -> Result<Option<Published>, StoreFault> {
    let (size, note): (i64, String) = published::table
        .find(1)
        .select((published::size, published::note))
        .first(db)?;
    Ok(u64::try_from(size)
        .ok()
        .map(|size| Published { size, note }))
}

/// Replaces the published note by one of the same head with newer cosignatures; says whether nobody else was faster.
/// # Errors
/// [`StoreFault::Query`].
pub fn recosign(db: &mut Db, old: &Published, note: &str) -> Result<bool, StoreFault> {
    let size = signed(old.size, "the published size")?;
    let same = published::table
        .find(1)
        .filter(published::size.eq(size))
        .filter(published::note.eq(&old.note));
    let replaced = diesel::update(same)
        .set(published::note.eq(note))
        .execute(db)?;
    Ok(replaced == 1)
}

/// Publishes a larger checkpoint; says whether it was larger than the published one. A smaller or equal one changes
/// nothing: another server was faster.
/// # Errors
/// [`StoreFault::Query`].
pub fn advance_published(db: &mut Db, new: &Published) -> Result<bool, StoreFault> {
    let size = signed(new.size, "the size to publish")?;
    let moved = diesel::update(published::table.find(1).filter(published::size.lt(size)))
        .set((published::size.eq(size), published::note.eq(&new.note)))
        .execute(db)?;
    Ok(moved == 1)
}

/// Forgets what was signed, published and kept of a log under its former name: under the new one nothing was yet. Called once, when
/// a log goes on under a new origin and nobody serves it.
/// # Errors
/// [`StoreFault::Query`].
pub fn begin_anew(db: &mut Db) -> Result<(), StoreFault> {
    db.transaction(|tx| {
        diesel::delete(trail_signed::table).execute(tx)?;
        diesel::delete(trail_history::table).execute(tx)?;
        diesel::update(published::table.find(1))
            .set((published::size.eq(-1), published::note.eq("")))
            .execute(tx)?;
        Ok(())
    })
}

/// What only a test does to rows that are never changed.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes every head that was signed so far look older.
    pub(crate) fn age(db: &mut Db, seconds: i64) {
        diesel::update(trail_signed::table)
            .set(trail_signed::signed_at.eq(trail_signed::signed_at - seconds))
            .execute(db)
            .unwrap();
    }

    /// Gives the head of a size another root.
    pub(crate) fn forge(db: &mut Db, size: i64) {
        diesel::update(trail_signed::table.find(size))
            .set(trail_signed::root.eq(vec![0; 32]))
            .execute(db)
            .unwrap();
    }
}
