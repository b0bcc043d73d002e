//! Reports over the store in memory: what is derived of sums before they are merged.

// Test helpers may panic, as tests do.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use domain::ids::{AccountId, AgentId, QueueId};
use domain::pricing::{Amount, Category, Currency, Market, Price, Priced, Prices, Terms};
use domain::report::{Cell, Counted, Dimension, Facts, Measure, Metric, Period, Quarter, ServiceLevel, Wanted};
use engine::memory::Memory;
use engine::ports::{FactOf, Reports};
use engine::reports::roll_up;
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use oversight::{Asked, By};
use ulid::Ulid;

fn account(number: u128) -> AccountId {
    AccountId::from_ulid(Ulid(number))
}

fn queue(number: u128) -> QueueId {
    QueueId::from_ulid(Ulid(number))
}

fn quarter(at: &str) -> Quarter {
    Quarter::of(at.parse::<Timestamp>().unwrap())
}

/// Reports that hold what was counted, in which quarter-hour, on which account.
async fn holding(all: Vec<(u128, &str, Counted)>) -> Memory {
    let memory = Memory::new();
    for (number, (on, at, counted)) in all.into_iter().enumerate() {
        let facts = Facts { quarter: quarter(at), counted: vec![counted] };
        memory.put_facts(&account(on), FactOf::Ai(&number.to_string()), &facts).await.unwrap();
        roll_up(&memory, &account(on), facts.quarter).await.unwrap();
    }
    memory
}

fn asked(by: By, metrics: &[Metric]) -> Asked {
    let (first, end) = (quarter("2026-06-30T00:00:00Z"), quarter("2026-07-02T00:00:00Z"));
    let moment = |day| domain::report::Moment::Day(day);
    let wanted = Wanted { zone: TimeZone::UTC, from: moment(date(2026, 6, 30)), to: moment(date(2026, 7, 1)), period: Period::Day };
    Asked {
        accounts: vec![account(1), account(2)],
        agents: Vec::new(),
        by,
        only: None,
        periods: Some(wanted.calendar(first, end)),
        first,
        end,
        metrics: metrics.to_vec(),
        service_level: None,
        levels: BTreeMap::new(),
        prices: Prices::default(),
        now: end.starts(),
    }
}

async fn total(asked: &Asked, memory: &Memory) -> Vec<Cell> {
    asked.report(memory).await.unwrap().unwrap().total
}

fn answered(on: u128, milliseconds: u64) -> Counted {
    Counted { queue: Some(queue(on)), ..Counted::of(Measure::Answered, milliseconds) }
}

#[tokio::test]
async fn an_account_is_judged_by_the_limits_of_its_queues_and_by_one_for_all_if_that_is_asked_for() {
    let at = "2026-06-30T10:00:00Z";
    let memory = holding(vec![
        (1, at, answered(1, 10_000)),
        (1, at, answered(1, 50_000)),
        (1, at, answered(2, 50_000)),
        (2, "2026-07-01T10:00:00Z", answered(2, 100_000)),
        (2, "2026-07-01T10:00:00Z", answered(3, 70_000)),
    ])
    .await;
    let level = |by| asked(by, &[Metric::Answered, Metric::ServiceLevel]);
    let own = |by| {
        let levels = [(queue(1), 20), (queue(2), 120)].map(|(queue, seconds)| (queue.to_string(), ServiceLevel::new(seconds).unwrap()));
        Asked { levels: levels.into(), ..level(by) }
    };
    let cells = |count, share| vec![Cell::Count(count), Cell::Number(share)];
    for by in [By::Total, By::Each(Dimension::Account), By::Each(Dimension::Queue)] {
        // In time: 10 s of 20; 50 s and 100 s of 120. Not: 50 s of 20; 70 s of the usual 60.
        assert_eq!(total(&own(by), &memory).await, cells(5, 0.6), "{by:?}");
        // All of them within 60 s: 10, 50, 50. Within 120 s all.
        assert_eq!(total(&level(by), &memory).await, cells(5, 0.6), "{by:?}");
        let lax = Asked { service_level: Some(ServiceLevel::new(120).unwrap()), ..own(by) };
        assert_eq!(total(&lax, &memory).await, cells(5, 1.0), "{by:?}");
    }
    let rows = own(By::Each(Dimension::Queue)).report(&memory).await.unwrap().unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.total[1]).collect::<Vec<_>>(), [0.5, 1.0, 0.0].map(Cell::Number));
    let rows = own(By::Each(Dimension::Account)).report(&memory).await.unwrap().unwrap().rows;
    let parts: Vec<_> = rows.iter().flat_map(|row| &row.parts).map(|part| part.values.clone()).collect();
    assert_eq!(parts, [cells(3, 0.667), cells(2, 0.5)]);
}

#[tokio::test]
async fn a_message_costs_what_the_table_says_of_its_own_day() {
    let priced = Priced { category: Category::Utility, market: Market::parse("+39").unwrap(), terms: Terms::Table };
    let agent = AgentId::from_ulid(Ulid(1));
    let sent = || Counted { agent: Some(agent.clone()), queue: Some(queue(1)), ..Counted::of(Measure::Message(priced), 1) };
    let memory =
        holding(vec![(1, "2026-06-30T23:45:00Z", sent()), (1, "2026-07-01T00:00:00Z", sent()), (2, "2026-07-01T00:00:00Z", sent())]).await;
    let price = |amount, from| Price {
        category: Category::Utility,
        market: None,
        amount: Amount::parse(amount).unwrap(),
        currency: Currency::EUR,
        from,
    };
    let prices = Prices { prices: vec![price("0.03", None), price("0.05", Some(date(2026, 7, 1)))], ..Prices::default() };
    let metrics = [Metric::DeliveredMessages, Metric::UnpricedMessages, Metric::Cost];
    for by in [By::Total, By::Each(Dimension::Account), By::Each(Dimension::Agent), By::Each(Dimension::Queue)] {
        let asked = |prices: &Prices| Asked { prices: prices.clone(), ..asked(by, &metrics) };
        assert_eq!(total(&asked(&prices), &memory).await, [Cell::Count(3), Cell::Count(0), Cell::Number(0.13)], "{by:?}");
        // Without a price nothing is told of their cost, not that it is nothing.
        assert_eq!(total(&asked(&Prices::default()), &memory).await, [Cell::Count(3), Cell::Count(3), Cell::Nothing], "{by:?}");
    }
}
