//! Facts: dated, sourced statements; the only thing that eligibility may read (DESIGN §4.3).

use crate::book::command::{RecordFact, WithdrawFact};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::state::fact::Subject;
use crate::refusal::{Code, Refusal};

/// Records a fact of the table, of its type, about a subject of its kind.
pub(super) fn record(case: &Case<'_>, asked: &RecordFact) -> Result<Decision, Refusal> {
    subject_exists(case, asked.subject)?;
    if asked.name.subject() != asked.subject.kind() {
        return Err(Refusal::new(
            Code::FactInvalid,
            format!(
                "{} is a fact of a {}",
                asked.name,
                asked.name.subject().as_str()
            ),
        ));
    }
    asked.name.check(&asked.value)?;
    if asked.valid_to.is_some_and(|to| to <= asked.valid_from) {
        return Err(Refusal::new(
            Code::FactInvalid,
            "valid_to is not after valid_from",
        ));
    }
    Ok(Decision::common(Found::default()))
}

/// Makes a fact unknown again.
pub(super) fn withdraw(case: &Case<'_>, asked: &WithdrawFact) -> Result<Decision, Refusal> {
    if case
        .book
        .facts
        .history(asked.subject, asked.name)
        .is_empty()
    {
        return Err(Refusal::new(Code::FactUnknown, "nothing is recorded there")
            .with("subject", asked.subject));
    }
    Ok(Decision::common(Found::default()))
}

fn subject_exists(case: &Case<'_>, subject: Subject) -> Result<(), Refusal> {
    match subject {
        Subject::Party(party) => case.book.party(party).map(|_| ()),
        Subject::Site(_) | Subject::Dataset(_) | Subject::Contract(_) => Ok(()),
        Subject::Order(_) => Err(Refusal::new(
            Code::FactInvalid,
            "what an order is for is stated by order.placed and recorded by nobody else",
        )),
    }
}
