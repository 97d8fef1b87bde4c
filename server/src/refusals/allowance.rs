//! How many refusals of one party are kept in an hour. Each is kept for half a year: a program that sends the same wrong thing in a
//! loop must not fill the database. Who calls: the reply, before a refusal is kept.
//!
//! A party has a bucket that fills evenly (the generic cell rate algorithm, ITU-T I.371). What is accepted costs nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use verifier::id::PartyId;
use verifier::time::{HOUR_SECONDS, Timestamp};

/// Parties that are remembered before those whose bucket is full again are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// The buckets of this server, in parts: a second brings as many as the hour has refusals, and a refusal takes as many as the hour
/// has seconds. So nothing is ever rounded.
#[derive(Debug)]
pub struct Allowance {
    an_hour: i64,
    /// When, in parts since the epoch, a party's bucket is full again.
    full_at: Mutex<BTreeMap<PartyId, i64>>,
}

impl Allowance {
    /// So many an hour, all at once or one after the other.
    #[must_use]
    pub fn new(an_hour: u32) -> Self {
        Self {
            an_hour: i64::from(an_hour.max(1)),
            full_at: Mutex::default(),
        }
    }

    /// How many there are in an hour.
    #[must_use]
    pub const fn an_hour(&self) -> i64 {
        self.an_hour
    }

    /// Takes one of a party's.
    /// # Errors
    /// In how many seconds there is one again.
    pub fn take(&self, party: PartyId, now: Timestamp) -> Result<(), i64> {
        let now = now.unix().saturating_mul(self.an_hour);
        let bucket = self.an_hour.saturating_mul(HOUR_SECONDS);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= REMEMBERED_MAX {
            full_at.retain(|_, at| *at > now);
        }
        let before = full_at.get(&party).copied().unwrap_or(now).max(now);
        let after = before.saturating_add(HOUR_SECONDS);
        let missing = after.saturating_sub(now).saturating_sub(bucket);
        if missing > 0 {
            // Rounded up: a second early would be refused again.
            return Err(missing.saturating_add(self.an_hour - 1) / self.an_hour);
        }
        full_at.insert(party, after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verifier::id::Salt;

    fn party(number: u8) -> PartyId {
        PartyId::draw(&Salt::new([number; 16]), 0, 0)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(1_795_392_000 + seconds).unwrap()
    }

    #[test]
    fn an_hours_worth_may_come_at_once_and_then_one_after_the_other() {
        let allowance = Allowance::new(4);
        for _ in 0..4 {
            assert_eq!(allowance.take(party(1), at(0)), Ok(()));
        }
        // One every 900 seconds; asking in vain costs nothing.
        assert_eq!(allowance.take(party(1), at(0)), Err(900));
        assert_eq!(allowance.take(party(1), at(899)), Err(1));
        assert_eq!(allowance.take(party(1), at(900)), Ok(()));
        assert_eq!(allowance.take(party(1), at(900)), Err(900));
        // Another party's bucket is its own.
        assert_eq!(allowance.take(party(2), at(900)), Ok(()));
        // After an hour of quiet it is full again, and not more than full.
        for _ in 0..4 {
            assert_eq!(allowance.take(party(1), at(100_000)), Ok(()));
        }
        assert_eq!(allowance.take(party(1), at(100_000)), Err(900));
    }

    #[test]
    fn a_rate_that_does_not_divide_the_hour_loses_nothing() {
        let allowance = Allowance::new(7);
        let taken =
            (0..10 * HOUR_SECONDS).filter(|second| allowance.take(party(1), at(*second)).is_ok());
        // The bucket of the start, and ten hours' worth.
        assert_eq!(taken.count(), 7 + 70 - 1);
    }

    #[test]
    fn what_is_remembered_is_bounded_by_who_was_refused_lately() {
        let allowance = Allowance::new(3_600);
        let salt = |number: u32| {
            let mut salt = [0; 16];
            salt[..4].copy_from_slice(&number.to_be_bytes());
            Salt::new(salt)
        };
        for number in 0..30_000 {
            let second = i64::from(number) / 100;
            let party = PartyId::draw(&salt(number), 0, 0);
            assert_eq!(allowance.take(party, at(second)), Ok(()));
        }
        let remembered = allowance.full_at.lock().unwrap().len();
        assert!(remembered <= REMEMBERED_MAX, "{remembered}");
    }
}
