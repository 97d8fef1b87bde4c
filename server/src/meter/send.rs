//! Sends what waits in the outboxes, in bulk, and works through the answers (DESIGN §5 `.chain`, §7 HTTP).
//!
//! The request is one compact JWS a line, the answer one JSON a line. A receipt stays in the outbox, byte for byte, until
//! an answer about it is kept; sent again it is answered `known`. So the meter may be killed at any point.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indicatif::ProgressBar;
use serde::Deserialize;
use verifier::id::{OrderId, Sha256Hash};

use super::fault::Fault;
use super::issue::{self, Head, Issuer, Verdict};
use super::spool::Spool;
use crate::clock::Clock;

/// Receipts in one request.
const LINES_MAX: usize = 1_000;
/// Bytes of one request after which no receipt is added.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Attempts at one request before the meter gives up for now.
const ATTEMPTS_MAX: u32 = 8;
/// The longest wait between two of them, in seconds.
const PAUSE_MAX: u64 = 60;
/// Rounds of answers in which an order may get nothing but `receipt.chain`: after a re-signing the next must judge it.
const FRUITLESS_MAX: u32 = 2;
/// The longest answer that is read: a line of an answer is below 4 KB.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The exchange as a client sees it.
pub struct Exchange {
    agent: ureq::Agent,
    url: String,
    api_key: String,
    pause: Duration,
}

/// An answer to one line.
#[derive(Debug, Deserialize)]
struct Answer {
    outcome: Outcome,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    expected: Option<Expected>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Accepted,
    Known,
    Refused,
}

/// Where the exchange's chain of an order goes on.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Expected {
    seq: u32,
    #[serde(default)]
    prev: Option<Sha256Hash>,
}

impl Exchange {
    /// Makes a client; `pause` is the first wait after a failure, doubled each time.
    #[must_use]
    pub fn new(url: &str, api_key: String, pause: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(300)))
            .build();
        Self {
            agent: config.new_agent(),
            url: format!("{url}/v1/receipts"),
            api_key,
            pause,
        }
    }

    fn post(&self, body: &str, lines: usize) -> Result<Vec<Answer>, Fault> {
        let mut pause = self.pause;
        let mut last = String::new();
        for _ in 0..ATTEMPTS_MAX {
            let wait = match self.post_once(body) {
                Ok((200..=299, text, _)) => return answers(&text, lines),
                Ok((429 | 502 | 503 | 504, text, wait)) => {
                    last = text;
                    wait
                }
                Ok((status, text, _)) => return Err(Fault::Answer(status, text)),
                Err(error) => {
                    last = error.to_string();
                    None
                }
            };
            std::thread::sleep(wait.unwrap_or(pause));
            pause = (pause * 2).min(Duration::from_secs(PAUSE_MAX));
        }
        Err(Fault::Unreachable(last))
    }

    fn post_once(&self, body: &str) -> Result<(u16, String, Option<Duration>), ureq::Error> {
        let mut response = self
            .agent
            .post(&self.url)
            .header("authorization", format!("Bearer {}", self.api_key))
            .header("content-type", "application/x-ndjson")
            .send(body)?;
        let wait = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|value| value.parse::<u64>().ok());
        let wait = wait.map(|seconds| Duration::from_secs(seconds.min(PAUSE_MAX)));
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()?;
        Ok((status, text, wait))
    }
}

fn answers(text: &str, lines: usize) -> Result<Vec<Answer>, Fault> {
    let unreadable = |why: String| Fault::Answer(200, why);
    let answers: Vec<Answer> = text
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| unreadable(error.to_string())))
        .collect::<Result<_, _>>()?;
    if answers.len() == lines {
        Ok(answers)
    } else {
        Err(unreadable(format!(
            "{} answers to {lines} receipts",
            answers.len()
        )))
    }
}

/// What a sending came to.
#[derive(Debug, Default)]
pub struct Sent {
    /// Accepted now.
    pub accepted: u64,
    /// Accepted at an earlier time whose answer was lost.
    pub known: u64,
    /// Receipts signed again because the exchange's chain was somewhere else.
    pub signed_again: u64,
    /// Refused: order, number, code, sentence.
    pub refused: Vec<(OrderId, u32, String, String)>,
}

/// Sends until every outbox is empty, keeping each answer before the next request.
/// # Errors
/// [`Fault`]; what was answered until then is kept.
pub fn send(
    spool: &mut Spool,
    issuer: &Issuer<'_>,
    exchange: &Exchange,
    clock: &Clock,
    bar: &ProgressBar,
) -> Result<Sent, Fault> {
    let mut sent = Sent::default();
    let mut fruitless: BTreeMap<OrderId, u32> = BTreeMap::new();
    loop {
        let batch = batch(spool);
        if batch.is_empty() {
            return Ok(sent);
        }
        let body: String = batch
            .iter()
            .map(|asked| format!("{}\n", asked.jws))
            .collect();
        let answers = exchange.post(&body, batch.len())?;
        let mut round = Round::default();
        for (asked, answer) in batch.iter().zip(answers) {
            round.answer(spool, asked, answer, &mut sent)?;
        }
        for order in &round.orders {
            let got_on = round.judged.contains(order);
            let rounds = fruitless.entry(*order).or_default();
            *rounds = if got_on { 0 } else { *rounds + 1 };
            if let (Some(head), Some(book)) = (round.heads.get(order), spool.books.get_mut(order)) {
                sent.signed_again += u64::try_from(book.chain.outbox.len()).unwrap_or(u64::MAX);
                issuer.sign_again(*order, &mut book.chain, *head, clock.now()?)?;
            }
            // DURABLE: the answers are kept before anything else is sent. Killed before, the same bytes go out again.
            spool.archive(
                *order,
                round.accepted.get(order).map_or(&[][..], Vec::as_slice),
            )?;
            spool.keep_receipts(*order)?;
            if *rounds > FRUITLESS_MAX {
                return Err(Fault::Stuck(order.to_string()));
            }
        }
        bar.set_position(
            sent.accepted + sent.known + u64::try_from(sent.refused.len()).unwrap_or(0),
        );
        if let Some(unjudged) = round.unjudged {
            return Err(Fault::Unjudged(unjudged));
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

/// The next receipts to send, in the order of each chain.
fn batch(spool: &Spool) -> Vec<Asked> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    for (order, book) in &spool.books {
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
    unjudged: Option<String>,
}

impl Round {
    fn answer(
        &mut self,
        spool: &mut Spool,
        asked: &Asked,
        answer: Answer,
        sent: &mut Sent,
    ) -> Result<(), Fault> {
        let Asked {
            order,
            index,
            ref jws,
        } = *asked;
        self.orders.insert(order);
        let Some(book) = spool.books.get_mut(&order) else {
            return Ok(());
        };
        let code = answer.code.unwrap_or_default();
        let detail = answer.detail.unwrap_or_default();
        match answer.outcome {
            Outcome::Accepted | Outcome::Known => {
                let now = answer.outcome == Outcome::Accepted;
                *(if now {
                    &mut sent.accepted
                } else {
                    &mut sent.known
                }) += 1;
                issue::enter(&mut book.chain, index, Verdict::Accepted)?;
                self.accepted.entry(order).or_default().push(jws.clone());
                self.judged.insert(order);
            }
            // Every line behind a refused one of its chain gets this; the first says where the chain stands.
            Outcome::Refused if code == "receipt.chain" => {
                if let Some(Expected { seq, prev }) = answer.expected {
                    self.heads.entry(order).or_insert((seq, prev));
                } else {
                    self.unjudged = Some(format!("{code} without the expected head: {detail}"));
                }
            }
            Outcome::Refused if code.starts_with("receipt.") => {
                let entered = issue::enter(&mut book.chain, index, Verdict::Refused(code.clone()))?;
                if let Some((seq, prev)) = entered {
                    sent.refused.push((order, seq, code, detail));
                    self.heads.insert(order, (seq, prev));
                }
                self.judged.insert(order);
            }
            // Not a word about the receipt itself: the request's, the caller's or the exchange's own trouble.
            Outcome::Refused => self.unjudged = Some(format!("{code}: {detail}")),
        }
        Ok(())
    }
}
