//! Recorded facts by subject, name and time (DESIGN §4.3).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

use crate::fact::{FactName, FactValue, SubjectKind};
use crate::id::{DocumentDigest, NotAnId, OrderId, PartyId, SiteId};
use crate::time::LocalDay;

/// About whom or what a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// `party/pty-…`
    Party(PartyId),
    /// `site/sit-…`
    Site(SiteId),
    /// `dataset/sha-256:…`, a version.
    Dataset(DocumentDigest),
    /// `order/ord-…`; stated by `order.placed` itself.
    Order(OrderId),
    /// `contract/sha-256:…`
    Contract(DocumentDigest),
}

impl Subject {
    /// Reads one of the five forms.
    /// # Errors
    /// [`NotAnId`].
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        match text.split_once('/') {
            Some(("party", id)) => PartyId::parse(id).map(Self::Party),
            Some(("site", id)) => SiteId::parse(id).map(Self::Site),
            Some(("dataset", id)) => DocumentDigest::parse(id).map(Self::Dataset),
            Some(("order", id)) => OrderId::parse(id).map(Self::Order),
            Some(("contract", id)) => DocumentDigest::parse(id).map(Self::Contract),
            _ => Err(NotAnId {
                expected: "party/…, site/…, dataset/…, order/… or contract/…",
            }),
        }
    }
}

impl Subject {
    /// What kind of thing it is.
    #[must_use]
    pub const fn kind(self) -> SubjectKind {
        match self {
            Self::Party(_) => SubjectKind::Party,
            Self::Site(_) => SubjectKind::Site,
            Self::Dataset(_) => SubjectKind::Dataset,
            Self::Order(_) => SubjectKind::Order,
            Self::Contract(_) => SubjectKind::Contract,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Party(id) => write!(f, "party/{id}"),
            Self::Site(id) => write!(f, "site/{id}"),
            Self::Dataset(id) => write!(f, "dataset/{id}"),
            Self::Order(id) => write!(f, "order/{id}"),
            Self::Contract(id) => write!(f, "contract/{id}"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// One recorded statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What is so.
    pub value: FactValue,
    /// From when …
    pub valid_from: LocalDay,
    /// … to before when.
    pub valid_to: Option<LocalDay>,
    /// The entry that recorded it.
    pub seq: u64,
}

/// All facts. Of two that hold on a day, the later entry speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<(Subject, FactName), Vec<Recorded>>);

impl Facts {
    /// What is recorded of a subject on a day; `None` is unknown, never no.
    #[must_use]
    pub fn on(&self, subject: Subject, name: FactName, day: LocalDay) -> Option<&FactValue> {
        self.history(subject, name)
            .iter()
            .rev()
            .find(|fact| fact.valid_from <= day && fact.valid_to.is_none_or(|to| day < to))
            .map(|fact| &fact.value)
    }

    /// Everything recorded and not withdrawn of a subject under a name, oldest first.
    #[must_use]
    pub fn history(&self, subject: Subject, name: FactName) -> &[Recorded] {
        self.0.get(&(subject, name)).map_or(&[], Vec::as_slice)
    }

    /// Every subject and name with what is recorded.
    pub fn iter(&self) -> impl Iterator<Item = (&(Subject, FactName), &Vec<Recorded>)> {
        self.0.iter()
    }

    pub(in crate::book) fn record(&mut self, subject: Subject, name: FactName, fact: Recorded) {
        self.0.entry((subject, name)).or_default().push(fact);
    }

    pub(in crate::book) fn withdraw(&mut self, subject: Subject, name: FactName) {
        self.0.remove(&(subject, name));
    }
}

packed_newtype!(Facts);
packed!(Recorded {
    value,
    valid_from,
    valid_to,
    seq
});
packed_enum!(Subject { 0 => Party(id), 1 => Site(id), 2 => Dataset(id), 3 => Order(id), 4 => Contract(id) });
