//! Signs what was planned, and signs it again where the exchange's chain is somewhere else (DESIGN §5, `seq`, `prev`).

use std::collections::{BTreeMap, BTreeSet};

use verifier::id::{DocumentDigest, OrderId, Sha256Hash};
use verifier::time::Timestamp;

use super::chain::{Chain, Draft, Standing};
use super::claims::{self, Claims, Kind, RECEIPT, Signer};
use super::config::Config;
use super::fault::Fault;
use super::intake::OrderBook;

/// Where a chain goes on: the next `seq` and `prev`.
pub type Head = (u64, Option<Sha256Hash>);

/// Whoever signs receipts: the provider's settings and its key.
pub struct Issuer<'a> {
    /// Who, for whom, and which datasets.
    pub config: &'a Config,
    /// The receipt key.
    pub signer: &'a Signer,
}

impl Issuer<'_> {
    /// Signs drafts behind the head of an order's chain; they wait in its outbox.
    /// # Errors
    /// [`Fault::Claims`]
    pub fn sign(
        &self,
        order: OrderId,
        book: &mut OrderBook,
        drafts: &[Draft],
        now: Timestamp,
    ) -> Result<(), Fault> {
        for draft in drafts {
            let claims = self.claims(order, book, draft, now);
            let jws = self.signer.sign(RECEIPT, &claims)?;
            book.chain.push(draft, jws);
        }
        Ok(())
    }

    fn claims(&self, order: OrderId, book: &OrderBook, draft: &Draft, now: Timestamp) -> Claims {
        let Draft {
            stream: (site, gpu_model),
            piece,
            corrects,
        } = draft;
        let (kind, corrects) = corrected(order, &book.chain, *corrects);
        let runs = || piece.jobs.iter().map(|job| job.run.as_str());
        Claims {
            iss: self.config.issuer,
            aud: self.config.audience.clone(),
            sub: order,
            seq: book.chain.seq,
            prev: book.chain.prev,
            jti: jti(order, book.chain.seq),
            iat: now.unix(),
            kind,
            corrects,
            site: *site,
            gpu_model: gpu_model.clone(),
            gpu_count: piece.gpu_count,
            start: piece.start.unix(),
            end: piece.end.unix(),
            gpu_seconds: piece.gpu_seconds,
            jobs: piece.jobs.clone(),
            inputs: self.inputs(book, runs()),
            export: book.export_of(runs()),
            energy_wh: None,
            util_bp: None,
            devices: None,
        }
    }

    fn inputs<'r>(
        &self,
        book: &OrderBook,
        runs: impl Iterator<Item = &'r str>,
    ) -> Vec<DocumentDigest> {
        let accounts: BTreeSet<&str> = runs
            .filter_map(|run| book.runs.get(run))
            .map(|run| run.facts.account.as_str())
            .collect();
        let declared = accounts
            .iter()
            .filter_map(|name| self.config.accounts.get(*name));
        let inputs: BTreeSet<DocumentDigest> = declared
            .flat_map(|account| account.inputs.iter().copied())
            .collect();
        inputs.into_iter().collect()
    }

    /// Signs everything that waits in an outbox again, from `head` on.
    /// # Errors
    /// [`Fault::Claims`], [`Fault::Stuck`] for bytes that are no receipt of ours
    pub fn sign_again(
        &self,
        order: OrderId,
        chain: &mut Chain,
        head: Head,
        now: Timestamp,
    ) -> Result<(), Fault> {
        (chain.seq, chain.prev) = head;
        let mut signed = BTreeMap::new();
        for (index, jws) in std::mem::take(&mut chain.outbox) {
            let mut claims = claims::read(&jws).ok_or_else(|| Fault::Stuck(order.to_string()))?;
            let first = chain.receipts.get(index).and_then(|record| record.corrects);
            (claims.kind, claims.corrects) = corrected(order, chain, first);
            (claims.seq, claims.prev) = (chain.seq, chain.prev);
            claims.jti = jti(order, chain.seq);
            claims.iat = now.unix();
            let jws = self.signer.sign(RECEIPT, &claims)?;
            if let Some(record) = chain.receipts.get_mut(index) {
                record.seq = chain.seq;
            }
            (chain.seq, chain.prev) = (chain.seq + 1, Some(Sha256Hash::of(jws.as_bytes())));
            signed.insert(index, jws);
        }
        chain.outbox = signed;
        Ok(())
    }
}

fn jti(order: OrderId, seq: u64) -> String {
    format!("{order}.{seq}")
}

/// A correction of what the exchange refused states its period for the first time.
fn corrected(order: OrderId, chain: &Chain, first: Option<usize>) -> (Kind, Option<String>) {
    match first.and_then(|index| chain.corrected(index)) {
        Some(record) => (Kind::Correction, Some(jti(order, record.seq))),
        None => (Kind::Usage, None),
    }
}

/// What the exchange answered about one receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the trail, now or since an earlier time.
    Accepted,
    /// The rules say no.
    Refused(String),
}

/// Enters an answer; returns where the chain goes on behind it.
pub fn enter(chain: &mut Chain, index: usize, verdict: Verdict) -> Option<(Head, String)> {
    let jws = chain.outbox.remove(&index)?;
    let claims = claims::read(&jws)?;
    let record = chain.receipts.get_mut(index)?;
    let head = match verdict {
        Verdict::Accepted => {
            record.standing = Standing::Accepted;
            record.seq = claims.seq;
            (claims.seq + 1, Some(Sha256Hash::of(jws.as_bytes())))
        }
        Verdict::Refused(code) => {
            record.standing = Standing::Refused(code);
            (claims.seq, claims.prev)
        }
    };
    Some((head, jws))
}
