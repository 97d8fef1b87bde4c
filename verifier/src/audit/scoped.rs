//! Entries of some scopes alone: checked as far as they go without what is withheld (TRAIL E1, E2, E9).
//!
//! Every entry that is seen has its form, signature, numbers and postings checked. It is decided again on a book of what is seen; where
//! that agrees, the decision holds. Where it does not, and no entry of its scopes is missing before it, that is a difference.
//! Otherwise its decision may rest on what is withheld: it is counted as not decided again, and its own word is taken.

mod part;

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

use super::replay::{compare, refused};
use super::{Balance, Difference, Place};
use crate::book::Book;
use crate::book::command::{
    AcceptReceipt, Command, GiveAcceptance, PlaceOrder, SealBook, ShareCapacity,
};
use crate::book::decide::decide_again;
use crate::book::entry::Entry;
use crate::book::reach;
use crate::book::scope::Scope;
use crate::id::{FundId, PartyId};
use crate::ledger::Account;
use crate::receipt::{Claims, Signed};
use crate::time::{NamedPeriod, Timestamp};

/// A server states what each scope has once a day: entries that are withheld behind an older statement are a difference where the
/// reader says what time it is. One hour is for its timers.
pub const UNSEALED_SECONDS: u64 = 25 * 3_600;

/// How much of a scope was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScopeSeen {
    /// The scope.
    pub scope: Scope,
    /// Its entries that were seen.
    pub seen: u64,
    /// How many the newest `book.sealed` states before itself.
    pub sealed: Option<u64>,
    /// The number of that entry.
    pub sealed_at: Option<u64>,
}

/// Takes what is not as it must be: its code, what was expected, what was found.
pub(super) trait Report: FnMut(&'static str, String, String) {}
impl<F: FnMut(&'static str, String, String)> Report for F {}

/// What is known of the scopes besides the book.
pub(super) struct Seen {
    limit: Vec<Scope>,
    counts: BTreeMap<Scope, u64>,
    sealed: BTreeMap<Scope, (u64, u64)>,
    tail: Tail,
    now: Option<u64>,
    /// Scopes of which entries are missing.
    gapped: BTreeSet<Scope>,
    /// Scopes whose state the book does not hold: an entry of theirs could not be applied.
    broken: BTreeSet<Scope>,
    undecided: u64,
    funds: BTreeMap<FundId, BTreeMap<String, i64>>,
}

/// What no `book.sealed` speaks of yet.
struct Tail {
    /// Number and time of the entry from which on a whole statement was begun; entry 0 before any.
    since: Option<(u64, Timestamp)>,
    /// The beginning of a statement that is not whole yet.
    begun: Option<(u64, Timestamp)>,
    /// How many entries are withheld behind the one, and behind the other.
    withheld: u64,
    withheld_since_begun: u64,
}

impl Tail {
    const NOTHING: Self = Self {
        since: None,
        begun: None,
        withheld: 0,
        withheld_since_begun: 0,
    };

    fn seal(&mut self, entry: &Entry, asked: &SealBook) {
        if asked.after.is_none() {
            self.begun = Some((entry.seq, entry.at));
            self.withheld_since_begun = 0;
        }
        let is_last = entry
            .found
            .sealed
            .as_ref()
            .is_some_and(|sealed| sealed.next.is_none());
        if is_last && self.begun.is_some() {
            self.since = self.begun.take();
            self.withheld = self.withheld_since_begun;
        }
    }
}

impl Seen {
    pub(super) const fn new(limit: Vec<Scope>, now: Option<u64>) -> Self {
        Self {
            limit,
            tail: Tail::NOTHING,
            now,
            counts: BTreeMap::new(),
            sealed: BTreeMap::new(),
            gapped: BTreeSet::new(),
            broken: BTreeSet::new(),
            undecided: 0,
            funds: BTreeMap::new(),
        }
    }

    fn covers(&self, scope: &Scope) -> bool {
        *scope == Scope::Common || self.limit.iter().any(|own| own.covers(scope))
    }

    /// Checks the next entry that is seen; says whether it was decided again.
    pub(super) fn entry(
        &mut self,
        book: &mut Book,
        entry: &Entry,
        report: &mut impl Report,
    ) -> bool {
        self.count(book, entry, report);
        self.add(entry);
        book.size = entry.seq;
        self.tail.since.get_or_insert((entry.seq, entry.at));
        if let Command::SealBook(asked) = &entry.asked {
            self.tail.seal(entry, asked);
            self.seal(book, (entry, asked), report);
            self.apply(book, entry, report);
            return true;
        }
        check_signature(book, entry, report);
        self.decide(book, entry, report)
    }

    /// Numbers are gapless in the scopes that are seen, and never fall in any.
    fn count(&mut self, book: &mut Book, entry: &Entry, report: &mut impl Report) {
        for (scope, number) in &entry.scopes {
            let next = book.scopes.get(scope).copied().unwrap_or(0);
            let is_wrong = *number < next || (*number > next && self.covers(scope));
            if is_wrong {
                let expected = format!("entry {next} of {scope}");
                report("trail.scope-gap", expected, format!("entry {number} of it"));
            }
            if *number != next {
                self.gapped.insert(scope.clone());
            }
            book.scopes.insert(scope.clone(), *number);
            let count = self.counts.entry(scope.clone()).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// A fund's balances are the sum of what moved in it: each entry that moves its money is in its scope.
    fn add(&mut self, entry: &Entry) {
        for (account, fen) in entry.postings.legs() {
            let kinds = self.funds.entry(account.fund().clone()).or_default();
            let sum = kinds.entry(account.class().to_owned()).or_default();
            *sum = sum.saturating_add(fen.get());
        }
    }

    /// What `book.sealed` states of the scopes that it speaks of is what was seen of them.
    fn seal(
        &mut self,
        book: &mut Book,
        (entry, asked): (&Entry, &SealBook),
        report: &mut impl Report,
    ) {
        let Some(sealed) = &entry.found.sealed else {
            return;
        };
        let stated: BTreeMap<&Scope, u64> = sealed
            .counts
            .iter()
            .map(|(scope, count)| (scope, *count))
            .collect();
        let speaks_of = |scope: &Scope| {
            asked.after.as_ref().is_none_or(|after| scope > after)
                && sealed.next.as_ref().is_none_or(|next| scope <= next)
        };
        let counted: BTreeSet<Scope> = book
            .scopes
            .keys()
            .filter(|scope| speaks_of(scope))
            .chain(stated.keys().copied())
            .cloned()
            .collect();
        for scope in counted {
            let count = stated.get(&scope).copied().unwrap_or(0);
            let seen = book.scopes.get(&scope).copied().unwrap_or(0);
            let is_own = self.covers(&scope);
            if is_own {
                self.sealed.insert(scope.clone(), (count, entry.seq));
            }
            if count == seen {
                continue;
            }
            if is_own {
                let expected = format!("{count} entries of {scope} before this one");
                report("trail.scope-gap", expected, format!("{seen} of them"));
            }
            self.gapped.insert(scope.clone());
            book.scopes.insert(scope, count);
        }
    }

    fn decide(&mut self, book: &mut Book, entry: &Entry, report: &mut impl Report) -> bool {
        let ours = match decide_again(book, entry) {
            Ok(ours) if ours == *entry => {
                self.apply(book, entry, report);
                return true;
            }
            ours => ours,
        };
        if part::is_of_many(entry) && self.is_partial() {
            return self.decide_part(book, entry, (ours.ok(), report));
        }
        if !self.is_whole(entry) || rests_on_others(book, entry) {
            return self.take_its_word(book, entry);
        }
        match ours {
            Ok(ours) => {
                if closed_elsewhere(book, &ours, entry) {
                    self.apply(book, entry, report);
                } else if kept_elsewhere(&ours, entry) {
                    return self.take_its_word(book, entry);
                } else {
                    compare(&ours, entry, report);
                    self.apply(book, &ours, report);
                }
            }
            Err(refusal) => {
                let found = format!("an accepted {}", entry.asked.kind().as_str());
                report(refusal.code.as_str(), refused(&refusal), found);
                book.pass_over(entry.seq, entry);
            }
        }
        true
    }

    /// Takes what an entry says of the orders that are seen whole; says whether that is what the rules give.
    fn decide_part(
        &mut self,
        book: &mut Book,
        entry: &Entry,
        (ours, report): (Option<Entry>, &mut impl Report),
    ) -> bool {
        let lacks = |scope: Scope| self.gapped.contains(&scope) || self.broken.contains(&scope);
        let is_whole = |fund: &FundId| !lacks(Scope::Fund(fund.clone()));
        let part = part::of(book, entry, is_whole);
        let ours = ours.map(|ours| (part::is_all(&ours), part::of(book, &ours, is_whole)));
        let agrees = ours
            .as_ref()
            .is_some_and(|(_, ours)| part::agree(&ours.entry, &part.entry));
        let ours = ours.filter(|(is_all, _)| *is_all && part::is_all(entry));
        self.broken.extend(part.lost.into_iter().map(Scope::Fund));
        let is_known = agrees || ours.is_some();
        self.undecided = self.undecided.saturating_add(u64::from(!is_known));
        let part = match ours {
            Some((_, mut ours)) if !agrees => {
                // Of what scopes it is that are not seen, is its own word.
                ours.entry.scopes.clone_from(&entry.scopes);
                compare(&ours.entry, &part.entry, report);
                ours.entry
            }
            Some(_) | None => part.entry,
        };
        let ruled = part.found.ruled.as_ref();
        if ruled.is_some_and(|ruled| ruled.claims.is_empty()) {
            book.pass_over(entry.seq, entry);
        } else if book.apply(&part).is_err() {
            self.give_up(book, entry);
        }
        is_known
    }

    /// Whether anything is kept from this view, or was lost to it.
    fn is_partial(&self) -> bool {
        !self.gapped.is_empty() || !self.broken.is_empty()
    }

    /// Whether every earlier entry of its scopes, and every common one, was seen and is in the book.
    fn is_whole(&self, entry: &Entry) -> bool {
        let lacks = |scope: &Scope| self.gapped.contains(scope) || self.broken.contains(scope);
        !entry.scopes.is_empty()
            && !lacks(&Scope::Common)
            && !entry.scopes.iter().any(|(scope, _)| lacks(scope))
    }

    fn take_its_word(&mut self, book: &mut Book, entry: &Entry) -> bool {
        self.undecided = self.undecided.saturating_add(1);
        if book.apply(entry).is_err() {
            self.give_up(book, entry);
        }
        false
    }

    fn apply(&mut self, book: &mut Book, entry: &Entry, report: &mut impl Report) {
        if let Err(fault) = book.apply(entry) {
            let expected = "a book that holds together".to_owned();
            report("book.inconsistent", expected, fault.sentence);
            self.give_up(book, entry);
        }
    }

    /// The book lacks what this entry did. Whatever reads that state moves money of the same funds, or is of the same scopes.
    fn give_up(&mut self, book: &mut Book, entry: &Entry) {
        let is_fund = |scope: &&Scope| matches!(scope, Scope::Fund(_));
        let scopes = || entry.scopes.iter().map(|(scope, _)| scope);
        let funds: Vec<Scope> = scopes().filter(is_fund).cloned().collect();
        if funds.is_empty() {
            self.broken.extend(scopes().cloned());
        }
        self.broken.extend(funds);
        book.pass_over(entry.seq, entry);
    }

    /// Passes an entry that is here by its hash alone.
    pub(super) const fn withheld(&mut self) {
        self.tail.withheld = self.tail.withheld.saturating_add(1);
        self.tail.withheld_since_begun = self.tail.withheld_since_begun.saturating_add(1);
    }

    /// Whether more is withheld, for longer, than the next statement of the scopes' counts can be waited for.
    pub(super) fn unsealed(&self) -> Option<Difference> {
        let (Some(now), Some((seq, at))) = (self.now, self.tail.since) else {
            return None;
        };
        let at = u64::try_from(at.unix()).unwrap_or(0);
        let is_old = at.saturating_add(UNSEALED_SECONDS) < now;
        (is_old && self.tail.withheld > 0).then(|| Difference {
            at: Place::Entry(seq),
            code: "trail.unsealed",
            expected: format!("a book.sealed of the last {UNSEALED_SECONDS} s"),
            found: format!(
                "{} entries withheld behind this one of {} s ago: whose they are, nothing states",
                self.tail.withheld,
                now.saturating_sub(at)
            ),
        })
    }

    /// How much of each scope was seen, the funds' balances, how many entries were not decided again.
    pub(super) fn finish(self, notes: &mut Vec<String>) -> (Vec<ScopeSeen>, Vec<Balance>, u64) {
        self.note(notes);
        let mut scopes: BTreeSet<Scope> = self.counts.keys().cloned().collect();
        scopes.extend(self.sealed.keys().cloned());
        scopes.retain(|scope| self.covers(scope));
        let of = |scope: Scope| {
            let sealed = self.sealed.get(&scope).copied();
            ScopeSeen {
                seen: self.counts.get(&scope).copied().unwrap_or(0),
                sealed: sealed.map(|(count, _)| count),
                sealed_at: sealed.map(|(_, seq)| seq),
                scope,
            }
        };
        let scopes = scopes.into_iter().map(of).collect();
        let lacks = |fund: &FundId| self.gapped.contains(&Scope::Fund(fund.clone()));
        let funds = self.funds.iter().map(|(fund, fen)| Balance {
            fund: fund.clone(),
            whole: !lacks(fund),
            fen: fen.clone(),
        });
        (scopes, funds.collect(), self.undecided)
    }

    fn note(&self, notes: &mut Vec<String>) {
        notes.push(match self.sealed.values().map(|(_, seq)| *seq).max() {
            Some(seq) => format!(
                "entry {seq} is the newest book.sealed: that nothing after it is withheld is shown by the next one"
            ),
            None => "there is no book.sealed yet: that nothing is withheld behind the last entry seen of a scope is not shown".into(),
        });
        notes.push(
            "of what scopes a withheld entry is, is its own word: whoever sees the whole trail checks it".into(),
        );
        if self.undecided > 0 {
            notes.push(format!(
                "{} entries were not decided again, for what they rest on is withheld: their form, signature, numbers and postings hold",
                self.undecided
            ));
        }
    }
}

/// Whether the decision may rest on entries of other scopes: a cap that programmes share, a programme whose versions draw on
/// different funds, data orders that a receipt proves.
fn rests_on_others(book: &Book, entry: &Entry) -> bool {
    if let Some(Claims::Usage(usage)) =
        statement(&entry.asked).map(|signed| signed.receipt().claims())
        && usage.inputs.iter().flatten().next().is_some()
    {
        return true;
    }
    // A statement that moves nothing names no fund, and what it kept may lie in any.
    let is_common = |(scope, _): &(Scope, u64)| *scope == Scope::Common;
    if matches!(entry.asked, Command::CloseStatement(_)) && entry.scopes.iter().all(is_common) {
        return true;
    }
    let is_of = |scopes: &[Scope]| {
        scopes
            .iter()
            .any(|scope| entry.scopes.iter().any(|(own, _)| own == scope))
    };
    book.programmes.values().any(|enactment| {
        let mut versions = enactment.versions.iter().map(|version| &*version.programme);
        let scopes: BTreeSet<Vec<Scope>> = versions.clone().map(reach::programme).collect();
        let shares = versions.any(|rules| rules.caps.iter().any(|cap| cap.shared.is_some()));
        (shares || scopes.len() > 1) && scopes.iter().any(|scopes| is_of(scopes))
    })
}

/// Whether the entry follows once a period counts as closed: a statement that paid from other funds alone closes it too, and is
/// withheld. What is earned then belongs to a later period; no amount differs.
fn closed_elsewhere(book: &mut Book, ours: &Entry, entry: &Entry) -> bool {
    let theirs = entry.postings.legs();
    let mut later: Vec<(PartyId, NamedPeriod)> = Vec::new();
    for (account, _) in ours.postings.legs() {
        if let Account::Earned(_, party, _, period) = account
            && !theirs.iter().any(|(other, _)| other == account)
            && !book.money.is_closed(*party, *period)
        {
            later.push((*party, *period));
        }
    }
    if later.is_empty() {
        return false;
    }
    for (party, period) in &later {
        book.money.suppose_closed(*party, *period, true);
    }
    if decide_again(book, entry).is_ok_and(|ours| ours == *entry) {
        return true;
    }
    for (party, period) in &later {
        book.money.suppose_closed(*party, *period, false);
    }
    false
}

/// Whether a statement moves what ours moves and says something else of what it keeps: that may lie in other funds.
fn kept_elsewhere(ours: &Entry, entry: &Entry) -> bool {
    matches!(entry.asked, Command::CloseStatement(_))
        && (&ours.postings, &ours.counters, &ours.scopes)
            == (&entry.postings, &entry.counters, &entry.scopes)
}

/// A statement is signed by the key that it names; keys are common, so that all of them are seen.
fn check_signature(book: &Book, entry: &Entry, report: &mut impl Report) {
    let Some(signed) = statement(&entry.asked) else {
        return;
    };
    let kid = signed.receipt().kid();
    match book.keys.get(&kid) {
        Some(key) => {
            if let Err(refusal) = signed.verify(&key.public) {
                let expected = format!("a signature by {kid}");
                report(refusal.code.as_str(), expected, refusal.sentence);
            }
        }
        None => report(
            "receipt.key-unknown",
            "a registered key".to_owned(),
            format!("{kid}, which no entry registers"),
        ),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all others enter none")]
const fn statement(command: &Command) -> Option<&Signed> {
    match command {
        Command::AcceptReceipt(AcceptReceipt { jws })
        | Command::GiveAcceptance(GiveAcceptance { jws })
        | Command::ShareCapacity(ShareCapacity { jws })
        | Command::PlaceOrder(PlaceOrder { jws: Some(jws), .. }) => Some(jws),
        _ => None,
    }
}
