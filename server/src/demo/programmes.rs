//! Which programmes are enacted, and what the offices settle of what the texts leave open (PROGRAMMES §1, loader rules).
//!
//! Six of the seven cities; Ningbo's has no text to enact. What is settled here is the demo's own choice, and the trail
//! says so for each path: nothing of it stands in a published text.

use serde_json::{Value, json};
use verifier::id::DocumentDigest;

use super::cast::Cast;
use super::client::Refusal;
use super::{Fault, document};
use crate::catalogue;

/// One programme, its office, and the open paths with the values that the office sets.
struct Line {
    office: &'static str,
    id: &'static str,
    settled: &'static [(&'static str, &'static str)],
}

/// A voucher lives a year in every programme whose text does not say.
const A_YEAR: (&str, &str) = ("instrument.valid_days", "365");

#[rustfmt::skip]
const ENACTED: &[Line] = &[
    Line { office: "shanghai", id: "shanghai-compute-2025-text", settled: &[
        A_YEAR, ("instrument.mode", r#""deduct""#), ("instrument.payee", r#""seller""#),
        ("window.benefit_max_days", "365"), ("base.of", r#"["metered"]"#),
    ] },
    Line { office: "shanghai", id: "shanghai-corpus-2025", settled: &[
        A_YEAR, ("instrument.mode", r#""deduct""#), ("instrument.payee", r#""seller""#), ("cap.cap.per", r#""calendar_year""#),
        ("data", r#"{"acceptance":"signed","use_proof":"compute_receipt","holdback_bp":2000}"#),
    ] },
    Line { office: "beijing", id: "beijing-compute-2023", settled: &[
        A_YEAR, ("fund", r#"[{"id":"bj-compute-2025","funder":"bj-finance"}]"#),
        ("clawback", r#"{"causes":["relocation"],"share_bp":{"relocation":5000},"recovered_to":"treasury"}"#),
    ] },
    Line { office: "henan", id: "henan-compute-2023", settled: &[
        ("instrument", r#"{"mode":"deduct","issue":"automatic","commit_at":"issue","valid_days":365}"#),
    ] },
    Line { office: "zhengzhou", id: "zhengzhou-compute-2024", settled: &[
        A_YEAR, ("instrument.mode", r#""reimburse""#), ("instrument.payee", r#""buyer""#),
        ("fund", r#"[{"id":"zz-compute-2025","funder":"zhengzhou-finance"}]"#),
    ] },
    Line { office: "chengdu", id: "chengdu-compute-2025", settled: &[A_YEAR] },
    Line { office: "shandong", id: "shandong-compute-2025", settled: &[
        ("instrument", r#"{"mode":"reimburse","issue":"none","commit_at":"settlement"}"#),
    ] },
    Line { office: "shenzhen", id: "shenzhen-training-2024", settled: &[
        A_YEAR, ("instrument.mode", r#""deduct""#), ("instrument.payee", r#""seller""#), ("cap.year.per", r#""calendar_year""#),
    ] },
];

/// The press variant: "up to 80 %", which no official text that was read says.
const PRESS: Line = Line {
    office: "shanghai",
    id: "shanghai-compute-2025-press",
    settled: &[A_YEAR],
};
/// Named in the press as a voucher city; no document was found.
const PENDING: Line = Line {
    office: "shanghai",
    id: "ningbo-compute-2025",
    settled: &[],
};

/// Providers that may take Chengdu's vouchers this year.
const CHENGDU_LIST: (&str, i64, [&str; 2]) = ("chengdu-2025", 2026, ["west-a", "west-b"]);

/// Enacts everything; returns what was refused on the way.
pub(super) fn enact(cast: &Cast) -> Result<Vec<Refusal>, Fault> {
    for line in ENACTED {
        ask(cast, line)?;
    }
    let press = cast.client(PRESS.office)?;
    let mut asked = body(&PRESS)?;
    let by_default = press.ask_in_vain(
        "/v1/programmes",
        &asked,
        "enact the press variant of Shanghai like any text",
        "programme.status",
    )?;
    asked["despite_status"] = json!(true);
    press.ask("/v1/programmes", &asked)?;
    let pending = cast.client(PENDING.office)?.ask_in_vain(
        "/v1/programmes",
        &body(&PENDING)?,
        "enact Ningbo, whose text nobody has found",
        "programme.status",
    )?;
    publish_list(cast)?;
    Ok(vec![by_default, pending])
}

fn ask(cast: &Cast, line: &Line) -> Result<(), Fault> {
    let office = cast.client(line.office)?;
    office.ask("/v1/programmes", &body(line)?)?;
    Ok(())
}

fn body(line: &Line) -> Result<Value, Fault> {
    let text = catalogue::text(line.id);
    let text = text.ok_or_else(|| Fault::Story(format!("no file {}", line.id)))?;
    let mut settled = Vec::new();
    for (path, value) in line.settled {
        let value: Value = serde_json::from_str(value)
            .map_err(|why| Fault::Story(format!("{} {path}: {why}", line.id)))?;
        let basis = document(&format!("{}: the office sets {path} for the demo", line.id));
        settled.push(json!({ "path": path, "value": value, "basis": basis }));
    }
    let digest = DocumentDigest::of(text.as_bytes());
    let mut body = json!({ "toml": text, "digest": digest });
    if !settled.is_empty() {
        body["settled"] = Value::Array(settled);
    }
    Ok(body)
}

fn publish_list(cast: &Cast) -> Result<(), Fault> {
    let (list, year, labels) = CHENGDU_LIST;
    let members: Result<Vec<_>, _> = labels.iter().map(|label| cast.id(label)).collect();
    let part = json!({ "list": list, "year": year, "part": 1, "of": 1, "members": members? });
    cast.client("chengdu")?.ask("/v1/lists", &part)?;
    Ok(())
}
