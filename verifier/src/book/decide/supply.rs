//! Sites, capacity shares and offers: what providers bring to the exchange (DESIGN §4.2, §5).

use crate::book::Book;
use crate::book::command::{
    Hardware, LIST_MAX, PublishOffer, RegisterSite, Role, ShareCapacity, UpdateSite, WithdrawOffer,
};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::state::site::{Offer, Site};
use crate::id::{GpuModel, OfferId, PartyId, SiteId};
use crate::money::Fen;
use crate::receipt::{CapacityShare, Claims, KeyUse};
use crate::refusal::{Code, Refusal};
use crate::time::{HOUR_SECONDS, Timestamp};

/// Registers hardware in one place under a capacity key of its provider.
pub(super) fn register(case: &Case<'_>, asked: &RegisterSite) -> Result<Decision, Refusal> {
    case.acts_for(asked.provider)?;
    if !case
        .book
        .party(asked.provider)?
        .roles
        .contains(&Role::Provider)
    {
        let sentence = "only a provider meters a site; give the party that role first";
        return Err(Refusal::new(Code::AccessRole, sentence));
    }
    check_hardware(&asked.hardware)?;
    check_capacity_key(case, asked)?;
    let site = SiteId::draw(&case.env.salt, case.book.size, 0);
    case.fresh(!case.book.sites.contains_key(&site))?;
    Ok(Decision::common(Found {
        site: Some(site),
        ..Found::default()
    }))
}

/// Changes the hardware, not below what is shared from now on.
pub(super) fn update(case: &Case<'_>, asked: &UpdateSite) -> Result<Decision, Refusal> {
    let site = case.book.site(asked.site)?;
    case.acts_for(site.provider)?;
    check_hardware(&asked.hardware)?;
    let cards = |model: &GpuModel| {
        let stands = asked.hardware.iter().find(|row| row.gpu_model == *model);
        stands.map_or(0, |row| row.gpus)
    };
    for (model, capacity) in &site.capacity {
        let (shared, left) = (capacity.largest_from(case.env.at.hour()), cards(model));
        if left < shared {
            let sentence = format!(
                "{left} {model} would be left, {shared} are shared from now on; lower the share first"
            );
            return Err(Refusal::new(Code::ShareInvalid, sentence).with("shared", shared));
        }
    }
    Ok(Decision::common(Found {
        site: Some(asked.site),
        ..Found::default()
    }))
}

/// Takes a share signed by the site's capacity key.
pub(super) fn share(case: &Case<'_>, asked: &ShareCapacity) -> Result<Decision, Refusal> {
    let receipt = asked.jws.receipt();
    let Claims::Capacity(share) = receipt.claims() else {
        let sentence = format!("a {} shares no capacity", receipt.typ());
        return Err(Refusal::new(Code::ReceiptMalformed, sentence));
    };
    let site = case.book.site(share.site)?;
    case.acts_for(site.provider)?;
    let key = case.book.keys.get(&site.capacity_kid);
    let key = key.filter(|_| receipt.kid() == site.capacity_kid);
    let key = key.ok_or_else(|| {
        let sentence =
            "that is not the site's capacity key; sign with the key it was registered with";
        Refusal::new(Code::ReceiptKeyUnknown, sentence).with("expected", site.capacity_kid)
    })?;
    asked.jws.verify(&key.public)?;
    // A share has no `iat`: its key must be good when it arrives.
    if !key.is_good(case.env.at, case.env.at) {
        let sentence = "the site's capacity key is revoked or out of its validity";
        return Err(Refusal::new(Code::ReceiptKeyNotValidThen, sentence));
    }
    check_audience(case.book, &share.aud)?;
    check_share(site, share)?;
    Ok(Decision::common(Found {
        site: Some(share.site),
        ..Found::default()
    }))
}

/// Publishes an offer on a model that stands at one's own site.
pub(super) fn publish_offer(case: &Case<'_>, asked: &PublishOffer) -> Result<Decision, Refusal> {
    let site = case.book.site(asked.site)?;
    case.is_own(site.provider)?;
    if site.cards(&asked.gpu_model) == 0 {
        let sentence = format!("no {} stands at that site", asked.gpu_model);
        return Err(Refusal::new(Code::OrderTerms, sentence));
    }
    check_price(asked.price_fen)?;
    if asked.valid_to.is_some_and(|to| to <= case.env.at) {
        return Err(Refusal::new(Code::OrderTerms, "valid_to is over already"));
    }
    let offer = OfferId::draw(&case.env.salt, case.book.size, 0);
    case.fresh(!case.book.offers.contains_key(&offer))?;
    Ok(Decision::common(Found {
        offer: Some(offer),
        ..Found::default()
    }))
}

/// Withdraws one's own offer; orders under it stay.
pub(super) fn withdraw_offer(case: &Case<'_>, asked: &WithdrawOffer) -> Result<Decision, Refusal> {
    let offer = case.book.offer(asked.offer)?;
    case.is_own(case.book.site(offer.site)?.provider)?;
    if offer.withdrawn {
        return Err(Refusal::new(
            Code::OfferWithdrawn,
            "the offer is withdrawn already",
        ));
    }
    Ok(Decision::common(Found::default()))
}

impl Book {
    /// Finds a site.
    /// # Errors
    /// `site.unknown`
    pub fn site(&self, site: SiteId) -> Result<&Site, Refusal> {
        self.sites.get(&site).ok_or_else(|| {
            Refusal::new(Code::SiteUnknown, "no such site; register it first").with("site", site)
        })
    }

    /// Finds an offer, also a withdrawn one.
    /// # Errors
    /// `offer.unknown`
    pub fn offer(&self, offer: OfferId) -> Result<&Offer, Refusal> {
        self.offers
            .get(&offer)
            .ok_or_else(|| Refusal::new(Code::OfferUnknown, "no such offer").with("offer", offer))
    }

    /// Finds an offer under which an order may be placed at `at`.
    /// # Errors
    /// `offer.unknown` `offer.withdrawn`
    pub fn open_offer(&self, offer: OfferId, at: Timestamp) -> Result<&Offer, Refusal> {
        let open = self.offer(offer)?;
        if open.is_open_at(at) {
            return Ok(open);
        }
        let sentence = "the offer is withdrawn or its time is over; choose another";
        Err(Refusal::new(Code::OfferWithdrawn, sentence).with("offer", offer))
    }
}

impl Case<'_> {
    /// The party itself asks.
    pub(super) fn is_own(&self, party: PartyId) -> Result<(), Refusal> {
        if self.request.by == party {
            return Ok(());
        }
        let sentence = "that belongs to another party; each party acts on what is its own";
        Err(Refusal::new(Code::AccessParty, sentence).with("party", party))
    }

    /// The party itself asks, or the exchange for it.
    pub(super) fn acts_for(&self, party: PartyId) -> Result<(), Refusal> {
        if self.request.by == self.book.exchange()?.party {
            return Ok(());
        }
        self.is_own(party)
    }
}

/// A statement is for this exchange alone.
pub(super) fn check_audience(book: &Book, aud: &str) -> Result<(), Refusal> {
    let origin = &book.exchange()?.origin;
    if aud == origin {
        return Ok(());
    }
    let sentence = format!("aud names another exchange than {origin}; sign for this one");
    Err(Refusal::new(Code::ReceiptAudience, sentence).with("expected", origin))
}

/// A price is a positive number of fen.
pub(super) fn check_price(price: Fen) -> Result<(), Refusal> {
    if price > Fen::ZERO {
        return Ok(());
    }
    Err(Refusal::new(
        Code::OrderTerms,
        "the price is not above 0 fen",
    ))
}

fn check_hardware(hardware: &[Hardware]) -> Result<(), Refusal> {
    let refused = |sentence: &str| Err(Refusal::new(Code::RequestMalformed, sentence));
    if hardware.is_empty() || hardware.len() > LIST_MAX {
        return refused("hardware names 1 to 200 models");
    }
    if hardware.iter().any(|row| row.gpus == 0) {
        return refused("a model of no cards is left out");
    }
    let repeated = |(at, row): (usize, &Hardware)| {
        let before = hardware.iter().take(at);
        before
            .into_iter()
            .any(|other| other.gpu_model == row.gpu_model)
    };
    if hardware.iter().enumerate().any(repeated) {
        return refused("each model stands in hardware once");
    }
    Ok(())
}

fn check_capacity_key(case: &Case<'_>, asked: &RegisterSite) -> Result<(), Refusal> {
    let kid = asked.capacity_kid;
    let key = case.book.keys.get(&kid);
    let key = key.filter(|key| key.party == asked.provider && key.key_use == KeyUse::Capacity);
    let key = key.filter(|key| key.is_good(case.env.at, case.env.at));
    if key.is_none() {
        let sentence = "no good capacity key of that provider; register the key first";
        return Err(Refusal::new(Code::KeyUnknown, sentence).with("kid", kid));
    }
    // The thumbprint is the site's global id: one site a key.
    if case
        .book
        .sites
        .values()
        .any(|site| site.capacity_kid == kid)
    {
        let sentence = "another site has that capacity key; register one a site";
        return Err(Refusal::new(Code::KeyTaken, sentence).with("kid", kid));
    }
    Ok(())
}

/// Whole hours, not above the hardware, not below what is occupied.
fn check_share(site: &Site, share: &CapacityShare) -> Result<(), Refusal> {
    share.check_hours()?;
    let cards = site.cards(&share.gpu_model);
    if share.gpus > cards {
        let sentence = format!(
            "{} {} exceed the {cards} that stand at the site",
            share.gpus, share.gpu_model
        );
        return Err(Refusal::new(Code::ShareInvalid, sentence).with("cards", cards));
    }
    let capacity = site.capacity.get(&share.gpu_model);
    let busiest =
        capacity.and_then(|capacity| capacity.busiest(share.from.hour(), share.to.hour()));
    let limit = i64::from(share.gpus) * HOUR_SECONDS;
    match busiest {
        Some((hour, occupied)) if occupied > limit => {
            let sentence = format!(
                "{limit} GPU-seconds an hour are below the {occupied} already occupied in {hour}"
            );
            let refusal = Refusal::new(Code::ShareInvalid, sentence);
            Err(refusal.with("hour", hour).with("occupied", occupied))
        }
        _ => Ok(()),
    }
}
