//! Parallel runs of one (order, site, GPU model) into pieces that do not overlap (facts/metering.md §1.6).
//!
//! Every piece lies inside one clock hour, so capacity per hour is exact, no piece crosses a month, and whatever becomes
//! known later about that hour can be stated by a correction. Inside an hour there is one piece per constant number of
//! GPUs, where `gpu_seconds = gpu_count × span`; or, where there would be many or a run was suspended, one piece with
//! the peak as `gpu_count` and the metered sum. No GPU-second is lost or made: each run's own are cut by prefix sums.

use std::sync::Arc;
use verifier::id::Sha256Hash;
use verifier::receipt::JOBS_MAX;
use verifier::time::Timestamp;

use super::state::State;

/// More constant pieces than this in one clock hour become one.
pub const PIECES_MAX: usize = 4;
/// Bytes of the JSON of `jobs`: with the other claims and base64 a receipt stays below 48,000 bytes (DESIGN §5).
pub const JOBS_BYTES_MAX: usize = 32_000;

/// What one run holds of one GPU model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The run's name.
    pub run: Arc<str>,
    /// Its state.
    pub state: State,
    /// GPUs held throughout.
    pub gpus: u32,
    /// From here.
    pub start: Timestamp,
    /// Up to here, exclusive.
    pub end: Timestamp,
    /// Seconds to settle for each GPU, 1 ..= `end − start`.
    pub seconds: i64,
}

impl Use {
    /// Whether it is known of every second whether it counts.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.seconds == self.end.unix() - self.start.unix()
    }

    fn overlaps(&self, start: Timestamp, end: Timestamp) -> bool {
        self.start < end && start < self.end
    }

    /// The seconds to settle that fall into `[start, end)`. A suspended run's are spread evenly, as differences of
    /// rounded-down prefix sums: over any cut the parts add up, and no part exceeds its own span.
    fn seconds_between(&self, start: Timestamp, end: Timestamp) -> i64 {
        let prefix = |at: Timestamp| {
            let run = i128::from(at.clamp(self.start, self.end).unix() - self.start.unix());
            let span = i128::from(self.end.unix() - self.start.unix()).max(1);
            i64::try_from(run * i128::from(self.seconds) / span).unwrap_or(i64::MAX)
        };
        prefix(end) - prefix(start)
    }
}

/// One run's part of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The run's name.
    pub run: Arc<str>,
    /// Its state.
    pub state: State,
    /// GPU-seconds of this run in this piece.
    pub gpu_seconds: i64,
}

/// What a receipt says about use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// From here.
    pub start: Timestamp,
    /// Up to here, exclusive.
    pub end: Timestamp,
    /// The most GPUs held at one moment.
    pub gpu_count: u32,
    /// The sum over `jobs`.
    pub gpu_seconds: i64,
    /// The runs, by name.
    pub jobs: Vec<Share>,
}

impl Piece {
    /// Whether a receipt can hold it.
    #[must_use]
    pub fn fits(&self) -> bool {
        let bytes = |job: &Share| job.run.len() + job.state.as_str().len() + 58;
        self.jobs.len() <= JOBS_MAX && self.jobs.iter().map(bytes).sum::<usize>() <= JOBS_BYTES_MAX
    }

    /// A digest of what would have to be corrected if it changed. That a run which was `RUNNING` has completed is no
    /// such change; that it turned out one which orders do not pay for is.
    #[must_use]
    pub fn content(&self) -> Sha256Hash {
        let mut text = format!("{} {}\n", self.gpu_count, self.gpu_seconds);
        for job in &self.jobs {
            let paid = job.state.is_paid_by_default();
            text.push_str(&format!("{} {} {paid}\n", job.run, job.gpu_seconds));
        }
        Sha256Hash::of(text.as_bytes())
    }
}

/// A second in which more runs were active than a receipt can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowded {
    /// From here.
    pub start: Timestamp,
    /// Up to here, exclusive.
    pub end: Timestamp,
    /// How many runs.
    pub runs: usize,
    /// GPU-seconds that no receipt states.
    pub gpu_seconds: i64,
}

/// What `uses` amount to in `[start, end)`, as one piece.
#[must_use]
pub fn piece(uses: &[&Use], start: Timestamp, end: Timestamp) -> Piece {
    let mut jobs = Vec::new();
    let mut active = Vec::new();
    for held in uses.iter().filter(|held| held.overlaps(start, end)) {
        let gpu_seconds = held.seconds_between(start, end) * i64::from(held.gpus);
        if gpu_seconds > 0 {
            active.push(*held);
            jobs.push(Share {
                run: held.run.clone(),
                state: held.state,
                gpu_seconds,
            });
        }
    }
    jobs.sort_by(|a, b| a.run.cmp(&b.run));
    let gpu_count = levels(&active, start, end)
        .iter()
        .map(|level| level.gpus)
        .max()
        .unwrap_or(0);
    let gpu_seconds = jobs.iter().map(|job| job.gpu_seconds).sum();
    Piece {
        start,
        end,
        gpu_count,
        gpu_seconds,
        jobs,
    }
}

/// Cuts the use in `[start, end)`, which lies inside one clock hour, into pieces that receipts can hold.
#[must_use]
pub fn pieces(uses: &[&Use], start: Timestamp, end: Timestamp) -> (Vec<Piece>, Vec<Crowded>) {
    let held: Vec<&Use> = uses
        .iter()
        .copied()
        .filter(|held| held.overlaps(start, end))
        .collect();
    let mut levels = levels(&held, start, end);
    if levels.len() > PIECES_MAX || held.iter().any(|held| !held.is_exact()) {
        let from = levels.first().map(|level| level.start);
        let to = levels.last().map(|level| level.end);
        let whole = from.zip(to).map(|(start, end)| Level {
            start,
            end,
            gpus: 0,
        });
        levels = whole.into_iter().collect();
    }
    let mut cut = Cut {
        uses: &held,
        pieces: Vec::new(),
        crowded: Vec::new(),
    };
    for level in levels {
        cut.halve(level.start, level.end);
    }
    (cut.pieces, cut.crowded)
}

/// Halves a span in time until each part names few enough runs.
struct Cut<'a> {
    uses: &'a [&'a Use],
    pieces: Vec<Piece>,
    crowded: Vec<Crowded>,
}

impl Cut<'_> {
    fn halve(&mut self, start: Timestamp, end: Timestamp) {
        let piece = piece(self.uses, start, end);
        let span = end.unix() - start.unix();
        if piece.jobs.is_empty() {
            return;
        }
        if piece.fits() {
            self.pieces.push(piece);
        } else if span >= 2 {
            // At most twelve levels deep: a span is an hour or less.
            let middle = start.after(span / 2);
            self.halve(start, middle);
            self.halve(middle, end);
        } else {
            let Piece {
                gpu_seconds, jobs, ..
            } = piece;
            self.crowded.push(Crowded {
                start,
                end,
                runs: jobs.len(),
                gpu_seconds,
            });
        }
    }
}

/// A time in which the same number of GPUs is held.
#[derive(Debug, Clone, Copy)]
struct Level {
    start: Timestamp,
    end: Timestamp,
    gpus: u32,
}

/// The levels above zero, in order. Ends come before starts at one instant, so a relay of runs is one level.
fn levels(uses: &[&Use], start: Timestamp, end: Timestamp) -> Vec<Level> {
    let mut changes: Vec<(Timestamp, i64)> = Vec::with_capacity(uses.len() * 2);
    for held in uses {
        changes.push((held.start.clamp(start, end), i64::from(held.gpus)));
        changes.push((held.end.clamp(start, end), -i64::from(held.gpus)));
    }
    changes.sort_unstable();
    let mut levels: Vec<Level> = Vec::new();
    let (mut gpus, mut since) = (0_i64, start);
    for instant in changes.chunk_by(|a, b| a.0 == b.0) {
        let at = instant.first().map_or(end, |change| change.0);
        let next = gpus + instant.iter().map(|change| change.1).sum::<i64>();
        if next != gpus {
            push_level(&mut levels, since, at, gpus);
            (gpus, since) = (next, at);
        }
    }
    levels
}

fn push_level(levels: &mut Vec<Level>, start: Timestamp, end: Timestamp, gpus: i64) {
    if start < end && gpus > 0 {
        // More than four thousand million GPUs at once are more runs than a receipt names: reported as crowded.
        let gpus = u32::try_from(gpus).unwrap_or(u32::MAX);
        levels.push(Level { start, end, gpus });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use verifier::receipt::JWS_BYTES_MAX;

    fn at(unix: i64) -> Timestamp {
        Timestamp::new(unix).unwrap()
    }

    fn held(run: &str, gpus: u32, start: i64, end: i64) -> Use {
        let state = State::parse("COMPLETED").unwrap();
        Use {
            run: run.into(),
            state,
            gpus,
            start: at(start),
            end: at(end),
            seconds: end - start,
        }
    }

    fn figures(uses: &[Use], start: i64, end: i64) -> Vec<(i64, i64, u32, i64)> {
        let uses: Vec<&Use> = uses.iter().collect();
        let (pieces, crowded) = pieces(&uses, at(start), at(end));
        assert_eq!(crowded, []);
        pieces
            .iter()
            .map(|p| (p.start.unix(), p.end.unix(), p.gpu_count, p.gpu_seconds))
            .collect()
    }

    #[test]
    fn parallel_runs_become_constant_pieces() {
        let uses = [held("a", 4, 0, 600), held("b", 2, 300, 900)];
        assert_eq!(
            figures(&uses, 0, 3600),
            [(0, 300, 4, 1200), (300, 600, 6, 1800), (600, 900, 2, 600)]
        );
    }

    #[test]
    fn a_relay_of_runs_is_one_piece() {
        let uses = [held("a", 4, 0, 600), held("b", 4, 600, 900)];
        assert_eq!(figures(&uses, 0, 3600), [(0, 900, 4, 3600)]);
    }

    #[test]
    fn many_pieces_in_an_hour_become_one_with_the_peak() {
        let uses: Vec<Use> = (0..20)
            .map(|i| held(&format!("r{i}"), 1, i * 100, i * 100 + 50))
            .collect();
        assert_eq!(figures(&uses, 0, 3600), [(0, 1950, 1, 1000)]);
    }

    #[test]
    fn a_suspended_run_is_settled_as_metered_in_its_own_hours() {
        let mut run = held("a", 2, 0, 7200);
        run.seconds = 3601;
        let first = figures(&[run.clone()], 0, 3600);
        let second = figures(&[run], 3600, 7200);
        assert_eq!(first, [(0, 3600, 2, 3600)]);
        assert_eq!(second, [(3600, 7200, 2, 3602)]);
    }

    #[test]
    fn more_runs_than_a_receipt_names_are_split_in_time() {
        let uses: Vec<Use> = (0..600)
            .map(|i| held(&format!("r{i:03}"), 1, i * 6, i * 6 + 6))
            .collect();
        let parts = figures(&uses, 0, 3600);
        assert_eq!(parts.len(), 4);
        assert_eq!(parts.iter().map(|p| p.3).sum::<i64>(), 3600);
    }

    #[test]
    fn more_runs_at_one_moment_than_a_receipt_names_are_reported() {
        let uses: Vec<Use> = (0..257)
            .map(|i| held(&format!("r{i:03}"), 1, 0, 2))
            .collect();
        let uses: Vec<&Use> = uses.iter().collect();
        let (pieces, crowded) = pieces(&uses, at(0), at(3600));
        assert!(pieces.is_empty());
        assert_eq!(crowded.iter().map(|c| c.gpu_seconds).sum::<i64>(), 514);
    }

    #[test]
    fn a_full_receipt_stays_below_the_limit_of_bytes() {
        let name = |i: i64| format!("slurm:{}/{i:012}@1790000000", "c".repeat(32));
        let uses: Vec<Use> = (0..256).map(|i| held(&name(i), 1, 0, 10)).collect();
        let uses: Vec<&Use> = uses.iter().collect();
        for part in pieces(&uses, at(0), at(3600)).0 {
            let bytes: usize = part
                .jobs
                .iter()
                .map(|job| {
                    let Share {
                        run,
                        state,
                        gpu_seconds,
                    } = job;
                    format!(
                        "{{\"run\":\"{run}\",\"state\":\"{state}\",\"gpu_seconds\":{gpu_seconds}}},"
                    )
                    .len()
                })
                .sum();
            assert!((bytes + 2_500) * 4 / 3 < JWS_BYTES_MAX, "{bytes}");
        }
    }

    fn any_use(i: usize) -> impl Strategy<Value = Use> {
        (1_u32..9, 0_i64..40_000, 1_i64..20_000, 0_i64..3).prop_map(
            move |(gpus, start, span, cut)| {
                let mut held = held(&format!("slurm:c/{i}@{start}"), gpus, start, start + span);
                if cut == 0 {
                    held.seconds = (span * 2 / 3).max(1);
                }
                held
            },
        )
    }

    fn any_uses() -> impl Strategy<Value = Vec<Use>> {
        (1_usize..40).prop_flat_map(|n| (0..n).map(any_use).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn no_gpu_second_is_lost_or_made_and_no_pieces_overlap(uses in any_uses()) {
            let refs: Vec<&Use> = uses.iter().collect();
            let mut all = Vec::new();
            for hour in 0..17 {
                let (part, crowded) = pieces(&refs, at(hour * 3600), at(hour * 3600 + 3600));
                prop_assert!(crowded.is_empty());
                all.extend(part);
            }
            for pair in all.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            for p in &all {
                let span = p.end.unix() - p.start.unix();
                prop_assert!(p.start.hour() == p.end.after(-1).hour());
                prop_assert!(span > 0 && span <= 3600);
                prop_assert!(p.gpu_seconds <= i64::from(p.gpu_count) * span);
                prop_assert_eq!(p.gpu_seconds, p.jobs.iter().map(|j| j.gpu_seconds).sum::<i64>());
                prop_assert!(p.jobs.len() <= JOBS_MAX);
            }
            for held in &uses {
                let parts = all.iter().flat_map(|p| &p.jobs).filter(|j| j.run == held.run);
                prop_assert_eq!(
                    parts.map(|j| j.gpu_seconds).sum::<i64>(),
                    held.seconds * i64::from(held.gpus)
                );
            }
        }

        #[test]
        fn exact_runs_in_few_pieces_fill_them_to_the_brim(uses in any_uses(), hour in 0_i64..17) {
            let refs: Vec<&Use> = uses.iter().filter(|u| u.is_exact()).collect();
            let (parts, _) = pieces(&refs, at(hour * 3600), at(hour * 3600 + 3600));
            if parts.len() > 1 {
                for p in parts {
                    let span = p.end.unix() - p.start.unix();
                    prop_assert_eq!(p.gpu_seconds, i64::from(p.gpu_count) * span);
                }
            }
        }
    }
}
