//! `search_sqlite`, `search_postgres`: a search over 10⁵ listings, beside reading one of them by its names in the same run.
//!
//! All are in the book, published and assessed over HTTP; their rows are put by the bench, as submissions would. The questions
//! are of one, two and three words, rare and frequent ones, in Chinese, English and Italian, with and without facets.
//! QUAN_BENCH_LISTINGS sets how many listings there are (100000), QUAN_BENCH_SEARCHES how many a round (300).

use std::time::Instant;

use serde_json::{Value, json};
use server::dataset::find::{self, Entry};
use server::store::{Address, Db};
use verifier::id::DocumentDigest;

use crate::client::{Connection, get, post};
use crate::cluster::Cluster;
use crate::market::Who;
use crate::quan::Quan;
use crate::report::{Row, report, setting};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 3;
/// Rows put in one transaction.
const BATCH: usize = 2_000;
const SUBJECTS: [&str; 10] = [
    "医疗对话",
    "法律文书",
    "电商评论",
    "clinical dialogue",
    "court rulings",
    "product reviews",
    "traffic traces",
    "dialoghi clinici",
    "sentenze civili",
    "recensioni prodotti",
];
const KINDS: [&str; 7] = [
    "数据集",
    "语料库",
    "corpus",
    "test-set",
    "knowledge_base",
    "raccolta",
    "selezione",
];
const QUESTIONS: [&str; 8] = [
    "q=%E5%8C%BB%E7%96%97",
    "q=corpus",
    "q=clinical+corpus",
    "q=%E6%95%B0",
    "q=reviews+raccolta&format=csv",
    "q=",
    "q=dialoghi&language=it",
    "q=item4711",
];

pub(crate) fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("quan.db").display());
    measure("search_sqlite", &url);
}

pub(crate) fn postgres() {
    let cluster = Cluster::start(&[]);
    cluster.execute("CREATE DATABASE quan");
    measure("search_postgres", &cluster.uri("quan"));
}

fn measure(name: &str, url: &str) {
    let (listings, searches) = (
        setting("QUAN_BENCH_LISTINGS", 100_000),
        setting("QUAN_BENCH_SEARCHES", 300),
    );
    let quan = Quan::start(Some(url.to_owned()), &[]);
    publish(&quan, listings);
    put_rows(&Address::parse(url).unwrap(), listings);
    let searched = |n: usize| format!("/v1/search?{}", QUESTIONS[n % QUESTIONS.len()]);
    let read = |n: usize| format!("/v1/listings/bench/d{}", n * 7919 % listings);
    // The first of each waits for the disk.
    let _warm = (one(&quan, searches, &searched), one(&quan, searches, &read));
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| (one(&quan, searches, &searched), one(&quan, searches, &read)))
        .collect();
    for question in QUESTIONS {
        let micros = one(&quan, 20, &|_| format!("/v1/search?{question}"));
        println!("{name}: {micros:.0} µs {question}");
    }
    report(&Row {
        name,
        unit: "µs",
        peer: "GET /v1/listings/{handle}/{name}",
        rounds: &rounds,
    });
}

/// Asks one after the other over one connection; the mean time of an answer in microseconds.
fn one(quan: &Quan, count: usize, path: &dyn Fn(usize) -> String) -> f64 {
    let runtime = runtime();
    runtime.block_on(async {
        let mut connection = Connection::open(quan.address).await.unwrap();
        let start = Instant::now();
        for n in 0..count {
            let path = path(n);
            let answer = connection.send(&get(&path)).await.unwrap();
            assert_eq!(answer.status, 200, "{path}");
        }
        start.elapsed().as_secs_f64() * 1e6 / count as f64
    })
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

fn manifest(n: usize) -> DocumentDigest {
    DocumentDigest::of(format!("bench {n}").as_bytes())
}

/// Brings the versions into the book.
fn publish(quan: &Quan, listings: usize) {
    let operator = quan.token(Who::Exchange);
    let (vendor, office) = (
        member(quan, operator, "vendor"),
        member(quan, operator, "office"),
    );
    let published = |n: usize| {
        json!({
            "version": "1.0.0", "manifest": manifest(n), "bytes": 10, "price_fen": 100,
            "licence": DocumentDigest::of(b"licence"),
        })
    };
    send_all(quan, listings, &|n| {
        request("/v1/datasets", &vendor, (1, n), &published(n))
    });
    let report = DocumentDigest::of(b"report");
    send_all(quan, listings, &|n| {
        let passed = json!({ "manifest": manifest(n), "passed": true, "report": report });
        request("/v1/datasets/assess", &office, (2, n), &passed)
    });
}

fn request(path: &str, token: &str, (kind, n): (u64, usize), body: &Value) -> Vec<u8> {
    let key = Some(kind * 1_000_000_000 + n as u64);
    let body = body.to_string();
    post(path, token, "application/json", key, body.as_bytes())
}

/// Admits a party with an actor of a role; its key.
fn member(quan: &Quan, operator: &str, role: &str) -> String {
    let ask = |at: usize, path: &str, body: &Value| -> Value {
        let kind = if role == "vendor" { 3 } else { 4 };
        let request = request(path, operator, (kind, at), body);
        runtime().block_on(async {
            let mut connection = Connection::open(quan.address).await.unwrap();
            let answer = connection.send(&request).await.unwrap();
            assert_eq!(answer.status, 201, "{path}");
            serde_json::from_slice(&answer.body).unwrap()
        })
    };
    let admit = json!({ "roles": [role], "name": "A".repeat(43) });
    let party = ask(0, "/v1/parties", &admit)["found"]["party"].take();
    let register = json!({ "party": party, "roles": [role] });
    let actor = ask(1, "/v1/actors", &register)["found"]["actor"].take();
    let make = json!({ "actor": actor, "role": role, "label": "bench" });
    let key = ask(2, "/v1/api-keys", &make)["key"].take();
    key.as_str().unwrap().to_owned()
}

fn send_all(quan: &Quan, count: usize, request: &dyn Fn(usize) -> Vec<u8>) {
    let lane = async |lane: usize| {
        let mut connection = Connection::open(quan.address).await.unwrap();
        for n in (lane..count).step_by(CONNECTIONS) {
            let answer = connection.send(&request(n)).await.unwrap();
            let text = String::from_utf8_lossy(&answer.body);
            assert_eq!(answer.status, 201, "{text}");
        }
    };
    runtime().block_on(futures_util::future::join_all((0..CONNECTIONS).map(lane)));
}

/// Puts the rows behind them, as submissions do.
fn put_rows(address: &Address, listings: usize) {
    let mut db = Db::open(address).unwrap();
    run(&mut db, "INSERT INTO own_handles VALUES ('bench', 'pty')");
    for first in (0..listings).step_by(BATCH) {
        let numbers = first..listings.min(first + BATCH);
        let (mut rows, mut versions) = (Vec::new(), Vec::new());
        for n in numbers.clone() {
            let card = json!({ "title": { "en": title(n) }, "summary": "Generated." });
            rows.push(format!("('lst-{n}', 'bench', 'd{n}', '{{}}', 0)"));
            let manifest = manifest(n);
            versions.push(format!(
                "('{manifest}', 'lst-{n}', '1.0.0', '{card}', 'submitted', {}, '{manifest}')",
                n + 1
            ));
        }
        run(
            &mut db,
            &format!(
                "INSERT INTO own_listings (id, handle, name, card, changed) VALUES {}",
                rows.join(",")
            ),
        );
        run(
            &mut db,
            &format!(
                "INSERT INTO own_versions (manifest, listing, version, card, state, seq, report) VALUES {}",
                versions.join(",")
            ),
        );
        index(&mut db, numbers);
    }
    run(&mut db, "ANALYZE");
}

fn index(db: &mut Db, numbers: std::ops::Range<usize>) {
    db.transaction(|db| {
        numbers
            .into_iter()
            .try_for_each(|n| find::index(db, &entry(n)))
    })
    .unwrap();
}

fn run(db: &mut Db, statement: &str) {
    use diesel::connection::SimpleConnection as _;
    db.batch_execute(statement).unwrap();
}

fn title(n: usize) -> String {
    let subject = SUBJECTS[n % SUBJECTS.len()];
    let kind = KINDS[(n * 5 + n / 70) % KINDS.len()];
    format!("{subject} {kind} item{n}")
}

fn entry(n: usize) -> Entry {
    let language = ["zh", "zh", "zh", "en", "en", "en", "en", "it", "it", "it"][n % 10];
    Entry {
        n: n as u64 + 1,
        listing: format!("lst-{n}"),
        manifest: manifest(n).to_string(),
        texts: [
            title(n),
            KINDS[n % 7].to_owned(),
            SUBJECTS[(n / 7) % 10].to_owned(),
            "Turns of two, written down and annotated by three; names are made up.".to_owned(),
        ],
        languages: vec![language.to_owned()],
        licence: ["CC-BY-4.0", "MIT"][n % 2].to_owned(),
        formats: vec![["jsonl", "csv", "parquet"][n % 3].to_owned()],
        bytes: n as u64,
        price_fen: 100,
        shown: json!({ "handle": "bench", "name": format!("d{n}"), "title": title(n), "summary": "Generated." }),
    }
}
