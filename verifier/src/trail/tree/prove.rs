//! Makes inclusion and consistency proofs (RFC 9162 §2.1.3.1, §2.1.4.1). Tested in [`super`] with the checks.

use super::{Subtree, join, no_leaf, shrunk};
use crate::trail::{Flaw, Hash, TreeSize};

/// Leaves `from` (inclusive) to `to` (exclusive) that are one node of some tree.
#[derive(Debug, Clone, Copy)]
struct Range {
    from: u64,
    to: u64,
}

impl Range {
    /// The complete subtrees of the range, from left to right.
    fn subtrees(self) -> impl Iterator<Item = Subtree> {
        let mut from = self.from;
        std::iter::from_fn(move || {
            let height = (self.to - from).checked_ilog2()?;
            let index = from >> height;
            from += 1 << height;
            // `ilog2` of a u64 is at most 63.
            Some(Subtree {
                height: u8::try_from(height).ok()?,
                index,
            })
        })
    }

    fn hash<E>(self, read: &mut impl FnMut(Subtree) -> Result<Hash, E>) -> Result<Hash, E> {
        let peaks = self.subtrees().map(read).collect::<Result<Vec<_>, E>>()?;
        Ok(join(&peaks))
    }

    /// Where RFC 6962 splits the range: after the largest power of two smaller than its length, which is at least 2.
    fn middle(self) -> u64 {
        self.from + (1 << (self.to - self.from - 1).ilog2())
    }
}

/// The proof that the leaf `index` is in the tree of `size`: leaf's sibling first (RFC 9162 §2.1.3.1).
/// # Errors
/// `trail.proof` if the tree has no such leaf; whatever `read` says.
pub fn prove_inclusion<E: From<Flaw>>(
    index: u64,
    size: TreeSize,
    mut read: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size.0 {
        return Err(no_leaf(index, size).into());
    }
    let mut node = Range {
        from: 0,
        to: size.0,
    };
    let mut siblings = Vec::new();
    while node.to - node.from > 1 {
        let middle = node.middle();
        let (left, right) = (
            Range { to: middle, ..node },
            Range {
                from: middle,
                ..node
            },
        );
        let (next, sibling) = if index < middle {
            (left, right)
        } else {
            (right, left)
        };
        siblings.push(sibling);
        node = next;
    }
    siblings
        .into_iter()
        .rev()
        .map(|range| range.hash(&mut read))
        .collect()
}

/// The proof that the tree of `old` is a prefix of that of `new` (RFC 9162 §2.1.4.1); empty for `old` 0 or `new`.
/// # Errors
/// `trail.proof` if `old` is greater than `new`; whatever `read` says.
pub fn prove_consistency<E: From<Flaw>>(
    old: TreeSize,
    new: TreeSize,
    mut read: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if old > new {
        return Err(shrunk(old, new).into());
    }
    if old.0 == 0 {
        return Ok(Vec::new());
    }
    let mut node = Range { from: 0, to: new.0 };
    let mut ranges = Vec::new();
    while node.to != old.0 {
        let middle = node.middle();
        let (left, right) = (
            Range { to: middle, ..node },
            Range {
                from: middle,
                ..node
            },
        );
        let (next, sibling) = if old.0 <= middle {
            (left, right)
        } else {
            (right, left)
        };
        ranges.push(sibling);
        node = next;
    }
    // The old tree's last complete subtree is in the proof unless it is the whole old tree.
    if node.from != 0 {
        ranges.push(node);
    }
    ranges
        .into_iter()
        .rev()
        .map(|range| range.hash(&mut read))
        .collect()
}
