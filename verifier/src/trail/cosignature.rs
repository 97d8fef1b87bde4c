//! Cosignatures: a witness's "as of this time, the largest tree I saw has this root" (C2SP tlog-cosignature, 0x04).

use super::checkpoint::Checkpoint;
use super::note::{self, KeyName, KeyType, SignatureLine, VerifierKey};
use super::{Flaw, FlawKind, NUMBER_MAX};
use crate::signature::{SIGNATURE_BYTES, Signer};

/// A cosignature may be this far ahead of the reader's clock, in seconds.
pub const FUTURE_SECONDS_MAX: u64 = 300;

/// What a witness signs: the time and the checkpoint's whole text, extension lines included.
fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Whether `time` is further ahead of `now` than clocks differ.
#[must_use]
pub const fn is_future(time: u64, now: u64) -> bool {
    time > now.saturating_add(FUTURE_SECONDS_MAX)
}

/// The time that a good cosignature states. The line's payload is time, 8 bytes big-endian, then the signature.
pub(super) fn verify(key: &VerifierKey, text: &str, line: &SignatureLine) -> Result<u64, Flaw> {
    let flaw = |why| {
        Flaw::new(
            FlawKind::Cosignature,
            format!("the cosignature by {} {why}", key.name()),
        )
    };
    let (time, signature) = line
        .signature()
        .split_first_chunk()
        .ok_or_else(|| flaw("states no time"))?;
    let time = u64::from_be_bytes(*time);
    if time == 0 || time > NUMBER_MAX {
        return Err(flaw("states no time"));
    }
    let signature = <&[u8; SIGNATURE_BYTES]>::try_from(signature)
        .map_err(|_| flaw("is not 8 bytes of time and 64 of signature"))?;
    if key
        .public()
        .verify(message(text, time).as_bytes(), signature)
    {
        return Ok(time);
    }
    Err(note::bad_signature(line))
}

/// A witness's secret key with its name. Never one that signs anything else: the statement does not name its maker.
pub struct Cosigner {
    key: VerifierKey,
    signer: Signer,
}

impl Cosigner {
    /// Names a secret key.
    #[must_use]
    pub fn new(name: KeyName, signer: Signer) -> Self {
        Self {
            key: VerifierKey::new(name, KeyType::Cosignature, signer.public()),
            signer,
        }
    }

    /// The key to check its cosignatures with.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// States that at `time` (Unix seconds) this is the largest consistent tree seen.
    /// # Errors
    /// `trail.cosignature` for time 0 or above 2⁶³ − 1.
    pub fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Result<SignatureLine, Flaw> {
        if time == 0 || time > NUMBER_MAX {
            return Err(Flaw::new(
                FlawKind::Cosignature,
                "a cosignature needs a time",
            ));
        }
        let signature = self
            .signer
            .sign(message(&checkpoint.to_string(), time).as_bytes());
        let payload = [time.to_be_bytes().as_slice(), &signature].concat();
        Ok(SignatureLine::new(&self.key, payload))
    }
}
