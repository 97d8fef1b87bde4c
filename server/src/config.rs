//! Every setting once: its name, unit, default and why (DESIGN §7).
//!
//! A flag wins over the environment (`QUAN_…`), that over the one TOML file, that over the default. Who calls: `main`, the demo
//! and the tests. No secret is a setting; a database address may hold a password, which no text form shows.

use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::objects::{self, Place};
use crate::sequencer::{BEHIND_MAX, IDLE_FROM};
use crate::store::{Address, StoreFault};

/// The origin of an exchange that nobody has named: fit for a trial, not for a city.
const ORIGIN: &str = "localhost/quan";
/// What is worth a line: ours, and only the warnings of the HTTP library.
const LOG: &str = "info,actix_server=warn";
/// More than anybody sends by mistake who looks at the answers; at a kilobyte each, half a year of them is some gigabytes.
const REFUSALS_PER_HOUR: u32 = 1_000;
/// A tebibyte: more than one file of a dataset is.
const UPLOAD_BYTES_MAX: u64 = 1 << 40;
/// What a vendor may keep here unless the exchange says otherwise.
const VENDOR_BYTES_MAX: u64 = 1 << 41;
/// The largest size of either: a number of the database.
const BYTES_MAX: u64 = 1 << 60;
/// Beyond this a settings file is not a settings file.
const FILE_BYTES_MAX: u64 = 65_536;

/// The settings as they are asked for, by flags and environment or by a file; what is absent has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Asked {
    /// Folder for keys, trail and SQLite files; made when missing [default: quan-data]
    #[arg(long, env = "QUAN_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where HTTP listens; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "QUAN_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// sqlite:PATH or postgres://USER@HOST/DATABASE [default: sqlite:DATA/quan.db]
    #[arg(
        long,
        env = "QUAN_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// Where the trail lies: a folder, or s3://BUCKET/PREFIX with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
    /// AWS_ENDPOINT_URL in the environment [default: DATA/trail]
    #[arg(long, env = "QUAN_OBJECTS", value_name = "PLACE")]
    pub objects: Option<String>,
    /// Where datasets lie: a folder, or s3://BUCKET/PREFIX as for the trail [default: DATA/blobs]
    #[arg(long, env = "QUAN_BLOBS", value_name = "PLACE")]
    pub blobs: Option<String>,
    /// Bytes of the largest file that may be uploaded [default: 1099511627776]
    #[arg(long, env = "QUAN_UPLOAD_BYTES_MAX", value_name = "N")]
    pub upload_bytes_max: Option<u64>,
    /// Bytes that one vendor may keep here [default: 2199023255552]
    #[arg(long, env = "QUAN_VENDOR_BYTES_MAX", value_name = "N")]
    pub vendor_bytes_max: Option<u64>,
    /// Hours after which an upload that nobody continues is removed [default: 72]
    #[arg(long, env = "QUAN_UPLOAD_HOURS", value_name = "H")]
    pub upload_hours: Option<u64>,
    /// Whether datasets are encrypted where they lie: true or false [default: true]
    #[arg(long, env = "QUAN_SEAL_BLOBS", value_name = "BOOL")]
    pub seal_blobs: Option<bool>,
    /// Days after which a stored file is read and hashed again [default: 30]
    #[arg(long, env = "QUAN_REHASH_DAYS", value_name = "D")]
    pub rehash_days: Option<u64>,
    /// How the world reaches this server: scheme and host; for links in documents [default: the request's Host]
    #[arg(long, env = "QUAN_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Name of the trail and audience of every receipt; settled for ever by the first start [default: localhost/quan]
    #[arg(long, env = "QUAN_ORIGIN", value_name = "NAME")]
    pub origin: Option<String>,
    /// Milliseconds between two checkpoints while entries come [default: 1000]
    #[arg(long, env = "QUAN_PUBLISH_MS", value_name = "MS")]
    pub publish_ms: Option<u64>,
    /// Seconds after which witnesses cosign an unchanged checkpoint again [default: 600]
    #[arg(long, env = "QUAN_REWITNESS_S", value_name = "S")]
    pub rewitness_s: Option<u64>,
    /// Milliseconds between two looks for what has fallen due [default: 60000]
    #[arg(long, env = "QUAN_TIMERS_MS", value_name = "MS")]
    pub timers_ms: Option<u64>,
    /// Hours between two entries that state how many entries each scope has; a stop writes one too; 0 never [default: 24]
    #[arg(long, env = "QUAN_SEAL_HOURS", value_name = "H")]
    pub seal_hours: Option<u64>,
    /// Commands that may wait for the sequencer before callers are told to come back [default: 20000]
    #[arg(long, env = "QUAN_QUEUE_MAX", value_name = "N")]
    pub queue_max: Option<usize>,
    /// Entries that lists may be behind the log before it is written more slowly [default: 50000]
    #[arg(long, env = "QUAN_BEHIND_MAX", value_name = "N")]
    pub behind_max: Option<u64>,
    /// Entries that make a snapshot of the book worth its seconds in an idle moment [default: 50000]
    #[arg(long, env = "QUAN_SNAPSHOT_ENTRIES", value_name = "N")]
    pub snapshot_entries: Option<u64>,
    /// Refusals of one party that are kept in an hour; beyond them it is answered 429 where it would be refused [default: 1000]
    #[arg(long, env = "QUAN_REFUSALS_PER_HOUR", value_name = "N")]
    pub refusals_per_hour: Option<u32>,
    /// Threads that serve HTTP [default: one a core]
    #[arg(long, env = "QUAN_THREADS", value_name = "N")]
    pub threads: Option<usize>,
    /// Form of the log on standard error: text or json [default: text]
    #[arg(long, env = "QUAN_LOG_FORMAT", value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// What is logged, e.g. warn,server=debug [default: info,actix_server=warn]
    #[arg(long, env = "QUAN_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// The settings that hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The data folder: keys, `operator.key`, `trail/`, `policy.txt`, SQLite files.
    pub data: PathBuf,
    /// Where HTTP listens. Loopback by default: TLS and the open network are a proxy's work.
    pub listen: SocketAddr,
    /// The database. SQLite in the data folder by default, so that nothing has to be installed.
    pub database: Address,
    /// Where the trail's tiles lie. A folder by default; several servers share one folder or one bucket.
    pub objects: Place,
    /// Where the bytes of datasets lie, each content once. Not in the trail's place: that one is public.
    pub blobs: Place,
    /// The largest file that may be uploaded.
    pub upload_bytes_max: u64,
    /// What one vendor may keep here, uploads under way among it: a disk has an end.
    pub vendor_bytes_max: u64,
    /// After so long an upload that nobody continues is removed with its bytes. A weekend fits in it.
    pub upload_keep: Duration,
    /// Whether blobs are age files: who takes the disk has nothing then.
    pub seal_blobs: bool,
    /// After so long a stored blob is hashed again: a disk that rots is found before a buyer finds it.
    pub rehash_every: Duration,
    /// What absolute links begin with, without a `/` at the end; the request's `Host` where it is absent.
    pub public_url: Option<String>,
    /// The trail's origin and every receipt's audience, never the listen address: that one may change.
    pub origin: String,
    /// Between two checkpoints. A checkpoint costs a few syncs; TRAIL asks for one within 60 s of an entry.
    pub publish_every: Duration,
    /// After so long an unchanged checkpoint is cosigned again: a quiet log stays known as alive (TRAIL D6).
    pub rewitness_every: Duration,
    /// Between two looks for what has fallen due. A deadline binds without its entry, so nobody waits for it.
    pub timers_every: Duration,
    /// Between two `book.sealed`, if anything was written; none where it is absent. Until the next one, a regulator of one scope cannot
    /// tell whether its newest entries are withheld: beyond 24 h its audits by the clock say `trail.unsealed`.
    pub seal_every: Option<Duration>,
    /// The bound of the sequencer's queue: two full bulk requests, so that one cannot starve all others.
    pub queue_max: usize,
    /// How far the projector may be behind before the sequencer pauses after each batch (DESIGN §7).
    pub behind_max: u64,
    /// How many new entries make a snapshot of the book worth its seconds while the server is idle; a stop writes one from 1,000 on.
    pub snapshot_entries: u64,
    /// How many refusals of one party a server keeps in an hour. Each is kept for half a year, so a party's worst is some gigabytes.
    pub refusals_per_hour: u32,
    /// HTTP threads.
    pub threads: usize,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// The filter of log lines (`tracing_subscriber::EnvFilter`).
    pub log: String,
}

/// Why the settings cannot be used.
#[derive(Debug)]
pub enum ConfigFault {
    /// The file cannot be read.
    File(PathBuf, std::io::Error),
    /// The file is longer than any settings are.
    TooLong(PathBuf),
    /// The file is not TOML of known settings.
    Toml(PathBuf, Box<toml::de::Error>),
    /// The address of the database is none.
    Database(StoreFault),
    /// The place of the trail, or of datasets, is none.
    Objects(objects::Fault),
    /// A number is outside what it may be.
    Range(&'static str, u64, u64),
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, _) => write!(f, "cannot read the settings in {}", path.display()),
            Self::TooLong(path) => write!(f, "{} is longer than 64 KiB", path.display()),
            Self::Toml(path, fault) => write!(f, "{}: {}", path.display(), fault.message()),
            Self::Database(fault) => write!(f, "database: {fault}"),
            Self::Objects(fault) => write!(f, "objects: {fault}"),
            Self::Range(name, low, high) => write!(f, "{name} is {low} to {high}"),
        }
    }
}

impl std::error::Error for ConfigFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_, fault) => Some(fault),
            Self::TooLong(_) | Self::Toml(..) | Self::Database(_) => None,
            Self::Objects(_) | Self::Range(..) => None,
        }
    }
}

impl Asked {
    /// Reads a settings file; an unknown setting is refused.
    /// # Errors
    /// [`ConfigFault`], naming the file.
    pub fn read(path: &Path) -> Result<Self, ConfigFault> {
        let file = |fault| ConfigFault::File(path.to_owned(), fault);
        if std::fs::metadata(path).map_err(file)?.len() > FILE_BYTES_MAX {
            return Err(ConfigFault::TooLong(path.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(file)?;
        toml::from_str(&text).map_err(|fault| ConfigFault::Toml(path.to_owned(), Box::new(fault)))
    }

    /// What is asked here, and where nothing is, what `other` asks.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            data: self.data.or(other.data),
            listen: self.listen.or(other.listen),
            database: self.database.or(other.database),
            objects: self.objects.or(other.objects),
            blobs: self.blobs.or(other.blobs),
            upload_bytes_max: self.upload_bytes_max.or(other.upload_bytes_max),
            vendor_bytes_max: self.vendor_bytes_max.or(other.vendor_bytes_max),
            upload_hours: self.upload_hours.or(other.upload_hours),
            seal_blobs: self.seal_blobs.or(other.seal_blobs),
            rehash_days: self.rehash_days.or(other.rehash_days),
            public_url: self.public_url.or(other.public_url),
            origin: self.origin.or(other.origin),
            publish_ms: self.publish_ms.or(other.publish_ms),
            rewitness_s: self.rewitness_s.or(other.rewitness_s),
            timers_ms: self.timers_ms.or(other.timers_ms),
            seal_hours: self.seal_hours.or(other.seal_hours),
            queue_max: self.queue_max.or(other.queue_max),
            behind_max: self.behind_max.or(other.behind_max),
            snapshot_entries: self.snapshot_entries.or(other.snapshot_entries),
            refusals_per_hour: self.refusals_per_hour.or(other.refusals_per_hour),
            threads: self.threads.or(other.threads),
            log_format: self.log_format.or(other.log_format),
            log: self.log.or(other.log),
        }
    }

    /// Fills in the defaults and checks the ranges.
    /// # Errors
    /// [`ConfigFault::Database`], [`ConfigFault::Range`].
    #[expect(
        clippy::too_many_lines,
        reason = "one line a setting: a new setting is seen here"
    )]
    pub fn settle(self) -> Result<Config, ConfigFault> {
        let data = self.data.unwrap_or_else(|| PathBuf::from("quan-data"));
        let database = match &self.database {
            Some(text) => Address::parse(text).map_err(ConfigFault::Database)?,
            None => Address::Sqlite(data.join("quan.db")),
        };
        let objects = match &self.objects {
            Some(text) => Place::parse(text).map_err(ConfigFault::Objects)?,
            None => Place::Folder(data.join("trail")),
        };
        let blobs = match &self.blobs {
            Some(text) => Place::parse(text).map_err(ConfigFault::Objects)?,
            None => Place::Folder(data.join("blobs")),
        };
        let upload_bytes_max = self.upload_bytes_max.unwrap_or(UPLOAD_BYTES_MAX);
        let vendor_bytes_max = self.vendor_bytes_max.unwrap_or(VENDOR_BYTES_MAX);
        let upload_hours = within("upload-hours", self.upload_hours.unwrap_or(72), 1, 8_784)?;
        let rehash_days = within("rehash-days", self.rehash_days.unwrap_or(30), 1, 3_650)?;
        let public_url = self
            .public_url
            .map(|url| url.trim_end_matches('/').to_owned());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let publish_ms = within(
            "publish-ms",
            self.publish_ms.unwrap_or(1_000),
            10,
            3_600_000,
        )?;
        let rewitness_s = within("rewitness-s", self.rewitness_s.unwrap_or(600), 1, 86_400)?;
        let timers_ms = within("timers-ms", self.timers_ms.unwrap_or(60_000), 10, 3_600_000)?;
        let seal_hours = within("seal-hours", self.seal_hours.unwrap_or(24), 0, 8_784)?;
        let seal_every = Duration::from_secs(seal_hours.saturating_mul(3_600));
        Ok(Config {
            data,
            listen: self
                .listen
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            database,
            objects,
            blobs,
            upload_bytes_max: within("upload-bytes-max", upload_bytes_max, 1, BYTES_MAX)?,
            vendor_bytes_max: within("vendor-bytes-max", vendor_bytes_max, 1, BYTES_MAX)?,
            upload_keep: Duration::from_secs(upload_hours.saturating_mul(3_600)),
            seal_blobs: self.seal_blobs.unwrap_or(true),
            rehash_every: Duration::from_secs(rehash_days.saturating_mul(86_400)),
            public_url,
            origin: self.origin.unwrap_or_else(|| ORIGIN.to_owned()),
            publish_every: Duration::from_millis(publish_ms),
            rewitness_every: Duration::from_secs(rewitness_s),
            timers_every: Duration::from_millis(timers_ms),
            seal_every: (seal_hours > 0).then_some(seal_every),
            queue_max: within(
                "queue-max",
                self.queue_max.unwrap_or(20_000),
                256,
                1_000_000,
            )?,
            behind_max: within(
                "behind-max",
                self.behind_max.unwrap_or(BEHIND_MAX),
                1,
                1_000_000,
            )?,
            snapshot_entries: within(
                "snapshot-entries",
                self.snapshot_entries.unwrap_or(IDLE_FROM),
                1,
                1_000_000_000,
            )?,
            refusals_per_hour: within(
                "refusals-per-hour",
                self.refusals_per_hour.unwrap_or(REFUSALS_PER_HOUR),
                1,
                1_000_000,
            )?,
            threads: within("threads", self.threads.unwrap_or(cores), 1, 256)?,
            log_format: self.log_format.unwrap_or(LogFormat::Text),
            log: self.log.unwrap_or_else(|| LOG.to_owned()),
        })
    }
}

fn within<N: Copy + PartialOrd + TryInto<u64>>(
    name: &'static str,
    value: N,
    low: N,
    high: N,
) -> Result<N, ConfigFault> {
    if low <= value && value <= high {
        return Ok(value);
    }
    let number = |n: N| n.try_into().unwrap_or(u64::MAX);
    Err(ConfigFault::Range(name, number(low), number(high)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<Asked, ConfigFault> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quan.toml");
        std::fs::write(&path, text).unwrap();
        Asked::read(&path)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = written("listen = \"127.0.0.1:1\"\norigin = \"exchange.example/sh\"\n").unwrap();
        let flags = Asked {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 2))),
            ..Asked::default()
        };
        let config = flags.or(file).settle().unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.origin, "exchange.example/sh");
        assert_eq!(
            config.database,
            Address::Sqlite(PathBuf::from("quan-data/quan.db"))
        );
    }

    #[test]
    fn an_unknown_setting_and_a_number_out_of_range_are_refused() {
        assert!(matches!(
            written("lissen = \"x\""),
            Err(ConfigFault::Toml(..))
        ));
        for bad in [
            "publish-ms = 1",
            "queue-max = 1",
            "threads = 0",
            "snapshot-entries = 0",
            "refusals-per-hour = 0",
        ] {
            let refused = written(bad).unwrap().settle();
            assert!(matches!(refused, Err(ConfigFault::Range(..))), "{bad}");
        }
    }
}
