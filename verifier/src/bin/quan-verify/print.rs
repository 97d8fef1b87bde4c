//! What is printed: a page for people, or JSON for programs.

use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;

use crate::explain;
use verifier::audit::{Balance, Report, ScopeSeen, Verdict};
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
        Verdict::Withheld => "withheld",
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
    let is_cut = report.withheld > 0;
    if is_cut {
        let _ = writeln!(
            page,
            "  withheld  {} entries, of which the tree has the hash; {} of those here rest on them and were not decided again",
            report.withheld, report.undecided
        );
    }
    report.scopes.iter().for_each(|seen| scope(&mut page, seen));
    report
        .funds
        .iter()
        .for_each(|fund| balance(&mut page, fund, is_cut));
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

fn scope(page: &mut String, seen: &ScopeSeen) {
    let sealed = match (seen.sealed, seen.sealed_at) {
        (Some(count), Some(at)) => format!("entry {at} states {count} before it"),
        _ => "no entry states how many there are".to_owned(),
    };
    let _ = writeln!(page, "  scope {}  {} seen, {sealed}", seen.scope, seen.seen);
}

fn balance(page: &mut String, balance: &Balance, is_cut: bool) {
    let basis = match (is_cut, balance.whole) {
        (false, _) => "",
        (true, true) => "  (recomputed from the entries of this scope)",
        (true, false) => "  (of a part of its entries only)",
    };
    let held = balance.fen.iter().filter(|(_, fen)| **fen != 0);
    let held: Vec<_> = held
        .map(|(kind, fen)| format!("{kind} {}", explain::yuan(*fen)))
        .collect();
    let _ = writeln!(page, "  fund {}  {}{basis}", balance.fund, held.join(" · "));
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
