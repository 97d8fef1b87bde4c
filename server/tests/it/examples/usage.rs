//! Signed usage receipts of the examples, and what they are answered with.

use serde_json::Value;
use verifier::id::{DocumentDigest, GpuModel, OrderId, PartyId, Sha256Hash};
use verifier::money::GpuSeconds;
use verifier::receipt::{self, ComputeUsage, Job, Jti, Kind};

use super::stage::{HOUR, MODEL, Stage, fen, time};
use crate::support::{Answer, ORIGIN};

/// The end of the receipts of one order.
#[derive(Default)]
pub(crate) struct Chain {
    next: u32,
    prev: Option<Sha256Hash>,
}

/// What a receipt says was used.
#[derive(Clone)]
pub(crate) struct Usage {
    pub(crate) start: &'static str,
    pub(crate) seconds: i64,
    pub(crate) cards: u32,
    pub(crate) gpu_seconds: i64,
    pub(crate) corrects: Option<u32>,
    pub(crate) inputs: Option<Vec<DocumentDigest>>,
}

impl Usage {
    /// So many GPU-seconds in the hour from `start`, on as many cards as that takes.
    pub(crate) fn hour(start: &'static str, gpu_seconds: i64) -> Self {
        Self {
            start,
            seconds: HOUR,
            cards: u32::try_from(gpu_seconds / HOUR + 1).unwrap(),
            gpu_seconds,
            corrects: None,
            inputs: None,
        }
    }

    /// It replaces receipt `seq` of the same order.
    pub(crate) fn correcting(mut self, seq: u32) -> Self {
        self.corrects = Some(seq);
        self
    }
}

impl Stage {
    /// Sends the next receipt of an order, once its period is over; returns what was found.
    pub(crate) fn used(&mut self, order: OrderId, usage: &Usage) -> Receipted {
        let answer = self.try_use(order, usage);
        assert_eq!(answer.status, 201, "{}", answer.text);
        Receipted(answer.body)
    }

    /// Sends it, whatever the answer; the chain goes on where it was accepted.
    pub(crate) fn try_use(&mut self, order: OrderId, usage: &Usage) -> Answer {
        let end = time(usage.start).after(usage.seconds);
        let now = self.exchange.clock.now().unwrap();
        self.exchange
            .clock
            .advance((end.unix() - now.unix()).max(0));
        let chain = self.chains.entry(order).or_default();
        let seq = chain.next;
        let claims = ComputeUsage {
            iss: PartyId::parse(&self.provider.party).unwrap(),
            aud: ORIGIN.to_owned(),
            sub: order,
            seq,
            prev: chain.prev,
            jti: Jti { order, seq },
            iat: self.exchange.clock.now().unwrap(),
            kind: usage.corrects.map_or(Kind::Usage, |_| Kind::Correction),
            corrects: usage.corrects.map(|seq| Jti { order, seq }),
            site: self.site,
            gpu_model: GpuModel::parse(MODEL).unwrap(),
            gpu_count: usage.cards,
            start: time(usage.start),
            end,
            gpu_seconds: GpuSeconds::new(usage.gpu_seconds).unwrap(),
            jobs: vec![Job {
                run: format!("slurm:{order}/{seq}"),
                state: "COMPLETED".to_owned(),
                gpu_seconds: GpuSeconds::new(usage.gpu_seconds).unwrap(),
            }],
            inputs: usage.inputs.clone(),
            export: None,
            energy_wh: None,
            util_bp: None,
            devices: None,
        };
        let jws = receipt::sign(&claims, &self.signer);
        let jose = [("content-type", "application/jose")];
        let answer = self.provider.client.send("/v1/receipts", &jws, &jose);
        if answer.status == 201 {
            *chain = Chain {
                next: seq + 1,
                prev: Some(Sha256Hash::of(jws.as_bytes())),
            };
        }
        answer
    }
}

/// What became of a receipt, or of another act on an order.
pub(crate) struct Receipted(pub(crate) Value);

impl Receipted {
    /// By how much each claim was granted more.
    pub(crate) fn deltas(&self) -> Vec<i64> {
        self.of("delta")
    }

    /// One member of each claim as stated.
    pub(crate) fn of(&self, member: &str) -> Vec<i64> {
        let claims = self.0["found"]["stated"]["claims"].as_array();
        let claims = claims.unwrap().iter();
        claims.map(|claim| fen(&claim[member])).collect()
    }

    pub(crate) fn entry(&self) -> u64 {
        self.0["seq"].as_u64().unwrap()
    }
}
