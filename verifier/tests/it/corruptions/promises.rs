//! Signed replies against the trail, refusals against their seal, and single entries against their proof.

use verifier::audit::promise::{RefusalProof, read_reply, refusal_leaf};
use verifier::receipt::{Reply, req, sign};
use verifier::trail::note::Note;
use verifier::trail::proof::Proof;
use verifier::trail::tile::Tiles;
use verifier::trail::{Flaw, FlawKind, Hash, TreeSize};

use super::world::{ASKED, Case, REFUSALS, SIZE, World};
use super::{Row, says};
use crate::promise::{key, promise};

/// What the exchange has promised of the entry that came by a request.
fn promised(world: &World) -> Reply {
    let entry = &world.entries[ASKED];
    let read = verifier::book::entry::Entry::parse(entry).unwrap();
    promise(entry, read.at)
}

/// A reply is held against a trail.
fn held(case: Case, compact: &str) -> Case {
    case.beside("reply.jws", compact).command(&[
        "reply",
        "@reply.jws",
        "--trail",
        "@trail",
        "--policy",
        "@policy.txt",
    ])
}

fn against(case: Case, reply: &Reply) -> Case {
    held(case, &sign(reply, &key()))
}

/// An honest promise.
pub(super) fn kept(world: &World) -> Case {
    against(world.honest(), &promised(world))
}

/// A refusal under its seal, with the proof as this makes it.
pub(super) fn sealed(world: &World, change: impl FnOnce(&mut RefusalProof)) -> Case {
    let leaves: Vec<Hash> = world.refusals.iter().map(|jws| refusal_leaf(jws)).collect();
    let mut proof = RefusalProof::make(REFUSALS, 3, &leaves).unwrap();
    change(&mut proof);
    with_proof(world.honest(), &world.refusals[3], &proof)
}

fn with_proof(case: Case, compact: &str, proof: &RefusalProof) -> Case {
    let proof = serde_json::to_vec(proof).unwrap();
    held(case, compact)
        .beside("proof.json", proof)
        .asks(&["--proof", "@proof.json"])
}

/// Each is one reply.
pub(super) const ROWS: &[&[Row]] = &[ENTRIES, REFUSED];

const BROKEN: &str = "trail.promise-broken";

const ENTRIES: &[Row] = &[
    says(
        "the entry promised is another",
        |w| {
            let case = w.said(ASKED, r#""fen":9"#, r#""fen":8"#);
            against(case, &promised(w))
        },
        1,
        BROKEN,
    ),
    says(
        "the entry promised comes from another request",
        |w| {
            let other = req("POST", "/v1/funds/appropriate", b"{ }");
            let reply = Reply {
                req: Some(other),
                ..promised(w)
            };
            against(w.honest(), &reply)
        },
        1,
        BROKEN,
    ),
    says(
        "the entry promised is not there although the trail is newer",
        |w| {
            let reply = promised(w);
            let case = w.forged(|entries| entries.truncate(ASKED));
            let iat = reply.iat.after(-3_600);
            against(case, &Reply { iat, ..reply })
        },
        1,
        BROKEN,
    ),
    says(
        "the reply is forged",
        |w| {
            let other = verifier::signature::Signer::from_seed(&[70; 32]);
            held(w.honest(), &sign(&promised(w), &other))
        },
        1,
        "receipt.signature",
    ),
    says(
        "the reply is of another exchange",
        |w| {
            let iss = "elsewhere/quan".into();
            against(w.honest(), &Reply { iss, ..promised(w) })
        },
        1,
        "receipt.issuer",
    ),
    says(
        "the reply is no reply",
        |w| held(w.honest(), "eyJ.e30.AAAA"),
        1,
        "receipt.malformed",
    ),
    says(
        "the answer is not the one signed",
        |w| {
            kept(w)
                .beside("answer", "{ }")
                .asks(&["--answer", "@answer"])
        },
        1,
        "reply.answer",
    ),
    says(
        "the trail under a reply has another entry",
        |w| {
            let name = "tile/entries/001.p/128";
            let case = w.honest().edit(name, |bytes| {
                let at = bytes.len() - 5_000;
                bytes[at] ^= 1;
            });
            let seq = SIZE - 9;
            against(
                case,
                &Reply {
                    seq: Some(seq),
                    ..promised(w)
                },
            )
        },
        1,
        "trail.",
    ),
    says(
        "the entry promised is not there and may still come",
        |w| {
            let case = w.forged(|entries| entries.truncate(ASKED));
            against(case, &promised(w))
        },
        2,
        "may still come",
    ),
];

const REFUSED: &[Row] = &[
    says(
        "a refusal is not under the seal at that place",
        |w| sealed(w, |proof| proof.index = 2),
        1,
        "trail.root",
    ),
    says(
        "a refusal's proof is of another seal",
        |w| sealed(w, |proof| proof.seal = REFUSALS - 1),
        1,
        "trail.proof",
    ),
    says(
        "a refusal's proof has another size",
        |w| sealed(w, |proof| proof.size = 4),
        1,
        "trail.proof",
    ),
    says(
        "a refusal's proof is too short",
        |w| sealed(w, |proof| proof.hashes.truncate(1)),
        1,
        "trail.proof",
    ),
    says(
        "a refusal's place is behind the last one",
        |w| sealed(w, |proof| proof.index = 5),
        1,
        "trail.proof",
    ),
    says(
        "a refusal was left out of the seal",
        |w| {
            let leaves: Vec<Hash> = w.refusals.iter().map(|jws| refusal_leaf(jws)).collect();
            let proof = RefusalProof::make(REFUSALS, 3, &leaves).unwrap();
            let other = Reply {
                req: Some(req("POST", "/v1/funds", b"another")),
                ..read_reply(&w.refusals[3]).unwrap()
            };
            with_proof(w.honest(), &sign(&other, &key()), &proof)
        },
        1,
        "trail.root",
    ),
    says(
        "the seal has another root than its refusals",
        |w| {
            let text = String::from_utf8(w.entries[370].clone()).unwrap();
            let (_, rest) = text.split_once(r#""root":""#).unwrap();
            let root = rest.split_once('"').unwrap().0.to_owned();
            let other = verifier::id::Sha256Hash::of(b"x").to_string();
            let files = w.said(370, &root, &other).files;
            let mut case = sealed(w, |_| {});
            case.files = files;
            case
        },
        1,
        "trail.root",
    ),
    says(
        "a refusal's hour was never sealed",
        |w| {
            let reply = Reply {
                iat: read_reply(&w.refusals[0]).unwrap().iat.after(-7_200),
                ..read_reply(&w.refusals[0]).unwrap()
            };
            // Without the seal, the newest entry is long past the hour.
            let case = w.forged(|entries| entries.truncate(370));
            against(case, &reply)
        },
        1,
        "trail.promise-broken",
    ),
    says(
        "a refusal's proof is no JSON",
        |w| {
            held(w.honest(), &w.refusals[3])
                .beside("proof.json", "{")
                .asks(&["--proof", "@proof.json"])
        },
        1,
        "trail.proof",
    ),
];

/// The proof of an entry, in the bytes that this makes of the honest ones.
pub(super) fn proven(world: &World, change: impl FnOnce(String) -> String) -> Case {
    let case = world.honest();
    let mut tiles = Tiles::new(TreeSize::new(SIZE).unwrap(), |path| {
        let missing = || Flaw::new(FlawKind::Tile, "missing");
        case.files
            .0
            .get(&path.to_string())
            .cloned()
            .ok_or_else(missing)
    });
    let hashes = tiles.prove_inclusion(ASKED as u64).unwrap();
    let note = Note::parse(&case.files.0["checkpoint"]).unwrap();
    let entry = world.entries[ASKED].clone();
    let proof = Proof::new(Some(entry), ASKED as u64, hashes, note).unwrap();
    case.beside("entry.tlog-proof", change(proof.to_string()))
        .command(&["proof", "@entry.tlog-proof", "--policy", "@policy.txt"])
}

/// The lines of the honest proof, changed.
fn lines(world: &World, change: impl FnOnce(&mut Vec<String>)) -> Case {
    proven(world, |text| {
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        change(&mut lines);
        lines.join("\n")
    })
}

/// Each is one `.tlog-proof`: header, extra, index, hashes, an empty line, a checkpoint.
pub(super) const PROOFS: &[Row] = &[
    says(
        "a proof names another place",
        |w| lines(w, |lines| lines[2] = "index 368".into()),
        1,
        "trail.root",
    ),
    says(
        "a proof names a place behind the tree",
        |w| lines(w, |lines| lines[2] = "index 384".into()),
        1,
        "trail.proof",
    ),
    says(
        "a proof lacks a hash",
        |w| lines(w, |lines| drop(lines.remove(3))),
        1,
        "trail.proof",
    ),
    says(
        "a proof has a hash too many",
        |w| lines(w, |lines| lines.insert(3, lines[3].clone())),
        1,
        "trail.proof",
    ),
    says(
        "a proof has its hashes in another order",
        |w| lines(w, |lines| lines.swap(3, 4)),
        1,
        "trail.root",
    ),
    says(
        "a proof is of another entry",
        |w| {
            proven(w, |text| {
                let (before, rest) = text.split_once("extra ").unwrap();
                let (_, rest) = rest.split_once('\n').unwrap();
                format!("{before}extra e30=\n{rest}")
            })
        },
        1,
        "trail.root",
    ),
    says(
        "a proof has no entry",
        |w| lines(w, |lines| drop(lines.remove(1))),
        1,
        "trail.proof",
    ),
    says(
        "a proof says hint where extra belongs",
        |w| proven(w, |text| text.replace("extra ", "hint ")),
        1,
        "trail.proof",
    ),
    says(
        "a proof's index has a leading zero",
        |w| lines(w, |lines| lines[2] = "index 0369".into()),
        1,
        "trail.proof",
    ),
    says(
        "a proof is of another version",
        |w| proven(w, |text| text.replace("@v1", "@v2")),
        1,
        "trail.proof",
    ),
    says(
        "a proof's checkpoint has no cosignature",
        |w| {
            proven(w, |text| {
                let (before, _) = text.rsplit_once("— witness").unwrap();
                before.to_owned()
            })
        },
        1,
        "trail.quorum",
    ),
    says(
        "a proof's checkpoint is another",
        |w| proven(w, |text| text.replace("\n384\n", "\n385\n")),
        1,
        "trail.signature",
    ),
];
