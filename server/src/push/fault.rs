//! What can break on a party's side: files, keys, the network; and what the exchange refuses.

use std::fmt;
use std::io;
use std::path::PathBuf;
use verifier::refusal::Refusal;

use crate::cause::faults_from;
use crate::clock::ClockFault;
use crate::keys;

/// Why it was not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// A file could not be read or written.
    File(PathBuf, io::Error),
    /// A file is not what it should be.
    Content(PathBuf, String),
    /// Names that cannot stand in a dataset.
    Names(Vec<String>),
    /// No API key was given.
    NoApiKey,
    /// The party's handle is another one.
    Handle(String),
    /// The exchange could not be reached, however often it was tried.
    Unreachable(String),
    /// The exchange says no.
    Refused(Box<Refused>),
    /// The exchange answered what no exchange answers.
    Answer(String, u16, String),
    /// An upload ended otherwise than it should.
    Upload(String),
    /// A delivery or a receipt that cannot be accepted.
    Delivery(String),
    /// A key's file.
    Key(keys::Fault),
    /// A statement breaks a rule.
    Rule(Box<Refusal>),
    /// The machine's clock or generator.
    Clock(ClockFault),
}

/// A refusal as it was answered.
#[derive(Debug)]
pub(super) struct Refused {
    /// What was asked.
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) detail: String,
    pub(super) values: serde_json::Value,
}

impl Fault {
    /// Whether somebody said no, rather than something broke.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::Upload(_) | Self::Delivery(_) | Self::Names(_)
        )
    }

    /// Whether other files may still go: the key is good, the exchange is there.
    pub(super) fn is_about_a_file(&self) -> bool {
        let goes_on = |refused: &Refused| {
            !matches!(refused.status, 401 | 403) && refused.code != "listing.unknown"
        };
        match self {
            Self::Upload(_) => true,
            Self::Refused(refused) => goes_on(refused),
            Self::File(..)
            | Self::Content(..)
            | Self::Names(_)
            | Self::NoApiKey
            | Self::Handle(_)
            | Self::Unreachable(_)
            | Self::Answer(..)
            | Self::Delivery(_)
            | Self::Key(_)
            | Self::Rule(_)
            | Self::Clock(_) => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Content(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Names(names) => write!(
                f,
                "these names cannot stand in a dataset; rename them: {}",
                names.join("; ")
            ),
            Self::NoApiKey => f.write_str("no API key: set QUAN_API_KEY or give --key-file"),
            Self::Handle(yours) => write!(
                f,
                "your handle is {yours}: write --listing {yours}/NAME (the card is drafted there)"
            ),
            Self::Unreachable(why) => {
                write!(
                    f,
                    "the exchange cannot be reached ({why}); run it again later"
                )
            }
            Self::Refused(refused) => {
                write!(f, "{} ({})", refused.detail, refused.code)?;
                if refused.code == "listing.unknown" && refused.path.starts_with("/v1/listings/") {
                    f.write_str("; draft it first, with --card FILE")?;
                }
                Ok(())
            }
            Self::Answer(path, status, text) => {
                write!(f, "{path} was answered {status}: {text}")
            }
            Self::Upload(why) | Self::Delivery(why) => f.write_str(why),
            Self::Key(fault) => write!(f, "{}", crate::cause::Whole(fault)),
            Self::Rule(refusal) => refusal.fmt(f),
            Self::Clock(fault) => fault.fmt(f),
        }
    }
}

faults_from! { keys::Fault => Key, ClockFault => Clock }

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Rule(Box::new(refusal))
    }
}
