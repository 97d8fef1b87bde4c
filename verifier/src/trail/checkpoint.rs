//! Checkpoints: origin, size and root of a log, the text of a signed note (C2SP tlog-checkpoint v1.0.0).

use super::key::Origin;
use super::note::{Note, NoteSigner};
use super::{Flaw, FlawKind, Hash, TreeSize};
use std::fmt;

/// What a log says of itself. Its text is what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: Origin,
    size: TreeSize,
    root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// States size and root of a log. We never write extension lines.
    #[must_use]
    pub const fn new(origin: Origin, size: TreeSize, root: Hash) -> Self {
        Self {
            origin,
            size,
            root,
            extensions: Vec::new(),
        }
    }

    /// Reads the text of a note.
    /// # Errors
    /// `trail.checkpoint`; `trail.root` if a tree of size 0 has another root than SHA-256 of nothing.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let checkpoint = Self::parse_any_root(text)?;
        checkpoint.check_empty()?;
        Ok(checkpoint)
    }

    /// The one thing that can be wrong between a size and a root without any other tree.
    /// # Errors
    /// `trail.root`
    pub(super) fn check_empty(&self) -> Result<(), Flaw> {
        if self.size == TreeSize::ZERO && self.root != Hash::EMPTY {
            let sentence = "the root of size 0 is not SHA-256 of nothing";
            return Err(Flaw::new(FlawKind::Root, sentence));
        }
        Ok(())
    }

    /// Reads the text of a note for a witness, whose answer to a wrong root of size 0 is another than to no checkpoint.
    /// # Errors
    /// `trail.checkpoint`
    pub(super) fn parse_any_root(text: &str) -> Result<Self, Flaw> {
        let flaw = |why| Flaw::new(FlawKind::Checkpoint, why);
        let lines = text
            .strip_suffix('\n')
            .ok_or_else(|| flaw("the last line has no line end"))?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(flaw("fewer than three lines"));
        };
        let origin = Origin::parse(origin).map_err(|flaw| {
            Flaw::new(FlawKind::Checkpoint, format!("origin: {}", flaw.sentence()))
        })?;
        let size = TreeSize::parse(size).ok_or_else(|| flaw("the size is no decimal"))?;
        let root = Hash::parse(root).ok_or_else(|| flaw("the root is not 32 bytes of base64"))?;
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(flaw("an empty line"));
        }
        Ok(Self {
            origin,
            size,
            root,
            extensions,
        })
    }

    /// Signs the checkpoint. Only a size and root already committed as signed (DESIGN §5).
    /// # Errors
    /// `trail.origin` if the key has another name than the log.
    pub fn sign(&self, signer: &NoteSigner) -> Result<Note, Flaw> {
        if signer.key().name() != &self.origin {
            let sentence = format!(
                "the key {} cannot sign for {}",
                signer.key().name(),
                self.origin
            );
            return Err(Flaw::new(FlawKind::Origin, sentence));
        }
        let text = self.to_string();
        let line = signer.sign(&text)?;
        Note::new(text, vec![line])
    }

    /// Which log.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many entries it has.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// The root of its tree.
    #[must_use]
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// Lines after the third, verbatim. They are signed, yet no witness states anything about them.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The finding to report if there are extension lines.
    #[must_use]
    pub fn extension_finding(&self) -> Option<Flaw> {
        let count = self.extensions.len();
        let sentence = format!("{count} extension lines that nobody vouches for");
        (count > 0).then(|| Flaw::new(FlawKind::Extension, sentence))
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{bytes, list, section, text};
    use super::*;
    use crate::signature::Signer;

    fn signer(name: &str) -> NoteSigner {
        let seed = bytes(&list("keys")[0]["seed"]).try_into().unwrap();
        NoteSigner::new(Origin::parse(name).unwrap(), Signer::from_seed(&seed))
    }

    #[test]
    fn the_signed_text_is_that_of_the_vectors() {
        let case = section("checkpoint");
        let checkpoint = Checkpoint::parse(text(&case["text"])).unwrap();
        let size = TreeSize::new(600).unwrap();
        let root = Hash::parse("6KgEr1lnie1PU5QuKUz+RNW+1McUDH8PX6UsDBIiMtY=").unwrap();
        let origin = Origin::parse("quan.example/shanghai").unwrap();
        assert_eq!(checkpoint, Checkpoint::new(origin, size, root));
        assert_eq!(checkpoint.to_string(), text(&case["text"]));
        let note = checkpoint.sign(&signer("quan.example/shanghai")).unwrap();
        let expected = format!("{}\n{}", text(&case["text"]), text(&case["log_line"]));
        assert_eq!(note.to_string(), expected);
        assert_eq!(checkpoint.extension_finding(), None);
    }

    #[test]
    fn a_key_of_another_name_does_not_sign() {
        let checkpoint = Checkpoint::parse(text(&section("checkpoint")["text"])).unwrap();
        let flaw = checkpoint
            .sign(&signer("quan.example/beijing"))
            .unwrap_err();
        assert_eq!(flaw.kind(), FlawKind::Origin);
    }

    #[test]
    fn extension_lines_are_kept_and_reported() {
        let case = section("checkpoint_extension");
        let checkpoint = Checkpoint::parse(text(&case["text"])).unwrap();
        assert_eq!(checkpoint.extensions(), ["ext one", "ext two"]);
        assert_eq!(checkpoint.to_string(), text(&case["text"]));
        assert_eq!(
            checkpoint.extension_finding().unwrap().code(),
            "trail.extension"
        );
    }

    #[test]
    fn a_checkpoint_in_another_spelling_is_refused() {
        let root = "6KgEr1lnie1PU5QuKUz+RNW+1McUDH8PX6UsDBIiMtY=";
        let empty = Hash::EMPTY;
        let good = |origin: &str, size: &str| format!("{origin}\n{size}\n{root}\n");
        assert!(Checkpoint::parse(&good("o", "600")).is_ok());
        assert!(Checkpoint::parse(&good("o", "9223372036854775807")).is_ok());
        assert!(Checkpoint::parse(&format!("o\n0\n{empty}\n")).is_ok());
        let bad = [
            String::new(),
            "\n".to_owned(),
            "o\n600\n".to_owned(),
            format!("o\n600\n{root}"),
            format!("o\n600\n{root}\n\n"),
            format!("o\n600\n{root}\n\next\n"),
            format!("o\n600\n{root} \n"),
            format!("o\n600\n{}\n", root.trim_end_matches('=')),
            format!("o\n600\n{}\n", root.replace("tY=", "tZ=")),
            format!("\n600\n{root}\n"),
            good("o p", "600"),
            good("o+p", "600"),
            good(&"o".repeat(256), "600"),
            good("o", ""),
            good("o", "0600"),
            good("o", "+600"),
            good("o", "-600"),
            good("o", "600 "),
            good("o", "9223372036854775808"),
        ];
        for text in bad {
            let flaw = Checkpoint::parse(&text).unwrap_err();
            assert_eq!(flaw.kind(), FlawKind::Checkpoint, "{text:?}");
        }
        assert_eq!(
            Checkpoint::parse(&good("o", "0")).unwrap_err().kind(),
            FlawKind::Root
        );
    }
}
