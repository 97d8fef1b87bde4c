//! What only several trails show: one site's hardware given or billed more than once, one run or document told in two
//! exchanges (DESIGN §8).
//!
//! A site is the same where its capacity key is: the thumbprint is its name in every exchange. A run's name and a
//! document's hash say who they are wherever they stand.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

mod overlap;

use super::Study;
use crate::book::Book;
use crate::book::state::chain::{RunHash, Usage};
use crate::book::state::order::Goods;
use crate::book::state::site::{Capacity, Site};
use crate::id::{GpuModel, OrderId, Sha256Hash, SiteId, hex};
use crate::programme::schema::EvidenceKind;
use crate::signature::Kid;
use crate::time::{ClockHour, HOUR_SECONDS, Timestamp};

/// A finding names at most so many places, hours or spans; `count` says how many there are.
const SHOWN_MAX: usize = 50;

/// A trail and its place among those that are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct At {
    /// Which trail, by its origin.
    pub trail: String,
    /// The entry that says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// What it is about: an order, a site.
    pub subject: String,
}

/// A span of time, half open, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// From when …
    pub from: Timestamp,
    /// … to before when.
    pub to: Timestamp,
    /// Cards or GPU-seconds in all trails together.
    pub sum: i64,
    /// What the hardware can give.
    pub limit: i64,
}

/// Something that cannot be so, or must not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule: `cross.share`, `cross.billed`, `cross.overlap`, `cross.run`, `cross.document`, `cross.hardware`.
    pub code: &'static str,
    /// What it is about: a site by its global id, a run, a document.
    pub about: String,
    /// How many spans or places there are.
    pub count: u64,
    /// When, where time matters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
    /// Where it stands.
    pub places: Vec<At>,
}

/// What the trails say together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Crossing {
    /// The trails, by origin.
    pub trails: Vec<String>,
    /// How many sites are in several of them.
    pub common_sites: u64,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// One trail of several.
struct Trail<'a> {
    origin: String,
    book: &'a Book,
    study: &'a Study,
}

impl Trail<'_> {
    fn at(&self, entry: Option<u64>, subject: impl ToString) -> At {
        At {
            trail: self.origin.clone(),
            entry,
            subject: subject.to_string(),
        }
    }
}

/// One registration of a site.
#[derive(Clone, Copy)]
struct Registered<'a> {
    trail: &'a Trail<'a>,
    id: SiteId,
    site: &'a Site,
}

impl Registered<'_> {
    fn at(&self) -> At {
        self.trail.at(None, self.id)
    }
}

/// Compares trails.
#[must_use]
pub fn cross(studies: &[&Study]) -> Crossing {
    let trails: Vec<_> = studies.iter().map(|study| trail(study)).collect();
    let sites = common_sites(&trails);
    let mut findings = Vec::new();
    for (global, registered) in &sites {
        for gpu_model in models(registered) {
            let about = format!("site {global} {gpu_model}");
            let all = (about.as_str(), registered.as_slice(), &gpu_model);
            findings.extend(hardware(all));
            findings.extend(shares(all));
            findings.extend(billed(all));
            findings.extend(overlap::overlaps(all));
        }
    }
    findings.extend(runs(&trails));
    findings.extend(documents(&trails));
    Crossing {
        trails: trails.iter().map(|trail| trail.origin.clone()).collect(),
        common_sites: sites.len() as u64,
        findings,
    }
}

fn trail(study: &Study) -> Trail<'_> {
    let book = study.book();
    let origin = book.exchange.as_ref().map(|all| all.origin.clone());
    Trail {
        origin: origin.unwrap_or_default(),
        book,
        study,
    }
}

/// The sites that stand in several trails, by global id.
fn common_sites<'a>(trails: &'a [Trail<'a>]) -> BTreeMap<Kid, Vec<Registered<'a>>> {
    let mut sites: BTreeMap<Kid, Vec<Registered<'a>>> = BTreeMap::new();
    for trail in trails {
        for (id, site) in &trail.book.sites {
            let id = *id;
            let registered = sites.entry(site.capacity_kid).or_default();
            registered.push(Registered { trail, id, site });
        }
    }
    sites.retain(|_, registered| {
        let origins: BTreeSet<_> = registered.iter().map(|one| &one.trail.origin).collect();
        origins.len() > 1
    });
    sites
}

type SiteModel<'a> = (&'a str, &'a [Registered<'a>], &'a GpuModel);

fn models(registered: &[Registered<'_>]) -> BTreeSet<GpuModel> {
    let shared = registered.iter().flat_map(|one| one.site.capacity.keys());
    let stands = registered.iter().flat_map(|one| &one.site.hardware);
    shared
        .chain(stands.map(|hardware| &hardware.gpu_model))
        .cloned()
        .collect()
}

/// The most cards that any of the trails says stand there: no trail is wronged by another's older statement.
fn cards(registered: &[Registered<'_>], gpu_model: &GpuModel) -> i64 {
    let stated = registered.iter().map(|one| one.site.cards(gpu_model));
    stated.max().map_or(0, i64::from)
}

fn capacities<'a>(
    registered: &'a [Registered<'a>],
    gpu_model: &'a GpuModel,
) -> impl Iterator<Item = &'a Capacity> {
    registered
        .iter()
        .filter_map(move |one| one.site.capacity.get(gpu_model))
}

fn hardware((about, registered, gpu_model): SiteModel<'_>) -> Option<Finding> {
    let stated: BTreeSet<_> = registered
        .iter()
        .map(|one| one.site.cards(gpu_model))
        .collect();
    (stated.len() > 1).then(|| Finding {
        code: "cross.hardware",
        about: about.to_owned(),
        count: registered.len() as u64,
        spans: Vec::new(),
        places: registered
            .iter()
            .map(|one| {
                let cards = one.site.cards(gpu_model);
                let subject = format!("{} states {cards} cards", one.id);
                one.trail.at(None, subject)
            })
            .collect(),
    })
}

/// Σ of the capacity shares in force ≤ the cards that stand there.
fn shares(site: SiteModel<'_>) -> Option<Finding> {
    let (_, registered, gpu_model) = site;
    let limit = cards(registered, gpu_model);
    let all: Vec<_> = capacities(registered, gpu_model).collect();
    let breaks: BTreeSet<ClockHour> = all
        .iter()
        .flat_map(|capacity| capacity.shares().map(|(hour, _)| hour))
        .collect();
    let ends = breaks.iter().skip(1);
    let spans = breaks.iter().zip(ends).filter_map(|(from, to)| {
        let sum = all.iter().map(|capacity| i64::from(capacity.cards(*from)));
        let sum = sum.sum();
        (sum > limit).then(|| Span {
            from: from.start(),
            to: to.start(),
            sum,
            limit,
        })
    });
    spans_of("cross.share", site, spans.collect())
}

/// Σ of what is billed in a clock hour ≤ the cards that stand there × 3600.
fn billed(site: SiteModel<'_>) -> Option<Finding> {
    let (_, registered, gpu_model) = site;
    let limit = cards(registered, gpu_model).saturating_mul(HOUR_SECONDS);
    let mut hours: BTreeMap<ClockHour, i64> = BTreeMap::new();
    for (hour, seconds) in capacities(registered, gpu_model).flat_map(Capacity::hours) {
        let sum = hours.entry(hour).or_default();
        *sum = sum.saturating_add(seconds);
    }
    let over = hours.into_iter().filter(|(_, sum)| *sum > limit);
    let spans = over.map(|(hour, sum)| Span {
        from: hour.start(),
        to: hour.next().start(),
        sum,
        limit,
    });
    spans_of("cross.billed", site, spans.collect())
}

fn spans_of(
    code: &'static str,
    (about, registered, _): SiteModel<'_>,
    mut spans: Vec<Span>,
) -> Option<Finding> {
    let count = spans.len() as u64;
    spans.truncate(SHOWN_MAX);
    (count > 0).then(|| Finding {
        code,
        about: about.to_owned(),
        count,
        spans,
        places: registered.iter().map(Registered::at).collect(),
    })
}

/// One standing usage receipt.
#[derive(Clone, Copy)]
struct Metered<'a> {
    order: OrderId,
    entry: u64,
    site: SiteId,
    gpu_model: &'a GpuModel,
    usage: &'a Usage,
}

fn metered(book: &Book) -> impl Iterator<Item = Metered<'_>> {
    book.chains.iter().flat_map(|((id, _), chain)| {
        let segments = book.orders.get(id).map(|order| order.segments.as_slice());
        chain.accepted().iter().filter_map(move |accepted| {
            let usage = accepted.usage.as_ref()?;
            let segment = segments?.get(usize::from(usage.segment))?;
            let Goods::Gpu {
                site, gpu_model, ..
            } = &segment.goods
            else {
                return None;
            };
            let stands = !usage.replaced && !usage.is_void();
            stands.then_some(Metered {
                order: *id,
                entry: accepted.entry,
                site: *site,
                gpu_model,
                usage,
            })
        })
    })
}

/// The same scheduler run in two trails, whatever the sites are called.
fn runs(trails: &[Trail<'_>]) -> Vec<Finding> {
    let mut first: BTreeMap<RunHash, &str> = BTreeMap::new();
    let mut twice: BTreeSet<RunHash> = BTreeSet::new();
    for trail in trails {
        for (run, _) in trail.book.sites.values().flat_map(|site| site.runs.iter()) {
            let before = first.entry(*run).or_insert(&trail.origin);
            if **before != trail.origin {
                twice.insert(*run);
            }
        }
    }
    let mut places: BTreeMap<RunHash, BTreeSet<At>> = BTreeMap::new();
    for trail in trails.iter().filter(|_| !twice.is_empty()) {
        for one in metered(trail.book) {
            for run in one.usage.runs.iter().filter(|run| twice.contains(*run)) {
                let at = trail.at(Some(one.entry), one.order);
                places.entry(*run).or_default().insert(at);
            }
        }
    }
    // The hash of the run's name: the name itself stands in the receipts.
    let named = places.into_iter();
    named
        .map(|(run, places)| places_of("cross.run", format!("run {}", hex(&run)), places))
        .collect()
}

/// The same contract, invoice, payment or certificate in two trails.
fn documents(trails: &[Trail<'_>]) -> Vec<Finding> {
    let mut places: BTreeMap<(&'static str, Sha256Hash), BTreeSet<At>> = BTreeMap::new();
    for trail in trails {
        for document in &trail.study.seen().documents {
            let kind = EvidenceKind::as_str(document.kind);
            let at = trail.at(Some(document.entry), kind);
            places.entry((kind, document.hash)).or_default().insert(at);
        }
    }
    let several = places.into_iter().filter(|(_, places)| {
        let trails: BTreeSet<_> = places.iter().map(|at| &at.trail).collect();
        trails.len() > 1
    });
    several
        .map(|((kind, hash), places)| places_of("cross.document", format!("{kind} {hash}"), places))
        .collect()
}

fn places_of(code: &'static str, about: String, places: BTreeSet<At>) -> Finding {
    Finding {
        code,
        about,
        count: places.len() as u64,
        spans: Vec::new(),
        places: places.into_iter().take(SHOWN_MAX).collect(),
    }
}
