//! What `decide` worked out: ids, amounts, the trace (DESIGN §4.6). One struct; members that do not apply are absent.

use serde::{Deserialize, Serialize};

use crate::book::scope::Scope;
use crate::id::{
    ActorId, BatchId, CaseId, DatasetId, OfferId, OrderId, PartyId, ProgrammeId, SiteId, VoucherId,
};
use crate::money::{BasisPoints, Fen};
use crate::programme::TraceLine;
use crate::programme::subsidy::TierChoice;
use crate::settlement::cap::Holder;
use crate::settlement::clawback::ClawedBack;
use crate::settlement::close::Closed;
use crate::settlement::debt::Repaid;
use crate::settlement::freeze::{Frozen, Ruled};
use crate::settlement::fund::FundMoved;
use crate::settlement::payout::{Executed, Instructed, Returned};
use crate::settlement::period::PeriodClosed;
use crate::settlement::place::Placed;
use crate::settlement::statement::Stated;
use crate::settlement::voucher::{Ended, Issued};
use crate::time::Timestamp;

/// A data order whose use a receipt proves, stated anew in the same entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proven {
    /// Which order.
    pub order: OrderId,
    /// What it has earned.
    pub stated: Stated,
}

/// How many entries each scope had before the entry that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// Each scope that has any, in their order.
    pub counts: Vec<(Scope, u64)>,
    /// The last scope of this entry, where others are behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Scope>,
}

/// When one key of the log takes over from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succession {
    /// The size of the first head that the new key signs: the one whose last entry says so.
    pub from: u64,
    /// Heads whose last entry is of before this time are signed by the old key too.
    pub until: Timestamp,
}

macro_rules! found {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        /// The decision on one command.
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Found {
            $($(#[$doc])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $field: Option<$type>,)*
        }
    };
}

found! {
    /// The party that was admitted, or whose key was compromised.
    party: PartyId,
    /// The actor that was registered.
    actor: ActorId,
    /// The site that was registered.
    site: SiteId,
    /// The offer that was published.
    offer: OfferId,
    /// The dataset that was listed.
    dataset: DatasetId,
    /// The programme that was enacted.
    programme: ProgrammeId,
    /// Its version: 1 for the first file enacted under the id.
    version: u32,
    /// The voucher that was issued.
    voucher: VoucherId,
    /// The order that was placed, or that the evidence is for.
    order: OrderId,
    /// The case that was opened.
    case: CaseId,
    /// The payout batch that was instructed.
    batch: BatchId,
    /// What caps and funds must know of the holder.
    holder: Holder,
    /// The tiers that apply, by claim as asked (or, in an amendment, in stacking order), then by segment.
    tiers: Vec<Vec<TierChoice>>,
    /// Every rule that ran.
    trace: Vec<TraceLine>,
    /// The amount that a decision supplied.
    approved: Fen,
    /// The share that is clawed back.
    share: BasisPoints,
    /// A fund after an appropriation or a lapse.
    fund_moved: FundMoved,
    /// A voucher as issued.
    issued: Issued,
    /// A voucher as ended.
    ended: Ended,
    /// An order as placed.
    placed: Placed,
    /// What an order has earned.
    stated: Stated,
    /// What a usage receipt proves of its buyer's data orders.
    proven: Vec<Proven>,
    /// What an ended order gave back.
    closed: Closed,
    /// A closed period.
    period_closed: PeriodClosed,
    /// An instructed batch.
    instructed: Instructed,
    /// An executed batch.
    executed: Executed,
    /// A returned batch.
    returned: Returned,
    /// What was taken back.
    clawed_back: ClawedBack,
    /// A debt after cash or a write-off.
    repaid: Repaid,
    /// How many entries each scope has.
    sealed: Sealed,
    /// What was frozen of what a compromised key has earned.
    frozen: Frozen,
    /// What a case decided of it.
    ruled: Ruled,
    /// When a key of the log takes over.
    succession: Succession,
}
