//! Reads TOML tables key by key: every fault names its path, every key that nobody asked for is a fault.
//!
//! A structural key may say `"unknown"`: its path is noted, and no [`super::Programme`] is made until it is settled.

use std::cell::RefCell;
use toml::Value;

use super::schema::{FundName, Known, Region};
use crate::fact::FactName;
use crate::id::{FunderId, ListId, ProgrammeId};
use crate::money::{BasisPoints, Fen, Rounding};
use crate::refusal::{Code, Refusal};
use crate::time::{LocalDay, NamedPeriod, PeriodLength};

/// The word that stands for what a published text does not give.
pub(super) const UNKNOWN: &str = "unknown";

/// Says what is wrong with the value at a path.
pub(super) fn invalid(path: &str, what: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ProgrammeInvalid, format!("{path}: {what}")).with("path", path)
}

/// What a reading found open, in the order of the reading.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Structural paths: they must be settled.
    pub(super) structural: Vec<String>,
    /// Amounts: every decision that needs one is manual.
    pub(super) amounts: Vec<String>,
    /// What may stay unknown until it is reached.
    pub(super) late: Vec<String>,
    /// What is not known of the documents themselves.
    pub(super) header: Vec<String>,
}

/// Which of the kinds of "unknown" a key may be (PROGRAMMES §1, loader rules).
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Amount,
    Late,
    Header,
}

/// A table being read.
pub(super) struct Table<'a> {
    path: String,
    table: &'a toml::Table,
    asked: Vec<&'static str>,
    notes: &'a RefCell<Notes>,
}

impl<'a> Table<'a> {
    pub(super) fn new(path: String, table: &'a toml::Table, notes: &'a RefCell<Notes>) -> Self {
        Self {
            path,
            table,
            asked: Vec::new(),
            notes,
        }
    }

    /// The full path of a key.
    pub(super) fn at(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// A fault at a key.
    pub(super) fn fault(&self, key: &str, what: impl std::fmt::Display) -> Refusal {
        invalid(&self.at(key), what)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        self.table.get(key)
    }

    /// A key that may be absent.
    pub(super) fn opt<T: Read>(&mut self, key: &'static str) -> Result<Option<T>, Refusal> {
        let path = self.at(key);
        self.value(key)
            .map(|value| T::read(value, &path))
            .transpose()
    }

    /// A key with a default.
    pub(super) fn or<T: Read>(&mut self, key: &'static str, default: T) -> Result<T, Refusal> {
        Ok(self.opt(key)?.unwrap_or(default))
    }

    /// A key that must be there.
    pub(super) fn must<T: Read>(&mut self, key: &'static str) -> Result<T, Refusal> {
        self.opt(key)?.ok_or_else(|| self.fault(key, "is missing"))
    }

    /// A list, empty if absent.
    pub(super) fn list<T: Read>(&mut self, key: &'static str) -> Result<Vec<T>, Refusal> {
        Ok(self
            .opt::<Many<T>>(key)?
            .map_or_else(Vec::new, |list| list.0))
    }

    /// A key that may say `"unknown"` for good.
    pub(super) fn known<T: Read>(
        &mut self,
        key: &'static str,
        kind: Kind,
    ) -> Result<Option<Known<T>>, Refusal> {
        if self.table.get(key).is_some_and(is_unknown) {
            self.asked.push(key);
            let path = self.at(key);
            let mut notes = self.notes.borrow_mut();
            match kind {
                Kind::Amount => notes.amounts.push(path),
                Kind::Late => notes.late.push(path),
                Kind::Header => notes.header.push(path),
            }
            return Ok(Some(Known::Unknown));
        }
        Ok(self.opt(key)?.map(Known::Known))
    }

    /// A structural key: `"unknown"` is noted as unsettled and reads as absent.
    pub(super) fn settled<T: Read>(&mut self, key: &'static str) -> Result<Option<T>, Refusal> {
        let open = match self.table.get(key) {
            Some(Value::Array(items)) => items.iter().any(is_unknown),
            Some(value) => is_unknown(value),
            None => false,
        };
        if open {
            self.asked.push(key);
            self.unsettled(key);
            return Ok(None);
        }
        self.opt(key)
    }

    /// Notes a structural key as unsettled.
    pub(super) fn unsettled(&self, key: &str) {
        self.notes.borrow_mut().structural.push(self.at(key));
    }

    /// Notes an amount that every decision must supply.
    pub(super) fn amount_open(&self, key: &str) {
        self.notes.borrow_mut().amounts.push(self.at(key));
    }

    /// A table that may be absent.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Option<Self>, Refusal> {
        let (path, notes) = (self.at(key), self.notes);
        match self.value(key) {
            None => Ok(None),
            Some(Value::Table(table)) => Ok(Some(Self::new(path, table, notes))),
            Some(_) => Err(invalid(&path, "expected a table")),
        }
    }

    /// A list of tables; each one's path ends in its `id`, or in its place.
    pub(super) fn tables(&mut self, key: &'static str) -> Result<Vec<Self>, Refusal> {
        let (path, notes) = (self.at(key), self.notes);
        let items = match self.value(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(invalid(&path, "expected a list of tables")),
        };
        let mut tables: Vec<Self> = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let Value::Table(table) = item else {
                return Err(invalid(
                    &join(&path, &place.to_string()),
                    "expected a table",
                ));
            };
            let name = match table.get("id") {
                Some(Value::String(id)) => id.clone(),
                _ => place.to_string(),
            };
            let path = join(&path, &name);
            if tables.iter().any(|earlier| earlier.path == path) {
                return Err(invalid(&path, "the id is used twice"));
            }
            tables.push(Self::new(path, table, notes));
        }
        Ok(tables)
    }

    /// Every key must have been asked for.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        let strange = self
            .table
            .keys()
            .find(|key| !self.asked.contains(&key.as_str()));
        match strange {
            Some(key) => Err(self.fault(
                key,
                "there is no such key; remove it or correct its spelling",
            )),
            None => Ok(()),
        }
    }
}

/// Joins a path and a key.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Whether a value is the word `"unknown"`.
pub(super) fn is_unknown(value: &Value) -> bool {
    value.as_str() == Some(UNKNOWN)
}

/// A type that a TOML value can be read as.
pub(super) trait Read: Sized {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal>;
}

/// A list of at most this many values is read.
const LIST_MAX: usize = 200;

/// A list.
pub(super) struct Many<T>(pub(super) Vec<T>);

impl<T: Read> Read for Many<T> {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        let items = value
            .as_array()
            .ok_or_else(|| invalid(path, "expected a list"))?;
        if items.len() > LIST_MAX {
            return Err(invalid(
                path,
                format!("has {} items, at most {LIST_MAX} are read", items.len()),
            ));
        }
        items
            .iter()
            .map(|item| T::read(item, path))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// One value, or a list of them.
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

impl<T: Read> Read for OneOrMany<T> {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        if value.is_array() {
            Many::read(value, path).map(|list| Self(list.0))
        } else {
            T::read(value, path).map(|one| Self(vec![one]))
        }
    }
}

impl Read for bool {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        value
            .as_bool()
            .ok_or_else(|| invalid(path, "expected true or false"))
    }
}

impl Read for String {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        match value.as_str() {
            Some("") => Err(invalid(path, "is empty")),
            Some(text) => Ok(text.to_owned()),
            None => Err(invalid(path, "expected a text")),
        }
    }
}

impl Read for i64 {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        value
            .as_integer()
            .ok_or_else(|| invalid(path, "expected a whole number"))
    }
}

/// A number of days, months or points that is not absurd.
pub(super) struct Count(pub(super) i64);

impl Read for Count {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        match value.as_integer() {
            Some(n @ 0..=1_000_000) => Ok(Self(n)),
            _ => Err(invalid(path, "expected a whole number from 0 to 1 000 000")),
        }
    }
}

/// A number of days, months or weight of at least one.
pub(super) struct Positive(pub(super) i64);

impl Read for Positive {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        match value.as_integer() {
            Some(n @ 1..=1_000_000) => Ok(Self(n)),
            _ => Err(invalid(path, "expected a whole number from 1 to 1 000 000")),
        }
    }
}

/// A calendar year.
pub(super) struct Year(pub(super) i64);

impl Read for Year {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        match value.as_integer() {
            Some(n @ 1970..=9999) => Ok(Self(n)),
            _ => Err(invalid(path, "expected a year")),
        }
    }
}

impl Read for Fen {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        let fen = value.as_integer().and_then(|n| Self::new(n).ok());
        fen.filter(|fen| !fen.is_negative())
            .ok_or_else(|| invalid(path, "expected fen, a whole number from 0 to 2^53 - 1"))
    }
}

impl Read for BasisPoints {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        let bp = value
            .as_integer()
            .and_then(|n| u16::try_from(n).ok())
            .and_then(|n| Self::new(n).ok());
        bp.ok_or_else(|| {
            invalid(
                path,
                "expected basis points, a whole number from 0 to 10 000",
            )
        })
    }
}

impl Read for LocalDay {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        let parts = value
            .as_datetime()
            .filter(|moment| moment.time.is_none() && moment.offset.is_none());
        let day = parts.and_then(|moment| moment.date);
        day.and_then(|day| Self::new(day.year.into(), day.month.into(), day.day.into()).ok())
            .ok_or_else(|| invalid(path, "expected a local date such as 2025-09-01"))
    }
}

/// A local moment: a day and the second in it.
pub(super) struct LocalMoment(pub(super) LocalDay, pub(super) i64);

impl Read for LocalMoment {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        let fault = || {
            invalid(
                path,
                "expected a local date and time such as 2025-09-01T00:00:00",
            )
        };
        let moment = value
            .as_datetime()
            .filter(|moment| moment.offset.is_none())
            .ok_or_else(fault)?;
        let (Some(day), Some(time)) = (moment.date, moment.time) else {
            return Err(fault());
        };
        let second = time.second.unwrap_or(0);
        if time.nanosecond.unwrap_or(0) != 0 || second > 59 {
            return Err(fault());
        }
        let day = LocalDay::new(day.year.into(), day.month.into(), day.day.into())
            .map_err(|_| fault())?;
        Ok(Self(
            day,
            i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(second),
        ))
    }
}

impl Read for NamedPeriod {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        match value.as_str() {
            Some(text) => Self::parse(text).map_err(|_| {
                invalid(
                    path,
                    "expected a date, or \"2023-01\" or \"2023\" where no more is known",
                )
            }),
            None => LocalDay::read(value, path).map(Self::Day),
        }
    }
}

impl Read for PeriodLength {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        match value.as_str() {
            Some("day") => Ok(Self::Day),
            Some("month") => Ok(Self::Month),
            Some("quarter") => Ok(Self::Quarter),
            Some("year") => Ok(Self::Year),
            _ => Err(invalid(path, "expected one of day, month, quarter, year")),
        }
    }
}

impl Read for Rounding {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        match value.as_str() {
            Some("floor") => Ok(Self::Floor),
            Some("half_up") => Ok(Self::HalfUp),
            Some("half_even") => Ok(Self::HalfEven),
            Some("ceil") => Ok(Self::Ceil),
            _ => Err(invalid(
                path,
                "expected one of floor, half_up, half_even, ceil",
            )),
        }
    }
}

impl Read for Region {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        value
            .as_str()
            .and_then(|code| Self::parse(code).ok())
            .ok_or_else(|| invalid(path, "expected a GB/T 2260 code of six digits, as a text"))
    }
}

impl Read for FactName {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        let text = String::read(value, path)?;
        Self::parse(&text).map_err(|refusal| invalid(path, refusal.sentence))
    }
}

impl Read for FundName {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        let name = Self(String::read(value, path)?);
        // A template must become an id with any code and year in it.
        name.resolve("000000", 2000).map_err(|fault| {
            invalid(
                path,
                format!("{fault}; {{city}} and {{year}} may stand in it"),
            )
        })?;
        Ok(name)
    }
}

/// The id of a rule, tier, cap or stage inside one file.
pub(super) struct RuleId(pub(super) String);

impl Read for RuleId {
    fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
        let text = String::read(value, path)?;
        let good = text.len() <= 48
            && text
                .bytes()
                .all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if good {
            Ok(Self(text))
        } else {
            Err(invalid(
                path,
                "expected 1 to 48 characters of a-z, 0-9, - and _",
            ))
        }
    }
}

macro_rules! read_ids {
    ($($name:ident),*) => {$(
        impl Read for $name {
            fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
                Self::parse(&String::read(value, path)?).map_err(|fault| invalid(path, fault))
            }
        }
    )*};
}

macro_rules! read_words {
    ($($name:ident),* $(,)?) => {$(
        impl Read for super::word::$name {
            fn read(value: &Value, path: &str) -> Result<Self, Refusal> {
                value.as_str().and_then(Self::parse).ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|word| word.as_str()).collect();
                    invalid(path, format!("expected one of {}", words.join(", ")))
                })
            }
        }
    )*};
}

read_ids!(ProgrammeId, FunderId, ListId);
read_words!(
    Scheme,
    Status,
    Level,
    Grade,
    Lapse,
    Mode,
    Payee,
    Issue,
    CommitAt,
    Exhaustion,
    Face,
    OnePer,
    Invoice,
    Sign,
    Overrun,
    Recurring,
    Of,
    OnUnknown,
    Waive,
    Relation,
    BaseKind,
    Line,
    Tax,
    ProrateBy,
    DayCount,
    Clip,
    Select,
    Banding,
    TierPer,
    Once,
    CapKey,
    CapPer,
    YearOf,
    Counted,
    Over,
    StackMode,
    RoundAfter,
    ListYearOf,
    ChipRule,
    Venue,
    EvidenceStage,
    EvidenceKind,
    Does,
    Calendar,
    Objection,
    RecoveredTo,
    AcceptanceRule,
    UseProof,
    Cause,
);
