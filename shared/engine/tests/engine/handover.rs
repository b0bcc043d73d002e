//! Transfers from one agent to another, and reopening.

use domain::account::TransferRule;
use domain::decide::{Event, Refusal};
use domain::effect::{Notice, Target};
use domain::history::Fact;
use domain::ids::{AgentId, InteractionId, QueueId};
use domain::interaction::Stage;
use domain::queue::Strategy;

use engine::ports::Idempotency;
use engine::{Basis, Told};

use crate::driver::{Command, Sim, run, seconds};

/// Two agents of one queue; the first has an interaction and its tab open.
fn at_work() -> (Sim, Vec<AgentId>, QueueId, InteractionId) {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Beepall, 2);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    (sim, agents, queue, interaction)
}

fn transfer(sim: &mut Sim, from: &AgentId, interaction: &InteractionId, to: Target) -> Result<(), Refusal> {
    sim.command(from, Command::Transfer(interaction.clone(), to)).map(drop)
}

#[test]
fn a_transferred_interaction_stays_with_its_agent_until_the_other_accepts() {
    let (mut sim, agents, _, interaction) = at_work();
    transfer(&mut sim, &agents[0], &interaction, Target::Agent(agents[1].clone())).unwrap();
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::Transfer), vec![agents[1].clone()]));
    assert_eq!(sim.interaction(&interaction).agent, Some(agents[0].clone()));
    sim.writes(1);
    assert!(
        matches!(sim.facts(&interaction).last(), Some(Fact::MessageReceived { delivered: true, .. })),
        "its agent still sees new messages"
    );
    sim.answers(&agents[0], &interaction).unwrap();
    assert_eq!(sim.stage(&interaction), Some(Stage::Transfer), "writing does not take it back");
    let taken = sim.accept(&agents[1], &interaction).unwrap();
    assert_eq!((taken.agent, taken.accepted_via, taken.wait), (Some(agents[1].clone()), None, None));
    assert!(sim.presence(&agents[0]).unwrap().load.is_empty());
    assert_eq!(sim.presence(&agents[1]).unwrap().load.len(), 1);
    assert!(sim.shown(&agents[0], &interaction).contains(&Notice::INTERACTION));
}

#[test]
fn a_transfer_that_nobody_accepts_returns_to_its_agent_at_once_and_unread() {
    for rejected in [true, false] {
        let (mut sim, agents, _, interaction) = at_work();
        transfer(&mut sim, &agents[0], &interaction, Target::Agent(agents[1].clone())).unwrap();
        if rejected {
            sim.reject(&agents[1], &interaction).unwrap();
        } else {
            sim.wait(29);
            assert_eq!(sim.stage(&interaction), Some(Stage::Transfer));
            sim.wait(1);
        }
        let back = sim.interaction(&interaction);
        assert_eq!((back.agent, back.unread, back.tab_open, back.wait), (Some(agents[0].clone()), true, false, None));
        assert!(matches!(sim.facts(&interaction).last(), Some(Fact::Returned { .. })));
        assert!(sim.rings_at(&interaction).is_empty());
        sim.open_tab(&agents[0], &interaction).unwrap();
        assert!(!sim.interaction(&interaction).unread);
    }
}

#[test]
fn a_transfer_to_a_queue_rings_at_its_other_members_and_is_accepted_through_that_queue() {
    let (mut sim, agents, queue, interaction) = at_work();
    transfer(&mut sim, &agents[0], &interaction, Target::Queue(queue.clone())).unwrap();
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()], "the agent who hands over is not rung");
    let taken = sim.accept(&agents[1], &interaction).unwrap();
    assert_eq!((taken.agent, taken.accepted_via), (Some(agents[1].clone()), Some(queue)));
}

#[test]
fn an_agent_who_comes_back_in_time_is_rung_and_one_who_does_not_costs_nothing() {
    let (mut sim, agents, _, interaction) = at_work();
    sim.log_out(&agents[1]);
    transfer(&mut sim, &agents[0], &interaction, Target::Agent(agents[1].clone())).unwrap();
    assert!(sim.rings_at(&interaction).is_empty());
    sim.wait(20);
    sim.ready(&agents[1]);
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
    sim.log_out(&agents[1]);
    sim.wait(10);
    assert_eq!((sim.stage(&interaction), sim.interaction(&interaction).agent), (None, Some(agents[0].clone())));
}

#[test]
fn when_its_agent_left_meanwhile_a_returned_interaction_goes_on() {
    let (mut sim, agents, _, interaction) = at_work();
    transfer(&mut sim, &agents[0], &interaction, Target::Agent(agents[1].clone())).unwrap();
    sim.log_out(&agents[0]);
    sim.reject(&agents[1], &interaction).unwrap();
    assert_eq!(sim.stage(&interaction), Some(Stage::AssignedAgent));
    sim.wait(10);
    assert_ne!(sim.stage(&interaction), None, "it never stays with an absent agent");
}

#[test]
fn an_impossible_transfer_is_refused() {
    let (mut sim, agents, queue, interaction) = at_work();
    let other = Target::Agent(agents[1].clone());
    assert_eq!(transfer(&mut sim, &agents[0], &interaction, Target::Agent(agents[0].clone())), Err(Refusal::NoSuchTarget));
    let stranger = sim.agent(9);
    sim.change_account(|account| account.agents.retain(|agent| *agent != stranger));
    assert_eq!(transfer(&mut sim, &agents[0], &interaction, Target::Agent(stranger)), Err(Refusal::NoSuchTarget));
    let owner = Some(agents[0].clone());
    assert_eq!(transfer(&mut sim, &agents[1], &interaction, other.clone()), Err(Refusal::NotYours { owner }));
    sim.change_account(|account| account.settings.transfer_to_agent = TransferRule { enabled: false, timeout: seconds(30) });
    assert_eq!(transfer(&mut sim, &agents[0], &interaction, other.clone()), Err(Refusal::TransferOff));
    transfer(&mut sim, &agents[0], &interaction, Target::Queue(queue.clone())).unwrap();
    assert_eq!(transfer(&mut sim, &agents[0], &interaction, Target::Queue(queue.clone())), Err(Refusal::TransferUnderway));
    sim.close(&agents[0], &interaction).unwrap();
    assert_eq!(transfer(&mut sim, &agents[0], &interaction, Target::Queue(queue)), Err(Refusal::Closed));
}

#[test]
fn an_interaction_without_an_agent_can_be_picked_by_any_agent_of_the_account_with_a_free_slot() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let outside = sim.agent(5);
    sim.ready(&outside);
    sim.capacity(&outside, 1);
    let (first, second) = (sim.writes(1), sim.writes(2));
    let picked = sim.command(&outside, Command::Pick(first.clone())).unwrap();
    assert_eq!((picked.agent, picked.accepted_via, picked.unread), (Some(outside.clone()), None, false));
    assert!(sim.rings_at(&first).is_empty());
    assert_eq!(sim.command(&outside, Command::Pick(second)), Err(Refusal::AtCapacity));
    assert_eq!(sim.command(&agents[0], Command::Pick(first.clone())), Err(Refusal::NotYours { owner: Some(outside.clone()) }));
    assert_eq!(sim.command(&outside, Command::Pick(first)), Err(Refusal::AlreadyYours));
}

#[test]
fn an_interaction_that_a_supervisor_reassigns_is_offered_to_its_agent_first_and_never_stays_with_an_absent_one() {
    let (mut sim, agents, _, interaction) = at_work();
    let supervisor = sim.agent(7);
    sim.log_out(&agents[1]);
    let given = sim.command(&supervisor, Command::Reassign(interaction.clone(), agents[1].clone())).unwrap();
    assert_eq!((given.agent, given.unread), (Some(agents[1].clone()), true));
    assert_eq!(sim.stage(&interaction), Some(Stage::AssignedAgent));
    assert!(sim.presence(&agents[0]).unwrap().load.is_empty());
    sim.wait(10);
    assert!(matches!(sim.stage(&interaction), Some(Stage::Step { .. })));
    assert_eq!(sim.interaction(&interaction).agent, None);
}

#[test]
fn a_closed_interaction_is_archived_or_opened_again_unless_the_customer_has_another() {
    let (mut sim, agents, _, interaction) = at_work();
    assert_eq!(sim.command(&agents[0], Command::Archive(interaction.clone())), Err(Refusal::StillOpen));
    sim.close(&agents[0], &interaction).unwrap();
    assert!(sim.command(&agents[1], Command::Archive(interaction.clone())).unwrap().archived);
    let reopened = sim.command(&agents[1], Command::Reopen(interaction.clone())).unwrap();
    assert_eq!((reopened.agent, reopened.archived, reopened.closed_at), (Some(agents[1].clone()), false, None));
    assert_eq!(sim.presence(&agents[1]).unwrap().load.len(), 1);
    sim.close(&agents[1], &interaction).unwrap();
    let newer = sim.writes(1);
    assert_ne!(newer, interaction);
    assert_eq!(sim.command(&agents[1], Command::Reopen(interaction)), Err(Refusal::OtherOpen { interaction: newer }));
}

#[test]
fn a_command_that_is_based_on_an_older_version_is_refused_and_shows_the_current_one() {
    let (mut sim, agents, _, interaction) = at_work();
    let key = run(sim.engine.locate(&interaction)).unwrap();
    let seen = sim.interaction(&interaction).version;
    sim.writes(1);
    let close = |version| {
        let event = Event::Close { agent: agents[0].clone(), disposition: None };
        run(sim.engine.tell_based_on(
            &key,
            event,
            Idempotency::Command { id: format!("close {version}") },
            Basis { version: Some(version), role: None },
        ))
        .unwrap()
    };
    let Told::Refused(Refusal::Changed, current) = close(seen) else { panic!("it was carried out") };
    assert!(matches!(close(current.version), Told::Changed { .. }));
}

#[test]
fn the_interactions_of_an_agent_who_is_taken_off_the_account_go_on_at_once_without_the_agent() {
    let (mut sim, agents, _, interaction) = at_work();
    sim.change_account(|account| account.agents.retain(|agent| *agent != agents[0]));
    sim.account_changed();
    sim.settle();
    let now = sim.interaction(&interaction);
    assert_eq!((now.agent, now.unread), (None, true));
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
    assert!(sim.presence(&agents[0]).unwrap().load.is_empty());
    sim.accept(&agents[1], &interaction).unwrap();
}

#[test]
fn a_message_during_a_transfer_with_the_tab_closed_is_offered_to_its_agent_when_it_returns() {
    let (mut sim, agents, _, interaction) = at_work();
    transfer(&mut sim, &agents[0], &interaction, Target::Agent(agents[1].clone())).unwrap();
    sim.close_tab(&agents[0], &interaction).unwrap();
    sim.writes(1);
    sim.reject(&agents[1], &interaction).unwrap();
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::AssignedAgent), vec![agents[0].clone()]));
}

#[test]
fn an_answered_interaction_waits_since_its_last_message_and_not_since_it_was_opened() {
    let (mut sim, agents, queue, answered) = at_work();
    sim.answers(&agents[0], &answered).unwrap();
    sim.wait(3600);
    agents.iter().for_each(|agent| sim.log_out(agent));
    let unanswered = sim.writes(2);
    sim.wait(1);
    sim.ready(&agents[0]);
    sim.pause(&agents[0]);
    sim.writes(1);
    sim.open_tab(&agents[0], &answered).unwrap();
    sim.answers(&agents[0], &answered).unwrap();
    transfer(&mut sim, &agents[0], &answered, Target::Queue(queue)).unwrap();
    let rows = sim.memory.rows();
    let since = |id: &InteractionId| rows.iter().find(|(_, row)| row.interaction.interaction == *id).unwrap().1.since;
    assert!(since(&unanswered) < since(&answered));
}
