//! Who plays: offices, funders, three providers, two vendors, six buyers, each with API keys, signing keys and facts.
//!
//! The names are for the reader's eyes; the exchange gets commitments to them. No person and no firm in here is real.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use verifier::id::{PartyId, Sha256Hash};
use verifier::receipt::{self, KeyRegistration, KeyUse};
use verifier::signature::Signer;
use verifier::time::Timestamp;

use super::client::Client;
use super::{Fault, Stage};
use crate::keys;

/// What an office has recorded about somebody.
#[derive(Clone, Copy)]
enum Says {
    Yes,
    /// Looked for, and there is none.
    None,
    Word(&'static str),
}

/// One line of the cast.
struct Line {
    label: &'static str,
    name: &'static str,
    roles: &'static [&'static str],
    keys: &'static [KeyUse],
    facts: &'static [(&'static str, Says)],
}

const fn office(label: &'static str, name: &'static str) -> Line {
    let roles = &["office"];
    Line {
        label,
        name,
        roles,
        keys: &[],
        facts: &[],
    }
}

const fn treasury(label: &'static str, name: &'static str) -> Line {
    let roles = &["funder", "finance"];
    Line {
        label,
        name,
        roles,
        keys: &[],
        facts: &[],
    }
}

const fn provider(label: &'static str, name: &'static str) -> Line {
    let keys = &[KeyUse::Receipt, KeyUse::Capacity];
    Line {
        label,
        name,
        roles: &["provider"],
        keys,
        facts: &[],
    }
}

const fn vendor(label: &'static str, name: &'static str) -> Line {
    let keys = &[KeyUse::Receipt];
    Line {
        label,
        name,
        roles: &["vendor"],
        keys,
        facts: &[],
    }
}

const fn buyer(
    label: &'static str,
    name: &'static str,
    facts: &'static [(&'static str, Says)],
) -> Line {
    let keys = &[KeyUse::Acceptance];
    Line {
        label,
        name,
        roles: &["buyer"],
        keys,
        facts,
    }
}

use Says::{None as Nothing, Word, Yes};

#[rustfmt::skip]
const CAST: &[Line] = &[
    office("shanghai", "Shanghai Commission of Economy and Informatization"),
    office("beijing", "Beijing Bureau of Economy and Information Technology"),
    office("henan", "Henan Data Administration"),
    office("zhengzhou", "Zhengzhou Data Bureau"),
    office("chengdu", "Chengdu Bureau of Economy and Information Technology"),
    office("shandong", "Shandong Big Data Bureau"),
    office("shenzhen", "Shenzhen Science and Technology Innovation Bureau"),
    treasury("sh-finance", "Shanghai Finance Bureau"),
    treasury("bj-finance", "Beijing Finance Bureau"),
    treasury("henan-finance", "Henan Department of Finance"),
    treasury("zhengzhou-finance", "Zhengzhou Finance Bureau"),
    treasury("chengdu-finance", "Chengdu Finance Bureau"),
    treasury("sd-finance", "Shandong Department of Finance"),
    treasury("sz-finance", "Shenzhen Finance Bureau"),
    Line { label: "audit-office", name: "National audit office", roles: &["regulator"], keys: &[], facts: &[] },
    provider("east", "Jinan compute centre"),
    provider("west-a", "Zhongwei compute centre, Ningxia"),
    provider("west-b", "Qingyang compute centre, Gansu"),
    vendor("corpus-house", "A house of Chinese corpora, Shanghai"),
    vendor("clinic-data", "A hospital's data company, Zhengzhou"),
    buyer("shanghai-models", "A model start-up in Zhangjiang, 40 people", &[
        ("registered_in", Word("310115")), ("zone", Word("zhangjiang-ai-town")), ("sme_class", Word("small")),
        ("industry", Word("software_it")), ("startup", Yes),
    ]),
    buyer("beijing-machines", "A maker of machine tools in Haidian, 180 people", &[
        ("registered_in", Word("110108")), ("industry", Word("manufacturing")), ("sme_class", Word("medium")),
        ("dishonesty_record", Nothing), ("municipal_compute_subsidy", Nothing),
    ]),
    buyer("jinan-laboratory", "A university laboratory in Jinan", &[
        ("registered_in", Word("370102")), ("legal_form", Word("university")),
    ]),
    buyer("zhengzhou-medicine", "A medical software firm in Zhengzhou, 25 people", &[
        ("registered_in", Word("410105")), ("industry", Word("software_it")), ("sme_class", Word("small")),
    ]),
    buyer("shenzhen-robots", "A robot start-up in Nanshan, 9 people", &[
        ("registered_in", Word("440305")), ("operates_in", Word("440300")), ("sme_class", Word("micro")), ("startup", Yes),
    ]),
    buyer("chengdu-institute", "A research institute in Chengdu", &[
        ("registered_in", Word("510107")), ("legal_form", Word("institute")), ("startup", Nothing),
    ]),
];

/// The first day on which what is recorded holds, and the keys' validity.
const FACTS_FROM: &str = "2026-01-01";
const KEYS_FROM: &str = "2026-08-01T00:00:00Z";
const KEYS_TO: &str = "2027-08-01T00:00:00Z";

/// A party that was admitted, with all it needs to act.
pub(super) struct Party {
    /// Its id, as the exchange drew it.
    pub(super) id: PartyId,
    /// What it is called here.
    pub(super) name: &'static str,
    clients: Vec<(&'static str, Client)>,
    signers: BTreeMap<KeyUse, Signer>,
}

/// Everybody, by label.
pub(super) struct Cast(BTreeMap<&'static str, Party>);

impl Cast {
    /// Admits everybody.
    pub(super) fn admit(stage: &Stage) -> Result<Self, Fault> {
        let mut cast = BTreeMap::new();
        for line in CAST {
            cast.insert(line.label, admit(stage, line)?);
        }
        Ok(Self(cast))
    }

    /// Finds somebody.
    pub(super) fn party(&self, label: &str) -> Result<&Party, Fault> {
        let known = self.0.get(label);
        known.ok_or_else(|| Fault::Story(format!("nobody is called {label}")))
    }

    /// Everybody's id.
    pub(super) fn id(&self, label: &str) -> Result<PartyId, Fault> {
        Ok(self.party(label)?.id)
    }

    /// Somebody in its first role: an office, a funder, a provider, a buyer.
    pub(super) fn client(&self, label: &str) -> Result<&Client, Fault> {
        let first = self.party(label)?.clients.first();
        let first = first.ok_or_else(|| Fault::Story(format!("{label} has no role")))?;
        Ok(&first.1)
    }

    /// Somebody in another of its roles.
    pub(super) fn acting(&self, label: &str, role: &str) -> Result<&Client, Fault> {
        let mut clients = self.party(label)?.clients.iter();
        let acting = clients.find(|(its, _)| *its == role);
        let acting = acting.ok_or_else(|| Fault::Story(format!("{label} is no {role}")))?;
        Ok(&acting.1)
    }

    /// Somebody's signing key.
    pub(super) fn signer(&self, label: &str, key_use: KeyUse) -> Result<&Signer, Fault> {
        let signer = self.party(label)?.signers.get(&key_use);
        signer.ok_or_else(|| Fault::Story(format!("{label} has no {key_use} key")))
    }

    /// Who has which API key: label, name, role, key.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, &str, &str, &str)> {
        self.0.iter().flat_map(|(label, party)| {
            let clients = party.clients.iter();
            clients.map(|(role, client)| (*label, party.name, *role, client.key()))
        })
    }
}

fn admit(stage: &Stage, line: &Line) -> Result<Party, Fault> {
    let admitted = stage.exchange.ask(
        "/v1/parties",
        &json!({ "roles": line.roles, "name": commitment(stage, line.name)? }),
    )?;
    let id: PartyId = admitted.found("party")?;
    let actor = stage
        .exchange
        .ask("/v1/actors", &json!({ "party": id, "roles": line.roles }))?;
    let actor: String = actor.found("actor")?;
    let mut clients = Vec::new();
    for role in line.roles {
        let asked = json!({ "actor": actor, "role": role, "label": line.label });
        let made = stage.exchange.make("/v1/api-keys", &asked)?;
        let key = made["key"].as_str().unwrap_or_default();
        clients.push((*role, stage.address.with_key(key)));
    }
    let mut signers = BTreeMap::new();
    for key_use in line.keys {
        signers.insert(*key_use, register_key(stage, line, id, *key_use)?);
    }
    record_facts(stage, line, id)?;
    Ok(Party {
        id,
        name: line.name,
        clients,
        signers,
    })
}

/// A commitment: SHA-256(salt ‖ text). Its opening stays with the party (DESIGN §4.6).
fn commitment(stage: &Stage, text: &str) -> Result<Sha256Hash, Fault> {
    let mut opening = stage.clock.salt()?.bytes().to_vec();
    opening.extend_from_slice(text.as_bytes());
    Ok(Sha256Hash::of(&opening))
}

/// Makes a key in the party's own folder and registers it with the proof that it is there.
fn register_key(
    stage: &Stage,
    line: &Line,
    party: PartyId,
    key_use: KeyUse,
) -> Result<Signer, Fault> {
    let folder = stage.folder_of(line.label);
    fs::create_dir_all(&folder).map_err(|why| Fault::File(folder.clone(), why))?;
    let path = folder.join(format!("{key_use}.key"));
    keys::make(&path)?;
    let signer = Signer::from_seed(&keys::seed(&path)?);
    let claims = KeyRegistration {
        iss: party,
        aud: stage.origin.clone(),
        key_use,
        iat: stage.clock.now()?,
    };
    let public = signer.public();
    let asked = json!({
        "party": party, "use": key_use, "kid": public.kid(),
        "jwk": { "crv": "Ed25519", "kty": "OKP", "x": public.x() },
        "valid_from": time(KEYS_FROM)?, "valid_to": time(KEYS_TO)?,
        "proof": receipt::sign(&claims, &signer),
    });
    stage.exchange.ask("/v1/keys", &asked)?;
    Ok(signer)
}

fn time(text: &str) -> Result<Timestamp, Fault> {
    Timestamp::parse(text).map_err(|why| Fault::Story(format!("{text}: {why}")))
}

/// Records the line's facts and, of whoever trades, to whom it belongs: without that nobody can say that a buyer and a
/// seller are not related, and unknown is not no.
fn record_facts(stage: &Stage, line: &Line, party: PartyId) -> Result<(), Fault> {
    for (name, says) in line.facts {
        let value = match says {
            Says::Yes => json!(true),
            Says::None => json!(false),
            Says::Word(word) => json!(word),
        };
        record(stage, party, name, &value)?;
    }
    if line.keys.is_empty() {
        return Ok(());
    }
    record(stage, party, "group", &Value::Null)?;
    record(
        stage,
        party,
        "controller",
        &json!([person(line.label, "controller")]),
    )?;
    record(
        stage,
        party,
        "legal_representative",
        &json!(person(line.label, "legal")),
    )
}

fn record(stage: &Stage, party: PartyId, name: &str, value: &Value) -> Result<(), Fault> {
    let subject = format!("party/{party}");
    let asked =
        json!({ "subject": subject, "name": name, "value": value, "valid_from": FACTS_FROM });
    stage.exchange.ask("/v1/facts", &asked)?;
    Ok(())
}

/// An opaque id of a person; who it is would lie in the exchange's own store.
fn person(label: &str, part: &str) -> String {
    let hash = Sha256Hash::of(format!("{label}/{part}").as_bytes());
    let letters = hash
        .bytes()
        .iter()
        .take(16)
        .map(|byte| char::from(b'a' + byte % 26));
    format!("psn-{}", letters.collect::<String>())
}
