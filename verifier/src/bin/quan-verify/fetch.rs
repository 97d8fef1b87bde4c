//! A verifying copy of a published trail (TRAIL D15): nothing is written that the signed root does not vouch for.
//!
//! Down from the root: the right edge makes the signed root, each tile the hash in the tile above it, each bundle the hashes of its
//! tile. What is there already is kept, so a fetch that was stopped goes on where it was; `checkpoint` is written last. Every
//! checkpoint seen stays in `known/`: the log is held to it from then on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::copy::Copy;
use crate::remote::Remote;
use crate::{Answer, NotChecked, print, read_policy, scope};
use verifier::audit::{CHECKPOINT, KNOWN};
use verifier::book::redacted::RedactedPath;
use verifier::book::scope::Scope;
use verifier::id::Sha256Hash;
use verifier::trail::bundle::{self, BundlePath, ENTRY_BYTES_MAX};
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::growth::Growth;
use verifier::trail::history::{self, HistoryPath};
use verifier::trail::note::{NOTE_BYTES_MAX, Note};
use verifier::trail::policy::Policy;
use verifier::trail::tile::{self, TILE_BYTES, TilePath, Tiles, WIDTH_FULL, tiles_of};
use verifier::trail::tree::{leaf_hash, verify_consistency};
use verifier::trail::{Flaw, FlawKind, Hash, TreeSize};

/// Files under way at once: a round trip costs more than a file's bytes.
const LANES: usize = 8;
/// The longest bundle, or part of a history.
const BUNDLE_BYTES_MAX: usize = WIDTH_FULL as usize * (ENTRY_BYTES_MAX + 2);
const FULL: u64 = WIDTH_FULL as u64;

/// What `fetch` is asked.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the trail is published: `<URL>/checkpoint` is there.
    url: String,
    /// The folder to copy it to, or to bring up to date.
    folder: PathBuf,
    /// Whom to trust (C2SP tlog-policy).
    #[arg(long)]
    policy: PathBuf,
    /// Copies the redacted bundles of this scope, for a key that is limited to it; may be repeated.
    #[arg(long, value_parser = scope)]
    scope: Vec<Scope>,
    #[command(flatten)]
    reader: Reader,
}

/// As whom a trail is read.
#[derive(clap::Args)]
pub(crate) struct Reader {
    /// A regulator's API key: bundles are not public.
    #[arg(long, env = "QUAN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// Why a fetch ends early.
pub(crate) enum Stop {
    NotChecked(NotChecked),
    /// The server's file does not fit what its log has signed.
    Differs(String, Flaw),
}

impl From<NotChecked> for Stop {
    fn from(fault: NotChecked) -> Self {
        Self::NotChecked(fault)
    }
}

/// What a fetch brought.
pub(crate) struct Fetched {
    origin: String,
    size: u64,
    before: u64,
    history: u64,
}

/// Where to copy from, whom to trust, and what to copy.
pub(crate) struct Source<'a> {
    pub(crate) remote: &'a Remote,
    pub(crate) policy: &'a Policy,
    /// Redacted bundles of these scopes; none: whole bundles.
    pub(crate) scopes: &'a [Scope],
}

/// Runs `fetch`.
pub(crate) fn run(asked: &Arguments, json: bool) -> Result<Answer, NotChecked> {
    let policy = read_policy(&asked.policy)?;
    let source = Source {
        remote: &Remote::new(&asked.url, asked.reader.token.clone()),
        policy: &policy,
        scopes: &asked.scope,
    };
    match source.fetch(&asked.folder) {
        Ok(Fetched {
            origin,
            size,
            before,
            history,
        }) => {
            let page = if json {
                print::object(&json!({"verdict": "agree", "origin": origin, "size": size,
                    "entries": size.saturating_sub(before), "history": history}))
            } else {
                format!(
                    "agree: {origin}, {size} entries, {} of them new, {history} checkpoints of its history, in {}\n",
                    size.saturating_sub(before),
                    asked.folder.display()
                )
            };
            Ok(Answer { agrees: true, page })
        }
        Err(Stop::Differs(name, flaw)) => Ok(differs(&name, &flaw, json)),
        Err(Stop::NotChecked(why)) => Err(why),
    }
}

/// The page of a fetch that was lied to.
pub(crate) fn differs(name: &str, flaw: &Flaw, json: bool) -> Answer {
    let page = if json {
        print::object(
            &json!({"verdict": "differ", "at": {"file": name}, "code": flaw.code(), "found": flaw.sentence()}),
        )
    } else {
        format!("differ: {name}: {flaw}; it was not copied\n")
    };
    Answer {
        agrees: false,
        page,
    }
}

impl Source<'_> {
    /// Brings a folder up to date.
    pub(crate) fn fetch(&self, folder: &std::path::Path) -> Result<Fetched, Stop> {
        let copy = Copy::open(folder)?;
        let bytes = self
            .remote
            .get(CHECKPOINT, NOTE_BYTES_MAX)?
            .ok_or_else(|| {
                NotChecked("there is no checkpoint; is this the address of a trail?".to_owned())
            })?;
        let lied = |flaw| Stop::Differs(CHECKPOINT.to_owned(), flaw);
        let note = Note::parse(&bytes).map_err(lied)?;
        let head = self.policy.check(&note).map_err(lied)?;
        let head = head.checkpoint();
        // DURABLE: seen is kept before it is judged; a fork is shown by the two checkpoints.
        let name = format!("{KNOWN}{}-{}", head.size(), Sha256Hash::of(&bytes));
        if !copy.names().contains(&name) {
            copy.write(&name, &bytes)?;
        }
        let old = self.old_heads(&copy, head)?;
        let before = old.first().map_or(0, |(head, _)| head.size().get());
        let mut tree = Tree::new(self.remote, &copy, head)?;
        for (old, name) in &old {
            tree.continues(old, name)?;
        }
        let have = if old.iter().any(|(_, name)| name == CHECKPOINT) {
            before
        } else {
            0
        };
        tree.upper()?;
        self.bundles(&tree, have)?;
        let history = self.history(&copy, head)?;
        tree.finish(&bytes)?;
        Ok(Fetched {
            origin: head.origin().to_string(),
            size: head.size().get(),
            before: have,
            history,
        })
    }

    /// The folder's own head, and those of fetches since that did not come to their end.
    fn old_heads(&self, copy: &Copy, head: &Checkpoint) -> Result<Vec<(Checkpoint, String)>, Stop> {
        let read = |name: &str| -> Result<Option<Checkpoint>, NotChecked> {
            let Some(bytes) = copy.read(name, NOTE_BYTES_MAX)? else {
                return Ok(None);
            };
            let verified = Note::parse(&bytes).and_then(|note| self.policy.check_signed(&note));
            match verified {
                Ok(verified) if verified.checkpoint().origin() == head.origin() => {
                    Ok(Some(verified.checkpoint().clone()))
                }
                Ok(verified) => Err(NotChecked(format!(
                    "{name} in the folder is of {}, not of {}; choose another folder",
                    verified.checkpoint().origin(),
                    head.origin()
                ))),
                Err(flaw) => Err(NotChecked(format!("{name} in the folder: {flaw}"))),
            }
        };
        let mut old = Vec::new();
        if let Some(head) = read(CHECKPOINT)? {
            old.push((head, CHECKPOINT.to_owned()));
        }
        let since = old.first().map(|(head, _)| head.size());
        let known = copy.names().iter().filter(|name| name.starts_with(KNOWN));
        for name in known {
            let known = read(name)?.filter(|known| since.is_none_or(|since| known.size() > since));
            old.extend(known.map(|known| (known, name.clone())));
        }
        Ok(old)
    }

    /// Copies every bundle with its tile, several at a time.
    fn bundles(&self, tree: &Tree<'_>, have: u64) -> Result<(), Stop> {
        let size = tree.size;
        let bar = bar(size.get());
        let waiting = Mutex::new(bundle::bundles_of(size));
        let stop: Mutex<Option<Stop>> = Mutex::new(None);
        let failed = AtomicBool::new(false);
        let next = || {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.next().filter(|_| !failed.load(Ordering::Relaxed))
        };
        let fail = |fault| {
            failed.store(true, Ordering::Relaxed);
            let mut stop = stop.lock().unwrap_or_else(PoisonError::into_inner);
            stop.get_or_insert(fault);
        };
        let lane = || {
            while let Some(path) = next() {
                self.bundle(tree, path, have).unwrap_or_else(fail);
                bar.inc(u64::from(path.width()));
            }
        };
        thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
        bar.finish_and_clear();
        match stop.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// Copies a bundle, or its redacted forms, with the tile of its leaf hashes.
    fn bundle(&self, tree: &Tree<'_>, path: BundlePath, have: u64) -> Result<(), Stop> {
        let names: Vec<String> = match self.scopes {
            [] => vec![path.to_string()],
            scopes => scopes.iter().map(|scope| redacted(scope, path)).collect(),
        };
        let tile = TilePath::new(0, path.number(), path.width());
        let tile = tile.map(|tile| tile.to_string()).unwrap_or_default();
        let end = path.first().saturating_add(path.width().into());
        let there = |name: &String| tree.copy.names().contains(name);
        // Under the folder's own head all was checked when it was written.
        if end <= have && there(&tile) && names.iter().all(there) {
            return Ok(());
        }
        let leaves = tree.leaves(path)?;
        for name in names {
            let on_disk = tree.copy.read(&name, BUNDLE_BYTES_MAX)?;
            if on_disk.is_some_and(|bytes| self.fits(&bytes, path, &leaves).is_ok()) {
                continue;
            }
            let bytes = self.remote_bundle(&name, path)?;
            self.fits(&bytes, path, &leaves)
                .map_err(|flaw| Stop::Differs(name.clone(), flaw))?;
            tree.copy.write(&name, &bytes)?;
        }
        Ok(())
    }

    /// A bundle, or the beginning of the full one of its place: partial ones may be collected once that is there.
    fn remote_bundle(&self, name: &str, path: BundlePath) -> Result<Vec<u8>, Stop> {
        if let Some(bytes) = self.remote.get(name, BUNDLE_BYTES_MAX)? {
            return Ok(bytes);
        }
        let full = name.split_once(".p/").map(|(full, _)| full);
        let bytes = match full {
            Some(full) => self.remote.get(full, BUNDLE_BYTES_MAX)?,
            None => None,
        };
        let bytes = bytes.ok_or_else(|| gone(name))?;
        let lied = |flaw| Stop::Differs(name.to_owned(), flaw);
        let entries = bundle::decode(&bytes, WIDTH_FULL).map_err(lied)?;
        bundle::encode(entries.into_iter().take(path.width().into())).map_err(lied)
    }

    /// Whether a bundle's entries have these hashes; in a redacted one, those that it holds.
    fn fits(&self, bytes: &[u8], path: BundlePath, leaves: &[Hash]) -> Result<(), Flaw> {
        let entries = bundle::decode(bytes, path.width())?;
        let withheld = |entry: &[u8]| entry.is_empty() && !self.scopes.is_empty();
        for (seq, (entry, leaf)) in (path.first()..).zip(entries.into_iter().zip(leaves)) {
            if !withheld(entry) && leaf_hash(entry) != *leaf {
                let sentence = format!("entry {seq} is not the one in the signed tree");
                return Err(Flaw::new(FlawKind::Bundle, sentence));
            }
        }
        Ok(())
    }

    /// Copies the history as far as this head; what is newer comes with the next one.
    fn history(&self, copy: &Copy, head: &Checkpoint) -> Result<u64, Stop> {
        let lied = |name: &str, flaw| Stop::Differs(name.to_owned(), flaw);
        let Some(count) = self.remote.get(history::COUNT, history::COUNT_BYTES_MAX)? else {
            return Ok(0);
        };
        let count = history::decode_count(&count).map_err(|flaw| lied(history::COUNT, flaw))?;
        let mut copied = 0;
        for part in history::parts_between(0, count) {
            let width = self.part(copy, part, head)?;
            copied = part.first().saturating_add(width);
            if width < u64::from(part.width()) {
                break;
            }
        }
        copy.write(history::COUNT, history::encode_count(copied).as_bytes())?;
        Ok(copied)
    }

    /// Copies a part, as far as it is not newer than the head, and says how many notes it has.
    fn part(&self, copy: &Copy, part: HistoryPath, head: &Checkpoint) -> Result<u64, Stop> {
        let name = part.to_string();
        if part.width() == WIDTH_FULL && copy.names().contains(&name) {
            return Ok(FULL);
        }
        let bytes = self.remote_part(part)?;
        let notes = self
            .notes(&bytes, part, head)
            .map_err(|flaw| Stop::Differs(name, flaw))?;
        self.keep_part(copy, part.number(), &notes)?;
        Ok(notes.len() as u64)
    }

    fn remote_part(&self, part: HistoryPath) -> Result<Vec<u8>, Stop> {
        let name = part.to_string();
        let bytes = self.remote.get(&name, BUNDLE_BYTES_MAX)?;
        bytes.ok_or_else(|| gone(&name))
    }

    /// The notes of a part, each signed by this log, up to the first that is newer than the head.
    fn notes(
        &self,
        bytes: &[u8],
        part: HistoryPath,
        head: &Checkpoint,
    ) -> Result<Vec<String>, Flaw> {
        let (mut notes, mut last) = (Vec::new(), TreeSize::ZERO);
        for (note, checkpoint) in history::decode(bytes, part.width())? {
            self.policy.check_signed(&note)?;
            if checkpoint.origin() != head.origin() {
                let sentence = format!("a checkpoint of {}", checkpoint.origin());
                return Err(Flaw::new(FlawKind::Origin, sentence));
            }
            if checkpoint.size() < last {
                let sentence = format!("size {} behind size {last}", checkpoint.size());
                return Err(Flaw::new(FlawKind::History, sentence));
            }
            if checkpoint.size() > head.size() {
                break;
            }
            last = checkpoint.size();
            notes.push(note.to_string());
        }
        Ok(notes)
    }

    /// Writes a part, and removes narrower ones of its place.
    fn keep_part(&self, copy: &Copy, number: u64, notes: &[String]) -> Result<(), Stop> {
        let width = u16::try_from(notes.len()).unwrap_or(0);
        let Some(part) = HistoryPath::new(number, width) else {
            return Ok(());
        };
        let lied = |flaw| Stop::Differs(part.to_string(), flaw);
        let bytes = history::encode(notes.iter().map(String::as_str)).map_err(lied)?;
        copy.write(&part.to_string(), &bytes)?;
        let narrower = copy.names().iter().filter(|name| {
            HistoryPath::parse(name).is_ok_and(|old| old.number() == number && old.width() < width)
        });
        Ok(narrower
            .into_iter()
            .try_for_each(|name| copy.remove(name))?)
    }
}

fn redacted(scope: &Scope, bundle: BundlePath) -> String {
    let scope = scope.clone();
    RedactedPath { scope, bundle }.to_string()
}

fn gone(name: &str) -> Stop {
    let sentence = "a log of this size has it, and the server has not";
    Stop::Differs(name.to_owned(), Flaw::new(FlawKind::Tile, sentence))
}

fn bar(size: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} entries {eta}");
    // Hidden where the error output is no terminal.
    ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The tiles of one signed tree, each believed only under the hash above it.
struct Tree<'a> {
    remote: &'a Remote,
    copy: &'a Copy,
    size: TreeSize,
    root: Hash,
    /// The partial tiles: together they make the root.
    edge: BTreeMap<(u8, u64), (TilePath, Vec<u8>)>,
    /// Full tiles from level 1 on.
    upper: BTreeMap<(u8, u64), Vec<u8>>,
}

impl<'a> Tree<'a> {
    /// Reads the right edge and holds it against the signed root.
    fn new(remote: &'a Remote, copy: &'a Copy, head: &Checkpoint) -> Result<Self, Stop> {
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
    fn continues(&mut self, old: &Checkpoint, name: &str) -> Result<(), Stop> {
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
    fn upper(&mut self) -> Result<(), Stop> {
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
    fn leaves(&self, path: BundlePath) -> Result<Vec<Hash>, Stop> {
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
    fn finish(&self, checkpoint: &[u8]) -> Result<(), Stop> {
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
