//! Public keys by thumbprint, for checking signatures before the sequencer: on many threads, once a receipt (DESIGN §7).
//!
//! A key's thumbprint is a function of the key (RFC 7638), so what is remembered here is never stale. Whether the key is
//! registered, whose and still good, is asked by `decide` under the sequencer's lock; so is the signature where it does not
//! hold here, so that the order of checks stays one order.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use verifier::receipt::{self, Signed};
use verifier::signature::{Kid, PublicKey};

use crate::objects::wait;
use crate::sequencer::Desk;

/// Keys kept; all are forgotten at this size: each is found again in the book.
const KEYS_MAX: usize = 100_000;

/// The keys that signed lately.
#[derive(Debug, Default)]
pub(super) struct Keyring(RwLock<HashMap<Kid, PublicKey>>);

impl Keyring {
    /// Verifies statements as far as their keys are known; anything else is left to `decide`. Runs on a thread that may wait.
    pub(super) fn verify<'a>(&self, desk: &Desk, statements: impl Iterator<Item = &'a mut Signed>) {
        receipt::verify_all(statements, |kid| self.find(desk, kid));
    }

    fn find(&self, desk: &Desk, kid: Kid) -> Option<PublicKey> {
        let known = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&kid)
            .cloned();
        if known.is_some() {
            return known;
        }
        let key =
            wait(desk.read(|book| book.keys.get(&kid).map(|key| key.public.clone()))).ok()??;
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(kid, key.clone());
        Some(key)
    }
}
