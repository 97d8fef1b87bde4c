//! The sequencer on both databases: batches, repeated keys, two servers, a lost connection, the thread and its queue.

use server::clock::Clock;
use server::faults::Faults;
use server::sequencer::{BEHIND_MAX, Fault, Outcome, Pace, Sequencer, Unanswered};
use server::store::{Store, log};
use std::sync::Arc;
use tokio::sync::watch;
use verifier::book::command::{AdmitParty, Command, OpenExchange, Role};
use verifier::book::decide::Request;
use verifier::id::Sha256Hash;
use verifier::refusal::Code;

use crate::support::Database;
use crate::support::replay::audit;
use crate::support::story::{self, clock};

on_both!(
    a_key_used_again_gives_the_same_entry_or_a_conflict,
    another_origin_on_the_same_store_is_refused,
    a_head_in_the_future_is_not_written_behind,
    a_log_that_was_changed_is_not_served,
    many_callers_get_one_entry_each,
    a_full_queue_says_so_and_takes_nothing,
    a_log_far_ahead_of_its_lists_is_written_more_slowly_and_refuses_nothing,
    a_long_log_is_replayed_at_a_start,
    after_a_batch_of_which_nobody_knows_nothing_is_read_from_memory,
);

fn admit(database: &Database, number: u64) -> Request {
    let opened = story::opened(database).entry;
    let command = Command::AdmitParty(AdmitParty {
        roles: vec![Role::Buyer],
        name: Sha256Hash::of(&number.to_be_bytes()),
        uscc: None,
    });
    Request {
        by: opened.by,
        actor: opened.actor,
        cmd: Some(Sha256Hash::of(format!("admit {number}").as_bytes())),
        req: Some(Sha256Hash::of(&number.to_be_bytes())),
        command,
    }
}

/// The entry that a request is, whether by this call or an earlier one.
fn seq(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Accepted(committed) | Outcome::Known(committed) => Some(committed.entry.seq),
        Outcome::Refused(_) | Outcome::Failed(_) => None,
    }
}

fn start(database: &Database, clock: &Clock) -> Sequencer {
    story::start(database, clock, Faults::none()).unwrap()
}

fn a_key_used_again_gives_the_same_entry_or_a_conflict(database: &Database) {
    let clock = clock();
    let mut sequencer = start(database, &clock);
    let first = admit(database, 1);
    let outcome = sequencer.step(std::slice::from_ref(&first)).unwrap().pop();
    let Some(Outcome::Accepted(accepted)) = outcome else {
        panic!("{outcome:?}")
    };
    drop(sequencer);

    // Also after a restart, and in one batch with others.
    clock.advance(6 * 86_400);
    let mut sequencer = start(database, &clock);
    let other = Request {
        req: Some(Sha256Hash::of(b"other")),
        ..first.clone()
    };
    let outcomes = sequencer
        .step(&[first.clone(), other, admit(database, 2)])
        .unwrap();
    assert_eq!(outcomes[0], Outcome::Known(accepted.clone()));
    assert!(
        matches!(&outcomes[1], Outcome::Refused(refusal) if refusal.code == Code::CommandConflict)
    );
    assert!(matches!(&outcomes[2], Outcome::Accepted(_)));

    // Eight days later the key is free.
    clock.advance(2 * 86_400);
    sequencer.step(&[admit(database, 3)]).unwrap();
    let outcome = sequencer.step(&[first]).unwrap().pop();
    assert!(
        matches!(&outcome, Some(Outcome::Accepted(again)) if again.entry.seq > accepted.entry.seq)
    );
}

fn another_origin_on_the_same_store_is_refused(database: &Database) {
    drop(start(database, &clock()));
    let store = Arc::new(Store::open(database.address.clone()).unwrap());
    let mut sequencer = Sequencer::start(store, clock(), Faults::none()).unwrap();
    let asked = OpenExchange {
        origin: "elsewhere/quan".into(),
        ..story::exchange()
    };
    assert!(matches!(sequencer.open(asked), Err(Fault::Origin { .. })));
    sequencer.open(story::exchange()).unwrap();
}

fn a_head_in_the_future_is_not_written_behind(database: &Database) {
    start(database, &clock())
        .step(&[admit(database, 1)])
        .unwrap();
    let slow = clock();
    slow.advance(-300);
    let mut sequencer = start(database, &slow);
    sequencer.step(&[admit(database, 2)]).unwrap();
    slow.advance(-1);
    assert!(matches!(
        sequencer.step(&[admit(database, 3)]),
        Err(Fault::Future { .. })
    ));
    let (entries, _) = audit(&mut database.connect());
    assert_eq!(entries.len(), 3);
    assert!(entries.iter().all(|entry| entry.at.unix() == story::NOON));
}

fn a_log_that_was_changed_is_not_served(database: &Database) {
    let mut sequencer = start(database, &clock());
    sequencer.step(&[admit(database, 1)]).unwrap();
    drop(sequencer);
    database.execute("UPDATE head SET root = edge WHERE id = 1");
    let store = Store::open(database.address.clone()).unwrap();
    let started = Sequencer::start(Arc::new(store), clock(), Faults::none());
    assert!(started.is_err_and(|fault| fault.stops_writing()));
}

fn many_callers_get_one_entry_each(database: &Database) {
    let (desk, thread) = start(database, &clock()).spawn(10_000, free()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    let template = admit(database, 0);
    let request = |number: u64| Request {
        cmd: Some(Sha256Hash::of(&number.to_be_bytes())),
        ..template.clone()
    };
    let single = |number| {
        let (desk, request) = (desk.clone(), request(number));
        runtime.spawn(async move { desk.submit_one(request).await })
    };
    let singles: Vec<_> = (0..200).map(single).collect();
    let bulk = runtime.block_on(desk.submit((0..1_000).map(request).collect()));
    let mut seqs: Vec<_> = bulk.iter().map(|outcome| seq(outcome).unwrap()).collect();
    for (expected, single) in seqs.iter().zip(singles) {
        assert_eq!(seq(&runtime.block_on(single).unwrap()), Some(*expected));
    }
    seqs.sort_unstable();
    assert!(seqs.iter().copied().eq(1..=1_000));
    let size = runtime.block_on(desk.read(|book| book.size)).unwrap();
    assert_eq!((size, *desk.committed().borrow()), (1_001, 1_001));

    desk.close();
    thread.join().unwrap().unwrap();
    let late = runtime.block_on(desk.submit_one(template));
    assert_eq!(late, Outcome::Failed(Unanswered::Stopping));
    assert_eq!(audit(&mut database.connect()).0.len(), 1_001);
}

/// Nobody follows this log.
fn free() -> Pace {
    Pace::new(watch::channel(0).1, BEHIND_MAX)
}

fn a_log_far_ahead_of_its_lists_is_written_more_slowly_and_refuses_nothing(database: &Database) {
    // A projector that does not move.
    let (projected, receiver) = watch::channel(0);
    let pace = Pace::new(receiver, 3);
    let (desk, thread) = start(database, &clock()).spawn(10, pace.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let write = |number| {
        let outcome = runtime.block_on(desk.submit_one(admit(database, number)));
        assert_eq!(seq(&outcome), Some(number));
    };
    (1..=2).for_each(write);
    assert_eq!(pace.pauses(), 0, "three entries are not too many");
    (3..=6).for_each(write);
    // An answer comes before the pause: that of the last one may not have begun.
    assert!(pace.pauses() >= 3, "{}", pace.pauses());
    assert!(desk.pace().is_slow(7));
    projected.send_replace(1_000);
    write(7);
    let pauses = pace.pauses();
    (8..=20).for_each(write);
    assert_eq!((pace.pauses(), pace.is_slow(21)), (pauses, false));
    desk.close();
    thread.join().unwrap().unwrap();
}

fn a_full_queue_says_so_and_takes_nothing(database: &Database) {
    let (desk, thread) = start(database, &clock()).spawn(10, free()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let request = admit(database, 1);
    let outcomes = runtime.block_on(desk.submit(vec![request.clone(); 11]));
    assert_eq!(outcomes, vec![Outcome::Failed(Unanswered::Busy); 11]);
    assert!(matches!(
        runtime.block_on(desk.submit_one(request)),
        Outcome::Accepted(_)
    ));
    desk.close();
    thread.join().unwrap().unwrap();
}

fn a_long_log_is_replayed_at_a_start(database: &Database) {
    let mut sequencer = start(database, &clock());
    let template = admit(database, 0);
    let request = |number: u64| Request {
        cmd: Some(Sha256Hash::of(&number.to_be_bytes())),
        ..template.clone()
    };
    for batch in 0..12 {
        let requests: Vec<_> = (batch * 250..batch * 250 + 250).map(request).collect();
        sequencer.step(&requests).unwrap();
    }
    drop(sequencer);
    let mut sequencer = start(database, &clock());
    let outcomes = sequencer.step(&[request(0), request(2_999), request(3_000)]);
    let seqs: Vec<_> = outcomes.unwrap().iter().map(seq).collect();
    assert_eq!(seqs, [Some(1), Some(3_000), Some(3_001)]);

    drop(sequencer);
    database.execute("DELETE FROM entries WHERE seq = 1700");
    let store = Store::open(database.address.clone()).unwrap();
    let started = Sequencer::start(Arc::new(store), clock(), Faults::none());
    assert!(started.is_err_and(|fault| fault.stops_writing()));
}

fn after_a_batch_of_which_nobody_knows_nothing_is_read_from_memory(database: &Database) {
    drop(start(database, &clock()));
    // Before and after each of a batch's three effects: the lock, the rows, the commit.
    for point in 0..6 {
        let store = Arc::new(database.store());
        let faults = Faults::stop_at(6 + point);
        let mut sequencer = Sequencer::start(Arc::clone(&store), clock(), faults).unwrap();
        let mut db = database.connect();
        let size = log::head(&mut db).unwrap().size;
        // What is read from memory is what the database has; whether it was.
        let mut remembered = || {
            let missed = store.recent().missed();
            let read = store.entries(&mut db, size..size + 1).unwrap();
            assert_eq!(read, log::entries(&mut db, size..size + 1).unwrap());
            !read.is_empty() && store.recent().missed() == missed
        };
        assert!(!remembered());
        sequencer.step(&[admit(database, 2 * point)]).unwrap();
        assert!(remembered(), "{point}");
        assert!(sequencer.step(&[admit(database, 2 * point + 1)]).is_err());
        assert!(!remembered(), "{point}");
    }
}

/// Servers in turn and at once on one PostgreSQL: one log.
#[test]
fn two_servers_on_one_postgresql_write_one_log() {
    let database = Database::postgres();
    let clock = clock();
    let mut one = start(&database, &clock);
    let mut two = start(&database, &clock);
    for number in 0..20 {
        let server = if number % 3 == 0 { &mut one } else { &mut two };
        server
            .step(&[admit(&database, number), admit(&database, number / 2)])
            .unwrap();
    }
    let template = admit(&database, 0);
    let write = |name: &str, server: &mut Sequencer| {
        for number in 0..50 {
            let cmd = Some(Sha256Hash::of(format!("{name} {number}").as_bytes()));
            server
                .step(&[Request {
                    cmd,
                    ..template.clone()
                }])
                .unwrap();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| write("one", &mut one));
        scope.spawn(|| write("two", &mut two));
    });
    one.follow().unwrap();
    let (entries, _) = audit(&mut database.connect());
    assert_eq!(entries.len(), 1 + 20 + 100);
}

/// The server's connection is cut: the batch is lost or not, the next step goes on, and a repeated key is done once.
#[test]
fn a_server_goes_on_after_its_connection_was_cut() {
    let database = Database::postgres();
    let mut sequencer = start(&database, &clock());
    sequencer.step(&[admit(&database, 1)]).unwrap();
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
    let request = admit(&database, 2);
    assert!(matches!(
        sequencer.step(std::slice::from_ref(&request)),
        Err(Fault::Store(_))
    ));
    assert!(matches!(
        sequencer.step(&[request]).unwrap()[..],
        [Outcome::Accepted(_)]
    ));
    assert_eq!(audit(&mut database.connect()).0.len(), 3);
}
