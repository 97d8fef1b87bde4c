//! What `quan trail gc` deletes and what `quan doctor` finds.

use super::*;

/// Makes every head that was signed so far look as old.
fn age(exchange: &Exchange, seconds: i64) {
    heads::tests::age(&mut exchange.store.dedicated().unwrap(), seconds);
}

fn collect(exchange: &Exchange, mode: Mode) -> Cleaned {
    let mut db = exchange.store.dedicated().unwrap();
    clean(&mut db, &exchange.objects(), mode).unwrap()
}

fn look(exchange: &Exchange) -> Vec<String> {
    let mut db = exchange.store.dedicated().unwrap();
    let key = exchange.publisher(Faults::none()).unwrap().key.clone();
    let checked = check(&mut db, &exchange.objects(), &key).unwrap();
    checked.findings.iter().map(ToString::to_string).collect()
}

impl Exchange {
    fn objects(&self) -> Objects {
        Objects::beside(&objects::Place::Folder(self.trail())).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names = wait(self.objects().list()).unwrap();
        names.sort();
        names
    }
}

#[test]
fn only_partials_are_deleted_whose_full_one_was_published_an_hour_ago() {
    let exchange = Exchange::new();
    exchange.run(&SIZES, &Faults::none()).unwrap();
    let all = exchange.names();
    // Nothing is an hour old yet.
    let found = collect(&exchange, Mode::Delete);
    assert_eq!((found.deleted.len(), found.wrong.len()), (0, 0));
    age(&exchange, 3_600);
    let expected = [
        "tile/0/000.p/1",
        "tile/0/000.p/255",
        "tile/0/001.p/1",
        "tile/entries/000.p/1",
        "tile/entries/000.p/255",
        "tile/entries/001.p/1",
    ];
    let mut listed = collect(&exchange, Mode::List);
    listed.deleted.sort();
    assert_eq!(listed.deleted, expected);
    assert_eq!(exchange.names(), all, "a dry run deletes nothing");
    let mut deleted = collect(&exchange, Mode::Delete);
    deleted.deleted.sort();
    assert_eq!(deleted, listed);
    let left: Vec<_> = all
        .into_iter()
        .filter(|name| !expected.contains(&name.as_str()))
        .collect();
    assert_eq!(exchange.names(), left);
    assert_eq!(look(&exchange), [""; 0]);
    // A start and the next steps need none of them.
    exchange.run(&[700], &Faults::none()).unwrap();
    assert_eq!(look(&exchange), [""; 0]);
}

#[test]
fn a_partial_stays_where_the_full_one_is_lost_short_or_another() {
    let exchange = Exchange::new();
    exchange.run(&SIZES, &Faults::none()).unwrap();
    age(&exchange, 7_200);
    let (tile, bundle) = (
        exchange.trail().join("tile/0/000"),
        exchange.trail().join("tile/entries/000"),
    );
    let bytes = fs::read(&tile).unwrap();
    fs::write(&tile, &bytes[..8_191]).unwrap();
    let mut other = fs::read(&bundle).unwrap();
    other[3] ^= 1;
    fs::write(&bundle, other).unwrap();
    fs::remove_file(exchange.trail().join("tile/0/001")).unwrap();
    let mut found = collect(&exchange, Mode::Delete);
    found.wrong.sort();
    assert_eq!(
        found.wrong,
        [
            "tile/0/000.p/1",
            "tile/0/000.p/255",
            "tile/entries/000.p/1",
            "tile/entries/000.p/255",
        ]
    );
    assert_eq!(found.deleted, ["tile/entries/001.p/1"]);
    assert!(exchange.trail().join("tile/0/001.p/1").exists());
    assert_eq!(
        look(&exchange),
        [
            "tile/0/000: has other bytes than the committed entries give",
            "tile/entries/000: has other bytes than the committed entries give",
            "tile/0/001: missing, and the published checkpoint needs it",
        ]
    );
}

#[test]
fn the_doctor_names_each_object_that_differs() {
    let exchange = Exchange::new();
    exchange.run(&SIZES, &Faults::none()).unwrap();
    assert_eq!(look(&exchange), [""; 0]);
    // What is put and not yet published is no fault, what is committed and not put neither.
    exchange.commit(601);
    assert_eq!(look(&exchange), [""; 0]);
    let trail = exchange.trail();
    fs::remove_file(trail.join("tile/1/000.p/2")).unwrap();
    fs::write(trail.join("tile/entries/001.p/1"), b"\0\x01x").unwrap();
    fs::copy(trail.join("tile/0/001"), trail.join("tile/0/007")).unwrap();
    fs::write(trail.join("notes.txt"), b"mine").unwrap();
    assert_eq!(
        look(&exchange),
        [
            "tile/entries/001.p/1: has other bytes than the committed entries give",
            "tile/1/000.p/2: missing, and the published checkpoint needs it",
            "tile/0/007: holds more than is committed",
            "notes.txt: is no object of a trail",
        ]
    );
}

#[test]
fn the_doctor_names_a_signed_head_that_the_entries_do_not_give() {
    let exchange = Exchange::new();
    exchange.run(&[255, 300], &Faults::none()).unwrap();
    heads::tests::forge(&mut exchange.store.dedicated().unwrap(), 255);
    assert_eq!(
        look(&exchange),
        ["signed head 255: the entries give another root"]
    );
}
