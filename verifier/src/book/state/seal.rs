//! Seals over refusals: which hours have one, and where it stands.

use crate::time::Timestamp;

/// A seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The entry.
    pub seq: u64,
    /// Refusals from before this hour are under it, or under an earlier one.
    pub to: Timestamp,
}

packed!(Seal { seq, to });
