//! Replies against trails: promises kept and broken, refusals sealed and not.

use verifier::audit::promise::{
    BROKEN, Evidence, Finding, RefusalProof, check, read_reply, refusal_leaf,
};
use verifier::book::command::{Command, SealRefusals};
use verifier::book::entry::Entry;
use verifier::id::Sha256Hash;
use verifier::receipt::{self, Answered, Reply, req};
use verifier::refusal::Code;
use verifier::signature::Signer;
use verifier::time::Timestamp;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::cosignature::Cosigner;
use verifier::trail::key::KeyName;
use verifier::trail::note::Note;
use verifier::trail::policy::Policy;
use verifier::trail::{Hash, tree};

use crate::story::{self, Story, Trail, appropriate};

/// The reply key of the story's entry 0.
pub(crate) fn key() -> Signer {
    Signer::from_seed(&[2; 32])
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// What the exchange says of an entry that came by a request.
pub(crate) fn promise(entry: &[u8], iat: Timestamp) -> Reply {
    let read = Entry::parse(entry).unwrap();
    let leaf = tree::leaf_hash(entry);
    Reply {
        iss: story::ORIGIN.into(),
        sub: Some(read.by),
        iat,
        req: read.req,
        answer: Sha256Hash::of(b"{}"),
        outcome: Answered::Accepted,
        code: None,
        seq: Some(read.seq),
        leaf_hash: Some(Sha256Hash::new(*leaf.as_bytes())),
    }
}

/// The signed reply to a stored entry.
pub(crate) fn reply_to(entry: &[u8]) -> String {
    let at = Entry::parse(entry).unwrap().at;
    receipt::sign(&promise(entry, at), &key())
}

fn refusal(story: &Story, body: &[u8], iat: Timestamp) -> Reply {
    Reply {
        iss: story::ORIGIN.into(),
        sub: Some(story.funder.0),
        iat,
        req: Some(req("POST", "/v1/funds", body)),
        answer: Sha256Hash::of(b"{}"),
        outcome: Answered::Refused,
        code: Some("fund.taken".into()),
        seq: None,
        leaf_hash: None,
    }
}

/// A story whose last entry came by a request.
pub(crate) fn asked(size: u64) -> Story {
    let mut story = Story::of(size - 1);
    let mut entry = story.next(story.funder, appropriate(9)).unwrap();
    entry.req = Some(req("POST", "/v1/funds/appropriate", b"{}"));
    story.append(&entry);
    story
}

fn found(trail: &Trail, compact: &str, evidence: Evidence<'_>) -> Finding {
    let policy = Policy::parse(story::policy().as_bytes()).unwrap();
    let Ok(finding) = check(&mut trail.clone(), &policy, compact, evidence);
    finding
}

fn code(finding: &Finding) -> &'static str {
    match finding {
        Finding::Kept(_) => "kept",
        Finding::Open(_) => "open",
        Finding::Broken(code, _) => code,
    }
}

fn verdict(trail: &Trail, reply: &Reply) -> &'static str {
    let compact = receipt::sign(reply, &key());
    code(&found(trail, &compact, Evidence::default()))
}

#[test]
fn a_promise_is_kept_by_the_very_entry_alone() {
    let story = asked(290);
    let trail = story.trail();
    let last = story.entries.last().unwrap();
    let iat = Entry::parse(last).unwrap().at;
    let good = promise(last, iat);
    assert_eq!(verdict(&trail, &good), "kept");
    let known = Reply {
        outcome: Answered::Known,
        ..good.clone()
    };
    assert_eq!(verdict(&trail, &known), "kept");
    let other_request = Reply {
        req: Some(req("POST", "/v1/funds/appropriate", b"{ }")),
        ..good.clone()
    };
    assert_eq!(verdict(&trail, &other_request), BROKEN);
    let other_entry = Reply {
        leaf_hash: Some(Sha256Hash::of(b"")),
        ..good.clone()
    };
    assert_eq!(verdict(&trail, &other_entry), BROKEN);
    let elsewhere = Reply {
        seq: Some(200),
        ..good
    };
    assert_eq!(verdict(&trail, &elsewhere), BROKEN);
}

#[test]
fn a_promise_without_its_entry_is_broken_once_the_trail_is_newer_by_a_minute() {
    let story = asked(100);
    let last = story.entries.last().unwrap().clone();
    let mut without = Story::of(99);
    let at = Entry::parse(&last).unwrap().at;
    let reply = promise(&last, at);
    assert_eq!(verdict(&without.trail(), &reply), "open");
    // Another history takes its place, and goes on.
    while without.book.size < 99 + 61 {
        without.append(&without.next(without.funder, appropriate(1)).unwrap());
        let newest = without.book.last_at.unwrap().unix();
        let here = verdict(&without.trail(), &reply);
        assert_eq!(here, BROKEN, "{newest}");
    }
    let ahead = Reply {
        seq: Some(500),
        ..reply
    };
    // The newest entry is of one minute later, exactly: it may still come.
    assert_eq!(without.book.last_at, Some(at.after(60)));
    assert_eq!(verdict(&without.trail(), &ahead), "open");
    without.append(&without.next(without.funder, appropriate(1)).unwrap());
    assert_eq!(verdict(&without.trail(), &ahead), BROKEN);
}

#[test]
fn a_trail_is_as_new_as_its_newest_witness_says() {
    let story = asked(100);
    let mut trail = Story::of(99).trail();
    let reply = promise(story.entries.last().unwrap(), story.book.last_at.unwrap());
    let witness = Cosigner::new(
        KeyName::parse("witness.example").unwrap(),
        Signer::from_seed(&[5; 32]),
    );
    let log = format!(
        "log {}\nwitness w {}\nquorum none\n",
        story::log_key(),
        witness.key()
    );
    let policy = Policy::parse(log.as_bytes()).unwrap();
    let compact = receipt::sign(&reply, &key());
    let note = Note::parse(&trail.0["checkpoint"]).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    // The newest entry is of a second before the reply all the time.
    for (seconds, expected) in [(-9, "open"), (60, "open"), (61, BROKEN)] {
        let time = u64::try_from(reply.iat.unix() + seconds).unwrap();
        let mut lines = note.signatures().to_vec();
        lines.push(witness.cosign(&checkpoint, time).unwrap());
        let note = Note::new(note.text().to_owned(), lines).unwrap();
        trail
            .0
            .insert("checkpoint".into(), note.to_string().into_bytes());
        let Ok(finding) = check(&mut trail, &policy, &compact, Evidence::default());
        assert_eq!(code(&finding), expected, "{seconds}");
    }
}

#[test]
fn no_junk_beside_a_reply_makes_the_check_panic() {
    let mut story = Story::of(10);
    let replies = refusals(&story);
    let number = seal(&mut story, &replies);
    let trail = story.trail();
    let leaves: Vec<Hash> = replies.iter().map(|jws| refusal_leaf(jws)).collect();
    let proof = RefusalProof::make(number, 1, &leaves).unwrap();
    let good = serde_json::to_vec(&proof).unwrap();
    for at in 0..good.len() {
        for bit in [0, 2, 5] {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            let evidence = Evidence {
                proof: Some(&bad),
                ..Evidence::default()
            };
            let finding = found(&trail, &replies[1], evidence);
            assert_ne!(code(&finding), "kept", "byte {at} bit {bit}");
        }
    }
    let lines = Reply {
        outcome: Answered::Lines,
        code: None,
        req: Some(req("POST", "/v1/receipts", b"x\ny")),
        ..read_reply(&replies[0]).unwrap()
    };
    for answer in [
        &b"{}"[..],
        b"[0,1]",
        br#"{"line":2,"seq":1}"#,
        br#"{"line":0,"seq":18446744073709551615}"#,
        br#"{"line":0,"seq":3}"#,
    ] {
        let reply = Reply {
            answer: Sha256Hash::of(answer),
            ..lines.clone()
        };
        let evidence = Evidence {
            request: Some(b"x\ny"),
            answer: Some(answer),
            proof: None,
        };
        let finding = found(&trail, &receipt::sign(&reply, &key()), evidence);
        assert_ne!(code(&finding), "kept");
        let other = Evidence {
            request: Some(b"x\nz"),
            ..evidence
        };
        let finding = found(&trail, &receipt::sign(&reply, &key()), other);
        assert_eq!(code(&finding), "reply.request");
    }
}

#[test]
fn only_a_reply_of_this_exchange_counts() {
    let story = asked(10);
    let trail = story.trail();
    let last = story.entries.last().unwrap();
    let good = promise(last, story.book.last_at.unwrap());
    let forged = receipt::sign(&good, &Signer::from_seed(&[9; 32]));
    let finding = found(&trail, &forged, Evidence::default());
    assert_eq!(code(&finding), "receipt.signature");
    let elsewhere = Reply {
        iss: "elsewhere/quan".into(),
        ..good.clone()
    };
    assert_eq!(verdict(&trail, &elsewhere), "receipt.issuer");
    let compact = receipt::sign(&good, &key());
    let other_answer = Evidence {
        answer: Some(b"{ }"),
        ..Evidence::default()
    };
    assert_eq!(code(&found(&trail, &compact, other_answer)), "reply.answer");
    for name in ["tile/entries/000.p/10", "tile/0/000.p/10", "checkpoint"] {
        let mut damaged = trail.clone();
        damaged.0.remove(name);
        let finding = found(&damaged, &compact, Evidence::default());
        assert_eq!(code(&finding), "open", "{name}");
        let mut damaged = trail.clone();
        let bytes = damaged.0.get_mut(name).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        let finding = found(&damaged, &compact, Evidence::default());
        assert!(code(&finding).starts_with("trail."), "{name}: {finding:?}");
    }
}

#[test]
fn a_reply_has_one_form() {
    let story = asked(10);
    let good = promise(story.entries.last().unwrap(), story.book.last_at.unwrap());
    let refused = refusal(&story, b"", story.book.last_at.unwrap());
    for good in [&good, &refused] {
        let compact = receipt::sign(good, &key());
        assert_eq!(read_reply(&compact).as_ref(), Ok(good));
    }
    let (seq, leaf_hash) = (good.seq, good.leaf_hash);
    for bad in [
        Reply {
            seq: None,
            ..good.clone()
        },
        Reply {
            leaf_hash: None,
            ..good.clone()
        },
        Reply {
            seq: Some(1 << 53),
            ..good.clone()
        },
        Reply {
            code: refused.code.clone(),
            ..good.clone()
        },
        Reply {
            outcome: Answered::Lines,
            ..good.clone()
        },
        Reply {
            code: None,
            ..refused.clone()
        },
        Reply {
            code: Some("Fund Taken".into()),
            ..refused.clone()
        },
        Reply {
            code: Some(String::new()),
            ..refused.clone()
        },
        Reply {
            code: Some("a".repeat(65)),
            ..refused.clone()
        },
        Reply {
            seq,
            leaf_hash,
            ..refused
        },
    ] {
        let compact = receipt::sign(&bad, &key());
        let refusal = read_reply(&compact).unwrap_err();
        assert_eq!(refusal.code, Code::ReceiptMalformed, "{bad:?}");
    }
    let receipt = "eyJhbGciOiJFZERTQSJ9.e30.AAAA";
    assert_eq!(
        read_reply(receipt).unwrap_err().code,
        Code::ReceiptMalformed
    );
}

/// Seals refusals of the hour before the story's, as the next entry of the exchange.
pub(crate) fn seal(story: &mut Story, replies: &[String]) -> u64 {
    let leaves: Vec<Hash> = replies.iter().map(|jws| refusal_leaf(jws)).collect();
    let size = u64::try_from(leaves.len()).unwrap();
    let asked = Command::SealRefusals(SealRefusals {
        number: 0,
        from: at("2026-11-23T07:00:00Z"),
        to: at("2026-11-23T08:00:00Z"),
        size,
        counts: vec![(Code::FundTaken, size)],
        root: Sha256Hash::new(*tree::root_of(&leaves).as_bytes()),
    });
    story.append(&story.next(story.exchange, asked).unwrap());
    story.book.size - 1
}

pub(crate) fn refusals(story: &Story) -> Vec<String> {
    let replies = (0..5_u8).map(|n| refusal(story, &[n], at("2026-11-23T07:30:00Z")));
    replies.map(|reply| receipt::sign(&reply, &key())).collect()
}

#[test]
fn a_refusal_is_under_its_seal_or_the_promise_is_broken() {
    let mut story = Story::of(270);
    let replies = refusals(&story);
    let before = story.trail();
    let none = Evidence::default();
    assert_eq!(code(&found(&before, &replies[0], none)), "open");
    let number = seal(&mut story, &replies);
    let trail = story.trail();
    assert_eq!(code(&found(&trail, &replies[0], none)), "open");
    let leaves: Vec<Hash> = replies.iter().map(|jws| refusal_leaf(jws)).collect();
    for (index, compact) in (0..).zip(&replies) {
        let proof = RefusalProof::make(number, index, &leaves).unwrap();
        let given = serde_json::to_vec(&proof).unwrap();
        let evidence = Evidence {
            proof: Some(&given),
            ..none
        };
        assert_eq!(code(&found(&trail, compact, evidence)), "kept");
        assert_eq!(code(&found(&before, compact, evidence)), "open");
        let other = &replies[(usize::try_from(index).unwrap() + 1) % 5];
        assert_eq!(code(&found(&trail, other, evidence)), "trail.root");
        let shorter = RefusalProof {
            size: 4,
            ..proof.clone()
        };
        let elsewhere = RefusalProof { seal: 5, ..proof };
        for bad in [&shorter, &elsewhere] {
            let given = serde_json::to_vec(bad).unwrap();
            let evidence = Evidence {
                proof: Some(&given),
                ..none
            };
            assert_eq!(code(&found(&trail, compact, evidence)), "trail.proof");
        }
    }
    assert!(RefusalProof::make(number, 5, &leaves).is_err());
    // One that is issued later than the sealed hours is under no seal yet: the proof is of no use to it.
    let later = refusal(&story, b"", at("2026-11-23T08:00:00Z"));
    let later = receipt::sign(&later, &key());
    let proof = serde_json::to_vec(&RefusalProof::make(number, 0, &leaves).unwrap()).unwrap();
    let evidence = Evidence {
        proof: Some(&proof),
        ..none
    };
    assert_eq!(code(&found(&trail, &later, evidence)), "trail.proof");
    let junk = Evidence {
        proof: Some(b"[1,2]"),
        ..none
    };
    assert_eq!(code(&found(&trail, &replies[0], junk)), "trail.proof");
    assert_eq!(code(&found(&trail, &later, none)), "open");
}

#[test]
fn a_refusal_without_a_seal_is_a_broken_promise_an_hour_after_its_own() {
    let story = Story::of(270);
    let before = story.trail();
    // Long past its hour, and still no seal over it.
    let old = refusal(&story, b"", at("2026-11-23T06:59:59Z"));
    let old = receipt::sign(&old, &key());
    assert_eq!(code(&found(&before, &old, Evidence::default())), BROKEN);
    // What is refused to nobody known is not kept.
    let nobody = Reply {
        sub: None,
        ..read_reply(&old).unwrap()
    };
    assert_eq!(verdict(&before, &nobody), "kept");
    let failed = Reply {
        outcome: Answered::Failed,
        ..nobody
    };
    assert_eq!(verdict(&before, &failed), "kept");
}

#[test]
fn an_hour_is_sealed_once_and_in_order() {
    let mut story = Story::of(10);
    let replies = refusals(&story);
    seal(&mut story, &replies);
    let next = |number, from, to| {
        let asked = Command::SealRefusals(SealRefusals {
            number,
            from: at(from),
            to: at(to),
            size: 1,
            counts: vec![(Code::FundTaken, 1)],
            root: Sha256Hash::of(b""),
        });
        let decided = story.next(story.exchange, asked);
        decided.err().map(|refusal| refusal.code)
    };
    let (seven, eight, nine) = (
        "2026-11-23T07:00:00Z",
        "2026-11-23T08:00:00Z",
        "2026-11-23T09:00:00Z",
    );
    let (again, malformed) = (Some(Code::RefusalsSealed), Some(Code::RequestMalformed));
    assert_eq!(next(0, seven, eight), again);
    assert_eq!(next(1, seven, eight), again);
    assert_eq!(next(2, eight, nine), again);
    // That hour has not passed.
    assert_eq!(next(1, eight, nine), malformed);
    assert_eq!(next(1, eight, eight), malformed);
    assert_eq!(next(1, eight, "2026-11-23T08:00:01Z"), malformed);
    let funder = Command::SealRefusals(SealRefusals {
        number: 1,
        from: at(eight),
        to: at(nine),
        size: 1,
        counts: vec![(Code::FundTaken, 1)],
        root: Sha256Hash::of(b""),
    });
    let refused = story.next(story.funder, funder).unwrap_err();
    assert_eq!(refused.code, Code::AccessRole);
}
