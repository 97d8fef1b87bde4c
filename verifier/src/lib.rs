//! Quan verifier.
