//! What the providers say of use: each one's own meter reads its scheduler's exports, signs, and sends.
//!
//! The exports are those of `fixtures/usage/`; its README names the traps in them. Each provider's `meter.toml`, key, spool
//! and exports stay in its folder, so that `quan meter` can be run on them again by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use verifier::id::{DocumentDigest, OrderId};
use verifier::money::GpuSeconds;
use verifier::receipt::{self, ComputeUsage, Job, Jti, KeyUse, Kind};
use verifier::time::Timestamp;

use super::cast::Cast;
use super::client::Refusal;
use super::compute::{Placed, order_of};
use super::supply::Supply;
use super::{Fault, Stage, moment};
use crate::keys;
use crate::meter::{self, Meter, Overrides};

/// An export of one provider.
pub(super) struct Export {
    provider: &'static str,
    cluster: &'static str,
    /// The scheduler's word for the cards.
    gres: &'static str,
    zone: &'static str,
    accounts: &'static [&'static str],
    file: &'static str,
    bytes: &'static [u8],
}

macro_rules! export {
    ($provider:literal, $cluster:literal, $gres:literal, $zone:literal, $accounts:expr, $file:literal) => {
        Export {
            provider: $provider,
            cluster: $cluster,
            gres: $gres,
            zone: $zone,
            accounts: $accounts,
            file: $file,
            bytes: include_bytes!(concat!("../../../fixtures/usage/", $file)),
        }
    };
}

#[rustfmt::skip]
pub(super) const SEPTEMBER: &[Export] = &[
    export!("east", "east1", "h200", "UTC", &["acct-a", "acct-b", "acct-c"], "east1-2026-09.psv"),
];
#[rustfmt::skip]
pub(super) const OCTOBER: &[Export] = &[
    export!("east", "east1", "h200", "UTC", &["acct-a", "acct-b", "acct-c"], "east1-2026-10.psv"),
    export!("west-a", "west1", "910b2", "+08:00", &["acct-d", "acct-e"], "west1-2026-10.psv"),
    export!("west-b", "west2", "mxc500", "UTC", &["acct-f", "acct-g"], "west2-2026-10.json"),
];

/// What one run of a meter came to.
pub(super) struct Metered {
    pub(super) file: &'static str,
    /// Runs that the export lists for the first time, or with other figures.
    pub(super) runs: u64,
    /// Rows that the meter refused, by code.
    pub(super) rows: BTreeMap<&'static str, u64>,
    /// Receipts that the exchange accepted.
    pub(super) accepted: u64,
    /// How many of the receipts sent were corrections.
    pub(super) corrections: u64,
    /// Receipts that the exchange refused.
    pub(super) refused: Vec<Refusal>,
}

/// Which datasets an account's jobs read.
type Inputs = BTreeMap<&'static str, DocumentDigest>;

/// Meters a month: every provider's export of it. `reads` is an account and a dataset that its jobs read.
pub(super) fn month(
    stage: &Stage,
    both: (&Cast, &Supply),
    placed: &[Placed],
    exports: &[Export],
    reads: Option<(&'static str, DocumentDigest)>,
) -> Result<Vec<Metered>, Fault> {
    let inputs = reads.into_iter().collect();
    exports
        .iter()
        .map(|export| run(stage, both, placed, export, &inputs))
        .collect()
}

/// Runs a provider's meter on an export and sends what it signs.
fn run(
    stage: &Stage,
    (cast, supply): (&Cast, &Supply),
    placed: &[Placed],
    export: &Export,
    inputs: &Inputs,
) -> Result<Metered, Fault> {
    let folder = stage.folder_of(export.provider);
    let settings = settings(stage, (cast, supply), placed, export, inputs)?;
    write(&folder.join("meter.toml"), settings.as_bytes())?;
    let path = folder.join(export.file);
    write(&path, export.bytes)?;
    let client = cast.client(export.provider)?;
    let key_file = folder.join("provider.apikey");
    keys::write_secret(&key_file, client.key().as_bytes())
        .map_err(|why| Fault::File(key_file, why))?;
    let config = meter::read_config(&folder.join("meter.toml"))?;
    let signer = meter::read_signer(&config.key_file)?;
    let mut meter = Meter::open(config, stage.clock.clone())?;
    let intake = meter.take(&path, export.bytes, &Overrides::default())?;
    let plans = meter.plan();
    let drafts = plans.values().flat_map(|plan| &plan.drafts);
    let corrections = drafts.filter(|draft| draft.corrects.is_some()).count();
    meter.sign(&signer, &plans)?;
    let sent = meter.send(&signer, client.key())?;
    let mut rows = BTreeMap::new();
    for row in intake.judged.refused.iter().chain(&intake.taken.refused) {
        *rows.entry(row.code.as_str()).or_insert(0) += 1;
    }
    let refused = sent.refused.into_iter().map(|refused| Refusal {
        tried: format!(
            "receipt {} of {}, from {}",
            refused.seq, refused.order, export.file
        ),
        code: refused.code,
        detail: refused.sentence,
    });
    Ok(Metered {
        file: export.file,
        runs: intake.taken.new + intake.taken.changed,
        rows,
        accepted: sent.accepted,
        corrections: u64::try_from(corrections).unwrap_or(u64::MAX),
        refused: refused.collect(),
    })
}

fn settings(
    stage: &Stage,
    (cast, supply): (&Cast, &Supply),
    placed: &[Placed],
    export: &Export,
    inputs: &Inputs,
) -> Result<String, Fault> {
    let site = supply.site(export.provider)?;
    let mut text = format!(
        "url = {:?}\naudience = {:?}\nissuer = \"{}\"\nkey_file = \"receipt.key\"\n\
         api_key_file = \"provider.apikey\"\nspool = \"spool\"\nzone = \"{}\"\ninterim = true\n\n\
         [clusters.{}]\nsite = \"{}\"\n[clusters.{}.gres]\n\"{}\" = \"{}\"\n",
        stage.address.url(),
        stage.origin,
        cast.id(export.provider)?,
        export.zone,
        export.cluster,
        site.id,
        export.cluster,
        export.gres,
        site.gpu_model,
    );
    for account in export.accounts {
        let order = order_of(placed, account)?;
        text.push_str(&format!("\n[accounts.{account}]\norder = \"{order}\"\n"));
        if let Some(dataset) = inputs.get(account) {
            text.push_str(&format!("inputs = [\"{dataset}\"]\n"));
        }
    }
    Ok(text)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    fs::write(path, bytes).map_err(|why| Fault::File(path.to_owned(), why))
}

/// A second the provider has billed already, once more: by hand, past its meter, which would not.
///
/// The first attempt has lost the chain's end; the refusal says where it goes on.
pub(super) fn bill_twice(
    stage: &Stage,
    (cast, supply): (&Cast, &Supply),
    placed: &[Placed],
) -> Result<Vec<Refusal>, Fault> {
    let (provider, client) = ("east", cast.client("east")?);
    let signer = cast.signer(provider, KeyUse::Receipt)?;
    let again = Again {
        site: supply.site(provider)?,
        iss: cast.id(provider)?,
        order: order_of(placed, "acct-c")?,
        start: moment("2026-09-29T03:00:00Z")?,
        now: stage.clock.now()?,
    };
    let first = receipt::sign(&again.claims(&stage.origin, 0, None)?, signer);
    let tried = "send a receipt that does not continue its chain";
    let (lost, problem) = client.sign_in_in_vain("/v1/receipts", &first, tried, "receipt.chain")?;
    let expected = |name: &str| problem["values"][name].as_str().map(str::to_owned);
    let seq = expected("seq").and_then(|seq| seq.parse().ok());
    let seq = seq.ok_or_else(|| Fault::Story(format!("no seq in {problem}")))?;
    let second = receipt::sign(&again.claims(&stage.origin, seq, expected("prev"))?, signer);
    let tried = "bill half an hour that is billed already";
    let (overlap, _) = client.sign_in_in_vain("/v1/receipts", &second, tried, "receipt.overlap")?;
    Ok(vec![lost, overlap])
}

/// A receipt for half an hour on four cards.
struct Again<'a> {
    site: &'a super::supply::Site,
    iss: verifier::id::PartyId,
    order: OrderId,
    start: Timestamp,
    now: Timestamp,
}

impl Again<'_> {
    fn claims(&self, aud: &str, seq: u32, prev: Option<String>) -> Result<ComputeUsage, Fault> {
        let story = |what: &str| Fault::Story(format!("no such {what}"));
        let gpu_seconds = GpuSeconds::new(4 * 1_800).map_err(|_| story("amount"))?;
        let prev = prev
            .map(|prev| verifier::id::Sha256Hash::parse(&prev))
            .transpose();
        Ok(ComputeUsage {
            iss: self.iss,
            aud: aud.to_owned(),
            sub: self.order,
            seq,
            prev: prev.map_err(|_| story("hash"))?,
            jti: Jti {
                order: self.order,
                seq,
            },
            iat: self.now,
            kind: Kind::Usage,
            corrects: None,
            site: self.site.id,
            gpu_model: self.site.gpu_model.parse().map_err(|_| story("model"))?,
            gpu_count: 4,
            start: self.start,
            end: self.start.after(1_800),
            gpu_seconds,
            jobs: vec![Job {
                run: "slurm:east1/81030@again".to_owned(),
                state: "COMPLETED".to_owned(),
                gpu_seconds,
            }],
            inputs: None,
            export: None,
            energy_wh: None,
            util_bp: None,
            devices: None,
        })
    }
}
