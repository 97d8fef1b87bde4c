//! What can break while metering: files, settings, the network.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::PathBuf;

use verifier::refusal::Refusal;

use crate::cause::faults_from;
use crate::clock::ClockFault;
use crate::faults::Crash;
use crate::keys;

/// Why the meter stopped. Nothing that was signed is lost by it: the spool goes on where it was.
#[derive(Debug)]
pub enum Fault {
    /// A file could not be read or written.
    File(PathBuf, io::Error),
    /// `meter.toml` says something that cannot be.
    Config(PathBuf, String),
    /// A text export whose zone nobody declared.
    NoZone(PathBuf),
    /// A file is not an export at all.
    NotAnExport(PathBuf, String),
    /// A file of the spool is not as the meter wrote it.
    Spool(PathBuf, String),
    /// Another meter works with this spool.
    Locked(PathBuf),
    /// The receipt key.
    Key(keys::Fault),
    /// No API key was given.
    NoApiKey,
    /// The exchange could not be reached, however often it was tried.
    Unreachable(String),
    /// The exchange refused the whole request.
    Answer(u16, String),
    /// A receipt that breaks a rule of its own: a mistake in this meter or its spool.
    Receipt(Box<Refusal>),
    /// The machine's clock.
    Clock(ClockFault),
    /// A test made the meter die.
    Crash(Crash),
    /// What is kept cannot be written as JSON.
    Json(serde_json::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Config(path, why) => write!(f, "{}: {why}", path.display()),
            Self::NoZone(path) => write!(
                f,
                "{}: its times carry no zone; set zone in meter.toml or give --zone (best: export with TZ=UTC)",
                path.display()
            ),
            Self::NotAnExport(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Spool(path, why) => {
                write!(
                    f,
                    "{} is damaged ({why}); restore the spool from its backup",
                    path.display()
                )
            }
            Self::Locked(path) => write!(f, "another meter works in {}", path.display()),
            Self::Key(fault) => match fault.source() {
                Some(source) => write!(f, "{fault}: {source}"),
                None => fault.fmt(f),
            },
            Self::NoApiKey => {
                f.write_str("no API key: set QUAN_API_KEY or api_key_file in meter.toml")
            }
            Self::Unreachable(why) => {
                write!(
                    f,
                    "the exchange cannot be reached ({why}); run the meter again later"
                )
            }
            Self::Answer(status, text) => write!(f, "the exchange answered {status}: {text}"),
            Self::Receipt(refusal) => write!(f, "a receipt would be refused: {refusal}"),
            Self::Clock(fault) => fault.fmt(f),
            Self::Crash(crash) => crash.fmt(f),
            Self::Json(error) => write!(f, "the spool cannot be written: {error}"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_, error) => Some(error),
            Self::Key(fault) => Some(fault),
            Self::Receipt(refusal) => Some(refusal),
            Self::Clock(fault) => Some(fault),
            Self::Crash(crash) => Some(crash),
            Self::Json(error) => Some(error),
            Self::Config(..)
            | Self::NoZone(_)
            | Self::NotAnExport(..)
            | Self::Spool(..)
            | Self::Locked(_)
            | Self::NoApiKey
            | Self::Unreachable(_)
            | Self::Answer(..) => None,
        }
    }
}

faults_from! { keys::Fault => Key, serde_json::Error => Json, ClockFault => Clock, Crash => Crash }

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Receipt(Box::new(refusal))
    }
}
