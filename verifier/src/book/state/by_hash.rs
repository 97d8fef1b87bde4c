//! A map from hashes for what a book never forgets, such as a year's scheduler runs.
//!
//! Hashes are spread evenly and come in no order, so that each level of a large B-tree costs a wait for memory. Here the leading
//! bits of a hash say in which bucket it lies: one wait for the bucket, one for its few entries, which are sorted; all buckets
//! one after the other are the map in order. Whoever chooses many hashes for one bucket makes it longer, and its search is by
//! halves all the same.

use std::collections::BTreeMap;

use crate::packed::{NotPacked, Packed, Unpacker};

/// The leading bytes of a SHA-256.
type Hash = [u8; 16];

/// So many entries a bucket, in the mean, before there are twice as many buckets.
const FULL: usize = 6;

/// A map from hashes to values. Ordered, as a `BTreeMap` of the same would be.
#[derive(Debug, Clone)]
pub struct ByHash<V> {
    /// As many as a power of two; each is sorted by hash.
    buckets: Vec<Vec<(Hash, V)>>,
    len: usize,
}

impl<V> Default for ByHash<V> {
    fn default() -> Self {
        Self {
            buckets: vec![Vec::new()],
            len: 0,
        }
    }
}

impl<V> ByHash<V> {
    /// The value of a hash.
    #[must_use]
    pub fn get(&self, hash: &Hash) -> Option<&V> {
        let bucket = self.buckets.get(self.place(hash))?;
        let at = search(bucket, hash).ok()?;
        bucket.get(at).map(|(_, value)| value)
    }

    /// How many hashes have a value.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none has.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&Hash, &V)> {
        let pairs = self.buckets.iter().flatten();
        pairs.map(|(hash, value)| (hash, value))
    }

    /// Lets `change` see the value of a hash, if it has one, and keeps what it leaves there.
    pub(in crate::book) fn change(&mut self, hash: Hash, change: impl FnOnce(&mut Option<V>)) {
        let place = self.place(&hash);
        let Some(bucket) = self.buckets.get_mut(place) else {
            return;
        };
        let found = search(bucket, &hash);
        let mut value = found.ok().map(|at| bucket.remove(at).1);
        self.len -= usize::from(value.is_some());
        change(&mut value);
        if let Some(value) = value {
            let (Ok(at) | Err(at)) = found;
            // Millions of buckets with room for twice what they hold would be most of a book.
            if bucket.len() == bucket.capacity() {
                bucket.reserve_exact(2);
            }
            bucket.insert(at, (hash, value));
            self.len += 1;
        }
        if self.len > self.buckets.len().saturating_mul(FULL) {
            self.double();
        }
    }

    /// The bucket of a hash: its leading bits, as many as tell the buckets apart.
    fn place(&self, hash: &Hash) -> usize {
        let bits = self.buckets.len().trailing_zeros();
        let (leading, _) = hash.split_at(8);
        let leading = leading
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte));
        let place = leading.checked_shr(u64::BITS - bits).unwrap_or(0);
        usize::try_from(place).unwrap_or(0)
    }

    /// Parts each bucket by its next bit.
    fn double(&mut self) {
        let bits = self.buckets.len().trailing_zeros();
        let (byte, bit) = (bits / 8, 0x80_u8 >> (bits % 8));
        let is_low = |(hash, _): &(Hash, V)| {
            let byte = hash.get(byte as usize);
            byte.is_some_and(|byte| byte & bit == 0)
        };
        let buckets = std::mem::take(&mut self.buckets).into_iter();
        let parted = buckets.flat_map(|mut bucket| {
            let high = bucket.split_off(bucket.partition_point(is_low));
            bucket.shrink_to_fit();
            [bucket, high]
        });
        self.buckets = parted.collect();
    }
}

fn search<V>(bucket: &[(Hash, V)], hash: &Hash) -> Result<usize, usize> {
    bucket.binary_search_by(|(known, _)| known.cmp(hash))
}

impl<V: PartialEq> PartialEq for ByHash<V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<V: Eq> Eq for ByHash<V> {}

/// As a `BTreeMap` is packed.
impl<V: Packed> Packed for ByHash<V> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len.put(out);
        for (hash, value) in self.iter() {
            hash.put(out);
            value.put(out);
        }
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        let mut all = Self::default();
        for (hash, value) in BTreeMap::<Hash, V>::take(from)? {
            all.change(hash, |entry| *entry = Some(value));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hashes of which many share their first bytes, and some all but the last.
    fn hashes() -> impl Strategy<Value = Hash> {
        prop_oneof![
            any::<Hash>(),
            (0..4_u8, any::<u8>()).prop_map(|(first, last)| {
                let mut hash = [first; 16];
                hash[15] = last;
                hash
            }),
        ]
    }

    proptest! {
        #[test]
        fn it_is_what_a_tree_would_be(steps in prop::collection::vec((hashes(), 0..3_u8), 0..600)) {
            let (mut ours, mut tree) = (ByHash::default(), BTreeMap::new());
            for (hash, value) in steps {
                let value = (value > 0).then_some(u32::from(value));
                let before = tree.get(&hash).copied();
                ours.change(hash, |entry| {
                    assert_eq!(*entry, before);
                    *entry = value;
                });
                match value {
                    Some(value) => tree.insert(hash, value),
                    None => tree.remove(&hash),
                };
                prop_assert_eq!(ours.get(&hash), tree.get(&hash));
                prop_assert_eq!(ours.len(), tree.len());
            }
            prop_assert!(ours.iter().eq(tree.iter()));
            let (mut packed, mut expected) = (Vec::new(), Vec::new());
            ours.put(&mut packed);
            tree.put(&mut expected);
            prop_assert_eq!(&packed, &expected);
            prop_assert_eq!(ByHash::take(&mut Unpacker::new(&packed)), Ok(ours));
        }
    }

    #[test]
    fn hashes_of_one_bucket_are_all_found() {
        let mut all = ByHash::default();
        for number in 0..2_000_u32 {
            let mut hash = [0; 16];
            hash[12..].copy_from_slice(&number.to_be_bytes());
            all.change(hash, |entry| *entry = Some(number));
        }
        let found: Vec<_> = all.iter().map(|(_, number)| *number).collect();
        assert_eq!(found, (0..2_000).collect::<Vec<_>>());
        assert!(
            all.buckets.len() <= 512,
            "a bucket is no reason for ever more"
        );
    }
}
