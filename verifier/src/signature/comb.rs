//! Multiples of a public key from tables: the strict verdict, faster, for keys that verify often (`design/VERIFY.md`).
//!
//! [`Comb::verify`] computes P = S·B + k·(−A) by table look-ups and compares P's canonical encoding with the bytes of R.
//! That is the strict rule of RFC 8032 for a registered key: an encoder makes canonical encodings only, so no other R can
//! match; and A and B being of prime order, the one small-order point that P can be is the identity, refused by its bytes.
//! Variable in nothing secret: it is for public data only. Called by [`super::PublicKey`], which proves the two paths equal.

use curve25519_dalek::constants::ED25519_BASEPOINT_TABLE;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsBasepointTable};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{BasepointTable as _, Identity as _};
use sha2::{Digest as _, Sha512};

use super::{KEY_BYTES, SIGNATURE_BYTES};

/// The multiples of −A: 30 KB, made in the time of a few verifications.
pub(super) struct Comb(EdwardsBasepointTable);

impl Comb {
    /// Makes the table of a registered key. None if the bytes are no point, which registration rules out.
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Option<Self> {
        let point = CompressedEdwardsY(*key).decompress()?;
        Some(Self(EdwardsBasepointTable::create(&-point)))
    }

    /// The verdict on `signature` over `message` by `key`, whose table this is.
    pub(super) fn verify(
        &self,
        key: &[u8; KEY_BYTES],
        message: &[u8],
        signature: &[u8; SIGNATURE_BYTES],
    ) -> bool {
        let Some((r, s)) = signature.split_first_chunk::<32>() else {
            return false;
        };
        // S < L: a larger one is another spelling of the same signature.
        let s: Option<Scalar> = s
            .try_into()
            .ok()
            .and_then(|s| Scalar::from_canonical_bytes(s).into());
        let Some(s) = s else { return false };
        if *r == CompressedEdwardsY::identity().to_bytes() {
            return false;
        }
        let hash = Sha512::new()
            .chain_update(r)
            .chain_update(key)
            .chain_update(message)
            .finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        let point = ED25519_BASEPOINT_TABLE.mul_base(&s) + self.0.mul_base(&k);
        point.compress().as_bytes() == r
    }
}
