//! A key that somebody else may hold, as far as a case has to decide what it has earned (DESIGN §5).

use std::collections::BTreeMap;

use crate::id::OrderId;
use crate::ledger::ClaimIndex;
use crate::money::Fen;
use crate::signature::Kid;
use crate::time::Timestamp;

/// What was frozen for a key and waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compromise {
    /// The key.
    pub kid: Kid,
    /// What was accepted from here on is in doubt.
    pub since: Timestamp,
    /// What was frozen of each claim that waits, fund by fund; empty where all of it was paid.
    pub claims: BTreeMap<(OrderId, ClaimIndex), Vec<Fen>>,
    /// Orders behind this one are not frozen yet: an entry did not take all.
    pub next: Option<OrderId>,
}

packed!(Compromise {
    kid,
    since,
    claims,
    next
});
