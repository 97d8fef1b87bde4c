//! Files of a version: whole, in ranges, by link and by the hub's paths; what went out becomes one delivery.

use serde_json::json;
use verifier::dataset::{FileLine, Manifest};
use verifier::id::{DocumentDigest, Sha256Hash};

use super::stage::{Stage, contract};
use crate::support::{Client, Database, Exchange, Fetched, Member, text};

on_both!(
    nobody_downloads_without_an_order_and_hears_what_to_do,
    a_range_beyond_the_end_is_416_with_the_length,
    a_link_dies_on_time_and_names_no_other_file,
    eight_ranges_make_one_whole_delivery_and_one_receipt,
    a_repository_is_what_the_hub_s_client_expects,
    what_is_damaged_is_neither_sold_nor_sent,
);

const CONTENT: &[u8] = b"one line of a corpus\nand another\n";

/// A version with two files, stored plain, listed and ordered.
struct Shop {
    exchange: Exchange,
    buyer: Member,
    stranger: Member,
    vendor: String,
    manifest: DocumentDigest,
    order: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Shop {
    fn open(database: &Database) -> Self {
        let stage = Stage::open(database, "2026-01-05T00:00:00Z");
        stage.fund("w12-city", "f-finance");
        stage.enact("w12-data");
        let (vendor, stranger) = (
            stage.exchange.member(&["vendor"]),
            stage.exchange.member(&["buyer"]),
        );
        let sha256 = *Sha256Hash::of(CONTENT).bytes();
        let file = |path: &str| FileLine {
            sha256,
            bytes: CONTENT.len() as u64,
            path: path.to_owned(),
        };
        let manifest = Manifest::new(vec![file("a.txt"), file("b/c d.txt")]).unwrap();
        let digest = manifest.digest();
        let published = json!({
            "version": "1.0.0", "manifest": digest, "bytes": manifest.bytes(), "price_fen": 50_000_000,
            "licence": DocumentDigest::of(b"licence"),
        });
        vendor.client.done("/v1/datasets", &published);
        let assessed =
            json!({ "manifest": digest, "passed": true, "report": DocumentDigest::of(b"report") });
        stage.office.client.done("/v1/datasets/assess", &assessed);
        store(&stage.exchange, database, &manifest, &vendor.party);
        let contract = contract("w12", 50_000_000);
        let voucher = stage.voucher(&stage.buyer, "w12-data", &contract);
        let now = stage.exchange.clock.now().unwrap();
        let asked = json!({
            "seller": vendor.party, "contract": contract,
            "segments": [{ "dataset": digest, "from": now, "to": now.after(30 * 86_400) }],
            "claims": [{ "voucher": voucher.id, "hold_fen": voucher.face }],
        });
        let placed = stage.buyer.client.done("/v1/orders", &asked);
        let order = text(&placed["found"]["order"]);
        Self {
            exchange: stage.exchange,
            buyer: stage.buyer,
            stranger,
            vendor: vendor.party,
            manifest: digest,
            order,
        }
    }

    fn path(&self, file: &str) -> String {
        format!("/v1/files/{}/{file}", self.manifest)
    }

    fn deliveries(&self) -> serde_json::Value {
        let path = format!("/v1/orders/{}/deliveries", self.order);
        let answer = self.buyer.client.get(&path);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["items"][0].clone()
    }

    fn part(&self, range: &str) -> Fetched {
        let path = self.path("b/c%20d.txt");
        self.buyer.client.fetch(&path, &[("range", range)])
    }
}

/// Puts the rows and the bytes where an upload puts them.
fn store(exchange: &Exchange, database: &Database, manifest: &Manifest, vendor: &str) {
    let digest = manifest.digest();
    let binary = |bytes: &[u8]| {
        if database.url().starts_with("sqlite:") {
            format!("X'{}'", hex(bytes))
        } else {
            format!("'\\x{}'", hex(bytes))
        }
    };
    database.execute(&format!(
        "INSERT INTO own_handles VALUES ('corpus', '{vendor}')"
    ));
    database.execute("INSERT INTO own_listings VALUES ('lst-1', 'corpus', 'lines', NULL, '{}', 0)");
    database.execute(&format!(
        "INSERT INTO own_versions VALUES ('{digest}', 'lst-1', '1.0.0', '{{}}', 'submitted', 1)"
    ));
    for file in manifest.files() {
        let (sha256, bytes) = (binary(&file.sha256), file.bytes);
        let path = &file.path;
        database.execute(&format!(
            "INSERT INTO own_files VALUES ('{digest}', '{path}', {sha256}, {bytes})"
        ));
    }
    let sha256 = binary(Sha256Hash::of(CONTENT).bytes());
    let bytes = CONTENT.len();
    database.execute(&format!(
        "INSERT INTO own_blobs VALUES ({sha256}, {bytes}, 'content', 0, 'stored', 0)"
    ));
    let folder = exchange.data().join("blobs");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("content"), CONTENT).unwrap();
}

fn nobody_downloads_without_an_order_and_hears_what_to_do(database: &Database) {
    let shop = Shop::open(database);
    let path = shop.path("a.txt");
    let refused = shop.stranger.client.get(&path);
    assert_eq!(
        (refused.status, refused.code()),
        (403, "delivery.entitlement")
    );
    assert!(refused.text.contains("/v1/orders"), "{}", refused.text);
    assert_eq!(shop.exchange.nobody().get(&path).status, 401);
    let whole = shop.buyer.client.fetch(&path, &[]);
    assert_eq!((whole.status, whole.bytes.as_slice()), (200, CONTENT));
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(whole.header("repr-digest").starts_with("sha-256=:"));
    let known = [("if-none-match", whole.header("etag"))];
    assert_eq!(shop.buyer.client.fetch(&path, &known).status, 304);
    let other = [("if-match", "\"other\"")];
    assert_eq!(shop.buyer.client.fetch(&path, &other).status, 412);
    assert_eq!(shop.buyer.client.get(&shop.path("c.txt")).status, 404);
}

fn a_range_beyond_the_end_is_416_with_the_length(database: &Database) {
    let shop = Shop::open(database);
    let beyond = shop.part("bytes=33-");
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, "bytes */33")
    );
    let problem = String::from_utf8_lossy(&beyond.bytes);
    assert!(problem.contains(r#""delivery.range""#), "{problem}");
    let tail = shop.part("bytes=-4");
    assert_eq!(
        (tail.status, tail.header("content-range")),
        (206, "bytes 29-32/33")
    );
    assert_eq!(tail.bytes, CONTENT[29..]);
    assert_eq!(shop.part("bytes=0-1,4-5").status, 200);
}

fn a_link_dies_on_time_and_names_no_other_file(database: &Database) {
    let shop = Shop::open(database);
    let asked = json!({ "manifest": shop.manifest, "path": "b/c d.txt" });
    let made = shop.buyer.client.post("/v1/links", &asked);
    assert_eq!(made.status, 201, "{}", made.text);
    let refused = shop.stranger.client.post("/v1/links", &asked);
    assert_eq!(refused.code(), "delivery.entitlement");
    let url = text(&made.body["url"]);
    let path = &url[url.find("/v1/links").unwrap()..];
    let nobody = shop.exchange.nobody();
    assert_eq!(nobody.fetch(path, &[]).bytes, CONTENT);
    assert_eq!(
        nobody.get(&path.replace("b/c%20d.txt", "a.txt")).status,
        404
    );
    shop.exchange.clock.advance(900);
    assert_eq!(nobody.get(path).code(), "delivery.link-expired");
}

fn eight_ranges_make_one_whole_delivery_and_one_receipt(database: &Database) {
    let shop = Shop::open(database);
    // Two files of one content are one: each byte has to go out once.
    for part in 0..8 {
        assert_eq!(settled(&shop, part * 4)["state"], "under-way");
        let (first, last) = (part * 4, part * 4 + 3);
        assert_eq!(shop.part(&format!("bytes={first}-{last}")).status, 206);
    }
    assert_eq!(settled(&shop, 32)["missing_bytes"], 1);
    assert_eq!(shop.part("bytes=32-").status, 206);
    let delivered = settled(&shop, 33);
    assert_eq!(delivered["state"], "delivered", "{delivered}");
    let ranges = format!("{}  0  32\n", hex(Sha256Hash::of(CONTENT).bytes()));
    assert_eq!(delivered["delivered_ranges"], ranges.as_str());
    assert_eq!(shop.part("bytes=0-3").status, 206);
    assert_eq!(shop.deliveries()["entry"], delivered["entry"]);
}

/// What went out, when so many bytes are kept: they are kept after the answer has gone.
fn settled(shop: &Shop, bytes: u64) -> serde_json::Value {
    for _ in 0..500 {
        let item = shop.deliveries();
        let missing = item["missing_bytes"].as_u64().unwrap();
        let waits = missing == 0 && item["state"] == "under-way";
        if missing == 33 - bytes && !waits {
            return item;
        }
        std::thread::sleep(crate::support::process::A_MOMENT);
    }
    panic!("{}", shop.deliveries());
}

fn a_repository_is_what_the_hub_s_client_expects(database: &Database) {
    let shop = Shop::open(database);
    let nobody = shop.exchange.nobody();
    let info = nobody.get("/api/datasets/corpus/lines");
    assert_eq!(info.status, 200, "{}", info.text);
    let sha = text(&info.body["sha"]);
    let tree = nobody.get(&format!(
        "/api/datasets/corpus/lines/tree/{sha}?recursive=true"
    ));
    assert_eq!(tree.body[2]["path"], "b/c d.txt", "{}", tree.text);
    let resolve = |client: &Client, path: &str| {
        client.fetch(&format!("/datasets/corpus/lines/resolve/main/{path}"), &[])
    };
    let bought = resolve(&shop.buyer.client, "a.txt");
    assert_eq!((bought.status, bought.bytes.as_slice()), (200, CONTENT));
    assert_eq!(bought.header("x-repo-commit"), sha);
    let gated = resolve(&shop.stranger.client, "a.txt");
    assert_eq!(
        (gated.status, gated.header("x-error-code")),
        (403, "GatedRepo")
    );
    let missing = resolve(&shop.buyer.client, "lines.py");
    assert_eq!(
        (missing.status, missing.header("x-error-code")),
        (404, "EntryNotFound")
    );
    assert_eq!(
        resolve(&nobody, "a.txt").header("x-error-code"),
        "GatedRepo"
    );
    let none = nobody.fetch("/api/datasets/corpus/none", &[]);
    assert_eq!(
        (none.status, none.header("x-error-code")),
        (404, "RepoNotFound")
    );
}

fn what_is_damaged_is_neither_sold_nor_sent(database: &Database) {
    let shop = Shop::open(database);
    database.execute("UPDATE own_blobs SET state = 'damaged'");
    let buyer = &shop.buyer.client;
    let sent = buyer.get(&shop.path("a.txt"));
    assert_eq!((sent.status, sent.code()), (409, "dataset.unavailable"));
    let now = shop.exchange.clock.now().unwrap();
    let segment = json!({ "dataset": shop.manifest, "from": now, "to": now.after(86_400) });
    let asked = json!({
        "seller": shop.vendor, "contract": contract("w13", 50_000_000), "segments": [segment], "claims": [],
    });
    let sold = buyer.post("/v1/orders", &asked);
    assert_eq!((sold.status, sold.code()), (409, "dataset.unavailable"));
}
