//! A programme that wants its buyers to sign their orders: over HTTP, and offline afterwards.

use serde_json::{Value, json};
use verifier::book::command::{Command, Kind};
use verifier::id::{DocumentDigest, PartyId};
use verifier::receipt::{self, KeyUse, OrderSignature};
use verifier::signature::Signer;

use super::stage::{FEN_A_SECOND, Stage, example};
use crate::support::{Database, ORIGIN, register_key};

on_both!(an_order_is_taken_with_its_buyers_signature_where_its_programme_asks);

/// What the buyer of an order signs.
fn digest(asked: &Value) -> DocumentDigest {
    let text = asked.to_string();
    let command = Command::parse(Kind::PlaceOrder, text.as_bytes()).unwrap();
    let digest = if let Command::PlaceOrder(order) = command {
        order.digest().ok()
    } else {
        None
    };
    digest.unwrap()
}

fn an_order_is_taken_with_its_buyers_signature_where_its_programme_asks(database: &Database) {
    let stage = Stage::open(database, "2026-01-05T00:00:00Z");
    stage.fund("w13-city", "f-finance");
    let text = example("w13-capacity");
    let signed = text.replace("mode = \"deduct\"", "mode = \"deduct\", sign = [\"order\"]");
    assert_ne!(signed, text);
    stage.enact_text(&signed);
    let key = Signer::from_seed(&[6; 32]);
    register_key(&stage.exchange, &stage.buyer, KeyUse::Acceptance, &key);
    let offer = stage.offer(FEN_A_SECOND);
    let mut asked = json!({
        "seller": stage.provider.party,
        "segments": [{ "offer": offer, "from": "2026-01-05T00:00:00Z", "to": "2026-01-06T00:00:00Z" }],
        "claims": [{ "programme": "w13-capacity", "hold_fen": 1_000 }],
    });
    let buyer = &stage.buyer.client;
    buyer.refused("/v1/orders", &asked, "order.claims");
    let sign = |asked: &Value| {
        let said = OrderSignature {
            iss: PartyId::parse(&stage.buyer.party).unwrap(),
            aud: ORIGIN.to_owned(),
            iat: stage.exchange.clock.now().unwrap(),
            order: digest(asked),
        };
        json!(receipt::sign(&said, &key))
    };
    // The signature of another order is none of this one.
    let mut other = asked.clone();
    other["claims"][0]["hold_fen"] = json!(1);
    asked["jws"] = sign(&other);
    buyer.refused("/v1/orders", &asked, "receipt.digest");
    asked["jws"] = sign(&asked);
    let placed = buyer.done("/v1/orders", &asked);
    let path = format!("/v1/entries/{}", placed["seq"]);
    let entry = stage.regulator.client.get(&path).body["entry"].take();
    assert_eq!(entry["asked"]["jws"], asked["jws"]);
    stage.audit();
}
