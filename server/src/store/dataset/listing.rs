//! Rows of handles, drafts of listings, and documents.

use diesel::prelude::*;
use verifier::id::{DatasetId, DocumentDigest};
use verifier::time::Timestamp;

use crate::store::schema::{own_documents, own_handles, own_listings};
use crate::store::{Db, StoreFault, moment, on_backend};

/// A listing as its vendor types it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// When the draft was changed last.
    pub changed: Timestamp,
}

type Row = (String, String, String, Option<String>, String, i64);

fn parse((id, handle, name, dataset, card, changed): Row) -> Result<Listing, StoreFault> {
    Ok(Listing {
        id,
        handle,
        name,
        dataset,
        card,
        changed: moment(changed, "own_listings.changed")?,
    })
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
    let row: Option<Row> = named.first(db).optional()?;
    row.map(parse).transpose()
}

/// A listing by its id.
/// # Errors
/// [`StoreFault::Query`].
pub fn by_id(db: &mut Db, id: &str) -> Result<Option<Listing>, StoreFault> {
    let row: Option<Row> = own_listings::table.find(id).first(db).optional()?;
    row.map(parse).transpose()
}

/// Says which dataset in the trail a listing is.
/// # Errors
/// [`StoreFault::Query`].
pub fn is_dataset(db: &mut Db, id: &str, dataset: DatasetId) -> Result<(), StoreFault> {
    diesel::update(own_listings::table.find(id))
        .set(own_listings::dataset.eq(Some(dataset.to_string())))
        .execute(db)?;
    Ok(())
}

/// A document by its digest.
/// # Errors
/// [`StoreFault::Query`].
pub fn document(db: &mut Db, digest: DocumentDigest) -> Result<Option<Document>, StoreFault> {
    let of = own_documents::table.find(digest.to_string());
    Ok(of.first(db).optional()?)
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
        own_listings::changed.eq(listing.changed.unix()),
    );
    let change = (
        own_listings::card.eq(&listing.card),
        own_listings::changed.eq(listing.changed.unix()),
    );
    on_backend!(db, conn => diesel::insert_into(own_listings::table)
        .values(row)
        .on_conflict((own_listings::handle, own_listings::name))
        .do_update().set(change).execute(conn))?;
    Ok(())
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
