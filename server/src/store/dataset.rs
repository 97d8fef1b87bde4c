//! Rows about datasets that are not in the trail: drafts, uploads, blobs, reports, served ranges, search
//! (`migrations/…_datasets`).

pub mod blob;
pub mod catalogue;
pub mod check;
pub mod delivery;
pub mod file;
pub mod listing;
pub mod sale;
pub mod sample;
pub mod search;
pub mod upload;
pub mod version;
