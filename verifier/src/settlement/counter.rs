//! Counters: named integers ≥ 0 with limits given by data (DESIGN §4.2).
//!
//! A counter is raised or lowered by an entry next to its postings. Who may raise it, and up to what, is decided by
//! whoever knows the limit: caps by [`super::cap`], hours of a site by the receipt's checks.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::id::{GpuModel, PartyId, Sha256Hash, SiteId};
use crate::money::INTEGER_MAX;
use crate::time::{ClockHour, LocalDay, NamedPeriod};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The longest name of a counter.
pub const KEY_BYTES_MAX: usize = 200;

/// The name of a counter: words joined by `/`, sorted by its text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey(Arc<str>);

/// Whose counter a cap is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapSubject {
    /// One holder's.
    Holder(PartyId),
    /// One for all holders.
    Programme,
    /// A group's, a contract's or a site's, by its opaque id.
    Named(String),
}

/// The span of a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapSpan {
    /// A year or quarter.
    Period(NamedPeriod),
    /// An application window, by its first local day.
    Window(LocalDay),
    /// All time.
    Life,
}

impl CounterKey {
    /// The counter of a cap: `cap/{programme or shared}/{subject}/{span}`.
    #[must_use]
    pub fn cap(scope: &str, subject: &CapSubject, span: CapSpan) -> Self {
        let subject = match subject {
            CapSubject::Holder(party) => party.to_string(),
            CapSubject::Programme => "programme".to_owned(),
            CapSubject::Named(name) => name.clone(),
        };
        let span = match span {
            CapSpan::Period(period) => period.to_string(),
            CapSpan::Window(day) => format!("window-{day}"),
            CapSpan::Life => "life".to_owned(),
        };
        Self(format!("cap/{scope}/{subject}/{span}").into())
    }

    /// The part of a cap's counter that counts commitments, where redemptions are counted too.
    #[must_use]
    pub fn issued(&self) -> Self {
        Self(format!("{}/issued", self.0).into())
    }

    /// The part of a cap's counter that counts what closed statements made payable.
    #[must_use]
    pub fn redeemed(&self) -> Self {
        Self(format!("{}/redeemed", self.0).into())
    }

    /// GPU-seconds of a site's hardware in a clock hour: `site/{site}/{gpu model}/{hour}`.
    #[must_use]
    pub fn site(site: SiteId, model: &GpuModel, hour: ClockHour) -> Self {
        let mut key = String::with_capacity(KEY_BYTES_MAX);
        key.push_str("site/");
        site.with_text(|site| key.push_str(site));
        key.push('/');
        key.push_str(model.as_str());
        key.push('/');
        hour.push_to(&mut key);
        Self(key.into())
    }

    /// In how many standing receipts of its one order a scheduler run is: `run/{site}/{16 bytes of SHA-256}`.
    #[must_use]
    pub fn run(site: SiteId, run: &[u8; 16]) -> Self {
        let mut key = String::with_capacity(KEY_BYTES_MAX);
        key.push_str("run/");
        site.with_text(|site| key.push_str(site));
        key.push('/');
        URL_SAFE_NO_PAD.encode_string(run, &mut key);
        Self(key.into())
    }

    /// Whether it counts a site's hours or runs: the site keeps those.
    #[must_use]
    pub fn is_of_a_site(&self) -> bool {
        self.0.starts_with("site/") || self.0.starts_with("run/")
    }

    /// Whether a document was stated in a pool of programmes: `uniq/{pool}/{kind}/{hash}`, at most 1.
    #[must_use]
    pub fn unique(pool: &str, kind: &str, hash: &Sha256Hash) -> Self {
        Self(format!("uniq/{pool}/{kind}/{hash}").into())
    }

    /// Reads a name; what it means is not checked.
    /// # Errors
    /// [`NotACounter`].
    pub fn parse(text: &str) -> Result<Self, NotACounter> {
        // Two words or more, none empty: no `/` at either end or beside another.
        let (mut words, mut before) = (1, b'/');
        for byte in text.bytes() {
            if byte == b'/' {
                words += 1;
            }
            if !byte.is_ascii_graphic() || (byte, before) == (b'/', b'/') {
                return Err(NotACounter);
            }
            before = byte;
        }
        if text.len() <= KEY_BYTES_MAX && words > 1 && before != b'/' {
            Ok(Self(text.into()))
        } else {
            Err(NotACounter)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for CounterKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CounterKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::text_by(deserializer, Self::parse)
    }
}

/// A text that is not the name of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotACounter;

impl fmt::Display for NotACounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a counter, e.g. cap/ha-2025/programme/life")
    }
}

impl std::error::Error for NotACounter {}

/// What an entry adds to counters: one line a key, none of zero, ascending by key (DESIGN §4.6).
pub type CounterMoves = Vec<(CounterKey, i64)>;

/// The values of all counters that are not zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<CounterKey, i64>);

impl Counters {
    /// The value; zero where nothing was counted.
    #[must_use]
    pub fn get(&self, key: &CounterKey) -> i64 {
        self.0.get(key).copied().unwrap_or(0)
    }

    /// The value after adding `by`, if that is ≥ 0 and at most `limit`.
    #[must_use]
    pub fn raised(&self, key: &CounterKey, by: i64, limit: i64) -> Option<i64> {
        let value = self.get(key).checked_add(by)?;
        (value >= 0 && value <= limit).then_some(value)
    }

    /// Adds to a counter; `false` where it would fall below zero or out of range, and nothing is changed then.
    #[must_use]
    pub fn add(&mut self, key: &CounterKey, by: i64) -> bool {
        let Some(value) = self.raised(key, by, INTEGER_MAX) else {
            return false;
        };
        if value == 0 {
            self.0.remove(key);
        } else if let Some(slot) = self.0.get_mut(key) {
            *slot = value;
        } else {
            self.0.insert(key.clone(), value);
        }
        true
    }

    /// All counters that are not zero, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (&CounterKey, i64)> {
        self.0.iter().map(|(key, value)| (key, *value))
    }
}

packed_newtype!(CounterKey, Counters);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_neither_falls_below_zero_nor_passes_its_limit() {
        let key = CounterKey::parse("cap/ha-2025/programme/life").unwrap();
        assert_eq!(
            key,
            CounterKey::cap("ha-2025", &CapSubject::Programme, CapSpan::Life)
        );
        let mut counters = Counters::default();
        assert!(counters.add(&key, 5));
        assert!(!counters.add(&key, -6));
        assert_eq!(counters.raised(&key, 5, 10), Some(10));
        assert_eq!(counters.raised(&key, 6, 10), None);
        assert!(counters.add(&key, -5));
        assert_eq!(counters, Counters::default());
    }

    #[test]
    fn a_name_that_is_not_a_counter_is_refused() {
        for bad in ["", "cap", "cap/", "/cap", "cap//x", "cap/a b", "cap/券"] {
            assert_eq!(CounterKey::parse(bad), Err(NotACounter), "{bad}");
        }
    }
}
