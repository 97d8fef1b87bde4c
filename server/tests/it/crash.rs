//! One thread, one seed, a real SQLite file and folder: at every durable effect, before it and after it, the process dies, a
//! new one starts on what is there, and the client repeats what was not answered (STYLE §6).

use server::clock::Clock;
use server::faults::Faults;
use server::keys::{self, Keys};
use server::objects::Objects;
use server::publisher::{self, CHECKPOINT, Parts, Publisher, Step};
use server::sequencer::{self, Sequencer};
use server::store::{Address, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;
use verifier::audit::Depth;
use verifier::book::command::{AdmitParty, Command, Role, RotateLogKey};
use verifier::book::decide::Request;
use verifier::book::log_key::rotation_text;
use verifier::id::Sha256Hash;
use verifier::trail::key::Origin;
use verifier::trail::note::Note;
use verifier::trail::policy::Policy;
use verifier::trail::tree::{Frontier, leaf_hash};

use crate::support::replay::audit;
use crate::support::story::{self, Client};
use crate::support::{Database, folder};

/// Days between two batches are none; seconds are, so that times differ.
const STEP_SECONDS: i64 = 7;

/// What survives a death: the folder, the world's clock, and what the world has seen.
struct World {
    folder: TempDir,
    clock: Clock,
    client: Client,
    /// The next batch of the client's story.
    from: usize,
    /// Every checkpoint that was ever published.
    seen: BTreeMap<u64, [u8; 32]>,
}

/// Why a process ended.
#[derive(Debug)]
enum Ended {
    Sequencer(sequencer::Fault),
    Publisher(publisher::Fault),
}

impl From<sequencer::Fault> for Ended {
    fn from(fault: sequencer::Fault) -> Self {
        Self::Sequencer(fault)
    }
}

impl From<publisher::Fault> for Ended {
    fn from(fault: publisher::Fault) -> Self {
        Self::Publisher(fault)
    }
}

impl World {
    fn new() -> Self {
        Self {
            folder: folder(),
            clock: story::clock(),
            client: Client::default(),
            from: 0,
            seen: BTreeMap::new(),
        }
    }

    fn database(&self) -> Database {
        Database::at(Address::Sqlite(self.folder.path().join("quan.db")))
    }

    /// One process, from its start to the end of the story or to its death.
    fn live(&mut self, faults: &Faults) -> Result<(), Ended> {
        let store = Arc::new(Store::open(self.database().address).unwrap());
        let mut publisher = self.publisher(&store, faults)?;
        let mut sequencer = Sequencer::start(store, self.clock.clone(), faults.clone())?;
        let mut opening = story::exchange();
        opening.log_vkey = publisher.key().to_string();
        sequencer.open(opening)?;
        self.client.learn(story::opened(&self.database()));
        self.publish(&mut publisher)?;
        while let Some(batch) = self.batch() {
            self.clock.advance(STEP_SECONDS);
            let (keys, requests): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let outcomes = sequencer.step(&requests)?;
            self.client.hear(&keys, outcomes);
            self.from += 1;
            self.publish(&mut publisher)?;
        }
        Ok(())
    }

    /// The client's story, and behind it a rotation of the log's key with an entry in its overlap and one after it.
    fn batch(&self) -> Option<Vec<(&'static str, Request)>> {
        const STORY: usize = 5;
        let admit = AdmitParty {
            roles: vec![Role::Buyer],
            name: Sha256Hash::of(b"late"),
            uscc: None,
        };
        let (key, command) = match self.from.checked_sub(STORY) {
            None => return self.client.batch(self.from),
            Some(0) => ("rotation", Command::RotateLogKey(self.rotation())),
            Some(1) => ("in the overlap", Command::AdmitParty(admit)),
            Some(2) => ("after it", Command::AdmitParty(admit)),
            Some(_) => return None,
        };
        Some(vec![self.client.exchange(key, command)])
    }

    /// As `quan key rotate-log` makes it: the key file, the policy's line, the command.
    fn rotation(&self) -> RotateLogKey {
        let overlap_seconds = u32::try_from(2 * STEP_SECONDS).unwrap();
        let (folder, name) = (self.folder.path(), Origin::parse("localhost/quan").unwrap());
        let old = Keys::open(folder).unwrap().log.verifier_key(&name).unwrap();
        let made = keys::later_log_keys(folder, &name).unwrap().pop();
        let new = made.unwrap_or_else(|| keys::make_log_key(folder, &name).unwrap());
        let policy = format!("log {old}\nlog {new}\nquorum none\n");
        fs::write(folder.join("policy.txt"), policy).unwrap();
        let [before, after] = [&old, &new].map(ToString::to_string);
        let text = rotation_text(&before, &after, overlap_seconds);
        let lines = [&old, &new].map(|key| {
            let secret = keys::log_key(folder, key).unwrap().unwrap();
            secret.sign_line(key, &text).unwrap().to_string()
        });
        RotateLogKey {
            old: before,
            new: after,
            overlap_seconds,
            signatures: lines.concat(),
        }
    }

    fn publisher(&self, store: &Arc<Store>, faults: &Faults) -> Result<Publisher, Ended> {
        let parts = Parts {
            store: Arc::clone(store),
            objects: Objects::folder(&self.folder.path().join("trail")).unwrap(),
            keys: Arc::new(Keys::open(self.folder.path()).unwrap()),
            origin: Origin::parse("localhost/quan").unwrap(),
            faults: faults.clone(),
        };
        let publisher = Publisher::open(parts)?;
        publisher.write_policy(&self.folder.path().join("policy.txt"))?;
        Ok(publisher)
    }

    fn publish(&mut self, publisher: &mut Publisher) -> Result<(), Ended> {
        loop {
            let step = publisher.step();
            self.look();
            if step? == Step::Idle {
                return Ok(());
            }
        }
    }

    /// The world looks at the checkpoint, and never forgets one.
    fn look(&mut self) {
        let Ok(note) = fs::read(self.folder.path().join("trail").join(CHECKPOINT)) else {
            return;
        };
        let policy = fs::read(self.folder.path().join("policy.txt")).unwrap();
        let note = Note::parse(&note).unwrap();
        let verified = Policy::parse(&policy).unwrap().check(&note).unwrap();
        let (size, root) = (
            verified.checkpoint().size().get(),
            verified.checkpoint().root(),
        );
        let known = self.seen.insert(size, *root.as_bytes());
        assert!(
            known.is_none_or(|known| known == *root.as_bytes()),
            "two trees of size {size}"
        );
        let newest = self.seen.last_key_value().map(|(newest, _)| *newest);
        assert_eq!(newest, Some(size), "the checkpoint went back");
    }

    /// Nothing acknowledged is lost, nothing is done twice, an auditor agrees, and all that was published is of one tree.
    fn check(&self) -> usize {
        let (entries, book) = audit(&mut self.database().connect());
        for (key, committed) in &self.client.answered {
            let seq = usize::try_from(committed.entry.seq).unwrap();
            assert_eq!(entries[seq], committed.entry, "{key}");
        }
        let keys: BTreeSet<_> = entries.iter().map(|entry| entry.cmd).collect();
        assert_eq!(keys.len(), entries.len(), "a command was done twice");
        assert_eq!(
            self.client.answered.len(),
            entries.len(),
            "an entry that nobody was told of"
        );
        assert_eq!(self.client.refused.len(), 3, "{:?}", self.client.refused);
        let sum: i64 = book.money.balances().map(|(_, fen)| fen.get()).sum();
        assert_eq!(sum, 0);

        let mut edge = Frontier::empty();
        let mut seen = self.seen.clone();
        for entry in &entries {
            let root = seen.remove(&edge.size().get());
            assert!(root.is_none_or(|root| root == *edge.root().as_bytes()));
            edge.append(leaf_hash(&entry.to_bytes().unwrap()));
        }
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            [(book.size, *edge.root().as_bytes())]
        );
        self.check_files(book.size);
        entries.len()
    }

    /// The trail's files alone, as a regulator checks them.
    fn check_files(&self, size: u64) {
        let policy = fs::read(self.folder.path().join("policy.txt")).unwrap();
        let policy = Policy::parse(&policy).unwrap();
        let mut files = Objects::folder(&self.folder.path().join("trail")).unwrap();
        let report = verifier::audit::audit(&mut files, &policy, Depth::Decisions).unwrap();
        assert_eq!(report.differences, []);
        assert_eq!((report.size, report.decided), (Some(size), size));
    }
}

#[test]
fn a_death_at_any_point_loses_nothing_and_repeats_nothing() {
    let (counting, mut world) = (Faults::counting(), World::new());
    world.live(&counting).unwrap();
    let (points, entries) = (counting.passed(), world.check());
    assert_eq!(entries, 12);
    assert!((80..300).contains(&points), "{points} points");
    for point in 0..points {
        let (faults, mut world) = (Faults::stop_at(point), World::new());
        let ended = world.live(&faults).unwrap_err();
        assert!(
            matches!(
                ended,
                Ended::Sequencer(sequencer::Fault::Crash(_))
                    | Ended::Publisher(publisher::Fault::Crash(_))
            ),
            "point {point}: {ended:?}"
        );
        world.clock.advance(30);
        world.live(&Faults::none()).unwrap();
        assert_eq!(world.check(), entries, "point {point}");
    }
}
