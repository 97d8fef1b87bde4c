//! Checkpoints that are not signed as the policy demands, and policies that demand nothing that can be read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use verifier::signature::Signer;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::cosignature::Cosigner;
use verifier::trail::key::{KeyName, KeyType, VerifierKey};
use verifier::trail::note::{Note, NoteSigner};
use verifier::trail::{Hash, TreeSize};

use super::world::{Case, SIZE, World, replace};
use super::{Row, among, exactly, says};
use crate::log_keys::{self, NEW, OLD};
use crate::past::{log, policy_text, witness};
use crate::story;

fn head(world: &World) -> Note {
    Note::parse(&world.honest().files.0["checkpoint"]).unwrap()
}

/// The head is this note.
fn shows(world: &World, note: &Note) -> Case {
    world.honest().put("checkpoint", note.to_string())
}

/// The head is what the log, and its witness, have signed: another size and root than the files'.
fn signs(world: &World, size: u64, root: Hash) -> Case {
    let name = KeyName::parse(story::ORIGIN).unwrap();
    let checkpoint = Checkpoint::new(name, TreeSize::new(size).unwrap(), root);
    let line = witness().cosign(&checkpoint, world.seen(SIZE)).unwrap();
    let note = checkpoint.sign(&log()).unwrap();
    let lines = [note.signatures(), &[line]].concat();
    shows(world, &Note::new(note.text().to_owned(), lines).unwrap())
}

/// A line of the head is replaced by what this makes of it.
fn line(world: &World, at: usize, change: impl FnOnce(&str) -> String) -> Case {
    world.honest().edit("checkpoint", |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        lines[at] = change(&lines[at]);
        *bytes = lines.join("\n").into_bytes();
    })
}

const HEAD: &str = "checkpoint";

/// Each is one head.
pub(super) const ROWS: &[&[Row]] = &[TEXTS, SIGNATURES, COSIGNATURES, CLOCKS, ROTATIONS];

const TEXTS: &[Row] = &[
    exactly(
        "there is no checkpoint",
        |w| w.honest().without(HEAD),
        &[(HEAD, "trail.missing")],
    ),
    exactly(
        "the checkpoint has a carriage return",
        |w| {
            w.honest()
                .edit(HEAD, |bytes| replace(bytes, "\n384\n", "\n384\r\n"))
        },
        &[(HEAD, "trail.note")],
    ),
    exactly(
        "the checkpoint has no signature",
        |w| {
            w.honest().edit(HEAD, |bytes| {
                let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
                bytes.truncate(end + 2);
            })
        },
        &[(HEAD, "trail.note")],
    ),
    exactly(
        "the checkpoint is more than a megabyte",
        |w| {
            w.honest()
                .edit(HEAD, |bytes| bytes.resize(1_000_001, b'\n'))
        },
        &[(HEAD, "trail.note")],
    ),
    exactly(
        "the checkpoint's size has a leading zero",
        |w| line(w, 1, |size| format!("0{size}")),
        &[(HEAD, "trail.checkpoint")],
    ),
    exactly(
        "the checkpoint's root has spare bits",
        |w| {
            line(w, 2, |root| {
                // 32 bytes end in one of sixteen characters: the next one in the alphabet says the same and is refused.
                let (all, last) = root[..43].split_at(42);
                let next = char::from(last.as_bytes()[0] + 1);
                format!("{all}{next}=")
            })
        },
        &[(HEAD, "trail.checkpoint")],
    ),
    among(
        "the checkpoint is of another log",
        |w| {
            w.honest().edit(HEAD, |bytes| {
                replace(bytes, "localhost/quan", "localhost/other")
            })
        },
        &[(HEAD, "trail.origin")],
    ),
    among(
        "the checkpoint has an extension line",
        |w| {
            let note = head(w);
            let text = format!("{}an extension\n", note.text());
            let checkpoint = Checkpoint::parse(&text).unwrap();
            let line = witness().cosign(&checkpoint, w.seen(SIZE)).unwrap();
            let note = checkpoint.sign(&log()).unwrap();
            let lines = [note.signatures(), &[line]].concat();
            shows(w, &Note::new(text, lines).unwrap())
        },
        &[(HEAD, "trail.extension")],
    ),
    exactly(
        "the log signs one entry more than there is",
        |w| {
            signs(
                w,
                SIZE + 1,
                Checkpoint::parse(head(w).text()).unwrap().root(),
            )
        },
        &[
            ("tile/entries/001.p/129", "trail.missing"),
            ("tile/0/001.p/129", "trail.missing"),
            ("entry 256", "trail.unreadable"),
        ],
    ),
    exactly(
        "the log signs one entry less than there is",
        |w| {
            signs(
                w,
                SIZE - 1,
                Checkpoint::parse(head(w).text()).unwrap().root(),
            )
        },
        &[
            ("history/000.p/7", "trail.fork"),
            ("history/000.p/7", "trail.rollback"),
            ("tile/entries/001.p/127", "trail.missing"),
            ("tile/0/001.p/127", "trail.missing"),
            ("entry 256", "trail.unreadable"),
        ],
    ),
    among(
        "the log signs another root",
        |w| signs(w, SIZE, Hash::new([7; 32])),
        &[(HEAD, "trail.root")],
    ),
    exactly(
        "the log signs a root of nothing that is not of nothing",
        |w| {
            w.honest()
                .edit(HEAD, |bytes| replace(bytes, "\n384\n", "\n0\n"))
        },
        &[(HEAD, "trail.root")],
    ),
];

const SIGNATURES: &[Row] = &[
    exactly(
        "the log's signature has a flipped bit",
        |w| line(w, 4, flipped),
        &[(HEAD, "trail.signature")],
    ),
    exactly(
        "another key of the same name has signed",
        |w| {
            let name = KeyName::parse(story::ORIGIN).unwrap();
            let other = NoteSigner::new(name, Signer::from_seed(&[66; 32]));
            let checkpoint = Checkpoint::parse(head(w).text()).unwrap();
            let cosigned = head(w).signatures()[1].clone();
            let note = checkpoint.sign(&other).unwrap();
            let lines = [note.signatures(), &[cosigned]].concat();
            shows(w, &Note::new(note.text().to_owned(), lines).unwrap())
        },
        &[(HEAD, "trail.signature")],
    ),
    exactly(
        "only the witness has signed",
        |w| {
            let note = head(w);
            let lines = note.signatures()[1..].to_vec();
            shows(w, &Note::new(note.text().to_owned(), lines).unwrap())
        },
        &[(HEAD, "trail.signature")],
    ),
    exactly(
        "the log's signature is over another text",
        |w| {
            w.honest().edit(HEAD, |bytes| {
                let note = String::from_utf8(bytes.clone()).unwrap();
                let root = note.split('\n').nth(2).unwrap().to_owned();
                replace(bytes, &root, &Hash::new([8; 32]).to_string());
            })
        },
        // Neither what the files make nor what the history says is then what the checkpoint says.
        &[
            (HEAD, "trail.signature"),
            ("history/000.p/7", "trail.fork"),
            (HEAD, "trail.root"),
        ],
    ),
];

/// Another character in the middle of a signature.
fn flipped(line: &str) -> String {
    let at = line.len() - 40;
    let other = if line[at..].starts_with('A') {
        "B"
    } else {
        "A"
    };
    format!("{}{other}{}", &line[..at], &line[at + 1..])
}

/// The line with another key id, time and signature.
fn payload(line: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let (signer, payload) = line.rsplit_once(' ').unwrap();
    let mut bytes = STANDARD.decode(payload).unwrap();
    change(&mut bytes);
    format!("{signer} {}", STANDARD.encode(bytes))
}

/// The head with these lines behind the log's.
fn cosigned_by(world: &World, lines: &[verifier::trail::note::SignatureLine]) -> Case {
    let note = head(world);
    let lines = [&note.signatures()[..1], lines].concat();
    shows(world, &Note::new(note.text().to_owned(), lines).unwrap())
}

const COSIGNATURES: &[Row] = &[
    exactly(
        "no witness has cosigned",
        |w| cosigned_by(w, &[]),
        &[(HEAD, "trail.quorum")],
    ),
    exactly(
        "a witness that the policy does not name has cosigned",
        |w| {
            let name = KeyName::parse("witness.example/x").unwrap();
            let other = Cosigner::new(name, Signer::from_seed(&[67; 32]));
            let checkpoint = Checkpoint::parse(head(w).text()).unwrap();
            cosigned_by(w, &[other.cosign(&checkpoint, w.seen(SIZE)).unwrap()])
        },
        &[(HEAD, "trail.quorum")],
    ),
    exactly(
        "one witness cosigns twice where two must",
        |w| {
            let name = KeyName::parse("witness.example/x").unwrap();
            let other = Cosigner::new(name, Signer::from_seed(&[67; 32]));
            let checkpoint = Checkpoint::parse(head(w).text()).unwrap();
            let twice = [0, 1].map(|more| witness().cosign(&checkpoint, w.seen(SIZE) + more));
            let text = policy_text().replace(
                "quorum w\n",
                &format!(
                    "witness x {}\ngroup both all w x\nquorum both\n",
                    other.key()
                ),
            );
            cosigned_by(w, &twice.map(Result::unwrap)).policy(&text)
        },
        &[(HEAD, "trail.quorum")],
    ),
    exactly(
        "a cosignature has a flipped bit",
        |w| line(w, 5, flipped),
        &[(HEAD, "trail.signature")],
    ),
    exactly(
        "a cosignature states no time",
        |w| line(w, 5, |text| payload(text, |bytes| bytes[4..12].fill(0))),
        &[(HEAD, "trail.cosignature")],
    ),
    exactly(
        "a cosignature is a byte too short",
        |w| line(w, 5, |text| payload(text, |bytes| bytes.truncate(75))),
        &[(HEAD, "trail.cosignature")],
    ),
    exactly(
        "a cosignature is moved to another time",
        |w| line(w, 5, |text| payload(text, |bytes| bytes[11] ^= 1)),
        &[(HEAD, "trail.signature")],
    ),
    exactly(
        "a cosignature is of another checkpoint",
        |w| {
            let name = KeyName::parse(story::ORIGIN).unwrap();
            let other = Checkpoint::new(name, TreeSize::new(1).unwrap(), Hash::new([1; 32]));
            cosigned_by(w, &[witness().cosign(&other, w.seen(SIZE)).unwrap()])
        },
        &[(HEAD, "trail.signature")],
    ),
    exactly(
        "a cosignature's signer has another name",
        |w| {
            line(w, 5, |text| {
                text.replace("witness.example/w", "witness.example/v")
            })
        },
        &[(HEAD, "trail.quorum")],
    ),
    exactly(
        "the log's key poses as its own witness",
        |w| {
            let name = KeyName::parse("witness.example/w").unwrap();
            let posing = Cosigner::new(name, Signer::from_seed(&[1; 32]));
            let checkpoint = Checkpoint::parse(head(w).text()).unwrap();
            cosigned_by(w, &[posing.cosign(&checkpoint, w.seen(SIZE)).unwrap()])
        },
        &[(HEAD, "trail.quorum")],
    ),
];

/// A trail of a log whose key was rotated; the heads at these places are signed by others than had to.
fn rotated(world: &World, others: &[(usize, &'static [u8])]) -> Case {
    let mut heads = log_keys::RIGHT;
    others.iter().for_each(|(at, seeds)| heads[*at].1 = seeds);
    let story = log_keys::rotated(log_keys::OVERLAP);
    let mut case = world.honest().policy(&log_keys::policy_text(&[OLD, NEW]));
    case.files = log_keys::published(&story, &heads);
    case
}

const ROTATIONS: &[Row] = &[
    exactly(
        "the newest head is signed by the key that was rotated out",
        |w| rotated(w, &[(5, &[OLD])]),
        &[
            (HEAD, "trail.key-rotated"),
            ("history/000.p/6", "trail.key-rotated"),
        ],
    ),
    exactly(
        "a head before the rotation is signed by the key after it",
        |w| rotated(w, &[(0, &[NEW])]),
        &[("history/000.p/6", "trail.key-rotated")],
    ),
    exactly(
        "a head of the overlap is signed by one key alone",
        |w| rotated(w, &[(2, &[OLD]), (3, &[NEW])]),
        &[
            ("history/000.p/6", "trail.key-rotated"),
            ("history/000.p/6", "trail.key-rotated"),
        ],
    ),
    exactly(
        "somebody was shown a head by the key that was rotated out",
        |w| {
            let story = log_keys::rotated(log_keys::OVERLAP);
            rotated(w, &[]).put("known/16", log_keys::head(&story, 16, &[OLD]))
        },
        &[("known/16", "trail.key-rotated")],
    ),
];

const CLOCKS: &[Row] = &[
    among(
        "the cosignature is from the future",
        |w| {
            let now = w.seen(SIZE) - 301;
            w.honest().asks(&["--now", &now.to_string()])
        },
        &[(HEAD, "trail.cosignature-future")],
    ),
    exactly(
        "no witness has seen the log for an hour",
        |w| {
            let now = w.seen(SIZE) + 3_601;
            w.honest().asks(&["--now", &now.to_string()])
        },
        &[(HEAD, "trail.stale")],
    ),
];

fn with_policy(world: &World, change: impl FnOnce(String) -> String) -> Case {
    let case = world.honest().policy(&change(policy_text()));
    assert!(!case.has_policy());
    case
}

/// Each is one policy file: nothing can be checked with it.
pub(super) const POLICIES: &[Row] = &[
    says(
        "a policy without a quorum",
        |w| with_policy(w, |text| text.replace("quorum w\n", "")),
        2,
        "trail.policy",
    ),
    says(
        "a policy with two quorums",
        |w| with_policy(w, |text| text + "quorum none\n"),
        2,
        "trail.policy",
    ),
    says(
        "a policy without a last line end",
        |w| with_policy(w, |text| text.trim_end().to_owned()),
        2,
        "trail.policy",
    ),
    says(
        "a policy with a word that it does not know",
        |w| with_policy(w, |text| text + "mirror w\n"),
        2,
        "trail.policy",
    ),
    says(
        "a policy whose quorum nobody is",
        |w| with_policy(w, |text| text.replace("quorum w", "quorum v")),
        2,
        "trail.policy",
    ),
    says(
        "a policy whose key has another id",
        |w| {
            with_policy(w, |text| {
                let key = story::log_key().to_string();
                let mut parts = key.splitn(3, '+');
                let (name, id, rest) = (
                    parts.next().unwrap(),
                    parts.next().unwrap(),
                    parts.next().unwrap(),
                );
                let last = if id.ends_with('0') { '1' } else { '0' };
                let other = format!("{name}+{}{last}+{rest}", &id[..7]);
                text.replace(&key, &other)
            })
        },
        2,
        "trail.policy",
    ),
    says(
        "a policy with one key for two",
        |w| {
            with_policy(w, |text| {
                let name = KeyName::parse("witness.example/x").unwrap();
                let key = Signer::from_seed(&[5; 32]).public();
                let twice = VerifierKey::new(name, KeyType::Cosignature, key);
                text.replace("quorum w\n", &format!("witness x {twice}\nquorum w\n"))
            })
        },
        2,
        "trail.policy",
    ),
    says(
        "a policy whose group needs more than it has",
        |w| {
            with_policy(w, |text| {
                text.replace("quorum w\n", "group g 2 w\nquorum g\n")
            })
        },
        2,
        "trail.policy",
    ),
    says(
        "a policy whose witness has a log's kind of key",
        |w| {
            with_policy(w, |text| {
                let name = KeyName::parse("witness.example/x").unwrap();
                let key = Signer::from_seed(&[68; 32]).public();
                let key = VerifierKey::new(name, KeyType::Ed25519, key);
                text.replace("quorum w\n", &format!("witness x {key}\nquorum w\n"))
            })
        },
        2,
        "trail.policy",
    ),
    says(
        "a policy with a control character",
        |w| with_policy(w, |text| text.replace("quorum", "quorum\u{7f}")),
        2,
        "trail.policy",
    ),
];
