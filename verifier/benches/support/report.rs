//! What a bench says: one line on standard output, one row of `target/bench.json`.

use std::path::PathBuf;

use serde_json::{Value, json};

/// What was measured beside a peer.
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) peer: &'a str,
    /// Of each round the value and the peer's, from the same minute.
    pub(crate) rounds: &'a [(f64, f64)],
}

/// Prints a row and puts it into the file, in place of one of the same name. The ratio is the median of the rounds' ratios:
/// a machine that slows down between two rounds slows both sides of each.
pub(crate) fn report(row: &Row<'_>) {
    let Row {
        name,
        unit,
        peer,
        rounds,
    } = row;
    let of = |number: fn(&(f64, f64)) -> f64| median(rounds.iter().map(number).collect());
    let (value, peer_value) = (of(|round| round.0), of(|round| round.1));
    let ratio = of(|(value, peer)| value / peer);
    println!("{name:>24}  {value:>10.1} {unit}   {ratio:>6.2} × {peer} ({peer_value:.1} {unit})");
    let path = path();
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let mut rows: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    rows.retain(|row| row["name"] != *name);
    let round = |number: f64| (number * 1_000.0).round() / 1_000.0;
    rows.push(json!({
        "name": name, "value": round(value), "unit": unit, "peer": peer, "peer_value": round(peer_value),
        "ratio": round(ratio),
    }));
    let text = serde_json::to_string_pretty(&rows).unwrap();
    std::fs::write(path, text + "\n").unwrap();
}

/// `bench.json` in the target folder, wherever that is.
fn path() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    folder.parent().unwrap().join("bench.json")
}

/// The middle of some numbers.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// A number from the environment, or another.
#[allow(dead_code, reason = "not every bench has settings")]
pub(crate) fn setting(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok();
    set.map_or(default, |text| {
        text.parse().expect("a setting is a whole number")
    })
}

/// The seconds of processor time that a process and its threads have had so far; 0 where it is gone.
#[allow(dead_code, reason = "not every bench counts processor time")]
pub(crate) fn processor_seconds(process: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name in brackets come state, ten numbers, then user and system time in ticks of 10 ms (proc(5)).
    let numbers = text.rsplit_once(')').map_or("", |(_, numbers)| numbers);
    let ticks = numbers.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// The seconds of processor time that a process's threads of this name have had so far, as far as they still run.
#[allow(dead_code, reason = "not every bench counts processor time")]
pub(crate) fn named_thread_seconds(process: &str, name: &str) -> f64 {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return 0.0;
    };
    let read = |folder: &std::path::Path, file: &str| {
        std::fs::read_to_string(folder.join(file)).unwrap_or_default()
    };
    let own = threads.filter_map(|thread| Some(thread.ok()?.path()));
    let own = own.filter(|folder| read(folder, "comm").trim_end() == name);
    own.map(|folder| spent(&read(&folder, "schedstat"))).sum()
}

/// The first number of `schedstat`: nanoseconds on a processor (proc(5)), here in seconds.
fn spent(schedstat: &str) -> f64 {
    let spent = schedstat.split(' ').next();
    let spent = spent.and_then(|spent| spent.parse().ok());
    spent.unwrap_or(0.0_f64) / 1e9
}

/// The seconds of processor time that this thread has had so far.
#[allow(dead_code, reason = "not every bench counts processor time")]
pub(crate) fn thread_seconds() -> f64 {
    // The kernel counts at its ticks, and when a thread gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    spent(&text)
}
