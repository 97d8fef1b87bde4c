//! Whose money: funds opened by their funders and filled with the published figures (facts/programmes.md §2).
//!
//! Where no figure is published the amount is ours, and the line says so.

use serde_json::json;

use super::Fault;
use super::cast::Cast;

/// The budget year of the story; the published figures are yearly ones of 2025.
const YEAR: i64 = 2026;

struct Line {
    fund: &'static str,
    funder: &'static str,
    region: &'static str,
    scheme: &'static str,
    fen: i64,
}

#[rustfmt::skip]
const FUNDS: &[Line] = &[
    // 600M CNY compute and 100M CNY training data: stated totals, no period.
    Line { fund: "sh-compute-2025", funder: "sh-finance", region: "310000", scheme: "compute", fen: 60_000_000_000 },
    Line { fund: "sh-corpus-2025", funder: "sh-finance", region: "310000", scheme: "data", fen: 10_000_000_000 },
    // Up to 100M CNY a year.
    Line { fund: "cd-compute-2025", funder: "chengdu-finance", region: "510100", scheme: "compute", fen: 10_000_000_000 },
    // 30M CNY of vouchers; and about 1bn CNY, which is all provincial AI support and no voucher pot: no programme draws on it.
    Line { fund: "sd-compute-2025", funder: "sd-finance", region: "370000", scheme: "compute", fen: 3_000_000_000 },
    Line { fund: "sd-ai-support-2025", funder: "sd-finance", region: "370000", scheme: "no voucher", fen: 100_000_000_000 },
    // Up to 500M CNY a year.
    Line { fund: "sz-training-2025", funder: "sz-finance", region: "440300", scheme: "compute", fen: 50_000_000_000 },
    // At most 50M CNY a year; province and city pay one to one.
    Line { fund: "ha-province-2025", funder: "henan-finance", region: "410000", scheme: "compute", fen: 2_500_000_000 },
    Line { fund: "ha-zhengzhou-2025", funder: "zhengzhou-finance", region: "410100", scheme: "compute", fen: 2_500_000_000 },
    // Not published; ours.
    Line { fund: "zz-compute-2025", funder: "zhengzhou-finance", region: "410100", scheme: "compute", fen: 1_000_000_000 },
    Line { fund: "bj-compute-2025", funder: "bj-finance", region: "110000", scheme: "compute", fen: 5_000_000_000 },
];

/// Opens and fills every fund.
pub(super) fn open(cast: &Cast) -> Result<(), Fault> {
    for line in FUNDS {
        let funder = cast.client(line.funder)?;
        let opened = json!({
            "fund": line.fund, "funder": line.funder, "year": YEAR, "region": line.region,
        });
        funder.ask("/v1/funds", &opened)?;
        let filled = json!({ "fund": line.fund, "fen": line.fen });
        funder.ask("/v1/funds/appropriate", &filled)?;
    }
    Ok(())
}

/// Every fund with its funder's label.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    FUNDS.iter().map(|line| (line.fund, line.funder))
}

/// What a fund pays for.
pub(super) fn scheme(fund: &str) -> &'static str {
    let line = FUNDS.iter().find(|line| line.fund == fund);
    line.map_or("", |line| line.scheme)
}
