//! Every file of a trail against the signed root: bundles and tiles, required ones, those of earlier sizes, stray ones.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::ahead::{Ahead, Entries, Found, Hashed};
use super::lanes::Piece;
use super::past::{Bound, Past};
use super::redacted::Redacted;
use super::signers::Stated;
use super::{CHECKPOINT, Difference, Files, Place, root_differs};
use crate::book::redacted::RedactedPath;
use crate::trail::bundle::{self, BUNDLE_BYTES_MAX, BundlePath};
use crate::trail::growth::Growth;
use crate::trail::tile::{self, TILE_BYTES, TilePath, WIDTH_FULL};
use crate::trail::{Flaw, HASH_BYTES, Hash, TreeSize, tree};

/// The widths of the files that lie at one place: level (none for bundles) and number.
type Widths = BTreeMap<(Option<u8>, u64), Vec<u16>>;

pub(super) struct TreeCheck<'a, F> {
    pub(super) files: &'a mut F,
    past: Past<'a>,
    size: TreeSize,
    root: Hash,
    /// The bundle that is being checked.
    bundle: u64,
    differences: Vec<(u64, Difference)>,
    widths: Widths,
    pub(super) redacted: Redacted,
    growth: Growth,
}

/// What the files came to.
#[derive(Default)]
pub(super) struct Checked {
    /// How many entries were in bundles.
    pub(super) entries: u64,
    /// How many of these were there by their hash alone.
    pub(super) withheld: u64,
    /// Each with the bundle at which it showed.
    pub(super) differences: Vec<(u64, Difference)>,
    /// How many checkpoints that somebody had seen before there were, and how many the published history has.
    pub(super) seen: (u64, u64),
    /// How many of the history do not meet the policy's quorum.
    pub(super) unmet: u64,
    /// Whether the files make the signed root.
    pub(super) is_signed: bool,
    /// Checkpoints that no piece has taken along.
    pub(super) stated: Vec<Stated>,
}

impl<'a, F: Files> TreeCheck<'a, F> {
    pub(super) fn new(
        files: &'a mut F,
        (size, root): (TreeSize, Hash),
        mut past: Past<'a>,
    ) -> Result<Self, F::Fault> {
        let names = files.names()?;
        let (widths, redacted, strays) = sort_names(past.find(files, names)?);
        let mut check = Self {
            files,
            past,
            size,
            root,
            bundle: 0,
            differences: Vec::new(),
            widths,
            redacted,
            growth: Growth::empty(),
        };
        strays
            .into_iter()
            .for_each(|name| check.report(Difference::stray(name)));
        Ok(check)
    }

    /// Checks all files in the order of the entries and sends the entries on.
    pub(super) fn run(
        mut self,
        mut ahead: Ahead,
        send: &mut dyn FnMut(Piece),
    ) -> Result<Checked, F::Fault> {
        let (mut count, mut withheld) = (0, 0);
        let mut unread = bundle::bundles_of(self.size);
        self.look_ahead(0)?;
        self.past.pass(0, Hash::EMPTY);
        for path in bundle::bundles_of(self.size) {
            self.bundle = path.number();
            let hashed = self.read_ahead(&mut ahead, &mut unread)?;
            let entries = self.bundle(path, hashed);
            let first = path.first();
            let end = first.saturating_add(path.width().into());
            let bounds = self.look_ahead(end)?;
            let stated = self.past.take_stated(end);
            let Some(leaves) = self.leaves(path, entries.as_ref())? else {
                send(Piece {
                    first,
                    entries: Found::Single(vec![None]),
                    bounds,
                    stated,
                });
                self.give_up(path);
                return Ok(self.checked((count, withheld)));
            };
            self.compare_older_bundles(path, &leaves)?;
            for leaf in &leaves {
                self.push(*leaf)?;
            }
            let cut = self.redacted.stands_for(path);
            let seen = self.seen(path, &leaves)?;
            let entries = match entries {
                Some(entries) => {
                    self.compare_entries(path, &entries.hashes, &leaves);
                    count += u64::from(path.width());
                    Found::Bundle(entries, leaves)
                }
                None if cut => {
                    count += u64::from(path.width());
                    let kept = seen.iter().map(|entry| u64::from(entry.is_none()));
                    withheld += kept.sum::<u64>();
                    Found::Single(seen)
                }
                None => Found::Single(vec![None]),
            };
            send(Piece {
                first,
                entries,
                bounds,
                stated,
            });
            self.files.progress(count, self.size.get());
        }
        self.finish()?;
        Ok(self.checked((count, withheld)))
    }

    /// The next bundle, hashed; the ones behind it are read meanwhile.
    fn read_ahead(
        &mut self,
        ahead: &mut Ahead,
        unread: &mut impl Iterator<Item = BundlePath>,
    ) -> Result<Hashed, F::Fault> {
        while ahead.has_room() {
            let Some(path) = unread.next() else { break };
            let bytes = self.files.read(&path.to_string(), BUNDLE_BYTES_MAX)?;
            ahead.put(path, bytes);
        }
        Ok(ahead.take())
    }

    fn checked(mut self, (entries, withheld): (u64, u64)) -> Checked {
        Checked {
            entries,
            withheld,
            differences: self.differences,
            seen: (self.past.known_count, self.past.notes_count),
            unmet: self.past.unmet_count,
            is_signed: self.growth.size() == self.size && self.growth.root() == self.root,
            stated: self.past.take_stated(u64::MAX),
        }
    }

    /// Reads the history up to `end`, and what it says of the times until there.
    fn look_ahead(&mut self, end: u64) -> Result<Vec<Bound>, F::Fault> {
        self.past.read_until(self.files, end)?;
        for difference in self.past.take_differences() {
            self.report(difference);
        }
        Ok(self.past.bounds(end))
    }

    pub(super) fn report(&mut self, difference: Difference) {
        self.differences.push((self.bundle, difference));
    }

    /// The bundle that a log of this size must have.
    fn bundle(&mut self, path: BundlePath, hashed: Hashed) -> Option<Entries> {
        if hashed.is_none() && !self.redacted.stands_for(path) {
            self.report(Difference::missing(path.to_string()));
        }
        self.sound(path, hashed?)
    }

    /// A bundle that is one; what is none is told.
    fn sound(&mut self, path: BundlePath, read: Result<Entries, Flaw>) -> Option<Entries> {
        if let Err(flaw) = &read {
            let place = Place::File(path.to_string());
            self.report(Difference::of(place, "entries behind their lengths", flaw));
        }
        read.ok()
    }

    /// Whether a bundle lies there whole.
    pub(super) fn has_bundle(&self, path: BundlePath) -> bool {
        let widths = self.widths.get(&(None, path.number()));
        widths.is_some_and(|widths| widths.contains(&path.width()))
    }

    /// The leaf hashes under a bundle. Where entries and tile disagree, the signed tree says which of the two is
    /// damaged: what the tile above, or at the end the root, was made from.
    fn leaves(
        &mut self,
        path: BundlePath,
        entries: Option<&Entries>,
    ) -> Result<Option<Vec<Hash>>, F::Fault> {
        let by_entries = entries.map(|entries| entries.hashes.clone());
        let place = TilePath::new(0, path.number(), path.width());
        let by_tile = match place {
            Some(place) => self.tile_hashes(place)?,
            None => None,
        };
        match (by_entries, by_tile) {
            (Some(entries), Some(tile)) if entries != tile && self.is_signed(path, &tile)? => {
                Ok(Some(tile))
            }
            (Some(entries), _) => Ok(Some(entries)),
            (None, tile) => Ok(tile),
        }
    }

    /// The hashes of a tile file, if it is there and of the right length.
    fn tile_hashes(&mut self, path: TilePath) -> Result<Option<Vec<Hash>>, F::Fault> {
        let bytes = self.files.read(&path.to_string(), TILE_BYTES)?;
        let bytes = bytes.filter(|bytes| bytes.len() == path.byte_length());
        Ok(bytes.and_then(|bytes| tile::tile_hashes(&bytes).ok()))
    }

    fn is_signed(&mut self, path: BundlePath, leaves: &[Hash]) -> Result<bool, F::Fault> {
        if path.width() < WIDTH_FULL {
            // The last leaves: nothing but the root is above them.
            let mut growth = self.growth.clone();
            for leaf in leaves {
                let Ok(()) = growth.push(*leaf, |_, _| Ok::<_, Infallible>(()));
            }
            return Ok(growth.root() == self.root);
        }
        let full = u64::from(WIDTH_FULL);
        let (above, at) = (path.number() / full, path.number() % full);
        let hashes_above = (self.size.get() / full)
            .saturating_sub(above * full)
            .min(full);
        let place = u16::try_from(hashes_above)
            .ok()
            .and_then(|width| TilePath::new(1, above, width));
        let Some(place) = place else { return Ok(false) };
        let hashes = self.tile_hashes(place)?.unwrap_or_default();
        let signed = usize::try_from(at)
            .ok()
            .and_then(|at| hashes.get(at).copied());
        Ok(signed == Some(tree::root_of(leaves)))
    }

    /// Compares the bundles of earlier sizes that lie at a place.
    fn compare_older_bundles(&mut self, path: BundlePath, leaves: &[Hash]) -> Result<(), F::Fault> {
        let mut widths = self.take_widths(None, path.number(), path.width());
        widths.retain(|width| *width < path.width());
        for older in widths {
            let Some(path) = BundlePath::new(path.number(), older) else {
                continue;
            };
            let bytes = self.files.read(&path.to_string(), BUNDLE_BYTES_MAX)?;
            let read = bytes.map(|bytes| Entries::read(path, bytes));
            if let Some(entries) = read.and_then(|read| self.sound(path, read)) {
                self.compare_entries(path, &entries.hashes, leaves);
            }
        }
        Ok(())
    }

    fn compare_entries(&mut self, path: BundlePath, hashes: &[Hash], leaves: &[Hash]) {
        let numbered = (path.first()..).zip(hashes.iter().zip(leaves));
        for (seq, (found, leaf)) in numbered.filter(|(_, (found, leaf))| found != leaf) {
            self.report(other_entry(path.to_string(), seq, *leaf, *found));
        }
    }

    /// Takes a leaf, and compares each tile that it fills.
    fn push(&mut self, leaf: Hash) -> Result<(), F::Fault> {
        let mut full = Vec::new();
        let Ok(()) = self.growth.push(leaf, |path, bytes| {
            full.push((path, bytes.to_vec()));
            Ok::<_, Infallible>(())
        });
        for (path, demanded) in full {
            self.compare_tiles(path, &demanded)?;
        }
        let size = self.growth.size().get();
        if self.past.is_seen(size) {
            self.past.pass(size, self.growth.root());
        }
        Ok(())
    }

    /// Compares every tile that lies at a place, that of this size and those of earlier ones.
    fn compare_tiles(&mut self, path: TilePath, demanded: &[u8]) -> Result<(), F::Fault> {
        let widths = self.take_widths(Some(path.level()), path.number(), path.width());
        if !widths.contains(&path.width()) {
            self.report(Difference::missing(path.to_string()));
        }
        for width in widths {
            let Some(path) = TilePath::new(path.level(), path.number(), width) else {
                continue;
            };
            let demanded = demanded
                .get(..usize::from(width) * HASH_BYTES)
                .unwrap_or(demanded);
            let found = self
                .files
                .read(&path.to_string(), TILE_BYTES)?
                .unwrap_or_default();
            if let Err(flaw) = tile::compare_tile(path, demanded, &found) {
                let place = Place::File(path.to_string());
                self.report(Difference::of(place, "the hashes of the tree", &flaw));
            }
        }
        Ok(())
    }

    /// The widths of the files at a place, at most `width`: a wider one does not belong to a log of this size.
    fn take_widths(&mut self, level: Option<u8>, number: u64, width: u16) -> Vec<u16> {
        let Some(widths) = self.widths.get_mut(&(level, number)) else {
            return Vec::new();
        };
        let (known, wider) = widths.iter().partition(|found| **found <= width);
        *widths = wider;
        known
    }

    fn finish(&mut self) -> Result<(), F::Fault> {
        // Behind all entries.
        self.bundle = u64::MAX;
        let partial: Vec<_> = self
            .growth
            .partial_tiles()
            .map(|(path, bytes)| (path, bytes.to_vec()))
            .collect();
        for (path, demanded) in partial {
            self.compare_tiles(path, &demanded)?;
        }
        let root = self.growth.root();
        if root != self.root {
            self.report(root_differs(self.root, root));
        }
        for difference in self.past.finish(self.files, root)? {
            self.report(difference);
        }
        let left: Vec<String> = std::mem::take(&mut self.widths)
            .into_iter()
            .flat_map(|((level, number), widths)| {
                let name = move |width| name_of(level, number, width);
                widths.into_iter().filter_map(name)
            })
            .collect();
        let redacted = std::mem::take(&mut self.redacted);
        let left = left
            .into_iter()
            .chain(redacted.left().map(|path| path.to_string()));
        for name in left {
            self.report(Difference::stray(name));
        }
        Ok(())
    }

    /// Neither bundle nor tile says what the leaves are: no hash after this place can be checked.
    fn give_up(&mut self, path: BundlePath) {
        if let Some(tile) = TilePath::new(0, path.number(), path.width()) {
            let lies_there = self
                .widths
                .get(&(Some(0), path.number()))
                .is_some_and(|widths| widths.contains(&path.width()));
            self.report(if lies_there {
                let flaw = Flaw::new(crate::trail::FlawKind::Tile, "another length");
                Difference::of(
                    Place::File(tile.to_string()),
                    "the hashes of the tree",
                    &flaw,
                )
            } else {
                Difference::missing(tile.to_string())
            });
        }
        self.report(Difference {
            at: Place::Entry(path.first()),
            code: "trail.unreadable",
            expected: "a bundle, or at least its tile, that can be read".to_owned(),
            found: "neither: nothing from here on was checked".to_owned(),
        });
    }
}

/// An entry that is not the one in the tree.
pub(super) fn other_entry(name: String, seq: u64, leaf: Hash, found: Hash) -> Difference {
    Difference {
        at: Place::File(name),
        code: "trail.bundle",
        expected: format!("entry {seq} with the leaf hash {leaf}, which is in the tree"),
        found: format!("an entry with the hash {found}"),
    }
}

fn name_of(level: Option<u8>, number: u64, width: u16) -> Option<String> {
    match level {
        Some(level) => TilePath::new(level, number, width).map(|path| path.to_string()),
        None => BundlePath::new(number, width).map(|path| path.to_string()),
    }
}

/// Sorts the names by place; what is no path of a trail is stray.
fn sort_names(names: Vec<String>) -> (Widths, Redacted, Vec<String>) {
    let (mut widths, mut redacted, mut strays) = (Widths::new(), Redacted::default(), Vec::new());
    for name in names {
        let place = match (TilePath::parse(&name), BundlePath::parse(&name)) {
            (Ok(path), _) => Some(((Some(path.level()), path.number()), path.width())),
            (_, Ok(path)) => Some(((None, path.number()), path.width())),
            (Err(_), Err(_)) => None,
        };
        match place {
            Some((place, width)) => widths.entry(place).or_default().push(width),
            None if name == CHECKPOINT => {}
            None => match RedactedPath::parse(&name) {
                Ok(path) => redacted.add(path),
                Err(_) => strays.push(name),
            },
        }
    }
    (widths, redacted, strays)
}
