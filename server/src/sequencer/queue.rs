//! The bounded queue in front of the sequencer: a batch is what is waiting, never waited for (DESIGN §7).

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use std::collections::VecDeque;
use tokio::sync::oneshot;
use verifier::book::decide::Request;

use super::{BATCH_MAX, Fault, Outcome, Unanswered};

/// Where the outcomes of so many requests go.
pub(super) struct Reply {
    count: usize,
    to: oneshot::Sender<Vec<Outcome>>,
}

/// At most a batch of requests that were handed in together, and are answered together.
struct Work {
    requests: Vec<Request>,
    reply: Reply,
}

/// What there is to do.
pub(super) enum Next {
    /// At most a batch of requests, in the order in which they came.
    Batch {
        /// The requests.
        requests: Vec<Request>,
        /// Who waits for them, in the same order.
        replies: Vec<Reply>,
    },
    /// Nothing came for a while.
    Idle,
    /// Nothing comes any more, and all that came was taken.
    Closed,
}

#[derive(Default)]
struct State {
    works: VecDeque<Work>,
    waiting: usize,
    closed: bool,
}

/// Requests that wait, at most so many.
pub(super) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    waiting_max: usize,
}

impl Queue {
    pub(super) fn new(waiting_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            ready: Condvar::new(),
            waiting_max,
        }
    }

    /// Takes in all of `requests` or none. They keep their order; each part that fits a batch is answered on its own.
    pub(super) fn push(
        &self,
        requests: Vec<Request>,
    ) -> Result<Vec<oneshot::Receiver<Vec<Outcome>>>, Unanswered> {
        let mut state = self.state();
        if state.closed {
            return Err(Unanswered::Stopping);
        }
        if state.waiting.saturating_add(requests.len()) > self.waiting_max {
            return Err(Unanswered::Busy);
        }
        state.waiting += requests.len();
        let mut answers = Vec::new();
        let mut requests = requests.into_iter();
        while requests.len() > 0 {
            let part: Vec<_> = requests.by_ref().take(BATCH_MAX).collect();
            let (to, answer) = oneshot::channel();
            let reply = Reply {
                count: part.len(),
                to,
            };
            state.works.push_back(Work {
                requests: part,
                reply,
            });
            answers.push(answer);
        }
        drop(state);
        self.ready.notify_one();
        Ok(answers)
    }

    /// Cuts the next batch of what is waiting; waits only while nothing is.
    pub(super) fn next(&self, batch_max: usize, patience: Duration) -> Next {
        let state = self.state();
        let nothing = |state: &mut State| state.works.is_empty() && !state.closed;
        let (mut state, _) = self
            .ready
            .wait_timeout_while(state, patience, nothing)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        // A part is never longer than a batch: the first one always fits.
        while let Some(work) = state.works.pop_front_if(|work| {
            requests.is_empty() || requests.len() + work.requests.len() <= batch_max
        }) {
            requests.extend(work.requests);
            replies.push(work.reply);
        }
        state.waiting = state.waiting.saturating_sub(requests.len());
        match (requests.is_empty(), state.closed) {
            (false, _) => Next::Batch { requests, replies },
            (true, false) => Next::Idle,
            (true, true) => Next::Closed,
        }
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// Takes nothing in any more; what is waiting is still served.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.ready.notify_all();
    }

    /// Closes, and forgets what waits, when the server of this queue is gone: its callers learn that at once.
    pub(super) fn close_when_dropped(&self) -> impl Drop + '_ {
        struct Closing<'a>(&'a Queue);
        impl Drop for Closing<'_> {
            fn drop(&mut self) {
                self.0.close();
                self.0.state().works.clear();
            }
        }
        Closing(self)
    }

    /// Nothing under this lock can panic half way, so a poisoned one is as good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands each caller its outcomes; after a fault, that nobody knows them.
pub(super) fn answer_all(
    replies: Vec<Reply>,
    outcome: Result<Vec<Outcome>, Fault>,
) -> Result<(), Fault> {
    let (mut outcomes, fault) = match outcome {
        Ok(outcomes) => (outcomes, None),
        Err(fault) => (Vec::new(), Some(fault)),
    };
    for reply in replies {
        let rest = outcomes.split_off(outcomes.len().min(reply.count));
        let mut own = std::mem::replace(&mut outcomes, rest);
        own.resize_with(reply.count, || Outcome::Failed(Unanswered::Lost));
        // A caller that has gone away does not want it.
        let _gone = reply.to.send(own);
    }
    fault.map_or(Ok(()), Err)
}
