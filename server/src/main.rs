//! `quan`: the exchange, a provider's meter, a party's datasets, and the operator's commands. Wires only.

use clap::{Args, Parser, Subcommand};
use std::error::Error;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use server::cause::Whole;
use server::clock::Clock;
use server::config::{Asked, Config, LogFormat};
use server::faults::Faults;
use server::projector::Projector;
use server::publisher::Mode;
use server::store::Store;
use server::{continuation, demo, doctor, meter, push, rotation, serve};
use verifier::book::command::ContinuationReason;

/// An exchange for AI vouchers: compute and data, one ledger, one signed trail.
#[derive(Debug, Parser)]
#[command(name = "quan", version)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serves an exchange; the first start opens it.
    Serve(Settings),
    /// Plays a story on an exchange of its own and audits it.
    Demo(demo::Args),
    /// Turns a scheduler's exports into signed receipts and sends them.
    Meter(meter::Command),
    /// Works on the files of datasets.
    #[command(subcommand)]
    Dataset(push::Command),
    /// Works on programme files.
    #[command(subcommand)]
    Programme(Programme),
    /// Drops the rows behind lists and search and makes them again from the log.
    Rebuild(Settings),
    /// Says where the exchange stands, and compares database and trail; exit 1 where they differ, 2 where they cannot be read.
    Doctor(Doctor),
    /// Works on the published trail.
    #[command(subcommand)]
    Trail(Trail),
    /// Works on the exchange's own keys.
    #[command(subcommand)]
    Key(Key),
    /// Goes on under a new origin (--origin), where the log's key is lost or no backup is as new as what the world has seen. Nobody serves
    /// the exchange meanwhile; run again, it goes on where it was.
    Continue {
        /// A file with the last checkpoint that the world has: the old trail's `checkpoint`, a witness's, or an auditor's.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Where the old trail's tiles still are, a folder or s3://BUCKET/PREFIX: by them it is proven what was kept.
        #[arg(long, value_name = "PLACE")]
        old_objects: Option<String>,
        /// Why: with a lost key every entry is here, behind the world some are lost.
        #[arg(long, value_enum)]
        reason: Reason,
        #[command(flatten)]
        settings: Settings,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Reason {
    LostKey,
    BehindWorld,
}

#[derive(Debug, Args)]
struct Settings {
    /// A TOML file of settings; flags and the environment win over it.
    #[arg(long, env = "QUAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Programme {
    /// Reads a file and says what it leaves open.
    Check {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Trail {
    /// Deletes partial tiles, bundles and parts of the history whose full one has been published for an hour.
    Gc {
        /// Only says what would be deleted.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        settings: Settings,
    },
}

#[derive(Debug, Subcommand)]
enum Key {
    /// Makes a new key for the log and lets it take over while the exchange serves; run again, it goes on where it was.
    RotateLog {
        /// For so many hours both keys sign every checkpoint; 0 for a key that somebody else may hold: it ends at once.
        #[arg(long, default_value_t = 720, value_name = "H", value_parser = clap::value_parser!(u32).range(0..=8_784))]
        overlap_hours: u32,
        /// Where the exchange answers [default: http:// and where it listens]
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        /// Only makes the key file and the policy's line, to be copied to other servers first.
        #[arg(long)]
        prepare: bool,
        #[command(flatten)]
        settings: Settings,
    },
}

#[derive(Debug, Args)]
struct Doctor {
    /// Prints which role may ask which command.
    #[arg(long)]
    access: bool,
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    let done = match Command::parse().action {
        Action::Serve(settings) => serve(settings),
        Action::Rebuild(settings) => rebuild(settings),
        Action::Demo(args) => return demo::run(&args),
        Action::Meter(command) => return meter::run(&command),
        Action::Dataset(command) => return push::run(&command),
        Action::Programme(Programme::Check { file }) => check(&file),
        Action::Doctor(Doctor { access: true, .. }) => {
            say(&doctor::access_table());
            Ok(())
        }
        Action::Doctor(Doctor { settings, .. }) => return report(settings),
        Action::Trail(Trail::Gc { dry_run, settings }) => return collect(settings, dry_run),
        Action::Continue {
            from,
            old_objects,
            reason,
            settings,
        } => go_on(settings, from, old_objects, reason),
        Action::Key(Key::RotateLog {
            overlap_hours,
            server,
            prepare,
            settings,
        }) => rotate_log(
            settings,
            &rotation::Plan {
                overlap_seconds: overlap_hours.saturating_mul(3_600),
                server,
                prepare,
            },
        ),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            complain(fault.as_ref());
            ExitCode::FAILURE
        }
    }
}

type Done<T = ()> = Result<T, Box<dyn Error>>;

fn serve(settings: Settings) -> Done {
    let config = settle(settings)?;
    log_to_stderr(&config)?;
    let running = serve::start(config, Clock::real(), Faults::none())?;
    running.stop_on_signals()?;
    Ok(running.wait()?)
}

/// As `quan-verify audit`: 0 all agree, 1 something differs, 2 it could not be checked.
fn report(settings: Settings) -> ExitCode {
    compared(|| {
        let config = settle(settings)?;
        say(&doctor::report(&config)?);
        let (keys, are_whole) = doctor::keys(&config)?;
        if !keys.is_empty() {
            say(&keys);
        }
        let (compared, agrees) = doctor::check(&config)?;
        Ok((compared, agrees && are_whole))
    })
}

fn collect(settings: Settings, dry_run: bool) -> ExitCode {
    let mode = if dry_run { Mode::List } else { Mode::Delete };
    compared(|| Ok(doctor::collect(&settle(settings)?, mode)?))
}

fn compared(compare: impl FnOnce() -> Done<(String, bool)>) -> ExitCode {
    match compare() {
        Ok((text, agrees)) => {
            say(&text);
            ExitCode::from(u8::from(!agrees))
        }
        Err(fault) => {
            complain(fault.as_ref());
            ExitCode::from(2)
        }
    }
}

fn rebuild(settings: Settings) -> Done {
    let config = settle(settings)?;
    let store = Store::open(config.database)?;
    let entries = Projector::open(Arc::new(store))?.rebuild()?;
    say(&format!("made again from {entries} entries"));
    Ok(())
}

fn go_on(settings: Settings, from: PathBuf, old_objects: Option<String>, reason: Reason) -> Done {
    let plan = continuation::Plan {
        from,
        old_objects,
        reason: match reason {
            Reason::LostKey => ContinuationReason::LostKey,
            Reason::BehindWorld => ContinuationReason::BehindWorld,
        },
    };
    let config = settle(settings)?;
    say(&continuation::go_on(&config, &plan, &Clock::real())?);
    Ok(())
}

fn rotate_log(settings: Settings, plan: &rotation::Plan) -> Done {
    say(&rotation::rotate(&settle(settings)?, plan)?);
    Ok(())
}

fn settle(settings: Settings) -> Done<Config> {
    let file = settings
        .config
        .as_deref()
        .map(Asked::read)
        .transpose()?
        .unwrap_or_default();
    Ok(settings.asked.or(file).settle()?)
}

fn log_to_stderr(config: &Config) -> Done {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

fn check(file: &Path) -> Done {
    say(&doctor::programme(&std::fs::read_to_string(file)?)?);
    Ok(())
}

/// A command's answer goes to standard output. A reader that has seen enough, as `head` has, is no fault.
fn say(text: &str) {
    let written = writeln!(io::stdout().lock(), "{}", text.trim_end());
    if let Err(fault) = written
        && fault.kind() != ErrorKind::BrokenPipe
    {
        complain(&fault);
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a command's fault goes to standard error"
)]
fn complain(fault: &dyn Error) {
    eprintln!("quan: {}", Whole(fault));
}
