//! Orders: who trades what with whom, until when. Their money is in [`crate::settlement`], their receipts in `chain`.

use crate::book::command::{Billing, Contract};
use crate::id::{DatasetId, DocumentDigest, GpuModel, OfferId, PartyId, Salt, SiteId};
use crate::money::Fen;
use crate::programme::schema::Scheme;
use crate::time::Timestamp;

/// Seconds that the price of metered or reserved GPU time is for: an hour of one card.
pub const CARD_HOUR_SECONDS: i64 = 3_600;

/// What one segment of an order buys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goods {
    /// GPU time at a site.
    Gpu {
        /// Under which offer.
        offer: OfferId,
        /// Where.
        site: SiteId,
        /// On which cards.
        gpu_model: GpuModel,
        /// What is billed.
        billing: Billing,
    },
    /// A licence of a dataset's version.
    Dataset {
        /// Which listing.
        dataset: DatasetId,
        /// Which version.
        manifest: DocumentDigest,
    },
}

/// One segment of an order's terms; a new price is a new segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// What is bought.
    pub goods: Goods,
    /// From when …
    pub from: Timestamp,
    /// … to before when.
    pub to: Timestamp,
    /// Fen a card-hour, or the price of the licence.
    pub price_fen: Fen,
    /// The most GPU-seconds.
    pub limit: Option<u64>,
}

/// Whether an order still takes evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Receipts are taken.
    Open,
    /// Done, cancelled or expired at this moment.
    Closed(Timestamp),
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Who buys.
    pub buyer: PartyId,
    /// Who sells.
    pub seller: PartyId,
    /// Compute or data.
    pub scheme: Scheme,
    /// The terms.
    pub segments: Vec<Segment>,
    /// The contract behind it.
    pub contract: Option<Contract>,
    /// The stated purpose.
    pub purpose: Option<String>,
    /// The buyer's nonce for sampling seeds.
    pub nonce: Option<Salt>,
    /// Days after its last segment in which receipts are still taken: the shortest of its programmes'.
    pub grace_days: i64,
    /// Open or closed.
    pub standing: Standing,
}

impl Order {
    /// The end of the last segment.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        self.segments.iter().map(|segment| segment.to).max()
    }
}

packed! {
    Segment { goods, from, to, price_fen, limit }
    Order { buyer, seller, scheme, segments, contract, purpose, nonce, grace_days, standing }
}
packed_enum!(Goods {
    0 => Gpu { offer, site, gpu_model, billing },
    1 => Dataset { dataset, manifest },
});
packed_enum!(Standing { 0 => Open, 1 => Closed(at) });
