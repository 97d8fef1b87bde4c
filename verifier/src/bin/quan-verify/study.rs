//! `stats`, `signals` and `cross`: what audited trails say taken together (DESIGN §8, §9).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::{Answer, NotChecked, print, read_policy, tables};
use verifier::analysis::Study;
use verifier::analysis::stats::stats;
use verifier::audit::{self, Depth, Report, Verdict};

/// A trail, audited and studied.
pub(crate) struct Studied {
    pub(crate) report: Report,
    pub(crate) study: Study,
}

impl Studied {
    /// Audits a trail, then reads its entries once more; that they are the same ones is seen by their root.
    pub(crate) fn read(folder: &Path, policy: &Path) -> Result<Self, NotChecked> {
        let policy = read_policy(policy)?;
        let mut folder = Folder::open(folder)?;
        let report = audit::audit(&mut folder, &policy, Depth::Decisions)?;
        let mut study = Study::new();
        folder.entries(|_, bytes| study.take(bytes))?;
        if report.verdict == Verdict::Agree {
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
    fn warning(&self) -> String {
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

    fn verdict(&self) -> Value {
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
