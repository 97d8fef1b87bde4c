//! Gathers what the rules of a programme may read about one application or order (DESIGN §4.3): recorded facts in force.

use std::collections::BTreeMap;

use crate::book::Book;
use crate::book::command::Contract;
use crate::book::state::fact::Subject;
use crate::fact::{FactName, FactValue};
use crate::id::{DocumentDigest, PartyId, SiteId};
use crate::programme::Programme;
use crate::programme::eligibility::{ContractDays, Facts, Matter, facts_read};
use crate::programme::schema::{Of, Scheme};
use crate::time::{LocalDay, Timestamp};

/// Whom and what an application or order is about.
#[derive(Debug, Clone, Default)]
pub struct About<'a> {
    /// Who sells; unknown before an order.
    pub seller: Option<PartyId>,
    /// The site of each segment, in order.
    pub sites: Vec<SiteId>,
    /// The version of the dataset.
    pub dataset: Option<DocumentDigest>,
    /// The contract.
    pub contract: Option<&'a Contract>,
    /// The stated purpose.
    pub purpose: Option<&'a str>,
}

/// Gathers the matter of a holder under a programme at a moment.
#[must_use]
pub fn gather(
    book: &Book,
    programme: &Programme,
    holder: (PartyId, Scheme),
    at: Timestamp,
    about: &About<'_>,
) -> Matter {
    let (holder, scheme) = holder;
    let day = at.local_day(programme.header.utc_offset);
    let reader = Reader {
        book,
        day,
        holder,
        scheme,
        about,
    };
    let contract = about.contract;
    Matter {
        at,
        scheme,
        holder,
        seller: about.seller,
        facts: reader.facts(programme),
        contract: ContractDays {
            signed: contract.map(|contract| contract.signed_on),
            from: contract.map(|contract| contract.from),
            to: contract.map(|contract| contract.to),
        },
        seller_listed: reader.listed(programme),
        waived: std::collections::BTreeSet::new(),
    }
}

struct Reader<'a> {
    book: &'a Book,
    day: LocalDay,
    holder: PartyId,
    scheme: Scheme,
    about: &'a About<'a>,
}

impl Reader<'_> {
    fn facts(&self, programme: &Programme) -> Facts {
        let mut facts = Facts::default();
        let names = facts_read(programme);
        for (of, name) in &names {
            if let Some(value) = self.value(*of, *name) {
                facts.set(*of, *name, value);
            }
        }
        for site in &self.about.sites {
            let of_site = names.iter().filter(|(of, _)| *of == Of::Site);
            let recorded = of_site.filter_map(|(_, name)| {
                let value = self.book.facts.on(Subject::Site(*site), *name, self.day)?;
                Some((*name, value.clone()))
            });
            facts.add_site(recorded.collect::<BTreeMap<_, _>>());
        }
        facts
    }

    fn value(&self, of: Of, name: FactName) -> Option<FactValue> {
        let subject = match of {
            Of::Holder => Subject::Party(self.holder),
            Of::Seller => Subject::Party(self.about.seller?),
            Of::Dataset => Subject::Dataset(self.about.dataset?),
            Of::Contract => Subject::Contract(self.about.contract?.digest),
            Of::Order => return self.stated(name),
            Of::Site => return None,
        };
        self.book.facts.on(subject, name, self.day).cloned()
    }

    /// What an order says of itself; where it was made is no statement: it was made here.
    fn stated(&self, name: FactName) -> Option<FactValue> {
        match (name, self.scheme) {
            (FactName::Purpose, _) => self.about.purpose.map(|word| FactValue::Str(word.into())),
            (FactName::TradeVenue, Scheme::Data) => Some(FactValue::Str("data_exchange".into())),
            (FactName::TradeVenue, Scheme::Compute | Scheme::Model) => {
                Some(FactValue::Str("platform".into()))
            }
            _ => None,
        }
    }

    fn listed(&self, programme: &Programme) -> Option<bool> {
        let list = programme.providers.list.as_ref()?;
        let (year, _, _) = self.day.civil();
        let edition = self
            .book
            .lists
            .get(&(list.clone(), year))
            .filter(|list| list.is_whole())?;
        Some(edition.names(self.about.seller?))
    }
}
