//! Empties the outboxes and works through the answers (DESIGN §5, `seq`, `prev`, `receipt.chain`).
//!
//! A receipt stays in the outbox, byte for byte, until an answer about it is kept, so the meter may be killed at any point.
//! A refused receipt leaves the chain where it was: those behind it are signed again from there.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::ProgressBar;
use verifier::id::OrderId;
use verifier::refusal::Code;

use super::exchange::{Answer, Exchange, Expected, Outcome};
use super::fault::Fault;
use super::issue::{self, Head, Issuer, Verdict};
use super::spool::Spool;
use crate::clock::Clock;

/// Receipts in one request.
const LINES_MAX: usize = 1_000;
/// Bytes of one request after which no receipt is added.
const BODY_BYTES_MAX: usize = 4 << 20;
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
        fruitless: BTreeMap::new(),
    };
    work.mend()?;
    loop {
        let batch = work.batch();
        if batch.is_empty() {
            return Ok(work.sent);
        }
        let body: String = batch
            .iter()
            .map(|asked| format!("{}\n", asked.jws))
            .collect();
        let answers = exchange.post(&body, batch.len())?;
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
    /// Rounds in a row in which nothing of an order was judged.
    fruitless: BTreeMap<OrderId, u32>,
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
    /// Signs again what was refused because of the settings: those very bytes cannot be in the trail.
    fn mend(&mut self) -> Result<(), Fault> {
        let now = self.clock.now()?;
        let mut mended = Vec::new();
        for (order, book) in self
            .spool
            .books
            .iter_mut()
            .filter(|(_, book)| book.chain.is_stale)
        {
            let first = book
                .chain
                .outbox
                .values()
                .next()
                .map(|jws| issue::usage(jws))
                .transpose()?;
            let head = first.map_or((book.chain.seq, book.chain.prev), |first| {
                (first.seq, first.prev)
            });
            self.issuer.sign_again(*order, &mut book.chain, head, now)?;
            book.chain.is_stale = false;
            mended.push(*order);
        }
        mended
            .into_iter()
            .try_for_each(|order| self.spool.keep_receipts(order))
    }

    /// The next receipts to send, in the order of each chain.
    fn batch(&self) -> Vec<Asked> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let books = self.spool.books.iter();
        for (order, book) in books.filter(|(order, _)| !self.sent.halted.contains_key(order)) {
            for (index, jws) in &book.chain.outbox {
                if batch.len() >= LINES_MAX || bytes >= BODY_BYTES_MAX {
                    return batch;
                }
                bytes += jws.len() + 1;
                batch.push(Asked {
                    order: *order,
                    index: *index,
                    jws: jws.clone(),
                });
            }
        }
        batch
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
            let got_on = round.judged.contains(&order);
            let fruitless = self.fruitless.entry(order).or_default();
            *fruitless = if got_on { 0 } else { *fruitless + 1 };
            if *fruitless > FRUITLESS_MAX {
                let why = "its chain does not get on; does another meter sign for it?";
                self.sent
                    .halted
                    .entry(order)
                    .or_insert_with(|| why.to_owned());
            }
            let book = self.spool.books.get_mut(&order);
            if let (Some(head), Some(book)) = (round.heads.get(&order), book) {
                self.sent.signed_again += u64::try_from(book.chain.outbox.len()).unwrap_or(0);
                self.issuer
                    .sign_again(order, &mut book.chain, *head, self.clock.now()?)?;
            }
            // DURABLE: the answers are kept before anything else is sent. Killed before, the same bytes go out again.
            let accepted = round.accepted.remove(&order).unwrap_or_default();
            self.spool.archive(order, &accepted)?;
            self.spool.keep_receipts(order)?;
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
