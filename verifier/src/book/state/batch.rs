//! Payout batches: whose money they pay; the payments themselves are in [`crate::settlement::payout`].

use crate::id::{DocumentDigest, FundId, PartyId};

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The fund that pays.
    pub fund: FundId,
    /// Who instructed it.
    pub by: PartyId,
    /// The digest of the payout file.
    pub file: DocumentDigest,
}

packed!(Batch { fund, by, file });
