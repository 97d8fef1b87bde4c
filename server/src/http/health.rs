//! How this server is: for whoever watches it, without a key.

use actix_web::HttpResponse;

use super::Shared;
use super::problem::Problem;
use crate::metrics::Reading;

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
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(shared.metrics.text(&readings, &shared.witnesses.borrow())))
}
