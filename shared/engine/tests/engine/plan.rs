//! A new interaction and the action plan.

use domain::effect::Target;
use domain::history::{Fact, NotOffered, PassedOver, Skip, WaitEnd};
use domain::interaction::Stage;
use domain::queue::Strategy;

use crate::driver::{Job, Sim, agent_step, queue_step};

#[test]
fn a_new_message_opens_an_interaction_that_is_offered_to_all_ready_members() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 3);
    sim.pause(&agents[2]);
    let interaction = sim.writes(1);
    assert_eq!(sim.rings_at(&interaction), agents[..2]);
    assert!(sim.interaction(&interaction).unread);
    assert!(sim.shown(&agents[2], &interaction).is_empty());
}

#[test]
fn two_messages_of_one_contact_join_one_interaction_in_order() {
    let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
    let first = sim.writes(1);
    assert_eq!(sim.writes(1), first);
    let received = sim.facts(&first).into_iter().filter(|fact| matches!(fact, Fact::MessageReceived { .. })).count();
    assert_eq!((received, sim.memory.interactions().len(), sim.memory.contacts().len()), (2, 1, 1));
    assert_ne!(sim.writes(2), first);
}

#[test]
fn two_messages_at_the_same_instant_never_open_two() {
    for known in [false, true] {
        let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
        if known {
            let earlier = sim.writes(1);
            sim.accept(&agents[0], &earlier).unwrap();
            sim.close(&agents[0], &earlier).unwrap();
        }
        let events = [sim.event(1), sim.event(1)];
        events.iter().for_each(|event| assert!(sim.memory.receive(event)));
        sim.memory.take_effects();
        // Normally the queue keeps them apart, but not here.
        sim.at_once(events.iter().map(Job::route).collect());
        sim.settle();
        let open: Vec<_> = sim.memory.interactions().into_iter().filter(|interaction| interaction.is_open()).collect();
        assert_eq!((open.len(), sim.memory.contacts().len()), (1, 1), "known: {known}");
        assert_eq!(sim.memory.messages().iter().filter(|(_, message)| message.interaction == open[0].id).count(), 2);
    }
}

#[test]
fn rrmemory_rings_the_next_after_the_one_engaged_last() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 3);
    for (customer, expected) in (1..).zip([0, 1, 2, 0]) {
        let interaction = sim.writes(customer);
        assert_eq!(sim.rings_at(&interaction), [agents[expected].clone()]);
        sim.accept(&agents[expected], &interaction).unwrap();
    }
}

#[test]
fn rrmemory_passes_over_a_paused_agent() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 3);
    sim.pause(&agents[0]);
    let interaction = sim.writes(1);
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
    let passed_over = sim.facts(&interaction).into_iter().find_map(|fact| match fact {
        Fact::Offered { passed_over, .. } => Some(passed_over),
        _ => None,
    });
    let why = |agent: usize, why| PassedOver { agent: agents[agent].clone(), why };
    assert_eq!(passed_over, Some(vec![why(0, NotOffered::Paused), why(2, NotOffered::NotItsTurn)]));
}

#[test]
fn an_offer_that_expires_goes_to_the_next_agent() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let interaction = sim.writes(1);
    assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
    sim.wait(14);
    assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
    sim.wait(1);
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
    assert_eq!(sim.step(&interaction), Some(0), "the step goes on");
}

#[test]
fn one_agent_alone_is_rung_again_until_the_step_is_over() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    let interaction = sim.writes(1);
    sim.wait(16);
    assert_eq!(sim.rings_at(&interaction), agents);
}

#[test]
fn an_agent_who_rejected_is_passed_over_for_the_rest_of_the_step() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let interaction = sim.writes(1);
    sim.reject(&agents[0], &interaction).unwrap();
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
    sim.wait(15);
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()], "the first one said no");
}

#[test]
fn the_next_step_follows_when_everybody_rejected() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let (mut sim, agents, queue) = Sim::desk(strategy, 2);
        let third = sim.agent(3);
        sim.ready(&third);
        sim.plan(&[queue_step(&queue, 30), agent_step(&third, 30)]);
        let interaction = sim.writes(1);
        sim.reject(&agents[0], &interaction).unwrap();
        assert_eq!(sim.step(&interaction), Some(0));
        sim.reject(&agents[1], &interaction).unwrap();
        assert_eq!((sim.step(&interaction), sim.rings_at(&interaction)), (Some(1), vec![third]));
    }
}

#[test]
fn the_next_step_follows_when_the_time_is_over() {
    let (mut sim, _, queue) = Sim::desk(Strategy::Beepall, 2);
    let third = sim.agent(3);
    sim.ready(&third);
    sim.plan(&[queue_step(&queue, 30), agent_step(&third, 20)]);
    let interaction = sim.writes(1);
    sim.wait(29);
    assert_eq!(sim.step(&interaction), Some(0));
    sim.wait(1);
    assert_eq!((sim.step(&interaction), sim.rings_at(&interaction)), (Some(1), vec![third]));
    sim.wait(20);
    assert_eq!(sim.stage(&interaction), Some(Stage::Exhausted));
}

#[test]
fn a_queue_step_lasts_its_timeout_with_nobody_there_and_rings_an_agent_who_comes() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let (mut sim, agents, _) = Sim::desk(strategy, 1);
        sim.log_out(&agents[0]);
        let interaction = sim.writes(1);
        sim.wait(20);
        assert_eq!((sim.step(&interaction), sim.rings_at(&interaction)), (Some(0), Vec::new()));
        sim.ready(&agents[0]);
        assert_eq!(sim.rings_at(&interaction), agents);
        sim.wait(10);
        assert_ne!(sim.step(&interaction), Some(0), "ringing does not make the step longer");
    }
}

#[test]
fn an_offer_to_all_members_is_also_shown_to_a_member_who_comes_later() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    sim.log_out(&agents[1]);
    let interaction = sim.writes(1);
    sim.ready(&agents[1]);
    assert!(!sim.shown(&agents[1], &interaction).is_empty());
    sim.accept(&agents[1], &interaction).unwrap();
}

#[test]
fn an_agent_step_rings_its_agent_when_the_agent_comes() {
    let mut sim = Sim::new();
    let agent = sim.agent(1);
    sim.plan(&[agent_step(&agent, 30)]);
    let interaction = sim.writes(1);
    assert!(sim.rings_at(&interaction).is_empty());
    sim.ready(&agent);
    assert_eq!(sim.rings_at(&interaction), std::slice::from_ref(&agent));
    let accepted = sim.accept(&agent, &interaction).unwrap();
    assert_eq!(accepted.accepted_via, None);
}

#[test]
fn after_the_plan_an_interaction_is_offered_at_once_to_an_agent_who_becomes_available() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let (mut sim, agents, _) = Sim::desk(strategy, 2);
        agents.iter().for_each(|agent| sim.log_out(agent));
        let interaction = sim.writes(1);
        sim.wait(3600);
        assert_eq!(sim.stage(&interaction), Some(Stage::Exhausted));
        assert!(sim.interaction(&interaction).unread && sim.rings_at(&interaction).is_empty());
        sim.ready(&agents[1]);
        assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
        // An ignored offer goes on to an agent who came since, otherwise to the same agent again after a while.
        sim.ready(&agents[0]);
        sim.wait(15);
        assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
        sim.reject(&agents[0], &interaction).unwrap();
        sim.wait(299);
        assert!(sim.rings_at(&interaction).is_empty());
        sim.wait(1);
        assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
        sim.reject(&agents[1], &interaction).unwrap();
        assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::Exhausted), Vec::new()));
    }
}

#[test]
fn an_empty_plan_waits_for_all_agents_of_the_account() {
    let mut sim = Sim::new();
    let agents = [sim.agent(1), sim.agent(2), sim.agent(3)];
    let interaction = sim.writes(1);
    assert_eq!(sim.stage(&interaction), Some(Stage::Exhausted));
    sim.ready(&agents[1]);
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
    sim.ready(&agents[0]);
    sim.ready(&agents[2]);
    sim.wait(15);
    assert_eq!(sim.rings_at(&interaction), [agents[2].clone()], "the next after the one engaged last");
    sim.log_out(&agents[2]);
    assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
}

#[test]
fn an_interaction_whose_plan_has_run_out_waits_for_the_members_of_all_queues_that_it_tried() {
    let (mut sim, agents, first) = Sim::desk(Strategy::Beepall, 3);
    let second = sim.queue(2, Strategy::Rrmemory, &[&agents[2]]);
    sim.directory.change(|config| config.queues.get_mut(&first).unwrap().members.truncate(1));
    sim.plan(&[queue_step(&first, 5), queue_step(&second, 5)]);
    agents.iter().for_each(|agent| sim.log_out(agent));
    let interaction = sim.writes(1);
    sim.wait(60);
    sim.ready(&agents[1]);
    assert!(sim.rings_at(&interaction).is_empty(), "a member of none of them");
    sim.ready(&agents[2]);
    assert_eq!(sim.rings_at(&interaction), [agents[2].clone()]);
}

#[test]
fn a_message_starts_the_plan_over_when_it_had_run_out() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    sim.log_out(&agents[0]);
    let interaction = sim.writes(1);
    sim.wait(60);
    sim.writes(1);
    assert_eq!(sim.step(&interaction), Some(0));
    assert!(sim.facts(&interaction).contains(&Fact::WaitEnded { stage: Stage::Exhausted, why: WaitEnd::NewMessage, passed_over: vec![] }));
}

#[test]
fn more_messages_join_the_wait_under_way() {
    let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.wait(20);
    let before = sim.interaction(&interaction).wait;
    sim.writes(1);
    assert_eq!(sim.interaction(&interaction).wait, before);
    sim.wait(10);
    assert_eq!(sim.stage(&interaction), Some(Stage::Exhausted), "the step was not made longer");
}

#[test]
fn a_run_takes_the_plan_that_is_current_when_it_starts() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Beepall, 2);
    sim.plan(&[queue_step(&queue, 30), agent_step(&agents[0], 30)]);
    let interaction = sim.writes(1);
    sim.plan(&[agent_step(&agents[1], 30), agent_step(&agents[1], 30)]);
    sim.wait(30);
    assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
}

#[test]
fn a_step_whose_queue_is_gone_is_left_out_and_the_history_says_so() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Beepall, 1);
    sim.plan(&[queue_step(&queue, 30), agent_step(&agents[0], 30)]);
    sim.directory.change(|config| config.queues.remove(&queue));
    let interaction = sim.writes(1);
    assert_eq!(sim.step(&interaction), Some(1));
    assert!(sim.facts(&interaction).iter().any(|fact| matches!(fact, Fact::StageSkipped { why: Skip::QueueGone, .. })));
}

#[test]
fn the_longest_wait_is_served_first() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    sim.capacity(&agents[0], 1);
    sim.log_out(&agents[0]);
    let first = sim.writes(1);
    sim.wait(1);
    let second = sim.writes(2);
    sim.wait(60);
    sim.ready(&agents[0]);
    assert_eq!((sim.rings_at(&first), sim.rings_at(&second)), (agents.clone(), Vec::new()));
    sim.accept(&agents[0], &first).unwrap();
    assert!(sim.rings_at(&second).is_empty());
    sim.close(&agents[0], &first).unwrap();
    assert_eq!(sim.rings_at(&second), agents);
}

#[test]
fn after_a_plan_whose_queues_were_deleted_an_interaction_waits_for_all_agents_of_the_account() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 2);
    sim.log_out(&agents[0]);
    sim.log_out(&agents[1]);
    sim.plan(&[queue_step(&queue, 30), agent_step(&agents[1], 60)]);
    let interaction = sim.writes(1);
    sim.wait(31);
    sim.directory.change(|config| config.queues.remove(&queue));
    sim.wait(60);
    assert_eq!(sim.interaction(&interaction).wait.unwrap().targets, [Target::Account(sim.account.clone())]);
    sim.ready(&agents[0]);
    assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
}

#[test]
fn a_wait_that_ends_without_a_ring_says_why() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 4);
    sim.log_out(&agents[0]);
    sim.pause(&agents[1]);
    sim.capacity(&agents[2], 1);
    let held = sim.writes(9);
    sim.accept(&agents[2], &held).unwrap();
    sim.change_account(|account| account.agents.retain(|agent| *agent != agents[3]));
    let interaction = sim.writes(1);
    sim.wait(30);
    let why = sim.facts(&interaction).into_iter().find_map(|fact| match fact {
        Fact::WaitEnded { passed_over, .. } => Some(passed_over.into_iter().map(|passed| passed.why).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(why.unwrap(), [NotOffered::LoggedOut, NotOffered::Paused, NotOffered::NoFreeSlot, NotOffered::NotOfAccount]);
}
