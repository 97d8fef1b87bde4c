//! Programmes: enacted, amended, closed; provider lists (PROGRAMMES §1, loader rules).

use crate::book::command::{
    AmendProgramme, CloseProgramme, EnactProgramme, LIST_MAX, PublishProviderList,
};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::reach;
use crate::book::state::programme::Enactment;
use crate::id::{DocumentDigest, ProgrammeId};
use crate::programme::schema::{FundName, Status};
use crate::programme::{Programme, ProgrammeFile, Settlement, check_procedure};
use crate::refusal::{Code, Refusal};

/// Enacts a file under a new id.
pub(super) fn enact(case: &Case<'_>, asked: &EnactProgramme) -> Result<Decision, Refusal> {
    let programme = load(case, &Enacting::from(asked))?;
    let id = programme.header.id.clone();
    if case.book.programmes.contains_key(&id) {
        return Err(Refusal::new(
            Code::ProgrammeTaken,
            "the programme is enacted already; amend it, or enact a file with its own id",
        )
        .with("programme", &id));
    }
    let found = Found {
        programme: Some(id),
        version: Some(1),
        ..Found::default()
    };
    Ok(Decision {
        found,
        scopes: reach::programme(&programme),
        ..Decision::default()
    })
}

/// Replaces the file; vouchers keep the version that they were issued under.
pub(super) fn amend(case: &Case<'_>, asked: &AmendProgramme) -> Result<Decision, Refusal> {
    let own = case.own_programme(&asked.programme)?;
    let programme = load(case, &Enacting::from(asked))?;
    if programme.header.id != asked.programme {
        return Err(Refusal::new(
            Code::ProgrammeInvalid,
            format!(
                "the file is for {}, not for {}",
                programme.header.id, asked.programme
            ),
        ));
    }
    let version = own.current().map(|(number, _)| number.saturating_add(1));
    let found = Found {
        programme: Some(asked.programme.clone()),
        version,
        ..Found::default()
    };
    Ok(Decision {
        found,
        scopes: reach::programme(&programme),
        ..Decision::default()
    })
}

/// Closes a programme to new vouchers and orders.
pub(super) fn close(case: &Case<'_>, asked: &CloseProgramme) -> Result<Decision, Refusal> {
    let own = case.own_programme(&asked.programme)?;
    if own.closed.is_some() {
        return Err(Refusal::new(
            Code::ProgrammeClosed,
            "the programme is closed already",
        ));
    }
    let programme = own.current().map(|(_, version)| &version.programme);
    let scopes = programme
        .map(|programme| reach::programme(programme))
        .unwrap_or_default();
    Ok(Decision {
        scopes,
        ..Decision::default()
    })
}

/// Publishes a part of a yearly list.
pub(super) fn publish_list(
    case: &Case<'_>,
    asked: &PublishProviderList,
) -> Result<Decision, Refusal> {
    if asked.members.is_empty() || asked.members.len() > LIST_MAX {
        return Err(Refusal::new(
            Code::RequestMalformed,
            format!("a part lists 1 to {LIST_MAX} providers; publish more parts"),
        ));
    }
    if asked.part == 0 || asked.part > asked.of {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "part is not one of 1 to of",
        ));
    }
    for member in &asked.members {
        case.book.party(*member)?;
    }
    if let Some(edition) = case.book.lists.get(&(asked.list.clone(), asked.year)) {
        if edition.office != case.request.by {
            return Err(Refusal::new(
                Code::AccessParty,
                "another office publishes this list",
            ));
        }
        if edition.of != asked.of {
            return Err(Refusal::new(
                Code::RequestMalformed,
                format!("this edition has {} parts, not {}", edition.of, asked.of),
            ));
        }
    }
    Ok(Decision::common(Found::default()))
}

/// What enactment and amendment have in common.
struct Enacting<'a> {
    toml: &'a str,
    digest: DocumentDigest,
    settled: &'a [Settlement],
    despite_status: bool,
}

impl<'a> From<&'a EnactProgramme> for Enacting<'a> {
    fn from(asked: &'a EnactProgramme) -> Self {
        let EnactProgramme {
            toml,
            digest,
            settled,
            despite_status,
        } = asked;
        Self {
            toml,
            digest: *digest,
            settled,
            despite_status: *despite_status,
        }
    }
}

impl<'a> From<&'a AmendProgramme> for Enacting<'a> {
    fn from(asked: &'a AmendProgramme) -> Self {
        let AmendProgramme {
            programme: _,
            toml,
            digest,
            settled,
            despite_status,
        } = asked;
        Self {
            toml,
            digest: *digest,
            settled,
            despite_status: *despite_status,
        }
    }
}

fn load(case: &Case<'_>, enacting: &Enacting<'_>) -> Result<Programme, Refusal> {
    if DocumentDigest::of(enacting.toml.as_bytes()) != enacting.digest {
        return Err(Refusal::new(
            Code::ProgrammeInvalid,
            "the digest is not that of the file",
        ));
    }
    let file = ProgrammeFile::parse(enacting.toml)?;
    let gaps = file.gaps();
    if !gaps.is_empty() {
        return Err(Refusal::new(
            Code::ProgrammeInvalid,
            format!(
                "the file does not say {}; name its source before money rests on it",
                gaps.join(", ")
            ),
        ));
    }
    let programme = file.enact(enacting.settled)?;
    check_status(programme.header.status, enacting.despite_status)?;
    check_procedure(&programme)?;
    check_funds(case, &programme)?;
    Ok(programme)
}

fn check_status(status: Status, despite: bool) -> Result<(), Refusal> {
    if status == Status::Verified || despite {
        return Ok(());
    }
    Err(Refusal::new(
        Code::ProgrammeStatus,
        format!("the file is {status}; enact it expressly with despite_status, or find the official text"),
    )
    .with("status", status))
}

/// The pots must be open and belong to the funders that the text names; a pot per city is checked at use.
fn check_funds(case: &Case<'_>, programme: &Programme) -> Result<(), Refusal> {
    for fund in programme.funds.iter().filter(|fund| !fund.id.is_template()) {
        let open = case.book.fund(&resolved(&fund.id)?)?;
        if open.funder != fund.funder {
            return Err(Refusal::new(
                Code::FundFunder,
                format!(
                    "the file names the funder {}, the fund is {}'s",
                    fund.funder, open.funder
                ),
            ));
        }
    }
    Ok(())
}

fn resolved(name: &FundName) -> Result<crate::id::FundId, Refusal> {
    Ok(crate::id::FundId::parse(name.as_str())?)
}

impl Case<'_> {
    /// A programme of the office that asks.
    pub(super) fn own_programme(&self, id: &ProgrammeId) -> Result<&Enactment, Refusal> {
        let enactment = self.book.programme(id)?;
        if enactment.office == self.request.by {
            return Ok(enactment);
        }
        Err(
            Refusal::new(Code::AccessParty, "another office runs this programme")
                .with("programme", id),
        )
    }

    /// The rules in force of a programme that is not closed.
    pub(super) fn open_programme<'b>(
        &self,
        enactment: &'b Enactment,
    ) -> Result<&'b Programme, Refusal> {
        let current = enactment.current().filter(|_| enactment.closed.is_none());
        current
            .map(|(_, version)| &*version.programme)
            .ok_or_else(|| {
                Refusal::new(
                    Code::ProgrammeClosed,
                    "the programme is closed to new vouchers and orders",
                )
            })
    }
}
