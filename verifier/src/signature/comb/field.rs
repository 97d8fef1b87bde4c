//! Numbers modulo 2²⁵⁵ − 19. The arithmetic is fiat-crypto's, proven by machine; here are its two bounds as types, and powers.

use fiat_crypto::curve25519_64::{
    fiat_25519_add, fiat_25519_carry, fiat_25519_carry_mul, fiat_25519_carry_square,
    fiat_25519_from_bytes, fiat_25519_loose_field_element, fiat_25519_opp, fiat_25519_relax,
    fiat_25519_sub, fiat_25519_tight_field_element, fiat_25519_to_bytes,
};

/// A number in the bounds that a product has ("tight").
#[derive(Clone, Copy)]
pub(super) struct Fe(fiat_25519_tight_field_element);

/// A number in the wider bounds of a sum or a difference of two [`Fe`] ("loose"): what a product takes.
#[derive(Clone, Copy)]
pub(super) struct Loose(fiat_25519_loose_field_element);

const LOOSE_ZERO: fiat_25519_loose_field_element = fiat_25519_loose_field_element([0; 5]);
const TIGHT_ZERO: fiat_25519_tight_field_element = fiat_25519_tight_field_element([0; 5]);

impl Fe {
    pub(super) const ZERO: Self = Self(TIGHT_ZERO);
    pub(super) const ONE: Self = Self::small(1);

    /// A number below 2⁵¹, the size of a limb.
    pub(super) const fn small(number: u32) -> Self {
        Self(fiat_25519_tight_field_element([number as u64, 0, 0, 0, 0]))
    }

    /// The number that 32 bytes spell in little-endian order, their highest bit left out.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut bytes = *bytes;
        bytes[31] &= 0x7f;
        let mut out = TIGHT_ZERO;
        fiat_25519_from_bytes(&mut out, &bytes);
        Self(out)
    }

    /// The one canonical spelling.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut out = [0; 32];
        fiat_25519_to_bytes(&mut out, &self.0);
        out
    }

    #[inline]
    pub(super) fn plus(&self, other: &Self) -> Loose {
        let mut out = LOOSE_ZERO;
        fiat_25519_add(&mut out, &self.0, &other.0);
        Loose(out)
    }

    #[inline]
    pub(super) fn minus(&self, other: &Self) -> Loose {
        let mut out = LOOSE_ZERO;
        fiat_25519_sub(&mut out, &self.0, &other.0);
        Loose(out)
    }

    pub(super) fn negated(&self) -> Self {
        let mut out = LOOSE_ZERO;
        fiat_25519_opp(&mut out, &self.0);
        Loose(out).carried()
    }

    #[inline]
    pub(super) fn loose(&self) -> Loose {
        let mut out = LOOSE_ZERO;
        fiat_25519_relax(&mut out, &self.0);
        Loose(out)
    }

    #[inline]
    pub(super) fn times(&self, other: &Self) -> Self {
        self.loose().times(&other.loose())
    }

    #[inline]
    pub(super) fn squared(&self) -> Self {
        let mut out = TIGHT_ZERO;
        fiat_25519_carry_square(&mut out, &self.loose().0);
        Self(out)
    }

    /// Squared so many times.
    fn squared_times(&self, count: u32) -> Self {
        (0..count).fold(*self, |number, _| number.squared())
    }

    /// To the powers 2²⁵⁰ − 1 and 11.
    fn powers_250_and_11(&self) -> (Self, Self) {
        let z2 = self.squared();
        let z9 = self.times(&z2.squared_times(2));
        let z11 = z2.times(&z9);
        let to_5 = z11.squared().times(&z9);
        let to_10 = to_5.squared_times(5).times(&to_5);
        let to_20 = to_10.squared_times(10).times(&to_10);
        let to_40 = to_20.squared_times(20).times(&to_20);
        let to_50 = to_40.squared_times(10).times(&to_10);
        let to_100 = to_50.squared_times(50).times(&to_50);
        let to_200 = to_100.squared_times(100).times(&to_100);
        (to_200.squared_times(50).times(&to_50), z11)
    }

    /// 1 / self; of 0 it is 0. By Fermat: to the power p − 2 = 2²⁵⁵ − 21.
    pub(super) fn inverted(&self) -> Self {
        let (number, z11) = self.powers_250_and_11();
        number.squared_times(5).times(&z11)
    }

    /// To the power (p − 5) / 8 = 2²⁵² − 3.
    pub(super) fn power_252_less_3(&self) -> Self {
        let (number, _) = self.powers_250_and_11();
        number.squared_times(2).times(self)
    }

    /// A square root of −1: 2 to the power (p − 1) / 4.
    pub(super) fn root_of_minus_one() -> Self {
        let two = Self::small(2);
        two.power_252_less_3().squared().times(&two)
    }

    /// The curve's d = −121665 / 121666 (RFC 8032 §5.1).
    pub(super) fn curve_d() -> Self {
        let numerator = Self::small(121_665).negated();
        numerator.times(&Self::small(121_666).inverted())
    }

    #[inline]
    pub(super) const fn lowest_limb(&self) -> u64 {
        self.0.0[0]
    }

    #[inline]
    pub(super) const fn highest_limb(&self) -> u64 {
        self.0.0[4]
    }

    pub(super) fn is_odd(self) -> bool {
        self.to_bytes()[0] & 1 == 1
    }

    pub(super) fn equals(self, other: Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Loose {
    #[inline]
    pub(super) fn times(&self, other: &Self) -> Fe {
        let mut out = TIGHT_ZERO;
        fiat_25519_carry_mul(&mut out, &self.0, &other.0);
        Fe(out)
    }

    #[inline]
    pub(super) fn carried(&self) -> Fe {
        let mut out = TIGHT_ZERO;
        fiat_25519_carry(&mut out, &self.0);
        Fe(out)
    }
}

/// Inverts each of them for the price of one inversion and three products each (Montgomery's trick). None may be 0.
pub(super) fn invert_all(numbers: &mut [Fe]) {
    // Each takes the product of all before it …
    let mut product = Fe::ONE;
    let mut before = Vec::with_capacity(numbers.len());
    for number in &*numbers {
        before.push(product);
        product = product.times(number);
    }
    // … by which, from the last one back, the inverse of the whole becomes its own.
    let mut inverse = product.inverted();
    for (number, before) in numbers.iter_mut().zip(before).rev() {
        let own = inverse.times(&before);
        inverse = inverse.times(number);
        *number = own;
    }
}
