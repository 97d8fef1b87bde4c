//! Registered keys and when they are good (DESIGN §5).

use crate::book::command::RevocationReason;
use crate::id::{CaseId, PartyId};
use crate::receipt::KeyUse;
use crate::signature::PublicKey;
use crate::time::Timestamp;

/// For how long a superseded key stays good for what was issued before.
pub const SUPERSEDED_GRACE_SECONDS: i64 = 72 * 3_600;

/// A registered key: one party, one use, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Whose.
    pub party: PartyId,
    /// For what.
    pub key_use: KeyUse,
    /// The key itself, checked when it was registered.
    pub public: PublicKey,
    /// Good for what was issued from here …
    pub valid_from: Timestamp,
    /// … to before here.
    pub valid_to: Timestamp,
    /// When and why it was revoked.
    pub revoked: Option<(Timestamp, RevocationReason)>,
    /// The case by which it was registered, where its party's recovery key could not sign for it.
    pub by_case: Option<CaseId>,
}

impl Key {
    /// Whether something issued at `iat` and entered at `at` may be signed by this key.
    #[must_use]
    pub fn is_good(&self, iat: Timestamp, at: Timestamp) -> bool {
        let valid = self.valid_from <= iat && iat < self.valid_to;
        valid
            && match self.revoked {
                None => true,
                Some((_, RevocationReason::Compromised)) => false,
                Some((since, RevocationReason::Superseded)) => {
                    iat < since && at < since.after(SUPERSEDED_GRACE_SECONDS)
                }
            }
    }
}

packed!(Key {
    party,
    key_use,
    public,
    valid_from,
    valid_to,
    revoked,
    by_case
});
