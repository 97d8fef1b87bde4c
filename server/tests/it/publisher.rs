//! The sequencer and the publisher together on both databases: one tree, however many publish, and an auditor agrees.

use server::clock::Clock;
use server::faults::Faults;
use server::keys::Keys;
use server::objects::Objects;
use server::projector::{self, Projector};
use server::publisher::{Parts, Publisher, Step};
use server::sequencer::Sequencer;
use server::store::{Store, log};
use std::sync::Arc;
use tempfile::TempDir;
use verifier::audit::{Depth, Verdict, audit};
use verifier::book::command::OpenExchange;
use verifier::trail::key::KeyName;
use verifier::trail::policy::Policy;

use crate::support::story::{self, Client};
use crate::support::{Database, folder};

on_both!(
    what_is_committed_is_published_and_an_auditor_agrees,
    two_servers_publish_one_tree,
    what_this_server_wrote_is_published_and_projected_from_memory,
    what_is_no_longer_in_memory_is_published_and_projected_from_the_database,
);

/// An exchange's data folder and database.
struct House<'a> {
    database: &'a Database,
    folder: TempDir,
    keys: Arc<Keys>,
    clock: Clock,
}

impl<'a> House<'a> {
    fn new(database: &'a Database) -> Self {
        let folder = folder();
        let keys = Arc::new(Keys::open(folder.path()).unwrap());
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
    fn start(&self, store: &Arc<Store>) -> (Sequencer, Publisher) {
        let publisher = Publisher::open(Parts {
            store: Arc::clone(store),
            objects: self.objects(),
            keys: Arc::clone(&self.keys),
            origin: KeyName::parse("localhost/quan").unwrap(),
            faults: Faults::none(),
        })
        .unwrap();
        let mut sequencer =
            Sequencer::start(Arc::clone(store), self.clock.clone(), Faults::none()).unwrap();
        let opening = OpenExchange {
            log_vkey: publisher.key().to_string(),
            ..story::exchange()
        };
        sequencer.open(opening).unwrap();
        (sequencer, publisher)
    }

    /// The trail's files alone, checked as a regulator checks them.
    fn check(&self) {
        let (_, mut publisher) = self.start(&Arc::new(self.database.store()));
        publish(&mut publisher);
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

fn publish(publisher: &mut Publisher) {
    while publisher.step().unwrap() != Step::Idle {}
}

/// The batches of the story; after each, whoever's turn it is publishes.
fn tell(house: &House<'_>, sequencer: &mut Sequencer, mut publish: impl FnMut(usize)) {
    let mut client = Client::default();
    client.learn(story::opened(house.database));
    let mut number = 0;
    while let Some(batch) = client.batch(number) {
        let (keys, requests): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        client.hear(&keys, sequencer.step(&requests).unwrap());
        publish(number);
        number += 1;
    }
}

fn what_is_committed_is_published_and_an_auditor_agrees(database: &Database) {
    let house = House::new(database);
    let (mut sequencer, mut publisher) = house.start(&Arc::new(database.store()));
    tell(&house, &mut sequencer, |_| publish(&mut publisher));
    drop((sequencer, publisher));
    house.check();
}

fn two_servers_publish_one_tree(database: &Database) {
    let house = House::new(database);
    let store = Arc::new(database.store());
    let ((mut sequencer, mut one), (_, mut other)) = (house.start(&store), house.start(&store));
    // They take turns: each finds what the other has published.
    tell(&house, &mut sequencer, |number| {
        publish(if number % 2 == 0 {
            &mut one
        } else {
            &mut other
        });
    });
    publish(&mut one);
    assert_eq!(other.step().unwrap(), Step::Idle);
    drop((one, other, sequencer, store));
    house.check();
}

fn project(projector: &mut Projector) {
    while projector.step().unwrap() != projector::Step::Idle {}
}

fn what_this_server_wrote_is_published_and_projected_from_memory(database: &Database) {
    let house = House::new(database);
    let store = Arc::new(database.store());
    let (mut sequencer, mut publisher) = house.start(&store);
    let mut projector = Projector::open(Arc::clone(&store)).unwrap();
    let mut size = 1;
    tell(&house, &mut sequencer, |_| {
        // Nobody can read these entries from the database: they lie elsewhere for a while.
        database.execute("UPDATE entries SET seq = -seq WHERE seq > 0");
        publish(&mut publisher);
        project(&mut projector);
        database.execute("UPDATE entries SET seq = -seq WHERE seq < 0");
        size = log::head(&mut database.connect()).unwrap().size;
        assert_eq!(*publisher.published().borrow(), size);
        assert_eq!(*projector.projected().borrow(), size);
    });
    assert!(size > 5, "{size}");
    assert_eq!(store.recent().missed(), 0);
    drop((sequencer, publisher, projector, store));
    house.check();
}

fn what_is_no_longer_in_memory_is_published_and_projected_from_the_database(database: &Database) {
    let house = House::new(database);
    let store = Arc::new(database.store());
    let (mut sequencer, mut publisher) = house.start(&store);
    let mut projector = Projector::open(Arc::clone(&store)).unwrap();
    tell(&house, &mut sequencer, |number| {
        if number % 2 == 0 {
            store.recent().clear();
        }
        publish(&mut publisher);
        project(&mut projector);
    });
    assert!(store.recent().missed() > 0);
    let size = log::head(&mut database.connect()).unwrap().size;
    assert_eq!(*publisher.published().borrow(), size);
    assert_eq!(*projector.projected().borrow(), size);
    drop((sequencer, publisher, projector, store));
    house.check();
}
