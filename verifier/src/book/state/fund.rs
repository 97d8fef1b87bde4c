//! Funds: one funder's appropriation for one budget year; the balances are in the ledger.

use crate::id::{FunderId, PartyId};
use crate::region::Region;

/// A fund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fund {
    /// The funder's name in programme files and accounts.
    pub funder: FunderId,
    /// The party behind that name: it alone moves the appropriation.
    pub owner: PartyId,
    /// The budget year, where it is known.
    pub year: Option<i64>,
    /// The region whose regulator sees it.
    pub region: Option<Region>,
}

packed!(Fund {
    funder,
    owner,
    year,
    region
});
