//! The receipts of one order, as this meter made them, and what must be added so that they state its runs.
//!
//! A plan is a difference: what the known runs amount to in an hour, less what was already stated about it. So a run of
//! the meter that was killed half way, or repeated with an overlapping export, adds only what is missing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use verifier::id::{GpuModel, Sha256Hash, SiteId};
use verifier::time::{ClockHour, Timestamp};

use super::merge::{self, Crowded, Piece, Use};

/// Receipts of one stream never overlap: a site and a GPU model, of one order.
pub type Stream = (SiteId, GpuModel);

/// What became of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Signed, and no answer was kept.
    Pending,
    /// In the trail.
    Accepted,
    /// The exchange said no, with this code. Its period is not stated again by itself.
    Refused(String),
    /// Refused once, and given up so that its period is planned anew.
    Dropped,
}

/// A receipt that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its number in the exchange's chain; a pending one's may still change.
    pub seq: u32,
    /// The index of the receipt that it corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<usize>,
    /// Where.
    pub site: SiteId,
    /// On what.
    pub gpu_model: GpuModel,
    /// From here.
    pub start: Timestamp,
    /// Up to here, exclusive.
    pub end: Timestamp,
    /// What it states in sum.
    pub gpu_seconds: i64,
    /// [`Piece::content`].
    pub content: Sha256Hash,
    /// What became of it.
    pub standing: Standing,
}

/// All receipts of one order in the order in which they were made, and where its chain goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The `seq` of the next receipt.
    pub seq: u32,
    /// Its `prev`.
    pub prev: Option<Sha256Hash>,
    /// The receipts; an index into them names one for good.
    pub receipts: Vec<Record>,
    /// The pending ones by index: compact JWS, the very bytes that were or will be sent. Kept in a file of their own.
    #[serde(skip)]
    pub outbox: BTreeMap<usize, String>,
    /// Whether the pending bytes were refused because of the settings, and must be signed again.
    #[serde(default)]
    pub is_stale: bool,
}

/// A receipt to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where, on what.
    pub stream: Stream,
    /// The use.
    pub piece: Piece,
    /// The index of the receipt that it corrects.
    pub corrects: Option<usize>,
}

/// What has to be signed, and what cannot be.
#[derive(Debug, Default)]
pub struct Plan {
    /// New receipts and corrections, by time.
    pub drafts: Vec<Draft>,
    /// Moments with more runs than a receipt can name.
    pub crowded: Vec<Crowded>,
}

impl Chain {
    /// Plans the hours of the streams in `touched`, whose whole use is `uses`.
    #[must_use]
    pub fn plan(
        &self,
        uses: &BTreeMap<Stream, Vec<Use>>,
        touched: &BTreeMap<Stream, BTreeSet<ClockHour>>,
    ) -> Plan {
        let (stated, untaken) = (self.stated(), Periods::new());
        let mut plan = Plan::default();
        for (stream, hours) in touched {
            let none = Vec::new();
            let by_hour = by_hour(uses.get(stream).unwrap_or(&none), hours);
            for hour in hours {
                let held = by_hour.get(hour).map_or(&[][..], Vec::as_slice);
                let known = stated.get(&(stream.clone(), *hour)).unwrap_or(&untaken);
                plan.hour(stream, *hour, held, known);
            }
        }
        plan.drafts
            .sort_by_key(|draft| (draft.piece.end, draft.piece.start));
        plan
    }

    /// Gives up every refused receipt, and returns where: those hours are to be planned anew.
    pub fn drop_refused(&mut self) -> BTreeMap<Stream, BTreeSet<ClockHour>> {
        let mut touched: BTreeMap<Stream, BTreeSet<ClockHour>> = BTreeMap::new();
        for record in &mut self.receipts {
            if matches!(record.standing, Standing::Refused(_)) {
                record.standing = Standing::Dropped;
                let stream = (record.site, record.gpu_model.clone());
                touched
                    .entry(stream)
                    .or_default()
                    .insert(record.start.hour());
            }
        }
        touched
    }

    /// Enters a signed receipt and moves the head behind it.
    pub fn push(&mut self, draft: &Draft, jws: String) {
        self.prev = Some(Sha256Hash::of(jws.as_bytes()));
        self.outbox.insert(self.receipts.len(), jws);
        let Draft {
            stream: (site, gpu_model),
            piece,
            corrects,
        } = draft;
        self.receipts.push(Record {
            seq: self.seq,
            corrects: *corrects,
            site: *site,
            gpu_model: gpu_model.clone(),
            start: piece.start,
            end: piece.end,
            gpu_seconds: piece.gpu_seconds,
            content: piece.content(),
            standing: Standing::Pending,
        });
        self.seq += 1;
    }

    /// INVARIANT: exactly the pending receipts have bytes in the outbox.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let pending = |(index, record): (usize, &Record)| {
            (record.standing == Standing::Pending) == self.outbox.contains_key(&index)
        };
        let in_reach = self.outbox.keys().all(|index| *index < self.receipts.len());
        in_reach && self.receipts.iter().enumerate().all(pending)
    }

    /// The receipt that a correction of `index` names: that one or, where the exchange refused it, the one it was to
    /// correct itself. None where nothing of it is or will be in the trail: then its period is stated for the first time.
    #[must_use]
    pub fn corrected(&self, index: usize) -> Option<&Record> {
        let earlier = |index: &usize| self.receipts.get(*index)?.corrects;
        let mut line = std::iter::successors(Some(index), earlier);
        line.find_map(|index| self.receipts.get(index).filter(|record| record.stands()))
    }

    /// The periods that are taken, by stream and hour.
    fn stated(&self) -> BTreeMap<(Stream, ClockHour), Periods> {
        let mut stated: BTreeMap<(Stream, ClockHour), Periods> = BTreeMap::new();
        for (index, record) in self.receipts.iter().enumerate() {
            let hour = ((record.site, record.gpu_model.clone()), record.start.hour());
            let period = stated
                .entry(hour)
                .or_default()
                .entry((record.start, record.end));
            // A correction repeats its period, so the last one that stands has the last word.
            if record.stands() {
                *period.or_default() = Some((index, record.content));
            } else if record.standing != Standing::Dropped {
                period.or_default();
            }
        }
        stated
    }
}

impl Record {
    fn stands(&self) -> bool {
        match self.standing {
            Standing::Pending | Standing::Accepted => true,
            Standing::Refused(_) | Standing::Dropped => false,
        }
    }
}

/// The periods of an hour that receipts took, by time: the index and content of the last word on each, or `None` where the
/// exchange refused it.
type Periods = BTreeMap<(Timestamp, Timestamp), Option<(usize, Sha256Hash)>>;

impl Plan {
    fn hour(&mut self, stream: &Stream, hour: ClockHour, held: &[&Use], known: &Periods) {
        let mut free_from = hour.start();
        for (&(start, end), last_word) in known {
            self.gap(stream, held, free_from, start);
            if let Some((index, content)) = *last_word {
                let piece = merge::piece(held, start, end);
                self.correction(stream, piece, index, content);
            }
            free_from = free_from.max(end);
        }
        self.gap(stream, held, free_from, hour.next().start());
    }

    fn gap(&mut self, stream: &Stream, held: &[&Use], start: Timestamp, end: Timestamp) {
        if start >= end {
            return;
        }
        let (pieces, crowded) = merge::pieces(held, start, end);
        let stream = stream.clone();
        let draft = |piece| Draft {
            stream: stream.clone(),
            piece,
            corrects: None,
        };
        self.drafts.extend(pieces.into_iter().map(draft));
        self.crowded.extend(crowded);
    }

    fn correction(&mut self, stream: &Stream, piece: Piece, index: usize, content: Sha256Hash) {
        if piece.content() == content {
            return;
        }
        if piece.fits() {
            self.drafts.push(Draft {
                stream: stream.clone(),
                piece,
                corrects: Some(index),
            });
        } else {
            let Piece {
                start,
                end,
                gpu_seconds,
                jobs,
                ..
            } = piece;
            self.crowded.push(Crowded {
                start,
                end,
                runs: jobs.len(),
                gpu_seconds,
            });
        }
    }
}

fn by_hour<'a>(uses: &'a [Use], hours: &BTreeSet<ClockHour>) -> BTreeMap<ClockHour, Vec<&'a Use>> {
    let mut by_hour: BTreeMap<ClockHour, Vec<&Use>> = BTreeMap::new();
    for held in uses {
        for hour in hours.range(held.start.hour()..=held.end.after(-1).hour()) {
            by_hour.entry(*hour).or_default().push(held);
        }
    }
    by_hour
}
