//! A card: what a vendor says of a dataset, typed once; every document about a version is made from it (DESIGN §9).
//!
//! A draft may leave anything out. [`Card::missing`] names what a publication still needs. The texts are a stranger's: they are
//! bounded and hold nothing that could steer a terminal, a page or a YAML file; whoever writes them down quotes them.

mod croissant;
mod dcat;
mod label;
mod listed;
mod odrl;
mod readme;
mod spdx;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use verifier::id::DocumentDigest;
use verifier::json;
use verifier::refusal::{Code, Refusal};
use verifier::region::Region;
use verifier::time::LocalDay;

pub use croissant::{CROISSANT_MEDIA, croissant};
pub use dcat::{
    catalogue_end, catalogue_start, dataset as dcat, dataset_document as dcat_document,
};
pub use label::label;
pub use listed::{Column, ColumnKind, FileRow, Listed, Table};
pub use odrl::{offer, offer_document};
pub use readme::readme;

/// The longest card.
pub const CARD_BYTES_MAX: usize = 65_536;
/// The longest text in a card, in bytes.
const TEXT_BYTES_MAX: usize = 16_384;
/// The longest title, keyword or name: one line on a page.
const LINE_BYTES_MAX: usize = 256;
/// The longest list in a card.
const ITEMS_MAX: usize = 200;
/// The most rows that a vendor shows.
pub const PREVIEW_ROWS_MAX: usize = 20;

/// The properties of Croissant RAI 1.0 (`rai:…`), and whether one holds several texts.
pub(crate) const RAI: [(&str, bool); 20] = [
    ("annotationsPerItem", false),
    ("annotatorDemographics", true),
    ("dataAnnotationAnalysis", true),
    ("dataAnnotationPlatform", true),
    ("dataAnnotationProtocol", false),
    ("dataBiases", true),
    ("dataCollection", false),
    ("dataCollectionMissingData", false),
    ("dataCollectionRawData", false),
    ("dataCollectionTimeframe", true),
    ("dataCollectionType", true),
    ("dataImputationProtocol", false),
    ("dataLimitations", true),
    ("dataManipulationProtocol", false),
    ("dataPreprocessingProtocol", true),
    ("dataReleaseMaintenancePlan", true),
    ("dataSocialImpact", false),
    ("dataUseCases", true),
    ("machineAnnotationTools", true),
    ("personalSensitiveInformation", true),
];

/// Declares a part of a card: every member may be left out, and then is not written.
macro_rules! part {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$member_doc])* #[serde(default, skip_serializing_if = "is_default")] pub $member: $type,)*
        }
    };
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

part! {
    /// What a vendor types.
    Card {
        /// Its name on every page.
        title: Texts,
        /// One or two sentences.
        summary: String,
        /// All that a buyer should know; plain text.
        description: String,
        /// ISO 639 codes of the content.
        languages: Vec<String>,
        /// Words to find it by.
        keywords: Vec<String>,
        /// What is offered.
        licence: Licence,
        /// Which of the three rights the vendor declares: to hold, to use, to operate (数据二十条).
        rights: Vec<Right>,
        /// Where it comes from.
        sources: Vec<Source>,
        /// About people in it.
        personal: Option<Personal>,
        /// The class of its security (GB/T 43697-2024).
        security: Option<Security>,
        /// Where it comes from, GB/T 2260.
        region: Option<Region>,
        /// How it was annotated, by whom, how they agreed.
        annotation: String,
        /// Croissant RAI 1.0, by the property's name.
        rai: BTreeMap<String, Vec<String>>,
        /// What GB/T 45652 and 45654 ask to be counted.
        gbt: Gbt,
        /// What is asked by the data provenance standards alone.
        provenance: Provenance,
        /// Where complaints go.
        contact: String,
        /// What is new in this version.
        changelog: String,
        /// Rows that everybody may see, masked.
        preview: Vec<Shown>,
        /// Who signs deliveries.
        delivery: Delivery,
    }
}

part! {
    /// A text in some languages.
    Texts {
        /// Chinese.
        zh: String,
        /// English.
        en: String,
        /// Italian.
        it: String,
    }
}

part! {
    /// A licence: its SPDX expression and its very text.
    Licence {
        /// An SPDX expression, e.g. `CC-BY-4.0` or `LicenseRef-training`.
        expression: String,
        /// The digest of its text.
        text: Option<DocumentDigest>,
    }
}

part! {
    /// A source.
    Source {
        /// What it is called.
        name: String,
        /// How it was come by.
        kind: Option<SourceKind>,
        /// Its SPDX expression, if it has one.
        licence: Option<String>,
        /// The digest of its licence's text.
        text: Option<DocumentDigest>,
        /// Where it is.
        url: Option<String>,
        /// When and how it was collected.
        collected: Option<Collected>,
        /// Its share of the whole, in basis points.
        share_bp: u16,
    }
}

part! {
    /// A collection.
    Collected {
        /// The first day, `YYYY-MM-DD`.
        from: String,
        /// The last day.
        to: String,
        /// How.
        method: String,
    }
}

part! {
    /// About people in it.
    Personal {
        /// Whether there are any.
        present: bool,
        /// The legal ground.
        basis: String,
        /// The digest of the document that shows it.
        consent: Option<DocumentDigest>,
    }
}

part! {
    /// The vendor's own checks as GB/T 45654-2025 counts them.
    Gbt {
        /// Samples looked at by people.
        manual_samples: u64,
        /// Of them, in basis points, those that passed.
        manual_passed_bp: u16,
        /// The share that programs looked at, in basis points.
        technical_share_bp: u16,
        /// Of it, in basis points, what passed.
        technical_passed_bp: u16,
        /// Words in the keyword library.
        keywords: u64,
    }
}

part! {
    /// What the data provenance standards (Data & Trust Alliance) ask and nothing else does.
    Provenance {
        /// When the data came to be: the first day.
        generated_from: String,
        /// The last day.
        generated_to: String,
        /// By which method.
        method: String,
        /// What protects people in it, e.g. pseudonyms.
        privacy: String,
        /// Where it may be processed.
        processing: String,
        /// Where it may be stored.
        storage: String,
        /// What it is meant for.
        intended_use: String,
        /// Copyrights, patents, trade marks in it.
        proprietary: String,
    }
}

/// A row that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Of which file.
    pub path: String,
    /// Which row, from 0.
    pub row: u64,
}

/// A right over data (数据二十条).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// 数据资源持有权.
    Hold,
    /// 数据加工使用权.
    Use,
    /// 数据产品经营权.
    Operate,
}

/// How a source was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Published for everybody.
    Open,
    /// Collected by the vendor.
    Collected,
    /// Bought.
    Commercial,
    /// Entered by users.
    User,
    /// Made by a program.
    Synthetic,
}

/// The class of data security (GB/T 43697-2024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// 一般数据.
    General,
    /// 重要数据.
    Important,
    /// 核心数据: not traded here.
    Core,
}

/// Who signs deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// The exchange, when every byte went out.
    #[default]
    Exchange,
    /// The vendor, by its own key.
    Vendor,
}

impl SourceKind {
    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Collected => "collected",
            Self::Commercial => "commercial",
            Self::User => "user",
            Self::Synthetic => "synthetic",
        }
    }
}

impl Security {
    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Important => "important",
            Self::Core => "core",
        }
    }
}

impl Texts {
    /// The texts that are there, with their languages; Chinese first.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("zh", &*self.zh), ("en", &*self.en), ("it", &*self.it)];
        all.into_iter().filter(|(_, text)| !text.is_empty())
    }

    /// The text for a place that takes one.
    #[must_use]
    pub fn first(&self) -> &str {
        self.each().next().map_or("", |(_, text)| text)
    }
}

impl Card {
    /// Reads a card.
    /// # Errors
    /// `request.too-large` `request.malformed`
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        if text.len() > CARD_BYTES_MAX {
            let sentence = format!("a card has at most {CARD_BYTES_MAX} bytes");
            return Err(Refusal::new(Code::RequestTooLarge, sentence));
        }
        let card: Self = json::read(text)?;
        card.check()?;
        Ok(card)
    }

    /// The one spelling, whose digest is in the trail.
    /// # Errors
    /// None that a parsed card has.
    pub fn text(&self) -> Result<Vec<u8>, Refusal> {
        Ok(json::write(self)?)
    }

    /// Checks what a type cannot say.
    /// # Errors
    /// `request.malformed`
    pub fn check(&self) -> Result<(), Refusal> {
        let value = serde_json::to_value(self).unwrap_or_default();
        check_texts(&value, "card")?;
        let lines = self.title.each().map(|(_, text)| text);
        let lines = lines.chain(self.keywords.iter().map(String::as_str));
        let sources = self.sources.iter().map(|source| &*source.name);
        for line in lines.chain(sources) {
            if line.len() > LINE_BYTES_MAX || line.contains('\n') || line.trim().is_empty() {
                return refused(format!(
                    "a title, keyword or source name is one line of 1 to {LINE_BYTES_MAX} bytes"
                ));
            }
        }
        let language = |text: &String| {
            matches!(text.len(), 2 | 3) && text.bytes().all(|c| c.is_ascii_lowercase())
        };
        if !self.languages.iter().all(language) {
            return refused("languages are ISO 639 codes of 2 or 3 small letters".into());
        }
        if let Some(name) = self
            .rai
            .keys()
            .find(|name| RAI.iter().all(|(known, _)| known != name))
        {
            return refused(format!("rai has no property {name}"));
        }
        if self.preview.len() > PREVIEW_ROWS_MAX {
            return refused(format!("a preview has at most {PREVIEW_ROWS_MAX} rows"));
        }
        self.check_numbers()?;
        self.sources.iter().try_for_each(Source::check)
    }

    fn check_numbers(&self) -> Result<(), Refusal> {
        let whole = |bp: u16| bp <= 10_000;
        let Gbt {
            manual_passed_bp,
            technical_share_bp,
            technical_passed_bp,
            ..
        } = self.gbt;
        if ![manual_passed_bp, technical_share_bp, technical_passed_bp]
            .into_iter()
            .all(whole)
        {
            return refused("a share has at most 10000 basis points".into());
        }
        let shares: u32 = self
            .sources
            .iter()
            .map(|source| u32::from(source.share_bp))
            .sum();
        if shares > 10_000 {
            return refused(format!(
                "the sources' shares sum to {shares} of 10000 basis points"
            ));
        }
        for day in [
            &self.provenance.generated_from,
            &self.provenance.generated_to,
        ] {
            check_day(day)?;
        }
        Ok(())
    }

    /// The members that a publication needs and this card has not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let needs = [
            ("title", self.title == Texts::default()),
            ("summary", self.summary.is_empty()),
            ("languages", self.languages.is_empty()),
            ("licence.expression", self.licence.expression.is_empty()),
            ("licence.text", self.licence.text.is_none()),
            ("rights", self.rights.is_empty()),
            ("sources", self.sources.is_empty()),
            (
                "sources.kind",
                self.sources.iter().any(|source| source.kind.is_none()),
            ),
            ("personal", self.personal.is_none()),
            (
                "personal.basis",
                self.personal
                    .as_ref()
                    .is_some_and(|of| of.present && of.basis.is_empty()),
            ),
            ("security", self.security.is_none()),
            ("contact", self.contact.is_empty()),
        ];
        let missing = needs.into_iter().filter(|(_, missing)| *missing);
        missing.map(|(name, _)| name).collect()
    }
}

impl Source {
    fn check(&self) -> Result<(), Refusal> {
        if let Some(url) = &self.url {
            let web = url.starts_with("https://") || url.starts_with("http://");
            let good = |c: u8| c.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&c);
            if !web || !url.bytes().all(good) {
                return refused("a source's url is an http address in ASCII".into());
            }
        }
        if let Some(collected) = &self.collected {
            check_day(&collected.from)?;
            check_day(&collected.to)?;
        }
        Ok(())
    }
}

fn check_day(day: &str) -> Result<(), Refusal> {
    if day.is_empty() || LocalDay::parse(day).is_ok() {
        return Ok(());
    }
    refused("a day is written YYYY-MM-DD".into())
}

/// Every text is short and plain, every list is short; a text that only looks like another (bidirectional marks) is refused.
fn check_texts(value: &Value, place: &str) -> Result<(), Refusal> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) if text.len() > TEXT_BYTES_MAX => {
            refused(format!("{place} has more than {TEXT_BYTES_MAX} bytes"))
        }
        Value::String(text) if text.chars().any(is_unfit) => refused(format!(
            "{place} has a control character or one that turns the reading direction"
        )),
        Value::String(_) => Ok(()),
        Value::Array(items) if items.len() > ITEMS_MAX => {
            refused(format!("{place} has more than {ITEMS_MAX} items"))
        }
        Value::Array(items) => items.iter().try_for_each(|item| check_texts(item, place)),
        Value::Object(members) => members
            .iter()
            .try_for_each(|(name, value)| check_texts(value, name)),
    }
}

fn is_unfit(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    turns || (c.is_control() && c != '\n' && c != '\t')
}

fn refused<T>(sentence: String) -> Result<T, Refusal> {
    Err(Refusal::new(Code::RequestMalformed, sentence))
}

#[cfg(test)]
mod tests;
