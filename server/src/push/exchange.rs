//! The exchange as a party's terminal sees it: JSON and tus, with patience. What was not answered is asked again, later each time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use ureq::SendBody;
use verifier::id::hex;

use super::fault::{Fault, Refused};
use crate::clock::Clock;
use crate::dataset::tus;

/// Attempts before it is given up for now; with the pauses between them about a minute.
pub(super) const ATTEMPTS_MAX: u32 = 8;
/// The first wait; it doubles each time.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// The longest wait that an answer may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The longest answer that is read: a manifest or a draft of very many files.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// A piece that goes out at all is out by then.
const PIECE_TIME_MAX: Duration = Duration::from_secs(1_800);

/// An exchange, as one who holds a key.
pub(super) struct Exchange {
    agent: ureq::Agent,
    url: String,
    bearer: String,
    /// What the idempotency keys of this run begin with.
    run: String,
    asked: AtomicU64,
}

/// An answer, of whatever kind.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: u16,
    /// Where what was made is.
    pub(super) location: Option<String>,
    /// How far an upload is.
    pub(super) offset: Option<u64>,
    /// How long to wait.
    retry_after: Option<Duration>,
    text: String,
}

/// A piece of a file on its way.
pub(super) struct Piece<'a> {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) from: &'a mut dyn Read,
}

type Asked = Result<Told, ureq::Error>;

impl Exchange {
    pub(super) fn new(server: &str, key: &str) -> Result<Self, Fault> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(PIECE_TIME_MAX))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            url: server.trim_end_matches('/').to_owned(),
            bearer: format!("Bearer {key}"),
            run: hex(Clock::real().salt()?.bytes()),
            asked: AtomicU64::new(0),
        })
    }

    /// Reads something.
    pub(super) fn get(&self, path: &str) -> Result<Value, Fault> {
        let told = patiently(|| {
            let request = self.agent.get(format!("{}{path}", self.url));
            Told::read(request.header("authorization", &self.bearer).call()?)
        })?;
        told.granted(path)
    }

    /// Asks for something, with one idempotency key however often it must be sent.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        let body = body.to_string();
        self.send(path, "application/json", &body)?.granted(path)
    }

    /// Hands in a signed statement.
    pub(super) fn sign_in(&self, path: &str, jws: &str) -> Result<Value, Fault> {
        self.send(path, "application/jose", jws)?.granted(path)
    }

    fn send(&self, path: &str, media: &str, body: &str) -> Result<Told, Fault> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let key = format!("{}-{number}", self.run);
        patiently(|| {
            let request = self.agent.post(format!("{}{path}", self.url));
            let request = request
                .header("authorization", &self.bearer)
                .header("content-type", media)
                .header("idempotency-key", &key);
            Told::read(request.send(body)?)
        })
    }

    /// Begins an upload of so many bytes; returns where it is.
    pub(super) fn begin(&self, bytes: u64, metadata: &str) -> Result<String, Fault> {
        let path = "/v1/uploads";
        let told = patiently(|| {
            let request = self.agent.post(format!("{}{path}", self.url));
            let request = request
                .header("authorization", &self.bearer)
                .header("tus-resumable", tus::VERSION)
                .header("upload-length", bytes.to_string())
                .header("upload-metadata", metadata);
            Told::read(request.send_empty()?)
        })?;
        let status = told.status;
        match &told.location {
            // A path, or whole where a proxy in between makes it so.
            Some(at) if status == 201 => Ok(at.trim_start_matches(&self.url).to_owned()),
            Some(_) | None => Err(told.refusal(path)),
        }
    }

    /// How far an upload is; none where the exchange has it no more.
    pub(super) fn offset(&self, at: &str) -> Result<Option<u64>, Fault> {
        let told = patiently(|| {
            let request = self.agent.head(format!("{}{at}", self.url));
            let request = request.header("authorization", &self.bearer);
            Told::read(request.header("tus-resumable", tus::VERSION).call()?)
        })?;
        match told.offset {
            Some(offset) if told.status == 200 => Ok(Some(offset)),
            Some(_) | None if matches!(told.status, 404 | 410) => Ok(None),
            Some(_) | None => Err(told.refusal(at)),
        }
    }

    /// Sends a piece once; who sends it knows what to do where it fails.
    pub(super) fn append(&self, at: &str, piece: &mut Piece<'_>) -> Asked {
        let request = self.agent.patch(format!("{}{at}", self.url));
        let sum = STANDARD.encode(piece.sha256);
        let request = request
            .header("authorization", &self.bearer)
            .header("tus-resumable", tus::VERSION)
            .header("content-type", tus::CHUNK)
            .header("content-length", piece.bytes.to_string())
            .header("upload-offset", piece.offset.to_string())
            .header("upload-checksum", format!("sha256 {sum}"));
        Told::read(request.send(SendBody::from_reader(piece.from))?)
    }
}

impl Told {
    fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<Self, ureq::Error> {
        let header = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let number = |name| header(name)?.parse::<u64>().ok();
        let wait = number("retry-after").map(Duration::from_secs);
        let (status, location) = (response.status().as_u16(), header("location"));
        let offset = number("upload-offset");
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        Ok(Self {
            status,
            location,
            offset,
            retry_after: wait.map(|wait| wait.min(PAUSE_MAX)),
            text: body.read_to_string()?,
        })
    }

    /// Whether the same may be answered otherwise in a moment.
    fn is_busy(&self) -> bool {
        matches!(self.status, 429 | 502 | 503 | 504)
    }

    fn granted(self, path: &str) -> Result<Value, Fault> {
        if !(200..300).contains(&self.status) {
            return Err(self.refusal(path));
        }
        let value = serde_json::from_str(&self.text);
        value.map_err(|_| Fault::Answer(path.to_owned(), self.status, self.text))
    }

    /// The refusal that it is.
    pub(super) fn refusal(self, path: &str) -> Fault {
        let problem: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        let code = text("code");
        if code.is_empty() {
            return Fault::Answer(path.to_owned(), self.status, self.text);
        }
        Fault::Refused(Box::new(Refused {
            path: path.to_owned(),
            status: self.status,
            code,
            detail: text("detail"),
            values: problem["values"].clone(),
        }))
    }
}

/// Asks until it is answered by an exchange that is not busy.
fn patiently(ask: impl Fn() -> Asked) -> Result<Told, Fault> {
    let mut pause = PAUSE;
    let mut last = String::new();
    for attempt in 1..=ATTEMPTS_MAX {
        let wait = match ask() {
            Ok(told) if told.is_busy() => {
                last = format!("it answers {}: {}", told.status, told.text);
                told.retry_after
            }
            Ok(told) => return Ok(told),
            Err(error) => {
                last = error.to_string();
                None
            }
        };
        if attempt < ATTEMPTS_MAX {
            thread::sleep(wait.unwrap_or(pause));
        }
        pause *= 2;
    }
    Err(Fault::Unreachable(last))
}
