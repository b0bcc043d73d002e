//! Messages to customers and how far they get.

use domain::decide::Refusal;
use domain::effect::Notice;
use domain::ids::{AgentId, InteractionId};
use domain::message::{DeliveryError, DeliveryState, ErrorClass};
use domain::queue::Strategy;
use engine::{Claim, Sent};

use crate::driver::{Job, Sim, run};

fn conversation() -> (Sim, AgentId, InteractionId) {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    (sim, agents[0].clone(), interaction)
}

#[test]
fn an_answer_is_claimed_sent_once_and_its_states_are_shown_to_its_author() {
    let (mut sim, agent, interaction) = conversation();
    let message = sim.answers(&agent, &interaction).unwrap();
    assert_eq!(sim.delivery(&message), DeliveryState::Accepted);
    assert_eq!(sim.provider.lock().unwrap().calls, std::slice::from_ref(&message));
    for state in [DeliveryState::Sent, DeliveryState::Delivered, DeliveryState::Read] {
        sim.reports(&message, state);
        assert_eq!(sim.delivery(&message), state);
    }
    let states = sim.shown(&agent, &interaction).into_iter().filter(|notice| *notice == Notice::MessageState).count();
    assert_eq!(states, 2, "delivered and read; what happens on the way is no news");
}

#[test]
fn states_only_move_forwards_in_whatever_order_the_reports_come() {
    use DeliveryState::{Delivered, Failed, Read, Sent};
    let orders = [
        (vec![Read, Delivered, Sent], Read),
        (vec![Delivered, Sent, Read, Delivered], Read),
        (vec![Sent, Sent, Delivered, Failed], Delivered),
        (vec![Failed, Sent, Delivered], Failed),
        (vec![Sent, Failed], Failed),
    ];
    for (reports, expected) in orders {
        let (mut sim, agent, interaction) = conversation();
        let message = sim.answers(&agent, &interaction).unwrap();
        for state in reports {
            sim.reports(&message, state);
        }
        assert_eq!(sim.delivery(&message), expected);
    }
}

#[test]
fn a_report_that_overtakes_the_accepted_answer_stays() {
    let (mut sim, agent, interaction) = conversation();
    let id = domain::ids::MessageId::from_ulid(ulid::Ulid::from_parts(9, 9));
    let write = crate::driver::Command::Write(interaction, id.clone(), "an answer".into());
    run(crate::driver::start(&sim.engine, &sim.provider, Job::Command { id: "write".into(), agent, command: write }));
    let (key, _) = sim.message(&id);
    // The message is claimed, and the provider's report comes before its answer to the call.
    assert!(matches!(run(sim.engine.claim(&key)).unwrap(), Claim::Send(_)));
    let report = |sim: &mut Sim, state| {
        sim.memory.take_effects();
        sim.reports(&id, state);
    };
    report(&mut sim, DeliveryState::Delivered);
    let provider_id = format!("SM{id}");
    assert_eq!(run(sim.engine.sent(&key, &Sent::Accepted { provider_id: provider_id.clone() })).unwrap(), DeliveryState::Delivered);
    let (_, message) = sim.message(&id);
    assert_eq!((message.delivery.unwrap().state, message.provider_id), (DeliveryState::Delivered, Some(provider_id)));
    // From now on a report without our reference finds it by the provider's id.
    let found = run(engine::ports::Store::message_by_provider_id(&sim.memory, &sim.account, &format!("SM{id}"))).unwrap();
    assert_eq!(found, Some(key));
}

#[test]
fn a_message_claimed_twice_is_unknown_and_not_sent_again() {
    let (mut sim, agent, interaction) = conversation();
    let message = sim.answers(&agent, &interaction).unwrap();
    let second = {
        sim.provider.lock().unwrap().outcomes.push_back(Sent::Unknown);
        sim.answers(&agent, &interaction).unwrap()
    };
    assert_eq!(sim.delivery(&second), DeliveryState::Unknown);
    for id in [&message, &second] {
        let (key, _) = sim.message(id);
        sim.jobs.push_back(Job::send(key));
    }
    sim.settle();
    assert_eq!(sim.provider.lock().unwrap().calls.len(), 2);
    // The sender died in the middle of the call.
    let third = domain::ids::MessageId::from_ulid(ulid::Ulid::from_parts(9, 9));
    let write = crate::driver::Command::Write(interaction, third.clone(), "an answer".into());
    run(crate::driver::start(&sim.engine, &sim.provider, Job::Command { id: "write".into(), agent, command: write }));
    let (key, _) = sim.message(&third);
    assert!(matches!(run(sim.engine.claim(&key)).unwrap(), Claim::Send(_)));
    sim.settle();
    assert_eq!(sim.delivery(&third), DeliveryState::Unknown);
    assert_eq!(sim.provider.lock().unwrap().calls.len(), 2);
    // Only the provider's report moves it on.
    sim.reports(&third, DeliveryState::Delivered);
    assert_eq!(sim.delivery(&third), DeliveryState::Delivered);
}

#[test]
fn a_refusal_for_a_passing_reason_is_counted_and_tried_again() {
    let (mut sim, agent, interaction) = conversation();
    let error = DeliveryError { class: ErrorClass::RateLimited, code: Some("63018".into()) };
    sim.provider.lock().unwrap().outcomes.extend([Sent::Later { error: error.clone() }, Sent::Later { error }]);
    let message = sim.answers(&agent, &interaction).unwrap();
    let delivery = sim.message(&message).1.delivery.unwrap();
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Accepted, 2));
    assert_eq!(sim.provider.lock().unwrap().calls.len(), 3);
}

#[test]
fn free_text_is_refused_when_the_24_hours_are_over() {
    let (mut sim, agent, interaction) = conversation();
    sim.wait(24 * 3600 - 1);
    sim.answers(&agent, &interaction).unwrap();
    sim.wait(1);
    assert_eq!(sim.answers(&agent, &interaction), Err(Refusal::WindowExpired));
    sim.writes(1);
    sim.answers(&agent, &interaction).unwrap();
}

#[test]
fn a_late_message_takes_its_place_by_the_providers_clock_and_the_window_never_moves_back() {
    let (mut sim, agent, interaction) = conversation();
    sim.wait(24 * 3600 - 60);
    let mut event = sim.event(1);
    let at: jiff::Timestamp = "2025-12-31T12:00:00Z".parse().unwrap();
    if let domain::inbound::InboundKind::Message(message) = &mut event.kind {
        message.sent_at = Some(at);
    }
    assert_eq!(sim.receives(&event), interaction);
    assert_eq!(sim.memory.messages()[0].1.at, at, "first in the thread");
    sim.wait(59);
    sim.answers(&agent, &interaction).unwrap();
    sim.wait(1);
    assert_eq!(sim.answers(&agent, &interaction), Err(Refusal::WindowExpired));
}

#[test]
fn a_report_on_a_message_of_another_system_changes_nothing() {
    let (mut sim, _, _) = conversation();
    let mut event = sim.event(1);
    event.kind = domain::inbound::InboundKind::Status(domain::inbound::StatusUpdate {
        provider_id: "SMforeign".into(),
        reference: None,
        state: DeliveryState::Read,
        error: None,
        at: None,
        recipients: Vec::new(),
    });
    sim.memory.receive(&event);
    // Our own record of the send might still come.
    sim.wait(140);
    assert_eq!(sim.memory.routed(&event.account, &event.id), None);
    sim.wait(20);
    assert_eq!(sim.memory.routed(&event.account, &event.id).as_deref(), Some("-"));
}
