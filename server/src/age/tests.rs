//! The format's own test kit, files of our own cut and flipped everywhere, and reads from any place.

use std::io::{Cursor, Read as _, Seek as _, SeekFrom, Write as _};
use verifier::id::Sha256Hash;

use super::*;

fn sealed(plain: &[u8], identity: &Identity) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &identity.recipient()).unwrap();
    // In pieces that no chunk is a multiple of.
    for piece in plain.chunks(10_007) {
        writer.write_all(piece).unwrap();
    }
    writer.finish().unwrap()
}

fn opened(sealed: &[u8], identity: &Identity) -> Result<Vec<u8>, Fault> {
    let mut plain = Vec::new();
    let mut reader = Reader::open(Cursor::new(sealed), identity)?;
    reader.read_to_end(&mut plain)?;
    assert_eq!(plain.len() as u64, reader.plain_bytes());
    Ok(plain)
}

fn plain(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|i| (i * 7 + i / 251).to_le_bytes()[0])
        .collect()
}

#[test]
fn the_test_kit_of_the_format_gives_what_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/vectors/age");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let said = |word: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(key, _)| *key == word).map(|(_, value)| value)
        };
        let mut file = bytes[end + 2..].to_vec();
        if said("compressed").is_some() {
            let mut inflated = Vec::new();
            let mut from = flate2::read::ZlibDecoder::new(file.as_slice());
            from.read_to_end(&mut inflated).unwrap();
            file = inflated;
        }
        let identity = said("identity").map(|text| Identity::parse(text).unwrap());
        let identity = identity.unwrap_or(Identity::new([1; 32]));
        let outcome = opened(&file, &identity);
        match said("expect").unwrap() {
            "success" => {
                let hash = Sha256Hash::of(&outcome.unwrap());
                let hex: String = hash.bytes().iter().map(|b| format!("{b:02x}")).collect();
                assert_eq!(Some(hex.as_str()), said("payload"), "{name}");
            }
            "no match" => assert!(
                matches!(outcome, Err(Fault::NoMatch)),
                "{name}: {outcome:?}"
            ),
            "HMAC failure" | "header failure" | "payload failure" => {
                assert!(outcome.is_err(), "{name}");
            }
            other => panic!("{name}: {other}"),
        }
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn what_is_sealed_is_opened_again_and_its_length_was_known() {
    let identity = Identity::new([7; 32]);
    for bytes in [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        3 * CHUNK_BYTES,
        200_000,
    ] {
        let plain = plain(bytes);
        let sealed = sealed(&plain, &identity);
        assert_eq!(sealed.len() as u64, sealed_bytes(bytes as u64), "{bytes}");
        assert_eq!(opened(&sealed, &identity).unwrap(), plain, "{bytes}");
    }
}

#[test]
fn every_cut_and_flipped_age_file_is_refused() {
    let identity = Identity::new([7; 32]);
    let small = sealed(&plain(40), &identity);
    for length in 0..small.len() {
        assert!(
            opened(&small[..length], &identity).is_err(),
            "cut to {length}"
        );
    }
    for i in 0..small.len() {
        let mut flipped = small.clone();
        flipped[i] ^= 1;
        assert!(opened(&flipped, &identity).is_err(), "byte {i}");
    }
    let large = sealed(&plain(2 * CHUNK_BYTES + 100), &identity);
    let second = large.len() - 100 - TAG - CHUNK_BYTES - TAG;
    let cuts = [
        second,
        second + 1,
        second + CHUNK_BYTES + TAG,
        large.len() - 1,
    ];
    for length in cuts {
        assert!(
            opened(&large[..length], &identity).is_err(),
            "cut to {length}"
        );
    }
    let mut exchanged = large[..second - CHUNK_BYTES - TAG].to_vec();
    exchanged.extend(&large[second..second + CHUNK_BYTES + TAG]);
    exchanged.extend(&large[second - CHUNK_BYTES - TAG..second]);
    exchanged.extend(&large[second + CHUNK_BYTES + TAG..]);
    assert_eq!(exchanged.len(), large.len());
    assert!(opened(&exchanged, &identity).is_err());
    let other = Identity::new([8; 32]);
    assert!(matches!(opened(&small, &other), Err(Fault::NoMatch)));
}

const TAG: usize = 16;

#[test]
fn a_range_across_chunks_is_its_bytes() {
    let identity = Identity::new([7; 32]);
    let plain = plain(3 * CHUNK_BYTES + 17);
    let sealed = sealed(&plain, &identity);
    let mut reader = Reader::open(Cursor::new(sealed), &identity).unwrap();
    for (first, length) in [
        (0, 1),
        (CHUNK_BYTES - 1, 2),
        (CHUNK_BYTES + 5, 2 * CHUNK_BYTES),
        (3 * CHUNK_BYTES, 17),
        (3 * CHUNK_BYTES + 16, 1),
        (5, 10),
    ] {
        reader.seek(SeekFrom::Start(first as u64)).unwrap();
        let mut range = vec![0; length];
        reader.read_exact(&mut range).unwrap();
        assert_eq!(range, plain[first..first + length], "{first}+{length}");
    }
    reader
        .seek(SeekFrom::Start(plain.len() as u64 + 5))
        .unwrap();
    assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
}

#[test]
fn a_recipient_of_small_order_is_not_sealed_for() {
    for half in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        assert!(matches!(
            Writer::new(Vec::new(), &Recipient(half)),
            Err(Fault::Header(_))
        ));
    }
}
