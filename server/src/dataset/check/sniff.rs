//! What a content is, by its first bytes and then by its name.

use super::report::{Flaw, Format, Packing};

/// Bytes that are looked at.
pub(super) const HEAD_BYTES: usize = 64 << 10;
/// Lines by which a delimiter is chosen.
const LINES: usize = 20;
/// Between cells, the likelier first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Names of workbooks.
const WORKBOOKS: [&str; 5] = ["xlsx", "xlsm", "xls", "xlsb", "ods"];
/// Names of tables and texts: what is named so is nothing else.
const TEXTS: [&str; 8] = ["csv", "tsv", "jsonl", "ndjson", "json", "txt", "text", "md"];

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something packed.
    Packed(Packing),
    /// A format, with a delimiter where it is a table of text.
    Of(Format, char),
    /// Not what it is named, or in no encoding that is read.
    Refused(Flaw),
}

/// Tells what begins so and is named so.
pub(super) fn sniff(name: &str, head: &[u8]) -> Kind {
    let extension = extension(name);
    let is_text_by_name = TEXTS.contains(&extension.as_str());
    let format = match head {
        [0x1f, 0x8b, ..] => return Kind::Packed(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => return Kind::Packed(Packing::Zstd),
        [b'P', b'A', b'R', b'1', ..] => Format::Parquet,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => {
            if is_text_by_name {
                return workbook(&extension);
            }
            if WORKBOOKS.contains(&extension.as_str()) {
                Format::Other
            } else {
                Format::Zip
            }
        }
        [0xd0, 0xcf, 0x11, 0xe0, ..] if is_text_by_name => return workbook(&extension),
        _ if head.get(257..262) == Some(b"ustar") => Format::Tar,
        _ => return text(&extension, is_text_by_name, head),
    };
    if is_text_by_name {
        let sentence =
            format!("it is named .{extension} and is something else; name it for what it is");
        return Kind::Refused(Flaw::broken("name.format", sentence));
    }
    Kind::Of(format, ',')
}

fn workbook(extension: &str) -> Kind {
    let sentence = format!("an Excel workbook named .{extension}; export the table as {extension}");
    Kind::Refused(Flaw::broken("name.workbook", sentence))
}

fn extension(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    last.rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase())
        .unwrap_or_default()
}

fn text(extension: &str, is_text_by_name: bool, head: &[u8]) -> Kind {
    if extension == "parquet" {
        return Kind::Refused(Flaw::broken(
            "name.format",
            "it is named .parquet and does not begin like one",
        ));
    }
    if is_text_by_name && let Some(flaw) = encoding(head) {
        return Kind::Refused(flaw);
    }
    let first = head.iter().find(|b| !b.is_ascii_whitespace());
    match extension {
        "csv" => Kind::Of(Format::Csv, delimiter(head)),
        "tsv" => Kind::Of(Format::Tsv, '\t'),
        "jsonl" | "ndjson" => Kind::Of(Format::Jsonl, ','),
        "json" if first == Some(&b'{') && is_by_lines(head) => Kind::Of(Format::Jsonl, ','),
        "json" => Kind::Of(Format::Json, ','),
        "txt" | "text" | "md" => Kind::Of(Format::Text, ','),
        _ if infer::get(head).is_some() || encoding(head).is_some() || !is_utf8(head) => {
            Kind::Of(Format::Other, ',')
        }
        _ if first == Some(&b'{') && is_by_lines(head) => Kind::Of(Format::Jsonl, ','),
        _ => Kind::Of(Format::Text, ','),
    }
}

/// Whether the first two lines are a JSON value each.
fn is_by_lines(head: &[u8]) -> bool {
    let is_json = |line: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
    let mut lines = head
        .split(|b| *b == b'\n')
        .filter(|line| !line.trim_ascii().is_empty());
    match (lines.next(), lines.next()) {
        (Some(first), None) => is_json(first),
        (Some(first), Some(second)) => {
            is_json(first) && (is_json(second) || lines.next().is_none())
        }
        (None, _) => false,
    }
}

fn is_utf8(head: &[u8]) -> bool {
    match std::str::from_utf8(head) {
        Ok(_) => true,
        // Cut within a character.
        Err(fault) => fault.error_len().is_none(),
    }
}

/// Encodings of text that are not read, by name.
fn encoding(head: &[u8]) -> Option<Flaw> {
    let even_zeros = head.iter().step_by(2).filter(|b| **b == 0).count();
    let odd_zeros = head.iter().skip(1).step_by(2).filter(|b| **b == 0).count();
    let many = head.len() / 8;
    let is_wide = head.len() >= 16 && (even_zeros > many || odd_zeros > many);
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) || is_wide {
        return Some(Flaw::broken(
            "encoding.utf-16",
            "it is UTF-16; save it as UTF-8",
        ));
    }
    if head.contains(&0) {
        return Some(Flaw::broken(
            "encoding.binary",
            "it has zero bytes and is no text",
        ));
    }
    is_gb18030(head).then(|| {
        Flaw::broken(
            "encoding.gb18030",
            "it is GB18030 (or GBK); save it as UTF-8",
        )
    })
}

/// Most of what is not ASCII makes pairs of GBK and no characters of UTF-8.
fn is_gb18030(head: &[u8]) -> bool {
    let (mut characters, mut wrong) = (0_usize, 0_usize);
    for chunk in head.utf8_chunks() {
        characters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        wrong += usize::from(!chunk.invalid().is_empty());
    }
    if wrong < 4 || characters > wrong {
        return false;
    }
    let (mut pairs, mut odd, mut at) = (0_usize, 0_usize, 0);
    while let Some(byte) = head.get(at) {
        let pair = matches!(byte, 0x81..=0xfe)
            && matches!(head.get(at + 1), Some(0x40..=0x7e | 0x80..=0xfe));
        let four = matches!(byte, 0x81..=0xfe) && matches!(head.get(at + 1), Some(b'0'..=b'9'));
        pairs += usize::from(pair || four);
        odd += usize::from(!byte.is_ascii() && !pair && !four);
        at += if four {
            4
        } else if pair {
            2
        } else {
            1
        };
    }
    pairs >= 4 && odd * 20 <= pairs
}

/// The delimiter that most of the first lines have equally often.
fn delimiter(head: &[u8]) -> char {
    let count = |line: &[u8], wanted: u8| {
        let mut quoted = false;
        line.iter()
            .filter(|b| {
                quoted ^= **b == b'"';
                !quoted && **b == wanted
            })
            .count()
    };
    let lines: Vec<&[u8]> = head
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .take(LINES)
        .collect();
    let worth = |wanted: u8| {
        let first = lines.first().map_or(0, |line| count(line, wanted));
        let alike = lines
            .iter()
            .filter(|line| first > 0 && count(line, wanted) == first)
            .count();
        (alike, first)
    };
    let best = DELIMITERS
        .into_iter()
        .rev()
        .max_by_key(|wanted| worth(*wanted));
    best.filter(|best| worth(*best).0 > 0)
        .map_or(',', char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_what_the_lines_agree_on() {
        assert_eq!(delimiter(b"a;b;c\n1,5;2;3\n4,5;5;6\n"), ';');
        assert_eq!(delimiter(b"a,b\n\"x;y\",2\n"), ',');
        assert_eq!(delimiter(b"a|b\n1|2\n"), '|');
        assert_eq!(delimiter(b"one\ntwo\n"), ',');
    }

    #[test]
    fn a_workbook_named_csv_is_told_so() {
        for head in [&b"PK\x03\x04rest"[..], &[0xd0, 0xcf, 0x11, 0xe0, 1]] {
            let Kind::Refused(flaw) = sniff("t/prices.csv", head) else {
                panic!("not refused");
            };
            assert_eq!(flaw.code, "name.workbook");
            assert!(
                flaw.sentence.contains("an Excel workbook named .csv"),
                "{}",
                flaw.sentence
            );
        }
        assert_eq!(
            sniff("prices.xlsx", b"PK\x03\x04rest"),
            Kind::Of(Format::Other, ',')
        );
    }

    #[test]
    fn other_encodings_are_named() {
        let code = |head: &[u8]| match sniff("a.csv", head) {
            Kind::Refused(flaw) => flaw.code,
            other @ (Kind::Of(..) | Kind::Packed(_)) => format!("{other:?}"),
        };
        assert_eq!(code(b"\xff\xfea\0,\0b\0"), "encoding.utf-16");
        // 姓名,年龄 and a row, in GBK.
        assert_eq!(
            code(b"\xd0\xd5\xc3\xfb,\xc4\xea\xc1\xe4\n\xd5\xc5\xc8\xfd,30\n"),
            "encoding.gb18030"
        );
        // One wrong byte in UTF-8 is a wrong byte.
        assert_eq!(code("姓名,年龄\n张三,\u{3}".as_bytes()), "Of(Csv, ',')");
        assert_eq!(code(b"\xe5\xa7\x93\xe5\x90\x8d,\xff\n"), "Of(Csv, ',')");
    }

    #[test]
    fn objects_a_line_are_lines_whatever_they_are_named() {
        assert_eq!(
            sniff("a.json", b"{\"a\":1}\n{\"a\":2}\n"),
            Kind::Of(Format::Jsonl, ',')
        );
        assert_eq!(
            sniff("a.json", b"{\n \"a\": 1\n}\n"),
            Kind::Of(Format::Json, ',')
        );
        assert_eq!(sniff("a.json", b"[{\"a\":1}]"), Kind::Of(Format::Json, ','));
    }
}
