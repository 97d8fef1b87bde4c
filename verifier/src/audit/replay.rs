//! Entries decided again on the audit's own book, with their own time, salt and rules; what comes out is compared.
//!
//! After a difference the book goes on with what the rules give, not with what the trail says: the true state is the one
//! that the rules lead to. After an entry that cannot be read the state is unknown: from there on only forms are checked.

use serde::Serialize;
use std::collections::BTreeMap;

use super::lanes::Parsed;
use super::past::Bound;
use super::scoped::{ScopeSeen, Seen};
use super::signers::{LastEntry, Stated};
use super::{Difference, Head, Place};
use crate::book::Book;
use crate::book::command::{Command, ContinueTrail};
use crate::book::decide::decide_again;
use crate::book::entry::Entry;
use crate::book::scope::Scope;
use crate::book::state::key::Key;
use crate::id::FundId;
use crate::json;
use crate::refusal::Refusal;
use crate::signature::Kid;

/// So much of a member is shown on either side of the first byte that differs.
const EXCERPT: usize = 60;

/// A fund's money at the end of the trail, in fen, summed by what kind of account it lies in (DESIGN §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// The fund.
    pub fund: FundId,
    /// Whether every entry of the fund was seen; if not, this is the sum of those that were.
    pub whole: bool,
    /// Kind of account, such as `voucher` or `paid` → fen.
    pub fen: BTreeMap<String, i64>,
}

pub(super) struct Replay {
    book: Book,
    decided: u64,
    /// How many entries' times are bounded from both sides.
    bounded: u64,
    differences: Vec<Difference>,
    /// The first entry after which the state is unknown.
    lost_at: Option<u64>,
    origin: Option<String>,
    keys: Vec<String>,
    /// What is seen, where entries are withheld.
    seen: Option<Seen>,
    /// What is known of the last entry that was passed, and how many were.
    last: (LastEntry, u64),
    /// Whether the entry that names the log names no key of the policy: then nothing more is said of who signs.
    is_keyless: bool,
    /// What the newest entry that names the log says otherwise than the checkpoint.
    misnamed: Vec<Difference>,
    /// The entries by which the log goes on from another one.
    continued: Vec<(u64, ContinueTrail)>,
}

/// What the decisions come to.
pub(super) struct Decided {
    /// How many entries were decided again, and agree or differ.
    pub(super) decided: u64,
    /// How many were seen and could not be.
    pub(super) undecided: u64,
    /// How many entries' times are bounded from both sides.
    pub(super) bounded: u64,
    /// How much of each scope was seen, where entries are withheld.
    pub(super) scopes: Vec<ScopeSeen>,
    /// The balances that the entries lead to.
    pub(super) funds: Vec<Balance>,
    /// What differs.
    pub(super) differences: Vec<Difference>,
    /// The entries by which the log goes on from another one.
    pub(super) continued: Vec<(u64, ContinueTrail)>,
}

impl Replay {
    pub(super) fn new(head: &Head) -> Self {
        Self {
            book: Book::new(),
            decided: 0,
            bounded: 0,
            differences: Vec::new(),
            lost_at: None,
            origin: head.origin.clone(),
            keys: head.keys.clone(),
            seen: None,
            last: (LastEntry::At(None), 0),
            is_keyless: false,
            misnamed: Vec::new(),
            continued: Vec::new(),
        }
    }

    /// Expects that entries are withheld, all but those of these scopes.
    pub(super) fn limited_to(self, scopes: Vec<Scope>, now: Option<u64>) -> Self {
        Self {
            seen: Some(Seen::new(scopes, now)),
            ..self
        }
    }

    /// The keys that are registered so far.
    pub(super) fn keys(&self) -> impl ExactSizeIterator<Item = (&Kid, &Key)> {
        self.book.keys.iter()
    }

    /// Takes the next piece of the tree.
    pub(super) fn piece(&mut self, piece: Parsed) {
        let mut differences = std::mem::take(&mut self.differences);
        let mut bounds = piece.bounds.iter().peekable();
        let mut stated = piece.stated.into_iter().peekable();
        for (seq, entry) in (piece.first..).zip(piece.entries) {
            while let Some(passed) = stated.next_if(|stated| stated.size() <= seq) {
                differences.extend(self.judge(&passed));
            }
            while bounds.next_if(|bound| bound.until <= seq).is_some() {}
            let mut report = |code, expected: String, found: String| {
                let at = Place::Entry(seq);
                differences.push(Difference {
                    at,
                    code,
                    expected,
                    found,
                });
            };
            match entry {
                Some(Ok(entry)) => {
                    self.bound(bounds.peek().copied(), &entry, &mut report);
                    self.entry(seq, &entry, &mut report);
                    self.last.0 = LastEntry::At(self.book.last_at);
                }
                Some(Err(refusal)) => {
                    let expected = "the one spelling of an entry".to_owned();
                    report(refusal.code.as_str(), expected, refusal.sentence);
                    self.skip(seq);
                }
                None => {
                    self.seen.iter_mut().for_each(Seen::withheld);
                    self.skip(seq);
                }
            }
            self.last.1 = seq.saturating_add(1);
        }
        for passed in stated {
            differences.extend(self.judge(&passed));
        }
        self.differences = differences;
    }

    /// Holds who has signed a checkpoint against the keys that the log had then; nobody can where the state is unknown.
    fn judge(&self, stated: &Stated) -> Option<Difference> {
        let (last, passed) = self.last;
        let known = self.lost_at.is_none() && !self.is_keyless && stated.size() <= passed;
        known
            .then(|| stated.judge(&self.book.log_keys, last))
            .flatten()
    }

    /// Passes over an entry that is not there: nothing after it can be decided.
    fn skip(&mut self, seq: u64) {
        self.last.0 = LastEntry::Withheld;
        if self.seen.is_none() {
            self.lost_at.get_or_insert(seq);
        }
    }

    /// Holds an entry's time against what witnesses saw before and after it.
    fn bound(
        &mut self,
        bound: Option<&Bound>,
        entry: &Entry,
        report: &mut impl FnMut(&'static str, String, String),
    ) {
        let Some(bound) = bound else { return };
        self.bounded += u64::from(bound.after.is_some() && bound.before.is_some());
        if !bound.holds(entry.at.unix()) {
            report("entry.at-bounds", bound.to_string(), entry.at.to_string());
        }
    }

    fn entry(
        &mut self,
        seq: u64,
        entry: &Entry,
        report: &mut impl FnMut(&'static str, String, String),
    ) {
        if entry.seq != seq {
            report("entry.seq", seq.to_string(), entry.seq.to_string());
        }
        if let Some(last) = self.book.last_at.filter(|last| entry.at < *last) {
            report("entry.at", format!("{last} or later"), entry.at.to_string());
        }
        if let Command::OpenExchange(asked) = &entry.asked {
            self.name(seq, &asked.origin, &asked.log_vkey);
        }
        if let Command::ContinueTrail(asked) = &entry.asked {
            self.name(seq, &asked.origin, &asked.log_vkey);
            self.continued.push((seq, asked.clone()));
        }
        if let Some(seen) = &mut self.seen {
            self.decided += u64::from(seen.entry(&mut self.book, entry, report));
        } else if self.lost_at.is_none() {
            self.decide(seq, entry, report);
        }
        self.book.last_at = self.book.last_at.max(Some(entry.at));
    }

    /// Entry 0 names the log, and so does an entry by which it goes on from another one: the last of them says what the
    /// checkpoint does.
    fn name(&mut self, seq: u64, origin: &str, vkey: &str) {
        let differs = |code, expected: &str, found: &str| Difference {
            at: Place::Entry(seq),
            code,
            expected: expected.to_owned(),
            found: found.to_owned(),
        };
        self.misnamed.clear();
        if let Some(expected) = self
            .origin
            .as_deref()
            .filter(|expected| *expected != origin)
        {
            let difference = differs("entry.origin", expected, origin);
            self.misnamed.push(difference);
        }
        self.is_keyless = !self.keys.iter().any(|key| key == vkey);
        if self.is_keyless {
            let difference = differs("entry.log-key", &self.keys.join(" or "), vkey);
            self.misnamed.push(difference);
        }
    }

    fn decide(
        &mut self,
        seq: u64,
        entry: &Entry,
        report: &mut impl FnMut(&'static str, String, String),
    ) {
        self.decided += 1;
        match decide_again(&self.book, entry) {
            Ok(ours) => {
                compare(&ours, entry, report);
                if let Err(fault) = self.book.apply(&ours) {
                    let expected = "a book that holds together".to_owned();
                    report("book.inconsistent", expected, fault.sentence);
                    self.skip(seq);
                }
            }
            Err(refusal) => {
                let kind = entry.asked.kind().as_str();
                let found = format!("an accepted {kind}");
                report(refusal.code.as_str(), refused(&refusal), found);
                self.book.pass_over(seq, entry);
            }
        }
    }

    /// What all decisions come to.
    pub(super) fn finish(mut self, stated: Vec<Stated>, notes: &mut Vec<String>) -> Decided {
        for stated in stated {
            let difference = self.judge(&stated);
            self.differences.extend(difference);
        }
        let named_elsewhere = std::mem::take(&mut self.misnamed);
        self.differences.splice(0..0, named_elsewhere);
        if let Some(seq) = self.lost_at {
            notes.push(format!(
                "entries from {seq} on were not decided again: the state before them is unknown"
            ));
        }
        let (scopes, funds, undecided) = match self.seen {
            Some(seen) => {
                self.differences.extend(seen.unsealed());
                seen.finish(notes)
            }
            None => (Vec::new(), balances(&self.book), 0),
        };
        Decided {
            bounded: self.bounded,
            decided: self.decided,
            undecided,
            scopes,
            funds,
            differences: self.differences,
            continued: self.continued,
        }
    }
}

/// Each fund's money as a book has it.
fn balances(book: &Book) -> Vec<Balance> {
    let mut funds: BTreeMap<FundId, BTreeMap<String, i64>> = BTreeMap::new();
    for (account, fen) in book.money.balances() {
        let kinds = funds.entry(account.fund().clone()).or_default();
        let sum = kinds.entry(account.class().to_owned()).or_default();
        *sum = sum.saturating_add(fen.get());
    }
    let funds = funds.into_iter();
    let of = |(fund, fen)| Balance {
        fund,
        whole: true,
        fen,
    };
    funds.map(of).collect()
}

pub(super) fn refused(refusal: &Refusal) -> String {
    let values: Vec<_> = refusal
        .values
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    format!("a refusal: {} ({})", refusal.sentence, values.join(", "))
}

/// Reports each member that the rules give otherwise. All others are taken from the entry itself.
pub(super) fn compare(
    ours: &Entry,
    theirs: &Entry,
    report: &mut impl FnMut(&'static str, String, String),
) {
    if ours == theirs {
        return;
    }
    let mut member = |code, ours: Vec<u8>, theirs: Vec<u8>| {
        if ours != theirs {
            let (expected, found) = excerpts(&ours, &theirs);
            report(code, expected, found);
        }
    };
    member("entry.scopes", text(&ours.scopes), text(&theirs.scopes));
    member("entry.found", text(&ours.found), text(&theirs.found));
    member(
        "entry.postings",
        text(&ours.postings),
        text(&theirs.postings),
    );
    member(
        "entry.counters",
        text(&ours.counters),
        text(&theirs.counters),
    );
}

fn text<T: Serialize>(value: &T) -> Vec<u8> {
    json::write(value).unwrap_or_default()
}

/// The places around the first byte in which two texts differ.
fn excerpts(ours: &[u8], theirs: &[u8]) -> (String, String) {
    let same = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(EXCERPT);
    let cut = |bytes: &[u8]| {
        let to = bytes.len().min(same + EXCERPT);
        let part = String::from_utf8_lossy(bytes.get(from..to).unwrap_or_default()).into_owned();
        let (before, after) = (
            if from > 0 { "…" } else { "" },
            if to < bytes.len() { "…" } else { "" },
        );
        format!("{before}{part}{after}")
    };
    (cut(ours), cut(theirs))
}
