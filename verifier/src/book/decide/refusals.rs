//! `refusals.sealed`: the replies themselves are not in the trail, so their root is taken as it is given.

use crate::book::command::SealRefusals;
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::money::INTEGER_MAX;
use crate::refusal::{Code, Refusal};
use crate::time::{HOUR_SECONDS, Timestamp};

/// Seals the refusals of some hours that have passed, each hour once.
pub(super) fn seal(case: &Case<'_>, asked: &SealRefusals) -> Result<Decision, Refusal> {
    let seals = &case.book.seals;
    let sealed_to = seals.last().map_or(Timestamp::EPOCH, |seal| seal.to);
    if usize::try_from(asked.number) != Ok(seals.len()) || asked.from < sealed_to {
        let sentence = format!(
            "the next seal is number {} and starts at {sealed_to} or later",
            seals.len()
        );
        return Err(Refusal::new(Code::RefusalsSealed, sentence));
    }
    let full_hours = [asked.from, asked.to]
        .iter()
        .all(|at| at.unix() % HOUR_SECONDS == 0);
    if !full_hours || asked.from >= asked.to || asked.to > case.env.at {
        return Err(malformed(
            "a seal is over full hours that have passed, from before to",
        ));
    }
    if !is_sound(asked) {
        return Err(malformed(
            "counts are sorted by code, each once and at least 1; size is at least 1 and at most their sum",
        ));
    }
    Ok(Decision::common(Found::default()))
}

fn is_sound(asked: &SealRefusals) -> bool {
    let codes = asked.counts.iter().map(|(code, _)| code.as_str());
    let sum = asked
        .counts
        .iter()
        .try_fold(0_u64, |sum, (_, count)| sum.checked_add(*count));
    let bounded = |sum: u64| i64::try_from(sum).is_ok_and(|sum| sum <= INTEGER_MAX);
    codes.is_sorted_by(|a, b| a < b)
        && asked.counts.iter().all(|(_, count)| *count > 0)
        && sum.is_some_and(|sum| bounded(sum) && (1..=sum).contains(&asked.size))
}

fn malformed(sentence: &str) -> Refusal {
    Refusal::new(Code::RequestMalformed, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Sha256Hash;

    #[test]
    fn counts_are_sorted_whole_and_cover_every_reply() {
        let seal = |size, counts| SealRefusals {
            number: 0,
            from: Timestamp::EPOCH,
            to: Timestamp::EPOCH.after(HOUR_SECONDS),
            size,
            counts,
            root: Sha256Hash::of(b""),
        };
        let (chain, rate) = (Code::ReceiptChain, Code::ReceiptRate);
        assert!(is_sound(&seal(2, vec![(chain, 2), (rate, 1)])));
        for bad in [
            seal(1, vec![]),
            seal(0, vec![(chain, 1)]),
            seal(2, vec![(chain, 1)]),
            seal(1, vec![(chain, 0), (rate, 1)]),
            seal(1, vec![(rate, 1), (chain, 1)]),
            seal(1, vec![(chain, 1), (chain, 1)]),
            seal(1, vec![(chain, u64::MAX), (rate, 1)]),
            seal(1, vec![(chain, u64::MAX)]),
        ] {
            assert!(!is_sound(&bad), "{bad:?}");
        }
    }
}
