//! Keys in the wrong hands: what they have earned is frozen, and restored or denied.
#![expect(clippy::too_many_lines, reason = "a story is told in one go")]

use super::*;
use crate::book::command::{
    CaseSubject, ClaimOf, DecideCase, ExecutePayout, InstructPayout, OpenCase, UpdateParty,
    WithdrawCase,
};
use crate::book::state::case::Progress;
use crate::id::CaseId;
use crate::settlement::freeze::FrozenClaim;

/// The provider's own other key.
pub(super) const OTHER_KEY: u8 = 7;

fn fund() -> FundId {
    FundId::parse("w13-city").unwrap()
}

/// What stands where, by class of account.
fn classes(world: &World, fund: &str) -> BTreeMap<&'static str, i64> {
    let classes = world.book.money.classes(&FundId::parse(fund).unwrap());
    classes
        .iter()
        .map(|(class, fen)| (*class, fen.get()))
        .collect()
}

fn in_class(world: &World, class: &str) -> i64 {
    let of = |fund| classes(world, fund).get(class).copied().unwrap_or(0);
    of("w13-city") + of("w12-city")
}

impl World {
    /// The command that registers a key of a party, good from the first day of the orders on.
    pub(super) fn registration(&self, who: Who, key_use: KeyUse, key: u8) -> RegisterKey {
        let proof = KeyRegistration {
            iss: who.0,
            aud: ORIGIN.into(),
            key_use,
            iat: at(self.now),
        };
        let signer = signer(key);
        RegisterKey {
            party: who.0,
            key_use,
            jwk: Jwk {
                crv: "Ed25519".into(),
                kty: "OKP".into(),
                x: signer.public().x(),
            },
            kid: signer.public().kid(),
            valid_from: at(T),
            valid_to: at(T + 10_000 * HOUR),
            proof: sign(&proof, &signer),
            succession: None,
            case: None,
        }
    }

    pub(super) fn register_by(&mut self, asked: RegisterKey) -> Result<Entry, Refusal> {
        self.ask(self.exchange, Command::RegisterKey(asked))
    }

    fn with_other_key() -> Self {
        let mut world = Self::new();
        let other = world.registration(world.provider, KeyUse::Receipt, OTHER_KEY);
        world.register_by(other).unwrap();
        world
    }

    pub(super) fn compromise(&mut self, key: u8, since: i64) -> Result<Entry, Refusal> {
        let revoke = Command::RevokeKey(RevokeKey {
            kid: signer(key).public().kid(),
            reason: RevocationReason::Compromised,
            compromised_since: Some(at(since)),
            after: None,
        });
        self.ask(self.exchange, revoke)
    }

    pub(super) fn decide_claims(
        &mut self,
        case: CaseId,
        approved: bool,
        claims: Option<Vec<ClaimOf>>,
    ) -> Result<Entry, Refusal> {
        let decide = Command::DecideCase(DecideCase {
            case,
            approved,
            approved_fen: None,
            basis: DocumentDigest::of(b"decision"),
            claims,
        });
        self.ask(self.office, decide)
    }

    pub(super) fn decide_all(&mut self, case: CaseId, approved: bool) -> Entry {
        self.decide_claims(case, approved, None).unwrap()
    }

    /// Eight cards for the hour `n` of the order, entered in that hour of the day after.
    fn hour(&mut self, n: i64, key: u8) -> Entry {
        let claims = self.usage(8, T + n * HOUR, T + (n + 1) * HOUR);
        self.send(&claims, key).unwrap()
    }

    /// The party that owns the fund, with a credential that pays.
    fn finance(&mut self) -> Who {
        let owner = self.book.fund(&fund()).unwrap().owner;
        let update = Command::UpdateParty(UpdateParty {
            party: owner,
            roles: Some(vec![Role::Funder, Role::Finance]),
            name: None,
        });
        self.ask(self.exchange, update).unwrap();
        let register = Command::RegisterActor(RegisterActor {
            party: owner,
            roles: vec![Role::Funder, Role::Finance],
            scopes: None,
        });
        let entry = self.ask(self.exchange, register).unwrap();
        (owner, entry.found.actor.unwrap())
    }

    fn instruct(&mut self, finance: Who) -> Result<Entry, Refusal> {
        let instruct = Command::InstructPayout(InstructPayout {
            fund: fund(),
            parties: vec![self.provider.0],
            file: DocumentDigest::of(b"payout file"),
        });
        self.ask(finance, instruct)
    }
}

fn frozen_fen(entry: &Entry) -> Vec<(i64, i64)> {
    let frozen = &entry.found.frozen.as_ref().unwrap().claims;
    let sum = |of: &FrozenClaim| of.fen.iter().map(|fen| fen.get()).sum();
    frozen.iter().map(|of| (sum(of), of.paid.get())).collect()
}

#[test]
fn what_was_accepted_since_then_with_the_key_is_frozen_and_nothing_else() {
    let mut world = World::with_other_key();
    world.hour(0, PROVIDER_KEY);
    world.now += HOUR;
    let since = world.now;
    world.hour(1, PROVIDER_KEY);
    world.hour(2, OTHER_KEY);
    world.now += HOUR;
    world.hour(3, PROVIDER_KEY);
    assert_eq!(in_class(&world, "earned"), 3_200);
    let early = code(world.compromise(PROVIDER_KEY, world.now + 1));
    assert_eq!(early, Code::RequestMalformed);
    let entry = world.compromise(PROVIDER_KEY, since).unwrap();
    assert_eq!(frozen_fen(&entry), [(1_600, 0)]);
    assert_eq!(in_class(&world, "earned"), 1_600);
    assert_eq!(world.book.frozen(world.order, 0), fen(1_600));
    let account = Account::Disputed(world.order, 0, fund());
    assert_eq!(world.book.money.balance(&account), fen(1_600));
    // It is the payee's, and the entry is of its order's scopes, too.
    let own: Vec<_> = world.book.money.accounts_of(world.provider.0).collect();
    assert!(own.contains(&(&account, fen(1_600))));
    drop(own);
    let scopes: Vec<_> = entry
        .scopes
        .iter()
        .map(|(scope, _)| scope.to_string())
        .collect();
    assert_eq!(scopes, ["common", "fund/w13-city", "region/100000"]);
    let case = &world.book.cases[&entry.found.case.unwrap()];
    assert_eq!(
        (case.party, case.progress),
        (world.provider.0, Progress::Open)
    );
    // Twice is once, and the key is good for nothing now.
    assert_eq!(
        code(world.compromise(PROVIDER_KEY, since)),
        Code::KeyUnknown
    );
    let claims = world.usage(8, T + 4 * HOUR, T + 5 * HOUR);
    world.refuse(&claims, Code::ReceiptKeyNotValidThen);
}

#[test]
fn a_second_earlier_is_not_frozen_and_a_key_that_earned_nothing_opens_no_case() {
    let mut world = World::with_other_key();
    world.hour(0, PROVIDER_KEY);
    world.now += 1;
    let entry = world.compromise(PROVIDER_KEY, world.now).unwrap();
    assert_eq!((entry.found.case, entry.found.frozen), (None, None));
    assert_eq!(in_class(&world, "disputed"), 0);
    let entry = world.compromise(CAPACITY_KEY, T - 1_000 * HOUR).unwrap();
    assert_eq!(entry.found.case, None);
    assert!(world.book.compromises.is_empty());
}

#[test]
fn a_superseded_key_may_turn_out_to_be_compromised_and_not_the_other_way_round() {
    let mut world = World::new();
    world.hour(0, PROVIDER_KEY);
    world.revoke(PROVIDER_KEY, RevocationReason::Superseded);
    let entry = world.compromise(PROVIDER_KEY, world.now).unwrap();
    assert_eq!(frozen_fen(&entry), [(800, 0)]);
    let revoke = Command::RevokeKey(RevokeKey {
        kid: signer(PROVIDER_KEY).public().kid(),
        reason: RevocationReason::Superseded,
        compromised_since: None,
        after: None,
    });
    assert_eq!(code(world.ask(world.exchange, revoke)), Code::KeyUnknown);
}

#[test]
fn what_was_paid_is_named_and_left_and_recalled_if_it_is_denied() {
    let mut world = World::with_other_key();
    let finance = world.finance();
    world.hour(0, PROVIDER_KEY);
    world.now += 60 * 24 * HOUR;
    let close = |period: &str| {
        Command::CloseStatement(CloseStatement {
            party: world.provider.0,
            period: NamedPeriod::parse(period).unwrap(),
        })
    };
    let close = close("2026-11");
    world.ask(world.exchange, close).unwrap();
    let batch = world.instruct(finance).unwrap().found.batch.unwrap();
    world.order_mut().grace_days = 100;
    // In the order's own month all is closed: this is earned in the month of its entry.
    world.hour(1, PROVIDER_KEY);
    let entry = world.compromise(PROVIDER_KEY, T).unwrap();
    assert_eq!(frozen_fen(&entry), [(800, 800)]);
    assert_eq!(code(world.instruct(finance)), Code::PayoutNothing);
    world
        .ask(finance, Command::ExecutePayout(ExecutePayout { batch }))
        .unwrap();
    let entry = world.decide_all(entry.found.case.unwrap(), false);
    let stated = &entry.found.ruled.as_ref().unwrap().stated;
    assert_eq!(stated[0].claims[0].grant, Fen::ZERO);
    assert_eq!(stated[0].claims[0].recalled, [fen(800)]);
    assert_eq!(in_class(&world, "owed"), 800);
    assert_eq!(
        in_class(&world, "paid") + in_class(&world, "earned") + in_class(&world, "disputed"),
        0
    );
}

#[test]
fn nothing_frozen_is_instructed_and_restored_money_is_paid() {
    let mut world = World::with_other_key();
    let finance = world.finance();
    world.hour(0, PROVIDER_KEY);
    world.hour(1, OTHER_KEY);
    let entry = world.compromise(PROVIDER_KEY, T).unwrap();
    let case = entry.found.case.unwrap();
    world.now += 60 * 24 * HOUR;
    let close = |world: &mut World, period: &str| {
        let close = Command::CloseStatement(CloseStatement {
            party: world.provider.0,
            period: NamedPeriod::parse(period).unwrap(),
        });
        world.ask(world.exchange, close)
    };
    close(&mut world, "2026-11").unwrap();
    let paid = |entry: Entry| {
        let payments = entry.found.instructed.unwrap().payments;
        payments.iter().map(|of| of.fen.get()).sum::<i64>()
    };
    assert_eq!(paid(world.instruct(finance).unwrap()), 800);
    let entry = world.decide_all(case, true);
    let ruled = entry.found.ruled.unwrap();
    assert_eq!(
        (&ruled.claims[0].restored[..], ruled.left),
        (&[fen(800)][..], 0)
    );
    let progress = world.book.cases[&case].progress;
    assert!(matches!(progress, Progress::Decided { approved: true, .. }));
    assert!(world.book.compromises.is_empty());
    assert_eq!(code(world.decide_claims(case, true, None)), Code::CaseState);
    world.now += 60 * 24 * HOUR;
    close(&mut world, "2027-01").unwrap();
    assert_eq!(paid(world.instruct(finance).unwrap()), 800);
}

#[test]
fn a_good_key_corrects_what_is_frozen_from_what_is_frozen_first() {
    let mut world = World::with_other_key();
    world.hour(0, PROVIDER_KEY);
    world.hour(1, OTHER_KEY);
    let entry = world.compromise(PROVIDER_KEY, T).unwrap();
    let case = entry.found.case.unwrap();
    let less = world.correction(0, 2, T, T + HOUR);
    let entry = world.send(&less, OTHER_KEY).unwrap();
    let account = Account::Disputed(world.order, 0, fund());
    let moved = |entry: &Entry| {
        entry
            .postings
            .legs()
            .iter()
            .find(|(of, _)| *of == account)
            .cloned()
    };
    assert_eq!(moved(&entry).unwrap().1, fen(-600));
    // What is left of it is said by a good key: even a denial takes nothing of it.
    let entry = world.decide_all(case, false);
    let ruled = entry.found.ruled.unwrap();
    assert_eq!(
        (&ruled.claims[0].restored[..], ruled.stated.len()),
        (&[fen(200)][..], 0)
    );
    assert_eq!(
        (in_class(&world, "earned"), in_class(&world, "disputed")),
        (1_000, 0)
    );
}

#[test]
fn what_was_denied_can_be_said_again_by_a_good_key() {
    let mut world = World::with_other_key();
    world.hour(0, PROVIDER_KEY);
    world.hour(1, OTHER_KEY);
    let entry = world.compromise(PROVIDER_KEY, T).unwrap();
    world.decide_all(entry.found.case.unwrap(), false);
    assert_eq!(in_class(&world, "earned"), 800);
    let less = world.correction(0, 2, T, T + HOUR);
    world.send(&less, OTHER_KEY).unwrap();
    assert_eq!(in_class(&world, "earned"), 1_000);
}

#[test]
fn two_keys_on_one_order_are_frozen_and_decided_each_for_itself() {
    let mut world = World::with_other_key();
    world.hour(0, PROVIDER_KEY);
    world.hour(1, OTHER_KEY);
    let first = world
        .compromise(PROVIDER_KEY, T)
        .unwrap()
        .found
        .case
        .unwrap();
    let second = world.compromise(OTHER_KEY, T).unwrap();
    assert_eq!(frozen_fen(&second), [(800, 0)]);
    assert_eq!(in_class(&world, "disputed"), 1_600);
    world.decide_all(first, true);
    assert_eq!(
        (in_class(&world, "earned"), in_class(&world, "disputed")),
        (800, 800)
    );
    world.decide_all(second.found.case.unwrap(), false);
    assert_eq!(
        (in_class(&world, "earned"), in_class(&world, "disputed")),
        (800, 0)
    );
}

#[test]
fn a_false_acceptance_is_denied_and_the_buyer_accepts_again() {
    let mut world = World::new();
    let delivery = world.delivery(world.vendor.0);
    world.send(&delivery, VENDOR_KEY).unwrap();
    let accepted = world.acceptance(Verdict::Accepted);
    world.give(&accepted).unwrap();
    let entry = world.compromise(BUYER_KEY, T).unwrap();
    assert_eq!(frozen_fen(&entry), [(12_000_000, 0)]);
    world.decide_all(entry.found.case.unwrap(), false);
    assert_eq!(
        (in_class(&world, "earned"), in_class(&world, "disputed")),
        (0, 0)
    );
    assert!(world.book.licences.is_empty());
    // Silence is counted anew.
    let due = world.now + 7 * 24 * HOUR;
    assert_eq!(world.book.deemed_at(world.data_order), Ok(at(due)));
    let next = world.registration(world.buyer, KeyUse::Acceptance, OTHER_KEY);
    world.register_by(next).unwrap();
    let jws = signed(&world.acceptance(Verdict::Accepted), OTHER_KEY);
    let again = Command::GiveAcceptance(GiveAcceptance { jws });
    world.ask(world.buyer, again).unwrap();
    assert_eq!(in_class(&world, "earned"), 12_000_000);
}

#[test]
fn silence_on_a_false_delivery_is_denied_and_it_is_delivered_again() {
    let mut world = World::new();
    let delivery = world.delivery(world.vendor.0);
    world.send(&delivery, VENDOR_KEY).unwrap();
    world.now += 7 * 24 * HOUR;
    let deem = DeemAcceptance {
        order: world.data_order,
    };
    world
        .ask(world.exchange, Command::DeemAcceptance(deem))
        .unwrap();
    let entry = world.compromise(VENDOR_KEY, T).unwrap();
    assert_eq!(frozen_fen(&entry), [(12_000_000, 0)]);
    world.decide_all(entry.found.case.unwrap(), false);
    let refused = world.book.deemed_at(world.data_order).unwrap_err();
    assert_eq!(refused.code, Code::ReceiptDelivery);
    let delivery = world.delivery(world.exchange.0);
    world.send(&delivery, DELIVERY_KEY).unwrap();
    let accepted = world.acceptance(Verdict::Accepted);
    world.give(&accepted).unwrap();
    assert_eq!(in_class(&world, "earned"), 12_000_000);
}

#[test]
fn a_buyers_own_word_stands_whatever_becomes_of_the_vendors_key() {
    let mut world = World::new();
    let delivery = world.delivery(world.vendor.0);
    world.send(&delivery, VENDOR_KEY).unwrap();
    let accepted = world.acceptance(Verdict::Accepted);
    world.give(&accepted).unwrap();
    let entry = world.compromise(VENDOR_KEY, T).unwrap();
    assert_eq!(entry.found.case, None);
}

#[test]
fn a_holdback_that_a_false_receipt_released_is_frozen_and_proven_again() {
    let mut world = World::with_other_key();
    let delivery = world.delivery(world.vendor.0);
    world.send(&delivery, VENDOR_KEY).unwrap();
    let accepted = world.acceptance(Verdict::Accepted);
    world.give(&accepted).unwrap();
    let prove = |world: &mut World, hour: i64, key: u8| {
        let mut claims = world.usage(8, T + hour * HOUR, T + (hour + 1) * HOUR);
        claims.inputs = Some(vec![manifest()]);
        world.send(&claims, key).unwrap().found.proven.is_some()
    };
    assert!(prove(&mut world, 0, PROVIDER_KEY));
    let entry = world.compromise(PROVIDER_KEY, T).unwrap();
    let mut frozen = frozen_fen(&entry);
    frozen.sort_unstable();
    assert_eq!(frozen, [(800, 0), (3_000_000, 0)]);
    assert!(!prove(&mut world, 1, OTHER_KEY));
    world.decide_all(entry.found.case.unwrap(), false);
    assert_eq!(in_class(&world, "earned"), 12_000_000 + 800);
    assert!(prove(&mut world, 2, OTHER_KEY));
    assert_eq!(in_class(&world, "earned"), 15_000_000 + 1_600);
}

#[test]
fn an_office_decides_claim_by_claim_and_only_its_own_and_only_what_waits() {
    let mut world = World::with_other_key();
    let orders = [world.order, world.place_like_the_first()];
    for order in orders {
        world.order = order;
        let hour = if order == orders[0] { 0 } else { 1 };
        let claims = world.usage_of(order, 8, T + hour * HOUR, T + (hour + 1) * HOUR);
        world.send(&claims, PROVIDER_KEY).unwrap();
    }
    let case = world
        .compromise(PROVIDER_KEY, T)
        .unwrap()
        .found
        .case
        .unwrap();
    let of = |order: OrderId, claim: u8| ClaimOf { order, claim };
    for (bad, expected) in [
        (vec![], Code::RequestMalformed),
        (vec![of(orders[0], 1)], Code::CaseState),
        (vec![of(orders[0], 0), of(orders[0], 0)], Code::CaseState),
    ] {
        assert_eq!(code(world.decide_claims(case, true, Some(bad))), expected);
    }
    let other_office = world.admit(Role::Office);
    let own = std::mem::replace(&mut world.office, other_office);
    assert_eq!(
        code(world.decide_claims(case, true, None)),
        Code::AccessParty
    );
    let named = Some(vec![of(orders[0], 0)]);
    assert_eq!(
        code(world.decide_claims(case, true, named)),
        Code::AccessParty
    );
    world.office = own;
    let withdraw = Command::WithdrawCase(WithdrawCase { case });
    assert_eq!(code(world.ask(world.exchange, withdraw)), Code::CaseState);
    let open = Command::OpenCase(OpenCase {
        subject: CaseSubject::Compromise {
            kid: signer(PROVIDER_KEY).public().kid(),
        },
    });
    assert_eq!(code(world.ask(world.exchange, open)), Code::CaseState);
    let entry = world
        .decide_claims(case, true, Some(vec![of(orders[1], 0)]))
        .unwrap();
    assert_eq!(entry.found.ruled.unwrap().left, 1);
    assert_eq!(world.book.cases[&case].progress, Progress::Open);
    let decide = Command::DecideCase(DecideCase {
        case,
        approved: true,
        approved_fen: Some(fen(1)),
        basis: DocumentDigest::of(b"decision"),
        claims: None,
    });
    assert_eq!(
        code(world.ask(world.office, decide)),
        Code::RequestMalformed
    );
    world.decide_all(case, false);
    assert_eq!(
        (in_class(&world, "earned"), in_class(&world, "disputed")),
        (800, 0)
    );
    // Who has decided does not pay there.
    let finance = world.finance();
    let decider = (finance.0, world.office.1);
    assert_eq!(code(world.instruct(decider)), Code::ActorUnknown);
    assert!(
        world
            .book
            .deciders
            .contains(&(programme("w13-capacity"), world.office.1))
    );
}

#[test]
fn a_long_list_is_frozen_entry_by_entry_and_nothing_is_paid_meanwhile() {
    let mut world = World::with_other_key();
    let finance = world.finance();
    let more = Command::AppropriateFund(AppropriateFund {
        fund: fund(),
        fen: fen(10_000_000_000),
        basis: None,
    });
    world.ask(finance, more).unwrap();
    let from = world.draws;
    let mut placed = Vec::new();
    // One order more than an entry takes. Ids are drawn from the salt and the entry's number: salts may come again.
    for n in 0_i64..121 {
        world.draws = from;
        world.now += 1;
        let order = world.place_like_the_first();
        let start = T + n * 60;
        let claims = world.usage_of(order, 1, start, start + 60);
        world.send(&claims, PROVIDER_KEY).unwrap();
        placed.push(order);
    }
    placed.sort_unstable();
    world.draws = from + 4;
    world.now += 1;
    let entry = world.compromise(PROVIDER_KEY, T).unwrap();
    assert!(entry.to_bytes().unwrap().len() < 40_000);
    let frozen = entry.found.frozen.clone().unwrap();
    assert_eq!((frozen.claims.len(), frozen.next), (120, Some(placed[119])));
    let case = entry.found.case.unwrap();
    assert_eq!(code(world.instruct(finance)), Code::KeyFreezing);
    assert_eq!(
        code(world.decide_claims(case, true, None)),
        Code::KeyFreezing
    );
    let goes_on = |after: OrderId| {
        Command::RevokeKey(RevokeKey {
            kid: signer(PROVIDER_KEY).public().kid(),
            reason: RevocationReason::Compromised,
            compromised_since: Some(at(T)),
            after: Some(after),
        })
    };
    let wrong = world.ask(world.exchange, goes_on(placed[0]));
    assert_eq!(code(wrong), Code::KeyFreezing);
    let rest = world.ask(world.exchange, goes_on(placed[119])).unwrap();
    let frozen = rest.found.frozen.unwrap();
    assert_eq!(
        (rest.found.case, frozen.claims.len(), frozen.next),
        (Some(case), 1, None)
    );
    assert_eq!(in_class(&world, "earned"), 0);
    assert_eq!(code(world.instruct(finance)), Code::PayoutNothing);
    let mut left = 121;
    while left > 0 {
        let entry = world.decide_all(case, false);
        assert!(entry.to_bytes().unwrap().len() < 60_000);
        let ruled = entry.found.ruled.unwrap();
        assert_eq!(
            usize::try_from(ruled.left).unwrap(),
            left - ruled.claims.len()
        );
        left = usize::try_from(ruled.left).unwrap();
    }
    assert_eq!(in_class(&world, "disputed"), 0);
    assert!(matches!(
        world.book.cases[&case].progress,
        Progress::Decided { .. }
    ));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]

    /// Frozen and restored is never frozen; frozen and denied is corrected to nothing by a good key: to the fen.
    #[test]
    fn a_freeze_leaves_no_trace_but_what_is_decided(
        steps in proptest::collection::vec((0_u32..40, proptest::bool::ANY), 1..10),
        since in 0_usize..10,
        later in 0_u32..40,
    ) {
        let mut world = World::with_other_key();
        let mut bad = Vec::new();
        let mut from = world.now;
        for (n, (cards, is_good)) in (0_i64..).zip(&steps) {
            world.now += 1;
            if usize::try_from(n).unwrap() == since {
                from = world.now;
                bad.clear();
            }
            if *cards == 0 {
                continue;
            }
            let key = if *is_good { OTHER_KEY } else { PROVIDER_KEY };
            let claims = world.usage(*cards, T + n * HOUR, T + (n + 1) * HOUR);
            if !*is_good {
                bad.push((claims.seq, T + n * HOUR));
            }
            world.send(&claims, key).unwrap();
        }
        let end = |mut world: World| {
            if later > 0 {
                let claims = world.usage(later, T + 15 * HOUR, T + 16 * HOUR);
                world.send(&claims, OTHER_KEY).unwrap();
            }
            classes(&world, "w13-city")
        };
        let mut corrected = world.clone();
        for (seq, start) in &bad {
            let void = corrected.correction(*seq, 0, *start, start + HOUR);
            corrected.send(&void, OTHER_KEY).unwrap();
        }
        let mut frozen = world.clone();
        let entry = frozen.compromise(PROVIDER_KEY, from).unwrap();
        proptest::prop_assert_eq!(entry.found.case.is_some(), !bad.is_empty());
        if let Some(case) = entry.found.case {
            proptest::prop_assert_eq!(in_class(&frozen, "earned"), in_class(&corrected, "earned"));
            let mut denied = frozen.clone();
            denied.decide_all(case, false);
            proptest::prop_assert_eq!(end(denied), end(corrected));
            frozen.decide_all(case, true);
            proptest::prop_assert_eq!(end(frozen), end(world));
        }
    }
}
