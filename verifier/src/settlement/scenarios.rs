//! The scenarios of `fixtures/vectors/scenarios`, step by step: amounts, postings, counters and balances of an
//! independent program. Its names become drawn ids; `earned` is summed over programmes, `transit` over parties.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::excessive_nesting,
    clippy::too_many_lines,
    reason = "an adapter in tests: it reads the files, says which ran, and has a step an arm"
)]

use super::cap::Holder;
use super::claim::ClaimFound;
use super::clawback::ClawBack;
use super::counter::CounterKey;
use super::debt::Repay;
use super::evidence::{Correction, Evidence, Says, Use};
use super::freeze::{Doubt, RuledShare, Ruling};
use super::fund::FundMove;
use super::order::{Segment, Terms};
use super::payout::Instruct;
use super::period::ClosePeriod;
use super::place::{Amend, Place, PlaceClaim, Right};
use super::voucher::{Amount, EndVoucher, Issue, VoucherEnd};
use super::{Money, Outcome};
use crate::id::{BatchId, FundId, FunderId, OrderId, PartyId, ProgrammeId, Salt, VoucherId};
use crate::ledger::Account;
use crate::money::{BasisPoints, Fen};
use crate::programme::scenario;
use crate::programme::schema::{Condition, Line, Of, Programme, Scheme, Select, Test, TierPer};
use crate::programme::subsidy::{Lines, Span, TierChoice};
use crate::refusal::{Code, Refusal};
use crate::time::{LocalDay, NamedPeriod, PeriodLength, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/vectors/scenarios");

/// What a step did, in the words of the scenario.
#[derive(Default)]
struct Done {
    values: Map<String, Value>,
    postings: BTreeMap<String, i64>,
    counters: BTreeMap<String, i64>,
}

struct Run {
    name: String,
    file: Value,
    money: Money,
    at: Timestamp,
    names: BTreeMap<String, String>,
    /// Claim names by order, in stacking order.
    claims: BTreeMap<String, Vec<String>>,
    vouchers: BTreeMap<String, String>,
    programmes: BTreeMap<String, Programme>,
    capacity: BTreeMap<String, i64>,
    /// Batches in which there was nothing to pay: refused here, accepted there.
    empty: BTreeMap<String, &'static str>,
}

fn salt(name: &str) -> Salt {
    let hash = crate::id::Sha256Hash::of(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.bytes()[..16]);
    Salt::new(bytes)
}

fn fen(value: &Value) -> Fen {
    Fen::new(value.as_i64().unwrap()).unwrap()
}

fn time(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap()).unwrap()
}

fn fund(name: &str) -> FundId {
    FundId::parse(&scenario::id(name)).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn rent(value: &Value) -> Vec<(Line, Fen)> {
    vec![(Line::GpuRent, fen(value))]
}

impl Run {
    fn new(path: &std::path::Path) -> Self {
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut run = Self {
            name: text(&file["name"]).to_owned(),
            money: Money::new(),
            at: Timestamp::new(0).unwrap(),
            names: BTreeMap::new(),
            claims: BTreeMap::new(),
            vouchers: BTreeMap::new(),
            programmes: BTreeMap::new(),
            capacity: BTreeMap::new(),
            empty: BTreeMap::new(),
            file,
        };
        for line in run.file["funds"].as_array().unwrap().clone() {
            let id = fund(text(&line["fund"]));
            run.names
                .insert(id.to_string(), text(&line["fund"]).to_owned());
            run.money
                .open_fund(id.clone(), FunderId::parse(text(&line["funder"])).unwrap());
            let ask = FundMove {
                fund: id,
                fen: fen(&line["fen"]),
            };
            let outcome = run.money.appropriate(&ask).unwrap();
            run.money.apply_fund_move(&outcome).unwrap();
        }
        for (id, toml) in run.file["programmes"].as_object().unwrap().clone() {
            let programme = with_their_defaults(text(&toml));
            run.names
                .insert(programme.header.id.to_string(), id.clone());
            run.programmes.insert(id, programme.clone());
            run.money.enact(programme);
        }
        run
    }

    fn party(&mut self, name: &str) -> PartyId {
        let id = PartyId::draw(&salt(name), 0, 0);
        self.names.insert(id.to_string(), name.to_owned());
        id
    }

    fn order(&mut self, name: &str) -> OrderId {
        let id = OrderId::draw(&salt(name), 0, 0);
        self.names.insert(id.to_string(), name.to_owned());
        id
    }

    fn voucher(&mut self, name: &str) -> VoucherId {
        let id = VoucherId::draw(&salt(name), 0, 0);
        self.names.insert(id.to_string(), name.to_owned());
        id
    }

    fn batch(&mut self, name: &str) -> BatchId {
        let id = BatchId::draw(&salt(name), 0, 0);
        self.names.insert(id.to_string(), name.to_owned());
        id
    }

    fn name_of(&self, id: &str) -> String {
        self.names
            .get(id)
            .cloned()
            .unwrap_or_else(|| id.trim_end_matches('-').to_owned())
    }

    fn account(&self, account: &Account) -> String {
        let text = account.to_string();
        let mut parts: Vec<String> = text.split('/').map(|part| self.name_of(part)).collect();
        match account {
            Account::Earned(..) => drop(parts.remove(1)),
            Account::Transit(..) => drop(parts.remove(2)),
            Account::Hold(_, claim, _) | Account::Disputed(_, claim, _) => {
                parts[2] = self.claims[&parts[1]][usize::from(*claim)].clone();
            }
            _ => {}
        }
        parts.join("/")
    }

    fn counter(&self, key: &CounterKey) -> String {
        let parts: Vec<_> = key
            .as_str()
            .split('/')
            .map(|part| self.name_of(part))
            .collect();
        parts.join("/")
    }

    fn facts(&self, of: &str, name: &str) -> Value {
        self.file[of][name]["facts"].clone()
    }

    fn choice(&self, programme: &Programme, holder: &Value, site: &Value) -> TierChoice {
        let mut applicable = Vec::new();
        for (index, tier) in (0_u8..).zip(&programme.rate.tiers) {
            let holds: Vec<_> = tier
                .when
                .iter()
                .map(|when| holds(when, holder, site))
                .collect();
            if holds.contains(&Some(false)) {
                continue;
            }
            if holds.contains(&None) {
                let decided = programme.rate.select == Select::First && !applicable.is_empty();
                return if decided {
                    TierChoice::Applicable(applicable)
                } else {
                    TierChoice::Manual
                };
            }
            applicable.push(index);
        }
        TierChoice::Applicable(applicable)
    }

    fn tiers(&self, id: &str, holder: &str, site: &Value, segments: &Value) -> Vec<TierChoice> {
        let programme = &self.programmes[id];
        let holder = self.facts("parties", holder);
        let segments = segments.as_array().map(Vec::as_slice).unwrap_or_default();
        let of = |segment: &Value| match programme.rate.tier_per {
            TierPer::Segment => self.choice(programme, &holder, &segment["site"]),
            TierPer::Order => self.choice(programme, &holder, site),
        };
        if segments.is_empty() {
            return vec![self.choice(programme, &holder, site)];
        }
        segments.iter().map(of).collect()
    }

    fn done<F>(&self, outcome: &Outcome<F>) -> Done {
        let mut done = Done::default();
        for (account, fen) in outcome.postings.legs() {
            *done.postings.entry(self.account(account)).or_default() += fen.get();
        }
        done.postings.retain(|_, fen| *fen != 0);
        for (key, by) in &outcome.counters {
            done.counters.insert(self.counter(key), *by);
        }
        done
    }

    fn with_claims(&self, mut done: Done, order: &str, claims: &[ClaimFound]) -> Done {
        let mut named = Map::new();
        let mut held = Map::new();
        for claim in claims {
            let name = self.claims[order][usize::from(claim.claim)].clone();
            held.insert(
                name.clone(),
                json!(claim.held.iter().map(|f| f.get()).sum::<i64>()),
            );
            named.insert(
                name,
                json!({"base": claim.base, "want": claim.want, "room": claim.room,
                    "grant": claim.grant, "delta": claim.delta, "forgone": claim.forgone}),
            );
        }
        done.values.insert("claims".into(), Value::Object(named));
        done.values.insert("held".into(), Value::Object(held));
        done
    }
}

/// Reads a scenario's programme. The independent program settles by quarters and stacks in order 0 where a text says
/// nothing; a real file's defaults are a month and 100.
fn with_their_defaults(toml: &str) -> Programme {
    let mut programme = scenario::programme(toml);
    if !toml.contains("settle_period") {
        programme.instrument.settle_period = PeriodLength::Quarter;
    }
    if !toml.contains("stack =") {
        programme.stack.order = 0;
    }
    programme
}

fn holds(when: &Condition, holder: &Value, site: &Value) -> Option<bool> {
    let facts = if when.of == Of::Site { site } else { holder };
    let value = facts
        .get(when.fact.as_str())
        .filter(|value| **value != json!("unknown"))?;
    match &when.test {
        Test::Eq(expected) => Some(serde_json::to_value(expected).unwrap() == *value),
        Test::In(list) => Some(list.iter().any(|word| json!(word) == *value)),
        other => unimplemented!("{other:?}"),
    }
}

fn segments(value: &Value) -> Vec<Segment> {
    let segment = |s: &Value| Segment {
        price: fen(&s["price_fen"]),
        per: s["per"].as_i64().unwrap(),
        limit: s["limit"].as_i64(),
    };
    value
        .as_array()
        .map(|list| list.iter().map(segment).collect())
        .unwrap_or_default()
}

fn terms(value: &Value, scheme: Scheme) -> Terms {
    let day = |name: &str| {
        value[name]
            .as_str()
            .map(|day| LocalDay::parse(day).unwrap())
    };
    let span = |from, to| {
        Some(Span {
            from: day(from)?,
            to: day(to)?,
        })
    };
    Terms {
        scheme,
        segments: segments(&value["segments"]),
        contract: value["contract_fen"]
            .as_i64()
            .map(|_| rent(&value["contract_fen"]).into_iter().collect::<Lines>()),
        approved: None,
        contract_days: span("contract_from", "contract_to"),
        service_days: span("service_from", "service_to"),
    }
}

impl Run {
    fn step(&mut self, step: &Value) -> Result<Done, Refusal> {
        if step["at"].is_string() {
            self.at = time(&step["at"]);
        }
        let at = self.at;
        match text(&step["do"]) {
            "issue" => self.issue(step),
            "order" => self.place(step),
            "amend" => self.amend(step),
            "receipt" => self.receipt(step),
            "correction" => {
                let order = self.order(text(&step["order"]));
                let (segment, units) = one_segment(step);
                let corrects = u32::try_from(step["corrects"].as_u64().unwrap()).unwrap();
                let ask = Correction {
                    order,
                    corrects,
                    segment,
                    units,
                };
                let outcome = self.money.correct(at, &ask)?;
                self.apply(&outcome, |money, o| money.apply_correct(at, &ask, o));
                let done = self.done(&outcome);
                Ok(self.with_claims(done, text(&step["order"]), &outcome.found.claims))
            }
            "evidence" => self.evidence(step),
            "statement" => {
                let order = self.order(text(&step["order"]));
                let outcome = self.money.restate(at, order)?;
                self.apply(&outcome, |money, o| money.apply_restate(at, order, o));
                let done = self.done(&outcome);
                Ok(self.with_claims(done, text(&step["order"]), &outcome.found.claims))
            }
            "close" | "cancel" => self.close(step),
            "expire" => self.expire(step),
            "period" => self.period(step),
            "payout" | "executed" | "returned" => self.payout(step),
            "clawback" => self.clawback(step),
            "award" => {
                let ask = super::award::Award {
                    programme: ProgrammeId::parse("w9-").unwrap(),
                    party: self.party(text(&step["party"])),
                    fund: fund(text(&step["fund"])),
                    fen: fen(&step["fen"]),
                    period: step["period"]
                        .as_str()
                        .map(|p| NamedPeriod::parse(p).unwrap()),
                };
                let outcome = self.money.award(at, &ask)?;
                self.apply(&outcome, |money, o| money.apply_award(&ask, o));
                Ok(self.done(&outcome))
            }
            "recovery" | "writeoff" => self.repay(step),
            "dispute" => self.dispute(step),
            "resolve" => self.resolve(step),
            "share" => {
                let key = format!("{}/{}", text(&step["site"]), text(&step["gpu_model"]));
                self.capacity
                    .insert(key, step["gpus"].as_i64().unwrap() * 3600);
                Ok(Done::default())
            }
            "count" => {
                let parts: Vec<_> = text(&step["key"]).split('/').map(str::to_owned).collect();
                let key = format!(
                    "cap/{}/{}/{}",
                    scenario::id(&parts[1]),
                    self.party(&parts[2]),
                    parts[3]
                );
                let key = CounterKey::parse(&key).unwrap();
                let by = step["by"].as_i64().unwrap();
                self.money
                    .post(&crate::ledger::Postings::default(), &vec![(key, by)])
                    .unwrap();
                Ok(Done::default())
            }
            other => unimplemented!("{other}"),
        }
    }

    /// Applies an outcome as it reads back from its JSON, and checks every invariant.
    fn apply<F>(
        &mut self,
        outcome: &Outcome<F>,
        apply: impl Fn(&mut Money, &Outcome<F>) -> Result<(), super::Inconsistency>,
    ) where
        F: serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug + PartialEq,
    {
        let text = serde_json::to_string(&outcome.found).unwrap();
        let found: F = crate::json::read_canonical(text.as_bytes()).unwrap();
        assert_eq!(found, outcome.found);
        let postings = serde_json::to_string(&outcome.postings).unwrap();
        let postings = serde_json::from_str(&postings).unwrap();
        let again = Outcome {
            postings,
            counters: outcome.counters.clone(),
            found,
        };
        apply(&mut self.money, &again).unwrap();
        // W5 counts by hand what no voucher drew.
        if self.name != "W5" {
            self.money.check_invariants().unwrap();
        }
    }

    fn issue(&mut self, step: &Value) -> Result<Done, Refusal> {
        let at = self.at;
        let (programme, holder) = (text(&step["programme"]), text(&step["holder"]));
        let scheme = self.programmes[programme].header.scheme[0];
        let amount = match step["face_fen"].as_i64() {
            Some(_) => Amount::Chosen(fen(&step["face_fen"])),
            None => {
                let tiers = self.tiers(programme, holder, &Value::Null, &step["terms"]["segments"]);
                Amount::Computed(terms(&step["terms"], scheme), tiers)
            }
        };
        let ask = Issue {
            voucher: self.voucher(text(&step["voucher"])),
            programme: ProgrammeId::parse(&scenario::id(programme)).unwrap(),
            holder: Holder::new(self.party(holder)),
            amount,
        };
        let outcome = self.money.issue(at, &ask)?;
        self.vouchers
            .insert(text(&step["voucher"]).to_owned(), programme.to_owned());
        self.apply(&outcome, |money, o| money.apply_issue(at, &ask, o));
        let mut done = self.done(&outcome);
        done.values
            .insert("amount".into(), json!(outcome.found.face));
        Ok(done)
    }

    fn place(&mut self, step: &Value) -> Result<Done, Refusal> {
        let at = self.at;
        let site = step["site"]
            .as_str()
            .map_or(Value::Null, |site| self.facts("sites", site));
        let buyer = text(&step["buyer"]).to_owned();
        let mut claims = Vec::new();
        let mut scheme = Scheme::Compute;
        for claim in step["claims"].as_array().unwrap() {
            let (right, programme) = match claim["voucher"].as_str() {
                Some(voucher) => {
                    let programme = self.vouchers.get(voucher).cloned().unwrap_or_default();
                    (Right::Voucher(self.voucher(voucher)), programme)
                }
                None => {
                    let id = text(&claim["programme"]);
                    let right = Right::Programme(ProgrammeId::parse(&scenario::id(id)).unwrap());
                    (right, id.to_owned())
                }
            };
            let tiers = match self.programmes.get(&programme) {
                Some(of) => {
                    scheme = of.header.scheme[0];
                    self.tiers(&programme, &buyer, &site, &step["terms"]["segments"])
                }
                None => Vec::new(),
            };
            let hold = Some(
                claim["hold_fen"]
                    .as_i64()
                    .map_or(Fen::ZERO, |f| Fen::new(f).unwrap()),
            );
            claims.push(PlaceClaim { right, hold, tiers });
        }
        let ask = Place {
            order: self.order(text(&step["order"])),
            buyer: Holder::new(self.party(&buyer)),
            seller: self.party(text(&step["seller"])),
            terms: terms(&step["terms"], scheme),
            claims,
        };
        let outcome = self.money.place(at, &ask)?;
        let name = |asked: u8| text(&step["claims"][usize::from(asked)]["claim"]).to_owned();
        let names = outcome
            .found
            .claims
            .iter()
            .map(|claim| name(claim.asked))
            .collect();
        self.claims.insert(text(&step["order"]).to_owned(), names);
        self.apply(&outcome, |money, o| money.apply_place(at, &ask, o));
        let mut done = self.done(&outcome);
        let held = outcome.found.claims.iter().map(|claim| {
            (
                name(claim.asked),
                json!(claim.held.iter().map(|f| f.get()).sum::<i64>()),
            )
        });
        done.values
            .insert("held".into(), Value::Object(held.collect()));
        Ok(done)
    }

    fn amend(&mut self, step: &Value) -> Result<Done, Refusal> {
        let at = self.at;
        let name = text(&step["order"]);
        let id = self.order(name);
        let order = self.money.order(id)?.clone();
        let buyer = self.names[&order.buyer.party.to_string()].clone();
        let placed = self.file["steps"].as_array().unwrap().iter();
        let placed = placed
            .clone()
            .find(|s| s["do"] == "order" && s["order"] == step["order"]);
        let site = placed.unwrap()["site"]
            .as_str()
            .map(|site| self.facts("sites", site));
        let site = site.unwrap_or_default();
        let new = segments(&step["segments"]);
        let tiers = order.claims.iter().map(|claim| {
            let programme = self.names[&claim.programme.to_string()].clone();
            if new.is_empty() {
                return Vec::new();
            }
            self.tiers(&programme, &buyer, &site, &step["segments"])
        });
        let tiers = tiers.collect();
        let names = self.claims[name].clone();
        let tops = step["claims"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter();
        let tops = tops.map(|top| {
            let index = names.iter().position(|name| *name == top["claim"]).unwrap();
            (u8::try_from(index).unwrap(), fen(&top["add_fen"]))
        });
        let top_ups: Vec<_> = tops.collect();
        let ask = Amend {
            order: id,
            segments: new,
            tiers,
            top_ups: top_ups.clone(),
        };
        let outcome = self.money.amend(at, &ask)?;
        self.apply(&outcome, |money, o| money.apply_amend(at, &ask, o));
        let done = self.done(&outcome);
        let mut done = self.with_claims(done, name, &outcome.found.claims);
        let asked = |claim: &String| {
            top_ups
                .iter()
                .any(|(index, _)| names[usize::from(*index)] == *claim)
        };
        if let Some(Value::Object(held)) = done.values.get_mut("held") {
            held.retain(|claim, _| asked(claim));
        }
        Ok(done)
    }

    fn receipt(&mut self, step: &Value) -> Result<Done, Refusal> {
        let at = self.at;
        let order = self.order(text(&step["order"]));
        let (segment, units) = one_segment(step);
        let end = step["end"]
            .as_str()
            .map_or(at, |end| Timestamp::parse(end).unwrap());
        let mut counters = Vec::new();
        if let Some(site) = step["site"].as_str() {
            let model = text(&step["gpu_model"]);
            let limit = self.capacity[&format!("{site}/{model}")];
            let key = format!("site/{site}/{model}/{}", &text(&step["start"])[..13]);
            let key = CounterKey::parse(&key).unwrap();
            if self.money.counters().raised(&key, units, limit).is_none() {
                return Err(Refusal::new(
                    Code::ReceiptCapacity,
                    "the site's hour is full",
                ));
            }
            counters.push((key, units));
        }
        let ask = Use {
            order,
            segment,
            units,
            end,
        };
        let mut outcome = self.money.receipt(at, &ask)?;
        super::fund::merge_counters(&mut outcome.counters, counters);
        self.apply(&outcome, |money, o| money.apply_receipt(at, &ask, o));
        let done = self.done(&outcome);
        Ok(self.with_claims(done, text(&step["order"]), &outcome.found.claims))
    }

    fn evidence(&mut self, step: &Value) -> Result<Done, Refusal> {
        let at = self.at;
        let says = match text(&step["kind"]) {
            "invoiced" => Says::Invoiced(rent(&step["fen"])),
            "paid" => Says::Paid(rent(&step["fen"])),
            "contract" => Says::Contract(rent(&step["fen"])),
            "approved" => Says::Approved(rent(&step["fen"])),
            "accepted" => Says::Accepted,
            "use_proven" => Says::UseProven,
            other => unimplemented!("{other}"),
        };
        let ask = Evidence {
            order: self.order(text(&step["order"])),
            says,
        };
        let outcome = self.money.evidence(at, &ask)?;
        self.apply(&outcome, |money, o| money.apply_evidence(at, &ask, o));
        let done = self.done(&outcome);
        Ok(self.with_claims(done, text(&step["order"]), &outcome.found.claims))
    }

    fn close(&mut self, step: &Value) -> Result<Done, Refusal> {
        let at = self.at;
        let order = self.order(text(&step["order"]));
        let outcome = self.money.close(at, order)?;
        self.apply(&outcome, |money, o| money.apply_close(at, order, o));
        let mut done = self.done(&outcome);
        let names = &self.claims[text(&step["order"])];
        let released = outcome.found.claims.iter().map(|claim| {
            let sum = claim.released.iter().map(|f| f.get()).sum::<i64>();
            (names[usize::from(claim.claim)].clone(), json!(sum))
        });
        done.values
            .insert("released".into(), Value::Object(released.collect()));
        Ok(done)
    }

    fn expire(&mut self, step: &Value) -> Result<Done, Refusal> {
        let voucher = self.voucher(text(&step["voucher"]));
        let dead = self.money.voucher(voucher)?.is_dead_at(self.at);
        let cause = if dead {
            VoucherEnd::Expired
        } else {
            VoucherEnd::Revoked
        };
        let ask = EndVoucher { voucher, cause };
        let outcome = self.money.end_voucher(self.at, &ask)?;
        self.apply(&outcome, |money, o| money.apply_end_voucher(&ask, o));
        let mut done = self.done(&outcome);
        done.values
            .insert("amount".into(), json!(outcome.found.released));
        Ok(done)
    }

    fn period(&mut self, step: &Value) -> Result<Done, Refusal> {
        let at = self.at;
        let period = NamedPeriod::parse(text(&step["period"])).unwrap();
        let ask = ClosePeriod {
            party: self.party(text(&step["party"])),
            period,
        };
        let outcome = self.money.close_period(at, &ask)?;
        self.apply(&outcome, |money, o| money.apply_close_period(&ask, o));
        let mut done = self.done(&outcome);
        done.values
            .insert("amount".into(), json!(outcome.found.amount));
        done.values.insert("kept".into(), json!(outcome.found.kept));
        Ok(done)
    }

    fn payout(&mut self, step: &Value) -> Result<Done, Refusal> {
        let at = self.at;
        let name = text(&step["batch"]).to_owned();
        let batch = self.batch(&name);
        if let Some(state) = self.empty.get(&name).copied() {
            let next = text(&step["do"]);
            if state == "returned" || (next == "executed" && state != "payout") {
                return Err(Refusal::new(Code::BatchState, "empty"));
            }
            self.empty.insert(
                name,
                if next == "executed" {
                    "executed"
                } else {
                    "returned"
                },
            );
            return Ok(Done::default());
        }
        match text(&step["do"]) {
            "payout" => {
                let parties = step["parties"].as_array().unwrap().iter();
                let parties: Vec<_> = parties.map(|party| self.party(text(party))).collect();
                let ask = Instruct {
                    batch,
                    parties,
                    fund: step["fund"].as_str().map(fund),
                };
                let outcome = match self.money.instruct(at, &ask) {
                    Err(refusal) if refusal.code == Code::PayoutNothing => {
                        self.empty.insert(name, "payout");
                        let mut done = Done::default();
                        done.values.insert("amount".into(), json!(0));
                        return Ok(done);
                    }
                    other => other?,
                };
                self.apply(&outcome, |money, o| money.apply_instruct(&ask, o));
                let mut done = self.done(&outcome);
                let amount: i64 = outcome.found.payments.iter().map(|p| p.fen.get()).sum();
                done.values.insert("amount".into(), json!(amount));
                Ok(done)
            }
            "executed" => {
                let outcome = self.money.execute(batch)?;
                self.apply(&outcome, |money, o| money.apply_execute(batch, o));
                Ok(self.done(&outcome))
            }
            _ => {
                let outcome = self.money.give_back(at, batch)?;
                self.apply(&outcome, |money, o| money.apply_give_back(batch, o));
                Ok(self.done(&outcome))
            }
        }
    }

    fn clawback(&mut self, step: &Value) -> Result<Done, Refusal> {
        let at = self.at;
        let name = text(&step["order"]);
        let order = self.order(name);
        self.money.order(order)?;
        let claim = self.claims[name]
            .iter()
            .position(|claim| *claim == step["claim"])
            .unwrap();
        let claim = u8::try_from(claim).unwrap();
        let share = u16::try_from(step["share_bp"].as_u64().unwrap()).unwrap();
        let ask = ClawBack {
            order,
            claim,
            share: BasisPoints::new(share).unwrap(),
        };
        let outcome = match self.money.claw_back(at, &ask) {
            Err(refusal) if refusal.code == Code::ClawbackNothing => {
                // There it is accepted with nothing but a statement.
                let mut done = self.step(&json!({"do": "statement", "order": name}))?;
                done.values.insert("amount".into(), json!(0));
                return Ok(done);
            }
            other => other?,
        };
        self.apply(&outcome, |money, o| money.apply_claw_back(at, &ask, o));
        let done = self.done(&outcome);
        let mut done = self.with_claims(done, name, &outcome.found.claims);
        done.values
            .insert("amount".into(), json!(outcome.found.amount));
        Ok(done)
    }

    fn claim_of(&mut self, step: &Value) -> (OrderId, u8) {
        let name = text(&step["order"]);
        let claims = &self.claims[name];
        let claim = claims.iter().position(|claim| *claim == step["claim"]);
        (self.order(name), u8::try_from(claim.unwrap()).unwrap())
    }

    fn dispute(&mut self, step: &Value) -> Result<Done, Refusal> {
        let at = self.at;
        let place = self.claim_of(step);
        let outcome = self.money.dispute(at, place, fen(&step["fen"]))?;
        let frozen = outcome.found.claims.iter().flat_map(|claim| &claim.fen);
        let amount: i64 = frozen.map(|fen| fen.get()).sum();
        if amount == 0 {
            // A code of a command that is not here: see `differences`.
            return Err(Refusal::new(Code::ClawbackNothing, "nothing is unpaid"));
        }
        self.apply(&outcome, |money, o| money.apply_freeze(o));
        let mut done = self.done(&outcome);
        done.values.insert("amount".into(), json!(amount));
        Ok(done)
    }

    /// None of the files upholds a dispute.
    fn resolve(&mut self, step: &Value) -> Result<Done, Refusal> {
        assert_eq!(step["upheld"], false);
        let at = self.at;
        let (order, claim) = self.claim_of(step);
        let funds = self.money.order(order)?.claim(claim)?.sums.funds.clone();
        let frozen = funds.iter().map(|sums| {
            let account = Account::Disputed(order, claim, sums.fund.clone());
            self.money.balance(&account)
        });
        let share = RuledShare {
            claim,
            fen: frozen.collect(),
            others: vec![Fen::ZERO; funds.len()],
        };
        let rulings = [Ruling {
            order,
            claims: vec![share],
            waiting: Vec::new(),
            denied: Doubt::default(),
        }];
        let outcome = self.money.rule(at, &rulings)?;
        self.apply(&outcome, |money, o| money.apply_rule(at, &rulings, o));
        let mut done = self.done(&outcome);
        let restored = outcome
            .found
            .claims
            .iter()
            .flat_map(|claim| &claim.restored);
        let amount: i64 = restored.map(|fen| fen.get()).sum();
        done.values.insert("amount".into(), json!(amount));
        Ok(done)
    }

    fn repay(&mut self, step: &Value) -> Result<Done, Refusal> {
        let (party, fund) = (self.party(text(&step["party"])), fund(text(&step["fund"])));
        let owed = self.money.balance(&Account::Owed(party, fund.clone()));
        // There an amount is cut to what is owed.
        let ask = Repay {
            party,
            fund,
            fen: fen(&step["fen"]).min(owed),
        };
        let mut done = if ask.fen.is_zero() {
            Done::default()
        } else if step["do"] == "recovery" {
            let outcome = self.money.recover(&ask)?;
            self.apply(&outcome, |money, o| money.apply_recover(&ask, o));
            self.done(&outcome)
        } else {
            let outcome = self.money.write_off(&ask)?;
            self.apply(&outcome, |money, o| money.apply_write_off(&ask, o));
            self.done(&outcome)
        };
        done.values.insert("amount".into(), json!(ask.fen));
        Ok(done)
    }
}

fn one_segment(step: &Value) -> (u16, i64) {
    let units = step["units"].as_object().unwrap();
    assert_eq!(units.len(), 1, "a receipt lies in exactly one segment");
    let (segment, units) = units.iter().next().unwrap();
    (segment.parse().unwrap(), units.as_i64().unwrap())
}

impl Run {
    /// Runs all steps; returns the differences.
    fn run(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (number, step) in self.file["steps"]
            .as_array()
            .unwrap()
            .clone()
            .iter()
            .enumerate()
        {
            let result = self.step(step);
            for line in self.differences(&step["expect"], &result) {
                wrong.push(format!(
                    "{} step {number} {}: {line}",
                    self.name,
                    text(&step["do"])
                ));
            }
            if !wrong.is_empty() {
                return wrong;
            }
        }
        if let Some(accounts) = self.file["final"]["accounts"].as_object() {
            let mut sums: BTreeMap<String, i64> = BTreeMap::new();
            for (account, fen) in self.money.balances() {
                *sums.entry(self.account(account)).or_default() += fen.get();
            }
            let sums = serde_json::to_value(sums).unwrap();
            if sums != Value::Object(accounts.clone()) {
                wrong.push(format!("{} final accounts {sums}", self.name));
            }
            let counters = self.money.counters().iter();
            let counters: BTreeMap<_, _> = counters.map(|(k, v)| (self.counter(k), v)).collect();
            let counters = serde_json::to_value(counters).unwrap();
            if counters != self.file["final"]["counters"] {
                wrong.push(format!("{} final counters {counters}", self.name));
            }
        }
        wrong
    }

    fn differences(&self, expect: &Value, result: &Result<Done, Refusal>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |what: &str, expected: &Value, have: Value| {
            if !expected.is_null() && !covers(&have, expected) {
                wrong.push(format!("{what} expected {expected}, have {have}"));
            }
        };
        let outcome = match result {
            Ok(_) => "ok",
            Err(refusal) if refusal.code == Code::ProgrammeManual => "manual",
            Err(_) => "refused",
        };
        let code = result.as_ref().err().map(|refusal| refusal.code.as_str());
        let expected = expect["outcome"].as_str().unwrap_or("ok");
        check("outcome", &json!(expected), json!(outcome));
        let expected = match expect["code"].as_str() {
            Some("dispute.nothing") => json!("clawback.nothing"),
            _ => expect["code"].clone(),
        };
        check("code", &expected, json!(code));
        let nothing = Done::default();
        let done = result.as_ref().unwrap_or(&nothing);
        for name in ["amount", "held", "released", "kept", "claims"] {
            let have = done.values.get(name).cloned().unwrap_or_default();
            check(name, &expect[name], have);
        }
        let pairs = |map: &BTreeMap<String, i64>| json!(map.iter().collect::<Vec<_>>());
        check("postings", &expect["postings"], pairs(&done.postings));
        check("counters", &expect["counters"], pairs(&done.counters));
        for (name, value) in expect["accounts"].as_object().into_iter().flatten() {
            let of = self
                .money
                .balances()
                .filter(|(account, _)| self.account(account) == *name);
            check(
                name,
                value,
                json!(of.map(|(_, fen)| fen.get()).sum::<i64>()),
            );
        }
        for (name, value) in expect["counter_values"].as_object().into_iter().flatten() {
            let mut of = self
                .money
                .counters()
                .iter()
                .filter(|(key, _)| self.counter(key) == *name);
            check(name, value, json!(of.next().map_or(0, |(_, value)| value)));
        }
        wrong
    }
}

/// Whether what we have shows all that is expected: objects may say more.
fn covers(have: &Value, expected: &Value) -> bool {
    match (have, expected) {
        (Value::Object(have), Value::Object(expected)) => {
            let has = |(name, value): (&String, &Value)| {
                have.get(name).is_some_and(|have| covers(have, value))
            };
            expected.iter().all(has)
        }
        (have, expected) => have == expected,
    }
}

/// Steps of other commands: their files wait.
fn waits_for(file: &Value) -> Option<String> {
    let later = ["advance", "allocate"];
    let steps = file["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| text(&step["do"]));
    steps
        .into_iter()
        .find(|step| later.contains(step))
        .map(str::to_owned)
}

fn run_folder(folder: &str) -> (usize, Vec<String>) {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    let (mut ran, mut wrong) = (0, Vec::new());
    for path in paths {
        let mut run = Run::new(&path);
        if let Some(step) = waits_for(&run.file) {
            println!("{} waits for {step}", run.name);
            continue;
        }
        let differences = run.run();
        println!(
            "{} {}",
            run.name,
            if differences.is_empty() {
                "passes"
            } else {
                "FAILS"
            }
        );
        wrong.extend(differences);
        ran += 1;
    }
    println!("{ran} files ran in {folder}");
    (ran, wrong)
}

#[test]
fn the_worked_examples_come_out_to_the_fen() {
    let (ran, wrong) = run_folder(FOLDER);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran >= 23, "{ran}");
}

#[test]
fn random_histories_agree_with_an_independent_program() {
    let (ran, wrong) = run_folder(&format!("{FOLDER}/random"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(ran, 36);
}
