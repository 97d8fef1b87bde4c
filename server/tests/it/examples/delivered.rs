//! From a download to a delivery that counts: sealed for the buyer, cut, damaged, withdrawn, recalled, accepted, used.

use serde_json::json;
use server::age::{Identity, Reader, sealed_bytes};
use std::fs;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};
use verifier::id::{DocumentDigest, Sha256Hash};

use super::shop::{CONTENT, RETENTION_DAYS, Shop, body};
use super::stage::FEN_A_SECOND;
use super::usage::{Receipted, Usage};
use crate::support::{Database, text};

on_both!(
    a_file_is_sealed_for_the_buyers_own_key_and_counts_as_delivered,
    a_delivery_that_misses_a_byte_is_not_signed,
    the_buyers_possession_is_the_one_the_receipt_committed_to,
    use_releases_the_holdback_of_what_was_downloaded,
    a_download_that_broke_goes_on_without_a_gap,
    a_vendor_withdraws_while_a_buyer_downloads_and_the_download_ends_well,
    a_withdrawn_version_stays_with_its_buyers_for_the_days_they_were_promised,
    a_recalled_version_is_nobodys_at_once,
    a_damaged_blob_cuts_the_answer_and_charges_nobody,
);

/// More than all buffers between a server and its client.
const LARGE_LINES: u64 = 500_000;

fn large() -> Vec<u8> {
    let lines =
        (0..LARGE_LINES).map(|n| format!("{:016x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    lines.collect::<String>().into_bytes()
}

fn a_file_is_sealed_for_the_buyers_own_key_and_counts_as_delivered(database: &Database) {
    let shop = Shop::open(database);
    let identity = Identity::new([9; 32]);
    let buyer = &shop.stage.buyer.client;
    let sealed = |query: &str| format!("{}?{query}", shop.path("a.txt"));
    for bad in ["recipient=", "recipient=age1", "recipient=AGE-SECRET-KEY-1"] {
        let refused = buyer.get(&sealed(bad));
        assert_eq!((refused.status, refused.code()), (400, "request.malformed"));
        assert!(refused.text.contains("age1…"), "{}", refused.text);
    }
    let recipient = format!("recipient={}", identity.recipient());
    let refused = shop.stranger.client.get(&sealed(&recipient));
    assert_eq!(refused.code(), "delivery.entitlement");
    let other = [("if-match", "\"other\"")];
    assert_eq!(buyer.fetch(&sealed(&recipient), &other).status, 412);
    // A range of what is sealed anew each time says nothing: the answer is the whole.
    let range = [("range", "bytes=1-2"), ("if-none-match", "*")];
    let got = buyer.fetch(&sealed(&recipient), &range);
    let length = sealed_bytes(CONTENT.len() as u64);
    assert_eq!((got.status, got.bytes.len() as u64), (200, length));
    assert_eq!(got.header("content-length"), length.to_string());
    assert_eq!(got.header("accept-ranges"), "none");
    assert!(got.header("content-disposition").ends_with("a.txt.age"));
    assert_eq!((got.header("etag"), got.header("repr-digest")), ("", ""));
    let mut plain = Vec::new();
    let mut reader = Reader::open(Cursor::new(&got.bytes), &identity).unwrap();
    reader.read_to_end(&mut plain).unwrap();
    assert_eq!(plain, CONTENT);
    assert_eq!(shop.settled(33)["state"], "delivered");
    // By the hub's path it is the same.
    let resolve = format!("/datasets/corpus/lines/resolve/main/a.txt?{recipient}");
    let got = buyer.fetch(&resolve, &[]);
    assert_eq!((got.status, got.bytes.len() as u64), (200, length));
}

fn a_delivery_that_misses_a_byte_is_not_signed(database: &Database) {
    let shop = Shop::open(database);
    assert_eq!(shop.part("bytes=0-31").status, 206);
    let item = shop.settled(32);
    assert_eq!(
        (&item["state"], &item["receipt"]),
        (&json!("under-way"), &json!(null))
    );
    // Who holds all but a byte accepts nothing, whatever it signs.
    let refused = shop.accept(Sha256Hash::of(CONTENT));
    assert_eq!(refused.code(), "receipt.delivery", "{}", refused.text);
    assert_eq!(shop.granted(), 0);
    assert_eq!(shop.part("bytes=32-32").status, 206);
    let item = shop.settled(33);
    assert_eq!(item["state"], "delivered");
    assert!(text(&item["receipt"]).starts_with("ey"));
}

fn the_buyers_possession_is_the_one_the_receipt_committed_to(database: &Database) {
    let shop = Shop::open(database);
    let delivered = shop.delivered();
    let guessed = shop.accept(Sha256Hash::of(CONTENT));
    assert_eq!(guessed.code(), "receipt.digest", "{}", guessed.text);
    assert_eq!(shop.granted(), 0);
    let accepted = shop.accept(shop.possession(&delivered["nonce"]));
    assert_eq!(accepted.status, 201, "{}", accepted.text);
    assert_eq!(Receipted(accepted.body).deltas(), [12_000_000]);
    assert_eq!(shop.deliveries()["state"], "accepted");
    shop.stage.audit();
}

fn use_releases_the_holdback_of_what_was_downloaded(database: &Database) {
    let mut shop = Shop::open(database);
    let delivered = shop.delivered();
    let accepted = shop.accept(shop.possession(&delivered["nonce"]));
    assert_eq!(accepted.status, 201, "{}", accepted.text);
    let (stage, manifest) = (&mut shop.stage, shop.manifest.digest());
    stage.fund("w13-city", "f-finance");
    stage.enact("w13-capacity");
    let now = stage.exchange.clock.now().unwrap();
    let segments =
        json!([{ "offer": stage.offer(FEN_A_SECOND), "from": now, "to": now.after(30 * 86_400) }]);
    let claims = json!([{ "programme": "w13-capacity", "hold_fen": 1_000 }]);
    let compute = stage.order(&segments, &claims, None).id;
    let mut usage = Usage::hour("2026-01-06T00:00:00Z", 3_600);
    usage.inputs = Some(vec![manifest]);
    let Receipted(mut used) = stage.used(compute, &usage);
    let proven = used["found"]["proven"][0].take();
    assert_eq!(proven["order"], shop.order.as_str());
    assert_eq!(Receipted(json!({ "found": proven })).deltas(), [3_000_000]);
    assert_eq!(shop.granted(), 15_000_000);
    shop.stage.audit();
}

fn a_download_that_broke_goes_on_without_a_gap(database: &Database) {
    let content = large();
    let shop = Shop::selling(database, &content);
    let mut cut = shop.begin("a.txt");
    let mut some = vec![0; 100_000];
    cut.read_exact(&mut some).unwrap();
    let head = some.windows(4).position(|four| four == b"\r\n\r\n");
    let held = some.split_off(head.unwrap() + 4);
    assert!(content.starts_with(&held));
    drop(cut);
    let rest = shop.part(&format!("bytes={}-", held.len()));
    assert!(
        [held, rest.bytes].concat() == content,
        "the bytes are not the file's"
    );
    assert_eq!(shop.settled(content.len() as u64)["state"], "delivered");
}

fn a_vendor_withdraws_while_a_buyer_downloads_and_the_download_ends_well(database: &Database) {
    let content = large();
    let shop = Shop::selling(database, &content);
    let under_way = shop.begin("a.txt");
    withdraw(&shop);
    assert!(body(under_way) == content, "the bytes are not the file's");
    assert_eq!(shop.settled(content.len() as u64)["state"], "delivered");
}

fn withdraw(shop: &Shop) {
    let sold = shop.stage.exchange.nobody().get("/v1/datasets").body["items"][0].take();
    let withdrawn = json!({ "dataset": sold["dataset"] });
    shop.vendor.client.done("/v1/datasets/withdraw", &withdrawn);
}

fn a_withdrawn_version_stays_with_its_buyers_for_the_days_they_were_promised(database: &Database) {
    let shop = Shop::open(database);
    withdraw(&shop);
    let (buyer, path) = (&shop.stage.buyer.client, shop.path("a.txt"));
    assert_eq!(buyer.get(&path).status, 200);
    shop.stage
        .exchange
        .clock
        .advance(RETENTION_DAYS * 86_400 - 1);
    assert_eq!(buyer.get(&path).status, 200);
    let link = link(&shop);
    shop.stage.exchange.clock.advance(1);
    let over = buyer.get(&path);
    assert_eq!((over.status, over.code()), (403, "delivery.entitlement"));
    assert!(over.text.contains("2026-01-15T00:00:00Z"), "{}", over.text);
    let over = shop.stage.exchange.nobody().get(&link);
    assert_eq!((over.status, over.code()), (403, "delivery.entitlement"));
    let gated = buyer.fetch("/datasets/corpus/lines/resolve/main/a.txt", &[]);
    assert_eq!(gated.header("x-error-code"), "GatedRepo");
    assert_eq!(shop.vendor.client.get(&path).status, 200);
}

/// A link that the buyer makes, without the server's address.
fn link(shop: &Shop) -> String {
    let asked = json!({ "manifest": shop.digest(), "path": "a.txt" });
    let made = shop.stage.buyer.client.post("/v1/links", &asked);
    let url = text(&made.body["url"]);
    let path = url.find("/v1/links").unwrap();
    url[path..].to_owned()
}

fn a_recalled_version_is_nobodys_at_once(database: &Database) {
    let shop = Shop::open(database);
    let (buyer, link) = (&shop.stage.buyer.client, link(&shop));
    let nobody = shop.stage.exchange.nobody();
    assert_eq!(nobody.get(&link).status, 200);
    let notice = DocumentDigest::of(b"a person asked to be forgotten");
    let recall = json!({ "manifest": shop.digest(), "notice": notice });
    shop.stage
        .office
        .client
        .done("/v1/datasets/recall", &recall);
    for refused in [buyer.get(&shop.path("a.txt")), nobody.get(&link)] {
        assert_eq!(
            (refused.status, refused.code()),
            (403, "delivery.entitlement")
        );
        assert!(refused.text.contains("recalled"), "{}", refused.text);
    }
}

fn a_damaged_blob_cuts_the_answer_and_charges_nobody(database: &Database) {
    let content = large();
    let shop = Shop::selling(database, &content);
    let blob = the_file(&shop.stage.exchange.data().join("blobs"));
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let came = body(shop.begin("a.txt"));
    assert!(came.len() < content.len(), "{}", came.len());
    assert!(content.starts_with(&came), "what came is not the file's");
    let (buyer, path) = (&shop.stage.buyer.client, shop.path("a.txt"));
    shop.until("the mark", || buyer.by("HEAD", &path).status == 409);
    assert_eq!(buyer.get(&path).code(), "dataset.unavailable");
    let item = shop.deliveries();
    assert_eq!(
        (&item["state"], &item["receipt"]),
        (&json!("under-way"), &json!(null))
    );
    assert!(item["missing_bytes"].as_u64().unwrap() >= (content.len() / 2) as u64);
    assert_eq!(
        shop.accept(Sha256Hash::of(&came)).code(),
        "receipt.delivery"
    );
    assert_eq!(shop.granted(), 0);
}

/// The only file below a folder.
fn the_file(folder: &Path) -> PathBuf {
    let mut items = fs::read_dir(folder).unwrap();
    let path = items.next().unwrap().unwrap().path();
    if path.is_dir() { the_file(&path) } else { path }
}
