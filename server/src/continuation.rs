//! `quan continue`: the log goes on under a new origin, where its key is lost or the database was restored behind the world (TRAIL
//! E8). Who calls: `main`, the tests. Nobody serves the exchange meanwhile.
//!
//! Nothing is signed under the old origin any more: a smaller tree there would be a second history. The entries so far are the new
//! log's first ones; the next one says where they come from, with the old log's last checkpoint word for word.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use verifier::book::command::{Command, ContinuationReason, ContinueTrail};
use verifier::book::decide::Request;
use verifier::book::log_key::continuation_text;
use verifier::refusal::Refusal;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::key::{KeyName, VerifierKey};
use verifier::trail::note::Note;
use verifier::trail::tile::{TilePath, Tiles, WIDTH_FULL};
use verifier::trail::tree::{Frontier, leaf_hash, verify_consistency};
use verifier::trail::{Flaw, FlawKind, Hash, TreeSize};

use crate::cause::faults_from;
use crate::clock::Clock;
use crate::config::Config;
use crate::faults::Faults;
use crate::keys;
use crate::objects::{self, Objects, Place, wait};
use crate::publisher::CHECKPOINT;
use crate::rotation;
use crate::sequencer::{self, Outcome, Sequencer};
use crate::store::{Db, Store, StoreFault, heads, log};

/// Entries that are read at once.
const CHUNK: u64 = 1_000;

/// From where to go on, and why.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A file with the last checkpoint that the world has of the old log.
    pub from: PathBuf,
    /// Where the old log's tiles still are, if anywhere.
    pub old_objects: Option<String>,
    /// Why.
    pub reason: ContinuationReason,
}

/// Why the log does not go on under a new origin.
#[derive(Debug)]
pub enum Fault {
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
    /// A key file.
    Keys(keys::Fault),
    /// The database.
    Store(StoreFault),
    /// The place of a trail.
    Objects(objects::Fault),
    /// The sequencer.
    Sequencer(sequencer::Fault),
    /// The checkpoint, a key or a tree is not as it must be.
    Trail(Flaw),
    /// The policy file cannot take the new line.
    Policy(rotation::Fault),
    /// There is no exchange in the database.
    Unopened,
    /// The setting `origin` is still the old one.
    SameOrigin(String),
    /// There is a trail already where the new one is to be put.
    Taken(String),
    /// The checkpoint is not of this log.
    Foreign(String),
    /// The rules say no.
    Refused(Refusal),
    /// Nobody knows whether it was done.
    Unknown,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, _) => write!(f, "cannot read or write {}", path.display()),
            Self::Keys(fault) => fault.fmt(f),
            Self::Store(fault) => fault.fmt(f),
            Self::Objects(fault) => fault.fmt(f),
            Self::Sequencer(fault) => fault.fmt(f),
            Self::Trail(flaw) => flaw.fmt(f),
            Self::Policy(fault) => fault.fmt(f),
            Self::Unopened => {
                f.write_str("the database holds no exchange; name it by --database or --data")
            }
            Self::SameOrigin(origin) => write!(
                f,
                "the log is {origin}: name the new origin by --origin, e.g. {origin}/2"
            ),
            Self::Taken(place) => write!(
                f,
                "{place} holds a trail: keep it as it is, it is the old log's, and name an empty place by --objects"
            ),
            Self::Foreign(why) => write!(
                f,
                "the checkpoint is not of this database ({why}). Nothing was written: restore the database that belongs to it"
            ),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unknown => f.write_str("it is unknown whether this was done: run it again"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_, fault) => Some(fault),
            Self::Keys(fault) => fault.source(),
            Self::Store(fault) => fault.source(),
            Self::Objects(fault) => fault.source(),
            Self::Sequencer(fault) => fault.source(),
            Self::Policy(fault) => fault.source(),
            Self::Trail(_)
            | Self::Unopened
            | Self::SameOrigin(_)
            | Self::Taken(_)
            | Self::Foreign(_)
            | Self::Refused(_)
            | Self::Unknown => None,
        }
    }
}

faults_from! {
    keys::Fault => Keys, StoreFault => Store, objects::Fault => Objects, sequencer::Fault => Sequencer, Flaw => Trail,
    rotation::Fault => Policy,
}

/// Goes on under the origin of the settings, and says in words what the operator is to do next. Run again after a death, it goes on
/// where it was.
/// # Errors
/// [`Fault`]
pub fn go_on(config: &Config, plan: &Plan, clock: &Clock) -> Result<String, Fault> {
    let name = KeyName::parse(&config.origin)?;
    let store = Arc::new(Store::open(config.database.clone())?);
    let mut db = store.dedicated()?;
    let none = (Faults::none(), sequencer::Snapshots::none());
    let mut sequencer = Sequencer::resume(store, clock.clone(), none.0, none.1)?;
    let standing = sequencer.standing().ok_or(Fault::Unopened)?;
    if standing.origin == config.origin {
        return finish(&mut db, config, &standing);
    }
    let objects = Objects::open(&config.objects)?;
    if wait(objects.get(CHECKPOINT))?.is_some() {
        return Err(Fault::Taken(config.objects.to_string()));
    }
    let asked = command(&mut db, config, (plan, &name), &standing)?;
    let request = Request {
        by: standing.by.0,
        actor: standing.by.1,
        cmd: None,
        req: None,
        command: Command::ContinueTrail(asked),
    };
    match sequencer.step(&[request])?.pop() {
        // DURABLE: the entry. A crash behind it: the next run forgets what was published under the old name.
        Some(Outcome::Accepted(_)) => {}
        Some(Outcome::Refused(refusal)) => return Err(Fault::Refused(refusal)),
        Some(Outcome::Known(_) | Outcome::Failed(_)) | None => return Err(Fault::Unknown),
    }
    let standing = sequencer.standing().ok_or(Fault::Unopened)?;
    finish(&mut db, config, &standing)
}

/// The entry is there: what was signed and published under the old name is not this log's.
fn finish(db: &mut Db, config: &Config, standing: &sequencer::Standing) -> Result<String, Fault> {
    let [.., old, new] = standing.log_keys.as_slice() else {
        return Err(Fault::SameOrigin(config.origin.clone()));
    };
    if new.from == 0 || old.vkey.starts_with(&format!("{}+", config.origin)) {
        return Err(Fault::SameOrigin(config.origin.clone()));
    }
    if let Some(published) = heads::published(db)? {
        let of = Checkpoint::parse(Note::parse(published.note.as_bytes())?.text())?;
        if of.origin().as_str() != config.origin {
            heads::begin_anew(db)?;
        }
    }
    let (origin, at) = (&config.origin, new.from.saturating_sub(1));
    Ok(format!(
        "the log goes on under {origin}: entry {at} says so, and those before it are its first ones.\n\
         Start it with `--origin {origin} --objects {}` (the old trail stays where it is, for whoever checks it), then\n\
         - give everybody who checks this log the line `log {}`, which policy.txt has now beside the old one;\n\
         - witnesses add that line: for them this is a new log, and the old one has ended;\n\
         - tell providers, vendors and buyers that receipts and key registrations have `aud` {origin} from now on.\n\
         Auditors run `quan-verify audit NEW --continues OLD`.\n",
        config.objects, new.vkey
    ))
}

/// The command, with what can be proven of the old log.
fn command(
    db: &mut Db,
    config: &Config,
    (plan, name): (&Plan, &KeyName),
    standing: &sequencer::Standing,
) -> Result<ContinueTrail, Fault> {
    let file = |error| Fault::File(plan.from.clone(), error);
    let checkpoint = fs::read_to_string(&plan.from).map_err(file)?;
    let note = Note::parse(checkpoint.as_bytes())?;
    let old = Checkpoint::parse(note.text())?;
    if old.origin().as_str() != standing.origin {
        let why = format!("it is of {}, the log is {}", old.origin(), standing.origin);
        return Err(Fault::Foreign(why));
    }
    let head = log::head(db)?;
    let consistency = if old.size().get() <= head.size {
        is_of(db, &old)?;
        None
    } else {
        let here = TreeSize::new(head.size).unwrap_or(TreeSize::ZERO);
        let tree = (here, Hash::new(head.root));
        plan.old_objects
            .as_deref()
            .map(|place| prove(place, tree, &old))
            .transpose()?
    };
    let key = key(&config.data, name)?;
    let secret = keys::log_key(&config.data, &key)?.ok_or(Fault::Unknown)?;
    // DURABLE: a crash after it leaves a line too many, which trusts a key of our own.
    rotation::add_to_policy(&config.data.join("policy.txt"), &key)?;
    let newest = standing.log_keys.last().map_or("", |key| &key.vkey);
    let text = continuation_text(newest, &key.to_string());
    Ok(ContinueTrail {
        origin: config.origin.clone(),
        log_vkey: key.to_string(),
        reason: plan.reason,
        checkpoint,
        consistency,
        signature: secret.sign_line(&key, &text)?.to_string(),
    })
}

/// The new log's key: what an earlier run has made, or made now.
fn key(data: &Path, name: &KeyName) -> Result<VerifierKey, Fault> {
    let mut made = keys::later_log_keys(data, name)?;
    // Keys of the old log lie there too, in files that their own names have given theirs.
    made.retain(|key| keys::log_file(data, key).exists());
    match made.pop() {
        Some(key) => Ok(key),
        // DURABLE: a crash after it leaves a key that nobody has used: the next run takes it.
        None => Ok(keys::make_log_key(data, name)?),
    }
}

/// Whether a checkpoint of at most as many entries as there are is of them.
fn is_of(db: &mut Db, old: &Checkpoint) -> Result<(), Fault> {
    let (mut edge, size) = (Frontier::empty(), old.size().get());
    while edge.size().get() < size {
        let first = edge.size().get();
        let chunk = log::entries(db, first..size.min(first.saturating_add(CHUNK)))?;
        if chunk.is_empty() {
            return Err(Fault::Foreign(format!("entry {first} is missing")));
        }
        for stored in chunk {
            edge.append(leaf_hash(&stored.bytes));
        }
    }
    if edge.root() == old.root() {
        return Ok(());
    }
    let (here, there) = (edge.root(), old.root());
    Err(Fault::Foreign(format!(
        "its {size} entries give the root {there}, ours {here}"
    )))
}

/// The proof, from the old log's tiles, that the entries here are its first ones.
fn prove(place: &str, here: (TreeSize, Hash), old: &Checkpoint) -> Result<Vec<String>, Fault> {
    let objects = Objects::beside(&Place::parse(place)?)?;
    let fetch = |path: TilePath| {
        let full = TilePath::new(path.level(), path.number(), WIDTH_FULL);
        for path in [Some(path), full].into_iter().flatten() {
            if let Some(bytes) = wait(objects.get(&path.to_string()))? {
                return Ok(bytes.into());
            }
        }
        let sentence =
            format!("{path} is missing; leave the old place out to go on without a proof");
        Err(Fault::Trail(Flaw::new(FlawKind::Tile, sentence)))
    };
    let proof = Tiles::new(old.size(), fetch).prove_consistency(here.0)?;
    let proven = verify_consistency(here, (old.size(), old.root()), &proof);
    proven.map_err(|flaw| Fault::Foreign(flaw.to_string()))?;
    Ok(proof.iter().map(ToString::to_string).collect())
}
