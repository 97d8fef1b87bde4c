//! What is checked before it is stored, and near duplicates in the store, on both databases.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use server::dataset::check::{self as checks, Checked, Checker, Format, Report};
use server::dataset::near;
use server::store::dataset::check;
use std::io::{Cursor, Read};
use std::ops::Range;
use verifier::id::Sha256Hash;

use crate::support::{Database, Exchange};
use crate::uploads::{Tus, hex, until};

on_both!(
    eighty_percent_of_anothers_rows_are_found_in_the_store,
    what_is_stored_was_checked,
    what_is_checked_as_it_lands_is_what_the_file_says,
    a_report_of_another_form_is_made_again_by_the_next_server,
    rows_of_another_vendor_are_found_after_both_uploads,
    what_is_bad_is_named_by_row_and_column,
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

/// What the checks kept of a content, as its text.
fn kept(database: &Database, bytes: &[u8]) -> String {
    let mut db = server::store::Db::open(&database.address).unwrap();
    let row = check::find(&mut db, Sha256Hash::of(bytes).bytes());
    row.unwrap().unwrap().report
}

fn of_file(name: &str, bytes: &[u8]) -> String {
    let checked = Checker::file(name, &mut Cursor::new(bytes.to_vec()));
    String::from_utf8(checked.report.text().unwrap()).unwrap()
}

fn what_is_checked_as_it_lands_is_what_the_file_says(database: &Database) {
    let mut exchange = Exchange::start(database);
    let vendor = exchange.member(&["vendor"]).client;
    let dialogue = |of: &str| -> Vec<u8> {
        let row = |n: usize| format!("{{\"question\":\"{of} {n}?\",\"answer\":{}}}\n", n * 7);
        (0..3_000).map(row).collect::<String>().into_bytes()
    };
    let name = format!("filename {}", STANDARD.encode("a.jsonl"));
    // In order; then with a piece refused in the middle; then across a restart, which forgets what was checked so far.
    for of in ["whole", "refused", "restarted"] {
        let bytes = dialogue(of);
        let tus = Tus::of(&exchange, &vendor);
        let at = tus.create(bytes.len(), &name);
        assert_eq!(tus.patch(&at, 0, &[], &bytes[..50_000]).status, 204);
        if of == "refused" {
            let sum = format!("sha256 {}", STANDARD.encode([0; 32]));
            let refused = tus.patch(&at, 50_000, &[("upload-checksum", &sum)], b"{{{{{\n");
            assert_eq!(refused.status, 460);
        }
        if of == "restarted" {
            exchange.restart();
        }
        let tus = Tus::of(&exchange, &vendor);
        assert_eq!(tus.patch(&at, 50_000, &[], &bytes[50_000..]).status, 204);
        until("the store", || tus.state(&at)["stored"] == true);
        assert_eq!(kept(database, &bytes), of_file("a.jsonl", &bytes), "{of}");
    }
}

fn a_report_of_another_form_is_made_again_by_the_next_server(database: &Database) {
    let mut exchange = Exchange::start(database);
    let vendor = exchange.member(&["vendor"]).client;
    let bytes = b"id,name\n1,Ada\n2,Grace\n";
    let made = Tus::of(&exchange, &vendor).stored("people.csv", bytes);
    let at = format!("/v1/uploads/{}", made["id"].as_str().unwrap());
    let mut db = server::store::Db::open(&database.address).unwrap();
    let mut row = check::find(&mut db, Sha256Hash::of(bytes).bytes())
        .unwrap()
        .unwrap();
    (row.form, row.report) = (0, "{}".to_owned());
    check::keep(&mut db, &row).unwrap();
    assert_eq!(Tus::of(&exchange, &vendor).state(&at)["stored"], false);
    exchange.restart();
    let tus = Tus::of(&exchange, &vendor);
    until("the store", || tus.state(&at)["stored"] == true);
    assert_eq!(kept(database, bytes), of_file("people.csv", bytes));
}

fn rows_of_another_vendor_are_found_after_both_uploads(database: &Database) {
    let exchange = Exchange::start(database);
    let rows = |rows: Range<u32>| {
        let row = |n| format!("{n},the question {n},the answer to {}\n", n * 7);
        format!("id,question,answer\n{}", rows.map(row).collect::<String>()).into_bytes()
    };
    let (theirs, taken) = (rows(0..10_000), rows(2_000..12_000));
    for (path, bytes) in [("theirs.csv", &theirs), ("mine.csv", &taken)] {
        Tus::of(&exchange, &exchange.member(&["vendor"]).client).stored(path, bytes);
    }
    let mut db = server::store::Db::open(&database.address).unwrap();
    let found = near::of(&mut db, Sha256Hash::of(&taken).bytes()).unwrap();
    let [near] = found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(near.sha256, *Sha256Hash::of(&theirs).bytes());
    assert!((7_500..=8_500).contains(&near.in_other_bp), "{near:?}");
}

/// Zeros that unpack to more than any honest content.
fn zeros() -> impl Read {
    std::io::repeat(0).take(96 << 20)
}

fn gzip(mut from: impl Read) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::copy(&mut from, &mut packed).unwrap();
    packed.finish().unwrap()
}

/// A path, its bytes, and the flaw that it has: the code, the row, the column.
type Bad = (
    &'static str,
    Vec<u8>,
    &'static str,
    Option<u64>,
    Option<&'static str>,
);

#[rustfmt::skip]
fn bad() -> Vec<Bad> {
    let utf16: Vec<u8> = "\u{feff}id,name\n1,Ada\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let bomb = zstd::encode_all(zeros(), 1).unwrap();
    vec![
        ("a/ragged.csv", b"id,name\n1,Ada\n2\n".to_vec(), "row.ragged", Some(2), Some("2")),
        ("utf-8.csv", b"id,name\n1,Ada\n2,\xff\n".to_vec(), "encoding.utf-8", Some(2), Some("name")),
        ("utf-8.jsonl", b"{\"a\":1}\n{\"a\":\"\xff\"}\n".to_vec(), "encoding.utf-8", Some(2), None),
        ("cut.jsonl", b"{\"a\":1}\n\n{\"a\":\n".to_vec(), "row.json", Some(2), None),
        ("utf-16.csv", utf16, "encoding.utf-16", None, None),
        ("wide.csv", [vec![b','; 1_000_000], b"\n1\n".to_vec()].concat(), "columns.many", None, None),
        ("book.csv", b"PK\x03\x04 a workbook".to_vec(), "name.workbook", None, None),
        ("a.parquet", b"PAR1 and nothing that it promises PAR1".to_vec(), "parquet.broken", None, None),
        ("bomb.bin.gz", gzip(zeros()), "packing.bomb", None, None),
        ("bomb.bin.zst", bomb, "packing.bomb", None, None),
        ("twice.csv.gz", gzip(&gzip(&b"id\n1\n"[..])[..]), "packing.twice", None, None),
    ]
}

fn what_is_bad_is_named_by_row_and_column(database: &Database) {
    let exchange = Exchange::start(database);
    let tus = Tus::of(&exchange, &exchange.member(&["vendor"]).client);
    for (path, bytes, code, row, column) in bad() {
        let state = tus.stored(path, &bytes);
        let broken = &state["report"]["broken"];
        assert_eq!(state["path"], path);
        assert_eq!(broken["code"], code, "{path}: {state}");
        assert_eq!(
            (&broken["row"], &broken["column"]),
            (&json!(row), &json!(column)),
            "{path}: {state}"
        );
        assert!(
            broken["sentence"]
                .as_str()
                .is_some_and(|sentence| !sentence.is_empty())
        );
    }
    // A mark before the text is odd, and the names are read without it.
    let marked = b"\xef\xbb\xbfid,name\n1,Ada\n";
    let state = tus.stored("marked.csv", marked);
    assert_eq!(
        (&state["report"]["broken"], &state["report"]["flaws"]),
        (&json!(null), &json!(1))
    );
    let report = Report::parse(kept(database, marked).as_bytes()).unwrap();
    assert_eq!(report.flaws[0].code, "encoding.bom");
    assert_eq!(report.columns[0].name, "id");
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
