//! The exchange as a client sees it: receipts in bulk (DESIGN §7 HTTP), and patience.
//!
//! The request is one compact JWS a line, the answer one JSON a line, in the same order. A request that was not answered is
//! sent again as it was; the exchange answers `known` for what it had accepted.

use std::time::Duration;

use serde::Deserialize;
use verifier::id::Sha256Hash;

use super::fault::Fault;

/// Attempts at one request before the meter gives up for now.
const ATTEMPTS_MAX: u32 = 8;
/// The longest wait between two of them, in seconds.
const PAUSE_MAX: u64 = 60;
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
pub(super) struct Answer {
    /// What became of the line.
    pub(super) outcome: Outcome,
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) detail: Option<String>,
    #[serde(default)]
    pub(super) expected: Option<Expected>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Accepted,
    Known,
    Refused,
}

/// Where the exchange's chain of an order goes on.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Expected {
    pub(super) seq: u32,
    #[serde(default)]
    pub(super) prev: Option<Sha256Hash>,
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

    /// Sends receipts, one a line; as many answers come back.
    pub(super) fn post(&self, body: &str, lines: usize) -> Result<Vec<Answer>, Fault> {
        let mut pause = self.pause;
        let mut last = String::new();
        for attempt in 1..=ATTEMPTS_MAX {
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
            if attempt < ATTEMPTS_MAX {
                std::thread::sleep(wait.unwrap_or(pause));
            }
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
