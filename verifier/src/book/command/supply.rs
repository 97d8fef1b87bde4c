//! Sites, capacity shares, offers and datasets.

use serde::{Deserialize, Serialize};

use crate::id::{DatasetId, DocumentDigest, GpuModel, OfferId, PartyId, SiteId};
use crate::money::Fen;
use crate::receipt::Signed;
use crate::region::Region;
use crate::signature::Kid;
use crate::time::Timestamp;

payload! {
    /// Registers hardware in one place.
    RegisterSite {
        /// Who meters it.
        provider: PartyId,
        /// Where, GB/T 2260.
        region: Region,
        /// What stands there.
        hardware: Vec<Hardware>,
        /// The capacity key; its thumbprint is the site's global id.
        capacity_kid: Kid,
    }
    /// Changes a site's hardware.
    UpdateSite {
        /// Which site.
        site: SiteId,
        /// All that stands there from now on.
        hardware: Vec<Hardware>,
    }
    /// Shares a site's capacity with this exchange.
    ShareCapacity {
        /// A `capacity-share+jwt` by the site's capacity key.
        jws: Signed,
    }
    /// Publishes an offer of GPU time.
    PublishOffer {
        /// At which site.
        site: SiteId,
        /// Which cards.
        gpu_model: GpuModel,
        /// What is billed.
        billing: Billing,
        /// Fen a card-hour.
        price_fen: Fen,
        /// Until when it can be ordered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_to: Option<Timestamp>,
    }
    /// Withdraws an offer.
    WithdrawOffer {
        /// Which offer.
        offer: OfferId,
    }
    /// Publishes an immutable version of a dataset, named by its manifest.
    PublishDataset {
        /// The listing it continues; absent for a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dataset: Option<DatasetId>,
        /// The version's name, `[0-9a-z.+-]{1,32}`.
        version: String,
        /// SHA-256 of the manifest: sorted lines `<sha-256 hex>  <bytes>  <NFC path>\n`.
        manifest: DocumentDigest,
        /// The manifest itself, where it is small; else only its digest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<String>,
        /// The bytes of all files.
        bytes: u64,
        /// The price of one licence.
        price_fen: Fen,
        /// The digest of the licence text.
        licence: DocumentDigest,
        /// The digest of the card: what the vendor says of the version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        card: Option<DocumentDigest>,
    }
    /// Sets another price of a version; orders placed before keep theirs.
    PriceDataset {
        /// Which version.
        manifest: DocumentDigest,
        /// The price of one licence from now on.
        price_fen: Fen,
    }
    /// An assessor's verdict on a version.
    AssessDataset {
        /// Which version.
        manifest: DocumentDigest,
        /// Good for listing or not.
        passed: bool,
        /// The digest of the report.
        report: DocumentDigest,
    }
    /// Withdraws a listing from sale.
    WithdrawDataset {
        /// Which listing.
        dataset: DatasetId,
    }
    /// Recalls a version: nobody may use it any more.
    RecallDataset {
        /// Which version.
        manifest: DocumentDigest,
        /// The digest of the notice.
        notice: DocumentDigest,
    }
    /// Cards of one model.
    Hardware {
        /// Which model.
        gpu_model: GpuModel,
        /// How many physical cards.
        gpus: u32,
    }
}

/// What of GPU time is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Billing {
    /// Used GPU-seconds.
    Metered,
    /// Reserved cards × covered seconds.
    Reserved,
}

packed!(Hardware { gpu_model, gpus });
packed_enum!(Billing { 0 => Metered, 1 => Reserved });
