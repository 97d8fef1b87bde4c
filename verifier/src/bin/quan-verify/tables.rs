//! Statistics, signals and findings as pages for people; money in CNY with two decimals.

use std::fmt::Write as _;

use verifier::analysis::cross::{Crossing, Finding};
use verifier::analysis::signals::{Signal, Signals};
use verifier::analysis::stats::{Part, Stats, Use};

/// Fen as CNY: 100 fen are 1 CNY.
pub(crate) fn cny(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

/// Basis points as per cent.
pub(crate) fn percent(bp: i64) -> String {
    let sign = if bp < 0 { "-" } else { "" };
    let bp = bp.unsigned_abs();
    format!("{sign}{}.{:02} %", bp / 100, bp % 100)
}

/// GPU-seconds as GPU-hours, rounded down to a tenth.
pub(crate) fn gpu_hours(seconds: i64) -> String {
    let tenths = seconds / 360;
    let sign = if tenths < 0 { "-" } else { "" };
    let tenths = tenths.unsigned_abs();
    format!("{sign}{}.{} GPU-h", tenths / 10, tenths % 10)
}

/// The statistics of a trail.
pub(crate) fn stats(stats: &Stats) -> String {
    let mut page = String::new();
    let origin = stats.origin.as_deref().unwrap_or("an unknown log");
    let until = stats
        .until
        .map_or_else(String::new, |at| format!(", until {at}"));
    let _ = writeln!(page, "{origin}: {} entries{until}", stats.entries);
    let _ = writeln!(page, "\nuse of shared hardware, by site and week");
    for row in &stats.sites {
        let name = format!("{} {} {}", row.site, row.region, row.gpu_model);
        used(&mut page, (&name, &row.week.to_string()), &row.used);
    }
    let _ = writeln!(page, "\nuse of shared hardware, by region and week");
    for row in &stats.regions {
        used(
            &mut page,
            (&row.region.to_string(), &row.week.to_string()),
            &row.used,
        );
    }
    let subsidy = &stats.subsidy;
    for (title, parts) in [
        ("scheme", &subsidy.schemes),
        ("programme", &subsidy.programmes),
        ("size class of the buyer", &subsidy.size_classes),
        ("evidence level", &subsidy.levels),
        ("whose word it rests on", &subsidy.words),
    ] {
        let _ = writeln!(page, "\nsubsidy in CNY, by {title}");
        let _ = writeln!(
            page,
            "  {:<40} {:>8} {:>18} {:>18} {:>18}",
            "", "orders", "earned", "taken back", "granted"
        );
        parts.iter().for_each(|row| part(&mut page, row));
    }
    page
}

fn used(page: &mut String, (name, week): (&str, &str), used: &Use) {
    let _ = writeln!(
        page,
        "  {name:<52} {week}  {:>16} of {:>16}  {:>9}",
        gpu_hours(used.billed_gpu_seconds),
        gpu_hours(used.shared_gpu_seconds),
        percent(used.utilisation_bp)
    );
}

fn part(page: &mut String, part: &Part) {
    let _ = writeln!(
        page,
        "  {:<40} {:>8} {:>18} {:>18} {:>18}",
        part.name,
        part.orders,
        cny(part.earned_fen),
        cny(part.taken_back_fen),
        cny(part.granted_fen)
    );
}

/// What was looked for, and what was seen.
pub(crate) fn signals(signals: &Signals) -> String {
    let mut page = String::new();
    let _ = writeln!(
        page,
        "{} signals in {} kinds; a signal is no verdict: read on at its entries",
        signals.seen.len(),
        signals.kinds.len()
    );
    for kind in &signals.kinds {
        let thresholds: Vec<_> = kind
            .thresholds
            .iter()
            .map(|(name, value)| number(name, *value))
            .collect();
        let _ = writeln!(page, "\n{}: {}", kind.name, kind.looks_for);
        let _ = writeln!(page, "  from {}", thresholds.join(" · "));
        let seen = signals.seen.iter().filter(|one| one.signal == kind.name);
        seen.for_each(|one| signal(&mut page, one));
    }
    page
}

fn signal(page: &mut String, signal: &Signal) {
    let parties: Vec<_> = signal.parties.iter().map(ToString::to_string).collect();
    let numbers: Vec<_> = signal
        .numbers
        .iter()
        .map(|(name, value)| number(name, *value))
        .collect();
    let entries: Vec<_> = signal.entries.iter().map(ToString::to_string).collect();
    let _ = writeln!(page, "  - {}", numbers.join(" · "));
    let _ = writeln!(page, "      parties  {}", parties.join(" "));
    let _ = writeln!(page, "      about    {}", signal.subjects.join(" "));
    let _ = writeln!(page, "      entries  {}", entries.join(" "));
}

/// A number with the unit that its name ends in.
fn number(name: &str, value: i64) -> String {
    if let Some(name) = name.strip_suffix("_fen") {
        return format!("{name} {} CNY", cny(value));
    }
    if let Some(name) = name.strip_suffix("_bp") {
        return format!("{name} {}", percent(value));
    }
    if let Some(name) = name.strip_suffix("_seconds") {
        return format!("{name} {} d", value / 86_400);
    }
    format!("{name} {value}")
}

/// What several trails say together.
pub(crate) fn crossing(crossing: &Crossing) -> String {
    let mut page = String::new();
    let _ = writeln!(
        page,
        "{}: {} trails, {} sites in common, {} findings",
        if crossing.findings.is_empty() {
            "agree"
        } else {
            "differ"
        },
        crossing.trails.len(),
        crossing.common_sites,
        crossing.findings.len()
    );
    crossing
        .findings
        .iter()
        .for_each(|one| finding(&mut page, one));
    page
}

fn finding(page: &mut String, finding: &Finding) {
    let _ = writeln!(
        page,
        "  {}  {}  ({} times)",
        finding.code, finding.about, finding.count
    );
    for span in &finding.spans {
        let _ = writeln!(
            page,
            "      {} to {}  {} of at most {}",
            span.from, span.to, span.sum, span.limit
        );
    }
    for place in &finding.places {
        let entry = place
            .entry
            .map_or_else(String::new, |seq| format!(" entry {seq}"));
        let _ = writeln!(page, "      in {}{entry}  {}", place.trail, place.subject);
    }
}
