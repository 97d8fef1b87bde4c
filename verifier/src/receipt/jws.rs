//! The compact JWS, strictly: three parts, one spelling of base64url, a header of exactly `alg`, `kid`, `typ`
//! (RFC 7515 §3.1, RFC 8037 §3.1, RFC 9864 §2.2, DESIGN §5).
//!
//! No `crit`, `jwk`, `b64` or any other member: nothing in a header may change what is checked or with which key.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::sync::LazyLock;

use super::malformed;
use crate::json::Object;
use crate::refusal::Refusal;
use crate::signature::{Kid, SIGNATURE_BYTES};

/// An entry holds at most 65,535 bytes; the rest is for what the exchange says about the receipt.
pub const JWS_BYTES_MAX: usize = 48_000;
/// The longest honest header has some 130 bytes.
const HEADER_BYTES_MAX: usize = 256;
/// `URL_SAFE_NO_PAD` by a processor's vector instructions, if it has them: what is long has one decoder, with one verdict.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static LONG: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::url_safe(base64::engine::general_purpose::NO_PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static LONG: base64::engine::GeneralPurpose = URL_SAFE_NO_PAD;

/// A thumbprint as text.
const KID_BYTES: usize = 43;

macro_rules! typs {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The header's `typ` (RFC 7515 §4.1.9, RFC 8725 §3.11: explicit typing).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Typ {
            $($(#[$doc])* $name,)*
        }

        impl Typ {
            /// The text of the header.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        impl FromStr for Typ {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$name),)*
                    _ => Err(format!("typ {text:?} is none of ours: {}", [$($text),*].join(", "))),
                }
            }
        }
    };
}

typs! {
    /// A provider's statement of use.
    Usage = "compute-usage-receipt+jwt",
    /// A statement of a dataset's delivery.
    Delivery = "data-delivery-receipt+jwt",
    /// A buyer's verdict on a delivered dataset.
    Acceptance = "data-acceptance-receipt+jwt",
    /// A site's capacity for this exchange.
    Capacity = "capacity-share+jwt",
    /// Proof of possession of a key that is to be registered.
    Registration = "key-registration+jwt",
    /// A recovery key's word for a party's next key.
    Succession = "key-succession+jwt",
    /// The exchange's answer to a command.
    Reply = "reply+jwt",
    /// A buyer's signature of an order.
    Order = "order+jwt",
}

impl fmt::Display for Typ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Typ {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::text(deserializer)
    }
}

/// The parts of a compact JWS.
#[derive(Debug)]
pub(super) struct Jws {
    pub(super) typ: Typ,
    pub(super) kid: Kid,
    pub(super) payload: Vec<u8>,
    pub(super) signature: [u8; SIGNATURE_BYTES],
    /// How many of its first bytes are signed.
    pub(super) signing_bytes: usize,
}

/// Takes a compact JWS apart; the payload is not read.
pub(super) fn split(compact: &str) -> Result<Jws, Refusal> {
    if compact.len() > JWS_BYTES_MAX {
        let sentence = format!(
            "{} bytes exceed {JWS_BYTES_MAX}; split the receipt",
            compact.len()
        );
        return Err(malformed(sentence));
    }
    let parts = compact.rsplit_once('.').and_then(|(signed, signature)| {
        let (header, payload) = signed.split_once('.')?;
        (!payload.contains('.')).then_some((signed, header, payload, signature))
    });
    let Some((signed, header, payload, signature)) = parts else {
        return Err(malformed("a compact JWS has three parts between two dots"));
    };
    let Header { kid, typ, .. } = read_header(header)?;
    Ok(Jws {
        typ,
        kid,
        payload: LONG.decode(payload).map_err(|_| not_base64url("payload"))?,
        signature: read_signature(signature)?,
        signing_bytes: signed.len(),
    })
}

/// Signs a payload under the usual header, by whoever holds the key `kid`.
pub(super) fn sign(
    typ: Typ,
    payload: &[u8],
    kid: Kid,
    sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_BYTES],
) -> String {
    let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{typ}"}}"#);
    let mut compact = URL_SAFE_NO_PAD.encode(header);
    compact.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut compact);
    let signature = sign(compact.as_bytes());
    compact.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut compact);
    compact
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(rename = "alg")]
    _alg: Alg,
    kid: Kid,
    typ: Typ,
}

/// Two names of the one algorithm (RFC 8037, RFC 9864).
#[derive(Deserialize)]
enum Alg {
    #[serde(rename = "EdDSA")]
    EdDsa,
    Ed25519,
}

fn read_header(text: &str) -> Result<Header, Refusal> {
    let mut buffer = [0; HEADER_BYTES_MAX];
    let length = URL_SAFE_NO_PAD
        .decode_slice(text, &mut buffer)
        .map_err(|_| not_base64url("header"))?;
    let bytes = buffer.get(..length).unwrap_or_default();
    if let Some(header) = usual(bytes) {
        return Ok(header);
    }
    let Object(header) = serde_json::from_slice(bytes)
        .map_err(|fault| malformed(format!("the header is not accepted: {fault}")))?;
    Ok(header)
}

/// Reads the two spellings that nearly every library writes, without JSON; `None` proves nothing.
fn usual(header: &[u8]) -> Option<Header> {
    let members = header
        .strip_prefix(br#"{"alg":"EdDSA",""#)?
        .strip_suffix(br#""}"#)?;
    let (kid, typ) = if let Some(rest) = members.strip_prefix(br#"kid":""#) {
        let (kid, rest) = rest.split_at_checked(KID_BYTES)?;
        (kid, rest.strip_prefix(br#"","typ":""#)?)
    } else {
        let rest = members.strip_prefix(br#"typ":""#)?;
        let (rest, kid) = rest.split_at_checked(rest.len().checked_sub(KID_BYTES)?)?;
        (kid, rest.strip_suffix(br#"","kid":""#)?)
    };
    Some(Header {
        _alg: Alg::EdDsa,
        kid: Kid::parse(std::str::from_utf8(kid).ok()?).ok()?,
        typ: std::str::from_utf8(typ).ok()?.parse().ok()?,
    })
}

fn read_signature(text: &str) -> Result<[u8; SIGNATURE_BYTES], Refusal> {
    // Room for the decoder's estimate, which may exceed what it writes.
    let mut buffer = [0; SIGNATURE_BYTES + 8];
    let length = URL_SAFE_NO_PAD
        .decode_slice(text, &mut buffer)
        .map_err(|_| not_base64url("signature"))?;
    let bytes = buffer.get(..length).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| malformed(format!("the signature has {length} bytes, not 64")))
}

fn not_base64url(part: &str) -> Refusal {
    malformed(format!(
        "the {part} is not base64url in its one spelling (no padding, no spare bits), or is too long"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_long_text_is_read_as_a_short_one(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            (at, odd) in (any::<prop::sample::Index>(), any::<u8>()),
        ) {
            let mut text = URL_SAFE_NO_PAD.encode(&bytes).into_bytes();
            prop_assert_eq!(LONG.decode(&text), Ok(bytes));
            if !text.is_empty() {
                let place = at.index(text.len());
                text[place] = odd;
                prop_assert_eq!(LONG.decode(&text), URL_SAFE_NO_PAD.decode(&text));
            }
        }
    }
}
