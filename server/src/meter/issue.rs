//! Signs what was planned, and signs it again where the exchange's chain is somewhere else (DESIGN §5, `seq`, `prev`).

use std::collections::BTreeSet;

use verifier::id::{DocumentDigest, OrderId, PartyId, Sha256Hash};
use verifier::money::GpuSeconds;
use verifier::receipt::{
    self, Claims, ComputeUsage, Job, Jti, KeyRegistration, KeyUse, Kind, UnverifiedReceipt,
};
use verifier::refusal::{Code, Refusal};
use verifier::signature::Signer;
use verifier::time::Timestamp;

use super::chain::{Chain, Draft, Standing};
use super::config::Config;
use super::fault::Fault;
use super::intake::OrderBook;
use super::merge::Share;

/// Where a chain goes on: the next `seq` and `prev`.
pub type Head = (u32, Option<Sha256Hash>);

/// Whoever signs receipts: the provider's settings and its key.
pub struct Issuer<'a> {
    /// Who, for whom, and which datasets.
    pub config: &'a Config,
    /// The receipt key.
    pub signer: &'a Signer,
}

/// What an exchange needs to register a key: the public JWK, its thumbprint and the proof (DESIGN §5).
#[must_use]
pub fn registration(
    signer: &Signer,
    key_use: KeyUse,
    (iss, aud): (PartyId, &str),
    iat: Timestamp,
) -> serde_json::Value {
    let claims = KeyRegistration {
        iss,
        aud: aud.to_owned(),
        key_use,
        iat,
    };
    let public = signer.public();
    serde_json::json!({
        "use": key_use,
        "jwk": { "crv": "Ed25519", "kty": "OKP", "x": public.x() },
        "kid": public.kid(),
        "proof": receipt::sign(&claims, signer),
    })
}

impl Issuer<'_> {
    /// Signs drafts behind the head of an order's chain; they wait in its outbox.
    /// # Errors
    /// [`Fault::Receipt`] if it breaks a rule that needs no book
    pub fn sign(
        &self,
        order: OrderId,
        book: &mut OrderBook,
        drafts: &[Draft],
        now: Timestamp,
    ) -> Result<(), Fault> {
        for draft in drafts {
            let claims = self.claims(order, book, draft, now)?;
            // The exchange would refuse it for the same reason; a meter's mistake must not become a signed statement.
            claims.check_alone()?;
            book.chain.push(draft, receipt::sign(&claims, self.signer));
        }
        Ok(())
    }

    fn claims(
        &self,
        order: OrderId,
        book: &OrderBook,
        draft: &Draft,
        now: Timestamp,
    ) -> Result<ComputeUsage, Fault> {
        let Draft {
            stream: (site, gpu_model),
            piece,
            corrects,
        } = draft;
        let (kind, corrects) = corrected(order, &book.chain, *corrects);
        let runs = || piece.jobs.iter().map(|share| &*share.run);
        let inputs = self.inputs(book, runs());
        Ok(ComputeUsage {
            iss: self.config.issuer,
            aud: self.config.audience.clone(),
            sub: order,
            seq: book.chain.seq,
            prev: book.chain.prev,
            jti: Jti {
                order,
                seq: book.chain.seq,
            },
            iat: now,
            kind,
            corrects,
            site: *site,
            gpu_model: gpu_model.clone(),
            gpu_count: piece.gpu_count,
            start: piece.start,
            end: piece.end,
            gpu_seconds: gpu_seconds(piece.gpu_seconds)?,
            jobs: piece.jobs.iter().map(job).collect::<Result<_, _>>()?,
            inputs: (!inputs.is_empty()).then_some(inputs),
            export: book.export_of(runs()),
            energy_wh: None,
            util_bp: None,
            devices: None,
        })
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

    /// Signs the first `count` receipts that wait at or behind `again.from` once more, from `again.head` on.
    /// # Errors
    /// [`Fault::Receipt`] for bytes that are no receipt of ours
    pub fn sign_again(
        &self,
        chain: &mut Chain,
        again: Again,
        count: usize,
        now: Timestamp,
    ) -> Result<SignedAgain, Fault> {
        let (mut seq, mut prev) = again.head;
        let waiting: Vec<usize> = chain
            .outbox
            .range(again.from..)
            .map(|(index, _)| *index)
            .collect();
        let mut lines = Vec::new();
        for index in waiting.iter().take(count) {
            let Some(jws) = chain.outbox.get(index) else {
                continue;
            };
            let mut claims = usage(jws)?;
            let first = chain
                .receipts
                .get(*index)
                .and_then(|record| record.corrects);
            let order = claims.sub;
            (claims.kind, claims.corrects) = corrected(order, chain, first);
            (claims.seq, claims.prev) = (seq, prev);
            claims.jti = Jti { order, seq };
            claims.iat = now;
            // The settings may have been mended since.
            claims.iss = self.config.issuer;
            claims.aud.clone_from(&self.config.audience);
            let jws = receipt::sign(&claims, self.signer);
            if let Some(record) = chain.receipts.get_mut(*index) {
                record.seq = seq;
            }
            (seq, prev) = (seq + 1, Some(Sha256Hash::of(jws.as_bytes())));
            chain.outbox.insert(*index, jws.clone());
            lines.push((*index, jws));
        }
        (chain.seq, chain.prev) = (seq, prev);
        let rest = waiting.get(count).map(|from| Again {
            from: *from,
            head: (seq, prev),
        });
        Ok(SignedAgain { lines, rest })
    }
}

/// What must be signed again: everything at or behind an index, from a head on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// The first index.
    pub from: usize,
    /// Its `seq` and `prev`.
    pub head: Head,
}

/// What was signed again.
#[derive(Debug)]
pub struct SignedAgain {
    /// Index and bytes.
    pub lines: Vec<(usize, String)>,
    /// What is left.
    pub rest: Option<Again>,
}

fn job(share: &Share) -> Result<Job, Fault> {
    Ok(Job {
        run: share.run.to_string(),
        state: share.state.as_str().to_owned(),
        gpu_seconds: gpu_seconds(share.gpu_seconds)?,
    })
}

fn gpu_seconds(seconds: i64) -> Result<GpuSeconds, Fault> {
    let too_many = |_| Refusal::new(Code::AmountOverflow, format!("{seconds} GPU-seconds"));
    Ok(GpuSeconds::new(seconds).map_err(too_many)?)
}

/// Reads the claims of a receipt that this meter signed.
/// # Errors
/// [`Fault::Receipt`]
pub fn usage(jws: &str) -> Result<ComputeUsage, Fault> {
    match UnverifiedReceipt::parse(jws)?.claims() {
        Claims::Usage(usage) => Ok(usage.clone()),
        Claims::Delivery(_)
        | Claims::Acceptance(_)
        | Claims::Capacity(_)
        | Claims::Registration(_)
        | Claims::Succession(_)
        | Claims::Reply(_)
        | Claims::Order(_) => {
            let sentence = "the spool holds a statement that is no usage receipt";
            Err(Refusal::new(Code::ReceiptMalformed, sentence).into())
        }
    }
}

/// A correction of what the exchange refused states its period for the first time.
fn corrected(order: OrderId, chain: &Chain, first: Option<usize>) -> (Kind, Option<Jti>) {
    match first.and_then(|index| chain.corrected(index)) {
        Some(record) => (
            Kind::Correction,
            Some(Jti {
                order,
                seq: record.seq,
            }),
        ),
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

impl Chain {
    /// Puts kept bytes back into the outbox if they still wait; they know best where they stand in the chain.
    pub fn wait(&mut self, index: usize, jws: &str) {
        let pending = self
            .receipts
            .get_mut(index)
            .filter(|r| r.standing == Standing::Pending);
        if let (Some(record), Ok(claims)) = (pending, usage(jws)) {
            record.seq = claims.seq;
            self.outbox.insert(index, jws.to_owned());
            (self.seq, self.prev) = (claims.seq + 1, Some(Sha256Hash::of(jws.as_bytes())));
        }
    }
}

/// Enters an answer; returns where the chain goes on behind it.
/// # Errors
/// [`Fault::Receipt`] for bytes that are no receipt of ours
pub fn enter(chain: &mut Chain, index: usize, verdict: Verdict) -> Result<Option<Head>, Fault> {
    let (Some(jws), Some(record)) = (chain.outbox.get(&index), chain.receipts.get_mut(index))
    else {
        return Ok(None);
    };
    let claims = usage(jws)?;
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
    chain.outbox.remove(&index);
    Ok(Some(head))
}
