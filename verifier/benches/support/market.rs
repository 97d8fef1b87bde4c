//! A market of one provider, one buyer and many orders, on whatever exchange it is told to; then its signed receipts.
//!
//! Each receipt is one hour of one card in one job, chained by order, dated so that the last one has just ended.

use std::collections::VecDeque;

use verifier::book::command::{
    AdmitParty, AppropriateFund, Billing, ClaimAsked, Command, EnactProgramme, Hardware,
    IssueVoucher, Jwk, OpenFund, PlaceOrder, PublishOffer, RegisterActor, RegisterKey,
    RegisterSite, Role, SegmentAsked, ShareCapacity,
};
use verifier::book::found::Found;
use verifier::id::{
    ActorId, DocumentDigest, FundId, FunderId, GpuModel, OfferId, OrderId, PartyId, ProgrammeId,
    Sha256Hash, SiteId,
};
use verifier::money::{Fen, GpuSeconds};
use verifier::receipt::{
    CapacityShare, ComputeUsage, Job, Jti, KeyRegistration, KeyUse, Kind, Signed, sign,
};
use verifier::region::Region;
use verifier::signature::Signer;
use verifier::time::Timestamp;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Exchange,
    Funder,
    Office,
    Provider,
    Buyer,
}

impl Who {
    pub(crate) const ALL: [Self; 5] = [
        Self::Exchange,
        Self::Funder,
        Self::Office,
        Self::Provider,
        Self::Buyer,
    ];

    pub(crate) const fn role(self) -> Role {
        match self {
            Self::Exchange => Role::Exchange,
            Self::Funder => Role::Funder,
            Self::Office => Role::Office,
            Self::Provider => Role::Provider,
            Self::Buyer => Role::Buyer,
        }
    }
}

/// Something that takes commands: a book in memory, a sequencer, a server over HTTP.
pub(crate) trait Exchange {
    /// Its origin: the audience of all that is signed.
    fn origin(&self) -> &str;
    /// Learns by which party and credential somebody asks from now on.
    fn hire(&mut self, who: Who, party: PartyId, actor: ActorId);
    /// Asks; a refusal ends the bench.
    fn ask(&mut self, who: Who, command: Command) -> Found;
    /// Asks for many things that do not depend on each other; the answers in the same order.
    fn ask_all(&mut self, who: Who, commands: Vec<Command>) -> Vec<Found> {
        commands
            .into_iter()
            .map(|command| self.ask(who, command))
            .collect()
    }
}

const HOUR: i64 = 3_600;
/// A card-hour costs 10 yuan; the programme pays 30 % of it.
const PRICE_FEN: i64 = 1_000;
/// No order of a bench earns this much.
const FACE_FEN: i64 = 10_000_000;
/// Like worked example W7, with vouchers for the asking.
const PROGRAMME: &str = r#"
schema = 1
engine = 1
id = "bench-deduct"
name = { zh = "基准测试", en = "Benchmark", it = "Banco di prova" }
scheme = "compute"
status = "template"
issuer = "none: a benchmark"
region = "100000"
tier = "city"
utc_offset_min = 480
currency = "CNY"
legal = [
  { title = "Benchmark", number = "unknown", date = "unknown", source = "PROGRAMMES §3 W7", grade = "C" },
]
fund = [{ id = "bench-city", funder = "f-finance", weight = 1, appropriation_fen = "unknown", year = "unknown", lapse = "unknown" }]
instrument = { mode = "deduct", issue = "automatic", face = "chosen", commit_at = "issue", payee = "seller", settle_period = "month", dispute_days = 15 }
base = { of = ["metered"] }
rate = { select = "first", tier = [{ id = "all", bp = 3000 }] }
"#;

/// Where an order's chain stands.
#[derive(Debug, Clone, Copy)]
struct Chain {
    order: OrderId,
    seq: u32,
    prev: Option<Sha256Hash>,
}

/// The market, ready to meter.
pub(crate) struct Market {
    origin: String,
    provider: PartyId,
    signer: Signer,
    site: SiteId,
    /// The first metered hour.
    start: Timestamp,
    chains: Vec<Chain>,
}

impl Market {
    /// Admits everybody, fills a fund, shares hardware and places `orders` orders, each with room for `receipts` receipts
    /// whose last one ended before `now`.
    pub(crate) fn open(
        exchange: &mut impl Exchange,
        orders: usize,
        receipts: usize,
        now: Timestamp,
    ) -> Self {
        let hours = i64::try_from(receipts).unwrap();
        let start = now.hour().start().after(-hours * HOUR);
        let (provider, buyer) = admit_all(exchange);
        fill_fund(exchange, orders);
        let signer = Signer::from_seed(&[41; 32]);
        let capacity = Signer::from_seed(&[42; 32]);
        for (signer, key_use) in [(&signer, KeyUse::Receipt), (&capacity, KeyUse::Capacity)] {
            let key = register(exchange.origin(), provider, signer, key_use, start);
            exchange.ask(Who::Exchange, key);
        }
        let span = (start, now.hour().start().after(48 * HOUR));
        let site = share_site(exchange, provider, &capacity, orders, span);
        let offer = Command::PublishOffer(PublishOffer {
            site,
            gpu_model: model(),
            billing: Billing::Metered,
            price_fen: Fen::new(PRICE_FEN).unwrap(),
            valid_to: None,
        });
        let offer = exchange.ask(Who::Provider, offer).offer.unwrap();
        let vouchers = issue(exchange, buyer, orders);
        let chains = place(exchange, (provider, offer), vouchers, span);
        Self {
            origin: exchange.origin().to_owned(),
            provider,
            signer,
            site,
            start,
            chains,
        }
    }

    /// How many orders there are.
    pub(crate) fn orders(&self) -> usize {
        self.chains.len()
    }

    /// Signs the next receipt of an order.
    pub(crate) fn receipt(&mut self, order: usize) -> String {
        let Chain {
            order: sub,
            seq,
            prev,
        } = self.chains[order];
        let start = self.start.after(i64::from(seq) * HOUR);
        let end = start.after(HOUR);
        let gpu_seconds = GpuSeconds::new(HOUR).unwrap();
        let claims = ComputeUsage {
            iss: self.provider,
            aud: self.origin.clone(),
            sub,
            seq,
            prev,
            jti: Jti { order: sub, seq },
            iat: end,
            kind: Kind::Usage,
            corrects: None,
            site: self.site,
            gpu_model: model(),
            gpu_count: 1,
            start,
            end,
            gpu_seconds,
            jobs: vec![Job {
                run: format!(
                    "slurm:bench/{}@{}",
                    order * 100_000 + seq as usize,
                    start.unix()
                ),
                state: "COMPLETED".into(),
                gpu_seconds,
            }],
            inputs: None,
            export: None,
            energy_wh: None,
            util_bp: None,
            devices: None,
        };
        let jws = sign(&claims, &self.signer);
        self.chains[order] = Chain {
            order: sub,
            seq: seq + 1,
            prev: Some(Sha256Hash::of(jws.as_bytes())),
        };
        jws
    }

    /// Signs the next `count` receipts, all orders in turn.
    #[allow(dead_code, reason = "not every bench meters in turn")]
    pub(crate) fn receipts(&mut self, count: usize) -> VecDeque<String> {
        let orders = self.orders();
        (0..count).map(|n| self.receipt(n % orders)).collect()
    }
}

/// Everybody but the exchange, which is there from entry 0; says who provides and who buys.
fn admit_all(exchange: &mut impl Exchange) -> (PartyId, PartyId) {
    let mut parties = Vec::new();
    for who in Who::ALL.into_iter().filter(|who| *who != Who::Exchange) {
        let admit = Command::AdmitParty(AdmitParty {
            roles: vec![who.role()],
            name: Sha256Hash::of(who.role().as_str().as_bytes()),
            uscc: None,
        });
        let party = exchange.ask(Who::Exchange, admit).party.unwrap();
        let register = Command::RegisterActor(RegisterActor {
            party,
            roles: vec![who.role()],
            scopes: None,
        });
        let actor = exchange.ask(Who::Exchange, register).actor.unwrap();
        exchange.hire(who, party, actor);
        parties.push((who, party));
    }
    let party = |who| parties.iter().find(|(of, _)| *of == who).unwrap().1;
    (party(Who::Provider), party(Who::Buyer))
}

fn fill_fund(exchange: &mut impl Exchange, orders: usize) {
    let fund = FundId::parse("bench-city").unwrap();
    let open = Command::OpenFund(OpenFund {
        fund: fund.clone(),
        funder: FunderId::parse("f-finance").unwrap(),
        year: None,
        region: None,
    });
    exchange.ask(Who::Funder, open);
    let fen = Fen::new(FACE_FEN * i64::try_from(orders).unwrap()).unwrap();
    let appropriate = Command::AppropriateFund(AppropriateFund {
        fund,
        fen,
        basis: None,
    });
    exchange.ask(Who::Funder, appropriate);
    let enact = Command::EnactProgramme(EnactProgramme {
        toml: PROGRAMME.into(),
        digest: DocumentDigest::of(PROGRAMME.as_bytes()),
        settled: Vec::new(),
        despite_status: true,
    });
    exchange.ask(Who::Office, enact);
}

fn register(
    origin: &str,
    party: PartyId,
    signer: &Signer,
    key_use: KeyUse,
    from: Timestamp,
) -> Command {
    let public = signer.public();
    let proof = KeyRegistration {
        iss: party,
        aud: origin.into(),
        key_use,
        iat: from,
    };
    Command::RegisterKey(RegisterKey {
        party,
        key_use,
        jwk: Jwk {
            crv: "Ed25519".into(),
            kty: "OKP".into(),
            x: public.x(),
        },
        kid: public.kid(),
        valid_from: from,
        valid_to: from.after(20 * 365 * 24 * HOUR),
        proof: sign(&proof, signer),
        succession: None,
        case: None,
    })
}

fn model() -> GpuModel {
    GpuModel::parse("h800").unwrap()
}

/// A site with a card for every order, all of it shared.
fn share_site(
    exchange: &mut impl Exchange,
    provider: PartyId,
    capacity: &Signer,
    orders: usize,
    (from, to): (Timestamp, Timestamp),
) -> SiteId {
    let gpus = u32::try_from(orders).unwrap();
    let register = Command::RegisterSite(RegisterSite {
        provider,
        region: Region::parse("310000").unwrap(),
        hardware: vec![Hardware {
            gpu_model: model(),
            gpus,
        }],
        capacity_kid: capacity.public().kid(),
    });
    let site = exchange.ask(Who::Provider, register).site.unwrap();
    let share = CapacityShare {
        aud: exchange.origin().into(),
        site,
        gpu_model: model(),
        gpus,
        from,
        to,
    };
    let jws: Signed = sign(&share, capacity).parse().unwrap();
    exchange.ask(Who::Provider, Command::ShareCapacity(ShareCapacity { jws }));
    site
}

/// A voucher for every order.
fn issue(exchange: &mut impl Exchange, holder: PartyId, orders: usize) -> Vec<Found> {
    let issue = || {
        Command::IssueVoucher(IssueVoucher {
            programme: ProgrammeId::parse("bench-deduct").unwrap(),
            holder,
            contract: None,
            face_fen: Some(Fen::new(FACE_FEN).unwrap()),
        })
    };
    exchange.ask_all(Who::Office, (0..orders).map(|_| issue()).collect())
}

/// An order on each voucher.
fn place(
    exchange: &mut impl Exchange,
    (seller, offer): (PartyId, OfferId),
    vouchers: Vec<Found>,
    (from, to): (Timestamp, Timestamp),
) -> Vec<Chain> {
    let order = |voucher: Found| {
        let segment = SegmentAsked {
            offer: Some(offer),
            dataset: None,
            from,
            to,
            limit: None,
        };
        let claim = ClaimAsked {
            voucher: voucher.voucher,
            programme: None,
            hold_fen: Some(Fen::new(FACE_FEN).unwrap()),
        };
        Command::PlaceOrder(PlaceOrder {
            seller,
            segments: vec![segment],
            contract: None,
            purpose: None,
            claims: vec![claim],
            nonce: None,
            jws: None,
        })
    };
    let placed = exchange.ask_all(Who::Buyer, vouchers.into_iter().map(order).collect());
    let chain = |placed: Found| Chain {
        order: placed.order.unwrap(),
        seq: 0,
        prev: None,
    };
    placed.into_iter().map(chain).collect()
}
