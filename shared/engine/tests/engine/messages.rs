//! Messages to customers and how far they get.

use domain::decide::Refusal;
use domain::effect::Notice;
use domain::ids::{AgentId, InteractionId};
use domain::message::{DeliveryError, DeliveryState, ErrorClass};
use domain::queue::Strategy;
use engine::memory::Fault;
use engine::{Claim, Sent};
use std::task::{Context, Waker};

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
    let Claim::Send(claimed) = run(sim.engine.claim(&key)).unwrap() else { panic!("it is claimed") };
    let report = |sim: &mut Sim, state| {
        sim.memory.take_effects();
        sim.reports(&id, state);
    };
    report(&mut sim, DeliveryState::Delivered);
    let provider_id = format!("SM{id}");
    assert_eq!(
        run(sim.engine.sent(&key, Some(&claimed), &Sent::Accepted { provider_id: provider_id.clone() })).unwrap(),
        DeliveryState::Delivered
    );
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
        charge: None,
    });
    sim.memory.receive(&event);
    let before = sim.memory.messages();
    // Our own record of the send might still come.
    sim.wait(140);
    assert_eq!(sim.timers.iter().filter(|(_, job)| *job == Job::route(&event)).count(), 1);
    sim.wait(20);
    assert!(!sim.timers.iter().any(|(_, job)| *job == Job::route(&event)));
    // A reference may name a message that never was.
    let (mut key, _) = before[0].clone();
    key.message = domain::ids::MessageId::from_ulid(ulid::Ulid::from_parts(9, 9));
    if let domain::inbound::InboundKind::Status(status) = &mut event.kind {
        status.reference = Some(key.reference().0);
    }
    event.id = "status-ghost".into();
    sim.memory.receive(&event);
    sim.settle();
    assert_eq!((sim.memory.messages(), sim.memory.message_of(&sim.account, "SMforeign")), (before, None));
    assert_eq!(sim.memory.routed(&event.account, &event.id), None, "no item remembers it");
}

/// A message that the agent has written and nobody has claimed yet.
fn waiting() -> (Sim, domain::effect::MessageKey, domain::ids::MessageId) {
    let (sim, agent, interaction) = conversation();
    let id = domain::ids::MessageId::from_ulid(ulid::Ulid::from_parts(9, 9));
    let write = crate::driver::Command::Write(interaction, id.clone(), "an answer".into());
    run(crate::driver::start(&sim.engine, &sim.provider, Job::Command { id: "write".into(), agent, command: write }));
    sim.memory.take_effects();
    let (key, _) = sim.message(&id);
    (sim, key, id)
}

/// Injects `fault` into the write number `place`, from 0.
fn fault_at(sim: &Sim, place: usize, fault: Fault) {
    let mut writes = 0..;
    sim.memory.inject(move |_| if writes.next() == Some(place) { fault } else { Fault::None });
}

#[test]
fn a_claim_that_meets_itself_or_whose_answer_is_lost_is_the_senders_own() {
    for fault in [Fault::AnswerLost, Fault::MetItself, Fault::Conflict, Fault::Refused] {
        let (sim, key, id) = waiting();
        fault_at(&sim, 0, fault);
        assert!(matches!(run(sim.engine.claim(&key)).unwrap(), Claim::Send(_)), "{fault:?}");
        assert_eq!(sim.delivery(&id), DeliveryState::Sending);
        // Any other attempt finds somebody else's claim.
        assert_eq!(run(sim.engine.claim(&key)).unwrap(), Claim::Settled(DeliveryState::Unknown), "{fault:?}");
    }
}

#[test]
fn a_claim_of_the_version_before_is_anothers() {
    let (sim, key, id) = waiting();
    let Claim::Send(mut claimed) = run(sim.engine.claim(&key)).unwrap() else { panic!("it is claimed") };
    claimed.version += 1;
    claimed.delivery.as_mut().unwrap().claim = None;
    let commit = engine::ports::MessageCommit::of(&key, claimed.version - 1, *claimed, Vec::new());
    run(engine::ports::Store::commit_message(&sim.memory, commit)).unwrap();
    assert_eq!(run(sim.engine.claim(&key)).unwrap(), Claim::Settled(DeliveryState::Unknown));
    assert_eq!(sim.delivery(&id), DeliveryState::Unknown);
}

#[test]
fn a_late_outcome_does_not_free_a_message_that_another_attempt_has_claimed() {
    let (sim, key, id) = waiting();
    let later = Sent::Later { error: DeliveryError { class: ErrorClass::Temporary, code: None } };
    let Claim::Send(first) = run(sim.engine.claim(&key)).unwrap() else { panic!("it is claimed") };
    assert_eq!(run(sim.engine.sent(&key, Some(&first), &later)).unwrap(), DeliveryState::Queued);
    let Claim::Send(_) = run(sim.engine.claim(&key)).unwrap() else { panic!("it is claimed again") };
    // The first attempt missed its answer and writes once more.
    assert_eq!(run(sim.engine.sent(&key, Some(&first), &later)).unwrap(), DeliveryState::Sending);
    assert_eq!((sim.delivery(&id), sim.message(&id).1.delivery.unwrap().attempts), (DeliveryState::Sending, 1));
}

#[test]
fn a_sender_who_dies_at_any_step_leaves_a_message_that_its_provider_id_finds() {
    for step in 0..8 {
        let (mut sim, key, id) = waiting();
        let Claim::Send(claimed) = run(sim.engine.claim(&key)).unwrap() else { panic!("it is claimed") };
        let provider_id = format!("SM{id}");
        {
            let outcome = Sent::Accepted { provider_id: provider_id.clone() };
            let mut sent = std::pin::pin!(sim.engine.sent(&key, Some(&claimed), &outcome));
            for _ in 0..step {
                if sent.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
            }
        }
        let named = sim.message(&id).1.provider_id.is_some();
        let leads = sim.memory.message_of(&sim.account, &provider_id);
        assert!(!named || leads.as_ref() == Some(&key), "after {step} steps the message has an id that leads nowhere");
        // Whoever comes next calls nothing, and the provider's report settles it, by the id alone where there is one.
        run(sim.engine.claim(&key)).unwrap();
        let mut report = sim.report(&id, DeliveryState::Delivered);
        if let (domain::inbound::InboundKind::Status(status), true) = (&mut report.kind, leads.is_some()) {
            status.reference = None;
        }
        sim.memory.receive(&report);
        sim.settle();
        assert_eq!(sim.delivery(&id), DeliveryState::Delivered, "{step}");
    }
}

#[test]
fn a_provider_id_that_leads_elsewhere_stays_and_the_message_is_accepted() {
    let (mut sim, key, id) = waiting();
    let other = sim.memory.messages().into_iter().map(|(place, _)| place).find(|place| *place != key).unwrap();
    run(engine::ports::Store::index_provider_id(&sim.memory, &other, "SMtwice")).unwrap();
    let Claim::Send(claimed) = run(sim.engine.claim(&key)).unwrap() else { panic!("it is claimed") };
    let outcome = Sent::Accepted { provider_id: "SMtwice".into() };
    assert_eq!(run(sim.engine.sent(&key, Some(&claimed), &outcome)).unwrap(), DeliveryState::Accepted);
    assert_eq!(sim.memory.message_of(&sim.account, "SMtwice"), Some(other));
    sim.reports(&id, DeliveryState::Read);
    assert_eq!(sim.delivery(&id), DeliveryState::Read, "its reference still finds it");
}

#[test]
fn a_status_whose_write_is_repeated_moves_its_message_once() {
    for fault in [Fault::AnswerLost, Fault::MetItself, Fault::Conflict, Fault::Refused] {
        let (mut sim, agent, interaction) = conversation();
        let message = sim.answers(&agent, &interaction).unwrap();
        let states = |sim: &Sim| sim.shown(&agent, &interaction).into_iter().filter(|notice| *notice == Notice::MessageState).count();
        let (before, version) = (states(&sim), sim.message(&message).1.version);
        fault_at(&sim, 0, fault);
        let report = sim.report(&message, DeliveryState::Delivered);
        sim.memory.receive(&report);
        sim.settle();
        assert_eq!(sim.delivery(&message), DeliveryState::Delivered, "{fault:?}");
        // It comes again, a minute and a day later.
        for _ in 0..2 {
            sim.jobs.push_back(Job::route(&report));
            sim.settle();
        }
        let (_, after) = sim.message(&message);
        assert_eq!((after.delivery.unwrap().state, after.version), (DeliveryState::Delivered, version + 1), "{fault:?}");
        assert_eq!(states(&sim), before + 1, "{fault:?}");
        assert_eq!(sim.memory.routed(&report.account, &report.id), None, "no item remembers it");
    }
}

#[test]
fn a_status_event_that_the_version_before_stored_is_routed() {
    let (mut sim, agent, interaction) = conversation();
    let message = sim.answers(&agent, &interaction).unwrap();
    let report = sim.report(&message, DeliveryState::Delivered);
    run(engine::ports::Store::settle(&sim.memory, &report)).unwrap();
    for _ in 0..2 {
        sim.jobs.push_back(Job::route(&report));
        sim.settle();
        assert_eq!(sim.delivery(&message), DeliveryState::Delivered);
    }
}
