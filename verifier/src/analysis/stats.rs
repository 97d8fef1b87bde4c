//! Use of the shared hardware, and where the subsidy goes (DESIGN §8): numbers for the people who run a programme.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

use super::{Amount, Basis, IsoWeek, Level, Study, Words, share_bp};
use crate::book::Book;
use crate::book::command::Billing;
use crate::book::state::fact::Subject;
use crate::book::state::order::{Goods, Order};
use crate::book::state::site::Capacity;
use crate::fact::{FactName, FactValue};
use crate::id::{GpuModel, OrderId, ProgrammeId, SiteId};
use crate::region::Region;
use crate::signature::Kid;
use crate::time::{ClockHour, HOUR_SECONDS, Timestamp, UtcOffset};

/// The name of what is not recorded.
const UNKNOWN: &str = "unknown";

/// Billed and shared GPU-seconds of one week.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Use {
    /// Billed by standing receipts.
    pub billed_gpu_seconds: i64,
    /// What the shares in force gave, up to the hour of the last entry.
    pub shared_gpu_seconds: i64,
    /// The one over the other in basis points, rounded down; 0 where nothing was shared.
    pub utilisation_bp: i64,
}

impl Use {
    fn add(&mut self, other: Self) {
        let (billed, shared) = (&mut self.billed_gpu_seconds, &mut self.shared_gpu_seconds);
        *billed = billed.saturating_add(other.billed_gpu_seconds);
        *shared = shared.saturating_add(other.shared_gpu_seconds);
        self.utilisation_bp = share_bp(*billed, *shared);
    }

    const fn is_nothing(&self) -> bool {
        self.billed_gpu_seconds == 0 && self.shared_gpu_seconds == 0
    }
}

/// One card model of a site in one week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteWeek {
    /// Which site.
    pub site: SiteId,
    /// Its name in every exchange.
    pub global: Kid,
    /// Where it stands.
    pub region: Region,
    /// Which cards.
    pub gpu_model: GpuModel,
    /// Which week, of the exchange's own days.
    pub week: IsoWeek,
    /// How it was used.
    #[serde(flatten)]
    pub used: Use,
}

/// All sites of a region in one week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegionWeek {
    /// Which region, as the sites name it.
    pub region: Region,
    /// Which week.
    pub week: IsoWeek,
    /// How it was used.
    #[serde(flatten)]
    pub used: Use,
}

/// A part of the subsidy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Which part.
    pub name: String,
    /// Of how many orders, each counted once a row.
    pub orders: u64,
    /// Earned by evidence, in fen.
    pub earned_fen: i64,
    /// Taken back by clawbacks, in fen.
    pub taken_back_fen: i64,
    /// Still granted, in fen.
    pub granted_fen: i64,
}

/// The subsidy, cut in five ways; each cut sums to the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Subsidy {
    /// By what the orders buy.
    pub schemes: Vec<Part>,
    /// By programme.
    pub programmes: Vec<Part>,
    /// By the buyer's size on the day of the order (fact `sme_class`).
    pub size_classes: Vec<Part>,
    /// By evidence level.
    pub levels: Vec<Part>,
    /// By whose word it rests on.
    pub words: Vec<Part>,
}

/// The statistics of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// The log.
    pub origin: Option<String>,
    /// How many entries they are over.
    pub entries: u64,
    /// The time of the last one.
    pub until: Option<Timestamp>,
    /// Use by site, card model and week.
    pub sites: Vec<SiteWeek>,
    /// Use by region and week.
    pub regions: Vec<RegionWeek>,
    /// Where the money went.
    pub subsidy: Subsidy,
}

/// Counts everything.
#[must_use]
pub fn stats(study: &Study) -> Stats {
    let book = study.book();
    let sites = sites(book);
    Stats {
        origin: book.exchange.as_ref().map(|all| all.origin.clone()),
        entries: book.size,
        until: book.last_at,
        regions: regions(&sites),
        sites,
        subsidy: subsidy(study),
    }
}

fn offset(book: &Book) -> UtcOffset {
    book.exchange
        .as_ref()
        .map_or(UtcOffset::CHINA, |exchange| exchange.offset)
}

fn week(hour: ClockHour, offset: UtcOffset) -> IsoWeek {
    IsoWeek::of(hour.start().local_day(offset))
}

type Weeks = BTreeMap<(SiteId, GpuModel, IsoWeek), Use>;

fn sites(book: &Book) -> Vec<SiteWeek> {
    let Some(last) = book.last_at else {
        return Vec::new();
    };
    let (until, offset) = (last.hour().next(), offset(book));
    let mut weeks = Weeks::new();
    for (site, gpu_model, capacity) in capacities(book) {
        let mut count = |hour, billed, shared| {
            let key = (site, gpu_model.clone(), week(hour, offset));
            weeks.entry(key).or_default().add(Use {
                billed_gpu_seconds: billed,
                shared_gpu_seconds: shared,
                utilisation_bp: 0,
            });
        };
        shared(capacity, until, |hour, cards| {
            count(hour, 0, i64::from(cards) * HOUR_SECONDS);
        });
        capacity
            .hours()
            .for_each(|(hour, seconds)| count(hour, seconds, 0));
    }
    unbilled(book, |site, gpu_model, hour, seconds| {
        let key = (site, gpu_model, week(hour, offset));
        weeks.entry(key).or_default().add(Use {
            billed_gpu_seconds: -seconds,
            ..Use::default()
        });
    });
    let known = weeks.into_iter().filter(|(_, used)| !used.is_nothing());
    let row = known.filter_map(|((site, gpu_model, week), used)| {
        let of = book.sites.get(&site)?;
        Some(SiteWeek {
            site,
            global: of.capacity_kid,
            region: of.region,
            gpu_model,
            week,
            used,
        })
    });
    row.collect()
}

fn capacities(book: &Book) -> impl Iterator<Item = (SiteId, &GpuModel, &Capacity)> {
    book.sites.iter().flat_map(|(id, site)| {
        let models = site.capacity.iter();
        models.map(|(gpu_model, capacity)| (*id, gpu_model, capacity))
    })
}

/// Tells the cards that are shared in each hour before `until`.
fn shared(capacity: &Capacity, until: ClockHour, mut tell: impl FnMut(ClockHour, u32)) {
    let mut shares = capacity.shares().peekable();
    while let Some((from, cards)) = shares.next() {
        let to = shares.peek().map_or(until, |(next, _)| until.min(*next));
        let mut hour = from;
        while cards > 0 && hour < to {
            tell(hour, cards);
            hour = hour.next();
        }
    }
}

/// Tells the GPU-seconds of standing receipts that occupied a site and are not billed, in the hour they began.
fn unbilled(book: &Book, mut tell: impl FnMut(SiteId, GpuModel, ClockHour, i64)) {
    for ((id, _), chain) in &book.chains {
        let Some(order) = book.orders.get(id) else {
            continue;
        };
        let all = chain.accepted().iter().filter_map(|one| one.usage.as_ref());
        for usage in all.filter(|usage| !usage.replaced && usage.unbilled > 0) {
            let segment = order.segments.get(usize::from(usage.segment));
            if let Some(Goods::Gpu {
                site,
                gpu_model,
                billing: Billing::Metered,
                ..
            }) = segment.map(|segment| &segment.goods)
            {
                tell(*site, gpu_model.clone(), usage.start.hour(), usage.unbilled);
            }
        }
    }
}

fn regions(sites: &[SiteWeek]) -> Vec<RegionWeek> {
    let mut weeks: BTreeMap<(Region, IsoWeek), Use> = BTreeMap::new();
    for row in sites {
        let sum = weeks.entry((row.region, row.week)).or_default();
        sum.add(row.used);
    }
    let row = |((region, week), used)| RegionWeek { region, week, used };
    weeks.into_iter().map(row).collect()
}

/// Amounts by a name, with the orders that they are of.
#[derive(Default)]
struct Cut(BTreeMap<String, (BTreeSet<OrderId>, Amount)>);

impl Cut {
    fn add(&mut self, name: impl Into<String>, order: OrderId, amount: Amount) {
        let (orders, sum) = self.0.entry(name.into()).or_default();
        orders.insert(order);
        sum.add(amount);
    }

    fn parts(self) -> Vec<Part> {
        let part = |(name, (orders, amount)): (String, (BTreeSet<OrderId>, Amount))| Part {
            name,
            orders: orders.len() as u64,
            earned_fen: amount.earned,
            taken_back_fen: amount.taken_back,
            granted_fen: amount.net(),
        };
        self.0.into_iter().map(part).collect()
    }
}

fn subsidy(study: &Study) -> Subsidy {
    let book = study.book();
    let [
        mut schemes,
        mut programmes,
        mut sizes,
        mut levels,
        mut words,
    ] = std::array::from_fn(|_| Cut::default());
    for (id, claim, Basis { level, words: by }, amount) in study.earned().iter() {
        let Some(order) = book.orders.get(&id) else {
            continue;
        };
        schemes.add(order.scheme.as_str(), id, amount);
        programmes.add(programme(book, id, claim), id, amount);
        sizes.add(size_class(study, id, order), id, amount);
        levels.add(level.map_or("no receipt", Level::as_str), id, amount);
        words.add(Words::to_string(&by), id, amount);
    }
    Subsidy {
        schemes: schemes.parts(),
        programmes: programmes.parts(),
        size_classes: sizes.parts(),
        levels: levels.parts(),
        words: words.parts(),
    }
}

fn programme(book: &Book, order: OrderId, claim: u8) -> String {
    let order = book.money.order(order).ok();
    let claim = order.and_then(|order| order.claims.get(usize::from(claim)));
    claim
        .map(|claim| &claim.programme)
        .map_or_else(|| UNKNOWN.to_owned(), ProgrammeId::to_string)
}

/// The buyer's class on the day of the order, as recorded by now.
fn size_class(study: &Study, id: OrderId, order: &Order) -> String {
    let book = study.book();
    let placed = book.money.order(id).map(|order| order.placed_at);
    let value = placed.ok().and_then(|at| {
        let (buyer, day) = (Subject::Party(order.buyer), at.local_day(offset(book)));
        book.facts.on(buyer, FactName::SmeClass, day)
    });
    match value {
        Some(FactValue::Str(class)) => class.clone(),
        Some(FactValue::Absent) => "none".to_owned(),
        Some(FactValue::Bool(_) | FactValue::Int(_) | FactValue::List(_)) | None => {
            UNKNOWN.to_owned()
        }
    }
}
