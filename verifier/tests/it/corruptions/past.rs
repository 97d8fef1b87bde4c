//! Another past than somebody has seen: the published history of cosigned checkpoints, and what a reader remembers.

use verifier::book::entry::Entry;
use verifier::trail::note::Note;

use super::world::{Case, SIZE, World, chop, part, replace};
use super::{Row, among, exactly, says};
use crate::past::cosigned;

/// The one part of the history: seven notes.
const PART: &str = "history/000.p/7";

/// The witness's note on the first entries, at its honest time.
fn note(world: &World, size: u64) -> String {
    let entries = &world.entries[..usize::try_from(size).unwrap()];
    cosigned(entries, world.seen(size))
}

/// What the log has signed over entries of which one is another.
fn forked(world: &World, size: u64) -> String {
    let mut entries = world.entries[..usize::try_from(size).unwrap()].to_vec();
    replace(&mut entries[33], "receipt", "recovery");
    cosigned(&entries, world.seen(size))
}

/// A history of these notes, and the head's.
fn history(world: &World, notes: &[String]) -> Case {
    let notes = [notes, &[note(world, SIZE)]].concat();
    world.honest().history(&notes)
}

/// The lines of one note of the history are what this makes of them.
fn edited(world: &World, change: impl FnOnce(&Note) -> String) -> Case {
    let good = note(world, 300);
    let other = change(&Note::parse(good.as_bytes()).unwrap());
    history(world, &[note(world, 100), other])
}

const EDITED: &str = "history/000.p/3";

/// Histories, and memories.
pub(super) const ROWS: &[&[Row]] = &[HISTORIES, PARTS, MEMORIES];

const HISTORIES: &[Row] = &[
    exactly(
        "the history falls",
        |w| history(w, &[note(w, 300), note(w, 100)]),
        &[(EDITED, "trail.history")],
    ),
    exactly(
        "the history has a tree that is no beginning of the log",
        |w| history(w, &[note(w, 100), forked(w, 300)]),
        &[(EDITED, "trail.fork")],
    ),
    exactly(
        "the history has another tree of the head's size",
        |w| history(w, &[note(w, 100), forked(w, SIZE)]),
        &[(EDITED, "trail.fork")],
    ),
    among(
        "the history is ahead of the head",
        |w| {
            let case = w.forged(|entries| entries.truncate(300));
            let entries = &w.entries[..300];
            let notes = [note(w, 100), cosigned(entries, w.seen(300)), note(w, SIZE)];
            case.history(&notes)
        },
        &[(EDITED, "trail.rollback")],
    ),
    exactly(
        "a note of the history has another size",
        |w| edited(w, |note| note.to_string().replacen("\n300\n", "\n299\n", 1)),
        &[(EDITED, "trail.signature")],
    ),
    exactly(
        "a note of the history has a flipped signature",
        |w| {
            edited(w, |note| {
                let mut text = note.to_string().into_bytes();
                let at = text.len() - 40;
                text[at] = if text[at] == b'A' { b'B' } else { b'A' };
                String::from_utf8(text).unwrap()
            })
        },
        &[(EDITED, "trail.signature")],
    ),
    exactly(
        "a note of the history has no cosignature",
        |w| {
            edited(w, |note| {
                let lines = note.signatures()[..1].to_vec();
                Note::new(note.text().to_owned(), lines)
                    .unwrap()
                    .to_string()
            })
        },
        &[(EDITED, "trail.history")],
    ),
    exactly(
        "the cosigner of a note of the history has another name",
        |w| {
            edited(w, |note| {
                note.to_string().replace("example/w ", "example/v ")
            })
        },
        &[(EDITED, "trail.history")],
    ),
    exactly(
        "the cosigner of a note of the history has another id",
        |w| {
            edited(w, |note| {
                let (before, payload) = {
                    let text = note.to_string();
                    let (before, payload) = text.rsplit_once(' ').unwrap();
                    (before.to_owned(), payload.to_owned())
                };
                let first = if payload.starts_with('A') { 'B' } else { 'A' };
                format!("{before} {first}{}", &payload[1..])
            })
        },
        &[(EDITED, "trail.history")],
    ),
    exactly(
        "a note of the history is of another log",
        |w| {
            edited(w, |note| {
                note.to_string()
                    .replace("localhost/quan", "localhost/other")
            })
        },
        &[(EDITED, "trail.origin")],
    ),
    exactly(
        "a note of the history is no note",
        |w| edited(w, |_| "x".to_owned()),
        &[(EDITED, "trail.history")],
    ),
    exactly(
        "an old note is put in again so that an entry can be dated back",
        |w| {
            let (early, late) = (w.seen(383), w.seen(383) + 1_000);
            let seen = [(383, early), (383, late), (383, early), (SIZE, late + 1)];
            w.signed_at(&w.entries, &seen)
        },
        &[("entry 383", "entry.at-bounds")],
    ),
    exactly(
        "an early note is put behind a late one so that an entry can be dated ahead",
        |w| {
            let early = w.seen(SIZE);
            let mut entries = w.entries.clone();
            let mut entry = Entry::parse(&entries[383]).unwrap();
            entry.at = entry.at.after(1_000);
            entries[383] = entry.to_bytes().unwrap();
            let late = early + 1_000;
            w.signed_at(
                &entries,
                &[
                    (383, w.seen(383)),
                    (SIZE, late),
                    (SIZE, early),
                    (SIZE, late),
                ],
            )
        },
        &[("entry 383", "entry.at-bounds")],
    ),
    among(
        "the history has another clock than the entries",
        |w| {
            let late = |size, late| (size, w.seen(size) + late);
            w.signed_at(
                &w.entries,
                &[late(300, 86_400 * 90), late(SIZE, 86_400 * 90)],
            )
        },
        &[
            ("entry 300", "entry.at-bounds"),
            ("entry 383", "entry.at-bounds"),
        ],
    ),
];

const PARTS: &[Row] = &[
    exactly(
        "a part of the history is missing",
        |w| w.honest().without(PART),
        &[(PART, "trail.missing")],
    ),
    exactly(
        "the count of the history is missing",
        |w| w.honest().without("history/count"),
        &[("history/count", "trail.missing")],
    ),
    exactly(
        "the count of the history is too large",
        |w| w.honest().put("history/count", "8\n"),
        &[("history/000.p/8", "trail.missing")],
    ),
    exactly(
        "the count of the history is too small",
        |w| w.honest().put("history/count", "6\n"),
        &[("history/count", "trail.history")],
    ),
    exactly(
        "the count of the history is no decimal",
        |w| w.honest().put("history/count", "+7\n"),
        &[("history/count", "trail.history")],
    ),
    exactly(
        "a byte follows the last note of a part",
        |w| w.honest().edit(PART, |bytes| bytes.push(0)),
        &[(PART, "trail.history")],
    ),
    exactly(
        "a part ends early",
        |w| w.honest().edit(PART, chop),
        &[(PART, "trail.history")],
    ),
    exactly(
        "a narrower part is not the beginning of the wider one",
        |w| {
            let other = history(w, &[]).files.0[&part(1)].clone();
            w.honest().put(&part(1), other)
        },
        &[("history/000.p/1", "trail.history")],
    ),
    exactly(
        "a part in another spelling",
        |w| w.honest().put("history/0", "x"),
        &[("history/0", "trail.stray")],
    ),
];

const MEMORIES: &[Row] = &[
    exactly(
        "the folder's memory has a longer log: a rollback",
        |w| {
            let seen = note(w, SIZE);
            w.forged(|entries| entries.truncate(380))
                .put("known/384", seen)
        },
        &[("known/384", "trail.rollback")],
    ),
    exactly(
        "the folder's memory has another tree: a fork",
        |w| w.honest().put("known/300", forked(w, 300)),
        &[("known/300", "trail.fork")],
    ),
    exactly(
        "the folder's memory has another tree of the head's size",
        |w| w.honest().put("known/384", forked(w, SIZE)),
        &[("known/384", "trail.fork")],
    ),
    exactly(
        "the folder's memory is of another log",
        |w| {
            let other = note(w, 300).replace("localhost/quan", "localhost/other");
            w.honest().put("known/300", other)
        },
        &[("known/300", "trail.origin")],
    ),
    exactly(
        "the folder's memory cannot be read",
        |w| w.honest().put("known/300", "x"),
        &[("known/300", "trail.note")],
    ),
    says(
        "the reader's own memory has another tree",
        |w| {
            let seen = forked(w, 300);
            w.honest().beside("mine", seen).asks(&["--known", "@mine"])
        },
        1,
        "trail.fork",
    ),
    says(
        "the reader remembers a longer log",
        |w| {
            let seen = note(w, SIZE);
            let case = w.forged(|entries| entries.truncate(380));
            case.beside("mine", seen).asks(&["--remember", "@mine"])
        },
        1,
        "trail.rollback",
    ),
    says(
        "the reader's own memory is no checkpoint of this log",
        |w| w.honest().beside("mine", "x").asks(&["--known", "@mine"]),
        2,
        "trail.note",
    ),
];
