//! What `quan trail gc` deletes and what `quan doctor` finds.

use super::*;
use crate::store::history;

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
    let key = exchange.publisher(Faults::none()).unwrap().key().clone();
    let checked = check(&mut db, &exchange.objects(), std::slice::from_ref(&key)).unwrap();
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
fn a_partial_part_of_the_history_goes_when_the_full_one_is_an_hour_old() {
    let exchange = Exchange::new();
    exchange.run(&[1], &Faults::none()).unwrap();
    let mut db = exchange.store.dedicated().unwrap();
    let note = heads::published(&mut db).unwrap().unwrap().note;
    let now = u64::try_from(log::now(&mut db).unwrap().unix()).unwrap();
    // A full part and a bit; the full one's last note is 2,200 s old.
    for number in 0..300 {
        let time = now - (299 - number) * history::EVERY_SECONDS;
        assert!(history::keep(&mut db, 1, time, &note).unwrap());
    }
    let mut publisher = exchange.publisher(Faults::none()).unwrap();
    publisher.put_history(&mut db).unwrap();
    let full = fs::read(exchange.trail().join("history/000")).unwrap();
    let folder = exchange.trail().join("history/000.p");
    fs::create_dir_all(&folder).unwrap();
    let length = full.len() / 256;
    for width in [1, 7, 255] {
        fs::write(folder.join(width.to_string()), &full[..width * length]).unwrap();
    }
    let mut other = full[..7 * length].to_vec();
    other[20] ^= 1;
    fs::write(folder.join("7"), other).unwrap();
    let of_history = |mode| {
        let found = collect(&exchange, mode);
        let mut deleted = found.deleted;
        deleted.retain(|name| name.starts_with("history/"));
        deleted.sort();
        (deleted, found.wrong)
    };
    assert_eq!(of_history(Mode::Delete), (vec![], vec![]));
    // 3,599 s, and at least 3,600.
    history::tests::age(&mut db, 1_390);
    assert_eq!(of_history(Mode::Delete), (vec![], vec![]));
    history::tests::age(&mut db, 10);
    let gone = ["history/000.p/1", "history/000.p/255"].map(str::to_owned);
    let wrong = ["history/000.p/7".to_owned()];
    let expected = (gone.to_vec(), wrong.to_vec());
    assert_eq!(of_history(Mode::List), expected);
    assert!(folder.join("1").exists(), "a dry run deletes nothing");
    assert_eq!(of_history(Mode::Delete), expected);
    let left = exchange.names();
    let left: Vec<_> = left
        .iter()
        .filter(|name| name.starts_with("history/"))
        .collect();
    assert_eq!(
        left,
        [
            "history/000",
            "history/000.p/7",
            "history/001.p/44",
            "history/count"
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
