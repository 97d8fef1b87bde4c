//! Enacted programmes by version, and the yearly provider lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{DocumentDigest, ListId, PartyId};
use crate::programme::Programme;
use crate::time::Timestamp;

/// One enacted file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The rules.
    pub programme: Arc<Programme>,
    /// The file's digest.
    pub digest: DocumentDigest,
    /// Whether it was enacted although its status is not `verified`.
    pub despite_status: bool,
    /// When.
    pub enacted_at: Timestamp,
    /// The entry that holds the file.
    pub seq: u64,
}

/// A programme with all its versions; a voucher pins the one that it was issued under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enactment {
    /// The office that runs it.
    pub office: PartyId,
    /// Its versions, oldest first; never empty.
    pub versions: Vec<Version>,
    /// Closed to new vouchers and orders since.
    pub closed: Option<Timestamp>,
}

impl Enactment {
    /// The newest version with its number, from 1.
    #[must_use]
    pub fn current(&self) -> Option<(u32, &Version)> {
        let number = u32::try_from(self.versions.len()).ok()?;
        Some((number, self.versions.last()?))
    }

    /// The version of a number, from 1.
    #[must_use]
    pub fn version(&self, number: u32) -> Option<&Version> {
        self.versions
            .get(usize::try_from(number.checked_sub(1)?).ok()?)
    }
}

/// One year's edition of a provider list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderList {
    /// The office that publishes it.
    pub office: PartyId,
    /// In how many parts.
    pub of: u32,
    /// The parts that are there.
    pub parts: BTreeMap<u32, Vec<PartyId>>,
}

impl ProviderList {
    /// Whether every part is there: half a list lists nobody.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        usize::try_from(self.of).is_ok_and(|of| self.parts.len() == of)
    }

    /// Whether the whole list names a provider.
    #[must_use]
    pub fn names(&self, provider: PartyId) -> bool {
        self.is_whole() && self.parts.values().any(|part| part.contains(&provider))
    }
}

/// All editions of all lists.
pub type ProviderLists = BTreeMap<(ListId, i64), ProviderList>;

packed!(ProviderList { office, of, parts });
