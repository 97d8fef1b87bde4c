//! Rows of stored contents: one a SHA-256, whoever brought it.

use diesel::prelude::*;
use verifier::time::Timestamp;

use crate::store::schema::own_blobs;
use crate::store::{Db, StoreFault, hash, moment, on_backend, signed, unsigned};

/// How a content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it was when it came.
    Stored,
    /// It does not open, or has another hash: nobody may buy it.
    Damaged,
}

impl State {
    /// The word in the row.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Damaged => "damaged",
        }
    }

    fn parse(word: &str) -> Result<Self, StoreFault> {
        let found = [Self::Stored, Self::Damaged].into_iter();
        let mut found = found.filter(|state| state.as_str() == word);
        let none = || StoreFault::Inconsistent(format!("own_blobs.state is {word:?}"));
        found.next().ok_or_else(none)
    }
}

/// A stored content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// SHA-256 of its bytes as they came.
    pub sha256: [u8; 32],
    /// How many.
    pub bytes: u64,
    /// Its name in the object store.
    pub object: String,
    /// Whether it lies there as an age file.
    pub sealed: bool,
    /// How it is.
    pub state: State,
    /// When it was hashed last.
    pub checked: Timestamp,
}

type Row = (Vec<u8>, i64, String, i64, String, i64);

fn parse((sha256, bytes, object, sealed, state, checked): Row) -> Result<BlobRow, StoreFault> {
    Ok(BlobRow {
        sha256: hash(sha256, "own_blobs.sha256")?,
        bytes: unsigned(bytes, "own_blobs.bytes")?,
        object,
        sealed: sealed != 0,
        state: State::parse(&state)?,
        checked: moment(checked, "own_blobs.checked")?,
    })
}

/// A content by its hash.
/// # Errors
/// [`StoreFault`]
pub fn get(db: &mut Db, sha256: &[u8; 32]) -> Result<Option<BlobRow>, StoreFault> {
    let row: Option<Row> = own_blobs::table.find(&sha256[..]).first(db).optional()?;
    row.map(parse).transpose()
}

/// Adds a content and returns the row that holds: another server may have been faster, and its object is the one then. A damaged
/// content is replaced by the good one that came.
/// # Errors
/// [`StoreFault`]
pub fn add(db: &mut Db, blob: &BlobRow) -> Result<BlobRow, StoreFault> {
    let row = (
        own_blobs::sha256.eq(&blob.sha256[..]),
        own_blobs::bytes.eq(signed(blob.bytes, "own_blobs.bytes")?),
        own_blobs::object.eq(&blob.object),
        own_blobs::sealed.eq(i64::from(blob.sealed)),
        own_blobs::state.eq(blob.state.as_str()),
        own_blobs::checked.eq(blob.checked.unix()),
    );
    on_backend!(db, conn => diesel::insert_into(own_blobs::table)
        .values(row).on_conflict_do_nothing().execute(conn))?;
    diesel::update(own_blobs::table.find(&blob.sha256[..]))
        .filter(own_blobs::state.eq(State::Damaged.as_str()))
        .set((
            own_blobs::object.eq(&blob.object),
            own_blobs::sealed.eq(i64::from(blob.sealed)),
            own_blobs::state.eq(State::Stored.as_str()),
            own_blobs::checked.eq(blob.checked.unix()),
        ))
        .execute(db)?;
    let none = || StoreFault::Inconsistent("a content that was added is not there".to_owned());
    get(db, &blob.sha256)?.ok_or_else(none)
}

/// Contents that were hashed last before `then`, the oldest first.
/// # Errors
/// [`StoreFault`]
pub fn due(db: &mut Db, then: Timestamp, limit: i64) -> Result<Vec<BlobRow>, StoreFault> {
    let rows: Vec<Row> = own_blobs::table
        .filter(own_blobs::checked.lt(then.unix()))
        .order((own_blobs::checked, own_blobs::sha256))
        .limit(limit)
        .load(db)?;
    rows.into_iter().map(parse).collect()
}

/// Says how an object was found; a content that lies under another name by now is left alone.
/// # Errors
/// [`StoreFault`]
pub fn found(db: &mut Db, blob: &BlobRow, state: State, at: Timestamp) -> Result<(), StoreFault> {
    diesel::update(own_blobs::table.find(&blob.sha256[..]))
        .filter(own_blobs::object.eq(&blob.object))
        .set((
            own_blobs::state.eq(state.as_str()),
            own_blobs::checked.eq(at.unix()),
        ))
        .execute(db)?;
    Ok(())
}
