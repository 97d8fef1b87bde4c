//! `quan-verify`: checks what an exchange has published, with nothing but its files and a policy (DESIGN §8).
//!
//! Opens no database; only `fetch`, `audit` of an address and `witness` open a socket. Exit code: 0 all was checked and agrees, 1 something differs, 2 it could not be checked.

mod audit;
mod copy;
mod dataset;
mod desk;
mod explain;
mod fetch;
mod folder;
mod html;
mod print;
mod receipt;
mod remote;
mod reply;
mod sample;
mod study;
mod tables;
mod witness;

use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use folder::Unreadable;
use verifier::book::scope::Scope;
use verifier::trail::policy::{POLICY_BYTES_MAX, Policy};
use verifier::trail::proof::{PROOF_BYTES_MAX, Proof};

/// An audit's lanes build what its book takes apart: a sixth of its time with the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Checks an exchange's trail, receipts and proofs offline.
///
/// Exit code: 0 everything was checked and agrees, 1 something differs, 2 it could not be checked.
#[derive(Parser)]
#[command(name = "quan-verify", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Prints JSON for programs.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Checks every file, hash and signature of a trail and decides every entry again.
    Audit(audit::Arguments),
    /// Copies a published trail to a folder, or brings the copy up to date; nothing is written that the log has not signed.
    Fetch(fetch::Arguments),
    /// Checks one signed receipt: a compact JWS in a file.
    Receipt {
        /// The receipt.
        file: PathBuf,
        /// The signer's public key: `x` of its JWK.
        #[arg(long, conflicts_with = "trail")]
        key: Option<String>,
        /// The trail to find the signer's key, and the receipt itself, in.
        #[arg(long)]
        trail: Option<PathBuf>,
    },
    /// Checks a signed reply of an exchange: that the entry it promises is in the trail, that a refusal is sealed.
    Reply(reply::Arguments),
    /// Checks a `.tlog-proof` and prints the entry that it proves.
    Proof {
        /// The proof.
        file: PathBuf,
        /// Whom to trust (C2SP tlog-policy).
        #[arg(long)]
        policy: PathBuf,
    },
    /// Counts use by site, region and week, and subsidy by scheme, programme, size class, evidence level and word.
    Stats {
        /// The trail: the folder that holds `checkpoint` and `tile/`.
        folder: PathBuf,
        /// Whom to trust (C2SP tlog-policy).
        #[arg(long)]
        policy: PathBuf,
    },
    /// Looks for patterns that are worth a look: each with its threshold, entries, parties and numbers. No verdicts.
    Signals {
        /// The trail: the folder that holds `checkpoint` and `tile/`.
        folder: PathBuf,
        /// Whom to trust (C2SP tlog-policy).
        #[arg(long)]
        policy: PathBuf,
    },
    /// Compares the trails of several exchanges: one site's hardware, one run or one document in two of them exits 1.
    Cross {
        /// The trails, each a folder that holds `checkpoint` and `tile/`.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// Whom to trust (C2SP tlog-policy): once for all, or once a trail in the same order.
        #[arg(long, required = true)]
        policy: Vec<PathBuf>,
    },
    /// Tells in words what an entry, or every entry about a voucher or an order, says.
    Explain {
        /// The number of an entry, or the id of a voucher or an order.
        subject: String,
        /// The trail: the folder that holds `tile/`.
        #[arg(long)]
        trail: PathBuf,
    },
    /// Tells all about one version of a dataset: publisher, prices, assessments, orders, deliveries, acceptance, jobs, subsidy.
    Dataset(dataset::Arguments),
    /// Computes a sampling sheet again: seed, draw, interval, and that its checkpoint is the log's.
    Sample(sample::Arguments),
    /// Cosigns the checkpoints of the logs that a policy names (C2SP tlog-witness), until it is stopped.
    Witness(witness::Arguments),
}

/// What a command comes to.
struct Answer {
    /// Whether all that was checked agrees.
    agrees: bool,
    /// The page to print.
    page: String,
}

/// Why something could not be checked; a difference is none of these.
#[derive(Debug)]
struct NotChecked(String);

impl From<Unreadable> for NotChecked {
    fn from(fault: Unreadable) -> Self {
        Self(fault.to_string())
    }
}

fn main() -> ExitCode {
    let Arguments { command, json } = Arguments::parse();
    let answer = match command {
        Command::Audit(asked) => audit::run(&asked, json),
        Command::Fetch(asked) => fetch::run(&asked, json),
        Command::Receipt { file, key, trail } => {
            receipt::check(&file, key.as_deref(), trail.as_deref(), json)
        }
        Command::Reply(asked) => reply::check(&asked, json),
        Command::Proof { file, policy } => check_proof(&file, &policy, json),
        Command::Stats { folder, policy } => study::show_stats(&folder, &policy, json),
        Command::Signals { folder, policy } => study::show_signals(&folder, &policy, json),
        Command::Cross { folders, policy } => study::show_crossing(&folders, &policy, json),
        Command::Explain { subject, trail } => explain::explain(&subject, &trail, json),
        Command::Dataset(asked) => dataset::tell(&asked, json),
        Command::Sample(asked) => sample::check(&asked, json),
        Command::Witness(arguments) => witness::run(&arguments),
    };
    match answer {
        Ok(Answer { agrees, page }) => {
            // A reader that went away (`| head`) changes nothing about the verdict.
            let _ = std::io::stdout().lock().write_all(page.as_bytes());
            ExitCode::from(u8::from(!agrees))
        }
        Err(NotChecked(why)) => {
            let _ = writeln!(std::io::stderr().lock(), "could not check: {why}");
            ExitCode::from(2)
        }
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).map_err(|fault| fault.to_string())
}

fn read_policy(file: &Path) -> Result<Policy, NotChecked> {
    let bytes = folder::read(file, POLICY_BYTES_MAX)?;
    Policy::parse(&bytes)
        .map_err(|flaw| NotChecked(format!("the policy {}: {flaw}", file.display())))
}

fn check_proof(file: &Path, policy: &Path, json: bool) -> Result<Answer, NotChecked> {
    let policy = read_policy(policy)?;
    let bytes = folder::read(file, PROOF_BYTES_MAX)?;
    let proof = Proof::parse(&bytes);
    let verified = proof.as_ref().map_err(Clone::clone);
    let verified = verified.and_then(|proof| Ok((proof, proof.verify_extra(&policy)?)));
    // The entry is shown only now: until it is verified it is anybody's word (TRAIL A7).
    let agrees = verified.is_ok();
    let page = print::proof(verified, json);
    Ok(Answer { agrees, page })
}
