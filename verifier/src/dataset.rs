//! What a dataset is made of and who may have it, purely: manifests, served ranges, possession, sampling, licences.
//!
//! The server uses these rules to deliver and to list, a buyer to check what came, `quan-verify` to compute both again. All
//! byte forms are in FORMATS.md ("Datasets"). Nothing here reads a file: bytes are fed in.

mod entitled;
mod manifest;
mod possession;
mod ranges;
mod state;

pub use entitled::{Entitlement, entitled};
pub use manifest::{FileLine, Manifest, PATH_BYTES_MAX, check_path};
pub use possession::{CHUNK_BYTES, PICKS, Possession, picks};
pub use ranges::Served;
pub use state::{State, state};

use std::fmt::Write as _;

/// Bytes as lower-case hex.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
