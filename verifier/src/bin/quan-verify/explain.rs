//! One entry in words: who asked what, what each rule made of it, which money moved (DESIGN §2.6, §8).

use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value};

use crate::folder::Folder;
use crate::{Answer, NotChecked, print};
use verifier::id::{OrderId, VoucherId};

/// Texts longer than this are shortened: a receipt's JWS is for programs.
const TEXT_MAX: usize = 96;

/// Which entries to tell.
enum Subject {
    Number(u64),
    Id(String),
}

impl Subject {
    fn parse(text: &str) -> Result<Self, NotChecked> {
        let is_id = VoucherId::parse(text).is_ok() || OrderId::parse(text).is_ok();
        match text.parse() {
            Ok(seq) => Ok(Self::Number(seq)),
            Err(_) if is_id => Ok(Self::Id(text.to_owned())),
            Err(_) => Err(NotChecked(format!(
                "{text} is neither an entry's number nor the id of a voucher (vch-…) or an order (ord-…)"
            ))),
        }
    }

    fn is_told_by(&self, seq: u64, bytes: &[u8]) -> bool {
        match self {
            Self::Number(number) => *number == seq,
            // An id is 20 characters of its own alphabet: no other text contains it by chance.
            Self::Id(id) => bytes.windows(id.len()).any(|part| part == id.as_bytes()),
        }
    }
}

/// Tells every entry about a subject, in the order of the trail.
pub(crate) fn explain(subject: &str, trail: &Path, json: bool) -> Result<Answer, NotChecked> {
    let wanted = Subject::parse(subject)?;
    let mut told = Vec::new();
    Folder::open(trail)?.entries(|seq, bytes| {
        if wanted.is_told_by(seq, bytes) {
            told.push(bytes.to_vec());
        }
    })?;
    if told.is_empty() {
        return Err(NotChecked(format!(
            "no entry of the trail is about {subject}"
        )));
    }
    let page = if json {
        let read = |bytes: &Vec<u8>| serde_json::from_slice::<Value>(bytes).ok();
        print::object(&told.iter().filter_map(read).collect::<Vec<_>>())
    } else {
        told.iter().map(|bytes| entry(bytes)).collect()
    };
    Ok(Answer { agrees: true, page })
}

/// Tells what an entry says; its bytes were not checked here, `audit` does that.
pub(crate) fn entry(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(entry)) => told(&entry),
        Ok(_) | Err(_) => format!(
            "not an entry: {} bytes that are no JSON object\n",
            bytes.len()
        ),
    }
}

fn told(entry: &Map<String, Value>) -> String {
    let mut page = String::new();
    let head = ["seq", "at", "type"].map(|name| inline(entry.get(name)));
    line(&mut page, format_args!("entry {}", head.join("  ")));
    let by = ["by", "actor", "rules"].map(|name| format!("{name} {}", inline(entry.get(name))));
    line(&mut page, format_args!("  {}", by.join("  ")));
    members(&mut page, "asked", entry.get("asked"));
    members(&mut page, "found", entry.get("found"));
    let mut trace = Vec::new();
    entry
        .get("found")
        .into_iter()
        .for_each(|found| collect(found, &mut trace));
    if !trace.is_empty() {
        line(&mut page, format_args!("  rules"));
    }
    for step in trace {
        rule(&mut page, step);
    }
    amounts(&mut page, "money", entry.get("postings"), yuan);
    amounts(&mut page, "counters", entry.get("counters"), |n| {
        format!("{n:+}")
    });
    amounts(&mut page, "scopes", entry.get("scopes"), |n| {
        format!("number {n}")
    });
    page
}

/// `write!` into a `String` cannot fail.
fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(page, "{text}");
}

fn members(page: &mut String, title: &str, value: Option<&Value>) {
    let Some(Value::Object(members)) = value else {
        return;
    };
    line(page, format_args!("  {title}"));
    for (name, value) in members.iter().filter(|(name, _)| *name != "trace") {
        line(page, format_args!("    {name:<16} {}", inline(Some(value))));
    }
}

fn is_step(members: &Map<String, Value>) -> bool {
    members.contains_key("rule") && members.contains_key("status")
}

fn collect<'a>(value: &'a Value, steps: &mut Vec<&'a Map<String, Value>>) {
    match value {
        Value::Object(members) if is_step(members) => steps.push(members),
        Value::Object(members) => members.values().for_each(|value| collect(value, steps)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, steps)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn rule(page: &mut String, step: &Map<String, Value>) {
    let [rule, status, given, made, legal] =
        ["rule", "status", "in", "out", "legal"].map(|name| inline(step.get(name)));
    line(
        page,
        format_args!("    {rule:<16} {status:<12} {given} → {made}  (source {legal})"),
    );
}

fn amounts(page: &mut String, title: &str, rows: Option<&Value>, shown: fn(i64) -> String) {
    let Some(Value::Array(rows)) = rows else {
        return;
    };
    line(page, format_args!("  {title}"));
    for row in rows {
        let (name, amount) = (row.get(0), row.get(1).and_then(Value::as_i64));
        let amount = amount.map_or_else(|| inline(row.get(1)), shown);
        line(page, format_args!("    {:<60} {amount:>20}", inline(name)));
    }
}

/// Fen as yuan with its sign: 100 fen are 1 CNY.
pub(crate) fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { '-' } else { '+' };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02} CNY", fen / 100, fen % 100)
}

fn inline(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", text.split_at(end).0, text.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_told_with_its_rules_and_its_money_in_yuan() {
        let told = entry(
            br#"{"v":1,"seq":41,"at":"2026-11-23T08:00:00Z","rules":1,"type":"receipt.accepted","by":"pty-a","actor":"act-a",
            "asked":{"order":"ord-a"},"found":{"claims":[{"trace":[{"rule":"base","in":{"metered":8001},"out":8001,"legal":0,"status":"passed"}]}]},
            "postings":[["hold/ord-a/0/f",-8001],["earned/p/pty-a/f/2026-11",8001]],"counters":[["site/a",3600]]}"#,
        );
        for part in [
            "entry 41  2026-11-23T08:00:00Z  receipt.accepted",
            "order            ord-a",
            "base             passed       {\"metered\":8001} → 8001  (source 0)",
            "-80.01 CNY",
            "+80.01 CNY",
            "+3600",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
        assert_eq!(yuan(-5), "-0.05 CNY");
        assert!(entry(b"\xff").starts_with("not an entry"));
    }
}
