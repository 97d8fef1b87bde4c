//! A book in memory whose entries become a trail on disk as they come: what `decide` says, framed and hashed as published.

use std::convert::Infallible;
use std::fs;
use std::path::Path;

use verifier::book::Book;
use verifier::book::command::Command;
use verifier::book::decide::{Env, Request, decide};
use verifier::book::entry::RULES;
use verifier::book::found::Found;
use verifier::id::{ActorId, PartyId, Salt, Sha256Hash};
use verifier::signature::Signer;
use verifier::time::Timestamp;
use verifier::trail::bundle;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::growth::Growth;
use verifier::trail::key::{KeyName, KeyType, VerifierKey};
use verifier::trail::note::NoteSigner;
use verifier::trail::tile::TilePath;
use verifier::trail::{TreeSize, tree};

pub(crate) const ORIGIN: &str = "localhost/bench";

/// A party and the credential that acts for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who {
    pub(crate) party: PartyId,
    pub(crate) actor: ActorId,
}

/// A trail that is being written into a folder: `trail/` and `policy.txt`.
pub(crate) struct Trail<'a> {
    folder: &'a Path,
    book: Book,
    growth: Growth,
    /// Entries of the open bundle.
    open: Vec<Vec<u8>>,
}

/// The log's key as its policy names it.
pub(crate) fn log_key() -> VerifierKey {
    let name = KeyName::parse(ORIGIN).unwrap();
    VerifierKey::new(name, KeyType::Ed25519, log_signer().public())
}

fn log_signer() -> Signer {
    Signer::from_seed(&[1; 32])
}

/// Seeded: the same trail every time.
pub(crate) fn salt(entry: u64) -> Salt {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&entry.to_be_bytes());
    Salt::new(salt)
}

impl<'a> Trail<'a> {
    pub(crate) fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            book: Book::new(),
            growth: Growth::empty(),
            open: Vec::new(),
        }
    }

    /// How many entries there are.
    pub(crate) fn size(&self) -> u64 {
        self.book.size
    }

    /// Decides a command as a server does that got it over HTTP, with an idempotency key; a refusal ends the bench.
    pub(crate) fn ask(&mut self, who: Who, at: Timestamp, command: Command) -> Found {
        let seq = self.size();
        let env = Env {
            at,
            salt: salt(seq),
            rules: RULES,
        };
        let request = Request {
            by: who.party,
            actor: who.actor,
            cmd: Some(Sha256Hash::of(&seq.to_be_bytes())),
            req: Some(Sha256Hash::of(&seq.to_le_bytes())),
            command,
        };
        let entry = decide(&self.book, &request, &env).unwrap();
        self.append(entry.to_bytes().unwrap());
        self.book.apply(&entry).unwrap();
        entry.found
    }

    fn append(&mut self, bytes: Vec<u8>) {
        let mut full = Vec::new();
        let leaf = tree::leaf_hash(&bytes);
        let Ok(()) = self.growth.push(leaf, |path: TilePath, tile| {
            full.push((path, tile.to_vec()));
            Ok::<_, Infallible>(())
        });
        for (path, tile) in full {
            self.write(&path.to_string(), &tile);
        }
        self.open.push(bytes);
        if self.open.len() == 256 {
            self.flush();
        }
    }

    /// Writes the open bundle.
    fn flush(&mut self) {
        let to = self.growth.size().get();
        let from = TreeSize::new(to - self.open.len() as u64).unwrap();
        for path in bundle::bundles_between(from, self.growth.size()) {
            let bytes = bundle::encode(self.open.iter().map(Vec::as_slice)).unwrap();
            self.write(&path.to_string(), &bytes);
        }
        self.open.clear();
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.join("trail").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Writes what is open, the policy and the checkpoint.
    pub(crate) fn finish(mut self) {
        if !self.open.is_empty() {
            self.flush();
        }
        let partial: Vec<_> = self.growth.partial_tiles().collect();
        for (path, bytes) in partial {
            self.write(&path.to_string(), bytes);
        }
        let policy = format!("log {}\nquorum none\n", log_key());
        fs::write(self.folder.join("policy.txt"), policy).unwrap();
        let name = KeyName::parse(ORIGIN).unwrap();
        let checkpoint = Checkpoint::new(name.clone(), self.growth.size(), self.growth.root());
        let note = checkpoint.sign(&NoteSigner::new(name, log_signer()));
        self.write("checkpoint", note.unwrap().to_string().as_bytes());
    }
}
