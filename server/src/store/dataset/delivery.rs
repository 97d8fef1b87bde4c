//! What went out of which version for which order, and the receipts about it.

use diesel::prelude::*;
use verifier::id::{DocumentDigest, OrderId};
use verifier::receipt::Nonce;
use verifier::time::Timestamp;

use super::listing::{Document, keep_document};
use crate::store::schema::{own_deliveries, own_ranges};
use crate::store::{Db, StoreFault, on_backend, signed, unsigned};

/// Bytes `first` … `last` of a file that went out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Went {
    /// For which order.
    pub order: OrderId,
    /// Of which version.
    pub manifest: DocumentDigest,
    /// Of which file.
    pub path: String,
    /// The first byte.
    pub first: u64,
    /// The last one, too.
    pub last: u64,
    /// When the last of them went.
    pub at: Timestamp,
}

/// What is kept of the delivery of an ordered version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Picks what the buyer must show; drawn once.
    pub nonce: Nonce,
    /// The text of the ranges when all had gone out.
    pub ranges: String,
    /// The receipt, once the trail has it.
    pub jws: Option<String>,
}

/// Keeps bytes that went out, joined with what they touch: eight ranges of a file become one row. Two servers at once may leave
/// two rows that overlap; nothing is lost by it.
/// # Errors
/// [`StoreFault::Query`], [`StoreFault::Inconsistent`].
pub fn served(db: &mut Db, went: &Went) -> Result<(), StoreFault> {
    let (mut first, mut last) = (signed(went.first, "first")?, signed(went.last, "last")?);
    db.transaction(|db| {
        let (order, manifest) = (went.order.to_string(), went.manifest.to_string());
        // Written first: two at once wait in line. SQLite would refuse whoever has read before another one wrote.
        let own: i64 = diesel::insert_into(own_ranges::table)
            .values((
                own_ranges::order_id.eq(&order),
                own_ranges::manifest.eq(&manifest),
                own_ranges::path.eq(&went.path),
                own_ranges::first.eq(first),
                own_ranges::last.eq(last),
                own_ranges::at.eq(went.at.unix()),
            ))
            .returning(own_ranges::n)
            .get_result(db)?;
        let rows: Vec<(i64, i64, i64)> = own_ranges::table
            .filter(own_ranges::order_id.eq(&order))
            .filter(own_ranges::manifest.eq(&manifest))
            .filter(own_ranges::path.eq(&went.path))
            .filter(own_ranges::n.ne(own))
            .select((own_ranges::n, own_ranges::first, own_ranges::last))
            .order(own_ranges::first)
            .load(db)?;
        let mut joined = Vec::new();
        for (n, from, to) in rows {
            if from <= last.saturating_add(1) && first <= to.saturating_add(1) {
                (first, last) = (first.min(from), last.max(to));
                joined.push(n);
            }
        }
        if joined.is_empty() {
            return Ok(());
        }
        for n in joined {
            diesel::delete(own_ranges::table.find(n)).execute(db)?;
        }
        diesel::update(own_ranges::table.find(own))
            .set((own_ranges::first.eq(first), own_ranges::last.eq(last)))
            .execute(db)?;
        Ok(())
    })
}

/// What went out of a version for an order: path, first and last byte.
/// # Errors
/// As [`served`].
pub fn ranges(
    db: &mut Db,
    order: OrderId,
    manifest: DocumentDigest,
) -> Result<Vec<(String, u64, u64)>, StoreFault> {
    let rows: Vec<(String, i64, i64)> = own_ranges::table
        .filter(own_ranges::order_id.eq(order.to_string()))
        .filter(own_ranges::manifest.eq(manifest.to_string()))
        .select((own_ranges::path, own_ranges::first, own_ranges::last))
        .load(db)?;
    rows.into_iter()
        .map(|(path, first, last)| {
            let first = unsigned(first, "own_ranges.first")?;
            Ok((path, first, unsigned(last, "own_ranges.last")?))
        })
        .collect()
}

/// What is kept of a delivery.
/// # Errors
/// As [`served`].
pub fn delivery(
    db: &mut Db,
    order: OrderId,
    manifest: DocumentDigest,
) -> Result<Option<Delivery>, StoreFault> {
    let row: Option<(Vec<u8>, String, Option<String>)> = own_deliveries::table
        .find((order.to_string(), manifest.to_string()))
        .select((
            own_deliveries::nonce,
            own_deliveries::ranges,
            own_deliveries::jws,
        ))
        .first(db)
        .optional()?;
    row.map(|(nonce, ranges, jws)| {
        let nonce = nonce.try_into().map_err(|_| {
            StoreFault::Inconsistent("own_deliveries.nonce has not 16 bytes".to_owned())
        })?;
        Ok(Delivery {
            nonce: Nonce::new(nonce),
            ranges,
            jws,
        })
    })
    .transpose()
}

/// Begins a delivery whose bytes have all gone out, and returns what holds: the first writer's nonce. The text of the ranges is
/// kept as a document, too.
/// # Errors
/// As [`served`].
pub fn begin(
    db: &mut Db,
    (order, manifest): (OrderId, DocumentDigest),
    nonce: Nonce,
    ranges: &str,
) -> Result<Delivery, StoreFault> {
    db.transaction(|db| {
        let row = (
            own_deliveries::order_id.eq(order.to_string()),
            own_deliveries::manifest.eq(manifest.to_string()),
            own_deliveries::nonce.eq(&nonce.bytes()[..]),
            own_deliveries::ranges.eq(ranges),
            own_deliveries::jws.eq(None::<String>),
        );
        on_backend!(db, conn => diesel::insert_into(own_deliveries::table)
            .values(row).on_conflict_do_nothing().execute(conn))?;
        let document = Document {
            digest: DocumentDigest::of(ranges.as_bytes()).to_string(),
            kind: "ranges".to_owned(),
            party: None,
            body: ranges.as_bytes().to_vec(),
        };
        keep_document(db, &document)?;
        let held = delivery(db, order, manifest)?;
        held.ok_or_else(|| {
            StoreFault::Inconsistent("a delivery that was just begun is gone".into())
        })
    })
}

/// Keeps the receipt that the trail has.
/// # Errors
/// [`StoreFault::Query`].
pub fn signed_by_us(
    db: &mut Db,
    (order, manifest): (OrderId, DocumentDigest),
    jws: &str,
) -> Result<(), StoreFault> {
    diesel::update(own_deliveries::table.find((order.to_string(), manifest.to_string())))
        .set(own_deliveries::jws.eq(jws))
        .execute(db)?;
    Ok(())
}
