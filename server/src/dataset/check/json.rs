//! One JSON array, a row an element; or one value, a row by itself. Elements are cut out by their brackets and quotation marks, so
//! that no more than one is in memory.

use std::io::{self, BufRead};

use super::Limits;
use super::inflate::Stopped;
use super::jsonl::{Members, shown};
use super::report::Flaw;
use super::rows::Rows;
use super::tally::Tally;

/// Cuts elements out of an array.
struct Elements<R> {
    from: io::Bytes<R>,
    limits: Limits,
    /// Of the next byte.
    at: u64,
    /// The byte that ended the last element.
    ended_by: Option<u8>,
}

impl<R: BufRead> Elements<R> {
    fn new(from: R, limits: Limits, at: u64) -> Self {
        Self {
            from: from.bytes(),
            limits,
            at,
            ended_by: None,
        }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.from.next().transpose()?;
        self.at += u64::from(byte.is_some());
        Ok(byte)
    }

    /// The next byte that is no white space.
    fn dark(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.byte()? {
                Some(b' ' | b'\t' | b'\r' | b'\n') => {}
                other => return Ok(other),
            }
        }
    }

    /// Reads the element that begins with `first` into `text`, to the comma or bracket behind it.
    fn element(&mut self, first: u8, text: &mut Vec<u8>) -> io::Result<()> {
        text.clear();
        let (mut deep, mut quoted, mut escaped) = (0_u64, false, false);
        let mut next = Some(first);
        while let Some(byte) = next {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'[' | b'{' => deep += 1,
                b',' | b']' if deep == 0 => break,
                b']' | b'}' => deep = deep.saturating_sub(1),
                _ => {}
            }
            text.push(byte);
            if text.len() as u64 > self.limits.line_max {
                return Err(Stopped::Long.into());
            }
            next = self.byte()?;
        }
        self.ended_by = next;
        Ok(())
    }
}

/// Reads a value whose first byte is at `offset` of the unpacked content.
pub(super) fn read(tally: &mut Tally, from: impl BufRead, offset: u64) -> io::Result<()> {
    let mut elements = Elements::new(from, tally.limits, offset);
    let mut members = Members::default();
    let mut text = Vec::new();
    let first = elements.dark()?;
    if first != Some(b'[') {
        let Some(first) = first else { return Ok(()) };
        let began_at = elements.at - 1;
        elements.element(first, &mut text)?;
        members.row(tally, &text, began_at);
        if elements.ended_by.is_some() {
            tally.report.flaw(Flaw::broken(
                "json.form",
                "more follows behind the value; write a list, or name it .jsonl",
            ));
        }
        return Ok(());
    }
    let mut next = elements.dark()?;
    if next == Some(b']') {
        return Ok(());
    }
    while let Some(first) = next {
        let began_at = elements.at - 1;
        elements.element(first, &mut text)?;
        members.row(tally, &text, began_at);
        next = match elements.ended_by {
            Some(b',') => elements.dark()?,
            _ => None,
        };
    }
    if elements.ended_by != Some(b']') {
        tally.report.flaw(Flaw::broken(
            "json.form",
            "the list has no end; upload the whole file",
        ));
    } else if elements.dark()?.is_some() {
        tally
            .report
            .flaw(Flaw::broken("json.form", "more follows behind the list"));
    }
    Ok(())
}

/// The rows from a place where one begins.
pub(super) fn rows<'a>(from: impl BufRead + 'a, limits: Limits) -> Rows<'a> {
    let mut elements = Elements::new(from, limits, 0);
    let mut text = Vec::new();
    Box::new(std::iter::from_fn(move || {
        let first = match elements.dark() {
            Ok(first) => first?,
            Err(fault) => return Some(Err(fault)),
        };
        match elements.element(first, &mut text) {
            Ok(()) => Some(Ok(shown(&text))),
            Err(fault) => Some(Err(fault)),
        }
    }))
}
