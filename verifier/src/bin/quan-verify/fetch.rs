//! A verifying copy of a published trail (TRAIL D15): nothing is written that the signed root does not vouch for.
//!
//! Down from the root: the right edge makes the signed root, each tile the hash in the tile above it, each bundle the hashes of its
//! tile. What is there already is kept, so a fetch that was stopped goes on where it was; `checkpoint` is written last. Every
//! checkpoint seen stays in `known/`: the log is held to it from then on.

mod tree;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use tree::Tree;

use crate::copy::Copy;
use crate::remote::Remote;
use crate::{Answer, NotChecked, print, read_policy, scope};
use verifier::audit::{CHECKPOINT, KNOWN};
use verifier::book::redacted::RedactedPath;
use verifier::book::scope::Scope;
use verifier::id::Sha256Hash;
use verifier::trail::bundle::{self, BUNDLE_BYTES_MAX, BundlePath};
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::history::{self, HistoryPath};
use verifier::trail::note::{NOTE_BYTES_MAX, Note};
use verifier::trail::policy::Policy;
use verifier::trail::tile::{TilePath, WIDTH_FULL};
use verifier::trail::tree::leaf_hash;
use verifier::trail::{Flaw, FlawKind, Hash, TreeSize};

/// Files under way at once: a round trip costs more than a file's bytes.
const LANES: usize = 8;
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
