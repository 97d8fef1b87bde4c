//! What is counted, and its Prometheus text form (`/metrics`). No party, id or amount is a label.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use crate::witness::Standing;

type Counts<K> = Mutex<BTreeMap<K, u64>>;

/// Counters of one server since its start. All labels come from our own tables, so their number is bounded.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Counts<(&'static str, u16)>,
    receipts: Counts<(&'static str, &'static str)>,
}

/// A number read when asked for.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// `gauge`, or `counter` for what only grows.
    pub kind: &'static str,
    /// The name, `quan_…`.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// The value.
    pub value: u64,
}

impl Metrics {
    /// Counts an answered request by its route's path and status.
    pub fn request(&self, path: &'static str, status: u16) {
        add(&self.requests, (path, status));
    }

    /// Counts a receipt by its outcome and code.
    pub fn receipt(&self, outcome: &'static str, code: Option<&'static str>) {
        add(&self.receipts, (outcome, code.unwrap_or_default()));
    }

    /// Writes everything (Prometheus text format 0.0.4).
    #[must_use]
    pub fn text(&self, readings: &[Reading], witnesses: &[Standing]) -> String {
        let mut text = String::new();
        head(
            &mut text,
            "quan_requests_total",
            "Answered requests by route and status.",
            "counter",
        );
        for ((path, status), count) in read(&self.requests) {
            line(
                &mut text,
                &format!("quan_requests_total{{path=\"{path}\",status=\"{status}\"}} {count}"),
            );
        }
        head(
            &mut text,
            "quan_receipts_total",
            "Receipts by outcome and code.",
            "counter",
        );
        for ((outcome, code), count) in read(&self.receipts) {
            line(
                &mut text,
                &format!("quan_receipts_total{{outcome=\"{outcome}\",code=\"{code}\"}} {count}"),
            );
        }
        for reading in readings {
            head(&mut text, reading.name, reading.help, reading.kind);
            line(&mut text, &format!("{} {}", reading.name, reading.value));
        }
        stand(&mut text, witnesses);
        text
    }
}

/// How witnesses stand; their names and codes come from the policy file and our own table.
fn stand(text: &mut String, witnesses: &[Standing]) {
    let up = "1 while the witness cosigns; else 0, with the code of why not.";
    head(text, "quan_witness_up", up, "gauge");
    for standing in witnesses {
        let (name, up) = (label(&standing.name), u8::from(standing.code.is_none()));
        let code = standing.code.unwrap_or_default();
        line(
            text,
            &format!("quan_witness_up{{witness=\"{name}\",code=\"{code}\"}} {up}"),
        );
    }
    let size =
        "Entries of the newest checkpoint that the witness has cosigned since this server's start.";
    head(text, "quan_witness_size", size, "gauge");
    for standing in witnesses {
        if let Some(size) = standing.size {
            let name = label(&standing.name);
            line(
                text,
                &format!("quan_witness_size{{witness=\"{name}\"}} {size}"),
            );
        }
    }
}

/// A policy's name may hold what ends a label.
fn label(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"")
}

fn add<K: Ord>(counts: &Counts<K>, key: K) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

fn read<K: Ord + Clone>(counts: &Counts<K>) -> BTreeMap<K, u64> {
    counts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    line(text, &format!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _written = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        metrics.request("/v1/funds", 201);
        metrics.request("/v1/funds", 201);
        metrics.receipt("refused", Some("receipt.rate"));
        let reading = Reading {
            kind: "gauge",
            name: "quan_entries",
            help: "Entries.",
            value: 7,
        };
        let witness = Standing {
            name: "a\"b".to_owned(),
            size: Some(9),
            time: Some(1),
            code: Some("trail.witness-root"),
            sentence: None,
        };
        let text = metrics.text(&[reading], &[witness]);
        let up = "quan_witness_up{witness=\"a\\\"b\",code=\"trail.witness-root\"} 0\n";
        assert!(text.contains(up), "{text}");
        assert!(text.contains("quan_witness_size{witness=\"a\\\"b\"} 9\n"));
        assert!(text.contains("quan_requests_total{path=\"/v1/funds\",status=\"201\"} 2\n"));
        assert!(
            text.contains("quan_receipts_total{outcome=\"refused\",code=\"receipt.rate\"} 1\n")
        );
        assert!(text.contains("# TYPE quan_entries gauge\nquan_entries 7\n"));
    }
}
