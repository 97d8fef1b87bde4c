//! Keys and tokens that give themselves away by their first letters.

use std::ops::Range;

use super::personal::{Kind, run};
use crate::keys::Token;

/// How far behind `-----BEGIN` the words `PRIVATE KEY-----` stand at most.
const PEM_HEAD_MAX: usize = 40;

/// The key that the word at `start..end` begins, if it does.
pub(super) fn at(text: &[u8], start: usize, end: usize) -> Option<(Kind, Range<usize>)> {
    let word = text.get(start..end)?;
    // Most words end here: one look at the first letter.
    let long = match word.first()? {
        b'A' => amazon(word).or_else(|| google(text, start)),
        b'g' => github(text, start, word),
        b'h' if word == b"hf" => after(text, end, b"_", 30),
        b's' if word == b"sk" => model(text, end),
        b'x' if slack(word) => after(text, end, b"-", 10),
        b'q' if word == b"quan" => quan(text, start),
        b'B' if word == b"BEGIN" => return pem(text, start, end),
        _ => None,
    };
    long.map(|stop| (Kind::AccessKey, start..start + stop))
        .filter(|(_, span)| span.end <= text.len())
        .map(|(kind, span)| (kind, span.start..span.end.max(end)))
}

fn wide(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// How long a key is whose prefix ends at `end`, if `mark` and at least so many letters follow; counted from the prefix' start by
/// the caller's word.
fn after(text: &[u8], end: usize, mark: &[u8], least: usize) -> Option<usize> {
    let rest = text.get(end..)?.strip_prefix(mark)?;
    let long = run(rest, wide);
    let head = run_back(text, end);
    (long >= least).then_some(head + mark.len() + long)
}

/// The length of the word that ends at `end`.
fn run_back(text: &[u8], end: usize) -> usize {
    let before = text.get(..end).unwrap_or_default();
    before
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric())
        .count()
}

/// An access key id of AWS.
fn amazon(word: &[u8]) -> Option<usize> {
    let is_id = word.len() == 20
        && (word.starts_with(b"AKIA") || word.starts_with(b"ASIA"))
        && word
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    is_id.then_some(word.len())
}

fn google(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start..)?.strip_prefix(b"AIza")?;
    (run(rest, wide) == 35).then_some(39)
}

fn github(text: &[u8], start: usize, word: &[u8]) -> Option<usize> {
    let end = start + word.len();
    match word {
        [b'g', b'h', b'p' | b'o' | b'u' | b's' | b'r'] => after(text, end, b"_", 36),
        b"github" => after(text, end, b"_pat_", 40),
        _ => None,
    }
}

/// `sk-…` of the vendors of models: long and with a digit, or it is a style class.
fn model(text: &[u8], end: usize) -> Option<usize> {
    let long = after(text, end, b"-", 20)?;
    let body = text.get(end..(end + long).min(text.len()))?;
    body.iter().any(u8::is_ascii_digit).then_some(long)
}

fn slack(word: &[u8]) -> bool {
    matches!(word, [b'x', b'o', b'x', b'a' | b'b' | b'p' | b'r' | b's'])
}

/// Our own, by its check digits.
fn quan(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let long = run(rest, |b| b.is_ascii_alphanumeric() || b == b'_');
    let token = std::str::from_utf8(rest.get(..long)?).ok()?;
    Token::parse(token).map(|_| long)
}

/// A private key in PEM (RFC 7468), with as much of its body as this text holds.
fn pem(text: &[u8], start: usize, end: usize) -> Option<(Kind, Range<usize>)> {
    let dashes = start.checked_sub(5)?;
    text.get(dashes..start).filter(|b| *b == b"-----")?;
    let head = text.get(end..)?;
    let head = head.get(..head.len().min(PEM_HEAD_MAX))?;
    let mark = b"PRIVATE KEY-----";
    let at = head.windows(mark.len()).position(|window| window == mark)?;
    let body = end + at + mark.len();
    let long = run(text.get(body..)?, |b| {
        b.is_ascii_alphanumeric()
            || b.is_ascii_whitespace()
            || matches!(b, b'+' | b'/' | b'=' | b'\\')
    });
    Some((Kind::PrivateKey, dashes..body + long))
}
