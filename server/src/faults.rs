//! A numbered point around each durable effect, where a test lets the process stop (STYLE §6). Nothing in production.
//!
//! A clean run counts the points: N. Then for each k < N and both ways everything stops at k; the test starts the server
//! again and looks whether it goes on by itself. One thread, one seed: the same points each time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What becomes of the effect at which all stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It did not happen.
    Before,
    /// It happened, and the answer was lost.
    After,
}

/// The process "died" here: the caller gives up at once, as if it had been killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Which effect.
    pub effect: &'static str,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a test stopped the process at: {}", self.effect)
    }
}

impl std::error::Error for Stopped {}

/// Where a test stops the process; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Faults(Option<Arc<Plan>>);

#[derive(Debug)]
struct Plan {
    count: AtomicU64,
    stop: Option<(u64, Stop)>,
}

impl Faults {
    /// Production: no point stops anything.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Counts the points of a clean run.
    #[must_use]
    pub fn counting() -> Self {
        Self::plan(None)
    }

    /// Stops at the point number `at`, from 0, and at every one after it.
    #[must_use]
    pub fn stopping(at: u64, stop: Stop) -> Self {
        Self::plan(Some((at, stop)))
    }

    fn plan(stop: Option<(u64, Stop)>) -> Self {
        let count = AtomicU64::new(0);
        Self(Some(Arc::new(Plan { count, stop })))
    }

    /// How many points were passed.
    #[must_use]
    pub fn count(&self) -> u64 {
        let count = self
            .0
            .as_ref()
            .map(|plan| plan.count.load(Ordering::SeqCst));
        count.unwrap_or(0)
    }

    /// Runs a durable effect, unless all stops before it; its answer is lost if all stops after it.
    /// # Errors
    /// What the effect says, or [`Stopped`].
    pub fn around<T, E: From<Stopped>>(
        &self,
        effect: &'static str,
        run: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(plan) = &self.0 else { return run() };
        let number = plan.count.fetch_add(1, Ordering::SeqCst);
        match plan.stop {
            Some((at, Stop::After)) if number == at => {
                run()?;
                Err(Stopped { effect }.into())
            }
            Some((at, _)) if number >= at => Err(Stopped { effect }.into()),
            Some(_) | None => run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_stops_at_the_chosen_point_before_or_after_its_effect() {
        let run = |faults: &Faults| {
            let mut done = Vec::new();
            for n in 0..3 {
                let outcome: Result<(), Stopped> = faults.around("push", || {
                    done.push(n);
                    Ok(())
                });
                if outcome.is_err() {
                    break;
                }
            }
            done
        };
        let counting = Faults::counting();
        assert_eq!(run(&counting), [0, 1, 2]);
        assert_eq!(counting.count(), 3);
        assert_eq!(run(&Faults::stopping(1, Stop::Before)), [0]);
        assert_eq!(run(&Faults::stopping(1, Stop::After)), [0, 1]);
        assert_eq!(run(&Faults::none()), [0, 1, 2]);
    }
}
