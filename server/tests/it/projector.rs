//! Lists, search and the projections behind them: a function of the log, on both databases.

use serde_json::{Value, json};
use server::projector::{Projector, Step};
use server::store::log::{self, Head};
use server::store::project::{self, Rows};
use server::store::read::{self, Cases, Slice, VoucherState, Vouchers};
use server::store::{Store, StoreFault};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use verifier::book::Book;
use verifier::book::entry::Entry;
use verifier::book::state::case::Progress;
use verifier::book::state::order::Standing;
use verifier::id::Sha256Hash;
use verifier::ledger::Account;
use verifier::trail::bundle;
use verifier::trail::tree::{Frontier, leaf_hash};

use crate::support::{Client, Database, Exchange, Market};

on_both!(
    rows_agree_with_the_book_over_the_golden_trail,
    rows_made_again_are_the_same_rows,
    the_projector_goes_on_from_its_cursor,
    rows_of_another_log_are_not_taken_for_ours,
    lists_show_what_concerns_one_and_say_how_far_they_are,
    an_entry_is_found_by_its_receipt_order_and_type,
    a_caller_waits_for_its_own_entry_and_not_for_ever,
    an_exchange_whose_projector_stands_still_is_slowed_and_says_so,
);

/// A market with an order, a voucher behind it, and receipts.
fn traded(database: &Database) -> Market {
    let mut market = Market::open(Exchange::start(database));
    let lines: Vec<String> = (0..3).map(|hour| market.receipt(hour, 8)).collect();
    market.send_bulk(&lines);
    market
}

fn store(database: &Database) -> Arc<Store> {
    Arc::new(database.store())
}

fn rows(store: &Store) -> Rows {
    project::everything(&mut store.dedicated_lists().unwrap()).unwrap()
}

fn catch_up(projector: &mut Projector) {
    while projector.step().unwrap() != Step::Idle {}
}

const ALL: Slice = Slice {
    after: None,
    limit: 1_000,
};

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/trail/v1/trail/tile/entries"
);

/// Puts the golden trail's entries into a database, and returns the book that they lead to.
fn golden(database: &Database) -> Book {
    let (mut book, mut edge, mut new) = (Book::new(), Frontier::empty(), Vec::new());
    for (name, width) in [("000", 256), ("001.p/112", 112)] {
        let bundle = std::fs::read(format!("{GOLDEN}/{name}")).unwrap();
        new.extend(
            bundle::decode(&bundle, width)
                .unwrap()
                .into_iter()
                .map(<[u8]>::to_vec),
        );
    }
    for bytes in &new {
        book.apply(&Entry::parse(bytes).unwrap()).unwrap();
        edge.append(leaf_hash(bytes));
    }
    let head = Head {
        size: book.size,
        root: *edge.root().as_bytes(),
        edge: edge.to_bytes(),
        at: book.last_at.unwrap(),
    };
    drop(database.store());
    let appended = database.connect().transaction(|tx| {
        let locked = log::lock_head(tx)?;
        log::append(tx, &locked.head, &new, &head)
    });
    appended.unwrap();
    book
}

fn rows_agree_with_the_book_over_the_golden_trail(database: &Database) {
    let book = golden(database);
    let store = store(database);
    catch_up(&mut Projector::open(Arc::clone(&store)).unwrap());
    let rows = rows(&store);
    assert_eq!(rows.entries.len() as u64, book.size);

    let balances = rows.balances.iter().filter(|row| row.fen != 0);
    let balances = balances.map(|row| (row.account.clone(), row.fen));
    let expected = book.money.balances().filter(|(_, fen)| !fen.is_zero());
    let expected = expected.map(|(account, fen)| (account.to_string(), fen.get()));
    assert_eq!(balances.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    orders_agree(&rows, &book);
    vouchers_agree(&store, &rows, &book);
    cases_agree(&store, &rows, &book);
    parties_find_what_concerns_them(&rows, &book);
}

fn parties_find_what_concerns_them(rows: &Rows, book: &Book) {
    let links: BTreeSet<(&str, i64)> = rows
        .links
        .iter()
        .map(|link| (link.object.as_str(), link.seq))
        .collect();
    let orders = book.orders.iter();
    let sides =
        orders.flat_map(|(id, order)| [order.buyer, order.seller].map(|p| (id.to_string(), p)));
    let vouchers = book.money.vouchers();
    let holders = vouchers.map(|(id, voucher)| (id.to_string(), voucher.holder.party));
    let cases = book
        .cases
        .iter()
        .map(|(id, case)| (id.to_string(), case.party));
    for (object, party) in sides.chain(holders).chain(cases) {
        let party = party.to_string();
        let about = links.iter().filter(|(named, _)| *named == object);
        for (_, seq) in about {
            assert!(links.contains(&(party.as_str(), *seq)), "{object} {seq}");
        }
    }
}

fn orders_agree(rows: &Rows, book: &Book) {
    assert!(!book.orders.is_empty());
    assert_eq!(rows.orders.len(), book.orders.len());
    for (row, (id, order)) in rows.orders.iter().zip(&book.orders) {
        let (buyer, seller) = (order.buyer.to_string(), order.seller.to_string());
        assert_eq!(
            (&row.id, &row.buyer, &row.seller),
            (&id.to_string(), &buyer, &seller)
        );
        let ended = match order.standing {
            Standing::Open => None,
            Standing::Closed(at) => Some(at.unix()),
        };
        assert_eq!(
            (row.ended_at, row.standing == "open"),
            (ended, ended.is_none())
        );
        assert_eq!(row.scheme, format!("{:?}", order.scheme).to_lowercase());
        let holds = book.money.balances().filter_map(|(account, fen)| {
            matches!(account, Account::Hold(of, ..) if of == id).then_some(fen.get())
        });
        assert_eq!(row.held_fen, holds.sum::<i64>());
    }
}

fn vouchers_agree(store: &Store, rows: &Rows, book: &Book) {
    let vouchers: Vec<_> = book.money.vouchers().collect();
    assert!(!vouchers.is_empty());
    assert_eq!(rows.vouchers.len(), vouchers.len());
    // Each voucher is in one state, at every moment.
    for at in [0, book.last_at.unwrap().unix(), i64::MAX] {
        let count = |state| {
            let which = Vouchers {
                state: Some((state, at)),
                ..Vouchers::default()
            };
            let found = read::vouchers(&mut store.lists().unwrap(), &which, ALL).unwrap();
            found.rows.len()
        };
        let states = [
            VoucherState::Live,
            VoucherState::Expired,
            VoucherState::Ended,
        ];
        assert_eq!(states.map(count).iter().sum::<usize>(), vouchers.len());
    }
    for (row, (id, voucher)) in rows.vouchers.iter().zip(vouchers) {
        assert_eq!(row.id, id.to_string());
        assert_eq!(row.programme, voucher.programme.to_string());
        assert_eq!(row.holder, voucher.holder.party.to_string());
        let end = voucher.expires_at.map(|end| end.unix());
        assert_eq!((row.face_fen, row.expires_at), (voucher.face.get(), end));
        assert_eq!(row.ended_at.is_some(), voucher.ended);
        let free = voucher.funds.iter().map(|fund| {
            let account = Account::Voucher(id, fund.clone());
            book.money.balance(&account).get()
        });
        assert_eq!(row.free_fen, free.sum::<i64>());
    }
}

fn cases_agree(store: &Store, rows: &Rows, book: &Book) {
    assert!(!book.cases.is_empty());
    assert_eq!(rows.cases.len(), book.cases.len());
    let all = read::cases(&mut store.lists().unwrap(), &Cases::default(), ALL).unwrap();
    assert_eq!(all.rows.len(), rows.cases.len());
    assert!(all.rows.is_sorted_by_key(|row| row.opened_seq));
    for (row, (id, case)) in rows.cases.iter().zip(&book.cases) {
        let standing = match case.progress {
            Progress::Open => "open",
            Progress::Decided { approved: true, .. } => "approved",
            Progress::Decided { .. } => "denied",
            Progress::Withdrawn => "withdrawn",
        };
        assert_eq!(
            (&row.id, row.standing.as_str()),
            (&id.to_string(), standing)
        );
    }
}

fn rows_made_again_are_the_same_rows(database: &Database) {
    let mut market = traded(database);
    market.exchange.stop();
    let store = store(database);
    // As the running server wrote them, in whatever batches.
    let written = rows(&store);
    assert_eq!(written.orders.len(), 1);
    let mut projector = Projector::open(Arc::clone(&store)).unwrap();
    assert_eq!(projector.step().unwrap(), Step::Idle, "the stop wrote all");
    let entries = projector.rebuild().unwrap();
    assert_eq!(entries, *projector.projected().borrow());
    assert_eq!(rows(&store), written);
    drop((projector, store));
    database.lose_lists();
    let store = self::store(database);
    catch_up(&mut Projector::open(Arc::clone(&store)).unwrap());
    assert_eq!(rows(&store), written);
    // The same by the operator's command.
    drop(store);
    database.execute_on_lists("UPDATE book_orders SET receipts = 99");
    let mut rebuild = Command::new(env!("CARGO_BIN_EXE_quan"));
    rebuild.args(["rebuild", "--database", &database.url()]);
    let done = rebuild.output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(said, format!("made again from {entries} entries\n"));
    assert_eq!(rows(&self::store(database)), written);
}

fn the_projector_goes_on_from_its_cursor(database: &Database) {
    let mut market = traded(database);
    market.exchange.stop();
    let store = store(database);
    let written = rows(&store);
    // A transaction that is never committed: the process was killed in the middle of a batch.
    project::reset(&mut store.dedicated_lists().unwrap()).unwrap();
    let mut killed = store.dedicated_lists().unwrap();
    let lost = killed.transaction(|tx| {
        project::lock_cursor(tx)?;
        Err::<(), _>(StoreFault::Inconsistent("killed".into()))
    });
    assert!(lost.is_err());
    catch_up(&mut Projector::open(Arc::clone(&store)).unwrap());
    assert_eq!(rows(&store), written);
    let mut again = Projector::open(Arc::clone(&store)).unwrap();
    assert_eq!(again.step().unwrap(), Step::Idle);
    assert_eq!(rows(&store), written);
}

fn rows_of_another_log_are_not_taken_for_ours(database: &Database) {
    let mut market = traded(database);
    market.exchange.stop();
    let store = store(database);
    let written = rows(&store);
    database.execute_on_lists("UPDATE book_orders SET receipts = 99");
    // An older log was restored, or another one: the last entry that the rows know is not there.
    database.execute_on_lists("UPDATE book_cursor SET size = size + 1000");
    catch_up(&mut Projector::open(Arc::clone(&store)).unwrap());
    assert_eq!(rows(&store), written);
}

/// Asks with `Quan-Min-Seq` of the newest entry.
fn list(client: &Client, path: &str, seq: u64) -> Value {
    let answer = client.fetch(path, &[("quan-min-seq", &seq.to_string())]);
    assert_eq!(answer.status, 200, "{path}");
    let body: Value = serde_json::from_slice(&answer.bytes).unwrap();
    assert!(body["as_of"].as_u64().unwrap() >= seq, "{path}");
    body
}

fn newest(market: &Market) -> u64 {
    market.exchange.nobody().get("/v1/exchange").body["as_of"]
        .as_u64()
        .unwrap()
}

fn lists_show_what_concerns_one_and_say_how_far_they_are(database: &Database) {
    let market = traded(database);
    let regulator = market.exchange.member(&["regulator"]);
    let stranger = market.exchange.member(&["buyer"]);
    let seq = newest(&market);
    let buyer = &market.buyer.client;
    let mine = list(buyer, "/v1/orders", seq);
    let order = &mine["items"][0];
    assert_eq!(order["order"], market.order.to_string());
    assert_eq!(
        (&order["standing"], &order["scheme"]),
        (&json!("open"), &json!("compute"))
    );
    assert_eq!(order["receipts"], 3);
    assert_eq!(order["held_fen"], 1_000_000 - 2_400);
    for (client, path, count) in [
        (&market.provider.client, "/v1/orders", 1),
        (
            &regulator.client,
            "/v1/orders?standing=open&scheme=compute",
            1,
        ),
        (&regulator.client, "/v1/orders?standing=closed", 0),
        (&stranger.client, "/v1/orders", 0),
        (&stranger.client, "/v1/vouchers?state=live", 0),
        (&stranger.client, "/v1/cases?standing=open", 0),
    ] {
        let found = list(client, path, seq);
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{path}");
    }
    let others = format!("/v1/orders?party={}", market.buyer.party);
    assert_eq!(stranger.client.get(&others).code(), "access.party");
    assert_eq!(list(&regulator.client, &others, seq), mine);
    buyer.done("/v1/orders/cancel", &json!({ "order": market.order }));
    let mine = list(buyer, "/v1/orders?standing=cancelled", newest(&market));
    assert_eq!(mine["items"][0]["held_fen"], 0);
    assert_eq!(
        market.exchange.nobody().get("/v1/orders").code(),
        "access.unknown"
    );
}

fn an_entry_is_found_by_its_receipt_order_and_type(database: &Database) {
    let market = traded(database);
    let regulator = market.exchange.member(&["regulator"]);
    let (seq, order) = (newest(&market), market.order.to_string());
    let order = order.as_str();
    let found = |client: &Client, query: &str| {
        let page = list(client, &format!("/v1/entries?{query}"), seq);
        page["items"].as_array().unwrap().clone()
    };
    let receipt = found(&regulator.client, &format!("receipt={order}.1"));
    assert_eq!(receipt.len(), 1);
    assert_eq!(receipt[0]["type"], "receipt.accepted");
    assert_eq!(receipt[0]["order"], order);
    // Index, leaf and the way to the proof, by the receipt's hash as well.
    let index = receipt[0]["index"].as_u64().unwrap();
    let stored = regulator.client.get(&format!("/v1/entries/{index}"));
    let jws = stored.body["entry"]["asked"]["jws"].as_str().unwrap();
    let hash = Sha256Hash::of(jws.as_bytes());
    for name in [format!("receipt={hash}"), format!("receipt=sha-256:{hash}")] {
        assert_eq!(found(&market.buyer.client, &name), receipt);
    }
    let leaf = log::entry(&mut database.connect(), index).unwrap().unwrap();
    let leaf = Sha256Hash::new(*leaf_hash(&leaf).as_bytes());
    assert_eq!(receipt[0]["leaf_hash"], leaf.to_string());
    let proof = receipt[0]["proof"].as_str().unwrap();
    assert_eq!(proof, format!("/v1/entries/{index}/proof"));
    // Both sides of the order find it and read it, a stranger does not.
    assert_eq!(
        found(&market.buyer.client, &format!("receipt={order}.1")),
        receipt
    );
    let stranger = market.exchange.member(&["buyer"]);
    assert!(found(&stranger.client, &format!("receipt={order}.1")).is_empty());
    let entry = format!("/v1/entries/{}", receipt[0]["seq"]);
    assert_eq!(market.buyer.client.get(&entry).status, 200);
    assert_eq!(stranger.client.get(&entry).code(), "access.party");
    let kinds = format!("order={order}&kind=receipt.accepted");
    assert_eq!(found(&regulator.client, &kinds).len(), 3);
    let page = list(
        &regulator.client,
        &format!("/v1/entries?order={order}&limit=2"),
        seq,
    );
    let next = page["next"].as_str().unwrap();
    let rest = found(&regulator.client, &format!("order={order}&after={next}"));
    let whole = found(&regulator.client, &format!("order={order}"));
    assert_eq!(whole.len(), 2 + rest.len());
    assert_eq!(whole[2..], rest);
    for bad in [
        "receipt=x",
        "digest=x",
        "order=x",
        "kind=x",
        "standing=open",
        "after=x",
    ] {
        let answer = regulator.client.get(&format!("/v1/entries?{bad}"));
        assert_eq!(answer.code(), "request.malformed", "{bad}");
    }
}

fn a_caller_waits_for_its_own_entry_and_not_for_ever(database: &Database) {
    let exchange = Exchange::start(database);
    let regulator = exchange.member(&["regulator"]);
    for number in 0..5 {
        let name = "A".repeat(43);
        let body = json!({ "roles": ["buyer"], "name": name });
        let seq = exchange.operator().done("/v1/parties", &body)["seq"].as_u64();
        let page = list(
            &regulator.client,
            "/v1/entries?kind=party.admitted",
            seq.unwrap(),
        );
        assert_eq!(page["items"].as_array().unwrap().len(), 2 + number);
    }
    let never = regulator
        .client
        .fetch("/v1/entries", &[("quan-min-seq", "999999")]);
    assert_eq!((never.status, never.header("retry-after")), (503, "1"));
    let wrong = regulator
        .client
        .fetch("/v1/entries", &[("quan-min-seq", "soon")]);
    assert_eq!(wrong.status, 400);
}

fn an_exchange_whose_projector_stands_still_is_slowed_and_says_so(database: &Database) {
    let exchange = Exchange::with_behind_max(database, 3);
    let operator = exchange.operator();
    let admit = || {
        let body = json!({ "roles": ["buyer"], "name": "A".repeat(43) });
        operator.done("/v1/parties", &body)["seq"].as_u64().unwrap()
    };
    let health = || exchange.nobody().get("/health").body;
    assert_eq!(health()["slowed"], false);
    // Whoever holds the cursor stops the projector, on this and on every other server.
    let mut rows = database.connect_to_lists();
    let held = rows.transaction(|tx| {
        project::lock_cursor(tx)?;
        let newest = (0..7).fold(0, |_, _| admit());
        let health = health();
        assert_eq!(health["slowed"], true, "{health}");
        assert_eq!(health["entries"], newest + 1);
        assert!(health["projected"].as_u64() < health["entries"].as_u64());
        let metrics = exchange.nobody().get("/metrics").text;
        assert!(!metrics.contains("quan_pauses_total 0\n"), "{metrics}");
        assert!(metrics.contains("# TYPE quan_pauses_total counter\n"));
        assert!(metrics.contains("# TYPE quan_oldest_unpublished_seconds gauge\n"));
        Ok::<_, StoreFault>(())
    });
    held.unwrap();
    let seq = admit();
    let regulator = exchange.member(&["regulator"]);
    list(&regulator.client, "/v1/entries", seq);
    assert_eq!(health()["slowed"], false);
}
