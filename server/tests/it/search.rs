//! Search answers alike on both databases, whatever is asked.

use serde_json::json;
use server::dataset::find::{self, Entry, Query};

use crate::support::{Database, Exchange, Vendor, card, text};

on_both! {
    thirty_queries_give_the_same_ids_on_both,
    a_facet_and_a_size_narrow_alike,
    what_is_withdrawn_or_recalled_is_found_no_more_and_the_newest_version_stands_for_a_listing,
}

/// Words of the generated listings: a language's subjects, and what it does with them.
const SUBJECTS: [[&str; 10]; 3] = [
    [
        "医疗对话",
        "法律文书",
        "方言语音",
        "电商评论",
        "交通轨迹",
        "工业质检",
        "金融问答",
        "古籍文本",
        "农业遥感",
        "教育题库",
    ],
    [
        "clinical dialogue",
        "court rulings",
        "dialect speech",
        "product reviews",
        "traffic traces",
        "defect images",
        "finance answers",
        "ancient texts",
        "crop imagery",
        "exam questions",
    ],
    [
        "dialoghi clinici",
        "sentenze civili",
        "parlato dialettale",
        "recensioni prodotti",
        "tracce di traffico",
        "immagini di difetti",
        "domande finanziarie",
        "testi antichi",
        "immagini agricole",
        "quesiti d'esame",
    ],
];
const KINDS: [[&str; 7]; 3] = [
    [
        "数据集",
        "语料库",
        "标注集",
        "测试集",
        "知识库",
        "多轮语料",
        "精选",
    ],
    [
        "dataset",
        "corpus",
        "annotations",
        "test-set",
        "knowledge_base",
        "multi-turn corpus",
        "selection",
    ],
    [
        "raccolta",
        "corpus",
        "annotazioni",
        "insieme di prova",
        "base di conoscenza",
        "corpus a più turni",
        "selezione",
    ],
];
const LANGUAGES: [&str; 3] = ["zh", "en", "it"];
const FORMATS: [&str; 4] = ["jsonl", "csv", "parquet", "txt"];
const LICENCES: [&str; 3] = ["CC-BY-4.0", "MIT", "LicenseRef-training"];

/// The ten of each language: two characters, one, traditional, several words, parts of words, none.
const QUERIES: [&str; 30] = [
    "医疗",
    "數據",
    "数",
    "對話語料",
    "标注 法律",
    "方言語音",
    "集",
    "金融问答测试集",
    "遥感",
    "精选 知识库",
    "dialogue",
    "Clinical corpus",
    "multi-turn",
    "KNOWLEDGE BASE",
    "test set court",
    "ａncient",
    "speech dialect",
    "images imagery",
    "answers 17",
    "dataset",
    "dialoghi",
    "più turni",
    "d'esame",
    "corpus",
    "CONOSCENZA",
    "raccolta traffico",
    "immagini di",
    "parlato dialettale",
    "prova 99",
    "qualità",
];

fn generated() -> Vec<Entry> {
    let entry = |n: usize| {
        let (language, subject, kind) = (n % 3, (n / 3) % 10, (n * 5 + n / 30) % 7);
        let other = (language + 1 + n % 2) % 3;
        let title = format!(
            "{} {} {n}",
            SUBJECTS[language][subject], KINDS[language][kind]
        );
        let summary = format!(
            "{} ({})",
            SUBJECTS[other][(subject + n % 4) % 10],
            KINDS[other][(kind + 1) % 7]
        );
        Entry {
            n: n as u64 + 1,
            listing: format!("lst-{n}"),
            manifest: format!("sha-256:{n}"),
            texts: [
                title.clone(),
                KINDS[other][kind].to_owned(),
                summary.clone(),
                format!(
                    "qualità 質量 quality {}",
                    SUBJECTS[language][(subject + 3) % 10]
                ),
            ],
            languages: vec![LANGUAGES[language].to_owned()],
            licence: LICENCES[n % 3].to_owned(),
            formats: vec![FORMATS[n % 4].to_owned(), FORMATS[(n / 4) % 4].to_owned()],
            bytes: (n as u64 + 1) << 20,
            price_fen: 100,
            shown: json!({ "title": title, "summary": summary }),
        }
    };
    (0..500).map(entry).collect()
}

fn thirty_queries_give_the_same_ids_on_both(database: &Database) {
    let store = database.store();
    let mut db = store.connection().unwrap();
    for entry in generated() {
        find::index(&mut db, &entry).unwrap();
    }
    let mut answered = String::new();
    for text in QUERIES {
        let query = Query {
            text: text.to_owned(),
            ..Query::default()
        };
        let rows = find::candidates(&mut db, &query).unwrap();
        let found = find::ranked(&query, rows, |row| Some(row.price_fen));
        let best: Vec<_> = found
            .hits
            .iter()
            .take(10)
            .map(|hit| format!("{}:{}", hit.seq, hit.score))
            .collect();
        answered += &format!("{text} = {} [{}]\n", found.hits.len(), best.join(" "));
    }
    // The same file for both: what one of them answers otherwise fails here.
    insta::assert_snapshot!("thirty_queries", answered);
}

fn a_facet_and_a_size_narrow_alike(database: &Database) {
    let store = database.store();
    let mut db = store.connection().unwrap();
    let all = generated();
    for entry in &all {
        find::index(&mut db, entry).unwrap();
    }
    for (language, format, licence) in [
        ("zh", "csv", "CC-BY-4.0"),
        ("it", "parquet", "LicenseRef-training"),
    ] {
        let query = Query {
            text: String::new(),
            language: Some(language.to_owned()),
            format: Some(format.to_owned()),
            licence: Some(licence.to_owned()),
            bytes_max: Some(100 << 20),
            price_max: None,
        };
        let rows = find::candidates(&mut db, &query).unwrap();
        let found: Vec<_> = rows
            .into_iter()
            .map(|row| u64::try_from(row.n).unwrap())
            .collect();
        let held = all.iter().rev().filter(|entry| {
            entry.languages.contains(&language.to_owned())
                && entry.formats.contains(&format.to_owned())
                && entry.licence == licence
                && entry.bytes <= 100 << 20
        });
        let expected: Vec<_> = held.map(|entry| entry.n).collect();
        assert!(!expected.is_empty());
        assert_eq!(found, expected);
    }
}

/// The newest listed version is found, of a recalled one its predecessor, of a withdrawn listing none; and what is gone for good
/// leaves its row.
fn what_is_withdrawn_or_recalled_is_found_no_more_and_the_newest_version_stands_for_a_listing(
    database: &Database,
) {
    let exchange = Exchange::start(database);
    let office = exchange.member(&["office"]).client;
    let vendor = Vendor::open(&exchange, "city-data");
    let first = vendor.list(&office, "dialogues", &[("a.jsonl", b"{\"a\":1}\n")]);
    let found = || {
        let found = exchange.nobody().get("/v1/search?q=dialogues").body;
        let items = found["items"].as_array().unwrap().clone();
        assert_eq!(found["total"], items.len());
        items
            .iter()
            .map(|hit| text(&hit["shown"]["version"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(), ["1.0.0"]);
    vendor.draft("dialogues", card(), &[("b.jsonl", b"{\"a\":2}\n")]);
    let next = vendor.submit("dialogues", "1.1.0", 200);
    assert_eq!(next.status, 201, "{}", next.text);
    assert_eq!(found(), ["1.0.0"]);
    let waiting = office.get("/v1/datasets/review").body;
    let manifest = waiting["items"][0]["manifest"].clone();
    let passed =
        json!({ "manifest": manifest, "passed": true, "report": waiting["items"][0]["report"] });
    office.done("/v1/datasets/assess", &passed);
    assert_eq!(found(), ["1.1.0"]);
    let recalled = json!({ "manifest": manifest, "notice": manifest });
    vendor.client.done("/v1/datasets/recall", &recalled);
    assert_eq!(found(), ["1.0.0"]);
    let withdrawn = json!({ "dataset": first.dataset });
    vendor.client.done("/v1/datasets/withdraw", &withdrawn);
    assert!(found().is_empty());
    let mut db = database.connect();
    let rows = find::candidates(&mut db, &Query::default()).unwrap();
    assert!(rows.is_empty(), "{rows:?}");
}
