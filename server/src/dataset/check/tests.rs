//! Sentences about the checks.

use super::*;
use std::io::Write as _;

fn check(name: &str, bytes: &[u8]) -> Checked {
    Checker::file(name, &mut Cursor::new(bytes.to_vec()))
}

fn codes(checked: &Checked) -> Vec<&str> {
    checked
        .report
        .flaws
        .iter()
        .map(|flaw| flaw.code.as_str())
        .collect()
}

/// A generator that gives the same numbers in every run (Knuth's constants).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count)
            .map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap()))
            .collect()
    }

    fn of(&mut self, letters: &str) -> char {
        let place = usize::try_from(self.below(letters.len() as u64)).unwrap();
        char::from(letters.as_bytes()[place])
    }
}

/// The check digits here are computed by other means than in the code under test: by definition, in the slowest way.
mod made {
    use super::Numbers;

    pub(super) fn resident(n: &mut Numbers) -> String {
        let province = ["11", "31", "33", "44", "51", "62"][usize::try_from(n.below(6)).unwrap()];
        let (year, month, day) = (1950 + n.below(60), 1 + n.below(12), 1 + n.below(28));
        let body = format!(
            "{province}{}{year}{month:02}{day:02}{}",
            n.digits(4),
            n.digits(3)
        );
        // ISO 7064 MOD 11-2: the weight of a place is a power of two, the sum with the check digit is 1 modulo 11.
        let sum: u64 = body
            .bytes()
            .enumerate()
            .map(|(at, d)| u64::from(d - b'0') * (1 << (17 - at)))
            .sum();
        let check = (0..11).find(|check| (sum + check) % 11 == 1).unwrap();
        format!(
            "{body}{}",
            if check == 10 {
                "X".to_owned()
            } else {
                check.to_string()
            }
        )
    }

    const USCC: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";

    pub(super) fn uscc(n: &mut Numbers) -> String {
        let mut body = format!("9131{}", n.digits(4));
        body.extend((0..9).map(|_| n.of(USCC)));
        let sum: u64 = body
            .chars()
            .enumerate()
            .map(|(at, c)| {
                let weight = (0..at).fold(1_u64, |w, _| w * 3 % 31);
                USCC.find(c).unwrap() as u64 * weight
            })
            .sum();
        let check = (0..31)
            .find(|check| (sum + check).is_multiple_of(31))
            .unwrap();
        body.push(char::from(USCC.as_bytes()[usize::try_from(check).unwrap()]));
        body
    }

    pub(super) fn luhn_of(body: &str) -> String {
        let digits: Vec<u32> = body.chars().map(|c| c.to_digit(10).unwrap()).collect();
        let right = (0..10).find(|check| {
            let mut sum = *check;
            for (at, digit) in digits.iter().rev().enumerate() {
                sum += match (at % 2, digit * 2) {
                    (0, double) if double > 9 => double - 9,
                    (0, double) => double,
                    _ => *digit,
                };
            }
            sum % 10 == 0
        });
        format!("{body}{}", right.unwrap())
    }

    pub(super) fn card(n: &mut Numbers) -> String {
        match n.below(3) {
            0 => luhn_of(&format!("62{}", n.digits(13))),
            1 => luhn_of(&format!("4{}", n.digits(14))),
            _ => luhn_of(&format!("62{}", n.digits(16))),
        }
    }

    pub(super) fn partita_iva(n: &mut Numbers) -> String {
        luhn_of(&format!(
            "0{}{:03}",
            100_000 + n.below(900_000),
            1 + n.below(100)
        ))
    }

    pub(super) fn iban(n: &mut Numbers) -> String {
        let (country, bban) = match n.below(2) {
            0 => ("DE", n.digits(18)),
            _ => (
                "IT",
                format!("{}{}{}", n.of("ABCXYZ"), n.digits(10), n.digits(12)),
            ),
        };
        let right = (2..99).find(|check| {
            let text = format!("{bban}{country}{check:02}");
            let decimal: String = text
                .chars()
                .map(|c| c.to_digit(36).unwrap().to_string())
                .collect();
            decimal
                .bytes()
                .fold(0_u64, |r, d| (r * 10 + u64::from(d - b'0')) % 97)
                == 1
        });
        format!("{country}{:02}{bban}", right.unwrap())
    }

    pub(super) fn codice_fiscale(n: &mut Numbers) -> String {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut body: String = (0..6).map(|_| n.of(letters)).collect();
        body += &format!(
            "{}{}{:02}{}{}",
            n.digits(2),
            n.of("ABCDEHLMPRST"),
            1 + n.below(28),
            n.of("ABCDEFGH"),
            n.digits(3)
        );
        let odd = |c: char| match c {
            '0' | 'A' => 1,
            '1' | 'B' => 0,
            '2' | 'C' => 5,
            '3' | 'D' => 7,
            '4' | 'E' => 9,
            '5' | 'F' => 13,
            '6' | 'G' => 15,
            '7' | 'H' => 17,
            '8' | 'I' => 19,
            '9' | 'J' => 21,
            'K' => 2,
            'L' => 4,
            'M' => 18,
            'N' => 20,
            'O' => 11,
            'P' => 3,
            'Q' => 6,
            'R' => 8,
            'S' => 12,
            'T' => 14,
            'U' => 16,
            'V' => 10,
            'W' => 22,
            'X' => 25,
            'Y' => 24,
            _ => 23,
        };
        let even = |c: char| c.to_digit(10).unwrap_or_else(|| c as u32 - 'A' as u32);
        let sum: u32 = body
            .chars()
            .enumerate()
            .map(|(at, c)| if at % 2 == 0 { odd(c) } else { even(c) })
            .sum();
        body.push(letters.chars().nth(sum as usize % 26).unwrap());
        body
    }

    pub(super) fn mobile(n: &mut Numbers) -> String {
        format!("1{}{}", 3 + n.below(7), n.digits(9))
    }

    pub(super) fn email(n: &mut Numbers) -> String {
        format!(
            "{}.{}@mail-{}.example.com",
            n.of("abcdefgh"),
            n.digits(3),
            n.below(90)
        )
    }

    pub(super) fn ip(n: &mut Numbers) -> String {
        format!(
            "{}.{}.{}.{}",
            1 + n.below(120),
            n.below(256),
            n.below(256),
            n.below(256)
        )
    }

    pub(super) fn key(n: &mut Numbers) -> String {
        let word = |n: &mut Numbers, count: usize| -> String {
            (0..count)
                .map(|_| n.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))
                .collect()
        };
        match n.below(6) {
            0 => format!("AKIA{}", word(n, 16)),
            1 => format!("ghp_{}", word(n, 36)),
            2 => format!("hf_{}", word(n, 34)),
            3 => format!("sk-proj-4{}", word(n, 40)),
            4 => format!("AIza{}", word(n, 35)),
            _ => crate::keys::Token::draw("buyer")
                .unwrap()
                .expose()
                .to_owned(),
        }
    }
}

type Maker = fn(&mut Numbers) -> String;

/// All kinds with a generator, and whether they end in a check digit.
const MAKERS: [(Kind, Maker, bool); 10] = [
    (Kind::ResidentId, made::resident, true),
    (Kind::Uscc, made::uscc, true),
    (Kind::BankCard, made::card, true),
    (Kind::PartitaIva, made::partita_iva, true),
    (Kind::Iban, made::iban, true),
    (Kind::CodiceFiscale, made::codice_fiscale, true),
    (Kind::Mobile, made::mobile, false),
    (Kind::Email, made::email, false),
    (Kind::Ip, made::ip, false),
    (Kind::AccessKey, made::key, false),
];

/// The same with another last character of its kind.
fn mistyped(value: &str) -> String {
    let (body, last) = value.split_at(value.len() - 1);
    let next = match last.as_bytes()[0] {
        b'9' | b'X' => '0',
        b'Z' => 'A',
        c => char::from(c + 1),
    };
    format!("{body}{next}")
}

fn kinds(text: &str) -> Vec<Kind> {
    let mut kinds = Vec::new();
    personal::scan(text.as_bytes(), |kind, _| kinds.push(kind));
    kinds
}

#[test]
fn every_planted_identifier_is_found_and_none_with_a_wrong_check_digit() {
    let mut numbers = Numbers(1);
    for (kind, make, has_check) in MAKERS {
        for _ in 0..1_000 {
            let value = make(&mut numbers);
            for text in [
                format!("联系{value}。"),
                format!("id: {value}, and"),
                value.clone(),
            ] {
                assert_eq!(kinds(&text), [kind], "{text}");
            }
            if !has_check {
                continue;
            }
            let wrong = mistyped(&value);
            let found = kinds(&format!("id: {wrong}, and"));
            assert!(!found.contains(&kind), "{wrong} of {kind:?}");
            // What is mistyped is nothing else either; a firm's VAT number alone may be somebody's mobile number.
            assert!(found.is_empty(), "{wrong} of {kind:?} is {found:?}");
        }
    }
}

#[test]
fn identifiers_are_found_as_people_write_them() {
    assert_eq!(kinds("138-0013-8000"), [Kind::Mobile]);
    assert_eq!(kinds("+86 138 0013 8000"), [Kind::Mobile]);
    assert_eq!(kinds("4111 1111 1111 1111"), [Kind::BankCard]);
    assert_eq!(kinds("DE89 3704 0044 0532 0130 00 bitte"), [Kind::Iban]);
    assert_eq!(kinds("IT60X0542811101000000123456"), [Kind::Iban]);
    assert_eq!(kinds("RSSMRA85T10A562S"), [Kind::CodiceFiscale]);
    assert_eq!(kinds("11010519491231002X"), [Kind::ResidentId]);
    assert_eq!(kinds("91350100M000100Y43"), [Kind::Uscc]);
    assert_eq!(
        kinds("fe80::1ff:fe23:4567:890a and 2001:db8::7:1"),
        [Kind::Ip, Kind::Ip]
    );
    assert_eq!(
        kinds("-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
        [Kind::PrivateKey]
    );
}

#[test]
fn measurements_versions_times_and_paths_are_no_identifiers() {
    for text in [
        "0.1234567890123456",
        "13800138000.25",
        "1.2.3",
        "12:30:45",
        "std::fade::bee",
        "2024-01-01 12:00:00",
        "1700000000000",
        "sk-learn",
        "a@b",
        "@media",
        "v1.22.333",
        "127.0.0.1",
        "deadbeefdeadbeefdeadbeefdeadbeef",
    ] {
        assert_eq!(kinds(text), [], "{text}");
    }
}

#[test]
fn no_planted_value_stands_in_a_report_or_preview() {
    let mut numbers = Numbers(2);
    // The first row is a header by mistake: names are values there.
    let mut csv = MAKERS.map(|(_, make, _)| make(&mut numbers)).join(",") + "\n";
    let mut planted: Vec<String> = csv.trim().split(',').map(str::to_owned).collect();
    for _ in 0..100 {
        let row = MAKERS.map(|(_, make, _)| make(&mut numbers));
        csv += &format!("{}\n", row.join(","));
        planted.extend(row);
    }
    let checked = check("people.csv", csv.as_bytes());
    let mut shown = String::from_utf8(checked.report.text().unwrap()).unwrap();
    let all: Vec<u64> = (0..checked.report.rows.unwrap()).collect();
    for row in rows(
        &checked.report,
        &checked.rows,
        &mut Cursor::new(csv.into_bytes()),
        &all,
    )
    .unwrap()
    {
        for (name, cell) in row {
            shown += &format!("{name} {}\n", mask(&cell));
        }
    }
    for value in planted {
        assert!(!shown.contains(&value), "{value} is shown");
    }
    assert_eq!(checked.report.personal.len(), MAKERS.len());
    assert!(
        checked
            .report
            .personal
            .iter()
            .all(|found| found.count == 100)
    );
    assert_eq!(
        mask("身份证 11010519491231002X。"),
        "身份证 1101************2X。"
    );
}

#[test]
fn a_mask_covers_long_numbers_and_bodies_of_keys() {
    assert_eq!(mask("order 123456 of 12345"), "order ****** of 12345");
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    assert!(!mask(body).contains("MIIE"));
}

#[test]
fn a_table_is_counted_by_rows_and_columns() {
    let text = "id,name,born,score\n1,张三,1990-01-02,3.5\n2,\"Li, Si\",1985-05-06,\n";
    let checked = check("people.csv", text.as_bytes());
    let report = &checked.report;
    assert_eq!(
        (report.format, report.rows, report.delimiter),
        (Format::Csv, Some(2), Some(','))
    );
    assert_eq!(codes(&checked), [""; 0]);
    let kinds: Vec<_> = report
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind, column.nulls))
        .collect();
    assert_eq!(
        kinds,
        [
            ("id", Type::Integer, 0),
            ("name", Type::Text, 0),
            ("born", Type::Date, 0),
            ("score", Type::Number, 1)
        ]
    );
    assert_eq!(Report::parse(&report.text().unwrap()).unwrap(), *report);
    let read = rows(
        report,
        &checked.rows,
        &mut Cursor::new(text.as_bytes()),
        &[1, 0],
    )
    .unwrap();
    assert_eq!(read[0][1], ("name".to_owned(), "Li, Si".to_owned()));
    assert_eq!(read[1][1].1, "张三");
    assert!(
        rows(
            report,
            &checked.rows,
            &mut Cursor::new(text.as_bytes()),
            &[2]
        )
        .is_err()
    );
}

#[test]
fn invalid_utf_8_is_named_by_row_and_column() {
    let checked = check("a.csv", b"id,name\n1,ok\n2,b\xffd\n");
    let flaw = checked.report.broken().unwrap();
    assert_eq!(flaw.code, "encoding.utf-8");
    assert_eq!((flaw.row, flaw.column.as_deref()), (Some(2), Some("name")));
    let checked = check("a.jsonl", b"{\"a\":1}\n{\"a\":\"\xff\"}\n");
    assert_eq!(checked.report.broken().unwrap().row, Some(2));
}

#[test]
fn a_ragged_row_is_named_by_row_and_column() {
    let checked = check("a.csv", b"a,b,c\n1,2,3\n1,2\n1,2,3,4\n");
    let flaws: Vec<_> = checked
        .report
        .flaws
        .iter()
        .map(|flaw| (flaw.code.as_str(), flaw.row, flaw.column.as_deref()))
        .collect();
    assert_eq!(
        flaws,
        [
            ("row.ragged", Some(2), Some("3")),
            ("row.ragged", Some(3), Some("4"))
        ]
    );
}

#[test]
fn a_byte_order_mark_is_noted_and_not_a_part_of_the_first_name() {
    let bytes = b"\xef\xbb\xbfid,name\n1,x\n";
    let checked = check("a.csv", bytes);
    assert_eq!(codes(&checked), ["encoding.bom"]);
    assert!(!checked.report.is_broken());
    assert_eq!(checked.report.columns[0].name, "id");
    let read = rows(
        &checked.report,
        &checked.rows,
        &mut Cursor::new(bytes),
        &[0],
    )
    .unwrap();
    assert_eq!(read[0][0], ("id".to_owned(), "1".to_owned()));
}

#[test]
fn a_million_columns_are_refused() {
    let csv = "a,".repeat(1_000_000) + "\n" + &",".repeat(1_000_000);
    let checked = check("wide.csv", csv.as_bytes());
    assert_eq!(codes(&checked).first(), Some(&"columns.many"));
    let json: String = (0..20_000).map(|n| format!("{{\"c{n}\":1}}\n")).collect();
    let checked = check("wide.jsonl", json.as_bytes());
    assert_eq!(codes(&checked), ["columns.many"]);
    assert_eq!(checked.report.columns.len(), 10_000);
}

#[test]
fn a_quotation_mark_without_an_end_is_refused_at_the_longest_row() {
    let mut csv = b"a,b\n1,\"".to_vec();
    csv.resize(17 << 20, b'x');
    assert_eq!(codes(&check("a.csv", &csv)), ["row.long"]);
    assert_eq!(codes(&check("a.txt", &csv[8..])), ["row.long"]);
}

#[test]
fn a_line_that_is_no_json_is_named_and_keeps_its_number() {
    let text = b"{\"a\":1}\nnot\n{\"a\":3}\n";
    let checked = check("a.jsonl", text);
    assert_eq!(checked.report.rows, Some(3));
    let flaw = checked.report.broken().unwrap();
    assert_eq!((flaw.code.as_str(), flaw.row), ("row.json", Some(2)));
    let read = rows(&checked.report, &checked.rows, &mut Cursor::new(text), &[2]).unwrap();
    assert_eq!(read[0], [("a".to_owned(), "3".to_owned())]);
    let deep = format!("{{\"a\":{}1{}}}\n", "[".repeat(80), "]".repeat(80));
    assert_eq!(codes(&check("a.jsonl", deep.as_bytes())), ["row.json"]);
    let deeper = format!("{}\n", "[".repeat(1 << 20));
    assert_eq!(codes(&check("a.jsonl", deeper.as_bytes())), ["row.json"]);
}

#[test]
fn a_list_of_objects_has_their_rows() {
    let text = b"[ {\"q\":\"a, [b] \\\" }\",\"n\":{\"x\":[1,2]}},\n {\"q\":\"c\"} ]\n";
    let checked = check("a.json", text);
    assert_eq!(codes(&checked), [""; 0]);
    assert_eq!(checked.report.rows, Some(2));
    let read = rows(
        &checked.report,
        &checked.rows,
        &mut Cursor::new(text),
        &[1, 0],
    )
    .unwrap();
    assert_eq!(read[0], [("q".to_owned(), "c".to_owned())]);
    assert_eq!(read[1][1], ("q".to_owned(), "a, [b] \" }".to_owned()));
    assert_eq!(
        codes(&check("a.json", b"[{\"a\":1},{\"a\":2}")),
        ["json.form"]
    );
}

#[test]
fn rows_are_found_again_among_a_hundred_thousand() {
    let text: String = (0..100_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let checked = check("a.jsonl", text.as_bytes());
    let wanted = [99_999, 0, 54_321, 54_321, 32_768];
    let read = rows(
        &checked.report,
        &checked.rows,
        &mut Cursor::new(text.as_bytes()),
        &wanted,
    )
    .unwrap();
    let read: Vec<_> = read.iter().map(|row| row[0].1.clone()).collect();
    assert_eq!(read, ["99999", "0", "54321", "54321", "32768"]);
    let packed = gzip(text.as_bytes());
    let checked = check("a.jsonl.gz", &packed);
    assert_eq!(
        (checked.report.rows, checked.report.packing),
        (Some(100_000), Some(Packing::Gzip))
    );
    assert_eq!(checked.report.inflated, text.len() as u64);
    let read = rows(
        &checked.report,
        &checked.rows,
        &mut Cursor::new(packed),
        &wanted,
    )
    .unwrap();
    assert_eq!(read[2][0].1, "54321");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn a_bomb_is_refused_at_its_limit() {
    let zeros = vec![b'\n'; 8 << 20];
    let limits = Limits {
        inflated_free: 1 << 20,
        ..Limits::STANDARD
    };
    let bomb = gzip(&zeros);
    let checked = Checker::file_within("a.txt.gz", &mut Cursor::new(bomb.clone()), limits);
    assert!(
        codes(&checked).contains(&"packing.bomb"),
        "{:?}",
        codes(&checked)
    );
    assert!(checked.report.inflated < 101 * bomb.len() as u64 + (1 << 20));
    let bomb = zstd::stream::encode_all(&zeros[..], 1).unwrap();
    assert!(
        codes(&Checker::file_within(
            "a.txt.zst",
            &mut Cursor::new(bomb),
            limits
        ))
        .contains(&"packing.bomb")
    );
    // What is packed in it stays packed.
    assert_eq!(
        codes(&check("a.txt.gz.gz", &gzip(&gzip(b"text\n")))),
        ["packing.twice"]
    );
    assert_eq!(
        codes(&check("a.csv.gz", &gzip(b"a,b\n1,2\n")[..20])),
        ["packing.broken"]
    );
}

#[test]
fn archives_are_listed_and_their_names_are_looked_at() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    header.set_cksum();
    tar.append_data(&mut header, "a/one.txt", &b"one"[..])
        .unwrap();
    let tar = tar.into_inner().unwrap();
    for (name, bytes) in [("a.tar", tar.clone()), ("a.tgz", gzip(&tar))] {
        let checked = check(name, &bytes);
        assert_eq!(
            (checked.report.format, codes(&checked)),
            (Format::Tar, vec![])
        );
        assert_eq!(
            checked.report.entries,
            [Entry {
                path: "a/one.txt".to_owned(),
                bytes: 3
            }]
        );
    }
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("../up.txt", options).unwrap();
    zip.write_all(b"up").unwrap();
    let zip = zip.finish().unwrap().into_inner();
    assert_eq!(codes(&check("a.zip", &zip)), ["archive.path"]);
    assert_eq!(
        codes(&check("a.zip", &zip[..zip.len() - 20])),
        ["archive.broken"]
    );
}

/// 300 rows in three row groups.
fn parquet_file() -> Vec<u8> {
    use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use ::parquet::file::{properties::WriterProperties, writer::SerializedFileWriter};
    let schema = "message rows { required int64 id; optional binary text (UTF8); }";
    let schema = ::parquet::schema::parser::parse_message_type(schema).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(::parquet::basic::Compression::SNAPPY)
        .build();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), schema.into(), properties.into()).unwrap();
    for group in 0..3 {
        let mut columns = writer.next_row_group().unwrap();
        let ids: Vec<i64> = (0..100).map(|n| group * 100 + n).collect();
        let mut column = columns.next_column().unwrap().unwrap();
        column
            .typed::<Int64Type>()
            .write_batch(&ids, None, None)
            .unwrap();
        column.close().unwrap();
        let texts: Vec<ByteArray> = ids
            .iter()
            .map(|id| format!("mail a{id}@example.com").as_str().into())
            .collect();
        let mut column = columns.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&texts, Some(&[1; 100]), None)
            .unwrap();
        column.close().unwrap();
        columns.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn a_parquet_file_has_rows_columns_and_identifiers() {
    let file = parquet_file();
    let checked = check("a.parquet", &file);
    assert_eq!(codes(&checked), [""; 0]);
    assert_eq!(
        (checked.report.format, checked.report.rows),
        (Format::Parquet, Some(300))
    );
    let kinds: Vec<_> = checked
        .report
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind))
        .collect();
    assert_eq!(kinds, [("id", Type::Integer), ("text", Type::Text)]);
    assert_eq!(checked.report.personal[0].count, 300);
    let read = rows(
        &checked.report,
        &checked.rows,
        &mut Cursor::new(file),
        &[250, 3],
    )
    .unwrap();
    assert_eq!((read[0][0].1.as_str(), read[1][0].1.as_str()), ("250", "3"));
}

#[test]
fn a_broken_parquet_names_itself_and_nothing_panics() {
    let file = parquet_file();
    assert_eq!(
        codes(&check("a.parquet", &file[..file.len() - 5])),
        ["parquet.broken"]
    );
    assert_eq!(codes(&check("a.parquet", b"PAR1")), ["parquet.broken"]);
    assert_eq!(codes(&check("a.parquet", b"id,name\n")), ["name.format"]);
    let mut large = file.clone();
    let at = large.len() - 8;
    large[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(codes(&check("a.parquet", &large)), ["parquet.broken"]);
    let mut numbers = Numbers(3);
    for _ in 0..1_000 {
        let mut flipped = file.clone();
        for _ in 0..=numbers.below(3) {
            let place = usize::try_from(numbers.below(flipped.len() as u64)).unwrap();
            flipped[place] ^= 1 << numbers.below(8);
        }
        // Whatever was flipped, there is an answer; where a value was hit it is another value.
        let checked = check("a.parquet", &flipped);
        let is_whole = checked.report.rows == Some(300);
        assert!(
            checked.report.is_broken() || is_whole,
            "{:?}",
            checked.report
        );
    }
}

#[test]
fn the_report_of_a_stream_is_the_report_of_the_file() {
    let csv: String = (0..5_000)
        .map(|n| format!("{n},name {n},{}\n", n * 3))
        .collect();
    let csv = format!("id,name,three\n{csv}");
    let broken = format!("{csv}1,2\n");
    let zeros = zstd::stream::encode_all(&vec![b'\n'; 1 << 20][..], 1).unwrap();
    for (name, bytes) in [
        ("a.csv", csv.clone().into_bytes()),
        ("a.csv", broken.into_bytes()),
        ("a.csv.gz", gzip(csv.as_bytes())),
        ("a.txt", csv.into_bytes()),
        ("a.txt.zst", zeros),
        ("empty.txt", Vec::new()),
        ("a.bin", vec![7; 1_000]),
    ] {
        let mut stream = Checker::stream(name, Limits::STANDARD);
        for piece in bytes.chunks(777) {
            stream.feed(Bytes::copy_from_slice(piece));
        }
        assert_eq!(stream.fed(), bytes.len() as u64);
        let streamed = stream.end().unwrap();
        assert!(streamed.is_of(bytes.len() as u64), "{name}");
        assert_eq!(streamed, check(name, &bytes), "{name}");
    }
    let file = parquet_file();
    let mut stream = Checker::stream("a.parquet", Limits::STANDARD);
    stream.feed(Bytes::from(file.clone()));
    assert!(!stream.end().unwrap().is_of(file.len() as u64));
}

/// Panics when it is read.
struct Enemy;

impl Read for Enemy {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("a parser has no words for this")
    }
}

impl std::io::Seek for Enemy {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

#[test]
fn a_panic_of_a_parser_is_a_flaw() {
    let checked = Checker::file("a.csv", &mut Enemy);
    assert_eq!(codes(&checked), ["check.broken-off"]);
    assert!(checked.report.is_broken());
}
