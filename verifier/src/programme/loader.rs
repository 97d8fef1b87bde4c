//! From a TOML table to a [`Programme`]: one function a table of the file, defaults and contradictions included.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::reader::{Count, Kind, LocalMoment, Notes, OneOrMany, Positive, RuleId, Table, Year};
use super::schema::*;
use crate::fact::{FactName, FactValue, SubjectKind, ValueKind};
use crate::id::ProgrammeId;
use crate::money::{BasisPoints, Fen, Rounding};
use crate::refusal::Refusal;
use crate::time::{PeriodLength, UtcOffset};

/// Reads a whole file. Where structural keys are open, the programme holds placeholders there and must not be handed out.
pub(super) fn programme(file: &toml::Table, notes: &RefCell<Notes>) -> Result<Programme, Refusal> {
    let mut file = Table::new(String::new(), file, notes);
    let header = header(&mut file)?;
    let offset = header.utc_offset;
    let funds = funds(&mut file)?;
    let instrument = instrument(&mut file)?;
    let window = window(&mut file, offset)?;
    let require = file
        .tables("require")?
        .into_iter()
        .map(requirement)
        .collect::<Result<_, _>>()?;
    let related = file.table("related")?.map(related).transpose()?;
    let base = base(&mut file)?;
    let rate = rate(&mut file)?;
    let caps = file
        .tables("cap")?
        .into_iter()
        .map(cap)
        .collect::<Result<_, _>>()?;
    let stack = stack(&mut file)?;
    let rounding = rounding(&mut file)?;
    let providers = providers(&mut file)?;
    let evidence = file
        .tables("evidence")?
        .into_iter()
        .map(evidence)
        .collect::<Result<_, _>>()?;
    let stages = file
        .tables("stage")?
        .into_iter()
        .map(stage)
        .collect::<Result<_, _>>()?;
    let clawback = file.table("clawback")?.map(clawback).transpose()?;
    let data = data(&mut file, &header.scheme)?;
    file.finish()?;
    Ok(Programme {
        header,
        funds,
        instrument,
        window,
        require,
        related,
        base,
        rate,
        caps,
        stack,
        rounding,
        providers,
        evidence,
        stages,
        clawback,
        data,
        settled: Vec::new(),
    })
}

fn header(file: &mut Table<'_>) -> Result<Header, Refusal> {
    for key in ["schema", "engine"] {
        if file.or::<i64>(key, 1)? != 1 {
            return Err(file.fault(key, "this exchange knows version 1"));
        }
    }
    if file.or::<String>("currency", "CNY".into())? != "CNY" {
        return Err(file.fault("currency", "every fund is kept in CNY"));
    }
    let offset = match file.opt::<i64>("utc_offset_min")? {
        None => UtcOffset::CHINA,
        Some(minutes) => i16::try_from(minutes)
            .ok()
            .and_then(|minutes| UtcOffset::new(minutes).ok())
            .ok_or_else(|| file.fault("utc_offset_min", "expected minutes from -840 to 840"))?,
    };
    let id: ProgrammeId = file.must("id")?;
    let succeeds = file.opt("succeeds")?;
    if succeeds.as_ref() == Some(&id) {
        return Err(file.fault("succeeds", "names the programme itself"));
    }
    Ok(Header {
        schema: 1,
        engine: 1,
        id,
        name: names(file)?,
        scheme: schemes(file)?,
        status: file.or("status", Status::Template)?,
        issuer: file.opt("issuer")?,
        region: file.opt("region")?,
        level: file.opt("tier")?,
        legal: file
            .tables("legal")?
            .into_iter()
            .map(legal)
            .collect::<Result<_, _>>()?,
        utc_offset: offset,
        succeeds,
    })
}

fn names(file: &mut Table<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut names = BTreeMap::new();
    if let Some(mut table) = file.table("name")? {
        for language in ["zh", "en", "it"] {
            if let Some(name) = table.opt::<String>(language)? {
                names.insert(language.to_owned(), name);
            }
        }
        table.finish()?;
    }
    Ok(names)
}

fn schemes(file: &mut Table<'_>) -> Result<Vec<Scheme>, Refusal> {
    let schemes = file.must::<OneOrMany<Scheme>>("scheme")?.0;
    let repeated = schemes
        .iter()
        .enumerate()
        .any(|(place, scheme)| schemes.iter().skip(place + 1).any(|s| s == scheme));
    if schemes.is_empty() || repeated {
        return Err(file.fault(
            "scheme",
            "expected one or more of compute, data, model, each once",
        ));
    }
    Ok(schemes)
}

fn legal(mut table: Table<'_>) -> Result<Legal, Refusal> {
    let legal = Legal {
        title: table.known("title", Kind::Late)?.unwrap_or(Known::Unknown),
        number: table.known("number", Kind::Late)?.unwrap_or(Known::Unknown),
        date: table.known("date", Kind::Late)?.unwrap_or(Known::Unknown),
        source: table.must::<OneOrMany<String>>("source")?.0,
        grade: table.must("grade")?,
    };
    table.finish()?;
    Ok(legal)
}

fn funds(file: &mut Table<'_>) -> Result<Vec<Fund>, Refusal> {
    let funds: Vec<_> = file
        .tables("fund")?
        .into_iter()
        .map(fund)
        .collect::<Result<_, _>>()?;
    if funds.is_empty() {
        file.unsettled("fund");
    }
    Ok(funds)
}

fn fund(mut table: Table<'_>) -> Result<Fund, Refusal> {
    let fund = Fund {
        id: table.must("id")?,
        funder: table.must("funder")?,
        weight: table.or("weight", Positive(1))?.0,
        appropriation: table
            .known("appropriation_fen", Kind::Late)?
            .unwrap_or(Known::Unknown),
        year: match table.known::<Year>("year", Kind::Late)? {
            Some(Known::Known(year)) => Known::Known(year.0),
            Some(Known::Unknown) | None => Known::Unknown,
        },
        lapse: table.known("lapse", Kind::Late)?.unwrap_or(Known::Unknown),
    };
    table.finish()?;
    Ok(fund)
}

fn instrument(file: &mut Table<'_>) -> Result<Instrument, Refusal> {
    // An absent table reads as an empty one, so that the rest of the file is checked all the same.
    let (nothing, unheard) = (toml::Table::new(), RefCell::new(Notes::default()));
    let mut table = match file.table("instrument")? {
        Some(table) => table,
        None => {
            file.unsettled("instrument");
            Table::new("instrument".into(), &nothing, &unheard)
        }
    };
    let mode = match (table.has("mode"), table.settled("mode")?) {
        (_, Some(mode)) => mode,
        (true, None) => Mode::Deduct,
        (false, None) => {
            table.unsettled("mode");
            Mode::Deduct
        }
    };
    let payee = table.settled("payee")?.unwrap_or(match mode {
        Mode::Deduct | Mode::Advance | Mode::Award => Payee::Seller,
        Mode::Reimburse => Payee::Buyer,
    });
    let (asked_issue, asked_commit) = (table.settled("issue")?, table.settled("commit_at")?);
    let issue = asked_issue.unwrap_or(Issue::Application);
    let commit_at = asked_commit.unwrap_or(match issue {
        Issue::None => CommitAt::Settlement,
        Issue::Application | Issue::Automatic => CommitAt::Issue,
    });
    if asked_issue == Some(Issue::None) && commit_at == CommitAt::Issue {
        return Err(table.fault(
            "commit_at",
            "without a voucher there is no issue; say order or settlement",
        ));
    }
    let instrument = Instrument {
        mode,
        payee,
        issue,
        commit_at,
        exhaustion: table
            .known("exhaustion", Kind::Late)?
            .unwrap_or(Known::Known(Exhaustion::FirstCome)),
        face: table.settled("face")?.unwrap_or(Face::Computed),
        denominations: table.list("denominations_fen")?,
        min_face: table.or("min_face_fen", Fen::ZERO)?,
        divisible: table.or("divisible", true)?,
        transferable: never_transferable(&mut table)?,
        valid: validity(&mut table)?,
        one_per: table.list("one_per")?,
        uniq_pool: table.opt::<RuleId>("uniq_pool")?.map(|id| id.0),
        settle_period: table
            .settled("settle_period")?
            .unwrap_or(PeriodLength::Month),
        dispute_days: table.or("dispute_days", Count(15))?.0,
        invoice: table.or("invoice", Invoice::None)?,
        sign: table.list("sign")?,
        overrun: table.or("overrun", Overrun::Cap)?,
        grace_days: table.or("grace_days", Count(30))?.0,
        priority: table
            .tables("priority")?
            .into_iter()
            .map(priority)
            .collect::<Result<_, _>>()?,
        recommend_to: table.list("recommend_to")?,
    };
    table.finish()?;
    Ok(instrument)
}

fn never_transferable(table: &mut Table<'_>) -> Result<bool, Refusal> {
    if table.or("transferable", false)? {
        return Err(table.fault("transferable", "schema 1 knows no transfer of vouchers"));
    }
    Ok(false)
}

fn validity(table: &mut Table<'_>) -> Result<Option<Validity>, Refusal> {
    let months = table
        .settled::<Positive>("valid_months")?
        .map(|n| Validity::Months(n.0));
    let days = table
        .settled::<Positive>("valid_days")?
        .map(|n| Validity::Days(n.0));
    match (months, days) {
        (Some(_), Some(_)) => {
            Err(table.fault("valid_days", "stands beside valid_months; keep one"))
        }
        (months, days) => Ok(months.or(days)),
    }
}

fn priority(mut table: Table<'_>) -> Result<Priority, Refusal> {
    let (of, fact) = fact_of(&mut table, None)?;
    let priority = Priority {
        of,
        fact,
        rank: table.list("rank")?,
    };
    table.finish()?;
    Ok(priority)
}

fn window(file: &mut Table<'_>, offset: UtcOffset) -> Result<Window, Refusal> {
    let Some(mut table) = file.table("window")? else {
        return Ok(Window::default());
    };
    let window = Window {
        apply: table
            .tables("apply")?
            .into_iter()
            .map(|table| moments(table, offset))
            .collect::<Result<_, _>>()?,
        recurring: table.opt("recurring")?,
        contract_signed: table.table("contract_signed")?.map(days).transpose()?,
        service: table.table("service")?.map(days).transpose()?,
        contract_max_days: table.settled::<Positive>("contract_max_days")?.map(|n| n.0),
        benefit_max_days: table.settled::<Positive>("benefit_max_days")?.map(|n| n.0),
        claim_within_days: table.settled::<Count>("claim_within_days")?.map(|n| n.0),
    };
    table.finish()?;
    Ok(window)
}

fn moments(mut table: Table<'_>, offset: UtcOffset) -> Result<Moments, Refusal> {
    let mut moment = |key| {
        table
            .must::<LocalMoment>(key)
            .map(|moment| moment.0.start(offset).after(moment.1))
    };
    let span = Moments {
        from: moment("from")?,
        to: moment("to")?,
    };
    if span.from >= span.to {
        return Err(table.fault("to", "lies at or before from"));
    }
    table.finish()?;
    Ok(span)
}

fn days(mut table: Table<'_>) -> Result<Days, Refusal> {
    let span = Days {
        from: table.opt("from")?,
        to: table.opt("to")?,
    };
    if let (Some(from), Some(to)) = (span.from, span.to)
        && from >= to
    {
        return Err(table.fault("to", "lies at or before from"));
    }
    table.finish()?;
    Ok(span)
}

fn requirement(mut table: Table<'_>) -> Result<Requirement, Refusal> {
    let id = table.must::<RuleId>("id")?.0;
    let unknown = table.or("unknown", OnUnknown::Manual)?;
    let waive = table.opt("waive")?;
    let any = if table.has("any") {
        table
            .tables("any")?
            .into_iter()
            .map(|t| condition(t, None))
            .collect::<Result<Vec<_>, _>>()?
    } else {
        vec![condition_in(&mut table, None)?]
    };
    if any.is_empty() {
        return Err(table.fault("any", "is empty"));
    }
    table.finish()?;
    Ok(Requirement {
        id,
        any,
        unknown,
        waive,
    })
}

/// Reads `of` and `fact` and checks that the fact is about such a subject.
fn fact_of(table: &mut Table<'_>, fixed: Option<Of>) -> Result<(Of, FactName), Refusal> {
    let of = match fixed {
        Some(of) => of,
        None => table.must("of")?,
    };
    let fact: FactName = table.must("fact")?;
    let subject = match of {
        Of::Holder | Of::Seller => SubjectKind::Party,
        Of::Site => SubjectKind::Site,
        Of::Dataset => SubjectKind::Dataset,
        Of::Contract => SubjectKind::Contract,
        Of::Order => SubjectKind::Order,
    };
    if fact.subject() != subject {
        return Err(table.fault(
            "fact",
            format!(
                "{fact} is a fact of a {}, not of {of}",
                fact.subject().as_str()
            ),
        ));
    }
    Ok((of, fact))
}

fn condition(mut table: Table<'_>, fixed: Option<Of>) -> Result<Condition, Refusal> {
    let condition = condition_in(&mut table, fixed)?;
    table.finish()?;
    Ok(condition)
}

fn condition_in(table: &mut Table<'_>, fixed: Option<Of>) -> Result<Condition, Refusal> {
    let (of, fact) = fact_of(table, fixed)?;
    let op: String = table.must("op")?;
    let test = test(table, &op, fact)?;
    Ok(Condition { of, fact, test })
}

fn test(table: &mut Table<'_>, op: &str, fact: FactName) -> Result<Test, Refusal> {
    let kind = fact.kind();
    let test = match op {
        "eq" => Test::Eq(value_of(table, fact)?),
        "ne" => Test::Ne(value_of(table, fact)?),
        "in" | "not_in" if matches!(kind, ValueKind::Word | ValueKind::Region) => {
            let list = words_of(table)?;
            for word in &list {
                fact.check(&FactValue::Str(word.clone()))
                    .map_err(|r| table.fault("value", r.sentence))?;
            }
            if op == "in" {
                Test::In(list)
            } else {
                Test::NotIn(list)
            }
        }
        "gte" if kind == ValueKind::Int => Test::Gte(table.must("value")?),
        "lte" if kind == ValueKind::Int => Test::Lte(table.must("value")?),
        "gt" if kind == ValueKind::Int => Test::Gt(table.must("value")?),
        "lt" if kind == ValueKind::Int => Test::Lt(table.must("value")?),
        "exists" => Test::Exists,
        "absent" => {
            let within_days = table.opt::<Positive>("within_days")?.map(|n| n.0);
            if within_days.is_some() && kind != ValueKind::Record {
                return Err(
                    table.fault("within_days", format!("{fact} has no day to look back to"))
                );
            }
            Test::Absent { within_days }
        }
        "within_days" if kind == ValueKind::Record => {
            Test::WithinDays(table.must::<Positive>("value")?.0)
        }
        "includes" if kind == ValueKind::Words => Test::Includes(words_of(table)?),
        "excludes_all" if kind == ValueKind::Words => Test::ExcludesAll(words_of(table)?),
        "different_from" => Test::DifferentFrom(table.must("value")?),
        "in" | "not_in" | "gte" | "lte" | "gt" | "lt" | "within_days" | "includes"
        | "excludes_all" => {
            return Err(table.fault("op", format!("{op} does not fit the type of {fact}")));
        }
        _ => {
            return Err(table.fault(
                "op",
                "expected one of eq, ne, in, not_in, gte, lte, gt, lt, exists, absent, within_days, includes, \
                 excludes_all, different_from",
            ));
        }
    };
    Ok(test)
}

fn words_of(table: &mut Table<'_>) -> Result<Vec<String>, Refusal> {
    let list: Vec<String> = table.list("value")?;
    if list.is_empty() {
        return Err(table.fault("value", "expected a list of words"));
    }
    Ok(list)
}

fn value_of(table: &mut Table<'_>, fact: FactName) -> Result<FactValue, Refusal> {
    let value = match table.value("value") {
        Some(toml::Value::Boolean(value)) => FactValue::Bool(*value),
        Some(toml::Value::Integer(value)) => FactValue::Int(*value),
        Some(toml::Value::String(value)) => FactValue::Str(value.clone()),
        Some(
            toml::Value::Float(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_),
        )
        | None => {
            return Err(table.fault("value", "expected a word, a whole number, true or false"));
        }
    };
    fact.check(&value)
        .map_err(|refusal| table.fault("value", refusal.sentence))?;
    Ok(value)
}

fn related(mut table: Table<'_>) -> Result<Related, Refusal> {
    let deny = if table.has("deny") {
        table.list("deny")?
    } else {
        vec![
            Relation::SameParty,
            Relation::SameGroup,
            Relation::Controller,
        ]
    };
    let related = Related {
        deny,
        unknown: table.or("unknown", OnUnknown::Manual)?,
    };
    table.finish()?;
    Ok(related)
}

fn base(file: &mut Table<'_>) -> Result<Base, Refusal> {
    let (nothing, unheard) = (toml::Table::new(), RefCell::new(Notes::default()));
    let mut table = match file.table("base")? {
        Some(table) => table,
        None => {
            file.unsettled("base");
            Table::new("base".into(), &nothing, &unheard)
        }
    };
    let of = match (
        table.has("of"),
        table.settled::<super::reader::Many<BaseKind>>("of")?,
    ) {
        (_, Some(of)) if of.0.is_empty() => return Err(table.fault("of", "is empty")),
        (_, Some(of)) => of.0,
        (true, None) => vec![BaseKind::Metered],
        (false, None) => {
            table.unsettled("of");
            vec![BaseKind::Metered]
        }
    };
    if of.contains(&BaseKind::Approved) {
        table.amount_open("of");
    }
    let base = Base {
        of,
        lines_excluded: table.list("lines_excluded")?,
        lines_included: table.list("lines_included")?,
        tax: table.settled("tax")?.unwrap_or(Tax::Gross),
        seller_share: table
            .known("seller_share_bp", Kind::Amount)?
            .unwrap_or(Known::Known(BasisPoints::WHOLE.complement())),
        floor: table.or("floor_fen", Fen::ZERO)?,
        period_proration: table
            .table("period_proration")?
            .map(proration)
            .transpose()?,
    };
    table.finish()?;
    Ok(base)
}

fn proration(mut table: Table<'_>) -> Result<Proration, Refusal> {
    let proration = Proration {
        by: table.or("by", ProrateBy::Days)?,
        days: table.or("days", DayCount::ExclusiveEnd)?,
        clip: table.or("clip", Clip::Service)?,
    };
    table.finish()?;
    Ok(proration)
}

fn rate(file: &mut Table<'_>) -> Result<Rate, Refusal> {
    let Some(mut table) = file.table("rate")? else {
        file.unsettled("rate");
        return Ok(Rate {
            select: Select::Decision,
            banding: Banding::Whole,
            tier_per: TierPer::Order,
            tiers: Vec::new(),
        });
    };
    let rate = Rate {
        select: table.or("select", Select::First)?,
        banding: table.or("banding", Banding::Whole)?,
        tier_per: table.or("tier_per", TierPer::Order)?,
        tiers: table
            .tables("tier")?
            .into_iter()
            .map(tier)
            .collect::<Result<_, _>>()?,
    };
    match (rate.select, rate.tiers.is_empty()) {
        (Select::Decision, _) => table.amount_open("select"),
        (Select::First | Select::Best, true) => return Err(table.fault("tier", "is missing")),
        (Select::First | Select::Best, false) => {}
    }
    table.finish()?;
    Ok(rate)
}

fn tier(mut table: Table<'_>) -> Result<Tier, Refusal> {
    let id = table.must::<RuleId>("id")?.0;
    let when = table
        .tables("when")?
        .into_iter()
        .map(|t| condition(t, None))
        .collect::<Result<_, _>>()?;
    let rate = table.known("bp", Kind::Amount)?;
    let bands = bands(&mut table)?;
    let fixed = table.known("fixed_fen", Kind::Amount)?;
    let once = table.opt("once")?;
    let amount = match (rate, bands, fixed, once) {
        (Some(rate), None, None, None) => TierAmount::Rate(rate),
        (None, Some(bands), None, None) => TierAmount::Bands(bands),
        (None, None, Some(fen), Some(once)) => TierAmount::Fixed { fen, once },
        _ => {
            return Err(table.fault("bp", "a tier has one of bp, bands, or fixed_fen with once"));
        }
    };
    let tier = Tier {
        id,
        when,
        amount,
        cap: table.known("cap_fen", Kind::Amount)?,
    };
    table.finish()?;
    Ok(tier)
}

fn bands(tier: &mut Table<'_>) -> Result<Option<Known<Vec<Band>>>, Refusal> {
    if !tier.has("bands") {
        return Ok(None);
    }
    if tier.value("bands").is_some_and(super::reader::is_unknown) {
        tier.amount_open("bands");
        return Ok(Some(Known::Unknown));
    }
    let mut bands: Vec<Band> = Vec::new();
    for mut table in tier.tables("bands")? {
        let band = Band {
            upto: table.opt("upto_fen")?,
            bp: table.must("bp")?,
        };
        if let Some(last) = bands.last()
            && (last.upto.is_none() || band.upto.is_some_and(|upto| Some(upto) <= last.upto))
        {
            return Err(table.fault(
                "upto_fen",
                "bands rise, and only the last one has no upper end",
            ));
        }
        table.finish()?;
        bands.push(band);
    }
    if bands.last().is_none_or(|last| last.upto.is_some()) {
        return Err(tier.fault("bands", "the last band has no upto_fen"));
    }
    Ok(Some(Known::Known(bands)))
}

fn cap(mut table: Table<'_>) -> Result<Cap, Refusal> {
    let mut count: Vec<Counted> = table.list("count")?;
    if count.is_empty() {
        count.push(Counted::Issued);
    }
    let cap = Cap {
        id: table.must::<RuleId>("id")?.0,
        key: table.must("key")?,
        per: match (table.has("per"), table.settled("per")?) {
            (_, Some(per)) => per,
            (true, None) => CapPer::CalendarYear,
            (false, None) => return Err(table.fault("per", "is missing")),
        },
        year_of: table.or("year_of", YearOf::Issue)?,
        count,
        over: table.known("over", Kind::Late)?.unwrap_or(Known::Unknown),
        limit: table.known("limit_fen", Kind::Amount)?.ok_or_else(|| {
            table.fault(
                "limit_fen",
                "is missing; write \"unknown\" if the text gives none",
            )
        })?,
        soft_limit: table.known("soft_limit_fen", Kind::Amount)?,
        shared: table.opt::<RuleId>("shared")?.map(|id| id.0),
    };
    if table.has("over") && !cap.count.contains(&Counted::Redeemed) {
        return Err(table.fault("over", "is for caps that count what is redeemed"));
    }
    if let (Some(Known::Known(soft)), Known::Known(limit)) = (cap.soft_limit, cap.limit)
        && soft > limit
    {
        return Err(table.fault("soft_limit_fen", "lies above limit_fen"));
    }
    table.finish()?;
    Ok(cap)
}

fn stack(file: &mut Table<'_>) -> Result<Stack, Refusal> {
    let Some(mut table) = file.table("stack")? else {
        return Ok(Stack {
            group: None,
            mode: StackMode::Exclusive,
            ceiling: BasisPoints::WHOLE,
            order: 100,
            with: Vec::new(),
        });
    };
    let stack = Stack {
        group: table.opt::<RuleId>("group")?.map(|id| id.0),
        mode: table.or("mode", StackMode::Exclusive)?,
        ceiling: table.or("ceiling_bp", BasisPoints::WHOLE)?,
        order: table.or("order", Count(100))?.0,
        with: table.list("with")?,
    };
    if (stack.mode == StackMode::Link) == stack.with.is_empty() {
        return Err(table.fault("with", "belongs to mode = \"link\", which needs it"));
    }
    if stack.mode == StackMode::AddToCeiling && stack.group.is_none() {
        return Err(table.fault("group", "is missing; add_to_ceiling needs it"));
    }
    table.finish()?;
    Ok(stack)
}

fn rounding(file: &mut Table<'_>) -> Result<Vec<Round>, Refusal> {
    let mut rounding: Vec<Round> = Vec::new();
    for mut table in file.tables("rounding")? {
        let round = Round {
            after: table.must("after")?,
            unit: table.or("unit_fen", Fen::new(1)?)?,
            mode: table.or("mode", Rounding::Floor)?,
        };
        if round.unit.is_zero() {
            return Err(table.fault("unit_fen", "is zero"));
        }
        if rounding.iter().any(|earlier| earlier.after == round.after) {
            return Err(table.fault("after", "has a rounding already"));
        }
        table.finish()?;
        rounding.push(round);
    }
    Ok(rounding)
}

fn providers(file: &mut Table<'_>) -> Result<Providers, Refusal> {
    let nothing = toml::Table::new();
    let unheard = RefCell::new(Notes::default());
    let mut table = match file.table("providers")? {
        Some(table) => table,
        None => Table::new("providers".into(), &nothing, &unheard),
    };
    let providers = Providers {
        list: table.opt("list")?,
        list_year_of: table.or("list_year_of", ListYearOf::Order)?,
        require: table
            .tables("require")?
            .into_iter()
            .map(threshold)
            .collect::<Result<_, _>>()?,
        site_in: table.list("site_in")?,
        chip: match table.table("chip")? {
            None => ChipRule::Any,
            Some(mut chip) => {
                let rule = chip.or("domestic", ChipRule::Any)?;
                chip.finish()?;
                rule
            }
        },
        venue: table.or("venue", Venue::Any)?,
    };
    table.finish()?;
    Ok(providers)
}

fn threshold(mut table: Table<'_>) -> Result<Threshold, Refusal> {
    let mut any = vec![condition_in(&mut table, Some(Of::Site))?];
    if let Some(other) = table.table("any_with")? {
        any.push(condition(other, Some(Of::Site))?);
    }
    table.finish()?;
    Ok(Threshold { any })
}

fn evidence(mut table: Table<'_>) -> Result<Evidence, Refusal> {
    let evidence = Evidence {
        stage: table.must("stage")?,
        kind: table.must("kind")?,
        issuer: table.opt::<RuleId>("issuer")?.map(|id| id.0),
        unique: table.or("unique", false)?,
        required: table.or("required", true)?,
    };
    table.finish()?;
    Ok(evidence)
}

fn stage(mut table: Table<'_>) -> Result<Stage, Refusal> {
    let stage = Stage {
        id: table.must::<RuleId>("id")?.0,
        role: table.opt::<RuleId>("role")?.map(|id| id.0),
        does: table.must("does")?,
        four_eyes: table.or("four_eyes", false)?,
        documents: table
            .list::<RuleId>("documents")?
            .into_iter()
            .map(|id| id.0)
            .collect(),
        min_days: number(table.known("min_days", Kind::Late)?).unwrap_or(Known::Known(0)),
        max_days: number(table.known("max_days", Kind::Late)?),
        calendar: table.or("calendar", Calendar::Days)?,
        objection: table.or("objection", Objection::None)?,
    };
    table.finish()?;
    Ok(stage)
}

fn number(read: Option<Known<Count>>) -> Option<Known<i64>> {
    read.map(|known| match known {
        Known::Known(Count(n)) => Known::Known(n),
        Known::Unknown => Known::Unknown,
    })
}

fn clawback(mut table: Table<'_>) -> Result<Clawback, Refusal> {
    let mut share = BTreeMap::new();
    if let Some(mut shares) = table.table("share_bp")? {
        for cause in Cause::ALL {
            if let Some(bp) = shares.known(cause.as_str(), Kind::Late)? {
                share.insert(*cause, bp);
            }
        }
        shares.finish()?;
    }
    let clawback = Clawback {
        causes: table.list("causes")?,
        share,
        interest_bp_year: number(table.known("interest_bp_year", Kind::Late)?)
            .unwrap_or(Known::Unknown),
        ban_days: number(table.known("ban_days", Kind::Late)?).unwrap_or(Known::Unknown),
        recovered_to: table
            .known("recovered_to", Kind::Late)?
            .unwrap_or(Known::Unknown),
        restore_cap: table.or("restore_cap", false)?,
        group_liability: table.or("group_liability", false)?,
    };
    table.finish()?;
    Ok(clawback)
}

fn data(file: &mut Table<'_>, schemes: &[Scheme]) -> Result<Data, Refusal> {
    let nothing = toml::Table::new();
    let unheard = RefCell::new(Notes::default());
    let mut table = match file.table("data")? {
        Some(_) if !schemes.contains(&Scheme::Data) => {
            return Err(file.fault("data", "is for programmes of the scheme data"));
        }
        Some(table) => table,
        None => Table::new("data".into(), &nothing, &unheard),
    };
    let data = Data {
        acceptance: table.or("acceptance", AcceptanceRule::Signed)?,
        acceptance_days: table.opt::<Positive>("acceptance_days")?.map(|n| n.0),
        refund_days: table.opt::<Count>("refund_days")?.map(|n| n.0),
        retention_days: table.opt::<Count>("retention_days")?.map(|n| n.0),
        use_proof: table.or("use_proof", UseProof::None)?,
        holdback: table.or("holdback_bp", BasisPoints::WHOLE.complement())?,
        requires_assessment: table.or("requires_assessment", false)?,
    };
    if data.acceptance == AcceptanceRule::SignedOrDeemed && data.acceptance_days.is_none() {
        return Err(table.fault("acceptance_days", "is missing; deemed acceptance needs it"));
    }
    if data.holdback.get() > 0 && data.use_proof == UseProof::None {
        return Err(table.fault("holdback_bp", "is never released without use_proof"));
    }
    table.finish()?;
    Ok(data)
}
