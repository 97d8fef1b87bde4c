//! curl, wget, aria2 and age: a file that was bought, cut and resumed, in eight parts at once, sealed for a key.

use std::fs;
use std::path::Path;

use crate::examples::shop::Shop;
use crate::support::{Database, Foreign, Proxy};

const NAME: &str = "corpus.jsonl";

/// More than the buffers on the way hold, so that the server hears of a cut.
fn shop() -> (Shop, Vec<u8>) {
    let lines = (0..300_000_u64).map(|n| {
        format!(
            "{{\"n\":{n},\"text\":\"{:016x}\"}}\n",
            n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        )
    });
    let content = lines.collect::<String>().into_bytes();
    let mut shop = Shop::stocked(&Database::sqlite(), &[(NAME, &content)]);
    shop.order();
    (shop, content)
}

/// The words of a command that gets the file as its buyer.
fn key(shop: &Shop) -> String {
    format!("Authorization: Bearer {}", shop.stage.buyer.client.token())
}

fn url(shop: &Shop, address: &str) -> String {
    format!("http://{address}{}", shop.path(NAME))
}

/// It lies there, whole, and the exchange has signed that all of it went out.
#[track_caller]
fn came(shop: &Shop, home: &Path, content: &[u8]) {
    assert!(
        fs::read(home.join(NAME)).unwrap() == content,
        "other bytes came"
    );
    let delivered = shop.settled(content.len() as u64);
    assert_eq!(delivered["state"], "delivered", "{delivered}");
}

#[test]
fn curl_goes_on_where_the_connection_broke() {
    let (shop, content) = shop();
    let way = Proxy::to(&shop.stage.exchange.address().to_string());
    way.open(1_000_000);
    let mut curl = Foreign::tool("curl")
        .args(["--silent", "--show-error", "--fail", "-C", "-", "-o", NAME])
        .args(["-H", &key(&shop), &url(&shop, &way.address)]);
    let cut = curl.run();
    assert!(!cut.status.success());
    let file = curl.home().join(NAME);
    let there = fs::metadata(&file).unwrap().len();
    assert!((900_000..1_000_000).contains(&there), "{there}");
    assert_eq!(shop.deliveries()["receipt"], serde_json::Value::Null);
    way.open(usize::MAX);
    curl.succeeds();
    came(&shop, curl.home(), &content);
}

#[test]
fn wget_continues_a_file_that_is_there_in_part() {
    let (shop, content) = shop();
    let address = shop.stage.exchange.address().to_string();
    let mut wget = Foreign::tool("wget")
        .args(["--no-verbose", "--tries=1", "-c", "-O", NAME])
        .args(["--header", &key(&shop), &url(&shop, &address)]);
    let part = shop
        .stage
        .buyer
        .client
        .fetch(&shop.path(NAME), &[("range", "bytes=0-999999")]);
    assert_eq!(part.status, 206);
    fs::write(wget.home().join(NAME), part.bytes).unwrap();
    wget.succeeds();
    came(&shop, wget.home(), &content);
}

#[test]
fn aria2_takes_eight_parts_at_once() {
    let (shop, content) = shop();
    let address = shop.stage.exchange.address().to_string();
    let mut aria2 = Foreign::tool("aria2c")
        .args([
            "--quiet=true",
            "-x8",
            "-s8",
            "-k1M",
            "--allow-overwrite=true",
            "-o",
            NAME,
        ])
        .args(["--header", &key(&shop), &url(&shop, &address)]);
    aria2.succeeds();
    came(&shop, aria2.home(), &content);
}

#[test]
fn age_opens_what_was_sealed_for_its_key() {
    let (shop, content) = shop();
    let address = shop.stage.exchange.address().to_string();
    let mut keygen = Foreign::tool("age-keygen").args(["-o", "key.txt"]);
    keygen.succeeds();
    let identity = keygen.home().join("key.txt");
    let recipient = Foreign::tool("age-keygen")
        .args(["-y".as_ref(), identity.as_os_str()])
        .succeeds();
    let mut curl = Foreign::tool("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "-o",
            "sealed.age",
            "-H",
            &key(&shop),
        ])
        .args([format!(
            "{}?recipient={}",
            url(&shop, &address),
            recipient.trim()
        )]);
    curl.succeeds();
    let sealed = curl.home().join("sealed.age");
    assert_eq!(
        fs::metadata(&sealed).unwrap().len(),
        server::age::sealed_bytes(content.len() as u64)
    );
    let mut age = Foreign::tool("age")
        .args(["-d", "-o", NAME, "-i"])
        .args([&identity, &sealed]);
    age.succeeds();
    came(&shop, age.home(), &content);
}
