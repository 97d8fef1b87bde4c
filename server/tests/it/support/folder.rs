//! A trail's folder, read whole.

use std::fs;
use std::path::Path;
use verifier::audit::{Depth, Files, Report, audit};
use verifier::trail::policy::Policy;

/// The files of a trail, held in memory, so that one of them can be damaged.
#[derive(Clone)]
pub(crate) struct Trail(pub(crate) Vec<(String, Vec<u8>)>);

impl Trail {
    pub(crate) fn read(root: &Path) -> Self {
        let (mut files, mut waiting) = (Vec::new(), vec![(root.to_owned(), String::new())]);
        while let Some((path, prefix)) = waiting.pop() {
            for item in fs::read_dir(&path).unwrap() {
                let item = item.unwrap();
                let name = format!("{prefix}{}", item.file_name().to_str().unwrap());
                match fs::read_dir(item.path()) {
                    Ok(_) => waiting.push((item.path(), format!("{name}/"))),
                    Err(_) => files.push((name, fs::read(item.path()).unwrap())),
                }
            }
        }
        Self(files)
    }

    pub(crate) fn audit(&mut self, policy: &Policy) -> Report {
        audit(self, policy, Depth::Decisions).unwrap()
    }
}

impl Files for Trail {
    type Fault = std::convert::Infallible;

    fn names(&mut self) -> Result<Vec<String>, Self::Fault> {
        Ok(self.0.iter().map(|(name, _)| name.clone()).collect())
    }

    fn read(&mut self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, Self::Fault> {
        let file = self.0.iter().find(|(its, _)| its == name);
        Ok(file.map(|(_, bytes)| bytes.clone()))
    }
}
