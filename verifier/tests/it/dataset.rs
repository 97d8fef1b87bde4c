//! `dataset` and `sample`: what a trail says of one version, with sums that agree with `stats`, and a sheet held against it.
#![expect(
    clippy::disallowed_methods,
    reason = "the command is tested on real files"
)]

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use verifier::analysis::Study;
use verifier::analysis::dataset::Told;
use verifier::analysis::stats::stats;
use verifier::book::command::Kind;
use verifier::book::state::order::Goods;
use verifier::dataset::{Entitlement, First, Mark, Sampling, Sheet, State, entitled, state};
use verifier::id::{DocumentDigest, OrderId, Salt};
use verifier::programme::schema::Scheme;
use verifier::refusal::{Code, Refusal};
use verifier::signature::Signer;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::history;
use verifier::trail::key::KeyName;
use verifier::trail::note::{Note, NoteSigner};
use verifier::trail::{Hash, TreeSize};

use crate::golden;
use crate::scenarios::exchange::{TO, document, time};
use crate::story::{ORIGIN, Trail};
use crate::town::{DAY, Disk, HOUR, Town, Use, quan_verify};

fn told<'a>(entries: impl IntoIterator<Item = &'a Vec<u8>>, manifest: DocumentDigest) -> Told {
    let mut study = Study::of_version(manifest);
    entries.into_iter().for_each(|entry| study.take(entry));
    assert_eq!(study.stopped(), None);
    study.version().unwrap()
}

/// Three buyers of one version, and one of another: the first uses it, the second is silent, the third only orders.
struct Sold {
    town: Town,
    manifest: DocumentDigest,
    other: DocumentDigest,
    orders: [OrderId; 3],
}

fn sold() -> Sold {
    let mut town = Town::open();
    let (first, manifest) = town.data_order("a", "vendor", 50_000);
    let office = town.exchange.office;
    for (passed, report) in [(false, "a first report"), (true, "a second report")] {
        let assess = json!({ "manifest": manifest, "passed": passed, "report": document(report) });
        town.exchange.done(office, Kind::AssessDataset, &assess);
    }
    let possession = town.deliver((first, manifest));
    town.accept("a", (first, manifest), possession);
    let vendor = town.party("vendor");
    let price = json!({ "manifest": manifest, "price_fen": 30_000 });
    town.exchange.done(vendor, Kind::PriceDataset, &price);
    let second = town.license(("b", "vendor"), manifest);
    town.deliver((second, manifest));
    let third = town.license(("c", "vendor"), manifest);
    let (_, other) = town.accepted("d", "vendor", 7_000);
    town.pass(10 * DAY);
    town.deem(second);
    let compute = town.order("a", "north");
    let mut used = Use::of(town.now(), HOUR, 2);
    used.inputs = Some(vec![manifest]);
    used.run = Some("slurm:training".to_owned());
    town.meter(compute, used);
    Sold {
        town,
        manifest,
        other,
        orders: [first, second, third],
    }
}

#[test]
fn a_version_is_told_from_its_publication_to_the_job_that_used_it() {
    let sold = sold();
    let told = told(&sold.town.exchange.entries, sold.manifest);
    assert_eq!(told.state, "listed");
    let prices: Vec<_> = told.prices.iter().map(|of| of.price_fen.get()).collect();
    assert_eq!(prices, [50_000, 30_000]);
    let said: Vec<_> = told.assessments.iter().map(|said| said.passed).collect();
    assert_eq!(said, [false, true]);
    assert_eq!(told.assessments[1].report, document("a second report"));
    let orders: Vec<_> = told.orders.iter().map(|sale| sale.order).collect();
    assert_eq!(orders, sold.orders);
    let [first, second, third] = told.orders.as_slice() else {
        panic!("{} orders", told.orders.len());
    };
    // The price at which each was placed.
    let paid = [first, second, third].map(|sale| sale.price_fen.get());
    assert_eq!(paid, [50_000, 30_000, 30_000]);
    assert_eq!(first.deliveries[0].ranges, document("all"));
    assert_eq!(first.deliveries[0].signed_by, "vendor");
    assert_eq!(first.acceptances[0].how, "given");
    assert!(first.acceptances[0].possession.is_some());
    assert_eq!(second.acceptances[0].how, "deemed");
    assert_eq!(second.acceptances[0].possession, None);
    assert_eq!((third.deliveries.len(), third.acceptances.len()), (0, 0));
    // A fifth waits for the proof of use, which the first alone has given.
    let granted = |place: usize| told.orders[place].grants[0].granted_fen;
    assert_eq!([granted(0), granted(1), granted(2)], [50_000, 24_000, 0]);
    assert_eq!(told.granted_fen, 74_000);
    let [used] = told.uses.as_slice() else {
        panic!("{} uses", told.uses.len());
    };
    assert_eq!(used.runs[0].run, "slurm:training");
    assert_eq!((used.gpu_seconds, told.gpu_seconds), (2 * HOUR, 2 * HOUR));
    assert_eq!(used.proves, [first.order]);
    assert_eq!(used.buyer, Some(first.buyer));
}

#[test]
fn all_versions_together_are_what_stats_say_of_data() {
    let sold = sold();
    let town = &sold.town;
    let all = [sold.manifest, sold.other].map(|of| told(&town.exchange.entries, of));
    let sum = |of: fn(&Told) -> i64| all.iter().map(of).sum::<i64>();
    let data = stats(&town.study()).subsidy.schemes;
    let data = data.iter().find(|part| part.name == "data").unwrap();
    assert_eq!(sum(|told| told.earned_fen), data.earned_fen);
    assert_eq!(sum(|told| told.granted_fen), data.granted_fen);
    let orders: usize = all.iter().map(|told| told.orders.len()).sum();
    assert_eq!(orders, 4);
}

#[test]
fn the_golden_trails_versions_are_what_its_stats_say_of_data() {
    let entries: Vec<_> = golden::entries()
        .iter()
        .map(|entry| entry.to_bytes().unwrap())
        .collect();
    let mut study = Study::new();
    entries.iter().for_each(|entry| study.take(entry));
    let all: Vec<_> = study.book().versions.keys().copied().collect();
    assert!(!all.is_empty());
    let all: Vec<_> = all.into_iter().map(|of| told(&entries, of)).collect();
    let schemes = stats(&study).subsidy.schemes;
    let data = schemes.iter().find(|part| part.name == "data").unwrap();
    let sum = |of: fn(&Told) -> i64| all.iter().map(of).sum::<i64>();
    assert_eq!(sum(|told| told.granted_fen), data.granted_fen);
    assert_eq!(sum(|told| told.taken_back_fen), data.taken_back_fen);
    assert!(data.granted_fen > 0);
}

#[test]
fn what_is_taken_back_and_recalled_is_told() {
    let mut sold = sold();
    let (town, order) = (&mut sold.town, sold.orders[0]);
    town.pass(60 * DAY);
    town.pay("vendor", "2026-01");
    town.claw_back(order, 5_000);
    let vendor = town.party("vendor");
    let recall = json!({ "manifest": sold.manifest, "notice": document("a notice") });
    town.exchange.done(vendor, Kind::RecallDataset, &recall);
    let told = told(&town.exchange.entries, sold.manifest);
    assert_eq!(told.state, "recalled");
    assert_eq!(told.notice, Some(document("a notice")));
    assert_eq!(told.earned_fen, 74_000);
    assert_eq!((told.taken_back_fen, told.granted_fen), (25_000, 49_000));
}

fn ask(words: &[&dyn AsRef<OsStr>]) -> (i32, String) {
    let words: Vec<_> = words.iter().map(|word| word.as_ref()).collect();
    quan_verify(&words)
}

#[test]
fn the_command_tells_a_version_in_words_and_in_json() {
    let sold = sold();
    let disk = Disk::of(&sold.town);
    let (manifest, trail, policy) = (sold.manifest.to_string(), disk.trail(), disk.policy());
    let (status, page) = ask(&[&"dataset", &manifest, &"--trail", &trail]);
    assert_eq!(status, 0, "{page}");
    for part in [
        "not audited: no --policy was given",
        "version 1.0 of ",
        "  price       2026-01-05T01:00:00Z  500.00 CNY",
        "passed by ",
        "  delivered   entry ",
        "by the vendor's key ",
        "  given, possession ",
        "  deemed\n",
        "  run         slurm:training  7200 GPU-seconds",
        "sum of 3 orders and 1 uses: 2.0 GPU-h, earned 740.00 CNY, taken back 0.00 CNY, granted 740.00 CNY (74000 fen)",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let hash = sold.manifest.hash().bytes();
    let hex = verifier::id::hex(hash);
    let words: [&dyn AsRef<OsStr>; 7] = [
        &"dataset",
        &hex,
        &"--trail",
        &trail,
        &"--policy",
        &policy,
        &"--json",
    ];
    let (status, page) = ask(&words);
    assert_eq!(status, 0, "{page}");
    let told: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(told["trail"]["verdict"], "agree");
    assert_eq!(told["dataset"]["granted_fen"], 74_000);
    assert_eq!(
        told["dataset"]["orders"][1]["acceptances"][0]["how"],
        "deemed"
    );
    assert_eq!(
        told["dataset"]["uses"][0]["runs"][0]["run"],
        "slurm:training"
    );
    for nothing in [
        document("nobody's").to_string(),
        "no digest".to_owned(),
        "f".repeat(63),
    ] {
        let (status, page) = ask(&[&"dataset", &nothing, &"--trail", &trail]);
        assert_eq!(status, 2, "{page}");
    }
    // A trail that differs says so first.
    let entries = disk.file("checkpoint");
    fs::write(&entries, "no note\n").unwrap();
    let (status, page) = ask(&words[..6]);
    assert_eq!(status, 1, "{page}");
    assert!(page.starts_with("differ: "), "{page}");
}

/// A trail with a published version, and a place for sheets.
struct Sampled {
    disk: Disk,
    town: Town,
    sampling: Sampling,
}

impl Sampled {
    fn new() -> Self {
        let mut town = Town::open();
        let (_, manifest) = town.data_order("a", "vendor", 50_000);
        let seq = town.exchange.book.version(manifest).unwrap().seq;
        town.tick();
        let disk = Disk::of(&town);
        let note = fs::read_to_string(disk.file("checkpoint")).unwrap();
        let sampling = Sampling {
            manifest,
            seq,
            note,
            first: First::NotShown,
            nonce: Salt::new([9; 16]),
            rows: 400,
            wanted: 20,
        };
        Self {
            disk,
            town,
            sampling,
        }
    }

    /// The log's note after so many entries.
    fn note(&self, size: u64) -> String {
        let entries = &self.town.exchange.entries[..usize::try_from(size).unwrap()];
        let mut trail = Trail::named(ORIGIN, entries).0;
        String::from_utf8(trail.remove("checkpoint").unwrap()).unwrap()
    }

    fn publish_history(&self, sizes: &[u64]) {
        let notes: Vec<_> = sizes.iter().map(|size| self.note(*size)).collect();
        let count = notes.len() as u64;
        for part in history::parts_between(0, count) {
            let file = self.disk.file(&part.to_string());
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let bytes = history::encode(notes.iter().map(String::as_str)).unwrap();
            fs::write(file, bytes).unwrap();
        }
        let count = history::encode_count(count);
        fs::write(self.disk.file(history::COUNT), count).unwrap();
    }

    fn put(&self, sheet: &Sheet) -> PathBuf {
        let file = self.disk.policy().with_file_name("sheet.json");
        fs::write(&file, sheet.to_json().unwrap()).unwrap();
        file
    }

    fn check(&self, sheet: &Sheet) -> (i32, String) {
        ask(&[&"sample", &self.put(sheet), &"--trail", &self.disk.trail()])
    }
}

fn judged(sampling: Sampling) -> Sheet {
    let mut sheet = Sheet::draw(sampling).unwrap();
    let verdicts: Vec<_> = sheet.drawn.iter().map(|row| (*row, Mark::Pass)).collect();
    sheet.judge(&verdicts).unwrap();
    sheet
}

#[test]
fn a_sheet_recomputes_offline() {
    let of = Sampled::new();
    let sheet = judged(of.sampling.clone());
    let (status, page) = of.check(&sheet);
    assert_eq!(status, 0, "{page}");
    for part in [
        "agree: ",
        "not shown",
        "20 of 400 rows",
        "20 of 20 passed: between 83.",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let (file, trail, policy) = (of.put(&sheet), of.disk.trail(), of.disk.policy());
    let (status, page) = ask(&[
        &"sample",
        &file,
        &"--trail",
        &trail,
        &"--policy",
        &policy,
        &"--json",
    ]);
    assert_eq!(status, 0, "{page}");
    let said: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(
        (&said["verdict"], &said["sheet"]["passed"]),
        (&json!("agree"), &json!(20))
    );
}

#[test]
fn a_sheet_is_shown_to_be_of_the_first_checkpoint_only_where_the_history_says_so() {
    let of = Sampled::new();
    let (seq, size) = (of.sampling.seq, of.town.exchange.book.size);
    let shown = |size: u64| {
        judged(Sampling {
            note: of.note(size),
            first: First::Shown,
            ..of.sampling.clone()
        })
    };
    // No history, then one that begins too late, then one that covers it.
    let (status, page) = of.check(&shown(seq + 1));
    assert_eq!(
        (status, page.contains("trail.history")),
        (1, true),
        "{page}"
    );
    of.publish_history(&[seq - 1, seq, seq + 2, size]);
    for later in [seq + 1, size] {
        let (status, page) = of.check(&shown(later));
        assert_eq!(
            (status, page.contains("trail.history")),
            (1, true),
            "{page}"
        );
    }
    let (status, page) = of.check(&shown(seq + 2));
    assert_eq!(
        (status, page.contains("shown by the history")),
        (0, true),
        "{page}"
    );
}

#[test]
fn a_sheet_of_another_log_tree_or_entry_differs() {
    let of = Sampled::new();
    let size = of.town.exchange.book.size;
    let name = KeyName::parse(ORIGIN).unwrap();
    let signed = |seed: [u8; 32], root: Hash| {
        let checkpoint = Checkpoint::new(name.clone(), TreeSize::new(size).unwrap(), root);
        let signer = NoteSigner::new(name.clone(), Signer::from_seed(&seed));
        checkpoint.sign(&signer).unwrap().to_string()
    };
    let note = Note::parse(of.sampling.note.as_bytes()).unwrap();
    let root = Checkpoint::parse(note.text()).unwrap().root();
    let bad = [
        (
            "trail.signature",
            Sampling {
                note: signed([8; 32], root),
                ..of.sampling.clone()
            },
        ),
        (
            "trail.fork",
            Sampling {
                note: signed([1; 32], Hash::EMPTY),
                ..of.sampling.clone()
            },
        ),
        (
            "dataset.unknown",
            Sampling {
                seq: of.sampling.seq - 1,
                ..of.sampling.clone()
            },
        ),
        (
            "dataset.unknown",
            Sampling {
                manifest: document("other"),
                ..of.sampling.clone()
            },
        ),
    ];
    for (code, sampling) in bad {
        let (status, page) = of.check(&judged(sampling));
        assert_eq!(status, 1, "{page}");
        assert!(page.starts_with(&format!("differ: {code}: ")), "{page}");
    }
    let mut tampered = judged(of.sampling.clone());
    tampered.passed -= 1;
    let (status, page) = of.check(&tampered);
    assert_eq!(status, 1, "{page}");
    assert!(
        page.starts_with("differ: request.malformed: the sheet's passed"),
        "{page}"
    );
}

#[test]
fn a_sheet_of_a_later_checkpoint_than_the_copy_has_is_not_checked() {
    let of = Sampled::new();
    let mut longer = of.town.exchange.entries.clone();
    longer.push(longer[1].clone());
    let mut later = Trail::named(ORIGIN, &longer).0;
    let note = String::from_utf8(later.remove("checkpoint").unwrap()).unwrap();
    let (status, page) = of.check(&judged(Sampling {
        note,
        ..of.sampling.clone()
    }));
    assert_eq!(status, 2, "{page}");
    assert!(page.contains("bring the copy up to date"), "{page}");
}

/// A town whose data programme keeps what was withdrawn for so many days, where it says so.
fn keeping(days: Option<i64>) -> Town {
    let mut town = Town::open();
    let days = days.map_or_else(String::new, |days| format!(", retention_days = {days}"));
    let rules = format!(
        "scheme = \"data\"\nbase = {{ of = [\"contract\"] }}\ndata = {{ acceptance = \"signed_or_deemed\", acceptance_days = 10, use_proof = \"compute_receipt\", holdback_bp = 2000{days} }}"
    );
    town.enact("town-data", &rules);
    town
}

fn may(town: &mut Town, name: &str, manifest: DocumentDigest) -> Result<Entitlement, Refusal> {
    let (party, at) = (town.id(name), town.now());
    entitled(&town.exchange.book, party, manifest, at)
}

#[track_caller]
fn may_not(town: &mut Town, name: &str, manifest: DocumentDigest, said: &str) {
    let refusal = may(town, name, manifest).unwrap_err();
    assert_eq!(refusal.code, Code::DeliveryEntitlement, "{refusal}");
    assert!(refusal.sentence.contains(said), "{refusal}");
}

fn by(order: OrderId) -> Result<Entitlement, Refusal> {
    let order = Some(order);
    Ok(Entitlement { order, until: None })
}

fn withdraw(town: &mut Town, manifest: DocumentDigest) {
    let vendor = town.party("vendor");
    let dataset = town.exchange.book.version(manifest).unwrap().dataset;
    let asked = json!({ "dataset": dataset });
    town.exchange.done(vendor, Kind::WithdrawDataset, &asked);
}

fn recall(town: &mut Town, manifest: DocumentDigest) {
    let vendor = town.party("vendor");
    let asked = json!({ "manifest": manifest, "notice": document("a notice") });
    town.exchange.done(vendor, Kind::RecallDataset, &asked);
}

#[test]
fn an_open_or_accepted_order_entitles_and_nothing_else() {
    let mut town = keeping(None);
    let (order, manifest) = town.data_order("a", "vendor", 50_000);
    assert_eq!(may(&mut town, "a", manifest), by(order));
    may_not(&mut town, "b", manifest, "order it first");
    let nothing = Entitlement {
        order: None,
        until: None,
    };
    assert_eq!(may(&mut town, "vendor", manifest), Ok(nothing));
    for overseer in [town.exchange.office.0, town.exchange.operator.0] {
        let found = entitled(&town.exchange.book, overseer, manifest, town.now());
        assert_eq!(found, Ok(nothing));
    }
    let unknown = may(&mut town, "a", document("nobody's")).unwrap_err();
    assert_eq!(unknown.code, Code::DatasetUnknown);
    // Cancelled before it was accepted: nothing is left of it. Accepted and closed: access stays.
    let buyer = town.party("a");
    let cancel = json!({ "order": order });
    town.exchange.done(buyer, Kind::CancelOrder, &cancel);
    may_not(&mut town, "a", manifest, "order it first");
    let again = town.license(("a", "vendor"), manifest);
    let possession = town.deliver((again, manifest));
    town.accept("a", (again, manifest), possession);
    let close = json!({ "order": again });
    town.exchange.done(buyer, Kind::CloseOrder, &close);
    assert_eq!(may(&mut town, "a", manifest), by(again));
}

#[test]
fn an_order_that_waits_for_its_acceptance_comes_first() {
    let mut town = keeping(None);
    let (first, manifest) = town.accepted("a", "vendor", 50_000);
    assert_eq!(may(&mut town, "a", manifest), by(first));
    let second = town.license(("a", "vendor"), manifest);
    assert_eq!(may(&mut town, "a", manifest), by(second));
}

#[test]
fn a_withdrawn_version_is_downloadable_until_its_retention_ends() {
    let mut town = keeping(Some(30));
    let (order, manifest) = town.accepted("a", "vendor", 50_000);
    withdraw(&mut town, manifest);
    let until = town.now().after(30 * DAY);
    let kept = Entitlement {
        order: Some(order),
        until: Some(until),
    };
    assert_eq!(may(&mut town, "a", manifest), Ok(kept));
    town.pass(30 * DAY - 1);
    assert_eq!(may(&mut town, "a", manifest), Ok(kept));
    town.pass(1);
    may_not(&mut town, "a", manifest, &format!("ended at {until}"));
    assert!(may(&mut town, "vendor", manifest).is_ok());
}

#[test]
fn where_no_programme_keeps_it_a_withdrawn_version_is_kept_to_the_end_of_its_licence() {
    let mut town = keeping(None);
    let (order, manifest) = town.accepted("a", "vendor", 50_000);
    withdraw(&mut town, manifest);
    let kept = Entitlement {
        order: Some(order),
        until: Some(time(TO)),
    };
    assert_eq!(may(&mut town, "a", manifest), Ok(kept));
    town.exchange.until(time(TO));
    may_not(&mut town, "a", manifest, "ended at ");
}

#[test]
fn a_recalled_version_is_nobodys() {
    let mut town = keeping(Some(30));
    let (_, manifest) = town.accepted("a", "vendor", 50_000);
    recall(&mut town, manifest);
    may_not(&mut town, "a", manifest, "recalled at ");
    withdraw(&mut town, manifest);
    may_not(&mut town, "a", manifest, "recalled at ");
    // Whoever has to look into it still can.
    assert!(may(&mut town, "vendor", manifest).is_ok());
    let office = town.exchange.office.0;
    assert!(entitled(&town.exchange.book, office, manifest, town.now()).is_ok());
}

#[test]
fn the_orders_of_a_version_are_those_that_a_look_at_all_orders_finds() {
    let sold = sold();
    let book = &sold.town.exchange.book;
    let mut all = 0;
    for ((buyer, manifest), orders) in &book.bought {
        for order in orders {
            let order = book.order(*order).unwrap();
            assert_eq!(order.buyer, *buyer);
            assert!(order.segments.iter().any(|segment| {
                matches!(&segment.goods, Goods::Dataset { manifest: of, .. } if of == manifest)
            }));
            all += 1;
        }
    }
    let data = book
        .orders
        .values()
        .filter(|order| order.scheme == Scheme::Data);
    assert_eq!((all, data.count()), (4, 4));
}

#[test]
fn a_version_stands_where_the_last_word_about_it_says() {
    let mut town = keeping(None);
    let (_, manifest) = town.data_order("a", "vendor", 50_000);
    let stands = |town: &Town| state(&town.exchange.book, manifest).unwrap();
    assert_eq!(stands(&town), State::Submitted);
    let office = town.exchange.office;
    let assess = |town: &mut Town, passed: bool| {
        let report = document(if passed { "good" } else { "bad" });
        let asked = json!({ "manifest": manifest, "passed": passed, "report": report });
        town.exchange.done(office, Kind::AssessDataset, &asked);
    };
    assess(&mut town, false);
    assert_eq!(
        (stands(&town), stands(&town).as_str()),
        (State::Assessed(false), "failed")
    );
    assess(&mut town, true);
    assert_eq!(stands(&town), State::Listed);
    assess(&mut town, false);
    assess(&mut town, true);
    town.pass(DAY);
    let withdrawn = town.now();
    withdraw(&mut town, manifest);
    assert_eq!(stands(&town), State::Withdrawn(withdrawn));
    town.pass(DAY);
    recall(&mut town, manifest);
    assert_eq!(stands(&town), State::Recalled(town.now()));
    let unknown = state(&town.exchange.book, document("nobody's"));
    assert_eq!(unknown.unwrap_err().code, Code::DatasetUnknown);
}

#[test]
fn a_price_is_set_by_its_vendor_for_what_is_for_sale_and_orders_keep_theirs() {
    let mut town = keeping(None);
    let (first, manifest) = town.data_order("a", "vendor", 50_000);
    let price = |town: &mut Town, name: &str, manifest: DocumentDigest, fen: i64| {
        let who = town.party(name);
        let asked = json!({ "manifest": manifest, "price_fen": fen });
        let asked = town.exchange.ask(who, Kind::PriceDataset, &asked);
        asked.map(|entry| entry.seq).map_err(|refusal| refusal.code)
    };
    assert_eq!(
        price(&mut town, "rival", manifest, 1),
        Err(Code::AccessParty)
    );
    for fen in [0, -1] {
        assert_eq!(
            price(&mut town, "vendor", manifest, fen),
            Err(Code::OrderTerms)
        );
    }
    let nobodys = document("nobody's");
    assert_eq!(
        price(&mut town, "vendor", nobodys, 1),
        Err(Code::DatasetUnknown)
    );
    price(&mut town, "vendor", manifest, 1).unwrap();
    let second = town.license(("b", "vendor"), manifest);
    let book = &town.exchange.book;
    let paid = [first, second].map(|order| book.order(order).unwrap().segments[0].price_fen.get());
    assert_eq!(paid, [50_000, 1]);
    let version = book.version(manifest).unwrap();
    assert_eq!((version.price_fen.get(), version.prices.len()), (1, 2));
    let (_, other) = town.data_order("c", "vendor", 50_000);
    recall(&mut town, other);
    assert_eq!(
        price(&mut town, "vendor", other, 2),
        Err(Code::DatasetState)
    );
    withdraw(&mut town, manifest);
    assert_eq!(
        price(&mut town, "vendor", manifest, 2),
        Err(Code::DatasetState)
    );
}
