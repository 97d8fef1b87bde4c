//! The states of what the book knows, a file a subject.

pub mod batch;
pub mod by_hash;
pub mod case;
pub mod chain;
pub mod compromise;
pub mod dataset;
pub mod fact;
pub mod fund;
pub mod key;
pub mod order;
pub mod party;
pub mod programme;
pub mod seal;
pub mod site;
