//! Signed links: one file of one version for one order, for minutes, without a key (DESIGN §7). A link is a bearer's: whoever has it may
//! read that file until it ends. It is made again at will from the entitlement, and kept nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use verifier::id::{DocumentDigest, OrderId};
use verifier::time::Timestamp;

/// How long a link holds.
pub const LINK_SECONDS: i64 = 900;
/// HMAC-SHA-256.
const MAC_BYTES: usize = 32;

/// What a link lets its bearer read. The path stands in the URL beside it, and under the same MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The version.
    pub manifest: DocumentDigest,
    /// The order under which it is read; none for whoever needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// From when on it is dead, in UNIX seconds.
    pub exp: i64,
}

/// Makes and reads links.
#[derive(Debug)]
pub struct Links(hmac::Key);

impl Links {
    /// Takes a secret that is used for nothing else.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The token of a link to one file.
    #[must_use]
    pub fn token(&self, link: &Link, path: &str) -> String {
        let mut bytes = serde_json::to_vec(link).unwrap_or_default();
        let mac = hmac::sign(&self.0, &under_mac(&bytes, path));
        bytes.extend_from_slice(mac.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that we made for this path; it may have ended.
    #[must_use]
    pub fn read(&self, token: &str, path: &str) -> Option<Link> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (text, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        hmac::verify(&self.0, &under_mac(text, path), mac).ok()?;
        serde_json::from_slice(text).ok()
    }
}

impl Link {
    /// Whether it has ended.
    #[must_use]
    pub const fn is_dead_at(&self, at: Timestamp) -> bool {
        at.unix() >= self.exp
    }
}

/// JSON holds no zero byte, so the border is where it seems.
fn under_mac(text: &[u8], path: &str) -> Vec<u8> {
    [text, b"\0", path.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use verifier::id::Salt;

    #[test]
    fn a_link_names_one_file_and_every_changed_byte_is_found() {
        let links = Links::new(&[7; 32]);
        let link = Link {
            manifest: DocumentDigest::of(b"m"),
            order: Some(OrderId::draw(&Salt::new([1; 16]), 2, 3)),
            exp: 1_000,
        };
        let token = links.token(&link, "a/b.csv");
        assert_eq!(links.read(&token, "a/b.csv"), Some(link));
        for other in ["a/b.csv2", "b.csv", "", "a/c.csv"] {
            assert_eq!(links.read(&token, other), None, "{other}");
        }
        assert_eq!(Links::new(&[8; 32]).read(&token, "a/b.csv"), None);
        for i in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(links.read(&changed, "a/b.csv"), None, "{i}");
        }
        for bad in ["", "A", "====", &token[1..]] {
            assert_eq!(links.read(bad, "a/b.csv"), None, "{bad}");
        }
    }

    #[test]
    fn a_link_is_dead_from_its_second_on() {
        let link = Link {
            manifest: DocumentDigest::of(b"m"),
            order: None,
            exp: 1_000,
        };
        assert!(!link.is_dead_at(Timestamp::new(999).unwrap()));
        assert!(link.is_dead_at(Timestamp::new(1_000).unwrap()));
    }
}
