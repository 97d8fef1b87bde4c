//! Finds identifiers of people and of firms, and keys, in a text: those that have check digits or a form that nothing else has.
//! Names and addresses have neither and are not looked for.
//!
//! One pass by runs of letters and digits; a number with a wrong check digit is no finding (GB 11643, GB 32100, ISO 7812, ISO
//! 13616, the Italian decree of 23-12-1976). Who calls: the checks, a cell at a time, and the mask.

use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;
use std::ops::Range;

use super::secret;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// 公民身份号码, GB 11643: region, date of birth, check digit.
    ResidentId,
    /// 统一社会信用代码, GB 32100.
    Uscc,
    /// A mobile number of mainland China.
    Mobile,
    /// A payment card (ISO 7812), of a known issuer range.
    BankCard,
    /// A mail address.
    Email,
    /// An IPv4 or IPv6 address.
    Ip,
    /// ISO 13616.
    Iban,
    /// The tax code of a person in Italy.
    CodiceFiscale,
    /// The VAT number of a firm in Italy.
    PartitaIva,
    /// The form of a Chinese passport; it has no check digit.
    Passport,
    /// A key to somebody's service.
    AccessKey,
    /// A private key in PEM.
    PrivateKey,
}

/// Provinces in the first two digits of a resident identity number (GB/T 2260).
const PROVINCES: [u8; 35] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52,
    53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83,
];
const RESIDENT_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const RESIDENT_CHECKS: &[u8; 11] = b"10X98765432";
const USCC_LETTERS: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const USCC_WEIGHTS: [u32; 17] = [
    1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
];
/// Countries of the IBAN registry and the length of theirs.
const IBANS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MT", 31),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"XK", 20),
];
/// The longest IBAN, and so the most digits that are looked at together.
const JOINED_MAX: usize = 34;
/// The longest local part of a mail address (RFC 5321 §4.5.3.1.1).
const LOCAL_MAX: usize = 64;
/// The longest text of an IPv6 address.
const IPV6_MAX: usize = 45;

/// Calls `found` for what is in the text, from left to right.
pub(super) fn scan(text: &[u8], found: impl FnMut(Kind, Range<usize>)) {
    let mut scan = Scan { text, found };
    let mut at = 0;
    while let Some(class) = text.get(at).map(|byte| class(*byte)) {
        at = match class {
            0 => at + 1,
            AT => scan.mail(at),
            _ => match plain(text, at) {
                Some(end) => end,
                None => scan.word(at),
            },
        };
    }
}

const DIGIT: u8 = 1;
/// A letter that begins no key.
const LETTER: u8 = 2;
/// A letter that a key begins with (`secret::at`).
const KEY: u8 = 4;
const AT: u8 = 8;
/// What each byte may be a part of.
const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'0'..=b'9' => DIGIT,
            b'A' | b'B' | b'g' | b'h' | b'q' | b's' | b'x' => KEY,
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'@' => AT,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Where the word that starts here ends, if nothing can begin with it: it is of letters alone, its first begins no key, and no colon
/// follows, or it is a number too short for anything that is not followed by a point, a colon, a space or a hyphen.
fn plain(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let (mut long, mut all) = (0, 0);
    while let Some(class) = rest
        .get(long)
        .map(|byte| class(*byte))
        .filter(|class| !matches!(*class, 0 | AT))
    {
        (long, all) = (long + 1, all | class);
    }
    let next = rest.get(long);
    let is_plain = match rest.first().map(|byte| class(*byte)) {
        Some(LETTER) => all & DIGIT == 0 && long != 16 && next != Some(&b':'),
        Some(DIGIT) => {
            all == DIGIT && long < 11 && !matches!(next, Some(b'.' | b':' | b' ' | b'-'))
        }
        Some(_) | None => false,
    };
    is_plain.then_some(start + long)
}

struct Scan<'a, F> {
    text: &'a [u8],
    found: F,
}

impl<F: FnMut(Kind, Range<usize>)> Scan<'_, F> {
    /// Looks at the word that starts here; returns where to go on.
    fn word(&mut self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        let long = run(rest, |b| b.is_ascii_alphanumeric());
        let word = rest.get(..long).unwrap_or_default();
        let end = start + long;
        if let Some((kind, span)) = secret::at(self.text, start, end) {
            let end = span.end.max(end);
            (self.found)(kind, span);
            return end;
        }
        if long <= 4
            && self.text.get(end) == Some(&b':')
            && let Some(stop) = ipv6(self.text, start)
        {
            (self.found)(Kind::Ip, start..stop);
            return stop;
        }
        if word.iter().all(u8::is_ascii_digit) {
            return self.number(start, end);
        }
        if let Some(kind) = of_word(word) {
            (self.found)(kind, start..end);
            return end;
        }
        self.spaced_iban(start, end).unwrap_or(end)
    }

    fn number(&mut self, start: usize, end: usize) -> usize {
        let before = start.checked_sub(1).and_then(|at| self.text.get(at));
        if end - start <= 3 && self.text.get(end) == Some(&b'.') {
            if before == Some(&b'.') {
                return end;
            }
            let Some(stop) = ipv4(self.text, start) else {
                return end;
            };
            (self.found)(Kind::Ip, start..stop);
            return stop;
        }
        if is_decimal(self.text, start, end) {
            return end;
        }
        let digits = self.text.get(start..end).unwrap_or_default();
        if let Some(kind) = of_number(digits) {
            (self.found)(kind, start..end);
            return end;
        }
        match grouped(self.text, start, end) {
            Some((kind, stop)) => {
                (self.found)(kind, start..stop);
                stop
            }
            None => end,
        }
    }

    /// An IBAN as it is printed: groups of four.
    fn spaced_iban(&mut self, start: usize, end: usize) -> Option<usize> {
        let head = self.text.get(start..end)?;
        let is_head = head.len() == 4
            && head.iter().take(2).all(u8::is_ascii_uppercase)
            && head.iter().skip(2).all(u8::is_ascii_digit);
        let length = IBANS
            .iter()
            .find(|(country, _)| head.starts_with(&country[..]));
        let (_, length) = length.filter(|_| is_head)?;
        let mut joined = head.to_vec();
        let mut at = end;
        while joined.len() < *length {
            let group = self.text.get(at..)?.strip_prefix(b" ")?;
            let long = run(group, |b| b.is_ascii_alphanumeric());
            if !(1..=4).contains(&long) {
                return None;
            }
            joined.extend(group.get(..long)?);
            at += 1 + long;
        }
        if !is_iban(&joined) {
            return None;
        }
        (self.found)(Kind::Iban, start..at);
        Some(at)
    }

    fn mail(&mut self, at: usize) -> usize {
        let local = self.text.get(..at).unwrap_or_default().iter().rev();
        let local = local.take(LOCAL_MAX).take_while(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-')
        });
        let start = at - local.count();
        let rest = self.text.get(at + 1..).unwrap_or_default();
        let mut domain = run(rest, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')
        });
        while domain > 0 && matches!(rest.get(domain - 1), Some(b'.' | b'-')) {
            domain -= 1;
        }
        let top = rest
            .get(..domain)
            .and_then(|d| d.rsplit(|b| *b == b'.').next());
        let is_mail = start < at
            && top.is_some_and(|top| {
                top.len() + 1 < domain && top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic)
            });
        if !is_mail {
            return at + 1;
        }
        let end = at + 1 + domain;
        (self.found)(Kind::Email, start..end);
        end
    }
}

/// How many bytes from the start are so.
pub(super) fn run(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|b| !is(*b)).unwrap_or(text.len())
}

/// Whether the digits are a part of a number with a point: those are measurements.
fn is_decimal(text: &[u8], start: usize, end: usize) -> bool {
    let digit = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let point = |at: Option<usize>| at.and_then(|at| text.get(at)) == Some(&b'.');
    (point(start.checked_sub(1)) && digit(start.checked_sub(2)))
        || (point(Some(end)) && digit(Some(end + 1)))
}

fn of_number(digits: &[u8]) -> Option<Kind> {
    match digits.len() {
        11 if is_mobile(digits) => Some(Kind::Mobile),
        11 if is_partita_iva(digits) => Some(Kind::PartitaIva),
        13 => digits
            .strip_prefix(b"86")
            .filter(|d| is_mobile(d))
            .map(|_| Kind::Mobile),
        15 if digits.strip_prefix(b"0086").is_some_and(is_mobile) => Some(Kind::Mobile),
        // What has the form of an identity number is one or is mistyped, and never a card.
        18 if has_resident_form(digits) => is_resident(digits).then_some(Kind::ResidentId),
        18 if is_uscc(digits) => Some(Kind::Uscc),
        15..=19 if is_card(digits) => Some(Kind::BankCard),
        _ => None,
    }
}

fn of_word(word: &[u8]) -> Option<Kind> {
    match word.len() {
        9 if is_passport(word) => Some(Kind::Passport),
        13 => word
            .strip_prefix(b"IT")
            .filter(|d| is_partita_iva(d))
            .map(|_| Kind::PartitaIva),
        16 if is_codice_fiscale(word) => Some(Kind::CodiceFiscale),
        18 if is_resident(word) => Some(Kind::ResidentId),
        18 if is_uscc(word) => Some(Kind::Uscc),
        15..=JOINED_MAX if is_iban(word) => Some(Kind::Iban),
        _ => None,
    }
}

/// Digits written in groups: a card by fours, a mobile number as 3-4-4, each between one space or hyphen.
fn grouped(text: &[u8], start: usize, end: usize) -> Option<(Kind, usize)> {
    let separator = text.get(end).filter(|b| matches!(b, b' ' | b'-'))?;
    let mut digits = text.get(start..end)?.to_vec();
    let (mut sizes, mut at) = (vec![end - start], end);
    while text.get(at) == Some(separator) {
        let group = text.get(at + 1..)?;
        let long = run(group, |b| b.is_ascii_digit());
        let is_whole = !group.get(long).is_some_and(u8::is_ascii_alphanumeric);
        if long == 0 || !is_whole || digits.len() + long > 19 {
            break;
        }
        digits.extend(group.get(..long)?);
        sizes.push(long);
        at += 1 + long;
    }
    let kind = match sizes[..] {
        [3, 4, 4] | [2, 3, 4, 4] => of_number(&digits).filter(|kind| *kind == Kind::Mobile),
        [4, 4, 4, 4] | [4, 4, 4, 4, 1..=3] | [4, 6, 5] | [6, 10..=13] => {
            of_number(&digits).filter(|kind| *kind == Kind::BankCard)
        }
        _ => None,
    };
    Some((kind?, at))
}

fn value(digit: u8) -> u32 {
    u32::from(digit.wrapping_sub(b'0'))
}

fn number(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |n: u32, d| n.wrapping_mul(10).wrapping_add(value(*d)))
}

fn is_mobile(digits: &[u8]) -> bool {
    digits.len() == 11 && digits.starts_with(b"1") && matches!(digits.get(1), Some(b'3'..=b'9'))
}

fn has_resident_form(digits: &[u8]) -> bool {
    let part = |range: Range<usize>| digits.get(range).map_or(0, number);
    let province = PROVINCES.iter().any(|p| u32::from(*p) == part(0..2));
    let (year, month, day) = (part(6..10), part(10..12), part(12..14));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    digits.len() == 18 && province && (1850..2100).contains(&year) && (1..=days).contains(&day)
}

fn is_resident(text: &[u8]) -> bool {
    let Some((last, digits)) = text.split_last() else {
        return false;
    };
    if !digits.iter().all(u8::is_ascii_digit) || !has_resident_form(text) {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .zip(RESIDENT_WEIGHTS)
        .map(|(d, w)| value(*d) * w)
        .sum();
    let check = RESIDENT_CHECKS.get((sum % 11) as usize);
    check == Some(&last.to_ascii_uppercase())
}

fn is_uscc(text: &[u8]) -> bool {
    let Some((last, body)) = text.split_last() else {
        return false;
    };
    let authority = matches!(
        text.get(..2),
        Some(
            [
                b'1' | b'5' | b'9' | b'A' | b'N' | b'Y' | b'2'..=b'4' | b'6'..=b'8',
                b'1'..=b'9',
            ],
        )
    );
    // The region of registration; 10 is the centre, for offices of the state.
    let region = text.get(2..8).is_some_and(|region| {
        let province = region.get(..2).map_or(0, number);
        region.iter().all(u8::is_ascii_digit)
            && (province == 10 || PROVINCES.iter().any(|p| u32::from(*p) == province))
    });
    if text.len() != 18 || !authority || !region {
        return false;
    }
    let place = |letter: u8| {
        USCC_LETTERS
            .iter()
            .position(|l| *l == letter)
            .and_then(|at| u32::try_from(at).ok())
    };
    let sum: Option<u32> = body
        .iter()
        .zip(USCC_WEIGHTS)
        .map(|(l, w)| Some(place(*l)? * w))
        .sum();
    sum.is_some_and(|sum| place(*last) == Some((31 - sum % 31) % 31))
}

fn is_card(digits: &[u8]) -> bool {
    let issued = matches!(
        (digits.len(), digits),
        (15, [b'3', b'4' | b'7', ..])
            | (
                16,
                [b'4', ..] | [b'5', b'1'..=b'5', ..] | [b'3', b'5' | b'6' | b'8', ..]
            )
            | (16..=19, [b'6', b'2', ..])
    );
    issued && luhn(digits)
}

/// ISO 7812: every second digit from the right doubled, its digits added.
fn luhn(digits: &[u8]) -> bool {
    let doubled = |(at, digit): (usize, &u8)| {
        let value = value(*digit) << (at % 2);
        value / 10 + value % 10
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// Eleven digits: seven of the firm, three of its province's office, the check digit by Luhn's rule.
fn is_partita_iva(digits: &[u8]) -> bool {
    if digits.len() != 11 || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let firm = digits.get(..7).map_or(0, number);
    let office = digits.get(7..10).map_or(0, number);
    firm > 0 && matches!(office, 1..=100 | 120 | 121 | 888 | 999) && luhn(digits)
}

fn is_passport(word: &[u8]) -> bool {
    let (head, digits) = word.split_at(1);
    match (head, digits) {
        (b"E", [second, rest @ ..]) => {
            (second.is_ascii_digit() || second.is_ascii_uppercase())
                && rest.iter().all(u8::is_ascii_digit)
        }
        (b"G", digits) => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_iban(text: &[u8]) -> bool {
    let known = IBANS
        .iter()
        .any(|(country, length)| text.starts_with(&country[..]) && text.len() == *length);
    let Some((head, rest)) = text.split_at_checked(4).filter(|_| known) else {
        return false;
    };
    if !head.iter().skip(2).all(u8::is_ascii_digit) {
        return false;
    }
    let mut remainder = 0_u32;
    for byte in rest.iter().chain(head) {
        remainder = match byte {
            b'0'..=b'9' => remainder * 10 + value(*byte),
            b'A'..=b'Z' => remainder * 100 + u32::from(byte - b'A') + 10,
            _ => return false,
        } % 97;
    }
    remainder == 1
}

fn is_codice_fiscale(text: &[u8]) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || matches!(b, b'L' | b'M' | b'N' | b'P'..=b'V');
    let letter = |b: u8| b.is_ascii_uppercase();
    let month = |b: u8| matches!(b, b'A'..=b'E' | b'H' | b'L' | b'M' | b'P' | b'R'..=b'T');
    let form = text.iter().enumerate().all(|(at, b)| match at {
        0..=5 | 11 | 15 => letter(*b),
        8 => month(*b),
        _ => digit(*b),
    });
    if text.len() != 16 || !form {
        return false;
    }
    // The decree's table for the places 1, 3, 5 …, by place in the alphabet; a digit counts as the letter of that place.
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let place = |b: u8| {
        usize::from(if b.is_ascii_digit() {
            b - b'0'
        } else {
            b - b'A'
        })
    };
    let worth = |(at, b): (usize, &u8)| match at % 2 {
        0 => ODD.get(place(*b)).copied().unwrap_or_default(),
        _ => u32::try_from(place(*b)).unwrap_or_default(),
    };
    let sum: u32 = text.iter().take(15).enumerate().map(worth).sum();
    text.last()
        .is_some_and(|last| u32::from(last - b'A') == sum % 26)
}

/// The end of the IPv4 address that starts here. `0…` and `127…` are nobody's.
fn ipv4(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    for octet in 0..4 {
        let rest = text.get(at..)?;
        let long = run(rest, |b| b.is_ascii_digit());
        let digits = rest.get(..long).filter(|d| (1..=3).contains(&d.len()))?;
        let leads_with_zero = digits.len() > 1 && digits.starts_with(b"0");
        if number(digits) > 255
            || leads_with_zero
            || (octet == 0 && matches!(number(digits), 0 | 127))
        {
            return None;
        }
        at += long;
        if octet < 3 {
            text.get(at).filter(|b| **b == b'.')?;
            at += 1;
        }
    }
    let goes_on = text
        .get(at)
        .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        || (text.get(at) == Some(&b'.') && text.get(at + 1).is_some_and(u8::is_ascii_digit));
    (!goes_on).then_some(at)
}

/// The end of the IPv6 address that starts here: three groups at least, with a digit among them, or half of all programs'
/// paths would be one (`fade::bee`).
fn ipv6(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let long = run(rest, |b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
    let mut address = rest.get(..long).filter(|_| long <= IPV6_MAX)?;
    while let Some(shorter) = address.strip_suffix(b".") {
        address = shorter;
    }
    if rest
        .get(address.len())
        .is_some_and(u8::is_ascii_alphanumeric)
    {
        return None;
    }
    let groups = address
        .split(|b| *b == b':')
        .filter(|group| !group.is_empty());
    if groups.count() < 3 || !address.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let parsed: Option<Ipv6Addr> = std::str::from_utf8(address).ok()?.parse().ok();
    parsed.map(|_| start + address.len())
}
