//! The catalogue: offers of GPU time, datasets, sites.

use serde_json::{Map, Value, json};
use verifier::book::state::site::Capacity;
use verifier::id::SiteId;
use verifier::refusal::{Code, Refusal};

use super::problem::Problem;
use super::read::{Asking, object};

/// `GET /v1/offers`: those under which an order may be placed now.
pub(super) fn offers(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let open = asking
        .book
        .offers
        .iter()
        .filter(|(_, offer)| offer.is_open_at(asking.at));
    let items = open.map(|(id, offer)| {
        let site = asking.book.sites.get(&offer.site);
        let item = json!({
            "offer": id, "site": offer.site, "seller": site.map(|site| site.provider),
            "region": site.map(|site| site.region), "gpu_model": offer.gpu_model,
            "billing": offer.billing, "price_fen": offer.price_fen, "valid_to": offer.valid_to,
        });
        (id, item)
    });
    Ok(asking.list(items))
}

/// `GET /v1/datasets`: every listing with its versions, also withdrawn and recalled ones, which say so.
pub(super) fn datasets(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let items = asking.book.datasets.iter().map(|(id, dataset)| {
        let version = |manifest| {
            let version = asking.book.versions.get(manifest)?;
            Some(json!({
                "manifest": manifest, "version": version.name, "bytes": version.bytes,
                "price_fen": version.price_fen, "prices": version.prices,
                "licence": version.licence, "card": version.card,
                "assessed": version.assessed, "recalled_at": version.recalled, "seq": version.seq,
            }))
        };
        let versions: Vec<Value> = dataset.versions.iter().filter_map(version).collect();
        let item = json!({
            "dataset": id, "vendor": dataset.vendor, "withdrawn": dataset.withdrawn.is_some(),
            "withdrawn_at": dataset.withdrawn,
            "versions": versions,
        });
        (id, item)
    });
    Ok(asking.list(items))
}

/// `GET /v1/sites/{id}`: what stands there, and what is given and occupied in the current hour.
pub(super) fn site(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let id = SiteId::parse(asking.id).map_err(Refusal::from)?;
    let site = asking
        .book
        .sites
        .get(&id)
        .ok_or_else(|| Refusal::new(Code::SiteUnknown, "no such site").with("site", id))?;
    let hour = asking.at.hour();
    let none = Capacity::default();
    let hardware: Vec<Value> = site
        .hardware
        .iter()
        .map(|hardware| {
            let capacity = site.capacity.get(&hardware.gpu_model).unwrap_or(&none);
            json!({
                "gpu_model": hardware.gpu_model, "gpus": hardware.gpus,
                "shared_gpus": capacity.cards(hour), "occupied_gpu_seconds": capacity.occupied(hour),
            })
        })
        .collect();
    Ok(object(json!({
        "site": id, "provider": site.provider, "region": site.region, "global": site.capacity_kid,
        "hour": hour, "hardware": hardware,
    })))
}
