//! Samples before a purchase, and the evidence after one, on both databases.

use serde_json::{Value, json};
use server::store::history;
use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::path::Path;
use std::process::{Command, Output};
use verifier::dataset::{Manifest, Possession, Sheet, wilson};
use verifier::id::{DocumentDigest, OrderId, PartyId, Sha256Hash};
use verifier::receipt::{self, DataAcceptance, Jti, KeyUse, Nonce, Verdict};
use verifier::signature::Signer;

use crate::support::{
    Client, Database, Exchange, Listed, Member, ORIGIN, Vendor, register_key, text,
    verifier_program,
};

on_both!(
    a_sample_is_masked_and_a_nonce_draws_once,
    a_sheet_recomputes_offline,
    before_a_checkpoint_covers_it_nothing_is_drawn,
    what_has_no_rows_or_no_bytes_here_is_not_sampled,
    the_pack_proves_itself_offline,
    the_same_pack_twice_has_the_same_bytes,
    the_first_cosigned_checkpoint_is_that_of_the_seed,
);

const NONCES: [&str; 3] = [
    "AAAAAAAAAAAAAAAAAAAAAA",
    "AQAAAAAAAAAAAAAAAAAAAA",
    "A_AAAAAAAAAAAAAAAAAAAA",
];
const DAY: i64 = 86_400;
/// Data, a third of the price from the order on.
const PROGRAMME: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/programmes/examples/w12-data.toml"
));

/// 120 rows of a table, a planted number in each, and 30 of JSON lines.
fn files() -> [(&'static str, Vec<u8>); 2] {
    let table: String = (0..120)
        .map(|row| format!("{row},call 13912345678 about {row}\n"))
        .collect();
    let lines: String = (0..30)
        .map(|row| format!("{{\"n\":{row},\"mail\":\"li.lei{row}@example.com\"}}\n"))
        .collect();
    [
        ("data/table.csv", format!("id,text\n{table}").into_bytes()),
        ("lines.jsonl", lines.into_bytes()),
    ]
}

fn borrowed<'a>(files: &'a [(&'static str, Vec<u8>)]) -> Vec<(&'a str, &'a [u8])> {
    files
        .iter()
        .map(|(path, bytes)| (*path, &**bytes))
        .collect()
}

fn asked(manifest: &str, nonce: &str, rows: u32) -> Value {
    json!({ "manifest": manifest, "nonce": nonce, "rows": rows })
}

/// Every row but the first is good.
fn verdicts(sample: &Value) -> Value {
    let drawn = sample["sheet"]["drawn"].as_array().unwrap();
    let of = |(place, row): (usize, &Value)| json!([row, if place == 0 { "fail" } else { "pass" }]);
    let verdicts: Vec<Value> = drawn.iter().enumerate().map(of).collect();
    json!({ "verdicts": verdicts })
}

fn path(sample: &Value, of: &str) -> String {
    format!("/v1/samples/{}{of}", text(&sample["id"]))
}

fn a_sample_is_masked_and_a_nonce_draws_once(database: &Database) {
    let exchange = Exchange::start(database);
    let vendor = Vendor::open(&exchange, "city-data");
    let office = exchange.member(&["office"]).client;
    let (buyer, other) = (
        exchange.member(&["buyer"]).client,
        exchange.member(&["buyer"]).client,
    );
    let files = files();
    let listed = vendor.publish("dialogues", &borrowed(&files), 50_000_000);
    let manifest = &*listed.manifest;
    let ask =
        |client: &Client, nonce, rows| client.post("/v1/samples", &asked(manifest, nonce, rows));
    assert_eq!(ask(&buyer, NONCES[0], 10).code(), "dataset.unavailable");
    listed.pass(&office);
    for rows in [0, 201] {
        assert_eq!(ask(&buyer, NONCES[0], rows).code(), "request.malformed");
    }
    for nonce in [
        "",
        "AAAA",
        "AAAAAAAAAAAAAAAAAAAAAB",
        "AAAAAAAAAAAAAAAAAAAAAA==",
    ] {
        assert_eq!(
            ask(&buyer, nonce, 10).code(),
            "request.malformed",
            "{nonce}"
        );
    }
    assert_eq!(ask(&vendor.client, NONCES[0], 10).code(), "access.role");
    assert_eq!(
        ask(&exchange.nobody(), NONCES[0], 10).code(),
        "access.unknown"
    );
    let drawn = until_drawn(|| ask(&buyer, NONCES[0], 150));
    masked(&drawn, &files);
    // The same nonce is the same sheet, whatever is asked beside it, also on another day.
    assert_eq!(ask(&buyer, NONCES[0], 3).body, drawn);
    assert_eq!(ask(&buyer, NONCES[1], 150).code(), "sample.drawn");
    assert_eq!(buyer.get(&path(&drawn, "")).body, drawn);
    // Another buyer has another draw, and sees nothing of this one.
    assert_ne!(
        until_drawn(|| ask(&other, NONCES[0], 150))["id"],
        drawn["id"]
    );
    for of in ["", "/sheet"] {
        assert_eq!(other.get(&path(&drawn, of)).code(), "sample.unknown");
    }
    other.refused(
        &path(&drawn, "/verdicts"),
        &verdicts(&drawn),
        "sample.unknown",
    );
    exchange.clock.advance(DAY);
    assert_eq!(ask(&buyer, NONCES[0], 150).body, drawn);
    let next = until_drawn(|| ask(&buyer, NONCES[1], 5));
    assert_eq!(next["rows"].as_array().unwrap().len(), 5);
    assert_eq!(ask(&buyer, NONCES[2], 5).code(), "sample.drawn");
}

/// Draws when the checkpoint is there: it is published a moment after the entry.
fn until_drawn(mut ask: impl FnMut() -> crate::support::Answer) -> Value {
    for _ in 0..500 {
        let answer = ask();
        if answer.code() != "sample.too-early" {
            assert_eq!(answer.status, 201, "{}", answer.text);
            return answer.body;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("no checkpoint covers the version");
}

/// Every row is one of its file's, in the order of the draw, without what was planted.
fn masked(sample: &Value, files: &[(&'static str, Vec<u8>)]) {
    let shown = sample.to_string();
    assert!(
        !shown.contains("13912345678") && !shown.contains("li.lei7@"),
        "{shown}"
    );
    assert!(shown.contains("139******78"), "{shown}");
    let rows = sample["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 150);
    assert_eq!(sample["sheet"]["rows"], 150);
    let mut lines: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (Sha256Hash::of(bytes).bytes().to_vec(), *path))
        .collect();
    lines.sort();
    let csv_first = lines[0].1.ends_with(".csv");
    for (row, drawn) in rows
        .iter()
        .zip(sample["sheet"]["drawn"].as_array().unwrap())
    {
        assert_eq!(&row["row"], drawn);
        let number = drawn.as_u64().unwrap();
        let (is_csv, within) = match csv_first {
            true => (number < 120, number % 120),
            false => (number >= 30, number.checked_sub(30).unwrap_or(number)),
        };
        let file = if is_csv {
            "data/table.csv"
        } else {
            "lines.jsonl"
        };
        assert_eq!(row["file"], file);
        let first = if is_csv { "id" } else { "n" };
        let cells = row["cells"].as_array().unwrap();
        assert!(cells.contains(&json!([first, within.to_string()])), "{row}");
    }
}

fn a_sheet_recomputes_offline(database: &Database) {
    let exchange = Exchange::start(database);
    let vendor = Vendor::open(&exchange, "city-data");
    let office = exchange.member(&["office"]).client;
    let buyer = exchange.member(&["buyer"]).client;
    let listed = vendor.list(&office, "dialogues", &borrowed(&files()));
    let drawn = until_drawn(|| buyer.post("/v1/samples", &asked(&listed.manifest, NONCES[0], 20)));
    let (judge, folder) = (path(&drawn, "/verdicts"), tempfile::tempdir().unwrap());
    let mut partial = verdicts(&drawn);
    partial["verdicts"].as_array_mut().unwrap().pop();
    buyer.refused(&judge, &partial, "request.malformed");
    buyer.refused(
        &judge,
        &json!({ "verdicts": [[0, "good"]] }),
        "request.malformed",
    );
    let judged = buyer.done(&judge, &verdicts(&drawn));
    assert_eq!(judged["sheet"]["passed"], 19);
    let interval = serde_json::to_value(wilson(19, 20)).unwrap();
    assert_eq!(judged["sheet"]["interval"], interval);
    // Said again it is the same; said otherwise it is too late.
    assert_eq!(buyer.done(&judge, &verdicts(&drawn)), judged);
    let mut other = verdicts(&drawn);
    other["verdicts"][0][1] = json!("pass");
    buyer.refused(&judge, &other, "sample.judged");
    let sheet = buyer.fetch(&path(&drawn, "/sheet"), &[]);
    assert_eq!(
        (sheet.status, sheet.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(judged["digest"], json!(DocumentDigest::of(&sheet.bytes)));
    let read = Sheet::parse(&sheet.bytes).unwrap();
    assert_eq!((read.seq, read.passed), (listed.seq, 19));
    let file = folder.path().join("sheet.json");
    std::fs::write(&file, &sheet.bytes).unwrap();
    let trail = exchange.data().join("trail");
    let check = |file: &Path| verify(&["sample", &shown(file), "--trail", &shown(&trail)]);
    let checked = check(&file);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.status.success() && said.contains("19 of 20 passed"),
        "{said}"
    );
    let forged = String::from_utf8(sheet.bytes)
        .unwrap()
        .replace("\"passed\":19", "\"passed\":20");
    std::fs::write(&file, forged).unwrap();
    assert_eq!(check(&file).status.code(), Some(1));
}

fn before_a_checkpoint_covers_it_nothing_is_drawn(database: &Database) {
    let mut exchange = Exchange::start(database);
    let office = exchange.member(&["office"]);
    let member = exchange.member(&["buyer"]);
    let vendor = Vendor::open(&exchange, "city-data");
    vendor.draft("dialogues", crate::support::card(), &borrowed(&files()));
    // From here on a minute passes before the next checkpoint.
    exchange.publish_every(60_000);
    let again = |client: &Client| exchange.client(Some(&client.token()));
    let vendor = Vendor {
        client: again(&vendor.client),
        ..vendor
    };
    let (office, buyer) = (again(&office.client), again(&member.client));
    let submitted = vendor.submit("dialogues", "1.0.0", 1_000);
    assert_eq!(submitted.status, 201, "{}", submitted.text);
    let shown = vendor.client.get("/v1/datasets").body;
    let manifest = text(&shown["items"][0]["versions"][0]["manifest"]);
    let report = DocumentDigest::of(b"report");
    office.done(
        "/v1/datasets/assess",
        &json!({ "manifest": manifest, "passed": true, "report": report }),
    );
    buyer.refused(
        "/v1/samples",
        &asked(&manifest, NONCES[0], 5),
        "sample.too-early",
    );
    exchange.publish_every(10);
    let buyer = exchange.client(Some(&buyer.token()));
    let drawn = until_drawn(|| buyer.post("/v1/samples", &asked(&manifest, NONCES[0], 5)));
    assert_eq!(drawn["sheet"]["first"], "not shown");
}

fn what_has_no_rows_or_no_bytes_here_is_not_sampled(database: &Database) {
    let exchange = Exchange::start(database);
    let vendor = Vendor::open(&exchange, "city-data");
    let office = exchange.member(&["office"]).client;
    let buyer = exchange.member(&["buyer"]).client;
    let refused = |manifest: &str, code: &str| {
        let mut answer = buyer.post("/v1/samples", &asked(manifest, NONCES[0], 5));
        while answer.code() == "sample.too-early" {
            answer = buyer.post("/v1/samples", &asked(manifest, NONCES[0], 5));
        }
        assert_eq!(answer.code(), code, "{}", answer.text);
    };
    refused(
        &DocumentDigest::of(b"nothing").to_string(),
        "dataset.unknown",
    );
    refused("sha-256:x", "request.malformed");
    // Its digest alone is in the trail.
    let digest = DocumentDigest::of(b"the manifest of a corpus");
    let published = json!({
        "version": "1.0", "manifest": digest, "bytes": 9, "price_fen": 5,
        "licence": DocumentDigest::of(b"training"),
    });
    vendor.client.done("/v1/datasets", &published);
    let passed = json!({ "manifest": digest, "passed": true, "report": digest });
    office.done("/v1/datasets/assess", &passed);
    refused(&digest.to_string(), "dataset.unavailable");
    // Bytes that are no table; the text beside them has lines.
    let noise = [0_u8, 159, 146, 150, 0, 1, 2, 3].repeat(64);
    let bytes = vendor.list(&office, "noise", &[("noise.bin", &noise)]);
    refused(&bytes.manifest, "dataset.file");
    let mixed = [noise.clone(), vec![7]].concat();
    let files: [(&str, &[u8]); 2] = [("noise.bin", &mixed), ("read.txt", b"one\ntwo\nthree\n")];
    let mixed = vendor.list(&office, "mixed", &files);
    let drawn = until_drawn(|| buyer.post("/v1/samples", &asked(&mixed.manifest, NONCES[0], 200)));
    assert_eq!(drawn["sheet"]["rows"], 3);
    let rows = drawn["rows"].as_array().unwrap();
    assert!(
        rows.len() == 3 && rows.iter().all(|row| row["file"] == "read.txt"),
        "{drawn}"
    );
    // What was withdrawn is drawn no more; what was drawn stays with its buyer.
    vendor.client.done(
        "/v1/datasets/withdraw",
        &json!({ "dataset": mixed.dataset }),
    );
    refused(&mixed.manifest, "dataset.unavailable");
    assert_eq!(buyer.get(&path(&drawn, "")).body, drawn);
}

/// A version that was sampled, bought, downloaded and accepted.
struct Bought {
    exchange: Exchange,
    vendor: Vendor,
    office: Client,
    buyer: Member,
    listed: Listed,
    order: OrderId,
}

fn bought(database: &Database) -> Bought {
    let exchange = Exchange::start(database);
    let vendor = Vendor::open(&exchange, "city-data");
    let office = exchange.member(&["office"]).client;
    let (funder, buyer) = (
        exchange.member(&["funder"]).client,
        exchange.member(&["buyer"]),
    );
    funder.done(
        "/v1/funds",
        &json!({ "fund": "w12-city", "funder": "f-finance" }),
    );
    funder.done(
        "/v1/funds/appropriate",
        &json!({ "fund": "w12-city", "fen": 100_000_000 }),
    );
    let toml = PROGRAMME.replace("commit_at = \"issue\"", "commit_at = \"order\"");
    let digest = DocumentDigest::of(toml.as_bytes());
    office.done(
        "/v1/programmes",
        &json!({ "toml": toml, "digest": digest, "despite_status": true }),
    );
    let files = files();
    let listed = vendor.list(&office, "dialogues", &borrowed(&files));
    let client = &buyer.client;
    let drawn = until_drawn(|| client.post("/v1/samples", &asked(&listed.manifest, NONCES[0], 20)));
    client.done(&path(&drawn, "/verdicts"), &verdicts(&drawn));
    let signer = Signer::from_seed(&[6; 32]);
    register_key(&exchange, &buyer, KeyUse::Acceptance, &signer);
    let now = exchange.clock.now().unwrap();
    let placed = client.done(
        "/v1/orders",
        &json!({
            "seller": vendor.party,
            "contract": {
                "digest": DocumentDigest::of(b"contract"), "fen": 50_000_000,
                "signed_on": "2026-01-15", "from": "2026-01-16", "to": "2027-12-31",
            },
            "segments": [{ "dataset": listed.manifest, "from": now, "to": now.after(30 * DAY) }],
            "claims": [{ "programme": "w12-data", "hold_fen": 15_000_000 }],
        }),
    );
    let order: OrderId = text(&placed["found"]["order"]).parse().unwrap();
    for (path, bytes) in &files {
        let fetched = client.fetch(&format!("/v1/files/{}/{path}", listed.manifest), &[]);
        assert_eq!((fetched.status, &fetched.bytes), (200, bytes));
    }
    let bought = Bought {
        exchange,
        vendor,
        office,
        buyer,
        listed,
        order,
    };
    bought.accept(&signer, &files);
    bought
}

impl Bought {
    fn delivered(&self) -> Value {
        for _ in 0..500 {
            let shown = self
                .buyer
                .client
                .get(&format!("/v1/orders/{}/deliveries", self.order));
            let item = shown.body["items"][0].clone();
            if item["state"] == "delivered" {
                return item;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("nothing is delivered");
    }

    fn accept(&self, signer: &Signer, files: &[(&'static str, Vec<u8>)]) {
        let delivered = self.delivered();
        let nonce: Nonce = serde_json::from_value(delivered["nonce"].clone()).unwrap();
        let mut ordered: Vec<&Vec<u8>> = files.iter().map(|(_, bytes)| bytes).collect();
        ordered.sort_by_key(|bytes| *Sha256Hash::of(bytes).bytes());
        let all = ordered.into_iter().flatten().copied().collect::<Vec<u8>>();
        let mut possession = Possession::new(nonce, all.len() as u64);
        possession.feed(&all);
        let claims = DataAcceptance {
            iss: PartyId::parse(&self.buyer.party).unwrap(),
            aud: ORIGIN.to_owned(),
            sub: self.order,
            seq: 0,
            prev: None,
            jti: Jti {
                order: self.order,
                seq: 0,
            },
            iat: self.exchange.clock.now().unwrap(),
            digest: DocumentDigest::parse(&self.listed.manifest).unwrap(),
            verdict: Verdict::Accepted,
            possession: possession.end(),
        };
        let jose = [("content-type", "application/jose")];
        let signed = receipt::sign(&claims, signer);
        let answer = self.buyer.client.send("/v1/acceptances", &signed, &jose);
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    fn pack(&self, client: &Client) -> Vec<u8> {
        let path = format!(
            "/v1/orders/{}/pack.zip?manifest={}",
            self.order, self.listed.manifest
        );
        let fetched = client.fetch(&path, &[]);
        let said = String::from_utf8_lossy(&fetched.bytes).into_owned();
        assert_eq!(fetched.status, 200, "{said}");
        assert_eq!(fetched.header("content-type"), "application/zip");
        assert_eq!(fetched.header("content-encoding"), "identity");
        fetched.bytes
    }
}

fn the_pack_proves_itself_offline(database: &Database) {
    let bought = bought(database);
    let bytes = bought.pack(&bought.buyer.client);
    let folder = tempfile::tempdir().unwrap();
    let papers = unpacked(&bytes, folder.path());
    let named = |name: &str| String::from_utf8(papers[name].clone()).unwrap();
    let manifest = Manifest::parse(&named("manifest.txt")).unwrap();
    assert_eq!(manifest.digest().to_string(), bought.listed.manifest);
    let contract: Value = serde_json::from_str(&named("contract.json")).unwrap();
    assert_eq!(contract["order"]["order"], json!(bought.order));
    assert_eq!(contract["order"]["accepted"], true);
    assert_eq!(
        contract["card"],
        json!(DocumentDigest::of(&papers["card.json"]))
    );
    assert!(named("README.txt").starts_with(&format!("Order {}", bought.order)));
    for paper in ["sources/000.json", "licences/", "reports/"] {
        assert!(papers.keys().any(|name| name.starts_with(paper)), "{paper}");
    }
    let texts = papers
        .iter()
        .filter(|(name, _)| name.starts_with("licences/"));
    for (name, text) in texts {
        let digits = DocumentDigest::of(text).to_string();
        assert_eq!(
            *name,
            format!(
                "licences/{}.txt",
                verifier::id::hex(Sha256Hash::of(text).bytes())
            ),
            "{digits}"
        );
    }
    check_offline(&bought, &papers, folder.path());
}

fn the_same_pack_twice_has_the_same_bytes(database: &Database) {
    let bought = bought(database);
    let bytes = bought.pack(&bought.buyer.client);
    // Whoever of the four asks.
    let operator = bought.exchange.operator();
    for client in [
        &bought.buyer.client,
        &bought.vendor.client,
        &bought.office,
        &operator,
    ] {
        assert_eq!(bought.pack(client), bytes);
    }
    refused(&bought);
}

fn the_first_cosigned_checkpoint_is_that_of_the_seed(database: &Database) {
    let store = database.store();
    let mut db = store.connection().unwrap();
    for (size, time) in [(5, 1_000), (8, 2_000), (12, 3_000)] {
        let note = format!("a note of {size}");
        assert!(history::keep(&mut db, size, time, &note).unwrap());
    }
    let mut first = |seq| {
        let found = history::first_above(&mut db, seq).unwrap();
        found.map(|found| (found.size, found.note))
    };
    for (seq, size) in [(0, 5), (4, 5), (5, 8), (7, 8), (11, 12)] {
        assert_eq!(first(seq), Some((size, format!("a note of {size}"))));
    }
    assert_eq!(first(12), None);
}

/// Every file that has something to be checked by passes, and the delivery commits to the ranges beside it.
fn check_offline(bought: &Bought, papers: &BTreeMap<String, Vec<u8>>, folder: &Path) {
    let data = bought.exchange.data();
    let (trail, policy) = (shown(&data.join("trail")), shown(&data.join("policy.txt")));
    let mut counts = BTreeMap::new();
    for name in papers.keys() {
        let file = shown(&folder.join(name));
        let kind = name.split('/').next().unwrap();
        let arguments = match kind {
            "proofs" => vec!["proof", &file, "--policy", &policy],
            "receipts" => vec!["receipt", &file, "--trail", &trail],
            "sheets" => vec!["sample", &file, "--trail", &trail, "--policy", &policy],
            _ => continue,
        };
        *counts.entry(kind.to_owned()).or_insert(0) += 1;
        good(&verify(&arguments));
    }
    // Published, assessed, ordered, delivered, accepted.
    let expected = [("proofs", 5), ("receipts", 2), ("sheets", 1)];
    assert!(
        counts
            .iter()
            .map(|(kind, count)| (kind.as_str(), *count))
            .eq(expected),
        "{counts:?}"
    );
    good(&verify(&[
        "dataset",
        &bought.listed.manifest,
        "--trail",
        &trail,
        "--policy",
        &policy,
    ]));
    let delivery = papers
        .iter()
        .find(|(name, _)| name.ends_with("-delivery.jws"));
    let delivery = std::str::from_utf8(delivery.unwrap().1).unwrap();
    let delivery = receipt::UnverifiedReceipt::parse(delivery).unwrap();
    let receipt::Claims::Delivery(claims) = delivery.claims() else {
        panic!("a delivery")
    };
    assert_eq!(claims.ranges, DocumentDigest::of(&papers["ranges.txt"]));
}

fn refused(bought: &Bought) {
    let of = |order: &str, query: &str| format!("/v1/orders/{order}/pack.zip{query}");
    let (order, buyer) = (bought.order.to_string(), &bought.buyer.client);
    let code = |client: &Client, path: &str| client.get(path).code().to_owned();
    let stranger = bought.exchange.member(&["buyer"]).client;
    assert_eq!(code(&stranger, &of(&order, "")), "access.party");
    assert_eq!(
        code(&bought.exchange.nobody(), &of(&order, "")),
        "access.unknown"
    );
    assert_eq!(
        code(buyer, &of("ord-aaaaaaaaaaaaaaaa", "")),
        "order.unknown"
    );
    assert_eq!(code(buyer, &of("x", "")), "request.malformed");
    assert_eq!(code(buyer, &of(&order, "?manifest=x")), "request.malformed");
    let other = format!("?manifest={}", DocumentDigest::of(b"other"));
    assert_eq!(code(buyer, &of(&order, &other)), "dataset.unknown");
}

/// The files of a zip, also as files.
fn unpacked(zip: &[u8], folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut papers = BTreeMap::new();
    for at in 0..archive.len() {
        let mut paper = archive.by_index(at).unwrap();
        let (name, mut bytes) = (paper.name().unwrap().into_owned(), Vec::new());
        paper.read_to_end(&mut bytes).unwrap();
        let file = folder.join(&name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &bytes).unwrap();
        assert!(papers.insert(name, bytes).is_none());
    }
    papers
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn verify(arguments: &[&str]) -> Output {
    Command::new(verifier_program())
        .args(arguments)
        .output()
        .unwrap()
}

fn good(output: &Output) {
    let (said, why) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}{why}");
}
