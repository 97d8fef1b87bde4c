//! `quan meter`: a provider's side. A scheduler's export becomes signed compute-usage receipts (DESIGN §5, §7).
//!
//! The way of a GPU-second: an export ([`sacct`], [`json`]) lists rows; [`run`] judges each row; [`intake`] tells new runs
//! from known ones; [`chain`] plans what must be stated so that all runs are, cut by [`merge`] into pieces that do not
//! overlap; [`issue`] signs; [`spool`] keeps; [`send`] sends. Rows are refused one by one, with a reason each; running the
//! meter again on the same or an overlapping export counts no second twice.

pub mod chain;
pub mod claims;
pub mod config;
pub mod fault;
pub mod gres;
pub mod intake;
pub mod issue;
pub mod json;
pub mod keygen;
pub mod merge;
pub mod row;
pub mod run;
pub mod sacct;
pub mod send;
pub mod spool;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use verifier::id::{DocumentDigest, OrderId};
use verifier::time::Timestamp;

use crate::keys::{self, SigningKey};
use chain::Plan;
use claims::Signer;
use config::{Config, Zone};
use fault::Fault;
use intake::Taken;
use issue::Issuer;
use run::Judged;
use sacct::Declared;
use send::{Exchange, Sent};
use spool::Spool;

/// The first wait after a failed request; it doubles from there.
const PAUSE: Duration = Duration::from_millis(500);

/// 9999-01-01T00:00:00Z: a clock beyond it is broken.
const YEAR_9999: i64 = 253_370_764_800;

/// Turns a scheduler's exports into signed receipts and sends them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Command {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes a receipt key and prints what the exchange registers.
    Keygen(keygen::Keygen),
}

#[derive(Debug, Args)]
struct Work {
    /// The provider's settings.
    #[arg(long, default_value = "meter.toml", env = "QUAN_METER_CONFIG")]
    config: PathBuf,
    /// The zone of the process that ran sacct, UTC or an offset like +08:00; overrides the settings.
    #[arg(long)]
    zone: Option<Zone>,
    /// The cluster of rows without a Cluster column.
    #[arg(long)]
    cluster: Option<String>,
    /// The account of rows without an Account column.
    #[arg(long)]
    account: Option<String>,
    /// Shows what would be signed; writes, signs and sends nothing.
    #[arg(long)]
    dry_run: bool,
    /// Signs and keeps, but does not send.
    #[arg(long, conflicts_with = "dry_run")]
    no_send: bool,
    /// Plans anew what the exchange refused earlier.
    #[arg(long)]
    retry_refused: bool,
    /// Exports: `sacct --parsable2` with a header, or `sacct --json`. None: sends what waits in the spool.
    exports: Vec<PathBuf>,
}

/// Runs `quan meter`: 0 all is stated and sent, 1 the exchange refused a receipt, 2 it could not be done.
#[must_use]
#[expect(clippy::print_stderr, reason = "a command's faults go to the terminal")]
pub fn run(command: &Command) -> ExitCode {
    let done = match &command.action {
        Some(Action::Keygen(keygen)) => keygen.run(now()).map(|()| true),
        None => command.work.run(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(fault) => {
            eprintln!("quan meter: {fault}");
            ExitCode::from(2)
        }
    }
}

impl Work {
    /// Returns whether no receipt was refused.
    fn run(&self) -> Result<bool, Fault> {
        let config = read_config(&self.config)?;
        let spool = if self.dry_run {
            Spool::look(&config.spool)?
        } else {
            Spool::open(&config.spool)?
        };
        let mut meter = Meter { config, spool };
        if self.retry_refused {
            meter.drop_refused();
        }
        for path in &self.exports {
            let bytes = fs::read(path).map_err(|error| Fault::File(path.clone(), error))?;
            let intake = meter.take(path, &bytes, &self.overrides(), now())?;
            table::intake(path, &intake);
        }
        let plans = meter.plan();
        table::plans(&plans);
        if self.dry_run {
            return Ok(true);
        }
        let signer = read_signer(&meter.config.key_file)?;
        meter.sign(&signer, &plans, now())?;
        if self.no_send {
            return Ok(true);
        }
        let sent = meter.send(&signer, &api_key(&meter.config)?)?;
        table::sent(&sent);
        Ok(sent.refused.is_empty())
    }

    fn overrides(&self) -> Overrides {
        let Self {
            zone,
            cluster,
            account,
            ..
        } = self;
        Overrides {
            zone: *zone,
            cluster: cluster.clone(),
            account: account.clone(),
        }
    }
}

/// What is said about an export beside the settings.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The zone of its times.
    pub zone: Option<Zone>,
    /// The cluster of rows that name none.
    pub cluster: Option<String>,
    /// The account of rows that name none.
    pub account: Option<String>,
}

/// What became of one export.
#[derive(Debug)]
pub struct Intake {
    /// Its rows.
    pub judged: Judged,
    /// Its runs, against those known before.
    pub taken: Taken,
}

/// A provider's meter: its settings and its spool.
pub struct Meter {
    config: Config,
    spool: Spool,
}

impl Meter {
    /// Opens the meter of a provider, and locks its spool.
    /// # Errors
    /// [`Fault`]
    pub fn open(config: Config) -> Result<Self, Fault> {
        let spool = Spool::open(&config.spool)?;
        Ok(Self { config, spool })
    }

    /// Reads an export and takes over its runs, in memory.
    /// # Errors
    /// [`Fault::NoZone`], [`Fault::NotAnExport`]
    pub fn take(
        &mut self,
        path: &Path,
        bytes: &[u8],
        overrides: &Overrides,
        now: Timestamp,
    ) -> Result<Intake, Fault> {
        // Job names may hold any bytes; nothing that is metered does.
        let text = String::from_utf8_lossy(bytes);
        let declared;
        let listing = if text.trim_start().starts_with('{') {
            json::read(&text).map_err(|e| Fault::NotAnExport(path.to_owned(), e.to_string()))?
        } else {
            declared = self.declared(path, overrides)?;
            sacct::read(&text, &declared)
        };
        let mut judged = run::judge(listing, &self.config, now);
        let runs = std::mem::take(&mut judged.runs);
        let taken = intake::take(&mut self.spool.books, runs, DocumentDigest::of(bytes));
        Ok(Intake { judged, taken })
    }

    fn declared(&self, path: &Path, overrides: &Overrides) -> Result<Declared, Fault> {
        let zone = overrides.zone.or(self.config.zone);
        let Zone(zone) = zone.ok_or_else(|| Fault::NoZone(path.to_owned()))?;
        let only = || self.config.only_cluster().map(str::to_owned);
        let cluster = overrides.cluster.clone().or_else(only);
        Ok(Declared {
            zone,
            cluster,
            account: overrides.account.clone(),
        })
    }

    /// Gives up what the exchange refused, so that it is planned anew.
    pub fn drop_refused(&mut self) {
        for book in self.spool.books.values_mut() {
            let dropped = book.chain.drop_refused();
            for (stream, hours) in dropped {
                book.touched.entry(stream).or_default().extend(hours);
            }
        }
    }

    /// Plans the receipts that are missing.
    #[must_use]
    pub fn plan(&self) -> BTreeMap<OrderId, Plan> {
        let plan = |book: &intake::OrderBook| book.chain.plan(&book.uses(), &book.touched);
        self.spool
            .books
            .iter()
            .map(|(order, book)| (*order, plan(book)))
            .collect()
    }

    /// Signs what was planned and keeps it; from here on a kill loses nothing.
    /// # Errors
    /// [`Fault::File`], [`Fault::Claims`]
    pub fn sign(
        &mut self,
        signer: &Signer,
        plans: &BTreeMap<OrderId, Plan>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let issuer = Issuer {
            config: &self.config,
            signer,
        };
        let total = plans.values().map(|plan| plan.drafts.len()).sum();
        let bar = bar(total, "signed");
        for (order, plan) in plans {
            if let Some(book) = self.spool.books.get_mut(order) {
                issuer.sign(*order, book, &plan.drafts, now)?;
                book.touched.clear();
            }
            self.spool.keep(*order)?;
            bar.inc(plan.drafts.len().try_into().unwrap_or(0));
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Sends what waits in the spool.
    /// # Errors
    /// [`Fault`]; what was answered until then is kept.
    pub fn send(&mut self, signer: &Signer, api_key: &str) -> Result<Sent, Fault> {
        let issuer = Issuer {
            config: &self.config,
            signer,
        };
        let exchange = Exchange::new(&self.config.url, api_key.to_owned(), PAUSE);
        let bar = bar(self.pending(), "answered");
        let sent = send::send(&mut self.spool, &issuer, &exchange, now, &bar);
        bar.finish_and_clear();
        sent
    }

    /// How many signed receipts wait for an answer.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.spool
            .books
            .values()
            .map(|book| book.chain.outbox.len())
            .sum()
    }
}

/// Drawn on a terminal only.
fn bar(total: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} {msg} {eta}");
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX)).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let unix = i64::try_from(since.as_secs())
        .unwrap_or(i64::MAX)
        .min(YEAR_9999);
    Timestamp::new(unix).expect("0 to the year 9999")
}

/// Reads a `meter.toml`.
/// # Errors
/// [`Fault::File`], [`Fault::Config`]
pub fn read_config(path: &Path) -> Result<Config, Fault> {
    let text = fs::read_to_string(path).map_err(|error| Fault::File(path.to_owned(), error))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Config::parse(&text, folder).map_err(|why| Fault::Config(path.to_owned(), why))
}

/// Reads a receipt key.
/// # Errors
/// [`Fault::Key`]
pub fn read_signer(path: &Path) -> Result<Signer, Fault> {
    let key = SigningKey::from_seed(&keys::seed(path)?);
    let damaged = || keys::Fault::Damaged(path.to_owned());
    Ok(key.and_then(Signer::new).ok_or_else(damaged)?)
}

fn api_key(config: &Config) -> Result<String, Fault> {
    if let Ok(key) = std::env::var("QUAN_API_KEY") {
        return Ok(key);
    }
    let path = config.api_key_file.as_ref().ok_or(Fault::NoApiKey)?;
    let text = fs::read_to_string(path).map_err(|error| Fault::File(path.clone(), error))?;
    Ok(text.trim().to_owned())
}
