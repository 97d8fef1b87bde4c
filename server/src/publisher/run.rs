//! The publisher's loop: a step in so long a time, on a thread of its own (TRAIL D5).
//!
//! The thread has a name, so that anybody can see what publishing takes (`top -H`).

use std::sync::mpsc;
use std::thread::Builder;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc as later, watch};

use super::{EVERY_MIN, Fault, Publisher, Step, inconsistent};
use crate::cause::Whole;

impl Publisher {
    /// Steps once in so long a time until `stop` says so, and once more then. Needs a runtime.
    /// # Errors
    /// A [`Fault`] that does not pass: whoever called must stop writing at once.
    pub async fn run(self, every: Duration, mut stop: watch::Receiver<bool>) -> Result<(), Fault> {
        let mut steps = Steps::on_a_thread(self)?;
        loop {
            let stopping = *stop.borrow_and_update();
            match steps.next().await {
                Ok(_) if stopping => return Ok(()),
                Err(fault) if stopping || !fault.is_passing() => return Err(fault),
                Ok(_) => {}
                Err(fault) => {
                    tracing::error!(fault = %Whole(&fault), "nothing was published; trying again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(every.max(EVERY_MIN)) => {}
                // A sender that is gone cannot stop us later: stop now.
                changed = stop.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }
}

/// A publisher on its thread, which ends with this.
struct Steps {
    ask: mpsc::Sender<()>,
    outcomes: later::UnboundedReceiver<Result<Step, Fault>>,
}

impl Steps {
    fn on_a_thread(mut publisher: Publisher) -> Result<Self, Fault> {
        let (ask, asked) = mpsc::channel();
        let (say, outcomes) = later::unbounded_channel();
        // A bucket's requests wait by the runtime's clock.
        let runtime = Handle::current();
        let work = move || {
            let _inside = runtime.enter();
            while asked.recv().is_ok() && say.send(publisher.step()).is_ok() {}
        };
        let thread = Builder::new().name("publisher".to_owned()).spawn(work);
        thread.map_err(|fault| inconsistent(format!("no thread for the publisher: {fault}")))?;
        Ok(Self { ask, outcomes })
    }

    async fn next(&mut self) -> Result<Step, Fault> {
        let asked = self.ask.send(()).is_ok();
        let outcome = if asked {
            self.outcomes.recv().await
        } else {
            None
        };
        outcome.unwrap_or_else(|| Err(inconsistent("the publisher panicked".to_owned())))
    }
}
