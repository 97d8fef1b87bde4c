//! The catalogue of all listings in DCAT-AP, written while it is read: a page of listings at a time is in memory, never all.
//!
//! A listing stands in it by its newest version that is for sale. What changes while it is written may be in it or not, and a
//! listing is in it once at most: the pages go by the listings' ids.

use bytes::Bytes;
use futures_util::{Stream, stream};
use std::collections::VecDeque;
use verifier::book::Book;
use verifier::dataset::{FileLine, State};
use verifier::id::DocumentDigest;

use super::card::{self, Card, FileRow, Listed};
use super::version::InTrail;
use super::{Fault, Parts};
use crate::store::dataset::catalogue as rows;

/// Listings read at once.
const PAGE: i64 = 200;
/// What is given to the connection at once, or one dataset where that is longer.
const PIECE_BYTES: usize = 64 << 10;

/// The catalogue, piece by piece; `origin` names the exchange, `base` is its address.
pub fn written(
    parts: Parts,
    origin: &str,
    base: String,
) -> impl Stream<Item = Result<Bytes, Fault>> + 'static {
    let writer = Writer {
        head: Some(card::catalogue_start(origin, &base)),
        parts,
        base,
        rest: Rest::After(String::new()),
        page: VecDeque::new(),
        separator: "",
    };
    stream::try_unfold(writer, Writer::next)
}

/// What has not been read yet.
#[derive(Debug, PartialEq, Eq)]
enum Rest {
    /// The listings after this one.
    After(String),
    /// None; the end has not been written.
    None,
    /// All is written.
    Written,
}

struct Writer {
    head: Option<String>,
    parts: Parts,
    base: String,
    rest: Rest,
    page: VecDeque<Listed>,
    separator: &'static str,
}

impl Writer {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Fault> {
        if let Some(head) = self.head.take() {
            return Ok(Some((head.into(), self)));
        }
        while self.page.is_empty() {
            match std::mem::replace(&mut self.rest, Rest::Written) {
                Rest::After(last) => {
                    let (page, rest) = page(&self.parts, last).await?;
                    (self.page, self.rest) = (page.into(), rest);
                }
                Rest::None => return Ok(Some((card::catalogue_end().into(), self))),
                Rest::Written => return Ok(None),
            }
        }
        let mut piece = String::new();
        while piece.len() < PIECE_BYTES
            && let Some(listed) = self.page.pop_front()
        {
            piece.push_str(std::mem::replace(&mut self.separator, ",\n"));
            piece.push_str(&card::dcat(&listed, &self.base).to_string());
        }
        Ok(Some((piece.into(), self)))
    }
}

/// The versions for sale of the listings after one.
async fn page(parts: &Parts, after: String) -> Result<(Vec<Listed>, Rest), Fault> {
    let read = parts.query(move |db| rows::listings(db, &after, PAGE));
    let listings = read.await?;
    let is_last = i64::try_from(listings.len()).is_ok_and(|read| read < PAGE);
    let rest = match listings.last() {
        Some(last) if !is_last => Rest::After(last.id.clone()),
        Some(_) | None => Rest::None,
    };
    let chosen = parts.desk.read(|book| for_sale(book, listings)).await?;
    let manifests: Vec<DocumentDigest> = chosen.iter().map(|of| of.manifest).collect();
    let (mut cards, mut files) = parts
        .query(move |db| Ok((rows::cards(db, &manifests)?, rows::files(db, &manifests)?)))
        .await?;
    let listed = chosen.into_iter().filter_map(|of| {
        let (card, files) = (cards.remove(&of.manifest)?, files.remove(&of.manifest));
        of.listed(card, files.unwrap_or_default())
    });
    Ok((listed.collect(), rest))
}

/// A version that was chosen of a listing.
struct Chosen {
    listing: rows::Listed,
    manifest: DocumentDigest,
    version: String,
    in_trail: InTrail,
}

/// Of each listing the newest version that is for sale.
fn for_sale(book: &Book, listings: Vec<rows::Listed>) -> Vec<Chosen> {
    let choose = |mut listing: rows::Listed| {
        let versions = std::mem::take(&mut listing.versions);
        versions.into_iter().find_map(|(manifest, version)| {
            let in_trail = InTrail::of(book, manifest)?;
            (in_trail.state == State::Listed).then(|| Chosen {
                listing: listing.clone(),
                manifest,
                version,
                in_trail,
            })
        })
    };
    listings.into_iter().filter_map(choose).collect()
}

impl Chosen {
    /// With its card and files; a card that is none is left out and told to whoever runs the exchange.
    fn listed(self, card: String, files: Vec<FileLine>) -> Option<Listed> {
        let card = match Card::parse(card.as_bytes()) {
            Ok(card) => card,
            Err(refusal) => {
                tracing::error!(manifest = %self.manifest, %refusal, "a published card cannot be read");
                return None;
            }
        };
        let file = |line: FileLine| FileRow {
            path: line.path,
            sha256: line.sha256,
            bytes: line.bytes,
            table: None,
        };
        let in_trail = self.in_trail;
        Some(Listed {
            listing: self.listing.id,
            handle: self.listing.handle,
            name: self.listing.name,
            vendor: in_trail.vendor,
            manifest: self.manifest,
            dataset: in_trail.dataset,
            version: self.version,
            published: in_trail.published,
            price_fen: in_trail.price_fen,
            licence: in_trail.licence,
            state: in_trail.state,
            card,
            files: files.into_iter().map(file).collect(),
        })
    }
}
