//! The log's own keys and name: `log_key.rotated`, `trail.continued` (TRAIL E8).

use serde::{Deserialize, Serialize};

payload! {
    /// Puts a new key of the log in the old one's place.
    RotateLogKey {
        /// The log's newest key until now (C2SP vkey).
        old: String,
        /// Its successor, of the same name.
        new: String,
        /// For so long after this entry both sign every head; 0: from this entry's head on only the new one.
        overlap_seconds: u32,
        /// Two signature lines of a note (C2SP signed-note), the old key's first, over [`crate::book::log_key::rotation_text`].
        signatures: String,
    }    /// Goes on under a new origin: the entries so far are the new log's first ones.
    ContinueTrail {
        /// The new log's origin, and from here on the `aud` of every receipt.
        origin: String,
        /// The new log's key (C2SP vkey).
        log_vkey: String,
        /// Why.
        reason: ContinuationReason,
        /// The last checkpoint that is known of the old log, with its signatures.
        checkpoint: String,
        /// Where that is of more entries than there are here: the RFC 6962 proof, in base64, that these are its first ones. Absent
        /// where its tiles are lost too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        consistency: Option<Vec<String>>,
        /// A signature line by the new key over [`crate::book::log_key::continuation_text`].
        signature: String,
    }
}

/// Why a log goes on under a new origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContinuationReason {
    /// Its key is lost; every entry is here.
    LostKey,
    /// The database was restored behind what the world has seen: entries are lost.
    BehindWorld,
}
