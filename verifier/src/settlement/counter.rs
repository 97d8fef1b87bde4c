//! Counters: named integers ≥ 0 next to the ledger (DESIGN §4.2).

use serde::{Deserialize, Serialize};

/// A counter's name, e.g. `site/{site}/{gpu model}/{hour}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CounterKey(String);
