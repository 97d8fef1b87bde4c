//! The log on both databases: lock, append, read; writers in line, nothing half done.

use server::store::log::{self, Head};
use server::store::{Db, StoreFault, heads};
use std::thread;

use crate::support::Database;

on_both!(
    a_new_store_holds_the_empty_tree,
    appended_entries_are_read_back_in_order,
    a_failed_transaction_leaves_nothing,
    a_connection_lost_in_a_transaction_leaves_nothing,
    numbers_that_do_not_add_up_are_refused,
    writers_wait_in_line_without_an_error,
    a_size_is_signed_with_one_root_for_ever,
    a_published_checkpoint_never_goes_back,
    the_newest_entry_may_be_as_long_as_the_format_allows,
);

fn moved(from: &Head, by: u64) -> Head {
    let size = from.size + by;
    let mut root = [0; 32];
    root[..8].copy_from_slice(&size.to_be_bytes());
    Head {
        size,
        root,
        edge: size.to_string().into_bytes(),
        at: from.at.after(1),
    }
}

fn bytes(from: &Head, count: u64) -> Vec<Vec<u8>> {
    (from.size..from.size + count)
        .map(|seq| format!("entry {seq}").into_bytes())
        .collect()
}

fn append(db: &mut Db, count: u64) -> Result<Head, StoreFault> {
    db.transaction(|tx| {
        let from = log::lock_head(tx)?.head;
        let to = moved(&from, count);
        log::append(tx, &from, &bytes(&from, count), &to)?;
        Ok(to)
    })
}

fn a_new_store_holds_the_empty_tree(database: &Database) {
    let store = database.store();
    let head = log::head(&mut store.connection().unwrap()).unwrap();
    let empty = verifier::id::Sha256Hash::of(b"");
    assert_eq!(
        (head.size, &head.root, head.at.unix()),
        (0, empty.bytes(), 0)
    );
    let edge = verifier::trail::tree::Frontier::from_bytes(&head.edge).unwrap();
    assert_eq!(edge.root().as_bytes(), &head.root);
}

fn appended_entries_are_read_back_in_order(database: &Database) {
    let store = database.store();
    let mut db = store.dedicated().unwrap();
    append(&mut db, 3).unwrap();
    let head = append(&mut db, 1_200).unwrap();
    assert_eq!(log::head(&mut db).unwrap(), head);
    let all = log::entries(&mut db, 0..u64::MAX >> 1).unwrap();
    assert_eq!(u64::try_from(all.len()).unwrap(), log::READ_MAX);
    let rest = log::entries(&mut db, log::READ_MAX..2_000).unwrap();
    assert_eq!(rest.len(), 203);
    for (expected, stored) in (0..).zip(all.iter().chain(&rest)) {
        assert_eq!(stored.seq, expected);
        assert_eq!(stored.bytes, format!("entry {expected}").into_bytes());
    }
    assert_eq!(log::entry(&mut db, 1_202).unwrap().unwrap(), b"entry 1202");
    assert_eq!(log::entry(&mut db, 1_203).unwrap(), None);
    assert_eq!(log::entry(&mut db, u64::MAX).unwrap(), None);
}

fn a_failed_transaction_leaves_nothing(database: &Database) {
    let store = database.store();
    let mut db = store.dedicated().unwrap();
    let before = append(&mut db, 2).unwrap();
    let outcome: Result<(), StoreFault> = db.transaction(|tx| {
        let from = log::lock_head(tx)?.head;
        log::append(tx, &from, &bytes(&from, 5), &moved(&from, 5))?;
        Err(StoreFault::Inconsistent("told to fail".to_owned()))
    });
    assert!(outcome.is_err());
    assert_eq!(log::head(&mut db).unwrap(), before);
    assert_eq!(log::entries(&mut db, 0..100).unwrap().len(), 2);
    append(&mut db, 1).unwrap();
}

fn a_connection_lost_in_a_transaction_leaves_nothing(database: &Database) {
    let store = database.store();
    let before = append(&mut store.dedicated().unwrap(), 2).unwrap();
    let mut db = store.dedicated().unwrap();
    let cut: Result<(), StoreFault> = db.transaction(|tx| {
        let from = log::lock_head(tx)?.head;
        log::append(tx, &from, &bytes(&from, 5), &moved(&from, 5))?;
        cut_off(tx, database);
        Ok(())
    });
    drop(db);
    let mut db = store.dedicated().unwrap();
    if matches!(database.address, server::store::Address::Postgres(_)) {
        assert!(matches!(cut, Err(StoreFault::Query(_))), "{cut:?}");
    }
    assert_eq!(log::head(&mut db).unwrap(), before);
    append(&mut db, 1).unwrap();
}

/// Ends the connection under the transaction, without a word to the client.
fn cut_off(tx: &mut Db, database: &Database) {
    use diesel::sql_query;
    use diesel::{QueryableByName, RunQueryDsl as _, sql_types::Integer};
    #[derive(QueryableByName)]
    struct Backend {
        #[diesel(sql_type = Integer)]
        id: i32,
    }
    match tx {
        Db::Sqlite(conn) => {
            // The file is closed before the commit, as at the death of the process.
            *conn = diesel::Connection::establish(":memory:").unwrap();
        }
        Db::Postgres(conn) => {
            let backend: Backend = sql_query("SELECT pg_backend_pid() AS id")
                .get_result(conn)
                .unwrap();
            let Db::Postgres(mut other) = database.connect() else {
                return;
            };
            sql_query(format!("SELECT pg_terminate_backend({})", backend.id))
                .execute(&mut other)
                .unwrap();
        }
    }
}

fn numbers_that_do_not_add_up_are_refused(database: &Database) {
    let store = database.store();
    let mut db = store.dedicated().unwrap();
    let first = append(&mut db, 2).unwrap();
    for (from, count, to) in [
        (first.clone(), 2, moved(&first, 3)),
        (
            first.clone(),
            2,
            Head {
                at: first.at.after(-1),
                ..moved(&first, 2)
            },
        ),
        (moved(&first, 1), 1, moved(&first, 2)),
    ] {
        let outcome = db.transaction(|tx| {
            log::lock_head(tx)?;
            log::append(tx, &from, &bytes(&from, count), &to)
        });
        assert!(
            matches!(outcome, Err(StoreFault::Inconsistent(_))),
            "{outcome:?}"
        );
    }
    assert_eq!(log::head(&mut db).unwrap(), first);
}

fn writers_wait_in_line_without_an_error(database: &Database) {
    let store = database.store();
    let write = || {
        let mut db = store.dedicated().unwrap();
        for batch in 0..100 {
            append(&mut db, 1 + batch % 3).unwrap();
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(write);
        }
    });
    let mut db = store.connection().unwrap();
    let head = log::head(&mut db).unwrap();
    assert_eq!(head.size, 4 * (34 + 2 * 33 + 3 * 33));
    let all = log::entries(&mut db, 0..head.size).unwrap();
    assert_eq!(u64::try_from(all.len()).unwrap(), head.size);
}

fn a_size_is_signed_with_one_root_for_ever(database: &Database) {
    let store = database.store();
    let mut db = store.dedicated().unwrap();
    assert_eq!(heads::signed_head(&mut db).unwrap(), None);
    let head = append(&mut db, 2).unwrap();
    let first = heads::sign_head(&mut db, &head, head.at).unwrap();
    assert_eq!(
        heads::sign_head(&mut db, &head, head.at.after(9)).unwrap(),
        first
    );
    let fork = Head {
        root: [7; 32],
        ..head.clone()
    };
    assert!(matches!(
        heads::sign_head(&mut db, &fork, head.at),
        Err(StoreFault::Inconsistent(_))
    ));
    let ahead = moved(&head, 1);
    assert!(matches!(
        heads::sign_head(&mut db, &ahead, head.at),
        Err(StoreFault::Inconsistent(_))
    ));
    assert_eq!(heads::signed_head(&mut db).unwrap(), Some(first));
}

fn a_published_checkpoint_never_goes_back(database: &Database) {
    let store = database.store();
    let mut db = store.dedicated().unwrap();
    assert_eq!(heads::published(&mut db).unwrap(), None);
    let note = |size: u64| heads::Published {
        size,
        note: format!("note of {size}\n"),
    };
    for (size, taken) in [
        (0, true),
        (0, false),
        (7, true),
        (3, false),
        (7, false),
        (8, true),
    ] {
        assert_eq!(
            heads::advance_published(&mut db, &note(size)).unwrap(),
            taken,
            "{size}"
        );
    }
    assert_eq!(heads::published(&mut db).unwrap(), Some(note(8)));
}

fn the_newest_entry_may_be_as_long_as_the_format_allows(database: &Database) {
    let store = database.store();
    let mut db = store.dedicated().unwrap();
    let long = vec![vec![b'x'; 65_535]; 256];
    db.transaction(|tx| {
        let from = log::lock_head(tx)?.head;
        log::append(tx, &from, &long, &moved(&from, 256))
    })
    .unwrap();
    assert_eq!(
        log::entries(&mut db, 255..256)
            .unwrap()
            .pop()
            .unwrap()
            .bytes,
        long[0]
    );
}
