//! How a voucher comes to its amount: eligibility, tiers, then the money machine (DESIGN §4.4, "when the pipeline runs").

use crate::book::Book;
use crate::book::command::Contract;
use crate::book::matter::{self, About};
use crate::book::state::fact::Subject;
use crate::fact::{FactName, FactValue};
use crate::id::{PartyId, ProgrammeId, VoucherId};
use crate::money::Fen;
use crate::programme::TraceLine;
use crate::programme::eligibility::{self, Answer, Applicable, Matter};
use crate::programme::schema::Line;
use crate::programme::schema::{BaseKind, Face, OnePer, Programme, Scheme, TierPer};
use crate::programme::subsidy::{Lines, Span, TierChoice};
use crate::refusal::{Code, Refusal};
use crate::settlement::Outcome;
use crate::settlement::cap::Holder;
use crate::settlement::counter::CounterKey;
use crate::settlement::order::{Segment, Terms};
use crate::settlement::voucher::{Amount, Issue, Issued};
use crate::time::Timestamp;

/// What a voucher is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Under which programme.
    pub programme: ProgrammeId,
    /// By whom.
    pub holder: PartyId,
    /// For which contract.
    pub contract: Option<Contract>,
    /// The face, where it is chosen or fixed.
    pub face: Option<Fen>,
    /// The stated purpose.
    pub purpose: Option<String>,
    /// When it was wished for: application windows are met then, whenever the decision falls.
    pub since: Timestamp,
}

/// What the rules on holder and contract say, and what they leave for the money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What caps and funds must know of the holder.
    pub holder: Holder,
    /// The tiers that apply.
    pub tiers: Vec<TierChoice>,
    /// Every rule that ran.
    pub trace: Vec<TraceLine>,
}

/// The scheme that a programme's vouchers are asked for: the only one, or the first.
#[must_use]
pub fn scheme_of(programme: &Programme) -> Scheme {
    programme
        .header
        .scheme
        .first()
        .copied()
        .unwrap_or(Scheme::Compute)
}

/// Runs the rules of an application.
/// # Errors
/// The refusal of the rule that says no; `programme.unknown` with the facts that nobody has recorded.
pub fn judge(
    book: &Book,
    programme: &Programme,
    wish: &Wish,
    at: Timestamp,
    about: &About<'_>,
) -> Result<Judged, Refusal> {
    let scheme = scheme_of(programme);
    let mut matter = matter::gather(book, programme, (wish.holder, scheme), at, about);
    matter.at = wish.since;
    let answer = eligibility::at_application(programme, &matter);
    answer.verdict.require_yes()?;
    let (tiers, mut trace) = tiers_of_voucher(programme, &matter)?;
    let Answer {
        trace: mut lines, ..
    } = answer;
    lines.append(&mut trace);
    let holder = holder(book, wish.holder, at, programme, wish.contract.as_ref());
    Ok(Judged {
        holder,
        tiers,
        trace: lines,
    })
}

/// Chooses the tiers as far as a voucher needs them: one with a face of its own needs none, and does not wait for what only
/// an order shows, such as its site (DESIGN §4.4, when the pipeline runs).
fn tiers_of_voucher(
    programme: &Programme,
    matter: &Matter,
) -> Result<(Vec<TierChoice>, Vec<TraceLine>), Refusal> {
    if programme.instrument.face != Face::Computed {
        let (applicable, trace) = eligibility::tiers(programme, matter);
        let shown_now =
            |fact: &String| fact.starts_with("holder.") || fact.starts_with("contract.");
        if matches!(&applicable, Applicable::Manual(missing) if !missing.iter().any(shown_now)) {
            return Ok((Vec::new(), trace));
        }
    }
    choose_tiers(programme, matter, 0)
}

/// Chooses the tiers by segment, or once for the whole order.
/// # Errors
/// `programme.requirement` where no tier applies, `programme.unknown` where a missing fact could change the choice.
pub fn choose_tiers(
    programme: &Programme,
    matter: &Matter,
    segments: usize,
) -> Result<(Vec<TierChoice>, Vec<TraceLine>), Refusal> {
    let mut choices = Vec::new();
    let mut trace = Vec::new();
    let by_segment = programme.rate.tier_per == TierPer::Segment;
    for place in 0..segments.max(1) {
        let mut part = matter.clone();
        if by_segment {
            part.facts = matter.facts.only_site(place);
        }
        let (applicable, lines) = eligibility::tiers(programme, &part);
        if place == 0 || by_segment {
            trace.extend(lines);
        }
        choices.push(choice(applicable)?);
    }
    Ok((choices, trace))
}

fn choice(applicable: Applicable) -> Result<TierChoice, Refusal> {
    match applicable {
        Applicable::Tiers(places) => {
            let places = places
                .into_iter()
                .map(u8::try_from)
                .collect::<Result<_, _>>();
            places.map(TierChoice::Applicable).map_err(|_| {
                Refusal::new(Code::ProgrammeInvalid, "a programme has at most 255 tiers")
            })
        }
        Applicable::Nothing(refusal) => Err(refusal),
        Applicable::Decision => Ok(TierChoice::Manual),
        Applicable::Manual(missing) => {
            eligibility::Verdict::Manual { missing }.require_yes()?;
            Ok(TierChoice::Manual)
        }
    }
}

/// What caps and funds must know of a holder.
#[must_use]
pub fn holder(
    book: &Book,
    party: PartyId,
    at: Timestamp,
    programme: &Programme,
    contract: Option<&Contract>,
) -> Holder {
    let day = at.local_day(programme.header.utc_offset);
    let word = |name| match book.facts.on(Subject::Party(party), name, day) {
        Some(FactValue::Str(word)) => Some(word.clone()),
        _ => None,
    };
    Holder {
        party,
        group: word(FactName::Group),
        city: word(FactName::RegisteredIn),
        contract: contract.map(|contract| contract.digest.hash().to_string()),
        site: None,
    }
}

/// A voucher about to be issued.
#[derive(Debug, Clone, Copy)]
pub struct Issuing<'a> {
    /// Its id, drawn by the caller.
    pub voucher: VoucherId,
    /// When.
    pub at: Timestamp,
    /// What it is wished for.
    pub wish: &'a Wish,
    /// What the rules say.
    pub judged: &'a Judged,
}

/// Issues by the programme's own computation, or with the amount that a decision supplies; says which amount that was.
/// # Errors
/// `programme.manual` where the programme leaves an amount to a decision and none was given, and those of
/// [`crate::settlement::Money::issue`].
pub fn issue(
    book: &Book,
    programme: &Programme,
    issuing: Issuing<'_>,
    approved: Option<Fen>,
) -> Result<(Outcome<Issued>, Option<Fen>), Refusal> {
    let Issuing {
        voucher,
        at,
        wish,
        judged,
    } = issuing;
    let ask = |amount| Issue {
        voucher,
        programme: wish.programme.clone(),
        holder: judged.holder.clone(),
        amount,
    };
    let approved_base = programme.base.of.contains(&BaseKind::Approved);
    let amount = own_amount(programme, wish, judged, approved.filter(|_| approved_base))?;
    let own = book.money.issue(at, &ask(amount));
    match (own, approved) {
        (Err(refusal), Some(fen)) if refusal.code == Code::ProgrammeManual => {
            Ok((book.money.issue(at, &ask(Amount::Decided(fen)))?, Some(fen)))
        }
        (Ok(_), Some(_)) if !approved_base => Err(Refusal::new(
            Code::RequestMalformed,
            "the programme computes the amount by itself; leave approved_fen out",
        )),
        (own, _) => Ok((own?, None)),
    }
}

/// The amount as the programme finds it.
pub(in crate::book) fn own_amount(
    programme: &Programme,
    wish: &Wish,
    judged: &Judged,
    approved: Option<Fen>,
) -> Result<Amount, Refusal> {
    match (programme.instrument.face, wish.face) {
        (Face::Chosen | Face::Fixed, Some(face)) => Ok(Amount::Chosen(face)),
        (Face::Chosen | Face::Fixed, None) => Err(Refusal::new(
            Code::RequestMalformed,
            "the programme's vouchers have a chosen face; give face_fen",
        )),
        (Face::Computed, Some(_)) => Err(Refusal::new(
            Code::RequestMalformed,
            "the programme computes the face; leave face_fen out and name the contract",
        )),
        (Face::Computed, None) => {
            let terms = terms(scheme_of(programme), wish.contract.as_ref(), approved)?;
            Ok(Amount::Computed(terms, judged.tiers.clone()))
        }
    }
}

/// The terms of a contract alone, before an order has segments.
/// # Errors
/// `order.terms` without a contract: there is nothing to compute an amount from.
pub fn terms(
    scheme: Scheme,
    contract: Option<&Contract>,
    approved: Option<Fen>,
) -> Result<Terms, Refusal> {
    let contract = contract.ok_or_else(|| {
        Refusal::new(
            Code::OrderTerms,
            "the amount is computed from a contract; name it",
        )
    })?;
    let lines = |fen| Lines::from_iter([(Line::GpuRent, fen)]);
    // Used in full, the contract costs what it says: so a programme that pays on metered use can compute a face too.
    let whole = Segment {
        price: contract.fen,
        per: 1,
        limit: Some(1),
    };
    Ok(Terms {
        scheme,
        segments: (scheme == Scheme::Compute)
            .then_some(whole)
            .into_iter()
            .collect(),
        contract: Some(lines(contract.fen)),
        approved: approved.map(lines),
        contract_days: Some(Span {
            from: contract.from,
            to: contract.to,
        }),
        service_days: Some(Span {
            from: contract.from,
            to: contract.to,
        }),
    })
}

/// The uniqueness counters that a voucher or a claim without one raises (查重), each refused if it stands at 1 already.
/// # Errors
/// `programme.unique`; `order.terms` where the programme needs a contract and none is named.
pub fn unique(
    book: &Book,
    programme: &Programme,
    holder: PartyId,
    contract: Option<&Contract>,
) -> Result<Vec<(CounterKey, i64)>, Refusal> {
    let pool = programme.instrument.uniq_pool.as_deref();
    let pool = pool.unwrap_or_else(|| programme.header.id.as_str());
    let mut keys = Vec::new();
    for one_per in &programme.instrument.one_per {
        match one_per {
            OnePer::Contract => {
                let contract = contract.ok_or_else(|| {
                    Refusal::new(
                        Code::OrderTerms,
                        "one contract, one voucher: name the contract",
                    )
                })?;
                let hash = contract.number.unwrap_or(*contract.digest.hash());
                keys.push(format!("uniq/{pool}/contract/{hash}"));
            }
            OnePer::HolderLife => keys.push(format!("uniq/{pool}/holder/{holder}")),
            // Invoices are met when they are recorded; a holder's and a site's limits are caps of their own.
            OnePer::Invoice | OnePer::Holder | OnePer::Site => {}
        }
    }
    keys.into_iter().map(|text| take(book, &text)).collect()
}

/// Raises a uniqueness counter from 0 to 1.
/// # Errors
/// `programme.unique`
pub fn take(book: &Book, text: &str) -> Result<(CounterKey, i64), Refusal> {
    let key = CounterKey::parse(text)
        .map_err(|fault| Refusal::new(Code::RequestMalformed, fault.to_string()))?;
    if book.money.counters().get(&key) != 0 {
        return Err(Refusal::new(
            Code::ProgrammeUnique,
            "this was used already; one contract, invoice or payment serves one subsidy",
        )
        .with("key", text));
    }
    Ok((key, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Salt;
    use crate::programme::scenario;
    use crate::time::Timestamp;

    /// Half of the contract, for chips or holders of some kind.
    fn judged(face: &str, of: &str, fact: &str) -> Result<Judged, Refusal> {
        let programme = scenario::programme(&format!(
            r#"
            id = "p-1"
            scheme = "compute"
            fund = [{{ id = "f-1", funder = "f-finance" }}]
            instrument = {{ commit_at = "issue", face = "{face}" }}
            base = {{ of = ["contract"] }}
            [rate]
            tier = [
                {{ id = "some", bp = 5000, when = [{{ of = "{of}", fact = "{fact}", op = "exists" }}] }},
                {{ id = "other", bp = 1000 }},
            ]
            "#
        ));
        let wish = Wish {
            programme: programme.header.id.clone(),
            holder: PartyId::draw(&Salt::new([1; 16]), 0, 0),
            contract: None,
            face: Some(Fen::new(100).unwrap()),
            purpose: None,
            since: Timestamp::new(0).unwrap(),
        };
        judge(
            &Book::new(),
            &programme,
            &wish,
            wish.since,
            &About::default(),
        )
    }

    #[test]
    fn a_chosen_face_does_not_wait_for_what_only_an_order_shows() {
        let judged = judged("chosen", "site", "chip_origin").unwrap();
        assert!(judged.tiers.is_empty());
        let line = judged
            .trace
            .iter()
            .find(|line| line.rule == "rate.tier.some");
        assert!(line.is_some(), "what is open stands in the trace");
    }

    #[test]
    fn every_face_waits_for_the_holders_facts_and_a_computed_one_for_all() {
        let waits = [
            judged("chosen", "holder", "startup"),
            judged("computed", "holder", "startup"),
            judged("computed", "site", "chip_origin"),
        ];
        for refused in waits {
            assert_eq!(refused.unwrap_err().code, Code::ProgrammeUnknown);
        }
    }
}
