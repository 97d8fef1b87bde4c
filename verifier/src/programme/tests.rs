//! The files of `fixtures/programmes` through the real loader, and a refused example for each loader rule.

use super::schema::*;
use super::*;
use crate::id::DocumentDigest;
use proptest::prelude::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/programmes");

#[expect(clippy::disallowed_methods, reason = "a test reads its fixtures")]
fn text_of(path: impl AsRef<std::path::Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Name without ending, and text, sorted.
fn files(folder: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(format!("{FOLDER}/{folder}")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let toml = paths.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let mut files: Vec<_> = toml
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, text_of(path))
        })
        .collect();
    files.sort();
    files
}

fn file(name: &str) -> ProgrammeFile {
    ProgrammeFile::parse(&text_of(format!("{FOLDER}/{name}.toml"))).unwrap()
}

fn settle(path: &str, json: &str) -> Settlement {
    Settlement {
        path: path.into(),
        value: serde_json::from_str(json).unwrap(),
        basis: DocumentDigest::of(b"decision of the office"),
    }
}

#[test]
fn every_file_loads_under_its_own_name_and_owes_nothing() {
    for (name, text) in files("").into_iter().chain(files("examples")) {
        let file =
            ProgrammeFile::parse(&text).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(file.header().id.as_str(), name);
        assert_eq!(file.gaps(), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn a_file_with_structural_unknowns_is_refused_with_exactly_those_paths() {
    let mut open = 0;
    for (name, text) in files("") {
        let file = ProgrammeFile::parse(&text).unwrap();
        let outcome = file.enact(&[]);
        if file.header().status == Status::Pending {
            assert_eq!(outcome.unwrap_err().code, Code::ProgrammeStatus);
        } else if file.unsettled().is_empty() {
            assert!(outcome.is_ok(), "{name}");
        } else {
            open += 1;
            let refusal = outcome.unwrap_err();
            assert_eq!(refusal.code, Code::ProgrammeUnknown, "{name}");
            assert_eq!(
                refusal.values,
                [("paths", file.unsettled().join(" "))],
                "{name}"
            );
        }
    }
    assert!(open > 15, "{open} files are open");
}

#[test]
fn every_example_is_enacted_as_it_stands() {
    for (name, text) in files("examples") {
        let file = ProgrammeFile::parse(&text).unwrap();
        let programme = file
            .enact(&[])
            .unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(needs_procedure(&programme), None, "{name}");
        assert!(file.manual_amounts().is_empty(), "{name}");
    }
}

#[test]
fn an_example_has_the_rules_of_its_scenario() {
    for (example, scenario, id) in [
        ("w1-training", "W1", "sz-training"),
        ("w2-calendar-year", "W2", "bj-compute"),
        ("w3-co-funding", "W3", "ha"),
        ("w4-city", "W4-day366", "sh-city"),
        ("w4-district", "W4-one", "sh-district"),
        ("w4-press", "W4-press", "sh-press"),
        ("w5-best-of", "W5", "lf"),
        ("w6-proration", "W6", "nn"),
        ("w7-deduct", "W7", "w7"),
        ("w9-clawback", "W9", "w9"),
        ("w10-marginal", "W10", "w10"),
        ("w10-whole", "W10-whole", "w10"),
        ("w11-caps", "W11", "w11"),
        ("w12-data", "W12-use", "w12"),
        ("w13-capacity", "W13", "w13"),
        ("w14-correction", "W14", "w14"),
    ] {
        let vector = text_of(format!("{FOLDER}/../vectors/scenarios/{scenario}.json"));
        let vector: serde_json::Value = serde_json::from_str(&vector).unwrap();
        let text = vector
            .pointer(&format!("/programmes/{id}"))
            .and_then(|t| t.as_str())
            .unwrap();
        let scenario = scenario::programme(text);
        let mut example = file(&format!("examples/{example}")).enact(&[]).unwrap();
        // Ids are longer here, so that all examples can live on one exchange.
        example.header = scenario.header.clone();
        for (ours, theirs) in example.funds.iter_mut().zip(&scenario.funds) {
            ours.id = theirs.id.clone();
        }
        example.stack.group = scenario.stack.group.clone();
        assert_eq!(example, scenario);
    }
}

#[test]
fn the_folders_readme_lists_what_each_file_leaves_open() {
    let readme = text_of(format!("{FOLDER}/README.md"));
    let rows: Vec<String> = files("")
        .iter()
        .map(|(name, text)| row(name, text))
        .collect();
    for row in &rows {
        assert!(
            readme.contains(row),
            "README.md wants the rows\n{}",
            rows.join("\n")
        );
    }
    let listed = readme
        .lines()
        .filter(|line| line.starts_with("| `"))
        .count();
    assert_eq!(listed, rows.len());
}

fn row(name: &str, text: &str) -> String {
    let file = ProgrammeFile::parse(text).unwrap();
    let header = file.header();
    let grades: Vec<_> = header
        .legal
        .iter()
        .map(|legal| legal.grade.as_str())
        .collect();
    let list = |paths: &[String]| match paths {
        [] => "–".to_owned(),
        paths => paths
            .iter()
            .map(|path| format!("`{path}`"))
            .collect::<Vec<_>>()
            .join(" "),
    };
    let (programme, _) = read(&file.table).unwrap();
    let waits = needs_procedure(&programme).map_or("–", Procedure::as_str);
    format!(
        "| `{name}` | {} | {} | {} | {} | {} | {} | {waits} |",
        header.status,
        grades.join(" "),
        list(file.unsettled()),
        list(file.manual_amounts()),
        list(file.late()),
        list(file.unknown_header()),
    )
}

#[test]
fn what_has_no_procedure_yet_is_named() {
    let needs = |name: &str| needs_procedure(&read(&file(name).table).unwrap().0);
    for (name, procedure) in [
        ("shenzhen-model-2024", Some(Procedure::StagedCase)),
        ("qingdao-compute-2026", Some(Procedure::StagedCase)),
        ("yangzhou-compute-2024", Some(Procedure::StagedCase)),
        ("qingyang-large-2024", Some(Procedure::StagedCase)),
        ("chengdu-compute-2023", Some(Procedure::Advance)),
        ("beijing-etown-servers-2024", Some(Procedure::Award)),
        ("langfang-compute", Some(Procedure::PartySignature)),
        ("shanghai-model-2025", Some(Procedure::ModelScheme)),
        ("beijing-etown-2024", None),
        ("hangzhou-compute-2024", None),
        ("guizhou-2024", None),
    ] {
        assert_eq!(needs(name), procedure, "{name}");
    }
    let payee = minimal().replace(
        "mode = \"deduct\"",
        "mode = \"deduct\", payee = \"either_once\"",
    );
    let payee = ProgrammeFile::parse(&payee).unwrap().enact(&[]).unwrap();
    let refusal = check_procedure(&payee).unwrap_err();
    assert_eq!(refusal.code, Code::ProgrammeNeedsProcedure);
}

/// The smallest file that can be enacted.
fn minimal() -> String {
    r#"
id = "test-programme"
scheme = "compute"
fund = [{ id = "pot", funder = "city-finance" }]
instrument = { mode = "deduct" }
base = { of = ["metered"] }
rate = { tier = [{ id = "all", bp = 3000 }] }
"#
    .to_owned()
}

#[test]
fn defaults_are_those_of_the_schema() {
    let programme = ProgrammeFile::parse(&minimal())
        .unwrap()
        .enact(&[])
        .unwrap();
    let instrument = &programme.instrument;
    assert_eq!(instrument.payee, Payee::Seller);
    assert_eq!(instrument.issue, Issue::Application);
    assert_eq!(instrument.commit_at, CommitAt::Issue);
    assert_eq!(instrument.exhaustion, Known::Known(Exhaustion::FirstCome));
    assert_eq!(instrument.face, Face::Computed);
    assert!(instrument.divisible);
    assert_eq!(instrument.settle_period, crate::time::PeriodLength::Month);
    assert_eq!((instrument.dispute_days, instrument.grace_days), (15, 30));
    assert_eq!(instrument.overrun, Overrun::Cap);
    assert_eq!(programme.related, None);
    assert_eq!(programme.rate.select, Select::First);
    assert_eq!(programme.rate.banding, Banding::Whole);
    assert_eq!(programme.stack.mode, StackMode::Exclusive);
    assert_eq!(programme.stack.order, 100);
    assert_eq!(programme.header.utc_offset.minutes(), 480);
    let reimburse = minimal().replace("\"deduct\"", "\"reimburse\", issue = \"none\"");
    let instrument = ProgrammeFile::parse(&reimburse)
        .unwrap()
        .enact(&[])
        .unwrap()
        .instrument;
    assert_eq!(instrument.payee, Payee::Buyer);
    assert_eq!(instrument.commit_at, CommitAt::Settlement);
    let related = format!("{}related = {{}}\n", minimal());
    let related = ProgrammeFile::parse(&related)
        .unwrap()
        .enact(&[])
        .unwrap()
        .related
        .unwrap();
    assert_eq!(
        related.deny,
        [
            Relation::SameParty,
            Relation::SameGroup,
            Relation::Controller
        ]
    );
}

/// Each row breaks one rule of the loader: what is added to the minimal file, and the path that the refusal names.
const BROKEN: &[(&str, &str)] = &[
    ("colour = \"red\"", "colour"),
    ("window = { aply = [] }", "window.aply"),
    ("schema = 2", "schema"),
    ("engine = 2", "engine"),
    ("currency = \"EUR\"", "currency"),
    ("utc_offset_min = 900", "utc_offset_min"),
    ("region = \"41\"", "region"),
    ("status = \"final\"", "status"),
    ("succeeds = \"test-programme\"", "succeeds"),
    ("name = { fr = \"x\" }", "name.fr"),
    (
        "legal = [{ title = \"x\", grade = \"A\" }]",
        "legal.0.source",
    ),
    (
        "legal = [{ title = \"x\", source = \"S1\", grade = \"X\" }]",
        "legal.0.grade",
    ),
    (
        "legal = [{ date = \"2023-13\", source = \"S1\", grade = \"A\" }]",
        "legal.0.date",
    ),
    (
        "cap = [{ id = \"year\", key = \"holder\", per = \"calendar_year\" }]",
        "cap.year.limit_fen",
    ),
    (
        "cap = [{ id = \"year\", key = \"holder\", limit_fen = 1 }]",
        "cap.year.per",
    ),
    (
        "cap = [{ id = \"year\", key = \"holder\", per = \"week\", limit_fen = 1 }]",
        "cap.year.per",
    ),
    (
        "cap = [{ id = \"year\", key = \"holder\", per = \"life\", limit_fen = -1 }]",
        "cap.year.limit_fen",
    ),
    (
        "cap = [{ id = \"year\", key = \"holder\", per = \"life\", limit_fen = 1.5 }]",
        "cap.year.limit_fen",
    ),
    (
        "cap = [{ id = \"year\", key = \"holder\", per = \"life\", limit_fen = 1, over = \"lose\" }]",
        "cap.year.over",
    ),
    (
        "cap = [{ id = \"y\", key = \"holder\", per = \"life\", limit_fen = 1, soft_limit_fen = 2 }]",
        "cap.y.soft_limit_fen",
    ),
    (
        "cap = [{ id = \"y\", key = \"holder\", per = \"life\", limit_fen = 1 }, { id = \"y\", key = \"group\", per = \"life\", limit_fen = 1 }]",
        "cap.y",
    ),
    ("stack = { mode = \"link\" }", "stack.with"),
    (
        "stack = { mode = \"free\", with = [\"other-programme\"] }",
        "stack.with",
    ),
    ("stack = { mode = \"add_to_ceiling\" }", "stack.group"),
    (
        "stack = { mode = \"free\", ceiling_bp = 10001 }",
        "stack.ceiling_bp",
    ),
    (
        "rounding = [{ after = \"rate\", unit_fen = 0 }]",
        "rounding.0.unit_fen",
    ),
    (
        "rounding = [{ after = \"rate\" }, { after = \"rate\" }]",
        "rounding.1.after",
    ),
    (
        "window = { apply = [{ from = 2025-09-01T00:00:00, to = 2025-09-01T00:00:00 }] }",
        "window.apply.0.to",
    ),
    (
        "window = { apply = [{ from = 2025-09-01T00:00:00Z, to = 2025-09-02T00:00:00Z }] }",
        "window.apply.0.from",
    ),
    (
        "window = { apply = [{ from = 2025-09-01, to = 2025-09-02 }] }",
        "window.apply.0.from",
    ),
    (
        "window = { service = { from = 2025-03-02, to = 2025-03-01 } }",
        "window.service.to",
    ),
    (
        "window = { service = { from = \"2025-03-02\" } }",
        "window.service.from",
    ),
    (
        "require = [{ id = \"x\", of = \"holder\", fact = \"shoe_size\", op = \"exists\" }]",
        "require.x.fact",
    ),
    (
        "require = [{ id = \"x\", of = \"holder\", fact = \"racks\", op = \"exists\" }]",
        "require.x.fact",
    ),
    (
        "require = [{ id = \"x\", of = \"site\", fact = \"racks\", op = \"in\", value = [\"a\"] }]",
        "require.x.op",
    ),
    (
        "require = [{ id = \"x\", of = \"site\", fact = \"racks\", op = \"like\", value = 1 }]",
        "require.x.op",
    ),
    (
        "require = [{ id = \"x\", of = \"site\", fact = \"racks\", op = \"eq\", value = \"many\" }]",
        "require.x.value",
    ),
    (
        "require = [{ id = \"x\", of = \"holder\", fact = \"registered_in\", op = \"in\", value = [\"41\"] }]",
        "require.x.value",
    ),
    (
        "require = [{ id = \"x\", of = \"holder\", fact = \"sme_class\", op = \"in\", value = [] }]",
        "require.x.value",
    ),
    (
        "require = [{ id = \"x\", of = \"holder\", fact = \"sme_class\", op = \"absent\", within_days = 9 }]",
        "require.x.within_days",
    ),
    ("require = [{ id = \"x\", any = [] }]", "require.x.any"),
    (
        "require = [{ of = \"site\", fact = \"racks\", op = \"exists\" }]",
        "require.0.id",
    ),
    (
        "require = [{ id = \"X y\", of = \"site\", fact = \"racks\", op = \"exists\" }]",
        "require.X y.id",
    ),
    ("related = { deny = [\"friends\"] }", "related.deny"),
    ("providers = { site_in = [\"Henan\"] }", "providers.site_in"),
    (
        "providers = { chip = { foreign = \"any\" } }",
        "providers.chip.foreign",
    ),
    (
        "providers = { require = [{ of = \"site\", fact = \"racks\", op = \"gte\", value = 1 }] }",
        "providers.require.0.of",
    ),
    (
        "evidence = [{ stage = \"claim\", kind = \"letter\" }]",
        "evidence.0.kind",
    ),
    (
        "stage = [{ id = \"s\", does = \"ponder\" }]",
        "stage.s.does",
    ),
    (
        "clawback = { share_bp = { theft = 1 } }",
        "clawback.share_bp.theft",
    ),
    ("data = { acceptance = \"signed\" }", "data"),
];

#[test]
fn each_broken_rule_is_refused_by_its_path() {
    for (line, path) in BROKEN {
        refused_at(&format!("{}{line}\n", minimal()), path);
    }
}

/// Each row replaces a part of the minimal file.
const WRONG: &[(&str, &str, &str)] = &[
    ("id = \"test-programme\"", "", "id"),
    ("\"test-programme\"", "\"Test\"", "id"),
    ("scheme = \"compute\"", "", "scheme"),
    ("\"compute\"", "[]", "scheme"),
    ("\"compute\"", "[\"data\", \"data\"]", "scheme"),
    ("\"pot\"", "\"pot{month}\"", "fund.pot{month}.id"),
    ("funder = \"city-finance\"", "weight = 0", "fund.pot.funder"),
    (
        "\"city-finance\"",
        "\"city-finance\", weight = 0",
        "fund.pot.weight",
    ),
    (
        "\"city-finance\" }",
        "\"a-a\" }, { id = \"pot\", funder = \"b-b\" }",
        "fund.pot",
    ),
    ("\"deduct\"", "\"barter\"", "instrument.mode"),
    (
        "\"deduct\"",
        "\"deduct\", transferable = true",
        "instrument.transferable",
    ),
    (
        "\"deduct\"",
        "\"deduct\", valid_days = 365, valid_months = 12",
        "instrument.valid_days",
    ),
    (
        "\"deduct\"",
        "\"deduct\", issue = \"none\", commit_at = \"issue\"",
        "instrument.commit_at",
    ),
    (
        "\"deduct\"",
        "\"deduct\", dispute_days = \"unknown\"",
        "instrument.dispute_days",
    ),
    ("\"metered\"", "\"guessed\"", "base.of"),
    ("[\"metered\"]", "[]", "base.of"),
    ("[\"metered\"]", "\"metered\"", "base.of"),
    ("bp = 3000", "bp = 30.0", "rate.tier.all.bp"),
    ("bp = 3000", "bp = 10001", "rate.tier.all.bp"),
    (
        "bp = 3000",
        "bp = 3000, fixed_fen = 1, once = \"life\"",
        "rate.tier.all.bp",
    ),
    ("bp = 3000", "fixed_fen = 1", "rate.tier.all.bp"),
    ("bp = 3000", "bands = []", "rate.tier.all.bands"),
    (
        "bp = 3000",
        "bands = [{ upto_fen = 5, bp = 1 }]",
        "rate.tier.all.bands",
    ),
    (
        "bp = 3000",
        "bands = [{ upto_fen = 5, bp = 1 }, { upto_fen = 5, bp = 1 }, { bp = 1 }]",
        "rate.tier.all.bands.1.upto_fen",
    ),
    (
        "bp = 3000",
        "bands = [{ bp = 1 }, { bp = 1 }]",
        "rate.tier.all.bands.1.upto_fen",
    ),
    ("[{ id = \"all\", bp = 3000 }]", "[]", "rate.tier"),
    (
        "scheme = \"compute\"",
        "scheme = \"data\"\ndata = { acceptance = \"signed_or_deemed\" }",
        "data.acceptance_days",
    ),
    (
        "scheme = \"compute\"",
        "scheme = \"data\"\ndata = { holdback_bp = 1 }",
        "data.holdback_bp",
    ),
];

#[test]
fn each_wrong_value_is_refused_by_its_path() {
    for (right, wrong, path) in WRONG {
        assert!(minimal().contains(right), "{right}");
        refused_at(&minimal().replace(right, wrong), path);
    }
}

fn refused_at(text: &str, path: &str) {
    let refusal = ProgrammeFile::parse(text).expect_err(text);
    assert_eq!(refusal.code, Code::ProgrammeInvalid, "{text}");
    assert_eq!(
        refusal.values,
        [("path", path.to_owned())],
        "{text}\n{refusal}"
    );
}

#[test]
fn what_is_not_toml_or_too_long_is_refused() {
    for bad in [
        "id = ",
        "id = \"a\"\nid = \"b\"",
        "\u{0}",
        "[[fund]]\n[fund]",
    ] {
        assert_eq!(
            ProgrammeFile::parse(bad).unwrap_err().code,
            Code::ProgrammeInvalid
        );
    }
    let fits = format!(
        "{}#{}",
        minimal(),
        "x".repeat(FILE_BYTES_MAX - minimal().len() - 1)
    );
    assert!(ProgrammeFile::parse(&fits).is_ok());
    assert!(ProgrammeFile::parse(&format!("{fits}x")).is_err());
}

#[test]
fn the_office_settles_what_the_shanghai_text_leaves_open() {
    let file = file("shanghai-compute-2025-text");
    let all = [
        settle("instrument.mode", r#""reimburse""#),
        settle("instrument.payee", r#""buyer""#),
        settle("instrument.valid_days", "365"),
        settle("window.benefit_max_days", "365"),
        settle("base.of", r#"["metered","paid"]"#),
    ];
    let programme = file.enact(&all).unwrap();
    assert_eq!(programme.instrument.mode, Mode::Reimburse);
    assert_eq!(programme.base.of, [BaseKind::Metered, BaseKind::Paid]);
    assert_eq!(programme.settled, all);
    let four = all.get(1..).unwrap();
    let refusal = file.enact(four).unwrap_err();
    assert_eq!(refusal.values, [("paths", "instrument.mode".to_owned())]);
}

#[test]
fn only_what_the_text_leaves_open_can_be_settled() {
    let file = file("beijing-compute-2023");
    assert_eq!(file.unsettled(), ["fund", "instrument.valid_days"]);
    let fund = settle(
        "fund",
        r#"[{"id":"bj-2025","funder":"bj-finance","weight":1}]"#,
    );
    let life = settle("instrument.valid_days", "365");
    let good = [fund.clone(), life.clone()];
    assert!(file.enact(&good).is_ok());
    for (path, json) in [
        ("instrument.mode", r#""deduct""#),
        ("rate.tier.all.bp", "9000"),
        ("cap.year.limit_fen", "1"),
        ("cap.month.limit_fen", "1"),
        ("clawback.ban_days", "1"),
        ("", "1"),
        ("instrument", "{}"),
        ("instrument.valid_days.x", "1"),
        ("instrument.valid_days", "365"),
        ("instrument.colour", r#""red""#),
        ("instrument.valid_months", "12"),
    ] {
        let more = [fund.clone(), life.clone(), settle(path, json)];
        assert_eq!(
            file.enact(&more).unwrap_err().code,
            Code::ProgrammeInvalid,
            "{path}"
        );
    }
    let open_again = [
        settle("fund", r#"[{"id":"bj-2025","funder":"bj-finance"}]"#),
        settle("instrument.valid_days", r#""unknown""#),
    ];
    assert_eq!(
        file.enact(&open_again).unwrap_err().code,
        Code::ProgrammeUnknown
    );
    // What is absent can be set, and a date is a text.
    let service = settle(
        "window.service",
        r#"{"from":"2025-01-01","to":"2025-12-31"}"#,
    );
    let programme = file.enact(&[fund, life, service]).unwrap();
    let from = programme.window.service.and_then(|service| service.from);
    assert_eq!(
        from.map(|day| day.to_string()).as_deref(),
        Some("2025-01-01")
    );
}

#[test]
fn a_cap_is_settled_by_its_id() {
    let file = file("shenzhen-training-2024");
    let settled = [
        settle("instrument.mode", r#""reimburse""#),
        settle("instrument.payee", r#""buyer""#),
        settle("instrument.valid_days", "365"),
        settle("cap.year.per", r#""calendar_year""#),
    ];
    let programme = file.enact(&settled).unwrap();
    assert_eq!(
        programme.caps.first().map(|cap| cap.per),
        Some(CapPer::CalendarYear)
    );
}

#[test]
fn a_missing_table_is_settled_as_a_whole() {
    let instrument = r#"{"mode":"deduct","valid_days":365}"#;
    for name in ["henan-compute-2023", "shandong-compute-2025"] {
        let file = file(name);
        assert_eq!(file.unsettled(), ["instrument"], "{name}");
        let programme = file.enact(&[settle("instrument", instrument)]).unwrap();
        assert_eq!(programme.instrument.payee, Payee::Seller);
        assert_eq!(programme.instrument.valid, Some(Validity::Days(365)));
        let part = [settle("instrument.mode", r#""deduct""#)];
        assert_eq!(file.enact(&part).unwrap_err().code, Code::ProgrammeInvalid);
        let open = [settle(
            "instrument",
            r#"{"payee":"seller","settle_period":"unknown"}"#,
        )];
        let refusal = file.enact(&open).unwrap_err();
        let paths = "instrument.mode instrument.settle_period".to_owned();
        assert_eq!(refusal.values, [("paths", paths)]);
    }
}

#[test]
fn a_settlement_has_one_json_form() {
    let text = format!(
        r#"{{"path":"base.of","value":["metered"],"basis":"{}"}}"#,
        DocumentDigest::of(b"x")
    );
    let read: Settlement = crate::json::read_canonical(text.as_bytes()).unwrap();
    assert_eq!(read.path, "base.of");
    for bad in [
        text.replace("\"path\"", "\"place\""),
        text.replace("]", "],\"more\":1"),
        text.replace("[\"metered\"]", "null"),
        text.replace("[\"metered\"]", "1.5"),
    ] {
        assert!(
            crate::json::read_canonical::<Settlement>(bad.as_bytes()).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn rows_show_the_files_own_words() {
    let rows = file("shanghai-compute-2025-text").rows();
    let has = |path: &str, value: &str| rows.contains(&(path.to_owned(), value.to_owned()));
    assert!(has("instrument.mode", "unknown"));
    assert!(has("rate.tier.city.bp", "3000"));
    assert!(has("fund.sh-compute-2025.appropriation_fen", "60000000000"));
    assert!(has("base.of", "[\"unknown\"]"));
}

#[test]
fn a_fund_template_becomes_an_id_by_city_and_year() {
    let text = minimal().replace("\"pot\"", "\"ha-{city}-{year}\"");
    let programme = ProgrammeFile::parse(&text).unwrap().enact(&[]).unwrap();
    let name = &programme.funds.first().unwrap().id;
    assert!(name.is_template());
    assert_eq!(
        name.resolve("410100", 2026).unwrap().as_str(),
        "ha-410100-2026"
    );
    assert!(name.resolve("Zhengzhou", 2026).is_err());
}

/// Every file, read once.
static ALL: std::sync::LazyLock<Vec<(String, String)>> =
    std::sync::LazyLock::new(|| files("").into_iter().chain(files("examples")).collect());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_mutated_file_makes_the_loader_panic(
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, "[ -~]{0,6}|\"unknown\"|\\[\\]|\\{\\}|-1|true|2025-01-01"), 1..4),
        path in "[a-z_.0-9]{0,24}",
        value in prop_oneof![Just("null"), Just("-1"), Just("[]"), Just("{}"), Just("\"unknown\""), Just("\"2025-02-30\"")],
    ) {
        let mut text: Vec<char> = which.get(&ALL).1.chars().collect();
        for (place, length, insert) in cuts {
            let from = place.index(text.len() + 1);
            let to = (from + length).min(text.len());
            text.splice(from..to, insert.chars());
        }
        let text: String = text.into_iter().collect();
        if let Ok(file) = ProgrammeFile::parse(&text) {
            let _rows = (file.rows(), file.gaps());
            let _plain = file.enact(&[]);
            if let Ok(value) = serde_json::from_str(value) {
                let basis = DocumentDigest::of(b"x");
                let _settled = file.enact(&[Settlement { path, value, basis }]);
            }
        }
    }
}
