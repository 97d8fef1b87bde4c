//! Bytes on their way out, the log of what went, and the exchange's word on it (DESIGN §5, data delivery).
//!
//! A range is kept when its last byte was taken by the connection; of one that broke off all that was taken, but its last byte never:
//! who goes on where the connection broke leaves no gap, and who does not is never said to have all. Once every byte of every file
//! went out for an order, the exchange signs the delivery with its own key and enters it as anybody would.
//! Nothing is charged here: that is the buyer's acceptance, or silence.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde_json::Value;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use verifier::book::Book;
use verifier::book::command::{AcceptReceipt, Command};
use verifier::book::decide::Request;
use verifier::book::state::order::Standing;
use verifier::dataset::{Manifest, Possession, Served};
use verifier::id::{ActorId, DatasetId, DocumentDigest, OrderId, PartyId, Sha256Hash};
use verifier::receipt::{self, DataDelivery, Jti};
use verifier::signature::Kid;

use super::{Fault, Parts};
use crate::age;
use crate::cause::Whole;
use crate::sequencer::{Committed, Outcome};
use crate::store::StoreFault;
use crate::store::dataset::blob::{self, BlobRow, State};
use crate::store::dataset::delivery::{self, Delivery, Went};
use crate::store::dataset::file;
use crate::store::dataset::version::{self, Version};

/// How often a receipt is signed again because another one of ours was faster in its chain.
const TRIES_MAX: usize = 3;

/// Which ordered file a response serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serves {
    /// For which order.
    pub order: OrderId,
    /// Of which version.
    pub manifest: DocumentDigest,
    /// Of which file.
    pub path: String,
}

/// A part of a stored content that is being sent.
pub struct Sending {
    bytes: Pin<Box<dyn Stream<Item = Result<Bytes, Fault>>>>,
    account: Account,
}

/// What is known of a response, whatever becomes of it.
struct Account {
    parts: Parts,
    blob: BlobRow,
    /// None where nobody's order is served.
    serves: Option<Serves>,
    first: u64,
    course: Course,
}

/// How far a response has come.
#[derive(Debug, Clone, Copy)]
struct Course {
    spelled: Spelled,
    /// What the connection took, as it is sent.
    sent: u64,
    wanted: u64,
    ended: bool,
}

/// How the content's bytes are sent.
#[derive(Debug, Clone, Copy)]
enum Spelled {
    /// As they are.
    Plain,
    /// Sealed for somebody's key, so many of them: only the whole says anything of the content.
    Sealed(u64),
}

impl Course {
    const fn new(spelled: Spelled, wanted: u64) -> Self {
        Self {
            spelled,
            sent: 0,
            wanted,
            ended: false,
        }
    }

    /// How many of the content's bytes went. A client that was cut goes on at any byte that it was sent; whether the last one
    /// of an answer reached it, only the answer's good end tells.
    fn went(&self) -> u64 {
        let whole = self.ended && self.sent == self.wanted;
        match self.spelled {
            Spelled::Plain if whole => self.wanted,
            Spelled::Plain => self.sent.min(self.wanted.saturating_sub(1)),
            Spelled::Sealed(bytes) if whole => bytes,
            Spelled::Sealed(_) => 0,
        }
    }
}

impl Sending {
    /// Sends `range` of a content; for an order it is kept what went.
    #[must_use]
    pub fn new(parts: &Parts, blob: BlobRow, range: Range<u64>, serves: Option<Serves>) -> Self {
        let wanted = range.end.saturating_sub(range.start);
        let account = Account {
            parts: parts.clone(),
            serves,
            first: range.start,
            course: Course::new(Spelled::Plain, wanted),
            blob,
        };
        let bytes = Box::pin(parts.blobs.read(&account.blob, range));
        Self { bytes, account }
    }

    /// Sends a whole content as the age file that a writer has begun; for an order all of it went once the last sealed byte has.
    #[must_use]
    pub fn sealed(
        parts: &Parts,
        blob: BlobRow,
        writer: age::Writer<Vec<u8>>,
        serves: Option<Serves>,
    ) -> Self {
        let spelled = Spelled::Sealed(blob.bytes);
        let account = Account {
            parts: parts.clone(),
            serves,
            first: 0,
            course: Course::new(spelled, age::sealed_bytes(blob.bytes)),
            blob,
        };
        let bytes = Box::pin(parts.blobs.read_sealed(&account.blob, writer));
        Self { bytes, account }
    }
}

impl Stream for Sending {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.bytes.as_mut().poll_next(context);
        let account = &mut self.account;
        match &next {
            Poll::Ready(Some(Ok(bytes))) => {
                let sent = &mut account.course.sent;
                *sent = sent.saturating_add(bytes.len() as u64);
            }
            Poll::Ready(Some(Err(fault))) => account.broke(fault),
            Poll::Ready(None) => account.course.ended = true,
            Poll::Pending => {}
        }
        next
    }
}

impl Account {
    /// A content that does not open is sold to nobody any more.
    fn broke(&self, fault: &Fault) {
        tracing::error!(fault = %Whole(fault), object = %self.blob.object, "a download was cut: its content does not open");
        let (parts, blob) = (self.parts.clone(), self.blob.clone());
        spawn(async move {
            let Ok(now) = parts.clock.now() else {
                return;
            };
            let marked = parts
                .query(move |db| blob::found(db, &blob, State::Damaged, now))
                .await;
            if let Err(fault) = marked {
                tracing::error!(fault = %Whole(&fault), "a damaged content is not marked");
            }
        });
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let (first, went, parts) = (self.first, self.course.went(), self.parts.clone());
        let Some(serves) = self.serves.take() else {
            return;
        };
        spawn(async move {
            let (order, manifest) = (serves.order, serves.manifest);
            if let Err(fault) = keep(&parts, serves, first, went).await {
                tracing::error!(fault = %Whole(&fault), "what went out is not kept; it must go out again");
                return;
            }
            if let Err(fault) = settle(&parts, order, manifest).await {
                tracing::warn!(fault = %Whole(&fault), "a delivery is not signed yet");
            }
        });
    }
}

/// Goes on after the connection is gone; while the server ends there is nobody to go on.
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(work));
    }
}

async fn keep(parts: &Parts, serves: Serves, first: u64, bytes: u64) -> Result<(), Fault> {
    if bytes == 0 {
        return Ok(());
    }
    let went = Went {
        order: serves.order,
        manifest: serves.manifest,
        path: serves.path,
        first,
        last: first.saturating_add(bytes).saturating_sub(1),
        at: parts.clock.now()?,
    };
    parts.query(move |db| delivery::served(db, &went)).await
}

/// How far the delivery of an ordered version is.
#[derive(Debug)]
pub struct Progress {
    /// The version.
    pub uploaded: Version,
    /// Its files.
    pub manifest: Manifest,
    /// What went out.
    pub served: Served,
    /// What is kept once all of it had gone out.
    pub delivery: Option<Delivery>,
}

/// Reads how far the delivery of an ordered version is; none of a version that was not uploaded here.
/// # Errors
/// [`Fault::Store`], [`Fault::Refused`] where the stored files are no manifest.
pub async fn progress(
    parts: &Parts,
    order: OrderId,
    manifest: DocumentDigest,
) -> Result<Option<Progress>, Fault> {
    let read = parts.query(move |db| {
        let Some(uploaded) = version::get(db, manifest)? else {
            return Ok(None);
        };
        let files = file::all(db, &manifest.to_string())?;
        let ranges = delivery::ranges(db, order, manifest)?;
        Ok(Some((
            uploaded,
            files,
            ranges,
            delivery::delivery(db, order, manifest)?,
        )))
    });
    let Some((uploaded, files, ranges, delivery)) = read.await? else {
        return Ok(None);
    };
    let manifest = Manifest::new(files)?;
    let mut served = Served::new(&manifest);
    for (path, first, last) in ranges {
        served.add(&path, first, last);
    }
    Ok(Some(Progress {
        uploaded,
        manifest,
        served,
        delivery,
    }))
}

/// Signs and enters the delivery of an ordered version once every byte of it went out; before that, and where it is delivered
/// already or its vendor signs, nothing is done.
/// # Errors
/// [`Fault`]; asked again, it goes on.
pub async fn settle(
    parts: &Parts,
    order: OrderId,
    manifest: DocumentDigest,
) -> Result<Option<Committed>, Fault> {
    let Some(progress) = progress(parts, order, manifest).await? else {
        return Ok(None);
    };
    if !progress.served.is_whole() || signs_itself(&progress.uploaded.card) {
        return Ok(None);
    }
    for _ in 0..TRIES_MAX {
        let next = parts
            .desk
            .read(|book| Next::of(book, order, manifest))
            .await?;
        let Some(next) = next else {
            return Ok(None);
        };
        if let Some(committed) = sign(parts, &progress, next).await? {
            return Ok(Some(committed));
        }
    }
    Ok(None)
}

/// Whether the card says that the vendor signs deliveries with its own key.
fn signs_itself(card: &str) -> bool {
    let card: Option<Value> = serde_json::from_str(card).ok();
    card.is_some_and(|card| card.get("delivery").is_some_and(|who| who == "vendor"))
}

/// The place of the exchange's next receipt of an order, and what the receipt says of the version.
struct Next {
    order: OrderId,
    manifest: DocumentDigest,
    party: PartyId,
    actor: ActorId,
    kid: Kid,
    origin: String,
    seq: u32,
    prev: Option<Sha256Hash>,
    dataset: DatasetId,
    version: String,
    bytes: u64,
}

impl Next {
    /// None where there is nothing to sign: no such open order, or it is delivered already.
    fn of(book: &Book, id: OrderId, manifest: DocumentDigest) -> Option<Self> {
        let (exchange, order) = (book.exchange.as_ref()?, book.orders.get(&id)?);
        let dealings = book.dealings.get(&id);
        if order.standing != Standing::Open
            || dealings.is_some_and(|dealings| dealings.deliveries.contains_key(&manifest))
        {
            return None;
        }
        let (version, chain) = (
            book.versions.get(&manifest)?,
            book.chain(id, exchange.party),
        );
        Some(Self {
            order: id,
            manifest,
            party: exchange.party,
            actor: exchange.actor,
            kid: exchange.delivery_kid,
            origin: exchange.origin.clone(),
            seq: chain.next(),
            prev: chain.head(),
            dataset: version.dataset,
            version: version.name.clone(),
            bytes: version.bytes,
        })
    }
}

/// Signs and enters; none where the chain has grown meanwhile.
async fn sign(parts: &Parts, progress: &Progress, next: Next) -> Result<Option<Committed>, Fault> {
    let nonce = receipt::Nonce::new(*parts.clock.salt()?.bytes());
    let (of, text) = ((next.order, next.manifest), progress.served.text());
    let begun = parts
        .query(move |db| delivery::begin(db, of, nonce, &text))
        .await?;
    let possession = possession(parts, &progress.manifest, begun.nonce).await?;
    let now = parts.clock.now()?;
    let claims = DataDelivery {
        iss: next.party,
        aud: next.origin,
        sub: next.order,
        seq: next.seq,
        prev: next.prev,
        jti: Jti {
            order: next.order,
            seq: next.seq,
        },
        iat: now,
        dataset: next.dataset,
        version: next.version,
        digest: next.manifest,
        bytes: next.bytes,
        delivered_at: now,
        ranges: DocumentDigest::of(begun.ranges.as_bytes()),
        nonce: begun.nonce,
        possession_hash: Sha256Hash::of(possession.bytes()),
    };
    let key = &parts.keys.delivery;
    let compact = receipt::sign_by(&claims, next.kid, |message| key.sign(message));
    let request = Request {
        by: next.party,
        actor: next.actor,
        cmd: None,
        req: None,
        command: Command::AcceptReceipt(AcceptReceipt {
            jws: compact.parse()?,
        }),
    };
    match parts.desk.submit_one(request).await {
        Outcome::Accepted(committed) | Outcome::Known(committed) => {
            parts
                .query(move |db| delivery::signed_by_us(db, of, &compact))
                .await?;
            Ok(Some(*committed))
        }
        Outcome::Refused(refusal) if refusal.code == verifier::refusal::Code::ReceiptChain => {
            Ok(None)
        }
        Outcome::Refused(refusal) => Err(refusal.into()),
        Outcome::Failed(why) => Err(why.into()),
    }
}

/// What only a holder of the bytes can say: read from what lies here.
async fn possession(
    parts: &Parts,
    manifest: &Manifest,
    nonce: receipt::Nonce,
) -> Result<Sha256Hash, Fault> {
    let mut possession = Possession::new(nonce, manifest.bytes());
    for wanted in possession.wants().to_vec() {
        for (sha256, range) in pieces(manifest, &wanted) {
            let blob = parts.query(move |db| blob::get(db, &sha256)).await?;
            let blob = blob.ok_or_else(|| {
                StoreFault::Inconsistent("the content of a published file is not stored".to_owned())
            })?;
            let mut bytes = Box::pin(parts.blobs.read(&blob, range));
            while let Some(block) = bytes.next().await {
                possession.feed(&block?);
            }
        }
    }
    Ok(possession.end())
}

/// The parts of files that a range of the version's bytes, end to end, is made of.
fn pieces(manifest: &Manifest, wanted: &Range<u64>) -> Vec<([u8; 32], Range<u64>)> {
    let (mut begin, mut pieces) = (0_u64, Vec::new());
    for file in manifest.files() {
        let end = begin.saturating_add(file.bytes);
        let (from, to) = (wanted.start.max(begin), wanted.end.min(end));
        if from < to {
            let within = from.saturating_sub(begin)..to.saturating_sub(begin);
            pieces.push((file.sha256, within));
        }
        begin = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use verifier::dataset::FileLine;

    #[test]
    fn a_range_of_a_version_crosses_its_files() {
        let file = |n: u8, bytes| FileLine {
            sha256: [n; 32],
            bytes,
            path: format!("{n}"),
        };
        let manifest = Manifest::new(vec![file(1, 10), file(2, 0), file(3, 5)]).unwrap();
        assert_eq!(
            pieces(&manifest, &(0..15)),
            [([1; 32], 0..10), ([3; 32], 0..5)]
        );
        assert_eq!(
            pieces(&manifest, &(9..11)),
            [([1; 32], 9..10), ([3; 32], 0..1)]
        );
        assert_eq!(pieces(&manifest, &(10..12)), [([3; 32], 0..2)]);
        assert!(pieces(&manifest, &(15..15)).is_empty());
    }

    #[test]
    fn what_broke_off_never_has_its_last_byte() {
        let went = |spelled, sent, ended| {
            let course = Course::new(spelled, 33);
            Course {
                sent,
                ended,
                ..course
            }
            .went()
        };
        let plain = |sent, ended| went(Spelled::Plain, sent, ended);
        assert_eq!([plain(0, false), plain(20, false)], [0, 20]);
        assert_eq!([plain(33, false), plain(33, true)], [32, 33]);
        // A reader that ended too early ended nothing.
        assert_eq!(plain(20, true), 20);
        let sealed = |sent, ended| went(Spelled::Sealed(7), sent, ended);
        assert_eq!([sealed(32, false), sealed(33, false)], [0, 0]);
        assert_eq!([sealed(20, true), sealed(33, true)], [0, 7]);
        let nothing = Course::new(Spelled::Plain, 0);
        assert_eq!(nothing.went(), 0);
    }

    #[test]
    fn a_card_may_leave_the_signature_to_its_vendor() {
        assert!(signs_itself(r#"{"delivery":"vendor"}"#));
        for ours in [r#"{"delivery":"exchange"}"#, "{}", "", "[]"] {
            assert!(!signs_itself(ours), "{ours}");
        }
    }
}
