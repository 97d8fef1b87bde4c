//! Room for a server's files that comes to an end, and can be made again.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use super::Server;
use super::cluster::is_root;

/// What else lies on the disk, and how large it is.
const OTHERS: &str = "others";
const OTHERS_MEGABYTES: usize = 64;

/// A file system of its own, of some megabytes. It is mounted where only a shell that we hold and what we start beside it see it,
/// so that nothing is left of it when the tests end in whatever way; and who is not root may do that too, on most systems.
pub(crate) struct Disk {
    shell: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Disk {
    /// Makes one with so much room, with so much room, or says why this system does not let us.
    pub(crate) fn mount(megabytes: usize) -> Result<Self, String> {
        let mut unshare = Command::new("unshare");
        unshare.arg("--mount");
        if !is_root() {
            unshare.arg("--map-root-user");
        }
        let pipes = unshare
            .arg("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut shell = pipes.spawn().map_err(|fault| format!("unshare: {fault}"))?;
        let mut disk = Self {
            asks: shell.stdin.take().unwrap(),
            answers: BufReader::new(shell.stdout.take().unwrap()),
            shell,
            folder: tempfile::tempdir().unwrap(),
        };
        let place = disk.folder.path().display().to_string();
        let size = megabytes + OTHERS_MEGABYTES;
        disk.ask(&format!("mount -t tmpfs -o size={size}m quan {place}"))?;
        let others = vec![0; OTHERS_MEGABYTES << 20];
        fs::write(disk.outside().join(OTHERS), others).unwrap();
        Ok(disk)
    }

    /// Deletes what is not the server's, as an operator would.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.outside().join(OTHERS)).unwrap();
    }

    fn ask(&mut self, command: &str) -> Result<(), String> {
        // A shell that may not be, or may not mount, is gone: its pipes say so.
        let _gone = writeln!(self.asks, "{command} 2>&1 && echo done");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        match answer.trim() {
            "done" => Ok(()),
            "" => Err("unshare is not permitted".to_owned()),
            why => Err(why.to_owned()),
        }
    }

    /// Its folder, as a server that is started beside it has it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a server's command line begins with, to start it beside the disk.
    pub(crate) fn beside(&self) -> Vec<String> {
        let shell = self.shell.id().to_string();
        let mut words = vec!["nsenter", "--target", &shell, "--mount"];
        if !is_root() {
            words.extend(["--user", "--preserve-credentials"]);
        }
        words.into_iter().map(str::to_owned).collect()
    }

    /// Its folder, as we have it.
    pub(crate) fn outside(&self) -> PathBuf {
        let root = Path::new("/proc")
            .join(self.shell.id().to_string())
            .join("root");
        root.join(self.folder().strip_prefix("/").unwrap())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = self.shell.kill();
        let _ended = self.shell.wait();
    }
}

/// What a server's command line begins with, so that [`may_grow`] can forbid its files to grow.
pub(crate) fn limited() -> Vec<String> {
    // Without this it would die of the first write that is too long, as programs do.
    let words = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
    words.map(str::to_owned).to_vec()
}

/// Lets no file of a server grow beyond so many bytes, as a quota does; `unlimited` lets them grow again.
pub(crate) fn may_grow(server: &Server, bytes: &str) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &server.id(), &format!("--fsize={bytes}:")]);
    assert!(prlimit.status().unwrap().success());
}
