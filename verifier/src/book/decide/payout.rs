//! Paying: statements, payouts, clawback, recovery (DESIGN §4.1).

use crate::book::command::{
    CloseStatement, ExecutePayout, InstructPayout, LIST_MAX, MakeClawback, ReceiveRecovery,
    ReturnPayout, WriteOff,
};
use crate::book::decide::{Case, Decision, compromise};
use crate::book::found::Found;
use crate::book::scope::Scope;
use crate::id::{BatchId, FundId};
use crate::money::BasisPoints;
use crate::refusal::{Code, Refusal};
use crate::settlement::Outcome;
use crate::settlement::clawback::ClawBack;
use crate::settlement::debt::{Repaid, Repay};
use crate::settlement::payout::Instruct;
use crate::settlement::period::ClosePeriod;

/// earned → payable for a period that is over, then netting.
pub(super) fn close_statement(
    case: &Case<'_>,
    asked: &CloseStatement,
) -> Result<Decision, Refusal> {
    case.book.party(asked.party)?;
    let ask = ClosePeriod {
        party: asked.party,
        period: asked.period,
    };
    let outcome = case.book.money.close_period(case.env.at, &ask)?;
    let scopes = case.posted_scopes(&outcome.postings);
    let found = Found {
        period_closed: Some(outcome.found),
        ..Found::default()
    };
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

/// payable → transit, with the payout file's digest.
pub(super) fn instruct(case: &Case<'_>, asked: &InstructPayout) -> Result<Decision, Refusal> {
    if asked.parties.is_empty() || asked.parties.len() > LIST_MAX {
        return Err(Refusal::new(
            Code::RequestMalformed,
            format!("a batch pays 1 to {LIST_MAX} parties; instruct more batches"),
        ));
    }
    check_own(case, &asked.fund)?;
    check_four_eyes(case, &asked.fund)?;
    let mut compromises = case.book.compromises.values();
    if let Some(unfinished) = compromises.find(|compromise| compromise.next.is_some()) {
        return Err(compromise::freezing(unfinished.kid));
    }
    let batch = BatchId::draw(&case.env.salt, case.book.size, 0);
    case.fresh(!case.book.batches.contains_key(&batch))?;
    let ask = Instruct {
        batch,
        parties: asked.parties.clone(),
        fund: Some(asked.fund.clone()),
    };
    let outcome = case.book.money.instruct(case.env.at, &ask)?;
    let scopes = case.book.fund_scopes(&asked.fund)?;
    let found = Found {
        batch: Some(batch),
        instructed: Some(outcome.found),
        ..Found::default()
    };
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

/// transit → paid.
pub(super) fn execute(case: &Case<'_>, asked: &ExecutePayout) -> Result<Decision, Refusal> {
    let fund = own_batch(case, asked.batch)?;
    let outcome = case.book.money.execute(asked.batch)?;
    let found = Found {
        executed: Some(outcome.found),
        ..Found::default()
    };
    let scopes = case.book.fund_scopes(&fund)?;
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

/// transit or paid → payable.
pub(super) fn give_back(case: &Case<'_>, asked: &ReturnPayout) -> Result<Decision, Refusal> {
    let fund = own_batch(case, asked.batch)?;
    let outcome = case.book.money.give_back(case.env.at, asked.batch)?;
    let found = Found {
        returned: Some(outcome.found),
        ..Found::default()
    };
    let scopes = case.book.fund_scopes(&fund)?;
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

/// paid → owed, by the share that the programme names for the cause, or the decision where it leaves that open.
pub(super) fn claw_back(case: &Case<'_>, asked: &MakeClawback) -> Result<Decision, Refusal> {
    let claim = case.book.money.order(asked.order)?.claim(asked.claim)?;
    let programme = case.book.pinned(&claim.programme, claim.version)?;
    let funds = claim.sums.funds.iter().map(|sums| &sums.fund);
    if !funds.clone().any(|fund| check_own(case, fund).is_ok()) {
        return Err(Refusal::new(
            Code::AccessParty,
            "the claim was paid from other funds",
        ));
    }
    let published = programme
        .clawback
        .as_ref()
        .and_then(|rules| rules.share.get(&asked.cause));
    let share = share(
        published.and_then(|share| share.known().copied()),
        asked.share_bp,
    )?;
    let ask = ClawBack {
        order: asked.order,
        claim: asked.claim,
        share,
    };
    let outcome = case.book.money.claw_back(case.env.at, &ask)?;
    let found = Found {
        share: Some(share),
        clawed_back: Some(outcome.found),
        ..Found::default()
    };
    let scopes = case.book.order_scopes(asked.order)?;
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

fn share(
    published: Option<BasisPoints>,
    decided: Option<BasisPoints>,
) -> Result<BasisPoints, Refusal> {
    match (published, decided) {
        (Some(share), None) => Ok(share),
        (None, Some(share)) => Ok(share),
        (Some(share), Some(other)) if share == other => Ok(share),
        (Some(share), Some(_)) => Err(Refusal::new(
            Code::RequestMalformed,
            format!(
                "the programme names {} bp for this cause; leave share_bp out",
                share.get()
            ),
        )),
        (None, None) => Err(Refusal::new(
            Code::ProgrammeUnknown,
            "the programme names no share for this cause; decide it and give share_bp",
        )),
    }
}

/// Cash came back.
pub(super) fn recover(case: &Case<'_>, asked: &ReceiveRecovery) -> Result<Decision, Refusal> {
    check_own(case, &asked.fund)?;
    repaid(case, &asked.fund, case.book.money.recover(&asked.into())?)
}

/// A debt is given up.
pub(super) fn write_off(case: &Case<'_>, asked: &WriteOff) -> Result<Decision, Refusal> {
    check_own(case, &asked.fund)?;
    repaid(case, &asked.fund, case.book.money.write_off(&asked.into())?)
}

fn repaid(case: &Case<'_>, fund: &FundId, outcome: Outcome<Repaid>) -> Result<Decision, Refusal> {
    let found = Found {
        repaid: Some(outcome.found),
        ..Found::default()
    };
    let scopes = case.book.fund_scopes(fund)?;
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

impl From<&ReceiveRecovery> for Repay {
    fn from(asked: &ReceiveRecovery) -> Self {
        let ReceiveRecovery { party, fund, fen } = asked;
        Self {
            party: *party,
            fund: fund.clone(),
            fen: *fen,
        }
    }
}

impl From<&WriteOff> for Repay {
    fn from(asked: &WriteOff) -> Self {
        Self {
            party: asked.party,
            fund: asked.fund.clone(),
            fen: asked.fen,
        }
    }
}

/// A finance office pays from its own party's funds alone.
fn check_own(case: &Case<'_>, fund: &FundId) -> Result<(), Refusal> {
    if case.book.fund(fund)?.owner == case.request.by {
        return Ok(());
    }
    Err(Refusal::new(
        Code::AccessParty,
        "the fund is another funder's; its own finance office pays",
    )
    .with("fund", fund))
}

/// No actor both decides and pays in one programme.
fn check_four_eyes(case: &Case<'_>, fund: &FundId) -> Result<(), Refusal> {
    let decided = |programme| {
        case.book
            .deciders
            .contains(&(programme, case.request.actor))
    };
    let mut programmes = case.book.programmes.iter();
    let both = programmes.find(|(id, enactment)| {
        let pays = |version: &crate::book::state::programme::Version| {
            version
                .programme
                .funds
                .iter()
                .any(|pot| pot.id.as_str() == fund.as_str())
        };
        enactment.versions.iter().any(pays) && decided((*id).clone())
    });
    match both {
        None => Ok(()),
        Some((id, _)) => Err(Refusal::new(
            Code::CaseFourEyes,
            "the actor has decided cases of a programme that this fund pays; another actor pays",
        )
        .with("programme", id)),
    }
}

fn own_batch(case: &Case<'_>, batch: BatchId) -> Result<FundId, Refusal> {
    let state =
        case.book.batches.get(&batch).ok_or_else(|| {
            Refusal::new(Code::BatchUnknown, "no such batch").with("batch", batch)
        })?;
    check_own(case, &state.fund)?;
    Ok(state.fund.clone())
}

impl Case<'_> {
    /// Every fund that postings reach; a statement may reach none.
    fn posted_scopes(&self, postings: &crate::ledger::Postings) -> Vec<Scope> {
        let funds = postings.legs().iter().map(|(account, _)| account.fund());
        let mut scopes: Vec<Scope> = funds
            .filter_map(|fund| self.book.fund_scopes(fund).ok())
            .flatten()
            .collect();
        if scopes.is_empty() {
            scopes.push(Scope::Common);
        }
        scopes
    }
}
