//! A JSON object read in one pass: its canonical spelling (names sorted, no white space) and its pieces, without a tree.
//!
//! What is rare is not read here but by `serde_json`, at a third of the speed, which also says what is wrong: names with escapes, a
//! name twice, deep nesting, whatever is no JSON. Where both read a row they come to the same; a test holds them to it.

use std::ops::Range;

/// Objects and lists within each other that are read here; others are rare.
const DEPTH_MAX: usize = 24;
/// Digits of a number with a point that is spelled as it is: so many always come back from a binary number as they were.
const DECIMALS_MAX: usize = 15;
/// Digits of a whole number that is one for certain.
const DIGITS_MAX: usize = 18;

/// Where the text of a piece is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    /// In the row as it came.
    Raw(Range<usize>),
    /// Without its escapes, or in another spelling.
    Decoded(Range<usize>),
}

/// A piece of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// The name of a member; its value follows.
    Name(Range<usize>),
    Null,
    Boolean(bool),
    Number(Text),
    String(Text),
    /// A list or an object and how it is spelled; what is in it follows, so many pieces.
    Nested(Range<usize>, usize),
}

/// A row, read.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pieces: Vec<Piece>,
    decoded: String,
    /// The row in canonical form, but for the order of its own members.
    spelled: Vec<u8>,
    /// The same in their order, where that is another.
    sorted: Vec<u8>,
    is_sorted: bool,
    members: Vec<Member>,
}

/// A member of an object that is being read.
#[derive(Debug)]
struct Member {
    name: Range<usize>,
    spelled: Range<usize>,
}

impl Tape {
    /// Reads a row; `None` where it is no object or anything is rare in it.
    pub(super) fn read(&mut self, text: &str) -> Option<()> {
        self.pieces.clear();
        self.decoded.clear();
        self.spelled.clear();
        self.sorted.clear();
        self.members.clear();
        let mut reading = Reading {
            tape: self,
            text: text.as_bytes(),
            at: 0,
        };
        reading.dark();
        reading.object(0)?;
        reading.dark();
        (reading.at == text.len()).then_some(())
    }

    /// The row in canonical form.
    pub(super) fn canonical(&self) -> &[u8] {
        if self.is_sorted {
            &self.spelled
        } else {
            &self.sorted
        }
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// How a nested value is spelled.
    pub(super) fn nested(&self, spelled: &Range<usize>) -> &str {
        let bytes = self.spelled.get(spelled.clone()).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The text of a piece of this row.
    pub(super) fn text<'a>(&'a self, row: &'a str, of: &Text) -> &'a str {
        let (text, range) = match of {
            Text::Raw(range) => (row, range),
            Text::Decoded(range) => (self.decoded.as_str(), range),
        };
        text.get(range.clone()).unwrap_or_default()
    }
}

struct Reading<'a> {
    tape: &'a mut Tape,
    text: &'a [u8],
    at: usize,
}

impl Reading<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn dark(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8], piece: Piece) -> Option<()> {
        self.text.get(self.at..)?.strip_prefix(word)?;
        self.at += word.len();
        self.tape.spelled.extend_from_slice(word);
        self.tape.pieces.push(piece);
        Some(())
    }

    fn value(&mut self, deep: usize) -> Option<()> {
        match self.peek()? {
            b'"' => {
                let text = self.string()?;
                self.tape.pieces.push(Piece::String(text));
                Some(())
            }
            b'{' | b'[' => self.nested(deep),
            b't' => self.word(b"true", Piece::Boolean(true)),
            b'f' => self.word(b"false", Piece::Boolean(false)),
            b'n' => self.word(b"null", Piece::Null),
            _ => self.number(),
        }
    }

    fn nested(&mut self, deep: usize) -> Option<()> {
        if deep >= DEPTH_MAX {
            return None;
        }
        let (place, begins) = (self.tape.pieces.len(), self.tape.spelled.len());
        self.tape.pieces.push(Piece::Null);
        if self.peek() == Some(b'{') {
            self.object(deep + 1)?;
        } else {
            self.list(deep + 1)?;
        }
        let within = self.tape.pieces.len() - place - 1;
        let spelled = begins..self.tape.spelled.len();
        *self.tape.pieces.get_mut(place)? = Piece::Nested(spelled, within);
        Some(())
    }

    fn list(&mut self, deep: usize) -> Option<()> {
        self.at += 1;
        self.tape.spelled.push(b'[');
        self.dark();
        if self.peek()? == b']' {
            self.at += 1;
            self.tape.spelled.push(b']');
            return Some(());
        }
        loop {
            self.value(deep)?;
            self.dark();
            let next = self.peek()?;
            self.at += 1;
            self.tape.spelled.push(next);
            match next {
                b',' => self.dark(),
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn object(&mut self, deep: usize) -> Option<()> {
        if self.peek()? != b'{' {
            return None;
        }
        self.at += 1;
        let (begins, first) = (self.tape.spelled.len(), self.tape.members.len());
        self.tape.spelled.push(b'{');
        self.dark();
        if self.peek()? == b'}' {
            self.at += 1;
        } else {
            while self.member(deep)? {
                self.tape.spelled.push(b',');
            }
        }
        self.tape.spelled.push(b'}');
        self.sort(first, begins, deep)
    }

    /// Reads a member; says whether another one follows.
    fn member(&mut self, deep: usize) -> Option<bool> {
        if self.peek()? != b'"' {
            return None;
        }
        let begins = self.tape.spelled.len();
        let Text::Raw(name) = self.string()? else {
            return None;
        };
        self.tape.pieces.push(Piece::Name(name.clone()));
        self.dark();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        self.tape.spelled.push(b':');
        self.dark();
        self.value(deep)?;
        let spelled = begins..self.tape.spelled.len();
        self.tape.members.push(Member { name, spelled });
        self.dark();
        let next = self.peek()?;
        self.at += 1;
        match next {
            b',' => {
                self.dark();
                Some(true)
            }
            b'}' => Some(false),
            _ => None,
        }
    }

    /// Ends an object: its members by their names, each once.
    fn sort(&mut self, first: usize, begins: usize, deep: usize) -> Option<()> {
        let text = self.text;
        let name = |member: &Member| text.get(member.name.clone()).unwrap_or_default();
        let members = self.tape.members.get_mut(first..)?;
        let is_sorted = members.is_sorted_by(|one, next| name(one) < name(next));
        if deep == 0 {
            self.tape.is_sorted = is_sorted;
        }
        if is_sorted {
            self.tape.members.truncate(first);
            return Some(());
        }
        members.sort_by(|one, next| name(one).cmp(name(next)));
        if !members.is_sorted_by(|one, next| name(one) < name(next)) {
            return None;
        }
        let sorted = &mut self.tape.sorted;
        sorted.clear();
        for member in &*members {
            sorted.push(if sorted.is_empty() { b'{' } else { b',' });
            sorted.extend(self.tape.spelled.get(member.spelled.clone())?);
        }
        sorted.push(b'}');
        if deep > 0 {
            self.tape.spelled.get_mut(begins..)?.copy_from_slice(sorted);
        }
        self.tape.members.truncate(first);
        Some(())
    }

    /// Reads a string and spells it.
    fn string(&mut self) -> Option<Text> {
        let begins = self.at + 1;
        let rest = self.text.get(begins..)?;
        let plain = rest
            .iter()
            .position(|b| matches!(b, b'"' | b'\\' | 0..0x20))?;
        match rest.get(plain)? {
            b'"' => {
                let ends = begins + plain;
                self.at = ends + 1;
                self.tape.spelled.extend(self.text.get(begins - 1..=ends)?);
                Some(Text::Raw(begins..ends))
            }
            b'\\' => self.escaped(begins, begins + plain),
            _ => None,
        }
    }

    /// Reads a string with escapes, the first of them at `at`.
    fn escaped(&mut self, begins: usize, mut at: usize) -> Option<Text> {
        loop {
            match self.text.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        let quoted = self.text.get(begins - 1..=at)?;
        let text: String = serde_json::from_slice(quoted).ok()?;
        serde_json::to_writer(&mut self.tape.spelled, &text).ok()?;
        self.at = at + 1;
        Some(self.decoded(&text))
    }

    fn decoded(&mut self, text: &str) -> Text {
        let from = self.tape.decoded.len();
        self.tape.decoded.push_str(text);
        Text::Decoded(from..self.tape.decoded.len())
    }

    fn number(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let is_part = |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
        let long = rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len());
        let number = rest.get(..long)?;
        let text = if is_canonical(number) {
            self.tape.spelled.extend_from_slice(number);
            Text::Raw(self.at..self.at + long)
        } else {
            let number: serde_json::Number = serde_json::from_slice(number).ok()?;
            let number = number.to_string();
            self.tape.spelled.extend_from_slice(number.as_bytes());
            self.decoded(&number)
        };
        self.at += long;
        self.tape.pieces.push(Piece::Number(text));
        Some(())
    }
}

/// Whether a number is spelled as `serde_json` spells it.
fn is_canonical(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let point = digits.iter().position(|b| *b == b'.');
    let (whole, decimals) = digits.split_at(point.unwrap_or(digits.len()));
    let is_whole =
        whole.iter().all(u8::is_ascii_digit) && (whole.len() == 1 || !whole.starts_with(b"0"));
    match decimals {
        [] => is_whole && (1..=DIGITS_MAX).contains(&whole.len()) && number != b"-0",
        [_, decimals @ ..] => {
            // A small number is spelled with an exponent, a trailing zero is not spelled.
            let is_short = digits.len() <= DECIMALS_MAX && !whole.is_empty();
            let is_plain = decimals == b"0" || decimals.last().is_some_and(|last| *last != b'0');
            let is_large = whole != b"0"
                || decimals.iter().take(3).any(|digit| *digit != b'0')
                || decimals == b"0";
            is_whole && is_short && is_plain && is_large && decimals.iter().all(u8::is_ascii_digit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[track_caller]
    fn same(text: &str) {
        let mut tape = Tape::default();
        let read = tape.read(text);
        let value: Result<Value, _> = serde_json::from_str(text);
        let Some(()) = read else {
            panic!("not read: {text}")
        };
        assert_eq!(
            std::str::from_utf8(tape.canonical()).unwrap(),
            value.unwrap().to_string(),
            "{text}"
        );
    }

    #[test]
    fn what_is_read_is_spelled_as_by_the_tree() {
        for text in [
            "{}",
            " { } ",
            r#"{"a":1}"#,
            r#"{"b": [1, {"z": null, "a": {"d":[],"c":{}}}, true, "x"], "a" : "é\n\u4e2d\/\"" }"#,
            r#"{"n":[0,-1,12,0.5,-0.25,1.0,0.0,1e3,1E-7,0.00001,0.0001,0.001,0.012,123456789012345678,1234567890123456789,12345678901234567890123,1.10,-0,-0.0,100.0,3.141592653589793,0.1000,99999999999999.9]}"#,
            r#"{"c":1,"b":{"y":1,"x":2},"a":3}"#,
            r#"{"":"","\t":1}"#.replace("\\t", "t").as_str(),
        ] {
            same(text);
        }
    }

    #[test]
    fn what_is_rare_or_wrong_is_left_to_the_tree() {
        for text in [
            "",
            "1",
            "[1]",
            "{",
            "{}x",
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":+1}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"b":1,"a":1,"b":2}"#,
            r#"{"\u0061":1}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":"\ud800"}"#,
            r#"{"a":"x}"#,
            r#"{"a":tru}"#,
            r#"{"a":1e999}"#,
            r#"{"a":--1}"#,
            r#"{'a':1}"#,
            r#"{"a":[1 2]}"#,
            r#"{"a":[1}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":-}"#,
        ] {
            assert_eq!(Tape::default().read(text), None, "{text}");
        }
        let deep = format!("{}1{}", r#"{"a":"#.repeat(30), "}".repeat(30));
        assert_eq!(Tape::default().read(&deep), None);
    }

    proptest::proptest! {
        #[test]
        fn any_object_is_spelled_as_by_the_tree(members in proptest::collection::btree_map("[a-z\u{4e00}-\u{4e05}]{0,4}", ("\\PC*", proptest::num::f64::NORMAL, proptest::num::i64::ANY), 0..6)) {
            let object: Vec<_> = members
                .iter()
                .rev()
                .map(|(name, (text, float, number))| format!("{}: [{}, {float:e}, {float}, {number}]", Value::from(name.as_str()), Value::from(text.as_str())))
                .collect();
            same(&format!("{{ {} }}", object.join(" , ")));
        }
    }
}
