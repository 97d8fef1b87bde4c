//! Vouchers: issued where a programme asks for no application, ended by time or by a decision.

use crate::book::command::{Contract, ExpireVoucher, IssueVoucher, RevokeVoucher};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::issuing::{self, Issuing, Wish};
use crate::book::matter::About;
use crate::book::reach;
use crate::id::VoucherId;
use crate::money::Fen;
use crate::programme::schema::{Issue as IssueBy, Programme};
use crate::refusal::{Code, Refusal};
use crate::settlement::voucher::{EndVoucher, VoucherEnd};

/// Issues without application (免申即享).
pub(super) fn issue(case: &Case<'_>, asked: &IssueVoucher) -> Result<Decision, Refusal> {
    let enactment = case.own_programme(&asked.programme)?;
    let programme = case.open_programme(enactment)?;
    if programme.instrument.issue != IssueBy::Automatic {
        return Err(Refusal::new(
            Code::VoucherState,
            "the programme issues on application; open a case and decide it",
        ));
    }
    let wish = Wish {
        programme: asked.programme.clone(),
        holder: asked.holder,
        contract: asked.contract.clone(),
        face: asked.face_fen,
        purpose: None,
        since: case.env.at,
    };
    case.issue(programme, &wish, None)
}

/// Moves the money of a voucher whose end has passed.
pub(super) fn expire(case: &Case<'_>, asked: &ExpireVoucher) -> Result<Decision, Refusal> {
    end(case, asked.voucher, VoucherEnd::Expired)
}

/// Takes back what a voucher still holds.
pub(super) fn revoke(case: &Case<'_>, asked: &RevokeVoucher) -> Result<Decision, Refusal> {
    let programme = case.book.money.voucher(asked.voucher)?.programme.clone();
    case.own_programme(&programme)?;
    end(case, asked.voucher, VoucherEnd::Revoked)
}

fn end(case: &Case<'_>, voucher: VoucherId, cause: VoucherEnd) -> Result<Decision, Refusal> {
    let outcome = case
        .book
        .money
        .end_voucher(case.env.at, &EndVoucher { voucher, cause })?;
    let scopes = case.book.voucher_scopes(voucher)?;
    let found = Found {
        ended: Some(outcome.found),
        ..Found::default()
    };
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

impl Case<'_> {
    /// Issues a voucher for a wish, by the rules or with the amount that a decision supplies.
    pub(super) fn issue(
        &self,
        programme: &Programme,
        wish: &Wish,
        approved: Option<Fen>,
    ) -> Result<Decision, Refusal> {
        self.book.party(wish.holder)?;
        let voucher = VoucherId::draw(&self.env.salt, self.book.size, 0);
        self.fresh(self.book.money.voucher(voucher).is_err())?;
        let about = About {
            contract: wish.contract.as_ref(),
            purpose: wish.purpose.as_deref(),
            ..About::default()
        };
        let judged = issuing::judge(self.book, programme, wish, self.env.at, &about)?;
        let unique = issuing::unique(self.book, programme, wish.holder, wish.contract.as_ref())?;
        let issuing = Issuing {
            voucher,
            at: self.env.at,
            wish,
            judged: &judged,
        };
        let (outcome, decided) = issuing::issue(self.book, programme, issuing, approved)?;
        let mut counters = outcome.counters;
        counters.extend(unique);
        let found = Found {
            voucher: Some(voucher),
            holder: Some(judged.holder),
            trace: Some(judged.trace),
            approved: decided,
            issued: Some(outcome.found),
            ..Found::default()
        };
        let scopes = reach::programme(programme);
        Ok(Decision {
            found,
            postings: outcome.postings,
            counters,
            scopes,
        })
    }

    /// The contract that a voucher was issued for binds the orders that it pays.
    pub(super) fn check_contract(
        &self,
        voucher: VoucherId,
        contract: Option<&Contract>,
    ) -> Result<(), Refusal> {
        let Some(bound) = self.book.voucher_contracts.get(&voucher) else {
            return Ok(());
        };
        if contract.is_some_and(|contract| contract.digest == *bound) {
            return Ok(());
        }
        Err(Refusal::new(
            Code::VoucherHolder,
            "the voucher was issued for another contract; name that contract in the order",
        )
        .with("voucher", voucher)
        .with("contract", bound))
    }
}
