//! `compute-usage-receipt+jwt`: a provider metered GPU time, or corrects what it metered (DESIGN §5).
//!
//! The checks here need no book; `book/decide/receipt.rs` calls them in the one order, `quan meter` before it signs.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Jti, Link, Statement, Typ, malformed, seconds};
use crate::id::{DocumentDigest, GpuModel, OrderId, PartyId, Sha256Hash, SiteId};
use crate::json::{Object, present};
use crate::money::{BasisPoints, GpuSeconds};
use crate::refusal::{Code, Refusal};
use crate::time::{ClockHour, DAY_SECONDS, NamedPeriod, PeriodLength, Timestamp, UtcOffset};

/// The longest period of one receipt.
pub const PERIOD_SECONDS_MAX: i64 = DAY_SECONDS;
/// The most jobs of one receipt: with them it stays below its size and an entry's counters below theirs.
pub const JOBS_MAX: usize = 256;
/// `iat` may lie this far before `end`: a meter that signs at the end, its clock a little behind.
const BEFORE_END_SECONDS_MAX: i64 = 5;
/// The most datasets of one receipt.
const INPUTS_MAX: usize = 64;

/// The claims, in the order in which we write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeUsage {
    /// The provider.
    pub iss: PartyId,
    /// The exchange's origin.
    pub aud: String,
    /// The order.
    pub sub: OrderId,
    /// The place in the chain of (order, issuer).
    pub seq: u32,
    /// The hash of the compact JWS before it; absent at 0.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub prev: Option<Sha256Hash>,
    /// `<sub>.<seq>`.
    pub jti: Jti,
    /// When it was signed.
    #[serde(with = "seconds")]
    pub iat: Timestamp,
    /// Use, or a correction.
    pub kind: Kind,
    /// The corrected receipt; present exactly in a correction.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub corrects: Option<Jti>,
    /// Where.
    pub site: SiteId,
    /// On what.
    pub gpu_model: GpuModel,
    /// On how many whole cards.
    pub gpu_count: u32,
    /// From this second.
    #[serde(with = "seconds")]
    pub start: Timestamp,
    /// To before this second.
    #[serde(with = "seconds")]
    pub end: Timestamp,
    /// Used.
    pub gpu_seconds: GpuSeconds,
    /// By which runs.
    pub jobs: Vec<Job>,
    /// Manifest digests of the datasets used: the link between the two schemes.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub inputs: Option<Vec<DocumentDigest>>,
    /// The scheduler export it was computed from (L2).
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub export: Option<DocumentDigest>,
    /// Energy in watt-hours (L3).
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub energy_wh: Option<u32>,
    /// Utilisation.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub util_bp: Option<BasisPoints>,
    /// The device UUIDs.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub devices: Option<DocumentDigest>,
}

/// Whether a receipt adds use or replaces an earlier statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Adds use.
    Usage,
    /// Replaces the receipt it names.
    Correction,
}

/// A scheduler run's part of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Job {
    /// `slurm:<cluster>/<JobIDRaw>@<start epoch>` or any other name of the run, unique for ever.
    pub run: String,
    /// How it ended, as the scheduler says: `COMPLETED`, `NODE_FAIL` …
    pub state: String,
    /// Its part of the receipt's GPU-seconds.
    pub gpu_seconds: GpuSeconds,
}

impl<'de> Deserialize<'de> for Job {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Members {
            run: String,
            state: String,
            gpu_seconds: GpuSeconds,
        }
        let Object(Members {
            run,
            state,
            gpu_seconds,
        }) = Object::deserialize(deserializer)?;
        Ok(Self {
            run,
            state,
            gpu_seconds,
        })
    }
}

impl Statement for ComputeUsage {
    const TYP: Typ = Typ::Usage;
}

impl ComputeUsage {
    /// The claims that chain it to its order.
    #[must_use]
    pub fn link(&self) -> Link<'_> {
        Link {
            iss: self.iss,
            aud: &self.aud,
            sub: self.sub,
            seq: self.seq,
            prev: self.prev,
            jti: self.jti,
            iat: self.iat,
        }
    }

    /// The length of the period in seconds; ≤ 0 only where [`Self::check_period`] fails.
    #[must_use]
    pub const fn span(&self) -> i64 {
        self.end.unix() - self.start.unix()
    }

    /// The GPU-seconds that the cards could have given in the period.
    #[must_use]
    pub fn occupied(&self) -> i128 {
        i128::from(self.gpu_count) * i128::from(self.span())
    }

    /// The clock hours that the period touches, each with the seconds of the period in it; at most 25.
    pub fn hours(&self) -> impl Iterator<Item = (ClockHour, i64)> {
        let (start, end) = (self.start, self.end);
        std::iter::successors(Some(start.hour()), |hour| Some(hour.next()))
            .map_while(move |hour| (hour.start() < end).then(|| (hour, overlap(hour, start, end))))
    }

    /// Whether the period lies in more than one clock hour.
    #[must_use]
    pub fn crosses_an_hour(&self) -> bool {
        self.start.hour() != self.end.after(-1).hour()
    }

    /// Runs all checks that need no book, in their order.
    /// # Errors
    /// `receipt.period` `receipt.rate` `receipt.jobs`
    pub fn check_alone(&self) -> Result<(), Refusal> {
        self.check_period()?;
        self.check_rate()?;
        self.check_jobs()
    }

    /// Checks the period: half open, not empty, at most 24 h, inside one month at +08:00, signed after it ended.
    /// # Errors
    /// `receipt.period`
    pub fn check_period(&self) -> Result<(), Refusal> {
        let span = self.span();
        let month = |at: Timestamp| {
            NamedPeriod::containing(at.local_day(UtcOffset::CHINA), PeriodLength::Month)
        };
        let (first, last) = (month(self.start), month(self.end.after(-1)));
        let sentence = if span <= 0 {
            format!("the period has {span} s; end must lie after start")
        } else if span > PERIOD_SECONDS_MAX {
            format!("the period has {span} s, more than {PERIOD_SECONDS_MAX}; split it")
        } else if first != last {
            format!("the period lies in {first} and {last} at +08:00; split it at the month")
        } else if self.iat < self.end.after(-BEFORE_END_SECONDS_MAX) {
            let early = self.end.unix() - self.iat.unix();
            format!("signed {early} s before its end; sign when the period is over")
        } else {
            return Ok(());
        };
        let refusal = Refusal::new(Code::ReceiptPeriod, sentence);
        Err(refusal
            .with("start", self.start.unix())
            .with("end", self.end.unix()))
    }

    /// Checks that the use fits the cards and the time, and can be placed in clock hours exactly.
    /// # Errors
    /// `receipt.rate`
    pub fn check_rate(&self) -> Result<(), Refusal> {
        let (used, occupied) = (self.gpu_seconds.wide(), self.occupied());
        let (cards, span) = (self.gpu_count, self.span());
        let sentence = if self.kind == Kind::Usage && cards == 0 {
            "gpu_count is 0; a usage receipt names its cards".into()
        } else if used > occupied {
            format!(
                "{used} GPU-seconds exceed {cards} GPUs × {span} s = {occupied}; correct gpu_seconds"
            )
        } else if used < occupied && self.crosses_an_hour() {
            format!(
                "{used} of {cards} GPUs × {span} s = {occupied} GPU-seconds cross a clock hour; split it at the hour"
            )
        } else {
            return Ok(());
        };
        let refusal = Refusal::new(Code::ReceiptRate, sentence);
        Err(refusal
            .with("gpu_seconds", used)
            .with("gpu_seconds_max", occupied))
    }

    /// Checks the jobs: at most 256, each a run by its grammar, together the receipt's GPU-seconds.
    /// # Errors
    /// `receipt.jobs`
    pub fn check_jobs(&self) -> Result<(), Refusal> {
        let refused = |sentence: String| Err(Refusal::new(Code::ReceiptJobs, sentence));
        if self.jobs.len() > JOBS_MAX {
            return refused(format!(
                "{} jobs exceed {JOBS_MAX}; split the receipt",
                self.jobs.len()
            ));
        }
        for (at, job) in self.jobs.iter().enumerate() {
            if !is_run(&job.run) {
                return refused(format!(
                    "job {at}: run must be [a-z0-9]{{1,16}}:[A-Za-z0-9._/@-]{{1,60}}"
                ));
            }
            if !is_state(&job.state) {
                return refused(format!("job {at}: state must be [A-Z_]{{1,24}}"));
            }
        }
        let (sum, used) = (
            self.jobs.iter().map(|job| job.gpu_seconds.wide()).sum(),
            self.gpu_seconds.wide(),
        );
        if used == sum {
            return Ok(());
        }
        let sentence = format!("the jobs sum to {sum} GPU-seconds, the receipt says {used}");
        let refusal = Refusal::new(Code::ReceiptJobs, sentence);
        Err(refusal.with("jobs", sum).with("gpu_seconds", used))
    }

    /// `corrects` is there exactly in a correction, and `inputs` is no flood.
    pub(super) fn check_kind(&self) -> Result<(), Refusal> {
        match (self.kind, self.corrects) {
            (Kind::Usage, None) | (Kind::Correction, Some(_)) => {}
            (Kind::Usage, Some(_)) => return Err(malformed("a usage receipt has no corrects")),
            (Kind::Correction, None) => {
                return Err(malformed("a correction names in corrects what it corrects"));
            }
        }
        let inputs = self.inputs.as_ref().map_or(0, Vec::len);
        if inputs > INPUTS_MAX {
            return Err(malformed(format!("{inputs} inputs exceed {INPUTS_MAX}")));
        }
        Ok(())
    }
}

fn overlap(hour: ClockHour, start: Timestamp, end: Timestamp) -> i64 {
    end.min(hour.next().start()).unix() - start.max(hour.start()).unix()
}

/// `[a-z0-9]{1,16}:[A-Za-z0-9._/@-]{1,60}`
fn is_run(run: &str) -> bool {
    let Some((scheduler, name)) = run.split_once(':') else {
        return false;
    };
    let good = |c: u8| c.is_ascii_alphanumeric() || b"._/@-".contains(&c);
    (1..=16).contains(&scheduler.len())
        && (1..=60).contains(&name.len())
        && scheduler
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(good)
}

/// `[A-Z_]{1,24}`: a state is compared with the terms, never interpreted.
fn is_state(state: &str) -> bool {
    (1..=24).contains(&state.len()) && state.bytes().all(|c| c.is_ascii_uppercase() || c == b'_')
}
