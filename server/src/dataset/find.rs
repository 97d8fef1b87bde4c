//! Search over published versions: what matches, in which order, how many of each kind (DESIGN §9).
//!
//! The database only matches; the order is one sum of integers made here, so SQLite and PostgreSQL answer alike. Whether a
//! version is for sale, and at what price, is asked of the book when the question is: nothing withdrawn is ever found.

use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::words::{self, ASKED_MAX, INDEXED_MAX, Token};
use crate::store::dataset::search::{self, MATCHES_MAX, Row, Sought, Term};
use crate::store::{Db, StoreFault};

/// What a token counts in each of the four parts of a listing.
const WEIGHTS: [u32; 4] = [8, 4, 2, 1];
/// What the whole question counts where the title has it word for word.
const PHRASE: u32 = 16;

/// A published version as it is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry of the trail that published it.
    pub n: u64,
    /// Its listing.
    pub listing: String,
    /// Its manifest, `sha-256:…`.
    pub manifest: String,
    /// Its titles in all languages, keywords, summary, and all else that is worth finding.
    pub texts: [String; 4],
    /// Codes of languages, e.g. `zh`.
    pub languages: Vec<String>,
    /// The licence's expression.
    pub licence: String,
    /// Formats of its files, e.g. `parquet`.
    pub formats: Vec<String>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Its price when it was published.
    pub price_fen: i64,
    /// What a hit shows: `handle`, `name`, `version`, `title`, `summary` and what else there is.
    pub shown: Value,
}

/// A question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Words; all of them must be there. None: the newest.
    pub text: String,
    /// The code of a language.
    pub language: Option<String>,
    /// A licence's expression.
    pub licence: Option<String>,
    /// A format.
    pub format: Option<String>,
    /// No more bytes than this.
    pub bytes_max: Option<u64>,
    /// No dearer than this.
    pub price_max: Option<i64>,
}

/// A version that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The entry that published it.
    pub seq: i64,
    /// Its manifest.
    pub manifest: String,
    /// How well it matches; equal ones stand newest first.
    pub score: u32,
    /// Bytes of all files.
    pub bytes: i64,
    /// What it costs now.
    pub price_fen: i64,
    /// What is shown; nothing before [`show`].
    pub shown: Value,
    /// Which bytes of which shown texts match; none before [`show`].
    pub marks: BTreeMap<&'static str, Vec<Range<usize>>>,
    #[serde(skip)]
    kept: String,
}

/// How many of what was found have what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Facets {
    /// By language.
    pub language: BTreeMap<String, u32>,
    /// By licence.
    pub licence: BTreeMap<String, u32>,
    /// By format.
    pub format: BTreeMap<String, u32>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The best first.
    pub hits: Vec<Hit>,
    /// What they have.
    pub facets: Facets,
    /// Whether only the newest thousand that hold the words were looked at.
    pub newest_only: bool,
}

/// Makes a published version findable; again it replaces what was known of it.
/// # Errors
/// [`StoreFault`]
pub fn index(db: &mut Db, entry: &Entry) -> Result<(), StoreFault> {
    let mut left = INDEXED_MAX;
    let lines = entry.texts.each_ref().map(|text| {
        let tokens = words::indexed(text, left);
        left = left.saturating_sub(tokens.len());
        tokens.join(" ")
    });
    let number = |of: u64| i64::try_from(of).map_err(|_| StoreFault::Inconsistent(of.to_string()));
    let row = Row {
        n: number(entry.n)?,
        listing: entry.listing.clone(),
        manifest: entry.manifest.clone(),
        tokens: lines.join("\n"),
        languages: between_blanks(&entry.languages),
        licence: entry.licence.clone(),
        formats: between_blanks(&entry.formats),
        bytes: number(entry.bytes)?,
        price_fen: entry.price_fen,
        shown: entry.shown.to_string(),
    };
    search::put(db, &row)
}

/// Forgets a version that will not be for sale again. What is found never depends on it: the book says what is for sale.
/// # Errors
/// [`StoreFault`]
pub fn forget(db: &mut Db, manifest: &str) -> Result<(), StoreFault> {
    search::remove(db, manifest)
}

/// The newest versions that hold the words of a question, newest first; [`ranked`] says which are shown.
/// # Errors
/// [`StoreFault`]
pub fn candidates(db: &mut Db, query: &Query) -> Result<Vec<Row>, StoreFault> {
    let terms = asked(query).into_iter().map(|token| Term {
        text: token.text,
        prefix: token.single,
    });
    let sought = Sought {
        terms: terms.collect(),
        language: query.language.clone(),
        licence: query.licence.clone(),
        format: query.format.clone(),
        bytes_max: query.bytes_max.and_then(|max| i64::try_from(max).ok()),
    };
    search::matches(db, &sought)
}

/// Orders and counts candidates; [`show`] reads what a page shows of one. `price` says what a version costs now, or nothing where it is not for sale; of each listing
/// the newest version that is for sale counts.
#[must_use]
pub fn ranked(query: &Query, rows: Vec<Row>, price: impl Fn(&Row) -> Option<i64>) -> Found {
    let newest_only = i64::try_from(rows.len()).is_ok_and(|rows| rows >= MATCHES_MAX);
    let asked = asked(query);
    let (mut seen, mut facets, mut hits) = (BTreeSet::new(), Facets::default(), Vec::new());
    for row in rows {
        let Some(price_fen) = price(&row) else {
            continue;
        };
        if !seen.insert(row.listing.clone()) || query.price_max.is_some_and(|max| price_fen > max) {
            continue;
        }
        facets.count(&row);
        hits.push(Hit {
            seq: row.n,
            score: score(&asked, &row.tokens),
            manifest: row.manifest,
            bytes: row.bytes,
            price_fen,
            shown: Value::Null,
            marks: BTreeMap::new(),
            kept: row.shown,
        });
    }
    hits.sort_by_key(|hit| (std::cmp::Reverse(hit.score), std::cmp::Reverse(hit.seq)));
    Found {
        hits,
        facets,
        newest_only,
    }
}

/// Reads what is shown of a hit, and marks in it what matches: a page has twenty of a thousand.
pub fn show(query: &Query, hit: &mut Hit) {
    hit.shown = serde_json::from_str(&hit.kept).unwrap_or_default();
    hit.marks = marks(&asked(query), &hit.shown);
}

impl Facets {
    fn count(&mut self, row: &Row) {
        let count = |of: &mut BTreeMap<String, u32>, word: &str| {
            let count = of.entry(word.to_owned()).or_default();
            *count = count.saturating_add(1);
        };
        for word in row.languages.split_whitespace() {
            count(&mut self.language, word);
        }
        for word in row.formats.split_whitespace() {
            count(&mut self.format, word);
        }
        count(&mut self.licence, &row.licence);
    }
}

fn asked(query: &Query) -> Vec<Token> {
    words::tokens(&query.text, ASKED_MAX)
}

fn is_meant(asked: &Token, token: &str) -> bool {
    token == asked.text || (asked.single && token.starts_with(&asked.text))
}

fn score(asked: &[Token], tokens: &str) -> u32 {
    let mut score = 0_u32;
    for (line, weight) in tokens.split('\n').zip(WEIGHTS) {
        let held: Vec<&str> = line.split(' ').collect();
        let is_held = |token: &&Token| held.iter().any(|one| is_meant(token, one));
        let count = u32::try_from(asked.iter().filter(is_held).count()).unwrap_or(u32::MAX);
        score = score.saturating_add(count.saturating_mul(weight));
    }
    let title: Vec<&str> = tokens
        .lines()
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let phrase = |window: &[&str]| {
        window
            .iter()
            .zip(asked)
            .all(|(one, token)| is_meant(token, one))
    };
    if !asked.is_empty() && title.windows(asked.len()).any(phrase) {
        score = score.saturating_add(PHRASE);
    }
    score
}

/// Which bytes of the shown title and summary match; neighbours that touch are one.
fn marks(asked: &[Token], shown: &Value) -> BTreeMap<&'static str, Vec<Range<usize>>> {
    let mut all = BTreeMap::new();
    for name in ["title", "summary"] {
        let text = shown.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut marks: Vec<Range<usize>> = Vec::new();
        for token in words::tokens(text, INDEXED_MAX) {
            if !asked.iter().any(|asked| is_meant(asked, &token.text)) {
                continue;
            }
            match marks.last_mut() {
                Some(last) if token.span.start <= last.end => last.end = token.span.end,
                Some(_) | None => marks.push(token.span),
            }
        }
        if !marks.is_empty() {
            all.insert(name, marks);
        }
    }
    all
}

fn between_blanks(words: &[String]) -> String {
    let mut text = " ".to_owned();
    for word in words {
        text.push_str(&word.to_ascii_lowercase());
        text.push(' ');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Address;
    use serde_json::json;

    fn entry(n: u64, title: &str, rest: &str) -> Entry {
        Entry {
            n,
            listing: format!("lst-{n}"),
            manifest: format!("sha-256:{n}"),
            texts: [title, "", "", rest].map(str::to_owned),
            languages: vec!["zh".to_owned()],
            licence: "CC-BY-4.0".to_owned(),
            formats: vec!["jsonl".to_owned()],
            bytes: 10,
            price_fen: 100,
            shown: json!({ "title": title }),
        }
    }

    fn ids(db: &mut Db, text: &str) -> Vec<i64> {
        let query = Query {
            text: text.to_owned(),
            ..Query::default()
        };
        let rows = candidates(db, &query).unwrap();
        let hits = ranked(&query, rows, |row| Some(row.price_fen)).hits;
        hits.into_iter().map(|hit| hit.seq).collect()
    }

    fn filled(folder: &tempfile::TempDir) -> crate::store::Store {
        let address = Address::Sqlite(folder.path().join("quan.db"));
        let store = crate::store::Store::open(address).unwrap();
        let mut db = store.connection().unwrap();
        for (n, title, rest) in [
            (1, "医疗对话数据", "dialogue"),
            (2, "Clinic dialogue", "医疗 对话"),
            (3, "大数", "Dialogo in italiano"),
        ] {
            index(&mut db, &entry(n, title, rest)).unwrap();
        }
        drop(db);
        store
    }

    #[test]
    fn a_title_comes_before_the_rest_and_the_newest_before_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder);
        let mut db = store.connection().unwrap();
        assert_eq!(ids(&mut db, "醫療"), [1, 2]);
        assert_eq!(ids(&mut db, "dialogue"), [2, 1]);
        assert_eq!(ids(&mut db, "数"), [3, 1]);
        assert_eq!(ids(&mut db, "\"*;"), [3, 2, 1]);
        forget(&mut db, "sha-256:1").unwrap();
        index(&mut db, &entry(2, "Nothing", "")).unwrap();
        assert_eq!(ids(&mut db, "dialogue"), Vec::<i64>::new());
        assert_eq!(ids(&mut db, "nothing"), [2]);
    }

    #[test]
    fn a_query_of_quotes_and_operators_is_only_words() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder);
        let mut db = store.connection().unwrap();
        for text in [
            "dialogue AND OR NOT",
            "\"dialogue",
            "dialogue' | 'x",
            "NEAR(dialogue, 5)",
            "tokens:dialogue",
            "dialogue:* & !x",
            "'; DROP TABLE own_search; --",
            "^dialogue + *",
            "\0 dialogue \u{fffd}",
        ] {
            let _answered = ids(&mut db, text);
        }
        assert_eq!(ids(&mut db, "(dialogue)"), [2, 1]);
        assert_eq!(ids(&mut db, "dialogue not"), Vec::<i64>::new());
    }

    #[test]
    fn a_facet_counts_what_it_filters() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder);
        let mut db = store.connection().unwrap();
        let mut other = entry(4, "Other dialogue", "");
        other.languages = vec!["en".to_owned(), "it".to_owned()];
        other.formats = vec!["parquet".to_owned()];
        other.licence = "MIT".to_owned();
        index(&mut db, &other).unwrap();
        let mut count = |query: &Query| {
            let rows = candidates(&mut db, query).unwrap();
            ranked(query, rows, |row| Some(row.price_fen))
        };
        let all = count(&Query::default()).facets;
        for (word, expected) in &all.language {
            let query = Query {
                language: Some(word.clone()),
                ..Query::default()
            };
            assert_eq!(
                count(&query).hits.len(),
                usize::try_from(*expected).unwrap()
            );
        }
        for (word, expected) in &all.licence {
            let query = Query {
                licence: Some(word.clone()),
                ..Query::default()
            };
            assert_eq!(
                count(&query).hits.len(),
                usize::try_from(*expected).unwrap()
            );
        }
        assert_eq!(all.format["parquet"], 1);
        assert_eq!(all.language["zh"], 3);
        let cheap = Query {
            price_max: Some(99),
            ..Query::default()
        };
        assert!(count(&cheap).hits.is_empty());
        let odd = Query {
            language: Some("%".to_owned()),
            ..Query::default()
        };
        assert!(count(&odd).hits.is_empty());
    }

    #[test]
    fn of_a_listing_the_newest_version_for_sale_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(&folder);
        let mut db = store.connection().unwrap();
        let mut next = entry(9, "医疗对话数据 2", "");
        next.listing = "lst-1".to_owned();
        index(&mut db, &next).unwrap();
        let query = Query {
            text: "医疗对话数据".to_owned(),
            ..Query::default()
        };
        let rows = candidates(&mut db, &query).unwrap();
        let seqs = |found: Found| {
            found
                .hits
                .into_iter()
                .map(|hit| hit.seq)
                .collect::<Vec<_>>()
        };
        assert_eq!(seqs(ranked(&query, rows.clone(), |_| Some(1))), [9]);
        let sold = |row: &Row| (row.n != 9).then_some(1);
        assert_eq!(seqs(ranked(&query, rows, sold)), [1]);
    }

    #[test]
    fn a_mark_is_the_bytes_that_match() {
        let query = Query {
            text: "医疗对话 DATA".to_owned(),
            ..Query::default()
        };
        let shown = json!({ "title": "新醫療對話 data", "summary": "x" });
        let title = shown["title"].as_str().unwrap();
        let marks = marks(&asked(&query), &shown);
        let texts: Vec<&str> = marks["title"]
            .iter()
            .map(|mark| &title[mark.clone()])
            .collect();
        assert_eq!(texts, ["醫療對話", "data"]);
        assert!(!marks.contains_key("summary"));
    }
}
