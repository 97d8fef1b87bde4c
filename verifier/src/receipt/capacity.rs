//! `capacity-share+jwt`: a site's key gives some of its cards to this exchange for some hours (DESIGN §4.2, §5).

use serde::{Deserialize, Serialize};

use super::{Statement, Typ, seconds};
use crate::id::{GpuModel, SiteId};
use crate::refusal::{Code, Refusal};
use crate::time::{HOUR_SECONDS, Timestamp};

/// A share runs at most this long: ten years of hours.
const SHARE_SECONDS_MAX: i64 = 10 * 366 * 24 * HOUR_SECONDS;

/// The claims, in the order in which we write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityShare {
    /// The exchange's origin.
    pub aud: String,
    /// The site.
    pub site: SiteId,
    /// The kind of card.
    pub gpu_model: GpuModel,
    /// How many whole cards.
    pub gpus: u32,
    /// From this clock hour.
    #[serde(with = "seconds")]
    pub from: Timestamp,
    /// To before this clock hour.
    #[serde(with = "seconds")]
    pub to: Timestamp,
}

impl Statement for CapacityShare {
    const TYP: Typ = Typ::Capacity;
}

impl CapacityShare {
    /// Checks that the share runs over whole clock hours.
    /// # Errors
    /// `share.invalid`
    pub fn check_hours(&self) -> Result<(), Refusal> {
        let (from, to) = (self.from.unix(), self.to.unix());
        let sentence = if from % HOUR_SECONDS != 0 || to % HOUR_SECONDS != 0 {
            "a share runs over whole clock hours; from and to must be multiples of 3600"
        } else if to <= from {
            "a share must end after it begins"
        } else if to - from > SHARE_SECONDS_MAX {
            "a share runs at most ten years; split it"
        } else {
            return Ok(());
        };
        let refusal = Refusal::new(Code::ShareInvalid, sentence);
        Err(refusal.with("from", from).with("to", to))
    }
}
