//! What the exchange answers about itself at the end: its programmes, its orders, its funds.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Fault;
use super::cast::Cast;
use super::client::Client;
use super::compute::Placed;

/// A fund's money by class of account, in fen (DESIGN §4.1).
pub(super) type Classes = BTreeMap<String, i64>;

/// Everything that the page shows and the exchange knows.
pub(super) struct Answers {
    pub(super) programmes: Vec<Enacted>,
    /// Files that ship without rules of their own.
    pub(super) pending: Vec<String>,
    pub(super) bills: Vec<Bill>,
    pub(super) funds: BTreeMap<String, Classes>,
}

/// A programme as enacted.
#[derive(Deserialize)]
pub(super) struct Enacted {
    pub(super) programme: String,
    pub(super) status: String,
    pub(super) despite_status: bool,
    rows: Vec<Row>,
    set_by_the_office: Vec<Settled>,
}

/// One key of a programme's file.
#[derive(Deserialize)]
struct Row {
    path: String,
    value: String,
}

/// One path that the office set.
#[derive(Deserialize)]
struct Settled {
    path: String,
}

/// An order, what was used of it, and what each programme has granted.
#[derive(Deserialize)]
pub(super) struct Bill {
    segments: Vec<Used>,
    pub(super) use_proven: bool,
    pub(super) claims: Vec<Claim>,
}

#[derive(Deserialize)]
struct Used {
    price_fen: i64,
    charged_fen: Option<i64>,
}

/// What one programme has granted on an order.
#[derive(Deserialize)]
pub(super) struct Claim {
    pub(super) programme: String,
    pub(super) granted_fen: i64,
    pub(super) clawed_fen: i64,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Listed {
    programme: String,
    status: String,
}

#[derive(Deserialize)]
struct Fund {
    fund: String,
    balances: Classes,
}

impl Answers {
    /// Asks for all of it; an order as its buyer.
    pub(super) fn read(exchange: &Client, cast: &Cast, placed: &[Placed]) -> Result<Self, Fault> {
        let listed: Page<Listed> = get(exchange, "/v1/programmes?limit=1000")?;
        let shipped: Page<Listed> = get(exchange, "/v1/catalogue?limit=1000")?;
        let pending = shipped
            .items
            .into_iter()
            .filter(|file| file.status == "pending");
        let programmes = listed.items.iter();
        let programmes =
            programmes.map(|listed| get(exchange, &format!("/v1/programmes/{}", listed.programme)));
        let bills = placed.iter().map(|placed| {
            get(
                cast.client(placed.buyer)?,
                &format!("/v1/orders/{}", placed.order),
            )
        });
        let funds: Page<Fund> = get(exchange, "/v1/funds?limit=1000")?;
        Ok(Self {
            programmes: programmes.collect::<Result<_, _>>()?,
            pending: pending.map(|file| file.programme).collect(),
            bills: bills.collect::<Result<_, _>>()?,
            funds: funds
                .items
                .into_iter()
                .map(|fund| (fund.fund, fund.balances))
                .collect(),
        })
    }
}

impl Enacted {
    /// Its rates in per cent, as the file has them.
    pub(super) fn rates(&self) -> String {
        let tiers = self.rows.iter();
        let tiers =
            tiers.filter(|row| row.path.starts_with("rate.tier.") && row.path.ends_with(".bp"));
        let rates: Vec<String> = tiers
            .map(|row| {
                row.value
                    .parse()
                    .map_or(row.value.clone(), |bp: i64| format!("{} %", bp / 100))
            })
            .collect();
        rates.join(" / ")
    }

    /// The paths that its text leaves open and the office set.
    pub(super) fn settled(&self) -> String {
        let paths: Vec<&str> = self
            .set_by_the_office
            .iter()
            .map(|set| set.path.as_str())
            .collect();
        paths.join(", ")
    }
}

impl Bill {
    /// What the seller charges: used GPU time, or the dataset's price.
    pub(super) fn charged_fen(&self) -> i64 {
        let charges = self.segments.iter();
        charges
            .map(|segment| segment.charged_fen.unwrap_or(segment.price_fen))
            .sum()
    }
}

/// What an invoice says: the charge of an order so far.
pub(super) fn charged(buyer: &Client, order: verifier::id::OrderId) -> Result<i64, Fault> {
    let bill: Bill = get(buyer, &format!("/v1/orders/{order}"))?;
    Ok(bill.charged_fen())
}

fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, Fault> {
    let answer = client.read(path)?;
    T::deserialize(&answer)
        .map_err(|why| Fault::Answer(path.to_owned(), 200, format!("{why} in {answer}")))
}
