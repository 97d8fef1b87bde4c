//! `dataset`: what a trail says of one version of a dataset, from its publication to the jobs that used it and the subsidy to
//! the fen (DESIGN §8, §9).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::folder::Folder;
use crate::study::Studied;
use crate::tables::{cny, gpu_hours};
use crate::{Answer, NotChecked, print};
use verifier::analysis::Study;
use verifier::analysis::dataset::{Acceptance, Delivery, Grant, Sale, Told, Used};
use verifier::id::{DocumentDigest, Sha256Hash};
use verifier::receipt::Verdict;

/// What `dataset` is asked.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The manifest's digest: `sha-256:…`, or 64 hexadecimal digits.
    manifest: String,
    /// The trail: the folder that holds `checkpoint` and `tile/`.
    #[arg(long)]
    trail: PathBuf,
    /// Whom to trust (C2SP tlog-policy): the trail is audited first. Without it, it is believed.
    #[arg(long)]
    policy: Option<PathBuf>,
}

/// Tells all about a version.
pub(crate) fn tell(asked: &Arguments, json: bool) -> Result<Answer, NotChecked> {
    let manifest = parse_manifest(&asked.manifest)?;
    let (audited, study) = read(
        &asked.trail,
        asked.policy.as_deref(),
        Study::of_version(manifest),
    )?;
    let Some(told) = study.version() else {
        let why = format!("the trail publishes no version with the manifest {manifest}");
        return Err(NotChecked(why));
    };
    let agrees = audited.as_ref().is_none_or(|(agrees, ..)| *agrees);
    let page = if json {
        let verdict = audited.map(|(.., verdict)| verdict);
        print::object(&json!({ "trail": verdict, "dataset": told }))
    } else {
        let first = audited.map_or_else(
            || "not audited: no --policy was given; the trail is believed\n\n".to_owned(),
            |(_, warning, _)| warning,
        );
        first + &page(&told)
    };
    Ok(Answer { agrees, page })
}

/// What an audit said: whether the trail agrees, what a page begins with, and the verdict for programs.
pub(crate) type Audited = (bool, String, serde_json::Value);

/// Studies a trail; audits it first where there is a policy to audit it by.
pub(crate) fn read(
    trail: &Path,
    policy: Option<&Path>,
    study: Study,
) -> Result<(Option<Audited>, Study), NotChecked> {
    if let Some(policy) = policy {
        let studied = Studied::read_into(study, trail, policy)?;
        let said = (studied.agrees(), studied.warning(), studied.verdict());
        return Ok((Some(said), studied.study));
    }
    let mut study = study;
    Folder::open(trail)?.entries(|_, bytes| study.take(bytes))?;
    match study.stopped() {
        Some(stopped) => {
            let why = format!("entry {} cannot be applied: {}", stopped.seq, stopped.why);
            Err(NotChecked(why))
        }
        None => Ok((None, study)),
    }
}

fn parse_manifest(text: &str) -> Result<DocumentDigest, NotChecked> {
    let digest = DocumentDigest::parse(text).ok().or_else(|| {
        let hash = Sha256Hash::new(from_hex(text)?);
        DocumentDigest::parse(&format!("sha-256:{hash}")).ok()
    });
    digest.ok_or_else(|| {
        NotChecked(format!(
            "{text} is no digest of a manifest: sha-256:… or 64 hexadecimal digits"
        ))
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let is_hex = text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit());
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate().filter(|_| is_hex) {
        let digits = text.get(place.checked_mul(2)?..)?.get(..2)?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    is_hex.then_some(bytes)
}

fn page(told: &Told) -> String {
    let mut page = String::new();
    let Told {
        manifest,
        dataset,
        version,
        state,
        ..
    } = told;
    let _ = writeln!(
        page,
        "{manifest}\nversion {version} of {dataset}, {} bytes: {state}",
        told.bytes
    );
    let _ = writeln!(
        page,
        "  published   entry {}  {}  by {}, whose name opens {}",
        told.published.seq, told.published.at, told.vendor, told.vendor_name
    );
    let _ = writeln!(page, "  licence     {}", told.licence);
    if let Some(card) = told.card {
        let _ = writeln!(page, "  card        {card}");
    }
    history(&mut page, told);
    told.orders.iter().for_each(|order| sale(&mut page, order));
    told.uses.iter().for_each(|one| used(&mut page, one));
    let _ = writeln!(
        page,
        "\nsum of {} orders and {} uses: {}, earned {} CNY, taken back {} CNY, granted {} CNY ({} fen)",
        told.orders.len(),
        told.uses.len(),
        gpu_hours(told.gpu_seconds),
        cny(told.earned_fen),
        cny(told.taken_back_fen),
        cny(told.granted_fen),
        told.granted_fen
    );
    page
}

/// What was asked for it, said of it, and how it ended.
fn history(page: &mut String, told: &Told) {
    for price in &told.prices {
        let _ = writeln!(
            page,
            "  price       {}  {} CNY",
            price.at,
            cny(price.price_fen.get())
        );
    }
    for said in &told.assessments {
        let verdict = if said.passed { "passed" } else { "failed" };
        let _ = writeln!(
            page,
            "  assessed    entry {}  {}  {verdict} by {}, report {}",
            said.moment.seq, said.moment.at, said.by, said.report
        );
    }
    if let Some(at) = told.withdrawn {
        let _ = writeln!(page, "  withdrawn   {at}");
    }
    if let Some(at) = told.recalled {
        let notice = told
            .notice
            .map_or_else(String::new, |notice| format!("  notice {notice}"));
        let _ = writeln!(page, "  recalled    {at}{notice}");
    }
}

fn sale(page: &mut String, sale: &Sale) {
    let standing = sale
        .closed
        .map_or_else(|| "open".to_owned(), |at| format!("closed {at}"));
    let _ = writeln!(
        page,
        "\norder {}  entry {}  {}  {standing}",
        sale.order, sale.moment.seq, sale.moment.at
    );
    let contract = sale
        .contract
        .map_or_else(|| "no contract".to_owned(), |of| format!("contract {of}"));
    let _ = writeln!(
        page,
        "  buyer       {}  {contract}  price {} CNY",
        sale.buyer,
        cny(sale.price_fen.get())
    );
    sale.deliveries.iter().for_each(|one| delivery(page, one));
    sale.acceptances
        .iter()
        .for_each(|one| acceptance(page, one));
    sale.grants.iter().for_each(|one| grant(page, one));
}

fn delivery(page: &mut String, delivery: &Delivery) {
    let _ = writeln!(
        page,
        "  delivered   entry {}  {}  ranges {}\n              by the {}'s key {}, receipt {}",
        delivery.moment.seq,
        delivery.delivered_at,
        delivery.ranges,
        delivery.signed_by,
        delivery.kid,
        delivery.jti
    );
}

fn acceptance(page: &mut String, said: &Acceptance) {
    let verdict = match said.verdict {
        Verdict::Accepted => "accepted",
        Verdict::Defect => "defect",
    };
    let possession = said
        .possession
        .map_or_else(String::new, |hash| format!(", possession {hash}"));
    let _ = writeln!(
        page,
        "  {verdict:<10}  entry {}  {}  {}{possession}",
        said.moment.seq, said.moment.at, said.how
    );
}

fn grant(page: &mut String, grant: &Grant) {
    let voucher = grant
        .voucher
        .map_or_else(String::new, |voucher| format!(" on {voucher}"));
    let _ = writeln!(
        page,
        "  claim {}     {}{voucher} to {}: earned {} CNY, taken back {} CNY, granted {} CNY ({} fen)",
        grant.claim,
        grant.programme,
        grant.payee,
        cny(grant.earned_fen),
        cny(grant.taken_back_fen),
        cny(grant.granted_fen),
        grant.granted_fen
    );
}

fn used(page: &mut String, used: &Used) {
    let replaced = if used.replaced {
        "  corrected later: counts for nothing"
    } else {
        ""
    };
    let _ = writeln!(
        page,
        "\nuse {}  entry {}  {}{replaced}",
        used.jti, used.moment.seq, used.moment.at
    );
    let buyer = used
        .buyer
        .map_or_else(String::new, |buyer| format!("by {buyer} "));
    let _ = writeln!(
        page,
        "  {buyer}at {} of {} on {}, {} to {}: {} ({} GPU-seconds)",
        used.site,
        used.provider,
        used.gpu_model,
        used.start,
        used.end,
        gpu_hours(used.gpu_seconds),
        used.gpu_seconds
    );
    for run in &used.runs {
        let _ = writeln!(
            page,
            "  run         {}  {} GPU-seconds",
            run.run, run.gpu_seconds
        );
    }
    for order in &used.proves {
        let _ = writeln!(page, "  proves the use of order {order}");
    }
}
