//! The vectors of `add_checkpoint`, then each row of the protocol's table of answers.

use super::super::note::NoteSigner;
use super::super::vectors::{bytes, from_leaves, leaves, list, number, policy, section, text};
use super::*;
use crate::signature::Signer;
use proptest::prelude::*;

const NOW: u64 = 1_795_420_800;

fn signer(at: usize) -> Signer {
    Signer::from_seed(&bytes(&list("keys")[at]["seed"]).try_into().unwrap())
}

fn cosigner() -> Cosigner {
    let name = Origin::parse(text(&list("keys")[1]["name"])).unwrap();
    Cosigner::new(name, signer(1))
}

fn origin() -> Origin {
    Origin::parse("quan.example/shanghai").unwrap()
}

fn root(size: u64) -> Hash {
    tree::root_of(&leaves(size))
}

fn log() -> NoteSigner {
    NoteSigner::new(origin(), signer(0))
}

fn signed(size: u64, root: Hash) -> Note {
    let size = TreeSize::new(size).unwrap();
    let checkpoint = Checkpoint::new(origin(), size, root);
    checkpoint.sign(&log()).unwrap()
}

fn proof(old: u64, new: u64) -> Vec<Hash> {
    let all = leaves(new);
    let read = from_leaves(&all);
    let read = |subtree| Ok::<_, Flaw>(read(subtree).unwrap_or_else(|never| match never {}));
    let (old, new) = (TreeSize::new(old).unwrap(), TreeSize::new(new).unwrap());
    tree::prove_consistency(old, new, read).unwrap()
}

fn request(old: u64, new: u64) -> AddCheckpoint {
    let old_size = TreeSize::new(old).unwrap();
    AddCheckpoint::new(old_size, proof(old, new), signed(new, root(new))).unwrap()
}

fn with(old: u64, proof: Vec<Hash>, note: Note) -> AddCheckpoint {
    AddCheckpoint::new(TreeSize::new(old).unwrap(), proof, note).unwrap()
}

fn seen(size: u64) -> Option<Seen> {
    let (size, root) = (TreeSize::new(size).unwrap(), root(size));
    Some(Seen {
        size,
        root,
        time: NOW - 60,
    })
}

fn ask(last: Option<Seen>, request: &AddCheckpoint) -> Result<Cosigned, (u16, &'static str)> {
    decide(&policy(), &cosigner(), last, request, NOW)
        .map_err(|refused| (refused.status(), refused.code()))
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "a test says how many vectors it has run"
)]
fn the_requests_of_the_vectors_are_read_made_and_cosigned() {
    let cases = list("add_checkpoint");
    for case in &cases {
        let (old, body) = (number(&case["old"]), text(&case["body"]));
        let parsed = AddCheckpoint::parse(body.as_bytes()).unwrap();
        assert_eq!(parsed.to_string(), body);
        assert_eq!(request(old, 600), parsed);
        let last = if old == 0 { None } else { seen(old) };
        let cosigned = ask(last, &parsed).unwrap();
        // The same line as the vectors' first witness made at this time.
        assert_eq!(
            cosigned.line.to_string(),
            text(&section("checkpoint")["w1_line"])
        );
        let verified = policy().check(&cosigned.note).unwrap_err();
        assert_eq!(verified.kind(), FlawKind::Quorum, "one of two witnesses");
        let kept = Seen::read(&cosigned.note, cosigner().key()).unwrap();
        assert_eq!((kept, kept.time), (cosigned.seen, NOW));
    }
    println!("add_checkpoint: {} vectors", cases.len());
    assert_eq!(cases.len(), 4);
}

#[test]
fn every_row_of_the_table_is_answered_as_it_says() {
    let unknown = {
        let name = Origin::parse("quan.example/elsewhere").unwrap();
        let checkpoint = Checkpoint::new(name.clone(), TreeSize::new(5).unwrap(), root(5));
        let other = NoteSigner::new(name, signer(0));
        with(0, Vec::new(), checkpoint.sign(&other).unwrap())
    };
    let stranger = {
        let checkpoint = Checkpoint::new(origin(), TreeSize::new(5).unwrap(), root(5));
        let other = NoteSigner::new(origin(), signer(2));
        with(0, Vec::new(), checkpoint.sign(&other).unwrap())
    };
    let forged = {
        let good = signed(5, root(5));
        let text = Checkpoint::new(origin(), TreeSize::new(5).unwrap(), root(6)).to_string();
        let note = Note::new(text, good.signatures().to_vec()).unwrap();
        with(0, Vec::new(), note)
    };
    let empty_with_root = with(0, Vec::new(), signed(0, root(1)));
    let mut wrong = proof(256, 600);
    wrong.reverse();
    let rows = [
        (None, unknown, (404, "trail.origin")),
        (None, stranger, (403, "trail.signature")),
        (None, forged, (403, "trail.signature")),
        (seen(7), request(5, 9), (409, "trail.witness-size")),
        (None, request(5, 9), (409, "trail.witness-size")),
        (seen(9), request(0, 9), (409, "trail.witness-size")),
        // The size is compared before the root of size 0.
        (
            seen(9),
            empty_with_root.clone(),
            (409, "trail.witness-size"),
        ),
        (
            seen(9),
            with(9, Vec::new(), signed(9, root(8))),
            (422, "trail.root"),
        ),
        (None, empty_with_root, (422, "trail.root")),
        (
            None,
            with(0, vec![root(1)], signed(9, root(9))),
            (422, "trail.proof"),
        ),
        (
            seen(256),
            with(256, wrong, signed(600, root(600))),
            (422, "trail.root"),
        ),
        (
            seen(256),
            with(256, Vec::new(), signed(600, root(600))),
            (422, "trail.proof"),
        ),
    ];
    for (at, (last, request, expected)) in rows.into_iter().enumerate() {
        assert_eq!(ask(last, &request).unwrap_err(), expected, "row {at}");
    }
    assert_eq!(Refused::Conflict(TreeSize::ZERO).to_string(), "0\n");
}

#[test]
fn the_same_tree_is_cosigned_anew_and_the_empty_one_first() {
    assert!(ask(None, &request(0, 0)).is_ok());
    assert!(ask(seen(0), &request(0, 0)).is_ok());
    assert!(ask(seen(0), &request(0, 9)).is_ok());
    let again = ask(seen(9), &request(9, 9)).unwrap();
    assert_eq!(again.seen.time, NOW);
    let ahead = seen(9).map(|seen| Seen {
        time: NOW + 5,
        ..seen
    });
    assert_eq!(ask(ahead, &request(9, 10)).unwrap().seen.time, NOW + 5);
}

#[test]
fn what_is_kept_is_the_logs_own_signature_and_ours() {
    let good = signed(9, root(9));
    let other = Cosigner::new(Origin::parse("junk").unwrap(), signer(2));
    let checkpoint = Checkpoint::parse(good.text()).unwrap();
    let junk = other.cosign(&checkpoint, 7).unwrap();
    let lines = [vec![junk], good.signatures().to_vec()].concat();
    let note = Note::new(good.text().to_owned(), lines).unwrap();
    let request = AddCheckpoint::new(TreeSize::ZERO, Vec::new(), note).unwrap();
    let kept = ask(None, &request).unwrap().note;
    let names: Vec<_> = kept
        .signatures()
        .iter()
        .map(|line| line.name().as_str())
        .collect();
    let own = cosigner();
    assert_eq!(names, ["quan.example/shanghai", own.key().name().as_str()]);
}

#[test]
fn a_request_in_another_spelling_is_refused() {
    let good = text(&list("add_checkpoint")[1]["body"]).to_owned();
    assert!(AddCheckpoint::parse(good.as_bytes()).is_ok());
    let hash = format!("{}\n", Hash::EMPTY);
    let bad = [
        String::new(),
        "\n\n".to_owned(),
        good.replace("old 256", "old 0256"),
        good.replace("old 256", "old +256"),
        good.replace("old 256", "old  256"),
        good.replace("old 256", "Old 256"),
        good.replace("old 256", "old 601"),
        good.replace("old 256\n", ""),
        good.replace("old 256\n", &format!("old 256\n{}", hash.repeat(62))),
        good.replacen("=\n", "\n", 1),
        good.replacen('\n', "\r\n", 1),
        good.replacen("\n\n", "\n", 1),
        good.replacen("\n\n", "\n\n\n", 1),
        good.trim_end().to_owned(),
        good.replace("\n600\n", "\n0600\n"),
    ];
    for text in bad {
        assert!(AddCheckpoint::parse(text.as_bytes()).is_err(), "{text:?}");
    }
    let most = good.replace("old 256\n", &format!("old 256\n{}", hash.repeat(61)));
    assert!(AddCheckpoint::parse(most.as_bytes()).is_ok());
}

#[test]
fn an_answer_is_believed_only_when_it_is_verified() {
    let request = request(256, 600);
    let own = cosigner();
    let line = ask(seen(256), &request).unwrap().line.to_string();
    let read = |status, media_type: Option<&str>, body: &str| {
        read_answer(own.key(), &request, (status, media_type), body.as_bytes())
            .map_err(|flaw| flaw.code())
    };
    assert!(matches!(
        read(200, None, &line),
        Ok(Answer::Cosigned { time: NOW, .. })
    ));
    // Lines by keys that we do not know are ignored.
    let other = text(&section("checkpoint")["w2_line"]).to_owned();
    assert!(read(200, None, &format!("{other}{line}")).is_ok());
    let size = Some(SIZE_TYPE);
    let conflict = |size| Ok(Answer::Last(TreeSize::new(size).unwrap()));
    assert_eq!(read(409, size, "0\n"), conflict(0));
    assert_eq!(read(409, size, "600\n"), conflict(600));
    let ahead = Answer::Ahead(TreeSize::new(601).unwrap());
    assert_eq!(read(409, size, "601\n"), Ok(ahead));
    let elsewhere = Cosigner::new(own.key().name().clone(), signer(1));
    let elsewhere = elsewhere
        .cosign(&Checkpoint::new(origin(), TreeSize::ZERO, Hash::EMPTY), NOW)
        .unwrap()
        .to_string();
    for (status, media_type, body, code) in [
        (200, None, other.as_str(), "trail.witness-answer"),
        (200, None, elsewhere.as_str(), "trail.signature"),
        (200, None, line.trim_end(), "trail.note"),
        (200, None, "", "trail.note"),
        (409, size, "256\n", "trail.witness-answer"),
        (409, size, "0600\n", "trail.witness-answer"),
        (409, size, "", "trail.witness-answer"),
        (409, Some("text/plain"), "0\n", "trail.witness-answer"),
        (422, None, "root", "trail.witness-root"),
        (404, None, "who?", "trail.witness-refused"),
        (403, None, "", "trail.witness-refused"),
        (400, None, "", "trail.witness-refused"),
        (500, None, "", "trail.witness-answer"),
        (302, None, "", "trail.witness-answer"),
    ] {
        let got = read(status, media_type, body);
        assert_eq!(got, Err(code), "{status} {body:?}");
    }
}

#[test]
fn a_log_is_shown_under_the_hash_of_its_origin() {
    assert_eq!(
        monitoring_path(&Origin::parse("example.com/foo").unwrap()),
        // printf example.com/foo | sha256sum
        concat!(
            "76f699faa11e8fbe9a70d933651df90f4bf2b47301f4e924ba3dc6fd395d1d33",
            "/checkpoint"
        )
    );
}

proptest! {
    #[test]
    fn any_bit_flipped_in_a_request_is_found(bit in 0_usize..8 * 460) {
        let good = text(&list("add_checkpoint")[1]["body"]).to_owned().into_bytes();
        let mut bad = good.clone();
        let at = bit / 8 % bad.len();
        bad[at] ^= 1 << (bit % 8);
        let cosigned = AddCheckpoint::parse(&bad).is_ok_and(|request| ask(seen(256), &request).is_ok());
        prop_assert!(!cosigned, "byte {at}");
    }

    #[test]
    fn junk_is_no_request_and_never_panics(text in "(old [0-9]{0,20}\n)?\\PC{0,80}(\n\n)?\\PC{0,80}") {
        if let Ok(request) = AddCheckpoint::parse(text.as_bytes()) {
            prop_assert_eq!(request.to_string(), text);
        }
    }
}

#[test]
fn a_log_with_two_keys_has_one_state_and_either_or_both_sign() {
    let old = log();
    let new = NoteSigner::new(origin(), Signer::from_seed(&[21; 32]));
    let both = format!("log {}\nlog {}\nquorum none\n", old.key(), new.key());
    let both = Policy::parse(both.as_bytes()).unwrap();
    let by = |signers: &[&NoteSigner], size: u64| {
        let text = signed(size, root(size)).text().to_owned();
        let lines = signers.iter().map(|signer| signer.sign(&text).unwrap());
        Note::new(text.clone(), lines.collect()).unwrap()
    };
    let mut last = None;
    for (from, to, signers) in [
        (0, 100, &[&old][..]),
        (100, 256, &[&old, &new]),
        (256, 600, &[&new]),
    ] {
        let request = with(from, proof(from, to), by(signers, to));
        let cosigned = decide(&both, &cosigner(), last, &request, NOW).unwrap();
        // The lines of the log that it knows are kept, with its own.
        assert_eq!(cosigned.note.signatures().len(), signers.len() + 1);
        last = Some(cosigned.seen);
    }
    // A policy that names the old key alone: what the new one signs is ignored beside it, and refused without it.
    let alone = format!("log {}\nquorum none\n", old.key());
    let alone = Policy::parse(alone.as_bytes()).unwrap();
    let ask = |signers: &[&NoteSigner]| {
        let request = with(0, Vec::new(), by(signers, 100));
        decide(&alone, &cosigner(), None, &request, NOW)
    };
    assert_eq!(ask(&[&old, &new]).unwrap().note.signatures().len(), 2);
    assert_eq!(ask(&[&new]).unwrap_err().status(), 403);
}
