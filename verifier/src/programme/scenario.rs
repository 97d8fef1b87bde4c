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
        let texts: Vec<String> = ["", "/random"].iter().flat_map(texts_in).collect();
        assert!(texts.len() > 60, "{} programmes", texts.len());
        for text in texts {
            assert!(!programme(&text).funds.is_empty());
        }
    }

    fn texts_in(folder: &&str) -> Vec<String> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/vectors/scenarios");
        let files = std::fs::read_dir(format!("{root}{folder}")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let json = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
        json.flat_map(|path| programmes_of(&path)).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "a test reads its vectors")]
    fn programmes_of(path: &std::path::Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let scenario: serde_json::Value = serde_json::from_str(&text).unwrap();
        let programmes = scenario.get("programmes").and_then(|p| p.as_object());
        let texts = programmes
            .into_iter()
            .flat_map(|programmes| programmes.values());
        texts
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    }
}
