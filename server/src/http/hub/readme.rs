//! The README of a repository: made of its card, beside what is sold and no part of it. Whoever has a key reads it before buying.

use verifier::dataset::FileLine;
use verifier::id::{DocumentDigest, Sha256Hash};

use crate::dataset::{card, version};
use crate::http::Shared;
use crate::http::problem::Problem;

/// Its name, at the root.
pub(super) const NAME: &str = "README.md";

/// A README as it is served.
pub(super) struct Readme {
    /// Its length and digest, as of a file.
    pub(super) line: FileLine,
    pub(super) text: String,
}

/// Whether one is made: where the vendor sells a file of that name, the repository has that.
pub(super) fn is_made(files: &[FileLine]) -> bool {
    files.iter().all(|file| file.path != NAME)
}

/// Makes it.
pub(super) async fn of(shared: &Shared, manifest: DocumentDigest) -> Result<Readme, Problem> {
    let text = card::readme(&version::listed_of(&shared.data, manifest).await?);
    let line = FileLine {
        sha256: *Sha256Hash::of(text.as_bytes()).bytes(),
        bytes: text.len() as u64,
        path: NAME.to_owned(),
    };
    Ok(Readme { line, text })
}
