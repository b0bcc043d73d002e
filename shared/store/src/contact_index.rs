//! The index of contacts. It is written behind their backs, from the table's stream, so it may lag by a second.

use std::collections::{BTreeMap, BTreeSet};

use domain::contact::Contact;
use domain::contact_index::{Entry, SHARDS, Step, Wanted};
use domain::ids::{ContactId, ListId};
use futures_util::future::try_join_all;

use crate::codec::{Item, PortResult, failed, from_data, item, s, text};
use crate::interactions::Interactions;
use crate::keys;

/// The most entries that a page looks at. They show nothing if they are old, or if other words of a name don't fit; a
/// page must end all the same.
const LOOKED_AT: usize = 500;

/// A page of contacts.
#[derive(Debug)]
pub struct FoundContacts {
    /// Each customer once.
    pub contacts: Vec<Contact>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
}

/// An entry as it was found: the contact to which it leads, and its place.
struct Lead {
    entry: Entry,
    contact: ContactId,
    place: String,
}

impl Lead {
    /// `None` if the place is not one of `wanted`.
    fn at(wanted: &Wanted, place: &str) -> Option<Self> {
        let (entry, contact) = match wanted {
            Wanted::Name(_) => place.split_once('#').map(|(word, contact)| (Entry::Word(word.to_owned()), contact))?,
            Wanted::Number(_) => place.split_once('#').map(|(number, contact)| (Entry::Number(number.to_owned()), contact))?,
            Wanted::Listed(list) => (Entry::Listed(list.clone()), place),
        };
        Some(Self { entry, contact: contact.parse().ok()?, place: place.to_owned() })
    }
}

impl Interactions {
    /// Brings the index from one version of a contact to the next. Twice changes nothing, as long as the versions of a
    /// contact come in order, a repetition together with all that came after it.
    ///
    /// # Errors
    /// The table can't be written. It is safe to call again.
    pub async fn index_contact(&self, before: Option<&Contact>, after: Option<&Contact>) -> PortResult<()> {
        let Step { come, gone } = Step::between(before, after);
        try_join_all(come.iter().map(|(entry, contact)| self.table.put(item(keys::contact_entry(entry, contact))))).await?;
        try_join_all(gone.iter().map(|(entry, contact)| self.table.delete(keys::contact_entry(entry, contact)))).await?;
        Ok(())
    }

    /// A page of up to `most` contacts, from behind `after` on: by name or number in the order of the index, on a list
    /// the newest first. It may have fewer though more follow. A contact that was merged into an older one is shown as
    /// the older one.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn find_contacts(&self, wanted: &Wanted, after: Option<&str>, most: usize) -> PortResult<FoundContacts> {
        let (mut found, mut looked_at, mut from) = (Vec::<Contact>::new(), 0, after.map(str::to_owned));
        loop {
            let leads = match wanted {
                Wanted::Name(words) => {
                    self.leads(wanted, keys::words_like(words.first().map_or("", String::as_str)), from.as_deref(), most).await?
                }
                Wanted::Number(digits) => self.leads(wanted, keys::numbers_like(digits), from.as_deref(), most).await?,
                Wanted::Listed(list) => self.newest_on(list.as_ref(), from.as_deref(), most).await?,
            };
            let is_last = leads.len() < most;
            looked_at += leads.len();
            let contacts = self.contacts_at(leads.iter().map(|lead| &lead.contact)).await?;
            let shown = |lead: &Lead| contacts.get(&lead.contact).filter(|contact| wanted.shows(contact, &lead.entry));
            for lead in &leads {
                from = Some(lead.place.clone());
                found.extend(shown(lead).cloned());
                if found.len() == most {
                    break;
                }
            }
            if is_last && leads.last().is_none_or(|last| from.as_ref() == Some(&last.place)) {
                from = None;
            }
            if found.len() == most || from.is_none() || looked_at >= LOOKED_AT {
                return Ok(FoundContacts { contacts: self.as_owners(found).await?, next: from });
            }
        }
    }

    /// The entries of a partition that fit, from behind `after` on.
    async fn leads(&self, wanted: &Wanted, partition: String, after: Option<&str>, most: usize) -> PortResult<Vec<Lead>> {
        let beginning = match wanted {
            Wanted::Name(words) => words.first().map_or("", String::as_str),
            Wanted::Number(digits) => digits,
            Wanted::Listed(_) => "",
        };
        // From the place on, which is left out below. A place that is no place of this search leads nowhere else.
        let from = after.filter(|place| place.starts_with(beginning)).unwrap_or(beginning);
        let query = self.table.client.query().table_name(&*self.table.name);
        let query = query
            .limit(i32::try_from(most.saturating_add(1)).unwrap_or(i32::MAX))
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", s(partition))
            .expression_attribute_values(":from", s(from))
            // Sorts after all that begin so.
            .expression_attribute_values(":to", s(format!("{beginning}{}", char::MAX)));
        let answer = query.send().await.map_err(failed("Query"))?;
        Ok(places(&answer.items.unwrap_or_default(), after).take(most).filter_map(|place| Lead::at(wanted, &place)).collect())
    }

    /// The newest contacts on a list, or of all, that are older than `after`.
    async fn newest_on(&self, list: Option<&ListId>, after: Option<&str>, most: usize) -> PortResult<Vec<Lead>> {
        let shards = (0..SHARDS).map(|shard| async move {
            let query = self.table.client.query().table_name(&*self.table.name).scan_index_forward(false);
            let query = query
                .limit(i32::try_from(most).unwrap_or(i32::MAX))
                .key_condition_expression("pk = :pk AND sk < :before")
                .expression_attribute_values(":pk", s(keys::listed_in(list, shard)))
                .expression_attribute_values(":before", s(after.unwrap_or("~")));
            let answer = query.send().await.map_err(failed("Query"))?;
            PortResult::Ok(places(&answer.items.unwrap_or_default(), None).collect::<Vec<_>>())
        });
        let mut found: Vec<String> = try_join_all(shards).await?.into_iter().flatten().collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.truncate(most);
        let wanted = Wanted::Listed(list.cloned());
        Ok(found.iter().filter_map(|place| Lead::at(&wanted, place)).collect())
    }

    /// Contacts by their ids. Missing ones are left out.
    async fn contacts_at(&self, ids: impl Iterator<Item = &ContactId>) -> PortResult<BTreeMap<ContactId, Contact>> {
        let ids: BTreeSet<&ContactId> = ids.collect();
        let found = self.table.batch(ids.into_iter().map(keys::contact).collect()).await?;
        let contacts = found.iter().map(|item| from_data::<Contact>(item).map(|contact| (contact.id.clone(), contact)));
        contacts.collect()
    }

    /// Each contact as its customer's oldest one, and each of these once.
    async fn as_owners(&self, found: Vec<Contact>) -> PortResult<Vec<Contact>> {
        let owners = self.contacts_at(found.iter().filter_map(|contact| contact.linked_to.as_ref())).await?;
        let mut shown = BTreeSet::new();
        let as_owner = found.into_iter().map(|contact| {
            let owner = contact.linked_to.as_ref().and_then(|owner| owners.get(owner)).cloned();
            owner.unwrap_or(contact)
        });
        Ok(as_owner.filter(|contact| shown.insert(contact.id.clone())).collect())
    }
}

/// The sort keys of items, without the one that equals `after`.
fn places<'a>(items: &'a [Item], after: Option<&'a str>) -> impl Iterator<Item = String> + 'a {
    items.iter().filter_map(|item| text(item, "sk")).filter(move |place| Some(*place) != after).map(str::to_owned)
}
