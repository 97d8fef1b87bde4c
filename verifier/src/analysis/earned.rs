//! What each claim has earned, by the level of its evidence and by whose word it rests on (DESIGN §2.8, §5).
//!
//! An entry that makes a claim earn more or less is what the difference rests on; a correction takes the part of the
//! receipt that it replaces with it. An amount is the least of its bases, so it rests on every word given about the order
//! by then.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

use super::Level;
use crate::book::Book;
use crate::book::command::{CaseSubject, Command};
use crate::book::entry::Entry;
use crate::book::state::chain::Spoken;
use crate::id::{CaseId, OrderId, PartyId};
use crate::receipt::{Claims, ComputeUsage, Link};
use crate::settlement::claim::ClaimFound;
use crate::settlement::freeze::RuledOrder;
use crate::settlement::statement::Stated;

/// Whose word something rests on: a set of the four who can say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Words(u8);

impl Words {
    /// Nobody's.
    pub const NONE: Self = Self(0);
    /// The seller's.
    pub const SELLER: Self = Self(1);
    /// The buyer's.
    pub const BUYER: Self = Self(2);
    /// An office's.
    pub const OFFICE: Self = Self(4);
    /// The exchange's.
    pub const EXCHANGE: Self = Self(8);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.has(Self::SELLER.and(Self::BUYER)) {
            parts.push("both sides");
        } else if self.has(Self::SELLER) {
            parts.push("seller");
        } else if self.has(Self::BUYER) {
            parts.push("buyer");
        }
        if self.has(Self::OFFICE) {
            parts.push("office");
        }
        if self.has(Self::EXCHANGE) {
            parts.push("exchange");
        }
        match parts.as_slice() {
            [] => f.write_str("nobody"),
            ["both sides"] => f.write_str("both sides"),
            [one] => write!(f, "{one} only"),
            several => f.write_str(&several.join(" and ")),
        }
    }
}

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What an amount rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Basis {
    /// The level of the signed receipt; none where there is none.
    pub level: Option<Level>,
    /// Whose word.
    pub words: Words,
}

/// What was earned, and what decisions took back of it, in fen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Earned by evidence; corrections can lower it.
    pub earned: i64,
    /// Taken back by clawbacks.
    pub taken_back: i64,
}

impl Amount {
    /// What is still granted.
    #[must_use]
    pub const fn net(self) -> i64 {
        self.earned.saturating_sub(self.taken_back)
    }

    /// Adds another amount.
    pub(super) const fn add(&mut self, other: Self) {
        self.earned = self.earned.saturating_add(other.earned);
        self.taken_back = self.taken_back.saturating_add(other.taken_back);
    }
}

/// Fen by claim.
type ByClaim = Vec<(u8, i64)>;

/// One claim of an order.
type Claim = (OrderId, u8);

/// All amounts by claim and basis.
#[derive(Debug, Clone, Default)]
pub struct Earned {
    amounts: BTreeMap<(Claim, Basis), Amount>,
    /// What the order's last evidence came to: the words so far, and the lowest level of its receipts.
    orders: BTreeMap<OrderId, Basis>,
    /// What each metered line has earned, so that its correction can take it along.
    lines: BTreeMap<(OrderId, u32), (Basis, ByClaim)>,
}

impl Earned {
    /// Every claim's amount on every basis.
    pub fn iter(&self) -> impl Iterator<Item = (OrderId, u8, Basis, Amount)> {
        let nothing = Amount::default();
        let all = self.amounts.iter().filter(move |all| *all.1 != nothing);
        all.map(|(((order, claim), basis), amount)| (*order, *claim, *basis, *amount))
    }

    /// Takes in an entry that was just applied.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "no other entry makes a claim earn"
    )]
    pub(super) fn take(&mut self, book: &Book, entry: &Entry) {
        let (found, stated) = (&entry.found, entry.found.stated.as_ref());
        match &entry.asked {
            Command::AcceptReceipt(asked) => match asked.jws.receipt().claims() {
                Claims::Usage(usage) => self.metered(book, entry, usage),
                claims => {
                    if let Some(link) = claims.link() {
                        self.delivered(book, link);
                    }
                }
            },
            Command::GiveAcceptance(asked) => {
                let order = asked.jws.receipt().claims().link().map(|link| link.sub);
                self.said(order, Some(Level::L1), Words::BUYER, stated);
            }
            Command::DeemAcceptance(asked) => {
                self.said(Some(asked.order), Some(Level::L0), Words::NONE, stated);
            }
            Command::RecordEvidence(asked) => {
                let word = word_of(book, asked.order, entry.by);
                self.said(Some(asked.order), None, word, stated);
            }
            Command::AmendOrder(asked) => {
                self.said(Some(asked.order), None, Words::NONE, stated);
            }
            Command::DecideCase(asked) => {
                let order = redeemed(book, asked.case);
                self.said(order, None, Words::OFFICE, stated);
                let ruled = found.ruled.iter().flat_map(|ruled| &ruled.stated);
                ruled.for_each(|ruled| self.ruled(book, ruled));
            }
            Command::MakeClawback(asked) => {
                let claims = found.clawed_back.iter().flat_map(|clawed| &clawed.claims);
                for claim in claims {
                    self.clawed(asked.order, claim);
                }
            }
            _ => {}
        }
    }

    /// A usage receipt or correction: the line it is on earns what the statement adds.
    fn metered(&mut self, book: &Book, entry: &Entry, usage: &ComputeUsage) {
        let basis = self.hear(usage.sub, Some(Level::of(usage)), Words::SELLER);
        let basis = Basis {
            level: Some(Level::of(usage)),
            ..basis
        };
        let chain = book.chains.get(&(usage.sub, usage.iss));
        let accepted = chain.and_then(|chain| chain.get(usage.seq));
        let line = accepted.and_then(|accepted| Some(accepted.usage.as_ref()?.line));
        let deltas = deltas(entry.found.stated.as_ref());
        for (claim, delta) in &deltas {
            self.earn((usage.sub, *claim), basis, *delta);
        }
        if let Some(line) = line {
            self.carry((usage.sub, line), basis, deltas);
        }
        for proven in entry.found.proven.iter().flatten() {
            let level = accepted_level(book, proven.order);
            self.said(Some(proven.order), level, Words::NONE, Some(&proven.stated));
        }
    }

    /// Moves what a line had earned to the basis of the receipt that it now is.
    fn carry(&mut self, line: (OrderId, u32), basis: Basis, new: ByClaim) {
        let (before, mut earned) = self.lines.remove(&line).unwrap_or((basis, ByClaim::new()));
        for (claim, fen) in &earned {
            self.earn((line.0, *claim), before, fen.saturating_neg());
            self.earn((line.0, *claim), basis, *fen);
        }
        for (claim, delta) in new {
            match earned.iter_mut().find(|(of, _)| *of == claim) {
                Some((_, fen)) => *fen = fen.saturating_add(delta),
                None => earned.push((claim, delta)),
            }
        }
        self.lines.insert(line, (basis, earned));
    }

    fn delivered(&mut self, book: &Book, link: Link<'_>) {
        let seller = book.orders.get(&link.sub).map(|order| order.seller);
        let word = if seller == Some(link.iss) {
            Words::SELLER
        } else {
            Words::EXCHANGE
        };
        // It earns nothing yet: the acceptance says the level.
        self.hear(link.sub, None, word);
    }

    /// Something else that is said about an order, and what it makes it earn.
    fn said(
        &mut self,
        order: Option<OrderId>,
        level: Option<Level>,
        word: Words,
        stated: Option<&Stated>,
    ) {
        let Some(order) = order else { return };
        let basis = self.hear(order, level, word);
        for (claim, delta) in deltas(stated) {
            self.earn((order, claim), basis, delta);
        }
    }

    fn clawed(&mut self, order: OrderId, found: &ClaimFound) {
        let basis = self.orders.get(&order).copied().unwrap_or_default();
        let clawed = found.clawed.iter().map(|fen| fen.get());
        let taken_back = clawed.fold(0, i64::saturating_add);
        self.earn((order, found.claim), basis, found.delta.get());
        let slot = self.amounts.entry(((order, found.claim), basis));
        slot.or_default().add(Amount {
            earned: 0,
            taken_back,
        });
    }

    /// An order stated anew without what a case denied. What is less is taken from what the denied receipts had earned, on what
    /// that rested on; what they do not account for (an acceptance, another claim's room) from the rest of the claim.
    fn ruled(&mut self, book: &Book, ruled: &RuledOrder) {
        let basis = self.orders.get(&ruled.order).copied().unwrap_or_default();
        for found in &ruled.claims {
            let claim = (ruled.order, found.claim);
            let less = found.delta.get().saturating_neg();
            if less <= 0 {
                self.earn(claim, basis, found.delta.get());
                continue;
            }
            let left = self.deny_lines(book, claim, less);
            self.deny_rest(claim, left);
        }
    }

    /// Takes at most so much of what the denied lines of an order have earned for a claim; returns what is left to take.
    fn deny_lines(&mut self, book: &Book, (order, claim): Claim, mut left: i64) -> i64 {
        let money = book.money.order(order).ok();
        let receipts = money.map_or(&[][..], |order| order.receipts.as_slice());
        let mut taken = Vec::new();
        for ((_, line), (basis, earned)) in self.lines.range_mut((order, 0)..=(order, u32::MAX)) {
            let place = usize::try_from(*line).unwrap_or(usize::MAX);
            let receipt = receipts.get(place);
            let mask = 1_u8.checked_shl(claim.into()).unwrap_or(0);
            let denied = receipt.is_some_and(|receipt| receipt.denied & mask != 0);
            for (_, fen) in earned.iter_mut().filter(|(of, _)| denied && *of == claim) {
                let part = (*fen).clamp(0, left);
                *fen = fen.saturating_sub(part);
                left = left.saturating_sub(part);
                taken.push((*basis, part));
            }
        }
        for (basis, part) in taken {
            self.earn((order, claim), basis, part.saturating_neg());
        }
        left
    }

    /// Takes so much of whatever a claim has earned; none of it becomes negative while anything is left.
    fn deny_rest(&mut self, claim: Claim, mut left: i64) {
        let all = (claim, Basis::default())..;
        let own = self
            .amounts
            .range_mut(all)
            .take_while(|((of, _), _)| *of == claim);
        for (_, amount) in own {
            let part = amount.earned.clamp(0, left);
            amount.earned = amount.earned.saturating_sub(part);
            left = left.saturating_sub(part);
        }
        let basis = self.orders.get(&claim.0).copied().unwrap_or_default();
        self.earn(claim, basis, left.saturating_neg());
    }

    /// Remembers a word, and the lowest level that an order's receipts have.
    fn hear(&mut self, order: OrderId, level: Option<Level>, word: Words) -> Basis {
        let basis = self.orders.entry(order).or_default();
        basis.words = basis.words.and(word);
        basis.level = match (basis.level, level) {
            (Some(before), Some(now)) => Some(before.min(now)),
            (before, now) => before.or(now),
        };
        *basis
    }

    fn earn(&mut self, claim: Claim, basis: Basis, earned: i64) {
        if earned != 0 {
            let slot = self.amounts.entry((claim, basis)).or_default();
            slot.add(Amount {
                earned,
                taken_back: 0,
            });
        }
    }
}

fn deltas(stated: Option<&Stated>) -> ByClaim {
    let claims = stated.into_iter().flat_map(|stated| &stated.claims);
    claims
        .map(|claim| (claim.claim, claim.delta.get()))
        .collect()
}

/// Whoever of an order's sides a party is; anybody else who may speak is an office.
fn word_of(book: &Book, order: OrderId, party: PartyId) -> Words {
    match book.orders.get(&order) {
        Some(order) if order.buyer == party => Words::BUYER,
        Some(order) if order.seller == party => Words::SELLER,
        Some(_) | None => Words::OFFICE,
    }
}

/// The order that a decided case is about.
fn redeemed(book: &Book, case: CaseId) -> Option<OrderId> {
    match book.cases.get(&case)?.subject {
        CaseSubject::Redemption { order, .. } => Some(order),
        CaseSubject::Application { .. }
        | CaseSubject::Compromise { .. }
        | CaseSubject::Recovery { .. } => None,
    }
}

/// L1 where the buyer signed for a delivery, L0 where its silence counts.
fn accepted_level(book: &Book, order: OrderId) -> Option<Level> {
    let deliveries = &book.dealings.get(&order)?.deliveries;
    let spoken = deliveries
        .values()
        .filter_map(|delivered| delivered.verdict);
    spoken
        .map(|spoken| match spoken {
            Spoken::Signed(_) => Level::L1,
            Spoken::Deemed => Level::L0,
        })
        .min()
}
