//! After each scenario, every key that signs what is earned turns out to be in the wrong hands: the trail still agrees.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use verifier::analysis::Study;
use verifier::audit::{Depth, Report, Verdict, audit_scopes};
use verifier::book::command::Kind;
use verifier::book::entry::Entry;
use verifier::book::scope::Scope;
use verifier::id::{CaseId, OrderId};
use verifier::ledger::Account;
use verifier::receipt::KeyUse;
use verifier::signature::Kid;
use verifier::trail::policy::Policy;

use super::exchange::{FROM, document};
use super::run::{Run, text};
use super::{check_trail, files, waits_for};
use crate::scoped;
use crate::story;

impl Run {
    /// Revokes a key as compromised from the first day on, entry by entry; returns the case, if there is one to decide.
    fn compromise(&mut self, kid: Kid) -> Option<CaseId> {
        let mut revoke = json!({ "kid": kid, "reason": "compromised", "compromised_since": FROM });
        loop {
            let operator = self.exchange.operator;
            let revoked = self.exchange.done(operator, Kind::RevokeKey, &revoke);
            let next = revoked.found.frozen.and_then(|frozen| frozen.next);
            let Some(next) = next else {
                return revoked.found.case;
            };
            revoke["after"] = json!(next);
        }
    }

    /// Decides all of a case, entry by entry.
    fn rule(&mut self, case: CaseId, approved: bool) {
        loop {
            let decide =
                json!({ "case": case, "approved": approved, "basis": document("a ruling") });
            let office = self.exchange.office;
            let decided = self.exchange.done(office, Kind::DecideCase, &decide);
            self.exchange.book.money.check_invariants().unwrap();
            if decided.found.ruled.unwrap().left == 0 {
                return;
            }
        }
    }

    fn keys(&self) -> Vec<Kid> {
        let operator = self.exchange.operator.0;
        let keys = self.exchange.book.keys.iter();
        let earning = keys.filter(|(_, key)| key.key_use != KeyUse::Capacity);
        let earning = earning.filter(|(_, key)| key.party != operator);
        earning.map(|(kid, _)| *kid).collect()
    }

    fn granted_fen(&self, order: OrderId) -> i64 {
        let order = self.exchange.book.money.order(order).unwrap();
        let granted = |claim: &verifier::settlement::order::Claim| {
            claim.sums.sum(|fund| fund.granted).unwrap().get()
        };
        order.claims.iter().map(granted).sum()
    }

    fn frozen(&self) -> i64 {
        let balances = self.exchange.book.money.balances();
        let frozen = balances.filter(|(account, _)| matches!(account, Account::Disputed(..)));
        frozen.map(|(_, fen)| fen.get()).sum()
    }
}

fn run(path: &std::path::Path) -> Option<Run> {
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    if waits_for(&file).is_some() {
        return None;
    }
    let mut run = Run::open(file);
    assert_eq!(run.run(), [""; 0]);
    Some(run)
}

/// What is shown as earned, by evidence and whose word it is, sums to what is granted, also after denials.
fn check_earned(run: &Run, name: &str) {
    let mut study = Study::new();
    for bytes in &run.exchange.entries {
        study.take(bytes);
    }
    assert_eq!(study.stopped(), None, "{name}");
    let mut shown: BTreeMap<OrderId, i64> = BTreeMap::new();
    for (order, _, _, amount) in study.earned().iter() {
        *shown.entry(order).or_default() += amount.net();
    }
    for order in run.exchange.book.orders.keys() {
        let shown = shown.get(order).copied().unwrap_or(0);
        assert_eq!(shown, run.granted_fen(*order), "{name} {order}");
    }
}

/// What whoever sees one fund alone finds.
fn check_scope(entries: &[Vec<u8>], scope: &Scope) -> Report {
    let policy = Policy::parse(story::policy().as_bytes()).unwrap();
    let own = [scope.clone()];
    let mut trail = scoped::cut(&story::Trail::of(entries), &own);
    let Ok(report) = audit_scopes(&mut trail, &policy, Depth::Decisions, &own);
    report
}

#[test]
fn after_every_scenario_all_keys_are_compromised_and_each_is_restored_or_denied() {
    let (mut cases, mut frozen, mut recalled) = (0, 0, 0);
    for (number, path) in files().iter().enumerate() {
        let Some(mut run) = run(path) else { continue };
        let name = text(&run.file["name"]).to_owned();
        let orders: Vec<OrderId> = run.exchange.book.orders.keys().copied().collect();
        let before: Vec<i64> = orders.iter().map(|order| run.granted_fen(*order)).collect();
        let kids = run.keys();
        let mut open = Vec::new();
        for kid in kids {
            open.extend(run.compromise(kid));
            run.exchange.book.money.check_invariants().unwrap();
        }
        frozen += run.frozen();
        cases += open.len();
        for case in open {
            // A whole file goes one way: what is restored then is as if nothing had been.
            run.rule(case, number % 2 == 0);
        }
        assert_eq!(run.frozen(), 0, "{name}");
        let after: Vec<i64> = orders.iter().map(|order| run.granted_fen(*order)).collect();
        if number % 2 == 0 {
            assert_eq!(before, after, "{name}");
        }
        recalled += before.iter().sum::<i64>() - after.iter().sum::<i64>();
        check_trail(&run.exchange.entries);
        check_earned(&run, &name);
        let entries: Vec<Entry> = run
            .exchange
            .entries
            .iter()
            .map(|bytes| Entry::parse(bytes).unwrap())
            .collect();
        let scopes = entries.iter().flat_map(|entry| &entry.scopes);
        let scopes: BTreeSet<&Scope> = scopes.map(|(scope, _)| scope).collect();
        for scope in scopes {
            let report = check_scope(&run.exchange.entries, scope);
            assert_eq!(report.differences, [], "{name} {scope}");
            assert_eq!(report.verdict, Verdict::Agree, "{name} {scope}");
        }
    }
    println!("{cases} cases, {frozen} fen frozen, {recalled} fen denied");
    assert!(cases > 40 && frozen > 0 && recalled > 0);
}

/// Two programmes, each with a fund of its own, and one seller of an order of each.
fn two_funds() -> Value {
    let programme = |id: &str, fund: &str| {
        format!(
            r#"id = "{id}"
scheme = "compute"
fund = [{{ id = "{fund}", funder = "city-finance", weight = 1 }}]
instrument = {{ commit_at = "order", payee = "seller" }}
rate = {{ select = "first", tier = [{{ id = "all", bp = 5000 }}] }}
"#
        )
    };
    let place = |order: &str, programme: &str| {
        json!({
            "do": "order", "order": order, "buyer": "b0", "seller": "s0", "at": "2026-03-02T00:00:00Z",
            "terms": { "segments": [{ "price_fen": 10, "per": 1 }] },
            "claims": [{ "claim": "c0", "programme": programme, "hold_fen": 100_000 }],
        })
    };
    let receipt = |order: &str, units: i64| json!({ "do": "receipt", "order": order, "units": { "0": units } });
    json!({
        "name": "two funds", "sites": {},
        "parties": { "b0": { "facts": {} }, "s0": { "facts": {} } },
        "funds": [
            { "fund": "one", "funder": "city-finance", "fen": 1_000_000 },
            { "fund": "two", "funder": "city-finance", "fen": 1_000_000 },
        ],
        "programmes": { "pone": programme("pone", "one"), "ptwo": programme("ptwo", "two") },
        "steps": [
            place("o0", "pone"), place("o1", "ptwo"), receipt("o0", 100), receipt("o1", 70), receipt("o0", 11),
        ],
    })
}

#[test]
fn whoever_sees_one_fund_decides_its_part_of_a_revocation_again() {
    for approved in [true, false] {
        let mut run = Run::open(two_funds());
        assert_eq!(run.run(), [""; 0]);
        let kids = run.keys();
        let cases: Vec<CaseId> = kids.iter().filter_map(|kid| run.compromise(*kid)).collect();
        let [case] = cases[..] else {
            panic!("one key has earned")
        };
        assert_eq!(run.frozen(), 905);
        run.rule(case, approved);
        let (seller, _) = run.exchange.member("s0");
        let close = json!({ "party": seller.0, "period": "2026-03" });
        run.exchange
            .until(super::exchange::time("2026-06-01T00:00:00Z"));
        let operator = run.exchange.operator;
        run.exchange.done(operator, Kind::CloseStatement, &close);
        check_trail(&run.exchange.entries);
        for fund in ["fund/one", "fund/two"] {
            let scope = Scope::parse(fund).unwrap();
            let report = check_scope(&run.exchange.entries, &scope);
            assert_eq!(report.differences, [], "{fund}");
            assert_eq!(report.undecided, 0, "{fund}");
            assert!(report.withheld > 3);
        }
        // A part that says less than the rules give is found: its word is not taken.
        let mut entries = run.exchange.entries.clone();
        let revoked =
            |bytes: &&mut Vec<u8>| String::from_utf8_lossy(bytes).contains("\"frozen\":{");
        let bytes = entries.iter_mut().find(revoked).unwrap();
        let mut entry = Entry::parse(bytes).unwrap();
        entry.found.frozen.as_mut().unwrap().claims.clear();
        *bytes = entry.to_bytes().unwrap();
        let report = check_scope(&entries, &Scope::parse("fund/one").unwrap());
        let codes: Vec<_> = report.differences.iter().map(|one| one.code).collect();
        assert_eq!(codes.first(), Some(&"entry.found"), "{codes:?}");
    }
}
