//! What is done with files while nobody waits: complete uploads are stored, abandoned ones removed, stored contents hashed again.
//!
//! All of it is found anew in every round, from the spool's folder and the rows: a crash anywhere leaves nothing to be remembered.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

use super::spool::{Turn, UploadId};
use super::{Fault, Parts};
use crate::cause::Whole;
use crate::store::dataset::blob::{self, State as Blob};
use crate::store::dataset::upload::{self, State, Upload};

/// Expired uploads looked for at once.
const EXPIRED_MAX: i64 = 100;
/// Contents hashed again in one round.
const REHASHED_MAX: i64 = 16;
/// A spooled file without a row is somebody's who dies between the two, or is about to write the row: it waits so long.
const ORPHAN_SECONDS: u64 = 3_600;

/// Goes round once in `every`, and at once where an upload was completed, until `stop` says so.
pub async fn run(
    parts: Parts,
    (every, rehash_every): (Duration, Duration),
    mut stop: watch::Receiver<bool>,
) {
    let mut completed = parts.completed.subscribe();
    loop {
        if let Err(fault) = round(&parts, rehash_every).await {
            tracing::warn!(fault = %Whole(&fault), "files are not looked after in this round");
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = completed.changed() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Does what is to be done now.
/// # Errors
/// [`Fault`]: the rest waits for the next round.
pub async fn round(parts: &Parts, rehash_every: Duration) -> Result<(), Fault> {
    sweep(parts).await?;
    publish(parts).await?;
    rehash(parts, rehash_every).await
}

/// Stores what is complete in the spool, and completes what was left before it could be said.
async fn publish(parts: &Parts) -> Result<(), Fault> {
    for id in parts.spools.list()? {
        let Some(found) = row(parts, &id).await? else {
            remove_orphan(parts, &id)?;
            continue;
        };
        match found.state {
            // A crash came between the last byte and the row; somebody who writes right now says so himself.
            State::Open => match parts.spools.turn(&id) {
                Ok(turn) if turn.offset()? == found.length => complete(parts, turn, &found).await?,
                Ok(_) | Err(_) => {}
            },
            State::Failed => {}
            State::Complete => store(parts, &id, &found).await?,
            State::Gone => parts.spools.remove(&id)?,
        }
    }
    Ok(())
}

async fn store(parts: &Parts, id: &UploadId, found: &Upload) -> Result<(), Fault> {
    let Some(sha256) = found.sha256 else {
        return Ok(());
    };
    let (db, path) = (Arc::clone(&parts.store), parts.spools.path(id));
    let stored = parts.blobs.publish(db, &path, sha256, found.length).await?;
    tracing::debug!(object = %stored.object, "a content is stored");
    parts.spools.remove(id)
}

/// Says that all bytes came, and whether they are what they were said to be.
/// # Errors
/// [`Fault`]
pub async fn complete(parts: &Parts, turn: Turn, found: &Upload) -> Result<(), Fault> {
    let sha256 = turn.finish().await?;
    let why = match found.wanted {
        Some(wanted) if wanted != sha256 => {
            "the bytes do not have the sha256 that was announced; send the file again"
        }
        Some(_) | None => "",
    };
    let id = found.id.clone();
    parts
        .query(move |db| upload::complete(db, &id, &sha256, why))
        .await?;
    parts
        .completed
        .send_modify(|count| *count = count.wrapping_add(1));
    Ok(())
}

async fn row(parts: &Parts, id: &UploadId) -> Result<Option<Upload>, Fault> {
    let id = id.clone();
    parts.query(move |db| upload::get(db, id.as_str())).await
}

fn remove_orphan(parts: &Parts, id: &UploadId) -> Result<(), Fault> {
    let file = std::fs::metadata(parts.spools.path(id));
    let age = file.and_then(|file| file.modified()).ok();
    let age = age.and_then(|modified| modified.elapsed().ok());
    match age {
        Some(age) if age.as_secs() >= ORPHAN_SECONDS => parts.spools.remove(id),
        Some(_) | None => Ok(()),
    }
}

/// Ends uploads whose time is over, with their bytes.
async fn sweep(parts: &Parts) -> Result<(), Fault> {
    let now = parts.clock.now()?;
    for found in parts
        .query(move |db| upload::expired(db, now, EXPIRED_MAX))
        .await?
    {
        let Some(id) = UploadId::parse(&found.id) else {
            continue;
        };
        // Somebody who writes right now has put it off, or will.
        let Ok(_turn) = parts.spools.turn(&id) else {
            continue;
        };
        parts.query(move |db| upload::end(db, &found.id)).await?;
        parts.spools.remove(&id)?;
    }
    Ok(())
}

/// Hashes again what was hashed longest ago.
async fn rehash(parts: &Parts, every: Duration) -> Result<(), Fault> {
    let now = parts.clock.now()?;
    let seconds = i64::try_from(every.as_secs()).unwrap_or(i64::MAX);
    let then = now.after(seconds.saturating_neg());
    for found in parts
        .query(move |db| blob::due(db, then, REHASHED_MAX))
        .await?
    {
        let (blobs, of) = (parts.blobs.clone(), found.clone());
        let whole = actix_web::rt::task::spawn_blocking(move || blobs.is_whole(&of)).await;
        let whole = whole
            .unwrap_or_else(|fault| Err(Fault::File(PathBuf::new(), io::Error::other(fault))))?;
        let state = if whole { Blob::Stored } else { Blob::Damaged };
        if !whole {
            tracing::error!(object = %found.object, "a stored content is damaged; its sale stops");
        }
        parts
            .query(move |db| blob::found(db, &found, state, now))
            .await?;
    }
    Ok(())
}
