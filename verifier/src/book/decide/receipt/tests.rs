//! Each `receipt.*` code, provoked one past its limit; at the limit the receipt is accepted.

mod compromise;
mod recovery;

use std::collections::BTreeMap;

use super::*;
use crate::book::command::{
    AdmitParty, AppropriateFund, ClaimAsked, CloseOrder, CloseStatement, Command, DeemAcceptance,
    EnactProgramme, GiveAcceptance, Hardware, Jwk, OpenExchange, OpenFund, PlaceOrder,
    PublishDataset, PublishOffer, RecordEvidence, RegisterActor, RegisterKey, RegisterSite,
    RevocationReason, RevokeKey, Role, SegmentAsked, ShareCapacity,
};
use crate::book::decide::{Env, Request, decide};
use crate::book::entry::{Entry, RULES};
use crate::book::state::site::Site;
use crate::id::{
    ActorId, DatasetId, DocumentDigest, FundId, FunderId, GpuModel, OfferId, ProgrammeId, Salt,
    Sha256Hash, SiteId,
};
use crate::ledger::Account;
use crate::money::{Fen, GpuSeconds};
use crate::programme::schema::{EvidenceKind, Line};
use crate::receipt::{
    CapacityShare, DataAcceptance, DataDelivery, Job, Jti, KeyRegistration, Nonce, Statement,
    UnverifiedReceipt, Verdict, sign,
};
use crate::region::Region;
use crate::signature::Signer;
use crate::time::{NamedPeriod, UtcOffset};

/// 2026-11-23T00:00:00Z, a whole hour in the middle of a month.
const T: i64 = 1_795_392_000;
const HOUR: i64 = 3_600;
const ORIGIN: &str = "localhost/quan";

fn at(unix: i64) -> Timestamp {
    Timestamp::new(unix).unwrap()
}

fn model() -> GpuModel {
    GpuModel::parse("nvidia-h100-sxm").unwrap()
}

fn manifest() -> DocumentDigest {
    DocumentDigest::of(b"manifest")
}

fn possession() -> Sha256Hash {
    Sha256Hash::of(b"nonce and chunks")
}

fn signer(number: u8) -> Signer {
    Signer::from_seed(&[number; 32])
}

const DELIVERY_KEY: u8 = 1;
const CAPACITY_KEY: u8 = 2;
const PROVIDER_KEY: u8 = 3;
const VENDOR_KEY: u8 = 4;
const BUYER_KEY: u8 = 5;
const RIVAL_KEY: u8 = 6;

type Who = (PartyId, ActorId);

/// An exchange with a site of 64 cards, 40 of them shared, a dataset, a compute and a data order.
#[derive(Clone)]
struct World {
    book: Book,
    now: i64,
    draws: u8,
    counters: BTreeMap<String, i64>,
    exchange: Who,
    provider: Who,
    vendor: Who,
    buyer: Who,
    rival: Who,
    site: SiteId,
    dataset: DatasetId,
    order: OrderId,
    data_order: OrderId,
    office: Who,
    offer: OfferId,
}

fn nobody() -> Who {
    let salt = Salt::new([1; 16]);
    (PartyId::draw(&salt, 0, 0), ActorId::draw(&salt, 0, 0))
}

/// 10 % of metered use, from the funds when the order is placed.
const COMPUTE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/programmes/examples/w13-capacity.toml"
));
/// 30 % of the price, a fifth of it held back until use is proven.
const DATA: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/programmes/examples/w12-data.toml"
));

fn fen(fen: i64) -> Fen {
    Fen::new(fen).unwrap()
}

fn programme(id: &str) -> ProgrammeId {
    ProgrammeId::parse(id).unwrap()
}

fn of_offer(offer: OfferId, from: i64, to: i64) -> SegmentAsked {
    SegmentAsked {
        offer: Some(offer),
        dataset: None,
        from: at(from),
        to: at(to),
        limit: None,
    }
}

impl World {
    fn new() -> Self {
        let id = OrderId::draw(&Salt::new([9; 16]), 0, 0);
        let mut world = Self {
            book: Book::new(),
            now: T - 30 * 24 * HOUR,
            draws: 0,
            counters: BTreeMap::new(),
            exchange: nobody(),
            provider: nobody(),
            vendor: nobody(),
            buyer: nobody(),
            rival: nobody(),
            site: SiteId::draw(&Salt::new([9; 16]), 0, 0),
            dataset: DatasetId::draw(&Salt::new([9; 16]), 0, 0),
            order: id,
            data_order: OrderId::draw(&Salt::new([9; 16]), 0, 1),
            office: nobody(),
            offer: OfferId::draw(&Salt::new([9; 16]), 0, 0),
        };
        world.open();
        world.parties();
        world.money();
        world.supply();
        world.orders();
        world.now = T + 48 * HOUR;
        world
    }

    fn open(&mut self) {
        let open = Command::OpenExchange(OpenExchange {
            origin: ORIGIN.into(),
            log_vkey: "localhost/quan+00000000+AA==".into(),
            delivery_key: signer(DELIVERY_KEY).public().x(),
            reply_key: signer(DELIVERY_KEY).public().x(),
            utc_offset_min: UtcOffset::CHINA,
        });
        self.ask(self.exchange, open).unwrap();
    }

    fn parties(&mut self) {
        self.provider = self.admit(Role::Provider);
        self.rival = self.admit(Role::Provider);
        self.vendor = self.admit(Role::Vendor);
        self.buyer = self.admit(Role::Buyer);
        self.register(self.provider, KeyUse::Capacity, CAPACITY_KEY);
        self.register(self.provider, KeyUse::Receipt, PROVIDER_KEY);
        self.register(self.rival, KeyUse::Receipt, RIVAL_KEY);
        self.register(self.vendor, KeyUse::Receipt, VENDOR_KEY);
        self.register(self.buyer, KeyUse::Acceptance, BUYER_KEY);
    }

    fn money(&mut self) {
        let funder = self.admit(Role::Funder);
        self.office = self.admit(Role::Office);
        for fund in ["w12-city", "w13-city"] {
            let fund = FundId::parse(fund).unwrap();
            let open = Command::OpenFund(OpenFund {
                fund: fund.clone(),
                funder: FunderId::parse("f-finance").unwrap(),
                year: None,
                region: None,
            });
            self.ask(funder, open).unwrap();
            let appropriate = Command::AppropriateFund(AppropriateFund {
                fund,
                fen: fen(10_000_000_000),
                basis: None,
            });
            self.ask(funder, appropriate).unwrap();
        }
        self.enact(COMPUTE.to_owned());
        let deduct = "mode = \"deduct\"";
        let refuse = COMPUTE.replace("id = \"w13-capacity\"", "id = \"w13-refuse\"");
        self.enact(refuse.replace(deduct, "mode = \"deduct\", overrun = \"refuse\""));
        let data = DATA.replace("commit_at = \"issue\"", "commit_at = \"order\"");
        let deemed = "acceptance = \"signed_or_deemed\", acceptance_days = 7";
        self.enact(data.replace("acceptance = \"signed\"", deemed));
    }

    fn enact(&mut self, toml: String) {
        let enact = Command::EnactProgramme(EnactProgramme {
            digest: DocumentDigest::of(toml.as_bytes()),
            toml,
            settled: Vec::new(),
            despite_status: true,
        });
        self.ask(self.office, enact).unwrap();
    }

    fn supply(&mut self) {
        let register = Command::RegisterSite(RegisterSite {
            provider: self.provider.0,
            region: Region::parse("650000").unwrap(),
            hardware: vec![Hardware {
                gpu_model: model(),
                gpus: 64,
            }],
            capacity_kid: signer(CAPACITY_KEY).public().kid(),
        });
        let entry = self.ask(self.provider, register).unwrap();
        self.site = entry.found.site.unwrap();
        self.share(40, T, T + 100 * HOUR).unwrap();
        let publish = Command::PublishDataset(PublishDataset {
            dataset: None,
            version: "1.0.0".into(),
            manifest: manifest(),
            files: None,
            bytes: 1 << 30,
            price_fen: Fen::new(50_000_000).unwrap(),
            licence: DocumentDigest::of(b"licence"),
            card: None,
        });
        let entry = self.ask(self.vendor, publish).unwrap();
        self.dataset = entry.found.dataset.unwrap();
    }

    fn orders(&mut self) {
        self.offer = self.publish(Billing::Metered);
        self.order = self.place("w13-capacity", self.compute(self.offer));
        let dataset = SegmentAsked {
            offer: None,
            dataset: Some(manifest()),
            ..of_offer(self.offer, T, T + 24 * HOUR)
        };
        self.data_order = self.place("w12-data", vec![dataset]);
    }

    fn compute(&self, offer: OfferId) -> Vec<SegmentAsked> {
        vec![
            of_offer(offer, T, T + 10 * HOUR),
            of_offer(offer, T + 10 * HOUR, T + 20 * HOUR),
        ]
    }

    fn publish(&mut self, billing: Billing) -> OfferId {
        let publish = Command::PublishOffer(PublishOffer {
            site: self.site,
            gpu_model: model(),
            billing,
            price_fen: fen(1_000),
            valid_to: None,
        });
        let entry = self.ask(self.provider, publish).unwrap();
        entry.found.offer.unwrap()
    }

    fn place(&mut self, rules: &str, segments: Vec<SegmentAsked>) -> OrderId {
        let is_data = segments.iter().any(|segment| segment.dataset.is_some());
        let place = Command::PlaceOrder(PlaceOrder {
            seller: if is_data {
                self.vendor.0
            } else {
                self.provider.0
            },
            segments,
            contract: None,
            purpose: None,
            claims: vec![ClaimAsked {
                voucher: None,
                programme: Some(programme(rules)),
                hold_fen: Some(fen(100_000_000)),
            }],
            nonce: None,
            jws: None,
        });
        let entry = self.ask(self.buyer, place).unwrap();
        entry.found.order.unwrap()
    }

    fn place_like_the_first(&mut self) -> OrderId {
        self.place("w13-capacity", self.compute(self.offer))
    }

    /// Decides and applies; whoever reads the entry's bytes decides the same.
    fn ask(&mut self, (by, actor): Who, command: Command) -> Result<Entry, Refusal> {
        self.draws += 1;
        let env = Env {
            at: at(self.now),
            salt: Salt::new([self.draws; 16]),
            rules: RULES,
        };
        let mut request = Request {
            by,
            actor,
            cmd: None,
            req: None,
            command,
        };
        let entry = decide(&self.book, &request, &env)?;
        let read = Entry::parse(&entry.to_bytes().unwrap()).unwrap();
        assert_eq!(read, entry);
        request.command = read.asked;
        assert_eq!(decide(&self.book, &request, &env), Ok(entry.clone()));
        self.book.apply(&entry).unwrap();
        self.check(&entry);
        Ok(entry)
    }

    /// What sites keep is what the entries' counters sum to, and within the shares.
    fn check(&mut self, entry: &Entry) {
        self.book.money.check_invariants().unwrap();
        for (key, by) in &entry.counters {
            *self.counters.entry(key.to_string()).or_default() += by;
        }
        self.counters.retain(|_, value| *value != 0);
        let mut kept = BTreeMap::new();
        for (id, site) in &self.book.sites {
            let runs = site.runs.iter();
            let runs = runs.map(|(run, of)| (CounterKey::run(*id, run), i64::from(of.receipts)));
            kept.extend(runs.map(|(key, count)| (key.to_string(), count)));
            kept.extend(hours(*id, site));
        }
        let of_sites = |key: &str| key.starts_with("site/") || key.starts_with("run/");
        let counted = self.counters.iter().filter(|(key, _)| of_sites(key));
        let counted: BTreeMap<_, _> = counted.map(|(key, by)| (key.clone(), *by)).collect();
        assert_eq!(kept, counted);
    }

    fn admit(&mut self, role: Role) -> Who {
        let admit = Command::AdmitParty(AdmitParty {
            roles: vec![role],
            name: Sha256Hash::of(&[self.draws]),
            uscc: None,
        });
        let party = self.ask(self.exchange, admit).unwrap().found.party.unwrap();
        let register = Command::RegisterActor(RegisterActor {
            party,
            roles: vec![role],
            scopes: None,
        });
        let entry = self.ask(self.exchange, register).unwrap();
        (party, entry.found.actor.unwrap())
    }

    fn register(&mut self, who: Who, key_use: KeyUse, key: u8) {
        let proof = KeyRegistration {
            iss: who.0,
            aud: ORIGIN.into(),
            key_use,
            iat: at(self.now),
        };
        let signer = signer(key);
        let register = Command::RegisterKey(RegisterKey {
            party: who.0,
            key_use,
            jwk: Jwk {
                crv: "Ed25519".into(),
                kty: "OKP".into(),
                x: signer.public().x(),
            },
            kid: signer.public().kid(),
            valid_from: at(self.now),
            valid_to: at(T + 1_000 * HOUR),
            proof: sign(&proof, &signer),
            succession: None,
            case: None,
        });
        self.ask(self.exchange, register).unwrap();
    }

    fn revoke(&mut self, key: u8, reason: RevocationReason) {
        let compromised = reason == RevocationReason::Compromised;
        let revoke = Command::RevokeKey(RevokeKey {
            kid: signer(key).public().kid(),
            reason,
            compromised_since: compromised.then(|| at(self.now)),
            after: None,
        });
        self.ask(self.exchange, revoke).unwrap();
    }

    fn share(&mut self, gpus: u32, from: i64, to: i64) -> Result<Entry, Refusal> {
        let share = CapacityShare {
            aud: ORIGIN.into(),
            site: self.site,
            gpu_model: model(),
            gpus,
            from: at(from),
            to: at(to),
        };
        let jws = signed(&share, CAPACITY_KEY);
        self.ask(self.provider, Command::ShareCapacity(ShareCapacity { jws }))
    }

    /// The next receipt of the provider on the order: full use of some cards.
    fn usage(&self, gpu_count: u32, start: i64, end: i64) -> ComputeUsage {
        self.usage_of(self.order, gpu_count, start, end)
    }

    fn usage_of(&self, order: OrderId, gpu_count: u32, start: i64, end: i64) -> ComputeUsage {
        let chain = self.book.chain(order, self.provider.0);
        let gpu_seconds = GpuSeconds::new(i64::from(gpu_count) * (end - start)).unwrap();
        let run = format!("slurm:west/{order}-{}@{start}", chain.next());
        ComputeUsage {
            iss: self.provider.0,
            aud: ORIGIN.into(),
            sub: order,
            seq: chain.next(),
            prev: chain.head(),
            jti: Jti {
                order,
                seq: chain.next(),
            },
            iat: at(end),
            kind: Kind::Usage,
            corrects: None,
            site: self.site,
            gpu_model: model(),
            gpu_count,
            start: at(start),
            end: at(end),
            gpu_seconds,
            jobs: vec![Job {
                run,
                state: "COMPLETED".into(),
                gpu_seconds,
            }],
            inputs: None,
            export: None,
            energy_wh: None,
            util_bp: None,
            devices: None,
        }
    }

    /// A correction of receipt `seq` to other use over the same hour.
    fn correction(&self, seq: u32, gpu_count: u32, start: i64, end: i64) -> ComputeUsage {
        let order = self.order;
        let mut claims = self.usage(gpu_count, start, end);
        claims.kind = Kind::Correction;
        claims.corrects = Some(Jti { order, seq });
        if gpu_count == 0 {
            claims.jobs.clear();
        }
        claims
    }

    fn send<S: Statement>(&mut self, claims: &S, key: u8) -> Result<Entry, Refusal> {
        let who = match key {
            VENDOR_KEY => self.vendor,
            RIVAL_KEY => self.rival,
            DELIVERY_KEY => self.exchange,
            _ => self.provider,
        };
        let jws = signed(claims, key);
        self.ask(who, Command::AcceptReceipt(AcceptReceipt { jws }))
    }

    fn enter(&mut self, claims: &ComputeUsage) -> Result<Entry, Refusal> {
        self.send(claims, PROVIDER_KEY)
    }

    fn refuse(&mut self, claims: &ComputeUsage, code: Code) -> Refusal {
        let before = self.book.clone();
        let refusal = self.enter(claims).unwrap_err();
        assert_eq!(refusal.code, code, "{refusal}");
        assert!(self.book == before);
        refusal
    }

    fn delivery(&self, iss: PartyId) -> DataDelivery {
        let order = self.data_order;
        let chain = self.book.chain(order, iss);
        DataDelivery {
            iss,
            aud: ORIGIN.into(),
            sub: order,
            seq: chain.next(),
            prev: chain.head(),
            jti: Jti {
                order,
                seq: chain.next(),
            },
            iat: at(self.now),
            dataset: self.dataset,
            version: "1.0.0".into(),
            digest: manifest(),
            bytes: 1 << 30,
            delivered_at: at(self.now),
            ranges: DocumentDigest::of(b"ranges"),
            nonce: Nonce::new([7; 16]),
            possession_hash: Sha256Hash::of(possession().bytes()),
        }
    }

    fn acceptance(&self, verdict: Verdict) -> DataAcceptance {
        let order = self.data_order;
        let chain = self.book.chain(order, self.buyer.0);
        DataAcceptance {
            iss: self.buyer.0,
            aud: ORIGIN.into(),
            sub: order,
            seq: chain.next(),
            prev: chain.head(),
            jti: Jti {
                order,
                seq: chain.next(),
            },
            iat: at(self.now),
            digest: manifest(),
            verdict,
            possession: possession(),
        }
    }

    fn give(&mut self, claims: &DataAcceptance) -> Result<Entry, Refusal> {
        let jws = signed(claims, BUYER_KEY);
        self.ask(self.buyer, Command::GiveAcceptance(GiveAcceptance { jws }))
    }

    fn order_mut(&mut self) -> &mut Order {
        self.book.orders.get_mut(&self.order).unwrap()
    }
}

/// The occupied hours of a site by the names of their counters; none is beyond its share.
fn hours(id: SiteId, site: &Site) -> Vec<(String, i64)> {
    let mut kept = Vec::new();
    for (model, capacity) in &site.capacity {
        let hours = (0..100).map(|n| at(T + n * HOUR).hour());
        for hour in hours.filter(|hour| capacity.occupied(*hour) != 0) {
            assert!(capacity.occupied(hour) <= capacity.limit(hour), "{hour}");
            let key = CounterKey::site(id, model, hour).to_string();
            kept.push((key, capacity.occupied(hour)));
        }
    }
    kept
}

fn signed<S: Statement>(claims: &S, key: u8) -> Signed {
    sign(claims, &signer(key)).parse().unwrap()
}

fn code(result: Result<Entry, Refusal>) -> Code {
    result.unwrap_err().code
}

#[test]
fn a_receipt_occupies_its_hours_and_names_its_run() {
    let mut world = World::new();
    let claims = world.usage(8, T + HOUR / 2, T + 2 * HOUR);
    let entry = world.enter(&claims).unwrap();
    let counters: Vec<_> = entry
        .counters
        .iter()
        .map(|(key, by)| (key.to_string(), *by))
        .collect();
    let site = format!("site/{}/{}", world.site, model());
    assert!(counters.contains(&(format!("{site}/2026-11-23T00Z"), 14_400)));
    assert!(counters.contains(&(format!("{site}/2026-11-23T01Z"), 28_800)));
    assert_eq!(counters.len(), 3);
    assert!(counters.is_sorted());
    assert_eq!(entry.found.order, Some(world.order));
    // 12 card-hours at 1,000 fen, 10 % of them.
    let stated = entry.found.stated.unwrap();
    assert_eq!(stated.claims.first().unwrap().grant, fen(1_200));
}

#[test]
fn a_verified_receipt_is_decided_like_an_unverified_one() {
    let world = World::new();
    let compact = sign(&world.usage(8, T, T + HOUR), &signer(PROVIDER_KEY));
    let unverified = UnverifiedReceipt::parse(&compact).unwrap();
    let verified = unverified
        .clone()
        .verify(&signer(PROVIDER_KEY).public())
        .unwrap();
    let entry = |jws| world_entry(World::new(), jws);
    let one = entry(Signed::Unverified(unverified));
    assert_eq!(one, entry(Signed::Verified(verified)));
}

fn world_entry(mut world: World, jws: Signed) -> Vec<u8> {
    let command = Command::AcceptReceipt(AcceptReceipt { jws });
    world
        .ask(world.provider, command)
        .unwrap()
        .to_bytes()
        .unwrap()
}

#[test]
fn a_receipt_sent_again_is_known_by_its_entry() {
    let mut world = World::new();
    let claims = world.usage(8, T, T + HOUR);
    let again = signed(&claims, PROVIDER_KEY);
    assert_eq!(world.book.known_receipt(again.receipt()), None);
    let entry = world.enter(&claims).unwrap();
    assert_eq!(world.book.known_receipt(again.receipt()), Some(entry.seq));
    let refusal = world.refuse(&claims, Code::CommandRepeated);
    assert_eq!(refusal.values, [("seq", entry.seq.to_string())]);
    let other = ComputeUsage {
        iat: at(T + 2 * HOUR),
        ..claims
    };
    let other = signed(&other, PROVIDER_KEY);
    assert_eq!(world.book.known_receipt(other.receipt()), None);
}

#[test]
fn a_statement_of_another_kind_is_malformed_here() {
    let mut world = World::new();
    let acceptance = world.acceptance(Verdict::Accepted);
    assert_eq!(
        code(world.send(&acceptance, PROVIDER_KEY)),
        Code::ReceiptMalformed
    );
    let jws = signed(&world.usage(8, T, T + HOUR), BUYER_KEY);
    let give = Command::GiveAcceptance(GiveAcceptance { jws });
    assert_eq!(code(world.ask(world.buyer, give)), Code::ReceiptMalformed);
}

#[test]
fn a_signature_must_be_the_keys() {
    let mut world = World::new();
    let compact = sign(&world.usage(8, T, T + HOUR), &signer(PROVIDER_KEY));
    let (signed, _) = compact.rsplit_once('.').unwrap();
    let jws = format!("{signed}.{}", "A".repeat(86)).parse().unwrap();
    let command = Command::AcceptReceipt(AcceptReceipt { jws });
    assert_eq!(
        code(world.ask(world.provider, command)),
        Code::ReceiptSignature
    );
}

#[test]
fn a_key_is_registered_for_receipts() {
    let mut world = World::new();
    let claims = world.usage(8, T, T + HOUR);
    for key in [99, CAPACITY_KEY, BUYER_KEY] {
        assert_eq!(code(world.send(&claims, key)), Code::ReceiptKeyUnknown);
    }
}

#[test]
fn a_key_is_good_from_its_first_second_to_before_its_last() {
    let mut world = World::new();
    let from = T - 30 * 24 * HOUR;
    world.now = T + 1_100 * HOUR;
    world.order_mut().grace_days = 100;
    let mut claims = world.usage(8, T, T + HOUR);
    for iat in [from - 1, T + 1_000 * HOUR] {
        claims.iat = at(iat);
        world.refuse(&claims, Code::ReceiptKeyNotValidThen);
    }
    claims.iat = at(T + 1_000 * HOUR - 1);
    world.enter(&claims).unwrap();
}

#[test]
fn a_superseded_key_stays_good_for_three_days_for_what_was_signed_before() {
    let mut world = World::new();
    let revoked = world.now;
    world.revoke(PROVIDER_KEY, RevocationReason::Superseded);
    let signed_at = |world: &World, iat: i64, start: i64| ComputeUsage {
        iat: at(iat),
        ..world.usage(8, start, start + HOUR)
    };
    world.now = revoked + 72 * HOUR - 1;
    let claims = signed_at(&world, revoked, T);
    world.refuse(&claims, Code::ReceiptKeyNotValidThen);
    let claims = signed_at(&world, revoked - 1, T);
    world.enter(&claims).unwrap();
    world.now = revoked + 72 * HOUR;
    let claims = signed_at(&world, revoked - 1, T + HOUR);
    world.refuse(&claims, Code::ReceiptKeyNotValidThen);
}

#[test]
fn a_compromised_key_is_good_for_nothing() {
    let mut world = World::new();
    world.revoke(PROVIDER_KEY, RevocationReason::Compromised);
    let claims = world.usage(8, T, T + HOUR);
    world.refuse(&claims, Code::ReceiptKeyNotValidThen);
}

#[test]
fn a_receipt_is_for_this_exchange_from_its_seller_on_its_order() {
    let mut world = World::new();
    let good = world.usage(8, T, T + HOUR);
    let other_aud = ComputeUsage {
        aud: "localhost/quam".into(),
        ..good.clone()
    };
    world.refuse(&other_aud, Code::ReceiptAudience);
    let other_iss = ComputeUsage {
        iss: world.rival.0,
        ..good.clone()
    };
    world.refuse(&other_iss, Code::ReceiptIssuer);
    assert_eq!(code(world.send(&other_iss, RIVAL_KEY)), Code::ReceiptIssuer);
    let unknown = OrderId::draw(&Salt::new([8; 16]), 0, 0);
    let other_order = world.usage_of(unknown, 8, T, T + HOUR);
    world.refuse(&other_order, Code::ReceiptOrder);
    let data_order = world.usage_of(world.data_order, 8, T, T + HOUR);
    world.refuse(&data_order, Code::ReceiptOrder);
    // Signed by the provider, sent by another party.
    let jws = signed(&good, PROVIDER_KEY);
    let command = Command::AcceptReceipt(AcceptReceipt { jws });
    assert_eq!(code(world.ask(world.rival, command)), Code::AccessParty);
    world.enter(&good).unwrap();
}

#[test]
fn an_order_takes_receipts_until_it_is_closed_or_its_grace_is_over() {
    let mut world = World::new();
    let grace_end = T + 20 * HOUR + 30 * 24 * HOUR;
    world.now = grace_end;
    let claims = world.usage(8, T, T + HOUR);
    world.refuse(&claims, Code::ReceiptOrderClosed);
    world.now = grace_end - 1;
    world.enter(&claims).unwrap();
    world.order_mut().standing = Standing::Closed(at(T));
    let claims = world.usage(8, T + HOUR, T + 2 * HOUR);
    world.refuse(&claims, Code::ReceiptOrderClosed);
}

#[test]
fn an_ended_order_takes_corrections_until_its_last_period_is_closed() {
    let mut world = World::new();
    let order = world.order;
    let first = world.usage(8, T, T + HOUR);
    world.enter(&first).unwrap();
    let close = Command::CloseOrder(CloseOrder { order });
    world.ask(world.buyer, close).unwrap();
    world.refuse(
        &world.usage(8, T + HOUR, T + 2 * HOUR),
        Code::ReceiptOrderClosed,
    );
    // Past the grace, and on the day on which November can be closed.
    world.now = T + 35 * 24 * HOUR;
    let entry = world.enter(&world.correction(0, 5, T, T + HOUR)).unwrap();
    let claim = entry.found.stated.as_ref().unwrap().claims.first().unwrap();
    assert_eq!((claim.grant, claim.delta), (fen(500), fen(-300)));
    let funds = entry.postings.legs().iter();
    let back = funds.filter(|(account, _)| matches!(account, Account::Fund(_)));
    assert_eq!(back.map(|(_, fen)| fen.get()).sum::<i64>(), 300);
    let statement = Command::CloseStatement(CloseStatement {
        party: world.provider.0,
        period: NamedPeriod::parse("2026-11").unwrap(),
    });
    world.ask(world.exchange, statement).unwrap();
    world.refuse(
        &world.correction(1, 4, T, T + HOUR),
        Code::ReceiptOrderClosed,
    );
}

#[test]
fn a_chain_grows_by_one_and_says_what_it_expects() {
    let mut world = World::new();
    let first = world.usage(8, T, T + HOUR);
    let early = ComputeUsage {
        seq: 1,
        jti: Jti {
            order: world.order,
            seq: 1,
        },
        ..first.clone()
    };
    let refusal = world.refuse(&early, Code::ReceiptChain);
    assert_eq!(refusal.values, [("seq", "0".to_owned())]);
    let prev = ComputeUsage {
        prev: Some(possession()),
        ..first.clone()
    };
    world.refuse(&prev, Code::ReceiptChain);
    world.enter(&first).unwrap();
    let hash = signed(&first, PROVIDER_KEY).receipt().hash();
    let other = ComputeUsage {
        iat: at(T + 2 * HOUR),
        ..first
    };
    let refusal = world.refuse(&other, Code::ReceiptChain);
    assert_eq!(
        refusal.values,
        [("seq", "1".to_owned()), ("prev", hash.to_string())]
    );
    let second = world.usage(8, T + HOUR, T + 2 * HOUR);
    let unlinked = ComputeUsage {
        prev: None,
        ..second.clone()
    };
    world.refuse(&unlinked, Code::ReceiptChain);
    world.enter(&second).unwrap();
}

#[test]
fn a_period_is_over_when_it_is_entered() {
    let mut world = World::new();
    let claims = ComputeUsage {
        iat: at(world.now + 300),
        ..world.usage(8, T, T + HOUR)
    };
    let ahead = ComputeUsage {
        iat: at(world.now + 301),
        ..claims.clone()
    };
    world.refuse(&ahead, Code::ReceiptPeriod);
    let early = ComputeUsage {
        iat: at(T + HOUR - 6),
        ..claims.clone()
    };
    world.refuse(&early, Code::ReceiptPeriod);
    world.enter(&claims).unwrap();
}

#[test]
fn periods_may_touch_and_never_overlap() {
    let mut world = World::new();
    let claims = world.usage(8, T + HOUR, T + 2 * HOUR);
    world.enter(&claims).unwrap();
    for (start, end) in [
        (T, T + HOUR + 1),
        (T + 2 * HOUR - 1, T + 3 * HOUR),
        (T + HOUR + 5, T + HOUR + 6),
        (T, T + 3 * HOUR),
    ] {
        let claims = world.usage(1, start, end);
        world.refuse(&claims, Code::ReceiptOverlap);
    }
    let (before, after) = (world.usage(8, T, T + HOUR), (T + 2 * HOUR, T + 3 * HOUR));
    world.enter(&before).unwrap();
    let after = world.usage(8, after.0, after.1);
    world.enter(&after).unwrap();
}

#[test]
fn a_receipt_lies_in_exactly_one_segment() {
    let mut world = World::new();
    for (start, end) in [
        (T - 1, T + 1),
        (T + 10 * HOUR - 1, T + 10 * HOUR + 1),
        (T + 20 * HOUR - 1, T + 20 * HOUR + 1),
    ] {
        let claims = world.usage(8, start, end);
        world.refuse(&claims, Code::ReceiptModel);
    }
    let gpu_model = GpuModel::parse("nvidia-a100").unwrap();
    let other = ComputeUsage {
        gpu_model,
        ..world.usage(8, T, T + HOUR)
    };
    world.refuse(&other, Code::ReceiptModel);
    let first = world.usage(8, T + 9 * HOUR, T + 10 * HOUR);
    world.enter(&first).unwrap();
    let last = world.usage(8, T + 19 * HOUR, T + 20 * HOUR);
    world.enter(&last).unwrap();
}

#[test]
fn no_more_is_used_than_cards_and_time_give() {
    let mut world = World::new();
    let mut claims = world.usage(8, T, T + HOUR);
    claims.gpu_seconds = GpuSeconds::new(28_801).unwrap();
    claims.jobs.first_mut().unwrap().gpu_seconds = claims.gpu_seconds;
    world.refuse(&claims, Code::ReceiptRate);
}

#[test]
fn jobs_sum_up_and_a_run_belongs_to_one_order() {
    let mut world = World::new();
    let first = world.usage(8, T, T + HOUR);
    let short = ComputeUsage {
        jobs: Vec::new(),
        ..first.clone()
    };
    world.refuse(&short, Code::ReceiptJobs);
    world.enter(&first).unwrap();
    // The same run goes on within its order …
    let mut second = world.usage(8, T + HOUR, T + 2 * HOUR);
    second
        .jobs
        .first_mut()
        .unwrap()
        .run
        .clone_from(&first.jobs.first().unwrap().run);
    world.enter(&second).unwrap();
    // … and in no other order.
    let other = world.place_like_the_first();
    let mut third = world.usage_of(other, 8, T + 2 * HOUR, T + 3 * HOUR);
    third
        .jobs
        .first_mut()
        .unwrap()
        .run
        .clone_from(&first.jobs.first().unwrap().run);
    world.refuse(&third, Code::ReceiptJobs);
    // Both receipts voided: the run is free again.
    for seq in [0, 1] {
        let start = T + i64::from(seq) * HOUR;
        let void = world.correction(seq, 0, start, start + HOUR);
        world.enter(&void).unwrap();
    }
    assert!(world.book.sites[&world.site].runs.is_empty());
    world.enter(&third).unwrap();
}

#[test]
fn a_site_hour_is_full_at_its_share() {
    // W13: 40 cards shared, 144,000 GPU-seconds an hour.
    let mut world = World::new();
    let (other, third) = (world.place_like_the_first(), world.place_like_the_first());
    let full = world.usage(32, T, T + HOUR);
    world.enter(&full).unwrap();
    let half = world.usage_of(other, 16, T, T + HOUR / 2);
    world.enter(&half).unwrap();
    let mut one_more = world.usage_of(third, 1, T + HOUR - 1, T + HOUR);
    one_more.jobs.first_mut().unwrap().run = "slurm:west/one-more".into();
    let refusal = world.refuse(&one_more, Code::ReceiptCapacity);
    let values = [
        ("hour", "2026-11-23T00Z".to_owned()),
        ("occupied", "144000".to_owned()),
        ("limit", "144000".to_owned()),
    ];
    assert_eq!(refusal.values, values);
    // A correction frees exactly what it takes back.
    let correction = world.correction(0, 31, T, T + HOUR);
    world.enter(&correction).unwrap();
    world.enter(&one_more).unwrap();
    // A larger correction would not fit.
    let correction = world.correction(1, 32, T, T + HOUR);
    world.refuse(&correction, Code::ReceiptCapacity);
}

#[test]
fn hours_without_a_share_take_nothing() {
    let mut world = World::new();
    world.share(0, T + HOUR, T + 2 * HOUR).unwrap();
    let across = world.usage(8, T, T + HOUR + 1);
    let refusal = world.refuse(&across, Code::ReceiptCapacity);
    assert_eq!(
        refusal.values.first(),
        Some(&("hour", "2026-11-23T01Z".to_owned()))
    );
    let within = world.usage(8, T, T + HOUR);
    world.enter(&within).unwrap();
}

#[test]
fn a_share_is_not_lowered_below_what_is_used() {
    let mut world = World::new();
    let claims = world.usage(8, T, T + HOUR);
    world.enter(&claims).unwrap();
    assert_eq!(code(world.share(7, T - HOUR, T + HOUR)), Code::ShareInvalid);
    assert_eq!(code(world.share(65, T, T + HOUR)), Code::ShareInvalid);
    world.share(8, T, T + HOUR).unwrap();
    world.share(0, T + HOUR, T + 2 * HOUR).unwrap();
}

#[test]
fn no_more_cards_are_used_than_stand_at_the_site() {
    let mut world = World::new();
    let claims = world.usage(65, T, T + 60);
    world.refuse(&claims, Code::ReceiptProvenance);
    let claims = world.usage(64, T, T + 60);
    world.enter(&claims).unwrap();
}

#[test]
fn a_correction_names_a_standing_receipt_and_repeats_its_period() {
    let mut world = World::new();
    let claims = world.usage(8, T, T + HOUR);
    world.enter(&claims).unwrap();
    let missing = world.correction(1, 4, T, T + HOUR);
    world.refuse(&missing, Code::ReceiptCorrection);
    let moved = world.correction(0, 4, T + 1, T + HOUR);
    world.refuse(&moved, Code::ReceiptCorrection);
    let mut foreign = world.correction(0, 4, T, T + HOUR);
    foreign.corrects = Some(Jti {
        order: world.data_order,
        seq: 0,
    });
    world.refuse(&foreign, Code::ReceiptCorrection);
    let good = world.correction(0, 4, T, T + HOUR);
    world.enter(&good).unwrap();
    let again = world.correction(0, 2, T, T + HOUR);
    world.refuse(&again, Code::ReceiptCorrection);
    let of_correction = world.correction(1, 2, T, T + HOUR);
    world.enter(&of_correction).unwrap();
    let dealings = &world.book.dealings[&world.order];
    assert_eq!(dealings.segments[&0].units, 2 * HOUR);
    assert_eq!(dealings.lines, 1);
}

#[test]
fn a_void_receipt_frees_its_period_and_may_be_filled_again() {
    let mut world = World::new();
    let claims = world.usage(8, T, T + HOUR);
    world.enter(&claims).unwrap();
    let void = world.correction(0, 0, T, T + HOUR);
    world.enter(&void).unwrap();
    assert_eq!(world.book.dealings[&world.order].segments[&0].units, 0);
    let moved = world.usage(8, T + 60, T + HOUR + 60);
    world.enter(&moved).unwrap();
    let revived = world.correction(1, 8, T, T + HOUR);
    world.refuse(&revived, Code::ReceiptOverlap);
}

#[test]
fn node_failures_are_used_and_not_billed() {
    let mut world = World::new();
    let mut claims = world.usage(8, T, T + HOUR);
    let half = GpuSeconds::new(14_400).unwrap();
    let failed = Job {
        run: "slurm:west/failed".into(),
        state: "NODE_FAIL".into(),
        gpu_seconds: half,
    };
    claims.jobs.first_mut().unwrap().gpu_seconds = half;
    claims.jobs.push(failed);
    world.enter(&claims).unwrap();
    assert_eq!(world.book.dealings[&world.order].segments[&0].units, 14_400);
    let hour = at(T).hour();
    assert_eq!(
        world.book.sites[&world.site].capacity[&model()].occupied(hour),
        28_800
    );
}

#[test]
fn reserved_cards_occupy_and_bill_their_whole_span() {
    let mut world = World::new();
    let offer = world.publish(Billing::Reserved);
    world.order = world.place("w13-capacity", world.compute(offer));
    let mut claims = world.usage(8, T, T + HOUR);
    claims.gpu_seconds = GpuSeconds::new(100).unwrap();
    claims.jobs.first_mut().unwrap().gpu_seconds = claims.gpu_seconds;
    world.enter(&claims).unwrap();
    assert_eq!(world.book.dealings[&world.order].segments[&0].units, 28_800);
    let hour = at(T).hour();
    assert_eq!(
        world.book.sites[&world.site].capacity[&model()].occupied(hour),
        28_800
    );
}

#[test]
fn a_delivery_is_of_what_was_ordered_by_the_vendor_or_the_exchange() {
    let mut world = World::new();
    let good = world.delivery(world.vendor.0);
    let digest = DocumentDigest::of(b"other");
    for bad in [
        DataDelivery {
            digest,
            ..good.clone()
        },
        DataDelivery {
            version: "1.0.1".into(),
            ..good.clone()
        },
        DataDelivery {
            bytes: (1 << 30) - 1,
            ..good.clone()
        },
    ] {
        assert_eq!(code(world.send(&bad, VENDOR_KEY)), Code::ReceiptDigest);
    }
    let late = DataDelivery {
        delivered_at: at(world.now + 1),
        ..good.clone()
    };
    assert_eq!(code(world.send(&late, VENDOR_KEY)), Code::ReceiptDelivery);
    let provider = world.delivery(world.provider.0);
    assert_eq!(
        code(world.send(&provider, PROVIDER_KEY)),
        Code::ReceiptIssuer
    );
    world.send(&good, VENDOR_KEY).unwrap();
    let exchange = world.delivery(world.exchange.0);
    world.send(&exchange, DELIVERY_KEY).unwrap();
}

#[test]
fn an_acceptance_follows_a_delivery_and_shows_possession() {
    let mut world = World::new();
    let acceptance = world.acceptance(Verdict::Accepted);
    assert_eq!(code(world.give(&acceptance)), Code::ReceiptDelivery);
    let delivery = world.delivery(world.vendor.0);
    world.send(&delivery, VENDOR_KEY).unwrap();
    let empty = DataAcceptance {
        possession: Sha256Hash::of(b"guess"),
        ..acceptance.clone()
    };
    assert_eq!(code(world.give(&empty)), Code::ReceiptDigest);
    let digest = DocumentDigest::of(b"other");
    let other = DataAcceptance {
        digest,
        ..acceptance.clone()
    };
    assert_eq!(code(world.give(&other)), Code::ReceiptDigest);
    world.give(&acceptance).unwrap();
    let again = world.acceptance(Verdict::Defect);
    assert_eq!(code(world.give(&again)), Code::ReceiptDelivery);
    let again = world.delivery(world.vendor.0);
    assert_eq!(code(world.send(&again, VENDOR_KEY)), Code::ReceiptDelivery);
    let key = (world.buyer.0, manifest());
    assert!(world.book.licences[&key].contains(&world.data_order));
}

#[test]
fn a_defect_is_delivered_again() {
    let mut world = World::new();
    let delivery = world.delivery(world.vendor.0);
    world.send(&delivery, VENDOR_KEY).unwrap();
    let defect = world.acceptance(Verdict::Defect);
    world.give(&defect).unwrap();
    assert!(world.book.licences.is_empty());
    let delivery = world.delivery(world.vendor.0);
    world.send(&delivery, VENDOR_KEY).unwrap();
    let accepted = world.acceptance(Verdict::Accepted);
    world.give(&accepted).unwrap();
}

#[test]
fn a_correction_earns_what_it_says_in_place_of_what_was_said() {
    let mut world = World::new();
    let grant = |entry: Entry| entry.found.stated.unwrap().claims.first().unwrap().grant;
    let claims = world.usage(8, T, T + HOUR);
    assert_eq!(grant(world.enter(&claims).unwrap()), fen(800));
    let more = world.usage(8, T + HOUR, T + 2 * HOUR);
    assert_eq!(grant(world.enter(&more).unwrap()), fen(1_600));
    let less = world.correction(0, 2, T, T + HOUR);
    assert_eq!(grant(world.enter(&less).unwrap()), fen(1_000));
    let void = world.correction(2, 0, T, T + HOUR);
    assert_eq!(grant(world.enter(&void).unwrap()), fen(800));
}

#[test]
fn the_terms_bound_the_quantity_where_a_programme_refuses_over_run() {
    let mut world = World::new();
    let limited = |world: &World| {
        let segment = of_offer(world.offer, T, T + 10 * HOUR);
        vec![SegmentAsked {
            limit: Some(28_800),
            ..segment
        }]
    };
    world.order = world.place("w13-refuse", limited(&world));
    let full = world.usage(8, T, T + HOUR);
    world.enter(&full).unwrap();
    let more = world.usage(1, T + HOUR, T + HOUR + 1);
    world.refuse(&more, Code::ReceiptQuantity);
    let less = world.correction(0, 4, T, T + HOUR);
    world.enter(&less).unwrap();
    let more = world.usage(1, T + HOUR, T + HOUR + 1);
    world.enter(&more).unwrap();
    // Elsewhere what is beyond the limit is recorded and earns nothing.
    world.order = world.place("w13-capacity", limited(&world));
    let over = world.usage(8, T + 2 * HOUR, T + 4 * HOUR);
    let entry = world.enter(&over).unwrap();
    assert_eq!(
        entry.found.stated.unwrap().claims.first().unwrap().grant,
        fen(800)
    );
}

#[test]
fn a_receipt_that_names_a_dataset_releases_its_holdback_once() {
    let mut world = World::new();
    let mut early = world.usage(8, T, T + HOUR);
    early.inputs = Some(vec![manifest()]);
    assert_eq!(world.enter(&early).unwrap().found.proven, None);
    let delivery = world.delivery(world.vendor.0);
    world.send(&delivery, VENDOR_KEY).unwrap();
    let acceptance = world.acceptance(Verdict::Accepted);
    let entry = world.give(&acceptance).unwrap();
    // W12: 30 % of 50,000,000, less a fifth.
    assert_eq!(
        entry.found.stated.unwrap().claims.first().unwrap().grant,
        fen(12_000_000)
    );
    let mut idle = world.usage(8, T + HOUR, T + 2 * HOUR);
    idle.gpu_seconds = GpuSeconds::ZERO;
    idle.jobs.clear();
    idle.inputs = Some(vec![manifest()]);
    assert_eq!(world.enter(&idle).unwrap().found.proven, None);
    let mut claims = world.usage(8, T + 2 * HOUR, T + 3 * HOUR);
    claims.inputs = Some(vec![manifest(), manifest(), DocumentDigest::of(b"unknown")]);
    let entry = world.enter(&claims).unwrap();
    let proven = entry.found.proven.unwrap();
    let [proof] = &proven[..] else {
        panic!("one order is proven")
    };
    assert_eq!(proof.order, world.data_order);
    assert_eq!(proof.stated.claims.first().unwrap().grant, fen(15_000_000));
    assert_eq!(
        entry.found.stated.unwrap().claims.first().unwrap().grant,
        fen(1_600)
    );
    let mut again = world.usage(8, T + 3 * HOUR, T + 4 * HOUR);
    again.inputs = Some(vec![manifest()]);
    assert_eq!(world.enter(&again).unwrap().found.proven, None);
}

#[test]
fn silence_accepts_after_the_programmes_days() {
    let mut world = World::new();
    let deem = DeemAcceptance {
        order: world.data_order,
    };
    let deem = || Command::DeemAcceptance(deem.clone());
    assert_eq!(
        code(world.ask(world.exchange, deem())),
        Code::ReceiptDelivery
    );
    let delivery = world.delivery(world.vendor.0);
    world.send(&delivery, VENDOR_KEY).unwrap();
    let due = world.now + 7 * 24 * HOUR;
    assert_eq!(world.book.deemed_at(world.data_order), Ok(at(due)));
    world.now = due - 1;
    assert_eq!(
        code(world.ask(world.exchange, deem())),
        Code::ReceiptDelivery
    );
    world.now = due;
    let entry = world.ask(world.exchange, deem()).unwrap();
    assert_eq!(
        entry.found.stated.unwrap().claims.first().unwrap().grant,
        fen(12_000_000)
    );
    assert_eq!(
        code(world.ask(world.exchange, deem())),
        Code::ReceiptDelivery
    );
}

fn invoice(world: &World) -> RecordEvidence {
    RecordEvidence {
        order: world.order,
        kind: EvidenceKind::Invoice,
        digest: DocumentDigest::of(b"invoice"),
        number: Some(Sha256Hash::of(b"12345678901234567890")),
        lines: vec![(Line::GpuRent, fen(8_000))],
    }
}

fn record(asked: &RecordEvidence) -> Command {
    Command::RecordEvidence(asked.clone())
}

#[test]
fn a_document_counts_once_over_its_pool() {
    let mut world = World::new();
    let good = invoice(&world);
    world.ask(world.buyer, record(&good)).unwrap();
    let copy = RecordEvidence {
        digest: DocumentDigest::of(b"copy"),
        ..good.clone()
    };
    let refused = world.ask(world.provider, record(&copy));
    assert_eq!(code(refused), Code::EvidenceUnique);
    let refused = world.ask(world.rival, record(&good));
    assert_eq!(code(refused), Code::AccessParty);
}

#[test]
fn a_payment_after_the_end_of_an_order_earns_where_money_is_taken_at_settlement_alone() {
    for (commit_at, mode, delta) in [("order", "deduct", 0), ("settlement", "reimburse", 800)] {
        let mut world = World::new();
        let id = format!("paid-at-{commit_at}");
        let paid = COMPUTE
            .replace("w13-capacity", &id)
            .replace(
                "commit_at = \"order\"",
                &format!("commit_at = {commit_at:?}"),
            )
            .replace("mode = \"deduct\"", &format!("mode = {mode:?}"))
            .replace("of = [\"metered\"]", "of = [\"metered\", \"paid\"]");
        world.enact(paid);
        world.order = world.place(&id, world.compute(world.offer));
        let claims = world.usage(8, T, T + HOUR);
        world.enter(&claims).unwrap();
        let close = Command::CloseOrder(CloseOrder { order: world.order });
        world.ask(world.buyer, close).unwrap();
        let payment = RecordEvidence {
            kind: EvidenceKind::Payment,
            ..invoice(&world)
        };
        let entry = world.ask(world.buyer, record(&payment)).unwrap();
        let claim = entry.found.stated.as_ref().unwrap().claims.first().unwrap();
        assert_eq!(claim.delta, fen(delta), "{commit_at}");
    }
}

#[test]
fn a_document_states_money_as_its_kind_does() {
    let mut world = World::new();
    let good = invoice(&world);
    let of_kind = |kind| RecordEvidence {
        kind,
        lines: Vec::new(),
        ..good.clone()
    };
    let of_lines = |lines| RecordEvidence {
        lines,
        ..good.clone()
    };
    let line = |amount| (Line::GpuRent, fen(amount));
    let other_with_money = RecordEvidence {
        kind: EvidenceKind::Other,
        ..good.clone()
    };
    for bad in [
        of_lines(Vec::new()),
        of_lines(vec![line(0)]),
        of_lines(vec![line(1), line(1)]),
        of_kind(EvidenceKind::UsageReceipt),
        of_kind(EvidenceKind::UseProof),
        other_with_money,
    ] {
        let refused = world.ask(world.buyer, record(&bad));
        assert_eq!(code(refused), Code::EvidenceInvalid, "{bad:?}");
    }
    let other = of_kind(EvidenceKind::Other);
    world.ask(world.office, record(&other)).unwrap();
    world.ask(world.buyer, record(&good)).unwrap();
}

/// One step of a random history: an hour of the order, cards, minutes of it, and whether the hour is corrected if known.
#[derive(Debug, Clone, Copy)]
struct Step {
    hour: i64,
    cards: u32,
    minutes: i64,
    corrects: bool,
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    use proptest::prelude::*;
    let step = (0_i64..6, 0_u32..50, 0_i64..=60, any::<bool>());
    let step = step.prop_map(|(hour, cards, minutes, corrects)| Step {
        hour,
        cards,
        minutes,
        corrects,
    });
    proptest::collection::vec(step, 1..12)
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    /// A naive ledger that keeps one receipt an hour agrees on what is taken, occupied and billed.
    #[test]
    fn random_receipts_and_corrections_agree_with_a_naive_ledger(steps in steps()) {
        let mut world = World::new();
        let mut naive: BTreeMap<i64, (u32, Step)> = BTreeMap::new();
        for step in steps {
            let start = T + step.hour * HOUR;
            let known = naive.get(&step.hour).copied();
            let seq = world.book.chain(world.order, world.provider.0).next();
            let claims = match known {
                Some((last, first)) if step.corrects => {
                    world.correction(last, step.cards, start, start + first.minutes * 60)
                }
                _ => world.usage(step.cards, start, start + step.minutes * 60),
            };
            let corrects = claims.kind == Kind::Correction;
            let used = i64::from(step.cards) * (claims.end.unix() - start);
            let is_free = known.is_none_or(|(_, first)| first.cards == 0 || first.minutes == 0);
            let fits = (1..=60).contains(&step.minutes) || corrects;
            // 40 cards are shared: 144,000 GPU-seconds an hour.
            let expected = used <= 144_000
                && if corrects { true } else { step.cards > 0 && fits && is_free };
            let before = world.book.clone();
            let outcome = world.enter(&claims);
            proptest::prop_assert_eq!(outcome.is_ok(), expected, "{:?} {:?}", step, outcome);
            if !expected {
                proptest::prop_assert!(world.book == before);
                continue;
            }
            let minutes = (claims.end.unix() - start) / 60;
            naive.insert(step.hour, (seq, Step { minutes, ..step }));
            let all: i64 = naive.values().map(|(_, s)| i64::from(s.cards) * s.minutes * 60).sum();
            let dealings = &world.book.dealings[&world.order];
            proptest::prop_assert_eq!(dealings.segments[&0].units, all);
        }
    }
}
