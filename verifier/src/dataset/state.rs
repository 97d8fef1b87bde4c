//! Where a published version stands, by the trail alone.

use crate::book::Book;
use crate::id::DocumentDigest;
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Published, and nobody has assessed it.
    Submitted,
    /// Assessed; only ever `false`: who passes is listed.
    Assessed(bool),
    /// Passed its last assessment, and for sale.
    Listed,
    /// Its listing was withdrawn from sale at this moment.
    Withdrawn(Timestamp),
    /// Recalled at this moment: nobody may use it.
    Recalled(Timestamp),
}

impl State {
    /// The state's word in JSON and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Assessed(false) => "failed",
            Self::Assessed(true) | Self::Listed => "listed",
            Self::Withdrawn(_) => "withdrawn",
            Self::Recalled(_) => "recalled",
        }
    }
}

/// Returns where a version stands: a recall outweighs a withdrawal, and both what an assessor said last.
/// # Errors
/// `dataset.unknown`
pub fn state(book: &Book, manifest: DocumentDigest) -> Result<State, Refusal> {
    let version = book.version(manifest)?;
    let listing = book.dataset(version.dataset)?;
    let ended = version.recalled.map(State::Recalled);
    let ended = ended.or(listing.withdrawn.map(State::Withdrawn));
    Ok(ended.unwrap_or(match version.assessed {
        None => State::Submitted,
        Some(true) => State::Listed,
        Some(false) => State::Assessed(false),
    }))
}
