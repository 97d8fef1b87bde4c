//! Schema v1 of a programme file as types (PROGRAMMES §1): every key, its default applied, no structural unknown left.
//!
//! Amounts that the published text does not give are [`Known::Unknown`]: whoever needs one asks a case, never assumes.

use std::collections::BTreeMap;

use crate::fact::{FactName, FactValue};
use crate::id::{FunderId, ListId, ProgrammeId};
use crate::money::{BasisPoints, Fen, Rounding};
use crate::time::{LocalDay, NamedPeriod, PeriodLength, Timestamp, UtcOffset};

pub use super::word::*;
pub use crate::region::Region;

/// A value that the published text gives, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known<T> {
    /// The text gives it.
    Known(T),
    /// The text does not give it: never zero, never "no limit".
    Unknown,
}

impl<T> Known<T> {
    /// The value, if the text gives it.
    #[must_use]
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown => None,
        }
    }

    /// Whether the text does not give it.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

/// A programme as enacted: all that the pipeline, eligibility and the money rules read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programme {
    /// Who, where, by what right.
    pub header: Header,
    /// The pots, in order; the last takes the rest of a split. Never empty.
    pub funds: Vec<Fund>,
    /// The voucher's life and who pays whom.
    pub instrument: Instrument,
    /// When things may happen.
    pub window: Window,
    /// What must hold; all of it.
    pub require: Vec<Requirement>,
    /// Buyer and seller must not be this close; absent: no such rule.
    pub related: Option<Related>,
    /// What the rate is taken of.
    pub base: Base,
    /// The rate.
    pub rate: Rate,
    /// Counters with limits, in order.
    pub caps: Vec<Cap>,
    /// How this programme meets others on one order.
    pub stack: Stack,
    /// At most one rounding a step; a step without one rounds to the fen, towards zero.
    pub rounding: Vec<Round>,
    /// Who may supply.
    pub providers: Providers,
    /// Documents asked for.
    pub evidence: Vec<Evidence>,
    /// Stages of a case; empty: decided at once.
    pub stages: Vec<Stage>,
    /// Taking money back; absent: nothing is published.
    pub clawback: Option<Clawback>,
    /// Rules of data orders.
    pub data: Data,
    /// What the text leaves open and the office has set, in the order given.
    pub settled: Vec<super::Settlement>,
}

/// Identity and legal basis. Every key but `id` and `scheme` has a default so that a test's minimal text loads;
/// [`super::ProgrammeFile::gaps`] lists what a real file still owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The schema of the file: 1.
    pub schema: i64,
    /// The pipeline's version: 1.
    pub engine: i64,
    /// The programme's id.
    pub id: ProgrammeId,
    /// Its names by language: `zh`, `en`, `it`.
    pub name: BTreeMap<String, String>,
    /// What its vouchers buy; never empty.
    pub scheme: Vec<Scheme>,
    /// How sure we are of the file.
    pub status: Status,
    /// The authority, where it is known.
    pub issuer: Option<String>,
    /// The territory, also the regulator's scope.
    pub region: Option<Region>,
    /// The level of government.
    pub level: Option<Level>,
    /// The documents it rests on.
    pub legal: Vec<Legal>,
    /// The programme's local time.
    pub utc_offset: UtcOffset,
    /// The programme that this one follows.
    pub succeeds: Option<ProgrammeId>,
}

/// A document that the programme rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legal {
    /// Its title in Chinese.
    pub title: Known<String>,
    /// Its number.
    pub number: Known<String>,
    /// Its date: a day, or a month or year where no more is known.
    pub date: Known<NamedPeriod>,
    /// Where it was read: source ids of `facts/programmes.md` §7.
    pub source: Vec<String>,
    /// The grade of that source.
    pub grade: Grade,
}

/// One pot: a funder's appropriation for one budget year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fund {
    /// The pot's id; may hold `{city}` and `{year}`, resolved when the programme commits money.
    pub id: FundName,
    /// Who fills it.
    pub funder: FunderId,
    /// Its share of what leaves the funds, ≥ 1.
    pub weight: i64,
    /// What the text promises; an entry must still appropriate it.
    pub appropriation: Known<Fen>,
    /// The budget year; set by the appropriation where the text states none.
    pub year: Known<i64>,
    /// Where the year's rest goes.
    pub lapse: Known<Lapse>,
}

/// A fund's id, or a template of one with `{city}` or `{year}` in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FundName(pub(super) String);

impl FundName {
    /// The text with its braces, if any.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text is an id as it stands.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.0.contains('{')
    }

    /// The id with `{city}` and `{year}` filled in.
    /// # Errors
    /// [`crate::id::NotAnId`] if what comes out is no id.
    pub fn resolve(&self, city: &str, year: i64) -> Result<crate::id::FundId, crate::id::NotAnId> {
        let text = self
            .0
            .replace("{city}", city)
            .replace("{year}", &year.to_string());
        crate::id::FundId::parse(&text)
    }
}

/// How long a voucher lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Calendar months, local.
    Months(i64),
    /// Days; 365 of them are not 12 months in a leap year.
    Days(i64),
}

/// The instrument: who pays whom, when, against what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// Who pays whom first.
    pub mode: Mode,
    /// Who receives.
    pub payee: Payee,
    /// How a voucher comes to be.
    pub issue: Issue,
    /// What takes money out of the fund.
    pub commit_at: CommitAt,
    /// What happens when the pot is empty.
    pub exhaustion: Known<Exhaustion>,
    /// Where a voucher's amount comes from.
    pub face: Face,
    /// Allowed amounts; empty: any.
    pub denominations: Vec<Fen>,
    /// The least amount of a voucher.
    pub min_face: Fen,
    /// Whether one voucher may serve several orders.
    pub divisible: bool,
    /// Always false in schema 1; printed.
    pub transferable: bool,
    /// How long a voucher lives; absent: until the programme closes.
    pub valid: Option<Validity>,
    /// What may be named once only.
    pub one_per: Vec<OnePer>,
    /// The pool of the duplicate check; absent: the programme's own.
    pub uniq_pool: Option<String>,
    /// The length of a settlement period.
    pub settle_period: PeriodLength,
    /// Days in which what is earned may be disputed.
    pub dispute_days: i64,
    /// What the seller invoices.
    pub invoice: Invoice,
    /// Acts that need the party's own signature.
    pub sign: Vec<Sign>,
    /// What happens to use beyond the hold.
    pub overrun: Overrun,
    /// Days after the order's end in which receipts are still taken.
    pub grace_days: i64,
    /// Sort keys of queues and decision lists.
    pub priority: Vec<Priority>,
    /// Programmes an approved holder is put forward to.
    pub recommend_to: Vec<ProgrammeId>,
}

/// A sort key: whose fact comes first in `rank` comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priority {
    /// Whose fact.
    pub of: Of,
    /// Which fact.
    pub fact: FactName,
    /// Its values, best first.
    pub rank: Vec<String>,
}

/// When things may happen, in the programme's local time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// Application windows, half open; empty: always.
    pub apply: Vec<Moments>,
    /// Whether the windows come back.
    pub recurring: Option<Recurring>,
    /// When the contract must have been signed.
    pub contract_signed: Option<Days>,
    /// The days of service that count.
    pub service: Option<Days>,
    /// The longest contract.
    pub contract_max_days: Option<i64>,
    /// The longest benefit, from the first one on.
    pub benefit_max_days: Option<i64>,
    /// Days after the service's end in which a claim may be made.
    pub claim_within_days: Option<i64>,
}

/// A half-open span of moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after.
    pub to: Timestamp,
}

/// A span of local days; how its last day counts is the reading rule's word (`period_proration.days`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first day.
    pub from: Option<LocalDay>,
    /// The end as printed in the text; for `contract_signed` the first day after.
    pub to: Option<LocalDay>,
}

/// One requirement: a condition, or one of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Stable; appears in refusals.
    pub id: String,
    /// At least one must hold; never empty.
    pub any: Vec<Condition>,
    /// What an unknown fact does.
    pub unknown: OnUnknown,
    /// Who may set the requirement aside.
    pub waive: Option<Waive>,
}

/// A fact and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Whose fact.
    pub of: Of,
    /// Which fact.
    pub fact: FactName,
    /// What it must be.
    pub test: Test,
}

/// What a fact must be (`op` and `value`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Equals the value (a region: lies in it).
    Eq(FactValue),
    /// Differs from the value.
    Ne(FactValue),
    /// Is one of these (a region: lies in one).
    In(Vec<String>),
    /// Is none of these.
    NotIn(Vec<String>),
    /// ≥
    Gte(i64),
    /// ≤
    Lte(i64),
    /// >
    Gt(i64),
    /// <
    Lt(i64),
    /// Is recorded as something.
    Exists,
    /// Is recorded as absent, or as a day longer ago than this many days.
    Absent {
        /// The look-back.
        within_days: Option<i64>,
    },
    /// Is a day at most this many days ago.
    WithinDays(i64),
    /// A list that holds all of these.
    Includes(Vec<String>),
    /// A list that holds none of these.
    ExcludesAll(Vec<String>),
    /// Differs from the same fact of another subject.
    DifferentFrom(Of),
}

/// The related-party rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// The relations that exclude a deal.
    pub deny: Vec<Relation>,
    /// What missing facts do.
    pub unknown: OnUnknown,
}

/// What the rate is taken of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The base is the least of these; never empty. See [`Base::kinds`].
    pub of: Vec<BaseKind>,
    /// Lines that do not count.
    pub lines_excluded: Vec<Line>,
    /// Lines that count; empty: all but the excluded.
    pub lines_included: Vec<Line>,
    /// Whether amounts include tax.
    pub tax: Tax,
    /// A discount of the seller's, taken off first.
    pub seller_share: Known<BasisPoints>,
    /// Below this there is nothing: a threshold, not a deduction.
    pub floor: Fen,
    /// Whether the base is cut to a part of its days; absent: no.
    pub period_proration: Option<Proration>,
}

impl Base {
    /// The amounts that bound the base: where the file names none that use can reach, `metered` is added for compute
    /// and model orders, `accepted` for data orders (DESIGN §4.4).
    #[must_use]
    pub fn kinds(&self, scheme: Scheme) -> Vec<BaseKind> {
        let mut kinds = self.of.clone();
        let reached = |kind: &BaseKind| match kind {
            BaseKind::Metered | BaseKind::Invoiced | BaseKind::Paid | BaseKind::Accepted => true,
            BaseKind::Contract | BaseKind::Approved => false,
        };
        if !kinds.iter().any(reached) {
            kinds.push(match scheme {
                Scheme::Compute | Scheme::Model => BaseKind::Metered,
                Scheme::Data => BaseKind::Accepted,
            });
        }
        kinds
    }

    /// Whether money of this line counts.
    #[must_use]
    pub fn counts(&self, line: Line) -> bool {
        let included = self.lines_included.is_empty() || self.lines_included.contains(&line);
        included && !self.lines_excluded.contains(&line)
    }
}

/// How a base is cut to a part of its days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proration {
    /// By days, or not at all.
    pub by: ProrateBy,
    /// How days are counted.
    pub days: DayCount,
    /// What the contract's span is cut to.
    pub clip: Clip,
}

/// The rate and how a tier is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Which applicable tier counts.
    pub select: Select,
    /// How bands apply.
    pub banding: Banding,
    /// What a tier is chosen for.
    pub tier_per: TierPer,
    /// The tiers in order; empty only where a decision selects.
    pub tiers: Vec<Tier>,
}

/// One tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Stable; appears in traces.
    pub id: String,
    /// When it applies; all must hold.
    pub when: Vec<Condition>,
    /// What it gives.
    pub amount: TierAmount,
    /// The most it gives an order or contract; absent: no limit of its own.
    pub cap: Option<Known<Fen>>,
}

/// What a tier gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TierAmount {
    /// A rate of the base.
    Rate(Known<BasisPoints>),
    /// Rates by band; the last band has no upper end.
    Bands(Known<Vec<Band>>),
    /// A fixed amount.
    Fixed {
        /// The amount.
        fen: Known<Fen>,
        /// How often.
        once: Once,
    },
}

/// A band of the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// Up to and with this amount; absent: all above.
    pub upto: Option<Fen>,
    /// The rate.
    pub bp: BasisPoints,
}

/// A counter with a limit, consumed at hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    /// Stable; appears in refusals.
    pub id: String,
    /// Whose counter.
    pub key: CapKey,
    /// Its span.
    pub per: CapPer,
    /// The act that names the year.
    pub year_of: YearOf,
    /// What it counts; never empty.
    pub count: Vec<Counted>,
    /// What happens beyond a redemption cap.
    pub over: Known<Over>,
    /// The limit.
    pub limit: Known<Fen>,
    /// Above this, and up to the limit, a case decides.
    pub soft_limit: Option<Known<Fen>>,
    /// One counter for several programmes.
    pub shared: Option<String>,
}

/// How this programme meets others on one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Programmes that can meet.
    pub group: Option<String>,
    /// How.
    pub mode: StackMode,
    /// The most that all together give of this programme's base.
    pub ceiling: BasisPoints,
    /// Lower is applied first; ties by id.
    pub order: i64,
    /// The programmes that must be there first (link).
    pub with: Vec<ProgrammeId>,
}

/// A rounding after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// After which step.
    pub after: RoundAfter,
    /// To multiples of this.
    pub unit: Fen,
    /// In which direction.
    pub mode: Rounding,
}

/// Who may supply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Providers {
    /// Only members of this list; absent: any admitted.
    pub list: Option<ListId>,
    /// The edition of the list that counts.
    pub list_year_of: ListYearOf,
    /// Thresholds of the site; all must hold.
    pub require: Vec<Threshold>,
    /// Where the compute must stand; empty: anywhere.
    pub site_in: Vec<Region>,
    /// Where chips may come from.
    pub chip: ChipRule,
    /// Where the deal must be made.
    pub venue: Venue,
}

/// A threshold of the site, or the other one instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// One of these must hold: the threshold, then `any_with`.
    pub any: Vec<Condition>,
}

/// A document asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// When it is due.
    pub stage: EvidenceStage,
    /// What it is.
    pub kind: EvidenceKind,
    /// Who makes it.
    pub issuer: Option<String>,
    /// Whether it may be used once only over all programmes of the pool.
    pub unique: bool,
    /// Whether nothing goes on without it.
    pub required: bool,
}

/// A stage of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Stable.
    pub id: String,
    /// Who acts.
    pub role: Option<String>,
    /// What it does.
    pub does: Does,
    /// Whether another actor than in every earlier stage must act.
    pub four_eyes: bool,
    /// Documents that must lie there.
    pub documents: Vec<String>,
    /// The least wait; unknown: stated by the operator in each notice.
    pub min_days: Known<i64>,
    /// Shown as overdue after this, never decided by silence.
    pub max_days: Option<Known<i64>>,
    /// How days are counted.
    pub calendar: Calendar,
    /// What an objection does.
    pub objection: Objection,
}

/// Taking money back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clawback {
    /// The causes that the text names.
    pub causes: Vec<Cause>,
    /// How much is taken back, by cause; one that is missing is unknown.
    pub share: BTreeMap<Cause, Known<BasisPoints>>,
    /// Interest a year in basis points.
    pub interest_bp_year: Known<i64>,
    /// How long the holder is barred.
    pub ban_days: Known<i64>,
    /// Where the money goes.
    pub recovered_to: Known<RecoveredTo>,
    /// Whether recoveries give back room under caps.
    pub restore_cap: bool,
    /// Whether the group answers.
    pub group_liability: bool,
}

/// Rules of data orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Whose word makes a delivery accepted.
    pub acceptance: AcceptanceRule,
    /// Days after which silence is acceptance, where the rule allows that.
    pub acceptance_days: Option<i64>,
    /// Days in which a defect gives money back.
    pub refund_days: Option<i64>,
    /// How long a withdrawn version stays downloadable for its buyers.
    pub retention_days: Option<i64>,
    /// What shows that the data was used.
    pub use_proof: UseProof,
    /// What is held back until use is proven.
    pub holdback: BasisPoints,
    /// Whether the dataset must have been assessed.
    pub requires_assessment: bool,
}
