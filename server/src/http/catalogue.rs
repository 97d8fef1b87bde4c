//! The programme files that ship with the exchange, enacted here or not: what each says and what it leaves open.

use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use verifier::programme::ProgrammeFile;

use super::problem::Problem;
use super::read::Asking;
use crate::catalogue;

/// Every file that loads, once; a test loads them all.
static FILES: LazyLock<Vec<(&'static str, ProgrammeFile)>> = LazyLock::new(|| {
    let files = catalogue::FILES.iter();
    let mut files: Vec<_> = files
        .filter_map(|(id, text)| Some((*id, ProgrammeFile::parse(text).ok()?)))
        .collect();
    files.sort_by_key(|(id, _)| *id);
    files
});

/// `GET /v1/catalogue`
pub(super) fn list(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let programmes = &asking.book.programmes;
    let items = FILES.iter().map(|(id, file)| {
        let header = file.header();
        let item = json!({
            "programme": header.id, "enacted": programmes.contains_key(&header.id), "name": header.name,
            "scheme": header.scheme, "status": header.status, "region": header.region,
            "unknown": {
                "structural": file.unsettled(), "amounts": file.manual_amounts(),
                "later": file.late(), "header": file.unknown_header(),
            },
        });
        (id, item)
    });
    Ok(asking.list(items))
}
