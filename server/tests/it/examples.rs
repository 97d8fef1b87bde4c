//! The worked examples of PROGRAMMES §3 over HTTP: their programme files, their numbers, to the fen.
//!
//! Cards cost 3 600 fen an hour, so that a GPU-second costs a fen, wherever an example names charges and no price. The
//! amounts are those of `fixtures/vectors/scenarios`. W8 needs a procedure and W13's third share another exchange.

mod capacity;
mod contract;
mod data;
mod metered;
mod paid;
mod stage;
