//! Quotes: what an order would hold and be given if its terms were used in full. The same functions, nothing written.

use super::Money;
use super::order::{Order, Source, Sums, Terms};
use super::place::Place;
use super::value::{Limit, Valuation, Worth};
use crate::money::Fen;
use crate::programme::Programme;
use crate::programme::schema::Known;
use crate::programme::subsidy::TierChoice;
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What one claim would get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimQuoted {
    /// Its number in stacking order.
    pub claim: u8,
    /// Its place in the question.
    pub asked: u8,
    /// What the rate is taken of.
    pub base: Fen,
    /// What the programme gives; absent where a case decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Fen>,
    /// What other claims leave of it.
    pub room: Fen,
    /// What would be reserved now.
    pub held: Fen,
}

/// What an order would get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quoted {
    /// The claims, in stacking order.
    pub claims: Vec<ClaimQuoted>,
}

impl Money {
    /// Quotes an order that is not placed.
    /// # Errors
    /// Those of [`Money::place`].
    pub fn quote(&self, at: Timestamp, ask: &Place) -> Result<Quoted, Refusal> {
        let (order, asked) = self.new_order(at, ask)?;
        let programmes = self.programmes_of(&order)?;
        let mut valuation = Valuation::new(order.worth(), &order.sums, &programmes).in_full();
        let placed = self.place(at, ask);
        let mut claims = Vec::with_capacity(order.claims.len());
        for (index, asked) in (0_u8..).zip(asked) {
            let (given, room) = valuation.value(usize::from(index))?;
            valuation.limit(Limit {
                most: Fen::MAX,
                granted: Fen::ZERO,
            });
            let held = match &placed {
                Ok(outcome) => {
                    let claim = outcome.found.claims.get(usize::from(index));
                    let held = claim.map_or(&[][..], |claim| claim.held.as_slice());
                    held.iter().copied().try_fold(Fen::ZERO, Fen::plus)?
                }
                // An amount that a case decides does not stop the others from being shown.
                Err(refusal) if refusal.code == Code::ProgrammeManual => Fen::ZERO,
                Err(refusal) => return Err(refusal.clone()),
            };
            let want = given.full.known().copied();
            claims.push(ClaimQuoted {
                claim: index,
                asked,
                base: given.base,
                want,
                room,
                held,
            });
        }
        Ok(Quoted { claims })
    }

    /// What each claim that names no hold would be given in full, within its room; zero for the others.
    pub(super) fn quoted_holds(
        &self,
        order: &Order,
        ask: &Place,
        asked: &[u8],
    ) -> Result<Vec<Fen>, Refusal> {
        let open = |index: &u8| {
            ask.claims
                .get(usize::from(*index))
                .is_some_and(|claim| claim.hold.is_none())
        };
        if !asked.iter().any(open) {
            return Ok(Vec::new());
        }
        let programmes = self.programmes_of(order)?;
        let mut valuation = Valuation::new(order.worth(), &order.sums, &programmes).in_full();
        let mut holds = Vec::with_capacity(asked.len());
        for (index, (asked, claim)) in asked.iter().zip(&order.claims).enumerate() {
            let (given, room) = valuation.value(index)?;
            valuation.limit(Limit {
                most: Fen::MAX,
                granted: Fen::ZERO,
            });
            let settles_later = claim.source == Source::Settlement;
            holds.push(match given.full {
                Known::Known(full) => full.min(room),
                Known::Unknown if !open(asked) || settles_later => Fen::ZERO,
                Known::Unknown => return Err(manual(&claim.programme)),
            });
        }
        Ok(holds)
    }

    /// What one programme gives for terms used in full.
    pub(super) fn in_full(
        &self,
        programme: &Programme,
        terms: &Terms,
        tiers: &[TierChoice],
    ) -> Result<Fen, Refusal> {
        let sums = Sums {
            contract: terms.contract.clone(),
            approved: terms.approved.clone(),
            ..Sums::default()
        };
        let programmes = [programme];
        let asked = Worth {
            scheme: terms.scheme,
            segments: &terms.segments,
            contract_days: terms.contract_days,
            service_days: terms.service_days,
            tiers: vec![tiers],
        };
        let (given, _) = Valuation::new(asked, &sums, &programmes)
            .in_full()
            .value(0)?;
        match given.full {
            Known::Known(full) => Ok(full),
            Known::Unknown => Err(manual(&programme.header.id)),
        }
    }
}

fn manual(programme: &crate::id::ProgrammeId) -> Refusal {
    let sentence = "a fact or amount is unknown, so that a case decides; open one";
    Refusal::new(Code::ProgrammeManual, sentence).with("programme", programme)
}
