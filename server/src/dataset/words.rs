//! The words by which a listing is found, the same on both databases: text → tokens.
//!
//! NFKC, lower case, traditional read as simplified. A run of letters and digits is a word; Chinese and Japanese, which put no
//! spaces, are cut into all pairs of neighbours, so two characters are found wherever they stand. No stop list, no stemming:
//! what is found can be told from what was typed.

mod table;

use std::ops::Range;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The longest token; of what is longer, the beginning counts.
const TOKEN_BYTES_MAX: usize = 64;
/// Tokens of a listing: a card is 64 KiB, which is fewer words than this in any language that people write.
pub const INDEXED_MAX: usize = 4_096;
/// Tokens of a query.
pub const ASKED_MAX: usize = 32;

/// A token, and where it stands in the text that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What is compared.
    pub text: String,
    /// The bytes that it was read from.
    pub span: Range<usize>,
    /// One Chinese or Japanese character alone: in a query it stands for every token that begins with it.
    pub single: bool,
}

/// A character after folding, and where it came from.
struct Folded {
    char: char,
    from: Range<usize>,
}

/// The tokens of a text in its order, at most `max`.
#[must_use]
pub fn tokens(text: &str, max: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut run: Vec<Folded> = Vec::new();
    for folded in folded(text) {
        let joins = run.last().is_none_or(|last| {
            is_dense(last.char) == is_dense(folded.char) && last.char.is_alphanumeric()
        });
        if !folded.char.is_alphanumeric() || !joins {
            cut(&mut run, &mut tokens);
        }
        if folded.char.is_alphanumeric() {
            run.push(folded);
        }
        if tokens.len() >= max {
            break;
        }
    }
    cut(&mut run, &mut tokens);
    tokens.truncate(max);
    tokens
}

/// The tokens under which a text is indexed: its own, and the last character of each dense run, so that a single character is
/// found at the end of one too.
#[must_use]
pub fn indexed(text: &str, max: usize) -> Vec<String> {
    let tokens = tokens(text, max);
    let mut ends = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        let goes_on = tokens
            .get(place.saturating_add(1))
            .is_some_and(|next| next.span.start < token.span.end);
        if let Some(last) = token.text.chars().last()
            && is_dense(last)
            && !token.single
            && !goes_on
        {
            ends.push(last.to_string());
        }
    }
    let own = tokens.into_iter().map(|token| token.text);
    own.chain(ends).take(max).collect()
}

/// Folds a text unit by unit, a unit being a character with the marks after it, so that places are kept.
fn folded(text: &str) -> Vec<Folded> {
    let mut all = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, _)) = chars.next() {
        while chars.peek().is_some_and(|(_, c)| is_combining_mark(*c)) {
            chars.next();
        }
        let end = chars.peek().map_or(text.len(), |(end, _)| *end);
        let unit = text.get(start..end).unwrap_or_default();
        let folded = unit.nfkc().flat_map(char::to_lowercase).map(simplified);
        let kept = folded.filter(|c| !is_combining_mark(*c));
        all.extend(kept.map(|char| Folded {
            char,
            from: start..end,
        }));
    }
    all
}

fn cut(run: &mut Vec<Folded>, tokens: &mut Vec<Token>) {
    let dense = run.first().is_some_and(|first| is_dense(first.char));
    let width = if dense { 2 } else { usize::MAX };
    let single = dense && run.len() == 1;
    let pieces = run.windows(width.min(run.len()).max(1));
    for piece in pieces {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else {
            continue;
        };
        let mut text = String::new();
        for folded in piece {
            if text.len().saturating_add(folded.char.len_utf8()) > TOKEN_BYTES_MAX {
                break;
            }
            text.push(folded.char);
        }
        tokens.push(Token {
            text,
            span: first.from.start..last.from.end,
            single,
        });
    }
    run.clear();
}

/// Whether a script is written without spaces between words: Han and the Japanese syllables.
const fn is_dense(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn simplified(c: char) -> char {
    let found = table::PAIRS.binary_search_by_key(&c, |pair| pair.0);
    let pair = found.ok().and_then(|place| table::PAIRS.get(place));
    pair.map_or(c, |pair| pair.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let tokens = tokens(text, INDEXED_MAX);
        tokens.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_are_cut_at_what_is_no_letter_and_chinese_into_pairs() {
        assert_eq!(
            texts("Call-centre_dialogue v1.2"),
            ["call", "centre", "dialogue", "v1", "2"]
        );
        assert_eq!(texts("医疗对话"), ["医疗", "疗对", "对话"]);
        assert_eq!(texts("GPT数据 数"), ["gpt", "数据", "数"]);
        assert_eq!(texts("—“”… !"), Vec::<String>::new());
        assert_eq!(texts("Città è CITTÀ"), ["città", "è", "città"]);
    }

    #[test]
    fn the_forms_of_one_character_are_one() {
        assert_eq!(texts("醫療對話數據"), texts("医疗对话数据"));
        assert_eq!(texts("ＡＢＣ １２"), ["abc", "12"]);
        assert_eq!(texts("citta\u{300}"), ["città"]);
    }

    #[test]
    fn a_place_is_that_of_the_text_as_it_was_given() {
        let text = "「醫療」 citta\u{300}";
        let shown: Vec<_> = tokens(text, 9)
            .iter()
            .map(|token| text[token.span.clone()].to_owned())
            .collect();
        assert_eq!(shown, ["醫療", "citta\u{300}"]);
    }

    #[test]
    fn the_last_character_of_a_run_is_indexed_alone() {
        assert_eq!(indexed("大数 学", 99), ["大数", "学", "数"]);
    }

    #[test]
    fn a_long_word_counts_by_its_beginning_and_a_long_text_by_its_first_words() {
        assert_eq!(texts(&"é".repeat(100)), ["é".repeat(32)]);
        assert_eq!(
            tokens(&"word ".repeat(5_000), INDEXED_MAX).len(),
            INDEXED_MAX
        );
    }

    #[test]
    fn the_table_ascends_and_maps_to_what_it_does_not_map() {
        assert!(table::PAIRS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
