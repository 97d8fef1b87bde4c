//! The exchange: waits, stores and shows what the verifier decides.

pub mod keys;
pub mod objects;
