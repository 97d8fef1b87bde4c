//! Money and rates as integers: fen, basis points, GPU-seconds, and the one rounding (DESIGN §2.5).
//!
//! Products are taken in `i128`; whatever does not fit is an [`Overflow`], never a wrap.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The largest magnitude of any integer in the trail: 2⁵³ − 1, exact in every JSON reader (RFC 7493 §2.2).
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// A sum, product or text that does not fit into the range of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the amount exceeds 2^53 - 1")
    }
}

impl std::error::Error for Overflow {}

/// An amount of money in fen (1 CNY = 100 fen), |x| ≤ 2⁵³ − 1. May be negative: a posting is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Fen(i64);

impl Fen {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(INTEGER_MAX);

    /// Takes an integer number of fen.
    /// # Errors
    /// [`Overflow`] beyond ±(2⁵³ − 1).
    pub const fn new(fen: i64) -> Result<Self, Overflow> {
        if fen > INTEGER_MAX || fen < -INTEGER_MAX {
            Err(Overflow)
        } else {
            Ok(Self(fen))
        }
    }

    /// Takes a wide intermediate result.
    /// # Errors
    /// [`Overflow`] beyond ±(2⁵³ − 1).
    pub fn from_wide(fen: i128) -> Result<Self, Overflow> {
        i64::try_from(fen).map_err(|_| Overflow).and_then(Self::new)
    }

    /// The number of fen.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The number of fen, wide enough for products.
    #[must_use]
    pub const fn wide(self) -> i128 {
        self.0 as i128
    }

    /// The sum.
    /// # Errors
    /// [`Overflow`] beyond ±(2⁵³ − 1).
    pub const fn plus(self, other: Self) -> Result<Self, Overflow> {
        // Both magnitudes are below 2^53: the i64 sum cannot wrap.
        Self::new(self.0 + other.0)
    }

    /// The difference.
    /// # Errors
    /// [`Overflow`] beyond ±(2⁵³ − 1).
    pub const fn minus(self, other: Self) -> Result<Self, Overflow> {
        Self::new(self.0 - other.0)
    }

    /// The amount with the opposite sign.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self(-self.0)
    }

    /// Whether the amount is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether there is no money.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// [`Fen::is_zero`] as serde asks it, to leave a member out.
    #[must_use]
    pub const fn is_zero_ref(&self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Fen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for Fen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A rate in basis points, 0 ..= 10 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// One whole.
    pub const WHOLE: Self = Self(10_000);
    /// The divisor that belongs to a product with basis points.
    pub const DIVISOR: i128 = 10_000;

    /// Takes 0 ..= 10 000.
    /// # Errors
    /// [`Overflow`] outside.
    pub const fn new(bp: u16) -> Result<Self, Overflow> {
        if bp > 10_000 {
            Err(Overflow)
        } else {
            Ok(Self(bp))
        }
    }

    /// The number of basis points.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The number of basis points, wide enough for products.
    #[must_use]
    pub const fn wide(self) -> i128 {
        self.0 as i128
    }

    /// What is left of one whole.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self(10_000 - self.0)
    }
}

impl<'de> Deserialize<'de> for BasisPoints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u16::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Metered use: whole physical cards × seconds, 0 ..= 2⁵³ − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize)]
#[serde(transparent)]
pub struct GpuSeconds(i64);

impl GpuSeconds {
    /// No use.
    pub const ZERO: Self = Self(0);

    /// Takes 0 ..= 2⁵³ − 1.
    /// # Errors
    /// [`Overflow`] outside.
    pub const fn new(seconds: i64) -> Result<Self, Overflow> {
        if seconds < 0 || seconds > INTEGER_MAX {
            Err(Overflow)
        } else {
            Ok(Self(seconds))
        }
    }

    /// The number of GPU-seconds.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The number of GPU-seconds, wide enough for products.
    #[must_use]
    pub const fn wide(self) -> i128 {
        self.0 as i128
    }
}

impl<'de> Deserialize<'de> for GpuSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// How a quotient of non-negative numbers becomes an integer (PROGRAMMES §1, `rounding.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Towards zero.
    #[default]
    Floor,
    /// Half away from zero.
    HalfUp,
    /// Half to the even neighbour.
    HalfEven,
    /// Away from zero.
    Ceil,
}

impl Rounding {
    /// Returns `numerator ÷ divisor` rounded; both must be ≥ 0 and the divisor > 0.
    /// # Errors
    /// [`Overflow`] for a negative numerator or a divisor that is not positive.
    pub const fn divide(self, numerator: i128, divisor: i128) -> Result<i128, Overflow> {
        if numerator < 0 || divisor <= 0 {
            return Err(Overflow);
        }
        let (quotient, rest) = (numerator / divisor, numerator % divisor);
        // `rest < divisor`, so `divisor - rest` is positive and nothing can overflow here.
        let up = match self {
            Self::Floor => false,
            Self::Ceil => rest > 0,
            Self::HalfUp => rest >= divisor - rest,
            Self::HalfEven => {
                rest > divisor - rest || (rest == divisor - rest && quotient % 2 == 1)
            }
        };
        Ok(if up { quotient + 1 } else { quotient })
    }

    /// Rounds an amount ≥ 0 to a multiple of `unit`.
    /// # Errors
    /// [`Overflow`] for a negative amount, a unit that is not positive, or a result out of range.
    pub fn to_unit(self, amount: Fen, unit: Fen) -> Result<Fen, Overflow> {
        Fen::from_wide(self.divide(amount.wide(), unit.wide())? * unit.wide())
    }
}

packed_newtype!(Fen);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fen_stop_at_the_largest_exact_json_integer() {
        assert!(Fen::new(INTEGER_MAX).is_ok());
        assert_eq!(Fen::new(INTEGER_MAX + 1), Err(Overflow));
        assert_eq!(Fen::MAX.plus(Fen(1)), Err(Overflow));
        assert!(serde_json::from_str::<Fen>("9007199254740992").is_err());
        assert!(serde_json::from_str::<Fen>("1.0").is_err());
    }

    #[test]
    fn each_rounding_mode_differs_only_where_it_should() {
        let rows = [
            (5, 2, 2, 3, 2, 3),
            (7, 2, 3, 4, 4, 4),
            (4, 3, 1, 1, 1, 2),
            (6, 3, 2, 2, 2, 2),
        ];
        for (n, d, floor, half_up, half_even, ceil) in rows {
            assert_eq!(Rounding::Floor.divide(n, d), Ok(floor));
            assert_eq!(Rounding::HalfUp.divide(n, d), Ok(half_up));
            assert_eq!(Rounding::HalfEven.divide(n, d), Ok(half_even));
            assert_eq!(Rounding::Ceil.divide(n, d), Ok(ceil));
        }
        assert_eq!(Rounding::Floor.divide(-1, 2), Err(Overflow));
    }
}
