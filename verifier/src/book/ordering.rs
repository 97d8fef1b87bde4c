//! What an order buys and what pays for it: segments from published offers, claims judged by their programmes.
//!
//! `decide` and `apply` both read the same command here, so that an entry need not repeat what it was asked.

use std::sync::Arc;

use crate::book::Book;
use crate::book::command::{ClaimAsked, Contract, PlaceOrder, SegmentAsked};
use crate::book::issuing::{self, choose_tiers};
use crate::book::matter::{self, About};
use crate::book::state::order::{CARD_HOUR_SECONDS, Goods, Segment};
use crate::id::{DocumentDigest, PartyId, ProgrammeId, SiteId};
use crate::programme::TraceLine;
use crate::programme::eligibility;
use crate::programme::schema::{CommitAt, Line, Programme, Scheme, Sign, StackMode};
use crate::programme::subsidy::{Lines, Span, TierChoice};
use crate::refusal::{Code, Refusal};
use crate::settlement::order::{CLAIMS_MAX, Segment as PricedSegment, Terms};
use crate::settlement::place::Right;
use crate::time::Timestamp;

/// What an order buys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goodslist {
    /// Compute or data.
    pub scheme: Scheme,
    /// The segments.
    pub segments: Vec<Segment>,
    /// The site of each segment.
    pub sites: Vec<SiteId>,
    /// The version of the dataset.
    pub dataset: Option<DocumentDigest>,
}

/// Looks up what is asked for.
/// # Errors
/// `order.terms` `offer.unknown` `offer.withdrawn` `dataset.unknown` `dataset.state`
pub fn goods(
    book: &Book,
    seller: PartyId,
    asked: &[SegmentAsked],
    at: Timestamp,
) -> Result<Goodslist, Refusal> {
    let segments: Vec<Segment> = asked
        .iter()
        .map(|segment| resolve(book, seller, segment, at))
        .collect::<Result<_, _>>()?;
    let mut sites = Vec::new();
    let mut dataset = None;
    for segment in &segments {
        match &segment.goods {
            Goods::Gpu { site, .. } => sites.push(*site),
            Goods::Dataset { manifest, .. } => dataset = Some(*manifest),
        }
    }
    if dataset.is_some() && segments.len() != 1 {
        return Err(terms(
            "an order buys GPU time, or one dataset; place another order",
        ));
    }
    let scheme = if dataset.is_some() {
        Scheme::Data
    } else {
        Scheme::Compute
    };
    Ok(Goodslist {
        scheme,
        segments,
        sites,
        dataset,
    })
}

/// Whether segments of one site and model lie apart: a receipt must lie in exactly one of them.
/// # Errors
/// `order.terms`
pub fn check_apart(segments: &[&Segment]) -> Result<(), Refusal> {
    for (place, one) in segments.iter().enumerate() {
        let mut later = segments.iter().skip(place + 1);
        if let Some(other) = later.find(|other| meet(one, other)) {
            let sentence = format!(
                "segments from {} and from {} are of the same cards at one time; let one end where the other begins",
                one.from, other.from
            );
            return Err(terms(&sentence));
        }
    }
    Ok(())
}

fn meet(one: &Segment, other: &Segment) -> bool {
    let cards = |segment: &Segment| match &segment.goods {
        Goods::Gpu {
            site, gpu_model, ..
        } => Some((*site, gpu_model.clone())),
        Goods::Dataset { .. } => None,
    };
    let same = cards(one).is_some() && cards(one) == cards(other);
    same && one.from < other.to && other.from < one.to
}

fn resolve(
    book: &Book,
    seller: PartyId,
    asked: &SegmentAsked,
    at: Timestamp,
) -> Result<Segment, Refusal> {
    if asked.to <= asked.from {
        return Err(terms("a segment's to is not after its from"));
    }
    let (goods, price_fen, sells) = match (&asked.offer, &asked.dataset) {
        (Some(offer), None) => {
            let state = book.offer(*offer)?;
            if !state.is_open_at(at) {
                let sentence = "the offer is withdrawn or over; choose another";
                return Err(Refusal::new(Code::OfferWithdrawn, sentence).with("offer", offer));
            }
            let goods = Goods::Gpu {
                offer: *offer,
                site: state.site,
                gpu_model: state.gpu_model.clone(),
                billing: state.billing,
            };
            (goods, state.price_fen, book.site(state.site)?.provider)
        }
        (None, Some(manifest)) => {
            let version = book.version(*manifest)?;
            let listing = book.dataset(version.dataset)?;
            if listing.withdrawn.is_some() || version.recalled.is_some() {
                let sentence = "the dataset is not for sale any more";
                return Err(Refusal::new(Code::DatasetState, sentence).with("dataset", manifest));
            }
            let goods = Goods::Dataset {
                dataset: version.dataset,
                manifest: *manifest,
            };
            (goods, version.price_fen, listing.vendor)
        }
        _ => return Err(terms("a segment names an offer or a dataset")),
    };
    if sells != seller {
        return Err(terms(
            "the seller of a segment is not the seller of the order",
        ));
    }
    Ok(Segment {
        goods,
        from: asked.from,
        to: asked.to,
        price_fen,
        limit: asked.limit,
    })
}

/// The terms as far as money depends on them.
/// # Errors
/// `order.terms`
pub fn priced(list: &Goodslist, contract: Option<&Contract>) -> Result<Terms, Refusal> {
    let lines = |line, fen| Lines::from_iter([(line, fen)]);
    let dataset = list
        .segments
        .first()
        .filter(|_| list.scheme == Scheme::Data);
    let agreed = match (dataset, contract) {
        (Some(version), _) => Some(lines(Line::Dataset, version.price_fen)),
        (None, Some(contract)) => Some(lines(Line::GpuRent, contract.fen)),
        (None, None) => None,
    };
    if list.segments.is_empty() && contract.is_none() {
        return Err(terms("an order without segments needs a contract"));
    }
    let gpu = list.segments.iter().filter(|_| dataset.is_none());
    let contract_days = contract.map(|contract| Span {
        from: contract.from,
        to: contract.to,
    });
    Ok(Terms {
        scheme: list.scheme,
        segments: gpu.map(price).collect::<Result<_, _>>()?,
        contract: agreed,
        approved: None,
        contract_days,
        service_days: contract_days,
    })
}

/// A segment's price: fen a card-hour.
/// # Errors
/// `order.terms`
pub fn price(segment: &Segment) -> Result<PricedSegment, Refusal> {
    let limit = segment.limit.map(i64::try_from).transpose();
    let limit = limit.map_err(|_| terms("a segment's limit is too large"))?;
    Ok(PricedSegment {
        price: segment.price_fen,
        per: CARD_HOUR_SECONDS,
        limit,
    })
}

/// One claim with its rules.
#[derive(Debug, Clone)]
pub struct Backing {
    /// What it rests on.
    pub right: Right,
    /// The rules that are pinned.
    pub programme: Arc<Programme>,
}

/// Asks for the buyer's signature where a programme of an order's claims does (`instrument.sign`).
///
/// No programme that does could be enacted before this was asked: no decision of before is another one now.
/// # Errors
/// `order.claims`
pub fn check_signed(backings: &[Backing], asked: &PlaceOrder) -> Result<(), Refusal> {
    let asks = |backing: &&Backing| backing.programme.instrument.sign.contains(&Sign::Order);
    match backings.iter().find(asks).filter(|_| asked.jws.is_none()) {
        None => Ok(()),
        Some(backing) => {
            let programme = &backing.programme.header.id;
            let sentence = format!(
                "the programme {programme} asks for the buyer's signature of an order: add jws, an order+jwt by a key registered for acceptances"
            );
            let refusal = Refusal::new(Code::OrderClaims, sentence);
            Err(refusal.with("programme", programme))
        }
    }
}

/// Looks up what each claim rests on.
/// # Errors
/// `order.claims` `voucher.unknown` `programme.missing` `programme.closed`
pub fn backings(book: &Book, claims: &[ClaimAsked]) -> Result<Vec<Backing>, Refusal> {
    if claims.is_empty() || claims.len() > CLAIMS_MAX {
        let sentence = format!("an order has 1 to {CLAIMS_MAX} claims");
        return Err(Refusal::new(Code::OrderClaims, sentence));
    }
    claims.iter().map(|claim| backing(book, claim)).collect()
}

fn backing(book: &Book, claim: &ClaimAsked) -> Result<Backing, Refusal> {
    match (&claim.voucher, &claim.programme) {
        (Some(voucher), None) => {
            let state = book.money.voucher(*voucher)?;
            let programme = book.pinned(&state.programme, state.version)?;
            Ok(Backing {
                right: Right::Voucher(*voucher),
                programme,
            })
        }
        (None, Some(id)) => {
            let enactment = book.programme(id)?;
            let (_, version) = enactment
                .current()
                .filter(|_| enactment.closed.is_none())
                .ok_or_else(|| {
                    Refusal::new(Code::ProgrammeClosed, "the programme is closed")
                        .with("programme", id)
                })?;
            if version.programme.instrument.commit_at == CommitAt::Issue {
                let sentence = "the programme pays through vouchers; name one of yours";
                return Err(Refusal::new(Code::OrderClaims, sentence).with("programme", id));
            }
            let programme = Arc::clone(&version.programme);
            Ok(Backing {
                right: Right::Programme(id.clone()),
                programme,
            })
        }
        _ => Err(Refusal::new(
            Code::OrderClaims,
            "a claim names a voucher or a programme",
        )),
    }
}

/// Whether the programmes may meet on one order (PROGRAMMES §1, `stack`).
/// # Errors
/// `programme.stack`
pub fn check_stacking(backings: &[Backing]) -> Result<(), Refusal> {
    for (place, one) in backings.iter().enumerate() {
        let others = backings
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place);
        let mut others = others.map(|(_, backing)| &*backing.programme);
        let clash = others.find(|other| clashes(&one.programme, other));
        if let Some(other) = clash {
            return Err(stack(
                &one.programme,
                &format!("does not go with {}", other.header.id),
            ));
        }
        let present = |id: &ProgrammeId| {
            backings
                .iter()
                .any(|other| other.programme.header.id == *id)
        };
        let rules = &one.programme.stack;
        let missing = rules
            .with
            .iter()
            .find(|id| rules.mode == StackMode::Link && !present(id));
        if let Some(id) = missing {
            return Err(stack(
                &one.programme,
                &format!("needs a claim of {id} beside it"),
            ));
        }
    }
    Ok(())
}

fn clashes(one: &Programme, other: &Programme) -> bool {
    if one.header.id == other.header.id {
        return true;
    }
    let meet = one.stack.group.is_some() && one.stack.group == other.stack.group;
    match one.stack.mode {
        // Without a group an exclusive programme stands alone on its order.
        StackMode::Exclusive => meet || one.stack.group.is_none(),
        StackMode::BestOf => meet,
        StackMode::AddToCeiling | StackMode::Link | StackMode::Free => false,
    }
}

/// Runs the rules of one claim on an order and chooses its tiers.
/// # Errors
/// The refusal of the rule that says no; `programme.unknown` with what nobody has recorded.
pub fn judge(
    book: &Book,
    backing: &Backing,
    (buyer, list): (PartyId, &Goodslist),
    at: Timestamp,
    about: &About<'_>,
) -> Result<(Vec<TierChoice>, Vec<TraceLine>), Refusal> {
    let programme = &backing.programme;
    if !programme.header.scheme.contains(&list.scheme) {
        let sentence = format!("{} is not for {} orders", programme.header.id, list.scheme);
        return Err(Refusal::new(Code::OrderClaims, sentence));
    }
    let assessed = list
        .dataset
        .and_then(|manifest| book.version(manifest).ok()?.assessed);
    if list.dataset.is_some() && programme.data.requires_assessment && assessed != Some(true) {
        let sentence = "the programme pays for assessed datasets only";
        return Err(Refusal::new(Code::DatasetState, sentence));
    }
    let matter = matter::gather(book, programme, (buyer, list.scheme), at, about);
    let answer = match backing.right {
        Right::Voucher(_) => eligibility::at_order(programme, &matter),
        Right::Programme(_) => eligibility::at_application(programme, &matter)
            .and(eligibility::at_order(programme, &matter)),
    };
    answer.verdict.require_yes()?;
    let (tiers, lines) = choose_tiers(programme, &matter, list.sites.len())?;
    let mut trace = answer.trace;
    trace.extend(lines);
    Ok((tiers, trace))
}

/// The uniqueness counters of a claim without a voucher; a voucher raised its own when it was issued.
/// # Errors
/// Those of [`issuing::unique`].
pub fn unique(
    book: &Book,
    backing: &Backing,
    buyer: PartyId,
    contract: Option<&Contract>,
) -> Result<Vec<(crate::settlement::counter::CounterKey, i64)>, Refusal> {
    match backing.right {
        Right::Voucher(_) => Ok(Vec::new()),
        Right::Programme(_) => issuing::unique(book, &backing.programme, buyer, contract),
    }
}

fn terms(sentence: &str) -> Refusal {
    Refusal::new(Code::OrderTerms, sentence)
}

fn stack(programme: &Programme, what: &str) -> Refusal {
    let id = &programme.header.id;
    Refusal::new(Code::ProgrammeStack, format!("{id} {what} on one order")).with("programme", id)
}
