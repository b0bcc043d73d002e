//! Accounts that are switched off, agents who join and leave, and a slightly old configuration.

use domain::decide::Refusal;
use domain::effect::Notice;
use domain::interaction::Stage;
use domain::queue::Strategy;

use crate::driver::{Job, Sim};

#[test]
fn an_inactive_account_stores_unread_and_routes_nothing() {
    let (mut sim, _, _) = Sim::desk(Strategy::Beepall, 1);
    sim.set_active(false);
    let interaction = sim.writes(1);
    sim.writes(1);
    sim.wait(3600);
    let stored = sim.interaction(&interaction);
    assert!(stored.unread && sim.rings_at(&interaction).is_empty());
    assert_eq!((sim.stage(&interaction), sim.memory.messages().len()), (Some(Stage::Inactive), 2));
}

#[test]
fn switching_it_on_routes_the_backlog_oldest_first() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    sim.capacity(&agents[0], 1);
    sim.set_active(false);
    let first = sim.writes(1);
    sim.wait(1);
    let second = sim.writes(2);
    sim.wait(60);
    sim.set_active(true);
    assert_eq!((sim.rings_at(&first), sim.rings_at(&second)), (agents.clone(), Vec::new()));
    assert_eq!((sim.step(&first), sim.step(&second)), (Some(0), Some(0)));
}

#[test]
fn on_an_inactive_account_agents_finish_what_they_have() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.close_tab(&agents[0], &interaction).unwrap();
    sim.set_active(false);
    sim.writes(1);
    let held = sim.interaction(&interaction);
    assert_eq!((sim.stage(&interaction), held.agent, held.unread), (Some(Stage::Inactive), Some(agents[0].clone()), true));
    // Its agent opens it, and from then on messages are simply delivered.
    let opened = sim.open_tab(&agents[0], &interaction).unwrap();
    assert!(opened.wait.is_none() && !opened.unread);
    sim.writes(1);
    assert!(!sim.interaction(&interaction).unread);
    sim.set_active(true);
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (None, Vec::new()));
    sim.answers(&agents[0], &interaction).unwrap();
    sim.close(&agents[0], &interaction).unwrap();
}

#[test]
fn an_interaction_that_waits_for_its_agent_is_offered_to_that_agent_first_when_the_account_is_switched_on() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.close_tab(&agents[0], &interaction).unwrap();
    sim.set_active(false);
    sim.writes(1);
    sim.set_active(true);
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::AssignedAgent), vec![agents[0].clone()]));
}

#[test]
fn a_wait_under_way_when_the_account_is_switched_off_goes_on_when_it_is_switched_on() {
    // In a step, and with the plan run out.
    for waited in [1, 60] {
        let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
        sim.log_out(&agents[0]);
        let interaction = sim.writes(1);
        sim.wait(waited);
        sim.set_active(false);
        sim.ready(&agents[0]);
        sim.wait(60);
        assert!(sim.rings_at(&interaction).is_empty());
        sim.set_active(true);
        assert_eq!(sim.rings_at(&interaction), agents, "after {waited} s");
    }
}

#[test]
fn a_wait_that_ends_on_an_inactive_account_keeps_its_agent() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.close_tab(&agents[0], &interaction).unwrap();
    sim.writes(1);
    sim.set_active(false);
    sim.wait(60);
    assert_eq!((sim.stage(&interaction), sim.interaction(&interaction).agent), (Some(Stage::Inactive), Some(agents[0].clone())));
}

#[test]
fn only_members_who_are_also_on_the_account_are_candidates() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let (mut sim, agents, _) = Sim::desk(strategy, 2);
        sim.change_account(|account| account.agents.retain(|agent| *agent != agents[0]));
        let interaction = sim.writes(1);
        assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
        assert_eq!(sim.accept(&agents[0], &interaction), Err(Refusal::OfferGone { owner: None }));
        // An agent who can't be rung doesn't keep the step alive.
        sim.reject(&agents[1], &interaction).unwrap();
        assert_eq!(sim.stage(&interaction), Some(Stage::Exhausted));
    }
}

#[test]
fn membership_is_checked_in_the_transaction_and_not_in_the_cache() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Beepall, 2);
    let (first, second) = (sim.writes(1), sim.writes(2));
    sim.directory.hold();
    sim.directory.change(|config| config.queues.get_mut(&queue).unwrap().members.retain(|agent| *agent != agents[0]));
    assert_eq!(sim.accept(&agents[0], &first), Err(Refusal::NotAMember));
    sim.change_account(|account| account.agents.clear());
    assert_eq!(sim.accept(&agents[1], &second), Err(Refusal::NotAMember));
    assert!(sim.presence(&agents[0]).unwrap().load.is_empty());
    sim.directory.refresh();
}

#[test]
fn the_sweep_finds_every_target_for_which_something_waits() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 1);
    sim.log_out(&agents[0]);
    let interaction = sim.writes(1);
    let targets = crate::driver::run(sim.engine.waiting_targets(None)).unwrap().targets;
    assert_eq!(targets, [domain::effect::Target::Queue(queue)]);
    // The wake of the agent who becomes ready is lost. The sweep makes up for it.
    let command = crate::driver::Command::Presence(domain::agent::PresenceState::Ready);
    crate::driver::run(crate::driver::start(
        &sim.engine,
        &sim.provider,
        Job::Command { id: "ready".into(), agent: agents[0].clone(), command },
    ));
    sim.memory.take_effects();
    sim.jobs.extend(targets.into_iter().map(Job::wake));
    sim.settle();
    assert_eq!(sim.rings_at(&interaction), agents);
}

#[test]
fn switching_an_account_off_silences_its_offers_and_nobody_can_accept_them() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let (mut sim, agents, _) = Sim::desk(strategy, 2);
        let interaction = sim.writes(1);
        // Also in the instant before the wake comes.
        sim.change_account(|account| account.active = false);
        assert_eq!(sim.accept(&agents[0], &interaction), Err(Refusal::AccountInactive));
        sim.account_changed();
        sim.settle();
        assert!(sim.rings_at(&interaction).is_empty());
        assert!(sim.shown(&agents[0], &interaction).iter().any(|notice| matches!(notice, Notice::Withdrawn { .. })));
        sim.wait(60);
        assert_eq!(sim.stage(&interaction), Some(Stage::Inactive));
        sim.set_active(true);
        assert!(!sim.rings_at(&interaction).is_empty());
    }
}

#[test]
fn switching_an_account_off_ends_its_offers_also_while_nobody_is_ready() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let interaction = sim.writes(1);
    assert_eq!(sim.rings_at(&interaction), agents);
    agents.iter().for_each(|agent| sim.pause(agent));
    sim.settle();
    sim.set_active(false);
    sim.settle();
    assert!(sim.interaction(&interaction).offer().is_none(), "{:?}", sim.interaction(&interaction).wait);
}

#[test]
fn a_message_after_the_plan_while_the_account_is_off_runs_the_plan_again() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    sim.log_out(&agents[0]);
    let interaction = sim.writes(1);
    sim.wait(60);
    assert_eq!(sim.stage(&interaction), Some(Stage::Exhausted));
    sim.set_active(false);
    sim.writes(1);
    assert_eq!(sim.stage(&interaction), Some(Stage::Inactive));
    sim.set_active(true);
    assert_eq!(sim.step(&interaction), Some(0));
}

#[test]
fn an_agent_who_joins_a_ringing_queue_sees_the_offer_and_one_who_leaves_no_longer_does() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Beepall, 3);
    sim.directory.change(|config| config.queues.get_mut(&queue).unwrap().members.pop());
    let interaction = sim.writes(1);
    assert!(sim.shown(&agents[2], &interaction).is_empty());
    sim.directory.change(|config| {
        let members = &mut config.queues.get_mut(&queue).unwrap().members;
        members.remove(0);
        members.push(agents[2].clone());
    });
    sim.jobs.extend([Job::reconfigured(&agents[0]), Job::reconfigured(&agents[2])]);
    sim.settle();
    assert!(matches!(sim.shown(&agents[0], &interaction).last(), Some(Notice::Withdrawn { .. })));
    assert!(matches!(sim.shown(&agents[2], &interaction).last(), Some(Notice::Offered { .. })));
}

#[test]
fn an_offer_at_one_agent_who_is_taken_off_the_queue_or_fills_up_moves_to_the_next() {
    for leaves in [true, false] {
        let (mut sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 2);
        sim.capacity(&agents[0], 2);
        let interaction = sim.writes(1);
        assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
        if leaves {
            sim.directory.change(|config| config.queues.get_mut(&queue).unwrap().members.retain(|agent| *agent != agents[0]));
            sim.jobs.push_back(Job::reconfigured(&agents[0]));
            sim.settle();
        } else {
            sim.starts(&agents[0], 7).unwrap();
            assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
            sim.starts(&agents[0], 8).unwrap();
        }
        assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
    }
}

#[test]
fn an_offer_at_one_agent_whose_capacity_is_lowered_moves_to_the_next() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    sim.starts(&agents[0], 7).unwrap();
    let interaction = sim.writes(1);
    assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
    sim.capacity(&agents[0], 1);
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
}
