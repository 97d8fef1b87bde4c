//! The exchange: waits, stores and shows what the verifier decides.

pub mod clock;
pub mod faults;
pub mod keys;
pub mod meter;
pub mod objects;
pub mod publisher;
pub mod store;
