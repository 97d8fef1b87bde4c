//! What is for sale: three sites with shared capacity, offers of GPU time, two datasets.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use verifier::dataset::{FileLine, Manifest};
use verifier::id::{DocumentDigest, OfferId, SiteId};
use verifier::receipt::{self, CapacityShare, KeyUse};
use verifier::time::Timestamp;

use super::cast::Cast;
use super::{Fault, Stage, document, listing, moment};

/// A site and what stands there.
struct Place {
    provider: &'static str,
    region: &'static str,
    gpu_model: &'static str,
    gpus: u32,
    /// How many of them this exchange may sell.
    shared: u32,
    /// Fen a card-hour.
    price: i64,
    pflops: i64,
    chip_origin: &'static str,
}

#[rustfmt::skip]
const PLACES: &[Place] = &[
    Place { provider: "east", region: "370102", gpu_model: "nvidia-h200-sxm", gpus: 64, shared: 48, price: 2_180, pflops: 63, chip_origin: "foreign" },
    Place { provider: "west-a", region: "640502", gpu_model: "huawei-ascend-910b2", gpus: 512, shared: 32, price: 690, pflops: 160, chip_origin: "domestic" },
    Place { provider: "west-b", region: "621002", gpu_model: "metax-c500-pcie", gpus: 256, shared: 64, price: 520, pflops: 61, chip_origin: "domestic" },
];

/// Over which whole hours the capacity is shared.
const SHARED_FROM: &str = "2026-08-31T16:00:00Z";
const SHARED_TO: &str = "2027-02-28T16:00:00Z";

/// A site that sells.
pub(super) struct Site {
    /// Its id.
    pub(super) id: SiteId,
    /// Its offer.
    pub(super) offer: OfferId,
    /// Its cards.
    pub(super) gpu_model: &'static str,
    /// Fen a card-hour.
    pub(super) price_fen: i64,
}

/// A dataset version on sale.
pub(super) struct Dataset {
    /// Its manifest.
    pub(super) manifest: DocumentDigest,
    /// What a licence costs.
    pub(super) price_fen: i64,
}

/// Everything on sale, by who sells it.
pub(super) struct Supply {
    /// Sites by provider.
    pub(super) sites: BTreeMap<&'static str, Site>,
    /// Datasets by vendor.
    pub(super) datasets: BTreeMap<&'static str, Dataset>,
}

impl Supply {
    /// Brings sites, offers and datasets to the exchange.
    pub(super) fn publish(stage: &Stage, cast: &Cast) -> Result<Self, Fault> {
        let mut sites = BTreeMap::new();
        for place in PLACES {
            sites.insert(place.provider, open_site(stage, cast, place)?);
        }
        let notes: String = (1..=400)
            .map(|line| format!("de-identified clinical note, line {line}\n"))
            .collect();
        let notes = publish_digest(
            cast,
            "clinic-data",
            ("lines.txt", notes.as_bytes()),
            12_500_000,
        )?;
        let corpus = listing::publish(cast)?;
        let datasets = BTreeMap::from([(listing::VENDOR, corpus), ("clinic-data", notes)]);
        Ok(Self { sites, datasets })
    }

    /// The site of a provider.
    pub(super) fn site(&self, provider: &str) -> Result<&Site, Fault> {
        let site = self.sites.get(provider);
        site.ok_or_else(|| Fault::Story(format!("{provider} has no site")))
    }

    /// The dataset of a vendor.
    pub(super) fn dataset(&self, vendor: &str) -> Result<&Dataset, Fault> {
        let dataset = self.datasets.get(vendor);
        dataset.ok_or_else(|| Fault::Story(format!("{vendor} has no dataset")))
    }
}

fn open_site(stage: &Stage, cast: &Cast, place: &Place) -> Result<Site, Fault> {
    let provider = cast.client(place.provider)?;
    let key = cast.signer(place.provider, KeyUse::Capacity)?;
    let hardware = json!([{ "gpu_model": place.gpu_model, "gpus": place.gpus }]);
    let asked = json!({
        "provider": cast.id(place.provider)?, "region": place.region, "hardware": hardware,
        "capacity_kid": key.public().kid(),
    });
    let id: SiteId = provider.ask("/v1/sites", &asked)?.found("site")?;
    let share = share(stage, place, id)?;
    provider.ask(
        "/v1/capacity-shares",
        &json!({ "jws": receipt::sign(&share, key) }),
    )?;
    for (name, value) in [
        ("located_in", json!(place.region)),
        ("pflops_fp16", json!(place.pflops)),
        ("chip_origin", json!(place.chip_origin)),
        ("owner", json!(cast.id(place.provider)?)),
    ] {
        let fact = json!({ "subject": format!("site/{id}"), "name": name, "value": value, "valid_from": "2026-01-01" });
        stage.exchange.ask("/v1/facts", &fact)?;
    }
    let offer = json!({
        "site": id, "gpu_model": place.gpu_model, "billing": "metered", "price_fen": place.price,
    });
    let offer: OfferId = provider.ask("/v1/offers", &offer)?.found("offer")?;
    Ok(Site {
        id,
        offer,
        gpu_model: place.gpu_model,
        price_fen: place.price,
    })
}

fn share(stage: &Stage, place: &Place, site: SiteId) -> Result<CapacityShare, Fault> {
    let hour = |text| -> Result<Timestamp, Fault> { moment(text) };
    let gpu_model = place.gpu_model.parse();
    Ok(CapacityShare {
        aud: stage.origin.clone(),
        site,
        gpu_model: gpu_model.map_err(|_| Fault::Story(format!("no model {}", place.gpu_model)))?,
        gpus: place.shared,
        from: hour(SHARED_FROM)?,
        to: hour(SHARED_TO)?,
    })
}

/// A version of which the exchange has the digest alone: its vendor keeps and delivers the bytes.
fn publish_digest(
    cast: &Cast,
    vendor: &str,
    (path, bytes): (&str, &[u8]),
    price_fen: i64,
) -> Result<Dataset, Fault> {
    let file = FileLine {
        sha256: Sha256::digest(bytes).into(),
        bytes: bytes.len() as u64,
        path: path.to_owned(),
    };
    let manifest = Manifest::new(vec![file]);
    let manifest = manifest.map_err(|refusal| Fault::Story(refusal.to_string()))?;
    let asked: Value = json!({
        "version": "1.0", "manifest": manifest.digest(), "files": manifest.text(), "bytes": manifest.bytes(),
        "price_fen": price_fen, "licence": document("training and evaluation, no resale"),
    });
    cast.client(vendor)?.ask("/v1/datasets", &asked)?;
    Ok(Dataset {
        manifest: manifest.digest(),
        price_fen,
    })
}
