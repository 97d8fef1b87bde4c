//! Closing a period: what a party earned in it becomes payable once the dispute days are over (DESIGN §4.1).

use super::cap::{Holder, Slots, Years};
use super::counter::CounterMoves;
use super::debt::{Netted, Settling};
use super::draft::Draft;
use super::{Inconsistency, Money, Outcome};
use crate::id::{FundId, PartyId, ProgrammeId};
use crate::ledger::{Account, Postings, nested_split};
use crate::money::Fen;
use crate::programme::Programme;
use crate::programme::schema::{CapKey, Counted, Known, Over, Payee};
use crate::refusal::{Code, Refusal};
use crate::time::{DAY_SECONDS, NamedPeriod, Timestamp, UtcOffset};
use serde::{Deserialize, Serialize};

/// Dispute days where a party earned nothing in the period (PROGRAMMES §1, the default of `dispute_days`).
pub const DISPUTE_DAYS: i64 = 15;

/// A party's period to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosePeriod {
    /// The party.
    pub party: PartyId,
    /// The period.
    pub period: NamedPeriod,
}

/// A period as closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeriodClosed {
    /// What became payable.
    pub amount: Fen,
    /// What stays earned because a cap on redemption is reached.
    pub kept: Fen,
    /// What was netted then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub netted: Vec<Netted>,
}

impl Money {
    /// Closes a period of a party: earned → payable, as far as caps on redemption go, then netting. A closed period may
    /// be closed again, for what was kept.
    /// # Errors
    /// `period.open` `programme.needs-procedure` `programme.manual` `amount.overflow`
    pub fn close_period(
        &self,
        at: Timestamp,
        ask: &ClosePeriod,
    ) -> Result<Outcome<PeriodClosed>, Refusal> {
        let earned = self.earned_in(ask)?;
        check_over(at, ask, &earned)?;
        let mut draft = Draft::new(self);
        let mut found = PeriodClosed {
            amount: Fen::ZERO,
            kept: Fen::ZERO,
            netted: Vec::new(),
        };
        for (programme, parts) in &earned {
            let (amount, kept) = self.make_payable(&mut draft, at, ask, (programme, parts))?;
            found.amount = found.amount.plus(amount)?;
            found.kept = found.kept.plus(kept)?;
        }
        for fund in self.funds.keys() {
            found
                .netted
                .extend(self.net(&mut draft, at, ask.party, fund)?);
        }
        draft.finish(found)
    }

    /// Applies the close of a period.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_close_period(
        &mut self,
        ask: &ClosePeriod,
        outcome: &Outcome<PeriodClosed>,
    ) -> Result<(), Inconsistency> {
        self.closed.insert((ask.party, ask.period));
        self.post_netted(
            &outcome.found.netted,
            (&outcome.postings, &outcome.counters),
        )
    }

    /// Posts an entry that netted debts.
    pub(super) fn post_netted(
        &mut self,
        netted: &[Netted],
        moves: (&Postings, &CounterMoves),
    ) -> Result<(), Inconsistency> {
        let settled = netted
            .iter()
            .map(|part| ((part.party, part.fund.clone()), part.owed));
        let settled: Vec<_> = settled.collect();
        self.post_settled((&settled, Settling::Returned), moves, &[])
    }

    /// What the party earned in the period, by programme and fund.
    fn earned_in(&self, ask: &ClosePeriod) -> Result<Vec<(&Programme, Vec<FundId>)>, Refusal> {
        let mut earned: Vec<(&ProgrammeId, Vec<FundId>)> = Vec::new();
        for (fund, period, programme) in self.earned_of(ask.party) {
            if period != ask.period {
                continue;
            }
            match earned.iter_mut().find(|(of, _)| *of == programme) {
                Some((_, funds)) => funds.push(fund.clone()),
                None => earned.push((programme, vec![fund.clone()])),
            }
        }
        let with = |(id, funds)| Ok((self.programme(id)?.as_ref(), funds));
        earned.into_iter().map(with).collect()
    }

    fn make_payable(
        &self,
        draft: &mut Draft<'_>,
        at: Timestamp,
        ask: &ClosePeriod,
        (programme, funds): (&Programme, &Vec<FundId>),
    ) -> Result<(Fen, Fen), Refusal> {
        let account = |fund: &FundId| {
            let id = programme.header.id.clone();
            Account::Earned(id, ask.party, fund.clone(), ask.period)
        };
        let balances: Vec<_> = funds
            .iter()
            .map(|fund| draft.balance(&account(fund)))
            .collect();
        let all = balances.iter().copied().try_fold(Fen::ZERO, Fen::plus)?;
        check_redeemer(programme)?;
        let slots = Slots::redeemed(programme, &Holder::new(ask.party), Years::of_act(at))?;
        let amount = slots.cut(draft, all, false)?;
        let kept = all.minus(amount)?;
        if !kept.is_zero() {
            check_deferred(programme)?;
        }
        for (fund, part) in funds.iter().zip(nested_split(amount, &balances)?) {
            let to = Account::Payable(ask.party, fund.clone());
            draft.transfer(&account(fund), &to, part)?;
        }
        for key in slots.keys() {
            draft.count(&key, amount.get());
        }
        Ok((amount, kept))
    }
}

/// Refuses a period whose end, and the dispute days of what was earned in it, are not over.
fn check_over(
    at: Timestamp,
    ask: &ClosePeriod,
    earned: &[(&Programme, Vec<FundId>)],
) -> Result<(), Refusal> {
    let days = earned
        .iter()
        .map(|(programme, _)| programme.instrument.dispute_days)
        .max();
    let offset = earned
        .first()
        .map_or(UtcOffset::CHINA, |(p, _)| p.header.utc_offset);
    let days = days.unwrap_or(DISPUTE_DAYS);
    let over = ask
        .period
        .end(offset)
        .after(days.saturating_mul(DAY_SECONDS));
    if at < over {
        let sentence = format!("{} can be closed from {over} on", ask.period);
        return Err(Refusal::new(Code::PeriodOpen, sentence).with("from", over));
    }
    Ok(())
}

/// A redemption is counted for who is paid: a cap of holders fits only a programme that pays its holders.
fn check_redeemer(programme: &Programme) -> Result<(), Refusal> {
    let of_holder = programme
        .caps
        .iter()
        .any(|cap| cap.count.contains(&Counted::Redeemed) && cap.key != CapKey::Programme);
    if of_holder && programme.instrument.payee != Payee::Buyer {
        let sentence = "a redemption cap of holders needs a procedure where the seller is paid";
        return Err(Refusal::new(Code::ProgrammeNeedsProcedure, sentence));
    }
    Ok(())
}

fn check_deferred(programme: &Programme) -> Result<(), Refusal> {
    let counted = programme
        .caps
        .iter()
        .filter(|cap| cap.count.contains(&Counted::Redeemed));
    for cap in counted {
        if cap.over != Known::Known(Over::Defer) {
            let sentence = format!(
                "cap {} is reached, and what happens then is not settled",
                cap.id
            );
            return Err(Refusal::new(Code::ProgrammeNeedsProcedure, sentence)
                .with("path", format!("cap.{}.over", cap.id)));
        }
    }
    Ok(())
}
