//! One thread, one seed, a real SQLite file: at every durable effect, before it and after it, the process dies, a new one
//! starts on what is there, and the client repeats what was not answered (STYLE §6).

use server::clock::Clock;
use server::faults::Faults;
use server::sequencer::{Fault, Sequencer};
use std::collections::BTreeSet;

use crate::support::Database;
use crate::support::replay::audit;
use crate::support::story::{self, Client};

/// Tells the story until its end, or until the process dies.
fn tell(sequencer: &mut Sequencer, client: &mut Client, from: &mut usize) -> Result<(), Fault> {
    while let Some(batch) = client.batch(*from) {
        let (keys, requests): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let outcomes = sequencer.step(&requests)?;
        client.hear(&keys, outcomes);
        *from += 1;
    }
    Ok(())
}

fn run(
    database: &Database,
    clock: &Clock,
    faults: &Faults,
    client: &mut Client,
    from: &mut usize,
) -> Result<(), Fault> {
    let mut sequencer = story::start(database, clock, faults.clone())?;
    client.learn(story::opened(database));
    tell(&mut sequencer, client, from)
}

/// The story with one death and one restart; returns how many points were passed until the death, or in all.
fn story_with(faults: &Faults) -> (u64, usize) {
    let (database, clock) = (Database::sqlite(), story::clock());
    let (mut client, mut from) = (Client::default(), 0);
    match run(&database, &clock, faults, &mut client, &mut from) {
        Ok(()) => assert!(!faults.is_dead()),
        Err(Fault::Crash(_)) => {
            clock.advance(30);
            run(&database, &clock, &Faults::none(), &mut client, &mut from).unwrap();
        }
        Err(fault) => panic!("{fault}"),
    }
    (faults.passed(), check(&database, &client))
}

/// Nothing acknowledged is lost, nothing is done twice, and an auditor agrees.
fn check(database: &Database, client: &Client) -> usize {
    let (entries, book) = audit(&mut database.connect());
    for (key, committed) in &client.answered {
        let seq = usize::try_from(committed.entry.seq).unwrap();
        assert_eq!(entries[seq], committed.entry, "{key}");
    }
    let keys: BTreeSet<_> = entries.iter().map(|entry| entry.cmd).collect();
    assert_eq!(keys.len(), entries.len(), "a command was done twice");
    assert_eq!(
        client.answered.len(),
        entries.len(),
        "an entry that nobody was told of"
    );
    assert_eq!(client.refused.len(), 3, "{:?}", client.refused);
    let sum: i64 = book.money.balances().map(|(_, fen)| fen.get()).sum();
    assert_eq!(sum, 0);
    entries.len()
}

#[test]
fn a_death_at_any_point_loses_nothing_and_repeats_nothing() {
    let (points, entries) = story_with(&Faults::counting());
    assert_eq!(entries, 9);
    assert!((30..300).contains(&points), "{points} points");
    for point in 0..points {
        let faults = Faults::stop_at(point);
        let (_, found) = story_with(&faults);
        assert!(faults.is_dead(), "point {point} was not reached");
        assert_eq!(found, entries, "point {point}");
    }
}
