//! The picture over the store in memory: what it counts, who makes it, and that everybody sees the same.

// Test helpers may panic, as tests do.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::account::Account;
use domain::agent::{Agent, Capacity, Presence, PresenceState, PresenceWord, Role};
use domain::effect::{Audience, ConversationKey, InteractionKey, Target};
use domain::fixtures;
use domain::footprint::WaitingRow;
use domain::ids::{AgentId, ContactId, InteractionId, QueueId};
use domain::interaction::{Offer, Stage};
use domain::priority::Priority;
use domain::queue::{Queue, Strategy, Weight};
use engine::Engine;
use engine::memory::{Memory, MemoryDirectory, ReadFault, VirtualWorld};
use engine::ports::World;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use oversight::{Board, MOST_AGE, MOST_AGE_FOR_AGENTS, Picture, Seen, picture};
use ulid::Ulid;

fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn seconds(number: i64) -> SignedDuration {
    SignedDuration::from_secs(number)
}

fn agent(number: u128) -> AgentId {
    AgentId::from_ulid(Ulid(number))
}

fn interaction(number: u128) -> InteractionId {
    InteractionId::from_ulid(Ulid(number))
}

fn person(number: u128, whatsapp: bool) -> Agent {
    let (id, name, subject) = (agent(number), format!("agent {number}"), format!("{number}"));
    Agent { id, name, subject, role: Role::Agent, whatsapp, capacity: Capacity::new(2).unwrap() }
}

fn queue(number: u128, members: &[u128]) -> Queue {
    Queue {
        id: QueueId::from_ulid(Ulid(number)),
        name: format!("queue {number}"),
        strategy: Strategy::Beepall,
        agent_timeout: Queue::AGENT_TIMEOUT,
        weight: Weight::default(),
        pause_after_missed: None,
        service_level: domain::report::ServiceLevel::default(),
        members: members.iter().copied().map(agent).collect(),
    }
}

fn account() -> Account {
    Account { agents: vec![agent(1)], ..fixtures::account() }
}

/// Agents 1 to `agents`, with WhatsApp, on one account with `queues` queues.
fn desk(agents: u128, queues: u128) -> Engine<Memory, MemoryDirectory, VirtualWorld> {
    let store = Memory::new();
    let directory = store.directory();
    directory.put_account(account());
    (1..=agents).for_each(|number| directory.put_agent(person(number, true)));
    (1..=queues).for_each(|number| directory.put_queue(queue(number, &[1, 2])));
    Engine { store, directory, world: VirtualWorld::new(start(), 1) }
}

/// A row that has waited since so many seconds before the start, and rings until so many after it.
fn row(number: u128, waits: i64, priority: i64, rings: Option<i64>) -> WaitingRow {
    let conversation = ConversationKey { account: account().id, contact: ContactId::from_ulid(Ulid(number)) };
    let offer = |until| Offer {
        id: 1,
        target: Target::Agent(agent(1)),
        audience: Audience::Agents(vec![agent(1)]),
        until: Some(start() + seconds(until)),
    };
    WaitingRow {
        interaction: InteractionKey { conversation, interaction: interaction(number) },
        wait: 1,
        stage: Stage::Exhausted,
        until: None,
        since: start() - seconds(waits),
        priority: Priority::new(priority).unwrap(),
        rejected: Vec::new(),
        missed: Vec::new(),
        offer: rings.map(offer),
    }
}

fn presence(number: u128, state: PresenceState, load: &[u128]) -> (AgentId, Presence) {
    let presence = Presence {
        chosen: state,
        load: load.iter().copied().map(interaction).collect::<BTreeSet<_>>(),
        version: 3,
        ..Presence::logged_out(agent(number), Capacity::new(2).unwrap(), start())
    };
    (agent(number), presence)
}

#[test]
fn the_picture_counts_what_waits_and_who_could_take_it() {
    let (first, second) = (queue(1, &[1, 2, 3, 4, 5]), queue(2, &[4]));
    let people = [person(1, true), person(2, true), person(3, true), person(4, true), person(5, false), person(6, false)];
    let mut ringing = presence(1, PresenceState::Ready, &[7]);
    ringing.1.ringing = BTreeMap::from([(interaction(8), start() + seconds(1)), (interaction(9), start())]);
    let mut wrapping = presence(3, PresenceState::Ready, &[]);
    wrapping.1.wrapping_up.insert(interaction(12));
    wrapping.1.wrap_up_pause = "Notes".to_owned();
    let seen = Seen {
        accounts: Arc::new(vec![account()]),
        queues: Arc::new([first.clone(), second.clone()].map(|queue| (queue.id.clone(), queue)).into()),
        agents: Arc::new(people.map(|agent| (agent.id.clone(), agent)).into()),
        // The second is full. The fourth never logged in. The fifth, without WhatsApp, is still logged in.
        presences: BTreeMap::from([
            ringing,
            presence(2, PresenceState::Ready, &[10, 11]),
            wrapping,
            presence(5, PresenceState::Ready, &[]),
        ]),
        // A high priority comes first, and has not waited longest. An offer whose time is over does not ring.
        in_queues: BTreeMap::from([(first.id.clone(), vec![row(1, 5, 9, Some(1)), row(2, 60, 0, None), row(3, 30, 0, Some(0))])]),
        in_accounts: BTreeMap::from([(account().id, vec![row(4, 90, 0, None)])]),
    };
    let Picture { as_of, queues, accounts, agents, .. } = picture(start(), &seen);
    assert_eq!(as_of, start());
    let told: Vec<_> = queues.iter().map(|queue| (queue.waiting, queue.offered, queue.staffed, queue.available)).collect();
    assert_eq!(told, [(3, 1, 3, 1), (0, 0, 0, 0)]);
    assert_eq!((queues[0].waiting_since, queues[1].waiting_since), (Some(start() - seconds(60)), None));
    assert_eq!((accounts[0].waiting, accounts[0].waiting_since), (1, Some(start() - seconds(90))));
    let told: Vec<_> = agents.iter().map(|agent| (agent.name.as_str(), agent.state, agent.reason.as_deref(), agent.load)).collect();
    let expected = [
        ("agent 1", PresenceWord::Ready, None, 1),
        ("agent 2", PresenceWord::Ready, None, 2),
        ("agent 3", PresenceWord::Paused, Some("Notes"), 0),
        ("agent 4", PresenceWord::LoggedOut, None, 0),
        ("agent 5", PresenceWord::Ready, None, 0),
    ];
    assert_eq!(told, expected);
    assert_eq!((&agents[0].open, &agents[0].ringing), (&vec![interaction(7)], &vec![interaction(8)]));
    assert_eq!((agents[0].since, agents[3].since), (Some(start()), None));
}

#[tokio::test]
async fn twenty_supervisors_cost_as_much_as_one_and_all_see_the_same() {
    let engine = desk(200, 10);
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = reads.clone();
    engine.store.inject_reads(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        ReadFault::None
    });
    // Four processes serve them. Everybody polls every five seconds, each at an own moment.
    let boards: Vec<Board> = (0..4).map(|_| Board::default()).collect();
    let mut pictures: BTreeMap<u64, Picture> = BTreeMap::new();
    for second in 0..60_usize {
        let polls = (0..20).filter(|supervisor| supervisor % 5 == second % 5);
        let polls = polls.map(|supervisor| boards[supervisor % 4].look(&engine, &engine.store, MOST_AGE));
        for seen in join_all(polls).await {
            let seen = seen.unwrap();
            assert!(engine.world.now().duration_since(seen.as_of) < MOST_AGE, "{second}");
            let first = pictures.entry(seen.turn).or_insert_with(|| Picture::clone(&seen));
            assert_eq!(*first, *seen);
        }
        engine.world.advance(seconds(1));
    }
    // One every three seconds. Each reads the configuration (3), 10 queues, 1 account, and all presences at once.
    assert_eq!(pictures.keys().copied().collect::<Vec<_>>(), (1..=20).collect::<Vec<u64>>());
    assert_eq!(reads.load(Ordering::Relaxed), 20 * (3 + 10 + 1 + 1));
}

#[tokio::test]
async fn agents_are_told_from_the_same_picture_and_make_one_less_often() {
    let engine = desk(3, 1);
    let (of_agents, of_supervisors) = (Board::default(), Board::default());
    let mut turns = Vec::new();
    for second in 0..30 {
        turns.push(of_agents.look(&engine, &engine.store, MOST_AGE_FOR_AGENTS).await.unwrap().turn);
        if second == 12 {
            let made = of_supervisors.look(&engine, &engine.store, MOST_AGE).await.unwrap();
            assert_eq!((made.turn, made.as_of), (2, engine.world.now() - seconds(2)));
        }
        engine.world.advance(seconds(1));
    }
    turns.dedup();
    assert_eq!(turns, [1, 2, 3]);
}

#[tokio::test]
async fn whoever_fails_at_the_picture_is_followed_by_another_after_three_seconds() {
    let engine = desk(3, 1);
    // The rows of the queue can't be read.
    let mut reads = 0;
    engine.store.inject_reads(move || {
        reads += 1;
        if reads == 4 { ReadFault::Throttled } else { ReadFault::None }
    });
    assert_eq!(Board::default().look(&engine, &engine.store, MOST_AGE).await.unwrap_err().operation, "read");
    // For all that others know, it is under way.
    for most in [MOST_AGE, MOST_AGE_FOR_AGENTS] {
        assert_eq!(Board::default().look(&engine, &engine.store, most).await.unwrap_err().operation, "oversight");
    }
    engine.world.advance(seconds(3));
    for most in [MOST_AGE, MOST_AGE_FOR_AGENTS] {
        let seen = Board::default().look(&engine, &engine.store, most).await.unwrap();
        assert_eq!((seen.turn, seen.as_of), (2, engine.world.now()));
    }
}
