//! What is printed: a page for people, or JSON for programs.

use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;

use crate::explain;
use verifier::audit::{Balance, Report, Verdict};
use verifier::trail::Flaw;
use verifier::trail::policy::VerifiedCheckpoint;
use verifier::trail::proof::Proof;

/// The report of an audit.
pub(crate) fn report(report: &Report, json: bool) -> String {
    if json {
        return object(report);
    }
    let mut page = String::new();
    let verdict = match report.verdict {
        Verdict::Agree => "agree",
        Verdict::Differ => "differ",
    };
    let origin = report.origin.as_deref().unwrap_or("an unknown log");
    let _ = writeln!(
        page,
        "{verdict}: {origin}, {} entries, {} decided again, {} differences",
        report.entries,
        report.decided,
        report.differences.len()
    );
    if let Some(root) = &report.root {
        let _ = writeln!(page, "  root  {root}");
    }
    report
        .funds
        .iter()
        .for_each(|fund| balance(&mut page, fund));
    for difference in &report.differences {
        let _ = writeln!(
            page,
            "  {}  {}\n      expected  {}\n      found     {}",
            difference.at, difference.code, difference.expected, difference.found
        );
    }
    for note in &report.notes {
        let _ = writeln!(page, "  note: {note}");
    }
    page
}

fn balance(page: &mut String, balance: &Balance) {
    let held = balance.fen.iter().filter(|(_, fen)| **fen != 0);
    let held: Vec<_> = held
        .map(|(kind, fen)| format!("{kind} {}", explain::yuan(*fen)))
        .collect();
    let _ = writeln!(page, "  fund {}  {}", balance.fund, held.join(" · "));
}

/// The outcome of checking a proof; the entry is in it only if the proof holds.
pub(crate) fn proof(
    verified: Result<(&Proof, (&[u8], VerifiedCheckpoint)), Flaw>,
    json: bool,
) -> String {
    match verified {
        Ok((proof, (entry, head))) => {
            let checkpoint = head.checkpoint();
            if json {
                return object(&json!({
                    "verdict": "agree", "index": proof.index(), "origin": checkpoint.origin().as_str(),
                    "size": checkpoint.size().get(), "root": checkpoint.root().to_string(),
                    "entry": String::from_utf8_lossy(entry),
                }));
            }
            format!(
                "agree: entry {} is in {}, {} entries, root {}\n{}",
                proof.index(),
                checkpoint.origin(),
                checkpoint.size(),
                checkpoint.root(),
                explain::entry(entry)
            )
        }
        Err(flaw) if json => {
            object(&json!({"verdict": "differ", "code": flaw.code(), "found": flaw.sentence()}))
        }
        Err(flaw) => format!("differ: {flaw}\n"),
    }
}

/// One JSON value on one line.
pub(crate) fn object<T: Serialize>(value: &T) -> String {
    // Our own types have text keys only, so this cannot fail; an empty line would still not parse as an agreement.
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}
