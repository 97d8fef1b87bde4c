//! Rows of uploads. The offset is not among them: it is the length of the spool's file.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};
use std::collections::BTreeSet;
use verifier::time::Timestamp;

use crate::store::schema::own_uploads;
use crate::store::{Db, StoreFault, hash, moment, signed, unsigned};

/// The first number of a party's lock, the second is of its name: two numbers are never one of the store's other locks.
const PARTY_LOCK: i32 = 702_160;

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Bytes are missing.
    Open,
    /// All came, and they are what they were said to be. The row stays: it says whose the content is.
    Complete,
    /// All came, and they are not what they were said to be.
    Failed,
    /// Ended by its owner or by time.
    Gone,
}

impl State {
    /// The word in the row and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }

    fn parse(word: &str) -> Result<Self, StoreFault> {
        let all = [Self::Open, Self::Complete, Self::Failed, Self::Gone];
        let found = all.into_iter().find(|state| state.as_str() == word);
        found.ok_or_else(|| StoreFault::Inconsistent(format!("own_uploads.state is {word:?}")))
    }
}

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// `upl-…`
    pub id: String,
    /// Whose it is.
    pub party: String,
    /// `handle/name` of the listing it is for, where that was said.
    pub listing: Option<String>,
    /// Where it stands in its dataset; may be empty.
    pub path: String,
    /// How many bytes it will have.
    pub length: u64,
    /// What it must be summed to, where that was said.
    pub wanted: Option<[u8; 32]>,
    /// `Upload-Metadata` as it was given.
    pub metadata: String,
    /// When it ends if nobody goes on.
    pub expires: Timestamp,
    /// Where it stands.
    pub state: State,
    /// What it is summed to, once all came.
    pub sha256: Option<[u8; 32]>,
    /// Why it failed; empty otherwise.
    pub why: String,
}

type Row = (
    String,
    String,
    Option<String>,
    String,
    i64,
    Option<Vec<u8>>,
    String,
    i64,
    String,
    Option<Vec<u8>>,
    String,
);

fn parse(row: Row) -> Result<Upload, StoreFault> {
    let (id, party, listing, path, length, wanted, metadata, expires, state, sha256, why) = row;
    let digest = |bytes: Option<Vec<u8>>, what| bytes.map(|bytes| hash(bytes, what)).transpose();
    Ok(Upload {
        id,
        party,
        listing,
        path,
        length: unsigned(length, "own_uploads.length")?,
        wanted: digest(wanted, "own_uploads.wanted")?,
        metadata,
        expires: moment(expires, "own_uploads.expires")?,
        state: State::parse(&state)?,
        sha256: digest(sha256, "own_uploads.sha256")?,
        why,
    })
}

/// Adds an upload if its party then holds no more than `quota` bytes; says whether it did, and how many were left.
/// # Errors
/// [`StoreFault`]
pub fn add(db: &mut Db, upload: &Upload, quota: u64) -> Result<Result<(), u64>, StoreFault> {
    db.transaction(|db| {
        wait_in_line(db, &upload.party)?;
        insert(db, upload)?;
        let held = held(db, &upload.party)?;
        if held <= quota {
            return Ok(Ok(()));
        }
        diesel::delete(own_uploads::table.find(&upload.id)).execute(db)?;
        Ok(Err(quota.saturating_sub(held.saturating_sub(upload.length))))
    })
}

/// Two servers may add for one party at once: on PostgreSQL they wait until the transaction ends, or each would see room for its
/// own; on SQLite whoever writes first is alone.
fn wait_in_line(tx: &mut Db, party: &str) -> Result<(), StoreFault> {
    match tx {
        Db::Sqlite(_) => {}
        Db::Postgres(conn) => {
            let lock = diesel::sql_query("SELECT pg_advisory_xact_lock($1, hashtext($2))");
            lock.bind::<Integer, _>(PARTY_LOCK)
                .bind::<Text, _>(party)
                .execute(conn)?;
        }
    }
    Ok(())
}

fn insert(db: &mut Db, upload: &Upload) -> Result<(), StoreFault> {
    let digest = |bytes: &Option<[u8; 32]>| bytes.map(|bytes| bytes.to_vec());
    diesel::insert_into(own_uploads::table)
        .values((
            own_uploads::id.eq(&upload.id),
            own_uploads::party.eq(&upload.party),
            own_uploads::listing.eq(&upload.listing),
            own_uploads::path.eq(&upload.path),
            own_uploads::length.eq(signed(upload.length, "own_uploads.length")?),
            own_uploads::wanted.eq(digest(&upload.wanted)),
            own_uploads::metadata.eq(&upload.metadata),
            own_uploads::expires.eq(upload.expires.unix()),
            own_uploads::state.eq(upload.state.as_str()),
            own_uploads::sha256.eq(digest(&upload.sha256)),
            own_uploads::why.eq(&upload.why),
        ))
        .execute(db)?;
    Ok(())
}

/// Bytes that a party holds: what its open uploads will have, and each content that it brought once.
/// # Errors
/// [`StoreFault`]
pub fn held(db: &mut Db, party: &str) -> Result<u64, StoreFault> {
    let open: i64 = own_uploads::table
        .filter(own_uploads::party.eq(party))
        .filter(own_uploads::state.eq(State::Open.as_str()))
        .select(sql::<BigInt>("CAST(coalesce(sum(length), 0) AS BIGINT)"))
        .first(db)?;
    let complete: Vec<(Option<Vec<u8>>, i64)> = own_uploads::table
        .filter(own_uploads::party.eq(party))
        .filter(own_uploads::state.eq(State::Complete.as_str()))
        .select((own_uploads::sha256, own_uploads::length))
        .load(db)?;
    let contents: BTreeSet<_> = complete.into_iter().collect();
    let stored = contents.iter().try_fold(0u64, |sum, (_, length)| {
        Ok::<_, StoreFault>(sum.saturating_add(unsigned(*length, "own_uploads.length")?))
    })?;
    Ok(stored.saturating_add(unsigned(open, "sum(own_uploads.length)")?))
}

/// How many uploads of a party are open.
/// # Errors
/// [`StoreFault`]
pub fn open_count(db: &mut Db, party: &str) -> Result<u64, StoreFault> {
    let count = own_uploads::table
        .filter(own_uploads::party.eq(party))
        .filter(own_uploads::state.eq(State::Open.as_str()))
        .count()
        .get_result(db)?;
    unsigned(count, "a count of own_uploads")
}

/// An upload by its id.
/// # Errors
/// [`StoreFault`]
pub fn get(db: &mut Db, id: &str) -> Result<Option<Upload>, StoreFault> {
    let row: Option<Row> = own_uploads::table.find(id).first(db).optional()?;
    row.map(parse).transpose()
}

/// Where somebody who brought a content wanted it to stand.
/// # Errors
/// [`StoreFault`]
pub fn path_of(db: &mut Db, sha256: &[u8; 32]) -> Result<Option<String>, StoreFault> {
    let path = own_uploads::table
        .filter(own_uploads::sha256.eq(&sha256[..]))
        .filter(own_uploads::state.eq(State::Complete.as_str()))
        .order(own_uploads::id)
        .select(own_uploads::path);
    Ok(path.first(db).optional()?)
}

/// Puts off the end of an open upload: somebody goes on.
/// # Errors
/// [`StoreFault`]
pub fn put_off(db: &mut Db, id: &str, expires: Timestamp) -> Result<(), StoreFault> {
    diesel::update(own_uploads::table.find(id))
        .filter(own_uploads::state.eq(State::Open.as_str()))
        .set(own_uploads::expires.eq(expires.unix()))
        .execute(db)?;
    Ok(())
}

/// Completes an open upload, or fails it where `why` is not empty; one that is not open any more stays as it is.
/// # Errors
/// [`StoreFault`]
pub fn complete(db: &mut Db, id: &str, sha256: &[u8; 32], why: &str) -> Result<(), StoreFault> {
    let state = if why.is_empty() {
        State::Complete
    } else {
        State::Failed
    };
    diesel::update(own_uploads::table.find(id))
        .filter(own_uploads::state.eq(State::Open.as_str()))
        .set((
            own_uploads::state.eq(state.as_str()),
            own_uploads::sha256.eq(Some(sha256.to_vec())),
            own_uploads::why.eq(why),
        ))
        .execute(db)?;
    Ok(())
}

/// Ends an upload for good.
/// # Errors
/// [`StoreFault`]
pub fn end(db: &mut Db, id: &str) -> Result<(), StoreFault> {
    diesel::update(own_uploads::table.find(id))
        .set(own_uploads::state.eq(State::Gone.as_str()))
        .execute(db)?;
    Ok(())
}

/// Open and failed uploads whose time is over.
/// # Errors
/// [`StoreFault`]
pub fn expired(db: &mut Db, now: Timestamp, limit: i64) -> Result<Vec<Upload>, StoreFault> {
    let states = [State::Open.as_str(), State::Failed.as_str()];
    let rows: Vec<Row> = own_uploads::table
        .filter(own_uploads::state.eq_any(states))
        .filter(own_uploads::expires.lt(now.unix()))
        .order(own_uploads::expires)
        .limit(limit)
        .load(db)?;
    rows.into_iter().map(parse).collect()
}
