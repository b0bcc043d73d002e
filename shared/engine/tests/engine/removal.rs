//! Deleted interactions: what comes late for them changes nothing.

use domain::ids::JobId;
use domain::interaction::Status;
use domain::message::{Delivery, DeliveryState, Message, Origin};
use domain::queue::Strategy;
use engine::{EngineError, Sent};
use ulid::Ulid;

use crate::driver::{Job, Sim, run};

#[test]
fn a_repeated_event_of_a_deleted_interaction_opens_nothing_and_a_new_message_does() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let event = sim.event(1);
    let interaction = sim.receives(&event);
    sim.accept(&agents[0], &interaction).unwrap();
    assert!(!sim.memory.delete(&interaction), "it is open");
    sim.close(&agents[0], &interaction).unwrap();
    assert!(sim.memory.delete(&interaction));
    sim.jobs.push_back(Job::route(&event));
    sim.settle();
    assert_eq!((sim.memory.interactions().len(), sim.memory.messages().len()), (0, 0));
    let next = sim.writes(1);
    assert_ne!(next, interaction);
    assert_eq!(sim.interaction(&next).status, Status::Open);
}

#[test]
fn the_result_of_a_send_that_comes_after_the_deletion_leaves_no_way_to_the_message() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    let message = sim.answers(&agents[0], &interaction).unwrap();
    let (key, known) = sim.memory.messages().into_iter().find(|(key, _)| key.message == message).unwrap();
    let claimed = known.delivery.clone().map(|delivery| Delivery { state: DeliveryState::Sending, ..delivery });
    let known = Message { provider_id: None, delivery: claimed, ..known };
    sim.close(&agents[0], &interaction).unwrap();
    assert!(sim.memory.delete(&interaction));
    // A process had claimed it, and was in the call to the provider.
    let sent = run(sim.engine.sent(&key, Some(&known), &Sent::Accepted { provider_id: "SMlate".to_owned() }));
    assert!(matches!(sent, Err(EngineError::NotFound)), "{sent:?}");
    assert_eq!(sim.memory.message_of(&key.interaction.conversation.account, "SMlate"), None);
    assert!(matches!(run(sim.engine.claim(&key)), Err(EngineError::NotFound)), "nothing is sent any more");
}

#[test]
fn what_the_business_says_elsewhere_in_the_minute_after_an_erasure_makes_a_new_contact() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.close(&agents[0], &interaction).unwrap();
    let erased = sim.interaction(&interaction).contact;
    assert!(run(sim.memory.erase(&sim.memory.contacts(), &JobId::from_ulid(Ulid::from_parts(0, 1)))).unwrap());
    assert!(sim.memory.delete(&interaction));
    // The router remembers where the address led.
    let echo = sim.echo(1, Origin::PhoneApp);
    sim.memory.receive(&echo);
    sim.settle();
    let [made] = sim.memory.interactions().try_into().unwrap();
    assert_ne!(made.contact, erased, "it would stay for ever");
}
