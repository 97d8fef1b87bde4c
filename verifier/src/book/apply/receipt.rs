//! Receipts, deliveries and acceptances.

use crate::book::apply::outcome;
use crate::book::command::{
    AcceptReceipt, Billing, DeemAcceptance, GiveAcceptance, RecordEvidence,
};
use crate::book::decide::delivery::{acceptance, licences};
use crate::book::decide::evidence::evidence;
use crate::book::decide::proof;
use crate::book::entry::Entry;
use crate::book::state::chain::{Accepted, Delivered, Prover, Spoken, Usage};
use crate::book::state::order::Goods;
use crate::book::{Book, Inconsistency};
use crate::id::OrderId;
use crate::ledger::Postings;
use crate::programme::schema::EvidenceKind;
use crate::receipt::{Claims, ComputeUsage, DataDelivery, Receipt, Verdict};
use crate::settlement::Outcome;
use crate::settlement::fund::merge_counters;
use crate::settlement::statement::Stated;

pub(super) fn accept(
    book: &mut Book,
    entry: &Entry,
    asked: &AcceptReceipt,
) -> Result<(), Inconsistency> {
    let receipt = asked.jws.receipt();
    match receipt.claims() {
        Claims::Usage(claims) => usage(book, entry, (receipt, claims)),
        Claims::Delivery(claims) => {
            deliver(book, entry, claims);
            link(book, entry, receipt, None)
        }
        Claims::Acceptance(_)
        | Claims::Capacity(_)
        | Claims::Registration(_)
        | Claims::Succession(_)
        | Claims::Reply(_)
        | Claims::Order(_) => Err(wrong(entry, "it embeds no usage or delivery receipt")),
    }
}

pub(super) fn give(
    book: &mut Book,
    entry: &Entry,
    asked: &GiveAcceptance,
) -> Result<(), Inconsistency> {
    let receipt = asked.jws.receipt();
    let Claims::Acceptance(claims) = receipt.claims() else {
        return Err(wrong(entry, "it embeds no acceptance"));
    };
    let dealings = book.dealings.get_mut(&claims.sub);
    let delivered = dealings.and_then(|all| all.deliveries.get_mut(&claims.digest));
    let delivered = delivered.ok_or_else(|| wrong(entry, "nothing was delivered"))?;
    delivered.verdict = Some(Spoken::Signed(claims.verdict));
    if claims.verdict == Verdict::Accepted {
        accepted(book, entry, claims.sub)?;
    }
    link(book, entry, receipt, None)
}

pub(super) fn deem(
    book: &mut Book,
    entry: &Entry,
    asked: &DeemAcceptance,
) -> Result<(), Inconsistency> {
    if let Some(dealings) = book.dealings.get_mut(&asked.order) {
        for delivered in dealings.deliveries.values_mut() {
            delivered.verdict.get_or_insert(Spoken::Deemed);
        }
    }
    accepted(book, entry, asked.order)
}

/// Records a document of an order.
pub(super) fn record(
    book: &mut Book,
    entry: &Entry,
    asked: &RecordEvidence,
) -> Result<(), Inconsistency> {
    let outcome = outcome(entry, entry.found.stated.as_ref(), "stated")?;
    let applied = match evidence(asked) {
        Some(evidence) => book.money.apply_evidence(entry.at, &evidence, &outcome),
        None => book.money.apply_restate(entry.at, asked.order, &outcome),
    };
    applied.map_err(|fault| entry.contradicts(&fault))?;
    if asked.kind == EvidenceKind::UseProof {
        used(book, asked.order, None);
    }
    Ok(())
}

/// The price is earned, and from now on use can be proven.
fn accepted(book: &mut Book, entry: &Entry, id: OrderId) -> Result<(), Inconsistency> {
    let outcome = outcome(entry, entry.found.stated.as_ref(), "stated")?;
    let applied = book
        .money
        .apply_evidence(entry.at, &acceptance(id), &outcome);
    applied.map_err(|fault| entry.contradicts(&fault))?;
    unproven(book, id);
    Ok(())
}

/// From now on, a receipt may prove an accepted data order's use.
pub(super) fn unproven(book: &mut Book, id: OrderId) {
    if let Some(order) = book.orders.get(&id) {
        for (_, manifest) in licences(order) {
            let orders = book.licences.entry((order.buyer, manifest)).or_default();
            orders.insert(id);
        }
    }
}

/// No receipt may prove a data order's use: it is proven, or not accepted.
pub(super) fn not_to_prove(book: &mut Book, id: OrderId) {
    if let Some(order) = book.orders.get(&id) {
        for (_, manifest) in licences(order) {
            let key = (order.buyer, manifest);
            let orders = book.licences.get_mut(&key);
            if orders.is_some_and(|orders| orders.remove(&id) && orders.is_empty()) {
                book.licences.remove(&key);
            }
        }
    }
}

/// A data order's use is proven: no later receipt proves it again.
fn used(book: &mut Book, id: OrderId, proven_by: Option<Prover>) {
    let dealings = book.dealings.entry(id).or_default();
    (dealings.use_proven, dealings.proven_by) = (true, proven_by);
    not_to_prove(book, id);
}

fn usage(
    book: &mut Book,
    entry: &Entry,
    (receipt, claims): (&Receipt, &ComputeUsage),
) -> Result<(), Inconsistency> {
    let (segment, billing) = segment_of(book, entry, claims)?;
    let proofs = proofs(book, entry)?;
    let outcome = own_outcome(entry, &proofs)?;
    let dealings = book.dealings.entry(claims.sub).or_default();
    let new = if let Some(jti) = claims.corrects {
        let chain = book.chains.get_mut(&(claims.sub, claims.iss));
        let old = chain.and_then(|chain| chain.usage_mut(jti.seq));
        let old = old.ok_or_else(|| wrong(entry, "it corrects no receipt"))?;
        old.replaced = true;
        let old = old.clone();
        occupy(book, entry, claims, (&old, billing), -1)?;
        let new = Usage::of(claims, segment, old.line);
        let ask = new.correction(claims.sub, billing);
        let applied = book.money.apply_correct(entry.at, &ask, &outcome);
        applied.map_err(|fault| entry.contradicts(&fault))?;
        new
    } else {
        let new = Usage::of(claims, segment, dealings.lines);
        dealings.lines = dealings.lines.saturating_add(1);
        let ask = new.counted(claims.sub, billing);
        let applied = book.money.apply_receipt(entry.at, &ask, &outcome);
        applied.map_err(|fault| entry.contradicts(&fault))?;
        new
    };
    occupy(book, entry, claims, (&new, billing), 1)?;
    for (order, outcome) in proofs {
        let applied = book
            .money
            .apply_evidence(entry.at, &proof::evidence(order), &outcome);
        applied.map_err(|fault| entry.contradicts(&fault))?;
        let prover = Prover {
            order: claims.sub,
            issuer: claims.iss,
            seq: claims.seq,
        };
        used(book, order, Some(prover));
    }
    link(book, entry, receipt, Some(new))
}

/// The statements of the data orders that the receipt proves: made anew on the book before the entry, as it was decided.
fn proofs(book: &Book, entry: &Entry) -> Result<Vec<(OrderId, Outcome<Stated>)>, Inconsistency> {
    let proven = entry.found.proven.iter().flatten();
    let outcomes = proven.map(|proven| {
        let outcome = book
            .money
            .evidence(entry.at, &proof::evidence(proven.order));
        let outcome = outcome.map_err(|fault| entry.contradicts(&fault))?;
        if outcome.found != proven.stated {
            return Err(wrong(entry, "what it proves states another amount"));
        }
        Ok((proven.order, outcome))
    });
    outcomes.collect()
}

/// What the entry moves for the receipt's own order: all but what it moves for those that it proves.
fn own_outcome(
    entry: &Entry,
    proofs: &[(OrderId, Outcome<Stated>)],
) -> Result<Outcome<Stated>, Inconsistency> {
    let mut own = outcome(entry, entry.found.stated.as_ref(), "stated")?;
    // Hours and runs are kept at their site, where the next receipt looks them up: not a second time here.
    own.counters.retain(|(key, _)| !key.is_of_a_site());
    for (_, proven) in proofs {
        let without = proven.postings.legs().iter();
        let without = without.map(|(account, fen)| (account.clone(), fen.negated()));
        let legs = own.postings.legs().iter().cloned().chain(without);
        own.postings = Postings::sum(legs).map_err(|fault| entry.contradicts(&fault))?;
        let without = proven.counters.iter();
        let without = without.map(|(key, by)| (key.clone(), by.saturating_neg()));
        merge_counters(&mut own.counters, without.collect());
    }
    Ok(own)
}

/// The segment that holds the receipt; `decide` has seen that it is the only one.
fn segment_of(
    book: &Book,
    entry: &Entry,
    claims: &ComputeUsage,
) -> Result<(u16, Billing), Inconsistency> {
    let order = book.orders.get(&claims.sub);
    let order = order.ok_or_else(|| wrong(entry, "no such order"))?;
    let mut segments = (0_u16..).zip(&order.segments);
    let found = segments.find_map(|(index, segment)| match &segment.goods {
        Goods::Gpu {
            site,
            gpu_model,
            billing,
            ..
        } if (site, gpu_model) == (&claims.site, &claims.gpu_model)
            && segment.from <= claims.start
            && claims.end <= segment.to =>
        {
            Some((index, *billing))
        }
        Goods::Gpu { .. } | Goods::Dataset { .. } => None,
    });
    found.ok_or_else(|| wrong(entry, "no segment holds the receipt"))
}

/// Puts a receipt's use into periods, units, hours and runs (`sign` 1), or takes it out (−1).
fn occupy(
    book: &mut Book,
    entry: &Entry,
    claims: &ComputeUsage,
    (usage, billing): (&Usage, Billing),
    sign: i32,
) -> Result<(), Inconsistency> {
    let dealings = book.dealings.entry(claims.sub).or_default();
    let used = dealings.segments.entry(usage.segment).or_default();
    used.units = used
        .units
        .saturating_add(i64::from(sign) * usage.units(billing));
    if sign < 0 {
        used.periods.remove(&usage.start);
    } else if !usage.is_void() {
        used.periods.insert(usage.start, usage.end);
    }
    let site = book.sites.get_mut(&claims.site);
    let site = site.ok_or_else(|| wrong(entry, "no such site"))?;
    let capacity = site.capacity.entry(claims.gpu_model.clone()).or_default();
    for (hour, seconds) in usage.occupied(billing) {
        let moved = capacity.occupy(hour, i64::from(sign) * seconds);
        moved.map_err(|_| wrong(entry, "a site's hour would be occupied below zero"))?;
    }
    for run in &usage.runs {
        site.count_run(*run, claims.sub, sign);
    }
    Ok(())
}

fn deliver(book: &mut Book, entry: &Entry, claims: &DataDelivery) {
    let dealings = book.dealings.entry(claims.sub).or_default();
    let delivered = Delivered {
        entry: entry.seq,
        at: entry.at,
        possession_hash: claims.possession_hash,
        verdict: None,
    };
    dealings.deliveries.insert(claims.digest, delivered);
}

fn link(
    book: &mut Book,
    entry: &Entry,
    receipt: &Receipt,
    usage: Option<Usage>,
) -> Result<(), Inconsistency> {
    let link = receipt.claims().link();
    let link = link.ok_or_else(|| wrong(entry, "the receipt belongs to no order"))?;
    let chain = book.chains.entry((link.sub, link.iss)).or_default();
    if (link.seq, link.prev) != (chain.next(), chain.head()) {
        return Err(wrong(entry, "the receipt does not continue its chain"));
    }
    let accepted = Accepted {
        hash: receipt.hash(),
        entry: entry.seq,
        at: entry.at,
        usage,
    };
    chain.push(accepted, receipt.kid());
    Ok(())
}

fn wrong(entry: &Entry, sentence: &str) -> Inconsistency {
    Inconsistency {
        seq: entry.seq,
        sentence: sentence.into(),
    }
}
