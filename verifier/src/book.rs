//! All state of the exchange, filled by applying entries: the auditor and the server keep the same struct (DESIGN §4).
//!
//! [`decide::decide`] reads a book, [`Book::apply`] writes it. A book is never changed in any other way.

pub mod access;
pub mod apply;
pub mod command;
mod compromise;
pub mod decide;
pub mod entry;
pub mod found;
pub mod issuing;
pub mod log_key;
pub mod matter;
pub mod ordering;
pub mod quote;
pub mod reach;
pub mod redacted;
pub mod scope;
pub mod snapshot;
pub mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::id::{
    ActorId, BatchId, CaseId, DatasetId, DocumentDigest, FundId, OfferId, OrderId, PartyId,
    ProgrammeId, Sha256Hash, SiteId, VoucherId,
};
use crate::programme::Programme;
use crate::refusal::{Code, Refusal};
use crate::settlement::Money;
use crate::signature::Kid;
use crate::time::{Timestamp, UtcOffset};
use entry::Entry;
use log_key::LogKeys;
use scope::Scope;
use state::batch::Batch;
use state::case::Case;
use state::chain::{Chain, Dealings};
use state::compromise::Compromise;
use state::dataset::{Dataset, Version};
use state::fact::Facts;
use state::fund::Fund;
use state::key::Key;
use state::order::Order;
use state::party::{Actor, Party};
use state::programme::{Enactment, ProviderLists};
use state::seal::Seal;
use state::site::{Offer, Site};

/// For how long an idempotency key is remembered (DESIGN §7).
pub const COMMAND_MEMORY_SECONDS: i64 = 7 * 86_400;

/// A trail or a row that contradicts the rules: the audit reports it, a server stops writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inconsistency {
    /// The entry at which it shows.
    pub seq: u64,
    /// What contradicts what.
    pub sentence: String,
}

impl std::fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "entry {}: {}", self.seq, self.sentence)
    }
}

impl std::error::Error for Inconsistency {}

/// What entry 0 settled for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The log's origin, also the audience of every receipt.
    pub origin: String,
    /// Whoever runs the exchange.
    pub party: PartyId,
    /// Its first credential; timers act by it.
    pub actor: ActorId,
    /// The key that signs delivery receipts of the exchange.
    pub delivery_kid: Kid,
    /// The offset of the exchange's own days.
    pub offset: UtcOffset,
}

/// An accepted command, remembered by its idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// The entry that it became.
    pub seq: u64,
    /// The request that it came in.
    pub req: Option<Sha256Hash>,
    /// When.
    pub at: Timestamp,
}

packed! {
    Exchange { origin, party, actor, delivery_kid, offset }
    Remembered { seq, req, at }
}

/// The state of the whole exchange after some number of entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// The number of entries applied: the next one's `seq`.
    pub size: u64,
    /// The time of the last entry.
    pub last_at: Option<Timestamp>,
    /// What entry 0 settled.
    pub exchange: Option<Exchange>,
    /// The parties.
    pub parties: BTreeMap<PartyId, Party>,
    /// The credentials.
    pub actors: BTreeMap<ActorId, Actor>,
    /// The keys, also the revoked ones.
    pub keys: BTreeMap<Kid, Key>,
    /// The keys that sign the log's heads.
    pub log_keys: LogKeys,
    /// What has been recorded.
    pub facts: Facts,
    /// The funds.
    pub funds: BTreeMap<FundId, Fund>,
    /// The enacted programmes.
    pub programmes: BTreeMap<ProgrammeId, Enactment>,
    /// The provider lists by year.
    pub lists: ProviderLists,
    /// The sites, their shares and occupied hours.
    pub sites: BTreeMap<SiteId, Site>,
    /// The offers, also withdrawn ones.
    pub offers: BTreeMap<OfferId, Offer>,
    /// The listed datasets.
    pub datasets: BTreeMap<DatasetId, Dataset>,
    /// Their versions by manifest.
    pub versions: BTreeMap<DocumentDigest, Version>,
    /// The orders.
    pub orders: BTreeMap<OrderId, Order>,
    /// The contract that a voucher was issued for.
    pub voucher_contracts: BTreeMap<VoucherId, DocumentDigest>,
    /// The cases.
    pub cases: BTreeMap<CaseId, Case>,
    /// What compromised keys have earned, by the case that decides it; gone once all of it is decided.
    pub compromises: BTreeMap<CaseId, Compromise>,
    /// Who has decided cases of which programme: nobody also pays there.
    pub deciders: BTreeSet<(ProgrammeId, ActorId)>,
    /// The payout batches.
    pub batches: BTreeMap<BatchId, Batch>,
    /// The accepted receipts by order and issuer.
    pub chains: BTreeMap<(OrderId, PartyId), Chain>,
    /// What orders' receipts come to, besides money.
    pub dealings: BTreeMap<OrderId, Dealings>,
    /// Accepted data orders by buyer and version, until use is proven.
    pub licences: BTreeMap<(PartyId, DocumentDigest), BTreeSet<OrderId>>,
    /// All data orders by buyer and version: `orders`, the other way round.
    pub bought: BTreeMap<(PartyId, DocumentDigest), BTreeSet<OrderId>>,
    /// Balances, counters, vouchers, orders' money, batches.
    pub money: Money,
    /// The seals over refusals, by their numbers.
    pub seals: Vec<Seal>,
    /// The number of entries in each scope.
    pub scopes: BTreeMap<Scope, u64>,
    /// The entry that last stated all of them, and when.
    pub sealed: Option<(u64, Timestamp)>,
    /// How far the stating has come, where an entry did not take all.
    pub sealing: Option<Scope>,
    /// Accepted commands by idempotency key, for seven days.
    pub commands: BTreeMap<Sha256Hash, Remembered>,
    /// The same in order of time, so that old ones are forgotten cheaply.
    pub command_times: std::collections::VecDeque<(Timestamp, Sha256Hash)>,
}

impl Book {
    /// Leaves out an entry that the rules refuse: it moves nothing. Numbers go on, or every later entry would differ in them.
    pub(crate) fn pass_over(&mut self, seq: u64, entry: &Entry) {
        self.size = seq.saturating_add(1);
        for (scope, number) in &entry.scopes {
            self.scopes.insert(scope.clone(), number.saturating_add(1));
        }
    }

    /// A book of no entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds a party.
    /// # Errors
    /// `party.unknown`
    pub fn party(&self, party: PartyId) -> Result<&Party, Refusal> {
        self.parties.get(&party).ok_or_else(|| {
            Refusal::new(Code::PartyUnknown, "no such party; admit it first").with("party", party)
        })
    }

    /// Finds a fund.
    /// # Errors
    /// `fund.unknown`
    pub fn fund(&self, fund: &FundId) -> Result<&Fund, Refusal> {
        self.funds.get(fund).ok_or_else(|| {
            Refusal::new(Code::FundUnknown, "no such fund; its funder opens it first")
                .with("fund", fund)
        })
    }

    /// Finds an enacted programme.
    /// # Errors
    /// `programme.missing`
    pub fn programme(&self, id: &ProgrammeId) -> Result<&Enactment, Refusal> {
        self.programmes.get(id).ok_or_else(|| {
            Refusal::new(Code::ProgrammeMissing, "no such programme is enacted")
                .with("programme", id)
        })
    }

    /// Finds the version of a programme that a voucher or claim pins, by its place from 0.
    /// # Errors
    /// `programme.missing`
    pub fn pinned(&self, id: &ProgrammeId, place: usize) -> Result<Arc<Programme>, Refusal> {
        let version = self.programme(id)?.versions.get(place);
        version
            .map(|version| Arc::clone(&version.programme))
            .ok_or_else(|| {
                Refusal::new(Code::ProgrammeMissing, "no such version is enacted")
                    .with("programme", id)
            })
    }

    /// Finds an order.
    /// # Errors
    /// `order.unknown`
    pub fn order(&self, order: OrderId) -> Result<&Order, Refusal> {
        self.orders
            .get(&order)
            .ok_or_else(|| Refusal::new(Code::OrderUnknown, "no such order").with("order", order))
    }

    /// What entry 0 settled.
    /// # Errors
    /// `exchange.unopened`
    pub fn exchange(&self) -> Result<&Exchange, Refusal> {
        self.exchange.as_ref().ok_or_else(|| {
            Refusal::new(
                Code::ExchangeUnopened,
                "the exchange has not been opened yet",
            )
        })
    }

    /// Applies the next entry, and checks what `decide` promised.
    /// # Errors
    /// An [`Inconsistency`]; the book is then of no further use.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Inconsistency> {
        apply::apply(self, entry)
    }
}

#[cfg(test)]
mod tests {
    use super::command::{
        AdmitParty, AppropriateFund, Command, OpenExchange, OpenFund, RegisterActor, Role,
    };
    use super::decide::{Env, Request, decide};
    use super::entry::{Entry, RULES};
    use super::*;
    use crate::id::{FunderId, Salt};
    use crate::ledger::Account;
    use crate::money::Fen;
    use crate::signature::Signer;

    struct Story {
        book: Book,
        entries: Vec<Vec<u8>>,
        tick: u8,
    }

    impl Story {
        fn new() -> Self {
            Self {
                book: Book::new(),
                entries: Vec::new(),
                tick: 0,
            }
        }

        fn env(&mut self) -> Env {
            self.tick += 1;
            let at = Timestamp::parse("2026-11-23T08:00:00Z")
                .unwrap()
                .after(i64::from(self.tick));
            Env {
                at,
                salt: Salt::new([self.tick; 16]),
                rules: RULES,
            }
        }

        fn ask(&mut self, by: PartyId, actor: ActorId, command: Command) -> Result<Entry, Refusal> {
            let env = self.env();
            let request = Request {
                by,
                actor,
                cmd: None,
                req: None,
                command,
            };
            let entry = decide(&self.book, &request, &env)?;
            self.book.apply(&entry).unwrap();
            self.entries.push(entry.to_bytes().unwrap());
            Ok(entry)
        }

        fn open(&mut self) -> (PartyId, ActorId) {
            let salt = Salt::new([self.tick + 1; 16]);
            let (party, actor) = (PartyId::draw(&salt, 0, 0), ActorId::draw(&salt, 0, 0));
            let x = Signer::from_seed(&[1; 32]).public().x();
            let command = Command::OpenExchange(OpenExchange {
                origin: "localhost/quan".into(),
                log_vkey: "localhost/quan+00000000+AA==".into(),
                delivery_key: x.clone(),
                reply_key: x,
                utc_offset_min: UtcOffset::CHINA,
            });
            self.ask(party, actor, command).unwrap();
            (party, actor)
        }

        fn admit(&mut self, exchange: (PartyId, ActorId), role: Role) -> (PartyId, ActorId) {
            let name = Sha256Hash::of(role.as_str().as_bytes());
            let admit = Command::AdmitParty(AdmitParty {
                roles: vec![role],
                name,
                uscc: None,
            });
            let party = self
                .ask(exchange.0, exchange.1, admit)
                .unwrap()
                .found
                .party
                .unwrap();
            let register = Command::RegisterActor(RegisterActor {
                party,
                roles: vec![role],
                scopes: None,
            });
            let actor = self
                .ask(exchange.0, exchange.1, register)
                .unwrap()
                .found
                .actor
                .unwrap();
            (party, actor)
        }
    }

    fn fund(name: &str) -> FundId {
        FundId::parse(name).unwrap()
    }

    fn open_fund() -> Command {
        let (fund, funder) = (fund("sh-2025"), FunderId::parse("sh-finance").unwrap());
        Command::OpenFund(OpenFund {
            fund,
            funder,
            year: Some(2025),
            region: None,
        })
    }

    #[test]
    fn a_replayed_story_gives_the_same_book_and_the_same_bytes() {
        let mut story = Story::new();
        let exchange = story.open();
        let funder = story.admit(exchange, Role::Funder);
        story.ask(funder.0, funder.1, open_fund()).unwrap();
        let appropriate = AppropriateFund {
            fund: fund("sh-2025"),
            fen: Fen::new(60_000).unwrap(),
            basis: None,
        };
        story
            .ask(funder.0, funder.1, Command::AppropriateFund(appropriate))
            .unwrap();
        assert_eq!(
            story
                .book
                .money
                .balance(&Account::Fund(fund("sh-2025")))
                .get(),
            60_000
        );

        let mut again = Book::new();
        for bytes in &story.entries {
            let entry = Entry::parse(bytes).unwrap();
            let env = Env {
                at: entry.at,
                salt: entry.salt,
                rules: entry.rules,
            };
            let Entry {
                by,
                actor,
                cmd,
                req,
                asked,
                ..
            } = entry.clone();
            let request = Request {
                by,
                actor,
                cmd,
                req,
                command: asked,
            };
            assert_eq!(
                &decide(&again, &request, &env).unwrap().to_bytes().unwrap(),
                bytes
            );
            again.apply(&entry).unwrap();
        }
        assert_eq!(again, story.book);
    }

    #[test]
    fn nobody_moves_money_without_the_role_and_the_fund() {
        let mut story = Story::new();
        let exchange = story.open();
        let office = story.admit(exchange, Role::Office);
        let (one, other) = (
            story.admit(exchange, Role::Funder),
            story.admit(exchange, Role::Funder),
        );
        assert_eq!(
            story.ask(office.0, office.1, open_fund()).unwrap_err().code,
            Code::AccessRole
        );
        assert_eq!(
            story.ask(one.0, other.1, open_fund()).unwrap_err().code,
            Code::ActorUnknown
        );
        story.ask(one.0, one.1, open_fund()).unwrap();
        let appropriate = AppropriateFund {
            fund: fund("sh-2025"),
            fen: Fen::MAX,
            basis: None,
        };
        let command = Command::AppropriateFund(appropriate);
        let refusal = story.ask(other.0, other.1, command).unwrap_err();
        assert_eq!(refusal.code, Code::FundFunder);
    }

    #[test]
    fn another_spelling_of_an_entry_is_refused() {
        let mut story = Story::new();
        story.open();
        let bytes = story.entries.first().unwrap();
        let text = std::str::from_utf8(bytes).unwrap();
        for bad in [
            text.replacen(',', ", ", 1),
            text.replacen("{\"v\":1", "{\"v\":2", 1),
            text.replacen("\"seq\":0", "\"seq\":0,\"seq\":0", 1),
            format!("{text}\n"),
        ] {
            assert_eq!(
                Entry::parse(bad.as_bytes()).unwrap_err().code,
                Code::EntrySpelling
            );
        }
    }
}
