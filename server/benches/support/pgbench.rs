//! The peer: pgbench's TPC-B, prepared, on a PostgreSQL that the bench starts with its default, durable settings.

use std::process::{Command, Output};

use crate::cluster::{Cluster, programs};

const DATABASE: &str = "peer";
/// The words under which the peer is reported.
pub(crate) const NAME: &str = "pgbench -M prepared -c 16 -j 2, TPC-B scale 10";

/// A filled TPC-B database.
pub(crate) struct Peer<'a>(&'a Cluster);

impl<'a> Peer<'a> {
    /// Fills it.
    pub(crate) fn fill(cluster: &'a Cluster) -> Self {
        cluster.execute(&format!("CREATE DATABASE {DATABASE}"));
        let peer = Self(cluster);
        peer.pgbench(&["-i", "-s", "10", "-q"]);
        peer
    }

    /// Transactions a second over so many seconds.
    pub(crate) fn tps(&self, seconds: usize) -> f64 {
        let seconds = seconds.to_string();
        let output = self.pgbench(&[
            "-M", "prepared", "-c", "16", "-j", "2", "-n", "-T", &seconds,
        ]);
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.strip_prefix("tps = "));
        let number = line.and_then(|line| line.split(' ').next());
        number
            .and_then(|tps| tps.parse().ok())
            .expect("pgbench says its tps")
    }

    fn pgbench(&self, arguments: &[&str]) -> Output {
        let output = Command::new(programs().join("pgbench"))
            .args(arguments)
            .arg(self.0.uri(DATABASE))
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        output
    }
}
