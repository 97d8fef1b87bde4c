//! The spool: a folder a provider keeps, which makes metering repeatable.
//!
//! `<order>/receipts.json` holds the receipts, `<order>/outbox` the signed bytes of those without an answer,
//! `<order>/runs.json` the runs, `<order>/sent` an archive of the accepted receipts. Files are replaced whole: written
//! aside, synced, renamed; the outbox may also grow, and of two lines with one index the later counts.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use verifier::id::OrderId;

use super::chain::Chain;
use super::fault::Fault;
use super::intake::OrderBook;
use crate::faults::Faults;

/// The spool of one provider, in memory, and the lock on its folder.
pub struct Spool {
    folder: PathBuf,
    /// What is known, by order.
    pub books: BTreeMap<OrderId, OrderBook>,
    /// Where a test makes the meter die.
    pub(super) faults: Faults,
    /// Held until the meter ends; `None` where it only looks.
    _lock: Option<File>,
}

impl Spool {
    /// Opens a spool to work in it; makes it if there is none.
    /// # Errors
    /// [`Fault::Locked`], [`Fault::File`], [`Fault::Spool`]
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        let fault = |error| Fault::File(folder.to_owned(), error);
        fs::create_dir_all(folder).map_err(fault)?;
        let lock = File::create(folder.join("lock")).map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Fault::Locked(folder.to_owned())),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        Ok(Self {
            _lock: Some(lock),
            ..Self::look(folder)?
        })
    }

    /// Reads a spool without touching it.
    /// # Errors
    /// [`Fault::File`], [`Fault::Spool`]
    pub fn look(folder: &Path) -> Result<Self, Fault> {
        let fault = |error| Fault::File(folder.to_owned(), error);
        let mut books = BTreeMap::new();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(fault(error)),
        };
        for entry in entries.into_iter().flatten() {
            let path = entry.map_err(fault)?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if let Ok(order) = OrderId::parse(name) {
                books.insert(order, load(&path)?);
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            books,
            faults: Faults::none(),
            _lock: None,
        })
    }

    /// Keeps what was planned and signed for an order.
    /// # Errors
    /// [`Fault::File`]
    pub fn keep(&self, order: OrderId) -> Result<(), Fault> {
        let Some(book) = self.books.get(&order) else {
            return Ok(());
        };
        // DURABLE: bytes, receipts, runs. Killed before the last, the next meter finds the runs new, plans the same hours,
        // and nothing is missing there.
        self.keep_signed(order)?;
        self.replace(order, "runs.json", &serde_json::to_vec(&book.runs)?)
    }

    /// Keeps signed bytes, new or signed again, and the receipts.
    /// # Errors
    /// [`Fault::File`]
    pub fn keep_signed(&self, order: OrderId) -> Result<(), Fault> {
        let Some(book) = self.books.get(&order) else {
            return Ok(());
        };
        let lines: String = book
            .chain
            .outbox
            .iter()
            .map(|(n, jws)| format!("{n} {jws}\n"))
            .collect();
        // DURABLE: bytes before the receipts that count them. Killed in between, `load` drops bytes that no receipt
        // counts, and takes the numbers of those that were signed again from the bytes.
        self.replace(order, "outbox", lines.as_bytes())?;
        self.keep_receipts(order)
    }

    /// Adds bytes that were signed again to the outbox.
    /// # Errors
    /// [`Fault::File`]
    pub fn append_signed(&self, order: OrderId, lines: &[(usize, String)]) -> Result<(), Fault> {
        let lines: String = lines
            .iter()
            .map(|(index, jws)| format!("{index} {jws}\n"))
            .collect();
        self.append(order, "outbox", &lines)
    }

    /// Keeps what became of the receipts of an order; the bytes of accepted ones may stay in the outbox until later.
    /// # Errors
    /// [`Fault::File`]
    pub fn keep_receipts(&self, order: OrderId) -> Result<(), Fault> {
        let Some(book) = self.books.get(&order) else {
            return Ok(());
        };
        self.replace(order, "receipts.json", &serde_json::to_vec(&book.chain)?)
    }

    /// Adds accepted receipts to the archive of an order. It is for people: nothing reads it back.
    /// # Errors
    /// [`Fault::File`]
    pub fn archive(&self, order: OrderId, jws: &[String]) -> Result<(), Fault> {
        let lines: String = jws.iter().map(|jws| format!("{jws}\n")).collect();
        self.append(order, "sent", &lines)
    }

    fn append(&self, order: OrderId, name: &'static str, lines: &str) -> Result<(), Fault> {
        if lines.is_empty() {
            return Ok(());
        }
        let path = self.order_folder(order)?.join(name);
        let write = || {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            // What a kill cut off must not run into the next line.
            file.write_all(format!("\n{lines}").as_bytes())?;
            file.sync_data()
        };
        let done = || write().map_err(|error: io::Error| Fault::File(path.clone(), error));
        self.faults.around(name, done)
    }

    /// Replaces a file whole: after a crash it is the old one or the new one.
    fn replace(&self, order: OrderId, name: &'static str, bytes: &[u8]) -> Result<(), Fault> {
        let folder = self.order_folder(order)?;
        let (path, aside) = (folder.join(name), folder.join(format!("{name}.new")));
        let write = || {
            let mut file = File::create(&aside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            File::open(&folder)?.sync_all()
        };
        let done = || write().map_err(|error: io::Error| Fault::File(path.clone(), error));
        self.faults.around(name, done)
    }

    fn order_folder(&self, order: OrderId) -> Result<PathBuf, Fault> {
        let path = self.folder.join(order.to_string());
        fs::create_dir_all(&path).map_err(|error| Fault::File(path.clone(), error))?;
        Ok(path)
    }
}

fn load(folder: &Path) -> Result<OrderBook, Fault> {
    let mut chain: Chain = json(&folder.join("receipts.json"))?;
    let path = folder.join("outbox");
    for line in text(&path)?.lines() {
        // A line that a kill cut off is passed over: what it was to replace stands before it.
        if let Some((index, jws)) = line
            .split_once(' ')
            .and_then(|(n, jws)| Some((n.parse().ok()?, jws)))
        {
            chain.wait(index, jws);
        }
    }
    if !chain.is_whole() {
        return Err(Fault::Spool(path, "a signed receipt is missing".to_owned()));
    }
    Ok(OrderBook {
        runs: json(&folder.join("runs.json"))?,
        chain,
        ..OrderBook::default()
    })
}

fn json<T: DeserializeOwned + Default>(path: &Path) -> Result<T, Fault> {
    let text = text(path)?;
    if text.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(&text).map_err(|error| Fault::Spool(path.to_owned(), error.to_string()))
}

/// A file that is not there yet is empty.
fn text(path: &Path) -> Result<String, Fault> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Fault::File(path.to_owned(), error)),
    }
}
