//! The audit as one HTML file, opened in a real Chromium from disk: it checks what is pasted, and asks the network for nothing.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "the page lies on disk, and a test that is skipped says so"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use verifier::book::command;
use verifier::trail::note::Note;
use verifier::trail::proof::Proof;
use verifier::trail::tile::Tiles;
use verifier::trail::{Flaw, FlawKind, TreeSize};

use crate::golden;

const TRAIL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/trail/v1/trail");
const POLICY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/trail/v1/policy.txt"
);

/// A browser, or none: `scripts/need chromium` installs one where that is possible.
fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            let version = Command::new(name).arg("--version").output();
            version.is_ok_and(|output| output.status.success())
        })
}

/// The page as it stands after its script has run.
fn opened(browser: &str, page: &Path, fragment: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("file://{}#{fragment}", page.display()))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "%{byte:02X}");
        all
    })
}

fn page(folder: &Path) -> PathBuf {
    let file = folder.join("report.html");
    let output = Command::new(env!("CARGO_BIN_EXE_quan-verify"))
        .args(["audit", TRAIL, "--policy", POLICY, "--html"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    file
}

/// A usage receipt of the golden trail.
fn receipt() -> String {
    let found = golden::entries()
        .into_iter()
        .rev()
        .find_map(|entry| match entry.asked {
            command::Command::AcceptReceipt(asked) => {
                Some(asked.jws.receipt().compact().to_owned())
            }
            _ => None,
        });
    found.unwrap()
}

fn proof(index: u64) -> String {
    let trail = Path::new(TRAIL);
    let note = Note::parse(&fs::read(trail.join("checkpoint")).unwrap()).unwrap();
    let size: u64 = note.text().lines().nth(1).unwrap().parse().unwrap();
    let mut tiles = Tiles::new(TreeSize::new(size).unwrap(), |path| {
        let missing = |_| Flaw::new(FlawKind::Tile, "missing");
        fs::read(trail.join(path.to_string())).map_err(missing)
    });
    let hashes = tiles.prove_inclusion(index).unwrap();
    let entry = golden::entries()[usize::try_from(index).unwrap()]
        .to_bytes()
        .unwrap();
    Proof::new(Some(entry), index, hashes, note)
        .unwrap()
        .to_string()
}

/// The text with one character changed in the middle of a part.
fn flipped(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_page_is_one_file_that_may_ask_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let html = fs::read_to_string(page(folder.path())).unwrap();
    assert!(
        html.contains(
            "Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-"
        )
    );
    for word in [
        " src=",
        " href=",
        "@import",
        "url(",
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "@DATA@",
    ] {
        assert!(!html.contains(word), "{word}");
    }
    // What a trail says cannot end the element that it stands in.
    let data = html.split("id=\"data\">").nth(1).unwrap();
    let data = data.split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["report"]["verdict"], "agree");
}

#[test]
fn chromium_verifies_a_good_receipt_and_proof_and_refuses_flipped_ones() {
    let Some(browser) = chromium() else {
        println!("SKIPPED: no Chromium here; run scripts/need chromium");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = page(folder.path());
    let check = |kind: &str, text: &str| {
        opened(
            browser,
            &file,
            &format!("lang=en&{kind}={}", percent_encoded(text)),
        )
    };
    let (receipt, proof) = (receipt(), proof(257));
    let good = check("receipt", &receipt);
    assert!(good.contains("data-verdict=\"good\""), "{}", answer(&good));
    assert!(good.contains("accepted as entry"), "{}", answer(&good));
    assert!(
        good.contains("data-requests=\"0\""),
        "the page asked for something"
    );
    let dots: Vec<_> = receipt.match_indices('.').map(|(at, _)| at).collect();
    let bad = check("receipt", &flipped(&receipt, dots[1] + 20));
    assert!(
        bad.contains("data-code=\"receipt.signature\""),
        "{}",
        answer(&bad)
    );
    let bad = check("receipt", &flipped(&receipt, dots[0] + 40));
    assert!(bad.contains("data-verdict=\"refused\""), "{}", answer(&bad));
    let good = check("proof", &proof);
    assert!(good.contains("data-verdict=\"good\""), "{}", answer(&good));
    let bad = check("proof", &flipped(&proof, 400));
    assert!(bad.contains("data-verdict=\"refused\""), "{}", answer(&bad));
    let chinese = opened(browser, &file, "lang=zh");
    assert!(
        chinese.contains("审计报告") && chinese.contains("<svg"),
        "no page"
    );
}

fn answer(dom: &str) -> String {
    let from = dom.find("<output").unwrap_or(0);
    dom.get(from..)
        .unwrap_or_default()
        .chars()
        .take(400)
        .collect()
}
