//! One signed reply of an exchange against the trail: was the promise kept, is the refusal sealed.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::folder::{self, Folder, Unreadable};
use crate::{Answer, NotChecked, print, read_policy};
use verifier::audit::promise::{self, Evidence, Finding};
use verifier::receipt::{JWS_BYTES_MAX, Reply};

/// The longest proof: 63 hashes as text, with room.
const PROOF_BYTES_MAX: usize = 16_384;
/// The longest body of a bulk request or of its answer.
const BODY_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// What is checked, and with what.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The reply: the text of a `Quan-Reply` header in a file.
    file: PathBuf,
    /// The trail: the folder that holds `checkpoint` and `tile/`.
    #[arg(long)]
    trail: PathBuf,
    /// Whom to trust (C2SP tlog-policy).
    #[arg(long)]
    policy: PathBuf,
    /// Of a refusal: what `GET /v1/refusals/{hash}/proof` answered.
    #[arg(long)]
    proof: Option<PathBuf>,
    /// The body of the request; needed for receipts in bulk.
    #[arg(long)]
    request: Option<PathBuf>,
    /// The body of the answer; needed for receipts in bulk.
    #[arg(long)]
    answer: Option<PathBuf>,
}

/// Checks a reply.
pub(crate) fn check(asked: &Arguments, json: bool) -> Result<Answer, NotChecked> {
    let policy = read_policy(&asked.policy)?;
    let bytes = folder::read(&asked.file, JWS_BYTES_MAX.saturating_add(1))?;
    let text = String::from_utf8_lossy(&bytes);
    // Editors and shells end a file with a line end; the reply itself has none.
    let compact = text.strip_suffix('\n').unwrap_or(&text);
    let proof = whole(asked.proof.as_deref(), PROOF_BYTES_MAX)?;
    let request = whole(asked.request.as_deref(), BODY_BYTES_MAX)?;
    let answer = whole(asked.answer.as_deref(), BODY_BYTES_MAX)?;
    let evidence = Evidence {
        proof: proof.as_deref(),
        request: request.as_deref(),
        answer: answer.as_deref(),
    };
    let mut trail = Folder::open(&asked.trail)?;
    let finding = promise::check(&mut trail, &policy, compact, evidence)?;
    let reply = promise::read_reply(compact).ok();
    match finding {
        Finding::Kept(why) => Ok(told(true, None, &why, reply.as_ref(), json)),
        Finding::Broken(code, why) => Ok(told(false, Some(code), &why, reply.as_ref(), json)),
        Finding::Open(why) => Err(NotChecked(why)),
    }
}

fn whole(file: Option<&Path>, limit: usize) -> Result<Option<Vec<u8>>, Unreadable> {
    file.map(|file| folder::read(file, limit)).transpose()
}

fn told(agrees: bool, code: Option<&str>, why: &str, reply: Option<&Reply>, json: bool) -> Answer {
    let verdict = if agrees { "agree" } else { "differ" };
    let page = if json {
        let said = json!({"verdict": verdict, "code": code, "found": why, "reply": reply});
        print::object(&said)
    } else {
        let code = code.map_or_else(String::new, |code| format!("{code}: "));
        format!(
            "{verdict}: {code}{why}\n{}",
            reply.map_or_else(String::new, claims)
        )
    };
    Answer { agrees, page }
}

fn claims(reply: &Reply) -> String {
    let said = serde_json::to_value(reply).unwrap_or_default();
    let members = said.as_object().into_iter().flatten();
    members
        .map(|(name, value)| format!("  {name:<10} {value}\n"))
        .collect()
}
