//! `quan dataset`: a party's own side. A vendor's folder becomes the files of a draft; a buyer's folder is held against what was delivered.
//!
//! The way of a file: `scan` finds it below the folder and sums it; what the draft has at its path already is left alone; `send`
//! uploads each content once, in pieces that are summed, and puts it at its paths; `state` keeps what a second run need not do again.
//! `exchange` is patient: what did not arrive is sent again from where the exchange says it is. No file is ever in memory.

mod accept;
mod bars;
mod exchange;
mod fault;
mod scan;
mod send;
mod state;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use verifier::id::hex;

use crate::clock::Clock;
use accept::Accept;
use bars::Bars;
use exchange::Exchange;
use fault::Fault;
use scan::Summed;
use send::{Content, Sending};
use state::State;

/// Names that are printed of a long list.
const SHOWN_MAX: usize = 20;
/// Where a push keeps what it did: hidden, so that it is not pushed.
const STATE_FILE: &str = ".quan-push.jsonl";

/// Works on the files of datasets.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Uploads a folder into the draft of a listing; run again after whatever stopped it, it goes on where it was.
    Push(Push),
    /// Holds a folder against what was delivered for an order, and signs that it was received.
    Accept(Accept),
}

/// Where the exchange is, and who asks.
#[derive(Debug, Args)]
struct Access {
    /// Where the exchange answers.
    #[arg(long, value_name = "URL", env = "QUAN_SERVER")]
    server: String,
    /// A file with the API key [default: what QUAN_API_KEY holds]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// `quan dataset push`
#[derive(Debug, Args)]
pub struct Push {
    /// The folder. Hidden files and links that lead out of it are left out.
    dir: PathBuf,
    /// The listing whose draft gets the files.
    #[arg(long, value_name = "HANDLE/NAME", value_parser = names)]
    listing: (String, String),
    #[command(flatten)]
    access: Access,
    /// So many files at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    /// A card (JSON), drafted first.
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// Hands the draft in as this version once all of it is stored.
    #[arg(long, value_name = "VERSION", requires = "price")]
    submit: Option<String>,
    /// The version's price.
    #[arg(long, value_name = "FEN", requires = "submit")]
    price: Option<u64>,
    /// Where it is kept what was done [default: DIR/.quan-push.jsonl]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

/// Runs `quan dataset`: 0 it is done, 1 the exchange or the files say no, 2 it could not be done.
#[must_use]
#[expect(clippy::print_stderr, reason = "a command's faults go to the terminal")]
pub fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::Push(push) => push.run(),
        Command::Accept(accept) => accept.run(&Clock::real()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(fault) => {
            eprintln!("quan dataset: {fault}");
            ExitCode::from(if fault.is_refusal() { 1 } else { 2 })
        }
    }
}

fn names(text: &str) -> Result<(String, String), String> {
    let good = |part: &str| {
        let byte = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        !part.is_empty() && part.bytes().all(byte)
    };
    match text.split_once('/') {
        Some((handle, name)) if good(handle) && good(name) => Ok((handle.into(), name.into())),
        Some(_) | None => Err("write it as handle/name, of a-z, 0-9 and -".to_owned()),
    }
}

impl Access {
    fn exchange(&self) -> Result<Exchange, Fault> {
        let key = match &self.key_file {
            Some(path) => {
                fs::read_to_string(path).map_err(|error| Fault::File(path.clone(), error))?
            }
            None => std::env::var("QUAN_API_KEY").map_err(|_| Fault::NoApiKey)?,
        };
        Exchange::new(&self.server, key.trim())
    }
}

impl Push {
    /// Returns whether all of it is there and the exchange said yes.
    fn run(&self) -> Result<bool, Fault> {
        let exchange = self.access.exchange()?;
        self.draft(&exchange)?;
        let there = held(&exchange.get(&self.path(""))?);
        let found = scan::walk(&self.dir)?;
        found.say_left_out();
        let kept = self.state.clone();
        let kept = kept.unwrap_or_else(|| self.dir.join(STATE_FILE));
        let state = State::open(kept, &format!("{} {}", self.access.server, self.listing()))?;
        let jobs = usize::from(self.jobs);
        let summed = scan::sum(&found.files, &state, jobs)?;
        let (contents, had) = missing(&summed, &there);
        let bars = Bars::new(contents.iter().map(|content| content.bytes).sum());
        let sending = Sending {
            exchange: &exchange,
            state: &state,
            bars: &bars,
            listing: self.listing(),
            files: self.path("/files"),
            sent: AtomicU64::new(0),
        };
        let refused = Mutex::new(Vec::new());
        in_parallel(jobs, &contents, |content| match sending.send(content) {
            Err(fault) if fault.is_about_a_file() => {
                locked(&refused).push((content.paths.join(", "), fault.to_string()));
                Ok(())
            }
            done => done,
        })?;
        bars.end();
        let refused = std::mem::take(&mut *locked(&refused));
        self.end(&sending, &summed, (had, refused))
    }

    /// Drafts the card, if there is one.
    fn draft(&self, exchange: &Exchange) -> Result<(), Fault> {
        let Some(path) = &self.card else {
            return Ok(());
        };
        let text = fs::read(path).map_err(|error| Fault::File(path.clone(), error))?;
        let card: Value = serde_json::from_slice(&text)
            .map_err(|error| Fault::Content(path.clone(), error.to_string()))?;
        let (handle, name) = &self.listing;
        let drafted = exchange.post("/v1/listings", &json!({ "name": name, "card": card }))?;
        match drafted["handle"].as_str() {
            Some(yours) if yours != handle => Err(Fault::Handle(yours.to_owned())),
            Some(_) | None => Ok(()),
        }
    }

    /// Says what came of it, and hands the draft in if that was asked.
    fn end(
        &self,
        sending: &Sending<'_>,
        summed: &[Summed],
        (had, refused): (usize, Vec<(String, String)>),
    ) -> Result<bool, Fault> {
        let draft = sending.exchange.get(&self.path(""))?;
        let (left, are) = missing(summed, &held(&draft));
        let bytes: u64 = summed.iter().map(|file| file.bytes).sum();
        say(&format!(
            "{are} of {} files ({bytes} bytes) are in {}, {had} were; {} bytes were sent",
            summed.len(),
            self.listing(),
            sending.sent.load(Ordering::SeqCst),
        ));
        list(
            "refused",
            refused.iter().map(|(paths, why)| format!("{paths}: {why}")),
        );
        let here: Vec<&str> = summed.iter().map(|file| file.path.as_str()).collect();
        let more = held(&draft).into_keys();
        let more = more.filter(|path| here.binary_search(&path.as_str()).is_err());
        list("also in the draft, not in the folder", more);
        let missing: Vec<&str> = draft["missing"]
            .as_array()
            .map_or_else(Vec::new, |missing| {
                missing.iter().filter_map(Value::as_str).collect()
            });
        if !missing.is_empty() {
            say(&format!("the card still lacks: {}", missing.join(", ")));
        }
        if !left.is_empty() {
            return Ok(false);
        }
        let (Some(version), Some(price)) = (&self.submit, self.price) else {
            return Ok(true);
        };
        sending.wait_until_stored(summed)?;
        let asked = json!({ "version": version, "price_fen": price });
        let answer = sending.exchange.post(&self.path("/submit"), &asked)?;
        say(&format!(
            "handed in as {version}: entry {} of the trail; it is for sale once an office has assessed it",
            answer["seq"]
        ));
        Ok(true)
    }

    fn listing(&self) -> String {
        format!("{}/{}", self.listing.0, self.listing.1)
    }

    fn path(&self, end: &str) -> String {
        format!("/v1/listings/{}{end}", self.listing())
    }
}

/// The files of a draft as it is shown: their digests by path.
fn held(draft: &Value) -> BTreeMap<String, String> {
    let files = draft["files"].as_array().into_iter().flatten();
    let file = |file: &Value| {
        let text = |name: &str| file[name].as_str().map(str::to_owned);
        Some((text("path")?, text("sha256")?))
    };
    files.filter_map(file).collect()
}

/// The contents that are not at their paths yet, each once, and how many files are.
fn missing(summed: &[Summed], there: &BTreeMap<String, String>) -> (Vec<Content>, usize) {
    let mut contents: BTreeMap<[u8; 32], Content> = BTreeMap::new();
    let mut had = 0;
    for file in summed {
        if there
            .get(&file.path)
            .is_some_and(|held| *held == hex(&file.sha256))
        {
            had += 1;
            continue;
        }
        let content = contents.entry(file.sha256).or_insert_with(|| Content {
            sha256: file.sha256,
            bytes: file.bytes,
            from: file.from.clone(),
            paths: Vec::new(),
        });
        content.paths.push(file.path.clone());
    }
    (contents.into_values().collect(), had)
}

/// Does something with each item, so many at once, until one breaks.
fn in_parallel<T: Sync>(
    jobs: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<(), Fault> + Sync,
) -> Result<(), Fault> {
    let (next, stops, first) = (
        AtomicUsize::new(0),
        AtomicBool::new(false),
        Mutex::new(None),
    );
    let run = || {
        while !stops.load(Ordering::SeqCst)
            && let Some(item) = items.get(next.fetch_add(1, Ordering::SeqCst))
        {
            if let Err(fault) = work(item) {
                stops.store(true, Ordering::SeqCst);
                locked(&first).get_or_insert(fault);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    match std::mem::take(&mut *locked(&first)) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

/// What a thread that panicked has left is as whole as before: each change is one step.
fn locked<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[expect(clippy::print_stdout, reason = "what a command found is its output")]
fn say(line: &str) {
    println!("{line}");
}

/// Prints the first of many, and how many more there are.
fn list(what: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    for item in items.iter().take(SHOWN_MAX) {
        say(&format!("{what}: {item}"));
    }
    if items.len() > SHOWN_MAX {
        say(&format!("{what}: and {} more", items.len() - SHOWN_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, fill: u8) -> Summed {
        Summed {
            path: path.to_owned(),
            from: path.into(),
            bytes: 3,
            sha256: [fill; 32],
        }
    }

    #[test]
    fn a_content_goes_out_once_and_not_to_where_it_is() {
        let there = [
            ("a".to_owned(), hex(&[1; 32])),
            ("b".to_owned(), hex(&[9; 32])),
        ];
        let summed = [file("a", 1), file("b", 2), file("c", 1), file("d", 2)];
        let (contents, had) = missing(&summed, &there.into());
        assert_eq!(had, 1);
        let paths: Vec<_> = contents
            .iter()
            .map(|content| content.paths.join(" "))
            .collect();
        assert_eq!(paths, ["c", "b d"]);
    }

    #[test]
    fn the_first_fault_stops_the_rest() {
        let done = AtomicUsize::new(0);
        let items: Vec<usize> = (0..1_000).collect();
        let ended = in_parallel(3, &items, |item| {
            done.fetch_add(1, Ordering::SeqCst);
            if *item == 5 {
                Err(Fault::NoApiKey)
            } else {
                Ok(())
            }
        });
        assert!(matches!(ended, Err(Fault::NoApiKey)));
        assert!(done.into_inner() < 1_000);
        in_parallel(4, &[(); 0], |()| Err(Fault::NoApiKey)).unwrap();
    }

    #[test]
    fn a_listing_is_named_as_in_its_address() {
        assert_eq!(names("city-data/d1"), Ok(("city-data".into(), "d1".into())));
        for bad in ["", "a", "/a", "a/", "a/b/c", "A/b", "a/../b"] {
            assert!(names(bad).is_err(), "{bad:?}");
        }
    }
}
