//! Which bytes of a version went out: the text behind a delivery's `ranges`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Manifest;
use crate::id::{DocumentDigest, hex};

/// The bytes of a version that were served, by content: two files of one content are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    contents: BTreeMap<[u8; 32], Content>,
    paths: BTreeMap<String, [u8; 32]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Content {
    bytes: u64,
    /// First → last byte: apart and not touching.
    ranges: BTreeMap<u64, u64>,
}

impl Served {
    /// Nothing of a version.
    #[must_use]
    pub fn new(manifest: &Manifest) -> Self {
        let (mut contents, mut paths) = (BTreeMap::new(), BTreeMap::new());
        for file in manifest.files() {
            let content: &mut Content = contents.entry(file.sha256).or_default();
            content.bytes = file.bytes;
            paths.insert(file.path.clone(), file.sha256);
        }
        Self { contents, paths }
    }

    /// Adds the bytes `first` … `last` of a file, both served. What the file has not, and a file that the version has not,
    /// adds nothing.
    pub fn add(&mut self, path: &str, first: u64, last: u64) {
        let content = self
            .paths
            .get(path)
            .and_then(|hash| self.contents.get_mut(hash));
        if let Some(content) = content {
            content.add(first, last);
        }
    }

    /// Whether every byte of every file was served.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.contents.values().all(|content| content.missing() == 0)
    }

    /// How many bytes are still missing, each content counted once.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let missing = self.contents.values().map(Content::missing);
        missing.fold(0, u64::saturating_add)
    }

    /// The list: lines `<sha-256 hex>  <first>  <last>\n`, ascending by content and first byte.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (hash, content) in &self.contents {
            let hash = hex(hash);
            for (first, last) in &content.ranges {
                // Writing to a `String` cannot fail.
                let _ = writeln!(text, "{hash}  {first}  {last}");
            }
        }
        text
    }

    /// The digest of [`Served::text`]: the `ranges` of a delivery receipt.
    #[must_use]
    pub fn digest(&self) -> DocumentDigest {
        DocumentDigest::of(self.text().as_bytes())
    }
}

impl Content {
    fn add(&mut self, first: u64, last: u64) {
        let last = last.min(self.bytes.saturating_sub(1));
        if self.bytes == 0 || first > last {
            return;
        }
        let (mut from, mut to) = (first, last);
        // Whatever begins at or before the byte behind `to` and ends at or after the byte before `from` grows together.
        while let Some((begin, end)) = self.ranges.range(..=to.saturating_add(1)).next_back() {
            let (begin, end) = (*begin, *end);
            if end.saturating_add(1) < from {
                break;
            }
            self.ranges.remove(&begin);
            (from, to) = (from.min(begin), to.max(end));
        }
        self.ranges.insert(from, to);
    }

    fn missing(&self) -> u64 {
        let lengths = self.ranges.iter();
        let lengths = lengths.map(|(first, last)| last.saturating_sub(*first).saturating_add(1));
        self.bytes
            .saturating_sub(lengths.fold(0, u64::saturating_add))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::FileLine;

    fn served() -> Served {
        let file = |fill: u8, bytes: u64, path: &str| FileLine {
            sha256: [fill; 32],
            bytes,
            path: path.to_owned(),
        };
        let files = vec![
            file(1, 10, "a"),
            file(1, 10, "copy of a"),
            file(2, 3, "b"),
            file(3, 0, "empty"),
        ];
        Served::new(&Manifest::new(files).unwrap())
    }

    #[test]
    fn a_range_list_has_one_spelling_whatever_the_order_it_was_served_in() {
        let parts = [
            ("a", 0, 2),
            ("copy of a", 3, 5),
            ("a", 5, 9),
            ("b", 0, 2),
            ("a", 8, 8),
        ];
        let whole = {
            let mut served = served();
            served.add("a", 0, 9);
            served.add("b", 0, u64::MAX);
            served
        };
        for turn in 0..parts.len() {
            let mut served = served();
            for (path, first, last) in parts.iter().cycle().skip(turn).take(parts.len()) {
                served.add(path, *first, *last);
            }
            assert!(served.is_whole());
            assert_eq!(served.text(), whole.text());
            assert_eq!(served.digest(), whole.digest());
        }
        let (one, two) = ("01".repeat(32), "02".repeat(32));
        assert_eq!(whole.text(), format!("{one}  0  9\n{two}  0  2\n"));
    }

    #[test]
    fn a_missing_byte_is_missing() {
        let mut served = served();
        assert_eq!(served.missing(), 13);
        served.add("a", 0, 4);
        served.add("a", 6, 9);
        served.add("b", 0, 2);
        served.add("unknown", 0, 9);
        served.add("a", 7, 6);
        served.add("empty", 0, 0);
        assert_eq!(served.missing(), 1);
        assert!(!served.is_whole());
        served.add("a", 5, 5);
        assert!(served.is_whole());
    }
}
