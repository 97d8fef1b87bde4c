//! The rules against an independent program: `fixtures/vectors/dataset.py`.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::id::{DocumentDigest, Salt, Sha256Hash};
use crate::receipt::Nonce;

#[derive(Deserialize)]
struct Vectors {
    picks: Vec<Picks>,
    possession: Vec<Proof>,
    ranges: Vec<Ranges>,
    draw: Vec<Draw>,
    wilson: Vec<(u64, u64, u32, u32)>,
    containment: Vec<Contained>,
    row_hash: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Picks {
    nonce: Nonce,
    bytes: u64,
    picks: Vec<u64>,
}

#[derive(Deserialize)]
struct Proof {
    nonce: Nonce,
    files: Vec<usize>,
    possession: Sha256Hash,
    possession_hash: Sha256Hash,
}

#[derive(Deserialize)]
struct Ranges {
    files: Vec<(String, String, u64)>,
    served: Vec<(String, u64, u64)>,
    text: String,
    whole: bool,
    digest: DocumentDigest,
}

#[derive(Deserialize)]
struct Draw {
    manifest: DocumentDigest,
    root: Sha256Hash,
    nonce: Nonce,
    seed: Sha256Hash,
    rows: u64,
    wanted: u32,
    drawn: Vec<u64>,
}

#[derive(Deserialize)]
struct Contained {
    of: (u32, u32),
    within: (u32, u32),
    bp: Option<u32>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fixtures/vectors/dataset.json"
    )))
    .unwrap()
}

#[test]
fn a_nonce_picks_the_chunks_of_the_vector() {
    for case in vectors().picks {
        assert_eq!(picks(case.nonce, case.bytes), case.picks, "{}", case.bytes);
    }
}

#[test]
fn possession_is_that_of_the_vector() {
    for case in vectors().possession {
        let file = |(number, bytes): (usize, &usize)| -> Vec<u8> {
            let block = Sha256::digest(format!("file {number}"));
            block.iter().copied().cycle().take(*bytes).collect()
        };
        let whole: Vec<u8> = case.files.iter().enumerate().flat_map(file).collect();
        let mut possession = Possession::new(case.nonce, whole.len() as u64);
        for range in possession.wants().to_vec() {
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            possession.feed(&whole[range]);
        }
        let possession = possession.end();
        assert_eq!(possession, case.possession);
        assert_eq!(Sha256Hash::of(possession.bytes()), case.possession_hash);
    }
}

#[test]
fn a_range_list_is_that_of_the_vector() {
    for case in vectors().ranges {
        let lines = case.files.iter();
        let lines = lines.map(|(path, hash, bytes)| format!("{hash}  {bytes}  {path}\n"));
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        let mut served = Served::new(&Manifest::parse(&lines.concat()).unwrap());
        for (path, first, last) in &case.served {
            served.add(path, *first, *last);
        }
        assert_eq!(served.text(), case.text);
        assert_eq!(served.digest(), case.digest);
        assert_eq!(served.is_whole(), case.whole);
    }
}

#[test]
fn a_draw_is_the_one_of_the_vector() {
    for case in vectors().draw {
        let nonce = Salt::new(*case.nonce.bytes());
        let seed = seed(case.manifest, case.root.bytes(), nonce);
        assert_eq!(seed, *case.seed.bytes());
        assert_eq!(draw(&seed, case.rows, case.wanted), case.drawn);
    }
}

#[test]
fn an_interval_holds_what_an_independent_program_says() {
    for (passed, drawn, low_ppm, high_ppm) in vectors().wilson {
        let expected = Interval { low_ppm, high_ppm };
        assert_eq!(wilson(passed, drawn), expected, "{passed} of {drawn}");
    }
}

#[test]
fn what_is_contained_is_what_the_vector_says() {
    let sketch = |(from, to): (u32, u32)| {
        let mut sketch = Sketch::new();
        for row in from..to {
            sketch.insert(row_hash(format!("row {row}").as_bytes()));
        }
        sketch
    };
    for case in vectors().containment {
        let found = containment_bp(&sketch(case.of), &sketch(case.within));
        assert_eq!(found, case.bp, "{:?} in {:?}", case.of, case.within);
    }
    for (row, hash) in vectors().row_hash {
        assert_eq!(format!("{:016x}", row_hash(row.as_bytes())), hash);
    }
}
