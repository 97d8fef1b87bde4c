//! `evidence.recorded`: contracts, invoices and payments by digest and amount, each once over a pool (DESIGN §4.2, §4.4).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::book::command::{RecordEvidence, Role};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::state::order::Order;
use crate::id::{OrderId, Sha256Hash};
use crate::money::Fen;
use crate::programme::Programme;
use crate::programme::schema::{EvidenceKind, UseProof};
use crate::refusal::{Code, Refusal};
use crate::settlement::counter::CounterKey;
use crate::settlement::evidence::{Evidence, Says};
use crate::settlement::fund::merge_counters;

/// Records a document of an order, also after it has ended: an invoice and its payment often follow the last use. Nothing
/// is held for the order then, so that a document adds money only where a programme takes it at settlement.
pub(super) fn record(case: &Case<'_>, asked: &RecordEvidence) -> Result<Decision, Refusal> {
    let order = case.book.orders.get(&asked.order).ok_or_else(|| {
        Refusal::new(Code::OrderUnknown, "no such order").with("order", asked.order)
    })?;
    may_record(case, order)?;
    check_lines(asked)?;
    check_use_proof(case, asked)?;
    let unique = unique(case, order, asked)?;
    let (money, at) = (&case.book.money, case.env.at);
    let mut outcome = match evidence(asked) {
        Some(evidence) => money.evidence(at, &evidence)?,
        // Nothing new for the sums; the document itself may be one that counts once.
        None => money.restate(at, asked.order)?,
    };
    merge_counters(&mut outcome.counters, unique);
    Ok(Decision {
        found: Found {
            order: Some(asked.order),
            stated: Some(outcome.found),
            ..Found::default()
        },
        postings: outcome.postings,
        counters: outcome.counters,
        scopes: case.book.order_scopes(asked.order)?,
    })
}

/// The order's sides, and an office.
fn may_record(case: &Case<'_>, order: &Order) -> Result<(), Refusal> {
    let by = case.request.by;
    let is_office = case.book.party(by)?.roles.contains(&Role::Office);
    if is_office || by == order.buyer || by == order.seller {
        return Ok(());
    }
    let sentence = "only the order's buyer, its seller and an office state its documents";
    Err(Refusal::new(Code::AccessParty, sentence))
}

/// Money by line where the kind states money, and only there; receipts come as signed receipts.
fn check_lines(asked: &RecordEvidence) -> Result<(), Refusal> {
    use EvidenceKind as K;
    let refused = |sentence: &str| Err(Refusal::new(Code::EvidenceInvalid, sentence));
    let lines: BTreeSet<_> = asked.lines.iter().map(|(line, _)| *line).collect();
    if lines.len() != asked.lines.len() {
        return refused("each line of money stands in lines once");
    }
    if asked.lines.iter().any(|(_, fen)| *fen <= Fen::ZERO) {
        return refused("an amount is above 0 fen");
    }
    match (asked.kind, lines.is_empty()) {
        (K::UsageReceipt | K::DeliveryReceipt | K::Acceptance, _) => {
            refused("send the signed receipt itself")
        }
        (K::Contract | K::Invoice | K::Payment, true) => {
            refused("a contract, invoice or payment states its money by line")
        }
        (K::Contract | K::Invoice | K::Payment, false) => Ok(()),
        (
            K::UseProof
            | K::Electricity
            | K::Commitment
            | K::AuditReport
            | K::Certificate
            | K::Licence
            | K::Other,
            is_empty,
        ) => {
            if is_empty {
                Ok(())
            } else {
                refused("only a contract, an invoice and a payment state money")
            }
        }
    }
}

/// A stated use counts where every programme of the order takes a statement.
fn check_use_proof(case: &Case<'_>, asked: &RecordEvidence) -> Result<(), Refusal> {
    if asked.kind != EvidenceKind::UseProof {
        return Ok(());
    }
    let programmes = case.book.programmes_of(asked.order)?;
    let takes = |programme: &Arc<Programme>| programme.data.use_proof == UseProof::Statement;
    if programmes.iter().all(takes) {
        return Ok(());
    }
    let sentence = "a programme of the order wants a compute receipt that names the dataset";
    Err(Refusal::new(Code::EvidenceInvalid, sentence))
}

/// What the money machine is told; other documents are recorded and move nothing.
pub(in crate::book) fn evidence(asked: &RecordEvidence) -> Option<Evidence> {
    use EvidenceKind as K;
    let lines = asked.lines.clone();
    let says = match asked.kind {
        K::Contract => Says::Contract(lines),
        K::Invoice => Says::Invoiced(lines),
        K::Payment => Says::Paid(lines),
        K::UseProof => Says::UseProven,
        K::UsageReceipt
        | K::DeliveryReceipt
        | K::Acceptance
        | K::Electricity
        | K::Commitment
        | K::AuditReport
        | K::Certificate
        | K::Licence
        | K::Other => return None,
    };
    let order = asked.order;
    Some(Evidence { order, says })
}

/// The counters that one document raises: by number where it has one, else by digest, in each pool of the order.
fn unique(
    case: &Case<'_>,
    order: &Order,
    asked: &RecordEvidence,
) -> Result<Vec<(CounterKey, i64)>, Refusal> {
    let hash = asked.number.unwrap_or(*asked.digest.hash());
    let kind = match asked.kind {
        // The order's own contract was counted when its voucher was issued or the order placed.
        EvidenceKind::Contract if is_own_contract(order, hash) => return Ok(Vec::new()),
        EvidenceKind::Contract
        | EvidenceKind::Invoice
        | EvidenceKind::Payment
        | EvidenceKind::Certificate => asked.kind,
        EvidenceKind::UsageReceipt
        | EvidenceKind::DeliveryReceipt
        | EvidenceKind::Acceptance
        | EvidenceKind::UseProof
        | EvidenceKind::Electricity
        | EvidenceKind::Commitment
        | EvidenceKind::AuditReport
        | EvidenceKind::Licence
        | EvidenceKind::Other => return Ok(Vec::new()),
    };
    let mut counters = Vec::new();
    for pool in pools(case, asked.order)? {
        let key = CounterKey::unique(&pool, kind.as_str(), &hash);
        if case.book.money.counters().get(&key) > 0 {
            let sentence = format!("that {kind} is stated already in {pool}; each counts once");
            return Err(Refusal::new(Code::EvidenceUnique, sentence).with("pool", pool));
        }
        counters.push((key, 1));
    }
    Ok(counters)
}

fn is_own_contract(order: &Order, hash: Sha256Hash) -> bool {
    let contract = order.contract.as_ref();
    contract.is_some_and(|own| own.number.unwrap_or(*own.digest.hash()) == hash)
}

/// The pools of the order's programmes: a name that several share, or a programme's own id.
fn pools(case: &Case<'_>, order: OrderId) -> Result<BTreeSet<String>, Refusal> {
    let programmes = case.book.programmes_of(order)?;
    let pool = programmes.into_iter().map(|programme| {
        let shared = programme.instrument.uniq_pool.clone();
        shared.unwrap_or_else(|| programme.header.id.to_string())
    });
    Ok(pool.collect())
}
