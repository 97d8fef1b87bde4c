//! What the story came to, on one page: all figures are the exchange's answers or the audit's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use verifier::audit::{Report, Verdict};

use super::answers::{Answers, Bill, Classes, Enacted};
use super::audit::Promises;
use super::compute::Placed;
use super::data::Bought;
use super::metering::Metered;
use super::payout::Paid;
use super::{Story, funds};

/// Whether the exchange's balances are those that the audit's own book has at the end.
pub(super) fn agrees(answers: &Answers, report: &Report) -> bool {
    let held = |classes: &Classes| -> Classes {
        let held = classes.iter().filter(|(_, fen)| **fen != 0);
        held.map(|(class, fen)| (class.clone(), *fen)).collect()
    };
    let audited = report.funds.iter();
    let audited: BTreeMap<String, Classes> = audited
        .map(|fund| (fund.fund.to_string(), held(&fund.fen)))
        .collect();
    let answered = answers.funds.iter();
    let answered: BTreeMap<String, Classes> = answered
        .map(|(fund, classes)| (fund.clone(), held(classes)))
        .collect();
    audited == answered && report.verdict == Verdict::Agree
}

const HEADING: &str = "\
Three months on an exchange of its own: its clock was moved from 24 August to 20 November 2026, the parties are made up,
the programmes are those of seven cities, and every figure below was answered by the exchange or by the audit.

Programmes, with the rates of their texts
";

/// The page up to the audit.
pub(super) fn page(story: &Story, answers: &Answers) -> String {
    let mut page = String::from(HEADING);
    for enacted in &answers.programmes {
        programme(&mut page, enacted);
    }
    for id in &answers.pending {
        let _ = writeln!(
            page,
            "  {id:<28} {:<12} pending: named in the press, no text was found",
            "-"
        );
    }
    page.push_str("\nUse, by scheduler export\n");
    for metered in &story.metered {
        metering(&mut page, metered);
    }
    page.push_str("\nOrders, CNY\n");
    for (placed, bill) in story.placed.iter().zip(&answers.bills) {
        order(&mut page, placed, bill);
    }
    page.push_str("\nData, from upload to use\n");
    dataset(&mut page, &story.bought);
    page.push_str("\nFunds, CNY\n");
    table(&mut page, &answers.funds);
    page.push_str("\nPaid out\n");
    for paid in &story.paid {
        payment(&mut page, paid);
    }
    page.push_str("\nRefused, with nothing changed\n");
    for refusal in &story.refusals {
        let _ = writeln!(page, "  {:<20} {}", refusal.code, refusal.tried);
        let _ = writeln!(page, "  {:<20} {}", "", refusal.detail);
    }
    page
}

fn programme(page: &mut String, enacted: &Enacted) {
    let standing = match (enacted.status.as_str(), enacted.despite_status) {
        ("verified", _) => "official text".to_owned(),
        (status, true) => format!("{status} alone, enacted expressly and marked so for ever"),
        (status, false) => status.to_owned(),
    };
    let (id, rates, settled) = (&enacted.programme, enacted.rates(), enacted.settled());
    let _ = writeln!(page, "  {id:<28} {rates:<12} {standing}");
    if !settled.is_empty() {
        let _ = writeln!(page, "  {:<28} {:<12} set by the office: {settled}", "", "");
    }
}

fn dataset(page: &mut String, bought: &Bought) {
    let Bought {
        hit,
        files,
        bytes,
        delivery,
        ..
    } = bought;
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let fen = |of: &Value| yuan(of.as_i64().unwrap_or_default());
    let shown = &hit["shown"];
    let (handle, name, version) = (&shown["handle"], &shown["name"], &shown["version"]);
    let _ = writeln!(
        page,
        "  {}/{} {}, {}: found as 对话语料 at {}",
        text(handle),
        text(name),
        text(version),
        text(&shown["title"]),
        fen(&hit["price_fen"]),
    );
    let _ = writeln!(
        page,
        "  {files} files of {bytes} bytes came by the Hugging Face hub's protocol; entry {delivery} is the exchange's receipt, the buyer proved that it holds them"
    );
}

fn order(page: &mut String, placed: &Placed, bill: &Bill) {
    let Placed {
        what,
        buyer,
        seller,
        order,
        ..
    } = placed;
    let quoted = placed.quote.as_ref().map_or(String::new(), |quote| {
        format!(
            " used of {} (in full the buyer pays {} and gets {} back)",
            yuan(quote.gross_fen),
            yuan(quote.pays_fen),
            yuan(quote.repaid_fen),
        )
    });
    let proven = if bill.use_proven {
        ", its use proven by a receipt"
    } else {
        ""
    };
    let charged = yuan(bill.charged_fen());
    let _ = writeln!(
        page,
        "  {order}  {buyer} at {seller}, {what}: {charged}{quoted}{proven}"
    );
    for claim in &bill.claims {
        let clawed = if claim.clawed_fen == 0 {
            String::new()
        } else {
            format!(" after {} was clawed back", yuan(claim.clawed_fen))
        };
        let granted = yuan(claim.granted_fen);
        let _ = writeln!(
            page,
            "  {:<20}  {:<28} granted {granted}{clawed}",
            "", claim.programme
        );
    }
}

fn metering(page: &mut String, metered: &Metered) {
    let rows = metered.rows.iter();
    let rows: Vec<String> = rows
        .map(|(code, count)| format!("{count} {code}"))
        .collect();
    let Metered {
        file,
        runs,
        accepted,
        corrections,
        refused,
        ..
    } = metered;
    let _ = writeln!(
        page,
        "  {file:<20} {runs:>2} runs; receipts: {accepted} accepted, of these {corrections} corrections, {} refused",
        refused.len(),
    );
    if !rows.is_empty() {
        let _ = writeln!(
            page,
            "  {:<20} rows refused by the meter: {}",
            "",
            rows.join(", ")
        );
    }
}

/// The columns of the table of funds and how wide each is; the first holds whole budgets.
const COLUMNS: [(&str, usize); 7] = [
    ("appropriated", 16),
    ("committed", 10),
    ("held", 10),
    ("earned", 9),
    ("payable", 9),
    ("paid", 10),
    ("owed", 7),
];

fn columns(classes: &Classes) -> [i64; 7] {
    let of = |class: &str| classes.get(class).copied().unwrap_or(0);
    [
        -of("treasury"),
        of("voucher"),
        of("hold"),
        of("earned"),
        of("payable") + of("transit"),
        of("paid"),
        of("owed"),
    ]
}

fn table(page: &mut String, balances: &BTreeMap<String, Classes>) {
    let _ = write!(page, "  {:<20}", "");
    for (column, width) in COLUMNS {
        let _ = write!(page, " {column:>width$}");
    }
    page.push('\n');
    let mut schemes: BTreeMap<&str, [i64; 7]> = BTreeMap::new();
    for (fund, classes) in balances {
        let row = columns(classes);
        line(page, fund, row);
        let sum = schemes.entry(funds::scheme(fund)).or_default();
        for (sum, fen) in sum.iter_mut().zip(row) {
            *sum += fen;
        }
    }
    let _ = writeln!(page, "  by scheme");
    for (scheme, row) in schemes {
        line(page, scheme, row);
    }
}

fn line(page: &mut String, name: &str, row: [i64; 7]) {
    let _ = write!(page, "  {name:<20}");
    for (fen, (_, width)) in row.into_iter().zip(COLUMNS) {
        let _ = write!(page, " {:>width$}", yuan(fen));
    }
    page.push('\n');
}

fn payment(page: &mut String, paid: &Paid) {
    let (fund, batch, fen) = (paid.fund, paid.batch, yuan(paid.fen));
    let _ = writeln!(
        page,
        "  {fund:<20} {fen:>10}  {batch}, payees: {}",
        paid.parties
    );
}

/// The audit, and where everything lies.
pub(super) fn audit(data: &Path, report: &Report, same_money: bool, promises: &Promises) -> String {
    let verdict = match report.verdict {
        Verdict::Agree => "agree",
        Verdict::Withheld => "withheld",
        Verdict::Differ => "differ",
    };
    let mut page = format!(
        "\nAudit of the trail's files: {verdict}\n  {} entries, {} decided again, {} differences; its own balances are {}\n",
        report.entries,
        report.decided,
        report.differences.len(),
        if same_money {
            "those of the exchange"
        } else {
            "not those of the exchange"
        },
    );
    if let Some(root) = &report.root {
        let _ = writeln!(page, "  root {root}");
    }
    for difference in &report.differences {
        let _ = writeln!(
            page,
            "  {} {}: expected {}, found {}",
            difference.at, difference.code, difference.expected, difference.found
        );
    }
    let _ = writeln!(
        page,
        "  {} signed replies were promises of an entry, and the trail keeps them; {} were refusals",
        promises.kept, promises.refused
    );
    for broken in &promises.broken {
        let _ = writeln!(page, "  a reply does not hold: {broken}");
    }
    let data = data.display();
    let _ = writeln!(
        page,
        "\nFiles\n  trail            {data}/trail\n  policy           {data}/policy.txt\n  \
         providers' side  {data}/parties/east (meter.toml, key, spool, exports)\n  \
         check it         cargo run --release --bin quan-verify -- audit {data}/trail --policy {data}/policy.txt"
    );
    page
}

/// API keys to try: the store is thrown away.
pub(super) fn keys(story: &Story, url: &str, data: &Path) -> String {
    let mut page =
        format!("\nServing on {url} until Ctrl-C; its clock has caught up with this machine's.\n");
    let _ = writeln!(page, "API keys of this throw-away store:");
    for (label, name, role, key) in story.cast.keys() {
        let _ = writeln!(page, "  {key}  {role:<9} {label} ({name})");
    }
    let _ = writeln!(
        page,
        "Try: curl -s {url}/v1/funds\n     \
         curl -s -H 'authorization: Bearer KEY' {url}/v1/me/orders      (KEY: one of those above)\n     \
         quan meter --config {}/parties/east/meter.toml EXPORT          (a changed copy of an export there)\n     \
         {url}/openapi.json",
        data.display()
    );
    page
}

/// Fen as yuan, with thousands apart.
fn yuan(fen: i64) -> String {
    let (whole, part) = (fen.unsigned_abs() / 100, fen.unsigned_abs() % 100);
    let digits = whole.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{text}.{part:02}")
}

#[cfg(test)]
mod tests {
    use super::yuan;

    #[test]
    fn fen_are_shown_as_yuan() {
        assert_eq!(yuan(0), "0.00");
        assert_eq!(yuan(60_000_000_000), "600,000,000.00");
        assert_eq!(yuan(-123_456), "-1,234.56");
    }
}
