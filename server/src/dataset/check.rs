//! What is in a content: its format, rows, columns, language, identifiers and flaws, found while its bytes land or from the file.
//!
//! One content has one report, whoever uploads it. Everything is read from front to back in bounded memory, whatever the bytes;
//! Parquet and zip alone need to seek: where the stream was not enough, [`Checker::file`] comes after [`Checker::stream`]. [`rows`] and
//! [`mask`] are for whoever shows rows, [`report_of`] is what was kept of a stored content.

mod archive;
mod column;
mod csv;
mod inflate;
mod json;
mod jsonl;
mod language;
mod mask;
mod parquet;
mod personal;
mod report;
mod rows;
mod secret;
mod sniff;
mod tally;
mod tape;
mod text;

pub use mask::{mask, mask_found};
pub use personal::Kind;
pub use report::{Column, Entry, FORM, Flaw, Format, Found, Lengths, Level, Packing, Report, Type};
pub use rows::{Row, rows};

use bytes::Bytes;
use std::io::{self, BufReader, Cursor, Read, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use verifier::dataset::{Bands, Sketch};

use super::Seekable;
use crate::store::dataset::check;
use crate::store::{Db, StoreFault};
use inflate::{Bounded, Count, Counted, flaw_of};
use sniff::HEAD_BYTES;
use tally::Tally;

/// Pieces that wait for the checks; the sender waits then.
const QUEUE: usize = 16;
/// The mark before a text in UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What the checks of today's form found in a content, if they saw it.
/// # Errors
/// [`StoreFault`]
pub fn report_of(db: &mut Db, sha256: &[u8; 32]) -> Result<Option<Report>, StoreFault> {
    let Some((form, report)) = check::report(db, sha256)? else {
        return Ok(None);
    };
    if form != i64::from(FORM) {
        return Ok(None);
    }
    let unread = |fault| StoreFault::Inconsistent(format!("own_checks.report: {fault}"));
    Report::parse(report.as_bytes()).map(Some).map_err(unread)
}

/// Whether the checks of today's form saw a content.
/// # Errors
/// [`StoreFault`]
pub fn is_checked(db: &mut Db, sha256: &[u8; 32]) -> Result<bool, StoreFault> {
    let kept = check::report(db, sha256)?;
    Ok(kept.is_some_and(|(form, _)| form == i64::from(FORM)))
}

/// What a content may ask of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many times its size it may unpack to.
    pub inflated_ratio: u64,
    /// What it may unpack to in any case, in bytes.
    pub inflated_free: u64,
    /// What it may never unpack to more than, in bytes.
    pub inflated_max: u64,
    /// The longest row, in bytes.
    pub line_max: u64,
    /// Columns.
    pub columns_max: usize,
    /// How deep JSON is nested.
    pub depth_max: usize,
    /// Files in an archive.
    pub entries_max: usize,
}

impl Limits {
    /// Those of the exchange.
    pub const STANDARD: Self = Self {
        inflated_ratio: 100,
        inflated_free: 64 << 20,
        inflated_max: 1 << 40,
        line_max: 16 << 20,
        columns_max: 10_000,
        depth_max: 64,
        entries_max: 100_000,
    };

    /// What so many bytes may unpack to.
    fn inflated(self, packed: u64) -> u64 {
        let by_ratio = packed.saturating_mul(self.inflated_ratio);
        by_ratio.max(self.inflated_free).min(self.inflated_max)
    }
}

/// What was found, as `own_checks` keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// For people and for the card.
    pub report: Report,
    /// Which rows there are, for near duplicates.
    pub sketch: Sketch,
    /// What the text is like, for near duplicates.
    pub bands: Bands,
    /// Where rows begin, for [`rows`].
    pub rows: Vec<u8>,
}

impl Checked {
    /// Whether the stream was enough: all of so many bytes were seen. If not, the file is checked ([`Checker::file`]).
    #[must_use]
    pub fn is_of(&self, bytes: u64) -> bool {
        self.report.bytes == bytes
    }

    fn without_rows(mut report: Report, bytes: u64) -> Self {
        report.bytes = bytes;
        report.inflated = report.inflated.max(bytes);
        let (sketch, bands) = tally::no_rows();
        Self {
            report,
            sketch,
            bands,
            rows: Vec::new(),
        }
    }

    fn refused(format: Format, flaw: Flaw, bytes: u64) -> Self {
        let mut report = Report::new(format);
        report.flaw(flaw);
        Self::without_rows(report, bytes)
    }
}

/// Checks contents.
#[derive(Debug, Clone, Copy)]
pub struct Checker;

impl Checker {
    /// Checks what is fed, on a thread of its own. A format that needs to seek takes nothing; [`Checked::is_of`] says so.
    pub fn stream(name: &str, limits: Limits) -> Stream {
        let (sender, receiver) = sync_channel(QUEUE);
        let name = name.to_owned();
        let thread = std::thread::spawn(move || {
            let piped = Piped {
                from: receiver,
                piece: Bytes::new(),
            };
            let checked = caught(|| streamed(&name, piped, limits));
            checked.unwrap_or_else(|Whole(format)| Checked::without_rows(Report::new(format), 0))
        });
        Stream {
            sender: Some(sender),
            fed: 0,
            thread,
        }
    }

    /// Checks a file within the limits of the exchange.
    pub fn file(name: &str, from: &mut dyn Seekable) -> Checked {
        Self::file_within(name, from, Limits::STANDARD)
    }

    /// Checks a file.
    pub fn file_within(name: &str, from: &mut dyn Seekable, limits: Limits) -> Checked {
        let whole = caught(|| sought(name, from, limits));
        whole.unwrap_or_else(|fault| Checked::refused(Format::Other, flaw_of(&fault, None), 0))
    }
}

fn sought(name: &str, from: &mut dyn Seekable, limits: Limits) -> io::Result<Checked> {
    from.seek(SeekFrom::Start(0))?;
    match streamed(name, &mut *from, limits) {
        Ok(checked) => Ok(checked),
        Err(Whole(Format::Parquet)) => parquet::check(from, limits),
        Err(Whole(_)) => archive::zip(from, limits),
    }
}

/// What a reader that was not written for enemies makes of one is a flaw of the file, never the end of who asked.
fn caught<E>(work: impl FnOnce() -> Result<Checked, E>) -> Result<Checked, E> {
    // Whatever the work has touched is dropped with it.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let sentence = "the checks broke off in the middle of it: no reader can be trusted with it; write it again";
        let flaw = Flaw::broken("check.broken-off", sentence);
        Ok(Checked::refused(Format::Other, flaw, 0))
    })
}

/// Checks under way of bytes that are still coming. Dropped, they end and say nothing.
#[derive(Debug)]
pub struct Stream {
    sender: Option<SyncSender<Bytes>>,
    fed: u64,
    thread: JoinHandle<Checked>,
}

impl Stream {
    /// Hands over the next piece; waits where the checks are slower.
    pub fn feed(&mut self, piece: Bytes) {
        self.fed += piece.len() as u64;
        // Who takes no more has no use for what comes then.
        self.sender = self
            .sender
            .take()
            .filter(|sender| sender.send(piece).is_ok());
    }

    /// How many bytes were handed over.
    #[must_use]
    pub const fn fed(&self) -> u64 {
        self.fed
    }

    /// What was found, now that all came; it waits for the checks. Nothing where their thread is gone.
    #[must_use]
    pub fn end(self) -> Option<Checked> {
        drop(self.sender);
        self.thread.join().ok()
    }
}

/// Pieces of a channel as a reader.
struct Piped {
    from: Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Piped {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.from.recv() {
                Ok(piece) => self.piece = piece,
                Err(_) => return Ok(0),
            }
        }
        let taken = self.piece.split_to(into.len().min(self.piece.len()));
        if let Some(room) = into.get_mut(..taken.len()) {
            room.copy_from_slice(&taken);
        }
        Ok(taken.len())
    }
}

/// A format that needs the whole file.
struct Whole(Format);

/// Checks what is read from front to back.
fn streamed(name: &str, mut from: impl Read, limits: Limits) -> Result<Checked, Whole> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let read = from.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head);
    if let Err(fault) = read {
        return Ok(Checked::refused(Format::Other, flaw_of(&fault, None), 0));
    }
    let kind = sniff::sniff(name, &head);
    if let sniff::Kind::Of(format @ (Format::Parquet | Format::Zip), _) = kind {
        return Err(Whole(format));
    }
    let (packed, inflated) = (Count::default(), Count::default());
    let mut counted = Counted {
        from: Cursor::new(head).chain(from),
        count: Rc::clone(&packed),
    };
    let mut checked = match kind {
        sniff::Kind::Packed(packing) => unpacked(name, packing, &mut counted, &inflated, limits),
        kind @ (sniff::Kind::Of(..) | sniff::Kind::Refused(_)) => {
            unpacked_as(kind, None, &mut counted, limits)
        }
    };
    // The rest is read even where a flaw ended the checks: a stream and its file have one report.
    let rest = io::copy(&mut counted, &mut io::sink());
    if let Err(fault) = rest {
        checked.report.flaw(flaw_of(&fault, None));
    }
    checked.report.bytes = packed.get();
    checked.report.inflated = match checked.report.packing {
        Some(_) => inflated.get(),
        None => packed.get(),
    };
    Ok(checked)
}

/// Checks what is packed in a content; what is packed twice is not.
fn unpacked(
    name: &str,
    packing: Packing,
    counted: &mut Counted<impl Read>,
    inflated: &Count,
    limits: Limits,
) -> Checked {
    let packed = Rc::clone(&counted.count);
    let refused = |flaw| {
        let mut checked = Checked::refused(Format::Other, flaw, 0);
        checked.report.packing = Some(packing);
        checked
    };
    let decoder = match inflate::decoder(packing, counted) {
        Ok(decoder) => decoder,
        Err(fault) => return refused(flaw_of(&fault, Some(packing))),
    };
    let mut from = Bounded {
        from: decoder,
        packed,
        inflated: Rc::clone(inflated),
        limits,
    };
    let mut head = Vec::with_capacity(HEAD_BYTES);
    if let Err(fault) = from.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head) {
        return refused(flaw_of(&fault, Some(packing)));
    }
    let name = [".gz", ".zst", ".zstd"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    let name = name
        .strip_suffix(".tgz")
        .map_or(name.to_owned(), |name| format!("{name}.tar"));
    match sniff::sniff(&name, &head) {
        sniff::Kind::Packed(_) | sniff::Kind::Of(Format::Parquet | Format::Zip, _) => {
            refused(Flaw::broken(
                "packing.twice",
                "what is packed in it is packed itself; publish that as it is",
            ))
        }
        kind @ (sniff::Kind::Of(..) | sniff::Kind::Refused(_)) => unpacked_as(
            kind,
            Some(packing),
            &mut Cursor::new(head).chain(from),
            limits,
        ),
    }
}

/// Checks bytes as what they are.
fn unpacked_as(
    kind: sniff::Kind,
    packing: Option<Packing>,
    from: &mut dyn Read,
    limits: Limits,
) -> Checked {
    let (format, delimiter) = match kind {
        sniff::Kind::Of(format, delimiter) => (format, delimiter),
        sniff::Kind::Refused(flaw) => {
            let mut checked = Checked::refused(Format::Other, flaw, 0);
            checked.report.packing = packing;
            return checked;
        }
        sniff::Kind::Packed(_) => return Checked::without_rows(Report::new(Format::Other), 0),
    };
    let mut tally = Tally::new(format, limits);
    tally.report.packing = packing;
    let mut from = BufReader::with_capacity(HEAD_BYTES, from);
    let read = table(&mut tally, format, delimiter, &mut from);
    // What the format left behind is unpacked too: where a bomb hides behind the rows it is found.
    let read = read.and_then(|()| io::copy(&mut from, &mut io::sink()).map(|_| ()));
    if let Err(fault) = read {
        let flaw = flaw_of(&fault, packing);
        if matches!(format, Format::Tar | Format::Other) {
            tally.report.flaw(flaw);
        } else {
            tally.flaw_here(flaw, None);
        }
    }
    match format {
        Format::Tar | Format::Other => Checked::without_rows(tally.report, 0),
        _ if tally.rows() == 0 && tally.report.flaws.is_empty() => {
            tally
                .report
                .flaw(Flaw::note("file.empty", "there are no rows in it"));
            tally.end()
        }
        Format::Csv
        | Format::Tsv
        | Format::Jsonl
        | Format::Json
        | Format::Text
        | Format::Parquet
        | Format::Zip => tally.end(),
    }
}

fn table(
    tally: &mut Tally,
    format: Format,
    delimiter: char,
    from: &mut BufReader<&mut dyn Read>,
) -> io::Result<()> {
    let has_text = matches!(
        format,
        Format::Csv | Format::Tsv | Format::Jsonl | Format::Json | Format::Text
    );
    let offset = if has_text { bom(tally, from)? } else { 0 };
    match format {
        Format::Csv | Format::Tsv => csv::read(tally, from, delimiter, offset),
        Format::Jsonl => jsonl::read(tally, from, offset),
        Format::Json => json::read(tally, from, offset),
        Format::Text => text::read(tally, from, offset),
        Format::Tar => archive::tar(&mut tally.report, from, tally.limits),
        Format::Other | Format::Parquet | Format::Zip => Ok(()),
    }
}

/// Passes over a byte order mark; returns where the text begins.
fn bom(tally: &mut Tally, from: &mut BufReader<&mut dyn Read>) -> io::Result<u64> {
    use std::io::BufRead as _;
    if !from.fill_buf()?.starts_with(BOM) {
        return Ok(0);
    }
    from.consume(BOM.len());
    let sentence = "it begins with a byte order mark; programs that do not expect one take it for a part of the first name";
    tally.report.flaw(Flaw::note("encoding.bom", sentence));
    Ok(BOM.len() as u64)
}

#[cfg(test)]
mod tests;
