//! Programmes as enacted: the file, what the office set, what is still open.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use verifier::book::Book;
use verifier::book::command::Command;
use verifier::book::entry::Entry;
use verifier::book::state::programme::{Enactment, Version};
use verifier::id::ProgrammeId;
use verifier::programme::{ProgrammeFile, Settlement};
use verifier::refusal::Refusal;

use super::Shared;
use super::access::store_fault;
use super::problem::Problem;
use super::read::Asking;
use crate::store::log;

/// `GET /v1/programmes`
pub(super) fn list(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let items = asking.book.programmes.iter().filter_map(|(id, enactment)| {
        let (number, version) = enactment.current()?;
        Some((id, Value::Object(header(id, enactment, number, version))))
    });
    Ok(asking.list(items))
}

fn header(
    id: &ProgrammeId,
    enactment: &Enactment,
    number: u32,
    version: &Version,
) -> Map<String, Value> {
    let header = &version.programme.header;
    super::read::object(json!({
        "programme": id, "version": number, "office": enactment.office,
        "closed_at": enactment.closed, "enacted_at": version.enacted_at, "seq": version.seq,
        "digest": version.digest, "name": header.name, "scheme": header.scheme,
        "status": header.status, "despite_status": version.despite_status,
        "issuer": header.issuer, "region": header.region,
    }))
}

/// `GET /v1/programmes/{id}`: the newest version. The file's text is not in the book, so it is read from its entry.
pub(super) async fn show(
    shared: Arc<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    super::read::seen(&shared, &request).await?;
    let id = request.match_info().get("id").unwrap_or_default();
    let id = ProgrammeId::parse(id).map_err(Refusal::from)?;
    let found = shared.desk.read(|book| current(book, &id)).await??;
    let (mut body, seq, size) = found;
    let store = Arc::clone(&shared.store);
    let bytes = web::block(move || log::entry(&mut *store.connection()?, seq))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(store_fault)?
        .ok_or_else(|| Problem::Internal(format!("entry {seq} is missing")))?;
    let asked = Entry::parse_own(&bytes)?.asked;
    let (toml, settled) =
        text(asked).ok_or_else(|| Problem::Internal(format!("entry {seq} holds no programme")))?;
    let file = ProgrammeFile::parse(&toml)?;
    let rows: Vec<Value> = file
        .rows()
        .into_iter()
        .map(|(path, value)| json!({ "path": path, "value": value }))
        .collect();
    // What the text leaves open: settled by the office, decided case by case, asked when it is needed, or just not known.
    body.extend(super::read::object(json!({
        "toml": toml, "rows": rows, "set_by_the_office": settled,
        "unknown": {
            "structural": file.unsettled(), "amounts": file.manual_amounts(),
            "later": file.late(), "header": file.unknown_header(),
        },
        "as_of": size.saturating_sub(1),
    })));
    Ok(HttpResponse::Ok().json(body))
}

fn text(asked: Command) -> Option<(String, Vec<Settlement>)> {
    if let Command::EnactProgramme(asked) = asked {
        return Some((asked.toml, asked.settled));
    }
    if let Command::AmendProgramme(asked) = asked {
        return Some((asked.toml, asked.settled));
    }
    None
}

fn current(book: &Book, id: &ProgrammeId) -> Result<(Map<String, Value>, u64, u64), Problem> {
    let enactment = book.programme(id)?;
    let (number, version) = enactment
        .current()
        .ok_or_else(|| Problem::Internal(format!("{id} has no version")))?;
    Ok((
        header(id, enactment, number, version),
        version.seq,
        book.size,
    ))
}
