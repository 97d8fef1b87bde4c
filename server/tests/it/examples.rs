//! The worked examples of PROGRAMMES §3 over HTTP: their programme files, their numbers, to the fen.
//!
//! Where an example names charges and no price, cards cost 3,600 fen an hour: a GPU-second costs a fen. The amounts are those
//! of `fixtures/vectors/scenarios`. Two parts cannot run here: W8 needs a procedure that the exchange does not run, and W13's
//! third share is another exchange's.

mod capacity;
mod contract;
mod data;
mod delivered;
mod downloads;
mod metered;
mod paid;
mod search;
pub(crate) mod shop;
mod signed;
mod signed_for;
pub(crate) mod stage;
mod usage;
