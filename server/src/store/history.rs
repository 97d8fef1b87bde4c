//! The history of cosigned checkpoints, in the order in which they were published (TRAIL E3). The publisher calls this.

use std::ops::Range;

use diesel::dsl::max;
use diesel::prelude::*;
use verifier::time::Timestamp;

use super::heads::Published;
use super::schema::{published, trail_history};
use super::{Db, StoreFault, signed, unsigned};

/// Seconds of witnesses' time between two checkpoints that are kept: one at least every minute while the log grows.
pub const EVERY_SECONDS: u64 = 50;

/// How many checkpoints are kept.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn count(db: &mut Db) -> Result<u64, StoreFault> {
    let newest: Option<i64> = trail_history::table
        .select(max(trail_history::number))
        .first(db)?;
    let count = newest.map_or(0, |number| number.saturating_add(1));
    unsigned(count, "trail_history.number")
}

/// How many of them were cosigned at `time` or earlier.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn count_until(db: &mut Db, time: Timestamp) -> Result<u64, StoreFault> {
    let newest: Option<i64> = trail_history::table
        .filter(trail_history::cosigned_at.le(time.unix()))
        .select(max(trail_history::number))
        .first(db)?;
    let count = newest.map_or(0, |number| number.saturating_add(1));
    unsigned(count, "trail_history.number")
}

/// The notes of a range of numbers; fewer where there are fewer.
/// # Errors
/// [`StoreFault::Query`].
pub fn notes(db: &mut Db, range: Range<u64>) -> Result<Vec<String>, StoreFault> {
    let (from, to) = (
        signed(range.start, "a number of the history")?,
        signed(range.end, "a number of the history")?,
    );
    Ok(trail_history::table
        .filter(trail_history::number.ge(from))
        .filter(trail_history::number.lt(to))
        .order(trail_history::number)
        .select(trail_history::note)
        .load(db)?)
}

/// The first of them that covers an entry, with its size.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn first_above(db: &mut Db, seq: u64) -> Result<Option<Published>, StoreFault> {
    let found: Option<(i64, String)> = trail_history::table
        .filter(trail_history::size.gt(signed(seq, "the number of an entry")?))
        .order(trail_history::number)
        .select((trail_history::size, trail_history::note))
        .first(db)
        .optional()?;
    let covering = |(size, note)| {
        let size = unsigned(size, "trail_history.size")?;
        Ok(Published { size, note })
    };
    found.map(covering).transpose()
}

/// Keeps a published checkpoint of `size` entries that was cosigned at `time`, if the newest one kept is old enough and not larger.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn keep(db: &mut Db, size: u64, time: u64, note: &str) -> Result<bool, StoreFault> {
    let (size, time) = (
        signed(size, "the size to keep")?,
        signed(time, "the time of a cosignature")?,
    );
    let every = signed(EVERY_SECONDS, "the seconds between two")?;
    db.transaction(|tx| {
        // Written first, so that two servers wait for each other here and number one after the other.
        diesel::update(published::table.find(1))
            .set(published::size.eq(published::size))
            .execute(tx)?;
        let newest: Option<(i64, i64, i64)> = trail_history::table
            .order(trail_history::number.desc())
            .select((
                trail_history::number,
                trail_history::size,
                trail_history::cosigned_at,
            ))
            .first(tx)
            .optional()?;
        let number = match newest {
            Some((_, larger, _)) if larger > size => return Ok(false),
            Some((_, _, before)) if time.saturating_sub(before) < every => return Ok(false),
            Some((number, _, _)) => number.saturating_add(1),
            None => 0,
        };
        diesel::insert_into(trail_history::table)
            .values((
                trail_history::number.eq(number),
                trail_history::size.eq(size),
                trail_history::cosigned_at.eq(time),
                trail_history::note.eq(note),
            ))
            .execute(tx)?;
        Ok(true)
    })
}

/// What only a test does to rows that are never changed.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes every checkpoint that was kept so far look older.
    pub(crate) fn age(db: &mut Db, seconds: i64) {
        diesel::update(trail_history::table)
            .set(trail_history::cosigned_at.eq(trail_history::cosigned_at - seconds))
            .execute(db)
            .unwrap();
    }
}
