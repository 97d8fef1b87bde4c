//! What is in a column: kinds of cells, different values, least, greatest and mean, lengths of texts. The room it takes does not
//! grow with the rows.

use super::mask::{mask, mask_found};
use super::report::{Column, Lengths, Type};

/// Registers that estimate how many different values there are: a standard error of 3 %, 1 KiB a column (HyperLogLog, Flajolet
/// 2007).
const REGISTERS: usize = 1 << 10;
/// Buckets of lengths: four to a power of two, to beyond the longest line.
const BUCKETS: usize = 128;
/// The longest name shown, in characters.
const NAME_MAX: usize = 128;
/// The longest text that is tried as a number.
const NUMBER_MAX: usize = 32;

/// A value as the formats hand it over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// A number as it is written.
    Number(&'a str),
    /// A text.
    Text(&'a str),
    /// An object or a list, as canonical JSON.
    Nested(&'a str),
}

impl<'a> Cell<'a> {
    /// A cell of a table of text: its type is what it reads as.
    pub(super) fn of_text(text: &'a str) -> Self {
        match text.trim() {
            "" => Self::Null,
            "true" | "True" | "TRUE" => Self::Boolean(true),
            "false" | "False" | "FALSE" => Self::Boolean(false),
            trimmed if number(trimmed).is_some() => Self::Number(trimmed),
            _ => Self::Text(text),
        }
    }

    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Null => "",
            Self::Boolean(true) => "true",
            Self::Boolean(false) => "false",
            Self::Number(text) | Self::Text(text) | Self::Nested(text) => text,
        }
    }
}

/// A column while its rows go by.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    name: String,
    seen: u64,
    integers: u64,
    numbers: u64,
    booleans: u64,
    dates: u64,
    texts: u64,
    nested: u64,
    registers: Vec<u8>,
    least: f64,
    greatest: f64,
    sum: f64,
    first_day: Option<[u8; 10]>,
    last_day: Option<[u8; 10]>,
    lengths: Vec<u64>,
    longest: u64,
}

impl Counted {
    pub(super) fn new(name: &str) -> Self {
        let short: String = name.chars().take(NAME_MAX).collect();
        Self {
            name: mask_found(&short),
            seen: 0,
            integers: 0,
            numbers: 0,
            booleans: 0,
            dates: 0,
            texts: 0,
            nested: 0,
            registers: vec![0; REGISTERS],
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            sum: 0.0,
            first_day: None,
            last_day: None,
            lengths: vec![0; BUCKETS],
            longest: 0,
        }
    }

    /// Its name as it is shown.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn add(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Null => return,
            Cell::Boolean(_) => self.booleans += 1,
            Cell::Number(text) => self.number(text),
            Cell::Text(text) => self.text(text),
            Cell::Nested(_) => self.nested += 1,
        }
        self.seen += 1;
        self.register(cell.text().as_bytes());
    }

    fn number(&mut self, text: &str) {
        let value = number(text).unwrap_or(0.0);
        if text
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'-' || b == b'+')
        {
            self.integers += 1;
        } else {
            self.numbers += 1;
        }
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        self.sum += value;
    }

    fn text(&mut self, text: &str) {
        match day(text) {
            Some(day) => {
                self.dates += 1;
                self.first_day = Some(self.first_day.map_or(day, |first| first.min(day)));
                self.last_day = self.last_day.max(Some(day));
            }
            None => self.texts += 1,
        }
        let long = text.len() as u64;
        self.longest = self.longest.max(long);
        if let Some(count) = self.lengths.get_mut(bucket(long)) {
            *count += 1;
        }
    }

    fn register(&mut self, value: &[u8]) {
        let hash = hash(value);
        let place = usize::try_from(hash % REGISTERS as u64).unwrap_or_default();
        // The 54 bits above choose nothing yet: how many zeros they begin with is the estimate.
        let zeros = u8::try_from((hash >> 10 | 1 << 54).trailing_zeros()).unwrap_or(u8::MAX) + 1;
        if let Some(register) = self.registers.get_mut(place) {
            *register = zeros.max(*register);
        }
    }

    /// What it comes to after so many rows.
    pub(super) fn end(self, rows: u64) -> Column {
        let kind = self.kind();
        let bounds = match kind {
            Type::Integer | Type::Number => {
                Some((decimal(self.least, 0), decimal(self.greatest, 0)))
            }
            Type::Date => self
                .first_day
                .zip(self.last_day)
                .map(|(first, last)| (spelled(first), spelled(last))),
            Type::Empty | Type::Boolean | Type::Text | Type::Nested | Type::Mixed => None,
        };
        let bounds = bounds.map(|(min, max)| (mask(&min), mask(&max)));
        let numbers = self.integers + self.numbers;
        let has_mean = matches!(kind, Type::Integer | Type::Number) && numbers > 0;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a mean is shown to four decimals"
        )]
        let mean = has_mean.then(|| mask(&decimal(self.sum / numbers as f64, 4)));
        Column {
            kind,
            nulls: rows.saturating_sub(self.seen),
            distinct: self.distinct().min(self.seen),
            min: bounds.as_ref().map(|(min, _)| min.clone()),
            max: bounds.map(|(_, max)| max),
            mean,
            lengths: self.lengths(),
            name: self.name,
        }
    }

    fn kind(&self) -> Type {
        let kinds = [
            (
                self.integers + self.numbers,
                if self.numbers > 0 {
                    Type::Number
                } else {
                    Type::Integer
                },
            ),
            (self.booleans, Type::Boolean),
            (self.dates, Type::Date),
            (self.texts, Type::Text),
            (self.nested, Type::Nested),
        ];
        let mut there = kinds.iter().filter(|(count, _)| *count > 0);
        match (there.next(), there.next()) {
            (None, _) => Type::Empty,
            (Some((_, kind)), None) => *kind,
            // A text may look like a number or a date by chance.
            (Some(_), Some(_)) if self.nested == 0 && self.texts > 0 => Type::Text,
            (Some(_), Some(_)) => Type::Mixed,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an estimate, between 0 and 2^54"
    )]
    fn distinct(&self) -> u64 {
        let registers = REGISTERS as f64;
        let sum: f64 = self
            .registers
            .iter()
            .map(|r| 0.5_f64.powi(i32::from(*r)))
            .sum();
        let estimate = 0.7213 / (1.0 + 1.079 / registers) * registers * registers / sum;
        let empty = self.registers.iter().filter(|r| **r == 0).count();
        if estimate <= 2.5 * registers && empty > 0 {
            return (registers * (registers / empty as f64).ln()).round() as u64;
        }
        estimate.round() as u64
    }

    fn lengths(&self) -> Option<Lengths> {
        let all: u64 = self.lengths.iter().sum();
        let at_most = |per_cent: u64| {
            let wanted = (all * per_cent).div_ceil(100);
            let mut sum = 0;
            let reached = |count: &u64| {
                sum += count;
                sum >= wanted
            };
            let place = self.lengths.iter().position(reached).unwrap_or_default();
            bound(place).min(self.longest)
        };
        (all > 0).then(|| Lengths {
            p50: at_most(50),
            p90: at_most(90),
            p99: at_most(99),
            max: self.longest,
        })
    }
}

fn number(text: &str) -> Option<f64> {
    let starts = |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.');
    let is_short = text.len() <= NUMBER_MAX && text.as_bytes().first().is_some_and(starts);
    let value: Option<f64> = text.parse().ok().filter(|_| is_short);
    value.filter(|value| value.is_finite())
}

/// The first ten bytes where they are `YYYY-MM-DD`.
fn day(text: &str) -> Option<[u8; 10]> {
    let day: [u8; 10] = text.as_bytes().get(..10)?.try_into().ok()?;
    let form = day.iter().enumerate().all(|(at, b)| match at {
        4 | 7 => *b == b'-',
        _ => b.is_ascii_digit(),
    });
    (form && text.len() <= NUMBER_MAX).then_some(day)
}

fn spelled(day: [u8; 10]) -> String {
    String::from_utf8_lossy(&day).into_owned()
}

/// A number for people: whole ones without a point, others to so many decimals at least, and at most four.
fn decimal(value: f64, decimals: usize) -> String {
    if decimals == 0 && value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    if value.abs() >= 1e15 {
        return format!("{value:e}");
    }
    format!("{value:.4}")
}

/// Lengths below 8 exactly, then four to a power of two.
fn bucket(long: u64) -> usize {
    let bits = u64::from(u64::BITS - long.leading_zeros());
    let place = match long {
        0..8 => long,
        _ => 8 + (bits - 4) * 4 + (long >> (bits - 3) & 3),
    };
    usize::try_from(place).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The longest length of a bucket.
fn bound(place: usize) -> u64 {
    let place = place as u64;
    if place < 8 {
        return place;
    }
    let (power, quarter) = ((place - 8) / 4 + 3, (place - 8) % 4);
    (1 << power) + ((quarter + 1) << (power - 2)) - 1
}

/// A hash that is the same in every build: eight bytes at a time, mixed at the end (MurmurHash3's finaliser).
fn hash(value: &[u8]) -> u64 {
    let mut mixed = 0x9e37_79b9_7f4a_7c15 ^ value.len() as u64;
    let take = |mixed: u64, word: [u8; 8]| {
        (mixed.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(0x9fb2_1c65_1e98_df25)
    };
    let (words, rest) = value.as_chunks::<8>();
    for word in words {
        mixed = take(mixed, *word);
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        mixed = take(mixed, word);
    }
    mixed ^= mixed >> 33;
    mixed = mixed.wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^= mixed >> 33;
    mixed = mixed.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ mixed >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_values_are_estimated_within_a_tenth() {
        for wanted in [10_u64, 1_000, 100_000] {
            let mut column = Counted::new("n");
            for n in 0..wanted * 2 {
                column.add(Cell::Text(&format!("value {}", n % wanted)));
            }
            let distinct = column.end(wanted * 2).distinct;
            assert!(
                distinct.abs_diff(wanted) <= wanted / 10,
                "{distinct} of {wanted}"
            );
        }
    }

    #[test]
    fn a_length_lies_in_a_bucket_that_reaches_to_it() {
        for long in (0..5_000).chain([1 << 20, (1 << 24) - 1, 1 << 24]) {
            let bound = bound(bucket(long));
            assert!(bound >= long, "{long} in a bucket to {bound}");
            assert!(
                bound <= long + long / 4 + 1,
                "{long} in a bucket to {bound}"
            );
        }
    }

    #[test]
    fn a_column_of_numbers_has_least_greatest_and_mean() {
        let mut column = Counted::new("price");
        for text in ["1", "2.5", "", "-3"] {
            column.add(Cell::of_text(text));
        }
        let column = column.end(4);
        assert_eq!(column.kind, Type::Number);
        assert_eq!(column.nulls, 1);
        assert_eq!(column.min.as_deref(), Some("-3"));
        assert_eq!(column.max.as_deref(), Some("2.5000"));
        assert_eq!(column.mean.as_deref(), Some("0.1667"));
    }
}
