//! Vouchers and the cases that make them.

use crate::book::apply::{compromise, outcome, written};
use crate::book::command::{CaseSubject, DecideCase, IssueVoucher, OpenCase};
use crate::book::decide::case::{redemption, wish};
use crate::book::entry::Entry;
use crate::book::issuing::{self, Judged, Wish};
use crate::book::state::case::{Case, Progress};
use crate::book::{Book, Inconsistency};
use crate::id::{CaseId, VoucherId};
use crate::settlement::cap::Holder;
use crate::settlement::voucher::{EndVoucher, VoucherEnd};

pub(super) fn issue(
    book: &mut Book,
    entry: &Entry,
    asked: &IssueVoucher,
) -> Result<(), Inconsistency> {
    let wish = Wish {
        programme: asked.programme.clone(),
        holder: asked.holder,
        contract: asked.contract.clone(),
        face: asked.face_fen,
        purpose: None,
        since: entry.at,
    };
    issued(book, entry, &wish, None)
}

fn issued(
    book: &mut Book,
    entry: &Entry,
    wish: &Wish,
    approved: Option<crate::money::Fen>,
) -> Result<(), Inconsistency> {
    let voucher = written(entry, entry.found.voucher, "voucher")?;
    let programme = book
        .programme(&wish.programme)
        .ok()
        .and_then(|enactment| enactment.current())
        .map(|(_, version)| std::sync::Arc::clone(&version.programme));
    let programme = written(entry, programme.as_ref(), "programme")?;
    let judged = Judged {
        holder: entry
            .found
            .holder
            .clone()
            .unwrap_or_else(|| Holder::new(wish.holder)),
        tiers: Vec::new(),
        trace: Vec::new(),
    };
    let amount = match entry.found.approved {
        Some(fen) => Ok(crate::settlement::voucher::Amount::Decided(fen)),
        None => issuing::own_amount(programme, wish, &judged, approved),
    };
    let ask = crate::settlement::voucher::Issue {
        voucher,
        programme: wish.programme.clone(),
        holder: judged.holder,
        amount: amount.map_err(|refusal| entry.contradicts(&refusal))?,
    };
    let outcome = outcome(entry, entry.found.issued.as_ref(), "issued")?;
    book.money
        .apply_issue(entry.at, &ask, &outcome)
        .map_err(|fault| entry.contradicts(&fault))?;
    if let Some(contract) = &wish.contract {
        book.voucher_contracts.insert(voucher, contract.digest);
    }
    Ok(())
}

pub(super) fn end(
    book: &mut Book,
    entry: &Entry,
    voucher: VoucherId,
    cause: VoucherEnd,
) -> Result<(), Inconsistency> {
    let outcome = outcome(entry, entry.found.ended.as_ref(), "ended")?;
    let ask = EndVoucher { voucher, cause };
    book.money
        .apply_end_voucher(&ask, &outcome)
        .map_err(|fault| entry.contradicts(&fault))
}

pub(super) fn open_case(
    book: &mut Book,
    entry: &Entry,
    asked: &OpenCase,
) -> Result<(), Inconsistency> {
    let id = written(entry, entry.found.case, "case")?;
    let party = match asked.subject {
        CaseSubject::Recovery { party } => party,
        CaseSubject::Application { .. }
        | CaseSubject::Redemption { .. }
        | CaseSubject::Compromise { .. } => entry.by,
    };
    let case = Case {
        party,
        opened_by: entry.actor,
        opened_at: entry.at,
        subject: asked.subject.clone(),
        progress: Progress::Open,
    };
    book.cases.insert(id, case);
    Ok(())
}

pub(super) fn decide_case(
    book: &mut Book,
    entry: &Entry,
    asked: &DecideCase,
) -> Result<(), Inconsistency> {
    let case = written(entry, book.cases.get(&asked.case), "case")?.clone();
    match (&case.subject, asked.approved) {
        (CaseSubject::Application { programme, .. }, true) => {
            let wish = wish((case.party, case.opened_at), &case.subject, programme);
            issued(book, entry, &wish, asked.approved_fen)?;
        }
        (CaseSubject::Redemption { order, claim }, true) => {
            let fen = written(entry, asked.approved_fen, "approved_fen")?;
            let ask = redemption(book, *order, (*claim, fen))
                .map_err(|refusal| entry.contradicts(&refusal))?;
            let outcome = outcome(entry, entry.found.stated.as_ref(), "stated")?;
            book.money
                .apply_evidence(entry.at, &ask, &outcome)
                .map_err(|fault| entry.contradicts(&fault))?;
        }
        (CaseSubject::Compromise { .. }, _) => return compromise::decide(book, entry, asked),
        (CaseSubject::Recovery { .. }, true) | (_, false) => {}
    }
    let programme = match &case.subject {
        CaseSubject::Application { programme, .. } => Some(programme.clone()),
        CaseSubject::Redemption { order, claim } => {
            let order = book.money.order(*order).ok();
            order
                .and_then(|order| order.claim(*claim).ok())
                .map(|claim| claim.programme.clone())
        }
        CaseSubject::Compromise { .. } | CaseSubject::Recovery { .. } => None,
    };
    book.deciders
        .extend(programme.map(|programme| (programme, entry.actor)));
    let progress = Progress::Decided {
        approved: asked.approved,
        by: entry.actor,
        at: entry.at,
    };
    set_progress(book, asked.case, progress);
    Ok(())
}

pub(super) fn withdraw_case(book: &mut Book, case: CaseId) {
    set_progress(book, case, Progress::Withdrawn);
}

fn set_progress(book: &mut Book, case: CaseId, progress: Progress) {
    if let Some(case) = book.cases.get_mut(&case) {
        case.progress = progress;
    }
}
