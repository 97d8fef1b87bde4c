//! The minimal programme texts of the scenarios as whole files.
//!
//! They leave out what a real file owes, and what the independent program takes where nothing is said differs from a real
//! file's defaults: it settles by quarters, stacks in order 0, and lets programmes meet freely.

use serde_json::Value as Json;
use toml::{Table, Value, toml};
use verifier::time::LocalDay;

/// Fills an id of a scenario up to the three characters of a chosen id.
pub(super) fn id(short: &str) -> String {
    format!("{short:-<3}")
}

/// A programme of a scenario, with what its orders need to know of it.
pub(super) struct Text {
    pub(super) toml: String,
    pub(super) is_data: bool,
    /// Whether tiers are chosen by the site of each segment.
    pub(super) by_segment: bool,
    /// Whether the text itself says which days of service count.
    pub(super) own_window: bool,
}

/// Makes a whole file. Where vouchers have a face of the holder's choice, the text has to say so.
pub(super) fn whole(text: &str, chosen_face: bool, service_from: LocalDay) -> Text {
    let mut table: Table = text.parse().unwrap();
    pad(&mut table);
    for fund in table["fund"].as_array_mut().unwrap() {
        pad(fund.as_table_mut().unwrap());
    }
    header(&mut table);
    instrument(&mut table, chosen_face);
    let base = child(&mut table, "base");
    base.entry("of").or_insert_with(|| vec!["metered"].into());
    let prorated = base.contains_key("period_proration");
    if !table.contains_key("stack") {
        let stack = child(&mut table, "stack");
        stack.insert("mode".into(), "free".into());
        stack.insert("order".into(), 0.into());
    }
    let window = child(&mut table, "window");
    let own_window = window.contains_key("service");
    if prorated && !own_window {
        let from: toml::value::Datetime = service_from.to_string().parse().unwrap();
        let service = Table::from_iter([("from".to_owned(), Value::Datetime(from))]);
        window.insert("service".into(), Value::Table(service));
    }
    Text {
        own_window,
        is_data: table["scheme"].as_str() == Some("data"),
        by_segment: table["rate"].get("tier_per").and_then(Value::as_str) == Some("segment"),
        toml: toml::to_string(&table).unwrap(),
    }
}

fn header(table: &mut Table) {
    let owed = toml! {
        schema = 1
        engine = 1
        name = { zh = "算例", en = "A scenario", it = "Uno scenario" }
        status = "template"
        issuer = "none: a scenario"
        region = "100000"
        tier = "city"
        legal = [{ title = "A scenario", number = "unknown", date = "unknown", source = "scenarios", grade = "C" }]
    };
    table.extend(owed);
}

fn instrument(table: &mut Table, chosen_face: bool) {
    let instrument = child(table, "instrument");
    let buyer = instrument.get("payee").and_then(Value::as_str) == Some("buyer");
    let mode = if buyer { "reimburse" } else { "deduct" };
    instrument.entry("mode").or_insert_with(|| mode.into());
    let quarter = || "quarter".into();
    instrument.entry("settle_period").or_insert_with(quarter);
    if chosen_face {
        instrument.insert("face".into(), "chosen".into());
    }
}

fn child<'a>(table: &'a mut Table, name: &str) -> &'a mut Table {
    let entry = table.entry(name);
    let child = entry.or_insert_with(|| Value::Table(Table::new()));
    child.as_table_mut().unwrap()
}

fn pad(table: &mut Table) {
    let padded = id(table["id"].as_str().unwrap());
    table.insert("id".into(), padded.into());
}

/// A programme that pays all use of GPU time out of one fund when it is ordered.
pub(super) fn beside(fund: &str, funder: &str) -> String {
    format!(
        r#"
        id = "beside-{fund}"
        scheme = "compute"
        fund = [{{ id = "{fund}", funder = "{funder}" }}]
        instrument = {{ commit_at = "order", settle_period = "month" }}
        rate = {{ select = "first", tier = [{{ id = "all", bp = 10000 }}] }}
        "#
    )
}

/// The days of a contract for an order whose file tells the contract's days and those of service apart.
///
/// Here service is what the programme's window leaves of the contract. A window from a day before all use, and a contract
/// that begins as many days before it as the file's contract has beside its service, leave the same part of the days.
pub(super) fn contract_days(terms: &Json, service_from: LocalDay) -> (LocalDay, LocalDay) {
    let day = |name: &str| {
        let text = terms[name].as_str();
        text.map(|text| LocalDay::parse(text).unwrap())
    };
    let named = |from, to| Some((day(from)?, day(to)?));
    let apart = |(from, to): (LocalDay, LocalDay)| to.number() - from.number();
    let contract = named("contract_from", "contract_to");
    let contract = contract.unwrap_or((service_from, service_from.plus_days(364)));
    let Some(service) = named("service_from", "service_to") else {
        return contract;
    };
    let beside = apart(contract) - apart(service);
    (
        service_from.plus_days(-beside),
        service_from.plus_days(apart(service)),
    )
}
