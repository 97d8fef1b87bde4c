//! Whether the bytes of a version are here and whole.

use diesel::dsl::exists;
use diesel::prelude::*;

use crate::store::dataset::blob::State;
use crate::store::schema::{own_blobs, own_files, own_versions};
use crate::store::{Db, StoreFault};

/// Whether every file of a version that was uploaded here lies here whole; nothing where it was not uploaded here.
/// # Errors
/// [`StoreFault::Query`].
pub fn is_whole(db: &mut Db, manifest: &str) -> Result<Option<bool>, StoreFault> {
    let uploaded = diesel::select(exists(own_versions::table.find(manifest)));
    if !uploaded.get_result::<bool>(db)? {
        return Ok(None);
    }
    let files = own_files::table.filter(own_files::parent.eq(manifest));
    let files: i64 = files.count().get_result(db)?;
    let stored: i64 = own_files::table
        .inner_join(own_blobs::table.on(own_blobs::sha256.eq(own_files::sha256)))
        .filter(own_files::parent.eq(manifest))
        .filter(own_blobs::state.eq(State::Stored.as_str()))
        .count()
        .get_result(db)?;
    Ok(Some(stored == files))
}
