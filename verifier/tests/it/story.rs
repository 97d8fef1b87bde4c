//! A small exchange in memory, and its trail as files.

use std::collections::BTreeMap;
use std::convert::Infallible;

use verifier::audit::Files;
use verifier::book::Book;
use verifier::book::command::{
    AdmitParty, AppropriateFund, Command, Jwk, OpenExchange, OpenFund, RegisterActor, RegisterKey,
    Role,
};
use verifier::book::decide::{Env, Request, decide};
use verifier::book::entry::{Entry, RULES};
use verifier::id::{ActorId, FundId, FunderId, PartyId, Salt, Sha256Hash};
use verifier::money::Fen;
use verifier::receipt::{self, KeyRegistration, KeyUse};
use verifier::refusal::Refusal;
use verifier::signature::Signer;
use verifier::time::{Timestamp, UtcOffset};
use verifier::trail::bundle::{self, bundles_between};
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::growth::Growth;
use verifier::trail::key::{KeyName, KeyType, VerifierKey};
use verifier::trail::note::NoteSigner;
use verifier::trail::{TreeSize, tree};

/// A bundle, a part of the next, and a tile above them.
pub(crate) const SIZE: u64 = 300;
/// Sizes that were published on the way: their partial files still lie there.
const EARLIER: [u64; 2] = [100, 256];

pub(crate) const ORIGIN: &str = "localhost/quan";

fn log_signer() -> Signer {
    Signer::from_seed(&[1; 32])
}

pub(crate) fn log_key() -> VerifierKey {
    log_key_of(ORIGIN)
}

/// The key of a log of another name.
pub(crate) fn log_key_of(origin: &str) -> VerifierKey {
    let name = KeyName::parse(origin).unwrap();
    VerifierKey::new(name, KeyType::Ed25519, log_signer().public())
}

pub(crate) fn policy() -> String {
    policy_of(ORIGIN)
}

/// Whom to trust about a log of another name.
pub(crate) fn policy_of(origin: &str) -> String {
    format!("log {}\nquorum none\n", log_key_of(origin))
}

/// Who is on the exchange, and what has happened.
pub(crate) struct Story {
    pub(crate) book: Book,
    pub(crate) entries: Vec<Vec<u8>>,
    tick: u64,
    pub(crate) exchange: (PartyId, ActorId),
    pub(crate) funder: (PartyId, ActorId),
}

impl Story {
    /// A funder appropriates fen after fen until there are so many entries.
    pub(crate) fn of(size: u64) -> Self {
        let nobody = (
            PartyId::draw(&Salt::new(salt(1)), 0, 0),
            ActorId::draw(&Salt::new(salt(1)), 0, 0),
        );
        let mut story = Self {
            book: Book::new(),
            entries: Vec::new(),
            tick: 0,
            exchange: nobody,
            funder: nobody,
        };
        story.open();
        while story.book.size < size {
            story.append(&story.next(story.funder, appropriate(7)).unwrap());
        }
        story
    }

    /// Goes on behind a history that ends before this story's clock begins: its first funder opens the story's fund.
    pub(crate) fn after(history: Vec<Entry>) -> Self {
        let opened = history.first().unwrap();
        let exchange = (opened.by, opened.actor);
        let is_fund = |entry: &&Entry| matches!(entry.asked, Command::OpenFund(_));
        let funder = history.iter().find(is_fund).unwrap();
        let mut story = Self {
            book: Book::new(),
            entries: Vec::new(),
            tick: 0,
            exchange,
            funder: (funder.by, funder.actor),
        };
        for entry in &history {
            story.entries.push(entry.to_bytes().unwrap());
            story.book.apply(entry).unwrap();
        }
        story.open_fund();
        story
    }

    fn open(&mut self) {
        let x = Signer::from_seed(&[2; 32]).public().x();
        let open = Command::OpenExchange(OpenExchange {
            origin: ORIGIN.into(),
            log_vkey: log_key().to_string(),
            delivery_key: x.clone(),
            reply_key: x,
            utc_offset_min: UtcOffset::CHINA,
        });
        self.append(&self.next(self.exchange, open).unwrap());
        self.funder = self.admit(Role::Funder);
        self.open_fund();
    }

    fn open_fund(&mut self) {
        let open_fund = Command::OpenFund(OpenFund {
            fund: fund(),
            funder: FunderId::parse("sh-finance").unwrap(),
            year: Some(2026),
            region: None,
        });
        self.append(&self.next(self.funder, open_fund).unwrap());
    }

    /// Admits a buyer and registers its acceptance key.
    pub(crate) fn buyer_with_key(&mut self, signer: &Signer) -> PartyId {
        let buyer = self.admit(Role::Buyer);
        let (public, now) = (signer.public(), self.book.last_at.unwrap());
        let proof = KeyRegistration {
            iss: buyer.0,
            aud: ORIGIN.into(),
            key_use: KeyUse::Acceptance,
            iat: now,
        };
        let register = Command::RegisterKey(RegisterKey {
            party: buyer.0,
            key_use: KeyUse::Acceptance,
            jwk: Jwk {
                crv: "Ed25519".into(),
                kty: "OKP".into(),
                x: public.x(),
            },
            kid: public.kid(),
            valid_from: now,
            valid_to: now.after(86_400),
            proof: receipt::sign(&proof, signer),
            succession: None,
            case: None,
        });
        let registered = self.next(self.exchange, register).unwrap();
        self.append(&registered);
        buyer.0
    }

    fn admit(&mut self, role: Role) -> (PartyId, ActorId) {
        let admit = Command::AdmitParty(AdmitParty {
            roles: vec![role],
            name: Sha256Hash::of(b"a name"),
            uscc: None,
        });
        let admitted = self.next(self.exchange, admit).unwrap();
        self.append(&admitted);
        let party = admitted.found.party.unwrap();
        let register = Command::RegisterActor(RegisterActor {
            party,
            roles: vec![role],
            scopes: None,
        });
        let registered = self.next(self.exchange, register).unwrap();
        self.append(&registered);
        (party, registered.found.actor.unwrap())
    }

    /// What the next entry would be.
    pub(crate) fn next(
        &self,
        (by, actor): (PartyId, ActorId),
        command: Command,
    ) -> Result<Entry, Refusal> {
        let start = Timestamp::parse("2026-11-23T08:00:00Z").unwrap();
        let env = Env {
            at: start.after(i64::try_from(self.tick).unwrap()),
            salt: Salt::new(salt(self.tick + 1)),
            rules: RULES,
        };
        let request = Request {
            by,
            actor,
            cmd: None,
            req: None,
            command,
        };
        decide(&self.book, &request, &env)
    }

    pub(crate) fn append(&mut self, entry: &Entry) {
        self.tick += 1;
        self.entries.push(entry.to_bytes().unwrap());
        self.book.apply(entry).unwrap();
    }

    pub(crate) fn trail(&self) -> Trail {
        Trail::of(&self.entries)
    }
}

fn salt(tick: u64) -> [u8; 16] {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&tick.to_be_bytes());
    salt
}

pub(crate) fn fund() -> FundId {
    FundId::parse("sh-2026").unwrap()
}

pub(crate) fn appropriate(fen: i64) -> Command {
    Command::AppropriateFund(AppropriateFund {
        fund: fund(),
        fen: Fen::new(fen).unwrap(),
        basis: None,
    })
}

/// A trail's files in memory.
#[derive(Clone)]
pub(crate) struct Trail(pub(crate) BTreeMap<String, Vec<u8>>);

impl Trail {
    /// Publishes entries at the earlier sizes and at last, as an exchange does.
    pub(crate) fn of(entries: &[Vec<u8>]) -> Self {
        Self::named(ORIGIN, entries)
    }

    /// The same of a log of another name.
    pub(crate) fn named(origin: &str, entries: &[Vec<u8>]) -> Self {
        let mut files = BTreeMap::new();
        let mut growth = Growth::empty();
        let size = entries.len() as u64;
        let earlier = EARLIER.into_iter().filter(|earlier| *earlier < size);
        for size in earlier.chain([size]) {
            grow(&mut growth, entries, size, &mut files);
        }
        let name = KeyName::parse(origin).unwrap();
        let checkpoint = Checkpoint::new(name.clone(), growth.size(), growth.root());
        let note = checkpoint
            .sign(&NoteSigner::new(name, log_signer()))
            .unwrap();
        files.insert("checkpoint".into(), note.to_string().into_bytes());
        Self(files)
    }
}

fn grow(
    growth: &mut Growth,
    entries: &[Vec<u8>],
    size: u64,
    files: &mut BTreeMap<String, Vec<u8>>,
) {
    let from = growth.size();
    for path in bundles_between(from, TreeSize::new(size).unwrap()) {
        let first = usize::try_from(path.first()).unwrap();
        let entries = &entries[first..first + usize::from(path.width())];
        let bytes = bundle::encode(entries.iter().map(Vec::as_slice)).unwrap();
        files.insert(path.to_string(), bytes);
    }
    for entry in &entries[usize::try_from(from.get()).unwrap()..usize::try_from(size).unwrap()] {
        let Ok(()) = growth.push(tree::leaf_hash(entry), |path, bytes| {
            files.insert(path.to_string(), bytes.to_vec());
            Ok::<_, Infallible>(())
        });
    }
    let partial = growth.partial_tiles();
    files.extend(partial.map(|(path, bytes)| (path.to_string(), bytes.to_vec())));
}

impl Files for Trail {
    type Fault = Infallible;

    fn names(&mut self) -> Result<Vec<String>, Infallible> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&mut self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(name).cloned())
    }
}
