//! A log that goes on from another one (TRAIL E8): its first entries are those of the old log, as far as the exchange still had them.
//!
//! That they are is proven against the last checkpoint of the old log: from this log's own tiles where that is not larger, else
//! by the proof in the entry, or by the old trail itself ([`hold_to`]).

use serde::Serialize;

use super::{Difference, Files, Place, Report, Verdict};
use crate::book::command::ContinueTrail;
use crate::trail::checkpoint::Checkpoint;
use crate::trail::growth::Growth;
use crate::trail::note::Note;
use crate::trail::tile::{TILE_BYTES, TilePath, Tiles, WIDTH_FULL};
use crate::trail::tree::verify_consistency;
use crate::trail::{Flaw, FlawKind, Hash, TreeSize};

/// A tree: its size and root.
type Tree = (TreeSize, Hash);

/// Where a log goes on from another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Continued {
    /// The entry that says so: those before it are the old log's.
    pub at: u64,
    /// The old log.
    pub from: String,
    /// The size of its last checkpoint that the exchange knows.
    pub size: u64,
    /// The root of that.
    pub root: String,
    /// How many entries under that checkpoint are not here: they were lost, and no book has them.
    pub lost: u64,
    /// Whether it is proven that the entries before this one are the old log's first ones.
    pub is_proven: bool,
}

/// Why a tree cannot be compared.
enum Stop<E> {
    Fault(E),
    Flaw(Flaw),
}

impl<E> From<Flaw> for Stop<E> {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

/// Checks what an entry says of the old log, against the tree that holds it.
pub(super) fn check<F: Files>(
    files: &mut F,
    tree: Tree,
    (at, asked): (u64, &ContinueTrail),
) -> Result<(Option<Continued>, Option<Difference>), F::Fault> {
    let Ok(old) = read(asked) else {
        // Refused where the entry is decided again.
        return Ok((None, None));
    };
    let (size, root) = (old.size(), old.root());
    let mut continued = Continued {
        at,
        from: old.origin().to_string(),
        size: size.get(),
        root: root.to_string(),
        lost: size.get().saturating_sub(at),
        is_proven: false,
    };
    let compared = if continued.lost == 0 {
        is_prefix(files, (size, root), tree)
    } else if let Some(proof) = &asked.consistency {
        let proof: Option<Vec<Hash>> = proof.iter().map(|hash| Hash::parse(hash)).collect();
        let here = tree_at(files, at, tree);
        here.and_then(|here| {
            Ok(verify_consistency(
                here,
                (size, root),
                &proof.unwrap_or_default(),
            )?)
        })
    } else {
        Err(unproven(size).into())
    };
    let difference = match compared {
        Ok(()) => None,
        Err(Stop::Flaw(flaw)) => Some(differs(&continued, &flaw)),
        Err(Stop::Fault(fault)) => return Err(fault),
    };
    continued.is_proven = difference.is_none();
    Ok((Some(continued), difference))
}

/// Holds a log to the trail that it goes on from, both of them audited; `is_declared` says whether what is withheld was declared.
/// # Errors
/// A file that is there and cannot be read; a difference is no error.
pub fn hold_to<F: Files, G: Files<Fault = F::Fault>>(
    (files, report): (&mut F, &mut Report),
    (old_files, old): (&mut G, &Report),
    is_declared: bool,
) -> Result<(), F::Fault> {
    let from = old.origin.as_deref().unwrap_or_default();
    let found = report.continued.iter_mut().find(|one| one.from == from);
    let (tree, old_tree) = (
        report_tree(report.size, report.root.as_deref()),
        report_tree(old.size, old.root.as_deref()),
    );
    let (Some(continued), Some(tree), Some(old_tree)) = (found, tree, old_tree) else {
        let flaw = Flaw::new(FlawKind::Origin, format!("no entry goes on from {from:?}"));
        report.differences.push(Difference::of(
            Place::File(super::CHECKPOINT.to_owned()),
            "a log that goes on from the one given by --continues",
            &flaw,
        ));
        report.verdict = Verdict::Differ;
        return Ok(());
    };
    let compared = compare((files, tree), (old_files, old, old_tree), continued);
    let difference = match compared {
        Ok(()) => None,
        Err(Stop::Flaw(flaw)) => Some(differs(continued, &flaw)),
        Err(Stop::Fault(fault)) => return Err(fault),
    };
    continued.is_proven = difference.is_none();
    let (at, lost) = (Place::Entry(continued.at), continued.lost);
    // The old trail says more than the entry could: what is told of that now counts.
    report
        .differences
        .retain(|told| told.at != at || told.code != FlawKind::Past.as_str());
    if difference.is_none() {
        report.notes.push(format!(
            "held to the whole trail of {from}: its first {} entries are here, {lost} are lost",
            old_tree.0.get().saturating_sub(lost).min(continued.at)
        ));
    }
    report.differences.extend(difference);
    report.verdict = if !report.differences.is_empty() {
        Verdict::Differ
    } else if report.withheld > 0 && !is_declared {
        Verdict::Withheld
    } else {
        Verdict::Agree
    };
    Ok(())
}

fn compare<F: Files, G: Files<Fault = F::Fault>>(
    (files, tree): (&mut F, Tree),
    (old_files, old, old_tree): (&mut G, &Report, Tree),
    continued: &Continued,
) -> Result<(), Stop<F::Fault>> {
    if let Some(difference) = old.differences.first() {
        let sentence = format!(
            "the old trail itself differs at {}: audit it",
            difference.at
        );
        return Err(Flaw::new(FlawKind::Past, sentence).into());
    }
    let named = TreeSize::new(continued.size).zip(Hash::parse(&continued.root));
    let named = named.ok_or_else(|| unproven(TreeSize::ZERO))?;
    if old_tree.0 < named.0 {
        return Err(unproven(named.0).into());
    }
    is_prefix(old_files, named, old_tree)?;
    if old_tree.0 > named.0 {
        let sentence = format!(
            "it has shown one of {}: entries behind it are kept from this log in silence",
            old_tree.0
        );
        return Err(Flaw::new(FlawKind::Rollback, sentence).into());
    }
    if continued.lost == 0 {
        return is_prefix(files, named, tree);
    }
    let here = tree_at(files, continued.at, tree)?;
    is_prefix(old_files, here, old_tree)
}

fn report_tree(size: Option<u64>, root: Option<&str>) -> Option<Tree> {
    TreeSize::new(size?).zip(Hash::parse(root?))
}

/// The checkpoint that the entry names.
fn read(asked: &ContinueTrail) -> Result<Checkpoint, Flaw> {
    Checkpoint::parse(Note::parse(asked.checkpoint.as_bytes())?.text())
}

fn unproven(size: TreeSize) -> Flaw {
    let sentence = format!(
        "nothing here shows it: give the old trail, of at least {size} entries, by --continues"
    );
    Flaw::new(FlawKind::Past, sentence)
}

fn differs(continued: &Continued, flaw: &Flaw) -> Difference {
    let Continued { at, from, size, .. } = continued;
    let kept = at.min(size);
    let expected =
        format!("the first {kept} entries of {from}, whose last checkpoint is of {size}");
    // Two trees under one name: what that is called everywhere else.
    let is_fork = [FlawKind::Root, FlawKind::Proof].contains(&flaw.kind());
    let flaw = if is_fork {
        Flaw::new(FlawKind::Fork, flaw.sentence())
    } else {
        flaw.clone()
    };
    Difference::of(Place::Entry(*at), &expected, &flaw)
}

/// Whether a tree is a prefix of the one in these files.
fn is_prefix<F: Files>(files: &mut F, old: Tree, new: Tree) -> Result<(), Stop<F::Fault>> {
    let proof = Tiles::new(new.0, |path| tile(files, path)).prove_consistency(old.0)?;
    Ok(verify_consistency(old, new, &proof)?)
}

/// The tree over the first entries of the one in these files.
fn tree_at<F: Files>(files: &mut F, size: u64, new: Tree) -> Result<Tree, Stop<F::Fault>> {
    let size = TreeSize::new(size).unwrap_or(TreeSize::ZERO);
    let root = Growth::resume(size, |path| tile(files, path))?.root();
    is_prefix(files, (size, root), new)?;
    Ok((size, root))
}

/// A tile, or the widest one of its place: partial ones may be collected once the full one is there.
fn tile<F: Files>(files: &mut F, path: TilePath) -> Result<Vec<u8>, Stop<F::Fault>> {
    for width in path.width()..=WIDTH_FULL {
        let Some(path) = TilePath::new(path.level(), path.number(), width) else {
            continue;
        };
        let read = files.read(&path.to_string(), TILE_BYTES);
        if let Some(bytes) = read.map_err(Stop::Fault)? {
            return Ok(bytes);
        }
    }
    Err(Flaw::new(FlawKind::Tile, format!("{path} is missing")).into())
}
