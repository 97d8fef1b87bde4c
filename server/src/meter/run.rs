//! From a row to a run that can be metered, or to the reason why not (facts/metering.md §1.2–§1.4).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use verifier::id::{GpuModel, OrderId, SiteId};
use verifier::time::Timestamp;

use super::config::{Cluster, Config};
use super::gres::{self, Gpus};
use super::row::{Allocation, Field, Listing, RefusedRow, RowCode};
use super::state::State;

/// The only open state whose use may be metered before the end.
const RUNNING: &str = "RUNNING";
/// The longest run name after its prefix (DESIGN §5).
const RUN_NAME_MAX: usize = 60;

/// One run of one job on one cluster: what a scheduler started once and ended once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The line it was read from.
    pub line: u64,
    /// `slurm:<cluster>/<JobIDRaw>@<start epoch>`: unique over requeues, clusters and the wrap of job numbers.
    pub name: String,
    /// The order that its account is mapped to.
    pub order: OrderId,
    /// What is kept of it.
    pub facts: Facts,
}

/// The figures of a run, as kept in the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The Slurm account, which tells the datasets that its jobs read.
    pub account: String,
    /// Where it ran.
    pub site: SiteId,
    /// When it started.
    pub start: Timestamp,
    /// When it ended; of a running job, up to where its row counts.
    pub end: Timestamp,
    /// Seconds to be settled for each GPU, at most `end − start`; less if it was suspended.
    pub seconds: i64,
    /// How many GPUs of which model.
    pub gpus: BTreeMap<GpuModel, u32>,
    /// How it ended, or `RUNNING`.
    pub state: State,
}

/// A run that was taken, with a remark for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The line.
    pub line: u64,
    /// The run.
    pub run: String,
    /// What was odd, and what was done.
    pub sentence: String,
}

/// The verdict on one export.
#[derive(Debug, Default)]
pub struct Judged {
    /// Runs to be metered.
    pub runs: Vec<Run>,
    /// Rows that are not, and why.
    pub refused: Vec<RefusedRow>,
    /// Runs that were taken although their figures disagree.
    pub remarks: Vec<Remark>,
    /// Steps that were passed over.
    pub steps: u64,
    /// Rows that repeat a run word for word.
    pub repeated: u64,
}

/// Judges a listing at the moment `now`.
#[must_use]
pub fn judge(listing: Listing<'_>, config: &Config, now: Timestamp) -> Judged {
    let court = Court {
        config,
        now,
        known: Known::of(&listing.allocations),
    };
    let mut judged = Judged {
        refused: listing.refused,
        steps: listing.steps,
        ..Judged::default()
    };
    let mut seen: BTreeMap<String, (OrderId, Facts)> = BTreeMap::new();
    for allocation in &listing.allocations {
        match court.run(allocation) {
            Err(refused) => judged.refused.push(refused),
            Ok((run, remark)) => match seen.get(&run.name) {
                Some((order, facts)) if *order == run.order && *facts == run.facts => {
                    judged.repeated += 1;
                }
                Some(_) => judged.refused.push(RefusedRow::of(
                    allocation,
                    RowCode::Contradicts,
                    format!(
                        "another row states other figures for {}; export once, whole",
                        run.name
                    ),
                )),
                None => {
                    seen.insert(run.name.clone(), (run.order, run.facts.clone()));
                    judged.remarks.extend(remark);
                    judged.runs.push(run);
                }
            },
        }
    }
    judged.refused.sort_by_key(|row| row.line);
    judged
}

/// What only the whole file tells.
struct Known<'a> {
    /// `JobID`s of arrays whose tasks have rows.
    arrays: BTreeSet<&'a str>,
    /// Clusters with a row that names GPUs; `None` where rows name no cluster.
    with_gpus: BTreeSet<Option<&'a str>>,
}

impl<'a> Known<'a> {
    fn of(allocations: &'a [Allocation<'_>]) -> Self {
        let arrays = allocations
            .iter()
            .filter_map(|a| a.job.split_once('_'))
            .map(|(root, _)| root);
        let with_gpus = allocations
            .iter()
            .filter(|a| {
                a.tres
                    .as_deref()
                    .is_some_and(|t| gres::gpus(t).is_ok_and(|g| g.is_named))
            })
            .map(|a| a.cluster.as_deref());
        Self {
            arrays: arrays.collect(),
            with_gpus: with_gpus.collect(),
        }
    }
}

/// What is needed to judge a row.
struct Court<'a> {
    config: &'a Config,
    now: Timestamp,
    known: Known<'a>,
}

impl Court<'_> {
    fn run(&self, row: &Allocation<'_>) -> Result<(Run, Option<Remark>), RefusedRow> {
        not_an_array_root(row, &self.known)?;
        let (cluster_name, cluster) = self.cluster(row)?;
        let state = self.state(row)?;
        let times = Times::of(row, state, self.now)?;
        let gpus = self.gpus(row)?;
        let (account, order) = self.account(row)?;
        let gpus = models(row, gpus, cluster_name, cluster)?;
        let name = run_name(row, cluster_name, times.start)?;
        let remark = times.remark.map(|sentence| Remark {
            line: row.line,
            run: name.clone(),
            sentence,
        });
        let Times {
            start,
            end,
            seconds,
            ..
        } = times;
        let account = account.to_owned();
        let facts = Facts {
            account,
            site: cluster.site,
            start,
            end,
            seconds,
            gpus,
            state,
        };
        Ok((
            Run {
                line: row.line,
                name,
                order,
                facts,
            },
            remark,
        ))
    }

    fn cluster(&self, row: &Allocation<'_>) -> Result<(&str, &Cluster), RefusedRow> {
        let Some(name) = row.cluster.as_deref() else {
            let sentence = "the row names no cluster; export Cluster, or give --cluster";
            return Err(RefusedRow::of(row, RowCode::Column, sentence));
        };
        self.config
            .clusters
            .get_key_value(name)
            .map(|(k, v)| (k.as_str(), v))
            .ok_or_else(|| {
                let sentence = format!("the cluster {name:?} is not in meter.toml");
                RefusedRow::of(row, RowCode::Cluster, sentence)
            })
    }

    fn state(&self, row: &Allocation<'_>) -> Result<State, RefusedRow> {
        let Some(state) = State::parse(&row.state) else {
            let sentence = format!("{:?} is not a state of Slurm", row.state);
            return Err(RefusedRow::of(row, RowCode::State, sentence));
        };
        if matches!(row.start, Field::Unset) || state.as_str() == "PENDING" {
            let sentence = format!("{}: it never started and held nothing", row.state);
            return Err(RefusedRow::of(row, RowCode::NeverStarted, sentence));
        }
        if state.is_ended() || (self.config.interim && state.as_str() == RUNNING) {
            return Ok(state);
        }
        let sentence = format!("{state}: export it again after its end, or set interim = true");
        Err(RefusedRow::of(row, RowCode::Open, sentence))
    }

    fn gpus(&self, row: &Allocation<'_>) -> Result<Gpus, RefusedRow> {
        let Some(tres) = row.tres.as_deref() else {
            let sentence = "the export has no column AllocTRES";
            return Err(RefusedRow::of(row, RowCode::Column, sentence));
        };
        let gpus = gres::gpus(tres)
            .map_err(|gres::BadTres(sentence)| RefusedRow::of(row, RowCode::Tres, sentence))?;
        if !gpus.parts.is_empty() {
            return Ok(gpus);
        }
        if self.known.with_gpus.contains(&row.cluster.as_deref()) {
            Err(RefusedRow::of(row, RowCode::NoGpus, "the job held no GPU"))
        } else {
            let sentence = "no row of this cluster names gres/gpu: add it to AccountingStorageTRES";
            Err(RefusedRow::of(row, RowCode::GpusInvisible, sentence))
        }
    }

    fn account(&self, row: &Allocation<'_>) -> Result<(&str, OrderId), RefusedRow> {
        let Some(name) = row.account.as_deref() else {
            let sentence = "the row names no account; export Account, or give --account";
            return Err(RefusedRow::of(row, RowCode::Column, sentence));
        };
        let account = self.config.accounts.get_key_value(name);
        account
            .map(|(name, account)| (name.as_str(), account.order))
            .ok_or_else(|| {
                let sentence = format!("the account {name:?} has no order in meter.toml");
                RefusedRow::of(row, RowCode::Account, sentence)
            })
    }
}

fn not_an_array_root(row: &Allocation<'_>, known: &Known<'_>) -> Result<(), RefusedRow> {
    let sentence = if row.job.contains('[') {
        "what is left of an array that was not split yet; its tasks get rows of their own"
    } else if known.arrays.contains(&*row.job) {
        "the head of an array whose tasks have rows of their own"
    } else {
        return Ok(());
    };
    Err(RefusedRow::of(row, RowCode::ArrayRoot, sentence))
}

/// The times of a run, agreed with each other.
struct Times {
    start: Timestamp,
    end: Timestamp,
    seconds: i64,
    remark: Option<String>,
}

impl Times {
    fn of(row: &Allocation<'_>, state: State, now: Timestamp) -> Result<Self, RefusedRow> {
        let refuse = |code, sentence: String| RefusedRow::of(row, code, sentence);
        let start = set(row, "Start", row.start, RowCode::Time)?;
        let elapsed = set(row, "Elapsed", row.elapsed, RowCode::Duration)?;
        // Not every export has the column; most jobs are never suspended.
        let suspended = match row.suspended {
            Field::Absent | Field::Unset => 0,
            Field::Bad | Field::Is(_) => set(row, "Suspended", row.suspended, RowCode::Duration)?,
        };
        if elapsed < 0 || suspended < 0 {
            let sentence = format!("{elapsed} s elapsed and {suspended} s suspended");
            return Err(refuse(RowCode::Duration, sentence));
        }
        let end = if state.is_ended() {
            set(row, "End", row.end, RowCode::Time)?
        } else {
            // A running job counts up to the moment of the export, which its own row tells.
            start.after(elapsed.saturating_add(suspended))
        };
        let span = end.unix() - start.unix();
        if span < 0 || end > now {
            let sentence =
                format!("from {start} to {end}, exported before {now}: is the zone right?");
            return Err(refuse(RowCode::Time, sentence));
        }
        let by_times = (span - suspended).max(0);
        let seconds = elapsed.min(by_times);
        if seconds == 0 {
            return Err(refuse(
                RowCode::NoUse,
                "it ran for less than a second".to_owned(),
            ));
        }
        let remark = (elapsed != by_times).then(|| {
            format!("{elapsed} s elapsed, but {by_times} s by its times: {seconds} s are settled")
        });
        Ok(Self {
            start,
            end,
            seconds,
            remark,
        })
    }
}

fn set<T>(
    row: &Allocation<'_>,
    column: &str,
    field: Field<T>,
    bad: RowCode,
) -> Result<T, RefusedRow> {
    let (code, sentence) = match field {
        Field::Is(value) => return Ok(value),
        Field::Absent => (
            RowCode::Column,
            format!("the export has no column {column}"),
        ),
        Field::Unset => (bad, format!("{column} is not set")),
        Field::Bad => (
            bad,
            format!("{column} cannot be read; export without SLURM_TIME_FORMAT"),
        ),
    };
    Err(RefusedRow::of(row, code, sentence))
}

fn models(
    row: &Allocation<'_>,
    gpus: Gpus,
    name: &str,
    cluster: &Cluster,
) -> Result<BTreeMap<GpuModel, u32>, RefusedRow> {
    let mut models: BTreeMap<GpuModel, u32> = BTreeMap::new();
    for (kind, count) in gpus.parts {
        let model = match &kind {
            Some(kind) => cluster.gres.get(kind),
            None => cluster.untyped.as_ref(),
        };
        let Some(model) = model else {
            let sentence = match kind {
                Some(kind) => format!("gres/gpu:{kind} has no model under clusters.{name}.gres"),
                None => format!("{count} GPUs without a type, and clusters.{name} has no untyped"),
            };
            return Err(RefusedRow::of(row, RowCode::GresType, sentence));
        };
        // Two types may be one model; the counts of one row are below 2 × 10⁶.
        *models.entry(model.clone()).or_default() += count;
    }
    Ok(models)
}

fn run_name(row: &Allocation<'_>, cluster: &str, start: Timestamp) -> Result<String, RefusedRow> {
    let plain = row
        .job
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then_some(&row.job);
    let name = match (row.raw.as_ref().or(plain), row.sluid.as_ref()) {
        (Some(raw), _) if raw.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{cluster}/{raw}@{}", start.unix())
        }
        (None, Some(sluid)) if sluid.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            format!("{cluster}/{sluid}")
        }
        (_, _) => {
            let sentence = "JobIDRaw is missing, and JobID of an array or component is not unique";
            return Err(RefusedRow::of(row, RowCode::RunName, sentence));
        }
    };
    if name.len() > RUN_NAME_MAX {
        let sentence = format!("{name:?} is longer than {RUN_NAME_MAX} characters");
        return Err(RefusedRow::of(row, RowCode::RunName, sentence));
    }
    Ok(format!("slurm:{name}"))
}
