//! Who may ask what: one table role × command, default deny (DESIGN §7, access).

use crate::book::Book;
use crate::book::command::{Command, Kind, Role};
use crate::book::decide::Request;
use crate::refusal::{Code, Refusal};

/// The roles that may ask a kind of command.
#[must_use]
pub const fn roles(kind: Kind) -> &'static [Role] {
    use Kind as K;
    use Role::{Buyer, Exchange, Finance, Funder, Office, Provider, Vendor};
    match kind {
        K::OpenExchange
        | K::AdmitParty
        | K::UpdateParty
        | K::SuspendParty
        | K::RegisterActor
        | K::RemoveActor
        | K::RegisterKey
        | K::RevokeKey => &[Exchange],
        K::RecordFact | K::WithdrawFact => &[Exchange, Office],
        // What time alone does; the exchange's timers ask it.
        K::ExpireVoucher | K::ExpireOrder | K::SealRefusals => &[Exchange],
        K::IssueVoucher | K::RevokeVoucher | K::DecideCase => &[Office],
        K::PlaceOrder | K::AmendOrder | K::OpenCase | K::WithdrawCase => &[Buyer],
        K::CancelOrder | K::CloseOrder => &[Buyer, Provider, Vendor],
        K::CloseStatement => &[Exchange, Finance],
        K::InstructPayout
        | K::ExecutePayout
        | K::ReturnPayout
        | K::MakeClawback
        | K::ReceiveRecovery
        | K::WriteOff => &[Finance],
        K::OpenFund | K::AppropriateFund | K::LapseFund => &[Funder],
        K::EnactProgramme | K::AmendProgramme | K::CloseProgramme | K::PublishProviderList => {
            &[Office]
        }
        K::RegisterSite | K::UpdateSite | K::ShareCapacity => &[Exchange, Provider],
        K::PublishOffer | K::WithdrawOffer => &[Provider],
        K::AcceptReceipt => &[Exchange, Provider, Vendor],
        K::GiveAcceptance => &[Exchange, Buyer],
        K::DeemAcceptance => &[Exchange],
        K::RecordEvidence => &[Office, Buyer, Provider, Vendor],
        K::PublishDataset | K::WithdrawDataset => &[Vendor],
        K::AssessDataset => &[Exchange, Office],
        K::RecallDataset => &[Exchange, Office, Vendor],
    }
}

/// Lets a request pass if its actor acts for its party in a role of the table.
/// # Errors
/// `exchange.unopened` `party.unknown` `party.suspended` `actor.unknown` `access.role`
pub fn permit(book: &Book, request: &Request) -> Result<(), Refusal> {
    if matches!(request.command, Command::OpenExchange(_)) {
        return Ok(());
    }
    if book.exchange.is_none() {
        return Err(Refusal::new(
            Code::ExchangeUnopened,
            "the exchange has not been opened yet",
        ));
    }
    let party = book.party(request.by)?;
    if party.suspended {
        return Err(Refusal::new(
            Code::PartySuspended,
            "the party is suspended; ask the exchange",
        )
        .with("party", request.by));
    }
    let actor = book
        .actors
        .get(&request.actor)
        .filter(|actor| actor.party == request.by);
    let actor = actor.filter(|actor| !actor.removed).ok_or_else(|| {
        Refusal::new(Code::ActorUnknown, "the actor does not act for this party")
            .with("actor", request.actor)
    })?;
    let kind = request.command.kind();
    let allowed = roles(kind);
    // Both hold: a credential never outlives its party's role.
    let permitted = allowed
        .iter()
        .any(|role| actor.roles.contains(role) && party.roles.contains(role));
    if permitted {
        return Ok(());
    }
    let names: Vec<_> = allowed.iter().map(|role| role.as_str()).collect();
    Err(Refusal::new(
        Code::AccessRole,
        format!("{} needs the role {}", kind.as_str(), names.join(" or ")),
    ))
}
