//! The bodies of the Hugging Face hub's API, as huggingface_hub 2.4 reads them. Pure; [`super`] asks.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use verifier::dataset::FileLine;
use verifier::id::{DocumentDigest, hex};
use verifier::time::Timestamp;

use crate::dataset::version;

/// Items of one page of a tree.
pub(super) const TREE_PAGE: usize = 1_000;
/// A commit's name has 40 digits on the hub: the first of the manifest's digest.
const COMMIT_DIGITS: usize = 40;

/// One revision of a repository.
#[derive(Debug)]
pub(super) struct Repository<'a> {
    /// `handle/name`
    pub(super) id: &'a str,
    /// The version.
    pub(super) manifest: DocumentDigest,
    /// When its listing changed last.
    pub(super) changed: Timestamp,
    /// The paths of its files, with what is made beside them.
    pub(super) paths: Vec<&'a str>,
}

fn short(digits: &str) -> String {
    digits.chars().take(COMMIT_DIGITS).collect()
}

/// `GET /api/datasets/{handle}/{name}`
pub(super) fn info(repository: &Repository<'_>) -> Value {
    let author = repository.id.split('/').next().unwrap_or_default();
    let changed = hub_time(repository.changed);
    let siblings = repository.paths.iter();
    let siblings: Vec<Value> = siblings.map(|path| json!({ "rfilename": path })).collect();
    json!({
        "_id": short(&hex(&Sha256::digest(repository.id))), "id": repository.id, "author": author,
        "sha": version::commit(repository.manifest), "private": false, "gated": "manual", "disabled": false,
        "tags": [], "siblings": siblings, "lastModified": changed, "createdAt": changed,
        "downloads": 0, "likes": 0,
    })
}

/// RFC 3339 with the thousandths that the hub's clients insist on.
fn hub_time(at: Timestamp) -> String {
    at.to_string().replace('Z', ".000Z")
}

/// Which part of a tree.
#[derive(Debug)]
pub(super) struct Branch<'a> {
    /// The folder, without a slash at its ends; empty is the root.
    pub(super) folder: &'a str,
    /// Whether to go down.
    pub(super) depth: Depth,
    /// The path after which the page begins.
    pub(super) after: Option<&'a str>,
}

/// How far down a tree is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Only what lies in the folder itself.
    Folder,
    /// All below it.
    All,
}

/// `GET /api/datasets/{handle}/{name}/tree/{rev}/{folder}`: a page, and where the next begins. None where there is no such folder.
pub(super) fn tree(
    files: &[FileLine],
    branch: &Branch<'_>,
) -> Option<(Vec<Value>, Option<String>)> {
    let mut items: BTreeMap<String, Value> = BTreeMap::new();
    for file in files {
        let Some(inside) = inside(&file.path, branch.folder) else {
            continue;
        };
        let base = file.path.len().saturating_sub(inside.len());
        for (at, _) in inside.match_indices('/') {
            let (folder, _) = file.path.split_at_checked(base.saturating_add(at))?;
            items.insert(folder.to_owned(), a_folder(folder));
            if branch.depth == Depth::Folder {
                break;
            }
        }
        if branch.depth == Depth::All || !inside.contains('/') {
            items.insert(file.path.clone(), a_file(file));
        }
    }
    if items.is_empty() && !branch.folder.is_empty() {
        return None;
    }
    let rest = items.into_iter();
    let rest = rest.filter(|(path, _)| branch.after.is_none_or(|after| path.as_str() > after));
    let mut page: Vec<(String, Value)> = rest.take(TREE_PAGE.saturating_add(1)).collect();
    let more = page.len() > TREE_PAGE;
    page.truncate(TREE_PAGE);
    let next = page.last().filter(|_| more).map(|(path, _)| path.clone());
    Some((page.into_iter().map(|(_, item)| item).collect(), next))
}

/// A path below its folder.
fn inside<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder)?.strip_prefix('/')
}

fn a_file(file: &FileLine) -> Value {
    let oid = short(&hex(&file.sha256));
    json!({ "type": "file", "oid": oid, "size": file.bytes, "path": file.path })
}

fn a_folder(path: &str) -> Value {
    let oid = short(&hex(&Sha256::digest(path)));
    json!({ "type": "directory", "oid": oid, "size": 0, "path": path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Vec<FileLine> {
        let file = |path: &&str| FileLine {
            path: (*path).to_owned(),
            sha256: Sha256::digest(path).into(),
            bytes: path.len() as u64,
        };
        paths.iter().map(file).collect()
    }

    fn paths(files: &[FileLine], folder: &str, depth: Depth) -> Option<Vec<String>> {
        let branch = Branch {
            folder,
            depth,
            after: None,
        };
        let (items, _) = tree(files, &branch)?;
        let path = |item: &Value| item["path"].as_str().unwrap().to_owned();
        Some(items.iter().map(path).collect())
    }

    #[test]
    fn a_repository_is_described_as_the_hub_does() {
        let info = info(&Repository {
            id: "h/n",
            manifest: DocumentDigest::of(b"m"),
            changed: Timestamp::new(0).unwrap(),
            paths: vec!["a.csv", "b/c.csv"],
        });
        assert_eq!(info["id"], "h/n");
        assert_eq!(info["author"], "h");
        assert_eq!(info["sha"].as_str().unwrap().len(), 40);
        assert_eq!(info["lastModified"], "1970-01-01T00:00:00.000Z");
        assert_eq!(info["siblings"][1]["rfilename"], "b/c.csv");
    }

    #[test]
    fn a_tree_is_listed_by_folder_or_whole() {
        let files = files(&["a.csv", "b/c.csv", "b/d/e.csv", "bc/f.csv"]);
        let at = |folder, depth| paths(&files, folder, depth);
        assert_eq!(at("", Depth::Folder).unwrap(), ["a.csv", "b", "bc"]);
        let all = [
            "a.csv",
            "b",
            "b/c.csv",
            "b/d",
            "b/d/e.csv",
            "bc",
            "bc/f.csv",
        ];
        assert_eq!(at("", Depth::All).unwrap(), all);
        assert_eq!(at("b", Depth::Folder).unwrap(), ["b/c.csv", "b/d"]);
        assert_eq!(
            at("b", Depth::All).unwrap(),
            ["b/c.csv", "b/d", "b/d/e.csv"]
        );
        for none in ["c", "a.csv", "b/c.csv", "b/"] {
            assert_eq!(at(none, Depth::All), None, "{none}");
        }
        assert_eq!(paths(&[], "", Depth::All).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_long_tree_has_pages() {
        let names: Vec<String> = (0..1_500).map(|n| format!("数/{n:04}")).collect();
        let files = files(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let branch = |after| Branch {
            folder: "数",
            depth: Depth::All,
            after,
        };
        let (first, next) = tree(&files, &branch(None)).unwrap();
        assert_eq!(first.len(), TREE_PAGE);
        let (second, none) = tree(&files, &branch(next.as_deref())).unwrap();
        assert_eq!((second.len(), none), (500, None));
        assert_eq!(second[0]["path"], "数/1000");
    }
}
