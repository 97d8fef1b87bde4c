//! Which part of a file a request is answered with: conditions and ranges (RFC 9110 §13, §14). Pure; [`super`] asks.

use crate::address;
use std::ops::Range;

/// The conditions of a request, as sent; several lines of one name are joined by commas (RFC 9110 §5.3).
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Conditions {
    /// `If-Match`
    pub(in crate::http) if_match: Option<String>,
    /// `If-None-Match`
    pub(in crate::http) if_none_match: Option<String>,
    /// `Range`; none for HEAD, which has no ranges (RFC 9110 §14.2).
    pub(in crate::http) range: Option<String>,
    /// `If-Range`
    pub(in crate::http) if_range: Option<String>,
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) enum Part {
    /// 200: all of it.
    Whole,
    /// 206: these bytes, at least one.
    Bytes(Range<u64>),
    /// 304: the caller has it.
    NotModified,
    /// 412: the caller wants another content.
    OtherContent,
    /// 416: the range begins behind the end.
    Beyond,
}

impl Conditions {
    /// Decides in the order of RFC 9110 §13.2.2. `tag` is the strong entity tag with its quotes, `bytes` the length.
    pub(in crate::http) fn part(&self, tag: &str, bytes: u64) -> Part {
        if self
            .if_match
            .as_deref()
            .is_some_and(|wanted| !names_strongly(wanted, tag))
        {
            return Part::OtherContent;
        }
        if self
            .if_none_match
            .as_deref()
            .is_some_and(|known| names_weakly(known, tag))
        {
            return Part::NotModified;
        }
        // A date there is never ours: we give none (RFC 9110 §13.1.5).
        if self
            .if_range
            .as_deref()
            .is_some_and(|held| held.trim() != tag)
        {
            return Part::Whole;
        }
        self.range
            .as_deref()
            .map_or(Part::Whole, |range| cut(range, bytes))
    }

    /// Whether what has no entity tag may be sent: it is none of those that a caller insists on (RFC 9110 §13.1.1). It is never one
    /// that a caller has already, and has no ranges.
    pub(in crate::http) fn lets_untagged(&self) -> bool {
        let wanted = self.if_match.as_deref().map(str::trim);
        wanted.is_none_or(|wanted| wanted == "*")
    }
}

/// One range; what is not well-formed, of another unit, or more than one is answered with the whole (RFC 9110 §14.2).
fn cut(range: &str, bytes: u64) -> Part {
    let spelled = range.trim().split_once('=');
    let Some((unit, spec)) = spelled else {
        return Part::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Part::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    match (number(first), number(last)) {
        (Spelled::Number(first), Spelled::None) if first >= bytes => Part::Beyond,
        (Spelled::Number(first), Spelled::None) => Part::Bytes(first..bytes),
        (Spelled::Number(first), Spelled::Number(last)) if last < first => Part::Whole,
        (Spelled::Number(first), Spelled::Number(_)) if first >= bytes => Part::Beyond,
        (Spelled::Number(first), Spelled::Number(last)) => {
            Part::Bytes(first..last.saturating_add(1).min(bytes))
        }
        (Spelled::None, Spelled::Number(0)) => Part::Beyond,
        (Spelled::None, Spelled::Number(_)) if bytes == 0 => Part::Beyond,
        (Spelled::None, Spelled::Number(length)) => {
            Part::Bytes(bytes.saturating_sub(length)..bytes)
        }
        (Spelled::None, Spelled::None) | (Spelled::Other, _) | (_, Spelled::Other) => Part::Whole,
    }
}

/// A position of a range.
enum Spelled {
    None,
    Number(u64),
    Other,
}

/// Digits only; a number beyond 64 bits lies behind every end.
fn number(text: &str) -> Spelled {
    let text = text.trim();
    if text.is_empty() {
        return Spelled::None;
    }
    if !text.bytes().all(|c| c.is_ascii_digit()) {
        return Spelled::Other;
    }
    Spelled::Number(text.parse().unwrap_or(u64::MAX))
}

fn names_strongly(list: &str, tag: &str) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|one| one == "*" || one == tag)
}

fn names_weakly(list: &str, tag: &str) -> bool {
    let mut tags = list.split(',').map(str::trim);
    tags.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// `Content-Disposition` of a file: its name only, in the spelling that is never misread (RFC 6266 §4.3, RFC 8187 §3.2).
pub(in crate::http) fn disposition(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    format!("attachment; filename*=UTF-8''{}", address::name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"ab\"";

    fn range(text: &str, bytes: u64) -> Part {
        let asked = Conditions {
            range: Some(text.to_owned()),
            ..Conditions::default()
        };
        asked.part(TAG, bytes)
    }

    #[test]
    fn a_range_is_cut_at_the_end_and_refused_behind_it() {
        assert_eq!(Conditions::default().part(TAG, 10), Part::Whole);
        assert_eq!(range("bytes=0-9", 10), Part::Bytes(0..10));
        assert_eq!(range("bytes=0-0", 10), Part::Bytes(0..1));
        assert_eq!(range("bytes=3-", 10), Part::Bytes(3..10));
        assert_eq!(range("bytes=3-99", 10), Part::Bytes(3..10));
        assert_eq!(range("Bytes= 9-9 ", 10), Part::Bytes(9..10));
        assert_eq!(range("bytes=-4", 10), Part::Bytes(6..10));
        assert_eq!(range("bytes=-40", 10), Part::Bytes(0..10));
        for behind in [
            "bytes=10-",
            "bytes=10-11",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(range(behind, 10), Part::Beyond, "{behind}");
        }
        assert_eq!(range("bytes=0-", 0), Part::Beyond);
        assert_eq!(range("bytes=-1", 0), Part::Beyond);
        assert_eq!(
            range("bytes=0-18446744073709551615", 10),
            Part::Bytes(0..10)
        );
    }

    #[test]
    fn what_is_no_single_range_is_answered_whole() {
        for odd in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=1--2",
            "bytes=-1-2",
            "bytes=1.0-2",
        ] {
            assert_eq!(range(odd, 10), Part::Whole, "{odd}");
        }
    }

    #[test]
    fn conditions_are_asked_before_the_range() {
        let asked = |name: &str, value: &str| {
            let mut asked = Conditions {
                range: Some("bytes=0-1".to_owned()),
                ..Conditions::default()
            };
            let value = Some(value.to_owned());
            match name {
                "if-match" => asked.if_match = value,
                "if-none-match" => asked.if_none_match = value,
                _ => asked.if_range = value,
            }
            asked.part(TAG, 10)
        };
        assert_eq!(asked("if-match", "\"cd\""), Part::OtherContent);
        assert_eq!(asked("if-match", "W/\"ab\""), Part::OtherContent);
        assert_eq!(asked("if-match", "\"cd\", \"ab\""), Part::Bytes(0..2));
        assert_eq!(asked("if-match", "*"), Part::Bytes(0..2));
        assert_eq!(asked("if-none-match", "\"ab\""), Part::NotModified);
        assert_eq!(asked("if-none-match", "\"x\", W/\"ab\""), Part::NotModified);
        assert_eq!(asked("if-none-match", "*"), Part::NotModified);
        assert_eq!(asked("if-none-match", "\"cd\""), Part::Bytes(0..2));
        assert_eq!(asked("if-range", "\"ab\""), Part::Bytes(0..2));
        assert_eq!(asked("if-range", "W/\"ab\""), Part::Whole);
        assert_eq!(
            asked("if-range", "Tue, 24 Nov 2026 00:00:00 GMT"),
            Part::Whole
        );
    }

    #[test]
    fn a_name_in_a_header_is_only_a_name() {
        assert_eq!(
            disposition("a/b c\"\r\n.txt"),
            "attachment; filename*=UTF-8''b%20c%22%0D%0A.txt"
        );
        assert_eq!(
            disposition("数.csv"),
            "attachment; filename*=UTF-8''%E6%95%B0.csv"
        );
    }
}
