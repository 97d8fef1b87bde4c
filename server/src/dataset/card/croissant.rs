//! Croissant 1.1 with RAI 1.0: what loads a dataset by machine. Inline context only: nothing has to be fetched to read it.

use serde_json::{Map, Value, json};
use verifier::id::hex;

use super::listed::Form;
use super::{Card, ColumnKind, FileRow, Listed, RAI, Table, odrl, spdx};

/// The media type of a Croissant document.
pub const CROISSANT_MEDIA: &str =
    "application/ld+json; profile=\"http://mlcommons.org/croissant/1.1\"";
/// Terms that stand for themselves in the vocabulary `cr`.
const TERMS: [&str; 31] = [
    "arrayShape",
    "citeAs",
    "column",
    "containedIn",
    "equivalentProperty",
    "excludes",
    "extract",
    "field",
    "fileObject",
    "fileProperty",
    "fileSet",
    "format",
    "includes",
    "isArray",
    "isLiveDataset",
    "jsonPath",
    "key",
    "md5",
    "parentField",
    "path",
    "recordSet",
    "references",
    "regex",
    "repeated",
    "replace",
    "samplingRate",
    "separator",
    "source",
    "subField",
    "transform",
    "annotation",
];

/// The Croissant document of a version; `base` is the address of the exchange.
#[must_use]
pub fn croissant(listed: &Listed, base: &str) -> Value {
    let card = &listed.card;
    let licence_text = format!("{base}/v1/documents/{}", listed.licence);
    let vendor =
        json!({ "@type": "sc:Organization", "name": listed.handle, "identifier": listed.vendor });
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("@context", context(card));
    put("@type", json!("sc:Dataset"));
    put(
        "conformsTo",
        json!([
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0"
        ]),
    );
    put("name", json!(card.title.first()));
    put("description", json!(listed.description()));
    put("url", json!(listed.url(base)));
    put(
        "license",
        json!(spdx::url(&card.licence.expression, &licence_text)),
    );
    put("creator", vendor.clone());
    put("publisher", vendor);
    put("datePublished", json!(listed.day()));
    put("version", json!(listed.version));
    put(
        "citeAs",
        json!(format!(
            "{} {} ({})",
            listed.full_name(),
            listed.version,
            listed.manifest
        )),
    );
    put("inLanguage", json!(card.languages));
    put("keywords", json!(card.keywords));
    put("isLiveDataset", json!(false));
    put("sc:usageInfo", odrl::offer(listed));
    if let Some(sources) = derived_from(card) {
        put("prov:wasDerivedFrom", sources);
    }
    for (name, value) in rai(card) {
        put(&name, value);
    }
    let files = listed.files.iter().enumerate();
    put(
        "distribution",
        files
            .clone()
            .map(|(n, file)| file_object(listed, base, n, file))
            .collect(),
    );
    put(
        "recordSet",
        files.filter_map(|(n, file)| record_set(n, file)).collect(),
    );
    Value::Object(members)
}

/// The sources that have an address.
fn derived_from(card: &Card) -> Option<Value> {
    let addresses = card.sources.iter().filter_map(|source| source.url.as_ref());
    let sources: Vec<Value> = addresses.map(|url| json!({ "@id": url })).collect();
    (!sources.is_empty()).then_some(Value::Array(sources))
}

fn context(card: &Card) -> Value {
    let mut context = json!({
        "@language": card.title.each().next().map_or("zh", |(language, _)| language),
        // With `http:` here the reference reader finds no dataset (mlcommons/croissant#1018).
        "@vocab": "https://schema.org/", "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/", "prov": "http://www.w3.org/ns/prov#", "odrl": "http://www.w3.org/ns/odrl/2/",
        "conformsTo": "dct:conformsTo",
        "data": { "@id": "cr:data", "@type": "@json" }, "examples": { "@id": "cr:examples", "@type": "@json" },
        "dataType": { "@id": "cr:dataType", "@type": "@vocab" }, "value": "cr:value",
    });
    if let Some(members) = context.as_object_mut() {
        for term in TERMS {
            members.insert(term.to_owned(), json!(format!("cr:{term}")));
        }
    }
    context
}

/// The card's RAI members; `personalSensitiveInformation` also where the vendor only declared that there is something.
fn rai(card: &Card) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, many) in RAI {
        let Some(texts) = card.rai.get(name).filter(|texts| !texts.is_empty()) else {
            continue;
        };
        let value = if many {
            json!(texts)
        } else {
            json!(texts.join("\n"))
        };
        all.push((format!("rai:{name}"), value));
    }
    let declared = card
        .personal
        .as_ref()
        .filter(|_| !card.rai.contains_key("personalSensitiveInformation"));
    if let Some(personal) = declared {
        let word = if personal.present {
            "present"
        } else {
            "none declared"
        };
        all.push(("rai:personalSensitiveInformation".to_owned(), json!([word])));
    }
    all
}

/// Names of files may hold what JSON-LD would read as an IRI: ids are numbers of ours.
fn file_id(n: usize) -> String {
    format!("file-{}", n.saturating_add(1))
}

fn file_object(listed: &Listed, base: &str, n: usize, file: &FileRow) -> Value {
    json!({
        "@type": "cr:FileObject", "@id": file_id(n), "name": file.path,
        "contentUrl": listed.file_url(base, &file.path), "contentSize": format!("{} B", file.bytes),
        "encodingFormat": Form::of(&file.path).croissant(), "sha256": hex(&file.sha256),
    })
}

fn record_set(n: usize, file: &FileRow) -> Option<Value> {
    let table = file.table.as_ref()?;
    let form = Form::of(&file.path);
    // A record set that a reader could not load is worse than none: the file itself is listed in any case.
    if !form.is_table() || !table.is_plain || table.columns.is_empty() {
        return None;
    }
    let id = format!("records-{}", n.saturating_add(1));
    Some(json!({
        "@type": "cr:RecordSet", "@id": id, "name": id, "description": file.path,
        "field": fields(&id, (n, form), table),
    }))
}

fn fields(records: &str, (n, form): (usize, Form), table: &Table) -> Vec<Value> {
    let plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
    };
    let field = |(at, column): (usize, &super::Column)| {
        let word = if plain(&column.name) {
            column.name.clone()
        } else {
            format!("column-{}", at.saturating_add(1))
        };
        let id = format!("{records}/{word}");
        json!({
            "@type": "cr:Field", "@id": id, "name": id, "description": column.name, "dataType": data_type(column.kind),
            "source": { "fileObject": { "@id": file_id(n) }, "extract": extract(form, &column.name) },
        })
    };
    table.columns.iter().enumerate().map(field).collect()
}

/// Where a column is: in one JSON value by a path, in all else by its name.
fn extract(form: Form, name: &str) -> Value {
    if form == Form::Json {
        return json!({ "jsonPath": format!("$[*].'{name}'") });
    }
    json!({ "column": name })
}

const fn data_type(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "sc:Text",
        ColumnKind::Integer => "sc:Integer",
        ColumnKind::Float => "sc:Float",
        ColumnKind::Boolean => "sc:Boolean",
        ColumnKind::Date => "sc:Date",
    }
}
