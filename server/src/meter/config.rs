//! `meter.toml`: what a provider declares once about its clusters and orders.
//!
//! Unknown keys are errors: a mistyped mapping must not turn into unmetered use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use verifier::id::{DocumentDigest, GpuModel, OrderId, PartyId, SiteId};
use verifier::time::UtcOffset;

/// Datasets that one account may name: the claims must leave room for the jobs.
pub const INPUTS_MAX: usize = 16;

/// The settings of one provider's meter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The exchange, `https://…`, without `/v1`.
    pub url: String,
    /// The exchange's origin, the receipts' `aud`.
    pub audience: String,
    /// The provider's party id, the receipts' `iss`.
    pub issuer: PartyId,
    /// The seed of the receipt key (32 bytes, mode 0600); `quan meter keygen` makes it.
    pub key_file: PathBuf,
    /// A file that holds the API key (mode 0600). The environment's `QUAN_API_KEY` comes first.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// The folder in which the meter keeps what it metered and sent. Back it up: it makes runs repeatable.
    pub spool: PathBuf,
    /// The zone of the process that ran `sacct`: `UTC`, `+08:00`. Needed for text exports only.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// Whether running jobs are metered up to the export; their receipts are corrected when the job ends with less.
    #[serde(default)]
    pub interim: bool,
    /// Cluster name → site.
    pub clusters: BTreeMap<String, Cluster>,
    /// Slurm account → order.
    pub accounts: BTreeMap<String, Account>,
}

/// A Slurm cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The site whose hardware it is.
    pub site: SiteId,
    /// GRES type → accelerator model. A type that is missing here is refused.
    #[serde(default)]
    pub gres: BTreeMap<String, GpuModel>,
    /// The model of GPUs that an export names without a type; only where the cluster has no other.
    #[serde(default)]
    pub untyped: Option<GpuModel>,
}

/// A Slurm account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The order that its use belongs to.
    pub order: OrderId,
    /// Manifest digests of the datasets that its jobs read, if the buyer declares them (DESIGN §5, `inputs`).
    #[serde(default)]
    pub inputs: Vec<DocumentDigest>,
}

/// A fixed offset as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(pub UtcOffset);

impl std::str::FromStr for Zone {
    type Err = NotAZone;

    fn from_str(text: &str) -> Result<Self, NotAZone> {
        if text == "UTC" || text == "Z" {
            return UtcOffset::new(0).map(Self).map_err(|_| NotAZone);
        }
        let (sign, clock) = match text.split_at_checked(1) {
            Some(("+", clock)) => (1, clock),
            Some(("-", clock)) => (-1, clock),
            Some(_) | None => return Err(NotAZone),
        };
        let (hour, minute) = clock.split_once(':').ok_or(NotAZone)?;
        let number = |text: &str| {
            let good = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
            if good {
                text.parse::<i16>().map_err(|_| NotAZone)
            } else {
                Err(NotAZone)
            }
        };
        let (hour, minute) = (number(hour)?, number(minute)?);
        if minute > 59 {
            return Err(NotAZone);
        }
        UtcOffset::new(sign * (hour * 60 + minute))
            .map(Self)
            .map_err(|_| NotAZone)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A text that names no fixed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAZone;

impl fmt::Display for NotAZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a zone is UTC or an offset like +08:00")
    }
}

impl std::error::Error for NotAZone {}

impl Config {
    /// Reads the text of a `meter.toml`; relative paths in it start at `folder`.
    /// # Errors
    /// A sentence that names the key.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let mut config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        config.url = config.url.trim_end_matches('/').to_owned();
        if !config.url.starts_with("https://") && !config.url.starts_with("http://") {
            return Err(format!(
                "url = {:?} is not an http or https address",
                config.url
            ));
        }
        for name in config.clusters.keys() {
            // The name becomes part of every run name (DESIGN §5, `run`).
            let good = (1..=32).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
            if !good {
                return Err(format!(
                    "clusters.{name:?}: a cluster has 1 to 32 characters of A-Z a-z 0-9 . _ -"
                ));
            }
        }
        for (name, account) in &config.accounts {
            if account.inputs.len() > INPUTS_MAX {
                return Err(format!("accounts.{name}: more than {INPUTS_MAX} inputs"));
            }
        }
        let places = [
            Some(&mut config.key_file),
            Some(&mut config.spool),
            config.api_key_file.as_mut(),
        ];
        for place in places.into_iter().flatten() {
            *place = folder.join(&place);
        }
        Ok(config)
    }

    /// The cluster of rows that name none, if there is only one.
    #[must_use]
    pub fn only_cluster(&self) -> Option<&str> {
        let mut names = self.clusters.keys();
        let first = names.next()?;
        if names.next().is_none() {
            Some(first)
        } else {
            None
        }
    }
}
