//! Who sees an entry: a fund, a region, or everybody with a regulator's key (DESIGN §4.6, TRAIL E2).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

use crate::id::{FundId, NotAnId};
use crate::region::Region;

/// A scope with a gapless count of its entries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Parties, keys, facts, sites, offers, datasets, lists: every regulator sees them.
    Common,
    /// Everything that touches a fund.
    Fund(FundId),
    /// Everything under a programme of a region.
    Region(Region),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Common => f.write_str("common"),
            Self::Fund(fund) => write!(f, "fund/{fund}"),
            Self::Region(region) => write!(f, "region/{region}"),
        }
    }
}

impl Scope {
    /// Reads `common`, `fund/…` or `region/…`.
    /// # Errors
    /// [`NotAnId`].
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        match text.split_once('/') {
            None if text == "common" => Ok(Self::Common),
            Some(("fund", fund)) => FundId::parse(fund).map(Self::Fund),
            Some(("region", region)) => Region::parse(region).map(Self::Region),
            _ => Err(NotAnId {
                expected: "common, fund/… or region/…",
            }),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
