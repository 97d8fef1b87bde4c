//! The book to and from bytes: a snapshot only shortens a start, what counts is the log (DESIGN §7, FORMATS).
//!
//! A snapshot is the book and the edge of the tree after some number of entries. It equals what a replay of those gives, and a start
//! that finds it differs replays them. Programmes are not in it: they are parsed again from the entries that enacted them. Nothing
//! of this is part of the trail, and no auditor reads it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::Book;
use super::apply::programme::enacted;
use super::entry::Entry;
use super::state::programme::{Enactment, Version};
use crate::id::{DocumentDigest, PartyId, ProgrammeId};
use crate::packed::{NotPacked, Packed, Unpacker};
use crate::time::Timestamp;
use crate::trail::tree::Frontier;

/// The first line: the form, and the program that wrote it. Another program may apply entries otherwise: it replays.
const HEAD: &str = concat!("quan-snapshot 3 ", env!("CARGO_PKG_VERSION"), "\n");
/// Length of the SHA-256 at the end.
const DIGEST_BYTES: usize = 32;

/// Why bytes are not a snapshot that can be used. The log is replayed instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Another version of the form, or of the program, wrote it.
    Version,
    /// Its SHA-256 is another one: it was cut or changed.
    Digest,
    /// Its bytes are not of the form.
    Form,
    /// An entry that it names is not there, or does not enact what it should.
    Programme,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "another version of the program wrote it",
            Self::Digest => "its SHA-256 does not match: it was cut or changed",
            Self::Form => "its bytes are not of the form of a snapshot",
            Self::Programme => "an entry that it names does not enact the programme that it should",
        })
    }
}

impl std::error::Error for Unusable {}

impl From<NotPacked> for Unusable {
    fn from(_: NotPacked) -> Self {
        Self::Form
    }
}

/// Writes a book and the edge of the tree over the same entries.
#[must_use]
pub fn write(book: &Book, edge: &Frontier) -> Vec<u8> {
    let mut out = HEAD.as_bytes().to_vec();
    edge.to_bytes().put(&mut out);
    put_book(book, &mut out);
    let digest = Sha256::digest(&out);
    out.extend_from_slice(&digest);
    out
}

/// Reads what [`write()`] wrote. `entry` gives the bytes of an entry of the log by its number: those that enacted programmes.
/// # Errors
/// [`Unusable`]
pub fn read(
    bytes: &[u8],
    entry: impl FnMut(u64) -> Option<Vec<u8>>,
) -> Result<(Book, Frontier), Unusable> {
    if !bytes.starts_with(HEAD.as_bytes()) {
        return Err(Unusable::Version);
    }
    let body = bytes.len().saturating_sub(DIGEST_BYTES);
    let (body, digest) = bytes.split_at_checked(body).ok_or(Unusable::Digest)?;
    if Sha256::digest(body).as_slice() != digest {
        return Err(Unusable::Digest);
    }
    let body = body.get(HEAD.len()..).ok_or(Unusable::Digest)?;
    let mut from = Unpacker::new(body);
    let edge = Vec::<u8>::take(&mut from)?;
    let edge = Frontier::from_bytes(&edge).map_err(|_| Unusable::Form)?;
    let book = take_book(&mut from, entry)?;
    if !from.is_empty() || edge.size().get() != book.size {
        return Err(Unusable::Form);
    }
    Ok((book, edge))
}

/// An enacted file without its rules.
struct Stored {
    digest: DocumentDigest,
    despite_status: bool,
    enacted_at: Timestamp,
    seq: u64,
}

/// A programme without its rules.
struct StoredEnactment {
    office: PartyId,
    versions: Vec<Stored>,
    closed: Option<Timestamp>,
}

packed! {
    Stored { digest, despite_status, enacted_at, seq }
    StoredEnactment { office, versions, closed }
}

impl StoredEnactment {
    fn of(enactment: &Enactment) -> Self {
        let versions = enactment.versions.iter().map(|version| Stored {
            digest: version.digest,
            despite_status: version.despite_status,
            enacted_at: version.enacted_at,
            seq: version.seq,
        });
        Self {
            office: enactment.office,
            versions: versions.collect(),
            closed: enactment.closed,
        }
    }

    /// The programme, its rules parsed again from the log.
    fn enact(
        self,
        id: &ProgrammeId,
        entry: &mut impl FnMut(u64) -> Option<Vec<u8>>,
    ) -> Result<Enactment, Unusable> {
        let version = |stored: Stored| {
            let bytes = entry(stored.seq)?;
            let programme = enacted(&Entry::parse_own(&bytes).ok()?)?.ok()?;
            (programme.digest == stored.digest && programme.programme.header.id == *id).then_some(
                Version {
                    despite_status: stored.despite_status,
                    enacted_at: stored.enacted_at,
                    seq: stored.seq,
                    ..programme
                },
            )
        };
        let versions = self.versions.into_iter().map(version);
        let versions: Option<Vec<_>> = versions.collect();
        Ok(Enactment {
            office: self.office,
            versions: versions.ok_or(Unusable::Programme)?,
            closed: self.closed,
        })
    }
}

/// Calls a macro with every member of a book but its programmes and what is made of other members.
macro_rules! members {
    ($each:ident) => {
        $each!(
            size,
            last_at,
            exchange,
            parties,
            actors,
            keys,
            log_keys,
            facts,
            funds,
            lists,
            sites,
            offers,
            datasets,
            versions,
            orders,
            voucher_contracts,
            cases,
            compromises,
            deciders,
            batches,
            chains,
            dealings,
            licences,
            money,
            seals,
            scopes,
            sealed,
            sealing,
            commands,
            command_times
        )
    };
}

fn put_book(book: &Book, out: &mut Vec<u8>) {
    let programmes: BTreeMap<_, _> = book
        .programmes
        .iter()
        .map(|(id, enactment)| (id.clone(), StoredEnactment::of(enactment)))
        .collect();
    programmes.put(out);
    macro_rules! put {
        ($($field:ident),*) => {{
            let Book { programmes: _, bought: _, $($field),* } = book;
            $($field.put(out);)*
        }};
    }
    members!(put);
}

fn take_book(
    from: &mut Unpacker<'_>,
    mut entry: impl FnMut(u64) -> Option<Vec<u8>>,
) -> Result<Book, Unusable> {
    let stored = BTreeMap::<ProgrammeId, StoredEnactment>::take(from)?;
    let mut programmes = BTreeMap::new();
    for (id, enactment) in stored {
        let enactment = enactment.enact(&id, &mut entry)?;
        programmes.insert(id, enactment);
    }
    macro_rules! take {
        ($($field:ident),*) => {{
            $(let $field = Packed::take(from)?;)*
            Book { programmes, bought: BTreeMap::new(), $($field),* }
        }};
    }
    let mut book = members!(take);
    // In the order of their versions, as applying them did.
    for version in book.programmes.values().flat_map(|all| &all.versions) {
        book.money.enact(Arc::clone(&version.programme));
    }
    let orders: Vec<_> = book.orders.keys().copied().collect();
    for order in orders {
        book.index_bought(order);
    }
    Ok(book)
}
