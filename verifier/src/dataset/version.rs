//! The names of versions: `SemVer` 2.0.0, and the least step that a change of the files asks for (Croissant 1.1, versions).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::Manifest;
use crate::refusal::{Code, Refusal};

/// How much changed between two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The same contents under other paths, or other words about them.
    Patch,
    /// All contents are still there, and more.
    Minor,
    /// A content is gone or was changed.
    Major,
}

/// A version by `SemVer` 2.0.0; build metadata is read and does not order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SemVer {
    core: [u64; 3],
    before: Vec<Part>,
}

/// A part of a pre-release: numbers come before words (`SemVer` 2.0.0, 11.4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

impl SemVer {
    /// Reads `major.minor.patch`, with `-pre.release` and `+build` where they are.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, build) = text.split_once('+').unwrap_or((text, "0"));
        let (core, before) = match rest.split_once('-') {
            Some((core, before)) => (core, Some(before)),
            None => (rest, None),
        };
        let is_word = |part: &str| {
            let good = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
            !part.is_empty() && part.bytes().all(good)
        };
        if !build.split('.').all(is_word) {
            return None;
        }
        let core: Option<Vec<u64>> = core.split('.').map(number).collect();
        let part = |part: &str| {
            if part.bytes().all(|c| c.is_ascii_digit()) {
                return number(part).map(Part::Number);
            }
            is_word(part).then(|| Part::Word(part.to_owned()))
        };
        let before = before.map_or(Some(Vec::new()), |text| text.split('.').map(part).collect());
        Some(Self {
            core: core?.try_into().ok()?,
            before: before?,
        })
    }

    /// The least version after this one by a step.
    #[must_use]
    pub fn least(&self, step: Step) -> String {
        let [major, minor, patch] = self.core;
        match step {
            Step::Patch => format!("{major}.{minor}.{}", patch.saturating_add(1)),
            Step::Minor => format!("{major}.{}.0", minor.saturating_add(1)),
            Step::Major => format!("{}.0.0", major.saturating_add(1)),
        }
    }
}

impl PartialOrd for SemVer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SemVer {
    fn cmp(&self, other: &Self) -> Ordering {
        // A release comes after all its pre-releases.
        let key = |version: &Self| (version.core, version.before.is_empty());
        let order = key(self).cmp(&key(other));
        order.then_with(|| self.before.cmp(&other.before))
    }
}

/// Decimal without a sign or leading zeros.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

/// How much changed from one manifest to the next, by their contents.
#[must_use]
pub fn step(before: &Manifest, after: &Manifest) -> Step {
    let contents = |manifest: &Manifest| -> BTreeSet<[u8; 32]> {
        manifest.files().iter().map(|file| file.sha256).collect()
    };
    let (old, new) = (contents(before), contents(after));
    if old == new {
        Step::Patch
    } else if old.is_subset(&new) {
        Step::Minor
    } else {
        Step::Major
    }
}

/// Checks that a new version's name says how much changed. A name before it that is no `SemVer` asks for none.
/// # Errors
/// `listing.incomplete` names the least version.
pub fn check_step(before: (&str, &Manifest), after: (&str, &Manifest)) -> Result<(), Refusal> {
    let Some(new) = SemVer::parse(after.0) else {
        let sentence = format!(
            "the version {:?} is not major.minor.patch (SemVer 2.0.0)",
            after.0
        );
        return Err(Refusal::new(Code::ListingIncomplete, sentence));
    };
    let Some(old) = SemVer::parse(before.0) else {
        return Ok(());
    };
    let step = step(before.1, after.1);
    let least = old.least(step);
    if SemVer::parse(&least).is_none_or(|least| new >= least) {
        return Ok(());
    }
    let changed = match step {
        Step::Patch => "the files are those of",
        Step::Minor => "files were added to those of",
        Step::Major => "files are gone or changed since",
    };
    let sentence = format!(
        "{changed} {}: the next version is at least {least}, not {}",
        before.0, after.0
    );
    Err(Refusal::new(Code::ListingIncomplete, sentence).with("least", least))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::FileLine;

    fn manifest(fills: &[u8]) -> Manifest {
        let file = |fill: &u8| FileLine {
            sha256: [*fill; 32],
            bytes: 1,
            path: format!("file {fill}"),
        };
        Manifest::new(fills.iter().map(file).collect()).unwrap()
    }

    #[test]
    fn versions_are_ordered_as_semver_says() {
        // SemVer 2.0.0, 11.4.4 and 11.2.
        let ascending = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "2.0.0",
            "2.1.0",
            "2.1.1",
            "10.0.0",
        ];
        let read: Vec<SemVer> = ascending
            .iter()
            .map(|text| SemVer::parse(text).unwrap())
            .collect();
        assert!(read.is_sorted_by(|one, next| one < next));
        let build = SemVer::parse("1.0.0+exp.sha.5114f85").unwrap();
        assert_eq!(build.cmp(&SemVer::parse("1.0.0").unwrap()), Ordering::Equal);
        for bad in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "01.0.0",
            "1.0.0-",
            "1.0.0-01",
            "1.0.0+",
            "1.0.0-a..b",
            "v1.0.0",
            "1.0.x",
            "+1.0.0",
        ] {
            assert_eq!(SemVer::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bigger_change_than_the_version_says_is_named() {
        let old = manifest(&[1, 2]);
        let least = |after: &str, new: &Manifest| {
            let refused = check_step(("1.2.3", &old), (after, new)).unwrap_err();
            assert_eq!(refused.code, Code::ListingIncomplete);
            refused.values.first().map(|(_, least)| least.clone())
        };
        let ok = |after: &str, new: &Manifest| check_step(("1.2.3", &old), (after, new)).is_ok();
        let (same, more, other) = (manifest(&[1, 2]), manifest(&[1, 2, 3]), manifest(&[1, 3]));
        assert_eq!(least("1.2.3", &same).as_deref(), Some("1.2.4"));
        assert!(ok("1.2.4", &same));
        assert_eq!(least("1.2.4", &more).as_deref(), Some("1.3.0"));
        assert!(ok("1.3.0", &more));
        assert_eq!(least("1.9.0", &other).as_deref(), Some("2.0.0"));
        assert!(ok("2.0.0", &other));
        assert_eq!(least("2.0", &other), None);
        assert!(check_step(("2025-10", &old), ("0.1.0", &other)).is_ok());
    }
}
