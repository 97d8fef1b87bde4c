//! What a step came to, in the words of its file, and where that differs from what the file expects.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use verifier::book::entry::Entry;
use verifier::ledger::Account;
use verifier::refusal::{Code, Refusal};

use super::run::{Run, text};

/// What the commands of a step did together.
#[derive(Default)]
pub(super) struct Done {
    /// `amount`, `held`, `released`, `kept`, `claims`.
    pub(super) values: Map<String, Value>,
    postings: BTreeMap<String, i64>,
    counters: BTreeMap<String, i64>,
}

impl Done {
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// What a later command of the same step adds: amounts as they stand then, all that has moved.
    pub(super) fn then(self, mut later: Self) -> Self {
        for (account, fen) in self.postings {
            *later.postings.entry(account).or_default() += fen;
        }
        later.postings.retain(|_, fen| *fen != 0);
        for (counter, by) in self.counters {
            *later.counters.entry(counter).or_default() += by;
        }
        later.counters.retain(|_, by| *by != 0);
        let delta = |claim: &Value| claim["delta"].as_i64().unwrap();
        let earlier = self.values.get("claims").cloned().unwrap_or_default();
        let claims = later
            .values
            .get_mut("claims")
            .and_then(Value::as_object_mut);
        for (name, claim) in claims.into_iter().flatten() {
            let together = delta(claim) + delta(&earlier[name]);
            claim["delta"] = together.into();
        }
        later
    }
}

/// Sums what is given fund by fund.
pub(super) fn sum(by_fund: &Value) -> i64 {
    let funds = by_fund.as_array().into_iter().flatten();
    funds.map(|fen| fen.as_i64().unwrap()).sum()
}

impl Run {
    /// What one entry did.
    pub(super) fn saw(&self, entry: &Entry) -> Done {
        let mut done = Done::default();
        self.see(&mut done, entry);
        done
    }

    /// Adds what one entry more did.
    pub(super) fn see(&self, done: &mut Done, entry: &Entry) {
        for (account, fen) in entry.postings.legs() {
            *done.postings.entry(self.account(account)).or_default() += fen.get();
        }
        done.postings.retain(|_, fen| *fen != 0);
        for (key, by) in &entry.counters {
            if let Some(name) = self.counter(key.as_str()) {
                *done.counters.entry(name).or_default() += by;
            }
        }
        done.counters.retain(|_, by| *by != 0);
    }

    /// Adds what a statement found of the claims of an order.
    pub(super) fn stated(&self, done: Done, order: &str, claims: &Value) -> Done {
        let (mut named, mut held) = (Map::new(), Map::new());
        for claim in claims.as_array().unwrap() {
            let name = self.claim_name(order, claim["claim"].as_u64().unwrap());
            held.insert(name.clone(), sum(&claim["held"]).into());
            let mut claim = claim.clone();
            let members = claim.as_object_mut().unwrap();
            members.entry("forgone").or_insert_with(|| json!(0));
            named.insert(name, claim);
        }
        done.with("claims", named).with("held", held)
    }

    pub(super) fn claim_name(&self, order: &str, index: u64) -> String {
        self.claims[order][usize::try_from(index).unwrap()].clone()
    }

    fn name_of(&self, id: &str) -> String {
        let known = self.exchange.names.get(id).cloned();
        known.unwrap_or_else(|| id.trim_end_matches('-').to_owned())
    }

    /// The account in the file's words: `earned` is over all programmes there, `transit` over all parties.
    fn account(&self, account: &Account) -> String {
        let written = account.to_string();
        let mut parts: Vec<_> = written.split('/').map(|part| self.name_of(part)).collect();
        let left_out = match account {
            Account::Earned(..) => Some(1),
            Account::Transit(..) => Some(2),
            Account::Hold(_, claim, _) | Account::Disputed(_, claim, _) => {
                parts[2] = self.claim_name(&parts[1], (*claim).into());
                None
            }
            Account::Advance(..)
            | Account::Fund(_)
            | Account::Owed(..)
            | Account::Paid(..)
            | Account::Payable(..)
            | Account::Treasury(..)
            | Account::Voucher(..) => None,
        };
        if let Some(part) = left_out {
            parts.remove(part);
        }
        parts.join("/")
    }

    /// The counter in the file's words; documents and scheduler runs are counted by none, hours of a site are named by one.
    fn counter(&self, key: &str) -> Option<String> {
        let of_others = ["uniq/", "run/", "site/"];
        if of_others.iter().any(|prefix| key.starts_with(prefix)) {
            return None;
        }
        let parts: Vec<_> = key.split('/').map(|part| self.name_of(part)).collect();
        Some(parts.join("/"))
    }

    fn balances(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for (account, fen) in self.exchange.book.money.balances() {
            *sums.entry(self.account(account)).or_insert(0) += fen.get();
        }
        sums
    }

    /// All counters; those of the hours of a site are kept by the site.
    fn counters(&self) -> BTreeMap<String, i64> {
        let money = self.exchange.book.money.counters().iter();
        let counters = money.filter_map(|(key, value)| Some((self.counter(key.as_str())?, value)));
        counters.collect()
    }

    fn occupied(&self, key: &str) -> Option<i64> {
        let hour = key.strip_prefix("site/")?;
        let hours = self.hours.get(hour);
        Some(hours.copied().unwrap_or(0))
    }

    /// Where the result of a step differs from what its file expects.
    pub(super) fn differences(
        &mut self,
        step: &Value,
        result: &Result<Done, Refusal>,
    ) -> Vec<String> {
        let expect = &step["expect"];
        let mut wrong = Wrong::default();
        let nothing = Done::default();
        let done = result.as_ref().unwrap_or(&nothing);
        let expected = expect["outcome"].as_str().unwrap_or("ok");
        if expected == "ok" && cannot_be_said(step, result) {
            self.unsaid.insert(text(&step["order"]).to_owned());
        } else {
            wrong.check("outcome", &json!(expected), &json!(outcome(result)));
            let code = result.as_ref().err().map(|refusal| refusal.code.as_str());
            if !same_refusal(expect["code"].as_str(), code) {
                wrong.check("code", &expect["code"], &json!(code));
            }
            for name in ["amount", "held", "released", "kept"] {
                let value = done.values.get(name).unwrap_or(&Value::Null);
                wrong.check(name, &expect[name], value);
            }
        }
        let stated = done.values.get("claims").cloned();
        let behind = step["order"]
            .as_str()
            .filter(|order| self.unsaid.contains(*order));
        match behind {
            None => wrong.check("claims", &expect["claims"], &stated.unwrap_or_default()),
            Some(order) => {
                let claims = stated.unwrap_or_else(|| self.granted_claims(order));
                wrong.check("claims", &amounts(&expect["claims"]), &claims);
            }
        }
        let pairs = |map: &BTreeMap<String, i64>| json!(map.iter().collect::<Vec<_>>());
        wrong.check("postings", &expect["postings"], &pairs(&done.postings));
        wrong.check("counters", &expect["counters"], &pairs(&done.counters));
        self.standing(expect, &mut wrong);
        wrong.0
    }

    /// Checks the balances and counters that a step names.
    fn standing(&self, expect: &Value, wrong: &mut Wrong) {
        let named = |of: &str| expect[of].as_object().cloned().unwrap_or_default();
        if expect["accounts"].is_null() && expect["counter_values"].is_null() {
            return;
        }
        let (accounts, counters) = (self.balances(), self.counters());
        for (name, value) in named("accounts") {
            wrong.check(&name, &value, &json!(accounts.get(&name).unwrap_or(&0)));
        }
        for (name, value) in named("counter_values") {
            let have = self.occupied(&name).or(counters.get(&name).copied());
            wrong.check(&name, &value, &json!(have.unwrap_or(0)));
        }
    }

    /// Checks all balances and counters at the end, where the file has them.
    pub(super) fn final_differences(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        let end = &self.file["final"];
        let same = |expected: &Value, have: &BTreeMap<String, i64>| *expected == json!(have);
        let (accounts, counters) = (self.balances(), self.counters());
        if end.is_object() && !same(&end["accounts"], &accounts) {
            wrong.check("accounts", &end["accounts"], &json!(accounts));
        }
        if end.is_object() && !same(&end["counters"], &counters) {
            wrong.check("counters", &end["counters"], &json!(counters));
        }
        wrong.0
    }

    /// What the claims of an order have been granted, where nothing is stated.
    fn granted_claims(&self, name: &str) -> Value {
        let order = self.exchange.book.money.order(self.order(name)).unwrap();
        let claims = (0..).zip(&order.claims).map(|(index, claim)| {
            let granted = claim.sums.funds.iter().map(|sums| sums.granted.get());
            let claim = json!({ "grant": granted.sum::<i64>(), "delta": 0 });
            (self.claim_name(name, index), claim)
        });
        Value::Object(claims.collect())
    }
}

/// Use cannot be moved to another segment of an order that has ended: that takes a receipt.
fn cannot_be_said(step: &Value, result: &Result<Done, Refusal>) -> bool {
    let closed = |refusal: &Refusal| refusal.code == Code::ReceiptOrderClosed;
    step["do"] == "correction" && result.as_ref().is_err_and(closed)
}

fn outcome(result: &Result<Done, Refusal>) -> &'static str {
    match result {
        Ok(_) => "ok",
        // A person decides: an amount is left open, or a fact is not recorded.
        Err(refusal) if refusal.code == Code::ProgrammeManual => "manual",
        Err(refusal) if refusal.code == Code::ProgrammeUnknown => "manual",
        Err(_) => "refused",
    }
}

/// A receipt has codes of its own, and one for an order that has ended is refused for that first.
fn same_refusal(expected: Option<&str>, have: Option<&str>) -> bool {
    let same = [
        ("order.unknown", "receipt.order"),
        ("receipt.correction", "receipt.order-closed"),
        ("dispute.nothing", "clawback.nothing"),
    ];
    expected
        .zip(have)
        .is_some_and(|codes| same.contains(&codes))
}

/// Of claims, what moves money: the rest rests on what was not said.
fn amounts(claims: &Value) -> Value {
    let mut claims = claims.clone();
    for claim in claims.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let members = claim.as_object_mut().unwrap();
        members.retain(|name, _| ["grant", "delta"].contains(&name.as_str()));
    }
    claims
}

#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn check(&mut self, what: &str, expected: &Value, have: &Value) {
        if !expected.is_null() && !covers(have, expected) {
            self.0
                .push(format!("{what} expected {expected}, have {have}"));
        }
    }
}

/// Whether what we have shows all that is expected: objects may say more.
fn covers(have: &Value, expected: &Value) -> bool {
    match (have, expected) {
        (Value::Object(have), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| have.get(name).is_some_and(|have| covers(have, value))),
        (have, expected) => have == expected,
    }
}
