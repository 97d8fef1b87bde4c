//! The net price of an order before it is placed: the best combination of what the buyer may draw on, and for
//! everything that does not apply, why not. Reads the book with the functions that `decide` uses; writes nothing.

use serde::{Deserialize, Serialize};

use crate::book::Book;
use crate::book::command::{ClaimAsked, Contract, SegmentAsked};
use crate::book::issuing;
use crate::book::matter::About;
use crate::book::ordering::{self, Backing, Goodslist};
use crate::id::{OrderId, PartyId, ProgrammeId, Salt, VoucherId};
use crate::money::Fen;
use crate::programme::TraceLine;
use crate::programme::schema::{CommitAt, Mode, Scheme};
use crate::programme::subsidy::TierChoice;
use crate::refusal::{Code, Refusal};
use crate::settlement::place::{Place, PlaceClaim, Right};
use crate::settlement::quote::{ClaimQuoted, Quoted};
use crate::time::Timestamp;

/// The most claims that a combination is made of.
pub const COMBINED_MAX: usize = 4;
/// The most candidates that are combined; the best ones by themselves.
const CANDIDATES_MAX: usize = 12;

/// An order to quote: as in `order.placed`, without claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteAsked {
    /// Who sells.
    pub seller: PartyId,
    /// What is ordered; `limit` is the use that the price is for.
    pub segments: Vec<SegmentAsked>,
    /// The contract behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// The stated purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

/// One claim of the best combination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The voucher, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voucher: Option<VoucherId>,
    /// The programme.
    pub programme: ProgrammeId,
    /// Who pays whom first.
    pub mode: Mode,
    /// What the money machine says.
    pub quoted: ClaimQuoted,
    /// What the claim gives if the order is used in full.
    pub gives_fen: Fen,
}

/// Something that does not apply, or not in the best combination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotApplied {
    /// The voucher, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voucher: Option<VoucherId>,
    /// The programme.
    pub programme: ProgrammeId,
    /// Why not.
    pub code: Code,
    /// The same in words.
    pub detail: String,
}

/// A quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// What the seller charges if the order is used in full.
    pub gross_fen: Fen,
    /// What the order costs the buyer in the end.
    pub net_fen: Fen,
    /// What the buyer pays the seller: net of what is deducted, gross of what is reimbursed.
    pub pays_fen: Fen,
    /// What is repaid to the buyer later.
    pub repaid_fen: Fen,
    /// The best combination, in stacking order.
    pub claims: Vec<Applied>,
    /// The rules that ran for it.
    pub trace: Vec<TraceLine>,
    /// Everything else, and why not.
    pub not_applied: Vec<NotApplied>,
}

struct Candidate {
    backing: Backing,
    tiers: Vec<TierChoice>,
    trace: Vec<TraceLine>,
}

/// Quotes an order for a buyer.
/// # Errors
/// Those of the goods and terms of `order.placed`; a programme that says no is not an error but an answer.
pub fn quote(
    book: &Book,
    buyer: PartyId,
    at: Timestamp,
    asked: &QuoteAsked,
) -> Result<Quote, Refusal> {
    let list = ordering::goods(book, asked.seller, &asked.segments, at)?;
    let gross = gross(&list, asked.contract.as_ref())?;
    let mut not_applied = Vec::new();
    let mut candidates = Vec::new();
    for backing in backings(book, buyer, at) {
        match judged(book, buyer, at, (asked, &list), backing) {
            Ok(candidate) => candidates.push(candidate),
            Err((backing, refusal)) => not_applied.push(not(&backing, refusal)),
        }
    }
    let asking = Asking {
        book,
        buyer,
        at,
        asked,
        list: &list,
    };
    let (best, claims) = asking.best(&mut candidates, &mut not_applied)?;
    let trace = best.iter().filter_map(|place| candidates.get(*place));
    let trace = trace
        .flat_map(|candidate| candidate.trace.clone())
        .collect();
    let sum = |mode| {
        let of_mode = claims.iter().filter(|claim| claim.mode == mode);
        of_mode
            .map(|claim| claim.gives_fen)
            .try_fold(Fen::ZERO, Fen::plus)
    };
    let (deducted, repaid_fen) = (sum(Mode::Deduct)?, sum(Mode::Reimburse)?);
    let pays_fen = gross.minus(deducted)?;
    Ok(Quote {
        gross_fen: gross,
        net_fen: pays_fen.minus(repaid_fen)?,
        pays_fen,
        repaid_fen,
        claims,
        trace,
        not_applied,
    })
}

/// Everything that the buyer might draw on: living vouchers, then programmes without vouchers.
fn backings(book: &Book, buyer: PartyId, at: Timestamp) -> Vec<Backing> {
    let vouchers = book.money.vouchers_of(buyer);
    let vouchers = vouchers.filter(|(_, voucher)| !voucher.is_dead_at(at));
    let held = vouchers.filter_map(|(id, voucher)| {
        let programme = book.pinned(&voucher.programme, voucher.version).ok()?;
        Some(Backing {
            right: Right::Voucher(id),
            programme,
        })
    });
    let open = book
        .programmes
        .iter()
        .filter(|(_, enactment)| enactment.closed.is_none());
    let direct = open.filter_map(|(id, enactment)| {
        let (_, version) = enactment.current()?;
        let programme = std::sync::Arc::clone(&version.programme);
        Some(Backing {
            right: Right::Programme(id.clone()),
            programme,
        })
    });
    held.chain(direct).collect()
}

fn judged(
    book: &Book,
    buyer: PartyId,
    at: Timestamp,
    (asked, list): (&QuoteAsked, &Goodslist),
    backing: Backing,
) -> Result<Candidate, (Backing, Refusal)> {
    let about = About {
        seller: Some(asked.seller),
        sites: list.sites.clone(),
        dataset: list.dataset,
        contract: asked.contract.as_ref(),
        purpose: asked.purpose.as_deref(),
    };
    let by_voucher = backing.programme.instrument.commit_at == CommitAt::Issue;
    if by_voucher && matches!(backing.right, Right::Programme(_)) {
        let sentence = "the programme pays through vouchers; apply for one";
        return Err((backing, Refusal::new(Code::OrderClaims, sentence)));
    }
    match ordering::judge(book, &backing, (buyer, list), at, &about) {
        Ok((tiers, trace)) => Ok(Candidate {
            backing,
            tiers,
            trace,
        }),
        Err(refusal) => Err((backing, refusal)),
    }
}

struct Asking<'a> {
    book: &'a Book,
    buyer: PartyId,
    at: Timestamp,
    asked: &'a QuoteAsked,
    list: &'a Goodslist,
}

impl Asking<'_> {
    /// Tries every combination of at most [`COMBINED_MAX`] candidates that may meet, and keeps the one that gives most;
    /// of equals the one with fewer claims, then the one that expires sooner (candidates come in that order).
    fn best(
        &self,
        candidates: &mut Vec<Candidate>,
        not_applied: &mut Vec<NotApplied>,
    ) -> Result<(Vec<usize>, Vec<Applied>), Refusal> {
        self.rank(candidates, not_applied);
        let mut best = (Fen::ZERO, Vec::new(), Vec::new());
        for combination in combinations(candidates.len()) {
            let Ok(applied) = self.value(candidates, &combination) else {
                continue;
            };
            let gives = applied
                .iter()
                .map(|claim| claim.gives_fen)
                .try_fold(Fen::ZERO, Fen::plus)?;
            if gives > best.0 {
                best = (gives, combination, applied);
            }
        }
        let left = candidates
            .iter()
            .enumerate()
            .filter(|(place, _)| !best.1.contains(place));
        not_applied.extend(left.map(|(_, candidate)| {
            let sentence = "another combination gives more";
            not(
                &candidate.backing,
                Refusal::new(Code::ProgrammeStack, sentence),
            )
        }));
        Ok((best.1, best.2))
    }

    /// Sorts candidates by what they give alone, drops those that give nothing, and says why.
    fn rank(&self, candidates: &mut Vec<Candidate>, not_applied: &mut Vec<NotApplied>) {
        let mut ranked = Vec::new();
        for candidate in candidates.drain(..) {
            let alone = [candidate];
            let value = self.value(&alone, &[0]);
            let [candidate] = alone;
            let gives = value.map(|applied| applied.first().map_or(Fen::ZERO, |a| a.gives_fen));
            match gives {
                Ok(gives) if gives > Fen::ZERO => ranked.push((gives, candidate)),
                Ok(_) => {
                    let sentence = "nothing is left of it for this order";
                    let refusal = Refusal::new(Code::VoucherNothing, sentence);
                    not_applied.push(not(&candidate.backing, refusal));
                }
                Err(refusal) => not_applied.push(not(&candidate.backing, refusal)),
            }
        }
        ranked.sort_by_key(|(gives, _)| std::cmp::Reverse(*gives));
        ranked.truncate(CANDIDATES_MAX);
        candidates.extend(ranked.into_iter().map(|(_, candidate)| candidate));
    }

    fn value(
        &self,
        candidates: &[Candidate],
        combination: &[usize],
    ) -> Result<Vec<Applied>, Refusal> {
        let chosen: Vec<&Candidate> = combination
            .iter()
            .filter_map(|place| candidates.get(*place))
            .collect();
        let backings: Vec<Backing> = chosen.iter().map(|c| c.backing.clone()).collect();
        ordering::check_stacking(&backings)?;
        let first = chosen.first().map(|candidate| &candidate.backing.programme);
        let contract = self.asked.contract.as_ref();
        let buyer = first.map_or_else(
            || crate::settlement::cap::Holder::new(self.buyer),
            |programme| issuing::holder(self.book, self.buyer, self.at, programme, contract),
        );
        let claim = |candidate: &&Candidate| PlaceClaim {
            right: candidate.backing.right.clone(),
            hold: None,
            tiers: candidate.tiers.clone(),
        };
        let place = Place {
            // Nothing is written: any id that no order has.
            order: OrderId::draw(&Salt::new([0; 16]), u64::MAX, 0),
            buyer,
            seller: self.asked.seller,
            terms: ordering::priced(self.list, contract)?,
            claims: chosen.iter().map(claim).collect(),
        };
        let Quoted { claims } = self.book.money.quote(self.at, &place)?;
        Ok(claims
            .into_iter()
            .filter_map(|quoted| applied(&chosen, quoted))
            .collect())
    }
}

fn applied(chosen: &[&Candidate], quoted: ClaimQuoted) -> Option<Applied> {
    let backing = &chosen.get(usize::from(quoted.asked))?.backing;
    let programme = &backing.programme;
    let want = quoted.want.unwrap_or(Fen::ZERO).min(quoted.room);
    let gives_fen = match programme.instrument.commit_at {
        CommitAt::Issue | CommitAt::Order => want.min(quoted.held),
        CommitAt::Settlement => want,
    };
    Some(Applied {
        voucher: voucher(&backing.right),
        programme: programme.header.id.clone(),
        mode: programme.instrument.mode,
        quoted,
        gives_fen,
    })
}

const fn voucher(right: &Right) -> Option<VoucherId> {
    match right {
        Right::Voucher(voucher) => Some(*voucher),
        Right::Programme(_) => None,
    }
}

fn not(backing: &Backing, refusal: Refusal) -> NotApplied {
    NotApplied {
        voucher: voucher(&backing.right),
        programme: backing.programme.header.id.clone(),
        code: refusal.code,
        detail: refusal.sentence,
    }
}

/// Every set of 1 to [`COMBINED_MAX`] places below `count`, smaller sets first.
fn combinations(count: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::new();
    let mut last: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..COMBINED_MAX {
        let mut next = Vec::new();
        for set in &last {
            let from = set.last().map_or(0, |place| place + 1);
            next.extend((from..count).map(|place| [set.as_slice(), &[place]].concat()));
        }
        all.extend(next.iter().cloned());
        last = next;
    }
    all
}

/// What the seller charges for full use.
fn gross(list: &Goodslist, contract: Option<&Contract>) -> Result<Fen, Refusal> {
    if list.segments.is_empty() {
        return Ok(contract.map_or(Fen::ZERO, |contract| contract.fen));
    }
    let mut gross = Fen::ZERO;
    for segment in &list.segments {
        let charge = match (list.scheme, segment.limit) {
            (Scheme::Data, _) => segment.price_fen,
            (Scheme::Compute | Scheme::Model, None) => {
                let sentence = "give each segment a limit: the price is that of using it in full";
                return Err(Refusal::new(Code::OrderTerms, sentence));
            }
            (Scheme::Compute | Scheme::Model, Some(limit)) => {
                let units = i64::try_from(limit).map_err(|_| crate::money::Overflow)?;
                ordering::price(segment)?.charge(units)?
            }
        };
        gross = gross.plus(charge)?;
    }
    Ok(gross)
}

/// The claims of a quote, as `order.placed` takes them.
#[must_use]
pub fn as_claims(quote: &Quote) -> Vec<ClaimAsked> {
    let claim = |applied: &Applied| ClaimAsked {
        voucher: applied.voucher,
        programme: applied.voucher.is_none().then(|| applied.programme.clone()),
        hold_fen: None,
    };
    quote.claims.iter().map(claim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_all_small_sets_once() {
        assert_eq!(combinations(3).len(), 7);
        assert_eq!(combinations(5).len(), 5 + 10 + 10 + 5);
        assert_eq!(combinations(0).len(), 0);
        assert_eq!(combinations(3).first(), Some(&vec![0]));
    }
}
