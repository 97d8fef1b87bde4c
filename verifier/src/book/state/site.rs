//! Sites with their hardware, capacity shares and occupied hours; offers of GPU time (DESIGN §4.2, §5).

use std::collections::BTreeMap;

use crate::book::command::{Billing, Hardware};
use crate::book::state::by_hash::ByHash;
use crate::book::state::chain::RunHash;
use crate::id::{GpuModel, OrderId, PartyId, SiteId};
use crate::money::Fen;
use crate::region::Region;
use crate::signature::Kid;
use crate::time::{ClockHour, HOUR_SECONDS, Timestamp};

/// Hardware in one place that a provider meters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Who meters it.
    pub provider: PartyId,
    /// Where.
    pub region: Region,
    /// What stands there.
    pub hardware: Vec<Hardware>,
    /// The capacity key; its thumbprint is the site's global id.
    pub capacity_kid: Kid,
    /// What is given to this exchange and what is occupied, by model.
    pub capacity: BTreeMap<GpuModel, Capacity>,
    /// Scheduler runs and the one order of each: the counters `run/{site}/{run}`; none is 0.
    pub runs: ByHash<Run>,
}

/// A scheduler run: it fills receipts of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Which order.
    pub order: OrderId,
    /// How many of its standing receipts.
    pub receipts: u32,
}

impl Site {
    /// How many physical cards of a model stand there.
    #[must_use]
    pub fn cards(&self, gpu_model: &GpuModel) -> u32 {
        let stands = |hardware: &&Hardware| hardware.gpu_model == *gpu_model;
        let row = self.hardware.iter().find(stands);
        row.map_or(0, |hardware| hardware.gpus)
    }

    /// Counts a run in one receipt more of an order, or (`by` −1) in one less; what no receipt names is forgotten.
    pub(in crate::book) fn count_run(&mut self, run: RunHash, order: OrderId, by: i32) {
        self.runs.change(run, |known| {
            let before = known.map_or(0, |known| known.receipts);
            let order = known.map_or(order, |known| known.order);
            let receipts = before.saturating_add_signed(by);
            *known = (receipts > 0).then_some(Run { order, receipts });
        });
    }
}

/// The shares in force and the GPU-seconds occupied, by clock hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Cards from this hour on, until the next key; none before the first.
    shares: BTreeMap<ClockHour, u32>,
    /// The counters `site/{site}/{gpu model}/{hour}`; none is 0.
    occupied: BTreeMap<ClockHour, i64>,
}

impl Capacity {
    /// The cards that the share in force gives in an hour.
    #[must_use]
    pub fn cards(&self, hour: ClockHour) -> u32 {
        let newest = self.shares.range(..=hour).next_back();
        newest.map_or(0, |(_, cards)| *cards)
    }

    /// The GPU-seconds that the share in force gives in an hour.
    #[must_use]
    pub fn limit(&self, hour: ClockHour) -> i64 {
        i64::from(self.cards(hour)) * HOUR_SECONDS
    }

    /// The GPU-seconds occupied in an hour.
    #[must_use]
    pub fn occupied(&self, hour: ClockHour) -> i64 {
        self.occupied.get(&hour).copied().unwrap_or(0)
    }

    /// The hours from which a share gives another number of cards, ascending; none are given before the first.
    pub fn shares(&self) -> impl Iterator<Item = (ClockHour, u32)> {
        self.shares.iter().map(|(hour, cards)| (*hour, *cards))
    }

    /// The occupied hours with their GPU-seconds, ascending.
    pub fn hours(&self) -> impl Iterator<Item = (ClockHour, i64)> {
        self.occupied
            .iter()
            .map(|(hour, seconds)| (*hour, *seconds))
    }

    /// The most GPU-seconds occupied in one of the hours from `from` to before `to`, with its hour.
    #[must_use]
    pub fn busiest(&self, from: ClockHour, to: ClockHour) -> Option<(ClockHour, i64)> {
        let hours = self.occupied.range(from..to.max(from));
        let most = hours.max_by_key(|(hour, seconds)| (**seconds, std::cmp::Reverse(**hour)));
        most.map(|(hour, seconds)| (*hour, *seconds))
    }

    /// The most cards that a share gives in any hour from `from` on.
    #[must_use]
    pub fn largest_from(&self, from: ClockHour) -> u32 {
        let later = self.shares.range(from..).map(|(_, cards)| *cards).max();
        later.unwrap_or(0).max(self.cards(from))
    }

    /// Gives `cards` from `from` to before `to`, in place of what was given in these hours.
    pub(in crate::book) fn share(&mut self, from: ClockHour, to: ClockHour, cards: u32) {
        let after = self.cards(to);
        let replaced: Vec<_> = self.shares.range(from..to).map(|(hour, _)| *hour).collect();
        for hour in replaced {
            self.shares.remove(&hour);
        }
        self.shares.insert(from, cards);
        self.shares.insert(to, after);
    }

    /// Moves the counter of an hour.
    /// # Errors
    /// The value below zero that it would have.
    pub(in crate::book) fn occupy(&mut self, hour: ClockHour, by: i64) -> Result<(), i64> {
        let after = self.occupied(hour).saturating_add(by);
        match after {
            ..0 => return Err(after),
            0 => self.occupied.remove(&hour),
            _ => self.occupied.insert(hour, after),
        };
        Ok(())
    }
}

/// A published offer of GPU time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// At which site; its provider sells.
    pub site: SiteId,
    /// Which cards.
    pub gpu_model: GpuModel,
    /// What is billed.
    pub billing: Billing,
    /// Fen a card-hour.
    pub price_fen: Fen,
    /// Until when it can be ordered.
    pub valid_to: Option<Timestamp>,
    /// Whether it was withdrawn: orders placed before stay.
    pub withdrawn: bool,
}

impl Offer {
    /// Whether an order may still be placed under it.
    #[must_use]
    pub fn is_open_at(&self, at: Timestamp) -> bool {
        !self.withdrawn && self.valid_to.is_none_or(|to| at < to)
    }
}

packed! {
    Site { provider, region, hardware, capacity_kid, capacity, runs }
    Run { order, receipts }
    Capacity { shares, occupied }
    Offer { site, gpu_model, billing, price_fen, valid_to, withdrawn }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(number: i64) -> ClockHour {
        Timestamp::new(number * HOUR_SECONDS).unwrap().hour()
    }

    #[test]
    fn a_later_share_replaces_an_earlier_in_its_hours_alone() {
        let mut capacity = Capacity::default();
        capacity.share(hour(10), hour(20), 40);
        capacity.share(hour(12), hour(15), 8);
        capacity.share(hour(14), hour(16), 64);
        let cards: Vec<_> = (9..=20).map(|n| capacity.cards(hour(n))).collect();
        assert_eq!(cards, [0, 40, 40, 8, 8, 64, 64, 40, 40, 40, 40, 0]);
        assert_eq!(capacity.largest_from(hour(16)), 40);
        assert_eq!(capacity.largest_from(hour(15)), 64);
        assert_eq!(capacity.largest_from(hour(20)), 0);
    }

    #[test]
    fn an_hour_is_never_occupied_below_zero() {
        let mut capacity = Capacity::default();
        capacity.occupy(hour(3), 7).unwrap();
        capacity.occupy(hour(5), 9).unwrap();
        assert_eq!(capacity.occupy(hour(3), -8), Err(-1));
        assert_eq!(capacity.busiest(hour(0), hour(5)), Some((hour(3), 7)));
        assert_eq!(capacity.busiest(hour(0), hour(6)), Some((hour(5), 9)));
        capacity.occupy(hour(3), -7).unwrap();
        assert_eq!(capacity.busiest(hour(0), hour(5)), None);
    }
}
