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

#[cfg(test)]
mod tests {
    use super::*;
    use verifier::book::command::{Command, RemoveActor};
    use verifier::id::{ActorId, PartyId, Salt};

    const SHORT: Duration = Duration::from_millis(1);

    fn requests(count: usize) -> Vec<Request> {
        let salt = Salt::new([1; 16]);
        let actor = ActorId::draw(&salt, 0, 0);
        let request = Request {
            by: PartyId::draw(&salt, 0, 0),
            actor,
            cmd: None,
            req: None,
            command: Command::RemoveActor(RemoveActor { actor }),
        };
        vec![request; count]
    }

    fn sizes(queue: &Queue) -> Vec<(usize, usize)> {
        let mut sizes = Vec::new();
        while let Next::Batch { requests, replies } = queue.next(BATCH_MAX, SHORT) {
            sizes.push((requests.len(), replies.len()));
        }
        sizes
    }

    #[test]
    fn a_batch_is_what_is_waiting_up_to_its_limit() {
        let queue = Queue::new(2_000);
        for count in [1, 2, 250, 4, 600] {
            assert!(queue.push(requests(count)).is_ok());
        }
        // 600 are answered in three parts, and no part is cut.
        assert_eq!(
            sizes(&queue),
            [(253, 3), (4, 1), (256, 1), (256, 1), (88, 1)]
        );
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn one_more_than_may_wait_is_busy_and_nothing_of_it_is_taken() {
        let queue = Queue::new(300);
        assert!(queue.push(requests(299)).is_ok());
        assert_eq!(queue.push(requests(2)).err(), Some(Unanswered::Busy));
        assert!(queue.push(requests(1)).is_ok());
        assert_eq!(queue.waiting(), 300);
        assert_eq!(sizes(&queue), [(256, 1), (44, 2)]);
        assert!(queue.push(requests(300)).is_ok());
    }

    #[test]
    fn a_closed_queue_serves_what_waits_and_takes_nothing_in() {
        let queue = Queue::new(10);
        assert!(queue.push(requests(3)).is_ok());
        queue.close();
        assert_eq!(queue.push(requests(1)).err(), Some(Unanswered::Stopping));
        assert!(matches!(queue.next(BATCH_MAX, SHORT), Next::Batch { .. }));
        assert!(matches!(queue.next(BATCH_MAX, SHORT), Next::Closed));
    }

    #[test]
    fn callers_learn_that_the_server_of_the_queue_is_gone() {
        let queue = Queue::new(10);
        let mut answers = queue.push(requests(3)).ok().into_iter().flatten();
        drop(queue.close_when_dropped());
        assert!(
            answers
                .next()
                .is_some_and(|mut answer| answer.try_recv().is_err())
        );
    }

    #[test]
    fn every_caller_gets_its_own_outcomes_and_after_a_fault_none_is_known() {
        let queue = Queue::new(10);
        let mut answers: Vec<_> = [2, 3]
            .into_iter()
            .flat_map(|count| queue.push(requests(count)).unwrap_or_default())
            .collect();
        let outcome = |why| Outcome::Failed(why);
        if let Next::Batch { replies, .. } = queue.next(BATCH_MAX, SHORT) {
            let mut outcomes = vec![outcome(Unanswered::Busy); 2];
            outcomes.extend(vec![outcome(Unanswered::Internal); 3]);
            assert!(answer_all(replies, Ok(outcomes)).is_ok());
        }
        let got: Vec<_> = answers
            .iter_mut()
            .filter_map(|answer| answer.try_recv().ok())
            .collect();
        assert_eq!(
            got,
            [
                vec![outcome(Unanswered::Busy); 2],
                vec![outcome(Unanswered::Internal); 3]
            ]
        );

        let mut lost = queue.push(requests(2)).unwrap_or_default();
        if let Next::Batch { replies, .. } = queue.next(BATCH_MAX, SHORT) {
            assert!(answer_all(replies, Err(Fault::Unloaded)).is_err());
        }
        let got = lost.pop().and_then(|mut answer| answer.try_recv().ok());
        assert_eq!(got, Some(vec![outcome(Unanswered::Lost); 2]));
    }
}
