//! Reactions, edits, deletions and moves: they change existing messages and ring at no agent.

use domain::effect::Notice;
use domain::history::Fact;
use domain::ids::{AgentId, InteractionId};
use domain::inbound::{Annotated, InboundEvent, InboundKind, ReactionEmoji};
use domain::interaction::Interaction;
use domain::message::{Author, Content, DeliveryState, Message};
use domain::queue::Strategy;

use crate::driver::{Job, Sim, phone};

/// A conversation whose agent has closed the tab, with one message from the customer.
fn conversation() -> (Sim, AgentId, InteractionId, Message) {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    sim.inactivity_timeout(10);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.answers(&agents[0], &interaction).unwrap();
    sim.close_tab(&agents[0], &interaction).unwrap();
    let message = sim.memory.messages()[0].1.clone();
    (sim, agents[0].clone(), interaction, message)
}

fn reaction(to: &str, emoji: &str) -> Annotated {
    let emoji = Some(emoji).filter(|emoji| !emoji.is_empty()).map(|emoji| ReactionEmoji(emoji.to_owned()));
    Annotated::Reaction { message: to.to_owned(), emoji }
}

fn edit(of: &str, body: &str) -> Annotated {
    Annotated::Edited { message: of.to_owned(), content: Content::Text { body: body.to_owned() }, cut: false }
}

fn sent_at(mut event: InboundEvent, at: &str) -> InboundEvent {
    if let InboundKind::Annotation(annotation) = &mut event.kind {
        annotation.sent_at = Some(at.parse().unwrap());
    }
    event
}

fn timers(sim: &Sim) -> Vec<Job> {
    sim.timers.iter().map(|(_, job)| job.clone()).collect()
}

/// The state that must not change.
fn untouched(sim: &Sim, interaction: &InteractionId) -> (Interaction, Vec<Job>) {
    (Interaction { version: 0, ..sim.interaction(interaction) }, timers(sim))
}

#[test]
fn reactions_edits_and_deletions_change_their_message_and_nothing_else() {
    let (mut sim, agent, interaction, message) = conversation();
    let id = message.provider_id.clone().unwrap();
    let before = untouched(&sim, &interaction);
    let version = sim.interaction(&interaction).version;
    for what in [reaction(&id, "👍"), edit(&id, "corrected"), Annotated::Deleted { message: id.clone() }] {
        let told = sim.shown(&agent, &interaction).len();
        let event = sim.annotation(1, what);
        assert_eq!(sim.annotated(&event).as_deref(), Some(interaction.as_str()));
        assert_eq!(sim.shown(&agent, &interaction)[told..], [Notice::MessageState]);
        // Repetitions change nothing.
        let once = sim.message(&message.id);
        sim.jobs.extend([Job::route(&event), Job::route(&event)]);
        sim.settle();
        assert_eq!(sim.message(&message.id), once);
    }
    let (_, after) = sim.message(&message.id);
    assert_eq!((after.content.readable().as_str(), after.edits.len(), after.deleted_at.is_some()), ("corrected", 1, true));
    assert_eq!(after.reactions[0].emoji, "👍");
    assert_eq!(untouched(&sim, &interaction), before);
    assert_eq!(sim.interaction(&interaction).version, version, "the interaction is not even written");
}

#[test]
fn customers_can_react_to_agents_messages() {
    let (mut sim, agent, interaction, _) = conversation();
    let message = sim.answers(&agent, &interaction).unwrap();
    let event = sim.annotation(1, reaction(&format!("SM{message}"), "❤️"));
    assert_eq!(sim.annotated(&event).as_deref(), Some(interaction.as_str()));
    assert_eq!(sim.message(&message).1.reactions[0].author, Author::Customer);
}

#[test]
fn the_newest_by_the_providers_clock_counts_and_a_late_one_changes_nothing() {
    let (mut sim, _, _, message) = conversation();
    let id = message.provider_id.clone().unwrap();
    for (emoji, at, stands) in [("👍", "10:00", 1), ("", "10:02", 0), ("❤️", "10:01", 0), ("😂", "10:03", 1)] {
        let event = sim.annotation(1, reaction(&id, emoji));
        let event = sent_at(event, &format!("2026-01-01T{at}:00Z"));
        assert!(sim.annotated(&event).is_some());
        assert_eq!(sim.message(&message.id).1.standing_reactions().count(), stands, "{emoji}");
    }
    for (body, at) in [("second", "10:02"), ("first", "10:01")] {
        let event = sim.annotation(1, edit(&id, body));
        let event = sent_at(event, &format!("2026-01-01T{at}:00Z"));
        sim.annotated(&event);
    }
    let (_, after) = sim.message(&message.id);
    let history: Vec<_> = after.edits.iter().map(|edit| edit.before.readable()).collect();
    assert_eq!((after.content.readable(), history), ("second".into(), vec![message.content.readable(), "first".into()]));
}

#[test]
fn an_annotation_waits_for_its_message_and_nobody_waits_for_it() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let message = sim.event(1);
    let InboundKind::Message(inbound) = &message.kind else { panic!("a message") };
    let event = sim.annotation(1, reaction(&inbound.provider_id, "👍"));
    // It is in another group than the customer's messages, so it holds none up.
    assert_ne!(event.group(), message.group());
    assert_eq!(sim.annotated(&event), None);
    assert_eq!(sim.memory.interactions(), []);
    let interaction = sim.receives(&message);
    sim.wait(15);
    assert_eq!(sim.memory.routed(&event.account, &event.id).as_deref(), Some(interaction.as_str()));
    assert_eq!(sim.memory.messages()[0].1.reactions.len(), 1);
    assert_eq!(sim.rings_at(&interaction), agents);
}

#[test]
fn a_reaction_to_an_unknown_message_is_a_note_in_the_open_interaction_or_nothing() {
    let (mut sim, agent, interaction, _) = conversation();
    let before = sim.interaction(&interaction);
    let event = sim.annotation(1, reaction("SMforeign", "👍"));
    let others = [
        sim.annotation(1, edit("SMforeign", "x")),
        sim.annotation(1, Annotated::Deleted { message: "SMforeign".into() }),
        sim.annotation(1, reaction("SMforeign", "")),
        sim.annotation(2, reaction("SMforeign", "👍")),
    ];
    for event in std::iter::once(&event).chain(&others) {
        assert_eq!(sim.annotated(event), None);
    }
    sim.wait(160);
    assert_eq!(sim.memory.routed(&event.account, &event.id).as_deref(), Some(interaction.as_str()));
    for event in &others {
        assert_eq!(sim.memory.routed(&event.account, &event.id).as_deref(), Some("-"));
    }
    let notes: Vec<_> =
        sim.memory.messages().into_iter().filter(|(_, message)| matches!(message.content, Content::Reaction { .. })).collect();
    assert_eq!((notes.len(), &notes[0].1.author), (1, &Author::Customer));
    assert_eq!(sim.shown(&agent, &interaction).last(), Some(&Notice::Message));
    let after = sim.interaction(&interaction);
    assert_eq!(Interaction { version: 0, ..after }, Interaction { version: 0, ..before });
    assert!(matches!(sim.facts(&interaction).last(), Some(Fact::Noted { .. })));
}

#[test]
fn a_customer_who_moves_is_the_same_one_at_the_new_number_and_answers_go_there() {
    let (mut sim, agent, interaction, _) = conversation();
    let before = sim.interaction(&interaction);
    let event = sim.annotation(1, Annotated::Moved { to: phone(9), body: "changed number".into() });
    assert_eq!(sim.annotated(&event).as_deref(), Some(interaction.as_str()));
    let after = sim.interaction(&interaction);
    assert_eq!((&after.address, after.unread, &after.wait), (&phone(9), before.unread, &before.wait));
    assert_eq!(sim.memory.messages().last().unwrap().1.author, Author::System);
    assert_eq!(sim.shown(&agent, &interaction).last(), Some(&Notice::Message));
    assert_eq!(sim.writes(9), interaction, "a message from the new number joins");
    assert_eq!(sim.person(&phone(1)), sim.person(&phone(9)));
}

#[test]
fn a_stranger_who_moves_is_still_a_stranger() {
    let (mut sim, _, _, _) = conversation();
    let event = sim.annotation(7, Annotated::Moved { to: phone(8), body: "changed number".into() });
    assert_eq!(sim.annotated(&event), None, "the message that shows one of the two may be about to come");
    sim.wait(165);
    assert_eq!(sim.memory.routed(&event.account, &event.id).as_deref(), Some("-"));
    assert_eq!((sim.memory.contacts().len(), sim.memory.interactions().len()), (1, 1));
}

#[test]
fn a_change_after_the_end_makes_a_new_archive() {
    let (mut sim, agent, interaction, message) = conversation();
    sim.close(&agent, &interaction).unwrap();
    let event = sim.annotation(1, reaction(message.provider_id.as_deref().unwrap(), "👍"));
    sim.annotated(&event);
    assert!(!sim.interaction(&interaction).is_open());
    // The driver archives for effects of interactions. This effect is the message's.
    assert_eq!(sim.archived, [interaction.clone(), interaction]);
}

#[test]
fn a_report_that_comes_before_our_record_of_the_sending_is_not_lost() {
    let (mut sim, agent, interaction, _) = conversation();
    sim.provider.lock().unwrap().outcomes.push_back(engine::Sent::Later {
        error: domain::message::DeliveryError { class: domain::message::ErrorClass::Temporary, code: None },
    });
    let message = domain::ids::MessageId::from_ulid(ulid::Ulid::from_parts(9, 9));
    let mut event = sim.event(1);
    event.kind = InboundKind::Status(domain::inbound::StatusUpdate {
        provider_id: format!("SM{message}"),
        reference: None,
        state: DeliveryState::Delivered,
        error: None,
        at: None,
        recipients: Vec::new(),
        charge: None,
    });
    assert_eq!(sim.annotated(&event), None);
    sim.command(&agent, crate::driver::Command::Write(interaction, message.clone(), "an answer".into())).unwrap();
    sim.wait(15);
    assert_eq!(sim.delivery(&message), DeliveryState::Delivered);
}

#[test]
fn unknown_kinds_are_stored_and_routed_nowhere() {
    let (mut sim, _, _, _) = conversation();
    let before = sim.memory.interactions();
    let mut event = sim.event(1);
    event.kind = InboundKind::Other { name: "order".into() };
    assert!(sim.memory.receive(&event));
    assert_eq!(sim.memory.take_effects(), []);
    sim.jobs.push_back(Job::route(&event));
    sim.settle();
    assert_eq!(sim.memory.routed(&event.account, &event.id).as_deref(), Some("-"));
    assert_eq!(sim.memory.interactions(), before);
}

#[test]
fn an_answer_to_a_known_message_names_it_by_our_id() {
    let (mut sim, agent, interaction, _) = conversation();
    let answered = sim.answers(&agent, &interaction).unwrap();
    let mut event = sim.event(1);
    if let InboundKind::Message(message) = &mut event.kind {
        message.reply_to = Some(format!("SM{answered}"));
    }
    sim.receives(&event);
    assert!(sim.memory.messages().iter().any(|(_, message)| message.answers.as_ref() == Some(&answered)));
}
