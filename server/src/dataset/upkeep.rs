//! What is done with files while nobody waits: complete uploads are checked and stored (`stores`), abandoned ones removed, stored
//! contents hashed again, what was handed in settled where a server died over it.
//!
//! All of it is found anew in every round, from the spool's folder and the rows: a crash anywhere leaves nothing to be remembered.

mod checks;
mod stores;

use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

use super::spool::{Turn, UploadId};
use super::{Fault, Parts, submit};
use crate::cause::Whole;
use crate::store::dataset::blob::{self, State as Blob};
use crate::store::dataset::upload::{self, Upload};

/// Expired uploads looked for at once.
const EXPIRED_MAX: i64 = 100;
/// Contents hashed again in one round.
const REHASHED_MAX: i64 = 16;

/// Goes round once in `every`, until `stop` says so; what was completed is stored at once. Hashing again takes as long as it takes
/// and holds up nothing.
pub async fn run(
    parts: Parts,
    (every, rehash_every): (Duration, Duration),
    stop: watch::Receiver<bool>,
) {
    let stores = stores::run(&parts, every, stop.clone());
    let again = async {
        // A newer program may ask more of a content than the one that stored it.
        if let Err(fault) = checks::again(&parts, &stop).await {
            tracing::warn!(fault = %Whole(&fault), "stored contents are not checked again");
        }
    };
    let rounds = rounds(&parts, (every, rehash_every), stop.clone());
    futures_util::future::join3(stores, again, rounds).await;
}

async fn rounds(
    parts: &Parts,
    (every, rehash_every): (Duration, Duration),
    mut stop: watch::Receiver<bool>,
) {
    loop {
        if let Err(fault) = submit::settle_pending(parts).await {
            tracing::warn!(fault = %Whole(&fault), "what was handed in is not settled in this round");
        }
        if let Err(fault) = rehash(parts, rehash_every).await {
            tracing::warn!(fault = %Whole(&fault), "stored contents are not hashed again in this round");
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
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
