//! Keys: registered with a proof of possession, revoked with a reason (DESIGN §5).

use crate::book::command::{RegisterKey, RevocationReason, RevokeKey, Role};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::receipt::{Claims, KeyUse, UnverifiedReceipt};
use crate::refusal::{Code, Refusal};
use crate::signature::PublicKey;

/// Registers a key: canonical, of prime order, never seen before, and its owner holds it.
pub(super) fn register(case: &Case<'_>, asked: &RegisterKey) -> Result<Decision, Refusal> {
    let party = case.book.party(asked.party)?;
    let needed: &[Role] = match asked.key_use {
        KeyUse::Receipt => &[Role::Provider, Role::Vendor, Role::Exchange],
        KeyUse::Acceptance => &[Role::Buyer],
        KeyUse::Capacity => &[Role::Provider],
        KeyUse::Recovery => {
            return Err(Refusal::new(
                Code::ProgrammeNeedsProcedure,
                "recovery keys are not taken yet; register a receipt, acceptance or capacity key",
            ));
        }
    };
    if !needed.iter().any(|role| party.roles.contains(role)) {
        return Err(Refusal::new(
            Code::AccessRole,
            "the party's roles have no such key",
        ));
    }
    if (asked.jwk.kty.as_str(), asked.jwk.crv.as_str()) != ("OKP", "Ed25519") {
        return Err(Refusal::new(
            Code::KeyWeak,
            "the key is not kty OKP, crv Ed25519",
        ));
    }
    let public = PublicKey::parse(&asked.jwk.x)
        .map_err(|fault| Refusal::new(Code::KeyWeak, fault.to_string()))?;
    if public.kid() != asked.kid {
        return Err(Refusal::new(
            Code::KeyWeak,
            "kid is not the RFC 7638 thumbprint of the key",
        )
        .with("expected", public.kid()));
    }
    if case.book.keys.contains_key(&asked.kid) {
        return Err(Refusal::new(
            Code::KeyTaken,
            "a key belongs to one party and one use for ever",
        )
        .with("kid", asked.kid));
    }
    if asked.valid_to <= asked.valid_from {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "valid_to is not after valid_from",
        ));
    }
    check_proof(case, asked, &public)?;
    Ok(Decision::common(Found::default()))
}

/// Revokes a key once.
pub(super) fn revoke(case: &Case<'_>, asked: &RevokeKey) -> Result<Decision, Refusal> {
    let key = case
        .book
        .keys
        .get(&asked.kid)
        .filter(|key| key.revoked.is_none());
    key.ok_or_else(|| {
        Refusal::new(Code::KeyUnknown, "no such key, or it is revoked already")
            .with("kid", asked.kid)
    })?;
    let since = asked.compromised_since.is_some();
    if since != (asked.reason == RevocationReason::Compromised) {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "compromised_since belongs to a compromised key, and to it alone",
        ));
    }
    Ok(Decision::common(Found::default()))
}

/// The proof of possession: signed by the key itself, for this exchange, party and use (RFC 7800 in spirit).
fn check_proof(case: &Case<'_>, asked: &RegisterKey, public: &PublicKey) -> Result<(), Refusal> {
    let wrong = |sentence: String| Refusal::new(Code::KeyProof, sentence);
    let proof = UnverifiedReceipt::parse(&asked.proof)
        .and_then(|proof| proof.verify(public))
        .map_err(|refusal| wrong(refusal.sentence))?;
    let Claims::Registration(claims) = proof.claims() else {
        return Err(wrong("the proof is not of typ key-registration+jwt".into()));
    };
    let origin = &case.book.exchange()?.origin;
    let same =
        claims.iss == asked.party && claims.aud == *origin && claims.key_use == asked.key_use;
    if same {
        return Ok(());
    }
    Err(wrong(format!(
        "the proof must say iss {}, aud {origin}, use {}",
        asked.party, asked.key_use
    )))
}
