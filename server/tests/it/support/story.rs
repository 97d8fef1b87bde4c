//! A small story that a client tells: it knows only what it was answered, and repeats what was not answered.

use server::clock::Clock;
use server::faults::Faults;
use server::sequencer::{Committed, Fault, Outcome, Sequencer};
use server::store::{Store, log};
use std::collections::BTreeMap;
use std::sync::Arc;
use verifier::book::command::{
    AdmitParty, AppropriateFund, Command, LapseFund, OpenExchange, OpenFund, RegisterActor, Role,
};
use verifier::book::decide::Request;
use verifier::book::entry::Entry;
use verifier::id::{ActorId, FundId, FunderId, PartyId, Sha256Hash};
use verifier::money::Fen;
use verifier::refusal::Code;
use verifier::signature::Signer;
use verifier::time::{Timestamp, UtcOffset};
use verifier::trail::tree::leaf_hash;

use super::Database;

/// 2026-11-23T08:00:00Z.
pub(crate) const NOON: i64 = 1_795_420_800;

pub(crate) fn clock() -> Clock {
    Clock::fixed(Timestamp::new(NOON).unwrap())
}

pub(crate) fn exchange() -> OpenExchange {
    let x = Signer::from_seed(&[1; 32]).public().x();
    OpenExchange {
        origin: "localhost/quan".into(),
        log_vkey: "localhost/quan+00000000+AA==".into(),
        delivery_key: x.clone(),
        reply_key: x,
        utc_offset_min: UtcOffset::CHINA,
    }
}

/// Starts a server on what the database holds.
pub(crate) fn start(
    database: &Database,
    clock: &Clock,
    faults: Faults,
) -> Result<Sequencer, Fault> {
    let store = Store::open(database.address.clone())?;
    let mut sequencer = Sequencer::start(Arc::new(store), clock.clone(), faults)?;
    sequencer.open(exchange())?;
    Ok(sequencer)
}

/// Entry 0, which whoever runs the exchange can read.
pub(crate) fn opened(database: &Database) -> Committed {
    let bytes = log::entry(&mut database.connect(), 0).unwrap().unwrap();
    let entry = Entry::parse(&bytes).unwrap();
    let leaf_hash = Sha256Hash::new(*leaf_hash(&bytes).as_bytes());
    Committed { entry, leaf_hash }
}

/// What a client knows: the answers it has got, by the names it gave its requests.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) answered: BTreeMap<&'static str, Committed>,
    pub(crate) refused: BTreeMap<&'static str, Code>,
}

impl Client {
    /// Who the exchange itself is: known to whoever runs it, from entry 0.
    pub(crate) fn learn(&mut self, opened: Committed) {
        self.answered.insert("exchange", opened);
    }

    fn party(&self, name: &str) -> PartyId {
        self.answered[name].entry.found.party.unwrap()
    }

    fn actor(&self, name: &str) -> ActorId {
        self.answered[name].entry.found.actor.unwrap()
    }

    pub(crate) fn exchange(&self, key: &'static str, command: Command) -> (&'static str, Request) {
        let (by, actor) = (self.party("exchange"), self.actor("exchange"));
        request(key, by, actor, command)
    }

    fn funder(&self, key: &'static str, command: Command) -> (&'static str, Request) {
        let (by, actor) = (self.party("funder"), self.actor("funder-actor"));
        request(key, by, actor, command)
    }

    /// The batches of the story. Each is built from the answers to those before it.
    pub(crate) fn batch(&self, number: usize) -> Option<Vec<(&'static str, Request)>> {
        let admit = |roles: &[Role]| {
            let name = Sha256Hash::of(&[7]);
            Command::AdmitParty(AdmitParty {
                roles: roles.to_vec(),
                name,
                uscc: None,
            })
        };
        let register = |party| {
            Command::RegisterActor(RegisterActor {
                party,
                roles: vec![Role::Funder],
                scopes: None,
            })
        };
        let appropriate = |fen| {
            let fen = Fen::new(fen).unwrap();
            Command::AppropriateFund(AppropriateFund {
                fund: fund(),
                fen,
                basis: None,
            })
        };
        let lapse = |fen| {
            Command::LapseFund(LapseFund {
                fund: fund(),
                fen: Fen::new(fen).unwrap(),
            })
        };
        Some(match number {
            0 => vec![
                self.exchange("funder", admit(&[Role::Funder])),
                self.exchange("second exchange", admit(&[Role::Exchange])),
                self.exchange("buyer", admit(&[Role::Buyer])),
            ],
            1 => vec![
                self.exchange("funder-actor", register(self.party("funder"))),
                // The same key again, in the same breath.
                self.exchange("funder-actor", register(self.party("funder"))),
            ],
            2 => vec![
                self.funder("open", open_fund()),
                self.funder("fill", appropriate(60_000)),
                self.funder("fill more", appropriate(5_000)),
            ],
            3 => vec![self.funder("lapse too much", lapse(65_001))],
            4 => vec![
                self.funder("lapse all", lapse(65_000)),
                self.funder("lapse nothing", lapse(1)),
                self.exchange("vendor", admit(&[Role::Vendor])),
            ],
            _ => return None,
        })
    }

    /// Takes the answers to a batch.
    pub(crate) fn hear(&mut self, keys: &[&'static str], outcomes: Vec<Outcome>) {
        assert_eq!(keys.len(), outcomes.len());
        for (key, outcome) in keys.iter().zip(outcomes) {
            match outcome {
                Outcome::Accepted(committed) | Outcome::Known(committed) => {
                    let known = self.answered.insert(key, (*committed).clone());
                    assert!(
                        known.is_none_or(|known| known == *committed),
                        "{key}: another answer"
                    );
                }
                Outcome::Refused(refusal) => {
                    self.refused.insert(key, refusal.code);
                }
                Outcome::Failed(why) => panic!("{key}: {why}"),
            }
        }
    }
}

fn fund() -> FundId {
    FundId::parse("sh-2025").unwrap()
}

fn open_fund() -> Command {
    let funder = FunderId::parse("sh-finance").unwrap();
    Command::OpenFund(OpenFund {
        fund: fund(),
        funder,
        year: Some(2025),
        region: None,
    })
}

pub(crate) fn request(
    key: &'static str,
    by: PartyId,
    actor: ActorId,
    command: Command,
) -> (&'static str, Request) {
    let cmd = Some(Sha256Hash::of(key.as_bytes()));
    let req = Some(Sha256Hash::of(format!("{command:?}").as_bytes()));
    (
        key,
        Request {
            by,
            actor,
            cmd,
            req,
            command,
        },
    )
}
