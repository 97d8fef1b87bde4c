//! The real program under measurement: `quan serve` in a folder of its own, asked over HTTP.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use server::http::{Does, ROUTES};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use verifier::book::command::{Command, Kind};
use verifier::book::found::Found;
use verifier::id::{ActorId, PartyId};

use crate::client::{Connection, get, post};
use crate::market::{Exchange, Who};

const ORIGIN: &str = "localhost/bench";
/// Commands that do not wait for each other are asked over so many connections.
const CONNECTIONS: usize = 32;
const START_MAX: Duration = Duration::from_secs(60);

/// A server that runs until this is dropped.
pub(crate) struct Quan {
    child: Child,
    _folder: TempDir,
    pub(crate) address: SocketAddr,
    tokens: BTreeMap<&'static str, String>,
    runtime: Runtime,
    asked: u64,
}

impl Drop for Quan {
    fn drop(&mut self) {
        // It may be gone already.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Quan {
    /// Starts it on SQLite in its folder, or on the given database, with these settings.
    pub(crate) fn start(database: Option<String>, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut process = Process::new(env!("CARGO_BIN_EXE_quan"));
        process
            .args(["serve", "--origin", ORIGIN, "--log", "warn", "--data"])
            .arg(folder.path())
            .args(["--listen", &address.to_string()])
            .args(settings)
            .stderr(Stdio::piped());
        if let Some(database) = database {
            process.args(["--database", &database]);
        }
        let mut child = process.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                eprintln!("quan: {line}");
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut quan = Self {
            child,
            address,
            tokens: BTreeMap::new(),
            runtime,
            asked: 0,
            _folder: folder,
        };
        quan.wait();
        let token = quan._folder.path().join("operator.key");
        let token = fs::read_to_string(token).unwrap().trim().to_owned();
        quan.tokens.insert(Who::Exchange.role().as_str(), token);
        quan
    }

    fn wait(&mut self) {
        let start = Instant::now();
        while start.elapsed() < START_MAX {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "quan serve has ended"
            );
            if self.run(async |connection| connection.send(&get("/health")).await.ok().is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("quan serve does not answer");
    }

    /// Does something over a new connection; false if there is none.
    fn run(&self, work: impl AsyncFnOnce(&mut Connection) -> bool) -> bool {
        self.runtime.block_on(async {
            match Connection::open(self.address).await {
                Ok(mut connection) => work(&mut connection).await,
                Err(_) => false,
            }
        })
    }

    /// The process, for what `/proc` says of it.
    #[allow(dead_code, reason = "not every bench asks")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn token(&self, who: Who) -> &str {
        &self.tokens[who.role().as_str()]
    }

    /// The number of durable entries, as the server says.
    #[allow(dead_code, reason = "not every bench asks")]
    pub(crate) fn entries(&self) -> u64 {
        self.health()["entries"].as_u64().unwrap()
    }

    /// What the server says of itself.
    #[allow(dead_code, reason = "not every bench asks")]
    pub(crate) fn health(&self) -> Value {
        let mut health = Value::Null;
        self.run(async |connection| {
            let answer = connection.send(&get("/health")).await.unwrap();
            health = serde_json::from_slice(&answer.body).unwrap();
            true
        });
        health
    }

    /// Sends requests over so many connections; the bodies of the answers, in order.
    fn send_all(&self, requests: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let lanes = requests.len().min(CONNECTIONS);
        let lane = |lane: usize| send_lane(self.address, requests, (lane, lanes));
        let all = futures_util::future::join_all((0..lanes).map(lane));
        let mut answers: Vec<(usize, Vec<u8>)> =
            self.runtime.block_on(all).into_iter().flatten().collect();
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, body)| body).collect()
    }

    fn request(&mut self, who: Who, command: &Command) -> Vec<u8> {
        self.asked += 1;
        let body = serde_json::to_vec(command).unwrap();
        let path = path_of(command.kind());
        post(
            path,
            self.token(who),
            "application/json",
            Some(self.asked),
            &body,
        )
    }
}

impl Exchange for Quan {
    fn origin(&self) -> &str {
        ORIGIN
    }

    fn hire(&mut self, who: Who, _party: PartyId, actor: ActorId) {
        let body = json!({ "actor": actor, "role": who.role(), "label": "bench" }).to_string();
        let token = self.token(Who::Exchange);
        let request = post(
            "/v1/api-keys",
            token,
            "application/json",
            None,
            body.as_bytes(),
        );
        let answer = self.send_all(&[request]).pop().unwrap();
        let made: Value = serde_json::from_slice(&answer).unwrap();
        let token = made["key"].as_str().unwrap().to_owned();
        self.tokens.insert(who.role().as_str(), token);
    }

    fn ask(&mut self, who: Who, command: Command) -> Found {
        self.ask_all(who, vec![command]).pop().unwrap()
    }

    fn ask_all(&mut self, who: Who, commands: Vec<Command>) -> Vec<Found> {
        let requests: Vec<_> = commands
            .iter()
            .map(|command| self.request(who, command))
            .collect();
        let found = |body: Vec<u8>| {
            let mut answer: Value = serde_json::from_slice(&body).unwrap();
            serde_json::from_value(answer["found"].take()).unwrap()
        };
        self.send_all(&requests).into_iter().map(found).collect()
    }
}

fn path_of(kind: Kind) -> &'static str {
    let asks = |does: &Does| matches!(does, Does::Command(of) if *of == kind);
    let route = ROUTES.iter().find(|route| asks(&route.does));
    route.expect("every kind has a route").path
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Sends every request of one lane of several, one after the other.
async fn send_lane(
    address: SocketAddr,
    requests: &[Vec<u8>],
    (lane, lanes): (usize, usize),
) -> Vec<(usize, Vec<u8>)> {
    let mut connection = Connection::open(address).await.unwrap();
    let mut answers = Vec::new();
    for (at, request) in requests.iter().enumerate().skip(lane).step_by(lanes) {
        let answer = connection.send(request).await.unwrap();
        let text = String::from_utf8_lossy(&answer.body);
        let good = (200..300).contains(&answer.status);
        assert!(good, "{}: {text}", answer.status);
        answers.push((at, answer.body));
    }
    answers
}
