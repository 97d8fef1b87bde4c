//! Files of a version: whole, in ranges, by link and by the hub's paths; what went out becomes one delivery.

use serde_json::json;
use verifier::id::Sha256Hash;

use super::shop::{CONTENT, Shop, hex};
use super::stage::contract;
use crate::support::{Client, Database, text};

on_both!(
    nobody_downloads_without_an_order_and_hears_what_to_do,
    a_range_beyond_the_end_is_416_with_the_length,
    a_link_dies_on_time_and_names_no_other_file,
    eight_ranges_make_one_whole_delivery_and_one_receipt,
    a_repository_is_what_the_hub_s_client_expects,
    a_readme_is_made_of_the_card_and_read_before_buying,
    what_is_damaged_is_neither_sold_nor_sent,
);

fn nobody_downloads_without_an_order_and_hears_what_to_do(database: &Database) {
    let shop = Shop::open(database);
    let path = shop.path("a.txt");
    let refused = shop.stranger.client.get(&path);
    assert_eq!(
        (refused.status, refused.code()),
        (403, "delivery.entitlement")
    );
    assert!(refused.text.contains("/v1/orders"), "{}", refused.text);
    assert_eq!(shop.stage.exchange.nobody().get(&path).status, 401);
    let whole = shop.stage.buyer.client.fetch(&path, &[]);
    assert_eq!((whole.status, whole.bytes.as_slice()), (200, CONTENT));
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(whole.header("repr-digest").starts_with("sha-256=:"));
    let known = [("if-none-match", whole.header("etag"))];
    assert_eq!(shop.stage.buyer.client.fetch(&path, &known).status, 304);
    let other = [("if-match", "\"other\"")];
    assert_eq!(shop.stage.buyer.client.fetch(&path, &other).status, 412);
    assert_eq!(shop.stage.buyer.client.get(&shop.path("c.txt")).status, 404);
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
    let asked = json!({ "manifest": shop.digest(), "path": "b/c d.txt" });
    let made = shop.stage.buyer.client.post("/v1/links", &asked);
    assert_eq!(made.status, 201, "{}", made.text);
    let refused = shop.stranger.client.post("/v1/links", &asked);
    assert_eq!(refused.code(), "delivery.entitlement");
    let url = text(&made.body["url"]);
    let path = &url[url.find("/v1/links").unwrap()..];
    let nobody = shop.stage.exchange.nobody();
    assert_eq!(nobody.fetch(path, &[]).bytes, CONTENT);
    assert_eq!(
        nobody.get(&path.replace("b/c%20d.txt", "a.txt")).status,
        404
    );
    shop.stage.exchange.clock.advance(900);
    assert_eq!(nobody.get(path).code(), "delivery.link-expired");
}

fn eight_ranges_make_one_whole_delivery_and_one_receipt(database: &Database) {
    let shop = Shop::open(database);
    // Two files of one content are one: each byte has to go out once.
    for part in 0..8 {
        assert_eq!(shop.settled(part * 4)["state"], "under-way");
        let (first, last) = (part * 4, part * 4 + 3);
        assert_eq!(shop.part(&format!("bytes={first}-{last}")).status, 206);
    }
    assert_eq!(shop.settled(32)["missing_bytes"], 1);
    assert_eq!(shop.part("bytes=32-").status, 206);
    let delivered = shop.settled(33);
    assert_eq!(delivered["state"], "delivered", "{delivered}");
    let ranges = format!("{}  0  32\n", hex(Sha256Hash::of(CONTENT).bytes()));
    assert_eq!(delivered["delivered_ranges"], ranges.as_str());
    assert_eq!(shop.part("bytes=0-3").status, 206);
    assert_eq!(shop.deliveries()["entry"], delivered["entry"]);
}

fn a_repository_is_what_the_hub_s_client_expects(database: &Database) {
    let shop = Shop::open(database);
    let nobody = shop.stage.exchange.nobody();
    let info = nobody.get("/api/datasets/corpus/lines");
    assert_eq!(info.status, 200, "{}", info.text);
    let sha = text(&info.body["sha"]);
    let tree = nobody.get(&format!(
        "/api/datasets/corpus/lines/tree/{sha}?recursive=true"
    ));
    assert_eq!(tree.body[3]["path"], "b/c d.txt", "{}", tree.text);
    let resolve = |client: &Client, path: &str| {
        client.fetch(&format!("/datasets/corpus/lines/resolve/main/{path}"), &[])
    };
    let bought = resolve(&shop.stage.buyer.client, "a.txt");
    assert_eq!((bought.status, bought.bytes.as_slice()), (200, CONTENT));
    assert_eq!(bought.header("x-repo-commit"), sha);
    let gated = resolve(&shop.stranger.client, "a.txt");
    assert_eq!(
        (gated.status, gated.header("x-error-code")),
        (403, "GatedRepo")
    );
    let missing = resolve(&shop.stage.buyer.client, "lines.py");
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

fn a_readme_is_made_of_the_card_and_read_before_buying(database: &Database) {
    let shop = Shop::open(database);
    let nobody = shop.stage.exchange.nobody();
    let path = "/datasets/corpus/lines/resolve/main/README.md";
    let stranger = &shop.stranger.client;
    let readme = stranger.fetch(path, &[]);
    assert_eq!(readme.status, 200);
    let words = String::from_utf8(readme.bytes.clone()).unwrap();
    assert!(words.starts_with("---\n"), "{words}");
    assert!(words.contains("客服对话语料"), "{words}");
    let digest = hex(Sha256Hash::of(&readme.bytes).bytes());
    assert_eq!(readme.header("etag"), format!("\"{digest}\""));
    let info = nobody.get("/api/datasets/corpus/lines");
    assert_eq!(readme.header("x-repo-commit"), text(&info.body["sha"]));
    assert_eq!(info.body["siblings"][0]["rfilename"], "README.md");
    let tree = nobody.get("/api/datasets/corpus/lines/tree/main");
    assert_eq!(tree.body[0]["path"], "README.md", "{}", tree.text);
    assert_eq!(tree.body[0]["size"], readme.bytes.len());
    assert_eq!(tree.body[0]["oid"], &digest[..40]);
    let part = stranger.fetch(path, &[("range", "bytes=0-2")]);
    assert_eq!((part.status, part.bytes.as_slice()), (206, &b"---"[..]));
    let known = [("if-none-match", readme.header("etag"))];
    assert_eq!(stranger.fetch(path, &known).status, 304);
    assert_eq!(nobody.fetch(path, &[]).header("x-error-code"), "GatedRepo");
    // It is no part of what is sold, and of no delivery.
    let buyer = &shop.stage.buyer.client;
    assert_eq!(buyer.get(&shop.path("README.md")).status, 404);
    assert_eq!(buyer.fetch(path, &[]).bytes, readme.bytes);
    assert_eq!(shop.part("bytes=0-3").status, 206);
    let ranges = format!("{}  0  3\n", hex(Sha256Hash::of(CONTENT).bytes()));
    assert_eq!(shop.settled(4)["ranges"], ranges.as_str());
    // A vendor's own one is sold as any file.
    let (office, files) = (&shop.stage.office.client, [("README.md", &b"mine"[..])]);
    shop.vendor.list(office, "own", &files);
    let own = stranger.fetch("/datasets/corpus/own/resolve/main/README.md", &[]);
    assert_eq!(own.header("x-error-code"), "GatedRepo");
}

fn what_is_damaged_is_neither_sold_nor_sent(database: &Database) {
    let shop = Shop::open(database);
    database.execute("UPDATE own_blobs SET state = 'damaged'");
    let buyer = &shop.stage.buyer.client;
    let sent = buyer.get(&shop.path("a.txt"));
    assert_eq!((sent.status, sent.code()), (409, "dataset.unavailable"));
    let now = shop.stage.exchange.clock.now().unwrap();
    let segment = json!({ "dataset": shop.digest(), "from": now, "to": now.after(86_400) });
    let asked = json!({
        "seller": shop.vendor.party, "contract": contract("w13", 50_000_000), "segments": [segment], "claims": [],
    });
    let sold = buyer.post("/v1/orders", &asked);
    assert_eq!((sold.status, sold.code()), (409, "dataset.unavailable"));
}
