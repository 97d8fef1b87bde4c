//! Checkpoints: origin, size and root of a log, the text of a signed note (C2SP tlog-checkpoint v1.0.0).

use super::note::{Note, NoteSigner, Origin};
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
        if size == TreeSize::ZERO && root != Hash::EMPTY {
            let sentence = "the root of size 0 is not SHA-256 of nothing";
            return Err(Flaw::new(FlawKind::Root, sentence));
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
