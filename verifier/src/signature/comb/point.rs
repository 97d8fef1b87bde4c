//! Points of edwards25519: −x² + y² = 1 + d·x²·y² (RFC 8032 §5.1), and the one addition that tables need.

use super::field::{Fe, invert_all};

/// A point as (X : Y : Z : T) with x = X/Z, y = Y/Z, T = X·Y/Z.
#[derive(Clone, Copy)]
pub(in crate::signature) struct Point {
    x: Fe,
    y: Fe,
    z: Fe,
    t: Fe,
}

/// A point with what an addition wants of it: (y + x)/2, (y − x)/2 and d·x·y. Halves save the addition a doubling of Z.
///
/// Aligned, it lies in two of a processor's lines of 64 bytes, not three.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Addend {
    half_sum: Fe,
    half_difference: Fe,
    dxy: Fe,
}

impl Addend {
    /// Reads a word of each of its lines, so that they are near when they are added.
    #[inline]
    pub(super) fn fetch(&self) -> u64 {
        self.half_sum.lowest_limb() ^ self.dxy.highest_limb()
    }

    /// The point itself, and its negative.
    pub(super) fn point(&self, negative: bool) -> Point {
        let (sum, difference) = (&self.half_sum, &self.half_difference);
        let y = sum.plus(difference).carried();
        let x = if negative {
            difference.minus(sum)
        } else {
            sum.minus(difference)
        };
        Point::from_affine(x.carried(), y)
    }
}

impl Point {
    pub(super) const IDENTITY: Self = Self {
        x: Fe::ZERO,
        y: Fe::ONE,
        z: Fe::ONE,
        t: Fe::ZERO,
    };

    fn from_affine(x: Fe, y: Fe) -> Self {
        let t = x.times(&y);
        Self {
            x,
            y,
            z: Fe::ONE,
            t,
        }
    }

    /// Reads an encoding (RFC 8032 §5.1.3). None where it is no point of the curve. Non-canonical ones are not told apart.
    pub(super) fn decode(bytes: &[u8; 32]) -> Option<Self> {
        let y = Fe::from_bytes(bytes);
        let yy = y.squared();
        let u = yy.minus(&Fe::ONE).carried();
        let v = yy.times(&Fe::curve_d()).plus(&Fe::ONE).carried();
        let v3 = v.squared().times(&v);
        let v7 = v3.squared().times(&v);
        let power = u.times(&v7).power_252_less_3();
        let mut x = u.times(&v3).times(&power);
        let vxx = v.times(&x.squared());
        if vxx.equals(u.negated()) {
            x = x.times(&Fe::root_of_minus_one());
        } else if !vxx.equals(u) {
            return None;
        }
        if x.is_odd() != (bytes[31] >> 7 == 1) {
            x = x.negated();
        }
        Some(Self::from_affine(x, y))
    }

    pub(super) fn negated(&self) -> Self {
        Self {
            x: self.x.negated(),
            t: self.t.negated(),
            ..*self
        }
    }

    /// Adds a point or, where `negative`, takes it away, by the complete law of Hisil, Wong, Carter and Dawson (2008, §3.1,
    /// "unified"): d being no square, it has no exceptions, also none for a point and itself. A negated point has its sum and
    /// difference exchanged, and d·x·y with the other sign.
    ///
    /// In this order no product waits for the one just before it, also not over the end of one addition: a processor works
    /// on both.
    #[inline]
    pub(super) fn add(&mut self, other: &Addend, negative: bool) {
        let (mut sum, mut difference) = (&other.half_sum, &other.half_difference);
        if negative {
            (sum, difference) = (difference, sum);
        }
        let a = self.y.minus(&self.x).times(&difference.loose());
        let b = self.y.plus(&self.x).times(&sum.loose());
        let c = self.t.times(&other.dxy);
        let (e, h) = (b.minus(&a), b.plus(&a));
        self.t = e.times(&h);
        let (mut f, mut g) = (self.z.minus(&c), self.z.plus(&c));
        if negative {
            (f, g) = (g, f);
        }
        self.x = e.times(&f);
        self.y = g.times(&h);
        self.z = f.times(&g);
    }

    pub(super) fn plus(&self, other: &Addend) -> Self {
        let mut sum = *self;
        sum.add(other, false);
        sum
    }

    /// The canonical encoding.
    pub(in crate::signature) fn encode(&self) -> [u8; 32] {
        let inverse = self.z.inverted();
        encode(self.x.times(&inverse), self.y.times(&inverse))
    }

    /// The canonical encodings of points, for one inversion in all.
    pub(in crate::signature) fn encode_all(points: &[Self]) -> Vec<[u8; 32]> {
        let affine = affine_all(points);
        affine.map(|(x, y)| encode(x, y)).collect()
    }

    /// Points as an addition wants them, for one inversion in all.
    pub(super) fn addends(points: &[Self]) -> impl Iterator<Item = Addend> {
        let (half, d) = (Fe::small(2).inverted().loose(), Fe::curve_d());
        affine_all(points).map(move |(x, y)| Addend {
            half_sum: y.plus(&x).times(&half),
            half_difference: y.minus(&x).times(&half),
            dxy: x.times(&y).times(&d),
        })
    }
}

/// x and y of each point. Z is never 0: the law is complete.
fn affine_all(points: &[Point]) -> impl Iterator<Item = (Fe, Fe)> {
    let mut inverses: Vec<Fe> = points.iter().map(|point| point.z).collect();
    invert_all(&mut inverses);
    let pairs = points.iter().zip(inverses);
    pairs.map(|(point, inverse)| (point.x.times(&inverse), point.y.times(&inverse)))
}

fn encode(x: Fe, y: Fe) -> [u8; 32] {
    let mut bytes = y.to_bytes();
    bytes[31] |= u8::from(x.is_odd()) << 7;
    bytes
}
