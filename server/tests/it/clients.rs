//! Other people's clients against a server of ours, brought by `scripts/clients` (its head says how one is added). A module a client.

mod croissant;
mod curl;
mod dcat;
mod download;
mod hub;
mod tus;
