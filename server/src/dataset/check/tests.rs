//! Sentences about the checks.
