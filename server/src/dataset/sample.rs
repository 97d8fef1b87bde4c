//! Rows before a purchase: drawn by a seed that neither side could choose, shown masked, judged once (DESIGN §9).
//!
//! The vendor committed to the manifest, then the log to a root after it, then the buyer says a nonce. Who could say another nonce
//! until the rows please, or read a dataset sheet by sheet, would make nothing of it: a buyer has one draw a version and day, and
//! a nonce is one sheet for ever. The rows are kept as they were shown.

mod read;

use serde::{Deserialize, Serialize};
use verifier::dataset::{First, Mark, Sampling, Sheet};
use verifier::id::{DocumentDigest, PartyId, Salt, Sha256Hash, hex};
use verifier::refusal::{Code, Refusal};
use verifier::time::{DAY_SECONDS, Timestamp};

use super::{Fault, Parts, sale};
use crate::store::dataset::listing::{Document, keep_document};
use crate::store::dataset::sample::{self as rows, SampleRow};
use crate::store::{Db, StoreFault, heads, history};

pub use read::ShownRow;

/// Rows of a sheet that nobody said the length of.
pub const ROWS: u32 = 100;
/// Bytes of an id's random-looking part.
const ID_BYTES: usize = 16;

/// What a buyer asks.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Who asks.
    pub party: PartyId,
    /// Of which version.
    pub manifest: DocumentDigest,
    /// The buyer's own part of the seed.
    pub nonce: Salt,
    /// How many rows.
    pub wanted: u32,
    /// Whether witnesses cosign the log, so that a history shows which checkpoint was first.
    pub witnessed: bool,
}

/// A sample as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Seed, draw and judgement.
    pub sheet: Sheet,
    /// The rows drawn, as they were shown.
    pub rows: Vec<ShownRow>,
}

/// Draws rows of a version that is for sale; the same nonce again is the same sheet.
/// # Errors
/// `dataset.unknown` `dataset.unavailable` `dataset.file` `sample.too-early` `sample.drawn` `request.malformed`, or that somebody
/// could not be asked.
pub async fn draw(parts: &Parts, asked: Asked) -> Result<(String, Sample), Fault> {
    let (manifest, now) = (asked.manifest, parts.clock.now()?);
    let seq = parts
        .desk
        .read(move |book| book.version(manifest).map(|version| version.seq))
        .await??;
    sale::check(parts, vec![manifest]).await?;
    if let Some(known) = parts
        .query(move |db| drawn_before(db, asked, now))
        .await??
    {
        return Ok(known);
    }
    let (note, first) = parts
        .query(move |db| note(db, seq, asked.witnessed))
        .await?
        .ok_or_else(|| too_early(seq))?;
    let files = parts
        .query(move |db| Ok(read::files(db, manifest)))
        .await??;
    let sheet = Sheet::draw(Sampling {
        manifest,
        seq,
        note,
        first,
        nonce: asked.nonce,
        rows: read::count(&files)?,
        wanted: asked.wanted,
    })?;
    let rows = read::shown(parts, files, &sheet.drawn).await?;
    let sample = Sample { sheet, rows };
    let row = SampleRow {
        id: id(asked, now),
        manifest: manifest.to_string(),
        party: asked.party.to_string(),
        sheet: written(&sample)?,
        at: now,
    };
    let kept = parts.query(move |db| rows::add(db, &row)).await?;
    let (id, sample) = parse(&kept)?;
    if sample.sheet.nonce == asked.nonce {
        return Ok((id, sample));
    }
    Err(drawn_today(&id).into())
}

/// The sheet of this nonce; a refusal where this day has another one.
fn drawn_before(
    db: &mut Db,
    asked: Asked,
    now: Timestamp,
) -> Result<Result<Option<(String, Sample)>, Refusal>, StoreFault> {
    let (party, manifest) = (asked.party.to_string(), asked.manifest.to_string());
    // An underscore of the nonce matches any letter: what is found is looked at.
    let words = format!("\"nonce\":\"{:?}\"", asked.nonce);
    for row in rows::saying(db, (&party, &manifest), &words)? {
        let (id, sample) = parse(&row)?;
        if sample.sheet.nonce == asked.nonce {
            return Ok(Ok(Some((id, sample))));
        }
    }
    let today = rows::get(db, &id(asked, now))?;
    Ok(today.map_or(Ok(None), |row| Err(drawn_today(&row.id))))
}

fn drawn_today(id: &str) -> Refusal {
    let sentence = format!(
        "you have drawn a sheet of this version today (UTC), with another nonce: GET /v1/samples/{id}; a new one is drawn tomorrow"
    );
    Refusal::new(Code::SampleDrawn, sentence).with("sample", id)
}

fn too_early(seq: u64) -> Refusal {
    let sentence = format!(
        "no checkpoint that covers entry {seq}, which published the version, is there to draw by; ask again in a minute"
    );
    Refusal::new(Code::SampleTooEarly, sentence).with("seq", seq)
}

/// The first cosigned note that covers an entry; without witnesses the newest published one, which nothing shows to be the first.
fn note(db: &mut Db, seq: u64, witnessed: bool) -> Result<Option<(String, First)>, StoreFault> {
    if let Some(first) = history::first_above(db, seq)? {
        return Ok(Some((first.note, First::Shown)));
    }
    if witnessed {
        return Ok(None);
    }
    let newest = heads::published(db)?.filter(|newest| newest.size > seq);
    Ok(newest.map(|newest| (newest.note, First::NotShown)))
}

/// The days of UTC.
const fn day(at: Timestamp) -> i64 {
    at.unix().div_euclid(DAY_SECONDS)
}

/// One a buyer, version and day: of two draws at once one holds, on whichever servers.
fn id(asked: Asked, now: Timestamp) -> String {
    let name = format!("{}\n{}\n{}", asked.party, asked.manifest, day(now));
    let hash = Sha256Hash::of(name.as_bytes());
    let head = hash.bytes().get(..ID_BYTES).unwrap_or_default();
    format!("smp-{}", hex(head))
}

fn written(sample: &Sample) -> Result<String, StoreFault> {
    let written = serde_json::to_string(sample);
    written
        .map_err(|fault| StoreFault::Inconsistent(format!("a sample cannot be written: {fault}")))
}

fn parse(row: &SampleRow) -> Result<(String, Sample), StoreFault> {
    let sample = serde_json::from_str(&row.sheet)
        .map_err(|fault| StoreFault::Inconsistent(format!("own_samples.sheet: {fault}")))?;
    Ok((row.id.clone(), sample))
}

/// A sample of one's own.
/// # Errors
/// `sample.unknown`: there is none of that id that this party drew.
pub async fn get(parts: &Parts, party: PartyId, id: &str) -> Result<Sample, Fault> {
    let row = mine(parts, party, id).await?;
    Ok(parse(&row)?.1)
}

async fn mine(parts: &Parts, party: PartyId, id: &str) -> Result<SampleRow, Fault> {
    let (id, party) = (id.to_owned(), party.to_string());
    let found = parts.query(move |db| rows::get(db, &id)).await?;
    let unknown = || Refusal::new(Code::SampleUnknown, "you have drawn no sample of that id");
    Ok(found.filter(|row| row.party == party).ok_or_else(unknown)?)
}

/// The sheets that a party has drawn of a version, oldest first, each with its id.
/// # Errors
/// [`StoreFault`]
pub fn sheets(
    db: &mut Db,
    party: PartyId,
    manifest: DocumentDigest,
) -> Result<Vec<(String, Sheet)>, StoreFault> {
    let rows = rows::of(db, &party.to_string(), &manifest.to_string())?;
    let sheets = rows.iter().map(|row| {
        let (id, sample) = parse(row)?;
        Ok((id, sample.sheet))
    });
    sheets.collect()
}

/// Judges every row of a sheet, once; the judged sheet is kept as a document. Returns its digest, too.
/// # Errors
/// `sample.unknown` `sample.judged` `request.malformed`
pub async fn judge(
    parts: &Parts,
    party: PartyId,
    id: &str,
    verdicts: &[(u64, Mark)],
) -> Result<(Sample, DocumentDigest), Fault> {
    let row = mine(parts, party, id).await?;
    let (_, before) = parse(&row)?;
    let mut sample = before.clone();
    sample.sheet.judge(verdicts)?;
    let body = sample.sheet.to_json().map_err(Refusal::from)?;
    let digest = DocumentDigest::of(&body);
    if before.sheet.is_judged() {
        return if before == sample {
            Ok((sample, digest))
        } else {
            Err(judged().into())
        };
    }
    let document = Document {
        digest: digest.to_string(),
        kind: "sheet".to_owned(),
        party: Some(party.to_string()),
        body,
    };
    let sheet = written(&sample)?;
    let is_first = parts.query(move |db| {
        db.transaction(|db| {
            let is_first = rows::replace(db, &row, &sheet)?;
            if is_first {
                keep_document(db, &document)?;
            }
            Ok(is_first)
        })
    });
    if is_first.await? {
        return Ok((sample, digest));
    }
    Err(judged().into())
}

fn judged() -> Refusal {
    let sentence =
        "this sheet is judged, and a judgement is given once; draw another sheet tomorrow";
    Refusal::new(Code::SampleJudged, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_id_a_buyer_and_version() {
        let salt = |n| Salt::new([n; 16]);
        let asked = Asked {
            party: PartyId::draw(&salt(0), 0, 0),
            manifest: DocumentDigest::of(b"1"),
            nonce: salt(1),
            wanted: 1,
            witnessed: false,
        };
        let at = |unix| Timestamp::new(unix).unwrap();
        let morning = id(asked, at(86_400));
        assert!(morning.starts_with("smp-") && morning.len() == 36);
        let other_nonce = Asked {
            nonce: salt(2),
            ..asked
        };
        assert_eq!(morning, id(other_nonce, at(2 * 86_400 - 1)));
        assert_ne!(morning, id(asked, at(2 * 86_400)));
        let other = Asked {
            manifest: DocumentDigest::of(b"2"),
            ..asked
        };
        assert_ne!(morning, id(other, at(86_400)));
    }
}
