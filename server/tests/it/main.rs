//! One test binary: every module runs on SQLite and on a PostgreSQL that the tests start themselves.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test, a failed step is a failed test"
)]

#[macro_use]
mod support;
mod access;
mod api;
mod architecture;
mod bucket;
mod checks;
mod clients;
mod compromise;
mod continued;
mod crash;
mod demo;
mod documents;
mod examples;
mod fetched;
mod floors;
mod fuzz;
mod kill;
mod listings;
mod log;
mod lost;
mod own;
mod projector;
mod publisher;
mod push;
mod receipts;
mod refusals;
mod replies;
mod restore;
mod rotation;
mod samples;
mod scoped;
mod search;
mod sequencer;
mod snapshot;
mod timers;
mod trail;
mod uploads;
mod witness;
