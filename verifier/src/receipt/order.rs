//! `order+jwt`: a buyer signs the order that it places, where a programme asks for it (`instrument.sign`, DESIGN §5).

use serde::{Deserialize, Serialize};

use super::{AHEAD_SECONDS_MAX, Statement, Typ, seconds};
use crate::id::{DocumentDigest, PartyId};
use crate::refusal::{Code, Refusal};
use crate::time::{DAY_SECONDS, Timestamp};

/// The claims, in the order in which we write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSignature {
    /// The buyer.
    pub iss: PartyId,
    /// The exchange's origin.
    pub aud: String,
    /// When it was signed.
    #[serde(with = "seconds")]
    pub iat: Timestamp,
    /// The digest of the order: canonical JSON of what is asked, without this signature.
    pub order: DocumentDigest,
}

impl Statement for OrderSignature {
    const TYP: Typ = Typ::Order;
}

impl OrderSignature {
    /// Checks that it was signed lately: at most a day before, so that an old signature does not order the same again, and
    /// not in the future, `iat` ≤ `at` + 300.
    /// # Errors
    /// `receipt.period`
    pub fn check_issued_by(&self, at: Timestamp) -> Result<(), Refusal> {
        let age = at.unix().saturating_sub(self.iat.unix());
        if (-AHEAD_SECONDS_MAX..=DAY_SECONDS).contains(&age) {
            return Ok(());
        }
        let sentence = format!(
            "the order was signed {age} s before it came; sign it at most {DAY_SECONDS} s before, by a clock at most {AHEAD_SECONDS_MAX} s ahead"
        );
        Err(Refusal::new(Code::ReceiptPeriod, sentence).with("at", at.unix()))
    }
}
