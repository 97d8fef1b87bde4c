//! Bundles for whoever sees one scope: what is withheld has length 0, its hash is in the tile of level 0 (TRAIL E1).

use std::fmt;

use crate::book::scope::Scope;
use crate::refusal::Refusal;
use crate::trail::bundle::{self, BundlePath};
use crate::trail::{Flaw, FlawKind};

/// Before every path of a redacted bundle.
const REDACTED: &str = "redacted/";
/// Before every path of a bundle.
const BUNDLES: &str = "tile/entries/";

/// Which redacted bundle: `redacted/<scope>/<number>[.p/<width>]`. The path is its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedactedPath {
    /// For whom.
    pub scope: Scope,
    /// What is redacted.
    pub bundle: BundlePath,
}

impl RedactedPath {
    /// Reads a path in its one spelling, without a leading slash.
    /// # Errors
    /// `trail.tile-path`
    pub fn parse(path: &str) -> Result<Self, Flaw> {
        let wrong = || {
            let sentence = "a redacted bundle is at redacted/<scope>/<number>[.p/<width>], its scope common, fund/<id> or region/<six digits>";
            Flaw::new(FlawKind::TilePath, sentence)
        };
        let rest = path.strip_prefix(REDACTED).ok_or_else(wrong)?;
        // The scope's own slash comes first, but for the one that has none.
        let slash = usize::from(!rest.starts_with("common/"));
        let (end, _) = rest.match_indices('/').nth(slash).ok_or_else(wrong)?;
        let (scope, place) = rest.split_at(end);
        let place = place.trim_start_matches('/');
        let read = Self {
            scope: Scope::parse(scope).map_err(|_| wrong())?,
            bundle: BundlePath::parse(&format!("{BUNDLES}{place}"))?,
        };
        if read.to_string() == path {
            Ok(read)
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for RedactedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bundle = self.bundle.to_string();
        let place = bundle.strip_prefix(BUNDLES).unwrap_or(&bundle);
        write!(f, "{REDACTED}{}/{place}", self.scope)
    }
}

/// Withholds the entries of a bundle that whoever is limited to `scope` does not see.
/// # Errors
/// `trail.bundle`, or `entry.spelling` for bytes that are no entries.
pub fn redact(bytes: &[u8], width: u16, scope: &Scope) -> Result<Vec<u8>, NotRedacted> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for entry in bundle::decode(bytes, width)? {
        let scopes = Scope::of_entry(entry)?;
        let seen = scopes.iter().any(|(other, _)| scope.covers(other));
        kept.push(if seen { entry } else { &[] });
    }
    Ok(bundle::encode(kept)?)
}

/// A bundle of a log that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRedacted {
    /// It is no bundle.
    Bundle(Flaw),
    /// It holds something else than entries.
    Entry(Refusal),
}

impl fmt::Display for NotRedacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(flaw) => flaw.fmt(f),
            Self::Entry(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for NotRedacted {}

impl From<Flaw> for NotRedacted {
    fn from(flaw: Flaw) -> Self {
        Self::Bundle(flaw)
    }
}

impl From<Refusal> for NotRedacted {
    fn from(refusal: Refusal) -> Self {
        Self::Entry(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for good in [
            "redacted/common/000",
            "redacted/fund/sh-2025/000.p/7",
            "redacted/region/310000/x001/x234/067.p/112",
        ] {
            assert_eq!(RedactedPath::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "redacted/000",
            "redacted/fund/000",
            "redacted/fund/sh-2025",
            "redacted/fund/sh-2025//000",
            "redacted/fund/SH/000",
            "redacted/region/31/000",
            "redacted/city/310000/000",
            "redacted/common//000",
            "redacted/common/x000",
            "redacted/common/000.p/0",
            "tile/entries/000",
            "/redacted/common/000",
        ] {
            assert!(RedactedPath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_withheld_has_length_0_and_nothing_moves() {
        let entry = |scopes: &str| format!(r#"{{"scopes":[{scopes}]}}"#).into_bytes();
        let (common, own, other) = (
            entry(r#"["common",0]"#),
            entry(r#"["fund/a-1",0],["fund/b-1",0]"#),
            entry(r#"["fund/b-1",1],["region/310000",0]"#),
        );
        let none = entry("");
        let whole = bundle::encode([&*common, &*own, &*other, &*none]).unwrap();
        let redacted = redact(&whole, 4, &Scope::parse("fund/a-1").unwrap()).unwrap();
        let kept = bundle::decode(&redacted, 4).unwrap();
        assert_eq!(kept, [&*common, &*own, b"", b""]);
        let redacted = redact(&whole, 4, &Scope::parse("region/310000").unwrap()).unwrap();
        let kept = bundle::decode(&redacted, 4).unwrap();
        assert_eq!(kept, [&*common, b"", &*other, b""]);
        assert!(redact(&whole, 3, &Scope::Common).is_err());
    }
}
