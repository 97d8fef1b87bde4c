//! Who may ask what: one table role × command, default deny (DESIGN §7, access).

use crate::book::Book;
use crate::book::command::{Command, Kind, Role};
use crate::book::decide::Request;
use crate::book::scope::Scope;
use crate::id::ActorId;
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
        | K::RevokeKey
        | K::RotateLogKey
        | K::ContinueTrail => &[Exchange],
        K::RecordFact | K::WithdrawFact => &[Exchange, Office],
        // What time alone does; the exchange's timers ask it.
        K::ExpireVoucher | K::ExpireOrder | K::SealRefusals | K::SealBook => &[Exchange],
        K::IssueVoucher | K::RevokeVoucher | K::DecideCase => &[Office],
        K::PlaceOrder | K::AmendOrder => &[Buyer],
        // Applications are a buyer's, matters of keys the exchange's.
        K::OpenCase | K::WithdrawCase => &[Exchange, Buyer],
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
        K::PublishDataset | K::PriceDataset | K::WithdrawDataset => &[Vendor],
        K::AssessDataset => &[Exchange, Office],
        K::RecallDataset => &[Exchange, Office, Vendor],
    }
}

/// What a reader may read, beside what is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight<'a> {
    /// Everything: whoever decides, pays, or checks without a limit.
    All,
    /// What carries one of these scopes, or one that lies in them, and what is common.
    Scopes(&'a [Scope]),
    /// What concerns its own party.
    Own,
}

/// What a credential reads in one of its roles.
#[must_use]
pub fn sight(book: &Book, actor: ActorId, role: Role) -> Sight<'_> {
    match role {
        Role::Office | Role::Finance => Sight::All,
        Role::Regulator => match book.actors.get(&actor).map(|actor| &*actor.scopes) {
            Some([]) => Sight::All,
            Some(scopes) => Sight::Scopes(scopes),
            None => Sight::Own,
        },
        Role::Exchange | Role::Funder | Role::Buyer | Role::Provider | Role::Vendor => Sight::Own,
    }
}

impl Sight<'_> {
    /// Whether what reaches these scopes is seen whatever party it concerns.
    pub fn sees<'s>(self, scopes: impl IntoIterator<Item = &'s Scope>) -> bool {
        match self {
            Self::All => true,
            Self::Scopes(own) => scopes
                .into_iter()
                .any(|scope| own.iter().any(|own| own.covers(scope))),
            Self::Own => false,
        }
    }

    /// Whether a whole scope is seen: what is asked for by its name.
    #[must_use]
    pub fn sees_scope(self, scope: &Scope) -> bool {
        self.sees([scope])
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
