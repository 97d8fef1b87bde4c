//! What an order's receipts have said: chains by issuer, use by segment, deliveries by manifest (DESIGN §4.4, §5).

use std::collections::BTreeMap;

use crate::book::command::Billing;
use crate::id::{DocumentDigest, OrderId, PartyId, Sha256Hash};
use crate::receipt::{ComputeUsage, Verdict};
use crate::settlement::evidence::{Correction, Use};
use crate::signature::Kid;
use crate::time::{ClockHour, Timestamp};

/// The states of a run whose GPU time is not billed, unless terms say otherwise (DESIGN §5, `jobs`).
pub const UNBILLED_STATES: [&str; 2] = ["NODE_FAIL", "BOOT_FAIL"];

/// The accepted receipts of one issuer on one order, by `seq`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    accepted: Vec<Accepted>,
    /// From which `seq` on which key has signed: few keys sign many receipts.
    keys: Vec<(u32, Kid)>,
}

/// One accepted receipt: about 100 bytes, of which there are millions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The hash of its compact JWS.
    pub hash: Sha256Hash,
    /// The entry that accepted it.
    pub entry: u64,
    /// When.
    pub at: Timestamp,
    /// What it says of use; deliveries and acceptances are kept in [`Dealings`].
    pub usage: Option<Usage>,
}

/// What a usage receipt or correction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// In which segment of the terms.
    pub segment: u16,
    /// Which line of the order's money it is: a correction keeps the line of what it corrects.
    pub line: u32,
    /// On how many cards; 0 is void.
    pub gpu_count: u32,
    /// From this second …
    pub start: Timestamp,
    /// … to before this one.
    pub end: Timestamp,
    /// Used.
    pub gpu_seconds: i64,
    /// Of these in states that are not billed.
    pub unbilled: i64,
    /// By which runs.
    pub runs: Box<[RunHash]>,
    /// Whether a correction took its place.
    pub replaced: bool,
}

/// The first 16 bytes of SHA-256 of a run's name.
pub type RunHash = [u8; 16];

impl Chain {
    /// A chain without receipts.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            accepted: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// The `seq` of the next receipt.
    #[must_use]
    pub fn next(&self) -> u32 {
        u32::try_from(self.accepted.len()).unwrap_or(u32::MAX)
    }

    /// The `prev` of the next receipt.
    #[must_use]
    pub fn head(&self) -> Option<Sha256Hash> {
        self.accepted.last().map(|accepted| accepted.hash)
    }

    /// An accepted receipt.
    #[must_use]
    pub fn get(&self, seq: u32) -> Option<&Accepted> {
        self.accepted.get(usize::try_from(seq).ok()?)
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn accepted(&self) -> &[Accepted] {
        &self.accepted
    }

    /// Those that a key has signed and that were accepted since a moment, with their `seq`, oldest first.
    pub fn signed_by(&self, kid: Kid, since: Timestamp) -> impl Iterator<Item = (u32, &Accepted)> {
        let all = (0_u32..).zip(&self.accepted);
        all.filter(move |(seq, accepted)| accepted.at >= since && self.key(*seq) == Some(kid))
    }

    fn key(&self, seq: u32) -> Option<Kid> {
        let before = self.keys.partition_point(|(from, _)| *from <= seq);
        let span = self.keys.get(before.checked_sub(1)?);
        span.map(|(_, kid)| *kid)
    }

    pub(in crate::book) fn push(&mut self, accepted: Accepted, kid: Kid) {
        if self.keys.last().is_none_or(|(_, last)| *last != kid) {
            self.keys.push((self.next(), kid));
        }
        self.accepted.push(accepted);
    }

    pub(in crate::book) fn usage_mut(&mut self, seq: u32) -> Option<&mut Usage> {
        let accepted = self.accepted.get_mut(usize::try_from(seq).ok()?)?;
        accepted.usage.as_mut()
    }
}

impl Usage {
    /// What a receipt says, in its segment.
    #[must_use]
    pub fn of(claims: &ComputeUsage, segment: u16, line: u32) -> Self {
        let unbilled = claims.jobs.iter();
        let unbilled = unbilled.filter(|job| UNBILLED_STATES.contains(&job.state.as_str()));
        Self {
            segment,
            line,
            gpu_count: claims.gpu_count,
            start: claims.start,
            end: claims.end,
            gpu_seconds: claims.gpu_seconds.get(),
            unbilled: unbilled.map(|job| job.gpu_seconds.get()).sum(),
            runs: runs(claims),
            replaced: false,
        }
    }

    /// Whether it takes back everything.
    #[must_use]
    pub const fn is_void(&self) -> bool {
        self.gpu_count == 0
    }

    /// What is billed: used GPU-seconds in payable states, or reserved cards × covered seconds.
    #[must_use]
    pub fn units(&self, billing: Billing) -> i64 {
        match billing {
            Billing::Metered => self.gpu_seconds.saturating_sub(self.unbilled),
            Billing::Reserved => self.reserved(self.end.unix() - self.start.unix()),
        }
    }

    /// The GPU-seconds occupied in each clock hour that the period touches.
    ///
    /// Exact: a period across an hour is used in full (`receipt.rate`), a period inside one has one sum.
    pub fn occupied(&self, billing: Billing) -> impl Iterator<Item = (ClockHour, i64)> {
        let (start, end) = (self.start, self.end);
        let hours = std::iter::successors(Some(start.hour()), |hour| Some(hour.next()));
        let hours = hours.take_while(move |hour| hour.start() < end);
        hours.map(move |hour| {
            let from = start.max(hour.start());
            let to = end.min(hour.next().start());
            let whole = (from, to) == (start, end);
            let seconds = match billing {
                Billing::Metered if whole => self.gpu_seconds,
                Billing::Metered | Billing::Reserved => self.reserved(to.unix() - from.unix()),
            };
            (hour, seconds)
        })
    }

    /// What the order's money counts for a usage receipt.
    #[must_use]
    pub fn counted(&self, order: OrderId, billing: Billing) -> Use {
        Use {
            order,
            segment: self.segment,
            units: self.units(billing),
            end: self.end,
        }
    }

    /// What the order's money counts for a correction, in place of the same line.
    #[must_use]
    pub fn correction(&self, order: OrderId, billing: Billing) -> Correction {
        Correction {
            order,
            corrects: self.line,
            segment: self.segment,
            units: self.units(billing),
        }
    }

    fn reserved(&self, seconds: i64) -> i64 {
        i64::from(self.gpu_count).saturating_mul(seconds)
    }
}

/// The distinct runs of a receipt, sorted.
fn runs(claims: &ComputeUsage) -> Box<[RunHash]> {
    let mut runs: Vec<RunHash> = claims.jobs.iter().map(|job| run_hash(&job.run)).collect();
    runs.sort_unstable();
    runs.dedup();
    runs.into()
}

/// The name of a run in counters.
#[must_use]
pub fn run_hash(run: &str) -> RunHash {
    let hash = Sha256Hash::of(run.as_bytes());
    let mut short = RunHash::default();
    short.copy_from_slice(hash.bytes().split_at(16).0);
    short
}

/// What an order's evidence comes to, besides money.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dealings {
    /// By segment of the terms.
    pub segments: BTreeMap<u16, SegmentUse>,
    /// How many usage receipts, corrections not counted: the next line of the order's money.
    pub lines: u32,
    /// The last delivery of each ordered version.
    pub deliveries: BTreeMap<DocumentDigest, Delivered>,
    /// Whether a compute receipt has named a dataset of this order as its input.
    pub use_proven: bool,
    /// Which one; none where a document proves it.
    pub proven_by: Option<Prover>,
}

/// A compute receipt that proves the use of a dataset, by its place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prover {
    /// Its order.
    pub order: OrderId,
    /// Its issuer.
    pub issuer: PartyId,
    /// Its `seq`.
    pub seq: u32,
}

/// The use of one segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentUse {
    /// The periods of standing receipts that are not void: start → end, disjoint.
    pub periods: BTreeMap<Timestamp, Timestamp>,
    /// The units of standing receipts.
    pub units: i64,
}

impl SegmentUse {
    /// A period that shares a second with start … end.
    #[must_use]
    pub fn overlapping(&self, start: Timestamp, end: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let last = self.periods.range(..end).next_back();
        last.filter(|(_, until)| **until > start)
            .map(|(from, until)| (*from, *until))
    }
}

/// A delivered version, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The entry of its receipt.
    pub entry: u64,
    /// When that was accepted: silence is counted from here.
    pub at: Timestamp,
    /// What the buyer must be able to open.
    pub possession_hash: Sha256Hash,
    /// The buyer's word; `deemed` is silence.
    pub verdict: Option<Spoken>,
}

/// Whether a delivery is accepted, and by whose word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// The buyer signed.
    Signed(Verdict),
    /// The buyer was silent for the programme's days.
    Deemed,
}

impl Spoken {
    /// Whether the price is earned.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Deemed | Self::Signed(Verdict::Accepted))
    }
}

packed! {
    Chain { accepted, keys }
    Accepted { hash, entry, at, usage }
    Usage { segment, line, gpu_count, start, end, gpu_seconds, unbilled, runs, replaced }
    Dealings { segments, lines, deliveries, use_proven, proven_by }
    Prover { order, issuer, seq }
    SegmentUse { periods, units }
    Delivered { entry, at, possession_hash, verdict }
}
packed_enum!(Spoken { 0 => Signed(verdict), 1 => Deemed });
