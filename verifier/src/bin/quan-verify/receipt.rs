//! One signed receipt: its form, its signature, what it says of itself, and the entry that it became.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::folder::{self, Folder};
use crate::{Answer, NotChecked, print};
use verifier::receipt::{Claims, JWS_BYTES_MAX, UnverifiedReceipt};
use verifier::refusal::{Code, Refusal};
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
    let signer = match (key, trail) {
        (Some(x), _) => Signer::given(x)?,
        (None, Some(trail)) => search(trail, receipt.kid(), compact)?,
        (None, None) => {
            let why = "whose signature? Give the signer's public key by --key, or a trail that registers it by --trail";
            return Err(NotChecked(why.to_owned()));
        }
    };
    let said = payload(compact);
    let outcome = receipt
        .verify(&signer.key)
        .and_then(|receipt| match receipt.claims() {
            Claims::Usage(usage) => usage.check_alone(),
            Claims::Capacity(share) => share.check_hours(),
            Claims::Delivery(_)
            | Claims::Acceptance(_)
            | Claims::Registration(_)
            | Claims::Succession(_)
            | Claims::Order(_) => Ok(()),
            Claims::Reply(_) => Err(Refusal::new(
                Code::ReceiptMalformed,
                "an exchange's reply is no receipt; check it with `quan-verify reply`",
            )),
        })
        .and_then(|()| signer.check_issuer(&said));
    Ok(match outcome {
        Ok(()) => holds(&said, signer.entry, json),
        Err(refusal) => refused(&refusal, json),
    })
}

/// Whose signature it has to be, and where the trail has the receipt.
struct Signer {
    key: PublicKey,
    /// The party that registered the key.
    party: Option<String>,
    /// The entry that embeds the receipt.
    entry: Option<u64>,
}

impl Signer {
    fn given(x: &str) -> Result<Self, NotChecked> {
        let key = PublicKey::parse(x).map_err(|fault| NotChecked(fault.to_string()))?;
        Ok(Self {
            key,
            party: None,
            entry: None,
        })
    }

    /// The key's owner signs for itself; a capacity share names its site instead.
    fn check_issuer(&self, said: &Value) -> Result<(), Refusal> {
        let issuer = said.get("iss").and_then(Value::as_str);
        let (Some(party), Some(issuer)) = (self.party.as_deref(), issuer) else {
            return Ok(());
        };
        if party == issuer {
            return Ok(());
        }
        let sentence = format!("the receipt is said to be by {issuer}, its key belongs to {party}");
        Err(Refusal::new(Code::ReceiptIssuer, sentence))
    }
}

/// Looks through a trail for the registration of a key and for the entry that embeds the receipt. Nothing of the trail is
/// checked here: `audit` does that.
fn search(trail: &Path, kid: Kid, compact: &str) -> Result<Signer, NotChecked> {
    let (mut registered, mut accepted_as) = (None, None);
    Folder::open(trail)?.entries(|seq, bytes| {
        let text = String::from_utf8_lossy(bytes);
        if registered.is_none() && KEY_ENTRIES.iter().any(|kind| text.contains(kind)) {
            registered = registration(&text, kid);
        }
        if accepted_as.is_none() && text.contains(compact) {
            accepted_as = Some(seq);
        }
    })?;
    let (key, party) =
        registered.ok_or_else(|| NotChecked(format!("the trail registers no key {kid}")))?;
    Ok(Signer {
        key,
        party: Some(party),
        entry: accepted_as,
    })
}

/// The entries that name a key: those of parties, and entry 0 with the exchange's own delivery key.
const KEY_ENTRIES: [&str; 2] = [r#""type":"key.registered""#, r#""type":"exchange.opened""#];

/// The key that an entry registers and its owner, if it is this key.
fn registration(entry: &str, kid: Kid) -> Option<(PublicKey, String)> {
    let entry: Value = serde_json::from_str(entry).ok()?;
    let x = entry
        .pointer("/asked/jwk/x")
        .or_else(|| entry.pointer("/asked/delivery_key"))?;
    let owner = entry
        .pointer("/asked/party")
        .or_else(|| entry.pointer("/by"))?;
    let key = PublicKey::parse(x.as_str()?).ok()?;
    (key.kid() == kid).then_some((key, owner.as_str()?.to_owned()))
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
