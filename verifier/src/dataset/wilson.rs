//! What a sample says of the whole: the Wilson score interval at 95 %, by integers alone (Wilson 1927, JASA 22, p. 209).

use serde::{Deserialize, Serialize};

/// z² of 95 %, in 10⁻⁹: 1.959963985² rounded.
const Z2: u128 = 3_841_458_821;
/// What [`Z2`] is counted in.
const UNIT: u128 = 1_000_000_000;
/// A whole in ppm.
const PPM: u128 = 1_000_000;
/// Draws of more bits than these are halved together, or a sum below would leave a u128: the interval is then that of fewer
/// draws, wider and still true.
const DRAWN_BITS_MAX: u32 = 31;

/// Between which shares of good rows the truth lies, in 95 of 100 samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// At least so many of a million, rounded down.
    pub low_ppm: u32,
    /// At most so many of a million, rounded up.
    pub high_ppm: u32,
}

/// The interval of `passed` good rows among `drawn`; without a draw all is possible.
///
/// (2pn + z² ± √(4z²·p(n − p)/n + z⁴)) ÷ 2(n + z²), where p is `passed` and n `drawn`; the root is rounded up.
#[must_use]
pub fn wilson(passed: u64, drawn: u64) -> Interval {
    if drawn == 0 {
        return Interval {
            low_ppm: 0,
            high_ppm: 1_000_000,
        };
    }
    let shift = (u64::BITS - drawn.leading_zeros()).saturating_sub(DRAWN_BITS_MAX);
    let n = u128::from(drawn >> shift);
    let p = u128::from(passed.min(drawn) >> shift);
    let spread = (4 * Z2 * UNIT * p * (n - p)).div_ceil(n) + Z2 * Z2;
    let root = spread.isqrt();
    let root = if root * root == spread {
        root
    } else {
        root + 1
    };
    let centre = 2 * p * UNIT + Z2;
    let whole = 2 * (n * UNIT + Z2);
    let low = PPM * centre.saturating_sub(root) / whole;
    let high = (PPM * (centre + root)).div_ceil(whole).min(PPM);
    // Both are at most a million.
    Interval {
        low_ppm: u32::try_from(low).unwrap_or(0),
        high_ppm: u32::try_from(high).unwrap_or(1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_its_share_and_narrows() {
        let mut width = u32::MAX;
        for drawn in [1, 10, 100, 200, 10_000, 1 << 31, 1 << 40, u64::MAX / 2] {
            let interval = wilson(drawn / 2, drawn);
            let share = PPM * u128::from(drawn / 2) / u128::from(drawn);
            assert!(u128::from(interval.low_ppm) <= share);
            assert!(u128::from(interval.high_ppm) >= share);
            let now = interval.high_ppm - interval.low_ppm;
            assert!(now <= width, "{drawn}");
            width = now;
        }
        assert_eq!(wilson(0, 50).low_ppm, 0);
        assert_eq!(wilson(50, 50).high_ppm, 1_000_000);
        // More good ones than rows is nothing but all.
        assert_eq!(wilson(51, 50), wilson(50, 50));
    }
}
