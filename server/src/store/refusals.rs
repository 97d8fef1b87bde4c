//! Refusals that were answered, until they are under a seal and may be forgotten (TRAIL E5).
//!
//! A row is written once and sealed once. Which rows a seal is over, and what it says, is settled in one transaction before the
//! seal is asked: whoever asks after a crash, or on another server, asks the same.

use diesel::prelude::*;
use verifier::time::Timestamp;

use super::schema::{own_refusals, own_seals};
use super::{Db, StoreFault, hash, on_backend, signed, unsigned};

/// Replies under one seal at most: their hashes are proven from memory.
const SEAL_MAX: i64 = 100_000;

/// A refusal as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// SHA-256 of the compact JWS.
    pub hash: [u8; 32],
    /// Its leaf under the seal.
    pub leaf: [u8; 32],
    /// Who was refused.
    pub party: String,
    /// When.
    pub at: Timestamp,
    /// How many refusals of each code, as JSON: opaque here.
    pub counts: String,
    /// The compact JWS.
    pub reply: String,
}

/// What a seal is to be over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsealed {
    /// The leaf under the seal.
    pub leaf: [u8; 32],
    /// When it was refused, in Unix seconds.
    pub at: i64,
    /// How many refusals of each code, as JSON.
    pub counts: String,
}

/// Where a refusal stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the order of issue.
    pub n: i64,
    /// Who was refused.
    pub party: String,
    /// The number of its seal, once that is settled.
    pub seal: Option<u64>,
}

/// Keeps refusals, all in the open transaction; one that is kept already stays as it is.
/// # Errors
/// [`StoreFault::Query`].
pub fn keep<'a>(tx: &mut Db, refused: impl Iterator<Item = &'a Refused>) -> Result<(), StoreFault> {
    for row in refused {
        let row = (
            own_refusals::hash.eq(&row.hash[..]),
            own_refusals::leaf.eq(&row.leaf[..]),
            own_refusals::party.eq(&row.party),
            own_refusals::at.eq(row.at.unix()),
            own_refusals::counts.eq(&row.counts),
            own_refusals::reply.eq(&row.reply),
        );
        on_backend!(&mut *tx, conn => diesel::insert_into(own_refusals::table)
            .values(row).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}

/// What the seal `number` says, if that is settled.
/// # Errors
/// [`StoreFault::Query`].
pub fn settled(db: &mut Db, number: u64) -> Result<Option<String>, StoreFault> {
    let number = signed(number, "own_seals.number")?;
    let asked = own_seals::table.find(number).select(own_seals::asked);
    Ok(asked.first(db).optional()?)
}

/// Whether a refusal from before `to` waits for a seal.
/// # Errors
/// [`StoreFault::Query`].
pub fn waits(db: &mut Db, to: Timestamp) -> Result<bool, StoreFault> {
    let waiting = own_refusals::table
        .filter(own_refusals::seal.is_null())
        .filter(own_refusals::at.lt(to.unix()));
    let first: Option<i64> = waiting.select(own_refusals::n).first(db).optional()?;
    Ok(first.is_some())
}

/// Puts the refusals from before `to` that no seal is over under the seal `number`, and settles what it says of them, which
/// `says` writes from the rows in the order of issue.
/// # Errors
/// [`StoreFault::Query`], also where another server was faster; whatever `says` returns. Nothing is settled then.
pub fn settle(
    tx: &mut Db,
    number: u64,
    to: Timestamp,
    says: impl FnOnce(&[Unsealed]) -> Result<String, StoreFault>,
) -> Result<(), StoreFault> {
    let number = signed(number, "own_seals.number")?;
    // Write first: SQLite then waits in line, and on PostgreSQL a second server waits here until this one is done, and fails.
    diesel::insert_into(own_seals::table)
        .values((own_seals::number.eq(number), own_seals::asked.eq("")))
        .execute(tx)?;
    let last: Option<i64> = own_refusals::table
        .filter(own_refusals::seal.is_null())
        .filter(own_refusals::at.lt(to.unix()))
        .order(own_refusals::n)
        .select(own_refusals::n)
        .offset(SEAL_MAX)
        .first(tx)
        .optional()?;
    let taken = own_refusals::table
        .filter(own_refusals::seal.is_null())
        .filter(own_refusals::at.lt(to.unix()))
        .filter(own_refusals::n.lt(last.unwrap_or(i64::MAX)));
    diesel::update(taken)
        .set(own_refusals::seal.eq(Some(number)))
        .execute(tx)?;
    // Read after the update: what was committed in between is either under the seal and here, or neither.
    let rows: Vec<(Vec<u8>, i64, String)> = own_refusals::table
        .filter(own_refusals::seal.eq(number))
        .order(own_refusals::n)
        .select((own_refusals::leaf, own_refusals::at, own_refusals::counts))
        .load(tx)?;
    let unsealed = |(leaf, at, counts)| {
        let leaf = hash(leaf, "own_refusals.leaf")?;
        Ok(Unsealed { leaf, at, counts })
    };
    let rows: Vec<Unsealed> = rows
        .into_iter()
        .map(unsealed)
        .collect::<Result<_, StoreFault>>()?;
    diesel::update(own_seals::table.find(number))
        .set(own_seals::asked.eq(says(&rows)?))
        .execute(tx)?;
    Ok(())
}

/// The refusal with this hash, if it is kept.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn find(db: &mut Db, hash: &[u8; 32]) -> Result<Option<Kept>, StoreFault> {
    let row: Option<(i64, String, Option<i64>)> = own_refusals::table
        .filter(own_refusals::hash.eq(&hash[..]))
        .select((own_refusals::n, own_refusals::party, own_refusals::seal))
        .first(db)
        .optional()?;
    row.map(|(n, party, seal)| {
        let seal = seal.map(|seal| unsigned(seal, "own_refusals.seal"));
        Ok(Kept {
            n,
            party,
            seal: seal.transpose()?,
        })
    })
    .transpose()
}

/// Every leaf under a seal with its place in the order of issue, in that order.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn leaves(db: &mut Db, number: u64) -> Result<Vec<(i64, [u8; 32])>, StoreFault> {
    let rows: Vec<(i64, Vec<u8>)> = own_refusals::table
        .filter(own_refusals::seal.eq(signed(number, "own_refusals.seal")?))
        .order(own_refusals::n)
        .select((own_refusals::n, own_refusals::leaf))
        .load(db)?;
    let leaf = |(n, leaf)| Ok((n, hash(leaf, "own_refusals.leaf")?));
    rows.into_iter().map(leaf).collect()
}

/// Forgets what is under seals before `number`.
/// # Errors
/// [`StoreFault::Query`].
pub fn forget_before(db: &mut Db, number: u64) -> Result<usize, StoreFault> {
    let number = signed(number, "own_refusals.seal")?;
    let old = own_refusals::table.filter(own_refusals::seal.lt(number));
    Ok(diesel::delete(old).execute(db)?)
}
