//! What the meter prints: rows refused, receipts planned, answers.
#![expect(clippy::print_stdout, reason = "a command's tables are its output")]

use std::collections::BTreeMap;
use std::path::Path;

use verifier::id::OrderId;

use super::Intake;
use super::chain::{Plan, Stream};
use super::row::{RefusedRow, RowCode};
use super::send::Sent;

/// Refused rows that are printed in full, by code; the rest is counted.
const SHOWN_MAX: usize = 10;

/// Prints what became of an export.
pub(super) fn intake(path: &Path, intake: &Intake) {
    let super::Intake { judged, taken } = intake;
    println!(
        "{}: {} new, {} changed, {} known runs; {} steps passed over, {} rows repeated",
        path.display(),
        taken.new,
        taken.changed,
        taken.known,
        judged.steps,
        judged.repeated,
    );
    for remark in &judged.remarks {
        println!(
            "  line {}, {}: {}",
            remark.line, remark.run, remark.sentence
        );
    }
    let mut by_code: BTreeMap<RowCode, Vec<&RefusedRow>> = BTreeMap::new();
    for row in judged.refused.iter().chain(&taken.refused) {
        by_code.entry(row.code).or_default().push(row);
    }
    for (code, rows) in by_code {
        println!("  {:<22} {:>8} rows", code.as_str(), rows.len());
        for row in rows.iter().take(SHOWN_MAX) {
            println!("    line {}, job {}: {}", row.line, row.job, row.sentence);
        }
        if rows.len() > SHOWN_MAX {
            println!("    and {} more", rows.len() - SHOWN_MAX);
        }
    }
}

/// One line of the table of plans.
#[derive(Default)]
struct Line {
    receipts: u64,
    corrections: u64,
    gpu_seconds: i64,
}

/// Prints what is to be signed, by order, site and model.
pub(super) fn plans(plans: &BTreeMap<OrderId, Plan>) {
    let mut lines: BTreeMap<(OrderId, Stream), Line> = BTreeMap::new();
    for (order, plan) in plans {
        for draft in &plan.drafts {
            let line = lines.entry((*order, draft.stream.clone())).or_default();
            if draft.corrects.is_some() {
                line.corrections += 1;
            } else {
                line.receipts += 1;
                line.gpu_seconds += draft.piece.gpu_seconds;
            }
        }
        for crowded in &plan.crowded {
            println!(
                "{order}: {}: {} runs from {} to {}; {} GPU-seconds are not stated: split the order",
                RowCode::Crowded,
                crowded.runs,
                crowded.start,
                crowded.end,
                crowded.gpu_seconds,
            );
        }
    }
    if lines.is_empty() {
        println!("nothing to sign");
        return;
    }
    println!(
        "{:<20}  {:<20}  {:<22} {:>9} {:>11} {:>14}",
        "order", "site", "model", "receipts", "corrections", "GPU-hours"
    );
    for ((order, (site, model)), line) in lines {
        println!(
            "{order:<20}  {site:<20}  {:<22} {:>9} {:>11} {:>14}",
            model.as_str(),
            line.receipts,
            line.corrections,
            hours(line.gpu_seconds),
        );
    }
}

/// Three places, rounded down: for reading only.
fn hours(gpu_seconds: i64) -> String {
    format!(
        "{}.{:03}",
        gpu_seconds / 3_600,
        gpu_seconds % 3_600 * 1_000 / 3_600
    )
}

/// Prints what the exchange answered.
pub(super) fn sent(sent: &Sent) {
    println!(
        "{} accepted, {} known, {} refused; {} signed again",
        sent.accepted,
        sent.known,
        sent.refused.len(),
        sent.signed_again,
    );
    for refused in &sent.refused {
        let super::send::RefusedReceipt {
            order,
            seq,
            code,
            sentence,
        } = refused;
        println!("  {order}.{seq}: {code}: {sentence}");
    }
    for (order, why) in &sent.halted {
        println!("  {order} halted, its receipts stay in the spool: {why}");
    }
}
