//! What is checked before it is stored, and near duplicates in the store, on both databases.

use server::dataset::check::{self as checks, Checked, Checker, Format};
use server::dataset::near;
use server::store::dataset::check;
use std::io::Cursor;
use std::ops::Range;
use verifier::id::Sha256Hash;

use crate::support::{Database, Exchange};
use crate::uploads::{Tus, hex};

on_both!(
    eighty_percent_of_anothers_rows_are_found_in_the_store,
    what_is_stored_was_checked,
    a_report_is_kept_by_content_and_replaced_by_a_newer_one,
);

/// A table of the rows of these numbers.
fn table(rows: Range<u32>) -> Checked {
    let rows = rows.map(|n| format!("{n},the question {n},the answer to {}\n", n * 7));
    let text = format!("id,question,answer\n{}", rows.collect::<String>());
    Checker::file("table.csv", &mut Cursor::new(text.into_bytes()))
}

fn eighty_percent_of_anothers_rows_are_found_in_the_store(database: &Database) {
    let store = database.store();
    let mut db = store.connection().unwrap();
    near::keep(&mut db, &[1; 32], &table(0..10_000)).unwrap();
    near::keep(&mut db, &[2; 32], &table(50_000..60_000)).unwrap();
    let taken = table(2_000..12_000);
    near::keep(&mut db, &[3; 32], &taken).unwrap();
    let found = near::of(&mut db, &[3; 32]).unwrap();
    let others: Vec<_> = found.iter().map(|near| near.sha256).collect();
    assert_eq!(others, [[1; 32]]);
    let share = found.first().unwrap().in_other_bp;
    assert!((7_500..=8_500).contains(&share), "{share}");
}

fn what_is_stored_was_checked(database: &Database) {
    let exchange = Exchange::start(database);
    let tus = Tus::of(&exchange, &exchange.member(&["vendor"]).client);
    let good = b"id,name\n1,Ada\n2,Grace\n";
    let state = tus.stored("train/people.csv", good);
    assert_eq!(state["report"]["format"], "csv");
    assert_eq!(state["report"]["rows"], 2);
    assert_eq!(state["report"]["broken"], serde_json::Value::Null);
    let ragged = tus.stored("a.csv", b"id,name\n1,Ada\n2,Grace,Hopper\n");
    let broken = &ragged["report"]["broken"];
    assert_eq!(
        (&broken["row"], &broken["column"]),
        (&2.into(), &"3".into())
    );
    let mut db = server::store::Db::open(&database.address).unwrap();
    let sha256 = Sha256Hash::of(good);
    assert_eq!(state["sha256"], hex(good).as_str());
    let report = checks::report_of(&mut db, sha256.bytes()).unwrap().unwrap();
    assert_eq!((report.format, report.rows), (Format::Csv, Some(2)));
    assert_eq!(checks::report_of(&mut db, &[0; 32]).unwrap(), None);
}

fn a_report_is_kept_by_content_and_replaced_by_a_newer_one(database: &Database) {
    let store = database.store();
    let mut db = store.connection().unwrap();
    assert_eq!(check::find(&mut db, &[1; 32]).unwrap(), None);
    for rows in [3, 5] {
        near::keep(&mut db, &[1; 32], &table(0..rows)).unwrap();
        let kept = check::find(&mut db, &[1; 32]).unwrap().unwrap();
        assert!(
            kept.report.contains(&format!("\"rows\":{rows}")),
            "{}",
            kept.report
        );
    }
}
