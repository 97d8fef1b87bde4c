//! What routes with a handler of their own take and give: their parsers are private to their files, so it stands here by hand.

use serde_json::{Map, Value, json};

/// A member of a body: its name, its JSON type, whether it may be left out, and what it is.
type Member = (&'static str, &'static str, bool, &'static str);

const MANIFEST: Member = (
    "manifest",
    "string",
    false,
    "The version: sha-256: and 64 hexadecimal digits.",
);

/// The JSON bodies of these routes; each is answered with 201.
const BODIES: &[(&str, &[Member])] = &[
    (
        "/v1/handles",
        &[(
            "handle",
            "string",
            false,
            "3 to 48 of a-z, 0-9 and -; one a party, first come.",
        )],
    ),
    (
        "/v1/listings",
        &[
            (
                "name",
                "string",
                false,
                "3 to 48 of a-z, 0-9 and -; the same name again changes the draft.",
            ),
            (
                "card",
                "object",
                false,
                "What a vendor says of a dataset; a draft may leave out any member.",
            ),
        ],
    ),
    (
        "/v1/documents",
        &[(
            "text",
            "string",
            false,
            "The text; its SHA-256 is its name.",
        )],
    ),
    (
        "/v1/listings/{handle}/{name}/files",
        &[
            ("upload", "string", false, "A complete upload of one's own."),
            (
                "path",
                "string",
                false,
                "Where it stands in the dataset: relative, NFC, at most 1024 bytes.",
            ),
        ],
    ),
    (
        "/v1/listings/{handle}/{name}/submit",
        &[
            (
                "version",
                "string",
                false,
                "SemVer 2.0.0, as much higher as the files changed.",
            ),
            ("price_fen", "integer", false, "The price of one licence."),
        ],
    ),
    (
        "/v1/links",
        &[
            MANIFEST,
            ("path", "string", false, "A file of that version."),
        ],
    ),
    (
        "/v1/samples",
        &[
            MANIFEST,
            (
                "nonce",
                "string",
                false,
                "16 bytes of the buyer's own, base64url without padding: 22 characters.",
            ),
            (
                "rows",
                "integer",
                true,
                "1 to 200 rows; 100 where it is left out, all where there are fewer.",
            ),
        ],
    ),
    (
        "/v1/samples/{id}/verdicts",
        &[(
            "verdicts",
            "array",
            false,
            "Every row drawn, once: [row, \"pass\" or \"fail\"].",
        )],
    ),
];

/// Routes that answer something else than JSON.
const MEDIA: &[(&str, &str)] = &[("/v1/orders/{id}/pack.zip", "application/zip")];

/// Parameters of queries.
const QUERIES: &[(&str, &str, &str)] = &[(
    "/v1/orders/{id}/pack.zip",
    "manifest",
    "Which version of the order; needed where it has several.",
)];

/// The body of a POST route, where it is JSON.
pub(super) fn body(path: &str) -> Option<Value> {
    let (_, members) = BODIES.iter().find(|(of, _)| *of == path)?;
    let property = |(name, kind, _, says): &Member| {
        (
            (*name).to_owned(),
            json!({ "type": kind, "description": says }),
        )
    };
    let properties: Map<String, Value> = members.iter().map(property).collect();
    let required = members.iter().filter(|(_, _, is_optional, _)| !is_optional);
    let required: Vec<&str> = required.map(|(name, ..)| *name).collect();
    let schema = json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    });
    Some(json!({ "application/json": { "schema": schema } }))
}

/// The media type of an answer.
pub(super) fn media(path: &str) -> Option<&'static str> {
    let found = MEDIA.iter().find(|(of, _)| *of == path);
    found.map(|(_, media)| *media)
}

/// The parameters of a query.
pub(super) fn queries(path: &str) -> impl Iterator<Item = Value> {
    let of_path = QUERIES.iter().filter(move |(of, ..)| *of == path);
    of_path.map(|(_, name, says)| {
        json!({ "name": name, "in": "query", "description": says, "schema": { "type": "string" } })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{ROUTES, Verb};

    #[test]
    fn what_is_described_is_a_route() {
        let posts = BODIES.iter().map(|(path, _)| (*path, Verb::Post));
        let gets = MEDIA.iter().map(|(path, _)| (*path, Verb::Get));
        let gets = gets.chain(QUERIES.iter().map(|(path, ..)| (*path, Verb::Get)));
        for (path, verb) in posts.chain(gets) {
            let is_there = |route: &&crate::http::Route| route.path == path && route.method == verb;
            assert!(ROUTES.iter().any(|route| is_there(&route)), "{path}");
        }
        let sample = body("/v1/samples").unwrap();
        let schema = &sample["application/json"]["schema"];
        assert_eq!(schema["required"], json!(["manifest", "nonce"]));
        assert_eq!(body("/v1/uploads"), None);
    }
}
