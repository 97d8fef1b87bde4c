//! Listed datasets; a version is immutable and named by its manifest (DESIGN §9).

use crate::id::{DatasetId, DocumentDigest, PartyId};
use crate::money::Fen;
use crate::time::Timestamp;

/// A listing: the versions of one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Who sells it.
    pub vendor: PartyId,
    /// Its versions by manifest, oldest first.
    pub versions: Vec<DocumentDigest>,
    /// Since when it is withdrawn from sale: orders placed before stay.
    pub withdrawn: Option<Timestamp>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Of which listing.
    pub dataset: DatasetId,
    /// Its name.
    pub name: String,
    /// The bytes of all files.
    pub bytes: u64,
    /// The price of one licence now.
    pub price_fen: Fen,
    /// Since when which price, oldest first; the last one is `price_fen`.
    pub prices: Vec<(Timestamp, Fen)>,
    /// The digest of the licence text.
    pub licence: DocumentDigest,
    /// The digest of the card, where it was published with one.
    pub card: Option<DocumentDigest>,
    /// The entry that published it.
    pub seq: u64,
    /// What an assessor said last, if one did.
    pub assessed: Option<bool>,
    /// Since when nobody may use it.
    pub recalled: Option<Timestamp>,
}

packed! {
    Dataset { vendor, versions, withdrawn }
    Version { dataset, name, bytes, price_fen, prices, licence, card, seq, assessed, recalled }
}
