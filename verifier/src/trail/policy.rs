//! Whom to trust: logs, witnesses and how many of them must have cosigned (C2SP tlog-policy). The auditor's trust file.
//!
//! `log <vkey> [url]` · `witness <name> <vkey> [url]` · `group <name> all|any|<k> <name>…` · `quorum <name>|none`.

use super::checkpoint::Checkpoint;
use super::key::{KeyType, VerifierKey};
use super::note::Note;
use super::{Flaw, FlawKind, cosignature, parse_decimal};
use std::collections::BTreeSet;

/// Longest policy in bytes: some thousand keys.
pub const POLICY_BYTES_MAX: usize = 1_000_000;

/// A log that is trusted to be what its key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Its key; the key's name is the log's origin.
    pub key: VerifierKey,
    /// Where to reach it.
    pub url: Option<String>,
}

/// A witness that may count toward the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Its name in the policy, which is not its key's name.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Where to reach it.
    pub url: Option<String>,
}

/// What a name of the policy stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    /// By its place in `witnesses`.
    Witness(usize),
    /// Met if `needed` of the members, by their place in `members`, are.
    Group { needed: usize, parts: Vec<usize> },
}

/// A policy file, parsed.
// INVARIANT: a group refers only to members before it, so one pass from the front evaluates all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    members: Vec<(String, Member)>,
    quorum: Option<usize>,
}

/// A checkpoint whose log signature holds and whose cosignatures satisfy the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    checkpoint: Checkpoint,
    signers: Vec<VerifierKey>,
    cosignatures: Vec<Cosigned>,
    quorum_time: Option<u64>,
}

/// A good cosignature by a witness of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The witness's name in the policy.
    pub witness: String,
    /// When it saw the checkpoint, in Unix seconds.
    pub time: u64,
}

impl Cosigned {
    /// Whether the time is further ahead of `now` than clocks differ.
    #[must_use]
    pub const fn is_future_at(&self, now: u64) -> bool {
        cosignature::is_future(self.time, now)
    }
}

impl VerifiedCheckpoint {
    /// What the log says.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The keys of the log that have signed it, of those that the policy names.
    #[must_use]
    pub fn signers(&self) -> &[VerifierKey] {
        &self.signers
    }

    /// The good cosignatures by witnesses of the policy, in the note's order.
    #[must_use]
    pub fn cosignatures(&self) -> &[Cosigned] {
        &self.cosignatures
    }

    /// The latest time, in Unix seconds, at which a witness of the policy saw it.
    #[must_use]
    pub fn last_time(&self) -> Option<u64> {
        self.cosignatures.iter().map(|by| by.time).max()
    }

    /// The earliest time, in Unix seconds, at which the quorum had cosigned; `None` if the policy asks for none.
    #[must_use]
    pub const fn quorum_time(&self) -> Option<u64> {
        self.quorum_time
    }
}

impl Policy {
    /// Reads a policy file.
    /// # Errors
    /// `trail.policy`, with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let flaw = |why| Flaw::new(FlawKind::Policy, why);
        if bytes.len() > POLICY_BYTES_MAX {
            return Err(flaw("more than 1 MB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| flaw("not UTF-8"))?;
        let text = text
            .strip_suffix('\n')
            .ok_or_else(|| flaw("the last line has no line end"))?;
        let mut reader = Reader::default();
        for (at, line) in text.split('\n').enumerate() {
            reader.line(line).map_err(|why| {
                Flaw::new(
                    FlawKind::Policy,
                    format!("line {}: {why}", at.saturating_add(1)),
                )
            })?;
        }
        let quorum = reader.quorum.ok_or_else(|| flaw("no quorum line"))?;
        let Reader {
            logs,
            witnesses,
            members,
            ..
        } = reader;
        Ok(Self {
            logs,
            witnesses,
            members,
            quorum,
        })
    }

    /// The logs, in the file's order.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// Trusts one more key of a log: what the log itself says of its keys is known to whoever writes it.
    pub fn trust(&mut self, key: VerifierKey) {
        if !self.logs.iter().any(|log| log.key == key) {
            self.logs.push(Log { key, url: None });
        }
    }

    /// The witnesses, in the file's order.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Whether the policy asks for any cosignature.
    #[must_use]
    pub const fn has_quorum(&self) -> bool {
        self.quorum.is_some()
    }

    /// Checks a checkpoint: log and origin, then every signature by a known key, then the quorum.
    /// # Errors
    /// `trail.note`, `trail.checkpoint`, `trail.root`, `trail.origin`, `trail.signature`, `trail.cosignature`,
    /// `trail.quorum`
    pub fn check(&self, note: &Note) -> Result<VerifiedCheckpoint, Flaw> {
        let signed = self.check_signed(note)?;
        let quorum_time = self.quorum_time(&signed.cosignatures)?;
        Ok(VerifiedCheckpoint {
            quorum_time,
            ..signed
        })
    }

    /// Checks a checkpoint but for the quorum: enough for one that the log is held to, since the log has signed it.
    /// Its [`VerifiedCheckpoint::quorum_time`] is `None` where the quorum is not met, too.
    /// # Errors
    /// As [`Policy::check`], without `trail.quorum`.
    pub fn check_signed(&self, note: &Note) -> Result<VerifiedCheckpoint, Flaw> {
        let checkpoint = Checkpoint::parse(note.text())?;
        let origin = checkpoint.origin();
        if !self.logs.iter().any(|log| log.key.name() == origin) {
            let sentence = format!("the policy knows no log {origin}");
            return Err(Flaw::new(FlawKind::Origin, sentence));
        }
        let logs = self.logs.iter().map(|log| &log.key);
        let verified = note.open(logs.chain(self.witnesses.iter().map(|witness| &witness.key)))?;
        let by_log = verified.iter().filter(|by| by.time.is_none());
        let by_log = by_log.filter(|by| by.key.name() == origin);
        let signers: Vec<_> = by_log.map(|by| by.key.clone()).collect();
        if signers.is_empty() {
            let sentence = format!("no key of the log {origin} has signed");
            return Err(Flaw::new(FlawKind::Signature, sentence));
        }
        let cosignatures = verified.iter().filter_map(|by| {
            let witness = self
                .witnesses
                .iter()
                .find(|witness| &witness.key == by.key)?;
            Some(Cosigned {
                witness: witness.name.clone(),
                time: by.time?,
            })
        });
        let cosignatures: Vec<_> = cosignatures.collect();
        let quorum_time = self.quorum_time(&cosignatures).ok().flatten();
        Ok(VerifiedCheckpoint {
            checkpoint,
            signers,
            cosignatures,
            quorum_time,
        })
    }

    /// When the quorum was met by these cosignatures; `None` if none is asked for.
    /// # Errors
    /// `trail.quorum`
    pub fn quorum_time(&self, cosignatures: &[Cosigned]) -> Result<Option<u64>, Flaw> {
        let Some(quorum) = self.quorum else {
            return Ok(None);
        };
        let times: BTreeSet<u64> = cosignatures.iter().map(|by| by.time).collect();
        let met = times.into_iter().find(|time| {
            let until = cosignatures.iter().filter(|by| by.time <= *time);
            let names: BTreeSet<&str> = until.map(|by| by.witness.as_str()).collect();
            self.is_met(quorum, &names)
        });
        met.map(Some).ok_or_else(|| {
            let name = self.members.get(quorum).map_or("", |(name, _)| name);
            let sentence = format!("{} cosignatures do not meet {name:?}", cosignatures.len());
            Flaw::new(FlawKind::Quorum, sentence)
        })
    }

    fn is_met(&self, quorum: usize, names: &BTreeSet<&str>) -> bool {
        let mut met: Vec<bool> = Vec::with_capacity(self.members.len());
        for (name, member) in &self.members {
            met.push(match member {
                Member::Witness(_) => names.contains(name.as_str()),
                Member::Group { needed, parts } => {
                    parts
                        .iter()
                        .filter(|part| met.get(**part) == Some(&true))
                        .count()
                        >= *needed
                }
            });
        }
        met.get(quorum) == Some(&true)
    }
}

/// The policy as far as it has been read.
#[derive(Default)]
struct Reader {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    members: Vec<(String, Member)>,
    /// Places in `members` that are part of a group already: each may be once.
    grouped: BTreeSet<usize>,
    quorum: Option<Option<usize>>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line
            .bytes()
            .any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
        {
            return Err("a control character".to_owned());
        }
        let items: Vec<&str> = line
            .split([' ', '\t'])
            .filter(|item| !item.is_empty())
            .collect();
        match items.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", key] => self.log(key, None),
            ["log", key, url] => self.log(key, Some(url)),
            ["witness", name, key] => self.witness(name, key, None),
            ["witness", name, key, url] => self.witness(name, key, Some(url)),
            ["group", name, needed, parts @ ..] => self.group(name, needed, parts),
            ["quorum", name] => self.quorum(name),
            [first, ..] => Err(format!("{first:?} with {} items", items.len())),
        }
    }

    fn log(&mut self, key: &str, url: Option<&str>) -> Result<(), String> {
        let key = self.key(key, KeyType::Ed25519)?;
        self.logs.push(Log {
            key,
            url: url.map(str::to_owned),
        });
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str, url: Option<&str>) -> Result<(), String> {
        let key = self.key(key, KeyType::Cosignature)?;
        self.name(name, Member::Witness(self.witnesses.len()))?;
        let (name, url) = (name.to_owned(), url.map(str::to_owned));
        self.witnesses.push(Witness { name, key, url });
        Ok(())
    }

    fn group(&mut self, name: &str, needed: &str, parts: &[&str]) -> Result<(), String> {
        let parts = parts
            .iter()
            .map(|part| self.place(part))
            .collect::<Result<Vec<_>, _>>()?;
        for part in &parts {
            if !self.grouped.insert(*part) {
                return Err("a name is a member twice".to_owned());
            }
        }
        let needed = match needed {
            "all" => Some(parts.len()),
            "any" => Some(1),
            number => parse_decimal(number, u64::MAX).and_then(|k| usize::try_from(k).ok()),
        };
        let needed = needed.filter(|k| (1..=parts.len()).contains(k));
        let needed = needed.ok_or("a group needs members, and 1 to all of them")?;
        self.name(name, Member::Group { needed, parts })
    }

    fn quorum(&mut self, name: &str) -> Result<(), String> {
        let quorum = if name == "none" {
            None
        } else {
            Some(self.place(name)?)
        };
        match self.quorum.replace(quorum) {
            None => Ok(()),
            Some(_) => Err("a second quorum line".to_owned()),
        }
    }

    fn place(&self, name: &str) -> Result<usize, String> {
        let place = self.members.iter().position(|(known, _)| known == name);
        place.ok_or_else(|| format!("{name:?} is not defined on an earlier line"))
    }

    fn name(&mut self, name: &str, member: Member) -> Result<(), String> {
        if name == "none" || self.members.iter().any(|(known, _)| known == name) {
            return Err(format!("the name {name:?} is taken"));
        }
        self.members.push((name.to_owned(), member));
        Ok(())
    }

    /// Reads a key of the type its line demands. A key may serve one log or one witness: what it signs does not
    /// say for whom.
    fn key(&self, text: &str, key_type: KeyType) -> Result<VerifierKey, String> {
        let key = VerifierKey::parse(text).map_err(|flaw| flaw.sentence().to_owned())?;
        if key.key_type() != key_type {
            let right = VerifierKey::new(key.name().clone(), key_type, key.public().clone());
            return Err(format!(
                "a key of another type; of the right type it is {right}"
            ));
        }
        let logs = self.logs.iter().map(|log| &log.key);
        let mut known = logs.chain(self.witnesses.iter().map(|witness| &witness.key));
        let clash = |other: &VerifierKey| {
            // Equal (name, id) with another key: a line could not tell them apart.
            (other.public() == key.public())
                || (other.id() == key.id() && other.name() == key.name())
        };
        if known.any(clash) {
            return Err(format!("the key of {} serves twice", key.name()));
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{list, policy, section, text};
    use super::*;
    use proptest::prelude::*;

    fn note(section_name: &str) -> String {
        text(&section(section_name)["note"]).to_owned()
    }

    fn check(policy: &Policy, note: &str) -> Result<VerifiedCheckpoint, FlawKind> {
        let note = Note::parse(note.as_bytes()).map_err(|flaw| flaw.kind())?;
        policy.check(&note).map_err(|flaw| flaw.kind())
    }

    /// The vectors' policy with other lines after the keys.
    fn policy_with(lines: &str) -> Result<Policy, Flaw> {
        let keys = text(&section("checkpoint")["policy"]).to_owned();
        let keys: Vec<_> = keys.lines().filter(|line| !line.contains("both")).collect();
        Policy::parse(format!("{}\n{lines}", keys.join("\n")).as_bytes())
    }

    #[test]
    fn the_vectors_satisfy_their_policy() {
        for (name, size) in [
            ("checkpoint", 600),
            ("checkpoint_extension", 600),
            ("checkpoint_empty", 0),
        ] {
            let verified = check(&policy(), &note(name)).unwrap();
            assert_eq!(verified.checkpoint().size().get(), size);
            let by: Vec<_> = verified
                .cosignatures()
                .iter()
                .map(|by| (by.witness.as_str(), by.time))
                .collect();
            assert_eq!(by, [("w1", 1_795_420_800), ("w2", 1_795_420_801)]);
            assert_eq!(verified.quorum_time(), Some(1_795_420_801));
            assert!(
                verified
                    .cosignatures()
                    .iter()
                    .all(|by| !by.is_future_at(1_795_420_800))
            );
            assert!(
                verified
                    .cosignatures()
                    .iter()
                    .all(|by| by.is_future_at(1_795_420_000))
            );
        }
    }

    #[test]
    fn any_bit_flipped_in_a_note_is_refused() {
        let (policy, good) = (policy(), note("checkpoint"));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone().into_bytes();
            bad[bit / 8] ^= 1 << (bit % 8);
            let verified = Note::parse(&bad).and_then(|note| policy.check(&note));
            assert!(
                verified.is_err(),
                "bit {bit}: {}",
                String::from_utf8_lossy(&bad)
            );
        }
    }

    #[test]
    fn the_quorum_decides_how_many_witnesses_are_needed() {
        let full = note("checkpoint");
        let without = |name: &str| -> String {
            full.split_inclusive('\n')
                .filter(|line| !line.starts_with(&format!("— {name}")))
                .collect()
        };
        let (no_w1, no_w2) = (without("witness.example/w1"), without("witness.example/w2"));
        let none = no_w1
            .split_inclusive('\n')
            .filter(|line| !line.contains("/w2"))
            .collect::<String>();
        let outcome = |lines: &str| {
            let policy = policy_with(lines).unwrap();
            [&full, &no_w1, &no_w2, &none].map(|note| check(&policy, note).is_ok())
        };
        assert_eq!(outcome("quorum none\n"), [true; 4]);
        assert_eq!(outcome("quorum w1\n"), [true, false, true, false]);
        assert_eq!(
            outcome("group g any w1 w2\nquorum g\n"),
            [true, true, true, false]
        );
        assert_eq!(
            outcome("group g 2 w1 w2\nquorum g\n"),
            [true, false, false, false]
        );
        assert_eq!(
            outcome("group a all w1\ngroup b 1 w2 a\nquorum b\n"),
            [true, true, true, false]
        );
        let verified = check(&policy_with("quorum none\n").unwrap(), &full).unwrap();
        assert_eq!(verified.quorum_time(), None);
        assert_eq!(verified.cosignatures().len(), 2);
        let policy = policy_with("quorum w1\n").unwrap();
        assert_eq!(check(&policy, &no_w1), Err(FlawKind::Quorum));
        let repeated = format!("{no_w1}{}", text(&section("checkpoint")["w2_line"]));
        assert_eq!(
            check(
                &policy_with("group g 2 w1 w2\nquorum g\n").unwrap(),
                &repeated
            ),
            Err(FlawKind::Quorum)
        );
    }

    #[test]
    fn the_log_must_have_signed_under_its_origin() {
        let full = note("checkpoint");
        let unsigned: String = full
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("— quan"))
            .collect();
        assert_eq!(check(&policy(), &unsigned), Err(FlawKind::Signature));
        let other = format!(
            "log {}\nquorum none\n",
            text(&section("spec_example_note")["vkey"])
        );
        let other = Policy::parse(other.as_bytes()).unwrap();
        assert_eq!(check(&other, &full), Err(FlawKind::Origin));
    }

    #[test]
    fn comments_blanks_and_urls_are_read_as_written() {
        let keys = list("keys");
        let (log, witness) = (text(&keys[0]["vkey"]), text(&keys[1]["vkey"]));
        let file = format!(
            "\n \t\n# 注释\n\t # indented\nlog  {log}\thttps://quan.example \n witness w {witness} https://w.example\nquorum w\n"
        );
        let policy = Policy::parse(file.as_bytes()).unwrap();
        assert_eq!(
            policy.logs()[0].url.as_deref(),
            Some("https://quan.example")
        );
        assert_eq!(
            policy.witnesses()[0].url.as_deref(),
            Some("https://w.example")
        );
        assert_eq!(policy.witnesses()[0].name, "w");
        assert!(policy.has_quorum());
    }

    #[test]
    fn a_policy_that_says_too_little_or_too_much_is_refused() {
        let keys = list("keys");
        let [log, w1] = [0, 1].map(|at: usize| text(&keys[at]["vkey"]).to_owned());
        let as_log = text(&keys[3]["vkey"]).to_owned();
        let bad = [
            "",            // no quorum
            "quorum none", // no line end
            "quorum none\r\n",
            "quorum none\nquorum none\n",
            "quorum\n",
            "quorum w1 w2\n",
            "quorum w3\n",
            "quorum g\ngroup g any w1\n", // later name
            "group g any w1\ngroup g any w2\nquorum g\n",
            "group w1 any w2\nquorum w1\n",
            "group none any w1\nquorum none\n",
            "group g any none\nquorum g\n",
            "group g any g\nquorum g\n",
            "group g any\nquorum g\n",
            "group g\nquorum w1\n",
            "group g 0 w1\nquorum g\n",
            "group g 3 w1 w2\nquorum g\n",
            "group g 01 w1 w2\nquorum g\n",
            "group g +1 w1 w2\nquorum g\n",
            "group g most w1 w2\nquorum g\n",
            "group g any w1 w1\nquorum g\n",
            "group g any w1\ngroup h any w1 g\nquorum h\n",
            "hint x\nquorum none\n",
            "log\nquorum none\n",
            "witness w3\nquorum none\n",
        ];
        let keyed = [
            format!("log {log}\nquorum none\n"),       // the same log again
            format!("witness w9 {w1}\nquorum none\n"), // the same witness again
            format!("log {as_log}\nquorum none\n"),    // a witness's key as a log's
            format!("log {w1}\nquorum none\n"),
            format!("witness w9 {log}\nquorum none\n"),
            "log junk\nquorum none\n".to_owned(),
        ];
        for lines in bad.iter().copied().chain(keyed.iter().map(String::as_str)) {
            let flaw = policy_with(lines).unwrap_err();
            assert_eq!(flaw.kind(), FlawKind::Policy, "{lines:?}");
        }
    }

    #[test]
    fn a_witness_key_of_a_logs_type_is_refused_with_the_right_one() {
        let keys = list("keys");
        let file = format!("witness w {}\nquorum w\n", text(&keys[3]["vkey"]));
        let flaw = Policy::parse(file.as_bytes()).unwrap_err();
        assert!(flaw.sentence().ends_with(text(&keys[1]["vkey"])), "{flaw}");
    }

    proptest! {
        #[test]
        fn junk_never_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            lines in "((group|quorum|witness|log|#)?[ \t](none|all|any|[0-9]|w1|w2|g)[ w12g\t]{0,9}\n){0,5}",
        ) {
            let _ = Policy::parse(&bytes);
            if let Ok(policy) = policy_with(&lines) {
                let _ = check(&policy, &note("checkpoint"));
            }
        }
    }
}
