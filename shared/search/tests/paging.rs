//! Pages of lists over the store in memory: what matches throughout is shown once, in order, whatever happens between
//! the pages; and a filter that matches little ends.

// Test helpers may panic, as tests do.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use domain::fixtures;
use domain::ids::{AccountId, ContactId, InteractionId, MessageId};
use domain::interaction::{Interaction, Status};
use domain::message::{Content, Message};
use domain::row::{Filter, Listing, Position, Span, State};
use domain::search::{Facts, Names, SearchInput, Subject};
use domain::tag::Tag;
use engine::memory::Memory;
use engine::ports::{Commit, Committed, Store};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use search::{ListQuery, SearchQuery, find, list};
use ulid::Ulid;

fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn account(number: u128) -> AccountId {
    AccountId::from_ulid(Ulid(number))
}

/// The interaction `number`, opened so many seconds after the start. Several may be opened at one instant, and an id
/// may be a little younger or older than the time of opening.
fn interaction(number: usize, of: u128, second: u64) -> Interaction {
    let opened = start() + SignedDuration::from_secs(i64::try_from(second).unwrap());
    let made = u64::try_from(opened.as_millisecond()).unwrap() + (number as u64 * 7_919) % 4_000 - 2_000;
    Interaction {
        id: InteractionId::from_ulid(Ulid::from_parts(made, number as u128)),
        account: account(of),
        contact: ContactId::from_ulid(Ulid(number as u128)),
        ..fixtures::interaction(Status::Open, opened)
    }
}

fn write(before: Option<Interaction>, after: Interaction) -> Commit {
    Commit::plain(before, after)
}

async fn commit(memory: &Memory, before: Option<Interaction>, after: Interaction) {
    assert_eq!(memory.commit(write(before, after)).await.unwrap(), Committed::Done);
}

/// A change of an interaction: what people do.
fn changed(before: &Interaction, what: u8, step: usize) -> Interaction {
    let mut after = before.clone();
    after.version += 1;
    let now = start() + SignedDuration::from_millis(i64::try_from(step).unwrap());
    match what % 5 {
        0 if before.status == Status::Open => (after.status, after.closed_at) = (Status::Closed, Some(now)),
        1 => after.unread = !after.unread,
        2 if before.status == Status::Closed => after.archived = !after.archived,
        3 => match after.tags.is_empty() {
            true => after.tags.push(Tag::parse("VIP").unwrap()),
            false => after.tags.clear(),
        },
        _ if before.status == Status::Closed && !before.archived => (after.status, after.closed_at) = (Status::Open, None),
        _ => after.unread = false,
    }
    after
}

/// The filters of the tests: none, those of one state, and those that leave most out.
fn filter(number: u8) -> Filter {
    let vip = vec![Tag::parse("VIP").unwrap()];
    match number % 6 {
        0 => Filter::default(),
        1 => Filter { state: Some(State::Open), ..Filter::default() },
        2 => Filter { state: Some(State::Closed), ..Filter::default() },
        3 => Filter { state: Some(State::Archived), ..Filter::default() },
        4 => Filter { tags: vip, ..Filter::default() },
        _ => Filter { state: Some(State::Open), unread: Some(true), tags: vip, ..Filter::default() },
    }
}

fn place(interaction: &Interaction) -> Position {
    Listing::of(interaction).unwrap().position
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_matches_throughout_is_shown_once_and_in_order_whatever_happens_between_the_pages(
        opened in prop::collection::vec((1..3_u128, 0..400_u64), 1..60),
        before in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..80),
        between in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..80),
        asked in (0..6_u8, 1..7_usize, prop::option::of(0..400_i64), prop::option::of(0..400_i64)),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let memory = Memory::new();
            let (which, limit, from, until) = asked;
            let second = |second: i64| start() + SignedDuration::from_secs(second);
            let span = Span { from: from.map(second), until: until.map(second) };
            let mut query = ListQuery { account: None, filter: filter(which), span, after: None, limit };
            let wanted = query.filter.clone();
            let shows = |one: &Interaction| wanted.matches(&Listing::of(one).unwrap().row) && span.has(one.opened_at);
            let mut all: BTreeMap<usize, Interaction> = BTreeMap::new();
            for (number, (of, second)) in opened.iter().enumerate() {
                let interaction = interaction(number, *of, *second);
                commit(&memory, None, interaction.clone()).await;
                all.insert(number, interaction);
            }
            let change = async |all: &mut BTreeMap<usize, Interaction>, number: usize, what: u8| {
                let before = all[&number].clone();
                let after = changed(&before, what, 0);
                commit(&memory, Some(before), after.clone()).await;
                all.insert(number, after);
            };
            for (number, what) in &before {
                change(&mut all, number.index(opened.len()), *what).await;
            }
            let matching = |all: &BTreeMap<usize, Interaction>| all.values().filter(|one| shows(one)).map(|one| one.id.clone()).collect::<BTreeSet<_>>();
            let mut throughout = matching(&all);
            let mut changes = between.into_iter();
            let (mut shown, mut pages): (Vec<Position>, usize) = (Vec::new(), 0);
            loop {
                let found = list(&memory, &[account(1), account(2)], &query).await.unwrap();
                assert!(found.interactions.len() <= limit && found.interactions.iter().all(&shows));
                shown.extend(found.interactions.iter().map(place));
                query.after = found.next;
                pages += 1;
                if query.after.is_none() {
                    break;
                }
                assert!(pages < 500, "the pages never end");
                for (number, what) in changes.by_ref().take(3) {
                    change(&mut all, number.index(opened.len()), what).await;
                    throughout = throughout.intersection(&matching(&all)).cloned().collect();
                }
            }
            assert!(shown.windows(2).all(|pair| pair[0] > pair[1]), "newest first, and nothing twice: {shown:?}");
            let shown: BTreeSet<InteractionId> = shown.iter().map(|place| place.interaction().clone()).collect();
            assert!(throughout.is_subset(&shown), "something was skipped");
        });
    }
}

#[tokio::test]
async fn a_filter_that_matches_nothing_ends_and_looks_at_12000_rows_a_page_at_most() {
    let memory = Memory::new();
    for number in 0..14_000 {
        commit(&memory, None, interaction(number, 1, number as u64 / 10)).await;
    }
    let filter = Filter { tags: vec![Tag::parse("VIP").unwrap()], ..Filter::default() };
    let mut query = ListQuery { account: None, filter, span: Span::default(), after: None, limit: 50 };
    let first = list(&memory, &[account(1)], &query).await.unwrap();
    assert!(first.interactions.is_empty() && first.next.is_some());
    assert!((12_000..=12_200).contains(&first.scanned), "{}", first.scanned);
    query.after = first.next;
    let second = list(&memory, &[account(1)], &query).await.unwrap();
    assert!(second.interactions.is_empty() && second.next.is_none() && second.scanned < 3_000);
}

/// Searches of the tests: by rows, by the text of messages, by either.
fn searches() -> [SearchInput; 4] {
    [
        r#"{"conditions": [{"field": "tags", "operator": "equals", "value": "vip"}]}"#,
        r#"{"conditions": [{"field": "text", "operator": "contains", "value": "PERCHE"}]}"#,
        r#"{"match": "any", "conditions": [{"field": "text", "operator": "contains", "value": "ieri"}, {"field": "status", "operator": "equals", "value": "archived"}]}"#,
        r#"{"conditions": [{"field": "text", "operator": "contains", "value": "x", "disabled": true}]}"#,
    ]
    .map(|text| serde_json::from_str(text).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_search_that_is_always_late_still_comes_to_its_end_and_finds_what_matches(
        opened in prop::collection::vec((1..3_u128, 0..400_u64, 0..4_usize), 1..60),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..80),
        which in 0..4_usize,
        limit in 1..9_usize,
        // A document is written after so many changes, if ever.
        archived in prop::collection::vec((any::<prop::sample::Index>(), 0..80_usize), 0..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (memory, names) = (Memory::new(), Names::default());
            let mut all: Vec<(Interaction, Vec<Message>)> = Vec::new();
            for (number, (of, second, text)) in opened.iter().enumerate() {
                let interaction = interaction(number, *of, *second);
                let body = ["Perché no?", "Arriva ieri", "Grazie", "perche, ieri"][*text].to_owned();
                let message = Message {
                    id: MessageId::from_ulid(Ulid(number as u128)),
                    interaction: interaction.id.clone(),
                    content: Content::Text { body },
                    ..fixtures::message(interaction.opened_at)
                };
                let written = Commit { messages: vec![(message.clone(), Vec::new())], ..write(None, interaction.clone()) };
                assert_eq!(memory.commit(written).await.unwrap(), Committed::Done);
                all.push((interaction, vec![message]));
            }
            for (step, (number, what)) in changes.iter().enumerate() {
                let (changing, said) = &mut all[number.index(opened.len())];
                let after = changed(changing, *what, step);
                // Who reopens an interaction writes on in it, so an older document has not all of its text.
                let reopens = changing.status == Status::Closed && after.status == Status::Open;
                let message = reopens.then(|| Message {
                    id: MessageId::from_ulid(Ulid(1_000 + step as u128)),
                    content: Content::Text { body: ["perche, ieri", "Ieri"][step % 2].to_owned() },
                    ..said[0].clone()
                });
                said.extend(message.clone());
                let messages = message.map(|message| (message, Vec::new())).into_iter().collect();
                let written = Commit { messages, ..write(Some(changing.clone()), after.clone()) };
                assert_eq!(memory.commit(written).await.unwrap(), Committed::Done);
                *changing = after;
                for (number, _) in archived.iter().filter(|(_, at)| *at == step) {
                    memory.archive(&all[number.index(opened.len())].0.id);
                }
            }
            let search = searches()[which].check().unwrap();
            let matches = |(interaction, messages): &&(Interaction, Vec<Message>)| {
                let Listing { position, row, .. } = Listing::of(interaction).unwrap();
                let facts = Facts::of(interaction, messages);
                let (account, contact) = (&interaction.account, &interaction.contact);
                search.matches(&Subject { position: &position, account, contact, row: &row, facts: Some(&facts) }, &names)
            };
            let mut expected: Vec<Position> = all.iter().filter(matches).map(|(interaction, _)| place(interaction)).collect();
            expected.sort_by(|one, other| other.cmp(one));
            let mut query = SearchQuery { search: search.clone(), after: None, limit };
            let (mut found, mut calls) = (Vec::new(), 0);
            loop {
                let hits = find(&memory, &[account(1), account(2)], &names, &query, || true).await.unwrap();
                assert!(hits.interactions.len() <= limit);
                found.extend(hits.interactions.iter().map(place));
                let Some(next) = hits.next else { break };
                // As a client sends it back, for this search alone.
                let cursor = query.next(&next);
                assert_eq!(SearchQuery::place(&searches()[(which + 1) % 4].check().unwrap(), &cursor), None);
                query.after = SearchQuery::place(&search, &cursor);
                assert!(query.after.is_some());
                calls += 1;
                assert!(calls < 500, "the search never ends");
            }
            assert_eq!(found, expected);
        });
    }
}
