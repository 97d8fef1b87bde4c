//! Down from the signed root: the tiles of one tree, each held against the hash above it, before anything is written.

use std::collections::BTreeMap;

use super::{FULL, Stop, gone};
use crate::copy::Copy;
use crate::remote::Remote;
use verifier::audit::CHECKPOINT;
use verifier::trail::bundle::{self, BundlePath};
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::growth::Growth;
use verifier::trail::tile::{self, TILE_BYTES, TilePath, Tiles, WIDTH_FULL, tiles_of};
use verifier::trail::tree::verify_consistency;
use verifier::trail::{Flaw, FlawKind, Hash, TreeSize};

/// The tiles of one signed tree, each believed only under the hash above it.
pub(super) struct Tree<'a> {
    remote: &'a Remote,
    pub(super) copy: &'a Copy,
    pub(super) size: TreeSize,
    root: Hash,
    /// The partial tiles: together they make the root.
    edge: BTreeMap<(u8, u64), (TilePath, Vec<u8>)>,
    /// Full tiles from level 1 on.
    upper: BTreeMap<(u8, u64), Vec<u8>>,
}

impl<'a> Tree<'a> {
    /// Reads the right edge and holds it against the signed root.
    pub(super) fn new(remote: &'a Remote, copy: &'a Copy, head: &Checkpoint) -> Result<Self, Stop> {
        let mut edge = BTreeMap::new();
        let growth = Growth::resume(head.size(), |path| {
            let bytes = remote_tile(remote, path).map_err(Edge::Stop)?;
            edge.insert((path.level(), path.number()), (path, bytes.clone()));
            Ok::<_, Edge>(bytes)
        });
        let root = match growth {
            Ok(growth) => growth.root(),
            Err(Edge::Stop(stop)) => return Err(stop),
            Err(Edge::Flaw(flaw)) => return Err(Stop::Differs("tile".to_owned(), flaw)),
        };
        if root != head.root() {
            let names: Vec<_> = edge.values().map(|(path, _)| path.to_string()).collect();
            let sentence = format!(
                "they do not make the root that is signed for size {}",
                head.size()
            );
            return Err(Stop::Differs(
                names.join(", "),
                Flaw::new(FlawKind::Root, sentence),
            ));
        }
        Ok(Self {
            remote,
            copy,
            size: head.size(),
            root,
            edge,
            upper: BTreeMap::new(),
        })
    }

    /// Holds the tree against a head seen before.
    pub(super) fn continues(&mut self, old: &Checkpoint, name: &str) -> Result<(), Stop> {
        let (was, is) = ((old.size(), old.root()), (self.size, self.root));
        let differs = |kind, sentence| {
            Err(Stop::Differs(
                CHECKPOINT.to_owned(),
                Flaw::new(kind, sentence),
            ))
        };
        if was.0 > is.0 {
            let sentence = format!("{} entries, and {name} has seen {}", is.0, was.0);
            return differs(FlawKind::Rollback, sentence);
        }
        let size = self.size;
        let proof = Tiles::new(size, |path| self.any(path)).prove_consistency(old.size());
        let proof = match proof {
            Ok(proof) => proof,
            Err(Edge::Stop(stop)) => return Err(stop),
            Err(Edge::Flaw(flaw)) => return Err(Stop::Differs(CHECKPOINT.to_owned(), flaw)),
        };
        match verify_consistency(was, is, &proof) {
            Ok(()) => Ok(()),
            Err(_) => {
                let sentence = format!(
                    "the log of {} entries does not continue that of {}, which {name} has seen: two histories, both signed",
                    is.0, was.0
                );
                differs(FlawKind::Fork, sentence)
            }
        }
    }

    fn any(&mut self, path: TilePath) -> Result<Vec<u8>, Edge> {
        if let Some((_, bytes)) = self.edge.get(&(path.level(), path.number())) {
            return Ok(bytes.clone());
        }
        self.climb(path.level(), path.number()).map_err(Edge::Stop)
    }

    /// A full tile, after those above it. Nothing is written.
    fn climb(&mut self, level: u8, number: u64) -> Result<Vec<u8>, Stop> {
        let above = (level.saturating_add(1), number / FULL);
        if !self.edge.contains_key(&above) && !self.upper.contains_key(&above) {
            self.climb(above.0, above.1)?;
        }
        if let Some(bytes) = self.upper.get(&(level, number)) {
            return Ok(bytes.clone());
        }
        let (bytes, _) = self.full(level, number)?;
        if level > 0 {
            self.upper.insert((level, number), bytes.clone());
        }
        Ok(bytes)
    }

    /// A full tile under the hash above it, from the folder or the server; whether it has to be written.
    fn full(&self, level: u8, number: u64) -> Result<(Vec<u8>, bool), Stop> {
        let path = TilePath::new(level, number, WIDTH_FULL).ok_or_else(|| gone("tile"))?;
        let above = (level.saturating_add(1), number / FULL);
        let above = self
            .edge
            .get(&above)
            .map(|(_, bytes)| bytes)
            .or(self.upper.get(&above));
        let hashes = above
            .and_then(|bytes| tile::tile_hashes(bytes).ok())
            .unwrap_or_default();
        let at = usize::try_from(number % FULL).unwrap_or(usize::MAX);
        let signed = hashes.get(at).copied();
        let fits = |bytes: &[u8]| {
            bytes.len() == TILE_BYTES && signed.is_some() && tile::tile_root(bytes).ok() == signed
        };
        let name = path.to_string();
        if let Some(bytes) = self
            .copy
            .read(&name, TILE_BYTES)?
            .filter(|bytes| fits(bytes))
        {
            return Ok((bytes, false));
        }
        let bytes = remote_tile(self.remote, path)?;
        if fits(&bytes) {
            return Ok((bytes, true));
        }
        let sentence = "its hashes are not those of the signed tree";
        Err(Stop::Differs(name, Flaw::new(FlawKind::Tile, sentence)))
    }

    /// Copies the full tiles from level 1 on, the highest first.
    pub(super) fn upper(&mut self) -> Result<(), Stop> {
        let mut paths: Vec<_> = tiles_of(self.size)
            .filter(|path| path.level() > 0 && path.width() == WIDTH_FULL)
            .collect();
        paths.reverse();
        for path in paths {
            let bytes = self.climb(path.level(), path.number())?;
            let name = path.to_string();
            let on_disk = self.copy.read(&name, TILE_BYTES)?;
            if on_disk.as_ref() != Some(&bytes) {
                self.copy.write(&name, &bytes)?;
            }
        }
        Ok(())
    }

    /// The leaf hashes of a bundle; the tile is copied.
    pub(super) fn leaves(&self, path: BundlePath) -> Result<Vec<Hash>, Stop> {
        let bytes = match self.edge.get(&(0, path.number())) {
            Some((_, bytes)) => bytes.clone(),
            None => {
                let (bytes, is_new) = self.full(0, path.number())?;
                if is_new {
                    let tile = TilePath::new(0, path.number(), WIDTH_FULL);
                    let name = tile.map(|tile| tile.to_string()).unwrap_or_default();
                    self.copy.write(&name, &bytes)?;
                }
                bytes
            }
        };
        tile::tile_hashes(&bytes).map_err(|flaw| Stop::Differs("tile".to_owned(), flaw))
    }

    /// Writes the right edge and, last of all, the checkpoint; then the partial files of the head before may go.
    pub(super) fn finish(&self, checkpoint: &[u8]) -> Result<(), Stop> {
        for (path, bytes) in self.edge.values() {
            self.copy.write(&path.to_string(), bytes)?;
        }
        self.copy.write(CHECKPOINT, checkpoint)?;
        let current = |name: &str| {
            self.edge.values().any(|(path, _)| path.to_string() == name)
                || bundle::bundles_between(
                    TreeSize::new(self.size.get().saturating_sub(1)).unwrap_or(TreeSize::ZERO),
                    self.size,
                )
                .any(|path| path.to_string() == name)
        };
        let is_partial = |name: &str| {
            TilePath::parse(name).is_ok_and(|path| path.width() < WIDTH_FULL)
                || BundlePath::parse(name).is_ok_and(|path| path.width() < WIDTH_FULL)
        };
        let names = self.copy.names().iter();
        for name in names.filter(|name| is_partial(name) && !current(name)) {
            self.copy.remove(name)?;
        }
        Ok(())
    }
}

/// What stops a walk over tiles.
enum Edge {
    Stop(Stop),
    Flaw(Flaw),
}

impl From<Flaw> for Edge {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

/// A tile, or the beginning of the full one of its place: partial ones may be collected once that is there.
fn remote_tile(remote: &Remote, path: TilePath) -> Result<Vec<u8>, Stop> {
    let name = path.to_string();
    if let Some(bytes) = remote.get(&name, TILE_BYTES)? {
        return Ok(bytes);
    }
    let full = TilePath::new(path.level(), path.number(), WIDTH_FULL).filter(|full| *full != path);
    let bytes = match full {
        Some(full) => remote.get(&full.to_string(), TILE_BYTES)?,
        None => None,
    };
    let mut bytes = bytes.ok_or_else(|| gone(&name))?;
    bytes.truncate(path.byte_length());
    Ok(bytes)
}
