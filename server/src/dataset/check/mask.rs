//! What a text looks like to who has not bought it: identifiers, keys and long numbers under asterisks.

use std::ops::Range;

use super::personal::{Kind, run, scan};

/// The longest cell shown, in bytes.
const SHOWN_MAX: usize = 2_048;
/// Digits in a row that are masked in any case: what no detector knows may still be somebody's number.
const DIGITS_MAX: usize = 6;
/// Letters in a row, capital and small and digits, that are masked as a key: a line of a PEM body is 64.
const LETTERS_MAX: usize = 40;

/// The text as previews and samples show it: what the detectors find, any six digits in a row and what looks like a key are masked.
#[must_use]
pub fn mask(text: &str) -> String {
    // An identifier that the cut goes through is masked before it.
    let text = text
        .get(..text.floor_char_boundary(2 * SHOWN_MAX))
        .unwrap_or(text);
    let mut spans = Vec::new();
    scan(text.as_bytes(), |kind, span| {
        spans.push((span, shown(kind)))
    });
    let found: Vec<Range<usize>> = spans.iter().map(|(span, _)| span.clone()).collect();
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let letters = run(rest, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-')
        });
        let word = rest.get(..letters).unwrap_or_default();
        if letters >= LETTERS_MAX && looks_random(word) {
            spans.push((at..at + letters, (0, 0)));
        } else {
            let numbers = long_numbers(word, at)
                .filter(|number| !found.iter().any(|span| span.contains(&number.start)));
            spans.extend(numbers.map(|span| (span, (0, 0))));
        }
        at += letters.max(1);
    }
    let mut shown = covered(text, spans);
    if shown.len() > SHOWN_MAX {
        shown.truncate(shown.floor_char_boundary(SHOWN_MAX));
        shown.push('…');
    }
    shown
}

/// The text with what the detectors find masked, and nothing else: for names of columns.
#[must_use]
pub fn mask_found(text: &str) -> String {
    let mut spans = Vec::new();
    scan(text.as_bytes(), |kind, span| {
        spans.push((span, shown(kind)))
    });
    covered(text, spans)
}

/// One identifier under asterisks: `3101************1X`.
pub(super) fn masked(kind: Kind, value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    covered(&text, vec![(0..text.len(), shown(kind))])
}

/// How many characters at both ends say what it is without saying which.
fn shown(kind: Kind) -> (usize, usize) {
    match kind {
        Kind::ResidentId | Kind::Uscc | Kind::BankCard | Kind::Iban => (4, 2),
        Kind::Mobile => (3, 2),
        Kind::CodiceFiscale => (3, 1),
        Kind::PartitaIva => (2, 1),
        Kind::Passport | Kind::Ip => (1, 1),
        Kind::Email => (1, 2),
        Kind::AccessKey => (4, 0),
        Kind::PrivateKey => (27, 0),
    }
}

/// Where the long numbers of a word are, that starts at `at`.
fn long_numbers(word: &[u8], mut at: usize) -> impl Iterator<Item = Range<usize>> {
    let numbers = word.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
    numbers.filter_map(move |part| {
        let start = at;
        at += part.len();
        let is_number = part.len() >= DIGITS_MAX && part.first().is_some_and(u8::is_ascii_digit);
        is_number.then_some(start..at)
    })
}

fn looks_random(run: &[u8]) -> bool {
    run.iter().any(u8::is_ascii_digit)
        && run.iter().any(u8::is_ascii_uppercase)
        && run.iter().any(u8::is_ascii_lowercase)
}

/// Puts asterisks over the spans, but for so many characters at their ends; where two overlap, both cover.
fn covered(text: &str, spans: Vec<(Range<usize>, (usize, usize))>) -> String {
    if spans.is_empty() {
        return text.to_owned();
    }
    let mut hidden = vec![false; text.len()];
    for (span, (head, tail)) in spans {
        let from = span.start + head.min(span.len());
        let to = span.end.saturating_sub(tail).max(from);
        for place in hidden.get_mut(from..to).unwrap_or_default() {
            *place = true;
        }
    }
    let covered = |(at, c)| match hidden.get(at) {
        Some(true) => '*',
        _ => c,
    };
    text.char_indices().map(covered).collect()
}
