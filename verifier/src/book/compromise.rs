//! What rests on a key: found again from chains and dealings whenever it is asked, so that nothing is kept twice (DESIGN §5).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::Book;
use super::state::chain::Spoken;
use super::state::compromise::Compromise;
use crate::id::{CaseId, OrderId, PartyId};
use crate::ledger::{Account, ClaimIndex};
use crate::money::Fen;
use crate::receipt::{KeyUse, Verdict};
use crate::refusal::Refusal;
use crate::settlement::freeze::{Doubt, Doubtful, RuledShare, Ruling};
use crate::signature::Kid;
use crate::time::Timestamp;

/// The most orders that one entry looks at: each is stated anew. A longer list is several entries.
const ORDERS_MAX: usize = 1_000;

/// A key, and from when on it is not believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suspect {
    pub(super) kid: Kid,
    pub(super) since: Timestamp,
}

impl Suspect {
    const fn of(compromise: &Compromise) -> Self {
        Self {
            kid: compromise.kid,
            since: compromise.since,
        }
    }
}

impl Book {
    /// Orders behind `after` with evidence of a suspect key, at most [`ORDERS_MAX`]; and the last of them where others follow.
    pub(super) fn suspected(
        &self,
        suspect: Suspect,
        after: Option<OrderId>,
    ) -> (Vec<OrderId>, Option<OrderId>) {
        let Some(party) = self.earning_party(suspect.kid) else {
            return (Vec::new(), None);
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = |order: &OrderId| after.is_none_or(|after| *order > after);
        let chains = self.chains.keys().filter(|(_, issuer)| *issuer == party);
        let chains = chains.map(|(order, _)| *order).filter(behind);
        let proven = self.dealings.range((from, Bound::Unbounded));
        let proven = proven.filter(|(_, dealings)| {
            let prover = dealings.proven_by;
            prover.is_some_and(|prover| prover.issuer == party)
        });
        let orders: BTreeSet<OrderId> = chains.chain(proven.map(|(order, _)| *order)).collect();
        let doubted = |order: &OrderId| !self.doubt(*order, suspect).is_nothing();
        let mut orders: Vec<_> = orders
            .into_iter()
            .filter(doubted)
            .take(ORDERS_MAX + 1)
            .collect();
        if orders.len() <= ORDERS_MAX {
            return (orders, None);
        }
        orders.truncate(ORDERS_MAX);
        let last = orders.last().copied();
        (orders, last)
    }

    /// All that is in doubt of an order: by this key, and by those whose case is not decided.
    pub(super) fn doubtful(&self, order: OrderId, suspect: Suspect) -> Doubtful {
        let mut doubt = self.doubt(order, suspect);
        for compromise in self.compromises.values() {
            doubt.join(self.doubt(order, Suspect::of(compromise)));
        }
        Doubtful { order, doubt }
    }

    /// What of an order's evidence stands on a suspect key alone. What a good key has corrected since is said by that one.
    fn doubt(&self, order: OrderId, suspect: Suspect) -> Doubt {
        let mut doubt = Doubt::default();
        let Some(party) = self.earning_party(suspect.kid) else {
            return doubt;
        };
        let dealings = self.dealings.get(&order);
        if let Some(chain) = self.chains.get(&(order, party)) {
            let signed: Vec<_> = chain.signed_by(suspect.kid, suspect.since).collect();
            let usages = signed.iter().filter_map(|(_, one)| one.usage.as_ref());
            doubt.lines = usages.filter(|of| !of.replaced).map(|of| of.line).collect();
            doubt.lines.sort_unstable();
            let entries: BTreeSet<u64> = signed.iter().map(|(_, one)| one.entry).collect();
            let last = chain.accepted().last().map(|one| one.entry);
            let mut deliveries = dealings.iter().flat_map(|all| all.deliveries.values());
            doubt.accepted = deliveries.any(|delivered| match delivered.verdict {
                // Silence rests on the delivery, a buyer's word on the last of its chain: nothing follows it.
                Some(Spoken::Deemed) => entries.contains(&delivered.entry),
                Some(Spoken::Signed(Verdict::Accepted)) => {
                    self.orders.get(&order).is_some_and(|of| of.buyer == party)
                        && last.is_some_and(|last| entries.contains(&last))
                }
                Some(Spoken::Signed(Verdict::Defect)) | None => false,
            });
        }
        let prover = dealings.and_then(|dealings| dealings.proven_by);
        doubt.proven = prover.is_some_and(|prover| {
            let chain = self.chains.get(&(prover.order, prover.issuer));
            let mut signed = chain
                .into_iter()
                .flat_map(|chain| chain.signed_by(suspect.kid, suspect.since));
            signed.any(|(seq, _)| seq == prover.seq)
        });
        doubt
    }

    /// Whose evidence a key signs; keys for capacity and recovery earn nothing.
    fn earning_party(&self, kid: Kid) -> Option<PartyId> {
        let key = self.keys.get(&kid)?;
        match key.key_use {
            KeyUse::Receipt | KeyUse::Acceptance => Some(key.party),
            KeyUse::Capacity | KeyUse::Recovery => None,
        }
    }

    /// The undecided compromise of a key, with its case.
    pub(super) fn compromise_of(&self, kid: Kid) -> Option<(CaseId, &Compromise)> {
        let mut all = self.compromises.iter();
        all.find(|(_, compromise)| compromise.kid == kid)
            .map(|(case, compromise)| (*case, compromise))
    }

    /// A decision on claims of a case, order by order: what was frozen for it, and what it denies.
    /// # Errors
    /// `order.unknown` `order.claims` `amount.overflow`
    pub(super) fn rulings(
        &self,
        case: CaseId,
        claims: &[(OrderId, ClaimIndex)],
        restored: bool,
    ) -> Result<Vec<Ruling>, Refusal> {
        let Some(compromise) = self.compromises.get(&case) else {
            return Ok(Vec::new());
        };
        let mut rulings: BTreeMap<OrderId, Ruling> = BTreeMap::new();
        for (order, claim) in claims {
            let share = self.share_of(case, compromise, (*order, *claim))?;
            let doubt = || self.doubt(*order, Suspect::of(compromise));
            let ruling = rulings.entry(*order).or_insert_with(|| Ruling {
                order: *order,
                claims: Vec::new(),
                waiting: self.waiting(case, claims, *order),
                denied: if restored { Doubt::default() } else { doubt() },
            });
            ruling.claims.push(share);
        }
        Ok(rulings.into_values().collect())
    }

    /// The claims of an order that wait in a case, other than those decided now.
    fn waiting(
        &self,
        case: CaseId,
        decided: &[(OrderId, ClaimIndex)],
        order: OrderId,
    ) -> Vec<ClaimIndex> {
        let of = |(id, compromise): (&CaseId, &Compromise)| -> Vec<ClaimIndex> {
            let own = compromise
                .claims
                .range((order, 0)..=(order, ClaimIndex::MAX));
            let own = own.filter(|(place, _)| *id != case || !decided.contains(place));
            own.map(|((_, claim), _)| *claim).collect()
        };
        let all: BTreeSet<ClaimIndex> = self.compromises.iter().flat_map(of).collect();
        all.into_iter().collect()
    }

    /// What was frozen of a claim for one case, and for the others.
    fn share_of(
        &self,
        case: CaseId,
        compromise: &Compromise,
        place: (OrderId, ClaimIndex),
    ) -> Result<RuledShare, Refusal> {
        let funds = self.money.order(place.0)?.claim(place.1)?.sums.funds.len();
        let nothing = vec![Fen::ZERO; funds];
        let whole = |fen: Option<&Vec<Fen>>| match fen {
            Some(fen) if !fen.is_empty() => fen.clone(),
            Some(_) | None => nothing.clone(),
        };
        let mut others = nothing.clone();
        for (_, other) in self.compromises.iter().filter(|(id, _)| **id != case) {
            for (sum, fen) in others.iter_mut().zip(whole(other.claims.get(&place))) {
                *sum = sum.plus(fen)?;
            }
        }
        Ok(RuledShare {
            claim: place.1,
            fen: whole(compromise.claims.get(&place)),
            others,
        })
    }

    /// What of a claim is frozen, fund by fund.
    #[must_use]
    pub fn frozen(&self, order: OrderId, claim: ClaimIndex) -> Fen {
        let of = self.money.order(order).and_then(|order| order.claim(claim));
        let funds = of.iter().flat_map(|claim| &claim.sums.funds);
        let balances = funds.map(|sums| {
            self.money
                .balance(&Account::Disputed(order, claim, sums.fund.clone()))
        });
        balances.fold(Fen::ZERO, |sum, fen| sum.plus(fen).unwrap_or(sum))
    }
}
