//! A trail in a bucket: the same bytes as in a folder, also from a store that fails and delays, and by the program itself.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use server::clock::Clock;
use server::dataset::Blobs;
use server::faults::Faults;
use server::keys::Keys;
use server::objects::{Objects, wait};
use server::publisher::{Parts, Publisher, Step};
use server::sequencer::Sequencer;
use server::store::Store;
use tempfile::TempDir;
use verifier::audit::{Depth, Verdict, audit};
use verifier::book::command::OpenExchange;
use verifier::id::Sha256Hash;
use verifier::trail::key::KeyName;
use verifier::trail::policy::Policy;

use crate::support::story::{self, Client};
use crate::support::{Bucket, Database, Load, Server, Trail, folder};

on_both!(
    a_bucket_holds_the_same_bytes_as_a_folder,
    a_bucket_that_fails_and_delays_holds_the_same_trail_in_the_end,
    contents_lie_in_a_bucket_and_are_read_from_it,
);

/// An exchange whose trail lies wherever a test puts it.
struct House<'a> {
    database: &'a Database,
    store: Arc<Store>,
    folder: TempDir,
    keys: Arc<Keys>,
}

impl<'a> House<'a> {
    fn new(database: &'a Database) -> Self {
        let folder = folder();
        let keys = Arc::new(Keys::open(folder.path()).unwrap());
        Self {
            database,
            store: Arc::new(database.store()),
            folder,
            keys,
        }
    }

    fn publisher(&self, objects: Objects) -> Result<Publisher, server::publisher::Fault> {
        Publisher::open(Parts {
            store: Arc::clone(&self.store),
            objects,
            keys: Arc::clone(&self.keys),
            origin: KeyName::parse("localhost/quan").unwrap(),
            faults: Faults::none(),
        })
    }

    fn local(&self) -> Objects {
        Objects::folder(&self.folder.path().join("trail")).unwrap()
    }

    /// Tells the story; after each batch `publish` may act.
    fn tell(&self, mut publish: impl FnMut()) {
        let publisher = self.publisher(self.local()).unwrap();
        let store = Arc::clone(&self.store);
        let mut sequencer = Sequencer::start(store, story::clock(), Faults::none()).unwrap();
        let opening = OpenExchange {
            log_vkey: publisher.key().to_string(),
            ..story::exchange()
        };
        sequencer.open(opening).unwrap();
        let mut client = Client::default();
        client.learn(story::opened(self.database));
        for number in 0.. {
            let Some(batch) = client.batch(number) else {
                break;
            };
            let (keys, requests): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            client.hear(&keys, sequencer.step(&requests).unwrap());
            publish();
        }
    }

    fn agrees(&self, objects: &mut Objects) {
        let policy = self.folder.path().join("policy.txt");
        let publisher = self.publisher(self.local()).unwrap();
        publisher.write_policy(&policy).unwrap();
        let policy = Policy::parse(&std::fs::read(policy).unwrap()).unwrap();
        let report = audit(objects, &policy, Depth::Decisions).unwrap();
        assert_eq!(report.verdict, Verdict::Agree, "{:?}", report.differences);
    }

    /// What the folder holds, by name.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let files = Trail::read(&self.folder.path().join("trail")).0;
        files.into_iter().collect()
    }
}

fn publish(publisher: &mut Publisher) {
    while publisher.step().unwrap() != Step::Idle {}
}

fn a_bucket_holds_the_same_bytes_as_a_folder(database: &Database) {
    let (house, bucket) = (House::new(database), Bucket::start());
    let mut local = house.publisher(house.local()).unwrap();
    house.tell(|| publish(&mut local));
    // Another server of the same database, with an empty bucket: it puts everything again.
    publish(&mut house.publisher(bucket.objects("city/sh")).unwrap());
    let files = house.files();
    for (name, bytes) in bucket.contents() {
        let name = name.strip_prefix("city/sh/").unwrap().to_owned();
        assert_eq!(files.get(&name), Some(&bytes), "{name}");
    }
    house.agrees(&mut bucket.objects("city/sh"));
    // Listing goes through several pages; removing removes; another object of that name is an alarm.
    let objects = bucket.objects("");
    for number in 0..25 {
        let name = format!("some/{number}");
        wait(objects.put(&name, name.clone().into())).unwrap();
    }
    assert!(wait(objects.put("some/7", "other".into())).is_err());
    wait(objects.put("some/7", "some/7".into())).unwrap();
    wait(objects.remove("some/7")).unwrap();
    let listed = wait(bucket.objects("some").list()).unwrap();
    assert_eq!(listed.len(), 24);
    assert_eq!(wait(objects.get("some/7")).unwrap(), None);
}

fn a_bucket_that_fails_and_delays_holds_the_same_trail_in_the_end(database: &Database) {
    let (house, bucket) = (House::new(database), Bucket::start());
    let mut local = house.publisher(house.local()).unwrap();
    // A step asks a handful of times: some come through.
    bucket.fails(7, Duration::from_millis(2));
    let mut failing = None;
    let mut failed = 0;
    let mut step = || {
        for _ in 0..200 {
            let publisher = match failing.take() {
                Some(publisher) => Ok(publisher),
                None => house.publisher(bucket.objects("")),
            };
            let outcome = publisher.and_then(|mut publisher| {
                let outcome = publisher.step();
                failing = Some(publisher);
                outcome
            });
            match outcome {
                Ok(Step::Idle) => return,
                Ok(Step::Published(_) | Step::Waiting(_)) => {}
                Err(fault) => {
                    assert!(fault.is_passing(), "{fault}");
                    failed += 1;
                }
            }
        }
        panic!("it never comes through");
    };
    house.tell(&mut step);
    assert!(failed > 1, "it failed {failed} times");
    bucket.fails(0, Duration::ZERO);
    publish(&mut local);
    let files = house.files();
    assert_eq!(bucket.contents().get("checkpoint"), files.get("checkpoint"));
    house.agrees(&mut bucket.objects(""));
}

/// More than a part that is put at once, and than a range that is got at once.
fn contents_lie_in_a_bucket_and_are_read_from_it(database: &Database) {
    let (bucket, folder) = (Bucket::start(), folder());
    let keys = Keys::open(folder.path()).unwrap();
    let store = Arc::new(database.store());
    for (prefix, sealed) in [("plain", false), ("sealed", true)] {
        let bytes: Vec<u8> = (0..5_000_000u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .chain([u8::from(sealed)])
            .collect();
        let (spool, sha256) = (folder.path().join("spool"), *Sha256Hash::of(&bytes).bytes());
        std::fs::write(&spool, &bytes).unwrap();
        let blobs = Blobs::within(bucket.objects(prefix), &keys, sealed, Clock::real());
        let (row, read) = actix_web::rt::System::new().block_on(async {
            let row = blobs.publish(Arc::clone(&store), &spool, sha256, bytes.len() as u64);
            let row = row.await.unwrap();
            let read: Vec<_> = blobs.read(&row, 8_388_000..16_778_000).collect().await;
            (row, read)
        });
        assert_eq!((row.sealed, row.bytes), (sealed, bytes.len() as u64));
        let read: Vec<u8> = read.into_iter().flat_map(Result::unwrap).collect();
        assert!(read == bytes[8_388_000..16_778_000]);
        let name = format!("{prefix}/{}", row.object);
        let there = bucket.contents();
        assert_eq!(there[&name] == bytes, !sealed);
        assert_eq!(there[&name].starts_with(b"age-encryption.org/v1\n"), sealed);
        assert!(blobs.is_whole(&row).unwrap());
        // A bucket that does not answer says nothing about what lies in it; a changed byte does.
        bucket.fails(1, Duration::ZERO);
        assert!(blobs.is_whole(&row).is_err());
        bucket.fails(0, Duration::ZERO);
        bucket.change(&name, |bytes| bytes[12_345_678] ^= 1);
        assert!(!blobs.is_whole(&row).unwrap());
        bucket.forget(&name);
        assert!(!blobs.is_whole(&row).unwrap());
    }
}

fn quan(words: &[&str], house: &std::path::Path, database: &Database, bucket: &Bucket) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quan"));
    command
        .args(words)
        .args(["--database", &database.url(), "--data"])
        .arg(house)
        .envs(bucket.settings("sh"));
    command.output().unwrap()
}

#[test]
fn the_program_publishes_to_a_bucket_and_its_doctor_compares() {
    let (bucket, folder) = (Bucket::start(), folder());
    let data = folder.path().join("data");
    let database = Database::sqlite();
    let server = Server::start_in(&bucket.settings("sh"), &data, &database);
    let load = Load::new(&data);
    let mut servers = [server];
    load.announce(&servers);
    load.during(|| load.wait_for(30, &mut servers));
    let tile = ureq::get(format!("http://{}/checkpoint", servers[0].address)).call();
    assert_eq!(tile.unwrap().status().as_u16(), 200);
    servers.into_iter().for_each(Server::stop);
    assert!(!data.join("trail").exists());
    assert!(bucket.contents().contains_key("sh/checkpoint"));

    let output = quan(&["doctor"], &data, &database, &bucket);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("all agree"), "{said}");

    let output = quan(&["trail", "gc", "--dry-run"], &data, &database, &bucket);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("0 partial files would be deleted"), "{said}");

    let contents = bucket.contents();
    let name = contents
        .keys()
        .find(|name| name.contains("tile/0/"))
        .unwrap();
    bucket.change(name, |bytes| bytes[0] ^= 1);
    let output = quan(&["doctor"], &data, &database, &bucket);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let name = name.strip_prefix("sh/").unwrap();
    assert!(
        said.contains(&format!("DIFFERS    {name}: has other bytes")),
        "{said}"
    );

    drop(bucket);
    let gone = Bucket::start();
    gone.fails(1, Duration::ZERO);
    let output = quan(&["doctor"], &data, &database, &gone);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("no log shows"), "{said}");
}
