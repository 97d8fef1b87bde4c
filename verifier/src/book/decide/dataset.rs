//! Datasets: immutable versions named by their manifest, assessed, withdrawn, recalled (DESIGN §9).

use crate::book::Book;
use crate::book::command::{
    AssessDataset, PriceDataset, PublishDataset, RecallDataset, Role, WithdrawDataset,
};
use crate::book::decide::supply::check_price;
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::state::dataset::{Dataset, Version};
use crate::dataset::Manifest;
use crate::id::{DatasetId, DocumentDigest};
use crate::money::INTEGER_MAX;
use crate::refusal::{Code, Refusal};

/// Publishes a version under a new listing or one's own.
pub(super) fn publish(case: &Case<'_>, asked: &PublishDataset) -> Result<Decision, Refusal> {
    check_version(asked)?;
    check_price(asked.price_fen)?;
    if let Some(version) = case.book.versions.get(&asked.manifest) {
        let sentence = "that manifest is published already; a version is published once";
        let refusal = Refusal::new(Code::DatasetTaken, sentence);
        return Err(refusal.with("dataset", version.dataset));
    }
    if let Some(files) = &asked.files {
        check_manifest(files, asked)?;
    }
    let dataset = match asked.dataset {
        Some(listing) => {
            check_listing(case, listing, &asked.version)?;
            listing
        }
        None => DatasetId::draw(&case.env.salt, case.book.size, 0),
    };
    let is_new = !case.book.datasets.contains_key(&dataset);
    case.fresh(is_new || asked.dataset.is_some())?;
    Ok(Decision::common(Found {
        dataset: Some(dataset),
        ..Found::default()
    }))
}

/// Sets another price of one's own version that is for sale.
pub(super) fn price(case: &Case<'_>, asked: &PriceDataset) -> Result<Decision, Refusal> {
    check_price(asked.price_fen)?;
    let version = case.book.version(asked.manifest)?;
    case.is_own(case.book.dataset(version.dataset)?.vendor)?;
    case.book.version_for_sale(asked.manifest)?;
    Ok(Decision::common(Found::default()))
}

/// Records an assessor's verdict; of two, the later speaks.
pub(super) fn assess(case: &Case<'_>, asked: &AssessDataset) -> Result<Decision, Refusal> {
    standing(case.book.version(asked.manifest)?)?;
    Ok(Decision::common(Found::default()))
}

/// Withdraws one's own listing from sale.
pub(super) fn withdraw(case: &Case<'_>, asked: &WithdrawDataset) -> Result<Decision, Refusal> {
    let dataset = case.book.dataset(asked.dataset)?;
    case.is_own(dataset.vendor)?;
    for_sale(dataset)?;
    Ok(Decision::common(Found::default()))
}

/// Recalls a version: by its vendor, an office or the exchange.
pub(super) fn recall(case: &Case<'_>, asked: &RecallDataset) -> Result<Decision, Refusal> {
    let version = case.book.version(asked.manifest)?;
    standing(version)?;
    let vendor = case.book.dataset(version.dataset)?.vendor;
    let by = case.book.party(case.request.by)?;
    // Another vendor has the role but not the listing.
    let oversees = |role: &Role| matches!(role, Role::Office | Role::Exchange);
    if !by.roles.iter().any(oversees) {
        case.is_own(vendor)?;
    }
    Ok(Decision::common(Found::default()))
}

impl Book {
    /// Finds a listing.
    /// # Errors
    /// `dataset.unknown`
    pub fn dataset(&self, dataset: DatasetId) -> Result<&Dataset, Refusal> {
        self.datasets.get(&dataset).ok_or_else(|| {
            Refusal::new(Code::DatasetUnknown, "no such dataset").with("dataset", dataset)
        })
    }

    /// Finds a version by its manifest.
    /// # Errors
    /// `dataset.unknown`
    pub fn version(&self, manifest: DocumentDigest) -> Result<&Version, Refusal> {
        self.versions.get(&manifest).ok_or_else(|| {
            let sentence = "no published version has that manifest";
            Refusal::new(Code::DatasetUnknown, sentence).with("manifest", manifest)
        })
    }

    /// Finds a version that can be ordered: neither recalled nor withdrawn from sale.
    /// # Errors
    /// `dataset.unknown` `dataset.state`
    pub fn version_for_sale(&self, manifest: DocumentDigest) -> Result<&Version, Refusal> {
        let version = self.version(manifest)?;
        standing(version)?;
        for_sale(self.dataset(version.dataset)?)?;
        Ok(version)
    }
}

fn standing(version: &Version) -> Result<(), Refusal> {
    match version.recalled {
        None => Ok(()),
        Some(at) => {
            let sentence = format!("the version was recalled at {at}");
            Err(Refusal::new(Code::DatasetState, sentence))
        }
    }
}

fn for_sale(dataset: &Dataset) -> Result<(), Refusal> {
    if dataset.withdrawn.is_some() {
        let sentence = "the dataset is withdrawn from sale";
        return Err(Refusal::new(Code::DatasetState, sentence));
    }
    Ok(())
}

fn check_listing(case: &Case<'_>, listing: DatasetId, name: &str) -> Result<(), Refusal> {
    let dataset = case.book.dataset(listing)?;
    case.is_own(dataset.vendor)?;
    for_sale(dataset)?;
    let mut versions = dataset.versions.iter();
    let taken = versions.any(|manifest| {
        let version = case.book.versions.get(manifest);
        version.is_some_and(|version| version.name == name)
    });
    if taken {
        let sentence = format!("the listing has a version {name}; name the new one differently");
        return Err(Refusal::new(Code::DatasetTaken, sentence));
    }
    Ok(())
}

fn check_version(asked: &PublishDataset) -> Result<(), Refusal> {
    let refused = |sentence: &str| Err(Refusal::new(Code::RequestMalformed, sentence));
    let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".+-".contains(&c);
    if !(1..=32).contains(&asked.version.len()) || !asked.version.bytes().all(good) {
        return refused("version must be [0-9a-z.+-]{1,32}");
    }
    if asked.bytes == 0 || asked.bytes > INTEGER_MAX.unsigned_abs() {
        return refused("bytes must be 1 to 2^53 - 1");
    }
    Ok(())
}

/// A manifest is what its digest says, in its one spelling, and sums to the stated bytes.
fn check_manifest(files: &str, asked: &PublishDataset) -> Result<(), Refusal> {
    let refused = |sentence: String| Err(Refusal::new(Code::RequestMalformed, sentence));
    if DocumentDigest::of(files.as_bytes()) != asked.manifest {
        return refused("manifest is not the digest of files".into());
    }
    let sum = Manifest::parse(files)?.bytes();
    if sum != asked.bytes {
        return refused(format!(
            "the files have {sum} bytes, bytes says {}",
            asked.bytes
        ));
    }
    Ok(())
}
