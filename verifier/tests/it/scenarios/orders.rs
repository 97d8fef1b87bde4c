//! Orders: placed, amended and ended; their documents.

use serde_json::{Map, Value, json};
use verifier::book::command::Kind;
use verifier::refusal::Refusal;

use super::compare::{Done, sum};
use super::exchange::{TO, document};
use super::programme::{Text, id};
use super::run::{Run, text};

impl Run {
    /// The programme that a claim of an order step rests on.
    pub(super) fn programme_of(&self, claim: &Value) -> Option<&Text> {
        let of_voucher = |voucher: &str| {
            let mut steps = self.file["steps"].as_array().unwrap().iter();
            let issue = steps.find(|step| step["voucher"] == voucher)?;
            issue["programme"].as_str()
        };
        let voucher = claim["voucher"].as_str().and_then(of_voucher);
        let programme = voucher.or(claim["programme"].as_str())?;
        self.programmes.get(programme)
    }

    fn is_data(&self, step: &Value) -> bool {
        let mut claims = step["claims"].as_array().unwrap().iter();
        claims.any(|claim| self.programme_of(claim).is_some_and(|text| text.is_data))
    }

    pub(super) fn place(&mut self, step: &Value) -> Result<Done, Refusal> {
        let name = text(&step["order"]).to_owned();
        let (buyer, seller) = (
            self.party(text(&step["buyer"])),
            self.party(text(&step["seller"])),
        );
        let claims = step["claims"].as_array().unwrap();
        let asked: Vec<_> = claims.iter().map(|claim| self.claim(claim)).collect();
        let mut place = json!({ "seller": seller.0, "claims": asked });
        if self.is_data(step) {
            let manifest = self.dataset(seller, &name, &step["terms"]["contract_fen"]);
            let from = self.exchange.at;
            place["segments"] = json!([{ "dataset": manifest, "from": from, "to": TO }]);
        } else {
            place["segments"] = self.segments(step, &step["terms"]["segments"], 0);
            if let Some(contract) = self.contract_of(step) {
                place["contract"] = contract;
            }
        }
        let placed = self.exchange.ask(buyer, Kind::PlaceOrder, &place)?;
        let found = serde_json::to_value(&placed.found).unwrap();
        let (mut names, mut held) = (Vec::new(), Map::new());
        for claim in found["placed"]["claims"].as_array().unwrap() {
            let asked = usize::try_from(claim["asked"].as_u64().unwrap()).unwrap();
            let claim_name = text(&claims[asked]["claim"]).to_owned();
            held.insert(claim_name.clone(), sum(&claim["held"]).into());
            names.push(claim_name);
        }
        let order = text(&found["order"]).to_owned();
        self.exchange.names.insert(order.clone(), name.clone());
        self.orders.insert(name.clone(), order);
        self.claims.insert(name.clone(), names);
        self.placed.insert(name, (buyer, place));
        Ok(self.saw(&placed).with("held", held))
    }

    fn claim(&self, claim: &Value) -> Value {
        let hold_fen = claim["hold_fen"].as_i64().unwrap_or(0);
        match claim["voucher"].as_str() {
            Some(voucher) => json!({ "voucher": self.voucher(voucher), "hold_fen": hold_fen }),
            None => json!({ "programme": id(text(&claim["programme"])), "hold_fen": hold_fen }),
        }
    }

    pub(super) fn amend(&mut self, step: &Value) -> Result<Done, Refusal> {
        let name = text(&step["order"]);
        let placing = self.placing(name);
        let buyer = self.party(text(&placing["buyer"]));
        let order = self.order(name);
        let there = self.exchange.book.orders.get(&order);
        let there = there.map_or(0, |order| order.segments.len());
        let segments = self.segments(&placing, &step["segments"], there);
        let names = self.claims.get(name).cloned().unwrap_or_default();
        let tops = step["claims"].as_array().into_iter().flatten();
        let asked: Vec<&str> = tops.clone().map(|top| text(&top["claim"])).collect();
        let top_ups = tops.filter_map(|top| {
            let index = names
                .iter()
                .position(|name| top["claim"] == name.as_str())?;
            Some(json!([index, top["add_fen"]]))
        });
        let amend = json!({
            "order": order, "segments": segments, "top_ups": top_ups.collect::<Vec<_>>(),
        });
        let amended = self.exchange.ask(buyer, Kind::AmendOrder, &amend)?;
        let found = serde_json::to_value(&amended.found.stated).unwrap();
        let mut done = self.stated(self.saw(&amended), name, &found["claims"]);
        if let Some(Value::Object(held)) = done.values.get_mut("held") {
            held.retain(|claim, _| asked.contains(&claim.as_str()));
        }
        Ok(done)
    }

    pub(super) fn end(&mut self, step: &Value, kind: Kind) -> Result<Done, Refusal> {
        let name = text(&step["order"]);
        let buyer = self.party(text(&self.placing(name)["buyer"]));
        let end = json!({ "order": self.order(name) });
        let ended = self.exchange.ask(buyer, kind, &end)?;
        let found = serde_json::to_value(&ended.found.closed).unwrap();
        let claims = found["claims"].as_array().unwrap().iter();
        let released = claims.map(|claim| {
            let index = claim["claim"].as_u64().unwrap();
            (self.claim_name(name, index), json!(sum(&claim["released"])))
        });
        let released: Map<_, _> = released.collect();
        Ok(self.saw(&ended).with("released", released))
    }

    /// A document that says nothing of money: the order is stated anew.
    pub(super) fn statement(&mut self, step: &Value) -> Result<Done, Refusal> {
        self.record(step, "other", &json!([]))
    }

    pub(super) fn evidence(&mut self, step: &Value) -> Result<Done, Refusal> {
        let is_data = self.is_data(&self.placing(text(&step["order"])));
        let line = if is_data { "dataset" } else { "gpu_rent" };
        let lines = json!([[line, step["fen"]]]);
        match text(&step["kind"]) {
            "invoiced" => self.record(step, "invoice", &lines),
            "paid" => self.record(step, "payment", &lines),
            "contract" => self.record(step, "contract", &lines),
            "accepted" => self.accepted(step),
            "use_proven" => self.proven(step),
            other => panic!("{other} is no evidence of these files"),
        }
    }

    fn record(&mut self, step: &Value, kind: &str, lines: &Value) -> Result<Done, Refusal> {
        let name = text(&step["order"]);
        let digest = document(&format!("{kind} {}", self.exchange.book.size));
        let record = json!({
            "order": self.order(name), "kind": kind, "digest": digest, "lines": lines,
        });
        let office = self.exchange.office;
        let recorded = self.exchange.ask(office, Kind::RecordEvidence, &record)?;
        let found = serde_json::to_value(&recorded.found.stated).unwrap();
        Ok(self.stated(self.saw(&recorded), name, &found["claims"]))
    }
}
