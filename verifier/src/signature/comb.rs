//! Multiples of a public key from tables: the strict verdict, faster, for keys that verify often (`design/VERIFY.md`).
//!
//! [`Comb::point`] computes P = S·B + k·(−A) by table look-ups and additions; a signature is good exactly if P's canonical
//! encoding is the bytes of R. That is the strict rule of RFC 8032 for a registered key: an encoder makes canonical encodings
//! only, so no other R can match; and A and B being of prime order, the one small-order point that P can be is the identity,
//! refused by its bytes. Variable in nothing secret: it is for public data only. Called by [`super::PublicKey`] for one and by
//! [`super::verify_all`] for many signatures, which share one inversion and nothing else.

mod field;
mod point;
mod table;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use curve25519_dalek::constants::ED25519_BASEPOINT_COMPRESSED;
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest as _, Sha512};

use super::{KEY_BYTES, SIGNATURE_BYTES};
pub(super) use point::Point;
pub(super) use table::Step;
use table::{Table, add_up};

/// Bits of a digit of k, for which each busy key has a table of 520 KB.
const KEY_WIDTH: u32 = 8;
/// Bits of a digit of S, for which there is one table of 6 MB.
const BASE_WIDTH: u32 = 12;

/// Room for the digits of both.
pub(super) const STEPS_MAX: usize = 64;

/// The multiples of B, the same for all keys.
static BASE: LazyLock<Option<Table<BASE_WIDTH>>> = LazyLock::new(|| {
    Point::decode(ED25519_BASEPOINT_COMPRESSED.as_bytes()).map(|b| Table::new(&b))
});

/// The encoding of the identity (RFC 8032 §5.1.2): x = 0, y = 1.
pub(super) const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// Tables of keys at a time: 134 MB. A key that finds them all taken verifies without one, to the same verdict.
const TABLES_MAX: usize = 256;
static TABLES: AtomicUsize = AtomicUsize::new(0);

/// One of the tables that there may be.
struct Taken;

impl Taken {
    fn one() -> Option<Self> {
        let fits = |taken: usize| (taken < TABLES_MAX).then_some(taken + 1);
        let taken = TABLES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.ok().map(|_| Self)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        TABLES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The multiples of −A, made in the time of some twenty verifications without it.
pub(super) struct Comb(Table<KEY_WIDTH>, Taken);

impl Comb {
    /// Makes the table of a registered key. None where there are as many as there may be.
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Option<Self> {
        let taken = Taken::one()?;
        let point = Point::decode(key)?;
        Some(Self(Table::new(&point.negated()), taken))
    }

    /// The verdict on `signature` over `message` by `key`, whose table this is.
    pub(super) fn verify(
        &self,
        key: &[u8; KEY_BYTES],
        message: &[u8],
        signature: &[u8; SIGNATURE_BYTES],
    ) -> bool {
        let point = self.point(key, message, signature, &mut Vec::with_capacity(STEPS_MAX));
        point.is_some_and(|point| signature.starts_with(&point.encode()))
    }

    /// The point whose encoding R must be; none where S or R rule a good signature out.
    pub(super) fn point<'a>(
        &'a self,
        key: &[u8; KEY_BYTES],
        message: &[u8],
        signature: &[u8; SIGNATURE_BYTES],
        steps: &mut Vec<Step<'a>>,
    ) -> Option<Point> {
        let (r, s) = signature.split_first_chunk::<32>()?;
        if *r == IDENTITY {
            return None;
        }
        // S < L: a larger one is another spelling of the same signature.
        let s: Scalar = Option::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
        let hash = Sha512::new()
            .chain_update(r)
            .chain_update(key)
            .chain_update(message)
            .finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        steps.clear();
        steps.extend(BASE.as_ref()?.steps(s.as_bytes()));
        steps.extend(self.0.steps(k.as_bytes()));
        Some(add_up(steps))
    }
}
