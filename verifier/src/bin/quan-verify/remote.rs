//! A trail on the web: its files by GET, with patience and a limit on every body.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use crate::NotChecked;

/// Attempts at one file before the fetch gives up for now.
const ATTEMPTS_MAX: u32 = 6;
/// The first wait between two of them; doubled each time.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest wait that a server may ask for, in seconds.
const PAUSE_SECONDS_MAX: u64 = 60;

/// Where a trail is published, and the key to read it with.
pub(crate) struct Remote {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

/// What an attempt came to.
enum Attempt {
    Done(Option<Vec<u8>>),
    Again(String, Option<Duration>),
}

impl Remote {
    /// Names a trail by the address of the folder that holds `checkpoint`.
    pub(crate) fn new(url: &str, token: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        Self {
            agent: config.new_agent(),
            base: url.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// The bytes of a file; of one longer than `limit`, `limit` + 1. `None` if there is none.
    pub(crate) fn get(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, NotChecked> {
        let url = format!("{}/{name}", self.base);
        let (mut pause, mut last) = (PAUSE, String::new());
        for attempt in 1..=ATTEMPTS_MAX {
            let wait = match self.once(&url, limit)? {
                Attempt::Done(body) => return Ok(body),
                Attempt::Again(why, wait) => {
                    last = why;
                    wait
                }
            };
            if attempt < ATTEMPTS_MAX {
                thread::sleep(wait.unwrap_or(pause));
            }
            pause *= 2;
        }
        Err(NotChecked(format!(
            "{url} does not answer: {last}; run it again, it goes on from here"
        )))
    }

    fn once(&self, url: &str, limit: usize) -> Result<Attempt, NotChecked> {
        let mut request = self.agent.get(url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = match request.call() {
            Ok(response) => response,
            Err(ureq::Error::BadUri(why)) => return Err(NotChecked(format!("{url}: {why}"))),
            Err(error) => return Ok(Attempt::Again(error.to_string(), None)),
        };
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(Attempt::Done(None)),
            401 | 403 => {
                return Err(NotChecked(format!(
                    "{url} is for a regulator's key, and {}; give one by --token or QUAN_TOKEN",
                    if self.token.is_some() {
                        "this one may not read it"
                    } else {
                        "none was given"
                    }
                )));
            }
            status @ (429 | 500..) => {
                let wait = response.headers().get("retry-after");
                let wait = wait.and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
                let wait = wait.map(|wait| Duration::from_secs(wait.min(PAUSE_SECONDS_MAX)));
                return Ok(Attempt::Again(format!("status {status}"), wait));
            }
            status => return Err(NotChecked(format!("{url} answers with status {status}"))),
        }
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut body = Vec::new();
        match response
            .body_mut()
            .as_reader()
            .take(limit)
            .read_to_end(&mut body)
        {
            Ok(_) => Ok(Attempt::Done(Some(body))),
            Err(error) => Ok(Attempt::Again(error.to_string(), None)),
        }
    }
}
