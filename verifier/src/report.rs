//! A list of named checks, each passed, failed or not reached (DESIGN §5, checks of a receipt).

use serde::Serialize;

use crate::refusal::{Code, Refusal};

/// What became of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The check holds.
    Passed,
    /// The check does not hold.
    Failed,
    /// An earlier check failed first.
    NotReached,
}

/// The checks of one receipt in their one order, ending with the first that failed, if any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    checks: Vec<(Code, Status)>,
}

impl Report {
    /// Lists `order` against the outcome: everything before the refusal's code has passed.
    #[must_use]
    pub fn new(order: &[Code], outcome: Result<(), &Refusal>) -> Self {
        let failed = outcome.err().map(|refusal| refusal.code);
        let mut reached = true;
        let checks = order
            .iter()
            .map(|code| {
                let status = match (reached, failed == Some(*code)) {
                    (true, true) => {
                        reached = false;
                        Status::Failed
                    }
                    (true, false) => Status::Passed,
                    (false, _) => Status::NotReached,
                };
                (*code, status)
            })
            .collect();
        Self { checks }
    }

    /// Each check and what became of it.
    #[must_use]
    pub fn checks(&self) -> &[(Code, Status)] {
        &self.checks
    }
}
