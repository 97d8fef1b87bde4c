//! Reserving money for a claim: out of its voucher, or out of the funds under the caps.

use super::Money;
use super::cap::{Slots, weights};
use super::draft::Draft;
use super::order::{Order, Source};
use crate::id::{FundId, OrderId, VoucherId};
use crate::ledger::{Account, ClaimIndex, nested_split, split_by_weight};
use crate::money::Fen;
use crate::programme::Programme;
use crate::programme::schema::{Exhaustion, Known};
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;

impl Money {
    /// Reserves at most `most` for a claim; returns what each fund gives.
    pub(super) fn reserve(
        &self,
        draft: &mut Draft<'_>,
        at: Timestamp,
        (id, order): (OrderId, &Order),
        (index, most): (ClaimIndex, Fen),
    ) -> Result<Vec<Fen>, Refusal> {
        let claim = order.claim(index)?;
        let programme = self.programme_version(&claim.programme, claim.version)?;
        let most = most.max(Fen::ZERO);
        let parts = match claim.source {
            Source::Settlement => return Ok(Vec::new()),
            Source::Voucher(voucher) => {
                self.check_spendable(at, voucher, order)?;
                let from = |fund: &FundId| Account::Voucher(voucher, fund.clone());
                let balances: Vec<_> = claim
                    .sums
                    .funds
                    .iter()
                    .map(|f| draft.balance(&from(&f.fund)))
                    .collect();
                let all = balances.iter().copied().try_fold(Fen::ZERO, Fen::plus)?;
                let parts = nested_split(most.min(all), &balances)?;
                for (sums, part) in claim.sums.funds.iter().zip(&parts) {
                    let to = Account::Hold(id, index, sums.fund.clone());
                    draft.transfer(&from(&sums.fund), &to, *part)?;
                }
                parts
            }
            Source::Order => {
                let slots = Slots::issued(programme, &order.buyer, order.years(at))?;
                let fen = slots.cut(draft, most, false)?;
                let parts = split_by_weight(fen, &weights(programme)?)?;
                for (sums, part) in claim.sums.funds.iter().zip(&parts) {
                    let to = Account::Hold(id, index, sums.fund.clone());
                    draft
                        .transfer(&Account::Fund(sums.fund.clone()), &to, *part)
                        .map_err(|refusal| exhausted(programme, refusal))?;
                }
                for key in slots.keys() {
                    draft.count(&key, fen.get());
                }
                parts
            }
        };
        Ok(parts)
    }

    fn check_spendable(&self, at: Timestamp, id: VoucherId, order: &Order) -> Result<(), Refusal> {
        let voucher = self.voucher(id)?;
        if voucher.holder.party != order.buyer.party {
            let sentence = "the voucher belongs to another holder";
            return Err(Refusal::new(Code::VoucherHolder, sentence).with("voucher", id));
        }
        if voucher.is_dead_at(at) {
            let code = if voucher.ended {
                Code::VoucherState
            } else {
                Code::VoucherExpired
            };
            return Err(Refusal::new(code, "the voucher has ended").with("voucher", id));
        }
        Ok(())
    }
}

/// An empty pot is a plain no only where the programme serves who comes first; what else it does needs a procedure.
pub(super) fn exhausted(programme: &Programme, refusal: Refusal) -> Refusal {
    if refusal.code != Code::FundExhausted || serves_who_comes_first(programme) {
        return refusal;
    }
    let sentence = format!("{}; what happens then is not settled", refusal.sentence);
    Refusal::new(Code::ProgrammeNeedsProcedure, sentence).with("path", "instrument.exhaustion")
}

/// Whether an empty pot ends what is given.
pub(super) fn serves_who_comes_first(programme: &Programme) -> bool {
    programme.instrument.exhaustion == Known::Known(Exhaustion::FirstCome)
}
