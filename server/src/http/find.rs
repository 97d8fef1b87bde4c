//! `GET /v1/search`: datasets for sale by words, language, licence, format, size and price.

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use verifier::book::Book;
use verifier::book::command::{Role, SegmentAsked};
use verifier::book::quote::{QuoteAsked, quote};
use verifier::dataset::{State, state};
use verifier::id::{DocumentDigest, PartyId};
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

use super::access::{self, Caller, Sees};
use super::problem::Problem;
use super::read::QUERY_BYTES_MAX;
use super::{Route, Shared, Verb, own};
use crate::cause::Whole;
use crate::dataset::find::{self, Found, Hit, Query};
use crate::store::Db;
use crate::store::dataset::search::Row;

/// The routes of search.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    own(Verb::Get, "/v1/search", Sees::Public, |shared, request, _| Box::pin(answer(shared, request)), "Search the datasets for sale; with a buyer's key, what each costs after subsidies"),
];

/// Hits on a page that nobody asked the length of.
const LIMIT: usize = 20;
/// The longest page.
const LIMIT_MAX: usize = 100;
/// How many of the best are quoted to find those that a programme helps to pay.
const QUOTED_MAX: usize = 200;
/// Rows that one question removes.
const FORGOTTEN_MAX: usize = 100;
/// What a quote asks the licence for: a day. The price of a dataset does not depend on it.
const QUOTED_SECONDS: i64 = 86_400;

/// What is asked beside the words.
struct Asked {
    query: Query,
    eligible: bool,
    offset: usize,
    limit: usize,
}

async fn answer(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = if request.headers().contains_key(AUTHORIZATION) {
        Some(access::caller(&shared, &request).await?)
    } else {
        None
    };
    let asked = asked(request.query_string())?;
    super::read::seen(&shared, &request).await?;
    let query = asked.query.clone();
    let rows = shared
        .data
        .query(move |db| find::candidates(db, &query))
        .await?;
    let now = shared.now()?;
    let (body, gone) = shared
        .desk
        .read(|book| {
            if let Some(caller) = caller {
                access::stands(book, caller)?;
            }
            let at = book.last_at.map_or(now, |last| last.max(now));
            let gone = gone(book, &rows);
            let found = find::ranked(&asked.query, rows, |row| {
                price(book, row.manifest.parse().ok()?)
            });
            Ok::<_, Refusal>((page(book, at, &asked, caller, found)?, gone))
        })
        .await??;
    if !gone.is_empty() {
        let forget = move |db: &mut Db| gone.iter().try_for_each(|of| find::forget(db, of));
        if let Err(fault) = shared.data.query(forget).await {
            tracing::warn!(fault = %Whole(&fault), "what is sold no more is still looked at");
        }
    }
    Ok(HttpResponse::Ok().json(body))
}

/// Versions among these that will never be for sale again, a few. They are not found by what the book says; whoever meets their
/// rows removes them, or they would stand in the way of what is.
fn gone(book: &Book, rows: &[Row]) -> Vec<String> {
    let is_gone = |row: &&Row| {
        let state = row
            .manifest
            .parse()
            .ok()
            .map(|manifest| state(book, manifest));
        matches!(state, Some(Ok(State::Withdrawn(_) | State::Recalled(_))))
    };
    let gone = rows.iter().filter(is_gone).take(FORGOTTEN_MAX);
    gone.map(|row| row.manifest.clone()).collect()
}

/// What a version costs now, if it is for sale.
fn price(book: &Book, manifest: DocumentDigest) -> Option<i64> {
    let listed = matches!(state(book, manifest), Ok(State::Listed));
    let version = book.version(manifest).ok().filter(|_| listed)?;
    Some(version.price_fen.get())
}

fn page(
    book: &Book,
    at: Timestamp,
    asked: &Asked,
    caller: Option<Caller>,
    found: Found,
) -> Result<Value, Refusal> {
    let buyer = caller.filter(|caller| caller.role == Role::Buyer);
    let buyer = buyer.map(|caller| caller.party);
    let mut hits: Vec<(Hit, Option<Value>)> = Vec::new();
    let (mut total, counted) = (found.hits.len(), found.hits.len());
    if asked.eligible {
        let buyer = buyer.ok_or_else(|| {
            let sentence =
                "eligible=true asks what a programme helps a buyer to pay; use a key of that role";
            Refusal::new(Code::AccessRole, sentence)
        })?;
        for hit in found.hits.into_iter().take(QUOTED_MAX) {
            if let Some((quoted, true)) = quoted(book, buyer, at, &hit) {
                hits.push((hit, Some(quoted)));
            }
        }
        total = hits.len();
        hits = hits
            .into_iter()
            .skip(asked.offset)
            .take(asked.limit)
            .collect();
    } else {
        let shown = found.hits.into_iter().skip(asked.offset).take(asked.limit);
        for hit in shown {
            let quote = buyer.and_then(|buyer| quoted(book, buyer, at, &hit));
            hits.push((hit, quote.map(|(quote, _)| quote)));
        }
    }
    let next = asked.offset.saturating_add(hits.len());
    let items: Vec<Value> = hits
        .into_iter()
        .map(|(mut hit, quote)| {
            find::show(&asked.query, &mut hit);
            let mut item = json!(hit);
            if let Some(quote) = quote {
                item["quote"] = quote;
            }
            item
        })
        .collect();
    Ok(json!({
        "items": items, "total": total, "next": (next < total).then_some(next),
        "facets": found.facets, "counted": counted, "newest_only": found.newest_only,
        "as_of": book.size.saturating_sub(1),
    }))
}

/// What a hit costs a buyer, and whether a programme pays a part of it.
fn quoted(book: &Book, buyer: PartyId, at: Timestamp, hit: &Hit) -> Option<(Value, bool)> {
    let manifest: DocumentDigest = hit.manifest.parse().ok()?;
    let version = book.version(manifest).ok()?;
    let asked = QuoteAsked {
        seller: book.dataset(version.dataset).ok()?.vendor,
        segments: vec![SegmentAsked {
            offer: None,
            dataset: Some(manifest),
            from: at,
            to: at.after(QUOTED_SECONDS),
            limit: None,
        }],
        contract: None,
        purpose: None,
    };
    let quote = quote(book, buyer, at, &asked).ok()?;
    let helped = quote.net_fen < quote.gross_fen;
    let value = json!({
        "gross_fen": quote.gross_fen, "net_fen": quote.net_fen, "pays_fen": quote.pays_fen,
        "repaid_fen": quote.repaid_fen,
    });
    Some((value, helped))
}

fn asked(text: &str) -> Result<Asked, Refusal> {
    let malformed = |sentence: String| Refusal::new(Code::RequestMalformed, sentence);
    if text.len() > QUERY_BYTES_MAX {
        return Err(malformed("a query has at most 1024 bytes".to_owned()));
    }
    let pairs = web::Query::<BTreeMap<String, String>>::from_query(text)
        .map_err(|_| malformed("the query is not name=value&…".to_owned()))?;
    let mut asked = Asked {
        query: Query::default(),
        eligible: false,
        offset: 0,
        limit: LIMIT,
    };
    for (name, value) in pairs.into_inner() {
        let number = |max: u64| {
            let number = value.parse::<u64>().ok().filter(|number| *number <= max);
            number.ok_or_else(|| malformed(format!("{name} is a number up to {max}")))
        };
        let query = &mut asked.query;
        match name.as_str() {
            "q" => query.text = value,
            "language" => query.language = Some(value),
            "licence" => query.licence = Some(value),
            "format" => query.format = Some(value),
            "bytes_max" => query.bytes_max = Some(number(1 << 60)?),
            "price_max" => query.price_max = i64::try_from(number(1 << 60)?).ok(),
            "eligible" => asked.eligible = value == "true",
            "offset" => asked.offset = usize::try_from(number(1_000)?).unwrap_or_default(),
            "limit" => {
                let max = u64::try_from(LIMIT_MAX).unwrap_or_default();
                asked.limit = usize::try_from(number(max)?).unwrap_or(LIMIT).max(1);
            }
            _ => {
                let sentence = "search takes q, language, licence, format, bytes_max, price_max, eligible, offset and limit";
                return Err(malformed(sentence.to_owned()));
            }
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_of_known_names_and_numbers() {
        let read = asked("q=%E5%8C%BB%E7%96%97+x&price_max=5&limit=0").unwrap();
        assert_eq!(read.query.text, "医疗 x");
        assert_eq!((read.query.price_max, read.limit), (Some(5), 1));
        for bad in [
            "sort=x",
            "limit=101",
            "bytes_max=-1",
            "offset=x",
            "price_max=1e9",
        ] {
            assert_eq!(
                asked(bad).err().unwrap().code,
                Code::RequestMalformed,
                "{bad}"
            );
        }
        assert!(asked(&"q=".repeat(600)).is_err());
    }
}
