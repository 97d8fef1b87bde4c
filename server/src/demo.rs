//! `quan demo`: a whole exchange in one process, and the story that fills it (issue: the demo's story).
//!
//! The server is the real one, on SQLite and a folder. The story knows nothing of its inside: it is a client with API keys,
//! and everything it says at the end it has read from the exchange's answers or from the trail's files. Three months pass in
//! seconds: the exchange's clock is moved between the scenes, nothing else is.

mod answers;
mod audit;
mod cast;
mod client;
mod compute;
mod data;
mod funds;
mod listing;
mod metering;
mod payout;
mod programmes;
mod summary;
mod supply;
mod witness;

use std::error::Error as _;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use verifier::id::{DocumentDigest, hex};
use verifier::time::Timestamp;
use verifier::trail::history::COUNT;

use crate::cause::faults_from;
use crate::clock::{Clock, ClockFault};
use crate::config::{Asked, ConfigFault};
use crate::faults::Faults;
use crate::keys;
use crate::meter;
use crate::serve;
use answers::Answers;
use cast::Cast;
use client::{Address, Client, Refusal};
use compute::Placed;
use data::Bought;
use metering::Metered;
use payout::Paid;
use supply::Supply;

/// When the story begins: a Monday in Beijing, 09:00.
const BEGIN: &str = "2026-08-24T01:00:00Z";

/// Plays a story on an exchange of its own, audits it, and keeps serving.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder that is empty or missing [default: a new one among the system's temporary files]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where HTTP listens [default: 127.0.0.1:8080, with --once a free port]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Exits when the audit is done.
    #[arg(long)]
    once: bool,
}

/// Runs `quan demo`: 0 the story was played and its trail agrees, 1 the audit differs, 2 it could not be played.
#[must_use]
#[expect(clippy::print_stderr, reason = "a command's faults go to the terminal")]
pub fn run(args: &Args) -> ExitCode {
    match show(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(fault) => {
            eprintln!("quan demo: {fault}");
            let mut source = fault.source();
            while let Some(inner) = source {
                eprintln!("  because: {inner}");
                source = inner.source();
            }
            ExitCode::from(2)
        }
    }
}

/// Returns whether the audit agrees.
#[expect(clippy::print_stdout, reason = "the page is the command's output")]
fn show(args: &Args) -> Result<bool, Fault> {
    let begun = Instant::now();
    let clock = Clock::real();
    let clock = Clock::moved(moment(BEGIN)?.unix() - clock.now()?.unix());
    let data = folder(args.data.clone(), &clock)?;
    let asked = Asked {
        data: Some(data.clone()),
        listen: Some(args.listen.unwrap_or_else(|| listen(args.once))),
        publish_ms: Some(PUBLISH_MS),
        ..Asked::default()
    };
    let config = asked.settle()?;
    let origin = config.origin.clone();
    // The neighbour's office is there first: the exchange's first checkpoint is cosigned already.
    witness::start(&data, &origin, &clock)?;
    let server = serve::start(config, clock.clone(), Faults::none())?;
    let url = format!("http://{}", server.address());
    let stage = Stage::open(url, clock, origin, &data)?;
    let story = play(&stage)?;
    // As at the end of a day: whoever sees one scope of this trail can tell that nothing of it is kept back.
    stage.exchange.ask("/v1/seals", &serde_json::json!({}))?;
    let answers = Answers::read(&stage.exchange, &story.cast, &story.placed)?;
    let entries = wait_for_publication(&stage)?;
    wait_for_history(&stage)?;
    let report = audit::run(&data)?;
    let same_money = summary::agrees(&answers, &report);
    println!("{}", summary::page(&story, &answers));
    let promises = audit::promises(&data, &stage.address.replies())?;
    let agrees = same_money && promises.broken.is_empty();
    println!("{}", summary::audit(&data, &report, same_money, &promises));
    let seconds = begun.elapsed().as_secs_f64();
    println!("{entries} entries, from an empty folder to the audit in {seconds:.1} s");
    if args.once {
        server.stop()?;
    } else {
        stage.catch_up()?;
        println!("{}", summary::keys(&story, stage.address.url(), &data));
        server.stop_on_signals()?;
        server.wait()?;
    }
    Ok(agrees)
}

/// How often the publisher looks for new entries here, in milliseconds: nobody should wait for it.
const PUBLISH_MS: u64 = 100;

fn listen(once: bool) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], if once { 0 } else { 8080 }))
}

/// The folder to play in; the story is played once, so it must be empty.
fn folder(asked: Option<PathBuf>, clock: &Clock) -> Result<PathBuf, Fault> {
    let data = match asked {
        Some(data) => data,
        None => {
            let salt = hex(clock.salt()?.bytes());
            let name = salt.get(..12).unwrap_or(&salt);
            std::env::temp_dir().join(format!("quan-demo-{name}"))
        }
    };
    let mut items = match fs::read_dir(&data) {
        Ok(items) => items,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(data),
        Err(why) => return Err(Fault::File(data, why)),
    };
    if items.next().is_some() {
        return Err(Fault::Story(format!(
            "{} is not empty; name another folder, or serve this one with: quan serve --data {}",
            data.display(),
            data.display()
        )));
    }
    Ok(data)
}

/// The story, scene by scene.
fn play(stage: &Stage) -> Result<Story, Fault> {
    let cast = Cast::admit(stage)?;
    funds::open(&cast)?;
    let supply = Supply::publish(stage, &cast)?;
    let mut refusals = programmes::enact(&cast)?;

    stage.wait_until("2026-08-31T01:00:00Z")?;
    let mut placed = compute::order(&cast, &supply)?;
    refusals.push(compute::apply_twice(&cast)?);

    // The corpus is bought before the pretraining that uses it.
    stage.wait_until("2026-09-29T01:00:00Z")?;
    let (order, bought, gated) = data::buy(stage, &cast, &supply)?;
    placed.push(order);
    refusals.push(gated);

    // After each month the providers meter what their schedulers export.
    stage.wait_until("2026-10-01T02:00:00Z")?;
    let both = (&cast, &supply);
    let mut metered = metering::month(stage, both, &placed, metering::SEPTEMBER, None)?;
    refusals.extend(metering::bill_twice(stage, both, &placed)?);
    stage.wait_until("2026-10-08T02:00:00Z")?;
    let invoiced = payout::invoice(&cast, &placed, ("September", 0))?;
    stage.wait_until("2026-11-02T02:00:00Z")?;
    let read = Some(("acct-a", bought.manifest));
    metered.extend(metering::month(
        stage,
        both,
        &placed,
        metering::OCTOBER,
        read,
    )?);
    refusals.extend(metered.iter().flat_map(|month| month.refused.clone()));
    payout::invoice(&cast, &placed, ("October", invoiced))?;

    // Both months are over, and the days in which they may be disputed.
    stage.wait_until("2026-11-16T02:00:00Z")?;
    payout::close_periods(stage, &cast)?;
    let paid = payout::pay(stage, &cast)?;
    stage.wait_until("2026-11-20T02:00:00Z")?;
    payout::claw_back(&cast, &placed)?;
    Ok(Story {
        cast,
        placed,
        bought,
        metered,
        paid,
        refusals,
    })
}

/// Waits until the folder's checkpoint covers every entry; returns how many there are. HTTP answers a checkpoint from its row,
/// a moment before the file is there.
fn wait_for_publication(stage: &Stage) -> Result<u64, Fault> {
    let exchange = stage.exchange.read("/v1/exchange")?;
    let entries = exchange["entries"].as_u64().unwrap_or(u64::MAX);
    let checkpoint = stage.folder.join("trail/checkpoint");
    let deadline = Instant::now() + PUBLICATION_MAX;
    loop {
        let note = fs::read_to_string(&checkpoint).unwrap_or_default();
        let size = note
            .lines()
            .nth(1)
            .and_then(|size| size.parse::<u64>().ok());
        if size.is_some_and(|size| size >= entries) {
            return Ok(entries);
        }
        if Instant::now() > deadline {
            return Err(Fault::Story(format!(
                "{entries} entries were not published in time"
            )));
        }
        std::thread::sleep(std::time::Duration::from_millis(PUBLISH_MS / 4));
    }
}

/// Waits until the folder has as much of the history as the exchange has kept.
fn wait_for_history(stage: &Stage) -> Result<(), Fault> {
    let kept = stage.exchange.read(&format!("/{COUNT}"))?.to_string();
    let deadline = Instant::now() + PUBLICATION_MAX;
    while fs::read_to_string(stage.folder.join("trail").join(COUNT))
        .unwrap_or_default()
        .trim()
        != kept
    {
        if Instant::now() > deadline {
            return Err(Fault::Story(format!(
                "{kept} cosigned checkpoints were not put in time"
            )));
        }
        std::thread::sleep(std::time::Duration::from_millis(PUBLISH_MS / 4));
    }
    Ok(())
}

/// An entry is published within a minute (DESIGN §6); a busy machine gets no more.
const PUBLICATION_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// Where the story plays: the exchange, its clock, and a folder for what lies with the parties.
struct Stage {
    address: Address,
    /// The exchange's own actor: it admits, and moves no money.
    exchange: Client,
    clock: Clock,
    origin: String,
    folder: PathBuf,
}

/// What the story has brought about.
struct Story {
    cast: Cast,
    placed: Vec<Placed>,
    bought: Bought,
    metered: Vec<Metered>,
    paid: Vec<Paid>,
    refusals: Vec<Refusal>,
}

/// Why the story cannot go on.
#[derive(Debug)]
pub enum Fault {
    /// The exchange answered something else than the story needs: path, status, answer.
    Answer(String, u16, String),
    /// The exchange cannot be reached: path, why.
    Unreachable(String, Box<ureq::Error>),
    /// A file of a party.
    File(PathBuf, io::Error),
    /// A key of a party.
    Key(keys::Fault),
    /// A provider's meter.
    Meter(Box<meter::fault::Fault>),
    /// The clock.
    Clock(ClockFault),
    /// The settings.
    Config(ConfigFault),
    /// The server.
    Server(Box<serve::Fault>),
    /// The story contradicts itself.
    Story(String),
}

impl Stage {
    /// Opens the stage with the operator's key, as the first start left it in the data folder.
    fn open(url: String, clock: Clock, origin: String, data: &Path) -> Result<Self, Fault> {
        let path = data.join("operator.key");
        let key = fs::read_to_string(&path).map_err(|why| Fault::File(path, why))?;
        let address = Address::new(url);
        let exchange = address.with_key(key.trim());
        Ok(Self {
            address,
            exchange,
            clock,
            origin,
            folder: data.to_owned(),
        })
    }

    /// The folder of a party: its keys, its meter.
    fn folder_of(&self, label: &str) -> PathBuf {
        self.folder.join("parties").join(label)
    }

    /// Lets the exchange's time pass until the machine's, so that whoever tries it signs and sees the present.
    fn catch_up(&self) -> Result<(), Fault> {
        wait_for_publication(self)?;
        let behind = Clock::real().now()?.unix() - self.clock.now()?.unix();
        self.clock.advance(behind.max(0));
        Ok(())
    }

    /// Lets the exchange's time pass until a moment; it never goes back. What was asked before is published and cosigned
    /// before: the witness's times bound the entries' own.
    fn wait_until(&self, text: &str) -> Result<(), Fault> {
        wait_for_publication(self)?;
        let seconds = moment(text)?.unix() - self.clock.now()?.unix();
        self.clock.advance(seconds.max(0));
        Ok(())
    }
}

/// The digest of a document that somebody else keeps; here its text is all there is of it.
fn document(text: &str) -> DocumentDigest {
    DocumentDigest::of(text.as_bytes())
}

fn moment(text: &str) -> Result<Timestamp, Fault> {
    Timestamp::parse(text).map_err(|why| Fault::Story(format!("{text}: {why}")))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(path, status, answer) => {
                write!(f, "{path} was answered {status}: {answer}")
            }
            Self::Unreachable(path, _) => write!(f, "{path} cannot be reached"),
            Self::File(path, _) => write!(f, "{} cannot be used", path.display()),
            Self::Key(_) => f.write_str("a party's key cannot be used"),
            Self::Meter(_) => f.write_str("a provider's meter stopped"),
            Self::Clock(_) => f.write_str("the clock cannot be read"),
            Self::Config(_) => f.write_str("the settings cannot be used"),
            Self::Server(_) => f.write_str("the server does not run"),
            Self::Story(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Answer(..) | Self::Story(_) => None,
            Self::Unreachable(_, why) => Some(why),
            Self::File(_, why) => Some(why),
            Self::Key(why) => Some(why),
            Self::Meter(why) => Some(why),
            Self::Clock(why) => Some(why),
            Self::Config(why) => Some(why),
            Self::Server(why) => Some(why),
        }
    }
}

faults_from! { ClockFault => Clock, keys::Fault => Key, ConfigFault => Config }

impl From<meter::fault::Fault> for Fault {
    fn from(fault: meter::fault::Fault) -> Self {
        Self::Meter(Box::new(fault))
    }
}

impl From<serve::Fault> for Fault {
    fn from(fault: serve::Fault) -> Self {
        Self::Server(Box::new(fault))
    }
}
