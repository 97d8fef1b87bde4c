//! Keys: registered with a proof of possession, and by a recovery key's word where that is needed; revoked (DESIGN §5).

use crate::book::Book;
use crate::book::command::{CaseSubject, RegisterKey, RevocationReason, RevokeKey, Role};
use crate::book::decide::supply::check_audience;
use crate::book::decide::{Case, Decision, compromise};
use crate::book::found::Found;
use crate::book::state::case::Progress;
use crate::book::state::key::Key;
use crate::id::{CaseId, PartyId};
use crate::receipt::{AHEAD_SECONDS_MAX, Claims, KeySuccession, KeyUse, UnverifiedReceipt};
use crate::refusal::{Code, Refusal};
use crate::signature::PublicKey;
use crate::time::Timestamp;

/// Registers a key: canonical, of prime order, never seen before, its owner holds it, and wants it.
pub(super) fn register(case: &Case<'_>, asked: &RegisterKey) -> Result<Decision, Refusal> {
    let party = case.book.party(asked.party)?;
    let needed: &[Role] = match asked.key_use {
        KeyUse::Receipt => &[Role::Provider, Role::Vendor, Role::Exchange],
        KeyUse::Acceptance => &[Role::Buyer],
        KeyUse::Capacity => &[Role::Provider],
        KeyUse::Recovery => &[Role::Buyer, Role::Provider, Role::Vendor],
    };
    if !needed.iter().any(|role| party.roles.contains(role)) {
        return Err(Refusal::new(
            Code::AccessRole,
            "the party's roles have no such key",
        ));
    }
    let public = public_key(asked)?;
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
    check_wanted(case, asked)?;
    Ok(Decision::common(Found::default()))
}

fn public_key(asked: &RegisterKey) -> Result<PublicKey, Refusal> {
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
    Ok(public)
}

/// Revokes a key once; one that was superseded may turn out to be compromised. Then what it has earned is frozen.
pub(super) fn revoke(case: &Case<'_>, asked: &RevokeKey) -> Result<Decision, Refusal> {
    let since = asked.compromised_since;
    if since.is_some() != (asked.reason == RevocationReason::Compromised) {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "compromised_since belongs to a compromised key, and to it alone",
        ));
    }
    if since.is_some_and(|since| since > case.env.at) {
        let sentence = format!(
            "compromised_since lies ahead of {}; what is not accepted yet is refused anyway",
            case.env.at
        );
        return Err(Refusal::new(Code::RequestMalformed, sentence));
    }
    if let Some(after) = asked.after {
        compromise::check_goes_on(case, (asked.kid, since), after)?;
    } else {
        let key = case.book.keys.get(&asked.kid);
        let may_be = |key: &&Key| match key.revoked {
            None => true,
            Some((_, RevocationReason::Superseded)) => since.is_some(),
            Some((_, RevocationReason::Compromised)) => false,
        };
        key.filter(may_be).ok_or_else(|| {
            Refusal::new(Code::KeyUnknown, "no such key, or it is revoked already")
                .with("kid", asked.kid)
        })?;
    }
    match since {
        Some(since) => compromise::freeze(case, (asked.kid, since), asked.after),
        None => Ok(Decision::common(Found::default())),
    }
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

fn not_wanted(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::KeySuccession, sentence)
}

/// `key.succession`: a party that has ever had a recovery key says by one that it wants its next one, and every next key once
/// one of its keys was compromised. Whoever holds its credentials, or runs the exchange, cannot say it.
fn check_wanted(case: &Case<'_>, asked: &RegisterKey) -> Result<(), Refusal> {
    match (&asked.succession, asked.case) {
        (Some(_), Some(_)) => Err(Refusal::new(
            Code::RequestMalformed,
            "a key is registered by a succession or by a case, not by both",
        )),
        (Some(jws), None) => check_succession(case, asked, jws),
        (None, Some(id)) => check_case(case.book, asked.party, id),
        (None, None) if case.book.needs_succession(asked.party, asked.key_use) => {
            let sentence = "the party has a recovery key; give a key-succession+jwt by it, or the case that an office has approved";
            Err(not_wanted(sentence).with("party", asked.party))
        }
        (None, None) => Ok(()),
    }
}

fn check_succession(case: &Case<'_>, asked: &RegisterKey, jws: &str) -> Result<(), Refusal> {
    let jws = UnverifiedReceipt::parse(jws).map_err(|refusal| not_wanted(refusal.sentence))?;
    let kid = jws.kid();
    let own = |key: &&Key| key.key_use == KeyUse::Recovery && key.party == asked.party;
    let recovery = case.book.keys.get(&kid).filter(own).ok_or_else(|| {
        not_wanted("the succession is not signed by a recovery key of the party").with("kid", kid)
    })?;
    let signed = jws.verify(&recovery.public);
    let signed = signed.map_err(|refusal| not_wanted(refusal.sentence))?;
    let Claims::Succession(claims) = signed.claims() else {
        return Err(not_wanted("it is not of typ key-succession+jwt"));
    };
    if !recovery.is_good(claims.iat, case.env.at) {
        let sentence = format!(
            "recovery key {kid} is not good for what was signed at {}",
            claims.iat
        );
        return Err(not_wanted(sentence).with("kid", kid));
    }
    if claims.iat.unix() - case.env.at.unix() > AHEAD_SECONDS_MAX {
        return Err(not_wanted(
            "its iat lies ahead of the exchange; set the signer's clock",
        ));
    }
    check_audience(case.book, &claims.aud).map_err(|refusal| not_wanted(refusal.sentence))?;
    let same = (claims.iss, claims.key_use, claims.kid) == (asked.party, asked.key_use, asked.kid);
    if !same {
        let (party, key_use, kid) = (asked.party, asked.key_use, asked.kid);
        let sentence = format!("the succession must say iss {party}, use {key_use}, kid {kid}");
        return Err(not_wanted(sentence));
    }
    check_replaced(case.book, claims)
}

fn check_replaced(book: &Book, claims: &KeySuccession) -> Result<(), Refusal> {
    let Some(kid) = claims.replaces else {
        return Ok(());
    };
    let same = |key: &&Key| (key.party, key.key_use) == (claims.iss, claims.key_use);
    let key = book.keys.get(&kid).filter(same);
    key.map(|_| ()).ok_or_else(|| {
        not_wanted("what it replaces is no key of the same party and use").with("kid", kid)
    })
}

/// An approval counts once, and not for a compromise that came after it.
fn check_case(book: &Book, party: PartyId, id: CaseId) -> Result<(), Refusal> {
    let state = book.cases.get(&id);
    let state = state.ok_or_else(|| Refusal::new(Code::CaseUnknown, "no such case"))?;
    let decided = match state.progress {
        Progress::Decided {
            approved: true, at, ..
        } => Some(at),
        Progress::Decided { .. } | Progress::Open | Progress::Withdrawn => None,
    };
    let is_for = state.subject == CaseSubject::Recovery { party };
    let late = decided.is_some_and(|at| book.compromised_at(party) <= Some(at));
    let spent = book.keys.values().any(|key| key.by_case == Some(id));
    if is_for && late && !spent {
        return Ok(());
    }
    let sentence = if spent {
        "a key was registered by that case already; it signs for the others if it is a recovery key"
    } else {
        "the case is no approved recovery of this party since its key was compromised"
    };
    Err(not_wanted(sentence).with("case", id))
}

impl Book {
    /// Whether a party has ever had a recovery key: revoking it takes nothing off what it is for.
    #[must_use]
    pub fn has_recovery_key(&self, party: PartyId) -> bool {
        let mut own = self.keys.values().filter(|key| key.party == party);
        own.any(|key| key.key_use == KeyUse::Recovery)
    }

    /// Whether a new key of a party needs the word of its recovery key.
    #[must_use]
    pub fn needs_succession(&self, party: PartyId, key_use: KeyUse) -> bool {
        let after = key_use == KeyUse::Recovery || self.compromised_at(party).is_some();
        after && self.has_recovery_key(party)
    }

    /// When a key of a party was last revoked as compromised.
    fn compromised_at(&self, party: PartyId) -> Option<Timestamp> {
        let own = self.keys.values().filter(|key| key.party == party);
        let compromised = own.filter_map(|key| match key.revoked {
            Some((at, RevocationReason::Compromised)) => Some(at),
            Some((_, RevocationReason::Superseded)) | None => None,
        });
        compromised.max()
    }
}
