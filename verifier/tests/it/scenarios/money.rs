//! What happens to what is earned: periods, payouts, clawbacks, debts.

use serde_json::{Value, json};
use verifier::book::command::Kind;
use verifier::ledger::Account;
use verifier::refusal::{Code, Refusal};

use super::compare::Done;
use super::exchange::{Who, document};
use super::programme::{self, id};
use super::receipts::Usage;
use super::run::{Run, text};

impl Run {
    pub(super) fn period(&mut self, step: &Value) -> Result<Done, Refusal> {
        let party = self.party(text(&step["party"]));
        let close = json!({ "party": party.0, "period": step["period"] });
        let operator = self.exchange.operator;
        let closed = self.exchange.ask(operator, Kind::CloseStatement, &close)?;
        let found = closed.found.period_closed.as_ref().unwrap();
        let (amount, kept) = (found.amount.get(), found.kept.get());
        Ok(self.saw(&closed).with("amount", amount).with("kept", kept))
    }

    /// One batch a fund, as far as there is something to net or to pay.
    pub(super) fn payout(&mut self, step: &Value) -> Result<Done, Refusal> {
        let parties = step["parties"].as_array().unwrap().iter();
        let parties: Vec<_> = parties.map(|party| self.party(text(party)).0).collect();
        let (mut done, mut amount, mut batches) = (Done::default(), 0, Vec::new());
        for (fund, owner) in self.funders.clone() {
            if step["fund"].as_str().is_some_and(|only| only != fund) {
                continue;
            }
            let file = document(&format!("payout {}", self.exchange.book.size));
            let instruct = json!({ "fund": id(&fund), "parties": parties, "file": file });
            let instructed = match self.exchange.ask(owner, Kind::InstructPayout, &instruct) {
                Err(refusal) if refusal.code == Code::PayoutNothing => continue,
                other => other?,
            };
            let batch = instructed.found.batch.unwrap();
            let name = text(&step["batch"]).to_owned();
            self.exchange.names.insert(batch.to_string(), name);
            batches.push((owner, batch));
            let payments = &instructed.found.instructed.as_ref().unwrap().payments;
            amount += payments
                .iter()
                .map(|payment| payment.fen.get())
                .sum::<i64>();
            self.see(&mut done, &instructed);
        }
        self.batches
            .insert(text(&step["batch"]).to_owned(), batches);
        Ok(done.with("amount", amount))
    }

    /// The bank's answer, to each batch.
    pub(super) fn answered(&mut self, step: &Value, kind: Kind) -> Result<Done, Refusal> {
        let mut done = Done::default();
        let batches = self.batches[text(&step["batch"])].clone();
        if batches.is_empty() && step["expect"]["outcome"] == "refused" {
            // A batch of nothing is none here, so there is nothing to refuse either.
            return Err(Refusal::new(Code::BatchState, "a batch of nothing"));
        }
        for (owner, batch) in batches {
            let answered = self.exchange.ask(owner, kind, &json!({ "batch": batch }))?;
            self.see(&mut done, &answered);
        }
        Ok(done)
    }

    pub(super) fn clawback(&mut self, step: &Value) -> Result<Done, Refusal> {
        let name = text(&step["order"]);
        let order = self.order(name);
        let names = self.claims.get(name).into_iter().flatten();
        let index = names
            .clone()
            .position(|claim| step["claim"] == claim.as_str());
        let claim = u8::try_from(index.unwrap_or(0)).unwrap();
        let clawback = json!({
            "order": order, "claim": claim, "cause": "relocation", "share_bp": step["share_bp"],
            "basis": document("a clawback"),
        });
        let owner = self.payer(name, usize::from(claim));
        let clawed = match self.exchange.ask(owner, Kind::MakeClawback, &clawback) {
            Err(refusal) if refusal.code == Code::ClawbackNothing => {
                // There it is accepted with nothing but a statement.
                return Ok(self.statement(step)?.with("amount", 0));
            }
            other => other?,
        };
        let found = serde_json::to_value(&clawed.found.clawed_back).unwrap();
        let done = self.stated(self.saw(&clawed), name, &found["claims"]);
        Ok(done.with("amount", found["amount"].clone()))
    }

    /// A dispute that finds nothing: no command asks for one, so it is seen that the claim has nothing to freeze.
    pub(super) fn nothing_to_freeze(&mut self, step: &Value) -> Refusal {
        let order = self.order(text(&step["order"]));
        let order = self.exchange.book.money.order(order).unwrap();
        let granted = |claim: &verifier::settlement::order::Claim| {
            claim.sums.sum(|fund| fund.granted).unwrap().get()
        };
        assert_eq!(order.claims.iter().map(granted).sum::<i64>(), 0);
        Refusal::new(Code::ClawbackNothing, "nothing of the claim is unpaid")
    }

    /// Whose fund pays a claim; anybody's, of an order that is none.
    fn payer(&self, order: &str, claim: usize) -> Who {
        let placed = self.exchange.book.money.order(self.order(order)).ok();
        let fund = placed.map(|order| &order.claims[claim].sums.funds[0].fund);
        let owner = |fund| self.exchange.book.fund(fund).unwrap().owner;
        let owner = fund.map(owner);
        let mut funders = self.funders.values();
        let of_fund = funders.find(|who| owner.is_none_or(|owner| who.0 == owner));
        *of_fund.unwrap()
    }

    /// Cash or a write-off; there an amount is cut to what is owed.
    pub(super) fn repay(&mut self, step: &Value, kind: Kind) -> Result<Done, Refusal> {
        let (name, party) = (text(&step["fund"]), self.party(text(&step["party"])).0);
        let fund = verifier::id::FundId::parse(&id(name)).unwrap();
        let owed = Account::Owed(party, fund.clone());
        let owed = self.exchange.book.money.balance(&owed).get();
        let fen = step["fen"].as_i64().unwrap().min(owed);
        if fen == 0 {
            return Ok(Done::default().with("amount", 0));
        }
        let mut repay = json!({ "party": party, "fund": fund, "fen": fen });
        if kind == Kind::WriteOff {
            repay["basis"] = json!(document("a debt is given up"));
        }
        let owner = self.funders[name];
        let repaid = self.exchange.ask(owner, kind, &repay)?;
        Ok(self.saw(&repaid).with("amount", fen))
    }

    /// What a party is awarded, it earns here under a programme that pays all use.
    pub(super) fn award(&mut self, step: &Value) -> Result<Done, Refusal> {
        let (party, fund) = (text(&step["party"]), text(&step["fund"]));
        let fen = step["fen"].as_i64().unwrap();
        let order = self.beside("a buyer", party, (fund, fen));
        let usage = Usage::at_end(order, party, (0, fen), self.exchange.at);
        let used = self.send(&usage)?;
        Ok(self.saw(&used))
    }

    /// An order of GPU time at a fen a second, all of it paid out of a fund; returns its name.
    pub(super) fn beside(&mut self, buyer: &str, seller: &str, (fund, fen): (&str, i64)) -> String {
        let name = format!("beside-{fund}");
        if !self.programmes.contains_key(&name) {
            let funds = self.file["funds"].as_array().unwrap().iter();
            let mut funders = funds.filter(|of| of["fund"] == fund);
            let funder = text(&funders.next().unwrap()["funder"]).to_owned();
            self.enact(&name, &programme::beside(fund, &funder), false);
        }
        let order = format!("{name} at {}", self.exchange.book.size);
        let step = json!({
            "order": order, "buyer": buyer, "seller": seller,
            "terms": { "segments": [{ "price_fen": 1, "per": 1 }] },
            "claims": [{ "claim": "all", "programme": name, "hold_fen": fen }],
        });
        self.place(&step).unwrap();
        order
    }
}
