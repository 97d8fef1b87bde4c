//! Tests of the verifier from outside: whole trails, and the command with its exit codes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod analysis;
mod audit;
mod command;
mod continued;
mod corruptions;
mod crossing;
mod dataset;
mod fetch;
mod fuzz;
mod golden;
mod html;
mod laws;
mod log_keys;
mod orders;
mod past;
mod promise;
mod refusals;
mod report;
mod scenarios;
mod scoped;
mod signals;
mod snapshot;
mod stats;
mod story;
mod town;
mod witness;
