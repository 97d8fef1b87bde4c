//! The Merkle tree of RFC 6962 §2.1: hashes, the right edge, proofs made and proofs checked (RFC 9162 §2.1).
//!
//! Nothing here holds a whole tree. Proofs are made from a reader of complete subtrees, which may be a table of
//! hashes or the tiles ([`super::tile::Tiles`]).

mod prove;
mod verify;

pub use prove::{prove_consistency, prove_inclusion};
pub use verify::{root_from_inclusion, verify_consistency, verify_inclusion};

use super::{Flaw, FlawKind, HASH_BYTES, Hash, TreeSize};
use sha2::{Digest as _, Sha256};

/// No inclusion proof in a tree of at most 2⁶³ − 1 entries has more hashes.
pub const PROOF_HASHES_MAX: usize = 63;

/// A frontier above this size is refused, so that appending can never pass [`super::NUMBER_MAX`].
const FRONTIER_SIZE_MAX: u64 = 1 << 62;

/// The hash of an entry: SHA-256(0x00 ‖ entry).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hasher = Sha256::new_with_prefix([0]);
    hasher.update(entry);
    Hash(hasher.finalize().into())
}

/// The hash of a node: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    let mut hasher = Sha256::new_with_prefix([1]);
    hasher.update(left.0);
    hasher.update(right.0);
    Hash(hasher.finalize().into())
}

/// The right edge of a tree: the roots of its complete subtrees, the widest first. Appends in O(log n).
// INVARIANT: `peaks` has one hash for each one-bit of `size`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The right edge of the empty tree.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// Takes the next leaf.
    pub fn append(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing one-bit of the size is a complete subtree that the new one closes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(left, hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        TreeSize(self.size)
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        join(&self.peaks)
    }

    /// The stored form: size, 8 bytes big-endian, then the peaks, widest first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend(self.peaks.iter().flat_map(|peak| peak.0));
        bytes
    }

    /// Reads the stored form. Only the shape is checked; compare [`Frontier::root`] with what was signed.
    /// # Errors
    /// `trail.frontier`
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Flaw> {
        let flaw = || {
            Flaw::new(
                FlawKind::Frontier,
                format!("{} bytes are no right edge", bytes.len()),
            )
        };
        let (size, rest) = bytes.split_first_chunk().ok_or_else(flaw)?;
        let size = u64::from_be_bytes(*size);
        let (peaks, spare) = rest.as_chunks::<HASH_BYTES>();
        let count = u64::from(size.count_ones());
        if size > FRONTIER_SIZE_MAX || !spare.is_empty() || peaks.len() as u64 != count {
            return Err(flaw());
        }
        Ok(Self {
            size,
            peaks: peaks.iter().map(|peak| Hash(*peak)).collect(),
        })
    }

    /// Joins the parts; the caller has one peak for each one-bit of `size`.
    pub(super) fn from_peaks(size: u64, peaks: Vec<Hash>) -> Self {
        debug_assert_eq!(peaks.len() as u64, u64::from(size.count_ones()));
        Self { size, peaks }
    }
}

/// The root over subtrees given from left to right, each joined with all that is right of it.
fn join(peaks: &[Hash]) -> Hash {
    let joined = peaks
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| node_hash(left, right));
    joined.unwrap_or(Hash::EMPTY)
}

/// The root over subtrees of one height (RFC 6962 §2.1, `MTH`).
#[must_use]
pub fn root_of(hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::empty();
    hashes.iter().for_each(|hash| frontier.append(*hash));
    frontier.root()
}

/// A complete subtree: the leaves index · 2^height … (index + 1) · 2^height − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subtree {
    /// 0 is a leaf.
    pub height: u8,
    /// Counts the subtrees of this height from the left.
    pub index: u64,
}

fn no_leaf(index: u64, size: TreeSize) -> Flaw {
    Flaw::new(
        FlawKind::Proof,
        format!("a tree of size {size} has no entry {index}"),
    )
}

fn shrunk(old: TreeSize, new: TreeSize) -> Flaw {
    Flaw::new(
        FlawKind::Proof,
        format!("a tree of size {old} cannot become one of size {new}"),
    )
}

#[cfg(test)]
#[expect(
    clippy::print_stdout,
    reason = "a test says how many vectors it has run"
)]
mod tests {
    use super::super::vectors::{self, from_leaves, hash, hashes, leaves, list, number, size};
    use super::*;
    use proptest::prelude::*;

    fn tree_size(size: u64) -> TreeSize {
        TreeSize::new(size).unwrap()
    }

    /// A reader that may fail as the server's does.
    fn reader(leaves: &[Hash]) -> impl Fn(Subtree) -> Result<Hash, Flaw> {
        let read = from_leaves(leaves);
        move |subtree| Ok(read(subtree).unwrap_or_else(|never| match never {}))
    }

    #[test]
    fn leaf_hashes_are_those_of_the_vectors() {
        let cases = list("leaf_hashes");
        for case in &cases {
            assert_eq!(
                leaf_hash(vectors::text(&case["entry"]).as_bytes()),
                hash(&case["hash"])
            );
        }
        println!("leaf_hashes: {} vectors", cases.len());
        assert_eq!(cases.len(), 4);
    }

    #[test]
    fn roots_are_those_of_the_vectors_after_every_store_and_load() {
        let cases = list("roots");
        let mut frontier = Frontier::empty();
        let mut count = 0;
        for (at, leaf) in leaves(601).into_iter().enumerate() {
            for case in cases
                .iter()
                .filter(|case| number(&case["size"]) == at as u64)
            {
                assert_eq!(
                    frontier.root().to_string(),
                    vectors::text(&case["root"]),
                    "size {at}"
                );
                assert_eq!(frontier.size(), size(&case["size"]));
                count += 1;
            }
            frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
            frontier.append(leaf);
        }
        println!("roots: {count} vectors");
        assert_eq!(count, cases.len());
    }

    #[test]
    fn inclusion_proofs_are_those_of_the_vectors() {
        let all = leaves(600);
        let cases = list("inclusion");
        for case in &cases {
            let (index, size) = (number(&case["index"]), size(&case["size"]));
            let proof = hashes(&case["proof"]);
            assert_eq!(
                prove_inclusion(index, size, reader(&all)),
                Ok(proof.clone())
            );
            let tree = (size, hash(&case["root"]));
            assert_eq!(
                verify_inclusion(hash(&case["leaf"]), index, tree, &proof),
                Ok(())
            );
        }
        println!("inclusion: {} vectors", cases.len());
        assert_eq!(cases.len(), 11);
    }

    #[test]
    fn consistency_proofs_are_those_of_the_vectors() {
        let all = leaves(600);
        let cases = list("consistency");
        for case in &cases {
            let (old, new) = (size(&case["old"]), size(&case["new"]));
            let proof = hashes(&case["proof"]);
            assert_eq!(prove_consistency(old, new, reader(&all)), Ok(proof.clone()));
            let (old, new) = (
                (old, hash(&case["old_root"])),
                (new, hash(&case["new_root"])),
            );
            assert_eq!(verify_consistency(old, new, &proof), Ok(()));
        }
        println!("consistency: {} vectors", cases.len());
        assert_eq!(cases.len(), 12);
    }

    /// Cloudflare's `tlog_tiles` as the second opinion.
    struct Other(Vec<tlog_tiles::Hash>);

    impl tlog_tiles::HashReader for Other {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
            Ok(indexes
                .iter()
                .map(|at| self.0[usize::try_from(*at).unwrap()])
                .collect())
        }
    }

    fn theirs(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
        hashes.iter().map(|hash| tlog_tiles::Hash(hash.0)).collect()
    }

    #[test]
    fn another_implementation_agrees_on_every_root_and_proof_up_to_size_70() {
        let all = leaves(70);
        let mut other = Other(Vec::new());
        let mut frontier = Frontier::empty();
        let mut roots = vec![Hash::EMPTY];
        for (leaf, n) in all.iter().zip(0..) {
            let hash = tlog_tiles::Hash(leaf.0);
            let stored = tlog_tiles::stored_hashes_for_record_hash(n, hash, &other).unwrap();
            other.0.extend(stored);
            frontier.append(*leaf);
            roots.push(frontier.root());
        }
        let mut count = 0;
        for size in 1..=70_usize {
            let tree = (tree_size(size as u64), roots[size]);
            let root = tlog_tiles::tree_hash(size as u64, &other).unwrap();
            assert_eq!(root.0, roots[size].0);
            for small in 0..size {
                let n = small as u64;
                let proof = prove_inclusion(n, tree.0, reader(&all)).unwrap();
                assert_eq!(
                    theirs(&proof),
                    tlog_tiles::prove_record(size as u64, n, &other).unwrap()
                );
                assert_eq!(verify_inclusion(all[small], n, tree, &proof), Ok(()));
                let old = (tree_size(n + 1), roots[small + 1]);
                let proof = prove_consistency(old.0, tree.0, reader(&all)).unwrap();
                let check = tlog_tiles::prove_tree(size as u64, n + 1, &other).unwrap();
                assert_eq!(theirs(&proof), check);
                assert_eq!(verify_consistency(old, tree, &proof), Ok(()));
                count += 2;
            }
        }
        println!("tlog_tiles: {count} proofs agree");
    }

    #[test]
    fn a_proof_of_another_length_is_refused() {
        let all = leaves(21);
        let tree = (tree_size(21), root_of(&all));
        let old = (tree_size(10), root_of(&all[..10]));
        let inclusion = prove_inclusion(9, tree.0, reader(&all)).unwrap();
        let consistency = prove_consistency(old.0, tree.0, reader(&all)).unwrap();
        let kind = |result: Result<(), Flaw>| result.unwrap_err().kind();
        for length in 0..inclusion.len() {
            let got = verify_inclusion(all[9], 9, tree, &inclusion[..length]);
            assert_eq!(kind(got), FlawKind::Proof);
        }
        for length in 0..consistency.len() {
            let got = verify_consistency(old, tree, &consistency[..length]);
            assert_eq!(kind(got), FlawKind::Proof);
        }
        let longer = |proof: &[Hash]| [proof, &[Hash::EMPTY]].concat();
        let got = verify_inclusion(all[9], 9, tree, &longer(&inclusion));
        assert_eq!(kind(got), FlawKind::Proof);
        let got = verify_consistency(old, tree, &longer(&consistency));
        assert_eq!(kind(got), FlawKind::Proof);
        for pair in [(old, old), ((TreeSize::ZERO, Hash::EMPTY), old)] {
            let got = verify_consistency(pair.0, pair.1, &longer(&[]));
            assert_eq!(kind(got), FlawKind::Proof);
        }
        assert_eq!(
            kind(verify_inclusion(all[9], 21, tree, &inclusion)),
            FlawKind::Proof
        );
        assert_eq!(
            kind(verify_consistency(tree, old, &consistency)),
            FlawKind::Proof
        );
    }

    #[test]
    fn a_tree_of_one_size_has_one_root() {
        let (one, two) = (leaf_hash(b"1"), leaf_hash(b"2"));
        let got = verify_consistency((tree_size(1), one), (tree_size(1), two), &[]);
        assert_eq!(got.unwrap_err().kind(), FlawKind::Root);
        let got = verify_consistency((TreeSize::ZERO, one), (tree_size(1), one), &[]);
        assert_eq!(got.unwrap_err().kind(), FlawKind::Root);
    }

    #[test]
    fn a_right_edge_of_another_shape_is_refused() {
        let mut frontier = Frontier::empty();
        leaves(7).into_iter().for_each(|leaf| frontier.append(leaf));
        let good = frontier.to_bytes();
        assert_eq!(Frontier::from_bytes(&good), Ok(frontier));
        let mut huge = vec![0x80];
        huge.resize(8 + 32, 0);
        let mut more = good.clone();
        more[7] = 8;
        for bad in [
            &[],
            &good[..7],
            &good[..good.len() - 1],
            &good[..good.len() - 32],
            &huge,
            &more,
        ] {
            assert_eq!(
                Frontier::from_bytes(bad).unwrap_err().kind(),
                FlawKind::Frontier
            );
        }
    }

    proptest! {
        #[test]
        fn any_bit_flipped_in_a_proof_is_refused(
            size in 2_u64..300, index: u64, old: u64, bit in 0_usize..256, at: usize,
        ) {
            let all = leaves(size);
            let (index, old) = (index % size, old % (size - 1) + 1);
            let tree = (tree_size(size), root_of(&all));
            let older = (tree_size(old), root_of(&all[..usize::try_from(old).unwrap()]));
            let flip = |proof: &mut Vec<Hash>| {
                let at = at % proof.len();
                proof[at].0[bit / 8] ^= 1 << (bit % 8);
            };
            let leaf = all[usize::try_from(index).unwrap()];
            let mut proof = prove_inclusion(index, tree.0, reader(&all)).unwrap();
            flip(&mut proof);
            prop_assert!(verify_inclusion(leaf, index, tree, &proof).is_err());
            let mut proof = prove_consistency(older.0, tree.0, reader(&all)).unwrap();
            flip(&mut proof);
            prop_assert!(verify_consistency(older, tree, &proof).is_err());
        }

        #[test]
        fn checking_junk_never_panics(
            old: u64, new: u64, index: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            let hashes: Vec<Hash> = hashes.into_iter().map(Hash).collect();
            let (old, new) = (tree_size(old >> 1), tree_size(new >> 1));
            let _ = verify_inclusion(Hash::EMPTY, index, (new, Hash::EMPTY), &hashes);
            let got = verify_consistency((old, Hash::EMPTY), (new, Hash::EMPTY), &hashes);
            prop_assert!(got.is_err() || old.get() == 0 || old == new);
        }
    }
}
