//! Paths and names inside addresses (RFC 3986 §2).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters, which stand for themselves everywhere.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Between the segments of a path `/` stands for itself, too.
const PATH: &AsciiSet = &NAME.remove(b'/');

/// A path of a manifest in an address.
#[must_use]
pub fn path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// A single segment, or a value of a query or header.
#[must_use]
pub fn name(text: &str) -> String {
    utf8_percent_encode(text, NAME).to_string()
}

/// What an encoded text says; the text itself where that is not UTF-8.
#[must_use]
pub fn decoded(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_or_else(|_| text.to_owned(), |text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_comes_back_as_it_was() {
        let text = "数 据/50%25 + a#b?.csv";
        assert_eq!(path("a b/数"), "a%20b/%E6%95%B0");
        assert_eq!(name("a/b"), "a%2Fb");
        assert!(path(text).bytes().all(|c| c.is_ascii_graphic()));
        for encoded in [path(text), name(text)] {
            assert_eq!(decoded(&encoded), text);
        }
        assert_eq!(decoded("50%25 %2B 1%"), "50% + 1%");
        assert_eq!(decoded("%FF"), "%FF");
    }
}
