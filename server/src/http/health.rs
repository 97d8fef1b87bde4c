//! How this server is: for whoever watches it, without a key.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use verifier::book::entry::Entry;

use super::Shared;
use super::problem::Problem;
use crate::metrics::Reading;
use crate::store::log;

/// `GET /health`: how far the log is and what follows it; `slowed` while it is written more slowly for the projector's sake;
/// how each witness stands, with the code of why it does not cosign.
/// A server that cannot write says so: whoever spreads the load takes another one.
pub(super) async fn health(shared: &Shared) -> Result<HttpResponse, Problem> {
    if shared.desk.is_failing() {
        return Err(Problem::Busy(
            "nothing can be written right now; the log says why",
        ));
    }
    let entries = shared.desk.read(|book| book.size).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "status": "serving", "entries": entries, "published": *shared.published.borrow(),
        "projected": *shared.projected.borrow(), "slowed": shared.desk.pace().is_slow(entries),
        "witnesses": *shared.witnesses.borrow(),
    })))
}

/// `GET /metrics`: the same as numbers, and what was counted since the start.
pub(super) async fn metrics(shared: &Shared) -> Result<HttpResponse, Problem> {
    let size = shared.desk.read(|book| book.size).await?;
    let waiting = u64::try_from(shared.desk.waiting()).unwrap_or(u64::MAX);
    let gauge = |name, help, value| Reading {
        kind: "gauge",
        name,
        help,
        value,
    };
    let lag = oldest_unpublished(shared, size).await;
    let lag = lag.map(|seconds| {
        gauge(
            LAG,
            "Seconds since the oldest entry was committed that no published checkpoint covers.",
            seconds,
        )
    });
    let readings = [
        gauge("quan_entries", "Entries of the trail.", size),
        gauge(
            "quan_published",
            "Entries that the published checkpoint covers.",
            *shared.published.borrow(),
        ),
        gauge(
            "quan_projected",
            "Entries that lists and search hold.",
            *shared.projected.borrow(),
        ),
        gauge("quan_waiting", "Commands before the sequencer.", waiting),
        Reading {
            kind: "counter",
            name: "quan_pauses_total",
            help: "Batches after which the sequencer waited for lists and search.",
            value: shared.desk.pace().pauses(),
        },
    ];
    let readings: Vec<_> = readings.into_iter().chain(lag).collect();
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(shared.metrics.text(&readings, &shared.witnesses.borrow())))
}

/// Which gauge says how far publication is behind (TRAIL B4 #11).
const LAG: &str = "quan_oldest_unpublished_seconds";

/// How long the oldest unpublished entry has been waiting: 0 where there is none, nothing where the log cannot be read.
async fn oldest_unpublished(shared: &Shared, size: u64) -> Option<u64> {
    let published = *shared.published.borrow();
    if published >= size {
        return Some(0);
    }
    let store = Arc::clone(&shared.store);
    let read = web::block(move || {
        let bytes = log::entry(&mut *store.connection().ok()?, published);
        Entry::parse_own(&bytes.ok()??).ok()
    });
    let oldest = read.await.ok()??.at.unix();
    let now = shared.clock.now().ok()?.unix();
    u64::try_from(now.saturating_sub(oldest).max(0)).ok()
}
