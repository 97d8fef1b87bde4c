//! The floors of the house (STYLE §1): who may use whom, where SQL lives, who writes the log.
//!
//! These tests read the sources. A file that breaks a floor is named with its line.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(&Path::new(ROOT).join(folder), &mut found);
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The lines of code: no comments, and nothing of a `#[cfg(test)]` module at the end of a file.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn name(path: &Path) -> String {
    let full = path.to_string_lossy().replace('\\', "/");
    full.split_once("/../")
        .map_or(full.clone(), |(_, rest)| rest.to_owned())
}

fn offenders(folder: &str, excused: &[&str], words: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, text) in sources(folder) {
        let name = name(&path);
        if excused.iter().any(|start| name.starts_with(start)) || is_test(&name) {
            continue;
        }
        for (number, line) in code(&text) {
            if words.iter().any(|word| line.contains(word)) {
                lines.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    lines
}

/// A file that is a test from its first line.
fn is_test(name: &str) -> bool {
    [
        "tests.rs",
        "scenarios.rs",
        "laws.rs",
        "stories.rs",
        "vectors.rs",
    ]
    .iter()
    .any(|end| name.ends_with(&format!("/{end}")))
}

fn assert_none(lines: &[String], rule: &str) {
    assert!(lines.is_empty(), "{rule}:\n{}", lines.join("\n"));
}

#[test]
fn the_verifier_has_no_clock_no_files_no_randomness_no_hash_order() {
    let words = [
        "SystemTime",
        "Instant::now",
        "std::fs",
        "std::net",
        "std::env",
        "HashMap",
        "HashSet",
        "rand::",
        "getrandom",
        "std::thread",
        "tokio",
        "f64",
        "f32",
    ];
    // Strict JSON must name `f64` to refuse it; the command reads the files that the library does not; an audit's hashes and
    // signatures are checked on every core, which no verdict depends on.
    let excused = [
        "verifier/src/audit/ahead.rs",
        "verifier/src/audit/lanes.rs",
        "verifier/src/bin/",
        "verifier/src/json.rs",
        "verifier/src/json/canonical.rs",
        // Tests, as `tests.rs` everywhere.
        "verifier/src/settlement/scenarios.rs",
    ];
    assert_none(
        &offenders("verifier/src", &excused, &words),
        "the verifier is pure",
    );
}

#[test]
fn sql_lives_in_the_store_alone() {
    let words = ["diesel::", "use diesel", "sql_query", "store::schema"];
    let excused = ["server/src/store.rs", "server/src/store/"];
    assert_none(
        &offenders("server/src", &excused, &words),
        "SQL outside store",
    );
}

#[test]
fn only_the_log_writes_entries_head_and_tree_edge() {
    let writes = [
        "insert_into(entries",
        "update(head::",
        "delete(entries",
        "INSERT INTO entries",
        "UPDATE head",
    ];
    let excused = ["server/src/store/log.rs"];
    assert_none(
        &offenders("server/src", &excused, &writes),
        "a second writer of the log",
    );
    let log = fs::read_to_string(Path::new(ROOT).join("server/src/store/log.rs")).unwrap();
    // The rule above can only hold if the words are those that the log itself uses.
    assert!(
        writes.iter().any(|word| log.contains(word)),
        "the log writes with other words: {writes:?}"
    );
}

#[test]
fn every_route_is_made_from_the_one_table() {
    // What else could make one: then `ROUTES`, and with it the access test and `/openapi.json`, would not know of it.
    let words = [
        "web::resource(",
        "web::scope(",
        ".route(",
        "#[get(",
        "#[post(",
    ];
    let found = offenders("server/src", &["server/src/demo"], &words);
    let files: Vec<_> = found
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(files, ["server/src/http.rs"; 2], "{}", found.join("\n"));
}

#[test]
fn each_floor_of_the_server_uses_only_those_below() {
    let floors: [(&[&str], &[&str]); 4] = [
        (
            &[
                "server/src/store",
                "server/src/objects.rs",
                "server/src/keys.rs",
                "server/src/clock.rs",
                "server/src/faults.rs",
            ],
            &[
                "crate::sequencer",
                "crate::publisher",
                "crate::projector",
                "crate::http",
                "crate::timers",
                "crate::meter",
                "crate::demo",
            ],
        ),
        (
            &[
                "server/src/sequencer",
                "server/src/publisher",
                "server/src/projector",
            ],
            &[
                "crate::dataset",
                "crate::http",
                "crate::timers",
                "crate::meter",
                "crate::demo",
            ],
        ),
        (
            &["server/src/dataset", "server/src/age"],
            &[
                "crate::http",
                "crate::timers",
                "crate::meter",
                "crate::demo",
            ],
        ),
        (
            &["server/src/http", "server/src/timers", "server/src/meter"],
            &["crate::demo"],
        ),
    ];
    for (files, above) in floors {
        for (path, text) in sources("server/src") {
            let name = name(&path);
            if !files.iter().any(|start| name.starts_with(start)) {
                continue;
            }
            let up = code(&text).find(|(_, line)| above.iter().any(|word| line.contains(word)));
            assert_eq!(up, None, "{name} uses a floor above it");
        }
    }
}

#[test]
fn the_trail_knows_nothing_of_vouchers() {
    let words = [
        "crate::book",
        "crate::settlement",
        "crate::programme",
        "crate::ledger",
        "crate::receipt",
    ];
    assert_none(
        &offenders("verifier/src/trail", &[], &words),
        "trail stands beside book",
    );
}
