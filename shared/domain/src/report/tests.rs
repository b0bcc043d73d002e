use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use ulid::Ulid;

use super::*;
use crate::agent::PresenceWord;
use crate::effect::{Audience, Target};
use crate::history::Escalated;
use crate::history::{Fact, HistoryEntry, WaitEnd};
use crate::ids::{InteractionId, MessageId};
use crate::insights::{Sentiment, Summary};
use crate::interaction::Stage;
use crate::message::{Delivery, DeliveryState};
use crate::pricing::{Amount, Category, Charge, Market, Price, Prices, Rate, Terms};

fn account() -> AccountId {
    AccountId::from_ulid(Ulid::from_parts(1, 1))
}

fn agent(number: u64) -> AgentId {
    AgentId::from_ulid(Ulid::from_parts(0, number.into()))
}

fn queue(number: u64) -> QueueId {
    QueueId::from_ulid(Ulid::from_parts(0, number.into()))
}

fn ai_agent() -> AiAgentId {
    AiAgentId::from_ulid(Ulid::nil())
}

fn message() -> MessageId {
    MessageId::from_ulid(Ulid::nil())
}

/// A history of decisions: after how many seconds each was made, and what happened.
fn history(decisions: Vec<(i64, Vec<Fact>)>) -> Vec<HistoryEntry> {
    let entries = (1..).zip(decisions).flat_map(|(version, (seconds, facts))| {
        let at = Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        facts.into_iter().map(move |fact| HistoryEntry { at, version, role: None, fact })
    });
    entries.collect()
}

fn received() -> Fact {
    Fact::MessageReceived { message: message(), delivered: false }
}

fn sent(by: u64) -> Fact {
    Fact::MessageSent { message: message(), agent: agent(by) }
}

fn waits(number: u64) -> Fact {
    Fact::WaitStarted { stage: Stage::Step { index: 0, plan: 1 }, queue: Some(queue(number)), until: None }
}

fn wait_ends(why: WaitEnd) -> Fact {
    Fact::WaitEnded { stage: Stage::Step { index: 0, plan: 1 }, why, passed_over: Vec::new() }
}

fn rings(agents: &[u64]) -> Fact {
    let audience = Audience::Agents(agents.iter().copied().map(agent).collect());
    Fact::Offered { target: Target::Queue(queue(1)), audience, until: None, rung: Vec::new(), passed_over: Vec::new() }
}

fn accepted(by: u64) -> Fact {
    Fact::Accepted { agent: agent(by), queue: Some(queue(1)), previous: None }
}

fn closed(disposition: &str) -> Fact {
    Fact::Closed { agent: None, disposition: Some(disposition.to_owned()) }
}

fn summed(history: &[HistoryEntry]) -> Rollup {
    rollup(&account(), facts(history).values().flat_map(|facts| &facts.counted))
}

fn tally(rollup: &Rollup, dimension: Dimension, value: &str) -> Tally {
    rollup.get(&(dimension, value.to_owned())).cloned().unwrap_or_default()
}

#[test]
fn a_conversation_counts_for_its_account_its_queue_its_agent_and_its_disposition() {
    let of = summed(&history(vec![
        (0, vec![Fact::Opened, received(), waits(1)]),
        (5, vec![rings(&[1])]),
        (15, vec![Fact::OfferMissed { audience: Audience::Agents(vec![agent(1)]) }]),
        (16, vec![rings(&[2])]),
        (20, vec![accepted(2)]),
        (50, vec![sent(2)]),
        (60, vec![received()]),
        (100, vec![sent(2)]),
        (200, vec![Fact::CloseRequested { agent: agent(2), pause: "After-call work".into() }]),
        (230, vec![closed("Sold")]),
    ]));
    let all = tally(&of, Dimension::Account, account().as_str());
    let value = |metric: Metric, tally: &Tally| metric.of(&tally.clone().judged(ServiceLevel::default()));
    for (metric, expected) in [
        (Metric::Opened, Cell::Count(1)),
        (Metric::Abandoned, Cell::Count(0)),
        (Metric::Queued, Cell::Count(1)),
        (Metric::Answered, Cell::Count(1)),
        (Metric::ServiceLevel, Cell::Number(1.0)),
        (Metric::SpeedOfAnswer, Cell::Number(20.0)),
        (Metric::SpeedOfAnswerP90, Cell::Number(20.0)),
        (Metric::Offered, Cell::Count(2)),
        (Metric::Missed, Cell::Count(1)),
        (Metric::Accepted, Cell::Count(1)),
        (Metric::FirstResponse, Cell::Number(50.0)),
        (Metric::HandlingTime, Cell::Number(210.0)),
        (Metric::HeldTime, Cell::Number(180.0)),
        (Metric::WrapUpTime, Cell::Number(30.0)),
        // The first message waited for this agent since the accept.
        (Metric::ActiveTime, Cell::Number(70.0)),
        (Metric::CustomerMessages, Cell::Count(2)),
        (Metric::AgentMessages, Cell::Count(2)),
    ] {
        assert_eq!(value(metric, &all), expected, "{metric:?}");
    }
    let sales = tally(&of, Dimension::Queue, queue(1).as_str());
    assert_eq!((sales.count(Measure::Queued), sales.count(Measure::Handled), sales.count(Measure::Opened)), (1, 1, 0));
    let (first, second) = (tally(&of, Dimension::Agent, agent(1).as_str()), tally(&of, Dimension::Agent, agent(2).as_str()));
    assert_eq!((first.count(Measure::Missed), first.count(Measure::Handled)), (1, 0));
    assert_eq!((second.count(Measure::Missed), second.count(Measure::Handled)), (0, 1));
    assert_eq!(tally(&of, Dimension::Disposition, "Sold").count(Measure::Closed), 1);
}

#[test]
fn a_customer_whom_nobody_served_abandoned_the_account_unless_merged_or_turned_away() {
    let alone = vec![(0, vec![Fact::Opened, received(), waits(1)]), (70, vec![closed("Gone")])];
    let all = |decisions| tally(&summed(&history(decisions)), Dimension::Account, account().as_str());
    let left = all(alone.clone());
    assert_eq!(
        (left.count(Measure::Abandoned), left.count(Measure::AbandonedInQueue), left.total(Measure::AbandonedInQueue)),
        (1, 1, 70_000)
    );
    assert_eq!(Metric::ServiceLevel.of(&left.clone().judged(ServiceLevel::default())), Cell::Number(0.0));
    // Whoever leaves within the limit counts neither way.
    assert_eq!(Metric::ServiceLevel.of(&left.judged(ServiceLevel::new(90).unwrap())), Cell::Nothing);

    let merged = Fact::Merged { into: InteractionId::from_ulid(Ulid::nil()) };
    let merged = all(vec![alone[0].clone(), (70, vec![merged, closed("Merged")])]);
    assert_eq!((merged.count(Measure::Abandoned), merged.count(Measure::AbandonedInQueue), merged.count(Measure::FlowedOut)), (0, 0, 1));
    let refused = all(vec![(0, vec![Fact::Opened, received(), Fact::NotWhitelisted, closed("Not on the whitelist")])]);
    assert_eq!((refused.count(Measure::Closed), refused.count(Measure::Abandoned)), (1, 0));
    let aside = vec![Fact::Opened, closed(crate::decide::WRITTEN_ELSEWHERE), Fact::Noted { message: message() }];
    assert!(all(vec![(0, aside)]).is_empty(), "it is no conversation");
}

#[test]
fn an_agent_who_came_to_a_ringing_queue_was_offered_what_that_agent_answers() {
    let audience = Audience::Members { queue: queue(1), except: Vec::new() };
    let target = Target::Queue(queue(1));
    let all_ring = Fact::Offered { target, audience, until: None, rung: vec![agent(1)], passed_over: Vec::new() };
    let of = summed(&history(vec![
        (0, vec![Fact::Opened, received(), waits(1)]),
        (1, vec![all_ring]),
        (2, vec![Fact::Rejected { agent: agent(2) }]),
        (3, vec![accepted(3)]),
    ]));
    let of_agent = |number| {
        let tally = tally(&of, Dimension::Agent, agent(number).as_str());
        [Measure::Offered, Measure::Accepted, Measure::Rejected, Measure::Withdrawn].map(|measure| tally.count(measure))
    };
    assert_eq!([of_agent(1), of_agent(2), of_agent(3)], [[1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]]);
}

#[test]
fn a_wait_that_nobody_answers_flows_out_and_its_rings_are_missed() {
    let of = summed(&history(vec![
        (0, vec![Fact::Opened, received(), waits(1)]),
        (1, vec![rings(&[1])]),
        (30, vec![wait_ends(WaitEnd::TimedOut), waits(2)]),
        (90, vec![Fact::Picked { agent: agent(3) }]),
    ]));
    let (sales, support) = (tally(&of, Dimension::Queue, queue(1).as_str()), tally(&of, Dimension::Queue, queue(2).as_str()));
    assert_eq!((sales.count(Measure::FlowedOut), sales.count(Measure::Missed)), (1, 1));
    assert_eq!((support.count(Measure::Queued), support.total(Measure::Answered)), (1, 60_000));
}

#[test]
fn a_reopened_interaction_begins_anew_and_who_goes_on_keeps_the_hold() {
    let of = summed(&history(vec![
        (0, vec![Fact::Opened, received(), Fact::Picked { agent: agent(1) }]),
        (10, vec![closed("Sold")]),
        (20, vec![Fact::ReopenedFor { by: agent(2), to: Some(agent(1)) }]),
        (30, vec![accepted(1)]),
        (40, vec![Fact::Reassigned { by: agent(2), to: agent(3), previous: Some(agent(1)) }]),
        (50, vec![closed("Sold")]),
    ]));
    let handled = |number| {
        let tally = tally(&of, Dimension::Agent, agent(number).as_str());
        (tally.count(Measure::Handled), tally.total(Measure::Handled))
    };
    assert_eq!((handled(1), handled(3)), ((2, 30_000), (1, 10_000)));
    let all = tally(&of, Dimension::Account, account().as_str());
    assert_eq!((all.count(Measure::Reopened), all.count(Measure::Closed), all.count(Measure::FirstResponse)), (1, 2, 0));
}

#[test]
fn the_bounds_grow_by_a_quarter_at_most_and_have_the_limits_that_people_agree_on() {
    assert_eq!((BOUNDS[0], BOUNDS[BOUNDS.len() - 1]), (1_000, 7 * 24 * 3_600_000));
    for both in BOUNDS.windows(2) {
        assert!(both[0] < both[1] && both[1] * 4 <= both[0] * 5, "{both:?}");
    }
    for seconds in [15, 20, 25, 30, 45, 60, 90, 120, 180, 240, 300, 600] {
        assert!(is_bound(seconds * 1_000));
    }
}

/// What is stored names classes by their places: a bound that moves makes old numbers wrong.
#[test]
fn the_stored_form_stays() {
    let mut tally = Tally::default();
    for (measure, value) in [(Measure::Queued, 1), (Measure::Answered, 20_000), (Measure::Answered, 700_000_000), (Measure::Active, 5)] {
        tally.add(&Counted::of(measure, value));
    }
    let stored = r#"{"q":[1],"an":[2,700020000,[[15,1],[74,1]]],"at":[1,5]}"#;
    assert_eq!(serde_json::to_string(&tally).unwrap(), stored);
    assert_eq!(serde_json::from_str::<Tally>(stored).unwrap(), tally);
    let sum = tally.sum(Measure::Answered).unwrap();
    assert_eq!((sum.within(20_000), sum.within(17_000), sum.percentile(50), sum.percentile(51)), (1, 0, Some(20_000), Some(604_800_000)));
}

#[test]
fn names_of_measures_lead_back_and_are_never_the_same() {
    let priced = Priced { category: Category::Utility, market: Market::parse("+39").unwrap(), terms: Terms::Table };
    let all = NAMES.map(|(measure, _)| measure).into_iter().chain([Measure::AiCost(Currency::EUR), Measure::Message(priced)]);
    let names: Vec<String> = all.clone().map(String::from).collect();
    assert!(names.iter().zip(all).all(|(name, measure)| !name.is_empty() && Measure::try_from(name.clone()).ok() == Some(measure)));
    let different: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(different.len(), names.len());
    assert!(Measure::try_from("later".to_owned()).is_err());
}

#[test]
fn messages_and_calls_cost_what_the_table_says_of_their_day() {
    let priced = |category, terms| Measure::Message(Priced { category, market: Market::parse("+39").unwrap(), terms });
    let usd = Currency::parse("USD").unwrap();
    let mut tally = Tally::default();
    for (measure, value) in [
        (priced(Category::Utility, Terms::Table), 1),
        (priced(Category::Utility, Terms::Table), 1),
        (priced(Category::Service, Terms::Free), 1),
        (priced(Category::Marketing, Terms::Stated(Currency::EUR)), 70_000),
        (priced(Category::Template, Terms::Table), 1),
        (Measure::AiCost(usd), 500),
        (Measure::AiCost(Currency::EUR), 250),
    ] {
        tally.add(&Counted::of(measure, value));
    }
    let price = |amount, from| Price {
        category: Category::Utility,
        market: None,
        amount: Amount::parse(amount).unwrap(),
        currency: Currency::EUR,
        from,
    };
    let mut prices = Prices { prices: vec![price("0.03", None), price("0.04", Some(date(2026, 7, 1)))], ..Prices::default() };
    let of = |prices: &Prices, day| {
        let costed = tally.clone().costed(prices, day);
        let metrics = [
            Metric::DeliveredMessages,
            Metric::UtilityMessages,
            Metric::FreeMessages,
            Metric::OtherMessages,
            Metric::UnpricedMessages,
            Metric::Cost,
            Metric::AiCost,
        ];
        metrics.map(|metric| metric.of(&costed))
    };
    let counts = [5, 2, 1, 1, 1].map(Cell::Count);
    let expected = |cost, ai| [&counts[..], &[Cell::Number(cost), Cell::Number(ai)]].concat();
    assert_eq!(of(&prices, date(2026, 6, 30)).to_vec(), expected(0.13, 0.00025));
    assert_eq!(of(&prices, date(2026, 7, 1)).to_vec(), expected(0.15, 0.00025));
    prices.rates.push(Rate { currency: usd, rate: Amount::parse("0.9").unwrap() });
    assert_eq!(of(&prices, date(2026, 7, 1)).to_vec(), expected(0.15, 0.0007));
    assert_eq!(
        [Metric::Cost, Metric::AiCost].map(|metric| metric.of(&Tally::default().costed(&prices, date(2026, 7, 1)))),
        [Cell::Nothing; 2]
    );
}

#[test]
fn a_message_that_reached_the_customer_counts_for_its_account_its_agent_and_the_queue_that_the_agent_had_it_from() {
    let mut message = crate::fixtures::message(Timestamp::UNIX_EPOCH);
    message.author = Author::Agent { agent: agent(1) };
    message.queue = Some(queue(2));
    assert_eq!(Facts::of_message(&message), None);
    let delivery = |state| Delivery { state, since: Timestamp::MAX, error: None, attempts: 0, claim: None };
    message.delivery = Some(delivery(DeliveryState::Delivered));
    let facts = Facts::of_message(&message).unwrap();
    assert_eq!(facts.quarter, Quarter(0), "it counts when it was written");
    let of = rollup(&account(), &facts.counted);
    for (dimension, value) in
        [(Dimension::Account, account().to_string()), (Dimension::Agent, agent(1).to_string()), (Dimension::Queue, queue(2).to_string())]
    {
        assert_eq!(tally(&of, dimension, &value).messages(|_| true), 1, "{dimension:?}");
    }
    assert_eq!(of.len(), 3);
    // Once more is known it takes the place of that, and counts no less.
    message.charge = Some(Charge { category: Some(Category::Utility), ..Charge::default() });
    message.delivery = Some(delivery(DeliveryState::Read));
    let more = Facts::of_message(&message).unwrap();
    assert_eq!((more.quarter, more.counted.len()), (facts.quarter, facts.counted.len()));
    assert_ne!(more, facts);
}

#[test]
fn of_the_insights_of_an_interaction_the_first_after_each_close_count() {
    let insights = |sentiment| Fact::InsightsMade { agent: None, ai_agent: ai_agent(), sentiment, summary: Summary::of("Late.").unwrap() };
    let of = summed(&history(vec![
        (0, vec![Fact::Opened, received(), waits(1)]),
        (5, vec![accepted(1)]),
        (10, vec![insights(Sentiment::Mixed)]),
        (20, vec![closed("Sold")]),
        (30, vec![insights(Sentiment::Negative)]),
        (40, vec![insights(Sentiment::Positive)]),
        (50, vec![Fact::Reopened { agent: agent(1) }]),
        (60, vec![closed("Spam")]),
        (70, vec![insights(Sentiment::Neutral)]),
    ]));
    let metrics = [Metric::SentimentPositive, Metric::SentimentNeutral, Metric::SentimentNegative, Metric::SentimentMixed];
    let told = |dimension, value: &str| metrics.map(|metric| metric.of(&tally(&of, dimension, value)));
    let counts = |all: [u64; 4]| all.map(Cell::Count);
    assert_eq!(told(Dimension::Account, account().as_str()), counts([0, 1, 1, 0]));
    assert_eq!(told(Dimension::Agent, agent(1).as_str()), counts([0, 1, 1, 0]));
    assert_eq!(told(Dimension::Queue, queue(1).as_str()), counts([0, 0, 1, 0]));
    assert_eq!(told(Dimension::Disposition, "Spam"), counts([0, 1, 0, 0]));
}

#[test]
fn calls_of_models_and_handovers_count_for_their_ai_agent() {
    let call = |replied, cost| AiCall {
        ai_agent: ai_agent(),
        at: Timestamp::UNIX_EPOCH,
        replied,
        input: 900,
        output: 100,
        milliseconds: 1_500,
        cost,
    };
    let escalated = history(vec![(0, vec![Fact::Opened, Fact::AiEscalated { ai_agent: ai_agent(), why: Escalated::Model, said: None }])]);
    let mut counted: Vec<Counted> = facts(&escalated).into_values().flat_map(|facts| facts.counted).collect();
    counted.extend([call(true, Some((42, Currency::EUR))), call(false, None)].iter().flat_map(|call| call.facts().counted));
    let of = rollup(&account(), &counted);
    for (dimension, value) in [(Dimension::AiAgent, ai_agent().to_string()), (Dimension::Account, account().to_string())] {
        let tally = tally(&of, dimension, &value).costed(&Prices::default(), date(2026, 1, 1));
        let metrics = [
            Metric::AiCalls,
            Metric::AiFailures,
            Metric::AiEscalations,
            Metric::AiInputTokens,
            Metric::AiOutputTokens,
            Metric::AiTime,
            Metric::AiCost,
        ];
        let cells = [2, 1, 1, 1_800, 200].map(Cell::Count);
        let expected = [&cells[..], &[Cell::Number(1.5), Cell::Number(0.000_042)]].concat();
        assert_eq!(metrics.map(|metric| metric.of(&tally)).to_vec(), expected, "{dimension:?}");
    }
}

#[test]
fn each_queue_is_judged_by_its_own_limit_and_the_sum_of_them_is_that_of_all() {
    let of = |waits: &[u64]| {
        let mut tally = Tally::default();
        waits.iter().for_each(|wait| tally.add(&Counted::of(Measure::Answered, *wait)));
        tally
    };
    let (strict, lax) = (ServiceLevel::new(20).unwrap(), ServiceLevel::new(120).unwrap());
    let (one, other) = (of(&[10_000, 50_000]).judged(strict), of(&[50_000, 100_000]).judged(lax));
    assert_eq!([&one, &other].map(|tally| Metric::ServiceLevel.of(tally)), [Cell::Number(0.5), Cell::Number(1.0)]);
    let mut all = one;
    all.merge(&other);
    assert_eq!(Metric::ServiceLevel.of(&all), Cell::Number(0.75));
    assert!(SERVICE_LEVELS.into_iter().all(|seconds| is_bound(u64::from(seconds) * 1_000) && ServiceLevel::new(seconds.into()).is_ok()));
    assert!([0, 14, 61, -15, i64::MAX].into_iter().all(|seconds| ServiceLevel::new(seconds).is_err()));
}

#[test]
fn names_of_metrics_lead_back_and_no_dimension_is_without_any() {
    for metric in Metric::ALL {
        assert_eq!(Metric::parse(metric.name()), Some(metric));
        assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
    }
    for dimension in Dimension::ALL {
        assert!(Metric::ALL.into_iter().any(|metric| metric.belongs_to(dimension)));
    }
    assert_eq!(Metric::parse("nothing"), None);
}

fn wanted(zone: &str, from: &str, to: &str, period: Period) -> Wanted {
    Wanted { zone: TimeZone::get(zone).unwrap(), from: Moment::parse(from).unwrap(), to: Moment::parse(to).unwrap(), period }
}

fn quarters(zone: &str, from: &str, to: &str) -> Result<i64, Unclear> {
    let wanted = wanted(zone, from, to, Period::Whole);
    Ok(wanted.end()?.0 - wanted.first()?.0)
}

#[test]
fn a_day_has_as_many_quarters_as_the_clock_makes_of_it() {
    for (zone, day, expected) in [
        ("Europe/Rome", "2026-03-28", Ok(96)),
        ("Europe/Rome", "2026-03-29", Ok(92)),
        ("Europe/Rome", "2026-10-25", Ok(100)),
        ("Australia/Lord_Howe", "2026-04-05", Ok(98)),
        ("Asia/Kathmandu", "2026-03-29", Ok(96)),
        // Its clock goes from midnight to one o'clock.
        ("America/Santiago", "2026-09-06", Ok(92)),
        // It went to the other side of the date line.
        ("Pacific/Apia", "2011-12-30", Err(Unclear::Skipped)),
        ("Pacific/Apia", "2011-12-29", Ok(96)),
    ] {
        assert_eq!(quarters(zone, day, day), expected, "{zone} {day}");
    }
    assert_eq!(quarters("Europe/Rome", "2026-03-29T02:30", "2026-03-30"), Err(Unclear::Skipped), "the clock skips it");
    assert_eq!(quarters("Europe/Rome", "2026-10-25T02:00", "2026-10-25T03:00"), Ok(8), "the hour comes twice");
    assert_eq!(quarters("Europe/Rome", "2026-10-25T02:10", "2026-10-25T03:00"), Err(Unclear::OffQuarter));
    for text in ["2026-02-30", "2026-1-1", "yesterday", "2026-01-01T25:00", "2026-01-01T10:00:00Z", ""] {
        assert_eq!(Moment::parse(text), None, "{text}");
    }
}

#[test]
fn periods_follow_the_zones_clock_and_the_same_hour_may_come_twice() {
    let lengths = |zone, from, to, period| {
        let wanted = wanted(zone, from, to, period);
        let calendar = wanted.calendar(wanted.first().unwrap(), wanted.end().unwrap());
        calendar.periods().map(|(from, to)| to.0 - from.0).collect::<Vec<_>>()
    };
    assert_eq!(lengths("Europe/Rome", "2026-10-25", "2026-10-25", Period::Hour), [4; 25]);
    assert_eq!(lengths("Asia/Kathmandu", "2026-10-25T10:30", "2026-10-25T12:15", Period::Hour), [2, 4, 1]);
    assert_eq!(lengths("Europe/Rome", "2026-10-24", "2026-10-26", Period::Day), [96, 100, 96]);
    // From a Saturday on.
    assert_eq!(lengths("UTC", "2026-11-07", "2026-11-17", Period::Week), [2, 7, 2].map(|days| days * 96));
    assert_eq!(lengths("UTC", "2026-01-31", "2026-03-01", Period::Month), [1, 28, 1].map(|days| days * 96));
    assert_eq!(lengths("UTC", "2026-01-31", "2026-01-31", Period::QuarterHour), [1; 96]);
}

fn zones() -> Vec<String> {
    let mut zones: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    zones.sort();
    zones
}

/// Something to count, at a second of the days around a change of clocks.
fn any_counted() -> impl Strategy<Value = Counted> {
    let measures =
        [Measure::Queued, Measure::Answered, Measure::FirstResponse, Measure::Handled, Measure::WrapUp, Measure::CustomerMessages];
    (0..measures.len(), 0..2_000_000_000_u64, prop::option::of(0..3_u64), prop::option::of(0..3_u64)).prop_map(
        move |(place, value, agent_number, queue_number)| Counted {
            measure: measures[place],
            value: value >> (place * 4),
            queue: queue_number.map(queue),
            agent: agent_number.map(agent),
            disposition: queue_number.map(|number| number.to_string()),
            ai_agent: None,
        },
    )
}

fn duty(state: PresenceWord, load: u32, capacity: u32, wraps_up: bool) -> Duty {
    Duty { state, load, capacity, wraps_up }
}

#[test]
fn an_agent_is_busy_with_an_interaction_or_a_disposition_and_never_while_logged_out() {
    let start = Quarter(2_000_000);
    let at = |minutes: i64| start.starts() + jiff::SignedDuration::from_mins(minutes);
    let timeline = [
        (at(-60), duty(PresenceWord::Ready, 0, 4, false)),
        (at(6), duty(PresenceWord::Ready, 1, 4, false)),
        (at(12), duty(PresenceWord::Paused, 1, 4, false)),
        (at(18), duty(PresenceWord::Ready, 1, 4, true)),
        (at(24), duty(PresenceWord::Paused, 0, 4, false)),
        (at(30), duty(PresenceWord::LoggedOut, 1, 4, false)),
    ];
    let sums = add_up(&timeline, start, Quarter(start.0 + 8), at(90));
    let mut all = Tally::default();
    sums.values().for_each(|sum| all.merge(sum));
    let minutes = |measure| all.total(measure) / 60_000;
    assert_eq!([Measure::Idle, Measure::Busy, Measure::Used, Measure::Usable].map(minutes), [6, 18, 6, 48]);
    assert_eq!(Metric::Occupancy.of(&all), Cell::Number(0.75));
    assert_eq!(Metric::Utilisation.of(&all), Cell::Number(0.125));
    assert_eq!(sums.keys().copied().collect::<Vec<_>>(), [start, Quarter(start.0 + 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tallies_add_up_in_any_order(all in prop::collection::vec((any_counted(), 0..5_usize), 0..60), order in Just([0, 1, 2, 3, 4]).prop_shuffle()) {
        let mut together = Tally::default();
        let mut parts: [Tally; 5] = Default::default();
        for (counted, part) in &all {
            together.add(counted);
            parts[*part].add(counted);
        }
        let mut merged = Tally::default();
        for part in order {
            // As it was stored and read again.
            let part: Tally = serde_json::from_str(&serde_json::to_string(&parts[part]).unwrap()).unwrap();
            merged.merge(&part);
        }
        prop_assert_eq!(&merged, &together);
        prop_assert_eq!(merged.facts(), all.len() as u64);
        for metric in Metric::ALL {
            prop_assert_eq!(metric.of(&merged), metric.of(&together));
        }
    }

    /// A percentile is the bound of the class in which the value of that rank lies.
    #[test]
    fn a_percentile_is_at_most_a_quarter_above_the_exact_one(mut values in prop::collection::vec(1_000..604_800_000_u64, 1..80), percent in 1..=100_u64) {
        let mut tally = Tally::default();
        for value in &values {
            tally.add(&Counted::of(Measure::Answered, *value));
        }
        values.sort_unstable();
        let rank = usize::try_from((values.len() as u64 * percent).div_ceil(100)).unwrap();
        let (exact, told) = (values[rank - 1], tally.sum(Measure::Answered).unwrap().percentile(percent).unwrap());
        prop_assert!(exact <= told && told * 4 <= exact * 5, "{} {}", exact, told);
    }

    /// The sums of a timeline are what a clock counts that looks each second.
    #[test]
    fn a_timeline_adds_up_to_what_a_clock_sees(
        lines in prop::collection::vec((1..2_000_i64, 0..3_u8, 0..4_u32, any::<bool>()), 0..12),
        (begins, length, stops) in (0..3_i64, 1..6_i64, 0..6_000_i64),
    ) {
        let zero = Quarter(2_000_000);
        let (mut at, mut timeline) = (zero.starts(), Vec::new());
        for (seconds, state, load, wraps_up) in lines {
            at += jiff::SignedDuration::from_secs(seconds);
            let state = [PresenceWord::LoggedOut, PresenceWord::Ready, PresenceWord::Paused][usize::from(state)];
            timeline.push((at, duty(state, load, 3, wraps_up)));
        }
        let (first, end) = (Quarter(zero.0 + begins), Quarter(zero.0 + begins + length));
        let now = zero.starts() + jiff::SignedDuration::from_secs(stops);
        let (mut busy, mut idle, mut used, mut usable) = (0, 0, 0, 0);
        let mut second = first.starts();
        while second < end.starts().min(now) {
            if let Some((_, duty)) = timeline.iter().rev().find(|(since, _)| *since <= second) {
                let ready = duty.state == PresenceWord::Ready && !duty.wraps_up;
                let has = duty.load > 0 || duty.wraps_up;
                busy += u64::from(has && duty.state != PresenceWord::LoggedOut);
                idle += u64::from(!has && ready);
                used += if ready { u64::from(duty.load) } else { 0 };
                usable += if ready { 3 } else { 0 };
            }
            second += jiff::SignedDuration::from_secs(1);
        }
        let mut all = Tally::default();
        add_up(&timeline, first, end, now).values().for_each(|sum| all.merge(sum));
        let seconds = [Measure::Busy, Measure::Idle, Measure::Used, Measure::Usable].map(|measure| all.total(measure) / 1_000);
        prop_assert_eq!(seconds, [busy, idle, used, usable]);
    }

    /// In any zone, a day's sum is that of the facts within the day, and the periods have each fact once.
    #[test]
    fn the_sum_of_a_day_in_any_zone_is_that_of_the_facts_within_it(
        (zone, change) in (0..zones().len(), prop::sample::select(vec![date(2026, 3, 29), date(2026, 10, 25), date(2026, 4, 5), date(2027, 2, 28)])),
        all in prop::collection::vec((any_counted(), 0..4 * 86_400_i64), 0..40),
        period in prop::sample::select(vec![Period::QuarterHour, Period::Hour, Period::Day, Period::Week, Period::Month, Period::Whole]),
    ) {
        let zone = TimeZone::get(&zones()[zone]).unwrap();
        let start = change.yesterday().unwrap().to_zoned(TimeZone::UTC).unwrap().timestamp().as_second();
        // As the job adds them up: by quarter-hours of UTC.
        let mut by_quarter: BTreeMap<Quarter, Tally> = BTreeMap::new();
        let all: Vec<(Timestamp, Counted)> = all.into_iter().map(|(counted, seconds)| (Timestamp::from_second(start + seconds).unwrap(), counted)).collect();
        for (at, counted) in &all {
            by_quarter.entry(Quarter::of(*at)).or_default().add(counted);
        }
        let wanted = Wanted { zone: zone.clone(), from: Moment::Day(change), to: Moment::Day(change), period };
        let (first, end) = (wanted.first().unwrap(), wanted.end().unwrap());
        // By half an hour on Lord Howe, by two hours at Troll.
        prop_assert!([88, 92, 94, 96, 98, 100, 104].contains(&(end.0 - first.0)));
        let calendar = wanted.calendar(first, end);
        let mut sums = vec![Tally::default(); calendar.len()];
        for (quarter, tally) in &by_quarter {
            if let Some(place) = calendar.place(*quarter) {
                sums[place].merge(tally);
            }
        }
        let mut day = Tally::default();
        sums.iter().for_each(|sum| day.merge(sum));
        let mut expected = Tally::default();
        all.iter().filter(|(at, _)| at.to_zoned(zone.clone()).date() == change).for_each(|(_, counted)| expected.add(counted));
        prop_assert_eq!(day, expected);
        let covered: i64 = calendar.periods().map(|(from, to)| to.0 - from.0).sum();
        prop_assert_eq!(covered, end.0 - first.0);
    }
}
