//! The end of an order: what was not earned goes back to the voucher, or to the funds (DESIGN §4.1).

use super::claim::ClaimFound;
use super::draft::Draft;
use super::moving::Back;
use super::order::Source;
use super::{Inconsistency, Money, Outcome};
use crate::id::OrderId;
use crate::ledger::Account;
use crate::money::Fen;
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What one claim gave back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimReleased {
    /// The claim.
    pub claim: u8,
    /// Fund by fund, in the programme's order; empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<Fen>,
    /// What of it went back to the funds and gives room under caps.
    #[serde(default, skip_serializing_if = "Fen::is_zero_ref")]
    pub to_funds: Fen,
}

/// An order as ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// The claims, in stacking order.
    pub claims: Vec<ClaimReleased>,
}

impl Money {
    /// Ends an order (closed, cancelled, expired): hold → voucher, or hold → fund where the voucher is dead or there is
    /// none.
    /// # Errors
    /// `order.unknown` `order.closed`
    pub fn close(&self, at: Timestamp, id: OrderId) -> Result<Outcome<Closed>, Refusal> {
        let order = self.order(id)?;
        order.check_open(Code::OrderClosed)?;
        let ended = super::order::Order {
            closed: true,
            ..order.clone_without_receipts()
        };
        let mut draft = Draft::new(self);
        let mut claims = Vec::with_capacity(order.claims.len());
        for (index, claim) in (0_u8..).zip(&order.claims) {
            let back = Back::of(&draft, &ended, claim, at);
            let (mut released, mut all) = (Vec::new(), Fen::ZERO);
            for sums in &claim.sums.funds {
                let from = Account::Hold(id, index, sums.fund.clone());
                let fen = draft.balance(&from);
                draft.transfer(&from, &back.account(id, index, &sums.fund), fen)?;
                released.push(fen);
                all = all.plus(fen)?;
            }
            let to_funds = if back == Back::Fund { all } else { Fen::ZERO };
            let mut draws = match claim.source {
                Source::Voucher(voucher) => self.voucher(voucher)?.draws.clone(),
                Source::Order | Source::Settlement => claim.sums.draws.clone(),
            };
            for (key, by) in draws.lower(to_funds)? {
                draft.count(&key, by);
            }
            if all.is_zero() {
                released.clear();
            }
            claims.push(ClaimReleased {
                claim: index,
                released,
                to_funds,
            });
        }
        draft.finish(Closed { claims })
    }

    /// Applies the end of an order.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_close(
        &mut self,
        at: Timestamp,
        id: OrderId,
        outcome: &Outcome<Closed>,
    ) -> Result<(), Inconsistency> {
        let order = self.order_mut(id)?;
        order.closed = true;
        let mut found = Vec::with_capacity(outcome.found.claims.len());
        for (claim, released) in order.claims.iter().zip(&outcome.found.claims) {
            found.push(ClaimFound {
                claim: released.claim,
                released: released.released.clone(),
                drawn: released.to_funds.negated(),
                forgone: claim.sums.layers.forgone()?,
                ..ClaimFound::default()
            });
        }
        self.apply_claims(at, id, &found, (&outcome.postings, &outcome.counters))
    }
}
