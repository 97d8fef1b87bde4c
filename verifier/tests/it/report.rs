//! What the tests of audits expect of a report.

use verifier::audit::{Report, Verdict};

/// Exactly these differences, each by its place and code, and a verdict that follows from them.
#[track_caller]
pub(crate) fn differs(report: &Report, expected: &[(&str, &str)]) {
    let found: Vec<_> = report
        .differences
        .iter()
        .map(|difference| (difference.at.to_string(), difference.code))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(at, code)| ((*at).to_owned(), *code))
        .collect();
    assert_eq!(found, expected, "{:#?}", report.differences);
    assert_eq!(report.verdict == Verdict::Agree, expected.is_empty());
}
