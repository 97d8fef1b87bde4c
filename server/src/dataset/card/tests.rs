use super::*;
use insta::{assert_json_snapshot, assert_snapshot};
use verifier::id::{DatasetId, PartyId, Salt};
use verifier::money::Fen;
use verifier::time::Timestamp;

const CARD: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/datasets/cards/dialogues.json"
));
const BASE: &str = "https://exchange.example";

fn column(name: &str, kind: ColumnKind) -> Column {
    Column {
        name: name.to_owned(),
        kind,
    }
}

fn file(path: &str, table: Option<Table>) -> FileRow {
    let sha256 = *verifier::id::Sha256Hash::of(path.as_bytes()).bytes();
    FileRow {
        path: path.to_owned(),
        sha256,
        bytes: 1_234,
        table,
    }
}

fn listed(card: Card) -> Listed {
    let salt = Salt::new([1; 16]);
    let turns = Table {
        rows: Some(400),
        columns: vec![
            column("text", ColumnKind::Text),
            column("turn", ColumnKind::Integer),
            column("评分", ColumnKind::Float),
        ],
        is_plain: true,
    };
    Listed {
        listing: "lst-a".to_owned(),
        handle: "city-data".to_owned(),
        name: "dialogues".to_owned(),
        vendor: PartyId::draw(&salt, 1, 0),
        manifest: DocumentDigest::of(b"manifest"),
        dataset: DatasetId::draw(&salt, 2, 0),
        version: "1.0.0".to_owned(),
        published: Timestamp::new(1_793_491_200).unwrap(),
        price_fen: Fen::new(1_234_505).unwrap(),
        licence: DocumentDigest::of(b"licence"),
        state: verifier::dataset::State::Listed,
        card,
        files: vec![
            file("data/第一 批.parquet", Some(turns.clone())),
            file("dialogues.jsonl", Some(turns)),
            file("notes.txt", None),
            file("test-1.jsonl", None),
        ],
    }
}

fn card() -> Card {
    Card::parse(CARD.as_bytes()).unwrap()
}

/// A card whose texts would be code wherever they are not quoted.
fn hostile() -> Card {
    let mut card = card();
    let text = "a\"b'\\ ]]> --- <script> {x} & | # $(x) `y` ../../etc";
    card.title = Texts {
        zh: text.to_owned(),
        ..Texts::default()
    };
    card.keywords = vec![text.to_owned()];
    card.summary = format!("---\n---\n{text}\nlicense: mit");
    card.licence.expression = "\"\n---\nx: y".to_owned();
    card
}

#[test]
fn a_card_has_one_spelling_and_says_what_is_missing() {
    let card = card();
    assert!(card.missing().is_empty(), "{:?}", card.missing());
    let text = card.text().unwrap();
    let again = Card::parse(&text).unwrap();
    assert_eq!(again, card);
    assert_eq!(again.text().unwrap(), text);
    let empty = Card::parse(b"{}").unwrap();
    assert_eq!(empty.text().unwrap(), b"{}");
    let missing = [
        "title",
        "summary",
        "languages",
        "licence.expression",
        "licence.text",
        "rights",
        "sources",
        "personal",
        "security",
        "contact",
    ];
    assert_eq!(empty.missing(), missing);
}

#[test]
fn a_card_that_no_page_could_show_is_refused() {
    let long = format!("{{\"summary\":\"{}\"}}", "x".repeat(TEXT_BYTES_MAX + 1));
    let bad = [
        "{\"title\":{\"zh\":\"a\\nb\"}}",
        "{\"title\":{\"zh\":\"a\\u202eb\"}}",
        "{\"summary\":\"\\u0000\"}",
        "{\"summary\":\"\\u001b[31m\"}",
        "{\"languages\":[\"ZH\"]}",
        "{\"languages\":[\"zh: x\"]}",
        "{\"rai\":{\"dataCrimes\":[\"x\"]}}",
        "{\"rai\":{\"dataBiases\":\"x\"}}",
        "{\"unknown\":1}",
        "{\"summary\":\"a\",\"summary\":\"b\"}",
        "{\"sources\":[{\"url\":\"javascript:alert(1)\"}]}",
        "{\"sources\":[{\"name\":\"x\",\"url\":\"https://a/\\\"b\"}]}",
        "{\"sources\":[{\"name\":\"x\",\"share_bp\":6000},{\"name\":\"y\",\"share_bp\":6000}]}",
        "{\"provenance\":{\"generated_from\":\"2026-13-01\"}}",
        "{\"gbt\":{\"manual_passed_bp\":10001}}",
        "{\"security\":\"secret\"}",
        "[]",
        long.as_str(),
    ];
    for text in bad {
        let refusal = Card::parse(text.as_bytes()).expect_err(text);
        assert_eq!(refusal.code, Code::RequestMalformed, "{text}");
    }
    let huge = vec![b' '; CARD_BYTES_MAX + 1];
    assert_eq!(Card::parse(&huge).unwrap_err().code, Code::RequestTooLarge);
}

#[test]
fn a_version_as_croissant() {
    assert_json_snapshot!(croissant(&listed(card()), BASE));
}

#[test]
fn a_version_as_dcat() {
    assert_json_snapshot!(dcat_document(&listed(card()), BASE));
}

#[test]
fn a_version_as_offer() {
    assert_json_snapshot!(offer_document(&listed(card())));
}

#[test]
fn a_version_as_readme() {
    assert_snapshot!(readme(&listed(card())));
}

#[test]
fn a_version_as_label() {
    let label = label(&listed(card()), BASE, None);
    assert_eq!(label["fields"].as_array().unwrap().len(), 22);
    assert_json_snapshot!(label);
}

#[test]
fn a_text_cannot_break_the_front_matter() {
    let text = readme(&listed(hostile()));
    let (front, body) = text
        .strip_prefix("---\n")
        .unwrap()
        .split_once("\n---\n")
        .unwrap();
    let allowed = [
        "pretty_name: \"",
        "license: \"",
        "license_name: \"",
        "license_link: \"",
        "language:",
        "tags:",
        "- \"",
        "size_categories:",
        "configs:",
        "- config_name: ",
        "  data_files:",
        "  - split: ",
        "    path:",
        "    - \"",
    ];
    for line in front.lines() {
        assert!(
            allowed.iter().any(|start| line.starts_with(start)),
            "{line}"
        );
    }
    assert!(!body.contains("<script>"));
    assert!(!body.lines().any(|line| line.starts_with("---")));
}

#[test]
fn every_mandatory_property_of_croissant_and_of_dcat_ap_is_there() {
    for card in [card(), hostile()] {
        let listed = listed(card);
        let croissant = croissant(&listed, BASE);
        for name in [
            "name",
            "description",
            "url",
            "creator",
            "license",
            "version",
            "datePublished",
            "citeAs",
            "conformsTo",
            "distribution",
        ] {
            let value = &croissant[name];
            assert!(!value.is_null() && value != "", "{name}");
        }
        let text = format!(
            "{}{}{}",
            catalogue_start("exchange.test", BASE),
            dcat(&listed, BASE),
            catalogue_end()
        );
        let catalogue: serde_json::Value = serde_json::from_str(&text).unwrap();
        for name in ["dct:title", "dct:description", "dct:publisher"] {
            assert!(!catalogue[name].is_null(), "{name}");
            assert!(!catalogue["dcat:dataset"][0][name].is_null(), "{name}");
        }
        assert!(!catalogue["dct:publisher"]["foaf:name"].is_null());
        for distribution in catalogue["dcat:dataset"][0]["dcat:distribution"]
            .as_array()
            .unwrap()
        {
            assert!(
                distribution["dcat:accessURL"]["@id"]
                    .as_str()
                    .unwrap()
                    .starts_with(BASE)
            );
        }
    }
}
