//! `apply`: an accepted entry becomes state; what `decide` promised is checked again (DESIGN §4, §4.4 invariants).
//!
//! Nothing is decided here: an entry says all that is needed, so that a start replays it without deciding again.

mod compromise;
mod fund;
mod order;
mod party;
mod payout;
pub(super) mod programme;
mod receipt;
mod supply;
mod voucher;

use crate::book::command::{CancelOrder, CloseOrder, Command, ExpireOrder, SealRefusals};
use crate::book::entry::Entry;
use crate::book::state::seal::Seal;
use crate::book::{Book, COMMAND_MEMORY_SECONDS, Inconsistency, Remembered};
use crate::settlement::Outcome;
use crate::settlement::voucher::VoucherEnd;

/// Applies the next entry.
pub(super) fn apply(book: &mut Book, entry: &Entry) -> Result<(), Inconsistency> {
    let wrong = |sentence: String| Inconsistency {
        seq: entry.seq,
        sentence,
    };
    if entry.seq != book.size {
        return Err(wrong(format!("the next entry is {}", book.size)));
    }
    if book.last_at.is_some_and(|last| entry.at < last) {
        return Err(wrong("it is older than the entry before it".into()));
    }
    count_scopes(book, entry)?;
    state(book, entry)?;
    remember(book, entry);
    book.size += 1;
    book.last_at = Some(entry.at);
    Ok(())
}

fn state(book: &mut Book, entry: &Entry) -> Result<(), Inconsistency> {
    match &entry.asked {
        Command::OpenExchange(asked) => party::open_exchange(book, entry, asked)?,
        Command::AdmitParty(asked) => party::admit(book, entry, asked)?,
        Command::UpdateParty(asked) => party::update(book, asked),
        Command::SuspendParty(asked) => party::suspend(book, asked),
        Command::RegisterActor(asked) => party::register_actor(book, entry, asked)?,
        Command::RemoveActor(asked) => party::remove_actor(book, asked),
        Command::RegisterKey(asked) => party::register_key(book, entry, asked)?,
        Command::RevokeKey(asked) => compromise::revoke(book, entry, asked)?,
        Command::RecordFact(asked) => party::record_fact(book, entry, asked),
        Command::WithdrawFact(asked) => book.facts.withdraw(asked.subject, asked.name),
        Command::OpenFund(asked) => fund::open(book, entry, asked),
        Command::AppropriateFund(_) | Command::LapseFund(_) => fund::moved(book, entry)?,
        Command::EnactProgramme(asked) => programme::enact(book, entry, asked)?,
        Command::AmendProgramme(asked) => programme::amend(book, entry, asked)?,
        Command::CloseProgramme(asked) => programme::close(book, entry, asked),
        Command::PublishProviderList(asked) => programme::publish_list(book, entry, asked),
        Command::RegisterSite(asked) => supply::register(book, entry, asked)?,
        Command::UpdateSite(asked) => supply::update(book, asked),
        Command::ShareCapacity(asked) => supply::share(book, entry, asked)?,
        Command::PublishOffer(asked) => supply::publish_offer(book, entry, asked)?,
        Command::WithdrawOffer(asked) => supply::withdraw_offer(book, asked),
        Command::PublishDataset(asked) => supply::publish_dataset(book, entry, asked)?,
        Command::PriceDataset(asked) => supply::price_dataset(book, entry, asked),
        Command::AssessDataset(asked) => supply::assess_dataset(book, entry, asked),
        Command::WithdrawDataset(asked) => supply::withdraw_dataset(book, entry, asked),
        Command::RecallDataset(asked) => supply::recall_dataset(book, entry, asked),
        Command::IssueVoucher(asked) => voucher::issue(book, entry, asked)?,
        Command::ExpireVoucher(asked) => {
            voucher::end(book, entry, asked.voucher, VoucherEnd::Expired)?;
        }
        Command::RevokeVoucher(asked) => {
            voucher::end(book, entry, asked.voucher, VoucherEnd::Revoked)?;
        }
        Command::PlaceOrder(asked) => order::place(book, entry, asked)?,
        Command::AmendOrder(asked) => order::amend(book, entry, asked)?,
        Command::CancelOrder(CancelOrder { order })
        | Command::CloseOrder(CloseOrder { order })
        | Command::ExpireOrder(ExpireOrder { order }) => order::end(book, entry, *order)?,
        Command::OpenCase(asked) => voucher::open_case(book, entry, asked)?,
        Command::DecideCase(asked) => voucher::decide_case(book, entry, asked)?,
        Command::WithdrawCase(asked) => voucher::withdraw_case(book, asked.case),
        Command::CloseStatement(asked) => payout::close_statement(book, entry, asked)?,
        Command::InstructPayout(asked) => payout::instruct(book, entry, asked)?,
        Command::ExecutePayout(asked) => payout::execute(book, entry, asked.batch)?,
        Command::ReturnPayout(asked) => payout::give_back(book, entry, asked.batch)?,
        Command::MakeClawback(asked) => payout::claw_back(book, entry, asked)?,
        Command::ReceiveRecovery(asked) => payout::recover(book, entry, asked)?,
        Command::WriteOff(asked) => payout::write_off(book, entry, asked)?,
        Command::AcceptReceipt(asked) => receipt::accept(book, entry, asked)?,
        Command::GiveAcceptance(asked) => receipt::give(book, entry, asked)?,
        Command::DeemAcceptance(asked) => receipt::deem(book, entry, asked)?,
        Command::RecordEvidence(asked) => receipt::record(book, entry, asked)?,
        Command::SealRefusals(asked) => seal_refusals(book, entry, asked),
        Command::SealBook(_) => seal(book, entry)?,
        Command::RotateLogKey(asked) => party::succeed_log_key(book, entry, &asked.new)?,
        Command::ContinueTrail(asked) => party::continue_trail(book, entry, asked)?,
    }
    Ok(())
}

fn seal_refusals(book: &mut Book, entry: &Entry, asked: &SealRefusals) {
    book.seals.push(Seal {
        seq: entry.seq,
        to: asked.to,
    });
}

fn seal(book: &mut Book, entry: &Entry) -> Result<(), Inconsistency> {
    let sealed = written(entry, entry.found.sealed.as_ref(), "sealed")?;
    book.sealing.clone_from(&sealed.next);
    if sealed.next.is_none() {
        book.sealed = Some((entry.seq, entry.at));
    }
    Ok(())
}

fn count_scopes(book: &mut Book, entry: &Entry) -> Result<(), Inconsistency> {
    for (scope, number) in &entry.scopes {
        let count = book.scopes.entry(scope.clone()).or_default();
        if *count != *number {
            let sentence = format!("scope {scope} is at {count}, the entry says {number}");
            return Err(Inconsistency {
                seq: entry.seq,
                sentence,
            });
        }
        *count += 1;
    }
    Ok(())
}

fn remember(book: &mut Book, entry: &Entry) {
    if let Some(cmd) = entry.cmd {
        let remembered = Remembered {
            seq: entry.seq,
            req: entry.req,
            at: entry.at,
        };
        book.commands.insert(cmd, remembered);
        book.command_times.push_back((entry.at, cmd));
    }
    let forget_before = entry.at.after(-COMMAND_MEMORY_SECONDS);
    while let Some((at, cmd)) = book.command_times.front().copied() {
        if at >= forget_before {
            break;
        }
        book.command_times.pop_front();
        // The same key may have been used again since: only its own memory goes.
        if book.commands.get(&cmd).is_some_and(|known| known.at == at) {
            book.commands.remove(&cmd);
        }
    }
}

/// A member that `decide` always writes for this type of entry.
fn written<T>(entry: &Entry, member: Option<T>, name: &str) -> Result<T, Inconsistency> {
    member.ok_or_else(|| entry.contradicts(&format!("there is no {name}")))
}

/// What an act of the money machine did, as the entry says it.
fn outcome<F: Clone>(
    entry: &Entry,
    found: Option<&F>,
    name: &str,
) -> Result<Outcome<F>, Inconsistency> {
    Ok(Outcome {
        postings: entry.postings.clone(),
        counters: entry.counters.clone(),
        found: written(entry, found, name)?.clone(),
    })
}
