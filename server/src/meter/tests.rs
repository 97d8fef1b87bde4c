//! The meter from export to answer, on the fixtures and against a small exchange that keeps the contract of DESIGN §5.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use verifier::id::Sha256Hash;
use verifier::receipt::{ComputeUsage, Jti, KeyUse, Kind, UnverifiedReceipt};
use verifier::signature::PublicKey;
use verifier::time::Timestamp;

use super::row::RowCode;
use super::*;
use crate::faults::Faults;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/usage/");
/// After every end in the fixtures.
const NOW: &str = "2026-11-01T00:00:00Z";

fn settings(spool: &Path, interim: bool, url: &str) -> Config {
    let mut text = format!(
        "url = {url:?}\naudience = \"localhost/quan\"\nissuer = \"pty-aaaaaaaaaaaaaaaa\"\nkey_file = \"k\"\n\
         spool = {:?}\nzone = \"UTC\"\ninterim = {interim}\n",
        spool.join("spool")
    );
    for (name, site, gres, model) in [
        ("east1", 'a', "h200", "nvidia-h200-sxm"),
        ("west1", 'b', "910b2", "huawei-ascend-910b2"),
        ("west2", 'c', "mxc500", "metax-c500-pcie"),
        ("cases", 'd', "h100-80", "nvidia-h100-sxm"),
    ] {
        let site = site.to_string().repeat(16);
        text.push_str(&format!(
            "[clusters.{name}]\nsite = \"sit-{site}\"\ngres = {{ {gres:?} = {model:?} }}\n"
        ));
    }
    for account in [
        "acct-a", "acct-b", "acct-c", "acct-d", "acct-e", "acct-f", "acct-g", "acct",
    ] {
        text.push_str(&format!(
            "[accounts.{account}]\norder = \"{}\"\n",
            order(account)
        ));
    }
    Config::parse(&text, Path::new("/")).unwrap()
}

fn order(account: &str) -> OrderId {
    let letter = account.strip_prefix("acct-").unwrap_or("z");
    OrderId::parse(&format!("ord-{}", letter.repeat(16))).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn take(meter: &mut Meter, file: &str, zone: &str) -> Intake {
    let bytes = fs::read(Path::new(FIXTURES).join(file)).unwrap();
    let overrides = Overrides {
        zone: Some(zone.parse().unwrap()),
        cluster: Some("cases".to_owned()),
        account: None,
    };
    meter.take(Path::new(file), &bytes, &overrides).unwrap()
}

fn codes(intake: &Intake) -> Vec<(u64, &'static str)> {
    intake
        .judged
        .refused
        .iter()
        .map(|row| (row.line, row.code.as_str()))
        .collect()
}

fn clock() -> Clock {
    Clock::fixed(at(NOW))
}

fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

/// Everything that waits in the spool, as claims.
fn pending(meter: &Meter) -> Vec<ComputeUsage> {
    let books = meter.spool.books.values();
    books
        .flat_map(|book| book.chain.outbox.values())
        .map(|jws| issue::usage(jws).unwrap())
        .collect()
}

fn signed(meter: &mut Meter) -> Vec<ComputeUsage> {
    let plans = meter.plan();
    meter.sign(&signer(), &plans).unwrap();
    pending(meter)
}

#[test]
fn public_records_are_refused_or_taken_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut meter = Meter::open(settings(folder.path(), false, "http://h"), clock()).unwrap();
    for (file, steps, expected) in [
        (
            "cases/after-54553574580-no-gres.psv",
            3,
            vec![(2, "row.gpus-invisible")],
        ),
        (
            "cases/after-59757525133-array-root.psv",
            1,
            vec![
                (2, "row.column"),
                (3, "row.array-root"),
                (4, "row.column"),
                (6, "row.column"),
            ],
        ),
        (
            "cases/after-62237504943-never-started.psv",
            0,
            vec![(2, "row.never-started")],
        ),
        (
            "cases/after-62518995476-typed-timeout.psv",
            0,
            vec![(2, "row.column")],
        ),
        (
            "cases/after-67593410205-steps.psv",
            2,
            vec![(2, "row.column")],
        ),
    ] {
        let intake = take(&mut meter, file, "UTC");
        assert_eq!(codes(&intake), expected, "{file}");
        assert_eq!(intake.judged.steps, steps, "{file}");
        assert_eq!(intake.taken.new, 0, "{file}");
    }
    let overrides = Overrides {
        zone: Some("UTC".parse().unwrap()),
        cluster: Some("cases".to_owned()),
        account: Some("acct".to_owned()),
    };
    let bytes =
        fs::read(Path::new(FIXTURES).join("cases/after-62518995476-typed-timeout.psv")).unwrap();
    let intake = meter.take(Path::new("f"), &bytes, &overrides).unwrap();
    assert_eq!(intake.taken.new, 1);
    let run = &meter.spool.books[&order("acct")].runs;
    let (name, known) = run.iter().next().unwrap();
    assert_eq!(name, "slurm:cases/44727703@1787982751");
    assert_eq!(
        (known.facts.seconds, known.facts.state.as_str()),
        (43_218, "TIMEOUT")
    );
}

#[test]
fn the_demo_exports_carry_their_traps() {
    let folder = tempfile::tempdir().unwrap();
    let mut meter = Meter::open(settings(folder.path(), false, "http://h"), clock()).unwrap();
    let east = take(&mut meter, "east1-2026-09.psv", "UTC");
    assert_eq!(
        codes(&east),
        [
            (29, "row.array-root"),
            (33, "row.never-started"),
            (35, "row.no-gpus"),
            (36, "row.account"),
            (37, "row.gres-type"),
            (38, "row.gres-type"),
            (39, "row.state"),
            (45, "row.open"),
        ]
    );
    assert_eq!(
        (
            east.judged.steps,
            east.judged.repeated,
            east.judged.remarks.len()
        ),
        (3, 1, 1)
    );
    let again = take(&mut meter, "east1-2026-10.psv", "UTC");
    assert_eq!(codes(&again), [(8, "row.no-use")]);
    assert_eq!((again.taken.known, again.taken.changed), (1, 0));
    let west1 = take(&mut meter, "west1-2026-10.psv", "+08:00");
    assert_eq!(
        (codes(&west1), west1.taken.new, west1.judged.steps),
        (vec![], 7, 1)
    );
    let west2 = take(&mut meter, "west2-2026-10.json", "UTC");
    assert_eq!(
        codes(&west2),
        [
            (6, "row.array-root"),
            (7, "row.never-started"),
            (8, "row.open"),
            (10, "row.no-gpus"),
            (11, "row.malformed"),
        ]
    );
    assert_eq!(west2.taken.new, 6);
}

#[test]
fn receipts_state_every_metered_second_once_and_keep_the_rules_of_a_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let mut meter = Meter::open(settings(folder.path(), false, "http://h"), clock()).unwrap();
    for (file, zone) in [
        ("east1-2026-09.psv", "UTC"),
        ("east1-2026-10.psv", "UTC"),
        ("west1-2026-10.psv", "+08:00"),
        ("west2-2026-10.json", "UTC"),
    ] {
        take(&mut meter, file, zone);
    }
    let receipts = signed(&mut meter);
    let mut stated: BTreeMap<String, i64> = BTreeMap::new();
    let mut free_from: BTreeMap<
        (OrderId, verifier::id::SiteId, verifier::id::GpuModel),
        Timestamp,
    > = BTreeMap::new();
    for r in &receipts {
        let free = free_from
            .entry((r.sub, r.site, r.gpu_model.clone()))
            .or_insert(r.start);
        assert!(*free <= r.start, "{} overlaps", r.jti);
        *free = r.end;
        assert!(r.gpu_seconds.get() <= i64::from(r.gpu_count) * r.span());
        assert_eq!(r.start.hour(), r.end.after(-1).hour());
        for job in &r.jobs {
            *stated.entry(job.run.clone()).or_default() += job.gpu_seconds.get();
        }
    }
    let runs = meter.spool.books.values().flat_map(|book| &book.runs);
    let metered: BTreeMap<String, i64> = runs
        .map(|(name, run)| {
            (
                name.clone(),
                run.facts.seconds * i64::from(*run.facts.gpus.values().next().unwrap()),
            )
        })
        .collect();
    assert_eq!(stated, metered);
    let total = |account: &str| -> i64 {
        receipts
            .iter()
            .filter(|r| r.sub == order(account))
            .map(|r| r.gpu_seconds.get())
            .sum()
    };
    // Counted by hand from the exports: 8 × 20012 + 4 × 5400 + 9 × 2700 + 8 × 18300 + 16 × 72000.
    assert_eq!(
        total("acct-a"),
        160_096 + 21_600 + 24_300 + 146_400 + 1_152_000
    );
    // 26 h of 8 and 1.5 h of 4, and 3.5 h of 8 over the month's end.
    assert_eq!(total("acct-d"), (26 * 8 + 6 + 28) * 3600);
    let hour: Vec<_> = receipts.iter().filter(|r| r.jobs.len() > 8).collect();
    assert_eq!(
        (hour.len(), hour[0].gpu_count, hour[0].jobs.len()),
        (1, 1, 14)
    );
}

#[test]
fn an_overlapping_export_states_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let mut meter = Meter::open(settings(folder.path(), false, "http://h"), clock()).unwrap();
        take(&mut meter, "east1-2026-09.psv", "UTC");
        let before = pending(&meter).len();
        let after = signed(&mut meter).len();
        assert_eq!(before == after, round > 0);
    }
}

#[test]
fn a_kill_between_receipts_and_runs_states_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), false, "http://h");
    let mut meter = Meter::open(config.clone(), clock()).unwrap();
    take(&mut meter, "east1-2026-09.psv", "UTC");
    let count = signed(&mut meter).len();
    drop(meter);
    for account in ["acct-a", "acct-b", "acct-c"] {
        fs::remove_file(
            config
                .spool
                .join(order(account).to_string())
                .join("runs.json"),
        )
        .unwrap();
    }
    let mut meter = Meter::open(config, clock()).unwrap();
    assert_eq!(take(&mut meter, "east1-2026-09.psv", "UTC").taken.known, 0);
    assert_eq!(signed(&mut meter).len(), count);
}

#[test]
fn a_running_job_that_ended_with_less_is_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let mut meter = Meter::open(settings(folder.path(), true, "http://h"), clock()).unwrap();
    take(&mut meter, "east1-2026-09.psv", "UTC");
    let first = signed(&mut meter);
    let intake = take(&mut meter, "east1-2026-10.psv", "UTC");
    assert_eq!((intake.taken.changed, intake.taken.known), (1, 1));
    let all = signed(&mut meter);
    let corrections: Vec<&ComputeUsage> =
        all.iter().filter(|r| r.kind == Kind::Correction).collect();
    // 17:05 to 18:00 and 18:00 to 18:30 of 2026-09-30 were stated too much.
    assert_eq!(
        corrections
            .iter()
            .map(|r| (r.gpu_count, r.gpu_seconds.get()))
            .collect::<Vec<_>>(),
        [(8, 2400), (0, 0)]
    );
    for correction in corrections {
        let original = first
            .iter()
            .find(|r| Some(&r.jti) == correction.corrects.as_ref())
            .unwrap();
        assert_eq!(
            (original.start, original.end),
            (correction.start, correction.end)
        );
    }
    // An export older than what is known changes nothing.
    let stale = take(&mut meter, "east1-2026-09.psv", "UTC");
    assert_eq!(stale.taken.changed, 0);
    assert_eq!(signed(&mut meter).len(), all.len());
}

#[test]
fn a_run_found_late_corrects_the_hours_that_were_stated_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut meter = Meter::open(settings(folder.path(), false, "http://h"), clock()).unwrap();
    let head = "JobID|Cluster|Account|State|Start|End|ElapsedRaw|AllocTRES\n";
    let row = |job: u32, start: &str, end: &str, seconds: u32| {
        format!(
            "{job}|east1|acct-a|COMPLETED|2026-10-05T{start}|2026-10-05T{end}|{seconds}|gres/gpu:h200=2\n"
        )
    };
    let first = format!("{head}{}", row(1, "10:10:00", "10:40:00", 1800));
    let both = format!("{first}{}", row(2, "10:30:00", "11:30:00", 3600));
    let overrides = Overrides::default();
    meter
        .take(Path::new("f"), first.as_bytes(), &overrides)
        .unwrap();
    signed(&mut meter);
    meter
        .take(Path::new("f"), both.as_bytes(), &overrides)
        .unwrap();
    let all = signed(&mut meter);
    let figures: Vec<_> = all
        .iter()
        .map(|r| (r.kind, r.span(), r.gpu_count, r.gpu_seconds.get()))
        .collect();
    assert_eq!(
        figures,
        [
            (Kind::Usage, 1800, 2, 3600),
            (Kind::Correction, 1800, 4, 4800),
            (Kind::Usage, 1200, 2, 2400),
            (Kind::Usage, 1800, 2, 3600),
        ]
    );
}

#[test]
fn a_truncated_export_beside_a_whole_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut meter = Meter::open(settings(folder.path(), false, "http://h"), clock()).unwrap();
    let head =
        "JobID|Cluster|Account|State|Start|End|ElapsedRaw|AllocTRES\n7|east1|acct-a|COMPLETED|";
    let whole = format!("{head}2026-10-05T10:00:00|2026-10-05T12:00:00|7200|gres/gpu:h200=2\n");
    let cut = format!("{head}2026-10-05T11:00:00|2026-10-05T12:00:00|3600|gres/gpu:h200=2\n");
    let overrides = Overrides::default();
    meter
        .take(Path::new("f"), whole.as_bytes(), &overrides)
        .unwrap();
    let intake = meter
        .take(Path::new("f"), cut.as_bytes(), &overrides)
        .unwrap();
    assert_eq!(intake.taken.refused[0].code, RowCode::Truncated);
}

#[test]
fn a_text_export_without_a_zone_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = settings(folder.path(), false, "http://h");
    config.zone = None;
    let mut meter = Meter::open(config, clock()).unwrap();
    let answer = meter.take(Path::new("f"), b"JobID|State\n", &Overrides::default());
    assert!(matches!(answer, Err(Fault::NoZone(_))));
}

#[test]
fn two_meters_cannot_work_in_one_spool() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), false, "http://h");
    let _first = Meter::open(config.clone(), clock()).unwrap();
    assert!(matches!(
        Meter::open(config, clock()),
        Err(Fault::Locked(_))
    ));
}

#[test]
fn the_example_settings_load_and_an_unknown_key_does_not() {
    let path = Path::new(FIXTURES).join("meter.example.toml");
    let config = read_config(&path).unwrap();
    assert_eq!(config.spool, Path::new(FIXTURES).join("spool"));
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("interim", "interrim");
    assert!(
        Config::parse(&text, Path::new("/"))
            .unwrap_err()
            .contains("interrim")
    );
}

/// How the small exchange misbehaves.
#[derive(Default)]
struct Mood {
    /// Requests to answer 503 before the first good one.
    busy: u32,
    /// Requests to work through and then hang up on.
    lost_answers: u32,
}

/// One chain an order: what DESIGN §5 demands of `seq`, `prev` and repetition, and a site of 32 GPUs.
#[derive(Default)]
struct Chains {
    heads: BTreeMap<OrderId, (u32, Option<Sha256Hash>)>,
    accepted: BTreeSet<String>,
    claims: Vec<ComputeUsage>,
    /// Receipts that a correction took the place of.
    replaced: BTreeSet<Jti>,
    requests: u32,
}

impl Chains {
    fn judge(&mut self, n: usize, jws: &str, key: &PublicKey) -> String {
        assert!(UnverifiedReceipt::parse(jws).unwrap().verify(key).is_ok());
        if self.accepted.contains(jws) {
            return format!("{{\"line\":{n},\"outcome\":\"known\",\"seq\":1}}\n");
        }
        let claims = issue::usage(jws).unwrap();
        let head = self.heads.entry(claims.sub).or_default();
        if (claims.seq, claims.prev) != *head {
            let prev = head
                .1
                .map_or(String::new(), |prev| format!(",\"prev\":\"{prev}\""));
            return format!(
                "{{\"line\":{n},\"outcome\":\"refused\",\"code\":\"receipt.chain\",\"detail\":\"\",\"expected\":{{\"seq\":{}{prev}}}}}\n",
                head.0
            );
        }
        if claims.aud != "localhost/quan" {
            return format!(
                "{{\"line\":{n},\"outcome\":\"refused\",\"code\":\"receipt.audience\"}}\n"
            );
        }
        if claims.gpu_count > 32 {
            return format!(
                "{{\"line\":{n},\"outcome\":\"refused\",\"code\":\"receipt.capacity\",\"detail\":\"40 over 32\"}}\n"
            );
        }
        let taken = |other: &&ComputeUsage| {
            (other.sub, other.site) == (claims.sub, claims.site)
                && other.start < claims.end
                && claims.start < other.end
        };
        if claims.kind == Kind::Usage && self.claims.iter().any(|other| taken(&other)) {
            return format!(
                "{{\"line\":{n},\"outcome\":\"refused\",\"code\":\"receipt.overlap\"}}\n"
            );
        }
        if let Some(corrected) = claims.corrects {
            let old = self.claims.iter().find(|other| other.jti == corrected);
            let repeats = old.is_some_and(|old| (old.start, old.end) == (claims.start, claims.end));
            if !repeats || !self.replaced.insert(corrected) {
                return format!(
                    "{{\"line\":{n},\"outcome\":\"refused\",\"code\":\"receipt.correction\"}}\n"
                );
            }
        }
        *head = (claims.seq + 1, Some(Sha256Hash::of(jws.as_bytes())));
        self.accepted.insert(jws.to_owned());
        self.claims.push(claims);
        format!("{{\"line\":{n},\"outcome\":\"accepted\",\"seq\":1}}\n")
    }
}

/// Reads a request and returns its body.
fn request(reader: &mut impl BufRead) -> Vec<u8> {
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    body
}

/// Listens on a port of its own until the test ends.
fn exchange(mut mood: Mood) -> (String, Arc<Mutex<Chains>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let chains = Arc::new(Mutex::new(Chains::default()));
    let shared = chains.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let body = request(&mut reader);
            let mut chains = shared.lock().unwrap();
            chains.requests += 1;
            let (status, answer) = if mood.busy > 0 {
                mood.busy -= 1;
                ("503 Service Unavailable", String::new())
            } else {
                let text = String::from_utf8(body).unwrap();
                let key = signer().public();
                (
                    "200 OK",
                    text.lines()
                        .enumerate()
                        .map(|(n, jws)| chains.judge(n, jws, &key))
                        .collect(),
                )
            };
            drop(chains);
            if status == "200 OK" && mood.lost_answers > 0 {
                mood.lost_answers -= 1;
                continue;
            }
            let length = answer.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            reader
                .get_mut()
                .write_all(format!("{head}{answer}").as_bytes())
                .unwrap();
        }
    });
    (url, chains)
}

fn deliver(meter: &mut Meter) -> Result<Sent, Fault> {
    let signer = signer();
    let issuer = Issuer {
        config: &meter.config,
        signer: &signer,
    };
    let exchange = Exchange::new(
        &meter.config.url,
        "key".to_owned(),
        Duration::from_millis(1),
    );
    send::send(
        &mut meter.spool,
        &issuer,
        &exchange,
        &meter.clock,
        &ProgressBar::hidden(),
    )
}

#[test]
fn busy_exchanges_and_lost_answers_leave_one_whole_chain() {
    let (url, chains) = exchange(Mood {
        busy: 2,
        lost_answers: 1,
    });
    let folder = tempfile::tempdir().unwrap();
    let mut meter = Meter::open(settings(folder.path(), false, &url), clock()).unwrap();
    take(&mut meter, "east1-2026-09.psv", "UTC");
    let count = signed(&mut meter).len();
    let sent = deliver(&mut meter).unwrap();
    assert_eq!(
        (sent.accepted, sent.known, sent.refused.len()),
        (0, count as u64, 0)
    );
    assert_eq!((meter.pending(), chains.lock().unwrap().requests), (0, 4));
}

#[test]
fn a_refused_receipt_leaves_the_rest_of_its_chain_whole() {
    let (url, chains) = exchange(Mood::default());
    let folder = tempfile::tempdir().unwrap();
    let mut meter = Meter::open(settings(folder.path(), false, &url), clock()).unwrap();
    take(&mut meter, "west1-2026-10.psv", "+08:00");
    let count = signed(&mut meter).len();
    let sent = deliver(&mut meter).unwrap();
    assert_eq!((sent.refused.len(), sent.accepted), (1, count as u64 - 1));
    assert_eq!(sent.refused[0].code, "receipt.capacity");
    assert_eq!(meter.pending(), 0);
    drop(meter);
    // Another start neither repeats it by itself nor breaks the chain; on demand it is planned again.
    let mut meter = Meter::open(settings(folder.path(), false, &url), clock()).unwrap();
    take(&mut meter, "west1-2026-10.psv", "+08:00");
    assert_eq!(signed(&mut meter).len(), 0);
    meter.drop_refused();
    assert_eq!(signed(&mut meter).len(), 1);
    assert_eq!(deliver(&mut meter).unwrap().refused.len(), 1);
    assert_eq!(chains.lock().unwrap().claims.len(), count - 1);
}

#[test]
fn a_meter_that_lost_its_spool_signs_again_from_the_expected_head() {
    let (url, chains) = exchange(Mood::default());
    let first = tempfile::tempdir().unwrap();
    let mut meter = Meter::open(settings(first.path(), false, &url), clock()).unwrap();
    take(&mut meter, "east1-2026-10.psv", "UTC");
    signed(&mut meter);
    deliver(&mut meter).unwrap();
    let before = chains.lock().unwrap().claims.len();
    let second = tempfile::tempdir().unwrap();
    let mut meter = Meter::open(settings(second.path(), false, &url), clock()).unwrap();
    take(&mut meter, "west2-2026-10.json", "UTC");
    take(&mut meter, "east1-2026-09.psv", "UTC");
    let count = signed(&mut meter).len();
    let sent = deliver(&mut meter).unwrap();
    assert!(sent.signed_again > 0);
    // The job over the month's end was stated before, from 14:20 to 18:10: five receipts, each refused now.
    assert!(
        sent.refused
            .iter()
            .all(|refused| refused.code == "receipt.overlap")
    );
    assert_eq!((sent.refused.len(), sent.accepted), (5, count as u64 - 5));
    assert_eq!(chains.lock().unwrap().claims.len(), before + count - 5);
}

#[test]
fn wrong_settings_halt_the_order_and_mended_ones_sign_it_again() {
    let (url, chains) = exchange(Mood::default());
    let folder = tempfile::tempdir().unwrap();
    let mut config = settings(folder.path(), false, &url);
    config.audience = "elsewhere/quan".to_owned();
    let mut meter = Meter::open(config, clock()).unwrap();
    take(&mut meter, "west2-2026-10.json", "UTC");
    let count = signed(&mut meter).len();
    let sent = deliver(&mut meter).unwrap();
    assert_eq!(
        (sent.accepted, sent.refused.len(), sent.halted.len()),
        (0, 0, 2)
    );
    assert_eq!(meter.pending(), count);
    drop(meter);
    let mut meter = Meter::open(settings(folder.path(), false, &url), clock()).unwrap();
    let sent = deliver(&mut meter).unwrap();
    assert_eq!((sent.accepted, meter.pending()), (count as u64, 0));
    assert_eq!(chains.lock().unwrap().claims.len(), count);
}

#[test]
fn a_new_key_is_registered_with_a_proof_that_it_signs_itself() {
    let iss = "pty-aaaaaaaaaaaaaaaa".parse().unwrap();
    let registration =
        issue::registration(&signer(), KeyUse::Receipt, (iss, "localhost/quan"), at(NOW));
    let proof = UnverifiedReceipt::parse(registration["proof"].as_str().unwrap()).unwrap();
    assert!(proof.verify(&signer().public()).is_ok());
    assert_eq!(registration["kid"], signer().public().kid().to_string());
    assert_eq!(registration["jwk"]["x"], signer().public().x());
}

#[test]
fn the_command_line_is_well_formed() {
    #[derive(clap::Parser)]
    struct Quan {
        #[command(flatten)]
        _meter: Command,
    }
    <Quan as clap::CommandFactory>::command().debug_assert();
}

#[test]
fn an_exchange_that_is_away_leaves_everything_in_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut meter = Meter::open(
        settings(folder.path(), false, &format!("http://{port}")),
        clock(),
    )
    .unwrap();
    take(&mut meter, "west2-2026-10.json", "UTC");
    let count = signed(&mut meter).len();
    assert!(matches!(deliver(&mut meter), Err(Fault::Unreachable(_))));
    assert_eq!(meter.pending(), count);
}

/// The last word on each period, as the exchange has it.
fn last_words(chains: &Mutex<Chains>) -> BTreeMap<(Timestamp, Timestamp), (u32, i64, usize)> {
    let word = |claims: &ComputeUsage| {
        let key = (claims.start, claims.end);
        (
            key,
            (
                claims.gpu_count,
                claims.gpu_seconds.get(),
                claims.jobs.len(),
            ),
        )
    };
    chains.lock().unwrap().claims.iter().map(word).collect()
}

/// Exports, each metered and sent: a running job that ends with less, late ones, and some over the site's capacity.
fn three_nights(folder: &Path, url: &str, faults: &Faults) -> Result<(), Fault> {
    let first: [Row; 3] = [
        (1, 0, 200, 4, true),
        (2, 30, 60, 40, false),
        (3, 100, 90, 2, false),
    ];
    let second: [Row; 3] = [
        (1, 0, 150, 4, false),
        (3, 100, 90, 2, false),
        (4, 110, 50, 1, false),
    ];
    for rows in [first, second] {
        let mut meter = Meter::open(settings(folder, true, url), clock())?;
        meter.spool.faults = faults.clone();
        meter.take(
            Path::new("f"),
            export(&rows).as_bytes(),
            &Overrides::default(),
        )?;
        let plans = meter.plan();
        meter.sign(&signer(), &plans)?;
        deliver(&mut meter)?;
    }
    Ok(())
}

#[test]
fn killed_at_any_durable_effect_the_meter_states_the_same_in_the_end() {
    let (url, chains) = exchange(Mood::default());
    let folder = tempfile::tempdir().unwrap();
    let counting = Faults::counting();
    three_nights(folder.path(), &url, &counting).unwrap();
    let expected = last_words(&chains);
    assert!(expected.len() > 4);
    for point in 0..counting.passed() {
        let (url, chains) = exchange(Mood::default());
        let folder = tempfile::tempdir().unwrap();
        let died = three_nights(folder.path(), &url, &Faults::stop_at(point));
        assert!(matches!(died, Err(Fault::Crash(_))), "point {point}");
        three_nights(folder.path(), &url, &Faults::none()).unwrap();
        assert_eq!(last_words(&chains), expected, "point {point}");
    }
}

/// One row of a random history of a small cluster: job, start minute, minutes, GPUs, and whether it still runs.
type Row = (u32, i64, i64, u32, bool);

fn export(rows: &[Row]) -> String {
    let epoch = at("2026-10-05T10:00:00Z");
    let mut text = "JobID|Cluster|Account|State|Start|End|ElapsedRaw|AllocTRES\n".to_owned();
    for (job, start, minutes, gpus, is_running) in rows {
        let from = epoch.after(start * 60);
        let (to, state) = match is_running {
            true => ("Unknown".to_owned(), "RUNNING"),
            false => (from.after(minutes * 60).to_string(), "COMPLETED"),
        };
        let (from, to, seconds) = (from.to_string(), to, minutes * 60);
        let (from, to) = (from.trim_end_matches('Z'), to.trim_end_matches('Z'));
        text.push_str(&format!(
            "{job}|east1|acct-a|{state}|{from}|{to}|{seconds}|gres/gpu:h200={gpus}\n"
        ));
    }
    text
}

/// The row as an earlier export shows it: a running job may look longer than it turns out.
fn so_far((job, start, minutes, gpus, runs): Row, less: i64, is_early: bool) -> Row {
    if runs && is_early {
        (job, start, (minutes + 50 - less).max(1), gpus, true)
    } else {
        (job, start, minutes, gpus, false)
    }
}

fn any_history() -> impl proptest::strategy::Strategy<Value = Vec<Vec<Row>>> {
    use proptest::prelude::*;
    let row = |job: u32| {
        (0_i64..300, 1_i64..200, 1_u32..5, any::<bool>())
            .prop_map(move |(start, minutes, gpus, running)| (job, start, minutes, gpus, running))
    };
    // Each export has any of twelve jobs; a job keeps its start and its GPUs, and may go on or end between exports.
    let jobs = (0..12).map(row).collect::<Vec<_>>();
    let seen = proptest::collection::vec(
        proptest::collection::vec((any::<bool>(), 0_i64..100), 12),
        1..4,
    );
    (jobs, seen).prop_map(|(jobs, seen)| {
        let last = seen.len() - 1;
        let export = |(n, picks): (usize, Vec<(bool, i64)>)| {
            let shown = jobs
                .iter()
                .zip(picks)
                .filter(|(_, (is_shown, _))| *is_shown || n == last);
            let row = |(row, (_, less)): (&Row, (bool, i64))| so_far(*row, less, n != last);
            shown.map(row).collect()
        };
        seen.into_iter().enumerate().map(export).collect()
    })
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_exports_overlap_the_last_words_sum_to_the_runs(history in any_history()) {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), true, "http://h");
        for rows in &history {
            // A meter of its own for each export: what is known comes from the spool.
            let mut meter = Meter::open(config.clone(), clock()).unwrap();
            meter.take(Path::new("f"), export(rows).as_bytes(), &Overrides::default()).unwrap();
            signed(&mut meter);
        }
        let meter = Meter::open(config, clock()).unwrap();
        let mut last_words: BTreeMap<u32, ComputeUsage> = BTreeMap::new();
        let mut roots: BTreeMap<u32, u32> = BTreeMap::new();
        for receipt in pending(&meter) {
            let root = receipt.corrects.map_or(receipt.seq, |old| roots[&old.seq]);
            roots.insert(receipt.seq, root);
            if let Some(before) = last_words.insert(root, receipt.clone()) {
                // A correction names the last word, not the first, and repeats its period.
                proptest::prop_assert_eq!(receipt.corrects, Some(before.jti));
                proptest::prop_assert_eq!((before.start, before.end), (receipt.start, receipt.end));
            }
        }
        let mut by_time: Vec<&ComputeUsage> = last_words.values().collect();
        by_time.sort_by_key(|receipt| receipt.start);
        for pair in by_time.windows(2) {
            proptest::prop_assert!(pair[0].end <= pair[1].start);
        }
        let mut stated: BTreeMap<&str, i64> = BTreeMap::new();
        for job in by_time.iter().flat_map(|receipt| &receipt.jobs) {
            *stated.entry(&job.run).or_default() += job.gpu_seconds.get();
        }
        let book = &meter.spool.books[&order("acct-a")];
        let metered: BTreeMap<&str, i64> = book
            .runs
            .iter()
            .map(|(name, run)| {
                let gpus = run.facts.gpus.values().next().copied().unwrap_or(0);
                (name.as_str(), run.facts.seconds * i64::from(gpus))
            })
            .collect();
        proptest::prop_assert_eq!(stated, metered);
    }
}
