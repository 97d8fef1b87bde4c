//! From a TOML table to a [`Programme`]: one function a table of the file, defaults and contradictions included.

mod amount;
mod case;
mod instrument;
mod rule;

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::reader::{Kind, Notes, OneOrMany, Positive, Table, Year};
use super::schema::*;
use crate::id::ProgrammeId;
use crate::refusal::Refusal;
use crate::time::UtcOffset;
use amount::{base, cap, rate, rounding, stack};
use case::{clawback, data, evidence, stage};
use instrument::{instrument, window};
use rule::{providers, related, requirement};

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
        issuer: match file.known("issuer", Kind::Header)? {
            Some(Known::Known(issuer)) => Some(issuer),
            Some(Known::Unknown) | None => None,
        },
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
        title: table
            .known("title", Kind::Header)?
            .unwrap_or(Known::Unknown),
        number: table
            .known("number", Kind::Header)?
            .unwrap_or(Known::Unknown),
        date: table.known("date", Kind::Header)?.unwrap_or(Known::Unknown),
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
