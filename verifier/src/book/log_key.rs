//! The log's own keys over time: which of them sign a head, and what they sign to succeed one another (TRAIL D12, E8).
//!
//! One rule for the publisher that signs and the audit that checks: who signs a head is a function of its size and of the
//! entries below it alone. Keys stand here as the text of their C2SP vkey, as entries have it.

use crate::time::Timestamp;

/// A key of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// The C2SP verifier key.
    pub vkey: String,
    /// The size of the first head that it signs.
    pub from: u64,
    /// Once it has a successor: the size of the first head that the successor signs, and until when it signs those too.
    pub end: Option<(u64, Timestamp)>,
}

packed! { LogKey { vkey, from, end } }

impl LogKey {
    /// Whether it signs the head of so many entries, the last of which is of this time.
    fn signs(&self, size: u64, at: Option<Timestamp>) -> bool {
        let in_time = |until: Timestamp| at.is_none_or(|at| at < until);
        self.from <= size
            && self
                .end
                .is_none_or(|(next, until)| size < next || in_time(until))
    }
}

/// The keys of a log, in the order in which they took over.
// INVARIANT: sizes ascend, and all but the last have an end: every head has at least one signer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogKeys(Vec<LogKey>);

packed_newtype!(LogKeys);

impl LogKeys {
    /// The log's first key.
    #[must_use]
    pub fn first(vkey: String) -> Self {
        Self(vec![LogKey {
            vkey,
            from: 0,
            end: None,
        }])
    }

    /// A key takes over: it signs heads of `from` entries and more, the one before it these too until `until`. One of another name
    /// ends all before it then: under their name nothing more is signed.
    pub fn succeed(&mut self, vkey: String, (from, until): (u64, Timestamp)) {
        let moves = self
            .0
            .last()
            .is_some_and(|last| name(&last.vkey) != name(&vkey));
        for key in &mut self.0 {
            let end = key.end.get_or_insert((from, until));
            if moves {
                end.1 = end.1.min(until);
            }
        }
        self.0.push(LogKey {
            vkey,
            from,
            end: None,
        });
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[LogKey] {
        &self.0
    }

    /// The one that took over last.
    #[must_use]
    pub fn newest(&self) -> Option<&LogKey> {
        self.0.last()
    }

    /// Those that sign the head of so many entries, the last of which is of this time: one, and in an overlap two.
    pub fn of_head(&self, size: u64, at: Option<Timestamp>) -> impl Iterator<Item = &LogKey> {
        self.0.iter().filter(move |key| key.signs(size, at))
    }

    /// The one that signs the head of so many entries whatever their times are.
    #[must_use]
    pub fn sure_of_head(&self, size: u64) -> Option<&LogKey> {
        self.0.iter().rev().find(|key| key.from <= size)
    }
}

/// The name in a vkey, which is the log's origin.
fn name(vkey: &str) -> &str {
    vkey.split('+').next().unwrap_or_default()
}

/// What the old and the new key sign when the one succeeds the other: the text of a note that nobody takes for a checkpoint, for
/// no origin has a space.
#[must_use]
pub fn rotation_text(old: &str, new: &str, overlap_seconds: u32) -> String {
    format!("log key rotation\n{old}\n{new}\n{overlap_seconds}\n")
}

/// What the key of a log signs that goes on from another one's newest key.
#[must_use]
pub fn continuation_text(old: &str, new: &str) -> String {
    format!("log continuation\n{old}\n{new}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp::EPOCH.after(seconds))
    }

    fn signers(keys: &LogKeys, size: u64, seconds: i64) -> Vec<&str> {
        let signing = keys.of_head(size, at(seconds));
        signing.map(|key| key.vkey.as_str()).collect()
    }

    #[test]
    fn both_sign_in_the_overlap_the_old_one_before_it_and_the_new_one_after_it() {
        let mut keys = LogKeys::first("old".to_owned());
        assert_eq!(signers(&keys, 0, 0), ["old"]);
        keys.succeed("new".to_owned(), (11, Timestamp::EPOCH.after(100)));
        assert_eq!(signers(&keys, 10, 500), ["old"]);
        assert_eq!(signers(&keys, 11, 99), ["old", "new"]);
        assert_eq!(signers(&keys, 12, 100), ["new"]);
        assert_eq!(keys.sure_of_head(10).unwrap().vkey, "old");
        assert_eq!(keys.sure_of_head(11).unwrap().vkey, "new");
    }

    #[test]
    fn without_an_overlap_every_head_still_has_its_signer() {
        let mut keys = LogKeys::first("a".to_owned());
        keys.succeed("b".to_owned(), (11, Timestamp::EPOCH.after(50)));
        // In the same second: what came before the rotation, and the rotation itself.
        assert_eq!(signers(&keys, 10, 50), ["a"]);
        assert_eq!(signers(&keys, 11, 50), ["b"]);
    }

    #[test]
    fn a_key_of_another_name_ends_an_overlap_of_the_old_ones() {
        let mut keys = LogKeys::first("o+a".to_owned());
        keys.succeed("o+b".to_owned(), (11, Timestamp::EPOCH.after(100)));
        keys.succeed("p+c".to_owned(), (21, Timestamp::EPOCH.after(60)));
        assert_eq!(signers(&keys, 20, 59), ["o+a", "o+b"]);
        assert_eq!(signers(&keys, 21, 60), ["p+c"]);
    }

    #[test]
    fn a_key_that_is_lost_in_an_overlap_is_succeeded_at_once() {
        let mut keys = LogKeys::first("o+a".to_owned());
        keys.succeed("o+b".to_owned(), (11, Timestamp::EPOCH.after(100)));
        keys.succeed("o+c".to_owned(), (21, Timestamp::EPOCH.after(60)));
        assert_eq!(signers(&keys, 20, 60), ["o+a", "o+b"]);
        assert_eq!(signers(&keys, 21, 60), ["o+a", "o+c"]);
        assert_eq!(signers(&keys, 22, 100), ["o+c"]);
    }
}
