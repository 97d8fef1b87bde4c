//! The manifest of a version: sorted lines `<sha-256 hex>  <bytes>  <path>`, whose digest names the version (DESIGN §9).

use std::collections::BTreeSet;
use unicode_normalization::is_nfc;

use crate::id::{DocumentDigest, hex};
use crate::money::INTEGER_MAX;
use crate::refusal::{Code, Refusal};

/// The longest path in a manifest: what common file systems take.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Length of a SHA-256 in hex.
const HEX_BYTES: usize = 64;

/// One file of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// Its path below the version's folder, see [`check_path`].
    pub path: String,
}

impl FileLine {
    /// The line without its line feed.
    fn text(&self) -> String {
        format!("{}  {}  {}", hex(&self.sha256), self.bytes, self.path)
    }

    fn parse(line: &str) -> Option<Self> {
        let (hash, rest) = line.split_once("  ")?;
        let (bytes, path) = rest.split_once("  ")?;
        let is_decimal = bytes == "0" || !bytes.starts_with(['0', '+']);
        let length: u64 = bytes.parse().ok().filter(|_| is_decimal)?;
        check_path(path).ok()?;
        Some(Self {
            sha256: from_hex(hash)?,
            bytes: (length <= INTEGER_MAX.unsigned_abs()).then_some(length)?,
            path: path.to_owned(),
        })
    }
}

/// The files of a version in the order of their lines: at least one, each path once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    files: Vec<FileLine>,
}

impl Manifest {
    /// Sorts files into a manifest.
    /// # Errors
    /// `request.malformed` for no file, a path twice, a path that [`check_path`] refuses, or more than 2⁵³ − 1 bytes.
    pub fn new(mut files: Vec<FileLine>) -> Result<Self, Refusal> {
        if files.is_empty() {
            return refused("a version has at least one file".into());
        }
        let (mut paths, mut sum) = (BTreeSet::new(), 0_u64);
        for file in &files {
            if let Err(why) = check_path(&file.path) {
                return refused(format!("the path {:?} {why}", file.path));
            }
            if !paths.insert(&*file.path) {
                return refused(format!("the path {:?} is there twice", file.path));
            }
            sum = sum.saturating_add(file.bytes);
        }
        if sum > INTEGER_MAX.unsigned_abs() {
            return refused(format!("{sum} bytes are more than 2^53 - 1"));
        }
        files.sort_by_cached_key(FileLine::text);
        Ok(Self { files })
    }

    /// Reads a manifest in its one spelling.
    /// # Errors
    /// `request.malformed` names the line.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let Some(body) = text.strip_suffix('\n') else {
            return refused("each line of a manifest ends with a line feed".into());
        };
        let (mut paths, mut files, mut last) = (BTreeSet::new(), Vec::new(), "");
        for (at, line) in body.split('\n').enumerate() {
            let Some(file) = FileLine::parse(line) else {
                return refused(format!(
                    "line {at} of the manifest is not `<sha-256 hex>  <bytes>  <NFC path>`"
                ));
            };
            if line <= last {
                return refused(format!(
                    "line {at} of the manifest is not above the line before"
                ));
            }
            if !paths.insert(file.path.clone()) {
                return refused(format!("line {at} of the manifest repeats a path"));
            }
            last = line;
            files.push(file);
        }
        Ok(Self { files })
    }

    /// The text, as it is hashed.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.files.iter().map(|file| file.text() + "\n");
        lines.collect()
    }

    /// The digest that names the version.
    #[must_use]
    pub fn digest(&self) -> DocumentDigest {
        DocumentDigest::of(self.text().as_bytes())
    }

    /// The bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let lengths = self.files.iter().map(|file| file.bytes);
        lengths.fold(0, u64::saturating_add)
    }

    /// The files, in the order in which they are numbered, sampled and proven.
    #[must_use]
    pub fn files(&self) -> &[FileLine] {
        &self.files
    }
}

/// Says what is wrong with a path: it must be NFC, relative and stay below its folder on every system.
/// # Errors
/// The end of the sentence "the path …".
pub fn check_path(path: &str) -> Result<(), &'static str> {
    if path.len() > PATH_BYTES_MAX {
        return Err("has more than 1024 bytes; shorten it");
    }
    if path.contains('\\') {
        return Err("holds a backslash; separate folders by /");
    }
    if path.chars().any(char::is_control) {
        return Err("holds a control character");
    }
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !path.split('/').all(is_part) {
        return Err("is not relative, or has an empty, `.` or `..` part");
    }
    if !is_nfc(path) {
        return Err("is not in Unicode's NFC form");
    }
    Ok(())
}

fn refused<T>(sentence: String) -> Result<T, Refusal> {
    Err(Refusal::new(Code::RequestMalformed, sentence))
}

/// 32 bytes from 64 lower-case digits.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.len() != HEX_BYTES {
        return None;
    }
    let pairs = digits.chunks_exact(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(fill: u8, bytes: u64, path: &str) -> FileLine {
        FileLine {
            sha256: [fill; 32],
            bytes,
            path: path.to_owned(),
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_is_written() {
        let files = vec![
            file(0xbb, 5, "data/训练.jsonl"),
            file(0xaa, 10, "b.csv"),
            file(0xaa, 10, "a.csv"),
        ];
        let manifest = Manifest::new(files).unwrap();
        let text = manifest.text();
        assert!(text.ends_with("  5  data/训练.jsonl\n"));
        assert!(text.starts_with(&format!("{}  10  a.csv\n", "aa".repeat(32))));
        assert_eq!(manifest.bytes(), 25);
        assert_eq!(Manifest::parse(&text).unwrap(), manifest);
        assert_eq!(manifest.digest(), DocumentDigest::of(text.as_bytes()));
    }

    #[test]
    fn a_manifest_has_one_spelling() {
        let good = format!("{}  1  a\n{}  2  b\n", "0a".repeat(32), "0b".repeat(32));
        assert!(Manifest::parse(&good).is_ok());
        let lines: Vec<&str> = good.lines().collect();
        for bad in [
            String::new(),
            "\n".to_owned(),
            good.trim_end().to_owned(),
            good.to_uppercase(),
            good.replace("  1  ", "  01  "),
            good.replace("  1  ", "  +1  "),
            good.replace("  1  ", " 1  "),
            good.replace("  1  ", "  9007199254740992  "),
            good.replace("  2  b", "  2  a"),
            format!("{}\n{}\n", lines[1], lines[0]),
            format!("{}\n{}\n", lines[0], lines[0]),
            format!("{good}\n"),
        ] {
            assert!(Manifest::parse(&bad).is_err(), "{bad:?}");
        }
        assert!(Manifest::new(Vec::new()).is_err());
        assert!(Manifest::new(vec![file(1, 1, "a"), file(2, 1, "a")]).is_err());
    }

    #[test]
    fn a_path_stays_below_its_folder() {
        for good in ["a", "a/b.txt", "数据/第一章.txt", "..a/b..", "a b"] {
            assert_eq!(check_path(good), Ok(()), "{good:?}");
        }
        for bad in [
            "", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\\b", "a\nb", "a\0", "e\u{301}",
        ] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_path(&"a".repeat(PATH_BYTES_MAX)), Ok(()));
        assert!(check_path(&"a".repeat(PATH_BYTES_MAX + 1)).is_err());
    }
}
