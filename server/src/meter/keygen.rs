//! `quan meter keygen`: a provider's receipt key, and the proof with which it is registered (DESIGN §5, `key.registered`).

use std::path::PathBuf;

use clap::Args;
use verifier::id::PartyId;

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
        keys::make(&self.key_file)?;
        let signer = read_signer(&self.key_file)?;
        let registration = registration(&signer, self.issuer, &self.audience, clock.now()?);
        println!("{registration}");
        Ok(())
    }
}
