//! Lines of text: each is a row of one column.

use std::io::{self, BufRead};

use super::Limits;
use super::column::Cell;
use super::jsonl::line;
use super::report::Flaw;
use super::rows::Rows;
use super::tally::Tally;

const TEXT: &str = "text";

/// Reads lines whose first byte is at `offset` of the unpacked content.
pub(super) fn read(tally: &mut Tally, mut from: impl BufRead, mut offset: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    let column = tally.column(TEXT).unwrap_or_default();
    loop {
        let taken = line(&mut from, &mut bytes, tally.limits)?;
        if taken == 0 {
            return Ok(());
        }
        match std::str::from_utf8(&bytes) {
            Ok("") => tally.cell(column, Cell::Null),
            Ok(text) => tally.cell(column, Cell::Text(text)),
            Err(fault) => {
                let sentence = format!("not UTF-8 at byte {} of the line", fault.valid_up_to() + 1);
                tally.flaw_here(Flaw::broken("encoding.utf-8", sentence), Some(column));
            }
        }
        tally.row(&bytes, offset);
        offset += taken;
    }
}

/// The lines from a place where one begins.
pub(super) fn rows<'a>(mut from: impl BufRead + 'a, limits: Limits) -> Rows<'a> {
    let mut bytes = Vec::new();
    Box::new(std::iter::from_fn(move || {
        match line(&mut from, &mut bytes, limits) {
            Ok(0) => None,
            Ok(_) => Some(Ok(vec![(
                TEXT.to_owned(),
                String::from_utf8_lossy(&bytes).into_owned(),
            )])),
            Err(fault) => Some(Err(fault)),
        }
    }))
}
