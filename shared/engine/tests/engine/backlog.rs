//! A backlog that is longer than one invocation of `assign` can take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::agent::{Capacity, PresenceState};
use domain::effect::Target;
use domain::ids::{AgentId, InteractionId};
use domain::interaction::Stage;
use domain::queue::Strategy;
use engine::jobs::AssignJob;
use engine::memory::{Memory, MemoryDirectory, ReadFault, VirtualWorld};
use engine::ports::{Idempotency, World};
use engine::{Engine, Reach};
use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

use crate::driver::{Sim, queue_step, run, seconds};

/// A world in which everything takes long: a second passes with every look at the clock.
#[derive(Clone)]
struct Slow(VirtualWorld);

impl World for Slow {
    fn now(&self) -> Timestamp {
        self.0.advance(SignedDuration::from_secs(1));
        self.0.now()
    }

    fn ulid(&self) -> Ulid {
        self.0.ulid()
    }

    async fn pause(&self, _attempt: u32) {}
}

fn slow(sim: &Sim) -> Engine<Memory, MemoryDirectory, Slow> {
    Engine { store: sim.memory.clone(), directory: sim.directory.clone(), world: Slow(sim.world.clone()) }
}

/// Wakes the target until nothing is left to do, and returns how many of `all` are `done` after each wake. Checks
/// that no wake takes much longer than it may.
fn wakes(sim: &Sim, target: &Target, all: &[InteractionId], done: impl Fn(&InteractionId) -> bool) -> Vec<usize> {
    let mut counts = Vec::new();
    loop {
        let began = sim.world.now();
        let woken = run(slow(sim).wake(target, Reach::Far)).unwrap();
        assert!(sim.world.now().duration_since(began) < SignedDuration::from_secs(30), "it would have been cut off");
        counts.push(all.iter().filter(|id| done(id)).count());
        if !woken.also.contains(target) {
            return counts;
        }
        assert!(counts.len() < 100, "it never ends: {counts:?}");
    }
}

/// A logged-out agent with room for all, and twenty customers whose plan has run out.
fn twenty_wait() -> (Sim, AgentId, Target, Vec<InteractionId>) {
    let mut sim = Sim::new();
    let agent = sim.agent(1);
    let queue = sim.queue(1, Strategy::Rrmemory, &[&agent]);
    sim.directory.change(|config| config.queues.get_mut(&queue).unwrap().agent_timeout = seconds(3_600));
    sim.plan(&[queue_step(&queue, 1)]);
    run(sim.engine.set_capacity(&agent, Capacity::new(20).unwrap())).unwrap();
    let all = (1..=20).map(|number| sim.writes(number)).collect();
    sim.wait(2);
    (sim, agent, Target::Queue(queue), all)
}

fn assert_in_portions(counts: &[usize]) {
    assert!(counts.len() > 2 && counts.is_sorted() && counts.last() == Some(&20), "{counts:?}");
    assert!(counts[0] > 0 && counts[0] < 20, "{counts:?}");
}

/// How many reads a wake makes.
fn reads_of_a_wake(sim: &Sim, target: &Target) -> usize {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    sim.memory.inject_reads(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        ReadFault::None
    });
    run(sim.engine.wake(target, Reach::Near)).unwrap();
    sim.memory.heal();
    reads.load(Ordering::Relaxed)
}

#[test]
fn while_nobody_is_ready_a_long_backlog_is_not_read_and_a_short_one_is_read_once() {
    let (night, _, target, all) = twenty_wait();
    // The queue, its first rows, the accounts, the presences.
    assert_eq!((all.len(), reads_of_a_wake(&night, &target)), (20, 4));
    let (mut sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 1);
    sim.pause(&agents[0]);
    sim.writes(1);
    // The queue, its rows, their account, the presences, the other queues.
    assert_eq!(reads_of_a_wake(&sim, &Target::Queue(queue.clone())), 5);
    // With somebody who is ready also whose turn it is. The presences are read once, after the rows.
    sim.capacity(&agents[0], 1);
    sim.ready(&agents[0]);
    sim.writes(2);
    assert_eq!(reads_of_a_wake(&sim, &Target::Queue(queue)), 6);
}

#[test]
fn a_wake_whose_time_is_over_leaves_the_rest_of_the_offers_to_the_next() {
    let (sim, agent, target, all) = twenty_wait();
    run(sim.engine.set_presence(&agent, PresenceState::Ready, Idempotency::Command { id: "ready".into() })).unwrap();
    assert_in_portions(&wakes(&sim, &target, &all, |id| !sim.rings_at(id).is_empty()));
}

#[test]
fn the_backlog_of_an_account_that_is_switched_on_goes_its_way_in_portions() {
    let mut sim = Sim::new();
    let queue = sim.queue(1, Strategy::Beepall, &[]);
    sim.plan(&[queue_step(&queue, 3_600)]);
    sim.set_active(false);
    let all: Vec<InteractionId> = (1..=20).map(|number| sim.writes(number)).collect();
    sim.change_account(|account| account.active = true);
    let target = Target::Account(sim.account.clone());
    assert_in_portions(&wakes(&sim, &target, &all, |id| sim.stage(id) != Some(Stage::Inactive)));
}

#[test]
fn the_offers_of_an_account_that_is_switched_off_stop_in_portions() {
    let (mut sim, agent, target, all) = twenty_wait();
    sim.ready(&agent);
    assert!(all.iter().all(|id| sim.rings_at(id) == [agent.clone()]));
    sim.change_account(|account| account.active = false);
    assert_in_portions(&wakes(&sim, &target, &all, |id| sim.rings_at(id).is_empty()));
}

/// Sixty queues of one agent, with a customer in each, whom nobody answers yet.
fn many_queues(strategy: Strategy) -> (Sim, AgentId, Vec<Target>) {
    let mut sim = Sim::new();
    let agent = sim.agent(1);
    run(sim.engine.set_capacity(&agent, Capacity::new(100).unwrap())).unwrap();
    let mut targets = Vec::new();
    for number in 1..=60_u32 {
        let queue = sim.queue(number.into(), strategy, &[&agent]);
        sim.plan(&[queue_step(&queue, 3_600)]);
        sim.writes(number);
        targets.push(Target::Queue(queue));
    }
    targets.sort();
    (sim, agent, targets)
}

/// Follows wakes that were cut off, and returns the other targets that each of them wakes.
fn followed(sim: &Sim, first: AssignJob) -> Vec<Vec<Target>> {
    let (mut portions, mut next) = (Vec::new(), Some(first));
    while let Some(job) = next {
        let began = sim.world.now();
        let woken = run(slow(sim).wake_after(&job.target, job.reach(), job.after.as_ref())).unwrap();
        assert!(sim.world.now().duration_since(began) < SignedDuration::from_secs(30), "it would have been cut off");
        next = job.then(&woken).into_iter().find(|job| job.after.is_some());
        portions.push(woken.also);
        assert!(portions.len() < 100, "it never ends");
    }
    portions
}

#[test]
fn an_agent_of_very_many_queues_wakes_all_of_them_in_portions() {
    let (sim, agent, targets) = many_queues(Strategy::Rrmemory);
    run(sim.engine.set_presence(&agent, PresenceState::Ready, Idempotency::Command { id: "ready".into() })).unwrap();
    let portions = followed(&sim, AssignJob::wake(Target::Agent(agent)));
    assert!(portions.len() > 2, "{portions:?}");
    assert_eq!(portions.concat(), targets, "each once");
}

#[test]
fn an_account_that_waits_in_very_many_queues_wakes_all_of_them_in_portions() {
    let (sim, _, targets) = many_queues(Strategy::Rrmemory);
    let portions = followed(&sim, AssignJob::reconfigured(Target::Account(sim.account.clone())));
    assert!(portions.len() > 2, "{portions:?}");
    assert_eq!(portions.concat(), targets);
}

#[test]
fn the_sweep_finds_the_waiting_targets_in_portions() {
    let (sim, _, targets) = many_queues(Strategy::Beepall);
    // Four hundred more queues in which nobody waits.
    (1_000..1_400).for_each(|number| drop(sim.queue(number, Strategy::Beepall, &[])));
    let (mut found, mut after, mut portions) = (Vec::new(), None, 0);
    loop {
        let swept = run(slow(&sim).waiting_targets(after.as_ref())).unwrap();
        found.extend(swept.targets);
        portions += 1;
        after = swept.until;
        if after.is_none() {
            break;
        }
    }
    assert!(portions > 1, "{portions}");
    assert_eq!(found, targets, "each once");
}

#[test]
fn an_agent_who_is_taken_off_an_account_with_a_full_load_is_released_in_portions() {
    let mut sim = Sim::new();
    let agent = sim.agent(1);
    let queue = sim.queue(1, Strategy::Beepall, &[&agent]);
    sim.plan(&[queue_step(&queue, 3_600)]);
    run(sim.engine.set_capacity(&agent, Capacity::new(40).unwrap())).unwrap();
    sim.ready(&agent);
    for number in 1..=40 {
        let interaction = sim.writes(number);
        sim.accept(&agent, &interaction).unwrap();
    }
    sim.change_account(|account| account.agents.clear());
    let mut portions = Vec::new();
    loop {
        let began = sim.world.now();
        let released = run(slow(&sim).release(&agent)).unwrap();
        assert!(sim.world.now().duration_since(began) < SignedDuration::from_secs(30), "it would have been cut off");
        portions.push(released.interactions);
        if !released.unfinished {
            break;
        }
    }
    assert!(portions.len() > 2 && portions.iter().sum::<usize>() == 40, "{portions:?}");
    assert!(sim.presence(&agent).unwrap().load.is_empty());
}
