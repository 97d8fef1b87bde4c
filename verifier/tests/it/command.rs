//! The command from outside: what it prints and how it exits.
#![expect(
    clippy::disallowed_methods,
    reason = "the command is tested on real files"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use verifier::audit::promise::{RefusalProof, refusal_leaf};
use verifier::id::{DocumentDigest, OrderId, PartyId, Salt, Sha256Hash};
use verifier::receipt;
use verifier::signature::Signer;
use verifier::trail::note::Note;
use verifier::trail::proof::Proof;
use verifier::trail::tile::Tiles;
use verifier::trail::{Flaw, FlawKind, TreeSize};

use crate::promise;
use crate::scoped;
use crate::story::{self, SIZE, Story, Trail};

/// A trail and its policy on disk.
struct Disk {
    folder: TempDir,
    story: Story,
}

impl Disk {
    fn new() -> Self {
        Self::of(Story::of(SIZE))
    }

    fn of(story: Story) -> Self {
        let trail = story.trail();
        Self::holding(story, trail)
    }

    fn holding(story: Story, trail: Trail) -> Self {
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
            story,
        };
        for (name, bytes) in trail.0 {
            let file = disk.trail().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        fs::write(disk.policy(), story::policy()).unwrap();
        disk
    }

    fn trail(&self) -> PathBuf {
        self.folder.path().join("trail")
    }

    fn policy(&self) -> PathBuf {
        self.folder.path().join("policy.txt")
    }

    fn audit(&self) -> Output {
        run(&[
            "audit".as_ref(),
            &self.trail(),
            "--policy".as_ref(),
            &self.policy(),
        ])
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn run(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quan-verify"))
        .args(arguments)
        .output()
        .unwrap()
}

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{page}{said}");
    page
}

#[test]
fn what_is_withheld_exits_1_until_its_scopes_are_declared() {
    let (story, trail) = scoped::of_one_fund();
    let disk = Disk::holding(story, trail);
    let audit = |more: &[&str]| {
        let (trail, policy) = (disk.trail(), disk.policy());
        let mut arguments: Vec<&Path> =
            vec!["audit".as_ref(), &trail, "--policy".as_ref(), &policy];
        arguments.extend(more.iter().map(Path::new));
        run(&arguments)
    };
    let page = exits(&audit(&[]), 1);
    assert!(
        page.starts_with("withheld: localhost/quan, 27 entries, 16 decided again, 0 differences"),
        "{page}"
    );
    let page = exits(&audit(&["--scope", "fund/sh-2026"]), 0);
    assert!(page.starts_with("agree: "), "{page}");
    for line in [
        "  withheld  11 entries, ",
        "  scope fund/sh-2026  12 seen, entry 26 states 12 before it",
        "  fund sh-2026  fund +0.77 CNY · treasury -0.77 CNY  (recomputed from the entries of this scope)",
        "  note: of what scopes a withheld entry is, ",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    let json = exits(
        &audit(&["--scope", "common", "--scope", "fund/sh-2026", "--json"]),
        0,
    );
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&report["verdict"], &report["withheld"]),
        (&"agree".into(), &11.into())
    );
    assert_eq!(report["scopes"][1]["scope"], "fund/sh-2026");
    // Declared is another fund than the one that is here.
    assert!(exits(&audit(&["--scope", "fund/pd-2026"]), 1).contains("trail.scope-gap"));
    exits(&audit(&["--scope", "city/310000"]), 2);
    // Nothing that is withheld stands in the way of what is told of the rest.
    let (trail, explain) = (disk.trail(), "explain");
    let told = run(&[explain.as_ref(), "26".as_ref(), "--trail".as_ref(), &trail]);
    assert!(exits(&told, 0).contains("book.sealed"));
    exits(
        &run(&[explain.as_ref(), "6".as_ref(), "--trail".as_ref(), &trail]),
        2,
    );
}

#[test]
fn an_audit_exits_0_where_all_agrees_and_1_on_each_kind_of_damage() {
    let disk = Disk::new();
    assert!(exits(&disk.audit(), 0).starts_with("agree: localhost/quan, 300 entries"));
    for name in [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/0/000.p/100",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ] {
        let file = disk.trail().join(name);
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 4;
        fs::write(&file, bad).unwrap();
        let page = exits(&disk.audit(), 1);
        assert!(page.contains(name), "{name}\n{page}");
        fs::remove_file(&file).unwrap();
        let earlier = i32::from(name != "tile/0/000.p/100");
        exits(&disk.audit(), earlier);
        fs::write(&file, good).unwrap();
    }
    let stray = disk.trail().join("tile/notes.txt");
    fs::write(&stray, "x").unwrap();
    assert!(exits(&disk.audit(), 1).contains("trail.stray"));
    fs::remove_file(&stray).unwrap();
    exits(&disk.audit(), 0);
}

#[test]
fn what_cannot_be_checked_exits_2() {
    let disk = Disk::new();
    let (trail, policy) = (disk.trail(), disk.policy());
    let audit: &Path = "audit".as_ref();
    let flag: &Path = "--policy".as_ref();
    let nowhere = disk.folder.path().join("nowhere");
    let bad_policy = disk.file("bad.txt", b"log x\n");
    let usages: [&[&Path]; 6] = [
        &[],
        &[audit, &trail],
        &[audit, &nowhere, flag, &policy],
        &[audit, &trail, flag, &nowhere],
        &[audit, &trail, flag, &bad_policy],
        &[audit, &policy, flag, &policy],
    ];
    for usage in usages {
        exits(&run(usage), 2);
    }
    let explain: &Path = "explain".as_ref();
    let flag: &Path = "--trail".as_ref();
    for subject in ["vch-x", "300", "ord-aaaaaaaaaaaaaaaa"] {
        exits(&run(&[explain, subject.as_ref(), flag, &trail]), 2);
    }
}

#[test]
fn the_json_report_has_the_verdict_and_every_difference() {
    let disk = Disk::new();
    fs::remove_file(disk.trail().join("tile/0/000")).unwrap();
    fs::remove_file(disk.trail().join("tile/1/000.p/1")).unwrap();
    let (trail, policy) = (disk.trail(), disk.policy());
    let output = run(&[
        "audit".as_ref(),
        &trail,
        "--json".as_ref(),
        "--policy".as_ref(),
        &policy,
    ]);
    let report: serde_json::Value = serde_json::from_str(&exits(&output, 1)).unwrap();
    assert_eq!(report["verdict"], "differ");
    assert_eq!(report["decided"], 300);
    assert_eq!(report["differences"][0]["at"]["file"], "tile/0/000");
    assert_eq!(report["differences"][1]["at"]["file"], "tile/1/000.p/1");
}

fn proof_of(disk: &Disk, index: u64) -> Vec<u8> {
    let mut tiles = Tiles::new(TreeSize::new(SIZE).unwrap(), |path| {
        let missing = |_| Flaw::new(FlawKind::Tile, "missing");
        fs::read(disk.trail().join(path.to_string())).map_err(missing)
    });
    let hashes = tiles.prove_inclusion(index).unwrap();
    let note = Note::parse(&fs::read(disk.trail().join("checkpoint")).unwrap()).unwrap();
    let entry = disk.story.entries[usize::try_from(index).unwrap()].clone();
    let proof = Proof::new(Some(entry), index, hashes, note).unwrap();
    proof.to_string().into_bytes()
}

#[test]
fn a_proof_shows_its_entry_only_if_it_holds() {
    let disk = Disk::new();
    let proof = proof_of(&disk, 257);
    let check = |bytes: &[u8]| {
        let file = disk.file("entry.tlog-proof", bytes);
        run(&["proof".as_ref(), &file, "--policy".as_ref(), &disk.policy()])
    };
    let page = exits(&check(&proof), 0);
    assert!(page.contains("fund.appropriated"), "{page}");
    assert!(page.contains("+0.07 CNY"), "{page}");
    for at in [30, 200, proof.len() - 300, proof.len() - 30] {
        let mut bad = proof.clone();
        bad[at] ^= 1;
        let page = exits(&check(&bad), 1);
        assert!(!page.contains("fund.appropriated"), "{page}");
    }
}

#[test]
fn an_entry_is_explained_by_its_number() {
    let disk = Disk::new();
    let (trail, flag) = (disk.trail(), "--trail".as_ref());
    let page = exits(&run(&["explain".as_ref(), "299".as_ref(), flag, &trail]), 0);
    assert!(page.starts_with("entry 299"), "{page}");
    assert!(page.contains("fund/sh-2026"), "{page}");
}

/// An acceptance by `party`, as a compact JWS.
fn acceptance(party: PartyId, signer: &Signer) -> String {
    let order = OrderId::draw(&Salt::new([3; 16]), 1, 0);
    let claims = serde_json::json!({
        "iss": party, "aud": story::ORIGIN, "sub": order, "seq": 0, "jti": format!("{order}.0"),
        "iat": 1_795_420_800, "digest": DocumentDigest::of(b"manifest"), "verdict": "accepted",
        "possession": Sha256Hash::of(b"chunks"),
    });
    let claims: receipt::DataAcceptance = serde_json::from_value(claims).unwrap();
    receipt::sign(&claims, signer)
}

#[test]
fn a_receipt_is_checked_with_its_signers_key() {
    let disk = Disk::new();
    let signer = Signer::from_seed(&[9; 32]);
    let compact = acceptance(disk.story.funder.0, &signer);
    let file = disk.file("receipt.jws", format!("{compact}\n").as_bytes());
    let check = |key: &str| run(&["receipt".as_ref(), &file, "--key".as_ref(), key.as_ref()]);
    assert!(exits(&check(&signer.public().x()), 0).contains("accepted"));
    exits(&check(&Signer::from_seed(&[8; 32]).public().x()), 1);
    exits(&check("x"), 2);
    exits(&run(&["receipt".as_ref(), &file]), 2);
    let cut = disk.file("cut.jws", &compact.as_bytes()[1..]);
    let key = signer.public().x();
    let output = run(&["receipt".as_ref(), &cut, "--key".as_ref(), key.as_ref()]);
    exits(&output, 1);
}

#[test]
fn a_receipts_key_and_its_owner_are_found_in_the_trail() {
    let mut story = Story::of(4);
    let (signer, exchanges) = (Signer::from_seed(&[9; 32]), Signer::from_seed(&[2; 32]));
    let buyer = story.buyer_with_key(&signer);
    let disk = Disk::of(story);
    let check = |compact: &str| {
        let file = disk.file("receipt.jws", compact.as_bytes());
        run(&["receipt".as_ref(), &file, "--trail".as_ref(), &disk.trail()])
    };
    exits(&check(&acceptance(buyer, &signer)), 0);
    let page = exits(&check(&acceptance(disk.story.funder.0, &signer)), 1);
    assert!(page.contains("receipt.issuer"), "{page}");
    exits(&check(&acceptance(disk.story.exchange.0, &exchanges)), 0);
    let stranger = Signer::from_seed(&[8; 32]);
    exits(&check(&acceptance(buyer, &stranger)), 2);
}

#[test]
fn a_reply_is_checked_against_the_trail() {
    let mut story = promise::asked(10);
    let replies = promise::refusals(&story);
    let seal = promise::seal(&mut story, &replies);
    let kept = promise::reply_to(&story.entries[9]);
    let disk = Disk::of(story);
    let check = |compact: &str, more: &[&Path]| {
        let file = disk.file("reply.jws", format!("{compact}\n").as_bytes());
        let (trail, policy) = (disk.trail(), disk.policy());
        let usual: [&Path; 6] = [
            "reply".as_ref(),
            &file,
            "--trail".as_ref(),
            &trail,
            "--policy".as_ref(),
            &policy,
        ];
        run(&[&usual[..], more].concat())
    };
    let page = exits(&check(&kept, &[]), 0);
    assert!(
        page.starts_with("agree: entry 9 is the one promised"),
        "{page}"
    );
    let mut forged = kept.clone();
    forged.truncate(kept.len() - 4);
    let page = exits(&check(&format!("{forged}AAAA"), &["--json".as_ref()]), 1);
    let report: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!(
        (&report["verdict"], &report["code"]),
        (&"differ".into(), &"receipt.signature".into())
    );
    // Whether it is under the seal cannot be told without its proof.
    exits(&check(&replies[3], &[]), 2);
    let leaves: Vec<_> = replies.iter().map(|jws| refusal_leaf(jws)).collect();
    let proof = RefusalProof::make(seal, 3, &leaves).unwrap();
    let proof = disk.file("proof.json", &serde_json::to_vec(&proof).unwrap());
    let page = exits(&check(&replies[3], &["--proof".as_ref(), &proof]), 0);
    assert!(page.contains("number 3 of 5"), "{page}");
    exits(&check(&replies[2], &["--proof".as_ref(), &proof]), 1);
}
