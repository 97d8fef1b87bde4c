//! Who may ask and see what: the table role × command, cell by cell, default deny (DESIGN §7).

use serde_json::json;
use server::http::{Does, ROUTES};
use verifier::book::access::roles;
use verifier::book::command::Role;

use crate::support::{Database, Exchange};

on_both!(
    everything_that_is_answered_is_in_the_openapi_document_and_the_other_way_round,
    only_a_regulator_reads_bundles,
    every_cell_of_role_and_command_is_as_the_table_says,
    nothing_but_what_is_public_is_answered_without_a_key,
    a_key_ends_with_its_actor_and_with_its_removal,
    only_the_exchange_makes_keys_and_only_for_roles_that_the_actor_has,
    a_suspended_party_asks_for_nothing,
);

/// A path of a template, for an object that need not exist.
fn filled(template: &str) -> String {
    let mut path = template.replace("{id}", "x").replace("{seq}", "0");
    for name in [
        "handle", "name", "version", "rev", "revision", "path", "manifest", "token", "digest",
    ] {
        path = path.replace(&format!("{{{name}}}"), "x");
    }
    if path.contains("entries/{place}") {
        path.replace("{place}", "000.p/1")
    } else if path.starts_with("/history/") {
        path.replace("{place}", "count")
    } else {
        path.replace("{place}", "0/000.p/1")
    }
}

fn everything_that_is_answered_is_in_the_openapi_document_and_the_other_way_round(
    database: &Database,
) {
    let mut exchange = Exchange::start(database);
    // A stop publishes what was committed: entry 0.
    exchange.restart();
    let document = exchange.nobody().get("/openapi.json").body;
    let paths = document["paths"].as_object().unwrap();
    let mut documented = 0;
    for (template, methods) in paths {
        for method in ["get", "post", "head", "patch", "delete", "options"] {
            let (client, path) = (exchange.nobody(), filled(template));
            let answer = match method {
                "get" => client.get(&path),
                "post" => client.post(&path, &json!({})),
                other => client.by(&other.to_uppercase(), &path),
            };
            // A path that nobody routes is 404, a method that nobody routes 405. An answer to HEAD names no code.
            let answered = answer.status != 405 && answer.code() != "request.path";
            let operation = &methods[method];
            assert_eq!(answered, operation.is_object(), "{method} {path}");
            documented += usize::from(answered);
            // The document says who may come without a key.
            if answered {
                let open = operation["security"] == json!([]);
                assert_eq!(open, answer.status != 401, "{method} {path}");
            }
        }
    }
    assert_eq!(documented, ROUTES.len());
}

fn only_a_regulator_reads_bundles(database: &Database) {
    let exchange = Exchange::start(database);
    for role in Role::ALL {
        let client = if role == Role::Exchange {
            exchange.operator()
        } else {
            exchange.member(&[role.as_str()]).client
        };
        let answer = client.get("/tile/entries/x999/999");
        let expected = if role == Role::Regulator {
            (404, "request.path")
        } else {
            (403, "access.role")
        };
        assert_eq!(
            (answer.status, answer.code()),
            expected,
            "{}",
            role.as_str()
        );
    }
}

fn every_cell_of_role_and_command_is_as_the_table_says(database: &Database) {
    let exchange = Exchange::start(database);
    for role in Role::ALL {
        let client = if role == Role::Exchange {
            exchange.operator()
        } else {
            exchange.member(&[role.as_str()]).client
        };
        for route in ROUTES {
            let Does::Command(kind) = route.does else {
                continue;
            };
            // Nobody's command: it is well-formed for none, so whoever may ask hears of its form.
            let answer = client.post(route.path, &json!({ "nothing": 0 }));
            let expected = if roles(kind).contains(&role) {
                "request.malformed"
            } else {
                "access.role"
            };
            assert_eq!(answer.code(), expected, "{} {}", role.as_str(), route.path);
        }
    }
}

fn nothing_but_what_is_public_is_answered_without_a_key(database: &Database) {
    let exchange = Exchange::start(database);
    let nobody = exchange.nobody();
    let slip = exchange.client(Some("quan_buyer_0000"));
    let stranger = exchange.client(Some(
        server::keys::Token::draw("exchange").unwrap().expose(),
    ));
    for route in ROUTES {
        let path = filled(&route.template());
        let public = route.is_public();
        for client in [&nobody, &slip, &stranger] {
            let answer = match route.method.as_str() {
                "GET" => client.get(&path),
                "POST" => client.post(&path, &json!({})),
                other => client.by(other, &path),
            };
            let keyless = std::ptr::eq(client, &nobody);
            if public && keyless {
                assert_ne!(answer.status, 401, "{path}");
            } else if !public && route.method.as_str() == "HEAD" {
                // Its answer has no body.
                assert_eq!(answer.status, 401, "{path}");
            } else if !public {
                assert_eq!(answer.status, 401, "{path}");
                assert_eq!(answer.code(), "access.unknown", "{path}");
            }
        }
    }
}

fn a_key_ends_with_its_actor_and_with_its_removal(database: &Database) {
    let exchange = Exchange::start(database);
    let (operator, buyer) = (exchange.operator(), exchange.member(&["buyer"]));
    let path = format!("/v1/parties/{}", buyer.party);
    assert_eq!(buyer.client.get(&path).status, 200);
    let made = operator
        .post(
            "/v1/api-keys",
            &json!({ "actor": buyer.actor, "role": "buyer" }),
        )
        .body;
    let second = exchange.client(made["key"].as_str());
    assert_eq!(second.get(&path).status, 200);
    operator.post("/v1/api-keys/remove", &json!({ "hash": made["hash"] }));
    assert_eq!(second.get(&path).code(), "access.unknown");
    assert_eq!(buyer.client.get(&path).status, 200);
    operator.done("/v1/actors/remove", &json!({ "actor": buyer.actor }));
    assert_eq!(buyer.client.get(&path).code(), "access.unknown");
}

fn only_the_exchange_makes_keys_and_only_for_roles_that_the_actor_has(database: &Database) {
    let exchange = Exchange::start(database);
    let (operator, buyer) = (exchange.operator(), exchange.member(&["buyer"]));
    let asked = json!({ "actor": buyer.actor, "role": "buyer" });
    assert_eq!(
        buyer.client.post("/v1/api-keys", &asked).code(),
        "access.role"
    );
    for (body, code) in [
        (
            json!({ "actor": buyer.actor, "role": "finance" }),
            "access.role",
        ),
        (
            json!({ "actor": "act-aaaaaaaaaaaaaaaa", "role": "buyer" }),
            "actor.unknown",
        ),
        (
            json!({ "actor": buyer.actor, "role": "king" }),
            "request.malformed",
        ),
        (
            json!({ "actor": buyer.actor, "role": "buyer", "label": "x".repeat(65) }),
            "request.malformed",
        ),
    ] {
        assert_eq!(operator.post("/v1/api-keys", &body).code(), code, "{body}");
    }
}

fn a_suspended_party_asks_for_nothing(database: &Database) {
    let exchange = Exchange::start(database);
    let (operator, funder) = (exchange.operator(), exchange.member(&["funder"]));
    let suspend = |suspended| {
        operator.done(
            "/v1/parties/suspend",
            &json!({ "party": funder.party, "suspended": suspended }),
        );
    };
    suspend(true);
    funder.client.refused(
        "/v1/funds",
        &json!({ "fund": "sh-2026", "funder": "shanghai" }),
        "party.suspended",
    );
    suspend(false);
    funder.client.done(
        "/v1/funds",
        &json!({ "fund": "sh-2026", "funder": "shanghai" }),
    );
}
