//! Who sees an entry: a fund, a region, or everybody with a regulator's key (DESIGN §4.6, TRAIL E2).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

use crate::id::{FundId, NotAnId};
use crate::refusal::{Code, Refusal};
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
    /// Whether whoever is limited to this scope sees an entry of `other`: a region holds the places that lie in it, and what is
    /// common is everybody's.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Common) => true,
            (Self::Fund(own), Self::Fund(fund)) => own == fund,
            (Self::Region(own), Self::Region(region)) => region.lies_in(*own),
            (Self::Common, Self::Fund(_) | Self::Region(_))
            | (Self::Fund(_), Self::Region(_))
            | (Self::Region(_), Self::Fund(_)) => false,
        }
    }

    /// The scopes of a stored entry with their numbers: nothing else of it is read.
    /// # Errors
    /// `entry.spelling` for bytes that are no entry.
    pub fn of_entry(bytes: &[u8]) -> Result<Vec<(Self, u64)>, Refusal> {
        #[derive(Deserialize)]
        struct Scoped {
            scopes: Vec<(Scope, u64)>,
        }
        let read: Result<Scoped, _> = serde_json::from_slice(bytes);
        read.map(|entry| entry.scopes)
            .map_err(|fault| Refusal::new(Code::EntrySpelling, format!("not an entry: {fault}")))
    }

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
        match self {
            Self::Common => serializer.serialize_str("common"),
            Self::Fund(_) | Self::Region(_) => serializer.serialize_str(&self.to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::text_by(deserializer, Self::parse)
    }
}

packed_enum!(Scope { 0 => Common, 1 => Fund(fund), 2 => Region(region) });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_covers_the_places_in_it_a_fund_itself_and_all_what_is_common() {
        let scope = |text: &str| Scope::parse(text).unwrap();
        let covers = |own: &str, other: &str| scope(own).covers(&scope(other));
        for own in ["common", "fund/sh-2025", "region/310000"] {
            assert!(covers(own, "common"));
            assert!(covers(own, own));
        }
        assert!(covers("region/310000", "region/310115"));
        assert!(!covers("region/310115", "region/310000"));
        assert!(!covers("region/310000", "region/330100"));
        assert!(!covers("region/310000", "fund/sh-2025"));
        assert!(!covers("fund/sh-2025", "fund/sh-2026"));
        assert!(!covers("fund/sh-2025", "region/310000"));
        assert!(!covers("common", "fund/sh-2025"));
    }

    #[test]
    fn the_scopes_of_an_entry_are_read_without_the_rest_of_it() {
        let scopes =
            Scope::of_entry(br#"{"v":1,"scopes":[["common",7],["fund/a-1",0]],"asked":{}}"#);
        let texts: Vec<_> = scopes
            .unwrap()
            .iter()
            .map(|(scope, n)| format!("{scope} {n}"))
            .collect();
        assert_eq!(texts, ["common 7", "fund/a-1 0"]);
        assert!(Scope::of_entry(b"").is_err());
        assert!(Scope::of_entry(br#"{"scopes":[["city/x",0]]}"#).is_err());
    }
}
