//! Complete uploads on their way into the store: checked, marked, published. Several go at once, so that a slow one holds up
//! nobody; each is found again after a crash, by its file in the spool.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::{checks, complete, sweep};
use crate::cause::Whole;
use crate::dataset::{Fault, Parts, UploadId};
use crate::store::dataset::upload::{self, State, Upload};

/// Contents checked and stored at once: each takes a core.
const AT_ONCE: usize = 4;
/// A spooled file without a row is somebody's who dies between the two, or is about to write the row: it waits so long.
const ORPHAN_SECONDS: u64 = 3_600;

/// What is on its way.
struct Stores {
    tasks: BTreeMap<UploadId, JoinHandle<()>>,
    room: Arc<Semaphore>,
}

/// Looks once in `every`, and at once where an upload was completed, until `stop` says so; what is under way then ends first.
pub(super) async fn run(parts: &Parts, every: Duration, mut stop: watch::Receiver<bool>) {
    let mut completed = parts.completed.subscribe();
    let mut stores = Stores {
        tasks: BTreeMap::new(),
        room: Arc::new(Semaphore::new(AT_ONCE)),
    };
    loop {
        if let Err(fault) = round(parts, &mut stores).await {
            tracing::warn!(fault = %Whole(&fault), "uploads are not looked after in this round");
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = completed.changed() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    // Those that wait for room begin no more.
    stores.room.close();
    for task in stores.tasks.into_values() {
        let _ended = task.await;
    }
}

/// Sweeps, begins to store what is complete in the spool, and completes what was left before it could be said.
async fn round(parts: &Parts, stores: &mut Stores) -> Result<(), Fault> {
    sweep(parts).await?;
    stores.tasks.retain(|_, task| !task.is_finished());
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
            State::Complete => stores.begin(parts, id, found),
            State::Gone => parts.spools.remove(&id)?,
        }
    }
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

impl Stores {
    /// Stores an upload as soon as there is room; one that fails is begun again in a later round.
    fn begin(&mut self, parts: &Parts, id: UploadId, found: Upload) {
        if self.tasks.contains_key(&id) {
            return;
        }
        let (parts, room, of) = (parts.clone(), Arc::clone(&self.room), id.clone());
        let task = actix_web::rt::spawn(async move {
            let Ok(_room) = room.acquire().await else {
                return;
            };
            if let Err(fault) = store(&parts, &of, &found).await {
                tracing::warn!(upload = of.as_str(), fault = %Whole(&fault), "an upload is not stored yet");
            }
        });
        self.tasks.insert(id, task);
    }
}

/// Checks a content and stores it, in this order: what is stored has been checked.
async fn store(parts: &Parts, id: &UploadId, found: &Upload) -> Result<(), Fault> {
    let Some(sha256) = found.sha256 else {
        return Ok(());
    };
    let (db, path) = (Arc::clone(&parts.store), parts.spools.path(id));
    checks::spooled(parts, id, found, sha256).await?;
    let stored = parts.blobs.publish(db, &path, sha256, found.length).await?;
    tracing::debug!(object = %stored.object, "a content is stored");
    parts.spools.remove(id)
}
