//! A programme file, parsed into types (PROGRAMMES §1); called by `decide`, the audit and the pages.
//!
//! [`ProgrammeFile::parse`] reads any file of schema 1, also one whose text leaves open who pays whom: that one loads and
//! is shown. [`ProgrammeFile::enact`] makes the [`Programme`] that money rests on, and refuses while a structural key is
//! open. Nothing here guesses: what a text does not give is [`Known::Unknown`].

pub mod eligibility;
mod loader;
mod reader;
#[cfg(test)]
pub(crate) mod scenario;
pub mod schema;
mod settle;
pub mod subsidy;
mod trace;
mod word;

pub use schema::{Known, Programme, Region};
pub use settle::{Plain, Settlement};
pub use trace::{TraceLine, TraceStatus};

use std::cell::RefCell;

use crate::refusal::{Code, Refusal};
use reader::Notes;
use schema::{Does, Header, Mode, Payee, Scheme, Sign, Status};

/// The longest programme file: it travels in one entry of at most 65,535 bytes (PROGRAMMES).
pub const FILE_BYTES_MAX: usize = 48_000;

/// A file that loads: its text, its header, and what it leaves open.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgrammeFile {
    table: toml::Table,
    header: Header,
    structural: Vec<String>,
    amounts: Vec<String>,
    late: Vec<String>,
    unknown_header: Vec<String>,
}

impl ProgrammeFile {
    /// Reads a file of schema 1. Unknown keys, wrong types and contradictions are faults that name their path.
    /// # Errors
    /// `programme.invalid`
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > FILE_BYTES_MAX {
            return Err(Refusal::new(
                Code::ProgrammeInvalid,
                format!(
                    "the file has {} bytes; at most {FILE_BYTES_MAX} fit into an entry",
                    text.len()
                ),
            )
            .with("bytes", text.len()));
        }
        let table = text.parse::<toml::Table>().map_err(|fault| {
            Refusal::new(
                Code::ProgrammeInvalid,
                format!("not TOML: {}", fault.to_string().trim_end()),
            )
        })?;
        Self::from_table(table)
    }

    fn from_table(table: toml::Table) -> Result<Self, Refusal> {
        let (programme, notes) = read(&table)?;
        Ok(Self {
            table,
            header: programme.header,
            structural: notes.structural,
            amounts: notes.amounts,
            late: notes.late,
            unknown_header: notes.header,
        })
    }

    /// Who, where, by what right.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Structural paths that are open: enactment must settle each (`instrument.mode`, `cap.year.per`, `fund`).
    #[must_use]
    pub fn unsettled(&self) -> &[String] {
        &self.structural
    }

    /// Amounts that are open: every decision that needs one is manual.
    #[must_use]
    pub fn manual_amounts(&self) -> &[String] {
        &self.amounts
    }

    /// What may stay open until it is reached.
    #[must_use]
    pub fn late(&self) -> &[String] {
        &self.late
    }

    /// What is not known of the authority and of the documents.
    #[must_use]
    pub fn unknown_header(&self) -> &[String] {
        &self.unknown_header
    }

    /// Header keys that a real file still owes; a test's minimal text may leave them out.
    #[must_use]
    pub fn gaps(&self) -> Vec<&'static str> {
        let owes = [
            ("schema", self.table.contains_key("schema")),
            ("engine", self.table.contains_key("engine")),
            ("name.zh", self.header.name.contains_key("zh")),
            ("name.en", self.header.name.contains_key("en")),
            ("name.it", self.header.name.contains_key("it")),
            ("status", self.table.contains_key("status")),
            ("issuer", self.table.contains_key("issuer")),
            ("region", self.header.region.is_some()),
            ("tier", self.header.level.is_some()),
            ("legal", !self.header.legal.is_empty()),
        ];
        owes.iter()
            .filter(|(_, there)| !there)
            .map(|(key, _)| *key)
            .collect()
    }

    /// Every key of the file and its value as written, in the file's own words, for display: path and TOML text.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        settle::flatten("", &toml::Value::Table(self.table.clone()), &mut rows);
        rows
    }

    /// Makes the programme, with what the office sets for what the text leaves open.
    /// # Errors
    /// `programme.status` for a file that is pending, `programme.unknown` with the paths that are still open,
    /// `programme.invalid` for a settlement of something that the text gives or that does not fit.
    pub fn enact(&self, settled: &[Settlement]) -> Result<Programme, Refusal> {
        if self.header.status == Status::Pending {
            return Err(Refusal::new(
                Code::ProgrammeStatus,
                format!(
                    "{} is pending: it has no rules of its own to enact",
                    self.header.id
                ),
            )
            .with("status", self.header.status));
        }
        let mut table = self.table.clone();
        for settlement in settled {
            settle::apply(&mut table, settlement)?;
        }
        let (mut programme, notes) = read(&table)?;
        if !notes.structural.is_empty() {
            return Err(Refusal::new(
                Code::ProgrammeUnknown,
                format!(
                    "the text leaves open {}; settle each with its basis",
                    notes.structural.join(", ")
                ),
            )
            .with("paths", notes.structural.join(" ")));
        }
        programme.settled = settled.to_vec();
        Ok(programme)
    }
}

fn read(table: &toml::Table) -> Result<(Programme, Notes), Refusal> {
    let notes = RefCell::new(Notes::default());
    let programme = loader::programme(table, &notes)?;
    Ok((programme, notes.into_inner()))
}

/// Something in a programme that this exchange loads and shows but has no procedure for yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Procedure {
    /// More than one stage of review, or stages of experts, third parties or public notice.
    StagedCase,
    /// Reserve funds paid before anything is earned.
    Advance,
    /// Awards to the supply side without an order.
    Award,
    /// Either side may be paid, once.
    EitherOnce,
    /// Acts that need a party's own signature.
    PartySignature,
    /// Model vouchers.
    ModelScheme,
}

impl Procedure {
    /// The word for it in refusals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StagedCase => "staged cases",
            Self::Advance => "advances",
            Self::Award => "awards",
            Self::EitherOnce => "a payee of either side",
            Self::PartySignature => "signatures of the parties",
            Self::ModelScheme => "model vouchers",
        }
    }
}

/// Names the first thing that the programme needs and this exchange cannot do yet; money must not rest on it before.
/// An exhausted pot with a queue or a prorated window is met at use, see [`schema::Exhaustion`].
#[must_use]
pub fn needs_procedure(programme: &Programme) -> Option<Procedure> {
    let deciding = programme
        .stages
        .iter()
        .filter(|stage| stage.does != Does::Pay)
        .count();
    let staged = programme.stages.iter().any(|stage| match stage.does {
        Does::Experts | Does::Notice | Does::ThirdParty => true,
        Does::Review | Does::Decide | Does::Pay => false,
    });
    if staged || deciding > 1 {
        return Some(Procedure::StagedCase);
    }
    match programme.instrument.mode {
        Mode::Advance => return Some(Procedure::Advance),
        Mode::Award => return Some(Procedure::Award),
        Mode::Deduct | Mode::Reimburse => {}
    }
    if programme.instrument.payee == Payee::EitherOnce {
        return Some(Procedure::EitherOnce);
    }
    // Orders are signed; what else a programme wants signed is not asked of anybody.
    let mut signed = programme.instrument.sign.iter();
    if signed.any(|act| *act != Sign::Order) {
        return Some(Procedure::PartySignature);
    }
    // A programme of several schemes is usable for the others.
    programme
        .header
        .scheme
        .iter()
        .all(|scheme| *scheme == Scheme::Model)
        .then_some(Procedure::ModelScheme)
}

/// Refuses what [`needs_procedure`] names.
/// # Errors
/// `programme.needs-procedure`
pub fn check_procedure(programme: &Programme) -> Result<(), Refusal> {
    match needs_procedure(programme) {
        None => Ok(()),
        Some(procedure) => Err(Refusal::new(
            Code::ProgrammeNeedsProcedure,
            format!(
                "{} needs {}, which this exchange does not run yet",
                programme.header.id,
                procedure.as_str()
            ),
        )
        .with("procedure", procedure.as_str())),
    }
}

#[cfg(test)]
mod tests;
