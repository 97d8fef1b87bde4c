//! Every parser of bytes from outside, on bytes that are nearly right: none panics, and what has one spelling is accepted in no
//! other. What is signed is accepted as its signer wrote it, or not at all.
//!
//! `QUAN_FUZZED` sets how many inputs each parser gets; `make torture` asks for many. Commands whose members are changed, and then
//! decided, are in `laws.rs`; signatures in `signature.rs`.

mod entries;
pub(crate) mod noise;
mod trail;
mod whole;
mod words;

/// How many inputs are asked for.
#[expect(
    clippy::disallowed_methods,
    reason = "a test may be asked for more: `make torture`"
)]
fn asked_for() -> Option<String> {
    std::env::var("QUAN_FUZZED").ok()
}
