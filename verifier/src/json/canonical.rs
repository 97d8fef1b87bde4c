//! The canonical spelling, written or held against a text: members in the type's order, no white space, no needless escape.
//!
//! Byte for byte what `serde_json` writes (a test compares them), in less time: long texts are passed on whole, and a text that
//! is only compared is never written.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{DEPTH_MAX, NotStrict};
use crate::money::INTEGER_MAX;

/// Where the spelling goes, piece by piece.
pub(super) trait Sink {
    fn put(&mut self, piece: &[u8]);
    fn put_byte(&mut self, byte: u8);
}

impl Sink for Vec<u8> {
    fn put(&mut self, piece: &[u8]) {
        self.extend_from_slice(piece);
    }

    fn put_byte(&mut self, byte: u8) {
        self.push(byte);
    }
}

/// A text that is to be the spelling.
pub(super) struct Expected<'t> {
    rest: &'t [u8],
    is_same: bool,
}

impl<'t> Expected<'t> {
    pub(super) const fn new(text: &'t [u8]) -> Self {
        Self {
            rest: text,
            is_same: true,
        }
    }

    /// Whether all of it was, and nothing is left.
    pub(super) const fn is_met(&self) -> bool {
        self.is_same && self.rest.is_empty()
    }
}

impl Sink for Expected<'_> {
    fn put(&mut self, piece: &[u8]) {
        match self.rest.strip_prefix(piece) {
            Some(rest) => self.rest = rest,
            None => self.is_same = false,
        }
    }

    fn put_byte(&mut self, byte: u8) {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => self.rest = rest,
            Some(_) | None => self.is_same = false,
        }
    }
}

/// Writes values into a sink.
pub(super) struct Writer<S> {
    pub(super) sink: S,
    depth: usize,
    /// Whether something was written that [`super::check`] refuses.
    is_loose: bool,
    /// Whether the next value is a member's name, which is a text.
    is_name: bool,
}

impl<S: Sink> Writer<S> {
    pub(super) const fn new(sink: S) -> Self {
        Self {
            sink,
            depth: 0,
            is_loose: false,
            is_name: false,
        }
    }

    pub(super) const fn is_loose(&self) -> bool {
        self.is_loose
    }

    fn open(&mut self, bracket: u8) -> Result<(), NotStrict> {
        self.no_name()?;
        self.depth += 1;
        self.is_loose |= self.depth > DEPTH_MAX;
        self.sink.put_byte(bracket);
        Ok(())
    }

    /// Opens what has members, and says how it ends.
    fn members(&mut self, bracket: u8, end: &'static [u8]) -> Result<Open<'_, S>, NotStrict> {
        self.open(bracket)?;
        Ok(Open {
            writer: self,
            is_empty: true,
            end,
        })
    }

    fn close(&mut self, brackets: &[u8]) {
        self.depth = self.depth.saturating_sub(brackets.len());
        brackets
            .iter()
            .for_each(|bracket| self.sink.put_byte(*bracket));
    }

    fn no_name(&self) -> Result<(), NotStrict> {
        if self.is_name {
            return Err(NotStrict("a member's name is no text".into()));
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), NotStrict> {
        self.no_name()?;
        self.sink.put(word.as_bytes());
        Ok(())
    }

    fn number(&mut self, is_negative: bool, magnitude: u128) {
        self.is_loose |= magnitude > u128::from(INTEGER_MAX.unsigned_abs());
        if self.is_name {
            self.sink.put_byte(b'"');
        }
        // Enough for the sign and the 39 digits of 2¹²⁸.
        let mut digits = [0_u8; 40];
        let mut first = digits.len();
        let mut put = |byte| {
            first -= 1;
            if let Some(place) = digits.get_mut(first) {
                *place = byte;
            }
        };
        match u64::try_from(magnitude) {
            Ok(mut left) => loop {
                put(b'0' + u8::try_from(left % 10).unwrap_or(0));
                left /= 10;
                if left == 0 {
                    break;
                }
            },
            Err(_) => magnitude.to_string().bytes().rev().for_each(&mut put),
        }
        if is_negative {
            put(b'-');
        }
        self.sink.put(digits.get(first..).unwrap_or_default());
        if self.is_name {
            self.sink.put_byte(b'"');
        }
    }

    fn text(&mut self, text: &str) {
        self.sink.put_byte(b'"');
        let mut rest = text.as_bytes();
        while let Some(at) = first_to_escape(rest) {
            let (plain, after) = rest.split_at(at);
            self.sink.put(plain);
            if let Some((byte, after)) = after.split_first() {
                self.escape(*byte);
                rest = after;
            }
        }
        self.sink.put(rest);
        self.sink.put_byte(b'"');
    }

    fn escape(&mut self, byte: u8) {
        match byte {
            b'"' => self.sink.put(b"\\\""),
            b'\\' => self.sink.put(b"\\\\"),
            0x08 => self.sink.put(b"\\b"),
            0x0c => self.sink.put(b"\\f"),
            b'\n' => self.sink.put(b"\\n"),
            b'\r' => self.sink.put(b"\\r"),
            b'\t' => self.sink.put(b"\\t"),
            _ => self.sink.put(format!("\\u{byte:04x}").as_bytes()),
        }
    }

    /// Writes a member's name.
    fn name(&mut self, is_first: bool, name: &str) {
        if !is_first {
            self.sink.put_byte(b',');
        }
        self.text(name);
        self.sink.put_byte(b':');
    }
}

const fn must_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The place of the first byte that JSON wants escaped.
fn first_to_escape(text: &[u8]) -> Option<usize> {
    let (words, _) = text.as_chunks::<32>();
    let clean = words
        .iter()
        // Without a branch inside: the compiler makes it one comparison of all 32.
        .take_while(|word| {
            !word
                .iter()
                .fold(false, |any, byte| any | must_escape(*byte))
        })
        .count()
        * 32;
    let rest = text.get(clean..).unwrap_or_default();
    let at = rest.iter().position(|byte| must_escape(*byte));
    at.map(|at| clean + at)
}

/// A list or an object that is being written.
pub(super) struct Open<'w, S> {
    writer: &'w mut Writer<S>,
    is_empty: bool,
    end: &'static [u8],
}

impl<S: Sink> Open<'_, S> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotStrict> {
        if !self.is_empty {
            self.writer.sink.put_byte(b',');
        }
        self.is_empty = false;
        value.serialize(&mut *self.writer)
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), NotStrict> {
        self.writer.name(self.is_empty, name);
        self.is_empty = false;
        value.serialize(&mut *self.writer)
    }

    #[expect(clippy::unnecessary_wraps, reason = "what serde asks for")]
    fn close(self) -> Result<(), NotStrict> {
        self.writer.close(self.end);
        Ok(())
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Result<(), NotStrict> {
            self.serialize_i128(value.into())
        }
    )*};
}

impl<'w, S: Sink> Serializer for &'w mut Writer<S> {
    type Ok = ();
    type Error = NotStrict;
    type SerializeSeq = Open<'w, S>;
    type SerializeTuple = Open<'w, S>;
    type SerializeTupleStruct = Open<'w, S>;
    type SerializeTupleVariant = Open<'w, S>;
    type SerializeMap = Open<'w, S>;
    type SerializeStruct = Open<'w, S>;
    type SerializeStructVariant = Open<'w, S>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
    }

    fn serialize_i64(self, value: i64) -> Result<(), NotStrict> {
        self.number(value < 0, value.unsigned_abs().into());
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<(), NotStrict> {
        self.number(false, value.into());
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), NotStrict> {
        self.number(value < 0, value.unsigned_abs());
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), NotStrict> {
        self.number(false, value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), NotStrict> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, _: f64) -> Result<(), NotStrict> {
        Err(NotStrict("a number that is not an integer".into()))
    }

    fn serialize_bool(self, value: bool) -> Result<(), NotStrict> {
        self.word(if value { "true" } else { "false" })
    }

    fn serialize_char(self, value: char) -> Result<(), NotStrict> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), NotStrict> {
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), NotStrict> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), NotStrict> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotStrict> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NotStrict> {
        self.word("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotStrict> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), NotStrict> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotStrict> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), NotStrict> {
        self.open(b'{')?;
        self.name(true, variant);
        value.serialize(&mut *self)?;
        self.close(b"}");
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'w, S>, NotStrict> {
        self.members(b'[', b"]")
    }

    fn serialize_tuple(self, length: usize) -> Result<Open<'w, S>, NotStrict> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Open<'w, S>, NotStrict> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'w, S>, NotStrict> {
        self.open(b'{')?;
        self.name(true, variant);
        self.members(b'[', b"]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'w, S>, NotStrict> {
        self.members(b'{', b"}")
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Open<'w, S>, NotStrict> {
        self.serialize_map(Some(length))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'w, S>, NotStrict> {
        self.open(b'{')?;
        self.name(true, variant);
        self.members(b'{', b"}}")
    }
}

macro_rules! lists {
    ($($name:ident: $method:ident,)*) => {$(
        impl<S: Sink> $name for Open<'_, S> {
            type Ok = ();
            type Error = NotStrict;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotStrict> {
                self.item(value)
            }
            fn end(self) -> Result<(), NotStrict> {
                self.close()
            }
        }
    )*};
}

macro_rules! objects {
    ($($name:ident,)*) => {$(
        impl<S: Sink> $name for Open<'_, S> {
            type Ok = ();
            type Error = NotStrict;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), NotStrict> {
                self.member(name, value)
            }
            fn end(self) -> Result<(), NotStrict> {
                self.close()
            }
        }
    )*};
}

lists! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}
objects! { SerializeStruct, SerializeStructVariant, }

impl<S: Sink> SerializeMap for Open<'_, S> {
    type Ok = ();
    type Error = NotStrict;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), NotStrict> {
        if !self.is_empty {
            self.writer.sink.put_byte(b',');
        }
        self.is_empty = false;
        self.writer.is_name = true;
        let written = name.serialize(&mut *self.writer);
        self.writer.is_name = false;
        self.writer.sink.put_byte(b':');
        written
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotStrict> {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), NotStrict> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{canonical_is, check, write};
    use super::*;
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Unit,
        New(i8),
        Pair(u64, String),
        Record { a: Option<u32>, b: () },
    }

    #[derive(Serialize)]
    struct Tuple(u8, Shape);

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ -~\\x00-\\x1f\\\\\"]{0,80}".prop_map(Value::from),
        ];
        leaf.prop_recursive(20, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_written_as_serde_json_does(value in any_json()) {
            let text = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(&write(&value).unwrap(), &text);
            prop_assert_eq!(canonical_is(&value, &text), check(&text).is_ok());
            let longer = [text.as_slice(), b" "].concat();
            prop_assert!(!canonical_is(&value, &longer));
            prop_assert!(!canonical_is(&value, &text[1..]));
        }
    }

    #[test]
    fn every_form_of_a_type_is_written_as_serde_json_does() {
        fn same<T: Serialize>(value: &T) {
            let text = serde_json::to_string(value).unwrap();
            assert_eq!(String::from_utf8(write(value).unwrap()).unwrap(), text);
        }
        same(&Shape::Unit);
        same(&Shape::New(-5));
        same(&Shape::Pair(7, "a\u{7f}券\u{1}".into()));
        same(&Shape::Record { a: None, b: () });
        same(&Tuple(255, Shape::Record { a: Some(3), b: () }));
        same(&(i128::MIN, u128::MAX, i64::MIN, 'x', '"', Some(1)));
        same(&BTreeMap::from([(3_u16, true), (4, false)]));
        same(&BTreeMap::from([('a', [0_u8; 0]), ('b', [])]));
        let mut bytes = BTreeMap::new();
        bytes.insert("x".repeat(100), b"bytes".as_slice());
        same(&bytes);
    }

    #[test]
    fn what_is_no_strict_json_is_no_canonical_text() {
        let deep = |depth: usize| {
            let text = "[".repeat(depth) + &"]".repeat(depth);
            serde_json::from_str::<Value>(&text).unwrap()
        };
        for (value, is_strict) in [
            (
                json!({"a": [1, -1, true, null, "x\n"], "b": INTEGER_MAX}),
                true,
            ),
            (json!(-INTEGER_MAX), true),
            (json!(INTEGER_MAX + 1), false),
            (json!(-INTEGER_MAX - 1), false),
            (json!(u64::MAX), false),
            (deep(DEPTH_MAX), true),
            (deep(DEPTH_MAX + 1), false),
        ] {
            let text = write(&value).unwrap();
            assert_eq!(check(&text).is_ok(), is_strict, "{value}");
            assert_eq!(canonical_is(&value, &text), is_strict, "{value}");
        }
        assert!(write(&1.5).is_err());
        assert!(write(&BTreeMap::from([(true, 1)])).is_err());
    }
}
