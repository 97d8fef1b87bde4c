//! Datasets: published, delivered, accepted and used.

use serde_json::{Value, json};
use verifier::book::command::Kind;
use verifier::id::{DatasetId, DocumentDigest, OrderId, Sha256Hash};
use verifier::receipt::{self, DataAcceptance, DataDelivery, Jti, Nonce, Verdict};
use verifier::refusal::Refusal;

use super::compare::Done;
use super::exchange::{Who, document, signer};
use super::receipts::Usage;
use super::run::{Run, text};
use crate::story::ORIGIN;

const CONTENT: &[u8] = b"one line of a corpus\n";

impl Run {
    /// Publishes what a data order buys; returns its manifest.
    pub(super) fn dataset(
        &mut self,
        vendor: Who,
        order: &str,
        price_fen: &Value,
    ) -> DocumentDigest {
        let manifest = document(&format!("the manifest of {order}"));
        let publish = json!({
            "version": "1.0", "manifest": manifest, "bytes": CONTENT.len(), "price_fen": price_fen,
            "licence": document("training, no resale"),
        });
        self.exchange.done(vendor, Kind::PublishDataset, &publish);
        manifest
    }

    /// The vendor delivers, and the buyer accepts.
    pub(super) fn accepted(&mut self, step: &Value) -> Result<Done, Refusal> {
        let name = text(&step["order"]);
        let placing = self.placing(name);
        let (vendor, buyer) = (text(&placing["seller"]), text(&placing["buyer"]));
        let (order, digest) = (
            self.order(name),
            document(&format!("the manifest of {name}")),
        );
        let dataset = self.exchange.book.version(digest)?.dataset;
        let possession = self.deliver(vendor, order, (dataset, digest))?;
        let who = self.party(buyer);
        let claims = DataAcceptance {
            iss: who.0,
            aud: ORIGIN.into(),
            sub: order,
            seq: 0,
            prev: None,
            jti: Jti { order, seq: 0 },
            iat: self.exchange.at,
            digest,
            verdict: Verdict::Accepted,
            possession,
        };
        let signer = signer(&format!("acceptance of {buyer}"));
        let give = json!({ "jws": receipt::sign(&claims, &signer) });
        let given = self.exchange.ask(who, Kind::GiveAcceptance, &give)?;
        let found = serde_json::to_value(&given.found.stated).unwrap();
        Ok(self.stated(self.saw(&given), name, &found["claims"]))
    }

    /// Returns what only a holder of the bytes can say.
    fn deliver(
        &mut self,
        vendor: &str,
        order: OrderId,
        (dataset, digest): (DatasetId, DocumentDigest),
    ) -> Result<Sha256Hash, Refusal> {
        let (who, nonce) = (self.party(vendor), Nonce::new([7; 16]));
        let possession = Sha256Hash::of(&[nonce.bytes(), CONTENT].concat());
        let claims = DataDelivery {
            iss: who.0,
            aud: ORIGIN.into(),
            sub: order,
            seq: 0,
            prev: None,
            jti: Jti { order, seq: 0 },
            iat: self.exchange.at,
            dataset,
            version: "1.0".to_owned(),
            digest,
            bytes: CONTENT.len() as u64,
            delivered_at: self.exchange.at,
            ranges: document("all"),
            nonce,
            possession_hash: Sha256Hash::of(possession.bytes()),
        };
        let signer = signer(&format!("receipt of {vendor}"));
        let accept = json!({ "jws": receipt::sign(&claims, &signer) });
        self.exchange.ask(who, Kind::AcceptReceipt, &accept)?;
        Ok(possession)
    }

    /// Use of a dataset: a receipt for GPU time that its buyer ordered elsewhere names it.
    pub(super) fn proven(&mut self, step: &Value) -> Result<Done, Refusal> {
        let name = text(&step["order"]);
        let buyer = text(&self.placing(name)["buyer"]).to_owned();
        let fund = text(&self.file["funds"][0]["fund"]).to_owned();
        let order = self.beside(&buyer, "a provider", (&fund, 0));
        let mut usage = Usage::at_end(order, "a provider", (0, 1), self.exchange.at);
        usage.inputs = Some(vec![document(&format!("the manifest of {name}"))]);
        let used = self.send(&usage)?;
        let found = serde_json::to_value(&used.found.proven).unwrap();
        assert_eq!(found[0]["order"], json!(self.order(name)));
        Ok(self.stated(self.saw(&used), name, &found[0]["stated"]["claims"]))
    }
}
