//! `decide`: one match, one line a command (DESIGN §4). Reads the book, never writes it.

pub(in crate::book) mod case;
mod compromise;
mod dataset;
pub(in crate::book) mod delivery;
pub(in crate::book) mod evidence;
mod fact;
mod fund;
mod key;
mod log_key;
pub(in crate::book) mod order;
mod party;
mod payout;
mod programme;
pub(in crate::book) mod proof;
mod receipt;
mod refusals;
mod seal;
mod supply;
mod voucher;

use crate::book::Book;
use crate::book::access;
use crate::book::command::Command;
use crate::book::entry::{Entry, RULES};
use crate::book::found::Found;
use crate::book::scope::Scope;
use crate::id::{ActorId, PartyId, Salt, Sha256Hash};
use crate::ledger::Postings;
use crate::refusal::{Code, Refusal};
use crate::settlement::counter::CounterKey;
use crate::time::Timestamp;

/// What a decision depends on besides the book and the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Env {
    /// When: never before the last entry.
    pub at: Timestamp,
    /// Drawn for this command alone.
    pub salt: Salt,
    /// By which rules.
    pub rules: u16,
}

/// A command with who asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// For whom.
    pub by: PartyId,
    /// By which credential.
    pub actor: ActorId,
    /// SHA-256(party ‖ 0x0A ‖ idempotency key), where a key came.
    pub cmd: Option<Sha256Hash>,
    /// SHA-256 of the request, where one came.
    pub req: Option<Sha256Hash>,
    /// What is asked.
    pub command: Command,
}

/// What a command comes to, before it is an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Ids, amounts, traces.
    pub found: Found,
    /// What moves between accounts.
    pub postings: Postings,
    /// What moves in counters.
    pub counters: Vec<(CounterKey, i64)>,
    /// Who sees it.
    pub scopes: Vec<Scope>,
}

impl Decision {
    /// A decision on parties, keys, facts, sites, offers, datasets or lists: every regulator sees it.
    #[must_use]
    pub fn common(found: Found) -> Self {
        Self {
            found,
            scopes: vec![Scope::Common],
            ..Self::default()
        }
    }
}

/// Decides an entry again: the same command at its own time, with its own salt and rules (DESIGN §4.6). One whose time runs
/// back is decided at the book's.
/// # Errors
/// As [`decide`].
pub fn decide_again(book: &Book, entry: &Entry) -> Result<Entry, Refusal> {
    let env = Env {
        at: book.last_at.map_or(entry.at, |last| last.max(entry.at)),
        salt: entry.salt,
        rules: entry.rules,
    };
    let request = Request {
        by: entry.by,
        actor: entry.actor,
        cmd: entry.cmd,
        req: entry.req,
        command: entry.asked.clone(),
    };
    decide(book, &request, &env)
}

/// Decides one command on the book as it is.
/// # Errors
/// A [`Refusal`] with the code of the first check that fails; the book is unchanged by construction.
pub fn decide(book: &Book, request: &Request, env: &Env) -> Result<Entry, Refusal> {
    access::permit(book, request)?;
    check_rules(env)?;
    let case = Case { book, request, env };
    let decision = match &request.command {
        Command::OpenExchange(asked) => party::open_exchange(&case, asked),
        Command::AdmitParty(asked) => party::admit(&case, asked),
        Command::UpdateParty(asked) => party::update(&case, asked),
        Command::SuspendParty(asked) => party::suspend(&case, asked),
        Command::RegisterActor(asked) => party::register_actor(&case, asked),
        Command::RemoveActor(asked) => party::remove_actor(&case, asked),
        Command::RegisterKey(asked) => key::register(&case, asked),
        Command::RevokeKey(asked) => key::revoke(&case, asked),
        Command::RecordFact(asked) => fact::record(&case, asked),
        Command::WithdrawFact(asked) => fact::withdraw(&case, asked),
        Command::OpenFund(asked) => fund::open(&case, asked),
        Command::AppropriateFund(asked) => fund::appropriate(&case, asked),
        Command::LapseFund(asked) => fund::lapse(&case, asked),
        Command::EnactProgramme(asked) => programme::enact(&case, asked),
        Command::AmendProgramme(asked) => programme::amend(&case, asked),
        Command::CloseProgramme(asked) => programme::close(&case, asked),
        Command::PublishProviderList(asked) => programme::publish_list(&case, asked),
        Command::RegisterSite(asked) => supply::register(&case, asked),
        Command::UpdateSite(asked) => supply::update(&case, asked),
        Command::ShareCapacity(asked) => supply::share(&case, asked),
        Command::PublishOffer(asked) => supply::publish_offer(&case, asked),
        Command::WithdrawOffer(asked) => supply::withdraw_offer(&case, asked),
        Command::PublishDataset(asked) => dataset::publish(&case, asked),
        Command::PriceDataset(asked) => dataset::price(&case, asked),
        Command::AssessDataset(asked) => dataset::assess(&case, asked),
        Command::WithdrawDataset(asked) => dataset::withdraw(&case, asked),
        Command::RecallDataset(asked) => dataset::recall(&case, asked),
        Command::IssueVoucher(asked) => voucher::issue(&case, asked),
        Command::ExpireVoucher(asked) => voucher::expire(&case, asked),
        Command::RevokeVoucher(asked) => voucher::revoke(&case, asked),
        Command::PlaceOrder(asked) => order::place(&case, asked),
        Command::AmendOrder(asked) => order::amend(&case, asked),
        Command::CancelOrder(asked) => order::cancel(&case, asked),
        Command::CloseOrder(asked) => order::close(&case, asked),
        Command::ExpireOrder(asked) => order::expire(&case, asked),
        Command::OpenCase(asked) => case::open(&case, asked),
        Command::DecideCase(asked) => case::decide(&case, asked),
        Command::WithdrawCase(asked) => case::withdraw(&case, asked),
        Command::CloseStatement(asked) => payout::close_statement(&case, asked),
        Command::InstructPayout(asked) => payout::instruct(&case, asked),
        Command::ExecutePayout(asked) => payout::execute(&case, asked),
        Command::ReturnPayout(asked) => payout::give_back(&case, asked),
        Command::MakeClawback(asked) => payout::claw_back(&case, asked),
        Command::ReceiveRecovery(asked) => payout::recover(&case, asked),
        Command::WriteOff(asked) => payout::write_off(&case, asked),
        Command::AcceptReceipt(asked) => receipt::accept(&case, asked),
        Command::GiveAcceptance(asked) => delivery::accept(&case, asked),
        Command::DeemAcceptance(asked) => delivery::deem(&case, asked),
        Command::RecordEvidence(asked) => evidence::record(&case, asked),
        Command::SealRefusals(asked) => refusals::seal(&case, asked),
        Command::SealBook(asked) => seal::seal(&case, asked),
        Command::RotateLogKey(asked) => log_key::rotate(&case, asked),
        Command::ContinueTrail(asked) => log_key::go_on(&case, asked),
    }?;
    case.entry(decision)
}

fn check_rules(env: &Env) -> Result<(), Refusal> {
    if env.rules == RULES {
        return Ok(());
    }
    let sentence = "an unknown number of rules";
    Err(Refusal::new(Code::EntrySpelling, sentence))
}

/// A command in its surroundings, as the functions of `decide/` take it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The state before.
    pub book: &'a Book,
    /// Who asks what.
    pub request: &'a Request,
    /// When, with which salt.
    pub env: &'a Env,
}

impl Case<'_> {
    /// A drawn id that is in the book already: the caller draws another salt.
    fn fresh(&self, is_new: bool) -> Result<(), Refusal> {
        if is_new {
            return Ok(());
        }
        Err(Refusal::new(
            Code::EntrySpelling,
            "the salt draws a taken id; draw another salt",
        ))
    }

    fn entry(&self, decision: Decision) -> Result<Entry, Refusal> {
        let mut scopes = decision.scopes;
        // A fund's balances can be summed from what its regulator sees: whatever moves its money is in its scope, also where
        // a programme leaves the fund's name open.
        for (account, _) in decision.postings.legs() {
            let fund = Scope::Fund(account.fund().clone());
            if !scopes.contains(&fund) {
                scopes.push(fund);
            }
        }
        scopes.sort();
        scopes.dedup();
        let count = |scope: Scope| {
            let seen = self.book.scopes.get(&scope).copied().unwrap_or(0);
            (scope, seen)
        };
        let mut counters = decision.counters;
        counters.sort();
        let entry = Entry {
            seq: self.book.size,
            at: self.env.at,
            rules: self.env.rules,
            salt: self.env.salt,
            cmd: self.request.cmd,
            req: self.request.req,
            by: self.request.by,
            actor: self.request.actor,
            scopes: scopes.into_iter().map(count).collect(),
            asked: self.request.command.clone(),
            found: decision.found,
            postings: decision.postings,
            counters,
        };
        Ok(entry)
    }
}
