//! What the tests stand on: a database each, on both kinds; a story; an auditor's view of the log.

mod bucket;
pub(crate) mod cluster;
mod database;
pub(crate) mod disk;
mod exchange;
mod folder;
mod foreign;
mod load;
mod market;
pub(crate) mod process;
mod proxy;
pub(crate) mod replay;
pub(crate) mod story;
mod vendor;

pub(crate) use bucket::Bucket;
pub(crate) use database::{Database, folder};
pub(crate) use exchange::{Answer, Client, Exchange, Fetched, Member, checkpoint, text};
pub(crate) use folder::Trail;
pub(crate) use foreign::Foreign;
pub(crate) use load::{Load, SEEN_MIN};
pub(crate) use market::{Market, ORIGIN, register_key};
pub(crate) use process::{Server, quan_verify, quan_verify_as, verifier_program};
pub(crate) use proxy::Proxy;
pub(crate) use vendor::{Listed, Vendor, card};

/// Makes each function `fn(&Database)` a test on SQLite and one on PostgreSQL.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite { $(#[test] fn $name() { super::$name(&crate::support::Database::sqlite()); })* }
        mod postgres { $(#[test] fn $name() { super::$name(&crate::support::Database::postgres()); })* }
    };
}
