//! Use, corrections and documents: each changes the sums of an order's evidence, then the order is stated anew.

use super::claim::ClaimFound;
use super::draft::Draft;
use super::moving::period_of;
use super::order::{Claim, Order, Receipt, Source, Sums};
use super::statement::{Cause, Stated, Statement};
use super::{Inconsistency, Money, Outcome};
use crate::id::OrderId;
use crate::ledger::ClaimIndex;
use crate::money::{Fen, Overflow};
use crate::programme::schema::{Line, Overrun, Programme};
use crate::programme::subsidy::Lines;
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;

/// The units of one receipt: it lies in exactly one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// The order.
    pub order: OrderId,
    /// The segment, from 0.
    pub segment: u16,
    /// Its units: GPU-seconds, or what the segment counts.
    pub units: i64,
    /// The end of the receipt's span.
    pub end: Timestamp,
}

/// A receipt said anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// The order.
    pub order: OrderId,
    /// Which of the order's receipts, from 0 in the order of acceptance.
    pub corrects: u32,
    /// The segment that it lies in now.
    pub segment: u16,
    /// Its units now, in place of what they were.
    pub units: i64,
}

/// What a document or a decision says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// More was invoiced.
    Invoiced(Vec<(Line, Fen)>),
    /// More was paid.
    Paid(Vec<(Line, Fen)>),
    /// The contract's amount is this.
    Contract(Vec<(Line, Fen)>),
    /// A case approved this amount.
    Approved(Vec<(Line, Fen)>),
    /// The buyer has accepted, or is deemed to (data).
    Accepted,
    /// Use is proven (data).
    UseProven,
    /// A case decided what a claim is given where the programme leaves it to a decision.
    Decided(ClaimIndex, Fen),
}

/// A document or decision about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The order.
    pub order: OrderId,
    /// What it says.
    pub says: Says,
}

impl Money {
    /// Counts a receipt's units and states the order anew; it may earn nothing.
    /// # Errors
    /// `order.unknown` `receipt.order-closed` `receipt.quantity` `amount.overflow`
    pub fn receipt(&self, at: Timestamp, ask: &Use) -> Result<Outcome<Stated>, Refusal> {
        let order = self.order(ask.order)?;
        order.check_open(Code::ReceiptOrderClosed)?;
        let mut sums = order.sums.clone();
        let counts = order.counts(ask.end, &self.programmes_of(order)?);
        count_use(&mut sums, (ask.segment, ask.units), counts)?;
        let cause = Cause {
            end: ask.end,
            corrects: false,
        };
        let outcome = self.state_order(at, ask.order, &sums, Some(cause))?;
        self.check_overrun(order, &outcome.found.claims)?;
        Ok(outcome)
    }

    /// Applies a receipt.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_receipt(
        &mut self,
        at: Timestamp,
        ask: &Use,
        outcome: &Outcome<Stated>,
    ) -> Result<(), Inconsistency> {
        let order = self.order(ask.order)?;
        let counts = order.counts(ask.end, &self.programmes_of(order)?);
        let order = self.order_mut(ask.order)?;
        count_use(&mut order.sums, (ask.segment, ask.units), counts)?;
        let Use {
            segment,
            units,
            end,
            ..
        } = *ask;
        order.receipts.push(Receipt {
            segment,
            counts,
            denied: 0,
            units,
            end,
        });
        for (index, claim) in order.claims.iter_mut().enumerate() {
            if counts >> index & 1 == 1 && claim.first_benefit.is_none() {
                claim.first_benefit = Some(end);
            }
        }
        self.apply_stated(at, ask.order, outcome)
    }

    /// Replaces a receipt's units and states the order anew; also after the order has ended, until its last period is
    /// closed.
    /// # Errors
    /// `order.unknown` `receipt.correction` `receipt.order-closed` `receipt.quantity` `amount.overflow`
    pub fn correct(&self, at: Timestamp, ask: &Correction) -> Result<Outcome<Stated>, Refusal> {
        let order = self.order(ask.order)?;
        let receipt = corrected(&order.receipts, ask)?;
        self.check_correctable(ask.order)?;
        let mut sums = order.sums.clone();
        replace_use(&mut sums, ask, receipt)?;
        let cause = Cause {
            end: receipt.end,
            corrects: true,
        };
        self.state_order(at, ask.order, &sums, Some(cause))
    }

    /// Applies a correction.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_correct(
        &mut self,
        at: Timestamp,
        ask: &Correction,
        outcome: &Outcome<Stated>,
    ) -> Result<(), Inconsistency> {
        let order = self.order_mut(ask.order)?;
        let receipt = corrected(&order.receipts, ask)?;
        replace_use(&mut order.sums, ask, receipt)?;
        if let Some(line) = order.receipts.get_mut(place(ask)) {
            line.segment = ask.segment;
            line.units = ask.units;
            // It is said anew, by a key that is good: what a case did not believe is no longer said.
            line.denied = 0;
        }
        self.apply_stated(at, ask.order, outcome)
    }

    /// Takes a document or decision and states the order anew.
    /// # Errors
    /// `order.unknown` `order.claims` `evidence.invalid` `amount.overflow`
    pub fn evidence(&self, at: Timestamp, ask: &Evidence) -> Result<Outcome<Stated>, Refusal> {
        let order = self.order(ask.order)?;
        let mut sums = order.sums.clone();
        take(&mut sums, &ask.says)?;
        self.state_order(at, ask.order, &sums, None)
    }

    /// Applies a document or decision.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_evidence(
        &mut self,
        at: Timestamp,
        ask: &Evidence,
        outcome: &Outcome<Stated>,
    ) -> Result<(), Inconsistency> {
        take(&mut self.order_mut(ask.order)?.sums, &ask.says)?;
        self.apply_stated(at, ask.order, outcome)
    }

    /// States an order anew without new evidence: where nothing was left open, nothing moves.
    /// # Errors
    /// `order.unknown` `amount.overflow`
    pub fn restate(&self, at: Timestamp, order: OrderId) -> Result<Outcome<Stated>, Refusal> {
        let sums = &self.order(order)?.sums;
        self.state_order(at, order, sums, None)
    }

    /// Applies a statement without new evidence.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_restate(
        &mut self,
        at: Timestamp,
        order: OrderId,
        outcome: &Outcome<Stated>,
    ) -> Result<(), Inconsistency> {
        self.apply_stated(at, order, outcome)
    }

    /// Refuses to correct an order that has ended once its last period is closed for all who are paid: a clawback case is
    /// the way then (DESIGN §4.4).
    /// # Errors
    /// `order.unknown` `receipt.order-closed`
    pub fn check_correctable(&self, order: OrderId) -> Result<(), Refusal> {
        let order = self.order(order)?;
        if !order.closed {
            return Ok(());
        }
        let Some(last) = order.receipts.iter().map(|receipt| receipt.end).max() else {
            return Ok(());
        };
        let over = |(claim, programme): (&Claim, &Programme)| {
            self.is_closed(claim.payee, period_of(programme, last.after(-1)))
        };
        if order
            .claims
            .iter()
            .zip(self.programmes_of(order)?)
            .all(over)
        {
            let sentence =
                "the order has ended and its last period is closed; a clawback case is the way";
            return Err(Refusal::new(Code::ReceiptOrderClosed, sentence));
        }
        Ok(())
    }

    /// Refuses use beyond what is held where a programme wants that refused and not just left unsubsidised.
    fn check_overrun(&self, order: &Order, found: &[ClaimFound]) -> Result<(), Refusal> {
        for (programme, found) in self.programmes_of(order)?.into_iter().zip(found) {
            let claim = order.claim(found.claim)?;
            let open = found.want.min(found.room).minus(claim.sums.denied)?;
            let over = open > found.grant && !found.manual && claim.source != Source::Settlement;
            if over && programme.instrument.overrun == Overrun::Refuse {
                let sentence = format!("the use earns {open} fen, the hold gives {}", found.grant);
                return Err(Refusal::new(Code::ReceiptQuantity, sentence)
                    .with("claim", found.claim)
                    .with("earns", open));
            }
        }
        Ok(())
    }

    fn state_order(
        &self,
        at: Timestamp,
        id: OrderId,
        evidence: &Sums,
        cause: Option<Cause>,
    ) -> Result<Outcome<Stated>, Refusal> {
        let order = self.order(id)?;
        let mut draft = Draft::new(self);
        let claims = Statement::new(&mut draft, at, (id, order), evidence)?
            .because(cause)
            .run()?;
        draft.finish(Stated { claims })
    }

    fn apply_stated(
        &mut self,
        at: Timestamp,
        order: OrderId,
        outcome: &Outcome<Stated>,
    ) -> Result<(), Inconsistency> {
        let moves = (&outcome.postings, &outcome.counters);
        self.apply_claims(at, order, &outcome.found.claims, moves)
    }
}

fn count_use(sums: &mut Sums, (segment, units): (u16, i64), counts: u8) -> Result<(), Refusal> {
    if units < 0 || usize::from(segment) >= sums.uses.len() {
        let sentence = format!(
            "{units} units in segment {segment} of {}; name a segment and units ≥ 0",
            sums.uses.len()
        );
        return Err(Refusal::new(Code::ReceiptQuantity, sentence).with("segment", segment));
    }
    Ok(sums.use_units(segment, counts, units)?)
}

fn place(ask: &Correction) -> usize {
    usize::try_from(ask.corrects).unwrap_or(usize::MAX)
}

fn corrected(receipts: &[Receipt], ask: &Correction) -> Result<Receipt, Refusal> {
    receipts.get(place(ask)).copied().ok_or_else(|| {
        let sentence = format!("the order has {} receipts", receipts.len());
        Refusal::new(Code::ReceiptCorrection, sentence).with("corrects", ask.corrects)
    })
}

fn replace_use(sums: &mut Sums, ask: &Correction, receipt: Receipt) -> Result<(), Refusal> {
    let was = receipt.units.checked_neg().ok_or(Overflow)?;
    sums.use_units(receipt.segment, receipt.believed(), was)?;
    count_use(sums, (ask.segment, ask.units), receipt.counts)
}

fn take(sums: &mut Sums, says: &Says) -> Result<(), Refusal> {
    let lines = |lines: &[(Line, Fen)]| -> Result<Lines, Refusal> {
        let mut sum = Lines::default();
        for (line, fen) in lines {
            if fen.is_negative() {
                let sentence = format!("{fen} fen for {line}; an amount is ≥ 0");
                return Err(Refusal::new(Code::EvidenceInvalid, sentence));
            }
            sum.add(*line, *fen)?;
        }
        Ok(sum)
    };
    match says {
        Says::Invoiced(more) => sums.invoiced.add_all(&lines(more)?)?,
        Says::Paid(more) => sums.paid.add_all(&lines(more)?)?,
        Says::Contract(amount) => sums.contract = Some(lines(amount)?),
        Says::Approved(amount) => sums.approved = Some(lines(amount)?),
        Says::Accepted => (sums.accepted, sums.not_accepted_for) = (true, 0),
        Says::UseProven => (sums.use_proven, sums.not_proven_for) = (true, 0),
        Says::Decided(claim, fen) => {
            let slot = sums
                .decided
                .get_mut(usize::from(*claim))
                .filter(|_| !fen.is_negative());
            let slot = slot.ok_or_else(|| {
                Refusal::new(Code::OrderClaims, "the order has no such claim").with("claim", claim)
            })?;
            *slot = Some(*fen);
        }
    }
    Ok(())
}
