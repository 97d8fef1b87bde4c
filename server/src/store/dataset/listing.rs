//! Rows of handles, listings, their files and versions, documents and samples.

use diesel::prelude::*;

use crate::store::schema::{
    own_checks, own_documents, own_files, own_handles, own_listings, own_samples, own_versions,
};
use crate::store::{Db, StoreFault, hash, on_backend, signed, unsigned};

/// A listing as its vendor types it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Listing {
    /// `lst-…`
    pub id: String,
    /// The vendor's handle.
    pub handle: String,
    /// Its name under the handle.
    pub name: String,
    /// The dataset in the trail, once a version is there.
    pub dataset: Option<String>,
    /// The draft of the card.
    pub card: String,
    /// When the draft was changed last, Unix seconds.
    pub changed: i64,
}

/// A file of a draft or of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub path: String,
    /// Its content.
    pub sha256: [u8; 32],
    /// Its length.
    pub bytes: u64,
}

/// A version that was handed in; whether it is in the trail is the book's to say.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Version {
    /// Its manifest, `sha-256:…`.
    pub manifest: String,
    /// Of which listing.
    pub listing: String,
    /// Its semantic version.
    pub version: String,
    /// Its card, canonical.
    pub card: String,
    /// `submitted`, or `damaged` where a stored content is.
    pub state: String,
    /// The entry that published it; 0 until that is known.
    pub seq: i64,
}

/// A document behind a digest.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Document {
    /// `sha-256:…`
    pub digest: String,
    /// `licence`, `notice`, `manifest`, `card`, `report`, `sheet`, `ranges` …
    pub kind: String,
    /// Whose it is; nobody's where the exchange made it.
    pub party: Option<String>,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A draw before a purchase.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Sample {
    /// `smp-…`
    pub id: String,
    /// Of which version.
    pub manifest: String,
    /// For whom.
    pub party: String,
    /// The sheet, canonical JSON.
    pub sheet: String,
    /// When, Unix seconds.
    pub at: i64,
}

/// The handle of a party.
/// # Errors
/// [`StoreFault::Query`].
pub fn handle_of(db: &mut Db, party: &str) -> Result<Option<String>, StoreFault> {
    let of = own_handles::table.filter(own_handles::party.eq(party));
    Ok(of.select(own_handles::handle).first(db).optional()?)
}

/// The party that has a handle.
/// # Errors
/// [`StoreFault::Query`].
pub fn party_of(db: &mut Db, handle: &str) -> Result<Option<String>, StoreFault> {
    let of = own_handles::table.find(handle).select(own_handles::party);
    Ok(of.first(db).optional()?)
}

/// Gives a handle to a party, unless either has one; the rows say afterwards what holds.
/// # Errors
/// [`StoreFault::Query`].
pub fn take_handle(db: &mut Db, handle: &str, party: &str) -> Result<(), StoreFault> {
    let row = (own_handles::handle.eq(handle), own_handles::party.eq(party));
    on_backend!(db, conn => diesel::insert_into(own_handles::table)
        .values(row).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// A listing by its two names.
/// # Errors
/// [`StoreFault::Query`].
pub fn listing(db: &mut Db, handle: &str, name: &str) -> Result<Option<Listing>, StoreFault> {
    let named = own_listings::table
        .filter(own_listings::handle.eq(handle))
        .filter(own_listings::name.eq(name));
    Ok(named.first(db).optional()?)
}

/// A listing by its id.
/// # Errors
/// [`StoreFault::Query`].
pub fn listing_by_id(db: &mut Db, id: &str) -> Result<Option<Listing>, StoreFault> {
    Ok(own_listings::table.find(id).first(db).optional()?)
}

/// The listings of a handle by name.
/// # Errors
/// [`StoreFault::Query`].
pub fn listings_of(db: &mut Db, handle: &str) -> Result<Vec<Listing>, StoreFault> {
    let of = own_listings::table.filter(own_listings::handle.eq(handle));
    Ok(of.order(own_listings::name).load(db)?)
}

/// The next listings by id, for whoever walks over all of them.
/// # Errors
/// [`StoreFault::Query`].
pub fn listings_after(db: &mut Db, id: &str, limit: i64) -> Result<Vec<Listing>, StoreFault> {
    let next = own_listings::table.filter(own_listings::id.gt(id));
    Ok(next.order(own_listings::id).limit(limit).load(db)?)
}

/// Keeps a draft: a new listing, or another card of one that is there.
/// # Errors
/// [`StoreFault::Query`].
pub fn keep_listing(db: &mut Db, listing: &Listing) -> Result<(), StoreFault> {
    let row = (
        own_listings::id.eq(&listing.id),
        own_listings::handle.eq(&listing.handle),
        own_listings::name.eq(&listing.name),
        own_listings::dataset.eq(&listing.dataset),
        own_listings::card.eq(&listing.card),
        own_listings::changed.eq(listing.changed),
    );
    let change = (
        own_listings::card.eq(&listing.card),
        own_listings::changed.eq(listing.changed),
    );
    on_backend!(db, conn => diesel::insert_into(own_listings::table)
        .values(row)
        .on_conflict((own_listings::handle, own_listings::name))
        .do_update().set(change).execute(conn))?;
    Ok(())
}

/// Says which dataset in the trail a listing is.
/// # Errors
/// [`StoreFault::Query`].
pub fn settle_dataset(db: &mut Db, id: &str, dataset: &str) -> Result<(), StoreFault> {
    diesel::update(own_listings::table.find(id))
        .set(own_listings::dataset.eq(Some(dataset)))
        .execute(db)?;
    Ok(())
}

/// The listing of a dataset in the trail.
/// # Errors
/// [`StoreFault::Query`].
pub fn listing_of_dataset(db: &mut Db, dataset: &str) -> Result<Option<Listing>, StoreFault> {
    let of = own_listings::table.filter(own_listings::dataset.eq(Some(dataset)));
    Ok(of.first(db).optional()?)
}

/// The files of a draft (by its listing) or of a version (by its manifest), by path.
/// # Errors
/// [`StoreFault`]
pub fn files(db: &mut Db, parent: &str) -> Result<Vec<File>, StoreFault> {
    let of = own_files::table.filter(own_files::parent.eq(parent));
    let columns = (own_files::path, own_files::sha256, own_files::bytes);
    let rows: Vec<(String, Vec<u8>, i64)> = of.select(columns).order(own_files::path).load(db)?;
    let parse = |(path, sha256, bytes)| {
        Ok(File {
            path,
            sha256: hash(sha256, "own_files.sha256")?,
            bytes: unsigned(bytes, "own_files.bytes")?,
        })
    };
    rows.into_iter().map(parse).collect()
}

/// Puts a file at its path.
/// # Errors
/// [`StoreFault`]
pub fn put_file(db: &mut Db, parent: &str, file: &File) -> Result<(), StoreFault> {
    let bytes = signed(file.bytes, "own_files.bytes")?;
    let row = (
        own_files::parent.eq(parent),
        own_files::path.eq(&file.path),
        own_files::sha256.eq(&file.sha256[..]),
        own_files::bytes.eq(bytes),
    );
    let change = (
        own_files::sha256.eq(&file.sha256[..]),
        own_files::bytes.eq(bytes),
    );
    on_backend!(db, conn => diesel::insert_into(own_files::table)
        .values(row)
        .on_conflict((own_files::parent, own_files::path))
        .do_update().set(change).execute(conn))?;
    Ok(())
}

/// Takes a file out of a draft; says whether it was there.
/// # Errors
/// [`StoreFault::Query`].
pub fn remove_file(db: &mut Db, parent: &str, path: &str) -> Result<bool, StoreFault> {
    Ok(diesel::delete(own_files::table.find((parent, path))).execute(db)? == 1)
}

/// The versions of others that have this content: their manifest and listing.
/// # Errors
/// [`StoreFault::Query`].
pub fn versions_with(db: &mut Db, sha256: &[u8; 32]) -> Result<Vec<(String, String)>, StoreFault> {
    let joined = own_files::table
        .inner_join(own_versions::table.on(own_versions::manifest.eq(own_files::parent)));
    let with = joined.filter(own_files::sha256.eq(&sha256[..]));
    let columns = (own_versions::manifest, own_versions::listing);
    Ok(with.select(columns).distinct().load(db)?)
}

/// A version by its manifest.
/// # Errors
/// [`StoreFault::Query`].
pub fn version(db: &mut Db, manifest: &str) -> Result<Option<Version>, StoreFault> {
    Ok(own_versions::table.find(manifest).first(db).optional()?)
}

/// The versions of a listing, in the order of their publication.
/// # Errors
/// [`StoreFault::Query`].
pub fn versions_of(db: &mut Db, listing: &str) -> Result<Vec<Version>, StoreFault> {
    let of = own_versions::table.filter(own_versions::listing.eq(listing));
    Ok(of
        .order((own_versions::seq, own_versions::manifest))
        .load(db)?)
}

/// Keeps what a version is made of. Before it is in the trail a later hand-in of the same manifest takes its place; the entry
/// decides whose it is, and then this is called again.
/// # Errors
/// [`StoreFault`]
pub fn keep_version(db: &mut Db, version: &Version, files: &[File]) -> Result<(), StoreFault> {
    db.transaction(|db| {
        let row = (
            own_versions::manifest.eq(&version.manifest),
            own_versions::listing.eq(&version.listing),
            own_versions::version.eq(&version.version),
            own_versions::card.eq(&version.card),
            own_versions::state.eq(&version.state),
            own_versions::seq.eq(version.seq),
        );
        let change = (
            own_versions::listing.eq(&version.listing),
            own_versions::version.eq(&version.version),
            own_versions::card.eq(&version.card),
            own_versions::seq.eq(version.seq),
        );
        on_backend!(db, conn => diesel::insert_into(own_versions::table)
            .values(row).on_conflict(own_versions::manifest)
            .do_update().set(change).execute(conn))?;
        files
            .iter()
            .try_for_each(|file| put_file(db, &version.manifest, file))
    })
}

/// The text of the report on a content, if its checks are done.
/// # Errors
/// [`StoreFault::Query`].
pub fn report(db: &mut Db, sha256: &[u8; 32]) -> Result<Option<String>, StoreFault> {
    let of = own_checks::table.find(&sha256[..]);
    let done = of.filter(own_checks::state.eq("done"));
    Ok(done.select(own_checks::report).first(db).optional()?)
}

/// Keeps a document; the same digest is the same bytes, so keeping it again changes nothing.
/// # Errors
/// [`StoreFault::Query`].
pub fn keep_document(db: &mut Db, document: &Document) -> Result<(), StoreFault> {
    let row = (
        own_documents::digest.eq(&document.digest),
        own_documents::kind.eq(&document.kind),
        own_documents::party.eq(&document.party),
        own_documents::body.eq(&document.body),
    );
    on_backend!(db, conn => diesel::insert_into(own_documents::table)
        .values(row).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// A document by its digest.
/// # Errors
/// [`StoreFault::Query`].
pub fn document(db: &mut Db, digest: &str) -> Result<Option<Document>, StoreFault> {
    Ok(own_documents::table.find(digest).first(db).optional()?)
}

/// Keeps a draw.
/// # Errors
/// [`StoreFault::Query`].
pub fn keep_sample(db: &mut Db, sample: &Sample) -> Result<(), StoreFault> {
    let row = (
        own_samples::id.eq(&sample.id),
        own_samples::manifest.eq(&sample.manifest),
        own_samples::party.eq(&sample.party),
        own_samples::sheet.eq(&sample.sheet),
        own_samples::at.eq(sample.at),
    );
    let change = own_samples::sheet.eq(&sample.sheet);
    on_backend!(db, conn => diesel::insert_into(own_samples::table)
        .values(row).on_conflict(own_samples::id).do_update().set(change).execute(conn))?;
    Ok(())
}

/// A draw by its id.
/// # Errors
/// [`StoreFault::Query`].
pub fn sample(db: &mut Db, id: &str) -> Result<Option<Sample>, StoreFault> {
    Ok(own_samples::table.find(id).first(db).optional()?)
}

/// The draws of a version, oldest first; of one party, or of all.
/// # Errors
/// [`StoreFault::Query`].
pub fn samples(
    db: &mut Db,
    manifest: &str,
    party: Option<&str>,
) -> Result<Vec<Sample>, StoreFault> {
    let of = own_samples::table.filter(own_samples::manifest.eq(manifest));
    let mut query = of.order((own_samples::at, own_samples::id)).into_boxed();
    if let Some(party) = party {
        query = query.filter(own_samples::party.eq(party));
    }
    Ok(query.load(db)?)
}

/// The content and length of a complete upload of a party.
/// # Errors
/// [`StoreFault`]
pub fn complete_upload(
    db: &mut Db,
    id: &str,
    party: &str,
) -> Result<Option<([u8; 32], u64)>, StoreFault> {
    use crate::store::schema::own_uploads;
    let of = own_uploads::table
        .find(id)
        .filter(own_uploads::party.eq(party));
    let done = of.filter(own_uploads::state.eq("complete"));
    let columns = (own_uploads::sha256, own_uploads::length);
    let row: Option<(Option<Vec<u8>>, i64)> = done.select(columns).first(db).optional()?;
    let Some((Some(sha256), length)) = row else {
        return Ok(None);
    };
    let sha256 = hash(sha256, "own_uploads.sha256")?;
    Ok(Some((sha256, unsigned(length, "own_uploads.length")?)))
}
