//! What may be asked of the exchange: one enum, one payload a command, strict members (DESIGN §4.6).
//!
//! A payload is the entry's `asked`, byte for byte; its type is the entry's `type`. An unknown member is refused.

use serde::{Deserialize, Serialize};

use crate::book::state::fact::Subject;
use crate::fact::{FactName, FactValue};
use crate::id::{
    ActorId, BatchId, CaseId, DatasetId, DocumentDigest, FundId, FunderId, GpuModel, ListId,
    OfferId, OrderId, PartyId, ProgrammeId, Salt, Sha256Hash, SiteId, VoucherId,
};
use crate::json::Object;
use crate::money::{BasisPoints, Fen};
use crate::programme::Settlement;
use crate::programme::schema::{Cause, EvidenceKind, Line};
use crate::receipt::KeyUse;
use crate::receipt::Signed;
use crate::region::Region;
use crate::signature::Kid;
use crate::time::{LocalDay, NamedPeriod, Timestamp, UtcOffset};

/// The longest list in one command (DESIGN §4.6); a longer one is several commands.
pub const LIST_MAX: usize = 200;
/// The most claims of one order: claims are `0…7`.
pub const CLAIMS_MAX: usize = 8;
/// The longest signed receipt, as a compact JWS (DESIGN §5).
pub const RECEIPT_BYTES_MAX: usize = 48_000;
/// The longest programme file.
pub const PROGRAMME_BYTES_MAX: usize = 48_000;

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

payload! {
    /// Entry 0, written by the first start.
    OpenExchange {
        /// The log's origin: 1 to 255 bytes, no space, no `+` (TRAIL D11); also the `aud` of every receipt.
        origin: String,
        /// The log's verifier key as a C2SP vkey.
        log_vkey: String,
        /// The exchange's delivery key (an Ed25519 `x`).
        delivery_key: String,
        /// The exchange's reply key (an Ed25519 `x`).
        reply_key: String,
        /// The offset of the exchange's own days.
        utc_offset_min: UtcOffset,
    }
    /// Admits a legal person.
    AdmitParty {
        /// What it may be on the exchange.
        roles: Vec<Role>,
        /// The commitment to its name; the opening is erasable.
        name: Sha256Hash,
        /// The commitment to its unified social credit code, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uscc: Option<Sha256Hash>,
    }
    /// Changes a party's roles or name commitment.
    UpdateParty {
        /// Which party.
        party: PartyId,
        /// All its roles from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        roles: Option<Vec<Role>>,
        /// The commitment to its new name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Sha256Hash>,
    }
    /// Suspends a party, or lifts the suspension.
    SuspendParty {
        /// Which party.
        party: PartyId,
        /// Whether it is suspended from now on.
        suspended: bool,
        /// The digest of the decision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        basis: Option<DocumentDigest>,
    }
    /// Registers the credential of a person or service.
    RegisterActor {
        /// For whom it acts.
        party: PartyId,
        /// As what; each a role of the party.
        roles: Vec<Role>,
    }
    /// Removes a credential.
    RemoveActor {
        /// Which actor.
        actor: ActorId,
    }
    /// Registers a signing key with a proof of possession.
    RegisterKey {
        /// Whose key.
        party: PartyId,
        /// For what; one use for ever.
        #[serde(rename = "use")]
        key_use: KeyUse,
        /// The public key (RFC 8037).
        jwk: Jwk,
        /// Its RFC 7638 thumbprint.
        kid: Kid,
        /// Good for receipts issued from here …
        valid_from: Timestamp,
        /// … to before here.
        valid_to: Timestamp,
        /// A JWS `key-registration+jwt` by that key.
        proof: String,
    }
    /// Revokes a key.
    RevokeKey {
        /// Which key.
        kid: Kid,
        /// Why.
        reason: RevocationReason,
        /// From when a compromised key is not to be believed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compromised_since: Option<Timestamp>,
    }
    /// Records a dated, sourced statement (DESIGN §4.3).
    RecordFact {
        /// About whom or what: `party/…`, `site/…`, `dataset/…`, `contract/…`.
        subject: Subject,
        /// Which fact.
        name: FactName,
        /// What is so.
        value: FactValue,
        /// From when …
        valid_from: LocalDay,
        /// … to before when; open if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_to: Option<LocalDay>,
        /// Where it was read, as the digest of the document.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<DocumentDigest>,
    }
    /// Withdraws a fact: it is unknown again.
    WithdrawFact {
        /// About whom or what.
        subject: Subject,
        /// Which fact.
        name: FactName,
    }
    /// Opens a fund: one funder's appropriation for one budget year.
    OpenFund {
        /// Its id.
        fund: FundId,
        /// Whose money: the funder's name in programme files; it belongs to the party that uses it first.
        funder: FunderId,
        /// The budget year, local.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        year: Option<i64>,
        /// The region whose regulator sees it, GB/T 2260.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<Region>,
    }
    /// Puts money into a fund: treasury → fund.
    AppropriateFund {
        /// Which fund.
        fund: FundId,
        /// How much, > 0.
        fen: Fen,
        /// The digest of the budget document.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        basis: Option<DocumentDigest>,
    }
    /// Takes back what is free: fund → treasury.
    LapseFund {
        /// Which fund.
        fund: FundId,
        /// How much, > 0.
        fen: Fen,
    }
    /// Enacts a programme file.
    EnactProgramme {
        /// The whole file.
        toml: String,
        /// Its digest.
        digest: DocumentDigest,
        /// What the office settles of what the file leaves unknown.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        settled: Vec<Settlement>,
        /// Expressly enacts a file of status `press`, `draft` or `template`, and says so for ever.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        despite_status: bool,
    }
    /// Replaces an enacted file; vouchers keep the version they were issued under.
    AmendProgramme {
        /// Which programme.
        programme: ProgrammeId,
        /// The whole new file.
        toml: String,
        /// Its digest.
        digest: DocumentDigest,
        /// What the office settles.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        settled: Vec<Settlement>,
        /// As in [`EnactProgramme`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        despite_status: bool,
    }
    /// Closes a programme to new vouchers and orders.
    CloseProgramme {
        /// Which programme.
        programme: ProgrammeId,
    }
    /// Publishes (a part of) a yearly provider list.
    PublishProviderList {
        /// Which list.
        list: ListId,
        /// The local year for which it holds.
        year: i64,
        /// This part, from 1.
        part: u32,
        /// Of how many parts.
        of: u32,
        /// The listed providers.
        members: Vec<PartyId>,
    }
    /// Issues a voucher of a programme that issues without an application.
    IssueVoucher {
        /// Of which programme.
        programme: ProgrammeId,
        /// To whom.
        holder: PartyId,
        /// For what contract, where the face is computed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract: Option<Contract>,
        /// The face, where it is chosen or fixed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        face_fen: Option<Fen>,
    }
    /// Moves the money of a voucher whose end has passed.
    ExpireVoucher {
        /// Which voucher.
        voucher: VoucherId,
    }
    /// Takes back what a voucher still holds.
    RevokeVoucher {
        /// Which voucher.
        voucher: VoucherId,
        /// The digest of the decision.
        basis: DocumentDigest,
    }
    /// Registers hardware in one place.
    RegisterSite {
        /// Who meters it.
        provider: PartyId,
        /// Where, GB/T 2260.
        region: Region,
        /// What stands there.
        hardware: Vec<Hardware>,
        /// The capacity key; its thumbprint is the site's global id.
        capacity_kid: Kid,
    }
    /// Changes a site's hardware.
    UpdateSite {
        /// Which site.
        site: SiteId,
        /// All that stands there from now on.
        hardware: Vec<Hardware>,
    }
    /// Shares a site's capacity with this exchange.
    ShareCapacity {
        /// A `capacity-share+jwt` by the site's capacity key.
        jws: Signed,
    }
    /// Publishes an offer of GPU time.
    PublishOffer {
        /// At which site.
        site: SiteId,
        /// Which cards.
        gpu_model: GpuModel,
        /// What is billed.
        billing: Billing,
        /// Fen a card-hour.
        price_fen: Fen,
        /// Until when it can be ordered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_to: Option<Timestamp>,
    }
    /// Withdraws an offer.
    WithdrawOffer {
        /// Which offer.
        offer: OfferId,
    }
    /// Publishes an immutable version of a dataset, named by its manifest.
    PublishDataset {
        /// The listing it continues; absent for a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dataset: Option<DatasetId>,
        /// The version's name, `[0-9a-z.+-]{1,32}`.
        version: String,
        /// SHA-256 of the manifest: sorted lines `<sha-256 hex>  <bytes>  <NFC path>\n`.
        manifest: DocumentDigest,
        /// The manifest itself, where it is small; else only its digest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<String>,
        /// The bytes of all files.
        bytes: u64,
        /// The price of one licence.
        price_fen: Fen,
        /// The digest of the licence text.
        licence: DocumentDigest,
    }
    /// An assessor's verdict on a version.
    AssessDataset {
        /// Which version.
        manifest: DocumentDigest,
        /// Good for listing or not.
        passed: bool,
        /// The digest of the report.
        report: DocumentDigest,
    }
    /// Withdraws a listing from sale.
    WithdrawDataset {
        /// Which listing.
        dataset: DatasetId,
    }
    /// Recalls a version: nobody may use it any more.
    RecallDataset {
        /// Which version.
        manifest: DocumentDigest,
        /// The digest of the notice.
        notice: DocumentDigest,
    }
    /// Places an order under published terms.
    PlaceOrder {
        /// Who sells.
        seller: PartyId,
        /// What is ordered, piece by piece.
        segments: Vec<SegmentAsked>,
        /// The contract behind it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract: Option<Contract>,
        /// The use that the buyer states: the order fact `purpose`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        purpose: Option<String>,
        /// What is to pay, in any order; they are stacked by their programmes.
        claims: Vec<ClaimAsked>,
        /// The buyer's nonce for sampling seeds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nonce: Option<Salt>,
    }
    /// Adds segments or money to an order.
    AmendOrder {
        /// Which order.
        order: OrderId,
        /// New segments agreed by both sides.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        segments: Vec<SegmentAsked>,
        /// Top-ups of claims: `[claim, fen]`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        top_ups: Vec<(u8, Fen)>,
    }
    /// Cancels an order: what is not earned goes back.
    CancelOrder {
        /// Which order.
        order: OrderId,
    }
    /// Closes an order that is done.
    CloseOrder {
        /// Which order.
        order: OrderId,
    }
    /// Closes an order whose time is over.
    ExpireOrder {
        /// Which order.
        order: OrderId,
    }
    /// Enters a signed usage or delivery receipt, embedded whole as received.
    AcceptReceipt {
        /// The compact JWS.
        jws: Signed,
    }
    /// Enters the buyer's signed acceptance or defect.
    GiveAcceptance {
        /// The compact JWS `data-acceptance-receipt+jwt`.
        jws: Signed,
    }
    /// Accepts by silence, after the programme's days.
    DeemAcceptance {
        /// Which order.
        order: OrderId,
    }
    /// States a document: contract, invoice, payment, or another with its digest.
    RecordEvidence {
        /// For which order.
        order: OrderId,
        /// What kind.
        kind: EvidenceKind,
        /// The document.
        digest: DocumentDigest,
        /// Its number in canonical form, hashed (invoice digits, contract number): one use over a pool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Sha256Hash>,
        /// Money by line.
        lines: Vec<(Line, Fen)>,
    }
    /// Opens a case.
    OpenCase {
        /// What for.
        subject: CaseSubject,
    }
    /// Decides a case.
    DecideCase {
        /// Which case.
        case: CaseId,
        /// Yes or no.
        approved: bool,
        /// The amount that the decision supplies, where the programme asks for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved_fen: Option<Fen>,
        /// The digest of the decision.
        basis: DocumentDigest,
    }
    /// Withdraws a case.
    WithdrawCase {
        /// Which case.
        case: CaseId,
    }
    /// Closes a settlement period of a party: earned → payable, then netting.
    CloseStatement {
        /// Whose.
        party: PartyId,
        /// Which period.
        period: NamedPeriod,
    }
    /// Instructs the bank: payable → transit.
    InstructPayout {
        /// From which fund.
        fund: FundId,
        /// To whom.
        parties: Vec<PartyId>,
        /// The digest of the payout file.
        file: DocumentDigest,
    }
    /// The bank has paid: transit → paid.
    ExecutePayout {
        /// Which batch.
        batch: BatchId,
    }
    /// The bank has sent it back: transit or paid → payable.
    ReturnPayout {
        /// Which batch.
        batch: BatchId,
    }
    /// Takes back what was paid without right.
    MakeClawback {
        /// Of which order.
        order: OrderId,
        /// Of which claim.
        claim: u8,
        /// Why.
        cause: Cause,
        /// How much of what was granted and paid, where the programme leaves it unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share_bp: Option<BasisPoints>,
        /// The digest of the decision.
        basis: DocumentDigest,
    }
    /// Cash came back: owed → fund or treasury.
    ReceiveRecovery {
        /// From whom.
        party: PartyId,
        /// Into which fund.
        fund: FundId,
        /// How much, > 0.
        fen: Fen,
    }
    /// A debt is given up: owed → paid.
    WriteOff {
        /// Whose.
        party: PartyId,
        /// In which fund.
        fund: FundId,
        /// How much, > 0.
        fen: Fen,
        /// The digest of the decision.
        basis: DocumentDigest,
    }
    /// A public key (RFC 8037 §2).
    Jwk {
        /// `Ed25519`.
        crv: String,
        /// `OKP`.
        kty: String,
        /// The 32 bytes.
        x: String,
    }
    /// Cards of one model.
    Hardware {
        /// Which model.
        gpu_model: GpuModel,
        /// How many physical cards.
        gpus: u32,
    }
    /// The contract behind an order or application.
    Contract {
        /// The document.
        digest: DocumentDigest,
        /// Its number in canonical form, hashed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Sha256Hash>,
        /// The amount agreed.
        fen: Fen,
        /// The day on which it was signed.
        signed_on: LocalDay,
        /// The first day …
        from: LocalDay,
        /// … and the last day of its term.
        to: LocalDay,
    }
    /// One segment of an order: GPU time of an offer, or a dataset's version.
    SegmentAsked {
        /// Which offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<OfferId>,
        /// Which version of a dataset.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dataset: Option<DocumentDigest>,
        /// From when …
        from: Timestamp,
        /// … to before when.
        to: Timestamp,
        /// The most GPU-seconds, where there is a limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
    }
    /// One benefit asked for: a voucher, or a programme that has none.
    ClaimAsked {
        /// Which voucher.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        voucher: Option<VoucherId>,
        /// Which programme without a voucher.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        programme: Option<ProgrammeId>,
        /// The most to reserve; all there is if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold_fen: Option<Fen>,
    }
}

/// Why a key is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationReason {
    /// A newer one took its place; good for 72 h for what was issued before.
    Superseded,
    /// Somebody else may hold it.
    Compromised,
}

/// What of GPU time is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Billing {
    /// Used GPU-seconds.
    Metered,
    /// Reserved cards × covered seconds.
    Reserved,
}

/// What a case is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CaseSubject {
    /// An application for a voucher.
    Application {
        /// Of which programme.
        programme: ProgrammeId,
        /// For which contract.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract: Option<Contract>,
        /// The face asked for, where it is chosen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        face_fen: Option<Fen>,
        /// The stated purpose.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        purpose: Option<String>,
    },
    /// A claim of an order whose base is an approved amount.
    Redemption {
        /// Which order.
        order: OrderId,
        /// Which claim.
        claim: u8,
    },
}

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

            /// Reads the payload of a kind; unknown members are refused. The text has passed [`crate::json::check`].
            /// # Errors
            /// What `serde_json` says of the payload.
            pub fn from_json(kind: Kind, payload: &[u8]) -> Result<Self, serde_json::Error> {
                match kind {
                    $(Kind::$variant => serde_json::from_slice(payload)
                        .map(|Object(payload)| Self::$variant(payload)),)*
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_with_an_unknown_member_is_refused() {
        let good = br#"{"fund":"sh-compute-2025","fen":5}"#;
        assert!(Command::from_json(Kind::LapseFund, good).is_ok());
        let bad = br#"{"fund":"sh-compute-2025","fen":5,"yuan":1}"#;
        assert!(Command::from_json(Kind::LapseFund, bad).is_err());
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
