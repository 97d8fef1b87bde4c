//! Programmes that commit at settlement: funds and caps are read when use is stated, the shortfall is forgone for good
//! (DESIGN §4.4).

use super::cap::{Slots, weights};
use super::claim::ClaimSums;
use super::draft::Draft;
use super::reserve::serves_who_comes_first;
use crate::ledger::{Account, nested_split};
use crate::money::{Fen, Overflow};
use crate::programme::Programme;
use crate::refusal::Refusal;

/// What a claim that commits at settlement moves.
pub(super) struct Settled {
    /// By fund.
    pub(super) deltas: Vec<Fen>,
    /// All that is forgone now.
    pub(super) forgone: Fen,
    /// Whether only a decision may go as far as the use does.
    pub(super) manual: bool,
}

/// Returns how the grant moves towards `target`: growth as far as funds and caps go, the rest forgone; shrinking takes
/// the newest counter year first, in it the forgone part first.
pub(super) fn settle(
    draft: &Draft<'_>,
    programme: &Programme,
    sums: &ClaimSums,
    slots: &Slots,
    target: Fen,
) -> Result<Settled, Refusal> {
    let weights = weights(programme)?;
    let (total, forgone) = (sums.layers.total()?, sums.layers.forgone()?);
    if target <= total {
        let granted = sums.layers.clone().shrink(total.minus(target)?)?;
        let shrunk = total.minus(target)?;
        let deltas = deltas(sums, &weights, granted.negated())?;
        let forgone = forgone.minus(shrunk.minus(granted)?)?;
        return Ok(Settled {
            deltas,
            forgone,
            manual: false,
        });
    }
    let growth = target.minus(total)?;
    let (room, automatic) = (slots.room(draft)?, slots.automatic(draft)?);
    let fits = |growth: Fen, room: Fen| -> Result<bool, Overflow> {
        let mut drawn = Fen::ZERO;
        for (fund, delta) in sums.funds.iter().zip(deltas(sums, &weights, growth)?) {
            let need = delta.minus(delta.min(fund.recalled))?;
            if need > draft.balance(&Account::Fund(fund.fund.clone())) {
                return Ok(false);
            }
            drawn = drawn.plus(need)?;
        }
        Ok(drawn <= room)
    };
    let short_of_money = !serves_who_comes_first(programme) && !fits(growth, Fen::MAX)?;
    if short_of_money || (automatic < room && !fits(growth, automatic)?) {
        // Neither granted nor forgone: a case decides.
        let deltas = vec![Fen::ZERO; sums.funds.len()];
        return Ok(Settled {
            deltas,
            forgone,
            manual: true,
        });
    }
    let granted = most(growth, |growth| fits(growth, room))?;
    let deltas = deltas(sums, &weights, granted)?;
    let forgone = forgone.plus(growth.minus(granted)?)?;
    Ok(Settled {
        deltas,
        forgone,
        manual: false,
    })
}

/// The largest amount up to `all` that fits; zero always does, and what fits only gets less likely as it grows.
fn most(all: Fen, fits: impl Fn(Fen) -> Result<bool, Overflow>) -> Result<Fen, Overflow> {
    if fits(all)? {
        return Ok(all);
    }
    let (mut good, mut bad) = (0_i64, all.get());
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(Fen::new(middle)?)? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Fen::new(good)
}

/// How `delta` falls on the funds: by weight on the cumulative amount that has left them for this claim.
fn deltas(sums: &ClaimSums, weights: &[Fen], delta: Fen) -> Result<Vec<Fen>, Overflow> {
    if delta.is_zero() {
        return Ok(vec![Fen::ZERO; sums.funds.len()]);
    }
    let clawed = sums.sum(|fund| fund.clawed)?;
    let all = sums.sum(|fund| fund.granted)?.plus(delta)?.plus(clawed)?;
    let targets = nested_split(all, weights)?;
    let mut deltas = Vec::with_capacity(targets.len());
    for (fund, target) in sums.funds.iter().zip(targets) {
        deltas.push(target.minus(fund.clawed)?.minus(fund.granted)?);
    }
    one_sign(deltas).and_then(|deltas| not_below_zero(sums, deltas))
}

/// No fund gives back more than was granted of it.
fn not_below_zero(sums: &ClaimSums, mut deltas: Vec<Fen>) -> Result<Vec<Fen>, Overflow> {
    let mut missing = Fen::ZERO;
    for (fund, delta) in sums.funds.iter().zip(deltas.iter_mut()) {
        let least = delta.plus(fund.granted)?;
        if least.is_negative() {
            missing = missing.plus(least)?;
            *delta = fund.granted.negated();
        }
    }
    for (fund, delta) in sums.funds.iter().zip(deltas.iter_mut()) {
        let part = missing.negated().min(fund.granted.plus(*delta)?);
        *delta = delta.minus(part)?;
        missing = missing.plus(part)?;
    }
    Ok(deltas)
}

/// Makes deltas that sum to a growth (or a decline) move no fund against that sign: what stepped the other way stays,
/// and the last funds that move give up as much.
pub(super) fn one_sign(mut deltas: Vec<Fen>) -> Result<Vec<Fen>, Overflow> {
    let sum = deltas.iter().copied().try_fold(Fen::ZERO, Fen::plus)?;
    let against = |delta: Fen| {
        if sum.is_negative() {
            delta > Fen::ZERO
        } else {
            delta.is_negative()
        }
    };
    let mut excess = Fen::ZERO;
    for delta in &mut deltas {
        if against(*delta) || sum.is_zero() {
            excess = excess.minus(*delta)?;
            *delta = Fen::ZERO;
        }
    }
    if sum.is_zero() {
        return Ok(deltas);
    }
    for delta in deltas.iter_mut().rev() {
        // `excess` has the sign of the sum: take it back where there is something to take.
        let part = if sum.is_negative() {
            excess.max(*delta)
        } else {
            excess.min(*delta)
        };
        *delta = delta.minus(part)?;
        excess = excess.minus(part)?;
    }
    Ok(deltas)
}
