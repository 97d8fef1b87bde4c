//! The real program under load, killed with SIGKILL at moments that nobody chose: nothing acknowledged is lost, nothing is done
//! twice, one tree. One server on SQLite; two on one PostgreSQL, of which one at a time is killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use verifier::audit::Verdict;
use verifier::id::Sha256Hash;
use verifier::trail::policy::Policy;

use crate::support::replay;
use crate::support::{Database, Trail, folder};

/// Clients that ask at the same time.
const CLIENTS: u64 = 4;
/// Deaths of a run.
const DEATHS: u64 = 6;
/// At most so many answers lie between two deaths.
const ANSWERS_MAX: u64 = 120;
/// Between two tries of a client.
const A_MOMENT: Duration = Duration::from_millis(10);
/// A server that is killed is up again long before this.
const PATIENCE: Duration = Duration::from_secs(60);

/// One process of the program.
struct Server {
    child: Child,
    address: String,
    /// The lines of its log so far.
    said: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts `quan serve` and waits until it says where it serves.
    fn start(data: &Path, database: &Database) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_quan"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--publish-ms",
                "20",
                "--threads",
                "2",
            ])
            .args(["--log-format", "json", "--log", "info"])
            .args(["--database", &database.url(), "--data"])
            .arg(data)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (tell, told) = mpsc::channel();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some(address) = serving(&line) {
                    let _waiting = tell.send(address);
                }
                heard.lock().unwrap().push(line);
            }
        });
        let address = told.recv_timeout(PATIENCE);
        let address = address.unwrap_or_else(|_| panic!("it does not serve: {said:#?}"));
        Self {
            child,
            address,
            said,
        }
    }

    /// It runs until somebody ends it: a server that gives up by itself says why in its log.
    fn is_alive(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert_eq!(ended, None, "it ended by itself: {:#?}", self.said);
    }

    /// SIGKILL: nothing is tidied up.
    fn kill(mut self) {
        self.is_alive();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: it stops in order.
    fn stop(mut self) {
        self.is_alive();
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A failed test leaves no server behind.
        let _dead = self.child.kill();
    }
}

/// Where it serves, if a line of its log says so.
fn serving(line: &str) -> Option<String> {
    let said: serde_json::Value = serde_json::from_str(line).ok()?;
    let said = said
        .get("fields")
        .filter(|said| said["message"] == "serving")?;
    said["address"].as_str().map(str::to_owned)
}

/// What the clients share.
struct Load {
    token: String,
    /// Where the servers are, as far as anybody knows.
    addresses: Mutex<Vec<String>>,
    moved: Condvar,
    /// The entries that clients were told of, by the number that they gave their request.
    answered: Mutex<BTreeMap<u64, u64>>,
    told: Condvar,
    next: AtomicU64,
    done: AtomicBool,
}

impl Load {
    /// Asks, and asks again with the same key until it is answered, then the next.
    fn ask_until_done(&self) {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .new_agent();
        while !self.done.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let seq = loop {
                match self.ask(&agent, number) {
                    Some(seq) => break seq,
                    None if self.done.load(Ordering::SeqCst) => return,
                    None => self.wait_for_a_server(),
                }
            };
            self.answered.lock().unwrap().insert(number, seq);
            self.told.notify_all();
        }
    }

    fn ask(&self, agent: &ureq::Agent, number: u64) -> Option<u64> {
        let addresses = self.addresses.lock().unwrap().clone();
        let turn = usize::try_from(number).unwrap() % addresses.len().max(1);
        let address = addresses.get(turn)?;
        let answer = agent
            .post(format!("http://{address}/v1/parties"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header("idempotency-key", key(number))
            .send(body(number))
            .ok()?;
        let status = answer.status().as_u16();
        let text = answer.into_body().read_to_string().ok()?;
        // No answer, busy, or unknown: again. Anything else is a fault of the program.
        assert!(matches!(status, 200 | 201 | 503), "{status}: {text}");
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        answer["trail"]["index"].as_u64().filter(|_| status < 300)
    }

    /// Until a server is somewhere else, or for a moment.
    fn wait_for_a_server(&self) {
        let addresses = self.addresses.lock().unwrap();
        let _moved = self.moved.wait_timeout(addresses, A_MOMENT).unwrap();
    }

    fn announce(&self, servers: &[Server]) {
        let addresses = servers.iter().map(|server| server.address.clone());
        *self.addresses.lock().unwrap() = addresses.collect();
        self.moved.notify_all();
    }

    /// Waits until the clients were told of so many more entries.
    fn wait_for(&self, more: u64, servers: &mut [Server]) {
        let answered = self.answered.lock().unwrap();
        let goal = answered.len() as u64 + more;
        let too_few = |answered: &mut BTreeMap<u64, u64>| (answered.len() as u64) < goal;
        let waited = self
            .told
            .wait_timeout_while(answered, PATIENCE, too_few)
            .unwrap();
        servers.iter_mut().for_each(Server::is_alive);
        assert!(!waited.1.timed_out(), "the clients are not answered");
    }
}

fn key(number: u64) -> String {
    format!("party-{number:06}-of-this-test")
}

fn body(number: u64) -> String {
    let name = Sha256Hash::of(&number.to_be_bytes());
    serde_json::json!({ "roles": ["buyer"], "name": name }).to_string()
}

/// Tells the clients to end when it goes out of scope.
struct Done<'a>(&'a Load);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::SeqCst);
    }
}

/// Kills under load and starts again, then stops in order and looks at what is there.
fn kill_under_load(database: &Database, count: usize) {
    let folder = folder();
    let data: PathBuf = folder.path().join("data");
    let mut servers: Vec<_> = (0..count).map(|_| Server::start(&data, database)).collect();
    let load = Load {
        token: fs::read_to_string(data.join("operator.key"))
            .unwrap()
            .trim()
            .to_owned(),
        addresses: Mutex::default(),
        moved: Condvar::new(),
        answered: Mutex::default(),
        told: Condvar::new(),
        next: AtomicU64::new(0),
        done: AtomicBool::new(false),
    };
    load.announce(&servers);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| load.ask_until_done());
        }
        // However this ends, also by a failed step, the clients end too: the scope waits for them.
        let _done = Done(&load);
        for death in 0..DEATHS {
            let more = u64::from(std::process::id()).wrapping_mul(death + 7) % ANSWERS_MAX;
            load.wait_for(1 + more, &mut servers);
            servers.remove(0).kill();
            // The others go on; where there is none, the clients go on asking.
            load.announce(&servers);
            servers.push(Server::start(&data, database));
            load.announce(&servers);
        }
        load.wait_for(20, &mut servers);
    });
    servers.into_iter().for_each(Server::stop);
    look(database, &data, &load.answered.into_inner().unwrap());
}

/// Every acknowledged entry is in the log where its client was told; none is there twice; the published trail agrees.
fn look(database: &Database, data: &Path, answered: &BTreeMap<u64, u64>) {
    let (entries, _) = replay::audit(&mut database.connect());
    let mut seqs = BTreeMap::new();
    for entry in &entries {
        if let Some(cmd) = entry.cmd {
            assert_eq!(
                seqs.insert(cmd, entry.seq),
                None,
                "a command was done twice"
            );
        }
    }
    let exchange = entries.first().unwrap().by;
    for (number, seq) in answered {
        let cmd = Sha256Hash::of(format!("{exchange}\n{}", key(*number)).as_bytes());
        assert_eq!(seqs.get(&cmd), Some(seq), "request {number}");
    }
    let policy = Policy::parse(&fs::read(data.join("policy.txt")).unwrap()).unwrap();
    let mut trail = Trail::read(&data.join("trail"));
    let report = trail.audit(&policy);
    assert_eq!(report.verdict, Verdict::Agree, "{:?}", report.differences);
    assert_eq!(report.entries, entries.len() as u64);
}

#[test]
fn a_server_on_sqlite_is_killed_under_load() {
    kill_under_load(&Database::sqlite(), 1);
}

#[test]
fn a_server_on_postgresql_is_killed_under_load() {
    kill_under_load(&Database::postgres(), 1);
}

#[test]
fn one_of_two_servers_on_one_postgresql_is_killed_under_load() {
    kill_under_load(&Database::postgres(), 2);
}
