//! `quan key rotate-log`: a new key of the log takes over while the exchange serves (TRAIL E8). Who calls: `main`, the tests.
//!
//! In this order, so that whatever a death leaves is what the next run goes on with: the new key's file, its line in the policy
//! file, the command. The server needs no new start: its publisher finds the file when the entry says that it has to sign.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use verifier::book::command::RotateLogKey;
use verifier::book::log_key::rotation_text;
use verifier::time::Timestamp;
use verifier::trail::Flaw;
use verifier::trail::key::{KeyName, VerifierKey};
use verifier::trail::policy::Policy;

use crate::cause::faults_from;
use crate::config::Config;
use crate::keys::{self, SigningKey};

/// An exchange that does not answer in this time does not serve.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Answers are shorter.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How to rotate.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For so long both keys sign.
    pub overlap_seconds: u32,
    /// Where the exchange answers; where it listens by its settings if absent.
    pub server: Option<String>,
    /// Only makes the key file and the policy's line.
    pub prepare: bool,
}

/// Why nothing was rotated, or nobody knows yet.
#[derive(Debug)]
pub enum Fault {
    /// A key file.
    Keys(keys::Fault),
    /// A file of the data folder cannot be read or written.
    File(PathBuf, io::Error),
    /// A key or the policy file is not of its form.
    Trail(Flaw),
    /// The exchange does not answer.
    Silent(String, Box<ureq::Error>),
    /// It answers otherwise than an exchange does.
    Strange(String),
    /// It belongs to another origin than the settings.
    Origin(String, String),
    /// The newest key is not in the data folder.
    Missing(String),
    /// The exchange says no.
    Refused(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(fault) => fault.fmt(f),
            Self::File(path, _) => write!(f, "cannot read or write {}", path.display()),
            Self::Trail(flaw) => flaw.fmt(f),
            Self::Silent(url, _) => write!(
                f,
                "the exchange does not answer at {url}: start it, or name it by --server. Run this again: it goes on where it was"
            ),
            Self::Strange(what) => write!(f, "that is not how an exchange answers: {what}"),
            Self::Origin(found, asked) => write!(
                f,
                "the exchange there is {found}, the setting `origin` says {asked}"
            ),
            Self::Missing(vkey) => write!(
                f,
                "the log's newest key {vkey} is not in this data folder: rotate where it is. If it is lost, continue under a new \
                 origin (`quan continue`)"
            ),
            Self::Refused(why) => write!(f, "the exchange refuses: {why}"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Keys(fault) => fault.source(),
            Self::File(_, fault) => Some(fault),
            Self::Silent(_, fault) => Some(fault.as_ref()),
            Self::Trail(_)
            | Self::Strange(_)
            | Self::Origin(..)
            | Self::Missing(_)
            | Self::Refused(_) => None,
        }
    }
}

faults_from! { keys::Fault => Keys, Flaw => Trail }

/// What `GET /v1/exchange` says, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Shown {
    origin: String,
    log_keys: Vec<ShownKey>,
    last_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct ShownKey {
    vkey: String,
    from: u64,
    until: Option<Timestamp>,
}

/// Rotates, and says in words what the operator is to do next.
/// # Errors
/// [`Fault`]
pub fn rotate(config: &Config, plan: &Plan) -> Result<String, Fault> {
    let url = match &plan.server {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", config.listen),
    };
    let exchange = Exchange::new(url);
    let shown = exchange.show()?;
    if shown.origin != config.origin {
        return Err(Fault::Origin(shown.origin, config.origin.clone()));
    }
    if let Some(under_way) = under_way(&shown, plan.overlap_seconds) {
        return Ok(under_way);
    }
    let newest = shown.log_keys.last().map_or("", |key| &key.vkey);
    let old = VerifierKey::parse(newest)?;
    let missing = || Fault::Missing(newest.to_owned());
    let secret = keys::log_key(&config.data, &old)?.ok_or_else(missing)?;
    let new = prepare(&config.data, &shown, old.name())?;
    let file = keys::log_file(&config.data, &new);
    if plan.prepare {
        return Ok(format!(
            "made {}, and added its line to policy.txt; nothing signs with it yet.\nCopy the file into the data folder of every other \
             server of this exchange (mode 0600), then run this again without --prepare.\n",
            file.display()
        ));
    }
    let asked = signed((&old, &secret), &new, &config.data, plan.overlap_seconds)?;
    let token = config.data.join("operator.key");
    let token = fs::read_to_string(&token).map_err(|error| Fault::File(token, error))?;
    let (from, until) = exchange.ask(token.trim(), &new, &asked)?;
    Ok(said((&old, &new), (from, until), &file))
}

/// A rotation whose overlap lasts is not to be followed by another one by mistake: a run that was cut off is run again.
fn under_way(shown: &Shown, overlap_seconds: u32) -> Option<String> {
    let [.., before, newest] = shown.log_keys.as_slice() else {
        return None;
    };
    let until = before.until.filter(|until| *until > shown.last_at)?;
    (overlap_seconds > 0).then(|| {
        format!(
            "the log's key was rotated already: {} signs from head {} on, and until {until} both sign; nothing was done.\n",
            newest.vkey, newest.from
        )
    })
}

/// The key that is to take over, its file and its line in the policy: what an earlier run has made, or made now.
fn prepare(data: &Path, shown: &Shown, name: &KeyName) -> Result<VerifierKey, Fault> {
    let used = |key: &VerifierKey| {
        let vkey = key.to_string();
        shown.log_keys.iter().any(|known| known.vkey == vkey)
    };
    let mut made = keys::later_log_keys(data, name)?;
    made.retain(|key| !used(key));
    let new = match made.pop() {
        Some(key) => key,
        // DURABLE: a crash after it leaves a key that nobody has used: the next run takes it.
        None => keys::make_log_key(data, name)?,
    };
    // DURABLE: a crash after it leaves a line too many, which trusts a key of our own.
    add_to_policy(&data.join("policy.txt"), &new)?;
    Ok(new)
}

/// Adds the line of a key behind the last one of a log, if the file is there and lacks it. The rest stays as it is.
pub(crate) fn add_to_policy(file: &Path, key: &VerifierKey) -> Result<(), Fault> {
    let fault = |error| Fault::File(file.to_owned(), error);
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        // The next start writes it, with all keys.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault(error)),
    };
    let policy = Policy::parse(text.as_bytes())?;
    if policy.logs().iter().any(|log| log.key == *key) {
        return Ok(());
    }
    let mut lines: Vec<&str> = text.lines().collect();
    let line = format!("log {key}");
    let is_log = |line: &&str| line.split_whitespace().next() == Some("log");
    let place = lines.iter().rposition(is_log).map_or(0, |last| last + 1);
    lines.insert(place, &line);
    let text = format!("{}\n", lines.join("\n"));
    Policy::parse(text.as_bytes())?;
    let staged = file.with_extension("new");
    let mut out = File::create(&staged).map_err(fault)?;
    out.write_all(text.as_bytes()).map_err(fault)?;
    out.sync_all().map_err(fault)?;
    fs::rename(&staged, file).map_err(fault)
}

/// The command, signed by both keys.
fn signed(
    (old, secret): (&VerifierKey, &SigningKey),
    new: &VerifierKey,
    data: &Path,
    overlap_seconds: u32,
) -> Result<RotateLogKey, Fault> {
    let missing = || Fault::Missing(new.to_string());
    let successor = keys::log_key(data, new)?.ok_or_else(missing)?;
    let names = [old, new].map(ToString::to_string);
    let [before, after] = &names;
    let text = rotation_text(before, after, overlap_seconds);
    let lines = [
        secret.sign_line(old, &text)?,
        successor.sign_line(new, &text)?,
    ];
    let signatures = lines.map(|line| line.to_string()).concat();
    let [old, new] = names;
    Ok(RotateLogKey {
        old,
        new,
        overlap_seconds,
        signatures,
    })
}

fn said(
    (old, new): (&VerifierKey, &VerifierKey),
    (from, until): (u64, Timestamp),
    file: &Path,
) -> String {
    format!(
        "the log's key was rotated: from head {from} on {new} signs, and until {until} {old} signs too.\n\
         Next, before {until}:\n\
         - tell everybody who checks this log, by another way than this trail, to add the line that policy.txt has now:\n  \
           log {new}\n\
         - witnesses add it beside the old line, and take the old line away after {until};\n\
         - copy {} into the data folder of every other server of this exchange (mode 0600), and into the backup.\n\
         The old line stays in the policies of auditors, who check with it what was published before; the old key's file is of no \
         use after {until}: delete it.\n",
        file.display()
    )
}

/// The exchange as its operator asks it.
struct Exchange {
    agent: ureq::Agent,
    url: String,
}

impl Exchange {
    fn new(url: String) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build();
        Self {
            agent: config.new_agent(),
            url,
        }
    }

    fn show(&self) -> Result<Shown, Fault> {
        let answer = self.agent.get(format!("{}/v1/exchange", self.url)).call();
        let body = self.read(answer)?.1;
        serde_json::from_slice(&body).map_err(|fault| Fault::Strange(fault.to_string()))
    }

    /// Asks for the rotation; the key's id makes a repetition known for what it is.
    fn ask(
        &self,
        token: &str,
        new: &VerifierKey,
        asked: &RotateLogKey,
    ) -> Result<(u64, Timestamp), Fault> {
        #[derive(Deserialize)]
        struct Accepted {
            found: Found,
        }
        #[derive(Deserialize)]
        struct Found {
            succession: Succession,
        }
        #[derive(Deserialize)]
        struct Succession {
            from: u64,
            until: Timestamp,
        }
        let body = serde_json::to_vec(asked).map_err(|fault| Fault::Strange(fault.to_string()))?;
        let key = format!("rotate-log-{:08x}", u32::from_be_bytes(new.id()));
        let post = self.agent.post(format!("{}/v1/log-keys", self.url));
        let answer = post
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .send(&body[..]);
        let (status, body) = self.read(answer)?;
        if status != 201 {
            return Err(Fault::Refused(String::from_utf8_lossy(&body).into_owned()));
        }
        let accepted: Accepted =
            serde_json::from_slice(&body).map_err(|fault| Fault::Strange(fault.to_string()))?;
        let Succession { from, until } = accepted.found.succession;
        Ok((from, until))
    }

    fn read(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, Vec<u8>), Fault> {
        let silent = |fault| Fault::Silent(self.url.clone(), Box::new(fault));
        let mut answer = answer.map_err(silent)?;
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let body = body.read_to_vec().map_err(silent)?;
        Ok((answer.status().as_u16(), body))
    }
}
