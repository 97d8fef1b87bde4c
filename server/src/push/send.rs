//! One content on its way: begun or gone on with, piece by piece, until the exchange has it whole; then put at its paths.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use verifier::id::hex;

use super::bars::{Bar, Bars};
use super::exchange::{ATTEMPTS_MAX, Exchange, PAUSE, Piece};
use super::fault::Fault;
use super::scan::{self, Summed, in_file};
use super::state::State;

/// The bytes of one request. A piece whose sum is wrong, or that is cut off, goes out again whole.
const PIECE_BYTES_MAX: u64 = 16 << 20;
/// Between two looks at an upload that is being checked and stored.
const A_MOMENT: Duration = Duration::from_millis(250);
/// Looks without a change: a file of a tebibyte is checked in less.
const LOOKS_MAX: u32 = 60 * 60 * 4;

/// A content that the draft lacks.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) sha256: [u8; 32],
    pub(super) bytes: u64,
    pub(super) from: PathBuf,
    /// Where it belongs; at least one.
    pub(super) paths: Vec<String>,
}

/// What all uploads of a push share.
pub(super) struct Sending<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) state: &'a State,
    pub(super) bars: &'a Bars,
    pub(super) listing: String,
    /// Where files of the draft are put.
    pub(super) files: String,
    /// Bytes that the exchange has by this push.
    pub(super) sent: AtomicU64,
}

/// What came of a piece.
enum Went {
    To(u64),
    /// The exchange says where it is.
    Astray(String),
}

impl Sending<'_> {
    /// Uploads what is missing of a content and puts it at its paths.
    pub(super) fn send(&self, content: &Content) -> Result<(), Fault> {
        let name = content.paths.first().map_or("", String::as_str);
        let mut bar = self.bars.one(name, content.bytes);
        let (at, mut offset) = self.begun(content, name)?;
        bar.to(offset);
        let (mut fruitless, mut pause) = (0, PAUSE);
        while offset < content.bytes {
            let why = match self.piece(content, (&at, offset), &mut bar)? {
                Went::To(now) => {
                    self.sent.fetch_add(now - offset, Ordering::SeqCst);
                    (offset, fruitless, pause) = (now, 0, PAUSE);
                    continue;
                }
                Went::Astray(why) => why,
            };
            fruitless += 1;
            if fruitless == ATTEMPTS_MAX {
                return Err(Fault::Unreachable(format!(
                    "{name} stays at byte {offset}: {why}"
                )));
            }
            thread::sleep(pause);
            pause *= 2;
            let now = self.exchange.offset(&at)?;
            offset = now.ok_or_else(|| Fault::Upload("the exchange ended the upload".into()))?;
            bar.to(offset);
        }
        self.is_whole(content, &at)?;
        let upload = at.rsplit('/').next().unwrap_or_default();
        for path in &content.paths {
            let put = json!({ "upload": upload, "path": path });
            self.exchange.post(&self.files, &put)?;
        }
        Ok(())
    }

    /// An upload of the content: one that was begun earlier, or a new one; and how far it is.
    fn begun(&self, content: &Content, name: &str) -> Result<(String, u64), Fault> {
        if let Some(at) = self.state.upload(&content.sha256)
            && let Some(offset) = self.exchange.offset(&at)?
        {
            return Ok((at, offset));
        }
        let metadata = format!(
            "filename {},sha256 {},listing {}",
            STANDARD.encode(name),
            STANDARD.encode(hex(&content.sha256)),
            STANDARD.encode(&self.listing),
        );
        let at = self.exchange.begin(content.bytes, &metadata)?;
        self.state.keep_upload(&content.sha256, Some(&at))?;
        Ok((at, 0))
    }

    /// Sends the next piece. It is read twice: its sum goes before it.
    fn piece(&self, content: &Content, at: (&str, u64), bar: &mut Bar) -> Result<Went, Fault> {
        let (at, offset) = at;
        let bytes = content.bytes.saturating_sub(offset).min(PIECE_BYTES_MAX);
        let in_file = in_file(&content.from);
        let mut file = scan::open(&content.from)?;
        file.seek(SeekFrom::Start(offset)).map_err(&in_file)?;
        let mut part = (&mut file).take(bytes);
        let (sha256, length) = scan::digest(&mut part, &mut |_| {}).map_err(&in_file)?;
        if length < bytes {
            return Err(self.changed(content)?);
        }
        file.seek(SeekFrom::Start(offset)).map_err(&in_file)?;
        let mut from = Counted {
            from: file.take(bytes),
            bar,
        };
        let mut piece = Piece {
            offset,
            bytes,
            sha256,
            from: &mut from,
        };
        match self.exchange.append(at, &mut piece) {
            Ok(told) => match (told.status, told.offset) {
                (204, Some(now)) if now > offset => Ok(Went::To(now)),
                // Somebody else writes it, or another attempt of ours got further; busy; a sum that a cable broke.
                (204 | 409 | 423 | 429 | 460 | 502..=504, _) => {
                    Ok(Went::Astray(format!("it answers {}", told.status)))
                }
                _ => Err(told.refusal(at)),
            },
            Err(error) => Ok(Went::Astray(error.to_string())),
        }
    }

    /// The exchange has all of it, and it is what it was said to be.
    fn is_whole(&self, content: &Content, at: &str) -> Result<(), Fault> {
        let shown = self.exchange.get(at)?;
        if shown["state"] == "complete" && shown["sha256"] == hex(&content.sha256).as_str() {
            return Ok(());
        }
        Err(self.changed(content)?)
    }

    /// A file that is not what it was summed to. Its upload is of no use any more.
    fn changed(&self, content: &Content) -> Result<Fault, Fault> {
        self.state.keep_upload(&content.sha256, None)?;
        let why = "changed while it was uploaded; run it again";
        Ok(Fault::Upload(why.to_owned()))
    }

    /// Waits until each content that this folder's pushes uploaded is checked and stored: a version is made of nothing less.
    pub(super) fn wait_until_stored(&self, summed: &[Summed]) -> Result<(), Fault> {
        for file in summed {
            let Some(at) = self.state.upload(&file.sha256) else {
                continue;
            };
            let mut looks = 0..LOOKS_MAX;
            while !self.is_stored(&at)? {
                let late = || format!("{} is not stored yet; run it again later", file.path);
                looks.next().ok_or_else(|| Fault::Unreachable(late()))?;
                thread::sleep(A_MOMENT);
            }
        }
        Ok(())
    }

    /// Whether an upload is stored; one that the exchange has no more is nothing to wait for.
    fn is_stored(&self, at: &str) -> Result<bool, Fault> {
        match self.exchange.get(at) {
            Ok(shown) => Ok(shown["stored"] == true),
            Err(Fault::Refused(refused)) if matches!(refused.status, 404 | 410) => Ok(true),
            Err(fault) => Err(fault),
        }
    }
}

/// Moves the bar as bytes are taken to be sent.
struct Counted<'a, R> {
    from: R,
    bar: &'a mut Bar,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.bar.add(count);
        Ok(count)
    }
}
