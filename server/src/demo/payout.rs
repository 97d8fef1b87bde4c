//! From earned to paid: periods closed, batches instructed and executed, and one payment that must come back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use verifier::id::{BatchId, FundId, PartyId};
use verifier::ledger::Account;
use verifier::time::{DAY_SECONDS, NamedPeriod, Timestamp, UtcOffset};

use super::cast::Cast;
use super::compute::{Placed, order_of};
use super::{Fault, Stage, answers, document, funds};

/// The dispute window of every programme of the story.
const DISPUTE_DAYS: i64 = 15;

/// An account of a fund with what stands in it.
struct Standing {
    account: Account,
    fen: i64,
}

/// One batch that was paid.
pub(super) struct Paid {
    pub(super) fund: &'static str,
    pub(super) batch: BatchId,
    pub(super) parties: usize,
    pub(super) fen: i64,
}

/// Closes every period that is over, for every party that has earned in it; returns how many.
pub(super) fn close_periods(stage: &Stage, cast: &Cast) -> Result<usize, Fault> {
    let now = stage.clock.now()?;
    let mut due: BTreeMap<(PartyId, String), &str> = BTreeMap::new();
    for (fund, funder) in funds::all() {
        for standing in standings(cast, fund, funder)? {
            let Account::Earned(_, party, _, period) = standing.account else {
                continue;
            };
            if due_at(period) <= now {
                due.insert((party, period.to_string()), funder);
            }
        }
    }
    for ((party, period), funder) in &due {
        let asked = json!({ "party": party, "period": period });
        cast.acting(funder, "finance")?
            .ask("/v1/statements", &asked)?;
    }
    Ok(due.len())
}

/// From when a period may be closed.
fn due_at(period: NamedPeriod) -> Timestamp {
    period
        .end(UtcOffset::CHINA)
        .after(DISPUTE_DAYS * DAY_SECONDS)
}

/// Pays everything that is payable, a batch a fund.
pub(super) fn pay(stage: &Stage, cast: &Cast) -> Result<Vec<Paid>, Fault> {
    let mut batches = Vec::new();
    for (fund, funder) in funds::all() {
        let mut payees: BTreeMap<PartyId, i64> = BTreeMap::new();
        for standing in standings(cast, fund, funder)? {
            if let Account::Payable(party, _) = standing.account {
                payees.insert(party, standing.fen);
            }
        }
        if payees.is_empty() {
            continue;
        }
        let finance = cast.acting(funder, "finance")?;
        let file = payout_file(stage, fund, &payees)?;
        let parties: BTreeSet<&PartyId> = payees.keys().collect();
        let asked = json!({ "fund": fund, "parties": parties, "file": document(&file) });
        let batch: BatchId = finance.ask("/v1/payouts", &asked)?.found("batch")?;
        finance.ask("/v1/payouts/execute", &json!({ "batch": batch }))?;
        let (parties, fen) = (payees.len(), payees.values().sum());
        batches.push(Paid {
            fund,
            batch,
            parties,
            fen,
        });
    }
    Ok(batches)
}

/// What the bank gets: a line a payee. Its digest is in the trail.
fn payout_file(
    stage: &Stage,
    fund: &str,
    payees: &BTreeMap<PartyId, i64>,
) -> Result<String, Fault> {
    let lines = payees.iter().map(|(party, fen)| format!("{party};{fen}\n"));
    let text: String = lines.collect();
    let folder = stage.folder.join("payouts");
    let path = folder.join(format!("{fund}.csv"));
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, &text));
    written.map_err(|why| Fault::File(path, why))?;
    Ok(text)
}

/// The order whose buyer pays first and is repaid against invoices.
const INVOICED: &str = "acct-b";

/// The provider's invoice for what was used since the last one, as the buyer hands it in; returns all that is invoiced.
pub(super) fn invoice(
    cast: &Cast,
    placed: &[Placed],
    (month, before): (&str, i64),
) -> Result<i64, Fault> {
    let (order, buyer) = (
        order_of(placed, INVOICED)?,
        cast.client("beijing-machines")?,
    );
    let charged = answers::charged(buyer, order)?;
    let digest = document(&format!("invoice of {month}"));
    let asked = json!({
        "order": order, "kind": "invoice", "digest": digest, "lines": [["gpu_rent", charged - before]],
    });
    buyer.ask("/v1/evidence", &asked)?;
    Ok(charged)
}

/// A buyer has moved away after it was paid: half of what it was granted must come back.
pub(super) fn claw_back(cast: &Cast, placed: &[Placed]) -> Result<(), Fault> {
    let order = order_of(placed, INVOICED)?;
    let party = cast.id("beijing-machines")?;
    let moved = json!({
        "subject": format!("party/{party}"), "name": "registered_in", "value": "120116", "valid_from": "2026-11-18",
        "evidence": document("register extract: moved to Tianjin"),
    });
    cast.client("beijing")?.ask("/v1/facts", &moved)?;
    let asked = json!({
        "order": order, "claim": 0, "cause": "relocation", "basis": document("decision: moved within a year"),
    });
    cast.acting("bj-finance", "finance")?
        .ask("/v1/clawbacks", &asked)?;
    Ok(())
}

/// Every account of a fund, as its funder reads it.
fn standings(cast: &Cast, fund: &str, funder: &str) -> Result<Vec<Standing>, Fault> {
    let fund = FundId::parse(fund).map_err(|why| Fault::Story(why.to_string()))?;
    let path = format!("/v1/funds/{fund}/trial-balance?limit=1000");
    let page = cast.client(funder)?.read(&path)?;
    let items = page["items"].as_array().into_iter().flatten();
    items
        .map(|item| standing(item).ok_or_else(|| odd(&path, item)))
        .collect()
}

fn standing(item: &Value) -> Option<Standing> {
    let account = Account::parse(item["account"].as_str()?).ok()?;
    Some(Standing {
        account,
        fen: item["fen"].as_i64()?,
    })
}

fn odd(path: &str, item: &Value) -> Fault {
    Fault::Answer(path.to_owned(), 200, item.to_string())
}
