//! How much of one dataset is in another, from 32 kB of each: the lowest row hashes (bottom-k), and MinHash bands of the
//! text by which near duplicates are found at all.

use sha2::{Digest as _, Sha256};

/// How many hashes a sketch keeps: at 80 % contained, one standard deviation is 0.7 %.
pub const SKETCH_HASHES: usize = 4_096;
/// Below so many hashes under the common bound a share means nothing.
const COMPARED_MIN: usize = 50;
/// Shingles are so many characters, white space and capitals aside: about a word of English, half a sentence of Chinese.
const SHINGLE_CHARS: usize = 6;
/// Bands of a text; two texts that share one are candidates.
const BANDS: usize = 16;
/// Hashes in a band: of texts that share 30 % of their shingles, 1 − (1 − 0.3²)¹⁶ = 78 % share a band.
const BAND_HASHES: usize = 2;
const BINS: usize = BANDS * BAND_HASHES;

/// The hash of a row, as FORMATS.md spells rows: the first 8 bytes of SHA-256(0x00 ‖ row).
#[must_use]
pub fn row_hash(row: &[u8]) -> u64 {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(row);
    let hash: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The lowest hashes of a file's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    rows: u64,
    /// Ascending, each once, at most [`SKETCH_HASHES`].
    lowest: Vec<u64>,
}

impl Sketch {
    /// Of no rows.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rows: 0,
            lowest: Vec::new(),
        }
    }

    /// How many rows were counted, repeated ones too.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The kept hashes, ascending.
    #[must_use]
    pub fn lowest(&self) -> &[u64] {
        &self.lowest
    }

    /// Counts a row by its [`row_hash`].
    pub fn insert(&mut self, hash: u64) {
        self.rows = self.rows.saturating_add(1);
        self.keep(hash);
    }

    /// Adds the rows of another file.
    pub fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        for hash in &other.lowest {
            self.keep(*hash);
        }
    }

    fn keep(&mut self, hash: u64) {
        if self.is_full() && self.lowest.last().is_some_and(|last| hash >= *last) {
            return;
        }
        if let Err(place) = self.lowest.binary_search(&hash) {
            self.lowest.insert(place, hash);
            self.lowest.truncate(SKETCH_HASHES);
        }
    }

    const fn is_full(&self) -> bool {
        self.lowest.len() == SKETCH_HASHES
    }

    /// Up to which hash every row is known.
    fn bound(&self) -> u64 {
        let last = self.lowest.last().filter(|_| self.is_full());
        last.copied().unwrap_or(u64::MAX)
    }

    /// The number of rows and the hashes, 8 bytes each, big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = std::iter::once(&self.rows).chain(&self.lowest);
        numbers.flat_map(|number| number.to_be_bytes()).collect()
    }

    /// Reads what [`Sketch::to_bytes`] wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let words = bytes.chunks_exact(8);
        if !words.remainder().is_empty() {
            return None;
        }
        let words = words.map(|word| word.try_into().map(u64::from_be_bytes));
        let mut words = words.collect::<Result<Vec<u64>, _>>().ok()?.into_iter();
        let sketch = Self {
            rows: words.next()?,
            lowest: words.collect(),
        };
        let good = sketch.lowest.len() <= SKETCH_HASHES && sketch.lowest.is_sorted_by(|a, b| a < b);
        good.then_some(sketch)
    }
}

/// How many of ten thousand distinct rows of `of` are also rows of `within`; nothing where fewer than 50 can be compared.
#[must_use]
pub fn containment_bp(of: &Sketch, within: &Sketch) -> Option<u32> {
    let bound = of.bound().min(within.bound());
    let compared = of.lowest.iter().take_while(|hash| **hash <= bound);
    let (mut all, mut shared) = (0_usize, 0_usize);
    for hash in compared {
        all += 1;
        shared += usize::from(within.lowest.binary_search(hash).is_ok());
    }
    if all < COMPARED_MIN {
        return None;
    }
    u32::try_from(shared * 10_000 / all).ok()
}

/// Collects the shingles of a text by one permutation in bins (Li, Owen, Zhang 2012).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinHash {
    lowest: [u64; BINS],
}

/// What two similar texts are likely to share, in order; all zero where no text was fed: such bands are nobody's likeness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands([u64; BANDS]);

impl Bands {
    /// The hash of each band.
    #[must_use]
    pub const fn hashes(&self) -> &[u64; BANDS] {
        &self.0
    }

    /// Whether there was no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; BANDS]
    }
}

impl Default for MinHash {
    fn default() -> Self {
        Self::new()
    }
}

impl MinHash {
    /// Of no text.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lowest: [u64::MAX; BINS],
        }
    }

    /// Takes the shingles of a row or line. None crosses into the next.
    pub fn feed(&mut self, shingle_source: &str) {
        let words = shingle_source.split_whitespace();
        let chars = words.flat_map(|word| word.chars().flat_map(char::to_lowercase).chain([' ']));
        let (mut window, mut seen) = ([' '; SHINGLE_CHARS], 0_usize);
        for c in chars {
            window.rotate_left(1);
            if let Some(last) = window.last_mut() {
                *last = c;
            }
            seen += 1;
            if seen >= SHINGLE_CHARS {
                self.take(&window);
            }
        }
        if seen > 0 && seen < SHINGLE_CHARS {
            self.take(&window);
        }
    }

    /// FNV-1a over characters, then mixed: its high bits choose a bin, where the lowest stays.
    fn take(&mut self, shingle: &[char]) {
        let fnv = |hash: u64, c: &char| (hash ^ u64::from(*c)).wrapping_mul(0x0100_0000_01b3);
        let hash = mix(shingle.iter().fold(0xcbf2_9ce4_8422_2325, fnv));
        let bin = usize::try_from(hash >> (u64::BITS - BINS.ilog2())).unwrap_or(0);
        if let Some(lowest) = self.lowest.get_mut(bin) {
            *lowest = (*lowest).min(hash);
        }
    }

    /// The bands so far. An empty bin borrows from the next one that is not.
    #[must_use]
    pub fn bands(&self) -> Bands {
        let filled = |bin: usize| {
            let around = self.lowest.iter().cycle().skip(bin).take(BINS);
            let mut around = (0_u64..).zip(around);
            let found = around.find(|(_, hash)| **hash != u64::MAX);
            found.map(|(distance, hash)| mix(hash.wrapping_add(distance)))
        };
        let mut bands = [0; BANDS];
        for (number, band) in bands.iter_mut().enumerate() {
            let hashes = (0..BAND_HASHES).map(|place| filled(number * BAND_HASHES + place));
            let joined = |joined: u64, hash: Option<u64>| Some(mix(joined ^ hash?).rotate_left(1));
            let mut hashes = hashes;
            *band = hashes.try_fold(number as u64, joined).unwrap_or(0);
        }
        Bands(bands)
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood 2014).
const fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(rows: impl Iterator<Item = u32>) -> Sketch {
        let mut sketch = Sketch::new();
        for row in rows {
            sketch.insert(row_hash(format!("row {row}").as_bytes()));
        }
        sketch
    }

    #[test]
    fn eighty_of_a_hundred_rows_are_contained_in_seventy_five_to_eighty_five_percent() {
        for rows in [100, 5_000, 100_000] {
            let of = sketch(0..rows);
            let within = sketch(rows / 5..rows * 2);
            let share = containment_bp(&of, &within).unwrap();
            assert!((7_500..=8_500).contains(&share), "{rows}: {share}");
        }
        let (few, many) = (sketch(0..49), sketch(0..50));
        assert_eq!(containment_bp(&few, &many), None);
        assert_eq!(containment_bp(&many, &few), Some(9_800));
        assert_eq!(containment_bp(&many, &many), Some(10_000));
    }

    #[test]
    fn parts_make_the_sketch_of_the_whole_and_bytes_bring_it_back() {
        let mut parts = sketch(0..7_000);
        parts.merge(&sketch(7_000..20_000));
        assert_eq!(parts, sketch(0..20_000));
        let bytes = parts.to_bytes();
        assert_eq!(Sketch::from_bytes(&bytes), Some(parts));
        assert_eq!(Sketch::from_bytes(&bytes[1..]), None);
        assert_eq!(Sketch::from_bytes(&[]), None);
        assert_eq!(Sketch::from_bytes(&[0; 24]), None);
    }

    #[test]
    fn a_text_shares_a_band_with_its_revision_and_none_with_another() {
        let text = |from: u32, to: u32| {
            let mut minhash = MinHash::new();
            for line in from..to {
                minhash.feed(&format!(
                    "Question {line}: what is {} plus {line}?",
                    line * 7_919
                ));
            }
            minhash.bands()
        };
        let shared = |one: Bands, other: Bands| {
            let pairs = one.hashes().iter().zip(other.hashes());
            pairs.filter(|(a, b)| a == b).count()
        };
        assert_eq!(shared(text(0, 1_000), text(0, 1_000)), BANDS);
        assert!(shared(text(0, 1_000), text(50, 1_050)) > 0);
        let mut other = MinHash::new();
        other.feed("一段完全不同的中文文本，与上面的问题没有任何共同之处。");
        assert_eq!(shared(text(0, 1_000), other.bands()), 0);
        assert!(MinHash::new().bands().is_empty());
        assert!(!other.bands().is_empty());
        let (mut short, mut spaced) = (MinHash::new(), MinHash::new());
        short.feed("Ab c");
        spaced.feed("  aB   C ");
        assert_eq!(short.bands(), spaced.bands());
    }
}
