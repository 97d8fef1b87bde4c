//! Refusal or fault → status and RFC 9457 JSON: the only such mapping (STYLE §4).
//!
//! A refusal says what, with the numbers, and what to do. A fault says nothing of the inside: the log has all of it.

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use verifier::refusal::{Code, Refusal};
use verifier::report::{Report, Status};

use super::access;
use crate::cause::Whole;
use crate::dataset;
use crate::sequencer::Unanswered;

/// The media type of a problem (RFC 9457 §3).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The prefix of a problem's `type`; the rest is its code.
const TYPE_PREFIX: &str = "urn:quan:problem:";
/// Seconds after which a caller may try again where we could not.
const RETRY_SECONDS: u64 = 1;

/// Why a request is not answered as asked: "no, because", or "we broke".
#[derive(Debug)]
pub enum Problem {
    /// The rules, or the form of a request, say no.
    Refused(Refusal),
    /// A receipt was refused: with the list of its checks.
    ReceiptRefused(Refusal, Report),
    /// We cannot right now; the caller may try again.
    Busy(&'static str),
    /// The caller's party was refused as often as is kept; seconds until it may be again.
    Often(u64),
    /// We broke. The text goes to the log, never to the caller.
    Internal(String),
}

/// A problem as it is written (RFC 9457 §3).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Written {
    /// `urn:quan:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The code in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// The stable code, e.g. `receipt.rate`.
    code: &'static str,
    /// What is wrong, with the numbers, and what to do.
    detail: String,
    /// The numbers and names of `detail`, for programs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<&'static str, String>,
    /// The checks of a receipt, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<Check>,
}

/// One check of a receipt.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Check {
    /// The code that a failure has.
    code: &'static str,
    /// `passed`, `failed` or `not-reached`.
    status: &'static str,
}

impl Problem {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) | Self::ReceiptRefused(refusal, _) => refusal.code.as_str(),
            Self::Busy(_) => "exchange.busy",
            Self::Often(_) => "access.too-often",
            Self::Internal(_) => "internal",
        }
    }

    /// What is wrong, fit for the caller's eyes.
    #[must_use]
    pub fn sentence(&self) -> &str {
        match self {
            Self::Refused(refusal) | Self::ReceiptRefused(refusal, _) => &refusal.sentence,
            Self::Busy(why) => why,
            Self::Often(_) => {
                "your party was refused too often within the hour to be told why each time; mend what you send, and come back later: what is good is accepted meanwhile"
            }
            Self::Internal(_) => {
                "the exchange failed; repeat with the same key: it is done once or not at all"
            }
        }
    }

    /// The problem as it is written.
    #[must_use]
    pub fn written(&self) -> Written {
        let code = self.code();
        let (values, checks) = match self {
            Self::Refused(refusal) => (values(refusal), Vec::new()),
            Self::ReceiptRefused(refusal, report) => (values(refusal), checks(report)),
            Self::Busy(_) | Self::Often(_) | Self::Internal(_) => (BTreeMap::new(), Vec::new()),
        };
        Written {
            kind: format!("{TYPE_PREFIX}{code}"),
            title: code.replace(['.', '-'], " "),
            status: self.status_code().as_u16(),
            code,
            detail: self.sentence().to_owned(),
            values,
            checks,
        }
    }
}

fn values(refusal: &Refusal) -> BTreeMap<&'static str, String> {
    refusal.values.iter().cloned().collect()
}

fn checks(report: &Report) -> Vec<Check> {
    let word = |status| match status {
        Status::Passed => "passed",
        Status::Failed => "failed",
        Status::NotReached => "not-reached",
    };
    let check = |(code, status): &(Code, Status)| Check {
        code: code.as_str(),
        status: word(*status),
    };
    report.checks().iter().map(check).collect()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.sentence())
    }
}

impl std::error::Error for Problem {}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unanswered> for Problem {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Busy => Self::Busy("too much is waiting; come back in a moment"),
            Unanswered::Stopping => Self::Busy("this server stops; come back or take another one"),
            Unanswered::Lost => {
                Self::Busy("it is unknown whether this was done; send it again with the same key")
            }
            Unanswered::Internal => Self::Internal("a command could not be decided".to_owned()),
        }
    }
}

impl From<dataset::Fault> for Problem {
    fn from(fault: dataset::Fault) -> Self {
        match fault {
            dataset::Fault::Refused(refusal) => refusal.into(),
            dataset::Fault::Unanswered(why) => why.into(),
            dataset::Fault::File(path, error) if error.kind() == io::ErrorKind::StorageFull => {
                tracing::error!(path = %path.display(), "the disk is full");
                Self::Busy("there is no room for this right now; come back later")
            }
            dataset::Fault::Store(fault) => access::store_fault(fault),
            other @ (dataset::Fault::Objects(_)
            | dataset::Fault::File(..)
            | dataset::Fault::Clock(_)) => Self::Internal(Whole(&other).to_string()),
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Refused(refusal) | Self::ReceiptRefused(refusal, _) => status(refusal.code),
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Often(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let Self::Internal(inside) = self {
            tracing::error!(fault = %inside, "a request failed");
        }
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header(ContentType(
            PROBLEM_JSON
                .parse()
                .unwrap_or(actix_web::mime::APPLICATION_JSON),
        ));
        match self {
            Self::Busy(_) => {
                response.insert_header((RETRY_AFTER, RETRY_SECONDS));
            }
            Self::Often(seconds) => {
                response.insert_header((RETRY_AFTER, *seconds));
            }
            Self::Refused(refusal) if refusal.code == Code::AccessUnknown => {
                // RFC 6750 §3: a 401 names the scheme.
                response.insert_header(("WWW-Authenticate", "Bearer realm=\"quan\""));
            }
            Self::Refused(_) | Self::ReceiptRefused(..) | Self::Internal(_) => {}
        }
        response.body(serde_json::to_vec(&self.written()).unwrap_or_default())
    }
}

/// The status of a refusal. A repetition with another body is 422, one in flight 409
/// (draft-ietf-httpapi-idempotency-key-header §2.7).
#[expect(
    clippy::too_many_lines,
    reason = "one match, a row a code: a new code is seen here"
)]
fn status(code: Code) -> StatusCode {
    match code {
        Code::RequestMalformed | Code::RequestIdempotencyKey => StatusCode::BAD_REQUEST,
        Code::AccessUnknown => StatusCode::UNAUTHORIZED,
        Code::AccessRole
        | Code::AccessParty
        | Code::AccessScope
        | Code::PartySuspended
        | Code::DeliveryEntitlement => StatusCode::FORBIDDEN,
        Code::RequestPath
        | Code::EntryUnknown
        | Code::PartyUnknown
        | Code::ActorUnknown
        | Code::KeyUnknown
        | Code::FactUnknown
        | Code::FundUnknown
        | Code::ProgrammeMissing
        | Code::CaseUnknown
        | Code::VoucherUnknown
        | Code::SiteUnknown
        | Code::OfferUnknown
        | Code::DatasetUnknown
        | Code::ListingUnknown
        | Code::UploadUnknown
        | Code::SampleUnknown
        | Code::OrderUnknown
        | Code::RefusalUnknown
        | Code::RefusalUnsealed
        | Code::BatchUnknown => StatusCode::NOT_FOUND,
        Code::RequestMethod => StatusCode::METHOD_NOT_ALLOWED,
        Code::CommandInFlight
        | Code::CommandRepeated
        | Code::ExchangeUnopened
        | Code::ExchangeOpened
        | Code::KeyTaken
        | Code::KeyFreezing
        | Code::LogKeyOther
        | Code::FundTaken
        | Code::ProgrammeTaken
        | Code::ProgrammeClosed
        | Code::CaseState
        | Code::VoucherState
        | Code::VoucherExpired
        | Code::OfferWithdrawn
        | Code::DatasetTaken
        | Code::DatasetDuplicate
        | Code::DatasetPending
        | Code::DatasetState
        | Code::DatasetUnavailable
        | Code::ListingTaken
        | Code::SampleTooEarly
        | Code::SampleDrawn
        | Code::SampleJudged
        | Code::UploadOffset
        | Code::OrderClosed
        | Code::OrderOpen
        | Code::ReceiptOrderClosed
        | Code::ReceiptChain
        | Code::RefusalsSealed
        | Code::BatchState => StatusCode::CONFLICT,
        Code::UploadGone | Code::DeliveryLinkExpired => StatusCode::GONE,
        Code::RequestTooLarge | Code::EntryTooLarge | Code::UploadLength | Code::UploadQuota => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
        Code::DeliveryRange => StatusCode::RANGE_NOT_SATISFIABLE,
        Code::UploadLocked => StatusCode::LOCKED,
        // tus 1.0.0, Checksum: `460 Checksum Mismatch`, a status of its own.
        Code::UploadChecksum => StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST),
        Code::RequestMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::CommandConflict
        | Code::EntrySpelling
        | Code::AmountOverflow
        | Code::KeyWeak
        | Code::KeyProof
        | Code::KeySuccession
        | Code::LogKeyInvalid
        | Code::TrailContinuation
        | Code::FactInvalid
        | Code::FundFunder
        | Code::FundExhausted
        | Code::ProgrammeInvalid
        | Code::ProgrammeUnknown
        | Code::ProgrammeStatus
        | Code::ProgrammeNeedsProcedure
        | Code::ProgrammeWindow
        | Code::ProgrammeRequirement
        | Code::ProgrammeProvider
        | Code::ProgrammeRelated
        | Code::ProgrammeStack
        | Code::ProgrammeUnique
        | Code::ProgrammeManual
        | Code::CaseFourEyes
        | Code::VoucherNothing
        | Code::VoucherHolder
        | Code::ShareInvalid
        | Code::DatasetLicence
        | Code::DatasetFile
        | Code::ListingIncomplete
        | Code::OrderTerms
        | Code::OrderClaims
        | Code::ReceiptMalformed
        | Code::ReceiptSignature
        | Code::ReceiptKeyUnknown
        | Code::ReceiptKeyNotValidThen
        | Code::ReceiptAudience
        | Code::ReceiptIssuer
        | Code::ReceiptOrder
        | Code::ReceiptPeriod
        | Code::ReceiptOverlap
        | Code::ReceiptModel
        | Code::ReceiptRate
        | Code::ReceiptJobs
        | Code::ReceiptCapacity
        | Code::ReceiptProvenance
        | Code::ReceiptQuantity
        | Code::ReceiptCorrection
        | Code::ReceiptDelivery
        | Code::ReceiptDigest
        | Code::EvidenceInvalid
        | Code::EvidenceUnique
        | Code::PeriodOpen
        | Code::PayoutOwed
        | Code::PayoutNothing
        | Code::ClawbackNothing
        | Code::RecoveryExceeds => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_receipt_lists_its_checks_and_an_inside_text_never_leaves() {
        let refusal = Refusal::new(Code::ReceiptRate, "7300 exceed 7200; correct gpu_seconds")
            .with("gpus", 2);
        let report = Report::new(verifier::receipt::CHECKS, Err(&refusal));
        let written =
            serde_json::to_value(Problem::ReceiptRefused(refusal, report).written()).unwrap();
        assert_eq!(written["type"], "urn:quan:problem:receipt.rate");
        assert_eq!(written["status"], 422);
        assert_eq!(written["values"]["gpus"], "2");
        let status = |code: &str| {
            let checks = written["checks"].as_array().unwrap();
            checks.iter().find(|check| check["code"] == code).unwrap()["status"].clone()
        };
        assert_eq!(status("receipt.overlap"), "passed");
        assert_eq!(status("receipt.rate"), "failed");
        assert_eq!(status("receipt.capacity"), "not-reached");
        let internal = Problem::Internal("password=s3cret".to_owned());
        assert!(
            !serde_json::to_string(&internal.written())
                .unwrap()
                .contains("s3cret")
        );
    }

    #[test]
    fn no_code_answers_with_a_success() {
        assert!(Code::ALL.iter().all(|code| status(*code).is_client_error()));
    }
}
