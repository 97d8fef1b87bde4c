//! A small town in memory: parties that trade as a test tells them to, at round prices, so that every number can be worked
//! out by hand. A card costs 100 fen a second, and the programme pays all of it.

#![expect(
    clippy::disallowed_methods,
    reason = "the command is tested on real files"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use verifier::analysis::Study;
use verifier::book::command::Kind;
use verifier::book::entry::Entry;
use verifier::id::{DocumentDigest, GpuModel, OrderId, PartyId, Sha256Hash, SiteId};
use verifier::money::{BasisPoints, GpuSeconds};
use verifier::receipt::{
    self, CapacityShare, ComputeUsage, DataAcceptance, DataDelivery, Job, Jti, KeyUse, Nonce,
    Verdict,
};
use verifier::time::Timestamp;

use crate::scenarios::exchange::{Exchange, FROM, TO, Who, document, signer, time};
use crate::story::{ORIGIN, Trail, policy_of};

/// Fen a card-hour: 100 fen a second.
pub(crate) const PRICE: i64 = 360_000;
pub(crate) const DAY: i64 = 86_400;
pub(crate) const HOUR: i64 = 3_600;
/// A Monday, 09:00 in China.
pub(crate) const START: &str = "2026-01-05T01:00:00Z";
/// The card of all sites.
const CARD: &str = "h800";
/// More than any test uses.
const CARDS: u32 = 1_000_000_000;
pub(crate) const FACE: i64 = 1_000_000_000;
const FUND: &str = "town-2026";
const FUNDER: &str = "f-finance";
const CONTENT: &[u8] = b"one line of a corpus\n";

/// A programme that pays all, with whatever else a test needs of it.
pub(crate) fn programme(id: &str, rest: &str) -> String {
    format!(
        r#"
schema = 1
engine = 1
id = "{id}"
name = {{ zh = "小镇", en = "A town", it = "Una città" }}
status = "template"
issuer = "none: a town of the tests"
region = "100000"
tier = "city"
legal = [{{ title = "A town", number = "unknown", date = "unknown", source = "tests", grade = "C" }}]
fund = [{{ id = "{FUND}", funder = "{FUNDER}" }}]
rate = {{ select = "first", tier = [{{ id = "all", bp = 10000 }}] }}
{rest}
"#
    )
}

/// Vouchers for the asking, of a face that is chosen.
pub(crate) const INSTRUMENT: &str = r#"instrument = { mode = "deduct", issue = "automatic", face = "chosen", commit_at = "issue", payee = "seller", settle_period = "month", dispute_days = 15 }"#;

/// Cards of a site from a day on.
struct Stall {
    site: SiteId,
    cards: u32,
    /// Offers by price.
    offers: BTreeMap<i64, String>,
}

/// What a receipt says of use.
pub(crate) struct Use {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) cards: u32,
    pub(crate) gpu_seconds: i64,
    /// The scheduler's run; one of its own if absent.
    pub(crate) run: Option<String>,
    pub(crate) util_bp: Option<u16>,
    pub(crate) export: Option<DocumentDigest>,
    pub(crate) energy_wh: Option<u32>,
    pub(crate) devices: Option<DocumentDigest>,
    pub(crate) inputs: Option<Vec<DocumentDigest>>,
}

impl Use {
    /// Cards that are busy all the time.
    pub(crate) fn of(from: Timestamp, seconds: i64, cards: u32) -> Self {
        Self {
            from,
            to: from.after(seconds),
            cards,
            gpu_seconds: seconds * i64::from(cards),
            run: None,
            util_bp: None,
            export: None,
            energy_wh: None,
            devices: None,
            inputs: None,
        }
    }
}

pub(crate) struct Town {
    pub(crate) exchange: Exchange,
    funder: Who,
    /// By its provider's name.
    stalls: BTreeMap<String, Stall>,
    /// Who sells.
    sellers: BTreeMap<OrderId, String>,
    programmes: Vec<String>,
}

impl Town {
    pub(crate) fn open() -> Self {
        Self::named(ORIGIN, 0)
    }

    /// Another town.
    pub(crate) fn named(origin: &str, salts: u64) -> Self {
        let mut exchange = Exchange::named(origin, salts, time(START));
        let funder = exchange.admit("a funder", &["funder", "finance"]);
        let open = json!({ "fund": FUND, "funder": FUNDER });
        exchange.done(funder, Kind::OpenFund, &open);
        let fill = json!({ "fund": FUND, "fen": 1_000_000_000_000_i64 });
        exchange.done(funder, Kind::AppropriateFund, &fill);
        let mut town = Self {
            exchange,
            funder,
            stalls: BTreeMap::new(),
            sellers: BTreeMap::new(),
            programmes: Vec::new(),
        };
        town.enact(
            "town-compute",
            "scheme = \"compute\"\nbase = { of = [\"metered\"] }",
        );
        town
    }

    pub(crate) fn enact(&mut self, id: &str, rest: &str) {
        if self.programmes.iter().any(|known| known == id) {
            return;
        }
        let own = rest.contains("instrument = ");
        let instrument = if own { "" } else { INSTRUMENT };
        let toml = programme(id, &format!("{instrument}\n{rest}"));
        let enact = json!({ "toml": toml, "digest": document(&toml), "despite_status": true });
        let office = self.exchange.office;
        self.exchange.done(office, Kind::EnactProgramme, &enact);
        self.programmes.push(id.to_owned());
    }

    pub(crate) fn party(&mut self, name: &str) -> Who {
        self.exchange.member(name).0
    }

    /// Records a fact of a party.
    pub(crate) fn fact(&mut self, name: &str, fact: &str, value: &Value) {
        let party = self.party(name).0;
        self.exchange.fact(&format!("party/{party}"), fact, value);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.exchange.at
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.exchange.at = self.exchange.at.after(seconds);
    }

    /// Something happens that concerns nobody: the trail's time moves on.
    pub(crate) fn tick(&mut self) {
        self.exchange.admit("somebody", &["buyer"]);
    }

    /// A provider's site: where, how many cards stand there, how many of them are shared from a time on.
    pub(crate) fn stall(
        &mut self,
        seller: &str,
        (region, stand, shared): (&str, u32, u32),
        from: Timestamp,
    ) -> SiteId {
        let (who, capacity) = (self.party(seller), signer(&format!("capacity of {seller}")));
        self.exchange.register_key(who, KeyUse::Capacity, &capacity);
        let register = json!({
            "provider": who.0, "region": region, "capacity_kid": capacity.public().kid(),
            "hardware": [{ "gpu_model": CARD, "gpus": stand }],
        });
        let registered = self.exchange.done(who, Kind::RegisterSite, &register);
        let site = registered.found.site.unwrap();
        let share = CapacityShare {
            aud: self.exchange.origin.clone(),
            site,
            gpu_model: card(),
            gpus: shared,
            from,
            to: time(TO),
        };
        let share = json!({ "jws": receipt::sign(&share, &capacity) });
        self.exchange.done(who, Kind::ShareCapacity, &share);
        let offers = BTreeMap::new();
        let cards = shared;
        self.stalls.insert(
            seller.to_owned(),
            Stall {
                site,
                cards,
                offers,
            },
        );
        site
    }

    fn offer(&mut self, seller: &str, price: i64) -> String {
        if !self.stalls.contains_key(seller) {
            self.stall(seller, ("310000", CARDS, CARDS), time(FROM));
        }
        let who = self.party(seller);
        let stall = self.stalls.get_mut(seller).unwrap();
        if let Some(offer) = stall.offers.get(&price) {
            return offer.clone();
        }
        let publish = json!({
            "site": stall.site, "gpu_model": CARD, "billing": "metered", "price_fen": price,
        });
        let offer = self.exchange.done(who, Kind::PublishOffer, &publish);
        let offer = offer.found.offer.unwrap().to_string();
        stall.offers.insert(price, offer.clone());
        offer
    }

    /// A seller's first offer, before anybody orders.
    pub(crate) fn offer_of(&mut self, seller: &str) {
        self.offer(seller, PRICE);
    }

    pub(crate) fn voucher(&mut self, holder: &str, programme: &str, face: i64) -> Value {
        let holder = self.party(holder).0;
        let issue = json!({ "programme": programme, "holder": holder, "face_fen": face });
        let office = self.exchange.office;
        let issued = self.exchange.done(office, Kind::IssueVoucher, &issue);
        json!(issued.found.voucher.unwrap())
    }

    pub(crate) fn order(&mut self, buyer: &str, seller: &str) -> OrderId {
        self.order_at(PRICE, buyer, seller)
    }

    /// An order at a price, on a voucher of its own.
    pub(crate) fn order_at(&mut self, price: i64, buyer: &str, seller: &str) -> OrderId {
        let offer = self.offer(seller, price);
        let from = match self.stalls.get(seller) {
            Some(stall) if stall.cards < CARDS => self.now(),
            Some(_) | None => time(FROM),
        };
        let segments = json!([{ "offer": offer, "from": from, "to": TO }]);
        self.place((buyer, seller), "town-compute", segments)
    }

    pub(crate) fn place(
        &mut self,
        (buyer, seller): (&str, &str),
        programme: &str,
        segments: Value,
    ) -> OrderId {
        let voucher = self.voucher(buyer, programme, FACE);
        let (buyer, who) = (self.party(buyer), self.party(seller));
        let claim = json!({ "voucher": voucher, "hold_fen": FACE });
        let place = json!({ "seller": who.0, "segments": segments, "claims": [claim] });
        let placed = self.exchange.done(buyer, Kind::PlaceOrder, &place);
        let order = placed.found.order.unwrap();
        self.sellers.insert(order, seller.to_owned());
        order
    }

    fn seller(&mut self, order: OrderId) -> (String, Who) {
        let name = self.sellers[&order].clone();
        let who = self.party(&name);
        (name, who)
    }

    /// Meters as much in the last second as earns so much, in hundreds of fen.
    pub(crate) fn earn(&mut self, order: OrderId, fen: i64) {
        let cards = u32::try_from(fen / 100).unwrap();
        let used = Use::of(self.now().after(-1), 1, cards);
        self.meter(order, used);
    }

    /// An order that earns so much at once.
    pub(crate) fn trade(&mut self, buyer: &str, seller: &str, fen: i64) -> OrderId {
        let order = self.order(buyer, seller);
        self.earn(order, fen);
        order
    }

    pub(crate) fn meter(&mut self, order: OrderId, used: Use) -> Entry {
        self.exchange.until(used.to);
        let (seller, who) = self.seller(order);
        let chain = self.exchange.book.chain(order, who.0);
        let (seq, prev) = (chain.next(), chain.head());
        let gpu_seconds = GpuSeconds::new(used.gpu_seconds).unwrap();
        let run = used.run.unwrap_or_else(|| format!("slurm:{order}/{seq}"));
        let claims = ComputeUsage {
            iss: who.0,
            aud: self.exchange.origin.clone(),
            sub: order,
            seq,
            prev,
            jti: Jti { order, seq },
            iat: self.now(),
            kind: receipt::Kind::Usage,
            corrects: None,
            site: self.stalls[&seller].site,
            gpu_model: card(),
            gpu_count: used.cards,
            start: used.from,
            end: used.to,
            gpu_seconds,
            jobs: vec![Job {
                run,
                state: "COMPLETED".to_owned(),
                gpu_seconds,
            }],
            inputs: used.inputs,
            export: used.export,
            energy_wh: used.energy_wh,
            util_bp: used.util_bp.map(|bp| BasisPoints::new(bp).unwrap()),
            devices: used.devices,
        };
        let jws = receipt::sign(&claims, &signer(&format!("receipt of {seller}")));
        self.exchange
            .done(who, Kind::AcceptReceipt, &json!({ "jws": jws }))
    }

    /// An order of a dataset of a vendor's own, and its manifest.
    pub(crate) fn data_order(
        &mut self,
        buyer: &str,
        vendor: &str,
        price: i64,
    ) -> (OrderId, DocumentDigest) {
        let rules = "scheme = \"data\"\nbase = { of = [\"contract\"] }\ndata = { acceptance = \"signed_or_deemed\", acceptance_days = 10, use_proof = \"compute_receipt\", holdback_bp = 2000 }";
        self.enact("town-data", rules);
        let who = self.party(vendor);
        let manifest = document(&format!("a manifest at {}", self.exchange.book.size));
        let publish = json!({
            "version": "1.0", "manifest": manifest, "bytes": CONTENT.len(), "price_fen": price,
            "licence": document("training, no resale"),
        });
        self.exchange.done(who, Kind::PublishDataset, &publish);
        (self.license((buyer, vendor), manifest), manifest)
    }

    /// An order of a version that is published.
    pub(crate) fn license(&mut self, sides: (&str, &str), manifest: DocumentDigest) -> OrderId {
        let segments = json!([{ "dataset": manifest, "from": self.now(), "to": TO }]);
        self.place(sides, "town-data", segments)
    }

    /// The vendor delivers; returns what only a holder of the bytes can say.
    pub(crate) fn deliver(&mut self, (order, digest): (OrderId, DocumentDigest)) -> Sha256Hash {
        let (vendor, who) = self.seller(order);
        let nonce = Nonce::new([7; 16]);
        let possession = Sha256Hash::of(&[nonce.bytes(), CONTENT].concat());
        let claims = DataDelivery {
            iss: who.0,
            aud: self.exchange.origin.clone(),
            sub: order,
            seq: 0,
            prev: None,
            jti: Jti { order, seq: 0 },
            iat: self.now(),
            dataset: self.exchange.book.version(digest).unwrap().dataset,
            version: "1.0".to_owned(),
            digest,
            bytes: CONTENT.len() as u64,
            delivered_at: self.now(),
            ranges: document("all"),
            nonce,
            possession_hash: Sha256Hash::of(possession.bytes()),
        };
        let jws = receipt::sign(&claims, &signer(&format!("receipt of {vendor}")));
        self.exchange
            .done(who, Kind::AcceptReceipt, &json!({ "jws": jws }));
        possession
    }

    /// The buyer signs for a delivery.
    pub(crate) fn accept(
        &mut self,
        buyer: &str,
        (order, digest): (OrderId, DocumentDigest),
        possession: Sha256Hash,
    ) {
        let who = self.party(buyer);
        let claims = DataAcceptance {
            iss: who.0,
            aud: self.exchange.origin.clone(),
            sub: order,
            seq: 0,
            prev: None,
            jti: Jti { order, seq: 0 },
            iat: self.now(),
            digest,
            verdict: Verdict::Accepted,
            possession,
        };
        let jws = receipt::sign(&claims, &signer(&format!("acceptance of {buyer}")));
        self.exchange
            .done(who, Kind::GiveAcceptance, &json!({ "jws": jws }));
    }

    /// The buyer's silence counts.
    pub(crate) fn deem(&mut self, order: OrderId) {
        let operator = self.exchange.operator;
        self.exchange
            .done(operator, Kind::DeemAcceptance, &json!({ "order": order }));
    }

    /// A buyer, vendor and dataset whose delivery was accepted now.
    pub(crate) fn accepted(
        &mut self,
        buyer: &str,
        vendor: &str,
        price: i64,
    ) -> (OrderId, DocumentDigest) {
        let data = self.data_order(buyer, vendor, price);
        let possession = self.deliver(data);
        self.accept(buyer, data, possession);
        data
    }

    /// Pays a seller what it has earned by the end of a month, when the days of dispute are over.
    pub(crate) fn pay(&mut self, seller: &str, month: &str) {
        let (party, operator) = (self.id(seller), self.exchange.operator);
        let close = json!({ "party": party, "period": month });
        self.exchange.done(operator, Kind::CloseStatement, &close);
        let instruct = json!({ "fund": FUND, "parties": [party], "file": document(month) });
        let instructed = self
            .exchange
            .done(self.funder, Kind::InstructPayout, &instruct);
        let execute = json!({ "batch": instructed.found.batch.unwrap() });
        self.exchange
            .done(self.funder, Kind::ExecutePayout, &execute);
    }

    /// A provider's receipt key turns out to have been in the wrong hands since a moment, and the office decides on what it has
    /// earned since: all of it is restored or denied.
    pub(crate) fn compromise(&mut self, seller: &str, since: Timestamp, restored: bool) {
        let kid = signer(&format!("receipt of {seller}")).public().kid();
        let revoke = json!({ "kid": kid, "reason": "compromised", "compromised_since": since });
        let operator = self.exchange.operator;
        let revoked = self.exchange.done(operator, Kind::RevokeKey, &revoke);
        let case = revoked.found.case.unwrap();
        let decide = json!({ "case": case, "approved": restored, "basis": document("a ruling") });
        let office = self.exchange.office;
        self.exchange.done(office, Kind::DecideCase, &decide);
    }

    /// Takes a part of what was paid for an order back.
    pub(crate) fn claw_back(&mut self, order: OrderId, share_bp: i64) {
        let clawback = json!({
            "order": order, "claim": 0, "cause": "relocation", "share_bp": share_bp,
            "basis": document("a decision to take back"),
        });
        self.exchange
            .done(self.funder, Kind::MakeClawback, &clawback);
    }

    pub(crate) fn id(&mut self, name: &str) -> PartyId {
        self.party(name).0
    }

    /// Names a document about an order, as the office.
    pub(crate) fn document(&mut self, order: OrderId, kind: &str, name: &str) -> u64 {
        let lines = if kind == "other" {
            json!([])
        } else {
            json!([["gpu_rent", 100]])
        };
        let record = json!({
            "order": order, "kind": kind, "digest": document(name), "lines": lines,
        });
        let office = self.exchange.office;
        self.exchange
            .done(office, Kind::RecordEvidence, &record)
            .seq
    }

    pub(crate) fn study(&self) -> Study {
        let mut study = Study::new();
        self.exchange
            .entries
            .iter()
            .for_each(|entry| study.take(entry));
        assert_eq!(study.stopped(), None);
        study
    }
}

/// A town's trail in a folder, and the policy to check it by.
pub(crate) struct Disk(TempDir);

impl Disk {
    pub(crate) fn of(town: &Town) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let trail = Trail::named(&town.exchange.origin, &town.exchange.entries);
        for (name, bytes) in trail.0 {
            let file = disk.file(&name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        fs::write(disk.policy(), policy_of(&town.exchange.origin)).unwrap();
        disk
    }

    pub(crate) fn trail(&self) -> PathBuf {
        self.0.path().join("trail")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.trail().join(name)
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.0.path().join("policy.txt")
    }
}

/// What `quan-verify` prints for these words, and its exit status.
pub(crate) fn quan_verify(words: &[&OsStr]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quan-verify"));
    let output = command.args(words).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn card() -> GpuModel {
    GpuModel::parse(CARD).unwrap()
}
