//! A dataset: delivered, accepted, used, and found to be worth less (W12).

use serde_json::json;
use std::io::{Cursor, Read as _};
use verifier::id::{DatasetId, DocumentDigest, OrderId, PartyId, Sha256Hash};
use verifier::receipt::{self, DataDelivery, Jti, KeyUse, Nonce};
use verifier::signature::Signer;

use super::shop::accept;
use super::stage::{FEN_A_SECOND, Stage, contract};
use super::usage::{Receipted, Usage};
use crate::support::{Database, Member, ORIGIN, register_key, text};

on_both!(
    w12_use_releases_what_was_held_back,
    w12_a_defect_without_use_and_then_use,
    w12_a_defect_after_use,
);

const CONTENT: &[u8] = b"one line of a corpus\n";

/// An order of a dataset for 500,000 yuan, delivered and accepted, and an order of GPU time of the same buyer.
struct Bought {
    stage: Stage,
    order: OrderId,
    manifest: DocumentDigest,
    compute: OrderId,
}

fn w12_use_releases_what_was_held_back(database: &Database) {
    let mut bought = bought(database);
    assert_eq!(bought.use_it(), [3_000_000]);
    bought.pack();
    bought.end(15_000_000);
}

fn w12_a_defect_without_use_and_then_use(database: &Database) {
    let mut bought = bought(database);
    let defect = bought.reduce_price();
    assert_eq!(
        (defect.of("grant"), defect.deltas()),
        (vec![10_800_000], vec![-1_200_000])
    );
    assert_eq!(bought.use_it(), [2_700_000]);
    bought.end(13_500_000);
}

fn w12_a_defect_after_use(database: &Database) {
    let mut bought = bought(database);
    assert_eq!(bought.use_it(), [3_000_000]);
    let defect = bought.reduce_price();
    assert_eq!(
        (defect.of("grant"), defect.deltas()),
        (vec![13_500_000], vec![-1_500_000])
    );
    bought.end(13_500_000);
}

impl Bought {
    /// A usage receipt names the dataset's manifest; returns what the data order is granted more for it.
    fn use_it(&mut self) -> Vec<i64> {
        let mut usage = Usage::hour("2026-01-06T00:00:00Z", 3_600);
        usage.inputs = Some(vec![self.manifest]);
        let Receipted(mut accepted) = self.stage.used(self.compute, &usage);
        let proven = accepted["found"]["proven"][0].take();
        assert_eq!(proven["order"], json!(self.order));
        Receipted(json!({ "found": proven })).deltas()
    }

    /// The evidence of a version that is known by its digest alone: what was signed of it, also the use, and what is not kept here.
    fn pack(&self) {
        let path = format!("/v1/orders/{}/pack.zip", self.order);
        let fetched = self.stage.buyer.client.fetch(&path, &[]);
        assert_eq!(fetched.status, 200);
        let mut archive = zip::ZipArchive::new(Cursor::new(fetched.bytes)).unwrap();
        let mut readme = String::new();
        let mut paper = archive.by_name("README.txt").unwrap();
        paper.read_to_string(&mut readme).unwrap();
        drop(paper);
        assert!(readme.contains(&format!("manifest.txt  {}", self.manifest)));
        let names: Vec<String> = archive
            .file_names()
            .map(|name| name.unwrap().into_owned())
            .collect();
        for end in [
            "-delivery.jws",
            "-acceptance.jws",
            "-use.jws",
            "-order.placed.tlog-proof",
        ] {
            let found = names.iter().filter(|name| name.ends_with(end));
            assert_eq!(found.count(), 1, "{end}: {names:?}");
        }
    }

    /// The office has upheld a defect: the price is 450,000 yuan.
    fn reduce_price(&self) -> Receipted {
        let reduced = DocumentDigest::of(b"price reduced after a defect");
        let asked = json!({
            "order": self.order, "kind": "contract", "digest": reduced, "lines": [["dataset", 45_000_000]],
        });
        Receipted(self.stage.office.client.done("/v1/evidence", &asked))
    }

    fn end(self, granted: i64) {
        let path = format!("/v1/orders/{}", self.order);
        let order = self.stage.buyer.client.get(&path).body;
        assert_eq!(order["claims"][0]["granted_fen"], granted);
        let hold = format!("hold/{}/0/w12-city", self.order);
        self.stage.stands(&[(hold, 15_000_000 - granted)]);
        self.stage.audit();
    }
}

fn bought(database: &Database) -> Bought {
    let stage = Stage::open(database, "2026-01-05T00:00:00Z");
    stage.fund("w12-city", "f-finance");
    stage.fund("w13-city", "f-finance");
    stage.enact("w12-data");
    // Any programme for compute: use is proven by an ordinary receipt.
    stage.enact("w13-capacity");
    let vendor = stage.exchange.member(&["vendor"]);
    let signers = [Signer::from_seed(&[5; 32]), Signer::from_seed(&[6; 32])];
    register_key(&stage.exchange, &vendor, KeyUse::Receipt, &signers[0]);
    register_key(
        &stage.exchange,
        &stage.buyer,
        KeyUse::Acceptance,
        &signers[1],
    );
    let (dataset, manifest) = publish(&vendor);
    let contract = contract("w12", 50_000_000);
    let voucher = stage.voucher(&stage.buyer, "w12-data", &contract);
    assert_eq!(voucher.face, 15_000_000);
    let now = stage.exchange.clock.now().unwrap();
    let asked = json!({
        "seller": vendor.party, "contract": contract,
        "segments": [{ "dataset": manifest, "from": now, "to": now.after(30 * 86_400) }],
        "claims": [{ "voucher": voucher.id, "hold_fen": voucher.face }],
    });
    let placed = stage.buyer.client.done("/v1/orders", &asked);
    let order = text(&placed["found"]["order"]).parse().unwrap();
    let possession = deliver(&stage, (&vendor, &signers[0]), (dataset, manifest), order);
    let accepted = accept(&stage, &signers[1], (manifest, possession), order);
    assert_eq!(accepted.status, 201, "{}", accepted.text);
    assert_eq!(Receipted(accepted.body).deltas(), [12_000_000]);
    let segments =
        json!([{ "offer": stage.offer(FEN_A_SECOND), "from": now, "to": now.after(30 * 86_400) }]);
    let claims = json!([{ "programme": "w13-capacity", "hold_fen": 1_000 }]);
    let compute = stage.order(&segments, &claims, None).id;
    Bought {
        stage,
        order,
        manifest,
        compute,
    }
}

fn publish(vendor: &Member) -> (DatasetId, DocumentDigest) {
    let manifest = DocumentDigest::of(b"the manifest of a corpus");
    let asked = json!({
        "version": "1.0", "manifest": manifest, "bytes": CONTENT.len(), "price_fen": 50_000_000,
        "licence": DocumentDigest::of(b"training, no resale"),
    });
    let published = vendor.client.done("/v1/datasets", &asked);
    let dataset = text(&published["found"]["dataset"]).parse().unwrap();
    (dataset, manifest)
}

/// The vendor says what it served; returns what only a holder of the bytes can say.
fn deliver(
    stage: &Stage,
    (vendor, signer): (&Member, &Signer),
    (dataset, digest): (DatasetId, DocumentDigest),
    order: OrderId,
) -> Sha256Hash {
    let (now, nonce) = (stage.exchange.clock.now().unwrap(), Nonce::new([7; 16]));
    let possession = Sha256Hash::of(&[nonce.bytes(), CONTENT].concat());
    let claims = DataDelivery {
        iss: PartyId::parse(&vendor.party).unwrap(),
        aud: ORIGIN.to_owned(),
        sub: order,
        seq: 0,
        prev: None,
        jti: Jti { order, seq: 0 },
        iat: now,
        dataset,
        version: "1.0".to_owned(),
        digest,
        bytes: CONTENT.len() as u64,
        delivered_at: now,
        ranges: DocumentDigest::of(b"all"),
        nonce,
        possession_hash: Sha256Hash::of(possession.bytes()),
    };
    let jose = [("content-type", "application/jose")];
    let delivery = receipt::sign(&claims, signer);
    let answer = vendor.client.send("/v1/receipts", &delivery, &jose);
    assert_eq!(answer.status, 201, "{}", answer.text);
    possession
}
