//! A vendor who uploads files, drafts a listing and hands it in, by HTTP as everybody does.

use serde_json::{Value, json};

use super::exchange::{Answer, Client, Exchange, text};
use super::process::{A_MOMENT, PATIENCE};

/// A card that lacks nothing; its licence's text must be kept first: [`Vendor::open`] does.
const CARD: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/datasets/cards/dialogues.json"
));

/// The fixture's card, without rows to show.
pub(crate) fn card() -> Value {
    let mut card: Value = serde_json::from_str(CARD).unwrap();
    card["preview"] = json!([]);
    card
}

/// A vendor with a handle.
pub(crate) struct Vendor {
    pub(crate) party: String,
    pub(crate) client: Client,
    pub(crate) handle: String,
    /// The digest of the licence's text that it has kept.
    pub(crate) licence: String,
}

/// A version that is in the trail.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) manifest: String,
    pub(crate) dataset: String,
    /// The entry that published it.
    pub(crate) seq: u64,
}

impl Vendor {
    /// Admits a vendor and gives it a handle.
    pub(crate) fn open(exchange: &Exchange, handle: &str) -> Self {
        let member = exchange.member(&["vendor"]);
        member
            .client
            .done("/v1/handles", &json!({ "handle": handle }));
        let licence = member.client.done(
            "/v1/documents",
            &json!({ "text": "Creative Commons Attribution 4.0" }),
        );
        Self {
            party: member.party,
            client: member.client,
            handle: handle.to_owned(),
            licence: text(&licence["digest"]),
        }
    }

    /// Uploads a file in one request; returns its upload's id.
    pub(crate) fn upload(&self, path: &str, bytes: &[u8]) -> String {
        use base64::Engine as _;
        let name = base64::engine::general_purpose::STANDARD.encode(path);
        let made = self.client.send_bytes(
            "/v1/uploads",
            bytes,
            &[
                ("tus-resumable", "1.0.0"),
                ("upload-length", &bytes.len().to_string()),
                ("upload-metadata", &format!("filename {name}")),
                ("content-type", "application/offset+octet-stream"),
            ],
        );
        assert_eq!(made.status, 201, "{}", made.text);
        made.location.rsplit('/').next().unwrap().to_owned()
    }

    /// Waits until an upload is checked and stored; returns what is said of it.
    pub(crate) fn stored(&self, upload: &str) -> Value {
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            let shown = self.client.get(&format!("/v1/uploads/{upload}")).body;
            if shown["stored"] == true {
                return shown;
            }
            std::thread::sleep(A_MOMENT);
        }
        panic!("{upload} is not stored");
    }

    /// Drafts a listing with a card (its licence's text is put in) and files.
    pub(crate) fn draft(&self, name: &str, mut card: Value, files: &[(&str, &[u8])]) {
        card["licence"]["text"] = json!(self.licence);
        self.client
            .done("/v1/listings", &json!({ "name": name, "card": card }));
        for (path, bytes) in files {
            let upload = self.upload(path, bytes);
            self.stored(&upload);
            self.client.done(
                &format!("/v1/listings/{}/{name}/files", self.handle),
                &json!({ "upload": upload, "path": path }),
            );
        }
    }

    /// Hands a draft in.
    pub(crate) fn submit(&self, name: &str, version: &str, fen: i64) -> Answer {
        self.client.post(
            &format!("/v1/listings/{}/{name}/submit", self.handle),
            &json!({ "version": version, "price_fen": fen }),
        )
    }

    /// Drafts, hands in and insists on a yes.
    pub(crate) fn publish(&self, name: &str, files: &[(&str, &[u8])], fen: i64) -> Listed {
        self.publish_as(name, card(), files, fen)
    }

    /// The same with another card.
    pub(crate) fn publish_as(
        &self,
        name: &str,
        card: Value,
        files: &[(&str, &[u8])],
        fen: i64,
    ) -> Listed {
        self.draft(name, card, files);
        let version = "1.0.0";
        let answer = self.submit(name, version, fen);
        assert_eq!(answer.status, 201, "{}", answer.text);
        let dataset = text(&answer.body["found"]["dataset"]);
        let shown = self.client.get("/v1/datasets");
        let items = shown.body["items"].as_array().unwrap();
        let found = items
            .iter()
            .find(|item| item["dataset"] == dataset.as_str());
        let newest = found.unwrap()["versions"].as_array().unwrap().last();
        Listed {
            manifest: text(&newest.unwrap()["manifest"]),
            dataset,
            seq: answer.body["seq"].as_u64().unwrap(),
        }
    }

    /// Publishes, and an office assesses it as good: it is for sale.
    pub(crate) fn list(&self, office: &Client, name: &str, files: &[(&str, &[u8])]) -> Listed {
        let listed = self.publish(name, files, 50_000_000);
        listed.pass(office);
        listed
    }
}

impl Listed {
    /// An office assesses it as good.
    pub(crate) fn pass(&self, office: &Client) {
        let report = verifier::id::DocumentDigest::of(b"report");
        let passed = json!({ "manifest": self.manifest, "passed": true, "report": report });
        office.done("/v1/datasets/assess", &passed);
    }
}
