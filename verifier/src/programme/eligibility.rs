//! Who may draw on a programme, from recorded facts alone (DESIGN §4.3, §4.4): window, requirements, providers, related
//! parties, tier conditions.
//!
//! Every rule answers yes, no or "nobody has recorded that"; all of them run, so that the trace is whole, and then a
//! definite no outranks an unknown. Amounts are not decided here. `decide` calls [`at_application`] for a voucher or a
//! case, [`at_order`] for an order, both for an order of a programme without vouchers, and stores what [`tiers`] chose:
//! facts are not read again when evidence comes.

mod condition;
mod provider;
mod related;
mod window;

pub use condition::Truth;
pub use window::claim_in_time;

use std::collections::{BTreeMap, BTreeSet};

use super::schema::{Condition, Of, OnUnknown, Requirement, Scheme, Select, Test, Tier, Waive};
use super::{Plain, Programme, TraceLine, TraceStatus};
use crate::fact::{FactName, FactValue};
use crate::id::PartyId;
use crate::refusal::{Code, Refusal};
use crate::time::{LocalDay, Timestamp};

/// Everything that the rules of one programme may read about one application or order.
#[derive(Debug, Clone)]
pub struct Matter {
    /// The time of the entry.
    pub at: Timestamp,
    /// What is bought.
    pub scheme: Scheme,
    /// Who holds or asks for the voucher.
    pub holder: PartyId,
    /// Who sells; unknown before an order.
    pub seller: Option<PartyId>,
    /// What is recorded, in force at `at`.
    pub facts: Facts,
    /// The contract's days, as far as they are known.
    pub contract: ContractDays,
    /// Whether the seller is on the programme's list; unknown where no edition is published.
    pub seller_listed: Option<bool>,
    /// Requirements that a decision has set aside; only those whose file allows it are.
    pub waived: BTreeSet<String>,
}

/// The days of a contract; its `to` is the last day as the contract prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContractDays {
    /// When it was signed.
    pub signed: Option<LocalDay>,
    /// Its first day.
    pub from: Option<LocalDay>,
    /// Its last day.
    pub to: Option<LocalDay>,
}

/// The facts in force about the subjects of one matter. What is not in here is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    of: BTreeMap<(Of, FactName), FactValue>,
    sites: Vec<BTreeMap<FactName, FactValue>>,
}

impl Facts {
    /// Records a fact of anything but a site.
    pub fn set(&mut self, of: Of, fact: FactName, value: FactValue) {
        self.of.insert((of, fact), value);
    }

    /// Adds a site of the order with what is recorded of it; a rule about sites must hold for each.
    pub fn add_site(&mut self, facts: BTreeMap<FactName, FactValue>) {
        self.sites.push(facts);
    }

    /// The same facts with one of the sites alone, for a tier chosen per segment.
    #[must_use]
    pub fn only_site(&self, place: usize) -> Self {
        Self {
            of: self.of.clone(),
            sites: self.sites.get(place).cloned().into_iter().collect(),
        }
    }

    /// The fact's value for each subject that it concerns: one, or one a site. `None` is unknown.
    fn values(&self, of: Of, fact: FactName) -> Vec<Option<&FactValue>> {
        match of {
            Of::Site if self.sites.is_empty() => vec![None],
            Of::Site => self.sites.iter().map(|site| site.get(&fact)).collect(),
            Of::Holder | Of::Seller | Of::Dataset | Of::Contract | Of::Order => {
                vec![self.of.get(&(of, fact))]
            }
        }
    }

    /// A fact of anything but a site.
    fn get(&self, of: Of, fact: FactName) -> Option<&FactValue> {
        self.of.get(&(of, fact))
    }
}

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All hold.
    Yes,
    /// One does not.
    No(Refusal),
    /// None says no, but something is not recorded: a case.
    Manual {
        /// What is missing, e.g. `holder.startup`; sorted.
        missing: BTreeSet<String>,
    },
}

impl Verdict {
    /// Takes the verdict of further rules into account: a no outranks an unknown, the first no stays.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No(refusal), _) | (_, Self::No(refusal)) => Self::No(refusal),
            (Self::Manual { mut missing }, Self::Manual { missing: more }) => {
                missing.extend(more);
                Self::Manual { missing }
            }
            (Self::Manual { missing }, Self::Yes) | (Self::Yes, Self::Manual { missing }) => {
                Self::Manual { missing }
            }
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// The verdict for a command that cannot wait: an unknown is refused, with what is missing.
    /// # Errors
    /// `programme.unknown`, or the rule's own code.
    pub fn require_yes(&self) -> Result<(), Refusal> {
        match self {
            Self::Yes => Ok(()),
            Self::No(refusal) => Err(refusal.clone()),
            Self::Manual { missing } => {
                let list = missing.iter().cloned().collect::<Vec<_>>().join(" ");
                Err(Refusal::new(
                    Code::ProgrammeUnknown,
                    format!("nobody has recorded {list}; have it recorded or open a case"),
                )
                .with("missing", list))
            }
        }
    }
}

/// A verdict and the line of every rule that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the rules say together.
    pub verdict: Verdict,
    /// A line a rule, in the order of the pipeline.
    pub trace: Vec<TraceLine>,
}

impl Answer {
    const fn new() -> Self {
        Self {
            verdict: Verdict::Yes,
            trace: Vec::new(),
        }
    }

    /// Both answers as one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.trace.extend(other.trace);
        Self {
            verdict: self.verdict.and(other.verdict),
            trace: self.trace,
        }
    }

    /// Takes in what one rule found.
    fn add(&mut self, finding: Finding) {
        let status = match &finding.verdict {
            Verdict::Yes => TraceStatus::Passed,
            Verdict::No(_) => TraceStatus::Failed,
            Verdict::Manual { .. } => TraceStatus::Unknown,
        };
        let mut line = TraceLine::new(finding.rule, status);
        line.input = finding.input;
        self.trace.push(line);
        self.verdict = std::mem::replace(&mut self.verdict, Verdict::Yes).and(finding.verdict);
    }
}

/// What one rule found.
struct Finding {
    rule: String,
    input: BTreeMap<String, Plain>,
    verdict: Verdict,
}

impl Finding {
    /// From a truth: `no` is made only where it is needed.
    fn new(
        rule: impl Into<String>,
        input: BTreeMap<String, Plain>,
        truth: Truth,
        unknown: OnUnknown,
        no: impl FnOnce(&str) -> Refusal,
    ) -> Self {
        let rule = rule.into();
        let verdict = match (truth, unknown) {
            (Truth::Yes, _) => Verdict::Yes,
            (Truth::No, _) => Verdict::No(no("does not hold").with("rule", &rule)),
            (Truth::Unknown, OnUnknown::Refuse) => Verdict::No(
                no("is not known to hold, and the programme refuses that").with("rule", &rule),
            ),
            (Truth::Unknown, OnUnknown::Manual) => Verdict::Manual {
                missing: open_inputs(&input),
            },
        };
        Self {
            rule,
            input,
            verdict,
        }
    }
}

/// How a trace spells what nobody has recorded.
const UNKNOWN: &str = "unknown";

/// What is missing: the inputs that nobody has recorded or, where each is recorded but says too little (a record without
/// its day), all of them.
fn open_inputs(input: &BTreeMap<String, Plain>) -> BTreeSet<String> {
    let unknown = Plain::from(UNKNOWN);
    let all_recorded = input.values().all(|value| *value != unknown);
    let open = input
        .iter()
        .filter(|(_, value)| all_recorded || **value == unknown);
    open.map(|(name, _)| name.clone()).collect()
}

/// Runs what is decided when a voucher is asked for: window, contract, and the requirements on holder and contract.
#[must_use]
pub fn at_application(programme: &Programme, matter: &Matter) -> Answer {
    let mut answer = Answer::new();
    window::check(programme, matter, &mut answer);
    for requirement in programme.require.iter().filter(|r| !waits_for_order(r)) {
        answer.add(require(programme, requirement, matter));
    }
    answer
}

/// Runs what is decided when an order is placed: the other requirements, providers, related parties.
#[must_use]
pub fn at_order(programme: &Programme, matter: &Matter) -> Answer {
    let mut answer = Answer::new();
    for requirement in programme.require.iter().filter(|r| waits_for_order(r)) {
        answer.add(require(programme, requirement, matter));
    }
    provider::check(programme, matter, &mut answer);
    if let Some(rule) = &programme.related {
        related::check(rule, matter, &mut answer);
    }
    answer
}

/// Whether a requirement reads something that only an order knows.
fn waits_for_order(requirement: &Requirement) -> bool {
    requirement
        .any
        .iter()
        .flat_map(subjects)
        .any(|of| match of {
            Of::Holder | Of::Contract => false,
            Of::Seller | Of::Site | Of::Dataset | Of::Order => true,
        })
}

/// The subjects whose fact a condition reads.
fn subjects(condition: &Condition) -> impl Iterator<Item = Of> {
    let compared = if let Test::DifferentFrom(of) = &condition.test {
        Some(*of)
    } else {
        None
    };
    std::iter::once(condition.of).chain(compared)
}

fn require(programme: &Programme, requirement: &Requirement, matter: &Matter) -> Finding {
    let today = matter.at.local_day(programme.header.utc_offset);
    let mut input = BTreeMap::new();
    let mut truth = Truth::No;
    for condition in &requirement.any {
        condition::note(condition, &matter.facts, &mut input);
        truth = truth.or(condition::holds(condition, &matter.facts, today));
    }
    if requirement.waive == Some(Waive::Decision) && matter.waived.contains(&requirement.id) {
        input.insert("waived".into(), Plain::Bool(true));
        truth = Truth::Yes;
    }
    let rule = format!("require.{}", requirement.id);
    Finding::new(rule, input, truth, requirement.unknown, |how| {
        Refusal::new(
            Code::ProgrammeRequirement,
            format!(
                "requirement {} of {} {how}",
                requirement.id, programme.header.id
            ),
        )
        .with("programme", &programme.header.id)
        .with("requirement", &requirement.id)
    })
}

/// Which tiers of the rate apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applicable {
    /// Places in `rate.tiers`: the first applicable one (`select = "first"`), or all of them (`"best"`).
    Tiers(Vec<usize>),
    /// No tier applies.
    Nothing(Refusal),
    /// A fact is missing that could change the choice; sorted.
    Manual(BTreeSet<String>),
    /// A case chooses (`select = "decision"`).
    Decision,
}

/// Chooses among the tiers. With `"first"` an unknown before the first yes leaves the choice open, with `"best"` any.
/// For `tier_per = "segment"` give the facts with that segment's site alone ([`Facts::only_site`]).
#[must_use]
pub fn tiers(programme: &Programme, matter: &Matter) -> (Applicable, Vec<TraceLine>) {
    let mut trace = Vec::new();
    let mut places = Vec::new();
    let mut missing = BTreeSet::new();
    let select = programme.rate.select;
    if select == Select::Decision {
        return (Applicable::Decision, trace);
    }
    for (place, tier) in programme.rate.tiers.iter().enumerate() {
        let (truth, line) = tier_applies(programme, tier, matter);
        match truth {
            Truth::Yes => places.push(place),
            Truth::No => {}
            Truth::Unknown => missing.extend(open_inputs(&line.input)),
        }
        trace.push(line);
        // With "first", whatever is settled or open here is not changed by later tiers.
        if select == Select::First && truth != Truth::No {
            break;
        }
    }
    let applicable = if !missing.is_empty() {
        Applicable::Manual(missing)
    } else if places.is_empty() {
        Applicable::Nothing(
            Refusal::new(
                Code::ProgrammeRequirement,
                format!("no tier of {} applies", programme.header.id),
            )
            .with("programme", &programme.header.id),
        )
    } else {
        Applicable::Tiers(places)
    };
    (applicable, trace)
}

fn tier_applies(programme: &Programme, tier: &Tier, matter: &Matter) -> (Truth, TraceLine) {
    let today = matter.at.local_day(programme.header.utc_offset);
    let mut input = BTreeMap::new();
    let mut truth = Truth::Yes;
    for condition in &tier.when {
        condition::note(condition, &matter.facts, &mut input);
        truth = truth.and(condition::holds(condition, &matter.facts, today));
    }
    let status = match truth {
        Truth::Yes => TraceStatus::Passed,
        Truth::No => TraceStatus::Failed,
        Truth::Unknown => TraceStatus::Unknown,
    };
    let mut line = TraceLine::new(format!("rate.tier.{}", tier.id), status);
    line.input = input;
    (truth, line)
}

/// The facts that a programme's rules can read: what the book must gather into [`Facts`].
#[must_use]
pub fn facts_read(programme: &Programme) -> BTreeSet<(Of, FactName)> {
    let mut read = BTreeSet::new();
    let mut condition = |c: &Condition| read.extend(subjects(c).map(|of| (of, c.fact)));
    programme
        .require
        .iter()
        .flat_map(|r| &r.any)
        .for_each(&mut condition);
    programme
        .rate
        .tiers
        .iter()
        .flat_map(|t| &t.when)
        .for_each(&mut condition);
    programme
        .providers
        .require
        .iter()
        .flat_map(|t| &t.any)
        .for_each(&mut condition);
    read.extend(programme.instrument.priority.iter().map(|p| (p.of, p.fact)));
    read.extend(provider::facts_read(&programme.providers));
    read.extend(programme.related.iter().flat_map(related::facts_read));
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Salt;
    use crate::programme::ProgrammeFile;

    fn programme(rules: &str) -> Programme {
        let head = r#"
            id = "test-programme"
            scheme = "compute"
            fund = [{ id = "pot", funder = "city-finance" }]
            instrument = { mode = "deduct" }
            base = { of = ["metered"] }
        "#;
        ProgrammeFile::parse(&format!("{head}{rules}"))
            .unwrap()
            .enact(&[])
            .unwrap()
    }

    const RATE: &str = r#"
        rate = { tier = [
            { id = "startup", bp = 6000, when = [{ of = "holder", fact = "startup", op = "eq", value = true }] },
            { id = "small", bp = 5500, when = [{ of = "holder", fact = "sme_class", op = "in", value = ["small"] }] },
            { id = "other", bp = 5000 },
        ] }
    "#;

    fn matter() -> Matter {
        Matter {
            at: Timestamp::parse("2026-01-10T00:00:00Z").unwrap(),
            scheme: Scheme::Compute,
            holder: PartyId::draw(&Salt::new([1; 16]), 1, 0),
            seller: Some(PartyId::draw(&Salt::new([2; 16]), 1, 0)),
            facts: Facts::default(),
            contract: ContractDays::default(),
            seller_listed: None,
            waived: BTreeSet::new(),
        }
    }

    fn missing(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_unknown_before_the_first_yes_leaves_the_tier_open() {
        let first = programme(RATE);
        let mut matter = matter();
        let open = |names: &[&str]| Applicable::Manual(missing(names));
        assert_eq!(tiers(&first, &matter).0, open(&["holder.startup"]));
        matter
            .facts
            .set(Of::Holder, FactName::Startup, FactValue::Bool(false));
        assert_eq!(tiers(&first, &matter).0, open(&["holder.sme_class"]));
        matter.facts.set(
            Of::Holder,
            FactName::SmeClass,
            FactValue::Str("large".into()),
        );
        assert_eq!(tiers(&first, &matter).0, Applicable::Tiers(vec![2]));
        matter
            .facts
            .set(Of::Holder, FactName::Startup, FactValue::Bool(true));
        assert_eq!(tiers(&first, &matter).0, Applicable::Tiers(vec![0]));
    }

    #[test]
    fn the_best_tier_is_open_while_any_is() {
        let best = programme(&RATE.replace("rate = {", "rate = { select = \"best\","));
        let mut matter = matter();
        matter
            .facts
            .set(Of::Holder, FactName::Startup, FactValue::Bool(true));
        assert_eq!(
            tiers(&best, &matter).0,
            Applicable::Manual(missing(&["holder.sme_class"]))
        );
        matter
            .facts
            .set(Of::Holder, FactName::SmeClass, FactValue::Absent);
        assert_eq!(tiers(&best, &matter).0, Applicable::Tiers(vec![0, 2]));
    }

    #[test]
    fn a_definite_no_outranks_an_unknown_and_the_trace_is_whole() {
        let programme = programme(
            r#"
            rate = { tier = [{ id = "all", bp = 1000 }] }
            require = [
                { id = "settled", of = "holder", fact = "newly_settled", op = "eq", value = true },
                { id = "local", of = "holder", fact = "registered_in", op = "in", value = ["410000"] },
            ]
            "#,
        );
        let mut matter = matter();
        matter.facts.set(
            Of::Holder,
            FactName::RegisteredIn,
            FactValue::Str("110000".into()),
        );
        let answer = at_application(&programme, &matter);
        let Verdict::No(refusal) = answer.verdict else {
            panic!("a no is expected");
        };
        assert_eq!(refusal.code, Code::ProgrammeRequirement);
        let statuses: Vec<_> = answer.trace.iter().map(|line| line.status).collect();
        assert_eq!(statuses, [TraceStatus::Unknown, TraceStatus::Failed]);
        matter.facts.set(
            Of::Holder,
            FactName::RegisteredIn,
            FactValue::Str("410100".into()),
        );
        let verdict = at_application(&programme, &matter).verdict;
        assert_eq!(
            verdict,
            Verdict::Manual {
                missing: missing(&["holder.newly_settled"])
            }
        );
        let refusal = verdict.require_yes().unwrap_err();
        assert_eq!(refusal.code, Code::ProgrammeUnknown);
        assert_eq!(
            refusal.values,
            [("missing", "holder.newly_settled".to_owned())]
        );
    }

    #[test]
    fn one_of_several_is_enough_and_an_unknown_may_be_refused_or_waived() {
        let rules = |more: &str| {
            programme(&format!(
                r#"
                rate = {{ tier = [{{ id = "all", bp = 1000 }}] }}
                require = [{{ id = "form", {more} any = [
                    {{ of = "holder", fact = "sme_class", op = "in", value = ["micro", "small"] }},
                    {{ of = "holder", fact = "legal_form", op = "in", value = ["university"] }},
                ] }}]
                "#
            ))
        };
        let (manual, refuse) = (
            rules(""),
            rules(r#"unknown = "refuse", waive = "decision","#),
        );
        let mut matter = matter();
        matter.facts.set(
            Of::Holder,
            FactName::SmeClass,
            FactValue::Str("large".into()),
        );
        let open = Verdict::Manual {
            missing: missing(&["holder.legal_form"]),
        };
        assert_eq!(at_application(&manual, &matter).verdict, open);
        assert!(matches!(
            at_application(&refuse, &matter).verdict,
            Verdict::No(_)
        ));
        matter.waived.insert("form".into());
        assert_eq!(at_application(&manual, &matter).verdict, open);
        assert_eq!(at_application(&refuse, &matter).verdict, Verdict::Yes);
        matter.facts.set(
            Of::Holder,
            FactName::LegalForm,
            FactValue::Str("university".into()),
        );
        assert_eq!(at_application(&manual, &matter).verdict, Verdict::Yes);
    }

    #[test]
    #[expect(
        clippy::too_many_lines,
        reason = "one order, before and after everything is recorded"
    )]
    fn what_only_an_order_knows_waits_for_the_order() {
        let programme = programme(
            r#"
            rate = { tier = [{ id = "all", bp = 1000 }] }
            require = [{ id = "purpose", of = "order", fact = "purpose", op = "eq", value = "llm_training" }]
            providers = { list = "ha-2025", site_in = ["410000"], venue = "platform", require = [
                { fact = "pflops_fp16", op = "gte", value = 100, any_with = { fact = "racks", op = "gte", value = 1000 } },
            ] }
            related = {}
            "#,
        );
        let mut matter = matter();
        assert_eq!(at_application(&programme, &matter), Answer::new());
        let Verdict::Manual { missing: open } = at_order(&programme, &matter).verdict else {
            panic!("nothing is recorded yet");
        };
        let names = [
            "holder.controller",
            "holder.group",
            "list.ha-2025",
            "order.purpose",
            "order.venue",
            "seller.controller",
            "seller.group",
            "site.located_in",
            "site.pflops_fp16",
            "site.racks",
        ];
        assert_eq!(open, missing(&names));
        let wanted: BTreeSet<_> = facts_read(&programme)
            .iter()
            .map(|(of, fact)| format!("{of}.{fact}"))
            .collect();
        assert!(
            names
                .iter()
                .all(|name| wanted.contains(*name) || name.starts_with("list."))
        );

        matter.seller_listed = Some(true);
        let site = [
            (FactName::LocatedIn, FactValue::Str("410100".into())),
            (FactName::Racks, FactValue::Int(1000)),
        ];
        matter.facts.add_site(site.into_iter().collect());
        matter.facts.set(
            Of::Order,
            FactName::Purpose,
            FactValue::Str("llm_training".into()),
        );
        matter.facts.set(
            Of::Order,
            FactName::TradeVenue,
            FactValue::Str("platform".into()),
        );
        for of in [Of::Holder, Of::Seller] {
            matter.facts.set(of, FactName::Group, FactValue::Absent);
            matter
                .facts
                .set(of, FactName::Controller, FactValue::List(vec![]));
        }
        assert_eq!(at_order(&programme, &matter).verdict, Verdict::Yes);
        matter.seller_listed = Some(false);
        assert!(matches!(
            at_order(&programme, &matter).verdict,
            Verdict::No(_)
        ));
    }

    #[test]
    fn a_contract_has_its_days_checked_or_waits_for_them() {
        let programme = programme(
            r#"
            rate = { tier = [{ id = "all", bp = 1000 }] }
            window = { contract_signed = { from = 2023-09-01 }, contract_max_days = 365 }
            "#,
        );
        let mut matter = matter();
        let open = missing(&["contract.from", "contract.signed", "contract.to"]);
        assert_eq!(
            at_application(&programme, &matter).verdict,
            Verdict::Manual { missing: open }
        );
        let day = |text| LocalDay::parse(text).ok();
        let (signed, from) = (day("2023-09-01"), day("2024-01-01"));
        matter.contract = ContractDays {
            signed,
            from,
            to: day("2024-12-31"),
        };
        assert_eq!(at_application(&programme, &matter).verdict, Verdict::Yes);
        matter.contract.to = day("2025-01-02");
        assert!(matches!(
            at_application(&programme, &matter).verdict,
            Verdict::No(_)
        ));
        matter.contract.to = None;
        matter.contract.signed = day("2023-08-31");
        let verdict = at_application(&programme, &matter).verdict;
        assert!(matches!(&verdict, Verdict::No(refusal) if refusal.code == Code::ProgrammeWindow));
    }
}
