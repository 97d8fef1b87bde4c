//! From judged runs to the runs that an order is known to have: what is new, what changed, what cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use verifier::id::{DocumentDigest, OrderId};
use verifier::time::ClockHour;

use super::chain::{Chain, Stream};
use super::merge::Use;
use super::row::{RefusedRow, RowCode};
use super::run::{Facts, Run};

/// A run that was metered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownRun {
    /// Its figures.
    pub facts: Facts,
    /// The newest export that contained it.
    pub export: DocumentDigest,
}

/// Everything the meter knows about one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderBook {
    /// Its runs by name.
    pub runs: BTreeMap<String, KnownRun>,
    /// Its receipts.
    pub chain: Chain,
    /// Hours whose use changed since they were last planned.
    pub touched: BTreeMap<Stream, BTreeSet<ClockHour>>,
}

/// How many runs were taken, and which were not.
#[derive(Debug, Default)]
pub struct Taken {
    /// Never seen before.
    pub new: u64,
    /// Seen with other figures: a running job that went on or ended.
    pub changed: u64,
    /// Seen before, word for word, or in a newer export.
    pub known: u64,
    /// Contradicting what was metered before.
    pub refused: Vec<RefusedRow>,
}

/// Takes over the runs of one export.
pub fn take(
    books: &mut BTreeMap<OrderId, OrderBook>,
    runs: Vec<Run>,
    export: DocumentDigest,
) -> Taken {
    let mut taken = Taken::default();
    for run in runs {
        if let Some(refused) = contradiction(books, &run) {
            taken.refused.push(refused);
            continue;
        }
        let book = books.entry(run.order).or_default();
        match book.runs.get_mut(&run.name) {
            None => {
                taken.new += 1;
                book.replace(run, export);
            }
            Some(known) if known.facts == run.facts || is_older(&run.facts, &known.facts) => {
                taken.known += 1;
                known.export = export;
            }
            Some(_) => {
                taken.changed += 1;
                book.replace(run, export);
            }
        }
    }
    taken
}

/// A running job's row grows; a shorter one, or one of a job that has ended, is from an older export.
fn is_older(row: &Facts, known: &Facts) -> bool {
    !row.state.is_ended() && (known.state.is_ended() || row.end <= known.end)
}

impl OrderBook {
    fn replace(&mut self, run: Run, export: DocumentDigest) {
        self.touch(&run.facts);
        let known = KnownRun {
            facts: run.facts,
            export,
        };
        if let Some(before) = self.runs.insert(run.name, known) {
            self.touch(&before.facts);
        }
    }

    fn touch(&mut self, facts: &Facts) {
        for model in facts.gpus.keys() {
            let hours = self.touched.entry((facts.site, model.clone())).or_default();
            let (mut hour, last) = (facts.start.hour(), facts.end.after(-1).hour());
            while hour <= last {
                hours.insert(hour);
                hour = hour.next();
            }
        }
    }

    /// The use of all known runs in the touched streams.
    #[must_use]
    pub fn uses(&self) -> BTreeMap<Stream, Vec<Use>> {
        let mut uses: BTreeMap<Stream, Vec<Use>> = BTreeMap::new();
        for (name, KnownRun { facts, .. }) in &self.runs {
            let run: Arc<str> = name.as_str().into();
            let streams = facts
                .gpus
                .iter()
                .map(|(model, gpus)| ((facts.site, model.clone()), *gpus));
            for (stream, gpus) in streams.filter(|(stream, _)| self.touched.contains_key(stream)) {
                let Facts {
                    start,
                    end,
                    seconds,
                    state,
                    ..
                } = *facts;
                let held = Use {
                    run: run.clone(),
                    state,
                    gpus,
                    start,
                    end,
                    seconds,
                };
                uses.entry(stream).or_default().push(held);
            }
        }
        uses
    }

    /// The one export that contains all of these runs; `None` where it takes several.
    #[must_use]
    pub fn export_of<'a>(&self, runs: impl Iterator<Item = &'a str>) -> Option<DocumentDigest> {
        let mut exports = runs.map(|run| self.runs.get(run).map(|known| known.export));
        let first = exports.next()??;
        if exports.all(|export| export == Some(first)) {
            Some(first)
        } else {
            None
        }
    }
}

/// What was metered before and cannot be true together with `run`.
fn contradiction(books: &BTreeMap<OrderId, OrderBook>, run: &Run) -> Option<RefusedRow> {
    let refuse = |code, sentence| {
        Some(RefusedRow {
            line: run.line,
            job: run.name.clone(),
            code,
            sentence,
        })
    };
    for (order, book) in books {
        if *order != run.order && book.runs.contains_key(&run.name) {
            let sentence = format!("it was metered for {order}; a run belongs to one order");
            return refuse(RowCode::OtherOrder, sentence);
        }
        // Names of one job differ only behind the `@`, so they lie side by side.
        let Some((job, _)) = run.name.split_once('@') else {
            continue;
        };
        let (first, last) = (format!("{job}@"), format!("{job}A"));
        for (name, known) in book.runs.range(first..last) {
            let (a, b) = (&known.facts, &run.facts);
            if *name != run.name && a.start < b.end && b.start < a.end {
                let sentence = format!(
                    "it overlaps {name} of the same job; was one of the exports made with --truncate?"
                );
                return refuse(RowCode::Truncated, sentence);
            }
        }
    }
    None
}
