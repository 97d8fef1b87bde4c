//! Proof that a buyer holds what was delivered: a nonce picks chunks, only who has the bytes can hash them (DESIGN §5).

use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::ops::Range;

use crate::id::Sha256Hash;
use crate::receipt::Nonce;

/// The length of a chunk; the last one may be shorter.
pub const CHUNK_BYTES: u64 = 1 << 20;
/// How many chunks a nonce picks: who lacks a tenth of them passes with 0.9¹⁶ < 19 %.
pub const PICKS: usize = 16;

/// The numbers of the chunks that a nonce picks of a version of so many bytes, ascending: all where there are few.
///
/// The version's bytes are its files in the order of the manifest, end to end.
#[must_use]
pub fn picks(nonce: Nonce, bytes: u64) -> Vec<u64> {
    let chunks = bytes.div_ceil(CHUNK_BYTES).max(1);
    if chunks <= PICKS as u64 {
        return (0..chunks).collect();
    }
    let mut picked = BTreeSet::new();
    for place in 0..=u32::MAX {
        let mut hash = Sha256::new();
        hash.update(nonce.bytes());
        hash.update(place.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        picked.insert(u64::from_be_bytes([a, b, c, d, e, f, g, h]) % chunks);
        if picked.len() == PICKS {
            break;
        }
    }
    picked.into_iter().collect()
}

/// Hashes the picked chunks as they come.
#[derive(Debug, Clone)]
pub struct Possession {
    wants: Vec<Range<u64>>,
    hash: Sha256,
}

impl Possession {
    /// Begins with a nonce for a version of so many bytes.
    #[must_use]
    pub fn new(nonce: Nonce, bytes: u64) -> Self {
        let range = |chunk: u64| {
            let from = chunk.saturating_mul(CHUNK_BYTES);
            from..from.saturating_add(CHUNK_BYTES).min(bytes)
        };
        let mut hash = Sha256::new();
        hash.update(nonce.bytes());
        Self {
            wants: picks(nonce, bytes).into_iter().map(range).collect(),
            hash,
        }
    }

    /// The ranges of the version's bytes to be fed, ascending; a range may cross from file to file.
    #[must_use]
    pub fn wants(&self) -> &[Range<u64>] {
        &self.wants
    }

    /// Takes the next bytes of [`Possession::wants`], nothing between them.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// The `possession` of an acceptance; its own SHA-256 is the `possession_hash` of a delivery.
    #[must_use]
    pub fn end(self) -> Sha256Hash {
        Sha256Hash::new(self.hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = Nonce::new([7; 16]);

    #[test]
    fn one_small_file_is_proven_whole() {
        let content = b"one line of a corpus\n";
        let mut possession = Possession::new(NONCE, content.len() as u64);
        let whole = 0..content.len() as u64;
        assert_eq!(possession.wants(), std::slice::from_ref(&whole));
        let (head, tail) = content.split_at(5);
        possession.feed(head);
        possession.feed(tail);
        let expected = Sha256Hash::of(&[&NONCE.bytes()[..], content].concat());
        assert_eq!(possession.end(), expected);
    }

    #[test]
    fn sixteen_chunks_are_all_picked_and_of_more_sixteen() {
        let all: Vec<u64> = (0..16).collect();
        assert_eq!(picks(NONCE, 16 * CHUNK_BYTES), all);
        assert_eq!(picks(NONCE, 0), [0]);
        for bytes in [16 * CHUNK_BYTES + 1, 100 * CHUNK_BYTES, u64::MAX] {
            let picked = picks(NONCE, bytes);
            assert_eq!(picked.len(), PICKS);
            assert!(picked.windows(2).all(|pair| pair[0] < pair[1]));
            let possession = Possession::new(NONCE, bytes);
            assert!(possession.wants().iter().all(|range| range.end <= bytes));
        }
        assert_ne!(picks(NONCE, 1 << 40), picks(Nonce::new([8; 16]), 1 << 40));
    }
}
