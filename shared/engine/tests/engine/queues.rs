//! The order in which agents are rung, and agents who are left alone.

use std::collections::BTreeMap;

use domain::agent::PresenceState;
use domain::history::{Fact, NotOffered};
use domain::ids::{AgentId, InteractionId, QueueId};
use domain::interaction::Stage;
use domain::plan::{ActionPlan, PlanStep};
use domain::queue::{MissedLimit, Strategy, Weight};
use engine::MISSED_TOO_MANY;
use serde_json::{Value, json};

use crate::driver::{Sim, queue_step};

/// Two queues of one agent with one slot. Customers with an even number go to the second queue.
fn two_queues(strategy: Strategy) -> (Sim, AgentId, [QueueId; 2]) {
    let mut sim = Sim::new();
    let agent = sim.agent(1);
    let queues = [sim.queue(1, strategy, &[&agent]), sim.queue(2, strategy, &[&agent])];
    sim.ready(&agent);
    sim.capacity(&agent, 1);
    (sim, agent, queues)
}

fn to(sim: &Sim, queue: &QueueId, more: Value) {
    let mut steps = vec![json!({"step": "noop"})];
    steps.extend(more.as_array().unwrap().iter().cloned());
    steps.push(json!({"step": "queue", "queue": queue, "timeout": 60}));
    let plan: ActionPlan = serde_json::from_value(json!({"version": 1, "steps": steps})).unwrap();
    sim.steps(plan.steps);
}

fn weigh(sim: &Sim, queue: &QueueId, weight: i64) {
    sim.directory.change(|config| config.queues.get_mut(queue).unwrap().weight = Weight::new(weight).unwrap());
}

fn ringing(sim: &Sim, ids: &[&InteractionId]) -> Vec<bool> {
    ids.iter().map(|id| !sim.rings_at(id).is_empty()).collect()
}

#[test]
fn equal_agents_get_equally_many_of_a_thousand_offers() {
    for strategy in [Strategy::Rrmemory, Strategy::LeastRecent] {
        let (mut sim, agents, _) = Sim::desk(strategy, 3);
        let mut offers: BTreeMap<AgentId, u32> = agents.iter().map(|agent| (agent.clone(), 0)).collect();
        for offer in 0..1_000 {
            let interaction = sim.writes(1);
            let rung = sim.rings_at(&interaction).remove(0);
            *offers.get_mut(&rung).unwrap() += 1;
            // Some reject, so that the next one is rung in the same instant.
            if offer % 5 == 0 {
                sim.reject(&rung, &interaction).unwrap();
                let next = sim.rings_at(&interaction).remove(0);
                *offers.get_mut(&next).unwrap() += 1;
                sim.accept(&next, &interaction).unwrap();
                sim.close(&next, &interaction).unwrap();
            } else {
                sim.accept(&rung, &interaction).unwrap();
                sim.close(&rung, &interaction).unwrap();
            }
            if offer % 3 == 0 {
                sim.wait(1);
            }
            assert!(offers.values().max().unwrap() - offers.values().min().unwrap() <= 1, "{strategy:?} after {offer}: {offers:?}");
        }
    }
}

#[test]
fn the_heavier_queue_is_served_first_whichever_interaction_waited_longer() {
    for strategy in [Strategy::Rrmemory, Strategy::LeastRecent, Strategy::Beepall] {
        let (mut sim, agent, [light, heavy]) = two_queues(strategy);
        weigh(&sim, &heavy, 5);
        sim.log_out(&agent);
        to(&sim, &light, json!([]));
        let first = sim.writes(1);
        sim.wait(5);
        to(&sim, &heavy, json!([]));
        let second = sim.writes(2);
        sim.ready(&agent);
        // `beepall` rings as many chats as there are slots: one here.
        assert_eq!(ringing(&sim, &[&first, &second]), [false, true], "{strategy:?}");
        sim.accept(&agent, &second).unwrap();
        sim.close(&agent, &second).unwrap();
        assert_eq!(sim.rings_at(&first), std::slice::from_ref(&agent));
    }
}

#[test]
fn a_higher_priority_is_served_first_also_across_queues_then_the_longest_wait() {
    let (mut sim, agent, [one, other]) = two_queues(Strategy::Rrmemory);
    sim.log_out(&agent);
    to(&sim, &one, json!([]));
    let (plain, later) = (sim.writes(1), {
        sim.wait(1);
        sim.writes(2)
    });
    to(&sim, &other, json!([{"step": "priority", "priority": 3}]));
    sim.wait(1);
    let urgent = sim.writes(3);
    sim.ready(&agent);
    for expected in [&urgent, &plain, &later] {
        assert_eq!(sim.rings_at(expected), std::slice::from_ref(&agent));
        sim.accept(&agent, expected).unwrap();
        sim.close(&agent, expected).unwrap();
    }
}

#[test]
fn an_agent_who_was_kept_for_another_queue_is_rung_the_moment_nothing_waits_there() {
    let (mut sim, agent, [light, heavy]) = two_queues(Strategy::Rrmemory);
    weigh(&sim, &heavy, 5);
    // Another agent may still join that queue.
    let other = sim.agent(2);
    sim.directory.change(|config| config.queues.get_mut(&heavy).unwrap().members.push(other));
    to(&sim, &heavy, json!([]));
    let first = sim.writes(1);
    to(&sim, &light, json!([]));
    let second = sim.writes(2);
    assert_eq!(ringing(&sim, &[&first, &second]), [true, false]);
    sim.reject(&agent, &first).unwrap();
    assert_eq!(ringing(&sim, &[&first, &second]), [false, true]);
}

#[test]
fn queues_that_ring_all_and_share_an_agent_ring_no_more_chats_than_slots() {
    let (mut sim, agent, [one, other]) = two_queues(Strategy::Beepall);
    to(&sim, &one, json!([]));
    let first = sim.writes(1);
    to(&sim, &other, json!([]));
    let second = sim.writes(2);
    assert_eq!(ringing(&sim, &[&first, &second]), [true, false]);
    sim.accept(&agent, &first).unwrap();
    assert_eq!(ringing(&sim, &[&second]), [false]);
    sim.close(&agent, &first).unwrap();
    assert_eq!(ringing(&sim, &[&second]), [true]);
    // The history says why it did not ring before.
    let third = sim.writes(3);
    assert!(ringing(&sim, &[&third]) == [false] && !sim.facts(&third).iter().any(|fact| matches!(fact, Fact::Offered { .. })));
}

#[test]
fn after_so_many_missed_offers_in_a_row_the_agent_is_paused() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 1);
    let limit = MissedLimit::new(2).unwrap();
    sim.directory.change(|config| config.queues.get_mut(&queue).unwrap().pause_after_missed = Some(limit));
    sim.plan(&[queue_step(&queue, 600)]);
    let interaction = sim.writes(1);
    sim.wait(15);
    assert_eq!(sim.presence(&agents[0]).unwrap().missed, 1);
    // An acceptance restarts the count.
    sim.accept(&agents[0], &interaction).unwrap();
    sim.close(&agents[0], &interaction).unwrap();
    assert_eq!(sim.presence(&agents[0]).unwrap().missed, 0);
    let second = sim.writes(2);
    sim.wait(29);
    assert_eq!(sim.presence(&agents[0]).unwrap().state(), PresenceState::Ready);
    sim.wait(1);
    assert_eq!(sim.presence(&agents[0]).unwrap().state(), PresenceState::Paused { reason: MISSED_TOO_MANY.to_owned() });
    assert!(sim.rings_at(&second).is_empty());
    sim.ready(&agents[0]);
    assert_eq!((sim.rings_at(&second), sim.presence(&agents[0]).unwrap().missed), (agents, 0));
}

#[test]
fn without_a_limit_nobody_is_paused() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 1);
    sim.plan(&[queue_step(&queue, 600)]);
    sim.writes(1);
    sim.wait(300);
    assert_eq!(sim.presence(&agents[0]).unwrap().state(), PresenceState::Ready);
}

#[test]
fn after_the_plan_an_agent_who_ignores_an_offer_is_left_alone_until_returning_or_a_new_message_or_five_minutes() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    sim.plan(&[]);
    let interaction = sim.writes(1);
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::Exhausted), agents.clone()));
    sim.wait(15);
    assert!(sim.rings_at(&interaction).is_empty());
    // A coffee break.
    sim.pause(&agents[0]);
    sim.ready(&agents[0]);
    assert_eq!(sim.rings_at(&interaction), agents);
    sim.wait(15);
    assert!(sim.rings_at(&interaction).is_empty());
    sim.writes(1);
    assert_eq!(sim.rings_at(&interaction), agents, "the plan runs again");
    sim.wait(15);
    sim.wait(299);
    assert!(sim.rings_at(&interaction).is_empty());
    sim.wait(1);
    assert_eq!(sim.rings_at(&interaction), agents);
    let missed = |fact: &Fact| matches!(fact, Fact::OfferMissed { .. });
    assert_eq!(sim.facts(&interaction).iter().filter(|fact| missed(fact)).count(), 3);
}

#[test]
fn another_agent_is_rung_while_the_one_who_ignored_the_offer_is_left_alone_and_the_history_says_why() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    sim.plan(&[]);
    let interaction = sim.writes(1);
    sim.wait(15);
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
    let passed_over = |fact: &Fact| match fact {
        Fact::Offered { passed_over, .. } => passed_over.iter().any(|passed| passed.agent == agents[0] && passed.why == NotOffered::Missed),
        _ => false,
    };
    assert!(sim.facts(&interaction).iter().any(passed_over));
}

#[test]
fn an_agent_is_rung_for_the_agent_timeout_and_never_beyond_the_step() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::LeastRecent, 2);
    sim.steps(vec![PlanStep::from(queue_step(&queue, 20))]);
    let interaction = sim.writes(1);
    assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
    sim.wait(15);
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
    sim.wait(5);
    assert_eq!(sim.stage(&interaction), Some(Stage::Exhausted));
}

#[test]
fn an_agent_who_rejected_an_offer_to_all_members_is_free_for_the_next_one() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    agents.iter().for_each(|agent| sim.capacity(agent, 1));
    sim.log_out(&agents[1]);
    let (first, second) = (sim.writes(1), sim.writes(2));
    assert_eq!(ringing(&sim, &[&first, &second]), [true, false], "one slot, one chat");
    sim.reject(&agents[0], &first).unwrap();
    assert_eq!(sim.rings_at(&second), [agents[0].clone()]);
}
