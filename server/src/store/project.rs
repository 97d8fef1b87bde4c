//! The projections' rows: `book_*`, written in batches, each with the cursor that it leads to (DESIGN §7, STYLE §7).
//!
//! Who calls: the projector. A row is a function of the entries; whatever is lost here is made again from the log. On SQLite
//! the tables lie in a file of their own, `read.db`, on PostgreSQL beside the log.

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use diesel::upsert::excluded;
use verifier::id::Sha256Hash;

use super::schema::{
    book_balances, book_cases, book_cursor, book_entries, book_links, book_orders, book_vouchers,
};
use super::{Db, StoreFault, on_backend, signed, unsigned};

/// The form of the tables and of what is written into them. Another number makes them again at the next start.
const FORM: i16 = 1;
/// Rows of one statement: eleven columns stay far below SQLite's 32 766 binds.
const ROWS_MAX: usize = 500;

const SQLITE_TABLES: &str = include_str!("../../../migrations/book/sqlite.sql");
const POSTGRES_TABLES: &str = include_str!("../../../migrations/book/postgres.sql");
/// The cursor first: a batch begins by locking it, so that whoever writes is waited for, and nobody waits for us with other
/// tables in hand.
const NO_TABLES: &str = "\
    DROP TABLE IF EXISTS book_cursor; \
    DROP TABLE IF EXISTS book_cases; DROP TABLE IF EXISTS book_vouchers; DROP TABLE IF EXISTS book_orders; \
    DROP TABLE IF EXISTS book_balances; DROP TABLE IF EXISTS book_links; DROP TABLE IF EXISTS book_entries;";

/// How far the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// How many entries are in the rows.
    pub size: u64,
    /// The leaf hash of the last one: the rows of another log are not taken for those of this one.
    pub last: Option<Sha256Hash>,
}

/// One entry, for search.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Insertable, Queryable, Selectable)]
#[diesel(table_name = book_entries, treat_none_as_default_value = false)]
pub struct EntryRow {
    /// Its number.
    pub seq: i64,
    /// When, in UTC seconds.
    pub at: i64,
    /// Its type.
    pub kind: String,
    /// Who asked.
    pub party: String,
    /// The order that it is about, if one.
    pub order_id: Option<String>,
    /// The name of the receipt that it embeds, if one.
    pub receipt: Option<String>,
}

/// An entry names an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Insertable, Queryable, Selectable)]
#[diesel(table_name = book_links)]
pub struct LinkRow {
    /// An id, a receipt's name or hash, a document's digest.
    pub object: String,
    /// The entry.
    pub seq: i64,
}

/// A balance. Written, `fen` is what is added to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Insertable, Queryable, Selectable)]
#[diesel(table_name = book_balances, treat_none_as_default_value = false)]
pub struct BalanceRow {
    /// The account's name.
    pub account: String,
    /// The first word of it.
    pub class: String,
    /// The fund that the money belongs to.
    pub fund: String,
    /// Whose it is, where the account says so.
    pub party: Option<String>,
    /// Fen.
    pub fen: i64,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Insertable, Queryable, Selectable)]
#[diesel(table_name = book_orders, treat_none_as_default_value = false)]
pub struct OrderRow {
    /// Its id.
    pub id: String,
    /// The entry that placed it: the order of lists.
    pub placed_seq: i64,
    /// When, in UTC seconds.
    pub placed_at: i64,
    /// Who buys.
    pub buyer: String,
    /// Who sells.
    pub seller: String,
    /// `compute` or `data`.
    pub scheme: String,
    /// `open`, `closed`, `cancelled` or `expired`.
    pub standing: String,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// What is still reserved for it.
    pub held_fen: i64,
    /// How many receipts were entered for it.
    pub receipts: i64,
    /// The last entry that names it.
    pub last_seq: i64,
}

/// A voucher.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Insertable, Queryable, Selectable)]
#[diesel(table_name = book_vouchers, treat_none_as_default_value = false)]
pub struct VoucherRow {
    /// Its id.
    pub id: String,
    /// The entry that issued it: the order of lists.
    pub issued_seq: i64,
    /// When, in UTC seconds.
    pub issued_at: i64,
    /// Of which programme.
    pub programme: String,
    /// Who may spend it.
    pub holder: String,
    /// Its amount when issued.
    pub face_fen: i64,
    /// What no order holds of it.
    pub free_fen: i64,
    /// From when it is dead by time alone.
    pub expires_at: Option<i64>,
    /// When an entry ended it.
    pub ended_at: Option<i64>,
    /// The last entry that names it.
    pub last_seq: i64,
}

/// A case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Insertable, Queryable, Selectable)]
#[diesel(table_name = book_cases, treat_none_as_default_value = false)]
pub struct CaseRow {
    /// Its id.
    pub id: String,
    /// The entry that opened it.
    pub opened_seq: i64,
    /// When, in UTC seconds.
    pub opened_at: i64,
    /// Who asked.
    pub party: String,
    /// The programme that is applied for.
    pub programme: Option<String>,
    /// The order that a decision is for.
    pub order_id: Option<String>,
    /// `open`, `approved`, `denied` or `withdrawn`.
    pub standing: String,
    /// When it was decided or withdrawn.
    pub ended_at: Option<i64>,
}

/// Rows of every table, each once, sorted by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// One an entry.
    pub entries: Vec<EntryRow>,
    /// One an entry and object.
    pub links: Vec<LinkRow>,
    /// One an account; written, what is added to it.
    pub balances: Vec<BalanceRow>,
    /// One an order.
    pub orders: Vec<OrderRow>,
    /// One a voucher.
    pub vouchers: Vec<VoucherRow>,
    /// One a case.
    pub cases: Vec<CaseRow>,
}

/// Makes the tables where there are none, or none of this form.
/// # Errors
/// [`StoreFault::Query`].
pub fn prepare(db: &mut Db) -> Result<(), StoreFault> {
    db.transaction(|tx| {
        wait_in_line(tx)?;
        if is_made(tx)? {
            // A look without a lock: another server may be writing its batch, and must not be waited for half made.
            let form = book_cursor::table.find(1).select(book_cursor::form);
            if form.first::<i16>(tx)? == FORM {
                return Ok(());
            }
            drop_all(tx)?;
        }
        make(tx)
    })
}

/// Drops every row; the next batch begins at the first entry.
/// # Errors
/// [`StoreFault::Query`].
pub fn reset(db: &mut Db) -> Result<(), StoreFault> {
    db.transaction(|tx| {
        wait_in_line(tx)?;
        if is_made(tx)? {
            drop_all(tx)?;
        }
        make(tx)
    })
}

/// Whether the tables are there: they are made in one transaction, all or none.
fn is_made(tx: &mut Db) -> Result<bool, StoreFault> {
    let made = match tx {
        Db::Sqlite(conn) => diesel::select(sql::<Bool>(
            "EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'book_cursor')",
        ))
        .get_result(conn)?,
        Db::Postgres(conn) => diesel::select(sql::<Bool>("to_regclass('book_cursor') IS NOT NULL"))
            .get_result(conn)?,
    };
    Ok(made)
}

fn make(tx: &mut Db) -> Result<(), StoreFault> {
    match tx {
        Db::Sqlite(conn) => conn.batch_execute(SQLITE_TABLES)?,
        Db::Postgres(conn) => conn.batch_execute(POSTGRES_TABLES)?,
    }
    let row = (
        book_cursor::id.eq(1),
        book_cursor::form.eq(FORM),
        book_cursor::size.eq(0),
        book_cursor::last.eq(""),
        book_cursor::fence.eq(0),
    );
    on_backend!(tx, conn => diesel::insert_into(book_cursor::table)
        .values(row).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// Several servers may start at once: on PostgreSQL they wait until the transaction ends; SQLite has one process.
fn wait_in_line(tx: &mut Db) -> Result<(), StoreFault> {
    match tx {
        Db::Sqlite(_) => Ok(()),
        Db::Postgres(conn) => Ok(conn.batch_execute("SELECT pg_advisory_xact_lock(7021604982)")?),
    }
}

fn drop_all(tx: &mut Db) -> Result<(), StoreFault> {
    on_backend!(tx, conn => conn.batch_execute(NO_TABLES))?;
    Ok(())
}

/// How far the rows are.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn cursor(db: &mut Db) -> Result<Cursor, StoreFault> {
    let row = book_cursor::table
        .find(1)
        .select((book_cursor::size, book_cursor::last))
        .first(db)?;
    parse_cursor(row)
}

/// The same, and nobody else moves it until the transaction ends: the first statement of a batch.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn lock_cursor(tx: &mut Db) -> Result<Cursor, StoreFault> {
    let row = diesel::update(book_cursor::table.find(1))
        .set(book_cursor::fence.eq(book_cursor::fence + 1))
        .returning((book_cursor::size, book_cursor::last))
        .get_result(tx)?;
    parse_cursor(row)
}

fn parse_cursor((size, last): (i64, String)) -> Result<Cursor, StoreFault> {
    let wrong = |_| StoreFault::Inconsistent("book_cursor.last is no hash".to_owned());
    let last = if last.is_empty() {
        None
    } else {
        Some(Sha256Hash::parse(&last).map_err(wrong)?)
    };
    Ok(Cursor {
        size: unsigned(size, "book_cursor.size")?,
        last,
    })
}

/// The orders with these ids, as they are.
/// # Errors
/// [`StoreFault::Query`].
pub fn orders(tx: &mut Db, ids: &[String]) -> Result<Vec<OrderRow>, StoreFault> {
    let mut found = Vec::new();
    for ids in ids.chunks(ROWS_MAX) {
        let rows = book_orders::table.filter(book_orders::id.eq_any(ids));
        found.extend(rows.load::<OrderRow>(tx)?);
    }
    Ok(found)
}

/// The vouchers with these ids, as they are.
/// # Errors
/// [`StoreFault::Query`].
pub fn vouchers(tx: &mut Db, ids: &[String]) -> Result<Vec<VoucherRow>, StoreFault> {
    let mut found = Vec::new();
    for ids in ids.chunks(ROWS_MAX) {
        let rows = book_vouchers::table.filter(book_vouchers::id.eq_any(ids));
        found.extend(rows.load::<VoucherRow>(tx)?);
    }
    Ok(found)
}

/// The cases with these ids, as they are.
/// # Errors
/// [`StoreFault::Query`].
pub fn cases(tx: &mut Db, ids: &[String]) -> Result<Vec<CaseRow>, StoreFault> {
    let mut found = Vec::new();
    for ids in ids.chunks(ROWS_MAX) {
        let rows = book_cases::table.filter(book_cases::id.eq_any(ids));
        found.extend(rows.load::<CaseRow>(tx)?);
    }
    Ok(found)
}

/// Writes what a batch changes, and where the rows are then.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn write(tx: &mut Db, rows: &Rows, to: &Cursor) -> Result<(), StoreFault> {
    write_entries(tx, rows)?;
    write_balances(tx, &rows.balances)?;
    write_orders(tx, &rows.orders)?;
    write_vouchers(tx, &rows.vouchers)?;
    write_cases(tx, &rows.cases)?;
    let last = to.last.map(|last| last.to_string()).unwrap_or_default();
    diesel::update(book_cursor::table.find(1))
        .set((
            book_cursor::size.eq(signed(to.size, "the cursor")?),
            book_cursor::last.eq(last),
        ))
        .execute(tx)?;
    Ok(())
}

/// New rows only: the cursor, moved in the same transaction, keeps every entry from coming twice.
fn write_entries(tx: &mut Db, rows: &Rows) -> QueryResult<()> {
    match tx {
        Db::Sqlite(conn) => insert_entries(conn, rows),
        Db::Postgres(conn) => {
            insert_entry_arrays(conn, &rows.entries)?;
            insert_link_arrays(conn, &rows.links)
        }
    }
}

/// SQLite: a few multi-row inserts.
fn insert_entries(conn: &mut SqliteConnection, rows: &Rows) -> QueryResult<()> {
    for some in rows.entries.chunks(ROWS_MAX) {
        diesel::insert_into(book_entries::table)
            .values(some)
            .execute(conn)?;
    }
    for some in rows.links.chunks(ROWS_MAX) {
        diesel::insert_into(book_links::table)
            .values(some)
            .execute(conn)?;
    }
    Ok(())
}

/// PostgreSQL: one statement with one array a column, so its text and its plan are always the same.
fn insert_entry_arrays(conn: &mut PgConnection, rows: &[EntryRow]) -> QueryResult<()> {
    let column = |of: fn(&EntryRow) -> &str| rows.iter().map(of).collect::<Vec<_>>();
    let optional = |of: fn(&EntryRow) -> Option<&str>| rows.iter().map(of).collect::<Vec<_>>();
    diesel::sql_query(
        "INSERT INTO book_entries (seq, at, kind, party, order_id, receipt) SELECT * FROM unnest($1, $2, $3, $4, $5, $6)",
    )
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.seq).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.at).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(column(|row| &row.kind))
    .bind::<Array<Text>, _>(column(|row| &row.party))
    .bind::<Array<Nullable<Text>>, _>(optional(|row| row.order_id.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(optional(|row| row.receipt.as_deref()))
    .execute(conn)
    .map(drop)
}

fn insert_link_arrays(conn: &mut PgConnection, rows: &[LinkRow]) -> QueryResult<()> {
    let objects: Vec<&str> = rows.iter().map(|row| row.object.as_str()).collect();
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    diesel::sql_query("INSERT INTO book_links (object, seq) SELECT * FROM unnest($1, $2)")
        .bind::<Array<Text>, _>(objects)
        .bind::<Array<BigInt>, _>(seqs)
        .execute(conn)
        .map(drop)
}

fn write_balances(tx: &mut Db, rows: &[BalanceRow]) -> QueryResult<()> {
    for rows in rows.chunks(ROWS_MAX) {
        on_backend!(tx, conn => diesel::insert_into(book_balances::table).values(rows)
            .on_conflict(book_balances::account).do_update()
            .set(book_balances::fen.eq(book_balances::fen + excluded(book_balances::fen)))
            .execute(conn))?;
    }
    Ok(())
}

fn write_orders(tx: &mut Db, rows: &[OrderRow]) -> QueryResult<()> {
    for rows in rows.chunks(ROWS_MAX) {
        on_backend!(tx, conn => diesel::insert_into(book_orders::table).values(rows)
            .on_conflict(book_orders::id).do_update()
            .set((
                book_orders::standing.eq(excluded(book_orders::standing)),
                book_orders::ended_at.eq(excluded(book_orders::ended_at)),
                book_orders::held_fen.eq(excluded(book_orders::held_fen)),
                book_orders::receipts.eq(excluded(book_orders::receipts)),
                book_orders::last_seq.eq(excluded(book_orders::last_seq)),
            ))
            .execute(conn))?;
    }
    Ok(())
}

fn write_vouchers(tx: &mut Db, rows: &[VoucherRow]) -> QueryResult<()> {
    for rows in rows.chunks(ROWS_MAX) {
        on_backend!(tx, conn => diesel::insert_into(book_vouchers::table).values(rows)
            .on_conflict(book_vouchers::id).do_update()
            .set((
                book_vouchers::free_fen.eq(excluded(book_vouchers::free_fen)),
                book_vouchers::ended_at.eq(excluded(book_vouchers::ended_at)),
                book_vouchers::last_seq.eq(excluded(book_vouchers::last_seq)),
            ))
            .execute(conn))?;
    }
    Ok(())
}

fn write_cases(tx: &mut Db, rows: &[CaseRow]) -> QueryResult<()> {
    for rows in rows.chunks(ROWS_MAX) {
        on_backend!(tx, conn => diesel::insert_into(book_cases::table).values(rows)
            .on_conflict(book_cases::id).do_update()
            .set((
                book_cases::standing.eq(excluded(book_cases::standing)),
                book_cases::ended_at.eq(excluded(book_cases::ended_at)),
            ))
            .execute(conn))?;
    }
    Ok(())
}

/// Every row: what a test compares with the book, and with the rows made again.
/// # Errors
/// [`StoreFault::Query`].
pub fn everything(db: &mut Db) -> Result<Rows, StoreFault> {
    Ok(Rows {
        entries: book_entries::table.order(book_entries::seq).load(db)?,
        links: sorted(book_links::table.load(db)?),
        balances: sorted(book_balances::table.load(db)?),
        orders: sorted(book_orders::table.load(db)?),
        vouchers: sorted(book_vouchers::table.load(db)?),
        cases: sorted(book_cases::table.load(db)?),
    })
}

/// By key, which is the first member, in the order of bytes: a database may have another one.
fn sorted<R: Ord>(mut rows: Vec<R>) -> Vec<R> {
    rows.sort_unstable();
    rows
}
