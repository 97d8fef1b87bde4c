//! A run of one file: who and what there is, and which command a step is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use verifier::book::command::Kind;
use verifier::book::entry::Entry;
use verifier::id::{BatchId, OrderId, Salt, VoucherId};
use verifier::refusal::Refusal;
use verifier::time::LocalDay;

use super::compare::Done;
use super::exchange::{Exchange, FROM, Who, document, time};
use super::programme::{self, Text, contract_days, id};

pub(super) struct Run {
    pub(super) file: Value,
    pub(super) exchange: Exchange,
    /// Who fills each fund, by the fund's name in the file.
    pub(super) funders: BTreeMap<String, Who>,
    pub(super) programmes: BTreeMap<String, Text>,
    /// Ids by the names of the file.
    pub(super) orders: BTreeMap<String, String>,
    pub(super) vouchers: BTreeMap<String, String>,
    /// What the batch of a file is here, fund by fund.
    pub(super) batches: BTreeMap<String, Vec<(Who, BatchId)>>,
    /// The claims of an order in stacking order.
    pub(super) claims: BTreeMap<String, Vec<String>>,
    /// The contract that a voucher was issued for.
    contracts: BTreeMap<String, Value>,
    /// What an order was placed with, and by whom.
    pub(super) placed: BTreeMap<String, (Who, Value)>,
    /// The `seq` of what stands of each receipt of an order.
    pub(super) receipts: BTreeMap<String, Vec<u32>>,
    pub(super) sites: BTreeMap<String, String>,
    pub(super) offers: BTreeMap<(String, i64), String>,
    /// The one site that the file itself shares, with its cards.
    pub(super) shared: Option<(String, String)>,
    /// GPU-seconds by site, model and hour.
    pub(super) hours: BTreeMap<String, i64>,
    /// Orders with a step that no command says.
    pub(super) unsaid: BTreeSet<String>,
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A day before all use.
pub(super) fn first_day() -> LocalDay {
    LocalDay::parse("2024-01-01").unwrap()
}

impl Run {
    /// Opens an exchange with the funds and programmes of a file.
    pub(super) fn open(file: Value) -> Self {
        let begin = file["steps"].as_array().unwrap().iter();
        let begin = begin.filter_map(|step| step["at"].as_str()).next();
        let mut run = Self {
            exchange: Exchange::open(time(begin.unwrap_or(FROM))),
            file,
            funders: BTreeMap::new(),
            programmes: BTreeMap::new(),
            orders: BTreeMap::new(),
            vouchers: BTreeMap::new(),
            batches: BTreeMap::new(),
            claims: BTreeMap::new(),
            contracts: BTreeMap::new(),
            placed: BTreeMap::new(),
            receipts: BTreeMap::new(),
            sites: BTreeMap::new(),
            offers: BTreeMap::new(),
            shared: None,
            hours: BTreeMap::new(),
            unsaid: BTreeSet::new(),
        };
        run.open_funds();
        run.enact_all();
        run
    }

    fn open_funds(&mut self) {
        let mut owners: BTreeMap<String, Who> = BTreeMap::new();
        for line in self.file["funds"].as_array().unwrap().clone() {
            let (fund, funder) = (text(&line["fund"]), text(&line["funder"]));
            let admit = || self.exchange.admit(funder, &["funder", "finance"]);
            let owner = *owners.entry(funder.to_owned()).or_insert_with(admit);
            let open = json!({ "fund": id(fund), "funder": funder });
            self.exchange.done(owner, Kind::OpenFund, &open);
            let fill = json!({ "fund": id(fund), "fen": line["fen"] });
            self.exchange.done(owner, Kind::AppropriateFund, &fill);
            self.funders.insert(fund.to_owned(), owner);
        }
    }

    fn enact_all(&mut self) {
        let steps = self.file["steps"].as_array().unwrap().clone();
        for (name, toml) in self.file["programmes"].as_object().unwrap().clone() {
            let chosen = |step: &Value| step["programme"] == name && step["face_fen"].is_i64();
            let chosen_face = steps.iter().any(chosen);
            self.enact(&name, text(&toml), chosen_face);
        }
    }

    pub(super) fn enact(&mut self, name: &str, toml: &str, chosen_face: bool) {
        let whole = programme::whole(toml, chosen_face, first_day());
        let enact = json!({
            "toml": whole.toml, "digest": document(&whole.toml), "despite_status": true,
        });
        let office = self.exchange.office;
        self.exchange.done(office, Kind::EnactProgramme, &enact);
        self.programmes.insert(name.to_owned(), whole);
    }

    /// A party of the file, with its facts.
    pub(super) fn party(&mut self, name: &str) -> Who {
        let (who, is_new) = self.exchange.member(name);
        let facts = self.file["parties"][name]["facts"].clone();
        if is_new {
            self.facts(&format!("party/{}", who.0), &facts);
        }
        who
    }

    pub(super) fn facts(&mut self, subject: &str, facts: &Value) {
        for (name, value) in facts.as_object().into_iter().flatten() {
            if *value != json!("unknown") {
                self.exchange.fact(subject, name, value);
            }
        }
    }

    /// The order of a name; one that is none, if it was never placed.
    pub(super) fn order(&self, name: &str) -> OrderId {
        let placed = self.orders.get(name).map(|id| OrderId::parse(id).unwrap());
        placed.unwrap_or_else(|| OrderId::draw(&Salt::new([0xff; 16]), 0, 0))
    }

    /// The voucher of a name; one that is none, if it was never issued.
    pub(super) fn voucher(&self, name: &str) -> String {
        let issued = self.vouchers.get(name).cloned();
        issued.unwrap_or_else(|| VoucherId::draw(&Salt::new([0xff; 16]), 0, 0).to_string())
    }

    /// The step of the file that places an order.
    pub(super) fn placing(&self, order: &str) -> Value {
        let mut steps = self.file["steps"].as_array().unwrap().iter();
        let placing = steps.find(|step| step["do"] == "order" && step["order"] == order);
        placing.unwrap().clone()
    }

    /// Runs all steps; returns the differences of the first step that has some.
    pub(super) fn run(&mut self) -> Vec<String> {
        let name = text(&self.file["name"]).to_owned();
        let steps = self.file["steps"].as_array().unwrap().clone();
        for (number, step) in steps.iter().enumerate() {
            if let Some(at) = step["at"].as_str() {
                self.exchange.until(time(at));
            }
            let result = self.step(step);
            let wrong = self.differences(step, &result);
            self.exchange.book.money.check_invariants().unwrap();
            if !wrong.is_empty() {
                let place = format!("{name} step {number} {}", text(&step["do"]));
                let told = result.err().map(|refusal| format!(" ({refusal:?})"));
                let told = told.unwrap_or_default();
                return wrong
                    .iter()
                    .map(|line| format!("{place}: {line}{told}"))
                    .collect();
            }
        }
        let wrong = self.final_differences();
        wrong
            .iter()
            .map(|line| format!("{name} final: {line}"))
            .collect()
    }

    fn step(&mut self, step: &Value) -> Result<Done, Refusal> {
        match text(&step["do"]) {
            "issue" => self.issue(step),
            "expire" => self.expire(step),
            "count" => self.count(step),
            "share" => Ok(self.share(step)),
            "order" => self.place(step),
            "amend" => self.amend(step),
            "close" => self.end(step, Kind::CloseOrder),
            "cancel" => self.end(step, Kind::CancelOrder),
            "receipt" => self.receipt(step),
            "correction" => self.correct(step),
            "evidence" => self.evidence(step),
            "statement" => self.statement(step),
            "period" => self.period(step),
            "payout" => self.payout(step),
            "executed" => self.answered(step, Kind::ExecutePayout),
            "returned" => self.answered(step, Kind::ReturnPayout),
            "clawback" => self.clawback(step),
            "recovery" => self.repay(step, Kind::ReceiveRecovery),
            "writeoff" => self.repay(step, Kind::WriteOff),
            "award" => self.award(step),
            "dispute" => Err(self.nothing_to_freeze(step)),
            other => panic!("{other} is no step of these files"),
        }
    }

    /// An application, and the office's yes.
    fn issue(&mut self, step: &Value) -> Result<Done, Refusal> {
        let (name, programme) = (text(&step["voucher"]), text(&step["programme"]));
        let contract = contract(name, &step["terms"], true);
        let mut application = json!({ "programme": id(programme) });
        if let Some(contract) = &contract {
            application["contract"] = contract.clone();
        }
        if step["face_fen"].is_i64() {
            application["face_fen"] = step["face_fen"].clone();
        }
        let holder = self.party(text(&step["holder"]));
        let issued = self.granted(holder, &application)?;
        let voucher = issued.found.voucher.unwrap().to_string();
        self.exchange.names.insert(voucher.clone(), name.to_owned());
        self.vouchers.insert(name.to_owned(), voucher);
        self.contracts
            .extend(contract.map(|contract| (name.to_owned(), contract)));
        let face = issued.found.issued.as_ref().unwrap().face;
        Ok(self.saw(&issued).with("amount", face.get()))
    }

    fn granted(&mut self, holder: Who, application: &Value) -> Result<Entry, Refusal> {
        let open = json!({ "subject": { "application": application } });
        let opened = self.exchange.ask(holder, Kind::OpenCase, &open)?;
        let decide = json!({
            "case": opened.found.case, "approved": true, "basis": document("the office's decision"),
        });
        let office = self.exchange.office;
        self.exchange.ask(office, Kind::DecideCase, &decide)
    }

    fn expire(&mut self, step: &Value) -> Result<Done, Refusal> {
        let voucher = self.voucher(text(&step["voucher"]));
        let parsed = VoucherId::parse(&voucher).unwrap();
        let dead = self.exchange.book.money.voucher(parsed)?;
        let dead = dead.is_dead_at(self.exchange.at);
        let ended = if dead {
            let (operator, expire) = (self.exchange.operator, json!({ "voucher": voucher }));
            self.exchange.ask(operator, Kind::ExpireVoucher, &expire)?
        } else {
            let revoke = json!({ "voucher": voucher, "basis": document("a revocation") });
            let office = self.exchange.office;
            self.exchange.ask(office, Kind::RevokeVoucher, &revoke)?
        };
        let released = ended.found.ended.as_ref().unwrap().released;
        Ok(self.saw(&ended).with("amount", released.get()))
    }

    /// What W5 counts by hand: an earlier voucher, when its holder led a project and had not newly settled.
    fn count(&mut self, step: &Value) -> Result<Done, Refusal> {
        let parts: Vec<_> = text(&step["key"]).split('/').collect();
        let [_, programme, holder, _] = parts.as_slice() else {
            panic!("a counter of a holder's year");
        };
        let by = step["by"].as_i64().unwrap();
        let who = self.party(holder);
        let subject = format!("party/{}", who.0);
        self.exchange.fact(&subject, "newly_settled", &json!(false));
        // At 60 %.
        let terms = json!({ "contract_fen": by / 6 * 10 });
        let application =
            json!({ "programme": id(programme), "contract": contract("before", &terms, true) });
        let issued = self.granted(who, &application)?;
        assert_eq!(issued.found.issued.as_ref().unwrap().face.get(), by);
        self.exchange.fact(&subject, "newly_settled", &json!(true));
        Ok(Done::default())
    }

    /// The contract of an order: the one that its voucher was issued for, or its own.
    pub(super) fn contract_of(&self, step: &Value) -> Option<Value> {
        let claims = step["claims"].as_array().unwrap().iter();
        let mut vouchers = claims.clone().filter_map(|claim| claim["voucher"].as_str());
        let bound = vouchers.find_map(|voucher| self.contracts.get(voucher));
        let own_window = |claim| self.programme_of(claim).is_some_and(|text| text.own_window);
        let as_written = claims.clone().any(own_window);
        let own = || contract(text(&step["order"]), &step["terms"], as_written);
        bound.cloned().or_else(own)
    }
}

/// A contract over what the terms say; where they name days and no amount, any amount does.
fn contract(name: &str, terms: &Value, as_written: bool) -> Option<Value> {
    let names_days = terms["contract_from"].is_string();
    let fen = terms["contract_fen"].as_i64().or(names_days.then_some(1))?;
    let mut days = terms.clone();
    if as_written && let Some(days) = days.as_object_mut() {
        days.remove("service_from");
    }
    let (from, to) = contract_days(&days, first_day());
    Some(json!({
        "digest": document(&format!("the contract of {name}")), "fen": fen,
        "signed_on": "2023-12-01", "from": from, "to": to,
    }))
}
