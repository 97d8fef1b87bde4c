//! Where HTTP hands its commands to whoever decides, and reads the book.

use std::sync::{PoisonError, RwLock};
use verifier::book::Book;
use verifier::book::decide::{Env, Request, decide};
use verifier::book::entry::{Entry, RULES};
use verifier::id::{Salt, Sha256Hash};
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

use super::problem::Problem;
use crate::clock::Clock;

/// An entry that is durable.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The entry.
    pub entry: Entry,
    /// The hash of its leaf (RFC 6962 §2.1).
    pub leaf_hash: Sha256Hash,
}

/// What became of one request.
#[derive(Debug)]
pub enum Outcome {
    /// It is this entry now.
    Accepted(Committed),
    /// It had become this entry before.
    Known(Committed),
    /// The rules say no.
    Refused(Refusal),
    /// It was not decided, or nobody knows.
    Failed(Problem),
}

/// In memory only.
#[derive(Debug)]
pub struct Desk {
    state: RwLock<(Book, Vec<Committed>)>,
    clock: Clock,
}

impl Desk {
    /// An empty book.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            state: RwLock::default(),
            clock,
        }
    }

    /// Decides in order.
    #[expect(clippy::unused_async, reason = "the sequencer answers later")]
    pub async fn submit(&self, requests: Vec<Request>) -> Vec<Outcome> {
        requests
            .into_iter()
            .map(|request| self.decide(request))
            .collect()
    }

    /// Decides one.
    /// # Errors
    /// What `decide` refuses, or a fault.
    pub async fn submit_one(&self, request: Request) -> Result<Committed, Problem> {
        match self.submit(vec![request]).await.pop() {
            Some(Outcome::Accepted(entry) | Outcome::Known(entry)) => Ok(entry),
            Some(Outcome::Refused(refusal)) => Err(refusal.into()),
            Some(Outcome::Failed(problem)) => Err(problem),
            None => Err(Problem::Internal(
                "the sequencer answered nothing".to_owned(),
            )),
        }
    }

    /// Reads the book as of its last durable entry.
    pub fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    fn decide(&self, request: Request) -> Outcome {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let (book, entries) = &mut *state;
        let known = request.cmd.and_then(|cmd| book.commands.get(&cmd).copied());
        if let Some(known) = known {
            if known.req != request.req {
                return Outcome::Refused(Refusal::new(
                    Code::CommandConflict,
                    "this idempotency key was used for another request; take a fresh one",
                ));
            }
            let entry = usize::try_from(known.seq)
                .ok()
                .and_then(|seq| entries.get(seq));
            return entry.cloned().map_or_else(
                || {
                    Outcome::Failed(Problem::Internal(
                        "a remembered entry is missing".to_owned(),
                    ))
                },
                Outcome::Known,
            );
        }
        let env = match self.env(book.last_at) {
            Ok(env) => env,
            Err(problem) => return Outcome::Failed(problem),
        };
        let decided = decide(book, &request, &env).and_then(|entry| {
            let bytes = entry.to_bytes()?;
            Ok((entry, bytes))
        });
        let (entry, bytes) = match decided {
            Ok(decided) => decided,
            Err(refusal) => return Outcome::Refused(refusal),
        };
        if let Err(fault) = book.apply(&entry) {
            return Outcome::Failed(Problem::Internal(fault.to_string()));
        }
        let leaf_hash = Sha256Hash::of(&[&[0], bytes.as_slice()].concat());
        let committed = Committed { entry, leaf_hash };
        entries.push(committed.clone());
        Outcome::Accepted(committed)
    }

    fn env(&self, last_at: Option<Timestamp>) -> Result<Env, Problem> {
        let fault = |fault: crate::clock::ClockFault| Problem::Internal(fault.to_string());
        let now = self.clock.now().map_err(fault)?;
        let salt: Salt = self.clock.salt().map_err(fault)?;
        Ok(Env {
            at: last_at.map_or(now, |last| last.max(now)),
            salt,
            rules: RULES,
        })
    }
}
