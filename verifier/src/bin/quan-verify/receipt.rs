//! One signed receipt: its form, its signature, what it says of itself, and the entry that it became.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::folder::{self, Folder};
use crate::{Answer, NotChecked, print};
use verifier::receipt::{Claims, JWS_BYTES_MAX, UnverifiedReceipt};
use verifier::refusal::Refusal;
use verifier::signature::{Kid, PublicKey};

/// Checks a receipt with a key that is given, or that a trail has registered.
pub(crate) fn check(
    file: &Path,
    key: Option<&str>,
    trail: Option<&Path>,
    json: bool,
) -> Result<Answer, NotChecked> {
    let bytes = folder::read(file, JWS_BYTES_MAX.saturating_add(1))?;
    let text = String::from_utf8_lossy(&bytes);
    // Editors and shells end a file with a line end; the receipt itself has none.
    let compact = text.strip_suffix('\n').unwrap_or(&text);
    let receipt = match UnverifiedReceipt::parse(compact) {
        Ok(receipt) => receipt,
        Err(refusal) => return Ok(refused(&refusal, json)),
    };
    let mut accepted_as = None;
    let key = match (key, trail) {
        (Some(x), _) => PublicKey::parse(x).map_err(|fault| NotChecked(fault.to_string()))?,
        (None, Some(trail)) => {
            let found = search(trail, receipt.kid(), compact)?;
            accepted_as = found.entry;
            found.key.ok_or_else(|| {
                NotChecked(format!("the trail registers no key {}", receipt.kid()))
            })?
        }
        (None, None) => {
            let why = "whose signature? Give the signer's public key by --key, or a trail that registers it by --trail";
            return Err(NotChecked(why.to_owned()));
        }
    };
    let said = payload(compact);
    let outcome = receipt
        .verify(&key)
        .and_then(|receipt| match receipt.claims() {
            Claims::Usage(usage) => usage.check_alone(),
            Claims::Capacity(share) => share.check_hours(),
            Claims::Delivery(_) | Claims::Acceptance(_) | Claims::Registration(_) => Ok(()),
        });
    Ok(match outcome {
        Ok(()) => holds(&said, accepted_as, json),
        Err(refusal) => refused(&refusal, json),
    })
}

struct Found {
    key: Option<PublicKey>,
    entry: Option<u64>,
}

/// Looks through a trail for the registration of a key and for the entry that embeds the receipt. Nothing of the trail is
/// checked here: `audit` does that.
fn search(trail: &Path, kid: Kid, compact: &str) -> Result<Found, NotChecked> {
    let (kid, mut found) = (
        kid.to_string(),
        Found {
            key: None,
            entry: None,
        },
    );
    Folder::open(trail)?.entries(|seq, bytes| {
        let text = String::from_utf8_lossy(bytes);
        if found.key.is_none() && text.contains(&kid) && text.contains("\"key.registered\"") {
            found.key = registered(&text).filter(|key| key.kid().to_string() == kid);
        }
        if found.entry.is_none() && text.contains(compact) {
            found.entry = Some(seq);
        }
    })?;
    Ok(found)
}

fn registered(entry: &str) -> Option<PublicKey> {
    let entry: Value = serde_json::from_str(entry).ok()?;
    PublicKey::parse(entry.pointer("/asked/jwk/x")?.as_str()?).ok()
}

fn payload(compact: &str) -> Value {
    let payload = compact.split('.').nth(1).unwrap_or_default();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&payload).unwrap_or_default()
}

fn holds(said: &Value, accepted_as: Option<u64>, json: bool) -> Answer {
    let page = if json {
        print::object(&json!({"verdict": "agree", "claims": said, "entry": accepted_as}))
    } else {
        let members = said.as_object().into_iter().flatten();
        let members: String = members
            .map(|(name, value)| format!("  {name:<14} {value}\n"))
            .collect();
        let accepted = accepted_as.map_or_else(
            || "  whether an exchange accepted it is not shown here".to_owned(),
            |seq| format!("  it is in entry {seq} of the trail"),
        );
        format!(
            "agree: the signature holds and the receipt is sound in itself\n{members}{accepted}\n"
        )
    };
    Answer { agrees: true, page }
}

fn refused(refusal: &Refusal, json: bool) -> Answer {
    let page = if json {
        let code = refusal.code.as_str();
        print::object(&json!({"verdict": "differ", "code": code, "found": refusal.sentence}))
    } else {
        format!("differ: {refusal}\n")
    };
    Answer {
        agrees: false,
        page,
    }
}
