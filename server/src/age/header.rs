//! The header: a line of version, a stanza a recipient, a MAC over all of it (C2SP age.md, "Header").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use std::io::Read;

use super::stream::{CHUNK_BYTES, NONCE_BYTES, TAG_BYTES};
use super::{Fault, FileKey, Identity, Recipient, derived, random};

const VERSION: &[u8] = b"age-encryption.org/v1\n";
const X25519: &str = "X25519";
const WRAP_INFO: &str = "age-encryption.org/v1/X25519";
const MAC_INFO: &str = "header";
/// A line of a stanza's body; a shorter one, perhaps empty, ends it.
const BODY_COLUMNS: usize = 64;
/// Nobody's header is longer: some three hundred recipients.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// A header of ours: the version, one stanza of two lines, the MAC.
const OWN_BYTES: u64 = 22 + 54 + 44 + 48;

/// How long a file of so many bytes is when it is sealed for one recipient.
#[must_use]
pub const fn sealed_bytes(plain: u64) -> u64 {
    let chunks = match plain.div_ceil(CHUNK_BYTES as u64) {
        0 => 1,
        chunks => chunks,
    };
    let around = OWN_BYTES + NONCE_BYTES as u64;
    around
        .saturating_add(plain)
        .saturating_add(chunks.saturating_mul(TAG_BYTES as u64))
}

/// Writes a header for one recipient.
pub(super) fn write(key: &FileKey, recipient: &Recipient) -> Result<Vec<u8>, Fault> {
    let ephemeral = Identity::new(random()?);
    let share = ephemeral.recipient().0;
    let shared = ephemeral.shared_with(&recipient.0);
    let shared = shared.ok_or(Fault::Header("a recipient of small order"))?;
    let body = wrap(&wrap_key(&shared, &share, &recipient.0), key)?;
    let mut text = VERSION.to_vec();
    text.extend_from_slice(b"-> X25519 ");
    text.extend_from_slice(STANDARD_NO_PAD.encode(share).as_bytes());
    text.push(b'\n');
    text.extend_from_slice(STANDARD_NO_PAD.encode(body).as_bytes());
    text.extend_from_slice(b"\n---");
    let mac = hmac::sign(&mac_key(key), &text);
    text.push(b' ');
    text.extend_from_slice(STANDARD_NO_PAD.encode(mac).as_bytes());
    text.push(b'\n');
    Ok(text)
}

/// Reads a header and finds the file's key; the reader stands at the payload's nonce afterwards. Returns its length too.
pub(super) fn read(from: &mut impl Read, identity: &Identity) -> Result<(FileKey, u64), Fault> {
    let mut lines = Lines {
        from,
        read: Vec::new(),
    };
    if lines.next()? != VERSION.strip_suffix(b"\n").unwrap_or(VERSION) {
        return Err(Fault::Header("another version"));
    }
    let mut found = None;
    let mut stanzas = 0;
    let mut line = lines.next()?;
    let mac = loop {
        if let Some(mac) = line.strip_prefix(b"--- ") {
            break decode(mac)?;
        }
        let (stanza, next) = stanza(&line, &mut lines)?;
        stanzas += 1;
        if let Some(key) = opened(&stanza, identity)? {
            found.get_or_insert(key);
        }
        line = next;
    };
    if stanzas == 0 {
        return Err(Fault::Header("no recipient"));
    }
    let key = found.ok_or(Fault::NoMatch)?;
    // What the MAC covers ends with `---`.
    let length = lines.read.len();
    let covered = length.saturating_sub(line.len() + 1) + "---".len();
    let covered = lines.read.get(..covered).unwrap_or_default();
    hmac::verify(&mac_key(&key), covered, &mac)
        .map_err(|_| Fault::Header("its MAC does not hold"))?;
    Ok((key, u64::try_from(length).unwrap_or(u64::MAX)))
}

struct Stanza {
    words: Vec<String>,
    body: Vec<u8>,
}

/// Reads a stanza whose first line was read already, and the line after it.
fn stanza<R: Read>(first: &[u8], lines: &mut Lines<'_, R>) -> Result<(Stanza, Vec<u8>), Fault> {
    let words = first
        .strip_prefix(b"-> ")
        .ok_or(Fault::Header("a line that is none"))?;
    if !words.iter().all(|c| matches!(c, b' '..=b'~')) {
        return Err(Fault::Header("a letter that may not stand there"));
    }
    let words: Vec<String> = String::from_utf8_lossy(words)
        .split(' ')
        .map(str::to_owned)
        .collect();
    if words.iter().any(String::is_empty) {
        return Err(Fault::Header("an empty word"));
    }
    let mut body = Vec::new();
    loop {
        let line = lines.next()?;
        body.extend(decode(&line)?);
        match line.len() {
            BODY_COLUMNS => {}
            0..BODY_COLUMNS => return Ok((Stanza { words, body }, lines.next()?)),
            _ => return Err(Fault::Header("a line too long")),
        }
    }
}

/// The file's key, if this stanza is for this identity. A stanza that is X25519's by name must be well formed.
fn opened(stanza: &Stanza, identity: &Identity) -> Result<Option<FileKey>, Fault> {
    let share = match stanza.words.as_slice() {
        [kind, share] if kind == X25519 => share,
        // A passphrase stands alone, or whoever knows one recipient's key could have made the file (C2SP age.md, "scrypt").
        [kind, ..] if kind == "scrypt" => return Err(Fault::Header("sealed by a passphrase")),
        [kind, ..] if kind == X25519 => {
            return Err(Fault::Header("an X25519 stanza of other words"));
        }
        _ => return Ok(None),
    };
    let share: [u8; 32] = decode(share.as_bytes())?
        .try_into()
        .map_err(|_| Fault::Header("a share that is not 32 bytes"))?;
    if stanza.body.len() != 16 + TAG_BYTES {
        return Err(Fault::Header("a wrapped key that is not 32 bytes"));
    }
    let shared = identity.shared_with(&share);
    let shared = shared.ok_or(Fault::Header("a share of small order"))?;
    let key = wrap_key(&shared, &share, &identity.recipient().0);
    Ok(unwrap(&key, &stanza.body))
}

fn wrap_key(shared: &[u8; 32], share: &[u8; 32], recipient: &[u8; 32]) -> [u8; 32] {
    derived(shared, &[share.as_slice(), recipient].concat(), WRAP_INFO)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, Fault> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key);
    key.map(LessSafeKey::new)
        .map_err(|_| Fault::Header("a key that is none"))
}

/// The nonce is zero: a wrapping key wraps once.
fn zero() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn wrap(key: &[u8; 32], file: &FileKey) -> Result<Vec<u8>, Fault> {
    let mut body = file.0.to_vec();
    let sealed = cipher(key)?.seal_in_place_append_tag(zero(), Aad::empty(), &mut body);
    sealed.map_err(|_| Fault::Header("a key that does not seal"))?;
    Ok(body)
}

fn unwrap(key: &[u8; 32], body: &[u8]) -> Option<FileKey> {
    let mut body = body.to_vec();
    let opened = cipher(key)
        .ok()?
        .open_in_place(zero(), Aad::empty(), &mut body)
        .ok()?;
    Some(FileKey((&*opened).try_into().ok()?))
}

fn mac_key(key: &FileKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &derived(&key.0, &[], MAC_INFO))
}

/// Strict: no padding, no bits left over, so that a header has one spelling.
fn decode(text: &[u8]) -> Result<Vec<u8>, Fault> {
    STANDARD_NO_PAD
        .decode(text)
        .map_err(|_| Fault::Header("base64 that is none"))
}

/// Lines that end with LF, byte by byte: nothing of the payload is taken.
struct Lines<'a, R> {
    from: &'a mut R,
    read: Vec<u8>,
}

impl<R: Read> Lines<'_, R> {
    fn next(&mut self) -> Result<Vec<u8>, Fault> {
        let begun = self.read.len();
        let mut byte = [0];
        loop {
            if self.read.len() >= HEADER_BYTES_MAX {
                return Err(Fault::Header("too long"));
            }
            if self.from.read(&mut byte)? == 0 {
                return Err(Fault::Header("it ends too early"));
            }
            self.read.extend_from_slice(&byte);
            if byte == *b"\n" {
                let line = self.read.get(begun..self.read.len() - 1);
                return Ok(line.unwrap_or_default().to_vec());
            }
        }
    }
}
