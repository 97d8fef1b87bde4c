//! Bundles on their way from the files to the tree: read in their order on one thread, taken apart and hashed on others.
//!
//! What comes out is a function of the bytes alone, and comes in the order in which it was read. A few bundles a lane are under
//! way, however long the trail.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, available_parallelism, scope};

use crate::trail::bundle::{self, BundlePath};
use crate::trail::{Flaw, Hash, tree};

/// Bundles that wait before and behind each lane.
const WAITING: usize = 2;

/// The entries of one bundle and their leaf hashes.
pub(super) struct Entries {
    bytes: Vec<u8>,
    path: BundlePath,
    pub(super) hashes: Vec<Hash>,
}

impl Entries {
    /// Takes a bundle apart and hashes its entries.
    pub(super) fn read(path: BundlePath, bytes: Vec<u8>) -> Result<Self, Flaw> {
        let entries = bundle::decode(&bytes, path.width())?;
        let hashes = entries.into_iter().map(tree::leaf_hash).collect();
        Ok(Self {
            bytes,
            path,
            hashes,
        })
    }
}

/// What lies at the places of a bundle.
pub(super) enum Found {
    /// The bundle, and the leaf hashes in the tree.
    Bundle(Entries, Vec<Hash>),
    /// Single entries; none where it is not known or withheld.
    Single(Vec<Option<Vec<u8>>>),
}

impl Found {
    /// The entries that are in the tree. Any other says nothing; it is reported already.
    pub(super) fn in_tree(&self) -> Vec<Option<&[u8]>> {
        match self {
            Self::Bundle(bundle, leaves) => {
                let entries = bundle::decode(&bundle.bytes, bundle.path.width());
                let hashes = bundle.hashes.iter().zip(leaves);
                entries
                    .unwrap_or_default()
                    .into_iter()
                    .zip(hashes)
                    .map(|(entry, (hash, leaf))| (hash == leaf).then_some(entry))
                    .collect()
            }
            Self::Single(entries) => entries.iter().map(Option::as_deref).collect(),
        }
    }
}

/// What was read of a bundle: nothing where there is no such file, a flaw where it is no bundle.
pub(super) type Hashed = Option<Result<Entries, Flaw>>;

struct Lane {
    way_in: SyncSender<(BundlePath, Option<Vec<u8>>)>,
    way_out: Receiver<Hashed>,
}

/// Bundles that are being hashed.
pub(super) struct Ahead {
    lanes: Vec<Lane>,
    /// How many were put in, and taken out.
    put: usize,
    taken: usize,
}

impl Ahead {
    /// Whether another may be put in: whoever takes is then never waited for by a lane.
    pub(super) fn has_room(&self) -> bool {
        self.put - self.taken < self.lanes.len() * WAITING
    }

    /// Takes in what was read of the next bundle.
    pub(super) fn put(&mut self, path: BundlePath, bytes: Option<Vec<u8>>) {
        if let Some(lane) = self.lanes.get(self.put % self.lanes.len()) {
            // A lane that is gone has panicked, and so will the end of the scope.
            let _gone = lane.way_in.send((path, bytes));
        }
        self.put += 1;
    }

    /// The next one, hashed.
    pub(super) fn take(&mut self) -> Hashed {
        let lane = self.lanes.get(self.taken % self.lanes.len());
        self.taken += 1;
        lane.and_then(|lane| lane.way_out.recv().ok().flatten())
    }
}

/// Lets `check` have bundles hashed, on as many threads as there are cores.
pub(super) fn run<T>(check: impl FnOnce(Ahead) -> T) -> T {
    scope(|scope| {
        let count = available_parallelism().map_or(1, usize::from);
        check(Ahead {
            lanes: (0..count).map(|_| lane(scope)).collect(),
            put: 0,
            taken: 0,
        })
    })
}

fn lane<'scope>(scope: &'scope Scope<'scope, '_>) -> Lane {
    let (way_in, bundles) = sync_channel::<(BundlePath, Option<Vec<u8>>)>(WAITING);
    let (hashed, way_out) = sync_channel(WAITING);
    scope.spawn(move || {
        for (path, bytes) in bundles {
            let entries = bytes.map(|bytes| Entries::read(path, bytes));
            if hashed.send(entries).is_err() {
                return;
            }
        }
    });
    Lane { way_in, way_out }
}
