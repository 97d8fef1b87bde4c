//! What is not in the trail, on both databases.

use server::store::dataset::delivery::{self, Went};
use server::store::own::{self, ApiKey, Opening};
use verifier::id::{DocumentDigest, OrderId, Salt};
use verifier::time::Timestamp;

use crate::support::Database;

on_both!(
    an_api_key_is_found_by_its_hash_until_it_is_removed,
    a_setting_is_set_once_for_ever,
    an_opening_is_kept_until_it_is_erased,
    ranges_that_go_out_at_once_are_all_kept,
);

fn an_api_key_is_found_by_its_hash_until_it_is_removed(database: &Database) {
    let store = database.store();
    let mut db = store.connection().unwrap();
    let key = |hash: u8, party: Option<&str>| ApiKey {
        hash: [hash; 32],
        role: "provider".to_owned(),
        party: party.map(str::to_owned),
        actor: "act-aaaaaaaaaaaaaaaa".to_owned(),
        label: "计量 1".to_owned(),
        created: Timestamp::new(1_800_000_000 + i64::from(hash)).unwrap(),
    };
    let (with, without) = (key(1, Some("pty-aaaaaaaaaaaaaaaa")), key(2, None));
    own::add_key(&mut db, &without).unwrap();
    own::add_key(&mut db, &with).unwrap();
    assert!(own::add_key(&mut db, &with).is_err());
    assert_eq!(own::keys(&mut db).unwrap(), [with.clone(), without.clone()]);
    assert_eq!(own::key(&mut db, &without.hash).unwrap(), Some(without));
    assert!(own::remove_key(&mut db, &with.hash).unwrap());
    assert!(!own::remove_key(&mut db, &with.hash).unwrap());
    assert_eq!(own::key(&mut db, &with.hash).unwrap(), None);
}

fn a_setting_is_set_once_for_ever(database: &Database) {
    let store = database.store();
    let mut db = store.connection().unwrap();
    assert_eq!(own::meta(&mut db, "origin").unwrap(), None);
    for text in ["localhost/quan", "elsewhere/quan"] {
        let holds = own::settle_meta(&mut db, "origin", text).unwrap();
        assert_eq!(holds, "localhost/quan");
    }
    assert_eq!(
        own::meta(&mut db, "origin").unwrap().unwrap(),
        "localhost/quan"
    );
}

fn an_opening_is_kept_until_it_is_erased(database: &Database) {
    let store = database.store();
    let mut db = store.connection().unwrap();
    let opening = Opening {
        commitment: [3; 32],
        salt: vec![4; 16],
        text: "南沙区某某科技有限公司".to_owned(),
    };
    own::keep_opening(&mut db, &opening).unwrap();
    own::keep_opening(&mut db, &opening).unwrap();
    let found = own::opening(&mut db, &opening.commitment).unwrap();
    assert_eq!(found.as_ref(), Some(&opening));
    assert!(own::erase_opening(&mut db, &opening.commitment).unwrap());
    assert!(!own::erase_opening(&mut db, &opening.commitment).unwrap());
    assert_eq!(own::opening(&mut db, &opening.commitment).unwrap(), None);
}

/// A client with eight connections takes a file in pieces: on SQLite as on PostgreSQL none is lost to another.
fn ranges_that_go_out_at_once_are_all_kept(database: &Database) {
    let store = database.store();
    let (order, manifest) = (
        OrderId::draw(&Salt::new([1; 16]), 0, 0),
        DocumentDigest::of(b"manifest"),
    );
    let serve = |from: u64| {
        for piece in 0..20 {
            let first = (from + 8 * piece) * 10;
            let went = Went {
                order,
                manifest,
                path: "data.csv".to_owned(),
                first,
                last: first + 9,
                at: Timestamp::new(1_800_000_000).unwrap(),
            };
            delivery::served(&mut store.connection().unwrap(), &went).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for from in 0..8 {
            scope.spawn(move || serve(from));
        }
    });
    let ranges = delivery::ranges(&mut store.connection().unwrap(), order, manifest).unwrap();
    let mut bytes = vec![false; 1_600];
    for (_, first, last) in ranges {
        for place in first..=last {
            bytes[usize::try_from(place).unwrap()] = true;
        }
    }
    assert!(bytes.iter().all(|went| *went));
}
