//! What the checks found, by content, and the marks by which alike contents meet.

use diesel::prelude::*;

use super::blob::State as Blob;
use crate::store::schema::{own_blobs, own_checks, own_marks};
use crate::store::{Db, StoreFault, hash, on_backend};

/// Marks written in one statement: SQLite takes 32 766 variables.
const MARKS_MAX: usize = 1_000;

/// A row of `own_checks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRow {
    /// Of the content.
    pub sha256: [u8; 32],
    /// The form of the report.
    pub form: i64,
    /// The report, canonical JSON.
    pub report: String,
    /// Which rows there are.
    pub sketch: Vec<u8>,
    /// Where rows begin.
    pub rows: Vec<u8>,
}

type Row = (Vec<u8>, i64, String, Vec<u8>, Vec<u8>);

/// Keeps what was found; what was found before by other rules is replaced.
/// # Errors
/// [`StoreFault::Query`].
pub fn keep(tx: &mut Db, row: &CheckRow) -> Result<(), StoreFault> {
    diesel::delete(own_checks::table.find(&row.sha256[..])).execute(tx)?;
    let values = (
        own_checks::sha256.eq(&row.sha256[..]),
        own_checks::form.eq(row.form),
        own_checks::state.eq("done"),
        own_checks::report.eq(&row.report),
        own_checks::sketch.eq(&row.sketch),
        own_checks::rows.eq(&row.rows),
    );
    on_backend!(tx, conn => diesel::insert_into(own_checks::table)
        .values(values).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// What was found in a content, if it was checked.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn find(db: &mut Db, sha256: &[u8; 32]) -> Result<Option<CheckRow>, StoreFault> {
    let row: Option<Row> = own_checks::table
        .find(&sha256[..])
        .select((
            own_checks::sha256,
            own_checks::form,
            own_checks::report,
            own_checks::sketch,
            own_checks::rows,
        ))
        .first(db)
        .optional()?;
    row.map(|(sha256, form, report, sketch, rows)| {
        let sha256 = hash(sha256, "own_checks.sha256")?;
        Ok(CheckRow {
            sha256,
            form,
            report,
            sketch,
            rows,
        })
    })
    .transpose()
}

/// The form of a content's report and the report, if it was checked.
/// # Errors
/// [`StoreFault::Query`].
pub fn report(db: &mut Db, sha256: &[u8; 32]) -> Result<Option<(i64, String)>, StoreFault> {
    let row = own_checks::table
        .find(&sha256[..])
        .select((own_checks::form, own_checks::report));
    Ok(row.first(db).optional()?)
}

/// The first stored content behind `after` that has no report of this form.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn unchecked(db: &mut Db, form: i64, after: &[u8]) -> Result<Option<[u8; 32]>, StoreFault> {
    let checked = own_checks::table
        .filter(own_checks::sha256.eq(own_blobs::sha256))
        .filter(own_checks::form.eq(form));
    let row: Option<Vec<u8>> = own_blobs::table
        .filter(own_blobs::state.eq(Blob::Stored.as_str()))
        .filter(own_blobs::sha256.gt(after))
        .filter(diesel::dsl::not(diesel::dsl::exists(checked)))
        .order(own_blobs::sha256)
        .select(own_blobs::sha256)
        .first(db)
        .optional()?;
    row.map(|row| hash(row, "own_blobs.sha256")).transpose()
}

/// Keeps the marks of a content; keeping them again changes nothing.
/// # Errors
/// [`StoreFault::Query`].
pub fn mark(tx: &mut Db, sha256: &[u8; 32], marks: &[(i64, i64)]) -> Result<(), StoreFault> {
    for marks in marks.chunks(MARKS_MAX) {
        let row = |(band, hash): &(i64, i64)| {
            (
                own_marks::band.eq(*band),
                own_marks::hash.eq(*hash),
                own_marks::sha256.eq(&sha256[..]),
            )
        };
        let rows: Vec<_> = marks.iter().map(row).collect();
        on_backend!(&mut *tx, conn => diesel::insert_into(own_marks::table)
            .values(rows).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}

/// Contents with one of these marks of a band, a content once for each mark it has.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn marked(
    db: &mut Db,
    band: i64,
    hashes: &[i64],
    limit: i64,
) -> Result<Vec<[u8; 32]>, StoreFault> {
    let mut found = Vec::new();
    for hashes in hashes.chunks(MARKS_MAX) {
        let rows: Vec<Vec<u8>> = own_marks::table
            .filter(own_marks::band.eq(band))
            .filter(own_marks::hash.eq_any(hashes))
            .select(own_marks::sha256)
            .limit(limit)
            .load(db)?;
        for row in rows {
            found.push(hash(row, "own_marks.sha256")?);
        }
    }
    Ok(found)
}
