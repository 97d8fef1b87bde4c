//! Empties the outboxes and works through the answers (DESIGN §5, `seq`, `prev`, `receipt.chain`).
//!
//! A receipt stays in the outbox, byte for byte, until an answer about it is kept, so the meter may be killed at any point.
//! A refused receipt leaves the chain where it was: those behind it are signed again from there, a window at a time, so
//! that a provider whose receipts are all refused does not sign each of them for each refusal.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::ProgressBar;
use verifier::id::OrderId;
use verifier::refusal::Code;

use super::exchange::{Answer, Exchange, Expected, Outcome};
use super::fault::Fault;
use super::issue::{self, Again, Head, Issuer, Verdict};
use super::spool::Spool;
use crate::clock::Clock;

/// Receipts in one request.
const LINES_MAX: usize = 1_000;
/// Bytes of one request after which no receipt is added.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Receipts that are signed again at first after a refusal; the window doubles with each round without one.
const WINDOW_MIN: usize = 16;
/// Rounds of answers in which an order may get nothing but `receipt.chain`: after a re-signing the next must judge it.
const FRUITLESS_MAX: u32 = 2;
/// Refusals that concern the settings, not what a receipt states: it is kept, and signed again after they were mended.
const SETTINGS: [Code; 7] = [
    Code::ReceiptMalformed,
    Code::ReceiptSignature,
    Code::ReceiptKeyUnknown,
    Code::ReceiptKeyNotValidThen,
    Code::ReceiptAudience,
    Code::ReceiptIssuer,
    Code::ReceiptOrder,
];

/// What a sending came to.
#[derive(Debug, Default)]
pub struct Sent {
    /// Accepted now.
    pub accepted: u64,
    /// Accepted at an earlier time whose answer was lost.
    pub known: u64,
    /// Receipts signed again because the exchange's chain was somewhere else.
    pub signed_again: u64,
    /// Receipts that the exchange refused for good.
    pub refused: Vec<RefusedReceipt>,
    /// Orders that do not get on, and why; their receipts stay in the spool.
    pub halted: BTreeMap<OrderId, String>,
}

/// A receipt that the exchange refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedReceipt {
    /// Its order.
    pub order: OrderId,
    /// The place in the chain that it would have had.
    pub seq: u32,
    /// The exchange's code.
    pub code: String,
    /// The exchange's sentence.
    pub sentence: String,
}

/// Sends until every outbox is empty or its order is halted, keeping each answer before the next request.
/// # Errors
/// [`Fault`]; what was answered until then is kept.
pub fn send(
    spool: &mut Spool,
    issuer: &Issuer<'_>,
    exchange: &Exchange,
    clock: &Clock,
    bar: &ProgressBar,
) -> Result<Sent, Fault> {
    let mut work = Work {
        spool,
        issuer,
        clock,
        sent: Sent::default(),
        lanes: BTreeMap::new(),
    };
    work.mend()?;
    loop {
        let batch = work.batch()?;
        if batch.is_empty() {
            return Ok(work.sent);
        }
        let body: String = batch
            .iter()
            .map(|asked| format!("{}\n", asked.jws))
            .collect();
        let post = || exchange.post(&body, batch.len());
        let answers = work.spool.faults.around("post", post)?;
        let mut round = Round::default();
        for (asked, answer) in batch.into_iter().zip(answers) {
            work.enter(&mut round, asked, answer)?;
        }
        work.keep(round)?;
        bar.set_position(work.sent.accepted + work.sent.known);
    }
}

/// A sending under way.
struct Work<'a> {
    spool: &'a mut Spool,
    issuer: &'a Issuer<'a>,
    clock: &'a Clock,
    sent: Sent,
    lanes: BTreeMap<OrderId, Lane>,
}

/// How an order gets on.
struct Lane {
    /// Receipts of it in one request.
    window: usize,
    /// What must be signed again before it is sent.
    again: Option<Again>,
    /// Rounds in a row in which nothing was judged.
    fruitless: u32,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            window: LINES_MAX,
            again: None,
            fruitless: 0,
        }
    }
}

/// A receipt in a request.
struct Asked {
    order: OrderId,
    /// Its index in the chain.
    index: usize,
    jws: String,
}

/// What the answers to one request say about each order.
#[derive(Default)]
struct Round {
    orders: BTreeSet<OrderId>,
    /// Orders of which at least one receipt was judged.
    judged: BTreeSet<OrderId>,
    /// Where the chain goes on, for orders whose later receipts must be signed again.
    heads: BTreeMap<OrderId, Head>,
    /// Accepted bytes, for the archive.
    accepted: BTreeMap<OrderId, Vec<String>>,
}

impl Work<'_> {
    /// What was refused because of the settings is signed again: those very bytes cannot be in the trail.
    fn mend(&mut self) -> Result<(), Fault> {
        for (order, book) in &mut self.spool.books {
            let chain = &mut book.chain;
            if let (true, Some((from, jws))) = (chain.is_stale, chain.outbox.first_key_value()) {
                let first = issue::usage(jws)?;
                let again = Again {
                    from: *from,
                    head: (first.seq, first.prev),
                };
                self.lanes.entry(*order).or_default().again = Some(again);
            }
            chain.is_stale = false;
        }
        Ok(())
    }

    /// The next receipts to send, in the order of each chain.
    fn batch(&mut self) -> Result<Vec<Asked>, Fault> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let orders: Vec<OrderId> = self.spool.books.keys().copied().collect();
        for order in orders {
            let room = LINES_MAX - batch.len();
            if room == 0 || bytes >= BODY_BYTES_MAX {
                break;
            }
            let has_room = |(_, jws): &(usize, String)| {
                let has_room = bytes < BODY_BYTES_MAX;
                bytes += jws.len() + 1;
                has_room
            };
            let lines = self.ready(order, room)?.into_iter().take_while(has_room);
            batch.extend(lines.map(|(index, jws)| Asked { order, index, jws }));
        }
        Ok(batch)
    }

    /// The next receipts of an order whose place in the chain is right as far as we know.
    fn ready(&mut self, order: OrderId, room: usize) -> Result<Vec<(usize, String)>, Fault> {
        let going = !self.sent.halted.contains_key(&order);
        let Some(book) = self.spool.books.get_mut(&order).filter(|_| going) else {
            return Ok(Vec::new());
        };
        let lane = self.lanes.entry(order).or_default();
        let count = lane.window.min(room);
        let chain = &mut book.chain;
        if let Some(again) = lane
            .again
            .filter(|again| chain.outbox.range(..again.from).next().is_none())
        {
            let signed = self
                .issuer
                .sign_again(chain, again, count, self.clock.now()?)?;
            lane.again = signed.rest;
            self.sent.signed_again += u64::try_from(signed.lines.len()).unwrap_or(0);
            // DURABLE: the bytes that go out are kept first, so that a lost answer can be asked for with the same.
            self.spool.append_signed(order, &signed.lines)?;
            return Ok(signed.lines);
        }
        let end = lane.again.map_or(usize::MAX, |again| again.from);
        let waiting = chain.outbox.range(..end).take(count);
        Ok(waiting.map(|(index, jws)| (*index, jws.clone())).collect())
    }

    fn enter(&mut self, round: &mut Round, asked: Asked, answer: Answer) -> Result<(), Fault> {
        let Asked { order, index, jws } = asked;
        round.orders.insert(order);
        let Some(book) = self.spool.books.get_mut(&order) else {
            return Ok(());
        };
        match Judgement::of(answer) {
            // Behind a receipt that was not judged, the rest of its chain says nothing new.
            _ if self.sent.halted.contains_key(&order) => {}
            Judgement::Accepted { now } => {
                issue::enter(&mut book.chain, index, Verdict::Accepted)?;
                *(if now {
                    &mut self.sent.accepted
                } else {
                    &mut self.sent.known
                }) += 1;
                round.accepted.entry(order).or_default().push(jws);
                round.judged.insert(order);
            }
            // Every line behind a refused one gets this; the first says where the chain stands.
            Judgement::Chain(head) => {
                round.heads.entry(order).or_insert(head);
            }
            Judgement::Refused { code, sentence } => {
                let verdict = Verdict::Refused(code.clone());
                if let Some(head) = issue::enter(&mut book.chain, index, verdict)? {
                    self.sent.refused.push(RefusedReceipt {
                        order,
                        seq: head.0,
                        code,
                        sentence,
                    });
                    round.heads.insert(order, head);
                }
                round.judged.insert(order);
            }
            Judgement::Settings(why) => {
                book.chain.is_stale = true;
                self.sent.halted.insert(order, why);
            }
            Judgement::None(why) => {
                self.sent.halted.insert(order, why);
            }
        }
        Ok(())
    }

    fn keep(&mut self, mut round: Round) -> Result<(), Fault> {
        for order in round.orders {
            // DURABLE: the answers are kept before anything else is sent. Killed before, the same bytes go out again.
            let accepted = round.accepted.remove(&order).unwrap_or_default();
            self.spool.archive(order, &accepted)?;
            let Some(book) = self.spool.books.get_mut(&order) else {
                continue;
            };
            let lane = self.lanes.entry(order).or_default();
            match round.heads.get(&order) {
                Some(head) => {
                    (book.chain.seq, book.chain.prev) = *head;
                    lane.again = Some(Again {
                        from: 0,
                        head: *head,
                    });
                    lane.window = WINDOW_MIN;
                }
                None => lane.window = (lane.window * 2).min(LINES_MAX),
            }
            lane.fruitless = if round.judged.contains(&order) {
                0
            } else {
                lane.fruitless + 1
            };
            if lane.fruitless > FRUITLESS_MAX {
                let why = "its chain does not get on; does another meter sign for it?";
                self.sent
                    .halted
                    .entry(order)
                    .or_insert_with(|| why.to_owned());
            }
            let is_done = book.chain.outbox.is_empty();
            self.spool.keep_receipts(order)?;
            if is_done {
                // Only now: the bytes of a receipt may go when its answer is kept.
                self.spool.keep_signed(order)?;
            }
        }
        Ok(())
    }
}

/// What an answer means for the receipt and its chain.
enum Judgement {
    /// It is in the trail, since `now` or since an earlier time.
    Accepted { now: bool },
    /// The chain goes on elsewhere.
    Chain(Head),
    /// What it states is refused.
    Refused { code: String, sentence: String },
    /// It would be refused whatever it stated.
    Settings(String),
    /// Nothing was said about it: the request's or the exchange's own trouble.
    None(String),
}

impl Judgement {
    fn of(answer: Answer) -> Self {
        let code = answer.code.unwrap_or_default();
        let sentence = answer.detail.unwrap_or_default();
        match (answer.outcome, answer.expected) {
            (Outcome::Accepted, _) => Self::Accepted { now: true },
            (Outcome::Known, _) => Self::Accepted { now: false },
            (Outcome::Refused, Some(Expected { seq, prev }))
                if code == Code::ReceiptChain.as_str() =>
            {
                Self::Chain((seq, prev))
            }
            (Outcome::Refused, _) if SETTINGS.iter().any(|known| known.as_str() == code) => {
                Self::Settings(format!("{code}: {sentence}"))
            }
            (Outcome::Refused, _)
                if code.starts_with("receipt.") && code != Code::ReceiptChain.as_str() =>
            {
                Self::Refused { code, sentence }
            }
            (Outcome::Refused, _) => Self::None(format!("{code}: {sentence}")),
        }
    }
}
