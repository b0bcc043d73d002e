//! Supervisors who watch a thread: their feeds carry it, and nothing else changes.

use audit::Action;
use domain::agent::Role;
use domain::decide::Refusal;
use domain::effect::{Effect, Notice};
use domain::ids::{AgentId, InteractionId};
use domain::inbound::Annotated;
use domain::interaction::{Interaction, Status, Watcher};
use domain::message::DeliveryState;
use domain::queue::Strategy;

use crate::driver::{Command, Sim, surely};

/// A desk with one agent and a supervisor who is in no queue.
fn desk() -> (Sim, AgentId, AgentId) {
    let (sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let sue = sim.agent(9);
    (sim, agents[0].clone(), sue)
}

fn watch(sim: &mut Sim, supervisor: &AgentId, interaction: &InteractionId) -> Result<Interaction, Refusal> {
    sim.command(supervisor, Command::Watch(interaction.clone()))
}

#[test]
fn a_watcher_sees_messages_states_and_changes_and_nothing_else_differs() {
    let play = |watched: bool| {
        let (mut sim, anna, sue) = desk();
        let interaction = sim.writes(1);
        if watched {
            watch(&mut sim, &sue, &interaction).unwrap();
        }
        sim.accept(&anna, &interaction).unwrap();
        sim.writes(1);
        let message = sim.answers(&anna, &interaction).unwrap();
        sim.reports(&message, DeliveryState::Read);
        sim.close_tab(&anna, &interaction).unwrap();
        sim.writes(1);
        (sim.shown(&sue, &interaction), sim.shown(&anna, &interaction), sim.facts(&interaction), sim.interaction(&interaction))
    };
    let (seen, of_anna, facts, after) = play(true);
    let count = |seen: &[Notice], notice: &Notice| seen.iter().filter(|seen| *seen == notice).count();
    // The two messages after the first, and the answer with all its states.
    assert_eq!((count(&seen, &Notice::Message), count(&of_anna, &Notice::Message)), (3, 3), "{seen:?}");
    assert_eq!(count(&seen, &Notice::MessageState), count(&of_anna, &Notice::MessageState), "{seen:?}");
    assert!(count(&seen, &Notice::MessageState) >= 1 && count(&seen, &Notice::INTERACTION) >= 3, "{seen:?}");
    // Without a watcher all is the same, but for the watch and the version that wrote it.
    let (nothing, of_anna_alone, facts_alone, alone) = play(false);
    assert_eq!((nothing, of_anna_alone.len(), facts_alone.len()), (Vec::new(), of_anna.len(), facts.len()));
    assert!(after.looks_like(&Interaction { wait: after.wait.clone(), ..alone }), "not read, not routed otherwise");
}

#[test]
fn an_unassigned_thread_and_its_automatic_states_are_watched_too() {
    let (mut sim, _, sue) = desk();
    let interaction = sim.writes(1);
    watch(&mut sim, &sue, &interaction).unwrap();
    assert_eq!(sim.shown(&sue, &interaction), []);
    let message = sim.memory.messages()[0].1.clone();
    sim.writes(1);
    let edited = sim.annotation(1, Annotated::Deleted { message: message.provider_id.unwrap() });
    sim.annotated(&edited);
    let seen = sim.shown(&sue, &interaction);
    assert_eq!(seen.iter().filter(|seen| **seen == Notice::Message).count(), 1, "{seen:?}");
    assert_eq!(seen.last(), Some(&Notice::MessageState));
}

#[test]
fn an_interaction_that_nobody_watches_carries_no_effect_for_watchers() {
    let (mut sim, anna, sue) = desk();
    let interaction = sim.writes(1);
    sim.accept(&anna, &interaction).unwrap();
    let tells = |sim: &mut Sim| {
        let event = sim.event(1);
        surely(|| sim.engine.route(&event));
        let grown = sim.memory.take_effects();
        assert!(!grown.is_empty());
        grown.iter().flat_map(|grown| &grown.effects).any(|effect| matches!(effect, Effect::TellWatchers { .. }))
    };
    assert!(!tells(&mut sim));
    watch(&mut sim, &sue, &interaction).unwrap();
    assert!(tells(&mut sim));
    sim.world.advance(Watcher::LASTS);
    assert!(!tells(&mut sim), "the watch is over");
}

#[test]
fn a_watch_ends_with_the_interaction_which_the_watcher_is_told() {
    let (mut sim, anna, sue) = desk();
    let interaction = sim.writes(1);
    sim.accept(&anna, &interaction).unwrap();
    watch(&mut sim, &sue, &interaction).unwrap();
    assert_eq!(sim.close(&anna, &interaction).unwrap().watchers, []);
    assert_eq!(sim.shown(&sue, &interaction).last(), Some(&Notice::INTERACTION));
    assert_eq!(watch(&mut sim, &sue, &interaction), Err(Refusal::Closed));
    let told = sim.shown(&sue, &interaction).len();
    sim.command(&anna, Command::Reopen(interaction.clone())).unwrap();
    sim.writes(1);
    assert_eq!(sim.shown(&sue, &interaction).len(), told);
}

#[test]
fn the_audit_trail_tells_when_a_watch_begins_and_when_it_is_given_up_and_nothing_of_renewals() {
    let (mut sim, _, sue) = desk();
    let interaction = sim.writes(1);
    let told = |sim: &Sim| {
        let entries = sim.memory.audit();
        assert!(entries.iter().all(|entry| entry.who == sue.as_str() && entry.role == Some(Role::Supervisor)));
        assert!(entries.iter().all(|entry| entry.kind == "interaction" && entry.of == interaction.as_str()));
        entries.iter().map(|entry| entry.action).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        watch(&mut sim, &sue, &interaction).unwrap();
        sim.world.advance(Watcher::LASTS / 2);
    }
    assert_eq!(told(&sim), [Action::Watched]);
    for _ in 0..2 {
        let _ = sim.command(&sue, Command::Unwatch(interaction.clone()));
    }
    assert_eq!(told(&sim), [Action::Watched, Action::Unwatched]);
    // One that is over begins anew.
    watch(&mut sim, &sue, &interaction).unwrap();
    sim.world.advance(Watcher::LASTS);
    watch(&mut sim, &sue, &interaction).unwrap();
    assert_eq!(told(&sim)[2..], [Action::Watched, Action::Watched]);
    assert_eq!(sim.memory.audit()[3].version, Some(sim.interaction(&interaction).version));
}

#[test]
fn a_watch_ends_when_it_is_given_up_or_its_time_is_over_and_can_be_renewed() {
    let (mut sim, anna, sue) = desk();
    let interaction = sim.writes(1);
    sim.accept(&anna, &interaction).unwrap();
    let sees_a_message = |sim: &mut Sim| {
        let before = sim.shown(&sue, &interaction).len();
        sim.writes(1);
        sim.shown(&sue, &interaction).len() > before
    };
    watch(&mut sim, &sue, &interaction).unwrap();
    assert!(sees_a_message(&mut sim));
    sim.command(&sue, Command::Unwatch(interaction.clone())).unwrap();
    assert!(!sees_a_message(&mut sim));
    assert_eq!(sim.command(&sue, Command::Unwatch(interaction.clone())), Err(Refusal::NothingToDo));
    watch(&mut sim, &sue, &interaction).unwrap();
    let almost = Watcher::LASTS.as_secs() - 1;
    sim.wait(almost);
    assert!(sees_a_message(&mut sim));
    watch(&mut sim, &sue, &interaction).unwrap();
    sim.wait(2);
    assert!(sees_a_message(&mut sim), "renewed");
    sim.wait(almost);
    assert!(!sees_a_message(&mut sim));
}

#[test]
fn a_logout_ends_the_watch_and_a_supervisor_need_not_log_in_to_watch() {
    let (mut sim, _, sue) = desk();
    let interaction = sim.writes(1);
    let sees_a_message = |sim: &mut Sim| {
        let before = sim.shown(&sue, &interaction).len();
        sim.writes(1);
        sim.shown(&sue, &interaction).len() > before
    };
    sim.log_out(&sue);
    sim.wait(1);
    watch(&mut sim, &sue, &interaction).unwrap();
    assert!(sees_a_message(&mut sim), "logged out before, so no logout since");
    sim.wait(1);
    sim.ready(&sue);
    assert!(sees_a_message(&mut sim));
    sim.wait(1);
    sim.log_out(&sue);
    assert!(!sees_a_message(&mut sim));
}

#[test]
fn five_supervisors_watch_at_once_and_ended_watches_make_room() {
    let (mut sim, _, _) = desk();
    let interaction = sim.writes(1);
    let supervisors: Vec<AgentId> = (20..26).map(|number| sim.agent(number)).collect();
    for supervisor in &supervisors[..Watcher::MOST] {
        watch(&mut sim, supervisor, &interaction).unwrap();
    }
    assert_eq!(watch(&mut sim, &supervisors[5], &interaction), Err(Refusal::TooManyWatchers));
    // A renewal needs no room.
    watch(&mut sim, &supervisors[0], &interaction).unwrap();
    sim.ready(&supervisors[1]);
    sim.wait(1);
    sim.log_out(&supervisors[1]);
    watch(&mut sim, &supervisors[5], &interaction).unwrap();
}

#[test]
fn a_supervisor_reopens_for_an_agent_or_for_whomever_the_plan_finds() {
    let (mut sim, anna, sue) = desk();
    let interaction = sim.writes(1);
    sim.accept(&anna, &interaction).unwrap();
    assert_eq!(sim.command(&sue, Command::ReopenFor(interaction.clone(), None)), Err(Refusal::StillOpen));
    sim.close(&anna, &interaction).unwrap();
    let stranger = sim.agent(30);
    sim.change_account(|account| account.agents.retain(|agent| *agent != stranger));
    assert_eq!(sim.command(&sue, Command::ReopenFor(interaction.clone(), Some(stranger))), Err(Refusal::NoSuchTarget));
    let reopened = sim.command(&sue, Command::ReopenFor(interaction.clone(), Some(anna.clone()))).unwrap();
    assert_eq!((reopened.status, reopened.agent.as_ref(), reopened.unread), (Status::Open, Some(&anna), true));
    assert_eq!(sim.rings_at(&interaction), std::slice::from_ref(&anna));
    sim.accept(&anna, &interaction).unwrap();
    sim.close(&anna, &interaction).unwrap();
    let reopened = sim.command(&sue, Command::ReopenFor(interaction.clone(), None)).unwrap();
    assert_eq!((reopened.agent, reopened.unread, reopened.disposition), (None, true, None));
    assert_eq!(sim.rings_at(&interaction), std::slice::from_ref(&anna), "the plan rings");
    // The customer's next interaction is open, so the earlier one stays closed.
    sim.accept(&anna, &interaction).unwrap();
    sim.close(&anna, &interaction).unwrap();
    let next = sim.writes(1);
    assert_eq!(sim.command(&sue, Command::ReopenFor(interaction, None)), Err(Refusal::OtherOpen { interaction: next }));
}
