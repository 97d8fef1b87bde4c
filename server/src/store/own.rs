//! What is not in the trail: API keys, settings of this store, openings of commitments (DESIGN §2.3, §7).
//!
//! Only hashes of API keys are stored. An opening may be erased at any time; nothing that money depends on is here.

use diesel::prelude::*;
use verifier::time::Timestamp;

use super::schema::{own_keys, own_meta, own_openings};
use super::{Db, StoreFault, hash, moment, on_backend};

/// An API key, known by its hash only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// The role it was made for.
    pub role: String,
    /// The party it acts for; none before that party exists.
    pub party: Option<String>,
    /// The actor who uses it.
    pub actor: String,
    /// What people call it.
    pub label: String,
    /// When it was made.
    pub created: Timestamp,
}

type KeyRow = (Vec<u8>, String, Option<String>, String, String, i64);

fn parse_key((key_hash, role, party, actor, label, created): KeyRow) -> Result<ApiKey, StoreFault> {
    Ok(ApiKey {
        hash: hash(key_hash, "own_keys.hash")?,
        role,
        party,
        actor,
        label,
        created: moment(created, "own_keys.created")?,
    })
}

/// Stores a new API key.
/// # Errors
/// [`StoreFault::Query`], also where the hash is there already.
pub fn add_key(db: &mut Db, key: &ApiKey) -> Result<(), StoreFault> {
    diesel::insert_into(own_keys::table)
        .values((
            own_keys::hash.eq(&key.hash[..]),
            own_keys::role.eq(&key.role),
            own_keys::party.eq(&key.party),
            own_keys::actor.eq(&key.actor),
            own_keys::label.eq(&key.label),
            own_keys::created.eq(key.created.unix()),
        ))
        .execute(db)?;
    Ok(())
}

/// Every API key, oldest first.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn keys(db: &mut Db) -> Result<Vec<ApiKey>, StoreFault> {
    let rows: Vec<KeyRow> = own_keys::table
        .order((own_keys::created, own_keys::hash))
        .load(db)?;
    rows.into_iter().map(parse_key).collect()
}

/// The API key with this hash.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn key(db: &mut Db, key_hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreFault> {
    let row = own_keys::table.find(&key_hash[..]).first(db);
    row.optional()?.map(parse_key).transpose()
}

/// Forgets an API key; says whether there was one.
/// # Errors
/// [`StoreFault::Query`].
pub fn remove_key(db: &mut Db, key_hash: &[u8; 32]) -> Result<bool, StoreFault> {
    Ok(diesel::delete(own_keys::table.find(&key_hash[..])).execute(db)? == 1)
}

/// A setting of this store, e.g. `origin`.
/// # Errors
/// [`StoreFault::Query`].
pub fn meta(db: &mut Db, name: &str) -> Result<Option<String>, StoreFault> {
    let value = own_meta::table.find(name).select(own_meta::value).first(db);
    Ok(value.optional()?)
}

/// Sets a setting that is set once for ever, and returns what holds: the first writer's value.
/// # Errors
/// [`StoreFault::Query`].
pub fn settle_meta(db: &mut Db, name: &str, value: &str) -> Result<String, StoreFault> {
    let row = (own_meta::name.eq(name), own_meta::value.eq(value));
    on_backend!(db, conn => diesel::insert_into(own_meta::table)
        .values(row).on_conflict_do_nothing().execute(conn))?;
    Ok(own_meta::table
        .find(name)
        .select(own_meta::value)
        .first(db)?)
}

/// What a commitment in an entry stands for: SHA-256(salt ‖ text) (DESIGN §4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The hash that is in the trail.
    pub commitment: [u8; 32],
    /// Its own salt.
    pub salt: Vec<u8>,
    /// The text.
    pub text: String,
}

/// Keeps an opening; keeping the same one again changes nothing.
/// # Errors
/// [`StoreFault::Query`].
pub fn keep_opening(db: &mut Db, opening: &Opening) -> Result<(), StoreFault> {
    let row = (
        own_openings::commitment.eq(&opening.commitment[..]),
        own_openings::salt.eq(&opening.salt),
        own_openings::text.eq(&opening.text),
    );
    on_backend!(db, conn => diesel::insert_into(own_openings::table)
        .values(row).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// The opening of a commitment, if it is kept and was not erased.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn opening(db: &mut Db, commitment: &[u8; 32]) -> Result<Option<Opening>, StoreFault> {
    let row: Option<(Vec<u8>, Vec<u8>, String)> = own_openings::table
        .find(&commitment[..])
        .first(db)
        .optional()?;
    row.map(|(commitment, salt, text)| {
        let commitment = hash(commitment, "own_openings.commitment")?;
        Ok(Opening {
            commitment,
            salt,
            text,
        })
    })
    .transpose()
}

/// Erases an opening for good; says whether there was one.
/// # Errors
/// [`StoreFault::Query`].
pub fn erase_opening(db: &mut Db, commitment: &[u8; 32]) -> Result<bool, StoreFault> {
    Ok(diesel::delete(own_openings::table.find(&commitment[..])).execute(db)? == 1)
}
