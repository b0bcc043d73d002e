//! Lists and searches over many interactions on the local engine: 20,000, or as many as `MANY` says, put straight into
//! the table (`infra/local/seeding.py`). What pages take is printed, not tested:
//!
//! ```sh
//! MANY=1000000 cargo test -p local --test api many_interactions -- --nocapture
//! ```
//!
//! The engine's queries begin at their page's place (`infra/local/queries.py`), so a page takes as long at any number.
//! A million interactions take 7 GB of memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use domain::effect::InteractionKey;
use domain::fixtures;
use domain::ids::{AccountId, ContactId};
use domain::interaction::{Interaction, Status};
use domain::message::Message;
use domain::row::{Filter, Listing, Position, Row, Span, State};
use domain::search::{Document, Names, SearchInput};
use domain::tag::Tag;
use engine::ports::{Lists, PortError, Rows, RowsWanted};
use futures_util::stream::{self, StreamExt};
use search::{Found, ListQuery, SearchQuery, find, list};
use store::Interactions;
use ulid::Ulid;

use super::*;

/// How many items are handed over at once: 7 MB.
const BATCH: usize = 5_000;

/// How many there are unless somebody says otherwise.
const USUAL: usize = 20_000;

fn how_many() -> usize {
    std::env::var("MANY").ok().and_then(|many| many.parse().ok()).unwrap_or(USUAL)
}

/// The interaction `number`: one in 20 archived, one in 500 a VIP's.
fn interaction(of: &AccountId, number: usize) -> Interaction {
    let opened = Timestamp::from_millisecond(1_772_000_000_000 + i64::try_from(number).unwrap() * 7_777).unwrap();
    let tag = if number.is_multiple_of(500) { "VIP" } else { "delivery" };
    Interaction {
        id: InteractionId::from_ulid(Ulid::from_parts(u64::try_from(opened.as_millisecond()).unwrap(), number as u128)),
        account: of.clone(),
        contact: ContactId::from_ulid(Ulid(number as u128)),
        archived: number % 20 == 1,
        tags: vec![Tag::parse(tag).unwrap()],
        customer_name: Some(ProfileName(format!("Zoë {number}"))),
        ..fixtures::interaction(Status::Closed, opened)
    }
}

/// Its item, as a commit writes it.
fn item(interaction: &Interaction) -> serde_dynamo::Item {
    let Listing { shelf, position, row } = Listing::of(interaction).unwrap();
    serde_dynamo::to_item(json!({
        "pk": format!("CONV#{}#{}", interaction.account, interaction.contact), "sk": format!("INT#{}", interaction.id), "v": 1,
        "version": interaction.version, "data": interaction, "list_of": shelf.key(), "listed": position.key(), "row": row
    }))
    .unwrap()
}

/// The table, with the queries for rows counted. A client repeats those that a busy engine answers late.
struct Counting<'a>(&'a Interactions, AtomicUsize);

impl Lists for Counting<'_> {
    async fn rows(&self, wanted: RowsWanted<'_>) -> Result<Rows, PortError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.rows(wanted).await
    }

    async fn open_now(&self, account: &AccountId, before: Option<&InteractionId>, most: usize) -> Result<Vec<InteractionKey>, PortError> {
        self.0.open_now(account, before, most).await
    }

    async fn interactions_now(&self, places: &[InteractionKey]) -> Result<Vec<Interaction>, PortError> {
        self.0.interactions_now(places).await
    }

    async fn thread(&self, interaction: &Interaction) -> Result<Vec<Message>, PortError> {
        Lists::thread(self.0, interaction).await
    }

    async fn latest_message(&self, interaction: &Interaction) -> Result<Option<Message>, PortError> {
        self.0.latest_message(interaction).await
    }

    async fn documents(&self, interactions: &[InteractionId]) -> Result<Vec<Document>, PortError> {
        Lists::documents(self.0, interactions).await
    }
}

impl Desk {
    async fn fill(&self, many: usize) {
        let began = Instant::now();
        let (engine, http) = (local::engine::Engine::shared().await.unwrap(), local::http());
        let key = self.deployment.env.required("AWS_ACCESS_KEY_ID").unwrap();
        let signed = format!("AWS4-HMAC-SHA256 Credential={key}/20261127/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0");
        // The next ones are made while the engine takes these.
        let made = stream::iter((0..many).step_by(BATCH)).map(|first| {
            let account = self.account.id.clone();
            tokio::task::spawn_blocking(move || {
                let rows: Vec<_> = (first..many.min(first + BATCH)).map(|number| item(&interaction(&account, number))).collect();
                json!({"TableName": "interactions", "Rows": rows}).to_string()
            })
        });
        let mut made = std::pin::pin!(made.buffered(2));
        while let Some(rows) = made.next().await {
            let put = http.post(&engine.endpoint).header("x-amz-target", "DynamoDB_20120810.ImportTable").header("authorization", &signed);
            let answer = put.header("content-type", "application/x-amz-json-1.0").body(rows.unwrap()).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
        }
        eprintln!("{many} interactions are there after {} s", began.elapsed().as_secs());
    }

    /// The time after which half of the timed pages were there, and 95 in 100 of them, in milliseconds.
    async fn timed(&self, many: usize, of_page: impl AsyncFn(Timestamp)) -> (u128, u128) {
        // Too few to tell of one in 20 take less of the time of all tests.
        let pages = if many > USUAL { 200 } else { 10 };
        let mut times: Vec<u128> = Vec::new();
        for page in 0..pages {
            let from = interaction(&self.account.id, (many - 1) / pages * (pages - page)).opened_at;
            let began = Instant::now();
            of_page(from).await;
            times.push(began.elapsed().as_millis());
        }
        times.sort_unstable();
        (times[pages / 2], times[pages * 95 / 100])
    }

    /// A page, and how many queries it took.
    async fn page(&self, query: &ListQuery) -> (Found, usize) {
        let counting = Counting(&self.deployment.store, AtomicUsize::new(0));
        let found = list(&counting, std::slice::from_ref(&self.account.id), query).await.unwrap();
        (found, counting.1.into_inner())
    }
}

fn of(filter: Filter) -> ListQuery {
    ListQuery { account: None, filter, span: Span::default(), after: None, limit: 50 }
}

fn tagged(tag: &str) -> Filter {
    Filter { tags: vec![Tag::parse(tag).unwrap()], ..Filter::default() }
}

#[tokio::test]
async fn pages_and_searches_over_many_interactions_look_at_as_few_rows_as_they_say() {
    let desk = Desk::open("MANYS", 5).await;
    let many = how_many();
    desk.fill(many).await;
    let account = &desk.account.id;
    let shown = |filter: Filter, most: usize| -> Vec<InteractionId> {
        let all = (0..many).rev().map(|number| interaction(account, number));
        all.filter(|one| filter.matches(&Row::of(one))).map(|one| one.id).take(most).collect()
    };
    let ids = |found: &Found| found.interactions.iter().map(|one| one.id.clone()).collect::<Vec<_>>();

    let (found, queries) = desk.page(&of(Filter::default())).await;
    assert_eq!((ids(&found), queries, found.scanned), (shown(Filter::default(), 50), 4, 200));
    let archived = Filter { state: Some(State::Archived), ..Filter::default() };
    let (found, queries) = desk.page(&of(archived.clone())).await;
    assert_eq!((ids(&found), queries), (shown(archived.clone(), 50), 4));
    let (found, queries) = desk.page(&of(tagged("VIP"))).await;
    assert_eq!(ids(&found), shown(tagged("VIP"), found.interactions.len()));
    assert!(queries <= 3 * 4 && found.scanned <= 12_200, "{queries} queries, {} rows", found.scanned);

    // A filter that matches nothing ends.
    let began = Instant::now();
    let (mut query, mut scanned, mut pages) = (of(tagged("nobody has it")), 0, 0);
    loop {
        let (found, queries) = desk.page(&query).await;
        assert!(found.interactions.is_empty() && found.scanned <= 12_200 && queries <= 5 * 4, "{queries} queries");
        (scanned, pages) = (scanned + found.scanned, pages + 1);
        let Some(next) = found.next else { break };
        query.after = Some(next);
    }
    let took = began.elapsed().as_millis();
    eprintln!("a filter that matches nothing ends after {pages} pages and {scanned} rows, in {} ms a page", took / pages as u128);
    let listed = (0..many).filter(|number| number % 20 != 1).count();
    // What other shelves had brought from behind the end of a page is read again by the next one.
    assert!((listed..listed + 1_000 * pages).contains(&scanned), "{scanned} of {listed}");
    assert!((many / 12_700..=many / 12_000 + 1).contains(&pages), "{pages} pages");

    // A search comes to its end, however often it is cut off.
    let search = r#"{"conditions": [{"field": "tags", "operator": "equals", "value": "vip"}]}"#;
    let search = serde_json::from_str::<SearchInput>(search).unwrap().check().unwrap();
    let (mut query, mut matched, mut calls) = (SearchQuery { search, after: None, limit: 100 }, Vec::new(), 0);
    loop {
        // Each call is late as soon as it has got on by a little.
        let accounts = std::slice::from_ref(&desk.account.id);
        let hits = find(&desk.deployment.store, accounts, &Names::default(), &query, || true).await.unwrap();
        matched.extend(hits.interactions.into_iter().map(|one| one.id));
        calls += 1;
        let Some(next) = hits.next else { break };
        query.after = Some(next);
    }
    let vips = (0..many).rev().filter(|number| number.is_multiple_of(500));
    let vips: Vec<InteractionId> = vips.map(|number| interaction(account, number).id).collect();
    assert_eq!(matched, vips);

    eprintln!("a search comes to its end in {calls} calls");
    let asked = async |from: Timestamp| {
        let query = ListQuery { after: Some(Position::before_all(from)), ..of(Filter::default()) };
        desk.page(&query).await;
    };
    let (half, late) = desk.timed(many, asked).await;
    eprintln!("{many} interactions: a page of 50 is read in {half} ms, and in {late} ms in 95 of 100");
    let overseer = desk.overseer();
    let asked = async |from: Timestamp| {
        let (status, page) = overseer.get(&format!("/interactions?limit=50&to={from}")).await;
        assert_eq!(status, 200, "{page}");
    };
    let (half, late) = desk.timed(many, asked).await;
    eprintln!("{many} interactions: a page of 50 is answered in {half} ms, and in {late} ms in 95 of 100");
}
