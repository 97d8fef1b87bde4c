//! A log growing leaf by leaf: emits each tile the moment it is full. Memory is one open tile a level.
//!
//! The publisher writes what is emitted, the auditor compares it with what it was given ([`super::tile::compare_tile`]);
//! both see the same bytes because they run the same code over the same leaves.

use super::tile::{TILE_BYTES, TilePath, WIDTH_FULL};
use super::tree::{Frontier, root_of};
use super::{Flaw, FlawKind, HASH_BYTES, Hash, TreeSize};

/// The open tile of every level.
// INVARIANT: level l holds floor(size / 256^l) mod 256 hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    size: u64,
    open: Vec<Vec<u8>>,
}

impl Growth {
    /// An empty log.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            size: 0,
            open: Vec::new(),
        }
    }

    /// Continues a log of `size` from its partial tiles (a wider tile of the same place serves as well).
    ///
    /// Only lengths are checked; compare [`Growth::root`] with the committed root before writing anything.
    /// # Errors
    /// `trail.tile`; whatever `fetch` says.
    pub fn resume<E: From<Flaw>>(
        size: TreeSize,
        mut fetch: impl FnMut(TilePath) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let mut open = Vec::new();
        for path in partial_tiles(size) {
            let mut bytes = fetch(path)?;
            if bytes.len() < path.byte_length() || bytes.len() > TILE_BYTES {
                let sentence = format!("{path} has {} bytes", bytes.len());
                return Err(Flaw::new(FlawKind::Tile, sentence).into());
            }
            bytes.truncate(path.byte_length());
            open.resize(usize::from(path.level()), Vec::new());
            open.push(bytes);
        }
        Ok(Self {
            size: size.get(),
            open,
        })
    }

    /// Takes the next leaf hash and hands over each tile that it fills, lower levels first.
    /// # Errors
    /// Whatever `emit` says; this growth is then of no more use.
    pub fn push<E>(
        &mut self,
        leaf: Hash,
        mut emit: impl FnMut(TilePath, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.size += 1;
        let (mut hash, mut number) = (leaf, self.size);
        for level in 0.. {
            if self.open.len() <= usize::from(level) {
                self.open.push(Vec::with_capacity(TILE_BYTES));
            }
            let Some(tile) = self.open.get_mut(usize::from(level)) else {
                break;
            };
            tile.extend_from_slice(hash.as_bytes());
            if tile.len() < TILE_BYTES {
                break;
            }
            // `number` counts this level's hashes, a multiple of 256 now: the tile is the last of them.
            number /= u64::from(WIDTH_FULL);
            if let Some(path) = TilePath::new(level, number - 1, WIDTH_FULL) {
                emit(path, tile)?;
            }
            hash = root_of(&hashes(tile));
            tile.clear();
        }
        Ok(())
    }

    /// The partial tiles of the present size, lower levels first: what a checkpoint of this size needs besides the
    /// full ones.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (TilePath, &[u8])> {
        partial_tiles(self.size()).filter_map(|path| {
            self.open
                .get(usize::from(path.level()))
                .map(|tile| (path, tile.as_slice()))
        })
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        TreeSize(self.size)
    }

    /// The right edge, as the head row stores it.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        let mut peaks = Vec::new();
        for tile in self.open.iter().rev() {
            let hashes = hashes(tile);
            let mut rest = hashes.as_slice();
            // Within a tile the complete subtrees are the one-bits of its width, the widest first.
            while let Some(height) = rest.len().checked_ilog2() {
                let (part, after) = rest.split_at(1 << height);
                peaks.push(root_of(part));
                rest = after;
            }
        }
        Frontier::from_peaks(self.size, peaks)
    }

    /// The root. Costs up to 255 hashes a level: for checkpoints, not for every leaf.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier().root()
    }
}

fn partial_tiles(size: TreeSize) -> impl Iterator<Item = TilePath> {
    // Each level has at most one, its last.
    (0..u8::MAX)
        .map_while(move |level| {
            let count = size
                .get()
                .checked_shr(u32::from(level) * 8)
                .filter(|count| *count > 0)?;
            let width = u16::try_from(count % u64::from(WIDTH_FULL)).ok()?;
            Some(TilePath::new(level, count / u64::from(WIDTH_FULL), width))
        })
        .flatten()
}

fn hashes(tile: &[u8]) -> Vec<Hash> {
    tile.as_chunks::<HASH_BYTES>()
        .0
        .iter()
        .map(|hash| Hash(*hash))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tile::{tile_bytes, tiles_between, tiles_of};
    use super::super::vectors::{from_leaves, leaves};
    use super::*;

    fn tree_size(size: u64) -> TreeSize {
        TreeSize::new(size).unwrap()
    }

    /// Every tile of a log of these leaves, by its own path.
    fn grown(mut growth: Growth, leaves: &[Hash]) -> Vec<(TilePath, Vec<u8>)> {
        let before = growth.size();
        let mut tiles = Vec::new();
        for leaf in leaves {
            let keep = |path, bytes: &[u8]| {
                tiles.push((path, bytes.to_vec()));
                Ok::<_, Flaw>(())
            };
            growth.push(*leaf, keep).unwrap();
        }
        let partial = growth
            .partial_tiles()
            .filter(|(path, _)| path.is_new_after(before));
        tiles.extend(partial.map(|(path, bytes)| (path, bytes.to_vec())));
        tiles.sort();
        tiles
    }

    #[test]
    fn what_is_emitted_are_the_tiles_of_the_tree() {
        let all = leaves(66_000);
        let tiles = grown(Growth::empty(), &all);
        let paths: Vec<_> = tiles.iter().map(|(path, _)| *path).collect();
        assert_eq!(paths, tiles_of(tree_size(66_000)).collect::<Vec<_>>());
        for (path, bytes) in tiles {
            assert_eq!(Ok(bytes), tile_bytes(path, from_leaves(&all)), "{path}");
        }
    }

    #[test]
    fn every_size_has_the_right_edge_of_its_leaves() {
        let (mut growth, mut frontier) = (Growth::empty(), Frontier::empty());
        assert_eq!(growth.root(), Hash::EMPTY);
        for leaf in leaves(1000) {
            frontier.append(leaf);
            growth.push(leaf, |_, _| Ok::<_, Flaw>(())).unwrap();
            assert_eq!(growth.frontier(), frontier);
        }
    }

    #[test]
    fn a_log_continued_writes_what_an_unbroken_one_writes() {
        let all = leaves(900);
        let read = from_leaves(&all);
        for (old, new) in [
            (0, 1),
            (1, 300),
            (256, 256),
            (256, 600),
            (511, 512),
            (513, 900),
        ] {
            let fetch = |path| Ok::<_, Flaw>(tile_bytes(path, &read).unwrap());
            let growth = Growth::resume(tree_size(old), fetch).unwrap();
            let part = usize::try_from(old).unwrap()..usize::try_from(new).unwrap();
            assert_eq!(growth.root(), root_of(&all[..part.start]));
            let expected: Vec<_> = tiles_between(tree_size(old), tree_size(new))
                .map(|path| (path, tile_bytes(path, &read).unwrap()))
                .collect();
            assert!(grown(growth, &all[part]) == expected, "{old} to {new}");
        }
    }

    #[test]
    fn a_tile_too_short_or_too_long_cannot_be_continued() {
        for length in [0, 32, 64 + 1, TILE_BYTES + 32] {
            let got = Growth::resume(tree_size(3), |_| Ok::<_, Flaw>(vec![0; length]));
            assert_eq!(got.is_ok(), length == 65 + 32, "{length}");
        }
        assert!(Growth::resume(tree_size(3), |_| Ok::<_, Flaw>(vec![0; TILE_BYTES])).is_ok());
    }
}
