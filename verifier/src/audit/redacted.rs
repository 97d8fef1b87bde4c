//! Bundles that withhold entries: what they hold is in the tree, what they lack is there by its hash alone (TRAIL E1).

use std::collections::BTreeMap;

use super::tree::TreeCheck;
use super::{Difference, Files, Place};
use crate::book::redacted::RedactedPath;
use crate::book::scope::Scope;
use crate::trail::bundle::{self, BUNDLE_BYTES_MAX, BundlePath};
use crate::trail::{Hash, TreeSize, tree};

/// The redacted bundles in a folder, by number.
#[derive(Default)]
pub(super) struct Redacted(BTreeMap<u64, Vec<RedactedPath>>);

impl Redacted {
    pub(super) fn add(&mut self, path: RedactedPath) {
        self.0.entry(path.bundle.number()).or_default().push(path);
    }

    /// Whether there is one in a bundle's stead.
    pub(super) fn stands_for(&self, path: BundlePath) -> bool {
        let paths = self.0.get(&path.number()).into_iter().flatten();
        paths.into_iter().any(|redacted| redacted.bundle == path)
    }

    /// The scopes that they were made for.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        let mut scopes: Vec<Scope> = self
            .0
            .values()
            .flatten()
            .map(|path| path.scope.clone())
            .collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// Those at a bundle's place, also of earlier sizes; wider ones do not belong to a log of this size.
    fn take(&mut self, path: BundlePath) -> Vec<RedactedPath> {
        let paths = self.0.remove(&path.number()).unwrap_or_default();
        let (taken, wider) = paths
            .into_iter()
            .partition(|found| found.bundle.width() <= path.width());
        if !Vec::is_empty(&wider) {
            self.0.insert(path.number(), wider);
        }
        taken
    }

    /// Those that nothing of the log stands behind.
    pub(super) fn left(self) -> impl Iterator<Item = RedactedPath> {
        self.0.into_values().flatten()
    }
}

impl<F: Files> TreeCheck<'_, F> {
    /// Whether some bundle of the log is here in its redacted form only.
    pub(super) fn is_redacted(&self, size: TreeSize) -> bool {
        bundle::bundles_of(size)
            .any(|path| !self.has_bundle(path) && self.redacted.stands_for(path))
    }

    /// The entries at a bundle's place that its redacted forms hold; each is compared with the tree.
    pub(super) fn seen(
        &mut self,
        path: BundlePath,
        leaves: &[Hash],
    ) -> Result<Vec<Option<Vec<u8>>>, F::Fault> {
        let mut seen: Vec<Option<Vec<u8>>> = vec![None; leaves.len()];
        for path in self.redacted.take(path) {
            let name = path.to_string();
            let Some(bytes) = self.files.read(&name, BUNDLE_BYTES_MAX)? else {
                continue;
            };
            match bundle::decode(&bytes, path.bundle.width()) {
                Ok(entries) => self.compare_seen(&path, &entries, (leaves, &mut seen)),
                Err(flaw) => {
                    let place = Place::File(name);
                    self.report(Difference::of(place, "entries behind their lengths", &flaw));
                }
            }
        }
        Ok(seen)
    }

    /// Takes the entries that are in the tree, and reports each that is not; length 0 is withheld.
    fn compare_seen(
        &mut self,
        path: &RedactedPath,
        entries: &[&[u8]],
        (leaves, seen): (&[Hash], &mut [Option<Vec<u8>>]),
    ) {
        let places = leaves.iter().zip(seen);
        let numbered = (path.bundle.first()..).zip(entries.iter().zip(places));
        for (seq, (entry, (leaf, seen))) in numbered.filter(|(_, (entry, _))| !entry.is_empty()) {
            let hash = tree::leaf_hash(entry);
            if hash == *leaf {
                *seen = Some(entry.to_vec());
            } else {
                self.report(super::tree::other_entry(path.to_string(), seq, *leaf, hash));
            }
        }
    }
}
