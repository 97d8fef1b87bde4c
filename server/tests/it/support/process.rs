//! The program itself, as a process that can be killed, starved and stopped.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::Database;

/// A server that is started is up long before this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(10);

/// One `quan serve`.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    said: Arc<Log>,
}

/// The lines of a server's log so far.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Log {
    /// Keeps the lines until the server ends, and tells where it serves.
    fn listen(&self, log: ChildStderr, tell: &mpsc::Sender<String>) {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some(address) = serving(&line) {
                let _waiting = tell.send(address);
            }
            self.lines.lock().unwrap().push(line);
            self.more.notify_all();
        }
    }
}

impl Server {
    /// Starts it and waits until it says where it serves.
    pub(crate) fn start(data: &Path, database: &Database) -> Self {
        Self::start_under(&[], data, database)
    }

    /// Starts it in an environment.
    pub(crate) fn start_in(
        settings: &[(&'static str, String)],
        data: &Path,
        database: &Database,
    ) -> Self {
        Self::spawn(within(settings, data, database))
    }

    /// Starts it in an environment as a supervisor does: again, where it ends before it serves.
    pub(crate) fn start_again_in(
        settings: &[(&'static str, String)],
        data: &Path,
        database: &Database,
    ) -> Self {
        let start = || Self::serving(within(settings, data, database));
        let mut attempts = (0..20).map(|_| start());
        attempts.find_map(Result::ok).unwrap()
    }

    /// Starts it by another program, which becomes it: what comes before its own name on the command line.
    pub(crate) fn start_under(before: &[String], data: &Path, database: &Database) -> Self {
        Self::spawn(serve(before, data, database))
    }

    fn spawn(command: Command) -> Self {
        let served = Self::serving(command);
        served.unwrap_or_else(|said| panic!("it does not serve: {said:#?}"))
    }

    /// It serves, or what it said as it ended.
    fn serving(mut command: Command) -> Result<Self, Arc<Log>> {
        let mut child = command.spawn().unwrap();
        let log = child.stderr.take().unwrap();
        let (tell, told) = mpsc::channel();
        let said = Arc::new(Log::default());
        let heard = Arc::clone(&said);
        thread::spawn(move || heard.listen(log, &tell));
        let Ok(address) = told.recv_timeout(PATIENCE) else {
            let _dead = child.kill();
            let _waited = child.wait();
            return Err(said);
        };
        Ok(Self {
            child,
            address,
            said,
        })
    }

    /// Runs one that must refuse to serve, and returns what it said as it ended by itself.
    pub(crate) fn refuses(data: &Path, database: &Database) -> String {
        let mut child = serve(&[], data, database).spawn().unwrap();
        let (tell, told) = mpsc::channel();
        let said = Log::default();
        said.listen(child.stderr.take().unwrap(), &tell);
        assert!(!child.wait().unwrap().success());
        assert!(told.try_recv().is_err(), "it served: {said:#?}");
        said.lines.into_inner().unwrap().join("\n")
    }

    /// It runs until somebody ends it: a server that gives up by itself says why in its log.
    pub(crate) fn is_alive(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert_eq!(ended, None, "it ended by itself: {:#?}", self.said);
    }

    /// Waits until a line of its log has this text in it.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        let lines = self.said.lines.lock().unwrap();
        let unsaid = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(text));
        let waited = self.said.more.wait_timeout_while(lines, PATIENCE, unsaid);
        let (lines, waited) = waited.unwrap();
        let lines = lines.clone();
        assert!(!waited.timed_out(), "it does not say {text:?}: {lines:#?}");
    }

    /// The status of `/health`.
    pub(crate) fn health(&self) -> u16 {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.build().new_agent();
        let answer = agent.get(format!("http://{}/health", self.address)).call();
        answer.unwrap().status().as_u16()
    }

    /// Waits until `/health` has this status, with nobody asking for anything else.
    #[track_caller]
    pub(crate) fn comes_to(&self, status: u16) {
        let begun = Instant::now();
        while self.health() != status {
            assert!(begun.elapsed() < PATIENCE, "it is never {status}");
            // It says something, or a moment passes.
            let lines = self.said.lines.lock().unwrap();
            let _more = self.said.more.wait_timeout(lines, A_MOMENT).unwrap();
        }
    }

    /// SIGKILL: nothing is tidied up.
    pub(crate) fn kill(mut self) {
        self.is_alive();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: it stops in order.
    pub(crate) fn stop(mut self) {
        self.is_alive();
        let kill = Command::new("kill").args(["-TERM", &self.id()]).status();
        assert!(kill.unwrap().success());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}: {:#?}", self.said);
    }

    /// Its process's number.
    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A failed test leaves no server behind.
        let _dead = self.child.kill();
    }
}

fn within(settings: &[(&'static str, String)], data: &Path, database: &Database) -> Command {
    let mut command = serve(&[], data, database);
    command.envs(settings.iter().map(|(name, value)| (*name, value)));
    command
}

fn serve(before: &[String], data: &Path, database: &Database) -> Command {
    let mut words: Vec<_> = before.iter().map(String::as_str).collect();
    words.push(env!("CARGO_BIN_EXE_quan"));
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
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
        .stderr(Stdio::piped());
    command
}

/// Where it serves, if a line of its log says so.
fn serving(line: &str) -> Option<String> {
    let said: serde_json::Value = serde_json::from_str(line).ok()?;
    let said = said
        .get("fields")
        .filter(|said| said["message"] == "serving")?;
    said["address"].as_str().map(str::to_owned)
}

/// Runs `quan-verify audit` on a folder, as a regulator does.
pub(crate) fn quan_verify(trail: &Path, policy: &Path) -> Output {
    let mut command = Command::new(verifier_program());
    command.arg("audit").arg(trail).arg("--policy").arg(policy);
    command.output().unwrap()
}

/// `quan-verify` with these arguments and a key to fetch with.
pub(crate) fn quan_verify_as(token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(verifier_program());
    command.args(arguments).env("QUAN_TOKEN", token);
    command.output().unwrap()
}

/// `quan-verify` is another package's program: cargo builds it beside ours, and names it to that package's tests only.
pub(crate) fn verifier_program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_quan")).with_file_name("quan-verify");
    assert!(
        program.is_file(),
        "{} is not built; type: cargo build --workspace --bins",
        program.display()
    );
    program
}
