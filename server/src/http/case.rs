//! Cases and payout batches: matters that people decide and pay.

use serde_json::{Map, Value, json};
use verifier::book::state::case::Progress;
use verifier::id::{BatchId, CaseId};
use verifier::refusal::{Code, Refusal};
use verifier::settlement::payout::BatchState;

use super::problem::Problem;
use super::read::{Asking, object};

/// `GET /v1/cases/{id}`: for the party whose matter it is, and whoever sees all.
pub(super) fn show(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let id = CaseId::parse(asking.id).map_err(Refusal::from)?;
    let case = asking
        .book
        .cases
        .get(&id)
        .ok_or_else(|| Refusal::new(Code::CaseUnknown, "no such case").with("case", id))?;
    asking.concerns(&[case.party], &asking.book.case_scopes(case)?)?;
    let progress = match case.progress {
        Progress::Open => json!({ "state": "open" }),
        Progress::Decided { approved, by, at } => {
            json!({ "state": "decided", "approved": approved, "by": by, "at": at })
        }
        Progress::Withdrawn => json!({ "state": "withdrawn" }),
    };
    Ok(object(json!({
        "waiting": waiting(asking, id), "case": id, "party": case.party, "opened_by": case.opened_by, "opened_at": case.opened_at,
        "subject": case.subject, "progress": progress,
    })))
}

/// What was frozen for a compromised key and waits: to whoever sees all, each party its own orders, each scope what it covers.
fn waiting(asking: &Asking<'_>, id: CaseId) -> Vec<Value> {
    let compromise = asking.book.compromises.get(&id);
    let claims = compromise.iter().flat_map(|of| &of.claims);
    let seen = claims.filter(|((order, _), _)| {
        let (Ok(state), Ok(scopes)) = (asking.book.order(*order), asking.book.order_scopes(*order))
        else {
            return false;
        };
        asking
            .concerns(&[state.buyer, state.seller], &scopes)
            .is_ok()
    });
    seen.map(|((order, claim), fen)| json!({ "order": order, "claim": claim, "frozen_fen": fen }))
        .collect()
}

/// `GET /v1/payouts/{id}`: for whoever sees all, and each payee its own payments.
pub(super) fn payout(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let id = BatchId::parse(asking.id).map_err(Refusal::from)?;
    let batch = asking
        .book
        .batches
        .get(&id)
        .ok_or_else(|| Refusal::new(Code::BatchUnknown, "no such batch").with("batch", id))?;
    let money = asking.book.money.batch(id)?;
    let payees: Vec<_> = money.payments.iter().map(|payment| payment.party).collect();
    let scopes = asking.book.fund_scopes(&batch.fund)?;
    asking.concerns(&payees, &scopes)?;
    let state = match money.state {
        BatchState::Instructed => "instructed",
        BatchState::Executed => "executed",
        BatchState::Returned => "returned",
    };
    let payments: Vec<_> = money
        .payments
        .iter()
        .filter(|payment| asking.concerns(&[payment.party], &scopes).is_ok())
        .collect();
    Ok(object(json!({
        "batch": id, "fund": batch.fund, "by": batch.by, "file": batch.file, "state": state,
        "payments": payments,
    })))
}
