//! The import of contacts from a CSV file.
//!
//! The file is read whole, once in each process that works on the job, and its rows are imported a hundred at a time.
//! A row's contact has an id made of the job and the row, so a row that is done again finds its own contact.

mod person;
mod phone;
mod reason;
mod table;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};

use domain::account::List;
use domain::business::Business;
use domain::contact::{Contact, NamedBy, Place};
use domain::ids::{AccountId, ContactId, JobId};
use domain::import::{Import, Known};
use domain::inbound::ProfileName;
use domain::job::{File, Job};
use domain::values::Address;
use engine::ports::{Committed, Directory, PortError, Store};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use ulid::Ulid;

use crate::export::Bucket;
use crate::records::Tables;
use crate::steps::{Then, Unit, WorkError};
use person::{Person, Reading, Refused};
use reason::Reason;
use table::Table;
use views::csv::{MARK, Rows};

/// How many rows are imported at the same time: each takes a read and a write, and the message path shares the table.
const AT_ONCE: usize = 16;

/// How many rows are a unit: a second of work.
const UNIT: usize = 128;

/// How many errors the file of errors has at most. Nobody reads more, and each unit writes it anew.
const MOST_ERRORS: u32 = 10_000;

/// How often a row is tried while its customer writes at the same instant.
const ATTEMPTS: u32 = 5;

/// The contacts that are there, and what an import needs to know.
pub(crate) trait Registry: Sync {
    /// The owner of an address for the accounts of `business`.
    fn owner(&self, place: &Place, business: &Business) -> impl Future<Output = Result<Option<ContactId>, PortError>> + Send;
    /// A contact.
    fn contact(&self, id: &ContactId) -> impl Future<Output = Result<Option<Contact>, PortError>> + Send;
    /// Adds a contact, or replaces its previous version, for a row with these addresses of an import that began at
    /// `since`. It is a conflict if an address of a new one leads somewhere, or a rival wrote, or a customer with one
    /// of the addresses was erased since then.
    fn write(
        &self,
        contact: &Contact,
        is_new: bool,
        places: &[Place],
        since: Timestamp,
    ) -> impl Future<Output = Result<Committed, PortError>> + Send;
    /// Whether a customer with one of these addresses was erased since then.
    fn was_erased(&self, places: &[Place], since: Timestamp) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// All lists.
    fn lists(&self) -> impl Future<Output = Result<Vec<List>, PortError>> + Send;
    /// The business of an account, if it is still there.
    fn business(&self, account: &AccountId) -> impl Future<Output = Result<Option<Business>, PortError>> + Send;
}

impl Registry for Tables {
    async fn owner(&self, place: &Place, business: &Business) -> Result<Option<ContactId>, PortError> {
        Ok(self.engine.store.contact_of(place, business, true).await?.map(|person| person.owner))
    }

    async fn contact(&self, id: &ContactId) -> Result<Option<Contact>, PortError> {
        self.engine.store.contact(id).await
    }

    async fn write(&self, contact: &Contact, is_new: bool, places: &[Place], since: Timestamp) -> Result<Committed, PortError> {
        self.engine.store.import_contact(contact, is_new, places, since).await
    }

    async fn was_erased(&self, places: &[Place], since: Timestamp) -> Result<bool, PortError> {
        self.engine.store.was_erased(places, since).await
    }

    async fn lists(&self) -> Result<Vec<List>, PortError> {
        Ok(self.engine.directory.all::<List>().await?.into_iter().map(|(list, _)| list).collect())
    }

    async fn business(&self, account: &AccountId) -> Result<Option<Business>, PortError> {
        Ok(self.engine.directory.account(account).await?.map(|account| Business::of(&account)))
    }
}

/// A row of the file.
enum Row {
    Person(Box<Person>),
    /// An earlier row has the same address. That one counts.
    Repeats(usize),
    Refused(Vec<Refused>),
}

/// A file that was read.
struct Loaded {
    rows: Vec<Row>,
    /// The business that issued the user ids. Phone numbers are the same for all.
    business: Business,
}

/// What became of a row.
enum Outcome {
    /// The contact is there as the row says.
    Done,
    /// The contact was there, and stays as it is.
    Skipped,
    Refused(Vec<Refused>),
}

/// Imports contacts.
pub(crate) struct Importer<R, B> {
    registry: R,
    bucket: B,
    /// The file that was read last.
    loaded: Mutex<Option<(JobId, Arc<Loaded>)>>,
}

impl<R: Registry, B: Bucket> Importer<R, B> {
    pub(crate) fn new(registry: R, bucket: B) -> Self {
        Self { registry, bucket, loaded: Mutex::new(None) }
    }

    /// Does the unit at the job's place.
    pub(crate) async fn unit(&self, job: &Job, import: &Import) -> Result<Unit, WorkError> {
        let (mut counts, mut place) = (job.counts, job.place.clone());
        if job.cancelled {
            return Ok(Unit { counts, place, then: Then::Stopped });
        }
        let loaded = match self.loaded(job, import).await? {
            Ok(loaded) => loaded,
            Err(problem) => return Ok(Unit { counts, place, then: Then::Failed(problem) }),
        };
        let from = usize::try_from(place.index).unwrap_or(usize::MAX).min(loaded.rows.len());
        let to = (from + UNIT).min(loaded.rows.len());
        let headings: BTreeMap<String, &str> = import.columns.headings().into_iter().collect();
        let mut errors = Vec::new();
        for first in (from..to).step_by(AT_ONCE) {
            let rows = first..(first + AT_ONCE).min(to);
            let outcomes = try_join_all(rows.clone().map(|at| self.settle(job, import, &loaded, at))).await?;
            for (at, outcome) in rows.zip(outcomes) {
                match outcome {
                    Outcome::Done => counts.done += 1,
                    Outcome::Skipped => counts.skipped += 1,
                    Outcome::Refused(refused) => {
                        counts.skipped += 1;
                        let named = |what: String| headings.get(&what).map_or(what, |heading| (*heading).to_owned());
                        // The header is a spreadsheet's row 1.
                        errors.extend(refused.into_iter().map(|(what, reason)| ((at + 2).to_string(), named(what), reason)));
                    }
                }
            }
        }
        counts.total = loaded.rows.len() as u64;
        place.round = self.told(job, place.round, &errors).await?;
        place.index = to as u64;
        let then = if to < loaded.rows.len() { Then::More } else { Then::Done(self.file(job, place.round).await?) };
        Ok(Unit { counts, place, then })
    }

    /// The rows of the job's file.
    async fn loaded(&self, job: &Job, import: &Import) -> Result<Result<Arc<Loaded>, String>, WorkError> {
        let known = self.loaded.lock().ok().and_then(|loaded| loaded.clone());
        if let Some((_, loaded)) = known.filter(|(of, _)| *of == job.id) {
            return Ok(Ok(loaded));
        }
        let Some(bytes) = self.bucket.get(&import.key).await? else {
            return Ok(Err("The uploaded file is gone: it is kept for a day.".to_owned()));
        };
        let business = match &import.account {
            Some(account) => match self.registry.business(account).await? {
                Some(business) => business,
                None => return Ok(Err("account: it was deleted.".to_owned())),
            },
            None => Business::from_key(""),
        };
        let lists = self.registry.lists().await?;
        let read = || {
            let reading = Reading::new(import.country.as_deref(), lists)?;
            Ok::<_, String>(rows_of(&Table::read(&bytes, &import.columns)?, &reading, &business))
        };
        let rows = match read() {
            Ok(rows) => rows,
            Err(problem) => return Ok(Err(problem)),
        };
        let loaded = Arc::new(Loaded { rows, business });
        if let Ok(mut kept) = self.loaded.lock() {
            *kept = Some((job.id.clone(), Arc::clone(&loaded)));
        }
        Ok(Ok(loaded))
    }

    async fn settle(&self, job: &Job, import: &Import, loaded: &Loaded, at: usize) -> Result<Outcome, PortError> {
        let refused = |reason| Outcome::Refused(vec![("phone".to_owned(), reason)]);
        let person = match loaded.rows.get(at) {
            Some(Row::Person(person)) => person,
            Some(Row::Repeats(first)) => return Ok(refused(Reason::Repeats(first + 2))),
            Some(Row::Refused(refused)) => return Ok(Outcome::Refused(refused.clone())),
            None => return Ok(Outcome::Skipped),
        };
        let (id, places) = (id_of(job, at), person.places(&loaded.business));
        let write = |contact: Contact, is_new| {
            let places = &places;
            async move { self.registry.write(&contact, is_new, places, job.created_at).await }
        };
        for _ in 0..ATTEMPTS {
            let mut owners = BTreeSet::new();
            for place in &places {
                owners.extend(self.registry.owner(place, &loaded.business).await?);
            }
            let committed = match (owners.pop_first(), owners.is_empty()) {
                // A unit is done again.
                (Some(owner), true) if owner == id => return Ok(Outcome::Done),
                (Some(_), false) => return Ok(refused(Reason::TwoContacts)),
                (Some(owner), true) => match import.known {
                    Known::Skip => return Ok(Outcome::Skipped),
                    Known::Refuse => return Ok(refused(Reason::Known)),
                    Known::Update => {
                        let Some(before) = self.registry.contact(&owner).await? else { continue };
                        match person.updated(&before, import) {
                            Some(after) if !import.dry_run => write(after, false).await?,
                            Some(_) | None => return Ok(Outcome::Done),
                        }
                    }
                },
                (None, _) if import.dry_run => return Ok(Outcome::Done),
                (None, _) => write(person.contact(id.clone(), job, import, &loaded.business), true).await?,
            };
            if committed == Committed::Done {
                return Ok(Outcome::Done);
            }
            if self.registry.was_erased(&places, job.created_at).await? {
                return Ok(refused(Reason::Erased));
            }
        }
        Err(PortError { operation: "import a contact", reason: "rivals won every attempt".to_owned() })
    }

    /// Adds errors to the file, which is named by their number: so the one that the job's place names stays as it was.
    /// Returns how many there are.
    async fn told(&self, job: &Job, known: u32, errors: &[(String, String, Reason)]) -> Result<u32, WorkError> {
        let room = usize::try_from(MOST_ERRORS.saturating_sub(known)).unwrap_or_default();
        let errors = errors.get(..errors.len().min(room)).unwrap_or_default();
        if errors.is_empty() {
            return Ok(known);
        }
        let before = if known == 0 { None } else { self.bucket.get(&errors_key(&job.id, known)).await? };
        let is_new = before.is_none();
        let mut rows = Rows::behind(before.unwrap_or_else(|| MARK.as_bytes().to_vec()), false);
        if is_new {
            rows.add(["row", "column", "reason", "code"]).map_err(|_| WorkError::Form)?;
        }
        for (row, column, reason) in errors {
            rows.add([row.as_str(), column, &reason.to_string(), reason.code()]).map_err(|_| WorkError::Form)?;
        }
        let count = known + u32::try_from(errors.len()).unwrap_or(u32::MAX);
        self.bucket.put(&errors_key(&job.id, count), rows.finish().ok_or(WorkError::Form)?).await?;
        Ok(count)
    }

    /// The file of errors, if there are any.
    async fn file(&self, job: &Job, errors: u32) -> Result<Option<File>, WorkError> {
        if errors == 0 {
            return Ok(None);
        }
        let key = errors_key(&job.id, errors);
        Ok(self.bucket.size(&key).await?.map(|size| File { key, size }))
    }
}

fn errors_key(job: &JobId, errors: u32) -> String {
    format!("exports/{job}-errors-{errors}.csv")
}

/// The id of a row's contact, the same however often the row is imported.
fn id_of(job: &Job, at: usize) -> ContactId {
    let digest = cloud::digest::sha256_hex(format!("{}#{at}", job.id));
    let random = u128::from_str_radix(digest.get(..20).unwrap_or_default(), 16).unwrap_or_default();
    ContactId::from_ulid(Ulid::from_parts(u64::try_from(job.created_at.as_millisecond()).unwrap_or_default(), random))
}

/// The rows of a table. Of rows with the same address the first counts.
fn rows_of(table: &Table, reading: &Reading, business: &Business) -> Vec<Row> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let row = |at| match reading.person(&table.row(at)) {
        Ok(person) => {
            let keys: Vec<String> = person.places(business).iter().map(Place::key).collect();
            if let Some(first) = keys.iter().find_map(|key| seen.get(key)) {
                return Row::Repeats(*first);
            }
            for key in keys {
                if let Entry::Vacant(free) = seen.entry(key) {
                    free.insert(at);
                }
            }
            Row::Person(Box::new(person))
        }
        Err(refused) => Row::Refused(refused),
    };
    (0..table.len()).map(row).collect()
}

impl Person {
    fn places(&self, business: &Business) -> Vec<Place> {
        let phone = self.phone.clone().map(Address::Phone).map(|phone| Place::before(&phone));
        phone.into_iter().chain(self.user_id.as_ref().map(|id| Place::of(id, business))).collect()
    }

    fn full_name(&self) -> Option<ProfileName> {
        self.name.clone().or_else(|| self.details.full_name()).map(ProfileName)
    }

    /// The new contact that the row describes.
    fn contact(&self, id: ContactId, job: &Job, import: &Import, business: &Business) -> Contact {
        let name = self.full_name();
        Contact {
            lists: self.lists.iter().chain(&import.lists).cloned().collect(),
            named_by: name.as_ref().map(|_| NamedBy::Person),
            name,
            details: self.details.clone(),
            ..Contact::known_by(id, job.created_at, self.places(business))
        }
    }

    /// The contact with the row's values; `None` if it has them already.
    fn updated(&self, before: &Contact, import: &Import) -> Option<Contact> {
        let mut after = before.clone();
        if let Some(name) = self.full_name() {
            (after.name, after.named_by) = (Some(name), Some(NamedBy::Person));
        }
        after.details = self.details.or(&before.details);
        after.lists.extend(self.lists.iter().chain(&import.lists).cloned());
        (after != *before).then(|| Contact { version: before.version + 1, ..after })
    }
}

#[cfg(test)]
mod tests;
