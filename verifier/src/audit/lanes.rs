//! Bundles on their way from the files to the book: parsed and their signatures checked on several threads, decided on one.
//!
//! What comes out is a function of the entries alone: pieces are decided in their order, and a signature has one verdict,
//! whoever checks it. At most a few pieces are under way, however long the trail.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{PoisonError, RwLock};
use std::thread::{Scope, available_parallelism, scope};

use super::ahead::Found;
use super::past::Bound;
use super::replay::Replay;
use super::signers::Stated;
use crate::book::entry::Entry;
use crate::receipt;
use crate::refusal::Refusal;
use crate::signature::{Kid, PublicKey};

/// Pieces that wait before and behind each lane.
const WAITING: usize = 2;

/// The entries of one bundle from a place on.
pub(super) struct Piece {
    pub(super) first: u64,
    pub(super) entries: Found,
    /// When they were written, by those who saw the log grow; ascending.
    pub(super) bounds: Vec<Bound>,
    /// Checkpoints of the log up to the last entry.
    pub(super) stated: Vec<Stated>,
}

/// A piece, read.
pub(super) struct Parsed {
    pub(super) first: u64,
    pub(super) entries: Vec<Option<Result<Box<Entry>, Refusal>>>,
    pub(super) bounds: Vec<Bound>,
    pub(super) stated: Vec<Stated>,
}

/// The keys that the book has registered so far. A lane that does not know one yet leaves its signatures to the book.
#[derive(Default)]
struct Keys(RwLock<BTreeMap<Kid, PublicKey>>);

impl Keys {
    fn get(&self, kid: Kid) -> Option<PublicKey> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&kid).cloned()
    }

    /// Takes in what a book has registered since.
    fn follow(&self, replay: &Replay) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).len();
        let registered = replay.keys();
        if registered.len() > known {
            let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
            keys.extend(registered.map(|(kid, key)| (*kid, key.public.clone())));
        }
    }
}

/// Lets `produce` send pieces, which `replay` decides meanwhile; returns when all are decided.
pub(super) fn run<T>(
    mut replay: Replay,
    produce: impl FnOnce(&mut dyn FnMut(Piece)) -> T,
) -> (T, Replay) {
    let keys = Keys::default();
    scope(|scope| {
        let count = available_parallelism().map_or(1, usize::from);
        let lanes = (0..count).map(|_| lane(scope, &keys));
        let (ways_in, ways_out): (Vec<_>, Vec<_>) = lanes.unzip();
        let keys = &keys;
        let book = scope.spawn(move || {
            // A lane that is closed at its turn has no piece: neither has the one after it.
            for piece in ways_out.iter().cycle().map_while(|way| way.recv().ok()) {
                replay.piece(piece);
                keys.follow(&replay);
            }
            replay
        });
        let mut turn = ways_in.iter().cycle();
        let produced = produce(&mut |piece| {
            // A lane that is gone has panicked, and so will the end of this function.
            let _gone = turn.next().map(|way| way.send(piece).is_err());
        });
        drop(ways_in);
        match book.join() {
            Ok(replay) => (produced, replay),
            Err(panic) => resume_unwind(panic),
        }
    })
}

fn lane<'scope>(
    scope: &'scope Scope<'scope, '_>,
    keys: &'scope Keys,
) -> (SyncSender<Piece>, Receiver<Parsed>) {
    let (way_in, pieces) = sync_channel::<Piece>(WAITING);
    let (parsed, way_out) = sync_channel(WAITING);
    scope.spawn(move || {
        for piece in pieces {
            if parsed.send(parse(piece, keys)).is_err() {
                return;
            }
        }
    });
    (way_in, way_out)
}

fn parse(piece: Piece, keys: &Keys) -> Parsed {
    let in_tree = piece.entries.in_tree();
    let parse = |entry: Option<&[u8]>| entry.map(|bytes| Entry::parse(bytes).map(Box::new));
    let mut entries: Vec<_> = in_tree.into_iter().map(parse).collect();
    let read = entries.iter_mut().flatten().flatten();
    let statements = read.filter_map(|entry| entry.asked.statement_mut());
    receipt::verify_all(statements, |kid| keys.get(kid));
    Parsed {
        first: piece.first,
        entries,
        bounds: piece.bounds,
        stated: piece.stated,
    }
}
