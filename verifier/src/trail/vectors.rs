//! `fixtures/vectors/trail.json` for the tests beside the code: made by an independent program, checked by two others.

use super::tree::{Subtree, leaf_hash, root_of};
use super::{Hash, TreeSize};
use serde_json::Value;
use std::convert::Infallible;

const FILE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/vectors/trail.json"
));

/// One section of the file.
pub(super) fn section(name: &str) -> Value {
    let file: Value = serde_json::from_str(FILE).unwrap();
    file.get(name).unwrap().clone()
}

/// A section that is a list.
pub(super) fn list(name: &str) -> Vec<Value> {
    section(name).as_array().unwrap().clone()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

pub(super) fn size(value: &Value) -> TreeSize {
    TreeSize::new(number(value)).unwrap()
}

pub(super) fn bytes(hex: &Value) -> Vec<u8> {
    let hex = text(hex);
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

pub(super) fn hash(hex: &Value) -> Hash {
    Hash::new(bytes(hex).try_into().unwrap())
}

pub(super) fn hashes(list: &Value) -> Vec<Hash> {
    list.as_array().unwrap().iter().map(hash).collect()
}

/// The policy that trusts the vectors' log and both witnesses.
pub(super) fn policy() -> super::policy::Policy {
    let checkpoint = section("checkpoint");
    super::policy::Policy::parse(text(&checkpoint["policy"]).as_bytes()).unwrap()
}

/// The leaf hashes of the vectors' tree: entries `entry 0`, `entry 1` …
pub(super) fn leaves(count: u64) -> Vec<Hash> {
    (0..count)
        .map(|index| leaf_hash(format!("entry {index}").as_bytes()))
        .collect()
}

/// Reads subtrees from a list of leaf hashes.
pub(super) fn from_leaves(leaves: &[Hash]) -> impl Fn(Subtree) -> Result<Hash, Infallible> {
    |subtree| {
        let from = usize::try_from(subtree.index << subtree.height).unwrap();
        Ok(root_of(&leaves[from..from + (1 << subtree.height)]))
    }
}
