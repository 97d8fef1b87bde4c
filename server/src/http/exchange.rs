//! The exchange itself.

use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::read::{Asking, object};

/// `GET /v1/exchange`
pub(super) fn show(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let exchange = asking.book.exchange()?;
    let keys = asking.book.log_keys.all().iter();
    let keys: Vec<_> = keys
        .map(|key| json!({ "vkey": key.vkey, "from": key.from, "until": key.end.map(|(_, until)| until) }))
        .collect();
    Ok(object(json!({
        "origin": exchange.origin,
        "party": exchange.party,
        "delivery_kid": exchange.delivery_kid,
        "log_keys": keys,
        "utc_offset_min": exchange.offset,
        "entries": asking.book.size,
        "last_at": asking.book.last_at,
    })))
}
