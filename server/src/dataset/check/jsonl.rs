//! A JSON value a line. The members of objects are columns.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use super::Limits;
use super::column::Cell;
use super::inflate::Stopped;
use super::report::Flaw;
use super::rows::{Row, Rows};
use super::tally::Tally;
use super::tape::{Piece, Tape};

/// The name of the column of values that are no objects.
const VALUE: &str = "value";

/// The longest row whose room is kept for the next one.
const TAPE_MAX: usize = 1 << 20;

/// Turns values into cells; knows which member is which column.
#[derive(Debug, Default)]
pub(super) struct Members {
    places: BTreeMap<String, usize>,
    /// The places of the last rows' members, one after the other: most rows are alike.
    guesses: Vec<(String, usize)>,
    tape: Tape,
}

impl Members {
    /// A value is a row; its text begins at this byte.
    pub(super) fn row(&mut self, tally: &mut Tally, text: &[u8], began_at: u64) {
        let mut tape = std::mem::take(&mut self.tape);
        match std::str::from_utf8(text) {
            Ok(row) if tape.read(row).is_some() => {
                self.taped(tally, &tape, row);
                tally.row(tape.canonical(), began_at);
            }
            Ok(_) | Err(_) => self.tree(tally, text, began_at),
        }
        if text.len() <= TAPE_MAX {
            self.tape = tape;
        }
    }

    /// The members of a row that was read in one pass.
    fn taped(&mut self, tally: &mut Tally, tape: &Tape, row: &str) {
        let mut rest = tape.pieces();
        let mut number = 0;
        while let [Piece::Name(name), value, more @ ..] = rest {
            let within = match value {
                Piece::Nested(_, within) => *within,
                Piece::Name(_)
                | Piece::Null
                | Piece::Boolean(_)
                | Piece::Number(_)
                | Piece::String(_) => 0,
            };
            let (inner, after) = more.split_at(within.min(more.len()));
            if let Some(place) =
                self.guessed(tally, number, row.get(name.clone()).unwrap_or_default())
            {
                taped_cell(tally, (tape, row), place, (value, inner));
            }
            (rest, number) = (after, number + 1);
        }
    }

    /// The column of a row's member of this number.
    fn guessed(&mut self, tally: &mut Tally, number: usize, name: &str) -> Option<usize> {
        if let Some((guess, place)) = self.guesses.get(number)
            && guess == name
        {
            return Some(*place);
        }
        let place = self.place(tally, name)?;
        match self.guesses.get_mut(number) {
            Some(guess) => *guess = (name.to_owned(), place),
            None => self.guesses.push((name.to_owned(), place)),
        }
        Some(place)
    }

    /// A value as `serde_json` reads it, who says what is wrong.
    fn tree(&mut self, tally: &mut Tally, text: &[u8], began_at: u64) {
        let value = match read_value(text, tally.limits) {
            Ok(value) => value,
            Err(flaw) => {
                tally.flaw_here(flaw, None);
                // It keeps its number: rows are counted as they stand in the file.
                tally.row(text, began_at);
                return;
            }
        };
        match &value {
            Value::Object(members) => {
                for (name, value) in members {
                    self.cell(tally, name, value);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                self.cell(tally, VALUE, &value);
            }
        }
        tally.row(value.to_string().as_bytes(), began_at);
    }

    /// The column of this name; a new one where there is room.
    fn place(&mut self, tally: &mut Tally, name: &str) -> Option<usize> {
        if let Some(place) = self.places.get(name) {
            return Some(*place);
        }
        // Names beyond the limit are not kept either.
        let place = tally.column(name)?;
        self.places.insert(name.to_owned(), place);
        Some(place)
    }

    fn cell(&mut self, tally: &mut Tally, name: &str, value: &Value) {
        let Some(place) = self.place(tally, name) else {
            return;
        };
        match value {
            Value::Null => tally.cell(place, Cell::Null),
            Value::Bool(value) => tally.cell(place, Cell::Boolean(*value)),
            Value::Number(number) => tally.cell(place, Cell::Number(&number.to_string())),
            Value::String(text) => tally.cell(place, Cell::Text(text)),
            nested @ (Value::Array(_) | Value::Object(_)) => {
                tally.cell(place, Cell::Nested(&nested.to_string()));
                within(tally, place, nested);
            }
        }
    }
}

/// A cell of a row that was read in one pass, and what is within it.
fn taped_cell(
    tally: &mut Tally,
    (tape, row): (&Tape, &str),
    place: usize,
    (value, inner): (&Piece, &[Piece]),
) {
    match value {
        Piece::Name(_) | Piece::Null => tally.cell(place, Cell::Null),
        Piece::Boolean(value) => tally.cell(place, Cell::Boolean(*value)),
        Piece::Number(number) => tally.cell(place, Cell::Number(tape.text(row, number))),
        Piece::String(string) => tally.cell(place, Cell::Text(tape.text(row, string))),
        Piece::Nested(spelled, _) => tally.cell(place, Cell::Nested(tape.nested(spelled))),
    }
    for piece in inner {
        match piece {
            Piece::Null | Piece::Boolean(_) | Piece::Nested(..) => {}
            Piece::Name(name) => tally.look(place, row.get(name.clone()).unwrap_or_default()),
            Piece::Number(number) => tally.look(place, tape.text(row, number)),
            Piece::String(string) => tally.text(place, tape.text(row, string)),
        }
    }
}

/// Hands over the texts within a value. It is not deeper than [`Limits::depth_max`].
fn within(tally: &mut Tally, place: usize, value: &Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => tally.look(place, &number.to_string()),
        Value::String(text) => tally.text(place, text),
        Value::Array(values) => values.iter().for_each(|value| within(tally, place, value)),
        Value::Object(members) => {
            for (name, value) in members {
                tally.look(place, name);
                within(tally, place, value);
            }
        }
    }
}

fn depth(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn read_value(text: &[u8], limits: Limits) -> Result<Value, Flaw> {
    if let Err(fault) = std::str::from_utf8(text) {
        let sentence = format!("not UTF-8 at byte {} of the row", fault.valid_up_to() + 1);
        return Err(Flaw::broken("encoding.utf-8", sentence));
    }
    let value: Value = serde_json::from_slice(text).map_err(|fault| {
        // The fault names a place and what was expected there, and nothing of the text.
        let sentence = format!("not JSON at byte {} of the row", fault.column());
        Flaw::broken("row.json", sentence)
    })?;
    if depth(&value) > limits.depth_max {
        let sentence = format!("nested deeper than {}", limits.depth_max);
        return Err(Flaw::broken("row.json", sentence));
    }
    Ok(value)
}

/// Reads the next line without its end into `line`; says how many bytes it took, 0 at the end.
pub(super) fn line(from: &mut impl BufRead, line: &mut Vec<u8>, limits: Limits) -> io::Result<u64> {
    line.clear();
    let taken = from
        .by_ref()
        .take(limits.line_max + 1)
        .read_until(b'\n', line)? as u64;
    if taken > limits.line_max {
        return Err(Stopped::Long.into());
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    Ok(taken)
}

/// Reads lines whose first byte is at `offset` of the unpacked content.
pub(super) fn read(tally: &mut Tally, mut from: impl BufRead, mut offset: u64) -> io::Result<()> {
    let mut members = Members::default();
    let mut text = Vec::new();
    loop {
        let taken = line(&mut from, &mut text, tally.limits)?;
        if taken == 0 {
            return Ok(());
        }
        if !text.trim_ascii().is_empty() {
            members.row(tally, &text, offset);
        }
        offset += taken;
    }
}

/// A value as a row to be shown.
pub(super) fn shown(text: &[u8]) -> Row {
    let spelled = |value: Value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            other.to_string()
        }
    };
    match serde_json::from_slice(text) {
        Ok(Value::Object(members)) => members
            .into_iter()
            .map(|(name, value)| (name, spelled(value)))
            .collect(),
        Ok(value) => vec![(VALUE.to_owned(), spelled(value))],
        Err(_) => vec![(VALUE.to_owned(), String::from_utf8_lossy(text).into_owned())],
    }
}

/// The rows from a place where one begins.
pub(super) fn rows<'a>(mut from: impl BufRead + 'a, limits: Limits) -> Rows<'a> {
    let mut text = Vec::new();
    Box::new(std::iter::from_fn(move || {
        loop {
            match line(&mut from, &mut text, limits) {
                Ok(0) => return None,
                Ok(_) if text.trim_ascii().is_empty() => {}
                Ok(_) => return Some(Ok(shown(&text))),
                Err(fault) => return Some(Err(fault)),
            }
        }
    }))
}
