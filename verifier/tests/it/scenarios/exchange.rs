//! An exchange in memory that admits its members as a scenario names them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use verifier::book::Book;
use verifier::book::command::{Command, Kind};
use verifier::book::decide::{Env, Request, decide};
use verifier::book::entry::{Entry, RULES};
use verifier::id::{ActorId, DocumentDigest, PartyId, Salt, Sha256Hash};
use verifier::receipt::{self, KeyRegistration, KeyUse};
use verifier::refusal::Refusal;
use verifier::signature::Signer;
use verifier::time::Timestamp;

use crate::snapshot;
use crate::story::{ORIGIN, log_key_of};

/// A party and the actor that asks for it.
pub(crate) type Who = (PartyId, ActorId);

/// Facts, keys and segments of these files are good from here …
pub(crate) const FROM: &str = "2024-01-01T00:00:00Z";
/// … to here: a share runs at most ten years.
pub(crate) const TO: &str = "2034-01-01T00:00:00Z";

pub(crate) struct Exchange {
    pub(crate) origin: String,
    /// What its salts begin with: ids of two exchanges differ.
    salts: u64,
    pub(crate) book: Book,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) at: Timestamp,
    /// Whoever runs the exchange.
    pub(crate) operator: Who,
    /// Runs every programme, and knows the facts.
    pub(crate) office: Who,
    members: BTreeMap<String, Who>,
    /// What the scenario calls what has an id here.
    pub(crate) names: BTreeMap<String, String>,
}

impl Exchange {
    pub(crate) fn open(at: Timestamp) -> Self {
        Self::named(ORIGIN, 0, at)
    }

    /// An exchange of another name, with ids of its own.
    pub(crate) fn named(origin: &str, salts: u64, at: Timestamp) -> Self {
        let first = salt(salts, 1);
        let nobody = (PartyId::draw(&first, 0, 0), ActorId::draw(&first, 0, 0));
        let mut exchange = Self {
            origin: origin.to_owned(),
            salts,
            book: Book::new(),
            entries: Vec::new(),
            at,
            operator: nobody,
            office: nobody,
            members: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        let x = signer("exchange").public().x();
        let open = json!({
            "origin": origin, "log_vkey": log_key_of(origin).to_string(), "delivery_key": x,
            "reply_key": x, "utc_offset_min": 480,
        });
        let opened = exchange.done(nobody, Kind::OpenExchange, &open);
        exchange.operator = (opened.found.party.unwrap(), opened.found.actor.unwrap());
        exchange.office = exchange.admit("an office", &["office"]);
        exchange
    }

    /// Lets time pass.
    pub(crate) fn until(&mut self, at: Timestamp) {
        self.at = self.at.max(at);
    }

    /// Asks for a command; what is decided is applied as it reads back from its bytes.
    pub(crate) fn ask(
        &mut self,
        (by, actor): Who,
        kind: Kind,
        payload: &Value,
    ) -> Result<Entry, Refusal> {
        let text = serde_json::to_vec(payload).unwrap();
        let request = Request {
            by,
            actor,
            cmd: None,
            req: None,
            command: Command::parse(kind, &text).unwrap(),
        };
        let env = Env {
            at: self.at,
            salt: salt(self.salts, self.book.size + 1),
            rules: RULES,
        };
        let bytes = decide(&self.book, &request, &env)?.to_bytes().unwrap();
        let entry = Entry::parse(&bytes).unwrap();
        self.book.apply(&entry).unwrap();
        self.entries.push(bytes);
        // A prime: the scenarios are short and alike.
        if self.entries.len().is_multiple_of(7) {
            snapshot::holds(&self.book, &self.entries);
        }
        Ok(entry)
    }

    /// Asks for what must be accepted.
    pub(crate) fn done(&mut self, who: Who, kind: Kind, payload: &Value) -> Entry {
        let decided = self.ask(who, kind, payload);
        decided.unwrap_or_else(|refusal| panic!("{} {payload}: {refusal:?}", kind.as_str()))
    }

    /// Admits a party with one actor.
    pub(crate) fn admit(&mut self, name: &str, roles: &[&str]) -> Who {
        let admit = json!({ "roles": roles, "name": Sha256Hash::of(name.as_bytes()) });
        let admitted = self.done(self.operator, Kind::AdmitParty, &admit);
        let party = admitted.found.party.unwrap();
        let register = json!({ "party": party, "roles": roles });
        let registered = self.done(self.operator, Kind::RegisterActor, &register);
        self.names.insert(party.to_string(), name.to_owned());
        (party, registered.found.actor.unwrap())
    }

    /// A party of the scenario: it may buy and sell, and signs receipts and acceptances. Says whether it is new.
    pub(crate) fn member(&mut self, name: &str) -> (Who, bool) {
        if let Some(who) = self.members.get(name) {
            return (*who, false);
        }
        let who = self.admit(name, &["buyer", "provider", "vendor"]);
        self.members.insert(name.to_owned(), who);
        for key_use in [KeyUse::Receipt, KeyUse::Acceptance] {
            self.register_key(who, key_use, &signer(&format!("{key_use} of {name}")));
        }
        (who, true)
    }

    pub(crate) fn register_key(&mut self, (party, _): Who, key_use: KeyUse, signer: &Signer) {
        let proof = KeyRegistration {
            iss: party,
            aud: self.origin.clone(),
            key_use,
            iat: self.at,
        };
        let public = signer.public();
        let register = json!({
            "party": party, "use": key_use, "kid": public.kid(),
            "jwk": { "crv": "Ed25519", "kty": "OKP", "x": public.x() },
            "valid_from": FROM, "valid_to": TO, "proof": receipt::sign(&proof, signer),
        });
        self.done(self.operator, Kind::RegisterKey, &register);
    }

    /// Records what the office knows.
    pub(crate) fn fact(&mut self, subject: &str, name: &str, value: &Value) {
        let valid_from = FROM.get(..10);
        let record =
            json!({ "subject": subject, "name": name, "value": value, "valid_from": valid_from });
        self.done(self.office, Kind::RecordFact, &record);
    }
}

/// A key that is named.
pub(crate) fn signer(name: &str) -> Signer {
    Signer::from_seed(Sha256Hash::of(name.as_bytes()).bytes())
}

/// A document that is named.
pub(crate) fn document(name: &str) -> DocumentDigest {
    DocumentDigest::of(name.as_bytes())
}

fn salt(of: u64, number: u64) -> Salt {
    Salt::new((u128::from(of) << 64 | u128::from(number)).to_be_bytes())
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}
