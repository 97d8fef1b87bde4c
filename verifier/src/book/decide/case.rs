//! Cases of a single stage: opened by whom they concern, decided by the office, withdrawn (DESIGN §4.5).

use crate::book::Book;
use crate::book::command::{CaseSubject, DecideCase, OpenCase, WithdrawCase};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::issuing::{self, Wish};
use crate::book::matter::{self, About};
use crate::book::reach;
use crate::book::state::case::{self, Progress};
use crate::id::{CaseId, OrderId, ProgrammeId};
use crate::money::Fen;
use crate::programme::eligibility::{self, Verdict};
use crate::programme::schema::{BaseKind, Issue as IssueBy, Line, Programme, Scheme};
use crate::refusal::{Code, Refusal};
use crate::settlement::evidence::{Evidence, Says};
use crate::time::Timestamp;

/// Opens an application or a redemption.
pub(super) fn open(case: &Case<'_>, asked: &OpenCase) -> Result<Decision, Refusal> {
    let id = CaseId::draw(&case.env.salt, case.book.size, 0);
    case.fresh(!case.book.cases.contains_key(&id))?;
    let (trace, scopes) = match &asked.subject {
        CaseSubject::Application { programme, .. } => {
            let enactment = case.book.programme(programme)?;
            let rules = case.open_programme(enactment)?;
            if rules.instrument.issue != IssueBy::Application {
                return Err(Refusal::new(
                    Code::CaseState,
                    "the programme takes no applications; it issues by itself or pays on evidence",
                ));
            }
            let wish = wish((case.request.by, case.env.at), &asked.subject, programme);
            (Some(preview(case, rules, &wish)?), reach::programme(rules))
        }
        CaseSubject::Redemption { order, claim } => {
            let order = case.book.money.order(*order)?;
            if order.buyer.party != case.request.by {
                return Err(Refusal::new(
                    Code::AccessParty,
                    "the order is another buyer's",
                ));
            }
            let claim = order.claim(*claim)?;
            (
                None,
                case.book.pinned_scopes(&claim.programme, claim.version)?,
            )
        }
    };
    let found = Found {
        case: Some(id),
        trace,
        ..Found::default()
    };
    Ok(Decision {
        found,
        scopes,
        ..Decision::default()
    })
}

/// What the rules say now: a definite no is refused at once, what is unknown waits for the office.
fn preview(
    case: &Case<'_>,
    programme: &Programme,
    wish: &Wish,
) -> Result<Vec<crate::programme::TraceLine>, Refusal> {
    let about = About {
        contract: wish.contract.as_ref(),
        ..About::default()
    };
    let scheme = issuing::scheme_of(programme);
    let matter = matter::gather(
        case.book,
        programme,
        (wish.holder, scheme),
        case.env.at,
        &about,
    );
    let answer = eligibility::at_application(programme, &matter);
    if let Verdict::No(refusal) = answer.verdict {
        return Err(refusal);
    }
    issuing::unique(case.book, programme, wish.holder, wish.contract.as_ref())?;
    Ok(answer.trace)
}

/// Decides; an approved application makes the voucher in the same entry.
pub(super) fn decide(case: &Case<'_>, asked: &DecideCase) -> Result<Decision, Refusal> {
    let state = open_case(case, asked.case)?;
    let programme = programme_of(case, state)?;
    case.own_programme(&programme)?;
    if state.opened_by == case.request.actor {
        return Err(Refusal::new(
            Code::CaseFourEyes,
            "another actor than the one who opened a case decides it",
        ));
    }
    let decision = match (&state.subject, asked.approved) {
        (_, false) if asked.approved_fen.is_some() => {
            return Err(Refusal::new(
                Code::RequestMalformed,
                "a case that is rejected has no amount",
            ));
        }
        (_, false) => Decision {
            scopes: case.book.case_scopes(state)?,
            ..Decision::default()
        },
        (CaseSubject::Application { .. }, true) => {
            let rules = case.open_programme(case.book.programme(&programme)?)?;
            let wish = wish((state.party, state.opened_at), &state.subject, &programme);
            case.issue(rules, &wish, asked.approved_fen)?
        }
        (CaseSubject::Redemption { order, claim }, true) => {
            let fen = asked.approved_fen.ok_or_else(|| {
                Refusal::new(
                    Code::RequestMalformed,
                    "a redemption is decided with approved_fen",
                )
            })?;
            let evidence = redemption(case.book, *order, (*claim, fen))?;
            let outcome = case.book.money.evidence(case.env.at, &evidence)?;
            let found = Found {
                stated: Some(outcome.found),
                ..Found::default()
            };
            let scopes = case.book.case_scopes(state)?;
            Decision {
                found,
                postings: outcome.postings,
                counters: outcome.counters,
                scopes,
            }
        }
    };
    Ok(decision)
}

/// What an approved redemption shows: the amount that a base rests on (核定), or else what the claim itself is given.
pub(in crate::book) fn redemption(
    book: &Book,
    id: OrderId,
    (index, fen): (u8, Fen),
) -> Result<Evidence, Refusal> {
    let order = book.money.order(id)?;
    let claim = order.claim(index)?;
    let programme = book.pinned(&claim.programme, claim.version)?;
    let line = match order.scheme {
        Scheme::Data => Line::Dataset,
        Scheme::Compute | Scheme::Model => Line::GpuRent,
    };
    let says = if programme.base.of.contains(&BaseKind::Approved) {
        Says::Approved(vec![(line, fen)])
    } else {
        Says::Decided(index, fen)
    };
    Ok(Evidence { order: id, says })
}

/// Takes a case back.
pub(super) fn withdraw(case: &Case<'_>, asked: &WithdrawCase) -> Result<Decision, Refusal> {
    let state = open_case(case, asked.case)?;
    if state.party != case.request.by {
        return Err(Refusal::new(
            Code::AccessParty,
            "the case is another party's",
        ));
    }
    Ok(Decision {
        scopes: case.book.case_scopes(state)?,
        ..Decision::default()
    })
}

fn open_case<'a>(case: &Case<'a>, id: CaseId) -> Result<&'a case::Case, Refusal> {
    let state = case
        .book
        .cases
        .get(&id)
        .ok_or_else(|| Refusal::new(Code::CaseUnknown, "no such case").with("case", id))?;
    if state.progress == Progress::Open {
        return Ok(state);
    }
    Err(Refusal::new(Code::CaseState, "the case is decided or withdrawn").with("case", id))
}

fn programme_of(case: &Case<'_>, state: &case::Case) -> Result<ProgrammeId, Refusal> {
    match &state.subject {
        CaseSubject::Application { programme, .. } => Ok(programme.clone()),
        CaseSubject::Redemption { order, claim } => Ok(case
            .book
            .money
            .order(*order)?
            .claim(*claim)?
            .programme
            .clone()),
    }
}

/// The wish of an application.
pub(in crate::book) fn wish(
    (holder, since): (crate::id::PartyId, Timestamp),
    subject: &CaseSubject,
    programme: &ProgrammeId,
) -> Wish {
    let (contract, face, purpose) = match subject {
        CaseSubject::Application {
            contract,
            face_fen,
            purpose,
            ..
        } => (contract.clone(), *face_fen, purpose.clone()),
        CaseSubject::Redemption { .. } => (None, None, None),
    };
    Wish {
        programme: programme.clone(),
        holder,
        contract,
        face,
        purpose,
        since,
    }
}
