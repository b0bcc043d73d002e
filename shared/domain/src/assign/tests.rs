use ulid::Ulid;

use super::*;
use crate::agent::Capacity;
use crate::effect::{ConversationKey, InteractionKey};
use crate::fixtures;
use crate::ids::{ContactId, QueueId};
use crate::interaction::Offer;
use crate::values::Seconds;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn agent(number: u64) -> AgentId {
    AgentId::from_ulid(Ulid::from_parts(0, number.into()))
}

fn later(seconds: i64) -> Timestamp {
    NOW + jiff::SignedDuration::from_secs(seconds)
}

/// Agents 1 to 3 of one account and one queue, all ready, with two slots each.
struct Floor {
    queue: Queue,
    target: Target,
    accounts: BTreeMap<AccountId, Account>,
    presences: BTreeMap<AgentId, Presence>,
    cursor: Option<AgentId>,
    rivals: Vec<Rival>,
    rows: Vec<WaitingRow>,
}

impl Floor {
    fn new(strategy: Strategy) -> Self {
        let id = QueueId::from_ulid(Ulid::nil());
        let members: Vec<AgentId> = (1..=3).map(agent).collect();
        let account = Account { id: AccountId::from_ulid(Ulid::nil()), agents: members.clone(), ..fixtures::account() };
        let presences = members.iter().map(|agent| {
            let mut presence = Presence::logged_out(agent.clone(), Capacity::new(2).unwrap(), NOW);
            presence.chosen = PresenceState::Ready;
            (agent.clone(), presence)
        });
        Self {
            presences: presences.collect(),
            target: Target::Queue(id.clone()),
            queue: Queue {
                id,
                name: "Sales".into(),
                strategy,
                agent_timeout: Seconds::new(7).unwrap(),
                weight: Weight::default(),
                pause_after_missed: None,
                service_level: crate::report::ServiceLevel::default(),
                members,
            },
            accounts: BTreeMap::from([(account.id.clone(), account)]),
            cursor: None,
            rivals: Vec::new(),
            rows: vec![row(1)],
        }
    }

    fn next(&self) -> Option<Next> {
        let queue = matches!(self.target, Target::Queue(_)).then_some(&self.queue);
        let Self { target, accounts, presences, cursor, rows, .. } = self;
        let (rivals, rosters) = (&self.rivals, &rosters(accounts));
        Choice { target, queue, rivals, accounts, rosters, presences, cursor: cursor.as_ref(), now: NOW }.next(rows)
    }

    /// The agents whom the next offer rings.
    fn rung(&self) -> Option<Vec<AgentId>> {
        self.next().map(|next| match next.ring.audience {
            Audience::Agents(agents) => agents,
            Audience::Members { except, .. } => self.queue.members.iter().filter(|agent| !except.contains(agent)).cloned().collect(),
        })
    }

    fn set(&mut self, number: u64, state: PresenceState) {
        self.presences.get_mut(&agent(number)).unwrap().chosen = state;
    }

    fn fill(&mut self, number: u64) {
        let presence = self.presences.get_mut(&agent(number)).unwrap();
        presence.load = (100..102).map(|load| InteractionId::from_ulid(Ulid::from_parts(0, load))).collect();
    }
}

fn row(number: u64) -> WaitingRow {
    let conversation =
        ConversationKey { account: AccountId::from_ulid(Ulid::nil()), contact: ContactId::from_ulid(Ulid::from_parts(0, number.into())) };
    WaitingRow {
        interaction: InteractionKey { conversation, interaction: InteractionId::from_ulid(Ulid::from_parts(0, number.into())) },
        wait: 1,
        stage: Stage::Step { index: 0, plan: 1 },
        until: Some(later(30)),
        since: NOW,
        priority: Priority::default(),
        rejected: Vec::new(),
        missed: Vec::new(),
        offer: None,
    }
}

fn rings_all(floor: &Floor, mut row: WaitingRow) -> WaitingRow {
    let audience = Audience::Members { queue: floor.queue.id.clone(), except: Vec::new() };
    row.offer = Some(Offer { id: 2, target: floor.target.clone(), audience, until: row.until });
    row
}

#[test]
fn beepall_rings_all_members_for_as_long_as_the_wait_lasts() {
    let floor = Floor::new(Strategy::Beepall);
    let next = floor.next().unwrap();
    assert_eq!(next.ring.audience, Audience::Members { queue: floor.queue.id.clone(), except: Vec::new() });
    assert_eq!((next.ring.until, next.cursor), (Some(later(30)), None));
}

#[test]
fn rrmemory_goes_round_in_the_order_of_the_queue_after_the_one_engaged_last() {
    let mut floor = Floor::new(Strategy::Rrmemory);
    for (last, expected) in [(None, 1), (Some(1), 2), (Some(2), 3), (Some(3), 1), (Some(9), 1)] {
        floor.cursor = last.map(agent);
        let next = floor.next().unwrap();
        assert_eq!((next.ring.audience, next.cursor), (Audience::Agents(vec![agent(expected)]), Some(agent(expected))));
        assert_eq!(next.ring.until, Some(later(7)));
    }
}

#[test]
fn an_agent_who_cannot_be_rung_is_passed_over_with_the_reason() {
    let mut floor = Floor::new(Strategy::Rrmemory);
    floor.queue.members = (1..=6).map(agent).collect();
    floor.set(1, PresenceState::LoggedOut);
    floor.set(2, PresenceState::Paused { reason: "lunch".into() });
    floor.accounts.values_mut().next().unwrap().agents.extend([agent(4), agent(5)]);
    for number in [4, 5] {
        let mut presence = floor.presences[&agent(3)].clone();
        presence.agent = agent(number);
        floor.presences.insert(agent(number), presence);
    }
    floor.fill(3);
    floor.rows[0].rejected.push(agent(4));
    let next = floor.next().unwrap();
    assert_eq!(next.ring.audience, Audience::Agents(vec![agent(5)]));
    let why: Vec<NotOffered> = next.ring.passed_over.into_iter().map(|passed| passed.why).collect();
    use NotOffered::{LoggedOut, NoFreeSlot, NotOfAccount, Paused, Rejected};
    assert_eq!(why, [LoggedOut, Paused, NoFreeSlot, Rejected, NotOfAccount]);
}

#[test]
fn the_first_row_for_which_an_agent_is_free_is_served() {
    let mut floor = Floor::new(Strategy::Rrmemory);
    floor.rows = vec![row(1), row(2), row(3)];
    floor.rows[0].offer =
        Some(Offer { id: 2, target: floor.target.clone(), audience: Audience::Agents(vec![agent(1)]), until: Some(later(7)) });
    floor.rows[1].rejected = (1..=3).map(agent).collect();
    assert_eq!(floor.next().unwrap().row, 2);
}

#[test]
fn a_row_that_is_over_or_held_or_whose_account_is_off_is_not_offered() {
    let floor = || Floor::new(Strategy::Beepall);
    let mut over = floor();
    over.rows[0].until = Some(NOW);
    let mut held = floor();
    held.rows[0].stage = Stage::Inactive;
    let mut off = floor();
    off.accounts.values_mut().next().unwrap().active = false;
    let mut gone = floor();
    gone.accounts.clear();
    assert!([over, held, off, gone].iter().all(|floor| floor.next().is_none()));
}

#[test]
fn never_more_chats_ring_at_all_members_than_there_are_free_slots() {
    let mut floor = Floor::new(Strategy::Beepall);
    floor.set(2, PresenceState::LoggedOut);
    floor.fill(3);
    let ringing = |floor: &Floor, number| rings_all(floor, row(number));
    floor.rows = vec![ringing(&floor, 1), row(2)];
    assert_eq!(floor.next().map(|next| next.row), Some(1));
    floor.rows = vec![ringing(&floor, 1), ringing(&floor, 2), row(3)];
    assert_eq!(floor.next(), None, "one agent with two slots");
    // A ring at a single agent takes a slot too.
    floor.rows = vec![ringing(&floor, 1), row(2)];
    let elsewhere = InteractionId::from_ulid(Ulid::from_parts(0, 50));
    floor.presences.get_mut(&agent(1)).unwrap().ringing.insert(elsewhere, later(5));
    assert_eq!(floor.next(), None);
}

#[test]
fn an_interactions_own_agent_needs_no_second_slot() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let mut floor = Floor::new(strategy);
        floor.rows[0].stage = Stage::AssignedQueue;
        (1..=3).for_each(|number| floor.fill(number));
        assert_eq!(floor.next(), None);
        let own = floor.rows[0].interaction.interaction.clone();
        floor.presences.get_mut(&agent(2)).unwrap().load.insert(own);
        assert!(floor.rung().unwrap().contains(&agent(2)));
    }
}

#[test]
fn an_interaction_whose_plan_has_run_out_is_offered_to_one_agent_at_a_time_by_every_strategy() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let mut floor = Floor::new(strategy);
        floor.rows[0].stage = Stage::Exhausted;
        floor.rows[0].until = None;
        floor.cursor = Some(agent(2));
        let next = floor.next().unwrap();
        assert_eq!((next.ring.audience, next.ring.until), (Audience::Agents(vec![agent(3)]), Some(later(7))));
    }
}

#[test]
fn an_agent_step_rings_its_agent_for_as_long_as_it_lasts() {
    let mut floor = Floor::new(Strategy::Rrmemory);
    floor.target = Target::Agent(agent(2));
    let next = floor.next().unwrap();
    assert_eq!((next.ring.audience, next.ring.until), (Audience::Agents(vec![agent(2)]), Some(later(30))));
    floor.set(2, PresenceState::Paused { reason: "lunch".into() });
    assert_eq!(floor.next(), None);
}

#[test]
fn the_agents_of_an_account_take_turns_too() {
    let mut floor = Floor::new(Strategy::Rrmemory);
    floor.target = Target::Account(AccountId::from_ulid(Ulid::nil()));
    floor.rows[0].stage = Stage::Exhausted;
    floor.rows[0].until = None;
    floor.cursor = Some(agent(1));
    floor.set(1, PresenceState::LoggedOut);
    assert_eq!(floor.rung(), Some(vec![agent(2)]), "after the agent engaged last, though that agent is gone");
    floor.cursor = Some(agent(2));
    assert_eq!(floor.rung(), Some(vec![agent(3)]));
    let next = floor.next().unwrap();
    assert_eq!(next.ring.until, Some(Queue::AGENT_TIMEOUT.after(NOW)));
}

#[test]
fn the_agent_whose_last_offer_is_longest_ago_is_rung_first() {
    let mut floor = Floor::new(Strategy::LeastRecent);
    let offered = |floor: &mut Floor, number, at: Option<i64>| {
        floor.presences.get_mut(&agent(number)).unwrap().last_offered = at.map(|at| later(at - 100));
    };
    offered(&mut floor, 1, Some(3));
    offered(&mut floor, 2, Some(1));
    offered(&mut floor, 3, Some(2));
    assert_eq!(floor.rung(), Some(vec![agent(2)]));
    offered(&mut floor, 3, None);
    assert_eq!(floor.rung(), Some(vec![agent(3)]), "never is the longest ago");
    (1..=3).for_each(|number| offered(&mut floor, number, Some(1)));
    floor.cursor = Some(agent(1));
    assert_eq!(floor.rung(), Some(vec![agent(2)]), "in the same instant they take turns");
}

#[test]
fn equal_agents_get_equally_many_of_a_thousand_offers() {
    for strategy in [Strategy::Rrmemory, Strategy::LeastRecent] {
        let mut floor = Floor::new(strategy);
        let mut offers: BTreeMap<AgentId, u32> = floor.queue.members.iter().map(|agent| (agent.clone(), 0)).collect();
        for offer in 0..1_000 {
            let next = floor.next().unwrap();
            let Audience::Agents(agents) = next.ring.audience else { panic!() };
            *offers.get_mut(&agents[0]).unwrap() += 1;
            // Several of them in the same millisecond.
            floor.presences.get_mut(&agents[0]).unwrap().last_offered = Some(later(-1_000 + offer / 7));
            floor.cursor = next.cursor;
            assert!(offers.values().max().unwrap() - offers.values().min().unwrap() <= 1, "{strategy:?} {offers:?}");
        }
    }
}

#[test]
fn an_agent_who_let_it_ring_out_after_the_plan_is_left_alone_for_a_while_or_until_returning() {
    let mut floor = Floor::new(Strategy::Rrmemory);
    floor.rows[0].missed = vec![Missed { agent: agent(1), at: later(-10) }, Missed { agent: agent(2), at: later(-299) }];
    floor.presences.values_mut().for_each(|presence| presence.since = later(-1_000));
    floor.set(3, PresenceState::LoggedOut);
    assert_eq!(floor.next(), None);
    floor.presences.get_mut(&agent(1)).unwrap().since = later(-5);
    assert_eq!(floor.rung(), Some(vec![agent(1)]));
    floor.rows[0].missed.truncate(1);
    floor.rows[0].missed[0].at = later(-300);
    floor.presences.get_mut(&agent(1)).unwrap().since = later(-1_000);
    assert_eq!(floor.rung(), Some(vec![agent(1)]));
}

/// A queue of agents 3 to 5. Only agent 3 is in the other queue too.
fn rival(strategy: Strategy, weight: i64, rows: Vec<WaitingRow>) -> Rival {
    let id = QueueId::from_ulid(Ulid::from_parts(0, 2));
    let queue =
        Queue { id, strategy, weight: Weight::new(weight).unwrap(), members: (3..=5).map(agent).collect(), ..Floor::new(strategy).queue };
    Rival { queue, rows }
}

#[test]
fn a_heavier_queue_a_higher_priority_and_a_longer_wait_come_first_also_from_another_queue() {
    let priority = |number, priority| WaitingRow { priority: Priority::new(priority).unwrap(), ..row(number) };
    let since = |number, since| WaitingRow { since: later(since), ..row(number) };
    let mut floor = Floor::new(Strategy::Rrmemory);
    // One agent, one slot.
    floor.queue.members = vec![agent(3)];
    floor.presences.get_mut(&agent(3)).unwrap().capacity = Capacity::new(1).unwrap();
    for (own, weight, other, served) in [
        (priority(1, 9), 1, row(2), false),
        (row(1), 0, priority(2, 1), false),
        (priority(1, 2), 0, priority(2, 1), true),
        (since(1, -5), 0, since(2, -6), false),
        (since(1, -6), 0, since(2, -5), true),
        (row(1), 0, row(2), true),
    ] {
        floor.rows = vec![own.clone()];
        floor.rivals = vec![rival(Strategy::Rrmemory, weight, vec![other.clone()])];
        assert_eq!(floor.next().is_some(), served, "{own:?} {other:?}");
    }
    // A row that rings already, that the agent rejected, or whose account is off has no claim.
    floor.rows = vec![row(1)];
    for claim in [
        WaitingRow { rejected: vec![agent(3)], ..priority(2, 9) },
        WaitingRow { until: Some(NOW), ..priority(2, 9) },
        rings_all(&floor, priority(2, 9)),
    ] {
        floor.rivals = vec![rival(Strategy::Rrmemory, 9, vec![claim])];
        assert!(floor.next().is_some());
    }
    // With two slots both are served.
    floor.presences.get_mut(&agent(3)).unwrap().capacity = Capacity::new(2).unwrap();
    floor.rivals = vec![rival(Strategy::Rrmemory, 9, vec![row(2)])];
    assert!(floor.next().is_some());
}

#[test]
fn the_history_says_that_an_agent_was_needed_elsewhere() {
    let mut floor = Floor::new(Strategy::Rrmemory);
    floor.presences.get_mut(&agent(3)).unwrap().capacity = Capacity::new(1).unwrap();
    floor.rivals = vec![rival(Strategy::Rrmemory, 9, vec![row(2)])];
    floor.cursor = Some(agent(2));
    let next = floor.next().unwrap();
    assert_eq!(next.ring.audience, Audience::Agents(vec![agent(1)]));
    assert!(next.ring.passed_over.contains(&PassedOver { agent: agent(3), why: NotOffered::NeededElsewhere }));
}

#[test]
fn queues_that_ring_all_and_share_an_agent_ring_no_more_chats_than_there_are_slots() {
    let mut floor = Floor::new(Strategy::Beepall);
    floor.queue.members = vec![agent(3)];
    let ringing = [rings_all(&floor, row(2)), rings_all(&floor, row(3))];
    floor.rivals = vec![rival(Strategy::Beepall, 0, ringing.to_vec())];
    assert_eq!(floor.next(), None, "two slots, two chats");
    let mut other = floor.presences[&agent(3)].clone();
    other.agent = agent(4);
    floor.presences.insert(agent(4), other);
    floor.accounts.values_mut().for_each(|account| account.agents.push(agent(4)));
    assert!(floor.next().is_some(), "the other queue has slots of its own");
}

#[test]
fn chats_at_other_agents_leave_no_agent_idle() {
    let mut floor = Floor::new(Strategy::Beepall);
    floor.presences.values_mut().for_each(|presence| presence.capacity = Capacity::new(1).unwrap());
    // Agent 2 is on another account too. Only a chat of that account rings at agent 1 already.
    let other = AccountId::from_ulid(Ulid::from_parts(0, 7));
    let account = floor.accounts.values().next().unwrap().clone();
    floor.accounts.insert(other.clone(), Account { id: other.clone(), agents: vec![agent(1)], ..account });
    floor.set(3, PresenceState::LoggedOut);
    let mut first = row(1);
    first.interaction.conversation.account = other;
    floor.rows = vec![rings_all(&floor, first), row(2)];
    assert_eq!(floor.next().map(|next| next.row), Some(1), "two slots, two chats");
    floor.rows.push(rings_all(&floor, row(3)));
    assert_eq!(floor.next(), None, "three chats for two slots");
}

#[test]
fn an_agent_who_sees_no_chat_is_rung_though_others_see_more_than_they_can_take() {
    let mut floor = Floor::new(Strategy::Beepall);
    floor.presences.values_mut().for_each(|presence| presence.capacity = Capacity::new(1).unwrap());
    floor.set(3, PresenceState::LoggedOut);
    // Agent 1 rejected both. Agent 2 has taken another interaction since, and has one slot for two chats.
    let refused = |number| {
        let mut row = rings_all(&floor, row(number));
        if let Some(Offer { audience: Audience::Members { except, .. }, .. }) = &mut row.offer {
            except.push(agent(1));
        }
        row
    };
    floor.rows = vec![refused(1), refused(2), row(3)];
    assert_eq!(floor.next().map(|next| next.row), Some(2));
}
