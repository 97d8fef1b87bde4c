//! The demo checks its own trail: the same function, files and policy as `quan-verify audit`.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use verifier::audit::{self, Depth, Files, Report};
use verifier::trail::policy::{POLICY_BYTES_MAX, Policy};

use super::Fault;

/// Audits the trail in a data folder against the policy beside it.
pub(super) fn run(data: &Path) -> Result<Report, Fault> {
    let policy_file = data.join("policy.txt");
    let fault = |why| Fault::File(policy_file.clone(), why);
    let policy = read(&policy_file, POLICY_BYTES_MAX).map_err(fault)?;
    let policy = Policy::parse(&policy)
        .map_err(|flaw| fault(io::Error::new(io::ErrorKind::InvalidData, flaw.to_string())))?;
    let mut folder = Folder(data.join("trail"));
    audit::audit(&mut folder, &policy, Depth::Decisions)
        .map_err(|(path, why)| Fault::File(path, why))
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
