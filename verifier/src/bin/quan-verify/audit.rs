//! `audit`: of a folder, or of an address that is fetched into a folder first; held to what was seen before.

use std::path::{Path, PathBuf};

use crate::copy;
use crate::fetch::{self, Reader, Source, Stop};
use crate::folder::{self, Folder};
use crate::remote::Remote;
use crate::study::Studied;
use crate::{Answer, NotChecked, html, print, read_policy, scope};
use verifier::audit::continued::hold_to;
use verifier::audit::{self, Depth, Known, Options, Verdict};
use verifier::book::scope::Scope;
use verifier::trail::note::{NOTE_BYTES_MAX, Note};
use verifier::trail::policy::Policy;

/// What `audit` is asked.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The trail: the folder that holds `checkpoint` and `tile/`, or the address where it is published (with --into).
    source: String,
    /// The folder to copy a published trail to, or to bring up to date, before it is audited.
    #[arg(long)]
    into: Option<PathBuf>,
    #[command(flatten)]
    reader: Reader,
    /// Whom to trust (C2SP tlog-policy).
    #[arg(long)]
    policy: PathBuf,
    /// Checks files, hashes and signatures only, of whatever log.
    #[arg(long)]
    trail_only: bool,
    /// Declares that only these scopes are seen, e.g. fund/sh-2025 or region/310000, beside what is common; may be repeated.
    /// Undeclared, what is withheld makes the answer `withheld`, exit code 1.
    #[arg(long, value_parser = scope, conflicts_with = "trail_only")]
    scope: Vec<Scope>,
    /// A checkpoint that somebody has seen before; may be repeated. A log that is shorter is a rollback, one that does not
    /// continue it a fork. Those in the folder's own `known/` are held against it without being named.
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// Holds the log to the checkpoint in this file, if it is there, and writes the newest verified one to it.
    #[arg(long, value_name = "FILE")]
    remember: Option<PathBuf>,
    /// The trail that this one goes on from (trail.continued), a folder: it is audited too, and must end where this one says.
    #[arg(long, value_name = "FOLDER", conflicts_with = "trail_only")]
    continues: Option<PathBuf>,
    /// The time in Unix seconds: a checkpoint that no witness has seen for an hour, or that one will see, is a difference;
    /// so is what is withheld and no `book.sealed` of the last 25 hours speaks of.
    #[arg(long, value_name = "UNIX")]
    now: Option<u64>,
    /// Also writes the report and the statistics as one HTML file that opens from disk and asks the network for nothing;
    /// it checks a pasted receipt or proof in the browser.
    #[arg(long, value_name = "FILE", conflicts_with = "trail_only")]
    html: Option<PathBuf>,
}

/// Runs `audit`.
pub(crate) fn run(asked: &Arguments, json: bool) -> Result<Answer, NotChecked> {
    let policy = read_policy(&asked.policy)?;
    let mut known = Vec::new();
    for file in &asked.known {
        known.push(read_known(file, &policy)?);
    }
    let remembered = asked.remember.as_deref().filter(|file| file.exists());
    if let Some(file) = remembered {
        known.push(read_known(file, &policy)?);
    }
    let folder = match fetched(asked, &policy)? {
        Ok(folder) => folder,
        Err((name, flaw)) => return Ok(fetch::differs(&name, &flaw, json)),
    };
    let options = Options {
        depth: if asked.trail_only {
            Depth::Trail
        } else {
            Depth::Decisions
        },
        known,
        scopes: asked.scope.clone(),
        now: asked.now,
    };
    let mut folder = Folder::open(&folder)?;
    let mut report = audit::audit_with(&mut folder, &policy, &options)?;
    if let Some(old) = &asked.continues {
        let mut old = Folder::open(old)?;
        let audited = audit::audit(&mut old, &policy, Depth::Decisions)?;
        let declared = !asked.scope.is_empty();
        hold_to((&mut folder, &mut report), (&mut old, &audited), declared)?;
    }
    if let (Some(file), Some(head)) = (&asked.remember, &report.head) {
        copy::put(file, head.to_string().as_bytes())?;
    }
    let answer = Answer {
        agrees: report.verdict == Verdict::Agree,
        page: print::report(&report, json),
    };
    if let Some(file) = &asked.html {
        let page = html::page(&Studied::of(report, &mut folder)?, &policy);
        copy::put(file, page.as_bytes())?;
    }
    Ok(answer)
}

/// The folder to audit, brought up to date if it is a copy.
fn fetched(
    asked: &Arguments,
    policy: &Policy,
) -> Result<Result<PathBuf, (String, verifier::trail::Flaw)>, NotChecked> {
    let is_address = ["http://", "https://"]
        .iter()
        .any(|scheme| asked.source.starts_with(scheme));
    let into = match (&asked.into, is_address) {
        (None, false) => return Ok(Ok(PathBuf::from(&asked.source))),
        (Some(into), true) => into,
        (None, true) => {
            return Err(NotChecked(
                "name the folder to copy it to by --into".to_owned(),
            ));
        }
        (Some(_), false) => {
            return Err(NotChecked(format!(
                "{} is no address: --into goes with http:// or https://",
                asked.source
            )));
        }
    };
    let source = Source {
        remote: &Remote::new(&asked.source, asked.reader.token.clone()),
        policy,
        scopes: &asked.scope,
    };
    match source.fetch(into) {
        Ok(_) => Ok(Ok(into.clone())),
        Err(Stop::Differs(name, flaw)) => Ok(Err((name, flaw))),
        Err(Stop::NotChecked(why)) => Err(why),
    }
}

/// Reads a checkpoint that the log is to be held to. One that it has not signed holds it to nothing.
fn read_known(file: &Path, policy: &Policy) -> Result<Known, NotChecked> {
    let note = folder::read(file, NOTE_BYTES_MAX)?;
    let signed = Note::parse(&note).and_then(|note| policy.check_signed(&note));
    signed.map_err(|flaw| NotChecked(format!("the checkpoint {}: {flaw}", file.display())))?;
    let name = file.display().to_string();
    Ok(Known { name, note })
}
