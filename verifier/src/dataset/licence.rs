//! Whether a dataset may be offered as it is: what its sources' licences say, against the licence that is offered (SPDX).
//!
//! A lint, no lawyer: it finds contradictions that are there in black and white. What it cannot know stands as a note.

use serde::Serialize;
use spdx::{Expression, LicenseItem, LicenseReq};

use crate::refusal::{Code, Refusal};

/// What a source says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// Its licence as an SPDX expression, where it has one.
    pub expression: Option<&'a str>,
    /// What its own page or licence text says.
    pub text: &'a str,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It may not be published so.
    Refuse,
    /// The assessor looks at it.
    Note,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub level: Level,
    /// Of which source, counted from 0.
    pub source: usize,
    /// What contradicts what, and what to do.
    pub sentence: String,
}

/// What of a use a licence rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Commercial,
    Changed,
}

/// Words by which a text forbids commercial use or asks money for it.
const NON_COMMERCIAL: &[&str] = &[
    "non-commercial",
    "noncommercial",
    "non commercial",
    "by-nc",
    "非商业",
    "非商用",
    "禁止商用",
    "不得用于商业",
    "不得商用",
    "商业授权",
    "需采购",
];
/// Words that allow both, and hold one of those above.
const BOTH: &[&str] = &[
    "commercial or non-commercial",
    "commercial and non-commercial",
    "non-commercial or commercial",
    "non-commercial and commercial",
    "commercial or noncommercial",
    "commercial and noncommercial",
];
/// Words by which a text forbids changed copies.
const UNCHANGED: &[&str] = &[
    "no derivatives",
    "no-derivatives",
    "noderivatives",
    "noderivs",
    "by-nd",
    "by-nc-nd",
    "禁止演绎",
];

/// Compares the licence that is offered with those of the sources.
///
/// *Refused*: a source that forbids commercial use, or changed copies, by its licence or its text, where the offer allows
/// them; a copyleft or share-alike source offered under another licence; a source's text against its own licence.
/// *Noted*: a source without a licence that is known here, which needs a contract; a text that keeps all rights.
/// # Errors
/// `dataset.licence` where what is offered is no SPDX expression.
pub fn lint(offered: &str, sources: &[Source<'_>]) -> Result<Vec<Finding>, Refusal> {
    let offer = Expression::parse(offered).ok().filter(says_something);
    let offer = offer.ok_or_else(|| {
        let sentence = format!(
            "the licence {offered:?} is no SPDX expression; name one, or LicenseRef-… for a contract of your own"
        );
        Refusal::new(Code::DatasetLicence, sentence)
    })?;
    let mut findings = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let mut find = |level: Level, sentence: String| {
            findings.push(Finding {
                level,
                source: number,
                sentence,
            });
        };
        compare(&offer, source, &mut find);
    }
    Ok(findings)
}

/// The refusal of a submission that has findings of that level.
/// # Errors
/// `dataset.licence`
pub fn check_findings(findings: &[Finding]) -> Result<(), Refusal> {
    let found = findings.iter().find(|found| found.level == Level::Refuse);
    found.map_or(Ok(()), |found| {
        let sentence = format!("source {}: {}", found.source, found.sentence);
        Err(Refusal::new(Code::DatasetLicence, sentence).with("source", found.source))
    })
}

fn compare(offer: &Expression, source: &Source<'_>, find: &mut impl FnMut(Level, String)) {
    let text = plain(source.text);
    let licence = source.expression.and_then(known);
    for (of, name, words) in [
        (Use::Commercial, "commercial use", NON_COMMERCIAL),
        (Use::Changed, "changed copies", UNCHANGED),
    ] {
        let said = words.iter().find(|word| text.contains(**word));
        let by_licence = licence.as_ref().map(|licence| allows(licence, of));
        if let (Some(word), Some(true), Some(expression)) = (said, by_licence, source.expression) {
            find(
                Level::Refuse,
                format!(
                    "its text says {word:?}, its licence {expression} allows {name}; one of them is wrong: ask the source"
                ),
            );
        } else if (said.is_some() || by_licence == Some(false)) && allows(offer, of) {
            find(
                Level::Refuse,
                format!(
                    "it does not allow {name}, the offered licence {offer} does; offer a narrower one or take the source out"
                ),
            );
        }
    }
    match &licence {
        None => find(
            Level::Note,
            "its licence is not a known one; a contract with its owner must be there".to_owned(),
        ),
        Some(licence) if !is_kept(licence, offer) => find(
            Level::Refuse,
            format!(
                "its licence {licence} wants what is made of it to stay under it, offered is {offer}; offer it under the same licence or take the source out"
            ),
        ),
        Some(_) => {}
    }
    if let Some((_, owner)) = text.split_once("版权归")
        && owner.contains("所有")
    {
        find(
            Level::Note,
            "its text says 版权归…所有: the owner keeps its rights, so its consent must be there"
                .to_owned(),
        );
    }
}

/// A source's licence where it says what is allowed: `LicenseRef-…`, `NONE` and what does not parse say nothing.
fn known(expression: &str) -> Option<Expression> {
    let parsed = Expression::parse(expression).ok().filter(says_something)?;
    let is_known = |req: &LicenseReq| matches!(req.license, LicenseItem::Spdx { .. });
    parsed.evaluate(is_known).then_some(parsed)
}

/// `NONE` and `NOASSERTION` are on SPDX's list and say nothing.
fn says_something(licence: &Expression) -> bool {
    let nothing = |text: &str| text == "NONE" || text == "NOASSERTION";
    !licence
        .requirements()
        .any(|own| nothing(&own.req.license.to_string()))
}

/// Whether one of the alternatives allows a use.
fn allows(licence: &Expression, of: Use) -> bool {
    licence.evaluate(|req| {
        let text = req.license.to_string();
        let has = |part: &str| text.split('-').any(|own| own == part);
        match of {
            Use::Commercial => !has("NC") && !has("Noncommercial"),
            Use::Changed => !has("ND"),
        }
    })
}

/// Whether what a source wants to stay under its licence does: one of its alternatives wants nothing, or is offered.
fn is_kept(licence: &Expression, offer: &Expression) -> bool {
    licence.evaluate(|req| {
        let text = req.license.to_string();
        let id = req.license.id();
        let keeps = id.is_some_and(|id| id.is_copyleft())
            || text.split('-').any(|part| part == "SA")
            || text.starts_with("ODbL");
        // The same name; its later versions too, as these licences allow.
        !keeps
            || offer
                .requirements()
                .any(|own| own.req.license.to_string() == text)
    })
}

/// Lower case, without the phrases that allow both.
fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace(['–', '‑'], "-");
    BOTH.iter()
        .fold(text, |text, phrase| text.replace(phrase, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(offered: &str, expression: Option<&str>, text: &str) -> Vec<Level> {
        let found = lint(offered, &[Source { expression, text }]).unwrap();
        found.iter().map(|found| found.level).collect()
    }

    #[test]
    fn a_non_commercial_source_refuses_a_commercial_offer() {
        let refused = vec![Level::Refuse];
        assert_eq!(levels("CC-BY-4.0", Some("CC-BY-NC-4.0"), ""), refused);
        assert_eq!(levels("LicenseRef-acme", Some("CC-BY-NC-4.0"), ""), refused);
        assert_eq!(levels("CC-BY-NC-4.0", Some("CC-BY-NC-4.0"), ""), []);
        assert_eq!(levels("CC-BY-4.0", Some("CC-BY-ND-4.0"), ""), refused);
        let both = vec![Level::Refuse, Level::Note];
        for text in [
            "For non-commercial use only.",
            "商业授权请联系我们",
            "商用需采购",
        ] {
            assert_eq!(levels("MIT", None, text), both, "{text}");
            assert_eq!(levels("MIT", Some("CC-BY-4.0"), text), refused, "{text}");
            assert_eq!(
                levels("CC-BY-NC-4.0", Some("CC-BY-NC-4.0"), text),
                [],
                "{text}"
            );
        }
        let free = "Any purpose, commercial or non-commercial.";
        assert_eq!(levels("MIT", Some("MIT"), free), []);
    }

    #[test]
    fn what_must_stay_under_its_licence_is_offered_under_it() {
        for licence in ["CC-BY-SA-4.0", "GPL-3.0-only", "ODbL-1.0"] {
            assert_eq!(
                levels("CC-BY-4.0", Some(licence), ""),
                [Level::Refuse],
                "{licence}"
            );
            assert_eq!(levels(licence, Some(licence), ""), [], "{licence}");
        }
        assert_eq!(levels("CC-BY-4.0", Some("MIT OR GPL-3.0-only"), ""), []);
        assert_eq!(
            levels("CC-BY-4.0", Some("MIT AND GPL-3.0-only"), ""),
            [Level::Refuse]
        );
    }

    #[test]
    fn what_is_not_known_needs_a_contract() {
        for expression in [
            None,
            Some("LicenseRef-acme"),
            Some("NONE"),
            Some("NOASSERTION"),
            Some("unknown"),
            Some(""),
        ] {
            assert_eq!(
                levels("CC-BY-4.0", expression, ""),
                [Level::Note],
                "{expression:?}"
            );
        }
        let kept = levels("CC-BY-4.0", Some("CC-BY-4.0"), "版权归某某公司所有");
        assert_eq!(kept, [Level::Note]);
    }

    #[test]
    fn what_is_offered_is_an_expression_and_a_refusal_names_the_source() {
        for bad in ["", "NOASSERTION", "free", "CC-BY", "MIT OR"] {
            let refused = lint(bad, &[]).unwrap_err();
            assert_eq!(refused.code, Code::DatasetLicence, "{bad}");
        }
        let source = |expression| Source {
            expression: Some(expression),
            text: "",
        };
        let found = lint("MIT", &[source("MIT"), source("CC-BY-NC-4.0")]).unwrap();
        let refused = check_findings(&found).unwrap_err();
        assert_eq!(refused.values, [("source", "1".to_owned())]);
        assert!(check_findings(&lint("MIT", &[source("MIT")]).unwrap()).is_ok());
    }
}
