//! huggingface_hub and datasets, with a key of ours as their token: what they say before a purchase, and what they load after it.

use std::fs;
use std::path::Path;

use crate::examples::shop::Shop;
use crate::support::{Database, Foreign};

#[test]
fn a_dataset_loads_by_hugging_faces_libraries_once_it_is_bought() {
    let made = tempfile::tempdir().unwrap();
    hf(&["make"], made.path()).succeeds();
    let mut files = Vec::new();
    collect(made.path(), made.path(), &mut files);
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, bytes)| (&**path, &**bytes))
        .collect();
    let mut shop = Shop::stocked(&Database::sqlite(), &files);
    let endpoint = format!("http://{}", shop.stage.exchange.address());
    let token = shop.stage.buyer.client.token();
    let step = |step: &str| {
        hf(&[step], made.path())
            .env("HF_ENDPOINT", &endpoint)
            .env("HF_TOKEN", &token)
            .env("QUAN_REPO", "corpus/lines")
    };
    step("before").succeeds();
    shop.order();
    step("after").succeeds();
    // All of it has gone out: the exchange has signed that.
    let delivered = shop.settled(shop.manifest.bytes());
    assert_eq!(delivered["state"], "delivered", "{delivered}");
}

fn hf(step: &[&str], folder: &Path) -> Foreign {
    Foreign::script("hf.py").args(step).args([folder])
}

/// All files below a folder, by their paths in it.
fn collect(root: &Path, folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            collect(root, &path, into);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            into.push((name.to_owned(), fs::read(&path).unwrap()));
        }
    }
}
