//! The table of facts: their names, what they are about, their type, who may record them (DESIGN §4.3).
//!
//! Facts are the only thing that eligibility reads. A name that is not in this table is an error when a programme file
//! is loaded and when a fact is recorded. Values carry no free text: words, codes, days and opaque ids.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

use crate::money::INTEGER_MAX;
use crate::refusal::{Code, Refusal};
use crate::region::Region;
use crate::time::LocalDay;

/// The longest text in a fact: ids and codes are shorter, sentences are longer.
pub const TEXT_MAX: usize = 64;
/// The longest list in a fact (DESIGN §4.6).
pub const LIST_MAX: usize = 200;

/// The value of a fact. `null`, `false` and `[]` say that something is recorded as absent; a fact that was never
/// recorded, or was withdrawn, is unknown and has no value at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FactValue {
    /// `null`: recorded as absent.
    Absent,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, |x| ≤ 2⁵³ − 1.
    Int(i64),
    /// A word, code, day or opaque id: 1 to 64 visible ASCII characters.
    Str(String),
    /// At most 200 of those.
    List(Vec<String>),
}

impl FactValue {
    /// Whether the value says that something is recorded as absent.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        match self {
            Self::Absent | Self::Bool(false) => true,
            Self::List(items) => items.is_empty(),
            Self::Bool(true) | Self::Int(_) | Self::Str(_) => false,
        }
    }
}

impl<'de> Deserialize<'de> for FactValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "null, a boolean, an integer, a word or a list of words"
        )]
        enum Loose {
            Absent(()),
            Bool(bool),
            Int(i64),
            Str(String),
            List(Vec<String>),
        }
        let value = match Loose::deserialize(deserializer)? {
            Loose::Absent(()) => Self::Absent,
            Loose::Bool(value) => Self::Bool(value),
            Loose::Int(value) => Self::Int(value),
            Loose::Str(value) => Self::Str(value),
            Loose::List(value) => Self::List(value),
        };
        value.in_bounds().map_err(serde::de::Error::custom)?;
        Ok(value)
    }
}

impl FactValue {
    fn in_bounds(&self) -> Result<(), &'static str> {
        let word = |text: &String| {
            (1..=TEXT_MAX).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic())
        };
        let good = match self {
            Self::Absent | Self::Bool(_) => true,
            Self::Int(n) => (-INTEGER_MAX..=INTEGER_MAX).contains(n),
            Self::Str(text) => word(text),
            Self::List(items) => items.len() <= LIST_MAX && items.iter().all(word),
        };
        if good {
            Ok(())
        } else {
            Err(
                "a fact's words have 1 to 64 visible ASCII characters, its lists at most 200 of them",
            )
        }
    }
}

impl fmt::Display for FactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Str(value) => f.write_str(value),
            Self::List(items) => write!(f, "[{}]", items.join(", ")),
        }
    }
}

/// What a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKind {
    /// `party/…`
    Party,
    /// `site/…`
    Site,
    /// `dataset/…`
    Dataset,
    /// `order/…`
    Order,
    /// `contract/<digest>`
    Contract,
}

impl SubjectKind {
    /// The word before the `/` of a subject.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Party => "party",
            Self::Site => "site",
            Self::Dataset => "dataset",
            Self::Order => "order",
            Self::Contract => "contract",
        }
    }
}

/// The type of a fact's value. Every type but `Bool` and `Int` may also be recorded as absent (`null`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A word.
    Word,
    /// A GB/T 2260 code of six digits; compared by region.
    Region,
    /// A record: `false`, or `true` (some, day unknown), or the local day of the last one.
    Record,
    /// A list of words.
    Words,
}

/// Who may record a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorder {
    /// An office's or the exchange's actor.
    Office,
    /// `order.placed` states it.
    Order,
}

macro_rules! facts {
    ($($name:ident = $text:literal: $subject:ident, $kind:ident, $by:ident;)*) => {
        /// A fact's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FactName { $(#[doc = concat!("`", $text, "`")] $name,)* }

        impl FactName {
            /// Every name, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name as files and entries spell it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Reads a name of the table.
            /// # Errors
            /// `fact.unknown`
            pub fn parse(text: &str) -> Result<Self, Refusal> {
                match text {
                    $($text => Ok(Self::$name),)*
                    _ => Err(Refusal::new(Code::FactUnknown, format!("there is no fact named {text:?}; see the table of facts"))
                        .with("fact", text)),
                }
            }

            /// What the fact is about.
            #[must_use]
            pub const fn subject(self) -> SubjectKind {
                match self { $(Self::$name => SubjectKind::$subject,)* }
            }

            /// The type of its value.
            #[must_use]
            pub const fn kind(self) -> ValueKind {
                match self { $(Self::$name => ValueKind::$kind,)* }
            }

            /// Who may record it.
            #[must_use]
            pub const fn recorder(self) -> Recorder {
                match self { $(Self::$name => Recorder::$by,)* }
            }
        }
    };
}

facts! {
    // What a legal person is.
    RegisteredIn = "registered_in": Party, Region, Office;
    OperatesIn = "operates_in": Party, Region, Office;
    Zone = "zone": Party, Word, Office;
    Industry = "industry": Party, Word, Office;
    LegalForm = "legal_form": Party, Word, Office;
    SmeClass = "sme_class": Party, Word, Office;
    Startup = "startup": Party, Bool, Office;
    OnePersonCompany = "one_person_company": Party, Bool, Office;
    IncubatedBy = "incubated_by": Party, Word, Office;
    NewlySettled = "newly_settled": Party, Bool, Office;
    ProjectLead = "project_lead": Party, Word, Office;
    // Its record.
    DishonestyRecord = "dishonesty_record": Party, Record, Office;
    DishonestyList = "dishonesty_list": Party, Bool, Office;
    MajorPenalty = "major_penalty": Party, Record, Office;
    CriminalRecord = "criminal_record": Party, Record, Office;
    SplitFinding = "split_finding": Party, Record, Office;
    MunicipalComputeSubsidy = "municipal_compute_subsidy": Party, Record, Office;
    HoldsVoucherOf = "holds_voucher_of": Party, Words, Office;
    // Whom it belongs to or deals with: groups by word, persons by opaque id, parties by id.
    Group = "group": Party, Word, Office;
    Controller = "controller": Party, Words, Office;
    LegalRepresentative = "legal_representative": Party, Word, Office;
    MutualTrade24m = "mutual_24m": Party, Words, Office;
    // What a site is.
    LocatedIn = "located_in": Site, Region, Office;
    SiteOwner = "owner": Site, Word, Office;
    PflopsFp16 = "pflops_fp16": Site, Int, Office;
    Racks = "racks": Site, Int, Office;
    ChipOrigin = "chip_origin": Site, Word, Office;
    ChipClass = "chip_class": Site, Word, Office;
    ChipDenied = "chip_denied": Site, Bool, Office;
    ListedOnDispatchPlatform = "listed_on_dispatch_platform": Site, Bool, Office;
    // What a dataset is.
    Assessed = "assessed": Dataset, Bool, Office;
    ContentClass = "content_class": Dataset, Word, Office;
    // What a contract is about, and where it was made.
    ModelCacFiled = "model_cac_filed": Contract, Bool, Office;
    MaasOnFiledModel = "maas_on_filed_model": Contract, Bool, Office;
    ContractSubsidised = "contract_subsidised": Contract, Bool, Office;
    // What an order says of itself.
    Purpose = "purpose": Order, Word, Order;
    TradeVenue = "venue": Order, Word, Order;
}

impl FactName {
    /// Checks that a value has this fact's type.
    /// # Errors
    /// `fact.invalid`
    pub fn check(self, value: &FactValue) -> Result<(), Refusal> {
        let good = match (self.kind(), value) {
            (ValueKind::Bool, FactValue::Bool(_)) | (ValueKind::Int, FactValue::Int(_)) => true,
            (
                ValueKind::Word | ValueKind::Region | ValueKind::Record | ValueKind::Words,
                FactValue::Absent,
            ) => true,
            (ValueKind::Word, FactValue::Str(_)) | (ValueKind::Words, FactValue::List(_)) => true,
            (ValueKind::Region, FactValue::Str(code)) => Region::parse(code).is_ok(),
            (ValueKind::Record, FactValue::Bool(_)) => true,
            (ValueKind::Record, FactValue::Str(day)) => LocalDay::parse(day).is_ok(),
            (
                ValueKind::Bool
                | ValueKind::Int
                | ValueKind::Word
                | ValueKind::Region
                | ValueKind::Record
                | ValueKind::Words,
                _,
            ) => false,
        };
        let bounds = value.in_bounds();
        match (good, bounds) {
            (true, Ok(())) => Ok(()),
            (true, Err(why)) => {
                Err(Refusal::new(Code::FactInvalid, why).with("fact", self.as_str()))
            }
            (false, _) => Err(Refusal::new(
                Code::FactInvalid,
                format!("{self} is {}, not {value}", self.kind().expected()),
            )
            .with("fact", self.as_str())),
        }
    }
}

impl ValueKind {
    const fn expected(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Word => "one word, or null",
            Self::Region => "a GB/T 2260 code of six digits, or null",
            Self::Record => "false, true or the day of the last record",
            Self::Words => "a list of words",
        }
    }
}

impl fmt::Display for FactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FactName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FactName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

packed_word!(FactName);
packed_enum!(FactValue { 0 => Absent, 1 => Bool(value), 2 => Int(value), 3 => Str(text), 4 => List(items) });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_an_unlisted_one_is_refused() {
        for name in FactName::ALL {
            assert_eq!(FactName::parse(name.as_str()), Ok(*name));
        }
        assert_eq!(
            FactName::parse("shoe_size").unwrap_err().code,
            Code::FactUnknown
        );
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let day = FactValue::Str("2025-01-31".into());
        let no_day = FactValue::Str("2025-02-30".into());
        assert!(FactName::MajorPenalty.check(&day).is_ok());
        assert!(
            FactName::MajorPenalty
                .check(&FactValue::Bool(false))
                .is_ok()
        );
        assert!(
            FactName::RegisteredIn
                .check(&FactValue::Str("410100".into()))
                .is_ok()
        );
        for (name, bad) in [
            (FactName::MajorPenalty, no_day),
            (FactName::MajorPenalty, FactValue::Int(1)),
            (FactName::RegisteredIn, FactValue::Str("41010".into())),
            (FactName::Startup, FactValue::Absent),
            (FactName::Startup, FactValue::Str("true".into())),
            (FactName::Racks, FactValue::Bool(true)),
            (FactName::Controller, FactValue::Str("psn-1".into())),
            (FactName::SmeClass, FactValue::Str("two words".into())),
        ] {
            assert_eq!(
                name.check(&bad).unwrap_err().code,
                Code::FactInvalid,
                "{name} {bad}"
            );
        }
    }

    #[test]
    fn a_value_has_one_json_form() {
        for (text, value) in [
            ("null", FactValue::Absent),
            ("false", FactValue::Bool(false)),
            ("7", FactValue::Int(7)),
            (r#""micro""#, FactValue::Str("micro".into())),
            (
                r#"["a","b"]"#,
                FactValue::List(vec!["a".into(), "b".into()]),
            ),
        ] {
            assert_eq!(serde_json::from_str::<FactValue>(text).unwrap(), value);
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
        }
        for bad in [
            "1.5",
            "{}",
            "[1]",
            r#""""#,
            r#""a b""#,
            "[[]]",
            "9007199254740992",
        ] {
            assert!(serde_json::from_str::<FactValue>(bad).is_err(), "{bad}");
        }
    }
}
