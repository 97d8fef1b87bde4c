//! The evidence pack of a bought version: one zip of all that shows what was sold, as the trail and our documents have it.
//!
//! It is written as it is sent, a paper at a time, with one date for all papers: of one state of the trail the same bytes. Nothing in
//! it asks to be believed: digests are in entries, entries are in proofs, and README.txt says how each is checked.

use bytes::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use tokio::sync::mpsc;
use verifier::dataset::Manifest;
use verifier::id::{DocumentDigest, OrderId, PartyId, hex};
use verifier::receipt::{Receipt, Typ};
use verifier::refusal::Refusal;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::card::Card;
use super::{Fault, sample};
use crate::store::dataset::{delivery, file, listing, version};
use crate::store::{Db, StoreFault};

/// What is sent at once.
const BLOCK_BYTES: usize = 64 << 10;
/// Blocks and papers that wait.
const AHEAD: usize = 2;
/// What every pack begins with.
const README: &str = include_str!("pack/README.txt");

/// A file of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// Its path in the zip.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What is handed to the writer: a pack without an end is broken off.
#[derive(Debug)]
pub enum Piece {
    /// The next paper.
    Paper(Paper),
    /// There is no other.
    End,
}

/// Which documents belong to a pack.
#[derive(Debug, Clone)]
pub struct Of {
    /// The order.
    pub order: OrderId,
    /// Who bought.
    pub buyer: PartyId,
    /// The version.
    pub manifest: DocumentDigest,
    /// Its card, where it was published with one.
    pub card: Option<DocumentDigest>,
    /// The text of the licence it was published with.
    pub licence: DocumentDigest,
    /// What assessors and recalls named.
    pub reports: Vec<DocumentDigest>,
}

/// Papers, and digests whose documents are not here.
#[derive(Default)]
struct Papers {
    found: Vec<Paper>,
    missing: Vec<(String, DocumentDigest)>,
}

impl Papers {
    fn add(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        // Two sources of one licence have one text.
        if self.found.iter().all(|paper| paper.name != name) {
            let (name, bytes) = (name.to_owned(), bytes.into());
            self.found.push(Paper { name, bytes });
        }
    }

    /// Adds the document of a digest and returns its bytes; one that was never kept is only named.
    fn document(
        &mut self,
        db: &mut Db,
        name: &str,
        digest: DocumentDigest,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        let Some(document) = listing::document(db, digest)? else {
            let is_new = self.missing.iter().all(|(known, _)| known != name);
            if is_new {
                self.missing.push((name.to_owned(), digest));
            }
            return Ok(None);
        };
        self.add(name, document.body.clone());
        Ok(Some(document.body))
    }
}

/// The papers that are documents, README first: all but contract, receipts and proofs.
/// # Errors
/// [`Fault`]
pub fn papers(db: &mut Db, of: &Of) -> Result<Vec<Paper>, Fault> {
    let mut papers = Papers::default();
    let files = file::all(db, &of.manifest.to_string())?;
    if files.is_empty() {
        papers.document(db, "manifest.txt", of.manifest)?;
    } else {
        papers.add("manifest.txt", Manifest::new(files)?.text());
    }
    if let Some(delivered) = delivery::delivery(db, of.order, of.manifest)? {
        papers.add("ranges.txt", delivered.ranges);
    }
    let mut texts = vec![of.licence];
    if let Some(digest) = of.card
        && let Some(card) = papers.document(db, "card.json", digest)?
    {
        let card = Card::parse(&card)?;
        for (number, source) in card.sources.iter().enumerate() {
            papers.add(&format!("sources/{number:03}.json"), pretty(source)?);
        }
        let consent = card.personal.and_then(|personal| personal.consent);
        texts.extend(card.licence.text.into_iter().chain(consent));
        texts.extend(card.sources.iter().filter_map(|source| source.text));
    }
    for digest in texts {
        papers.document(db, &named("licences", digest, "txt"), digest)?;
    }
    let ours = version::get(db, of.manifest)?.map(|version| version.report);
    for digest in of.reports.iter().copied().chain(ours) {
        papers.document(db, &named("reports", digest, "json"), digest)?;
    }
    for (id, sheet) in sample::sheets(db, of.buyer, of.manifest)? {
        let sheet = sheet.to_json().map_err(Refusal::from)?;
        papers.add(&format!("sheets/{id}.json"), sheet);
    }
    let readme = Paper {
        name: "README.txt".to_owned(),
        bytes: readme(of, &papers.missing).into_bytes(),
    };
    papers.found.insert(0, readme);
    Ok(papers.found)
}

fn named(folder: &str, digest: DocumentDigest, end: &str) -> String {
    format!("{folder}/{}.{end}", hex(digest.hash().bytes()))
}

fn readme(of: &Of, missing: &[(String, DocumentDigest)]) -> String {
    let mut text = format!("Order {}, version {}\n\n{README}", of.order, of.manifest);
    if !missing.is_empty() {
        text.push_str(
            "\nNamed in the trail or in the card, and not kept by the exchange (ask its author):\n",
        );
    }
    for (name, digest) in missing {
        // A text takes every line.
        let _ = writeln!(text, "  {name}  {digest}");
    }
    text
}

/// JSON for people.
/// # Errors
/// [`StoreFault::Inconsistent`]: nothing that we keep.
pub fn pretty(value: &impl Serialize) -> Result<Vec<u8>, StoreFault> {
    let written = serde_json::to_vec_pretty(value);
    let mut written = written
        .map_err(|fault| StoreFault::Inconsistent(format!("a paper cannot be written: {fault}")))?;
    written.push(b'\n');
    Ok(written)
}

/// What a receipt is called in a pack.
#[must_use]
pub fn receipt(seq: u64, receipt: &Receipt) -> Paper {
    let word = match receipt.typ() {
        Typ::Delivery => "delivery",
        Typ::Acceptance => "acceptance",
        Typ::Usage => "use",
        Typ::Order => "order",
        Typ::Capacity | Typ::Registration | Typ::Succession | Typ::Reply => "statement",
    };
    Paper {
        name: format!("receipts/{seq}-{word}.jws"),
        bytes: receipt.compact().into(),
    }
}

/// What the papers are handed through, and the zip as it comes.
pub fn zipped() -> (
    mpsc::Sender<Piece>,
    impl Stream<Item = Result<Bytes, Fault>> + 'static,
) {
    let (hand, mut pieces) = mpsc::channel(AHEAD);
    let (send, blocks) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let to = Blocks {
            held: Vec::with_capacity(BLOCK_BYTES),
            send: send.clone(),
        };
        if let Err(fault) = write(to, || pieces.blocking_recv()) {
            let fault = Fault::File(PathBuf::from("a pack"), fault);
            // Whoever does not listen any more needs no reason.
            let _unheard = send.blocking_send(Err(fault));
        }
    });
    let blocks = stream::unfold(blocks, |mut blocks| async move {
        blocks.recv().await.map(|block| (block, blocks))
    });
    (hand, blocks)
}

/// Writes papers into a zip until the end comes.
fn write(to: impl Write, mut next: impl FnMut() -> Option<Piece>) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .compression_method(CompressionMethod::Deflated);
    let mut zip = ZipWriter::new_stream(to);
    loop {
        match next() {
            Some(Piece::Paper(paper)) => {
                zip.start_file(paper.name, options)?;
                zip.write_all(&paper.bytes)?;
            }
            Some(Piece::End) => break,
            None => return Err(io::Error::other("it broke off")),
        }
    }
    zip.finish()?.into_inner().flush()
}

/// Gathers what is written into blocks.
struct Blocks {
    held: Vec<u8>,
    send: mpsc::Sender<Result<Bytes, Fault>>,
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let block = Bytes::from(std::mem::take(&mut self.held));
        if block.is_empty() {
            return Ok(());
        }
        let sent = self.send.blocking_send(Ok(block));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read as _};

    fn zip(papers: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let pieces = papers.iter().map(|(name, bytes)| {
            let (name, bytes) = ((*name).to_owned(), bytes.to_vec());
            Piece::Paper(Paper { name, bytes })
        });
        let mut pieces = pieces.chain([Piece::End]);
        write(&mut bytes, || pieces.next()).unwrap();
        bytes
    }

    #[test]
    fn the_same_papers_are_the_same_bytes_and_any_program_reads_them() {
        let papers: [(&str, &[u8]); 3] = [
            ("README.txt", b"read me"),
            ("reports/1.json", &[b'7'; 99_999]),
            ("empty", b""),
        ];
        let bytes = zip(&papers);
        assert_eq!(bytes, zip(&papers));
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(archive.len(), 3);
        for (name, paper) in papers {
            let mut read = Vec::new();
            archive
                .by_name(name)
                .unwrap()
                .read_to_end(&mut read)
                .unwrap();
            assert_eq!(read, paper);
        }
    }

    #[test]
    fn a_pack_without_an_end_is_broken_off() {
        assert!(write(&mut Vec::new(), || None).is_err());
    }
}
