//! Which rows a buyer sees before it buys: drawn by a seed that neither side could choose.
//!
//! The vendor has committed to the manifest, the log to the root after it, and only then the buyer says its nonce.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

use crate::id::{DocumentDigest, Salt};

/// The most rows of one sheet.
pub const SAMPLE_ROWS_MAX: u32 = 200;

/// The seed of a sample: SHA-256 of the manifest's digest, the root of a checkpoint that covers the publication, and the
/// buyer's nonce.
#[must_use]
pub fn seed(manifest: DocumentDigest, root: &[u8; 32], nonce: Salt) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(manifest.hash().bytes());
    hash.update(root);
    hash.update(nonce.bytes());
    hash.finalize().into()
}

/// The numbers of `wanted` distinct rows of `rows`, in the order drawn; all of them where there are fewer. A caller asks at
/// most [`SAMPLE_ROWS_MAX`].
#[must_use]
pub fn draw(seed: &[u8; 32], rows: u64, wanted: u32) -> Vec<u64> {
    let (mut seen, mut drawn) = (BTreeSet::new(), Vec::new());
    let wanted = u64::from(wanted).min(rows);
    for place in 0..=u64::MAX {
        if seen.len() as u64 >= wanted {
            break;
        }
        let mut hash = Sha256::new();
        hash.update(seed);
        hash.update(place.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let mut head = [0; 16];
        head.copy_from_slice(hash.split_at(16).0);
        // A remainder is below `rows`, which is a u64.
        let row = u64::try_from(u128::from_be_bytes(head) % u128::from(rows)).unwrap_or(0);
        if seen.insert(row) {
            drawn.push(row);
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_drawn_once() {
        for rows in [0, 1, 2, 199, 200] {
            let mut drawn = draw(&[3; 32], rows, SAMPLE_ROWS_MAX);
            drawn.sort_unstable();
            assert_eq!(drawn, (0..rows).collect::<Vec<_>>());
        }
        assert_eq!(draw(&[3; 32], u64::MAX, 50).len(), 50);
        assert!(draw(&[3; 32], 10, 0).is_empty());
    }

    #[test]
    fn a_longer_sample_begins_with_the_shorter_one() {
        let long = draw(&[4; 32], 1_000, 100);
        assert_eq!(long[..30], draw(&[4; 32], 1_000, 30));
    }
}
