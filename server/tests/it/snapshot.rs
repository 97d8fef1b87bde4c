//! Snapshots of the book on disk: a start with one equals a start without, and one that is of no use is passed over.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use server::faults::Faults;
use server::sequencer::{BEHIND_MAX, Desk, Outcome, Pace, Sequencer, Snapshots};
use server::store::Store;
use tokio::sync::watch;
use verifier::book::Book;
use verifier::book::command::{AdmitParty, Command, Role};
use verifier::book::decide::Request;
use verifier::id::Sha256Hash;

use crate::support::story::{self, clock};
use crate::support::{Client, Database, Server, folder, quan_verify};

on_both!(
    a_start_takes_the_newest_snapshot_and_replays_the_rest,
    a_snapshot_that_was_changed_is_passed_over,
    a_snapshot_of_another_log_is_passed_over,
    the_program_writes_one_when_idle_and_at_a_stop_and_starts_with_it,
);

/// A server's life that admits so many parties, and the book at its end.
fn live(database: &Database, kept: &Path, parties: std::ops::Range<u64>) -> Book {
    let store = Arc::new(Store::open(database.address.clone()).unwrap());
    let snapshots = Snapshots::folder(kept, 1).unwrap();
    let mut sequencer = Sequencer::resume(store, clock(), Faults::none(), snapshots).unwrap();
    sequencer.open(story::exchange()).unwrap();
    let opened = story::opened(database).entry;
    let pace = Pace::new(watch::channel(0).1, BEHIND_MAX);
    let (desk, thread) = sequencer.spawn(1_000, pace).unwrap();
    let requests = parties.map(|number| Request {
        by: opened.by,
        actor: opened.actor,
        cmd: Some(Sha256Hash::of(&number.to_be_bytes())),
        req: Some(Sha256Hash::of(&number.to_be_bytes())),
        command: Command::AdmitParty(AdmitParty {
            roles: vec![Role::Buyer],
            name: Sha256Hash::of(&number.to_be_bytes()),
            uscc: None,
        }),
    });
    let outcomes = wait(desk.submit(requests.collect()));
    let accepted = |outcome: &Outcome| matches!(outcome, Outcome::Accepted(_));
    assert!(outcomes.iter().all(accepted));
    let book = book(&desk);
    desk.close();
    thread.join().unwrap().unwrap();
    book
}

fn book(desk: &Desk) -> Book {
    wait(desk.read(Book::clone)).unwrap()
}

fn wait<F: Future>(future: F) -> F::Output {
    server::objects::wait(future)
}

/// The book that the log alone gives.
fn replayed(database: &Database) -> Book {
    let store = Arc::new(Store::open(database.address.clone()).unwrap());
    let sequencer = Sequencer::start(store, clock(), Faults::none()).unwrap();
    let pace = Pace::new(watch::channel(0).1, BEHIND_MAX);
    let (desk, thread) = sequencer.spawn(1, pace).unwrap();
    let book = book(&desk);
    desk.close();
    thread.join().unwrap().unwrap();
    book
}

fn files(kept: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(kept)
        .unwrap()
        .map(|item| item.unwrap().path())
        .collect();
    files.sort();
    files
}

fn a_start_takes_the_newest_snapshot_and_replays_the_rest(database: &Database) {
    let kept = folder();
    for round in 0..4_u64 {
        let book = live(database, kept.path(), round * 10..round * 10 + 10);
        assert_eq!(book, replayed(database));
    }
    // The two newest are kept, and nothing beside them.
    let names: Vec<_> = files(kept.path())
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names,
        ["00000000000000000031.book", "00000000000000000041.book"]
    );

    // The log runs ahead of the newest: the rest is replayed.
    fs::remove_file(files(kept.path()).last().unwrap()).unwrap();
    assert_eq!(live(database, kept.path(), 40..41), replayed(database));

    // A stop without anything new writes nothing.
    let before = files(kept.path());
    live(database, kept.path(), 0..0);
    assert_eq!(files(kept.path()), before);
}

fn a_snapshot_that_was_changed_is_passed_over(database: &Database) {
    let kept = folder();
    live(database, kept.path(), 0..10);
    live(database, kept.path(), 10..20);
    for damage in [
        |bytes: &mut Vec<u8>| bytes[100] ^= 1,
        |bytes: &mut Vec<u8>| bytes.clear(),
    ] {
        let newest = files(kept.path()).pop().unwrap();
        let mut bytes = fs::read(&newest).unwrap();
        damage(&mut bytes);
        fs::write(&newest, bytes).unwrap();
        assert_eq!(live(database, kept.path(), 0..0), replayed(database));
    }
}

fn a_snapshot_of_another_log_is_passed_over(database: &Database) {
    let (kept, other) = (folder(), Database::sqlite());
    live(&other, kept.path(), 0..10);
    live(database, &folder().path().join("elsewhere"), 100..120);
    // Its size is within our log, its entries are not ours.
    assert_eq!(live(database, kept.path(), 0..0), replayed(database));
}

/// Few new entries make one, so that a test need not write fifty thousand.
const FEW: [(&str, &str); 1] = [("QUAN_SNAPSHOT_ENTRIES", "20")];

fn serve(data: &Path, database: &Database) -> Server {
    let settings = FEW.map(|(name, value)| (name, value.to_owned()));
    Server::start_in(&settings, data, database)
}

fn admit(server: &Server, data: &Path, count: u64) {
    let operator = Client::operator_at(&server.address, data);
    for _ in 0..count {
        let body = serde_json::json!({ "roles": ["buyer"], "name": "A".repeat(43) });
        operator.done("/v1/parties", &body);
    }
}

fn sizes(kept: &Path) -> Vec<u64> {
    let size = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
    files(kept).iter().filter_map(size).collect()
}

fn the_program_writes_one_when_idle_and_at_a_stop_and_starts_with_it(database: &Database) {
    let folder = folder();
    let data = folder.path().join("data");
    let kept = data.join("snapshots");
    let server = serve(&data, database);
    admit(&server, &data, 30);
    server.says("wrote a snapshot of the book");
    assert_eq!(sizes(&kept), [31]);
    server.kill();
    // What comes after it is replayed; three entries are not worth another one, thirty at a stop are.
    let server = serve(&data, database);
    server.says("took a snapshot of the book");
    admit(&server, &data, 3);
    server.kill();
    let server = serve(&data, database);
    admit(&server, &data, 30);
    server.stop();
    // The stop states the scopes' counts first.
    assert_eq!(sizes(&kept), [31, 65]);
    // A damaged one is passed over for the one before it.
    let newest = files(&kept).pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let server = serve(&data, database);
    server.says("a snapshot is of no use");
    server.says("took a snapshot of the book");
    server.kill();
    // One of another exchange, of a size that ours has, is none.
    let (elsewhere, other) = (folder.path().join("elsewhere"), Database::sqlite());
    let server = serve(&elsewhere, &other);
    admit(&server, &elsewhere, 39);
    server.stop();
    files(&kept)
        .iter()
        .for_each(|path| fs::remove_file(path).unwrap());
    let foreign = files(&elsewhere.join("snapshots")).pop().unwrap();
    assert_eq!(sizes(&elsewhere.join("snapshots")), [41]);
    fs::copy(&foreign, kept.join(foreign.file_name().unwrap())).unwrap();
    let server = serve(&data, database);
    server.says("the snapshot does not lead to the head of the log");
    admit(&server, &data, 1);
    server.stop();
    let audit = quan_verify(&data.join("trail"), &data.join("policy.txt"));
    let said = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(
        said.starts_with("agree: localhost/quan, 67 entries"),
        "{said}"
    );
}
