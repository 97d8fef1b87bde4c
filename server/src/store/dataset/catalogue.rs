//! What is read of many listings at once: for the catalogue, for the page of a listing, for the list of who assesses.

use diesel::prelude::*;
use std::collections::BTreeMap;
use verifier::dataset::FileLine;
use verifier::id::DocumentDigest;

use crate::store::schema::{own_files, own_listings, own_versions};
use crate::store::{Db, StoreFault, hash, unsigned};

/// Parents asked for in one statement: SQLite takes 32 766 variables.
const PARENTS_MAX: usize = 1_000;

/// A listing with its versions, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// `lst-…`
    pub id: String,
    /// The vendor's handle.
    pub handle: String,
    /// Its name under the handle.
    pub name: String,
    /// Its versions' manifests and names, newest first.
    pub versions: Vec<(DocumentDigest, String)>,
}

/// The listings after one, in the order of their ids, so many at most; those of which nothing was published are among them.
/// # Errors
/// [`StoreFault`]
pub fn listings(db: &mut Db, after: &str, limit: i64) -> Result<Vec<Listed>, StoreFault> {
    let rows: Vec<(String, String, String)> = own_listings::table
        .filter(own_listings::id.gt(after))
        .order(own_listings::id)
        .limit(limit)
        .select((own_listings::id, own_listings::handle, own_listings::name))
        .load(db)?;
    let ids: Vec<&str> = rows.iter().map(|(id, ..)| id.as_str()).collect();
    let versions: Vec<(String, String, String)> = own_versions::table
        .filter(own_versions::listing.eq_any(&ids))
        .order(own_versions::seq.desc())
        .select((
            own_versions::listing,
            own_versions::manifest,
            own_versions::version,
        ))
        .load(db)?;
    let mut by_listing: BTreeMap<String, Vec<(DocumentDigest, String)>> = BTreeMap::new();
    for (listing, manifest, version) in versions {
        let version = (parse(&manifest)?, version);
        by_listing.entry(listing).or_default().push(version);
    }
    let listed = rows.into_iter().map(|(id, handle, name)| Listed {
        versions: by_listing.remove(&id).unwrap_or_default(),
        id,
        handle,
        name,
    });
    Ok(listed.collect())
}

/// The names under which a version is listed, and the version's own: handle, name, version.
/// # Errors
/// [`StoreFault`]
pub fn names(
    db: &mut Db,
    manifest: DocumentDigest,
) -> Result<Option<(String, String, String)>, StoreFault> {
    let found = own_versions::table
        .inner_join(own_listings::table.on(own_listings::id.eq(own_versions::listing)))
        .filter(own_versions::manifest.eq(manifest.to_string()))
        .select((
            own_listings::handle,
            own_listings::name,
            own_versions::version,
        ));
    Ok(found.first(db).optional()?)
}

/// The cards of versions, as they were published.
/// # Errors
/// [`StoreFault`]
pub fn cards(
    db: &mut Db,
    manifests: &[DocumentDigest],
) -> Result<BTreeMap<DocumentDigest, String>, StoreFault> {
    let mut cards = BTreeMap::new();
    for manifests in manifests.chunks(PARENTS_MAX) {
        let names: Vec<String> = manifests.iter().map(ToString::to_string).collect();
        let rows: Vec<(String, String)> = own_versions::table
            .filter(own_versions::manifest.eq_any(&names))
            .select((own_versions::manifest, own_versions::card))
            .load(db)?;
        for (manifest, card) in rows {
            cards.insert(parse(&manifest)?, card);
        }
    }
    Ok(cards)
}

/// The files of versions, each version's by path.
/// # Errors
/// [`StoreFault`]
pub fn files(
    db: &mut Db,
    manifests: &[DocumentDigest],
) -> Result<BTreeMap<DocumentDigest, Vec<FileLine>>, StoreFault> {
    let mut files: BTreeMap<DocumentDigest, Vec<FileLine>> = BTreeMap::new();
    for manifests in manifests.chunks(PARENTS_MAX) {
        let names: Vec<String> = manifests.iter().map(ToString::to_string).collect();
        let rows: Vec<(String, String, Vec<u8>, i64)> = own_files::table
            .filter(own_files::parent.eq_any(&names))
            .load(db)?;
        for (parent, path, sha256, bytes) in rows {
            let file = FileLine {
                sha256: hash(sha256, "own_files.sha256")?,
                bytes: unsigned(bytes, "own_files.bytes")?,
                path,
            };
            files.entry(parse(&parent)?).or_default().push(file);
        }
    }
    for of in files.values_mut() {
        // Not the database's order: a collation is not the order of bytes.
        of.sort_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(files)
}

/// The versions that hold a content: whose bytes these are.
/// # Errors
/// [`StoreFault`]
pub fn holders(db: &mut Db, sha256: &[u8; 32]) -> Result<Vec<DocumentDigest>, StoreFault> {
    let parents: Vec<String> = own_versions::table
        .inner_join(own_files::table.on(own_files::parent.eq(own_versions::manifest)))
        .filter(own_files::sha256.eq(&sha256[..]))
        .select(own_versions::manifest)
        .distinct()
        .limit(100)
        .load(db)?;
    parents.iter().map(|parent| parse(parent)).collect()
}

fn parse(manifest: &str) -> Result<DocumentDigest, StoreFault> {
    DocumentDigest::parse(manifest)
        .map_err(|_| StoreFault::Inconsistent(format!("a version's manifest is {manifest}")))
}
