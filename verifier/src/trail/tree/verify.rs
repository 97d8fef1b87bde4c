//! Checks inclusion and consistency proofs (RFC 9162 §2.1.3.2, §2.1.4.2). Tested in [`super`] with the makers.

use super::{no_leaf, node_hash, shrunk};
use crate::trail::{Flaw, FlawKind, Hash, TreeSize};

/// The root that `proof` leads to from `leaf` (RFC 9162 §2.1.3.2).
/// # Errors
/// `trail.proof`: no such leaf, or the proof is too short or too long.
pub fn root_from_inclusion(
    leaf: Hash,
    index: u64,
    size: TreeSize,
    proof: &[Hash],
) -> Result<Hash, Flaw> {
    if index >= size.0 {
        return Err(no_leaf(index, size));
    }
    let mut climb = Climb {
        node: index,
        last: size.0 - 1,
    };
    let mut root = leaf;
    for sibling in proof {
        root = match climb.step() {
            None => return Err(wrong_length(proof, size)),
            Some(Side::Left) => node_hash(*sibling, root),
            Some(Side::Right) => node_hash(root, *sibling),
        };
    }
    if climb.last == 0 {
        Ok(root)
    } else {
        Err(wrong_length(proof, size))
    }
}

/// Checks that `leaf` is entry `index` of the tree with `root`.
/// # Errors
/// `trail.proof`, `trail.root`
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    (size, root): (TreeSize, Hash),
    proof: &[Hash],
) -> Result<(), Flaw> {
    if root_from_inclusion(leaf, index, size, proof)? == root {
        return Ok(());
    }
    let sentence = format!("the proof of entry {index} does not lead to the root of size {size}");
    Err(Flaw::new(FlawKind::Root, sentence))
}

/// Checks that the tree `old` is a prefix of the tree `new` (RFC 9162 §2.1.4.2).
///
/// From size 0 every tree grows, with an empty proof; of one size, roots must be equal and the proof empty.
/// # Errors
/// `trail.proof`, `trail.root`
pub fn verify_consistency(
    old: (TreeSize, Hash),
    new: (TreeSize, Hash),
    proof: &[Hash],
) -> Result<(), Flaw> {
    if old.0 > new.0 {
        return Err(shrunk(old.0, new.0));
    }
    for (size, root) in [old, new] {
        if size.0 == 0 && root != Hash::EMPTY {
            return Err(Flaw::new(
                FlawKind::Root,
                "the root of size 0 is not SHA-256 of nothing",
            ));
        }
    }
    if old.0.0 == 0 || old.0 == new.0 {
        if !proof.is_empty() {
            return Err(wrong_length(proof, new.0));
        }
        return equal_roots(old, if old.0 == new.0 { new.1 } else { old.1 });
    }
    let (old_root, new_root) = roots_from_consistency(old, new.0, proof)?;
    equal_roots(old, old_root)?;
    equal_roots(new, new_root)
}

/// The two roots that a consistency proof leads to, for 0 < old < new.
fn roots_from_consistency(
    (old, old_root): (TreeSize, Hash),
    new: TreeSize,
    proof: &[Hash],
) -> Result<(Hash, Hash), Flaw> {
    // The RFC prepends the old root where the old tree is one complete subtree and so not in the proof.
    let (first, rest) = if old.0.is_power_of_two() {
        (old_root, proof)
    } else {
        let (first, rest) = proof
            .split_first()
            .ok_or_else(|| wrong_length(proof, new))?;
        (*first, rest)
    };
    let mut climb = Climb {
        node: old.0 - 1,
        last: new.0 - 1,
    };
    climb.skip(climb.node.trailing_ones());
    let (mut old_root, mut new_root) = (first, first);
    for hash in rest {
        match climb.step() {
            None => return Err(wrong_length(proof, new)),
            Some(Side::Left) => {
                old_root = node_hash(*hash, old_root);
                new_root = node_hash(*hash, new_root);
            }
            Some(Side::Right) => new_root = node_hash(new_root, *hash),
        }
    }
    if climb.last == 0 {
        Ok((old_root, new_root))
    } else {
        Err(wrong_length(proof, new))
    }
}

/// On which side of the node so far the next hash of a proof belongs.
enum Side {
    Left,
    Right,
}

/// A walk from a leaf or subtree to the root: `fn` and `sn` of RFC 9162.
struct Climb {
    node: u64,
    last: u64,
}

impl Climb {
    /// One level up, or more where the right edge has no sibling; `None` at the root.
    fn step(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        if self.node & 1 == 0 && self.node != self.last {
            self.skip(1);
            return Some(Side::Right);
        }
        if self.node & 1 == 0 {
            // node = last ≠ 0, so it has a one-bit to stop at.
            self.skip(self.node.trailing_zeros());
        }
        self.skip(1);
        Some(Side::Left)
    }

    fn skip(&mut self, levels: u32) {
        self.node = self.node.checked_shr(levels).unwrap_or(0);
        self.last = self.last.checked_shr(levels).unwrap_or(0);
    }
}

fn equal_roots((size, expected): (TreeSize, Hash), got: Hash) -> Result<(), Flaw> {
    if expected == got {
        return Ok(());
    }
    let sentence = format!("the root of size {size} is {expected}, but this leads to {got}");
    Err(Flaw::new(FlawKind::Root, sentence))
}

fn wrong_length(proof: &[Hash], size: TreeSize) -> Flaw {
    let sentence = format!(
        "{} hashes are too few or too many in a tree of {size}",
        proof.len()
    );
    Flaw::new(FlawKind::Proof, sentence)
}
