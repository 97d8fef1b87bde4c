//! The own store checked as an auditor would, and compared with the bucket (TRAIL E13, B4 #1, #2). Only `quan doctor` calls it.
//!
//! Everything is made again from the committed entries, as a republish would make it, and nothing is written: heads, tiles, bundles.
//! Every object of the bucket must be what they give, and what the published checkpoint needs must be there.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use verifier::trail::bundle;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::growth::Growth;
use verifier::trail::history;
use verifier::trail::key::VerifierKey;
use verifier::trail::note::Note;
use verifier::trail::tile::{TilePath, WIDTH_FULL};
use verifier::trail::{HASH_BYTES, Hash, TreeSize, tree};

use super::clean::Part;
use super::{CHECKPOINT, Fault, start};
use crate::objects::{Objects, wait};
use crate::store::{Db, heads, log};

/// Something that is not as the committed entries say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// An object's name, or a place of the database.
    pub at: String,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// What was compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// The entries that were hashed.
    pub entries: u64,
    /// The signed heads whose root was made again.
    pub heads: u64,
    /// The objects that were compared.
    pub objects: u64,
    /// Everything that is wrong, in the order in which it was found.
    pub findings: Vec<Finding>,
}

/// Makes everything again and compares. It reads the whole log and the whole bucket.
/// # Errors
/// [`Fault`] where something cannot be read; what differs is a [`Finding`].
pub fn check(db: &mut Db, objects: &Objects, keys: &[VerifierKey]) -> Result<Checked, Fault> {
    let mut check = Check::new(db, objects)?;
    match start::compare(db, objects, keys) {
        Ok(()) => {}
        Err(fault @ (Fault::Ahead { .. } | Fault::Fork { .. } | Fault::Foreign(_))) => {
            check.found(CHECKPOINT, fault.to_string());
        }
        Err(fault) => return Err(fault),
    }
    check.log(db)?;
    check.rest();
    Ok(check.checked)
}

/// What is left to compare of one place: the widths that the bucket has.
type Places = BTreeMap<String, (Part, Vec<u16>)>;

struct Check<'a> {
    objects: &'a Objects,
    /// By the name of the full one.
    places: Places,
    strays: Vec<String>,
    /// The size and root that are published.
    published: (u64, Option<Hash>),
    checked: Checked,
}

impl<'a> Check<'a> {
    fn new(db: &mut Db, objects: &'a Objects) -> Result<Self, Fault> {
        let published = match heads::published(db)? {
            Some(row) => {
                let checkpoint = Checkpoint::parse(Note::parse(row.note.as_bytes())?.text())?;
                (row.size, Some(checkpoint.root()))
            }
            None => (0, None),
        };
        let mut check = Self {
            objects,
            places: Places::new(),
            strays: Vec::new(),
            published,
            checked: Checked::default(),
        };
        for name in wait(objects.list())? {
            match Part::parse(&name) {
                Some(Part::History(_)) => {}
                Some(part) => check.place(part),
                None if is_other(&name) => {}
                None => check.strays.push(name),
            }
        }
        Ok(check)
    }

    fn place(&mut self, part: Part) {
        let Some(whole) = part.with_width(WIDTH_FULL) else {
            return;
        };
        let place = self.places.entry(whole.to_string());
        let (_, widths) = place.or_insert((whole, Vec::new()));
        widths.push(part.width());
    }

    fn found(&mut self, at: impl fmt::Display, what: impl Into<String>) {
        self.checked.findings.push(Finding {
            at: at.to_string(),
            what: what.into(),
        });
    }

    /// Reads every entry once, in bundles.
    fn log(&mut self, db: &mut Db) -> Result<(), Fault> {
        let head = log::head(db)?;
        let size = TreeSize::new(head.size).unwrap_or(TreeSize::ZERO);
        let mut growth = Growth::empty();
        self.heads(db, &growth, 0)?;
        for path in bundle::bundles_of(size) {
            // From the database itself: it is what is checked.
            let rows = log::entries(db, super::numbers(path))?;
            let entries = super::whole_bundle(path, rows)?;
            let signed = signed(db, path.first(), u64::from(path.width()))?;
            for entry in &entries {
                self.entry(&mut growth, entry)?;
                self.signed(&growth, &signed);
            }
            self.bundle(path, &entries)?;
        }
        for (path, bytes) in growth.partial_tiles() {
            self.tile(path, bytes)?;
        }
        if *growth.root().as_bytes() != head.root {
            self.found("head", "the entries give another root");
        }
        Ok(())
    }

    /// Takes an entry into the tree and compares the tiles that it fills.
    fn entry(&mut self, growth: &mut Growth, entry: &[u8]) -> Result<(), Fault> {
        self.checked.entries += 1;
        growth.push(tree::leaf_hash(entry), |path, bytes| self.tile(path, bytes))
    }

    /// The empty tree's head, which no entry leads to.
    fn heads(&mut self, db: &mut Db, growth: &Growth, size: u64) -> Result<(), Fault> {
        let signed = heads::signed_at(db, size)?;
        let signed = signed.map(|head| (size, Hash::new(head.root)));
        self.signed(growth, &signed.into_iter().collect());
        Ok(())
    }

    fn signed(&mut self, growth: &Growth, signed: &BTreeMap<u64, Hash>) {
        let size = growth.size().get();
        let expected = signed.get(&size).copied();
        let published = self.published.1.filter(|_| self.published.0 == size);
        if expected.is_none() && published.is_none() {
            return;
        }
        let root = growth.root();
        self.checked.heads += u64::from(expected.is_some());
        if expected.is_some_and(|signed| signed != root) {
            self.found(
                format!("signed head {size}"),
                "the entries give another root",
            );
        }
        if published.is_some_and(|published| published != root) {
            let what = "the entries give another root than the published checkpoint";
            self.found(CHECKPOINT, what);
        }
    }

    fn tile(&mut self, path: TilePath, bytes: &[u8]) -> Result<(), Fault> {
        let hashes = self.published.0.checked_shr(u32::from(path.level()) * 8);
        let needed = hashes.unwrap_or(0).saturating_sub(path.number() * 256);
        let expected = |width: u16| {
            let bytes = bytes.get(..usize::from(width) * HASH_BYTES);
            bytes.map(<[u8]>::to_vec)
        };
        self.compare(Part::Tile(path), needed, expected)
    }

    fn bundle(&mut self, path: bundle::BundlePath, entries: &[Bytes]) -> Result<(), Fault> {
        let needed = self.published.0.saturating_sub(path.first());
        let expected = |width: u16| {
            let entries = entries.get(..usize::from(width))?;
            bundle::encode(entries.iter().map(Bytes::as_ref)).ok()
        };
        self.compare(Part::Bundle(path), needed, expected)
    }

    /// Compares every width that the bucket has of a place with the beginning of what it must hold, and says what is missing of
    /// what the published checkpoint needs: `needed` hashes or entries of it, in one of that width or the full one.
    fn compare(
        &mut self,
        part: Part,
        needed: u64,
        expected: impl Fn(u16) -> Option<Vec<u8>>,
    ) -> Result<(), Fault> {
        let needed = u16::try_from(needed).map_or(WIDTH_FULL, |width| width.min(WIDTH_FULL));
        let name = |width| {
            part.with_width(width)
                .map_or(String::new(), |part| part.to_string())
        };
        let place = self.places.remove(&name(WIDTH_FULL));
        let widths = place.map(|(_, widths)| widths).unwrap_or_default();
        if needed > 0 && !widths.contains(&needed) && !widths.contains(&WIDTH_FULL) {
            self.found(
                name(needed),
                "missing, and the published checkpoint needs it",
            );
        }
        for width in widths {
            self.checked.objects += 1;
            let there = wait(self.objects.get(&name(width)))?;
            match expected(width) {
                None => self.found(name(width), "holds more than is committed"),
                Some(bytes) if there.as_deref() == Some(&bytes) => {}
                Some(_) => self.found(
                    name(width),
                    "has other bytes than the committed entries give",
                ),
            }
        }
        Ok(())
    }

    /// What no committed entry leads to.
    fn rest(&mut self) {
        let places = std::mem::take(&mut self.places);
        for (whole, widths) in places.into_values() {
            for part in widths
                .into_iter()
                .filter_map(|width| whole.with_width(width))
            {
                self.found(part, "holds more than is committed");
            }
        }
        for name in std::mem::take(&mut self.strays) {
            self.found(name, "is no object of a trail");
        }
    }
}

fn is_other(name: &str) -> bool {
    name == CHECKPOINT || name == history::COUNT
}

/// The roots that were signed for the sizes after `first`, up to `width` more.
fn signed(db: &mut Db, first: u64, width: u64) -> Result<BTreeMap<u64, Hash>, Fault> {
    let sizes = first + 1..first.saturating_add(width).saturating_add(1);
    let signed = heads::signed_in(db, sizes)?;
    let roots = signed
        .into_iter()
        .map(|head| (head.size, Hash::new(head.root)));
    Ok(roots.collect())
}
