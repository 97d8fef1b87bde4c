//! Rows that a vendor shows to everybody: read again from the stored content, every cell under the mask.
//!
//! What is shown of a version never changes, so it is read once: a packed content is unpacked from its start for one row. Few are
//! read at a time, the others wait; nobody's preview holds the disks up.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use verifier::id::DocumentDigest;
use verifier::refusal::{Code, Refusal};

use super::card::{FileRow, Listed};
use super::check::{self, Report, Row};
use super::{Fault, Parts};
use crate::cause::Whole;
use crate::store::dataset::blob::{self, State};
use crate::store::dataset::check as checks;

/// Previews read at a time.
const READING_MAX: usize = 2;
/// Previews kept in memory; all are forgotten at this number. One has at most 20 rows of masked cells.
const KEPT_MAX: usize = 200;

/// Previews that were read, and how many may be at a time.
pub struct Previews {
    kept: Mutex<BTreeMap<DocumentDigest, Arc<Value>>>,
    reading: Semaphore,
}

impl Default for Previews {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            reading: Semaphore::new(READING_MAX),
        }
    }
}

impl fmt::Debug for Previews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Previews")
    }
}

impl Previews {
    /// The rows that a version's card names, in its order, masked.
    /// # Errors
    /// [`Fault`]; a row that cannot be shown is no fault: the answer says why in its place.
    pub async fn of(&self, parts: &Parts, listed: &Listed) -> Result<Arc<Value>, Fault> {
        if let Some(kept) = self.kept(listed.manifest) {
            return Ok(kept);
        }
        let _turn = self.reading.acquire().await;
        // Who waited for the same one finds it now.
        if let Some(kept) = self.kept(listed.manifest) {
            return Ok(kept);
        }
        let preview = Arc::new(read(parts, listed).await?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(listed.manifest, Arc::clone(&preview));
        Ok(preview)
    }

    fn kept(&self, manifest: DocumentDigest) -> Option<Arc<Value>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&manifest).cloned()
    }
}

async fn read(parts: &Parts, listed: &Listed) -> Result<Value, Fault> {
    let mut wanted: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for shown in &listed.card.preview {
        wanted.entry(&shown.path).or_default().push(shown.row);
    }
    let mut files = Vec::new();
    for (path, rows) in wanted {
        let file = listed.files.iter().find(|file| file.path == path);
        let read = match file {
            Some(file) => rows_of(parts, file, rows.clone()).await,
            None => Err(refused("the version has no such file")),
        };
        files.push(match read {
            Ok(read) => {
                let rows: Vec<Value> = rows.iter().zip(&read).map(shown).collect();
                json!({ "path": path, "rows": rows })
            }
            Err(Fault::Refused(refusal)) => {
                json!({ "path": path, "rows": [], "why": refusal.sentence })
            }
            Err(fault) => return Err(fault),
        });
    }
    Ok(
        json!({ "manifest": listed.manifest, "version": listed.version, "masked": true, "files": files }),
    )
}

/// A row with every cell under the mask; a list of pairs, for a row may have one name twice.
fn shown((number, row): (&u64, &Row)) -> Value {
    let cells = row
        .iter()
        .map(|(name, cell)| json!([check::mask_found(name), check::mask(cell)]));
    json!({ "row": number, "cells": cells.collect::<Vec<_>>() })
}

/// Rows of a stored content as they are: they must pass the mask.
async fn rows_of(parts: &Parts, file: &FileRow, wanted: Vec<u64>) -> Result<Vec<Row>, Fault> {
    let sha256 = file.sha256;
    let found = parts
        .query(move |db| Ok((blob::get(db, &sha256)?, checks::find(db, &sha256)?)))
        .await?;
    let (Some(blob), Some(checked)) = found else {
        return Err(refused("the content is not stored, or not read yet"));
    };
    if blob.state != State::Stored {
        return Err(refused("the content does not open and is being restored"));
    }
    let unread =
        |fault: String| Fault::File(PathBuf::from("own_checks.report"), io::Error::other(fault));
    let report =
        Report::parse(checked.report.as_bytes()).map_err(|fault| unread(fault.to_string()))?;
    let blobs = parts.blobs.clone();
    let read = move || {
        let mut from = blobs.reader(&blob)?;
        check::rows(&report, &checked.rows, &mut from, &wanted)
    };
    let done = tokio::task::spawn_blocking(read).await;
    let rows = done.unwrap_or_else(|fault| Err(unread(fault.to_string())));
    if let Err(fault @ Fault::File(..)) = &rows {
        tracing::error!(path = file.path, fault = %Whole(fault), "a preview cannot be read");
    }
    rows
}

fn refused(sentence: &str) -> Fault {
    Fault::Refused(Refusal::new(Code::DatasetFile, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_shown_in_its_order_under_the_mask() {
        let row: Row = [
            ("b", "13800138000"),
            ("a", "你好"),
            ("mail@vendor.example", "1"),
        ]
        .map(|(name, cell)| (name.to_owned(), cell.to_owned()))
        .to_vec();
        let shown = shown((&7, &row));
        assert_eq!(shown["row"], 7);
        assert_eq!(shown["cells"][0][0], "b");
        assert_eq!(shown["cells"][1], json!(["a", "你好"]));
        let text = shown.to_string();
        assert!(!text.contains("13800138000"), "{text}");
        assert!(!text.contains("mail@vendor.example"), "{text}");
    }
}
