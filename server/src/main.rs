//! quan.
fn main() {}
