//! Clients that other people wrote, as processes: their answers are about our server, their environment is nobody's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use tempfile::TempDir;

/// One run of a client, not started yet.
pub(crate) struct Foreign {
    command: Command,
    home: TempDir,
}

impl Foreign {
    /// `tests/clients/NAME`: Python for `.py`, Node for `.mjs`.
    pub(crate) fn script(name: &str) -> Self {
        let clients = clients();
        let script = root().join("tests/clients").join(name);
        assert!(script.is_file(), "{} is not there", script.display());
        let mut foreign = if name.ends_with(".py") {
            Self::tool(&clients.join("venv/bin/python").display().to_string())
        } else {
            Self::tool("node")
        };
        foreign.command.arg(script);
        foreign
    }

    /// A program of the system, or at a path. Nothing of whoever runs the tests reaches it: no proxy, no token, no cache, no home.
    pub(crate) fn tool(program: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command
            .env_clear()
            .current_dir(home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .env("HF_HOME", home.path().join("hf"))
            .env("QUAN_NPM", clients().join("npm"));
        for (name, value) in [
            ("HF_HUB_DISABLE_XET", "1"),
            ("HF_HUB_DISABLE_TELEMETRY", "1"),
            ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
            ("LANG", "C.UTF-8"),
            ("NO_PROXY", "*"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ] {
            command.env(name, value);
        }
        Self { command, home }
    }

    /// Where it runs; gone when it is dropped.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn args<A: AsRef<std::ffi::OsStr>>(
        mut self,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        self.command.args(args);
        self
    }

    /// Runs it to its end, once more if it is called once more.
    pub(crate) fn run(&mut self) -> Output {
        let ran = self.command.output();
        ran.unwrap_or_else(|fault| panic!("{:?}: {fault}; {ADVICE}", self.command.get_program()))
    }

    /// Runs it, insists on exit status 0 and returns what it printed.
    #[track_caller]
    pub(crate) fn succeeds(&mut self) -> String {
        let ran = self.run();
        let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{}\n{printed}\n{said}", ran.status);
        printed
    }

    /// Starts it, to talk with it by lines.
    pub(crate) fn start(mut self) -> Talk {
        let piped = self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        Talk {
            asks: child.stdin.take().unwrap(),
            says: BufReader::new(child.stdout.take().unwrap()),
            child,
            _home: self.home,
        }
    }
}

/// A client that runs: it prints a line where it waits for one.
pub(crate) struct Talk {
    child: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
    _home: TempDir,
}

impl Talk {
    /// Its next line.
    #[track_caller]
    pub(crate) fn hears(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it ended: {:?}", self.child.wait());
        line.trim_end().to_owned()
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.asks, "{line}").unwrap();
    }

    /// It ends by itself, and well.
    #[track_caller]
    pub(crate) fn ends(mut self) {
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}");
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // A failed test leaves no client behind.
        let _dead = self.child.kill();
    }
}

const ADVICE: &str = "run ./scripts/clients";

/// What `scripts/clients` made. A test without it fails: one that is left out would look like one that passed.
fn clients() -> PathBuf {
    let clients = root().join("target/clients");
    for made in ["python.pins", "npm.pins"] {
        let is_there = clients.join(made).is_file();
        assert!(is_there, "{} is not there; {ADVICE}", clients.display());
    }
    clients
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
