//! `GET /v1/orders/{id}/pack.zip`: the evidence of one bought version, for who bought, sold or oversees it.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue,
};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use verifier::book::Book;
use verifier::book::command::{Command, Role};
use verifier::book::entry::Entry;
use verifier::book::state::order::Goods;
use verifier::id::{DatasetId, DocumentDigest, OrderId};
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

use super::access::{self, Caller, Sees};
use super::download::parameter;
use super::problem::Problem;
use super::read::{Asking, LIMIT, Page, QUERY_BYTES_MAX};
use super::{Route, Shared, Verb, order, own, trail};
use crate::dataset::pack::{self, Of, Paper, Piece};
use crate::store::heads::Published;
use crate::store::read::{self, Entries, Slice};
use crate::store::{Db, StoreFault, history, log};

/// The routes of packs.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    own(Verb::Get, "/v1/orders/{id}/pack.zip", Sees::Party, |s, r, _| Box::pin(answer(s, r)), "Everything that shows what was sold and delivered, in one zip that is checked offline"),
];

/// A pack has what its order's parties may read, and changes with the trail.
const UNKEPT: &str = "private, no-store";
/// The most entries of one order in a pack.
const ENTRIES_MAX: usize = 10_000;
/// How long a pack waits for what is committed to be published and listed.
const PUBLISHED_WAIT: Duration = Duration::from_secs(5);
/// What is told of a version.
const OF_VERSION: [&str; 4] = [
    "dataset.published",
    "dataset.priced",
    "dataset.assessed",
    "dataset.recalled",
];
/// What is told of an order; statements and payouts of a period are about others, too.
const OF_ORDER: [&str; 4] = ["order.", "receipt.", "acceptance.", "evidence."];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    manifest: Option<String>,
}

/// What the book says.
struct Terms {
    of: Of,
    dataset: DatasetId,
    contract: Value,
    size: u64,
}

async fn answer(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = access::caller(&shared, &request).await?;
    let id = OrderId::parse(&parameter(&request, "id")).map_err(Refusal::from)?;
    let wanted = wanted(request.query_string())?;
    let now = shared.now()?;
    let look = |book: &Book| terms(book, (caller, now), id, wanted);
    let Terms {
        mut of,
        dataset,
        contract,
        size,
    } = shared.desk.read(look).await??;
    wait(shared.projected.clone(), size).await?;
    let (manifest, store) = (of.manifest, Arc::clone(&shared.store));
    let look = move || entries(&mut *store.lists()?, id, manifest, dataset);
    let entries = web::block(look)
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(access::store_fault)?;
    if entries.len() > ENTRIES_MAX {
        let sentence = format!(
            "the order has more than {ENTRIES_MAX} entries; read them by GET /v1/entries?order={id}"
        );
        return Err(Refusal::new(Code::RequestTooLarge, sentence).into());
    }
    let last = entries.keys().next_back().copied().unwrap_or(0);
    let named = entries.clone();
    let papers = shared.data.query(move |db| {
        of.reports = reports(db, &named)?;
        Ok(pack::papers(db, &of))
    });
    let mut papers = papers.await??;
    let contract = Paper {
        name: "contract.json".to_owned(),
        bytes: pack::pretty(&contract).map_err(access::store_fault)?,
    };
    papers.insert(1, contract);
    wait(shared.published.clone(), last.saturating_add(1)).await?;
    let note = covering(&shared, last).await?;
    let (hand, zip) = pack::zipped();
    actix_web::rt::spawn(async move {
        if let Err(fault) = hand_all(&shared, &hand, papers, (&entries, &note)).await {
            tracing::warn!(%fault, order = %id, "a pack broke off");
        }
    });
    let name = format!("attachment; filename=\"{id}.zip\"");
    let name =
        HeaderValue::from_str(&name).map_err(|fault| Problem::Internal(fault.to_string()))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/zip"))
        .insert_header((CONTENT_ENCODING, "identity"))
        .insert_header((CONTENT_DISPOSITION, name))
        .insert_header((CACHE_CONTROL, UNKEPT))
        .streaming(zip))
}

fn wanted(query: &str) -> Result<Option<DocumentDigest>, Refusal> {
    let sentence = "the query is manifest=sha-256:…, or nothing";
    let malformed = || Refusal::new(Code::RequestMalformed, sentence);
    if query.len() > QUERY_BYTES_MAX {
        return Err(malformed());
    }
    let query = web::Query::<Query>::from_query(query).map_err(|_| malformed())?;
    let manifest = query.into_inner().manifest;
    let manifest = manifest.map(|manifest| DocumentDigest::parse(&manifest));
    Ok(manifest.transpose()?)
}

/// The order and the version, for who may have the pack.
fn terms(
    book: &Book,
    (caller, now): (Caller, Timestamp),
    id: OrderId,
    wanted: Option<DocumentDigest>,
) -> Result<Terms, Problem> {
    access::stands(book, caller)?;
    let order = book.order(id)?;
    let sight = access::sight(book, caller);
    let may = [order.buyer, order.seller].contains(&caller.party)
        || caller.role == Role::Exchange
        || sight.sees(&book.order_scopes(id)?);
    if !may {
        return Err(access::unseen(sight).into());
    }
    let manifest = chosen(order.segments.iter().map(|segment| &segment.goods), wanted)?;
    let version = book.version(manifest)?;
    let page = Page {
        after: None,
        limit: LIMIT,
    };
    let asking = Asking {
        book,
        caller: Some(caller),
        id: &id.to_string(),
        page: &page,
        at: book.last_at.map_or(now, |last| last.max(now)),
    };
    let contract = json!({
        "order": order::of(&asking, id, order)?, "manifest": manifest, "dataset": version.dataset,
        "version": version.name, "bytes": version.bytes, "licence": version.licence,
        "card": version.card, "published_by_entry": version.seq,
        "prices": version.prices.iter().map(|(since, fen)| json!({ "since": since, "price_fen": fen })).collect::<Vec<_>>(),
    });
    Ok(Terms {
        of: Of {
            order: id,
            buyer: order.buyer,
            manifest,
            card: version.card,
            licence: version.licence,
            reports: Vec::new(),
        },
        dataset: version.dataset,
        contract,
        size: book.size,
    })
}

/// The version that is meant among those of an order.
fn chosen<'a>(
    goods: impl Iterator<Item = &'a Goods>,
    wanted: Option<DocumentDigest>,
) -> Result<DocumentDigest, Refusal> {
    let mut ordered: Vec<DocumentDigest> = goods
        .filter_map(|goods| match goods {
            Goods::Dataset { manifest, .. } => Some(*manifest),
            Goods::Gpu { .. } => None,
        })
        .collect();
    ordered.dedup();
    let unknown = |sentence| Refusal::new(Code::DatasetUnknown, sentence);
    match (wanted, &*ordered) {
        (_, []) => Err(unknown("the order is of no dataset: it has no such pack")),
        (Some(wanted), _) if ordered.contains(&wanted) => Ok(wanted),
        (Some(wanted), _) => {
            Err(unknown("the order is not of that version").with("manifest", wanted))
        }
        (None, [only]) => Ok(*only),
        (None, _) => Err(Refusal::new(
            Code::RequestMalformed,
            "the order is of several versions; say which: ?manifest=sha-256:…",
        )),
    }
}

async fn wait(mut grown: watch::Receiver<u64>, size: u64) -> Result<(), Problem> {
    let there = grown.wait_for(|grown| *grown >= size);
    match tokio::time::timeout(PUBLISHED_WAIT, there).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Problem::Busy(
            "the newest entries are not published yet; try again",
        )),
    }
}

/// The entries of an order and of the version that it bought, with their kinds, in the trail's order.
fn entries(
    db: &mut Db,
    order: OrderId,
    manifest: DocumentDigest,
    dataset: DatasetId,
) -> Result<BTreeMap<u64, String>, StoreFault> {
    let mut found = BTreeMap::new();
    let mut look = |kind: Option<&str>, object: String, keep: &dyn Fn(&str) -> bool| {
        let which = Entries {
            kind: kind.map(str::to_owned),
            objects: vec![object],
        };
        let slice = Slice {
            after: None,
            limit: ENTRIES_MAX.saturating_add(1),
        };
        for row in read::entries(db, &which, slice)?.rows {
            if keep(&row.kind) {
                let seq = u64::try_from(row.seq)
                    .map_err(|_| StoreFault::Inconsistent("an entry before 0".to_owned()))?;
                found.insert(seq, row.kind);
            }
        }
        Ok::<_, StoreFault>(())
    };
    for kind in OF_VERSION {
        look(Some(kind), manifest.to_string(), &|_| true)?;
    }
    look(Some("dataset.withdrawn"), dataset.to_string(), &|_| true)?;
    look(None, order.to_string(), &|kind| {
        OF_ORDER.iter().any(|of| kind.starts_with(of))
    })?;
    Ok(found)
}

/// The documents that assessments and recalls of the version name.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other command names no report"
)]
fn reports(
    db: &mut Db,
    entries: &BTreeMap<u64, String>,
) -> Result<Vec<DocumentDigest>, StoreFault> {
    let mut reports = Vec::new();
    let of_version = entries
        .iter()
        .filter(|(_, kind)| kind.starts_with("dataset."));
    for (seq, _) in of_version {
        match entry(db, *seq)?.0.asked {
            Command::AssessDataset(asked) => reports.push(asked.report),
            Command::RecallDataset(asked) => reports.push(asked.notice),
            _ => {}
        }
    }
    reports.dedup();
    Ok(reports)
}

fn entry(db: &mut Db, seq: u64) -> Result<(Entry, Vec<u8>), StoreFault> {
    let bytes = log::entry(db, seq)?;
    let bytes = bytes.ok_or_else(|| StoreFault::Inconsistent(format!("entry {seq} is gone")))?;
    let entry = Entry::parse_own(&bytes)
        .map_err(|fault| StoreFault::Inconsistent(format!("entry {seq}: {fault}")))?;
    Ok((entry, bytes))
}

/// The checkpoint of all proofs: the first that was kept with cosignatures, so that a pack stays the same while the log grows; else
/// the newest.
async fn covering(shared: &Shared, seq: u64) -> Result<Published, Problem> {
    let first = shared.data.query(move |db| history::first_above(db, seq));
    if let Some(first) = first.await? {
        return Ok(first);
    }
    let newest = trail::published(shared).await?;
    newest
        .filter(|newest| newest.size > seq)
        .ok_or(Problem::Busy(
            "the newest entries are not published yet; try again",
        ))
}

/// Hands over documents, receipts and proofs, in this order, one in memory at a time.
async fn hand_all(
    shared: &Shared,
    hand: &mpsc::Sender<Piece>,
    papers: Vec<Paper>,
    (entries, note): (&BTreeMap<u64, String>, &Published),
) -> Result<(), Problem> {
    for paper in papers {
        hand_on(hand, Piece::Paper(paper)).await?;
    }
    for seq in entries.keys().copied() {
        let (entry, _) = shared.data.query(move |db| entry(db, seq)).await?;
        if let Some(paper) = receipt(seq, &entry) {
            hand_on(hand, Piece::Paper(paper)).await?;
        }
    }
    for (seq, kind) in entries {
        let seq = *seq;
        let (_, bytes) = shared.data.query(move |db| entry(db, seq)).await?;
        let proof = trail::prove(&shared.trail, seq, bytes, note).await?;
        let paper = Paper {
            name: format!("proofs/{seq}-{kind}.tlog-proof"),
            bytes: proof.to_string().into_bytes(),
        };
        hand_on(hand, Piece::Paper(paper)).await?;
    }
    hand_on(hand, Piece::End).await
}

async fn hand_on(hand: &mpsc::Sender<Piece>, piece: Piece) -> Result<(), Problem> {
    let handed = hand.send(piece).await;
    handed.map_err(|_| Problem::Busy("nobody takes it any more"))
}

/// The receipt that an entry embeds.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other command embeds no receipt"
)]
fn receipt(seq: u64, entry: &Entry) -> Option<Paper> {
    match &entry.asked {
        Command::AcceptReceipt(asked) => Some(pack::receipt(seq, asked.jws.receipt())),
        Command::GiveAcceptance(asked) => Some(pack::receipt(seq, asked.jws.receipt())),
        Command::PlaceOrder(asked) => {
            let signed = asked.jws.as_ref();
            signed.map(|jws| pack::receipt(seq, jws.receipt()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verifier::id::Salt;

    #[test]
    fn a_pack_is_of_one_version() {
        let manifest = |n: u8| DocumentDigest::of(&[n]);
        let goods = |n: u8| Goods::Dataset {
            dataset: DatasetId::draw(&Salt::new([0; 16]), 0, 0),
            manifest: manifest(n),
        };
        let of =
            |goods: &[Goods], wanted| chosen(goods.iter(), wanted).map_err(|refusal| refusal.code);
        assert_eq!(of(&[], None), Err(Code::DatasetUnknown));
        assert_eq!(of(&[goods(1), goods(1)], None), Ok(manifest(1)));
        let two = [goods(1), goods(2)];
        assert_eq!(of(&two, None), Err(Code::RequestMalformed));
        assert_eq!(of(&two, Some(manifest(2))), Ok(manifest(2)));
        assert_eq!(of(&two, Some(manifest(3))), Err(Code::DatasetUnknown));
    }

    #[test]
    fn a_query_names_a_manifest_or_nothing() {
        assert_eq!(wanted("").unwrap(), None);
        let manifest = DocumentDigest::of(b"1");
        assert_eq!(
            wanted(&format!("manifest={manifest}")).unwrap(),
            Some(manifest)
        );
        for bad in ["manifest=x", "other=1", "manifest="] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }
}
