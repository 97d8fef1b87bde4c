//! Receipts singly (`application/jose`) and in bulk (NDJSON): a receipt is its own idempotency key (DESIGN §5, §7).
//!
//! In bulk every line is decided as if posted alone; a refused line leaves the others untouched. One outcome a line goes back.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;
use std::sync::Arc;
use std::task::Poll;
use verifier::book::command::{AcceptReceipt, Command, GiveAcceptance, Kind};
use verifier::book::decide::Request;
use verifier::id::Sha256Hash;
use verifier::receipt::{CHECKS, JWS_BYTES_MAX, Signed};
use verifier::refusal::{Code, Refusal};
use verifier::report::Report;

use super::Shared;
use super::access::{self, Caller};
use super::command::{created, read_body, req, require_media_type};
use super::problem::Problem;
use super::reply::{Asked, Done};
use crate::refusals::Counts;
use crate::sequencer::{BATCH_MAX, Outcome, Unanswered};

/// Lines of one bulk request: half the sequencer's queue, so that one caller cannot fill it.
pub const BULK_LINES_MAX: usize = 10_000;
/// Bytes of one bulk request: ten thousand receipts of four times their usual length.
pub const BULK_BYTES_MAX: usize = 40 * 1_024 * 1_024;
/// Lines that are checked together: a batch of the sequencer.
const PIECE_LINES: usize = BATCH_MAX;
/// Pieces that are checked ahead of the sequencer: enough for every core.
const PIECES_AHEAD: usize = 8;
const NDJSON: &str = "application/x-ndjson";
const JOSE: &str = "application/jose";

/// What became of one line, numbered from 0.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct LineOutcome {
    /// The line in the request, from 0.
    line: usize,
    /// `accepted`, `known` (sent before: its entry), or `refused`.
    outcome: &'static str,
    /// The entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    /// The stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// What is wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What the chain expects next, with `receipt.chain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<Expected>,
}

/// The next link of a chain (DESIGN §5, `seq` and `prev`).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Expected {
    seq: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev: Option<String>,
}

/// Answers `POST /v1/receipts` by its media type, and `POST /v1/acceptances`: both are their own idempotency keys.
/// # Errors
/// Problems of the form; for one statement also what `decide` refuses, with the list of checks.
pub(super) async fn answer(
    shared: Arc<Shared>,
    kind: Kind,
    request: HttpRequest,
    payload: web::Payload,
    reply: &mut Asked,
) -> Result<HttpResponse, Problem> {
    let caller = access::caller(&shared, &request).await?;
    reply.caller = Some(caller);
    let source = Source {
        kind,
        caller,
        path: request.path().to_owned(),
    };
    if kind == Kind::AcceptReceipt && require_media_type(&request, NDJSON).is_ok() {
        // The largest body of all is read only for who may send it.
        access::permit(caller, kind)?;
        let body = read_body(payload, BULK_BYTES_MAX).await?;
        reply.req = Some(req("POST", &source.path, &body));
        return bulk(&shared, source, body, reply).await;
    }
    // Read before anything is refused: the refusal names the request.
    let body = read_body(payload, JWS_BYTES_MAX).await?;
    reply.req = Some(req("POST", &source.path, &body));
    access::permit(caller, kind)?;
    require_media_type(&request, JOSE)?;
    single(shared, source, body, reply).await
}

/// Where a statement came in.
#[derive(Debug, Clone)]
struct Source {
    kind: Kind,
    caller: Caller,
    path: String,
}

impl Source {
    /// The requests of statements, their signatures checked where the keys are known.
    fn ask(&self, shared: &Shared, statements: &[web::Bytes]) -> Vec<Result<Request, Refusal>> {
        let parse = |jws: &web::Bytes| {
            let compact = std::str::from_utf8(jws)
                .map_err(|_| Refusal::new(Code::ReceiptMalformed, "a compact JWS is ASCII"))?;
            compact.parse()
        };
        let mut parsed: Vec<Result<Signed, Refusal>> = statements.iter().map(parse).collect();
        let signed = parsed.iter_mut().flatten();
        shared.keyring.verify(&shared.desk, signed);
        let request = |jws: Signed| self.request(jws);
        parsed.into_iter().map(|jws| jws.map(request)).collect()
    }

    fn request(&self, jws: Signed) -> Request {
        let req = req("POST", &self.path, jws.receipt().compact().as_bytes());
        let command = if self.kind == Kind::GiveAcceptance {
            Command::GiveAcceptance(GiveAcceptance { jws })
        } else {
            Command::AcceptReceipt(AcceptReceipt { jws })
        };
        Request {
            by: self.caller.party,
            actor: self.caller.actor,
            cmd: None,
            req: Some(req),
            command,
        }
    }
}

async fn single(
    shared: Arc<Shared>,
    source: Source,
    body: web::Bytes,
    reply: &mut Asked,
) -> Result<HttpResponse, Problem> {
    let asking = Arc::clone(&shared);
    let asked = web::block(move || source.ask(&asking, &[body]).pop())
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .ok_or_else(|| Problem::Internal("a statement makes a request".to_owned()))?
        .map_err(refused)?;
    match shared.desk.submit_one(asked).await {
        Outcome::Accepted(entry) => {
            reply.done = Some(Done::entry(false, &entry));
            created(&shared, &entry)
        }
        Outcome::Known(entry) => {
            reply.done = Some(Done::entry(true, &entry));
            let mut response = created(&shared, &entry)?;
            *response.status_mut() = StatusCode::OK;
            Ok(response)
        }
        Outcome::Refused(refusal) => Err(refused(refusal)),
        Outcome::Failed(why) => Err(why.into()),
    }
}

/// A refusal of one of the receipt's own checks shows all of them.
fn refused(refusal: Refusal) -> Problem {
    if CHECKS.contains(&refusal.code) {
        let report = Report::new(CHECKS, Err(&refusal));
        return Problem::ReceiptRefused(refusal, report);
    }
    Problem::Refused(refusal)
}

/// Checks signatures piece by piece on other threads, while the sequencer decides the pieces before; the order of lines is
/// kept throughout.
async fn bulk(
    shared: &Arc<Shared>,
    source: Source,
    body: web::Bytes,
    reply: &mut Asked,
) -> Result<HttpResponse, Problem> {
    let lines = lines(&body)?;
    let checks = lines.chunks(PIECE_LINES).map(|piece| {
        let (shared, source, piece) = (Arc::clone(shared), source.clone(), piece.to_vec());
        web::block(move || source.ask(&shared, &piece))
    });
    let mut checked = stream::iter(checks).buffered(PIECES_AHEAD);
    let mut decided = Vec::new();
    while let Some(piece) = checked.next().await {
        let piece = piece.map_err(|fault| Problem::Internal(fault.to_string()))?;
        let mut deciding = Box::pin(decide(shared, piece));
        // The first poll hands the piece in: pieces are decided in this order, whenever they are answered.
        let done = futures_util::poll!(deciding.as_mut());
        decided.push((deciding, done));
    }
    let mut outcomes = Vec::with_capacity(lines.len());
    for (deciding, done) in decided {
        match done {
            Poll::Ready(piece) => outcomes.extend(piece),
            Poll::Pending => outcomes.extend(deciding.await),
        }
    }
    let mut refused = Counts::new();
    for outcome in &outcomes {
        if let Outcome::Refused(refusal) = outcome {
            let count = refused.entry(refusal.code).or_insert(0_u64);
            *count = count.saturating_add(1);
        }
    }
    reply.done = Some(Done::Lines(refused));
    written(shared, outcomes)
}

fn lines(body: &web::Bytes) -> Result<Vec<web::Bytes>, Refusal> {
    let text = body.strip_suffix(b"\n").unwrap_or(body);
    let lines: Vec<_> = text
        .split(|byte| *byte == b'\n')
        .take(BULK_LINES_MAX + 1)
        .map(|line| body.slice_ref(line))
        .collect();
    if lines.len() > BULK_LINES_MAX {
        let sentence = format!("more than {BULK_LINES_MAX} lines; send several requests");
        return Err(Refusal::new(Code::RequestTooLarge, sentence));
    }
    Ok(lines)
}

/// Decides those of a piece that are receipts at all; what is not is refused in its place.
async fn decide(shared: &Shared, piece: Vec<Result<Request, Refusal>>) -> Vec<Outcome> {
    let mut asked = Vec::with_capacity(piece.len());
    let places: Vec<Option<Refusal>> = piece
        .into_iter()
        .map(|line| line.map(|request| asked.push(request)).err())
        .collect();
    let mut outcomes = shared.desk.submit(asked).await.into_iter();
    let mut next = || outcomes.next().unwrap_or(Outcome::Failed(Unanswered::Lost));
    places
        .into_iter()
        .map(|refusal| refusal.map_or_else(&mut next, Outcome::Refused))
        .collect()
}

/// Writes a line an outcome. Where one line was not decided, nobody knows of those behind it: the caller sends all again,
/// and what was accepted is answered as known.
fn written(shared: &Shared, outcomes: Vec<Outcome>) -> Result<HttpResponse, Problem> {
    let mut answer = Vec::with_capacity(outcomes.len() * 48);
    for (line, outcome) in outcomes.into_iter().enumerate() {
        let outcome = LineOutcome::new(line, outcome)?;
        shared.metrics.receipt(outcome.outcome, outcome.code);
        serde_json::to_writer(&mut answer, &outcome)
            .map_err(|fault| Problem::Internal(fault.to_string()))?;
        answer.push(b'\n');
    }
    Ok(HttpResponse::Ok().content_type(NDJSON).body(answer))
}

impl LineOutcome {
    fn new(line: usize, outcome: Outcome) -> Result<Self, Problem> {
        let entered = |outcome, seq| Self {
            line,
            outcome,
            seq: Some(seq),
            code: None,
            detail: None,
            expected: None,
        };
        match outcome {
            Outcome::Accepted(entry) => Ok(entered("accepted", entry.entry.seq)),
            Outcome::Known(entry) => Ok(entered("known", entry.entry.seq)),
            Outcome::Refused(refusal) => Ok(Self {
                line,
                outcome: "refused",
                seq: None,
                code: Some(refusal.code.as_str()),
                expected: expected(&refusal),
                detail: Some(refusal.sentence),
            }),
            // This very line breaks us: to send it again helps nobody.
            Outcome::Failed(Unanswered::Internal) => {
                let problem = Problem::from(Unanswered::Internal);
                Ok(Self {
                    line,
                    outcome: "refused",
                    seq: None,
                    code: Some(problem.code()),
                    detail: Some(problem.sentence().to_owned()),
                    expected: None,
                })
            }
            Outcome::Failed(why) => Err(why.into()),
        }
    }
}

/// `receipt.chain` names what it expects, from which the meter signs again.
fn expected(refusal: &Refusal) -> Option<Expected> {
    if refusal.code != Code::ReceiptChain {
        return None;
    }
    let value = |wanted: &str| refusal.values.iter().find(|(name, _)| *name == wanted);
    let seq = value("seq")?.1.parse().ok()?;
    let prev = value("prev").map(|(_, text)| text.clone());
    Some(Expected {
        seq,
        prev: prev.filter(|text| Sha256Hash::parse(text).is_ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_chain_is_answered_with_what_it_expects() {
        let refusal = Refusal::new(Code::ReceiptChain, "expected 3")
            .with("seq", 3)
            .with("prev", Sha256Hash::of(b"x"));
        let outcome = LineOutcome::new(7, Outcome::Refused(refusal)).unwrap();
        let written = serde_json::to_value(&outcome).unwrap();
        assert_eq!(written["line"], 7);
        assert_eq!(written["expected"]["seq"], 3);
        assert_eq!(
            written["expected"]["prev"],
            Sha256Hash::of(b"x").to_string()
        );
    }
}
