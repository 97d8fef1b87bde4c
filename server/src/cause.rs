//! A fault with all that led to it, in one line: for the log, in whatever format, and for a command's last words. Never for a
//! caller of the exchange, who is told nothing of the inside (`http::problem`).

use std::error::Error;
use std::fmt;

/// Displays a fault and its sources, from the outside in: `nothing works: the disk failed: no space left`.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a>(pub &'a dyn Error);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// `From` for what a `Fault` of the calling module holds as it is: a line a variant, for `?`.
macro_rules! faults_from {
    ($($fault:ty => $variant:ident),* $(,)?) => {$(
        impl From<$fault> for Fault {
            fn from(fault: $fault) -> Self {
                Self::$variant(fault)
            }
        }
    )*};
}
pub(crate) use faults_from;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequencer::Fault;
    use crate::store::StoreFault;
    use std::io;

    #[test]
    fn the_log_has_all_of_it() {
        let full = io::Error::other("no space left");
        let fault = Fault::Store(StoreFault::Lock("quan.db.lock".into(), full));
        let whole = Whole(&fault).to_string();
        assert_eq!(
            whole,
            "the database failed: cannot lock quan.db.lock: no space left"
        );
    }
}
