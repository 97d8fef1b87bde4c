//! rdflib: the catalogue is a graph in which no mandatory property of DCAT-AP is missing.

use crate::support::{Database, Exchange, Foreign, Vendor};

#[test]
fn rdflib_finds_every_mandatory_property_of_dcat_ap() {
    let exchange = Exchange::start(&Database::sqlite());
    let office = exchange.member(&["office"]).client;
    for (handle, rows) in [
        ("first-data", "{\"a\":1}\n"),
        ("second-data", "{\"a\":2}\n"),
    ] {
        let vendor = Vendor::open(&exchange, handle);
        vendor.list(&office, "dialogues", &[("a b/评分.jsonl", rows.as_bytes())]);
    }
    Foreign::script("dcat.py")
        .env("QUAN_URL", format!("http://{}", exchange.address()))
        .env("QUAN_LISTINGS", "2")
        .succeeds();
}
