//! GPU hours: who applies for which voucher, who orders where, and what pays for it.

use serde::Deserialize;
use serde_json::{Value, json};
use verifier::id::{CaseId, OrderId, VoucherId};

use super::cast::Cast;
use super::client::Refusal;
use super::supply::Supply;
use super::{Fault, document};

/// On what a claim of an order rests.
#[derive(Clone, Copy)]
enum Right {
    /// A voucher that an office grants on application.
    Applied {
        programme: &'static str,
        office: &'static str,
    },
    /// A voucher that an office issues by itself (免申即享).
    Automatic {
        programme: &'static str,
        office: &'static str,
    },
    /// A programme without vouchers.
    Direct { programme: &'static str },
}

/// One order and what pays for it.
struct Deal {
    /// The Slurm account whose jobs it bills.
    account: &'static str,
    buyer: &'static str,
    provider: &'static str,
    contract_fen: i64,
    rights: &'static [Right],
    purpose: Option<&'static str>,
}

use Right::{Applied, Automatic, Direct};

#[rustfmt::skip]
const DEALS: &[Deal] = &[
    // The buyer pays its share, the city the rest to the provider.
    Deal { account: "acct-a", buyer: "shanghai-models", provider: "east", contract_fen: 2_000_000, purpose: None,
        rights: &[Applied { programme: "shanghai-compute-2025-press", office: "shanghai" }] },
    // The buyer pays all and is repaid against invoices.
    Deal { account: "acct-b", buyer: "beijing-machines", provider: "east", contract_fen: 400_000, purpose: None,
        rights: &[Applied { programme: "beijing-compute-2023", office: "beijing" }] },
    // No voucher at all: what was used in the province is repaid in part.
    Deal { account: "acct-c", buyer: "jinan-laboratory", provider: "east", contract_fen: 300_000, purpose: None,
        rights: &[Direct { programme: "shandong-compute-2025" }] },
    // Province and city pay one to one, taken off the price; the city's own voucher comes on top and repays the buyer.
    Deal { account: "acct-d", buyer: "zhengzhou-medicine", provider: "west-a", contract_fen: 500_000, purpose: None,
        rights: &[
            Automatic { programme: "henan-compute-2023", office: "henan" },
            Applied { programme: "zhengzhou-compute-2024", office: "zhengzhou" },
        ] },
    Deal { account: "acct-e", buyer: "chengdu-institute", provider: "west-a", contract_fen: 250_000, purpose: None,
        rights: &[Applied { programme: "chengdu-compute-2025", office: "chengdu" }] },
    // A start-up: 60 %, for training alone.
    Deal { account: "acct-f", buyer: "shenzhen-robots", provider: "west-b", contract_fen: 60_000, purpose: Some("llm_training"),
        rights: &[Applied { programme: "shenzhen-training-2024", office: "shenzhen" }] },
    Deal { account: "acct-g", buyer: "chengdu-institute", provider: "west-b", contract_fen: 40_000, purpose: None,
        rights: &[Applied { programme: "chengdu-compute-2025", office: "chengdu" }] },
];

/// The segment of every order: half a year from 1 September, local time.
const FROM: &str = "2026-08-31T16:00:00Z";
const TO: &str = "2027-02-28T16:00:00Z";

/// An order that was placed, and what the exchange had quoted for it.
pub(super) struct Placed {
    /// The Slurm account that it bills, or what was bought.
    pub(super) what: &'static str,
    pub(super) buyer: &'static str,
    pub(super) seller: &'static str,
    pub(super) order: OrderId,
    /// For GPU time, used in full.
    pub(super) quote: Option<Quote>,
}

/// What an order would cost its buyer.
#[derive(Deserialize)]
pub(super) struct Quote {
    pub(super) gross_fen: i64,
    /// To the seller.
    pub(super) pays_fen: i64,
    /// Comes back later.
    pub(super) repaid_fen: i64,
}

/// Finds the order that bills an account.
pub(super) fn order_of(placed: &[Placed], account: &str) -> Result<OrderId, Fault> {
    let found = placed.iter().find(|placed| placed.what == account);
    let found = found.ok_or_else(|| Fault::Story(format!("{account} bills no order")))?;
    Ok(found.order)
}

/// The contract behind a deal, as the parties state it.
fn contract(deal: &Deal) -> Value {
    let text = format!(
        "contract {}: {} rents of {}",
        deal.account, deal.buyer, deal.provider
    );
    json!({
        "digest": document(&text), "fen": deal.contract_fen, "signed_on": "2026-08-28",
        "from": "2026-09-01", "to": "2027-02-28",
    })
}

/// Has every voucher issued, every order quoted and placed.
pub(super) fn order(cast: &Cast, supply: &Supply) -> Result<Vec<Placed>, Fault> {
    let place = |deal: &Deal| place(cast, supply, deal);
    DEALS.iter().map(place).collect()
}

fn place(cast: &Cast, supply: &Supply, deal: &Deal) -> Result<Placed, Fault> {
    let claims: Result<Vec<Value>, Fault> = deal
        .rights
        .iter()
        .map(|right| claim(cast, deal, *right))
        .collect();
    let site = supply.site(deal.provider)?;
    // As many GPU-seconds as the contract's amount buys.
    let limit = deal.contract_fen * 3_600 / site.price_fen;
    let mut asked = json!({
        "seller": cast.id(deal.provider)?, "contract": contract(deal),
        "segments": [{ "offer": site.offer, "from": FROM, "to": TO, "limit": limit }],
    });
    if let Some(purpose) = deal.purpose {
        asked["purpose"] = json!(purpose);
    }
    let buyer = cast.client(deal.buyer)?;
    let quoted = buyer.make("/v1/quotes", &asked)?;
    let quote = Quote::deserialize(&quoted["quote"])
        .map_err(|why| Fault::Answer("/v1/quotes".to_owned(), 200, why.to_string()))?;
    asked["claims"] = Value::Array(claims?);
    Ok(Placed {
        what: deal.account,
        buyer: deal.buyer,
        seller: deal.provider,
        order: buyer.ask("/v1/orders", &asked)?.found("order")?,
        quote: Some(quote),
    })
}

fn claim(cast: &Cast, deal: &Deal, right: Right) -> Result<Value, Fault> {
    match right {
        Direct { programme } => Ok(json!({ "programme": programme })),
        Automatic { programme, office } => {
            let asked = json!({
                "programme": programme, "holder": cast.id(deal.buyer)?, "contract": contract(deal),
            });
            let issued = cast.client(office)?.ask("/v1/vouchers", &asked)?;
            let voucher: VoucherId = issued.found("voucher")?;
            Ok(json!({ "voucher": voucher }))
        }
        Applied { programme, office } => {
            let subject = json!({ "programme": programme, "contract": contract(deal) });
            let granted = apply(cast, deal.buyer, office, (subject, None))?;
            Ok(json!({ "voucher": granted.voucher }))
        }
    }
}

/// A voucher that an office granted.
pub(super) struct Granted {
    pub(super) voucher: VoucherId,
    pub(super) face_fen: i64,
}

/// What of an issued voucher matters here.
#[derive(Deserialize)]
struct Issued {
    face: i64,
}

/// A buyer applies and an office grants: the decision makes the voucher.
pub(super) fn apply(
    cast: &Cast,
    buyer: &str,
    office: &str,
    (application, approved_fen): (Value, Option<i64>),
) -> Result<Granted, Fault> {
    let asked = json!({ "subject": { "application": application } });
    let opened = cast.client(buyer)?.ask("/v1/cases", &asked)?;
    let case: CaseId = opened.found("case")?;
    let basis = document(&format!("decision on case {case}"));
    let mut decision = json!({ "case": case, "approved": true, "basis": basis });
    if let Some(fen) = approved_fen {
        decision["approved_fen"] = json!(fen);
    }
    let decided = cast.client(office)?.ask("/v1/cases/decide", &decision)?;
    let issued: Issued = decided.found("issued")?;
    Ok(Granted {
        voucher: decided.found("voucher")?,
        face_fen: issued.face,
    })
}

/// Beijing: one contract, one voucher.
pub(super) fn apply_twice(cast: &Cast) -> Result<Refusal, Fault> {
    let deal = DEALS.iter().find(|deal| deal.account == "acct-b");
    let deal = deal.ok_or_else(|| Fault::Story("no deal of acct-b".into()))?;
    let subject = json!({ "programme": "beijing-compute-2023", "contract": contract(deal) });
    cast.client(deal.buyer)?.ask_in_vain(
        "/v1/cases",
        &json!({ "subject": { "application": subject } }),
        "apply a second time for a contract that has its voucher",
        "programme.unique",
    )
}
