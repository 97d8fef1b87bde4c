//! curl: an upload in one request, as its user types it (tus creation-with-upload).

use std::fs;

use crate::support::{Database, Exchange, Foreign};

#[test]
fn curl_uploads_a_file_in_one_request() {
    let database = Database::sqlite();
    let exchange = Exchange::start(&database);
    let vendor = exchange.member(&["vendor"]).client;
    let curl = Foreign::tool("curl");
    let path = curl.home().join("corpus.jsonl");
    fs::write(&path, "{\"text\":\"a\"}\n".repeat(10_000)).unwrap();
    let token = format!("Authorization: Bearer {}", vendor.token());
    let printed = curl
        .args(["--silent", "--show-error", "--fail-with-body", "--include"])
        .args(["-H", &token, "-H", "Tus-Resumable: 1.0.0"])
        .args(["-H", "Upload-Length: 130000"])
        .args(["-H", "Content-Type: application/offset+octet-stream"])
        .args(["--data-binary", &format!("@{}", path.display())])
        .args([format!("http://{}/v1/uploads", exchange.address())])
        .succeeds();
    let has = |line: &str| printed.lines().any(|it| it.eq_ignore_ascii_case(line));
    assert!(has("upload-offset: 130000"), "{printed}");
}
