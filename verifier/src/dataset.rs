//! What a dataset is made of and who may have it, purely: manifests, served ranges, possession, sampling, licences.
//!
//! The server uses these rules to deliver and to list, a buyer to check what came, `quan-verify` to compute both again. All
//! byte forms are in FORMATS.md ("Datasets"). Nothing here reads a file: bytes are fed in.

mod entitled;
mod licence;
mod manifest;
mod possession;
mod ranges;
mod seed;
mod sheet;
mod sketch;
mod state;
mod version;
mod wilson;

pub use entitled::{Entitlement, entitled};
pub use licence::{Finding, Level, Source, check_findings, lint};
pub use manifest::{FileLine, Manifest, PATH_BYTES_MAX, check_path};
pub use possession::{CHUNK_BYTES, PICKS, Possession, picks};
pub use ranges::Served;
pub use seed::{SAMPLE_ROWS_MAX, draw, seed};
pub use sheet::{First, Mark, SHEET_BYTES_MAX, Sampling, Sheet};
pub use sketch::{Bands, MinHash, SKETCH_HASHES, Sketch, containment_bp, row_hash};
pub use state::{State, state};
pub use version::{SemVer, Step, check_step, step};
pub use wilson::{Interval, wilson};

#[cfg(test)]
mod vectors;
