//! One honest trail with everything in it, and what a cheat can do to it: sign again, or change files behind the signature.

use std::fs;
use std::process::{Command as Program, Output};

use verifier::book::command::{Command, SealBook};
use verifier::book::entry::Entry;
use verifier::book::scope::Scope;
use verifier::receipt::req;
use verifier::trail::history::HistoryPath;
use verifier::trail::policy::Policy;

use crate::golden;
use crate::past::{cosigned, policy_text, put_history};
use crate::promise;
use crate::story::{self, Story, Trail, appropriate};

/// The golden trail's entries, and behind them a fund, a request, a seal of refusals, a seal of the book, and a tail.
pub(super) const SIZE: u64 = 384;
/// The entry that came by a request to which a reply is kept.
pub(super) const ASKED: usize = 369;
/// The seal of the refusals.
pub(super) const REFUSALS: u64 = 370;
/// The seal of the book.
pub(super) const SEAL: u64 = 380;
/// Sizes at which the witness saw the log; the last one is the head.
const SEEN: [u64; 7] = [0, 1, 100, 256, 300, 383, SIZE];

/// The honest trail, before it is signed.
pub(super) struct World {
    pub(super) entries: Vec<Vec<u8>>,
    /// Signed refusals, under the seal.
    pub(super) refusals: Vec<String>,
    /// When each entry was written, by an honest clock.
    times: Vec<u64>,
}

impl World {
    pub(super) fn new() -> Self {
        let mut history = golden::entries();
        let Command::OpenExchange(opened) = &mut history[0].asked else {
            unreachable!("entry 0 opens the exchange")
        };
        opened.log_vkey = story::log_key().to_string();
        opened.reply_key = promise::key().public().x();
        let mut story = Story::after(history);
        let mut asked = story.next(story.funder, appropriate(9)).unwrap();
        asked.req = Some(req("POST", "/v1/funds/appropriate", b"{}"));
        story.append(&asked);
        let refusals = promise::refusals(&story);
        promise::seal(&mut story, &refusals);
        while story.book.size < SIZE {
            let next = if story.book.size == SEAL {
                story.next(story.exchange, Command::SealBook(SealBook { after: None }))
            } else {
                story.next(story.funder, appropriate(7))
            };
            story.append(&next.unwrap());
        }
        let times = story.entries.iter().map(|entry| time_of(entry)).collect();
        Self {
            entries: story.entries,
            refusals,
            times,
        }
    }

    /// When the witness sees a log of this size: its clock does not lie.
    pub(super) fn seen(&self, size: u64) -> u64 {
        let last = usize::try_from(size).unwrap().clamp(1, self.times.len());
        self.times[last - 1] + 1
    }

    /// What nobody has touched.
    pub(super) fn honest(&self) -> Case {
        self.signed(&self.entries)
    }

    /// These entries, published and signed by the log, with the history that its witness has cosigned.
    pub(super) fn signed(&self, entries: &[Vec<u8>]) -> Case {
        let size = entries.len() as u64;
        let sizes = SEEN.into_iter().filter(|seen| *seen < size).chain([size]);
        let seen: Vec<_> = sizes.map(|size| (size, self.seen(size))).collect();
        self.signed_at(entries, &seen)
    }

    /// The same, with a history of these sizes and cosigned times; the last one is the head.
    pub(super) fn signed_at(&self, entries: &[Vec<u8>], seen: &[(u64, u64)]) -> Case {
        let notes: Vec<String> = seen
            .iter()
            .map(|(size, time)| cosigned(&entries[..usize::try_from(*size).unwrap()], *time))
            .collect();
        let mut files = Trail::of(entries);
        put_history(&mut files, &notes);
        let head = notes.last().unwrap().clone();
        files.0.insert("checkpoint".into(), head.into_bytes());
        Case {
            files,
            policy: policy_text(),
            command: ["audit", "@trail", "--policy", "@policy.txt"]
                .map(str::to_owned)
                .to_vec(),
            beside: Vec::new(),
        }
    }

    /// The exchange changes its entries as it likes, and signs what comes out.
    pub(super) fn forged(&self, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Case {
        let mut entries = self.entries.clone();
        change(&mut entries);
        self.signed(&entries)
    }

    /// One entry says something else, wherever these bytes occur in it.
    pub(super) fn said(&self, at: usize, from: &str, to: &str) -> Case {
        self.forged(|entries| replace(&mut entries[at], from, to))
    }

    /// One entry is another.
    pub(super) fn lie(&self, at: usize, change: impl FnOnce(&mut Entry)) -> Case {
        self.forged(|entries| {
            let mut entry = Entry::parse(&entries[at]).unwrap();
            change(&mut entry);
            entries[at] = entry.to_bytes().unwrap();
        })
    }

    /// The compact JWS of an entry is another.
    pub(super) fn jws(&self, at: usize, change: impl FnOnce(&str) -> String) -> Case {
        let text = String::from_utf8(self.entries[at].clone()).unwrap();
        let (_, rest) = text.split_once(r#""jws":""#).unwrap();
        let (compact, _) = rest.split_once('"').unwrap();
        let other = change(compact);
        self.said(at, compact, &other)
    }

    /// Entries are left out, added or moved, and numbered anew, so that only what they say can tell.
    pub(super) fn arranged(&self, change: impl FnOnce(&mut Vec<Entry>)) -> Case {
        let parsed = self
            .entries
            .iter()
            .map(|bytes| Entry::parse(bytes).unwrap());
        let mut entries: Vec<Entry> = parsed.collect();
        change(&mut entries);
        let mut counts: std::collections::BTreeMap<Scope, u64> = Default::default();
        for (seq, entry) in (0..).zip(&mut entries) {
            entry.seq = seq;
            for (scope, number) in &mut entry.scopes {
                let count = counts.entry(scope.clone()).or_default();
                *number = *count;
                *count += 1;
            }
        }
        let bytes = entries.iter().map(|entry| entry.to_bytes().unwrap());
        self.signed(&bytes.collect::<Vec<_>>())
    }
}

fn time_of(entry: &[u8]) -> u64 {
    u64::try_from(Entry::parse(entry).unwrap().at.unix()).unwrap()
}

/// Replaces every occurrence; there must be one.
#[track_caller]
pub(super) fn replace(bytes: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    *bytes = text.replace(from, to).into_bytes();
}

/// Takes the last byte away.
pub(super) fn chop(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - 1);
}

/// The path of the part that holds a history of so many notes.
pub(super) fn part(width: u16) -> String {
    HistoryPath::new(0, width).unwrap().to_string()
}

/// A folder, a policy, and what `quan-verify` is asked about them. `@name` is the path of a file beside the trail.
pub(super) struct Case {
    pub(super) files: Trail,
    policy: String,
    command: Vec<String>,
    beside: Vec<(String, Vec<u8>)>,
}

/// What `quan-verify` says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) exit: Option<i32>,
    pub(super) page: String,
    /// Place and code of each difference that an audit lists.
    pub(super) differences: Vec<(String, String)>,
}

impl Case {
    /// Changes the bytes of a file.
    #[track_caller]
    pub(super) fn edit(mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        change(self.files.0.get_mut(name).unwrap());
        self
    }

    /// Puts a file.
    pub(super) fn put(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.0.insert(name.to_owned(), bytes.into());
        self
    }

    /// Takes a file away.
    #[track_caller]
    pub(super) fn without(mut self, name: &str) -> Self {
        assert!(self.files.0.remove(name).is_some(), "no {name}");
        self
    }

    /// Other notes as the history.
    pub(super) fn history(mut self, notes: &[String]) -> Self {
        self.files.0.retain(|name, _| !name.starts_with("history/"));
        put_history(&mut self.files, notes);
        self
    }

    /// Whoever sees these scopes alone.
    pub(super) fn cut(mut self, scopes: &[&str]) -> Self {
        let scopes: Vec<Scope> = scopes
            .iter()
            .map(|text| Scope::parse(text).unwrap())
            .collect();
        self.files = crate::scoped::cut(&self.files, &scopes);
        for scope in scopes {
            self = self.asks(&["--scope", &scope.to_string()]);
        }
        self
    }

    /// Other words on whom to trust.
    pub(super) fn policy(mut self, text: &str) -> Self {
        text.clone_into(&mut self.policy);
        self
    }

    /// More arguments.
    pub(super) fn asks(mut self, more: &[&str]) -> Self {
        self.command
            .extend(more.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Without deciding again what the entries say, unless scopes are declared.
    pub(super) fn shallow(self) -> Self {
        let is_cut = self.command.iter().any(|word| word == "--scope");
        if is_cut {
            self
        } else {
            self.asks(&["--trail-only"])
        }
    }

    /// Another command than an audit.
    pub(super) fn command(mut self, words: &[&str]) -> Self {
        self.command.clear();
        self.asks(words)
    }

    /// A file beside the trail.
    pub(super) fn beside(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.beside.push((name.to_owned(), bytes.into()));
        self
    }

    /// Whether the policy can be read at all.
    pub(super) fn has_policy(&self) -> bool {
        Policy::parse(self.policy.as_bytes()).is_ok()
    }

    /// Writes all to disk and runs the program.
    #[expect(
        clippy::disallowed_methods,
        reason = "the command is tested on real files"
    )]
    pub(super) fn run(&self) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        };
        put("policy.txt", self.policy.as_bytes());
        let files = self.files.0.iter();
        files.for_each(|(name, bytes)| put(&format!("trail/{name}"), bytes));
        let beside = self.beside.iter();
        beside.for_each(|(name, bytes)| put(name, bytes));
        let arguments = self
            .command
            .iter()
            .map(|word| match word.strip_prefix('@') {
                Some(name) => folder.path().join(name).into_os_string(),
                None => word.into(),
            });
        let output = Program::new(env!("CARGO_BIN_EXE_quan-verify"))
            .args(arguments)
            .arg("--json")
            .output()
            .unwrap();
        Answer::of(&output)
    }
}

impl Answer {
    fn of(output: &Output) -> Self {
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        let report: serde_json::Value = serde_json::from_str(&page).unwrap_or_default();
        let listed = report["differences"].as_array().into_iter().flatten();
        let place = |at: &serde_json::Value| match at["file"].as_str() {
            Some(file) => file.to_owned(),
            None => format!("entry {}", at["entry"]),
        };
        let differences = listed
            .map(|difference| {
                let code = difference["code"].as_str().unwrap_or_default().to_owned();
                (place(&difference["at"]), code)
            })
            .collect();
        Self {
            exit: output.status.code(),
            page: page + &String::from_utf8_lossy(&output.stderr),
            differences,
        }
    }
}
