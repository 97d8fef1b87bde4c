//! Strict JSON: integers only, no duplicate member, bounded depth and size; one canonical spelling (DESIGN §4.6).
//!
//! `serde_json::Value` swallows duplicate members, so text from outside passes [`check`] before it becomes a type.

mod canonical;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use crate::money::INTEGER_MAX;
use canonical::{Expected, Writer};

/// Nesting beyond this is nobody's honest input.
pub const DEPTH_MAX: usize = 16;

/// Why a text was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotStrict(String);

impl fmt::Display for NotStrict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotStrict {}

impl serde::ser::Error for NotStrict {
    fn custom<T: fmt::Display>(sentence: T) -> Self {
        Self(sentence.to_string())
    }
}

impl From<serde_json::Error> for NotStrict {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Checks that a text is JSON of integers, without duplicate members, not deeper than [`DEPTH_MAX`].
/// # Errors
/// [`NotStrict`] names the first fault, its line and column.
pub fn check(text: &[u8]) -> Result<(), NotStrict> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    Strict { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(())
}

/// Reads a strict text into a type, objects from objects; the type itself refuses unknown members.
/// # Errors
/// [`NotStrict`].
pub fn read<T: DeserializeOwned + Serialize>(text: &[u8]) -> Result<T, NotStrict> {
    check(text)?;
    let value = serde_json::from_slice(text)?;
    check_objects(text, &value)?;
    Ok(value)
}

/// Checks that a text has an object wherever what was read of it is written as one: a derived struct alone would take its
/// members from an array too, which names none of them.
/// # Errors
/// [`NotStrict`] names the member.
pub fn check_objects<T: Serialize>(text: &[u8], read: &T) -> Result<(), NotStrict> {
    let (given, written): (Value, _) = (serde_json::from_slice(text)?, serde_json::to_value(read)?);
    if let Some(path) = unnamed(&given, &written) {
        let sentence = format!("an array stands where an object belongs, at {path}");
        return Err(NotStrict(sentence));
    }
    Ok(())
}

/// Where an array is given for an object that is written; what is absent, and how a text or number is spelled, are the
/// type's own to refuse.
fn unnamed(given: &Value, written: &Value) -> Option<String> {
    match (given, written) {
        (Value::Array(_), Value::Object(_)) => Some("/".to_owned()),
        (Value::Array(given), Value::Array(written)) => {
            let pairs = given.iter().zip(written).enumerate();
            below(pairs.map(|(place, (given, written))| (place, given, written)))
        }
        (Value::Object(given), Value::Object(written)) => {
            let pairs = written.iter();
            below(pairs.filter_map(|(name, written)| Some((name, given.get(name)?, written))))
        }
        _ => None,
    }
}

fn below<'a, N: fmt::Display>(
    mut pairs: impl Iterator<Item = (N, &'a Value, &'a Value)>,
) -> Option<String> {
    pairs.find_map(|(name, given, written)| Some(format!("/{name}{}", unnamed(given, written)?)))
}

/// Writes the canonical spelling: members in the type's order, no white space, no needless escape.
/// # Errors
/// [`NotStrict`] for a type that our JSON cannot hold (a fraction, a map whose keys are no texts).
pub fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, NotStrict> {
    let mut writer = Writer::new(Vec::with_capacity(LENGTH));
    value.serialize(&mut writer)?;
    Ok(writer.sink)
}

/// Room for most of what is written.
const LENGTH: usize = 2_048;

/// Whether a text is the canonical spelling of a value, and passes [`check`].
pub fn canonical_is<T: Serialize + ?Sized>(value: &T, text: &[u8]) -> bool {
    let mut writer = Writer::new(Expected::new(text));
    let written = value.serialize(&mut writer);
    // A type names no member twice: only depth and numbers are left to be refused.
    written.is_ok() && writer.sink.is_met() && !writer.is_loose()
}

/// Reads a text and refuses it if it is not the canonical spelling of what it says.
/// # Errors
/// [`NotStrict`].
pub fn read_canonical<T: DeserializeOwned + Serialize>(text: &[u8]) -> Result<T, NotStrict> {
    let value: T = read(text)?;
    if canonical_is(&value, text) {
        Ok(value)
    } else {
        Err(NotStrict("not the one spelling".into()))
    }
}

/// A type read from an object only: a derived struct alone would also take its members from an array.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// Reads a text into a type by its `FromStr`, without copying it (for `deserialize_with` and our ids).
/// # Errors
/// The type's own.
pub fn text<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<T, D::Error> {
    text_by(deserializer, str::parse)
}

/// Reads a text into a type by a function, without copying it.
/// # Errors
/// The function's own.
pub fn text_by<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct Text<P>(P);
    impl<T, F: fmt::Display, P: FnOnce(&str) -> Result<T, F>> Visitor<'_> for Text<P> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            (self.0)(text).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Text(parse))
}

/// Reads an optional member that is absent or a value, never `null`: one spelling of "absent" (`default, deserialize_with`).
/// # Errors
/// The type's own.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with integers only")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<(), E> {
        if n < -INTEGER_MAX {
            Err(E::custom("an integer below -(2^53 - 1)"))
        } else {
            Ok(())
        }
    }

    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<(), E> {
        if n > INTEGER_MAX.unsigned_abs() {
            Err(E::custom("an integer above 2^53 - 1"))
        } else {
            Ok(())
        }
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(E::custom("a number that is not an integer"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = BTreeSet::new();
        while let Some(Name(name)) = members.next_key::<Name<'de>>()? {
            members.next_value_seed(inner)?;
            if let Some(name) = seen.replace(name) {
                return Err(serde::de::Error::custom(format!(
                    "duplicate member {name:?}"
                )));
            }
        }
        Ok(())
    }
}

/// A member's name, borrowed where it has no escape.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_loose_json_is_refused() {
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            "1.0",
            "1e3",
            "9007199254740992",
            "-9007199254740992",
            "[1,]",
            "{} {}",
            "nul",
            "",
            "\u{feff}{}",
            "[01]",
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check("[".repeat(17).as_bytes()).is_err());
        assert!(check(format!("{}{}", "[".repeat(17), "]".repeat(17)).as_bytes()).is_err());
        assert!(check(br#"{"a":[1,-1,true,null,"x"],"b":{"a":9007199254740991}}"#).is_ok());
    }

    #[test]
    fn only_the_canonical_spelling_is_read_canonically() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        #[serde(deny_unknown_fields)]
        struct Pair {
            a: i64,
            b: String,
        }
        assert_eq!(
            read_canonical::<Pair>("{\"a\":1,\"b\":\"券/\"}".as_bytes()),
            Ok(Pair {
                a: 1,
                b: "券/".into()
            })
        );
        assert!(read::<Pair>(br#"{"b":"x","a":1}"#).is_ok());
        let said = read::<Vec<(u8, Pair)>>(br#"[[1,{"a":1,"b":"x"}],[2,[1,"x"]]]"#);
        assert!(said.unwrap_err().to_string().ends_with("at /1/1/"));
        for bad in [
            r#"[1,"x"]"#,
            r#"{"b":"x","a":1}"#,
            r#"{"a":1, "b":"x"}"#,
            r#"{"a":1,"b":"\u0078"}"#,
            r#"{"a":1,"b":"\/"}"#,
            r#"{"a":-0,"b":"x"}"#,
            r#"{"a":1,"b":"x","c":1}"#,
        ] {
            assert!(read_canonical::<Pair>(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
