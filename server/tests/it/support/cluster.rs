//! Private PostgreSQL clusters: on a free port, gone when the test process ends in whatever way. The tests share one, made at
//! first use; a test that stops one has its own.
//!
//! Root may not run PostgreSQL, so root lends it the user `postgres` (setpriv). The kernel sends the postmaster SIGINT, a fast
//! stop, when the thread that started it ends; that thread lives as long as the server, at most as long as the tests.

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::{env, fs, thread};

const FOLDER: &str = "quan-test-postgres-";
const MISSING: &str = "PostgreSQL's initdb and postgres are neither in PATH nor in /usr/lib/postgresql/*/bin. The tests start \
    their own server and need only the programs; on Debian or Ubuntu type: apt-get install -y postgresql";

/// The tests kill servers, not machines. Each test has a few connections.
const FOR_TESTS: &[&str] = &["-c", "fsync=off", "-c", "max_connections=200"];

#[derive(Debug)]
pub(crate) struct Cluster {
    port: u16,
    data: PathBuf,
    settings: &'static [&'static str],
}

/// The cluster of this run.
pub(crate) fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(FOR_TESTS))
}

/// One that a test may stop: its own.
pub(crate) fn private() -> Cluster {
    Cluster::start(FOR_TESTS)
}

impl Cluster {
    pub(crate) fn uri(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs one statement as the superuser.
    pub(crate) fn execute(&self, statement: &str) {
        let mut conn = PgConnection::establish(&self.uri("postgres")).unwrap();
        diesel::sql_query(statement).execute(&mut conn).unwrap();
    }

    /// Starts one with settings of its own.
    pub(crate) fn start(settings: &'static [&'static str]) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        remove_leftovers();
        let number = MADE.fetch_add(1, Ordering::SeqCst);
        let folder = env::temp_dir().join(format!("{FOLDER}{}-{number}", std::process::id()));
        let data = folder.join("data");
        fs::create_dir(&folder).unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres:").arg(&folder));
        }
        run(as_postgres(programs().join("initdb"))
            .args([
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "--username=postgres",
                "-D",
            ])
            .arg(&data));
        let mut cluster = Self {
            port: free_port(),
            data,
            settings,
        };
        for _ in 0..5 {
            match cluster.serve() {
                Ok(()) => return cluster,
                // Another process may take the port before PostgreSQL does: then the next one.
                Err(_) => cluster.port = free_port(),
            }
        }
        cluster.start_again();
        cluster
    }

    /// Stops it as a crash would: nothing is written out, and every connection breaks. The next start recovers.
    pub(crate) fn stop_at_once(&self) {
        run(as_postgres(programs().join("pg_ctl"))
            .args(["stop", "-m", "immediate", "-D"])
            .arg(&self.data));
    }

    /// Starts it on the port that it had.
    pub(crate) fn start_again(&self) {
        self.serve()
            .unwrap_or_else(|log| panic!("PostgreSQL does not start: {log}"));
    }

    /// Returns once it answers, or its log if it ends before.
    fn serve(&self) -> Result<(), String> {
        let mut server = as_postgres(programs().join("postgres"));
        server
            .arg("-D")
            .arg(&self.data)
            .args([
                "-p",
                &self.port.to_string(),
                "-h",
                "127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            .args(self.settings)
            .stderr(Stdio::piped());
        let (tell, told) = mpsc::channel();
        thread::spawn(move || keep_running(server, &tell));
        told.recv().expect("the thread says how it went")
    }
}

/// Runs the server, says once it answers, then reads its log until it ends.
fn keep_running(mut server: Command, tell: &mpsc::Sender<Result<(), String>>) {
    let mut server = server.spawn().unwrap();
    let mut log = Vec::new();
    for line in BufReader::new(server.stderr.take().unwrap()).lines() {
        let line = line.unwrap_or_default();
        if line.contains("ready to accept connections") {
            tell.send(Ok(())).unwrap();
        }
        log.push(line);
        // What it says at a start matters, not what it says about the tests' statements.
        log.truncate(100);
    }
    let _ended = server.wait();
    // Nobody listens any more where it ended later.
    let _unheard = tell.send(Err(log.join("\n")));
}

/// A command as a user who may run PostgreSQL, told to stop (SIGINT) when the calling thread ends.
fn as_postgres(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args([
            "--reuid",
            "postgres",
            "--regid",
            "postgres",
            "--init-groups",
        ]);
    }
    command
        .args(["--pdeathsig", "INT"])
        .arg(program)
        .current_dir("/");
    command
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The folder with the programs: the newest version under /usr/lib/postgresql, else from PATH.
pub(crate) fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .collect();
    found.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let known = found.into_iter().rev().map(|(_, folder)| folder);
    known
        .chain(env::split_paths(&path))
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .expect(MISSING)
}

/// Removes the folders of runs that are over: their process and their server are gone.
fn remove_leftovers() {
    for entry in fs::read_dir(env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix(FOLDER)) else {
            continue;
        };
        let process = name.split_once('-').map_or(name, |(process, _)| process);
        let folder = entry.path();
        let lives = |process: &str| Path::new("/proc").join(process).exists();
        let server = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        let served = server
            .lines()
            .next()
            .is_some_and(|server| lives(server.trim()));
        if !lives(process) && !served {
            // Another run may be removing it at the same time.
            let _removed = fs::remove_dir_all(folder);
        }
    }
}
