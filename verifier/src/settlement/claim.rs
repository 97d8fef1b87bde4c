//! What one claim of an order has held, been granted and lost, fund by fund (DESIGN §4.4).

use super::draw::{Draws, Layers};
use crate::id::FundId;
use crate::money::{Fen, Overflow};
use serde::{Deserialize, Serialize};

use super::counter::CounterKey;

/// One fund's part of a claim.
///
/// INVARIANT: for a claim with a hold, `hold/{order}/{claim}/{fund}` = held − released − recalled − gone − clawed −
/// granted, and every one of these is ≥ 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundSums {
    /// The fund.
    pub fund: FundId,
    /// All that was ever reserved.
    pub held: Fen,
    /// Given back unused when the order ended, or after.
    pub released: Fen,
    /// Earned by the order's evidence, and kept.
    pub granted: Fen,
    /// Taken back by clawbacks and upheld disputes.
    pub clawed: Fen,
    /// Paid, no longer earned, and still owed.
    pub recalled: Fen,
    /// Was recalled, and no longer owed: paid back in cash or written off.
    pub gone: Fen,
}

impl FundSums {
    /// A fund of which nothing is held yet.
    #[must_use]
    pub const fn new(fund: FundId) -> Self {
        Self {
            fund,
            held: Fen::ZERO,
            released: Fen::ZERO,
            granted: Fen::ZERO,
            clawed: Fen::ZERO,
            recalled: Fen::ZERO,
            gone: Fen::ZERO,
        }
    }

    /// The most that may be granted of this fund: held − released − clawed − recalled and no longer owed.
    /// # Errors
    /// [`Overflow`].
    pub fn bound(&self) -> Result<Fen, Overflow> {
        self.held
            .minus(self.released)?
            .minus(self.clawed)?
            .minus(self.gone)
    }

    /// What the hold account must show.
    /// # Errors
    /// [`Overflow`].
    pub fn hold(&self) -> Result<Fen, Overflow> {
        self.bound()?.minus(self.granted)?.minus(self.recalled)
    }
}

/// All sums of one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimSums {
    /// By fund, in the programme's order.
    pub funds: Vec<FundSums>,
    /// What clawbacks and upheld disputes took, for good.
    pub denied: Fen,
    /// By counter year (`commit_at = settlement` only).
    pub layers: Layers,
    /// What left the funds for this claim (never for a voucher's: the voucher has its own).
    pub draws: Draws,
}

impl ClaimSums {
    /// A claim on these funds, in the programme's order.
    #[must_use]
    pub fn new(funds: impl IntoIterator<Item = FundId>) -> Self {
        Self {
            funds: funds.into_iter().map(FundSums::new).collect(),
            denied: Fen::ZERO,
            layers: Layers::default(),
            draws: Draws::default(),
        }
    }

    /// One of the sums, over all funds.
    /// # Errors
    /// [`Overflow`].
    pub fn sum(&self, of: impl Fn(&FundSums) -> Fen) -> Result<Fen, Overflow> {
        self.funds
            .iter()
            .try_fold(Fen::ZERO, |sum, fund| sum.plus(of(fund)))
    }

    /// What each fund may be granted at most.
    /// # Errors
    /// [`Overflow`].
    pub fn bounds(&self) -> Result<Vec<Fen>, Overflow> {
        self.funds.iter().map(FundSums::bound).collect()
    }

    /// Moves the sums as an entry found it; `keys` are the counters of the entry's year, given for a programme that
    /// commits at settlement alone.
    ///
    /// The same function serves `decide`, on a copy, and `apply`: so both agree on the next entry.
    /// # Errors
    /// [`Overflow`] if the found amounts are not of this claim.
    pub(super) fn apply(
        &mut self,
        found: &ClaimFound,
        settling: Option<&[CounterKey]>,
    ) -> Result<(), Overflow> {
        let at = |list: &[Fen], index: usize| list.get(index).copied().unwrap_or_default();
        let (mut granted, mut clawed) = (Fen::ZERO, Fen::ZERO);
        for (index, fund) in self.funds.iter_mut().enumerate() {
            let (more, back) = (at(&found.granted, index), at(&found.clawed, index));
            fund.held = fund.held.plus(at(&found.held, index))?;
            fund.released = fund.released.plus(at(&found.released, index))?;
            fund.granted = fund.granted.plus(more)?.minus(back)?;
            fund.recalled = fund.recalled.plus(at(&found.recalled, index))?;
            fund.clawed = fund.clawed.plus(back)?;
            granted = granted.plus(more)?;
            clawed = clawed.plus(back)?;
        }
        self.denied = self.denied.plus(clawed)?;
        let Some(keys) = settling else { return Ok(()) };
        self.layers.claw(clawed)?;
        let forgone = found.forgone.minus(self.layers.forgone()?)?;
        if granted.is_negative() || forgone.is_negative() {
            self.layers.shrink(granted.plus(forgone)?.negated())?;
        } else {
            self.layers.grow(keys, granted, forgone)?;
        }
        Ok(())
    }
}

/// What an entry found for one claim: the statement, and how the claim's sums move, fund by fund in the programme's
/// order. Lists of nothing but zeros and absent members are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimFound {
    /// Which claim, in stacking order.
    pub claim: u8,
    /// What the rate was taken of.
    pub base: Fen,
    /// What the programme gives for it.
    pub want: Fen,
    /// What other claims leave of it.
    pub room: Fen,
    /// All that is granted now.
    pub grant: Fen,
    /// What that is more than before.
    pub delta: Fen,
    /// What the funds or caps could not give, for good.
    #[serde(default, skip_serializing_if = "Fen::is_zero_ref")]
    pub forgone: Fen,
    /// Whether a fact or amount is unknown, so that the grant stays as it was until a case decides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub manual: bool,
    /// Newly reserved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Fen>,
    /// Given back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<Fen>,
    /// More or less earned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub granted: Vec<Fen>,
    /// More or less recalled and owed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recalled: Vec<Fen>,
    /// Taken back for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clawed: Vec<Fen>,
    /// What left the funds and counts under caps; negative: what came back to them.
    #[serde(default, skip_serializing_if = "Fen::is_zero_ref")]
    pub drawn: Fen,
}

impl ClaimFound {
    /// Leaves out lists of nothing but zeros, so that an entry has one spelling.
    pub(super) fn tidy(mut self) -> Self {
        for list in [
            &mut self.held,
            &mut self.released,
            &mut self.granted,
            &mut self.recalled,
            &mut self.clawed,
        ] {
            if list.iter().all(|fen| fen.is_zero()) {
                list.clear();
            }
        }
        self
    }
}

packed! {
    FundSums { fund, held, released, granted, clawed, recalled, gone }
    ClaimSums { funds, denied, layers, draws }
}
