//! The log's own keys: `log_key.rotated` (TRAIL E8).

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
    }
}
