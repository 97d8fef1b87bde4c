//! Checks of contents and what is kept of them: as they came, from the spool, or from the store where the form of reports is newer.
//!
//! They run on threads that nobody has to wait for at a stop: what they say is kept, or they are run again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::thread;
use tokio::sync::{oneshot, watch};

use crate::cause::Whole;
use crate::dataset::check::{self, Checked, Checker, FORM};
use crate::dataset::spool::Checks;
use crate::dataset::{Fault, Parts, Seekable, UploadId, near};
use crate::store::dataset::blob;
use crate::store::dataset::check as rows;
use crate::store::dataset::upload::{self, Upload};

/// Checks the content of a complete upload, unless it was checked before.
pub(super) async fn spooled(
    parts: &Parts,
    id: &UploadId,
    found: &Upload,
    sha256: [u8; 32],
) -> Result<(), Fault> {
    let as_it_came = parts.spools.take_checks(id);
    if parts
        .query(move |db| check::is_checked(db, &sha256))
        .await?
    {
        return Ok(());
    }
    let (path, name, length) = (parts.spools.path(id), found.path.clone(), found.length);
    let checked = apart(move || {
        let ended = as_it_came.and_then(|Checks { stream, .. }| stream.end());
        if let Some(checked) = ended.filter(|checked| checked.is_of(length)) {
            return Ok(checked);
        }
        let at = |fault| Fault::File(path.clone(), fault);
        let file = File::open(&path).map_err(at)?;
        read(&name, file).map_err(at)
    });
    keep(parts, sha256, checked.await?).await
}

/// Checks again, one after the other, the stored contents whose report is of another form; `stop` ends it between two.
pub(super) async fn again(parts: &Parts, stop: &watch::Receiver<bool>) -> Result<(), Fault> {
    let mut after = Vec::new();
    loop {
        let from = after.clone();
        let next = parts.query(move |db| rows::unchecked(db, i64::from(FORM), &from));
        let Some(sha256) = next.await? else {
            return Ok(());
        };
        if *stop.borrow() {
            return Ok(());
        }
        if let Err(fault) = stored(parts, sha256).await {
            tracing::warn!(fault = %Whole(&fault), "a stored content is not checked again");
        }
        after = sha256.to_vec();
    }
}

async fn stored(parts: &Parts, sha256: [u8; 32]) -> Result<(), Fault> {
    let found = parts
        .query(move |db| Ok((blob::get(db, &sha256)?, upload::path_of(db, &sha256)?)))
        .await?;
    let (Some(blob), name) = found else {
        return Ok(());
    };
    let blobs = parts.blobs.clone();
    let checked = apart(move || {
        let reader = blobs.reader(&blob)?;
        let at = |fault| Fault::File(PathBuf::from(&blob.object), fault);
        read(&name.unwrap_or_default(), reader).map_err(at)
    });
    keep(parts, sha256, checked.await?).await
}

async fn keep(parts: &Parts, sha256: [u8; 32], checked: Checked) -> Result<(), Fault> {
    let keep = move |db: &mut _| near::keep(db, &sha256, &checked);
    parts.query(move |db| db.transaction(keep)).await
}

/// Works on a thread that nobody waits for when this is dropped.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let (send, done) = oneshot::channel();
    let thread = thread::Builder::new().name("checks".to_owned());
    let begun = thread.spawn(move || {
        let _nobody_waits = send.send(work());
    });
    let no_thread = |fault| Fault::File(PathBuf::from("a thread for checks"), fault);
    begun.map_err(no_thread)?;
    done.await
        .map_err(|fault| no_thread(io::Error::other(fault)))?
}

/// Checks what is read from a place that may fail: that is no flaw of the content.
fn read(name: &str, from: impl Seekable) -> io::Result<Checked> {
    let mut from = Heard { from, fault: None };
    let checked = Checker::file(name, &mut from);
    from.fault.map_or(Ok(checked), Err)
}

/// Remembers that reading failed.
struct Heard<R> {
    from: R,
    fault: Option<io::Error>,
}

impl<R> Heard<R> {
    fn heard<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|fault| self.fault = Some(io::Error::new(fault.kind(), fault.to_string())))
    }
}

impl<R: Read> Read for Heard<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into);
        self.heard(read)
    }
}

impl<R: Seek> Seek for Heard<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.from.seek(to);
        self.heard(at)
    }
}
