//! Statistics, signals and findings as pages for people; money in CNY with two decimals.

use std::fmt::Write as _;

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
