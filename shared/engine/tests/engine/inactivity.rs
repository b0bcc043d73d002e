//! Interactions that close by themselves.

use domain::decide::CLOSED_FOR_INACTIVITY;
use domain::ids::{AgentId, InteractionId};
use domain::interaction::{Stage, Status};
use domain::queue::Strategy;

use crate::driver::Sim;

/// An accepted interaction with ten minutes of silence allowed.
fn conversation() -> (Sim, AgentId, InteractionId) {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    sim.inactivity_timeout(10);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    (sim, agents[0].clone(), interaction)
}

#[test]
fn an_interaction_closes_by_itself_some_minutes_after_the_agents_last_message() {
    let (mut sim, agent, interaction) = conversation();
    sim.wait(3600);
    assert_eq!(sim.interaction(&interaction).status, Status::Open, "only a message of an agent starts it");
    sim.answers(&agent, &interaction).unwrap();
    sim.wait(300);
    sim.answers(&agent, &interaction).unwrap();
    sim.wait(599);
    assert_eq!(sim.interaction(&interaction).status, Status::Open);
    sim.wait(1);
    let closed = sim.interaction(&interaction);
    assert_eq!((closed.status, closed.disposition.as_deref()), (Status::Closed, Some(CLOSED_FOR_INACTIVITY)));
    assert!(sim.presence(&agent).unwrap().load.is_empty());
    assert_eq!(sim.archived, [interaction]);
}

#[test]
fn there_is_one_timer_for_each_interaction_and_not_for_each_message() {
    let (mut sim, agent, interaction) = conversation();
    sim.wait(60);
    let before = sim.timers.len();
    for _ in 0..5 {
        sim.answers(&agent, &interaction).unwrap();
        sim.wait(60);
    }
    assert_eq!(sim.timers.len(), before + 1);
}

#[test]
fn a_customers_message_cancels_it() {
    let (mut sim, agent, interaction) = conversation();
    sim.answers(&agent, &interaction).unwrap();
    sim.wait(599);
    sim.writes(1);
    sim.wait(3600);
    assert_eq!(sim.interaction(&interaction).status, Status::Open);
    // And the next answer starts it again.
    sim.answers(&agent, &interaction).unwrap();
    sim.wait(600);
    assert_eq!(sim.interaction(&interaction).status, Status::Closed);
}

#[test]
fn nothing_closes_during_an_offer() {
    let (mut sim, agent, interaction) = conversation();
    sim.answers(&agent, &interaction).unwrap();
    sim.close_tab(&agent, &interaction).unwrap();
    sim.wait(598);
    sim.writes(1);
    assert_eq!(sim.stage(&interaction), Some(Stage::AssignedAgent));
    sim.wait(5);
    assert_eq!(sim.interaction(&interaction).status, Status::Open);
}

#[test]
fn nothing_closes_once_the_timeout_is_switched_off() {
    let (mut sim, agent, interaction) = conversation();
    sim.answers(&agent, &interaction).unwrap();
    sim.change_account(|account| account.settings.inactivity_timeout = None);
    sim.wait(3600);
    assert_eq!(sim.interaction(&interaction).status, Status::Open);
}
