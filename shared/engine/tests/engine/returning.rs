//! New messages on an interaction that has an agent.

use domain::decide::Refusal;
use domain::history::{Fact, Skip};
use domain::ids::{AgentId, InteractionId, QueueId};
use domain::interaction::Stage;
use domain::queue::Strategy;

use crate::driver::{Sim, agent_step, queue_step};

/// Two members. The first has accepted through the queue and closed the tab.
fn away(strategy: Strategy) -> (Sim, Vec<AgentId>, QueueId, InteractionId) {
    let (mut sim, agents, queue) = Sim::desk(strategy, 2);
    sim.pause(&agents[1]);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.ready(&agents[1]);
    sim.close_tab(&agents[0], &interaction).unwrap();
    (sim, agents, queue, interaction)
}

#[test]
fn a_message_is_simply_delivered_when_its_agent_has_the_tab_open_paused_or_not() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    for paused in [false, true] {
        if paused {
            sim.pause(&agents[0]);
        }
        sim.writes(1);
        let now = sim.interaction(&interaction);
        assert!(!now.unread && now.wait.is_none());
        assert!(matches!(sim.facts(&interaction).last(), Some(Fact::MessageReceived { delivered: true, .. })));
    }
}

#[test]
fn with_the_tab_closed_it_is_offered_to_its_agent_then_to_the_queue_then_the_plan_runs_and_only_then_it_is_unassigned() {
    let (mut sim, agents, queue, interaction) = away(Strategy::Beepall);
    let third = sim.agent(3);
    sim.ready(&third);
    sim.plan(&[agent_step(&third, 30), queue_step(&queue, 30)]);
    sim.change_account(|account| account.settings.wait_for_assigned_queue = crate::driver::seconds(20));
    sim.writes(1);
    let owner = Some(agents[0].clone());
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::AssignedAgent), vec![agents[0].clone()]));
    sim.wait(9);
    assert_eq!((sim.stage(&interaction), sim.interaction(&interaction).agent), (Some(Stage::AssignedAgent), owner.clone()));
    sim.wait(1);
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::AssignedQueue), agents.clone()));
    sim.wait(19);
    assert_eq!((sim.stage(&interaction), sim.interaction(&interaction).agent), (Some(Stage::AssignedQueue), owner));
    assert_eq!(sim.presence(&agents[0]).unwrap().load.len(), 1, "it keeps its slot");
    sim.wait(1);
    assert_eq!((sim.step(&interaction), sim.interaction(&interaction).agent), (Some(0), None));
    assert_eq!(sim.rings_at(&interaction), [third]);
    assert!(sim.presence(&agents[0]).unwrap().load.is_empty());
}

#[test]
fn a_rejection_by_its_agent_goes_to_the_queue_at_once() {
    let (mut sim, agents, _, interaction) = away(Strategy::Beepall);
    sim.writes(1);
    sim.reject(&agents[0], &interaction).unwrap();
    assert_eq!(sim.stage(&interaction), Some(Stage::AssignedQueue));
}

#[test]
fn another_member_of_the_queue_takes_it_over_and_the_slot_moves() {
    let (mut sim, agents, queue, interaction) = away(Strategy::Beepall);
    sim.writes(1);
    sim.wait(10);
    let taken = sim.accept(&agents[1], &interaction).unwrap();
    assert_eq!((taken.agent, taken.accepted_via), (Some(agents[1].clone()), Some(queue)));
    assert!(sim.presence(&agents[0]).unwrap().load.is_empty());
    assert_eq!(sim.presence(&agents[1]).unwrap().load.len(), 1);
    assert_eq!(sim.close(&agents[0], &interaction), Err(Refusal::NotYours { owner: Some(agents[1].clone()) }));
}

#[test]
fn accepting_ones_own_interaction_again_needs_no_second_slot_and_keeps_the_queue() {
    let (mut sim, agents, queue, interaction) = away(Strategy::Beepall);
    sim.capacity(&agents[0], 1);
    sim.writes(1);
    let again = sim.accept(&agents[0], &interaction).unwrap();
    assert_eq!(again.accepted_via, Some(queue));
    assert_eq!(sim.presence(&agents[0]).unwrap().load.len(), 1);
}

#[test]
fn the_queue_offers_an_interaction_to_its_own_agent_too_without_a_free_slot() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let (mut sim, agents, _, interaction) = away(strategy);
        sim.capacity(&agents[0], 1);
        sim.log_out(&agents[1]);
        sim.writes(1);
        sim.wait(10);
        assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::AssignedQueue), vec![agents[0].clone()]));
        sim.accept(&agents[0], &interaction).unwrap();
    }
}

#[test]
fn the_offer_stands_for_a_logged_out_agent_and_reaches_an_agent_who_returns_in_time() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.log_out(&agents[0]);
    sim.writes(1);
    assert_eq!(sim.stage(&interaction), Some(Stage::AssignedAgent));
    assert_eq!(sim.accept(&agents[0], &interaction), Err(Refusal::NotReady));
    sim.wait(5);
    sim.pause(&agents[0]);
    sim.wait(1);
    let back = sim.accept(&agents[0], &interaction).unwrap();
    assert!(back.wait.is_none() && !back.unread);
}

#[test]
fn opening_the_tab_ends_the_wait() {
    for waited in [0, 10] {
        let (mut sim, agents, _, interaction) = away(Strategy::Beepall);
        sim.writes(1);
        sim.wait(waited);
        let opened = sim.open_tab(&agents[0], &interaction).unwrap();
        assert!(opened.wait.is_none() && !opened.unread);
        assert!(sim.rings_at(&interaction).is_empty());
        sim.wait(600);
        assert_eq!(sim.interaction(&interaction).agent.as_ref(), Some(&agents[0]));
        assert!(sim.memory.rows().is_empty());
    }
}

#[test]
fn answering_ends_the_wait_and_makes_the_interaction_read() {
    let (mut sim, agents, _, interaction) = away(Strategy::Beepall);
    sim.writes(1);
    sim.answers(&agents[0], &interaction).unwrap();
    let now = sim.interaction(&interaction);
    assert!(now.wait.is_none() && !now.unread);
}

#[test]
fn more_messages_never_restart_a_wait() {
    let (mut sim, _, _, interaction) = away(Strategy::Beepall);
    sim.writes(1);
    for _ in 0..3 {
        sim.wait(3);
        sim.writes(1);
    }
    assert_eq!(sim.stage(&interaction), Some(Stage::AssignedAgent));
    sim.wait(1);
    assert_eq!(sim.stage(&interaction), Some(Stage::AssignedQueue));
}

#[test]
fn the_queue_is_skipped_when_its_agent_has_left_it_or_came_by_an_agent_step() {
    let (mut sim, agents, queue, interaction) = away(Strategy::Beepall);
    sim.directory.change(|config| config.queues.get_mut(&queue).unwrap().members.retain(|agent| *agent != agents[0]));
    sim.writes(1);
    sim.wait(10);
    assert_eq!(sim.step(&interaction), Some(0));
    assert!(sim.facts(&interaction).contains(&Fact::StageSkipped { stage: Stage::AssignedQueue, why: Skip::LeftQueue }));

    let mut sim = Sim::new();
    let agent = sim.agent(1);
    sim.ready(&agent);
    sim.plan(&[agent_step(&agent, 30)]);
    let interaction = sim.writes(1);
    sim.accept(&agent, &interaction).unwrap();
    sim.close_tab(&agent, &interaction).unwrap();
    sim.writes(1);
    sim.wait(10);
    assert_eq!(sim.step(&interaction), Some(0));
    assert!(sim.facts(&interaction).contains(&Fact::StageSkipped { stage: Stage::AssignedQueue, why: Skip::NoQueue }));
}

#[test]
fn an_agent_who_left_the_account_gets_no_offer_with_or_without_an_open_tab() {
    for tab in [false, true] {
        let (mut sim, agents, _, interaction) = away(Strategy::Beepall);
        if tab {
            sim.open_tab(&agents[0], &interaction).unwrap();
        }
        sim.change_account(|account| account.agents.retain(|agent| *agent != agents[0]));
        sim.writes(1);
        assert_eq!((sim.step(&interaction), sim.interaction(&interaction).agent), (Some(0), None));
        assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
        assert!(sim.presence(&agents[0]).unwrap().load.is_empty());
    }
}

#[test]
fn the_queue_offers_it_to_its_own_agent_who_comes_back_with_no_free_slot() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let (mut sim, agents, _, interaction) = away(strategy);
        sim.capacity(&agents[0], 1);
        agents.iter().for_each(|agent| sim.log_out(agent));
        sim.writes(1);
        sim.wait(10);
        assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::AssignedQueue), Vec::new()));
        sim.ready(&agents[0]);
        assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
    }
}

#[test]
fn a_screen_that_was_left_open_ends_no_wait() {
    let (mut sim, agents, _, interaction) = away(Strategy::Beepall);
    sim.log_out(&agents[0]);
    sim.writes(1);
    assert_eq!(sim.open_tab(&agents[0], &interaction), Err(Refusal::NotReady));
    assert_eq!(sim.answers(&agents[0], &interaction), Err(Refusal::NotReady));
    assert_eq!(sim.stage(&interaction), Some(Stage::AssignedAgent));
    sim.ready(&agents[0]);
    sim.open_tab(&agents[0], &interaction).unwrap();
    assert_eq!(sim.stage(&interaction), None);
}
