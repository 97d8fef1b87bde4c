//! Garbage collection of the trail: partial tiles, bundles and parts of the history that a full one holds (TRAIL D5, B3 #7). Only
//! `quan trail gc` calls it.
//!
//! Deletes with care: only a partial whose full one is there with the right length, begins with the very bytes of the partial, and
//! lies below what was signed an hour ago and is published (of the history: cosigned an hour ago). So whoever still follows an older
//! checkpoint or count finds the full one.

use std::collections::BTreeSet;
use std::fmt;

use verifier::trail::bundle::{self, BundlePath};
use verifier::trail::history::{self as parts, HistoryPath};
use verifier::trail::tile::{TilePath, WIDTH_FULL};

use super::Fault;
use crate::objects::{Objects, wait};
use crate::store::{Db, heads, history, log};

/// For how long a partial stays after a checkpoint that no longer needs it was signed.
const KEPT_SECONDS: i64 = 3_600;

/// Whether to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Deletes.
    Delete,
    /// Only says what would be deleted (`--dry-run`).
    List,
}

/// What a collection found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// The partials that were deleted, or would be.
    pub deleted: Vec<String>,
    /// The partials that still have a use: no full one yet, or not below the size of an hour ago.
    pub kept: usize,
    /// The partials whose full one is not what it should be: nothing is deleted there, and a person looks.
    pub wrong: Vec<String>,
}

/// A tile, a bundle, or a part of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Tile(TilePath),
    Bundle(BundlePath),
    History(HistoryPath),
}

impl Part {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let tile = TilePath::parse(name).map(Self::Tile);
        tile.or_else(|_| BundlePath::parse(name).map(Self::Bundle))
            .or_else(|_| HistoryPath::parse(name).map(Self::History))
            .ok()
    }

    pub(super) const fn width(self) -> u16 {
        match self {
            Self::Tile(path) => path.width(),
            Self::Bundle(path) => path.width(),
            Self::History(path) => path.width(),
        }
    }

    /// The one of this place with another width.
    pub(super) const fn with_width(self, width: u16) -> Option<Self> {
        match self {
            Self::Tile(path) => match TilePath::new(path.level(), path.number(), width) {
                Some(path) => Some(Self::Tile(path)),
                None => None,
            },
            Self::Bundle(path) => match BundlePath::new(path.number(), width) {
                Some(path) => Some(Self::Bundle(path)),
                None => None,
            },
            Self::History(path) => match HistoryPath::new(path.number(), width) {
                Some(path) => Some(Self::History(path)),
                None => None,
            },
        }
    }

    /// Whether this place has been full for so long that nobody follows what was there before.
    fn is_old(self, settled: Settled) -> bool {
        let (level, number, of) = match self {
            Self::Tile(path) => (path.level(), path.number(), settled.entries),
            Self::Bundle(path) => (0, path.number(), settled.entries),
            Self::History(path) => (0, path.number(), settled.notes),
        };
        full_from(level, number).is_some_and(|from| from <= of)
    }

    /// Whether bytes have this part's length.
    fn is_form(self, bytes: &[u8]) -> bool {
        match self {
            Self::Tile(path) => bytes.len() == path.byte_length(),
            Self::Bundle(path) => bundle::decode(bytes, path.width()).is_ok(),
            Self::History(path) => parts::decode(bytes, path.width()).is_ok(),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tile(path) => path.fmt(f),
            Self::Bundle(path) => path.fmt(f),
            Self::History(path) => path.fmt(f),
        }
    }
}

/// How many leaves there are at least when the place with this number is full; `None` is more than there ever are.
fn full_from(level: u8, number: u64) -> Option<u64> {
    let leaves = 256_u64.checked_pow(u32::from(level).checked_add(1)?)?;
    number.checked_add(1)?.checked_mul(leaves)
}

/// What was there an hour ago.
#[derive(Debug, Clone, Copy)]
struct Settled {
    /// Entries: signed then, and published.
    entries: u64,
    /// Checkpoints of the history: cosigned then.
    notes: u64,
}

/// Collects what nobody needs any more.
/// # Errors
/// [`Fault`]: the database or the bucket.
pub fn clean(db: &mut Db, objects: &Objects, mode: Mode) -> Result<Cleaned, Fault> {
    let settled = settled(db)?;
    let names = wait(objects.list())?;
    let parts: Vec<Part> = names.iter().filter_map(|name| Part::parse(name)).collect();
    let full: BTreeSet<String> = parts
        .iter()
        .filter(|part| part.width() == WIDTH_FULL)
        .map(ToString::to_string)
        .collect();
    let mut cleaned = Cleaned::default();
    for part in parts.into_iter().filter(|part| part.width() < WIDTH_FULL) {
        let whole = part.with_width(WIDTH_FULL);
        let whole =
            whole.filter(|whole| whole.is_old(settled) && full.contains(&whole.to_string()));
        match whole {
            None => cleaned.kept += 1,
            Some(whole) if holds(objects, whole, part)? => {
                if mode == Mode::Delete {
                    // DURABLE: nobody needs it. A crash around it: the next collection finds it, or not.
                    wait(objects.remove(&part.to_string()))?;
                }
                cleaned.deleted.push(part.to_string());
            }
            Some(_) => cleaned.wrong.push(part.to_string()),
        }
    }
    Ok(cleaned)
}

fn settled(db: &mut Db) -> Result<Settled, Fault> {
    let before = log::now(db)?.after(-KEPT_SECONDS);
    let notes = history::count_until(db, before)?;
    let Some(published) = heads::published(db)? else {
        return Ok(Settled { entries: 0, notes });
    };
    let signed = heads::signed_before(db, before, published.size)?;
    let entries = signed.map_or(0, |signed| signed.size);
    Ok(Settled { entries, notes })
}

/// Whether the full one is whole and begins with the partial.
fn holds(objects: &Objects, whole: Part, part: Part) -> Result<bool, Fault> {
    let get = |part: Part| wait(objects.get(&part.to_string()));
    let (Some(all), Some(some)) = (get(whole)?, get(part)?) else {
        return Ok(false);
    };
    Ok(whole.is_form(&all) && part.is_form(&some) && all.starts_with(&some))
}
