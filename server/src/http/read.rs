//! What every read has in common: who asks, the page, `as_of` (DESIGN §7, reads).
//!
//! A read is a plain function of the book, seen between two commits; the sequencer waits for it, so it is short.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use verifier::book::Book;
use verifier::book::access::Sight;
use verifier::book::scope::Scope;
use verifier::id::PartyId;
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

use super::Shared;
use super::access::{self, Caller, Sees};
use super::problem::Problem;

/// A page that nobody asked the length of.
pub(super) const LIMIT: usize = 100;
/// The longest page.
pub(super) const LIMIT_MAX: usize = 1_000;
/// How long a read waits for an entry that is not here yet.
const SEEN_WAIT: Duration = Duration::from_secs(5);
/// The longest query string.
pub(super) const QUERY_BYTES_MAX: usize = 1_024;

/// A read: what it answers, without `as_of`.
pub(super) type Read = fn(&Asking<'_>) -> Result<Map<String, Value>, Problem>;

/// Who asks for what, beside the book.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The book as of its last durable entry.
    pub book: &'a Book,
    /// Who asks; nobody on a public route without a key.
    pub caller: Option<Caller>,
    /// The parameter of the path; empty where there is none.
    pub id: &'a str,
    /// Which page.
    pub page: &'a Page,
    /// Now, and never before the last entry.
    pub at: Timestamp,
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The last item that the caller has.
    pub after: Option<String>,
    /// How many at most.
    pub limit: usize,
}

impl Asking<'_> {
    /// The party that asks.
    /// # Errors
    /// `access.unknown` without a key.
    pub fn party(&self) -> Result<PartyId, Refusal> {
        let caller = self.caller.ok_or_else(|| {
            Refusal::new(
                Code::AccessUnknown,
                "send an API key: Authorization: Bearer quan_…",
            )
        })?;
        Ok(caller.party)
    }

    /// Lets pass what concerns one of these parties, and whoever sees all that reaches these scopes.
    /// # Errors
    /// `access.party` `access.scope`
    pub fn concerns(&self, parties: &[PartyId], scopes: &[Scope]) -> Result<(), Refusal> {
        let sight = self
            .caller
            .map_or(Sight::Own, |caller| access::sight(self.book, caller));
        let own = self
            .caller
            .is_some_and(|caller| parties.contains(&caller.party));
        if own || sight.sees(scopes) {
            return Ok(());
        }
        Err(access::unseen(sight))
    }

    /// One page of items in the order of their keys, with the cursor of the next page.
    pub fn list<K: ToString>(&self, items: impl Iterator<Item = (K, Value)>) -> Map<String, Value> {
        let (taken, next) = self.taken(items);
        let items: Vec<Value> = taken.into_iter().map(|(_, value)| value).collect();
        object(json!({ "items": items, "next": next }))
    }

    /// The same of items that are written only if they are on the page.
    /// # Errors
    /// What `write` refuses.
    pub fn list_written<K: ToString, T>(
        &self,
        items: impl Iterator<Item = (K, T)>,
        write: impl Fn(T) -> Result<Value, Refusal>,
    ) -> Result<Map<String, Value>, Refusal> {
        let (taken, next) = self.taken(items);
        let items = taken.into_iter().map(|(_, item)| write(item));
        let items: Vec<Value> = items.collect::<Result<_, _>>()?;
        Ok(object(json!({ "items": items, "next": next })))
    }

    /// What is on the page, and the cursor of the next one.
    fn taken<K: ToString, T>(
        &self,
        items: impl Iterator<Item = (K, T)>,
    ) -> (Vec<(String, T)>, Option<String>) {
        let after = self.page.after.as_deref();
        let rest = items
            .map(|(key, item)| (key.to_string(), item))
            .filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        let mut taken: Vec<_> = rest.take(self.page.limit.saturating_add(1)).collect();
        let more = taken.len() > self.page.limit;
        taken.truncate(self.page.limit);
        let next = taken.last().filter(|_| more).map(|(key, _)| key.clone());
        (taken, next)
    }
}

/// The members of a JSON object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(members) = value {
        members
    } else {
        Map::new()
    }
}

/// Waits until this server has seen the entry that the caller names in `Quan-Min-Seq`: its own write, on another server.
/// # Errors
/// `request.malformed`; busy after [`SEEN_WAIT`].
pub(super) async fn seen(shared: &Shared, request: &HttpRequest) -> Result<(), Problem> {
    seen_in(shared.desk.committed(), request).await
}

/// The same of whatever grows entry by entry: the book, or the rows behind lists.
/// # Errors
/// `request.malformed`; busy after [`SEEN_WAIT`].
pub(super) async fn seen_in(
    mut size: watch::Receiver<u64>,
    request: &HttpRequest,
) -> Result<(), Problem> {
    let Some(header) = request.headers().get("Quan-Min-Seq") else {
        return Ok(());
    };
    let seq: Option<u64> = header.to_str().ok().and_then(|text| text.parse().ok());
    let sentence = "Quan-Min-Seq is the number of an entry";
    let seq = seq.ok_or_else(|| Refusal::new(Code::RequestMalformed, sentence))?;
    let seen = size.wait_for(|size| *size > seq);
    match tokio::time::timeout(SEEN_WAIT, seen).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Problem::Busy(
            "this server has not seen that entry yet; try again",
        )),
    }
}

/// Answers a read.
pub(super) async fn answer(
    shared: Arc<Shared>,
    sees: Sees,
    read: Read,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let has_key = request
        .headers()
        .contains_key(actix_web::http::header::AUTHORIZATION);
    let caller = match (sees, has_key) {
        (Sees::Public, false) => None,
        (Sees::Public, true) | (Sees::Party, _) => Some(access::caller(&shared, &request).await?),
    };
    let page = page(request.query_string())?;
    seen(&shared, &request).await?;
    let id = request
        .match_info()
        .iter()
        .next()
        .map(|(_, id)| id.to_owned())
        .unwrap_or_default();
    let now = shared.now()?;
    let body = shared
        .desk
        .read(|book| {
            if let Some(caller) = caller {
                access::stands(book, caller)?;
            }
            let at = book.last_at.map_or(now, |last| last.max(now));
            let mut body = read(&Asking {
                book,
                caller,
                id: &id,
                page: &page,
                at,
            })?;
            body.insert("as_of".to_owned(), book.size.saturating_sub(1).into());
            Ok::<_, Problem>(body)
        })
        .await??;
    Ok(HttpResponse::Ok().json(body))
}

pub(super) fn page(query: &str) -> Result<Page, Refusal> {
    let malformed = |sentence: &str| Refusal::new(Code::RequestMalformed, sentence);
    if query.len() > QUERY_BYTES_MAX {
        return Err(malformed("a query has at most 1024 bytes"));
    }
    let mut page = Page {
        after: None,
        limit: LIMIT,
    };
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|_| malformed("the query is not name=value&…"))?;
    for (name, value) in pairs.into_inner() {
        match name.as_str() {
            "after" => page.after = Some(value),
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=LIMIT_MAX).contains(limit));
                page.limit = limit.ok_or_else(|| malformed("limit is 1 to 1000"))?;
            }
            _ => return Err(malformed("a list takes after and limit, nothing else")),
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_bounded_and_an_unknown_parameter_is_refused() {
        assert_eq!(
            page("").unwrap(),
            Page {
                after: None,
                limit: LIMIT
            }
        );
        assert_eq!(
            page("after=x&limit=7").unwrap(),
            Page {
                after: Some("x".into()),
                limit: 7
            }
        );
        for bad in ["limit=0", "limit=1001", "limit=x", "offset=3"] {
            assert!(page(bad).is_err(), "{bad}");
        }
    }
}
