//! `sample`: computes a sampling sheet again, and holds it against the trail that it is of (DESIGN §9).

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::dataset;
use crate::folder::{self, Folder};
use crate::{Answer, NotChecked, print};
use verifier::analysis::Study;
use verifier::audit::Files as _;
use verifier::dataset::{First, Interval, SHEET_BYTES_MAX, Sheet};
use verifier::time::Timestamp;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::history::{self, COUNT, COUNT_BYTES_MAX, HISTORY_NOTE_BYTES_MAX};
use verifier::trail::key::VerifierKey;
use verifier::trail::note::Note;
use verifier::trail::{Flaw, FlawKind, Hash};

/// The longest part of a history: 256 of the longest notes, each behind its length.
const PART_BYTES_MAX: usize = 256 * (HISTORY_NOTE_BYTES_MAX + 2);

/// What `sample` is asked.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The sheet: canonical JSON.
    sheet: PathBuf,
    /// The trail: the folder that holds `checkpoint` and `tile/`.
    #[arg(long)]
    trail: PathBuf,
    /// Whom to trust (C2SP tlog-policy): the trail is audited first. Without it, its own key of the log is believed.
    #[arg(long)]
    policy: Option<PathBuf>,
}

/// What a sheet's note is held against.
struct Head {
    study: Study,
    /// The root of as many entries as the note has, and the time of the last of them.
    at_size: Option<(Hash, Option<Timestamp>)>,
}

/// Computes a sheet again.
pub(crate) fn check(asked: &Arguments, json: bool) -> Result<Answer, NotChecked> {
    let bytes = folder::read(&asked.sheet, SHEET_BYTES_MAX.saturating_add(1))?;
    // Editors and shells end a file with a line end; the sheet itself has none.
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let sheet = match Sheet::parse(bytes) {
        Ok(sheet) => sheet,
        Err(refusal) => {
            let code = refusal.code.as_str();
            return Ok(told(None, Err((code, refusal.sentence)), json));
        }
    };
    if let Some(policy) = &asked.policy {
        let (audited, _) = dataset::read(&asked.trail, Some(policy), Study::new())?;
        if let Some((false, page, _)) = audited {
            return Err(NotChecked(format!("the trail itself differs:\n{page}")));
        }
    }
    let held = hold(&sheet, &asked.trail)?;
    Ok(told(Some(&sheet), held, json))
}

/// What is wrong, by a stable code; else what is to be said of a sheet that agrees.
type Held = Result<String, (&'static str, String)>;

/// Holds a sheet against its trail.
fn hold(sheet: &Sheet, trail: &Path) -> Result<Held, NotChecked> {
    let unreadable = |flaw: Flaw| NotChecked(flaw.to_string());
    let note = Note::parse(sheet.note.as_bytes()).map_err(unreadable)?;
    let head = Checkpoint::parse(note.text()).map_err(unreadable)?;
    let mut folder = Folder::open(trail)?;
    let read = read_head(&mut folder, head.size().get())?;
    let book = read.study.book();
    let published = book.versions.get(&sheet.manifest).map(|of| of.seq);
    if published != Some(sheet.seq) {
        let found = published.map_or_else(
            || "the trail publishes no such version".to_owned(),
            |seq| format!("entry {seq} publishes it, not entry {}", sheet.seq),
        );
        return Ok(Err(("dataset.unknown", found)));
    }
    let Some((root, at)) = read.at_size else {
        return Err(NotChecked(format!(
            "the sheet's checkpoint has {} entries, the trail here {}: bring the copy up to date",
            head.size(),
            book.size
        )));
    };
    if root != head.root() {
        let found = format!("the tree of {} entries has the root {root}", head.size());
        return Ok(Err((FlawKind::Fork.as_str(), found)));
    }
    let signers = book.log_keys.of_head(head.size().get(), at);
    let keys: Result<Vec<_>, Flaw> = signers.map(|key| VerifierKey::parse(&key.vkey)).collect();
    if let Err(flaw) = note.open(&keys.map_err(unreadable)?) {
        return Ok(Err((flaw.code(), flaw.sentence().to_owned())));
    }
    Ok(hold_first(sheet, &head, first(&mut folder, sheet.seq)?))
}

fn read_head(folder: &mut Folder, size: u64) -> Result<Head, NotChecked> {
    let (mut study, mut at_size) = (Study::new(), None);
    folder.entries(|seq, bytes| {
        study.take(bytes);
        if seq.checked_add(1) == Some(size) {
            at_size = Some((study.root(), study.book().last_at));
        }
    })?;
    match study.stopped() {
        Some(stopped) => {
            let why = format!("entry {} cannot be applied: {}", stopped.seq, stopped.why);
            Err(NotChecked(why))
        }
        None => Ok(Head { study, at_size }),
    }
}

/// The first checkpoint of the published history that covers an entry.
fn first(folder: &mut Folder, seq: u64) -> Result<Option<Checkpoint>, NotChecked> {
    let unreadable = |flaw: Flaw| NotChecked(flaw.to_string());
    let Some(count) = folder.read(COUNT, COUNT_BYTES_MAX)? else {
        return Ok(None);
    };
    let count = history::decode_count(&count).map_err(unreadable)?;
    for part in history::parts_between(0, count) {
        let missing = || NotChecked(format!("{part} is missing: bring the copy up to date"));
        let bytes = folder.read(&part.to_string(), PART_BYTES_MAX)?;
        let notes =
            history::decode(&bytes.ok_or_else(missing)?, part.width()).map_err(unreadable)?;
        let mut heads = notes.into_iter().map(|(_, head)| head);
        if let Some(found) = heads.find(|head| head.size().get() > seq) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether the history shows what the sheet says of it.
fn hold_first(sheet: &Sheet, head: &Checkpoint, first: Option<Checkpoint>) -> Held {
    match (sheet.first, first) {
        (First::Shown, Some(first)) if first == *head => {
            Ok("the first checkpoint that covers the publication: shown by the history".to_owned())
        }
        (First::Shown, Some(first)) => Err((
            FlawKind::History.as_str(),
            format!(
                "the first checkpoint of the history that covers entry {} has {} entries, the sheet's {}",
                sheet.seq,
                first.size(),
                head.size()
            ),
        )),
        (First::Shown, None) => Err((
            FlawKind::History.as_str(),
            format!(
                "no checkpoint of the history covers entry {}: nothing shows that the sheet's is the first",
                sheet.seq
            ),
        )),
        (First::NotShown, Some(first)) if first == *head => Ok(
            "not said to be the first checkpoint that covers the publication; the history shows it"
                .to_owned(),
        ),
        (First::NotShown, _) => Ok(
            "the first checkpoint that covers the publication: not shown; whoever drew could choose among checkpoints"
                .to_owned(),
        ),
    }
}

fn told(sheet: Option<&Sheet>, held: Held, json: bool) -> Answer {
    let agrees = held.is_ok();
    let verdict = if agrees { "agree" } else { "differ" };
    let (code, found) = match held {
        Ok(found) => (None, found),
        Err((code, found)) => (Some(code), found),
    };
    if json {
        let said = json!({"verdict": verdict, "code": code, "found": found, "sheet": sheet});
        let page = print::object(&said);
        return Answer { agrees, page };
    }
    let code = code.map_or_else(String::new, |code| format!("{code}: "));
    let page = format!(
        "{verdict}: {code}{found}\n{}",
        sheet.map_or_else(String::new, said)
    );
    Answer { agrees, page }
}

fn said(sheet: &Sheet) -> String {
    let Interval { low_ppm, high_ppm } = sheet.interval;
    let judged = if sheet.is_judged() {
        format!(
            "{} of {} passed: between {} and {} of all rows, 95 %",
            sheet.passed,
            sheet.verdicts.len(),
            percent(low_ppm),
            percent(high_ppm)
        )
    } else {
        "not judged".to_owned()
    };
    format!(
        "  manifest   {}\n  published  entry {}\n  seed       {}\n  drawn      {} of {} rows\n  judged     {judged}\n",
        sheet.manifest,
        sheet.seq,
        sheet.seed,
        sheet.drawn.len(),
        sheet.rows
    )
}

/// Parts of a million as per cent.
fn percent(ppm: u32) -> String {
    format!("{}.{:04} %", ppm / 10_000, ppm % 10_000)
}
