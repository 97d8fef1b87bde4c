//! `quan-verify fetch` and `audit` of an address, against a small server that can lie; its exit codes.
#![expect(
    clippy::disallowed_methods,
    reason = "the command is tested on real files and a real socket"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use crate::fuzz::noise::{Noise, count, mutated};
use crate::log_keys;
use crate::past;
use crate::story::{self, Story, Trail};

/// The key that may read bundles.
const TOKEN: &str = "a-regulators-key";

/// Serves a trail's files until the test ends.
struct Server {
    address: String,
    files: Arc<Mutex<Trail>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(trail: Trail) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (files, asked) = (Arc::new(Mutex::new(trail)), Arc::default());
        let (served, seen) = (Arc::clone(&files), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (served, seen) = (Arc::clone(&served), Arc::clone(&seen));
                thread::spawn(move || answer(stream, &served, &seen));
            }
        });
        Self {
            address,
            files,
            asked,
        }
    }

    fn serve(&self, trail: Trail) {
        *self.files.lock().unwrap() = trail;
    }

    fn change(&self, name: &str) {
        let mut files = self.files.lock().unwrap();
        let bytes = files.0.get_mut(name).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, files: &Mutex<Trail>, asked: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    let name = first.split(' ').nth(1).unwrap_or_default();
    let name = name.trim_start_matches('/').to_owned();
    let head: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let bearer = format!("Bearer {TOKEN}");
    let may = !name.starts_with("tile/entries/") || head.iter().any(|line| line.contains(&bearer));
    let body = files.lock().unwrap().0.get(&name).cloned();
    asked.lock().unwrap().push(name);
    let (status, body) = match body {
        _ if !may => ("401 Unauthorized", Vec::new()),
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _gone = stream.write_all(&[head.as_bytes(), &body].concat());
}

/// Where a regulator keeps its copy.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("policy.txt"), past::policy_text()).unwrap();
        Self { folder }
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quan-verify"));
        command.current_dir(&self.folder).env("QUAN_TOKEN", TOKEN);
        command.args(words).args(["--policy", "policy.txt"]);
        command.output().unwrap()
    }

    #[track_caller]
    fn fetches(&self, server: &Server, code: i32) -> String {
        exits(&self.run(&["fetch", &server.address, "copy"]), code)
    }

    #[track_caller]
    fn audits(&self, code: i32) -> String {
        exits(&self.run(&["audit", "copy"]), code)
    }
}

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{page}{said}");
    format!("{page}{said}")
}

fn known(copy: &Path) -> usize {
    fs::read_dir(copy.join("known")).unwrap().count()
}

#[test]
fn a_copy_is_made_brought_up_to_date_and_audited() {
    let (story, more) = (Story::of(300), Story::of(700));
    let server = Server::start(past::seen_at(&story, &[0, 100, 300]));
    let desk = Desk::new();
    let page = desk.fetches(&server, 0);
    assert!(page.contains("300 entries, 300 of them new"), "{page}");
    let page = desk.audits(0);
    assert!(page.contains("of 300 of 300 entries are bounded"), "{page}");
    server.asked();
    let page = desk.fetches(&server, 0);
    assert!(page.contains("300 entries, 0 of them new"), "{page}");
    assert!(!server.asked().contains(&"tile/entries/000".to_owned()));
    server.serve(past::seen_at(&more, &[0, 100, 300, 301, 512, 700]));
    let page = desk.fetches(&server, 0);
    assert!(page.contains("700 entries, 400 of them new"), "{page}");
    let asked = server.asked();
    assert!(!asked.contains(&"tile/entries/000".to_owned()), "{asked:?}");
    let page = desk.audits(0);
    assert!(page.contains("held to 2 checkpoints"), "{page}");
    assert_eq!(known(&desk.copy()), 2);
}

#[test]
fn a_copy_follows_a_rotation_of_the_logs_key() {
    let (policy, [overlap, after]) = log_keys::told();
    let desk = Desk::new();
    let file = desk.folder.path().join("policy.txt");
    fs::write(&file, &policy).unwrap();
    let server = Server::start(overlap);
    desk.fetches(&server, 0);
    desk.audits(0);
    server.serve(after.clone());
    desk.fetches(&server, 0);
    let page = desk.audits(0);
    assert!(page.contains("held to 2 checkpoints"), "{page}");
    // Whoever knows the old key alone is told that another one signs.
    let old = policy.lines().next().unwrap().to_owned();
    fs::write(&file, format!("{old}\nquorum none\n")).unwrap();
    let page = desk.fetches(&server, 1);
    assert!(page.contains("trail.signature"), "{page}");
}

#[test]
fn an_address_is_audited_through_its_copy() {
    let server = Server::start(past::seen_at(&Story::of(300), &[300]));
    let desk = Desk::new();
    let page = exits(&desk.run(&["audit", &server.address, "--into", "copy"]), 0);
    assert!(
        page.starts_with("agree: localhost/quan, 300 entries"),
        "{page}"
    );
    exits(&desk.run(&["audit", &server.address]), 2);
    exits(&desk.run(&["audit", "copy", "--into", "other"]), 2);
}

#[test]
fn without_the_right_key_nothing_is_called_checked() {
    let server = Server::start(past::seen_at(&Story::of(300), &[]));
    let desk = Desk::new();
    let fetch = ["fetch", &server.address, "copy", "--token", "another"];
    let page = exits(&desk.run(&fetch), 2);
    assert!(page.contains("regulator's key"), "{page}");
    // It goes on from what it could have.
    desk.fetches(&server, 0);
    desk.audits(0);
}

#[test]
fn what_the_log_has_not_signed_is_not_copied() {
    let honest = past::seen_at(&Story::of(700), &[0, 256, 700]);
    let files = [
        "checkpoint",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/188",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/002.p/188",
        "history/000.p/3",
    ];
    for name in files {
        let server = Server::start(honest.clone());
        let desk = Desk::new();
        server.change(name);
        let page = desk.fetches(&server, 1);
        assert!(page.starts_with("differ: "), "{page}");
        assert!(page.contains(name), "{name}: {page}");
        assert!(!desk.copy().join(name).exists(), "{name}");
        assert!(!desk.copy().join("checkpoint").exists(), "{name}");
        server.serve(honest.clone());
        desk.fetches(&server, 0);
        desk.audits(0);
    }
    for name in files {
        let server = Server::start(honest.clone());
        server.files.lock().unwrap().0.remove(name);
        let code = if name == "checkpoint" { 2 } else { 1 };
        Desk::new().fetches(&server, code);
    }
}

#[test]
fn a_shorter_log_is_a_rollback_and_another_a_fork() {
    let story = Story::of(600);
    let server = Server::start(past::seen_at(&story, &[]));
    let desk = Desk::new();
    desk.fetches(&server, 0);
    let before = fs::read(desk.copy().join("tile/0/000")).unwrap();
    server.serve(past::seen_at(&Story::of(500), &[]));
    let page = desk.fetches(&server, 1);
    assert!(page.contains("trail.rollback"), "{page}");
    for size in [600, 700, 1100] {
        let mut other = Story::of(size);
        other.entries[3] = other.entries[4].clone();
        server.serve(past::seen_at(&other, &[]));
        let page = desk.fetches(&server, 1);
        assert!(page.contains("trail.fork"), "{size}: {page}");
    }
    assert_eq!(fs::read(desk.copy().join("tile/0/000")).unwrap(), before);
    // The copy is as it was, and what it has seen since accuses the log.
    let page = desk.audits(1);
    assert!(page.contains("trail.fork"), "{page}");
    assert!(page.contains("trail.rollback"), "{page}");
}

#[test]
fn a_damaged_copy_is_mended_where_the_fetch_needs_it() {
    let server = Server::start(past::seen_at(&Story::of(300), &[]));
    let desk = Desk::new();
    desk.fetches(&server, 0);
    fs::remove_file(desk.copy().join("checkpoint")).unwrap();
    for name in ["tile/0/000", "tile/entries/000"] {
        fs::write(desk.copy().join(name), "x").unwrap();
    }
    fs::write(desk.copy().join("tile/0/000.unfinished"), "x").unwrap();
    desk.fetches(&server, 0);
    desk.audits(0);
}

#[test]
fn a_memory_is_kept_and_the_log_is_held_to_it() {
    let server = Server::start(past::seen_at(&Story::of(300), &[]));
    let desk = Desk::new();
    desk.fetches(&server, 0);
    let remember = ["audit", "copy", "--remember", "memory"];
    let page = exits(&desk.run(&remember), 0);
    assert!(page.contains("no earlier checkpoint") || page.contains("held to 1"));
    let memory = desk.folder.path().join("memory");
    let kept = fs::read(&memory).unwrap();
    assert_eq!(kept, fs::read(desk.copy().join("checkpoint")).unwrap());
    exits(&desk.run(&remember), 0);
    // The whole copy is put back to an earlier state, memory and all.
    fs::remove_dir_all(desk.copy()).unwrap();
    server.serve(past::seen_at(&Story::of(200), &[]));
    desk.fetches(&server, 0);
    desk.audits(0);
    let page = exits(&desk.run(&remember), 1);
    assert!(page.contains("trail.rollback"), "{page}");
    assert_eq!(fs::read(&memory).unwrap(), kept);
    let page = exits(&desk.run(&["audit", "copy", "--known", "memory"]), 1);
    assert!(page.contains("trail.rollback"), "{page}");
    fs::write(&memory, "x").unwrap();
    exits(&desk.run(&remember), 2);
    exits(&desk.run(&["audit", "copy", "--known", "nowhere"]), 2);
}

#[test]
fn a_clock_judges_how_fresh_the_head_is() {
    let server = Server::start(past::seen_at(&Story::of(30), &[]));
    let desk = Desk::new();
    desk.fetches(&server, 0);
    let at = |time: u64| desk.run(&["audit", "copy", "--now", &time.to_string()]);
    exits(&at(past::START + 60), 0);
    assert!(exits(&at(past::START + 7_200), 1).contains("trail.stale"));
    assert!(exits(&at(past::START - 7_200), 1).contains("trail.cosignature-future"));
    assert_eq!(story::ORIGIN, "localhost/quan");
}

/// The files of a copy below `tile/`.
fn tree(folder: &Path, prefix: &str, found: &mut Vec<(String, Vec<u8>)>) {
    for item in fs::read_dir(folder).into_iter().flatten() {
        let path = item.unwrap().path();
        let name = format!("{prefix}/{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            tree(&path, &name, found);
        } else {
            found.push((name, fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn whatever_a_server_sends_the_copy_holds_what_is_signed_and_is_whole_the_next_time() {
    let honest = past::seen_at(&Story::of(300), &[0, 100, 300]);
    let names: Vec<String> = honest.0.keys().cloned().collect();
    let server = Server::start(honest.clone());
    for round in 0..count().div_ceil(15) {
        let mut noise = Noise::new("fetch", round);
        let name = noise.pick(&names).clone();
        let mut other = honest.clone();
        let bytes = mutated(&[honest.0[&name].clone()], &mut noise);
        other.0.insert(name.clone(), bytes);
        server.serve(other);
        let desk = Desk::new();
        let output = desk.run(&["fetch", &server.address, "copy"]);
        let said = String::from_utf8_lossy(&output.stderr);
        let ends = output.status.code().is_some_and(|code| code < 3);
        assert!(
            ends && !said.contains("panicked"),
            "round {round}: {name}: {said}"
        );
        let mut copied = Vec::new();
        tree(&desk.copy().join("tile"), "tile", &mut copied);
        for (file, bytes) in copied {
            assert!(
                honest.0.get(&file) == Some(&bytes),
                "round {round}: {name}: {file}"
            );
        }
        server.serve(honest.clone());
        desk.fetches(&server, 0);
    }
}
