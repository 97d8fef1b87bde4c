//! What `decide` worked out: ids, amounts, the trace (DESIGN §4.6). One struct; members that do not apply are absent.

use serde::{Deserialize, Serialize};

use crate::id::{
    ActorId, BatchId, CaseId, DatasetId, OfferId, OrderId, PartyId, ProgrammeId, SiteId, VoucherId,
};

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
    /// The party that was admitted.
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
}
