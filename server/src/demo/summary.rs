//! What the story came to, on one page: all figures are the exchange's answers or the audit's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use verifier::audit::{Report, Verdict};

use super::client::Client;
use super::metering::Metered;
use super::payout::Paid;
use super::{Fault, Story, funds, programmes};

/// A fund's money by class of account, in fen (DESIGN §4.1).
type Classes = BTreeMap<String, i64>;

/// Every fund with its balances, as the exchange answers them.
pub(super) fn balances(client: &Client) -> Result<BTreeMap<String, Classes>, Fault> {
    let path = "/v1/funds?limit=1000";
    let page = client.read(path)?;
    let items = page["items"].as_array().into_iter().flatten();
    let fund = |item: &Value| {
        let classes = item["balances"].as_object()?;
        let classes = classes
            .iter()
            .map(|(class, fen)| Some((class.clone(), fen.as_i64()?)));
        Some((
            item["fund"].as_str()?.to_owned(),
            classes.collect::<Option<_>>()?,
        ))
    };
    items
        .map(|item| fund(item).ok_or_else(|| Fault::Answer(path.into(), 200, item.to_string())))
        .collect()
}

/// Whether the exchange's balances are those that the audit's own book has at the end.
pub(super) fn agrees(balances: &BTreeMap<String, Classes>, report: &Report) -> bool {
    let held = |classes: &Classes| -> Classes {
        let held = classes.iter().filter(|(_, fen)| **fen != 0);
        held.map(|(class, fen)| (class.clone(), *fen)).collect()
    };
    let audited: BTreeMap<String, Classes> = report
        .funds
        .iter()
        .map(|fund| (fund.fund.to_string(), held(&fund.fen)))
        .collect();
    let answered: BTreeMap<String, Classes> = balances
        .iter()
        .map(|(fund, classes)| (fund.clone(), held(classes)))
        .collect();
    audited == answered && report.verdict == Verdict::Agree
}

/// The page up to the audit.
pub(super) fn page(story: &Story, balances: &BTreeMap<String, Classes>) -> String {
    let mut page = String::from("\nProgrammes\n");
    for line in programmes::lines() {
        let _ = writeln!(page, "{line}");
    }
    if !story.metered.is_empty() {
        let _ = writeln!(page, "\nUse, by scheduler export");
    }
    for metered in &story.metered {
        metering(&mut page, metered);
    }
    let _ = writeln!(page, "\nMoney, CNY");
    table(&mut page, balances);
    if !story.paid.is_empty() {
        let _ = writeln!(page, "\nPaid out");
    }
    for paid in &story.paid {
        payment(&mut page, paid);
    }
    let _ = writeln!(page, "\nRefused, with nothing changed");
    for refusal in &story.refusals {
        let _ = writeln!(page, "  {:<18} {}", refusal.code, refusal.tried);
        let _ = writeln!(page, "  {:<18} {}", "", refusal.detail);
    }
    if let Some(path) = &story.halted {
        let _ = writeln!(
            page,
            "\nThe story ends early: this exchange does not answer {path} yet."
        );
    }
    page
}

fn metering(page: &mut String, metered: &Metered) {
    let rows: Vec<String> = metered
        .rows
        .iter()
        .map(|(code, count)| format!("{count} {code}"))
        .collect();
    let rows = if rows.is_empty() {
        "none".to_owned()
    } else {
        rows.join(", ")
    };
    let _ = writeln!(
        page,
        "  {:<20} {} runs; {} receipts accepted, {} of those sent were corrections, {} refused; rows refused: {rows}",
        metered.file,
        metered.runs,
        metered.accepted,
        metered.corrections,
        metered.refused.len(),
    );
}

const COLUMNS: [&str; 7] = [
    "appropriated",
    "free",
    "committed",
    "earned",
    "payable",
    "paid",
    "owed",
];

fn columns(classes: &Classes) -> [i64; 7] {
    let of = |class: &str| classes.get(class).copied().unwrap_or(0);
    [
        -of("treasury"),
        of("fund"),
        of("voucher") + of("hold"),
        of("earned"),
        of("payable") + of("transit"),
        of("paid"),
        of("owed"),
    ]
}

fn table(page: &mut String, balances: &BTreeMap<String, Classes>) {
    let _ = write!(page, "  {:<20}", "");
    for column in COLUMNS {
        let _ = write!(page, " {column:>16}");
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
    for fen in row {
        let _ = write!(page, " {:>16}", yuan(fen));
    }
    page.push('\n');
}

fn payment(page: &mut String, paid: &Paid) {
    let (fund, batch, fen) = (paid.fund, paid.batch, yuan(paid.fen));
    let _ = writeln!(
        page,
        "  {fund:<20} {fen:>16}  to {} parties, {batch}",
        paid.parties
    );
}

/// The audit, and where everything lies.
pub(super) fn audit(data: &Path, report: &Report, same_money: bool) -> String {
    let verdict = match report.verdict {
        Verdict::Agree => "agree",
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
pub(super) fn keys(story: &Story, url: &str) -> String {
    let mut page =
        format!("\nServing on {url} until Ctrl-C; its clock has come to the end of the story.\n");
    let _ = writeln!(page, "API keys of this throw-away store:");
    for (label, name, role, key) in story.cast.keys() {
        let _ = writeln!(page, "  {key}  {role:<9} {label} ({name})");
    }
    let _ = writeln!(
        page,
        "Try: curl -s {url}/v1/funds   or   {url}/openapi.json"
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
