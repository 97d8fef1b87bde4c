//! Who plays in the examples, and what each of them asks for over HTTP.

use serde_json::{Value, json};
use server::objects::Objects;
use std::collections::BTreeMap;
use std::fs;
use verifier::audit::{Depth, Verdict, audit};
use verifier::id::{DocumentDigest, GpuModel, OrderId, SiteId};
use verifier::ledger::Account;
use verifier::receipt::{self, CapacityShare, KeyUse};
use verifier::signature::Signer;
use verifier::time::{Timestamp, UtcOffset};
use verifier::trail::policy::Policy;

use super::usage::Chain;
use crate::support::{Answer, Client, Database, Exchange, Member, ORIGIN, register_key, text};

const EXAMPLES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/programmes/examples"
);
pub(crate) const MODEL: &str = "nvidia-h100-sxm";
/// Enough for the 100,000,001 GPU-seconds that W4 uses in one hour.
const CARDS: u32 = 30_000;
pub(crate) const HOUR: i64 = 3_600;
/// A fen a GPU-second.
pub(crate) const FEN_A_SECOND: i64 = 3_600;
/// Ten million yuan in each fund.
const APPROPRIATED: i64 = 10_000_000_000;

/// An exchange with one of each.
pub(crate) struct Stage {
    pub(crate) exchange: Exchange,
    pub(crate) office: Member,
    pub(crate) funder: Member,
    pub(crate) finance: Client,
    pub(crate) regulator: Member,
    pub(crate) provider: Member,
    pub(crate) buyer: Member,
    pub(crate) site: SiteId,
    pub(crate) signer: Signer,
    pub(crate) chains: BTreeMap<OrderId, Chain>,
}

/// A voucher as granted.
pub(crate) struct Voucher {
    pub(crate) id: String,
    pub(crate) face: i64,
    /// The entry that issued it.
    pub(crate) entry: u64,
}

impl Stage {
    /// Opens the exchange at a time and shares every card of a large site with it, for three years.
    pub(crate) fn open(database: &Database, from: &str) -> Self {
        Self::with_cards(database, from, (CARDS, CARDS))
    }

    /// A site of so many cards, of which so many are shared.
    pub(crate) fn with_cards(database: &Database, from: &str, (cards, shared): (u32, u32)) -> Self {
        let exchange = Exchange::at(database, time(from));
        let funder = exchange.member(&["funder", "finance"]);
        let provider = exchange.member(&["provider"]);
        let signer = Signer::from_seed(&[3; 32]);
        register_key(&exchange, &provider, KeyUse::Receipt, &signer);
        let site = open_site(&exchange, &provider, (cards, shared));
        Self {
            office: exchange.member(&["office"]),
            finance: exchange.keyed(&funder.actor, "finance"),
            regulator: exchange.member(&["regulator"]),
            buyer: exchange.member(&["buyer"]),
            exchange,
            funder,
            provider,
            site,
            signer,
            chains: BTreeMap::new(),
        }
    }

    /// Lets time pass until a moment.
    pub(crate) fn on(&self, moment: &str) {
        let ahead = time(moment).unix() - self.exchange.clock.now().unwrap().unix();
        assert!(ahead >= 0, "{moment} is over");
        self.exchange.clock.advance(ahead);
    }

    /// Opens a fund and fills it.
    pub(crate) fn fund(&self, fund: &str, funder: &str) {
        let client = &self.funder.client;
        client.done("/v1/funds", &json!({ "fund": fund, "funder": funder }));
        let filled = json!({ "fund": fund, "fen": APPROPRIATED });
        client.done("/v1/funds/appropriate", &filled);
    }

    /// Enacts an example's file.
    pub(crate) fn enact(&self, name: &str) {
        self.enact_text(&example(name));
    }

    pub(crate) fn enact_text(&self, toml: &str) {
        let digest = DocumentDigest::of(toml.as_bytes());
        let enact = json!({ "toml": toml, "digest": digest, "despite_status": true });
        self.office.client.done("/v1/programmes", &enact);
    }

    /// Records what the office knows of a party from today on.
    pub(crate) fn fact(&self, party: &Member, name: &str, value: &Value) {
        let today = self
            .exchange
            .clock
            .now()
            .unwrap()
            .local_day(UtcOffset::CHINA);
        let subject = format!("party/{}", party.party);
        let asked =
            json!({ "subject": subject, "name": name, "value": value, "valid_from": today });
        self.office.client.done("/v1/facts", &asked);
    }

    /// A buyer applies for a voucher for a contract.
    pub(crate) fn apply(&self, buyer: &Member, programme: &str, contract: &Value) -> String {
        let application = json!({ "programme": programme, "contract": contract });
        let asked = json!({ "subject": { "application": application } });
        let opened = buyer.client.done("/v1/cases", &asked);
        text(&opened["found"]["case"])
    }

    /// The office's yes to a case.
    pub(crate) fn approve(&self, case: &str) -> Answer {
        let basis = DocumentDigest::of(case.as_bytes());
        let decision = json!({ "case": case, "approved": true, "basis": basis });
        self.office.client.post("/v1/cases/decide", &decision)
    }

    /// A voucher that is applied for and granted.
    pub(crate) fn voucher(&self, buyer: &Member, programme: &str, contract: &Value) -> Voucher {
        let case = self.apply(buyer, programme, contract);
        let granted = self.approve(&case);
        assert_eq!(granted.status, 201, "{}", granted.text);
        Voucher {
            id: text(&granted.body["found"]["voucher"]),
            face: fen(&granted.body["found"]["issued"]["face"]),
            entry: granted.body["seq"].as_u64().unwrap(),
        }
    }

    /// An offer of metered GPU time.
    pub(crate) fn offer(&self, price_fen: i64) -> String {
        let asked = json!({
            "site": self.site, "gpu_model": MODEL, "billing": "metered", "price_fen": price_fen,
        });
        let offer = self.provider.client.done("/v1/offers", &asked);
        text(&offer["found"]["offer"])
    }

    /// The buyer orders of the provider.
    pub(crate) fn order(&self, segments: &Value, claims: &Value, contract: Option<&Value>) -> Deal {
        let mut asked =
            json!({ "seller": self.provider.party, "segments": segments, "claims": claims });
        if let Some(contract) = contract {
            asked["contract"] = contract.clone();
        }
        let placed = self.buyer.client.done("/v1/orders", &asked);
        Deal {
            id: text(&placed["found"]["order"]).parse().unwrap(),
            entry: placed["seq"].as_u64().unwrap(),
        }
    }

    /// Closes a period of a party.
    pub(crate) fn close_period(&self, party: &Member, period: &str) -> Closed {
        let asked = json!({ "party": party.party, "period": period });
        let closed = self.finance.done("/v1/statements", &asked);
        let found = &closed["found"]["period_closed"];
        Closed {
            entry: closed["seq"].as_u64().unwrap(),
            amount: fen(&found["amount"]),
            kept: fen(&found["kept"]),
            netted: found["netted"][0]["owed"].as_i64().unwrap_or(0),
        }
    }

    /// Pays a party from a fund: instructed, and the bank has paid. Returns the amount.
    pub(crate) fn pay(&self, fund: &str, party: &Member) -> i64 {
        let file = DocumentDigest::of(fund.as_bytes());
        let asked = json!({ "fund": fund, "parties": [party.party], "file": file });
        let instructed = self.finance.done("/v1/payouts", &asked)["found"].take();
        let batch = json!({ "batch": instructed["batch"] });
        let before = self.fen(&format!("paid/{}/{fund}", party.party));
        self.finance.done("/v1/payouts/execute", &batch);
        self.fen(&format!("paid/{}/{fund}", party.party)) - before
    }

    /// What stands in an account.
    pub(crate) fn fen(&self, account: &str) -> i64 {
        let fund = Account::parse(account).unwrap().fund().clone();
        let path = format!("/v1/funds/{fund}/trial-balance?limit=1000");
        let page = self.funder.client.get(&path);
        assert_eq!((page.status, &page.body["sum"]), (200, &json!(0)));
        let mut items = page.body["items"].as_array().unwrap().iter();
        let item = items.find(|item| item["account"] == account);
        item.map_or(0, |item| fen(&item["fen"]))
    }

    /// Insists on balances.
    pub(crate) fn stands(&self, balances: &[(String, i64)]) {
        for (account, expected) in balances {
            assert_eq!(self.fen(account), *expected, "{account}");
        }
    }

    /// The counters that an entry moved.
    pub(crate) fn counters(&self, entry: u64) -> BTreeMap<String, i64> {
        let path = format!("/v1/entries/{entry}");
        let entry = self.regulator.client.get(&path).body["entry"].take();
        let moved = entry["counters"].as_array().unwrap().iter();
        moved
            .map(|counter| (text(&counter[0]), fen(&counter[1])))
            .collect()
    }

    /// Stops, so that all is published, and audits the trail's files: they agree, also with what was served.
    pub(crate) fn audit(mut self) {
        let funds = self.exchange.nobody().get("/v1/funds?limit=1000").body["items"].take();
        self.exchange.stop();
        let data = self.exchange.data();
        let policy = Policy::parse(&fs::read(data.join("policy.txt")).unwrap()).unwrap();
        let mut files = Objects::folder(&data.join("trail")).unwrap();
        let report = audit(&mut files, &policy, Depth::Decisions).unwrap();
        assert_eq!(report.differences, []);
        assert_eq!(report.verdict, Verdict::Agree);
        assert_eq!(report.decided, report.entries);
        let audited = report
            .funds
            .iter()
            .map(|of| (of.fund.to_string(), json!(of.fen)));
        let served = funds.as_array().unwrap().iter();
        let served = served.map(|of| (text(&of["fund"]), of["balances"].clone()));
        assert!(audited.eq(served), "{funds} {:?}", report.funds);
    }
}

/// An order as placed.
#[derive(Clone, Copy)]
pub(crate) struct Deal {
    pub(crate) id: OrderId,
    pub(crate) entry: u64,
}

/// A period as closed.
pub(crate) struct Closed {
    pub(crate) entry: u64,
    /// What became payable.
    pub(crate) amount: i64,
    /// What stays earned.
    pub(crate) kept: i64,
    /// What of it was netted with a debt, in the first fund where there was one.
    pub(crate) netted: i64,
}

/// A contract over so much, for 2026.
pub(crate) fn contract(name: &str, fen: i64) -> Value {
    json!({
        "digest": DocumentDigest::of(name.as_bytes()), "fen": fen,
        "signed_on": "2025-12-15", "from": "2026-01-01", "to": "2026-12-31",
    })
}

/// The text of an example's file.
pub(crate) fn example(name: &str) -> String {
    fs::read_to_string(format!("{EXAMPLES}/{name}.toml")).unwrap()
}

pub(crate) fn fen(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn open_site(exchange: &Exchange, provider: &Member, (cards, shared): (u32, u32)) -> SiteId {
    let signer = Signer::from_seed(&[2; 32]);
    register_key(exchange, provider, KeyUse::Capacity, &signer);
    let asked = json!({
        "provider": provider.party, "region": "640500", "capacity_kid": signer.public().kid(),
        "hardware": [{ "gpu_model": MODEL, "gpus": cards }],
    });
    let site = provider.client.done("/v1/sites", &asked);
    let site = SiteId::parse(&text(&site["found"]["site"])).unwrap();
    let from = exchange.clock.now().unwrap();
    let share = CapacityShare {
        aud: ORIGIN.to_owned(),
        site,
        gpu_model: GpuModel::parse(MODEL).unwrap(),
        gpus: shared,
        from,
        to: from.after(3 * 365 * 24 * HOUR),
    };
    let share = json!({ "jws": receipt::sign(&share, &signer) });
    provider.client.done("/v1/capacity-shares", &share);
    site
}
