//! Files that lie beside a good signature and are not what was signed.

use verifier::trail::bundle;

use super::world::{Case, World, chop, replace};
use super::{Row, among, exactly};

/// The last bundle, and the tile over it.
const BUNDLE: &str = "tile/entries/001.p/128";
const TILE: &str = "tile/0/001.p/128";

/// Bundles, tiles, names, and several faults in one trail.
pub(super) const ROWS: &[&[Row]] = &[BUNDLES, TILES, NAMES, &[SEVERAL]];

/// The entries of the last bundle, arranged anew behind the signature.
fn arranged(world: &World, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Case {
    let mut entries = world.entries[256..].to_vec();
    change(&mut entries);
    let bytes = bundle::encode(entries.iter().map(Vec::as_slice)).unwrap();
    world.honest().put(BUNDLE, bytes)
}

const BUNDLES: &[Row] = &[
    exactly(
        "a byte of an entry is another",
        |w| arranged(w, |entries| replace(&mut entries[123], ",7]", ",8]")),
        &[(BUNDLE, "trail.bundle")],
    ),
    exactly(
        "a bundle ends early",
        |w| w.honest().edit(BUNDLE, chop),
        &[(BUNDLE, "trail.bundle")],
    ),
    exactly(
        "a byte follows the last entry of a bundle",
        |w| w.honest().edit(BUNDLE, |bytes| bytes.push(0)),
        &[(BUNDLE, "trail.bundle")],
    ),
    exactly(
        "a length in a bundle is longer than the rest",
        |w| w.honest().edit(BUNDLE, |bytes| bytes[0] = 0xff),
        &[(BUNDLE, "trail.bundle")],
    ),
    exactly(
        "an entry in a bundle has length zero",
        |w| arranged(w, |entries| entries[10].clear()),
        &[(BUNDLE, "trail.bundle")],
    ),
    exactly(
        "a bundle is empty",
        |w| w.honest().put(BUNDLE, ""),
        &[(BUNDLE, "trail.bundle")],
    ),
    among(
        "an entry is dropped from a bundle and another put at its end",
        |w| {
            arranged(w, |entries| {
                let first = entries.remove(0);
                entries.push(first);
            })
        },
        &[(BUNDLE, "trail.bundle")],
    ),
    exactly(
        "two entries of a bundle change places",
        |w| arranged(w, |entries| entries.swap(5, 6)),
        &[(BUNDLE, "trail.bundle"), (BUNDLE, "trail.bundle")],
    ),
    exactly(
        "an entry of a bundle lies there twice",
        |w| arranged(w, |entries| entries[6] = entries[5].clone()),
        &[(BUNDLE, "trail.bundle")],
    ),
    exactly(
        "a bundle is missing",
        |w| w.honest().without(BUNDLE),
        &[(BUNDLE, "trail.missing")],
    ),
    exactly(
        "a bundle of an earlier size holds another entry",
        |w| {
            w.honest()
                .edit("tile/entries/000.p/100", |bytes| bytes[900] ^= 1)
        },
        &[("tile/entries/000.p/100", "trail.bundle")],
    ),
];

const TILES: &[Row] = &[
    exactly(
        "a hash of a tile is another",
        |w| w.honest().edit(TILE, |bytes| bytes[40] ^= 1),
        &[(TILE, "trail.tile")],
    ),
    exactly(
        "a hash of a full tile is another",
        |w| w.honest().edit("tile/0/000", |bytes| bytes[8_000] ^= 1),
        &[("tile/0/000", "trail.tile")],
    ),
    exactly(
        "a hash of a tile of the level above is another",
        |w| w.honest().edit("tile/1/000.p/1", |bytes| bytes[0] ^= 1),
        &[("tile/1/000.p/1", "trail.tile")],
    ),
    exactly(
        "a tile has one hash less than its name says",
        |w| w.honest().edit(TILE, |bytes| bytes.truncate(127 * 32)),
        &[(TILE, "trail.tile")],
    ),
    exactly(
        "a tile has one byte more than its name says",
        |w| w.honest().edit(TILE, |bytes| bytes.push(0)),
        &[(TILE, "trail.tile")],
    ),
    exactly(
        "a tile is missing",
        |w| w.honest().without("tile/0/000"),
        &[("tile/0/000", "trail.missing")],
    ),
    exactly(
        "a partial tile beside the full one has other hashes",
        |w| w.honest().edit("tile/0/000.p/100", |bytes| bytes[99] ^= 1),
        &[("tile/0/000.p/100", "trail.tile")],
    ),
    among(
        "an entry and its hash are both another: history rewritten behind the signature",
        |w| {
            let forged = w.said(379, ",7]", ",7]").files;
            let other = w.forged(|entries| replace(&mut entries[379], "sh-2026", "sh-2027"));
            let take = |name: &str| other.files.0[name].clone();
            assert_ne!(forged.0[TILE], take(TILE));
            w.honest().put(BUNDLE, take(BUNDLE)).put(TILE, take(TILE))
        },
        &[("checkpoint", "trail.root")],
    ),
    exactly(
        "neither a bundle nor its tile is there",
        |w| {
            w.honest()
                .without("tile/entries/000")
                .without("tile/0/000")
                .without("tile/entries/000.p/100")
                .without("tile/0/000.p/100")
        },
        &[
            ("tile/entries/000", "trail.missing"),
            ("tile/0/000", "trail.missing"),
            ("entry 0", "trail.unreadable"),
        ],
    ),
    exactly(
        "neither a bundle nor its tile can be read",
        |w| w.honest().put(BUNDLE, "x").edit(TILE, chop),
        &[
            (BUNDLE, "trail.bundle"),
            (TILE, "trail.tile"),
            ("entry 256", "trail.unreadable"),
        ],
    ),
];

const NAMES: &[Row] = &[
    exactly(
        "a file that no trail has",
        |w| w.honest().put("notes.txt", "x"),
        &[("notes.txt", "trail.stray")],
    ),
    exactly(
        "a tile wider than the log",
        |w| w.honest().put("tile/0/001.p/129", vec![0; 129 * 32]),
        &[("tile/0/001.p/129", "trail.stray")],
    ),
    exactly(
        "a bundle wider than the log",
        |w| w.honest().put("tile/entries/001", "x"),
        &[("tile/entries/001", "trail.stray")],
    ),
    exactly(
        "a tile of a level that the log has not reached",
        |w| w.honest().put("tile/2/000.p/1", vec![0; 32]),
        &[("tile/2/000.p/1", "trail.stray")],
    ),
    exactly(
        "a tile of width 0",
        |w| w.honest().put("tile/0/000.p/0", ""),
        &[("tile/0/000.p/0", "trail.stray")],
    ),
    exactly(
        "a tile of width 256 that is called partial",
        |w| w.honest().put("tile/0/000.p/256", vec![0; 8_192]),
        &[("tile/0/000.p/256", "trail.stray")],
    ),
    exactly(
        "a path in another spelling",
        |w| w.honest().put("tile/0/0", vec![0; 8_192]),
        &[("tile/0/0", "trail.stray")],
    ),
    exactly(
        "a path with needless groups",
        |w| w.honest().put("tile/0/x000/000", vec![0; 8_192]),
        &[("tile/0/x000/000", "trail.stray")],
    ),
    exactly(
        "a tile of level 64",
        |w| w.honest().put("tile/64/000", vec![0; 8_192]),
        &[("tile/64/000", "trail.stray")],
    ),
];

/// Each fault of a trail is told, in the trail's order.
const SEVERAL: Row = exactly(
    "a trail with seven faults",
    |w| {
        super::decisions::doubled(w)
            .put("notes.txt", "x")
            .put("history/count", "07\n")
            .edit("tile/0/000", |bytes| bytes[40] ^= 1)
            .edit("tile/entries/000.p/100", |bytes| bytes.push(0))
            .without("tile/1/000.p/1")
    },
    &[
        ("notes.txt", "trail.stray"),
        ("history/count", "trail.history"),
        ("tile/entries/000.p/100", "trail.bundle"),
        ("tile/0/000", "trail.tile"),
        ("entry 348", "entry.found"),
        ("entry 348", "entry.postings"),
        ("tile/1/000.p/1", "trail.missing"),
    ],
);
