//! What sellers bring: sites with their facts, shares of their cards, offers.

use serde_json::{Value, json};
use verifier::book::command::Kind;
use verifier::id::{GpuModel, SiteId};
use verifier::receipt::{self, CapacityShare, KeyUse};

use super::compare::Done;
use super::exchange::{FROM, TO, signer, time};
use super::programme::id;
use super::run::{Run, text};
use crate::story::ORIGIN;

/// Cards of each model at a site: a receipt's use lies in one second.
const CARDS: u32 = 1_000_000_000;
/// Each segment of an order has cards of its own, so that a receipt lies in one of them.
const MODELS: usize = 32;
const HOUR: i64 = 3_600;

impl Run {
    /// The site that a file itself names: 64 cards stand there.
    pub(super) fn share(&mut self, step: &Value) -> Done {
        let (site, model) = (text(&step["site"]), text(&step["gpu_model"]));
        let seller = self.seller_of_all();
        let gpus = u32::try_from(step["gpus"].as_u64().unwrap()).unwrap();
        let model = id(model);
        let site_id = self.register_site(&seller, site, &[(model.clone(), 64)]);
        self.share_cards(&seller, (&site_id, site), (&model, gpus));
        self.exchange.names.insert(site_id.clone(), site.to_owned());
        self.shared = Some((site_id, model));
        Done::default()
    }

    fn seller_of_all(&self) -> String {
        let mut steps = self.file["steps"].as_array().unwrap().iter();
        let order = steps.find(|step| step["do"] == "order").unwrap();
        text(&order["seller"]).to_owned()
    }

    /// The segments of an order step, the first of them at a place in the order.
    pub(super) fn segments(&mut self, placing: &Value, asked: &Value, first: usize) -> Value {
        let seller = text(&placing["seller"]);
        let asked = asked.as_array().cloned().unwrap_or_default();
        let segments = asked.iter().zip(first..).map(|(segment, place)| {
            let (site, model) = match self.shared.clone() {
                Some(shared) => shared,
                None => {
                    let facts = self.site_facts(placing, segment);
                    (self.site(seller, &facts), format!("model-{place}"))
                }
            };
            let (price, per) = (&segment["price_fen"], &segment["per"]);
            let price_fen = price.as_i64().unwrap() * HOUR / per.as_i64().unwrap();
            let offer = self.offer(seller, (&site, &model), price_fen);
            json!({ "offer": offer, "from": FROM, "to": TO })
        });
        segments.collect()
    }

    /// Where tiers are chosen for an order, it has one site there; here every segment has one.
    fn site_facts(&self, placing: &Value, segment: &Value) -> Value {
        let mut claims = placing["claims"].as_array().unwrap().iter();
        let by_segment =
            claims.any(|claim| self.programme_of(claim).is_some_and(|text| text.by_segment));
        match placing["site"].as_str() {
            Some(site) if !by_segment => self.file["sites"][site]["facts"].clone(),
            _ => segment["site"].clone(),
        }
    }

    fn site(&mut self, seller: &str, facts: &Value) -> String {
        let key = format!("{seller} {facts}");
        if let Some(site) = self.sites.get(&key) {
            return site.clone();
        }
        let models: Vec<_> = (0..MODELS).map(|n| (format!("model-{n}"), CARDS)).collect();
        let site = self.register_site(seller, &key, &models);
        self.facts(&format!("site/{site}"), facts);
        self.sites.insert(key, site.clone());
        site
    }

    fn register_site(&mut self, seller: &str, name: &str, models: &[(String, u32)]) -> String {
        let who = self.party(seller);
        let signer = signer(&format!("capacity of {name}"));
        self.exchange.register_key(who, KeyUse::Capacity, &signer);
        let hardware = models.iter();
        let hardware = hardware.map(|(model, gpus)| json!({ "gpu_model": model, "gpus": gpus }));
        let register = json!({
            "provider": who.0, "region": "310000", "capacity_kid": signer.public().kid(),
            "hardware": hardware.collect::<Vec<_>>(),
        });
        let site = self.exchange.done(who, Kind::RegisterSite, &register);
        site.found.site.unwrap().to_string()
    }

    fn share_cards(
        &mut self,
        seller: &str,
        (site, name): (&str, &str),
        (model, gpus): (&str, u32),
    ) {
        let share = CapacityShare {
            aud: ORIGIN.into(),
            site: SiteId::parse(site).unwrap(),
            gpu_model: GpuModel::parse(model).unwrap(),
            gpus,
            from: time(FROM),
            to: time(TO),
        };
        let signer = signer(&format!("capacity of {name}"));
        let share = json!({ "jws": receipt::sign(&share, &signer) });
        let who = self.party(seller);
        self.exchange.done(who, Kind::ShareCapacity, &share);
    }

    fn offer(&mut self, seller: &str, (site, model): (&str, &str), price_fen: i64) -> String {
        let key = (format!("{site}/{model}"), price_fen);
        if let Some(offer) = self.offers.get(&key) {
            return offer.clone();
        }
        let is_new = !self.offers.keys().any(|(cards, _)| *cards == key.0);
        let name = self.sites.iter().find(|(_, id)| *id == site);
        if let Some((name, _)) = name.filter(|_| is_new) {
            self.share_cards(seller, (site, &name.clone()), (model, CARDS));
        }
        // Nothing is sold for nothing here.
        let publish = json!({
            "site": site, "gpu_model": model, "billing": "metered", "price_fen": price_fen.max(1),
        });
        let who = self.party(seller);
        let offer = self.exchange.done(who, Kind::PublishOffer, &publish);
        let offer = offer.found.offer.unwrap().to_string();
        self.offers.insert(key, offer.clone());
        offer
    }
}
