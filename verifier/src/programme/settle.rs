//! What the office sets for what a text leaves open (PROGRAMMES §1, loader rules).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::Value;

use super::reader::{invalid, is_unknown, join};
use crate::id::DocumentDigest;
use crate::refusal::Refusal;

/// A plain JSON value: what a settlement sets, and what a trace line holds. Members are sorted: one spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a boolean, an integer, a text, a list or an object"
)]
pub enum Plain {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Plain>),
    /// An object.
    Object(BTreeMap<String, Plain>),
}

/// One open path, the value that the office gives it, and the document that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// Where: keys joined by `.`, an element of a list by its `id` or place: `cap.year.per`.
    pub path: String,
    /// What: a date is a text `YYYY-MM-DD`.
    pub value: Plain,
    /// On what ground.
    pub basis: DocumentDigest,
}

/// Writes one settlement into the file's table.
/// # Errors
/// `programme.invalid` where the text gives a value, or the path leads nowhere.
pub(super) fn apply(table: &mut toml::Table, settlement: &Settlement) -> Result<(), Refusal> {
    let path = settlement.path.as_str();
    let nowhere = || {
        invalid(
            path,
            "leads nowhere; settle the table that is missing as a whole",
        )
    };
    let (parents, key) = path
        .rsplit_once('.')
        .map_or((None, path), |(parents, key)| (Some(parents), key));
    let mut place = table;
    let mut steps = parents.into_iter().flat_map(|parents| parents.split('.'));
    while let Some(step) = steps.next() {
        place = match place.get_mut(step) {
            Some(Value::Table(inner)) => inner,
            Some(Value::Array(items)) => {
                let wanted = steps.next().ok_or_else(nowhere)?;
                element(items, wanted).ok_or_else(nowhere)?
            }
            _ => return Err(nowhere()),
        };
    }
    match place.get(key) {
        None => {}
        Some(Value::Array(items)) if items.is_empty() || items.iter().any(is_unknown) => {}
        Some(value) if is_unknown(value) => {}
        Some(_) => {
            return Err(invalid(
                path,
                "the text gives a value; only what it leaves open can be settled",
            ));
        }
    }
    place.insert(key.to_owned(), to_toml(&settlement.value));
    Ok(())
}

fn element<'a>(items: &'a mut [Value], wanted: &str) -> Option<&'a mut toml::Table> {
    let named = |item: &Value| item.get("id").and_then(Value::as_str) == Some(wanted);
    let place = items.iter().position(named).or_else(|| {
        let place = wanted.parse::<usize>().ok()?;
        items.get(place)?.get("id").is_none().then_some(place)
    })?;
    items.get_mut(place)?.as_table_mut()
}

fn to_toml(value: &Plain) -> Value {
    match value {
        Plain::Bool(value) => Value::Boolean(*value),
        Plain::Int(value) => Value::Integer(*value),
        Plain::Text(text) => match text.parse::<toml::value::Datetime>() {
            Ok(moment) => Value::Datetime(moment),
            Err(_) => Value::String(text.clone()),
        },
        Plain::List(items) => Value::Array(items.iter().map(to_toml).collect()),
        Plain::Object(members) => Value::Table(
            members
                .iter()
                .map(|(name, value)| (name.clone(), to_toml(value)))
                .collect(),
        ),
    }
}

/// Lists every leaf of a value with its path, as the settlement of that path would name it.
pub(super) fn flatten(path: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                flatten(&join(path, key), value, rows);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            for (place, item) in items.iter().enumerate() {
                let id = item.get("id").and_then(Value::as_str);
                flatten(&join(path, id.unwrap_or(&place.to_string())), item, rows);
            }
        }
        Value::String(text) => rows.push((path.to_owned(), text.clone())),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_) => {
            rows.push((path.to_owned(), value.to_string()));
        }
    }
}
