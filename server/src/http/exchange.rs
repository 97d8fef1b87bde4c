//! The exchange itself.

use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::read::{Asking, object};

/// `GET /v1/exchange`
pub(super) fn show(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let exchange = asking.book.exchange()?;
    Ok(object(json!({
        "origin": exchange.origin,
        "party": exchange.party,
        "delivery_kid": exchange.delivery_kid,
        "utc_offset_min": exchange.offset,
        "entries": asking.book.size,
        "last_at": asking.book.last_at,
    })))
}
