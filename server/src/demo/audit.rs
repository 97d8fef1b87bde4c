//! The demo checks its own trail: the same function, files and policy as `quan-verify audit`.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use verifier::audit::promise::{self, Evidence, Finding};
use verifier::audit::{self, Depth, Files, Report};
use verifier::receipt::Answered;
use verifier::trail::policy::{POLICY_BYTES_MAX, Policy};

use super::Fault;

/// Audits the trail in a data folder against the policy beside it.
pub(super) fn run(data: &Path) -> Result<Report, Fault> {
    let policy = policy(data)?;
    let mut folder = Folder(data.join("trail"));
    audit::audit(&mut folder, &policy, Depth::Decisions)
        .map_err(|(path, why)| Fault::File(path, why))
}

/// What came of the exchange's signed replies.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// Promises that the trail keeps.
    pub(super) kept: usize,
    /// Refusals, each signed. The story's clock runs ahead of the timers that seal them: they are not looked for here.
    pub(super) refused: usize,
    /// What is not as it was promised.
    pub(super) broken: Vec<String>,
}

/// Holds each signed reply against the trail in a data folder, as `quan-verify reply` does.
pub(super) fn promises(data: &Path, replies: &[String]) -> Result<Promises, Fault> {
    let policy = policy(data)?;
    let mut folder = Folder(data.join("trail"));
    let mut promises = Promises::default();
    for reply in replies {
        let said = promise::read_reply(reply);
        if said.is_ok_and(|said| said.outcome == Answered::Refused) {
            promises.refused += 1;
            continue;
        }
        let finding = promise::check(&mut folder, &policy, reply, Evidence::default());
        match finding.map_err(|(path, why)| Fault::File(path, why))? {
            Finding::Kept(_) => promises.kept += 1,
            Finding::Open(why) => promises.broken.push(why),
            Finding::Broken(code, why) => promises.broken.push(format!("{code}: {why}")),
        }
    }
    Ok(promises)
}

fn policy(data: &Path) -> Result<Policy, Fault> {
    let policy_file = data.join("policy.txt");
    let fault = |why| Fault::File(policy_file.clone(), why);
    let policy = read(&policy_file, POLICY_BYTES_MAX).map_err(fault)?;
    Policy::parse(&policy)
        .map_err(|flaw| fault(io::Error::new(io::ErrorKind::InvalidData, flaw.to_string())))
}

/// A folder with everything below it.
struct Folder(PathBuf);

impl Files for Folder {
    type Fault = (PathBuf, io::Error);

    fn names(&mut self) -> Result<Vec<String>, Self::Fault> {
        let (mut names, mut waiting) = (Vec::new(), vec![(self.0.clone(), String::new())]);
        while let Some((path, prefix)) = waiting.pop() {
            let fault = |why| (path.clone(), why);
            for item in fs::read_dir(&path).map_err(fault)? {
                let item = item.map_err(fault)?;
                let name = format!("{prefix}{}", item.file_name().to_string_lossy());
                match item.file_type().map_err(fault)? {
                    kind if kind.is_dir() => waiting.push((item.path(), format!("{name}/"))),
                    _ => names.push(name),
                }
            }
        }
        Ok(names)
    }

    fn read(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, Self::Fault> {
        let path = self.0.join(name);
        match read(&path, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err((path, why)),
        }
    }
}

/// Reads a file, of a longer one `limit` + 1 bytes.
fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
