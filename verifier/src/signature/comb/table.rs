//! The multiples of one point that make every multiple of it by additions only.

use super::point::{Addend, Point};

/// For each digit of `WIDTH` bits that a scalar may have, the multiples 1 … 2^(WIDTH−1) of the point at that digit's place.
pub(super) struct Table<const WIDTH: u32> {
    multiples: Vec<Addend>,
}

/// Bits of a scalar: below L < 2²⁵³ (RFC 8032 §5.1). The highest digit then has a bit to spare for the last carry.
const SCALAR_BITS: u32 = 254;

impl<const WIDTH: u32> Table<WIDTH> {
    /// Digits are signed, −2^(WIDTH−1) … 2^(WIDTH−1): half the multiples do.
    const ROW: usize = 1 << (WIDTH - 1);
    const DIGITS: u32 = SCALAR_BITS.div_ceil(WIDTH);

    pub(super) fn new(point: &Point) -> Self {
        let mut multiples = Vec::with_capacity(Self::ROW * Self::DIGITS as usize);
        let mut place = *point;
        for _ in 0..Self::DIGITS {
            let Some(step) = Point::addends(&[place]).next() else {
                break;
            };
            let more = |last: &Point| Some(last.plus(&step));
            let row: Vec<Point> = std::iter::successors(Some(place), more)
                .take(Self::ROW)
                .collect();
            multiples.extend(Point::addends(&row));
            // Twice the last one is 2^WIDTH times this place: the next.
            if let (Some(last), Some(same)) = (row.last(), multiples.last()) {
                place = last.plus(same);
            }
        }
        Self { multiples }
    }

    /// What to add up for the multiple of the point by a scalar below L, in little-endian bytes.
    #[inline]
    pub(super) fn steps(&self, scalar: &[u8; 32]) -> impl Iterator<Item = Step<'_>> {
        let rows = self.multiples.chunks_exact(Self::ROW);
        rows.zip(digits::<WIDTH>(scalar))
            .filter_map(|(row, digit)| {
                // A digit of 0 has no multiple, and adds none.
                let at = (digit.unsigned_abs() as usize).wrapping_sub(1);
                let multiple = row.get(at)?;
                let negative = digit < 0;
                Some(Step { multiple, negative })
            })
    }
}

/// A multiple to add, or to take away.
#[derive(Clone, Copy)]
pub(in crate::signature) struct Step<'a> {
    multiple: &'a Addend,
    negative: bool,
}

/// The sum of all steps.
pub(super) fn add_up(steps: &[Step<'_>]) -> Point {
    // Their memory is far: what is read of it at once arrives at once, and then is near. The result is kept only so that the
    // compiler does not leave the reading out.
    let fetched = steps.iter().map(|step| step.multiple.fetch());
    std::hint::black_box(fetched.fold(0, |all, word| all ^ word));
    let Some((first, rest)) = steps.split_first() else {
        return Point::IDENTITY;
    };
    let mut sum = first.multiple.point(first.negative);
    for step in rest {
        sum.add(step.multiple, step.negative);
    }
    sum
}

/// The signed digits of a scalar below 2²⁵⁴, lowest first, and zeros behind.
fn digits<const WIDTH: u32>(scalar: &[u8; 32]) -> impl Iterator<Item = i32> {
    let (words, _) = scalar.as_chunks::<8>();
    let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
    // At most 63 bits are left over when the next 64 come in.
    let (mut bits, mut count, mut carry) = (0_u128, 0_u32, 0_i32);
    std::iter::repeat_with(move || {
        if count < WIDTH {
            bits |= u128::from(words.next().unwrap_or(0)) << count;
            count += 64;
        }
        let low = bits & ((1 << WIDTH) - 1);
        bits >>= WIDTH;
        count -= WIDTH;
        let digit = i32::try_from(low).unwrap_or(0) + carry;
        carry = i32::from(digit > 1 << (WIDTH - 1));
        digit - (carry << WIDTH)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    use curve25519_dalek::scalar::Scalar;
    use proptest::prelude::*;

    fn check<const WIDTH: u32>(table: &Table<WIDTH>, scalar: Scalar) {
        let steps: Vec<_> = table.steps(&scalar.to_bytes()).collect();
        let sum = add_up(&steps);
        let expected = (ED25519_BASEPOINT_POINT * scalar).compress().to_bytes();
        assert_eq!(Point::encode_all(&[sum]), [expected], "{scalar:?}");
    }

    #[test]
    fn every_width_multiplies_as_dalek_does() {
        let base = ED25519_BASEPOINT_POINT.compress().to_bytes();
        let base = Point::decode(&base).unwrap();
        let (narrow, wide) = (Table::<5>::new(&base), Table::<8>::new(&base));
        let edges = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, -Scalar::from(2_u8)];
        let powers = std::iter::successors(Some(Scalar::ONE), |power| Some(power + power));
        for scalar in edges.into_iter().chain(powers.take(252)) {
            check(&narrow, scalar);
            check(&wide, scalar);
            check(&wide, -scalar);
        }
    }

    proptest! {
        #[test]
        fn digits_spell_their_scalar(bytes: [u8; 32]) {
            let scalar = Scalar::from_bytes_mod_order(bytes);
            let digits: Vec<i32> = digits::<7>(&scalar.to_bytes()).take(37).collect();
            let radix = Scalar::from(128_u8);
            let spelt = digits.iter().rev().fold(Scalar::ZERO, |sum, digit| {
                let size = Scalar::from(digit.unsigned_abs());
                sum * radix + if *digit < 0 { -size } else { size }
            });
            prop_assert_eq!(spelt, scalar);
        }

        #[test]
        fn points_are_read_as_dalek_reads_them(bytes: [u8; 32]) {
            let theirs = curve25519_dalek::edwards::CompressedEdwardsY(bytes).decompress();
            let ours = Point::decode(&bytes);
            let ours = ours.map(|point| Point::encode_all(&[point]));
            prop_assert_eq!(ours, theirs.map(|point| vec![point.compress().to_bytes()]));
        }
    }
}
