//! Whether the bytes of a version are here and whole.

use diesel::prelude::*;

use crate::store::schema::{own_blobs, own_files, own_versions};
use crate::store::{Db, StoreFault};

/// The state of a blob whose bytes are as they were when it was stored.
const STORED: &str = "stored";
/// The state of a version that must not be sold.
const DAMAGED: &str = "damaged";

/// Whether every file of a version that was uploaded here lies here whole; nothing where it was not uploaded here.
/// # Errors
/// [`StoreFault::Query`].
pub fn is_whole(db: &mut Db, manifest: &str) -> Result<Option<bool>, StoreFault> {
    let version = own_versions::table.find(manifest);
    let state: Option<String> = version.select(own_versions::state).first(db).optional()?;
    let Some(state) = state else {
        return Ok(None);
    };
    let files = own_files::table.filter(own_files::parent.eq(manifest));
    let files: i64 = files.count().get_result(db)?;
    let stored: i64 = own_files::table
        .inner_join(own_blobs::table.on(own_blobs::sha256.eq(own_files::sha256)))
        .filter(own_files::parent.eq(manifest))
        .filter(own_blobs::state.eq(STORED))
        .count()
        .get_result(db)?;
    Ok(Some(state != DAMAGED && stored == files))
}
