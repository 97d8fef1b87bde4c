//! Cosignatures: a witness's "as of this time, the largest tree I saw has this root" (C2SP tlog-cosignature, 0x04).

use super::checkpoint::Checkpoint;
use super::key::{KeyName, KeyType, VerifierKey};
use super::note::{self, SignatureLine};
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

#[cfg(test)]
mod tests {
    use super::super::note::Note;
    use super::super::vectors::{bytes, list, section, text};
    use super::*;

    fn cosigner(at: usize) -> Cosigner {
        let case = &list("keys")[at];
        let seed = bytes(&case["seed"]).try_into().unwrap();
        Cosigner::new(
            KeyName::parse(text(&case["name"])).unwrap(),
            Signer::from_seed(&seed),
        )
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint::parse(text(&section("checkpoint")["text"])).unwrap()
    }

    #[test]
    fn cosignatures_are_those_of_the_vectors() {
        let case = section("checkpoint");
        let time = 1_795_420_800;
        assert_eq!(
            message(text(&case["text"]), time),
            text(&case["cosigned_message"])
        );
        let line = cosigner(1).cosign(&checkpoint(), time).unwrap();
        assert_eq!(line.to_string(), text(&case["w1_line"]));
        let line = cosigner(2).cosign(&checkpoint(), time + 1).unwrap();
        assert_eq!(line.to_string(), text(&case["w2_line"]));
    }

    #[test]
    fn extension_lines_are_cosigned_with_the_rest() {
        let note = text(&section("checkpoint_extension")["note"]).to_owned();
        let note = Note::parse(note.as_bytes()).unwrap();
        let key = cosigner(1).key().clone();
        let line = note
            .signatures()
            .iter()
            .find(|line| key.made(line))
            .unwrap();
        assert_eq!(verify(&key, note.text(), line), Ok(1_795_420_800));
    }

    #[test]
    fn a_cosignature_without_a_time_or_of_another_length_is_refused() {
        let witness = cosigner(1);
        assert!(witness.cosign(&checkpoint(), 0).is_err());
        assert!(witness.cosign(&checkpoint(), NUMBER_MAX + 1).is_err());
        let check = |time: u64, cut: usize| {
            let text = checkpoint().to_string();
            let signature = witness.signer.sign(message(&text, time).as_bytes());
            let payload = [time.to_be_bytes().as_slice(), &signature].concat();
            let line = SignatureLine::new(witness.key(), payload[..payload.len() - cut].to_vec());
            verify(witness.key(), &text, &line).map_err(|flaw| flaw.kind())
        };
        assert_eq!(check(1, 0), Ok(1));
        assert_eq!(check(NUMBER_MAX, 0), Ok(NUMBER_MAX));
        for (time, cut) in [(0, 0), (NUMBER_MAX + 1, 0), (1, 1), (1, 64), (1, 70)] {
            assert_eq!(check(time, cut), Err(FlawKind::Cosignature), "{time} {cut}");
        }
    }

    #[test]
    fn a_cosignature_moved_to_another_time_is_refused() {
        let witness = cosigner(1);
        let line = witness.cosign(&checkpoint(), 1000).unwrap();
        let mut payload = line.signature().to_vec();
        payload[7] ^= 1;
        let moved = SignatureLine::new(witness.key(), payload);
        let got = verify(witness.key(), &checkpoint().to_string(), &moved);
        assert_eq!(got.unwrap_err().kind(), FlawKind::Signature);
    }

    #[test]
    fn five_minutes_ahead_is_not_the_future() {
        assert!(!is_future(1300, 1000));
        assert!(is_future(1301, 1000));
        assert!(!is_future(u64::MAX, u64::MAX));
    }
}
