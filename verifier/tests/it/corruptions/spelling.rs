//! Entries whose bytes are not the one spelling of an entry. The log has signed them: nothing after one can be decided.

use super::world::{Case, World};
use super::{Row, exactly};

/// An entry of the tail, of which nothing later depends.
const AT: usize = 379;

fn said(world: &World, from: &str, to: &str) -> Case {
    world.said(AT, from, to)
}

fn bytes(world: &World, change: impl FnOnce(&mut Vec<u8>)) -> Case {
    world.forged(|entries| change(&mut entries[AT]))
}

const SPELLING: &[(&str, &str)] = &[("entry 379", "entry.spelling")];

/// Each is one entry that says the same, or nothing, in other bytes.
pub(super) const ROWS: &[Row] = &[
    exactly(
        "a member twice",
        |w| said(w, r#""rules":1,"#, r#""rules":1,"rules":1,"#),
        SPELLING,
    ),
    exactly(
        "a member that no entry has",
        |w| said(w, r#""rules":1,"#, r#""rules":1,"note":1,"#),
        SPELLING,
    ),
    exactly(
        "members in another order",
        |w| said(w, r#""v":1,"seq":379,"#, r#""seq":379,"v":1,"#),
        SPELLING,
    ),
    exactly(
        "white space between members",
        |w| said(w, r#","seq""#, r#", "seq""#),
        SPELLING,
    ),
    exactly(
        "a line end behind the entry",
        |w| bytes(w, |entry| entry.push(b'\n')),
        SPELLING,
    ),
    exactly(
        "a needless escape",
        |w| said(w, "sh-2026\",\"fen", "sh-202\\u0036\",\"fen"),
        SPELLING,
    ),
    exactly(
        "a number with a fraction",
        |w| said(w, r#""fen":7"#, r#""fen":7.0"#),
        SPELLING,
    ),
    exactly(
        "a number with an exponent",
        |w| said(w, r#""fen":7"#, r#""fen":7e0"#),
        SPELLING,
    ),
    exactly(
        "a number beyond 2⁵³",
        |w| said(w, r#""fen":7"#, r#""fen":9007199254740993"#),
        SPELLING,
    ),
    exactly(
        "an absent member as null",
        |w| said(w, r#""by":"#, r#""cmd":null,"by":"#),
        SPELLING,
    ),
    exactly(
        "a time with another offset",
        |w| said(w, "Z\",\"rules\"", "+00:00\",\"rules\""),
        SPELLING,
    ),
    exactly(
        "an unknown version",
        |w| said(w, r#""v":1"#, r#""v":2"#),
        SPELLING,
    ),
    exactly(
        "an unknown type",
        |w| said(w, "fund.appropriated", "fund.appropriate"),
        SPELLING,
    ),
    exactly(
        "another type than it asks",
        |w| said(w, "fund.appropriated", "fund.opened"),
        SPELLING,
    ),
    exactly(
        "a salt of 15 bytes",
        |w| said(w, r#""salt":"AAA"#, r#""salt":"A"#),
        SPELLING,
    ),
    exactly(
        "a salt with padding",
        |w| said(w, r#"","by""#, r#"==","by""#),
        SPELLING,
    ),
    exactly(
        "postings that do not sum to zero",
        |w| said(w, r#",-7]"#, r#",-8]"#),
        SPELLING,
    ),
    exactly(
        "postings out of order",
        |w| {
            said(
                w,
                r#"[["fund/sh-2026",7],["treasury/sh-finance/sh-2026",-7]]"#,
                r#"[["treasury/sh-finance/sh-2026",-7],["fund/sh-2026",7]]"#,
            )
        },
        SPELLING,
    ),
    exactly(
        "a posting of zero",
        |w| said(w, r#""postings":[["#, r#""postings":[["fund/sh-2025",0],["#),
        SPELLING,
    ),
    exactly("no UTF-8", |w| bytes(w, |entry| entry[40] = 0xff), SPELLING),
    exactly(
        "a control character",
        |w| bytes(w, |entry| entry[40] = 0x01),
        SPELLING,
    ),
    exactly(
        "half an entry",
        |w| bytes(w, |entry| entry.truncate(200)),
        SPELLING,
    ),
    exactly("no byte at all", |w| bytes(w, Vec::clear), SPELLING),
    exactly(
        "65,535 bytes of space",
        |w| bytes(w, |entry| entry.resize(65_535, b' ')),
        SPELLING,
    ),
    exactly(
        "nesting without end",
        |w| bytes(w, |entry| *entry = b"[".repeat(60_000)),
        SPELLING,
    ),
];
