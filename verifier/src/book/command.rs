//! What may be asked of the exchange: one enum, one payload a command, strict members (DESIGN §4.6).
//!
//! A payload is the entry's `asked`, byte for byte; its type is the entry's `type`. An unknown member is refused.

macro_rules! payload {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }
    )*};
}

mod log_key;
mod order;
mod party;
mod payout;
mod programme;
mod refusals;
mod supply;

pub use log_key::*;
pub use order::*;
pub use party::*;
pub use payout::*;
pub use programme::*;
pub use refusals::*;
pub use supply::*;

use serde::ser::Error as _;
use serde::{Deserialize, Serialize};

use crate::json::{self, NotStrict};
use crate::receipt::Signed;

/// The longest list in one command (DESIGN §4.6); a longer one is several commands.
pub const LIST_MAX: usize = 200;

/// What a credential may do (DESIGN §7, access); the table is [`crate::book::access`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the exchange: admits parties, actors, keys; touches no money.
    Exchange,
    /// Runs programmes: lists, facts, cases, vouchers.
    Office,
    /// Opens and fills funds.
    Funder,
    /// Statements, payouts, clawback, recovery.
    Finance,
    /// Orders and redeems.
    Buyer,
    /// Sells GPU time and signs usage receipts.
    Provider,
    /// Sells datasets and signs delivery receipts.
    Vendor,
    /// Reads everything in its scope.
    Regulator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 8] = [
        Self::Exchange,
        Self::Office,
        Self::Funder,
        Self::Finance,
        Self::Buyer,
        Self::Provider,
        Self::Vendor,
        Self::Regulator,
    ];

    /// The role's word in keys, tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Office => "office",
            Self::Funder => "funder",
            Self::Finance => "finance",
            Self::Buyer => "buyer",
            Self::Provider => "provider",
            Self::Vendor => "vendor",
            Self::Regulator => "regulator",
        }
    }
}

packed_enum!(Role {
    0 => Exchange, 1 => Office, 2 => Funder, 3 => Finance, 4 => Buyer, 5 => Provider, 6 => Vendor, 7 => Regulator,
});

macro_rules! commands {
    ($($(#[$doc:meta])* $variant:ident($payload:ty) = $kind:literal,)*) => {
        /// Everything that may be asked.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Command {
            $(#[doc = concat!("`", $kind, "`")] $variant($payload),)*
        }

        /// The type of a command and of the entry that it becomes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = concat!("`", $kind, "`")] $variant,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The kind's text, e.g. `order.placed`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $kind,)*
                }
            }

            /// Finds the kind of a text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
            }
        }

        impl Command {
            /// The command's kind.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$variant(_) => Kind::$variant,)*
                }
            }

            /// Reads the payload of an entry that is compared with its one spelling afterwards, or that was written here.
            pub(super) fn from_json(kind: Kind, payload: &str) -> Result<Self, serde_json::Error> {
                match kind {
                    $(Kind::$variant => serde_json::from_str(payload).map(Self::$variant),)*
                }
            }
        }

        impl Serialize for Command {
            /// Writes the payload alone: the kind stands in the entry's `type`.
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(payload) => payload.serialize(serializer),)*
                }
            }
        }
    };
}

impl Command {
    /// Reads the payload of a kind as it is asked: strict JSON, objects from objects, no unknown member.
    /// # Errors
    /// [`NotStrict`] says what is wrong with the payload.
    pub fn parse(kind: Kind, payload: &[u8]) -> Result<Self, NotStrict> {
        json::check(payload)?;
        let text = str::from_utf8(payload).map_err(NotStrict::custom)?;
        let command = Self::from_json(kind, text)?;
        json::check_objects(payload, &command)?;
        Ok(command)
    }

    /// The signed statement that the command enters, if it enters one: to be verified before it is decided.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others enter none")]
    pub const fn statement_mut(&mut self) -> Option<&mut Signed> {
        match self {
            Self::AcceptReceipt(AcceptReceipt { jws })
            | Self::GiveAcceptance(GiveAcceptance { jws })
            | Self::ShareCapacity(ShareCapacity { jws })
            | Self::PlaceOrder(PlaceOrder { jws: Some(jws), .. }) => Some(jws),
            _ => None,
        }
    }
}

commands! {
    OpenExchange(OpenExchange) = "exchange.opened",
    AdmitParty(AdmitParty) = "party.admitted",
    UpdateParty(UpdateParty) = "party.updated",
    SuspendParty(SuspendParty) = "party.suspended",
    RegisterActor(RegisterActor) = "actor.registered",
    RemoveActor(RemoveActor) = "actor.removed",
    RegisterKey(RegisterKey) = "key.registered",
    RevokeKey(RevokeKey) = "key.revoked",
    RecordFact(RecordFact) = "fact.recorded",
    WithdrawFact(WithdrawFact) = "fact.withdrawn",
    OpenFund(OpenFund) = "fund.opened",
    AppropriateFund(AppropriateFund) = "fund.appropriated",
    LapseFund(LapseFund) = "fund.lapsed",
    EnactProgramme(EnactProgramme) = "programme.enacted",
    AmendProgramme(AmendProgramme) = "programme.amended",
    CloseProgramme(CloseProgramme) = "programme.closed",
    PublishProviderList(PublishProviderList) = "provider_list.published",
    IssueVoucher(IssueVoucher) = "voucher.issued",
    ExpireVoucher(ExpireVoucher) = "voucher.expired",
    RevokeVoucher(RevokeVoucher) = "voucher.revoked",
    RegisterSite(RegisterSite) = "site.registered",
    UpdateSite(UpdateSite) = "site.updated",
    ShareCapacity(ShareCapacity) = "capacity.shared",
    PublishOffer(PublishOffer) = "offer.published",
    WithdrawOffer(WithdrawOffer) = "offer.withdrawn",
    PublishDataset(PublishDataset) = "dataset.published",
    PriceDataset(PriceDataset) = "dataset.priced",
    AssessDataset(AssessDataset) = "dataset.assessed",
    WithdrawDataset(WithdrawDataset) = "dataset.withdrawn",
    RecallDataset(RecallDataset) = "dataset.recalled",
    PlaceOrder(PlaceOrder) = "order.placed",
    AmendOrder(AmendOrder) = "order.amended",
    CancelOrder(CancelOrder) = "order.cancelled",
    CloseOrder(CloseOrder) = "order.closed",
    ExpireOrder(ExpireOrder) = "order.expired",
    OpenCase(OpenCase) = "case.opened",
    DecideCase(DecideCase) = "case.decided",
    WithdrawCase(WithdrawCase) = "case.withdrawn",
    CloseStatement(CloseStatement) = "statement.closed",
    InstructPayout(InstructPayout) = "payout.instructed",
    ExecutePayout(ExecutePayout) = "payout.executed",
    ReturnPayout(ReturnPayout) = "payout.returned",
    MakeClawback(MakeClawback) = "clawback.made",
    ReceiveRecovery(ReceiveRecovery) = "recovery.received",
    WriteOff(WriteOff) = "writeoff.made",
    AcceptReceipt(AcceptReceipt) = "receipt.accepted",
    GiveAcceptance(GiveAcceptance) = "acceptance.given",
    DeemAcceptance(DeemAcceptance) = "acceptance.deemed",
    RecordEvidence(RecordEvidence) = "evidence.recorded",
    SealRefusals(SealRefusals) = "refusals.sealed",
    SealBook(SealBook) = "book.sealed",
    RotateLogKey(RotateLogKey) = "log_key.rotated",
    ContinueTrail(ContinueTrail) = "trail.continued",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_with_an_unknown_member_is_refused() {
        let good = br#"{"fund":"sh-compute-2025","fen":5}"#;
        assert!(Command::parse(Kind::LapseFund, good).is_ok());
        let bad = br#"{"fund":"sh-compute-2025","fen":5,"yuan":1}"#;
        assert!(Command::parse(Kind::LapseFund, bad).is_err());
    }

    #[test]
    fn every_kind_is_found_by_its_text() {
        assert!(
            Kind::ALL
                .iter()
                .all(|kind| Kind::parse(kind.as_str()) == Some(*kind))
        );
    }
}
