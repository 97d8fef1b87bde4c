//! The ledger's words: accounts, and postings that sum to zero for each fund (DESIGN §4.1).
//!
//! This module knows no programme, order or time: it only says what an account is called and what a balanced set of
//! movements is. Money *belongs to a fund*; nothing is ever netted across funds. Called by [`crate::settlement`].

mod account;
mod split;

pub use account::{Account, ClaimIndex, NotAnAccount};
pub use split::{Weights, nested_split, split_by_weight};

use crate::id::FundId;
use crate::money::{Fen, Overflow};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Why a list of legs is not a set of postings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotPostings {
    /// The legs of this fund do not sum to zero.
    Unbalanced(FundId),
    /// The accounts are not strictly ascending by their text.
    Unsorted,
    /// A leg moves nothing.
    Zero,
    /// A sum exceeds the range of money.
    Overflow,
}

impl fmt::Display for NotPostings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbalanced(fund) => write!(f, "the postings of fund {fund} do not sum to zero"),
            Self::Unsorted => f.write_str("postings must ascend by account, each account once"),
            Self::Zero => f.write_str("a posting of 0 fen is left out"),
            Self::Overflow => f.write_str("a posting exceeds 2^53 - 1 fen"),
        }
    }
}

impl std::error::Error for NotPostings {}

impl From<Overflow> for NotPostings {
    fn from(_: Overflow) -> Self {
        Self::Overflow
    }
}

/// The zero-sum set of an entry: one leg an account, none of zero, sorted by the account's text (DESIGN §4.6).
///
/// INVARIANT: the legs of each fund sum to zero; every constructor proves it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Postings(Vec<(Account, Fen)>);

impl Postings {
    /// Sums legs per account and drops the zeros.
    /// # Errors
    /// [`NotPostings::Unbalanced`] or [`NotPostings::Overflow`].
    pub fn sum(legs: impl IntoIterator<Item = (Account, Fen)>) -> Result<Self, NotPostings> {
        let mut sums: BTreeMap<Account, Fen> = BTreeMap::new();
        for (account, fen) in legs {
            let sum = sums.entry(account).or_default();
            *sum = sum.plus(fen)?;
        }
        let legs: Vec<_> = sums.into_iter().filter(|(_, fen)| !fen.is_zero()).collect();
        balanced(&legs)?;
        Ok(Self(legs))
    }

    /// Takes legs that are already as an entry spells them.
    /// # Errors
    /// [`NotPostings`].
    pub fn new(legs: Vec<(Account, Fen)>) -> Result<Self, NotPostings> {
        if legs.iter().any(|(_, fen)| fen.is_zero()) {
            return Err(NotPostings::Zero);
        }
        if !legs.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(NotPostings::Unsorted);
        }
        balanced(&legs)?;
        Ok(Self(legs))
    }

    /// The legs, ascending by account.
    #[must_use]
    pub fn legs(&self) -> &[(Account, Fen)] {
        &self.0
    }

    /// Whether no money moves.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn balanced(legs: &[(Account, Fen)]) -> Result<(), NotPostings> {
    // An entry touches one to five funds: a short list beats a map.
    let mut sums: Vec<(&FundId, i128)> = Vec::new();
    for (account, fen) in legs {
        let fund = account.fund();
        match sums.iter_mut().find(|(id, _)| *id == fund) {
            Some((_, sum)) => *sum += fen.wide(),
            None => sums.push((fund, fen.wide())),
        }
    }
    match sums.iter().find(|(_, sum)| *sum != 0) {
        Some((fund, _)) => Err(NotPostings::Unbalanced((*fund).clone())),
        None => Ok(()),
    }
}

impl Serialize for Postings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Postings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(account: &str, fen: i64) -> (Account, Fen) {
        (Account::parse(account).unwrap(), Fen::new(fen).unwrap())
    }

    #[test]
    fn legs_are_summed_sorted_and_balanced_for_each_fund() {
        let postings = Postings::sum([
            leg("treasury/city-finance/city", -5),
            leg("fund/city", 7),
            leg("fund/prov", 0),
            leg("treasury/city-finance/city", -2),
        ])
        .unwrap();
        assert_eq!(
            postings.legs(),
            [leg("fund/city", 7), leg("treasury/city-finance/city", -7)]
        );
        assert_eq!(
            serde_json::to_string(&postings).unwrap(),
            r#"[["fund/city",7],["treasury/city-finance/city",-7]]"#
        );
    }

    #[test]
    fn money_of_one_fund_never_balances_that_of_another() {
        let legs = [leg("fund/city", 7), leg("fund/prov", -7)];
        let city = FundId::parse("city").unwrap();
        assert_eq!(
            Postings::sum(legs.clone()),
            Err(NotPostings::Unbalanced(city))
        );
        assert!(Postings::new(legs.to_vec()).is_err());
    }

    #[test]
    fn only_the_one_spelling_of_postings_is_read() {
        for bad in [
            r#"[["treasury/city-finance/city",-7],["fund/city",7]]"#,
            r#"[["fund/city",0]]"#,
            r#"[["fund/city",3],["fund/city",4],["treasury/city-finance/city",-7]]"#,
            r#"[["fund/city",7]]"#,
            r#"[["purse/city",0]]"#,
        ] {
            assert!(serde_json::from_str::<Postings>(bad).is_err(), "{bad}");
        }
    }
}
