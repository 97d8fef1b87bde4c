//! One handler for every command: the body is exactly the payload, the path says which kind (DESIGN §4.6, §7).
//!
//! The same idempotency key with the same request is answered with the entry that it became, for seven days and over restarts:
//! `cmd` and `req` are in the entry. Nothing here decides.

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use verifier::book::command::{Command, Kind};
use verifier::book::decide::Request;
use verifier::book::entry::Entry;
use verifier::book::found::Found;
use verifier::id::{PartyId, Sha256Hash};
use verifier::json;
pub use verifier::receipt::req;
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

use super::Shared;
use super::access::{self, Caller};
use super::problem::Problem;
use super::reply::{Asked, Done};
use crate::dataset::sale;
use crate::sequencer::{Committed, Outcome};

/// The longest body of a command: a programme file of 48,000 bytes in JSON escapes, with room.
pub const COMMAND_BYTES_MAX: usize = 131_072;
/// How long a body may take: a caller that dawdles holds a connection and memory.
const BODY_WAIT: Duration = Duration::from_secs(60);
/// The longest idempotency key.
const KEY_BYTES_MAX: usize = 255;

/// What an accepted command is answered with: a pure function of its entry.
#[derive(Debug, Serialize)]
pub(super) struct Accepted<'a> {
    seq: u64,
    at: Timestamp,
    #[serde(rename = "type")]
    kind: &'static str,
    found: &'a Found,
    trail: Place<'a>,
    as_of: u64,
}

/// Where an entry stands in the trail.
#[derive(Debug, Serialize)]
struct Place<'a> {
    origin: &'a str,
    index: u64,
    leaf_hash: Sha256Hash,
}

impl<'a> Accepted<'a> {
    /// The answer for an entry.
    #[must_use]
    pub(super) fn new(entry: &'a Entry, leaf_hash: Sha256Hash, origin: &'a str) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
            kind: entry.asked.kind().as_str(),
            found: &entry.found,
            trail: Place {
                origin,
                index: entry.seq,
                leaf_hash,
            },
            as_of: entry.seq,
        }
    }
}

/// Answers one command.
/// # Errors
/// Every problem of the request's form, and what `decide` refuses.
pub(super) async fn answer(
    shared: Arc<Shared>,
    kind: Kind,
    request: HttpRequest,
    payload: web::Payload,
    reply: &mut Asked,
) -> Result<HttpResponse, Problem> {
    let handed = handed(&shared, (&request, payload), kind, reply).await?;
    let command = parse(kind, &handed.body)?;
    let _in_flight = shared.in_flight.enter(handed.cmd)?;
    may_be_sold(&shared, handed.cmd, &command).await?;
    handed.submit(&shared, command, reply).await
}

/// A command as it was handed in: from whom, under which names, its bytes.
pub(super) struct Handed {
    /// Who asks.
    pub(super) caller: Caller,
    /// The name of the command: the same key of a party is the same command.
    pub(super) cmd: Sha256Hash,
    /// The body.
    pub(super) body: Bytes,
    req: Sha256Hash,
}

/// Takes a command off the wire and tells the reply whose it is.
/// # Errors
/// `access.unknown` `access.role` `request.too-large` `request.idempotency-key` `request.media-type`
pub(super) async fn handed(
    shared: &Arc<Shared>,
    (request, payload): (&HttpRequest, web::Payload),
    kind: Kind,
    reply: &mut Asked,
) -> Result<Handed, Problem> {
    let caller = access::caller(shared, request).await?;
    reply.caller = Some(caller);
    // Read before anything is refused: the refusal names the request.
    let body = read_body(payload, COMMAND_BYTES_MAX).await?;
    let req = req(request.method().as_str(), request.path(), &body);
    reply.req = Some(req);
    access::permit(caller, kind)?;
    let key = idempotency_key(request)?;
    require_media_type(request, "application/json")?;
    Ok(Handed {
        caller,
        cmd: cmd(caller.party, &key),
        body,
        req,
    })
}

impl Handed {
    /// Asks the desk and writes its answer.
    /// # Errors
    /// What `decide` refuses, or that there is no answer.
    pub(super) async fn submit(
        &self,
        shared: &Shared,
        command: Command,
        reply: &mut Asked,
    ) -> Result<HttpResponse, Problem> {
        let asked = Request {
            by: self.caller.party,
            actor: self.caller.actor,
            cmd: Some(self.cmd),
            req: Some(self.req),
            command,
        };
        match shared.desk.submit_one(asked).await {
            Outcome::Accepted(entry) => {
                reply.done = Some(Done::entry(false, &entry));
                created(shared, &entry)
            }
            Outcome::Known(entry) => {
                reply.done = Some(Done::entry(true, &entry));
                created(shared, &entry)
            }
            Outcome::Refused(refusal) => Err(refusal.into()),
            Outcome::Failed(why) => Err(why.into()),
        }
    }
}

/// Asks before an order what the book cannot know: whether the bytes are there. An order that was placed is answered as it was.
async fn may_be_sold(shared: &Shared, cmd: Sha256Hash, command: &Command) -> Result<(), Problem> {
    let Command::PlaceOrder(order) = command else {
        return Ok(());
    };
    let datasets = order.segments.iter().filter_map(|segment| segment.dataset);
    let datasets: Vec<_> = datasets.collect();
    if datasets.is_empty() {
        return Ok(());
    }
    let placed = shared.desk.read(|book| book.commands.contains_key(&cmd));
    if placed.await? {
        return Ok(());
    }
    Ok(sale::check(&shared.data, datasets).await?)
}

fn parse(kind: Kind, body: &[u8]) -> Result<Command, Refusal> {
    Command::parse(kind, body).map_err(|fault| {
        Refusal::new(
            Code::RequestMalformed,
            format!("the body is no {}: {fault}", kind.as_str()),
        )
    })
}

/// Writes 201 for an entry.
pub(super) fn created(shared: &Shared, answer: &Committed) -> Result<HttpResponse, Problem> {
    let accepted = Accepted::new(&answer.entry, answer.leaf_hash, &shared.config.origin);
    let body = json::write(&accepted).map_err(|fault| Problem::Internal(fault.to_string()))?;
    Ok(HttpResponse::Created()
        .content_type("application/json")
        .body(body))
}

/// Reads a body up to a limit; nothing beyond it is kept.
pub(super) async fn read_body(payload: web::Payload, max: usize) -> Result<Bytes, Problem> {
    let too_long = || {
        Refusal::new(
            Code::RequestTooLarge,
            format!("a body has at most {max} bytes here"),
        )
    };
    let body = tokio::time::timeout(BODY_WAIT, payload.to_bytes_limited(max)).await;
    let whole = body.map_err(|_| broken("it took more than a minute"))?;
    let body = whole.map_err(|_| too_long())?;
    body.map_err(|fault| broken(&fault.to_string()).into())
}

fn broken(why: &str) -> Refusal {
    let sentence = format!("the body did not arrive whole: {why}");
    Refusal::new(Code::RequestMalformed, sentence)
}

/// Refuses a body of another media type; parameters do not matter.
pub(super) fn require_media_type(request: &HttpRequest, wanted: &str) -> Result<(), Refusal> {
    let given = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if essence.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::RequestMediaType,
        format!("send the body as Content-Type: {wanted}"),
    ))
}

/// Reads `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a quoted string, or its bare characters.
fn idempotency_key(request: &HttpRequest) -> Result<String, Refusal> {
    let refused = |sentence: &str| Refusal::new(Code::RequestIdempotencyKey, sentence);
    let mut headers = request.headers().get_all("Idempotency-Key");
    let header: &HeaderValue = headers.next().ok_or_else(|| {
        refused(
            "send an Idempotency-Key header, e.g. a fresh UUID, and repeat it when you try again",
        )
    })?;
    let text = header.to_str().unwrap_or_default().trim();
    let bare = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let good = bare
        .bytes()
        .all(|c| c.is_ascii_graphic() && c != b'"' && c != b'\\');
    if headers.next().is_some() || bare.is_empty() || bare.len() > KEY_BYTES_MAX || !good {
        return Err(refused(
            "one Idempotency-Key of 1 to 255 visible ASCII characters",
        ));
    }
    Ok(bare.to_owned())
}

/// The name of a command: SHA-256(party ‖ 0x0A ‖ key) (DESIGN §4.6).
pub(super) fn cmd(party: PartyId, key: &str) -> Sha256Hash {
    Sha256Hash::of(format!("{party}\n{key}").as_bytes())
}

/// Commands that this server is working on: a repetition meanwhile is told to wait.
///
/// Other servers do not know of it; there the sequence itself decides, and the later one is answered with the entry.
#[derive(Debug, Default)]
pub struct InFlight(Arc<Mutex<BTreeSet<Sha256Hash>>>);

/// Takes its command out when dropped, also when the caller hangs up.
#[derive(Debug)]
pub(super) struct Guard(Arc<Mutex<BTreeSet<Sha256Hash>>>, Sha256Hash);

impl InFlight {
    pub(super) fn enter(&self, cmd: Sha256Hash) -> Result<Guard, Refusal> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.insert(cmd) {
            return Err(Refusal::new(
                Code::CommandInFlight,
                "the same command is being worked on; repeat it in a moment for its answer",
            ));
        }
        Ok(Guard(Arc::clone(&self.0), cmd))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn key(value: &str) -> Result<String, Code> {
        let request = TestRequest::default()
            .insert_header(("Idempotency-Key", value))
            .to_http_request();
        idempotency_key(&request).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_key_is_one_quoted_or_bare_word() {
        assert_eq!(key("abc-1"), Ok("abc-1".into()));
        assert_eq!(key("\"abc-1\""), Ok("abc-1".into()));
        let long = "x".repeat(256);
        for bad in ["", "\"\"", "a b", "a\"b", "\"a", long.as_str()] {
            assert_eq!(key(bad), Err(Code::RequestIdempotencyKey), "{bad}");
        }
        let none = TestRequest::default().to_http_request();
        assert!(idempotency_key(&none).is_err());
    }

    #[test]
    fn a_request_is_named_by_method_path_and_body() {
        let expected = Sha256Hash::of(b"POST /v1/funds\n{}");
        assert_eq!(req("POST", "/v1/funds", b"{}"), expected);
        assert_ne!(req("POST", "/v1/funds/lapse", b"{}"), expected);
    }

    #[test]
    fn a_command_in_flight_is_not_entered_twice_and_leaves_when_dropped() {
        let (in_flight, cmd) = (InFlight::default(), Sha256Hash::of(b"x"));
        let guard = in_flight.enter(cmd).unwrap();
        assert_eq!(
            in_flight.enter(cmd).unwrap_err().code,
            Code::CommandInFlight
        );
        drop(guard);
        assert!(in_flight.enter(cmd).is_ok());
    }
}
