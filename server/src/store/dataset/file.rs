//! The files of drafts (their parent is the listing's id) and of versions (theirs is the manifest's digest).

use diesel::prelude::*;
use verifier::dataset::FileLine;

use crate::store::schema::own_files;
use crate::store::{Db, StoreFault, hash, on_backend, signed, unsigned};

type Row = (String, Vec<u8>, i64);

fn parse((path, sha256, bytes): Row) -> Result<FileLine, StoreFault> {
    Ok(FileLine {
        sha256: hash(sha256, "own_files.sha256")?,
        bytes: unsigned(bytes, "own_files.bytes")?,
        path,
    })
}

/// All files of a parent, by path.
/// # Errors
/// [`StoreFault`]
pub fn all(db: &mut Db, parent: &str) -> Result<Vec<FileLine>, StoreFault> {
    let rows: Vec<Row> = own_files::table
        .filter(own_files::parent.eq(parent))
        .select((own_files::path, own_files::sha256, own_files::bytes))
        .load(db)?;
    let mut files: Vec<FileLine> = rows.into_iter().map(parse).collect::<Result<_, _>>()?;
    // Not the database's order: a collation is not the order of bytes.
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// One file of a parent.
/// # Errors
/// [`StoreFault`]
pub fn get(db: &mut Db, parent: &str, path: &str) -> Result<Option<FileLine>, StoreFault> {
    let row: Option<Row> = own_files::table
        .find((parent, path))
        .select((own_files::path, own_files::sha256, own_files::bytes))
        .first(db)
        .optional()?;
    row.map(parse).transpose()
}

/// Puts a file at its path.
/// # Errors
/// [`StoreFault`]
pub fn put(db: &mut Db, parent: &str, file: &FileLine) -> Result<(), StoreFault> {
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
