//! mlcroissant: a version's document is valid without a warning, and whoever may have the version loads every record of it.

use serde_json::json;

use crate::support::{Database, Exchange, Foreign, Vendor};

const DIALOGUE: &[u8] = include_bytes!("../../../../fixtures/datasets/corpus/dialogue.jsonl");
const TURNS: &[u8] = include_bytes!("../../../../fixtures/datasets/corpus/turns.parquet");
const TERMS: &[u8] =
    "zh,en,kind\r\n预约,make an appointment,need\r\n\"中午, 十二点\",at noon,time\r\n".as_bytes();
const SCORES: &[u8] = include_bytes!("../../../../fixtures/datasets/scores.parquet");

#[test]
fn mlcroissant_finds_no_fault_and_loads_every_record() {
    let exchange = Exchange::start(&Database::sqlite());
    let office = exchange.member(&["office"]).client;
    let vendor = Vendor::open(&exchange, "city-data");
    let files: [(&str, &[u8]); 7] = [
        ("dialogue.jsonl", DIALOGUE),
        ("turns.parquet", TURNS),
        ("terms.csv", TERMS),
        ("data/评分 1.parquet", SCORES),
        (
            "all.json",
            b"[{\"a\":1,\"b c\":\"x\"},{\"a\":2,\"b c\":\"y\"}]",
        ),
        ("tab.tsv", b"a\tb\n1\tx\n2\ty\n3\tz\n"),
        // No reader that goes by the name finds its columns: it is listed as a file alone.
        ("odd.csv", b"a;b\n1;x\n2;y\n"),
    ];
    vendor.list(&office, "dialogues", &files);
    let rows = json!({
        "dialogue.jsonl": 400, "turns.parquet": 1200, "terms.csv": 2, "data/评分 1.parquet": 3, "all.json": 2, "tab.tsv": 3,
    });
    Foreign::script("croissant.py")
        .env("QUAN_URL", format!("http://{}", exchange.address()))
        .env("QUAN_TOKEN", vendor.client.token())
        .env("QUAN_LISTING", "city-data/dialogues/1.0.0")
        .env("QUAN_ROWS", rows.to_string())
        .succeeds();
}
