//! Sites, shares, offers and datasets.

use crate::book::apply::written;
use crate::book::command::{
    AssessDataset, PriceDataset, PublishDataset, PublishOffer, RecallDataset, RegisterSite,
    ShareCapacity, UpdateSite, WithdrawDataset, WithdrawOffer,
};
use crate::book::entry::Entry;
use crate::book::state::by_hash::ByHash;
use crate::book::state::dataset::{Dataset, Version};
use crate::book::state::fact::{Recorded, Subject};
use crate::book::state::site::{Offer, Site};
use crate::book::{Book, Inconsistency};
use crate::fact::{FactName, FactValue};
use crate::receipt::Claims;
use std::collections::BTreeMap;

pub(super) fn register(
    book: &mut Book,
    entry: &Entry,
    asked: &RegisterSite,
) -> Result<(), Inconsistency> {
    let id = written(entry, entry.found.site, "site")?;
    let site = Site {
        provider: asked.provider,
        region: asked.region,
        hardware: asked.hardware.clone(),
        capacity_kid: asked.capacity_kid,
        capacity: BTreeMap::new(),
        runs: ByHash::default(),
    };
    book.sites.insert(id, site);
    Ok(())
}

pub(super) fn update(book: &mut Book, asked: &UpdateSite) {
    if let Some(site) = book.sites.get_mut(&asked.site) {
        site.hardware.clone_from(&asked.hardware);
    }
}

pub(super) fn share(
    book: &mut Book,
    entry: &Entry,
    asked: &ShareCapacity,
) -> Result<(), Inconsistency> {
    let wrong = |sentence: &str| Inconsistency {
        seq: entry.seq,
        sentence: sentence.into(),
    };
    let Claims::Capacity(share) = asked.jws.receipt().claims() else {
        return Err(wrong("it embeds no capacity share"));
    };
    let site = book.sites.get_mut(&share.site);
    let site = site.ok_or_else(|| wrong("it shares the capacity of no site"))?;
    let capacity = site.capacity.entry(share.gpu_model.clone()).or_default();
    capacity.share(share.from.hour(), share.to.hour(), share.gpus);
    Ok(())
}

pub(super) fn publish_offer(
    book: &mut Book,
    entry: &Entry,
    asked: &PublishOffer,
) -> Result<(), Inconsistency> {
    let id = written(entry, entry.found.offer, "offer")?;
    let offer = Offer {
        site: asked.site,
        gpu_model: asked.gpu_model.clone(),
        billing: asked.billing,
        price_fen: asked.price_fen,
        valid_to: asked.valid_to,
        withdrawn: false,
    };
    book.offers.insert(id, offer);
    Ok(())
}

pub(super) fn withdraw_offer(book: &mut Book, asked: &WithdrawOffer) {
    if let Some(offer) = book.offers.get_mut(&asked.offer) {
        offer.withdrawn = true;
    }
}

pub(super) fn publish_dataset(
    book: &mut Book,
    entry: &Entry,
    asked: &PublishDataset,
) -> Result<(), Inconsistency> {
    let id = written(entry, entry.found.dataset, "dataset")?;
    let version = Version {
        dataset: id,
        name: asked.version.clone(),
        bytes: asked.bytes,
        price_fen: asked.price_fen,
        prices: vec![(entry.at, asked.price_fen)],
        licence: asked.licence,
        card: asked.card,
        seq: entry.seq,
        assessed: None,
        recalled: None,
    };
    book.versions.insert(asked.manifest, version);
    let listing = book.datasets.entry(id).or_insert_with(|| Dataset {
        vendor: entry.by,
        versions: Vec::new(),
        withdrawn: None,
    });
    listing.versions.push(asked.manifest);
    Ok(())
}

/// Orders hold the price at which they were placed.
pub(super) fn price_dataset(book: &mut Book, entry: &Entry, asked: &PriceDataset) {
    if let Some(version) = book.versions.get_mut(&asked.manifest) {
        version.price_fen = asked.price_fen;
        version.prices.push((entry.at, asked.price_fen));
    }
}

/// The verdict is also the fact that eligibility reads.
pub(super) fn assess_dataset(book: &mut Book, entry: &Entry, asked: &AssessDataset) {
    if let Some(version) = book.versions.get_mut(&asked.manifest) {
        version.assessed = Some(asked.passed);
    }
    let Some(exchange) = &book.exchange else {
        return;
    };
    let fact = Recorded {
        value: FactValue::Bool(asked.passed),
        valid_from: entry.at.local_day(exchange.offset),
        valid_to: None,
        seq: entry.seq,
    };
    let subject = Subject::Dataset(asked.manifest);
    book.facts.record(subject, FactName::Assessed, fact);
}

pub(super) fn withdraw_dataset(book: &mut Book, entry: &Entry, asked: &WithdrawDataset) {
    if let Some(dataset) = book.datasets.get_mut(&asked.dataset) {
        dataset.withdrawn = Some(entry.at);
    }
}

pub(super) fn recall_dataset(book: &mut Book, entry: &Entry, asked: &RecallDataset) {
    if let Some(version) = book.versions.get_mut(&asked.manifest) {
        version.recalled = Some(entry.at);
    }
}
