//! The demo, as whoever clones the project runs it: the program itself, its page, its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use verifier::audit::{Depth, Place, Verdict, audit};
use verifier::trail::history::COUNT;
use verifier::trail::policy::Policy;

use crate::support::{Trail, quan_verify};

/// How many bytes of each file are flipped, evenly spread; the whole trail is audited anew each time.
const FLIPS: usize = 16;

fn demo(data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quan"));
    command.args(["demo", "--once", "--data"]).arg(data);
    command.output().unwrap()
}

fn policy(data: &Path) -> Policy {
    Policy::parse(&fs::read(data.join("policy.txt")).unwrap()).unwrap()
}

#[test]
fn the_demo_agrees_with_its_own_trail_and_any_flipped_byte_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let data: PathBuf = folder.path().join("demo");
    let played = demo(&data);
    let page = String::from_utf8(played.stdout).unwrap();
    let faults = String::from_utf8_lossy(&played.stderr).into_owned();
    assert!(played.status.success(), "{faults}\n{page}");

    let (mut trail, policy) = (Trail::read(&data.join("trail")), policy(&data));
    let report = trail.audit(&policy);
    assert_eq!(report.verdict, Verdict::Agree, "{:?}", report.differences);
    assert!(page.contains("Audit of the trail's files: agree"), "{page}");
    assert!(page.contains(&format!("  {} entries, ", report.entries)));
    assert!(page.contains(report.root.as_deref().unwrap()));
    for fund in &report.funds {
        let row = page
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = row
            .filter(|row| row.len() == 8)
            .find(|row| row[0] == fund.fund.as_str());
        let row = row.unwrap_or_else(|| panic!("{} is not on the page", fund.fund));
        assert_eq!(row[1..], columns(&fund.fen), "{}", fund.fund);
    }
    // All but what the meter has sent: each was answered over a signature, and each promise is kept.
    let kept = page.lines().find(|line| line.contains(" signed replies "));
    let kept: Option<u64> = kept.and_then(|line| line.split_whitespace().next()?.parse().ok());
    assert!(kept > Some(report.entries / 2), "{page}");
    assert!(!page.contains("a reply does not hold"), "{page}");
    told(&page);
    flip(&mut trail, &policy);
    damage(&trail, &data);
    drop_needed(&data, report.size.unwrap());
}

/// What the page shows of a fund: appropriated, committed, held, earned, payable, paid, owed.
fn columns(fen: &BTreeMap<String, i64>) -> [String; 7] {
    let of = |class: &str| fen.get(class).copied().unwrap_or(0);
    [
        -of("treasury"),
        of("voucher"),
        of("hold"),
        of("earned"),
        of("payable") + of("transit"),
        of("paid"),
        of("owed"),
    ]
    .map(yuan)
}

/// What the story must have brought about, with amounts worked out by hand from the exports and prices.
fn told(page: &str) {
    for code in [
        "programme.status",
        "programme.unique",
        "delivery.entitlement",
        "receipt.chain",
        "receipt.overlap",
        "receipt.capacity",
    ] {
        assert!(page.contains(&format!("  {code} ")), "{code}");
    }
    for line in [
        // 1,504,396 GPU-seconds at 21.80 an hour, corrected once, and 80 % of that.
        "shanghai-models at east, acct-a: 9,109.95 used of 19,999.99",
        "shanghai-compute-2025-press  granted 7,287.96",
        // 20 % from province and city together, and 20 % of the city's own on top.
        "zhengzhou-medicine at west-a, acct-d: 1,669.80",
        "henan-compute-2023           granted 333.96",
        "zhengzhou-compute-2024       granted 333.96",
        // 30 % of 80,000, of which 4,800 waited for a receipt that names the corpus.
        "shanghai-corpus-2025         granted 24,000.00",
        // Uploaded, assessed, found in Chinese, downloaded as the hub's clients do.
        "corpus-house/dialogues 1.0.0, 办事对话语料: found as 对话语料 at 80,000.00",
        "2 files of 77218 bytes came by the Hugging Face hub's protocol",
        "of these 2 corrections",
        "was clawed back",
        "ningbo-compute-2025          -            pending",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
}

/// The byte of a file that is flipped as this sample, and the bit.
fn sampled(length: usize, sample: usize) -> (usize, u8) {
    let at = sample * length.saturating_sub(1) / (FLIPS - 1);
    (at, 1 << (sample % 8))
}

fn is_history(name: &str) -> bool {
    name.starts_with("history/")
}

/// Whatever byte is changed, the audit differs and names the file: already there, before anything is decided again.
fn flip(trail: &mut Trail, policy: &Policy) {
    for place in 0..trail.0.len() {
        let (name, length) = (trail.0[place].0.clone(), trail.0[place].1.len());
        // How many notes the history has is unsigned: one that is too small is not found.
        if name == COUNT {
            continue;
        }
        for (at, bit) in (0..FLIPS).map(|sample| sampled(length, sample)) {
            trail.0[place].1[at] ^= bit;
            let report = audit(trail, policy, Depth::Trail).unwrap();
            trail.0[place].1[at] ^= bit;
            assert_eq!(report.verdict, Verdict::Differ, "{name}, byte {at}");
            let mut places = report.differences.iter().map(|found| &found.at);
            // Of two parts of the history that differ, the narrower one is named.
            let named = places.any(|at| match at {
                Place::File(file) if is_history(&name) => is_history(file),
                at @ (Place::File(_) | Place::Entry(_)) => *at == Place::File(name.clone()),
            });
            assert!(named, "{name}, byte {at}: {:?}", report.differences);
        }
    }
}

/// The command on the folder itself, one byte of each file: it exits 1 and its page names the file.
fn damage(trail: &Trail, data: &Path) {
    for (number, (name, good)) in trail.0.iter().enumerate() {
        if name == COUNT {
            continue;
        }
        let (at, bit) = sampled(good.len(), number % FLIPS);
        let file = data.join("trail").join(name);
        let mut bad = good.clone();
        bad[at] ^= bit;
        fs::write(&file, bad).unwrap();
        differs(data, if is_history(name) { "history/" } else { name });
        fs::write(&file, good).unwrap();
    }
    agrees(data);
}

/// A file that the checkpoint needs is gone, or one lies there that no trail has.
fn drop_needed(data: &Path, size: u64) {
    let width = size % 256;
    let partial = |of: &str| format!("tile/{of}/001.p/{width}");
    for name in [
        "checkpoint".to_owned(),
        "tile/0/000".to_owned(),
        "tile/1/000.p/1".to_owned(),
        "tile/entries/000".to_owned(),
        partial("0"),
        partial("entries"),
    ] {
        let (file, away) = (data.join("trail").join(&name), data.join("away"));
        fs::rename(&file, &away).unwrap();
        differs(data, &name);
        fs::rename(&away, &file).unwrap();
    }
    for name in ["notes.txt", "tile/0/000#1", "tile/0/002"] {
        let stray = data.join("trail").join(name);
        fs::write(&stray, "x").unwrap();
        differs(data, name);
        fs::remove_file(&stray).unwrap();
    }
    agrees(data);
    let missing = quan_verify(&data.join("nowhere"), &data.join("policy.txt"));
    assert_eq!(missing.status.code(), Some(2));
}

#[track_caller]
fn differs(data: &Path, name: &str) {
    let (code, page) = audited(data);
    assert_eq!(code, Some(1), "{name}: {page}");
    let end = if name.ends_with('/') { "" } else { "  " };
    let named = page.contains(&format!("  {name}{end}"));
    assert!(named, "{name} is not named: {page}");
}

#[track_caller]
fn agrees(data: &Path) {
    let (code, page) = audited(data);
    assert_eq!(code, Some(0), "{page}");
}

/// How the command exits on the demo's trail, and what it says.
fn audited(data: &Path) -> (Option<i32>, String) {
    let audited = quan_verify(&data.join("trail"), &data.join("policy.txt"));
    let page = [audited.stdout, audited.stderr].concat();
    (audited.status.code(), String::from_utf8(page).unwrap())
}

/// Fen as the page writes them.
fn yuan(fen: i64) -> String {
    let (whole, part) = ((fen / 100).to_string(), fen % 100);
    let places = (0..whole.len()).filter(|at| *at > 0 && (whole.len() - at).is_multiple_of(3));
    let mut text = whole.clone();
    for at in places.collect::<Vec<_>>().into_iter().rev() {
        text.insert(at, ',');
    }
    format!("{text}.{part:02}")
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    let refused = demo(folder.path());
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not empty"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
