//! Orders, their receipts and documents.

use serde::{Deserialize, Serialize};

use super::Contract;
use crate::id::{
    DocumentDigest, OfferId, OrderId, PartyId, ProgrammeId, Salt, Sha256Hash, VoucherId,
};
use crate::json::{self, NotStrict};
use crate::money::Fen;
use crate::programme::schema::{EvidenceKind, Line};
use crate::receipt::Signed;
use crate::time::Timestamp;

payload! {
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
        /// The buyer's `order+jwt` over all of the above, where a programme asks for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jws: Option<Signed>,
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

impl PlaceOrder {
    /// The digest that the buyer signs: of the canonical JSON of all members but the signature.
    /// # Errors
    /// [`NotStrict`]: a number beyond 2⁵³ − 1, which was read from no strict JSON.
    pub fn digest(&self) -> Result<DocumentDigest, NotStrict> {
        let unsigned = Self {
            jws: None,
            ..self.clone()
        };
        json::write(&unsigned).map(|text| DocumentDigest::of(&text))
    }
}
