//! The provenance label: the 22 fields of the Data Provenance Standards 1.0.0 (Data & Trust Alliance), and how many are filled.

use serde_json::{Value, json};

use super::{Card, Listed};

/// How many fields the standard has.
const FIELDS: u32 = 22;

/// The label of a version; `previous` is the day on which the version before it was issued.
#[must_use]
pub fn label(listed: &Listed, base: &str, previous: Option<&str>) -> Value {
    let fields: Vec<(&str, &str, String)> = source(listed, base)
        .into_iter()
        .chain(provenance(listed, previous))
        .chain(usage(&listed.card))
        .collect();
    let filled = fields
        .iter()
        .filter(|(_, _, value)| !value.is_empty())
        .count();
    let filled = u32::try_from(filled).unwrap_or(FIELDS);
    let rows: Vec<Value> = fields
        .into_iter()
        .map(|(group, name, value)| json!({ "group": group, "field": name, "value": value }))
        .collect();
    json!({
        "manifest": listed.manifest, "fields": rows, "filled": filled, "of": FIELDS,
        "coverage_percent": filled.saturating_mul(100) / FIELDS,
    })
}

type Field = (&'static str, &'static str, String);

fn source(listed: &Listed, base: &str) -> [Field; 6] {
    let of = |name, value| ("source", name, value);
    [
        of("standards version", "1.0.0".to_owned()),
        of("dataset title", listed.card.title.first().to_owned()),
        of("unique metadata identifier", listed.manifest.to_string()),
        of(
            "metadata location",
            format!("{}/croissant.json", listed.documents(base)),
        ),
        of(
            "dataset issuer",
            format!("{} ({})", listed.handle, listed.vendor),
        ),
        of("description", listed.description().to_owned()),
    ]
}

fn provenance(listed: &Listed, previous: Option<&str>) -> [Field; 8] {
    let (card, of) = (&listed.card, |name, value| ("provenance", name, value));
    let urls: Vec<&str> = card
        .sources
        .iter()
        .filter_map(|source| source.url.as_deref())
        .collect();
    let names: Vec<&str> = card.sources.iter().map(|source| &*source.name).collect();
    let told = &card.provenance;
    let range = [&*told.generated_from, &*told.generated_to].join("/");
    [
        of("source metadata for dataset", urls.join(" ")),
        of("source (if different from issuer)", names.join("; ")),
        of(
            "data origin geography",
            card.region
                .map(|region| region.to_string())
                .unwrap_or_default(),
        ),
        of("dataset issue date", listed.day()),
        of(
            "date of previously issued version",
            previous.unwrap_or_default().to_owned(),
        ),
        of(
            "range of dates for data generation",
            if range == "/" { String::new() } else { range },
        ),
        of("method", told.method.clone()),
        of("data format", listed.formats().join(" ")),
    ]
}

fn usage(card: &Card) -> [Field; 8] {
    let (told, of) = (&card.provenance, |name, value| ("use", name, value));
    let consent = card.personal.as_ref().and_then(|personal| personal.consent);
    [
        of(
            "confidentiality classification",
            card.security
                .map(|class| class.as_str().to_owned())
                .unwrap_or_default(),
        ),
        of(
            "consent documentation location",
            consent.map(|digest| digest.to_string()).unwrap_or_default(),
        ),
        of("privacy enhancing technologies used", told.privacy.clone()),
        of(
            "data processing geography inclusion/exclusion",
            told.processing.clone(),
        ),
        of(
            "data storage geography inclusion/exclusion",
            told.storage.clone(),
        ),
        of("license to use", card.licence.expression.clone()),
        of("intended data use", told.intended_use.clone()),
        of("proprietary data presence", told.proprietary.clone()),
    ]
}
