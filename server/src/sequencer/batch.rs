//! A batch on its way through the book: each request is known already, refused, or becomes an entry.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use verifier::book::Book;
use verifier::book::command::Command;
use verifier::book::decide::{Env, Request, decide};
use verifier::book::entry::{Entry, RULES};
use verifier::id::{ActorId, PartyId, Salt};
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

use super::fault::Stop;
use super::loaded::Loaded;
use super::{Committed, Fault};
use crate::clock::Clock;
use crate::store::log::Locked;
use crate::store::log_keys::Turn;

/// A head that lies further in the future was written by a broken clock, or ours is: we do not write behind it.
const FUTURE_MAX_SECONDS: i64 = 300;
/// How far this machine's clock may be from the database's.
const SKEW_MAX_SECONDS: u64 = 5;
/// A drawn id that is taken asks for another salt: once in 2⁸⁰ draws, so more tries than this are a bug.
const SALT_TRIES: usize = 3;

/// What became of one request, before the batch is durable.
pub(super) enum Answer {
    /// It is this new entry.
    Appended(Box<Committed>),
    /// It is this entry already.
    Known(u64),
    /// The rules say no.
    Refused(Refusal),
    /// It made `decide` or `apply` panic, or the two contradict each other.
    Poison,
}

/// The requests decided so far, and the bytes of the entries they became.
pub(super) struct Batch<'a> {
    clock: &'a Clock,
    at: Timestamp,
    pub(super) answers: Vec<Answer>,
    pub(super) new: Vec<Vec<u8>>,
    /// The new entries by which a key of the log takes over.
    pub(super) turns: Vec<Turn>,
}

impl<'a> Batch<'a> {
    /// Settles the batch's `at`: the database's clock, but never before the last entry (DESIGN §4.6).
    pub(super) fn new(clock: &'a Clock, locked: &Locked) -> Result<Self, Fault> {
        let here = clock.now()?;
        let now = if clock.is_real() { locked.now } else { here };
        if here.unix().abs_diff(now.unix()) > SKEW_MAX_SECONDS {
            return Err(Fault::Skew {
                here,
                database: now,
            });
        }
        let last = locked.head.at;
        if last > now.after(FUTURE_MAX_SECONDS) {
            return Err(Fault::Future { head: last, now });
        }
        let at = last.max(now);
        Ok(Self {
            clock,
            at,
            answers: Vec::new(),
            new: Vec::new(),
            turns: Vec::new(),
        })
    }

    /// Decides every request and applies what it becomes, so that the next one sees it.
    pub(super) fn decide(
        mut self,
        loaded: &mut Loaded,
        requests: &[Request],
        poison: &BTreeSet<usize>,
    ) -> Result<Self, Stop> {
        for (index, request) in requests.iter().enumerate() {
            let answer = if poison.contains(&index) {
                Answer::Poison
            } else {
                match self.answer(&loaded.book, request)? {
                    Ok(entry) => self.append(loaded, entry, index)?,
                    Err(answer) => answer,
                }
            };
            self.answers.push(answer);
        }
        Ok(self)
    }

    /// The entry that a request would be, or what else there is to say.
    fn answer(&self, book: &Book, request: &Request) -> Result<Result<Entry, Answer>, Fault> {
        if let Some(known) = request.cmd.and_then(|cmd| book.commands.get(&cmd)) {
            return Ok(Err(if known.req == request.req {
                Answer::Known(known.seq)
            } else {
                Answer::Refused(conflict(known.seq))
            }));
        }
        let mut tries = 1;
        loop {
            let salt = self.clock.salt()?;
            let env = Env {
                at: self.at,
                salt,
                rules: RULES,
            };
            let request = asked_by(request, &salt);
            // `decide` only reads the book: whatever it does, the book is as before.
            let decided = catch_unwind(AssertUnwindSafe(|| decide(book, &request, &env)));
            match decided {
                Ok(Ok(entry)) => return Ok(Ok(entry)),
                Ok(Err(refusal)) if refusal.code == Code::EntrySpelling && tries < SALT_TRIES => {
                    tries += 1
                }
                Ok(Err(refusal)) => return Ok(Err(refused(refusal))),
                Err(_) => return Ok(Err(Answer::Poison)),
            }
        }
    }

    /// Applies the next entry and keeps its bytes.
    fn append(&mut self, loaded: &mut Loaded, entry: Entry, index: usize) -> Result<Answer, Stop> {
        let bytes = match entry.to_bytes() {
            Ok(bytes) => bytes,
            Err(refusal) => return Ok(Answer::Refused(refusal)),
        };
        // What `decide` gives and `apply` does not take is a bug, and the book may be half changed.
        match catch_unwind(AssertUnwindSafe(|| loaded.append(&entry, &bytes))) {
            Ok(Ok(leaf_hash)) => {
                self.new.push(bytes);
                self.turns.extend(turn(&entry));
                Ok(Answer::Appended(Box::new(Committed { entry, leaf_hash })))
            }
            Ok(Err(fault)) => Err(Stop::Poison {
                index,
                why: fault.to_string(),
            }),
            Err(_) => Err(Stop::Poison {
                index,
                why: "apply panicked".to_owned(),
            }),
        }
    }
}

/// The key of the log that takes over by an entry.
fn turn(entry: &Entry) -> Option<Turn> {
    let succession = entry.found.succession.as_ref()?;
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others change no key")]
    let vkey = match &entry.asked {
        Command::RotateLogKey(asked) => &asked.new,
        Command::ContinueTrail(asked) => &asked.log_vkey,
        _ => return None,
    };
    Some(Turn {
        seq: entry.seq,
        vkey: vkey.clone(),
        until: succession.until,
    })
}

/// Entry 0 is asked by the party and the actor that its own salt draws; every other request by who asks it.
fn asked_by<'a>(request: &'a Request, salt: &Salt) -> std::borrow::Cow<'a, Request> {
    if !matches!(request.command, Command::OpenExchange(_)) {
        return std::borrow::Cow::Borrowed(request);
    }
    std::borrow::Cow::Owned(Request {
        by: PartyId::draw(salt, 0, 0),
        actor: ActorId::draw(salt, 0, 0),
        ..request.clone()
    })
}

/// A receipt is its own key: sent again, `decide` names the entry that it is (DESIGN §5).
fn refused(refusal: Refusal) -> Answer {
    let value = refusal.values.iter().find(|(name, _)| *name == "seq");
    match value.and_then(|(_, seq)| seq.parse().ok()) {
        Some(seq) if refusal.code == Code::CommandRepeated => Answer::Known(seq),
        _ => Answer::Refused(refusal),
    }
}

fn conflict(seq: u64) -> Refusal {
    Refusal::new(
        Code::CommandConflict,
        format!("this idempotency key was used for another request, entry {seq}; take a fresh key"),
    )
    .with("seq", seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::log::Head;
    use verifier::book::command::{AdmitParty, OpenExchange, Role};
    use verifier::id::Sha256Hash;
    use verifier::signature::Signer;
    use verifier::time::UtcOffset;

    fn now() -> Timestamp {
        Timestamp::EPOCH.after(1_800_000_000)
    }

    fn locked(loaded: &Loaded, now: Timestamp) -> Locked {
        Locked {
            head: loaded.head(),
            now,
        }
    }

    fn open() -> Request {
        let (salt, x) = (Salt::new([0; 16]), Signer::from_seed(&[1; 32]).public().x());
        let asked = OpenExchange {
            origin: "localhost/quan".into(),
            log_vkey: "localhost/quan+00000000+AA==".into(),
            delivery_key: x.clone(),
            reply_key: x,
            utc_offset_min: UtcOffset::CHINA,
        };
        Request {
            by: PartyId::draw(&salt, 0, 0),
            actor: ActorId::draw(&salt, 0, 0),
            cmd: None,
            req: None,
            command: Command::OpenExchange(asked),
        }
    }

    fn run(
        loaded: &mut Loaded,
        clock: &Clock,
        requests: &[Request],
        poison: &BTreeSet<usize>,
    ) -> Vec<Answer> {
        let batch = Batch::new(clock, &locked(loaded, now())).and_then(|batch| {
            let decided = batch.decide(loaded, requests, poison);
            decided.map_err(|_| Fault::Unloaded)
        });
        batch.map_or_else(|_| Vec::new(), |batch| batch.answers)
    }

    #[test]
    fn the_neighbours_of_a_poisonous_command_are_decided() {
        let (clock, mut loaded) = (Clock::fixed(now()), Loaded::empty());
        let opened = run(&mut loaded, &clock, &[open()], &BTreeSet::new()).pop();
        let Some(Answer::Appended(opened)) = opened else {
            panic!("entry 0 is not appended")
        };
        let admit = |number: u8| Request {
            by: opened.entry.by,
            actor: opened.entry.actor,
            cmd: Some(Sha256Hash::of(&[number])),
            req: None,
            command: Command::AdmitParty(AdmitParty {
                roles: vec![Role::Buyer],
                name: Sha256Hash::of(b"name"),
                uscc: None,
            }),
        };
        let requests = [admit(1), admit(2), admit(3), admit(1)];
        let answers = run(&mut loaded, &clock, &requests, &BTreeSet::from([1]));
        assert!(matches!(
            answers[..],
            [
                Answer::Appended(_),
                Answer::Poison,
                Answer::Appended(_),
                Answer::Known(1)
            ]
        ));
        assert_eq!(loaded.book.size, 3);
    }

    /// The `at` of a batch behind a head that lies 200 s ahead of `now`.
    fn at(clock: &Clock, now: Timestamp) -> Result<Timestamp, Fault> {
        let at = self::now().after(200);
        let head = Head {
            at,
            ..Loaded::empty().head()
        };
        Batch::new(clock, &Locked { head, now }).map(|batch| batch.at)
    }

    #[test]
    fn time_never_runs_back_and_two_clocks_must_agree() {
        let ahead = now().after(200);
        assert_eq!(at(&Clock::fixed(now()), now()).ok(), Some(ahead));
        let later = ahead.after(1);
        assert_eq!(at(&Clock::fixed(later), now()).ok(), Some(later));
        let future = at(&Clock::fixed(now().after(-101)), now());
        assert!(matches!(future, Err(Fault::Future { .. })));
        // The real clock is compared with the database's.
        let skewed = at(&Clock::real(), Timestamp::EPOCH);
        assert!(matches!(skewed, Err(Fault::Skew { .. })));
    }

    #[test]
    fn a_repeated_receipt_is_answered_by_its_entry() {
        let repeated = Refusal::new(Code::CommandRepeated, "it is entry 41").with("seq", 41);
        assert!(matches!(refused(repeated), Answer::Known(41)));
        let other = Refusal::new(Code::ReceiptChain, "expected 3").with("seq", 3);
        assert!(matches!(refused(other), Answer::Refused(_)));
    }
}
