//! What the tests stand on: a database each, on both kinds.

mod cluster;
mod database;

pub(crate) use database::Database;

/// Makes each function `fn(&Database)` a test on SQLite and one on PostgreSQL.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite { $(#[test] fn $name() { super::$name(&crate::support::Database::sqlite()); })* }
        mod postgres { $(#[test] fn $name() { super::$name(&crate::support::Database::postgres()); })* }
    };
}
