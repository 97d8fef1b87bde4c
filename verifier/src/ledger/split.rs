//! The nested split of an amount over funds (DESIGN §4.1).

use crate::money::{Fen, Overflow};

/// What an amount is split by: the weights or balances of the funds, in the programme's order, each ≥ 0.
pub type Weights<'a> = &'a [Fen];

/// Returns how an amount ≥ 0 falls on funds by their weights: fund 1 gets ⌊x·b₁/B⌋, what is left goes over the
/// remaining funds the same way.
///
/// While `0 ≤ amount ≤ Σ weights` no fund gets more than its weight; and no fund ever steps back when the amount grows.
/// An amount above the sum of the weights is split alike (weights of a programme). Weights that are all zero can carry
/// only zero.
/// # Errors
/// [`Overflow`] for a negative amount or weight, or an amount over no weight at all.
pub fn nested_split(amount: Fen, weights: Weights<'_>) -> Result<Vec<Fen>, Overflow> {
    if amount.is_negative() || weights.iter().any(|w| w.is_negative()) {
        return Err(Overflow);
    }
    let mut rest = amount;
    let mut weight_left: i128 = weights.iter().map(|w| w.wide()).sum();
    let mut parts = Vec::with_capacity(weights.len());
    for weight in weights {
        let part = match weight_left {
            0 => Fen::ZERO,
            left => Fen::from_wide(rest.wide() * weight.wide() / left)?,
        };
        rest = rest.minus(part)?;
        weight_left -= weight.wide();
        parts.push(part);
    }
    if rest.is_zero() {
        Ok(parts)
    } else {
        Err(Overflow)
    }
}

/// Returns how an amount ≥ 0 that leaves the funds falls on them: ⌊x·wᵢ/W⌋ each, the last takes the rest
/// (PROGRAMMES §1, `[[fund]]`).
/// # Errors
/// [`Overflow`] for a negative amount or weight, or no weight at all.
pub fn split_by_weight(amount: Fen, weights: Weights<'_>) -> Result<Vec<Fen>, Overflow> {
    let whole: i128 = weights.iter().map(|w| w.wide()).sum();
    if amount.is_negative() || whole <= 0 || weights.iter().any(|w| w.is_negative()) {
        return Err(Overflow);
    }
    let mut rest = amount;
    let mut parts = Vec::with_capacity(weights.len());
    for weight in weights {
        let part = Fen::from_wide(amount.wide() * weight.wide() / whole)?;
        rest = rest.minus(part)?;
        parts.push(part);
    }
    if let Some(last) = parts.last_mut() {
        *last = last.plus(rest)?;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fen(n: i64) -> Fen {
        Fen::new(n).unwrap()
    }

    fn split(amount: i64, weights: &[i64]) -> Vec<i64> {
        let weights: Vec<_> = weights.iter().map(|w| fen(*w)).collect();
        let parts = nested_split(fen(amount), &weights).unwrap();
        parts.iter().map(|p| p.get()).collect()
    }

    #[test]
    fn the_split_is_the_one_of_the_design() {
        assert_eq!(split(666_667, &[350_000, 350_000]), [333_333, 333_334]);
        assert_eq!(split(45_503, &[5, 2]), [32_502, 13_001]);
        assert_eq!(split(333_333, &[333_333, 333_334]), [166_666, 166_667]);
        assert_eq!(split(0, &[0, 0]), [0, 0]);
        assert!(nested_split(fen(1), &[Fen::ZERO]).is_err());
        assert!(nested_split(fen(1), &[]).is_err());
        assert!(nested_split(fen(-1), &[fen(1)]).is_err());
    }

    #[test]
    fn what_leaves_the_funds_leaves_the_rest_to_the_last() {
        let parts = split_by_weight(fen(11_260), &[fen(5), fen(5), fen(3)]).unwrap();
        assert_eq!(parts, [fen(4_330), fen(4_330), fen(2_600)]);
        assert!(split_by_weight(fen(1), &[]).is_err());
    }

    #[test]
    fn a_fund_that_prefix_rounding_would_step_back_does_not() {
        // Plain prefix rounding gives (2,1,2): 0,1,1 for 2 and 1,0,2 for 3.
        let (two, three) = (split(2, &[2, 1, 2]), split(3, &[2, 1, 2]));
        assert!(
            two.iter().zip(&three).all(|(a, b)| a <= b),
            "{two:?} {three:?}"
        );
    }

    proptest! {
        #[test]
        fn no_fund_is_overdrawn_and_none_steps_back(
            weights in prop::collection::vec(0_i64..50, 1..6), more in 0_i64..5, share in 0_i64..=100
        ) {
            let total: i64 = weights.iter().sum();
            let amount = total * share / 100;
            let parts = split(amount, &weights);
            prop_assert_eq!(parts.iter().sum::<i64>(), amount);
            prop_assert!(parts.iter().zip(&weights).all(|(p, w)| p <= w));
            if total > 0 {
                let grown = split(amount + more, &weights);
                prop_assert!(parts.iter().zip(&grown).all(|(p, g)| p <= g));
            }
        }
    }
}
