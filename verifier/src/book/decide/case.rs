//! Cases of a single stage: opened by whom they concern, decided by the office, withdrawn (DESIGN §4.5).

use crate::book::Book;
use crate::book::command::{CaseSubject, DecideCase, OpenCase, Role, WithdrawCase};
use crate::book::decide::{Case, Decision, compromise};
use crate::book::found::Found;
use crate::book::issuing::{self, Wish};
use crate::book::matter::{self, About};
use crate::book::reach;
use crate::book::scope::Scope;
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
    check_opener(case, &asked.subject)?;
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
        CaseSubject::Recovery { party } => {
            case.book.party(*party)?;
            if !case.book.has_recovery_key(*party) {
                return Err(Refusal::new(
                    Code::CaseState,
                    "the party has no recovery key that a case could stand in for",
                ));
            }
            (None, vec![Scope::Common])
        }
        CaseSubject::Compromise { .. } => {
            return Err(Refusal::new(
                Code::CaseState,
                "revoking a key as compromised opens this case",
            ));
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

/// A party's own matters are opened by buyers, matters of keys by the exchange that registers them.
fn check_opener(case: &Case<'_>, subject: &CaseSubject) -> Result<(), Refusal> {
    let role = match subject {
        CaseSubject::Application { .. } | CaseSubject::Redemption { .. } => Role::Buyer,
        CaseSubject::Recovery { .. } | CaseSubject::Compromise { .. } => Role::Exchange,
    };
    let actor = case.book.actors.get(&case.request.actor);
    if actor.is_some_and(|actor| actor.roles.contains(&role)) {
        return Ok(());
    }
    let sentence = format!(
        "a case of this subject is opened by the role {}",
        role.as_str()
    );
    Err(Refusal::new(Code::AccessRole, sentence))
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
    if let CaseSubject::Compromise { .. } = state.subject {
        four_eyes(case, state)?;
        return compromise::decide(case, asked);
    }
    if asked.claims.is_some() {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "only a case of a compromised key is decided claim by claim",
        ));
    }
    let Some(programme) = programme_of(case, state)? else {
        four_eyes(case, state)?;
        return decide_recovery(asked);
    };
    case.own_programme(&programme)?;
    four_eyes(case, state)?;
    decide_own(case, asked, (state, &programme))
}

fn four_eyes(case: &Case<'_>, state: &case::Case) -> Result<(), Refusal> {
    if state.opened_by == case.request.actor {
        return Err(Refusal::new(
            Code::CaseFourEyes,
            "another actor than the one who opened a case decides it",
        ));
    }
    Ok(())
}

/// A new key may be registered without the recovery key, or not.
fn decide_recovery(asked: &DecideCase) -> Result<Decision, Refusal> {
    if asked.approved_fen.is_some() {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "a recovery has no amount",
        ));
    }
    Ok(Decision::common(Found::default()))
}

/// Decides a case of one programme of the office.
fn decide_own(
    case: &Case<'_>,
    asked: &DecideCase,
    (state, programme): (&case::Case, &ProgrammeId),
) -> Result<Decision, Refusal> {
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
            let rules = case.open_programme(case.book.programme(programme)?)?;
            let wish = wish((state.party, state.opened_at), &state.subject, programme);
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
        (CaseSubject::Compromise { .. } | CaseSubject::Recovery { .. }, true) => {
            return Err(Refusal::new(Code::CaseState, "the case is of no programme"));
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
    if let CaseSubject::Compromise { .. } = state.subject {
        return Err(Refusal::new(
            Code::CaseState,
            "what is frozen waits for a decision; it cannot be withdrawn",
        ));
    }
    let opener = case.book.actors.get(&state.opened_by);
    let is_own = opener.is_some_and(|opener| opener.party == case.request.by);
    if state.party != case.request.by && !is_own {
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

/// The programme of a case; matters of keys are of none.
fn programme_of(case: &Case<'_>, state: &case::Case) -> Result<Option<ProgrammeId>, Refusal> {
    match &state.subject {
        CaseSubject::Application { programme, .. } => Ok(Some(programme.clone())),
        CaseSubject::Redemption { order, claim } => {
            let claim = case.book.money.order(*order)?.claim(*claim)?;
            Ok(Some(claim.programme.clone()))
        }
        CaseSubject::Compromise { .. } | CaseSubject::Recovery { .. } => Ok(None),
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
        CaseSubject::Redemption { .. }
        | CaseSubject::Compromise { .. }
        | CaseSubject::Recovery { .. } => (None, None, None),
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
