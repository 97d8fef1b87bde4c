//! Whether versions may be sold now: what the book cannot know is asked before `order.placed` (DESIGN §9).
//!
//! The rules know digests. Of a version that was uploaded here the exchange also promises the bytes: it is sold only while it
//! is listed and every byte of it is whole on our disks.

use verifier::book::Book;
use verifier::dataset::{State, state};
use verifier::id::DocumentDigest;
use verifier::refusal::{Code, Refusal};

use super::{Fault, Parts};
use crate::store::dataset::sale::is_whole;
use crate::store::{Db, StoreFault};

/// Lets versions be sold: those of digests alone, and those uploaded here that are listed and whole.
/// # Errors
/// `dataset.unavailable`, or that somebody could not be asked.
pub async fn check(parts: &Parts, manifests: Vec<DocumentDigest>) -> Result<(), Fault> {
    if manifests.is_empty() {
        return Ok(());
    }
    let uploaded = parts.query(move |db| uploaded(db, manifests)).await?;
    if uploaded.is_empty() {
        return Ok(());
    }
    let judged = parts.desk.read(|book| judge(book, &uploaded)).await?;
    Ok(judged?)
}

/// Which of the versions were uploaded here, and whether they are whole.
fn uploaded(
    db: &mut Db,
    manifests: Vec<DocumentDigest>,
) -> Result<Vec<(DocumentDigest, bool)>, StoreFault> {
    let mut uploaded = Vec::new();
    for manifest in manifests {
        if let Some(whole) = is_whole(db, &manifest.to_string())? {
            uploaded.push((manifest, whole));
        }
    }
    Ok(uploaded)
}

fn judge(book: &Book, uploaded: &[(DocumentDigest, bool)]) -> Result<(), Refusal> {
    for (manifest, whole) in uploaded {
        let refused = |sentence: String| {
            Err(Refusal::new(Code::DatasetUnavailable, sentence).with("manifest", manifest))
        };
        match state(book, *manifest)? {
            State::Listed if *whole => {}
            State::Listed => {
                let sentence = "bytes of this version are damaged where they lie; nothing is charged for it until the vendor has uploaded them again";
                return refused(sentence.to_owned());
            }
            other @ (State::Submitted
            | State::Assessed(_)
            | State::Withdrawn(_)
            | State::Recalled(_)) => {
                let word = other.as_str();
                return refused(format!(
                    "this version is {word}; only what is listed is sold, see GET /v1/search"
                ));
            }
        }
    }
    Ok(())
}
