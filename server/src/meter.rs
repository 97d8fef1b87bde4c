//! `quan meter`: a provider's side. A scheduler's export becomes signed compute-usage receipts (DESIGN §5, §7).
//!
//! The way of a GPU-second: an export ([`sacct`], [`json`]) lists rows; [`mod@run`] judges each row; [`intake`] tells new runs
//! from known ones; [`chain`] plans what must be stated so that all runs are, cut by [`merge`] into pieces that do not
//! overlap; [`issue`] signs; [`spool`] keeps; [`send`] sends. Rows are refused one by one, with a reason each; running the
//! meter again on the same or an overlapping export counts no second twice.

pub mod chain;
mod command;
pub mod config;
pub mod exchange;
pub mod fault;
pub mod gres;
pub mod intake;
pub mod issue;
pub mod json;
mod keygen;
pub mod merge;
pub mod row;
pub mod run;
pub mod sacct;
pub mod send;
pub mod spool;
pub mod state;
mod table;
#[cfg(test)]
mod tests;

pub use command::{Command, read_config, read_signer, run};

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use verifier::id::{DocumentDigest, OrderId};
use verifier::signature::Signer;

use crate::clock::Clock;
use chain::Plan;
use config::{Config, Zone};
use exchange::Exchange;
use fault::Fault;
use intake::Taken;
use issue::Issuer;
use run::Judged;
use sacct::Declared;
use send::Sent;
use spool::Spool;

/// The first wait after a failed request; it doubles from there.
const PAUSE: Duration = Duration::from_millis(500);

/// What is said about an export beside the settings.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The zone of its times.
    pub zone: Option<Zone>,
    /// The cluster of rows that name none.
    pub cluster: Option<String>,
    /// The account of rows that name none.
    pub account: Option<String>,
}

/// What became of one export.
#[derive(Debug)]
pub struct Intake {
    /// Its rows.
    pub judged: Judged,
    /// Its runs, against those known before.
    pub taken: Taken,
}

/// A provider's meter: its settings and its spool.
pub struct Meter {
    config: Config,
    spool: Spool,
    clock: Clock,
}

impl Meter {
    /// Opens the meter of a provider, and locks its spool.
    /// # Errors
    /// [`Fault`]
    pub fn open(config: Config, clock: Clock) -> Result<Self, Fault> {
        let spool = Spool::open(&config.spool)?;
        Ok(Self {
            config,
            spool,
            clock,
        })
    }

    /// Reads an export and takes over its runs, in memory.
    /// # Errors
    /// [`Fault::NoZone`], [`Fault::NotAnExport`]
    pub fn take(
        &mut self,
        path: &Path,
        bytes: &[u8],
        overrides: &Overrides,
    ) -> Result<Intake, Fault> {
        // Job names may hold any bytes; nothing that is metered does.
        let text = String::from_utf8_lossy(bytes);
        let declared;
        let listing = if text.trim_start().starts_with('{') {
            json::read(&text).map_err(|e| Fault::NotAnExport(path.to_owned(), e.to_string()))?
        } else {
            declared = self.declared(path, overrides)?;
            sacct::read(&text, &declared)
        };
        let mut judged = run::judge(listing, &self.config, self.clock.now()?);
        let runs = std::mem::take(&mut judged.runs);
        let taken = intake::take(&mut self.spool.books, runs, DocumentDigest::of(bytes));
        Ok(Intake { judged, taken })
    }

    fn declared(&self, path: &Path, overrides: &Overrides) -> Result<Declared, Fault> {
        let zone = overrides.zone.or(self.config.zone);
        let Zone(zone) = zone.ok_or_else(|| Fault::NoZone(path.to_owned()))?;
        let only = || self.config.only_cluster().map(str::to_owned);
        let cluster = overrides.cluster.clone().or_else(only);
        Ok(Declared {
            zone,
            cluster,
            account: overrides.account.clone(),
        })
    }

    /// Gives up what the exchange refused, so that it is planned anew.
    pub fn drop_refused(&mut self) {
        for book in self.spool.books.values_mut() {
            let dropped = book.chain.drop_refused();
            for (stream, hours) in dropped {
                book.touched.entry(stream).or_default().extend(hours);
            }
        }
    }

    /// Plans the receipts that are missing.
    #[must_use]
    pub fn plan(&self) -> BTreeMap<OrderId, Plan> {
        let plan = |book: &intake::OrderBook| book.chain.plan(&book.uses(), &book.touched);
        self.spool
            .books
            .iter()
            .map(|(order, book)| (*order, plan(book)))
            .collect()
    }

    /// Signs what was planned and keeps it; from here on a kill loses nothing.
    /// # Errors
    /// [`Fault::File`], [`Fault::Receipt`]
    pub fn sign(&mut self, signer: &Signer, plans: &BTreeMap<OrderId, Plan>) -> Result<(), Fault> {
        let issuer = Issuer {
            config: &self.config,
            signer,
        };
        let now = self.clock.now()?;
        let total = plans.values().map(|plan| plan.drafts.len()).sum();
        let bar = bar(total, "signed");
        for (order, plan) in plans {
            if let Some(book) = self.spool.books.get_mut(order) {
                issuer.sign(*order, book, &plan.drafts, now)?;
                book.touched.clear();
            }
            self.spool.keep(*order)?;
            bar.inc(plan.drafts.len().try_into().unwrap_or(0));
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Sends what waits in the spool.
    /// # Errors
    /// [`Fault`]; what was answered until then is kept.
    pub fn send(&mut self, signer: &Signer, api_key: &str) -> Result<Sent, Fault> {
        let issuer = Issuer {
            config: &self.config,
            signer,
        };
        let exchange = Exchange::new(&self.config.url, api_key.to_owned(), PAUSE);
        let bar = bar(self.pending(), "answered");
        let sent = send::send(&mut self.spool, &issuer, &exchange, &self.clock, &bar);
        bar.finish_and_clear();
        sent
    }

    /// How many signed receipts wait for an answer.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.spool
            .books
            .values()
            .map(|book| book.chain.outbox.len())
            .sum()
    }
}

/// Turns while an export is read; drawn on a terminal only.
fn spinner(path: &Path) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(format!("reading {}", path.display()));
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Drawn on a terminal only.
fn bar(total: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} {msg} {eta}");
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX)).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
