//! `quan`: the exchange, a provider's meter, and the operator's commands. Wires only.

use clap::{Args, Parser, Subcommand};
use std::error::Error;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use server::cause::Whole;
use server::clock::Clock;
use server::config::{Asked, Config, LogFormat};
use server::faults::Faults;
use server::projector::Projector;
use server::store::Store;
use server::{demo, doctor, meter, serve};

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
    /// Works on programme files.
    #[command(subcommand)]
    Programme(Programme),
    /// Drops the rows behind lists and search and makes them again from the log.
    Rebuild(Settings),
    /// Says what this program allows and where it stands.
    Doctor(Doctor),
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
        Action::Programme(Programme::Check { file }) => check(&file),
        Action::Doctor(Doctor { access: true, .. }) => {
            say(&doctor::access_table());
            Ok(())
        }
        Action::Doctor(Doctor { settings, .. }) => report(settings),
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

fn report(settings: Settings) -> Done {
    say(&doctor::report(&settle(settings)?)?);
    Ok(())
}

fn rebuild(settings: Settings) -> Done {
    let config = settle(settings)?;
    let store = Store::open(config.database)?;
    let entries = Projector::open(Arc::new(store))?.rebuild()?;
    say(&format!("made again from {entries} entries"));
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

#[expect(
    clippy::print_stdout,
    reason = "a command's answer goes to standard output"
)]
fn say(text: &str) {
    println!("{}", text.trim_end());
}

#[expect(
    clippy::print_stderr,
    reason = "a command's fault goes to standard error"
)]
fn complain(fault: &dyn Error) {
    eprintln!("quan: {}", Whole(fault));
}
