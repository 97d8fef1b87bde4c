//! Bytes that are nearly right, drawn from good ones by a seeded generator: the same in every run, on every machine.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// So many inputs a parser, where `QUAN_FUZZED` asks for no other number: enough to meet every branch.
const FUZZED: u64 = 300;
/// No input grows beyond this: what a limit refuses unread shows nothing.
const BYTES_MAX: usize = 100_000;

/// What has broken parsers before: numbers at their ends, signs, other line ends, other spaces, broken UTF-8, depth.
const TOKENS: [&[u8]; 44] = [
    b"0",
    b"00",
    b"-1",
    b"-0",
    b"+1",
    b"1.0",
    b"1e9",
    b"1e400",
    b"0x10",
    b"NaN",
    b"null",
    b"true",
    b"255",
    b"256",
    b"65535",
    b"65536",
    b"4294967296",
    b"9007199254740991",
    b"9007199254740992",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999999999999999",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\t",
    b" ",
    b"\0",
    b"\x7f",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xe2\x80\x94 ",
    b"\xef\xbb\xbf",
    b"\xe3\x80\x80",
    b"==",
    b"{",
    b"[[[[[[[[[[[[[[[[[[[[[[",
    b"\"",
    b"\\u0000",
    b"/../",
    b"-",
];

/// The generator splitmix64 (Steele, Lea, Flood 2014).
pub(crate) struct Noise(u64);

impl Noise {
    /// The noise of one round of one parser.
    pub(crate) fn new(name: &str, round: u64) -> Self {
        let mix = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        Self(seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }

    /// A stretch of so many bytes, short more often than long.
    fn stretch(&mut self, bytes: usize) -> std::ops::Range<usize> {
        let from = self.below(bytes + 1);
        let most = if self.below(4) == 0 { bytes } else { 16 };
        from..(from + self.below(most) + 1).min(bytes)
    }
}

/// One of the seeds, changed in up to four places.
pub(crate) fn mutated(seeds: &[Vec<u8>], noise: &mut Noise) -> Vec<u8> {
    let mut bytes = noise.pick(seeds).clone();
    for _ in 0..=noise.below(4) {
        change(&mut bytes, seeds, noise);
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], noise: &mut Noise) {
    let at = noise.below(bytes.len());
    let stretch = noise.stretch(bytes.len());
    let part = bytes[stretch.clone()].to_vec();
    match noise.below(11) {
        0 => bytes
            .iter_mut()
            .skip(at)
            .take(1)
            .for_each(|byte| *byte ^= 1 << noise.below(8)),
        1 => bytes
            .iter_mut()
            .skip(at)
            .take(1)
            .for_each(|byte| *byte = noise.byte()),
        2 => drop(bytes.splice(stretch, [])),
        3 => drop(bytes.splice(at..at, part)),
        4 => {
            let token = *noise.pick(&TOKENS);
            drop(bytes.splice(at..at, token.iter().copied()));
        }
        5 => {
            let token = *noise.pick(&TOKENS);
            drop(bytes.splice(stretch, token.iter().copied()));
        }
        6 => number(bytes, at, noise),
        7 => bytes.truncate(at),
        8 => {
            let other = noise.pick(seeds);
            let taken = other[noise.stretch(other.len())].to_vec();
            drop(bytes.splice(stretch, taken));
        }
        // A length that lies: two bytes, big-endian or not.
        9 => {
            let lie = *noise.pick(&[[0, 0], [0, 1], [0xff, 0xff], [0x80, 0], [0x7f, 0xff]]);
            let places = bytes.iter_mut().skip(at).zip(lie);
            places.for_each(|(byte, lie)| *byte = lie);
        }
        // One letter of a base64 text, or one of its spare bits.
        _ => {
            let letters = b"ABCQRZabcgwz0189+/-_=";
            let letter = *noise.pick(letters);
            bytes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = letter);
        }
    }
}

/// The next decimal from a place on is another.
fn number(bytes: &mut Vec<u8>, at: usize, noise: &mut Noise) {
    let Some(from) = bytes.iter().skip(at).position(u8::is_ascii_digit) else {
        return;
    };
    let from = at + from;
    let digits = bytes[from..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let to = from + digits.count();
    let other = *noise.pick(&TOKENS[..24]);
    drop(bytes.splice(from..to, other.iter().copied()));
}

/// How many inputs each parser gets.
pub(crate) fn count() -> u64 {
    super::asked_for().map_or(FUZZED, |count| count.parse().unwrap())
}

/// Gives a parser its seeds, each of which it accepts, and then what becomes of them; `take` checks whatever must hold of what it
/// accepts. One input in `cost` is tried: a dear parser gets fewer.
#[track_caller]
pub(crate) fn drive(name: &str, cost: u64, seeds: &[Vec<u8>], mut take: impl FnMut(&[u8]) -> bool) {
    for seed in seeds {
        assert!(take(seed), "{name} does not take {}", seed.escape_ascii());
    }
    for round in 0..count().div_ceil(cost) {
        let bytes = mutated(seeds, &mut Noise::new(name, round));
        let taken = catch_unwind(AssertUnwindSafe(|| take(&bytes)));
        if let Err(panic) = taken {
            let shown: String = bytes
                .escape_ascii()
                .to_string()
                .chars()
                .take(4_000)
                .collect();
            #[expect(clippy::print_stderr, reason = "without the input, nobody can mend it")]
            {
                eprintln!("{name}, round {round}: {shown}");
            }
            resume_unwind(panic);
        }
    }
}
