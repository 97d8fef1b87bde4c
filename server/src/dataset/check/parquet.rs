//! Apache Parquet. The reader seeks, and it was not written for enemies: it runs on a thread of its own, whose end by a panic is a
//! flaw of the file, behind limits on what the footer may claim.

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, FileReader, Length};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use serde_json::Value;
use std::io::{self, BufReader, Read, SeekFrom};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::jsonl::{Members, shown};
use super::report::{Flaw, Format};
use super::rows::Row;
use super::tally::Tally;
use super::{Checked, Limits, Seekable};

/// The largest footer that is read.
const FOOTER_MAX: u64 = 16 << 20;
/// Row groups a file may have.
const GROUPS_MAX: usize = 100_000;
/// Bytes that one column of one row group may unpack to: a page of it is in memory at once.
const CHUNK_MAX: i64 = 1 << 30;
/// Bytes asked for at once by a reader of a page.
const READ_BYTES: usize = 1 << 16;

type Asked = (u64, usize);
type Answer = io::Result<Bytes>;

/// The content as the thread sees it: it asks who called for each piece.
struct Remote {
    length: u64,
    line: Mutex<(Sender<Asked>, Receiver<Answer>)>,
}

impl Remote {
    fn ask(&self, at: u64, bytes: usize) -> io::Result<Bytes> {
        let gone = || io::Error::other("who reads the content is gone");
        let line = self.line.lock().map_err(|_| gone())?;
        line.0.send((at, bytes)).map_err(|_| gone())?;
        line.1.recv().map_err(|_| gone())?
    }
}

/// A part of it, read piece by piece.
struct Part {
    remote: std::sync::Arc<Remote>,
    at: u64,
}

impl Read for Part {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left =
            usize::try_from(self.remote.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let bytes = self
            .remote
            .ask(self.at, into.len().min(left).min(READ_BYTES))?;
        let room = into
            .get_mut(..bytes.len())
            .ok_or_else(|| io::Error::other("too much was given"))?;
        room.copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

/// What the library reads.
struct Content(std::sync::Arc<Remote>);

impl Length for Content {
    fn len(&self) -> u64 {
        self.0.length
    }
}

impl ChunkReader for Content {
    type T = BufReader<Part>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let remote = std::sync::Arc::clone(&self.0);
        Ok(BufReader::with_capacity(
            READ_BYTES,
            Part { remote, at: start },
        ))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.0.length) {
            return Err(ParquetError::EOF("it asks beyond its end".to_owned()));
        }
        Ok(self.0.ask(start, length)?)
    }
}

/// Runs work on a thread of its own and reads for it; nothing where it panicked.
fn apart<T: Send + 'static>(
    from: &mut dyn Seekable,
    work: impl FnOnce(Content) -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let length = from.seek(SeekFrom::End(0))?;
    let (asks, asked) = channel::<Asked>();
    let (answers, answered) = channel::<Answer>();
    let remote = Remote {
        length,
        line: Mutex::new((asks, answered)),
    };
    let content = Content(std::sync::Arc::new(remote));
    let worker = thread::Builder::new()
        .name("parquet".to_owned())
        .spawn(move || work(content))?;
    // Ends when the thread has dropped the content, by return or by panic.
    while let Ok((at, bytes)) = asked.recv() {
        let answer = piece(from, at, bytes);
        if answers.send(answer).is_err() {
            break;
        }
    }
    Ok(worker.join().ok())
}

fn piece(from: &mut dyn Seekable, at: u64, bytes: usize) -> io::Result<Bytes> {
    from.seek(SeekFrom::Start(at))?;
    let mut piece = Vec::new();
    from.take(bytes as u64).read_to_end(&mut piece)?;
    Ok(Bytes::from(piece))
}

fn broken(sentence: impl Into<String>) -> Flaw {
    Flaw::broken("parquet.broken", sentence)
}

/// Checks a whole file.
pub(super) fn check(from: &mut dyn Seekable, limits: Limits) -> io::Result<Checked> {
    let length = from.seek(SeekFrom::End(0))?;
    if let Some(flaw) = footer(from, length)? {
        return Ok(Checked::refused(Format::Parquet, flaw, length));
    }
    let checked = apart(from, move |content| {
        let mut tally = Tally::new(Format::Parquet, limits);
        if let Err(flaw) = read(&mut tally, content, limits) {
            tally.report.flaw(flaw);
        }
        tally.end()
    })?;
    let mut checked = checked.unwrap_or_else(|| {
        let flaw = broken("it broke the reader; write it again with another program");
        Checked::refused(Format::Parquet, flaw, length)
    });
    checked.report.bytes = length;
    checked.report.inflated = length;
    checked.rows.clear();
    Ok(checked)
}

/// The footer's length, before anything makes room for it.
fn footer(from: &mut dyn Seekable, length: u64) -> io::Result<Option<Flaw>> {
    let Some(at) = length.checked_sub(8).filter(|at| *at >= 4) else {
        return Ok(Some(broken("it is too short to be one")));
    };
    let tail = piece(from, at, 8)?;
    let Some((size, mark)) = tail.split_first_chunk::<4>() else {
        return Ok(Some(broken("it cannot be read to its end")));
    };
    let size = u64::from(u32::from_le_bytes(*size));
    Ok(match mark {
        b"PARE" => Some(broken("its footer is encrypted; publish it in the clear")),
        b"PAR1" if size > FOOTER_MAX => Some(broken(
            "its footer is larger than 16 MiB; write fewer row groups",
        )),
        b"PAR1" if size > at => Some(broken("its footer is longer than the file")),
        b"PAR1" => None,
        _ => Some(broken(
            "it has no footer: the end is missing; upload the whole file",
        )),
    })
}

fn read(tally: &mut Tally, content: Content, limits: Limits) -> Result<(), Flaw> {
    let length = content.len();
    let broken_at = |row: u64, fault: &dyn std::fmt::Display| {
        // The library's sentences speak of its format; a long one would quote the file.
        let why: String = fault
            .to_string()
            .chars()
            .filter(|c| !c.is_control())
            .take(120)
            .collect();
        broken(super::mask(&why)).at(row, None)
    };
    let reader = SerializedFileReader::new(content).map_err(|fault| broken_at(0, &fault))?;
    claims(reader.metadata(), limits)?;
    let mut members = Members::default();
    let mut inflated = 0_u64;
    for group in 0..reader.num_row_groups() {
        let group = reader
            .get_row_group(group)
            .map_err(|fault| broken_at(tally.rows(), &fault))?;
        let rows = RowIter::from_row_group(None, group.as_ref())
            .map_err(|fault| broken_at(tally.rows(), &fault))?;
        for row in rows {
            let row = row.map_err(|fault| broken_at(tally.rows() + 1, &fault))?;
            let text = row.to_json_value().to_string();
            inflated += text.len() as u64;
            if inflated > limits.inflated(length) {
                return Err(Flaw::broken(
                    "packing.bomb",
                    super::inflate::Stopped::Bomb.to_string(),
                ));
            }
            members.row(tally, text.as_bytes(), 0);
            tally.report.inflated = inflated;
        }
    }
    let claimed = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or_default();
    if claimed != tally.rows() {
        let sentence = format!(
            "the footer says {claimed} rows and there are {}",
            tally.rows()
        );
        return Err(broken(sentence));
    }
    Ok(())
}

/// What a footer may claim before memory is given to it.
fn claims(metadata: &ParquetMetaData, limits: Limits) -> Result<(), Flaw> {
    let schema = metadata.file_metadata().schema_descr();
    if schema.num_columns() > limits.columns_max {
        let sentence = format!(
            "there are more than {} columns; make them rows",
            limits.columns_max
        );
        return Err(Flaw::broken("columns.many", sentence));
    }
    if metadata.num_row_groups() > GROUPS_MAX {
        return Err(broken(format!(
            "there are more than {GROUPS_MAX} row groups; write larger ones"
        )));
    }
    let chunks = metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns());
    let is_honest = |size: i64| (0..=CHUNK_MAX).contains(&size);
    for chunk in chunks {
        if !is_honest(chunk.uncompressed_size()) || !is_honest(chunk.compressed_size()) {
            return Err(broken(
                "a column of a row group is larger than 1 GiB; write smaller row groups",
            ));
        }
    }
    Ok(())
}

/// The rows of these numbers, ascending.
pub(super) fn rows(from: &mut dyn Seekable, sorted: Vec<u64>) -> io::Result<Vec<Row>> {
    let length = from.seek(SeekFrom::End(0))?;
    if footer(from, length)?.is_some() {
        return Err(io::Error::other("the content is no Parquet file"));
    }
    let read = apart(from, move |content| {
        chosen(content, &sorted).map_err(io::Error::other)
    })?;
    read.unwrap_or_else(|| Err(io::Error::other("the content broke the reader")))
}

fn chosen(content: Content, sorted: &[u64]) -> ParquetResult<Vec<Row>> {
    let reader = SerializedFileReader::new(content)?;
    let (mut chosen, mut first, mut rest) = (Vec::new(), 0_u64, sorted);
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number)?;
        let end = first + u64::try_from(group.metadata().num_rows()).unwrap_or_default();
        let (these, others) = rest.split_at(rest.partition_point(|row| *row < end));
        rest = others;
        let mut next = first;
        first = end;
        if these.is_empty() {
            continue;
        }
        let mut rows = RowIter::from_row_group(None, group.as_ref())?;
        for wanted in these {
            let skipped = usize::try_from(wanted - next).unwrap_or(usize::MAX);
            let Some(row) = rows.nth(skipped) else {
                return Ok(chosen);
            };
            let value: Value = row?.to_json_value();
            chosen.push(shown(value.to_string().as_bytes()));
            next = wanted + 1;
        }
    }
    Ok(chosen)
}
