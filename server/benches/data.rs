//! What bytes of datasets cost, one file a bench in `data/`. `cargo bench --bench data -- NAME…` runs those alone.
//!
//! The real program, on SQLite where a name does not say otherwise, asked over loopback; client and server share the cores.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a bench prints, and a step that fails ends it"
)]

#[path = "support/client.rs"]
mod client;
#[path = "../tests/it/support/cluster.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod cluster;
#[path = "data/download.rs"]
mod download;
#[path = "../../verifier/benches/support/market.rs"]
#[expect(dead_code, reason = "the other benches use more of it")]
mod market;
#[path = "support/quan.rs"]
mod quan;
#[path = "../../verifier/benches/support/report.rs"]
mod report;
#[path = "data/search.rs"]
mod search;
#[path = "data/upload.rs"]
mod upload;
#[path = "data/vendor.rs"]
mod vendor;

/// The benches by the names that they report.
const BENCHES: &[(&str, fn())] = &[
    ("upload", upload::plain),
    ("checks", upload::checks),
    ("download_plain", download::plain),
    ("download_sealed", download::sealed),
    ("search_sqlite", search::sqlite),
    ("search_postgres", search::postgres),
];

fn main() {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    for (name, run) in BENCHES {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            run();
        }
    }
}
