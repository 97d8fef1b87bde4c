//! `quan dataset accept`, the program itself: a buyer's folder is held against what was delivered, and signed for.

use serde_json::json;
use server::clock::Clock;
use server::keys;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use verifier::id::DocumentDigest;
use verifier::receipt::KeyUse;
use verifier::signature::Signer;
use verifier::time::UtcOffset;

use super::stage::Stage;
use crate::support::process::{A_MOMENT, PATIENCE};
use crate::support::{Database, Listed, Vendor, folder, register_key, text};

const SEED: [u8; 32] = [11; 32];
const DAY: i64 = 86_400;

struct Bought {
    stage: Stage,
    listed: Listed,
    order: String,
}

impl Bought {
    /// Files that are listed, and an order for them. The program reads the machine's clock, so the exchange stands at that time.
    fn open(database: &Database, files: &[(&str, &[u8])]) -> Self {
        let now = Clock::real().now().unwrap();
        // Cards are shared by whole hours.
        let hour = now.after(-(now.unix() % 3_600));
        let stage = Stage::open(database, &hour.to_string());
        stage.on(&now.to_string());
        stage.fund("w12-city", "f-finance");
        stage.enact("w12-data");
        let signer = Signer::from_seed(&SEED);
        register_key(&stage.exchange, &stage.buyer, KeyUse::Acceptance, &signer);
        let vendor = Vendor::open(&stage.exchange, "corpus-house");
        let listed = vendor.list(&stage.office.client, "dialogues", files);
        let day = |days: i64| now.after(days * DAY).local_day(UtcOffset::CHINA);
        let contract = json!({
            "digest": DocumentDigest::of(b"contract"), "fen": 50_000_000,
            "signed_on": day(-1), "from": day(-1), "to": day(300),
        });
        let voucher = stage.voucher(&stage.buyer, "w12-data", &contract);
        let asked = json!({
            "seller": vendor.party, "contract": contract,
            "segments": [{ "dataset": listed.manifest, "from": now, "to": now.after(30 * DAY) }],
            "claims": [{ "voucher": voucher.id, "hold_fen": voucher.face }],
        });
        let order = text(&stage.buyer.client.done("/v1/orders", &asked)["found"]["order"]);
        Self {
            stage,
            listed,
            order,
        }
    }

    fn download(&self, path: &str, dir: &Path) {
        let from = format!("/v1/files/{}/{path}", self.listed.manifest);
        let got = self.stage.buyer.client.fetch(&from, &[]);
        assert_eq!(got.status, 200);
        let to = dir.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, got.bytes).unwrap();
    }

    fn state(&self) -> String {
        let path = format!("/v1/orders/{}/deliveries", self.order);
        text(&self.stage.buyer.client.get(&path).body["items"][0]["state"])
    }

    /// All of it went out, and is signed.
    fn waits_for_its_buyer(&self) {
        let begun = Instant::now();
        while self.state() != "delivered" {
            assert!(begun.elapsed() < PATIENCE, "{}", self.state());
            std::thread::sleep(A_MOMENT);
        }
    }

    #[track_caller]
    fn accept(&self, (dir, key): (&Path, &Path), more: &[&str], code: i32) -> String {
        self.stage.on(&Clock::real().now().unwrap().to_string());
        let ran = Command::new(env!("CARGO_BIN_EXE_quan"))
            .args(["dataset", "accept", &self.order])
            .arg(dir)
            .arg("--key")
            .arg(key)
            .args(more)
            .arg("--server")
            .arg(format!("http://{}", self.stage.exchange.address()))
            .env("QUAN_API_KEY", self.stage.buyer.client.token())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned()
            + &String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{said}");
        said
    }
}

#[test]
fn a_buyer_signs_for_what_came_whole_and_for_nothing_else() {
    let (database, folder) = (Database::sqlite(), folder());
    let rows = |from: u32| -> String {
        let row = |i: u32| format!("{{\"n\":{i},\"text\":\"row {i}\"}}\n");
        (from..from + 300).map(row).collect()
    };
    let (first, second) = (rows(0), rows(900));
    let files = [
        ("test.jsonl", first.as_bytes()),
        ("train/a.jsonl", second.as_bytes()),
    ];
    let bought = Bought::open(&database, &files);
    let (dir, key) = (folder.path().join("data"), folder.path().join("buyer.key"));
    keys::write_secret(&key, &SEED).unwrap();
    bought.download("test.jsonl", &dir);
    let early = bought.accept((&dir, &key), &[], 1);
    let missing = format!("{} bytes of it have not gone out yet", second.len());
    assert!(early.contains(&missing), "{early}");
    bought.download("train/a.jsonl", &dir);
    bought.waits_for_its_buyer();
    fs::write(dir.join("test.jsonl"), first.replace("row 7\"", "row 8\"")).unwrap();
    let other = bought.accept((&dir, &key), &[], 1);
    assert!(other.contains("differs: test.jsonl ("), "{other}");
    assert!(other.contains("nothing is signed"), "{other}");
    assert_eq!(bought.state(), "delivered");
    fs::write(dir.join("test.jsonl"), &first).unwrap();
    fs::write(dir.join("README.md"), "the hub's, not the manifest's").unwrap();
    let done = bought.accept((&dir, &key), &[], 0);
    let bytes = first.len() + second.len();
    assert!(
        done.contains(&format!(
            "2 files, {bytes} bytes are as delivered; accepted"
        )),
        "{done}"
    );
    assert_eq!(bought.state(), "accepted");
    let again = bought.accept((&dir, &key), &[], 1);
    assert!(
        again.contains("spoken on this delivery already: accepted"),
        "{again}"
    );
}

#[test]
fn what_came_whole_and_is_not_what_was_ordered_is_a_defect() {
    let (database, folder) = (Database::sqlite(), folder());
    let row = "{\"text\":\"the same line\"}\n".repeat(50);
    let bought = Bought::open(&database, &[("a.jsonl", row.as_bytes())]);
    let (dir, key) = (folder.path().join("data"), folder.path().join("buyer.key"));
    keys::write_secret(&key, &SEED).unwrap();
    bought.download("a.jsonl", &dir);
    bought.waits_for_its_buyer();
    let said = bought.accept((&dir, &key), &["--defect"], 0);
    assert!(said.contains("reported as defective"), "{said}");
    assert_eq!(bought.state(), "defect");
    let order = format!("/v1/orders/{}", bought.order);
    let order = bought.stage.buyer.client.get(&order).body;
    assert_eq!(order["claims"][0]["granted_fen"], 0, "{order}");
}
