//! The exchange, parties, credentials, keys and facts.

use serde::{Deserialize, Serialize};

use super::Role;
use crate::book::scope::Scope;
use crate::book::state::fact::Subject;
use crate::fact::{FactName, FactValue};
use crate::id::{ActorId, CaseId, DocumentDigest, OrderId, PartyId, Sha256Hash};
use crate::receipt::KeyUse;
use crate::signature::Kid;
use crate::time::{LocalDay, Timestamp, UtcOffset};

payload! {
    /// Entry 0, written by the first start.
    OpenExchange {
        /// The log's origin: 1 to 255 bytes, no space, no `+` (TRAIL D11); also the `aud` of every receipt.
        origin: String,
        /// The log's verifier key as a C2SP vkey.
        log_vkey: String,
        /// The exchange's delivery key (an Ed25519 `x`).
        delivery_key: String,
        /// The exchange's reply key (an Ed25519 `x`).
        reply_key: String,
        /// The offset of the exchange's own days.
        utc_offset_min: UtcOffset,
    }
    /// Admits a legal person.
    AdmitParty {
        /// What it may be on the exchange.
        roles: Vec<Role>,
        /// The commitment to its name; the opening is erasable.
        name: Sha256Hash,
        /// The commitment to its unified social credit code, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uscc: Option<Sha256Hash>,
    }
    /// Changes a party's roles or name commitment.
    UpdateParty {
        /// Which party.
        party: PartyId,
        /// All its roles from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        roles: Option<Vec<Role>>,
        /// The commitment to its new name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Sha256Hash>,
    }
    /// Suspends a party, or lifts the suspension.
    SuspendParty {
        /// Which party.
        party: PartyId,
        /// Whether it is suspended from now on.
        suspended: bool,
        /// The digest of the decision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        basis: Option<DocumentDigest>,
    }
    /// Registers the credential of a person or service.
    RegisterActor {
        /// For whom it acts.
        party: PartyId,
        /// As what; each a role of the party.
        roles: Vec<Role>,
        /// To which funds and regions a regulator is limited; without it, it sees everything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scopes: Option<Vec<Scope>>,
    }
    /// Removes a credential.
    RemoveActor {
        /// Which actor.
        actor: ActorId,
    }
    /// Registers a signing key with a proof of possession.
    RegisterKey {
        /// Whose key.
        party: PartyId,
        /// For what; one use for ever.
        #[serde(rename = "use")]
        key_use: KeyUse,
        /// The public key (RFC 8037).
        jwk: Jwk,
        /// Its RFC 7638 thumbprint.
        kid: Kid,
        /// Good for receipts issued from here …
        valid_from: Timestamp,
        /// … to before here.
        valid_to: Timestamp,
        /// A JWS `key-registration+jwt` by that key.
        proof: String,
        /// A JWS `key-succession+jwt` by the party's recovery key; needed where it has one and a key of it was compromised.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        succession: Option<String>,
        /// Instead of that: the approved case of a party that cannot sign with its recovery key any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        case: Option<CaseId>,
    }
    /// Revokes a key.
    RevokeKey {
        /// Which key.
        kid: Kid,
        /// Why.
        reason: RevocationReason,
        /// From when a compromised key is not to be believed: what was accepted since then and is unpaid is frozen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compromised_since: Option<Timestamp>,
        /// Goes on with freezing behind this order, where an earlier entry could not take all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<OrderId>,
    }
    /// Records a dated, sourced statement (DESIGN §4.3).
    RecordFact {
        /// About whom or what: `party/…`, `site/…`, `dataset/…`, `contract/…`.
        subject: Subject,
        /// Which fact.
        name: FactName,
        /// What is so.
        value: FactValue,
        /// From when …
        valid_from: LocalDay,
        /// … to before when; open if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_to: Option<LocalDay>,
        /// Where it was read, as the digest of the document.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<DocumentDigest>,
    }
    /// Withdraws a fact: it is unknown again.
    WithdrawFact {
        /// About whom or what.
        subject: Subject,
        /// Which fact.
        name: FactName,
    }
    /// States how many entries each scope has, so that whoever sees one scope knows that none was kept from it.
    SealBook {
        /// The scopes behind this one in their order; all from the first if absent. One entry states at most 200.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Scope>,
    }
    /// A public key (RFC 8037 §2).
    Jwk {
        /// `Ed25519`.
        crv: String,
        /// `OKP`.
        kty: String,
        /// The 32 bytes.
        x: String,
    }
}

/// Why a key is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationReason {
    /// A newer one took its place; good for 72 h for what was issued before.
    Superseded,
    /// Somebody else may hold it.
    Compromised,
}

packed_enum!(RevocationReason { 0 => Superseded, 1 => Compromised });
