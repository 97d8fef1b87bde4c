//! Versions of listings: as they were handed in, and once they are in the trail.

use diesel::prelude::*;
use verifier::id::DocumentDigest;

use crate::store::schema::{own_files, own_listings, own_versions};
use crate::store::{Db, StoreFault, on_backend, signed, unsigned};

/// Whether the trail has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Handed in; whether the trail has it is about to be known.
    Pending,
    /// The trail has it.
    Submitted,
}

impl State {
    /// The word in the row.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Submitted => "submitted",
        }
    }

    fn parse(word: &str) -> Result<Self, StoreFault> {
        match word {
            "pending" => Ok(Self::Pending),
            "submitted" => Ok(Self::Submitted),
            _ => Err(StoreFault::Inconsistent(format!(
                "own_versions.state is {word:?}"
            ))),
        }
    }
}

/// A version that was uploaded here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// What names it.
    pub manifest: DocumentDigest,
    /// Its listing's id.
    pub listing: String,
    /// Its `SemVer`.
    pub version: String,
    /// The card it was published with.
    pub card: String,
    /// Whether the trail has it.
    pub state: State,
    /// The entry that published it; 0 while it is pending.
    pub seq: u64,
    /// The digest of what the checks found in it, for who assesses.
    pub report: DocumentDigest,
}

type Row = (String, String, String, String, String, i64, String);

fn parse(row: Row) -> Result<Version, StoreFault> {
    let (manifest, listing, version, card, state, seq, report) = row;
    let digest = |text: &str| {
        DocumentDigest::parse(text)
            .map_err(|_| StoreFault::Inconsistent(format!("own_versions names {text:?}")))
    };
    Ok(Version {
        manifest: digest(&manifest)?,
        listing,
        version,
        card,
        state: State::parse(&state)?,
        seq: unsigned(seq, "own_versions.seq")?,
        report: digest(&report)?,
    })
}

/// A version, if it was uploaded here.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn get(db: &mut Db, manifest: DocumentDigest) -> Result<Option<Version>, StoreFault> {
    let row: Option<Row> = own_versions::table
        .find(manifest.to_string())
        .first(db)
        .optional()?;
    row.map(parse).transpose()
}

/// The versions of a listing that are in the trail, newest first.
/// # Errors
/// As [`get`].
pub fn of(db: &mut Db, listing: &str) -> Result<Vec<Version>, StoreFault> {
    let rows: Vec<Row> = own_versions::table
        .filter(own_versions::listing.eq(listing))
        .filter(own_versions::state.eq(State::Submitted.as_str()))
        .order(own_versions::seq.desc())
        .load(db)?;
    rows.into_iter().map(parse).collect()
}

/// Versions that were handed in, of which it is not known here whether the trail has them.
/// # Errors
/// As [`get`].
pub fn pending(db: &mut Db) -> Result<Vec<Version>, StoreFault> {
    let rows: Vec<Row> = own_versions::table
        .filter(own_versions::state.eq(State::Pending.as_str()))
        .load(db)?;
    rows.into_iter().map(parse).collect()
}

/// The versions in the trail that have a content, and their vendors' handles.
/// # Errors
/// [`StoreFault::Query`].
pub fn with(db: &mut Db, sha256: &[u8; 32]) -> Result<Vec<(String, String)>, StoreFault> {
    Ok(own_files::table
        .inner_join(own_versions::table.on(own_versions::manifest.eq(own_files::parent)))
        .inner_join(own_listings::table.on(own_listings::id.eq(own_versions::listing)))
        .filter(own_files::sha256.eq(&sha256[..]))
        .filter(own_versions::state.eq(State::Submitted.as_str()))
        .select((own_versions::manifest, own_listings::handle))
        .distinct()
        .load(db)?)
}

/// Keeps a version, in place of what was handed in before under the same manifest: the trail says whose it is.
/// # Errors
/// [`StoreFault::Query`].
pub fn keep(db: &mut Db, version: &Version) -> Result<(), StoreFault> {
    let row = (
        own_versions::manifest.eq(version.manifest.to_string()),
        own_versions::listing.eq(&version.listing),
        own_versions::version.eq(&version.version),
        own_versions::card.eq(&version.card),
        own_versions::state.eq(version.state.as_str()),
        own_versions::seq.eq(signed(version.seq, "own_versions.seq")?),
        own_versions::report.eq(version.report.to_string()),
    );
    diesel::delete(own_versions::table.find(version.manifest.to_string())).execute(db)?;
    on_backend!(db, conn => diesel::insert_into(own_versions::table)
        .values(row).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// Forgets what a listing handed in, unless the trail has it.
/// # Errors
/// [`StoreFault::Query`].
pub fn forget(db: &mut Db, manifest: DocumentDigest, listing: &str) -> Result<(), StoreFault> {
    let handed_in = own_versions::table
        .find(manifest.to_string())
        .filter(own_versions::listing.eq(listing))
        .filter(own_versions::state.eq(State::Pending.as_str()));
    diesel::delete(handed_in).execute(db)?;
    Ok(())
}
