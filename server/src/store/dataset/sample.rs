//! Rows of samples: what was drawn of a version for whom, as it was shown, and the judgement of it.

use diesel::prelude::*;
use verifier::time::Timestamp;

use crate::store::schema::own_samples;
use crate::store::{Db, StoreFault, moment, on_backend};

/// A sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleRow {
    /// `smp-…`
    pub id: String,
    /// Of which version.
    pub manifest: String,
    /// Whose draw it is.
    pub party: String,
    /// The sheet with the rows as they were shown, JSON.
    pub sheet: String,
    /// When it was drawn.
    pub at: Timestamp,
}

type Row = (String, String, String, String, i64);

fn parse((id, manifest, party, sheet, at): Row) -> Result<SampleRow, StoreFault> {
    Ok(SampleRow {
        id,
        manifest,
        party,
        sheet,
        at: moment(at, "own_samples.at")?,
    })
}

/// A sample by its id.
/// # Errors
/// [`StoreFault`]
pub fn get(db: &mut Db, id: &str) -> Result<Option<SampleRow>, StoreFault> {
    let row: Option<Row> = own_samples::table.find(id).first(db).optional()?;
    row.map(parse).transpose()
}

/// What a party has drawn of a version, oldest first.
/// # Errors
/// [`StoreFault`]
pub fn of(db: &mut Db, party: &str, manifest: &str) -> Result<Vec<SampleRow>, StoreFault> {
    let rows: Vec<Row> = own_samples::table
        .filter(own_samples::party.eq(party))
        .filter(own_samples::manifest.eq(manifest))
        .order((own_samples::at, own_samples::id))
        .load(db)?;
    rows.into_iter().map(parse).collect()
}

/// Those of them whose text has these words somewhere: a sheet is found by its nonce without reading the others.
/// # Errors
/// [`StoreFault`]
pub fn saying(
    db: &mut Db,
    (party, manifest): (&str, &str),
    words: &str,
) -> Result<Vec<SampleRow>, StoreFault> {
    let rows: Vec<Row> = own_samples::table
        .filter(own_samples::party.eq(party))
        .filter(own_samples::manifest.eq(manifest))
        .filter(own_samples::sheet.like(format!("%{words}%")))
        .order((own_samples::at, own_samples::id))
        .load(db)?;
    rows.into_iter().map(parse).collect()
}

/// Keeps a sample and returns the one that holds: of two with one id the first.
/// # Errors
/// [`StoreFault`]
pub fn add(db: &mut Db, sample: &SampleRow) -> Result<SampleRow, StoreFault> {
    let row = (
        own_samples::id.eq(&sample.id),
        own_samples::manifest.eq(&sample.manifest),
        own_samples::party.eq(&sample.party),
        own_samples::sheet.eq(&sample.sheet),
        own_samples::at.eq(sample.at.unix()),
    );
    on_backend!(db, conn => diesel::insert_into(own_samples::table)
        .values(row).on_conflict_do_nothing().execute(conn))?;
    let none = || StoreFault::Inconsistent("a sample that was added is not there".to_owned());
    get(db, &sample.id)?.ok_or_else(none)
}

/// Puts a judged sheet in place of the one that was read; says whether it was still that one.
/// # Errors
/// [`StoreFault`]
pub fn replace(db: &mut Db, read: &SampleRow, sheet: &str) -> Result<bool, StoreFault> {
    let same = own_samples::table
        .find(&read.id)
        .filter(own_samples::sheet.eq(&read.sheet));
    let replaced = diesel::update(same)
        .set(own_samples::sheet.eq(sheet))
        .execute(db)?;
    Ok(replaced == 1)
}
