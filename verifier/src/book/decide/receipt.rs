//! `receipt.accepted`: the checks of a usage receipt in their one order (DESIGN §5).
//!
//! Each check is a function named for its code. A correction passes the same ones with what it corrects taken out.

use std::sync::Arc;

use crate::book::Book;
use crate::book::command::{AcceptReceipt, Billing};
use crate::book::decide::supply::check_audience;
use crate::book::decide::{Case, Decision, delivery, proof};
use crate::book::found::Found;
use crate::book::state::chain::{Chain, Dealings, Usage};
use crate::book::state::order::{Goods, Order, Segment, Standing};
use crate::id::{OrderId, PartyId};
use crate::programme::Programme;
use crate::programme::schema::{Overrun, Scheme};
use crate::receipt::{Claims, ComputeUsage, KeyUse, Kind, Link, Receipt, Signed};
use crate::refusal::{Code, Refusal};
use crate::settlement::Outcome;
use crate::settlement::counter::CounterKey;
use crate::settlement::fund::merge_counters;
use crate::settlement::statement::Stated;
use crate::time::{DAY_SECONDS, Timestamp};

/// Enters a usage or delivery receipt.
pub(super) fn accept(case: &Case<'_>, asked: &AcceptReceipt) -> Result<Decision, Refusal> {
    is_new(case, &asked.jws)?;
    match asked.jws.receipt().claims() {
        Claims::Usage(claims) => usage(case, &asked.jws, claims),
        Claims::Delivery(claims) => delivery::deliver(case, &asked.jws, claims),
        Claims::Acceptance(_)
        | Claims::Capacity(_)
        | Claims::Registration(_)
        | Claims::Succession(_)
        | Claims::Reply(_)
        | Claims::Order(_) => {
            let typ = asked.jws.receipt().typ();
            let sentence =
                format!("a {typ} is no usage or delivery receipt; send it where it belongs");
            Err(Refusal::new(Code::ReceiptMalformed, sentence))
        }
    }
}

/// A receipt is its own key: sent again by its issuer, it is answered with the entry that it is.
pub(super) fn is_new(case: &Case<'_>, jws: &Signed) -> Result<(), Refusal> {
    let receipt = jws.receipt();
    let (Some(link), Some(seq)) = (receipt.claims().link(), case.book.known_receipt(receipt))
    else {
        return Ok(());
    };
    case.acts_for(link.iss)?;
    let sentence = format!("the receipt is entry {seq}; nothing is appended");
    Err(Refusal::new(Code::CommandRepeated, sentence).with("seq", seq))
}

fn usage(case: &Case<'_>, jws: &Signed, claims: &ComputeUsage) -> Result<Decision, Refusal> {
    let link = claims.link();
    key(case, jws, KeyUse::Receipt, &link)?;
    let order = order_of(case, &link, Scheme::Compute, |order| {
        order.seller == link.iss
    })?;
    match claims.kind {
        Kind::Usage => takes_receipts(case, order)?,
        // What was said can be put right for longer: until an ended order's last period is closed (DESIGN §4.4).
        Kind::Correction => case.book.money.check_correctable(link.sub)?,
    }
    let chain = chain(case.book, &link)?;
    claims.check_period()?;
    link.check_issued_by(case.env.at)?;
    let corrected = corrected((order, chain), claims);
    let use_of = UseOf {
        case,
        order,
        dealings: case.book.dealings.get(&link.sub),
        claims,
        // A correction of nothing fails at its own place in the order; until then nothing is taken out.
        old: corrected.as_ref().ok().copied().flatten(),
    };
    if corrected.is_ok() {
        use_of.overlap()?;
    }
    let segment = use_of.model()?;
    claims.check_rate()?;
    claims.check_jobs()?;
    let new = use_of.usage(segment);
    if corrected.is_ok() {
        use_of.runs(&new)?;
        use_of.capacity(segment, &new)?;
    }
    use_of.provenance()?;
    use_of.quantity(segment, &new)?;
    corrected?;
    let outcome = use_of.settle(segment, &new)?;
    let mut decision = Decision {
        found: Found {
            order: Some(link.sub),
            stated: Some(outcome.found),
            ..Found::default()
        },
        postings: outcome.postings,
        counters: outcome.counters,
        scopes: case.book.order_scopes(link.sub)?,
    };
    merge_counters(&mut decision.counters, use_of.counters(segment, &new));
    proof::prove(case, (claims, order.buyer), &mut decision)?;
    Ok(decision)
}

/// Checks signature and key: registered for this use, good at `iat` and now, of this exchange's party.
pub(super) fn key(
    case: &Case<'_>,
    jws: &Signed,
    key_use: KeyUse,
    link: &Link<'_>,
) -> Result<(), Refusal> {
    key_of(case, (jws, key_use), (link.iss, link.aud, link.iat))
}

/// The same of a statement that is in no chain, by its `iss`, `aud` and `iat`.
pub(super) fn key_of(
    case: &Case<'_>,
    (jws, key_use): (&Signed, KeyUse),
    (iss, aud, iat): (PartyId, &str, Timestamp),
) -> Result<(), Refusal> {
    let kid = jws.receipt().kid();
    let key = case.book.keys.get(&kid);
    let key = key.filter(|key| key.key_use == key_use).ok_or_else(|| {
        let sentence = format!("no {key_use} key {kid} is registered; register it first");
        Refusal::new(Code::ReceiptKeyUnknown, sentence).with("kid", kid)
    })?;
    jws.verify(&key.public)?;
    if !key.is_good(iat, case.env.at) {
        let sentence = format!(
            "key {kid} is not good for what was signed at {iat}; sign with a key that is valid and not revoked"
        );
        return Err(Refusal::new(Code::ReceiptKeyNotValidThen, sentence).with("kid", kid));
    }
    check_audience(case.book, aud)?;
    if key.party != iss {
        let sentence = format!("the key is {}'s, iss is {iss}", key.party);
        return Err(Refusal::new(Code::ReceiptIssuer, sentence).with("expected", key.party));
    }
    case.acts_for(iss)
}

/// Finds the order, of the scheme, that takes receipts of this issuer now.
pub(super) fn open_order<'a>(
    case: &Case<'a>,
    link: &Link<'_>,
    scheme: Scheme,
    may_issue: impl Fn(&Order) -> bool,
) -> Result<&'a Order, Refusal> {
    let order = order_of(case, link, scheme, may_issue)?;
    takes_receipts(case, order)?;
    Ok(order)
}

/// Finds the order, of the scheme, in which this issuer has its part.
fn order_of<'a>(
    case: &Case<'a>,
    link: &Link<'_>,
    scheme: Scheme,
    may_issue: impl Fn(&Order) -> bool,
) -> Result<&'a Order, Refusal> {
    let order = case.book.orders.get(&link.sub);
    let order = order.filter(|order| order.scheme == scheme);
    // An order that is not there has no other issuer either: `issuer` comes before `order`.
    if order.is_some_and(|order| !may_issue(order)) {
        let sentence = format!("{} has no such part in the order", link.iss);
        return Err(Refusal::new(Code::ReceiptIssuer, sentence).with("order", link.sub));
    }
    order.ok_or_else(|| {
        let sentence = "no order of this kind; check sub and typ";
        Refusal::new(Code::ReceiptOrder, sentence).with("order", link.sub)
    })
}

/// `receipt.order-closed`: the order has not ended, and its grace is not over.
fn takes_receipts(case: &Case<'_>, order: &Order) -> Result<(), Refusal> {
    let closed = match order.standing {
        Standing::Closed(at) => Some(at),
        Standing::Open => grace_end(order).filter(|end| *end <= case.env.at),
    };
    match closed {
        None => Ok(()),
        Some(at) => {
            let sentence =
                format!("the order takes no receipts since {at}; a clawback case is the way");
            Err(Refusal::new(Code::ReceiptOrderClosed, sentence).with("closed_at", at))
        }
    }
}

/// Until when an order that stays open takes receipts.
fn grace_end(order: &Order) -> Option<Timestamp> {
    let grace = order.grace_days.saturating_mul(DAY_SECONDS);
    order.end().map(|end| end.after(grace))
}

/// Checks the place in the chain; the refusal says what `seq` and `prev` are expected.
pub(super) fn chain<'a>(book: &'a Book, link: &Link<'_>) -> Result<&'a Chain, Refusal> {
    let chain = book.chain(link.sub, link.iss);
    let (seq, prev) = (chain.next(), chain.head());
    if (link.seq, link.prev) == (seq, prev) {
        return Ok(chain);
    }
    let sentence = if link.seq == seq {
        format!("prev of receipt {seq} is not the hash of the one before; sign again with it")
    } else {
        format!("seq is {}, {seq} is expected; sign again with it", link.seq)
    };
    let refusal = Refusal::new(Code::ReceiptChain, sentence).with("seq", seq);
    Err(match prev {
        Some(prev) => refusal.with("prev", prev),
        None => refusal,
    })
}

/// What a correction corrects: a standing receipt of this chain over the same cards, place and time; none for use.
fn corrected<'a>(
    (order, chain): (&Order, &'a Chain),
    claims: &ComputeUsage,
) -> Result<Option<&'a Usage>, Refusal> {
    let Some(jti) = claims.corrects.filter(|_| claims.kind == Kind::Correction) else {
        return Ok(None);
    };
    let refused =
        |sentence: &str| Err(Refusal::new(Code::ReceiptCorrection, sentence).with("corrects", jti));
    if jti.order != claims.sub {
        return refused("a correction names a receipt of its own order");
    }
    let old = chain
        .get(jti.seq)
        .and_then(|accepted| accepted.usage.as_ref());
    let Some(old) = old else {
        return refused("no accepted receipt has that jti");
    };
    if old.replaced {
        return refused("that receipt was corrected before; correct its correction");
    }
    let segment = order.segments.get(usize::from(old.segment));
    let same = segment.is_some_and(|segment| is_for(segment, claims).is_some());
    if !same || (old.start, old.end) != (claims.start, claims.end) {
        return refused(
            "a correction repeats site, model and period; void the receipt and send a new one",
        );
    }
    Ok(Some(old))
}

/// What is billed in a segment for the receipt's cards at its site.
fn is_for(segment: &Segment, claims: &ComputeUsage) -> Option<Billing> {
    match &segment.goods {
        Goods::Gpu {
            site,
            gpu_model,
            billing,
            ..
        } if (site, gpu_model) == (&claims.site, &claims.gpu_model) => Some(*billing),
        Goods::Gpu { .. } | Goods::Dataset { .. } => None,
    }
}

/// A usage receipt in its surroundings.
struct UseOf<'a> {
    case: &'a Case<'a>,
    order: &'a Order,
    dealings: Option<&'a Dealings>,
    claims: &'a ComputeUsage,
    /// What it corrects, taken out of every sum.
    old: Option<&'a Usage>,
}

/// A segment of the terms for GPU time.
#[derive(Clone, Copy)]
struct GpuSegment<'a> {
    index: u16,
    segment: &'a Segment,
    billing: Billing,
}

impl UseOf<'_> {
    /// The segments for these cards at this site, whenever.
    fn segments(&self) -> impl Iterator<Item = GpuSegment<'_>> {
        let all = (0_u16..).zip(&self.order.segments);
        all.filter_map(|(index, segment)| {
            let billing = is_for(segment, self.claims)?;
            Some(GpuSegment {
                index,
                segment,
                billing,
            })
        })
    }

    /// `receipt.overlap`: periods of one (order, site, model) share no second.
    fn overlap(&self) -> Result<(), Refusal> {
        let (start, end) = (self.claims.start, self.claims.end);
        // What is corrected has this very period, and shares it with nobody.
        let is_own = self.old.is_some_and(|old| !old.is_void());
        if is_own || self.claims.gpu_count == 0 {
            return Ok(());
        }
        let mut uses = self
            .segments()
            .filter_map(|gpu| self.dealings?.segments.get(&gpu.index));
        let Some((from, to)) = uses.find_map(|used| used.overlapping(start, end)) else {
            return Ok(());
        };
        let sentence = format!("{from} to {to} is covered already; send each second once");
        let refusal = Refusal::new(Code::ReceiptOverlap, sentence);
        Err(refusal.with("start", from.unix()).with("end", to.unix()))
    }

    /// `receipt.model`: the period lies in exactly one segment for these cards at this site.
    fn model(&self) -> Result<GpuSegment<'_>, Refusal> {
        let (start, end) = (self.claims.start, self.claims.end);
        let holds = |gpu: &GpuSegment<'_>| gpu.segment.from <= start && end <= gpu.segment.to;
        let mut holding = self.segments().filter(holds);
        if let (Some(segment), None) = (holding.next(), holding.next()) {
            return Ok(segment);
        }
        let (model, site) = (&self.claims.gpu_model, self.claims.site);
        let sentence = match self.segments().next() {
            None => format!("the terms have no {model} at {site}"),
            Some(_) => format!(
                "the period lies in no one segment of {model} at {site}; split it where a segment ends"
            ),
        };
        Err(Refusal::new(Code::ReceiptModel, sentence))
    }

    fn usage(&self, segment: GpuSegment<'_>) -> Usage {
        let next = self.dealings.map_or(0, |dealings| dealings.lines);
        let line = self.old.map_or(next, |old| old.line);
        Usage::of(self.claims, segment.index, line)
    }

    /// `receipt.jobs`, with the book: a run belongs to one order.
    fn runs(&self, new: &Usage) -> Result<(), Refusal> {
        let site = self.case.book.site(self.claims.site)?;
        for run in &new.runs {
            let known = site.runs.get(run).map(|run| run.order);
            if let Some(order) = known.filter(|order| *order != self.claims.sub) {
                let sentence =
                    format!("a run is billed to {order} already; a run belongs to one order");
                return Err(Refusal::new(Code::ReceiptJobs, sentence).with("order", order));
            }
        }
        Ok(())
    }

    /// `receipt.capacity`: no clock hour beyond the share in force.
    fn capacity(&self, segment: GpuSegment<'_>, new: &Usage) -> Result<(), Refusal> {
        let site = self.case.book.site(self.claims.site)?;
        let capacity = site.capacity.get(&self.claims.gpu_model);
        for (hour, more) in new.occupied(segment.billing) {
            let (limit, occupied) = match capacity {
                Some(capacity) => (capacity.limit(hour), capacity.occupied(hour)),
                None => (0, 0),
            };
            let own = |old: &Usage| {
                let mut hours = old.occupied(segment.billing);
                hours
                    .find(|(of, _)| *of == hour)
                    .map_or(0, |(_, seconds)| seconds)
            };
            let others = occupied.saturating_sub(self.old.map_or(0, own));
            if more > limit.saturating_sub(others) && more > 0 {
                let sentence = format!(
                    "{more} GPU-seconds in {hour} and {others} of others exceed the share of {limit}"
                );
                let refusal = Refusal::new(Code::ReceiptCapacity, sentence).with("hour", hour);
                return Err(refusal.with("occupied", others).with("limit", limit));
            }
        }
        Ok(())
    }

    /// `receipt.provenance`: so many cards of that model stand at the site.
    fn provenance(&self) -> Result<(), Refusal> {
        let (count, model) = (self.claims.gpu_count, &self.claims.gpu_model);
        let cards = self.case.book.site(self.claims.site)?.cards(model);
        if count <= cards {
            return Ok(());
        }
        let sentence = format!("{count} {model} were used, {cards} stand at the site");
        Err(Refusal::new(Code::ReceiptProvenance, sentence).with("cards", cards))
    }

    /// `receipt.quantity`: where a programme refuses over-run, no more than the terms' limit.
    fn quantity(&self, segment: GpuSegment<'_>, new: &Usage) -> Result<(), Refusal> {
        let limit = segment
            .segment
            .limit
            .and_then(|limit| i64::try_from(limit).ok());
        let Some(limit) = limit.filter(|_| self.case.book.refuses_overrun(self.claims.sub)) else {
            return Ok(());
        };
        let so_far = self
            .dealings
            .and_then(|all| all.segments.get(&segment.index));
        let so_far = so_far.map_or(0, |used| used.units);
        let own = self.old.map_or(0, |old| old.units(segment.billing));
        let units = so_far
            .saturating_sub(own)
            .saturating_add(new.units(segment.billing));
        if units <= limit {
            return Ok(());
        }
        let sentence =
            format!("{units} GPU-seconds exceed the {limit} of the terms; amend the order");
        Err(Refusal::new(Code::ReceiptQuantity, sentence).with("limit", limit))
    }

    /// The order's statement with this receipt in its sums.
    fn settle(&self, segment: GpuSegment<'_>, new: &Usage) -> Result<Outcome<Stated>, Refusal> {
        let (money, order, at) = (&self.case.book.money, self.claims.sub, self.case.env.at);
        if self.old.is_some() {
            return money.correct(at, &new.correction(order, segment.billing));
        }
        money.receipt(at, &new.counted(order, segment.billing))
    }

    /// The site's hours and the runs: what is corrected out, the new in.
    fn counters(&self, segment: GpuSegment<'_>, new: &Usage) -> Vec<(CounterKey, i64)> {
        let (site, model) = (self.claims.site, &self.claims.gpu_model);
        let mut moves = std::collections::BTreeMap::new();
        for (usage, sign) in self.old.map(|old| (old, -1)).into_iter().chain([(new, 1)]) {
            for (hour, seconds) in usage.occupied(segment.billing) {
                *moves
                    .entry(CounterKey::site(site, model, hour))
                    .or_insert(0) += sign * seconds;
            }
            for run in &usage.runs {
                *moves.entry(CounterKey::run(site, run)).or_insert(0) += sign;
            }
        }
        moves.into_iter().filter(|(_, by)| *by != 0).collect()
    }
}

impl Book {
    /// The rules of an order's claims, in the versions that they pin.
    /// # Errors
    /// `order.unknown` `programme.missing`
    pub fn programmes_of(&self, order: OrderId) -> Result<Vec<Arc<Programme>>, Refusal> {
        let claims = self.money.order(order)?.claims.iter();
        let pinned = claims.map(|claim| self.pinned(&claim.programme, claim.version));
        pinned.collect()
    }

    /// Whether a programme of the order refuses use beyond the terms.
    #[must_use]
    pub fn refuses_overrun(&self, order: OrderId) -> bool {
        let programmes = self.programmes_of(order).unwrap_or_default();
        programmes
            .iter()
            .any(|programme| programme.instrument.overrun == Overrun::Refuse)
    }

    /// The accepted receipts of an issuer on an order; empty where there is none.
    #[must_use]
    pub fn chain(&self, order: OrderId, issuer: PartyId) -> &Chain {
        static EMPTY: Chain = Chain::new();
        self.chains.get(&(order, issuer)).unwrap_or(&EMPTY)
    }

    /// The entry that accepted this very receipt: sending one again is no error and appends nothing (DESIGN §5).
    #[must_use]
    pub fn known_receipt(&self, receipt: &Receipt) -> Option<u64> {
        let link = receipt.claims().link()?;
        let accepted = self.chain(link.sub, link.iss).get(link.seq)?;
        (accepted.hash == receipt.hash()).then_some(accepted.entry)
    }
}

#[cfg(test)]
mod tests;
