//! The route table as an OpenAPI 3.1 document.

mod own;

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};
use verifier::book::command::{Command, Kind};

use super::problem::{PROBLEM_JSON, Written};
use super::receipt::LineOutcome;
use super::trail::Part;
use super::{Does, ROUTES, Route, Verb};

/// The document for [`ROUTES`].
#[must_use]
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.template()).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(route.method.as_str().to_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Quan",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An exchange for compute and data vouchers. Money in fen, times in UTC, integers only.",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn schemas() -> Value {
    let mut schemas: Vec<(String, RefOr<Schema>)> = vec![
        (Written::name().into_owned(), Written::schema()),
        (LineOutcome::name().into_owned(), LineOutcome::schema()),
    ];
    Written::schemas(&mut schemas);
    LineOutcome::schemas(&mut schemas);
    let named = schemas.into_iter().map(|(name, schema)| {
        let name = if name == Written::name() {
            "Problem".to_owned()
        } else {
            name
        };
        (name, serde_json::to_value(schema).unwrap_or_default())
    });
    let mut all: Map<String, Value> = named.collect();
    all.insert("Accepted".to_owned(), accepted());
    all.insert("RefusalProof".to_owned(), refusal_proof());
    Value::Object(all)
}

fn accepted() -> Value {
    json!({
        "type": "object",
        "description": "The entry that a command became: a pure function of the entry.",
        "required": ["seq", "at", "type", "found", "trail", "as_of"],
        "properties": {
            "seq": { "type": "integer" },
            "at": { "type": "string", "format": "date-time" },
            "type": { "type": "string", "description": "e.g. order.placed" },
            "found": { "type": "object", "description": "What was decided: ids, amounts, the trace." },
            "trail": {
                "type": "object",
                "properties": {
                    "origin": { "type": "string" },
                    "index": { "type": "integer" },
                    "leaf_hash": { "type": "string", "description": "RFC 6962, base64url" },
                },
            },
            "as_of": { "type": "integer" },
        },
    })
}

fn refusal_proof() -> Value {
    json!({
        "type": "object",
        "description": "That a refusal is under a seal (RFC 9162 §2.1.3.1).",
        "required": ["seal", "index", "size", "hashes"],
        "properties": {
            "seal": { "type": "integer", "description": "The entry refusals.sealed." },
            "index": { "type": "integer" },
            "size": { "type": "integer" },
            "hashes": { "type": "array", "items": { "type": "string", "description": "base64url" } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = Map::new();
    operation.insert("summary".to_owned(), route.summary.into());
    operation.insert("operationId".to_owned(), operation_id(route).into());
    operation.insert(
        "security".to_owned(),
        if route.is_public() {
            json!([])
        } else {
            json!([{ "key": [] }])
        },
    );
    operation.insert("parameters".to_owned(), parameters(route));
    if let Some(body) = request_body(route) {
        operation.insert("requestBody".to_owned(), body);
    }
    operation.insert("responses".to_owned(), responses(route));
    Value::Object(operation)
}

fn operation_id(route: &Route) -> String {
    if let Does::Command(kind) = route.does {
        return kind.as_str().replace('.', "_");
    }
    let path = route
        .template()
        .trim_start_matches("/v1")
        .replace(['{', '}', '.'], "");
    let method = route.method.as_str().to_lowercase();
    format!("{method}{}", path.replace(['/', '-'], "_"))
}

fn parameters(route: &Route) -> Value {
    let text = json!({ "type": "string" });
    let mut parameters = Vec::new();
    for part in route.template().split('/') {
        if let Some(name) = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            let mut parameter =
                json!({ "name": name, "in": "path", "required": true, "schema": text });
            if let Does::Trail(
                part @ (Part::Tile | Part::Bundle | Part::Redacted | Part::History),
            ) = route.does
            {
                parameter["description"] = place(part).into();
            }
            parameters.push(parameter);
        }
    }
    if let Does::Command(_) = route.does {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        }));
    }
    if waits(route) {
        parameters.push(json!({
            "name": "Quan-Min-Seq", "in": "header", "schema": { "type": "integer", "minimum": 0 },
            "description": "Waits until what is read holds that entry.",
        }));
    }
    if let Does::List(list) = route.does {
        for name in list.filters() {
            parameters.push(json!({ "name": name, "in": "query", "schema": text }));
        }
    }
    if let Does::Own(..) = route.does {
        parameters.extend(own::queries(route.path));
    }
    if let Does::Read(..) | Does::List(_) = route.does {
        parameters.push(json!({ "name": "after", "in": "query", "schema": text }));
        parameters.push(json!({
            "name": "limit", "in": "query",
            "schema": { "type": "integer", "minimum": 1, "maximum": 1000 },
        }));
    }
    Value::Array(parameters)
}

/// Where a tile or bundle stands, in the one spelling of C2SP tlog-tiles. It holds slashes, which OpenAPI has no word for.
const fn place(part: Part) -> &'static str {
    match part {
        Part::Tile => {
            "<L>/<N>[.p/<W>]: level 0 to 63; number in groups of three digits, all but the last after an x, e.g. x001/x234/067; width 1 to 255. Slashes stand as they are."
        }
        Part::Redacted => {
            "<scope>/<N>[.p/<W>]: scope common, fund/<id> or region/<six digits>; number and width as of a tile of level 0. Slashes stand as they are."
        }
        Part::History => {
            "count, or <N>[.p/<W>]: number and width as of a tile of level 0. Slashes stand as they are."
        }
        Part::Bundle | Part::Checkpoint | Part::Proof => {
            "<N>[.p/<W>]: number and width as of a tile of level 0. Slashes stand as they are."
        }
    }
}

/// Whether a read waits for the entry that `Quan-Min-Seq` names.
const fn waits(route: &Route) -> bool {
    match route.does {
        Does::Read(..)
        | Does::List(_)
        | Does::Entry
        | Does::Programme
        | Does::Trail(Part::Proof) => true,
        Does::Trail(
            Part::Checkpoint | Part::Tile | Part::Bundle | Part::Redacted | Part::History,
        )
        | Does::Command(_)
        | Does::Signed(_)
        | Does::MakeKey
        | Does::RemoveKey
        | Does::Quote
        | Does::Own(..)
        | Does::RefusalProof
        | Does::Health
        | Does::Metrics
        | Does::OpenApi => false,
    }
}

fn request_body(route: &Route) -> Option<Value> {
    let jws = json!({ "schema": { "type": "string", "description": "A compact JWS (RFC 7515)." } });
    let content = match route.does {
        Does::Signed(Kind::AcceptReceipt) => {
            json!({ "application/jose": jws, "application/x-ndjson": jws })
        }
        Does::Signed(_) => json!({ "application/jose": jws }),
        Does::Command(kind) => json!({ "application/json": { "schema": payload(kind) } }),
        Does::Quote | Does::MakeKey | Does::RemoveKey => {
            json!({ "application/json": { "schema": { "type": "object" } } })
        }
        Does::Own(..) if route.method == Verb::Post => own::body(route.path)?,
        Does::Read(..)
        | Does::List(_)
        | Does::Own(..)
        | Does::Entry
        | Does::Trail(_)
        | Does::RefusalProof
        | Does::Programme
        | Does::Health
        | Does::Metrics
        | Does::OpenApi => return None,
    };
    Some(json!({ "required": true, "content": content }))
}

/// The payload of a kind: exactly its members, nothing else. They are asked of the parser itself, so they cannot differ.
fn payload(kind: Kind) -> Value {
    let complaint = complaint(kind, &json!({ "?": 0 }));
    let listed = complaint.split("expected").nth(1).unwrap_or_default();
    let members: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    let properties: Map<String, Value> = members
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "type": types(kind, name) })))
        .collect();
    json!({
        "type": "object", "title": kind.as_str(), "properties": properties,
        "additionalProperties": false,
    })
}

/// The JSON types that a member may have.
fn types(kind: Kind, member: &str) -> Vec<&'static str> {
    let examples = [
        ("string", json!("")),
        ("integer", json!(0)),
        ("boolean", json!(true)),
        ("array", json!([])),
        ("object", json!({ "?": 0 })),
        ("null", Value::Null),
    ];
    let taken = examples.into_iter().filter(|(_, example)| {
        let complaint = complaint(kind, &json!({ member: example }));
        let is_other = [
            "invalid type",
            "did not match any variant",
            "null, a boolean",
        ];
        !is_other.iter().any(|words| complaint.contains(words))
    });
    let mut taken: Vec<_> = taken.map(|(name, _)| name).collect();
    if taken.contains(&"object") {
        // An empty array is refused for another reason: it has too few members for an object.
        taken.retain(|name| *name != "array");
    }
    taken
}

fn complaint(kind: Kind, payload: &Value) -> String {
    let read = Command::parse(kind, payload.to_string().as_bytes());
    read.err()
        .map(|fault| fault.to_string())
        .unwrap_or_default()
}

fn responses(route: &Route) -> Value {
    let problem = json!({
        "description": "Refused, or failed: `code` says which.",
        "content": { PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let json_of = |schema: Value| json!({ "application/json": { "schema": schema } });
    let entered = json!({
        "description": "Durable: the entry.",
        "content": json_of(json!({ "$ref": "#/components/schemas/Accepted" })),
    });
    let mut responses = Map::new();
    match route.does {
        Does::Command(_) => {
            responses.insert("201".to_owned(), entered);
        }
        Does::Signed(_) => {
            responses.insert("201".to_owned(), entered.clone());
            let mut known = entered;
            known["description"] = "Sent before: its entry. In bulk: one outcome a line.".into();
            let line = json!({ "schema": { "$ref": "#/components/schemas/LineOutcome" } });
            known["content"]["application/x-ndjson"] = line;
            responses.insert("200".to_owned(), known);
        }
        Does::Trail(part) => trail(part, &mut responses),
        Does::Metrics => {
            responses.insert(
                "200".to_owned(),
                json!({ "description": "Prometheus text." }),
            );
        }
        Does::Quote
        | Does::MakeKey
        | Does::RemoveKey
        | Does::Read(..)
        | Does::List(_)
        | Does::Own(..)
        | Does::Entry
        | Does::RefusalProof
        | Does::Programme
        | Does::Health
        | Does::OpenApi => {
            let (status, body) = given(route);
            responses.insert(status.to_owned(), body);
        }
    }
    responses.insert("default".to_owned(), problem);
    signed(route, &mut responses);
    Value::Object(responses)
}

/// What a route gives that is neither a command nor a part of the trail.
fn given(route: &Route) -> (&'static str, Value) {
    let is_own = matches!(route.does, Does::Own(..)) && own::body(route.path).is_some();
    let makes = route.method == Verb::Post && (is_own || matches!(route.does, Does::MakeKey));
    let schema = if let Does::RefusalProof = route.does {
        json!({ "$ref": "#/components/schemas/RefusalProof" })
    } else {
        json!({ "type": "object" })
    };
    let content = match own::media(route.path) {
        Some(media) => json!({ media: {} }),
        None => json!({ "application/json": { "schema": schema } }),
    };
    let status = if makes { "201" } else { "200" };
    (
        status,
        json!({ "description": "The answer.", "content": content }),
    )
}

/// Every answer to a command is signed, also a refusal; and refusals have an end.
fn signed(route: &Route, responses: &mut Map<String, Value>) {
    if !matches!(route.does, Does::Command(_) | Does::Signed(_)) {
        return;
    }
    let often = json!({
        "description": "Refused, and as often as is kept within an hour: `access.too-often`. What is good is accepted meanwhile.",
        "headers": { "Retry-After": { "schema": { "type": "integer" } } },
        "content": { PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    responses.insert("429".to_owned(), often);
    for response in responses.values_mut() {
        response["headers"]["Quan-Reply"] = json!({
            "schema": { "type": "string" },
            "description": "The signed reply: a compact JWS of typ reply+jwt.",
        });
    }
}

/// What is there with its cache header, and what may not be there yet with the time to ask again.
fn trail(part: Part, responses: &mut Map<String, Value>) {
    let text = json!({ "type": "string" });
    let essence = part.media_type().split(';').next().unwrap_or_default();
    let schema = if essence == "text/plain" {
        json!({ "schema": text })
    } else {
        json!({})
    };
    let found = json!({
        "description": "The bytes.",
        "headers": { "Cache-Control": { "schema": { "const": part.cache() } } },
        "content": { essence: schema },
    });
    responses.insert("200".to_owned(), found);
    if part == Part::Checkpoint {
        return;
    }
    let absent = json!({
        "description": "Not there, or no canonical path. With Retry-After: not yet published.",
        "headers": { "Retry-After": { "schema": { "type": "integer" } } },
        "content": { PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    responses.insert("404".to_owned(), absent);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_document() {
        let document = document();
        for route in ROUTES {
            let method = route.method.as_str().to_lowercase();
            assert!(
                document["paths"][route.template()][&method]["responses"].is_object(),
                "{}",
                route.path
            );
        }
        let order = payload(Kind::PlaceOrder);
        assert_eq!(order["properties"]["seller"]["type"], json!(["string"]));
        assert_eq!(
            order["properties"]["contract"]["type"],
            json!(["object", "null"])
        );
        assert_eq!(
            payload(Kind::LapseFund)["properties"]["fen"]["type"],
            json!(["integer"])
        );
        let value = &payload(Kind::RecordFact)["properties"]["value"]["type"];
        assert_eq!(
            *value,
            json!(["string", "integer", "boolean", "array", "null"])
        );
        for kind in Kind::ALL {
            assert!(payload(*kind)["properties"]["?"].is_null());
            assert_ne!(payload(*kind)["properties"], json!({}), "{}", kind.as_str());
        }
        for name in ["Problem", "LineOutcome", "Accepted", "Check", "Expected"] {
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name}"
            );
        }
    }
}
