//! Datasets for real: bytes from upload to delivery, and the documents about them.
//!
//! Decides nothing that moves money: that is the book's.

pub mod blob;
pub mod card;
pub mod catalogue;
pub mod check;
pub mod deliver;
pub mod document;
pub mod find;
pub mod link;
pub mod near;
pub mod pack;
pub mod preview;
pub mod review;
pub mod sale;
pub mod sample;
pub mod spool;
pub mod submit;
pub mod tus;
pub mod upkeep;
pub mod version;
pub mod words;

pub use blob::Blobs;
pub use spool::{Spools, UploadId};

use std::fmt;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use verifier::refusal::Refusal;

use crate::cause::faults_from;
use crate::clock::{Clock, ClockFault};
use crate::keys::Keys;
use crate::objects;
use crate::sequencer::{Desk, Unanswered};
use crate::store::{Db, Store, StoreFault};

/// What the work on datasets needs; a copy leads to the same.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Rows beside the trail.
    pub store: Arc<Store>,
    /// The book, and who decides.
    pub desk: Desk,
    /// What signs deliveries and seals blobs.
    pub keys: Arc<Keys>,
    /// The time.
    pub clock: Clock,
    /// Uploads under way, in a folder that is this server's own.
    pub spools: Spools,
    /// Stored contents.
    pub blobs: Blobs,
    /// Counts the uploads that were completed, so that they are stored at once.
    pub completed: watch::Sender<u64>,
}

impl Parts {
    /// Runs statements on a thread that may wait.
    /// # Errors
    /// [`Fault::Store`]
    pub async fn query<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Db) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, Fault> {
        let store = Arc::clone(&self.store);
        let asked = tokio::task::spawn_blocking(move || ask(&mut *store.connection()?)).await;
        // A panic in there is told as the pool's: neither gives an answer.
        Ok(asked.map_err(|fault| StoreFault::Pool(fault.to_string()))??)
    }
}

/// Bytes that are read from any place; it blocks.
pub trait Seekable: Read + Seek + Send {}

impl<T: Read + Seek + Send + ?Sized> Seekable for T {}

/// Why it was not done.
#[derive(Debug)]
pub enum Fault {
    /// The rules say no.
    Refused(Refusal),
    /// The database.
    Store(StoreFault),
    /// The object store.
    Objects(objects::Fault),
    /// A local file.
    File(PathBuf, io::Error),
    /// The desk gave no answer.
    Unanswered(Unanswered),
    /// A clock or a generator.
    Clock(ClockFault),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Store(fault) => fault.fmt(f),
            Self::Objects(fault) => fault.fmt(f),
            Self::File(path, _) => write!(f, "cannot read or write {}", path.display()),
            Self::Unanswered(fault) => write!(f, "the desk gave no answer: {fault:?}"),
            Self::Clock(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(fault) => fault.source(),
            Self::Objects(fault) => fault.source(),
            Self::File(_, fault) => Some(fault),
            Self::Refused(_) | Self::Unanswered(_) | Self::Clock(_) => None,
        }
    }
}

faults_from! {
    Refusal => Refused, StoreFault => Store, objects::Fault => Objects, Unanswered => Unanswered,
    ClockFault => Clock,
}
