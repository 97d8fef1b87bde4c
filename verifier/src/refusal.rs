//! Every stable code, once, and the refusal that carries it (STYLE §4, RFC 9457 `code`).
//!
//! A code is never renamed or reused. A refusal says what, with the numbers, and what to do; the book is unchanged.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

use crate::id::NotAnId;
use crate::json::NotStrict;
use crate::money::Overflow;

macro_rules! codes {
    ($($name:ident = $text:literal,)*) => {
        /// Every reason for which the rules say no.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Code {
            /// Every code in the order of checks.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    // The request itself.
    RequestMalformed = "request.malformed",
    RequestTooLarge = "request.too-large",
    RequestPath = "request.path",
    RequestMethod = "request.method",
    RequestMediaType = "request.media-type",
    RequestIdempotencyKey = "request.idempotency-key",
    AccessUnknown = "access.unknown",
    AccessRole = "access.role",
    AccessParty = "access.party",
    AccessScope = "access.scope",
    CommandRepeated = "command.repeated",
    CommandConflict = "command.conflict",
    CommandInFlight = "command.in-flight",
    EntryTooLarge = "entry.too-large",
    EntrySpelling = "entry.spelling",
    EntryUnknown = "entry.unknown",
    AmountOverflow = "amount.overflow",
    // The exchange, parties, actors, keys, facts.
    ExchangeUnopened = "exchange.unopened",
    ExchangeOpened = "exchange.opened-already",
    PartyUnknown = "party.unknown",
    PartySuspended = "party.suspended",
    ActorUnknown = "actor.unknown",
    KeyUnknown = "key.unknown",
    KeyTaken = "key.taken",
    KeyWeak = "key.weak",
    KeyProof = "key.proof",
    KeySuccession = "key.succession",
    KeyFreezing = "key.freezing",
    LogKeyOther = "log-key.other",
    LogKeyInvalid = "log-key.invalid",
    TrailContinuation = "trail.continuation",
    FactUnknown = "fact.unknown",
    FactInvalid = "fact.invalid",
    // Money.
    FundUnknown = "fund.unknown",
    FundTaken = "fund.taken",
    FundFunder = "fund.funder",
    FundExhausted = "fund.exhausted",
    // Programmes, lists.
    ProgrammeInvalid = "programme.invalid",
    ProgrammeUnknown = "programme.unknown",
    ProgrammeMissing = "programme.missing",
    ProgrammeTaken = "programme.taken",
    ProgrammeStatus = "programme.status",
    ProgrammeNeedsProcedure = "programme.needs-procedure",
    ProgrammeClosed = "programme.closed",
    ProgrammeWindow = "programme.window",
    ProgrammeRequirement = "programme.requirement",
    ProgrammeProvider = "programme.provider",
    ProgrammeRelated = "programme.related",
    ProgrammeStack = "programme.stack",
    ProgrammeUnique = "programme.unique",
    ProgrammeManual = "programme.manual",
    // Cases and vouchers.
    CaseUnknown = "case.unknown",
    CaseState = "case.state",
    CaseFourEyes = "case.four-eyes",
    VoucherUnknown = "voucher.unknown",
    VoucherNothing = "voucher.nothing",
    VoucherState = "voucher.state",
    VoucherExpired = "voucher.expired",
    VoucherHolder = "voucher.holder",
    // Supply: sites, offers, datasets from upload to delivery.
    SiteUnknown = "site.unknown",
    ShareInvalid = "share.invalid",
    OfferUnknown = "offer.unknown",
    OfferWithdrawn = "offer.withdrawn",
    DatasetUnknown = "dataset.unknown",
    DatasetTaken = "dataset.taken",
    DatasetState = "dataset.state",
    DatasetUnavailable = "dataset.unavailable",
    DatasetDuplicate = "dataset.duplicate",
    DatasetPending = "dataset.pending",
    DatasetLicence = "dataset.licence",
    DatasetFile = "dataset.file",
    ListingUnknown = "listing.unknown",
    ListingTaken = "listing.taken",
    ListingIncomplete = "listing.incomplete",
    UploadUnknown = "upload.unknown",
    UploadGone = "upload.gone",
    UploadOffset = "upload.offset",
    UploadChecksum = "upload.checksum",
    UploadLocked = "upload.locked",
    UploadLength = "upload.length",
    UploadQuota = "upload.quota",
    SampleTooEarly = "sample.too-early",
    SampleUnknown = "sample.unknown",
    SampleDrawn = "sample.drawn",
    SampleJudged = "sample.judged",
    DeliveryEntitlement = "delivery.entitlement",
    DeliveryLinkExpired = "delivery.link-expired",
    DeliveryRange = "delivery.range",
    // Orders.
    OrderUnknown = "order.unknown",
    OrderClosed = "order.closed",
    OrderTerms = "order.terms",
    OrderClaims = "order.claims",
    OrderOpen = "order.open",
    // Receipts, in the order of their checks (DESIGN §5).
    ReceiptMalformed = "receipt.malformed",
    ReceiptSignature = "receipt.signature",
    ReceiptKeyUnknown = "receipt.key-unknown",
    ReceiptKeyNotValidThen = "receipt.key-not-valid-then",
    ReceiptAudience = "receipt.audience",
    ReceiptIssuer = "receipt.issuer",
    ReceiptOrder = "receipt.order",
    ReceiptOrderClosed = "receipt.order-closed",
    ReceiptChain = "receipt.chain",
    ReceiptPeriod = "receipt.period",
    ReceiptOverlap = "receipt.overlap",
    ReceiptModel = "receipt.model",
    ReceiptRate = "receipt.rate",
    ReceiptJobs = "receipt.jobs",
    ReceiptCapacity = "receipt.capacity",
    ReceiptProvenance = "receipt.provenance",
    ReceiptQuantity = "receipt.quantity",
    ReceiptCorrection = "receipt.correction",
    ReceiptDelivery = "receipt.delivery",
    ReceiptDigest = "receipt.digest",
    // Evidence, statements, payouts, clawback.
    EvidenceInvalid = "evidence.invalid",
    EvidenceUnique = "evidence.unique",
    PeriodOpen = "period.open",
    BatchUnknown = "batch.unknown",
    BatchState = "batch.state",
    PayoutOwed = "payout.owed",
    PayoutNothing = "payout.nothing",
    ClawbackNothing = "clawback.nothing",
    RecoveryExceeds = "recovery.exceeds",
    // Refusals themselves.
    RefusalsSealed = "refusals.sealed-already",
    RefusalUnknown = "refusal.unknown",
    RefusalUnsealed = "refusal.unsealed",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::text(deserializer)
    }
}

impl FromStr for Code {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|code| code.as_str() == text);
        found
            .copied()
            .ok_or_else(|| format!("{text:?} is no code of a refusal"))
    }
}

/// "No, because": a stable code, a sentence with the numbers and what to do, and the values by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason.
    pub code: Code,
    /// What is wrong, with the numbers, and what to do.
    pub sentence: String,
    /// The numbers and names of the sentence, for programs.
    pub values: Vec<(&'static str, String)>,
}

impl Refusal {
    /// Says no.
    pub fn new(code: Code, sentence: impl Into<String>) -> Self {
        Self {
            code,
            sentence: sentence.into(),
            values: Vec::new(),
        }
    }

    /// Adds a named value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.values.push((name, value.to_string()));
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.sentence)
    }
}

impl std::error::Error for Refusal {}

impl From<Overflow> for Refusal {
    fn from(overflow: Overflow) -> Self {
        Self::new(
            Code::AmountOverflow,
            format!("{overflow}; split the amount"),
        )
    }
}

impl From<NotStrict> for Refusal {
    fn from(fault: NotStrict) -> Self {
        Self::new(
            Code::RequestMalformed,
            format!("the JSON is not accepted: {fault}"),
        )
    }
}

impl From<NotAnId> for Refusal {
    fn from(fault: NotAnId) -> Self {
        Self::new(Code::RequestMalformed, fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_unique_and_spelt_alike() {
        let texts: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        let good = |c: char| c.is_ascii_lowercase() || c == '.' || c == '-';
        assert!(
            texts
                .iter()
                .all(|text| text.chars().all(good) && text.contains('.'))
        );
    }
}
