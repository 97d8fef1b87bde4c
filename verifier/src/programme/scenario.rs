//! Tests only: the minimal programme texts of `fixtures/vectors/scenarios` as programmes.
//!
//! They leave out what a real file owes: `base` and `mode` get the reading of that folder's README, and ids shorter than
//! an id may be are filled up with `-` (`f` becomes `f--`).

use super::{Programme, ProgrammeFile};
use toml::Value;

/// Fills an id of a scenario up to the three characters of a chosen id.
pub(crate) fn id(short: &str) -> String {
    format!("{short:-<3}")
}

/// Reads a scenario's programme text through the real loader.
pub(crate) fn programme(text: &str) -> Programme {
    let mut table: toml::Table = text.parse().unwrap();
    pad(table.get_mut("id").unwrap());
    for fund in table.get_mut("fund").unwrap().as_array_mut().unwrap() {
        pad(fund.get_mut("id").unwrap());
    }
    let instrument = table.get_mut("instrument").unwrap().as_table_mut().unwrap();
    if !instrument.contains_key("mode") {
        let buyer = instrument.get("payee").and_then(Value::as_str) == Some("buyer");
        let mode = if buyer { "reimburse" } else { "deduct" };
        instrument.insert("mode".into(), Value::String(mode.into()));
    }
    let base = table
        .entry("base")
        .or_insert_with(|| Value::Table(toml::Table::new()))
        .as_table_mut()
        .unwrap();
    if !base.contains_key("of") {
        base.insert(
            "of".into(),
            Value::Array(vec![Value::String("metered".into())]),
        );
    }
    ProgrammeFile::from_table(table)
        .unwrap()
        .enact(&[])
        .unwrap()
}

fn pad(value: &mut Value) {
    *value = Value::String(id(value.as_str().unwrap()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_programme_of_the_scenarios_is_read_and_enacted() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/vectors/scenarios");
        let mut read = 0;
        for folder in [folder.to_owned(), format!("{folder}/random")] {
            for file in std::fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_none_or(|end| end != "json") {
                    continue;
                }
                #[expect(clippy::disallowed_methods, reason = "a test reads its vectors")]
                let text = std::fs::read_to_string(&path).unwrap();
                let scenario: serde_json::Value = serde_json::from_str(&text).unwrap();
                let Some(programmes) = scenario.get("programmes").and_then(|p| p.as_object())
                else {
                    continue;
                };
                for text in programmes.values() {
                    assert!(!programme(text.as_str().unwrap()).funds.is_empty());
                    read += 1;
                }
            }
        }
        assert!(read > 60, "{read} programmes");
    }
}
