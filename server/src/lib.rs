//! Quan server.
