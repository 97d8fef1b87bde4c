//! What entries say and a book does not keep: who came when, which documents were named, what a receipt shows besides use.

use std::collections::BTreeMap;

use super::Level;
use crate::book::Book;
use crate::book::command::{CaseSubject, Command, Contract};
use crate::book::entry::Entry;
use crate::id::{CaseId, DocumentDigest, OrderId, PartyId, Sha256Hash, VoucherId};
use crate::programme::schema::EvidenceKind;
use crate::receipt::{Claims, ComputeUsage};
use crate::time::Timestamp;

/// A document that counts once: a contract, an invoice, a payment, a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What kind.
    pub kind: EvidenceKind,
    /// The hash of the document, or of its number in canonical form.
    pub hash: Sha256Hash,
    /// The entry that names it.
    pub entry: u64,
}

/// What was seen on the way.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// When the first entry was made.
    pub opened: Option<Timestamp>,
    /// The entry that admitted a party, and when.
    pub admitted: BTreeMap<PartyId, (u64, Timestamp)>,
    /// The entry that placed an order.
    pub placed: BTreeMap<OrderId, u64>,
    /// The entry that issued a voucher, and when.
    pub issued: BTreeMap<VoucherId, (u64, Timestamp)>,
    /// The documents, in the order of their entries.
    pub documents: Vec<Document>,
    /// The level of usage receipts above L0, by entry.
    pub levels: BTreeMap<u64, Level>,
    /// The devices that a usage receipt names, by entry.
    pub devices: BTreeMap<u64, DocumentDigest>,
    /// The utilisation that a usage receipt states, in basis points, by entry.
    pub utilisation: BTreeMap<u64, u16>,
}

impl Seen {
    /// The level of a usage receipt by its entry.
    #[must_use]
    pub fn level(&self, entry: u64) -> Level {
        self.levels.get(&entry).copied().unwrap_or(Level::L0)
    }

    /// Takes in an entry that was just applied.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a book keeps all others")]
    pub(super) fn take(&mut self, book: &Book, entry: &Entry) {
        let (seq, at) = (entry.seq, entry.at);
        self.opened.get_or_insert(at);
        match &entry.asked {
            Command::OpenExchange(_) | Command::AdmitParty(_) => {
                let party = entry.found.party;
                self.admitted.extend(party.map(|party| (party, (seq, at))));
            }
            Command::IssueVoucher(asked) => self.issue(entry, asked.contract.as_ref()),
            Command::DecideCase(asked) => self.issue(entry, applied_for(book, asked.case)),
            Command::PlaceOrder(asked) => {
                self.placed.extend(entry.found.order.map(|id| (id, seq)));
                self.contract(seq, asked.contract.as_ref());
            }
            Command::RecordEvidence(asked) => {
                let hashes = [Some(*asked.digest.hash()), asked.number];
                self.document(seq, asked.kind, hashes);
            }
            Command::AcceptReceipt(asked) => {
                if let Claims::Usage(usage) = asked.jws.receipt().claims() {
                    self.usage(seq, usage);
                }
            }
            _ => {}
        }
    }

    fn issue(&mut self, entry: &Entry, contract: Option<&Contract>) {
        if let Some(voucher) = entry.found.voucher {
            self.issued.insert(voucher, (entry.seq, entry.at));
            self.contract(entry.seq, contract);
        }
    }

    fn contract(&mut self, entry: u64, contract: Option<&Contract>) {
        if let Some(contract) = contract {
            let hashes = [Some(*contract.digest.hash()), contract.number];
            self.document(entry, EvidenceKind::Contract, hashes);
        }
    }

    fn document(&mut self, entry: u64, kind: EvidenceKind, hashes: [Option<Sha256Hash>; 2]) {
        let counts_once = matches!(
            kind,
            EvidenceKind::Contract
                | EvidenceKind::Invoice
                | EvidenceKind::Payment
                | EvidenceKind::Certificate
        );
        let hashes = hashes.into_iter().flatten().filter(|_| counts_once);
        self.documents
            .extend(hashes.map(|hash| Document { kind, hash, entry }));
    }

    fn usage(&mut self, entry: u64, usage: &ComputeUsage) {
        let level = Level::of(usage);
        if level > Level::L0 {
            self.levels.insert(entry, level);
        }
        self.devices.extend(usage.devices.map(|all| (entry, all)));
        let stated = usage.util_bp.map(|bp| (entry, bp.get()));
        self.utilisation.extend(stated);
    }
}

/// The contract of the application that a case is.
fn applied_for(book: &Book, case: CaseId) -> Option<&Contract> {
    match &book.cases.get(&case)?.subject {
        CaseSubject::Application { contract, .. } => contract.as_ref(),
        CaseSubject::Redemption { .. }
        | CaseSubject::Compromise { .. }
        | CaseSubject::Recovery { .. } => None,
    }
}
