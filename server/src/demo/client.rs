//! The exchange as any client sees it: an address, an API key, JSON in and out. The story has no other way in.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Fault;
use crate::http::REPLY_HEADER;

/// The longest answer that is read: a page of a list is far below.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// How often a busy exchange is asked again, and the pause before.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// An address without a key; clients are made from it.
#[derive(Clone)]
pub(super) struct Address(Rc<Shared>);

struct Shared {
    agent: ureq::Agent,
    url: String,
    /// The next idempotency key.
    number: Cell<u64>,
    /// The signed replies to commands, as they came.
    replies: RefCell<Vec<String>>,
}

/// A caller with one API key.
#[derive(Clone)]
pub(super) struct Client {
    shared: Rc<Shared>,
    key: String,
}

/// What an accepted command is answered with.
#[derive(Debug)]
pub(super) struct Reply {
    path: String,
    /// The number of its entry.
    pub(super) seq: u64,
    found: Value,
}

/// A command that the rules refused, as the story expects it.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// What was tried, in a few words.
    pub(super) tried: String,
    /// The stable code.
    pub(super) code: String,
    /// The sentence with the numbers.
    pub(super) detail: String,
}

/// An answer of either kind.
enum Answer {
    Accepted(Reply),
    Refused {
        code: String,
        status: u16,
        problem: Value,
    },
}

impl Address {
    /// An exchange that listens at `url`.
    pub(super) fn new(url: String) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        let agent = config.new_agent();
        Self(Rc::new(Shared {
            agent,
            url,
            number: Cell::new(0),
            replies: RefCell::default(),
        }))
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.0.url
    }

    /// Every signed reply so far: what the exchange has promised and refused.
    pub(super) fn replies(&self) -> Vec<String> {
        self.0.replies.borrow().clone()
    }

    /// A caller with this key.
    pub(super) fn with_key(&self, key: impl Into<String>) -> Client {
        Client {
            shared: Rc::clone(&self.0),
            key: key.into(),
        }
    }
}

impl Client {
    /// The API key, to be printed: the store is thrown away.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Asks for something that must be granted.
    pub(super) fn ask(&self, path: &str, body: &Value) -> Result<Reply, Fault> {
        granted(
            path,
            self.post(path, "application/json", &body.to_string())?,
        )
    }

    /// Hands in a signed statement that must be accepted.
    pub(super) fn sign_in(&self, path: &str, jws: &str) -> Result<Reply, Fault> {
        granted(path, self.post(path, "application/jose", jws)?)
    }

    /// Asks for something that must be refused with this code.
    pub(super) fn ask_in_vain(
        &self,
        path: &str,
        body: &Value,
        tried: &str,
        code: &str,
    ) -> Result<Refusal, Fault> {
        let answer = self.post(path, "application/json", &body.to_string())?;
        refused(path, answer, tried, code).map(|(refusal, _)| refusal)
    }

    /// Hands in a signed statement that must be refused with this code; also returns the whole problem.
    pub(super) fn sign_in_in_vain(
        &self,
        path: &str,
        jws: &str,
        tried: &str,
        code: &str,
    ) -> Result<(Refusal, Value), Fault> {
        refused(path, self.post(path, "application/jose", jws)?, tried, code)
    }

    /// Asks for something that is no entry of the trail: an API key, a quote.
    pub(super) fn make(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        let (status, answer) = self.send(path, "application/json", &body.to_string())?;
        if status == 201 || status == 200 {
            return Ok(answer);
        }
        Err(Fault::Answer(path.to_owned(), status, answer.to_string()))
    }

    /// Reads something.
    pub(super) fn read(&self, path: &str) -> Result<Value, Fault> {
        let request = self.shared.agent.get(self.address(path));
        let sent = request.header("authorization", self.bearer()).call();
        let (status, answer) = json(path, sent)?;
        if status == 200 {
            return Ok(answer);
        }
        Err(Fault::Answer(path.to_owned(), status, answer.to_string()))
    }

    /// Uploads a file in one request (tus creation-with-upload); returns where it stands.
    pub(super) fn upload(&self, name: &str, bytes: &[u8]) -> Result<String, Fault> {
        let path = "/v1/uploads";
        let request = self.shared.agent.post(self.address(path));
        let sent = request
            .header("authorization", self.bearer())
            .header("tus-resumable", "1.0.0")
            .header("upload-length", bytes.len().to_string())
            .header(
                "upload-metadata",
                format!("filename {}", BASE64.encode(name)),
            )
            .header("content-type", "application/offset+octet-stream")
            .send(bytes);
        let mut response = sent.map_err(unreachable(path))?;
        let location = response.headers().get("location");
        if let Some(location) = location.and_then(|location| location.to_str().ok()) {
            return Ok(location.to_owned());
        }
        let (status, said) = (
            response.status().as_u16(),
            response.body_mut().read_to_string(),
        );
        Err(Fault::Answer(
            path.to_owned(),
            status,
            said.unwrap_or_default(),
        ))
    }

    /// Downloads a file.
    pub(super) fn fetch(&self, path: &str) -> Result<Vec<u8>, Fault> {
        let (status, bytes) = self.download(path)?;
        if status == 200 {
            return Ok(bytes);
        }
        let said = String::from_utf8_lossy(&bytes).into_owned();
        Err(Fault::Answer(path.to_owned(), status, said))
    }

    /// Asks for a file that must be refused with this code.
    pub(super) fn fetch_in_vain(
        &self,
        path: &str,
        tried: &str,
        code: &str,
    ) -> Result<Refusal, Fault> {
        let (status, bytes) = self.download(path)?;
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let answer = Answer::Refused {
            code: problem["code"].as_str().unwrap_or_default().to_owned(),
            status,
            problem,
        };
        refused(path, answer, tried, code).map(|(refusal, _)| refusal)
    }

    fn download(&self, path: &str) -> Result<(u16, Vec<u8>), Fault> {
        let request = self.shared.agent.get(self.address(path));
        let sent = request.header("authorization", self.bearer()).call();
        let mut response = sent.map_err(unreachable(path))?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        Ok((status, body.read_to_vec().map_err(unreachable(path))?))
    }

    fn post(&self, path: &str, media: &str, body: &str) -> Result<Answer, Fault> {
        let (status, answer) = self.send(path, media, body)?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        if status == 201 || status == 200 {
            let seq = answer["seq"].as_u64();
            let seq = seq.ok_or_else(|| Fault::Answer(path.into(), status, answer.to_string()))?;
            return Ok(Answer::Accepted(Reply {
                path: path.to_owned(),
                seq,
                found: answer["found"].clone(),
            }));
        }
        match text("code") {
            Some(code) if (400..500).contains(&status) => Ok(Answer::Refused {
                code,
                status,
                problem: answer,
            }),
            Some(_) | None => Err(Fault::Answer(path.into(), status, answer.to_string())),
        }
    }

    /// Sends a body, and the same body with the same key again while the exchange is busy.
    fn send(&self, path: &str, media: &str, body: &str) -> Result<(u16, Value), Fault> {
        let number = self.shared.number.get() + 1;
        self.shared.number.set(number);
        let mut tries = 0;
        loop {
            let request = self.shared.agent.post(self.address(path));
            let sent = request
                .header("authorization", self.bearer())
                .header("content-type", media)
                .header("idempotency-key", format!("demo-{number}"))
                .send(body);
            tries += 1;
            let header = sent.as_ref().ok().map(ureq::http::Response::headers);
            let signed = header.and_then(|header| header.get(REPLY_HEADER.as_str())?.to_str().ok());
            let mut replies = self.shared.replies.borrow_mut();
            replies.extend(signed.map(str::to_owned));
            drop(replies);
            match json(path, sent)? {
                (503, _) if tries < TRIES => std::thread::sleep(PAUSE),
                answer => return Ok(answer),
            }
        }
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.shared.url)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.key)
    }
}

impl Reply {
    /// A member of what the exchange found: an id that it drew, an amount that it worked out.
    pub(super) fn found<T: DeserializeOwned>(&self, name: &str) -> Result<T, Fault> {
        let value = self.found[name].clone();
        serde_json::from_value(value).map_err(|why| {
            let sentence = format!("found no {name}: {why} in {}", self.found);
            Fault::Answer(self.path.clone(), 201, sentence)
        })
    }
}

fn json(
    path: &str,
    sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<(u16, Value), Fault> {
    let mut response = sent.map_err(unreachable(path))?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
    let text = body.read_to_string().map_err(unreachable(path))?;
    let answer = serde_json::from_str(&text);
    answer
        .map(|answer| (status, answer))
        .map_err(|_| Fault::Answer(path.to_owned(), status, text))
}

fn unreachable(path: &str) -> impl Fn(ureq::Error) -> Fault + '_ {
    |why| Fault::Unreachable(path.to_owned(), Box::new(why))
}

fn granted(path: &str, answer: Answer) -> Result<Reply, Fault> {
    match answer {
        Answer::Accepted(reply) => Ok(reply),
        Answer::Refused {
            status, problem, ..
        } => Err(Fault::Answer(path.into(), status, problem.to_string())),
    }
}

fn refused(
    path: &str,
    answer: Answer,
    tried: &str,
    expected: &str,
) -> Result<(Refusal, Value), Fault> {
    match answer {
        Answer::Refused { code, problem, .. } if code == expected => {
            let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
            let tried = tried.to_owned();
            let refusal = Refusal {
                tried,
                code,
                detail,
            };
            Ok((refusal, problem))
        }
        Answer::Refused {
            status, problem, ..
        } => Err(Fault::Answer(path.into(), status, problem.to_string())),
        Answer::Accepted(reply) => {
            let sentence = format!("{tried} is entry {} and should be {expected}", reply.seq);
            Err(Fault::Answer(path.into(), 201, sentence))
        }
    }
}
