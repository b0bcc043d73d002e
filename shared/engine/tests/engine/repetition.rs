//! Jobs that come twice, too early or too late, or whose answer is lost.

use domain::decide::{Event, Refusal};
use domain::effect::Timer;
use domain::inbound::InboundEvent;
use domain::interaction::Interaction;
use domain::queue::Strategy;
use engine::memory::Fault;
use engine::ports::{Idempotency, World};
use engine::{EngineError, Told};

use crate::driver::{Command, Job, Outcome, Sim, run, start};

/// Injects `fault` this number of times.
fn faults(sim: &Sim, fault: Fault, mut times: u32) {
    sim.memory.inject(move |_| {
        if times == 0 {
            return Fault::None;
        }
        times -= 1;
        fault
    });
}

fn without_version(interaction: Interaction) -> Interaction {
    Interaction { version: 0, ..interaction }
}

#[test]
fn the_same_event_twice_is_one_message() {
    let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
    let event = sim.event(1);
    let interaction = sim.receives(&event);
    let before = sim.interaction(&interaction);
    assert!(!sim.memory.receive(&event));
    sim.jobs.extend([Job::route(&event), Job::route(&event)]);
    sim.settle();
    assert_eq!(sim.interaction(&interaction), before);
    assert_eq!(sim.memory.messages().len(), 1);
}

#[test]
fn a_repeated_event_of_a_closed_interaction_opens_nothing() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let event = sim.event(1);
    let interaction = sim.receives(&event);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.close(&agents[0], &interaction).unwrap();
    sim.jobs.push_back(Job::route(&event));
    sim.settle();
    assert_eq!((sim.memory.interactions().len(), sim.memory.messages().len()), (1, 1));
}

#[test]
fn a_webhook_again_after_three_minutes_and_nine_days_opens_nothing_though_its_router_died_and_the_chat_is_over() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let event = sim.event(1);
    sim.memory.receive(&event);
    // What the queue has is played by hand.
    sim.memory.take_effects();
    faults(&sim, Fault::AnswerLost, 1);
    let outcome = run(start(&sim.engine, &sim.provider, Job::route(&event)));
    assert!(matches!(outcome, Outcome::Failed(_)), "it dies behind its commit");
    sim.settle();
    let interaction = sim.memory.interactions()[0].id.clone();
    sim.accept(&agents[0], &interaction).unwrap();
    sim.close(&agents[0], &interaction).unwrap();
    let closed = sim.interaction(&interaction);
    for seconds in [3 * 60, 9 * 24 * 3600] {
        sim.wait(seconds);
        // As the provider sends it, and as the queue brings what the dead router left.
        let again = InboundEvent { received_at: sim.world.now(), ..event.clone() };
        assert!(!sim.memory.receive(&again), "it is known");
        sim.jobs.extend([Job::route(&again), Job::route(&event)]);
        sim.settle();
        assert_eq!((sim.memory.interactions().len(), sim.memory.messages().len()), (1, 1), "{seconds}");
        assert_eq!(sim.interaction(&interaction), closed);
    }
}

#[test]
fn a_webhook_that_dies_between_its_two_calls_loses_nothing_though_its_provider_never_repeats() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let event = sim.event(1);
    // The queue has it, and the table never gets it.
    sim.jobs.push_back(Job::route(&event));
    sim.settle();
    let interactions = sim.memory.interactions();
    assert_eq!((interactions.len(), sim.memory.messages().len()), (1, 1));
    assert_eq!(sim.rings_at(&interactions[0].id), agents);
    // The queue brings it again, and much later the provider's list does, which finds nothing stored.
    sim.jobs.push_back(Job::route(&event));
    sim.wait(2 * 3600);
    sim.memory.receive(&event);
    sim.jobs.push_back(Job::route(&event));
    sim.settle();
    assert_eq!((sim.memory.interactions().len(), sim.memory.messages().len()), (1, 1));
}

#[test]
fn lost_answers_refusals_and_conflicts_change_nothing_twice() {
    for fault in [Fault::AnswerLost, Fault::Refused, Fault::Conflict] {
        let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
        faults(&sim, fault, 3);
        let interaction = sim.writes(1);
        assert_eq!((sim.memory.interactions().len(), sim.memory.messages().len()), (1, 1), "{fault:?}");
        assert_eq!(sim.rings_at(&interaction), agents);
        sim.accept(&agents[0], &interaction).unwrap();

        faults(&sim, fault, 1);
        let id = domain::ids::MessageId::from_ulid(ulid::Ulid::from_parts(9, 9));
        let write = || Command::Write(interaction.clone(), id.clone(), "an answer".into());
        let first = sim.try_command("write", &agents[0], write());
        let again = sim.try_command("write", &agents[0], write()).unwrap().unwrap();
        match fault {
            Fault::AnswerLost => assert!(matches!((first, again), (Err(EngineError::Port(_)), Told::AlreadyDone(_)))),
            Fault::Refused => assert!(matches!((first, again), (Err(EngineError::Port(_)), Told::Changed { .. }))),
            _ => assert!(matches!((first, again), (Ok(Some(Told::Changed { .. })), Told::AlreadyDone(_)))),
        }
        assert_eq!(sim.memory.messages().len(), 2);
        assert_eq!(sim.provider.lock().unwrap().calls.len(), 1);
    }
}

#[test]
fn a_repeated_command_whose_effect_is_there_changes_nothing() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let interaction = sim.writes(1);
    let reject = || Command::Reject(interaction.clone());
    assert!(matches!(sim.try_command("reject", &agents[0], reject()), Ok(Some(Told::Changed { .. }))));
    let before = sim.interaction(&interaction);
    assert!(matches!(sim.try_command("reject", &agents[0], reject()), Ok(Some(Told::AlreadyDone(_)))));
    assert!(matches!(sim.try_command("another", &agents[0], reject()), Ok(Some(Told::Refused(Refusal::OfferGone { .. }, _)))));
    sim.accept(&agents[1], &interaction).unwrap();
    let accepted = sim.interaction(&interaction);
    assert_eq!(sim.accept(&agents[1], &interaction), Err(Refusal::AlreadyYours));
    assert_eq!(sim.interaction(&interaction), accepted);
    assert_ne!(without_version(before), without_version(accepted));
}

#[test]
fn a_rival_that_wins_every_time_is_an_error_and_not_an_endless_wait() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    faults(&sim, Fault::Conflict, 10);
    let accept = Command::Accept(interaction.clone());
    assert!(matches!(sim.try_command("accept", &agents[0], accept), Err(EngineError::Busy)));
    assert_eq!(sim.interaction(&interaction).agent, None);
}

#[test]
fn an_early_timer_is_answered_with_its_due_time_and_a_late_or_repeated_one_changes_nothing() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let interaction = sim.writes(1);
    let timers: Vec<Job> = sim.timers.iter().map(|(_, job)| job.clone()).collect();
    assert_eq!(timers.len(), 2, "one for the step, one for the offer");
    for job in &timers {
        let (key, at, timer) = job.timer().unwrap();
        let told = run(sim.engine.tell(key, Event::Timer(timer.clone()), Idempotency::Guarded)).unwrap();
        assert!(matches!(told, Told::Refused(Refusal::Early(due), _) if due == at));
    }
    sim.accept(&agents[0], &interaction).unwrap();
    let before = sim.interaction(&interaction);
    sim.wait(60);
    sim.jobs.extend(timers.clone());
    sim.jobs.extend(timers);
    sim.settle();
    assert_eq!(sim.interaction(&interaction), before);
}

#[test]
fn the_timer_of_an_earlier_wait_does_not_end_a_later_one() {
    let (mut sim, _, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    let (_, first) = sim.timers[0].clone();
    sim.wait(30);
    // The plan ran out. Another message starts it over.
    sim.memory.take_effects();
    let agents: Vec<_> = sim.memory.all_presences().into_iter().map(|presence| presence.agent).collect();
    sim.log_out(&agents[0]);
    sim.writes(1);
    let wait = sim.interaction(&interaction).wait.unwrap();
    sim.jobs.push_back(first);
    sim.settle();
    assert_eq!(sim.interaction(&interaction).wait.unwrap(), wait);
}

#[test]
fn an_early_inactivity_timer_is_armed_again() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    sim.inactivity_timeout(10);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.answers(&agents[0], &interaction).unwrap();
    let armed = sim.interaction(&interaction).inactivity.armed.unwrap();
    let key = sim.interaction(&interaction).key();
    for _ in 0..2 {
        run(sim.engine.tell(&key, Event::Timer(Timer::Inactivity { armed }), Idempotency::Guarded)).unwrap();
    }
    sim.wait(600);
    assert!(!sim.interaction(&interaction).is_open());
    assert_eq!(sim.archived, [interaction]);
}

#[test]
fn wakes_that_come_again_ring_nothing_twice() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 2);
    let interaction = sim.writes(1);
    let before = sim.interaction(&interaction);
    for _ in 0..3 {
        sim.jobs.push_back(Job::wake(domain::effect::Target::Queue(queue.clone())));
        sim.jobs.push_back(Job::wake(domain::effect::Target::Agent(agents[0].clone())));
    }
    sim.settle();
    assert_eq!(sim.interaction(&interaction), before);
}
