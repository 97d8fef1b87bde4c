//! Archives by the names in them: nothing in them is unpacked.

use std::io::{self, Read, SeekFrom};
use verifier::dataset::check_path;

use super::report::{Entry, Flaw, Format, Report};
use super::{Checked, Limits, Seekable};

/// The end of a zip with its comment (APPNOTE 4.3.16).
const ZIP_END_MAX: u64 = 22 + 65_535;

/// Lists a tar archive as it goes by.
pub(super) fn tar(report: &mut Report, from: impl Read, limits: Limits) -> io::Result<()> {
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries()? {
        let Ok(entry) = entry else {
            report.flaw(Flaw::broken(
                "archive.broken",
                "an entry cannot be read; pack it again",
            ));
            return Ok(());
        };
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_link =
            entry.header().entry_type().is_symlink() || entry.header().entry_type().is_hard_link();
        if is_link {
            report.flaw(Flaw::note(
                "archive.link",
                "there are links in it; they are not followed",
            ));
        }
        if entry.header().entry_type().is_file() && !add(report, path, entry.size(), limits) {
            return Ok(());
        }
    }
    Ok(())
}

/// Lists a zip archive by its directory.
pub(super) fn zip(from: &mut dyn Seekable, limits: Limits) -> io::Result<Checked> {
    let length = from.seek(SeekFrom::End(0))?;
    let mut report = Report::new(Format::Zip);
    if let Some(flaw) = zip_end(from, length, limits)? {
        return Ok(Checked::refused(Format::Zip, flaw, length));
    }
    match zip::ZipArchive::new(&mut *from) {
        Ok(mut archive) => list(&mut report, &mut archive, length, limits),
        Err(_) => report.flaw(Flaw::broken(
            "archive.broken",
            "its directory cannot be read; pack it again",
        )),
    }
    Ok(Checked::without_rows(report, length))
}

fn list<R: Read + io::Seek>(
    report: &mut Report,
    archive: &mut zip::ZipArchive<R>,
    length: u64,
    limits: Limits,
) {
    let mut inflated = 0_u64;
    for place in 0..archive.len() {
        let Ok(file) = archive.by_index_raw(place) else {
            report.flaw(Flaw::broken(
                "archive.broken",
                "an entry cannot be read; pack it again",
            ));
            return;
        };
        inflated = inflated.saturating_add(file.size());
        let path = String::from_utf8_lossy(file.name_raw()).into_owned();
        let (size, is_file) = (file.size(), file.is_file());
        if is_file && !add(report, path, size, limits) {
            return;
        }
    }
    if inflated > limits.inflated(length) {
        report.flaw(Flaw::broken(
            "packing.bomb",
            super::inflate::Stopped::Bomb.to_string(),
        ));
    }
}

/// How many entries the end says there are, before room is made for them.
fn zip_end(from: &mut dyn Seekable, length: u64, limits: Limits) -> io::Result<Option<Flaw>> {
    from.seek(SeekFrom::Start(length.saturating_sub(ZIP_END_MAX)))?;
    let mut tail = Vec::new();
    from.take(ZIP_END_MAX).read_to_end(&mut tail)?;
    let Some(at) = tail.windows(4).rposition(|mark| mark == b"PK\x05\x06") else {
        return Ok(Some(Flaw::broken(
            "archive.broken",
            "its directory is missing; upload the whole file",
        )));
    };
    // A directory entry takes 46 bytes at least: its size bounds the number whatever the number says.
    let size = tail
        .get(at + 12..at + 16)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u32::from_le_bytes);
    let is_large = size == u32::MAX || u64::from(size) / 46 > limits.entries_max as u64 * 4;
    Ok(is_large.then(|| many(limits)))
}

fn many(limits: Limits) -> Flaw {
    let sentence = format!(
        "there are more than {} files in it; publish them as files",
        limits.entries_max
    );
    Flaw::broken("archive.many", sentence)
}

/// Adds a name; says whether there is room for more.
fn add(report: &mut Report, path: String, bytes: u64, limits: Limits) -> bool {
    if report.entries.len() >= limits.entries_max {
        report.flaw(many(limits));
        return false;
    }
    let path = super::mask_found(&path);
    if let Err(why) = check_path(&path) {
        let sentence = format!(
            "the name of file {} in it is not safe: {why}",
            report.entries.len() + 1
        );
        report.flaw(Flaw::broken("archive.path", sentence));
    }
    report.entries.push(Entry { path, bytes });
    true
}
