//! Funds, programmes, provider lists and vouchers.

use serde::{Deserialize, Serialize};

use crate::id::{
    DocumentDigest, FundId, FunderId, ListId, PartyId, ProgrammeId, Sha256Hash, VoucherId,
};
use crate::money::Fen;
use crate::programme::Settlement;
use crate::region::Region;
use crate::time::LocalDay;

payload! {
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
}

packed!(Contract {
    digest,
    number,
    fen,
    signed_on,
    from,
    to
});
