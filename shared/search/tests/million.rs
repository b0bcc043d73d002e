//! Lists and searches over many interactions, counted: 20,000, or as many as `MANY` says. They are made up when they
//! are read, so a million takes no memory. What is counted does not depend on the machine.
//!
//! ```sh
//! MANY=1000000 cargo test -p search --test million -- --nocapture
//! ```

// Test helpers may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use domain::effect::InteractionKey;
use domain::fixtures;
use domain::ids::{AccountId, AgentId, ContactId, InteractionId, MessageId};
use domain::inbound::ProfileName;
use domain::interaction::{Interaction, LastMessage, Status};
use domain::message::{Author, Content, Message};
use domain::row::{Filter, Listing, Position, Row, Shelf, Span, State};
use domain::search::{Document, Names, Search, SearchInput};
use domain::tag::Tag;
use domain::values::{Address, E164};
use engine::ports::{Lists, PortError, Rows, RowsWanted};
use jiff::{SignedDuration, Timestamp};
use search::{ListQuery, SearchQuery, find, list};
use ulid::Ulid;

/// The bytes that DynamoDB reads in one query.
const QUERY: usize = 1024 * 1024;

/// The bytes of a read unit. Reads that may lag cost half of one.
const UNIT: usize = 4096;

/// The threads that a call of a search reads in its five seconds: 250 a second, with 16 under way at 60 ms.
const THREADS_A_CALL: usize = 1_250;

/// The documents that a call reads: 5,000 a second, 200 µs of a processor each. A third of one is what 512 MB have.
const DOCUMENTS_A_CALL: usize = 25_000;

/// The text that one in 5,000 customers wrote.
const RARE: &str = "Perché  così TARDI?";

fn many() -> usize {
    std::env::var("MANY").ok().and_then(|many| many.parse().ok()).unwrap_or(20_000)
}

/// What was asked.
#[derive(Debug, Clone, Default, PartialEq)]
struct Asked {
    /// Queries for rows, by shelf.
    rows: BTreeMap<Shelf, usize>,
    /// Rows that were looked at: `ScannedCount`.
    scanned: usize,
    /// Interactions and threads that were read.
    interactions: usize,
    threads: usize,
    /// Documents that were read.
    documents: usize,
    /// Twice the read units.
    half_units: usize,
}

impl Asked {
    fn most_of_a_shelf(&self) -> usize {
        self.rows.values().copied().max().unwrap_or_default()
    }

    fn queries(&self) -> usize {
        self.rows.values().sum()
    }

    fn told(&self, what: &str, calls: usize) {
        let units = self.half_units as f64 / 2.0;
        println!(
            "{what:<46} {calls:>6} calls {:>8} row queries {:>9} rows {:>8} interactions {:>8} threads {:>8} documents {units:>10.1} R ${:.5}",
            self.queries(),
            self.scanned,
            self.interactions,
            self.threads,
            self.documents,
            units * 0.125 / 1e6
        );
    }
}

/// An account's interactions over three months.
struct Made {
    many: usize,
    /// Whether closed interactions have documents.
    documented: bool,
    /// The numbers of the interactions of each shelf, oldest first.
    shelves: BTreeMap<Shelf, Vec<usize>>,
    asked: Mutex<Asked>,
}

fn account() -> AccountId {
    AccountId::from_ulid(Ulid(1))
}

fn start() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

impl Made {
    fn new() -> Self {
        let mut made = Self { many: many(), documented: false, shelves: BTreeMap::new(), asked: Mutex::default() };
        for number in 0..made.many {
            let shelf = Listing::of(&made.interaction(number)).unwrap().shelf;
            made.shelves.entry(shelf).or_default().push(number);
        }
        made
    }

    fn opened(&self, number: usize) -> Timestamp {
        let all = 90 * 24 * 60 * 60 * 1_000_i64;
        let many = i64::try_from(self.many).unwrap();
        start() + SignedDuration::from_millis(all / many * i64::try_from(number).unwrap())
    }

    fn interaction(&self, number: usize) -> Interaction {
        let opened = self.opened(number);
        let status = if number.is_multiple_of(1_000) { Status::Open } else { Status::Closed };
        let tag = ["delivery", "invoice", "returns"].get(number % 7).copied();
        let vip = number.is_multiple_of(500).then_some("VIP");
        let id = InteractionId::from_ulid(Ulid::from_parts(u64::try_from(opened.as_millisecond()).unwrap(), number as u128));
        Interaction {
            id,
            account: account(),
            contact: ContactId::from_ulid(Ulid(number as u128)),
            address: Address::Phone(E164::parse(&format!("+39350{number:07}")).unwrap()),
            customer_name: Some(ProfileName(format!("Zoë Rossi {number}"))),
            agent: Some(AgentId::from_ulid(Ulid(number as u128 % 50))),
            archived: status == Status::Closed && number % 20 == 1,
            disposition: Some("Order/Delayed".to_owned()),
            tags: tag.into_iter().chain(vip).map(|tag| Tag::parse(tag).unwrap()).collect(),
            unread: number.is_multiple_of(50),
            closed_at: (status == Status::Closed).then(|| opened + SignedDuration::from_mins(5)),
            last_message: Some(LastMessage { at: opened + SignedDuration::from_secs(90), from_customer: true }),
            ..fixtures::interaction(status, opened)
        }
    }

    fn number(&self, interaction: &InteractionId) -> usize {
        let since = interaction.made_at().duration_since(start()).as_millis();
        let step = self.opened(1).duration_since(start()).as_millis();
        usize::try_from(since / step).unwrap()
    }

    fn thread(&self, number: usize) -> Vec<Message> {
        let interaction = self.interaction(number);
        let rare = number % 5_000 == 7;
        let texts = ["Good morning, where is my order?", "I am looking it up.", "It arrives tomorrow.", if rare { RARE } else { "Thanks" }];
        let messages = (0..4_i64).zip(texts).map(|(place, text)| {
            let author = if place % 3 == 0 { Author::Customer } else { Author::Agent { agent: AgentId::from_ulid(Ulid(1)) } };
            let at = interaction.opened_at + SignedDuration::from_secs(place * 30);
            let id = MessageId::from_ulid(Ulid(number as u128 * 4 + u128::try_from(place).unwrap()));
            Message::new(id, interaction.id.clone(), at, author, Content::Text { body: text.to_owned() })
        });
        messages.collect()
    }

    fn asked<T>(&self, what: impl FnOnce(&mut Asked) -> T) -> T {
        what(&mut self.asked.lock().unwrap())
    }

    fn took(&self) -> Asked {
        self.asked(std::mem::take)
    }

    /// All that a filter shows, newest first.
    fn shown(&self, filter: &Filter) -> Vec<InteractionId> {
        let all = (0..self.many).rev().map(|number| self.interaction(number));
        all.filter(|one| filter.matches(&Row::of(one))).map(|one| one.id).collect()
    }
}

/// The halves of a unit that reading so many bytes costs where it may lag.
fn halves(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

fn bytes(of: &impl serde::Serialize) -> usize {
    serde_json::to_vec(of).unwrap().len()
}

/// The keys of a row and of its item in the index: `pk`, `sk`, `list_of`, `listed`.
const KEYS: usize = 220;

impl Lists for Made {
    /// As DynamoDB does: rows until the limit or a megabyte, whatever the filter leaves of them.
    async fn rows(&self, wanted: RowsWanted<'_>) -> Result<Rows, PortError> {
        let RowsWanted { shelf, span, before, filter, most } = wanted;
        let numbers = self.shelves.get(shelf).map(Vec::as_slice).unwrap_or_default();
        let end = before.map_or(numbers.len(), |before| {
            numbers.partition_point(|number| Listing::of(&self.interaction(*number)).unwrap().position < *before)
        });
        let (mut read, mut scanned, mut found, mut through) = (0, 0, Vec::new(), None);
        for number in numbers[..end].iter().rev() {
            if scanned == most || read >= QUERY {
                through = Some(Listing::of(&self.interaction(numbers[end - scanned])).unwrap().position);
                break;
            }
            let interaction = self.interaction(*number);
            let Listing { position, row, .. } = Listing::of(&interaction).unwrap();
            read += bytes(&row) + KEYS;
            scanned += 1;
            if span.has(position.opened_at()) && filter.matches(&row) {
                found.push((interaction.key(), position, row));
            }
        }
        self.asked(|asked| {
            *asked.rows.entry(shelf.clone()).or_default() += 1;
            asked.scanned += scanned;
            asked.half_units += halves(read).max(1);
        });
        Ok(Rows { found, through, scanned })
    }

    async fn open_now(&self, _: &AccountId, before: Option<&InteractionId>, most: usize) -> Result<Vec<InteractionKey>, PortError> {
        let open = (0..self.many).rev().map(|number| self.interaction(number)).filter(Interaction::is_open);
        Ok(open.filter(|one| before.is_none_or(|before| one.id < *before)).map(|one| one.key()).take(most).collect())
    }

    async fn interactions_now(&self, places: &[InteractionKey]) -> Result<Vec<Interaction>, PortError> {
        let read: Vec<Interaction> = places.iter().map(|place| self.interaction(self.number(&place.interaction))).collect();
        self.asked(|asked| {
            asked.interactions += read.len();
            asked.half_units += read.iter().map(|one| 2 * halves(bytes(one) + KEYS)).sum::<usize>();
        });
        Ok(read)
    }

    async fn thread(&self, interaction: &Interaction) -> Result<Vec<Message>, PortError> {
        let thread = Made::thread(self, self.number(&interaction.id));
        self.asked(|asked| {
            asked.threads += 1;
            asked.half_units += 2 * halves(thread.iter().map(|message| bytes(message) + KEYS).sum());
        });
        Ok(thread)
    }

    async fn latest_message(&self, interaction: &Interaction) -> Result<Option<Message>, PortError> {
        Ok(Made::thread(self, self.number(&interaction.id)).pop())
    }

    async fn documents(&self, interactions: &[InteractionId]) -> Result<Vec<Document>, PortError> {
        assert!(interactions.len() <= 100, "a batch of DynamoDB");
        let numbers = interactions.iter().filter(|_| self.documented).map(|id| self.number(id));
        let documents = numbers.filter_map(|number| Document::of(&self.interaction(number), &Made::thread(self, number)));
        let documents: Vec<Document> = documents.collect();
        self.asked(|asked| {
            asked.documents += documents.len();
            // One that is missing costs half a unit too.
            asked.half_units += interactions.len() - documents.len();
            asked.half_units += documents.iter().map(|document| halves(bytes(document) + KEYS)).sum::<usize>();
        });
        Ok(documents)
    }
}

fn of(filter: Filter) -> ListQuery {
    ListQuery { account: None, filter, span: Span::default(), after: None, limit: 50 }
}

fn tagged(tag: &str) -> Filter {
    Filter { tags: vec![Tag::parse(tag).unwrap()], ..Filter::default() }
}

fn search(condition: &str) -> Search {
    serde_json::from_str::<SearchInput>(&format!(r#"{{"conditions": [{condition}]}}"#)).unwrap().check().unwrap()
}

#[tokio::test]
async fn a_page_asks_each_shelf_three_times_at_most_however_much_there_is() {
    let made = Made::new();
    let filters = [
        ("a page of 50", Filter::default(), 1),
        ("a page of 50 with a tag of one in seven", tagged("invoice"), 3),
        ("a page of 50 with a tag of one in 500", tagged("VIP"), 3),
        ("a page of 50 archived ones", Filter { state: Some(State::Archived), ..Filter::default() }, 1),
    ];
    for (what, filter, most) in filters {
        let found = list(&made, &[account()], &of(filter.clone())).await.unwrap();
        let asked = made.took();
        asked.told(what, 1);
        let shown: Vec<InteractionId> = found.interactions.iter().map(|one| one.id.clone()).collect();
        assert_eq!(shown, made.shown(&filter)[..shown.len()], "{what}");
        assert!(shown.len() == 50 || found.next.is_some() || made.shown(&filter).len() < 50, "{what}");
        assert!(asked.most_of_a_shelf() <= most && asked.rows.len() == 4, "{what}: {asked:?}");
        assert!(asked.scanned == found.scanned && asked.scanned <= 12_200, "{what}: {}", asked.scanned);
        // The interactions that are shown, and hardly any other.
        assert!(asked.interactions <= 50, "{what}: {}", asked.interactions);
    }
}

#[tokio::test]
async fn all_pages_show_everything_once_and_in_order() {
    let made = Made::new();
    let wanted = Filter { unread: Some(true), ..Filter::default() };
    let (mut query, mut shown, mut pages) = (of(wanted.clone()), Vec::new(), 0);
    loop {
        let found = list(&made, &[account()], &query).await.unwrap();
        shown.extend(found.interactions.into_iter().map(|one| one.id));
        pages += 1;
        let Some(next) = found.next else { break };
        query.after = Some(next);
    }
    made.took().told("all pages of one in fifty", pages);
    assert_eq!(shown, made.shown(&wanted));
}

#[tokio::test]
async fn a_filter_that_matches_nothing_ends_and_says_so() {
    let made = Made::new();
    let (mut query, mut pages) = (of(tagged("nobody has it")), 0);
    loop {
        let found = list(&made, &[account()], &query).await.unwrap();
        pages += 1;
        assert!(found.interactions.is_empty() && found.scanned <= 12_200, "{}", found.scanned);
        let Some(next) = found.next else { break };
        query.after = Some(next);
    }
    let asked = made.took();
    asked.told("a filter that matches nothing", pages);
    let archived = made.shown(&Filter { state: Some(State::Archived), ..Filter::default() }).len();
    assert!((made.many - archived..made.many + pages * 8).contains(&asked.scanned), "each row once: {}", asked.scanned);
    assert_eq!((asked.interactions, asked.threads), (0, 0));
    // DynamoDB reads 3,000 rows at once, and each page begins anew.
    let most = asked.scanned / 2_000 + pages * 12;
    assert!(asked.queries() <= most, "{} queries, not {most}", asked.queries());
    assert!(pages <= made.many / 11_000 + 1, "{pages} pages");
}

#[tokio::test]
async fn a_search_of_rows_reads_each_row_once_and_no_thread() {
    let made = Made::new();
    let search = search(r#"{"field": "tags", "operator": "equals", "value": "vip"}"#);
    let (mut query, mut found, mut calls) = (SearchQuery { search, after: None, limit: 100 }, 0, 0);
    loop {
        let hits = find(&made, &[account()], &Names::default(), &query, || false).await.unwrap();
        (found, calls) = (found + hits.interactions.len(), calls + 1);
        let Some(next) = hits.next else { break };
        query.after = Some(next);
    }
    let asked = made.took();
    asked.told("a search for a tag of one in 500", calls);
    let matching = (0..made.many).filter(|number| number.is_multiple_of(500)).count();
    assert_eq!((found, asked.interactions, asked.threads), (matching, matching, 0));
    // What a call had read beyond its last hit is read again by the next one.
    assert!(asked.scanned < made.many + calls * 8 * 3_250, "{}", asked.scanned);
}

/// Searches for a text to its end, in calls that are over after `most` of what `counts` counts. All are found, newest
/// first. Returns what was asked, in how many calls, and the numbers of those that were found.
async fn all_late_texts(made: &Made, named: &str, counts: fn(&mut Asked) -> usize, most: usize) -> (Asked, usize, Vec<usize>) {
    let search = search(r#"{"field": "text", "operator": "contains", "value": "perche cosi tardi"}"#);
    let (mut query, mut found, mut calls) = (SearchQuery { search, after: None, limit: 100 }, Vec::new(), 0);
    loop {
        let began = made.asked(counts);
        let late = || made.asked(counts) >= began + most;
        let hits = find(made, &[account()], &Names::default(), &query, late).await.unwrap();
        found.extend(hits.interactions.iter().map(|one| made.number(&one.id)));
        calls += 1;
        let Some(next) = hits.next else { break };
        query.after = Some(next);
    }
    let asked = made.took();
    asked.told(named, calls);
    let matching: Vec<usize> = (0..made.many).rev().filter(|number| number % 5_000 == 7).collect();
    assert_eq!(found, matching);
    (asked, calls, matching)
}

#[tokio::test]
async fn a_search_of_texts_is_resumed_to_its_end_and_finds_all() {
    let made = Made::new();
    let (asked, calls, _) = all_late_texts(&made, "a search for a text, by threads alone", |asked| asked.threads, THREADS_A_CALL).await;
    assert_eq!(asked.threads, made.many, "each thread once");
    let most = made.many / THREADS_A_CALL + 1;
    assert!(calls <= most, "{calls} calls, not {most}");
    // Each call reads the rows from its place on; what lies behind its end is read again by the next one.
    assert!(asked.scanned <= made.many + calls * 8 * 3_250, "{}", asked.scanned);
}

#[tokio::test]
async fn a_search_of_texts_reads_each_document_once_and_only_the_threads_of_open_interactions_and_hits() {
    let made = Made { documented: true, ..Made::new() };
    let (asked, calls, matching) = all_late_texts(&made, "a search for a text", |asked| asked.documents, DOCUMENTS_A_CALL).await;
    let open = (0..made.many).filter(|number| number.is_multiple_of(1_000)).count();
    assert_eq!(asked.threads, open + matching.len(), "the open ones, and the hits as they are now");
    // What a call has sifted behind its last hit is sifted again by the next one.
    assert!((made.many - open..made.many + calls * 1_600).contains(&asked.documents), "{} documents", asked.documents);
    assert!(calls <= made.many / DOCUMENTS_A_CALL + 1 + matching.len() / 100, "{calls} calls");
}

/// A page takes as long as the rows that it reads, not as long as there are interactions.
#[tokio::test]
async fn the_last_page_costs_what_the_first_one_does() {
    let made = Made::new();
    list(&made, &[account()], &of(Filter::default())).await.unwrap();
    let first = made.took();
    let query = ListQuery { after: Some(Position::before_all(made.opened(made.many / 10))), ..of(Filter::default()) };
    list(&made, &[account()], &query).await.unwrap();
    let last = made.took();
    last.told("a page of 50, far back", 1);
    assert_eq!(first.queries(), last.queries());
    assert!(last.half_units <= first.half_units + 8, "{last:?}");
}
