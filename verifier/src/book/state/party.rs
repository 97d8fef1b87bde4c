//! Parties and their credentials.

use crate::book::command::Role;
use crate::book::scope::Scope;
use crate::id::{PartyId, Sha256Hash};

/// A legal person on the exchange; its name is a commitment, the opening lies elsewhere and can be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// What it may be.
    pub roles: Vec<Role>,
    /// The commitment to its name.
    pub name: Sha256Hash,
    /// The commitment to its unified social credit code.
    pub uscc: Option<Sha256Hash>,
    /// Whether it may act.
    pub suspended: bool,
}

/// A credential of a person or service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// For whom it acts.
    pub party: PartyId,
    /// As what.
    pub roles: Vec<Role>,
    /// What a regulator is limited to; empty where it sees everything.
    pub scopes: Vec<Scope>,
    /// Whether it was removed.
    pub removed: bool,
}

packed! {
    Party { roles, name, uscc, suspended }
    Actor { party, roles, scopes, removed }
}
