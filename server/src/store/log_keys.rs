//! Keys of the log that took over from its first one, written with the entry that says so. The sequencer adds, the publisher reads.

use diesel::prelude::*;
use verifier::time::Timestamp;

use super::schema::trail_keys;
use super::{Db, StoreFault, moment, signed, unsigned};

/// One key taking over from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The entry that says so; the new key signs the head over it and every later one.
    pub seq: u64,
    /// The new key (C2SP vkey).
    pub vkey: String,
    /// Heads whose last entry is of before this time are signed by the one before, too.
    pub until: Timestamp,
}

/// Keeps a turn, in the transaction that appends its entry.
/// # Errors
/// [`StoreFault::Query`].
pub fn add(tx: &mut Db, turn: &Turn) -> Result<(), StoreFault> {
    diesel::insert_into(trail_keys::table)
        .values((
            trail_keys::seq.eq(signed(turn.seq, "the entry of a key")?),
            trail_keys::vkey.eq(&turn.vkey),
            trail_keys::until.eq(turn.until.unix()),
        ))
        .execute(tx)?;
    Ok(())
}

/// Every turn, in order.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn all(db: &mut Db) -> Result<Vec<Turn>, StoreFault> {
    let rows: Vec<(i64, String, i64)> = trail_keys::table.order(trail_keys::seq).load(db)?;
    let turn = |(seq, vkey, until): (i64, String, i64)| {
        Ok(Turn {
            seq: unsigned(seq, "trail_keys.seq")?,
            vkey,
            until: moment(until, "trail_keys.until")?,
        })
    };
    rows.into_iter().map(turn).collect()
}
