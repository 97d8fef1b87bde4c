//! What a regulator of some scopes is shown, and what is kept from it.

use super::world::{Case, SEAL, SIZE, World, chop};
use super::{Row, among, exactly, says};
use crate::scoped::{edit, withhold};

/// Whoever sees the story's own fund alone.
fn own(world: &World) -> Case {
    world.honest().cut(&["fund/sh-2026"])
}

/// One more entry is kept back.
fn keeps_back(mut case: Case, seq: u64) -> Case {
    withhold(&mut case.files, seq);
    case
}

const REDACTED: &str = "redacted/fund/sh-2026/001.p/128";

/// Each is one redacted copy.
pub(super) const ROWS: &[Row] = &[
    exactly(
        "an entry of the scope is kept back",
        |w| keeps_back(own(w), 375),
        &[("entry 376", "trail.scope-gap")],
    ),
    exactly(
        "the last entry of the scope before a seal is kept back",
        |w| keeps_back(own(w), 379),
        &[("entry 380", "trail.scope-gap")],
    ),
    among(
        "an entry that all see is kept back",
        |w| keeps_back(own(w), 366),
        &[("entry 370", "trail.scope-gap")],
    ),
    among(
        "a seal of the book is kept back",
        |w| {
            let now = (w.seen(SIZE) + 3_000).to_string();
            keeps_back(own(w), SEAL).asks(&["--now", &now])
        },
        &[("entry 0", "trail.unsealed")],
    ),
    exactly(
        "the tail behind the newest seal is kept back for more than a day",
        |w| {
            let last = w.seen(SIZE) + 90_000;
            let seen = [(300, w.seen(300)), (SIZE, last)];
            let case = w.signed_at(&w.entries, &seen).cut(&["fund/sh-2026"]);
            let case = (381..SIZE).fold(case, keeps_back);
            case.asks(&["--now", &last.to_string()])
        },
        &[("entry 380", "trail.unsealed")],
    ),
    exactly(
        "a seal counts one entry of the scope too few",
        |w| {
            w.lie(380, |entry| {
                let sealed = entry.found.sealed.as_mut().unwrap();
                let own = |(scope, _): &&mut (verifier::book::scope::Scope, u64)| {
                    scope.to_string() == "fund/sh-2026"
                };
                sealed.counts.iter_mut().find(own).unwrap().1 -= 1;
            })
            .cut(&["fund/sh-2026"])
        },
        &[
            ("entry 380", "trail.scope-gap"),
            ("entry 381", "trail.scope-gap"),
        ],
    ),
    exactly(
        "a withheld entry is given as another",
        |w| {
            let mut case = own(w);
            edit(&mut case.files, 300, w.entries[379].clone());
            case
        },
        &[(REDACTED, "trail.bundle")],
    ),
    exactly(
        "a redacted bundle ends early",
        |w| own(w).edit(REDACTED, chop),
        &[(REDACTED, "trail.bundle")],
    ),
    exactly(
        "a redacted bundle is wider than the log",
        |w| own(w).put("redacted/fund/sh-2026/001.p/129", vec![0; 258]),
        &[("redacted/fund/sh-2026/001.p/129", "trail.stray")],
    ),
    exactly(
        "a redacted bundle of no scope",
        |w| own(w).put("redacted/city/310000/000", vec![0; 512]),
        &[("redacted/city/310000/000", "trail.stray")],
    ),
    exactly(
        "a redacted bundle is missing",
        |w| own(w).without(REDACTED),
        &[("tile/entries/001.p/128", "trail.missing")],
    ),
    among(
        "the tile under a redacted bundle is missing",
        |w| own(w).without("tile/0/001.p/128"),
        &[
            ("tile/0/001.p/128", "trail.missing"),
            ("entry 256", "trail.unreadable"),
        ],
    ),
    among(
        "the tile under a redacted bundle has another hash",
        |w| own(w).edit("tile/0/001.p/128", |bytes| bytes[40] ^= 1),
        &[("checkpoint", "trail.root")],
    ),
    exactly(
        "a lie about the money of the scope",
        |w| {
            w.said(
                379,
                r#"["fund/sh-2026",7],["treasury/sh-finance/sh-2026",-7]"#,
                r#"["fund/sh-2026",8],["treasury/sh-finance/sh-2026",-8]"#,
            )
            .cut(&["fund/sh-2026"])
        },
        &[("entry 379", "entry.postings")],
    ),
    says(
        "entries are withheld that nobody has declared",
        |w| {
            let files = own(w).files;
            let mut case = w.honest();
            case.files = files;
            case
        },
        1,
        r#""verdict":"withheld""#,
    ),
    among(
        "another scope is declared than the one that is here",
        |w| {
            let files = own(w).files;
            let mut case = w.honest().asks(&["--scope", "fund/bj-compute-2025"]);
            case.files = files;
            case
        },
        &[("entry 380", "trail.scope-gap")],
    ),
];
