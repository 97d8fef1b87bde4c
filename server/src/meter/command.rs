//! The command line of the meter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use verifier::signature::Signer;

use super::config::{Config, Zone};
use super::fault::Fault;
use super::keygen::Keygen;
use super::spool::Spool;
use super::{Meter, Overrides, table};
use crate::clock::Clock;
use crate::keys;

/// The export to make (facts/metering.md §1.1): whole jobs, all runs of a requeued one, names last.
const EXPORT: &str = "Export with:
  TZ=UTC sacct --allusers --allocations --duplicates --parsable2 --noconvert --starttime S --endtime E \\
    --format=JobID,JobIDRaw,Cluster,Account,Start,End,ElapsedRaw,Suspended,State,AllocTRES,JobName
Never with --truncate. Run the meter again on overlapping exports as often as you like.";

/// Turns a scheduler's exports into signed receipts and sends them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXPORT)]
pub struct Command {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes a receipt or recovery key and prints what the exchange registers.
    Keygen(Keygen),
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

/// Runs `quan meter`: 0 all is stated and sent, 1 the exchange refused a receipt or halted an order, 2 it could not be done.
#[must_use]
#[expect(clippy::print_stderr, reason = "a command's faults go to the terminal")]
pub fn run(command: &Command) -> ExitCode {
    let done = match &command.action {
        Some(Action::Keygen(keygen)) => keygen.run(&Clock::real()).map(|()| true),
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
    /// Returns whether no receipt was refused and no order halted.
    fn run(&self) -> Result<bool, Fault> {
        let config = read_config(&self.config)?;
        let spool = if self.dry_run {
            Spool::look(&config.spool)?
        } else {
            Spool::open(&config.spool)?
        };
        let mut meter = Meter {
            config,
            spool,
            clock: Clock::real(),
        };
        if self.retry_refused {
            meter.drop_refused();
        }
        for path in &self.exports {
            let bytes = fs::read(path).map_err(|error| Fault::File(path.clone(), error))?;
            let spinner = super::spinner(path);
            let intake = meter.take(path, &bytes, &self.overrides())?;
            spinner.finish_and_clear();
            table::intake(path, &intake);
        }
        let plans = meter.plan();
        table::plans(&plans);
        if self.dry_run {
            return Ok(true);
        }
        let signer = read_signer(&meter.config.key_file)?;
        meter.sign(&signer, &plans)?;
        if self.no_send {
            return Ok(true);
        }
        let sent = meter.send(&signer, &api_key(&meter.config)?)?;
        table::sent(&sent);
        Ok(sent.refused.is_empty() && sent.halted.is_empty())
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
    Ok(Signer::from_seed(&keys::seed(path)?))
}

fn api_key(config: &Config) -> Result<String, Fault> {
    if let Ok(key) = std::env::var("QUAN_API_KEY") {
        return Ok(key);
    }
    let path = config.api_key_file.as_ref().ok_or(Fault::NoApiKey)?;
    let text = fs::read_to_string(path).map_err(|error| Fault::File(path.clone(), error))?;
    Ok(text.trim().to_owned())
}
