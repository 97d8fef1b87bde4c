//! The eleven kinds of account and their one text form (DESIGN §4.1).

use crate::id::{BatchId, FundId, FunderId, OrderId, PartyId, ProgrammeId, VoucherId};
use crate::time::NamedPeriod;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;

/// A text that is not the name of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAccount;

impl fmt::Display for NotAnAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an account, e.g. fund/ha-province-2025")
    }
}

impl std::error::Error for NotAnAccount {}

/// Room for most names.
const TEXT_BYTES: usize = 96;

/// One claim of an order, 0 ..= 7 in stacking order.
pub type ClaimIndex = u8;

/// Where money of one fund stands. All balances but the treasury's are ≥ 0.
///
/// The order of accounts is the order of their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// `advance/{party}/{fund}`: paid before anything was earned.
    Advance(PartyId, FundId),
    /// `disputed/{order}/{claim}/{fund}`: earned but frozen.
    Disputed(OrderId, ClaimIndex, FundId),
    /// `earned/{programme}/{party}/{fund}/{period}`: earned, still inside the dispute window.
    Earned(ProgrammeId, PartyId, FundId, NamedPeriod),
    /// `fund/{fund}`: appropriated, not committed.
    Fund(FundId),
    /// `hold/{order}/{claim}/{fund}`: reserved for one claim of an order.
    Hold(OrderId, ClaimIndex, FundId),
    /// `owed/{party}/{fund}`: paid, but must come back.
    Owed(PartyId, FundId),
    /// `paid/{party}/{fund}`: paid and kept.
    Paid(PartyId, FundId),
    /// `payable/{party}/{fund}`: final, waiting for payout.
    Payable(PartyId, FundId),
    /// `transit/{batch}/{party}/{fund}`: instructed to the bank, not confirmed.
    Transit(BatchId, PartyId, FundId),
    /// `treasury/{funder}/{fund}`: where appropriations come from; the only negative balance.
    Treasury(FunderId, FundId),
    /// `voucher/{voucher}/{fund}`: issued to a holder, not reserved.
    Voucher(VoucherId, FundId),
}

impl Account {
    /// The fund that the money belongs to.
    #[must_use]
    pub const fn fund(&self) -> &FundId {
        match self {
            Self::Fund(fund)
            | Self::Treasury(_, fund)
            | Self::Voucher(_, fund)
            | Self::Hold(_, _, fund)
            | Self::Disputed(_, _, fund)
            | Self::Earned(_, _, fund, _)
            | Self::Payable(_, fund)
            | Self::Transit(_, _, fund)
            | Self::Paid(_, fund)
            | Self::Advance(_, fund)
            | Self::Owed(_, fund) => fund,
        }
    }

    /// The party in whose name it stands. A voucher's and an order's money has an owner too, but does not name it.
    #[must_use]
    pub const fn party(&self) -> Option<PartyId> {
        match self {
            Self::Advance(party, _)
            | Self::Earned(_, party, ..)
            | Self::Owed(party, _)
            | Self::Paid(party, _)
            | Self::Payable(party, _)
            | Self::Transit(_, party, _) => Some(*party),
            Self::Disputed(..)
            | Self::Fund(_)
            | Self::Hold(..)
            | Self::Treasury(..)
            | Self::Voucher(..) => None,
        }
    }

    /// The first word of its text.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Advance(..) => "advance",
            Self::Disputed(..) => "disputed",
            Self::Earned(..) => "earned",
            Self::Fund(_) => "fund",
            Self::Hold(..) => "hold",
            Self::Owed(..) => "owed",
            Self::Paid(..) => "paid",
            Self::Payable(..) => "payable",
            Self::Transit(..) => "transit",
            Self::Treasury(..) => "treasury",
            Self::Voucher(..) => "voucher",
        }
    }

    /// Whether a balance below zero is allowed.
    #[must_use]
    pub const fn may_be_negative(&self) -> bool {
        matches!(self, Self::Treasury(..))
    }

    /// Reads the text form.
    /// # Errors
    /// [`NotAnAccount`].
    pub fn parse(text: &str) -> Result<Self, NotAnAccount> {
        let mut parts = text.split('/');
        let account = Self::parse_parts(&mut parts).ok_or(NotAnAccount)?;
        match parts.next() {
            None => Ok(account),
            Some(_) => Err(NotAnAccount),
        }
    }

    fn parse_parts(parts: &mut std::str::Split<'_, char>) -> Option<Self> {
        let kind = parts.next()?;
        let first = parts.next()?;
        let party = || PartyId::parse(first).ok();
        Some(match kind {
            "fund" => Self::Fund(fund(Some(first))?),
            "treasury" => Self::Treasury(FunderId::parse(first).ok()?, fund(parts.next())?),
            "voucher" => Self::Voucher(VoucherId::parse(first).ok()?, fund(parts.next())?),
            "hold" | "disputed" => {
                let order = OrderId::parse(first).ok()?;
                let (claim, fund) = (claim(parts.next()?)?, fund(parts.next())?);
                match kind {
                    "hold" => Self::Hold(order, claim, fund),
                    _ => Self::Disputed(order, claim, fund),
                }
            }
            "earned" => {
                let programme = ProgrammeId::parse(first).ok()?;
                let party = PartyId::parse(parts.next()?).ok()?;
                let fund = fund(parts.next())?;
                Self::Earned(
                    programme,
                    party,
                    fund,
                    NamedPeriod::parse(parts.next()?).ok()?,
                )
            }
            "transit" => {
                let party = PartyId::parse(parts.next()?).ok()?;
                Self::Transit(BatchId::parse(first).ok()?, party, fund(parts.next())?)
            }
            "payable" => Self::Payable(party()?, fund(parts.next())?),
            "paid" => Self::Paid(party()?, fund(parts.next())?),
            "advance" => Self::Advance(party()?, fund(parts.next())?),
            "owed" => Self::Owed(party()?, fund(parts.next())?),
            _ => return None,
        })
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Advance(..) => 0,
            Self::Disputed(..) => 1,
            Self::Earned(..) => 2,
            Self::Fund(_) => 3,
            Self::Hold(..) => 4,
            Self::Owed(..) => 5,
            Self::Paid(..) => 6,
            Self::Payable(..) => 7,
            Self::Transit(..) => 8,
            Self::Treasury(..) => 9,
            Self::Voucher(..) => 10,
        }
    }
}

fn fund(part: Option<&str>) -> Option<FundId> {
    FundId::parse(part?).ok()
}

fn claim(part: &str) -> Option<ClaimIndex> {
    match part.as_bytes() {
        [digit @ b'0'..=b'7'] => Some(digit - b'0'),
        _ => None,
    }
}

impl Account {
    /// Adds the text form to a text.
    fn push_to(&self, text: &mut String) {
        /// A part of an account's name behind its first word.
        macro_rules! push {
            ($($part:expr),*) => {{
                text.push_str(self.class());
                $(
                    text.push('/');
                    $part.with_text(|part| text.push_str(part));
                )*
            }};
        }
        match self {
            Self::Treasury(funder, fund) => push!(funder, fund),
            Self::Fund(fund) => push!(fund),
            Self::Voucher(voucher, fund) => push!(voucher, fund),
            Self::Hold(order, claim, fund) | Self::Disputed(order, claim, fund) => {
                push!(order, Digit(*claim), fund);
            }
            Self::Earned(programme, party, fund, period) => {
                push!(programme, party, fund);
                text.push('/');
                period.push_to(text);
            }
            Self::Transit(batch, party, fund) => push!(batch, party, fund),
            Self::Payable(party, fund)
            | Self::Paid(party, fund)
            | Self::Advance(party, fund)
            | Self::Owed(party, fund) => push!(party, fund),
        }
    }
}

/// The number of a claim, as a part of an account's name.
struct Digit(ClaimIndex);

impl Digit {
    fn with_text(&self, then: impl FnOnce(&str)) {
        match char::from_digit(u32::from(self.0), 10) {
            Some(digit) => then(digit.encode_utf8(&mut [0; 4])),
            None => then(&self.0.to_string()),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

impl Ord for Account {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Fund(a), Self::Fund(b)) => a.cmp(b),
            (Self::Treasury(a, f), Self::Treasury(b, g)) => {
                inside(a.as_str(), b.as_str()).then_with(|| f.cmp(g))
            }
            (Self::Voucher(a, f), Self::Voucher(b, g)) => a.cmp(b).then_with(|| f.cmp(g)),
            (Self::Hold(a, c, f), Self::Hold(b, d, g))
            | (Self::Disputed(a, c, f), Self::Disputed(b, d, g)) => {
                a.cmp(b).then_with(|| c.cmp(d)).then_with(|| f.cmp(g))
            }
            (Self::Earned(a, p, f, s), Self::Earned(b, q, g, t)) => inside(a.as_str(), b.as_str())
                .then_with(|| p.cmp(q))
                .then_with(|| inside(f.as_str(), g.as_str()))
                .then_with(|| period_text(*s).cmp(&period_text(*t))),
            (Self::Transit(a, p, f), Self::Transit(b, q, g)) => {
                a.cmp(b).then_with(|| p.cmp(q)).then_with(|| f.cmp(g))
            }
            (Self::Payable(p, f), Self::Payable(q, g))
            | (Self::Paid(p, f), Self::Paid(q, g))
            | (Self::Advance(p, f), Self::Advance(q, g))
            | (Self::Owed(p, f), Self::Owed(q, g)) => p.cmp(q).then_with(|| f.cmp(g)),
            (_, _) => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Account {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares ids of free length as they stand in a text, before a `/`: `a-b/` sorts before `a/`.
fn inside(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let slash = std::iter::once(b'/');
    a.bytes().chain(slash.clone()).cmp(b.bytes().chain(slash))
}

/// A key that sorts as the text of a period does: `2026`, `2026-01`, `2026-01-05`, `2026-02`, `2026-Q1`.
const fn period_text(period: NamedPeriod) -> (i64, i64, i64) {
    /// Above every month, as `Q` is above every digit.
    const QUARTERS: i64 = 100;
    match period {
        NamedPeriod::Year(year) => (year, 0, 0),
        NamedPeriod::Month(year, month) => (year, month, 0),
        NamedPeriod::Day(day) => day.civil(),
        NamedPeriod::Quarter(year, quarter) => (year, QUARTERS + quarter, 0),
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(TEXT_BYTES);
        self.push_to(&mut text);
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::text_by(deserializer, Self::parse)
    }
}

packed_enum!(Account {
    0 => Advance(party, fund),
    1 => Disputed(order, claim, fund),
    2 => Earned(programme, party, fund, period),
    3 => Fund(fund),
    4 => Hold(order, claim, fund),
    5 => Owed(party, fund),
    6 => Paid(party, fund),
    7 => Payable(party, fund),
    8 => Transit(batch, party, fund),
    9 => Treasury(funder, fund),
    10 => Voucher(voucher, fund),
});

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 17] = [
        "advance/pty-aaaaaaaaaaaaaaaa/city",
        "disputed/ord-aaaaaaaaaaaaaaaa/0/city",
        "earned/sh-city-a/pty-aaaaaaaaaaaaaaaa/city/2026",
        "earned/sh-city/pty-aaaaaaaaaaaaaaaa/city-2025/2026",
        "earned/sh-city/pty-aaaaaaaaaaaaaaaa/city/2026",
        "earned/sh-city/pty-aaaaaaaaaaaaaaaa/city/2026-01",
        "earned/sh-city/pty-aaaaaaaaaaaaaaaa/city/2026-01-05",
        "earned/sh-city/pty-aaaaaaaaaaaaaaaa/city/2026-02",
        "earned/sh-city/pty-aaaaaaaaaaaaaaaa/city/2026-Q1",
        "fund/city",
        "hold/ord-aaaaaaaaaaaaaaaa/7/city",
        "owed/pty-aaaaaaaaaaaaaaaa/city",
        "paid/pty-aaaaaaaaaaaaaaaa/city",
        "payable/pty-aaaaaaaaaaaaaaaa/city",
        "transit/bat-aaaaaaaaaaaaaaaa/pty-aaaaaaaaaaaaaaaa/city",
        "treasury/sh-finance/city",
        "voucher/vch-aaaaaaaaaaaaaaaa/city",
    ];

    #[test]
    fn accounts_sort_as_their_texts_do_and_read_back() {
        let accounts: Vec<_> = NAMES.iter().map(|n| Account::parse(n).unwrap()).collect();
        for (i, a) in accounts.iter().enumerate() {
            assert_eq!(a.to_string(), NAMES[i]);
            assert_eq!(NAMES[i].split('/').next(), Some(a.class()));
            for (j, b) in accounts.iter().enumerate() {
                assert_eq!(a.cmp(b), NAMES[i].cmp(NAMES[j]), "{a} {b}");
            }
        }
    }

    #[test]
    fn a_name_that_is_not_an_account_is_refused() {
        for bad in [
            "",
            "fund",
            "fund/x",
            "fund/city/city",
            "hold/ord-aaaaaaaaaaaaaaaa/8/city",
            "hold/ord-aaaaaaaaaaaaaaaa/00/city",
            "earned/sh-city/pty-aaaaaaaaaaaaaaaa/city/2026-13",
            "purse/city",
        ] {
            assert_eq!(Account::parse(bad), Err(NotAnAccount), "{bad}");
        }
    }
}
