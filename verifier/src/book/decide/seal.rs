//! `book.sealed`: how many entries each scope has (TRAIL E2). It moves nothing and is for everybody.

use std::ops::Bound;

use crate::book::command::{LIST_MAX, SealBook};
use crate::book::decide::{Case, Decision};
use crate::book::found::{Found, Sealed};
use crate::book::scope::Scope;
use crate::refusal::Refusal;

/// States the count of each scope before this entry, as many as an entry takes.
#[expect(clippy::unnecessary_wraps, reason = "one of many that decide")]
pub(super) fn seal(case: &Case<'_>, asked: &SealBook) -> Result<Decision, Refusal> {
    let from = asked
        .after
        .as_ref()
        .map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = case.book.scopes.range::<Scope, _>((from, Bound::Unbounded));
    let counts: Vec<_> = rest
        .by_ref()
        .take(LIST_MAX)
        .map(|(scope, count)| (scope.clone(), *count))
        .collect();
    let last = counts.last().map(|(scope, _)| scope.clone());
    let next = last.filter(|_| rest.next().is_some());
    Ok(Decision::common(Found {
        sealed: Some(Sealed { counts, next }),
        ..Found::default()
    }))
}
