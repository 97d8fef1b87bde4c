//! What a regulator of one fund or region sees: nothing of its own can be kept from it, and nothing withheld makes a false alarm.

use std::collections::{BTreeMap, BTreeSet};

use verifier::audit::{Balance, Depth, Report, Verdict, audit_scopes};
use verifier::book::command::{
    AppropriateFund, Command, Kind, OpenFund, RegisterActor, Role, SealBook,
};
use verifier::book::entry::Entry;
use verifier::book::redacted::{RedactedPath, redact};
use verifier::book::scope::Scope;
use verifier::id::{FundId, FunderId};
use verifier::ledger::Postings;
use verifier::money::Fen;
use verifier::refusal::Code;
use verifier::region::Region;
use verifier::trail::bundle::{self, BundlePath};
use verifier::trail::policy::Policy;

use crate::golden;
use crate::story::{self, Story, Trail};

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

/// The files as an exchange gives them to whoever sees these scopes: no whole bundle, one redacted one a scope.
pub(crate) fn cut(trail: &Trail, scopes: &[Scope]) -> Trail {
    let mut files = BTreeMap::new();
    for (name, bytes) in &trail.0 {
        let Ok(bundle) = BundlePath::parse(name) else {
            files.insert(name.clone(), bytes.clone());
            continue;
        };
        for scope in scopes {
            let path = RedactedPath {
                scope: scope.clone(),
                bundle,
            };
            let bytes = redact(bytes, bundle.width(), scope).unwrap();
            files.insert(path.to_string(), bytes);
        }
    }
    Trail(files)
}

fn check_by(policy: &str, trail: &Trail, declared: &[Scope]) -> Report {
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    let Ok(report) = audit_scopes(&mut trail.clone(), &policy, Depth::Decisions, declared);
    report
}

fn check(trail: &Trail, declared: &[Scope]) -> Report {
    check_by(&story::policy(), trail, declared)
}

fn codes(report: &Report) -> Vec<(String, &'static str)> {
    let code =
        |difference: &verifier::audit::Difference| (difference.at.to_string(), difference.code);
    report.differences.iter().map(code).collect()
}

/// Two funds, one of them of a region, written in turn, and a seal at last.
struct World {
    story: Story,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            story: Story::of(5),
        };
        let open = Command::OpenFund(OpenFund {
            fund: FundId::parse("pd-2026").unwrap(),
            funder: FunderId::parse("sh-finance").unwrap(),
            year: Some(2026),
            region: Some(Region::parse("310115").unwrap()),
        });
        world.funder(open);
        for _ in 0..10 {
            world.appropriate("pd-2026", 11);
            world.appropriate("sh-2026", 7);
        }
        world.seal();
        world
    }

    fn funder(&mut self, command: Command) {
        let entry = self.story.next(self.story.funder, command).unwrap();
        self.story.append(&entry);
    }

    fn appropriate(&mut self, fund: &str, fen: i64) {
        self.funder(Command::AppropriateFund(AppropriateFund {
            fund: FundId::parse(fund).unwrap(),
            fen: Fen::new(fen).unwrap(),
            basis: None,
        }));
    }

    fn seal(&mut self) -> Entry {
        let seal = Command::SealBook(SealBook { after: None });
        let entry = self.story.next(self.story.exchange, seal).unwrap();
        self.story.append(&entry);
        entry
    }

    fn cut(&self, scopes: &[Scope]) -> Trail {
        cut(&self.story.trail(), scopes)
    }
}

/// A story of two funds, and what whoever sees one of them gets of its trail.
pub(crate) fn of_one_fund() -> (Story, Trail) {
    let story = World::new().story;
    let trail = cut(&story.trail(), &[scope("fund/sh-2026")]);
    (story, trail)
}

/// Withholds one more entry of a redacted bundle.
pub(crate) fn withhold(trail: &mut Trail, seq: u64) {
    edit(trail, seq, Vec::new());
}

pub(crate) fn edit(trail: &mut Trail, seq: u64, entry: Vec<u8>) {
    let mut redacted = trail
        .0
        .keys()
        .filter_map(|name| RedactedPath::parse(name).ok());
    let path = redacted.rfind(|path| path.bundle.first() <= seq).unwrap();
    let width = path.bundle.width();
    let bytes = trail.0.get_mut(&path.to_string()).unwrap();
    let mut entries: Vec<Vec<u8>> = bundle::decode(bytes, width)
        .unwrap()
        .iter()
        .map(|entry| entry.to_vec())
        .collect();
    entries[usize::try_from(seq - path.bundle.first()).unwrap()] = entry;
    *bytes = bundle::encode(entries.iter().map(Vec::as_slice)).unwrap();
}

#[test]
fn a_declared_scope_agrees_and_an_undeclared_one_is_called_withheld() {
    let world = World::new();
    let own = [scope("fund/sh-2026")];
    let trail = world.cut(&own);
    let report = check(&trail, &own);
    assert_eq!(codes(&report), []);
    assert_eq!((report.verdict, report.withheld), (Verdict::Agree, 11));
    assert_eq!((report.decided, report.undecided), (16, 0));
    // 4 common ones, entry 3 and its fen, and the ten; the seal states the fund's 12 and the 3 before it in common.
    let seen: Vec<_> = report
        .scopes
        .iter()
        .map(|seen| (seen.scope.to_string(), seen.seen, seen.sealed))
        .collect();
    let expected = [("common", 4, 3), ("fund/sh-2026", 12, 12)];
    assert_eq!(
        seen,
        expected.map(|(scope, seen, sealed)| (scope.to_owned(), seen, Some(sealed)))
    );
    assert_eq!(report.funds.len(), 1);
    assert!(report.funds[0].whole);
    assert_eq!(report.funds[0].fen.get("fund"), Some(&77));
    let undeclared = check(&trail, &[]);
    assert_eq!(
        (codes(&undeclared), undeclared.verdict),
        (Vec::new(), Verdict::Withheld)
    );
    // A whole trail may be declared as seen in part: everything is decided then.
    let whole = check(&world.story.trail(), &own);
    assert_eq!(
        (whole.verdict, whole.withheld, whole.decided),
        (Verdict::Agree, 0, 27)
    );
}

#[test]
fn a_region_holds_the_places_in_it_and_several_scopes_are_seen_together() {
    let world = World::new();
    let province = [scope("region/310000")];
    let report = check(&world.cut(&province), &province);
    assert_eq!((codes(&report), report.withheld), (Vec::new(), 12));
    let scopes: Vec<_> = report
        .scopes
        .iter()
        .map(|seen| seen.scope.to_string())
        .collect();
    assert_eq!(scopes, ["common", "region/310115"]);
    let both = [scope("fund/sh-2026"), scope("region/310115")];
    let report = check(&world.cut(&both), &both);
    assert_eq!(
        (codes(&report), report.withheld, report.decided),
        (Vec::new(), 0, 27)
    );
}

#[test]
fn an_entry_kept_from_its_regulator_is_found_at_the_next_one_or_at_the_seal() {
    let world = World::new();
    let own = [scope("fund/sh-2026")];
    for (dropped, found_at) in [(7, 9), (23, 25), (25, 26)] {
        let mut trail = world.cut(&own);
        withhold(&mut trail, dropped);
        let report = check(&trail, &own);
        assert_eq!(
            codes(&report),
            [(format!("entry {found_at}"), "trail.scope-gap")],
            "{dropped}"
        );
        assert_eq!(report.verdict, Verdict::Differ);
        assert!(!report.funds[0].whole);
    }
    // So is one that is common.
    let mut trail = world.cut(&own);
    withhold(&mut trail, 1);
    let report = check(&trail, &own);
    assert!(
        codes(&report).contains(&("entry 2".to_owned(), "trail.scope-gap")),
        "{:?}",
        codes(&report)
    );
}

#[test]
fn a_seal_that_states_too_few_or_leaves_a_scope_out_is_found() {
    let own = [scope("fund/sh-2026")];
    for change in [
        (|counts: &mut Vec<(Scope, u64)>| counts[2].1 = 11) as fn(&mut Vec<(Scope, u64)>),
        |counts| counts.retain(|(scope, _)| !matches!(scope, Scope::Fund(_))),
    ] {
        let mut world = World::new();
        let bytes = world.story.entries.pop().unwrap();
        let mut seal = Entry::parse(&bytes).unwrap();
        let sealed = seal.found.sealed.as_mut().unwrap();
        sealed.counts.sort();
        change(&mut sealed.counts);
        world.story.entries.push(seal.to_bytes().unwrap());
        let trail = world.cut(&own);
        let report = check(&trail, &own);
        let gaps = codes(&report);
        assert!(
            gaps.iter()
                .all(|gap| *gap == ("entry 26".to_owned(), "trail.scope-gap"))
                && !gaps.is_empty(),
            "{gaps:?}"
        );
        // Whoever sees all finds it too: the seal is decided again.
        let report = check(&world.story.trail(), &[]);
        assert_eq!(codes(&report), [("entry 26".to_owned(), "entry.found")]);
    }
}

#[test]
fn a_redacted_entry_restored_as_another_is_found() {
    let world = World::new();
    let own = [scope("fund/sh-2026")];
    let mut trail = world.cut(&own);
    let other = world.story.entries[7].clone();
    // Entry 6 is of the other fund: withheld.
    edit(&mut trail, 6, other);
    let report = check(&trail, &own);
    assert_eq!(
        codes(&report),
        [("redacted/fund/sh-2026/000.p/27".to_owned(), "trail.bundle")]
    );
    // A withheld one given after all is no harm.
    let mut trail = world.cut(&own);
    edit(&mut trail, 6, world.story.entries[6].clone());
    assert_eq!(codes(&check(&trail, &own)), []);
}

#[test]
fn without_its_tile_what_is_withheld_has_no_hash_and_a_stray_redacted_bundle_is_named() {
    let world = World::new();
    let own = [scope("fund/sh-2026")];
    let mut trail = world.cut(&own);
    trail.0.remove("tile/0/000.p/27");
    let found = codes(&check(&trail, &own));
    assert_eq!(
        found.first(),
        Some(&("tile/0/000.p/27".to_owned(), "trail.missing"))
    );
    for name in [
        "redacted/fund/sh-2026/000.p/28",
        "redacted/fund/sh-2026/001",
        "redacted/fund/000",
    ] {
        let mut trail = world.cut(&own);
        trail.0.insert(name.to_owned(), vec![0, 0]);
        assert_eq!(
            codes(&check(&trail, &own)),
            [(name.to_owned(), "trail.stray")]
        );
    }
    let mut trail = world.cut(&own);
    trail.0.remove("redacted/fund/sh-2026/000.p/27");
    let found = codes(&check(&trail, &own));
    assert_eq!(
        found,
        [("tile/entries/000.p/27".to_owned(), "trail.missing")]
    );
}

#[test]
fn a_lie_about_the_money_of_ones_own_fund_is_found_and_one_about_anothers_is_not_seen() {
    let own = [scope("fund/sh-2026")];
    let double = |entry: &mut Entry| {
        let legs = entry.postings.legs().iter();
        let doubled = legs.map(|(account, fen)| (account.clone(), fen.plus(*fen).unwrap()));
        entry.postings = Postings::new(doubled.collect()).unwrap();
    };
    let lie = |at: usize| {
        let world = World::new();
        let mut entries = world.story.entries.clone();
        let mut entry = Entry::parse(&entries[at]).unwrap();
        double(&mut entry);
        entries[at] = entry.to_bytes().unwrap();
        codes(&check(&cut(&Trail::of(&entries), &own), &own))
    };
    assert_eq!(lie(9), [("entry 9".to_owned(), "entry.postings")]);
    assert_eq!(lie(8), []);
}

#[test]
fn the_golden_trail_raises_no_false_alarm_in_any_of_its_scopes() {
    let (policy, trail) = golden::files();
    let trail = Trail(trail);
    let entries = golden::entries();
    let scopes: BTreeSet<Scope> = entries
        .iter()
        .flat_map(|entry| entry.scopes.iter().map(|(scope, _)| scope.clone()))
        .collect();
    assert!(scopes.len() > 3, "{scopes:?}");
    let held = |fen: &BTreeMap<String, i64>| -> Vec<(String, i64)> {
        let held = fen.iter().filter(|(_, fen)| **fen != 0);
        held.map(|(kind, fen)| (kind.clone(), *fen)).collect()
    };
    let whole = check_by(&policy, &trail, &[]).funds;
    let scopes: Vec<Scope> = scopes.into_iter().collect();
    let pairs = scopes.windows(2).map(<[Scope]>::to_vec);
    let mut undecided = Vec::new();
    for own in scopes.iter().map(|one| vec![one.clone()]).chain(pairs) {
        let report = check_by(&policy, &cut(&trail, &own), &own);
        assert_eq!(codes(&report), [], "{own:?}");
        assert_eq!(report.verdict, Verdict::Agree);
        let seen = report.entries - report.withheld;
        assert_eq!(report.decided + report.undecided, seen, "{own:?}");
        undecided.push((report.undecided, seen));
        // A fund whose own scope is seen is summed whole, and comes to what the whole trail says.
        let own_funds = |fund: &&Balance| own.contains(&Scope::Fund(fund.fund.clone()));
        for fund in report.funds.iter().filter(own_funds) {
            assert!(fund.whole, "{}", fund.fund);
            let all = whole.iter().find(|all| all.fund == fund.fund).unwrap();
            assert_eq!(held(&fund.fen), held(&all.fen), "{}", fund.fund);
        }
    }
    // Most of what is seen can be decided again: of a fund nearly all, of a region what does not draw on a fund of no region.
    let few = undecided
        .iter()
        .all(|(undecided, seen)| undecided * 4 <= *seen);
    assert!(few, "{undecided:?}");
}

#[test]
fn only_a_regulator_alone_is_limited_and_only_to_sorted_scopes() {
    let story = Story::of(5);
    let ask = |roles: Vec<Role>, scopes: &[&str]| {
        let command = Command::RegisterActor(RegisterActor {
            party: story.funder.0,
            roles,
            scopes: Some(scopes.iter().map(|text| scope(text)).collect()),
        });
        story.next(story.exchange, command).unwrap_err().code
    };
    assert_eq!(ask(vec![Role::Funder], &["common"]), Code::AccessScope);
    assert_eq!(
        ask(vec![Role::Regulator, Role::Funder], &["common"]),
        Code::AccessScope
    );
    for bad in [
        &[][..],
        &["common", "common"],
        &["region/310000", "fund/sh-2026"],
    ] {
        assert_eq!(ask(vec![Role::Regulator], bad), Code::RequestMalformed);
    }
}

#[test]
fn a_book_of_many_scopes_is_sealed_by_several_entries() {
    let mut world = World::new();
    for number in 0..250 {
        let fund = FundId::parse(&format!("many-{number:03}")).unwrap();
        world.funder(Command::OpenFund(OpenFund {
            fund,
            funder: FunderId::parse("sh-finance").unwrap(),
            year: None,
            region: None,
        }));
    }
    let first = world.seal();
    let sealed = first.found.sealed.unwrap();
    assert_eq!(sealed.counts.len(), 200);
    let after = sealed.next.clone();
    assert_eq!(after.as_ref(), sealed.counts.last().map(|(scope, _)| scope));
    assert_eq!(world.story.book.sealing, after);
    let rest = Command::SealBook(SealBook { after });
    let rest = world.story.next(world.story.exchange, rest).unwrap();
    world.story.append(&rest);
    // common, two funds, a region and the 250.
    assert_eq!(rest.found.sealed.unwrap().counts.len(), 54);
    assert_eq!(world.story.book.sealing, None);
    let own = [scope("fund/sh-2026"), scope("fund/many-007")];
    let report = check(&world.cut(&own), &own);
    assert_eq!(codes(&report), []);
    assert!(report.scopes.iter().all(|seen| seen.sealed.is_some()));
    assert!(Kind::ALL.contains(&Kind::SealBook));
}
