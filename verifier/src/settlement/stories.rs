//! Money after it was paid: recalled, recovered, returned, netted, clawed back; and what is refused.

use super::Money;
use super::cap::Holder;
use super::clawback::ClawBack;
use super::debt::Repay;
use super::evidence::{Correction, Evidence, Says, Use};
use super::fund::FundMove;
use super::order::{Segment, Terms};
use super::payout::Instruct;
use super::period::ClosePeriod;
use super::place::{Place, PlaceClaim, Right};
use super::voucher::{Amount, EndVoucher, Issue, VoucherEnd};
use crate::id::{BatchId, FundId, FunderId, OrderId, PartyId, ProgrammeId, Salt, VoucherId};
use crate::ledger::Account;
use crate::money::{BasisPoints, Fen};
use crate::programme::scenario;
use crate::programme::schema::{Line, Scheme};
use crate::programme::subsidy::TierChoice;
use crate::refusal::{Code, Refusal};
use crate::time::{NamedPeriod, Timestamp};

/// Pays the whole price out of a voucher or of the fund.
fn rules(id: &str, instrument: &str) -> String {
    format!(
        r#"id = "{id}"
scheme = "compute"
fund = [{{ id = "pot", funder = "city-finance", weight = 1 }}]
instrument = {{ {instrument} }}
rate = {{ tier = [{{ id = "all", bp = 10000 }}] }}
"#
    )
}

fn fen(n: i64) -> Fen {
    Fen::new(n).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn pot() -> FundId {
    FundId::parse("pot").unwrap()
}

fn seller() -> PartyId {
    PartyId::draw(&Salt::new([3; 16]), 0, 0)
}

fn buyer() -> PartyId {
    PartyId::draw(&Salt::new([2; 16]), 0, 0)
}

fn order(n: u8) -> OrderId {
    OrderId::draw(&Salt::new([n; 16]), 0, 0)
}

fn batch(n: u8) -> BatchId {
    BatchId::draw(&Salt::new([n; 16]), 0, 0)
}

fn voucher() -> VoucherId {
    VoucherId::draw(&Salt::new([4; 16]), 0, 0)
}

const START: &str = "2026-01-05T00:00:00Z";

/// A story's money; every act is checked.
struct Story(Money);

impl Story {
    fn new(free: i64) -> Self {
        let mut money = Money::new();
        money.open_fund(pot(), FunderId::parse("city-finance").unwrap());
        let outcome = money
            .appropriate(&FundMove {
                fund: pot(),
                fen: fen(free),
            })
            .unwrap();
        money.apply_fund_move(&outcome).unwrap();
        money.enact(scenario::programme(&rules(
            "direct",
            "commit_at = \"order\"",
        )));
        let voucher = "commit_at = \"issue\", valid_days = 30";
        money.enact(scenario::programme(&rules("voucher", voucher)));
        let unsettled = "commit_at = \"order\", exhaustion = \"unknown\"";
        money.enact(scenario::programme(&rules("unsettled", unsettled)));
        Self(money)
    }

    fn ask(n: u8, right: Right, hold: i64) -> Place {
        Place {
            order: order(n),
            buyer: Holder::new(buyer()),
            seller: seller(),
            terms: Terms {
                scheme: Scheme::Compute,
                segments: vec![Segment {
                    price: fen(1),
                    per: 1,
                    limit: None,
                }],
                contract: None,
                approved: None,
                contract_days: None,
                service_days: None,
            },
            claims: vec![PlaceClaim {
                right,
                hold: Some(fen(hold)),
                tiers: vec![TierChoice::Applicable(vec![0])],
            }],
        }
    }

    fn direct() -> Right {
        Right::Programme(ProgrammeId::parse("direct").unwrap())
    }

    fn place(&mut self, n: u8, right: Right, hold: i64) -> Result<(), Refusal> {
        let ask = Self::ask(n, right, hold);
        let outcome = self.0.place(at(START), &ask)?;
        self.0.apply_place(at(START), &ask, &outcome).unwrap();
        self.check()
    }

    fn used(&mut self, when: &str, n: u8, units: i64) -> Result<i64, Refusal> {
        let ask = Use {
            order: order(n),
            segment: 0,
            units,
            end: at(when),
        };
        let outcome = self.0.receipt(at(when), &ask)?;
        self.0.apply_receipt(at(when), &ask, &outcome).unwrap();
        self.check()?;
        Ok(outcome.found.claims[0].grant.get())
    }

    fn corrected(&mut self, when: &str, n: u8, units: i64) -> Result<i64, Refusal> {
        let ask = Correction {
            order: order(n),
            corrects: 0,
            segment: 0,
            units,
        };
        let outcome = self.0.correct(at(when), &ask)?;
        self.0.apply_correct(at(when), &ask, &outcome).unwrap();
        self.check()?;
        Ok(outcome.found.claims[0].grant.get())
    }

    fn close_month(&mut self, when: &str, period: &str) -> Result<(), Refusal> {
        let ask = ClosePeriod {
            party: seller(),
            period: NamedPeriod::parse(period).unwrap(),
        };
        let outcome = self.0.close_period(at(when), &ask)?;
        self.0.apply_close_period(&ask, &outcome).unwrap();
        self.check()
    }

    fn instruct(&mut self, when: &str, n: u8) -> Result<(), Refusal> {
        let ask = Instruct {
            batch: batch(n),
            parties: vec![seller()],
            fund: None,
        };
        let outcome = self.0.instruct(at(when), &ask)?;
        self.0.apply_instruct(&ask, &outcome).unwrap();
        self.check()
    }

    fn execute(&mut self, n: u8) -> Result<(), Refusal> {
        let outcome = self.0.execute(batch(n))?;
        self.0.apply_execute(batch(n), &outcome).unwrap();
        self.check()
    }

    fn give_back(&mut self, when: &str, n: u8) -> Result<(), Refusal> {
        let outcome = self.0.give_back(at(when), batch(n))?;
        self.0.apply_give_back(batch(n), &outcome).unwrap();
        self.check()
    }

    fn recover(&mut self, amount: i64) -> Result<(), Refusal> {
        let ask = Repay {
            party: seller(),
            fund: pot(),
            fen: fen(amount),
        };
        let outcome = self.0.recover(&ask)?;
        self.0.apply_recover(&ask, &outcome).unwrap();
        self.check()
    }

    fn write_off(&mut self, amount: i64) -> Result<(), Refusal> {
        let ask = Repay {
            party: seller(),
            fund: pot(),
            fen: fen(amount),
        };
        let outcome = self.0.write_off(&ask)?;
        self.0.apply_write_off(&ask, &outcome).unwrap();
        self.check()
    }

    fn claw_back(&mut self, when: &str, n: u8, share: u16) -> Result<i64, Refusal> {
        let share = BasisPoints::new(share).unwrap();
        let ask = ClawBack {
            order: order(n),
            claim: 0,
            share,
        };
        let outcome = self.0.claw_back(at(when), &ask)?;
        self.0.apply_claw_back(at(when), &ask, &outcome).unwrap();
        self.check()?;
        Ok(outcome.found.amount.get())
    }

    fn close(&mut self, when: &str, n: u8) -> Result<(), Refusal> {
        let outcome = self.0.close(at(when), order(n))?;
        self.0.apply_close(at(when), order(n), &outcome).unwrap();
        self.check()
    }

    fn issue(&mut self, face: i64) -> Result<(), Refusal> {
        let ask = Issue {
            voucher: voucher(),
            programme: ProgrammeId::parse("voucher").unwrap(),
            holder: Holder::new(buyer()),
            amount: Amount::Chosen(fen(face)),
        };
        let outcome = self.0.issue(at(START), &ask)?;
        self.0.apply_issue(at(START), &ask, &outcome).unwrap();
        self.check()
    }

    fn check(&self) -> Result<(), Refusal> {
        self.0.check_invariants().unwrap();
        Ok(())
    }

    fn at(&self, account: &Account) -> i64 {
        self.0.balance(account).get()
    }

    fn owed(&self) -> i64 {
        self.at(&Account::Owed(seller(), pot()))
    }

    fn paid(&self) -> i64 {
        self.at(&Account::Paid(seller(), pot()))
    }

    fn payable(&self) -> i64 {
        self.at(&Account::Payable(seller(), pot()))
    }

    fn hold(&self, n: u8) -> i64 {
        self.at(&Account::Hold(order(n), 0, pot()))
    }

    fn free(&self) -> i64 {
        self.at(&Account::Fund(pot()))
    }
}

/// An order of 100 held, used, closed for the month, and paid.
fn paid_story() -> Story {
    let mut story = Story::new(1_000);
    story.place(1, Story::direct(), 100).unwrap();
    assert_eq!(story.used("2026-01-06T00:00:00Z", 1, 100), Ok(100));
    story
        .close_month("2026-02-20T00:00:00Z", "2026-01")
        .unwrap();
    story.instruct("2026-02-20T00:00:00Z", 1).unwrap();
    story.execute(1).unwrap();
    assert_eq!(story.paid(), 100);
    story
}

#[test]
fn what_was_recalled_and_paid_back_in_cash_is_lost_to_the_order() {
    let mut story = paid_story();
    assert_eq!(story.corrected("2026-03-01T00:00:00Z", 1, 70), Ok(70));
    assert_eq!((story.owed(), story.paid()), (30, 70));
    story.recover(20).unwrap();
    assert_eq!((story.owed(), story.free()), (10, 920));
    // 10 are still owed, and only those can be earned again.
    assert_eq!(story.used("2026-03-02T00:00:00Z", 1, 30), Ok(80));
    assert_eq!((story.owed(), story.paid()), (0, 80));
}

#[test]
fn what_is_written_off_stays_with_the_party() {
    let mut story = paid_story();
    story.corrected("2026-03-01T00:00:00Z", 1, 70).unwrap();
    story.write_off(30).unwrap();
    assert_eq!((story.owed(), story.paid()), (0, 100));
    assert_eq!(story.used("2026-03-02T00:00:00Z", 1, 30), Ok(70));
}

#[test]
fn netting_refills_the_hold_that_the_money_was_recalled_from() {
    let mut story = paid_story();
    story.corrected("2026-03-01T00:00:00Z", 1, 70).unwrap();
    story.place(2, Story::direct(), 50).unwrap();
    assert_eq!(story.used("2026-03-02T00:00:00Z", 2, 50), Ok(50));
    story
        .close_month("2026-04-20T00:00:00Z", "2026-03")
        .unwrap();
    assert_eq!((story.owed(), story.paid(), story.payable()), (0, 100, 20));
    assert_eq!(story.hold(1), 30);
    assert_eq!(story.used("2026-04-21T00:00:00Z", 1, 30), Ok(100));
}

#[test]
fn a_returned_batch_pays_what_became_owed_meanwhile() {
    let mut story = Story::new(1_000);
    story.place(1, Story::direct(), 100).unwrap();
    story.used("2026-01-06T00:00:00Z", 1, 100).unwrap();
    story
        .close_month("2026-02-20T00:00:00Z", "2026-01")
        .unwrap();
    story.instruct("2026-02-20T00:00:00Z", 1).unwrap();
    // The bank has been told: what is recalled leaves the batch and is owed.
    story.corrected("2026-02-21T00:00:00Z", 1, 60).unwrap();
    assert_eq!(story.owed(), 40);
    story.give_back("2026-02-22T00:00:00Z", 1).unwrap();
    assert_eq!((story.owed(), story.payable(), story.hold(1)), (0, 60, 40));
    assert_eq!(
        story.give_back("2026-02-22T00:00:00Z", 1).unwrap_err().code,
        Code::BatchState
    );
    assert_eq!(story.execute(1).unwrap_err().code, Code::BatchState);
}

#[test]
fn a_batch_that_was_paid_and_comes_back_settles_debts_first() {
    let mut story = paid_story();
    story.corrected("2026-03-01T00:00:00Z", 1, 70).unwrap();
    story.give_back("2026-03-02T00:00:00Z", 1).unwrap();
    assert_eq!(
        (story.owed(), story.paid(), story.payable(), story.hold(1)),
        (0, 0, 70, 30)
    );
}

#[test]
fn a_clawback_is_for_good_and_goes_to_the_fund() {
    let mut story = paid_story();
    assert_eq!(story.claw_back("2026-03-01T00:00:00Z", 1, 5_000), Ok(50));
    assert_eq!((story.owed(), story.paid()), (50, 50));
    // More use does not earn it again.
    assert_eq!(story.used("2026-03-02T00:00:00Z", 1, 100), Ok(50));
    story.place(2, Story::direct(), 80).unwrap();
    story.used("2026-03-02T00:00:00Z", 2, 80).unwrap();
    story
        .close_month("2026-04-20T00:00:00Z", "2026-03")
        .unwrap();
    assert_eq!((story.owed(), story.paid(), story.payable()), (0, 100, 30));
    assert_eq!(story.free(), 1_000 - 180 + 50);
}

#[test]
fn a_hold_goes_back_to_a_voucher_that_lives_and_to_the_fund_after_its_end() {
    for (when, to_voucher) in [("2026-01-20T00:00:00Z", 40), ("2026-02-04T00:00:00Z", 0)] {
        let mut story = Story::new(1_000);
        story.issue(100).unwrap();
        story.place(1, Right::Voucher(voucher()), 100).unwrap();
        story.used("2026-01-06T00:00:00Z", 1, 60).unwrap();
        story.close(when, 1).unwrap();
        assert_eq!(
            story.at(&Account::Voucher(voucher(), pot())),
            to_voucher,
            "{when}"
        );
        assert_eq!(story.free(), 900 + 40 - to_voucher);
    }
}

#[test]
fn a_correction_ends_with_the_orders_last_period() {
    let mut story = Story::new(1_000);
    story.place(1, Story::direct(), 100).unwrap();
    story.used("2026-01-06T00:00:00Z", 1, 60).unwrap();
    story.close("2026-01-07T00:00:00Z", 1).unwrap();
    assert_eq!(story.corrected("2026-01-08T00:00:00Z", 1, 50), Ok(50));
    story
        .close_month("2026-02-20T00:00:00Z", "2026-01")
        .unwrap();
    let refused = story.corrected("2026-02-21T00:00:00Z", 1, 40).unwrap_err();
    assert_eq!(refused.code, Code::ReceiptOrderClosed);
}

#[test]
fn what_the_rules_do_not_allow_is_refused_by_its_code() {
    let mut story = paid_story();
    let code = |result: Result<(), Refusal>| result.unwrap_err().code;
    let right = |id: &str| Right::Programme(ProgrammeId::parse(id).unwrap());
    assert_eq!(
        code(story.place(2, right("nowhere"), 1)),
        Code::ProgrammeMissing
    );
    assert_eq!(code(story.place(2, right("voucher"), 1)), Code::OrderClaims);
    assert_eq!(
        code(story.place(2, Story::direct(), 901)),
        Code::FundExhausted
    );
    assert_eq!(
        code(story.place(2, right("unsettled"), 901)),
        Code::ProgrammeNeedsProcedure
    );
    assert_eq!(
        code(story.place(2, Right::Voucher(voucher()), 1)),
        Code::VoucherUnknown
    );
    assert_eq!(code(story.issue(0)), Code::VoucherNothing);
    assert_eq!(code(story.issue(901)), Code::FundExhausted);
    assert_eq!(code(story.recover(1)), Code::RecoveryExceeds);
    assert_eq!(code(story.write_off(1)), Code::RecoveryExceeds);
    assert_eq!(code(story.instruct(START, 2)), Code::PayoutNothing);
    assert_eq!(code(story.execute(2)), Code::BatchUnknown);
    assert_eq!(code(story.execute(1)), Code::BatchState);
    assert_eq!(
        code(story.close_month("2026-02-20T00:00:00Z", "2026-02")),
        Code::PeriodOpen
    );
    assert_eq!(code(story.close(START, 2)), Code::OrderUnknown);
    assert_eq!(
        story.used(START, 1, -1).unwrap_err().code,
        Code::ReceiptQuantity
    );
    assert_eq!(
        story.claw_back(START, 1, 1).unwrap_err().code,
        Code::ClawbackNothing
    );
    story.close(START, 1).unwrap();
    assert_eq!(code(story.close(START, 1)), Code::OrderClosed);
    assert_eq!(
        story.used(START, 1, 1).unwrap_err().code,
        Code::ReceiptOrderClosed
    );
}

#[test]
fn a_voucher_is_spent_by_its_holder_while_it_lives() {
    let mut story = Story::new(1_000);
    story.issue(100).unwrap();
    let mut ask = Story::ask(1, Right::Voucher(voucher()), 100);
    ask.buyer = Holder::new(seller());
    assert_eq!(
        story.0.place(at(START), &ask).unwrap_err().code,
        Code::VoucherHolder
    );
    ask.buyer = Holder::new(buyer());
    let (last, dead) = (at("2026-02-03T23:59:59Z"), at("2026-02-04T00:00:00Z"));
    assert!(story.0.place(last, &ask).is_ok());
    assert_eq!(
        story.0.place(dead, &ask).unwrap_err().code,
        Code::VoucherExpired
    );
    let end = EndVoucher {
        voucher: voucher(),
        cause: VoucherEnd::Expired,
    };
    assert_eq!(
        story.0.end_voucher(last, &end).unwrap_err().code,
        Code::VoucherState
    );
    let outcome = story.0.end_voucher(dead, &end).unwrap();
    story.0.apply_end_voucher(&end, &outcome).unwrap();
    assert_eq!(story.free(), 1_000);
}

#[test]
fn what_only_a_case_can_say_earns_nothing_until_it_does() {
    let mut story = Story::new(1_000);
    let manual = rules("manual", "commit_at = \"order\"").replace("bp = 10000", "bp = \"unknown\"");
    story.0.enact(scenario::programme(&manual));
    story
        .place(
            1,
            Right::Programme(ProgrammeId::parse("manual").unwrap()),
            100,
        )
        .unwrap();
    assert_eq!(story.used("2026-01-06T00:00:00Z", 1, 80), Ok(0));
    let ask = Evidence {
        order: order(1),
        says: Says::Decided(0, fen(50)),
    };
    let outcome = story.0.evidence(at(START), &ask).unwrap();
    story.0.apply_evidence(at(START), &ask, &outcome).unwrap();
    assert_eq!(outcome.found.claims[0].grant, fen(50));
    let ask = Evidence {
        order: order(1),
        says: Says::Invoiced(vec![(Line::GpuRent, fen(-1))]),
    };
    assert_eq!(
        story.0.evidence(at(START), &ask).unwrap_err().code,
        Code::EvidenceInvalid
    );
}
