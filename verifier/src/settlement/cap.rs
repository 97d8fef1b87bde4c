//! Caps: what counters allow, and in which year (PROGRAMMES §1, `cap`; DESIGN §4.2).
//!
//! A cap is consumed by what leaves a fund for a holder, and given back by what is released to the fund.

use super::counter::{CapSpan, CapSubject, CounterKey};
use super::draft::Draft;
use crate::id::{FundId, PartyId};
use crate::money::Fen;
use crate::programme::schema::{Cap, CapKey, CapPer, Counted, Known, Programme, YearOf};
use crate::refusal::{Code, Refusal};
use crate::time::{LocalDay, NamedPeriod, PeriodLength, Timestamp, UtcOffset};
use serde::{Deserialize, Serialize};

/// For whom money leaves a fund: the holder, and what its facts say about caps and funds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The party.
    pub party: PartyId,
    /// Its group's opaque id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The city that it is registered in, for funds named `{city}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// The contract's opaque id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// The site's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

impl Holder {
    /// A party of which nothing else is known.
    #[must_use]
    pub const fn new(party: PartyId) -> Self {
        Self {
            party,
            group: None,
            city: None,
            contract: None,
            site: None,
        }
    }
}

/// The moments by which a counter's year is named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Years {
    /// The act itself.
    pub(super) act: Timestamp,
    /// The order's placing, once there is one.
    pub(super) order: Option<Timestamp>,
    /// The last day of service.
    pub(super) service_end: Option<LocalDay>,
    /// The first day of the contract.
    pub(super) contract: Option<LocalDay>,
}

impl Years {
    pub(super) const fn of_act(act: Timestamp) -> Self {
        Self {
            act,
            order: None,
            service_end: None,
            contract: None,
        }
    }

    fn day(self, year_of: YearOf, offset: UtcOffset) -> Option<LocalDay> {
        match year_of {
            YearOf::Issue | YearOf::Settlement => Some(self.act.local_day(offset)),
            YearOf::Order => Some(self.order.unwrap_or(self.act).local_day(offset)),
            YearOf::ServiceEnd => self.service_end,
            YearOf::Contract => self.contract,
        }
    }
}

/// The counters that one act of a programme raises, with their limits.
#[derive(Debug, Clone)]
pub(super) struct Slots(Vec<Slot>);

#[derive(Debug, Clone)]
struct Slot {
    key: CounterKey,
    limit: Known<Fen>,
    soft: Option<Known<Fen>>,
}

impl Slots {
    /// The counters of commitments.
    /// # Errors
    /// `programme.manual` where a fact that names the counter is unknown.
    pub(super) fn issued(
        programme: &Programme,
        holder: &Holder,
        years: Years,
    ) -> Result<Self, Refusal> {
        let counted = programme
            .caps
            .iter()
            .filter(|cap| cap.count.contains(&Counted::Issued));
        let slots = counted.map(|cap| {
            let key = key(programme, cap, holder, years)?;
            let both = cap.count.contains(&Counted::Redeemed);
            let key = if both { key.issued() } else { key };
            Ok(Slot {
                key,
                limit: cap.limit,
                soft: cap.soft_limit,
            })
        });
        slots.collect::<Result<_, Refusal>>().map(Self)
    }

    /// The counters of redemptions: what a closed statement makes payable.
    /// # Errors
    /// `programme.manual` where a fact that names the counter is unknown.
    pub(super) fn redeemed(
        programme: &Programme,
        holder: &Holder,
        years: Years,
    ) -> Result<Self, Refusal> {
        let counted = programme
            .caps
            .iter()
            .filter(|cap| cap.count.contains(&Counted::Redeemed));
        let slots = counted.map(|cap| {
            // A redemption counts in the year of the closing, whatever year the commitment counts in.
            let cap_then = Cap {
                year_of: YearOf::Settlement,
                ..cap.clone()
            };
            let key = key(programme, &cap_then, holder, years)?.redeemed();
            Ok(Slot {
                key,
                limit: cap.limit,
                soft: cap.soft_limit,
            })
        });
        slots.collect::<Result<_, Refusal>>().map(Self)
    }

    /// The counters, each once.
    pub(super) fn keys(&self) -> Vec<CounterKey> {
        let mut keys: Vec<_> = self.0.iter().map(|slot| slot.key.clone()).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// What the known limits leave.
    pub(super) fn room(&self, draft: &Draft<'_>) -> Result<Fen, Refusal> {
        let mut room = Fen::MAX;
        for slot in &self.0 {
            if let Known::Known(limit) = slot.limit {
                room = room.min(left(draft, &slot.key, limit)?);
            }
        }
        Ok(room)
    }

    /// What may be given without a person: below every soft limit, and nothing where the limit is unknown.
    pub(super) fn automatic(&self, draft: &Draft<'_>) -> Result<Fen, Refusal> {
        let mut room = Fen::MAX;
        for slot in &self.0 {
            let limit = match (slot.soft, slot.limit) {
                (Some(Known::Known(soft)), _) => soft,
                (Some(Known::Unknown), _) | (None, Known::Unknown) => Fen::ZERO,
                (None, Known::Known(_)) => continue,
            };
            room = room.min(left(draft, &slot.key, limit)?);
        }
        Ok(room)
    }

    /// Cuts an amount to the caps.
    /// # Errors
    /// `programme.manual` where only a decision may go so far and there is none.
    pub(super) fn cut(
        &self,
        draft: &Draft<'_>,
        amount: Fen,
        decided: bool,
    ) -> Result<Fen, Refusal> {
        let amount = amount.min(self.room(draft)?);
        let automatic = self.automatic(draft)?;
        if !decided && amount > automatic {
            let sentence = format!(
                "{amount} fen pass the {automatic} that are given without a decision; open a case"
            );
            return Err(Refusal::new(Code::ProgrammeManual, sentence)
                .with("amount", amount)
                .with("automatic", automatic));
        }
        Ok(amount)
    }
}

fn left(draft: &Draft<'_>, key: &CounterKey, limit: Fen) -> Result<Fen, Refusal> {
    let used = Fen::new(draft.counter(key))?;
    Ok(limit.minus(used)?.max(Fen::ZERO))
}

fn key(
    programme: &Programme,
    cap: &Cap,
    holder: &Holder,
    years: Years,
) -> Result<CounterKey, Refusal> {
    let named = |name: &Option<String>| name.clone().map(CapSubject::Named);
    let subject = match cap.key {
        CapKey::Holder => Some(CapSubject::Holder(holder.party)),
        CapKey::Programme => Some(CapSubject::Programme),
        CapKey::Group => named(&holder.group),
        CapKey::Contract => named(&holder.contract),
        CapKey::Site => named(&holder.site),
    };
    let unknown = |what: &str| {
        let sentence = format!(
            "cap {} needs {what}, which is not recorded; open a case",
            cap.id
        );
        Refusal::new(Code::ProgrammeManual, sentence).with("cap", &cap.id)
    };
    let subject = subject.ok_or_else(|| unknown("the subject of its counter"))?;
    let offset = programme.header.utc_offset;
    let span = match cap.per {
        CapPer::Life => Some(CapSpan::Life),
        CapPer::CalendarYear => years
            .day(cap.year_of, offset)
            .map(|day| CapSpan::Period(NamedPeriod::containing(day, PeriodLength::Year))),
        CapPer::Quarter => years
            .day(cap.year_of, offset)
            .map(|day| CapSpan::Period(NamedPeriod::containing(day, PeriodLength::Quarter))),
        CapPer::Window | CapPer::ProgrammeYear => window(programme, cap, years),
    };
    let span = span.ok_or_else(|| unknown("the day that names its year"))?;
    let scope = cap
        .shared
        .as_deref()
        .unwrap_or(programme.header.id.as_str());
    Ok(CounterKey::cap(scope, &subject, span))
}

/// The application window, or the year of the programme from its first window on, that the day lies in.
fn window(programme: &Programme, cap: &Cap, years: Years) -> Option<CapSpan> {
    let offset = programme.header.utc_offset;
    let day = years.day(cap.year_of, offset)?;
    let starts = programme
        .window
        .apply
        .iter()
        .map(|window| window.from.local_day(offset));
    match cap.per {
        CapPer::ProgrammeYear => {
            let first = starts.min()?;
            let mut start = first;
            let mut months = 12;
            while first.plus_months(months) <= day {
                start = first.plus_months(months);
                months += 12;
            }
            (first <= day).then_some(CapSpan::Window(start))
        }
        CapPer::Window | CapPer::CalendarYear | CapPer::Quarter | CapPer::Life => starts
            .filter(|start| *start <= day)
            .max()
            .map(CapSpan::Window),
    }
}

/// The funds of a programme for a holder, in the programme's order.
/// # Errors
/// `programme.manual` where a fund is named by a city that is not recorded.
pub(super) fn funds(
    programme: &Programme,
    holder: &Holder,
    at: Timestamp,
) -> Result<Vec<FundId>, Refusal> {
    let (year, _, _) = at.local_day(programme.header.utc_offset).civil();
    let city = holder.city.as_deref().unwrap_or("");
    let resolved = programme.funds.iter().map(|fund| {
        fund.id.resolve(city, year).map_err(|_| {
            let sentence = format!("fund {} needs the holder's city", fund.id.as_str());
            Refusal::new(Code::ProgrammeManual, sentence).with("fund", fund.id.as_str())
        })
    });
    resolved.collect()
}

/// The weights of a programme's funds.
pub(super) fn weights(programme: &Programme) -> Result<Vec<Fen>, Refusal> {
    let weights = programme
        .funds
        .iter()
        .map(|fund| Fen::new(fund.weight).map_err(Refusal::from));
    weights.collect()
}

packed!(Holder {
    party,
    group,
    city,
    contract,
    site
});
