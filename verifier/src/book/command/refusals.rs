//! Refusals put under a root: `refusals.sealed` (TRAIL E5).

use serde::{Deserialize, Serialize};

use crate::id::Sha256Hash;
use crate::refusal::Code;
use crate::time::Timestamp;

payload! {
    /// States every refusal of some hours: none can be denied or added afterwards.
    SealRefusals {
        /// Counts the seals from 0, gapless.
        number: u64,
        /// From this full hour …
        from: Timestamp,
        /// … to before this one, which has passed.
        to: Timestamp,
        /// How many replies are under the root.
        size: u64,
        /// How many refusals each code has, sorted by code; a reply to many receipts may hold several.
        counts: Vec<(Code, u64)>,
        /// The root of the tree over the replies' compact JWS, in order of issue (RFC 6962 §2.1).
        root: Sha256Hash,
    }
}
