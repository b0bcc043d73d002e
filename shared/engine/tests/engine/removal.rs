//! Deleted interactions: what comes late for them changes nothing.

use std::task::{Context, Waker};

use domain::ids::{InteractionId, JobId, MessageId};
use domain::interaction::Status;
use domain::message::{Delivery, DeliveryState, Message, Origin};
use domain::queue::Strategy;
use engine::errands::Errand;
use engine::jobs::{ReportJob, RollupJob, Wakeup};
use engine::ports::World as _;
use engine::{EngineError, Sent, reports};
use ulid::Ulid;

use crate::driver::{Command, Job, Outcome, Removal, Removed, Running, Sim, run, start, surely};

/// Starts a job and leaves it after so many calls; `None` if it took no more.
fn begun(sim: &Sim, job: &Job, calls: usize) -> Option<Running> {
    let mut running = start(&sim.engine, &sim.provider, job.clone());
    let poll = |_| running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
    (0..calls).all(poll).then_some(running)
}

/// A pass of a deletion, which closes the interaction if it is open.
fn removes(sim: &Sim, interaction: &InteractionId, again: bool) {
    let removal = Removal { of: Removed::Interaction(interaction.clone()), again };
    let removed = run(start(&sim.engine, &sim.provider, Job::Removal(removal)));
    assert!(matches!(removed, Outcome::Done { .. }), "{removed:?}");
}

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

/// The business's history from before the number was connected goes into an interaction whose id follows from the
/// conversation.
#[test]
fn a_thread_that_is_made_anew_after_its_deletion_survives_the_second_pass() {
    let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
    let tells = |sim: &mut Sim| {
        let told = sim.echo(1, Origin::History);
        sim.memory.receive(&told);
        sim.settle();
        let mut ids = sim.memory.interactions().into_iter().map(|one| one.id);
        (ids.next().unwrap(), ids.next(), sim.memory.messages().len())
    };
    let (first, ..) = tells(&mut sim);
    for _ in 0..2 {
        removes(&sim, &first, false);
        let (second, other, messages) = tells(&mut sim);
        assert_eq!((other, messages), (None, 1));
        removes(&sim, &first, true);
        assert_eq!(sim.memory.messages().len(), 1, "what was told since was deleted with it");
        assert_eq!(tells(&mut sim), (second.clone(), None, 2), "and all of it is one thread");
        removes(&sim, &second, false);
    }
}

#[test]
fn an_agent_who_left_loses_every_interaction_though_one_is_deleted_at_any_call() {
    let mut calls = 0;
    loop {
        let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
        let left = &agents[0];
        let [one, other] = [1, 2].map(|customer| {
            let interaction = sim.writes(customer);
            sim.accept(left, &interaction).unwrap();
            interaction
        });
        sim.change_account(|account| account.agents.retain(|agent| agent != left));
        let again = Wakeup::Reconfigured { agent: left.clone() };
        let job = Job::queued(Errand::wakeup("again".into(), sim.world.now(), again));
        let Some(rest) = begun(&sim, &job, calls) else { break };
        removes(&sim, &one, false);
        let outcome = run(rest);
        sim.led_to(job, outcome);
        sim.settle();
        assert_eq!(sim.interaction(&other).agent, None, "the deletion came after {calls} calls");
        calls += 1;
    }
    assert!(calls > 5, "{calls}");
}

/// Whether the provider's id leads to something.
fn leads_on(sim: &Sim, message: &MessageId) -> bool {
    sim.memory.message_of(&sim.account, &format!("SM{message}")).is_some()
}

#[test]
fn a_report_leaves_no_way_to_a_message_that_is_deleted_at_any_call() {
    let mut calls = 0;
    loop {
        let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
        let interaction = sim.writes(1);
        sim.accept(&agents[0], &interaction).unwrap();
        // The answer was lost, so only the report tells the provider's id.
        sim.provider.lock().unwrap().outcomes = [Sent::Unknown].into();
        let message = sim.answers(&agents[0], &interaction).unwrap();
        let job = Job::route(&sim.report(&message, DeliveryState::Delivered));
        let Some(rest) = begun(&sim, &job, calls) else {
            assert!(leads_on(&sim, &message));
            break;
        };
        removes(&sim, &interaction, false);
        let outcome = run(rest);
        sim.led_to(job, outcome);
        sim.settle();
        assert!(!leads_on(&sim, &message), "the deletion came after {calls} calls");
        calls += 1;
    }
    assert!(calls > 2, "{calls}");
}

/// A sender writes the provider's id and then the outcome. Only then it sees that the message is gone.
#[test]
fn the_next_report_ends_the_way_to_a_deleted_message_whose_sender_died_at_any_call() {
    let (mut calls, mut left) = (0, 0);
    'all: loop {
        for more in 0..8 {
            let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
            let interaction = sim.writes(1);
            sim.accept(&agents[0], &interaction).unwrap();
            let message = MessageId::from_ulid(sim.world.ulid());
            let write = Command::Write(interaction.clone(), message.clone(), "an answer".into());
            run(start(&sim.engine, &sim.provider, Job::Command { id: "write".into(), agent: agents[0].clone(), command: write }));
            sim.pump();
            let place = sim.jobs.iter().position(|job| job.sends().is_some()).unwrap();
            let job = sim.jobs.remove(place).unwrap();
            let Some(mut sender) = begun(&sim, &job, calls) else { break 'all };
            let report = Job::route(&sim.report(&message, DeliveryState::Delivered));
            removes(&sim, &interaction, false);
            let dies = (0..more).all(|_| sender.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(sender);
            assert!(dies || !leads_on(&sim, &message), "it lived, after {calls} calls and {more}");
            left += usize::from(leads_on(&sim, &message));
            sim.jobs.extend([job, report]);
            sim.settle();
            assert!(!leads_on(&sim, &message), "after {calls} calls and {more}");
        }
        calls += 1;
    }
    assert!(calls > 4 && left > 0, "{calls} {left}");
}

#[test]
fn what_was_kept_for_reports_is_added_up_though_its_process_died_and_the_interaction_is_deleted_before_the_repetition() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    let message = sim.answers(&agents[0], &interaction).unwrap();
    let (_, sent) = sim.memory.messages().into_iter().find(|(key, _)| key.message == message).unwrap();
    let account = sim.interaction(&interaction).account;
    let report = sim.report_on(&account, &sent.provider_id.unwrap(), DeliveryState::Delivered);
    sim.memory.receive(&report);
    sim.jobs.push_back(Job::route(&report));
    sim.settle();
    sim.close(&agents[0], &interaction).unwrap();
    let jobs = std::mem::take(&mut sim.to_count);
    let carried_out = |job| surely(|| reports::carry_out(&sim.memory, &sim.memory, job));
    // Each process dies before it has sent the job that adds up.
    let kept: Vec<Vec<RollupJob>> = jobs.iter().map(carried_out).collect();
    let kept_by_a_message = |(job, add): (&ReportJob, &Vec<RollupJob>)| matches!(job, ReportJob::Price { .. }) && !add.is_empty();
    assert!(jobs.iter().zip(&kept).any(kept_by_a_message), "{jobs:?}");
    assert!(sim.memory.delete(&interaction));
    for (job, kept) in jobs.iter().zip(kept) {
        let again = carried_out(job);
        assert!(kept.iter().all(|add| again.contains(add)), "{job:?} leaves {kept:?} to nobody");
    }
}
