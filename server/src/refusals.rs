//! Refusals that nobody can deny: kept before they go out, and put under a root every hour (TRAIL E5).
//!
//! Who calls: HTTP hands in every refusal to a known caller and sends it when it is durable; the timers seal. Refusals have a
//! writer of their own, which takes what is waiting together: an accepted command never waits for it.

mod allowance;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

use tokio::sync::oneshot;
use verifier::book::command::SealRefusals;
use verifier::book::state::seal::Seal;
use verifier::id::Sha256Hash;
use verifier::json;
use verifier::refusal::Code;
use verifier::time::{DAY_SECONDS, Timestamp};
use verifier::trail::Hash;
use verifier::trail::tree;

use crate::cause::Whole;
use crate::store::refusals::{self, Refused, Unsealed};
use crate::store::{Db, Store, StoreFault};

/// Refusals of one transaction at most.
const BATCH_MAX: usize = 256;
/// For how long a sealed refusal is kept: six months, the longest that anybody has to go to court over an act of an
/// administration (Administrative Litigation Law of the PRC, art. 46).
const KEPT_DAYS: i64 = 184;

pub use allowance::Allowance;

/// How many refusals each code has.
pub type Counts = BTreeMap<Code, u64>;

/// Where refusals are kept. A copy leads to the same place.
#[derive(Clone)]
pub struct Refusals {
    store: Arc<Store>,
    to: Sender<Waiting>,
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refusals")
    }
}

struct Waiting {
    refused: Refused,
    done: oneshot::Sender<bool>,
}

impl Refusals {
    /// Starts the writer; it ends when the last copy is dropped.
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(store: Arc<Store>) -> io::Result<Self> {
        let (to, from) = channel();
        // Not its own: a stopped server lets go of the database, however late this thread hears of it.
        let own = Arc::downgrade(&store);
        std::thread::Builder::new()
            .name("refusals".to_owned())
            .spawn(move || write(&own, &from))?;
        Ok(Self { store, to })
    }

    /// Keeps a refusal; says whether it is durable.
    pub async fn keep(&self, refused: Refused) -> bool {
        let (done, kept) = oneshot::channel();
        self.to.send(Waiting { refused, done }).is_ok() && kept.await.unwrap_or(false)
    }

    /// What the next seal says, if any refusal from before `to` waits for one. Settled once: asked again, it is the same.
    /// Forgets what was sealed so long ago that nobody may object any more.
    /// # Errors
    /// [`StoreFault`]
    pub fn next_seal(
        &self,
        seals: &[Seal],
        to: Timestamp,
    ) -> Result<Option<SealRefusals>, StoreFault> {
        let number = u64::try_from(seals.len()).unwrap_or(u64::MAX);
        let sealed_to = seals.last().map_or(Timestamp::EPOCH, |seal| seal.to);
        let mut db = self.store.connection()?;
        if let Some(seal) = settled(&mut db, number)? {
            return Ok(Some(seal));
        }
        if !refusals::waits(&mut db, to)? {
            // Nothing does, or another server has settled it just now.
            return settled(&mut db, number);
        }
        let mut said = None;
        let says = |unsealed: &[Unsealed]| {
            let seal = said.insert(seal(number, (sealed_to, to), unsealed)?);
            let asked = json::write(seal).map_err(unreadable)?;
            Ok(String::from_utf8_lossy(&asked).into_owned())
        };
        db.transaction(|tx| refusals::settle(tx, number, to, says))?;
        forget(&mut db, seals, to)?;
        Ok(said)
    }
}

fn settled(db: &mut Db, number: u64) -> Result<Option<SealRefusals>, StoreFault> {
    let asked = refusals::settled(db, number)?;
    let seal = asked.map(|asked| json::read(asked.as_bytes()).map_err(unreadable));
    seal.transpose()
}

fn forget(db: &mut Db, seals: &[Seal], now: Timestamp) -> Result<(), StoreFault> {
    let oldest = now.after(-KEPT_DAYS * DAY_SECONDS);
    let old = seals.iter().take_while(|seal| seal.to < oldest).count();
    let gone = refusals::forget_before(db, u64::try_from(old).unwrap_or(0))?;
    if gone > 0 {
        tracing::info!(gone, "forgot old refusals");
    }
    Ok(())
}

/// The counts as they are kept beside a refusal.
#[must_use]
pub fn counts_text(counts: &Counts) -> String {
    let pairs: Vec<(Code, u64)> = counts.iter().map(|(code, count)| (*code, *count)).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

fn unreadable(fault: json::NotStrict) -> StoreFault {
    StoreFault::Inconsistent(format!("a refusal or a seal cannot be read: {fault}"))
}

/// What a seal over these refusals says.
fn seal(
    number: u64,
    (sealed_to, to): (Timestamp, Timestamp),
    unsealed: &[Unsealed],
) -> Result<SealRefusals, StoreFault> {
    let first = unsealed.iter().map(|row| row.at).min();
    let first = first
        .and_then(|at| Timestamp::new(at).ok())
        .ok_or_else(|| {
            StoreFault::Inconsistent("no refusal of a time is under the seal".to_owned())
        })?;
    let mut counts: BTreeMap<&str, (Code, u64)> = BTreeMap::new();
    for row in unsealed {
        let own: Vec<(Code, u64)> = json::read(row.counts.as_bytes()).map_err(unreadable)?;
        for (code, count) in own {
            let sum = counts.entry(code.as_str()).or_insert((code, 0));
            sum.1 = sum.1.saturating_add(count);
        }
    }
    let leaves: Vec<Hash> = unsealed.iter().map(|row| Hash::new(row.leaf)).collect();
    Ok(SealRefusals {
        number,
        // A refusal that was kept late, after its own hour was sealed, is under the next seal.
        from: first.hour().start().max(sealed_to),
        to,
        size: u64::try_from(leaves.len()).unwrap_or(u64::MAX),
        counts: counts.into_values().collect(),
        root: Sha256Hash::new(*tree::root_of(&leaves).as_bytes()),
    })
}

/// The writer: takes what is waiting, makes it durable together, and says so.
fn write(store: &Weak<Store>, from: &Receiver<Waiting>) {
    let mut db: Option<Db> = None;
    while let Ok(first) = from.recv() {
        let waiting: Vec<Waiting> = std::iter::once(first)
            .chain(from.try_iter().take(BATCH_MAX - 1))
            .collect();
        let Some(store) = store.upgrade() else {
            return;
        };
        let done = keep(&store, &mut db, &waiting);
        drop(store);
        if let Err(fault) = &done {
            tracing::error!(fault = %Whole(fault), "refusals cannot be kept");
            // The next ones are tried on another connection.
            db = None;
        }
        for one in waiting {
            // A caller that has gone away does not want it.
            let _gone = one.done.send(done.is_ok());
        }
    }
}

fn keep(store: &Store, db: &mut Option<Db>, waiting: &[Waiting]) -> Result<(), StoreFault> {
    let db = match db {
        Some(db) => db,
        None => db.insert(store.dedicated()?),
    };
    db.transaction(|tx| refusals::keep(tx, waiting.iter().map(|one| &one.refused)))
}
