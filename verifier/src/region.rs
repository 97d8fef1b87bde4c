//! Places by their six-digit code (GB/T 2260); trailing pairs of zeros make a code a prefix.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

use crate::id::NotAnId;

/// A six-digit place code (GB/T 2260).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region([u8; 6]);

impl Region {
    /// Reads six digits.
    /// # Errors
    /// [`NotAnId`].
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let expected = NotAnId {
            expected: "six digits of GB/T 2260",
        };
        let digits: [u8; 6] = text.as_bytes().try_into().map_err(|_| expected.clone())?;
        if digits.iter().all(u8::is_ascii_digit) {
            Ok(Self(digits))
        } else {
            Err(expected)
        }
    }

    /// Whether this place lies in `other`: province `430000` holds city `430100` holds district `430102`.
    #[must_use]
    pub fn lies_in(self, other: Self) -> bool {
        let significant = other.0.chunks(2).take_while(|pair| *pair != b"00").count() * 2;
        self.0
            .iter()
            .take(significant)
            .eq(other.0.iter().take(significant))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::text_by(deserializer, Self::parse)
    }
}

packed_newtype!(Region);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_district_lies_in_its_city_and_province() {
        let region = |text| Region::parse(text).unwrap();
        assert!(region("410102").lies_in(region("410100")));
        assert!(region("410100").lies_in(region("410000")));
        assert!(!region("410100").lies_in(region("410102")));
        assert!(!region("110000").lies_in(region("410000")));
        assert!(Region::parse("41000").is_err());
        assert!(Region::parse("41000a").is_err());
    }
}
