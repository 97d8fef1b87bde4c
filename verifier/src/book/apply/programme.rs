//! Programmes and provider lists.

use std::sync::Arc;

use crate::book::command::{
    AmendProgramme, CloseProgramme, Command, EnactProgramme, PublishProviderList,
};
use crate::book::entry::Entry;
use crate::book::state::programme::{Enactment, ProviderList, Version};
use crate::book::{Book, Inconsistency};
use crate::id::DocumentDigest;
use crate::programme::{ProgrammeFile, Settlement};

pub(super) fn enact(
    book: &mut Book,
    entry: &Entry,
    asked: &EnactProgramme,
) -> Result<(), Inconsistency> {
    let version = version(entry, &asked.toml, &asked.settled)?;
    let version = Version {
        despite_status: asked.despite_status,
        ..version
    };
    let programme = Arc::clone(&version.programme);
    let id = programme.header.id.clone();
    let enactment = Enactment {
        office: entry.by,
        versions: vec![version],
        closed: None,
    };
    book.money.enact(Arc::clone(&programme));
    book.programmes.insert(id, enactment);
    Ok(())
}

pub(super) fn amend(
    book: &mut Book,
    entry: &Entry,
    asked: &AmendProgramme,
) -> Result<(), Inconsistency> {
    let version = Version {
        despite_status: asked.despite_status,
        ..version(entry, &asked.toml, &asked.settled)?
    };
    if let Some(enactment) = book.programmes.get_mut(&asked.programme) {
        book.money.enact(Arc::clone(&version.programme));
        enactment.versions.push(version);
    }
    Ok(())
}

pub(super) fn close(book: &mut Book, entry: &Entry, asked: &CloseProgramme) {
    if let Some(enactment) = book.programmes.get_mut(&asked.programme) {
        enactment.closed = Some(entry.at);
    }
}

pub(super) fn publish_list(book: &mut Book, entry: &Entry, asked: &PublishProviderList) {
    let edition = book
        .lists
        .entry((asked.list.clone(), asked.year))
        .or_insert(ProviderList {
            office: entry.by,
            of: asked.of,
            parts: std::collections::BTreeMap::new(),
        });
    edition.parts.insert(asked.part, asked.members.clone());
}

/// The rules that an entry enacts, if it enacts any: a snapshot of the book leaves them in the log.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no other entry enacts rules"
)]
pub(in crate::book) fn enacted(entry: &Entry) -> Option<Result<Version, Inconsistency>> {
    let (toml, settled) = match &entry.asked {
        Command::EnactProgramme(asked) => (&asked.toml, &asked.settled),
        Command::AmendProgramme(asked) => (&asked.toml, &asked.settled),
        _ => return None,
    };
    Some(version(entry, toml, settled))
}

fn version(entry: &Entry, toml: &str, settled: &[Settlement]) -> Result<Version, Inconsistency> {
    let programme = ProgrammeFile::parse(toml).and_then(|file| file.enact(settled));
    let programme = programme.map_err(|refusal| Inconsistency {
        seq: entry.seq,
        sentence: refusal.to_string(),
    })?;
    Ok(Version {
        programme: Arc::new(programme),
        digest: DocumentDigest::of(toml.as_bytes()),
        despite_status: false,
        enacted_at: entry.at,
        seq: entry.seq,
    })
}
