//! What a matter reaches: each fund it draws on, each region of its programmes (DESIGN §4.6, scopes).
//!
//! Entries are scoped by this when they are decided, and what is read of the book by the same rule ([`super::access`]).

use crate::book::Book;
use crate::book::command::CaseSubject;
use crate::book::scope::Scope;
use crate::book::state::case::Case;
use crate::id::{FundId, OrderId, ProgrammeId, VoucherId};
use crate::programme::Programme;
use crate::refusal::Refusal;
use crate::region::Region;

/// A fund and the region whose regulator sees it.
#[must_use]
pub fn fund(fund: &FundId, region: Option<Region>) -> Vec<Scope> {
    let mut scopes = vec![Scope::Fund(fund.clone())];
    scopes.extend(region.map(Scope::Region));
    scopes
}

/// The funds of a programme, as far as its file alone names them, and its region.
#[must_use]
pub fn programme(programme: &Programme) -> Vec<Scope> {
    let funds = programme.funds.iter();
    let funds = funds.filter_map(|fund| FundId::parse(fund.id.as_str()).ok());
    let mut scopes: Vec<Scope> = funds.map(Scope::Fund).collect();
    scopes.extend(programme.header.region.map(Scope::Region));
    scopes
}

impl Book {
    /// What a fund reaches.
    /// # Errors
    /// `fund.unknown`
    pub fn fund_scopes(&self, id: &FundId) -> Result<Vec<Scope>, Refusal> {
        Ok(fund(id, self.fund(id)?.region))
    }

    /// What the version of a programme that a voucher or claim pins reaches.
    /// # Errors
    /// `programme.missing`
    pub fn pinned_scopes(&self, id: &ProgrammeId, place: usize) -> Result<Vec<Scope>, Refusal> {
        Ok(programme(&*self.pinned(id, place)?))
    }

    /// What a voucher reaches, also a fund whose name its programme leaves open.
    /// # Errors
    /// `voucher.unknown` `programme.missing`
    pub fn voucher_scopes(&self, id: VoucherId) -> Result<Vec<Scope>, Refusal> {
        let voucher = self.money.voucher(id)?;
        let mut scopes = self.pinned_scopes(&voucher.programme, voucher.version)?;
        scopes.extend(voucher.funds.iter().cloned().map(Scope::Fund));
        Ok(scopes)
    }

    /// What the claims of an order reach.
    /// # Errors
    /// `order.unknown` `programme.missing`
    pub fn order_scopes(&self, id: OrderId) -> Result<Vec<Scope>, Refusal> {
        let mut scopes = Vec::new();
        for claim in &self.money.order(id)?.claims {
            scopes.extend(self.pinned_scopes(&claim.programme, claim.version)?);
            let funds = claim.sums.funds.iter();
            scopes.extend(funds.map(|sums| Scope::Fund(sums.fund.clone())));
        }
        Ok(scopes)
    }

    /// What a case reaches: the programme applied to, or the claim to be redeemed.
    /// # Errors
    /// `programme.missing` `order.unknown` `order.claims`
    pub fn case_scopes(&self, case: &Case) -> Result<Vec<Scope>, Refusal> {
        match &case.subject {
            CaseSubject::Application { programme: id, .. } => {
                let current = self.programme(id)?.current();
                let rules = current.map(|(_, version)| programme(&version.programme));
                Ok(rules.unwrap_or_default())
            }
            CaseSubject::Redemption { order, claim } => {
                let claim = self.money.order(*order)?.claim(*claim)?;
                self.pinned_scopes(&claim.programme, claim.version)
            }
            // Keys are common, and so is what becomes of them.
            CaseSubject::Compromise { .. } | CaseSubject::Recovery { .. } => {
                Ok(vec![Scope::Common])
            }
        }
    }
}
