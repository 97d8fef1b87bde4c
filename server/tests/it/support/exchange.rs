//! A whole exchange in this process, and clients that speak HTTP to it.

use serde_json::Value;
use server::clock::Clock;
use server::config::Asked;
use server::faults::Faults;
use server::serve::{self, Running};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use verifier::time::Timestamp;

use super::Database;

/// The time at which every exchange of the tests starts: a Monday morning in China.
const START: i64 = 1_795_392_000;

/// An exchange that serves on a free port; it stops when it is dropped.
pub(crate) struct Exchange {
    running: Option<Running>,
    asked: Asked,
    folder: TempDir,
    pub(crate) clock: Clock,
    agent: ureq::Agent,
}

impl Exchange {
    pub(crate) fn start(database: &Database) -> Self {
        // What falls due is left alone: a test moves the clock for its own reasons.
        Self::with_timers(database, 3_600_000)
    }

    /// An exchange that looks for what is due once in so many milliseconds.
    pub(crate) fn with_timers(database: &Database, timers_ms: u64) -> Self {
        Self::opened(database, timers_ms, Timestamp::new(START).unwrap())
    }

    /// An exchange whose clock stands at a time of the story's own.
    pub(crate) fn at(database: &Database, now: Timestamp) -> Self {
        Self::opened(database, 3_600_000, now)
    }

    /// An exchange that is slowed when its lists are so many entries behind.
    pub(crate) fn with_behind_max(database: &Database, behind_max: u64) -> Self {
        let mut exchange = Self::start(database);
        exchange.asked.behind_max = Some(behind_max);
        exchange.restart();
        exchange
    }

    /// Starts again on the same data, and publishes only once in so many milliseconds from then on.
    pub(crate) fn publish_every(&mut self, publish_ms: u64) {
        self.asked.publish_ms = Some(publish_ms);
        self.restart();
    }

    /// An exchange that keeps so many refusals of a party in an hour.
    pub(crate) fn with_refusals_per_hour(database: &Database, refusals: u32) -> Self {
        let mut exchange = Self::start(database);
        exchange.asked.refusals_per_hour = Some(refusals);
        exchange.restart();
        exchange
    }

    /// An exchange that states its scopes' counts at each stop.
    pub(crate) fn with_seals(database: &Database) -> Self {
        let mut exchange = Self::start(database);
        exchange.asked.seal_hours = Some(24);
        exchange.restart();
        exchange
    }

    fn opened(database: &Database, timers_ms: u64, now: Timestamp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let asked = Asked {
            data: Some(folder.path().join("data")),
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            database: Some(database.url()),
            origin: Some("exchange.test/quan".to_owned()),
            publish_ms: Some(10),
            timers_ms: Some(timers_ms),
            // An entry at each stop would be in the way of tests that count them.
            seal_hours: Some(0),
            threads: Some(1),
            ..Asked::default()
        };
        let mut exchange = Self {
            running: None,
            asked,
            folder,
            clock: Clock::fixed(now),
            agent: agent(),
        };
        exchange.restart();
        exchange
    }

    /// Stops in order and starts again on the same data.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let config = self.asked.clone().settle().unwrap();
        self.running = Some(serve::start(config, self.clock.clone(), Faults::none()).unwrap());
    }

    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().unwrap();
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address()
    }

    /// Whoever runs the exchange.
    pub(crate) fn operator(&self) -> Client {
        let token = std::fs::read_to_string(self.data().join("operator.key")).unwrap();
        self.client(Some(token.trim()))
    }

    pub(crate) fn nobody(&self) -> Client {
        self.client(None)
    }

    pub(crate) fn client(&self, token: Option<&str>) -> Client {
        Client::new(
            self.agent.clone(),
            &self.address().to_string(),
            token.map(str::to_owned),
        )
    }

    /// Admits a party with these roles, registers an actor in all of them and makes a key for the first.
    pub(crate) fn member(&self, roles: &[&str]) -> Member {
        self.operator().member(roles)
    }

    /// A client with a key of an actor for a role.
    pub(crate) fn keyed(&self, actor: &str, role: &str) -> Client {
        self.operator().keyed(actor, role)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _stopped = running.stop();
        }
    }
}

/// A party with an actor and a key.
pub(crate) struct Member {
    pub(crate) party: String,
    pub(crate) actor: String,
    pub(crate) client: Client,
}

/// One API key's user.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
    name: u64,
    asked: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media: String,
    /// The signed reply; empty where there is none.
    pub(crate) reply: String,
    /// Where what was made is; empty where that is not said.
    pub(crate) location: String,
    /// After how many seconds to ask again; empty where that is not said.
    pub(crate) retry_after: String,
    pub(crate) text: String,
    pub(crate) body: Value,
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent()
}

impl Client {
    fn new(agent: ureq::Agent, address: &str, token: Option<String>) -> Self {
        static CLIENTS: AtomicU64 = AtomicU64::new(0);
        Self {
            agent,
            url: format!("http://{address}"),
            token,
            name: CLIENTS.fetch_add(1, Ordering::SeqCst),
            asked: Arc::default(),
        }
    }

    /// Whoever runs the exchange of a server that keeps its data here.
    pub(crate) fn operator_at(address: &str, data: &Path) -> Self {
        let token = std::fs::read_to_string(data.join("operator.key")).unwrap();
        Self::new(agent(), address, Some(token.trim().to_owned()))
    }

    /// Whoever holds this key, at another server's address.
    pub(crate) fn keyed_at(address: &str, token: &str) -> Self {
        Self::new(agent(), address, Some(token.to_owned()))
    }

    /// As the operator: admits a party with these roles, registers an actor in all of them and makes a key for the first.
    pub(crate) fn member(&self, roles: &[&str]) -> Member {
        let name = "A".repeat(43);
        let admit = serde_json::json!({ "roles": roles, "name": name });
        let party = text(&self.done("/v1/parties", &admit)["found"]["party"]);
        let register = serde_json::json!({ "party": party, "roles": roles });
        let actor = text(&self.done("/v1/actors", &register)["found"]["actor"]);
        let client = self.keyed(&actor, roles[0]);
        Member {
            party,
            actor,
            client,
        }
    }

    /// As the operator: makes a key of an actor for a role.
    pub(crate) fn keyed(&self, actor: &str, role: &str) -> Self {
        let make = serde_json::json!({ "actor": actor, "role": role, "label": "test" });
        let made = self.post("/v1/api-keys", &make);
        assert_eq!(made.status, 201, "{}", made.text);
        let address = self.url.trim_start_matches("http://");
        Self::new(self.agent.clone(), address, Some(text(&made.body["key"])))
    }

    /// Asks by another method, without a body.
    pub(crate) fn by(&self, method: &str, path: &str) -> Answer {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        let request = match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        read(self.agent.run(request.body(()).unwrap()).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.call().unwrap())
    }

    /// Gets bytes and headers as they come.
    pub(crate) fn fetch(&self, path: &str, headers: &[(&str, &str)]) -> Fetched {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.call().unwrap();
        Fetched {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            bytes: response.body_mut().read_to_vec().unwrap(),
        }
    }

    /// The key itself: a client of a server that was started anew has another address.
    pub(crate) fn token(&self) -> String {
        self.token.clone().unwrap()
    }

    /// Asks with a fresh idempotency key.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        self.send(
            path,
            &body.to_string(),
            &[("idempotency-key", &format!("{}-{number}", self.name))],
        )
    }

    /// Asks and insists on a yes.
    pub(crate) fn done(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 201, "{path} {body}: {}", answer.text);
        answer.body
    }

    /// Asks and insists on this refusal.
    pub(crate) fn refused(&self, path: &str, body: &Value, code: &str) {
        let answer = self.post(path, body);
        assert_eq!(answer.code(), code, "{path} {body}: {}", answer.text);
    }

    pub(crate) fn send(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        self.send_bytes(path, body.as_bytes(), headers)
    }

    /// Sends what may be no text at all.
    pub(crate) fn send_bytes(&self, path: &str, body: &[u8], headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send(body).unwrap())
    }
}

pub(crate) struct Fetched {
    pub(crate) status: u16,
    headers: ureq::http::HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Fetched {
    /// A header's text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let header = |name| {
        let value = response.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    let (media, reply) = (header("content-type"), header("quan-reply"));
    let (retry_after, location) = (header("retry-after"), header("location"));
    let bytes = response.body_mut().read_to_vec().unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answer {
        status: response.status().as_u16(),
        media,
        reply,
        location,
        retry_after,
        body: serde_json::from_str(&text).unwrap_or_default(),
        text,
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The size and the origin of the published checkpoint.
pub(crate) fn checkpoint(data: &Path) -> (String, u64) {
    let note = std::fs::read_to_string(data.join("trail/checkpoint")).unwrap();
    let mut lines = note.lines();
    let origin = lines.next().unwrap().to_owned();
    (origin, lines.next().unwrap().parse().unwrap())
}
