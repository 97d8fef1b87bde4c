//! `[[require]]`, `[related]`, `[providers]`: conditions on facts.

use std::cell::RefCell;

use crate::fact::{FactName, FactValue, SubjectKind, ValueKind};
use crate::programme::reader::{Notes, Positive, RuleId, Table};
use crate::programme::schema::*;
use crate::refusal::Refusal;

pub(super) fn requirement(mut table: Table<'_>) -> Result<Requirement, Refusal> {
    let id = table.must::<RuleId>("id")?.0;
    let unknown = table.or("unknown", OnUnknown::Manual)?;
    let waive = table.opt("waive")?;
    let any = if table.has("any") {
        table
            .tables("any")?
            .into_iter()
            .map(|t| condition(t, None))
            .collect::<Result<Vec<_>, _>>()?
    } else {
        vec![condition_in(&mut table, None)?]
    };
    if any.is_empty() {
        return Err(table.fault("any", "is empty"));
    }
    table.finish()?;
    Ok(Requirement {
        id,
        any,
        unknown,
        waive,
    })
}

/// Reads `of` and `fact` and checks that the fact is about such a subject.
pub(super) fn fact_of(table: &mut Table<'_>, fixed: Option<Of>) -> Result<(Of, FactName), Refusal> {
    let of = match fixed {
        Some(of) => of,
        None => table.must("of")?,
    };
    let fact: FactName = table.must("fact")?;
    let subject = match of {
        Of::Holder | Of::Seller => SubjectKind::Party,
        Of::Site => SubjectKind::Site,
        Of::Dataset => SubjectKind::Dataset,
        Of::Contract => SubjectKind::Contract,
        Of::Order => SubjectKind::Order,
    };
    if fact.subject() != subject {
        return Err(table.fault(
            "fact",
            format!(
                "{fact} is a fact of a {}, not of {of}",
                fact.subject().as_str()
            ),
        ));
    }
    Ok((of, fact))
}

pub(super) fn condition(mut table: Table<'_>, fixed: Option<Of>) -> Result<Condition, Refusal> {
    let condition = condition_in(&mut table, fixed)?;
    table.finish()?;
    Ok(condition)
}

pub(super) fn condition_in(table: &mut Table<'_>, fixed: Option<Of>) -> Result<Condition, Refusal> {
    let (of, fact) = fact_of(table, fixed)?;
    let op: String = table.must("op")?;
    let test = test(table, &op, fact)?;
    Ok(Condition { of, fact, test })
}

fn test(table: &mut Table<'_>, op: &str, fact: FactName) -> Result<Test, Refusal> {
    let kind = fact.kind();
    let test = match op {
        "eq" => Test::Eq(value_of(table, fact)?),
        "ne" => Test::Ne(value_of(table, fact)?),
        "in" | "not_in" if matches!(kind, ValueKind::Word | ValueKind::Region) => {
            let list = words_of(table)?;
            for word in &list {
                fact.check(&FactValue::Str(word.clone()))
                    .map_err(|r| table.fault("value", r.sentence))?;
            }
            if op == "in" {
                Test::In(list)
            } else {
                Test::NotIn(list)
            }
        }
        "gte" if kind == ValueKind::Int => Test::Gte(table.must("value")?),
        "lte" if kind == ValueKind::Int => Test::Lte(table.must("value")?),
        "gt" if kind == ValueKind::Int => Test::Gt(table.must("value")?),
        "lt" if kind == ValueKind::Int => Test::Lt(table.must("value")?),
        "exists" => Test::Exists,
        "absent" => {
            let within_days = table.opt::<Positive>("within_days")?.map(|n| n.0);
            if within_days.is_some() && kind != ValueKind::Record {
                return Err(
                    table.fault("within_days", format!("{fact} has no day to look back to"))
                );
            }
            Test::Absent { within_days }
        }
        "within_days" if kind == ValueKind::Record => {
            Test::WithinDays(table.must::<Positive>("value")?.0)
        }
        "includes" if kind == ValueKind::Words => Test::Includes(words_of(table)?),
        "excludes_all" if kind == ValueKind::Words => Test::ExcludesAll(words_of(table)?),
        "different_from" => Test::DifferentFrom(table.must("value")?),
        "in" | "not_in" | "gte" | "lte" | "gt" | "lt" | "within_days" | "includes"
        | "excludes_all" => {
            return Err(table.fault("op", format!("{op} does not fit the type of {fact}")));
        }
        _ => {
            return Err(table.fault(
                "op",
                "expected one of eq, ne, in, not_in, gte, lte, gt, lt, exists, absent, within_days, includes, \
                 excludes_all, different_from",
            ));
        }
    };
    Ok(test)
}

fn words_of(table: &mut Table<'_>) -> Result<Vec<String>, Refusal> {
    let list: Vec<String> = table.list("value")?;
    if list.is_empty() {
        return Err(table.fault("value", "expected a list of words"));
    }
    Ok(list)
}

fn value_of(table: &mut Table<'_>, fact: FactName) -> Result<FactValue, Refusal> {
    let value = match table.value("value") {
        Some(toml::Value::Boolean(value)) => FactValue::Bool(*value),
        Some(toml::Value::Integer(value)) => FactValue::Int(*value),
        Some(toml::Value::String(value)) => FactValue::Str(value.clone()),
        Some(
            toml::Value::Float(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_),
        )
        | None => {
            return Err(table.fault("value", "expected a word, a whole number, true or false"));
        }
    };
    fact.check(&value)
        .map_err(|refusal| table.fault("value", refusal.sentence))?;
    Ok(value)
}

pub(super) fn related(mut table: Table<'_>) -> Result<Related, Refusal> {
    let deny = if table.has("deny") {
        table.list("deny")?
    } else {
        vec![
            Relation::SameParty,
            Relation::SameGroup,
            Relation::Controller,
        ]
    };
    let related = Related {
        deny,
        unknown: table.or("unknown", OnUnknown::Manual)?,
    };
    table.finish()?;
    Ok(related)
}

pub(super) fn providers(file: &mut Table<'_>) -> Result<Providers, Refusal> {
    let nothing = toml::Table::new();
    let unheard = RefCell::new(Notes::default());
    let mut table = match file.table("providers")? {
        Some(table) => table,
        None => Table::new("providers".into(), &nothing, &unheard),
    };
    let providers = Providers {
        list: table.opt("list")?,
        list_year_of: table.or("list_year_of", ListYearOf::Order)?,
        require: table
            .tables("require")?
            .into_iter()
            .map(threshold)
            .collect::<Result<_, _>>()?,
        site_in: table.list("site_in")?,
        chip: match table.table("chip")? {
            None => ChipRule::Any,
            Some(mut chip) => {
                let rule = chip.or("domestic", ChipRule::Any)?;
                chip.finish()?;
                rule
            }
        },
        venue: table.or("venue", Venue::Any)?,
    };
    table.finish()?;
    Ok(providers)
}

fn threshold(mut table: Table<'_>) -> Result<Threshold, Refusal> {
    let mut any = vec![condition_in(&mut table, Some(Of::Site))?];
    if let Some(other) = table.table("any_with")? {
        any.push(condition(other, Some(Of::Site))?);
    }
    table.finish()?;
    Ok(Threshold { any })
}
