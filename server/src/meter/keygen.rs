//! `quan meter keygen`: a provider's receipt or recovery key, and the proof with which it is registered (DESIGN §5,
//! `key.registered`); with the recovery key at hand also its word for the new one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use verifier::id::PartyId;
use verifier::receipt::{self, KeySuccession, KeyUse};
use verifier::signature::{Kid, Signer};
use verifier::time::Timestamp;

use super::fault::Fault;
use super::issue::registration;
use super::read_signer;
use crate::clock::Clock;
use crate::keys;

/// Makes an Ed25519 key in a file that nobody else can read.
#[derive(Debug, Args)]
pub(super) struct Keygen {
    /// Where to write the key; an existing file is an error.
    #[arg(long, default_value = "meter.key")]
    key_file: PathBuf,
    /// The provider's party id.
    #[arg(long)]
    issuer: PartyId,
    /// The exchange's origin.
    #[arg(long)]
    audience: String,
    /// What the key is for. Keep a recovery key away from the machine that meters: it names the next key when this one is
    /// in the wrong hands.
    #[arg(long = "use", value_enum, default_value_t = Use::Receipt)]
    key_use: Use,
    /// The recovery key that says that the party wants the new key; needed once a key of it was compromised, and for a new
    /// recovery key.
    #[arg(long)]
    recovery_key: Option<PathBuf>,
    /// The thumbprint of the key whose place the new one takes.
    #[arg(long, requires = "recovery_key", value_parser = Kid::parse)]
    replaces: Option<Kid>,
}

/// The keys that a provider makes here.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Use {
    /// Signs receipts.
    Receipt,
    /// Names the party's next keys.
    Recovery,
}

impl Keygen {
    /// Makes the key, and prints what the exchange registers: the public JWK, its thumbprint and the proof.
    /// # Errors
    /// [`Fault::Key`], [`Fault::File`]
    #[expect(
        clippy::print_stdout,
        reason = "the registration is the command's output"
    )]
    pub(super) fn run(&self, clock: &Clock) -> Result<(), Fault> {
        if self.key_file.exists() {
            let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(Fault::File(self.key_file.clone(), exists));
        }
        // Read before anything is made: a wrong path leaves no key behind.
        let recovery = self.recovery_key.as_deref().map(read_signer).transpose()?;
        keys::make(&self.key_file)?;
        let signer = read_signer(&self.key_file)?;
        let printed = self.printed(&signer, recovery.as_ref(), clock.now()?);
        println!("{printed}");
        Ok(())
    }

    fn printed(&self, signer: &Signer, recovery: Option<&Signer>, now: Timestamp) -> Value {
        let key_use = match self.key_use {
            Use::Receipt => KeyUse::Receipt,
            Use::Recovery => KeyUse::Recovery,
        };
        let to = (self.issuer, self.audience.as_str());
        let mut printed = registration(signer, key_use, to, now);
        if let Some(recovery) = recovery {
            let claims = KeySuccession {
                iss: self.issuer,
                aud: self.audience.clone(),
                key_use,
                kid: signer.public().kid(),
                replaces: self.replaces,
                iat: now,
            };
            let succession = json!(receipt::sign(&claims, recovery));
            if let Some(members) = printed.as_object_mut() {
                members.insert("succession".to_owned(), succession);
            }
        }
        printed
    }
}
