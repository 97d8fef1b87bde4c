//! The sequencer and the publisher together: whatever dies, and wherever, the trail is one tree and an auditor agrees.

use server::clock::Clock;
use server::faults::Faults;
use server::keys::Keys;
use server::objects::Objects;
use server::publisher::{self, Parts, Publisher, Step};
use server::sequencer::{self, Sequencer};
use server::store::{Store, log};
use std::sync::Arc;
use tempfile::TempDir;
use verifier::audit::{Depth, Verdict, audit};
use verifier::book::command::OpenExchange;
use verifier::trail::key::KeyName;
use verifier::trail::policy::Policy;

use crate::support::Database;
use crate::support::story::{self, Client};

on_both!(
    what_is_committed_is_published_and_an_auditor_agrees,
    two_servers_publish_one_tree,
);

/// Stories told at once.
const TELLERS: u64 = 4;

/// An exchange's data folder and database.
struct House<'a> {
    database: &'a Database,
    folder: TempDir,
    keys: Arc<Keys>,
    clock: Clock,
}

/// A process died, in a test.
struct Died;

impl From<sequencer::Fault> for Died {
    fn from(fault: sequencer::Fault) -> Self {
        assert!(matches!(fault, sequencer::Fault::Crash(_)), "{fault}");
        Self
    }
}

impl From<publisher::Fault> for Died {
    fn from(fault: publisher::Fault) -> Self {
        assert!(matches!(fault, publisher::Fault::Crash(_)), "{fault}");
        Self
    }
}

impl<'a> House<'a> {
    fn new(database: &'a Database, keys: Option<Arc<Keys>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys.unwrap_or_else(|| Arc::new(Keys::open(folder.path()).unwrap()));
        Self {
            database,
            folder,
            keys,
            clock: story::clock(),
        }
    }

    fn objects(&self) -> Objects {
        Objects::folder(&self.folder.path().join("trail")).unwrap()
    }

    /// Starts as `quan serve` does: compare, then replay, then write.
    fn start(&self, store: &Arc<Store>, faults: &Faults) -> Result<(Sequencer, Publisher), Died> {
        let publisher = Publisher::open(Parts {
            store: Arc::clone(store),
            objects: self.objects(),
            keys: Arc::clone(&self.keys),
            origin: KeyName::parse("localhost/quan").unwrap(),
            faults: faults.clone(),
        })?;
        let mut sequencer =
            Sequencer::start(Arc::clone(store), self.clock.clone(), faults.clone())?;
        sequencer.open(OpenExchange {
            log_vkey: publisher.key().to_string(),
            ..story::exchange()
        })?;
        Ok((sequencer, publisher))
    }

    /// Tells the story, publishing now and then, until its end or until the process dies.
    fn tell(&self, faults: &Faults, client: &mut Client, from: &mut usize) -> Result<(), Died> {
        let store = Arc::new(self.database.store());
        let (mut sequencer, mut publisher) = self.start(&store, faults)?;
        client.learn(story::opened(self.database));
        while let Some(batch) = client.batch(*from) {
            let (keys, requests): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let outcomes = sequencer.step(&requests)?;
            client.hear(&keys, outcomes);
            *from += 1;
            if *from == 2 {
                publish(&mut publisher)?;
            }
        }
        publish(&mut publisher)
    }

    /// The trail's files alone, checked as a regulator checks them.
    fn check(&self) {
        let publisher = self.start(&Arc::new(self.database.store()), &Faults::none());
        let Ok((_, mut publisher)) = publisher else {
            panic!("nothing dies here")
        };
        assert!(publish(&mut publisher).is_ok());
        let policy = self.folder.path().join("policy.txt");
        publisher.write_policy(&policy).unwrap();
        let policy = Policy::parse(&std::fs::read(policy).unwrap()).unwrap();
        let report = audit(&mut self.objects(), &policy, Depth::Decisions).unwrap();
        assert_eq!(report.verdict, Verdict::Agree, "{:?}", report.differences);
        let head = log::head(&mut self.database.connect()).unwrap();
        assert_eq!(report.size, Some(head.size));
        assert_eq!(report.decided, head.size);
    }
}

fn publish(publisher: &mut Publisher) -> Result<(), Died> {
    while publisher.step()? != Step::Idle {}
    Ok(())
}

fn what_is_committed_is_published_and_an_auditor_agrees(database: &Database) {
    let house = House::new(database, None);
    let told = house.tell(&Faults::none(), &mut Client::default(), &mut 0);
    assert!(told.is_ok());
    house.check();
}

fn two_servers_publish_one_tree(database: &Database) {
    let house = House::new(database, None);
    let store = Arc::new(database.store());
    let (Ok((mut sequencer, mut one)), Ok((_, mut other))) = (
        house.start(&store, &Faults::none()),
        house.start(&store, &Faults::none()),
    ) else {
        panic!("nothing dies here")
    };
    let mut client = Client::default();
    client.learn(story::opened(database));
    let mut number = 0;
    while let Some(batch) = client.batch(number) {
        let (keys, requests): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        client.hear(&keys, sequencer.step(&requests).unwrap());
        number += 1;
        // They take turns: each finds what the other has published.
        let turn = if number % 2 == 0 {
            &mut one
        } else {
            &mut other
        };
        assert!(publish(turn).is_ok());
    }
    assert!(publish(&mut one).is_ok());
    assert_eq!(other.step().unwrap(), Step::Idle);
    drop((one, other, sequencer, store));
    house.check();
}

#[test]
fn a_death_of_either_at_any_point_leaves_one_tree() {
    let keys_folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(Keys::open(keys_folder.path()).unwrap());
    let story_with = |faults: &Faults| {
        let database = Database::sqlite();
        let house = House::new(&database, Some(Arc::clone(&keys)));
        let (mut client, mut from) = (Client::default(), 0);
        if house.tell(faults, &mut client, &mut from).is_err() {
            assert!(faults.is_dead());
            house.clock.advance(30);
            let again = house.tell(&Faults::none(), &mut client, &mut from);
            assert!(again.is_ok());
        }
        house.check();
    };
    let counting = Faults::counting();
    story_with(&counting);
    // Each story is one thread; several at once wait for the disk together.
    std::thread::scope(|scope| {
        for first in 0..TELLERS {
            let points = (0..counting.passed()).filter(move |point| point % TELLERS == first);
            let story_with = &story_with;
            scope.spawn(move || points.for_each(|point| story_with(&Faults::stop_at(point))));
        }
    });
}
