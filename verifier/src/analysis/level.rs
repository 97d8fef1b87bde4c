//! How much evidence stands behind a receipt (DESIGN §2.8).
//!
//! A rung is counted by its own evidence: a usage receipt has no countersignature in version 1, so its L2 does not
//! presuppose L1. What a trail holds is the *digest* of an export: that it re-computes is shown by whoever has the export.

use serde::{Serialize, Serializer};
use std::fmt;

use crate::receipt::ComputeUsage;

/// Energy may exceed what the boards draw by this much: fans, hosts, conversion (DESIGN §2.8).
pub const ENERGY_HEADROOM_BP: i128 = 11_000;
/// The largest board power in watts by card, as the makers' data sheets state it. A card that is not here has no known
/// bound, so its energy shows nothing.
const BOARD_WATTS: [(&str, i128); 16] = [
    ("h100", 700),
    ("h200", 700),
    ("h800", 700),
    ("h20", 400),
    ("b200", 1_000),
    ("a100", 400),
    ("a800", 400),
    ("a40", 300),
    ("a30", 165),
    ("a10", 150),
    ("v100", 300),
    ("t4", 70),
    ("l40s", 350),
    ("l20", 275),
    ("l4", 72),
    ("rtx4090", 450),
];
const HOUR_SECONDS: i128 = 3_600;
const WHOLE_BP: i128 = 10_000;

/// An evidence level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The seller's signature.
    L0,
    /// The buyer's countersignature.
    L1,
    /// The scheduler export that it was computed from is named.
    L2,
    /// Its energy lies within physical bounds.
    L3,
    /// A device attestation; no receipt of version 1 carries one.
    L4,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Self; 5] = [Self::L0, Self::L1, Self::L2, Self::L3, Self::L4];

    /// The highest rung that a usage receipt has evidence for.
    #[must_use]
    pub fn of(usage: &ComputeUsage) -> Self {
        let bounded = usage.energy_wh.is_some_and(|energy| {
            let most = energy_max(usage);
            most.is_some_and(|most| {
                i128::from(energy) * HOUR_SECONDS * WHOLE_BP <= most * ENERGY_HEADROOM_BP
            })
        });
        match (bounded, usage.export) {
            (true, _) => Self::L3,
            (false, Some(_)) => Self::L2,
            (false, None) => Self::L0,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::L4 => "L4",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Watt-seconds that the cards can draw in the period at most; `None` for a card of unknown power.
fn energy_max(usage: &ComputeUsage) -> Option<i128> {
    let model = usage.gpu_model.to_string();
    // `nvidia-h200-sxm`: the card is one word of the model.
    let known = BOARD_WATTS
        .iter()
        .find(|(card, _)| model.split('-').any(|word| word == *card));
    known.map(|(_, watts)| watts * usage.occupied())
}
