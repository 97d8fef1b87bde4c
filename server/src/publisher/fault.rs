//! Why nothing was published, and what the operator is to do about it.

use std::fmt;
use std::path::PathBuf;

use verifier::trail::Flaw;
use verifier::trail::key::VerifierKey;

use crate::cause::faults_from;
use crate::faults::Crash;
use crate::keys;
use crate::objects;
use crate::store::StoreFault;

/// Why nothing was published, or why this server must not write at all.
#[derive(Debug)]
pub enum Fault {
    /// The database failed, or contradicts itself.
    Store(StoreFault),
    /// The bucket failed, or holds other bytes than our rows give.
    Objects(objects::Fault),
    /// What we made or found is not of the trail's form.
    Trail(Flaw),
    /// The world has seen a larger tree than this database holds.
    Ahead {
        /// The size of the checkpoint in the bucket.
        published: u64,
        /// The size of this database's log.
        committed: u64,
    },
    /// The world has seen another tree of a size that this database also holds or held.
    Fork {
        /// The size of the checkpoint in the bucket.
        size: u64,
    },
    /// A witness has cosigned more of this log than this database holds.
    WitnessAhead {
        /// The witness's name in the policy.
        witness: String,
        /// The size that it has cosigned, with this log's signature.
        cosigned: u64,
        /// The size of this database's log.
        committed: u64,
    },
    /// A witness has cosigned another tree of this log.
    WitnessFork {
        /// The witness's name in the policy.
        witness: String,
        /// The size that it has cosigned, with this log's signature.
        size: u64,
    },
    /// The trail was signed by another key than `log.key`, or under another origin.
    Foreign(Flaw),
    /// A key of the log that has to sign is not in the data folder; its file would be this one.
    KeyMissing(VerifierKey, PathBuf),
    /// A key file cannot be used.
    Keys(keys::Fault),
    /// The log goes on under this origin, which is not the one of the settings.
    Moved(String),
    /// What is published is of this origin: going on under a new one was cut off.
    HalfMoved(String),
    /// The policy file names other logs than this one.
    Policy(PathBuf),
    /// A file of the data folder cannot be read or written.
    File(PathBuf, std::io::Error),
    /// A test stopped the process here.
    Crash(Crash),
}

impl Fault {
    /// Whether the same step may work later: a disk, a database or a network that comes back.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Store(fault) => !matches!(fault, StoreFault::Inconsistent(_)),
            Self::Objects(fault) => !matches!(fault, objects::Fault::Differs(_)),
            // Another server publishes meanwhile, and the file is looked for again.
            Self::KeyMissing(..) => true,
            Self::Trail(_)
            | Self::Ahead { .. }
            | Self::Fork { .. }
            | Self::WitnessAhead { .. }
            | Self::WitnessFork { .. }
            | Self::Foreign(_)
            | Self::Keys(_)
            | Self::Moved(_)
            | Self::HalfMoved(_)
            | Self::Policy(_)
            | Self::File(..)
            | Self::Crash(_) => false,
        }
    }
}

impl fmt::Display for Fault {
    #[expect(
        clippy::too_many_lines,
        reason = "one match, a sentence a fault: what a tired operator reads"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(fault) => fault.fmt(f),
            Self::Objects(fault) => fault.fmt(f),
            Self::Trail(flaw) => flaw.fmt(f),
            Self::Ahead {
                published,
                committed,
            } => write!(
                f,
                "trail.ahead: the published checkpoint has {published} entries, this database {committed}: it is older \
                 than what the world has seen. Nothing was written. Restore the newest backup or replica of the database; \
                 if there is none, continue under a new origin (`quan continue`)"
            ),
            Self::Fork { size } => write!(
                f,
                "trail.fork: the published checkpoint of {size} entries is not of this database. Nothing was written. \
                 Restore the database that belongs to this trail, or give this one an empty trail folder and its own origin"
            ),
            Self::WitnessAhead {
                witness,
                cosigned,
                committed,
            } => write!(
                f,
                "trail.ahead: the witness {witness} has cosigned {cosigned} entries of this log, this database has \
                 {committed}: it is older than what the world has seen. Nothing was written. Restore the newest backup or \
                 replica of the database; if there is none, continue under a new origin (`quan continue`)"
            ),
            Self::WitnessFork { witness, size } => write!(
                f,
                "trail.fork: the witness {witness} has cosigned a tree of {size} entries, signed by this log's key, that is \
                 not of this database. Nothing was written. Restore the database that belongs to this log; if there is \
                 none, continue under a new origin (`quan continue`)"
            ),
            Self::Foreign(flaw) => write!(
                f,
                "the trail folder or database belongs to another log key or origin ({flaw}); restore log.key, or correct \
                 the setting `origin`"
            ),
            Self::KeyMissing(key, path) => write!(
                f,
                "the log's key {key} has to sign and is not in this data folder; copy {} from where the key was rotated. \
                 If it is lost everywhere, continue under a new origin (`quan continue`)",
                path.display()
            ),
            Self::Keys(fault) => fault.fmt(f),
            Self::Moved(origin) => write!(
                f,
                "the log goes on under {origin} (trail.continued): nothing more is signed under the old name. Start with \
                 --origin {origin}, and --objects for the place of its trail"
            ),
            Self::HalfMoved(origin) => write!(
                f,
                "what is published here is of {origin}, which this log has left: run `quan continue` again, it goes on where it was"
            ),
            Self::Policy(path) => write!(
                f,
                "{} does not name this log and its key; add the line, or remove the file to have it written anew",
                path.display()
            ),
            Self::File(path, _) => write!(f, "cannot read or write {}", path.display()),
            Self::Crash(crash) => crash.fmt(f),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(fault) => fault.source(),
            Self::Objects(fault) => fault.source(),
            Self::File(_, fault) => Some(fault),
            Self::Keys(fault) => fault.source(),
            Self::Trail(_)
            | Self::Ahead { .. }
            | Self::Fork { .. }
            | Self::WitnessAhead { .. }
            | Self::WitnessFork { .. }
            | Self::Foreign(_)
            | Self::KeyMissing(..)
            | Self::Moved(_)
            | Self::HalfMoved(_)
            | Self::Policy(_)
            | Self::Crash(_) => None,
        }
    }
}

faults_from! { StoreFault => Store, keys::Fault => Keys, objects::Fault => Objects, Flaw => Trail, Crash => Crash }
