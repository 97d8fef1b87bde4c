//! `stats`, `signals` and `cross`: what audited trails say taken together (DESIGN §8, §9).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::{Answer, NotChecked, print, read_policy, tables};
use verifier::analysis::Study;
use verifier::analysis::cross::cross;
use verifier::analysis::signals::signals;
use verifier::analysis::stats::stats;
use verifier::audit::{self, Depth, Report, Verdict};

/// A trail, audited and studied.
pub(crate) struct Studied {
    pub(crate) report: Report,
    pub(crate) study: Study,
}

impl Studied {
    /// Audits a trail and studies it.
    pub(crate) fn read(folder: &Path, policy: &Path) -> Result<Self, NotChecked> {
        Self::read_into(Study::new(), folder, policy)
    }

    /// Audits a trail and studies it by a study of one's own.
    pub(crate) fn read_into(
        study: Study,
        folder: &Path,
        policy: &Path,
    ) -> Result<Self, NotChecked> {
        let policy = read_policy(policy)?;
        let mut folder = Folder::open(folder)?;
        let report = audit::audit(&mut folder, &policy, Depth::Decisions)?;
        Self::of_all(study, report, &mut folder)
    }

    /// Reads the entries of an audited trail once more; that they are the same ones is seen by their root.
    pub(crate) fn of(report: Report, folder: &mut Folder) -> Result<Self, NotChecked> {
        Self::of_all(Study::new(), report, folder)
    }

    fn of_all(mut study: Study, report: Report, folder: &mut Folder) -> Result<Self, NotChecked> {
        folder.entries(|_, bytes| study.take(bytes))?;
        if report.verdict == Verdict::Agree && report.withheld == 0 {
            if report.root != Some(study.root().to_string()) {
                let why = "the trail changed while it was read; copy it first, then check the copy";
                return Err(NotChecked(why.to_owned()));
            }
            if let Some(stopped) = study.stopped() {
                let why = format!("entry {} cannot be applied: {}", stopped.seq, stopped.why);
                return Err(NotChecked(why));
            }
        }
        Ok(Self { report, study })
    }

    pub(crate) fn agrees(&self) -> bool {
        self.report.verdict == Verdict::Agree
    }

    /// What must be said before anything else: that the trail differs, and how far the numbers go.
    pub(crate) fn warning(&self) -> String {
        if self.agrees() {
            return String::new();
        }
        let mut page = print::report(&self.report, false);
        if let Some(stopped) = self.study.stopped() {
            page.push_str(&format!(
                "  the numbers below are over the entries before {}\n",
                stopped.seq
            ));
        }
        page.push('\n');
        page
    }

    pub(crate) fn verdict(&self) -> Value {
        json!({
            "verdict": self.report.verdict, "origin": self.report.origin, "entries": self.report.entries,
            "root": self.report.root, "differences": self.report.differences,
            "stopped_at": self.study.stopped().map(|stopped| stopped.seq),
        })
    }
}

/// Use by site, region and week; subsidy by scheme, programme, size class, evidence level and word.
pub(crate) fn show_stats(folder: &Path, policy: &Path, json: bool) -> Result<Answer, NotChecked> {
    let studied = Studied::read(folder, policy)?;
    let stats = stats(&studied.study);
    let page = if json {
        print::object(&json!({"trail": studied.verdict(), "stats": stats}))
    } else {
        studied.warning() + &tables::stats(&stats)
    };
    Ok(Answer {
        agrees: studied.agrees(),
        page,
    })
}

/// Patterns that are worth a look.
pub(crate) fn show_signals(folder: &Path, policy: &Path, json: bool) -> Result<Answer, NotChecked> {
    let studied = Studied::read(folder, policy)?;
    let signals = signals(&studied.study);
    let page = if json {
        print::object(&json!({"trail": studied.verdict(), "signals": signals}))
    } else {
        studied.warning() + &tables::signals(&signals)
    };
    Ok(Answer {
        agrees: studied.agrees(),
        page,
    })
}

/// What only several trails show. A finding is a difference.
pub(crate) fn show_crossing(
    folders: &[PathBuf],
    policies: &[PathBuf],
    json: bool,
) -> Result<Answer, NotChecked> {
    if folders.len() < 2 {
        let why = "one trail cannot be compared: give two or more";
        return Err(NotChecked(why.to_owned()));
    }
    let all = with_policies(folders, policies)?;
    let trails = all
        .into_iter()
        .map(|(folder, policy)| Studied::read(folder, policy))
        .collect::<Result<Vec<_>, _>>()?;
    let origins: BTreeSet<_> = trails.iter().map(|one| &one.report.origin).collect();
    if origins.len() < trails.len() {
        let why = "two of these trails are of one log: give each exchange once";
        return Err(NotChecked(why.to_owned()));
    }
    let studies: Vec<_> = trails.iter().map(|one| &one.study).collect();
    let crossing = cross(&studies);
    let page = if json {
        let verdicts: Vec<_> = trails.iter().map(Studied::verdict).collect();
        print::object(&json!({"trails": verdicts, "cross": crossing}))
    } else {
        let warnings: String = trails.iter().map(Studied::warning).collect();
        warnings + &tables::crossing(&crossing)
    };
    Ok(Answer {
        agrees: crossing.findings.is_empty() && trails.iter().all(Studied::agrees),
        page,
    })
}

/// One policy for all trails, or one a trail in the same order.
fn with_policies<'a>(
    folders: &'a [PathBuf],
    policies: &'a [PathBuf],
) -> Result<Vec<(&'a Path, &'a Path)>, NotChecked> {
    match policies {
        [policy] => Ok(folders.iter().map(|one| (&**one, &**policy)).collect()),
        several if several.len() == folders.len() => {
            let pairs = folders.iter().zip(several);
            Ok(pairs.map(|(one, policy)| (&**one, &**policy)).collect())
        }
        several => Err(NotChecked(format!(
            "{} policies for {} trails: give one for all, or one for each in the same order",
            several.len(),
            folders.len()
        ))),
    }
}
