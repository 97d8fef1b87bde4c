//! A private PostgreSQL cluster: made at first use, on a free port, gone when the test process ends in whatever way.
//!
//! Root may not run PostgreSQL, so root lends it the user `postgres` (setpriv). The kernel sends the postmaster SIGINT, a fast
//! stop, when the thread that started it ends; that thread lives as long as the tests.

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
}

/// The cluster of this run.
pub(crate) fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(FOR_TESTS))
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
        remove_leftovers();
        let programs = programs();
        let folder = env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
        let data = folder.join("data");
        fs::create_dir(&folder).unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres:").arg(&folder));
        }
        run(as_postgres(programs.join("initdb"))
            .args([
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "--username=postgres",
                "-D",
            ])
            .arg(&data));
        let (tell, told) = mpsc::channel();
        let server = programs.join("postgres");
        thread::spawn(move || keep_running((&server, settings), &data, &tell));
        let started = told.recv().expect("the thread says how it went");
        Self {
            port: started.expect("PostgreSQL starts"),
        }
    }
}

/// Starts the server, says its port once it answers, then reads its log until the tests end.
fn keep_running(
    (program, settings): (&Path, &[&str]),
    data: &Path,
    tell: &mpsc::Sender<Result<u16, String>>,
) {
    let mut log = Vec::new();
    for _ in 0..5 {
        // Another process may take the port before PostgreSQL does: then the next one.
        let port = free_port();
        let mut server = as_postgres(program)
            .arg("-D")
            .arg(data)
            .args([
                "-p",
                &port.to_string(),
                "-h",
                "127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            .args(settings)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        for line in BufReader::new(server.stderr.take().unwrap()).lines() {
            let line = line.unwrap_or_default();
            if line.contains("ready to accept connections") {
                tell.send(Ok(port)).unwrap();
            }
            log.push(line);
            // What it says at a start matters, not what it says about the tests' statements.
            log.truncate(100);
        }
        let _ended = server.wait();
    }
    tell.send(Err(log.join("\n"))).unwrap();
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

fn is_root() -> bool {
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
        let Some(process) = name.to_str().and_then(|name| name.strip_prefix(FOLDER)) else {
            continue;
        };
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
