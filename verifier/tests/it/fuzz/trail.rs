//! The log's own formats: notes, keys, paths, tiles, bundles, proofs, policies, and what witnesses are asked and answer.

use std::collections::BTreeSet;

use verifier::signature::Signer;
use verifier::trail::bundle::{self, BundlePath};
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::history::{self, HistoryPath};
use verifier::trail::key::{KeyName, VerifierKey};
use verifier::trail::note::{Note, SignatureLine};
use verifier::trail::policy::Policy;
use verifier::trail::proof::Proof;
use verifier::trail::tile::{self, TilePath, Tiles};
use verifier::trail::tree::{Frontier, leaf_hash};
use verifier::trail::witness::{AddCheckpoint, Answer, SIZE_TYPE, Seen, decide, read_answer};
use verifier::trail::{Flaw, FlawKind, HASH_BYTES, Hash, TreeSize};

use super::noise::drive;
use crate::past::{START, cosigned, policy_text, witness};
use crate::story::{self, Story};

const SIZES: [usize; 4] = [0, 1, 12, 20];

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn policy() -> Policy {
    Policy::parse(policy_text().as_bytes()).unwrap()
}

fn notes(story: &Story) -> Vec<Vec<u8>> {
    let note = |size| cosigned(&story.entries[..size], START + 60).into_bytes();
    SIZES.into_iter().map(note).collect()
}

/// What the log has signed: nothing else may ever verify.
fn signed(notes: &[Vec<u8>]) -> BTreeSet<String> {
    let text = |note: &Vec<u8>| Note::parse(note).unwrap().text().to_owned();
    notes.iter().map(text).collect()
}

#[test]
fn a_note_prints_as_it_was_read_and_verifies_as_it_was_signed() {
    let notes = notes(&Story::of(20));
    let (policy, signed) = (policy(), signed(&notes));
    drive("note", 1, &notes, |bytes| {
        let Ok(note) = Note::parse(bytes) else {
            return false;
        };
        assert_eq!(note.to_string().as_bytes(), bytes);
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            assert_eq!(checkpoint.to_string(), note.text());
        }
        if let Ok(verified) = policy.check(&note) {
            assert!(signed.contains(note.text()));
            let times = verified.cosignatures().iter().map(|by| by.time);
            assert!(times.into_iter().all(|time| time == START + 60));
        }
        true
    });
}

#[test]
fn signature_lines_print_as_they_were_read() {
    let notes = notes(&Story::of(20));
    let lines = |note: &Vec<u8>| {
        let note = Note::parse(note).unwrap();
        let lines = note.signatures().iter().map(ToString::to_string);
        lines.collect::<String>().into_bytes()
    };
    let seeds: Vec<_> = notes.iter().map(lines).collect();
    drive("lines", 1, &seeds, |bytes| {
        let read = text(bytes).and_then(|text| SignatureLine::parse_all(text).ok());
        let printed = read.map(|lines| lines.iter().map(ToString::to_string).collect::<String>());
        printed.is_some_and(|printed| {
            assert_eq!(printed.as_bytes(), bytes);
            true
        })
    });
}

#[test]
fn a_key_prints_as_it_was_read() {
    let seeds = [story::log_key(), witness().key().clone()];
    let seeds = seeds.map(|key| key.to_string().into_bytes());
    drive("vkey", 1, &seeds, |bytes| {
        let key = text(bytes).and_then(|text| VerifierKey::parse(text).ok());
        key.is_some_and(|key| {
            assert_eq!(key.to_string().as_bytes(), bytes);
            assert_eq!(key.name(), &KeyName::parse(key.name().as_str()).unwrap());
            true
        })
    });
}

#[test]
fn a_path_prints_as_it_was_read() {
    let seeds = [
        "tile/0/000",
        "tile/3/x001/x234/067.p/112",
        "tile/entries/x001/000.p/1",
        "tile/entries/999",
        "history/x001/234.p/5",
        "redacted/fund/sh-2026/000.p/27",
        "redacted/region/310000/x001/000",
        "redacted/common/000",
    ];
    let seeds = seeds.map(|path| path.as_bytes().to_vec());
    drive("path", 1, &seeds, |bytes| {
        let Some(text) = text(bytes) else {
            return false;
        };
        let printed = [
            TilePath::parse(text).map(|path| {
                assert!(path.byte_length() <= tile::TILE_BYTES);
                path.to_string()
            }),
            BundlePath::parse(text).map(|path| path.to_string()),
            HistoryPath::parse(text).map(|path| path.to_string()),
            verifier::book::redacted::RedactedPath::parse(text).map(|path| path.to_string()),
        ];
        let printed: Vec<_> = printed.into_iter().flatten().collect();
        assert!(printed.iter().all(|printed| printed == text));
        assert!(printed.len() < 2);
        !printed.is_empty()
    });
}

#[test]
fn tiles_bundles_histories_and_right_edges_print_as_they_were_read() {
    let story = Story::of(20);
    let trail = crate::past::seen_at(&story, &[1, 12]).0;
    let tile = trail["tile/0/000.p/20"].clone();
    drive("tile", 1, &[tile], |bytes| {
        let hashes = tile::tile_hashes(bytes);
        hashes.is_ok_and(|hashes| {
            let again: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
            assert_eq!((again.as_slice(), bytes.len() % HASH_BYTES), (bytes, 0));
            true
        })
    });
    let bundle = trail["tile/entries/000.p/20"].clone();
    drive("bundle", 1, &[bundle], |bytes| {
        let read = bundle::decode(bytes, 20);
        read.is_ok_and(|entries| {
            assert_eq!(bundle::encode(entries).unwrap(), bytes);
            true
        })
    });
    let part = trail["history/000.p/2"].clone();
    drive("history", 1, &[part], |bytes| {
        let read = history::decode(bytes, 2);
        read.is_ok_and(|notes| {
            let notes: Vec<String> = notes.iter().map(|(note, _)| note.to_string()).collect();
            let again = history::encode(notes.iter().map(String::as_str));
            assert_eq!(again.unwrap(), bytes);
            true
        })
    });
    drive(
        "count",
        1,
        &[b"2\n".to_vec(), b"71234\n".to_vec()],
        |bytes| {
            let read = history::decode_count(bytes);
            read.is_ok_and(|count| {
                assert_eq!(history::encode_count(count).as_bytes(), bytes);
                true
            })
        },
    );
    let mut edge = Frontier::empty();
    let leaves = story.entries.iter().map(|entry| leaf_hash(entry));
    leaves.for_each(|leaf| edge.append(leaf));
    drive(
        "edge",
        1,
        &[edge.to_bytes(), Frontier::empty().to_bytes()],
        |bytes| {
            let read = Frontier::from_bytes(bytes);
            read.is_ok_and(|edge| {
                let _any = edge.root();
                assert_eq!(edge.to_bytes(), bytes);
                true
            })
        },
    );
}

/// The tiles of a story, to prove from.
fn tiles(story: &Story, size: u64) -> Tiles<impl FnMut(TilePath) -> Result<Vec<u8>, Flaw>> {
    let trail = story.trail().0;
    Tiles::new(TreeSize::new(size).unwrap(), move |path| {
        let missing = || Flaw::new(FlawKind::Tile, "missing");
        trail.get(&path.to_string()).cloned().ok_or_else(missing)
    })
}

#[test]
fn a_proof_prints_as_it_was_read_and_proves_what_is_there() {
    let story = Story::of(20);
    let note = Note::parse(notes(&story).last().unwrap()).unwrap();
    let proof = |index: u64| {
        let hashes = tiles(&story, 20).prove_inclusion(index).unwrap();
        let entry = story.entries[usize::try_from(index).unwrap()].clone();
        let proof = Proof::new(Some(entry), index, hashes, note.clone()).unwrap();
        proof.to_string().into_bytes()
    };
    let (policy, seeds) = (policy(), [proof(0), proof(7), proof(19)]);
    drive("proof", 1, &seeds, |bytes| {
        let Ok(proof) = Proof::parse(bytes) else {
            return false;
        };
        assert_eq!(proof.to_string().as_bytes(), bytes);
        if let Ok((entry, _)) = proof.verify_extra(&policy) {
            let at = usize::try_from(proof.index()).unwrap();
            assert_eq!(story.entries[at], entry);
        }
        true
    });
}

#[test]
fn no_policy_makes_its_reader_panic() {
    let (log, witness) = (story::log_key(), witness());
    let grouped = format!(
        "# whom to trust\nlog {log} https://localhost/quan\nwitness w {}\nwitness v {}\n\
         group both 2 w v\nquorum both\n",
        witness.key(),
        "sigsum.org+e4ade967+AZuUY6B08pW3QVHu8uvsrxWPcAv9nykap2Nb4oxCee+r"
    );
    let seeds = [
        policy_text(),
        grouped
            .replace("witness v", "# v")
            .replace("2 w v", "any w"),
    ];
    let seeds = seeds.map(String::into_bytes);
    let note = Note::parse(&notes(&Story::of(20))[3]).unwrap();
    drive("policy", 1, &seeds, |bytes| {
        let read = Policy::parse(bytes);
        read.is_ok_and(|policy| {
            let _any = policy.check(&note);
            assert!(
                policy
                    .logs()
                    .iter()
                    .all(|log| !log.key.name().as_str().is_empty())
            );
            true
        })
    });
}

/// From 12 entries to 20.
fn asked(story: &Story) -> (AddCheckpoint, Seen) {
    let old = TreeSize::new(12).unwrap();
    let hashes = tiles(story, 20).prove_consistency(old).unwrap();
    let notes = notes(story);
    let note = Note::parse(&notes[3]).unwrap();
    let before = Note::parse(&notes[2]).unwrap();
    let root = Checkpoint::parse(before.text()).unwrap().root();
    let last = Seen {
        size: old,
        root,
        time: START,
    };
    (AddCheckpoint::new(old, hashes, note).unwrap(), last)
}

#[test]
fn a_witness_is_asked_in_one_spelling_and_cosigns_only_what_continues() {
    let story = Story::of(20);
    let (request, last) = asked(&story);
    let first = Note::parse(&notes(&story)[1]).unwrap();
    let first = AddCheckpoint::new(TreeSize::ZERO, Vec::new(), first).unwrap();
    let seeds = [request.to_string(), first.to_string()].map(String::into_bytes);
    let (policy, cosigner, signed) = (policy(), witness(), signed(&notes(&story)));
    drive("add-checkpoint", 1, &seeds, |bytes| {
        let Ok(read) = AddCheckpoint::parse(bytes) else {
            return false;
        };
        assert_eq!(read.to_string().as_bytes(), bytes);
        for last in [None, Some(last)] {
            match decide(&policy, &cosigner, last, &read, START) {
                Ok(cosigned) => {
                    assert!(signed.contains(cosigned.note.text()));
                    assert!(cosigned.seen.size >= last.map_or(TreeSize::ZERO, |seen| seen.size));
                }
                Err(refused) => assert!((400..500).contains(&refused.status())),
            }
        }
        true
    });
}

#[test]
fn no_answer_of_a_witness_is_believed_that_it_has_not_signed() {
    let story = Story::of(20);
    let (request, _) = asked(&story);
    let cosigner = witness();
    let line = cosigner.cosign(request.checkpoint(), START + 7).unwrap();
    let other = Signer::from_seed(&[9; 32]);
    let name = KeyName::parse("witness.example/x").unwrap();
    let other = verifier::trail::cosignature::Cosigner::new(name, other);
    let more = other.cosign(request.checkpoint(), START).unwrap();
    let seeds = [
        format!("{line}"),
        format!("{more}{line}"),
        "5\n".into(),
        "21\n".into(),
    ];
    let seeds = seeds.map(String::into_bytes);
    drive("answer", 1, &seeds, |bytes| {
        let mut taken = false;
        let kinds = [200, 400, 403, 404, 409, 422, 500];
        for (status, kind) in kinds.map(|status| (status, SIZE_TYPE)) {
            let answer = read_answer(cosigner.key(), &request, (status, Some(kind)), bytes);
            if let Ok(Answer::Cosigned { line: read, time }) = &answer {
                assert_eq!((read.to_string(), *time), (line.to_string(), START + 7));
            }
            taken |= answer.is_ok();
        }
        taken
    });
}

#[test]
fn a_hash_and_a_size_print_as_they_were_read() {
    let seeds = [Hash::EMPTY.to_string().into_bytes()];
    drive("hash", 1, &seeds, |bytes| {
        let hash = text(bytes).and_then(Hash::parse);
        hash.is_some_and(|hash| {
            assert_eq!(hash.to_string().as_bytes(), bytes);
            true
        })
    });
    drive("size", 1, &[b"71234".to_vec(), b"0".to_vec()], |bytes| {
        let size = text(bytes).and_then(TreeSize::parse);
        size.is_some_and(|size| {
            assert_eq!(size.to_string().as_bytes(), bytes);
            true
        })
    });
}
