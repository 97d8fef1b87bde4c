//! Which published versions hold which tokens. The book says which of them are for sale, `dataset::find` which come first.
//!
//! The one place where each database has a statement of its own (STYLE §7): full text is FTS5 here and `tsvector` there, and
//! diesel knows neither. Nothing is ranked by either: both answer the same rows, newest first.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};

use crate::store::schema::own_search;
use crate::store::{Db, StoreFault, on_backend};

/// How many versions one question looks at: the newest that match.
pub const MATCHES_MAX: i64 = 1_000;

/// A published version as search knows it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, QueryableByName, Insertable)]
#[diesel(table_name = own_search)]
pub struct Row {
    /// The entry that published it.
    pub n: i64,
    /// Its listing.
    pub listing: String,
    /// Its manifest.
    pub manifest: String,
    /// Four lines of tokens: title, keywords, summary, the rest.
    pub tokens: String,
    /// Codes of languages, each between blanks.
    pub languages: String,
    /// The expression of its licence.
    pub licence: String,
    /// Formats of its files, each between blanks.
    pub formats: String,
    /// Bytes of all files.
    pub bytes: i64,
    /// Its price when it was published.
    pub price_fen: i64,
    /// What is shown of it, as JSON: opaque here.
    pub shown: String,
}

/// A token that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Letters and digits alone.
    pub text: String,
    /// Whether a longer token that begins with it is one too.
    pub prefix: bool,
}

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sought {
    /// All of these.
    pub terms: Vec<Term>,
    /// The code of a language.
    pub language: Option<String>,
    /// The expression of a licence.
    pub licence: Option<String>,
    /// A format.
    pub format: Option<String>,
    /// No more bytes than this.
    pub bytes_max: Option<i64>,
}

/// Puts a version in the place of what was known of it, in one transaction.
/// # Errors
/// [`StoreFault::Query`].
pub fn put(db: &mut Db, row: &Row) -> Result<(), StoreFault> {
    let mut terms: Vec<&str> = row.tokens.split_whitespace().collect();
    terms.sort_unstable();
    terms.dedup();
    db.transaction(|tx| {
        remove(tx, &row.manifest)?;
        on_backend!(tx, conn => diesel::insert_into(own_search::table).values(row).execute(conn))?;
        match tx {
            Db::Sqlite(conn) => sql_query("INSERT INTO own_terms (rowid, tokens) VALUES ($1, $2)")
                .bind::<BigInt, _>(row.n)
                .bind::<Text, _>(terms.join(" "))
                .execute(conn)?,
            Db::Postgres(conn) => sql_query(
                "INSERT INTO own_terms (n, tokens) VALUES ($1, array_to_tsvector(string_to_array($2, ' ')))",
            )
            .bind::<BigInt, _>(row.n)
            .bind::<Text, _>(terms.join(" "))
            .execute(conn)?,
        };
        Ok(())
    })
}

/// Forgets a version; one that is not known is no fault.
/// # Errors
/// [`StoreFault::Query`].
pub fn remove(db: &mut Db, manifest: &str) -> Result<(), StoreFault> {
    let known = own_search::table.filter(own_search::manifest.eq(manifest));
    let n: Option<i64> = known.select(own_search::n).first(db).optional()?;
    let Some(n) = n else {
        return Ok(());
    };
    match db {
        Db::Sqlite(conn) => sql_query("DELETE FROM own_terms WHERE rowid = $1")
            .bind::<BigInt, _>(n)
            .execute(conn)?,
        Db::Postgres(conn) => sql_query("DELETE FROM own_terms WHERE n = $1")
            .bind::<BigInt, _>(n)
            .execute(conn)?,
    };
    diesel::delete(own_search::table.find(n)).execute(db)?;
    Ok(())
}

/// The newest versions that hold all that is sought, newest first, at most [`MATCHES_MAX`].
/// # Errors
/// [`StoreFault::Query`].
pub fn matches(db: &mut Db, sought: &Sought) -> Result<Vec<Row>, StoreFault> {
    let (source, order) = match (&*db, sought.terms.is_empty()) {
        (_, true) => ("own_search s WHERE $1 = ''", "s.n"),
        (Db::Sqlite(_), false) => (
            "own_terms t JOIN own_search s ON s.n = t.rowid WHERE own_terms MATCH $1",
            "t.rowid",
        ),
        (Db::Postgres(_), false) => (
            "own_terms t JOIN own_search s ON s.n = t.n WHERE t.tokens @@ $1::tsquery",
            "s.n",
        ),
    };
    let text = format!(
        "SELECT s.* FROM {source} AND s.languages LIKE $2 AND s.formats LIKE $3 AND ($4 = '' OR s.licence = $4) \
         AND s.bytes <= $5 ORDER BY {order} DESC LIMIT {MATCHES_MAX}"
    );
    let terms = terms(db, &sought.terms);
    let found: Vec<Row> = on_backend!(db, conn => sql_query(text)
        .bind::<Text, _>(terms)
        .bind::<Text, _>(holds(sought.language.as_deref()))
        .bind::<Text, _>(holds(sought.format.as_deref()))
        .bind::<Text, _>(sought.licence.as_deref().unwrap_or_default())
        .bind::<BigInt, _>(sought.bytes_max.unwrap_or(i64::MAX))
        .load(conn))?;
    Ok(found)
}

/// The terms as each database wants them, all in quotes: letters and digits are no operators.
fn terms(db: &Db, terms: &[Term]) -> String {
    let (quote, prefix, and) = match db {
        Db::Sqlite(_) => ('"', "*", " AND "),
        Db::Postgres(_) => ('\'', ":*", " & "),
    };
    let one = |term: &Term| {
        let plain: String = term.text.chars().filter(|c| c.is_alphanumeric()).collect();
        let end = if term.prefix { prefix } else { "" };
        format!("{quote}{plain}{quote}{end}")
    };
    terms.iter().map(one).collect::<Vec<_>>().join(and)
}

/// A pattern for a word between blanks; what is no word is found nowhere.
fn holds(word: Option<&str>) -> String {
    match word {
        None => "%".to_owned(),
        Some(word) if word.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') => {
            format!("% {} %", word.to_ascii_lowercase())
        }
        Some(_) => String::new(),
    }
}
