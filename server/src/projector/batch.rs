//! What a batch of entries does to the rows: each row is read once, changed in memory, written once.

use std::collections::{BTreeMap, BTreeSet};

use verifier::book::command::{CaseSubject, Command, PlaceOrder};
use verifier::book::entry::Entry;
use verifier::id::{CaseId, OrderId, PartyId, ProgrammeId, VoucherId};
use verifier::ledger::Account;
use verifier::money::Fen;

use super::objects;
use crate::store::project::{
    self, BalanceRow, CaseRow, EntryRow, LinkRow, OrderRow, Rows, VoucherRow,
};
use crate::store::{Db, StoreFault};

/// Rows under change, by key.
#[derive(Debug, Default)]
pub(super) struct Batch {
    entries: Vec<EntryRow>,
    links: Vec<LinkRow>,
    balances: BTreeMap<Account, BalanceRow>,
    orders: BTreeMap<String, OrderRow>,
    vouchers: BTreeMap<String, VoucherRow>,
    cases: BTreeMap<String, CaseRow>,
}

/// An entry with the objects that it names.
pub(super) struct Named {
    pub(super) entry: Entry,
    pub(super) objects: BTreeSet<String>,
}

impl Batch {
    /// Reads the rows that these entries may change and that are not here yet.
    pub(super) fn load(&mut self, tx: &mut Db, entries: &[Named]) -> Result<(), StoreFault> {
        let named: BTreeSet<&String> = entries.iter().flat_map(|named| &named.objects).collect();
        let wanted = |prefix: &str, here: &dyn Fn(&String) -> bool| -> Vec<String> {
            let of_kind = named.iter().filter(|object| {
                let rest = object.strip_prefix(prefix);
                rest.is_some_and(|rest| rest.starts_with('-') && !rest.contains('.'))
            });
            let absent = of_kind.filter(|object| !here(object));
            absent.map(|object| (*object).clone()).collect()
        };
        let orders = wanted(OrderId::PREFIX, &|id| self.orders.contains_key(id));
        let vouchers = wanted(VoucherId::PREFIX, &|id| self.vouchers.contains_key(id));
        let cases = wanted(CaseId::PREFIX, &|id| self.cases.contains_key(id));
        let rows = project::orders(tx, &orders)?.into_iter();
        self.orders.extend(rows.map(|row| (row.id.clone(), row)));
        let rows = project::vouchers(tx, &vouchers)?.into_iter();
        self.vouchers.extend(rows.map(|row| (row.id.clone(), row)));
        let rows = project::cases(tx, &cases)?.into_iter();
        self.cases.extend(rows.map(|row| (row.id.clone(), row)));
        Ok(())
    }

    /// Changes the rows as the next entry says.
    pub(super) fn take(&mut self, named: Named) -> Result<(), StoreFault> {
        let Named { entry, objects } = named;
        let seq = number(entry.seq)?;
        self.state(&entry, seq)?;
        self.post(&entry)?;
        for object in &objects {
            if let Some(row) = self.orders.get_mut(object) {
                row.last_seq = seq;
            }
            if let Some(row) = self.vouchers.get_mut(object) {
                row.last_seq = seq;
            }
        }
        self.entry_row(&entry, seq, objects);
        Ok(())
    }

    /// What is to be written, sorted by key.
    pub(super) fn rows(mut self) -> Rows {
        // Each once already: an entry names an object once.
        self.links.sort_unstable();
        Rows {
            entries: self.entries,
            links: self.links,
            balances: self.balances.into_values().collect(),
            orders: self.orders.into_values().collect(),
            vouchers: self.vouchers.into_values().collect(),
            cases: self.cases.into_values().collect(),
        }
    }

    /// Both sides of an order, the holder of a voucher and the party of a case find what concerns these, also where an entry
    /// names no party (the rule of `http/entry.rs`).
    fn entry_row(&mut self, entry: &Entry, seq: i64, mut objects: BTreeSet<String>) {
        let named = objects.iter().filter_map(|object| self.orders.get(object));
        let orders: Vec<&OrderRow> = named.collect();
        let only_order = match orders.as_slice() {
            [order] => Some(order.id.clone()),
            _ => None,
        };
        let sides = orders
            .into_iter()
            .flat_map(|order| [&order.buyer, &order.seller]);
        let vouchers = objects.iter().filter_map(|id| self.vouchers.get(id));
        let cases = objects.iter().filter_map(|id| self.cases.get(id));
        let parties = sides
            .chain(vouchers.map(|voucher| &voucher.holder))
            .chain(cases.map(|case| &case.party));
        let parties: Vec<String> = parties
            .filter(|party| !objects.contains(*party))
            .cloned()
            .collect();
        objects.extend(parties);
        let receipt = objects::receipt(entry);
        let link = receipt.and_then(|receipt| receipt.claims().link());
        let order = entry.found.order.or_else(|| link.map(|link| link.sub));
        self.entries.push(EntryRow {
            seq,
            at: entry.at.unix(),
            kind: entry.asked.kind().as_str().to_owned(),
            party: entry.by.to_string(),
            order_id: order.map(|order| order.to_string()).or(only_order),
            receipt: link.map(|link| link.jti.to_string()),
        });
        let links = objects.into_iter().map(|object| LinkRow { object, seq });
        self.links.extend(links);
    }

    fn post(&mut self, entry: &Entry) -> Result<(), StoreFault> {
        for (account, fen) in entry.postings.legs() {
            match account {
                Account::Hold(order, ..) => self.order(*order)?.held_fen += fen.get(),
                Account::Voucher(voucher, _) => self.voucher(*voucher)?.free_fen += fen.get(),
                Account::Advance(..)
                | Account::Disputed(..)
                | Account::Earned(..)
                | Account::Fund(_)
                | Account::Owed(..)
                | Account::Paid(..)
                | Account::Payable(..)
                | Account::Transit(..)
                | Account::Treasury(..) => {}
            }
            self.balance(account, *fen);
        }
        Ok(())
    }

    fn balance(&mut self, account: &Account, fen: Fen) {
        if let Some(row) = self.balances.get_mut(account) {
            row.fen += fen.get();
            return;
        }
        let name = account.to_string();
        let row = BalanceRow {
            class: account.class().to_owned(),
            account: name,
            fund: account.fund().to_string(),
            party: account.party().map(|party| party.to_string()),
            fen: fen.get(),
        };
        self.balances.insert(account.clone(), row);
    }

    fn order(&mut self, id: OrderId) -> Result<&mut OrderRow, StoreFault> {
        let row = self.orders.get_mut(&id.to_string());
        row.ok_or_else(|| missing(&id))
    }

    fn voucher(&mut self, id: VoucherId) -> Result<&mut VoucherRow, StoreFault> {
        let row = self.vouchers.get_mut(&id.to_string());
        row.ok_or_else(|| missing(&id))
    }

    fn case(&mut self, id: CaseId) -> Result<&mut CaseRow, StoreFault> {
        let row = self.cases.get_mut(&id.to_string());
        row.ok_or_else(|| missing(&id))
    }

    /// The states that lists show: orders, vouchers, cases.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other command changes no state that a list shows"
    )]
    fn state(&mut self, entry: &Entry, seq: i64) -> Result<(), StoreFault> {
        match &entry.asked {
            Command::PlaceOrder(asked) => self.place(entry, asked, seq)?,
            Command::CancelOrder(asked) => self.end_order(entry, asked.order, "cancelled")?,
            Command::CloseOrder(asked) => self.end_order(entry, asked.order, "closed")?,
            Command::ExpireOrder(asked) => self.end_order(entry, asked.order, "expired")?,
            Command::AcceptReceipt(asked) => {
                if let Some(link) = asked.jws.receipt().claims().link() {
                    self.order(link.sub)?.receipts += 1;
                }
            }
            Command::IssueVoucher(asked) => {
                self.issue(entry, &asked.programme, asked.holder, seq)?;
            }
            Command::ExpireVoucher(asked) => {
                self.voucher(asked.voucher)?.ended_at = Some(entry.at.unix());
            }
            Command::RevokeVoucher(asked) => {
                self.voucher(asked.voucher)?.ended_at = Some(entry.at.unix());
            }
            Command::RevokeKey(_) => self.revoke(entry, seq),
            Command::OpenCase(asked) => self.open_case(entry, &asked.subject, seq)?,
            Command::DecideCase(asked) => {
                let standing = if asked.approved { "approved" } else { "denied" };
                self.decide_case(entry, asked.case, standing, seq)?;
            }
            Command::WithdrawCase(asked) => {
                let case = self.case(asked.case)?;
                case.standing = "withdrawn".to_owned();
                case.ended_at = Some(entry.at.unix());
            }
            _ => {}
        }
        Ok(())
    }

    fn place(&mut self, entry: &Entry, asked: &PlaceOrder, seq: i64) -> Result<(), StoreFault> {
        let id = entry.found.order.ok_or_else(|| silent(seq, "order"))?;
        // An order is of one scheme: `decide` refuses a mixture.
        let data = asked
            .segments
            .iter()
            .any(|segment| segment.dataset.is_some());
        let row = OrderRow {
            id: id.to_string(),
            placed_seq: seq,
            placed_at: entry.at.unix(),
            buyer: entry.by.to_string(),
            seller: asked.seller.to_string(),
            scheme: if data { "data" } else { "compute" }.to_owned(),
            standing: "open".to_owned(),
            ended_at: None,
            held_fen: 0,
            receipts: 0,
            last_seq: seq,
        };
        self.orders.insert(row.id.clone(), row);
        Ok(())
    }

    fn end_order(
        &mut self,
        entry: &Entry,
        order: OrderId,
        standing: &str,
    ) -> Result<(), StoreFault> {
        let row = self.order(order)?;
        row.standing = standing.to_owned();
        row.ended_at = Some(entry.at.unix());
        Ok(())
    }

    fn issue(
        &mut self,
        entry: &Entry,
        programme: &ProgrammeId,
        holder: PartyId,
        seq: i64,
    ) -> Result<(), StoreFault> {
        let id = entry.found.voucher.ok_or_else(|| silent(seq, "voucher"))?;
        let issued = entry.found.issued.as_ref();
        let issued = issued.ok_or_else(|| silent(seq, "issued"))?;
        let row = VoucherRow {
            id: id.to_string(),
            issued_seq: seq,
            issued_at: entry.at.unix(),
            programme: programme.to_string(),
            holder: holder.to_string(),
            face_fen: issued.face.get(),
            free_fen: 0,
            expires_at: issued.expires_at.map(|end| end.unix()),
            ended_at: None,
            last_seq: seq,
        };
        self.vouchers.insert(row.id.clone(), row);
        Ok(())
    }

    fn open_case(
        &mut self,
        entry: &Entry,
        subject: &CaseSubject,
        seq: i64,
    ) -> Result<(), StoreFault> {
        let id = entry.found.case.ok_or_else(|| silent(seq, "case"))?;
        let (programme, order) = match subject {
            CaseSubject::Application { programme, .. } => (Some(programme.to_string()), None),
            CaseSubject::Redemption { order, .. } => (None, Some(order.to_string())),
            CaseSubject::Compromise { .. } | CaseSubject::Recovery { .. } => (None, None),
        };
        let party = match subject {
            CaseSubject::Recovery { party } => *party,
            CaseSubject::Application { .. }
            | CaseSubject::Redemption { .. }
            | CaseSubject::Compromise { .. } => entry.by,
        };
        let row = CaseRow {
            id: id.to_string(),
            opened_seq: seq,
            opened_at: entry.at.unix(),
            party: party.to_string(),
            programme,
            order_id: order,
            standing: "open".to_owned(),
            ended_at: None,
        };
        self.cases.insert(row.id.clone(), row);
        Ok(())
    }

    /// A compromised key whose earnings wait for a decision is a case; later entries about it go on with that one.
    fn revoke(&mut self, entry: &Entry, seq: i64) {
        let (Some(id), Some(party)) = (entry.found.case, entry.found.party) else {
            return;
        };
        let row = CaseRow {
            id: id.to_string(),
            opened_seq: seq,
            opened_at: entry.at.unix(),
            party: party.to_string(),
            programme: None,
            order_id: None,
            standing: "open".to_owned(),
            ended_at: None,
        };
        self.cases.entry(row.id.clone()).or_insert(row);
    }

    /// An approved application is a voucher: whose and of which programme, its case says.
    fn decide_case(
        &mut self,
        entry: &Entry,
        id: CaseId,
        standing: &str,
        seq: i64,
    ) -> Result<(), StoreFault> {
        let case = self.case(id)?;
        if entry
            .found
            .ruled
            .as_ref()
            .is_some_and(|ruled| ruled.left > 0)
        {
            return Ok(());
        }
        case.standing = standing.to_owned();
        case.ended_at = Some(entry.at.unix());
        if entry.found.issued.is_none() {
            return Ok(());
        }
        let programme = case.programme.as_deref().map(ProgrammeId::parse);
        let (Some(Ok(programme)), Ok(holder)) = (programme, PartyId::parse(&case.party)) else {
            return Err(missing(&id));
        };
        self.issue(entry, &programme, holder, seq)
    }
}

fn number(seq: u64) -> Result<i64, StoreFault> {
    i64::try_from(seq).map_err(|_| StoreFault::Inconsistent(format!("an entry is {seq}")))
}

fn missing(what: &dyn std::fmt::Display) -> StoreFault {
    StoreFault::Inconsistent(format!("{what} is named before it is there"))
}

fn silent(seq: i64, member: &str) -> StoreFault {
    StoreFault::Inconsistent(format!("entry {seq} has no {member}"))
}
