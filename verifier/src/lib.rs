//! Everything that decides in Quan, purely.
//!
//! The server runs these functions to decide, the auditor runs the same ones to recompute. Nothing here reads a clock, a
//! file, a socket or a random number, and nothing depends on hash order. From the bottom: [`money`], [`time`], [`id`],
//! [`json`] · [`refusal`], [`report`] · [`signature`] · [`receipt`] · [`trail`], a log of opaque bytes.
#![deny(clippy::float_arithmetic)]

#[macro_use]
mod packed;

pub mod analysis;
pub mod audit;
pub mod book;
pub mod dataset;
pub mod fact;
pub mod id;
pub mod json;
pub mod ledger;
pub mod money;
pub mod programme;
pub mod receipt;
pub mod refusal;
pub mod region;
pub mod report;
pub mod settlement;
pub mod signature;
pub mod time;
pub mod trail;
