//! The one place that reads the time and draws salts; fixed in tests (DESIGN §4.6).

use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use verifier::id::{Salt, Sha256Hash};
use verifier::time::Timestamp;

/// Time and salts. A copy is the same clock.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Real(SystemRandom),
    Moved(SystemRandom, Arc<AtomicI64>),
    Fixed(Arc<Fixed>),
}

struct Fixed {
    unix: AtomicI64,
    salts: AtomicU64,
}

/// The machine's clock is outside 1970–9999, or its generator gives nothing: nothing can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockFault;

impl fmt::Display for ClockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this machine's clock or random generator cannot be read")
    }
}

impl std::error::Error for ClockFault {}

impl Clock {
    /// The machine's clock and the operating system's generator.
    #[must_use]
    pub fn real() -> Self {
        Self(Source::Real(SystemRandom::new()))
    }

    /// A clock that stands at `now` until it is moved, with salts that are the same in every run: for tests.
    #[must_use]
    pub fn fixed(now: Timestamp) -> Self {
        Self(Source::Fixed(Arc::new(Fixed {
            unix: AtomicI64::new(now.unix()),
            salts: AtomicU64::new(0),
        })))
    }

    /// The machine's clock, `by` seconds later, with salts of the generator: the demo plays months in seconds.
    #[must_use]
    pub fn moved(by: i64) -> Self {
        Self(Source::Moved(
            SystemRandom::new(),
            Arc::new(AtomicI64::new(by)),
        ))
    }

    /// Moves a fixed or moved clock on; the real one takes no orders.
    pub fn advance(&self, seconds: i64) {
        match &self.0 {
            Source::Real(_) => {}
            Source::Moved(_, by) => {
                by.fetch_add(seconds, Ordering::SeqCst);
            }
            Source::Fixed(fixed) => {
                fixed.unix.fetch_add(seconds, Ordering::SeqCst);
            }
        }
    }

    /// Whether the time is the world's, so that other clocks can be compared with it.
    #[must_use]
    pub const fn is_real(&self) -> bool {
        matches!(self.0, Source::Real(_))
    }

    /// Whole UTC seconds.
    /// # Errors
    /// [`ClockFault`].
    pub fn now(&self) -> Result<Timestamp, ClockFault> {
        let unix = match &self.0 {
            Source::Real(_) => machine()?,
            Source::Moved(_, by) => machine()?
                .checked_add(by.load(Ordering::SeqCst))
                .ok_or(ClockFault)?,
            Source::Fixed(fixed) => fixed.unix.load(Ordering::SeqCst),
        };
        Timestamp::new(unix).map_err(|_| ClockFault)
    }

    /// Sixteen bytes for one command.
    /// # Errors
    /// [`ClockFault`].
    pub fn salt(&self) -> Result<Salt, ClockFault> {
        let mut bytes = [0; 16];
        match &self.0 {
            Source::Real(random) | Source::Moved(random, _) => {
                random.fill(&mut bytes).map_err(|_| ClockFault)?
            }
            Source::Fixed(fixed) => {
                let number = fixed.salts.fetch_add(1, Ordering::SeqCst);
                let digest = Sha256Hash::of(&number.to_be_bytes());
                for (byte, from) in bytes.iter_mut().zip(digest.bytes()) {
                    *byte = *from;
                }
            }
        }
        Ok(Salt::new(bytes))
    }
}

/// What the machine's clock says.
fn machine() -> Result<i64, ClockFault> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.map_err(|_| ClockFault)?;
    i64::try_from(since.as_secs()).map_err(|_| ClockFault)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Real(_) => "Clock(real)",
            Source::Moved(..) => "Clock(moved)",
            Source::Fixed(_) => "Clock(fixed)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_gives_the_same_salts_again_and_moves_only_when_told() {
        let now = Timestamp::new(1_800_000_000).unwrap();
        let (one, two) = (Clock::fixed(now), Clock::fixed(now));
        assert_eq!(one.salt(), two.salt());
        assert_eq!(one.salt(), two.salt());
        one.advance(60);
        assert_eq!(one.now(), Ok(now.after(60)));
        assert_eq!(two.now(), Ok(now));
    }

    #[test]
    fn a_moved_clock_runs_beside_the_machines() {
        let (real, moved) = (Clock::real(), Clock::moved(-86_400));
        moved.advance(3_600);
        let behind = real.now().unwrap().unix() - moved.now().unwrap().unix();
        assert!((82_799..=82_801).contains(&behind), "{behind}");
        assert_ne!(moved.salt(), moved.salt());
        assert!(!moved.is_real());
    }

    #[test]
    fn real_salts_differ() {
        let clock = Clock::real();
        assert_ne!(clock.salt(), clock.salt());
        assert!(clock.now().is_ok());
    }
}
