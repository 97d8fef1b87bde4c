//! Signed usage receipts and corrections: the chain, a period that is free, the cards of the segment.

use serde_json::{Value, json};
use verifier::book::command::Kind;
use verifier::book::entry::Entry;
use verifier::book::state::chain::Usage as Stated;
use verifier::book::state::order::Goods;
use verifier::id::{DocumentDigest, GpuModel, OrderId, Salt, SiteId};
use verifier::money::GpuSeconds;
use verifier::receipt::{self, ComputeUsage, Job, Jti};
use verifier::refusal::Refusal;
use verifier::time::{Timestamp, UtcOffset};

use super::compare::Done;
use super::exchange::{signer, time};
use super::run::{Run, text};
use crate::story::ORIGIN;

/// When cards were used.
#[derive(Clone, Copy)]
enum Span {
    /// In the last free second before this moment, on as many cards as that takes.
    Before(Timestamp),
    /// From when to when, on so many cards.
    Of((Timestamp, Timestamp), u32),
}

/// What a receipt says.
pub(super) struct Usage<'a> {
    /// The order's name.
    pub(super) order: String,
    pub(super) seller: &'a str,
    pub(super) segment: u16,
    pub(super) gpu_seconds: i64,
    span: Span,
    corrects: Option<u32>,
    pub(super) inputs: Option<Vec<DocumentDigest>>,
}

impl<'a> Usage<'a> {
    pub(super) fn at_end(
        order: String,
        seller: &'a str,
        (segment, gpu_seconds): (u16, i64),
        end: Timestamp,
    ) -> Self {
        Self {
            order,
            seller,
            segment,
            gpu_seconds,
            span: Span::Before(end),
            corrects: None,
            inputs: None,
        }
    }
}

/// A receipt of these files lies in one segment.
fn units(step: &Value) -> (u16, i64) {
    let units = step["units"].as_object().unwrap();
    assert_eq!(units.len(), 1, "a receipt lies in exactly one segment");
    let (segment, units) = units.iter().next().unwrap();
    (segment.parse().unwrap(), units.as_i64().unwrap())
}

/// A receipt has a card, also where it takes back all use.
fn cards_for_a_second(gpu_seconds: i64) -> u32 {
    u32::try_from(gpu_seconds.max(1)).unwrap()
}

impl Run {
    pub(super) fn receipt(&mut self, step: &Value) -> Result<Done, Refusal> {
        let name = text(&step["order"]).to_owned();
        let end = step["end"].as_str().map_or(self.exchange.at, time);
        self.exchange.until(end);
        let placing = self.placing(&name);
        let mut usage = Usage::at_end(name.clone(), text(&placing["seller"]), units(step), end);
        if let Some(start) = step["start"].as_str() {
            let cards = u32::try_from(step["gpu_count"].as_u64().unwrap()).unwrap();
            usage.span = Span::Of((time(start), end), cards);
            self.again(&name);
        }
        let done = self.used(&name, &usage)?;
        let nth = self.receipts.get(&name).map_or(0, Vec::len);
        self.note_receipt(&name, usage.seller, nth);
        Ok(done)
    }

    /// Places an order of the same terms under the same name: the periods of one order share no second.
    fn again(&mut self, name: &str) {
        let (buyer, place) = self.placed[name].clone();
        let placed = self.exchange.done(buyer, Kind::PlaceOrder, &place);
        let order = placed.found.order.unwrap().to_string();
        self.exchange.names.insert(order.clone(), name.to_owned());
        self.orders.insert(name.to_owned(), order);
    }

    fn used(&mut self, name: &str, usage: &Usage<'_>) -> Result<Done, Refusal> {
        let used = self.send(usage)?;
        let found = serde_json::to_value(&used.found.stated).unwrap();
        for (key, by) in &used.counters {
            let mut parts = key.as_str().split('/');
            if let (Some("site"), Some(site), Some(model), Some(hour)) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            {
                let model = model.trim_end_matches('-');
                let site = self.exchange.names.get(site).cloned().unwrap_or_default();
                let hour = format!("{site}/{model}/{}", hour.trim_end_matches('Z'));
                *self.hours.entry(hour).or_insert(0) += by;
            }
        }
        Ok(self.stated(self.saw(&used), name, &found["claims"]))
    }

    /// The new total of a receipt: what stands of it is corrected, or voided and sent anew for another segment.
    pub(super) fn correct(&mut self, step: &Value) -> Result<Done, Refusal> {
        let name = text(&step["order"]).to_owned();
        let seller = text(&self.placing(&name)["seller"]).to_owned();
        let nth = usize::try_from(step["corrects"].as_u64().unwrap()).unwrap();
        let mut usage = Usage::at_end(name.clone(), &seller, units(step), self.exchange.at);
        let seq = self
            .receipts
            .get(&name)
            .and_then(|all| all.get(nth))
            .copied();
        usage.corrects = Some(seq.unwrap_or(u32::MAX));
        let Some((seq, old)) = self.receipted(&seller, self.order(&name), seq) else {
            return self.used(&name, &usage);
        };
        let repeated = (old.start, old.end);
        if old.segment == usage.segment {
            usage.span = Span::Of(repeated, cards_for_a_second(usage.gpu_seconds));
            let done = self.used(&name, &usage)?;
            self.note_receipt(&name, &seller, nth);
            return Ok(done);
        }
        // More first, so that nothing has to come back that stays granted.
        let anew = Usage::at_end(name.clone(), &seller, units(step), old.end);
        let sent = self.used(&name, &anew)?;
        self.note_receipt(&name, &seller, nth);
        let mut void = Usage::at_end(name.clone(), &seller, (old.segment, 0), old.end);
        (void.span, void.corrects) = (Span::Of(repeated, 1), Some(seq));
        let voided = self.used(&name, &void)?;
        Ok(sent.then(voided))
    }

    /// Remembers that the last receipt of an order stands for the file's nth.
    fn note_receipt(&mut self, name: &str, seller: &str, nth: usize) {
        let seller = self.party(seller).0;
        let last = self.exchange.book.chain(self.order(name), seller).next() - 1;
        let receipts = self.receipts.entry(name.to_owned()).or_default();
        receipts.resize(receipts.len().max(nth + 1), last);
        receipts[nth] = last;
    }

    fn receipted(
        &mut self,
        seller: &str,
        order: OrderId,
        seq: Option<u32>,
    ) -> Option<(u32, Stated)> {
        let seller = self.party(seller).0;
        let accepted = self.exchange.book.chain(order, seller).get(seq?)?;
        Some((seq?, accepted.usage.clone()?))
    }

    /// Signs and sends a usage receipt.
    pub(super) fn send(&mut self, usage: &Usage<'_>) -> Result<Entry, Refusal> {
        let seller = self.party(usage.seller);
        let order = self.order(&usage.order);
        let ((start, end), gpu_count) = match usage.span {
            Span::Of(period, cards) => (period, cards),
            Span::Before(end) => (
                self.free_second((order, usage.segment), end),
                cards_for_a_second(usage.gpu_seconds),
            ),
        };
        let (site, gpu_model) = self.cards(order, usage.segment);
        let chain = self.exchange.book.chain(order, seller.0);
        let seq = chain.next();
        let gpu_seconds = GpuSeconds::new(usage.gpu_seconds).unwrap();
        let claims = ComputeUsage {
            iss: seller.0,
            aud: ORIGIN.into(),
            sub: order,
            seq,
            prev: chain.head(),
            jti: Jti { order, seq },
            iat: self.exchange.at,
            kind: usage
                .corrects
                .map_or(receipt::Kind::Usage, |_| receipt::Kind::Correction),
            corrects: usage.corrects.map(|seq| Jti { order, seq }),
            site,
            gpu_model,
            gpu_count,
            start,
            end,
            gpu_seconds,
            jobs: vec![Job {
                run: format!("slurm:{order}/{seq}"),
                state: "COMPLETED".to_owned(),
                gpu_seconds,
            }],
            inputs: usage.inputs.clone(),
            export: None,
            energy_wh: None,
            util_bp: None,
            devices: None,
        };
        let signer = signer(&format!("receipt of {}", usage.seller));
        let accept = json!({ "jws": receipt::sign(&claims, &signer) });
        self.exchange.ask(seller, Kind::AcceptReceipt, &accept)
    }

    /// The last second before an end that no receipt of the segment has, on the same day.
    fn free_second(
        &self,
        (order, segment): (OrderId, u16),
        end: Timestamp,
    ) -> (Timestamp, Timestamp) {
        let dealings = self.exchange.book.dealings.get(&order);
        let used = dealings.and_then(|all| all.segments.get(&segment));
        let mut seconds = (0..).map(|back| (end.after(-back - 1), end.after(-back)));
        let is_free = |(from, to): &(Timestamp, Timestamp)| {
            used.is_none_or(|used| used.overlapping(*from, *to).is_none())
        };
        let second = seconds.find(is_free).unwrap();
        let day = |at: Timestamp| at.local_day(UtcOffset::CHINA);
        assert_eq!(
            day(second.0),
            day(end.after(-1)),
            "a second of the same day"
        );
        second
    }

    /// Where a segment is used, and on what; anything, of an order that is none.
    fn cards(&self, order: OrderId, segment: u16) -> (SiteId, GpuModel) {
        let placed = self.exchange.book.orders.get(&order);
        let segment = placed.map(|order| &order.segments[usize::from(segment)].goods);
        match segment {
            Some(Goods::Gpu {
                site, gpu_model, ..
            }) => (*site, gpu_model.clone()),
            Some(Goods::Dataset { .. }) | None => {
                let site = SiteId::draw(&Salt::new([0xff; 16]), 0, 0);
                (site, GpuModel::parse("model-0").unwrap())
            }
        }
    }
}
