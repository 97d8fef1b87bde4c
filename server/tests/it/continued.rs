//! The log goes on under a new origin, with the programs themselves: its key is lost, or the newest backup is older than what the
//! world has seen. Nothing is signed twice under the old name, and an auditor who holds both folders agrees.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use server::store::Address;
use tempfile::TempDir;

use crate::support::{Database, Load, Server, checkpoint, folder, verifier_program};
use crate::witness::{get, wait_until};

const NEW: &str = "localhost/quan/2";

/// An exchange's folder.
struct Home {
    folder: TempDir,
    database: Database,
}

impl Home {
    fn new() -> Self {
        let folder = folder();
        let database = Database::at(Address::Sqlite(folder.path().join("data/quan.db")));
        fs::create_dir(folder.path().join("data")).unwrap();
        Self { folder, database }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn old(&self) -> PathBuf {
        self.data().join("trail")
    }

    fn new_trail(&self) -> PathBuf {
        self.data().join("trail-2")
    }

    /// Serves under load for so many entries; whoever asks goes on with the next ones.
    fn live(&self, load: Option<Load>, entries: u64) -> Load {
        let server = Server::start(&self.data(), &self.database);
        let load = load.unwrap_or_else(|| Load::new(&self.data()));
        self.under_load(&load, server, entries);
        load
    }

    fn under_load(&self, load: &Load, server: Server, entries: u64) {
        let mut servers = [server];
        load.announce(&servers);
        load.during(|| load.wait_for(entries, &mut servers));
        servers.into_iter().for_each(Server::stop);
    }

    /// Starts it under the new name.
    fn start_anew(&self) -> Server {
        let place = self.new_trail().display().to_string();
        let settings = [("QUAN_ORIGIN", NEW.to_owned()), ("QUAN_OBJECTS", place)];
        Server::start_in(&settings, &self.data(), &self.database)
    }

    fn go_on(&self, reason: &str, more: &[&str]) -> Output {
        let (from, place) = (self.old().join("checkpoint"), self.new_trail());
        let mut command = Command::new(env!("CARGO_BIN_EXE_quan"));
        command.args(["continue", "--reason", reason, "--origin", NEW]);
        command.args(["--from".as_ref(), from.as_os_str()]);
        command.args(["--database", &self.database.url(), "--data"]);
        command.arg(self.data());
        if !more.contains(&"--objects") {
            command.args(["--objects".as_ref(), place.as_os_str()]);
        }
        command.args(more).output().unwrap()
    }

    #[track_caller]
    fn is_refused(&self, reason: &str, more: &[&str], why: &str) {
        let output = self.go_on(reason, more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{said}");
    }

    #[track_caller]
    fn goes_on(&self, reason: &str, more: &[&str]) -> String {
        let output = self.go_on(reason, more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn audit(&self, more: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(verifier_program());
        command.arg("audit").arg(self.new_trail()).arg("--policy");
        command.arg(self.data().join("policy.txt")).args(more);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said)
    }
}

fn entries(server: &Server) -> String {
    let shown: serde_json::Value = serde_json::from_str(&get(server, "/v1/exchange")).unwrap();
    assert_eq!(shown["origin"], NEW);
    shown["entries"].to_string()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

#[test]
fn with_its_key_lost_the_log_goes_on_with_every_entry() {
    let home = Home::new();
    let load = home.live(None, 20);
    let (origin, size) = checkpoint(&home.data());
    assert_eq!(origin, "localhost/quan");
    let old_note = fs::read_to_string(home.old().join("checkpoint")).unwrap();
    fs::remove_file(home.data().join("log.key")).unwrap();
    let said = Server::refuses(&home.data(), &home.database);
    assert!(said.contains("continue under a new origin"), "{said}");

    home.is_refused("behind-world", &[], "lost-key is for at most as many");
    home.is_refused(
        "lost-key",
        &["--objects", &home.old().display().to_string()],
        "name an empty place",
    );
    let said = home.goes_on("lost-key", &[]);
    assert!(
        said.starts_with(&format!("the log goes on under {NEW}: entry {size}")),
        "{said}"
    );
    // Cut off behind the entry: what was published under the old name is there again.
    let restored = format!("UPDATE published SET size = {size}, note = '{old_note}'");
    home.database.execute(&restored);
    let place = home.new_trail().display().to_string();
    let settings = [("QUAN_ORIGIN", NEW.to_owned()), ("QUAN_OBJECTS", place)];
    let said = refuses_in(&settings, &home);
    assert!(said.contains("run `quan continue` again"), "{said}");
    assert_eq!(home.goes_on("lost-key", &[]).lines().count(), 6);
    // Under the old name nothing is served any more.
    let said = Server::refuses(&home.data(), &home.database);
    assert!(said.contains(NEW), "{said}");

    let server = home.start_anew();
    home.under_load(&load, server, 20);
    let (status, said) = home.audit(&[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("0 are lost"), "{said}");
    let old = home.old().display().to_string();
    let (status, said) = home.audit(&["--continues", &old]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("held to the whole trail of localhost/quan"),
        "{said}"
    );
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_quan"));
    doctor.args(["doctor", "--origin", NEW, "--data"]);
    doctor
        .arg(home.data())
        .arg("--objects")
        .arg(home.new_trail());
    let doctor = doctor.output().unwrap();
    assert!(doctor.status.success(), "{doctor:?}");
    // The old trail is as it was.
    assert_eq!(
        fs::read_to_string(home.old().join("checkpoint")).unwrap(),
        old_note
    );
}

fn refuses_in(settings: &[(&str, String)], home: &Home) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quan"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(home.data());
    command.envs(settings.iter().map(|(name, value)| (*name, value)));
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn behind_the_world_the_log_goes_on_with_what_is_left() {
    let home = Home::new();
    let load = home.live(None, 20);
    let backup = home.folder.path().join("backup.db");
    copy(&home.data().join("quan.db"), &backup);
    home.live(Some(load), 20);
    let (_, lost) = checkpoint(&home.data());
    for name in ["quan.db-wal", "quan.db-shm", "read.db"] {
        let _absent = fs::remove_file(home.data().join(name));
    }
    fs::remove_dir_all(home.data().join("snapshots")).unwrap();
    fs::copy(&backup, home.data().join("quan.db")).unwrap();
    let said = Server::refuses(&home.data(), &home.database);
    assert!(said.contains("trail.ahead"), "{said}");

    home.is_refused("lost-key", &[], "behind-world for more");
    let old = home.old().display().to_string();
    home.goes_on("behind-world", &["--old-objects", &old]);
    let server = home.start_anew();
    let kept = entries(&server);
    assert!(kept.parse::<u64>().unwrap() < lost, "{kept} {lost}");
    wait_until("published", || {
        get(&server, "/checkpoint").lines().nth(1) == Some(&kept)
    });
    assert!(get(&server, "/checkpoint").starts_with(&format!("{NEW}\n")));
    server.stop();
    let (status, said) = home.audit(&[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("are lost; whether it has shown more"),
        "{said}"
    );
    let (status, said) = home.audit(&["--continues", &old]);
    assert_eq!(status, Some(0), "{said}");
    // A copy of the old trail from before its end proves nothing of it.
    fs::remove_file(home.old().join("checkpoint")).unwrap();
    let (status, said) = home.audit(&["--continues", &old]);
    assert_eq!(status, Some(1), "{said}");
}
