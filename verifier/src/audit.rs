//! Replays a trail: every file, hash and signature, and every entry decided again and compared byte for byte (DESIGN §4.6).
//!
//! It knows no disk: [`Files`] gives it names and bytes. It goes on after a difference and lists them all, in one pass in
//! the order of the entries; memory is bounded by the book and the file names. The server may run it on its own trail.

mod ahead;
pub mod continued;
mod lanes;
mod past;
pub mod promise;
mod redacted;
mod replay;
mod scoped;
mod signers;
mod tree;

use serde::Serialize;
use std::fmt;

use crate::book::scope::Scope;
use crate::trail::note::Note;
use crate::trail::policy::{Policy, VerifiedCheckpoint};
use crate::trail::tile::WIDTH_FULL;
use crate::trail::{Flaw, FlawKind, Hash, TreeSize};
pub use continued::Continued;
use past::Past;
pub use past::{KNOWN, STALE_SECONDS};
pub use replay::Balance;
use replay::{Decided, Replay};
pub use scoped::ScopeSeen;
pub use scoped::UNSEALED_SECONDS;
use signers::{Source, Stated};
use tree::{Checked, TreeCheck};

/// The name of the newest checkpoint in a trail (C2SP tlog-tiles).
pub const CHECKPOINT: &str = "checkpoint";

/// A trail's files, wherever they lie.
pub trait Files {
    /// What can go wrong other than a file that is not there.
    type Fault;

    /// The names of all files, in any order, with `/` between their parts.
    /// # Errors
    /// The files cannot be listed.
    fn names(&mut self) -> Result<Vec<String>, Self::Fault>;

    /// The bytes of a file; of one longer than `limit` at least `limit` + 1. `None` if there is none.
    /// # Errors
    /// The file is there and cannot be read.
    fn read(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, Self::Fault>;

    /// Hears how many of `total` entries have been checked.
    fn progress(&mut self, _checked: u64, _total: u64) {}
}

/// How far to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Files, hashes and the checkpoint: any log of opaque bytes.
    Trail,
    /// All of that, and every entry decided again.
    Decisions,
}

/// A checkpoint that somebody has seen before and kept: the log is held to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What the report calls it.
    pub name: String,
    /// The signed note.
    pub note: Vec<u8>,
}

/// What an audit is given besides the files and the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How far to check.
    pub depth: Depth,
    /// Checkpoints from elsewhere; those in the trail's own `known/` are read as well.
    pub known: Vec<Known>,
    /// The scopes that are expected to be seen, what lies outside may be withheld; none: all must be seen.
    pub scopes: Vec<Scope>,
    /// The reader's clock in Unix seconds, to judge how fresh the newest checkpoint is, and the newest `book.sealed` where entries
    /// are withheld; `None` asks for no judgement.
    pub now: Option<u64>,
}

impl Options {
    /// An audit without a memory and without a clock.
    #[must_use]
    pub const fn new(depth: Depth) -> Self {
        Self {
            depth,
            known: Vec::new(),
            scopes: Vec::new(),
            now: None,
        }
    }
}

/// Where a difference shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A file of the trail.
    File(String),
    /// An entry, by its number.
    Entry(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => f.write_str(name),
            Self::Entry(seq) => write!(f, "entry {seq}"),
        }
    }
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where.
    pub at: Place,
    /// The rule that does not hold: a stable code.
    pub code: &'static str,
    /// What the rule demands.
    pub expected: String,
    /// What the trail has.
    pub found: String,
}

impl Head {
    /// The checkpoint itself, to be held against the log's keys.
    fn stated(&self) -> Option<Stated> {
        let (verified, note) = (self.verified.as_ref()?, self.note.clone()?);
        let place = Place::File(CHECKPOINT.to_owned());
        Some(Stated::new(place, verified, note, Source::Log))
    }
}

impl Difference {
    /// States what a flaw says about a place.
    fn of(at: Place, expected: &str, flaw: &Flaw) -> Self {
        Self {
            at,
            code: flaw.code(),
            expected: expected.to_owned(),
            found: flaw.sentence().to_owned(),
        }
    }

    fn missing(name: String) -> Self {
        Self {
            at: Place::File(name),
            code: "trail.missing",
            expected: "the file".to_owned(),
            found: "none".to_owned(),
        }
    }

    fn stray(name: String) -> Self {
        Self {
            at: Place::File(name),
            code: "trail.stray",
            expected: "no such file in a log of this size".to_owned(),
            found: "the file".to_owned(),
        }
    }
}

/// The outcome in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything was checked and holds.
    Agree,
    /// What is here holds, and entries are withheld that nobody declared.
    Withheld,
    /// Something does not hold.
    Differ,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Agree or differ.
    pub verdict: Verdict,
    /// The log, as its checkpoint names it.
    pub origin: Option<String>,
    /// Its size by the checkpoint.
    pub size: Option<u64>,
    /// Its root by the checkpoint.
    pub root: Option<String>,
    /// How many entries were in the tree.
    pub entries: u64,
    /// How many of these are here by their hash alone.
    pub withheld: u64,
    /// How many entries were decided again.
    pub decided: u64,
    /// How many entries are here and rest on withheld ones: they were not decided again.
    pub undecided: u64,
    /// How much of each scope was seen; empty where nothing is withheld.
    pub scopes: Vec<ScopeSeen>,
    /// How many checkpoints seen before the log was held to.
    pub known: u64,
    /// How many checkpoints the published history has.
    pub history: u64,
    /// How many entries' times are bounded from both sides by what witnesses saw.
    pub bounded: u64,
    /// Each fund's money at the end, as the audit's own book has it.
    pub funds: Vec<Balance>,
    /// Where the log goes on from another one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub continued: Vec<Continued>,
    /// Every difference, in the order of the trail.
    pub differences: Vec<Difference>,
    /// What the verdict rests on, and what it does not say.
    pub notes: Vec<String>,
    /// The newest checkpoint, if its signatures hold, the files make its root, and all that was seen before is in it: what a
    /// reader does well to remember.
    #[serde(skip)]
    pub head: Option<Note>,
}

/// Checks a trail against a policy.
/// # Errors
/// A file that is there and cannot be read; a difference is no error.
pub fn audit<F: Files>(files: &mut F, policy: &Policy, depth: Depth) -> Result<Report, F::Fault> {
    audit_with(files, policy, &Options::new(depth))
}

/// Checks a trail of which only some scopes are expected to be seen; what lies outside may be withheld.
/// # Errors
/// A file that is there and cannot be read; a difference is no error.
pub fn audit_scopes<F: Files>(
    files: &mut F,
    policy: &Policy,
    depth: Depth,
    scopes: &[Scope],
) -> Result<Report, F::Fault> {
    let scopes = scopes.to_vec();
    audit_with(
        files,
        policy,
        &Options {
            scopes,
            ..Options::new(depth)
        },
    )
}

/// Checks a trail against a policy and what was seen of it before.
/// # Errors
/// A file that is there and cannot be read; a difference is no error.
pub fn audit_with<F: Files>(
    files: &mut F,
    policy: &Policy,
    options: &Options,
) -> Result<Report, F::Fault> {
    let mut differences = Vec::new();
    let read = files.read(CHECKPOINT, crate::trail::note::NOTE_BYTES_MAX)?;
    let head = read_head(read.as_deref(), policy, &mut differences);
    let mut notes = notes(policy, &head);
    let replay = Replay::new(&head);
    let past = Past::new(policy, &head, &options.known, options.now);
    let (mut checked, replay) = match head.tree {
        Some(tree) => check(
            (TreeCheck::new(files, tree, past)?, tree.0),
            replay,
            options,
        )?,
        None => {
            notes.push("without a checkpoint that can be read, nothing else was checked".into());
            (Checked::default(), replay)
        }
    };
    if options.depth == Depth::Trail {
        notes.extend(left_open(&head));
    }
    let mut decided = replay.finish(std::mem::take(&mut checked.stated), &mut notes);
    let continued = continuations(files, (&head, &checked), &mut decided, &mut notes)?;
    notes.extend(said_of_the_past(&checked, decided.bounded));
    differences.extend(in_order(checked.differences, decided.differences));
    let verdict = if !differences.is_empty() {
        Verdict::Differ
    } else if checked.withheld > 0 && options.scopes.is_empty() {
        Verdict::Withheld
    } else {
        Verdict::Agree
    };
    let is_held = checked.is_signed && head.verified.is_some() && keeps_its_past(&differences);
    Ok(Report {
        verdict,
        origin: head.origin,
        size: head.tree.map(|(size, _)| size.get()),
        root: head.tree.map(|(_, root)| root.to_string()),
        entries: checked.entries,
        withheld: checked.withheld,
        decided: decided.decided,
        undecided: decided.undecided,
        known: checked.seen.0,
        history: checked.seen.1,
        bounded: decided.bounded,
        scopes: decided.scopes,
        funds: decided.funds,
        continued,
        differences,
        notes,
        head: head.note.filter(|_| is_held),
    })
}

/// What is not checked where no entry is read.
fn left_open(head: &Head) -> Vec<String> {
    let mut notes = vec!["no entry was decided again: --trail-only".to_owned()];
    if head.keys.len() > 1 {
        notes
            .push("which of the log's keys had to sign was not checked: the entries say it".into());
    }
    notes
}

/// What the log goes on from, where the files make the signed tree.
fn continuations<F: Files>(
    files: &mut F,
    (head, checked): (&Head, &Checked),
    decided: &mut Decided,
    notes: &mut Vec<String>,
) -> Result<Vec<Continued>, F::Fault> {
    let (Some(tree), true) = (head.tree, checked.is_signed) else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for (at, asked) in std::mem::take(&mut decided.continued) {
        let (found, difference) = continued::check(files, tree, (at, &asked))?;
        decided.differences.extend(difference);
        let Some(found) = found else { continue };
        notes.push(format!(
            "the entries before {at} were written under {}, whose last checkpoint that the exchange knows is of {}: {} are lost; \
             whether it has shown more is checked with --continues",
            found.from, found.size, found.lost
        ));
        all.push(found);
    }
    Ok(all)
}

/// Whether nothing that was seen before is gone, and the log has signed with the keys that it has.
fn keeps_its_past(differences: &[Difference]) -> bool {
    let lost = [FlawKind::Rollback, FlawKind::Fork, FlawKind::KeyRotated].map(FlawKind::as_str);
    differences
        .iter()
        .all(|difference| !lost.contains(&difference.code))
}

/// What the verdict says about the time before this checkpoint.
fn said_of_the_past(checked: &Checked, bounded: u64) -> Vec<String> {
    let (known, history) = checked.seen;
    let entries = checked.entries;
    let memory = match known {
        0 => "no earlier checkpoint is known here: history before this one is taken on the witnesses' word"
            .to_owned(),
        _ => format!("held to {known} checkpoints seen before"),
    };
    let times = match history {
        0 => "times not bounded: there is no history of cosigned checkpoints".to_owned(),
        _ => format!(
            "by {history} checkpoints of the history, the times of {bounded} of {entries} entries are bounded from both sides"
        ),
    };
    let unmet = (checked.unmet > 0).then(|| {
        format!(
            "{} checkpoints of the history do not meet the policy's quorum: they bound no time from above",
            checked.unmet
        )
    });
    [memory, times].into_iter().chain(unmet).collect()
}

/// Checks the files, and meanwhile decides every entry again, if so deep.
fn check<F: Files>(
    (check, size): (TreeCheck<'_, F>, TreeSize),
    replay: Replay,
    options: &Options,
) -> Result<(Checked, Replay), F::Fault> {
    if options.depth == Depth::Trail {
        return Ok((ahead::run(|ahead| check.run(ahead, &mut |_| {}))?, replay));
    }
    let replay = if check.is_redacted(size) {
        // Undeclared ones are checked for what they say they are.
        let own = if options.scopes.is_empty() {
            check.redacted.scopes()
        } else {
            options.scopes.clone()
        };
        replay.limited_to(own, options.now)
    } else {
        replay
    };
    let (checked, replay) = lanes::run(replay, |send| ahead::run(|ahead| check.run(ahead, send)));
    Ok((checked?, replay))
}

/// The differences of files and of decisions, bundle by bundle.
fn in_order(files: Vec<(u64, Difference)>, decisions: Vec<Difference>) -> Vec<Difference> {
    let decisions = decisions.into_iter().map(|difference| {
        let bundle = match difference.at {
            Place::Entry(seq) => seq / u64::from(WIDTH_FULL),
            Place::File(_) => u64::MAX,
        };
        (bundle, difference)
    });
    let mut all: Vec<_> = files.into_iter().chain(decisions).collect();
    all.sort_by_key(|(bundle, _)| *bundle);
    all.into_iter().map(|(_, difference)| difference).collect()
}

/// What the checkpoint says, verified or not: an unverified one is a difference, and still says which files to expect.
struct Head {
    origin: Option<String>,
    tree: Option<(TreeSize, Hash)>,
    /// The log's verifier keys in the policy: entry 0 must name one of them.
    keys: Vec<String>,
    verified: Option<VerifiedCheckpoint>,
    note: Option<Note>,
}

fn read_head(bytes: Option<&[u8]>, policy: &Policy, differences: &mut Vec<Difference>) -> Head {
    use crate::trail::checkpoint::Checkpoint;
    let mut head = Head {
        origin: None,
        tree: None,
        keys: Vec::new(),
        verified: None,
        note: None,
    };
    let place = || Place::File(CHECKPOINT.to_owned());
    let Some(bytes) = bytes else {
        differences.push(Difference::missing(CHECKPOINT.to_owned()));
        return head;
    };
    let expected = "a checkpoint signed as the policy demands";
    let note = match Note::parse(bytes) {
        Ok(note) => note,
        Err(flaw) => {
            differences.push(Difference::of(place(), expected, &flaw));
            return head;
        }
    };
    if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
        let ours = policy.logs().iter().map(|log| &log.key);
        head.keys = ours
            .filter(|key| key.name() == checkpoint.origin())
            .map(ToString::to_string)
            .collect();
        head.origin = Some(checkpoint.origin().to_string());
        head.tree = Some((checkpoint.size(), checkpoint.root()));
        if let Some(flaw) = checkpoint.extension_finding() {
            differences.push(Difference::of(place(), "three lines", &flaw));
        }
    }
    match policy.check(&note) {
        Ok(verified) => head.verified = Some(verified),
        Err(flaw) => differences.push(Difference::of(place(), expected, &flaw)),
    }
    head.note = Some(note);
    head
}

fn notes(policy: &Policy, head: &Head) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(verified) = &head.verified {
        let count = verified.cosignatures().len();
        notes.push(format!(
            "{count} cosignatures of the policy's witnesses hold"
        ));
    }
    if !policy.has_quorum() {
        notes.push(
            "the policy asks for no witness: the log's own signature is all that binds it".into(),
        );
    }
    notes
}

/// A difference of the tree that is no flaw of one file.
fn root_differs(expected: Hash, found: Hash) -> Difference {
    Difference {
        at: Place::File(CHECKPOINT.to_owned()),
        code: FlawKind::Root.as_str(),
        expected: format!("{expected}, which is signed"),
        found: format!("{found} over the entries"),
    }
}
