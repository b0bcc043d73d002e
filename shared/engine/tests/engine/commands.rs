//! Commands with an `Idempotency-Key` that come again.

use domain::commands::Keyed;
use domain::decide::{Decision, Event, Refusal};
use domain::ids::{AgentId, InteractionId, MessageId};
use domain::interaction::Interaction;
use domain::message::DeliveryState;
use domain::queue::Strategy;
use engine::Told;
use engine::memory::Fault;
use engine::ports::{Commit, Idempotency, Store, World};

use crate::driver::{Command, Sim, run};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// A desk whose only agent has a chat.
fn chat() -> (Sim, AgentId, InteractionId) {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    (sim, agents[0].clone(), interaction)
}

/// The agent's answer, as a request brings it: each has an own id for the message.
fn answer(sim: &mut Sim, agent: &AgentId, interaction: &InteractionId) -> Told {
    loop {
        let id = MessageId::from_ulid(sim.world.ulid());
        if let Ok(told) = sim.try_command("the answer", agent, Command::Write(interaction.clone(), id, "an answer".into())) {
            return told.unwrap();
        }
    }
}

fn others(sim: &mut Sim, agent: &AgentId, interaction: &InteractionId) {
    for _ in 0..20 {
        let id = MessageId::from_ulid(sim.world.ulid());
        sim.command(agent, Command::Note(interaction.clone(), id)).unwrap();
    }
}

fn was_sent_once(sim: &Sim, when: &str) {
    assert_eq!(sim.provider.lock().unwrap().calls.len(), 1, "{when}");
    let answers: Vec<_> = sim.memory.messages().into_iter().filter(|(_, message)| message.content.readable() == "an answer").collect();
    assert_eq!(answers.len(), 1, "{when}");
    let state = answers[0].1.delivery.as_ref().map(|delivery| delivery.state);
    assert!(state.is_some_and(|state| state != DeliveryState::Unknown), "{when}: {state:?}");
}

#[test]
fn one_key_again_after_a_second_ten_minutes_23_hours_and_20_other_commands_sends_once() {
    for others_at in [None, Some(0), Some(1), Some(2), Some(3)] {
        // The commit, the claim, the provider's id and the result are four writes.
        for lost in 0..4 {
            let (mut sim, agent, interaction) = chat();
            if others_at == Some(0) {
                others(&mut sim, &agent, &interaction);
            }
            let mut writes = 0;
            sim.memory.inject(move |_| {
                writes += 1;
                if writes == lost + 1 { Fault::AnswerLost } else { Fault::None }
            });
            let first = answer(&mut sim, &agent, &interaction);
            assert_eq!(lost == 0, matches!(first, Told::AlreadyDone(_)), "the commit is the first write");
            was_sent_once(&sim, &format!("{lost}, at first"));
            sim.memory.heal();
            for (place, pause) in [(1, 1), (2, 10 * MINUTE), (3, 23 * HOUR - 11 * MINUTE)] {
                sim.wait(pause);
                if others_at == Some(place) {
                    others(&mut sim, &agent, &interaction);
                }
                assert!(matches!(answer(&mut sim, &agent, &interaction), Told::AlreadyDone(_)));
                was_sent_once(&sim, &format!("{lost}, others at {others_at:?}, repetition {place}"));
            }
        }
    }
}

fn keyed(id: &str, body: u32) -> Idempotency {
    Idempotency::Keyed(Keyed { id: id.to_owned(), body })
}

#[test]
fn a_key_that_comes_again_with_another_body_is_refused() {
    let (sim, agent, interaction) = chat();
    let key = sim.interaction(&interaction).key();
    let tell = |event, mark| run(sim.engine.tell(&key, event, mark)).unwrap();
    assert!(matches!(tell(Event::CloseTab { agent: agent.clone() }, keyed("k", 1)), Told::Changed { .. }));
    let before = sim.interaction(&interaction);
    let again = tell(Event::CloseTab { agent: agent.clone() }, keyed("k", 2));
    assert!(matches!(again, Told::Refused(Refusal::KeyReused, _)));
    assert_eq!(sim.interaction(&interaction), before);
}

#[test]
fn a_mark_of_the_version_before_is_met() {
    let (sim, agent, interaction) = chat();
    let before = sim.interaction(&interaction);
    // That version knows no commands in interactions, and drops them.
    let after = Interaction { version: before.version + 1, tab_open: false, commands: None, ..before.clone() };
    let decided = Decision {
        interaction: after,
        effects: Vec::new(),
        message_effects: Vec::new(),
        replies: Vec::new(),
        history: Vec::new(),
        presence_revision: None,
    };
    run(sim.memory.commit(Commit::of(Some(before), decided, Idempotency::Command { id: "k".to_owned() }))).unwrap();
    let before = sim.interaction(&interaction);
    let told = run(sim.engine.tell(&before.key(), Event::OpenTab { agent }, keyed("k", 1))).unwrap();
    assert!(matches!(told, Told::AlreadyDone(_)), "{told:?}");
    assert_eq!(sim.interaction(&interaction), before);
}
