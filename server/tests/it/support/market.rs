//! A small market over HTTP: one programme, one site, one order; receipts are made for it line by line.

use serde_json::json;
use verifier::id::{DocumentDigest, GpuModel, OrderId, PartyId, Sha256Hash, SiteId};
use verifier::money::GpuSeconds;
use verifier::receipt::{
    self, CapacityShare, ComputeUsage, Job, Jti, KeyRegistration, KeyUse, Kind,
};
use verifier::signature::Signer;
use verifier::time::Timestamp;

use super::exchange::{Exchange, Member, text};

pub(crate) const ORIGIN: &str = "exchange.test/quan";
/// 10 % of metered use, out of the fund when the order is placed.
const PROGRAMME: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/programmes/examples/w13-capacity.toml"
));
const MODEL: &str = "nvidia-h100-sxm";
const HOUR: i64 = 3_600;
/// Fen a card-hour.
const PRICE: i64 = 1_000;

pub(crate) struct Market {
    pub(crate) exchange: Exchange,
    pub(crate) provider: Member,
    pub(crate) buyer: Member,
    pub(crate) funder: Member,
    pub(crate) office: Member,
    pub(crate) offer: String,
    pub(crate) order: OrderId,
    site: SiteId,
    signer: Signer,
    /// When the order begins: the clock stands two days later.
    begin: Timestamp,
    next: u32,
    prev: Option<Sha256Hash>,
}

impl Market {
    pub(crate) fn open(exchange: Exchange) -> Self {
        let begin = exchange.clock.now().unwrap();
        let office = exchange.member(&["office"]);
        let funder = exchange.member(&["funder", "finance"]);
        let (provider, buyer) = (exchange.member(&["provider"]), exchange.member(&["buyer"]));
        funder.client.done(
            "/v1/funds",
            &json!({ "fund": "w13-city", "funder": "f-finance" }),
        );
        funder.client.done(
            "/v1/funds/appropriate",
            &json!({ "fund": "w13-city", "fen": 100_000_000 }),
        );
        let digest = DocumentDigest::of(PROGRAMME.as_bytes());
        let enact = json!({ "toml": PROGRAMME, "digest": digest, "despite_status": true });
        office.client.done("/v1/programmes", &enact);
        let signer = Signer::from_seed(&[3; 32]);
        register_key(&exchange, &provider, KeyUse::Receipt, &signer);
        let (site, offer) = open_site(&exchange, &provider);
        let mut market = Self {
            order: OrderId::draw(&verifier::id::Salt::new([0; 16]), 0, 0),
            exchange,
            provider,
            buyer,
            funder,
            office,
            offer,
            site,
            signer,
            begin,
            next: 0,
            prev: None,
        };
        let placed = market
            .buyer
            .client
            .done("/v1/orders", &market.terms(1_000_000));
        market.order = placed["found"]["order"].as_str().unwrap().parse().unwrap();
        market.exchange.clock.advance(48 * HOUR);
        market
    }

    /// An order of twenty hours.
    pub(crate) fn terms(&self, hold_fen: i64) -> serde_json::Value {
        let to = self.begin.after(20 * HOUR);
        json!({
            "seller": self.provider.party,
            "segments": [{ "offer": self.offer, "from": self.begin, "to": to }],
            "claims": [{ "programme": "w13-capacity", "hold_fen": hold_fen }],
        })
    }

    /// The next receipt of the chain: `hour` of the order on `cards` cards in full.
    pub(crate) fn receipt(&mut self, hour: i64, cards: u32) -> String {
        let jws = self.sign(&self.usage(hour, cards));
        self.prev = Some(Sha256Hash::of(jws.as_bytes()));
        self.next += 1;
        jws
    }

    pub(crate) fn sign(&self, usage: &ComputeUsage) -> String {
        receipt::sign(usage, &self.signer)
    }

    /// What the next receipt would say.
    pub(crate) fn usage(&self, hour: i64, cards: u32) -> ComputeUsage {
        let start = self.begin.after(hour * HOUR);
        let gpu_seconds = GpuSeconds::new(i64::from(cards) * HOUR).unwrap();
        ComputeUsage {
            iss: PartyId::parse(&self.provider.party).unwrap(),
            aud: ORIGIN.to_owned(),
            sub: self.order,
            seq: self.next,
            prev: self.prev,
            jti: Jti {
                order: self.order,
                seq: self.next,
            },
            iat: start.after(HOUR),
            kind: Kind::Usage,
            corrects: None,
            site: self.site,
            gpu_model: GpuModel::parse(MODEL).unwrap(),
            gpu_count: cards,
            start,
            end: start.after(HOUR),
            gpu_seconds,
            jobs: vec![Job {
                run: format!("slurm:test/{}@{}", hour + 1, start.unix()),
                state: "COMPLETED".to_owned(),
                gpu_seconds,
            }],
            inputs: None,
            export: None,
            energy_wh: None,
            util_bp: None,
            devices: None,
        }
    }

    pub(crate) fn send(&self, jws: &str) -> super::exchange::Answer {
        self.provider
            .client
            .send("/v1/receipts", jws, &[("content-type", "application/jose")])
    }

    /// Sends lines in bulk and reads an outcome a line.
    pub(crate) fn send_bulk(&self, lines: &[String]) -> Vec<serde_json::Value> {
        let media = [("content-type", "application/x-ndjson")];
        let answer = self
            .provider
            .client
            .send("/v1/receipts", &lines.join("\n"), &media);
        assert_eq!(
            (answer.status, answer.media.as_str()),
            (200, "application/x-ndjson"),
            "{}",
            answer.text
        );
        answer
            .text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Registers a key for three years and more.
pub(crate) fn register_key(exchange: &Exchange, member: &Member, key_use: KeyUse, signer: &Signer) {
    let now = exchange.clock.now().unwrap();
    let proof = KeyRegistration {
        iss: PartyId::parse(&member.party).unwrap(),
        aud: ORIGIN.to_owned(),
        key_use,
        iat: now,
    };
    let public = signer.public();
    let asked = json!({
        "party": member.party, "use": key_use, "kid": public.kid(),
        "jwk": { "crv": "Ed25519", "kty": "OKP", "x": public.x() },
        "valid_from": now, "valid_to": now.after(30_000 * HOUR),
        "proof": receipt::sign(&proof, signer),
    });
    exchange.operator().done("/v1/keys", &asked);
}

/// 64 cards, 40 of them shared.
fn open_site(exchange: &Exchange, provider: &Member) -> (SiteId, String) {
    let begin = exchange.clock.now().unwrap();
    let signer = Signer::from_seed(&[2; 32]);
    register_key(exchange, provider, KeyUse::Capacity, &signer);
    let asked = json!({
        "provider": provider.party, "region": "640500", "capacity_kid": signer.public().kid(),
        "hardware": [{ "gpu_model": MODEL, "gpus": 64 }],
    });
    let site = provider.client.done("/v1/sites", &asked);
    let site = SiteId::parse(site["found"]["site"].as_str().unwrap()).unwrap();
    let share = CapacityShare {
        aud: ORIGIN.to_owned(),
        site,
        gpu_model: GpuModel::parse(MODEL).unwrap(),
        gpus: 40,
        from: begin,
        to: begin.after(48 * HOUR),
    };
    let share = json!({ "jws": receipt::sign(&share, &signer) });
    provider.client.done("/v1/capacity-shares", &share);
    let offer =
        json!({ "site": site, "gpu_model": MODEL, "billing": "metered", "price_fen": PRICE });
    let offer = provider.client.done("/v1/offers", &offer);
    (site, text(&offer["found"]["offer"]))
}
