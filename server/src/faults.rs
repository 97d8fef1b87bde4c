//! A numbered point before and after each durable effect; nothing in production (STYLE §6).
//!
//! A crash test runs once with [`Faults::counting`] to learn how many points there are, then once for each point with
//! [`Faults::stop_at`]. From the chosen point on every effect answers [`Crash`], as after the death of the process.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where a test makes the process die. [`Faults::none`] in production.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Plan>>);

#[derive(Debug)]
struct Plan {
    passed: AtomicU64,
    stop: Option<u64>,
    dead: AtomicBool,
}

/// The process is dead, in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// The effect at whose border it died.
    pub effect: &'static str,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped at {} by a test", self.effect)
    }
}

impl std::error::Error for Crash {}

impl Faults {
    /// No faults: every point is passed.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Counts the points and stops at none.
    #[must_use]
    pub fn counting() -> Self {
        Self::plan(None)
    }

    /// Stops at point `number`, from 0. Two points belong to an effect: the even one lies before it (it did not happen), the
    /// odd one after it (it happened, and the answer was lost).
    #[must_use]
    pub fn stop_at(number: u64) -> Self {
        Self::plan(Some(number))
    }

    fn plan(stop: Option<u64>) -> Self {
        Self(Some(Arc::new(Plan {
            passed: AtomicU64::new(0),
            stop,
            dead: AtomicBool::new(false),
        })))
    }

    /// How many points were passed.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.0
            .as_ref()
            .map_or(0, |plan| plan.passed.load(Ordering::SeqCst))
    }

    /// Whether the process is dead, in a test.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|plan| plan.dead.load(Ordering::SeqCst))
    }

    /// Passes one point: the caller writes it before, and again after, what it does durably.
    /// # Errors
    /// [`Crash`] at the chosen point and ever after.
    pub fn point(&self, effect: &'static str) -> Result<(), Crash> {
        let Some(plan) = &self.0 else {
            return Ok(());
        };
        if plan.dead.load(Ordering::SeqCst) {
            return Err(Crash { effect });
        }
        let number = plan.passed.fetch_add(1, Ordering::SeqCst);
        if plan.stop == Some(number) {
            plan.dead.store(true, Ordering::SeqCst);
            return Err(Crash { effect });
        }
        Ok(())
    }

    /// Does `effect` between its two points.
    /// # Errors
    /// [`Crash`] at the chosen point and ever after, else what `work` returns.
    pub fn around<T, E: From<Crash>>(
        &self,
        effect: &'static str,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.point(effect)?;
        let done = work()?;
        self.point(effect)?;
        Ok(done)
    }

    /// As [`Faults::around`], with work that waits.
    /// # Errors
    /// As [`Faults::around`].
    pub async fn around_later<T, E: From<Crash>>(
        &self,
        effect: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.point(effect)?;
        let done = work.await?;
        self.point(effect)?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(faults: &Faults) -> u64 {
        let mut done = 0;
        for _ in 0..3 {
            let _outcome: Result<(), Crash> = faults.around("count", || {
                done += 1;
                Ok(())
            });
        }
        done
    }

    #[test]
    fn every_point_stops_everything_after_it() {
        let counting = Faults::counting();
        assert_eq!((run(&counting), counting.passed()), (3, 6));
        assert!(!counting.is_dead());
        let mut done = Vec::new();
        for number in 0..6 {
            let faults = Faults::stop_at(number);
            done.push(run(&faults));
            assert!(faults.is_dead());
            assert!(faults.point("later").is_err());
        }
        assert_eq!(done, [0, 1, 1, 2, 2, 3]);
        assert_eq!((run(&Faults::none()), Faults::none().passed()), (3, 0));
    }
}
