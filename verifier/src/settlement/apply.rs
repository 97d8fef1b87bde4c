//! Applying what was found to an order's claims, and the invariants of what an entry touches (DESIGN §4.4).

use super::cap::Slots;
use super::claim::ClaimFound;
use super::counter::{CounterKey, CounterMoves};
use super::debt::{Debt, DebtKind};
use super::order::{Order, Source};
use super::{Inconsistency, Money};
use crate::id::{FundId, OrderId, PartyId, ProgrammeId};
use crate::ledger::{Account, Postings};
use crate::money::Fen;
use crate::programme::Programme;
use crate::refusal::Refusal;
use crate::time::{NamedPeriod, Timestamp};

/// How much more (or less) a party stands at with a fund.
pub(super) type Standing = ((PartyId, FundId), Fen);

impl Money {
    /// The programmes of an order's claims, in the versions that they pin.
    pub(super) fn programmes_of(&self, order: &Order) -> Result<Vec<&Programme>, Refusal> {
        let programme = |claim: &super::order::Claim| {
            self.programme_version(&claim.programme, claim.version)
                .map(AsRef::as_ref)
        };
        order.claims.iter().map(programme).collect()
    }

    /// The earned accounts of a party that are not empty.
    pub(super) fn earned_of(
        &self,
        party: PartyId,
    ) -> impl Iterator<Item = (&FundId, NamedPeriod, &ProgrammeId)> {
        let earned = self.earned.get(&party).into_iter().flatten();
        earned.map(|(fund, period, programme)| (fund, *period, programme))
    }

    pub(super) fn order_mut(&mut self, id: OrderId) -> Result<&mut Order, Inconsistency> {
        self.orders
            .get_mut(&id)
            .ok_or_else(|| Inconsistency::new("state", "no such order"))
    }

    /// Moves the sums of an order's claims as found, then posts, then checks what was touched.
    pub(super) fn apply_claims(
        &mut self,
        at: Timestamp,
        id: OrderId,
        found: &[ClaimFound],
        (postings, counters): (&Postings, &CounterMoves),
    ) -> Result<(), Inconsistency> {
        let mut standing = Vec::new();
        for found in found {
            self.apply_claim(at, id, found, &mut standing)?;
        }
        self.post_standing(postings, counters, &standing)?;
        found
            .iter()
            .try_for_each(|found| self.check_hold(id, found.claim))
    }

    pub(super) fn apply_claim(
        &mut self,
        at: Timestamp,
        id: OrderId,
        found: &ClaimFound,
        standing: &mut Vec<Standing>,
    ) -> Result<(), Inconsistency> {
        let keys = self.drawn_keys(at, id, found)?;
        let claim = self.order_mut(id)?.claims.get_mut(usize::from(found.claim));
        let claim = claim.ok_or_else(|| Inconsistency::new("state", "no such claim"))?;
        let settling = (claim.source == Source::Settlement).then_some(keys.as_slice());
        claim.sums.apply(found, settling)?;
        let (payee, source) = (claim.payee, claim.source);
        let funds: Vec<_> = claim
            .sums
            .funds
            .iter()
            .map(|sums| sums.fund.clone())
            .collect();
        let draws = match source {
            Source::Voucher(voucher) => {
                let voucher = self.vouchers.get_mut(&voucher);
                &mut voucher
                    .ok_or_else(|| Inconsistency::new("state", "no such voucher"))?
                    .draws
            }
            Source::Order | Source::Settlement => &mut claim.sums.draws,
        };
        if found.drawn.is_negative() {
            draws.lower(found.drawn.negated())?;
        } else {
            draws.raise(&keys, found.drawn)?;
        }
        let part = |list: &[Fen], index: usize| list.get(index).copied().unwrap_or_default();
        for (index, fund) in funds.into_iter().enumerate() {
            let recalled = part(&found.recalled, index);
            let clawed = part(&found.clawed, index);
            let debt = |kind, fen| Debt {
                kind,
                order: id,
                claim: found.claim,
                fen,
            };
            if recalled.is_negative() {
                let again = debt(DebtKind::Recalled, recalled.negated());
                self.forget_debt((payee, &fund), &again)?;
            } else {
                self.note_debt((payee, &fund), debt(DebtKind::Recalled, recalled))?;
            }
            self.note_debt((payee, &fund), debt(DebtKind::Clawed, clawed))?;
            let more = part(&found.granted, index).minus(clawed)?;
            if !more.is_zero() {
                standing.push(((payee, fund), more));
            }
        }
        Ok(())
    }

    /// The counters that a claim's draw raises now; none where nothing is drawn and no year is needed.
    fn drawn_keys(
        &self,
        at: Timestamp,
        id: OrderId,
        found: &ClaimFound,
    ) -> Result<Vec<CounterKey>, Inconsistency> {
        let order = self.order(id)?;
        let claim = order.claim(found.claim)?;
        let needed = match claim.source {
            Source::Voucher(_) => false,
            Source::Order => found.drawn > Fen::ZERO,
            Source::Settlement => true,
        };
        if !needed {
            return Ok(Vec::new());
        }
        let programme = self.programme_version(&claim.programme, claim.version)?;
        Ok(Slots::issued(programme, &order.buyer, order.years(at))?.keys())
    }

    /// Posts, and proves invariant (3) for every party and fund that is touched: what stands in earned, payable, transit,
    /// paid and disputed moves by exactly what was granted, awarded or written off.
    pub(super) fn post_standing(
        &mut self,
        postings: &Postings,
        counters: &CounterMoves,
        standing: &[Standing],
    ) -> Result<(), Inconsistency> {
        let mut expected: Vec<Standing> = Vec::new();
        let mut note = |party: PartyId, fund: &FundId, fen: Fen| -> Result<(), Inconsistency> {
            match expected
                .iter_mut()
                .find(|((p, f), _)| *p == party && f == fund)
            {
                Some((_, sum)) => *sum = sum.plus(fen)?,
                None => expected.push(((party, fund.clone()), fen)),
            }
            Ok(())
        };
        for ((party, fund), fen) in standing {
            note(*party, fund, *fen)?;
        }
        for (account, fen) in postings.legs() {
            if let Some(party) = self.stands_for(account)? {
                note(party, account.fund(), fen.negated())?;
            }
        }
        if let Some(((party, fund), fen)) = expected.iter().find(|(_, fen)| !fen.is_zero()) {
            let sentence = format!("{party} stands {fen} fen off what {fund} granted it");
            return Err(Inconsistency::new("(3)", sentence));
        }
        for (key, fen) in standing {
            let sum = self
                .standing
                .get(key)
                .copied()
                .unwrap_or_default()
                .plus(*fen)?;
            if sum.is_zero() {
                self.standing.remove(key);
            } else {
                self.standing.insert(key.clone(), sum);
            }
        }
        self.post(postings, counters)
    }

    /// The party whose standing an account is part of.
    fn stands_for(&self, account: &Account) -> Result<Option<PartyId>, Inconsistency> {
        Ok(match account {
            Account::Earned(_, party, _, _)
            | Account::Payable(party, _)
            | Account::Transit(_, party, _)
            | Account::Paid(party, _) => Some(*party),
            Account::Disputed(order, claim, _) => Some(self.order(*order)?.claim(*claim)?.payee),
            Account::Advance(..)
            | Account::Fund(_)
            | Account::Hold(..)
            | Account::Owed(..)
            | Account::Treasury(..)
            | Account::Voucher(..) => None,
        })
    }

    /// Invariant (2): a claim's hold is what was held less all that became of it.
    pub(super) fn check_hold(&self, id: OrderId, index: u8) -> Result<(), Inconsistency> {
        let claim = self.order(id)?.claim(index)?;
        for sums in &claim.sums.funds {
            let parts = [
                sums.held,
                sums.released,
                sums.granted,
                sums.clawed,
                sums.recalled,
                sums.gone,
            ];
            if parts.iter().any(|fen| fen.is_negative()) {
                let sentence = format!("claim {index} of {id} has a negative sum: {sums:?}");
                return Err(Inconsistency::new("(2)", sentence));
            }
            let hold = match claim.source {
                Source::Settlement => Fen::ZERO,
                Source::Voucher(_) | Source::Order => sums.hold()?,
            };
            let account = Account::Hold(id, index, sums.fund.clone());
            let balance = self.balance(&account);
            if balance != hold {
                let sentence = format!("{account} holds {balance}, its claim says {hold}");
                return Err(Inconsistency::new("(2)", sentence));
            }
        }
        Ok(())
    }
}
