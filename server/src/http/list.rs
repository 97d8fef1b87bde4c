//! Lists and search over everything a caller may see, from the projections (DESIGN §7, reads; TRAIL, look-up by receipt).
//!
//! Such an answer may lag behind the last commit: `as_of` says how far its rows are. A caller that has just written sends the
//! number of its entry as `Quan-Min-Seq`, and is answered when the rows hold it. What a regulator that is limited to scopes may not see
//! is left out before a page is cut: its pages are full as everybody's are, as far as [`page`] goes.

mod page;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use verifier::book::Book;
use verifier::book::access::Sight;
use verifier::book::command::Kind;
use verifier::id::{
    CaseId, DocumentDigest, NotAnId, OrderId, PartyId, ProgrammeId, Sha256Hash, VoucherId,
};
use verifier::receipt::Jti;
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;
use verifier::trail::tree;

use super::Shared;
use super::access::{self, Caller, store_fault};
use super::entry::number;
use super::problem::Problem;
use super::read::{LIMIT, LIMIT_MAX, QUERY_BYTES_MAX, seen_in};
use crate::store::project::{CaseRow, EntryRow, OrderRow, VoucherRow};
use crate::store::read::{self, Cases, Entries, Found, Orders, Slice, VoucherState, Vouchers};
use crate::store::{Db, Store, StoreFault, log};
use page::{About, Item, Listed, Walk};

/// What stands in a query beside the filters.
const PAGING: [&str; 2] = ["after", "limit"];

/// A list, with the filters that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Orders that one buys or sells; all for whoever sees all.
    Orders,
    /// Vouchers that one holds; all for whoever sees all.
    Vouchers,
    /// Cases that one opened; all for whoever sees all.
    Cases,
    /// Entries that concern one; all for whoever sees all.
    Entries,
}

impl List {
    /// The names of its filters.
    pub(super) const fn filters(self) -> &'static [&'static str] {
        match self {
            Self::Orders => &["party", "scheme", "standing"],
            Self::Vouchers => &["party", "programme", "state"],
            Self::Cases => &["party", "programme", "standing"],
            Self::Entries => &[
                "kind", "receipt", "order", "voucher", "case", "digest", "document", "party",
            ],
        }
    }
}

type Query = BTreeMap<String, String>;

/// Answers a list.
/// # Errors
/// `access.unknown` `access.party` `request.malformed`, or busy where the rows do not come in time.
pub(super) async fn answer(
    shared: Arc<Shared>,
    list: List,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let caller = access::caller(&shared, &request).await?;
    let query = query(list, request.query_string())?;
    let slice = slice(&query)?;
    let reach = shared
        .desk
        .read(|book| access::stands(book, caller).map(|()| Reach::of(access::sight(book, caller))))
        .await??;
    seen_in(shared.projected.clone(), &request).await?;
    let now = shared.now()?;
    let asked = Asked::parse(list, &query, (caller, reach), now)?;
    let search = Search {
        shared,
        asked: Arc::new(asked),
        now,
    };
    let page = match reach {
        Reach::Own | Reach::All => search.rows(slice, reach).await?,
        Reach::Limited => search.visible(slice, caller).await?,
    };
    Ok(HttpResponse::Ok().json(page.cut(slice.limit - 1).written()))
}

/// What is looked for, and in what.
struct Search {
    shared: Arc<Shared>,
    asked: Arc<Asked>,
    now: Timestamp,
}

impl Search {
    /// A slice of the rows, whoever sees them.
    async fn rows(&self, slice: Slice, reach: Reach) -> Result<Listed, Problem> {
        let (store, asked) = (Arc::clone(&self.shared.store), Arc::clone(&self.asked));
        let now = self.now;
        web::block(move || {
            let mut rows = asked.load(&store, slice, now)?;
            if reach == Reach::Limited {
                rows.read_scopes(&mut *store.connection()?)?;
            }
            Ok(rows)
        })
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(store_fault)
    }

    /// As many rows as a slice has of those that a caller sees.
    async fn visible(&self, slice: Slice, caller: Caller) -> Result<Listed, Problem> {
        let mut walk = Walk::new(slice);
        while let Some(piece) = walk.next() {
            let mut rows = self.rows(piece, Reach::Limited).await?;
            let seen = rows.place();
            let limit = |book: &Book| rows.limit_to(book, access::sight(book, caller));
            self.shared.desk.read(limit).await?;
            walk.take(seen, rows);
        }
        Ok(walk.found())
    }
}

/// Whose rows a caller may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Its own party's only.
    Own,
    /// Everybody's, as far as they reach its scopes.
    Limited,
    /// Everybody's.
    All,
}

impl Reach {
    const fn of(sight: Sight<'_>) -> Self {
        match sight {
            Sight::All => Self::All,
            Sight::Scopes(_) => Self::Limited,
            Sight::Own => Self::Own,
        }
    }
}

fn malformed(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::RequestMalformed, sentence)
}

fn query(list: List, text: &str) -> Result<Query, Refusal> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(malformed("a query has at most 1024 bytes"));
    }
    let pairs = web::Query::<Vec<(String, String)>>::from_query(text)
        .map_err(|_| malformed("the query is not name=value&…"))?;
    let mut query = Query::new();
    for (name, value) in pairs.into_inner() {
        let known = list.filters().iter().chain(&PAGING);
        if !known.clone().any(|known| *known == name) {
            let names: Vec<_> = known.copied().collect();
            let sentence = format!("this list takes {}, nothing else", names.join(", "));
            return Err(malformed(sentence));
        }
        if query.insert(name, value).is_some() {
            return Err(malformed("each name stands once in a query"));
        }
    }
    Ok(query)
}

/// One row more than is asked for says whether there is a next page.
fn slice(query: &Query) -> Result<Slice, Refusal> {
    let after = query.get("after").map(|after| number(after)).transpose()?;
    let limit = match query.get("limit") {
        None => LIMIT,
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| malformed("limit is 1 to 1000"))?,
    };
    Ok(Slice {
        after,
        limit: limit + 1,
    })
}

/// What is asked for, bounded to what the caller may see.
#[derive(Debug)]
enum Asked {
    Orders(Orders),
    Vouchers(Vouchers),
    Cases(Cases),
    Entries(Entries),
}

impl Asked {
    fn parse(
        list: List,
        query: &Query,
        caller: (Caller, Reach),
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let party = party(query, caller)?;
        let word = |name: &str, words: &[&str]| word(query, name, words);
        Ok(match list {
            List::Orders => Self::Orders(Orders {
                party,
                scheme: word("scheme", &["compute", "data"])?,
                standing: word("standing", &["open", "closed", "cancelled", "expired"])?,
            }),
            List::Vouchers => Self::Vouchers(Vouchers {
                party,
                programme: id(query, "programme", ProgrammeId::parse)?,
                state: word("state", &["live", "expired", "ended"])?
                    .and_then(|word| state(&word))
                    .map(|state| (state, now.unix())),
            }),
            List::Cases => Self::Cases(Cases {
                party,
                programme: id(query, "programme", ProgrammeId::parse)?,
                standing: word("standing", &["open", "approved", "denied", "withdrawn"])?,
            }),
            List::Entries => Self::Entries(Entries {
                kind: kind(query)?,
                objects: objects(query, party)?,
            }),
        })
    }

    fn load(&self, store: &Store, slice: Slice, now: Timestamp) -> Result<Listed, StoreFault> {
        let mut db = store.lists()?;
        Ok(match self {
            Self::Orders(which) => listed(read::orders(&mut db, which, slice)?, |row| Item {
                seq: row.placed_seq,
                about: About::Order(row.id.clone()),
                shown: order(row),
            }),
            Self::Vouchers(which) => listed(read::vouchers(&mut db, which, slice)?, |row| Item {
                seq: row.issued_seq,
                about: About::Voucher(row.id.clone()),
                shown: voucher(row, now),
            }),
            Self::Cases(which) => listed(read::cases(&mut db, which, slice)?, |row| Item {
                seq: row.opened_seq,
                about: About::Case(row.id.clone()),
                shown: case(row),
            }),
            Self::Entries(which) => {
                let found = read::entries(&mut db, which, slice)?;
                // Given back first: nobody holds one connection and waits for another.
                drop(db);
                let seqs: Vec<i64> = found.rows.iter().map(|row| row.seq).collect();
                let leaves = leaves(&mut *store.connection()?, &seqs)?;
                listed(found, |row| Item {
                    seq: row.seq,
                    about: About::Entry(row.seq),
                    shown: entry(row, &leaves),
                })
            }
        })
    }
}

/// The party whose rows these are: the caller's own, unless it sees all and asks for others' or everybody's.
fn party(query: &Query, (caller, reach): (Caller, Reach)) -> Result<Option<String>, Refusal> {
    let asked = id(query, "party", PartyId::parse)?;
    let own = caller.party.to_string();
    if reach != Reach::Own || asked.as_ref() == Some(&own) {
        return Ok(asked);
    }
    if asked.is_none() {
        return Ok(Some(own));
    }
    Err(Refusal::new(
        Code::AccessParty,
        "this concerns another party; ask with a key of it",
    ))
}

fn id<T: ToString>(
    query: &Query,
    name: &str,
    parse: fn(&str) -> Result<T, NotAnId>,
) -> Result<Option<String>, Refusal> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    let id = parse(text).map_err(|fault| malformed(format!("{name}: {fault}")))?;
    Ok(Some(id.to_string()))
}

fn word(query: &Query, name: &str, words: &[&str]) -> Result<Option<String>, Refusal> {
    match query.get(name) {
        Some(word) if !words.contains(&word.as_str()) => {
            let sentence = format!("{name} is one of {}", words.join(", "));
            Err(malformed(sentence))
        }
        word => Ok(word.cloned()),
    }
}

fn state(word: &str) -> Option<VoucherState> {
    match word {
        "live" => Some(VoucherState::Live),
        "expired" => Some(VoucherState::Expired),
        "ended" => Some(VoucherState::Ended),
        _ => None,
    }
}

fn kind(query: &Query) -> Result<Option<String>, Refusal> {
    let Some(text) = query.get("kind") else {
        return Ok(None);
    };
    let kind = Kind::parse(text).ok_or_else(|| malformed("kind is e.g. order.placed"))?;
    Ok(Some(kind.as_str().to_owned()))
}

/// Whatever an entry must name, the rarest first.
fn objects(query: &Query, party: Option<String>) -> Result<Vec<String>, Refusal> {
    let receipt = |text: &str| {
        let name = text.parse().map(|jti: Jti| jti.to_string());
        let hash = text.strip_prefix("sha-256:").unwrap_or(text);
        name.or_else(|_| Sha256Hash::parse(hash).map(|hash| hash.to_string()))
    };
    let objects = [
        id(query, "receipt", receipt)?,
        id(query, "document", DocumentDigest::parse)?,
        id(query, "digest", DocumentDigest::parse)?,
        id(query, "voucher", VoucherId::parse)?,
        id(query, "case", CaseId::parse)?,
        id(query, "order", OrderId::parse)?,
        party,
    ];
    Ok(objects.into_iter().flatten().collect())
}

fn listed<R>(found: Found<R>, item: impl FnMut(&R) -> Item) -> Listed {
    Listed {
        items: found.rows.iter().map(item).collect(),
        next: None,
        size: Some(found.size),
    }
}

fn moment(unix: i64) -> Option<Timestamp> {
    Timestamp::new(unix).ok()
}

fn order(row: &OrderRow) -> Value {
    json!({
        "order": row.id, "placed_seq": row.placed_seq, "placed_at": moment(row.placed_at),
        "buyer": row.buyer, "seller": row.seller, "scheme": row.scheme, "standing": row.standing,
        "closed_at": row.ended_at.and_then(moment), "held_fen": row.held_fen,
        "receipts": row.receipts, "last_seq": row.last_seq,
    })
}

fn voucher(row: &VoucherRow, now: Timestamp) -> Value {
    let past = row.expires_at.is_some_and(|end| end <= now.unix());
    let state = match (row.ended_at, past) {
        (Some(_), _) => "ended",
        // Deadlines bind by time alone, whether or not the entry is written yet (DESIGN §4).
        (None, true) => "expired",
        (None, false) => "live",
    };
    json!({
        "voucher": row.id, "issued_seq": row.issued_seq, "issued_at": moment(row.issued_at),
        "programme": row.programme, "holder": row.holder, "state": state,
        "face_fen": row.face_fen, "free_fen": row.free_fen,
        "expires_at": row.expires_at.and_then(moment), "ended_at": row.ended_at.and_then(moment),
        "last_seq": row.last_seq,
    })
}

fn case(row: &CaseRow) -> Value {
    json!({
        "case": row.id, "opened_seq": row.opened_seq, "opened_at": moment(row.opened_at),
        "party": row.party, "programme": row.programme, "order": row.order_id,
        "standing": row.standing, "ended_at": row.ended_at.and_then(moment),
    })
}

/// The hash of each entry's leaf, from the log.
fn leaves(db: &mut Db, seqs: &[i64]) -> Result<BTreeMap<i64, Sha256Hash>, StoreFault> {
    let stored = log::of(db, seqs)?;
    let leaf = |(seq, bytes): (i64, Vec<u8>)| {
        let hash = tree::leaf_hash(&bytes);
        (seq, Sha256Hash::new(*hash.as_bytes()))
    };
    Ok(stored.into_iter().map(leaf).collect())
}

fn entry(row: &EntryRow, leaves: &BTreeMap<i64, Sha256Hash>) -> Value {
    let seq = row.seq;
    json!({
        "seq": seq, "at": moment(row.at), "type": row.kind, "by": row.party,
        "order": row.order_id, "receipt": row.receipt,
        "index": seq, "leaf_hash": leaves.get(&seq), "proof": format!("/v1/entries/{seq}/proof"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use verifier::book::command::Role;
    use verifier::id::{ActorId, Salt};

    fn caller(role: Role) -> Caller {
        let salt = Salt::new([0; 16]);
        Caller {
            actor: ActorId::draw(&salt, 0, 0),
            party: PartyId::draw(&salt, 0, 0),
            role,
        }
    }

    #[test]
    fn a_query_is_bounded_and_an_unknown_or_doubled_name_is_refused() {
        let good = query(List::Orders, "standing=open&after=7&limit=1000").unwrap();
        let slice = slice(&good).unwrap();
        assert_eq!((slice.after, slice.limit), (Some(7), 1_001));
        for bad in ["offset=3", "kind=order.placed", "limit=1&limit=2"] {
            assert!(query(List::Orders, bad).is_err(), "{bad}");
        }
        for bad in ["limit=0", "limit=1001", "after=-1", "after=07"] {
            let query = query(List::Orders, bad).unwrap();
            assert!(super::slice(&query).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_sees_ones_own_and_only_who_sees_all_sees_others() {
        let (buyer, regulator) = (caller(Role::Buyer), caller(Role::Regulator));
        let other = PartyId::draw(&Salt::new([1; 16]), 0, 0).to_string();
        let theirs = query(List::Entries, &format!("party={other}")).unwrap();
        let any = Query::new();
        let own = Some(buyer.party.to_string());
        assert_eq!(party(&any, (buyer, Reach::Own)).unwrap(), own);
        for reach in [Reach::All, Reach::Limited] {
            assert_eq!(party(&any, (regulator, reach)).unwrap(), None);
            let asked = party(&theirs, (regulator, reach)).unwrap();
            assert_eq!(asked.as_ref(), Some(&other));
        }
        let refusal = party(&theirs, (buyer, Reach::Own)).unwrap_err();
        assert_eq!(refusal.code, Code::AccessParty);
    }
}
