//! Recovery keys: a party with a compromised key says by its own which is the next one.
#![expect(clippy::too_many_lines, reason = "a story is told in one go")]

use super::compromise::OTHER_KEY;
use super::*;
use crate::book::command::{CaseSubject, OpenCase};
use crate::id::CaseId;
use crate::receipt::KeySuccession;

/// The provider's recovery key, and its next one.
const RECOVERY_KEY: u8 = 8;
const NEXT_RECOVERY_KEY: u8 = 9;

impl World {
    fn succession(&self, key_use: KeyUse, key: u8) -> KeySuccession {
        KeySuccession {
            iss: self.provider.0,
            aud: ORIGIN.into(),
            key_use,
            kid: signer(key).public().kid(),
            replaces: None,
            iat: at(self.now),
        }
    }
}

#[test]
fn a_recovery_key_names_the_next_keys_of_a_party_with_a_compromised_one() {
    let mut world = World::new();
    let recovery = world.registration(world.provider, KeyUse::Recovery, RECOVERY_KEY);
    world.register_by(recovery).unwrap();
    // Nothing is compromised: keys come and go as ever.
    let other = world.registration(world.provider, KeyUse::Receipt, OTHER_KEY);
    world.register_by(other).unwrap();
    world.compromise(PROVIDER_KEY, world.now).unwrap();
    let plain = world.registration(world.provider, KeyUse::Receipt, 20);
    assert_eq!(code(world.register_by(plain.clone())), Code::KeySuccession);
    let good = KeySuccession {
        replaces: Some(signer(PROVIDER_KEY).public().kid()),
        ..world.succession(KeyUse::Receipt, 20)
    };
    let by = |claims: &KeySuccession, key: u8| RegisterKey {
        succession: Some(sign(claims, &signer(key))),
        ..plain.clone()
    };
    let bad = [
        by(&good, OTHER_KEY),
        by(&good, 20),
        by(
            &KeySuccession {
                iss: world.rival.0,
                ..good.clone()
            },
            RECOVERY_KEY,
        ),
        by(
            &KeySuccession {
                aud: "localhost/quam".into(),
                ..good.clone()
            },
            RECOVERY_KEY,
        ),
        by(
            &KeySuccession {
                key_use: KeyUse::Capacity,
                ..good.clone()
            },
            RECOVERY_KEY,
        ),
        by(
            &KeySuccession {
                kid: signer(21).public().kid(),
                ..good.clone()
            },
            RECOVERY_KEY,
        ),
        by(
            &KeySuccession {
                iat: at(world.now + 301),
                ..good.clone()
            },
            RECOVERY_KEY,
        ),
        by(
            &KeySuccession {
                iat: at(T - 1),
                ..good.clone()
            },
            RECOVERY_KEY,
        ),
        by(
            &KeySuccession {
                replaces: Some(signer(RIVAL_KEY).public().kid()),
                ..good.clone()
            },
            RECOVERY_KEY,
        ),
        by(
            &KeySuccession {
                replaces: Some(signer(CAPACITY_KEY).public().kid()),
                ..good.clone()
            },
            RECOVERY_KEY,
        ),
        RegisterKey {
            succession: Some("a.b.c".into()),
            ..plain.clone()
        },
        RegisterKey {
            succession: Some(plain.proof.clone()),
            ..plain.clone()
        },
    ];
    for bad in bad {
        assert_eq!(code(world.register_by(bad)), Code::KeySuccession);
    }
    world.register_by(by(&good, RECOVERY_KEY)).unwrap();
    let claims = world.usage(8, T, T + HOUR);
    world.send(&claims, 20).unwrap();
    // Another party is not concerned.
    let rival = world.registration(world.rival, KeyUse::Receipt, 22);
    world.register_by(rival).unwrap();
}

#[test]
fn a_recovery_key_is_followed_by_its_own_word_or_by_a_case_that_an_office_approves_once() {
    let mut world = World::new();
    let recovery = world.registration(world.provider, KeyUse::Recovery, RECOVERY_KEY);
    world.register_by(recovery).unwrap();
    let next = world.registration(world.provider, KeyUse::Recovery, NEXT_RECOVERY_KEY);
    assert_eq!(code(world.register_by(next.clone())), Code::KeySuccession);
    let succession = world.succession(KeyUse::Recovery, NEXT_RECOVERY_KEY);
    let signed_next = RegisterKey {
        succession: Some(sign(&succession, &signer(RECOVERY_KEY))),
        ..next.clone()
    };
    // Revoked, it says nothing more; that it was there counts on.
    world.compromise(RECOVERY_KEY, world.now).unwrap();
    assert_eq!(code(world.register_by(signed_next)), Code::KeySuccession);
    assert_eq!(code(world.register_by(next.clone())), Code::KeySuccession);
    let open = |party: PartyId| {
        let subject = CaseSubject::Recovery { party };
        Command::OpenCase(OpenCase { subject })
    };
    let provider = world.provider.0;
    let refused = world.ask(world.buyer, open(provider));
    assert_eq!(code(refused), Code::AccessRole);
    let refused = world.ask(world.exchange, open(world.rival.0));
    assert_eq!(code(refused), Code::CaseState);
    let case = world
        .ask(world.exchange, open(provider))
        .unwrap()
        .found
        .case
        .unwrap();
    let by_case = RegisterKey {
        case: Some(case),
        ..next.clone()
    };
    assert_eq!(
        code(world.register_by(by_case.clone())),
        Code::KeySuccession
    );
    world.decide_all(case, true);
    let both = RegisterKey {
        succession: Some(next.proof.clone()),
        ..by_case.clone()
    };
    assert_eq!(code(world.register_by(both)), Code::RequestMalformed);
    world.register_by(by_case).unwrap();
    let third = world.registration(world.provider, KeyUse::Receipt, 20);
    let again = RegisterKey {
        case: Some(case),
        ..third.clone()
    };
    assert_eq!(code(world.register_by(again)), Code::KeySuccession);
    let succession = world.succession(KeyUse::Receipt, 20);
    let signed_third = RegisterKey {
        succession: Some(sign(&succession, &signer(NEXT_RECOVERY_KEY))),
        ..third
    };
    world.register_by(signed_third).unwrap();
    // An approval from before a compromise is none.
    let case = world
        .ask(world.exchange, open(provider))
        .unwrap()
        .found
        .case
        .unwrap();
    world.decide_all(case, true);
    world.now += 1;
    world.compromise(20, world.now).unwrap();
    let late = RegisterKey {
        case: Some(case),
        ..world.registration(world.provider, KeyUse::Receipt, 23)
    };
    assert_eq!(code(world.register_by(late)), Code::KeySuccession);
    let unknown = RegisterKey {
        case: Some(CaseId::draw(&Salt::new([77; 16]), 0, 0)),
        ..world.registration(world.provider, KeyUse::Receipt, 23)
    };
    assert_eq!(code(world.register_by(unknown)), Code::CaseUnknown);
}
