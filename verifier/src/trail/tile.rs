//! Tiles: 256 hashes of one level under one path (C2SP tlog-tiles v0.1.0), and the tree read through them.

use super::tree::{self, Subtree};
use super::{Flaw, FlawKind, HASH_BYTES, Hash, NUMBER_MAX, TreeSize, parse_decimal};
use std::collections::BTreeMap;
use std::fmt;

/// How many hashes (or entries) a full tile (or bundle) has.
pub const WIDTH_FULL: u16 = 256;
/// Length of a full tile in bytes.
pub const TILE_BYTES: usize = WIDTH_FULL as usize * HASH_BYTES;
/// Levels that a tree of 2⁶³ − 1 entries uses; the path grammar goes on to [`LEVEL_MAX`].
const LEVELS: u8 = 8;
/// The greatest level that a path may name.
const LEVEL_MAX: u8 = 63;
/// No path of the grammar is longer; the bound keeps junk cheap.
const PATH_BYTES_MAX: usize = 100;

/// Which tile: `tile/<level>/<number>[.p/<width>]`. The path is its text.
///
/// Sorts by level, then number, then width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TilePath {
    level: u8,
    place: Place,
}

impl TilePath {
    /// Names a tile; `None` if level > 63, width is not 1 … 256 or the number is above 2⁶³ − 1.
    #[must_use]
    pub const fn new(level: u8, number: u64, width: u16) -> Option<Self> {
        match Place::new(number, width) {
            Some(place) if level <= LEVEL_MAX => Some(Self { level, place }),
            _ => None,
        }
    }

    /// Reads a path in its one spelling, without a leading slash.
    /// # Errors
    /// `trail.tile-path`
    pub fn parse(path: &str) -> Result<Self, Flaw> {
        parse_path(path, |level, place| {
            let level = parse_decimal(level, u64::from(LEVEL_MAX))?;
            Some(Self {
                level: u8::try_from(level).ok()?,
                place,
            })
        })
    }

    /// 0 … 63; level 0 has the leaf hashes.
    #[must_use]
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// Counts the tiles of the level from the left.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.place.number
    }

    /// How many hashes: 1 … 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.place.width
    }

    /// The tile's length in bytes.
    #[must_use]
    pub const fn byte_length(&self) -> usize {
        self.place.width as usize * HASH_BYTES
    }

    /// Whether the tile holds a hash that the tree of `size` did not have yet.
    #[must_use]
    pub fn is_new_after(&self, size: TreeSize) -> bool {
        self.place.end() > size_at(size, self.level)
    }

    /// The hashes of the tile, in order, as complete subtrees of the tree.
    pub fn subtrees(&self) -> impl Iterator<Item = Subtree> + use<> {
        let (height, first) = (self.level.saturating_mul(8), self.place.first());
        (0..u64::from(self.place.width)).map(move |at| Subtree {
            height,
            index: first.saturating_add(at),
        })
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{}", self.level, self.place)
    }
}

/// Number and width, as tiles and bundles share them: `x001/x234/067.p/112`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) width: u16,
}

impl Place {
    pub(super) const fn new(number: u64, width: u16) -> Option<Self> {
        if number > NUMBER_MAX || width == 0 || width > WIDTH_FULL {
            return None;
        }
        Some(Self { number, width })
    }

    /// The index, in its level, of the first hash or entry. Saturates: absurd paths parse, but no tree has them.
    pub(super) const fn first(self) -> u64 {
        self.number.saturating_mul(WIDTH_FULL as u64)
    }

    /// One past the index of the last.
    pub(super) const fn end(self) -> u64 {
        self.first().saturating_add(self.width as u64)
    }

    /// Reads groups of three digits, the last perhaps with `.p` and a width after it. Loose: the caller prints and
    /// compares.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, width) = match text.rsplit_once(".p/") {
            Some((number, width)) => (number, parse_decimal(width, u64::from(WIDTH_FULL) - 1)?),
            None => (text, u64::from(WIDTH_FULL)),
        };
        let mut sum = 0_u64;
        for group in number.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            sum = sum.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        Self::new(sum, u16::try_from(width).ok()?)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{:03}", self.number % 1000);
        let mut rest = self.number / 1000;
        while rest > 0 {
            text = format!("x{:03}/{text}", rest % 1000);
            rest /= 1000;
        }
        f.write_str(&text)?;
        if self.width < WIDTH_FULL {
            write!(f, ".p/{}", self.width)
        } else {
            Ok(())
        }
    }
}

/// Reads `tile/<kind>/<place>` in its one spelling.
pub(super) fn parse_path<T: fmt::Display>(
    path: &str,
    make: impl FnOnce(&str, Place) -> Option<T>,
) -> Result<T, Flaw> {
    parse_spelling(path, |path| {
        let (kind, place) = path.strip_prefix("tile/")?.split_once('/')?;
        make(kind, Place::parse(place)?)
    })
}

/// Reads a path and insists that printing the result gives the same text.
pub(super) fn parse_spelling<T: fmt::Display>(
    path: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Flaw> {
    let parsed = if path.len() <= PATH_BYTES_MAX {
        read(path)
    } else {
        None
    };
    parsed
        .filter(|parsed| parsed.to_string() == path)
        .ok_or_else(|| {
            let start: String = path.chars().take(PATH_BYTES_MAX).collect();
            Flaw::new(
                FlawKind::TilePath,
                format!("{start:?} is no path of a trail"),
            )
        })
}

/// How many hashes the level has in a tree of `size`. Shifting by 64 or more would overflow.
fn size_at(size: TreeSize, level: u8) -> u64 {
    size.get().checked_shr(u32::from(level) * 8).unwrap_or(0)
}

/// The places that hold something new when `old` hashes or entries become `new`; the last may be partial.
pub(super) fn places_between(old: u64, new: u64) -> impl Iterator<Item = Place> {
    let full = u64::from(WIDTH_FULL);
    let numbers = if old < new {
        old / full..new.div_ceil(full)
    } else {
        0..0
    };
    numbers.filter_map(move |number| {
        let width = (new - number * full).min(full);
        Place::new(number, u16::try_from(width).ok()?)
    })
}

/// The tiles to write when the tree grows from `old` to `new`: full ones, and the partial ones of `new`, lower
/// levels first.
pub fn tiles_between(old: TreeSize, new: TreeSize) -> impl Iterator<Item = TilePath> {
    (0..LEVELS).flat_map(move |level| {
        let places = places_between(size_at(old, level), size_at(new, level));
        places.map(move |place| TilePath { level, place })
    })
}

/// Every tile of the tree of `size`, lower levels first.
pub fn tiles_of(size: TreeSize) -> impl Iterator<Item = TilePath> {
    tiles_between(TreeSize::ZERO, size)
}

/// The bytes of a tile, each hash from `read`: a function of committed entries alone.
/// # Errors
/// Whatever `read` says.
pub fn tile_bytes<E>(
    path: TilePath,
    mut read: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Vec<u8>, E> {
    let mut bytes = Vec::with_capacity(path.byte_length());
    for subtree in path.subtrees() {
        bytes.extend_from_slice(read(subtree)?.as_bytes());
    }
    Ok(bytes)
}

/// The root over a tile's hashes: for a full tile its hash in the tile above.
/// # Errors
/// `trail.tile` if the length is not 1 … 256 hashes.
pub fn tile_root(bytes: &[u8]) -> Result<Hash, Flaw> {
    Ok(tree::root_of(&tile_hashes(bytes)?))
}

/// The hashes of a tile.
/// # Errors
/// `trail.tile` if the length is not 1 … 256 hashes.
pub fn tile_hashes(bytes: &[u8]) -> Result<Vec<Hash>, Flaw> {
    let (hashes, spare) = bytes.as_chunks::<HASH_BYTES>();
    if hashes.is_empty() || !spare.is_empty() || bytes.len() > TILE_BYTES {
        let sentence = format!("{} bytes are not 1 to 256 hashes", bytes.len());
        return Err(Flaw::new(FlawKind::Tile, sentence));
    }
    Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
}

/// Compares a tile found with the bytes its place demands, and names the first difference.
/// # Errors
/// `trail.tile`
pub fn compare_tile(path: TilePath, demanded: &[u8], found: &[u8]) -> Result<(), Flaw> {
    if demanded == found {
        return Ok(());
    }
    if demanded.len() != found.len() {
        let sentence = format!(
            "{path} has {} bytes instead of {}",
            found.len(),
            demanded.len()
        );
        return Err(Flaw::new(FlawKind::Tile, sentence));
    }
    let same = demanded
        .iter()
        .zip(found)
        .take_while(|(left, right)| left == right)
        .count();
    let index = path
        .place
        .first()
        .saturating_add((same / HASH_BYTES) as u64);
    let sentence = format!("{path} has another hash at index {index} of its level");
    Err(Flaw::new(FlawKind::Tile, sentence))
}

/// A tree of one size read through its tiles. Keeps what it has fetched: make one for each proof or few.
///
/// The tiles are believed; who does not trust them checks the proof made from them.
#[derive(Debug)]
pub struct Tiles<F> {
    size: TreeSize,
    fetch: F,
    kept: BTreeMap<TilePath, Vec<Hash>>,
}

impl<F, E> Tiles<F>
where
    F: FnMut(TilePath) -> Result<Vec<u8>, E>,
    E: From<Flaw>,
{
    /// Reads the tree of `size` by `fetch`, which may answer a partial path with a wider tile of the same place.
    pub const fn new(size: TreeSize, fetch: F) -> Self {
        Self {
            size,
            fetch,
            kept: BTreeMap::new(),
        }
    }

    /// The inclusion proof of entry `index`.
    /// # Errors
    /// `trail.proof`, `trail.tile`; whatever `fetch` says.
    pub fn prove_inclusion(&mut self, index: u64) -> Result<Vec<Hash>, E> {
        tree::prove_inclusion(index, self.size, |subtree| self.subtree(subtree))
    }

    /// The proof that the tree of `old` is a prefix of this one.
    /// # Errors
    /// `trail.proof`, `trail.tile`; whatever `fetch` says.
    pub fn prove_consistency(&mut self, old: TreeSize) -> Result<Vec<Hash>, E> {
        tree::prove_consistency(old, self.size, |subtree| self.subtree(subtree))
    }

    /// The hash of a complete subtree.
    /// # Errors
    /// `trail.tile` if this tree has no such subtree or its tile is too short; whatever `fetch` says.
    pub fn subtree(&mut self, subtree: Subtree) -> Result<Hash, E> {
        // A tile holds heights 8·level; the seven heights above are computed from its hashes.
        let (level, above) = (subtree.height / 8, subtree.height % 8);
        let missing = || Flaw::new(FlawKind::Tile, format!("the tree has no {subtree:?}"));
        let next = subtree.index.checked_add(1).ok_or_else(missing)?;
        let end = next.checked_mul(1 << above).ok_or_else(missing)?;
        let has = size_at(self.size, level);
        if end > has {
            return Err(missing().into());
        }
        let first = subtree.index << above;
        let full = u64::from(WIDTH_FULL);
        let number = first / full;
        let width = (has - number * full).min(full);
        let path = u16::try_from(width)
            .ok()
            .and_then(|width| TilePath::new(level, number, width));
        let hashes = self.tile(path.ok_or_else(missing)?)?;
        // `above` ≤ 7 divides a tile evenly, so the range never leaves it.
        let inside = usize::try_from(first % full)
            .ok()
            .zip(usize::try_from((end - 1) % full).ok());
        let part = inside.and_then(|(from, last)| hashes.get(from..=last));
        Ok(tree::root_of(part.ok_or_else(missing)?))
    }

    fn tile(&mut self, path: TilePath) -> Result<&[Hash], E> {
        if !self.kept.contains_key(&path) {
            let bytes = (self.fetch)(path)?;
            let hashes = tile_hashes(&bytes)?;
            if hashes.len() < usize::from(path.width()) {
                let sentence = format!("{path} has only {} hashes", hashes.len());
                return Err(Flaw::new(FlawKind::Tile, sentence).into());
            }
            self.kept.insert(path, hashes);
        }
        Ok(self.kept.get(&path).map_or(&[], Vec::as_slice))
    }
}

#[cfg(test)]
#[expect(
    clippy::print_stdout,
    reason = "a test says how many vectors it has run"
)]
mod tests {
    use super::super::vectors::{from_leaves, leaves, list, number, size, text};
    use super::super::{bundle::BundlePath, growth::Growth, tree};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_of_the_vectors() {
        let cases = list("tile_paths");
        for case in &cases {
            let (path, n) = (text(&case["path"]), number(&case["n"]));
            let width = u16::try_from(number(&case["width"])).unwrap();
            if let Some(level) = case["level"].as_u64() {
                let tile = TilePath::new(u8::try_from(level).unwrap(), n, width).unwrap();
                assert_eq!(tile.to_string(), path);
                assert_eq!(TilePath::parse(path), Ok(tile));
                assert!(BundlePath::parse(path).is_err());
            } else {
                let bundle = BundlePath::new(n, width).unwrap();
                assert_eq!(bundle.to_string(), path);
                assert_eq!(BundlePath::parse(path), Ok(bundle));
                assert!(TilePath::parse(path).is_err());
            }
        }
        let bad = list("tile_paths_bad");
        for path in &bad {
            let path = text(path);
            assert_eq!(
                TilePath::parse(path).unwrap_err().kind(),
                FlawKind::TilePath,
                "{path}"
            );
            assert_eq!(
                BundlePath::parse(path).unwrap_err().kind(),
                FlawKind::TilePath,
                "{path}"
            );
        }
        println!(
            "tile_paths: {} good and {} bad vectors",
            cases.len(),
            bad.len()
        );
        assert_eq!((cases.len(), bad.len()), (9, 24));
    }

    #[test]
    fn the_tiles_of_a_size_are_those_of_the_vectors() {
        let cases = list("tiles_of_size");
        for case in &cases {
            let tiles: Vec<_> = tiles_of(size(&case["size"])).collect();
            let full = tiles
                .iter()
                .filter(|tile| tile.width() == WIDTH_FULL)
                .count();
            assert_eq!(full as u64, number(&case["full"]), "{case}");
            let partial = tiles.iter().filter(|tile| tile.width() < WIDTH_FULL);
            let partial: Vec<_> = partial
                .map(|tile| serde_json::json!([tile.level(), tile.number(), tile.width()]))
                .collect();
            assert_eq!(serde_json::Value::from(partial), case["partial"]);
        }
        println!("tiles_of_size: {} vectors", cases.len());
        assert_eq!(cases.len(), 9);
    }

    #[test]
    fn growing_writes_what_is_new_and_nothing_else() {
        let list = |old, new| -> Vec<String> {
            let (old, new) = (TreeSize::new(old).unwrap(), TreeSize::new(new).unwrap());
            tiles_between(old, new)
                .map(|tile| tile.to_string())
                .collect()
        };
        assert_eq!(list(0, 0), [""; 0]);
        assert_eq!(list(300, 300), [""; 0]);
        assert_eq!(list(300, 299), [""; 0]);
        assert_eq!(list(255, 256), ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(list(256, 257), ["tile/0/001.p/1"]);
        assert_eq!(
            list(200, 600),
            [
                "tile/0/000",
                "tile/0/001",
                "tile/0/002.p/88",
                "tile/1/000.p/2"
            ]
        );
        let top = TreeSize::new(NUMBER_MAX).unwrap();
        let before = TreeSize::new(NUMBER_MAX - 1).unwrap();
        assert_eq!(tiles_between(before, top).count(), 1);
    }

    #[test]
    fn proofs_read_through_tiles_are_the_proofs() {
        let all = leaves(600);
        let read = from_leaves(&all);
        let own = |subtree| Ok::<_, Flaw>(read(subtree).unwrap_or_else(|never| match never {}));
        for total in [1_u64, 255, 256, 257, 513, 600] {
            let tree_size = TreeSize::new(total).unwrap();
            for index in [0, 1, 255, 256, 511, total - 1, total / 2] {
                let mut tiles = Tiles::new(tree_size, |path| tile_bytes(path, own));
                let expected = tree::prove_inclusion(index, tree_size, own);
                assert_eq!(tiles.prove_inclusion(index), expected, "{index} in {total}");
                let old = TreeSize::new(index).unwrap();
                let expected = tree::prove_consistency(old, tree_size, own);
                assert_eq!(tiles.prove_consistency(old), expected, "{index} to {total}");
            }
        }
    }

    #[test]
    fn proofs_through_three_levels_of_tiles_hold() {
        let all = leaves(66_000);
        let (mut growth, mut kept) = (Growth::empty(), BTreeMap::new());
        for leaf in &all {
            let keep = |path, bytes: &[u8]| {
                kept.insert(path, bytes.to_vec());
                Ok::<_, Flaw>(())
            };
            growth.push(*leaf, keep).unwrap();
        }
        kept.extend(
            growth
                .partial_tiles()
                .map(|(path, bytes)| (path, bytes.to_vec())),
        );
        let (size, root) = (growth.size(), growth.root());
        let mut tiles = Tiles::new(size, |path| {
            kept.get(&path)
                .cloned()
                .ok_or_else(|| Flaw::new(FlawKind::Tile, path.to_string()))
        });
        for index in [0, 65_535, 65_536, 65_999, 40_000] {
            let proof = tiles.prove_inclusion(index).unwrap();
            let leaf = all[usize::try_from(index).unwrap()];
            assert_eq!(
                tree::verify_inclusion(leaf, index, (size, root), &proof),
                Ok(())
            );
            let before = &all[..usize::try_from(index).unwrap()];
            let old = (TreeSize::new(index).unwrap(), tree::root_of(before));
            let proof = tiles.prove_consistency(old.0).unwrap();
            assert_eq!(tree::verify_consistency(old, (size, root), &proof), Ok(()));
        }
    }

    #[test]
    fn a_wider_tile_serves_for_a_partial_one_and_a_narrower_does_not() {
        let all = leaves(600);
        let level_0 = tile_bytes(TilePath::new(0, 1, 256).unwrap(), from_leaves(&all)).unwrap();
        let level_1 = tile_bytes(TilePath::new(1, 0, 1).unwrap(), from_leaves(&all)).unwrap();
        // In a tree of 500 the second tile has 244 hashes.
        let fetch = |width: usize| {
            let tiles = [level_0[..width * HASH_BYTES].to_vec(), level_1.clone()];
            move |path: TilePath| Ok::<_, Flaw>(tiles[usize::from(path.level())].clone())
        };
        let tree_size = TreeSize::new(500).unwrap();
        let right = Tiles::new(tree_size, fetch(244)).prove_inclusion(499);
        assert_eq!(
            Tiles::new(tree_size, fetch(256)).prove_inclusion(499),
            right
        );
        let short = Tiles::new(tree_size, fetch(243)).prove_inclusion(499);
        assert_eq!(short.unwrap_err().kind(), FlawKind::Tile);
    }

    #[test]
    fn a_subtree_outside_the_tree_is_a_flaw() {
        let fetch = |_| -> Result<Vec<u8>, Flaw> { Ok(vec![0; TILE_BYTES]) };
        let mut tiles = Tiles::new(TreeSize::new(600).unwrap(), fetch);
        for (height, index) in [
            (0, 600),
            (9, 1),
            (10, 0),
            (63, 0),
            (64, 0),
            (255, 0),
            (0, u64::MAX),
        ] {
            let got = tiles.subtree(Subtree { height, index });
            assert_eq!(got.unwrap_err().kind(), FlawKind::Tile);
        }
        assert!(
            tiles
                .subtree(Subtree {
                    height: 9,
                    index: 0
                })
                .is_ok()
        );
    }

    #[test]
    fn the_first_difference_is_named() {
        let path = TilePath::new(1, 2, 3).unwrap();
        let good = [7; 96];
        let mut bad = good;
        bad[33] = 8;
        assert_eq!(compare_tile(path, &good, &good), Ok(()));
        let flaw = compare_tile(path, &good, &bad).unwrap_err();
        assert_eq!(
            flaw.to_string(),
            "trail.tile: tile/1/002.p/3 has another hash at index 513 of its level"
        );
        let flaw = compare_tile(path, &good, &good[..64]).unwrap_err();
        assert_eq!(flaw.sentence(), "tile/1/002.p/3 has 64 bytes instead of 96");
    }

    proptest! {
        #[test]
        fn a_path_read_is_the_path_printed(level in 0_u8..=63, number in 0..=NUMBER_MAX, width in 1_u16..=256) {
            let tile = TilePath::new(level, number, width).unwrap();
            prop_assert_eq!(TilePath::parse(&tile.to_string()), Ok(tile));
            let bundle = BundlePath::new(number, width).unwrap();
            prop_assert_eq!(BundlePath::parse(&bundle.to_string()), Ok(bundle));
        }

        #[test]
        fn junk_is_no_path_and_never_panics(path in "(tile/)?([0-9x/.p+-]|entries|\\PC){0,30}") {
            if let Ok(tile) = TilePath::parse(&path) {
                prop_assert_eq!(tile.to_string(), path.clone());
                prop_assert_eq!(tile.subtrees().count(), usize::from(tile.width()));
            }
            if let Ok(bundle) = BundlePath::parse(&path) {
                prop_assert_eq!(bundle.to_string(), path);
            }
        }
    }
}
