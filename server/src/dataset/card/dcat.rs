//! DCAT-AP 3.0.1 in JSON-LD with an inline context: a version as a `dcat:Dataset`, and the two ends of a catalogue of many.
//!
//! A catalogue is written piece by piece: ten thousand datasets are never one value.

use serde_json::{Value, json};
use verifier::id::hex;

use super::listed::Form;
use super::{FileRow, Listed, odrl, spdx};

/// Codes of languages in the authority table that DCAT-AP asks for.
const LANGUAGES: [(&str, &str); 12] = [
    ("zh", "ZHO"),
    ("en", "ENG"),
    ("it", "ITA"),
    ("de", "DEU"),
    ("fr", "FRA"),
    ("es", "SPA"),
    ("ja", "JPN"),
    ("ko", "KOR"),
    ("ru", "RUS"),
    ("pt", "POR"),
    ("ar", "ARA"),
    ("vi", "VIE"),
];
const LANGUAGE_PREFIX: &str = "http://publications.europa.eu/resource/authority/language/";

fn context() -> Value {
    json!({
        "dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/", "foaf": "http://xmlns.com/foaf/0.1/",
        "spdx": "http://spdx.org/rdf/terms#", "odrl": "http://www.w3.org/ns/odrl/2/", "prov": "http://www.w3.org/ns/prov#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    })
}

/// All of a catalogue before its datasets; `origin` names the exchange.
#[must_use]
pub fn catalogue_start(origin: &str, base: &str) -> String {
    let head = json!({
        "@context": context(),
        "@id": format!("{base}/v1/catalogue.jsonld"),
        "@type": "dcat:Catalog",
        "dct:title": [{ "@value": format!("数据产品目录 {origin}"), "@language": "zh" }, { "@value": format!("Datasets of {origin}"), "@language": "en" }],
        "dct:description": [
            { "@value": "在本交易所挂牌的数据产品，每个取最新挂牌版本。", "@language": "zh" },
            { "@value": "Datasets listed at this exchange, each by its newest listed version.", "@language": "en" },
        ],
        "dct:publisher": { "@id": base, "@type": "foaf:Agent", "foaf:name": origin },
        "foaf:homepage": { "@id": base },
    });
    let mut text = head.to_string();
    // The last brace makes room for the list.
    text.pop();
    text.push_str(",\"dcat:dataset\":[");
    text
}

/// All of a catalogue after its datasets.
#[must_use]
pub const fn catalogue_end() -> &'static str {
    "]}\n"
}

/// A version as a dataset of a catalogue, without a context.
#[must_use]
pub fn dataset(listed: &Listed, base: &str) -> Value {
    let card = &listed.card;
    let titles: Vec<Value> = card
        .title
        .each()
        .map(|(language, text)| json!({ "@value": text, "@language": language }))
        .collect();
    let tongue = card
        .title
        .each()
        .next()
        .map_or("zh", |(language, _)| language);
    let known = |code: &String| {
        LANGUAGES
            .iter()
            .find(|(short, _)| short == code)
            .map(|(_, long)| json!({ "@id": format!("{LANGUAGE_PREFIX}{long}") }))
    };
    let languages: Vec<Value> = card.languages.iter().filter_map(known).collect();
    let keywords: Vec<Value> = card
        .keywords
        .iter()
        .map(|word| json!({ "@value": word, "@language": tongue }))
        .collect();
    let sources: Vec<&str> = card.sources.iter().map(|source| &*source.name).collect();
    json!({
        "@id": listed.documents(base),
        "@type": "dcat:Dataset",
        "dct:title": titles,
        "dct:description": { "@value": listed.description(), "@language": tongue },
        "dct:identifier": listed.manifest,
        "dcat:version": listed.version,
        "dct:issued": { "@value": listed.published, "@type": "xsd:dateTime" },
        "dct:publisher": { "@id": format!("urn:quan:{}", listed.vendor), "@type": "foaf:Agent", "foaf:name": listed.handle },
        "dct:language": languages,
        "dcat:keyword": keywords,
        "dct:accrualPeriodicity": { "@id": "http://publications.europa.eu/resource/authority/frequency/IRREG" },
        "dct:provenance": { "@type": "dct:ProvenanceStatement", "dct:description": { "@value": sources.join("; "), "@language": tongue } },
        "dcat:landingPage": { "@id": listed.url(base) },
        "odrl:hasPolicy": odrl::offer(listed),
        "dcat:distribution": listed.files.iter().enumerate().map(|(n, file)| distribution(listed, base, n, file)).collect::<Vec<_>>(),
    })
}

/// The same as a document of its own.
#[must_use]
pub fn dataset_document(listed: &Listed, base: &str) -> Value {
    let mut document = dataset(listed, base);
    if let Some(members) = document.as_object_mut() {
        members.insert("@context".to_owned(), context());
    }
    document
}

fn distribution(listed: &Listed, base: &str, n: usize, file: &FileRow) -> Value {
    let url = listed.file_url(base, &file.path);
    let licence_text = format!("{base}/v1/documents/{}", listed.licence);
    let media = Form::of(&file.path).iana();
    json!({
        "@id": format!("{}#file-{}", listed.documents(base), n.saturating_add(1)),
        "@type": "dcat:Distribution",
        "dct:title": file.path,
        "dcat:accessURL": { "@id": url },
        "dcat:downloadURL": { "@id": url },
        "dcat:byteSize": { "@value": file.bytes.to_string(), "@type": "xsd:nonNegativeInteger" },
        "dcat:mediaType": { "@id": format!("https://www.iana.org/assignments/media-types/{media}") },
        "dct:license": { "@id": spdx::url(&listed.card.licence.expression, &licence_text) },
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": { "@id": "spdx:checksumAlgorithm_sha256" },
            "spdx:checksumValue": { "@value": hex(&file.sha256), "@type": "xsd:hexBinary" },
        },
    })
}
