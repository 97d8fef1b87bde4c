//! Lies in the entries, under a good tree and good signatures.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use verifier::book::command::Command;
use verifier::book::entry::Entry;
use verifier::id::{DocumentDigest, Salt};
use verifier::receipt::{Claims, UnverifiedReceipt, sign};
use verifier::signature::Signer;

use super::world::{Case, World, replace};
use super::{Row, among, exactly};

/// What an entry decides.
pub(super) const ROWS: &[&[Row]] = &[MONEY, NUMBERS, ORDER];

const MONEY: &[Row] = &[
    exactly(
        "a case grants a voucher of more than the rules give",
        |w| w.said(176, "1600000", "1700000"),
        &[
            ("entry 176", "entry.found"),
            ("entry 176", "entry.postings"),
        ],
    ),
    exactly(
        "a receipt earns ten times what it is worth",
        |w| {
            w.forged(|entries| {
                let legs = r#"/sd-compute-2025/2026-09",363],["fund/sd-compute-2025",-363]]"#;
                let more = legs.replace("363", "3630");
                replace(&mut entries[203], legs, &more);
            })
        },
        &[("entry 203", "entry.postings")],
    ),
    exactly(
        "an order holds less than it claims",
        |w| w.said(177, "1599999", "1599998"),
        &[
            ("entry 177", "entry.found"),
            ("entry 177", "entry.postings"),
        ],
    ),
    exactly(
        "a statement makes more payable than was earned",
        |w| w.said(337, "2151", "3151"),
        &[
            ("entry 337", "entry.found"),
            ("entry 337", "entry.postings"),
            ("entry 337", "entry.counters"),
        ],
    ),
    exactly(
        "a payout instructs more than is payable",
        |w| w.said(348, "728796", "828796"),
        &[
            ("entry 348", "entry.found"),
            ("entry 348", "entry.postings"),
        ],
    ),
    exactly(
        "a clawback takes back less than the rules demand",
        |w| w.said(367, "1075", "75"),
        &[
            ("entry 367", "entry.found"),
            ("entry 367", "entry.postings"),
        ],
    ),
    exactly(
        "money comes from nowhere in an entry that moves none",
        |w| {
            let legs = r#""postings":[["fund/sh-compute-2025",5],["treasury/sh-finance/sh-compute-2025",-5]]"#;
            w.said(366, r#""postings":[]"#, legs)
        },
        &[("entry 366", "entry.postings")],
    ),
    exactly(
        "a cap is not counted",
        |w| {
            w.lie(337, |entry| {
                entry.counters.clear();
            })
        },
        &[("entry 337", "entry.counters")],
    ),
    among(
        "a payout is instructed a second time",
        |w| w.arranged(|entries| again(entries, 348)),
        &[("entry 384", "payout.nothing")],
    ),
    among(
        "a fund that nobody opened gets money",
        |w| w.said(123, "sh-compute-2025", "sh-compute-2099"),
        &[("entry 123", "fund.unknown")],
    ),
    among(
        "the exchange appropriates as if it were the funder",
        |w| {
            w.lie(ASKED_BY_FUNDER, |entry| {
                (entry.by, entry.actor) = exchange(w)
            })
        },
        &[("entry 379", "access.role")],
    ),
    among(
        "a credential of one party is used for another",
        |w| w.lie(ASKED_BY_FUNDER, |entry| entry.actor = exchange(w).1),
        &[("entry 379", "actor.unknown")],
    ),
    among(
        "a programme's text is not the one of its digest",
        |w| {
            w.lie(165, |entry| {
                let Command::EnactProgramme(asked) = &mut entry.asked else {
                    unreachable!("entry 165 enacts a programme")
                };
                asked.digest = DocumentDigest::of(b"another text");
            })
        },
        &[("entry 165", "programme.invalid")],
    ),
    exactly(
        "an acceptance hides that its claim waits for a decision",
        |w| {
            w.said(
                    200,
                    r#""stated":{"claims":[{"claim":0,"base":0,"want":0,"room":0,"grant":0,"delta":0,"manual":true}]}"#,
                    r#""stated":{"claims":[]}"#,
                )
        },
        &[("entry 200", "entry.found")],
    ),
];

/// An appropriation of the story's own funder.
const ASKED_BY_FUNDER: usize = 379;

fn exchange(world: &World) -> (verifier::id::PartyId, verifier::id::ActorId) {
    let opened = Entry::parse(&world.entries[0]).unwrap();
    (opened.by, opened.actor)
}

/// An entry is written once more at the end.
fn again(entries: &mut Vec<Entry>, at: usize) {
    let last = entries.last().unwrap().at;
    let copy = entries[at].clone();
    entries.push(Entry { at: last, ..copy });
}

const NUMBERS: &[Row] = &[
    exactly(
        "an entry has another number",
        |w| w.lie(379, |entry| entry.seq = 378),
        &[("entry 379", "entry.seq")],
    ),
    exactly(
        "an entry's time runs back",
        |w| w.lie(379, |entry| entry.at = entry.at.after(-60)),
        &[("entry 379", "entry.at")],
    ),
    exactly(
        "an entry is dated a day ahead",
        |w| w.lie(383, |entry| entry.at = entry.at.after(86_400)),
        &[("entry 383", "entry.at-bounds")],
    ),
    exactly(
        "an entry is dated back behind what a witness saw before it",
        |w| {
            let (before, last) = (w.seen(383) + 1_000, w.seen(384) + 1_000);
            w.signed_at(
                &w.entries,
                &[(300, w.seen(300)), (383, before), (384, last)],
            )
        },
        &[("entry 383", "entry.at-bounds")],
    ),
    exactly(
        "an entry is decided by rules that do not exist",
        |w| w.lie(383, |entry| entry.rules = 2),
        &[("entry 383", "entry.spelling")],
    ),
    among(
        "a party's id is not the one its salt draws",
        |w| w.lie(113, |entry| entry.salt = Salt::new([9; 16])),
        &[("entry 113", "entry.found")],
    ),
    exactly(
        "an entry's number in a scope is another",
        |w| w.lie(379, |entry| entry.scopes[0].1 += 1),
        &[("entry 379", "entry.scopes")],
    ),
    exactly(
        "a scope of an entry stands there twice",
        |w| {
            w.lie(383, |entry| {
                let twice = entry.scopes[0].clone();
                entry.scopes.push(twice);
            })
        },
        &[("entry 383", "entry.scopes")],
    ),
    exactly(
        "an entry is hidden from a scope that it is of",
        |w| w.lie(348, |entry| drop(entry.scopes.pop())),
        &[("entry 348", "entry.scopes")],
    ),
    exactly(
        "an entry is said to be of a region that it is not of",
        |w| w.said(348, "region/310000", "region/320000"),
        &[("entry 348", "entry.scopes")],
    ),
    exactly(
        "a seal of the book counts too few entries of a fund",
        |w| {
            w.lie(380, |entry| {
                let sealed = entry.found.sealed.as_mut().unwrap();
                sealed.counts[3].1 -= 1;
            })
        },
        &[("entry 380", "entry.found")],
    ),
    among(
        "entry 0 names another log",
        |w| {
            w.said(
                0,
                r#""origin":"localhost/quan""#,
                r#""origin":"localhost/other""#,
            )
        },
        &[("entry 0", "entry.origin"), ("entry 33", "key.proof")],
    ),
    exactly(
        "entry 0 names another log key than signs",
        |w| {
            let ours = crate::story::log_key().to_string();
            let golden = "localhost/quan+78362b64+AcVNsSPS6OD51yqtkcqE2u7aC5urFKfrrY+jdAN+h+D6";
            w.said(0, &ours, golden)
        },
        &[("entry 0", "entry.log-key")],
    ),
    among(
        "the log does not begin with the opening of an exchange",
        |w| w.forged(|entries| drop(entries.remove(0))),
        &[("entry 0", "entry.seq"), ("entry 0", "exchange.unopened")],
    ),
];

const ORDER: &[Row] = &[
    exactly(
        "the exchange is opened a second time",
        |w| w.arranged(|entries| again(entries, 0)),
        &[("entry 384", "exchange.opened-already")],
    ),
    among(
        "an entry is dropped and nothing is numbered anew",
        |w| w.forged(|entries| drop(entries.remove(366))),
        &[("entry 366", "entry.seq"), ("entry 382", "entry.seq")],
    ),
    among(
        "a receipt is dropped and all that follow are numbered anew",
        |w| w.arranged(|entries| drop(entries.remove(205))),
        &[("entry 205", "receipt.chain")],
    ),
    exactly(
        "a receipt is entered twice",
        |w| w.arranged(|entries| again(entries, 248)),
        &[("entry 384", "command.repeated")],
    ),
    among(
        "two receipts of a chain change places",
        |w| w.arranged(|entries| entries.swap(204, 205)),
        &[("entry 204", "receipt.chain")],
    ),
    exactly(
        "the refusals of an hour are sealed twice",
        |w| w.arranged(|entries| again(entries, 370)),
        &[("entry 384", "refusals.sealed-already")],
    ),
    among(
        "an order is entered before its voucher is granted",
        |w| w.arranged(|entries| entries.swap(176, 177)),
        &[("entry 176", "voucher.unknown")],
    ),
];

/// What others have signed.
pub(super) const STATEMENTS: &[Row] = &[
    among(
        "a receipt's signature has a flipped bit",
        |w| w.jws(203, |compact| flipped(compact, compact.len() - 40)),
        &[("entry 203", "receipt.signature")],
    ),
    among(
        "a receipt's signature is that of another receipt",
        |w| {
            let other = jws_of(&w.entries[204]);
            let (_, other) = other.rsplit_once('.').unwrap();
            w.jws(203, |compact| {
                let (said, _) = compact.rsplit_once('.').unwrap();
                format!("{said}.{other}")
            })
        },
        &[("entry 203", "receipt.signature")],
    ),
    among(
        "a receipt claims more than its provider signed",
        |w| {
            w.jws(203, |compact| {
                claiming(compact, r#""gpu_count":4"#, r#""gpu_count":8"#)
            })
        },
        &[("entry 203", "receipt.signature")],
    ),
    among(
        "a receipt is signed by a key that no entry registers",
        |w| {
            w.jws(203, |compact| {
                let read = UnverifiedReceipt::parse(compact).unwrap();
                let Claims::Usage(usage) = read.claims() else {
                    unreachable!("entry 203 is a usage receipt")
                };
                sign(usage, &Signer::from_seed(&[77; 32]))
            })
        },
        &[("entry 203", "receipt.key-unknown")],
    ),
    exactly(
        "a receipt's signature is cut off",
        |w| {
            w.jws(203, |compact| {
                let (said, _) = compact.rsplit_once('.').unwrap();
                format!("{said}.")
            })
        },
        &[("entry 203", "entry.spelling")],
    ),
    exactly(
        "a receipt says that it needs no signature",
        |w| {
            w.jws(203, |compact| {
                let (_, said) = compact.split_once('.').unwrap();
                format!("eyJhbGciOiJub25lIn0.{said}")
            })
        },
        &[("entry 203", "entry.spelling")],
    ),
    among(
        "a key is valid only after what it has signed",
        |w| {
            w.said(
                33,
                r#""valid_from":"2026-08-01"#,
                r#""valid_from":"2026-12-01"#,
            )
        },
        &[("entry 203", "receipt.key-not-valid-then")],
    ),
    among(
        "a key is registered without its holder's proof",
        |w| w.forged(|entries| break_proof(&mut entries[33])),
        &[
            ("entry 33", "key.proof"),
            ("entry 203", "receipt.key-unknown"),
        ],
    ),
    among(
        "a key is registered for another party than proved it",
        |w| {
            w.said(
                40,
                r#""party":"pty-whccbt4sbqwxcrsb""#,
                r#""party":"pty-ixiczfaj4fg22amw""#,
            )
        },
        &[("entry 40", "key.proof")],
    ),
    among(
        "a site shares more than it has signed for",
        |w| {
            w.jws(143, |compact| {
                claiming(compact, r#""gpus":48"#, r#""gpus":49"#)
            })
        },
        &[("entry 143", "receipt.signature")],
    ),
    among(
        "an acceptance is not the buyer's",
        |w| w.jws(200, |compact| flipped(compact, compact.len() - 40)),
        &[("entry 200", "receipt.signature")],
    ),
    among(
        "a delivery is not the exchange's",
        |w| w.jws(199, |compact| flipped(compact, compact.len() - 40)),
        &[("entry 199", "receipt.signature")],
    ),
];

fn jws_of(entry: &[u8]) -> String {
    let entry: serde_json::Value = serde_json::from_slice(entry).unwrap();
    entry["asked"]["jws"].as_str().unwrap().to_owned()
}

/// Another base64 character at a place.
fn flipped(compact: &str, at: usize) -> String {
    let mut bytes = compact.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

/// Other claims under the old header and signature.
fn claiming(compact: &str, from: &str, to: &str) -> String {
    let [header, claims, signature] = compact.split('.').collect::<Vec<_>>()[..] else {
        unreachable!("a compact JWS has three parts")
    };
    let mut claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    replace(&mut claims, from, to);
    format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims))
}

/// The proof of a registration is another.
fn break_proof(entry: &mut Vec<u8>) {
    let text = String::from_utf8(entry.clone()).unwrap();
    let (head, rest) = text.split_once(r#""proof":""#).unwrap();
    let (proof, tail) = rest.split_once('"').unwrap();
    let proof = flipped(proof, proof.len() - 40);
    *entry = format!(r#"{head}"proof":"{proof}"{tail}"#).into_bytes();
}

/// Used by other groups to sign again what one entry says.
pub(super) fn doubled(world: &World) -> Case {
    world.said(348, "728796", "828796")
}
