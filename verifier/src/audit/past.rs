//! What was seen of the log before: checkpoints that the reader knows, and the published history of cosigned ones.
//!
//! Both are held against the tree as it grows past their sizes, in the one pass over the entries (TRAIL E11); the history is
//! read a part at a time, just ahead of the tree. Its cosigned times bound the entries' own times from both sides (E3).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::signers::{Source, Stated};
use super::{CHECKPOINT, Difference, Files, Head, Known, Place};
use crate::time::Timestamp;
use crate::trail::cosignature::{FUTURE_SECONDS_MAX, is_future};
use crate::trail::history::{self, COUNT, HISTORY_NOTE_BYTES_MAX, HistoryPath};
use crate::trail::note::{NOTE_BYTES_MAX, Note};
use crate::trail::policy::{Policy, VerifiedCheckpoint};
use crate::trail::tile::WIDTH_FULL;
use crate::trail::{Flaw, FlawKind, Hash, TreeSize};

/// The folder beside the trail where a reader keeps the checkpoints that it has seen.
pub const KNOWN: &str = "known/";
/// The longest part of a history: 256 of the longest notes, each behind its length.
const PART_BYTES_MAX: usize = WIDTH_FULL as usize * (HISTORY_NOTE_BYTES_MAX + 2);
/// A head whose newest cosignature is older, in seconds, is stale: witnesses see an unchanged head every ten minutes.
pub const STALE_SECONDS: u64 = 3_600;
/// So many notes are held at once to find the next one that the quorum has seen; behind them, times have no end.
const AHEAD_MAX: usize = 1_024;

/// A checkpoint seen before, as far as it concerns the tree.
struct Seen {
    at: Place,
    size: u64,
    root: Hash,
    /// When a witness last saw it, and when the quorum had.
    last: Option<u64>,
    quorum: Option<u64>,
}

impl Seen {
    fn new(at: Place, verified: &VerifiedCheckpoint, policy: &Policy) -> Self {
        let checkpoint = verified.checkpoint();
        Self {
            at,
            size: checkpoint.size().get(),
            root: checkpoint.root(),
            last: verified.last_time(),
            quorum: seen_at(verified, policy),
        }
    }

    fn forks_from(&self, root: Hash) -> Difference {
        Difference {
            at: self.at.clone(),
            code: FlawKind::Fork.as_str(),
            expected: format!("root {root} at size {}, as the entries have it", self.size),
            found: format!("{}, which the log has signed: two histories", self.root),
        }
    }
}

/// What the file [`COUNT`] says.
enum Count {
    Missing,
    Unreadable,
    Of(u64),
}

/// When the quorum had seen a checkpoint; where the policy asks for none, when the first of its witnesses had.
fn seen_at(verified: &VerifiedCheckpoint, policy: &Policy) -> Option<u64> {
    if policy.has_quorum() {
        return verified.quorum_time();
    }
    verified.cosignatures().iter().map(|by| by.time).min()
}

/// Between which cosigned times, in Unix seconds, the entries below a number were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) until: u64,
    pub(super) after: Option<u64>,
    pub(super) before: Option<u64>,
}

impl Bound {
    /// Whether a time lies between the cosigned ones, as far as clocks differ.
    pub(super) fn holds(&self, unix: i64) -> bool {
        let unix = u64::try_from(unix).unwrap_or(0);
        let slack = FUTURE_SECONDS_MAX;
        self.after
            .is_none_or(|after| unix.saturating_add(slack) >= after)
            && self
                .before
                .is_none_or(|before| unix <= before.saturating_add(slack))
    }
}

/// `between … and …`, in the times of witnesses' clocks.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |time: Option<u64>| {
            let time = time.and_then(|time| i64::try_from(time).ok());
            time.and_then(|time| Timestamp::new(time).ok())
                .map_or_else(|| "any time".to_owned(), |time| time.to_string())
        };
        let (after, before) = (shown(self.after), shown(self.before));
        write!(
            f,
            "between {after} and {before}, each give or take {FUTURE_SECONDS_MAX} s"
        )
    }
}

/// The checkpoints that the tree still has to pass, and what came of those it has.
pub(super) struct Past<'p> {
    policy: &'p Policy,
    head: Option<(TreeSize, Hash)>,
    origin: Option<String>,
    now: Option<u64>,
    /// When the head was seen: behind the last note, that is the bound.
    head_seen_at: Option<u64>,
    /// Ascending by size.
    known: VecDeque<Seen>,
    /// Parts of the history not yet read, and narrower ones of the same places.
    parts: VecDeque<HistoryPath>,
    narrower: BTreeMap<u64, Vec<HistoryPath>>,
    /// Notes read and not yet passed, ascending by size.
    ahead: VecDeque<Seen>,
    /// The size of the last note read.
    last_size: u64,
    /// The newest cosigned time below the present size.
    since: Option<u64>,
    /// What does not fit the tree: told only if the tree is the signed one.
    forks: Vec<Difference>,
    differences: Vec<Difference>,
    /// Sizes of the notes of the part being read that no witness of the policy has cosigned, and by whom they are.
    uncosigned: Vec<(u64, String)>,
    /// Checkpoints whose signers the book has not judged yet.
    stated: Vec<Stated>,
    /// Checkpoints that somebody has seen.
    pub(super) known_count: u64,
    /// Notes of the history.
    pub(super) notes_count: u64,
    /// Notes of the history that do not meet the policy's quorum.
    pub(super) unmet_count: u64,
}

impl<'p> Past<'p> {
    /// Takes the head and what the reader knows.
    pub(super) fn new(policy: &'p Policy, head: &Head, known: &[Known], now: Option<u64>) -> Self {
        let verified = head.verified.as_ref();
        let mut past = Self {
            policy,
            head: head.tree,
            origin: head.origin.clone(),
            now,
            head_seen_at: verified.and_then(|head| seen_at(head, policy)),
            known: VecDeque::new(),
            parts: VecDeque::new(),
            narrower: BTreeMap::new(),
            ahead: VecDeque::new(),
            last_size: 0,
            since: None,
            forks: Vec::new(),
            differences: Vec::new(),
            uncosigned: Vec::new(),
            stated: head.stated().into_iter().collect(),
            known_count: 0,
            notes_count: 0,
            unmet_count: 0,
        };
        if let Some(head) = verified {
            past.fresh(head);
        }
        for known in known {
            past.know(Place::File(known.name.clone()), &known.note);
        }
        past
    }

    /// Reads the folder's own memory, and finds the parts of the history; other names are left.
    pub(super) fn find<F: Files>(
        &mut self,
        files: &mut F,
        names: Vec<String>,
    ) -> Result<Vec<String>, F::Fault> {
        let (mut left, mut parts, mut count) = (Vec::new(), Vec::new(), Count::Missing);
        for name in names {
            if let Ok(part) = HistoryPath::parse(&name) {
                parts.push(part);
            } else if name == COUNT {
                let bytes = files.read(&name, history::COUNT_BYTES_MAX)?;
                count = self.read_count(&bytes.unwrap_or_default());
            } else if is_known(&name) {
                let bytes = files.read(&name, NOTE_BYTES_MAX)?;
                self.know(Place::File(name), &bytes.unwrap_or_default());
            } else {
                left.push(name);
            }
        }
        self.known.make_contiguous().sort_by_key(|seen| seen.size);
        self.sort_parts(parts, count);
        Ok(left)
    }

    /// Of each place the widest part is read, and the narrower ones must be its beginning. None may be missing.
    fn sort_parts(&mut self, mut parts: Vec<HistoryPath>, count: Count) {
        parts.sort_unstable();
        for part in parts {
            match self.parts.back_mut() {
                Some(last) if last.number() == part.number() => {
                    let narrower = std::mem::replace(last, part);
                    let others = self.narrower.entry(part.number()).or_default();
                    others.push(narrower);
                }
                _ => self.parts.push_back(part),
            }
        }
        let notes = self.parts.back().map_or(0, |last| {
            last.first().saturating_add(u64::from(last.width()))
        });
        let counted = self.counted(notes, count);
        let mut there = self.parts.iter().peekable();
        // The first gap is told; behind it the history does not hang together.
        for wanted in history::parts_between(0, counted) {
            if there.next_if(|part| **part == wanted).is_none() {
                self.differences
                    .push(Difference::missing(wanted.to_string()));
                break;
            }
        }
    }

    fn read_count(&mut self, bytes: &[u8]) -> Count {
        match history::decode_count(bytes) {
            Ok(count) => Count::Of(count),
            Err(flaw) => {
                self.flawed(Place::File(COUNT.to_owned()), &flaw);
                Count::Unreadable
            }
        }
    }

    /// How many notes there have to be: those that the parts hold, or more, as the count says.
    fn counted(&mut self, notes: u64, count: Count) -> u64 {
        let place = || COUNT.to_owned();
        match count {
            Count::Of(count) if count < notes => {
                let sentence = format!("it counts {count} notes, and the parts hold {notes}");
                let flaw = Flaw::new(FlawKind::History, sentence);
                self.flawed(Place::File(place()), &flaw);
            }
            Count::Of(count) => return count,
            Count::Missing if notes > 0 => self.differences.push(Difference::missing(place())),
            Count::Missing | Count::Unreadable => {}
        }
        notes
    }

    /// Judges how old the head is, where the reader says what time it is.
    fn fresh(&mut self, head: &VerifiedCheckpoint) {
        let Some(now) = self.now else { return };
        self.not_from_the_future(&Place::File(CHECKPOINT.to_owned()), head);
        if let Some(last) = head.last_time()
            && last.saturating_add(STALE_SECONDS) < now
        {
            self.differences.push(Difference {
                at: Place::File(CHECKPOINT.to_owned()),
                code: FlawKind::Stale.as_str(),
                expected: format!("a cosignature of the last {STALE_SECONDS} s"),
                found: format!("the newest is {} s old", now.saturating_sub(last)),
            });
        }
    }

    fn not_from_the_future(&mut self, at: &Place, verified: &VerifiedCheckpoint) {
        let Some(now) = self.now else { return };
        let ahead = verified.last_time().filter(|time| is_future(*time, now));
        if let Some(time) = ahead {
            self.differences.push(Difference {
                at: at.clone(),
                code: FlawKind::CosignatureFuture.as_str(),
                expected: format!("a time up to {FUTURE_SECONDS_MAX} s after {now}"),
                found: time.to_string(),
            });
        }
    }

    fn flawed(&mut self, at: Place, flaw: &Flaw) {
        let expected = "what this log has signed";
        self.differences.push(Difference::of(at, expected, flaw));
    }

    /// Takes a checkpoint that somebody has seen.
    fn know(&mut self, at: Place, note: &[u8]) {
        let verified = Note::parse(note).and_then(|note| {
            self.policy
                .check_signed(&note)
                .map(|verified| (note, verified))
        });
        match verified {
            Ok((note, verified)) => {
                self.known_count += 1;
                let stated = Stated::new(at.clone(), &verified, note, Source::Elsewhere);
                let seen = Seen::new(at, &verified, self.policy);
                if let Some(seen) = self.fitting(seen, &verified) {
                    self.known.push_back(seen);
                    self.stated.push(stated);
                }
            }
            Err(flaw) => self.flawed(at, &flaw),
        }
    }

    /// A checkpoint that the tree will pass; one of another log, behind the head or beside it is told at once.
    fn fitting(&mut self, seen: Seen, verified: &VerifiedCheckpoint) -> Option<Seen> {
        let origin = verified.checkpoint().origin().as_str();
        if let Some(ours) = self.origin.as_deref().filter(|ours| *ours != origin) {
            let sentence = format!("a checkpoint of {origin}, and not of {ours}");
            self.flawed(seen.at, &Flaw::new(FlawKind::Origin, sentence));
            return None;
        }
        let (size, root) = self.head?;
        if seen.size > size.get() {
            self.differences.push(Difference {
                at: seen.at,
                code: FlawKind::Rollback.as_str(),
                expected: format!("a log of at least {} entries, as it has signed", seen.size),
                found: format!("one of {size}"),
            });
            return None;
        }
        if seen.size == size.get() && seen.root != root {
            self.differences.push(seen.forks_from(root));
            return None;
        }
        Some(seen)
    }

    /// Reads the history until it bounds every entry below `end`, or is at its end.
    pub(super) fn read_until<F: Files>(&mut self, files: &mut F, end: u64) -> Result<(), F::Fault> {
        let reaches = |ahead: &VecDeque<Seen>| {
            let mut behind = ahead.iter().rev().take_while(|seen| seen.size >= end);
            let many =
                ahead.len() >= AHEAD_MAX && ahead.back().is_some_and(|seen| seen.size >= end);
            many || behind.any(|seen| seen.quorum.is_some())
        };
        while !reaches(&self.ahead) {
            let Some(part) = self.parts.pop_front() else {
                break;
            };
            self.read_part(files, part)?;
        }
        Ok(())
    }

    fn read_part<F: Files>(&mut self, files: &mut F, part: HistoryPath) -> Result<(), F::Fault> {
        let place = || Place::File(part.to_string());
        let bytes = files.read(&part.to_string(), PART_BYTES_MAX)?;
        let bytes = bytes.unwrap_or_default();
        match history::decode(&bytes, part.width()) {
            Ok(notes) => notes
                .into_iter()
                .for_each(|(note, _)| self.note(&place(), &note)),
            Err(flaw) => self.flawed(place(), &flaw),
        }
        self.tell_uncosigned(place());
        for narrower in self.narrower.remove(&part.number()).unwrap_or_default() {
            let found = files.read(&narrower.to_string(), PART_BYTES_MAX)?;
            let found = found.unwrap_or_default();
            let whole = history::decode(&found, narrower.width()).is_ok();
            if !whole || !bytes.starts_with(&found) {
                let sentence = format!("it is not the beginning of {part}");
                let flaw = Flaw::new(FlawKind::History, sentence);
                self.flawed(Place::File(narrower.to_string()), &flaw);
            }
        }
        Ok(())
    }

    /// A history is of what witnesses have cosigned. A policy that names witnesses, and none of those, cannot tell by whom.
    fn tell_uncosigned(&mut self, at: Place) {
        let notes = std::mem::take(&mut self.uncosigned);
        if let Some((size, by)) = notes.first() {
            let sentence = format!(
                "no witness of the policy has cosigned {} of its notes; the first, of size {size}, is by {by}",
                notes.len()
            );
            self.flawed(at, &Flaw::new(FlawKind::History, sentence));
        }
    }

    /// Counts what the witnesses of the policy have not cosigned as it demands.
    fn count_cosigned(&mut self, note: &Note, verified: &VerifiedCheckpoint) {
        let unmet = self.policy.has_quorum() && verified.quorum_time().is_none();
        self.unmet_count += u64::from(unmet);
        if verified.cosignatures().is_empty() && !self.policy.witnesses().is_empty() {
            let lines = note.signatures().iter();
            let names: Vec<_> = lines.map(|line| line.name().to_string()).collect();
            let size = verified.checkpoint().size().get();
            self.uncosigned.push((size, names.join(", ")));
        }
    }

    fn note(&mut self, at: &Place, note: &Note) {
        let verified = match self.policy.check_signed(note) {
            Ok(verified) => verified,
            Err(flaw) => return self.flawed(at.clone(), &flaw),
        };
        self.notes_count += 1;
        self.count_cosigned(note, &verified);
        self.not_from_the_future(at, &verified);
        let seen = Seen::new(at.clone(), &verified, self.policy);
        if seen.size < self.last_size {
            let sentence = format!(
                "size {} behind size {}: the log has shrunk",
                seen.size, self.last_size
            );
            return self.flawed(at.clone(), &Flaw::new(FlawKind::History, sentence));
        }
        self.last_size = seen.size;
        if let Some(seen) = self.fitting(seen, &verified) {
            self.ahead.push_back(seen);
            let stated = Stated::new(at.clone(), &verified, note.clone(), Source::Log);
            self.stated.push(stated);
        }
    }

    /// The checkpoints of at most so many entries that were read since the last time, in the order of their sizes.
    pub(super) fn take_stated(&mut self, size: u64) -> Vec<Stated> {
        let (mut taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.stated)
            .into_iter()
            .partition(|stated| stated.size() <= size);
        self.stated = left;
        taken.sort_by_key(Stated::size);
        taken
    }

    /// Whether a checkpoint of this size was seen.
    pub(super) fn is_seen(&self, size: u64) -> bool {
        let next = [self.known.front(), self.ahead.front()];
        next.into_iter().flatten().any(|seen| seen.size <= size)
    }

    /// Passes the checkpoints of a size, of which the tree has this root.
    pub(super) fn pass(&mut self, size: u64, root: Hash) {
        while let Some(seen) = self.known.pop_front_if(|seen| seen.size <= size) {
            self.compare(&seen, root);
        }
        while let Some(seen) = self.ahead.pop_front_if(|seen| seen.size <= size) {
            self.compare(&seen, root);
            self.since = self.since.max(seen.last);
        }
    }

    fn compare(&mut self, seen: &Seen, root: Hash) {
        if seen.root != root {
            self.forks.push(seen.forks_from(root));
        }
    }

    /// The bounds of the entries from the present size to `end`, which were read until there: behind the latest time at which any
    /// tree without them was seen, before the earliest at which the quorum had seen one with them. A note that is put in again with
    /// an older or a later time loosens nothing.
    pub(super) fn bounds(&self, end: u64) -> Vec<Bound> {
        let mut earliest = self.head_seen_at;
        let behind = self.ahead.iter().rev().map(|seen| {
            earliest = [earliest, seen.quorum].into_iter().flatten().min();
            earliest
        });
        let behind: Vec<_> = behind.collect();
        let (mut bounds, mut after) = (Vec::new(), self.since);
        for (seen, before) in self.ahead.iter().zip(behind.into_iter().rev()) {
            bounds.push(Bound {
                until: seen.size,
                after,
                before,
            });
            after = after.max(seen.last);
            if seen.size >= end {
                return bounds;
            }
        }
        bounds.push(Bound {
            until: u64::MAX,
            after,
            before: self.head_seen_at,
        });
        bounds
    }

    /// What has come up since the last time.
    pub(super) fn take_differences(&mut self) -> Vec<Difference> {
        std::mem::take(&mut self.differences)
    }

    /// Behind the last entry: the forks, if the tree is the signed one; else nobody can tell.
    pub(super) fn finish<F: Files>(
        &mut self,
        files: &mut F,
        root: Hash,
    ) -> Result<Vec<Difference>, F::Fault> {
        while let Some(part) = self.parts.pop_front() {
            self.read_part(files, part)?;
        }
        self.pass(u64::MAX, root);
        let mut differences = self.take_differences();
        if self.head.is_some_and(|(_, signed)| signed == root) {
            differences.append(&mut self.forks);
        }
        Ok(differences)
    }
}

/// A file of the reader's own memory: directly in its folder, whatever its name.
fn is_known(name: &str) -> bool {
    name.strip_prefix(KNOWN)
        .is_some_and(|name| !name.is_empty() && !name.contains('/'))
}
