//! A neighbour's office witnesses ours, with the programs themselves: nothing is published that it has not cosigned, commits do
//! not wait for it, and it stops a backup whose trail folder is as old as its database.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use server::store::Address;
use verifier::trail::note::Note;
use verifier::trail::policy::Policy;

use crate::support::process::{A_MOMENT, PATIENCE};
use crate::support::{Database, Load, Server, folder, quan_verify, verifier_program};

/// `quan-verify witness`, running.
pub(crate) struct Neighbour {
    child: Child,
    /// Its line for policies.
    pub(crate) line: String,
}

impl Neighbour {
    pub(crate) fn start(home: &Path, log: &str, listen: &str) -> Self {
        fs::create_dir_all(home).unwrap();
        let policy = home.join("policy.txt");
        fs::write(&policy, format!("{log}\nquorum none\n")).unwrap();
        let mut child = Command::new(verifier_program())
            .args(["witness", "--name", "neighbour", "--listen", listen])
            .arg("--policy")
            .arg(policy)
            .arg("--data")
            .arg(home.join("data"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        Self { child, line }
    }

    fn address(&self) -> &str {
        self.line.trim_end().split_once("http://").unwrap().1
    }

    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.address().to_owned()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _waited = self.child.wait();
    }
}

pub(crate) fn get(server: &Server, path: &str) -> String {
    // Before the first checkpoint is published, it is answered 503.
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = config.build().new_agent();
    let answer = agent.get(format!("http://{}{path}", server.address)).call();
    answer.unwrap().body_mut().read_to_string().unwrap()
}

/// The size of the published checkpoint, which satisfies the policy.
pub(crate) fn published(server: &Server, policy: &Policy) -> u64 {
    let note = get(server, "/checkpoint");
    let verified = policy.check(&Note::parse(note.as_bytes()).unwrap());
    verified.unwrap().checkpoint().size().get()
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(A_MOMENT);
    }
}

fn copy_all(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

pub(crate) fn entries(server: &Server) -> u64 {
    let health: serde_json::Value = serde_json::from_str(&get(server, "/health")).unwrap();
    health["entries"].as_u64().unwrap()
}

#[test]
fn nothing_is_published_without_the_neighbour_and_no_old_backup_starts() {
    let folder = folder();
    let data = folder.path().join("data");
    let database = Database::at(Address::Sqlite(data.join("quan.db")));
    // Keys and policy are there once it serves.
    Server::start(&data, &database).kill();
    let log = fs::read_to_string(data.join("policy.txt")).unwrap();
    let log = log.lines().next().unwrap().to_owned();
    let home = folder.path().join("neighbour");
    let neighbour = Neighbour::start(&home, &log, "127.0.0.1:0");
    let policy = format!("{log}\n{}quorum neighbour\n", neighbour.line);
    fs::write(data.join("policy.txt"), &policy).unwrap();
    let policy = Policy::parse(policy.as_bytes()).unwrap();

    let server = Server::start(&data, &database);
    wait_until("cosigned", || {
        get(&server, "/checkpoint").contains("— neighbour ")
    });
    let load = Load::new(&data);
    let mut servers = [server];
    load.announce(&servers);
    load.during(|| load.wait_for(20, &mut servers));
    let [server] = servers;
    let health = get(&server, "/health");
    assert!(health.contains("\"name\":\"neighbour\""), "{health}");
    let up = "quan_witness_up{witness=\"neighbour\",code=\"\"} 1\n";
    wait_until("up", || get(&server, "/metrics").contains(up));
    let notes: u64 = get(&server, "/history/count").trim().parse().unwrap();
    assert!(notes >= 1);
    server.stop();
    copy_all(&data, &folder.path().join("backup"));

    // Without it, commands are answered; what is published stays where it is, and health says why.
    let server = Server::start(&data, &database);
    let before = published(&server, &policy);
    let address = neighbour.kill();
    let mut servers = [server];
    load.announce(&servers);
    load.during(|| load.wait_for(20, &mut servers));
    let [server] = servers;
    wait_until("named", || {
        get(&server, "/health").contains("trail.witness-unreachable")
    });
    assert_eq!(published(&server, &policy), before);
    assert!(entries(&server) > before);
    let neighbour = Neighbour::start(&home, &log, &address);
    wait_until("published", || {
        published(&server, &policy) == entries(&server)
    });
    server.stop();
    let audit = quan_verify(&data.join("trail"), &data.join("policy.txt"));
    let said = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.status.success(), "{said}");

    // A backup of everything, trail folder included, is consistent in itself: only the neighbour knows better.
    fs::remove_dir_all(&data).unwrap();
    copy_all(&folder.path().join("backup"), &data);
    let said = Server::refuses(&data, &database);
    assert!(
        said.contains("trail.ahead: the witness neighbour"),
        "{said}"
    );
    drop(neighbour);
}
