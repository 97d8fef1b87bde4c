//! The log as an auditor sees it: every entry decided again on a book of its own, and the bytes compared.

use server::store::{Db, log};
use verifier::book::Book;
use verifier::book::decide::decide_again;
use verifier::book::entry::Entry;
use verifier::trail::tree::{Frontier, leaf_hash};

/// Decides the whole log again, compares entries and head, and returns them with the book they lead to.
pub(crate) fn audit(db: &mut Db) -> (Vec<Entry>, Book) {
    let head = log::head(db).unwrap();
    let (mut book, mut edge, mut entries) = (Book::new(), Frontier::empty(), Vec::new());
    while book.size < head.size {
        for stored in log::entries(db, book.size..head.size).unwrap() {
            let entry = Entry::parse(&stored.bytes).unwrap();
            let again = decide_again(&book, &entry).unwrap().to_bytes().unwrap();
            assert_eq!(
                String::from_utf8(again),
                String::from_utf8(stored.bytes.to_vec())
            );
            book.apply(&entry).unwrap();
            edge.append(leaf_hash(&stored.bytes));
            entries.push(entry);
        }
    }
    assert_eq!(edge.root().as_bytes(), &head.root);
    assert_eq!(edge.to_bytes(), head.edge);
    (entries, book)
}
