//! A snapshot is what a replay gives: after every entry of the golden trail, and after every command of the scenarios.

use verifier::book::Book;
use verifier::book::snapshot::{self, Unusable};
use verifier::trail::tree::{Frontier, leaf_hash};

use crate::golden;

/// The book comes back from its snapshot, and nothing else does.
pub(crate) fn holds(book: &Book, entries: &[Vec<u8>]) {
    let mut edge = Frontier::empty();
    entries
        .iter()
        .for_each(|bytes| edge.append(leaf_hash(bytes)));
    let bytes = snapshot::write(book, &edge);
    let (read, at) = snapshot::read(&bytes, |seq| in_log(entries, seq)).unwrap();
    assert_eq!(read, *book);
    assert_eq!(at, edge);
    read.money.check_invariants().unwrap();
}

fn in_log(entries: &[Vec<u8>], seq: u64) -> Option<Vec<u8>> {
    entries.get(usize::try_from(seq).ok()?).cloned()
}

/// The golden trail's book, its entries, and a snapshot of it.
fn golden_snapshot() -> (Book, Vec<Vec<u8>>, Vec<u8>) {
    let (mut book, mut edge, mut entries) = (Book::new(), Frontier::empty(), Vec::new());
    for entry in golden::entries() {
        book.apply(&entry).unwrap();
        let bytes = entry.to_bytes().unwrap();
        edge.append(leaf_hash(&bytes));
        entries.push(bytes);
    }
    let bytes = snapshot::write(&book, &edge);
    (book, entries, bytes)
}

#[test]
fn a_snapshot_of_the_golden_trail_is_its_replay_at_every_entry() {
    let (mut book, mut entries) = (Book::new(), Vec::new());
    holds(&book, &entries);
    for entry in golden::entries() {
        book.apply(&entry).unwrap();
        entries.push(entry.to_bytes().unwrap());
        if entries.len() % 5 == 0 {
            holds(&book, &entries);
        }
    }
}

#[test]
fn a_book_from_a_snapshot_goes_on_as_if_replayed() {
    let all = golden::entries();
    let (before, after) = all.split_at(all.len() / 2);
    let (mut book, mut edge) = (Book::new(), Frontier::empty());
    let mut log = Vec::new();
    for entry in before {
        book.apply(entry).unwrap();
        log.push(entry.to_bytes().unwrap());
        edge.append(leaf_hash(log.last().unwrap()));
    }
    let bytes = snapshot::write(&book, &edge);
    let (mut read, _) = snapshot::read(&bytes, |seq| in_log(&log, seq)).unwrap();
    for entry in after {
        book.apply(entry).unwrap();
        read.apply(entry).unwrap();
    }
    assert_eq!(read, book);
}

#[test]
fn a_snapshot_that_was_cut_or_changed_is_not_used() {
    let (_, log, bytes) = golden_snapshot();
    let read = |bytes: &[u8]| snapshot::read(bytes, |seq| in_log(&log, seq)).err();
    assert_eq!(read(&bytes), None);
    assert_eq!(read(b""), Some(Unusable::Version));
    let head = bytes.iter().position(|c| *c == b'\n').unwrap();
    for place in [0, 14, head] {
        assert_eq!(read(&flipped(&bytes, place)), Some(Unusable::Version));
    }
    for place in (head + 1..bytes.len()).step_by(1_009) {
        assert_eq!(read(&flipped(&bytes, place)), Some(Unusable::Digest));
        assert_eq!(
            read(bytes.get(..place).unwrap()),
            Some(Unusable::Digest),
            "cut at {place}"
        );
    }
}

#[test]
fn a_snapshot_is_not_used_beside_another_log() {
    let (_, log, bytes) = golden_snapshot();
    let none = snapshot::read(&bytes, |_| None);
    assert_eq!(none.err(), Some(Unusable::Programme));
    let other = snapshot::read(&bytes, |seq| in_log(&log, seq.saturating_sub(1)));
    assert_eq!(other.err(), Some(Unusable::Programme));
}

fn flipped(bytes: &[u8], place: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[place] ^= 1;
    bytes
}
