//! `upload`: a file by tus PATCHes of 64 MiB, until the last is answered and durable, beside `sha256sum` and `cp` of the same file,
//! which together do what an upload does. `checks`: a file of JSON lines, until it is checked and stored, beside the same bytes
//! behind the first four of a Parquet file, which are no such file and so are stored unread.
//!
//! Settings, with defaults: QUAN_BENCH_UPLOAD_MIB 1024, QUAN_BENCH_UPLOAD_ROUNDS 3.

use std::fs::{self, File};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use crate::quan::Quan;
use crate::report::{Row, processor_seconds, report, setting};
use crate::vendor::Vendor;

const MIB: usize = 1 << 20;
/// The first line of every file: contents of two rounds differ, or the second would be found stored.
const FIRST_BYTES: usize = 64;

/// A file that is uploaded again and again.
struct Content {
    folder: TempDir,
    path: PathBuf,
    bytes: u64,
    rounds: usize,
}

impl Content {
    /// Of lines that `line` writes, as many as the setting says.
    fn of(mut line: impl FnMut(u64) -> String) -> Self {
        let bytes = setting("QUAN_BENCH_UPLOAD_MIB", 1_024) * MIB;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("content");
        let mut file = BufWriter::with_capacity(MIB, File::create(&path).unwrap());
        file.write_all(&[b' '; FIRST_BYTES]).unwrap();
        let (mut written, mut number) = (FIRST_BYTES, 0);
        while written < bytes {
            let line = line(number);
            file.write_all(line.as_bytes()).unwrap();
            (written, number) = (written + line.len(), number + 1);
        }
        file.into_inner().unwrap().sync_all().unwrap();
        let bytes = fs::metadata(&path).unwrap().len();
        Self {
            folder,
            path,
            bytes,
            rounds: setting("QUAN_BENCH_UPLOAD_ROUNDS", 3),
        }
    }

    /// Makes it another content: `first` is its first line, before spaces.
    fn begin(&self, first: &str) {
        let mut file = File::options().write(true).open(&self.path).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let line = format!("{first:0$}\n", FIRST_BYTES - 1);
        file.write_all(line.as_bytes()).unwrap();
        file.sync_all().unwrap();
    }

    fn rate(&self, seconds: f64) -> f64 {
        self.bytes as f64 / MIB as f64 / seconds
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn run(program: &str, files: &[&Path]) {
    let done = Command::new(program).args(files).output().unwrap();
    assert!(
        done.status.success(),
        "{program} {files:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Lines that no format knows, and that no packing makes shorter.
fn noise(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut line = String::from("\0");
    for _ in 0..64 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        line += &format!("{state:016x}");
    }
    line
}

pub(crate) fn plain() {
    let content = Content::of(noise);
    let copy = content.folder.path().join("copy");
    let round = |round| {
        // One a round: what is stored goes with it.
        let quan = Quan::start(None, &[]);
        let vendor = Vendor::admitted(&quan);
        content.begin(&format!("\0{round}"));
        let cp = seconds(|| run("cp", &[&content.path, &copy]));
        let sync = seconds(|| run("sync", &[&copy]));
        fs::remove_file(&copy).unwrap();
        let sum = seconds(|| run("sha256sum", &[&content.path]));
        let before = processor_seconds(&quan.id().to_string());
        let (landed, stored) = vendor.upload(&content.path);
        let spent = processor_seconds(&quan.id().to_string()) - before;
        println!(
            "upload {landed:.2} s, stored after {stored:.2} s ({spent:.2} s of the server's processor), sha256sum {sum:.2} s, \
             cp {cp:.2} s, sync {sync:.2} s: {:.2} × cp and sync",
            (cp + sync) / landed
        );
        (content.rate(landed), content.rate(sum + cp))
    };
    let rounds: Vec<_> = (0..content.rounds).map(round).collect();
    report(&Row {
        name: "upload",
        unit: "MiB/s",
        peer: "sha256sum and cp of the file",
        rounds: &rounds,
    });
}

/// A line of dialogue as vendors have it.
fn dialogue(number: u64) -> String {
    let (age, pressure) = (20 + number * 7 % 60, 110 + number * 13 % 70);
    format!(
        "{{\"id\": {number}, \"language\": \"zh\", \"messages\": [{{\"role\": \"user\", \"content\": \"医生您好，我今年{age}岁，最近量血压常常是{pressure}，需要吃药吗？\"}}, \
         {{\"role\": \"assistant\", \"content\": \"If it stays above 140 on several days, please see a doctor; until then measure it every morning, rest, and write case {} down.\"}}], \
         \"score\": 0.{:03}, \"source\": \"ward {}\", \"checked\": {}}}\n",
        number * 31 % 10_007,
        number % 1_000,
        number % 97,
        number.is_multiple_of(3)
    )
}

pub(crate) fn checks() {
    let content = Content::of(dialogue);
    let round = |round| {
        let quan = Quan::start(None, &[]);
        let vendor = Vendor::admitted(&quan);
        let one = |first: &str| {
            content.begin(first);
            let before = processor_seconds(&quan.id().to_string());
            let (landed, stored) = vendor.upload(&content.path);
            (
                landed,
                stored,
                processor_seconds(&quan.id().to_string()) - before,
            )
        };
        let unread = one(&format!("PAR1{round}"));
        let read = one(&format!("{{\"id\":\"round {round}\"}}"));
        for (what, (landed, stored, spent)) in [("with", read), ("without", unread)] {
            println!(
                "{what} checks: landed {landed:.2} s, stored {stored:.2} s, {spent:.2} s of the server's processor"
            );
        }
        println!(
            "checks: {:+.0} % until the last answer, {:+.0} % of processor time",
            percent(read.0, unread.0),
            percent(read.2, unread.2)
        );
        (content.rate(read.1), content.rate(unread.1))
    };
    let rounds: Vec<_> = (0..content.rounds).map(round).collect();
    report(&Row {
        name: "checks",
        unit: "MiB/s",
        peer: "the same bytes unread",
        rounds: &rounds,
    });
}

fn percent(with: f64, without: f64) -> f64 {
    (with / without - 1.0) * 100.0
}
