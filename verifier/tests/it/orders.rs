//! Orders that their buyer signs: what `decide` says of a signature, and who asks for one.

use serde_json::{Value, json};
use verifier::audit::{Depth, Verdict, audit};
use verifier::book::command::{Command, Kind};
use verifier::book::entry::Entry;
use verifier::id::{DocumentDigest, PartyId};
use verifier::receipt::{self, DataAcceptance, Jti, OrderSignature};
use verifier::refusal::{Code, Refusal};
use verifier::signature::Signer;
use verifier::trail::policy::Policy;

use crate::scenarios::exchange::{FROM, TO, Who, document, signer};
use crate::story::{ORIGIN, Trail, policy_of};
use crate::town::{DAY, FACE, INSTRUMENT, PRICE, Town, programme};

const PROGRAMME: &str = "town-signed";

/// A town whose programme asks for the buyer's signature, and an order of it that is not placed yet.
struct Asked {
    town: Town,
    buyer: Who,
    place: Value,
}

impl Asked {
    fn new() -> Self {
        let mut town = Town::open();
        town.offer_of("seller");
        town.enact(PROGRAMME, &rules(r#"["order"]"#));
        let voucher = town.voucher("buyer", PROGRAMME, FACE);
        let (buyer, seller) = (town.party("buyer"), town.party("seller"));
        let offer = *town.exchange.book.offers.keys().next().unwrap();
        let place = json!({
            "seller": seller.0, "segments": [{ "offer": offer, "from": FROM, "to": TO }],
            "claims": [{ "voucher": voucher, "hold_fen": 100 * PRICE }],
        });
        Self { town, buyer, place }
    }

    fn digest(&self) -> DocumentDigest {
        digest(&self.place)
    }

    fn said(&self) -> OrderSignature {
        OrderSignature {
            iss: self.buyer.0,
            aud: ORIGIN.to_owned(),
            iat: self.town.now(),
            order: self.digest(),
        }
    }

    fn sent(&mut self, jws: &str) -> Result<Entry, Refusal> {
        self.place["jws"] = json!(jws);
        let (buyer, place) = (self.buyer, self.place.clone());
        self.town.exchange.ask(buyer, Kind::PlaceOrder, &place)
    }

    fn signed(&mut self, said: &OrderSignature, by: &Signer) -> Result<Entry, Refusal> {
        self.sent(&receipt::sign(said, by))
    }
}

/// Rules that want so much signed.
fn rules(sign: &str) -> String {
    let instrument = INSTRUMENT.replace("{ mode", &format!("{{ sign = {sign}, mode"));
    format!("scheme = \"compute\"\nbase = {{ of = [\"metered\"] }}\n{instrument}")
}

fn placed(payload: &Value) -> verifier::book::command::PlaceOrder {
    let text = serde_json::to_vec(payload).unwrap();
    let command = Command::parse(Kind::PlaceOrder, &text).unwrap();
    let placed = if let Command::PlaceOrder(asked) = command {
        Some(asked)
    } else {
        None
    };
    placed.unwrap()
}

fn digest(payload: &Value) -> DocumentDigest {
    placed(payload).digest().unwrap()
}

fn key() -> Signer {
    signer("acceptance of buyer")
}

#[test]
fn a_signed_order_is_of_the_digest_without_its_signature() {
    let mut asked = Asked::new();
    let (said, digest) = (asked.said(), asked.digest());
    let entry = asked.signed(&said, &key()).unwrap();
    assert_eq!(self::digest(&asked.place), digest);
    let Command::PlaceOrder(read) = entry.asked else {
        panic!("{}", entry.asked.kind().as_str());
    };
    assert!(read.jws.is_some());
    assert_eq!(read.digest().unwrap(), digest);
    // Canonical JSON of the members in their order, without those that are absent.
    let text = format!(
        r#"{{"seller":"{}","segments":[{{"offer":{},"from":"{FROM}","to":"{TO}"}}],"claims":[{{"voucher":{},"hold_fen":{}}}]}}"#,
        read.seller,
        asked.place["segments"][0]["offer"],
        asked.place["claims"][0]["voucher"],
        100 * PRICE,
    );
    assert_eq!(DocumentDigest::of(text.as_bytes()), digest);
}

#[test]
fn a_signature_that_is_not_the_buyers_of_this_order_is_refused() {
    let asked = Asked::new();
    let said = asked.said();
    let other = {
        let mut other = Asked::new();
        other.place["claims"][0]["hold_fen"] = json!(1);
        other.digest()
    };
    let now = said.iat;
    let with = |change: &dyn Fn(&mut OrderSignature)| {
        let mut said = said.clone();
        change(&mut said);
        said
    };
    let seller: PartyId = Asked::new().town.id("seller");
    let cases = [
        (
            Code::ReceiptKeyUnknown,
            said.clone(),
            signer("nobody's key"),
        ),
        (
            Code::ReceiptKeyUnknown,
            said.clone(),
            signer("receipt of buyer"),
        ),
        (
            Code::ReceiptAudience,
            with(&|said| said.aud = "other/quan".to_owned()),
            key(),
        ),
        (Code::ReceiptIssuer, with(&|said| said.iss = seller), key()),
        (
            Code::ReceiptIssuer,
            said.clone(),
            signer("acceptance of seller"),
        ),
        (
            Code::AccessParty,
            with(&|said| said.iss = seller),
            signer("acceptance of seller"),
        ),
        (
            Code::ReceiptPeriod,
            with(&|said| said.iat = now.after(301)),
            key(),
        ),
        (Code::ReceiptDigest, with(&|said| said.order = other), key()),
    ];
    for (code, said, by) in cases {
        let mut asked = Asked::new();
        let before = asked.town.exchange.book.size;
        let refusal = asked.signed(&said, &by).unwrap_err();
        assert_eq!(refusal.code, code, "{refusal}");
        assert_eq!(asked.town.exchange.book.size, before);
        // The same order, well signed, is taken.
        let said = asked.said();
        asked.signed(&said, &key()).unwrap();
    }
}

#[test]
fn another_statement_or_signature_is_none_of_an_order() {
    let mut asked = Asked::new();
    let said = asked.said();
    let forged = receipt::sign_by(&said, key().public().kid(), |message| {
        signer("a forger").sign(message)
    });
    assert_eq!(
        asked.sent(&forged).unwrap_err().code,
        Code::ReceiptSignature
    );
    let order = verifier::id::OrderId::draw(&verifier::id::Salt::new([1; 16]), 0, 0);
    let acceptance = DataAcceptance {
        iss: said.iss,
        aud: said.aud.clone(),
        sub: order,
        seq: 0,
        prev: None,
        jti: Jti { order, seq: 0 },
        iat: said.iat,
        digest: said.order,
        verdict: receipt::Verdict::Accepted,
        possession: *said.order.hash(),
    };
    let other = receipt::sign(&acceptance, &key());
    assert_eq!(asked.sent(&other).unwrap_err().code, Code::ReceiptMalformed);
}

#[test]
fn an_order_is_signed_at_most_a_day_before_it_comes() {
    let mut asked = Asked::new();
    // A key signs only from its registration on: that was now.
    let said = asked.said();
    asked.town.pass(DAY + 1);
    let refusal = asked.signed(&said, &key()).unwrap_err();
    assert_eq!(refusal.code, Code::ReceiptPeriod);
    let mut asked = Asked::new();
    let said = asked.said();
    asked.town.pass(DAY);
    asked.signed(&said, &key()).unwrap();
}

#[test]
fn an_order_without_a_signature_is_refused_where_a_programme_asks_for_it() {
    let mut asked = Asked::new();
    let (buyer, place) = (asked.buyer, asked.place.clone());
    let refused = asked.town.exchange.ask(buyer, Kind::PlaceOrder, &place);
    let refusal = refused.unwrap_err();
    assert_eq!(refusal.code, Code::OrderClaims);
    assert_eq!(refusal.values, [("programme", PROGRAMME.to_owned())]);
    // No programme of this one asks.
    asked.town.order("buyer", "seller");
}

#[test]
fn a_programme_that_wants_more_signed_is_not_enacted() {
    let mut town = Town::open();
    let office = town.exchange.office;
    let toml = programme(PROGRAMME, &rules(r#"["order", "acceptance"]"#));
    let enact = json!({ "toml": toml, "digest": document(&toml), "despite_status": true });
    let refused = town.exchange.ask(office, Kind::EnactProgramme, &enact);
    assert_eq!(refused.unwrap_err().code, Code::ProgrammeNeedsProcedure);
}

#[test]
fn a_missing_or_forged_signature_in_a_trail_is_a_difference() {
    let mut asked = Asked::new();
    let said = asked.said();
    asked.signed(&said, &key()).unwrap();
    let forged = receipt::sign_by(&said, key().public().kid(), |message| {
        signer("a forger").sign(message)
    });
    for (jws, code) in [(None, "order.claims"), (Some(forged), "receipt.signature")] {
        let mut entries = asked.town.exchange.entries.clone();
        let mut entry = Entry::parse(&entries.pop().unwrap()).unwrap();
        let Command::PlaceOrder(placed) = &mut entry.asked else {
            panic!("{}", entry.asked.kind().as_str());
        };
        placed.jws = jws.map(|jws| jws.parse().unwrap());
        entries.push(entry.to_bytes().unwrap());
        let mut trail = Trail::named(ORIGIN, &entries);
        let policy = Policy::parse(policy_of(ORIGIN).as_bytes()).unwrap();
        let Ok(report) = audit(&mut trail, &policy, Depth::Decisions);
        let codes: Vec<_> = report.differences.iter().map(|of| of.code).collect();
        assert_eq!(codes, [code]);
    }
    let mut trail = Trail::named(ORIGIN, &asked.town.exchange.entries);
    let policy = Policy::parse(policy_of(ORIGIN).as_bytes()).unwrap();
    let Ok(report) = audit(&mut trail, &policy, Depth::Decisions);
    assert_eq!(report.verdict, Verdict::Agree, "{:?}", report.differences);
}
