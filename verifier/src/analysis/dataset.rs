//! What a trail says of one version of a dataset: by whom, assessed how, ordered by whom under which contract, delivered,
//! accepted, used in which jobs, and the subsidy to the fen (DESIGN §8, §9).

use serde::Serialize;
use std::collections::BTreeMap;

use super::{Amount, Study};
use crate::book::Book;
use crate::book::command::Command;
use crate::book::entry::Entry;
use crate::book::state::dataset::Version;
use crate::book::state::order::{Goods, Order, Standing};
use crate::dataset;
use crate::id::{
    DatasetId, DocumentDigest, GpuModel, OrderId, PartyId, ProgrammeId, Sha256Hash, SiteId,
    VoucherId,
};
use crate::money::Fen;
use crate::receipt::{Claims, ComputeUsage, DataDelivery, Jti, Receipt, Verdict};
use crate::settlement::order::Source;
use crate::signature::Kid;
use crate::time::Timestamp;

/// A moment of the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// The entry.
    pub seq: u64,
    /// Its time.
    pub at: Timestamp,
}

impl From<&Entry> for Moment {
    fn from(entry: &Entry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
        }
    }
}

/// An assessor's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assessment {
    /// When.
    #[serde(flatten)]
    pub moment: Moment,
    /// Who.
    pub by: PartyId,
    /// Good for listing or not.
    pub passed: bool,
    /// The digest of the report.
    pub report: DocumentDigest,
}

/// A price and since when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Price {
    /// Since when.
    pub at: Timestamp,
    /// The price of one licence.
    pub price_fen: Fen,
}

/// A signed delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The entry that took it.
    #[serde(flatten)]
    pub moment: Moment,
    /// The receipt's name.
    pub jti: Jti,
    /// When the last byte was served.
    pub delivered_at: Timestamp,
    /// The digest of the served ranges.
    pub ranges: DocumentDigest,
    /// What the buyer must be able to open.
    pub possession_hash: Sha256Hash,
    /// Whose key signed it: `vendor` or `exchange`.
    pub signed_by: &'static str,
    /// Which key.
    pub kid: Kid,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acceptance {
    /// When.
    #[serde(flatten)]
    pub moment: Moment,
    /// `given` by the buyer's signature, or `deemed` by its silence.
    pub how: &'static str,
    /// Good or not.
    pub verdict: Verdict,
    /// What only a holder of the bytes can say; silence says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub possession: Option<Sha256Hash>,
}

/// What a claim of an order grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Which claim of its order.
    pub claim: u8,
    /// Under which programme.
    pub programme: ProgrammeId,
    /// On which voucher, where the programme has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voucher: Option<VoucherId>,
    /// Who is paid.
    pub payee: PartyId,
    /// Earned by evidence.
    pub earned_fen: i64,
    /// Taken back by clawbacks.
    pub taken_back_fen: i64,
    /// Still granted.
    pub granted_fen: i64,
}

/// An order of the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sale {
    /// Which order.
    pub order: OrderId,
    /// When it was placed.
    #[serde(flatten)]
    pub moment: Moment,
    /// Who buys.
    pub buyer: PartyId,
    /// The contract behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<DocumentDigest>,
    /// The price of the licence.
    pub price_fen: Fen,
    /// Since when it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Timestamp>,
    /// Its deliveries, oldest first.
    pub deliveries: Vec<Delivery>,
    /// What the buyer made of them, oldest first.
    pub acceptances: Vec<Acceptance>,
    /// What it grants, by claim.
    pub grants: Vec<Grant>,
}

/// A job's run and its part of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The scheduler's name of it.
    pub run: String,
    /// Its GPU-seconds.
    pub gpu_seconds: i64,
}

/// A compute receipt that names the version as an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Used {
    /// The entry that took it.
    #[serde(flatten)]
    pub moment: Moment,
    /// The receipt's name.
    pub jti: Jti,
    /// Its order of compute.
    pub order: OrderId,
    /// Who used it: the buyer of that order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer: Option<PartyId>,
    /// Who metered.
    pub provider: PartyId,
    /// Where.
    pub site: SiteId,
    /// On which cards.
    pub gpu_model: GpuModel,
    /// From when …
    pub start: Timestamp,
    /// … to before when.
    pub end: Timestamp,
    /// The jobs.
    pub runs: Vec<Run>,
    /// All GPU-seconds of the receipt.
    pub gpu_seconds: i64,
    /// Whether a later receipt took its place: it counts for nothing.
    pub replaced: bool,
    /// The data orders whose holdback it released.
    pub proves: Vec<OrderId>,
}

/// All that a trail says of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Which version.
    pub manifest: DocumentDigest,
    /// Of which listing.
    pub dataset: DatasetId,
    /// Its name.
    pub version: String,
    /// Who published it.
    pub vendor: PartyId,
    /// The commitment to the vendor's name: who shows name and salt opens it.
    pub vendor_name: Sha256Hash,
    /// When.
    pub published: Moment,
    /// The bytes of all files.
    pub bytes: u64,
    /// The digest of the licence text.
    pub licence: DocumentDigest,
    /// The digest of the card, where it was published with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<DocumentDigest>,
    /// Where it stands: `submitted`, `failed`, `listed`, `withdrawn`, `recalled`.
    pub state: &'static str,
    /// Since when its listing is withdrawn from sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Timestamp>,
    /// Since when nobody may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recalled: Option<Timestamp>,
    /// The digest of the notice of the recall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<DocumentDigest>,
    /// Its prices, oldest first.
    pub prices: Vec<Price>,
    /// Its assessments, oldest first.
    pub assessments: Vec<Assessment>,
    /// Its orders, oldest first.
    pub orders: Vec<Sale>,
    /// Its uses, oldest first.
    pub uses: Vec<Used>,
    /// The GPU-seconds of all uses that stand.
    pub gpu_seconds: i64,
    /// Earned by all orders.
    pub earned_fen: i64,
    /// Taken back of it.
    pub taken_back_fen: i64,
    /// Still granted.
    pub granted_fen: i64,
}

/// What entries say of a version and a book does not keep.
pub(super) struct Watch {
    manifest: DocumentDigest,
    published: Option<Moment>,
    assessments: Vec<Assessment>,
    notice: Option<DocumentDigest>,
    placed: BTreeMap<OrderId, Moment>,
    deliveries: BTreeMap<OrderId, Vec<Delivery>>,
    acceptances: BTreeMap<OrderId, Vec<Acceptance>>,
    uses: Vec<Used>,
}

impl Watch {
    pub(super) const fn new(manifest: DocumentDigest) -> Self {
        Self {
            manifest,
            published: None,
            assessments: Vec::new(),
            notice: None,
            placed: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            acceptances: BTreeMap::new(),
            uses: Vec::new(),
        }
    }

    /// Takes in an entry that was just applied.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "no other entry speaks of a version"
    )]
    pub(super) fn take(&mut self, book: &Book, entry: &Entry) {
        let moment = Moment::from(entry);
        match &entry.asked {
            Command::PublishDataset(asked) if asked.manifest == self.manifest => {
                self.published = Some(moment);
            }
            Command::AssessDataset(asked) if asked.manifest == self.manifest => {
                self.assessments.push(Assessment {
                    moment,
                    by: entry.by,
                    passed: asked.passed,
                    report: asked.report,
                });
            }
            Command::RecallDataset(asked) if asked.manifest == self.manifest => {
                self.notice = Some(asked.notice);
            }
            Command::PlaceOrder(_) => {
                let placed = entry.found.order.map(|order| (order, moment));
                self.placed
                    .extend(placed.filter(|(order, _)| self.buys(book, *order)));
            }
            Command::AcceptReceipt(asked) => self.received(book, entry, asked.jws.receipt()),
            Command::GiveAcceptance(asked) => {
                if let Claims::Acceptance(said) = asked.jws.receipt().claims()
                    && said.digest == self.manifest
                {
                    self.accepted(
                        said.sub,
                        Acceptance {
                            moment,
                            how: "given",
                            verdict: said.verdict,
                            possession: Some(said.possession),
                        },
                    );
                }
            }
            Command::DeemAcceptance(asked) if self.placed.contains_key(&asked.order) => {
                self.accepted(
                    asked.order,
                    Acceptance {
                        moment,
                        how: "deemed",
                        verdict: Verdict::Accepted,
                        possession: None,
                    },
                );
            }
            _ => {}
        }
    }

    fn buys(&self, book: &Book, order: OrderId) -> bool {
        let order = book.orders.get(&order);
        order.is_some_and(|order| price(order, self.manifest).is_some())
    }

    fn accepted(&mut self, order: OrderId, word: Acceptance) {
        self.acceptances.entry(order).or_default().push(word);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "no other receipt speaks of a version"
    )]
    fn received(&mut self, book: &Book, entry: &Entry, receipt: &Receipt) {
        match receipt.claims() {
            Claims::Delivery(said) if said.digest == self.manifest => {
                let delivery = delivery(book, entry, said, receipt.kid());
                self.deliveries.entry(said.sub).or_default().push(delivery);
            }
            Claims::Usage(said)
                if said
                    .inputs
                    .iter()
                    .flatten()
                    .any(|input| *input == self.manifest) =>
            {
                let mut used = used(book, entry, said);
                let proven = entry.found.proven.iter().flatten();
                let proven = proven.map(|proven| proven.order);
                used.proves = proven
                    .filter(|order| self.placed.contains_key(order))
                    .collect();
                self.uses.push(used);
            }
            _ => {}
        }
    }

    fn sale(
        &self,
        book: &Book,
        earned: &BTreeMap<(OrderId, u8), Amount>,
        id: OrderId,
    ) -> Option<Sale> {
        let order = book.orders.get(&id)?;
        let of = |all: &BTreeMap<OrderId, Vec<Acceptance>>| all.get(&id).cloned();
        Some(Sale {
            order: id,
            moment: *self.placed.get(&id)?,
            buyer: order.buyer,
            contract: order.contract.as_ref().map(|contract| contract.digest),
            price_fen: price(order, self.manifest)?,
            closed: match order.standing {
                Standing::Open => None,
                Standing::Closed(at) => Some(at),
            },
            deliveries: self.deliveries.get(&id).cloned().unwrap_or_default(),
            acceptances: of(&self.acceptances).unwrap_or_default(),
            grants: grants(book, earned, id),
        })
    }
}

fn delivery(book: &Book, entry: &Entry, said: &DataDelivery, kid: Kid) -> Delivery {
    let seller = book.orders.get(&said.sub).map(|order| order.seller);
    let signed_by = if seller == Some(said.iss) {
        "vendor"
    } else {
        "exchange"
    };
    Delivery {
        moment: entry.into(),
        jti: said.jti,
        delivered_at: said.delivered_at,
        ranges: said.ranges,
        possession_hash: said.possession_hash,
        signed_by,
        kid,
    }
}

fn used(book: &Book, entry: &Entry, said: &ComputeUsage) -> Used {
    let run = |job: &crate::receipt::Job| Run {
        run: job.run.clone(),
        gpu_seconds: job.gpu_seconds.get(),
    };
    Used {
        moment: entry.into(),
        jti: said.jti,
        order: said.sub,
        buyer: book.orders.get(&said.sub).map(|order| order.buyer),
        provider: said.iss,
        site: said.site,
        gpu_model: said.gpu_model.clone(),
        start: said.start,
        end: said.end,
        runs: said.jobs.iter().map(run).collect(),
        gpu_seconds: said.gpu_seconds.get(),
        replaced: false,
        proves: Vec::new(),
    }
}

/// What an order pays for a version; none where it does not buy it.
fn price(order: &Order, manifest: DocumentDigest) -> Option<Fen> {
    let is_it =
        |goods: &Goods| matches!(goods, Goods::Dataset { manifest: of, .. } if *of == manifest);
    let mut segments = order.segments.iter();
    let segment = segments.find(|segment| is_it(&segment.goods))?;
    Some(segment.price_fen)
}

/// Every claim of an order, also one that has earned nothing.
fn grants(book: &Book, earned: &BTreeMap<(OrderId, u8), Amount>, id: OrderId) -> Vec<Grant> {
    let Ok(order) = book.money.order(id) else {
        return Vec::new();
    };
    let claims = (0_u8..).zip(&order.claims);
    let grant = claims.map(|(place, claim)| {
        let amount = earned.get(&(id, place)).copied().unwrap_or_default();
        Grant {
            claim: place,
            programme: claim.programme.clone(),
            voucher: match claim.source {
                Source::Voucher(voucher) => Some(voucher),
                Source::Order | Source::Settlement => None,
            },
            payee: claim.payee,
            earned_fen: amount.earned,
            taken_back_fen: amount.taken_back,
            granted_fen: amount.net(),
        }
    });
    grant.collect()
}

/// Whether a correction took a receipt's place.
fn is_replaced(book: &Book, used: &Used) -> bool {
    let chain = book.chains.get(&(used.order, used.provider));
    let usage = chain.and_then(|chain| chain.get(used.jti.seq)?.usage.as_ref());
    usage.is_some_and(|usage| usage.replaced)
}

impl Study {
    /// What the trail says of the version that is watched ([`Study::of_version`]); none where it was not published.
    #[must_use]
    pub fn version(&self) -> Option<Told> {
        let watch = self.watch.as_ref()?;
        let book = self.book();
        let version = book.versions.get(&watch.manifest)?;
        let mut earned: BTreeMap<(OrderId, u8), Amount> = BTreeMap::new();
        for (order, claim, _, amount) in self.earned().iter() {
            earned.entry((order, claim)).or_default().add(amount);
        }
        let orders = watch.placed.iter();
        let orders = orders.filter_map(|(id, _)| watch.sale(book, &earned, *id));
        let mut orders: Vec<_> = orders.collect();
        orders.sort_by_key(|sale| sale.moment.seq);
        let mut uses = watch.uses.clone();
        for used in &mut uses {
            used.replaced = is_replaced(book, used);
        }
        told(watch, book, version, (orders, uses))
    }
}

fn told(
    watch: &Watch,
    book: &Book,
    version: &Version,
    (orders, uses): (Vec<Sale>, Vec<Used>),
) -> Option<Told> {
    let listing = book.dataset(version.dataset).ok()?;
    let mut sum = Amount::default();
    for grant in orders.iter().flat_map(|sale| &sale.grants) {
        sum.add(Amount {
            earned: grant.earned_fen,
            taken_back: grant.taken_back_fen,
        });
    }
    let standing = uses.iter().filter(|used| !used.replaced);
    let gpu_seconds = standing.map(|used| used.gpu_seconds);
    let prices = version.prices.iter();
    Some(Told {
        manifest: watch.manifest,
        dataset: version.dataset,
        version: version.name.clone(),
        vendor: listing.vendor,
        vendor_name: book.party(listing.vendor).ok()?.name,
        published: watch.published?,
        bytes: version.bytes,
        licence: version.licence,
        card: version.card,
        state: dataset::state(book, watch.manifest).ok()?.as_str(),
        withdrawn: listing.withdrawn,
        recalled: version.recalled,
        notice: watch.notice,
        prices: prices
            .map(|(at, price_fen)| Price {
                at: *at,
                price_fen: *price_fen,
            })
            .collect(),
        assessments: watch.assessments.clone(),
        gpu_seconds: gpu_seconds.fold(0, i64::saturating_add),
        orders,
        uses,
        earned_fen: sum.earned,
        taken_back_fen: sum.taken_back,
        granted_fen: sum.net(),
    })
}
