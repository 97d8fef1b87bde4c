//! `quan meter keygen`: a provider's receipt key, and the proof with which it is registered (DESIGN §5, `key.registered`).

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use verifier::id::PartyId;
use verifier::time::Timestamp;

use super::claims::{KEY_REGISTRATION, KeyRegistration, Signer};
use super::fault::Fault;
use super::read_signer;
use crate::keys;

/// Makes an Ed25519 key in a file that nobody else can read.
#[derive(Debug, Args)]
pub struct Keygen {
    /// Where to write the key; an existing file is an error.
    #[arg(long, default_value = "meter.key")]
    key_file: PathBuf,
    /// The provider's party id.
    #[arg(long)]
    issuer: PartyId,
    /// The exchange's origin.
    #[arg(long)]
    audience: String,
}

impl Keygen {
    /// Makes the key, and prints what the exchange registers: the public JWK, its thumbprint and the proof.
    /// # Errors
    /// [`Fault::Key`], [`Fault::File`]
    #[expect(
        clippy::print_stdout,
        reason = "the registration is the command's output"
    )]
    pub fn run(&self, now: Timestamp) -> Result<(), Fault> {
        if self.key_file.exists() {
            let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(Fault::File(self.key_file.clone(), exists));
        }
        keys::make(&self.key_file)?;
        let signer = read_signer(&self.key_file)?;
        println!(
            "{}",
            registration(&signer, self.issuer, &self.audience, now)?
        );
        Ok(())
    }
}

/// What `POST /v1/keys` needs of a receipt key: `{jwk, kid, proof}`.
/// # Errors
/// [`Fault::Claims`]
pub fn registration(
    signer: &Signer,
    iss: PartyId,
    aud: &str,
    now: Timestamp,
) -> Result<serde_json::Value, Fault> {
    let claims = KeyRegistration {
        iss,
        aud,
        purpose: "receipt",
        iat: now.unix(),
    };
    let public = signer.public();
    Ok(json!({
        "use": "receipt",
        "jwk": { "crv": "Ed25519", "kty": "OKP", "x": public.x() },
        "kid": public.kid(),
        "proof": signer.sign(KEY_REGISTRATION, &claims)?,
    }))
}
