//! The exchange: waits, stores and shows what the verifier decides.

pub mod address;
pub mod age;
pub mod catalogue;
pub mod cause;
pub mod clock;
pub mod config;
pub mod continuation;
pub mod dataset;
pub mod demo;
pub mod doctor;
pub mod faults;
pub mod http;
pub mod keys;
pub mod meter;
pub mod metrics;
pub mod objects;
pub mod projector;
pub mod publisher;
pub mod push;
pub mod refusals;
pub mod rotation;
pub mod sequencer;
pub mod serve;
pub mod store;
pub mod timers;
pub mod witness;
